//! What becomes of a TLS session whose read or write ends in the middle of a record: no nonce is used twice.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses some of it")]
mod std_support;

use std::cell::{Cell, RefCell};
use std::future::pending;
use std::io;
use std::task::Poll;
use std::time::Duration;

use connie_async::tls::embedded::{
    CertificateDer, CertificateTime, EmbeddedSession, EmbeddedTls, trust_anchor,
};
use connie_async::tls::{RecordPair, SessionError, Tls, TlsSession};
use connie_servers::{Authority, TlsServer};
use embassy_futures::poll_once;
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;
use rand_core::OsRng;
use std_support::{Counted, run};

const HOST: &str = "midway.test";

/// What a [`Socket`] does when there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    Waits,
    Fails,
    TakesNothing,
}

struct Gate {
    /// How many octets may be written, and read.
    write: Cell<usize>,
    read: Cell<usize>,
    then: Cell<Then>,
    sent: RefCell<Vec<u8>>,
}

impl Gate {
    fn open() -> Self {
        Gate {
            write: Cell::new(usize::MAX),
            read: Cell::new(usize::MAX),
            then: Cell::new(Then::Waits),
            sent: RefCell::default(),
        }
    }
}

struct Socket<'g, N> {
    tcp: N,
    gate: &'g Gate,
}

impl<N> ErrorType for Socket<'_, N> {
    type Error = io::Error;
}

impl<N: Read<Error = io::Error>> Read for Socket<'_, N> {
    async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = self.gate.read.get().min(buffer.len());
        if most == 0 {
            pending::<()>().await;
        }
        let read = self.tcp.read(&mut buffer[..most]).await?;
        self.gate.read.set(self.gate.read.get() - read);
        Ok(read)
    }
}

impl<N: Write<Error = io::Error>> Write for Socket<'_, N> {
    async fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let most = self.gate.write.get().min(buffer.len());
        if most == 0 {
            match self.gate.then.get() {
                Then::Waits => pending().await,
                Then::Fails => return Err(io::ErrorKind::TimedOut.into()),
                Then::TakesNothing => return Ok(0),
            }
        }
        let written = self.tcp.write(&buffer[..most]).await?;
        self.gate.write.set(self.gate.write.get() - written);
        self.gate.sent.borrow_mut().extend_from_slice(&buffer[..written]);
        Ok(written)
    }

    async fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush().await
    }
}

fn unix_time() -> Option<u64> {
    Some(std::time::SystemTime::UNIX_EPOCH.elapsed().ok()?.as_secs())
}

type Session<'b> = EmbeddedSession<'b, Socket<'b, <Counted as TcpConnect>::Connection<'b>>>;

/// Runs `test` with a session to a server that sends back what it is sent.
fn with_session(test: impl for<'b> AsyncFnOnce(&'b Gate, Session<'b>)) {
    let authority = Authority::new();
    let server = TlsServer::echo(&authority.certify(&[HOST]));
    let der = CertificateDer::from(authority.der());
    let anchors = [trust_anchor(&der).expect("a certificate")];
    let tls = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Clock(&unix_time));
    let (stack, gate) = (Counted::default(), Gate::open());
    let (mut read, mut write) = ([0; 16640], [0; 1024]);
    run(async {
        let tcp = stack.connect(server.address()).await.expect("TCP");
        let records = RecordPair { read: &mut read, write: &mut write };
        let session = tls.handshake(HOST, Socket { tcp, gate: &gate }, records).await.expect("TLS");
        test(&gate, session).await;
    });
}

async fn assert_unfinished(session: &mut Session<'_>) {
    assert_eq!(session.write(b"more").await, Err(SessionError::Unfinished));
    assert_eq!(session.flush().await, Err(SessionError::Unfinished));
    assert_eq!(session.read(&mut [0; 9]).await, Err(SessionError::Unfinished));
    assert_eq!(session.readable().await, Err(SessionError::Unfinished));
}

/// The nonce of a record that was not written to its end would be that of the next one too.
#[test]
fn after_a_write_that_ended_midway_nothing_is_written() {
    for then in [Then::Waits, Then::Fails, Then::TakesNothing] {
        // The first octet of a record, and all but its last: 5 of header, 4, 1 of type and 16 of the tag.
        for room in [0, 1, 25] {
            with_session(async |gate, mut session| {
                session.write_all(b"whole").await.expect("written");
                session.flush().await.expect("sent");
                let mut echo = [0; 5];
                session.read_exact(&mut echo).await.expect("read");
                session.write_all(b"part").await.expect("in the buffer");
                let before = gate.sent.borrow().len();
                gate.then.set(then);
                gate.write.set(room);
                match poll_once(session.flush()) {
                    Poll::Pending => assert_eq!(then, Then::Waits),
                    Poll::Ready(result) => {
                        assert!(
                            matches!(result, Err(SessionError::Io(_))) && then != Then::Waits,
                            "{then:?}"
                        );
                    }
                }
                gate.write.set(usize::MAX);
                assert_unfinished(&mut session).await;
                assert!(session.close().await.expect("no error").is_some(), "the socket comes back");
                assert!(session.close().await.expect("no error").is_none());
                assert_eq!(gate.sent.borrow().len(), before + room, "{then:?}, {room}");
            });
        }
    }
}

/// One that fills the record writes by itself.
#[test]
fn a_dropped_write_of_more_than_a_record_ends_the_session_too() {
    with_session(async |gate, mut session| {
        gate.write.set(100);
        assert!(poll_once(session.write_all(&[7; 3000])).is_pending());
        gate.write.set(usize::MAX);
        let before = gate.sent.borrow().len();
        assert_unfinished(&mut session).await;
        assert!(session.close().await.expect("no error").is_some());
        assert_eq!(gate.sent.borrow().len(), before);
    });
}

/// Whoever waits for the server and gives up has lost nothing, unless a record has come in part.
#[test]
fn a_read_can_be_dropped_between_two_records_and_not_within_one() {
    with_session(async |gate, mut session| {
        gate.read.set(0);
        assert!(poll_once(session.read(&mut [0; 9])).is_pending());
        gate.read.set(usize::MAX);
        session.write_all(b"whole").await.expect("written");
        session.flush().await.expect("sent");
        let mut echo = [0; 5];
        session.read_exact(&mut echo).await.expect("read");
        assert_eq!(&echo, b"whole");
        session.write_all(b"again").await.expect("written");
        session.flush().await.expect("sent");
        gate.read.set(7);
        let limit = async_io::Timer::after(Duration::from_millis(300));
        let read = embassy_futures::select::select(session.read(&mut echo), limit).await;
        assert!(matches!(read, embassy_futures::select::Either::Second(_)) && gate.read.get() == 0);
        gate.read.set(usize::MAX);
        assert_unfinished(&mut session).await;
        // It is the server's records that have no end. There is a `close_notify`.
        let before = gate.sent.borrow().len();
        assert!(session.close().await.expect("no error").is_some());
        assert!(gate.sent.borrow().len() > before);
    });
}

/// Not even where there is room, and something in the buffer.
#[test]
fn an_abort_gives_the_socket_back_at_once_and_writes_nothing() {
    for room in [0, usize::MAX] {
        with_session(async |gate, mut session| {
            session.write_all(b"part").await.expect("in the buffer");
            let before = gate.sent.borrow().len();
            gate.write.set(room);
            assert!(matches!(poll_once(session.abort()), Poll::Ready(Some(_))));
            assert!(session.abort().await.is_none());
            assert_eq!(session.write(b"more").await, Err(SessionError::Io(ErrorKind::NotConnected)));
            assert_eq!(gate.sent.borrow().len(), before);
        });
    }
}
