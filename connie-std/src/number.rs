//! The operating system's number of an error.

use std::net::SocketAddr;

use connie_core::AttemptError;

/// An error that may have a number of the operating system's.
pub trait Numbered {
    /// The number: `errno` on Unix, the WSA code on Windows.
    fn number(&self) -> Option<i32>;
}

/// The number of the error that an attempt on an address ended with, and what that was to the race.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Number {
    pub(crate) address: SocketAddr,
    pub(crate) error: AttemptError,
    pub(crate) number: i32,
}
