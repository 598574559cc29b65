//! Which host each address of a race to several hosts belongs to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

/// How many hosts one [`connect`](crate::connect) can race to.
pub const MAX_HOSTS: usize = 64;

/// Which host each address of a race to several hosts belongs to, by number. Clones share the record: the
/// race writes it, and what opens connections reads it.
#[derive(Clone, Debug, Default)]
pub struct Owners(Arc<Mutex<Vec<(SocketAddr, usize)>>>);

impl Owners {
    /// Records the host of an address that has none yet.
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
    /// Takes, before the race, the record of which address belongs to which host.
    fn told_owners(&mut self, _: &Owners) {}
}

impl Hosted for crate::OsStack {}
