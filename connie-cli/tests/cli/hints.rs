//! What a line advises is about what was seen.

use std::io::Write;

use connie_servers::TlsServer;

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path};

#[track_caller]
fn answered(answer: &str, end: End, options: &[&str]) -> Ran {
    let server = Server::answering("127.0.0.4:0", answer, end);
    connie(["get", &server.url("/")].iter().chain(options))
}

/// One line, which advises `part` and does not doubt the port.
#[track_caller]
fn advises(ran: &Ran, code: i32, part: &str) {
    ran.exits(code).says_lines(1).says(part);
    assert!(!ran.stderr.contains("check that the port") && !ran.stderr.contains("date"), "{}", ran.stderr);
}

#[test]
fn a_connection_that_was_kept_has_the_right_port() {
    let site = Site::start(|asked| match asked.number {
        0 => Reply::ok("first\n"),
        _ => Reply::Close(Vec::new()),
    });
    let ran = connie(["get", "-d", "x", &site.url("/1"), &site.url("/2")]);
    ran.prints("first\n");
    advises(
        &ran,
        52,
        "the connection was reused, and the server may have acted on the request: send it again if",
    );
    assert_eq!(site.asked().len(), 2, "a POST is not repeated");
}

#[test]
fn a_server_that_breaks_the_rules_is_a_server_all_the_same() {
    for answer in [
        "HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        advises(&answered(answer, End::Wait, &[]), 8, "the fault is on the other side");
    }
    advises(&answered("HTTP/1.1 abc\r\n\r\n", End::Wait, &[]), 1, "the fault is on the other side");
    let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
    advises(&answered(chunk, End::Wait, &[]), 56, "the fault is on the other side");
    advises(&answered("HTTP/1.1 200 OK\r\nX: ", End::Close, &[]), 56, "; try again");
    // What is no HTTP at all may well be another port.
    answered("SSH-2.0-OpenSSH\r\n", End::Wait, &[])
        .exits(1)
        .says("check that the port belongs to a web server");
    answered("", End::Close, &[]).exits(52).says("; try again; if that does not help, check that the port");
}

/// Which leads nowhere but here.
#[test]
fn an_interface_is_doubted_where_nobody_answers_by_it() {
    let by = ["--interface", "lo", "--connect-timeout", "0.3"];
    for command in [["get", "http://192.0.2.1/"], ["race", "192.0.2.1:80"]] {
        let ran = connie(command.into_iter().chain(by));
        ran.exits(28).says(", and check that --interface lo leads there");
    }
}

#[test]
fn a_proxy_is_named_where_it_is_what_failed() {
    let asked = |answer: &str, end: End| {
        let proxy = Server::answering("127.0.0.4:0", answer, end);
        let url = proxy.url("");
        let ran = connie(["get", "http://name.test/", "-x", &url, "-m", "1"]);
        ran.says_lines(1).says(&format!("through the proxy {url}: "));
        ran
    };
    advises(&asked("", End::Wait), 28, "timed out; allow it more time with --max-time");
    advises(&asked("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", End::Wait), 8, "on the other side");
    asked("", End::Close).exits(52).says("check that the port belongs to an http proxy");
    asked("SSH-2.0-OpenSSH\r\n", End::Close).exits(1).says("check that the port belongs to an http proxy");
}

#[test]
fn a_server_that_sends_an_alert_speaks_tls() {
    for (alert, part) in [
        (40, "handshake_failure; it may need an older TLS, or other ciphers"),
        (70, "protocol_version; it may need an older TLS"),
        (112, "unrecognized_name; check the host's name"),
        (116, "certificate_required; it may require a client certificate"),
        (80, "internal_error; try again; if that does not help, ask those who run the server"),
    ] {
        let server = TlsServer::raw(move |mut stream| {
            let mut hello = [0; 512];
            let _ = std::io::Read::read(&mut stream, &mut hello)?;
            stream.write_all(&[21, 3, 3, 0, 2, 2, alert])?;
            std::io::copy(&mut stream, &mut std::io::sink()).map(drop)
        });
        let ran = connie(["get", &format!("https://{}/", server.address())]);
        ran.exits(35).says(part);
        assert!(!ran.stderr.contains("check that the port"), "{}", ran.stderr);
    }
}

#[test]
fn going_on_is_advised_where_that_can_be() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let path = fresh_path("half");
    let path = path.to_str().unwrap();
    answered(half, End::Close, &["-o", path]).exits(18).says("; try again, with -C - to resume");
    for options in [&[][..], &["-d", "x", "-o", path], &["--compressed", "-o", path]] {
        let ran = answered(half, End::Close, options);
        ran.exits(18).says("; try again");
        assert!(!ran.stderr.contains("-C -"), "{options:?}: {}", ran.stderr);
    }
}

#[test]
fn a_name_server_that_does_not_answer_says_nothing_about_the_name() {
    let dead = ["--dns-server", "127.0.0.1:1"];
    let ran = connie(["get", "http://name.test/"].iter().chain(&dead));
    ran.exits(6).says("check the network and its name servers, or give the name's addresses with --resolve");
    connie(["get", "http://no-such-host.invalid/"]).exits(6).says("; check the name, or give its addresses");
}
