//! Reads what a client has sent, as a server would, and finds what it should not have sent.

use connie_http::parts::{BodyDecoder, BodyFraming, BodyPart};

/// The only byte in bodies, so that a head that has come into one stands out.
pub const BODY: u8 = b'~';

/// Reads `sent`, which may be cut anywhere, and gives the methods of the requests that begin in it, as far as
/// they are there.
///
/// # Panics
///
/// Where a request is not one, has a field whose name is not among `names`, or has a body of other bytes than
/// [`BODY`].
#[track_caller]
pub fn requests(sent: &[u8], names: &[&str]) -> Vec<String> {
    let (mut rest, mut methods) = (sent, Vec::new());
    while !rest.is_empty() {
        let method = rest.split(|byte| *byte == b' ').next().unwrap_or_default();
        methods.push(String::from_utf8_lossy(method).into_owned());
        let Some((framing, length)) = head(rest, names) else { break };
        rest = body(framing, &rest[length..]);
    }
    methods
}

/// How the body is framed, and the head's length; `None` where it is cut short.
#[track_caller]
fn head(sent: &[u8], names: &[&str]) -> Option<(BodyFraming, usize)> {
    let mut room = [httparse::EMPTY_HEADER; 256];
    let mut request = httparse::Request::new(&mut room);
    let parsed = request.parse(sent);
    let parsed = parsed.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(sent)));
    let httparse::Status::Complete(length) = parsed else { return None };
    let fields = &*request.headers;
    let with = |name: &str| fields.iter().filter(|field| field.name.eq_ignore_ascii_case(name)).count();
    for field in fields {
        assert!(names.contains(&field.name), "nobody asked for the field {:?}", field.name);
    }
    assert_eq!(with("host"), 1, "RFC 9112 section 3.2: exactly one Host");
    assert!(with("content-length") + with("transfer-encoding") <= 1, "two opinions of where the body ends");
    let value = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.value);
    let announced = value("Content-Length").map(|value| std::str::from_utf8(value).unwrap().parse().unwrap());
    let chunked = value("Transfer-Encoding").is_some();
    let framing = if chunked {
        BodyFraming::Chunked
    } else {
        announced.map_or(BodyFraming::Empty, BodyFraming::Length)
    };
    Some((framing, length))
}

/// What follows after the body.
#[track_caller]
fn body(framing: BodyFraming, sent: &[u8]) -> &[u8] {
    let (mut decoder, mut rest) = (BodyDecoder::new(framing), sent);
    while !rest.is_empty() && !decoder.is_done() {
        let step = decoder.step(rest, usize::MAX).expect("a body that a server can read");
        let bytes = &rest[step.skip..step.consumed()];
        let expected = if step.part == BodyPart::Content { BODY } else { b'\r' };
        let ours =
            bytes.iter().all(|byte| *byte == expected || (step.part == BodyPart::Trailers && *byte == b'\n'));
        assert!(ours, "{} came into a body", String::from_utf8_lossy(bytes));
        rest = &rest[step.consumed()..];
    }
    rest
}
