//! Raw answers: as servers give them, odd ones, and hostile ones. Each with what Python's `http.client` makes
//! different of it and why connie does not.

use super::clauses::*;
use Field::{Body, Error, Headers, Reason, Refusal, Reuse, Status};

/// What two clients can differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// One reads the head and the other refuses it.
    Refusal,
    Status,
    Reason,
    Version,
    Headers,
    Body,
    /// How it ended: the class of the error, with the length expected, or well.
    Error,
    /// Whether the connection is used for another request.
    Reuse,
}

/// A raw answer to a request with this method.
pub struct Answer {
    pub name: &'static str,
    pub method: &'static str,
    pub raw: Vec<u8>,
    /// What differs, in order; empty where nothing does.
    pub fields: &'static [Field],
    /// What justifies it: one of [`clauses`](super::clauses).
    pub clause: &'static str,
}

impl Answer {
    fn to(self, method: &'static str) -> Self {
        Answer { method, ..self }
    }

    /// Python's http.client differs in `fields`; `clause` is why connie is right.
    fn differs(self, fields: &'static [Field], clause: &'static str) -> Self {
        Answer { fields, clause, ..self }
    }
}

fn answer(name: &'static str, raw: impl AsRef<[u8]>) -> Answer {
    Answer { name, method: "GET", raw: raw.as_ref().to_vec(), fields: &[], clause: "" }
}

/// An answer of HTTP/1.1 200 with these header lines, and this after them.
fn ok(name: &'static str, fields: &str, body: impl AsRef<[u8]>) -> Answer {
    answer(name, [format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), body.as_ref()].concat())
}

/// An answer with this chunked body.
fn chunked(name: &'static str, body: impl AsRef<[u8]>) -> Answer {
    ok(name, "Transfer-Encoding: chunked\r\n", body)
}

/// An answer with this first line, whose body is `x`.
fn line(name: &'static str, line: impl AsRef<[u8]>) -> Answer {
    answer(name, [line.as_ref(), b"\r\nContent-Length: 1\r\n\r\nx"].concat())
}

/// An answer whose one field has this value.
fn value(name: &'static str, value: impl AsRef<[u8]>) -> Answer {
    let head = [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA:", value.as_ref(), b"\r\n\r\nx"];
    answer(name, head.concat())
}

pub fn all() -> Vec<Answer> {
    [served(), lengths(), empties(), codings(), chunks(), closings(), lines(), fields(), interims(), limits()]
        .into_iter()
        .flatten()
        .collect()
}

/// As servers in use give them.
fn served() -> Vec<Answer> {
    vec![
        answer(
            "nginx, a file",
            "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\n\
             Content-Type: text/html\r\n\
             Content-Length: 6\r\nLast-Modified: Mon, 23 Nov 2026 10:00:00 GMT\r\nConnection: keep-alive\r\n\
             ETag: \"692418a0-6\"\r\nAccept-Ranges: bytes\r\n\r\nhello\n",
        ),
        answer(
            "nginx, not found and chunked",
            "HTTP/1.1 404 Not Found\r\nServer: nginx\r\nTransfer-Encoding: chunked\r\n\
             Connection: keep-alive\r\n\r\n\
             10\r\n<html>404</html>\r\n0\r\n\r\n",
        ),
        answer(
            "Apache, a part",
            "HTTP/1.1 206 Partial Content\r\nServer: Apache/2.4.57 (Debian)\r\nContent-Range: bytes 1-3/6\r\n\
             Content-Length: 3\r\nKeep-Alive: timeout=5, max=100\r\nConnection: Keep-Alive\r\n\r\nell",
        ),
        answer(
            "Python, HTTP/1.0",
            "HTTP/1.0 200 OK\r\nServer: SimpleHTTP/0.6 Python/3.11.2\r\nContent-type: text/plain\r\n\
             Content-Length: 6\r\n\r\nhello\n",
        ),
        answer(
            "a redirect with cookies",
            "HTTP/1.1 302 Found\r\nLocation: https://name.test/login?a=b&c=d#e\r\n\
             Set-Cookie: a=b; Path=/; HttpOnly\r\n\
             Set-Cookie: c=d; Secure\r\nContent-Length: 0\r\n\r\n",
        ),
        answer(
            "IIS, until the close",
            "HTTP/1.1 500 Internal Server Error\r\nServer: Microsoft-IIS/10.0\r\nConnection: close\r\n\
             \r\noh no",
        ),
        answer(
            "a head alone",
            "HTTP/1.1 200 OK\r\nContent-Length: 123456\r\nContent-Type: text/html; charset=UTF-8\r\n\r\n",
        )
        .to("HEAD"),
        answer("a deletion", "HTTP/1.1 204 No Content\r\nDate: Tue, 24 Nov 2026 10:00:00 GMT\r\n\r\n")
            .to("DELETE"),
        answer("a cache's yes", "HTTP/1.1 304 Not Modified\r\nETag: \"abc\"\r\n\r\n"),
        ok("gzip, not decoded", "Content-Encoding: gzip\r\nContent-Length: 4\r\n", b"\x1f\x8b\x08\0"),
        answer("a microcontroller", "HTTP/1.0 200 OK\n\n{\"t\":21}"),
    ]
}

/// RFC 9112 section 6.3, rules 5 and 6: Content-Length.
fn lengths() -> Vec<Answer> {
    vec![
        ok("a length", "Content-Length: 5\r\n", "hello"),
        ok("a length of nothing", "Content-Length: 0\r\n", ""),
        ok("a length in odd case", "cOnTeNt-LeNgTh:5\r\n", "hello"),
        ok("a length with zeros before", "Content-Length: 0000000000000000005\r\n", "hello"),
        ok("a body of all bytes", "Content-Length: 256\r\n", (0..=255).collect::<Vec<u8>>()),
        ok("a body that looks like a head", "Content-Length: 19\r\n", "HTTP/1.1 200 OK\r\n\r\n"),
        ok("a body cut short", "Content-Length: 5\r\n", "hel"),
        ok("a body not begun", "Content-Length: 5\r\n", ""),
        ok("white space around a length", "Content-Length: \t 5 \t\r\n", "hello").differs(&[Headers], OWS),
        ok("a length twice", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        ok("a list of one length", "Content-Length: 5, 5\r\n", "hello").differs(&[Reuse], LENGTHS),
        ok("lengths that differ", "Content-Length: 5\r\nContent-Length: 3\r\n", "hello")
            .differs(&[Refusal], LENGTHS),
        ok("a list of lengths that differ", "Content-Length: 5, 3\r\n", "hello").differs(&[Refusal], LENGTHS),
        ok("a length and a bad one", "Content-Length: 5\r\nContent-Length: x\r\n", "hello")
            .differs(&[Refusal], LENGTH),
        ok("a negative length", "Content-Length: -5\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length with a plus", "Content-Length: +5\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length with an underscore", "Content-Length: 0_5\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a hexadecimal length", "Content-Length: 0x5\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length with a fraction", "Content-Length: 5.0\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length of two words", "Content-Length: 5 5\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("an empty length", "Content-Length:\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length of other digits", "Content-Length: \u{665}\r\n", "hello").differs(&[Refusal], LENGTH),
        ok("a length of 2^64", "Content-Length: 18446744073709551616\r\n", "hello")
            .differs(&[Refusal], INTEGER),
        ok("a length of 2^64 - 1", "Content-Length: 18446744073709551615\r\n", "hello")
            .differs(&[Body, Error], INTEGER),
        ok("a surplus after the body", "Content-Length: 5\r\n", "helloHTTP/1.1 200 OK\r\n\r\n")
            .differs(&[Reuse], SURPLUS),
        ok("a surplus of a line end", "Content-Length: 5\r\n", "hello\r\n").differs(&[Reuse], SURPLUS),
    ]
}

/// Rules 1 and 2: answers that have no body, whatever they say.
fn empties() -> Vec<Answer> {
    vec![
        ok("no body to HEAD, chunked", "Transfer-Encoding: chunked\r\n", "").to("HEAD"),
        ok("no body to HEAD, without framing", "", "").to("HEAD"),
        ok("no body to HEAD, a bad length", "Content-Length: x\r\n", "").to("HEAD"),
        ok("a body to HEAD", "Content-Length: 5\r\n", "hello").to("HEAD").differs(&[Reuse], SURPLUS),
        ok("a body to head", "Content-Length: 5\r\n", "hello").to("head"),
        answer("204 with a length", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n"),
        answer("204 with chunks", "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n")
            .differs(&[Error], EMPTY),
        answer("204 with a body", "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello")
            .differs(&[Reuse], SURPLUS),
        answer("304 with a length", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n"),
        answer("304 with chunks", "HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n")
            .differs(&[Error], EMPTY),
        answer("205 without a length", "HTTP/1.1 205 Reset Content\r\n\r\n"),
        ok("a tunnel", "", "early").to("CONNECT").differs(&[Body], TUNNEL),
        ok("a tunnel with a length", "Content-Length: 5\r\n", "hello")
            .to("CONNECT")
            .differs(&[Body, Reuse], TUNNEL),
        answer("no tunnel", "HTTP/1.1 407 Who Are You\r\nContent-Length: 2\r\n\r\nno").to("CONNECT"),
        answer(
            "another protocol",
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nxyz",
        )
        .differs(&[Refusal], SWITCH),
    ]
}

/// Rules 3, 4 and 8: Transfer-Encoding, and neither.
fn codings() -> Vec<Answer> {
    const ENDED: &str = "5\r\nhello\r\n0\r\n\r\n";
    vec![
        ok("chunked in capitals", "Transfer-Encoding: CHUNKED\r\n", ENDED),
        ok("chunked and a length", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", ENDED)
            .differs(&[Reuse], BOTH),
        ok(
            "chunked and lengths that differ",
            "Content-Length: 3\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n",
            ENDED,
        )
        .differs(&[Reuse], BOTH),
        ok("chunked after gzip", "Transfer-Encoding: gzip, chunked\r\n", ENDED).differs(&[Refusal], UNDONE),
        ok("chunked in a second field", "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", ENDED)
            .differs(&[Refusal], UNDONE),
        ok("chunked after identity", "Transfer-Encoding: identity, chunked\r\n", ENDED)
            .differs(&[Body, Reuse], FINAL),
        ok("gzip alone", "Transfer-Encoding: gzip\r\n", "hello").differs(&[Refusal], UNDONE),
        ok("chunked with empty elements", "Transfer-Encoding: ,chunked ,\r\n", ENDED)
            .differs(&[Body, Reuse], FINAL),
        ok("white space after chunked", "Transfer-Encoding: chunked \t\r\n", ENDED)
            .differs(&[Headers, Body, Reuse], OWS),
        ok("chunked before gzip", "Transfer-Encoding: chunked, gzip\r\n", "hello")
            .differs(&[Refusal], UNDONE),
        ok("chunked before identity", "Transfer-Encoding: chunked, identity\r\n", ENDED)
            .differs(&[Refusal], NOT_LAST),
        ok("chunked twice", "Transfer-Encoding: chunked, chunked\r\n", ENDED).differs(&[Refusal], TWICE),
        ok(
            "chunked twice, in two fields",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            ENDED,
        )
        .differs(&[Refusal], TWICE),
        ok("chunked with a parameter", "Transfer-Encoding: chunked;a=b\r\n", ENDED)
            .differs(&[Refusal], PARAMETERS),
        ok("chunked within quotes", "Transfer-Encoding: x;a=\", chunked\"\r\n", ENDED)
            .differs(&[Refusal], QUOTED),
        ok("a coding that is none", "Transfer-Encoding: identity\r\nContent-Length: 5\r\n", "hello world")
            .differs(&[Body, Reuse], NOT_FINAL),
        ok(
            "a coding that nobody knows",
            "Transfer-Encoding: xchunked\r\nContent-Length: 5\r\n",
            "hello world",
        )
        .differs(&[Refusal], UNDONE),
        ok("no coding in the field", "Transfer-Encoding:\r\nContent-Length: 5\r\n", "hello world")
            .differs(&[Body, Reuse], NOT_FINAL),
        ok("a control in the coding", "Transfer-Encoding: \x0bchunked\r\n", ENDED)
            .differs(&[Refusal], CONTROL),
        answer(
            "chunked in HTTP/1.0",
            "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n5\r\n\
             hello\r\n0\r\n\r\n",
        )
        .differs(&[Reuse], OLD_CODING),
        ok("neither", "", "hello"),
        ok("neither, and nothing", "", ""),
        answer("a head and the end", "HTTP/1.1 200 OK\r\n\r\n"),
    ]
}

/// RFC 9112 section 7.1: chunks.
fn chunks() -> Vec<Answer> {
    vec![
        chunked("one chunk", "5\r\nhello\r\n0\r\n\r\n"),
        chunked("three chunks", "1\r\nh\r\n00003\r\nell\r\n1\r\no\r\n0\r\n\r\n"),
        chunked("no chunk", "0\r\n\r\n"),
        chunked("capitals in a size", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
        chunked("an extension", "5;a=b\r\nhello\r\n0;c\r\n\r\n"),
        chunked("a quoted extension", "5;a=\"b;\\\"c\"\r\nhello\r\n0\r\n\r\n"),
        chunked("an extension with a space before", "5 ;a=b\r\nhello\r\n0\r\n\r\n"),
        chunked("an extension of odd bytes", b"5;\xff\0\r\nhello\r\n0\r\n\r\n"),
        chunked("a size with spaces after", "5  \r\nhello\r\n0\r\n\r\n"),
        chunked("bare LF in chunks", "5\nhello\r\n0\n\n").differs(&[Body, Error], CHUNK_LINE),
        chunked("bare LF after a chunk", "5\r\nhello\n0\r\n\r\n"),
        chunked("trailers", "5\r\nhello\r\n0\r\nA: b\r\nC: d\r\n\r\n"),
        chunked("a trailer that is no field", "5\r\nhello\r\n0\r\nno colon\r\n\r\n")
            .differs(&[Reuse], TRAILER),
        chunked("a trailer with a NUL", "5\r\nhello\r\n0\r\nA: b\0c\r\n\r\n").differs(&[Error], CONTROL),
        chunked("a trailer with a length", "5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n"),
        chunked("trailers cut short", "5\r\nhello\r\n0\r\nA: b").differs(&[Reuse], ENDED),
        chunked("no line after the last chunk", "5\r\nhello\r\n0\r\n").differs(&[Reuse], ENDED),
        chunked("a surplus after the last chunk", "5\r\nhello\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")
            .differs(&[Reuse], SURPLUS),
        chunked("nothing of the chunks", ""),
        chunked("a size cut short", "5"),
        chunked("a chunk cut short", "5\r\nhel").differs(&[Body], PARTIAL),
        chunked("a second chunk cut short", "5\r\nhello\r\n5\r\nwor").differs(&[Body], PARTIAL),
        chunked("a chunk's line end cut short", "5\r\nhello\r"),
        chunked("no last chunk", "5\r\nhello\r\n"),
        chunked("a size that is none", "5\r\nhello\r\nxyz\r\n"),
        chunked("no size", "\r\nhello\r\n0\r\n\r\n"),
        chunked("a head where a size has to be", "HTTP/1.1 200 OK\r\n\r\n"),
        chunked("a negative size", "-5\r\nhello\r\n0\r\n\r\n").differs(&[Error], CHUNK),
        chunked("a size with a plus", "+5\r\nhello\r\n0\r\n\r\n").differs(&[Body, Error], CHUNK),
        chunked("a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n").differs(&[Body, Error], CHUNK),
        chunked("a size with an underscore", "0_5\r\nhello\r\n0\r\n\r\n").differs(&[Body, Error], CHUNK),
        chunked("a size with a space before", " 5\r\nhello\r\n0\r\n\r\n").differs(&[Body, Error], CHUNK),
        chunked("a size of 2^64 - 1", "ffffffffffffffff\r\nhello").differs(&[Error], CHUNK_INTEGER),
        chunked("a size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n")
            .differs(&[Error], CHUNK_INTEGER),
        chunked("a chunk longer than its size", "5\r\nhelloXY0\r\n\r\n").differs(&[Error], CHUNK),
        chunked("a CR within a size's line", "5\rX\nhello\r\n0\r\n\r\n"),
    ]
}

/// RFC 9112 section 9.3: whether the connection stays.
fn closings() -> Vec<Answer> {
    let old = |fields: &str| format!("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n{fields}\r\nhello");
    vec![
        ok("a close announced", "Connection: close\r\nContent-Length: 5\r\n", "hello"),
        ok("a close in a list", "Connection: x, CLOSE\r\nContent-Length: 5\r\n", "hello"),
        ok(
            "a close in a second field",
            "Connection: x\r\nConnection: close\r\nContent-Length: 5\r\n",
            "hello",
        )
        .differs(&[Reuse], CLOSE),
        ok("a word with close in it", "Connection: closed\r\nContent-Length: 5\r\n", "hello")
            .differs(&[Reuse], CLOSE),
        ok(
            "a close announced with chunks",
            "Connection: close\r\nTransfer-Encoding: chunked\r\n",
            "0\r\n\r\n",
        ),
        ok("an unknown word", "Connection: keep\r\nContent-Length: 5\r\n", "hello"),
        ok("a proxy's close", "Proxy-Connection: close\r\nContent-Length: 5\r\n", "hello"),
        answer("HTTP/1.0", old("")),
        answer("HTTP/1.0, kept", old("Connection: Keep-Alive\r\n")),
        answer("HTTP/1.0, kept in a list", old("Connection: x, keep-alive\r\n")),
        answer("HTTP/1.0, kept and closed", old("Connection: keep-alive, close\r\n"))
            .differs(&[Reuse], CLOSE),
        answer("HTTP/1.0, with Keep-Alive alone", old("Keep-Alive: timeout=5\r\n"))
            .differs(&[Reuse], KEEP_ALIVE),
        answer("HTTP/1.0, with a word like keep-alive", old("Connection: not-keep-alive\r\n"))
            .differs(&[Reuse], KEEP_ALIVE),
        answer("HTTP/1.0, with Proxy-Connection", old("Proxy-Connection: keep-alive\r\n"))
            .differs(&[Reuse], KEEP_ALIVE),
    ]
}

/// RFC 9112 section 4: the status line, and what is none.
fn lines() -> Vec<Answer> {
    vec![
        answer("nothing", ""),
        answer("a byte", "H").differs(&[Error], CUT_HEAD),
        answer("half a status line", "HTTP/1.1 20").differs(&[Error], CUT_HEAD),
        answer("a status line alone", "HTTP/1.1 200 OK\r\n").differs(&[Refusal], CUT_HEAD),
        answer("SSH", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
        answer("SMTP", "220 mail.name.test ESMTP\r\n"),
        answer("TLS", b"\x15\x03\x01\x00\x02\x02\x0a"),
        answer("HTTP/0.9", "<html>hello</html>\n"),
        answer("HTTP/0.9 without an end", "hello"),
        answer("zeros", [0; 64]),
        answer("an empty line first", "\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"),
        answer(
            "HTTP/2's preface",
            b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff",
        ),
        line("a space first", " HTTP/1.1 200 OK").differs(&[Refusal], LINE),
        line("shoutcast", "ICY 200 OK"),
        line("small letters", "http/1.1 200 OK"),
        line("another protocol's name", "HTTPS/1.1 200 OK"),
        line("no version", "HTTP 200 OK"),
        line("HTTP/2.0", "HTTP/2.0 200 OK"),
        line("HTTP/2", "HTTP/2 200"),
        line("HTTP/3.0", "HTTP/3.0 200 OK"),
        line("HTTP/0.9 in so many words", "HTTP/0.9 200 OK").differs(&[Refusal], VERSION),
        line("HTTP/1.2", "HTTP/1.2 200 OK"),
        line("HTTP/1.9", "HTTP/1.9 200 OK"),
        line("HTTP/1.10", "HTTP/1.10 200 OK").differs(&[Refusal], VERSION),
        line("HTTP/01.1", "HTTP/01.1 200 OK"),
        line("HTTP/1.", "HTTP/1. 200 OK").differs(&[Refusal], VERSION),
        line("HTTP/1.x", "HTTP/1.x 200 OK").differs(&[Refusal], VERSION),
        line("no reason and no space", "HTTP/1.1 200"),
        line("no reason", "HTTP/1.1 200 "),
        line("a long reason", "HTTP/1.1 200 All is as it should be, and more"),
        line("a reason of obs-text", b"HTTP/1.1 200 Tr\xe8s bien").differs(&[Reason], OBS_REASON),
        line("a reason with a tab", "HTTP/1.1 200 All\tis well"),
        line("white space around the reason", "HTTP/1.1 200   OK  ").differs(&[Reason], REASON),
        line("a reason with a control", "HTTP/1.1 200 O\x07K").differs(&[Reason], OBS_REASON),
        line("a reason with NUL", "HTTP/1.1 200 O\0K").differs(&[Refusal], REASON),
        line("a reason with a bare CR", "HTTP/1.1 200 OK\rX").differs(&[Refusal], BARE_CR),
        line("no status", "HTTP/1.1 "),
        line("no status and no space", "HTTP/1.1"),
        line("a status of two digits", "HTTP/1.1 20 OK"),
        line("a status of four digits", "HTTP/1.1 2000 OK"),
        line("a status below 100", "HTTP/1.1 099 OK").differs(&[Refusal], INVALID_STATUS),
        line("a status of letters", "HTTP/1.1 OK 200"),
        line("a status with a sign", "HTTP/1.1 +200 OK").differs(&[Refusal], LINE),
        line("a status with an underscore", "HTTP/1.1 2_00 OK").differs(&[Refusal], LINE),
        line("a status nobody knows", "HTTP/1.1 299 Fine"),
        line("status 999", "HTTP/1.1 999 Request Denied"),
        line("status 600", "HTTP/1.1 600 Beyond"),
        line("two spaces before the status", "HTTP/1.1  200 OK").differs(&[Refusal], LINE),
        line("a tab before the status", "HTTP/1.1\t200 OK").differs(&[Refusal], LINE),
    ]
}

/// RFC 9112 section 5: header fields.
fn fields() -> Vec<Answer> {
    let raw = |line: &str| format!("HTTP/1.1 200 OK\r\n{line}\r\nContent-Length: 1\r\n\r\nx");
    vec![
        answer("bare LF", "HTTP/1.1 200 OK\nContent-Length: 1\nA: b\n\nx"),
        answer("bare LF and CRLF", "HTTP/1.1 200 OK\r\nContent-Length: 1\nA: b\r\n\nx"),
        answer("CR CR LF", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\r\n\r\nx").differs(&[Refusal], BARE_CR),
        answer("an end within a field", "HTTP/1.1 200 OK\r\nContent-Len").differs(&[Refusal], CUT_HEAD),
        answer("an end after a field", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n")
            .differs(&[Refusal], CUT_HEAD),
        value("no value", ""),
        value("no space before a value", "b"),
        value("spaces before a value", " \t  b"),
        value("spaces after a value", " b \t ").differs(&[Headers], OWS),
        value("spaces within a value", " b  c\td"),
        value("colons in a value", " b: c:d"),
        value("obs-text in a value", b" \xe9\xff\x80"),
        value("UTF-8 in a value", " \u{20ac}"),
        value("a folded value", " b\r\n c").differs(&[Headers], FOLD),
        value("a value folded by tabs", " b\r\n\t\tc\r\n\td").differs(&[Headers], FOLD),
        value("a value that begins on the next line", "\r\n b").differs(&[Headers], FOLD),
        value("a fold of nothing", " b\r\n \r\n\t").differs(&[Headers], FOLD),
        value("a fold that looks like a field", " b\r\n Content-Length: 7").differs(&[Headers], FOLD),
        value("a NUL in a value", " b\0c").differs(&[Refusal], CONTROL),
        value("a control in a value", " b\x07c").differs(&[Headers, Reuse], CONTROL),
        value("DEL in a value", " b\x7fc").differs(&[Headers, Reuse], CONTROL),
        value("a bare CR in a value", " b\rC: d").differs(&[Refusal], BARE_CR),
        answer("a folded length", "HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n\r\nx")
            .differs(&[Headers], FOLD),
        answer("a length folded in two", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 1\r\n\r\nx")
            .differs(&[Refusal], LENGTH),
        answer("the same name thrice", raw("B: 1\r\nb: 2\r\nA: 3\r\nB: 4")),
        answer("a name of odd characters", raw("!#$%&'*+-.^_`|~09aZ: b")),
        answer("a script's warning", raw("PHP Warning: no such file")).differs(&[Headers], NAME),
        answer("a space before the colon", raw("A : b")).differs(&[Headers], NAME),
        answer("a space in a name", raw("A B: c")).differs(&[Headers], NAME),
        answer("no name", raw(": b")).differs(&[Reuse], NAME),
        answer("no colon", raw("nonsense")).differs(&[Headers], NAME),
        answer("a name with a bracket", raw("A[1]: b")).differs(&[Headers, Reuse], NAME),
        answer(
            "a name of obs-text",
            [&b"HTTP/1.1 200 OK\r\nA\xe9: b\r\nContent-Length: 1\r\n\r\nx"[..]].concat(),
        )
        .differs(&[Headers], NAME),
        answer("a fold before the first field", raw(" A: b")).differs(&[Reuse], FIRST),
        answer("a mail's first line", raw("From me Tue Nov 24")).differs(&[Reuse], NAME),
        ok("a space before the colon of a length", "Content-Length : 3\r\n", "hello")
            .differs(&[Refusal], HIDDEN),
        ok("a control in the name of a length", "Content-Length\x0b: 3\r\n", "hello")
            .differs(&[Refusal], HIDDEN),
        ok("a length before the first field", " Content-Length: 3\r\nA: b\r\n", "hello")
            .differs(&[Refusal], HIDDEN),
        ok("a length folded to nonsense", "nonsense\r\n Content-Length: 3\r\n", "hello")
            .differs(&[Refusal], HIDDEN),
        ok("a length without a colon", "Content-Length 3\r\n", "hello").differs(&[Refusal], HIDDEN),
        ok(
            "a space before the colon of a coding",
            "Transfer-Encoding : chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        )
        .differs(&[Refusal], HIDDEN),
        ok("a NUL in nonsense", "non\0sense\r\n", "hello").differs(&[Refusal], CONTROL),
        ok("a bare CR in nonsense", "non\rContent-Length: 3\r\n", "hello").differs(&[Refusal], BARE_CR),
    ]
}

/// RFC 9110 section 15.2: answers before the answer.
fn interims() -> Vec<Answer> {
    const LAST: &str = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx";
    vec![
        answer("100 before", format!("HTTP/1.1 100 Continue\r\n\r\n{LAST}")),
        answer(
            "100 with fields before",
            format!("HTTP/1.1 100 Continue\r\nA: b\r\nContent-Length: 9\r\n\r\n{LAST}"),
        ),
        answer("100 thrice before", format!("{}{LAST}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(3))),
        answer("102 before", format!("HTTP/1.1 102 Processing\r\n\r\n{LAST}"))
            .differs(&[Status, Reason, Headers, Body], INTERIM),
        answer("103 before", format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{LAST}"))
            .differs(&[Status, Reason, Headers, Body], INTERIM),
        answer("199 before", format!("HTTP/1.1 199 Odd\r\n\r\n{LAST}"))
            .differs(&[Status, Reason, Headers, Body], INTERIM),
        answer("100 and nonsense", "HTTP/1.1 100 Continue\r\n\r\nhello"),
        answer("100 and nothing", "HTTP/1.1 100 Continue\r\n\r\n"),
        answer("100 and half a head", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 O")
            .differs(&[Refusal], CUT_HEAD),
        answer("100 without end", "HTTP/1.1 100 Continue\r\n\r\n".repeat(50))
            .differs(&[Error], INTERIM_LIMIT),
        answer("17 answers of 100 before", format!("{}{LAST}", "HTTP/1.1 100 Continue\r\n\r\n".repeat(17)))
            .differs(&[Refusal], INTERIM_LIMIT),
    ]
}

/// What is too much. The buffer here is as long as the longest line that Python's client takes: 64 KiB.
fn limits() -> Vec<Answer> {
    let fields = |count| format!("HTTP/1.1 204 No Content\r\n{}\r\n", "A: b\r\n".repeat(count));
    let long = |count| format!("HTTP/1.1 204 No Content\r\nA: {}\r\n\r\n", "x".repeat(count));
    vec![
        answer("as many fields as Python takes", fields(99)),
        answer("100 fields", fields(100)).differs(&[Refusal], LIMIT),
        answer("101 fields", fields(101)).differs(&[Refusal], LIMIT),
        answer("1000 fields", fields(1000)).differs(&[Refusal], LIMIT),
        answer("12,000 fields", fields(12_000)).differs(&[Error], LIMIT),
        answer("a field of 60,000 bytes", long(60_000)),
        answer("a field of 70,000 bytes", long(70_000)),
        answer(
            "two fields of 40,000 bytes",
            format!("HTTP/1.1 204 No Content\r\nA: {0}\r\nA: {0}\r\n\r\n", "x".repeat(40_000)),
        )
        .differs(&[Refusal], LIMIT),
        answer("a reason of 70,000 bytes", format!("HTTP/1.1 204 {}\r\n\r\n", "x".repeat(70_000))),
        chunked("an extension of 5,000 bytes", format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(5_000)))
            .differs(&[Body, Error], CHUNK_LIMIT),
        chunked("an extension of 70,000 bytes", format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(70_000)))
            .differs(&[Error], CHUNK_LIMIT),
        chunked("a size of 5,000 zeros", format!("{}5\r\nhello\r\n0\r\n\r\n", "0".repeat(5_000)))
            .differs(&[Body, Error], CHUNK_LIMIT),
        chunked(
            "trailers of 20,000 bytes",
            format!("0\r\n{}\r\n", format!("A: {}\r\n", "x".repeat(195)).repeat(100)),
        )
        .differs(&[Error], TRAILER_LIMIT),
        chunked("101 trailers", format!("0\r\n{}\r\n", "A: b\r\n".repeat(101))),
        chunked("a trailer of 70,000 bytes", format!("0\r\nA: {}\r\n\r\n", "x".repeat(70_000))),
        chunked("10,000 chunks", format!("{}0\r\n\r\n", "1\r\nx\r\n".repeat(10_000))),
    ]
}
