//! Whether an answer goes on where a download has broken off (RFC 9110 section 14).

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
        // "A Content-Range field value is invalid if it contains a range-resp that has a last-pos value less than its first-pos
        // value, or a complete-length value less than or equal to its last-pos value."
        let valid = first <= last && complete.is_none_or(|complete| complete > last);
        valid.then_some(ContentRange::Part { first, last, complete })
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// What to do with the answer to a request for all bytes from `offset` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// The body is what is missing.
    Append,
    /// Nothing is missing: the body, if there is one, is to be dropped.
    Complete,
    /// The answer is an error, or no answer to the question: it says nothing about the file.
    Unrelated,
}

/// Why a download cannot go on from where it broke off. Prints as one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResumeError {
    /// The server sends the whole again.
    Unsupported,
    /// The server sends another part.
    OtherPart {
        /// Where that begins; `None` where it cannot be told.
        first: Option<u64>,
        /// Where it should begin.
        offset: u64,
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
                f.write_str("the server sends the whole again, and not what is missing")
            }
            ResumeError::OtherPart { first: Some(first), offset } => {
                write!(f, "the server goes on at byte {first}, and not at {offset}")
            }
            ResumeError::OtherPart { first: None, offset } => {
                write!(f, "the server does not say that it goes on at byte {offset}")
            }
            ResumeError::TooLong { offset, complete } => {
                write!(f, "there are {offset} bytes here already, and the server has only {complete}")
            }
        }
    }
}

impl std::error::Error for ResumeError {}

/// What an answer means to a client that has `offset` bytes, more than none, and has asked for the rest with `Range: bytes=offset-`.
///
/// `length` is the answer's Content-Length. A whole that is as long as what is there counts as complete, as it does for curl; nobody
/// can tell from lengths whether it is the same.
///
/// # Errors
///
/// [`ResumeError`] where the bytes of the answer do not continue those that are there.
pub fn resume(
    offset: u64,
    status: u16,
    content_range: Option<&[u8]>,
    length: Option<u64>,
) -> Result<Resume, ResumeError> {
    let range = content_range.and_then(ContentRange::parse);
    match (status, range) {
        (206, Some(ContentRange::Part { first, .. })) if first == offset => Ok(Resume::Append),
        (206, Some(ContentRange::Part { first, .. })) => {
            Err(ResumeError::OtherPart { first: Some(first), offset })
        }
        (206, _) => Err(ResumeError::OtherPart { first: None, offset }),
        (416, Some(ContentRange::Unsatisfied { complete })) if complete < offset => {
            Err(ResumeError::TooLong { offset, complete })
        }
        // In range, and refused all the same.
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
        is(206, Some("bytes 100-199/200"), Some(100), Ok(Resume::Append));
        is(206, Some("bytes 100-199/*"), None, Ok(Resume::Append));
        let other = |first| Err(ResumeError::OtherPart { first, offset: 100 });
        is(206, Some("bytes 99-199/200"), Some(101), other(Some(99)));
        is(206, Some("bytes 101-199/200"), None, other(Some(101)));
        is(206, None, Some(100), other(None));
        is(206, Some("bytes */200"), None, other(None));
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
