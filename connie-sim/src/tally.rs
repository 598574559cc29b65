//! What one address saw of the races.

/// What one address saw, counted over all races of a stack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Attempts that were begun.
    pub attempts: u32,
    /// SYNs that were sent, those sent again included.
    pub syns: u32,
    /// Attempts that failed: refused, unreachable, timed out, reset, no socket.
    pub failed: u32,
    /// Handshakes that completed before their attempt was aborted.
    pub completed: u32,
    /// Attempts and connections that were aborted.
    pub aborted: u32,
    /// Those of them that the address sees a reset for: it has completed the handshake, or its SYN-ACK is on
    /// its way.
    pub resets: u32,
    /// Connections that were closed in order, or reset by the peer.
    pub closed: u32,
}

impl Tally {
    /// How many are open: what was begun and has not ended.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.attempts - self.failed - self.aborted - self.closed
    }
}
