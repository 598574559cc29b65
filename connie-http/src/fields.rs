//! Field lines, of a head and of a trailer section: which of them are fields, which are passed over, and
//! which nobody may pass over.

use crate::syntax::{is_field_value, is_token, is_token_byte};

/// A header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its name, as it was sent.
    pub name: &'a str,
    /// Its value, without the white space around it. Not always text: bytes beyond ASCII are allowed (RFC
    /// 9110 section 5.5).
    pub value: &'a [u8],
}

/// The fields of a head or of a trailer section, in order.
///
/// A line that is not a field (RFC 9112 section 5: `field-name ":" OWS field-value OWS`), such as the warning
/// of a script that a server let slip into its head, is not among them: see [`dropped`](Self::dropped). There
/// is none with a NUL or a bare CR, which some take for an end, and none that names Content-Length or
/// Transfer-Encoding, since another recipient may heed it: such a head is
/// [`HttpError::MalformedHeader`](crate::HttpError::MalformedHeader).
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    /// Lines that have been through [`check`], the empty one included.
    lines: &'a [u8],
}

impl<'a> Headers<'a> {
    /// The fields in `lines`, which have been through [`check`].
    pub(crate) fn from_lines(lines: &'a [u8]) -> Self {
        Headers { lines }
    }

    /// The values of all fields with this name, in any case.
    pub fn all(self, name: &str) -> impl Iterator<Item = &'a [u8]> {
        // The name is compared first: most lines have another, and need no further look.
        lines(self.lines).filter_map(move |line| {
            let (found, _) = halves(line)?;
            let named = found.eq_ignore_ascii_case(name.as_bytes());
            if named { field(line).map(|field| field.value) } else { None }
        })
    }

    /// The lines that are not fields, folds joined, without their line ends.
    ///
    /// ```
    /// use connie_http::{ResponseHead, parts::ParsedHead};
    ///
    /// let mut bytes = *b"HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n\r\n";
    /// let ParsedHead::Complete(head) = ResponseHead::parse(&mut bytes)? else { panic!("the empty line is there") };
    /// assert_eq!(head.headers().count(), 1);
    /// assert_eq!(head.headers().dropped().next(), Some(&b"PHP Warning: no such file"[..]));
    /// # Ok::<(), connie_http::HttpError>(())
    /// ```
    pub fn dropped(self) -> impl Iterator<Item = &'a [u8]> {
        lines(self.lines).filter(|line| field(line).is_none())
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        while let Some((line, rest)) = next_line(self.lines) {
            self.lines = rest;
            if let Some(field) = field(line) {
                return Some(field);
            }
        }
        None
    }
}

/// Joins the folded lines of `section` in place, which ends with its only empty line, and says whether each
/// line can be read as a field or be dropped.
pub(crate) fn check(section: &mut [u8]) -> bool {
    unfold(section);
    let mut rest = &*section;
    while let Some((line, after)) = next_line(rest) {
        if is_dangerous(line) || (field(line).is_none() && names_framing(line)) {
            return false;
        }
        rest = after;
    }
    matches!(rest, b"\r\n" | b"\n")
}

/// Whether there is a folded line in `head`.
pub(crate) fn is_folded(head: &[u8]) -> bool {
    head.windows(2).any(|two| matches!(two, b"\n " | b"\n\t"))
}

/// Joins folded lines: a line end before white space becomes spaces. White space before the first line
/// belongs to that line, which is then not a field: RFC 9112 section 2.2 has a recipient that does not reject
/// the message "ignore the entire line, along with any subsequent lines preceded by whitespace".
fn unfold(fields: &mut [u8]) {
    let mut cr: Option<&mut u8> = None;
    let mut bytes = fields.iter_mut().peekable();
    while let Some(byte) = bytes.next() {
        let folds = matches!(bytes.peek(), Some(b' ' | b'\t'));
        if *byte == b'\n' && folds {
            *byte = b' ';
            if let Some(cr) = cr.take() {
                *cr = b' ';
            }
        }
        cr = if *byte == b'\r' { Some(byte) } else { None };
    }
}

/// The lines of `section` before the empty one, without their ends.
fn lines(section: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = section;
    core::iter::from_fn(move || {
        let (line, after) = next_line(rest)?;
        rest = after;
        Some(line)
    })
}

/// The first line of `section`, without its end, and what follows it. `None` at the empty line, and where a
/// line has no end.
fn next_line(section: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = section.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = section.split_at_checked(end)?;
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() { None } else { Some((line, rest.get(1..)?)) }
}

/// What is before the first colon of `line`, and what is after it.
fn halves(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let (name, rest) = line.split_at_checked(line.iter().position(|byte| *byte == b':')?)?;
    Some((name, rest.get(1..)?))
}

/// The field in `line`; `None` where that is none.
fn field(line: &[u8]) -> Option<Header<'_>> {
    let (name, value) = halves(line)?;
    let name = core::str::from_utf8(name).ok().filter(|name| is_token(name))?;
    if is_field_value(value) { Some(Header { name, value: value.trim_ascii() }) } else { None }
}

/// Whether `line` has something that readers are known to take for the end of a line or of the text: RFC 9110
/// section 5.5 calls a CR or a NUL "invalid and dangerous, due to the varying ways that implementations might
/// parse and interpret those characters".
pub(super) fn is_dangerous(line: &[u8]) -> bool {
    line.iter().any(|byte| matches!(byte, b'\r' | 0))
}

/// Whether `line`, which is not a field, has the name of one that decides where the body ends or how it is
/// coded, in any case, wherever it stands, and though there be bytes within that no name can hold. Some
/// recipients trim white space before the colon (RFC 9112 section 5.1 has proxies do so), some more than
/// that; what they may heed must not be passed over here, or one body ends in two places.
fn names_framing(line: &[u8]) -> bool {
    // The last is the end of "content-encoding", whose first byte occurs in it again: see `holds`.
    ["content-length", "transfer-encoding", "t-encoding"].iter().any(|name| holds(line, name.as_bytes()))
}

/// Whether the bytes of `line` that a name can hold have `name` among them. The first byte of `name` must not
/// occur in it again, so that what does not go on cannot have begun anew but with that byte.
fn holds(line: &[u8], name: &[u8]) -> bool {
    let mut left = name.iter();
    for byte in line.iter().filter(|byte| is_token_byte(**byte)) {
        let goes_on = |left: &core::slice::Iter<'_, u8>| {
            left.clone().next().is_some_and(|next| next.eq_ignore_ascii_case(byte))
        };
        if !goes_on(&left) {
            left = name.iter();
        }
        if goes_on(&left) {
            left.next();
        }
        if left.as_slice().is_empty() {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    type Fields = Vec<(std::string::String, Vec<u8>)>;

    /// The fields and the dropped lines of `section`; `None` where it is refused.
    fn read(section: &[u8]) -> Option<(Fields, Vec<Vec<u8>>)> {
        let mut section = section.to_vec();
        if !check(&mut section) {
            return None;
        }
        let headers = Headers::from_lines(&section);
        let dropped = headers.clone().dropped().map(<[u8]>::to_vec).collect();
        Some((headers.map(|field| (field.name.into(), field.value.to_vec())).collect(), dropped))
    }

    #[track_caller]
    fn fields(section: &[u8], expected: &[(&str, &[u8])]) {
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| ((*name).into(), value.to_vec())).collect();
        assert_eq!(read(section), Some((expected, Vec::new())), "{section:?}");
    }

    #[track_caller]
    fn drops(line: &[u8], dropped: &[u8]) {
        let section = [line, b"\r\nB: c\r\n\r\n"].concat();
        let expected = ([("B".into(), b"c".to_vec())].into(), [dropped.to_vec()].into());
        assert_eq!(read(&section), Some(expected), "{line:?}");
    }

    #[test]
    fn fields_keep_order_duplicates_and_bytes_beyond_ascii() {
        fields(
            b"B: 1\r\na:\t2 \r\nb:\r\nC: \xff:x\r\n\r\n",
            &[("B", b"1"), ("a", b"2"), ("b", b""), ("C", b"\xff:x")],
        );
        fields(b"\r\n", &[]);
        fields(b"\n", &[]);
        fields(b"!#$%&'*+-.^_`|~09aZ:\nB:c\n\r\n", &[("!#$%&'*+-.^_`|~09aZ", b""), ("B", b"c")]);
    }

    #[test]
    fn folded_lines_are_joined_by_spaces() {
        fields(b"A: b\r\n c\n\td\r\n\r\n", &[("A", b"b   c \td")]);
        fields(b"A:\r\n b\r\n \r\nC: d\r\n\r\n", &[("A", b"b"), ("C", b"d")]);
    }

    #[test]
    fn a_line_that_is_no_field_is_told_apart() {
        for line in
            [&b"no colon"[..], b": b", b"A : b", b"A B: c", b" A: b", b"A\xff: b", b"A: \x7f", b"\x0b"]
        {
            drops(line, line);
        }
        drops(b" A: b\r\n\tc", b" A: b  \tc");
        drops(b"content-lengt: \x01", b"content-lengt: \x01");
    }

    #[test]
    fn a_section_has_one_empty_line_at_its_end() {
        for section in [&b"A: b\r\n"[..], b"A: b", b"", b"\r\nA: b\r\n\r\n", b"A: b\r\n\r\n\r\n"] {
            assert_eq!(read(section), None, "{section:?}");
        }
    }

    #[test]
    fn a_name_is_found_whatever_is_around_it_and_within() {
        for line in [
            "Content-Length",
            "x ccontent-LENGTH y",
            "Content Content-Length",
            "C\x0bontent-\u{a0}Length",
            "Content-Encoding : gzip",
        ] {
            assert!(names_framing(line.as_bytes()), "{line:?}");
        }
        for line in [
            "",
            "Content-Lengt",
            "Contents-Length",
            "ontent-Length",
            "Content_Length",
            "Transfer-Encodin g",
            "Length",
        ] {
            assert_eq!(names_framing(line.as_bytes()), line.ends_with(" g"), "{line:?}");
        }
    }

    #[test]
    fn values_are_found_by_name_in_any_case_among_fields_alone() {
        let mut section = b"A: 1\r\na : 2\r\nB: 3\r\nA: \x01\r\na: 4\r\n\r\n".to_vec();
        assert!(check(&mut section));
        assert_eq!(Headers::from_lines(&section).all("A").collect::<Vec<_>>(), [b"1", b"4"]);
        assert_eq!(Headers::from_lines(&section).all("a ").count(), 0);
    }
}
