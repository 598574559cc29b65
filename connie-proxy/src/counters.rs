//! What a proxy has done, in numbers.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::moved::Moved;
use crate::refusal::Refusal;

/// What a proxy has done since it began.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    accepted: AtomicU64,
    turned_away: AtomicU64,
    open: AtomicU64,
    connected: AtomicU64,
    refused: [AtomicU64; Refusal::ALL.len()],
    sent: AtomicU64,
    received: AtomicU64,
}

/// A client that is being served.
pub(crate) struct OpenClient<'a>(&'a Counters);

impl Drop for OpenClient<'_> {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Counters {
    pub(crate) fn open(&self) -> OpenClient<'_> {
        self.accepted.fetch_add(1, Relaxed);
        self.open.fetch_add(1, Relaxed);
        OpenClient(self)
    }

    /// A client that may not use the proxy.
    pub(crate) fn turned_away(&self) {
        self.turned_away.fetch_add(1, Relaxed);
    }

    pub(crate) fn connected(&self) {
        self.connected.fetch_add(1, Relaxed);
    }

    pub(crate) fn refused(&self, refusal: Refusal) {
        if let Some(count) =
            Refusal::ALL.iter().position(|it| *it == refusal).and_then(|at| self.refused.get(at))
        {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn moved(&self, moved: &Moved) {
        self.sent.fetch_add(moved.sent(), Relaxed);
        self.received.fetch_add(moved.received(), Relaxed);
    }

    pub(crate) fn snapshot(&self) -> ProxyCounts {
        let read = |count: &AtomicU64| count.load(Relaxed);
        ProxyCounts {
            accepted: read(&self.accepted),
            turned_away: read(&self.turned_away),
            open: read(&self.open),
            connected: read(&self.connected),
            refused: Refusal::ALL.into_iter().zip(self.refused.iter().map(read)).collect(),
            sent: read(&self.sent),
            received: read(&self.received),
        }
    }
}

impl ProxyCounts {
    /// The counts that are single numbers, each with its name.
    pub(crate) fn numbers(&self) -> [(&'static str, u64); 6] {
        [
            ("accepted", self.accepted),
            ("turned_away", self.turned_away),
            ("open", self.open),
            ("connected", self.connected),
            ("sent", self.sent),
            ("received", self.received),
        ]
    }
}

/// What a proxy has done since it began.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProxyCounts {
    /// Clients that were served or refused.
    pub accepted: u64,
    /// Clients that were closed at once: they may not use it, or there were far too many.
    pub turned_away: u64,
    /// Clients that are connected now.
    pub open: u64,
    /// Connections to hosts.
    pub connected: u64,
    /// Why clients got none, and how often.
    pub refused: Vec<(Refusal, u64)>,
    /// Bytes to hosts, over connections that have ended.
    pub sent: u64,
    /// Bytes from hosts, over connections that have ended.
    pub received: u64,
}
