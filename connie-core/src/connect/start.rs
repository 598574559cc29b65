//! How a connect begins: what its host's text stands for.

use core::net::{IpAddr, SocketAddr, SocketAddrV6};

use super::facts::{Facts, InvalidHost};
use crate::resolution::{Host, LOOPBACK, Literal};

/// A host's text, read. Small, so that what can be wrong with a text is known before a [`Connect`](super::Connect) of any size is made, which
/// then need not be moved out of a `Result`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Start<'a> {
    /// All addresses are known, best first.
    Known(&'a [SocketAddr]),
    Loopback([SocketAddr; 2]),
    /// A name that has no addresses, and is not asked for.
    Nowhere,
    Literal(SocketAddr),
    Name,
}

impl<'a> Start<'a> {
    pub(crate) fn new(host: &str, port: u16, facts: &Facts<'a>) -> Result<Self, InvalidHost> {
        if let Some(addresses) = facts.hosts {
            return Ok(Start::Known(addresses));
        }
        Ok(match Host::parse(host)? {
            Host::Loopback => {
                let [v6, v4] = LOOPBACK;
                Start::Loopback([SocketAddr::new(v6, port), SocketAddr::new(v4, port)])
            }
            Host::Nowhere => Start::Nowhere,
            Host::Address(literal) => {
                Start::Literal(located(literal, port, facts.zone).ok_or(InvalidHost::Zone)?)
            }
            Host::Name(_) => Start::Name,
        })
    }
}

/// The address of a literal, its zone by number: its own, or `zone` where it has a name.
fn located(literal: Literal<'_>, port: u16, zone: Option<u32>) -> Option<SocketAddr> {
    literal.socket_addr(port).or_else(|| match (literal.ip, zone) {
        (IpAddr::V6(ip), Some(zone)) => Some(SocketAddrV6::new(ip, port, 0, zone).into()),
        _ => None,
    })
}
