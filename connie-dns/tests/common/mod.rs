//! Name servers in virtual time, written as texts, and a client that asks them.
//!
//! A server is a list of reactions, the first that fits counts: `#1 servfail; plain ok; silent`. Before a reaction stand its conditions:
//!
//! - `aaaa`, `a`, `https`: what is asked for; `for:b.test`: of which name
//! - `#2`: the second query of that kind for that name
//! - `edns`, `plain`: whether the query has an OPT record; `tcp`, `udp`
//!
//! and behind it how many milliseconds it takes, 20 if nothing is said: `ok@300`.

#![allow(dead_code, reason = "each test file uses some of it")]

mod messages;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;

use connie_core::Instant;
use connie_dns::{Client, Event, Input, LARGEST_QUERY, Lookup, Name, Output, Port, Settings, Wanted};

pub use messages::*;

pub fn at(millis: u64) -> Instant {
    Instant::from_millis(START + millis)
}

/// A clock that does not start at zero shows confusions of moments with durations.
const START: u64 = 1_000_000;

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

pub fn server(index: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, 53 + index as u8], 53))
}

/// A server as a list of reactions.
#[derive(Clone)]
pub struct Server {
    script: String,
    index: usize,
    /// How often each kind of a name was asked for.
    asked: BTreeMap<(String, String), u32>,
}

impl Server {
    pub fn new(index: usize, script: &str) -> Self {
        Server { script: script.to_owned(), index, asked: BTreeMap::new() }
    }

    /// What it does, and after how many milliseconds.
    #[track_caller]
    pub fn ask(&mut self, query: &Query) -> (Reaction, u64) {
        let key = (query.name.to_lowercase(), query.kind.to_string());
        let count = self.asked.entry(key).or_default();
        *count += 1;
        let count = *count;
        for clause in self.script.split(';') {
            let mut words: Vec<&str> = clause.split_whitespace().collect();
            let reaction = words.pop().expect("a reaction");
            let fits = |word: &&str| match *word {
                "edns" => query.edns,
                "plain" => !query.edns,
                "tcp" => query.tcp,
                "udp" => !query.tcp,
                word if word.starts_with('#') => word[1..].parse() == Ok(count),
                word if word.starts_with("for:") => query.name.eq_ignore_ascii_case(&word[4..]),
                kind => query.kind.to_string().eq_ignore_ascii_case(kind),
            };
            if words.iter().all(fits) {
                let (word, delay) = reaction.split_once('@').unwrap_or((reaction, "20"));
                return (react(word, self.index, query), delay.parse().expect("a delay"));
            }
        }
        (Reaction::Silent, 0)
    }
}

enum Due {
    Reaction { port: Port, server: usize, tcp: bool, reaction: Reaction },
}

/// A client with its servers, and a clock.
pub struct Bench<const NAMES: usize = 4, const NAME: usize = 255, const DATA: usize = 256> {
    pub client: Client<NAMES, 3, NAME, DATA>,
    pub now: Instant,
    servers: Vec<Server>,
    due: Vec<(Instant, Due)>,
    /// Every port from which something was sent.
    ports: Vec<Port>,
    /// What was sent, as in `0@0 tcp1@250 0@1000-`: to which server, when, and `-` where it was without EDNS.
    pub sent: Vec<String>,
    /// The names that were asked for, of the same length.
    pub asked: Vec<String>,
    /// Whether the kind of a query is told.
    pub kinds: bool,
    pub ended: Vec<connie_dns::QuestionId>,
}

impl<const NAMES: usize, const NAME: usize, const DATA: usize> Bench<NAMES, NAME, DATA> {
    pub fn new(settings: Settings, scripts: &[&str]) -> Self {
        let mut client = Client::new(settings, 0x5eed);
        let addresses: Vec<_> = (0..scripts.len()).map(server).collect();
        client.set_servers(&addresses, at(0));
        Bench {
            client,
            now: at(0),
            servers: scripts.iter().enumerate().map(|(index, script)| Server::new(index, script)).collect(),
            due: Vec::new(),
            ports: Vec::new(),
            sent: Vec::new(),
            asked: Vec::new(),
            kinds: false,
            ended: Vec::new(),
        }
    }

    /// Milliseconds since the start.
    pub fn time(&self) -> u64 {
        self.now.as_micros() / 1_000 - START
    }

    /// Does all that the client says. When it wants to be woken.
    #[track_caller]
    pub fn drain(&mut self) -> Option<Instant> {
        let mut buffer = [0; LARGEST_QUERY];
        for _ in 0..1_000 {
            match self.client.poll_output(&mut buffer, self.now) {
                Output::Send { port, server, length } => self.send(port, server, &buffer[..length], false),
                Output::Connect { port, server, length } => {
                    self.send(port, server, &buffer[..length], true);
                    assert!(self.client.wants_stream(port, server));
                }
                Output::Ended(id) => {
                    assert!(self.client.answer(id, self.now).is_some(), "it has ended");
                    self.ended.push(id);
                }
                Output::WaitUntil(at) => {
                    assert!(at > self.now, "a wait until {at} at {}", self.now);
                    return Some(at);
                }
                Output::WaitForInput => return None,
            }
        }
        panic!("the drain does not end");
    }

    #[track_caller]
    fn send(&mut self, port: Port, to: SocketAddr, query: &[u8], tcp: bool) {
        assert!(self.client.is_open(port), "sent from a port that is not open");
        let index = (0..self.servers.len()).find(|index| server(*index) == to).expect("a server of ours");
        let query = Query::read(query, tcp);
        let kind = if self.kinds { query.kind.to_string() + ">" } else { String::new() };
        let (way, plain) = (if tcp { "tcp" } else { "" }, if query.edns { "" } else { "-" });
        self.sent.push(format!("{kind}{way}{index}@{}{plain}", self.time()));
        self.asked.push(query.name.clone());
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
        let (reaction, delay) = self.servers[index].ask(&query);
        if reaction != Reaction::Silent {
            let at = self.now + std::time::Duration::from_millis(delay);
            self.due.push((at, Due::Reaction { port, server: index, tcp, reaction }));
        }
    }

    /// Tells the client what has come by now.
    fn deliver(&mut self) {
        while let Some(index) =
            (0..self.due.len()).filter(|i| self.due[*i].0 <= self.now).min_by_key(|i| self.due[*i].0)
        {
            let (_, Due::Reaction { port, server: of, tcp, reaction }) = self.due.remove(index);
            // A closed socket hears nothing.
            if !self.client.is_open(port) || tcp && !self.client.wants_stream(port, server(of)) {
                continue;
            }
            let input = match &reaction {
                Reaction::Silent => continue,
                Reaction::Fails if tcp => Input::StreamFailed { port, server: server(of) },
                Reaction::Fails => Input::DatagramFailed { port, server: server(of) },
                Reaction::Says(message, _) if tcp => Input::Message { port, server: server(of), message },
                Reaction::Says(message, from) => {
                    Input::Datagram { port, from: from.unwrap_or(server(of)), message }
                }
            };
            self.client.handle_input(input, self.now);
        }
    }

    /// Moves on to what happens next, but not beyond `until`. Whether there is anything.
    #[track_caller]
    pub fn step(&mut self, until: Instant) -> bool {
        let ended = self.ended.len();
        let wake = self.drain();
        if self.ended.len() > ended {
            // Somebody has something to look at.
            return true;
        }
        let next = self.due.iter().map(|(at, _)| *at).chain(wake).min().filter(|next| *next <= until);
        let Some(next) = next else { return false };
        if wake == Some(next) {
            // A microsecond early there is nothing to do.
            self.now = Instant::from_micros(next.as_micros() - 1).max(self.now);
            let sent = self.sent.len();
            let idle = self.drain();
            assert_eq!((idle, self.sent.len()), (wake, sent), "a microsecond early");
        }
        self.now = next.max(self.now);
        self.deliver();
        true
    }

    /// Lets time pass to `millis`.
    #[track_caller]
    pub fn pass(&mut self, millis: u64) {
        while self.step(at(millis)) {}
        self.now = at(millis);
        self.deliver();
        self.drain();
    }

    /// Runs a look-up to its end: what it finds out, and when.
    #[track_caller]
    pub fn run<I: Iterator<Item = Name<NAME>> + Clone>(&mut self, lookup: &mut Lookup<NAME, I>) -> String {
        let mut found = Vec::new();
        for _ in 0..10_000 {
            let time = self.time();
            while let Some(event) = lookup.poll(&mut self.client, self.now) {
                found.push(format!("{} at {time}", describe(&event)));
            }
            if lookup.is_done() {
                break;
            }
            assert!(self.step(at(10_000_000)), "it waits for nothing: {found:?}");
        }
        assert!(lookup.is_done(), "it does not end: {found:?}");
        lookup.close(&mut self.client);
        self.drain();
        for port in &self.ports {
            assert!(!self.client.is_open(*port), "a port is left open");
        }
        found.join("; ")
    }
}

/// An event as text: `A 192.0.2.1 192.0.2.2`, `AAAA none`, `A !TimedOut`.
pub fn describe(event: &Event<'_>) -> String {
    let mut text = event.kind.to_string();
    match event.result {
        Err(error) => write!(text, " !{error:?}"),
        Ok(answer) if answer.is_empty() => write!(text, " none"),
        Ok(answer) => {
            assert_eq!(answer.kind(), event.kind);
            let addresses = answer.addresses().try_for_each(|ip| write!(text, " {ip}"));
            addresses.and_then(|()| {
                answer.services().try_for_each(|service| match service {
                    Ok(service) => write!(text, " [{service:?}]"),
                    Err(fault) => write!(text, " [{fault:?}]"),
                })
            })
        }
    }
    .expect("a string takes all");
    text
}

/// What is asked for, as a list of kinds.
pub fn wanted(kinds: &str) -> Wanted {
    let has = |kind: &str| kinds.split_whitespace().any(|word| word == kind);
    Wanted { aaaa: has("aaaa"), a: has("a"), https: has("https") }
}
