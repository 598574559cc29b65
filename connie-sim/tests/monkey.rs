//! A bare race under a referee, with inputs at random: sensible ones, late ones, repeated ones, ones for
//! attempts that ended long ago, between any two outputs.

use std::time::Duration;

use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, Config, Families, Family, Input, Instant, Output, Pacing, Race,
};
use connie_sim::{Referee, Rng, address, seeds};

const SOCKETS: usize = 4;
const DESTINATIONS: usize = 16;
const STEPS: u32 = 120;

struct Monkey {
    rng: Rng,
    race: Race<DESTINATIONS, SOCKETS, 8>,
    referee: Referee,
    now: Instant,
    due: Option<Instant>,
    /// Every attempt that was ever started.
    attempts: Vec<AttemptId>,
}

impl Monkey {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let config = config(&mut rng);
        let now = Instant::from_micros(rng.below(1_000_000));
        let race = Race::new(&config, now);
        let referee = Referee::new(&config, DESTINATIONS, SOCKETS, now);
        Monkey { rng, race, referee, now, due: None, attempts: Vec::new() }
    }

    /// Time passes: none, some, or up to what the race waits for, give or take.
    fn sleep(&mut self) {
        let micros = match (self.rng.below(4), self.due) {
            (0, _) => 0,
            (1, Some(due)) => due.duration_since(self.now).as_micros() as u64,
            (2, Some(due)) => (due.duration_since(self.now).as_micros() as u64).saturating_sub(1),
            _ => self.rng.pick(&[1, 1_000, 100_000, 1_000_000]),
        };
        self.now += Duration::from_micros(micros);
    }

    fn drain(&mut self) {
        loop {
            let output = self.race.poll_output(self.now);
            self.referee.handle_output(&output, self.now);
            self.due = None;
            match output {
                Output::StartAttempt { id, .. } => self.attempts.push(id),
                Output::WaitUntil(until) => self.due = Some(until),
                _ => {}
            }
            // Now and then something happens in the middle of a drain.
            if output.ends_drain() || self.rng.chance(10) {
                return;
            }
        }
    }

    fn happen(&mut self) {
        let family = self.rng.pick(&[Family::V4, Family::V6]);
        match self.rng.below(20) {
            0..=2 => self.answer(family),
            3 => self.handle_input(Input::ResolutionFailed { family }),
            15 if self.rng.chance(20) => self.handle_input(Input::SourceChanged { family }),
            4 if self.rng.chance(10) => self.handle_input(Input::Cancel),
            13 => self.race.prefer(family),
            14 if self.rng.chance(10) => {
                let sockets = self.rng.below(5) as usize;
                self.referee.handle_limit(sockets);
                self.race.limit_to(sockets);
            }
            5 if !self.attempts.is_empty() => {
                let id = self.attempt();
                self.handle_input(Input::AttemptSucceeded { id });
            }
            6..=12 if !self.attempts.is_empty() => {
                let (id, error) = (self.attempt(), self.error());
                self.handle_input(Input::AttemptFailed { id, error });
            }
            _ => {}
        }
    }

    /// A socket is taken away or given back, often right after another.
    fn share(&mut self) {
        while self.rng.chance(40) {
            let sockets = self.rng.below(7) as usize;
            if self.rng.chance(50) {
                self.referee.handle_limit(sockets);
                self.race.limit_to(sockets);
            } else if self.rng.chance(20) {
                self.referee.handle_pause();
                self.race.pause();
            } else {
                self.referee.handle_growth(sockets);
                self.race.grow_to(sockets);
            }
            if self.rng.chance(50) {
                self.drain();
            }
        }
    }

    /// Any attempt, the newest ones more often than the others.
    fn attempt(&mut self) -> AttemptId {
        let back = self.rng.below(self.attempts.len() as u64).min(self.rng.below(6));
        self.attempts[self.attempts.len() - 1 - back as usize]
    }

    fn error(&mut self) -> AttemptError {
        let kind = match self.rng.below(20) {
            0 => AttemptErrorKind::OutOfSockets,
            1 if self.rng.chance(10) => AttemptErrorKind::StackGone,
            2 => AttemptErrorKind::Reset,
            3 => return AttemptError::new(AttemptErrorKind::Other).with_number(7),
            _ => AttemptErrorKind::Refused,
        };
        kind.into()
    }

    /// Up to seven addresses, repetitions among them, and one of the other family.
    fn answer(&mut self, family: Family) {
        let name = |family, letter: u64| {
            let digit = if family == Family::V4 { '4' } else { '6' };
            address(&format!("{digit}{}", char::from(b'a' + letter as u8)))
        };
        let mut addresses = vec![name(family.other(), 0)];
        for _ in 0..self.rng.below(8) {
            addresses.push(name(family, self.rng.below(8)));
        }
        let addresses = &addresses;
        match self.rng.chance(20) {
            true => self.handle_input(Input::Hinted { family, addresses }),
            false => self.handle_input(Input::Resolved { family, addresses }),
        }
    }

    fn handle_input(&mut self, input: Input<'_>) {
        self.referee.handle_input(&input);
        self.race.handle_input(input, self.now);
    }
}

fn config(rng: &mut Rng) -> Config {
    let preset = match rng.below(4) {
        0 | 1 => Config::all_at_once(),
        2 => Config::staggered().pacing(Pacing::Staggered {
            delay: Duration::from_millis(rng.pick(&[10, 250])),
            growth_percent: rng.pick(&[100, 200]),
        }),
        _ => Config::one_by_one(),
    };
    preset
        .clone()
        .families(rng.pick(&[Families::Both, Families::Both, Families::Only(Family::V6)]))
        .first_address_family_count(rng.pick(&[1, 2]))
        .max_in_flight(rng.within(1, 5) as usize)
        .patience(Duration::from_millis(rng.pick(&[10, 250])))
        .evict(rng.chance(80))
        .hedge(rng.chance(50))
        .deadline(rng.chance(30).then(|| Duration::from_micros(rng.below(3_000_000))))
        .attempt_timeout(rng.chance(20).then(|| Duration::from_micros(rng.below(500_000))))
}

#[test]
fn whatever_happens_in_whatever_order_the_laws_hold() {
    seeds(20_000, |seed| {
        let mut monkey = Monkey::new(seed);
        for _ in 0..STEPS {
            monkey.happen();
            monkey.drain();
            monkey.sleep();
        }
    });
}

#[test]
fn whatever_happens_while_sockets_come_and_go_the_laws_hold() {
    seeds(10_000, |seed| {
        let mut monkey = Monkey::new(seed);
        for _ in 0..STEPS {
            monkey.happen();
            monkey.share();
            monkey.drain();
            monkey.sleep();
        }
    });
}

#[test]
fn left_alone_until_each_moment_it_names_a_race_with_a_deadline_ends() {
    seeds(2_000, |seed| {
        let mut rng = Rng::new(seed);
        let deadline = Duration::from_micros(rng.below(10_000_000));
        let config = config(&mut rng).deadline(Some(deadline));
        let mut race = Race::<DESTINATIONS, SOCKETS, 8>::new(&config, Instant::ZERO);
        let mut referee = Referee::new(&config, DESTINATIONS, SOCKETS, Instant::ZERO);
        let addresses = ["6a", "6b", "4a", "4b", "4c"].map(address);
        for family in [Family::V6, Family::V4] {
            let input = Input::Resolved { family, addresses: &addresses };
            referee.handle_input(&input);
            race.handle_input(input, Instant::ZERO);
        }
        let mut now = Instant::ZERO;
        while referee.ended().is_none() {
            let output = race.poll_output(now);
            referee.handle_output(&output, now);
            if let Output::WaitUntil(until) = output {
                now = until;
            }
        }
        assert!(now <= Instant::ZERO + deadline, "ended only at {now}");
    });
}
