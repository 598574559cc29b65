//! Standard streams that are closed, full, or open the wrong way.

use std::process::Command;

use crate::server::Server;
use crate::support::{Ran, program, run};

/// Runs the program from a shell that redirects its standard streams so.
#[track_caller]
fn redirected(redirection: &str, arguments: &[&str]) -> Ran {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", &format!("exec \"$@\" {redirection}"), "sh"])
        .arg(program().get_program())
        .args(arguments);
    for name in ["http_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"] {
        shell.env_remove(name);
    }
    run(&mut shell, b"from stdin")
}

#[test]
fn output_that_is_lost_is_an_error() {
    let server = Server::serving("127.0.0.4:0", "page");
    let (url, target) = (server.url("/"), format!("127.0.0.4:{}", server.port()));
    let (url, target) = (url.as_str(), target.as_str());
    let commands: [&[&str]; 15] = [
        &["get", url],
        &["get", url, "-o", "-"],
        &["get", url, "-i"],
        &["get", url, "-I"],
        &["get", url, "-o", "/dev/null", "-D", "-"],
        &["get", url, "-o", "/dev/null", "-w", "%{http_code}"],
        &["get", url, "-o", "/dev/null", "--report", "json"],
        &["get", url, "-o", "/dev/null", "--svg", "-"],
        &["race", target],
        &["race", target, "--json"],
        &["race", target, "--qlog", "-"],
        &["demo"],
        &["bench", "--sim", "--rounds", "1", "-s"],
        &["get", "--help"],
        &["--version"],
    ];
    for command in commands {
        for (redirection, reason) in [
            (">&-", "it is closed"),
            (">/dev/full", "No space left on device"),
            ("1</dev/null", "Bad file descriptor"),
        ] {
            let ran = redirected(redirection, command);
            assert_eq!(ran.code, Some(23), "{command:?} {redirection}: {}", ran.stderr);
            ran.says_lines(1).says(&format!("could not write to stdout: {reason}"));
        }
    }
}

#[test]
fn a_stream_that_nobody_needs_may_be_closed() {
    let server = Server::serving("127.0.0.4:0", "page");
    let url = server.url("/");
    redirected(">&-", &["get", &url, "-o", "/dev/null"]).exits(0).is_quiet();
    redirected(">&-", &["get", &url, "-s", "-D", "/dev/null", "-o", "/dev/null"]).exits(0).is_quiet();
    redirected("<&-", &["get", &url]).exits(0).prints("page").is_quiet();
    for redirection in ["2>&-", "2>/dev/full"] {
        redirected(redirection, &["get", "-v", &url]).exits(0).prints("page");
        redirected(redirection, &["get", "http://127.0.0.1:1/"]).exits(7).prints("");
        redirected(redirection, &["get", "--no-such"]).exits(2).prints("");
        redirected(redirection, &["demo"]).exits(0);
        redirected(redirection, &["bench", "--sim", "--rounds", "1"]).exits(0);
    }
    // /dev/null is where output may well go, whoever opened it and how.
    for null in [">/dev/null", "1<>/dev/null"] {
        redirected(null, &["get", &url]).exits(0).is_quiet();
    }
}

#[test]
fn stdin_that_is_closed_is_not_an_empty_body() {
    let server = Server::serving("127.0.0.4:0", "page");
    for options in [["-T", "-"], ["-d", "@-"], ["--data-urlencode", "@-"], ["-w", "@-"]] {
        let ran = redirected("<&-", &["get", &server.url("/"), options[0], options[1]]);
        ran.exits(26).says_lines(1).says("could not read stdin: it is closed");
    }
    assert!(server.requests().iter().all(|request| !request.contains("chunked")));
    redirected("</dev/null", &["get", &server.url("/"), "-d", "@-"]).exits(0).prints("page");
}
