//! What can go wrong with a socket.

use core::fmt;

use connie_core::stack::{TcpError, TcpErrorKind};
use connie_core::{AttemptError, AttemptErrorKind};

/// What can go wrong with a socket of a [`Stack`](crate::Stack).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum StackError {
    /// Every socket of the stack is in use.
    OutOfSockets,
    /// The peer answered the SYN with a reset.
    Refused,
    /// The address cannot be reached: it cannot be connected to, the interface has no address of its family
    /// or no route, or a router said so.
    Unreachable,
    /// The address that it was sent from, or the router that it went by, is no longer this machine's: another
    /// has taken its place, and what starts now goes from there.
    SourceGone,
    /// Nothing answered within [`Stack::set_connect_timeout`](crate::Stack::set_connect_timeout).
    TimedOut,
    /// The connection was reset, by the peer or because the peer fell silent with data under way: smoltcp
    /// does not tell.
    Reset,
    /// The socket is not connected.
    NotConnected,
    /// The datagram is longer than the socket's buffer, or than one frame of the device can hold.
    TooLong,
    /// The datagram was longer than the slice that was given for it; the rest of it is lost.
    Truncated,
    /// The local port is taken, or 0.
    PortInUse,
}

impl StackError {
    /// What this means to a race.
    #[must_use]
    pub fn attempt_error(self) -> AttemptError {
        AttemptError::new(match self {
            StackError::OutOfSockets => AttemptErrorKind::OutOfSockets,
            StackError::Refused => AttemptErrorKind::Refused,
            StackError::Unreachable => AttemptErrorKind::Unreachable,
            StackError::SourceGone => AttemptErrorKind::SourceGone,
            StackError::TimedOut => AttemptErrorKind::TimedOut,
            StackError::Reset => AttemptErrorKind::Reset,
            StackError::NotConnected
            | StackError::TooLong
            | StackError::Truncated
            | StackError::PortInUse => AttemptErrorKind::Other,
        })
    }
}

impl fmt::Display for StackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StackError::OutOfSockets => "no socket left: close one, or give the stack more",
            StackError::Refused => "connection refused",
            StackError::Unreachable => "unreachable",
            StackError::SourceGone => "this machine's address has changed",
            StackError::TimedOut => "timed out",
            StackError::Reset => "connection reset",
            StackError::NotConnected => "not connected",
            StackError::TooLong => "the datagram is longer than the socket's buffer or a frame",
            StackError::Truncated => "the datagram was longer than the slice given for it",
            StackError::PortInUse => "the local port is taken",
        })
    }
}

impl core::error::Error for StackError {}

impl TcpError for StackError {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_is_one_line_and_says_what_to_do_where_something_can_be_done() {
        assert_eq!(StackError::OutOfSockets.to_string(), "no socket left: close one, or give the stack more");
        assert_eq!(StackError::Refused.to_string(), "connection refused");
    }
}
