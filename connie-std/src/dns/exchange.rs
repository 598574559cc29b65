//! One question put to the servers: whom to ask when, how long to wait, and what to make of what comes back. Opens no socket and
//! asks no clock.
//!
//! # Whom to ask when
//!
//! The servers are asked in their order, each [`STAGGER`] after the one before it or as soon as that has failed: a dead server costs
//! that much, and the first answer counts whoever gives it. A server that stays silent is asked again after 1 s, which is
//! RFC 8085's pause for who has not measured a round trip (section 3.1.1), then after twice that, and so on.
//! The question fails when every server has failed: by what it said, or by [`Timing::timeout`] of silence after it was asked for
//! the last time.
//!
//! A server for which there is no socket is [left alone](Exchange::lacks_socket) until there is one, and so are those after it that were
//! not asked yet: they would want a socket too.

use std::time::Duration;

use connie_core::Instant;

use super::message::{Code, Fault, Question, Reply, Said, Transport, query, read};

/// How long after a server the next one is asked.
pub(super) const STAGGER: Duration = Duration::from_millis(250);
/// How long after the first query a silent server is asked again.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// How patient an exchange is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timing {
    /// How often each server is asked; at least once.
    pub(super) attempts: u8,
    /// How long the last query to a server waits for its answer, and a TCP connection for everything.
    pub(super) timeout: Duration,
}

/// What to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Todo {
    /// Send this to the server with this index in a datagram.
    Send(usize, Vec<u8>),
    /// Connect to the server and send it this.
    Connect(usize, Vec<u8>),
    /// The server is not waited for any longer: close its sockets.
    Close(usize),
}

/// Why a server brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// It said so.
    Refused(Code),
    /// What it said breaks the rules.
    Broken(Fault),
    /// It said nothing.
    Silent,
    /// It could not be reached, for this reason.
    Unreachable(String),
    /// There was no socket to ask it with, for this reason.
    NoSocket(String),
    /// The answer is too long for a datagram, and TCP failed for this reason.
    NoTcp(String),
}

/// How an exchange ended: the reply and who gave it, or what is wrong with each server.
pub(super) type Outcome = Result<(usize, Reply), Vec<Problem>>;

/// A question that is being asked.
#[derive(Debug)]
pub(super) struct Exchange {
    question: Question,
    timing: Timing,
    transport: Transport,
    servers: Vec<Server>,
    /// The reply, and which server gave it.
    reply: Option<(usize, Reply)>,
}

#[derive(Debug)]
struct Server {
    id: u16,
    edns: bool,
    /// How often it was asked.
    asked: u8,
    state: State,
    /// Whether its sockets are to be closed.
    close: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// To be asked at this moment, in this way.
    Due(Instant, Transport),
    /// To be asked in this way when there is a socket for it, which was looked for at this moment first.
    Lacking(Instant, Transport),
    /// Asked in a datagram; nothing more will be done before this moment.
    Waiting(Instant),
    /// Asked over TCP; given up at this moment.
    Stream(Instant),
    Failed(Problem),
}

impl Exchange {
    /// Asks as many servers as there are `ids`, which must be hard to guess (RFC 5452 section 9.2).
    pub(super) fn new(
        question: Question,
        timing: Timing,
        transport: Transport,
        ids: impl IntoIterator<Item = u16>,
        now: Instant,
    ) -> Self {
        let mut due = now;
        let server = |id| {
            let state = State::Due(due, transport);
            due = due + STAGGER;
            Server { id, edns: true, asked: 0, state, close: false }
        };
        let servers = ids.into_iter().map(server).collect();
        Exchange { question, timing, transport, servers, reply: None }
    }

    /// What is asked.
    pub(super) fn question(&self) -> &Question {
        &self.question
    }

    /// What is to be done now; to be called until there is nothing.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Todo> {
        if let Some(index) = self.servers.iter().position(|server| server.close) {
            self.servers[index].close = false;
            return Some(Todo::Close(index));
        }
        if self.reply.is_some() {
            return None;
        }
        for index in 0..self.servers.len() {
            match self.servers[index].state {
                State::Due(..) if self.is_held(index) => {}
                State::Due(at, transport) if at <= now => return Some(self.ask(index, transport, now)),
                State::Waiting(until) if until <= now => {
                    if self.servers[index].asked < self.timing.attempts {
                        return Some(self.ask(index, Transport::Udp, now));
                    }
                    self.fail(index, Problem::Silent, now);
                    return self.poll(now);
                }
                State::Stream(until) if until <= now => {
                    self.stream_failed(index, "no answer in time", now);
                    return self.poll(now);
                }
                _ => {}
            }
        }
        None
    }

    fn ask(&mut self, index: usize, transport: Transport, now: Instant) -> Todo {
        let Timing { attempts, timeout } = self.timing;
        let server = &mut self.servers[index];
        let message = query(&self.question, server.id, server.edns);
        if transport == Transport::Tcp {
            server.state = State::Stream(now + timeout);
            return Todo::Connect(index, message);
        }
        let pause = FIRST_PAUSE.saturating_mul(1 << server.asked.min(16)).min(timeout);
        server.asked = server.asked.saturating_add(1);
        let last = server.asked >= attempts;
        server.state = State::Waiting(now + if last { timeout } else { pause });
        Todo::Send(index, message)
    }

    /// What was to be sent to the server was not, since there is no socket. Nothing more is done about it before
    /// [`try_again`](Self::try_again).
    pub(super) fn lacks_socket(&mut self, index: usize, now: Instant) {
        let Some(server) = self.servers.get_mut(index) else { return };
        match server.state {
            State::Waiting(_) => {
                server.asked = server.asked.saturating_sub(1);
                server.state = State::Lacking(now, Transport::Udp);
            }
            State::Stream(_) => server.state = State::Lacking(now, Transport::Tcp),
            State::Due(..) | State::Lacking(..) | State::Failed(_) => {}
        }
    }

    /// Whether the server waits for a socket.
    pub(super) fn is_lacking(&self, index: usize) -> bool {
        matches!(self.servers.get(index), Some(Server { state: State::Lacking(..), .. }))
    }

    /// There may be a socket now. The servers that were left alone meanwhile are asked as much later.
    pub(super) fn try_again(&mut self, index: usize, now: Instant) {
        let Some(Server { state: State::Lacking(since, transport), .. }) = self.servers.get(index) else {
            return;
        };
        let (late, transport) = (now.since(*since), *transport);
        for server in self.servers.iter_mut().filter(|server| server.asked == 0) {
            if let State::Due(at, _) = &mut server.state {
                *at = *at + late;
            }
        }
        self.servers[index].state = State::Due(now, transport);
    }

    /// There is no socket for the server, and none is waited for any longer.
    pub(super) fn no_socket(&mut self, index: usize, reason: impl Into<String>, now: Instant) {
        let is_open = |server: &Server| {
            matches!(server.state, State::Waiting(_) | State::Stream(_) | State::Lacking(..))
        };
        if self.servers.get(index).is_some_and(is_open) {
            self.fail(index, Problem::NoSocket(reason.into()), now);
        }
    }

    /// Whether the server was not asked yet, and has to wait because another that was not either lacks a socket.
    fn is_held(&self, index: usize) -> bool {
        let is_fresh = |server: &Server| server.asked == 0;
        self.servers.get(index).is_some_and(is_fresh)
            && self.servers.iter().any(|it| is_fresh(it) && matches!(it.state, State::Lacking(..)))
    }

    /// A packet has come from a server. What was not asked for changes nothing: an answer of somebody else's may be a forged one,
    /// and the right one may still come.
    pub(super) fn received(&mut self, index: usize, packet: &[u8], transport: Transport, now: Instant) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if self.reply.is_some() || matches!(server.state, State::Failed(_)) {
            return;
        }
        match read(packet, &self.question, server.id, transport) {
            Said::NotOurs => {}
            Said::Reply(reply) => {
                self.reply = Some((index, reply));
                for server in &mut self.servers {
                    server.close = true;
                }
            }
            // Once is enough; the connection is under way.
            Said::Truncated if matches!(server.state, State::Stream(_)) => {}
            Said::Truncated => server.state = State::Due(now, Transport::Tcp),
            Said::Refused(code) if server.edns && code.may_be_edns() => {
                // It may not know EDNS (RFC 6891 section 7): once more without, at once and in the same way.
                server.edns = false;
                server.asked = server.asked.saturating_sub(1);
                server.close = transport == Transport::Tcp;
                server.state = State::Due(now, transport);
            }
            Said::Refused(code) => self.fail(index, Problem::Refused(code), now),
            Said::Broken(fault) => self.fail(index, Problem::Broken(fault), now),
        }
    }

    /// The datagram could not be sent, or a router or the server's host said that it did not arrive.
    pub(super) fn datagram_failed(&mut self, index: usize, reason: impl Into<String>, now: Instant) {
        if matches!(self.servers.get(index), Some(Server { state: State::Waiting(_), .. })) {
            self.fail(index, Problem::Unreachable(reason.into()), now);
        }
    }

    /// The TCP connection failed, or ended before the answer was there.
    pub(super) fn stream_failed(&mut self, index: usize, reason: impl Into<String>, now: Instant) {
        if matches!(self.servers.get(index), Some(Server { state: State::Stream(_), .. })) {
            let problem = match self.transport {
                Transport::Udp => Problem::NoTcp(reason.into()),
                Transport::Tcp => Problem::Unreachable(reason.into()),
            };
            self.fail(index, problem, now);
        }
    }

    /// The server is done with; the first that was not asked yet takes its place at once.
    fn fail(&mut self, index: usize, problem: Problem, now: Instant) {
        self.servers[index].state = State::Failed(problem);
        self.servers[index].close = true;
        let fresh = |server: &&mut Server| matches!(server.state, State::Due(..)) && server.asked == 0;
        if let Some(Server { state: State::Due(at, _), .. }) = self.servers.iter_mut().find(fresh) {
            *at = (*at).min(now);
        }
    }

    /// How it ended; `None` while it goes on.
    pub(super) fn outcome(&self) -> Option<Outcome> {
        if let Some(reply) = &self.reply {
            return Some(Ok(reply.clone()));
        }
        let problem = |server: &Server| match &server.state {
            State::Failed(problem) => Some(problem.clone()),
            _ => None,
        };
        self.servers.iter().map(problem).collect::<Option<Vec<_>>>().map(Err)
    }

    /// When there is something to do though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        if self.reply.is_some() {
            return None;
        }
        let times = self.servers.iter().enumerate().filter_map(|(index, server)| match server.state {
            State::Due(..) if self.is_held(index) => None,
            State::Due(at, _) | State::Waiting(at) | State::Stream(at) => Some(at),
            State::Lacking(..) | State::Failed(_) => None,
        });
        times.min()
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::message::{Found, Kind};
    use super::super::name::Name;
    use super::*;

    const TIMING: Timing = Timing { attempts: 3, timeout: Duration::from_secs(5) };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    /// An exchange with its clock, and what it does.
    struct Bench {
        exchange: Exchange,
        now: Instant,
    }

    impl Bench {
        /// Servers have the ids 1, 2, 3 ...
        fn new(servers: u16) -> Self {
            let question = Question { name: Name::parse("name.test").unwrap(), kind: Kind::A };
            let exchange = Exchange::new(question, TIMING, Transport::Udp, 1..=servers, at(0));
            Bench { exchange, now: at(0) }
        }

        /// What is done now: `udp0` for a datagram to the first server, `tcp1` for a connection to the second, `close0`.
        fn does(&mut self) -> String {
            let mut done = Vec::new();
            while let Some(todo) = self.exchange.poll(self.now) {
                done.push(match todo {
                    Todo::Send(index, query) => {
                        assert_eq!(query[..2], [0, index as u8 + 1], "the id");
                        let edns = if query[11] == 1 { "" } else { " without EDNS" };
                        format!("udp{index}{edns}")
                    }
                    Todo::Connect(index, _) => format!("tcp{index}"),
                    Todo::Close(index) => format!("close{index}"),
                });
            }
            done.join(" ")
        }

        /// Nothing is to be done before this moment, and then this.
        #[track_caller]
        fn expect(&mut self, millis: u64, done: &str) {
            self.now = at(millis);
            if millis > 0 {
                assert_eq!(self.exchange.wake_at(), Some(self.now), "the next moment");
                let now = std::mem::replace(&mut self.now, Instant::from_micros(millis * 1_000 - 1));
                assert_eq!(self.does(), "", "a microsecond early");
                self.now = now;
            }
            assert_eq!(self.does(), done);
        }

        /// The server answers with this response code, and with an address where that is 0.
        fn answer(&mut self, index: usize, code: u8, transport: Transport) {
            self.packet(index, &answer(index as u8 + 1, code, 0x80), transport);
        }

        fn packet(&mut self, index: usize, packet: &[u8], transport: Transport) {
            self.exchange.received(index, packet, transport, self.now);
        }

        #[track_caller]
        fn has_the_address(&self) {
            let (_, reply) = self.exchange.outcome().expect("an end").expect("a reply");
            assert_eq!(reply.found, Found::Addresses(vec![IpAddr::from([192, 0, 2, 1])]));
            assert_eq!(reply.ttl, Some(300));
            assert_eq!(self.exchange.wake_at(), None);
        }

        #[track_caller]
        fn has_failed(&self) -> Vec<Problem> {
            assert_eq!(self.exchange.wake_at(), None);
            self.exchange.outcome().expect("an end").expect_err("a failure")
        }
    }

    /// An answer to the question of the bench. `flags` is the third octet: 0x80 for an answer, 0x02 for a truncated one.
    fn answer(id: u8, code: u8, flags: u8) -> Vec<u8> {
        let count = u8::from(code == 0);
        let mut packet = vec![0, id, flags, 0x80 | code, 0, 1, 0, count, 0, 0, 0, 0];
        packet.extend(b"\x04name\x04test\0\0\x01\0\x01");
        if code == 0 {
            packet.extend(b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01");
        }
        packet
    }

    const SERVFAIL: u8 = 2;
    const FORMERR: u8 = 1;
    const REFUSED: u8 = 5;

    #[test]
    fn one_query_one_answer() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.now = at(20);
        bench.answer(0, 0, Transport::Udp);
        assert_eq!(bench.does(), "close0");
        bench.has_the_address();
    }

    #[test]
    fn a_silent_server_is_asked_again_with_growing_pauses() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.expect(1_000, "udp0");
        bench.expect(3_000, "udp0");
        bench.expect(8_000, "close0");
        assert_eq!(bench.has_failed(), [Problem::Silent]);
    }

    #[test]
    fn the_next_server_helps_out_and_the_first_answer_counts() {
        let mut bench = Bench::new(3);
        bench.expect(0, "udp0");
        bench.expect(250, "udp1");
        bench.expect(500, "udp2");
        bench.expect(1_000, "udp0");
        bench.answer(1, 0, Transport::Udp);
        assert_eq!(bench.does(), "close0 close1 close2");
        bench.has_the_address();
    }

    #[test]
    fn a_server_that_fails_makes_way_at_once() {
        let mut bench = Bench::new(3);
        bench.expect(0, "udp0");
        bench.answer(0, SERVFAIL, Transport::Udp);
        assert_eq!(bench.does(), "close0 udp1");
        bench.exchange.datagram_failed(1, "refused", at(0));
        assert_eq!(bench.does(), "close1 udp2");
        bench.answer(2, REFUSED, Transport::Udp);
        assert_eq!(bench.does(), "close2");
        let problems = bench.has_failed();
        assert!(matches!(&problems[0], Problem::Refused(code) if code.to_string() == "SERVFAIL"));
        assert_eq!(problems[1], Problem::Unreachable("refused".to_owned()));
        assert!(matches!(&problems[2], Problem::Refused(code) if code.to_string() == "REFUSED"));
    }

    #[test]
    fn what_does_not_fit_is_fetched_over_tcp() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.packet(0, &answer(1, 0, 0x82), Transport::Udp);
        assert_eq!(bench.does(), "tcp0");
        bench.packet(0, &answer(1, 0, 0x82), Transport::Udp);
        assert_eq!(bench.does(), "", "a copy of the datagram changes nothing");
        bench.answer(0, 0, Transport::Tcp);
        bench.has_the_address();
    }

    #[test]
    fn without_tcp_the_next_server_is_asked() {
        let mut bench = Bench::new(2);
        bench.expect(0, "udp0");
        bench.packet(0, &answer(1, 0, 0x82), Transport::Udp);
        assert_eq!(bench.does(), "tcp0");
        bench.exchange.stream_failed(0, "refused", bench.now);
        assert_eq!(bench.does(), "close0 udp1");
        bench.packet(1, &answer(2, 0, 0x82), Transport::Udp);
        assert_eq!(bench.does(), "tcp1");
        bench.expect(5_000, "close1");
        let no_tcp = |reason: &str| Problem::NoTcp(reason.to_owned());
        assert_eq!(bench.has_failed(), [no_tcp("refused"), no_tcp("no answer in time")]);
    }

    #[test]
    fn a_server_that_knows_no_edns_is_asked_without() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.answer(0, FORMERR, Transport::Udp);
        assert_eq!(bench.does(), "udp0 without EDNS");
        bench.answer(0, FORMERR, Transport::Udp);
        assert_eq!(bench.does(), "close0", "once");
        assert!(matches!(bench.has_failed()[..], [Problem::Refused(_)]));
    }

    #[test]
    fn a_server_that_knows_no_edns_need_not_repeat_the_question() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.packet(0, &[0, 1, 0x80, FORMERR, 0, 0, 0, 0, 0, 0, 0, 0], Transport::Udp);
        assert_eq!(bench.does(), "udp0 without EDNS");
    }

    #[test]
    fn what_is_no_answer_to_this_query_is_passed_over() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        let good = answer(1, 0, 0x80);
        let with = |at: usize, octet: u8| {
            let mut packet = good.clone();
            packet[at] = octet;
            packet
        };
        for (what, packet) in [
            ("another id", with(1, 9)),
            ("a query", with(2, 0x00)),
            ("another operation", with(2, 0xa8)),
            ("another name", with(16, b'x')),
            ("another type", with(24, 28)),
            ("another class", with(26, 3)),
            ("no question", [&good[..4], &[0, 0, 0, 0, 0, 0, 0, 0]].concat()),
            ("two questions", with(5, 2)),
            ("nothing", Vec::new()),
            ("half a header", good[..6].to_vec()),
        ] {
            bench.packet(0, &packet, Transport::Udp);
            assert_eq!((bench.does(), bench.exchange.outcome()), (String::new(), None), "{what}");
        }
        // The answer repeats the question as it likes to spell it.
        bench.packet(0, &with(14, b'A'), Transport::Udp);
        bench.has_the_address();
    }

    #[test]
    fn a_record_of_another_class_says_nothing() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        let mut chaos = answer(1, 0, 0x80);
        chaos[32] = 3;
        bench.packet(0, &chaos, Transport::Udp);
        let (_, reply) = bench.exchange.outcome().unwrap().unwrap();
        assert_eq!(reply.found, Found::NoData);
    }

    #[test]
    fn an_answer_cut_short_is_no_answer() {
        let mut bench = Bench::new(2);
        bench.expect(0, "udp0");
        let mut cut = answer(1, 0, 0x80);
        cut.pop();
        bench.packet(0, &cut, Transport::Udp);
        assert_eq!(bench.does(), "close0 udp1");
        bench.answer(0, 0, Transport::Udp);
        assert_eq!(bench.exchange.outcome(), None, "a server that has failed is not listened to");
    }

    #[test]
    fn over_tcp_from_the_beginning() {
        let mut bench = Bench::new(2);
        let question = bench.exchange.question().clone();
        bench.exchange = Exchange::new(question, TIMING, Transport::Tcp, 1..=2, at(0));
        bench.expect(0, "tcp0");
        bench.expect(250, "tcp1");
        bench.expect(5_000, "close0");
        bench.expect(5_250, "close1");
        assert!(matches!(&bench.has_failed()[..], [Problem::Unreachable(_), Problem::Unreachable(_)]));
    }

    #[test]
    fn without_a_socket_nobody_is_asked_and_no_time_is_lost() {
        let mut bench = Bench::new(2);
        bench.expect(0, "udp0");
        bench.exchange.lacks_socket(0, at(0));
        assert_eq!((bench.exchange.wake_at(), bench.exchange.is_lacking(0)), (None, true));
        bench.now = at(2_000);
        assert_eq!(bench.does(), "", "the second would want a socket too");
        bench.exchange.try_again(0, at(2_000));
        assert_eq!(bench.does(), "udp0");
        // As if it had begun now.
        bench.expect(2_250, "udp1");
        bench.expect(3_000, "udp0");
        bench.expect(3_250, "udp1");
        bench.expect(5_000, "udp0");
    }

    #[test]
    fn a_server_that_is_asked_goes_on_while_another_lacks_a_socket() {
        let mut bench = Bench::new(2);
        bench.expect(0, "udp0");
        bench.expect(250, "udp1");
        bench.exchange.lacks_socket(1, at(250));
        bench.expect(1_000, "udp0");
        bench.answer(0, 0, Transport::Udp);
        assert_eq!(bench.does(), "close0 close1");
        bench.has_the_address();
    }

    #[test]
    fn a_socket_for_tcp_is_waited_for_too() {
        let mut bench = Bench::new(1);
        bench.expect(0, "udp0");
        bench.packet(0, &answer(1, 0, 0x82), Transport::Udp);
        assert_eq!(bench.does(), "tcp0");
        bench.exchange.lacks_socket(0, at(0));
        assert_eq!(bench.exchange.wake_at(), None);
        bench.exchange.try_again(0, at(9_000));
        bench.expect(9_000, "tcp0");
        bench.expect(14_000, "close0");
        assert_eq!(bench.has_failed(), [Problem::NoTcp("no answer in time".to_owned())]);
    }

    #[test]
    fn without_a_socket_in_time_it_fails() {
        let mut bench = Bench::new(2);
        bench.expect(0, "udp0");
        bench.exchange.no_socket(0, "none", at(0));
        assert_eq!(bench.does(), "close0 udp1");
        bench.exchange.no_socket(1, "none", at(0));
        assert_eq!(bench.does(), "close1");
        let none = || Problem::NoSocket("none".to_owned());
        assert_eq!(bench.has_failed(), [none(), none()]);
    }

    #[test]
    fn no_server_is_a_failure_without_a_problem() {
        let bench = Bench::new(0);
        assert_eq!(bench.has_failed(), []);
    }
}
