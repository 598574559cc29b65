//! Bodies, cut anywhere: how the input was cut must not decide what comes out of it.

use connie_http::{
    HttpError, MAX_CHUNK, MAX_CHUNK_LINE, MAX_TRAILERS,
    parts::{BodyDecoder, BodyFraming, BodyPart},
};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// Decodes a body. The first bytes decide how it is framed, how it is cut and whether a long stretch is put
/// into it; the rest is the input.
///
/// # Panics
///
/// Where the cuts decide what comes out, where a simple reading of RFC 9112 section 7.1 gives something else,
/// or where what was encoded does not come out again.
pub fn chunked(data: &[u8]) {
    let mut draw = Draw::new(data);
    let framing = match draw.below(8) {
        0..=4 => BodyFraming::Chunked,
        5 => BodyFraming::Length(draw.short().into()),
        6 => BodyFraming::UntilClose,
        _ => BodyFraming::Empty,
    };
    let cuts = Cuts { piece: draw.byte().into(), limit: draw.byte().into(), seed: draw.byte() };
    let (stretch, at) = (usize::from(draw.byte()), usize::from(draw.byte()));
    let text = draw.rest();
    note(|| {
        let (framing, Cuts { piece, limit, seed }) = (framing_in_words(framing), cuts);
        format!(
            "{framing}, pieces of {piece} varied by {seed}, {limit} at a time, {stretch} at {at}: {}",
            hex(text)
        )
    });
    // Rarely, since that takes long: up to 21,000 bytes, beyond every limit that a line or a section has.
    let input = stretched(text, stretch.saturating_sub(249) * 3_500, at);
    let whole = decode(framing, &input, Cuts { piece: usize::MAX, limit: usize::MAX, seed: 0 });
    assert_eq!(decode(framing, &input, cuts), whole, "the cuts decide what comes out");
    assert_eq!(decode(framing, &input, Cuts { piece: 1, limit: 1, seed: 0 }), whole, "byte by byte");
    if framing == BodyFraming::Chunked {
        agrees_with_the_standard(&input, &whole);
        comes_out_again(text, cuts);
    }
}

fn framing_in_words(framing: BodyFraming) -> String {
    match framing {
        BodyFraming::Chunked => "chunked".to_owned(),
        BodyFraming::Length(length) => format!("length {length}"),
        BodyFraming::UntilClose => "until close".to_owned(),
        BodyFraming::Empty => "empty".to_owned(),
    }
}

/// `text` with `length` bytes put into it.
fn stretched(text: &[u8], length: usize, at: usize) -> Vec<u8> {
    let (front, back) = text.split_at(at.min(text.len()));
    [front, &vec![b'x'; length], back].concat()
}

/// How input is cut, and how much a caller takes at a time.
#[derive(Clone, Copy)]
struct Cuts {
    piece: usize,
    limit: usize,
    /// Varies the lengths of the pieces.
    seed: u8,
}

impl Cuts {
    fn pieces<'a>(&self, input: &'a [u8]) -> Vec<&'a [u8]> {
        let (mut rest, mut pieces, mut state) = (input, Vec::new(), self.seed);
        while !rest.is_empty() {
            state = state.wrapping_mul(5).wrapping_add(u8::from(self.seed > 0) * 3);
            let length = self.piece.saturating_add(usize::from(state)).clamp(1, rest.len());
            let (piece, later) = rest.split_at(length);
            pieces.push(piece);
            rest = later;
        }
        pieces
    }
}

/// What came out of a body, and how it ended.
#[derive(Debug, PartialEq)]
struct Decoded {
    content: Vec<u8>,
    /// Only of a section that is complete: one that is too long is refused wherever it is noticed.
    trailers: Vec<u8>,
    /// How much of the input belongs to the body, where it is complete.
    length: Option<usize>,
    end: Result<(), HttpError>,
}

fn decode(framing: BodyFraming, input: &[u8], cuts: Cuts) -> Decoded {
    let mut decoder = BodyDecoder::new(framing);
    let mut decoded = Decoded { content: Vec::new(), trailers: Vec::new(), length: None, end: Ok(()) };
    let mut consumed = 0;
    for piece in cuts.pieces(input) {
        match feed(&mut decoder, piece, cuts.limit.max(1), &mut decoded) {
            Ok(count) => consumed += count,
            Err(error) => {
                decoded.trailers.clear();
                return Decoded { end: Err(error), ..decoded };
            }
        }
    }
    decoded.length = decoder.is_done().then_some(consumed);
    assert_eq!(decoder.got(), decoded.content.len() as u64, "bytes were miscounted");
    let expected = decoder.expected();
    decoded.end = decoder.end_of_input();
    match decoded.end {
        Ok(()) => assert!(decoder.is_done(), "the end of the input does not end the body"),
        Err(error) => assert_eq!(error, HttpError::IncompleteRead { got: decoder.got(), expected }),
    }
    decoded
}

/// Gives the decoder one piece, and says how much of it belongs to the body.
fn feed(
    decoder: &mut BodyDecoder,
    piece: &[u8],
    limit: usize,
    decoded: &mut Decoded,
) -> Result<usize, HttpError> {
    let mut at = 0;
    while at < piece.len() && !decoder.is_done() {
        let step = decoder.step(&piece[at..], limit)?;
        assert!(step.consumed() > 0, "no progress at {:?}", &piece[at..]);
        let bytes = &piece[at + step.skip..at + step.consumed()];
        match step.part {
            BodyPart::Content => {
                assert!(bytes.len() <= limit, "more than the caller takes");
                decoded.content.extend_from_slice(bytes);
            }
            BodyPart::Trailers => decoded.trailers.extend_from_slice(bytes),
        }
        at += step.consumed();
    }
    Ok(at)
}

/// Why the simple reading came to no end.
enum Stop {
    Malformed,
    Incomplete,
    TooLarge,
}

/// Holds what was decoded against a reading that has the whole input before it.
#[track_caller]
fn agrees_with_the_standard(input: &[u8], decoded: &Decoded) {
    let mut content = Vec::new();
    match read_chunks(input, &mut content) {
        Ok((trailers, length)) => {
            assert_eq!(decoded.end, Ok(()));
            assert_eq!((&decoded.trailers[..], decoded.length), (trailers, Some(length)));
        }
        Err(Stop::Malformed) => assert_eq!(decoded.end, Err(HttpError::MalformedChunk)),
        Err(Stop::TooLarge) => assert_eq!(decoded.end, Err(HttpError::TrailersTooLarge)),
        Err(Stop::Incomplete) => {
            let cut_short = Err(HttpError::IncompleteRead { got: content.len() as u64, expected: None });
            // A trailer section may be cut short, and the last line may be wrong already.
            let fits = [cut_short, Ok(()), Err(HttpError::MalformedChunk)].contains(&decoded.end);
            assert!(fits && decoded.length.is_none(), "{decoded:?}");
        }
    }
    assert_eq!(decoded.content, content, "the standard has another body");
}

/// RFC 9112 section 7.1, line by line: the trailer section and the length of it all.
fn read_chunks<'a>(input: &'a [u8], content: &mut Vec<u8>) -> Result<(&'a [u8], usize), Stop> {
    let mut rest = input;
    loop {
        let size = chunk_size(chunk_line(&mut rest, MAX_CHUNK_LINE)?)?;
        if size == 0 {
            break;
        }
        let here = rest.len().min(usize::try_from(size).unwrap_or(usize::MAX));
        let (chunk, after) = rest.split_at(here);
        content.extend_from_slice(chunk);
        rest = after;
        if !chunk_line(&mut rest, 2)?.is_empty() {
            return Err(Stop::Malformed);
        }
    }
    let section = rest;
    loop {
        let end = line(&mut rest, usize::MAX).map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let read = section.len() - rest.len();
        if read > MAX_TRAILERS || (end.is_err() && section.len() > MAX_TRAILERS) {
            return Err(Stop::TooLarge);
        }
        if end?.is_empty() {
            return Ok((&section[..read], input.len() - rest.len()));
        }
    }
}

/// The next line of the chunks' framing without its end, which is CRLF and nothing else.
fn chunk_line<'a>(rest: &mut &'a [u8], most: usize) -> Result<&'a [u8], Stop> {
    line(rest, most)?.strip_suffix(b"\r").ok_or(Stop::Malformed)
}

/// The next line without its LF.
fn line<'a>(rest: &mut &'a [u8], most: usize) -> Result<&'a [u8], Stop> {
    let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
        return Err(if rest.len() > most { Stop::Malformed } else { Stop::Incomplete });
    };
    let (line, after) = rest.split_at(end + 1);
    if line.len() > most {
        return Err(Stop::Malformed);
    }
    *rest = after;
    Ok(&line[..end])
}

/// The size in the line that begins a chunk.
fn chunk_size(line: &[u8]) -> Result<u64, Stop> {
    let size = line.split(|byte| *byte == b';').next().unwrap_or_default();
    let digits = std::str::from_utf8(size).map_err(|_| Stop::Malformed)?.trim_end_matches([' ', '\t']);
    let hexadecimal = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !hexadecimal || line.contains(&b'\r') {
        return Err(Stop::Malformed);
    }
    let significant = digits.trim_start_matches('0');
    let size = u64::from_str_radix(if significant.is_empty() { "0" } else { significant }, 16);
    size.ok().filter(|size| *size <= MAX_CHUNK).ok_or(Stop::Malformed)
}

/// Whatever the bytes are, as a body of chunks they come out again.
#[track_caller]
fn comes_out_again(body: &[u8], cuts: Cuts) {
    let mut encoded = Vec::new();
    for chunk in cuts.pieces(body) {
        encoded.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        encoded.extend_from_slice(chunk);
        encoded.extend_from_slice(b"\r\n");
    }
    encoded.extend_from_slice(b"0\r\n\r\n");
    let decoded = decode(BodyFraming::Chunked, &encoded, cuts);
    let length = Some(encoded.len());
    assert_eq!(decoded, Decoded { content: body.to_vec(), trailers: b"\r\n".to_vec(), length, end: Ok(()) });
}
