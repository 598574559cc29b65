//! A visitor makes its visits, and what the wire saw is told by visit.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use connie_lab::{Attempt, Lab, ms};
use connie_servers::clock::{now, pause};
use connie_servers::{DnsAnswer, DnsServer, RecordType};

use super::HOST;
use super::networks::{Cost, Network, SECOND_V4};
use super::server::{Request, Server};

/// From the end of one visit to the next: the server's last packets of a visit are not those of the next.
const PAUSE: Duration = ms(50);
/// What is added where the client has a connection that it has not used: it is to hear of its end. No address
/// is further away.
const LONGEST: Duration = ms(300);
/// After the last visit, until all that is still answered has been.
const SETTLE: Duration = ms(400);
/// What the host sends from where it has IPv6: RFC 6724 prefers IPv6 then.
const SOURCE_V6: [u16; 8] = [0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1];

/// A client that can fetch the page of [`HOST`].
pub trait Visitor {
    /// Fetches the page over a new connection.
    ///
    /// # Errors
    /// Why it did not: then the visits end.
    fn visit(&mut self) -> Result<(), String>;
}

impl<F: FnMut() -> Result<(), String>> Visitor for F {
    fn visit(&mut self) -> Result<(), String> {
        self()
    }
}

/// What one visit cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Milliseconds from its first query or SYN to the end of the handshake that the request came on, less
    /// those of the fastest address.
    pub over: f64,
    /// SYNs that were sent, the kernel's own repetitions too.
    pub syns: usize,
    /// Handshakes that were answered, and no request came on.
    pub wasted: usize,
}

/// What a visitor's visits cost.
#[derive(Clone, Debug, Default)]
pub struct Course {
    /// Each visit, in order.
    pub visits: Vec<Seen>,
    /// Why there are no more.
    pub gave_up: Option<String>,
}

impl Course {
    /// The mean of all visits but the first; `None` where there are none, or where the visitor gave up.
    #[must_use]
    pub fn later(&self) -> Option<Cost> {
        let later = self.visits.get(1..).filter(|later| !later.is_empty() && self.gave_up.is_none())?;
        let mean = |of: fn(&Seen) -> f64| later.iter().map(of).sum::<f64>() / later.len() as f64;
        Some(Cost {
            over: mean(|it| it.over),
            syns: mean(|it| it.syns as f64),
            wasted: mean(|it| it.wasted as f64),
        })
    }
}

/// Lets the visitor that `start` makes visit the host, as often as `network` wants it, or `at_most` so often.
/// What is drawn derives from `seed`. The host's name server is at 127.0.0.1. Call it in a laboratory of its
/// own.
///
/// # Errors
/// When the server, or the visitor, cannot be started.
pub fn go<V: Visitor>(
    lab: &Lab,
    network: &Network,
    seed: u64,
    at_most: usize,
    start: impl FnOnce() -> io::Result<V>,
) -> io::Result<Course> {
    lab.add_address(SOURCE_V6.into());
    lab.add_address(SECOND_V4.into());
    lab.ip("route add default dev lab0\nroute add ::/0 dev lab0");
    let names = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
    let server = Server::start()?;
    let mut visitor = start()?;
    let mut marks = Vec::new();
    let (mut gave_up, mut source) = (None, None);
    for number in 0..network.visits.min(at_most) {
        let standing = network.at(number, seed);
        if source.replace(standing.source) != Some(standing.source) {
            lab.ip(&format!("route replace default dev lab0 src {}", standing.source));
        }
        standing.behaviours.iter().for_each(|(address, does)| lab.set(*address, *does));
        publish(&names, &standing.answer);
        server.set_visit(true);
        let mark = Mark { at: now(), best: standing.best };
        if let Err(why) = visitor.visit() {
            gave_up = Some(format!("visit {}: {why}", number + 1));
            break;
        }
        marks.push(mark);
        let is_idle = server.set_visit(false);
        pause(if is_idle { PAUSE + LONGEST } else { PAUSE });
    }
    pause(SETTLE);
    drop(visitor);
    let log = lab.log();
    let began = log.began().unwrap_or_else(now);
    let queries = names.queries().into_iter().filter(|query| query.name == HOST).map(|query| query.at);
    let wire =
        Wire { attempts: log.attempts(), began, queries: queries.collect(), requests: server.requests() };
    let visits: Result<Vec<Seen>, String> =
        (0..marks.len()).map(|number| wire.visit(&marks, number)).collect();
    Ok(match visits {
        Ok(visits) => Course { visits, gave_up },
        Err(why) => Course { visits: Vec::new(), gave_up: Some(gave_up.unwrap_or(why)) },
    })
}

/// Tells the name server. Nobody is to keep an answer: each visit is a lookup.
fn publish(names: &DnsServer, addresses: &[IpAddr]) {
    let (v6, v4): (Vec<_>, Vec<_>) = addresses.iter().partition(|address| address.is_ipv6());
    for (kind, addresses) in [(RecordType::Aaaa, v6), (RecordType::A, v4)] {
        names.set(HOST, kind, DnsAnswer::addresses(&addresses).ttl(0));
    }
}

/// When a visit began, and what the fastest address takes.
struct Mark {
    at: Instant,
    best: Duration,
}

/// All that was seen during the visits.
struct Wire<'a> {
    attempts: &'a [Attempt],
    /// What the times of the attempts count from.
    began: Instant,
    queries: Vec<Instant>,
    requests: Vec<Request>,
}

impl Wire<'_> {
    fn visit(&self, marks: &[Mark], number: usize) -> Result<Seen, String> {
        let Mark { at: from, best } = marks[number];
        let is_now = |at: Instant| at >= from && marks.get(number + 1).is_none_or(|next| at < next.at);
        let attempts: Vec<&Attempt> =
            self.attempts.iter().filter(|attempt| is_now(self.began + attempt.started())).collect();
        let requests: Vec<_> = self.requests.iter().filter(|(at, _)| is_now(*at)).collect();
        let nothing = || format!("visit {}: no request", number + 1);
        let (at, port) = requests.first().ok_or_else(nothing)?;
        let query = self.queries.iter().copied().find(|at| is_now(*at));
        let first = attempts.first().map(|attempt| self.began + attempt.started());
        // A client that had a connection left neither asks nor dials.
        let start = query.into_iter().chain(first).min().unwrap_or(from);
        let ends = |attempt: &&Attempt| attempt.established.is_some();
        let of_request = self
            .attempts
            .iter()
            .rev()
            .filter(ends)
            .find(|attempt| attempt.client.port() == *port && self.began + attempt.started() <= *at);
        let of_visit = || attempts.iter().copied().find(ends);
        let winner = of_request.or_else(of_visit).ok_or_else(nothing)?;
        let won = self.began + winner.established.ok_or_else(nothing)?;
        let answered = attempts.iter().filter(|attempt| attempt.answered.is_some()).count();
        Ok(Seen {
            over: (won.duration_since(start).as_secs_f64() - best.as_secs_f64()) * 1e3,
            syns: attempts.iter().map(|attempt| attempt.syns.len()).sum(),
            wasted: answered.saturating_sub(requests.len()),
        })
    }
}
