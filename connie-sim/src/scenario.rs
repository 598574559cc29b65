//! One race over one network: who is there, what the resolver says and when, and how the race is run.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Config, Failure, Families, Family, Instant, Pacing, Progress};

use crate::clock::Clock;
use crate::connector::{self, Connector};
use crate::host::Host;
use crate::label::numbered;
use crate::names::{self, Names};
use crate::outcome::{Ending, Outcome};
use crate::stack::{Socket, Stack};
use crate::stream::earliest;
use crate::verify;

/// More steps than any race takes: 64 dead addresses that share a socket, 10 ms each at first, take some thousand.
const STEPS: u32 = 100_000;
/// More steps than there can be at one moment.
const STEPS_AT_ONE_MOMENT: u32 = 1_000;

/// A race and the network it runs over. All times are milliseconds from the start of the race.
///
/// A scenario begins with a preset; [`v6`](Scenario::v6) and [`v4`](Scenario::v4) add addresses in the order in which the resolver
/// lists them. Both answers are there at once unless said otherwise.
#[derive(Clone, Debug)]
pub struct Scenario {
    config: Config,
    host: String,
    seed: u64,
    entries: Vec<Entry>,
    v4: Query,
    v6: Query,
    extra: Vec<Answer>,
    stack: StackRules,
    cancel_at: Option<Instant>,
    restless: bool,
    oversleeps: u64,
}

/// One address.
#[derive(Clone, Debug)]
struct Entry {
    address: SocketAddr,
    host: Host,
    copies: usize,
    /// When the resolver first lists it; `None` from the start.
    joins: Option<Instant>,
    leaves: Option<Instant>,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug)]
enum Query {
    Answered(Instant),
    Fails(Instant),
    Silent,
}

/// What the resolver says about a family; `None` when it has failed.
#[derive(Clone, Debug)]
struct Answer {
    at: Instant,
    family: Family,
    addresses: Option<Vec<SocketAddr>>,
}

#[derive(Clone, Debug, Default)]
struct StackRules {
    capacity: Option<usize>,
    runs_out_at: Option<u32>,
    reports_late: bool,
    lacks: Option<Family>,
    gone_at: Option<Instant>,
    patient: bool,
}

/// A race that has ended, with all that it leaves behind.
#[derive(Debug)]
pub struct Live {
    /// The stack.
    pub stack: Stack,
    /// Its clock.
    pub clock: Clock,
    /// The connector, finished.
    pub connector: Connector,
    /// The connection that won, if one did.
    pub connection: Option<connie_core::Connection<Socket>>,
    /// What the race came to.
    pub outcome: Outcome,
}

impl Scenario {
    /// The most sockets that a scenario's race can have.
    pub const SOCKETS: usize = connector::SOCKETS;

    /// A race run as `config` says.
    #[must_use]
    pub fn with(config: Config) -> Self {
        Scenario {
            config,
            host: "name.test".to_owned(),
            seed: 0,
            entries: Vec::new(),
            v4: Query::Answered(Instant::ZERO),
            v6: Query::Answered(Instant::ZERO),
            extra: Vec::new(),
            stack: StackRules::default(),
            cancel_at: None,
            restless: false,
            oversleeps: 0,
        }
    }

    /// connie's own scheme: all at once, up to the socket limit.
    #[must_use]
    pub fn all_at_once() -> Self {
        Self::with(Config::all_at_once())
    }

    /// Happy Eyeballs.
    #[must_use]
    pub fn staggered() -> Self {
        Self::with(Config::staggered())
    }

    /// What a plain client does.
    #[must_use]
    pub fn one_by_one() -> Self {
        Self::with(Config::one_by_one())
    }

    /// The same network under another configuration.
    #[must_use]
    pub fn under(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    // The addresses.

    /// The next IPv6 address: `6a`, then `6b` ...
    #[must_use]
    pub fn v6(self, host: Host) -> Self {
        self.add(Family::V6, host)
    }

    /// The next IPv4 address: `4a`, then `4b` ...
    #[must_use]
    pub fn v4(self, host: Host) -> Self {
        self.add(Family::V4, host)
    }

    /// `count` IPv4 addresses that do the same.
    #[must_use]
    pub fn v4s(self, count: usize, host: Host) -> Self {
        (0..count).fold(self, |scenario, _| scenario.v4(host.clone()))
    }

    /// `count` IPv6 addresses that do the same.
    #[must_use]
    pub fn v6s(self, count: usize, host: Host) -> Self {
        (0..count).fold(self, |scenario, _| scenario.v6(host.clone()))
    }

    fn add(mut self, family: Family, host: Host) -> Self {
        let of_family = self.entries.iter().filter(|entry| Family::of(&entry.address) == family).count();
        let address = numbered(family, of_family as u16 + 1);
        self.entries.push(Entry { address, host, copies: 1, joins: None, leaves: None });
        self
    }

    /// The resolver lists the last address `count` times.
    #[must_use]
    pub fn copies(mut self, count: usize) -> Self {
        self.last().copies = count;
        self
    }

    /// The resolver lists the last address from `millis` on, in a later answer.
    #[must_use]
    pub fn joins_at(mut self, millis: u64) -> Self {
        self.last().joins = Some(Instant::from_millis(millis));
        self
    }

    /// The resolver no longer lists the last address in an answer at `millis`.
    #[must_use]
    pub fn leaves_at(mut self, millis: u64) -> Self {
        self.last().leaves = Some(Instant::from_millis(millis));
        self
    }

    #[track_caller]
    fn last(&mut self) -> &mut Entry {
        self.entries.last_mut().expect("an address comes first")
    }

    // The resolver.

    /// The AAAA answer comes at `millis`.
    #[must_use]
    pub fn aaaa_at(mut self, millis: u64) -> Self {
        self.v6 = Query::Answered(Instant::from_millis(millis));
        self
    }

    /// The A answer comes at `millis`.
    #[must_use]
    pub fn a_at(mut self, millis: u64) -> Self {
        self.v4 = Query::Answered(Instant::from_millis(millis));
        self
    }

    /// The AAAA query fails at `millis`.
    #[must_use]
    pub fn aaaa_fails_at(mut self, millis: u64) -> Self {
        self.v6 = Query::Fails(Instant::from_millis(millis));
        self
    }

    /// The A query fails at `millis`.
    #[must_use]
    pub fn a_fails_at(mut self, millis: u64) -> Self {
        self.v4 = Query::Fails(Instant::from_millis(millis));
        self
    }

    /// The AAAA query is never answered.
    #[must_use]
    pub fn aaaa_never(mut self) -> Self {
        self.v6 = Query::Silent;
        self
    }

    /// The A query is never answered.
    #[must_use]
    pub fn a_never(mut self) -> Self {
        self.v4 = Query::Silent;
        self
    }

    /// One more answer about `family` at `millis`, which takes the place of the one before.
    #[must_use]
    pub fn answers(mut self, millis: u64, family: Family, addresses: Vec<SocketAddr>) -> Self {
        self.extra.push(Answer { at: Instant::from_millis(millis), family, addresses: Some(addresses) });
        self
    }

    // The race.

    /// Only `family` may be used.
    #[must_use]
    pub fn only(mut self, family: Family) -> Self {
        self.config.families = Families::Only(family);
        self
    }

    /// The race may have `count` attempts in flight.
    #[must_use]
    pub fn sockets(mut self, count: usize) -> Self {
        self.config.max_in_flight = count;
        self
    }

    /// The whole race may take `millis`.
    #[must_use]
    pub fn deadline(mut self, millis: u64) -> Self {
        self.config.deadline = Some(Duration::from_millis(millis));
        self
    }

    /// An attempt's patience.
    #[must_use]
    pub fn patience(mut self, millis: u64) -> Self {
        self.config.patience = Duration::from_millis(millis);
        self
    }

    /// The connection attempt delay. Makes the race a staggered one.
    #[must_use]
    pub fn delay(self, millis: u64) -> Self {
        self.growing_delay(millis, 100)
    }

    /// The connection attempt delay, which grows to `percent` of itself each time it runs out. Makes the race a staggered one.
    #[must_use]
    pub fn growing_delay(mut self, millis: u64, percent: u16) -> Self {
        self.config.pacing =
            Pacing::Staggered { delay: Duration::from_millis(millis), growth_percent: percent };
        self
    }

    /// How many IPv6 addresses come before the first IPv4 one.
    #[must_use]
    pub fn first_family_count(mut self, count: u8) -> Self {
        self.config.first_address_family_count = count;
        self
    }

    /// The program gives up at `millis`.
    #[must_use]
    pub fn cancel_at(mut self, millis: u64) -> Self {
        self.cancel_at = Some(Instant::from_millis(millis));
        self
    }

    /// The host that is asked for, in place of `name.test`: another name, or a literal address.
    #[must_use]
    pub fn host(mut self, host: &str) -> Self {
        self.host = host.to_owned();
        self
    }

    // The stack and the clock.

    /// The stack has only `count` sockets, whatever the race was told.
    #[must_use]
    pub fn stack_of(mut self, count: usize) -> Self {
        self.stack.capacity = Some(count);
        self
    }

    /// The `count`-th socket cannot be opened: see [`Stack::runs_out_at`].
    #[must_use]
    pub fn runs_out_at(mut self, count: u32) -> Self {
        self.stack.runs_out_at = Some(count);
        self
    }

    /// Running out is reported late: see [`Stack::reports_late`].
    #[must_use]
    pub fn reports_late(mut self) -> Self {
        self.stack.reports_late = true;
        self
    }

    /// The stack does not have `family`.
    #[must_use]
    pub fn without(mut self, family: Family) -> Self {
        self.stack.lacks = Some(family);
        self
    }

    /// The stack is gone from `millis` on.
    #[must_use]
    pub fn gone_at(mut self, millis: u64) -> Self {
        self.stack.gone_at = Some(Instant::from_millis(millis));
        self
    }

    /// The stack never gives up on a SYN.
    #[must_use]
    pub fn patient_stack(mut self) -> Self {
        self.stack.patient = true;
        self
    }

    /// The program wakes early and for nothing now and then. Changes nothing about the race.
    #[must_use]
    pub fn restless(mut self) -> Self {
        self.restless = true;
        self
    }

    /// The program wakes `micros` microseconds late each time.
    #[must_use]
    pub fn oversleeps(mut self, micros: u64) -> Self {
        self.oversleeps = micros;
        self
    }

    /// What is random about the network derives from `seed`.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    // Running it.

    /// Runs the race, closes the winner, and tells what it came to. Where all addresses are known at the start it is run twice, by
    /// [`Connector::poll`](connie_core::Connector::poll) and by [`Connector::run`](connie_core::Connector::run), which must come to the same.
    ///
    /// # Panics
    ///
    /// When the race breaks one of its laws.
    #[track_caller]
    pub fn run(&self) -> Outcome {
        let outcome = self.hang_up(self.connect());
        if self.answers_at_once() && outcome.ending != Ending::Waiting && self.oversleeps == 0 {
            let by_run = self.hang_up(self.connect_by_run());
            if outcome.ending == Ending::Failed(Failure::Canceled) {
                // What an attempt has come to at the very moment of the cancel only `run` still looks at.
                assert_eq!(by_run.ending, outcome.ending, "run and poll came to different ends");
                assert_eq!(by_run.start_list(), outcome.start_list(), "run and poll made different starts");
            } else {
                assert_eq!(by_run, outcome, "run and poll came to different ends");
            }
        }
        outcome
    }

    /// Runs the race once and does not check its books: for measuring. All addresses must be known at the start.
    #[track_caller]
    pub fn run_once(&self) -> Ending {
        let (mut stack, mut clock) = self.lay_out();
        let (mut connector, _) = self.connector();
        match connector.run(&mut stack, &mut clock) {
            Ok(connection) => {
                let ending = Ending::Connected(connection.destination);
                stack.release_winner(connection.socket);
                ending
            }
            Err(failure) => Ending::Failed(failure),
        }
    }

    /// Runs the race and leaves its winner open.
    ///
    /// # Panics
    ///
    /// When the race breaks one of its laws.
    #[track_caller]
    pub fn connect(&self) -> Live {
        let (stack, clock) = self.lay_out();
        let mut connector = Connector::new(&self.config, stack.now());
        let names = Names::begin(&self.host, self.config.families, &mut connector, stack.now());
        let mut driver =
            Driver { scenario: self, stack, clock, connector, names, answers: self.all_answers() };
        let (ending, connection) = driver.drive();
        let Driver { stack, clock, connector, names, .. } = driver;
        self.conclude(stack, clock, connector, connection, ending, &names)
    }

    #[track_caller]
    fn connect_by_run(&self) -> Live {
        let (mut stack, mut clock) = self.lay_out();
        let (mut connector, names) = self.connector();
        let (ending, connection) = match connector.run(&mut stack, &mut clock) {
            Ok(connection) => (Ending::Connected(connection.destination), Some(connection)),
            Err(failure) => (Ending::Failed(failure), None),
        };
        self.conclude(stack, clock, connector, connection, ending, &names)
    }

    #[track_caller]
    fn conclude(
        &self,
        stack: Stack,
        clock: Clock,
        connector: Connector,
        connection: Option<connie_core::Connection<Socket>>,
        ending: Ending,
        names: &Names,
    ) -> Live {
        let mut outcome = Outcome::new(ending, &connector.timeline(), &stack);
        outcome.queries.clone_from(&names.asked);
        outcome.failed_queries = names.failures(&self.host);
        let late = Duration::from_micros(self.oversleeps);
        verify::outcome(&outcome, &self.config, &stack, &self.listed_by(stack.now()), late);
        Live { stack, clock, connector, connection, outcome }
    }

    /// Closes the winner, and sees that nothing is left.
    #[track_caller]
    fn hang_up(&self, mut live: Live) -> Outcome {
        if let Some(connection) = live.connection {
            live.stack.release_winner(connection.socket);
        }
        if live.outcome.ending != Ending::Waiting {
            assert_eq!(live.stack.open(), 0, "a socket was left open");
        }
        live.outcome
    }

    /// The connector with all addresses, which are known at the start.
    fn connector(&self) -> (Connector, Names) {
        let mut connector = Connector::new(&self.config, Instant::ZERO);
        let mut names = Names::begin(&self.host, self.config.families, &mut connector, Instant::ZERO);
        for answer in self.all_answers() {
            assert_eq!(answer.at, Instant::ZERO, "all addresses are known at the start");
            answer.tell(&mut names, &mut connector, Instant::ZERO);
        }
        (connector, names)
    }

    fn answers_at_once(&self) -> bool {
        let at_once = |family| matches!(self.query(family), Query::Answered(Instant::ZERO));
        let at_once = |family| !self.config.families.allow(family) || at_once(family);
        at_once(Family::V4)
            && at_once(Family::V6)
            && self.extra.is_empty()
            && self.entries.iter().all(|entry| entry.joins.is_none() && entry.leaves.is_none())
            // `run` first asks at its first wait.
            && self.cancel_at != Some(Instant::ZERO)
    }

    fn lay_out(&self) -> (Stack, Clock) {
        let mut stack = Stack::new(self.seed);
        for entry in &self.entries {
            stack.put(entry.address, entry.host.clone());
        }
        let rules = &self.stack;
        if let Some(capacity) = rules.capacity {
            stack.set_capacity(capacity);
        }
        if let Some(count) = rules.runs_out_at {
            stack.runs_out_at(count);
        }
        if rules.reports_late {
            stack.reports_late();
        }
        if let Some(family) = rules.lacks {
            stack.lacks(family);
        }
        if let Some(at) = rules.gone_at {
            stack.goes_at(at);
        }
        if rules.patient {
            stack.syn_retries(None);
        }
        let mut clock = stack.clock();
        if let Some(at) = self.cancel_at {
            clock.cancels_at(at);
        }
        if self.restless {
            clock.restless(self.seed);
        }
        clock.oversleeps(self.oversleeps);
        (stack, clock)
    }

    fn query(&self, family: Family) -> Query {
        match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        }
    }

    /// All that the resolver says, in order of time.
    fn all_answers(&self) -> Vec<Answer> {
        if !names::is_asked_for(&self.host) {
            return Vec::new();
        }
        let mut answers = self.extra.clone();
        let allowed =
            [Family::V6, Family::V4].into_iter().filter(|family| self.config.families.allow(*family));
        for family in allowed {
            match self.query(family) {
                Query::Silent => {}
                Query::Fails(at) => answers.push(Answer { at, family, addresses: None }),
                Query::Answered(at) => {
                    let changes = self.of(family).flat_map(|entry| [entry.joins, entry.leaves]).flatten();
                    let mut moments: Vec<Instant> = changes.filter(|change| *change > at).collect();
                    moments.push(at);
                    moments.sort_unstable();
                    moments.dedup();
                    let told = moments.into_iter();
                    answers.extend(told.map(|at| Answer {
                        at,
                        family,
                        addresses: Some(self.listed(family, at)),
                    }));
                }
            }
        }
        answers.sort_by_key(|answer| answer.at);
        answers
    }

    fn of(&self, family: Family) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| Family::of(&entry.address) == family)
    }

    /// What an answer about `family` at `at` holds.
    fn listed(&self, family: Family, at: Instant) -> Vec<SocketAddr> {
        let listed = self.of(family).filter(|entry| {
            entry.joins.is_none_or(|joins| joins <= at) && entry.leaves.is_none_or(|leaves| leaves > at)
        });
        listed.flat_map(|entry| std::iter::repeat_n(entry.address, entry.copies)).collect()
    }

    /// What the last answers up to `end` hold.
    fn listed_by(&self, end: Instant) -> Vec<SocketAddr> {
        let mut answers = self.all_answers();
        answers.retain(|answer| answer.at <= end);
        let allowed =
            [Family::V4, Family::V6].into_iter().filter(|family| self.config.families.allow(*family));
        let last = allowed.filter_map(|family| answers.iter().rev().find(|answer| answer.family == family));
        last.filter_map(|answer| answer.addresses.clone()).flatten().collect()
    }

    /// The least time from a SYN to the end of a handshake that any address of the last answers has, in microseconds, jitter and
    /// loss left out; `None` when none accepts.
    #[must_use]
    pub fn oracle(&self) -> Option<u64> {
        let accepting = self.entries.iter().filter(|entry| entry.host.accepts() && entry.leaves.is_none());
        accepting.map(|entry| entry.host.round_trip_micros()).min()
    }
}

impl Answer {
    fn tell(&self, names: &mut Names, connector: &mut Connector, now: Instant) {
        names.hear(self.family, self.addresses.as_deref(), connector, now);
    }
}

/// Drives a connector as a program with a loop of its own does.
struct Driver<'a> {
    scenario: &'a Scenario,
    stack: Stack,
    clock: Clock,
    connector: Connector,
    names: Names,
    answers: Vec<Answer>,
}

impl Driver<'_> {
    #[track_caller]
    fn drive(&mut self) -> (Ending, Option<connie_core::Connection<Socket>>) {
        let mut answers = std::mem::take(&mut self.answers).into_iter().peekable();
        let mut here = (Instant::ZERO, 0);
        for _ in 0..STEPS {
            let now = self.stack.now();
            here = if here.0 == now { (now, here.1 + 1) } else { (now, 1) };
            assert!(here.1 < STEPS_AT_ONE_MOMENT, "livelock at {now}");
            while let Some(answer) = answers.next_if(|answer| answer.at <= now) {
                answer.tell(&mut self.names, &mut self.connector, now);
            }
            let canceled = self.scenario.cancel_at.filter(|at| *at <= now).is_some();
            let until = match self.step(canceled) {
                Progress::WaitUntil(until) => {
                    assert!(until > now, "law 4: a wait until {until} at {now} has no length");
                    Some(until)
                }
                Progress::WaitForInput => None,
                Progress::Connected(connection) => {
                    return (Ending::Connected(connection.destination), Some(connection));
                }
                Progress::Failed(failure) => return (Ending::Failed(failure), None),
                Progress::Finished => panic!("law 1: the race finished twice"),
            };
            let limit = earliest(until, answers.peek().map(|answer| answer.at));
            let limit = earliest(limit, self.scenario.cancel_at);
            let next = earliest(self.stack.next_handshake(limit), limit);
            let Some(next) = next else { return (Ending::Waiting, None) };
            let late = self.scenario.oversleeps;
            self.clock.advance_to(Instant::from_micros(next.max(now).as_micros() + late));
        }
        panic!("livelock: {STEPS} steps and no end");
    }

    #[track_caller]
    fn step(&mut self, canceled: bool) -> Progress<Socket> {
        let now = self.stack.now();
        let progress = match canceled {
            true => self.connector.cancel(&mut self.stack, now),
            false => self.connector.poll(&mut self.stack, now),
        };
        let ended = matches!(progress, Progress::Connected(_) | Progress::Failed(_));
        verify::step(&self.connector, &self.stack, ended);
        if let Progress::Failed(Failure::DeadlineExceeded) = progress {
            let deadline = self.scenario.config.deadline.expect("law 5: no deadline was set");
            assert!(now >= Instant::ZERO + deadline, "law 5: the deadline has not come at {now}");
        }
        progress
    }
}

impl Stack {
    fn release_winner(&mut self, socket: Socket) {
        use connie_core::stack::TcpClientStack;
        // The simulated stack's close never fails.
        let _ = self.close(socket);
    }
}
