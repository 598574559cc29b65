//! Splits `http` URLs into what a request needs: host, port and target.
//!
//! Written here because the `url` crate brings the tables of internationalised names along, which weigh more than the rest of
//! the program. Names have to come in their ASCII form.

use std::fmt;
use std::net::Ipv6Addr;

/// The longest host name, in octets (RFC 1035 section 2.3.4, less the length octets that text does not show).
const MAX_HOST: usize = 253;
/// The longest label of a host name, in octets.
const MAX_LABEL: usize = 63;

/// An `http` URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// The host's name in lower case, or its address; IPv6 without brackets, with its zone after `%`.
    pub host: String,
    /// The port; 80 where the URL has none.
    pub port: u16,
    /// Path and query, as the request line has them. Begins with `/`.
    pub target: String,
}

/// Why a URL was refused. Prints as one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UrlError {
    /// It begins with a scheme that this program does not speak.
    UnsupportedScheme(String),
    /// It is not a URL, or one that cannot be fetched.
    Malformed(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::UnsupportedScheme(scheme) if scheme == "https" => {
                f.write_str("https needs TLS, which is not in this build: give an http URL")
            }
            UrlError::UnsupportedScheme(scheme) => {
                write!(f, "the scheme {scheme:?} is not supported: give an http URL")
            }
            UrlError::Malformed(reason) => f.write_str(reason),
        }
    }
}

impl Url {
    /// Reads a URL. Without a scheme it is taken as `http`. A fragment is dropped, as it is not sent.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return malformed("the URL holds a space or a control character: write it as %20 or the like");
        }
        let rest = strip_scheme(text)?;
        let rest = rest.split_once('#').map_or(rest, |(before, _)| before);
        let (authority, tail) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let (host, port) = split_authority(authority)?;
        Ok(Url { host, port: port.unwrap_or(80), target: target(tail) })
    }
}

/// Reads `HOST:PORT`, where the port is not optional.
pub fn parse_host_port(text: &str) -> Result<(String, u16), UrlError> {
    if text.contains("://") || text.contains('/') {
        return malformed(format!("{text:?} is not HOST:PORT: leave scheme and path away"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return malformed(format!("{text:?} is not HOST:PORT: it holds a space or a control character"));
    }
    match split_authority(text)? {
        (host, Some(port)) => Ok((host, port)),
        (host, None) => malformed(format!("{text:?} has no port: give {host}:80 or the like")),
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError::Malformed(reason.into()))
}

/// What follows `http://`, or all of it where there is no scheme.
fn strip_scheme(text: &str) -> Result<&str, UrlError> {
    let is_scheme = |scheme: &str| scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b));
    match text.split_once("://") {
        Some(("", _)) => malformed("the URL has nothing before \"://\": give an http URL"),
        Some((scheme, rest)) if is_scheme(scheme) => match scheme.to_ascii_lowercase() {
            scheme if scheme == "http" => Ok(rest),
            scheme => Err(UrlError::UnsupportedScheme(scheme)),
        },
        _ => {
            let start = text.split_once('/').map_or(text, |(start, _)| start).to_ascii_lowercase();
            if matches!(start.as_str(), "http:" | "https:") {
                return malformed(format!("the URL needs two slashes after {start:?}"));
            }
            Ok(text)
        }
    }
}

/// Host and port; the port where there is one.
fn split_authority(authority: &str) -> Result<(String, Option<u16>), UrlError> {
    if authority.contains('@') {
        return malformed("a user name in the URL is not supported: use -H 'Authorization: ...'");
    }
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return malformed(format!("the IPv6 address in {authority:?} has no closing bracket"));
        };
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => None,
            None => return malformed(format!("{after:?} after the IPv6 address is not a port")),
        };
        return Ok((ipv6(address)?, port));
    }
    match authority.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            malformed(format!("{authority:?} is not a host: write an IPv6 address in brackets"))
        }
        Some((host, port)) => Ok((name(host)?, parse_port(port)?)),
        None => Ok((name(authority)?, None)),
    }
}

/// A port, or `None` for the empty text, which stands for the scheme's own (RFC 3986 section 6.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(0) => malformed("nothing can be fetched from port 0: give one from 1 to 65535"),
        Ok(port) if digits => Ok(Some(port)),
        _ => malformed(format!("{text:?} is not a port: give a number from 1 to 65535")),
    }
}

/// An IPv6 address as it stands within brackets. The zone may follow `%25`, as RFC 6874 wants it, or a bare `%`, as people write
/// it and curl takes it.
fn ipv6(text: &str) -> Result<String, UrlError> {
    let (address, zone) = match text.split_once('%') {
        None => (text, None),
        Some((address, zone)) => {
            (address, Some(zone.strip_prefix("25").filter(|z| !z.is_empty()).unwrap_or(zone)))
        }
    };
    let Ok(parsed) = address.parse::<Ipv6Addr>() else {
        return malformed(format!("{address:?} is not an IPv6 address"));
    };
    match zone {
        None => Ok(parsed.to_string()),
        Some(zone) if is_zone(zone) => Ok(format!("{parsed}%{zone}")),
        Some(zone) => malformed(format!("{zone:?} is not the zone of an IPv6 address: give an interface")),
    }
}

fn is_zone(zone: &str) -> bool {
    !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// A host's name, or an IPv4 address.
fn name(text: &str) -> Result<String, UrlError> {
    if text.is_empty() {
        return malformed("the URL has no host");
    }
    if !text.is_ascii() {
        return malformed(format!("{text:?} is not ASCII: write the name in its xn-- form"));
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(other) = text.chars().find(|c| !allowed(*c)) {
        return malformed(format!("a host's name cannot hold {other:?}"));
    }
    // One dot at the end marks a name as complete and is not counted.
    let relative = text.strip_suffix('.').unwrap_or(text);
    if relative.len() > MAX_HOST {
        return malformed(format!("the host's name has {} octets: {MAX_HOST} is the most", relative.len()));
    }
    for label in relative.split('.') {
        match label.len() {
            0 => return malformed(format!("{text:?} is not a host: there is nothing between two dots")),
            1..=MAX_LABEL => {}
            long => {
                return malformed(format!(
                    "a part of the host's name has {long} octets: {MAX_LABEL} is the most"
                ));
            }
        }
    }
    Ok(text.to_ascii_lowercase())
}

/// Path and query for the request line: never empty, without dot segments, and in ASCII.
fn target(tail: &str) -> String {
    let (path, query) = match tail.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (tail, None),
    };
    let mut target = without_dots(path);
    if let Some(query) = query {
        target.push('?');
        target.push_str(query);
    }
    let mut ascii = String::with_capacity(target.len());
    for byte in target.bytes() {
        match byte {
            0x00..=0x7f => ascii.push(char::from(byte)),
            // RFC 3987 section 3.1: the octets of UTF-8, each percent-encoded.
            _ => ascii.push_str(&format!("%{byte:02X}")),
        }
    }
    ascii
}

/// The path without its dot segments (RFC 3986 section 5.2.4). Begins with `/`.
fn without_dots(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    let mut ends_in_dots = false;
    for segment in path.strip_prefix('/').unwrap_or(path).split('/') {
        ends_in_dots = matches!(segment, "." | "..");
        match segment {
            "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(other),
        }
    }
    if ends_in_dots {
        segments.push("");
    }
    format!("/{}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn splits(text: &str, host: &str, port: u16, target: &str) {
        let expected = Url { host: host.to_owned(), port, target: target.to_owned() };
        assert_eq!(Url::parse(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refuses(text: &str, part_of_reason: &str) {
        match Url::parse(text) {
            Err(UrlError::Malformed(reason)) => assert!(reason.contains(part_of_reason), "{text}: {reason}"),
            other => panic!("{text}: {other:?}"),
        }
    }

    #[track_caller]
    fn has_scheme(text: &str, scheme: &str) {
        assert_eq!(Url::parse(text), Err(UrlError::UnsupportedScheme(scheme.to_owned())), "{text}");
    }

    #[test]
    fn urls_that_can_be_fetched() {
        splits("http://example.org", "example.org", 80, "/");
        splits("http://example.org/", "example.org", 80, "/");
        splits("http://example.org/a/b.html", "example.org", 80, "/a/b.html");
        splits("http://example.org:8080/a", "example.org", 8080, "/a");
        splits("http://example.org:/a", "example.org", 80, "/a");
        splits("http://example.org:0080/", "example.org", 80, "/");
        splits("http://example.org:65535", "example.org", 65535, "/");
        splits("http://example.org?q=1", "example.org", 80, "/?q=1");
        splits("http://example.org/?q=1&r=2", "example.org", 80, "/?q=1&r=2");
        splits("http://example.org/a?b?c", "example.org", 80, "/a?b?c");
        splits("http://example.org/a?u=http://b/../c", "example.org", 80, "/a?u=http://b/../c");
        splits("http://example.org/a#part", "example.org", 80, "/a");
        splits("http://example.org#part", "example.org", 80, "/");
        splits("http://example.org?q#part?x/y", "example.org", 80, "/?q");
        splits("HTTP://EXAMPLE.org/A", "example.org", 80, "/A");
        splits("hTTp://example.org", "example.org", 80, "/");
        splits("example.org", "example.org", 80, "/");
        splits("example.org/path", "example.org", 80, "/path");
        splits("localhost:8080", "localhost", 8080, "/");
        splits("localhost:8080/x?y", "localhost", 8080, "/x?y");
        splits("example.org/go?to=https://b.test/", "example.org", 80, "/go?to=https://b.test/");
        splits("http://127.0.0.1:1/", "127.0.0.1", 1, "/");
        splits("http://127.1/", "127.1", 80, "/");
        splits("http://under_score.test/", "under_score.test", 80, "/");
        splits("http://xn--bcher-kva.example/", "xn--bcher-kva.example", 80, "/");
        splits("http://example.org./", "example.org.", 80, "/");
    }

    #[test]
    fn ipv6_addresses() {
        splits("http://[::1]/", "::1", 80, "/");
        splits("http://[::1]:8080/a", "::1", 8080, "/a");
        splits("http://[::1]", "::1", 80, "/");
        splits("http://[::1]?q", "::1", 80, "/?q");
        splits("[::1]:8080", "::1", 8080, "/");
        splits("http://[2001:DB8:0:0::1]/", "2001:db8::1", 80, "/");
        splits("http://[::ffff:192.0.2.1]/", "::ffff:192.0.2.1", 80, "/");
        splits("http://[fe80::1%25eth0]/", "fe80::1%eth0", 80, "/");
        splits("http://[fe80::1%25eth0.100]:81/", "fe80::1%eth0.100", 81, "/");
        splits("http://[fe80::1%eth0]/", "fe80::1%eth0", 80, "/");
        splits("http://[fe80::1%2]/", "fe80::1%2", 80, "/");
        splits("http://[fe80::1%25]/", "fe80::1%25", 80, "/");
        refuses("http://[::1/", "closing bracket");
        refuses("http://[::1]8080/", "not a port");
        refuses("http://[::1]a/", "not a port");
        refuses("http://[]/", "not an IPv6 address");
        refuses("http://[127.0.0.1]/", "not an IPv6 address");
        refuses("http://[1::2::3]/", "not an IPv6 address");
        refuses("http://[example.org]/", "not an IPv6 address");
        refuses("http://[fe80::1%]/", "zone");
        refuses("http://[fe80::1%25a/b]/", "closing bracket");
        refuses("http://::1/", "in brackets");
        refuses("2001:db8::1", "in brackets");
    }

    #[test]
    fn paths_lose_their_dots() {
        splits("http://h/a/./b", "h", 80, "/a/b");
        splits("http://h/a/../b", "h", 80, "/b");
        splits("http://h/../../b", "h", 80, "/b");
        splits("http://h/a/b/..", "h", 80, "/a/");
        splits("http://h/a/.", "h", 80, "/a/");
        splits("http://h/..", "h", 80, "/");
        splits("http://h/a//b", "h", 80, "/a//b");
        splits("http://h//", "h", 80, "//");
        splits("http://h/...", "h", 80, "/...");
        splits("http://h/a/?../b", "h", 80, "/a/?../b");
    }

    #[test]
    fn what_is_not_ascii_is_encoded_behind_the_host() {
        splits("http://h/bücher?q=ü", "h", 80, "/b%C3%BCcher?q=%C3%BC");
        splits("http://h/%20%zz", "h", 80, "/%20%zz");
        splits("http://h/{a}|b", "h", 80, "/{a}|b");
        refuses("http://bücher.example/", "xn--");
    }

    #[test]
    fn ports_that_cannot_be() {
        refuses("http://h:0/", "port 0");
        refuses("http://h:00000/", "port 0");
        refuses("http://h:65536/", "not a port");
        refuses("http://h:+80/", "not a port");
        refuses("http://h:-1/", "not a port");
        refuses("http://h:8o/", "not a port");
        refuses("mailto:x", "not a port");
    }

    #[test]
    fn hosts_that_cannot_be() {
        refuses("", "no host");
        refuses("http://", "no host");
        refuses("http:///path", "no host");
        refuses("http://:80/", "no host");
        refuses("http://?q", "no host");
        refuses("/path", "no host");
        refuses("http://a..b/", "two dots");
        refuses("http://./", "two dots");
        refuses("http://.a/", "two dots");
        refuses("http://a%41/", "'%'");
        refuses("http://a\\b/", "'\\\\'");
        refuses("http://a,b/", "','");
        refuses("http://user@h/", "user name");
        refuses("http://user:secret@h/", "user name");
        refuses("http://h /", "space");
        refuses("http://h/a b", "space");
        refuses("http://h/a\tb", "space");
        refuses("http://h/a\r\nX: y", "space");
        refuses("http://h/\u{0}", "control");
        refuses("http://h/\u{85}", "control");
        refuses(" http://h/", "space");
    }

    #[test]
    fn hosts_have_a_longest() {
        let label = "a".repeat(63);
        let longest = format!("{label}.{label}.{label}.{}", "a".repeat(61));
        splits(&format!("http://{longest}/"), &longest, 80, "/");
        splits(&format!("http://{longest}./"), &format!("{longest}."), 80, "/");
        refuses(&format!("http://{longest}a/"), "254 octets");
        refuses(&format!("http://{label}a.test/"), "64 octets");
    }

    #[test]
    fn schemes_that_are_not_http() {
        has_scheme("https://example.org/", "https");
        has_scheme("HTTPS://example.org/", "https");
        has_scheme("ftp://example.org/", "ftp");
        has_scheme("file:///etc/passwd", "file");
        has_scheme("svn+ssh://h/", "svn+ssh");
        has_scheme("gopher://h", "gopher");
        refuses("://h/", "nothing before");
        refuses("http:/h/", "two slashes");
        refuses("https:/h/", "two slashes");
        refuses("http:h/", "not a port");
        assert_eq!(
            UrlError::UnsupportedScheme("https".to_owned()).to_string(),
            "https needs TLS, which is not in this build: give an http URL"
        );
    }

    #[test]
    fn host_and_port() {
        let splits = |text: &str, host: &str, port| {
            assert_eq!(parse_host_port(text), Ok((host.to_owned(), port)), "{text}");
        };
        splits("example.org:443", "example.org", 443);
        splits("[::1]:80", "::1", 80);
        for text in
            ["example.org", "example.org:", "[::1]", "http://h:80", "h:80/", "h:0", "h :80", ":80", "a@h:80"]
        {
            assert!(matches!(parse_host_port(text), Err(UrlError::Malformed(_))), "{text}");
        }
    }
}
