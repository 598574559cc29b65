//! The same small races with a memory, of several pasts: what it believes is true, was true, or never was. It
//! is asked for a plan after each input, and stays as it is.

use std::fmt;
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network, Visit};
use connie_core::race::{Planned, PlannedRace};
use connie_core::{AttemptErrorKind, Config, Input, Instant, Output};
use connie_sim::Referee;

use crate::races::{DESTINATIONS, Mind, RaceEvent, RaceSetting, RaceWorld, SOCKETS, settings as races};
use crate::search;
use crate::size::Size;

/// What a memory has seen, of the addresses in the order of a race without one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MemoryPast {
    /// The first answers within a unit.
    Fast,
    /// The last answers, and takes longer than any plan may wait.
    Slow,
    /// The first has refused, and the second answers.
    Refused,
    /// The first was late.
    Late,
    /// The last is to be explored beside the first.
    Explored,
}

const PASTS: [MemoryPast; 5] =
    [MemoryPast::Fast, MemoryPast::Slow, MemoryPast::Refused, MemoryPast::Late, MemoryPast::Explored];

/// A race with a memory.
pub(crate) struct Remembering {
    setting: RaceSetting,
    past: MemoryPast,
}

#[derive(Clone)]
pub(crate) struct MemoryAndVisit {
    memory: Memory<8>,
    visit: Visit,
}

impl Mind for Planned<DESTINATIONS> {
    type Memory = MemoryAndVisit;

    fn referee(referee: Referee, config: &Config) -> Referee {
        referee.with_plans_of(config.patience)
    }

    fn plan(race: &mut PlannedRace<DESTINATIONS, SOCKETS, 8>, known: &MemoryAndVisit, now: Instant) {
        // A copy, so that nothing in the world hangs on what was asked before.
        let plan = known.memory.clone().plan(&known.visit, race, 0, now);
        race.follow(&plan);
    }
}

impl search::Setting for Remembering {
    type World = RaceWorld<Planned<DESTINATIONS>>;
    type Event = RaceEvent;

    fn begin(&self) -> Self::World {
        RaceWorld::new(&self.setting, self.known())
    }

    fn key(&self, world: &Self::World) -> u64 {
        world.key()
    }

    fn events(&self, world: &Self::World) -> Vec<RaceEvent> {
        world.events(&self.setting)
    }

    fn happens(&self, event: RaceEvent, world: &mut Self::World) {
        world.happens(event, &self.setting);
    }
}

impl fmt::Display for Remembering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let past = match self.past {
            MemoryPast::Fast => "the first is fast",
            MemoryPast::Slow => "the last is slow",
            MemoryPast::Refused => "the first has refused",
            MemoryPast::Late => "the first was late",
            MemoryPast::Explored => "the last is explored",
        };
        write!(f, "{past}: {}", self.setting)
    }
}

impl Remembering {
    /// What the memory knows when the race begins, 1 s after the start of the clock. A host's counter begins
    /// anywhere, as the salt has it: the salt is one with which an address is explored in that past alone.
    fn known(&self) -> MemoryAndVisit {
        let mut pasts = (7..500).map(|salt| self.known_under(salt));
        pasts.find(|known| self.explores(known) == (self.past == MemoryPast::Explored)).expect("one in 32")
    }

    /// Whether the race explores that begins then, with all answers there.
    fn explores(&self, known: &MemoryAndVisit) -> bool {
        let begins = Instant::from_millis(1_000);
        let mut race = PlannedRace::<DESTINATIONS, SOCKETS, 8>::new(&self.setting.config, begins);
        let addresses = [self.setting.v6.as_slice(), &self.setting.v4].concat();
        race.handle_addresses(&addresses, begins);
        known.memory.clone().plan(&known.visit, &race, 0, begins).explored().is_some()
    }

    fn known_under(&self, salt: u32) -> MemoryAndVisit {
        let memory = Memory::new(salt, Instant::ZERO);
        let visit = memory.visit("name.test", Finish::Tcp, 0, &Network::default());
        let mut known = MemoryAndVisit { memory, visit };
        let first = 0;
        let last = self.setting.v6.len() + self.setting.v4.len() - 1;
        // Three units and 5 ms, before there is a deadline.
        let (fast, slow) = (5, 35);
        for number in 0..3 {
            let (winner, takes) = if self.past == MemoryPast::Slow { (last, slow) } else { (first, fast) };
            self.race(&mut known, 10 * number, Some((winner, takes)), None);
        }
        match self.past {
            MemoryPast::Refused => self.race(&mut known, 500, Some((last, fast)), Some(first)),
            MemoryPast::Late => self.race(&mut known, 500, None, None),
            _ => {}
        }
        known
    }

    /// A race of the past, that begins at `millis`: whoever `wins` does so after so many milliseconds,
    /// `refuses` refuses at once. With no winner it is canceled after 300 ms.
    fn race(
        &self,
        known: &mut MemoryAndVisit,
        millis: u64,
        wins: Option<(usize, u64)>,
        refuses: Option<usize>,
    ) {
        let begins = Instant::from_millis(millis);
        let config = Config::default().pacing(connie_core::Pacing::AllAtOnce);
        let mut race = PlannedRace::<DESTINATIONS, SOCKETS, 8>::new(&config, begins);
        let addresses = [self.setting.v6.as_slice(), &self.setting.v4].concat();
        race.handle_addresses(&addresses, begins);
        race.follow(&known.memory.plan(&known.visit, &race, 0, begins));
        let ends = begins + Duration::from_millis(wins.map_or(300, |(_, takes)| takes));
        let mut now = begins;
        loop {
            match race.poll_output(now) {
                Output::StartAttempt { id, destination } => {
                    let is = |index: usize| addresses.get(index) == Some(&destination);
                    if refuses.is_some_and(is) && addresses.len() > 1 {
                        race.handle_input(
                            Input::AttemptFailed { id, error: AttemptErrorKind::Refused.into() },
                            now,
                        );
                    } else if wins.is_some_and(|(index, _)| is(index)) {
                        // It answers so long after its own start, whenever that was.
                        let takes = wins.map_or(0, |(_, takes)| takes);
                        race.handle_input(Input::AttemptSucceeded { id }, now + Duration::from_millis(takes));
                    }
                }
                Output::WaitUntil(until) if until < ends => now = until,
                Output::WaitUntil(_) | Output::WaitForInput => {
                    now = ends;
                    race.handle_input(Input::Cancel, now);
                }
                Output::CancelAttempt { .. } => {}
                Output::Established { .. } | Output::Failed(_) => break,
            }
        }
        known.memory.learn(&known.visit, &race, false, now.max(ends));
    }
}

/// Races with so many addresses, where nothing is hinted, limited or without end: those settings, and a
/// hedge, hang on nothing that a plan has.
pub(crate) fn settings(size: Size, count: usize) -> Vec<Remembering> {
    let plain = races(size).into_iter().filter(|setting| {
        setting.v6.len() + setting.v4.len() == count
            && setting.is_plain()
            && setting.config.evict
            && setting.config.hedge
    });
    let plain: Vec<RaceSetting> = plain.collect();
    let with = |past| plain.iter().map(move |setting| Remembering { setting: setting.clone(), past });
    PASTS.into_iter().flat_map(with).collect()
}
