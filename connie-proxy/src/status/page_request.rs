//! Which requests for the status are answered: those that a program on this machine makes on purpose.

use std::net::{IpAddr, SocketAddr};

use connie_http::parts::ReceivedRequest;

use crate::authority::host_and_port;

/// A request for a page.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum PageRequest {
    /// The page of this path. `known` is the field If-None-Match: the versions that the client has.
    Page { path: String, known: Option<String> },
    /// One that is refused with this status.
    Refused(u16),
}

/// Reads the request that `bytes` begin with; `None` where its head is not complete. The status is shown at
/// `own`.
///
/// Another site may have its own name resolve to this machine (DNS rebinding): then the Host field has that
/// name. Or its page may have the browser send a request here: then Origin and Sec-Fetch-Site say so.
pub(super) fn read_page_request(bytes: &mut [u8], own: SocketAddr) -> Option<PageRequest> {
    let request = match ReceivedRequest::parse(bytes) {
        Ok(request) => request?,
        Err(_) => return Some(PageRequest::Refused(400)),
    };
    let text = |name: &str| request.header(name).map(|value| std::str::from_utf8(value).unwrap_or("?"));
    let is_ours = text("host").is_some_and(|host| names_own(host, own));
    let is_same = |origin: &str| origin.strip_prefix("http://").is_some_and(|host| names_own(host, own));
    let is_asked_here = text("origin").is_none_or(is_same)
        && text("sec-fetch-site").is_none_or(|site| matches!(site, "none" | "same-origin"));
    if !is_ours || !is_asked_here {
        return Some(PageRequest::Refused(403));
    }
    if !matches!(request.method(), "GET" | "HEAD") {
        return Some(PageRequest::Refused(405));
    }
    let path = request.target().split('?').next().unwrap_or_default().to_owned();
    let known = text("if-none-match").map(str::to_owned);
    Some(PageRequest::Page { path, known })
}

/// Whether a host and port are this machine's, by address or as `localhost`, and the port is the right one.
fn names_own(text: &str, own: SocketAddr) -> bool {
    let Some((host, port)) = host_and_port(text, Some(80)) else { return false };
    let is_here = host.parse().is_ok_and(|ip: IpAddr| ip.to_canonical() == own.ip().to_canonical());
    port == own.port() && (is_here || host.eq_ignore_ascii_case("localhost"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(raw: &str) -> Option<PageRequest> {
        read_page_request(&mut raw.as_bytes().to_vec(), "127.0.0.1:1081".parse().unwrap())
    }

    #[test]
    fn programs_on_this_machine_are_answered() {
        for host in ["127.0.0.1:1081", "localhost:1081", "LOCALHOST:1081", "[::ffff:127.0.0.1]:1081"] {
            let page = || Some(PageRequest::Page { path: "/metrics".to_owned(), known: None });
            assert_eq!(read(&format!("GET /metrics?x HTTP/1.1\r\nHost: {host}\r\n\r\n")), page(), "{host}");
            let fields = format!("Origin: http://{host}\r\nSec-Fetch-Site: same-origin\r\n");
            assert_eq!(read(&format!("HEAD /metrics HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n")), page());
        }
        assert_eq!(read("GET / HTTP/1.1\r\nHost: 127.0.0.1:1081\r\n"), None);
        let read = read("GET / HTTP/1.1\r\nHost: 127.0.0.1:1081\r\nIf-None-Match: \"a\"\r\n\r\n");
        let known = Some("\"a\"".to_owned());
        assert_eq!(read, Some(PageRequest::Page { path: "/".to_owned(), known }));
    }

    #[test]
    fn pages_of_other_sites_are_not() {
        let refused = Some(PageRequest::Refused(403));
        for host in [
            "evil.test:1081",
            "127.0.0.1",
            "127.0.0.1:1080",
            "127.0.0.1.evil.test:1081",
            "localhost.evil.test:1081",
            "",
            "u@localhost:1081",
        ] {
            assert_eq!(read(&format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n")), refused, "{host}");
        }
        for field in [
            "Origin: http://evil.test",
            "Origin: null",
            "Origin: https://127.0.0.1:1081",
            "Origin: http://127.0.0.1:1080",
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Origin: \u{ff}",
        ] {
            let raw = format!("GET / HTTP/1.1\r\nHost: 127.0.0.1:1081\r\n{field}\r\n\r\n");
            assert_eq!(read(&raw), refused, "{field}");
        }
        assert_eq!(read("GET / HTTP/1.0\r\n\r\n"), refused);
        assert_eq!(read("POST / HTTP/1.1\r\nHost: 127.0.0.1:1081\r\n\r\n"), Some(PageRequest::Refused(405)));
        assert_eq!(read("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), Some(PageRequest::Refused(400)));
    }
}
