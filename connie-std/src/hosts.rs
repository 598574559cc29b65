//! Whose the addresses of a race to several hosts are.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many hosts one [`connect`](crate::connect) can be to.
pub const MAX_HOSTS: usize = 64;

/// Whose the addresses of a race to several hosts are, by their numbers. A clone is the same: the race notes, and what opens connections asks.
#[derive(Clone, Debug, Default)]
pub struct Owners(Arc<Mutex<Vec<(SocketAddr, usize)>>>);

impl Owners {
    /// Takes note, where it is nobody's yet.
    pub(crate) fn note(&self, address: SocketAddr, host: usize) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(other, _)| *other == address) {
            known.push((address, host));
        }
    }

    #[cfg(feature = "tls")]
    pub(crate) fn of(&self, address: SocketAddr) -> Option<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(other, _)| *other == address).map(|(_, host)| *host)
    }

    pub(crate) fn all(&self) -> Vec<(SocketAddr, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A stack that does something else for each host of several.
pub trait Hosted {
    /// Is told, before the race, who will know whose an address is.
    fn told_owners(&mut self, _: &Owners) {}
}

impl Hosted for crate::OsStack {}
