//! How a connect begins: what its host's text stands for.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::facts::{Facts, InvalidHost, Routes};
use super::translation::may_lie_beyond;
use crate::race::{Config, Families, Family};
use crate::resolution::{Host, LOOPBACK, Literal, Query};

/// A host's text that has been read and found valid. It is small, so that a [`Connect`](super::Connect),
/// which is not, need not be moved out of a `Result`.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a>(pub(super) HostKind<'a>);

/// What a host's text stands for.
#[derive(Clone, Copy, Debug)]
pub(super) enum HostKind<'a> {
    /// All addresses are known, best first.
    Known(&'a [SocketAddr]),
    Loopback([SocketAddr; 2]),
    /// A name that has no addresses, and is not asked for.
    Nowhere,
    Literal(SocketAddr),
    Name,
}

impl<'a> Start<'a> {
    /// What `host` stands for, with `port` to connect to.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`].
    pub fn new(host: &str, port: u16, facts: &Facts<'a>) -> Result<Self, InvalidHost> {
        if let Some(addresses) = facts.hosts {
            return Ok(Start(HostKind::Known(addresses)));
        }
        Ok(Start(match Host::parse(host)? {
            Host::Loopback => {
                let [v6, v4] = LOOPBACK;
                HostKind::Loopback([SocketAddr::new(v6, port), SocketAddr::new(v4, port)])
            }
            Host::Nowhere => HostKind::Nowhere,
            Host::Address(literal) => {
                HostKind::Literal(located(literal, port, facts.zone).ok_or(InvalidHost::Zone)?)
            }
            Host::Name(_) => HostKind::Name,
        }))
    }

    /// A host that is a name for certain, whose text is not read: for programs that are linked to show that
    /// no path leads to a panic. `core`'s parsers have some that no input takes.
    #[doc(hidden)]
    #[must_use]
    pub const fn name() -> Self {
        Start(HostKind::Name)
    }

    /// Whether a connect made of this sends `query`, with room for NAT64 or without: rules 1 and 2. For an
    /// adapter that can fail to send a query, and should do so before it makes the connect.
    #[must_use]
    pub fn asks(&self, query: Query, config: &Config, facts: &Facts<'_>, has_room: bool) -> bool {
        let Routes { v4, v6 } = facts.routes;
        let nat64 = has_room && config.families == Families::Both && !v4 && v6;
        match (self.0, query) {
            (HostKind::Name, Query::Aaaa) => config.families.allow(Family::V6),
            (HostKind::Name, Query::A) => config.families.allow(Family::V4),
            (HostKind::Name, Query::Nat64Prefix) => nat64,
            (HostKind::Literal(address), Query::Nat64Prefix) => nat64 && may_lie_beyond(address.ip()),
            _ => false,
        }
    }
}

/// The address of a literal, its zone by number: its own, or `zone` where it has a name.
fn located(literal: Literal<'_>, port: u16, zone: Option<u32>) -> Option<SocketAddr> {
    literal.socket_addr(port).or_else(|| match (literal.ip, zone) {
        (IpAddr::V6(ip), Some(zone)) => Some(SocketAddrV6::new(ip, port, 0, zone).into()),
        _ => None,
    })
}
