//! Answers of odd servers beside curl: framing, codings, heads and statuses that are unusual, and right or
//! forgivable. Where curl takes what may be a forgery, `docs/get.md` says that it is refused here.

use super::Table;
use crate::server::End;

/// What follows `HTTP/1.1 200 OK`, and its line's end.
const PAGES: &[&str] = &[
    "Transfer-Encoding: identity\r\nContent-Length: 4\r\n\r\npage",
    "Transfer-Encoding: identity, chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
    "Transfer-Encoding: foo\r\n\r\npage",
    "Transfer-Encoding: CHUNKED\r\n\r\n4\r\npage\r\n0\r\n\r\n",
    "Transfer-Encoding: \r\nContent-Length: 4\r\n\r\npage",
    "Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n4\r\npage\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n4;a=b\r\npage\r\n0;x\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n4  \r\npage\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\n0000004\r\npage\r\n0000\r\n\r\n",
    "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\npage",
    "Transfer-Encoding: chunked\r\n\r\n-1\r\npage",
    "Transfer-Encoding: chunked\r\nTrailer: T\r\n\r\n4\r\npage\r\n0\r\nT: x\r\n\r\n",
    "Content-Encoding: none\r\nContent-Length: 4\r\n\r\npage",
    "Content-Encoding: identity\r\nContent-Length: 4\r\n\r\npage",
    "Content-Encoding: identity, none\r\nContent-Length: 4\r\n\r\npage",
    "Content-Encoding:\r\nContent-Length: 4\r\n\r\npage",
    "Content-Encoding: foo\r\nContent-Length: 4\r\n\r\npage",
    "Content-Encoding: foo, identity\r\nContent-Length: 4\r\n\r\npage",
    "Content-Length: 4\r\nContent-Length: 4\r\n\r\npage",
    "Content-Length: 4, 4\r\n\r\npage",
    "Content-Length:    4   \r\n\r\npage",
    "Content-Length: 2\r\n\r\npage",
    "foo bar: x\r\nContent-Length: 4\r\n\r\npage",
    ": x\r\nContent-Length: 4\r\n\r\npage",
    "A: b\nContent-Length: 4\r\n\npage",
];

/// Whole answers.
const ANSWERS: &[&str] = &[
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\n\r\n",
    "HTTP/1.1 199 So\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 103 Hints\r\n\r\n",
    "HTTP/1.1 103 Hints\r\nContent-Length: 4\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 204 None\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 205 Reset\r\n\r\n",
    "HTTP/1.1 304 Same\r\nContent-Length: 4\r\n\r\n",
    "HTTP/1.1 301 Moved\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 407 Login\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 416 Range\r\nContent-Length: 4\r\n\r\npage",
    "SSH-2.0-OpenSSH_9.2\r\n\r\n",
    "hello there\n",
    "\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    "HTTP/1.1 426 Upgrade\r\nUpgrade: h2c\r\nContent-Length: 4\r\n\r\npage",
];

pub fn answers(table: &mut Table) {
    let pages = PAGES.iter().map(|page| format!("HTTP/1.1 200 OK\r\n{page}"));
    for answer in pages.chain(ANSWERS.iter().map(|answer| (*answer).to_owned())) {
        for options in [&[][..], &["-i"], &["--compressed", "-i"], &["-f", "-L", "-D", "-"]] {
            table.answer(&format!("{answer:?} with {}", options.join(" ")), &answer, End::Close, options);
        }
    }
    for status in ["abc", "20", "2000"] {
        let answer = format!("HTTP/1.1 {status} OK\r\nContent-Length: 4\r\n\r\npage");
        table.answer(&format!("{answer:?}"), &answer, End::Close, &[]);
    }
}
