//! What a request carries: the data of `-d` and its kin, or the file of `-T`. Files are read as they are
//! sent.

use std::fs::File;
use std::io::{self, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::args::{DataArg, DataKind};
use crate::error::Error;
use crate::exit_code;
use crate::progress::Progress;
use crate::stdio::stdin;

/// A file up to this size is read at once, so that it goes out with the head.
const SMALL: u64 = 64 * 1024;

/// What a request carries.
#[derive(Debug)]
pub enum Body {
    None,
    /// Pieces one after the other; the length is known.
    Data(Vec<Piece>),
    /// A file whose length is known.
    File(PathBuf, u64),
    /// stdin, or a file that is not a regular one, as it comes: it can be read only once.
    Stream(PathBuf, AtomicBool),
}

/// A part of the data.
#[derive(Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// `length` bytes of a file; without its line ends and NULs where `bare` is set.
    File {
        path: PathBuf,
        length: u64,
        bare: bool,
    },
}

impl Body {
    /// The data of `-d` and its kin, joined by `&`.
    pub fn data(arguments: &[DataArg]) -> Result<Self, Error> {
        if arguments.is_empty() {
            return Ok(Body::None);
        }
        let mut pieces = Vec::new();
        for argument in arguments {
            if !pieces.is_empty() && argument.kind != DataKind::Json {
                push(&mut pieces, Piece::Bytes(b"&".to_vec()));
            }
            push(&mut pieces, piece(argument)?);
        }
        Ok(Body::Data(pieces))
    }

    /// The file of `-T`; `-` and `.` are stdin, as for curl.
    pub fn upload(path: &Path) -> Result<Self, Error> {
        let path = if path == Path::new(".") { Path::new("-") } else { path };
        if is_stdin(path) {
            // One that is closed is told before anything is sent.
            drop(stdin().map_err(|error| Error::read(path, &error))?);
            return Ok(Body::Stream(path.to_owned(), AtomicBool::new(false)));
        }
        // Opened, so that one that cannot be read is told before anything is sent.
        let metadata = File::open(path).and_then(|file| file.metadata());
        let metadata = metadata.map_err(|error| Error::read(path, &error))?;
        if metadata.is_dir() {
            return Err(Error::read(path, &io::Error::from(io::ErrorKind::IsADirectory)));
        }
        Ok(match metadata.is_file() {
            true => Body::File(path.to_owned(), metadata.len()),
            false => Body::Stream(path.to_owned(), AtomicBool::new(false)),
        })
    }

    /// How long it is; `None` where only its end will tell.
    pub fn length(&self) -> Option<u64> {
        match self {
            Body::None => Some(0),
            Body::Data(pieces) => Some(pieces.iter().map(Piece::length).sum()),
            Body::File(_, length) => Some(*length),
            Body::Stream(..) => None,
        }
    }

    /// All of it, where it is in memory.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        match self {
            Body::None => Some(b""),
            Body::Data(pieces) => match pieces.as_slice() {
                [Piece::Bytes(bytes)] => Some(bytes),
                _ => None,
            },
            _ => None,
        }
    }

    /// The data as a text for a URL.
    pub fn into_query(self) -> Result<String, Error> {
        let mut query = Vec::new();
        let read = self.open()?.read_to_end(&mut query);
        read.map_err(|error| Error::read(Path::new("the data"), &error))?;
        // A URL is ASCII (RFC 3986 section 2). What is not may be in any encoding, and is the same octets
        // percent-encoded.
        let encoded = query.iter().map(|byte| match byte {
            ..0x80 => char::from(*byte).to_string(),
            _ => format!("%{byte:02X}"),
        });
        Ok(encoded.collect())
    }

    /// The body from its start.
    pub fn open(&self) -> Result<Box<dyn Read + '_>, Error> {
        match self {
            Body::None => Ok(Box::new(io::empty())),
            Body::Data(pieces) => {
                let mut whole: Box<dyn Read + '_> = Box::new(io::empty());
                for piece in pieces {
                    whole = Box::new(whole.chain(piece.open()?));
                }
                Ok(whole)
            }
            Body::File(path, length) => Ok(Box::new(open(path)?.take(*length))),
            Body::Stream(path, used) => {
                if used.swap(true, Ordering::Relaxed) {
                    let line =
                        format!("cannot read {} a second time to send it again: give a file", name(path));
                    return Err(Error::new(exit_code::REWIND, line));
                }
                match is_stdin(path) {
                    true => Ok(Box::new(stdin().map_err(|error| Error::read(path, &error))?)),
                    false => Ok(Box::new(open(path)?)),
                }
            }
        }
    }

    /// What to call it in an error.
    pub fn name(&self) -> String {
        match self {
            Body::File(path, _) | Body::Stream(path, _) => name(path),
            Body::None | Body::Data(_) => "the data".to_owned(),
        }
    }

    /// It ended before the length that was announced.
    pub fn too_short(&self) -> Error {
        let line = format!("{} became shorter while it was being sent: try again", self.name());
        Error::new(exit_code::READ, line)
    }

    /// Whether it can be sent again.
    pub fn is_repeatable(&self) -> bool {
        !matches!(self, Body::Stream(..))
    }
}

/// A body on its way: opened as soon as its first byte is wanted, and counted.
pub struct Upload<'a> {
    body: &'a Body,
    reader: Option<(Box<dyn Read + 'a>, Progress)>,
    /// Whether progress is shown, and under which name.
    progress: Option<Option<&'a str>>,
    /// How much of it has been read.
    pub sent: u64,
    /// Why it could not be opened.
    error: Option<Error>,
}

impl<'a> Upload<'a> {
    pub fn new(body: &'a Body, progress: Option<Option<&'a str>>) -> Self {
        Upload { body, reader: None, progress, sent: 0, error: None }
    }

    /// The error that is told where reading it failed with `error`.
    pub fn failed(&mut self, error: &io::Error) -> Error {
        self.error.take().unwrap_or_else(|| Error::read(self.body.name().as_ref(), error))
    }

    fn open(&mut self) -> Result<&mut (Box<dyn Read + 'a>, Progress), Error> {
        match &mut self.reader {
            Some(reader) => Ok(reader),
            none => {
                let (wanted, name) = (self.progress.is_some(), self.progress.flatten());
                let progress = Progress::new(wanted, name, 0, self.body.length());
                Ok(none.insert((self.body.open()?, progress)))
            }
        }
    }
}

impl Read for Upload<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        let count = match self.open() {
            Ok((reader, progress)) => {
                let count = reader.read(piece)?;
                progress.add(count);
                count
            }
            Err(error) => {
                self.error = Some(error);
                return Err(io::ErrorKind::Other.into());
            }
        };
        self.sent += count as u64;
        Ok(count)
    }
}

impl Piece {
    fn length(&self) -> u64 {
        match self {
            Piece::Bytes(bytes) => bytes.len() as u64,
            Piece::File { length, .. } => *length,
        }
    }

    fn open(&self) -> Result<Box<dyn Read + '_>, Error> {
        match self {
            Piece::Bytes(bytes) => Ok(Box::new(Cursor::new(bytes))),
            Piece::File { path, length, bare: true } => Ok(Box::new(Bare(open(path)?).take(*length))),
            Piece::File { path, length, bare: false } => Ok(Box::new(open(path)?.take(*length))),
        }
    }
}

/// Adds a piece; two in memory become one.
fn push(pieces: &mut Vec<Piece>, piece: Piece) {
    match (pieces.last_mut(), piece) {
        (Some(Piece::Bytes(before)), Piece::Bytes(bytes)) => before.extend_from_slice(&bytes),
        (_, piece) => pieces.push(piece),
    }
}

fn piece(argument: &DataArg) -> Result<Piece, Error> {
    let text = argument.text.as_str();
    match (argument.kind, text.strip_prefix('@')) {
        (DataKind::Text, Some(file)) => file_piece(Path::new(file), true),
        (DataKind::Binary | DataKind::Json, Some(file)) => file_piece(Path::new(file), false),
        (DataKind::UrlEncode, _) => Ok(Piece::Bytes(url_encoded(text)?)),
        (DataKind::Raw | DataKind::Text | DataKind::Binary | DataKind::Json, _) => {
            Ok(Piece::Bytes(text.as_bytes().to_vec()))
        }
    }
}

/// The content of a file, or of stdin, which is read at once where its length cannot be known beforehand.
fn file_piece(path: &Path, bare: bool) -> Result<Piece, Error> {
    let failed = |error: io::Error| Error::read(path, &error);
    let length = match is_stdin(path) {
        true => None,
        false => Some(File::open(path).and_then(|file| file.metadata()).map_err(failed)?)
            .filter(std::fs::Metadata::is_file)
            .map(|metadata| metadata.len()),
    };
    match length {
        Some(length) if length > SMALL => {
            let length = if bare { count(Bare(open(path)?)).map_err(failed)? } else { length };
            Ok(Piece::File { path: path.to_owned(), length, bare })
        }
        _ => {
            let mut bytes = read_all(path)?;
            if bare {
                bytes.retain(|byte| !is_dropped(*byte));
            }
            Ok(Piece::Bytes(bytes))
        }
    }
}

/// `CONTENT`, `=CONTENT`, `NAME=CONTENT`, `@FILE` or `NAME@FILE`; the name is encoded already.
fn url_encoded(text: &str) -> Result<Vec<u8>, Error> {
    let (name, content) = match text.find(['=', '@']) {
        None => ("", text.as_bytes().to_vec()),
        Some(at) => {
            let (name, rest) = text.split_at(at);
            let content = match rest.strip_prefix('@') {
                Some(file) => read_all(Path::new(file))?,
                None => rest.as_bytes().get(1..).unwrap_or_default().to_vec(),
            };
            (name, content)
        }
    };
    let mut encoded = name.as_bytes().to_vec();
    if !name.is_empty() {
        encoded.push(b'=');
    }
    for byte in content {
        // As a form has it (WHATWG URL section 5.2), and curl: a space is a plus.
        if byte == b' ' {
            encoded.push(b'+');
        } else if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(byte);
        } else {
            encoded.extend_from_slice(format!("%{byte:02X}").as_bytes());
        }
    }
    Ok(encoded)
}

fn read_all(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let read = match is_stdin(path) {
        true => stdin().and_then(|mut stdin| stdin.read_to_end(&mut bytes)),
        false => open(path)?.read_to_end(&mut bytes),
    };
    read.map(|_| bytes).map_err(|error| Error::read(path, &error))
}

fn open(path: &Path) -> Result<File, Error> {
    File::open(path).map_err(|error| Error::read(path, &error))
}

fn is_stdin(path: &Path) -> bool {
    path == Path::new("-")
}

fn name(path: &Path) -> String {
    if is_stdin(path) { "stdin".to_owned() } else { path.display().to_string() }
}

fn count(mut reader: impl Read) -> io::Result<u64> {
    io::copy(&mut reader, &mut io::sink())
}

/// What `-d @FILE` drops, as curl does.
fn is_dropped(byte: u8) -> bool {
    matches!(byte, b'\r' | b'\n' | 0)
}

/// A reader without its line ends and NULs.
struct Bare<R>(R);

impl<R: Read> Read for Bare<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        loop {
            let count = self.0.read(out)?;
            let mut kept = 0;
            for index in 0..count {
                if !is_dropped(out[index]) {
                    out[kept] = out[index];
                    kept += 1;
                }
            }
            // That nothing is left does not mean the end.
            if kept > 0 || count == 0 {
                return Ok(kept);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn argument(kind: DataKind, text: &str) -> DataArg {
        DataArg { kind, text: text.to_owned() }
    }

    fn file(name: &str, content: &[u8]) -> String {
        let path = std::env::temp_dir().join(format!("connie-body-{}-{name}", std::process::id()));
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    }

    #[track_caller]
    fn is(arguments: &[(DataKind, &str)], expected: &[u8]) {
        let arguments: Vec<_> = arguments.iter().map(|(kind, text)| argument(*kind, text)).collect();
        let body = Body::data(&arguments).unwrap();
        let mut bytes = Vec::new();
        body.open().unwrap().read_to_end(&mut bytes).unwrap();
        assert!(bytes == expected, "{arguments:?}: {:?}", String::from_utf8_lossy(&bytes));
        assert_eq!(body.length(), Some(expected.len() as u64), "{arguments:?}");
    }

    #[test]
    fn data_is_joined() {
        use DataKind::{Binary, Raw, Text, UrlEncode};
        let path = file("small", b"a\r\nb\n\0c");
        is(&[(Text, "a=1"), (Text, "b=2")], b"a=1&b=2");
        is(&[(Text, "")], b"");
        is(&[(Text, &format!("@{path}")), (Raw, "@x")], b"abc&@x");
        is(&[(Binary, &format!("@{path}"))], b"a\r\nb\n\0c");
        is(&[(UrlEncode, &format!("n@{path}"))], b"n=a%0D%0Ab%0A%00c");
        for (text, encoded) in
            [("a b", "a+b"), ("=a=b", "a%3Db"), ("n=a&b", "n=a%26b"), ("n=", "n="), ("~-._", "~-._")]
        {
            is(&[(UrlEncode, text)], encoded.as_bytes());
        }
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_large_file_is_not_kept_in_memory() {
        let content: Vec<u8> = b"line\r\n\0".iter().copied().cycle().take(700_000).collect();
        let path = file("large", &content);
        let bare: Vec<u8> = content.iter().copied().filter(|byte| !is_dropped(*byte)).collect();
        is(&[(DataKind::Binary, &format!("@{path}"))], &content);
        is(&[(DataKind::Text, &format!("@{path}"))], &bare);
        let body = Body::data(&[argument(DataKind::Text, &format!("@{path}"))]).unwrap();
        assert!(matches!(&body, Body::Data(pieces) if matches!(pieces.as_slice(), [Piece::File { .. }])));
        std::fs::remove_file(path).unwrap();
    }

    #[test]
    fn a_stream_is_read_once() {
        let body = Body::upload(Path::new("/dev/null")).unwrap();
        assert!(body.length().is_none() && !body.is_repeatable());
        assert!(body.open().is_ok());
        assert_eq!(body.open().err().map(|error| error.code), Some(exit_code::REWIND));
    }

    #[test]
    fn what_cannot_be_read_is_told_at_once() {
        for path in ["/nonexistent/file", "/"] {
            assert_eq!(Body::upload(Path::new(path)).unwrap_err().code, 26, "{path}");
        }
        for kind in [DataKind::Text, DataKind::Binary, DataKind::UrlEncode] {
            for path in ["/nonexistent/file", ".", "/"] {
                let error = Body::data(&[argument(kind, &format!("@{path}"))]).unwrap_err();
                assert_eq!((error.code, error.lines.len()), (26, 1), "{kind:?} @{path}");
                let line = &error.lines[0];
                assert!(line.starts_with(&format!("could not read {path}: ")), "{line}");
            }
        }
    }
}
