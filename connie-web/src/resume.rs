//! Whether a response goes on where a download has broken off (RFC 9110 section 14).

use std::fmt;

/// A `Content-Range` in bytes (RFC 9110 section 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContentRange {
    /// `bytes 100-199/500`: the body is this part of the whole.
    Part {
        /// The place of its first byte.
        first: u64,
        /// The place of its last byte, not before the first.
        last: u64,
        /// The length of the whole, where the server knows it.
        complete: Option<u64>,
    },
    /// `bytes */500`: no part was in range (416).
    Unsatisfied {
        /// The length of the whole.
        complete: u64,
    },
}

impl ContentRange {
    /// Reads the field's value. `None` where it is not a range of bytes, or one that cannot be.
    #[must_use]
    pub fn parse(value: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?.trim();
        let (unit, rest) = text.split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (range, complete) = rest.trim_start().split_once('/')?;
        if range == "*" {
            return Some(ContentRange::Unsatisfied { complete: number(complete)? });
        }
        let (first, last) = range.split_once('-')?;
        let (first, last) = (number(first)?, number(last)?);
        let complete = match complete {
            "*" => None,
            complete => Some(number(complete)?),
        };
        // "A Content-Range field value is invalid if it contains a range-resp that has a last-pos value less
        // than its first-pos value, or a complete-length value less than or equal to its last-pos value."
        let valid = first <= last && complete.is_none_or(|complete| complete > last);
        valid.then_some(ContentRange::Part { first, last, complete })
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// The one part of a whole that a `Range` field asks for, in bytes (RFC 9110 section 14.1.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteRange {
    /// `bytes=500-` or `bytes=500-999`.
    From {
        /// The place of the first byte.
        first: u64,
        /// The place of the last byte, not before the first; `None` for all that follow.
        last: Option<u64>,
    },
    /// `bytes=-500`: so many at the end.
    Suffix {
        /// How many.
        length: u64,
    },
}

impl ByteRange {
    /// Reads the field's value. `None` where it is in another unit, asks for several parts, or cannot be
    /// understood.
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (unit, range) = value.split_once('=')?;
        if !unit.trim().eq_ignore_ascii_case("bytes") {
            return None;
        }
        match range.trim().split_once('-')? {
            ("", length) => Some(ByteRange::Suffix { length: number(length)? }),
            (first, "") => Some(ByteRange::From { first: number(first)?, last: None }),
            (first, last) => {
                let (first, last) = (number(first)?, number(last)?);
                (first <= last).then_some(ByteRange::From { first, last: Some(last) })
            }
        }
    }

    /// Which bytes these are of a whole of `complete` bytes, as the places of the first and the last; `None`
    /// where there are none.
    fn within(self, complete: u64) -> Option<(u64, u64)> {
        let end = complete.checked_sub(1)?;
        let (first, last) = match self {
            ByteRange::From { first, last } => (first, last.map_or(end, |last| last.min(end))),
            ByteRange::Suffix { length } => (complete.saturating_sub(length), end),
        };
        (first <= last).then_some((first, last))
    }
}

impl fmt::Display for ByteRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ByteRange::From { first, last: None } => write!(f, "the bytes from {first} on"),
            ByteRange::From { first, last: Some(last) } => write!(f, "bytes {first}-{last}"),
            ByteRange::Suffix { length } => write!(f, "the last {length} bytes"),
        }
    }
}

/// What the body of a 206 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PartialContent {
    /// The place of its first byte.
    pub first: u64,
    /// The place of its last byte, not before the first.
    pub last: u64,
    /// The length of the whole, where the server knows it.
    pub complete: Option<u64>,
    /// How many of the bytes that were asked for come after it, and not with it. A server may send less than
    /// it was asked for; the rest takes another request.
    pub missing: u64,
}

impl PartialContent {
    /// How long the body is.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.last.saturating_sub(self.first).saturating_add(1)
    }
}

/// What the body of a 206 is that answers a request for `asked`.
///
/// `content_range` is the field of that name; `None` where there is none, and where the body is
/// multipart/byteranges: then each part has one. `length` is the response's Content-Length. RFC 9110 section
/// 15.3.7: "A client MUST inspect a 206 response's Content-Type and Content-Range field(s) to determine what
/// parts are enclosed and whether additional requests are needed."
///
/// Where the server does not tell the length of the whole (`bytes 5-6/*`), it is not known whether something
/// is missing.
///
/// # Errors
///
/// [`ResumeError`] where the body is not, or not only, what was asked for, or that cannot be told.
pub fn partial_content(
    asked: ByteRange,
    content_range: Option<&[u8]>,
    length: Option<u64>,
) -> Result<PartialContent, ResumeError> {
    let Some(ContentRange::Part { first, last, complete }) = content_range.and_then(ContentRange::parse)
    else {
        return Err(ResumeError::OtherPart { sent: None, asked });
    };
    let other = ResumeError::OtherPart { sent: Some((first, last)), asked };
    let missing = match (complete, asked) {
        (Some(complete), _) => {
            let (from, to) = asked.within(complete).ok_or(other)?;
            to.checked_sub(last).filter(|_| from == first).ok_or(other)?
        }
        (None, ByteRange::From { first: from, last: to }) => {
            let fits = from == first && to.is_none_or(|to| last <= to);
            fits.then_some(0).ok_or(other)?
        }
        (None, ByteRange::Suffix { length }) => (last - first < length).then_some(0).ok_or(other)?,
    };
    let part = PartialContent { first, last, complete, missing };
    match length {
        Some(length) if length != part.length() => Err(ResumeError::OtherLength { first, last, length }),
        _ => Ok(part),
    }
}

/// What to do with the response to a request for all bytes from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The body is what is missing, or as much of it as this says.
    Append(PartialContent),
    /// Nothing is missing: the body, if there is one, is to be dropped.
    Complete,
    /// The response is an error, or no response to the question: it says nothing about the file.
    Unrelated,
}

/// Why a download cannot go on from where it broke off. Prints as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResumeError {
    /// The server sends the whole again.
    Unsupported,
    /// The server sends another part.
    OtherPart {
        /// The places of its first and its last byte; `None` where they cannot be told.
        sent: Option<(u64, u64)>,
        /// What it was asked for.
        asked: ByteRange,
    },
    /// The body is not as long as the part that it is said to be.
    OtherLength {
        /// The place of the part's first byte.
        first: u64,
        /// The place of its last byte.
        last: u64,
        /// The length of the body.
        length: u64,
    },
    /// There are more bytes here than the server has: this is no part of what the server has.
    TooLong {
        /// How many there are here.
        offset: u64,
        /// How many the server has.
        complete: u64,
    },
}

impl fmt::Display for ResumeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResumeError::Unsupported => {
                f.write_str("the server sent the whole file again, not the missing part")
            }
            ResumeError::OtherPart { sent: Some((first, last)), asked } => {
                write!(f, "the server sent bytes {first}-{last}, not {asked}")
            }
            ResumeError::OtherPart { sent: None, asked } => {
                write!(f, "the server does not say that it sent {asked}")
            }
            ResumeError::OtherLength { first, last, length } => {
                write!(f, "the server announced bytes {first}-{last}, but the body has {length} bytes")
            }
            ResumeError::TooLong { offset, complete } => {
                write!(f, "{offset} bytes are already here, but the server has only {complete}")
            }
        }
    }
}

impl std::error::Error for ResumeError {}

/// What a response means to a client that has `offset` bytes, more than none, and has asked for the rest with
/// `Range: bytes=offset-`.
///
/// `content_range` and `length` are those of [`partial_content`]. A whole that is as long as what is there
/// counts as complete, as it does for curl; nobody can tell from lengths whether it is the same.
///
/// # Errors
///
/// [`ResumeError`] where the bytes of the response do not continue those that are there.
pub fn resume(
    offset: u64,
    status: u16,
    content_range: Option<&[u8]>,
    length: Option<u64>,
) -> Result<Resume, ResumeError> {
    let range = content_range.and_then(ContentRange::parse);
    match (status, range) {
        (206, _) => partial_content(ByteRange::From { first: offset, last: None }, content_range, length)
            .map(Resume::Append),
        (416, Some(ContentRange::Unsatisfied { complete })) if complete < offset => {
            Err(ResumeError::TooLong { offset, complete })
        }
        // In range, and refused anyway.
        (416, Some(ContentRange::Unsatisfied { complete })) if complete > offset => {
            Err(ResumeError::Unsupported)
        }
        (416, _) => Ok(Resume::Complete),
        (200..=299, _) if length == Some(offset) => Ok(Resume::Complete),
        (200..=299, _) => Err(ResumeError::Unsupported),
        _ => Ok(Resume::Unrelated),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_bytes() {
        let part = |first, last, complete| Some(ContentRange::Part { first, last, complete });
        for (value, expected) in [
            ("bytes 0-499/1234", part(0, 499, Some(1234))),
            ("bytes 42-1233/1234", part(42, 1233, Some(1234))),
            ("bytes 42-1233/*", part(42, 1233, None)),
            ("Bytes 0-0/1", part(0, 0, Some(1))),
            ("bytes */1234", Some(ContentRange::Unsatisfied { complete: 1234 })),
            ("bytes */0", Some(ContentRange::Unsatisfied { complete: 0 })),
            ("bytes 0-18446744073709551615/*", part(0, u64::MAX, None)),
            ("", None),
            ("bytes", None),
            ("bytes 5-4/10", None),
            ("bytes 0-9/9", None),
            ("bytes 0-9", None),
            ("bytes -9/10", None),
            ("bytes +1-9/10", None),
            ("bytes 1-/10", None),
            ("bytes */*", None),
            ("bytes 0-18446744073709551616/*", None),
            ("items 0-9/10", None),
            ("0-9/10", None),
        ] {
            assert_eq!(ContentRange::parse(value.as_bytes()), expected, "{value}");
        }
        assert_eq!(ContentRange::parse(b"bytes 0-1/\xff"), None);
    }

    #[track_caller]
    fn is(status: u16, range: Option<&str>, length: Option<u64>, expected: Result<Resume, ResumeError>) {
        assert_eq!(resume(100, status, range.map(str::as_bytes), length), expected, "{status} {range:?}");
    }

    #[test]
    fn only_the_bytes_that_follow_are_appended() {
        let part = |last, complete, missing| {
            Ok(Resume::Append(PartialContent { first: 100, last, complete, missing }))
        };
        is(206, Some("bytes 100-199/200"), Some(100), part(199, Some(200), 0));
        is(206, Some("bytes 100-199/*"), None, part(199, None, 0));
        is(206, Some("bytes 100-100/200"), Some(1), part(100, Some(200), 99));
        let asked = ByteRange::From { first: 100, last: None };
        let other = |sent| Err(ResumeError::OtherPart { sent, asked });
        is(206, Some("bytes 99-199/200"), Some(101), other(Some((99, 199))));
        is(206, Some("bytes 101-199/200"), None, other(Some((101, 199))));
        is(206, None, Some(100), other(None));
        is(206, Some("bytes */200"), None, other(None));
        let length = |length| Err(ResumeError::OtherLength { first: 100, last: 199, length });
        is(206, Some("bytes 100-199/200"), Some(99), length(99));
        is(206, Some("bytes 100-199/*"), Some(101), length(101));
    }

    #[test]
    fn a_range_field_asks_for_one_part() {
        let from = |first, last| Some(ByteRange::From { first, last });
        for (value, expected) in [
            ("bytes=0-499", from(0, Some(499))),
            ("bytes=5-5", from(5, Some(5))),
            ("Bytes=500-", from(500, None)),
            ("bytes=-500", Some(ByteRange::Suffix { length: 500 })),
            ("bytes= 0-1", from(0, Some(1))),
            ("bytes=0-1,5-6", None),
            ("bytes=5-4", None),
            ("bytes=-", None),
            ("bytes=+1-2", None),
            ("bytes=1", None),
            ("bytes=18446744073709551616-", None),
            ("items=0-9", None),
            ("0-9", None),
            ("", None),
        ] {
            assert_eq!(ByteRange::parse(value), expected, "{value}");
        }
    }

    /// What is missing of what `asked` asks for after a body with this Content-Range; `None` where it is
    /// another part.
    fn missing(asked: &str, range: &str) -> Option<u64> {
        let asked = ByteRange::parse(asked).expect("one part");
        partial_content(asked, Some(range.as_bytes()), None).ok().map(|part| part.missing)
    }

    #[test]
    fn what_is_missing_of_a_part_is_counted() {
        assert_eq!(missing("bytes=0-4", "bytes 0-4/10"), Some(0));
        assert_eq!(missing("bytes=0-4", "bytes 0-1/10"), Some(3));
        assert_eq!(missing("bytes=0-99", "bytes 0-9/10"), Some(0), "there is no more");
        assert_eq!(missing("bytes=0-99", "bytes 0-7/10"), Some(2));
        assert_eq!(missing("bytes=5-", "bytes 5-6/10"), Some(3));
        assert_eq!(missing("bytes=5-", "bytes 5-6/*"), Some(0), "nobody can tell");
        assert_eq!(missing("bytes=-3", "bytes 7-9/10"), Some(0));
        assert_eq!(missing("bytes=-3", "bytes 7-7/10"), Some(2));
        assert_eq!(missing("bytes=-99", "bytes 0-9/10"), Some(0));
        assert_eq!(missing("bytes=-3", "bytes 7-9/*"), Some(0));
        assert_eq!(missing("bytes=0-", "bytes 0-18446744073709551614/18446744073709551615"), Some(0));
        assert_eq!(missing("bytes=0-", "bytes 0-18446744073709551615/*"), Some(0));
        for (asked, range) in [
            ("bytes=0-4", "bytes 0-5/10"),
            ("bytes=0-4", "bytes 0-5/*"),
            ("bytes=0-4", "bytes 1-4/10"),
            ("bytes=5-", "bytes 4-9/10"),
            ("bytes=5-", "bytes 6-9/*"),
            ("bytes=-3", "bytes 6-9/10"),
            ("bytes=-3", "bytes 6-9/*"),
            ("bytes=-0", "bytes 9-9/10"),
            ("bytes=20-", "bytes 5-9/10"),
        ] {
            assert_eq!(missing(asked, range), None, "{asked}: {range}");
        }
    }

    #[test]
    fn a_part_that_was_not_asked_for_is_told_in_one_line() {
        let told = |asked, range: Option<&str>, length| {
            let asked = ByteRange::parse(asked).expect("one part");
            partial_content(asked, range.map(str::as_bytes), length).unwrap_err().to_string()
        };
        let other = told("bytes=5-", Some("bytes 3-9/10"), None);
        assert_eq!(other, "the server sent bytes 3-9, not the bytes from 5 on");
        let other = told("bytes=-4", Some("bytes 0-3/10"), None);
        assert_eq!(other, "the server sent bytes 0-3, not the last 4 bytes");
        assert_eq!(told("bytes=2-3", None, None), "the server does not say that it sent bytes 2-3");
        let length = told("bytes=5-", Some("bytes 5-9/10"), Some(7));
        assert_eq!(length, "the server announced bytes 5-9, but the body has 7 bytes");
    }

    #[test]
    fn a_whole_is_not_what_was_asked_for() {
        is(200, None, Some(200), Err(ResumeError::Unsupported));
        is(200, None, None, Err(ResumeError::Unsupported));
        is(200, None, Some(99), Err(ResumeError::Unsupported));
        is(200, None, Some(100), Ok(Resume::Complete));
    }

    #[test]
    fn out_of_range_is_complete_unless_the_server_says_otherwise() {
        is(416, Some("bytes */100"), Some(12), Ok(Resume::Complete));
        is(416, None, None, Ok(Resume::Complete));
        is(416, Some("bytes */99"), None, Err(ResumeError::TooLong { offset: 100, complete: 99 }));
        is(416, Some("bytes */101"), None, Err(ResumeError::Unsupported));
    }

    #[test]
    fn errors_say_nothing_about_the_file() {
        for status in [301, 404, 500] {
            is(status, None, Some(7), Ok(Resume::Unrelated));
        }
    }
}
