//! What a socket says of how it is to be waited for.

use connie_core::Interest;
use rustix::event::PollFlags;
use rustix::fd::BorrowedFd;

/// A socket that an [`OsPoller`](crate::OsPoller) can wait for.
pub trait Pollable {
    /// What to look for in `poll`, so that the socket has what `interest` says.
    fn poll_need(&self, interest: Interest) -> PollNeed<'_>;

    /// Records that `poll` has found it.
    fn found(&mut self, interest: Interest);
}

/// What a socket waits for.
pub enum PollNeed<'a> {
    /// Nothing: it is there already. An encrypted connection can hold what it has received and decrypted.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    Ready,
    /// Any of these events of the descriptor.
    Events(BorrowedFd<'a>, PollFlags),
    /// What will not come: there is no descriptor.
    Never,
}
