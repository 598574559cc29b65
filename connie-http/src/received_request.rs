//! Reads the head of a request, for a server or a proxy, and tells from it how the body is framed.
//!
//! What a client sends is read strictly. A proxy passes requests on to another reader, and where two readers
//! differ in what they forgive a request can be hidden within another. So nothing is forgiven here: not a
//! bare LF, not a folded line, not white space before a colon, not two framings.

use core::fmt;

use crate::fields::{self, Headers, is_dangerous};
use crate::response_head::{BodyFraming, Version};
use crate::syntax::{decimal, is_token};

/// The head of a request that was received.
///
/// ```
/// use connie_http::parts::{BodyFraming, ReceivedRequest};
///
/// let mut bytes = *b"POST http://name.test/ HTTP/1.1\r\nHost: name.test\r\nContent-Length: 4\r\n\r\nbody";
/// let request = ReceivedRequest::parse(&mut bytes)?.expect("the empty line is there");
/// assert_eq!((request.method(), request.target()), ("POST", "http://name.test/"));
/// assert_eq!(request.framing(), BodyFraming::Length(4));
/// # Ok::<(), connie_http::parts::InvalidRequest>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ReceivedRequest<'a> {
    method: &'a str,
    target: &'a str,
    version: Version,
    /// The header lines, checked, with the empty line.
    fields: &'a [u8],
    framing: BodyFraming,
    length: usize,
}

/// What is wrong with the head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum InvalidRequest {
    /// A line does not end in CRLF, or there is a CR or NUL within one.
    Line,
    /// The first line is not a method, a target and HTTP/1.
    RequestLine,
    /// A line is not a field, or one goes on over several lines.
    Field,
    /// There are two Host fields, or HTTP/1.1 without one.
    Host,
    /// Content-Length is not one number, Transfer-Encoding not `chunked` alone, or there are both.
    Framing,
}

impl fmt::Display for InvalidRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            InvalidRequest::Line => "a line of the request does not end in CRLF alone",
            InvalidRequest::RequestLine => "the first line is not a request of HTTP/1",
            InvalidRequest::Field => "a line of the request's head is not a field",
            InvalidRequest::Host => "the request does not have one Host field",
            InvalidRequest::Framing => "the length of the request's body is in doubt",
        })
    }
}

impl core::error::Error for InvalidRequest {}

impl<'a> ReceivedRequest<'a> {
    /// Reads a head from the start of `bytes`. `None` where it is not complete, and not wrong so far.
    /// `bytes` are left as they are.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`], after which the connection is of no use.
    pub fn parse(bytes: &'a mut [u8]) -> Result<Option<Self>, InvalidRequest> {
        let Some(length) = end_of_head(bytes)? else { return Ok(None) };
        let line_end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(length).saturating_add(1);
        let section = bytes.get_mut(line_end..length).unwrap_or_default();
        if fields::is_folded(section) || matches!(section.first(), Some(b' ' | b'\t')) {
            return Err(InvalidRequest::Field);
        }
        // There is no fold, so that this changes nothing.
        if !fields::check(section) {
            return Err(InvalidRequest::Field);
        }
        let bytes = &*bytes;
        let fields = bytes.get(line_end..length).unwrap_or_default();
        if Headers::from_lines(fields).dropped().next().is_some() {
            return Err(InvalidRequest::Field);
        }
        let line = bytes.get(..line_end.saturating_sub(2)).unwrap_or_default();
        let (method, target, version) = request_line(line).ok_or(InvalidRequest::RequestLine)?;
        let hosts = Headers::from_lines(fields).all("host").count();
        // RFC 9112 section 3.2: "A server MUST respond with a 400 (Bad Request) status code to any HTTP/1.1
        // request message that lacks a Host header field and to any request message that contains more than
        // one".
        if hosts > 1 || (hosts == 0 && version == Version::Http11) {
            return Err(InvalidRequest::Host);
        }
        let framing = framing(&Headers::from_lines(fields), version).ok_or(InvalidRequest::Framing)?;
        Ok(Some(ReceivedRequest { method, target, version, fields, framing, length }))
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &'a str {
        self.method
    }

    /// The target as it was sent, in any form: visible ASCII characters.
    #[must_use]
    pub fn target(&self) -> &'a str {
        self.target
    }

    /// The version.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The fields, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::from_lines(self.fields)
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().all(name).next()
    }

    /// How the body is framed: [`BodyFraming::Empty`], a length or chunks (RFC 9112 section 6.3, rules 4, 6
    /// and 7).
    #[must_use]
    pub fn framing(&self) -> BodyFraming {
        self.framing
    }

    /// How many bytes belong to the head, its empty line included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }
}

/// The length of the head in `bytes`, where its end is there. Each line has to end in CRLF.
fn end_of_head(bytes: &[u8]) -> Result<Option<usize>, InvalidRequest> {
    let mut start = 0_usize;
    while let Some(distance) = bytes.get(start..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
    {
        let end = start.saturating_add(distance);
        let line = bytes.get(start..end).and_then(|line| line.strip_suffix(b"\r"));
        let line = line.filter(|line| !is_dangerous(line)).ok_or(InvalidRequest::Line)?;
        if line.is_empty() {
            // RFC 9112 section 2.2 lets a server pass over empty lines before a request. None is needed.
            return if start == 0 {
                Err(InvalidRequest::RequestLine)
            } else {
                Ok(Some(end.saturating_add(1)))
            };
        }
        start = end.saturating_add(1);
    }
    Ok(None)
}

/// RFC 9112 section 3: `request-line = method SP request-target SP HTTP-version`.
fn request_line(line: &[u8]) -> Option<(&str, &str, Version)> {
    let mut parts = core::str::from_utf8(line).ok()?.split(' ');
    let (method, target, version) = (parts.next()?, parts.next()?, parts.next()?);
    let is_visible = !target.is_empty() && target.bytes().all(|byte| byte.is_ascii_graphic());
    if parts.next().is_some() || !is_token(method) || !is_visible {
        return None;
    }
    match version.strip_prefix("HTTP/1.")?.as_bytes() {
        b"0" => Some((method, target, Version::Http10)),
        [b'1'..=b'9'] => Some((method, target, Version::Http11)),
        _ => None,
    }
}

/// `None` where it is in doubt. RFC 9112 section 6.3: a message with both fields "might indicate an attempt
/// to perform request smuggling", and "ought to be handled as an error".
fn framing(headers: &Headers<'_>, version: Version) -> Option<BodyFraming> {
    let mut lengths = headers.clone().all("content-length");
    let mut codings = headers.clone().all("transfer-encoding");
    match (lengths.next(), codings.next()) {
        (None, None) => Some(BodyFraming::Empty),
        (Some(length), None) if lengths.next().is_none() => decimal(length).map(BodyFraming::Length),
        // Section 6.1: in HTTP/1.0 such a framing is "faulty".
        (None, Some(coding)) if codings.next().is_none() && version == Version::Http11 => {
            coding.eq_ignore_ascii_case(b"chunked").then_some(BodyFraming::Chunked)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn parse(raw: &[u8]) -> Result<Option<(Vec<u8>, BodyFraming)>, InvalidRequest> {
        let mut bytes = raw.to_vec();
        let read = ReceivedRequest::parse(&mut bytes)?;
        let read = read.map(|request| (request.target().as_bytes().to_vec(), request.framing()));
        assert_eq!(bytes, raw, "it is left as it is");
        Ok(read)
    }

    #[track_caller]
    fn framed(fields: &str, expected: Result<BodyFraming, InvalidRequest>) {
        let raw = std::format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        let read = parse(raw.as_bytes()).map(|read| read.expect("it is complete").1);
        assert_eq!(read, expected, "{fields:?}");
    }

    #[test]
    fn a_head_is_partial_up_to_its_last_byte() {
        let raw = b"GET /x HTTP/1.1\r\nHost: a\r\nB: c\r\n\r\n";
        for length in 0..raw.len() {
            assert_eq!(parse(&raw[..length]), Ok(None), "{length}");
        }
        let mut bytes = [&raw[..], b"body"].concat();
        let request = ReceivedRequest::parse(&mut bytes).unwrap().unwrap();
        assert_eq!((request.len(), request.method(), request.version()), (raw.len(), "GET", Version::Http11));
        assert_eq!((request.header("b"), request.headers().count()), (Some(&b"c"[..]), 2));
    }

    #[test]
    fn what_readers_differ_about_is_refused() {
        use InvalidRequest::{Field, Host, Line, RequestLine};
        for (raw, error) in [
            ("GET / HTTP/1.1\nHost: a\r\n\r\n", Line),
            ("GET / HTTP/1.1\r\nHost: a\n\r\n", Line),
            ("GET / HTTP/1.1\r\nHost: a\r\n\n", Line),
            ("GET / HTTP/1.1\r\nHost: a\rB: c\r\n\r\n", Line),
            ("GET / HTTP/1.1\r\nHost: a\0\r\n\r\n", Line),
            ("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET / x HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET /\tx HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET /\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", RequestLine),
            ("GET / HTTP/1.11\r\nHost: a\r\n\r\n", RequestLine),
            ("GET /\r\nHost: a\r\n\r\n", RequestLine),
            ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", RequestLine),
            ("GET / HTTP/1.1\r\n Host: a\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\nContent-Length : 5\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\nB: \x07\r\n\r\n", Field),
            ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Host),
            ("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Host),
            ("GET / HTTP/1.1\r\nB: c\r\n\r\n", Host),
        ] {
            assert_eq!(parse(raw.as_bytes()), Err(error), "{raw:?}");
        }
        assert_eq!(parse(b"GET / HTTP/1.0\r\n\r\n"), Ok(Some((b"/".to_vec(), BodyFraming::Empty))));
    }

    #[test]
    fn a_body_is_framed_in_one_way() {
        use BodyFraming::{Chunked, Empty, Length};
        let doubt = Err(InvalidRequest::Framing);
        framed("", Ok(Empty));
        framed("Content-Length: 0\r\n", Ok(Length(0)));
        framed("content-length: 18446744073709551615\r\n", Ok(Length(u64::MAX)));
        framed("Transfer-Encoding: chunked\r\n", Ok(Chunked));
        framed("Transfer-Encoding: Chunked\r\n", Ok(Chunked));
        for fields in [
            "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
            "Content-Length: 5\r\nContent-Length: 5\r\n",
            "Content-Length: 5, 5\r\n",
            "Content-Length: +5\r\n",
            "Content-Length: 0x5\r\n",
            "Content-Length:\r\n",
            "Content-Length: 18446744073709551616\r\n",
            "Transfer-Encoding: gzip, chunked\r\n",
            "Transfer-Encoding: chunked, chunked\r\n",
            "Transfer-Encoding: identity\r\n",
            "Transfer-Encoding:\r\n",
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding: \x0bchunked\r\n",
        ] {
            let raw = std::format!("POST /x HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            assert!(parse(raw.as_bytes()).is_err(), "{fields:?}");
        }
        framed("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", doubt);
        assert_eq!(
            parse(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"),
            doubt.map(|_: BodyFraming| None)
        );
    }
}
