//! Raw answers, well-formed, odd and hostile, and what is made of each, however it is cut on its way.

mod support;
use support::{Answer, Random, Reuse, Say, cut_at, exchange};

use connie_http::{HttpError, TransferCoding};

/// A raw answer to a request with this method, after which the server closes the connection in its own time.
struct Case {
    method: &'static str,
    raw: &'static [u8],
    expected: Answer,
}

fn answered(status: u16, body: &[u8], end: Result<Reuse, HttpError>) -> Answer {
    Answer { status, body: body.to_vec(), end }
}

/// The answer is read in full and the connection takes another request.
fn kept(raw: &'static [u8], status: u16, body: &[u8]) -> Case {
    Case { method: "GET", raw, expected: answered(status, body, Ok(Reuse::Kept)) }
}

/// The answer is read in full and ends the connection.
fn ended(raw: &'static [u8], status: u16, body: &[u8]) -> Case {
    Case { method: "GET", raw, expected: answered(status, body, Ok(Reuse::Ended)) }
}

/// The answer is read without a line of its head or trailers, and ends the connection.
fn dropped(raw: &'static [u8]) -> Case {
    ended(raw, 200, b"x")
}

/// There is no answer, for this reason.
fn refused(raw: &'static [u8], error: HttpError) -> Case {
    Case { method: "GET", raw, expected: answered(0, b"", Err(error)) }
}

/// There is no answer, since its body has this transfer coding.
fn coded(raw: &'static [u8], name: &str) -> Case {
    let coding = TransferCoding::new(name).expect("a token");
    refused(raw, HttpError::UnsupportedTransferCoding(coding))
}

/// The body breaks off after `body`, for this reason.
fn broken(raw: &'static [u8], body: &[u8], error: HttpError) -> Case {
    Case { method: "GET", raw, expected: answered(200, body, Err(error)) }
}

fn incomplete(got: u64, expected: impl Into<Option<u64>>) -> HttpError {
    HttpError::IncompleteRead { got, expected: expected.into() }
}

impl Case {
    fn to(self, method: &'static str) -> Self {
        Case { method, ..self }
    }
}

/// Bodies whose end the head tells: RFC 9112 section 6.3, rules 1, 2, 5 and 6.
fn lengths() -> Vec<Case> {
    use HttpError::{ConflictingContentLength, InvalidContentLength};
    vec![
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
        kept(b"HTTP/1.1 200 OK\r\ncontent-LENGTH:5\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: \t 5 \t \r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 000000000000000000000005\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 404 Not Found\r\nContent-Length: 3\r\n\r\nno!", 404, b"no!"),
        kept(b"HTTP/1.1 599 \r\nContent-Length: 1\r\n\r\nx", 599, b"x"),
        // The same value twice, in two fields or in one, is one value.
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5 ,5\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5,\r\n\r\nhello", 200, b"hello"),
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            ConflictingContentLength,
        ),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 5, 6\r\n\r\nhello", ConflictingContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nhello", InvalidContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", InvalidContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 5 5\r\n\r\nhello", InvalidContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 0x5\r\n\r\nhello", InvalidContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\nhello", InvalidContentLength),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: ,\r\n\r\nhello", InvalidContentLength),
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551616\r\n\r\nhello",
            InvalidContentLength,
        ),
        refused(
            b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: x\r\n\r\nhello",
            InvalidContentLength,
        ),
        broken(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhel", b"hel", incomplete(3, 5)),
        broken(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", b"", incomplete(0, 5)),
        broken(
            b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551615\r\n\r\nx",
            b"x",
            incomplete(1, u64::MAX),
        ),
        // What follows the body is not the next answer (RFC 9112 section 6.3).
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n\r\n", 200, b"hello"),
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n\r\n", 200, b""),
    ]
}

/// Answers that have no body, whatever they say: rules 1 and 2.
fn empties() -> Vec<Case> {
    vec![
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, b"").to("HEAD"),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", 200, b"").to("HEAD"),
        kept(b"HTTP/1.1 200 OK\r\n\r\n", 200, b"").to("HEAD"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", 200, b"").to("HEAD"),
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"").to("HEAD"),
        kept(b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
        kept(b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", 204, b""),
        kept(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, b""),
        kept(b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n", 304, b""),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", 200, b"").to("HEAD"),
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"").to("CONNECT"),
        kept(b"HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno", 407, b"no").to("CONNECT"),
        // Nobody has asked for it (RFC 9110 section 15.2.2).
        refused(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\nxyz", HttpError::UnaskedSwitch),
        refused(
            b"HTTP/1.1 100 Go on\r\n\r\nHTTP/1.1 101 Switch\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            HttpError::UnaskedSwitch,
        ),
        // A final answer is the last: what follows it is nobody's.
        ended(b"HTTP/1.1 204 N\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n", 204, b""),
        // Methods are case-sensitive: this one is not HEAD.
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello").to("head"),
    ]
}

/// Bodies by Transfer-Encoding: rules 3 and 4, and RFC 9112 section 7.1.
fn codings() -> Vec<Case> {
    use HttpError::{InvalidTransferEncoding, MalformedChunk};
    vec![
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\n", 200, b"hello"),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b""),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\n", 200, b"a"),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\n\n", 200, b"a"),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\n0\r\n\r\n", b"a", MalformedChunk),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: , chunked,\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, b"a"),
        // Chunked overrides a length, and the connection ends (section 6.1).
        ended(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            200,
            b"hello",
        ),
        ended(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", 200, b""),
        // Without chunked only the close ends the body (section 6.3, rule 4). RFC 2616 had a coding that does
        // nothing.
        ended(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nabc", 200, b"abc"),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Identity, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", 200, b"a"),
        ended(b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\nContent-Length: 1\r\n\r\nabc", 200, b"abc"),
        // A body that would come out coded.
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n1\r\na\r\n0\r\n\r\n", "gzip"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "gzip"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: Deflate\r\n\r\n0\r\n\r\n", "Deflate"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: GZIP;q=1, chunked\r\n\r\n0\r\n\r\n", "GZIP"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n1\r\na", "gzip"),
        coded(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: x-gzip\r\nContent-Length: 1\r\n\r\na", "x-gzip"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n1\r\na", "gzip"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\nabc", "xchunked"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunke\r\nContent-Length: 3\r\n\r\nabc", "chunke"),
        coded(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity, compress, chunked\r\n\r\n0\r\n\r\n", "compress"),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked ;a\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x chunked\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: ;a, chunked\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            InvalidTransferEncoding,
        ),
        kept(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n", 200, b""),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked;a=b\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: x;a=\", chunked\r\n\r\n0\r\n\r\n", InvalidTransferEncoding),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", b"hel", incomplete(3, None)),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", b"hello", incomplete(5, None)),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"", incomplete(0, None)),
        // The zero-sized chunk has come: the body is complete (section 8).
        ended(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b", 200, b"a"),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\naX", b"a", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\nzz\r\n", b"a", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\na\r\n", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n1\r\na", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;a\rb\r\na", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\na", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\na", b"", MalformedChunk),
        broken(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nHTTP/1.1 200 OK\r\n", b"", MalformedChunk),
    ]
}

/// Bodies that end with the connection (rule 8), and whether a connection stays (RFC 9112 section 9.3).
fn closings() -> Vec<Case> {
    vec![
        ended(b"HTTP/1.1 200 OK\r\n\r\nhello", 200, b"hello"),
        ended(b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n", 200, b""),
        ended(b"HTTP/1.0 200 OK\r\n\r\nhello", 200, b"hello"),
        ended(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
        kept(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: Keep-Alive\r\n\r\nhello", 200, b"hello"),
        ended(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\nKeep-Alive: timeout=5\r\n\r\nhello", 200, b"hello"),
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", 200, b"hello"),
        ended(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x, CLOSE\r\n\r\nhello", 200, b"hello"),
        ended(
            b"HTTP/1.1 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            200,
            b"",
        ),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: closed\r\n\r\nhello", 200, b"hello"),
    ]
}

/// Heads that are odd, broken or no heads at all.
fn heads() -> Vec<Case> {
    use HttpError::*;
    vec![
        refused(b"", EmptyReply),
        refused(b"HTT", IncompleteHead),
        refused(b"HTTP/1.1 200 OK\r\n", IncompleteHead),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 5", IncompleteHead),
        refused(b"SSH-2.0-OpenSSH_9.2\r\n", NotHttp),
        refused(b"<html>hello</html>", NotHttp),
        refused(b"\r\nHTTP/1.1 200 OK\r\n\r\n", NotHttp),
        refused(b" HTTP/1.1 200 OK\r\n\r\n", NotHttp),
        refused(b"ICY 200 OK\r\n\r\n", NotHttp),
        refused(b"http/1.1 200 OK\r\n\r\n", NotHttp),
        refused(b"\0\0\0\0", NotHttp),
        refused(b"HTTP/2 200\r\n\r\n", UnsupportedVersion),
        refused(b"HTTP/2.0 200 OK\r\n\r\n", UnsupportedVersion),
        refused(b"HTTP/0.9 200 OK\r\n\r\n", UnsupportedVersion),
        refused(b"HTTP/1.11 200 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1. 200 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.x 200 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 \r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 20 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 2000 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 2x0 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1  200 OK\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 200 O\0K\r\n\r\n", MalformedStatusLine),
        refused(b"HTTP/1.1 200 OK\rX: y\r\n\r\n", MalformedStatusLine),
        kept(b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 \r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 Tr\xe8s bien\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 O\x07K\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.2 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 999 What\r\nContent-Length: 1\r\n\r\nx", 999, b"x"),
        kept(b"HTTP/1.1 200 OK\nContent-Length: 1\n\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 1\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA:\r\nB: \xff\xfe\r\n\r\nx", 200, b"x"),
        // A folded line belongs to the field above, whatever it looks like (section 5.2).
        kept(b"HTTP/1.1 200 OK\r\nContent-Length:\r\n 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 OK\r\nA: b\r\n\tContent-Length: 9\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nA: b\r\n \r\n\t\r\n\r\nx", 200, b"x"),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n 1\r\n\r\nx", InvalidContentLength),
        // Answers before the answer (RFC 9110 section 15.2).
        kept(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", 200, b"x"),
        kept(
            b"HTTP/1.1 103 Early Hints\r\nContent-Length: 7\r\n\r\nHTTP/1.1 102 P\r\n\r\nHTTP/1.1 204 N\r\n\r\n",
            204,
            b"",
        ),
        refused(b"HTTP/1.1 100 Continue\r\n\r\nhello", NotHttp),
        refused(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 2", IncompleteHead),
        refused(b"HTTP/1.1 100 Continue\r\n\r\n", EmptyReply),
    ]
}

/// Field lines that are none (RFC 9112 section 5). One that could matter to nobody's framing is dropped, and
/// the connection ends with the answer; any other loses the answer.
fn lines() -> Vec<Case> {
    use HttpError::{MalformedHeader, MalformedTrailer};
    vec![
        dropped(b"HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nno colon\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\n: no name\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nA : b\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nA\xff: b\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nA: b\x01c\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nA: \x7f\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\nA\x0b: b\nContent-Length: 1\n\nx"),
        // White space before the first field: "ignore the entire line, along with any subsequent lines
        // preceded by whitespace" (section 2.2).
        dropped(b"HTTP/1.1 200 OK\r\n folded: first\r\n and: more\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\n \t\r\nContent-Length: 1\r\n\r\nx"),
        // What is folded goes with its line.
        dropped(b"HTTP/1.1 200 OK\r\nno colon\r\n and: more\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nA: b\r\n\x01c\r\nContent-Length: 1\r\n\r\nx"),
        // Nobody can say that the connection stays by a line that is none.
        dropped(b"HTTP/1.0 200 OK\r\nConnection : keep-alive\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nConnection : keep-alive\r\nContent-Length: 1\r\n\r\nx"),
        dropped(b"HTTP/1.1 200 OK\r\nno colon\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"),
        dropped(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nno colon\r\n\r\n"),
        kept(
            b"HTTP/1.1 103 Hint\r\nno colon\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
            200,
            b"x",
        ),
        // A length or a coding, as somebody may take it.
        refused(b"HTTP/1.1 200 OK\r\nContent-Length : 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length\t: 5\r\nContent-Length: 3\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\n Content-Length: 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\n\x0bcontent-LENGTH: 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nContent\xa0-Length: 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nContent-Length: \x0c5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding\x0b: chunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\ntransfer-ENCODING\x7f: chunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\n(Transfer-Encoding): chunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\ntransfer-transfer-encoding : chunked\r\n\r\n0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nno colon\r\n Content-Length: 5\r\n\r\nhello", MalformedHeader),
        refused(
            b"HTTP/1.1 200 OK\r\nA: \x01\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            MalformedHeader,
        ),
        refused(b"HTTP/1.1 200 OK\r\nPHP Warning: bad\x0bContent-Length: 5\r\n\r\nhello", MalformedHeader),
        refused(b"HTTP/1.1 103 Hint\r\nContent-Length : 5\r\n\r\nHTTP/1.1 204 N\r\n\r\n", MalformedHeader),
        // What some take for the end of a line, or of the text.
        refused(b"HTTP/1.1 200 OK\r\nA: b\0c\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nno\0colon\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nA: b\rContent-Length: 0\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nno\rcolon\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nA: b\r\r\n\r\n", MalformedHeader),
        refused(b"HTTP/1.1 200 OK\r\nA: b\r\r\n c\r\n\r\n", MalformedHeader),
        broken(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nA: b\0c\r\n\r\n",
            b"a",
            MalformedTrailer,
        ),
    ]
}

fn cases() -> Vec<Case> {
    [lengths(), empties(), codings(), closings(), heads(), lines()].into_iter().flatten().collect()
}

const ROOM: usize = 4096;

#[track_caller]
fn expect(case: &Case, says: Vec<Say>, room: usize, piece: usize, how: &str) {
    let raw = String::from_utf8_lossy(case.raw);
    assert_eq!(exchange(case.method, says, room, piece), case.expected, "{how}: {} {raw:?}", case.method);
}

#[test]
fn there_are_enough_of_them() {
    assert!(cases().len() >= 120, "{}", cases().len());
}

#[test]
fn an_answer_that_arrives_whole() {
    for case in cases() {
        expect(&case, cut_at(case.raw, &[]), ROOM, ROOM, "whole, into a large slice");
        expect(&case, cut_at(case.raw, &[]), ROOM, 1, "whole, read byte by byte");
    }
}

#[test]
fn an_answer_that_arrives_byte_by_byte() {
    for case in cases() {
        let cuts: Vec<usize> = (1..case.raw.len()).collect();
        expect(&case, cut_at(case.raw, &cuts), ROOM, ROOM, "byte by byte, into a large slice");
        expect(&case, cut_at(case.raw, &cuts), ROOM, 1, "byte by byte, read byte by byte");
    }
}

#[test]
fn an_answer_cut_in_two_at_every_place() {
    for case in cases() {
        for at in 1..case.raw.len() {
            expect(&case, cut_at(case.raw, &[at]), ROOM, 8192, &format!("cut at {at}, into a large slice"));
            expect(&case, cut_at(case.raw, &[at]), ROOM, 2, &format!("cut at {at}, into two bytes"));
        }
    }
}

/// `raw` with a field of 200 bytes put before the others.
fn padded(raw: &[u8]) -> Vec<u8> {
    let fields = raw.iter().position(|byte| *byte == b'\n').expect("a status line") + 1;
    let mut padded = raw.to_vec();
    padded.splice(fields..fields, format!("P: {:x<195}\r\n", "").into_bytes());
    padded
}

/// Where the head just fits, the body has no room in the buffer and goes through the caller's slice.
#[test]
fn an_answer_whose_head_fills_the_buffer() {
    // White space before the first field would make it a part of the padding.
    let folds = |raw: &[u8]| raw.windows(2).find(|two| two[0] == b'\n').is_some_and(|two| two[1] == b' ');
    for case in cases().into_iter().filter(|case| case.expected.status != 0 && !folds(case.raw)) {
        let raw = padded(case.raw);
        let answer = |room| exchange(case.method, cut_at(&raw, &[]), room, 7);
        let room =
            (150..ROOM).find(|room| answer(*room).status != 0).expect("4 KiB are enough for any of them");
        assert!(matches!(answer(room - 1).end, Err(HttpError::HeadTooLarge { .. })));
        if answer(room).end != Err(HttpError::TrailersTooLarge) {
            assert_eq!(answer(room), case.expected, "in {room} bytes: {:?}", String::from_utf8_lossy(&raw));
        }
    }
}

/// Cuts `raw` at random places, with pauses in between.
fn cut_at_random(raw: &[u8], random: &mut Random) -> Vec<Say> {
    let often = 1 + random.below(20);
    let cuts: Vec<usize> = (1..raw.len()).filter(|_| random.one_in(often)).collect();
    let mut says = Vec::new();
    for say in cut_at(raw, &cuts) {
        if random.one_in(3) && says.last() != Some(&Say::Pause) {
            says.push(Say::Pause);
        }
        says.push(say);
    }
    says
}

/// The same, however it is cut: but for whether bytes that come after the answer are noticed in time.
#[track_caller]
fn expect_the_same(whole: &Answer, other: &Answer, raw: &[u8]) {
    let raw = String::from_utf8_lossy(raw);
    assert_eq!((whole.status, &whole.body), (other.status, &other.body), "{raw:?}");
    assert_eq!(whole.end.map(|_| ()), other.end.map(|_| ()), "{raw:?}");
}

#[test]
fn an_answer_cut_at_random() {
    let mut random = Random::seeded(0x5eed_0001);
    for _ in 0..20 {
        for case in cases() {
            let (room, piece) = (256 + random.below(4096), 1 + random.below(300));
            let says = cut_at_random(case.raw, &mut random);
            expect_the_same(&case.expected, &exchange(case.method, says, room, piece), case.raw);
        }
    }
}

/// Damages `raw`: a few bytes changed, lost, repeated or put in.
fn damage(raw: &mut Vec<u8>, random: &mut Random) {
    const TEETH: &[u8] = b"\r\n\0 \t:;,0159afz-+\x7f\xff";
    for _ in 0..=random.below(4) {
        let at = random.below(raw.len().max(1)).min(raw.len());
        match random.below(4) {
            0 if at < raw.len() => raw[at] = TEETH[random.below(TEETH.len())],
            1 if at < raw.len() => drop(raw.remove(at)),
            2 => raw.insert(at, TEETH[random.below(TEETH.len())]),
            _ => {
                let part = raw[at..(at + random.below(30)).min(raw.len())].to_vec();
                raw.splice(at..at, part);
            }
        }
    }
}

#[test]
fn a_damaged_answer_is_the_same_however_it_is_cut() {
    let mut random = Random::seeded(0x5eed_0002);
    for _ in 0..60 {
        for case in cases() {
            let mut raw = case.raw.to_vec();
            damage(&mut raw, &mut random);
            let whole = exchange(case.method, cut_at(&raw, &[]), ROOM, ROOM);
            let says = cut_at_random(&raw, &mut random);
            let piece = 1 + random.below(64);
            expect_the_same(&whole, &exchange(case.method, says, ROOM, piece), &raw);
        }
    }
}
