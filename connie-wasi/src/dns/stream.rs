//! One message over TCP (RFC 1035 section 4.2.2).

use alloc::vec::Vec;
use core::net::SocketAddr;

use connie_core::stack::nb;
use connie_core::{Interest, RaceStack};
use connie_dns::Port;

/// How much is read at once.
const PIECE: usize = 2_048;

/// A TCP connection to a server: a query goes out, and its answer is read.
#[derive(Debug)]
pub(super) struct Stream<T> {
    pub(super) port: Port,
    pub(super) server: SocketAddr,
    pub(super) socket: T,
    /// The query behind its length.
    query: Vec<u8>,
    stage: StreamStage,
    /// The answer behind its length, as far as it has come.
    received: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamStage {
    Connecting,
    /// From this octet on.
    Sending(usize),
    Receiving,
}

impl<T> Stream<T> {
    pub(super) fn new(port: Port, server: SocketAddr, socket: T, query: &[u8]) -> Self {
        // A query has a few hundred octets.
        let length = u16::try_from(query.len()).unwrap_or(u16::MAX).to_be_bytes();
        let query = [&length[..], query].concat();
        Stream { port, server, socket, query, stage: StreamStage::Connecting, received: Vec::new() }
    }

    /// What is waited for.
    pub(super) fn interest(&self) -> Interest {
        match self.stage {
            StreamStage::Connecting => Interest::Connect,
            StreamStage::Sending(_) => Interest::Send,
            StreamStage::Receiving => Interest::Receive,
        }
    }

    /// Goes on as far as it can without waiting. The message, when it is there whole.
    pub(super) fn advance<S: RaceStack<TcpSocket = T>>(
        &mut self,
        stack: &mut S,
    ) -> nb::Result<&[u8], Option<S::Error>> {
        if self.stage == StreamStage::Connecting {
            stack.connect(&mut self.socket, self.server).map_err(some)?;
            self.stage = StreamStage::Sending(0);
        }
        while let StreamStage::Sending(sent) = self.stage {
            let rest = self.query.get(sent..).unwrap_or_default();
            self.stage = match rest.is_empty() {
                true => StreamStage::Receiving,
                false => {
                    let more = stack.send(&mut self.socket, rest).map_err(some)?;
                    StreamStage::Sending(sent.saturating_add(more))
                }
            };
        }
        self.receive(stack)
    }

    fn receive<S: RaceStack<TcpSocket = T>>(&mut self, stack: &mut S) -> nb::Result<&[u8], Option<S::Error>> {
        // It ends: a message has 65,535 octets at most.
        while self.message().is_none() {
            let mut piece = [0; PIECE];
            match stack.receive(&mut self.socket, &mut piece).map_err(some)? {
                0 => return Err(nb::Error::Other(None)),
                count => self.received.extend(piece.get(..count).unwrap_or_default()),
            }
        }
        self.message().ok_or(nb::Error::WouldBlock)
    }

    fn message(&self) -> Option<&[u8]> {
        let (length, rest) = self.received.split_first_chunk::<2>()?;
        rest.get(..usize::from(u16::from_be_bytes(*length)))
    }
}

fn some<E>(error: nb::Error<E>) -> nb::Error<Option<E>> {
    error.map(Some)
}
