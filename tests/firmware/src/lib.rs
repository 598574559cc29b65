//! Reads the raw answers of the HTTP tests with connie-core's client, and makes a digest of what it says
//! about each: on the machine that runs the tests and, by the program `read_answers`, on a Cortex-M3. The two
//! must not differ.

#![no_std]

use core::fmt::{self, Write};
use core::net::SocketAddr;

use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{AttemptError, AttemptErrorKind, Instant, PollEntry, PollResult, Poller, RaceStack};
use connie_http::{Authority, ByRef, HttpConnection, HttpError};

/// Each answer's name, the method of the request and its bytes.
pub const ANSWERS: &[(&str, &str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/answers.in"));

/// The buffer of a connection.
const ROOM: usize = 2048;

/// What a connection takes on a 32-bit machine beside its buffer and what is lent to it.
#[cfg(target_pointer_width = "32")]
const _: () = assert!(size_of::<HttpConnection<&mut Peer<'_>, ByRef<'_, Clock>, &mut [u8]>>() <= 224);

/// What the client says of an answer, however it comes: in one piece, and cut in two at every position.
/// `None` where that decides what it says.
#[must_use]
pub fn digest(method: &str, raw: &[u8]) -> Option<u32> {
    let whole = digest_of(method, raw, raw.len());
    let same = |cut| digest_of(method, raw, cut) == whole;
    (1..raw.len()).all(same).then_some(whole)
}

fn digest_of(method: &str, raw: &[u8], cut: usize) -> u32 {
    let mut digest = Digest(0x811c_9dc5);
    if let Err(error) = read(method, raw, cut, &mut digest) {
        // One line, with its figures.
        let _ = write!(digest, "{error}");
    }
    digest.0
}

fn read(method: &str, raw: &[u8], cut: usize, digest: &mut Digest) -> Result<(), HttpError> {
    let (mut peer, mut clock, mut buffer) = (Peer { raw, at: 0, cut }, Clock, [0; ROOM]);
    let host = Authority::http("name.test", 80);
    let mut connection = HttpConnection::owning(&mut peer, ByRef(&mut clock), Socket, host, &mut buffer[..])?;
    connection.request(method, "/", &[], b"")?;
    let mut response = connection.response()?;
    let _ = write!(digest, "{} {} {:?}", response.status(), response.reason(), response.version());
    for field in response.headers() {
        digest.take(field.name.as_bytes());
        digest.take(field.value);
    }
    let mut out = [0; 64];
    loop {
        match response.read(&mut out)? {
            0 => break,
            count => digest.take(out.get(..count).unwrap_or_default()),
        }
    }
    for field in response.trailers() {
        digest.take(field.name.as_bytes());
        digest.take(field.value);
    }
    Ok(())
}

/// FNV-1a.
struct Digest(u32);

impl Digest {
    fn take(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u32::from(*byte)).wrapping_mul(0x0100_0193);
        }
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.take(text.as_bytes());
        Ok(())
    }
}

/// A peer that says `raw`, cut in two, and closes.
struct Peer<'a> {
    raw: &'a [u8],
    at: usize,
    cut: usize,
}

struct Socket;

#[derive(Debug)]
struct Gone;

impl TcpError for Gone {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

impl TcpClientStack for Peer<'_> {
    type TcpSocket = Socket;
    type Error = Gone;

    fn socket(&mut self) -> Result<Socket, Gone> {
        Ok(Socket)
    }

    fn connect(&mut self, _: &mut Socket, _: SocketAddr) -> nb::Result<(), Gone> {
        Ok(())
    }

    fn send(&mut self, _: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Gone> {
        Ok(buffer.len())
    }

    fn receive(&mut self, _: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Gone> {
        let end = if self.at < self.cut { self.cut } else { self.raw.len() };
        let piece = self.raw.get(self.at..end).unwrap_or_default();
        let count = piece.len().min(buffer.len());
        for (to, from) in buffer.iter_mut().zip(piece) {
            *to = *from;
        }
        self.at += count;
        Ok(count)
    }

    fn close(&mut self, _: Socket) -> Result<(), Gone> {
        Ok(())
    }
}

impl RaceStack for Peer<'_> {
    fn attempt_error(&self, _: &Gone) -> AttemptError {
        AttemptErrorKind::Reset.into()
    }

    fn abort(&mut self, _: Socket) {}
}

/// There is nothing to wait for.
struct Clock;

impl Poller<Peer<'_>> for Clock {
    fn now(&mut self) -> Instant {
        Instant::ZERO
    }

    fn wait(&mut self, _: &mut Peer<'_>, _: &mut [PollEntry<'_, Socket>], _: Option<Instant>) -> PollResult {
        PollResult::Canceled
    }
}
