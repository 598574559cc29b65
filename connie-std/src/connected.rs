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
/// [`connect`](crate::connect()) gives one over a [`std::net::TcpStream`], which blocks as any does, and `connie_std::tokio_net` one over tokio's.
#[derive(Debug)]
pub struct Connected<S = TcpStream> {
    pub(crate) stream: S,
    pub(crate) destination: SocketAddr,
    pub(crate) report: Report,
    /// Its place in a budget.
    pub(crate) _held: Option<SocketPermit>,
}

impl<S> Connected<S> {
    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> SocketAddr {
        self.destination
    }

    /// What the race did.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.report.timeline()
    }

    /// The same, with what became of resolution.
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
