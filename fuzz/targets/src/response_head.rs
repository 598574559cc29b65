//! The head of an answer: whatever a server writes, and however it arrives.

use connie_http::{
    HttpError, ResponseHead, Version,
    parts::{BodyFraming, HeadScanner, ParsedHead, RequestKind},
};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// Reads a head. The first byte decides what was asked for, the second in which steps it arrives; the rest is
/// the head and what follows it.
///
/// # Panics
///
/// Where reading it in steps, again, or without what follows gives something else, or where httparse sees
/// other fields in it.
pub fn response_head(data: &[u8]) {
    let mut draw = Draw::new(data);
    let kind = draw.pick(&[RequestKind::Other, RequestKind::Head, RequestKind::Connect]);
    let step = usize::from(draw.byte()).max(1);
    let text = draw.rest();
    note(|| {
        let kind = match kind {
            RequestKind::Head => "HEAD",
            RequestKind::Connect => "CONNECT",
            _ => "another method",
        };
        format!("{kind}, steps of {step}: {}", hex(text))
    });
    let length = scan_in_steps(text, step);
    let mut bytes = text.to_vec();
    let read = parse(&mut bytes, kind);
    assert_eq!(parse(&mut bytes, kind), read, "reading the same bytes again gives something else");
    assert_eq!(
        parse(&mut unfolded(text, length.unwrap_or(text.len())), kind),
        read,
        "a fold is not read as spaces"
    );
    match (&read, length) {
        (Ok(None), None) | (Err(_), _) => {}
        (Ok(Some(seen)), Some(length)) => {
            assert_eq!(seen.length, length, "two opinions of where the head ends");
            seen.makes_sense(kind);
            seen.is_what_httparse_sees(&bytes[..length]);
            ends_where_it_ends(text, length, kind, &read);
        }
        _ => panic!("the head ends at {length:?}, and was read as {read:?}"),
    }
}

/// The head's length as the scanner finds it when `text` arrives in steps.
#[track_caller]
fn scan_in_steps(text: &[u8], step: usize) -> Option<usize> {
    let whole = HeadScanner::new().scan(text);
    let mut scanner = HeadScanner::new();
    let mut arrived = 0;
    while arrived < text.len() {
        arrived = text.len().min(arrived + step);
        match scanner.scan(&text[..arrived]) {
            Ok(None) => {}
            found => {
                assert_eq!(found, whole, "the steps decide what the scanner finds");
                return found.ok().flatten();
            }
        }
    }
    assert!(matches!(whole, Ok(None)), "in steps nothing was found: {whole:?}");
    None
}

/// `text`, whose first `length` bytes are a head, with spaces in place of the line ends before white space
/// (RFC 9112 section 5.2), but for the one of the status line.
fn unfolded(text: &[u8], length: usize) -> Vec<u8> {
    let mut flat = text.to_vec();
    let first = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    for at in first + 1..length.saturating_sub(1) {
        if text[at] == b'\n' && matches!(text[at + 1], b' ' | b'\t') {
            flat[at] = b' ';
            if at > first + 1 && text[at - 1] == b'\r' {
                flat[at - 1] = b' ';
            }
        }
    }
    flat
}

/// All that a head says, kept.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    version: Version,
    reason: String,
    length: usize,
    fields: Vec<(String, Vec<u8>)>,
    dropped: Vec<Vec<u8>>,
    framing: Result<BodyFraming, HttpError>,
    will_close: bool,
}

fn parse(bytes: &mut [u8], kind: RequestKind) -> Result<Option<Seen>, HttpError> {
    match ResponseHead::parse(bytes)? {
        ParsedHead::Partial => Ok(None),
        ParsedHead::Complete(head) => Ok(Some(Seen {
            status: head.status(),
            version: head.version(),
            reason: head.reason().to_owned(),
            length: head.len(),
            fields: head.headers().map(|field| (field.name.to_owned(), field.value.to_vec())).collect(),
            dropped: head.headers().dropped().map(<[u8]>::to_vec).collect(),
            framing: head.framing(kind),
            will_close: head.will_close(kind),
        })),
    }
}

/// What comes after a head does not change it, and less than the head is none.
#[track_caller]
fn ends_where_it_ends(text: &[u8], length: usize, kind: RequestKind, read: &Result<Option<Seen>, HttpError>) {
    assert_eq!(parse(&mut text[..length].to_vec(), kind), *read, "what follows the head changes it");
    let less = parse(&mut text[..length - 1].to_vec(), kind);
    assert_eq!(less, Ok(None), "the head is complete before its last byte");
}

impl Seen {
    /// What holds for every head (RFC 9110 section 5, RFC 9112 section 6.3).
    #[track_caller]
    fn makes_sense(&self, kind: RequestKind) {
        assert!(self.status <= 999 && self.reason.is_ascii(), "{self:?}");
        for (name, value) in &self.fields {
            assert!(!name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic() && byte != b':'));
            assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{self:?}");
            assert_eq!(value.trim_ascii(), value, "white space was left around a value");
        }
        for line in &self.dropped {
            assert!(
                self.will_close && !line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
                "{self:?}"
            );
            assert!(!seems_to_frame(line), "a line that some may heed was dropped: {self:?}");
        }
        let has = |wanted: &str| self.fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(wanted));
        let framed = matches!(self.framing, Ok(BodyFraming::Chunked | BodyFraming::UntilClose));
        for (_, value) in
            self.fields.iter().filter(|(name, _)| framed && name.eq_ignore_ascii_case("transfer-encoding"))
        {
            let codings = value.to_ascii_lowercase();
            let mut codings = codings.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
            assert!(
                codings.all(|coding| matches!(coding, b"chunked" | b"identity" | b"")),
                "it would come out coded: {self:?}"
            );
        }
        let empty = kind == RequestKind::Head
            || matches!(self.status, 100..=199 | 204 | 304)
            || (kind == RequestKind::Connect && matches!(self.status, 200..=299));
        match self.framing {
            Ok(BodyFraming::Empty) => assert!(empty, "{self:?}"),
            _ if empty => panic!("there is no body, whatever the head says: {self:?}"),
            Ok(BodyFraming::Chunked) => assert!(has("transfer-encoding"), "{self:?}"),
            Ok(BodyFraming::Length(_)) => {
                assert!(has("content-length") && !has("transfer-encoding"), "{self:?}");
            }
            Ok(BodyFraming::UntilClose) => {
                assert!(self.will_close && (has("transfer-encoding") || !has("content-length")), "{self:?}");
            }
            Err(_) => assert!(self.will_close, "{self:?}"),
        }
    }

    /// The fields that httparse finds in the head as it was unfolded in place, where it passes over lines
    /// that are none.
    #[track_caller]
    fn is_what_httparse_sees(&self, head: &[u8]) {
        let mut head = head.to_vec();
        if head[7] > b'1' {
            // A higher minor version is one more than httparse reads (RFC 9110 section 2.5).
            head[7] = b'1';
        }
        // Nor does it read a reason with a control, which is taken for one of other bytes than ASCII.
        let line = head.iter_mut().skip(12).take_while(|byte| **byte != b'\n');
        for byte in line.filter(|byte| byte.is_ascii_control() && !matches!(**byte, b'\t' | b'\r')) {
            *byte = 0x80;
        }
        let mut room = vec![httparse::EMPTY_HEADER; self.fields.len()];
        let mut response = httparse::Response::new(&mut room);
        let mut config = httparse::ParserConfig::default();
        config.ignore_invalid_headers_in_responses(true);
        let parsed = config.parse_response(&mut response, &head);
        assert_eq!(parsed, Ok(httparse::Status::Complete(head.len())));
        let fields = response.headers.iter();
        let fields = fields.map(|field| (field.name.to_owned(), field.value.trim_ascii().to_vec()));
        assert_eq!(fields.collect::<Vec<_>>(), self.fields, "httparse sees other fields");
        assert_eq!(response.code, Some(self.status));
        assert_eq!(response.version, Some(if self.version == Version::Http10 { 0 } else { 1 }));
        assert_eq!(response.reason, Some(&*self.reason));
    }
}

/// Whether `line` has the name of a field that frames a body, once all that is in no such name is gone.
fn seems_to_frame(line: &[u8]) -> bool {
    let text: String = line.iter().map(|byte| char::from(byte.to_ascii_lowercase())).collect();
    let text = text
        .replace(|letter: char| !letter.is_ascii_alphanumeric() && !"!#$%&'*+-.^_`|~".contains(letter), "");
    text.contains("content-length") || text.contains("transfer-encoding")
}
