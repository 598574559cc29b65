//! Reads what a client of an HTTP proxy asks for (RFC 9110 section 9.3.6, RFC 9112 section 3.2), and writes
//! what goes on to the server. No socket.

use connie_http::parts::{BodyFraming, InvalidRequest, ReceivedRequest, RequestKind};
use connie_http::{Header, Version};

use crate::authority::host_and_port;

/// The longest head of a message that is read.
pub const MAX_HEAD: usize = 64 * 1024;

/// What a client asks an HTTP proxy for.
#[derive(Debug)]
pub struct HttpRequest {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The value of Proxy-Authorization.
    pub login: Option<Vec<u8>>,
    /// How many bytes of the input belong to the request's head.
    pub length: usize,
    /// What is to be done there.
    pub kind: HttpRequestKind,
}

/// What is to be done with the host.
#[derive(Debug)]
pub enum HttpRequestKind {
    /// CONNECT: a tunnel.
    Tunnel,
    /// A request to be passed on.
    Forward(ForwardedRequest),
    /// OPTIONS or TRACE with a Max-Forwards of 0: RFC 9110 section 7.6.2, the proxy "MUST respond as the
    /// final recipient".
    Final {
        /// The status that it responds with.
        status: u16,
    },
}

/// A request to be passed on.
#[derive(Debug)]
pub struct ForwardedRequest {
    /// The head as the server is to have it.
    pub head: Vec<u8>,
    /// How the body of the request is framed.
    pub framing: BodyFraming,
    /// What the framing of the answer needs to know.
    pub kind: RequestKind,
    /// What the client speaks.
    pub version: Version,
}

/// Why a request is not served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HttpFault {
    /// It is malformed, or its length is in doubt.
    Invalid(InvalidRequest),
    /// Its head is too long.
    TooLong,
    /// It is a request to a server, and this is a proxy.
    NotForProxy,
    /// The target is neither a host and port nor an `http` URL.
    Target,
    /// A CONNECT with a body.
    Body,
    /// An OPTIONS or TRACE request whose Max-Forwards field is not a number, or appears more than once.
    MaxForwards,
    /// It has come through this proxy before.
    Loop,
}

impl std::fmt::Display for HttpFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            HttpFault::Invalid(invalid) => return invalid.fmt(f),
            HttpFault::TooLong => "the head of the request is too long",
            HttpFault::NotForProxy => {
                "this is a proxy: set it as one in the program, and do not open it as a page"
            }
            HttpFault::Target => "the target of the request is not a host and port, or not an http URL",
            HttpFault::Body => "a CONNECT request has no body",
            HttpFault::MaxForwards => "the Max-Forwards field of the request is not a single number",
            HttpFault::Loop => "the request has come through this proxy before",
        })
    }
}

impl HttpFault {
    /// The status that says so.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            HttpFault::TooLong => 431,
            HttpFault::Loop => 502,
            _ => 400,
        }
    }

    /// What the field Proxy-Status says (RFC 9209 section 2.3).
    #[must_use]
    pub fn name(self) -> &'static str {
        if self == HttpFault::Loop { "proxy_loop_detected" } else { "http_request_error" }
    }
}

/// Reads the request that `bytes` begin with. `None` where its head is not complete. `via` is this proxy's
/// pseudonym (RFC 9110 section 7.6.3), if it has one: it is added in a Via field, and a request that already
/// has it is a loop.
///
/// # Errors
///
/// [`HttpFault`].
pub fn read_http_request(bytes: &mut [u8], via: Option<&str>) -> Result<Option<HttpRequest>, HttpFault> {
    let is_full = bytes.len() >= MAX_HEAD;
    let Some(request) = ReceivedRequest::parse(bytes).map_err(HttpFault::Invalid)? else {
        return if is_full { Err(HttpFault::TooLong) } else { Ok(None) };
    };
    if request.len() > MAX_HEAD {
        return Err(HttpFault::TooLong);
    }
    if via.is_some_and(|own| was_here(&request, own)) {
        return Err(HttpFault::Loop);
    }
    let login = request.header("proxy-authorization").map(<[u8]>::to_vec);
    let length = request.len();
    if request.method() == "CONNECT" {
        let (host, port) = host_and_port(request.target(), None).ok_or(HttpFault::Target)?;
        // What follows the head goes into the tunnel. RFC 9110 section 9.3.6: a CONNECT request "does not
        // have content".
        return match request.framing() {
            BodyFraming::Empty | BodyFraming::Length(0) => {
                Ok(Some(HttpRequest { host, port, login, length, kind: HttpRequestKind::Tunnel }))
            }
            _ => Err(HttpFault::Body),
        };
    }
    let (authority, path) = absolute_form(request.target())?;
    let (host, port) = host_and_port(authority, Some(80)).ok_or(HttpFault::Target)?;
    let kind = match max_forwards(&request)? {
        // The proxy has nothing to say of itself.
        Some(0) if request.method() == "OPTIONS" => HttpRequestKind::Final { status: 200 },
        // Reflecting a request could show a script in a browser what it may not read.
        Some(0) => HttpRequestKind::Final { status: 501 },
        left => HttpRequestKind::Forward(forwarded(&request, (authority, path), left, via)),
    };
    Ok(Some(HttpRequest { host, port, login, length, kind }))
}

/// How often a request may still be passed on, if its method is one for which Max-Forwards counts (RFC 9110
/// section 7.6.2).
fn max_forwards(request: &ReceivedRequest<'_>) -> Result<Option<u64>, HttpFault> {
    if !matches!(request.method(), "OPTIONS" | "TRACE") {
        return Ok(None);
    }
    let mut values = request.headers().all("max-forwards");
    let Some(value) = values.next() else { return Ok(None) };
    let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
    if !is_number || values.next().is_some() {
        return Err(HttpFault::MaxForwards);
    }
    let number = str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
    // "the lesser of a) the received value decremented by one (1) or b) the recipient's maximum supported
    // value".
    Ok(Some(number.unwrap_or(u64::MAX)))
}

/// Whether a Via field names this proxy: RFC 9110 section 7.6.3, `received-protocol RWS received-by`.
fn was_here(request: &ReceivedRequest<'_>, own: &str) -> bool {
    let hops = request.headers().all("via").flat_map(|value| value.split(|byte| *byte == b','));
    let mut by =
        hops.filter_map(|hop| hop.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).nth(1));
    by.any(|by| by == own.as_bytes())
}

/// The authority of an `http` URL, and what follows it.
fn absolute_form(target: &str) -> Result<(&str, &str), HttpFault> {
    if target.starts_with('/') || target == "*" {
        return Err(HttpFault::NotForProxy);
    }
    let (scheme, rest) = target.split_once("://").ok_or(HttpFault::Target)?;
    if !scheme.eq_ignore_ascii_case("http") || rest.contains('#') {
        return Err(HttpFault::Target);
    }
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    rest.split_at_checked(end).ok_or(HttpFault::Target)
}

/// The request as the server is to receive it, with Max-Forwards one less than `max_forwards`. It is the only
/// one on its connection.
fn forwarded(
    request: &ReceivedRequest<'_>,
    (authority, path): (&str, &str),
    max_forwards: Option<u64>,
    via: Option<&str>,
) -> ForwardedRequest {
    let mut head = Vec::with_capacity(request.len());
    let method = request.method();
    let path = match path {
        // RFC 9112 section 3.2.4.
        "" if method == "OPTIONS" => "*",
        "" => "/",
        path => path,
    };
    let slash = if path.starts_with('?') { "/" } else { "" };
    // Section 3.2.2: a proxy "MUST ignore the received Host header field (if any) and instead replace it with
    // the host information of the request-target".
    let authority = authority.strip_suffix(':').unwrap_or(authority);
    put(&mut head, &format!("{method} {slash}{path} HTTP/1.1\r\nHost: {authority}\r\n"));
    let named = named_by_connection(request.headers().all("connection"));
    for field in request.headers() {
        let is = |name: &str| field.name.eq_ignore_ascii_case(name);
        let is_ours = is("host") || is("content-length") || (is("max-forwards") && max_forwards.is_some());
        if !is_ours && goes_on(&field, &named) {
            put_field(&mut head, &field);
        }
    }
    if let Some(most) = max_forwards {
        put(&mut head, &format!("Max-Forwards: {}\r\n", most.saturating_sub(1)));
    }
    match request.framing() {
        BodyFraming::Length(length) => put(&mut head, &format!("Content-Length: {length}\r\n")),
        BodyFraming::Chunked => put(&mut head, "Transfer-Encoding: chunked\r\n"),
        _ => {}
    }
    put_via(&mut head, request.version(), via);
    put(&mut head, "Connection: close\r\n\r\n");
    let kind = if method == "HEAD" { RequestKind::Head } else { RequestKind::Other };
    ForwardedRequest { head, framing: request.framing(), kind, version: request.version() }
}

/// The names that Connection fields list, in lower case.
pub(crate) fn named_by_connection<'a>(values: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let names = values.flat_map(|value| value.split(|byte| *byte == b','));
    names.map(|name| name.trim_ascii().to_ascii_lowercase()).collect()
}

/// Whether a field is for the next one but this proxy, too: RFC 9110 section 7.6.1, with the fields that it
/// names, and those of a proxy.
pub(crate) fn goes_on(field: &Header<'_>, named: &[Vec<u8>]) -> bool {
    const FOR_ONE_HOP: [&str; 9] = [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ];
    let is_named = named.iter().any(|name| field.name.as_bytes().eq_ignore_ascii_case(name));
    !is_named && !FOR_ONE_HOP.iter().any(|name| field.name.eq_ignore_ascii_case(name))
}

pub(crate) fn put_field(head: &mut Vec<u8>, field: &Header<'_>) {
    put(head, field.name);
    put(head, ": ");
    head.extend_from_slice(field.value);
    put(head, "\r\n");
}

/// Adds the Via field of a message that was received in this version: RFC 9110 section 7.6.3,
/// "received-protocol".
pub(crate) fn put_via(head: &mut Vec<u8>, version: Version, via: Option<&str>) {
    if let Some(own) = via {
        let version = if version == Version::Http10 { "1.0" } else { "1.1" };
        put(head, &format!("Via: {version} {own}\r\n"));
    }
}

pub(crate) fn put(head: &mut Vec<u8>, text: &str) {
    head.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Result<Option<HttpRequest>, HttpFault> {
        read_http_request(&mut raw.as_bytes().to_vec(), None)
    }

    #[track_caller]
    fn head(raw: &str) -> String {
        match read(raw).unwrap().unwrap().kind {
            HttpRequestKind::Forward(forwarded) => String::from_utf8(forwarded.head).unwrap(),
            other => panic!("a request to be passed on, and not {other:?}"),
        }
    }

    #[test]
    fn a_tunnel_leads_to_a_host_and_a_port() {
        let request = read(
            "CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: x\r\nProxy-Authorization: Basic YQ==\r\n\r\nearly",
        );
        let request = request.unwrap().unwrap();
        assert!(matches!(request.kind, HttpRequestKind::Tunnel));
        assert_eq!((&*request.host, request.port), ("2001:db8::1", 443));
        assert_eq!(request.login.as_deref(), Some(&b"Basic YQ=="[..]));
        assert_eq!(request.length, 80);
        for target in
            ["name.test", "name.test:", "/", "http://name.test/", "u@name.test:443", "name.test:443/"]
        {
            let raw = format!("CONNECT {target} HTTP/1.1\r\nHost: x\r\n\r\n");
            assert_eq!(read(&raw).unwrap_err(), HttpFault::Target, "{target}");
        }
        let with_body = "CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n";
        assert_eq!(read(with_body).unwrap_err(), HttpFault::Body);
    }

    #[test]
    fn what_goes_on_is_one_request_for_one_server() {
        assert_eq!(
            head("GET http://name.test:8080/a?b HTTP/1.0\r\n\r\n"),
            "GET /a?b HTTP/1.1\r\nHost: name.test:8080\r\nConnection: close\r\n\r\n"
        );
        assert_eq!(
            head(concat!(
                "POST HTTP://name.test?q HTTP/1.1\r\nhost: other.test\r\nConnection: X-Hop , cookie, content-length\r\n",
                "Proxy-Connection: keep-alive\r\nproxy-authorization: Basic YQ==\r\nx-hop: 1\r\nCookie: 2\r\nTE: trailers\r\n",
                "Upgrade: h2c\r\nX-Stays:  a b \r\nContent-Length: 3\r\n\r\nabc"
            )),
            "POST /?q HTTP/1.1\r\nHost: name.test\r\nX-Stays: a b\r\nContent-Length: 3\r\nConnection: close\r\n\r\n"
        );
        assert!(
            head("OPTIONS http://a HTTP/1.1\r\nHost: a\r\n\r\n")
                .starts_with("OPTIONS * HTTP/1.1\r\nHost: a\r\n")
        );
        assert!(
            head("GET http://a:/ HTTP/1.1\r\nHost: a\r\n\r\n").starts_with("GET / HTTP/1.1\r\nHost: a\r\n")
        );
        let chunked = head("PUT http://a/ HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(chunked.matches("chunked").count(), 1, "{chunked}");
    }

    #[test]
    fn what_is_no_request_to_a_proxy_is_refused() {
        for (target, fault) in [
            ("/", HttpFault::NotForProxy),
            ("*", HttpFault::NotForProxy),
            ("https://a/", HttpFault::Target),
            ("ftp://a/", HttpFault::Target),
            ("a", HttpFault::Target),
            ("http://", HttpFault::Target),
            ("http:///x", HttpFault::Target),
            ("http://u:p@a/", HttpFault::Target),
            ("http://a/#b", HttpFault::Target),
            ("http://a b/", HttpFault::Invalid(InvalidRequest::RequestLine)),
            ("http://a:99999/", HttpFault::Target),
        ] {
            let raw = format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n");
            assert_eq!(read(&raw).unwrap_err(), fault, "{target}");
        }
    }

    #[test]
    fn a_request_that_was_here_before_is_a_loop() {
        let with = |fields: &str, target: &str| {
            let raw = format!("{target} HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
            read_http_request(&mut raw.into_bytes(), Some("connie-7f")).map(|read| read.unwrap())
        };
        for target in ["GET http://a/", "CONNECT a:80"] {
            for fields in [
                "Via: 1.1 connie-7f\r\n",
                "Via: 1.0 x, 1.1\tconnie-7f (y)\r\n",
                "via: 1.1 x\r\nVIA: 1.1  connie-7f\r\n",
            ] {
                let read = with(fields, target);
                assert!(matches!(read, Err(HttpFault::Loop)), "{fields} {read:?}");
            }
            for fields in ["", "Via: 1.1 connie-80\r\n", "Via: connie-7f 1.1\r\n", "X: 1.1 connie-7f\r\n"] {
                assert!(with(fields, target).is_ok(), "{fields}");
            }
        }
        let HttpRequestKind::Forward(request) = with("Via: 1.0 x\r\n", "GET http://a/").unwrap().kind else {
            panic!()
        };
        let head = String::from_utf8(request.head).unwrap();
        assert!(head.contains("\r\nVia: 1.0 x\r\nVia: 1.1 connie-7f\r\n"), "{head}");
        // The version is that of the message received.
        let read = read_http_request(&mut b"GET http://a/ HTTP/1.0\r\n\r\n".to_vec(), Some("connie-7f"));
        let HttpRequestKind::Forward(request) = read.unwrap().unwrap().kind else { panic!() };
        let head = String::from_utf8(request.head).unwrap();
        assert!(head.contains("\r\nVia: 1.0 connie-7f\r\n"), "{head}");
        assert_eq!((HttpFault::Loop.status(), HttpFault::Loop.name()), (502, "proxy_loop_detected"));
    }

    #[test]
    fn options_and_trace_are_not_passed_on_too_often() {
        let with =
            |method: &str, fields: &str| format!("{method} http://a/ HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        for (method, wanted) in [("OPTIONS", 200), ("TRACE", 501)] {
            for fields in [
                "Max-Forwards: 0\r\n",
                "max-forwards: 00\r\n",
                "Connection: Max-Forwards\r\nMax-Forwards: 0\r\n",
            ] {
                let kind = read(&with(method, fields)).unwrap().unwrap().kind;
                assert!(
                    matches!(kind, HttpRequestKind::Final { status } if status == wanted),
                    "{fields} {kind:?}"
                );
            }
            for (value, left) in [("1", "0"), ("10", "9"), ("99999999999999999999", "18446744073709551614")] {
                let head = head(&with(method, &format!("MAX-FORWARDS: {value}\r\nX: 1\r\n")));
                assert!(head.contains(&format!("\r\nMax-Forwards: {left}\r\n")), "{head}");
                assert_eq!(head.to_lowercase().matches("max-forwards").count(), 1, "{head}");
            }
            for value in ["", "-1", "+1", "1.0", "x", "1, 1", "1\r\nMax-Forwards: 1"] {
                let read = read(&with(method, &format!("Max-Forwards: {value}\r\n")));
                assert_eq!(read.unwrap_err(), HttpFault::MaxForwards, "{value}");
            }
            assert!(!head(&with(method, "")).contains("Max-Forwards"));
        }
        // Of others "A recipient MAY ignore" it.
        assert!(head(&with("GET", "Max-Forwards: 0\r\n")).contains("\r\nMax-Forwards: 0\r\n"));
    }

    #[test]
    fn a_head_is_bounded() {
        let long = |length: usize| format!("GET http://a/ HTTP/1.1\r\nHost: a\r\nB: {}", "x".repeat(length));
        assert!(read(&long(MAX_HEAD - 100)).unwrap().is_none());
        assert_eq!(read(&long(MAX_HEAD)).unwrap_err(), HttpFault::TooLong);
        assert_eq!(read(&(long(MAX_HEAD) + "\r\n\r\n")).unwrap_err(), HttpFault::TooLong);
        assert_eq!(HttpFault::TooLong.status(), 431);
    }
}
