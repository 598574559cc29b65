//! Visits to one host by a program with a memory, one after the other.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{ExplainedAddress, Explanation, Finish, Memory, Network};
use connie_core::race::{Plan, Planned, PlannedRace};
use connie_core::stack::TcpClientStack;
use connie_core::timeline::Attempt;
use connie_core::{Config, Failure, Family, Instant, RaceDriver as Core};

use crate::driver::{DESTINATIONS, SOCKETS};
use crate::host::SimHost;
use crate::label::{address, addresses, label};
use crate::recording::Recording;
use crate::stack::SimStack;
use crate::tally::Tally;

/// A program in virtual time that visits one host over and over, or several.
///
/// ```
/// use connie_core::Config;
/// use connie_sim::{Visits, ok};
///
/// let mut visits = Visits::new(&Config::all_at_once(), 1);
/// visits.answer("4a 4b").put("4a", ok(30)).put("4b", ok(60));
/// assert_eq!(visits.visit().starts, "4a@0 4b@0");
/// // The one that answered, alone.
/// assert_eq!(visits.visit().starts, "4a@0");
/// ```
#[derive(Debug)]
pub struct Visits {
    /// The memory; `None` for a program without one.
    pub memory: Option<Memory<64>>,
    /// How each race is run.
    pub config: Config,
    /// Where the program is.
    pub network: Network,
    /// Whom it visits.
    pub host: String,
    /// Whether it wants the address of the visit before.
    pub incumbent: bool,
    /// How long after one visit the next begins.
    pub pause: Duration,
    stack: SimStack,
    v6: Vec<SocketAddr>,
    v4: Vec<SocketAddr>,
}

/// A visit that takes longer has no end.
const LONGEST: Duration = Duration::from_secs(86_400);

/// What came of one visit.
#[derive(Clone, Debug)]
pub struct SimVisit {
    /// What started, and when, in milliseconds: `4a@0 4b@40`.
    pub starts: String,
    /// The label of what won.
    pub winner: Option<String>,
    /// What won.
    pub address: Option<SocketAddr>,
    /// Why it failed, where it did.
    pub failure: Option<Failure>,
    /// How long it took.
    pub took: Duration,
    /// The SYNs that went out, those sent again by the stack not counted.
    pub syns: u32,
    /// The handshakes that servers did for nothing.
    pub wasted: u32,
    /// What the race followed.
    pub plan: Plan<DESTINATIONS>,
    /// Its timeline.
    pub recording: Recording,
}

impl Visits {
    /// With a memory that knows nothing. What is random derives from `seed`.
    #[must_use]
    pub fn new(config: &Config, seed: u64) -> Self {
        let mut stack = SimStack::new(seed);
        // Linux.
        stack.syn_retries(Some(6));
        let mut clock = stack.clock();
        clock.advance_to(Instant::from_millis(1_000));
        Visits {
            memory: Some(Memory::new(seed as u32 ^ 0x5eed, stack.now())),
            config: config.clone(),
            network: Network::new("192.0.2.200".parse().ok(), "2001:db8:ff::1".parse().ok()),
            host: "name.test".into(),
            incumbent: false,
            pause: Duration::from_millis(200),
            stack,
            v6: Vec::new(),
            v4: Vec::new(),
        }
    }

    /// What the host's name is answered with from now on.
    pub fn answer(&mut self, labels: &str) -> &mut Self {
        self.answer_with(&addresses(labels))
    }

    /// The same with addresses that have no label.
    pub fn answer_with(&mut self, addresses: &[SocketAddr]) -> &mut Self {
        (self.v6, self.v4) = addresses.iter().partition(|it| Family::of(it) == Family::V6);
        self
    }

    /// Puts `host` behind the address named `label`.
    pub fn put(&mut self, label: &str, host: SimHost) -> &mut Self {
        self.put_at(address(label), host)
    }

    /// Puts `host` behind an address.
    pub fn put_at(&mut self, address: SocketAddr, host: SimHost) -> &mut Self {
        self.stack.put(address, host);
        self
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) -> &mut Self {
        let to = self.stack.now() + time;
        self.stack.clock().advance_to(to);
        self
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.stack.now()
    }

    /// What `look` makes of why the next visit will do what it does. It changes nothing.
    ///
    /// # Panics
    ///
    /// Without a memory.
    pub fn explain<T>(&self, look: impl FnOnce(Explanation<'_>) -> T) -> T {
        let (now, mut memory) = (self.stack.now(), self.memory.clone().expect("a memory"));
        let about = memory.visit(&self.host, Finish::Tcp, 0, &self.network);
        let mut race = PlannedRace::<DESTINATIONS, SOCKETS, 256>::new(&self.config, now);
        race.handle_addresses(&[self.v6.as_slice(), &self.v4].concat(), now);
        let plan = memory.plan(&about, &race, 0, now);
        look(memory.explain(&about, &race, &plan, &mut [ExplainedAddress::EMPTY; DESTINATIONS], now))
    }

    /// One visit: both families have answered when it begins.
    ///
    /// # Panics
    ///
    /// When it has no end within a day.
    pub fn visit(&mut self) -> SimVisit {
        self.visit_with(0, |_, _| ())
    }

    /// The same, where `look` sees the attempts of the race when it has ended, and the moment of its start;
    /// `spread` is the plan's.
    pub fn visit_with(&mut self, spread: u32, look: impl FnOnce(&[Attempt], Instant)) -> SimVisit {
        let Visits { memory, config, network, host, incumbent, stack, v6, v4, .. } = self;
        let mut clock = stack.clock();
        let start = stack.now();
        let mut driver =
            Core::<SimStack, DESTINATIONS, SOCKETS, 256, Planned<DESTINATIONS>>::new(config, start);
        driver.handle_addresses(&[v6.as_slice(), v4].concat(), start);
        let about = memory.as_ref().map(|memory| memory.visit(host, Finish::Tcp, 0, network));
        if let (Some(memory), Some(about)) = (memory.as_mut(), &about) {
            let plan = match incumbent {
                true => memory.plan_for_incumbent(about, driver.race(), start),
                false => memory.plan(about, driver.race(), spread, start),
            };
            driver.follow(&plan);
        }
        clock.cancels_at(start + LONGEST);
        let known = [v6.as_slice(), v4].concat();
        let before: Vec<Tally> = known.iter().map(|it| stack.tally(*it)).collect();
        let result = driver.run(stack, &mut clock);
        let race = driver.race();
        let took = race.elapsed();
        assert!(took < LONGEST, "a visit has no end");
        let won = result.as_ref().ok().map(|connection| connection.destination);
        let counted = |count: fn(Tally) -> u32, it: SocketAddr| {
            let before = known.iter().position(|known| *known == it).map(|index| before[index]);
            count(stack.tally(it)) - before.map_or(0, count)
        };
        let is_sent_again =
            won.is_some_and(|won| counted(|tally| tally.syns, won) > counted(|tally| tally.attempts, won));
        let attempts: Vec<Attempt> = race.timeline().attempts().collect();
        let visit = SimVisit {
            starts: starts(&attempts),
            winner: won.map(label),
            address: won,
            failure: result.as_ref().err().copied(),
            took,
            syns: attempts.len() as u32,
            wasted: known.iter().map(|it| counted(|tally| tally.resets, *it)).sum(),
            plan: race.plan(),
            recording: Recording::from_timeline(&race.timeline()),
        };
        look(&attempts, start);
        if let (Some(memory), Some(about)) = (memory.as_mut(), &about) {
            memory.learn(about, race, is_sent_again, stack.now());
        }
        if let Ok(connection) = result {
            stack.close(connection.socket).expect("the winner is open");
        }
        self.wait(self.pause);
        visit
    }
}

fn starts(attempts: &[Attempt]) -> String {
    let start = |it: &Attempt| format!("{}@{}", label(it.destination), it.started.as_millis());
    attempts.iter().map(start).collect::<Vec<_>>().join(" ")
}
