//! One TLS session over a transport that does not block: which bytes it wants next, and which way.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;

use connie_core::stack::nb;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::error::TlsError;

/// What is asked of the transport at a time during the handshake. Most of a server's flight fits.
const HANDSHAKE_PIECE: usize = 4 * 1024;
/// What is asked of the transport at a time after it: two records of the largest size, 2^14 bytes and up to
/// 256 of overhead each (RFC 8446 section 5.2).
const PIECE: usize = 2 * (16 * 1024 + 256);
/// What one [`Session::send`] takes at most: four records of the largest size, and the size of rustls' own
/// buffer.
const SEND_AT_MOST: usize = 64 * 1024;

/// The client's side of one TLS connection. The transport is lent to each call.
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

impl fmt::Debug for Session {
    /// Without the bytes, of which there are thousands.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = f.debug_struct("Session");
        parts.field("received", &(self.end - self.start)).field("readable", &self.readable);
        parts.field("closed", &self.closed).field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// Which way the bytes must flow before a session can go on; neither: it can go on now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TransportNeeds {
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
    pub(super) fn needs_for_handshake(&self) -> TransportNeeds {
        if self.fault.is_some() || self.start < self.end {
            return TransportNeeds { read: false, write: false };
        }
        // While there is something to write nothing is awaited but room for it: the server's next flight
        // answers it.
        let write = self.tls.wants_write();
        TransportNeeds { read: !write && self.tls.is_handshaking(), write }
    }

    /// What has to happen before something can be received.
    pub(super) fn needs_for_receive(&self) -> TransportNeeds {
        if self.tls.is_handshaking() {
            return self.needs_for_handshake();
        }
        if self.readable || self.closed || self.fault.is_some() || self.start < self.end {
            return TransportNeeds { read: false, write: false };
        }
        // What is still to be written may be what the server waits for.
        TransportNeeds { read: true, write: self.tls.wants_write() }
    }

    /// What has to happen before something can be sent.
    pub(super) fn needs_for_send(&self) -> TransportNeeds {
        if self.tls.is_handshaking() {
            return self.needs_for_handshake();
        }
        TransportNeeds { read: false, write: self.fault.is_none() && self.tls.wants_write() }
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
            // A peer that does not take what is left to write may still have said something, so only reading
            // counts here.
            let _ = self.flush(io);
            self.take_in(io)?;
            self.decrypt(io);
        }
    }

    /// Takes bytes to encrypt and sends what the transport takes. What it does not take yet is kept, and no
    /// more bytes are taken before that is gone.
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

    /// Makes sure that there are received bytes to decrypt, and says how many; 0 where the transport is at
    /// its end.
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

    /// Decrypts what has been received, until there is something to read. No bytes mean that the transport is
    /// at its end.
    fn decrypt(&mut self, io: &mut impl Write) {
        loop {
            let mut rest = self.incoming.get(self.start..self.end).unwrap_or_default();
            // It takes some kilobytes at a time, and none after a close_notify: what follows that "MUST be
            // ignored" (RFC 8446 section 6.1).
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

// With the certificates of a crate that knows Linux only.
#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::collections::VecDeque;

    use connie_core::TlsFailure;
    use connie_servers::Identity;
    use rustls::ServerConnection;

    use super::*;
    use crate::{TlsConnector, TlsOptions};

    const NOTHING: TransportNeeds = TransportNeeds { read: false, write: false };
    const READ: TransportNeeds = TransportNeeds { read: true, write: false };
    const WRITE: TransportNeeds = TransportNeeds { read: false, write: true };
    const BOTH: TransportNeeds = TransportNeeds { read: true, write: true };

    /// A transport with a server at its far end, that takes as many bytes as there is room for and hands over
    /// as many as were let through.
    struct Peer {
        server: ServerConnection,
        /// How many bytes the client can still write.
        room: usize,
        written: Vec<u8>,
        arrived: VecDeque<u8>,
        ended: bool,
    }

    impl Read for Peer {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.arrived.read(into)? {
                0 if !self.ended => Err(io::ErrorKind::WouldBlock.into()),
                count => Ok(count),
            }
        }
    }

    impl Write for Peer {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            let count = data.len().min(self.room);
            if count == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            self.room -= count;
            self.written.extend_from_slice(&data[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Peer {
        /// Lets the server take what was written; what it answers.
        fn answer(&mut self) -> Vec<u8> {
            let mut written = &self.written[..];
            while !written.is_empty() {
                self.server.read_tls(&mut written).expect("room in the server");
                self.server.process_new_packets().expect("a client that keeps the rules");
            }
            self.written.clear();
            let mut answer = Vec::new();
            while self.server.wants_write() {
                self.server.write_tls(&mut answer).expect("memory");
            }
            answer
        }

        /// What the server writes when it sends these bytes.
        fn record(&mut self, data: &[u8]) -> Vec<u8> {
            self.server.writer().write_all(data).expect("memory");
            self.answer()
        }
    }

    fn start() -> (Session, Peer) {
        let identity = Identity::self_signed(&["name.test"]);
        let config = identity.server_config(rustls::ALL_VERSIONS);
        let server = ServerConnection::new(Arc::new(config)).expect("a server");
        let options = TlsOptions::new().system_roots(false).ca_pem(identity.certificate_pem.into_bytes());
        let client = TlsConnector::new(&options).expect("usable options").client();
        let session = Session::new(client, ServerName::try_from("name.test").expect("a name"));
        let (written, arrived) = (Vec::new(), VecDeque::new());
        let peer = Peer { server, room: usize::MAX, written, arrived, ended: false };
        (session.expect("a session"), peer)
    }

    fn established() -> (Session, Peer) {
        let (mut session, mut peer) = start();
        while peer.server.is_handshaking() || session.tls.is_handshaking() {
            let _ = session.handshake(&mut peer);
            let answer = peer.answer();
            peer.arrived.extend(answer);
        }
        // Whatever the server sends after its handshake, tickets among it.
        expect_nothing(&mut session, &mut peer);
        (session, peer)
    }

    #[track_caller]
    fn expect_nothing(session: &mut Session, peer: &mut Peer) {
        let received = session.receive(peer, &mut [0; 8]);
        assert!(matches!(received, Err(nb::Error::WouldBlock)), "{received:?}");
    }

    #[track_caller]
    fn expect(session: &mut Session, peer: &mut Peer, data: &[u8]) {
        let mut into = vec![0; data.len()];
        let count = session.receive(peer, &mut into).expect("received");
        assert_eq!(&into[..count], data);
    }

    #[track_caller]
    fn expect_failure(session: &mut Session, peer: &mut Peer, failure: TlsFailure) {
        // As often as it is asked for.
        for _ in 0..2 {
            match session.receive(peer, &mut [0; 8]) {
                Err(nb::Error::Other(error)) => assert_eq!(error.failure(), Some(failure)),
                other => panic!("{other:?}"),
            }
            assert_eq!(session.needs_for_receive(), NOTHING);
        }
    }

    #[test]
    fn a_handshake_first_writes_and_then_reads() {
        let (mut session, mut peer) = start();
        peer.room = 0;
        for room in [0, 1, 100] {
            peer.room = room;
            assert!(matches!(session.handshake(&mut peer), Err(nb::Error::WouldBlock)));
            assert_eq!(session.needs_for_handshake(), WRITE, "after {room} bytes");
            // Neither can be had before the handshake, so both wait for what it wants.
            assert_eq!((session.needs_for_receive(), session.needs_for_send()), (WRITE, WRITE));
        }
        peer.room = usize::MAX;
        assert!(matches!(session.handshake(&mut peer), Err(nb::Error::WouldBlock)));
        assert_eq!(session.needs_for_handshake(), READ);
        assert_eq!((session.needs_for_receive(), session.needs_for_send()), (READ, READ));
    }

    #[test]
    fn a_handshake_goes_on_byte_by_byte_and_ends_when_its_last_message_is_out() {
        let (mut session, mut peer) = start();
        let _ = session.handshake(&mut peer);
        let answer = peer.answer();
        for (at, byte) in answer.iter().enumerate() {
            assert!(!session.is_established(), "after {at} of {} bytes", answer.len());
            assert_eq!(session.needs_for_handshake(), READ);
            peer.arrived.push_back(*byte);
            if at == answer.len() - 1 {
                peer.room = 0;
            }
            let result = session.handshake(&mut peer);
            assert!(matches!(result, Err(nb::Error::WouldBlock)), "{result:?} after {at} bytes");
        }
        // The client's own Finished has no room yet.
        assert_eq!(session.needs_for_handshake(), WRITE);
        peer.room = usize::MAX;
        session.handshake(&mut peer).expect("established");
        assert_eq!(session.needs_for_handshake(), NOTHING);
        let _ = peer.answer();
        assert!(!peer.server.is_handshaking());
    }

    #[test]
    fn what_is_decrypted_is_there_without_the_transport() {
        let (mut session, mut peer) = established();
        assert_eq!(session.needs_for_receive(), READ);
        let record = peer.record(b"0123456789");
        peer.arrived.extend(record);
        expect(&mut session, &mut peer, b"0123");
        assert_eq!(session.needs_for_receive(), NOTHING);
        expect(&mut session, &mut peer, b"456789");
        // That was all, but all the room was used.
        expect_nothing(&mut session, &mut peer);
        assert_eq!(session.needs_for_receive(), READ);
    }

    #[test]
    fn records_that_came_together_are_there_one_after_the_other() {
        let (mut session, mut peer) = established();
        let records = [peer.record(b"first"), peer.record(b"second"), peer.record(b"third")].concat();
        let (now, later) = records.split_at(records.len() - 1);
        peer.arrived.extend(now);
        expect(&mut session, &mut peer, b"first");
        assert_eq!(session.needs_for_receive(), NOTHING);
        expect(&mut session, &mut peer, b"second");
        expect_nothing(&mut session, &mut peer);
        assert_eq!(session.needs_for_receive(), READ);
        peer.arrived.extend(later);
        expect(&mut session, &mut peer, b"third");
    }

    #[test]
    fn what_has_come_and_is_not_decrypted_is_there_without_the_transport() {
        let (mut session, mut peer) = established();
        let (first, second) = ([1; 6_000], [2; 6_000]);
        let records = [peer.record(&first), peer.record(&second)].concat();
        peer.arrived.extend(records);
        let mut into = [0; 8_000];
        assert_eq!(session.receive(&mut peer, &mut into).expect("received"), first.len());
        assert!(peer.arrived.is_empty(), "both were taken in at once");
        assert_eq!(session.needs_for_receive(), NOTHING);
        expect(&mut session, &mut peer, &second);
    }

    #[test]
    fn what_the_transport_does_not_take_is_kept_and_no_more_is_taken() {
        let (mut session, mut peer) = established();
        assert_eq!(session.needs_for_send(), NOTHING);
        peer.room = 10;
        assert_eq!(session.send(&mut peer, b"first").expect("taken"), 5);
        assert_eq!((session.needs_for_send(), session.needs_for_receive()), (WRITE, BOTH));
        assert!(matches!(session.send(&mut peer, b"second"), Err(nb::Error::WouldBlock)));
        assert!(matches!(session.flush(&mut peer), Err(nb::Error::WouldBlock)));

        // A call that only wants to receive sends it too.
        peer.room = usize::MAX;
        expect_nothing(&mut session, &mut peer);
        assert_eq!((session.needs_for_send(), session.needs_for_receive()), (NOTHING, READ));
        let _ = peer.answer();
        let mut received = [0; 8];
        assert_eq!(peer.server.reader().read(&mut received).expect("received"), 5);
        assert_eq!(&received[..5], b"first");
    }

    #[test]
    fn a_send_takes_no_more_than_its_share() {
        let (mut session, mut peer) = established();
        let data = vec![7; 3 * SEND_AT_MOST];
        assert_eq!(session.send(&mut peer, &data).expect("taken"), SEND_AT_MOST);
        peer.room = 0;
        assert_eq!(session.send(&mut peer, &data).expect("taken"), SEND_AT_MOST);
        assert!(matches!(session.send(&mut peer, &data), Err(nb::Error::WouldBlock)));
    }

    #[test]
    fn a_close_notify_is_the_end_however_long_the_transport_lives() {
        let (mut session, mut peer) = established();
        peer.server.writer().write_all(b"last").expect("memory");
        peer.server.send_close_notify();
        let record = peer.answer();
        peer.arrived.extend(record);
        // What follows it is nobody's.
        peer.arrived.extend(b"surplus");
        expect(&mut session, &mut peer, b"last");
        for _ in 0..2 {
            assert_eq!(session.needs_for_receive(), NOTHING);
            assert_eq!(session.receive(&mut peer, &mut [0; 8]).expect("the end"), 0);
        }
    }

    #[test]
    fn an_end_without_a_close_notify_is_a_cut() {
        let (mut session, mut peer) = established();
        let record = peer.record(b"half");
        peer.arrived.extend(record);
        peer.ended = true;
        expect(&mut session, &mut peer, b"half");
        expect_failure(&mut session, &mut peer, TlsFailure::Truncated);
    }

    #[test]
    fn an_end_within_the_handshake_is_told_as_that() {
        let (mut session, mut peer) = start();
        let _ = session.handshake(&mut peer);
        peer.ended = true;
        expect_failure(&mut session, &mut peer, TlsFailure::ClosedEarly);
    }

    #[test]
    fn what_came_before_a_fault_is_received_before_it() {
        let (mut session, mut peer) = established();
        let mut records = [peer.record(b"good"), peer.record(b"bad")].concat();
        let last = records.len() - 1;
        records[last] ^= 1;
        peer.arrived.extend(records);
        expect(&mut session, &mut peer, b"good");
        expect_failure(&mut session, &mut peer, TlsFailure::Protocol);
        // The alert is on its way.
        assert!(!peer.written.is_empty());
    }

    #[test]
    fn closing_says_so() {
        let (mut session, mut peer) = established();
        session.close(&mut peer);
        let _ = peer.answer();
        assert_eq!(peer.server.reader().read(&mut [0; 8]).expect("the end"), 0);
    }
}
