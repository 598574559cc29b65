//! The loop: clients come, SYNs arrive, servers answer, in the order of time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use connie_core::{AttemptId, Input, Instant, Output};

use super::clients::{Race, ServiceClient, addresses, server};
use super::report::ServiceReport;
use super::servers::ServiceServer;
use super::{HAPPENS, OVERLOAD, SERVERS, ServiceRun, Story};
use crate::rng::Rng;

/// A second, in nanoseconds, which all times here are in.
const SECOND: u64 = 1_000_000_000;
/// How much longer an answer takes by chance, at most.
const JITTER: u64 = SECOND / 250;
/// The time in which all clients come for the first time.
const FILLS: u64 = 60 * SECOND;

/// Something that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServiceEvent {
    /// A client comes.
    Visit(u32),
    /// A race wants to be asked.
    PollRace { flight: u32, number: u32 },
    /// The answer to a SYN comes.
    Answer { flight: u32, number: u32, id: AttemptId, server: u8, deaths: u32, sent_again: bool },
    /// A SYN is sent again.
    Again { flight: u32, number: u32, id: AttemptId, server: u8, count: u8 },
    /// What the story is about begins, or is over.
    Happens { is_over: bool },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct DueEvent {
    at: u64,
    order: u64,
    what: ServiceEvent,
}

impl Ord for DueEvent {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

impl PartialOrd for DueEvent {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// A visit under way.
struct Flight {
    race: Race,
    client: u32,
    number: u32,
    began: u64,
    wakes: u64,
    /// When the first answer comes, where no server dies: what comes later nobody hears.
    first: u64,
}

struct ServiceWorld {
    run: ServiceRun,
    rng: Rng,
    now: u64,
    /// The work of a connection, and of its handshake.
    work: u64,
    handshake: u64,
    addresses: [SocketAddr; 2 * SERVERS],
    servers: [ServiceServer; SERVERS],
    clients: Vec<ServiceClient>,
    /// Those from here on are new, and leave again.
    regulars: u32,
    flights: Vec<Option<Box<Flight>>>,
    free: Vec<u32>,
    numbers: u32,
    due: BinaryHeap<Reverse<DueEvent>>,
    orders: u64,
    report: ServiceReport,
}

/// Lets it happen, and says what came of it.
#[must_use]
pub fn run(run: &ServiceRun) -> ServiceReport {
    let mut world = ServiceWorld::new(*run);
    let length = run.length.as_nanos() as u64;
    while let Some(Reverse(due)) = world.due.pop() {
        if due.at >= length {
            break;
        }
        world.now = due.at;
        world.happens(due.what);
    }
    let whole = (length / ServiceReport::BIN.as_nanos() as u64) as usize;
    world.report.bins.truncate(whole);
    world.report
}

impl ServiceWorld {
    fn new(run: ServiceRun) -> Self {
        let regulars = if run.story == Story::Crowd { run.clients / 2 } else { run.clients };
        // What comes to one server in the time of a pause.
        let visits = f64::from(regulars) / SERVERS as f64;
        let work = run.pause.as_nanos() as f64 * run.load as f64 / 100.0 / visits;
        let mut rng = Rng::new(run.seed);
        let clients = (0..run.clients).map(|_| ServiceClient::new(run.policy, &mut rng)).collect();
        let mut world = ServiceWorld {
            run,
            rng,
            now: 0,
            work: work as u64,
            handshake: (work * run.handshake as f64 / 100.0) as u64,
            addresses: addresses(),
            servers: [ServiceServer::new(); SERVERS],
            clients,
            regulars,
            flights: Vec::new(),
            free: Vec::new(),
            numbers: 0,
            due: BinaryHeap::new(),
            orders: 0,
            report: ServiceReport::default(),
        };
        world.schedule();
        world
    }

    /// What is known from the start.
    fn schedule(&mut self) {
        let happens = HAPPENS.as_nanos() as u64;
        for client in 0..self.regulars {
            let at = self.rng.below(FILLS);
            self.put(at, ServiceEvent::Visit(client));
        }
        let overload = OVERLOAD.as_nanos() as u64;
        for client in self.regulars..self.run.clients {
            let at = happens + self.rng.below(overload);
            self.put(at, ServiceEvent::Visit(client));
        }
        self.put(happens, ServiceEvent::Happens { is_over: false });
        self.put(self.run.over().as_nanos() as u64, ServiceEvent::Happens { is_over: true });
    }

    fn put(&mut self, at: u64, what: ServiceEvent) {
        self.orders += 1;
        self.due.push(Reverse(DueEvent { at, order: self.orders, what }));
    }

    fn instant(&self) -> Instant {
        Instant::from_micros(self.now / 1_000)
    }

    fn happens(&mut self, what: ServiceEvent) {
        match what {
            ServiceEvent::Visit(client) => self.visit(client),
            ServiceEvent::PollRace { flight, number } => {
                // One that was put off meanwhile comes later.
                let now = self.now;
                if self.flight(flight, number).is_some_and(|it| it.wakes <= now) {
                    self.drain(flight, false);
                }
            }
            ServiceEvent::Answer { flight, number, id, server, deaths, sent_again } => {
                let instant = self.instant();
                let is_lost = self.servers[usize::from(server)].deaths != deaths;
                if is_lost {
                    return;
                }
                if let Some(it) = self.flight(flight, number) {
                    it.race.handle_input(Input::AttemptSucceeded { id }, instant);
                    self.drain(flight, sent_again);
                }
            }
            ServiceEvent::Again { flight, number, id, server, count } => {
                if self.flight(flight, number).is_some() {
                    self.syn(flight, number, id, usize::from(server), count);
                }
            }
            ServiceEvent::Happens { is_over } => self.handle_story(is_over),
        }
    }

    fn handle_story(&mut self, is_over: bool) {
        let now = self.now;
        let [first, ..] = &mut self.servers;
        match (self.run.story, is_over) {
            (Story::Returns, false) => first.dies(),
            (Story::Returns, true) => first.comes_back(),
            (Story::HalfRate, false) => self.servers.iter_mut().for_each(|it| it.works_at(50, now)),
            (Story::HalfRate, true) => self.servers.iter_mut().for_each(|it| it.works_at(100, now)),
            // Those who are new come, and leave, by themselves.
            (Story::Crowd, _) => {}
        }
    }

    fn flight(&mut self, flight: u32, number: u32) -> Option<&mut Flight> {
        self.flights[flight as usize].as_deref_mut().filter(|it| it.number == number)
    }

    fn visit(&mut self, client: u32) {
        // A resolver that rotates.
        let begin = self.rng.below(SERVERS as u64) as usize;
        let now = self.instant();
        let answer = &self.addresses[begin..begin + SERVERS];
        let race = self.clients[client as usize].begin(self.run.policy, answer, now);
        self.numbers = self.numbers.wrapping_add(1);
        let begun = Flight { race, client, number: self.numbers, began: self.now, wakes: 0, first: u64::MAX };
        let flight = self.free.pop().unwrap_or_else(|| {
            self.flights.push(None);
            self.flights.len() as u32 - 1
        });
        self.flights[flight as usize] = Some(Box::new(begun));
        self.drain(flight, false);
    }

    /// Does what the race says until it waits or has ended.
    fn drain(&mut self, flight: u32, sent_again: bool) {
        let now = self.instant();
        loop {
            let Some(it) = self.flights[flight as usize].as_deref_mut() else { return };
            let number = it.number;
            match it.race.poll_output(now) {
                Output::StartAttempt { id, destination } => {
                    self.report.bin(self.now).syns += 1;
                    self.syn(flight, number, id, server(destination), 0);
                }
                Output::CancelAttempt { .. } => {}
                Output::WaitUntil(at) => {
                    let at = at.as_micros() * 1_000;
                    if it.wakes != at {
                        it.wakes = at;
                        self.put(at, ServiceEvent::PollRace { flight, number });
                    }
                    return;
                }
                Output::WaitForInput => return,
                Output::Established { destination, .. } => {
                    return self.ended(flight, Some(destination), sent_again);
                }
                Output::Failed(_) => return self.ended(flight, None, sent_again),
            }
        }
    }

    /// The `count`-th time that an attempt's SYN is sent again. It arrives at once, and its answer takes all
    /// of the round trip.
    fn syn(&mut self, flight: u32, number: u32, id: AttemptId, to: usize, count: u8) {
        let Some(it) = self.flights[flight as usize].as_deref_mut() else { return };
        let round_trip = self.clients[it.client as usize].round_trip;
        let is_lost = self.rng.below(1_000) < self.run.lost;
        let (now, handshake) = (self.now, self.handshake);
        let done = if is_lost { None } else { self.servers[to].takes(handshake, now) };
        let server = to as u8;
        match done {
            Some(done) => {
                let deaths = self.servers[to].deaths;
                let at = done + round_trip + self.rng.below(JITTER);
                if at >= it.first {
                    return;
                }
                if self.run.story != Story::Returns {
                    it.first = at;
                }
                let sent_again = count > 0;
                self.put(at, ServiceEvent::Answer { flight, number, id, server, deaths, sent_again });
            }
            None if count < 6 => {
                let at = now + (SECOND << count);
                self.put(at, ServiceEvent::Again { flight, number, id, server, count: count + 1 });
            }
            None => {}
        }
    }

    fn ended(&mut self, flight: u32, winner: Option<SocketAddr>, sent_again: bool) {
        let Some(it) = self.flights[flight as usize].take() else { return };
        self.free.push(flight);
        let (now, instant) = (self.now, self.instant());
        let took = (now - it.began) / 1_000;
        let bin = self.report.bin(now);
        match winner {
            Some(address) => {
                let server = server(address);
                bin.connected[server] += 1;
                bin.micros += took;
                let rest = self.work - self.handshake;
                self.servers[server].serves(rest, now);
            }
            None => bin.failed += 1,
        }
        let client = &mut self.clients[it.client as usize];
        client.end(&it.race, winner, sent_again, instant);
        let away = self.pause();
        let leaves = it.client >= self.regulars && now + away > (HAPPENS + OVERLOAD).as_nanos() as u64;
        if !leaves {
            self.put(now + away, ServiceEvent::Visit(it.client));
        }
    }

    /// Until a client comes again: exponential, as those of many people are.
    fn pause(&mut self) -> u64 {
        let chance = (self.rng.below(1 << 53) + 1) as f64 / (1_u64 << 53) as f64;
        (-chance.ln() * self.run.pause.as_nanos() as f64) as u64
    }
}
