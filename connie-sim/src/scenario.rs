//! One race over one network: who is there, what the resolver says and when, and how the race is run.

use std::iter::Peekable;
use std::net::{Ipv6Addr, SocketAddr};
use std::slice::Iter;
use std::time::Duration;

use connie_core::connect::Routes;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Host as Name, Query};
use connie_core::{Config, Failure, Families, Family, Instant, Pacing, Progress, TurnResult};

use crate::by_hand::{ByHand, ScenarioDriver};
use crate::clock::SimClock;
use crate::connect_referee::{ConnectCapacity, ConnectReferee};
use crate::driver::{self, ConnectDriver, Machine};
use crate::host::SimHost;
use crate::label::{PORT, addresses, numbered};
use crate::outcome::{Ending, RaceOutcome};
use crate::resolver::{AddressEntry, QueryFate, Resolver, ResolverEvent, used};
use crate::stack::{SimSocket, SimStack};
use crate::stream::earliest;
use crate::verify;

/// More steps than any race takes: 64 dead addresses that share a socket, 10 ms each at first, take some
/// thousand.
const STEPS: u32 = 100_000;
/// More steps than there can be at one moment.
const STEPS_AT_ONE_MOMENT: u32 = 1_000;

/// A race and the network it runs over. All times are milliseconds from the start of the race.
///
/// A scenario begins with a preset; [`v6`](Scenario::v6) and [`v4`](Scenario::v4) add addresses in the order
/// in which the resolver lists them. Both answers are there at once unless said otherwise.
#[derive(Clone, Debug)]
pub struct Scenario {
    config: Config,
    host: String,
    seed: u64,
    resolver: Resolver,
    stack: ScenarioStack,
    cancel_at: Option<Instant>,
    /// How many sockets the program has for the race from a moment on, in the order of time.
    shares: Vec<(Instant, usize)>,
    restless: bool,
    oversleeps: u64,
}

#[derive(Clone, Debug, Default)]
struct ScenarioStack {
    capacity: Option<usize>,
    runs_out_at: Option<u32>,
    reports_late: bool,
    lacks: Option<Family>,
    gone_at: Option<Instant>,
    moves_at: Option<(Family, Instant)>,
    patient: bool,
}

/// A race that has ended, with all that it leaves behind.
#[derive(Debug)]
pub struct Live {
    /// The stack.
    pub stack: SimStack,
    /// Its clock.
    pub clock: SimClock,
    /// The driver, finished.
    pub driver: ConnectDriver,
    /// The connection that won, if one did.
    pub connection: Option<connie_core::Connection<SimSocket>>,
    /// What the race came to.
    pub outcome: RaceOutcome,
}

impl Scenario {
    /// The most sockets that a scenario's race can have.
    pub const SOCKETS: usize = driver::SOCKETS;

    /// A race run as `config` says.
    #[must_use]
    pub fn with(config: Config) -> Self {
        Scenario {
            config,
            host: "name.test".to_owned(),
            seed: 0,
            resolver: Resolver::new(),
            stack: ScenarioStack::default(),
            cancel_at: None,
            shares: Vec::new(),
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
    pub fn v6(self, host: SimHost) -> Self {
        self.add(Family::V6, host)
    }

    /// The next IPv4 address: `4a`, then `4b` ...
    #[must_use]
    pub fn v4(self, host: SimHost) -> Self {
        self.add(Family::V4, host)
    }

    /// `count` IPv4 addresses that do the same.
    #[must_use]
    pub fn v4s(self, count: usize, host: SimHost) -> Self {
        (0..count).fold(self, |scenario, _| scenario.v4(host.clone()))
    }

    /// `count` IPv6 addresses that do the same.
    #[must_use]
    pub fn v6s(self, count: usize, host: SimHost) -> Self {
        (0..count).fold(self, |scenario, _| scenario.v6(host.clone()))
    }

    fn add(mut self, family: Family, host: SimHost) -> Self {
        let of_family =
            self.resolver.entries.iter().filter(|entry| Family::of(&entry.address) == family).count();
        let address = numbered(family, of_family as u16 + 1);
        self.resolver.entries.push(AddressEntry {
            address,
            host,
            copies: 1,
            joins: None,
            leaves: None,
            way: Route::Unknown,
        });
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
    fn last(&mut self) -> &mut AddressEntry {
        self.resolver.entries.last_mut().expect("an address comes first")
    }

    // The resolver.

    /// The AAAA answer comes at `millis`.
    #[must_use]
    pub fn aaaa_at(mut self, millis: u64) -> Self {
        self.resolver.v6 = QueryFate::Answered(Instant::from_millis(millis));
        self
    }

    /// The A answer comes at `millis`.
    #[must_use]
    pub fn a_at(mut self, millis: u64) -> Self {
        self.resolver.v4 = QueryFate::Answered(Instant::from_millis(millis));
        self
    }

    /// The AAAA query fails at `millis`.
    #[must_use]
    pub fn aaaa_fails_at(mut self, millis: u64) -> Self {
        self.resolver.v6 = QueryFate::Fails(Instant::from_millis(millis));
        self
    }

    /// The A query fails at `millis`.
    #[must_use]
    pub fn a_fails_at(mut self, millis: u64) -> Self {
        self.resolver.v4 = QueryFate::Fails(Instant::from_millis(millis));
        self
    }

    /// The AAAA query is never answered.
    #[must_use]
    pub fn aaaa_never(mut self) -> Self {
        self.resolver.v6 = QueryFate::Silent;
        self
    }

    /// The A query is never answered.
    #[must_use]
    pub fn a_never(mut self) -> Self {
        self.resolver.v4 = QueryFate::Silent;
        self
    }

    /// One more answer about `family` at `millis`, which takes the place of the one before.
    #[must_use]
    pub fn answers(mut self, millis: u64, family: Family, addresses: Vec<SocketAddr>) -> Self {
        self.resolver.extra.push(ResolverEvent::answer(Instant::from_millis(millis), family, addresses));
        self
    }

    /// Hints for `family` at `millis`, of these addresses: `6a 6c`.
    #[must_use]
    #[track_caller]
    pub fn hints_at(mut self, millis: u64, family: Family, labels: &str) -> Self {
        self.resolver.extra.push(ResolverEvent::hints(Instant::from_millis(millis), family, labels));
        self
    }

    /// The query for the network's NAT64 prefix is answered at `millis`: it is `64:ff9b::/96`, and each IPv4
    /// host is there too, at the same distance. Without this it fails at the start.
    #[must_use]
    pub fn prefix_at(self, millis: u64) -> Self {
        let told = ["64:ff9b::192.0.0.170", "64:ff9b::192.0.0.171"];
        self.prefix_told_at(millis, &told.map(|ip| ip.parse().expect("an address")))
    }

    /// The query for the prefix is answered at `millis` with these records of `ipv4only.arpa`.
    #[must_use]
    pub fn prefix_told_at(mut self, millis: u64, records: &[Ipv6Addr]) -> Self {
        self.resolver.prefix = QueryFate::Answered(Instant::from_millis(millis));
        self.resolver.prefix_addresses = records.to_vec();
        self
    }

    /// The query for the prefix fails at `millis`.
    #[must_use]
    pub fn prefix_fails_at(mut self, millis: u64) -> Self {
        self.resolver.prefix = QueryFate::Fails(Instant::from_millis(millis));
        self
    }

    /// The query for the prefix is never answered.
    #[must_use]
    pub fn prefix_never(mut self) -> Self {
        self.resolver.prefix = QueryFate::Silent;
        self
    }

    // The host that the race runs on.

    /// The families by which it can reach the internet. Whether attempts fail is set by
    /// [`without`](Scenario::without).
    #[must_use]
    pub fn routes(mut self, routes: Routes) -> Self {
        self.resolver.routes = routes;
        self
    }

    /// It has no route to the internet for `family`.
    #[must_use]
    pub fn without_route(mut self, family: Family) -> Self {
        let Routes { v4, v6 } = self.resolver.routes;
        self.resolver.routes = match family {
            Family::V4 => Routes { v4: false, v6 },
            Family::V6 => Routes { v4, v6: false },
        };
        self
    }

    /// How it would send to the last address, as RFC 6724 wants to know. Nothing is known of the others.
    #[must_use]
    pub fn by_way_of(mut self, way: Route) -> Self {
        self.last().way = way;
        self
    }

    /// Its hosts file has the name, with these addresses: `4a 6a`.
    #[must_use]
    #[track_caller]
    pub fn known(self, labels: &str) -> Self {
        self.known_as(addresses(labels))
    }

    /// The same, written out.
    #[must_use]
    pub fn known_as(mut self, addresses: Vec<SocketAddr>) -> Self {
        self.resolver.known = Some(addresses);
        self
    }

    // The race.

    /// The caller wants the addresses of `family` first.
    #[must_use]
    pub fn prefer(mut self, family: Family) -> Self {
        self.config.preferred_family = family;
        self
    }

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

    /// From `millis` on the program has `count` sockets for the race, until it has another number: the race
    /// is limited to that, or grows to it. Call it in the order of time.
    #[must_use]
    pub fn shares_at(mut self, millis: u64, count: usize) -> Self {
        self.shares.push((Instant::from_millis(millis), count));
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

    /// The connection attempt delay, which grows to `percent` of itself each time it runs out. Makes the race
    /// a staggered one.
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

    /// The `count`-th socket cannot be opened: see [`SimStack::runs_out_at`].
    #[must_use]
    pub fn runs_out_at(mut self, count: u32) -> Self {
        self.stack.runs_out_at = Some(count);
        self
    }

    /// Running out is reported late: see [`SimStack::reports_late`].
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

    /// The stack has another address of `family` from `millis` on.
    #[must_use]
    pub fn moves_at(mut self, family: Family, millis: u64) -> Self {
        self.stack.moves_at = Some((family, Instant::from_millis(millis)));
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

    /// Runs the race, closes the winner, and tells what it came to. It is run twice, by
    /// [`poll`](connie_core::Driver::poll) and by hand, under the eyes of a [`ConnectReferee`]; and where all
    /// addresses are known at the start once more, by [`turn`](ConnectDriver::turn). All must come to the
    /// same.
    ///
    /// # Panics
    ///
    /// When the race breaks one of its laws.
    #[track_caller]
    pub fn run(&self) -> RaceOutcome {
        let outcome = self.hang_up(self.connect());
        if self.answers_at_once() && outcome.ending != Ending::Waiting && self.oversleeps == 0 {
            let by_turns = self.hang_up(self.connect_by_turns());
            if outcome.ending == Ending::Failed(Failure::Canceled) {
                // What an attempt has come to at the very moment of the cancel only `turn` still looks at.
                assert_eq!(by_turns.ending, outcome.ending, "turn and poll came to different ends");
                assert_eq!(
                    by_turns.start_list(),
                    outcome.start_list(),
                    "turn and poll made different starts"
                );
            } else {
                assert_eq!(by_turns, outcome, "turn and poll came to different ends");
            }
        }
        outcome
    }

    /// Runs the race once, by a driver alone, and tells what it came to: for pictures and figures of a
    /// network whose races are checked elsewhere. A program that shows them need not carry a referee.
    #[must_use]
    #[track_caller]
    pub fn show(&self) -> RaceOutcome {
        let (mut stack, mut clock) = self.lay_out();
        let mut driver = self.driver();
        let run = self.drive(&mut driver, &mut stack, &mut clock);
        let outcome = self.conclude(&stack, driver.connect(), &run);
        if let Some(connection) = run.connection {
            stack.release_winner(connection.socket);
        }
        outcome
    }

    /// Runs the race once and does not check its books: for measuring. All addresses must be known at the
    /// start.
    #[track_caller]
    pub fn run_once(&self) -> Ending {
        let (mut stack, mut clock) = self.lay_out();
        let mut driver = self.driver();
        let run = self.take_turns(&mut driver, &mut stack, &mut clock);
        if let Some(connection) = run.connection {
            stack.release_winner(connection.socket);
        }
        run.ending
    }

    /// Runs the race, by a driver and by hand under a [`ConnectReferee`], and leaves the winner of the first
    /// open.
    ///
    /// # Panics
    ///
    /// When the race breaks one of its laws.
    #[track_caller]
    pub fn connect(&self) -> Live {
        let (mut stack, mut clock) = self.lay_out();
        let mut driver = self.driver();
        let run = self.drive(&mut driver, &mut stack, &mut clock);
        let outcome = self.conclude(&stack, driver.connect(), &run);
        assert_eq!(self.drive_by_hand(), outcome, "by hand the race came to another end");
        Live { stack, clock, driver, connection: run.connection, outcome }
    }

    #[track_caller]
    fn drive_by_hand(&self) -> RaceOutcome {
        let (mut stack, mut clock) = self.lay_out();
        let (host, facts, now) = (&self.host, self.resolver.facts(), Instant::ZERO);
        let room = ConnectCapacity {
            destinations: driver::DESTINATIONS,
            sockets: driver::SOCKETS,
            nat64: driver::NAT64,
        };
        let referee = ConnectReferee::new(host, PORT, &self.config, &facts, room, now);
        let connect = Machine::new(host, PORT, &self.config, &facts, now).expect("a host");
        let mut by_hand = ByHand::new(connect, referee);
        let run = self.drive(&mut by_hand, &mut stack, &mut clock);
        self.conclude(&stack, by_hand.machine(), &run)
    }

    #[track_caller]
    fn connect_by_turns(&self) -> Live {
        let (mut stack, mut clock) = self.lay_out();
        let mut driver = self.driver();
        let run = self.take_turns(&mut driver, &mut stack, &mut clock);
        let outcome = self.conclude(&stack, driver.connect(), &run);
        Live { stack, clock, driver, connection: run.connection, outcome }
    }

    #[track_caller]
    fn conclude(&self, stack: &SimStack, connect: &Machine, run: &ScenarioRun) -> RaceOutcome {
        let mut outcome = RaceOutcome::new(run.ending, &connect.timeline(), stack);
        outcome.queries.clone_from(&run.queries);
        outcome.failed_queries = connect.failures(&self.host).map(|failure| failure.to_string()).collect();
        let late = Duration::from_micros(self.oversleeps);
        verify::outcome(&outcome, &self.config, stack, &self.listed_by(stack.now()), late);
        outcome
    }

    /// Closes the winner, and sees that nothing is left.
    #[track_caller]
    fn hang_up(&self, mut live: Live) -> RaceOutcome {
        if let Some(connection) = live.connection {
            live.stack.release_winner(connection.socket);
        }
        if live.outcome.ending != Ending::Waiting {
            assert_eq!(live.stack.open(), 0, "a socket was left open");
        }
        live.outcome
    }

    fn driver(&self) -> ConnectDriver {
        let facts = self.resolver.facts();
        ConnectDriver::new(&self.host, PORT, &self.config, &facts, Instant::ZERO).expect("a host")
    }

    fn answers_at_once(&self) -> bool {
        // `turn` first asks at its first wait, and a program that waits in it has nothing to share out
        // meanwhile.
        self.shares.is_empty()
            && self.resolver.answers_at_once(self.config.families)
            && self.cancel_at != Some(Instant::ZERO)
    }

    fn lay_out(&self) -> (SimStack, SimClock) {
        let mut stack = SimStack::new(self.seed);
        for entry in &self.resolver.entries {
            stack.put(entry.address, entry.host.clone());
        }
        for (address, host) in self.resolver.translated() {
            stack.put(address, host.clone());
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
        if let Some((family, at)) = rules.moves_at {
            stack.moves_at(family, at);
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

    /// What the last answers up to `end` hold, as far as all of it is to be tried.
    fn listed_by(&self, end: Instant) -> Vec<SocketAddr> {
        let is_asked_for = matches!(Name::parse(&self.host), Ok(Name::Name(_)));
        let families = match (&self.resolver.known, self.resolver.routes) {
            (None, _) if !is_asked_for => return Vec::new(),
            (Some(known), _) => return used(known.clone(), self.config.families),
            // Behind a NAT64 IPv4 addresses go by other names.
            (None, Routes { v4: false, .. }) if self.config.families == Families::Both => {
                Families::Only(Family::V6)
            }
            (None, _) => self.config.families,
        };
        self.resolver.listed_by(end, families)
    }

    /// The least time from a SYN to the end of a handshake that any address of the last answers has, in
    /// microseconds, jitter and loss left out; `None` when none accepts.
    #[must_use]
    pub fn oracle(&self) -> Option<u64> {
        let accepting =
            self.resolver.entries.iter().filter(|entry| entry.host.accepts() && entry.leaves.is_none());
        accepting.map(|entry| entry.host.round_trip_micros()).min()
    }
}

/// How a race that was driven went.
struct ScenarioRun {
    ending: Ending,
    connection: Option<connie_core::Connection<SimSocket>>,
    /// The queries that were sent.
    queries: Vec<Query>,
}

impl Scenario {
    /// Drives it as a program with a loop of its own does.
    #[track_caller]
    fn drive(
        &self,
        driven: &mut impl ScenarioDriver,
        stack: &mut SimStack,
        clock: &mut SimClock,
    ) -> ScenarioRun {
        let says = self.resolver.events();
        let mut says = says.iter().peekable();
        let mut shares = self.shares.iter().peekable();
        let (mut queries, mut here) = (Vec::new(), (Instant::ZERO, 0));
        for _ in 0..STEPS {
            let now = stack.now();
            here = if here.0 == now { (now, here.1 + 1) } else { (now, 1) };
            assert!(here.1 < STEPS_AT_ONE_MOMENT, "livelock at {now}");
            let canceled = self.cancel_at.filter(|at| *at <= now).is_some();
            while let Some((_, count)) = shares.next_if(|(at, _)| *at <= now) {
                driven.share(*count);
            }
            let until = match self.step(driven, stack, canceled) {
                Progress::SendQuery(query) => {
                    queries.push(query);
                    continue;
                }
                Progress::WaitUntil(until) => {
                    assert!(until > now, "law 4: a wait until {until} at {now} has no length");
                    Some(until)
                }
                Progress::WaitForInput => None,
                Progress::Connected(connection) => {
                    let ending = Ending::Connected(connection.destination);
                    return ScenarioRun { ending, connection: Some(connection), queries };
                }
                Progress::Failed(failure) => {
                    return ScenarioRun { ending: Ending::Failed(failure), connection: None, queries };
                }
                Progress::Finished => panic!("law 1: the race finished twice"),
            };
            if says.peek().is_some_and(|said| said.at <= now) {
                // What is there as soon as it is asked for.
                handle_due(&mut says, driven, now);
                continue;
            }
            let limit = earliest(until, says.peek().map(|said| said.at));
            let limit = earliest(limit, self.cancel_at);
            let limit = earliest(limit, shares.peek().map(|(at, _)| *at));
            let next = earliest(stack.next_handshake(limit), limit);
            let Some(next) = next else {
                return ScenarioRun { ending: Ending::Waiting, connection: None, queries };
            };
            clock.advance_to(Instant::from_micros(next.max(now).as_micros() + self.oversleeps));
            handle_due(&mut says, driven, stack.now());
        }
        panic!("livelock: {STEPS} steps and no end");
    }

    #[track_caller]
    fn step(
        &self,
        driven: &mut impl ScenarioDriver,
        stack: &mut SimStack,
        canceled: bool,
    ) -> Progress<SimSocket, Query> {
        let now = stack.now();
        let progress = match canceled {
            true => driven.cancel(stack, now),
            false => driven.poll(stack, now),
        };
        let ended = matches!(progress, Progress::Connected(_) | Progress::Failed(_));
        verify::step(driven.machine(), stack, ended, !self.shares.is_empty());
        if let Progress::Failed(Failure::DeadlineExceeded) = progress {
            let deadline = self.config.deadline.expect("law 5: no deadline was set");
            assert!(now >= Instant::ZERO + deadline, "law 5: the deadline has not come at {now}");
        }
        progress
    }

    /// Runs it as a program does that has all answers at the start.
    #[track_caller]
    fn take_turns(
        &self,
        driver: &mut ConnectDriver,
        stack: &mut SimStack,
        clock: &mut SimClock,
    ) -> ScenarioRun {
        let mut queries = Vec::new();
        loop {
            let (ending, connection) = match driver.turn(stack, clock) {
                TurnResult::SendQuery(query) => {
                    queries.push(query);
                    for said in self.resolver.events_for(query) {
                        assert_eq!(said.at, Instant::ZERO, "all addresses are known at the start");
                        driver.handle_input(said.input(), Instant::ZERO);
                    }
                    continue;
                }
                TurnResult::Waited => continue,
                TurnResult::Connected(connection) => {
                    (Ending::Connected(connection.destination), Some(connection))
                }
                TurnResult::Failed(failure) => (Ending::Failed(failure), None),
            };
            return ScenarioRun { ending, connection, queries };
        }
    }
}

/// Tells what has come by `now`.
#[track_caller]
fn handle_due(says: &mut Peekable<Iter<'_, ResolverEvent>>, driven: &mut impl ScenarioDriver, now: Instant) {
    while let Some(said) = says.next_if(|said| said.at <= now) {
        driven.handle_input(said.input(), now);
    }
}

impl SimStack {
    fn release_winner(&mut self, socket: SimSocket) {
        use connie_core::stack::TcpClientStack;
        // The simulated stack's close never fails.
        let _ = self.close(socket);
    }
}
