//! One TLS session over a transport that does not block: which bytes it wants next, and which way.

use std::io::{self, Read, Write};
use std::sync::Arc;

use connie_core::stack::nb;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::error::TlsError;

/// What is asked of the transport at a time within the handshake. Most of a server's flight fits.
const HANDSHAKE_PIECE: usize = 4 * 1024;
/// What is asked of the transport at a time after it: two records of the largest size, 2^14 bytes and up to 256 of overhead each
/// (RFC 8446 section 5.2).
const PIECE: usize = 2 * (16 * 1024 + 256);
/// What one [`Session::send`] takes at most: four records of the largest size, and the size of rustls' own buffer.
const SEND_AT_MOST: usize = 64 * 1024;

/// The client's side of one TLS connection. The transport is lent to each call.
#[derive(Debug)]
pub(super) struct Session {
    tls: ClientConnection,
    /// What was received and not yet decrypted.
    incoming: Vec<u8>,
    start: usize,
    end: usize,
    /// Whether decrypted bytes can be had without the transport.
    readable: bool,
    /// Whether the peer has said that this was the end of what it has to send.
    closed: bool,
    /// What ended the session. Bytes that were decrypted before can still be read.
    fault: Option<TlsError>,
}

/// Which way the bytes must flow before a session can go on; neither: it can go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wants {
    pub(super) read: bool,
    pub(super) write: bool,
}

impl Session {
    pub(super) fn new(config: Arc<ClientConfig>, name: ServerName<'static>) -> Result<Self, TlsError> {
        let tls = ClientConnection::new(config, name)?;
        Ok(Session {
            tls,
            incoming: Vec::new(),
            start: 0,
            end: 0,
            readable: false,
            closed: false,
            fault: None,
        })
    }

    /// Whether the handshake is over, and this side's last message of it on its way.
    pub(super) fn is_established(&self) -> bool {
        !self.tls.is_handshaking() && self.fault.is_none()
    }

    /// The protocol that was agreed on (RFC 7301).
    pub(super) fn alpn(&self) -> Option<&[u8]> {
        self.tls.alpn_protocol()
    }

    /// The version that was agreed on.
    pub(super) fn version(&self) -> Option<rustls::ProtocolVersion> {
        self.tls.protocol_version()
    }

    /// What has to happen before the handshake can go on.
    pub(super) fn wants_for_handshake(&self) -> Wants {
        if self.fault.is_some() || self.start < self.end {
            return Wants { read: false, write: false };
        }
        // While there is something to write nothing is awaited but room for it: the server's next flight answers it.
        let write = self.tls.wants_write();
        Wants { read: !write && self.tls.is_handshaking(), write }
    }

    /// What has to happen before something can be received.
    pub(super) fn wants_for_receive(&self) -> Wants {
        if self.tls.is_handshaking() {
            return self.wants_for_handshake();
        }
        if self.readable || self.closed || self.fault.is_some() || self.start < self.end {
            return Wants { read: false, write: false };
        }
        // What is still to be written may be what the server waits for.
        Wants { read: true, write: self.tls.wants_write() }
    }

    /// What has to happen before something can be sent.
    pub(super) fn wants_for_send(&self) -> Wants {
        if self.tls.is_handshaking() {
            return self.wants_for_handshake();
        }
        Wants { read: false, write: self.fault.is_none() && self.tls.wants_write() }
    }

    /// Goes on with the handshake as far as it goes now.
    pub(super) fn handshake(&mut self, io: &mut (impl Read + Write)) -> nb::Result<(), TlsError> {
        loop {
            self.check()?;
            self.flush(io)?;
            if !self.tls.is_handshaking() {
                return Ok(());
            }
            if self.take_in(io)? == 0 {
                return Err(self.fail(TlsError::closed_early()));
            }
            self.decrypt(io);
        }
    }

    /// Receives decrypted bytes. `Ok(0)`: the server has said that this was the end.
    pub(super) fn receive(
        &mut self,
        io: &mut (impl Read + Write),
        into: &mut [u8],
    ) -> nb::Result<usize, TlsError> {
        if self.tls.is_handshaking() {
            self.handshake(io)?;
        }
        loop {
            match self.tls.reader().read(into) {
                Ok(count) => {
                    // Where all the room was used there may be more.
                    self.readable &= count == into.len();
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(_) => return Err(self.fail(TlsError::truncated())),
            }
            self.check()?;
            // A peer that does not take what is left to write may still have said something, so only reading counts here.
            let _ = self.flush(io);
            self.take_in(io)?;
            self.decrypt(io);
        }
    }

    /// Takes bytes to encrypt and sends what the transport takes. What it does not take yet is kept, and no more bytes are
    /// taken before that is gone.
    pub(super) fn send(&mut self, io: &mut (impl Read + Write), data: &[u8]) -> nb::Result<usize, TlsError> {
        if self.tls.is_handshaking() {
            self.handshake(io)?;
        }
        self.check()?;
        self.flush(io)?;
        let piece = data.get(..SEND_AT_MOST).unwrap_or(data);
        let count = self.tls.writer().write(piece).map_err(TlsError::from)?;
        match self.flush(io) {
            Ok(()) | Err(nb::Error::WouldBlock) => Ok(count),
            Err(error) => Err(error),
        }
    }

    /// Writes what is encrypted and not written.
    pub(super) fn flush(&mut self, io: &mut impl Write) -> nb::Result<(), TlsError> {
        while self.tls.wants_write() {
            match retry(|| self.tls.write_tls(io)) {
                Ok(0) => return Err(nb::Error::Other(io::Error::from(io::ErrorKind::WriteZero).into())),
                Ok(_) => {}
                Err(error) => return Err(wait_or_fail(error)),
            }
        }
        Ok(())
    }

    /// Says that nothing more will be sent (RFC 8446 section 6.1), as far as the transport takes it now.
    pub(super) fn close(&mut self, io: &mut impl Write) {
        self.tls.send_close_notify();
        // The connection is closed whether the peer hears of it or not.
        let _ = self.flush(io);
    }

    /// Makes sure that there are received bytes to decrypt, and says how many; 0 where the transport is at its end.
    fn take_in(&mut self, io: &mut impl Read) -> nb::Result<usize, TlsError> {
        if self.start == self.end {
            let piece = if self.tls.is_handshaking() { HANDSHAKE_PIECE } else { PIECE };
            if self.incoming.len() < piece {
                self.incoming = vec![0; piece];
            }
            self.start = 0;
            self.end = 0;
            self.end = retry(|| io.read(&mut self.incoming)).map_err(wait_or_fail)?;
        }
        Ok(self.end - self.start)
    }

    /// Decrypts what has been received, until there is something to read. No bytes mean that the transport is at its end.
    fn decrypt(&mut self, io: &mut impl Write) {
        loop {
            let mut rest = self.incoming.get(self.start..self.end).unwrap_or_default();
            // It takes some kilobytes at a time, and none after a close_notify: what follows that "MUST be ignored" (RFC 8446
            // section 6.1).
            match self.tls.read_tls(&mut rest) {
                Ok(0) => self.start = self.end,
                Ok(_) => self.start = self.end - rest.len(),
                Err(error) => self.fault = Some(error.into()),
            }
            match self.tls.process_new_packets() {
                Ok(state) => {
                    self.readable = state.plaintext_bytes_to_read() > 0;
                    self.closed = state.peer_has_closed();
                }
                Err(error) => self.fault = Some(error.into()),
            }
            if self.fault.is_some() {
                // The alert that says why. Nothing can be done where it cannot be sent.
                let _ = self.flush(io);
            }
            if self.start == self.end || self.readable || self.fault.is_some() {
                return;
            }
        }
    }

    /// The error that has ended the session, as often as it is asked for.
    fn check(&self) -> nb::Result<(), TlsError> {
        self.fault.as_ref().map_or(Ok(()), |fault| Err(nb::Error::Other(fault.again())))
    }

    fn fail(&mut self, error: TlsError) -> nb::Error<TlsError> {
        self.fault = Some(error.again());
        nb::Error::Other(error)
    }
}

/// Runs a read or write again when a signal has interrupted it.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

fn wait_or_fail(error: io::Error) -> nb::Error<TlsError> {
    match error.kind() {
        io::ErrorKind::WouldBlock => nb::Error::WouldBlock,
        _ => nb::Error::Other(error.into()),
    }
}
