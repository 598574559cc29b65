//! The name that a certificate has to be valid for: the host's. Of several hosts it is the name of the one
//! that the address belongs to.

use std::net::SocketAddr;

use rustls::pki_types::ServerName;

use crate::hosts::Owners;

/// Never empty.
#[derive(Clone, Debug)]
pub(crate) struct ServerNames {
    first: ServerName<'static>,
    /// Those of the other hosts, in their order.
    others: Vec<ServerName<'static>>,
    owners: Owners,
}

impl ServerNames {
    /// `None` where there is none.
    pub(super) fn of(names: Vec<ServerName<'static>>) -> Option<Self> {
        let mut names = names.into_iter();
        Some(ServerNames { first: names.next()?, others: names.collect(), owners: Owners::default() })
    }

    /// That of the only host, or of the first.
    pub(crate) fn first(&self) -> &ServerName<'static> {
        &self.first
    }

    /// That of the host with this number.
    pub(crate) fn number(&self, number: usize) -> &ServerName<'static> {
        number.checked_sub(1).and_then(|number| self.others.get(number)).unwrap_or(&self.first)
    }

    /// That of the host whose address this is.
    pub(crate) fn at(&self, remote: SocketAddr) -> &ServerName<'static> {
        // Of one host nobody keeps a list.
        if self.others.is_empty() { &self.first } else { self.number(self.owners.of(remote).unwrap_or(0)) }
    }

    pub(crate) fn told_owners(&mut self, owners: &Owners) {
        self.owners = owners.clone();
    }
}

impl From<ServerName<'static>> for ServerNames {
    fn from(first: ServerName<'static>) -> Self {
        ServerNames { first, others: Vec::new(), owners: Owners::default() }
    }
}
