//! `connie get`: fetches a URL over the winner.

use std::io::{self, Write};

use connie_core::http::{Host, HttpConnection, Response, Version};
use connie_core::{Instant, Waiter};
use connie_std::web::{Scheme, Url};
use connie_std::{OsClock, OsSocket, OsStack, OsWaiter};
use serde_json::Value;

use crate::args::{Get, Limit};
use crate::connect::{Raced, connect};
use crate::error::{Error, code};
use crate::output::{Output, Progress, is_stdout, print};
use crate::request::Request;
use crate::terminal;

/// As much as other desktop clients allow for a head.
const HEAD_ROOM: usize = 64 * 1024;
/// How much of a body is read at a time.
const PIECE: usize = 64 * 1024;

type Answer<'c, 'a> = Response<'c, OsStack, OsWaiter, &'a mut [u8]>;

pub fn run(args: &Get) -> Result<(), Error> {
    if args.race.json && args.output.as_deref().is_none_or(is_stdout) {
        return Err(Error::usage(
            "--json prints on stdout: give the body a file with -o FILE (-o /dev/null to drop it)",
        ));
    }
    let url = Url::parse(&args.url)?;
    if url.scheme == Scheme::Https {
        let line = "https needs TLS, which is not in this build: give an http URL";
        return Err(Error::new(code::UNSUPPORTED_SCHEME, line));
    }
    let request = Request::new(args, &url)?;
    let clock = OsClock::start();
    let (raced, winner) = connect(&url.host, url.port, &args.race, args.max_time);
    let written = raced.write_files(&args.race);
    if args.verbose {
        show_race(&raced);
    }
    let mut fetched = Fetched::default();
    let result = winner.and_then(|socket| fetch(args, &url, &request, socket, &clock, &mut fetched));
    // What went wrong with the fetch says more than a file that could not be written.
    let result = result.and(written);
    if args.race.json {
        let elapsed = clock.now().as_micros();
        let printed = print(format_args!("{}\n", fetched.json(args, &raced, &result, elapsed)));
        return result.and(printed);
    }
    result
}

/// What is known of the answer.
#[derive(Debug, Default)]
struct Fetched {
    status: Option<u16>,
    reason: String,
    body: u64,
}

impl Fetched {
    fn json(&self, args: &Get, raced: &Raced, result: &Result<(), Error>, elapsed: u64) -> String {
        let (code, error) = match result {
            Ok(()) => (0, Value::Null),
            Err(error) => (error.code, Value::from(error.lines.first().map_or("", String::as_str))),
        };
        let (url, reason) = (Value::from(args.url.as_str()), Value::from(self.reason.as_str()));
        let status = Value::from(self.status);
        format!(
            r#"{{"url":{url},"exit_code":{code},"error":{error},"status":{status},"reason":{reason},"body_bytes":{},"elapsed_us":{elapsed},"race":{}}}"#,
            self.body,
            raced.json(),
        )
    }
}

fn fetch(
    args: &Get,
    url: &Url,
    request: &Request,
    socket: OsSocket,
    clock: &OsClock,
    fetched: &mut Fetched,
) -> Result<(), Error> {
    let mut waiter = OsWaiter::new(None);
    let deadline = args.max_time.and_then(Limit::get).map(|all| {
        let now = Waiter::<OsStack>::now(&mut waiter);
        now + all.saturating_sub(clock.now().since(Instant::ZERO))
    });
    let mut buffer = vec![0; HEAD_ROOM + request.size()];
    let host = Host::http(&url.host, url.port);
    let mut connection =
        HttpConnection::owning(OsStack::default(), waiter, socket, host, buffer.as_mut_slice())?;
    connection.set_deadline(deadline);
    if args.verbose {
        show_head('>', &request.head()?);
    }
    let headers: Vec<(&str, &str)> =
        request.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    connection.request(&request.method, &request.target, &headers, &request.body)?;
    let answer = connection.response()?;
    fetched.status = Some(answer.status());
    fetched.reason = answer.reason().to_owned();
    receive(args, answer, fetched)
}

/// Writes the answer to where it is wanted.
fn receive(args: &Get, mut answer: Answer<'_, '_>, fetched: &mut Fetched) -> Result<(), Error> {
    let head = head_of(&answer);
    if args.verbose {
        show_head('<', &head);
    }
    if args.fail && answer.status() >= 400 {
        return Err(Error::status(answer.status(), answer.reason()));
    }
    let mut output = Output::open(args.output.as_deref())?;
    if args.include || args.head {
        output.write(&head)?;
    }
    // With -I and a method of one's own there may be a body, which was not asked for.
    if !args.head {
        let aside = args.output.as_deref().is_some_and(|path| !is_stdout(path));
        let wanted = !args.silent && !args.verbose && (aside || !io::IsTerminal::is_terminal(&io::stdout()));
        let mut progress = Progress::new(wanted, answer.remaining());
        let mut piece = vec![0; PIECE];
        loop {
            let count = answer.read(&mut piece)?;
            if count == 0 {
                break;
            }
            output.write(&piece[..count])?;
            fetched.body += count as u64;
            progress.add(count);
        }
    }
    output.finish()
}

/// The head as it was sent, but for white space around values.
fn head_of(answer: &Answer<'_, '_>) -> Vec<u8> {
    let head = answer.head();
    let version = match head.version() {
        Version::Http10 => "HTTP/1.0",
        Version::Http11 => "HTTP/1.1",
    };
    let mut bytes = format!("{version} {} {}\r\n", head.status(), head.reason()).into_bytes();
    for header in head.headers() {
        bytes.extend_from_slice(header.name.as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(header.value);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes
}

/// Shows the race on stderr, each line after a `*`.
fn show_race(raced: &Raced) {
    let mut stderr = io::stderr().lock();
    let width = terminal::width(&stderr).saturating_sub(2);
    let picture = raced.timeline().waterfall(width, terminal::style(&stderr)).to_string();
    for line in picture.lines() {
        let _ = writeln!(stderr, "* {line}");
    }
}

/// Shows a head on stderr, each line after `mark`. What a terminal would act on is shown as dots.
fn show_head(mark: char, head: &[u8]) {
    let mut stderr = io::stderr().lock();
    for line in head.strip_suffix(b"\n").unwrap_or(head).split(|byte| *byte == b'\n') {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        let shown: String = line.chars().map(|c| if c.is_control() && c != '\t' { '.' } else { c }).collect();
        let _ = writeln!(stderr, "{mark} {shown}");
    }
}
