//! A bare race under a referee: any configuration, any inputs in any order, ids that are late or from
//! nowhere, and a clock that jumps.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::ops::RangeInclusive;
use std::sync::OnceLock;
use std::time::Duration;

use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, Config, Families, Family, Input, Instant, Output, Pacing, Race,
};
use connie_sim::{Referee, words};

use crate::decoded::{end, note};
use crate::draw::Draw;
use crate::looks::look;

/// The most that happens in one race, so that none takes long.
const STEPS: u32 = 400;
/// How often a race that is left alone is woken at the moment it names.
const WAKES: u32 = 100;
/// Enough to end every race once nothing holds it any more: 16 destinations, and some on their last socket.
const LAST_STEPS: u32 = 200;

/// A byte that meant nothing and now changes the number of sockets. No older file has drawn one of these; one
/// has drawn 255.
const SHARES: RangeInclusive<u8> = 192..=251;

/// Runs a race as `data` has it.
///
/// # Panics
///
/// Where a law is broken.
pub fn race(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.below(4) {
        0 => Game::<16, 4, 8>::play(draw),
        1 => Game::<16, 16, 32>::play(draw),
        2 => Game::<4, 2, 2>::play(draw),
        _ => Game::<1, 1, 1>::play(draw),
    }
}

struct Game<'a, const D: usize, const S: usize, const R: usize> {
    draw: Draw<'a>,
    /// Whether the timeline is printed at the end, which takes longer than all the rest.
    looks: bool,
    config: Config,
    race: Race<D, S, R>,
    referee: Referee,
    /// What the clock shows; it may run backwards.
    clock: Instant,
    /// The newest moment that the race was told of.
    now: Instant,
    /// What the race waits for.
    due: Option<Instant>,
    attempts: Vec<AttemptId>,
    /// Whether it was ever limited: more may be in flight then than it allows itself.
    limited: bool,
}

impl<'a, const D: usize, const S: usize, const R: usize> Game<'a, D, S, R> {
    fn play(mut draw: Draw<'a>) {
        let looks = draw.below(4) == 0;
        let config = config(&mut draw);
        let start = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 32, 1 << 62]));
        let look = if looks { ", looked at" } else { "" };
        note(|| format!("race of {D}, {S}, {R} at {}{look}: {}", start.as_micros(), words::config(&config)));
        let mut game = Self {
            draw,
            looks,
            race: Race::new(&config, start),
            referee: Referee::new(&as_refereed(&config, start), D, S, start),
            config,
            clock: start,
            now: start,
            due: None,
            attempts: Vec::new(),
            limited: false,
        };
        for _ in 0..STEPS {
            if game.draw.is_done() {
                break;
            }
            game.happen();
            game.check();
        }
        game.wind_down();
    }

    fn happen(&mut self) {
        match self.draw.below(24) {
            0..=3 => self.drain(),
            4 => {
                note(|| "poll".to_owned());
                let _ = self.poll();
            }
            5 => self.answer(Family::V4),
            6 => self.answer(Family::V6),
            7 => self.answer_both(),
            8 => self.handle_input(Input::ResolutionFailed { family: Family::V4 }),
            9 => self.handle_input(Input::ResolutionFailed { family: Family::V6 }),
            10..=13 => self.fail(),
            14 => self.succeed(),
            15 => self.wake_at_due(0),
            16 => self.wake_at_due(1),
            17 | 18 => self.sleep(),
            19 => self.turn_back(),
            20 => self.rarer(),
            21 => look(&self.race.timeline(), &self.config, &mut self.draw),
            22 => self.report_on_anything(),
            _ => {
                self.wake_at_due(0);
                self.drain();
            }
        }
    }

    // What happens.

    fn answer(&mut self, family: Family) {
        let addresses = addresses(&mut self.draw);
        self.handle_input(Input::Resolved { family, addresses: &addresses });
    }

    fn answer_both(&mut self) {
        let addresses = addresses(&mut self.draw);
        note(|| words::list(&addresses));
        for family in [Family::V4, Family::V6] {
            self.referee.handle_input(&Input::Resolved { family, addresses: &addresses });
        }
        self.now = self.now.max(self.clock);
        self.race.handle_addresses(&addresses, self.clock);
    }

    fn fail(&mut self) {
        let error = self.error();
        if let Some(id) = self.attempt() {
            self.handle_input(Input::AttemptFailed { id, error });
        }
    }

    fn succeed(&mut self) {
        if let Some(id) = self.attempt() {
            self.handle_input(Input::AttemptSucceeded { id });
        }
    }

    /// News of an attempt that may not have started yet, or never.
    fn report_on_anything(&mut self) {
        let ids = ids();
        let (id, error) = (ids[usize::from(self.draw.byte()) % ids.len()], self.error());
        match self.draw.flag() {
            true => self.handle_input(Input::AttemptSucceeded { id }),
            false => self.handle_input(Input::AttemptFailed { id, error }),
        }
    }

    /// What comes after a cancel is soon dull, and a preference changes once or twice.
    fn rarer(&mut self) {
        let byte = self.draw.byte();
        match byte % 4 {
            0 => self.handle_input(Input::Cancel),
            1 => {
                let family = self.family();
                note(|| format!("prefer {}", words::family(family)));
                self.race.prefer(family);
            }
            2 => {
                let (family, addresses) = (self.family(), addresses(&mut self.draw));
                self.handle_input(Input::Hinted { family, addresses: &addresses });
            }
            _ if SHARES.contains(&byte) => self.share(),
            _ => {}
        }
    }

    /// A socket is taken away or given back.
    fn share(&mut self) {
        let sockets = self.draw.pick(&[0, 1, 2, 3, 4, 1_000]);
        if self.draw.flag() {
            note(|| format!("grow to {sockets}"));
            self.referee.handle_growth(sockets);
            self.race.grow_to(sockets);
        } else {
            note(|| format!("limit to {sockets}"));
            self.limited = true;
            self.referee.handle_limit(sockets);
            self.race.limit_to(sockets);
        }
    }

    fn family(&mut self) -> Family {
        self.draw.pick(&[Family::V4, Family::V6])
    }

    /// One of the newest eight attempts.
    fn attempt(&mut self) -> Option<AttemptId> {
        let newest = &self.attempts[self.attempts.len().saturating_sub(8)..];
        (!newest.is_empty()).then(|| self.draw.pick(newest))
    }

    fn error(&mut self) -> AttemptError {
        let kind = self.draw.pick(&[
            AttemptErrorKind::Refused,
            AttemptErrorKind::Unreachable,
            AttemptErrorKind::TimedOut,
            AttemptErrorKind::OutOfSockets,
            AttemptErrorKind::Reset,
            AttemptErrorKind::Other,
            AttemptErrorKind::OutOfSockets,
            AttemptErrorKind::StackGone,
        ]);
        AttemptError::new(kind).with_number(if kind == AttemptErrorKind::Other { 7 } else { 0 })
    }

    fn handle_input(&mut self, input: Input<'_>) {
        note(|| format!("{} {}", self.clock.as_micros(), words::input(&input)));
        self.now = self.now.max(self.clock);
        self.referee.handle_input(&input);
        self.race.handle_input(input, self.clock);
    }

    // Time.

    fn sleep(&mut self) {
        let sleep = span(&mut self.draw).min(LONGEST_SLEEP);
        note(|| format!("sleep {}", sleep.as_nanos()));
        self.clock += sleep;
    }

    fn turn_back(&mut self) {
        let back = span(&mut self.draw).as_micros() as u64;
        note(|| format!("turn back {back}"));
        self.clock = Instant::from_micros(self.clock.as_micros().saturating_sub(back));
    }

    /// Sleeps until the race wants to be woken, or `early` microseconds less.
    fn wake_at_due(&mut self, early: u64) {
        note(|| format!("wake when due, less {early}"));
        if let Some(due) = self.due {
            self.clock = self.clock.max(Instant::from_micros(due.as_micros().saturating_sub(early)));
        }
    }

    // The race's answers.

    fn poll(&mut self) -> Output {
        self.now = self.now.max(self.clock);
        let output = self.race.poll_output(self.clock);
        self.referee.handle_output(&output, self.now);
        self.due = None;
        match output {
            Output::StartAttempt { id, .. } => self.attempts.push(id),
            Output::WaitUntil(until) => self.due = Some(until),
            _ => {}
        }
        output
    }

    fn drain(&mut self) {
        note(|| "drain".to_owned());
        while !self.poll().ends_drain() {}
        let most = self.race.timeline().summary().max_in_flight;
        assert!(
            most >= self.referee.open().count(),
            "the most in flight were {most}, and now there are more"
        );
    }

    /// What the race says of itself is what its referee has counted.
    fn check(&self) {
        let open = self.referee.open().count();
        assert_eq!(self.race.in_flight(), open, "the race and its referee count differently");
        assert!(
            self.limited || open <= self.race.max_in_flight(),
            "more in flight than the race allows itself"
        );
        let most = self.config.max_in_flight.clamp(1, S);
        assert!((1..=most).contains(&self.race.max_in_flight()), "a limit of {}", self.race.max_in_flight());
        let summary = self.race.timeline().summary();
        assert_eq!(summary.attempts as usize, self.attempts.len(), "attempts were miscounted");
        assert!(summary.max_in_flight <= most, "{} were in flight", summary.max_in_flight);
        let mut recorded: Vec<_> = self.race.timeline().attempts().collect();
        assert_eq!(recorded.len() + summary.omitted_attempts as usize, self.attempts.len());
        assert!(recorded.is_sorted_by_key(|attempt| attempt.started), "the record is out of order");
        recorded.retain(|attempt| attempt.outcome.is_none());
        let mut recorded: Vec<_> = recorded.iter().map(|attempt| attempt.destination).collect();
        let mut refereed: Vec<_> = self.referee.open().map(|(_, destination)| destination).collect();
        recorded.sort();
        refereed.sort();
        assert_eq!(recorded, refereed, "other attempts are open in the record");
    }

    // The end.

    /// Leaves the race alone, then lets every attempt fail and every question stay without an answer: it must
    /// end.
    fn wind_down(&mut self) {
        end();
        for _ in 0..WAKES {
            self.drain();
            let Some(due) = self.due else { break };
            self.clock = self.clock.max(due);
        }
        for family in [Family::V4, Family::V6] {
            self.handle_input(Input::ResolutionFailed { family });
        }
        for _ in 0..LAST_STEPS {
            self.drain();
            if let Some(due) = self.due {
                self.clock = self.clock.max(due);
            }
            let open = self.referee.open().next();
            if let Some((id, _)) = open {
                self.handle_input(Input::AttemptFailed { id, error: AttemptErrorKind::Refused.into() });
            }
            if self.referee.ended().is_some() {
                break;
            }
        }
        self.check();
        let ended = self.referee.ended().expect("the race ends when all has failed");
        self.keeps_its_word(ended);
        if self.looks {
            look(&self.race.timeline(), &self.config, &mut self.draw);
        }
    }

    /// Nothing that comes after the end changes it.
    fn keeps_its_word(&mut self, ended: Output) {
        self.answer_both();
        for id in self.attempts.clone() {
            self.handle_input(Input::AttemptSucceeded { id });
        }
        self.handle_input(Input::Cancel);
        self.clock += LONGEST_SLEEP;
        assert_eq!(self.poll(), ended, "the race has ended, and has ended like this");
    }
}

/// A year. Longer than any patience, and short enough that no race comes to the end of its clock.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_secs(365 * 86_400);

pub(crate) fn config(draw: &mut Draw<'_>) -> Config {
    Config::default()
        .pacing(match draw.below(4) {
            0 | 1 => Pacing::AllAtOnce,
            2 => Pacing::Staggered {
                delay: span(draw),
                growth_percent: draw.pick(&[100, 0, 150, 200, u16::MAX]),
            },
            _ => Pacing::OneByOne,
        })
        .families(draw.pick(&[
            Families::Both,
            Families::Only(Family::V4),
            Families::Only(Family::V6),
            Families::Both,
        ]))
        .preferred_family(draw.pick(&[Family::V6, Family::V4]))
        .first_address_family_count(draw.pick(&[1, 0, 2, u8::MAX]))
        .resolution_delay(span(draw))
        .max_in_flight(draw.pick(&[usize::MAX, 0, 1, 2, 3, 4]))
        .patience(span(draw))
        .evict(!draw.flag())
        .hedge(!draw.flag())
        .deadline(draw.flag().then(|| span(draw)))
        .attempt_timeout(draw.flag().then(|| span(draw)))
}

/// The configuration with the bounds that a race puts to it, as its referee wants it.
pub(crate) fn as_refereed(config: &Config, start: Instant) -> Config {
    let comes = |deadline: &Duration| start + *deadline < Instant::from_micros(u64::MAX);
    config.clone().patience(config.patience.min(Config::MAX_PATIENCE)).deadline(config.deadline.filter(comes))
}

/// A length of time: one that something hangs on, or any.
pub(crate) fn span(draw: &mut Draw<'_>) -> Duration {
    match draw.byte() {
        0 => Config::DEFAULT_PATIENCE,
        1 => Duration::ZERO,
        2 => Duration::from_nanos(1),
        3 => Duration::from_micros(1),
        4 => Duration::from_micros(9_999),
        5 => Config::MIN_DELAY,
        6 => Config::DEFAULT_RESOLUTION_DELAY,
        7 => Duration::from_secs(1),
        8 => Config::MAX_DELAY,
        9 => Config::MAX_PATIENCE,
        // Longer than a record's 32 bits of microseconds.
        10 => Duration::from_secs(7_200),
        11 => Duration::from_micros(u64::MAX),
        12 => Duration::MAX,
        scale => Duration::from_micros(u64::from(draw.short()) << (scale % 20)),
    }
}

/// Some addresses: of both families, in several spellings, repeated, or more than any race has room for.
fn addresses(draw: &mut Draw<'_>) -> Vec<SocketAddr> {
    match draw.below(32) {
        31 => (0..300).map(|index| numbered(index, draw.clone().byte())).collect(),
        count => (0..count).map(|_| address(draw.byte())).collect(),
    }
}

pub(crate) fn numbered(index: u16, odd: u8) -> SocketAddr {
    let [high, low] = index.to_be_bytes();
    match index & 1 == 0 || odd & 1 == 1 {
        true => (Ipv4Addr::new(198, 51, high, low), 80).into(),
        false => (Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, index), 80).into(),
    }
}

pub(crate) fn address(byte: u8) -> SocketAddr {
    let host = byte & 0x0f;
    let (v4, v6) = (Ipv4Addr::new(192, 0, 2, host), Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, host.into()));
    let link_local = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
    match byte >> 4 {
        0..=5 => (v4, 80).into(),
        6..=10 => (v6, 80).into(),
        11 => (v4.to_ipv6_mapped(), 80).into(),
        12 => SocketAddrV6::new(v4.to_ipv6_mapped(), 80, 0, 1).into(),
        13 => SocketAddrV6::new(link_local, 80, 0, host.into()).into(),
        14 => SocketAddrV6::new(v6, 80, 5, 0).into(),
        _ => (v4, 81).into(),
    }
}

/// The names of a race's first 255 attempts, borrowed from another race.
pub(crate) fn ids() -> &'static [AttemptId] {
    static IDS: OnceLock<Vec<AttemptId>> = OnceLock::new();
    IDS.get_or_init(|| {
        let mut donor = Race::<255, 255, 255>::new(&Config::all_at_once(), Instant::ZERO);
        let addresses: Vec<_> = (0..255).map(|index| numbered(index, 1)).collect();
        donor.handle_addresses(&addresses, Instant::ZERO);
        let started = std::iter::from_fn(|| match donor.poll_output(Instant::ZERO) {
            Output::StartAttempt { id, .. } => Some(id),
            _ => None,
        });
        started.collect()
    })
}
