//! Parts of a file: what a 206 brings of it, and of which version.

use std::time::Duration;

use connie_web::{ByteRange, ContentRange, PartialContent, http_date, partial_content};

use crate::advice::GO_ON;
use crate::args::Get;
use crate::error::Error;
use crate::exchange::ResponseHead;
use crate::exit_code;
use crate::request::Request;

/// The Content-Range of an answer's body.
pub fn content_range(answer: &ResponseHead) -> Option<&[u8]> {
    // RFC 9110 section 15.3.7.2: a server "MUST NOT generate a Content-Range header field in the HTTP header
    // section of a multiple part response". Where one does, it is not that of the body.
    let multipart = answer.header("content-type").is_some_and(|value| {
        value.get(..MULTIPART.len()).is_some_and(|start| start.eq_ignore_ascii_case(MULTIPART))
    });
    answer.header("content-range").filter(|_| !multipart)
}

const MULTIPART: &[u8] = b"multipart/byteranges";

/// What part the body is, where a range in bytes was asked for, or the whole and a part comes. `None` where
/// there is nothing to hold the answer to: a server may well send the whole, and several ranges come in a
/// form of their own.
pub fn part_of(request: &Request, answer: &ResponseHead) -> Result<Option<PartialContent>, Error> {
    // RFC 9110 section 14.2: "GET is the only method for which range handling is defined".
    if answer.status != 206 || request.method != "GET" {
        return Ok(None);
    }
    let range = content_range(answer);
    let asked = match request.header("range") {
        Some(value) => ByteRange::parse(value),
        // Not where it is a range of rows or items, say: those are no bytes.
        None => range.and_then(ContentRange::parse).map(|_| ByteRange::From { first: 0, last: None }),
    };
    let part = asked.map(|asked| partial_content(asked, range, answer.length)).transpose();
    part.map_err(|error| Error::new(exit_code::RANGE, error.to_string()))
}

/// The body, which ended after `received` bytes, is not as long as the part that it is; or it is, and more
/// was asked for.
pub fn check_end(args: &Get, part: &PartialContent, received: u64) -> Result<(), Error> {
    let PartialContent { first, last, complete, missing, .. } = *part;
    let of = complete.map_or_else(String::new, |complete| format!(" of {complete}"));
    if received < part.length() {
        let line = format!("the server sent {received} bytes, but announced bytes {first}-{last}{of}");
        return Err(Error::new(exit_code::PARTIAL, format!("{line}; {GO_ON}")));
    }
    if missing == 0 {
        return Ok(());
    }
    let advice = match &args.range {
        Some(_) => format!("ask for the rest with -r {}-", last.saturating_add(1)),
        None => GO_ON.to_owned(),
    };
    let line =
        format!("the server sent only bytes {first}-{last}{of}: {missing} of those asked for are missing");
    Err(Error::new(exit_code::PARTIAL, format!("{line}; {advice}")))
}

/// More comes than the part holds that is announced.
pub fn too_much(part: &PartialContent) -> Error {
    let PartialContent { first, last, .. } = part;
    Error::new(
        exit_code::RANGE,
        format!("the server sent more than the bytes {first}-{last} that it announced"),
    )
}

/// Which version of a file an answer is of, as far as it tells.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Version {
    etag: Option<String>,
    modified: Option<String>,
    /// What has been done to the file to send it; `None` where a part does not tell.
    coding: Option<String>,
    complete: Option<u64>,
    /// When the server said that it sent this.
    sent: Option<String>,
}

impl Version {
    pub fn of(answer: &ResponseHead, part: Option<&PartialContent>) -> Self {
        let text = |name| answer.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let complete = part.map_or(answer.length, |part| part.complete);
        // RFC 9110 section 15.3.7: a part that answers a request with If-Range need not repeat the fields of
        // the whole. Only a whole without this one is known not to be coded.
        let whole = part.is_none().then(|| "identity".to_owned());
        Version {
            etag: text("etag"),
            modified: text("last-modified"),
            coding: text("content-encoding").or(whole),
            complete,
            sent: text("date"),
        }
    }

    /// What is known of it after a part that goes on with `before`: what the part leaves out holds on.
    pub fn after(self, before: Option<Version>) -> Self {
        let before = before.unwrap_or_default();
        Version {
            etag: self.etag.or(before.etag),
            modified: self.modified.or(before.modified),
            coding: self.coding.or(before.coding),
            complete: self.complete.or(before.complete),
            sent: self.sent.or(before.sent),
        }
    }

    /// The value of an `If-Range` that has the server send a part of this version only. RFC 9110 section
    /// 13.1.5: "A client MUST NOT generate an If-Range header field containing an entity tag that is marked
    /// as weak", nor one "containing an HTTP-date unless" there is no entity tag and "the date is a strong
    /// validator".
    pub fn validator(&self) -> Option<&str> {
        match (&self.etag, &self.modified, &self.sent) {
            (Some(etag), ..) => Some(etag.as_str()).filter(|tag| tag.starts_with('"')),
            (None, Some(modified), Some(sent)) => {
                Some(modified.as_str()).filter(|modified| is_strong_date(modified, sent))
            }
            _ => None,
        }
    }

    /// Says so where the answer is of another version than what was there before. RFC 9110 section 15.3.7.3:
    /// parts may be combined "if they share the same strong validator". What one of the two does not tell
    /// cannot differ.
    pub fn check_continues(&self, before: &Version) -> Result<(), Error> {
        let length = |version: &Version| version.complete.map(|length| length.to_string());
        let told = [
            ("ETag", before.etag.clone(), self.etag.clone()),
            ("Last-Modified", before.modified.clone(), self.modified.clone()),
            ("Content-Encoding", before.coding.clone(), self.coding.clone()),
            ("length", length(before), length(self)),
        ];
        let differs = told.into_iter().find_map(|(what, before, now)| match (before, now) {
            (Some(before), Some(now)) if before != now => Some((what, before, now)),
            _ => None,
        });
        match differs {
            None => Ok(()),
            Some((what, before, now)) => {
                let line =
                    format!("the file on the server has changed: its {what} was {before} and is now {now}");
                Err(Error::new(
                    exit_code::RANGE,
                    format!("cannot resume: {line}; drop -C to fetch all of it again"),
                ))
            }
        }
    }
}

/// Whether a Last-Modified is a strong validator: RFC 9110 section 8.8.2.2 asks for a Date "at least one
/// second after the Last-Modified value", and for "enough difference between" the two where nobody knows
/// whether one clock made both. The standard before it (RFC 7232 section 2.2.2) had a minute.
fn is_strong_date(modified: &str, sent: &str) -> bool {
    const ENOUGH: Duration = Duration::from_secs(60);
    let Some(modified) = http_date(modified) else { return false };
    http_date(sent).and_then(|sent| sent.duration_since(modified).ok()).is_some_and(|age| age >= ENOUGH)
}
