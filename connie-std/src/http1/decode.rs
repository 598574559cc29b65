//! Bodies that were sent compressed (RFC 9110 section 8.4).

#[cfg(feature = "br")]
mod brotli;
#[cfg(feature = "zstd")]
mod zstd;

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

#[cfg(feature = "br")]
use brotli::BrotliReader;
use flate2::bufread::{DeflateDecoder, GzDecoder, ZlibDecoder};
#[cfg(feature = "zstd")]
use zstd::ZstdReader;

/// The value of an `Accept-Encoding` field that asks for what [`Decoded`] can undo.
pub const ACCEPT_ENCODING: &str = match (cfg!(feature = "br"), cfg!(feature = "zstd")) {
    (true, true) => "gzip, deflate, br, zstd",
    (true, false) => "gzip, deflate, br",
    (false, true) => "gzip, deflate, zstd",
    (false, false) => "gzip, deflate",
};

/// The most codings that one body may have. curl allows as many; two are rare.
pub const MAX_CODINGS: usize = 5;

/// How much compressed data is taken in at a time.
const PIECE: usize = 16 * 1024;

/// A body without the codings that its `Content-Encoding` names: `gzip` (and `x-gzip`), `deflate`, with the
/// features of these names `br` and `zstd`, or several of them. `identity` and `none`, which some servers
/// send, are no coding.
///
/// It decodes as it is read, in some 64 KiB of memory for each coding, whatever the body grows to; `br` takes
/// up to 16 MiB, and `zstd` 8, where the body was made for that. A few bytes can grow to gigabytes: a program
/// that keeps what is read bounds it with [`Read::take`].
///
/// After the last byte it has read the coded body to its end, so that the connection can serve another
/// request.
///
/// ```
/// use connie_std::http1::Decoded;
/// use std::io::Read;
///
/// let body: &[u8] = &[31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
/// let mut decoded = Decoded::new(b"gzip", body)?;
/// let mut text = String::new();
/// decoded.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Errors of reading
///
/// Those of the coded body as they are, and [`DecodeError`]s within an [`io::Error`] of kind `InvalidData` or
/// `UnexpectedEof`.
pub struct Decoded<'a>(Box<dyn Read + 'a>);

impl<'a> Decoded<'a> {
    /// `body` without the codings of this `Content-Encoding` value; several fields are joined by commas (RFC
    /// 9110 section 5.3). With an empty value it is `body` itself.
    ///
    /// # Errors
    ///
    /// [`UnsupportedCoding`] for a coding that is not known, or too many of them.
    pub fn new(content_encoding: &[u8], body: impl Read + 'a) -> Result<Self, UnsupportedCoding> {
        let mut decoded: Box<dyn Read + 'a> = Box::new(body);
        // "in the order in which they were applied" (RFC 9110 section 8.4): the last one is undone first.
        let codings = content_encoding.split(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        let codings: Vec<_> = codings.filter(|coding| !coding.is_empty()).collect();
        if codings.len() > MAX_CODINGS {
            return Err(UnsupportedCoding(format!("{} codings", codings.len())));
        }
        for coding in codings.into_iter().rev() {
            let is = |name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
            let kind = match coding {
                // "A recipient SHOULD consider "x-gzip" to be equivalent to "gzip"" (section 8.4.1.3).
                _ if is("gzip") || is("x-gzip") => Coding::Gzip,
                _ if is("deflate") => Coding::Deflate,
                #[cfg(feature = "br")]
                _ if is("br") => Coding::Brotli,
                #[cfg(feature = "zstd")]
                _ if is("zstd") => Coding::Zstd,
                // The first is reserved for Accept-Encoding, the second is none, and both are sent all the
                // same.
                _ if is("identity") || is("none") => continue,
                other => return Err(UnsupportedCoding(other.escape_ascii().to_string())),
            };
            decoded = Box::new(CodingReader::new(kind, decoded));
        }
        Ok(Decoded(decoded))
    }
}

impl fmt::Debug for Decoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").finish_non_exhaustive()
    }
}

impl Read for Decoded<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

/// A `Content-Encoding` that cannot be undone here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnsupportedCoding(String);

impl fmt::Display for UnsupportedCoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the Content-Encoding of the body is not supported: {}", self.0)
    }
}

impl std::error::Error for UnsupportedCoding {}

impl From<UnsupportedCoding> for io::Error {
    fn from(error: UnsupportedCoding) -> Self {
        io::Error::new(io::ErrorKind::Unsupported, error)
    }
}

/// What is wrong with a coded body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// It is not what its coding says, or its checksum is wrong.
    Corrupt,
    /// It ends before its coding does.
    Truncated,
    /// It goes on after its coding's end.
    Surplus,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::Corrupt => "the compressed body is corrupt",
            DecodeError::Truncated => "the compressed body is incomplete",
            DecodeError::Surplus => "the compressed body continues after its end",
        })
    }
}

impl std::error::Error for DecodeError {}

impl From<DecodeError> for io::Error {
    fn from(error: DecodeError) -> Self {
        let kind = match error {
            DecodeError::Truncated => io::ErrorKind::UnexpectedEof,
            DecodeError::Corrupt | DecodeError::Surplus => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, error)
    }
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
    #[cfg(feature = "br")]
    Brotli,
    #[cfg(feature = "zstd")]
    Zstd,
}

/// One coding, undone.
struct CodingReader<R> {
    state: DecoderState<R>,
    /// Whether the decoder has seen its end.
    ended: bool,
}

enum DecoderState<R> {
    /// Nothing has been read yet.
    Start(Coding, BufReader<CodedSource<R>>),
    Gzip(GzDecoder<BufReader<CodedSource<R>>>),
    Zlib(ZlibDecoder<BufReader<CodedSource<R>>>),
    Raw(DeflateDecoder<BufReader<CodedSource<R>>>),
    #[cfg(feature = "br")]
    Brotli(Box<BrotliReader<BufReader<CodedSource<R>>>>),
    #[cfg(feature = "zstd")]
    Zstd(Box<ZstdReader<BufReader<CodedSource<R>>>>),
    /// The body is at its end.
    Done,
}

/// The coded body. Keeps its errors to itself and says `WouldBlock` instead, after which a decoder can go on.
struct CodedSource<R> {
    inner: R,
    error: Option<io::Error>,
}

impl<R: Read> Read for CodedSource<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.inner.read(into).map_err(|error| {
            self.error = Some(error);
            io::ErrorKind::WouldBlock.into()
        })
    }
}

impl<R: Read> CodingReader<R> {
    fn new(kind: Coding, inner: R) -> Self {
        let source = BufReader::with_capacity(PIECE, CodedSource { inner, error: None });
        CodingReader { state: DecoderState::Start(kind, source), ended: false }
    }

    /// Chooses the decoder by the first byte.
    fn begin(&mut self) -> io::Result<()> {
        let DecoderState::Start(kind, _) = self.state else { return Ok(()) };
        let first = self.next_byte()?;
        let Some(source) = self.take_source() else { return Ok(()) };
        self.state = match (kind, first) {
            // No body at all, as a response to HEAD has none.
            (_, None) => DecoderState::Done,
            (Coding::Gzip, Some(_)) => DecoderState::Gzip(GzDecoder::new(source)),
            // "Some non-conformant implementations send the "deflate" compressed data without the zlib
            // wrapper" (RFC 9110 section 8.4.1.2). The wrapper begins with method 8 and a window of at most
            // 2^15 (RFC 1950 section 2.2), and the first byte of deflate data can be that only where its
            // first block is stored with a padding that nobody writes.
            (Coding::Deflate, Some(first)) if first & 0x0f == 8 && first >> 4 <= 7 => {
                DecoderState::Zlib(ZlibDecoder::new(source))
            }
            (Coding::Deflate, Some(_)) => DecoderState::Raw(DeflateDecoder::new(source)),
            #[cfg(feature = "br")]
            (Coding::Brotli, Some(_)) => DecoderState::Brotli(Box::new(BrotliReader::new(source))),
            #[cfg(feature = "zstd")]
            (Coding::Zstd, Some(_)) => DecoderState::Zstd(Box::new(ZstdReader::new(source))),
        };
        Ok(())
    }

    fn decode(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if let Some(source) = self.source() {
            // One that a decoder kept to itself as it began.
            source.get_mut().error = None;
        }
        match &mut self.state {
            DecoderState::Gzip(decoder) => decoder.read(into),
            DecoderState::Zlib(decoder) => decoder.read(into),
            DecoderState::Raw(decoder) => decoder.read(into),
            #[cfg(feature = "br")]
            DecoderState::Brotli(decoder) => decoder.read(into),
            #[cfg(feature = "zstd")]
            DecoderState::Zstd(decoder) => decoder.read(into),
            DecoderState::Start(..) | DecoderState::Done => Ok(0),
        }
    }

    fn source(&mut self) -> Option<&mut BufReader<CodedSource<R>>> {
        match &mut self.state {
            DecoderState::Start(_, source) => Some(source),
            DecoderState::Gzip(decoder) => Some(decoder.get_mut()),
            DecoderState::Zlib(decoder) => Some(decoder.get_mut()),
            DecoderState::Raw(decoder) => Some(decoder.get_mut()),
            #[cfg(feature = "br")]
            DecoderState::Brotli(decoder) => Some(decoder.get_mut()),
            #[cfg(feature = "zstd")]
            DecoderState::Zstd(decoder) => Some(decoder.get_mut()),
            DecoderState::Done => None,
        }
    }

    fn take_source(&mut self) -> Option<BufReader<CodedSource<R>>> {
        match std::mem::replace(&mut self.state, DecoderState::Done) {
            DecoderState::Start(_, source) => Some(source),
            DecoderState::Gzip(decoder) => Some(decoder.into_inner()),
            DecoderState::Zlib(decoder) => Some(decoder.into_inner()),
            DecoderState::Raw(decoder) => Some(decoder.into_inner()),
            #[cfg(feature = "br")]
            DecoderState::Brotli(decoder) => Some(decoder.into_inner()),
            #[cfg(feature = "zstd")]
            DecoderState::Zstd(decoder) => Some(decoder.into_inner()),
            DecoderState::Done => None,
        }
    }

    /// The next byte of the coded body, which stays where it is; `None` at its end.
    fn next_byte(&mut self) -> io::Result<Option<u8>> {
        match self.source().map(BufRead::fill_buf) {
            None => Ok(None),
            Some(Ok(bytes)) => Ok(bytes.first().copied()),
            Some(Err(error)) => Err(self.named(error)),
        }
    }

    /// An error of the body as it is; one of the decoder by its name.
    fn named(&mut self, error: io::Error) -> io::Error {
        if let Some(own) = self.source().and_then(|source| source.get_mut().error.take()) {
            return own;
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => DecodeError::Truncated.into(),
            _ => DecodeError::Corrupt.into(),
        }
    }

    /// The coding is at its end, and the body should be; or another member follows (RFC 1952 section 2.2).
    fn go_on(&mut self) -> io::Result<()> {
        match (self.next_byte()?, &self.state) {
            (None, _) => self.state = DecoderState::Done,
            (Some(GZIP_ID1), DecoderState::Gzip(_)) => {
                if let Some(source) = self.take_source() {
                    self.state = DecoderState::Gzip(GzDecoder::new(source));
                    self.ended = false;
                }
            }
            (Some(_), _) => return Err(DecodeError::Surplus.into()),
        }
        Ok(())
    }
}

/// The first byte of a member (RFC 1952 section 2.3.1).
const GZIP_ID1: u8 = 31;

impl<R: Read> Read for CodingReader<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if into.is_empty() {
            return Ok(0);
        }
        self.begin()?;
        while !matches!(self.state, DecoderState::Done) {
            if self.ended {
                self.go_on()?;
                continue;
            }
            match self.decode(into) {
                Ok(0) => self.ended = true,
                Ok(count) => return Ok(count),
                Err(error) => return Err(self.named(error)),
            }
        }
        Ok(0)
    }
}

#[cfg(all(test, feature = "br", feature = "zstd"))]
mod modern_tests;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn zlib(data: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn raw(data: &[u8], level: Compression) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), level);
        encoder.write_all(data).and_then(|()| encoder.finish()).expect("memory")
    }

    fn text() -> Vec<u8> {
        (0..20_000_u32).flat_map(|n| n.to_string().into_bytes()).collect()
    }

    fn decode(encoding: &str, body: &[u8]) -> io::Result<Vec<u8>> {
        let mut decoded = Vec::new();
        Decoded::new(encoding.as_bytes(), body)?.read_to_end(&mut decoded)?;
        Ok(decoded)
    }

    #[track_caller]
    fn expect_error(encoding: &str, body: &[u8], expected: DecodeError) {
        let error = decode(encoding, body).expect_err("a fault");
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DecodeError>());
        assert_eq!(inner, Some(&expected), "{error:?}");
        assert_eq!(error.kind(), io::Error::from(expected).kind());
    }

    #[test]
    fn every_coding_is_undone() {
        let text = text();
        for encoding in ["gzip", "x-gzip", "GZIP", " gzip ", "identity, gzip"] {
            assert_eq!(decode(encoding, &gzip(&text)).expect(encoding), text);
        }
        assert_eq!(decode("deflate", &zlib(&text)).expect("zlib"), text);
        for level in [Compression::none(), Compression::fast(), Compression::best()] {
            assert_eq!(decode("deflate", &raw(&text, level)).expect("raw"), text);
        }
        for encoding in ["", "identity", "none", "None, identity", ","] {
            assert_eq!(decode(encoding, &text).expect(encoding), text);
        }
    }

    #[test]
    fn the_last_coding_is_undone_first() {
        let text = text();
        assert_eq!(decode("deflate, gzip", &gzip(&zlib(&text))).expect("both"), text);
        assert_eq!(decode("gzip,gzip,gzip", &gzip(&gzip(&gzip(&text)))).expect("all"), text);
        expect_error("gzip, deflate", &gzip(&zlib(&text)), DecodeError::Corrupt);
    }

    #[test]
    fn what_is_not_known_is_refused_before_anything_is_read() {
        for encoding in ["x-zip", "gzip, x-zip", "gzip;q=1", "gzip, gzip, gzip, gzip, gzip, gzip"] {
            let error = decode(encoding, b"").expect_err(encoding);
            assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{encoding}");
        }
        let error = UnsupportedCoding("br".to_owned());
        assert_eq!(error.to_string(), "the Content-Encoding of the body is not supported: br");
    }

    #[test]
    fn no_body_is_no_fault() {
        for encoding in ["gzip", "deflate", "gzip, deflate"] {
            assert_eq!(decode(encoding, b"").expect(encoding), b"");
        }
    }

    #[test]
    fn members_of_a_gzip_body_follow_one_another() {
        let body = [gzip(b"first "), gzip(b""), gzip(b"second")].concat();
        assert_eq!(decode("gzip", &body).expect("three members"), b"first second");
    }

    #[test]
    fn a_body_cut_anywhere_is_truncated() {
        for (encoding, body) in
            [("gzip", gzip(b"hello hello hello")), ("deflate", zlib(b"hello hello hello"))]
        {
            for length in 1..body.len() {
                expect_error(encoding, &body[..length], DecodeError::Truncated);
            }
        }
    }

    #[test]
    fn a_byte_that_is_wrong_in_the_data_or_the_checksum_is_noticed() {
        let body = gzip(&text());
        for at in [10, body.len() / 2, body.len() - 8, body.len() - 1] {
            let mut body = body.clone();
            body[at] ^= 0x55;
            assert!(decode("gzip", &body).is_err(), "byte {at}");
        }
        expect_error("gzip", b"<!DOCTYPE html>", DecodeError::Corrupt);
        expect_error("deflate", b"<!DOCTYPE html>", DecodeError::Corrupt);
        let mut body = zlib(&text());
        let last = body.len() - 1;
        body[last] ^= 1;
        expect_error("deflate", &body, DecodeError::Corrupt);
    }

    #[test]
    fn what_follows_the_end_is_noticed() {
        expect_error("deflate", &[&zlib(b"hello")[..], b"surplus"].concat(), DecodeError::Surplus);
        expect_error("gzip", &[&gzip(b"hello")[..], b"surplus"].concat(), DecodeError::Surplus);
        expect_error("gzip", &[&gzip(b"hello")[..], &[GZIP_ID1]].concat(), DecodeError::Truncated);
    }

    /// Hands out one byte at a time, and an error of its own before each.
    struct Hesitant<'a>(&'a [u8], bool);

    impl Read for Hesitant<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "not yet"));
            }
            let count = into.len().min(1);
            self.0.read(&mut into[..count])
        }
    }

    #[test]
    fn an_error_of_the_body_passes_and_reading_can_go_on() {
        for (encoding, body) in [("gzip", gzip(b"hello hello")), ("deflate", zlib(b"hello hello"))] {
            let mut decoded = Decoded::new(encoding.as_bytes(), Hesitant(&body, false)).expect(encoding);
            let (mut text, mut piece, mut errors) = (Vec::new(), [0; 4], 0);
            loop {
                match decoded.read(&mut piece) {
                    Ok(0) => break,
                    Ok(count) => text.extend_from_slice(&piece[..count]),
                    Err(error) => {
                        assert_eq!(
                            (error.kind(), error.to_string()),
                            (io::ErrorKind::TimedOut, "not yet".to_owned())
                        );
                        errors += 1;
                    }
                }
            }
            assert_eq!(text, b"hello hello", "{encoding}");
            assert!(errors >= body.len(), "{errors} errors in {} bytes", body.len());
        }
    }

    /// It streams, and who has had enough stops.
    #[test]
    fn a_bomb_is_read_as_far_as_it_is_wanted() {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        let zeros = vec![0; 1024 * 1024];
        for _ in 0..16 {
            encoder.write_all(&zeros).expect("memory");
        }
        let bomb = encoder.finish().expect("memory");
        let mut decoded = Decoded::new(b"gzip", &bomb[..]).expect("gzip").take(1000);
        assert_eq!(io::copy(&mut decoded, &mut io::sink()).expect("zeros"), 1000);
    }
}
