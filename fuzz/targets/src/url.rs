//! The splitter of URLs: whatever it accepts can be sent, and means the same when it is written out again.

use connie_http::{Authority, RequestBody, parts::RequestHead};
use connie_web::{Scheme, Url, UrlError, parse_host_port};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// Splits a URL. The first byte decides whether the rest is taken as a URL, as `HOST:PORT`, as a path or as a
/// reference.
///
/// # Panics
///
/// Where what was accepted cannot be sent, or is split in another way when it is written out again; where a
/// path does not lose its dot segments as RFC 3986 has it; where an error is more than a line.
pub fn url(data: &[u8]) {
    let mut draw = Draw::new(data);
    let kind = draw.below(4);
    let bytes = draw.rest();
    note(|| format!("{}: {}", ["URL", "host and port", "reference", "path"][usize::from(kind)], hex(bytes)));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let split = match kind {
        0 => Url::parse(text),
        1 => parse_host_port(text).map(|(host, port)| Url { host, port, ..base() }),
        2 => base().join(text).inspect(|url| goes_where_it_says(text, url)),
        _ => Url::parse(&format!("http://h/{text}")).inspect(|url| loses_its_dots(text, url)),
    };
    match split {
        Ok(url) => {
            makes_sense(&url);
            can_be_sent(&url);
            means_the_same_again(&url);
        }
        Err(error) => is_a_line(&error),
    }
}

/// The page that references are read on.
fn base() -> Url {
    let (host, target) = ("base.test".to_owned(), "/".to_owned());
    Url { scheme: Scheme::Http, credentials: None, host, port: 80, target }
}

/// A reference leaves the host only where it names another.
#[track_caller]
fn goes_where_it_says(text: &str, url: &Url) {
    let names_a_host = text.contains("//");
    assert!(names_a_host || url.is_same_origin(&base()), "{text:?} leads to {url:?}");
}

#[track_caller]
fn makes_sense(url: &Url) {
    assert!(!url.host.is_empty() && url.host.is_ascii() && url.port > 0, "{url:?}");
    let (name, zone) = url.host.split_once('%').unwrap_or((&url.host, "eth0"));
    assert_eq!(name, name.to_ascii_lowercase(), "{url:?}");
    // RFC 6874 section 2, without the percent-encoding.
    let unreserved = |c: char| c.is_ascii_alphanumeric() || "-._~".contains(c);
    assert!(!zone.is_empty() && zone.chars().all(unreserved), "{url:?}");
    assert!(url.target.starts_with('/') && !url.target.contains('#'), "{url:?}");
    let path = url.target.split('?').next().unwrap_or_default();
    assert!(!path.split('/').any(|segment| matches!(segment, "." | "..")), "{url:?}");
}

#[track_caller]
fn can_be_sent(url: &Url) {
    let mut host = vec![0; url.host.len() + 16];
    let length =
        Authority::http(&url.host, url.port).write(&mut host).unwrap_or_else(|e| panic!("{e}: {url:?}"));
    let host = std::str::from_utf8(&host[..length]).expect("a host is text");
    let mut head = vec![0; url.target.len() + host.len() + 64];
    let begun = RequestHead::new(&mut head, "GET", &url.target, host);
    let sent =
        begun.and_then(|head| head.finish(RequestBody::None)).unwrap_or_else(|e| panic!("{e}: {url:?}"));
    let lines = head[..sent].iter().filter(|byte| **byte == b'\n').count();
    assert_eq!(lines, 3, "a request line, a host and an empty line: {url:?}");
}

#[track_caller]
fn means_the_same_again(url: &Url) {
    let text = if url.host.contains(':') { format!("[{}]", url.host) } else { url.host.clone() };
    // RFC 6874 section 2: in a URL, and only there, the zone's percent sign is an escape of itself.
    let host = text.replacen('%', "%25", 1);
    let bare = Url { credentials: None, ..url.clone() };
    let (scheme, port) = (url.scheme.name(), url.port);
    for written in [format!("{scheme}://{host}:{port}{}", url.target), url.to_string()] {
        assert_eq!(Url::parse(&written).as_ref(), Ok(&bare), "{written}");
        assert_eq!(base().join(&written).as_ref(), Ok(&bare), "{written}");
    }
    let written = format!("{text}:{port}");
    assert_eq!(parse_host_port(&written), Ok((url.host.clone(), port)), "{written}");
}

/// The target begins with what RFC 3986 section 5.2.4 makes of the path, `text` up to its query.
#[track_caller]
fn loses_its_dots(text: &str, url: &Url) {
    let path = text.split(['?', '#']).next().unwrap_or_default();
    if path.is_ascii() {
        let target = url.target.split('?').next();
        assert_eq!(target, Some(&*without_dots(&format!("/{path}"))), "{text:?}");
    }
}

/// RFC 3986 section 5.2.4, step by step.
fn without_dots(path: &str) -> String {
    let (mut input, mut output) = (path.to_owned(), String::new());
    while !input.is_empty() {
        if input.starts_with("/./") || input == "/." {
            input.replace_range(..input.len().min(3), "/");
        } else if input.starts_with("/../") || input == "/.." {
            input.replace_range(..input.len().min(4), "/");
            output.truncate(output.rfind('/').unwrap_or(0));
        } else {
            let segment = input[1..].find('/').map_or(input.len(), |end| end + 1);
            output.extend(input.drain(..segment));
        }
    }
    output
}

/// One line that a terminal can print.
#[track_caller]
fn is_a_line(error: &UrlError) {
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains(char::is_control), "{text:?}");
}
