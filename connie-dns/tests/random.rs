//! Whatever servers send and whatever a program does: the laws of a client hold. A failure names its seed.
//!
//! Law 1: a drain ends, and a wait ends later than now. Law 2: a question ends, within the [bound](bound)
//! where the client is woken when it says, and its end is told once. Law 3: an answer that is told was given:
//! its addresses stand in a message that has come. Law 4: no port is open without a question. Law 5: nothing
//! panics, and a message that cannot be read leads to none of it being known.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::*;
use connie_core::Instant;
use connie_dns::{
    DnsClient, DnsConfig, DnsInput, DnsOutput, DnsTransport, LARGEST_QUERY, Name, Port, QuestionId,
    RecordType,
};
use connie_sim::name_servers::{Query, Reaction, react};
use connie_sim::{Rng, seeds};

type Small = DnsClient<3, 3, 24, 64>;

const REACTIONS: &[&str] = &[
    "ok",
    "many:9",
    "nodata",
    "nodata-without-soa",
    "nx",
    "nx-without-soa",
    "servfail",
    "refused",
    "formerr",
    "badvers",
    "lame",
    "referral",
    "tc",
    "tc-with",
    "alias:b.test",
    "alias:c.test",
    "alias-ok",
    "chain:3",
    "circle",
    "wild-goose",
    "broken-alias",
    "short-and-ok",
    "short",
    "stranger",
    "ttl:1",
    "service",
    "bad-service",
    "garbage",
    "echo",
    "wrong-id",
    "without-question:1",
    "without-question:2",
    "two-cut",
    "cut",
    "ok-in-capitals",
    "fails",
    "alias-nx",
    "ok-opt",
];

const NAMES: [&str; 5] = ["a.test", "b.test", "c.test", "A.Test", "x.onion"];

struct World {
    client: Small,
    rng: Rng,
    now: Instant,
    settings: DnsConfig,
    /// Queries that servers have, with the way they have come.
    queries: Vec<(Port, SocketAddr, Query)>,
    ports: Vec<Port>,
    /// Who waits for what, and how often.
    waiting: BTreeMap<String, (QuestionId, u32)>,
    ended: BTreeSet<String>,
    /// Every message that has come.
    messages: Vec<Vec<u8>>,
}

/// How long a question takes at most: for each name that it asks for, until the last server is asked, its
/// waits with a pause each, and the last.
fn bound(settings: &DnsConfig) -> Duration {
    let attempts = u32::from(settings.attempts.max(1));
    let waits: Duration = (1..attempts).map(|times| Duration::from_millis(1_500 << times)).sum();
    let each = Duration::from_millis(500) + waits + settings.timeout * (attempts + 2);
    // As often as aliases are followed, and once.
    each * 9
}

impl World {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let settings = DnsConfig {
            attempts: rng.within(0, 4) as u8,
            timeout: Duration::from_millis(rng.pick(&[10, 300, 2_000, 5_000])),
            transport: rng.pick(&[DnsTransport::Udp, DnsTransport::UdpAndTcp, DnsTransport::Tcp]),
            randomise_case: rng.chance(30),
            longest_ttl: Duration::from_secs(rng.pick(&[0, 1, 60])),
            ..DnsConfig::default()
        };
        let mut client = Small::new(settings, rng.bits());
        let count = rng.within(0, 3) as usize;
        client.set_servers(&(0..count).map(server).collect::<Vec<_>>(), at(0));
        World {
            client,
            rng,
            now: at(0),
            settings,
            queries: Vec::new(),
            ports: Vec::new(),
            waiting: BTreeMap::new(),
            ended: BTreeSet::new(),
            messages: Vec::new(),
        }
    }

    /// Does all that the client says: law 1. When it wants to be woken.
    fn drain(&mut self) -> Option<Instant> {
        let mut buffer = [0; LARGEST_QUERY];
        for _ in 0..200 {
            match self.client.poll_output(&mut buffer, self.now) {
                DnsOutput::Send { port, server, length } => self.sent(port, server, &buffer[..length], false),
                DnsOutput::Connect { port, server, length } => {
                    self.sent(port, server, &buffer[..length], true)
                }
                DnsOutput::Ended(id) => self.end(id),
                DnsOutput::WaitUntil(at) => {
                    assert!(at > self.now, "law 1: a wait until {at} at {}", self.now);
                    return Some(at);
                }
                DnsOutput::WaitForInput => {
                    self.look_for_open();
                    return None;
                }
            }
        }
        panic!("law 1: the drain does not end");
    }

    fn sent(&mut self, port: Port, to: SocketAddr, octets: &[u8], tcp: bool) {
        assert!(self.client.is_open(port), "law 4: sent from a port that is closed");
        assert!(
            tcp == (self.settings.transport == DnsTransport::Tcp)
                || self.settings.transport == DnsTransport::UdpAndTcp
        );
        self.ports.push(port);
        self.queries.push((port, to, Query::read(octets, tcp)));
    }

    /// Law 2.
    fn end(&mut self, id: QuestionId) {
        assert!(self.client.answer(id, self.now).is_some(), "law 2: an end without one");
        assert!(self.ended.insert(format!("{id:?}")), "law 2: an end is told twice");
    }

    /// Nothing is due, so that nothing is asked: laws 2 and 4.
    fn look_for_open(&self) {
        for (id, ..) in self.waiting.values() {
            assert!(self.client.answer(*id, self.now).is_some(), "law 2: a question is forgotten");
        }
        assert!(self.ports.iter().all(|port| !self.client.is_open(*port)), "law 4: a port is left open");
    }

    fn ask(&mut self) {
        let name = Name::parse(self.rng.pick(&NAMES)).expect("a name");
        let kind = self.rng.pick(&RecordType::ALL);
        if let Some(id) = self.client.ask(&name, kind, self.now) {
            self.waiting.entry(format!("{id:?}")).or_insert((id, 0)).1 += 1;
        }
    }

    /// Reads what there is, and gives it up as often as it was asked for.
    fn look(&mut self) {
        let keys: Vec<_> = self.waiting.keys().cloned().collect();
        for key in keys {
            let (id, count) = self.waiting[&key];
            match self.client.answer(id, self.now) {
                None => {
                    if !self.rng.chance(3) {
                        continue;
                    }
                }
                Some(Ok(answer)) => {
                    for ip in answer.addresses() {
                        assert!(
                            self.messages.iter().any(|message| holds(message, ip)),
                            "law 3: {ip} out of nowhere"
                        );
                    }
                    answer.services().for_each(drop);
                }
                Some(Err(_)) => {}
            }
            for _ in 0..count {
                self.client.give_up(id);
            }
            self.waiting.remove(&key);
        }
    }

    /// A server, or somebody else, sends something.
    fn send(&mut self) {
        if self.queries.is_empty() {
            return;
        }
        let which = self.rng.below(self.queries.len() as u64) as usize;
        let (port, to, query) = self.queries[which].clone();
        if self.rng.chance(60) {
            self.queries.swap_remove(which);
        }
        let (index, word) = (usize::from(to.port() != 53), self.rng.pick(REACTIONS));
        let Reaction::Says(mut message, _) = react(word, index, &query) else {
            let input = match query.tcp {
                true => DnsInput::StreamFailed { port, server: to },
                false => DnsInput::DatagramFailed { port, server: to },
            };
            return self.client.handle_input(input, self.now);
        };
        self.spoil(&mut message);
        self.messages.push(message.clone());
        let input = match query.tcp {
            true => DnsInput::Message { port, server: to, message: &message },
            false => DnsInput::Datagram { port, from: to, message: &message },
        };
        self.client.handle_input(input, self.now);
    }

    /// Changes some octets, as often as not, or cuts the message short.
    fn spoil(&mut self, message: &mut Vec<u8>) {
        if message.is_empty() || self.rng.chance(50) {
            return;
        }
        for _ in 0..self.rng.within(1, 4) {
            // The id and the question must stay as they are, or all of it is ignored.
            let at = self.rng.below(message.len() as u64) as usize;
            message[at] = self.rng.pick(&[0, 1, 0x3f, 0x40, 0xc0, 0xff, self.rng.clone().bits() as u8]);
        }
        if self.rng.chance(20) {
            message.truncate(self.rng.below(message.len() as u64) as usize);
        }
    }

    fn change(&mut self) {
        match self.rng.below(3) {
            0 => self.client.forget(self.now),
            1 => {
                let count = self.rng.within(0, 3) as usize;
                let skipped = self.rng.within(0, 1) as usize;
                let servers: Vec<_> = (skipped..count).map(server).collect();
                self.client.set_servers(&servers, self.now);
            }
            _ => {
                if let Some((id, count)) = self.waiting.values().next().copied() {
                    self.waiting.remove(&format!("{id:?}"));
                    (0..count).for_each(|_| self.client.give_up(id));
                }
            }
        }
    }

    fn turn(&mut self) {
        match self.rng.below(100) {
            0..20 => self.ask(),
            20..70 => self.send(),
            70..74 => self.change(),
            _ => {}
        }
        let wake = self.drain();
        self.look();
        match (self.rng.below(100), wake) {
            (0..40, Some(wake)) => self.now = wake,
            (40..50, Some(wake)) => self.now = Instant::from_micros(wake.as_micros() - 1).max(self.now),
            (50..90, _) => self.now += Duration::from_micros(self.rng.below(50_000)),
            (90..92, _) => self.now += Duration::from_millis(self.rng.below(20_000)),
            _ => {}
        }
    }

    /// Nobody sends anything any more: all ends.
    fn run_out(&mut self) {
        let until = self.now + bound(&self.settings);
        while let Some(wake) = self.drain() {
            self.now = wake;
            assert!(wake <= until, "law 2: it does not end");
        }
        self.look();
        assert!(self.waiting.is_empty());
    }
}

fn holds(message: &[u8], ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => message.windows(4).any(|octets| octets == ip.octets()),
        IpAddr::V6(ip) => message.windows(16).any(|octets| octets == ip.octets()),
    }
}

#[test]
fn the_laws_hold_whatever_happens() {
    seeds(1_500, |seed| {
        let mut world = World::new(seed);
        for _ in 0..150 {
            world.turn();
        }
        world.run_out();
    });
}
