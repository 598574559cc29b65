//! How a race paces its attempts: the whole of each pacing stands here.
//!
//! To add one: a variant of [`Pacing`] here, with its place in [`Pacing::ALL`] and an arm in each `match` of
//! this file; its preset in `config.rs`, and its arm in `From<Pacing>` there; a file of tests beside
//! `tests/race_one_by_one.rs`; its line in the table of `docs/rust.md`; and a word in the help of `--pacing`
//! (`args/connect_args.rs` of connie-cli). The program's values and errors, qlog, the simulation's texts and
//! its referee follow from [`Pacing::ALL`], its name and [`Pacing::contends`].

use core::fmt;
use core::str::FromStr;
use core::time::Duration;

use super::gate::StartRule;
use crate::time::{Instant, NEVER, micros, within};

/// See [`Config::DEFAULT_DELAY`](super::Config::DEFAULT_DELAY).
pub(super) const DEFAULT_DELAY: Duration = Duration::from_millis(250);
/// See [`Config::MIN_DELAY`](super::Config::MIN_DELAY).
pub(super) const MIN_DELAY: Duration = Duration::from_millis(10);
/// See [`Config::MAX_DELAY`](super::Config::MAX_DELAY).
pub(super) const MAX_DELAY: Duration = Duration::from_secs(2);
/// See [`Config::MIN_SHARE`](super::Config::MIN_SHARE).
pub(super) const MIN_SHARE: Duration = Duration::from_secs(2);

/// When the next attempt starts.
///
/// Later versions may add variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Pacing {
    /// At once, as long as a socket is free: connie's default.
    ///
    /// RFC 8305 section 5 says that attempts "SHOULD NOT be made simultaneously". This departs from it on
    /// purpose: waiting 250 ms for each dead address is the delay that connie is there to remove. The price
    /// is paid by the servers, which see up to [`Config::max_in_flight`](super::Config::max_in_flight) SYNs
    /// and all but one of the connections end in a reset; use [`Pacing::Staggered`] towards servers that this
    /// would burden.
    AllAtOnce,
    /// RFC 8305 section 5: `delay` after the last start, or at once when an attempt fails.
    Staggered {
        /// The Connection Attempt Delay: 250 ms is recommended; held within 10 ms and 2 s, as section 8
        /// demands.
        delay: Duration,
        /// What the delay grows to after each one that has run out, in percent: 100 keeps it, 200 doubles it,
        /// up to 2 s.
        growth_percent: u16,
    },
    /// One at a time: the next starts after the last has ended. What most clients do, kept as the baseline.
    ///
    /// With a deadline, each attempt gets an even share of the time that is left, at least 2 s. It begins
    /// when both families have answered.
    OneByOne,
}

impl Pacing {
    /// Happy Eyeballs with the values of RFC 8305 section 8.
    pub const RFC_8305: Pacing = Pacing::Staggered { delay: DEFAULT_DELAY, growth_percent: 100 };

    /// One of each kind, as the presets of [`Config`](super::Config) have it; the default comes first.
    pub const ALL: [Pacing; 3] = [Pacing::AllAtOnce, Pacing::RFC_8305, Pacing::OneByOne];

    /// The name of its kind, in lower case with hyphens, such as `all-at-once`. [`FromStr`] reads it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Pacing::AllAtOnce => "all-at-once",
            Pacing::Staggered { .. } => "staggered",
            Pacing::OneByOne => "one-by-one",
        }
    }

    /// Whether attempts run beside each other, and so may be evicted and hedged.
    #[must_use]
    pub const fn contends(self) -> bool {
        match self {
            Pacing::AllAtOnce | Pacing::Staggered { .. } => true,
            Pacing::OneByOne => false,
        }
    }

    /// How much of resolution the start of a race waits for.
    pub(super) fn start_rule(self, resolution_delay: Duration) -> StartRule {
        match self {
            Pacing::AllAtOnce => StartRule::FirstAnswer,
            Pacing::Staggered { .. } => {
                StartRule::ResolutionDelay(micros(resolution_delay).min(u32::MAX.into()) as u32)
            }
            Pacing::OneByOne => StartRule::AllAnswers,
        }
    }
}

/// The name of its kind.
impl fmt::Display for Pacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that is not the name of a [`Pacing`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnknownPacing;

impl fmt::Display for UnknownPacing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("unknown pacing; there are")?;
        for (index, pacing) in Pacing::ALL.iter().enumerate() {
            write!(f, "{} {pacing}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl core::error::Error for UnknownPacing {}

/// Reads the name of a kind, and gives it as its preset has it.
impl FromStr for Pacing {
    type Err = UnknownPacing;

    fn from_str(text: &str) -> Result<Self, UnknownPacing> {
        Pacing::ALL.into_iter().find(|pacing| pacing.name() == text).ok_or(UnknownPacing)
    }
}

/// The pacing of one race: what it is, in microseconds, and where it stands.
#[derive(Clone, Debug)]
pub(super) struct RacePace {
    kind: PaceKind,
    /// The Connection Attempt Delay, in microseconds.
    delay: u32,
    /// Whether that delay, and no failure, decides `next_start`.
    delay_runs: bool,
    /// When the next attempt may start.
    next_start: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PaceKind {
    AllAtOnce,
    Staggered { growth_percent: u16 },
    OneByOne,
}

impl RacePace {
    /// The pace of a race that begins now.
    pub(super) fn new(pacing: Pacing, now: Instant) -> Self {
        let (kind, delay) = match pacing {
            Pacing::AllAtOnce => (PaceKind::AllAtOnce, 0),
            Pacing::Staggered { delay, growth_percent } => {
                let kind = PaceKind::Staggered { growth_percent: growth_percent.max(100) };
                (kind, within(delay, MIN_DELAY, MAX_DELAY))
            }
            Pacing::OneByOne => (PaceKind::OneByOne, 0),
        };
        RacePace { kind, delay, delay_runs: false, next_start: now }
    }

    /// Takes note of an attempt that starts now.
    pub(super) fn started(&mut self, now: Instant) {
        let PaceKind::Staggered { growth_percent } = self.kind else { return };
        // Only a delay that has run out makes the next one longer; one that a failure cut short does not.
        if self.delay_runs {
            self.delay = next_delay(self.delay, growth_percent);
        }
        self.delay_runs = true;
        self.next_start = now.plus_micros(self.delay.into());
    }

    /// After a start now: makes the delay until the next one what `shortened` makes of it.
    pub(super) fn shorten(&mut self, now: Instant, shortened: impl Fn(u32) -> u32) {
        if self.is_staggered() {
            self.next_start = self.next_start.min(now.plus_micros(shortened(self.delay).into()));
        }
    }

    pub(super) fn is_staggered(&self) -> bool {
        matches!(self.kind, PaceKind::Staggered { .. })
    }

    /// The delay between attempts, in microseconds; `None` where each waits for the end of the one before.
    pub(super) fn delay(&self) -> Option<u32> {
        (self.kind != PaceKind::OneByOne).then_some(self.delay)
    }

    pub(super) fn is_all_at_once(&self) -> bool {
        self.kind == PaceKind::AllAtOnce
    }

    /// Takes note of an attempt that has failed now: the next may start.
    pub(super) fn failed(&mut self, now: Instant) {
        self.next_start = now;
        self.delay_runs = false;
    }

    /// When the next attempt may start, where resolution lets it start at `resolved`; `None` where that hangs
    /// on the end of one of those `in_flight`.
    pub(super) fn earliest_start(&self, resolved: Instant, in_flight: usize) -> Option<Instant> {
        match self.kind {
            _ if in_flight == 0 => Some(resolved),
            PaceKind::AllAtOnce => Some(resolved),
            PaceKind::Staggered { .. } => Some(resolved.max(self.next_start)),
            PaceKind::OneByOne => None,
        }
    }

    /// Whether an attempt can use up its part of a deadline.
    pub(super) fn shares_deadline(&self) -> bool {
        self.kind == PaceKind::OneByOne
    }

    /// When an attempt that starts now, as one of `waiting`, has used up its part of the `deadline`.
    pub(super) fn share_ends(&self, now: Instant, deadline: Option<Instant>, waiting: usize) -> Instant {
        match (self.kind, deadline) {
            (PaceKind::OneByOne, Some(deadline)) => {
                // Shares of 71 minutes at most, which spares a microcontroller the 64-bit division.
                let left = u32::try_from(deadline.micros_since(now)).unwrap_or(u32::MAX);
                // At least one waits: the one that is about to start.
                let share = left / (waiting as u32).max(1);
                now.plus_micros(u64::from(share).max(micros(MIN_SHARE)))
            }
            _ => NEVER,
        }
    }

    /// What decides how the pace goes on from here.
    pub(super) fn fingerprint(&self) -> impl core::hash::Hash {
        (self.delay, self.delay_runs, self.next_start)
    }
}

/// The delay that follows `delay`, in microseconds, neither of them more than 2 s.
fn next_delay(delay: u32, growth_percent: u16) -> u32 {
    const LONGEST: u32 = micros(MAX_DELAY) as u32;
    // From the least delay, 20,000 % reaches the longest: growing faster changes nothing. 32 bits hold every
    // product, since a 64-bit division costs a kilobyte on a microcontroller.
    let growth = u32::from(growth_percent.min(20_000));
    let (hundreds, rest) = (delay.min(LONGEST) / 100, delay.min(LONGEST) % 100);
    hundreds.saturating_mul(growth).saturating_add(rest.saturating_mul(growth) / 100).min(LONGEST)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::*;

    #[test]
    fn the_delay_is_held_within_the_bounds_of_the_standard() {
        let first =
            |delay| RacePace::new(Pacing::Staggered { delay, growth_percent: 100 }, Instant::ZERO).delay;
        assert_eq!(first(Duration::ZERO), 10_000);
        assert_eq!(first(Duration::from_millis(250)), 250_000);
        assert_eq!(first(Duration::MAX), 2_000_000);
        assert_eq!(next_delay(1_000_000, 200), 2_000_000);
        assert_eq!(next_delay(2_000_000, u16::MAX), 2_000_000);
    }

    #[test]
    fn a_delay_grows_by_its_percentage_to_the_microsecond_and_never_shrinks() {
        assert_eq!(next_delay(10_050, 150), 15_075);
        assert_eq!(next_delay(10_099, 101), 10_199);
        for (given, taken) in [(0, 100), (99, 100), (100, 100), (101, 101)] {
            let pacing = Pacing::Staggered { delay: DEFAULT_DELAY, growth_percent: given };
            let pace = RacePace::new(pacing, Instant::ZERO);
            assert_eq!(pace.kind, PaceKind::Staggered { growth_percent: taken });
        }
    }

    #[test]
    fn each_kind_is_read_by_its_name() {
        for pacing in Pacing::ALL {
            assert_eq!(pacing.to_string().parse(), Ok(pacing));
        }
        assert_eq!("fast".parse::<Pacing>(), Err(UnknownPacing));
        assert_eq!(UnknownPacing.to_string(), "unknown pacing; there are all-at-once, staggered, one-by-one");
    }
}
