//! A query over TCP (RFC 7766): each message goes after its length.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustix::fd::AsFd as _;

use crate::egress::Egress;
use crate::os_error::OsError;
use crate::resolve::Readiness;
use crate::socket::{Begun, Peer, ended, is_writable, reset};

/// How often a handshake may seem to have ended that has not.
const MOST_IN_VAIN: u16 = 1_000;

/// A connection for one query. Dropped, it is reset: nothing is left to be said, and there is no TIME-WAIT.
pub(super) struct Stream {
    socket: Arc<TcpStream>,
    is_connected: bool,
    vain: u16,
    /// The query with its length before it, and how much of it was sent.
    query: Vec<u8>,
    sent: usize,
    /// The answer so far, with its length before it.
    answer: Vec<u8>,
}

impl Stream {
    /// Begins to connect.
    pub(super) fn begin(server: SocketAddr, egress: &Egress, message: &[u8]) -> io::Result<Self> {
        // A query is no longer than a name and two headers.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        // In one piece, as RFC 7766 section 8 recommends.
        let query = [&length.to_be_bytes(), message].concat();
        let (Begun::Connecting(fd) | Begun::Connected(fd)) =
            egress.to_server(server).begin(server).map_err(OsError::into_named)?;
        let socket = Arc::new(TcpStream::from(fd));
        Ok(Stream { socket, is_connected: false, vain: 0, query, sent: 0, answer: Vec::new() })
    }

    /// What it waits for. The socket is closed when nobody has it any more.
    pub(super) fn watched(&self) -> (Arc<TcpStream>, Readiness) {
        let readiness = if self.is_sent() { Readiness::Read } else { Readiness::Write };
        (Arc::clone(&self.socket), readiness)
    }

    fn is_sent(&self) -> bool {
        self.sent == self.query.len()
    }

    /// Connects, sends and receives as far as that goes without waiting. The answer, once it is there.
    pub(super) fn go_on(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.go_on_or_block() {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn go_on_or_block(&mut self) -> io::Result<Vec<u8>> {
        self.conclude()?;
        while let Some(rest) = self.query.get(self.sent..).filter(|rest| !rest.is_empty()) {
            // No more than was to be sent.
            self.sent += retry(|| (&*self.socket).write(rest))?;
        }
        loop {
            if let Some((length, answer)) = self.answer.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if let Some(answer) = answer.get(..length) {
                    return Ok(answer.to_vec());
                }
            }
            let mut buffer = [0; 4_096];
            match retry(|| (&*self.socket).read(&mut buffer))? {
                0 => return Err(ErrorKind::UnexpectedEof.into()),
                length => self.answer.extend_from_slice(&buffer[..length]),
            }
        }
    }

    /// The handshake has ended if the socket is writable.
    fn conclude(&mut self) -> io::Result<()> {
        if self.is_connected {
            return Ok(());
        }
        if !is_writable(self.socket.as_fd())? {
            return Err(ErrorKind::WouldBlock.into());
        }
        match ended(self.socket.as_fd()).map_err(OsError::into_named)? {
            Peer::Another => self.is_connected = true,
            Peer::Itself => return Err(ErrorKind::ConnectionRefused.into()),
            Peer::Nobody if self.vain < MOST_IN_VAIN => {
                self.vain += 1;
                return Err(ErrorKind::WouldBlock.into());
            }
            Peer::Nobody => return Err(ErrorKind::NotConnected.into()),
        }
        Ok(())
    }
}

/// Again where a signal has interrupted it.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        reset(self.socket.as_fd());
    }
}
