//! References taken apart and resolved by RFC 3986, with curl's manners on top: any octet is taken.
//!
//! fluent-uri knows the standard's grammar and how a reference is resolved (section 5.2). The grammar has no
//! place for what people type, servers send and curl passes on as it stands: a bare `%`, `|`, brackets in a
//! path, a second `@`, the zone of an IPv6 address. While a reference is taken apart, each octet that does
//! not divide it is a character from U+10000 on in its place, which RFC 3987 allows everywhere. What an
//! authority holds is read by the rules of `url.rs`.

use fluent_uri::{Iri, IriRef};

/// Where the characters begin that stand for octets.
const COVER: u32 = 0x1_0000;

/// What a URL has behind its scheme, without its fragment.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts {
    pub authority: String,
    /// Path and query; the path has no dot segments, and may be empty.
    pub tail: String,
}

/// What `reference` means on the page of this authority, path and query. `None` where the standard gives it
/// no meaning.
pub fn resolve(authority: &str, tail: &str, reference: &str) -> Option<Parts> {
    let base = Iri::parse(format!("x://{}{}", covered(authority, b""), covered(tail, b"/?"))).ok()?;
    let reference = IriRef::parse(covered(reference, b"/?#")).ok()?;
    let resolved = reference.resolve_against(&base).ok()?;
    let mut tail = uncovered(resolved.path().as_str());
    if let Some(query) = resolved.query() {
        tail.push('?');
        tail.push_str(&uncovered(query.as_str()));
    }
    Some(Parts { authority: uncovered(resolved.authority()?.as_str()), tail })
}

/// `text` with all but letters, digits, dots and what `divides` it in its cover.
fn covered(text: &str, divides: &[u8]) -> String {
    // A character of the cover takes four octets.
    let mut covered = String::with_capacity(text.len().saturating_mul(4));
    for byte in text.bytes() {
        match byte.is_ascii_alphanumeric() || byte == b'.' || divides.contains(&byte) {
            true => covered.push(char::from(byte)),
            false => covered.extend(char::from_u32(COVER + u32::from(byte))),
        }
    }
    covered
}

/// The text that was covered.
fn uncovered(covered: &str) -> String {
    let octet = |c: char| u8::try_from(u32::from(c)).or_else(|_| u8::try_from(u32::from(c) - COVER)).ok();
    let mut octets = Vec::with_capacity(covered.len());
    octets.extend(covered.chars().filter_map(octet));
    // They were text before, and were divided where ASCII stood.
    String::from_utf8(octets).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each octet stays as it is, wherever it stands and does not divide.
    #[test]
    fn every_octet_is_taken() {
        let every: String = (0..=0x7f).map(char::from).filter(|c| !"/?#".contains(*c)).collect();
        let every = format!("{every}\u{80}é\u{ffff}\u{10000}\u{1007f}\u{10ffff}");
        let reference = format!("//{every}/{every}/../{every}?{every}#{every}");
        let parts = Parts { authority: every.clone(), tail: format!("/{every}?{every}") };
        assert_eq!(resolve("h", "/", &reference), Some(parts));
        let base = format!("/{every}/{every}?{every}");
        let parts = |tail: String| Some(Parts { authority: every.clone(), tail });
        assert_eq!(resolve(&every, &base, &every), parts(format!("/{every}/{every}")));
        assert_eq!(resolve(&every, &base, "?"), parts(format!("/{every}/{every}?")));
        assert_eq!(resolve(&every, &base, ""), parts(base.clone()));
        assert_eq!(resolve(&every, &base, "#"), parts(base.clone()));
    }

    #[test]
    fn what_divides_divides() {
        let parts = |reference: &str| resolve("h", "/a/b?c", reference).map(|it| (it.authority, it.tail));
        let are = |authority: &str, tail: &str| Some((authority.to_owned(), tail.to_owned()));
        assert_eq!(parts("//i"), are("i", ""));
        assert_eq!(parts("//i?q?r/s"), are("i", "?q?r/s"));
        assert_eq!(parts("//i#?q"), are("i", ""));
        assert_eq!(parts("///x"), are("", "/x"));
        assert_eq!(parts("../../../x/./y/.."), are("h", "/x/"));
        assert_eq!(parts("x:y"), are("h", "/a/x:y"));
        assert_eq!(parts("/%2e%2e/x"), are("h", "/%2e%2e/x"));
    }
}
