//! Writes the head of a request, and refuses whatever could make two requests of one.

use core::fmt;

use crate::authority::is_host_value;
use crate::error::HttpError;
use crate::syntax::{elements, is_field_value, is_token};
use crate::writer::Writer;

/// What about a request decides how its response is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// The method is HEAD: the response has no body, whatever it says.
    Head,
    /// The method is CONNECT: a response of status 2xx begins a tunnel.
    Connect,
    /// Any other method.
    Other,
}

impl RequestKind {
    /// The kind of a request with this method. Methods are case-sensitive (RFC 9110 section 9.1).
    #[must_use]
    pub fn from_method(method: &str) -> Self {
        match method {
            "HEAD" => RequestKind::Head,
            "CONNECT" => RequestKind::Connect,
            _ => RequestKind::Other,
        }
    }

    /// Whether a response with this status to such a request begins a tunnel (RFC 9110 section 9.3.6).
    pub(crate) fn tunnels_by(self, status: u16) -> bool {
        self == RequestKind::Connect && matches!(status, 200..=299)
    }
}

/// Whether a request with this method may be sent again by itself: RFC 9110 section 9.2.2 has "PUT, DELETE,
/// and safe request methods" idempotent, and section 9.2.1 has these safe.
#[must_use]
pub fn is_idempotent(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "PUT" | "DELETE")
}

/// Whether a request with this method may be sent to two servers at one time, for the first response, unless
/// the caller says otherwise: GET, HEAD and OPTIONS. RFC 9110 section 9.2.1: "the client does not request,
/// and does not expect, any state change on the origin server as a result of applying a safe method".
#[must_use]
pub fn is_safe_to_race(method: &str) -> bool {
    matches!(method, "GET" | "HEAD" | "OPTIONS")
}

/// How the body of a request is framed (RFC 9112 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestBody {
    /// No body, and no framing field: for methods that do not expect one.
    None,
    /// A body of this many bytes, by Content-Length.
    Length(u64),
    /// A body in chunks, for a length that is not known beforehand. Only for servers known to speak HTTP/1.1.
    #[doc(alias = "encode_chunked")]
    Chunked,
}

impl RequestBody {
    /// How `body`, which is there in full, is sent with `method`.
    ///
    /// An empty one is announced where the method expects a body (RFC 9110 section 8.6 says POST for an
    /// example; PUT and PATCH are alike), and left out elsewhere.
    #[must_use]
    pub fn from_bytes(method: &str, body: &[u8]) -> Self {
        if body.is_empty() && !matches!(method, "POST" | "PUT" | "PATCH") {
            return RequestBody::None;
        }
        RequestBody::Length(u64::try_from(body.len()).unwrap_or(u64::MAX))
    }
}

/// Writes a request's head into a buffer.
///
/// Everything is checked before it is written: what holds a CR, LF or NUL is refused, so that nothing the
/// caller passes on can become a field, or a request, of its own.
///
/// ```
/// use connie_http::{HttpError, RequestBody, parts::RequestHead};
///
/// let mut buffer = [0; 256];
/// let mut head = RequestHead::new(&mut buffer, "POST", "/form", "name.test")?;
/// head.header("Content-Type", b"text/plain")?;
/// assert_eq!(head.header("X-Name", b"a\r\nX-Admin: yes"), Err(HttpError::InvalidHeaderValue));
/// let length = head.finish(RequestBody::Length(5))?;
/// assert_eq!(
///     &buffer[..length],
///     b"POST /form HTTP/1.1\r\nHost: name.test\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
/// );
/// # Ok::<(), HttpError>(())
/// ```
pub struct RequestHead<'b> {
    writer: Writer<'b>,
    closes: bool,
    expects_continue: bool,
    asks_upgrade: bool,
}

impl fmt::Debug for RequestHead<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestHead").field("length", &self.length()).finish_non_exhaustive()
    }
}

impl<'b> RequestHead<'b> {
    /// Begins a head: the request line and the `Host` field, which RFC 9110 section 7.2 wants first.
    ///
    /// An empty `target` is `/`, and one that begins with its query gets a `/` before it (RFC 9112
    /// section 3.2.1). A target may also be in absolute, authority or asterisk form. `host` is the field's
    /// value: see [`Authority::write`](crate::Authority::write).
    ///
    /// # Errors
    ///
    /// [`HttpError::InvalidMethod`], [`HttpError::InvalidTarget`], [`HttpError::InvalidHost`],
    /// [`HttpError::BufferTooSmall`].
    pub fn new(buffer: &'b mut [u8], method: &str, target: &str, host: &str) -> Result<Self, HttpError> {
        if !is_token(method) {
            return Err(HttpError::InvalidMethod);
        }
        // A fragment is not part of any form of target (RFC 9112 section 3.2).
        if !target.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return Err(HttpError::InvalidTarget);
        }
        if !is_host_value(host) {
            return Err(HttpError::InvalidHost);
        }
        let mut writer = Writer::after(buffer, 0);
        writer.put(method.as_bytes())?;
        writer.put(b" ")?;
        if target.is_empty() || target.starts_with('?') {
            writer.put(b"/")?;
        }
        writer.put(target.as_bytes())?;
        writer.put(b" HTTP/1.1\r\nHost: ")?;
        writer.put(host.as_bytes())?;
        writer.put(b"\r\n")?;
        Ok(RequestHead { writer, closes: false, expects_continue: false, asks_upgrade: false })
    }

    /// Goes on with a head of which `length` bytes are in `buffer`.
    pub(crate) fn resume(buffer: &'b mut [u8], length: usize) -> Self {
        let writer = Writer::after(buffer, length);
        RequestHead { writer, closes: false, expects_continue: false, asks_upgrade: false }
    }

    /// Adds a header field.
    ///
    /// # Errors
    ///
    /// [`HttpError::ReservedHeader`] for `Host`, `Content-Length` and `Transfer-Encoding`,
    /// [`HttpError::InvalidHeaderName`], [`HttpError::InvalidHeaderValue`], [`HttpError::BufferTooSmall`].
    /// The head is then as it was.
    pub fn header(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        if !is_token(name) {
            return Err(HttpError::InvalidHeaderName);
        }
        if !is_field_value(value) {
            return Err(HttpError::InvalidHeaderValue);
        }
        if is_reserved(name) {
            return Err(HttpError::ReservedHeader);
        }
        let before = self.writer.length();
        let written = self.field(name, value);
        if written.is_err() {
            self.writer.truncate(before);
        } else if name.eq_ignore_ascii_case("connection") {
            self.closes |= elements(value).any(|option| option.eq_ignore_ascii_case(b"close"));
        } else if name.eq_ignore_ascii_case("expect") {
            self.expects_continue |= elements(value).any(|what| what.eq_ignore_ascii_case(b"100-continue"));
        } else if name.eq_ignore_ascii_case("upgrade") {
            self.asks_upgrade = true;
        }
        written
    }

    /// Whether a field so far asks for the connection to be closed.
    #[must_use]
    pub fn closes(&self) -> bool {
        self.closes
    }

    /// Whether a field so far expects a 100 response before the body is sent (RFC 9110 section 10.1.1).
    #[must_use]
    pub fn expects_continue(&self) -> bool {
        self.expects_continue
    }

    /// Whether a field so far asks for another protocol (RFC 9110 section 7.8).
    #[must_use]
    pub fn asks_upgrade(&self) -> bool {
        self.asks_upgrade
    }

    /// The length of the head so far.
    pub(crate) fn length(&self) -> usize {
        self.writer.length()
    }

    /// Ends the head and returns its length.
    ///
    /// # Errors
    ///
    /// [`HttpError::BufferTooSmall`].
    pub fn finish(mut self, body: RequestBody) -> Result<usize, HttpError> {
        match body {
            RequestBody::None => {}
            RequestBody::Length(length) => {
                self.writer.put(b"Content-Length: ")?;
                self.writer.put_decimal(length)?;
                self.writer.put(b"\r\n")?;
            }
            RequestBody::Chunked => self.writer.put(b"Transfer-Encoding: chunked\r\n")?,
        }
        self.writer.put(b"\r\n")?;
        Ok(self.writer.length())
    }

    fn field(&mut self, name: &str, value: &[u8]) -> Result<(), HttpError> {
        self.writer.put(name.as_bytes())?;
        self.writer.put(b": ")?;
        self.writer.put(value)?;
        self.writer.put(b"\r\n")
    }
}

/// The fields that decide where a request goes and where it ends.
fn is_reserved(name: &str) -> bool {
    ["host", "content-length", "transfer-encoding"].iter().any(|reserved| name.eq_ignore_ascii_case(reserved))
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::String;

    #[track_caller]
    fn head(method: &str, target: &str, headers: &[(&str, &str)], body: RequestBody) -> String {
        let mut buffer = [0; 512];
        let mut head = RequestHead::new(&mut buffer, method, target, "name.test").unwrap();
        for (name, value) in headers {
            head.header(name, value.as_bytes()).unwrap();
        }
        let length = head.finish(body).unwrap();
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    #[track_caller]
    fn refused(method: &str, target: &str, host: &str) -> HttpError {
        RequestHead::new(&mut [0; 512], method, target, host).err().unwrap()
    }

    #[track_caller]
    fn refused_header(name: &str, value: &str) -> HttpError {
        let mut buffer = [0; 512];
        let mut head = RequestHead::new(&mut buffer, "GET", "/", "name.test").unwrap();
        let length = head.length();
        let error = head.header(name, value.as_bytes()).unwrap_err();
        assert_eq!(head.length(), length, "something was written");
        error
    }

    #[test]
    fn each_framing_has_its_field() {
        assert_eq!(
            head("GET", "/a?b=c", &[], RequestBody::None),
            "GET /a?b=c HTTP/1.1\r\nHost: name.test\r\n\r\n"
        );
        assert_eq!(
            head("POST", "/", &[("A", "b"), ("a", "")], RequestBody::Length(0)),
            "POST / HTTP/1.1\r\nHost: name.test\r\nA: b\r\na: \r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(
            head("PUT", "*", &[], RequestBody::Chunked),
            "PUT * HTTP/1.1\r\nHost: name.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        );
    }

    #[test]
    fn an_empty_path_is_sent_as_a_slash() {
        assert!(head("GET", "", &[], RequestBody::None).starts_with("GET / HTTP"));
        assert!(head("GET", "?q=1", &[], RequestBody::None).starts_with("GET /?q=1 HTTP"));
        assert!(head("GET", "http://a/", &[], RequestBody::None).starts_with("GET http://a/ HTTP"));
    }

    #[test]
    fn a_body_is_announced_where_one_is_expected() {
        assert_eq!(RequestBody::from_bytes("POST", b""), RequestBody::Length(0));
        assert_eq!(RequestBody::from_bytes("GET", b""), RequestBody::None);
        assert_eq!(RequestBody::from_bytes("DELETE", b"abc"), RequestBody::Length(3));
    }

    #[test]
    fn a_method_that_is_no_token_is_refused() {
        for method in ["", "GET ", "G T", "GET\r\nX: y", "G\0T", "GÉT", "GET\t", "GET:"] {
            assert_eq!(refused(method, "/", "a"), HttpError::InvalidMethod, "{method:?}");
        }
    }

    #[test]
    fn a_target_that_could_split_the_request_is_refused() {
        for target in ["/ HTTP/1.1\r\nX: y", "/a b", "/\r", "/\n", "/\0", "/\t", "/\x7f", "/é", "/a#b", " /"]
        {
            assert_eq!(refused("GET", target, "a"), HttpError::InvalidTarget, "{target:?}");
        }
    }

    #[test]
    fn a_host_that_could_split_the_request_is_refused() {
        for host in ["a b", "a\r\nX: y", "a\0", "a/b", "a@b", "\u{e9}"] {
            assert_eq!(refused("GET", "/", host), HttpError::InvalidHost, "{host:?}");
        }
    }

    #[test]
    fn a_header_that_could_split_the_request_is_refused() {
        for name in ["", "A B", "A:", "A\r\nB", "A\n", "A\0", " A", "Ä"] {
            assert_eq!(refused_header(name, "b"), HttpError::InvalidHeaderName, "{name:?}");
        }
        for value in ["a\r\nB: c", "a\n", "a\r", "\0", "a\r\n b", "\x0b", "\x7f"] {
            assert_eq!(refused_header("A", value), HttpError::InvalidHeaderValue, "{value:?}");
        }
    }

    #[test]
    fn the_fields_that_frame_a_request_are_not_for_the_caller() {
        for name in ["Host", "HOST", "content-length", "Transfer-encoding"] {
            assert_eq!(refused_header(name, "5"), HttpError::ReservedHeader, "{name}");
        }
    }

    #[test]
    fn a_buffer_too_small_is_an_error_at_every_length() {
        let whole = head("POST", "/", &[("A", "b")], RequestBody::Length(12)).len();
        for length in 0..whole {
            let mut buffer = [0; 512];
            let written =
                RequestHead::new(&mut buffer[..length], "POST", "/", "name.test").and_then(|mut head| {
                    head.header("A", b"b")?;
                    head.finish(RequestBody::Length(12))
                });
            assert_eq!(written, Err(HttpError::BufferTooSmall), "{length}");
        }
    }

    #[test]
    fn a_header_that_does_not_fit_leaves_room_for_a_shorter_one() {
        let mut buffer = [0; 50];
        let mut head = RequestHead::new(&mut buffer, "GET", "/", "a").unwrap();
        assert_eq!(head.header("A", &[b'x'; 40]), Err(HttpError::BufferTooSmall));
        head.header("A", b"b").unwrap();
        let length = head.finish(RequestBody::None).unwrap();
        assert_eq!(&buffer[..length], b"GET / HTTP/1.1\r\nHost: a\r\nA: b\r\n\r\n");
    }

    #[test]
    fn asking_for_the_close_is_noticed_in_any_case_and_place() {
        for (value, closes) in
            [("close", true), ("upgrade, CLOSE", true), ("keep-alive", false), ("closed", false)]
        {
            let mut buffer = [0; 128];
            let mut head = RequestHead::new(&mut buffer, "GET", "/", "a").unwrap();
            head.header("connection", value.as_bytes()).unwrap();
            assert_eq!(head.closes(), closes, "{value}");
        }
    }
}
