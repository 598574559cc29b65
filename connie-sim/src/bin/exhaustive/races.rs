//! Small races. Whatever happens: an attempt succeeds or fails, the stack is out of sockets or gone, an
//! answer comes, a second answer takes addresses back and brings new ones, or fails and does not, the caller
//! cancels. Some settings have hints before the answers, some a caller that takes sockets away, some one that
//! gives them back as well, some a source that changes, and some no deadline; hints and races without a
//! deadline are searched for fewer addresses.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use connie_core::race::{Guide, Unplanned};
use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, Config, Family, Input, Instant, Output, Pacing, Race,
};
use connie_sim::{Referee, address};

use crate::search;
use crate::size::{START, Size, UNIT};

pub(crate) const DESTINATIONS: usize = 4;
pub(crate) const SOCKETS: usize = 3;

/// One kind of race, and what the world has in store for it.
#[derive(Clone, Debug)]
pub(crate) struct RaceSetting {
    pub(crate) config: Config,
    pub(crate) v6: Vec<SocketAddr>,
    pub(crate) v4: Vec<SocketAddr>,
    /// Whether hints may come before the answers.
    hints: bool,
    /// Whether the race may be limited to a single socket while it runs.
    limits: bool,
    /// Whether it may be told once that it can have all its sockets, be that before, after or without a
    /// limit.
    grows: bool,
    /// Whether the source of a family may change, once.
    moves: bool,
    /// When nobody watches any more, where there is no deadline.
    until: Instant,
}

impl RaceSetting {
    /// Whether there is nothing but addresses, sockets, a pace and a deadline.
    pub(crate) fn is_plain(&self) -> bool {
        !self.hints && !self.limits && !self.grows && !self.moves && self.config.deadline.is_some()
    }
}

impl search::Setting for RaceSetting {
    type World = RaceWorld<Unplanned>;
    type Event = RaceEvent;

    fn begin(&self) -> Self::World {
        RaceWorld::new(self, ())
    }

    fn key(&self, world: &Self::World) -> u64 {
        world.key()
    }

    fn events(&self, world: &Self::World) -> Vec<RaceEvent> {
        world.events(self)
    }

    fn happens(&self, event: RaceEvent, world: &mut Self::World) {
        world.happens(event, self);
    }
}

impl fmt::Display for RaceSetting {
    /// In words of this file's own, so that no other file decides what was accepted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        match config.pacing {
            Pacing::AllAtOnce => write!(f, "all at once")?,
            Pacing::Staggered { delay, growth_percent } => {
                write!(f, "staggered by {} ms that grow to {growth_percent} %", delay.as_millis())?;
            }
            Pacing::OneByOne => write!(f, "one by one")?,
            _ => unreachable!("`configs` makes no other"),
        }
        write!(f, ", {} IPv6 and {} IPv4", self.v6.len(), self.v4.len())?;
        write!(f, ", {} sockets", config.max_in_flight)?;
        for (is_so, word) in [
            (config.evict, "evicts"),
            (config.hedge, "hedges"),
            (self.hints, "hints"),
            (self.limits, "may be limited"),
            (self.grows, "may grow"),
            (self.moves, "may move"),
        ] {
            if is_so {
                write!(f, ", {word}")?;
            }
        }
        for (time, word) in [(config.deadline, "deadline"), (config.attempt_timeout, "attempt time-out")] {
            if let Some(time) = time {
                write!(f, ", {word} {} ms", time.as_millis())?;
            }
        }
        write!(f, ", patience {} ms", config.patience.as_millis())?;
        write!(f, ", resolution delay {} ms", config.resolution_delay.as_millis())?;
        write!(f, ", watched for {} ms", self.until.duration_since(START).as_millis())
    }
}

pub(crate) fn settings(size: Size) -> Vec<RaceSetting> {
    let mut settings = Vec::new();
    for count in 1..=size.destinations {
        for of_v6 in 0..=count {
            let v6: Vec<_> = (0..of_v6).map(|n| name(Family::V6, n)).collect();
            let v4: Vec<_> = (of_v6..count).map(|n| name(Family::V4, n)).collect();
            let until = START + size.units * UNIT;
            let plain = |config| RaceSetting {
                config,
                v6: v6.clone(),
                v4: v4.clone(),
                hints: false,
                limits: false,
                grows: false,
                moves: false,
                until,
            };
            for config in configs(size) {
                let fewest = config.max_in_flight == size.sockets.min(2) && config.evict == config.hedge;
                if count <= size.special && (fewest || config.pacing == Pacing::OneByOne) {
                    settings.push(RaceSetting { hints: true, ..plain(config.clone()) });
                    settings.push(plain(config.clone().deadline(None)));
                }
                settings.push(plain(config));
            }
        }
    }
    // The least in which a socket that comes free could be used again beyond a new limit: one waits while two
    // are in flight.
    let limited =
        |config: &Config| config.pacing == Pacing::AllAtOnce && config.max_in_flight == 2 && !config.hedge;
    let changing = |config, v4: &[usize], grows| RaceSetting {
        config,
        v6: vec![name(Family::V6, 0)],
        v4: v4.iter().map(|n| name(Family::V4, *n)).collect(),
        hints: false,
        limits: true,
        grows,
        moves: false,
        until: START + size.units * UNIT,
    };
    settings.extend(configs(size).into_iter().filter(limited).map(|config| changing(config, &[1, 2], false)));
    // The least in which a socket that comes back has somebody to start, fresh or evicted: one waits for the
    // other. With a hedge as well, for which it is also, and at another pace.
    let growing = |config: &Config| config.pacing != Pacing::OneByOne && config.max_in_flight == 2;
    settings.extend(configs(size).into_iter().filter(growing).map(|config| changing(config, &[1], true)));
    // The least in which one of a family waits, or has been evicted or failed, while another is in flight and
    // one of the other family as well.
    let moving = |config: &Config| {
        config.max_in_flight == 2 && config.evict != config.hedge || config.pacing == Pacing::OneByOne
    };
    settings.extend(configs(size).into_iter().filter(moving).map(|config| RaceSetting {
        limits: false,
        moves: true,
        ..changing(config, &[1, 2], false)
    }));
    settings
}

/// The `n`th address of a family.
fn name(family: Family, n: usize) -> SocketAddr {
    let letter = ["a", "b", "c", "d"][n];
    address(&format!("{}{letter}", if family == Family::V4 { 4 } else { 6 }))
}

fn configs(size: Size) -> Vec<Config> {
    // Another delay than the patience, so that neither hides behind the other.
    let staggered = Pacing::Staggered { delay: 3 * UNIT, growth_percent: 200 };
    let mut configs = Vec::new();
    for pacing in [Pacing::AllAtOnce, staggered, Pacing::OneByOne] {
        for max_in_flight in 1..=size.sockets {
            for (evict, hedge) in [(true, true), (true, false), (false, true), (false, false)] {
                if pacing == Pacing::OneByOne && (evict || hedge || max_in_flight > 1) {
                    continue;
                }
                configs.push(
                    Config::default()
                        .pacing(pacing)
                        .max_in_flight(max_in_flight)
                        .evict(evict)
                        .hedge(hedge)
                        .resolution_delay(UNIT)
                        .patience(2 * UNIT)
                        .deadline(Some(size.units * UNIT))
                        .attempt_timeout((!evict).then_some(3 * UNIT)),
                );
            }
        }
    }
    configs
}

/// What a race may have of a memory.
pub(crate) trait Mind: Guide {
    type Memory: Clone;

    fn referee(referee: Referee, config: &Config) -> Referee;
    /// Asks the memory for a plan.
    fn plan(race: &mut Race<DESTINATIONS, SOCKETS, 8, Self>, memory: &Self::Memory, now: Instant);
}

impl Mind for Unplanned {
    type Memory = ();

    fn referee(referee: Referee, _: &Config) -> Referee {
        referee
    }

    fn plan(_: &mut Race<DESTINATIONS, SOCKETS, 8>, _: &(), _: Instant) {}
}

/// A race, and all around it.
#[derive(Clone)]
pub(crate) struct RaceWorld<G: Mind> {
    race: Race<DESTINATIONS, SOCKETS, 8, G>,
    memory: G::Memory,
    referee: Referee,
    now: Instant,
    /// What the race waits for; `None` while it has more to say.
    waits: Option<RaceWait>,
    answers: [AnswerProgress; 2],
    /// Whether the stack may still run out of sockets.
    plenty: bool,
    /// Whether the race may still be limited to a single socket.
    roomy: bool,
    /// Whether it may still be told that it can have all its sockets.
    may_grow: bool,
    /// Whether the source of a family may still change.
    may_move: bool,
    /// An attempt that has ended.
    late: Option<AttemptId>,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum RaceWait {
    Until(Instant),
    ForInput,
    Over,
}

/// How far an answer has come: a hint holds the last address, the first answer all but that, the second all
/// but the first.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum AnswerProgress {
    None,
    Hint,
    First,
    Second,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum RaceEvent {
    Poll,
    Tick,
    Succeed(AttemptId),
    Fail(AttemptId, AttemptError),
    Hint(Family),
    Resolve(Family),
    ResolutionFails(Family),
    Limit,
    Pause,
    Grow,
    Move(Family),
    Cancel,
}

impl<G: Mind> RaceWorld<G> {
    pub(crate) fn new(setting: &RaceSetting, memory: G::Memory) -> Self {
        let referee = Referee::new(&setting.config, DESTINATIONS, SOCKETS, START);
        RaceWorld {
            race: Race::new(&setting.config, START),
            memory,
            referee: G::referee(referee, &setting.config),
            now: START,
            waits: None,
            answers: [AnswerProgress::None; 2],
            plenty: true,
            roomy: true,
            may_grow: true,
            may_move: true,
            late: None,
        }
    }

    pub(crate) fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.race.fingerprint(&mut hasher);
        (self.now, self.waits, self.answers, self.plenty, self.roomy, self.may_grow, self.may_move)
            .hash(&mut hasher);
        hasher.finish()
    }

    /// All that may happen now.
    pub(crate) fn events(&self, setting: &RaceSetting) -> Vec<RaceEvent> {
        let mut events = Vec::new();
        match self.waits {
            Some(RaceWait::Over) => return events,
            None => events.push(RaceEvent::Poll),
            Some(RaceWait::Until(_)) if setting.config.deadline.is_none() && self.now >= setting.until => {
                return events;
            }
            Some(RaceWait::Until(_)) => events.push(RaceEvent::Tick),
            Some(RaceWait::ForInput) => {}
        }
        for (id, _) in self.referee.open() {
            events.push(RaceEvent::Succeed(id));
            events.push(RaceEvent::Fail(id, AttemptErrorKind::Refused.into()));
            if self.plenty {
                events.push(RaceEvent::Fail(id, AttemptErrorKind::OutOfSockets.into()));
            }
        }
        if let Some((id, _)) = self.referee.open().next() {
            events.push(RaceEvent::Fail(id, AttemptErrorKind::StackGone.into()));
        }
        for family in [Family::V6, Family::V4] {
            let (answer, count) = (self.answers[family as usize], self.addresses(setting, family).len());
            if setting.hints && answer != AnswerProgress::Hint && count > 0 {
                events.push(RaceEvent::Hint(family));
            }
            match (answer, count) {
                (AnswerProgress::None | AnswerProgress::Hint, _) => {
                    events.extend([RaceEvent::Resolve(family), RaceEvent::ResolutionFails(family)]);
                }
                (AnswerProgress::First, 2..) => {
                    events.push(RaceEvent::Resolve(family));
                    // It multiplies the states, and what it does hangs on nothing that the other settings
                    // have.
                    if setting.hints {
                        events.push(RaceEvent::ResolutionFails(family));
                    }
                }
                _ => {}
            }
        }
        if setting.limits && self.roomy {
            events.push(RaceEvent::Limit);
            if setting.grows && self.may_grow {
                events.push(RaceEvent::Pause);
            }
        }
        if setting.grows && self.may_grow {
            events.push(RaceEvent::Grow);
        }
        if setting.moves && self.may_move {
            events.extend([RaceEvent::Move(Family::V6), RaceEvent::Move(Family::V4)]);
        }
        events.push(RaceEvent::Cancel);
        assert!(events.len() > 1 || self.waits.is_none(), "deadlock: nothing can happen any more");
        events
    }

    pub(crate) fn happens(&mut self, event: RaceEvent, setting: &RaceSetting) {
        match event {
            RaceEvent::Poll => self.poll(),
            RaceEvent::Tick => {
                self.now += UNIT;
                self.waits = None;
            }
            RaceEvent::Succeed(id) => {
                self.late = Some(id);
                self.handle_input(Input::AttemptSucceeded { id });
            }
            RaceEvent::Fail(id, error) => {
                self.late = Some(id);
                self.plenty &= error != AttemptErrorKind::OutOfSockets;
                self.handle_input(Input::AttemptFailed { id, error });
            }
            RaceEvent::Hint(family) => {
                // After the answer it is news of nothing.
                let answer = &mut self.answers[family as usize];
                if *answer == AnswerProgress::None {
                    *answer = AnswerProgress::Hint;
                }
                let all = self.addresses(setting, family);
                self.handle_input(Input::Hinted { family, addresses: &all[all.len() - 1..] });
            }
            RaceEvent::Resolve(family) => {
                let all = self.addresses(setting, family);
                let answer = &mut self.answers[family as usize];
                let first = matches!(answer, AnswerProgress::None | AnswerProgress::Hint);
                let addresses = match (first, all) {
                    (true, [first @ .., _, _]) if !first.is_empty() => &all[..all.len() - 1],
                    (true, all) => all,
                    (false, all) => &all[1..],
                };
                *answer = if first { AnswerProgress::First } else { AnswerProgress::Second };
                self.handle_input(Input::Resolved { family, addresses });
            }
            RaceEvent::ResolutionFails(family) => {
                self.answers[family as usize] = AnswerProgress::Second;
                self.handle_input(Input::ResolutionFailed { family });
            }
            RaceEvent::Limit => {
                self.roomy = false;
                self.referee.handle_limit(1);
                self.race.limit_to(1);
                self.waits = None;
            }
            RaceEvent::Pause => {
                self.roomy = false;
                self.referee.handle_pause();
                self.race.pause();
                self.waits = None;
            }
            RaceEvent::Grow => {
                self.may_grow = false;
                // More than it wanted, which is no more than that.
                self.referee.handle_growth(SOCKETS);
                self.race.grow_to(SOCKETS);
                self.waits = None;
            }
            RaceEvent::Move(family) => {
                self.may_move = false;
                let ended = self.referee.open().find(|(_, to)| Family::of(to) == family).map(|(id, _)| id);
                self.handle_input(Input::SourceChanged { family });
                self.late = ended.or(self.late);
            }
            RaceEvent::Cancel => self.handle_input(Input::Cancel),
        }
    }

    fn handle_input(&mut self, input: Input<'_>) {
        self.referee.handle_input(&input);
        self.race.handle_input(input, self.now);
        G::plan(&mut self.race, &self.memory, self.now);
        self.waits = None;
    }

    fn poll(&mut self) {
        let output = self.race.poll_output(self.now);
        self.referee.handle_output(&output, self.now);
        match output {
            Output::StartAttempt { .. } => {}
            Output::CancelAttempt { id } => self.late = Some(id),
            Output::WaitUntil(until) => self.waits = Some(RaceWait::Until(until)),
            Output::WaitForInput => self.waits = Some(RaceWait::ForInput),
            Output::Established { .. } | Output::Failed(_) => self.waits = Some(RaceWait::Over),
        }
        self.ignores_late_results();
    }

    /// A result of an attempt that has ended changes nothing.
    fn ignores_late_results(&self) {
        let Some(id) = self.late else { return };
        for input in [
            Input::AttemptSucceeded { id },
            Input::AttemptFailed { id, error: AttemptErrorKind::OutOfSockets.into() },
            Input::AttemptFailed { id, error: AttemptErrorKind::StackGone.into() },
        ] {
            let mut world = self.clone();
            world.race.handle_input(input, self.now);
            assert!(world.key() == self.key(), "law 3: a late result of {id} changed the race");
        }
    }

    fn addresses<'a>(&self, setting: &'a RaceSetting, family: Family) -> &'a [SocketAddr] {
        match family {
            Family::V4 => &setting.v4,
            Family::V6 => &setting.v6,
        }
    }
}
