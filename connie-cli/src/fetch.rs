//! One URL of `connie get`, from the options to what is printed of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use connie_std::OsClock;
use connie_web::Url;
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::{Get, OutputArg};
use crate::body::Body;
use crate::error::{Error, without_login};
use crate::exit_code;
use crate::fetched::Fetched;
use crate::output::{Output, Target, is_stdout};
use crate::response;
use crate::session::Session;
use crate::stdout_queue::TransferStdout;
use crate::transfer::{HeadDump, Transfer, TransferIo};
use crate::urls::Wanted;
use crate::write_out::{self, FinishedTransfer};

/// What all transfers of a run have in common.
pub struct Fetch<'a> {
    pub args: &'a Get,
    /// What `-d` and its kin send: in a body, or in the query.
    data: Arc<Body>,
    query: Option<String>,
    /// The file of `-D`.
    dump: Option<Mutex<Output>>,
    /// The format of `-w`.
    write_out: Option<Vec<u8>>,
}

impl<'a> Fetch<'a> {
    pub fn new(args: &'a Get) -> Result<Self, Error> {
        let data = Body::data(&args.data.0)?;
        let (data, query) = match args.get {
            true => (Body::None, Some(data.into_query()?)),
            false => (data, None),
        };
        // As curl has it, -G's data come before it.
        let query = match query.filter(|query| !query.is_empty()) {
            None if !args.url_query.is_empty() => Some(Body::data(&args.url_query())?.into_query()?),
            query => query,
        };
        let dump = |path: &PathBuf| {
            Mutex::new(Output::new(Target::new(path), args.create_dirs, TransferStdout::default()))
        };
        Ok(Fetch {
            args,
            data: Arc::new(data),
            query,
            dump: args.dump_header.as_ref().map(dump),
            write_out: args.write_out.as_deref().map(write_out::format).transpose()?,
        })
    }

    /// Fetches one of the URLs, and prints what `-w` and `--report json` want to know of it. Where there are
    /// others, [`TransferStdout::end`] is to follow.
    pub fn fetch(&self, wanted: &Wanted, session: &mut Session<'_>, io: &TransferIo) -> Result<(), Error> {
        let (fetched, result) = self.run(wanted, session, io);
        let done =
            FinishedTransfer { url: &wanted.url, number: wanted.number, fetched: &fetched, result: &result };
        let told = match &self.write_out {
            Some(format) if !result.as_ref().is_err_and(Error::is_final) => {
                write_out::print_format(format, &done, &io.stdout)
            }
            _ => Ok(()),
        };
        result.and(told)
    }

    /// All URLs are fetched: only now are the last errors of the file of heads known.
    pub fn finish(self) -> Result<(), Error> {
        let dump = self.dump.map(|dump| dump.into_inner().unwrap_or_else(PoisonError::into_inner));
        dump.map_or(Ok(()), |mut dump| dump.finish())
    }

    fn run(
        &self,
        wanted: &Wanted,
        session: &mut Session<'_>,
        io: &TransferIo,
    ) -> (Fetched, Result<(), Error>) {
        let clock = OsClock::start();
        session.begin(io.log);
        let mut fetched = Fetched::default();
        let result = self.transfer(wanted, io).and_then(|mut transfer| {
            let result = transfer.run(session);
            fetched = std::mem::take(&mut transfer.fetched);
            result
        });
        // What went wrong with the fetch says more than a file that could not be written.
        let result = result.and_then(|()| session.take_written());
        if self.args.race.report.is_some() {
            let elapsed = clock.now().as_micros();
            let line = format!("{}\n", json(&wanted.url, &fetched, session, &result, elapsed));
            let printed = io.stdout.print(line.as_bytes());
            return (fetched, result.and(printed.map_err(|error| Error::write("stdout", &error))));
        }
        (fetched, result)
    }

    /// The transfer that the options ask for.
    fn transfer(&self, wanted: &Wanted, io: &TransferIo) -> Result<Transfer<'_>, Error> {
        let args = self.args;
        let mut url = Url::parse(&wanted.url)?;
        let target = match &wanted.output {
            Some(OutputArg::File(path)) => Target::new(path),
            Some(OutputArg::RemoteName) => remote_name(&url)?,
            None if args.remote_name_all => remote_name(&url)?,
            None => Target::Stdout,
        };
        let target = match (target, &args.output_dir) {
            (Target::File(path), Some(folder)) => Target::File(folder.join(path)),
            (target, _) => target,
        };
        if let Some(query) = &self.query {
            url.push_query(query)?;
        }
        let body = match &wanted.upload {
            None => Arc::clone(&self.data),
            Some(path) => Arc::new(upload(path, &mut url)?),
        };
        let output = Output::new(target, args.create_dirs, io.stdout.clone());
        Ok(Transfer::new(args, url, body, output, self.head_dump(io), io.clone()))
    }

    fn head_dump(&self, io: &TransferIo) -> Option<HeadDump<'_>> {
        let dump = self.dump.as_ref()?;
        let on_stdout = self.args.dump_header.as_deref().is_some_and(is_stdout);
        Some(match io.stdout.of_several() {
            Some(_) if on_stdout => HeadDump::Own(Output::new(Target::Stdout, false, io.stdout.clone())),
            _ => HeadDump::Shared(dump),
        })
    }
}

/// The file of `-T`. A URL that ends in a slash gets its name.
fn upload(path: &Path, url: &mut Url) -> Result<Body, Error> {
    let name = path.file_name().and_then(|name| name.to_str()).filter(|name| *name != "-");
    if let Some(name) = name.filter(|_| url.file_name().is_none()) {
        url.push_segment(name);
    }
    Body::upload(path)
}

/// The file that `-O` names: the last part of the URL, in the folder where the program runs.
fn remote_name(url: &Url) -> Result<Target, Error> {
    // On Windows these would lead out of the folder.
    let safe = |name: &&str| !cfg!(windows) || !name.contains(['\\', ':']);
    match url.file_name().filter(safe) {
        Some(name) => Ok(Target::File(name.into())),
        None => {
            let line = format!("{url} does not end in a file name: give one with -o FILE");
            Err(Error::new(exit_code::WRITE, line))
        }
    }
}

/// What `--report json` prints of one URL, in this order.
#[derive(Serialize)]
struct Json<'a> {
    url: String,
    exit_code: u8,
    error: Option<&'a str>,
    status: Option<u16>,
    reason: &'a str,
    body_bytes: u64,
    redirects: u32,
    final_url: &'a str,
    elapsed_us: u64,
    /// As `connie race --json` prints it.
    race: Option<Box<RawValue>>,
    /// The race to the first byte of the answer, where there was one.
    response: Option<Value>,
}

fn json(
    url: &str,
    fetched: &Fetched,
    session: &Session<'_>,
    result: &Result<(), Error>,
    elapsed_us: u64,
) -> String {
    let error = result.as_ref().err();
    let json = Json {
        url: without_login(url),
        exit_code: error.map_or(0, |error| error.code),
        error: error.map(|error| error.lines.first().map_or("", String::as_str)),
        status: fetched.status,
        reason: &fetched.reason,
        body_bytes: fetched.body,
        redirects: fetched.redirects,
        final_url: &fetched.url,
        elapsed_us,
        race: session.raced.as_ref().and_then(|raced| RawValue::from_string(raced.json().to_string()).ok()),
        response: session.response.as_ref().map(response::json),
    };
    // Nothing in it has no JSON.
    serde_json::to_string(&json).unwrap_or_default()
}
