//! Name servers in virtual time, written as texts, and a client that asks them.
//!
//! What the texts mean says [`connie_sim::name_servers`].

#![allow(dead_code, reason = "each test file uses some of it")]

use std::fmt::Write as _;
use std::net::SocketAddr;

use connie_core::Instant;
use connie_dns::{
    DnsClient, DnsConfig, DnsInput, DnsOutput, LARGEST_QUERY, LookupOutcome, Name, Port, RecordLookup,
    RecordType, WantedRecords,
};

use connie_sim::name_servers::{self, Coming, Reaction, Sender, Servers};

pub fn at(millis: u64) -> Instant {
    Instant::from_millis(START + millis)
}

/// A clock that does not start at zero shows confusions of moments with durations.
const START: u64 = 1_000_000;

pub fn name(text: &str) -> Name {
    Name::parse(text).unwrap_or_else(|error| panic!("{text:?}: {error}"))
}

pub fn server(index: usize) -> SocketAddr {
    Servers::address(index)
}

/// What is under way to a port.
struct Due {
    port: Port,
    server: SocketAddr,
    tcp: bool,
    coming: Coming,
}

/// A client with its servers, and a clock.
pub struct Bench<const NAMES: usize = 4, const NAME: usize = 255, const DATA: usize = 256> {
    pub client: DnsClient<NAMES, 3, NAME, DATA>,
    pub now: Instant,
    servers: Servers,
    due: Vec<Due>,
    /// Every port from which something was sent.
    ports: Vec<Port>,
    pub ended: Vec<connie_dns::QuestionId>,
}

impl<const NAMES: usize, const NAME: usize, const DATA: usize> Bench<NAMES, NAME, DATA> {
    pub fn new(settings: DnsConfig, scripts: &[&str]) -> Self {
        Self::of(settings, Servers::new(scripts, at(0)))
    }

    pub fn of(settings: DnsConfig, servers: Servers) -> Self {
        let mut client = DnsClient::new(settings, 0x5eed);
        let addresses: Vec<_> = (0..servers.count()).map(server).collect();
        client.set_servers(&addresses, at(0));
        Bench { client, now: at(0), servers, due: Vec::new(), ports: Vec::new(), ended: Vec::new() }
    }

    /// [What was sent](Servers::sent).
    pub fn sent(&self) -> &[String] {
        self.servers.sent()
    }

    /// The names that were asked for, of the same length.
    pub fn asked(&self) -> &[String] {
        self.servers.asked()
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
                DnsOutput::Send { port, server, length } => self.send(port, server, &buffer[..length], false),
                DnsOutput::Connect { port, server, length } => {
                    self.send(port, server, &buffer[..length], true);
                    assert!(self.client.wants_stream(port, server));
                }
                DnsOutput::Ended(id) => {
                    assert!(self.client.answer(id, self.now).is_some(), "it has ended");
                    self.ended.push(id);
                }
                DnsOutput::WaitUntil(at) => {
                    assert!(at > self.now, "a wait until {at} at {}", self.now);
                    return Some(at);
                }
                DnsOutput::WaitForInput => return None,
            }
        }
        panic!("the drain does not end");
    }

    #[track_caller]
    fn send(&mut self, port: Port, to: SocketAddr, query: &[u8], tcp: bool) {
        assert!(self.client.is_open(port), "sent from a port that is not open");
        let index = (0..self.servers.count()).find(|index| server(*index) == to).expect("a server of ours");
        if !self.ports.contains(&port) {
            self.ports.push(port);
        }
        let coming = self.servers.ask(index, query, tcp, self.now);
        self.due.extend(coming.map(|coming| Due { port, server: to, tcp, coming }));
    }

    /// Tells the client what has come by now.
    fn deliver(&mut self) {
        while let Some(index) = (0..self.due.len())
            .filter(|i| self.due[*i].coming.at <= self.now)
            .min_by_key(|i| self.due[*i].coming.at)
        {
            let Due { port, server, tcp, coming } = self.due.remove(index);
            // A closed socket hears nothing.
            if !self.client.is_open(port) || tcp && !self.client.wants_stream(port, server) {
                continue;
            }
            let input = match &coming.reaction {
                Reaction::Silent => continue,
                Reaction::Fails if tcp => DnsInput::StreamFailed { port, server },
                Reaction::Fails => DnsInput::DatagramFailed { port, server },
                Reaction::Says(message, _) if tcp => DnsInput::Message { port, server, message },
                Reaction::Says(message, from) => {
                    let from = match from {
                        Sender::Itself => server,
                        Sender::OtherPort => SocketAddr::new(server.ip(), 54),
                        Sender::OtherHost => SocketAddr::from(([203, 0, 113, 1], 53)),
                    };
                    DnsInput::Datagram { port, from, message }
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
        let next = self.due.iter().map(|due| due.coming.at).chain(wake).min().filter(|next| *next <= until);
        let Some(next) = next else { return false };
        if wake == Some(next) {
            // A microsecond early there is nothing to do.
            self.now = Instant::from_micros(next.as_micros() - 1).max(self.now);
            let sent = self.sent().len();
            let idle = self.drain();
            assert_eq!((idle, self.sent().len()), (wake, sent), "a microsecond early");
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

    /// Runs a lookup to its end: what it finds out, and when.
    #[track_caller]
    pub fn run<I: Iterator<Item = Name<NAME>> + Clone>(
        &mut self,
        lookup: &mut RecordLookup<NAME, I>,
    ) -> String {
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
pub fn describe(event: &LookupOutcome<'_>) -> String {
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

/// The same kind.
pub fn kind(kind: name_servers::Kind) -> RecordType {
    match kind {
        name_servers::Kind::Aaaa => RecordType::Aaaa,
        name_servers::Kind::A => RecordType::A,
        name_servers::Kind::Https => RecordType::Https,
    }
}

/// What is asked for, as a list of kinds.
pub fn wanted(kinds: &str) -> WantedRecords {
    let has = |kind: &str| kinds.split_whitespace().any(|word| word == kind);
    WantedRecords { aaaa: has("aaaa"), a: has("a"), https: has("https") }
}
