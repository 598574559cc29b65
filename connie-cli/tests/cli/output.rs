//! Pipes that close early.

use std::fs::File;
use std::io::Read;
use std::process::{Command, Stdio};

use connie_servers::limits;

use crate::server::{End, Server};
use crate::support::program;

/// Runs the program with a reader that takes `count` octets and goes away. Answers the exit code and stderr.
fn with_a_reader_of(count: usize, command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    stdout.read_exact(&mut vec![0; count]).unwrap();
    drop(stdout);
    let output = limits::finish(child).unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let body = vec![b'x'; 4 << 20];
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);
    let server = Server::answering("127.0.0.4:0", answer, End::Wait);
    let ended = with_a_reader_of(10, program().args(["get", &server.url("/")]));
    assert_eq!(ended, (Some(23), String::new()));
}

#[test]
fn nobody_at_all_need_read() {
    let server = Server::serving("127.0.0.4:0", "page");
    for arguments in [vec!["get"], vec!["get", "-i"], vec!["get", "-v"]] {
        let (code, stderr) = with_a_reader_of(0, program().args(&arguments).arg(server.url("/")));
        assert!(code == Some(23) || code == Some(0), "{arguments:?}: {code:?}");
        assert!(!stderr.contains("panic"), "{stderr}");
    }
    let target = format!("127.0.0.4:{}", server.port());
    for arguments in [vec!["race"], vec!["race", "--json"]] {
        let (code, stderr) = with_a_reader_of(0, program().args(&arguments).arg(&target));
        assert!(code == Some(23) || code == Some(0), "{arguments:?}: {code:?}");
        assert_eq!(stderr, "");
    }
    let (code, _) = with_a_reader_of(0, program().args(["get", "--help"]));
    assert!(code == Some(0) || code == Some(23), "{code:?}");
}

#[test]
fn a_full_disk_behind_stdout_is_told() {
    let server = Server::serving("127.0.0.4:0", "page");
    let (url, target) = (server.url("/"), format!("127.0.0.4:{}", server.port()));
    for arguments in [["get", &url], ["race", &target], ["demo", "--seed=0"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = program().args(arguments).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(23), "{arguments:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr, "connie: could not write to stdout: No space left on device\n", "{arguments:?}");
    }
}

#[test]
fn without_a_stderr_it_still_says_how_it_went() {
    let mut child = program().args(["get", "http://127.0.0.1:1/"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(7));
}
