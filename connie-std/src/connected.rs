//! What a race that was won leaves: the stream, and how it came about.

use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};

use connie_core::Timeline;

use crate::budget::SocketPermit;
use crate::report::Report;
use crate::socket::TcpStream;

/// A connection that won its race. Derefs to the stream, and reads and writes as that does.
///
/// [`connect`](crate::connect()) gives one over a [`std::net::TcpStream`], which blocks as any does, and
/// `connie_std::tokio_net` one over tokio's.
#[derive(Debug)]
pub struct Connected<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) destination: SocketAddr,
    pub(crate) report: Report,
    /// Its place in a budget.
    pub(crate) _held: Option<SocketPermit>,
}

impl<S> Connected<S> {
    /// The address of the server that it is connected to.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.report.timeline()
    }

    /// The report of the race: its timeline, and what became of resolution.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The stream alone. Its place in a [`SocketBudget`](crate::SocketBudget) is free then.
    #[must_use]
    pub fn into_stream(self) -> S {
        self.stream
    }

    /// The stream and what the race did. Its place in a [`SocketBudget`](crate::SocketBudget) is free then.
    #[must_use]
    pub fn into_parts(self) -> (S, Report) {
        (self.stream, self.report)
    }
}

impl<S> Deref for Connected<S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.stream
    }
}

impl<S> DerefMut for Connected<S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.stream
    }
}

/// The stream alone, as [`into_stream`](Connected::into_stream) gives it.
impl From<Connected> for TcpStream {
    fn from(connected: Connected) -> Self {
        connected.stream
    }
}

#[cfg(feature = "tokio")]
impl From<Connected<tokio::net::TcpStream>> for tokio::net::TcpStream {
    fn from(connected: Connected<tokio::net::TcpStream>) -> Self {
        connected.stream
    }
}

#[cfg(unix)]
mod descriptor {
    use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

    use super::Connected;

    impl<S: AsFd> AsFd for Connected<S> {
        fn as_fd(&self) -> BorrowedFd<'_> {
            self.stream.as_fd()
        }
    }

    impl<S: AsRawFd> AsRawFd for Connected<S> {
        fn as_raw_fd(&self) -> RawFd {
            self.stream.as_raw_fd()
        }
    }
}

#[cfg(windows)]
mod descriptor {
    use std::os::windows::io::{AsRawSocket, AsSocket, BorrowedSocket, RawSocket};

    use super::Connected;

    impl<S: AsSocket> AsSocket for Connected<S> {
        fn as_socket(&self) -> BorrowedSocket<'_> {
            self.stream.as_socket()
        }
    }

    impl<S: AsRawSocket> AsRawSocket for Connected<S> {
        fn as_raw_socket(&self) -> RawSocket {
            self.stream.as_raw_socket()
        }
    }
}

/// As std's stream does: one thread can read while another writes.
#[cfg(not(target_os = "wasi"))]
impl io::Read for &Connected {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.stream).read(buffer)
    }
}

#[cfg(not(target_os = "wasi"))]
impl io::Write for &Connected {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        (&self.stream).write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        (&self.stream).flush()
    }
}

impl io::Read for Connected {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer)
    }
}

impl io::Write for Connected {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.stream.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[cfg(all(test, unix))]
mod tests {
    use std::io::{self, Read as _, Write as _};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::{AsFd as _, AsRawFd as _};

    use crate::{Options, connect};

    #[test]
    fn a_connection_is_used_as_its_stream_is() -> io::Result<()> {
        let server = TcpListener::bind("127.0.0.1:0")?;
        let connected = connect(server.local_addr()?, &Options::new()).map_err(io::Error::from)?;
        let (mut peer, _) = server.accept()?;
        (&connected).write_all(b"ping")?;
        let mut heard = [0; 4];
        peer.read_exact(&mut heard)?;
        peer.write_all(&heard)?;
        (&connected).read_exact(&mut heard)?;
        assert_eq!(&heard, b"ping");
        assert_eq!(connected.as_fd().as_raw_fd(), connected.as_raw_fd());
        let (descriptor, local) = (connected.as_raw_fd(), connected.local_addr()?);
        let stream = TcpStream::from(connected);
        assert_eq!((stream.as_raw_fd(), stream.local_addr()?), (descriptor, local));
        Ok(())
    }
}
