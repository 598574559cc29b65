//! A client of the proxy that speaks HTTP, or says anything at all.

use connie_http::Version;
use connie_http::parts::{BodyFraming, ReceivedRequest};
use connie_proxy::parts::{ForwardedRequest, HttpFault, HttpRequest, HttpRequestKind, read_http_request};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// Reads a request to a proxy, whose first byte says whether the proxy names itself.
///
/// # Panics
///
/// Where a part of it is read as something else than the whole; where httparse sees another request; where
/// what goes on is not one request, for one host, with one length.
pub fn proxy_request(data: &[u8]) {
    let mut draw = Draw::new(data);
    let via = draw.flag();
    let input = draw.rest();
    note(|| format!("{}: {}", if via { "via" } else { "quiet" }, hex(input)));
    let whole = read(input, via);
    let Ok(Some(request)) = &whole else { return };
    let head = &input[..request.length];
    assert!(head.ends_with(b"\r\n\r\n"), "it ends with its empty line");
    for length in 0..head.len() {
        assert!(matches!(read(&input[..length], via), Ok(None)), "{length} bytes are no head");
    }
    assert_eq!(said(&read(head, via)), said(&whole), "what follows makes a difference");
    is_what_httparse_sees(head, request);
    assert!(request.port > 0 && !request.host.is_empty());
    match &request.kind {
        HttpRequestKind::Forward(forwarded) => goes_on_as_one(forwarded, via, request),
        HttpRequestKind::Tunnel => assert!(head.starts_with(b"CONNECT ")),
        HttpRequestKind::Final { status: 200 } => assert!(head.starts_with(b"OPTIONS ")),
        HttpRequestKind::Final { .. } => assert!(head.starts_with(b"TRACE ")),
    }
}

fn read(input: &[u8], via: bool) -> Result<Option<HttpRequest>, HttpFault> {
    let mut bytes = input.to_vec();
    let read = read_http_request(&mut bytes, via.then_some("connie"));
    assert_eq!(bytes, input, "it is left as it is");
    read
}

fn said(read: &Result<Option<HttpRequest>, HttpFault>) -> String {
    format!("{read:?}")
}

#[track_caller]
fn is_what_httparse_sees(head: &[u8], request: &HttpRequest) {
    let mut fields = vec![httparse::EMPTY_HEADER; head.len()];
    let mut second = httparse::Request::new(&mut fields);
    // It refuses some bytes in a target that are visible.
    let Ok(httparse::Status::Complete(length)) = second.parse(head) else { return };
    assert_eq!(length, request.length, "two opinions of where the head ends");
    let logins = second.headers.iter().find(|field| field.name.eq_ignore_ascii_case("proxy-authorization"));
    assert_eq!(logins.map(|field| field.value), request.login.as_deref());
    assert_eq!(second.method == Some("CONNECT"), matches!(request.kind, HttpRequestKind::Tunnel));
}

#[track_caller]
fn goes_on_as_one(forwarded: &ForwardedRequest, via: bool, request: &HttpRequest) {
    let mut head = forwarded.head.clone();
    let text = String::from_utf8_lossy(&forwarded.head).into_owned();
    let again = ReceivedRequest::parse(&mut head).unwrap_or_else(|error| panic!("{error}: {text:?}"));
    let again = again.unwrap_or_else(|| panic!("it does not end: {text:?}"));
    assert_eq!(again.len(), forwarded.head.len(), "there is more behind it: {text:?}");
    assert_eq!(again.framing(), forwarded.framing, "{text:?}");
    assert!(again.target().starts_with('/') || again.target() == "*", "{text:?}");
    assert!(!matches!(forwarded.framing, BodyFraming::UntilClose), "{text:?}");
    let host = again.header("host").and_then(|host| std::str::from_utf8(host).ok()).unwrap_or_default();
    assert!(host.contains(&request.host) || request.host.contains(':'), "{text:?}");
    for name in ["proxy-authorization", "proxy-connection", "keep-alive", "te", "trailer", "upgrade"] {
        assert!(again.header(name).is_none(), "{name}: {text:?}");
    }
    let options: Vec<_> = again.headers().all("connection").collect();
    assert_eq!(options, [b"close"], "{text:?}");
    let own: &[u8] = if forwarded.version == Version::Http10 { b"1.0 connie" } else { b"1.1 connie" };
    assert!(!via || again.headers().all("via").last() == Some(own), "{text:?}");
}
