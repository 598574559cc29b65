//! How a program wants to connect, and who is asked for names.

use core::time::Duration;

use connie_core::{Config, Pacing};

#[cfg(feature = "dns")]
use crate::dns::Dns;
use crate::memory::Memory;

/// How to connect: made by [`Options::new`], and changed by methods that have the names of its fields. A
/// field can be read, and set, by itself too.
///
/// ```
/// use connie_wasi::Options;
/// use std::time::Duration;
///
/// let options = Options::new().deadline(Duration::from_secs(10)).max_in_flight(4);
/// assert_eq!(options.race.max_in_flight, 4);
/// ```
///
/// Methods for what is optional take it as it is, or an `Option`: `deadline(None)` is no deadline.
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Options {
    /// How long all of the connect may take: the lookup and the race. Default: [`Options::DEFAULT_DEADLINE`],
    /// 30 seconds. `None` is no limit but the runtime's own: for a host of which every address stays silent
    /// some two minutes.
    pub deadline: Option<Duration>,
    /// The race. Default: every address at once, over at most [`Options::DEFAULT_MAX_IN_FLIGHT`] sockets.
    ///
    /// It has no deadline of its own: that is [`Options::deadline`], to which [`Options::race`](Self::race())
    /// moves one. Where a program sets both fields the sooner counts.
    pub race: Config,
    /// Who is asked for names. Default: the runtime.
    pub resolver: Resolver,
    /// What earlier races have learnt, and what this one adds to. Default: none, and each race tries all
    /// addresses.
    pub memory: Option<Memory>,
}

impl Options {
    /// The most sockets that a race opens unless the program says otherwise.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 16;
    /// How long a connect may take unless the program says otherwise: long enough for two lost SYNs on a slow
    /// path, and well below the two minutes after which a system gives up.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

    /// The default options: every address at once, 30 seconds, the runtime's resolver, no memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`deadline`](Self::deadline): `None` for no limit.
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Options { deadline: deadline.into(), ..self }
    }

    /// The most attempts in flight, and so the most sockets that the race has open at any time:
    /// `race.max_in_flight`, held within 1 and [`MAX_IN_FLIGHT`](crate::MAX_IN_FLIGHT).
    pub fn max_in_flight(mut self, most: usize) -> Self {
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
    pub fn race(self, mut race: Config) -> Self {
        let deadline = race.deadline.take().or(self.deadline);
        Options { race, deadline, ..self }
    }

    /// Sets [`resolver`](Self::resolver): a [`Resolver`], or what one is made of.
    pub fn resolver(self, resolver: impl Into<Resolver>) -> Self {
        Options { resolver: resolver.into(), ..self }
    }

    /// Sets [`memory`](Self::memory).
    pub fn memory(self, memory: impl Into<Option<Memory>>) -> Self {
        Options { memory: memory.into(), ..self }
    }

    /// What the core is given: the race, with the sooner of both deadlines.
    pub(crate) fn config(&self) -> Config {
        let deadline = self.deadline.into_iter().chain(self.race.deadline).min();
        self.race.clone().deadline(deadline)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            deadline: Some(Self::DEFAULT_DEADLINE),
            race: Config::all_at_once().max_in_flight(Self::DEFAULT_MAX_IN_FLIGHT),
            resolver: Resolver::Runtime,
            memory: None,
        }
    }
}

/// Who is asked for names.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Resolver {
    /// The runtime, which asks what the host is set up to ask.
    #[default]
    Runtime,
    /// Name servers, by the component itself.
    #[cfg(feature = "dns")]
    Dns(Dns),
}

#[cfg(feature = "dns")]
impl From<Dns> for Resolver {
    fn from(dns: Dns) -> Self {
        Resolver::Dns(dns)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connect_has_thirty_seconds_unless_the_program_says_otherwise() {
        let seconds = Duration::from_secs;
        assert_eq!(Options::new().config().deadline, Some(seconds(30)));
        assert_eq!(Options::new().deadline(None).config().deadline, None);
        assert_eq!(Options::new().deadline(seconds(31)).config().deadline, Some(seconds(31)));
    }

    #[test]
    fn the_deadline_of_a_race_becomes_that_of_all_and_of_two_fields_the_sooner_counts() {
        let within = |seconds| Config::default().deadline(Some(Duration::from_secs(seconds)));
        let options = Options::new().race(within(300));
        assert_eq!((options.deadline, options.race.deadline), (Some(Duration::from_secs(300)), None));
        assert_eq!(Options::new().race(Config::default()).deadline, Some(Options::DEFAULT_DEADLINE));
        for (all, race, limit) in [(Some(2), Some(1), 1), (Some(1), Some(2), 1), (None, Some(3), 3)] {
            let mut options = Options::new().deadline(all.map(Duration::from_secs));
            options.race.deadline = race.map(Duration::from_secs);
            assert_eq!(options.config().deadline, Some(Duration::from_secs(limit)));
        }
    }

    #[test]
    fn a_pacing_brings_its_preset_and_leaves_the_limits() {
        let options = Options::new().max_in_flight(3).pacing(Pacing::OneByOne);
        assert_eq!(options.race, Config::one_by_one().max_in_flight(3));
    }
}
