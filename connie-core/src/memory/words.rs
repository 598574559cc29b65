//! What a memory is told by its user, and what it tells.

use core::net::SocketAddr;
use core::time::Duration;

/// What a memory is told by its user. Start from the default and change what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Settings {
    /// How long something that was learnt is used. Default: an hour, at most 24 days.
    pub life: Duration,
    /// The least time that the second address starts behind the lead. Default: 10 ms, which is the least. RFC 8305 section 8 recommends 100 ms;
    /// `Staggered` never goes below that unless [`short_delays`](Settings::short_delays) says so.
    pub least_delay: Duration,
    /// Whether `Staggered` may go below 100 ms. Default: no.
    pub short_delays: bool,
    /// How far apart the rest start when the second is late as well. Default: 10 ms.
    pub gap: Duration,
}

impl Settings {
    pub(super) const DEFAULT: Settings = Settings {
        life: Duration::from_secs(3_600),
        least_delay: Duration::from_millis(10),
        short_delays: false,
        gap: Duration::from_millis(10),
    };
}

impl Default for Settings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What the user of a connection found out about the address behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verdict {
    /// It did what it was there for.
    Good,
    /// It said no, such as a server that is overloaded or shuts down.
    Refused,
    /// It said nothing.
    Stalled,
    /// TLS failed, and not for its certificate's name or issuer, which say nothing about an address.
    TlsFailed,
}

/// What is known of an address: [`Memory::entries`](super::Memory::entries).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remembered {
    /// The address.
    pub address: SocketAddr,
    /// How long it takes to answer; `None` where it never has.
    pub round_trip: Option<Duration>,
    /// By when it has answered if all is as it was.
    pub measure: Duration,
    /// How long ago something of it was last learnt.
    pub age: Duration,
    /// Whether it may lead a race.
    pub is_live: bool,
    /// Whether it has failed lately, and is tried after all others.
    pub is_demoted: bool,
    /// Whether it has led one that it won.
    pub has_led: bool,
}
