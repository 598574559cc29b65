//! Reads the head of a response, and tells from it how the body is framed and whether the connection can be
//! used again.

use crate::coding;
use crate::error::HttpError;
use crate::fields::{self, Headers};
use crate::request::RequestKind;
use crate::status::StatusClass;
use crate::syntax::{decimal, elements, is_field_value};

/// What every answer begins with.
const NAME: &[u8] = b"HTTP/";

/// Finds the end of a head as its bytes arrive, looking at each byte once.
#[derive(Clone, Copy, Debug, Default)]
pub struct HeadScanner {
    /// Where the line begins that is not complete yet.
    line: usize,
    /// How far the bytes have been looked at.
    seen: usize,
}

impl HeadScanner {
    /// The scanner of a head of which nothing has been seen.
    #[must_use]
    pub const fn new() -> Self {
        HeadScanner { line: 0, seen: 0 }
    }

    /// The length of the head, its empty line included, or `None` where that has not arrived. `bytes` are all
    /// that have arrived from the head's first; each call goes on where the last one ended.
    ///
    /// A line may end in a bare LF (RFC 9112 section 2.2).
    ///
    /// # Errors
    ///
    /// [`HttpError::NotHttp`] at the first byte that no response could begin with: no later byte could mend
    /// it.
    pub fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpError> {
        if !bytes.iter().zip(NAME).all(|(byte, expected)| byte == expected) {
            return Err(HttpError::NotHttp);
        }
        while let Some(distance) =
            bytes.get(self.seen..).and_then(|new| new.iter().position(|byte| *byte == b'\n'))
        {
            let end = self.seen.saturating_add(distance);
            let line = bytes.get(self.line..end).unwrap_or_default();
            self.line = end.saturating_add(1);
            self.seen = self.line;
            if matches!(line, b"" | b"\r") {
                return Ok(Some(self.line));
            }
        }
        self.seen = bytes.len();
        Ok(None)
    }

    /// How many bytes are in lines that are complete.
    pub(crate) const fn complete(&self) -> usize {
        self.line
    }
}

/// The minor versions of HTTP/1. A higher one is read as 1.1, as RFC 9110 section 2.5 asks of a recipient.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Version {
    /// HTTP/1.0
    Http10,
    /// HTTP/1.1
    #[default]
    Http11,
}

/// How the end of a body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyFraming {
    /// There is none.
    Empty,
    /// This many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
    /// All that comes before the server closes the connection.
    UntilClose,
}

/// What came of reading a head.
#[derive(Clone, Copy, Debug)]
pub enum ParsedHead<'a> {
    /// The head is not complete.
    Partial,
    /// The head is complete; [`ResponseHead::len`] bytes belong to it.
    Complete(ResponseHead<'a>),
}

/// The head of a response.
///
/// ```
/// use connie_http::{ResponseHead, parts::{BodyFraming, ParsedHead, RequestKind}};
///
/// let mut bytes = *b"HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\nSet-Cookie: a\r\nset-cookie: b\r\n\r\nGone";
/// let ParsedHead::Complete(head) = ResponseHead::parse(&mut bytes)? else { panic!("the empty line is there") };
/// assert_eq!((head.status(), head.reason()), (404, "Not Found"));
/// assert_eq!(head.header("SET-COOKIE"), Some(&b"a"[..]));
/// assert_eq!(head.headers().filter(|header| header.name.eq_ignore_ascii_case("set-cookie")).count(), 2);
/// assert_eq!(head.framing(RequestKind::Other)?, BodyFraming::Length(4));
/// # Ok::<(), connie_http::HttpError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct ResponseHead<'a> {
    status: u16,
    version: Version,
    reason: &'a str,
    /// The header lines, unfolded and checked, with the empty line.
    fields: &'a [u8],
    length: usize,
}

impl<'a> ResponseHead<'a> {
    /// Reads a head from the start of `bytes`.
    ///
    /// A field that goes on over several lines (obs-fold) is joined in place, each line end becoming spaces:
    /// RFC 9112 section 5.2 says that a user agent "MUST replace each received obs-fold with one or more SP
    /// octets prior to interpreting the field value". Reading the same bytes again gives the same result.
    ///
    /// # Errors
    ///
    /// [`HttpError::NotHttp`], [`HttpError::UnsupportedVersion`], [`HttpError::MalformedStatusLine`],
    /// [`HttpError::MalformedHeader`].
    #[doc(alias = "parse_headers")]
    pub fn parse(bytes: &'a mut [u8]) -> Result<ParsedHead<'a>, HttpError> {
        let Some(length) = HeadScanner::new().scan(bytes)? else {
            return Ok(ParsedHead::Partial);
        };
        let layout = HeadLayout::read(bytes.get_mut(..length).unwrap_or_default())?;
        Ok(ParsedHead::Complete(layout.view(bytes)))
    }

    /// The status code: three digits, 0 to 999.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The class of the status code. One that is none, below 100 or above 599, is a server's error.
    #[must_use]
    pub fn class(&self) -> StatusClass {
        StatusClass::from_status(self.status)
    }

    /// The reason phrase; empty where it is missing, or holds controls or bytes beyond ASCII.
    #[must_use]
    pub fn reason(&self) -> &'a str {
        self.reason
    }

    /// The version of HTTP that the server answered with.
    #[must_use]
    pub fn version(&self) -> Version {
        self.version
    }

    /// The head's length in bytes, its empty line included: where the body begins.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a head is never empty")]
    pub fn len(&self) -> usize {
        self.length
    }

    /// All header fields, in order, duplicates included. Lines that are not fields are [set
    /// apart](Headers::dropped).
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        Headers::from_lines(self.fields)
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        self.headers().all(name).next()
    }

    /// How the body is framed: RFC 9112 section 6.3, rule by rule.
    ///
    /// # Errors
    ///
    /// Where "the user agent MUST close the connection to the server and discard the received response":
    /// [`HttpError::InvalidContentLength`], [`HttpError::ConflictingContentLength`],
    /// [`HttpError::InvalidTransferEncoding`]; [`HttpError::UnsupportedTransferCoding`], since such a body
    /// would be given as it is coded.
    pub fn framing(&self, request: RequestKind) -> Result<BodyFraming, HttpError> {
        self.framing_of(request, false)
    }

    /// The same for a caller that undoes [transfer codings](Self::transfer_codings) where it `takes_coded`
    /// bodies.
    pub(crate) fn framing_of(
        &self,
        request: RequestKind,
        takes_coded: bool,
    ) -> Result<BodyFraming, HttpError> {
        // Rule 1: "Any response to a HEAD request and any response with a 1xx (Informational), 204 (No
        // Content), or 304 (Not Modified) status code is always terminated by the first empty line after the
        // header fields".
        if request == RequestKind::Head || matches!(self.status, 100..=199 | 204 | 304) {
            return Ok(BodyFraming::Empty);
        }
        // Rule 2: "Any 2xx (Successful) response to a CONNECT request implies that the connection will become
        // a tunnel".
        if self.begins_tunnel(request) {
            return Ok(BodyFraming::Empty);
        }
        // Rule 3: "the Transfer-Encoding overrides the Content-Length". Rule 4: chunked as "the final
        // encoding" ends itself; any other response ends where "it is closed by the server".
        if let Some(chunked) = coding::is_chunked(self.headers(), takes_coded)? {
            return Ok(if chunked { BodyFraming::Chunked } else { BodyFraming::UntilClose });
        }
        // Rules 5, 6 and 8. Rule 7 is about requests.
        Ok(self.content_length()?.map_or(BodyFraming::UntilClose, BodyFraming::Length))
    }

    /// The transfer codings that the body still has when it is read, in the order in which they were applied:
    /// what Transfer-Encoding names but `chunked`, which is undone, and `identity`. There are none unless the
    /// connection [takes them](crate::HttpConnection::set_takes_coded).
    pub fn transfer_codings(&self) -> impl Iterator<Item = &'a [u8]> {
        coding::codings(self.headers())
    }

    /// Whether no other request can follow on the connection once this response has been read: RFC 9112
    /// section 9.3, and the places where a faulty framing demands it.
    #[must_use]
    pub fn will_close(&self, request: RequestKind) -> bool {
        if matches!(self.framing(request), Err(_) | Ok(BodyFraming::UntilClose)) {
            return true;
        }
        // What follows is not HTTP/1.1 any more (RFC 9110 section 15.2.2), or not this server's.
        if self.status == 101 || self.begins_tunnel(request) {
            return true;
        }
        // RFC 9112 section 6.1: after both fields the connection is to be closed, and a Transfer-Encoding in
        // HTTP/1.0 is to be treated "as if the framing is faulty".
        let coded = self.header("transfer-encoding").is_some();
        if coded && (self.version == Version::Http10 || self.header("content-length").is_some()) {
            return true;
        }
        // Another recipient may have read another head: what comes after the body, as read here, is not to be
        // trusted.
        if self.headers().dropped().next().is_some() {
            return true;
        }
        self.has_option(b"close") || (self.version == Version::Http10 && !self.has_option(b"keep-alive"))
    }

    /// Whether the connection is a tunnel from here on.
    pub(crate) fn begins_tunnel(&self, request: RequestKind) -> bool {
        request.tunnels_by(self.status)
    }

    /// Whether a Connection field holds `option`.
    fn has_option(&self, option: &[u8]) -> bool {
        self.headers()
            .all("connection")
            .flat_map(elements)
            .any(|element| element.eq_ignore_ascii_case(option))
    }

    /// Rules 5 and 6: the one value of all Content-Length fields, where each may be a list of equal values.
    fn content_length(&self) -> Result<Option<u64>, HttpError> {
        let mut length = None;
        for value in self.headers().all("content-length") {
            if elements(value).next().is_none() {
                return Err(HttpError::InvalidContentLength);
            }
            for element in elements(value) {
                let number = decimal(element).ok_or(HttpError::InvalidContentLength)?;
                if length.is_some_and(|length| length != number) {
                    return Err(HttpError::ConflictingContentLength);
                }
                length = Some(number);
            }
        }
        Ok(length)
    }
}

/// Where the parts of a checked head are, without borrowing it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct HeadLayout {
    pub(crate) status: u16,
    version: Version,
    reason: usize,
    fields: usize,
    pub(crate) length: usize,
}

/// Where the reason phrase begins, in a status line that has one: after `HTTP/1.1 200 `.
const REASON: usize = 13;

impl HeadLayout {
    /// Checks a head that is complete and no longer than it is, joining folded lines in place.
    pub(crate) fn read(head: &mut [u8]) -> Result<Self, HttpError> {
        let end = head.iter().position(|byte| *byte == b'\n').unwrap_or(head.len());
        let (line, rest) = head.split_at_mut_checked(end).ok_or(HttpError::MalformedStatusLine)?;
        let layout = Self::from_status_line(line.strip_suffix(b"\r").unwrap_or(line))?;
        // The fields begin after the LF.
        if !fields::check(rest.get_mut(1..).unwrap_or_default()) {
            return Err(HttpError::MalformedHeader);
        }
        Ok(HeadLayout { fields: end.saturating_add(1), length: head.len(), ..layout })
    }

    /// RFC 9112 section 4: `status-line = HTTP-version SP status-code SP [ reason-phrase ]`, where some
    /// servers leave out the second space with the phrase.
    fn from_status_line(line: &[u8]) -> Result<Self, HttpError> {
        let rest = line.strip_prefix(b"HTTP/1.").ok_or(HttpError::UnsupportedVersion)?;
        let [minor @ b'0'..=b'9', b' ', code @ ..] = rest else {
            return Err(HttpError::MalformedStatusLine);
        };
        let (code, reason) = code.split_at_checked(3).ok_or(HttpError::MalformedStatusLine)?;
        let status = decimal(code).and_then(|code| u16::try_from(code).ok());
        let reason = if reason.is_empty() { Some(reason) } else { reason.strip_prefix(b" ") };
        let (Some(status), Some(reason)) = (status, reason.filter(|reason| !fields::is_dangerous(reason)))
        else {
            return Err(HttpError::MalformedStatusLine);
        };
        // RFC 9110 section 2.5: a higher minor version is processed "as if it was in the highest minor
        // version within that major version to which the recipient is conformant".
        let version = if *minor == b'0' { Version::Http10 } else { Version::Http11 };
        // RFC 9112 section 4: a client "SHOULD ignore the reason-phrase content". What is no text is not
        // told.
        let reason = if reason.is_ascii() && is_field_value(reason) { reason.len() } else { 0 };
        Ok(HeadLayout { status, version, reason, fields: 0, length: 0 })
    }

    /// The head, which `bytes` begin with.
    pub(crate) fn view<'a>(&self, bytes: &'a [u8]) -> ResponseHead<'a> {
        let reason = bytes.get(REASON..REASON.saturating_add(self.reason)).unwrap_or_default();
        ResponseHead {
            status: self.status,
            version: self.version,
            // Checked to be ASCII when the head was read.
            reason: core::str::from_utf8(reason).unwrap_or_default(),
            fields: bytes.get(self.fields..self.length).unwrap_or_default(),
            length: self.length,
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// Reads `raw` as a head and shows it to `look`.
    #[track_caller]
    fn head<T>(raw: &[u8], look: impl FnOnce(ResponseHead<'_>) -> T) -> T {
        let mut bytes = raw.to_vec();
        match ResponseHead::parse(&mut bytes) {
            Ok(ParsedHead::Complete(head)) => look(head),
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn framing(fields: &str, request: RequestKind) -> Result<BodyFraming, HttpError> {
        head(std::format!("HTTP/1.1 200 OK\r\n{fields}\r\n").as_bytes(), |head| head.framing(request))
    }

    #[test]
    fn a_head_is_partial_up_to_its_last_byte() {
        let raw = b"HTTP/1.1 200 OK\r\nA: b\n\tc\r\n\r\n";
        for length in 0..raw.len() {
            let mut bytes = raw[..length].to_vec();
            assert!(matches!(ResponseHead::parse(&mut bytes), Ok(ParsedHead::Partial)), "{length}");
        }
        head(raw, |head| assert_eq!(head.len(), raw.len()));
        head(&[&raw[..], b"body\r\n\r\n"].concat(), |head| assert_eq!(head.len(), raw.len()));
    }

    #[test]
    fn what_is_no_answer_is_told_at_its_first_byte() {
        for (raw, at) in [("SSH-2.0", 1), ("HTTQ", 4), ("\r\nHTTP/1.1", 1), ("HTTP 1.1", 5)] {
            let bytes = raw.as_bytes();
            assert_eq!(HeadScanner::new().scan(&bytes[..at - 1]), Ok(None), "{raw:?}");
            assert_eq!(HeadScanner::new().scan(&bytes[..at]), Err(HttpError::NotHttp), "{raw:?}");
        }
    }

    /// Line ends put where the scanner has already been must not change what it finds.
    #[test]
    fn no_byte_is_looked_at_twice() {
        let raw = b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n";
        let (mut scanner, mut bytes) = (HeadScanner::new(), Vec::new());
        for (seen, byte) in raw.iter().enumerate() {
            bytes.push(*byte);
            let end = (seen + 1 == raw.len()).then_some(raw.len());
            assert_eq!(scanner.scan(&bytes), Ok(end), "{seen}");
            // Not in the line under way: its start is compared once its end is there.
            let line = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
            bytes[5.min(line)..line].fill(b'\n');
        }
    }

    #[test]
    fn the_first_of_several_fields_is_the_one_by_name() {
        head(b"HTTP/1.1 200 OK\r\nB: 1\r\na:\t2 \r\nb:\r\n\r\n", |head| {
            assert_eq!(head.header("b"), Some(&b"1"[..]));
            assert_eq!(head.headers().all("B").count(), 2);
        });
    }

    #[test]
    fn reading_a_head_again_gives_the_same() {
        let mut bytes = b"HTTP/1.7 200 OK\r\nA: b\r\n c\r\n\r\n".to_vec();
        ResponseHead::parse(&mut bytes).unwrap();
        let once = bytes.clone();
        let Ok(ParsedHead::Complete(head)) = ResponseHead::parse(&mut bytes) else {
            panic!("it was complete")
        };
        assert_eq!(head.version(), Version::Http11);
        assert_eq!(bytes, once);
    }

    #[test]
    fn a_status_line_needs_no_reason() {
        for (raw, reason) in [
            ("HTTP/1.1 200 Not quite\r\n\r\n", "Not quite"),
            ("HTTP/1.1 200 \r\n\r\n", ""),
            ("HTTP/1.1 200\n\n", ""),
            ("HTTP/1.1 200 \u{e9}\r\n\r\n", ""),
            ("HTTP/1.1 200 O\x07K\r\n\r\n", ""),
            ("HTTP/1.1 200 \x7f\r\n\r\n", ""),
        ] {
            head(raw.as_bytes(), |head| assert_eq!((head.status(), head.reason()), (200, reason)));
        }
    }

    #[test]
    fn framing_follows_the_rules_in_their_order() {
        use RequestKind::{Connect, Head, Other};
        let both = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";
        assert_eq!(framing(both, Head), Ok(BodyFraming::Empty), "rule 1");
        assert_eq!(framing(both, Connect), Ok(BodyFraming::Empty), "rule 2");
        assert_eq!(framing(both, Other), Ok(BodyFraming::Chunked), "rules 3 and 4");
        assert_eq!(
            framing("Content-Length: x\r\nTransfer-Encoding: identity\r\n", Other),
            Ok(BodyFraming::UntilClose)
        );
        assert_eq!(framing("Content-Length: x\r\n", Other), Err(HttpError::InvalidContentLength), "rule 5");
        assert_eq!(framing("Content-Length: 5\r\n", Other), Ok(BodyFraming::Length(5)), "rule 6");
        assert_eq!(framing("", Other), Ok(BodyFraming::UntilClose), "rule 8");
    }

    #[test]
    fn what_changes_the_protocol_ends_the_connection_for_http() {
        use RequestKind::{Connect, Other};
        for (raw, request, closes) in [
            ("HTTP/1.1 101 Other\r\n\r\n", Other, true),
            ("HTTP/1.1 200 Yes\r\n\r\n", Connect, true),
            ("HTTP/1.1 204 Empty\r\n\r\n", Other, false),
            ("HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", Connect, false),
        ] {
            head(raw.as_bytes(), |head| assert_eq!(head.will_close(request), closes, "{raw:?}"));
        }
    }
}
