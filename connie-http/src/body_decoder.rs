//! Finds the bytes of a body in what follows a head, wherever the input is cut.

use crate::error::HttpError;
use crate::response_head::BodyFraming;

/// The largest chunk, in bytes. What is larger is taken for an attack or a mistake.
pub const MAX_CHUNK: u64 = i64::MAX as u64;

/// The longest line that begins a chunk: its size, its extensions (which are ignored) and its line end.
pub const MAX_CHUNK_LINE: usize = 4096;

/// The longest trailer section, in bytes.
pub const MAX_TRAILERS: usize = 16 * 1024;

/// One stretch of input: `skip` bytes of framing, then `length` bytes that count. Both have been dealt with;
/// go on after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BodyStep {
    /// Bytes to pass over.
    pub skip: usize,
    /// Bytes of `part` after those.
    pub length: usize,
    /// What these bytes are.
    pub part: BodyPart,
}

impl BodyStep {
    /// The input that the step has dealt with.
    #[must_use]
    pub const fn consumed(&self) -> usize {
        self.skip.saturating_add(self.length)
    }
}

/// What the bytes of a [`BodyStep`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyPart {
    /// The body.
    Content,
    /// The trailer section (RFC 9112 section 7.1.2), its empty line included.
    Trailers,
}

/// Follows a body through input that may be cut anywhere.
///
/// ```
/// use connie_http::{HttpError, parts::{BodyDecoder, BodyFraming, BodyPart}};
///
/// let input = b"5\r\nhello\r\n6; x=y\r\n world\r\n0\r\n\r\nsurplus";
/// let (mut decoder, mut body, mut at) = (BodyDecoder::new(BodyFraming::Chunked), Vec::new(), 0);
/// while !decoder.is_done() {
///     let step = decoder.step(&input[at..], usize::MAX)?;
///     if step.part == BodyPart::Content {
///         body.extend_from_slice(&input[at + step.skip..at + step.consumed()]);
///     }
///     at += step.consumed();
/// }
/// assert_eq!((&body[..], &input[at..]), (&b"hello world"[..], &b"surplus"[..]));
///
/// let mut decoder = BodyDecoder::new(BodyFraming::Length(5));
/// decoder.step(b"hel", usize::MAX)?;
/// assert_eq!(decoder.end_of_input(), Err(HttpError::IncompleteRead { got: 3, expected: Some(5) }));
/// # Ok::<(), HttpError>(())
/// ```
#[derive(Clone, Debug)]
pub struct BodyDecoder {
    state: BodyState,
    /// Body bytes so far.
    got: u64,
    /// Bytes of the line that begins a chunk, or of the trailer section, so far.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyState {
    /// This many bytes are left, by Content-Length.
    Length(u64),
    UntilClose,
    /// In the size of a chunk; `None` before its first digit.
    Size(Option<u64>),
    /// After the size, in white space.
    SizeEnd(u64),
    /// In the extensions of a chunk of this size.
    Extension(u64),
    /// After the CR that ends the line; an LF must follow.
    LineFeed(u64),
    /// This many bytes of the chunk are left.
    Chunk(u64),
    /// After a chunk's bytes.
    ChunkEnd,
    /// After the CR behind them.
    ChunkLineFeed,
    /// In the trailer section.
    Trailers(TrailerLine),
    Done,
}

/// What a line of the trailer section holds so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TrailerLine {
    Nothing,
    Cr,
    Text,
}

impl BodyDecoder {
    /// The decoder of a body framed like this.
    #[must_use]
    pub const fn new(framing: BodyFraming) -> Self {
        let state = match framing {
            BodyFraming::Empty | BodyFraming::Length(0) => BodyState::Done,
            BodyFraming::Length(length) => BodyState::Length(length),
            BodyFraming::Chunked => BodyState::Size(None),
            BodyFraming::UntilClose => BodyState::UntilClose,
        };
        BodyDecoder { state, got: 0, line: 0 }
    }

    /// Whether the body, with its trailers, is complete. Input that is left then belongs to no body.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == BodyState::Done
    }

    /// Body bytes so far.
    #[must_use]
    pub fn got(&self) -> u64 {
        self.got
    }

    /// How many bytes the whole body has, where the head said so and they are not all here.
    #[must_use]
    pub fn expected(&self) -> Option<u64> {
        match self.state {
            BodyState::Length(left) => Some(self.got.saturating_add(left)),
            _ => None,
        }
    }

    /// Takes in the start of `input`, up to the end of the next stretch of content or trailers, with at most
    /// `limit` bytes of content. Input that is not empty is left untouched only when the body is done or
    /// `limit` is 0.
    ///
    /// # Errors
    ///
    /// [`HttpError::MalformedChunk`], [`HttpError::TrailersTooLarge`]. The decoder is of no use after that.
    pub fn step(&mut self, input: &[u8], limit: usize) -> Result<BodyStep, HttpError> {
        let mut skip = 0_usize;
        loop {
            let rest = input.get(skip..).unwrap_or_default();
            let length = match self.state {
                BodyState::Done => 0,
                BodyState::UntilClose => self.content(u64::MAX, rest, limit),
                BodyState::Length(left) | BodyState::Chunk(left) => self.content(left, rest, limit),
                BodyState::Trailers(line) => {
                    let length = self.trailers(line, rest)?;
                    return Ok(BodyStep { skip, length, part: BodyPart::Trailers });
                }
                _ => match rest.first() {
                    Some(byte) => {
                        self.state = self.framing(*byte)?;
                        skip = skip.saturating_add(1);
                        continue;
                    }
                    None => 0,
                },
            };
            return Ok(BodyStep { skip, length, part: BodyPart::Content });
        }
    }

    /// Records that the peer has closed the connection.
    ///
    /// A chunked body is complete once its "zero-sized chunk" has come (RFC 9112 section 8), so that the
    /// close may cut the trailer section short.
    ///
    /// # Errors
    ///
    /// [`HttpError::IncompleteRead`] where more had to come.
    pub fn end_of_input(&mut self) -> Result<(), HttpError> {
        match self.state {
            BodyState::UntilClose | BodyState::Trailers(_) | BodyState::Done => {
                self.state = BodyState::Done;
                Ok(())
            }
            _ => Err(HttpError::IncompleteRead { got: self.got, expected: self.expected() }),
        }
    }

    /// Takes in content of which `left` bytes are to come, and returns how much.
    fn content(&mut self, left: u64, input: &[u8], limit: usize) -> usize {
        let room = usize::try_from(left).unwrap_or(usize::MAX);
        let length = room.min(input.len()).min(limit);
        // A length is no wider than 64 bits on any machine, and no longer than `left`.
        let wide = length as u64;
        self.got = self.got.saturating_add(wide);
        self.state = match (self.state, left.saturating_sub(wide)) {
            (BodyState::Length(_), 0) => BodyState::Done,
            (BodyState::Length(_), left) => BodyState::Length(left),
            (BodyState::Chunk(_), 0) => BodyState::ChunkEnd,
            (BodyState::Chunk(_), left) => BodyState::Chunk(left),
            (state, _) => state,
        };
        length
    }

    /// What follows after `byte` of a chunk's framing.
    ///
    /// Only CRLF ends a line here: RFC 9112 section 2.2 forgives a bare LF in "the start-line and fields"
    /// alone. A CR that no LF follows is refused, and so is anything but digits where a size has to be:
    /// readers that differ in what they forgive are what smuggling lives on.
    fn framing(&mut self, byte: u8) -> Result<BodyState, HttpError> {
        self.line = self.line.saturating_add(1);
        if self.line > MAX_CHUNK_LINE {
            return Err(HttpError::MalformedChunk);
        }
        match (self.state, byte) {
            (BodyState::Size(size), b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F') => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                let grown =
                    size.unwrap_or(0).checked_mul(16).and_then(|size| size.checked_add(u64::from(digit)));
                grown
                    .filter(|size| *size <= MAX_CHUNK)
                    .map(|size| BodyState::Size(Some(size)))
                    .ok_or(HttpError::MalformedChunk)
            }
            (BodyState::Size(Some(size)) | BodyState::SizeEnd(size) | BodyState::Extension(size), b'\r') => {
                Ok(BodyState::LineFeed(size))
            }
            (BodyState::LineFeed(size), b'\n') => Ok(self.begin_chunk(size)),
            (BodyState::Size(Some(size)) | BodyState::SizeEnd(size), b' ' | b'\t') => {
                Ok(BodyState::SizeEnd(size))
            }
            (BodyState::Size(Some(size)) | BodyState::SizeEnd(size), b';') => Ok(BodyState::Extension(size)),
            (BodyState::Extension(size), byte) if byte != b'\n' => Ok(BodyState::Extension(size)),
            (BodyState::ChunkEnd, b'\r') => Ok(BodyState::ChunkLineFeed),
            (BodyState::ChunkLineFeed, b'\n') => {
                self.line = 0;
                Ok(BodyState::Size(None))
            }
            _ => Err(HttpError::MalformedChunk),
        }
    }

    /// What follows after the line that begins a chunk of this size.
    fn begin_chunk(&mut self, size: u64) -> BodyState {
        self.line = 0;
        if size == 0 { BodyState::Trailers(TrailerLine::Nothing) } else { BodyState::Chunk(size) }
    }

    /// Takes in bytes of the trailer section, up to its empty line, and returns how many.
    fn trailers(&mut self, mut line: TrailerLine, input: &[u8]) -> Result<usize, HttpError> {
        let mut length = 0_usize;
        let mut ended = false;
        for byte in input {
            length = length.saturating_add(1);
            ended = *byte == b'\n' && line != TrailerLine::Text;
            if ended {
                break;
            }
            line = match (line, byte) {
                (_, b'\n') => TrailerLine::Nothing,
                (TrailerLine::Nothing, b'\r') => TrailerLine::Cr,
                _ => TrailerLine::Text,
            };
        }
        self.line = self.line.saturating_add(length);
        if self.line > MAX_TRAILERS {
            return Err(HttpError::TrailersTooLarge);
        }
        self.state = if ended { BodyState::Done } else { BodyState::Trailers(line) };
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    /// What a decoder makes of `pieces` followed by the close: the body, the trailer section and the surplus.
    fn decode(framing: BodyFraming, pieces: &[&[u8]]) -> Result<(Vec<u8>, Vec<u8>, usize), HttpError> {
        let mut decoder = BodyDecoder::new(framing);
        let (mut body, mut trailers, mut surplus) = (Vec::new(), Vec::new(), 0);
        for piece in pieces {
            let mut rest = *piece;
            while !rest.is_empty() && !decoder.is_done() {
                let step = decoder.step(rest, 3)?;
                let bytes = &rest[step.skip..step.consumed()];
                match step.part {
                    BodyPart::Content => body.extend_from_slice(bytes),
                    BodyPart::Trailers => trailers.extend_from_slice(bytes),
                }
                assert!(step.consumed() > 0, "no progress at {rest:?}");
                rest = &rest[step.consumed()..];
            }
            surplus += rest.len();
        }
        decoder.end_of_input()?;
        assert_eq!(decoder.got(), body.len() as u64);
        Ok((body, trailers, surplus))
    }

    /// Decodes `input` whole, byte by byte and cut in two at every place, and wants the same each time.
    #[track_caller]
    fn decode_however_cut(
        framing: BodyFraming,
        input: &[u8],
    ) -> Result<(Vec<u8>, Vec<u8>, usize), HttpError> {
        let whole = decode(framing, &[input]);
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(decode(framing, &bytes), whole, "byte by byte");
        for at in 0..=input.len() {
            let (first, second) = input.split_at(at);
            assert_eq!(decode(framing, &[first, second]), whole, "cut at {at}");
        }
        whole
    }

    #[track_caller]
    fn chunks_give(input: &[u8], body: &[u8]) {
        assert_eq!(decode_however_cut(BodyFraming::Chunked, input).unwrap().0, body);
    }

    #[track_caller]
    fn chunks_are_refused(input: &[u8]) {
        assert_eq!(decode_however_cut(BodyFraming::Chunked, input), Err(HttpError::MalformedChunk));
    }

    #[test]
    fn a_length_is_kept_to_the_byte() {
        assert_eq!(
            decode_however_cut(BodyFraming::Length(5), b"helloXY").unwrap(),
            (b"hello".to_vec(), Vec::new(), 2)
        );
        assert_eq!(decode_however_cut(BodyFraming::Length(0), b"X").unwrap(), (Vec::new(), Vec::new(), 1));
        assert_eq!(
            decode_however_cut(BodyFraming::Length(5), b"hel"),
            Err(HttpError::IncompleteRead { got: 3, expected: Some(5) })
        );
        assert_eq!(
            decode_however_cut(BodyFraming::Length(u64::MAX), b"hel"),
            Err(HttpError::IncompleteRead { got: 3, expected: Some(u64::MAX) })
        );
    }

    #[test]
    fn without_a_length_all_is_body() {
        assert_eq!(decode_however_cut(BodyFraming::UntilClose, b"hello").unwrap().0, b"hello");
        assert_eq!(decode_however_cut(BodyFraming::UntilClose, b"").unwrap().0, b"");
    }

    #[test]
    fn chunks_join_to_the_body() {
        chunks_give(b"5\r\nhello\r\n0\r\n\r\n", b"hello");
        chunks_give(b"1\r\na\r\n2\r\nbc\r\nA\r\n0123456789\r\n0\r\n\r\n", b"abc0123456789");
        chunks_give(b"0\r\n\r\n", b"");
        chunks_give(b"0000000000000000000000005\r\nhello\r\n000\r\n\r\n", b"hello");
        // The trailer section is one of fields, whose lines may end in a bare LF.
        chunks_give(b"1\r\na\r\n0\r\nA: b\n\n", b"a");
    }

    #[test]
    fn extensions_and_padding_are_passed_over() {
        chunks_give(b"5;a=b;c=\"d;e\"\r\nhello\r\n0;x\r\n\r\n", b"hello");
        chunks_give(b"5 \t\r\nhello\r\n0  ;x\r\n\r\n", b"hello");
        chunks_give(b"5;\xff\x00\r\nhello\r\n0\r\n\r\n", b"hello");
    }

    #[test]
    fn trailers_are_told_from_the_body_and_from_what_follows() {
        let (body, trailers, surplus) =
            decode_however_cut(BodyFraming::Chunked, b"1\r\na\r\n0\r\nA: b\r\nC: d\r\n\r\nXYZ").unwrap();
        assert_eq!((&body[..], &trailers[..], surplus), (&b"a"[..], &b"A: b\r\nC: d\r\n\r\n"[..], 3));
    }

    #[test]
    fn a_close_within_the_trailers_ends_a_body_that_is_complete() {
        chunks_give(b"1\r\na\r\n0\r\n", b"a");
        chunks_give(b"1\r\na\r\n0\r\nA: b\r\n", b"a");
    }

    #[test]
    fn a_close_within_the_chunks_is_told_with_what_there_was() {
        for input in
            [&b"3\r\nabc"[..], b"3\r\nabc\r\n", b"3\r\nabc\r\n5\r\n", b"3\r\nabc\r\n0", b"3\r\nabc\r\n0\r"]
        {
            let expected = Err(HttpError::IncompleteRead { got: 3, expected: None });
            assert_eq!(decode_however_cut(BodyFraming::Chunked, input), expected, "{input:?}");
        }
    }

    #[test]
    fn a_size_that_is_none_is_refused() {
        for input in
            ["\r\n", " 5\r\n", "+5\r\n", "-5\r\n", "0x5\r\n", "5 5\r\n", "g\r\n", ";a\r\n", "5_0\r\n", "\n"]
        {
            chunks_are_refused(input.as_bytes());
        }
    }

    #[test]
    fn a_size_that_overflows_is_refused() {
        chunks_are_refused(b"8000000000000000\r\n");
        chunks_are_refused(b"ffffffffffffffff\r\n");
        chunks_are_refused(b"10000000000000005\r\nhello");
        let largest = decode_however_cut(BodyFraming::Chunked, b"7fffffffffffffff\r\nab");
        assert_eq!(largest, Err(HttpError::IncompleteRead { got: 2, expected: None }));
    }

    #[test]
    fn bytes_that_a_line_end_should_be_are_refused() {
        chunks_are_refused(b"5\rX");
        chunks_are_refused(b"5;a\rb\r\nhello");
        chunks_are_refused(b"5\r\nhelloX");
        chunks_are_refused(b"5\r\nhello\rX");
        for input in ["5\n", "5 \n", "5;a\n", "5;a\n\r\n", "5\r\nhello\n"] {
            chunks_are_refused(input.as_bytes());
        }
    }

    #[test]
    fn a_chunk_line_has_an_end() {
        let mut line = b"5;".to_vec();
        line.resize(MAX_CHUNK_LINE - 2, b'x');
        line.extend_from_slice(b"\r\nhello\r\n");
        let twice = [&line[..], &line, b"0\r\n\r\n"].concat();
        assert_eq!(decode(BodyFraming::Chunked, &[&twice]).unwrap().0, b"hellohello");
        line.insert(2, b'x');
        assert_eq!(decode(BodyFraming::Chunked, &[&line]), Err(HttpError::MalformedChunk));
    }

    #[test]
    #[cfg_attr(miri, ignore = "sixteen thousand pieces take half a minute there")]
    fn a_trailer_section_has_an_end() {
        let mut input = b"0\r\n".to_vec();
        input.resize(3 + MAX_TRAILERS - 4, b'x');
        input.extend_from_slice(b"\r\n\r\n");
        assert_eq!(decode(BodyFraming::Chunked, &[&input]).unwrap().1.len(), MAX_TRAILERS);
        input.insert(3, b'x');
        assert_eq!(decode(BodyFraming::Chunked, &[&input]), Err(HttpError::TrailersTooLarge));
        let bytes: Vec<&[u8]> = input.chunks(1).collect();
        assert_eq!(decode(BodyFraming::Chunked, &bytes), Err(HttpError::TrailersTooLarge));
    }
}
