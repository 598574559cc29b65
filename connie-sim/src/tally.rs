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
    /// Handshakes that completed while the client still wanted them.
    pub completed: u32,
    /// Attempts that were aborted before the client knew a result.
    pub aborted: u32,
    /// Connections that were reset by the client: aborted after the handshake, or given up while a SYN-ACK was on its way.
    pub resets: u32,
    /// Connections that were handed over and ended: closed in order or aborted.
    pub closed: u32,
}

impl Tally {
    /// How many are open: what was begun and has not ended.
    #[must_use]
    pub fn open(&self) -> u32 {
        self.attempts - self.failed - self.aborted - self.closed
    }
}
