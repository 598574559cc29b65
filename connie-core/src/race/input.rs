//! The inputs of a race.

use core::fmt;
use core::net::SocketAddr;

use super::attempt::{AttemptError, AttemptId};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Family {
    /// IPv4: A records.
    V4,
    /// IPv6: AAAA records.
    V6,
}

impl Family {
    /// The family of `address`. An IPv4-mapped IPv6 address (`::ffff:192.0.2.1`) goes out as IPv4, and counts
    /// as that.
    #[must_use]
    pub const fn of(address: &SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_some() => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Family {
        match self {
            Family::V4 => Family::V6,
            Family::V6 => Family::V4,
        }
    }

    /// The name that the JSON timeline and qlog use: `ipv4` or `ipv6`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        })
    }
}

/// Which address families may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum Families {
    /// Both.
    #[default]
    Both,
    /// Only this one; resolution of the other is not waited for and its addresses are never started.
    Only(Family),
}

impl Families {
    /// Whether `family` may be used.
    #[must_use]
    pub fn allow(self, family: Family) -> bool {
        match self {
            Families::Both => true,
            Families::Only(only) => only == family,
        }
    }
}

/// Something that happened, for [`Race::handle_input`](super::Race::handle_input).
///
/// Every input is welcome at any time: one that comes too late, twice, or for an attempt that has ended
/// changes nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// Resolution of a family has answered, best address first; empty when the host has none.
    ///
    /// Addresses of the other family in the slice are passed over, so that one mixed list serves both. A
    /// later answer takes the place of an earlier one: addresses that it adds join the race, and those that
    /// it no longer holds are not started any more; attempts in flight stay.
    Resolved {
        /// The family that was asked for.
        family: Family,
        /// The addresses, in order of preference (RFC 6724). Duplicates are raced once.
        addresses: &'a [SocketAddr],
    },
    /// Addresses of a family to go on with until its answer comes, such as the hints of an HTTPS record (RFC
    /// 9460 section 7.3). The answer takes their place. They do not end the wait for it, and after it they
    /// change nothing.
    Hinted {
        /// The family that they belong to.
        family: Family,
        /// The addresses, in order of preference.
        addresses: &'a [SocketAddr],
    },
    /// Resolution of a family failed: there will be no answer. What came before stays, hints and an answer: a
    /// lookup that fails later, to refresh one, does not mean that its addresses are gone.
    /// [`Resolved`](Input::Resolved) without addresses does.
    ResolutionFailed {
        /// The family that was asked for.
        family: Family,
    },
    /// An attempt completed its handshake. It wins, unless the race has ended.
    AttemptSucceeded {
        /// The attempt.
        id: AttemptId,
    },
    /// An attempt failed; the caller has released its socket, or does so now.
    AttemptFailed {
        /// The attempt.
        id: AttemptId,
        /// What went wrong.
        error: AttemptError,
    },
    /// This machine has another address of this family than it had, or another router out of it: what was
    /// sent from the old one has no answer to hope for. The caller has released the sockets of all attempts
    /// of the family, or does so now.
    ///
    /// The family begins anew, from the new address: rule 10.
    SourceChanged {
        /// The family.
        family: Family,
    },
    /// The caller no longer wants a connection. After the race has been won this changes nothing: the winner
    /// stays usable.
    Cancel,
}
