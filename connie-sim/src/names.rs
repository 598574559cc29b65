//! The resolution of a scenario's host: which queries are sent, and what the race is told.

use std::net::SocketAddr;

use connie_core::resolution::{Host, LOOPBACK, Query, QueryError, Resolution};
use connie_core::{Families, Family, Instant};

use crate::connector::Connector;
use crate::label::PORT;

/// A resolution under way.
pub(crate) struct Names {
    resolution: Resolution,
    /// The queries that were sent, in order.
    pub(crate) asked: Vec<Query>,
}

impl Names {
    /// Begins with `host`: sends what is to be asked, and tells the race what need not be.
    #[track_caller]
    pub(crate) fn begin(host: &str, families: Families, connector: &mut Connector, now: Instant) -> Self {
        let mut names = Names { resolution: Resolution::new(families), asked: Vec::new() };
        match Host::parse(host).expect("a host") {
            Host::Name(_) => names.asked.extend(std::iter::from_fn(|| names.resolution.next_query())),
            Host::Address(literal) => {
                let address = literal.socket_addr(PORT).expect("a zone by number");
                connector.handle_addresses(&[address], now);
            }
            Host::Loopback => connector.handle_addresses(&LOOPBACK.map(|ip| SocketAddr::new(ip, PORT)), now),
            Host::Nowhere => {
                for query in [Query::Aaaa, Query::A] {
                    for input in names.resolution.failed(query, QueryError::NoSuchName) {
                        connector.handle_input(input, now);
                    }
                }
            }
        }
        names
    }

    /// The answer to the query for `family` has come; `None` where it has failed. Nobody answers what was not asked.
    pub(crate) fn hear(
        &mut self,
        family: Family,
        addresses: Option<&[SocketAddr]>,
        connector: &mut Connector,
        now: Instant,
    ) {
        let query = Query::of(family);
        if !self.asked.contains(&query) {
            return;
        }
        let inputs = match addresses {
            Some(addresses) => self.resolution.answered(query, addresses),
            None => self.resolution.failed(query, QueryError::ServerFailure),
        };
        for input in inputs {
            connector.handle_input(input, now);
        }
    }

    /// The queries that failed, each with its name.
    pub(crate) fn failures(&self, host: &str) -> Vec<String> {
        self.resolution.failures(host).map(|failure| failure.to_string()).collect()
    }
}

/// Whether a resolver is asked for `host` at all.
pub(crate) fn is_asked_for(host: &str) -> bool {
    matches!(Host::parse(host), Ok(Host::Name(_)))
}
