//! Parts of a file: what a 206 brings of it, and of which version.

use connie_web::{ByteRange, ContentRange, PartialContent, partial_content};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    etag: Option<String>,
    modified: Option<String>,
    complete: Option<u64>,
}

impl Version {
    pub fn of(answer: &ResponseHead, part: Option<&PartialContent>) -> Self {
        let text = |name| answer.header(name).map(|value| String::from_utf8_lossy(value).into_owned());
        let complete = part.map_or(answer.length, |part| part.complete);
        Version { etag: text("etag"), modified: text("last-modified"), complete }
    }

    /// The value of an `If-Range` that has the server send a part of this version only. RFC 9110 section
    /// 13.1.5: "A client MUST NOT generate an If-Range header field containing an entity tag that is marked
    /// as weak."
    pub fn validator(&self) -> Option<&str> {
        self.etag.as_deref().filter(|tag| tag.starts_with('"'))
    }

    /// RFC 9110 section 15.3.7.3: parts may be combined "if they share the same strong validator". What one
    /// of the two does not tell cannot differ.
    pub fn check_continues(&self, before: &Version) -> Result<(), Error> {
        let length = |version: &Version| version.complete.map(|length| length.to_string());
        let told = [
            ("ETag", before.etag.clone(), self.etag.clone()),
            ("Last-Modified", before.modified.clone(), self.modified.clone()),
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
