//! `connie get`: fetches URLs, one after the other, over the winners.

use std::io::{self, Write};
use std::path::PathBuf;
use std::rc::Rc;

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
use crate::output::{Output, Stdout, Target, is_stdout, print};
use crate::response;
use crate::session::Session;
use crate::transfer::Transfer;
use crate::urls::{Wanted, urls};
use crate::write_out::{self, FinishedTransfer};

pub fn run(args: &Get) -> Result<(), Error> {
    check(args)?;
    args.race.load_memory()?;
    let result = run_all(args);
    let saved = args.race.save_memory();
    // What went wrong with the URLs says more.
    result.and(saved)
}

fn run_all(args: &Get) -> Result<(), Error> {
    let mut session = Session::new(args)?;
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
    let data = Rc::new(data);
    let folder = |path: &PathBuf| Output::new(Target::new(path), args.create_dirs);
    let mut dump = args.dump_header.as_ref().map(folder);
    let write_out = args.write_out.as_deref().map(write_out::format).transpose()?;
    let mut urls = urls(args).peekable();
    let mut first = true;
    while let Some(wanted) = urls.next() {
        let wanted = wanted?;
        let (fetched, result) = fetch(args, &wanted, query.as_deref(), &data, &mut session, &mut dump);
        let done =
            FinishedTransfer { url: &wanted.url, number: wanted.number, fetched: &fetched, result: &result };
        let told = match &write_out {
            Some(format) if !result.as_ref().is_err_and(Error::is_final) => {
                write_out::print_format(format, &done)
            }
            _ => Ok(()),
        };
        let fetched = result.and(told);
        let alone = std::mem::take(&mut first) && urls.peek().is_none();
        let fetched = match alone {
            true => fetched,
            false => fetched.map_err(|error| error.of_url(&wanted.url)),
        };
        match fetched {
            // As curl has it, the last URL gives the exit code.
            Err(error) if urls.peek().is_some() && !args.fail_early && !error.is_final() => error.report(),
            Err(error) => return Err(error),
            Ok(()) => {}
        }
    }
    dump.map_or(Ok(()), |mut dump| dump.finish())
}

/// Refuses options that cannot go together.
fn check(args: &Get) -> Result<(), Error> {
    let to_stdout = |output: &OutputArg| matches!(output, OutputArg::File(path) if is_stdout(path));
    let outputs = &args.outputs.0;
    let all_aside = outputs.len() >= args.urls.len() || args.remote_name_all;
    if let Stdout::Of(option) = Stdout::of(&args.race.on_stdout())? {
        if !all_aside || outputs.iter().any(to_stdout) {
            return Err(Error::usage(format!(
                "{option} prints on stdout: give each body a file with -o FILE (-o /dev/null to drop it)"
            )));
        }
        let heads = args.dump_header.as_deref().is_some_and(is_stdout);
        Stdout::of(&[(true, option), (args.write_out.is_some(), "-w"), (heads, "-D -")])?;
    }
    let refused = [
        (
            !args.data.0.is_empty() && !args.upload_file.is_empty(),
            "-d and -T are two bodies: drop one of them",
        ),
        (
            args.get && !args.upload_file.is_empty(),
            "-G is for data in the URL, -T for a body: drop one of them",
        ),
        (args.continue_at.is_some() && args.range.is_some(), "-C and -r are two ranges: drop one of them"),
        (args.continue_at.is_some() && !args.upload_file.is_empty(), "-C is for downloads: drop -T"),
        (
            args.continue_at.is_some() && args.compressed(),
            "-C cannot resume a compressed body: drop -C or --compressed",
        ),
    ];
    match refused.into_iter().find(|(refused, _)| *refused) {
        Some((_, line)) => Err(Error::usage(line)),
        None => {
            warn_of_surplus(args);
            Ok(())
        }
    }
}

/// As curl has it, an option that no URL is left for does nothing.
fn warn_of_surplus(args: &Get) {
    let surplus = [
        (args.upload_file.len() > args.urls.len(), "there are more files to send with -T than URLs"),
        (args.outputs.0.len() > args.urls.len(), "there are more -o and -O than URLs"),
    ];
    for (_, line) in surplus.iter().filter(|(is_surplus, _)| *is_surplus && !args.silent) {
        // Without a stderr nobody reads warnings.
        let _ = writeln!(io::stderr().lock(), "connie: {line}: the last ones are not used");
    }
}

/// Fetches one of the URLs, and prints what `--report json` wants to know of it.
fn fetch(
    args: &Get,
    wanted: &Wanted,
    query: Option<&str>,
    data: &Rc<Body>,
    session: &mut Session<'_>,
    dump: &mut Option<Output>,
) -> (Fetched, Result<(), Error>) {
    let clock = OsClock::start();
    session.begin();
    let mut fetched = Fetched::default();
    let result = transfer(args, wanted, query, data, dump).and_then(|mut transfer| {
        let result = transfer.run(session);
        fetched = std::mem::take(&mut transfer.fetched);
        result
    });
    // What went wrong with the fetch says more than a file that could not be written.
    let result = result.and_then(|()| session.take_written());
    if args.race.report.is_some() {
        let elapsed = clock.now().as_micros();
        let printed = print(format_args!("{}\n", json(&wanted.url, &fetched, session, &result, elapsed)));
        return (fetched, result.and(printed));
    }
    (fetched, result)
}

/// The transfer that the options ask for.
fn transfer<'a>(
    args: &'a Get,
    wanted: &Wanted,
    query: Option<&str>,
    data: &Rc<Body>,
    dump: &'a mut Option<Output>,
) -> Result<Transfer<'a>, Error> {
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
    if let Some(query) = query {
        url.push_query(query)?;
    }
    let body = match &wanted.upload {
        None => Rc::clone(data),
        Some(path) => {
            let name = path.file_name().and_then(|name| name.to_str()).filter(|name| *name != "-");
            if let Some(name) = name.filter(|_| url.file_name().is_none()) {
                url.push_segment(name);
            }
            Rc::new(Body::upload(path)?)
        }
    };
    Ok(Transfer::new(args, url, body, Output::new(target, args.create_dirs), dump.as_mut()))
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
