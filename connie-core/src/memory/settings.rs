//! The settings of a memory, and what it knows of each address.

use core::net::{IpAddr, Ipv6Addr, SocketAddr};
use core::time::Duration;

use super::entry::{Entry, Marks, Standing};
use super::key::{self, Finish, Key};
use super::order::AddressState;
use super::{HALF_LIFE, Memory, Visit, pause};
use crate::race::{Ip, ip_and_port};
use crate::time::{Instant, micros};

/// The settings of a memory. Start from the default and change what differs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemorySettings {
    /// How long something that was learnt is used. Default: an hour, at most 24 days.
    pub life: Duration,
    /// The least time that the second address starts behind the lead. Default: 10 ms, which is the least. RFC
    /// 8305 section 8 recommends 100 ms; `Staggered` never goes below that unless
    /// [`short_delays`](MemorySettings::short_delays) says so.
    pub least_delay: Duration,
    /// Whether `Staggered` may go below 100 ms. Default: no.
    pub short_delays: bool,
    /// How far apart the rest start when the second is late as well. Default: 10 ms.
    pub gap: Duration,
}

impl MemorySettings {
    /// What was learnt so long ago counts half.
    pub const HALF_LIFE: Duration = Duration::from_secs(600);

    pub(super) const DEFAULT: MemorySettings = MemorySettings {
        life: Duration::from_secs(3_600),
        least_delay: Duration::from_millis(10),
        short_delays: false,
        gap: Duration::from_millis(10),
    };

    /// With another [`life`](field@MemorySettings::life).
    #[must_use]
    pub const fn life(mut self, life: Duration) -> Self {
        self.life = life;
        self
    }

    /// With another [`least_delay`](field@MemorySettings::least_delay).
    #[must_use]
    pub const fn least_delay(mut self, least_delay: Duration) -> Self {
        self.least_delay = least_delay;
        self
    }

    /// With another [`short_delays`](field@MemorySettings::short_delays).
    #[must_use]
    pub const fn short_delays(mut self, short_delays: bool) -> Self {
        self.short_delays = short_delays;
        self
    }

    /// With another [`gap`](field@MemorySettings::gap).
    #[must_use]
    pub const fn gap(mut self, gap: Duration) -> Self {
        self.gap = gap;
        self
    }
}

impl Default for MemorySettings {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The same as a memory keeps it: a firmware that never changes them has none of the conversions,
/// which take a 64-bit multiplication each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// In the memory's ticks.
    pub(super) life: u32,
    /// In microseconds, as `gap` is.
    pub(super) least: u32,
    pub(super) gap: u32,
    pub(super) short_delays: bool,
}

impl Limits {
    /// Those of [`MemorySettings::DEFAULT`].
    pub(super) const DEFAULT: Limits =
        Limits { life: super::ticks(3_600), least: 10_000, gap: 10_000, short_delays: false };

    pub(super) fn of(settings: &MemorySettings) -> Self {
        const LONGEST: u64 = 24 * 86_400 * 1_000_000;
        Limits {
            // Below 2^31.
            life: (micros(settings.life).min(LONGEST) >> 10) as u32,
            least: micros(settings.least_delay).clamp(10_000, MOST) as u32,
            gap: micros(settings.gap).min(MOST) as u32,
            short_delays: settings.short_delays,
        }
    }

    pub(super) fn settings(self) -> MemorySettings {
        let micros = |micros: u32| Duration::from_micros(micros.into());
        let Limits { life, least, gap, short_delays } = self;
        MemorySettings { life: ticks(life), least_delay: micros(least), short_delays, gap: micros(gap) }
    }
}

/// No delay is longer, in microseconds.
const MOST: u64 = 2_000_000;

/// What the user of a connection found out about the address behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
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
    /// When an attempt on it had ended well.
    pub finish: Finish,
    /// A number for the network that it was seen on, and for the partition.
    pub network: u32,
    /// A number for the host that last used it.
    pub host: u32,
    /// How long it takes to answer; `None` where it never has.
    pub round_trip: Option<Duration>,
    /// How much that varies: RFC 6298's RTTVAR.
    pub variation: Option<Duration>,
    /// By when it has answered if all is as it was.
    pub measure: Duration,
    /// How long ago something of it was last learnt.
    pub age: Duration,
    /// Whether it may lead a race.
    pub is_live: bool,
    /// Whether it has failed lately, and is tried after all others.
    pub is_demoted: bool,
    /// How much longer that goes on.
    pub demoted_for: Duration,
    /// How often it has failed since it last answered, as far as its pause counts them.
    pub failures: u8,
    /// Whether it has led one that it won.
    pub has_led: bool,
}

impl<const N: usize> Memory<N> {
    /// What is known of each address.
    pub fn entries(&self, now: Instant) -> impl Iterator<Item = Remembered> {
        let now = self.tick(now);
        let addresses =
            self.table.as_slice().iter().filter(|entry| !entry.is_host() && !entry.is_answer_time());
        addresses.map(move |entry| self.remembered(entry, now))
    }

    /// What is known of one address to `visit`.
    #[must_use]
    pub fn entry_of(&self, visit: &Visit, address: SocketAddr, now: Instant) -> Option<Remembered> {
        let (ip, port, family) = ip_and_port(&address);
        let entry = self.table.find(&Key { ip, port, realm: visit.realm(family) })?;
        Some(self.remembered(entry, self.tick(now)))
    }

    fn remembered(&self, entry: &Entry, now: u32) -> Remembered {
        let Ip { high, low } = entry.ip;
        let v6 = Ipv6Addr::from_bits(u128::from(high) << 64 | u128::from(low));
        let ip = v6.to_ipv4_mapped().map_or(v6.into(), IpAddr::V4);
        let number = key::number(self.salt, entry.ip, entry.port);
        let (estimate, age) = (entry.estimate, now.saturating_sub(entry.newest()));
        let state = self.state(entry, entry.host, number, now);
        let since = now.saturating_sub(entry.counted);
        let pause = if state == AddressState::Demoted { pause(entry.marks.level(), number) } else { 0 };
        let micros = |micros: u32| Duration::from_micros(micros.into());
        Remembered {
            address: SocketAddr::new(ip, entry.port),
            finish: key::finish(entry.realm),
            network: key::place(entry.realm),
            host: entry.host,
            round_trip: estimate.is_known().then(|| micros(estimate.mean.micros())),
            variation: estimate.is_known().then(|| micros(estimate.variation.micros())),
            measure: micros(estimate.measure(age / HALF_LIFE)),
            age: ticks(age),
            is_live: matches!(state, AddressState::Live | AddressState::Missed) && estimate.is_known(),
            is_demoted: state == AddressState::Demoted,
            demoted_for: ticks(pause.saturating_sub(since)),
            failures: match entry.standing {
                Standing::DEMOTED => entry.marks.level().saturating_add(1),
                _ => 0,
            },
            has_led: entry.marks.has(Marks::LED),
        }
    }
}

fn ticks(ticks: u32) -> Duration {
    Duration::from_micros(u64::from(ticks) << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_the_settings() {
        assert_eq!(Limits::of(&MemorySettings::DEFAULT), Limits::DEFAULT);
        assert_eq!(Limits::DEFAULT.settings(), MemorySettings::DEFAULT);
        let all = |duration| MemorySettings {
            life: duration,
            least_delay: duration,
            short_delays: true,
            gap: duration,
        };
        let MemorySettings { life, least_delay, short_delays, gap } =
            Limits::of(&all(Duration::MAX)).settings();
        let days = Duration::from_secs(24 * 86_400);
        assert!(days - life < Duration::from_millis(2) && short_delays);
        assert_eq!((least_delay, gap), (Duration::from_micros(MOST), Duration::from_micros(MOST)));
        let least = Limits::of(&all(Duration::ZERO));
        assert_eq!((least.life, least.least, least.gap), (0, 10_000, 0));
    }
}
