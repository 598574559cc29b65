//! A bare connect under a referee: any host's text on any host, any inputs in any order, answers that nobody
//! has asked for, ids that are late or from nowhere, and a clock that jumps. (One that runs backwards is the
//! race's matter, and its target's.)

use std::net::SocketAddr;

use connie_core::connect::{AddressOrder, Connect, ConnectInput, ConnectOutput, Facts, Routes};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Family, Instant};
use connie_sim::{ConnectCapacity, ConnectReferee, words};

use crate::decoded::{end, hex, note};
use crate::draw::Draw;
use crate::race::{LONGEST_SLEEP, address, as_refereed, config, ids, numbered, span};

/// The most that happens in one connect, so that none takes long.
const STEPS: u32 = 400;
/// How often a connect that is left alone is woken at the moment it names.
const WAKES: u32 = 100;
/// Enough to end every one once nothing holds it any more.
const LAST_STEPS: u32 = 400;
const PORT: u16 = 80;

/// Runs a connect as `data` has it.
///
/// # Panics
///
/// Where a law is broken.
pub fn connect(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.below(4) {
        0 => Game::<16, 4, 8, 16>::play(draw),
        1 => Game::<64, 16, 32, 16>::play(draw),
        2 => Game::<4, 2, 2, 16>::play(draw),
        _ => Game::<16, 4, 8, 0>::play(draw),
    }
}

struct Game<'a, const D: usize, const S: usize, const R: usize, const N: usize> {
    draw: Draw<'a>,
    connect: Connect<D, S, R, N>,
    referee: ConnectReferee,
    most: usize,
    clock: Instant,
    /// What it waits for.
    due: Option<Instant>,
    attempts: Vec<AttemptId>,
}

impl<'a, const D: usize, const S: usize, const R: usize, const N: usize> Game<'a, D, S, R, N> {
    fn play(mut draw: Draw<'a>) {
        let config = config(&mut draw);
        let start = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 32, 1 << 62]));
        let host = host(&mut draw);
        let routes = Routes { v4: !draw.flag(), v6: !draw.flag() };
        let hosts = if draw.below(8) == 7 { Some(addresses(&mut draw, N)) } else { None };
        let zone = draw.flag().then_some(7);
        note(|| {
            format!("connect of {D}, {S}, {R}, {N} at {}: {}", start.as_micros(), words::config(&config))
        });
        note(|| {
            let known = hosts.as_deref().map_or("nothing known".to_owned(), words::list);
            let Routes { v4, v6 } = routes;
            format!("host {}, routes {v4} {v6}, zone {zone:?}, {known}", hex(host.as_bytes()))
        });
        let facts = Facts::default().routes(routes).hosts(hosts.as_deref()).zone(zone);
        let Ok(connect) = Connect::new(&host, PORT, &config, &facts, start) else {
            // Texts that are not hosts are fuzzed by another target.
            return note(|| "no host".to_owned());
        };
        let room = ConnectCapacity { destinations: D, sockets: S, nat64: N };
        let mut game = Self {
            draw,
            connect,
            referee: ConnectReferee::new(&host, PORT, &as_refereed(&config, start), &facts, room, start),
            most: config.max_in_flight.clamp(1, S),
            clock: start,
            due: None,
            attempts: Vec::new(),
        };
        for _ in 0..STEPS {
            if game.draw.is_done() {
                break;
            }
            game.happen();
            game.check();
        }
        game.wind_down(&host);
    }

    fn happen(&mut self) {
        match self.draw.below(24) {
            0..=3 => self.drain(),
            4 => {
                note(|| "poll".to_owned());
                let _ = self.poll();
            }
            5 | 6 => self.answer(Query::A),
            7 | 8 => self.answer(Query::Aaaa),
            9 => self.answer(Query::Nat64Prefix),
            10 => {
                let query = self.draw.pick(&Query::ALL);
                self.fail_query(query);
            }
            11 => self.hint(),
            12 | 13 => self.fail(),
            14 => self.succeed(),
            15 => self.wake_at_due(0),
            16 => self.wake_at_due(1),
            17..=19 => self.sleep(),
            20 => self.rarer(),
            21 => self.report_on_anything(),
            _ => {
                self.wake_at_due(0);
                self.drain();
            }
        }
    }

    // What happens.

    fn answer(&mut self, query: Query) {
        let addresses = match query {
            Query::Nat64Prefix => prefix(&mut self.draw),
            Query::Aaaa | Query::A => addresses(&mut self.draw, N),
        };
        let ways = ways(&mut self.draw);
        let order = order(&mut self.draw, &ways);
        self.handle_input(ConnectInput::Answered { query, addresses: &addresses, order });
    }

    fn hint(&mut self) {
        let family = self.draw.pick(&[Family::V4, Family::V6]);
        let addresses = addresses(&mut self.draw, N);
        self.handle_input(ConnectInput::Hinted {
            family,
            addresses: &addresses,
            order: AddressOrder::Any(&[]),
        });
    }

    fn fail_query(&mut self, query: Query) {
        self.handle_input(ConnectInput::QueryFailed { query, error: QueryError::TimedOut });
    }

    fn fail(&mut self) {
        let error = self.error();
        if let Some(id) = self.attempt() {
            self.handle_input(ConnectInput::AttemptFailed { id, error });
        }
    }

    fn succeed(&mut self) {
        if let Some(id) = self.attempt() {
            self.handle_input(ConnectInput::AttemptSucceeded { id });
        }
    }

    /// News of an attempt that may not have started yet, or never.
    fn report_on_anything(&mut self) {
        let ids = ids();
        let (id, error) = (ids[usize::from(self.draw.byte()) % ids.len()], self.error());
        match self.draw.flag() {
            true => self.handle_input(ConnectInput::AttemptSucceeded { id }),
            false => self.handle_input(ConnectInput::AttemptFailed { id, error }),
        }
    }

    fn rarer(&mut self) {
        match self.draw.below(4) {
            0 => self.handle_input(ConnectInput::Cancel),
            1 => {
                let sockets = usize::from(self.draw.below(5));
                note(|| format!("limit to {sockets}"));
                self.referee.handle_limit(sockets);
                self.connect.limit_to(sockets);
            }
            _ => {}
        }
    }

    /// One of the newest eight attempts.
    fn attempt(&mut self) -> Option<AttemptId> {
        let newest = &self.attempts[self.attempts.len().saturating_sub(8)..];
        (!newest.is_empty()).then(|| self.draw.pick(newest))
    }

    fn error(&mut self) -> AttemptError {
        let kind = self.draw.pick(&[
            AttemptErrorKind::Refused,
            AttemptErrorKind::Unreachable,
            AttemptErrorKind::TimedOut,
            AttemptErrorKind::OutOfSockets,
            AttemptErrorKind::Reset,
            AttemptErrorKind::StackGone,
        ]);
        kind.into()
    }

    fn handle_input(&mut self, input: ConnectInput<'_>) {
        note(|| format!("{} {}", self.clock.as_micros(), words::connect_input(&input)));
        self.referee.handle_input(&input);
        self.connect.handle_input(input, self.clock);
    }

    // Time.

    fn sleep(&mut self) {
        let sleep = span(&mut self.draw).min(LONGEST_SLEEP);
        note(|| format!("sleep {}", sleep.as_nanos()));
        self.clock += sleep;
    }

    /// Sleeps until it wants to be woken, or `early` microseconds less.
    fn wake_at_due(&mut self, early: u64) {
        note(|| format!("wake when due, less {early}"));
        if let Some(due) = self.due {
            self.clock = self.clock.max(Instant::from_micros(due.as_micros().saturating_sub(early)));
        }
    }

    // Its answers.

    fn poll(&mut self) -> ConnectOutput {
        let output = self.connect.poll_output(self.clock);
        self.referee.handle_output(&output, self.clock);
        self.due = None;
        match output {
            ConnectOutput::StartAttempt { id, .. } => self.attempts.push(id),
            ConnectOutput::WaitUntil(until) => self.due = Some(until),
            _ => {}
        }
        output
    }

    fn drain(&mut self) {
        note(|| "drain".to_owned());
        while !self.poll().ends_drain() {}
    }

    /// What it says of itself is what its referee has counted.
    fn check(&self) {
        let (open, race) = (self.referee.open().count(), self.connect.race());
        assert_eq!(race.in_flight(), open, "the race and its referee count differently");
        assert!(open <= self.most, "{open} are in flight");
        for query in Query::ALL {
            assert_eq!(self.connect.is_pending(query), self.referee.is_pending(query), "{query:?}");
        }
    }

    // The end.

    /// Leaves it alone, then lets every query and every attempt fail: it must end.
    fn wind_down(&mut self, host: &str) {
        end();
        for _ in 0..WAKES {
            self.drain();
            let Some(due) = self.due else { break };
            self.clock = self.clock.max(due);
        }
        for query in Query::ALL {
            self.fail_query(query);
        }
        for _ in 0..LAST_STEPS {
            self.drain();
            if let Some(due) = self.due {
                self.clock = self.clock.max(due);
            }
            let open = self.referee.open().next();
            if let Some((id, _)) = open {
                self.handle_input(ConnectInput::AttemptFailed {
                    id,
                    error: AttemptErrorKind::Refused.into(),
                });
            }
            if self.referee.ended().is_some() {
                break;
            }
        }
        self.check();
        let ended = self.referee.ended().expect("it ends when all has failed");
        assert!(self.connect.failures(host).count() <= 2, "two queries are for addresses of the host");
        self.keeps_its_word(ended);
    }

    /// Nothing that comes after the end changes it.
    fn keeps_its_word(&mut self, ended: ConnectOutput) {
        for query in Query::ALL {
            self.answer(query);
        }
        for id in self.attempts.clone() {
            self.handle_input(ConnectInput::AttemptSucceeded { id });
        }
        self.handle_input(ConnectInput::Cancel);
        self.clock += LONGEST_SLEEP;
        assert_eq!(self.poll(), ended, "it has ended, and has ended like this");
    }
}

/// A host's text: one of those that are special, or any.
fn host(draw: &mut Draw<'_>) -> String {
    let special = [
        "name.test",
        "192.0.2.1",
        "2001:db8::1",
        "127.0.0.1",
        "localhost",
        "a.localhost.",
        "name.invalid",
        "name.onion",
        "fe80::1%eth0",
        "[fe80::1%2]",
        "::ffff:192.0.2.1",
        "255.255.255.255",
    ];
    match usize::from(draw.below(16)) {
        index if index < special.len() => special[index].to_owned(),
        12 => {
            let length = usize::from(draw.below(32));
            String::from_utf8_lossy(draw.take(length)).into_owned()
        }
        _ => special[0].to_owned(),
    }
}

/// Up to `most` addresses, in several spellings, or more than any race has room for where nothing else is
/// asked of them.
fn addresses(draw: &mut Draw<'_>, most: usize) -> Vec<SocketAddr> {
    match draw.below(16) {
        15 if most == 0 => (0..300).map(|index| numbered(index, 1)).collect(),
        count => (0..count).map(|_| near(draw.byte())).collect(),
    }
}

/// An address, now and then one that means nothing elsewhere.
fn near(byte: u8) -> SocketAddr {
    match byte {
        0xf8 => ([127, 0, 0, 1], PORT).into(),
        0xf9 => ([10, 0, 0, 1], PORT).into(),
        0xfa => ([169, 254, 0, 1], PORT).into(),
        0xfb => ([0, 0, 0, 1], PORT).into(),
        0xfc => ([0x64, 0xff9b, 0, 0, 0, 0, 0xc000, 0x0201], PORT).into(),
        other => address(other),
    }
}

/// What `ipv4only.arpa` has.
fn prefix(draw: &mut Draw<'_>) -> Vec<SocketAddr> {
    let records = [
        "[64:ff9b::192.0.0.170]:80",
        "[64:ff9b::192.0.0.171]:80",
        "[2001:db8:c000:aa::]:80",
        "[2001:db8:1c0:0:aa::]:80",
        "[2001:db8:122:c000:0:aa00::]:80",
        "[2001:db8:122:3c0:0:aa::]:80",
        "[2001:db8:122:344:c0:0:aa00::]:80",
        // The address in two places tells nothing.
        "[2001:db8:c000:aa::192.0.0.170]:80",
        "[2001:db8::1]:80",
        "192.0.0.170:80",
    ];
    (0..draw.below(4)).map(|_| draw.pick(&records).parse().expect("an address")).collect()
}

fn ways(draw: &mut Draw<'_>) -> Vec<Route> {
    (0..draw.below(4)).map(|_| way(draw)).collect()
}

fn way(draw: &mut Draw<'_>) -> Route {
    match draw.below(5) {
        0 | 1 => Route::Unknown,
        2 => Route::Unreachable,
        3 => Route::from_source([192, 0, 2, 9].into()),
        _ => Route::from_source([0xfe80, 0, 0, 0, 0, 0, 0, 9].into()),
    }
}

fn order<'a>(draw: &mut Draw<'_>, ways: &'a [Route]) -> AddressOrder<'a> {
    match draw.below(4) {
        3 => AddressOrder::Best(way(draw)),
        _ => AddressOrder::Any(ways),
    }
}
