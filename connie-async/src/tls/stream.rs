//! A TLS connection as the traits want it.

use embedded_io_async::{ErrorType, Read, Write};

use super::buffers::{OutOfPairs, TlsStream};
use super::session::{Tls, TlsError, TlsSession};

impl<E> From<OutOfPairs> for TlsError<E> {
    fn from(_: OutOfPairs) -> Self {
        TlsError::OutOfBuffers
    }
}

impl<L: Tls, S: Read + Write> ErrorType for TlsStream<'_, L, S> {
    type Error = TlsError<S::Error>;
}

impl<L: Tls, S: Read + Write> Read for TlsStream<'_, L, S> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(self.session().read(buffer).await?)
    }
}

impl<L: Tls, S: Read + Write> Write for TlsStream<'_, L, S> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
        Ok(self.session().write(buffer).await?)
    }

    async fn flush(&mut self) -> Result<(), Self::Error> {
        Ok(self.session().flush().await?)
    }
}

impl<L: Tls, S: Read + Write> TlsStream<'_, L, S> {
    /// Says that nothing more comes, by a `close_notify` (RFC 8446 section 6.1), and drops the connection.
    /// After a write that was given up midway the connection alone is dropped.
    ///
    /// # Errors
    ///
    /// It could not be sent.
    pub async fn close(mut self) -> Result<(), TlsError<S::Error>> {
        self.session().close().await?;
        Ok(())
    }
}
