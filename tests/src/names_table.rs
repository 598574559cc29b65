//! Twenty-four names that tell adapters apart: what the name server says of each and when, what lies at the
//! addresses, what the host lacks, and what the caller asks for.
//!
//! It is data alone, and the same for every adapter: `tests/syn_logs.rs` runs each adapter over it, and holds
//! the order of the SYNs, the winner or the kind of error against what is committed. Whatever order matters
//! for is at least 100 ms apart, so that a busy machine comes to the same; but for number 1, whose answers
//! come in the order in which they were asked for.

use std::time::Duration;

use connie_std::connie_core::{Config, Family, Pacing};

/// The port of every address.
pub const PORT: u16 = 8080;
/// In [`Name::host`]: stands for the number of the interface that leads to the other addresses.
pub const ZONE: &str = "ZONE";
/// A live address of each family. Names that must not reach a name server have them there, so that one who
/// asks is seen.
pub const TRAPS: [&str; 2] = ["2001:db8::66", "192.0.2.66"];

/// The Connection Attempt Delay of [`Pace::Staggered`].
pub const DELAY: Duration = Duration::from_millis(500);
/// How long a staggered race waits for the preferred family.
pub const RESOLUTION_DELAY: Duration = Duration::from_millis(400);

/// One name.
#[derive(Clone, Copy, Debug)]
pub struct Name {
    /// Its number, from 1.
    pub number: u8,
    /// What it is called in the logs.
    pub label: &'static str,
    /// What it shows.
    pub what: &'static str,
    /// What the caller connects to.
    pub host: &'static str,
    /// The AAAA answer for [`host`](Self::host).
    pub aaaa: Reply,
    /// The A answer.
    pub a: Reply,
    /// The AAAA answer for `ipv4only.arpa`, which tells the prefix of a NAT64.
    pub prefix: Reply,
    /// What lies at the addresses.
    pub places: &'static [(&'static str, Place)],
    /// The family that the host has no route for.
    pub lacks: Option<Family>,
    /// What the caller asks for.
    pub race: Race,
}

/// What a name server says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// These addresses, so many milliseconds after the query.
    Has(u64, &'static [&'static str]),
    /// The name is there, and has no such record.
    Empty,
    /// NXDOMAIN.
    NoSuchName,
    /// SERVFAIL.
    Fails,
    /// Nothing, ever.
    Never,
}

/// What lies at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A listener, [`Place::NEAR`] away.
    Live,
    /// A listener, [`Place::FAR`] away.
    Slow,
    /// A reset, after [`Place::NEAR`].
    Refuses,
    /// Silence.
    Silent,
}

impl Place {
    /// A short round trip, in milliseconds.
    pub const NEAR: u64 = 40;
    /// A long one: whoever is near has won by far.
    pub const FAR: u64 = 400;
}

/// How the race is run.
#[derive(Clone, Copy, Debug)]
pub struct Race {
    /// When the next attempt starts.
    pub pace: Pace,
    /// The family that the caller prefers.
    pub prefers: Family,
    /// In milliseconds.
    pub deadline: u64,
    /// The Resolution Delay.
    pub resolution_delay: Duration,
}

/// [`Pacing`], without its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// [`Pacing::AllAtOnce`].
    AllAtOnce,
    /// [`Pacing::Staggered`], by [`DELAY`].
    Staggered,
    /// [`Pacing::OneByOne`].
    OneByOne,
}

impl Race {
    /// What the caller hands to `connect`. There are more sockets than addresses, and nothing is hedged: each
    /// address is called once.
    #[must_use]
    pub fn config(&self) -> Config {
        let preset = match self.pace {
            Pace::AllAtOnce => Config::all_at_once(),
            Pace::OneByOne => Config::one_by_one(),
            Pace::Staggered => {
                Config::staggered().pacing(Pacing::Staggered { delay: DELAY, growth_percent: 100 })
            }
        };
        preset
            .clone()
            .preferred_family(self.prefers)
            .resolution_delay(self.resolution_delay)
            .deadline(Some(Duration::from_millis(self.deadline)))
            .max_in_flight(8)
            .hedge(false)
    }
}

/// No name takes longer, unless it is to be seen whether one does.
const DEADLINE: u64 = 3_000;
/// Where it is.
const SOON: u64 = 1_200;

const AT_ONCE: Race = Race {
    pace: Pace::AllAtOnce,
    prefers: Family::V6,
    deadline: DEADLINE,
    resolution_delay: RESOLUTION_DELAY,
};
const STAGGERED: Race = Race { pace: Pace::Staggered, ..AT_ONCE };
const ONE_BY_ONE: Race = Race { pace: Pace::OneByOne, ..AT_ONCE };

use Place::{Live, Refuses, Silent, Slow};
use Reply::{Empty, Fails, Has, Never, NoSuchName};

const fn name(number: u8, label: &'static str, what: &'static str, race: Race) -> Name {
    Name {
        number,
        label,
        what,
        host: "name.test",
        aaaa: Empty,
        a: Empty,
        prefix: NoSuchName,
        places: &[],
        lacks: None,
        race,
    }
}

/// The names.
pub const NAMES: [Name; 24] = [
    Name {
        aaaa: Has(0, &["2001:db8::1"]),
        a: Has(0, &["192.0.2.1"]),
        places: &[("2001:db8::1", Slow), ("192.0.2.1", Live)],
        ..name(1, "both-at-once", "all at once, both answers in the order of the queries", AT_ONCE)
    },
    Name {
        aaaa: Has(0, &["2001:db8::1", "2001:db8::2"]),
        a: Has(250, &["192.0.2.1", "192.0.2.2"]),
        places: &[
            ("2001:db8::1", Silent),
            ("2001:db8::2", Live),
            ("192.0.2.1", Silent),
            ("192.0.2.2", Silent),
        ],
        ..name(2, "a-late", "staggered, A 250 ms late: the families take turns", STAGGERED)
    },
    Name {
        aaaa: Has(0, &["2001:db8::1", "2001:db8::2"]),
        a: Has(200, &["192.0.2.1", "192.0.2.2"]),
        places: &[
            ("2001:db8::1", Refuses),
            ("2001:db8::2", Refuses),
            ("192.0.2.1", Refuses),
            ("192.0.2.2", Live),
        ],
        ..name(
            3,
            "one-by-one",
            "one by one: begins with both answers, and the families take turns",
            ONE_BY_ONE,
        )
    },
    Name {
        a: Has(0, &["192.0.2.1", "192.0.2.1", "192.0.2.2"]),
        places: &[("192.0.2.1", Refuses), ("192.0.2.2", Live)],
        ..name(4, "aaaa-empty", "no AAAA record; an A record twice, and refused", STAGGERED)
    },
    Name {
        aaaa: Has(0, &["2001:db8::1", "2001:db8::2", "2001:db8::3"]),
        places: &[("2001:db8::1", Silent), ("2001:db8::2", Refuses), ("2001:db8::3", Live)],
        ..name(5, "a-empty", "no A record; all at once, one dead, one refused, one live", AT_ONCE)
    },
    Name {
        aaaa: Has(150, &["2001:db8::1"]),
        a: Has(0, &["192.0.2.1"]),
        places: &[("2001:db8::1", Live), ("192.0.2.1", Live)],
        ..name(6, "aaaa-in-time", "staggered, AAAA late but within the Resolution Delay", STAGGERED)
    },
    Name {
        aaaa: Has(700, &["2001:db8::1"]),
        a: Has(0, &["192.0.2.1"]),
        places: &[("2001:db8::1", Live), ("192.0.2.1", Silent)],
        ..name(7, "aaaa-late", "staggered, AAAA after the Resolution Delay joins the race", STAGGERED)
    },
    Name {
        aaaa: Never,
        a: Has(0, &["192.0.2.1"]),
        places: &[("192.0.2.1", Live)],
        ..name(8, "aaaa-never", "all at once, AAAA never answered", AT_ONCE)
    },
    name(9, "both-empty", "the name is there, and has no address", AT_ONCE),
    Name { aaaa: NoSuchName, a: NoSuchName, ..name(10, "nxdomain", "there is no such name", AT_ONCE) },
    Name {
        aaaa: Fails,
        a: Has(200, &["192.0.2.1"]),
        places: &[("192.0.2.1", Live)],
        ..name(11, "aaaa-servfail", "AAAA fails before A is there", STAGGERED)
    },
    Name {
        aaaa: Has(200, &["2001:db8::1"]),
        a: Fails,
        places: &[("2001:db8::1", Refuses)],
        ..name(12, "a-servfail", "A fails, and the only AAAA address refuses", STAGGERED)
    },
    Name { aaaa: Fails, a: Fails, ..name(13, "both-servfail", "both queries fail", AT_ONCE) },
    Name {
        host: "192.0.2.1",
        places: &[("192.0.2.1", Live)],
        ..name(14, "ipv4-literal", "an IPv4 address", STAGGERED)
    },
    Name {
        host: "fe80::1%ZONE",
        places: &[("fe80::1", Live)],
        ..name(15, "ipv6-zone", "an IPv6 address of a link, its zone by number", STAGGERED)
    },
    Name {
        host: "localhost",
        aaaa: Has(0, &[TRAPS[0]]),
        a: Has(0, &[TRAPS[1]]),
        places: &[("::1", Refuses), ("127.0.0.1", Live)],
        ..name(
            16,
            "localhost",
            "localhost, which a name server knows otherwise (RFC 6761 section 6.3)",
            AT_ONCE,
        )
    },
    Name {
        host: "a.localhost",
        aaaa: Has(0, &[TRAPS[0]]),
        a: Has(0, &[TRAPS[1]]),
        places: &[("::1", Refuses), ("127.0.0.1", Live)],
        ..name(
            17,
            "below-localhost",
            "a name below localhost, and the caller prefers IPv4",
            Race { prefers: Family::V4, ..STAGGERED },
        )
    },
    Name {
        host: "name.invalid",
        aaaa: Has(0, &[TRAPS[0]]),
        a: Has(0, &[TRAPS[1]]),
        ..name(
            18,
            "invalid",
            "a name below invalid, which a name server knows (RFC 6761 section 6.4)",
            AT_ONCE,
        )
    },
    Name {
        a: Has(0, &["192.0.2.1"]),
        prefix: Has(100, &["64:ff9b::c000:aa", "64:ff9b::c000:ab"]),
        places: &[("64:ff9b::c000:201", Live)],
        lacks: Some(Family::V4),
        ..name(19, "nat64-name", "IPv6 alone with NAT64: a name with A records", STAGGERED)
    },
    Name {
        host: "192.0.2.1",
        prefix: Has(100, &["64:ff9b::c000:aa", "64:ff9b::c000:ab"]),
        places: &[("64:ff9b::c000:201", Live)],
        lacks: Some(Family::V4),
        ..name(20, "nat64-literal", "IPv6 alone with NAT64: an IPv4 address", STAGGERED)
    },
    Name {
        host: "127.0.0.1",
        prefix: Never,
        places: &[("127.0.0.1", Live)],
        lacks: Some(Family::V4),
        ..name(
            21,
            "nat64-loopback",
            "IPv6 alone, the query for a prefix never answered: an IPv4 address of the host itself",
            Race { deadline: SOON, ..STAGGERED },
        )
    },
    Name {
        aaaa: Has(0, &["2001:db8::1"]),
        a: Has(0, &["192.0.2.1"]),
        places: &[("2001:db8::1", Live), ("192.0.2.1", Silent)],
        ..name(
            22,
            "prefers-v4",
            "staggered, and the caller prefers IPv4",
            Race { prefers: Family::V4, ..STAGGERED },
        )
    },
    Name {
        aaaa: Never,
        a: Has(0, &["192.0.2.1"]),
        places: &[("192.0.2.1", Refuses)],
        lacks: Some(Family::V6),
        ..name(
            23,
            "no-ipv6",
            "no IPv6 route: whether AAAA is waited for to begin, and, with A refused, to end",
            // Whoever waits to begin has begun nothing by the deadline.
            Race { deadline: SOON, resolution_delay: Duration::from_secs(3), ..STAGGERED },
        )
    },
    Name {
        aaaa: Has(0, &["2001:db8::1"]),
        a: Has(0, &["192.0.2.1"]),
        places: &[("2001:db8::1", Refuses)],
        lacks: Some(Family::V4),
        ..name(24, "no-ipv4", "no IPv4 route and no NAT64, and the IPv6 address refuses", STAGGERED)
    },
];

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    #[test]
    fn names_are_numbered_from_one_and_called_differently() {
        for (index, name) in NAMES.iter().enumerate() {
            assert_eq!(usize::from(name.number), index + 1, "{}", name.label);
            let same = NAMES.iter().filter(|other| other.label == name.label).count();
            assert_eq!(same, 1, "{}", name.label);
        }
    }

    #[test]
    fn every_address_is_one_and_of_its_family() {
        let is = |text: &str, v6: bool| text.parse::<IpAddr>().is_ok_and(|ip| ip.is_ipv6() == v6);
        for name in &NAMES {
            for (reply, v6) in [(name.aaaa, true), (name.prefix, true), (name.a, false)] {
                if let Has(_, addresses) = reply {
                    assert!(!addresses.is_empty() && addresses.iter().all(|text| is(text, v6)), "{name:?}");
                }
            }
            assert!(name.places.iter().all(|(text, _)| text.parse::<IpAddr>().is_ok()), "{name:?}");
        }
    }
}
