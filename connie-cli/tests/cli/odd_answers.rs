//! Answers that are not as the standard has them, and what `connie get` makes of each.

use crate::server::{End, Server};
use crate::support::{Ran, connie};

/// What `connie get` makes of this answer.
#[track_caller]
fn get(answer: impl Into<Vec<u8>>, options: &[&str]) -> Ran {
    let server = Server::answering("127.0.0.1:0", answer, End::Wait);
    connie([&["get", "--max-time", "20", server.url("/").as_str()], options].concat())
}

#[test]
fn a_head_may_have_any_number_of_fields() {
    let fields = "X: 1\r\n".repeat(5_000);
    get(format!("HTTP/1.1 200 OK\r\n{fields}Content-Length: 4\r\n\r\npage"), &[])
        .exits(0)
        .prints("page")
        .is_quiet();
}

#[test]
fn a_transfer_coding_is_undone() {
    let chunked = |coding: &str, body: &[u8]| {
        let head =
            format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}, chunked\r\n\r\n{:x}\r\n", body.len());
        [head.as_bytes(), body, b"\r\n0\r\n\r\n"].concat()
    };
    let hello =
        [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
    get(chunked("gzip", &hello), &[]).exits(0).prints("hello").is_quiet();
    let ran = get(chunked("gzip", &hello[..20]), &[]);
    ran.exits(61).says_lines(1).says("incomplete; the fault is on the other side");
}

#[test]
fn a_line_that_is_no_field_does_not_lose_the_page() {
    let head = "HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n";
    get(format!("{head}\r\npage"), &[]).exits(0).prints("page").is_quiet();
    let ran = get(format!("{head}Content-Length : 2\r\n\r\npage"), &[]);
    ran.exits(8).prints("").says("a malformed header line").says_lines(1);
}

#[test]
fn a_transfer_coding_that_is_not_known_is_named() {
    let chunks = "4\r\npage\r\n0\r\n\r\n";
    for (coding, name) in [("gzip, x-zip, chunked", "x-zip"), ("x-zip", "x-zip"), ("chunked, gzip", "gzip")] {
        let ran = get(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{chunks}"), &[]);
        ran.exits(61).prints("").says_lines(1);
        ran.says(&format!("a transfer coding that is not supported: {name}"));
    }
}

#[test]
fn a_switch_to_another_protocol_that_nobody_asked_for_is_an_error() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    let switch = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n";
    let ran = get(format!("{switch}{page}"), &[]);
    ran.exits(8).prints("").says_lines(1);
    ran.says("the server switched protocols (status 101), which the request did not ask for");
    get(format!("HTTP/1.1 102 Wait\r\n\r\nHTTP/1.1 199 Wait\r\n\r\n{page}"), &[]).exits(0).prints("page");
    let endless = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(17);
    get(format!("{endless}{page}"), &[]).exits(8).prints("").says("no final response after 16 of status 1xx");
}

/// RFC 9110 section 15: "a client that receives a response with an invalid status code SHOULD process the
/// response as if it had a 5xx (Server Error) status code".
#[test]
fn a_status_that_is_none_is_a_server_s_error() {
    for status in ["000", "001", "099", "600", "999"] {
        let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\npage");
        get(answer.as_str(), &[]).exits(0).prints("page");
        get(answer.as_str(), &["-f"]).exits(22).prints("").says(&format!("the server answered {status} X"));
        get(answer.as_str(), &["--fail-with-body"]).exits(22).prints("page");
        get(answer.as_str(), &["-s", "-i"])
            .exits(0)
            .prints(&format!("HTTP/1.1 {status} X\r\nContent-Length: 4\r\n\r\npage"));
        let server = Server::answering("127.0.0.1:0", answer, End::Wait);
        connie(["get", "-f", "--retry", "1", "--retry-delay", "0", server.url("/").as_str()]).exits(22);
        assert_eq!(server.requests().len(), 2, "{status} may be another one in a while, as 500");
    }
}
