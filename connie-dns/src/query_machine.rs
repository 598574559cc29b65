//! One question put to the servers: which server to ask when, how long to wait, and what a reply means.
//! It has all transitions of a question.
//!
//! ```text
//! A server    due ──asked──▶ waiting ──silence──▶ due again … ──▶ failed
//!              ▲ │              │ └──it cannot answer──▶ due after a pause … ──▶ failed
//!              │ │              └──truncated──▶ due over TCP ──▶ stream ──▶ failed
//!              └─┴──it does not know EDNS: at once, without
//! ```
//!
//! # The rules
//!
//! 1. **The servers are asked in [their order](crate::servers), each [`STAGGER`] after the one before it, or
//!    as soon as one has failed.** The first answer counts, from whichever server.
//! 2. **A silent server is asked again** after 1 s, the pause of RFC 8085 for a sender that has not measured
//!    a round trip (section 3.1.1), then after twice that, and so on, up to
//!    [`DnsConfig::timeout`](crate::DnsConfig::timeout), and
//!    [`DnsConfig::attempts`](crate::DnsConfig::attempts) times in all. The last query waits for the timeout.
//! 3. **What may pass is asked again after a pause**: SERVFAIL, REFUSED, and a TCP connection that brought no
//!    answer. The pause is [`PAUSE`], then twice that. It counts as one of the attempts. Meanwhile the next
//!    server is asked, by rule 1.
//! 4. **EDNS, and then without** (RFC 6891 section 7): a server that says that it does not know it is asked
//!    at once without. The last query to a server goes without, since there are routers that drop what they
//!    do not know, and servers that fail at it (RFC 2671 section 5.3 had SERVFAIL among what they say); it
//!    has no capitals at random either.
//! 5. **What is truncated is fetched over TCP** (RFC 2181 section 9) where the driver has it.
//! 6. **A lame answer, or one that cannot be read, is not an answer**: the server has failed, and is not
//!    asked again.
//! 7. **An alias that is left open is asked for** in place of the name, as a question of its own, from
//!    another port; [`MOST_ALIASES`] times at most.
//! 8. **The question fails when every server has.** Woken in time, and with `n` servers and `a` attempts, it
//!    ends within `(n − 1) · 250 ms` for the last server to be asked, 1.5 s · 2^`i` for each of its first
//!    `a − 1` waits with the pause behind it, and the timeout for the last; over TCP each wait is the
//!    timeout. As much again for each alias that is asked for. It ends before where another question has
//!    brought to light that there is no such name: at once or at [a time](QueryMachine::give_up_at).

use connie_core::Instant;

use crate::config::{DnsTransport, EffectiveConfig};
use crate::name::Name;
use crate::record_set::NameServerError;
use crate::seed::Seed;
use crate::servers::Servers;

/// How long after a server the next one is asked, in microseconds.
pub(crate) const STAGGER: u32 = 250_000;
/// How long after the first query a silent server is asked again, in microseconds.
const FIRST_WAIT: u32 = 1_000_000;
/// How long after a failure that may pass the server is asked again the first time, in microseconds.
const PAUSE: u32 = 500_000;
/// How many times a question is asked anew for the name that an alias leads to.
const MOST_ALIASES: u8 = 8;

/// A query to the server with this index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryOrder {
    pub(crate) server: usize,
    /// Over TCP, and not in a datagram.
    pub(crate) stream: bool,
    pub(crate) id: u16,
    pub(crate) edns: bool,
    /// Whether letters are written as capitals.
    pub(crate) cased: bool,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QueryStep {
    Ask(QueryOrder),
    /// Nothing until then, unless something comes.
    WaitUntil(Instant),
    /// It has failed, for its [reasons](QueryMachine::server_errors).
    Failed,
    /// Rule 8.
    NoSuchName,
}

/// A question that is being asked. Times are in microseconds since its start, of which it does not take more
/// than fit: 71 minutes.
#[derive(Clone, Debug)]
pub(crate) struct QueryMachine<const S: usize, const N: usize> {
    start: Instant,
    /// When it ends by rule 8; the last moment that there is: never.
    give_up: u32,
    /// The least time to live in seconds of the aliases on the way.
    least_ttl: u32,
    servers: [ServerProgress; S],
    /// Which sockets are its own.
    port: u16,
    aliases: u8,
    /// What it asks for in place of the name.
    alias: Name<N>,
}

#[derive(Clone, Copy, Debug)]
struct ServerProgress {
    /// When the state ends by itself.
    at: u32,
    id: u16,
    /// How often it was asked.
    asked: u8,
    state: ServerState,
    /// Whether it may be asked with EDNS.
    edns: bool,
    /// How the last query was put.
    last: LastForm,
    problem: Option<NameServerError>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ServerState {
    /// There is no such server.
    Absent,
    /// To be asked as in the settings.
    Due,
    /// To be asked over TCP.
    DueStream,
    /// Asked in a datagram.
    Waiting,
    /// Asked over TCP.
    Stream,
    Failed,
}

/// How a query was put: in one octet, since there is one for each server of each question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LastForm {
    Plain,
    Edns,
    Cased,
    CasedEdns,
}

impl LastForm {
    const fn new(edns: bool, cased: bool) -> Self {
        match (edns, cased) {
            (false, false) => LastForm::Plain,
            (true, false) => LastForm::Edns,
            (false, true) => LastForm::Cased,
            (true, true) => LastForm::CasedEdns,
        }
    }

    const fn has_edns(self) -> bool {
        matches!(self, LastForm::Edns | LastForm::CasedEdns)
    }

    const fn is_cased(self) -> bool {
        matches!(self, LastForm::Cased | LastForm::CasedEdns)
    }
}

impl<const S: usize, const N: usize> QueryMachine<S, N> {
    /// Asks all `servers`, from this port.
    pub(crate) fn new(servers: &Servers<S>, seed: &mut Seed, port: u16, now: Instant) -> Self {
        let mut exchange = QueryMachine {
            start: now,
            give_up: u32::MAX,
            least_ttl: u32::MAX,
            servers: [ServerProgress::ABSENT; S],
            port,
            aliases: 0,
            alias: Name::absent(),
        };
        exchange.begin(servers, seed, now);
        exchange
    }

    /// Forgets all that it has heard, and asks these servers.
    pub(crate) fn begin_anew(&mut self, servers: &Servers<S>, seed: &mut Seed, port: u16, now: Instant) {
        (self.give_up, self.least_ttl, self.port, self.aliases) = (u32::MAX, u32::MAX, port, 0);
        self.alias = Name::absent();
        self.begin(servers, seed, now);
    }

    fn begin(&mut self, servers: &Servers<S>, seed: &mut Seed, now: Instant) {
        self.start = now;
        self.servers = [ServerProgress::ABSENT; S];
        let mut at = 0_u32;
        for last in &[false, true] {
            for (server, known) in self.servers.iter_mut().zip(servers.known()) {
                if known.comes_last(now) == *last {
                    let edns = known.wants_edns(now);
                    *server = ServerProgress {
                        at,
                        id: seed.id(),
                        state: ServerState::Due,
                        edns,
                        ..ServerProgress::ABSENT
                    };
                    at = at.saturating_add(STAGGER);
                }
            }
        }
    }

    /// What is asked for in place of the name, where an alias has led elsewhere.
    pub(crate) fn alias(&self) -> Option<&Name<N>> {
        Some(&self.alias).filter(|alias| !alias.is_absent())
    }

    pub(crate) const fn port(&self) -> u16 {
        self.port
    }

    /// The least of `ttl` and those of the aliases on the way, in seconds.
    pub(crate) fn least_ttl(&self, ttl: u32) -> u32 {
        self.least_ttl.min(ttl)
    }

    /// How a server was asked from which a message has come, if it may have one to send: with which id, and
    /// whether with capitals. What was asked in a datagram may be answered after the wait for it is over, as
    /// long as the question is open.
    pub(crate) fn expects(&self, server: usize, stream: bool) -> Option<(u16, bool)> {
        let server = self.servers.get(server)?;
        let may_answer = if stream { server.state == ServerState::Stream } else { server.asked > 0 };
        may_answer.then_some((server.id, server.last.is_cased() && !stream))
    }

    /// Whether it counts that a server does not answer: not of one that is to be asked again, or in another
    /// way.
    pub(crate) fn waits_for(&self, server: usize, stream: bool) -> bool {
        let state = if stream { ServerState::Stream } else { ServerState::Waiting };
        self.servers.get(server).is_some_and(|server| server.state == state)
    }

    /// What is to be done now.
    pub(crate) fn poll(&mut self, terms: &EffectiveConfig, now: Instant) -> QueryStep {
        let now = self.time(now);
        // Each turn asks a server, or moves on one whose time has come: to a time that has not, or to its
        // end.
        loop {
            if self.give_up <= now && self.give_up < u32::MAX {
                return QueryStep::NoSuchName;
            }
            let Some((index, server)) = self.next(false) else { return QueryStep::Failed };
            if server.at > now {
                let at = server.at.min(self.give_up);
                return QueryStep::WaitUntil(Instant::from_micros(
                    self.start.as_micros().saturating_add(at.into()),
                ));
            }
            match server.state {
                ServerState::Stream => self.stream_failed_at(index, terms, now),
                ServerState::Waiting if server.asked >= terms.attempts => {
                    self.fail(index, NameServerError::Silent, now)
                }
                // There is no later time: the caller has slept for hours.
                _ if now == u32::MAX => self.fail(index, NameServerError::Silent, now),
                _ => return QueryStep::Ask(server.ask(index, terms, now)),
            }
        }
    }

    /// What has come from a server is not an answer, or nothing can come from it.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn failed(
        &mut self,
        index: usize,
        problem: NameServerError,
        terms: &EffectiveConfig,
        now: Instant,
    ) {
        let now = self.time(now);
        let Some(server) = self.servers.get_mut(index) else { return };
        match problem {
            // Rule 4: once more, at once and in the same way.
            NameServerError::ResponseCode(code) if server.last.has_edns() && code.may_be_edns() => {
                server.edns = false;
                server.last = LastForm::new(false, server.last.is_cased());
                server.at = now;
                if server.state == ServerState::Stream {
                    // Asked over TCP once more it is not counted again.
                    server.state = ServerState::DueStream;
                } else {
                    (server.state, server.asked) = (ServerState::Due, server.asked.saturating_sub(1));
                }
            }
            NameServerError::ResponseCode(code) if code.may_pass() => {
                self.fail_for_now(index, problem, terms, now)
            }
            // Rule 5. What is truncated over TCP, too, is available nowhere.
            NameServerError::Truncated
                if terms.transport == DnsTransport::UdpAndTcp && server.state != ServerState::Stream =>
            {
                (server.state, server.at) = (ServerState::DueStream, now);
            }
            _ => self.fail(index, problem, now),
        }
    }

    /// The query that was to go to this server was not sent, since there was no socket for it. It is to be
    /// sent at `until`, as if it had not been asked for before; the servers that were not asked yet come as
    /// much later.
    pub(crate) fn postpone(&mut self, index: usize, until: Instant, terms: &EffectiveConfig, now: Instant) {
        let (until, now) = (self.time(until), self.time(now));
        let Some(server) = self.servers.get_mut(index) else { return };
        let due = match server.state {
            ServerState::Absent | ServerState::Failed => return,
            ServerState::Due | ServerState::DueStream => server.at,
            ServerState::Stream if terms.transport != DnsTransport::Tcp => {
                server.state = ServerState::DueStream;
                now
            }
            ServerState::Waiting | ServerState::Stream => {
                server.asked = server.asked.saturating_sub(1);
                server.state = ServerState::Due;
                now
            }
        };
        if now == u32::MAX {
            // There is no later time.
            return self.fail(index, NameServerError::Unreachable, now);
        }
        server.at = until;
        let others = self.servers.iter_mut().enumerate().filter(|(other, _)| *other != index);
        for (_, other) in others.filter(|(_, other)| other.is_live() && other.asked == 0) {
            other.at = other.at.saturating_add(until).saturating_sub(due);
        }
    }

    /// The datagram could not be sent, or a router or the server's host said that it did not arrive. Whether
    /// that says anything.
    pub(crate) fn datagram_failed(&mut self, index: usize, terms: &EffectiveConfig, now: Instant) -> bool {
        let is_waiting = self.waits_for(index, false);
        if is_waiting {
            self.failed(index, NameServerError::Unreachable, terms, now);
        }
        is_waiting
    }

    /// The TCP connection failed, or ended before the answer was there.
    pub(crate) fn stream_failed(&mut self, index: usize, terms: &EffectiveConfig, now: Instant) {
        if self.waits_for(index, true) {
            self.stream_failed_at(index, terms, self.time(now));
        }
    }

    fn stream_failed_at(&mut self, index: usize, terms: &EffectiveConfig, now: u32) {
        let problem = if terms.transport == DnsTransport::Tcp {
            NameServerError::Unreachable
        } else {
            NameServerError::Truncated
        };
        self.fail_for_now(index, problem, terms, now);
    }

    /// Rule 3.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn fail_for_now(&mut self, index: usize, problem: NameServerError, terms: &EffectiveConfig, now: u32) {
        let Some(server) = self.servers.get_mut(index) else { return };
        if server.asked >= terms.attempts {
            return self.fail(index, problem, now);
        }
        let pause = doubled(PAUSE, server.asked.saturating_sub(1)).min(terms.timeout);
        (server.state, server.at, server.problem) =
            (ServerState::Due, now.saturating_add(pause), Some(problem));
        self.ask_next(now);
    }

    /// The server is done with.
    fn fail(&mut self, index: usize, problem: NameServerError, now: u32) {
        let Some(server) = self.servers.get_mut(index) else { return };
        // What it said tells more than that it said nothing later.
        let said = server.problem.filter(|_| problem == NameServerError::Silent);
        (server.state, server.problem) = (ServerState::Failed, said.or(Some(problem)));
        self.ask_next(now);
    }

    /// Rule 1: the first that was not asked yet is asked now.
    fn ask_next(&mut self, now: u32) {
        if let Some((_, server)) = self.next(true) {
            server.at = server.at.min(now);
        }
    }

    /// The server whose turn is next, of all or of those that were not asked yet.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next(&mut self, fresh: bool) -> Option<(usize, &mut ServerProgress)> {
        let mut next: Option<(usize, &mut ServerProgress)> = None;
        for (index, server) in self.servers.iter_mut().enumerate() {
            let is_meant = server.is_live() && !(fresh && server.asked > 0);
            if is_meant && next.as_ref().is_none_or(|(_, first)| server.at < first.at) {
                next = Some((index, server));
            }
        }
        next
    }

    /// What is wrong with each server; `None` where there is no such server.
    pub(crate) fn server_errors(&self) -> [Option<NameServerError>; S] {
        self.servers.each_ref().map(|server| server.problem)
    }

    /// Rule 7: goes on with the name that an alias leads to, from another port. Whether it may.
    pub(crate) fn follow(
        &mut self,
        alias: Name<N>,
        ttl: u32,
        servers: &Servers<S>,
        seed: &mut Seed,
        port: u16,
        now: Instant,
    ) -> bool {
        let Some(aliases) = self.aliases.checked_add(1).filter(|aliases| *aliases <= MOST_ALIASES) else {
            return false;
        };
        // What is left of the time to give up begins with the new start.
        let left = self.give_up.saturating_sub(self.time(now));
        self.give_up = if self.give_up == u32::MAX { u32::MAX } else { left };
        self.least_ttl = self.least_ttl.min(ttl);
        (self.aliases, self.alias, self.port) = (aliases, alias, port);
        self.begin(servers, seed, now);
        true
    }

    /// Rule 8: ends at this moment, unless there is an answer before.
    pub(crate) fn give_up_at(&mut self, at: Instant) {
        self.give_up = self.give_up.min(self.time(at));
    }

    /// Whether the server was silent for as long as makes the next one be asked, though another has answered.
    pub(crate) fn was_silent(&self, index: usize, terms: &EffectiveConfig, now: Instant) -> bool {
        let Some(server) = self.servers.get(index) else { return false };
        let asked_at = server.at.saturating_sub(server.wait(terms));
        let is_late = server.asked > 1 || self.time(now).saturating_sub(asked_at) >= STAGGER;
        // A connection for what was truncated is under way because the server has answered.
        let is_waiting = match server.state {
            ServerState::Stream => terms.transport == DnsTransport::Tcp,
            state => state == ServerState::Waiting,
        };
        is_waiting && server.problem.is_none() && is_late
    }

    /// Whether the server was asked without EDNS after it had been asked with it.
    pub(crate) fn has_left_out_edns(&self, index: usize) -> bool {
        self.servers
            .get(index)
            .is_some_and(|server| !server.last.has_edns() && (!server.edns || server.problem.is_none()))
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn time(&self, now: Instant) -> u32 {
        u32::try_from(now.as_micros().saturating_sub(self.start.as_micros())).unwrap_or(u32::MAX)
    }
}

impl ServerProgress {
    const ABSENT: ServerProgress = ServerProgress {
        at: 0,
        id: 0,
        asked: 0,
        state: ServerState::Absent,
        edns: true,
        last: LastForm::Plain,
        problem: None,
    };

    fn is_live(&self) -> bool {
        !matches!(self.state, ServerState::Absent | ServerState::Failed)
    }

    /// How long the answer to the last query is waited for: rule 2.
    fn wait(&self, terms: &EffectiveConfig) -> u32 {
        let timeout = terms.timeout;
        if self.state == ServerState::Stream || self.asked >= terms.attempts {
            timeout
        } else {
            doubled(FIRST_WAIT, self.asked.saturating_sub(1)).min(timeout)
        }
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn ask(&mut self, index: usize, terms: &EffectiveConfig, now: u32) -> QueryOrder {
        let stream = self.state == ServerState::DueStream || terms.transport == DnsTransport::Tcp;
        // What is truncated has been asked for already.
        if self.state != ServerState::DueStream {
            self.asked = self.asked.saturating_add(1);
        }
        // Rule 4.
        let is_last = self.asked >= terms.attempts && self.asked > 1;
        let is_plain = is_last && !stream;
        self.last = LastForm::new(self.edns && !is_plain, terms.randomise_case && !is_plain && !stream);
        self.state = if stream { ServerState::Stream } else { ServerState::Waiting };
        self.at = now.saturating_add(self.wait(terms));
        QueryOrder {
            server: index,
            stream,
            id: self.id,
            edns: self.last.has_edns(),
            cased: self.last.is_cased(),
        }
    }
}

/// Twice `micros`, so many times.
const fn doubled(micros: u32, times: u8) -> u32 {
    let times = if times > 16 { 16 } else { times };
    micros.saturating_mul(1 << times)
}
