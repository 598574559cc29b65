//! The value that names servers.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use connie_core::Families;
use connie_core::resolution::{QueryError, QueryFailure};
use connie_dns::{DnsConfig, DnsTransport, SearchNames};
use wasip2::random::random::get_random_u64;

use super::driver::{Client, Driver};
use super::error::DnsError;
use super::lookup::DnsLookup;
use super::shared::SharedDriver;
use crate::poll::WasiClock;
use crate::socket::WasiStack;

/// A resolver that asks name servers itself. Clones share its sockets and what it knows.
#[derive(Clone)]
pub struct Dns {
    shared: SharedDriver,
    search: Rc<[String]>,
    ndots: u8,
}

impl Dns {
    /// A resolver that asks these servers, the first to be asked first, each once; those behind the
    /// [third](super::MAX_SERVERS) are left out. With none every lookup fails.
    #[must_use]
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        let servers: Vec<SocketAddr> = servers.into_iter().collect();
        Self::with_config(&servers, DnsConfig { transport: DnsTransport::UdpAndTcp, ..DnsConfig::default() })
    }

    /// As [`new`](Self::new), with settings of the caller's, of which [`DnsTransport::Tcp`] is for a runtime
    /// that gives no UDP.
    #[must_use]
    pub fn with_config(servers: &[SocketAddr], settings: DnsConfig) -> Self {
        let clock = WasiClock::start();
        let mut client = Box::new(Client::new(settings, get_random_u64()));
        client.set_servers(servers, clock.now());
        let driver = Driver::new(WasiStack::default(), client);
        Dns { shared: SharedDriver::new(driver, clock), search: Rc::default(), ndots: 1 }
    }

    /// Looks for a name below these domains, too: as it is first where it has `ndots` dots or more, and last
    /// otherwise. One with a final dot is taken as it is. Without this names are.
    #[must_use]
    pub fn with_search(mut self, domains: impl IntoIterator<Item = String>, ndots: u8) -> Self {
        self.search = domains.into_iter().collect();
        self.ndots = ndots;
        self
    }

    /// The servers that are asked.
    #[must_use]
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.shared.driver().client().servers().collect()
    }

    /// Forgets what it knows: for a program that has learnt that the network is another one now.
    pub fn forget(&self) {
        self.shared.forget();
    }

    /// Begins to look `name` up, for a program that drives the [core](connie_core) itself, or wants nothing
    /// but addresses. What goes wrong is told by the lookup.
    #[must_use]
    pub fn look_up(&self, name: &str, port: u16, families: Families) -> DnsLookup {
        let names = SearchNames::new(name, &self.search, self.ndots).collect();
        DnsLookup::start(&self.shared, names, port, families)
    }

    /// What is to be said of a lookup of which these queries failed.
    pub(crate) fn error<'h>(&self, failures: impl Iterator<Item = QueryFailure<'h>>) -> DnsError {
        let failures: Vec<_> = failures.map(|failed| (failed.query, failed.error)).collect();
        let is_unreachable = failures.iter().any(|(_, error)| *error == QueryError::Unreachable);
        let denial = self.shared.driver().denial().filter(|_| is_unreachable);
        DnsError { failures, denial }
    }
}

impl fmt::Debug for Dns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dns")
            .field("servers", &self.servers())
            .field("search", &self.search)
            .field("ndots", &self.ndots)
            .finish_non_exhaustive()
    }
}
