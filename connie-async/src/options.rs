//! How a program wants to connect.

use core::time::Duration;

use connie_core::{Config, Pacing};

/// How to connect: made by [`Options::new`], and changed by methods that have the names of its fields. A
/// field can be read, and set, by itself too.
///
/// ```
/// use connie_async::Options;
/// use core::time::Duration;
///
/// let options = Options::new().deadline(Duration::from_secs(10)).max_in_flight(2);
/// assert_eq!(options.race.max_in_flight, 2);
/// ```
///
/// Optional values are taken as they are, or as an `Option`: `deadline(None)` means no deadline.
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Options {
    /// How long all of the connect may take: the lookups and the race. Default:
    /// [`Options::DEFAULT_DEADLINE`], 30 seconds. With `None` only the stack's own limit counts, and most
    /// stacks for microcontrollers have none.
    pub deadline: Option<Duration>,
    /// The race. Default: every address at once, over as many attempts in flight as there are `SOCKETS`.
    ///
    /// It has no deadline of its own: that is [`Options::deadline`], to which [`Options::race`](Self::race())
    /// moves one. Where a program sets both fields the sooner counts.
    pub race: Config,
}

impl Options {
    /// How long a connect may take by default: long enough for two lost SYNs on a slow path.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

    /// The default options: every address at once, 30 seconds.
    pub const fn new() -> Self {
        Options { deadline: Some(Self::DEFAULT_DEADLINE), race: Config::all_at_once() }
    }

    /// Sets [`deadline`](Self::deadline): `None` for no limit.
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Options { deadline: deadline.into(), ..self }
    }

    /// The most attempts in flight, and so the most sockets that the race has open at any time:
    /// `race.max_in_flight`, held within 1 and `SOCKETS`.
    pub const fn max_in_flight(mut self, most: usize) -> Self {
        self.race.max_in_flight = most;
        self
    }

    /// When attempts start, with what goes with that pacing: its [preset](Config::from), but for the most
    /// attempts in flight, the patience, the families and which of them is preferred, which stay as they are.
    pub fn pacing(self, pacing: Pacing) -> Self {
        let Config { max_in_flight, patience, families, preferred_family, .. } = self.race;
        let race = Config::from(pacing)
            .max_in_flight(max_in_flight)
            .patience(patience)
            .families(families)
            .preferred_family(preferred_family);
        Options { race, ..self }
    }

    /// Sets [`race`](Self::race), whose deadline, if it has one, becomes [that of all](Self::deadline).
    pub const fn race(mut self, race: Config) -> Self {
        if race.deadline.is_some() {
            self.deadline = race.deadline;
        }
        self.race = race;
        self.race.deadline = None;
        self
    }

    /// What the core is given: the race, with the sooner of both deadlines.
    pub(crate) const fn into_config(self) -> Config {
        let mut race = self.race;
        race.deadline = match (self.deadline, race.deadline) {
            (Some(all), Some(race)) if is_sooner(race, all) => Some(race),
            (None, race) => race,
            (all, _) => all,
        };
        race
    }
}

/// `Duration` has no comparison in constants.
const fn is_sooner(a: Duration, b: Duration) -> bool {
    a.as_secs() < b.as_secs() || (a.as_secs() == b.as_secs() && a.subsec_nanos() < b.subsec_nanos())
}

impl Default for Options {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_has_thirty_seconds_unless_the_program_says_otherwise() {
        let seconds = Duration::from_secs;
        assert_eq!(Options::new().into_config().deadline, Some(seconds(30)));
        assert_eq!(Options::new().deadline(None).into_config().deadline, None);
        assert_eq!(Options::new().deadline(seconds(31)).into_config().deadline, Some(seconds(31)));
    }

    #[test]
    fn the_deadline_of_a_race_becomes_that_of_all_and_of_two_fields_the_sooner_counts() {
        let within = |seconds| Config::default().deadline(Some(Duration::from_secs(seconds)));
        let options = Options::new().race(within(300));
        assert_eq!((options.deadline, options.race.deadline), (Some(Duration::from_secs(300)), None));
        assert_eq!(Options::new().race(Config::default()).deadline, Some(Options::DEFAULT_DEADLINE));
        for (all, race, limit) in
            [(Some(2), Some(1), 1), (Some(1), Some(2), 1), (None, Some(3), 3), (Some(4), None, 4)]
        {
            let mut options = Options::new().deadline(all.map(Duration::from_secs));
            options.race.deadline = race.map(Duration::from_secs);
            assert_eq!(options.into_config().deadline, Some(Duration::from_secs(limit)));
        }
        assert!(is_sooner(Duration::from_nanos(1), Duration::from_nanos(2)));
        assert!(!is_sooner(Duration::new(2, 0), Duration::new(1, 9)));
    }

    #[test]
    fn a_pacing_brings_its_preset_and_leaves_the_limits() {
        let options = Options::new().max_in_flight(3).pacing(Pacing::OneByOne);
        assert_eq!(options.race, Config::one_by_one().max_in_flight(3));
    }
}
