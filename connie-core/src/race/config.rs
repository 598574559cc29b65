//! How a race is run: limits and times, with the presets. How it is paced stands in `pacing.rs`.

use core::time::Duration;

use super::input::{Families, Family};
use super::pacing::{self, Pacing};
use crate::time::{micros, within};

/// How a race is run. Start from a preset and change what differs:
///
/// ```
/// use connie_core::Config;
/// use core::time::Duration;
///
/// let config = Config::all_at_once().deadline(Some(Duration::from_secs(10))).max_in_flight(4);
/// ```
///
/// A later version may add fields.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Config {
    /// When the next attempt starts.
    pub pacing: Pacing,
    /// Which address families may be used. Default: both.
    pub families: Families,
    /// The family whose addresses come first. Default: IPv6 (RFC 8305 section 4).
    pub preferred_family: Family,
    /// The First Address Family Count (RFC 8305 section 8): how many addresses of the preferred family come
    /// before the first of the other. Default 1; 0 counts as 1.
    pub first_address_family_count: u8,
    /// The Resolution Delay (RFC 8305 section 8): how long [`Pacing::Staggered`] waits for the preferred
    /// family's answer once the other's is there. Default 50 ms. The other pacings do not use it.
    pub resolution_delay: Duration,
    /// The most attempts in flight, and so the most sockets open, at any time. Held within 1 and the race's
    /// socket capacity. Default: the capacity.
    pub max_in_flight: usize,
    /// How long an attempt may keep its socket while a destination waits for one, and how long it runs before
    /// it gets a hedge. A destination that was evicted comes back with twice that, and yet may not throw out
    /// an attempt that has run for less. Default 250 ms, held within 10 ms and 10 minutes.
    pub patience: Duration,
    /// Whether an attempt that has outstayed its patience gives its socket up to a destination that waits.
    /// Default: yes. Without, a race with fewer sockets than destinations can get stuck behind dead ones.
    /// [`Pacing::OneByOne`] never evicts.
    pub evict: bool,
    /// Whether an attempt that has outstayed its patience, while a socket is free and nothing waits, gets a
    /// second one beside it, since its SYN may be lost. Default: yes with [`Pacing::AllAtOnce`], no with the
    /// others.
    pub hedge: bool,
    /// How long the whole race may take, from its creation. Default: no limit.
    pub deadline: Option<Duration>,
    /// How long one attempt may take before it counts as failed. Default: no limit but the stack's own.
    pub attempt_timeout: Option<Duration>,
}

impl Config {
    /// RFC 8305 section 8, Connection Attempt Delay: "Recommended to be 250 milliseconds".
    pub const DEFAULT_DELAY: Duration = pacing::DEFAULT_DELAY;
    /// RFC 8305 section 5: the delay "MUST NOT" be lower than 10 milliseconds. A patience is held to it as
    /// well.
    pub const MIN_DELAY: Duration = pacing::MIN_DELAY;
    /// RFC 8305 section 8, Maximum Connection Attempt Delay: 2 seconds.
    pub const MAX_DELAY: Duration = pacing::MAX_DELAY;
    /// RFC 8305 section 8, Resolution Delay: 50 milliseconds.
    pub const DEFAULT_RESOLUTION_DELAY: Duration = Duration::from_millis(50);
    /// The default patience.
    pub const DEFAULT_PATIENCE: Duration = Duration::from_millis(250);
    /// The longest patience, which doubling does not pass either.
    pub const MAX_PATIENCE: Duration = Duration::from_secs(600);
    /// The least share of the deadline that [`Pacing::OneByOne`] gives to one attempt.
    pub const MIN_SHARE: Duration = pacing::MIN_SHARE;

    /// The default: every destination at once, up to the socket limit.
    #[must_use]
    pub const fn all_at_once() -> Self {
        Config {
            pacing: Pacing::AllAtOnce,
            families: Families::Both,
            preferred_family: Family::V6,
            first_address_family_count: 1,
            resolution_delay: Self::DEFAULT_RESOLUTION_DELAY,
            max_in_flight: usize::MAX,
            patience: Self::DEFAULT_PATIENCE,
            evict: true,
            hedge: true,
            deadline: None,
            attempt_timeout: None,
        }
    }

    /// Happy Eyeballs as RFC 8305 has it.
    #[must_use]
    pub const fn staggered() -> Self {
        Config { pacing: Pacing::RFC_8305, hedge: false, ..Self::all_at_once() }
    }

    /// One address after the other, as most clients do.
    #[must_use]
    pub const fn one_by_one() -> Self {
        Config { pacing: Pacing::OneByOne, hedge: false, ..Self::all_at_once() }
    }
}

/// The same with one field changed. What makes no sense by itself is held within its bounds by the race.
impl Config {
    /// With another [`pacing`](field@Config::pacing).
    #[must_use]
    pub const fn pacing(mut self, pacing: Pacing) -> Self {
        self.pacing = pacing;
        self
    }

    /// With another [`families`](field@Config::families).
    #[must_use]
    pub const fn families(mut self, families: Families) -> Self {
        self.families = families;
        self
    }

    /// With another [`preferred_family`](field@Config::preferred_family).
    #[must_use]
    pub const fn preferred_family(mut self, preferred_family: Family) -> Self {
        self.preferred_family = preferred_family;
        self
    }

    /// With another [`first_address_family_count`](field@Config::first_address_family_count).
    #[must_use]
    pub const fn first_address_family_count(mut self, first_address_family_count: u8) -> Self {
        self.first_address_family_count = first_address_family_count;
        self
    }

    /// With another [`resolution_delay`](field@Config::resolution_delay).
    #[must_use]
    pub const fn resolution_delay(mut self, resolution_delay: Duration) -> Self {
        self.resolution_delay = resolution_delay;
        self
    }

    /// With another [`max_in_flight`](field@Config::max_in_flight).
    #[must_use]
    pub const fn max_in_flight(mut self, max_in_flight: usize) -> Self {
        self.max_in_flight = max_in_flight;
        self
    }

    /// With another [`patience`](field@Config::patience).
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// With another [`evict`](field@Config::evict).
    #[must_use]
    pub const fn evict(mut self, evict: bool) -> Self {
        self.evict = evict;
        self
    }

    /// With another [`hedge`](field@Config::hedge).
    #[must_use]
    pub const fn hedge(mut self, hedge: bool) -> Self {
        self.hedge = hedge;
        self
    }

    /// With another [`deadline`](field@Config::deadline).
    #[must_use]
    pub const fn deadline(mut self, deadline: Option<Duration>) -> Self {
        self.deadline = deadline;
        self
    }

    /// With another [`attempt_timeout`](field@Config::attempt_timeout).
    #[must_use]
    pub const fn attempt_timeout(mut self, attempt_timeout: Option<Duration>) -> Self {
        self.attempt_timeout = attempt_timeout;
        self
    }
}

/// The preset of this kind, with this pacing.
impl From<Pacing> for Config {
    fn from(pacing: Pacing) -> Self {
        let preset = match pacing {
            Pacing::AllAtOnce => Self::all_at_once(),
            Pacing::Staggered { .. } => Self::staggered(),
            Pacing::OneByOne => Self::one_by_one(),
        };
        Config { pacing, ..preset }
    }
}

impl Default for Config {
    fn default() -> Self {
        Self::all_at_once()
    }
}

/// What a race keeps of a [`Config`] but for its pacing: durations in microseconds, held within their bounds.
#[derive(Clone, Debug)]
pub(super) struct RaceSettings {
    pub(super) preferred_family: Family,
    pub(super) first_address_family_count: u8,
    pub(super) evict: bool,
    pub(super) hedge: bool,
    pub(super) patience: u32,
    /// `u64::MAX` for none.
    pub(super) attempt_timeout: u64,
}

impl RaceSettings {
    pub(super) fn new(config: &Config) -> Self {
        let contends = config.pacing.contends();
        RaceSettings {
            preferred_family: config.preferred_family,
            first_address_family_count: config.first_address_family_count.max(1),
            evict: config.evict && contends,
            hedge: config.hedge && contends,
            patience: within(config.patience, Config::MIN_DELAY, Config::MAX_PATIENCE),
            attempt_timeout: config.attempt_timeout.map_or(u64::MAX, |timeout| micros(timeout).max(1)),
        }
    }

    /// A patience that has doubled `rounds` times, in microseconds.
    pub(super) fn patience(&self, rounds: u8) -> u64 {
        const LONGEST: u64 = micros(Config::MAX_PATIENCE);
        // 2^32 times the least patience is beyond the longest: shifting further changes nothing.
        (u64::from(self.patience) << rounds.min(31)).min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pacing_has_its_preset() {
        let presets = [Config::all_at_once(), Config::staggered(), Config::one_by_one()];
        assert_eq!(Pacing::ALL.map(Config::from), presets);
        let quick = Pacing::Staggered { delay: Config::MIN_DELAY, growth_percent: 200 };
        assert_eq!(Config::from(quick), Config { pacing: quick, ..Config::staggered() });
    }

    #[test]
    fn patience_doubles_up_to_ten_minutes() {
        let settings = RaceSettings::new(&Config::all_at_once());
        assert_eq!(settings.patience(0), 250_000);
        assert_eq!(settings.patience(3), 2_000_000);
        assert_eq!(settings.patience(11), 512_000_000);
        assert_eq!(settings.patience(12), 600_000_000);
        assert_eq!(settings.patience(255), 600_000_000);
    }
}
