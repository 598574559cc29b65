//! The records of a TLS session, on their way between embedded-tls and the connection below.

use core::cell::Cell;

use embedded_io_async::{Error, ErrorKind, ErrorType, Read, Write};

use super::suite::AFTER_HANDSHAKE;

/// What a session and its [`Records`], which embedded-tls has and does not give back, both know. It is in an
/// octet of the session's write buffer.
#[derive(Clone, Copy)]
pub(super) struct Progress<'b>(&'b Cell<u8>);

/// A write has begun, and the connection below has not taken what there was.
const WRITING: u8 = 1;
/// A record has come in part. embedded-tls takes whatever is read next for the header of another.
const READING: u8 = 2;
/// The handshake is over.
const OVER: u8 = 4;

impl<'b> Progress<'b> {
    /// The rest of the buffer is for records.
    pub(super) fn new(buffer: &'b mut [u8]) -> Option<(Self, &'b mut [u8])> {
        let (octet, rest) = buffer.split_first_mut()?;
        *octet = 0;
        Some((Progress(Cell::from_mut(octet)), rest))
    }

    /// From now on nothing is written.
    pub(super) fn end_writing(self) {
        self.set(WRITING, true);
    }

    pub(super) fn end_handshake(self) {
        self.set(OVER, true);
    }

    fn set(self, bit: u8, is_set: bool) {
        self.0.set(if is_set { self.0.get() | bit } else { self.0.get() & !bit });
    }

    fn has(self, bits: u8) -> bool {
        self.0.get() & bits != 0
    }

    /// Whether a read or a write has ended, or was dropped, in the middle of a record.
    pub(super) fn is_midway(self) -> bool {
        self.has(READING | WRITING)
    }

    /// The same of a write.
    pub(super) fn is_midway_in_writing(self) -> bool {
        self.has(WRITING)
    }
}

/// The connection below, less what a server must not send and embedded-tls 0.19 panics at, or believes:
/// records in the clear when keys are there (RFC 8446 section 5: a forged `close_notify` would cut off what
/// comes; a handshake message is "not implemented" after the handshake), and encrypted ones that are too
/// short to have a type in them (section 5.2).
pub(super) struct Records<'b, S> {
    pub(super) socket: S,
    progress: Progress<'b>,
    header: [u8; 5],
    /// How much of the header has come.
    come: usize,
    /// How much of the record is to come.
    rest: usize,
    /// Whether there are keys: the `ServerHello` has come.
    keys: bool,
}

const CHANGE_CIPHER_SPEC: u8 = 20;
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;
/// A type, and the 16 octets by which AES-GCM makes a record longer.
const LEAST: usize = 1 + 16;

impl<'b, S> Records<'b, S> {
    pub(super) const fn new(socket: S, progress: Progress<'b>) -> Self {
        Records { socket, progress, header: [0; 5], come: 0, rest: 0, keys: false }
    }

    /// Whether the record of this header may come.
    fn begin(&mut self) -> bool {
        let [kind, version, _, high, low] = self.header;
        self.come = 0;
        self.rest = usize::from(u16::from_be_bytes([high, low]));
        let allowed = match kind {
            // RFC 8446 section 5.2: the version is 3.3. Its first octet has room for the mark.
            APPLICATION_DATA => self.rest >= LEAST && version == 3,
            CHANGE_CIPHER_SPEC => true,
            _ => !self.keys,
        };
        self.keys |= kind == HANDSHAKE;
        allowed
    }
}

/// What a record that must not come is told as. Nothing of the connection below is.
pub(super) const FORBIDDEN: ErrorKind = ErrorKind::InvalidData;

/// What the connection below says.
fn socket_error(error: &impl Error) -> ErrorKind {
    match error.kind() {
        FORBIDDEN => ErrorKind::Other,
        kind => kind,
    }
}

impl<S> ErrorType for Records<'_, S> {
    type Error = ErrorKind;
}

impl<S: Read> Read for Records<'_, S> {
    /// Never over the end of a header or a record.
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        let in_header = self.rest == 0;
        let most = if in_header { self.header.len() - self.come } else { self.rest };
        let most = most.min(buffer.len());
        let Some(room) = buffer.get_mut(..most) else { return Ok(0) };
        let read = self.socket.read(room).await.map_err(|error| socket_error(&error))?;
        let most = read.min(room.len());
        let octets = room.get_mut(..most).unwrap_or_default();
        let mut is_allowed = true;
        if in_header {
            for octet in &mut *octets {
                if let Some(place) = self.header.get_mut(self.come) {
                    *place = *octet;
                    // For the cipher. The version stands second.
                    if self.come == 1 && self.progress.has(OVER) {
                        *octet |= AFTER_HANDSHAKE;
                    }
                    self.come = self.come.saturating_add(1);
                }
            }
            is_allowed = self.come < self.header.len() || self.begin();
        } else {
            self.rest = self.rest.saturating_sub(octets.len());
        }
        self.progress.set(READING, !is_allowed || self.come > 0 || self.rest > 0);
        if is_allowed { Ok(octets.len()) } else { Err(FORBIDDEN) }
    }
}

impl<S: Write> Write for Records<'_, S> {
    /// embedded-tls counts a record when all of it has been written, and encrypts the next with the same
    /// nonce where that has not come to its end: two records of one nonce give away both (RFC 5116 section
    /// 5.1.1). So nothing follows a write that was dropped, or that failed.
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        if self.progress.is_midway_in_writing() {
            return Err(ErrorKind::BrokenPipe);
        }
        self.progress.set(WRITING, true);
        let written = self.socket.write(buffer).await.map_err(|error| socket_error(&error))?;
        // `write_all` panics at it.
        if written == 0 && !buffer.is_empty() {
            return Err(ErrorKind::WriteZero);
        }
        self.progress.set(WRITING, false);
        Ok(written)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.socket.flush().await.map_err(|error| socket_error(&error))
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use embassy_futures::block_on;

    use super::*;

    /// What a library that reads header and content by turns gets of `octets`, and whether all of it.
    fn passes(mut octets: &[u8]) -> bool {
        let mut room = [0];
        let (progress, _) = Progress::new(&mut room).expect("an octet");
        let mut records = Records::new(&mut octets, progress);
        let whole: Result<(), _> = block_on(async {
            loop {
                let mut header = [0; 5];
                match embedded_io_async::Read::read_exact(&mut records, &mut header).await {
                    Ok(()) => {}
                    Err(embedded_io_async::ReadExactError::UnexpectedEof) => return Ok(()),
                    Err(embedded_io_async::ReadExactError::Other(error)) => return Err(error.kind()),
                }
                let mut content = std::vec![0; usize::from(header[3]) << 8 | usize::from(header[4])];
                embedded_io_async::Read::read_exact(&mut records, &mut content)
                    .await
                    .expect("as long as it says");
            }
        });
        assert!(matches!(whole, Ok(()) | Err(ErrorKind::InvalidData)));
        whole.is_ok()
    }

    fn record(kind: u8, length: u16) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut record = std::vec![kind, 3, 3, high, low];
        record.resize(record.len() + usize::from(length), 0);
        record
    }

    #[test]
    fn no_record_comes_in_the_clear_once_there_are_keys_and_none_without_a_type() {
        let (alert, handshake) = (21, HANDSHAKE);
        let hello = record(handshake, 90);
        for (records, wanted) in [
            (record(alert, 2), true),
            (hello.clone(), true),
            ([hello.clone(), record(CHANGE_CIPHER_SPEC, 1), record(APPLICATION_DATA, 17)].concat(), true),
            ([hello.clone(), record(APPLICATION_DATA, 16)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 0)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 400), record(alert, 2)].concat(), false),
            ([hello.clone(), record(APPLICATION_DATA, 400), record(handshake, 40)].concat(), false),
            ([hello, record(0, 1)].concat(), false),
        ] {
            assert_eq!(passes(&records), wanted, "{records:?}");
        }
    }
}
