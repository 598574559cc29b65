//! What connie makes of raw answers beside what Python's `http.client` makes of them: every difference is
//! listed with the clause of the standard that decides for connie.
//!
//! Each client reads each answer whole, byte by byte and cut in two at every position, and has to say the
//! same each time.
#![cfg(target_os = "linux")]

#[path = "http_differential/answers.rs"]
mod answers;
#[path = "http_differential/clauses.rs"]
mod clauses;
#[path = "../../connie-http/tests/support/mod.rs"]
mod http_support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::Arc;

use answers::{Answer, Field};
use connie_core::RaceStack;
use connie_core::stack::Poller;
use connie_http::{Authority, HttpConnection, HttpError, OpenConnection, Version};
use connie_std::{Options, OsPoller, OsStack, connect_socket};
use connie_tests::limits::Limited;
use connie_tests::skip;
use serde_json::{Value, json};

/// The buffer: Python's client takes lines up to this length.
const ROOM: usize = 65_536;
/// Answers up to this length are cut at every position, longer ones at [`SOME`] of them.
const SHORT: usize = 1000;
const SOME: usize = 16;

/// What came of reading an answer, in the terms of `http.client`. Text is bytes as characters.
#[derive(Clone, Debug, Default, PartialEq)]
struct Outcome {
    head: Option<Head>,
    body: String,
    /// The exception.
    error: Option<String>,
    /// How long an incomplete body was to be, where that is known.
    expected: Option<u64>,
    /// Whether another request can be sent on the connection; `None` after an error.
    kept: Option<bool>,
}

#[derive(Clone, Debug, PartialEq)]
struct Head {
    status: u64,
    reason: String,
    version: u64,
    headers: Vec<(String, String)>,
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// Where to cut an answer in two.
fn cuts(raw: &[u8]) -> impl Iterator<Item = usize> + use<> {
    let length = raw.len();
    let step = if length <= SHORT { 1 } else { length.div_ceil(SOME) };
    (0..length).step_by(step).skip(1)
}

/// The exception of `http.client` that corresponds to `error`; `None` where it has none for this.
fn exception(error: HttpError) -> Option<&'static str> {
    Some(match error {
        HttpError::EmptyReply => "RemoteDisconnected",
        HttpError::NotHttp | HttpError::MalformedStatusLine => "BadStatusLine",
        HttpError::UnsupportedVersion => "UnknownProtocol",
        HttpError::HeadTooLarge { .. } | HttpError::TrailersTooLarge => "LineTooLong",
        // A chunk that is none is an incomplete body to http.client.
        HttpError::IncompleteRead { .. } | HttpError::MalformedChunk => "IncompleteRead",
        _ => return None,
    })
}

mod ours {
    use super::*;
    use http_support::{Clock, Script, connect, cut_at};

    /// Each way of reading, with what came of it.
    pub fn ways(index: usize, answer: &Answer, server: SocketAddr) -> Vec<(String, Outcome)> {
        let length = answer.raw.len();
        let mut ways = vec![
            ("whole".to_owned(), scripted(answer, &[], 4096)),
            ("whole, read byte by byte".to_owned(), scripted(answer, &[], 1)),
        ];
        if length <= SHORT {
            ways.push(("bytes".to_owned(), scripted(answer, &(0..length).collect::<Vec<_>>(), 7)));
        }
        for cut in cuts(&answer.raw) {
            ways.push((format!("cut at {cut}"), scripted(answer, &[cut], 4096)));
        }
        for how in ["whole", "bytes"] {
            let mut outcome = over_loopback(index, how, answer, server);
            // A surplus may come before or after the connection is looked at.
            outcome.kept = ways[0].1.kept;
            ways.push((format!("{how}, over loopback"), outcome));
        }
        ways
    }

    fn scripted(answer: &Answer, cuts: &[usize], piece: usize) -> Outcome {
        let (mut script, mut clock) = (Script::new(cut_at(&answer.raw, cuts)), Clock::default());
        let mut buffer = vec![0; ROOM + "name.test".len()];
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        read(&mut connection, answer.method, "/", piece)
    }

    fn over_loopback(index: usize, how: &str, answer: &Answer, server: SocketAddr) -> Outcome {
        let (socket, ..) = connect_socket([server], &Options::default()).expect("the server listens");
        let host = Authority::http("127.0.0.1", server.port());
        let buffer = vec![0; ROOM + format!("{server}").len()];
        let (stack, poller) = (OsStack::default(), OsPoller::new(None));
        let mut connection =
            HttpConnection::owning(stack, poller, socket, host, buffer).expect("room for the host");
        read(&mut connection, answer.method, &format!("/{index}/{how}"), 4096)
    }

    fn read<S, W, B, O>(
        connection: &mut HttpConnection<S, W, B, O>,
        method: &str,
        target: &str,
        piece: usize,
    ) -> Outcome
    where
        S: RaceStack,
        W: Poller<S>,
        B: AsRef<[u8]> + AsMut<[u8]>,
        O: OpenConnection<S, W>,
    {
        let mut outcome = Outcome::default();
        let mut body = Vec::new();
        let result = exchange(connection, method, target, piece, &mut outcome, &mut body);
        outcome.body = text(&body);
        match result {
            Ok(()) => outcome.kept = Some(connection.request("GET", "/again", &[], b"").is_ok()),
            Err(error) => {
                let name = exception(error).map_or_else(|| format!("{error:?}"), str::to_owned);
                outcome.error = Some(name);
                if let HttpError::IncompleteRead { expected, .. } = error {
                    outcome.expected = expected;
                }
            }
        }
        outcome
    }

    fn exchange<S, W, B, O>(
        connection: &mut HttpConnection<S, W, B, O>,
        method: &str,
        target: &str,
        piece: usize,
        outcome: &mut Outcome,
        body: &mut Vec<u8>,
    ) -> Result<(), HttpError>
    where
        S: RaceStack,
        W: Poller<S>,
        B: AsRef<[u8]> + AsMut<[u8]>,
        O: OpenConnection<S, W>,
    {
        connection.request(method, target, &[], b"")?;
        let mut response = connection.response()?;
        outcome.head = Some(Head {
            status: response.status().into(),
            reason: response.reason().to_owned(),
            version: if response.version() == Version::Http10 { 10 } else { 11 },
            headers: response.headers().map(|field| (field.name.to_owned(), text(field.value))).collect(),
        });
        let mut out = vec![0; piece];
        loop {
            match response.read(&mut out)? {
                0 => return Ok(()),
                count => body.extend_from_slice(&out[..count]),
            }
        }
    }
}

mod theirs {
    use super::*;

    /// The outcomes of all answers, each with the way that led to it. `None` where there is no Python to ask.
    pub fn outcomes(answers: &[Answer], server: SocketAddr) -> Option<Vec<Vec<(String, Outcome)>>> {
        let version =
            Command::new("python3").args(["-c", "import sys; print(*sys.version_info[:2])"]).output();
        if version.map_or(true, |output| output.stdout != b"3 11\n") {
            skip("Python 3.11, whose http.client is compared with", "apt-get install python3 (Debian 12)");
            return None;
        }
        let given: Vec<_> = answers
            .iter()
            .map(|answer| {
                let cuts: Vec<_> = cuts(&answer.raw).collect();
                json!({"method": answer.method, "raw": text(&answer.raw), "cuts": cuts})
            })
            .collect();
        let given = json!({"port": server.port(), "answers": given}).to_string();
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/http_differential/client.py");
        let mut command = Command::new("python3");
        command.arg("-I").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut python = command.spawn().expect("Python starts");
        let end = Limited::new(&python);
        python.stdin.take().expect("a pipe").write_all(given.as_bytes()).expect("Python reads");
        let output = python.wait_with_output().expect("Python ends");
        drop(end);
        assert!(output.status.success(), "{script} failed");
        let said: Vec<Vec<(String, Value)>> = serde_json::from_slice(&output.stdout).expect("JSON");
        let read = |(way, outcome): (String, Value)| (way, outcome_of(&outcome));
        Some(said.into_iter().map(|outcomes| outcomes.into_iter().map(read).collect()).collect())
    }

    fn outcome_of(value: &Value) -> Outcome {
        let string = |value: &Value| value.as_str().map(str::to_owned);
        let pair = |pair: &Value| (string(&pair[0]).expect("a name"), string(&pair[1]).expect("a value"));
        let head = value["head"].as_array().map(|head| Head {
            status: head[0].as_u64().expect("a status"),
            reason: string(&head[1]).expect("a reason"),
            version: head[2].as_u64().expect("a version"),
            headers: head[3].as_array().expect("fields").iter().map(pair).collect(),
        });
        Outcome {
            head,
            body: string(&value["body"]).expect("a body"),
            error: string(&value["error"]),
            expected: value["expected"].as_u64(),
            kept: value["kept"].as_bool(),
        }
    }
}

/// A server that sends answer `i` to whoever asks for `/i/whole`, and byte by byte to whoever asks for
/// `/i/bytes`.
fn serve(answers: &Arc<Vec<Answer>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let answers = Arc::clone(answers);
    // It ends with the process.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            serve_one(stream.expect("a connection"), &answers);
        }
    });
    address
}

fn serve_one(mut stream: TcpStream, answers: &[Answer]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        match stream.read(&mut byte) {
            Ok(1) => request.push(byte[0]),
            _ => return,
        }
    }
    let request = String::from_utf8(request).expect("a request is text");
    let target = request.split(' ').nth(1).expect("a target");
    let (index, how) = target[1..].split_once('/').expect("a number and a way");
    let raw = &answers[index.parse::<usize>().expect("a number")].raw;
    stream.set_nodelay(true).expect("a socket");
    let piece = if how == "bytes" { raw.len().div_ceil(1000).max(1) } else { raw.len().max(1) };
    for piece in raw.chunks(piece) {
        // The client may have had enough.
        if stream.write_all(piece).is_err() {
            return;
        }
    }
    let _ = stream.shutdown(Shutdown::Write);
    let _ = stream.read(&mut [0]);
}

/// What differs between two outcomes, in order.
fn differences(ours: &Outcome, theirs: &Outcome) -> Vec<Field> {
    let mut found = BTreeSet::new();
    let mut compare = |field: Field, same: bool| {
        if !same {
            found.insert(field);
        }
    };
    match (&ours.head, &theirs.head) {
        (None, None) => compare(Field::Error, ours.error == theirs.error),
        (Some(ours_head), Some(theirs_head)) => {
            compare(Field::Status, ours_head.status == theirs_head.status);
            compare(Field::Reason, ours_head.reason == theirs_head.reason);
            compare(Field::Version, ours_head.version == theirs_head.version);
            compare(Field::Headers, ours_head.headers == theirs_head.headers);
            compare(Field::Body, ours.body == theirs.body);
            compare(Field::Error, (&ours.error, ours.expected) == (&theirs.error, theirs.expected));
            // A connection is not used after an error by either.
            compare(Field::Reuse, ours.kept.is_none() || theirs.kept.is_none() || ours.kept == theirs.kept);
        }
        _ => compare(Field::Refusal, false),
    }
    found.into_iter().collect()
}

/// The one outcome of all ways.
fn the_one(name: &str, who: &str, ways: &[(String, Outcome)]) -> Outcome {
    let (first, outcome) = &ways[0];
    for (way, other) in &ways[1..] {
        assert_eq!(other, outcome, "{name}: {who} says one thing if it comes {way}, another if {first}");
    }
    outcome.clone()
}

#[test]
fn each_difference_from_http_client_has_its_clause() {
    let answers = Arc::new(answers::all());
    assert!(answers.len() >= 120, "{} answers", answers.len());
    let server = serve(&answers);
    let Some(theirs) = theirs::outcomes(&answers, server) else { return };
    assert_eq!(theirs.len(), answers.len());
    let mut faults = Vec::new();
    for (index, (answer, theirs)) in answers.iter().zip(&theirs).enumerate() {
        let ours = the_one(answer.name, "connie", &ours::ways(index, answer, server));
        let theirs = the_one(answer.name, "http.client", theirs);
        let found = differences(&ours, &theirs);
        if found != answer.fields {
            faults.push(format!(
                "{}: differs in {found:?}, listed are {:?}\n  connie:      {}\n  http.client: {}",
                answer.name,
                answer.fields,
                short(&ours),
                short(&theirs)
            ));
        }
    }
    assert!(faults.is_empty(), "{} answers are not as listed:\n{}", faults.len(), faults.join("\n"));
}

fn short(outcome: &Outcome) -> String {
    let whole = format!("{outcome:?}");
    match whole.char_indices().nth(400) {
        Some((end, _)) => format!("{}…", &whole[..end]),
        None => whole,
    }
}

#[test]
fn each_answer_has_its_name_and_each_difference_its_reason() {
    let mut names = BTreeMap::new();
    for answer in answers::all() {
        assert_eq!(names.insert(answer.name, ()), None, "{} is there twice", answer.name);
        assert_eq!(answer.fields.is_empty(), answer.clause.is_empty(), "{}", answer.name);
        assert!(answer.clause.is_empty() || answer.clause.contains("RFC "), "{}", answer.name);
    }
}
