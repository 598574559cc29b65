//! The connection that won, as the traits want it.

use core::net::SocketAddr;

use embedded_io_async::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::error::ConnectionError;

/// A connection of the stack's, and where it leads. Dropping it does what dropping the stack's own does.
///
/// A client that has one to port 443 through the traits can send only TLS on it: see
/// [`RaceConnect`](crate::RaceConnect#port-443).
#[derive(Debug)]
pub struct Connection<N> {
    pub(crate) inner: N,
    destination: SocketAddr,
    /// Whether what is written first must be TLS.
    wants_tls: bool,
}

/// The port of `https` (RFC 9110 section 4.2.2).
const HTTPS: u16 = 443;

/// The first octet of every TLS connection: the type of a handshake record (RFC 8446 section 5.1).
const HANDSHAKE: u8 = 22;

impl<N> Connection<N> {
    pub(crate) const fn new(inner: N, destination: SocketAddr) -> Self {
        Connection { inner, destination, wants_tls: false }
    }

    /// The same for a client of the traits, which may have an `https` URL and no TLS.
    pub(crate) const fn of_client(mut self) -> Self {
        self.wants_tls = self.destination.port() == HTTPS;
        self
    }

    /// The stack's connection, and whether what is written first must be TLS: for [`guarded_write`].
    #[cfg(feature = "edge-nal")]
    pub(crate) const fn parts_mut(&mut self) -> (&mut N, &mut bool) {
        (&mut self.inner, &mut self.wants_tls)
    }

    /// The address that won.
    pub const fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// The stack's connection, to look at.
    pub const fn get_ref(&self) -> &N {
        &self.inner
    }

    /// The stack's connection, to use past this.
    pub const fn get_mut(&mut self) -> &mut N {
        &mut self.inner
    }

    /// The stack's connection.
    pub fn into_inner(self) -> N {
        self.inner
    }
}

impl<N: ErrorType> ErrorType for Connection<N> {
    type Error = ConnectionError<N::Error>;
}

impl<N: Read> Read for Connection<N> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        self.inner.read(buffer).await.map_err(ConnectionError::Stack)
    }
}

impl<N: Write> Write for Connection<N> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        guarded_write(&mut self.inner, &mut self.wants_tls, buffer).await
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.inner.flush().await.map_err(ConnectionError::Stack)
    }
}

/// Writes `buffer`, unless the connection `wants_tls`, nothing was written to it yet, and `buffer` does not
/// begin as TLS does. Where the stack takes no octet, the next write is still the first.
pub(crate) async fn guarded_write<N: Write>(
    inner: &mut N,
    wants_tls: &mut bool,
    buffer: &[u8],
) -> Result<usize, ConnectionError<N::Error>> {
    if *wants_tls && buffer.first().is_some_and(|first| *first != HANDSHAKE) {
        return Err(ConnectionError::InTheClear);
    }
    let taken = inner.write(buffer).await.map_err(ConnectionError::Stack)?;
    *wants_tls &= taken == 0;
    Ok(taken)
}

impl<N: ReadReady> ReadReady for Connection<N> {
    fn read_ready(&mut self) -> Result<bool, Self::Error> {
        self.inner.read_ready().map_err(ConnectionError::Stack)
    }
}

impl<N: WriteReady> WriteReady for Connection<N> {
    fn write_ready(&mut self) -> Result<bool, Self::Error> {
        self.inner.write_ready().map_err(ConnectionError::Stack)
    }
}
