//! The answer of an exchange: what is kept of its head, and its body, which is counted.

use std::cell::Cell;
use std::io::{self, Read};

use connie_http::Version;
use connie_std::http1::{AnyStack, Response};

/// The head of an answer.
#[derive(Clone, Debug)]
pub struct ResponseHead {
    pub status: u16,
    pub reason: String,
    /// The heads as they came: those of status 1xx, and then this one.
    pub raw: Vec<u8>,
    version: Version,
    /// The lines of the head that are not fields.
    pub dropped: Vec<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
    /// What has been done to the body to send it, the last coding last; chunks are undone.
    #[cfg(feature = "gzip")]
    pub transfer_codings: Vec<u8>,
    /// How long the body is, where that is known.
    pub length: Option<u64>,
}

impl ResponseHead {
    /// The value of the first field with this name.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut headers = self.headers.iter();
        headers.find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// How many fields its head has.
    pub fn fields(&self) -> usize {
        self.headers.len()
    }

    /// What it says, in words for an error.
    pub fn said(&self) -> String {
        format!("the server answered {:03} {}", self.status, self.reason).trim_end().to_owned()
    }

    /// Its version of HTTP.
    pub fn version(&self) -> &'static str {
        match self.version {
            Version::Http10 => "1.0",
            Version::Http11 => "1.1",
        }
    }

    /// What has been done to the body, the last coding last.
    #[cfg(feature = "gzip")]
    pub fn codings(&self) -> Vec<u8> {
        let fields = self.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
        fields.map(|(_, value)| value.as_slice()).collect::<Vec<_>>().join(&b","[..])
    }
}

/// A reader that counts what it reads.
pub struct Counted<'a, R>(pub R, pub &'a Cell<u64>);

impl<R: Read> Read for Counted<'_, R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(out)?;
        self.1.set(self.1.get() + count as u64);
        Ok(count)
    }
}

impl ResponseHead {
    /// The answer's head, and the heads as they came.
    pub fn new(response: &Response<'_, AnyStack>, raw: Vec<u8>) -> Self {
        let head = response.head();
        let headers = head.headers().map(|header| (header.name.to_owned(), header.value.to_vec()));
        ResponseHead {
            status: head.status(),
            reason: head.reason().to_owned(),
            raw,
            version: head.version(),
            dropped: head.headers().dropped().map(<[u8]>::to_vec).collect(),
            headers: headers.collect(),
            #[cfg(feature = "gzip")]
            transfer_codings: head.transfer_codings().collect::<Vec<_>>().join(&b","[..]),
            length: response.remaining(),
        }
    }
}
