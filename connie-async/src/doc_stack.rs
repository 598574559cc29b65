//! The smallest async stack there is, so that the examples in these docs run: names have two addresses, the
//! first of which never answers. Not part of the public interface.

use core::cell::Cell;
use core::convert::Infallible;
use core::future::pending;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::Instant;
use embedded_io_async::{ErrorType, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

use crate::clock::Clock;

/// Connects to IPv4 addresses at once, and to IPv6 addresses never.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stack;

/// A connection to nobody, who says the same to everything.
#[derive(Debug)]
pub struct Echo;

impl ErrorType for Echo {
    type Error = Infallible;
}

impl Read for Echo {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Infallible> {
        let page = b"HTTP/1.0 200 OK\r\n\r\nhello\n";
        let both = buffer.iter_mut().zip(page);
        Ok(both.map(|(to, from)| *to = *from).count())
    }
}

impl Write for Echo {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Infallible> {
        Ok(buffer.len())
    }

    async fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

impl TcpConnect for Stack {
    type Error = Infallible;
    type Connection<'a> = Echo;

    async fn connect(&self, remote: SocketAddr) -> Result<Echo, Infallible> {
        if remote.is_ipv4() { Ok(Echo) } else { pending().await }
    }
}

impl Dns for Stack {
    type Error = Infallible;

    async fn get_host_by_name(&self, _: &str, kind: AddrType) -> Result<IpAddr, Infallible> {
        Ok(match kind {
            AddrType::IPv4 => Ipv4Addr::new(192, 0, 2, 1).into(),
            AddrType::IPv6 | AddrType::Either => Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
        })
    }

    async fn get_host_by_address(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Infallible> {
        Ok(0)
    }
}

/// A clock that stands still, but for waits, which are over at once.
#[derive(Debug, Default)]
pub struct SystemClock(Cell<Instant>);

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        self.0.get()
    }

    async fn wait_until(&self, at: Instant) {
        self.0.set(self.0.get().max(at));
    }
}

/// Takes whatever it is given for TLS.
#[cfg(feature = "tls")]
#[derive(Clone, Copy, Debug)]
pub struct NoTls;

#[cfg(feature = "tls")]
pub use no_tls::Session;

#[cfg(feature = "tls")]
mod no_tls {
    use embedded_io_async::{Error, ErrorType, Read, Write};

    use super::NoTls;
    use crate::tls::{RecordPair, SessionError, Tls, TlsSession};

    /// The connection itself.
    #[derive(Debug)]
    pub struct Session<S>(Option<S>);

    const CLOSED: SessionError = SessionError::Io(embedded_io_async::ErrorKind::NotConnected);

    impl Tls for NoTls {
        type Session<'b, S: Read + Write + 'b> = Session<S>;

        async fn handshake<'b, S: Read + Write + 'b>(
            &self,
            _: &str,
            socket: S,
            _: RecordPair<'b>,
        ) -> Result<Session<S>, SessionError> {
            Ok(Session(Some(socket)))
        }
    }

    impl<S> ErrorType for Session<S> {
        type Error = SessionError;
    }

    impl<S: Read> Read for Session<S> {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, SessionError> {
            let socket = self.0.as_mut().ok_or(CLOSED)?;
            socket.read(buffer).await.map_err(|error| SessionError::Io(error.kind()))
        }
    }

    impl<S: Write> Write for Session<S> {
        async fn write(&mut self, buffer: &[u8]) -> Result<usize, SessionError> {
            let socket = self.0.as_mut().ok_or(CLOSED)?;
            socket.write(buffer).await.map_err(|error| SessionError::Io(error.kind()))
        }

        async fn flush(&mut self) -> Result<(), SessionError> {
            let socket = self.0.as_mut().ok_or(CLOSED)?;
            socket.flush().await.map_err(|error| SessionError::Io(error.kind()))
        }
    }

    impl<S: Read + Write> TlsSession<S> for Session<S> {
        async fn readable(&mut self) -> Result<(), SessionError> {
            Ok(())
        }

        async fn close(&mut self) -> Result<Option<S>, SessionError> {
            Ok(self.0.take())
        }

        async fn abort(&mut self) -> Option<S> {
            self.0.take()
        }
    }
}
