//! The connection that won, as the traits want it.

use core::net::SocketAddr;

use embedded_io_async::{ErrorType, Read, ReadReady, Write, WriteReady};

use crate::error::ConnectionError;

/// A connection of the stack's, and where it leads. Dropping it does what dropping the stack's own does.
#[derive(Debug)]
pub struct Connection<N> {
    pub(crate) inner: N,
    destination: SocketAddr,
}

impl<N> Connection<N> {
    pub(crate) const fn new(inner: N, destination: SocketAddr) -> Self {
        Connection { inner, destination }
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
        self.inner.write(buffer).await.map_err(ConnectionError::Stack)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        self.inner.flush().await.map_err(ConnectionError::Stack)
    }
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
