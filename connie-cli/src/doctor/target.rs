//! What is examined: a host, a port, and how it is asked.

use std::net::Ipv6Addr;

use connie_web::{Scheme, Url, parse_host_port};

use crate::error::Error;

/// What is examined.
pub struct DoctorTarget {
    pub host: String,
    pub port: u16,
    /// How requests are sent; `None` where TLS is tried first, and plain HTTP where the host does not speak
    /// it.
    pub scheme: Option<Scheme>,
    /// The path and query of the request.
    pub request_target: String,
}

impl DoctorTarget {
    /// Reads `HOST`, `HOST:PORT` or a URL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let (url, scheme) = if text.contains("://") {
            let url = Url::parse(text)?;
            let scheme = url.scheme;
            (url, Some(scheme))
        } else if text.parse::<Ipv6Addr>().is_ok() {
            (Url::parse(&format!("https://[{text}]"))?, None)
        } else if let Ok((host, port)) = parse_host_port(text) {
            let url = Url { port, host, ..Url::parse("https://h/")? };
            (url, (port == 80).then_some(Scheme::Http))
        } else {
            (Url::parse(&format!("https://{text}"))?, None)
        };
        let Url { host, port, target: request_target, .. } = url;
        Ok(DoctorTarget { host, port, scheme, request_target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_at_is_a_host_or_a_url() {
        let parse = |text: &str| {
            let target = DoctorTarget::parse(text).unwrap();
            (target.host, target.port, target.scheme, target.request_target)
        };
        let is = |host: &str, port, scheme, target: &str| (host.to_owned(), port, scheme, target.to_owned());
        assert_eq!(parse("name.test"), is("name.test", 443, None, "/"));
        assert_eq!(parse("name.test:80"), is("name.test", 80, Some(Scheme::Http), "/"));
        assert_eq!(parse("name.test:8443"), is("name.test", 8443, None, "/"));
        assert_eq!(parse("::1"), is("::1", 443, None, "/"));
        assert_eq!(parse("[::1]"), is("::1", 443, None, "/"));
        assert_eq!(parse("[::1]:80"), is("::1", 80, Some(Scheme::Http), "/"));
        assert_eq!(parse("192.0.2.1"), is("192.0.2.1", 443, None, "/"));
        assert_eq!(parse("http://name.test/a?b"), is("name.test", 80, Some(Scheme::Http), "/a?b"));
        assert_eq!(parse("https://name.test:1/"), is("name.test", 1, Some(Scheme::Https), "/"));
        for text in ["", ":80", "name.test:x", "ftp://name.test/", "a b"] {
            assert!(DoctorTarget::parse(text).is_err(), "{text:?}");
        }
    }
}
