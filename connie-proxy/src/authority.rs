//! Reads a host and a port from one text, as HTTP requests to a proxy have them.

use connie_std::connie_core::resolution::Host;

/// The host and the port of `text`: `name.test:80`, `192.0.2.1`, `[2001:db8::1]:443`. `None` where it is
/// something else, such as one with a user's name, or where it has no port and there is no default.
pub(crate) fn host_and_port(text: &str, default_port: Option<u16>) -> Option<(String, u16)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (host, rest) = rest.split_once(']')?;
            host.parse::<std::net::Ipv6Addr>().ok()?;
            (host, rest)
        }
        None => {
            let end = text.find(':').unwrap_or(text.len());
            text.split_at_checked(end)?
        }
    };
    let port = match (port, port.strip_prefix(':')) {
        // RFC 3986 section 3.2.3: an empty port is the same as no port.
        ("" | ":", _) => default_port?,
        (_, Some(digits)) if digits.len() <= 5 && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().ok()?
        }
        _ => return None,
    };
    // It goes into a Host field, which not every name that DNS accepts may stand in.
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':');
    let is_host = Host::parse(host).is_ok() && host.bytes().all(is_plain);
    (is_host && port != 0).then(|| (host.to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_a_host_and_a_port() {
        for (text, host, port) in [
            ("name.test:443", "name.test", 443),
            ("name.test", "name.test", 80),
            ("name.test:", "name.test", 80),
            ("192.0.2.1:1", "192.0.2.1", 1),
            ("[2001:db8::1]:65535", "2001:db8::1", 65_535),
            ("[::1]", "::1", 80),
        ] {
            assert_eq!(host_and_port(text, Some(80)), Some((host.to_owned(), port)), "{text}");
        }
        for text in [
            "",
            ":80",
            "a:0",
            "a:65536",
            "a:+1",
            "a:1:2",
            "a:x",
            "u@a:80",
            "u:p@a:80",
            "[::1",
            "[a]:80",
            "::1",
            "[::1]x",
            "[fe80::1%eth0]:80",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a..b",
            "1.2.3",
            "\u{e9}",
        ] {
            assert_eq!(host_and_port(text, Some(80)), None, "{text:?}");
        }
        assert_eq!(host_and_port("a", None), None);
        assert_eq!(host_and_port("a:", None), None);
    }
}
