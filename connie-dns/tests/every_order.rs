//! Every order in which two servers can answer, fail, refuse or lose the queries of two questions for one
//! name, with every time at which anything is due, and what the client makes of it.
//!
//! A world is a client with the queries that are on their way. What happens next is one of: a query meets one
//! of its [fates](Fate), or time passes to the next moment at which something is due. Worlds that the client
//! cannot tell apart are looked at once.

mod common;

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use common::*;
use connie_core::Instant;
use connie_core::resolution::QueryError;
use connie_dns::{DnsClient, DnsConfig, DnsInput, DnsOutput, LARGEST_QUERY, Port, QuestionId, RecordType};
use connie_sim::name_servers::{Query, Reaction, react};

type Small = DnsClient<1, 2, 16, 32>;

/// What becomes of a query. One that is lost meets none of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Fate {
    Ok,
    ServFail,
    NoSuchName,
    Lame,
    NotThere,
}

const FATES: [Fate; 5] = [Fate::Ok, Fate::ServFail, Fate::NoSuchName, Fate::Lame, Fate::NotThere];

impl Fate {
    fn reaction(self) -> &'static str {
        match self {
            Fate::Ok => "ok",
            Fate::ServFail => "servfail",
            Fate::NoSuchName => "nx",
            Fate::Lame => "lame",
            Fate::NotThere => "fails",
        }
    }
}

#[derive(Clone, Debug)]
struct InFlight {
    port: Port,
    server: usize,
    octets: Vec<u8>,
}

/// What must come of a question, as far as is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Expected {
    /// The first answer that came while it was asked.
    answer: Option<Result<u8, ()>>,
    /// Until when others' word that there is no such name is doubted.
    doubted: Option<Instant>,
    /// Servers that have failed for good.
    failed: [bool; 2],
    passing: [u8; 2],
    asked: [u8; 2],
}

#[derive(Clone, Debug)]
struct World {
    client: Small,
    now: Instant,
    /// `None` for a kind that is not asked for.
    ids: [Option<QuestionId>; 2],
    in_flight: Vec<InFlight>,
    expected: [Expected; 2],
    ended: [bool; 2],
    trail: Vec<String>,
}

const KINDS: [RecordType; 2] = [RecordType::Aaaa, RecordType::A];
const ATTEMPTS: u8 = 2;

fn index(kind: RecordType) -> usize {
    usize::from(kind == RecordType::A)
}

impl World {
    fn new(asked: &[RecordType]) -> Self {
        let settings = DnsConfig { attempts: ATTEMPTS, ..DnsConfig::default() };
        let mut client = Small::new(settings, 1);
        client.set_servers(&[server(0), server(1)], at(0));
        let name = connie_dns::Name::parse("name.test").expect("a name");
        let ids =
            KINDS.map(|kind| asked.contains(&kind).then(|| client.ask(&name, kind, at(0)).expect("room")));
        World {
            client,
            now: at(0),
            ids,
            in_flight: Vec::new(),
            expected: [Expected::default(); 2],
            ended: ids.map(|id| id.is_none()),
            trail: Vec::new(),
        }
    }

    #[track_caller]
    fn wrong(&self, what: &str) -> ! {
        panic!("{what} at {}\n{}\n{:#?}", self.now, self.trail.join("\n"), self.expected);
    }

    /// Does all that the client says. When it wants to be woken.
    fn settle(&mut self) -> Option<Instant> {
        let mut buffer = [0; LARGEST_QUERY];
        for _ in 0..50 {
            match self.client.poll_output(&mut buffer, self.now) {
                DnsOutput::Send { port, server: to, length } => self.sent(port, to, &buffer[..length]),
                DnsOutput::Connect { .. } => self.wrong("TCP, which there is not"),
                DnsOutput::Ended(id) => self.end(id),
                DnsOutput::WaitUntil(at) if at <= self.now => self.wrong("a wait until now"),
                DnsOutput::WaitUntil(at) => return Some(at),
                DnsOutput::WaitForInput => {
                    if self.ended != [true; 2] {
                        self.wrong("it waits for nothing, and a question is open");
                    }
                    return None;
                }
            }
        }
        self.wrong("the drain does not end")
    }

    fn sent(&mut self, port: Port, to: std::net::SocketAddr, octets: &[u8]) {
        if !self.client.is_open(port) {
            self.wrong("sent from a port that is closed");
        }
        let query = Query::read(octets, false);
        let server = usize::from(to == server(1));
        let expected = &mut self.expected[index(kind(query.kind))];
        expected.asked[server] += 1;
        if expected.asked[server] > ATTEMPTS {
            self.wrong("a server is asked more often than it may be");
        }
        if expected.failed[server] {
            self.wrong("a server is asked that has failed");
        }
        // A repeat is the same query for all that its answer can tell.
        self.in_flight.retain(|other| other.port != port || other.server != server);
        self.in_flight.push(InFlight { port, server, octets: octets.to_vec() });
        self.trail.push(format!("{} {} to {server}", self.now, query.kind));
    }

    fn end(&mut self, id: QuestionId) {
        let which = usize::from(Some(id) == self.ids[1]);
        if std::mem::replace(&mut self.ended[which], true) {
            self.wrong("an end is told twice");
        }
        self.check(which);
    }

    /// The end of a question is what must come of it.
    fn check(&self, which: usize) {
        let expected = self.expected[which];
        let answer = self.ids[which].and_then(|id| self.client.answer(id, self.now));
        let Some(answer) = answer else { self.wrong("an end without one") };
        match (answer, expected.answer) {
            (Ok(answer), Some(Ok(last))) => {
                let ip = match KINDS[which] {
                    RecordType::A => std::net::IpAddr::from([192, 0, 2, last]),
                    _ => std::net::IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(last)]),
                };
                assert!(answer.addresses().eq([ip]), "{answer:?} in place of {ip}");
            }
            (Err(QueryError::NoSuchName), Some(Err(()))) => {}
            (Err(QueryError::NoSuchName), None)
                if expected.doubted.is_some_and(|until| until <= self.now) => {}
            (Err(QueryError::NoSuchName | QueryError::Failed), _) => self.wrong("an end out of nowhere"),
            (Err(_), None) if expected.doubted.is_none_or(|until| self.now < until) => {
                self.check_failure(which)
            }
            (answer, _) => self.wrong(&format!("it ends with {answer:?}")),
        }
    }

    /// A question fails when every server has failed: for good, or as often as it may be asked.
    fn check_failure(&self, which: usize) {
        let expected = self.expected[which];
        for server in 0..2 {
            let is_used_up = expected.asked[server] == ATTEMPTS;
            if !expected.failed[server] && !is_used_up {
                self.wrong("it fails though a server may still answer");
            }
        }
    }

    /// The query with this index meets its fate.
    fn meet(&mut self, query: usize, fate: Fate) {
        let InFlight { port, server: from, octets } = self.in_flight.remove(query);
        let query = Query::read(&octets, false);
        let which = index(kind(query.kind));
        self.trail.push(format!("{} {} of {from}: {fate:?}", self.now, query.kind));
        let counts = self.client.is_open(port) && !self.expected[which].failed[from];
        match react(fate.reaction(), from, &query) {
            Reaction::Says(message, _) => {
                self.client.handle_input(
                    DnsInput::Datagram { port, from: server(from), message: &message },
                    self.now,
                );
            }
            _ => self.client.handle_input(DnsInput::DatagramFailed { port, server: server(from) }, self.now),
        }
        if counts {
            self.expect(which, from, fate);
        }
    }

    fn expect(&mut self, which: usize, from: usize, fate: Fate) {
        let last = from as u8 + 1;
        let expected = &mut self.expected[which];
        match fate {
            Fate::Ok => expected.answer = expected.answer.or(Some(Ok(last))),
            Fate::Lame => expected.failed[from] = true,
            // Of one that is to be asked again after a pause nothing more is heard.
            Fate::NotThere => {
                let is_waiting = expected.passing[from] < expected.asked[from];
                expected.failed[from] |= is_waiting;
            }
            Fate::ServFail => {
                expected.passing[from] = expected.asked[from];
                expected.failed[from] = expected.asked[from] == ATTEMPTS;
            }
            Fate::NoSuchName => {
                expected.answer = expected.answer.or(Some(Err(())));
                let other = &mut self.expected[1 - which];
                let is_open = !self.ended[1 - which] && other.answer.is_none();
                match KINDS[which] {
                    RecordType::A if is_open => other.answer = Some(Err(())),
                    RecordType::Aaaa if is_open => {
                        other.doubted = Some(self.now + std::time::Duration::from_secs(2))
                    }
                    _ => {}
                }
            }
        }
    }

    /// What decides all that may still happen.
    fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        format!("{:?}", self.client).hash(&mut hasher);
        (self.now, self.expected, self.ended).hash(&mut hasher);
        let mut in_flight: Vec<_> = self.in_flight.iter().map(|query| (query.port, query.server)).collect();
        in_flight.sort_by_key(|(port, server)| (format!("{port:?}"), *server));
        in_flight.hash(&mut hasher);
        hasher.finish()
    }
}

/// Looks at every world that comes of these questions and fates.
#[track_caller]
fn search(asked: &[RecordType], fates: &[Fate], at_least: usize) {
    let mut seen = HashSet::new();
    let mut worlds = vec![World::new(asked)];
    while let Some(mut world) = worlds.pop() {
        let wake = world.settle();
        if !seen.insert(world.fingerprint()) {
            continue;
        }
        if world.ended == [true; 2] {
            assert!(
                world.in_flight.iter().all(|query| !world.client.is_open(query.port)),
                "a port is left open"
            );
            // A server is asked 250 ms after the other; silent for a second it fails, and is asked again
            // after 500 ms; then it has 5 s.
            assert!(world.now <= at(250 + 1_000 + 500 + 5_000), "it takes until {}", world.now);
            continue;
        }
        for query in 0..world.in_flight.len() {
            for fate in fates {
                let mut next = world.clone();
                next.meet(query, *fate);
                worlds.push(next);
            }
        }
        let until = wake.expect("a question is open");
        // Whatever happens just before, on time or just after is the same order of events, but for who comes
        // first.
        let mut next = world;
        next.now = until;
        worlds.push(next);
    }
    assert!(seen.len() >= at_least, "{} worlds: the search has not looked at what it should", seen.len());
}

/// With `CONNIE_SEARCH=all` in the environment it is all fates: a million worlds, which take some minutes
/// without optimisation.
#[test]
fn every_order_of_answer_loss_and_refusal_of_two_questions() {
    match std::env::var("CONNIE_SEARCH").as_deref() {
        Ok("all") => search(&KINDS, &FATES, 1_000_000),
        _ => search(&KINDS, &[Fate::Ok, Fate::ServFail], 50_000),
    }
}

#[test]
fn every_order_in_which_one_of_two_questions_is_told_that_there_is_no_such_name() {
    search(&KINDS, &[Fate::Ok, Fate::NoSuchName], 600);
}

#[test]
fn every_order_of_all_fates_of_one_question() {
    for kind in KINDS {
        search(&[kind], &FATES, 700);
    }
}
