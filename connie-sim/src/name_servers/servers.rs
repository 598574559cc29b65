//! The servers of a row: what comes back to each query, and when.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;

use super::query::{Kind, Query};
use super::reaction::{Reaction, react};
use super::row::Row;

/// A server as a list of [reactions](super).
#[derive(Clone, Debug)]
pub struct Server {
    script: String,
    index: usize,
    /// How often each kind of a name was asked for.
    asked: BTreeMap<(String, Kind), u32>,
}

impl Server {
    /// The server with this index, which stands in the addresses that it answers with.
    #[must_use]
    pub fn new(index: usize, script: &str) -> Self {
        Server { script: script.to_owned(), index, asked: BTreeMap::new() }
    }

    /// What it does, and after how long.
    ///
    /// # Panics
    ///
    /// If its script cannot be read.
    #[track_caller]
    pub fn ask(&mut self, query: &Query) -> (Reaction, Duration) {
        let count = self.asked.entry((query.name.to_lowercase(), query.kind)).or_default();
        *count += 1;
        let count = *count;
        for clause in self.script.split(';') {
            let mut words: Vec<&str> = clause.split_whitespace().collect();
            let reaction = words.pop().expect("a reaction");
            if words.iter().all(|word| fits(word, query, count)) {
                let (word, millis) = reaction.split_once('@').unwrap_or((reaction, "20"));
                let delay = Duration::from_millis(millis.parse().expect("a delay"));
                return (react(word, self.index, query), delay);
            }
        }
        (Reaction::Silent, Duration::ZERO)
    }
}

/// Whether a condition is met by a query, the one with this number of its kind.
fn fits(word: &str, query: &Query, count: u32) -> bool {
    match word {
        "edns" => query.edns,
        "plain" => !query.edns,
        "tcp" => query.tcp,
        "udp" => !query.tcp,
        word if word.starts_with('#') => word[1..].parse() == Ok(count),
        word if word.starts_with("for:") => query.name.eq_ignore_ascii_case(&word[4..]),
        kind => query.kind.to_string().eq_ignore_ascii_case(kind),
    }
}

/// What comes back to a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coming {
    /// When.
    pub at: Instant,
    /// What: never [`Reaction::Silent`].
    pub reaction: Reaction,
}

/// The servers that a driver asks.
#[derive(Clone, Debug)]
pub struct Servers {
    servers: Vec<Server>,
    start: Instant,
    /// Whether the kind of a query is told: where more than one is asked for.
    kinds: bool,
    sent: Vec<String>,
    asked: Vec<String>,
}

impl Servers {
    /// Those of a row. Its times count from `start`.
    #[must_use]
    pub fn of(row: &Row, start: Instant) -> Self {
        Servers { kinds: row.kinds().len() > 1, ..Servers::new(row.servers, start) }
    }

    /// One for each of these scripts.
    #[must_use]
    pub fn new(scripts: &[&str], start: Instant) -> Self {
        let servers = scripts.iter().enumerate().map(|(index, script)| Server::new(index, script)).collect();
        Servers { servers, start, kinds: false, sent: Vec::new(), asked: Vec::new() }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.servers.len()
    }

    /// The address of the server with this index, for a driver in virtual time: 192.0.2.53, 192.0.2.54 and so
    /// on. One with a real network has addresses of its own.
    ///
    /// # Panics
    ///
    /// If there is no such address.
    #[must_use]
    pub fn address(index: usize) -> SocketAddr {
        let last = u8::try_from(53 + index).expect("some servers");
        SocketAddr::from(([192, 0, 2, last], 53))
    }

    /// A query was sent to the server with this index. What comes back, if anything does; what comes later
    /// than that to another query may come before it.
    ///
    /// # Panics
    ///
    /// If there is no such server, or it is not [a query of ours](Query::read).
    #[track_caller]
    pub fn ask(&mut self, server: usize, query: &[u8], tcp: bool, now: Instant) -> Option<Coming> {
        let query = Query::read(query, tcp);
        let kind = if self.kinds { query.kind.to_string() + ">" } else { String::new() };
        let (way, plain) = (if tcp { "tcp" } else { "" }, if query.edns { "" } else { "-" });
        let millis = (now.as_micros() - self.start.as_micros()) / 1_000;
        self.sent.push(format!("{kind}{way}{server}@{millis}{plain}"));
        self.asked.push(query.name.clone());
        let (reaction, delay) = self.servers[server].ask(&query);
        (reaction != Reaction::Silent).then(|| Coming { at: now + delay, reaction })
    }

    /// What was sent, as in `0@0 tcp1@250 AAAA>0@1000-`: of which kind where there are more, to which server,
    /// at which millisecond, and `-` where it was without EDNS.
    #[must_use]
    pub fn sent(&self) -> &[String] {
        &self.sent
    }

    /// The names that were asked for, one for each query.
    #[must_use]
    pub fn asked(&self) -> &[String] {
        &self.asked
    }
}
