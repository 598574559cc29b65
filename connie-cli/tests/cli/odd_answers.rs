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
fn a_line_that_is_no_field_does_not_lose_the_page() {
    let head = "HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n";
    get(format!("{head}\r\npage"), &[]).exits(0).prints("page").is_quiet();
    let ran = get(format!("{head}Content-Length : 2\r\n\r\npage"), &[]);
    ran.exits(8).prints("").says("a malformed header line of the answer").says_lines(1);
}

#[test]
fn a_body_that_would_come_out_coded_is_an_error_that_names_the_coding() {
    let chunks = "4\r\npage\r\n0\r\n\r\n";
    for (coding, name) in [("gzip, chunked", "gzip"), ("br", "br"), ("chunked, x-zip", "x-zip")] {
        let ran = get(format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: {coding}\r\n\r\n{chunks}"), &[]);
        ran.exits(61).prints("").says_lines(1);
        ran.says(&format!("a transfer coding other than chunked, and cannot be decoded: {name}"));
    }
}
