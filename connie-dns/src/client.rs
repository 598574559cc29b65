//! The client: what goes between the servers and those who ask.
//!
//! # The rules
//!
//! 1. **A question is asked once for all who wait for it**, and its answer kept for those who come later: for its time to live, and
//!    [`DnsConfig::longest_ttl`] at most. That there is no such name, or nothing of a kind, is kept as long as the zone's SOA record says
//!    (RFC 2308 section 5), and not at all where there is none. What the servers could not answer is not kept.
//! 2. **A question that nobody waits for any more is given up.**
//! 3. **NXDOMAIN ends the name's other questions** (RFC 8020): at once where addresses of IPv4 were asked for, and after [`DOUBT`] otherwise,
//!    since there are servers that say so of names which have IPv4 addresses alone (RFC 4074 section 4.2).
//! 4. **Names of Tor are not asked for** (RFC 7686 section 2), be it by way of an alias.
//! 5. **Other servers, other answers**: with new servers all that is asked is asked anew, and what was kept is forgotten.
//!
//! What happens to a question while it is asked is in [`exchange`](crate::query_machine), which server comes first in
//! [`servers`](crate::servers), and who keeps what in [`table`](crate::table).

use core::net::SocketAddr;
use core::time::Duration;

use connie_core::Instant;
use connie_core::resolution::QueryError;

use crate::config::{DnsConfig, DnsTransport, EffectiveConfig};
use crate::interpretation::{Interpretation, ReceivedBy, SentQuery, read};
use crate::name::Name;
use crate::query::{LARGEST_QUERY, QueryForm, write};
use crate::query_machine::{QueryMachine, QueryOrder, QueryStep};
use crate::record_set::{NameServerError, RecordSet, ReplyKind, ResponseCode};
use crate::record_type::RecordType;
use crate::seed::Seed;
use crate::servers::{ServerStanding, Servers};
use crate::table::{NameEntry, Question, QuestionEnd, QuestionState, place};

/// How long the other questions for a name go on that a server has denied: rule 3. One that was lost has been asked again by then, and been
/// answered.
const DOUBT: Duration = Duration::from_secs(2);
/// Later than every moment that comes.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// A DNS client without sockets and without a clock, for all look-ups of a program.
///
/// There is room for `NAMES` names that are asked for or [known](crate#capacities), and for `SERVERS` servers. A name has at most `NAME`
/// octets, and the records of one kind `DATA`: 4 for an IPv4 address, 16 for one of IPv6. What does not fit is left out.
///
/// See the [crate] for how it is driven.
#[derive(Clone, Debug)]
pub struct DnsClient<
    const NAMES: usize,
    const SERVERS: usize = 3,
    const NAME: usize = 255,
    const DATA: usize = 256,
> {
    terms: EffectiveConfig,
    servers: Servers<SERVERS>,
    seed: Seed,
    /// The last that was given to a question or a port.
    serial: u16,
    entries: [NameEntry<SERVERS, NAME, DATA>; NAMES],
}

/// A question that somebody waits for. Give it back with [`DnsClient::give_up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId {
    place: u16,
    serial: u16,
    kind: RecordType,
}

/// Where a question is asked from: the driver has a UDP port of its own for each, so that an answer is as hard to forge as can be (RFC 5452
/// section 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    place: u16,
    serial: u16,
    kind: RecordType,
}

impl Port {
    /// What is asked for from here.
    #[must_use]
    pub const fn kind(&self) -> RecordType {
        self.kind
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsInput<'a> {
    /// A datagram has come.
    Datagram {
        /// To this port.
        port: Port,
        /// From here.
        from: SocketAddr,
        /// What it holds.
        message: &'a [u8],
    },
    /// A router or the server's host said that a datagram did not arrive, or there is no way to the server. One that was not sent for want of a
    /// socket or a buffer is better not told of: it counts as lost, and is sent again.
    DatagramFailed {
        /// From this port.
        port: Port,
        /// To this server.
        server: SocketAddr,
    },
    /// A message has come over TCP, whole. What comes before it, its length (RFC 1035 section 4.2.2), is no part of it.
    Message {
        /// To this port.
        port: Port,
        /// From this server.
        server: SocketAddr,
        /// What it holds.
        message: &'a [u8],
    },
    /// A TCP connection failed, or was closed before the message was there.
    StreamFailed {
        /// Of this port.
        port: Port,
        /// To this server.
        server: SocketAddr,
    },
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsOutput {
    /// Send a datagram, the first `length` octets of the buffer.
    Send {
        /// From here; a port that is new is to be opened, hard to guess.
        port: Port,
        /// To this server.
        server: SocketAddr,
        /// How many octets of the buffer.
        length: usize,
    },
    /// Connect to the server over TCP, and send the first `length` octets of the buffer behind their length, two octets (RFC 1035 section
    /// 4.2.2), in one piece (RFC 7766 section 8).
    Connect {
        /// For this port.
        port: Port,
        /// To this server.
        server: SocketAddr,
        /// How many octets of the buffer.
        length: usize,
    },
    /// This question has ended: wake who waits for it.
    Ended(QuestionId),
    /// Nothing more until this moment, or until something happens.
    WaitUntil(Instant),
    /// Nothing more until something happens.
    WaitForInput,
}

impl DnsOutput {
    /// Whether there is nothing more to do now.
    #[must_use]
    pub const fn ends_drain(&self) -> bool {
        matches!(self, DnsOutput::WaitUntil(_) | DnsOutput::WaitForInput)
    }
}

impl<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize>
    DnsClient<NAMES, SERVERS, NAME, DATA>
{
    const FITS: () = assert!(NAMES <= 65_536 && SERVERS >= 1, "up to 65,536 names, and a server at least");

    /// A client that asks as `settings` say. Ids are made from `seed`, which must be hard to guess: from a source of randomness, another at each
    /// start. It has no server yet, and every question fails.
    #[must_use]
    pub fn new(settings: DnsConfig, seed: u64) -> Self {
        const { Self::FITS };
        DnsClient {
            terms: EffectiveConfig::new(&settings),
            servers: Servers::new(),
            seed: Seed::new(seed),
            serial: 0,
            entries: [const { NameEntry::vacant() }; NAMES],
        }
    }

    /// Asks these servers from now on, the first to be asked first, each once. There is room for `SERVERS` of them; more are left out. What comes from
    /// one is told with the address that it has here; a flow label of IPv6 makes no difference. Where they are others than before, what is asked is asked anew, and what was
    /// kept is forgotten.
    pub fn set_servers(&mut self, servers: &[SocketAddr], now: Instant) {
        if !self.servers.set(servers) {
            return;
        }
        let DnsClient { servers, seed, serial, entries, .. } = self;
        for entry in entries {
            entry.forget(now);
            for (_, question) in entry.questions.all_mut() {
                if let QuestionState::Asking(exchange) = &mut question.state {
                    *serial = serial.wrapping_add(1);
                    exchange.begin_anew(servers, seed, *serial, now);
                }
            }
        }
    }

    /// The servers that are asked.
    pub fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.addresses()
    }

    /// Forgets what is kept: for a program that has learnt that the network is another one now.
    pub fn forget(&mut self, now: Instant) {
        self.entries.iter_mut().for_each(|entry| entry.forget(now));
    }

    /// Asks for records of a name, unless they are known or asked for already. `None` where there is room for no other name: all places are
    /// waited for. Try again when a question has [ended](DnsOutput::Ended) or was [given up](Self::give_up).
    ///
    /// [`RecordLookup`](crate::RecordLookup) asks for all kinds, and for the names of a search list.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn ask(&mut self, name: &Name<NAME>, kind: RecordType, now: Instant) -> Option<QuestionId> {
        let DnsClient { servers, seed, serial, entries, .. } = self;
        let (index, entry) = place(entries, name, now)?;
        let is_nowhere = name.is_onion();
        let is_denied = is_nowhere || entry.questions.get(RecordType::A).denies_name(now);
        let question = entry.questions.get_mut(kind);
        if !question.is_held(now) && question.expires() <= now {
            *serial = serial.wrapping_add(1);
            // Rules 3 and 4. Asked for again, it is denied again.
            match is_denied {
                true => question.deny(now),
                false => {
                    question.state = QuestionState::Asking(QueryMachine::new(servers, seed, *serial, now))
                }
            }
            (question.serial, question.waiting, question.is_news) = (*serial, 0, false);
        }
        question.hold(now);
        // No more than `NAMES`.
        let place = u16::try_from(index).ok()?;
        Some(QuestionId { place, serial: question.serial, kind })
    }

    /// No longer waits for a question. To be called once for each time that it was [asked](Self::ask), whether it has ended or not. Who
    /// forgets it loses the place for 10 s after the end, and no longer.
    pub fn give_up(&mut self, id: QuestionId) {
        let Some(question) = self.question_mut(id) else { return };
        question.waiting = question.waiting.saturating_sub(1);
        if question.waiting == 0 && matches!(question.state, QuestionState::Asking(_)) {
            question.clear();
        }
    }

    /// What is known of a question; `None` while it is asked.
    ///
    /// # Errors
    ///
    /// Why there is no answer. [`Failed`](QueryError::Failed) is also what is said of a question that was given up.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn answer(&self, id: QuestionId, now: Instant) -> Option<Result<RecordSet<'_>, QueryError>> {
        let Some(question) = self.question(id) else { return Some(Err(QueryError::Failed)) };
        Some(match &question.state {
            QuestionState::Asking(_) => return None,
            QuestionState::Idle => Err(QueryError::Failed),
            QuestionState::Ended(QuestionEnd::Failed(server_errors), _) => Err(verdict(server_errors)),
            QuestionState::Ended(QuestionEnd::Answered(reply), _) if reply.found == ReplyKind::NoSuchName => {
                Err(QueryError::NoSuchName)
            }
            QuestionState::Ended(QuestionEnd::Answered(reply), _) => Ok(RecordSet {
                kind: id.kind,
                ttl: seconds(now, question.expires()),
                octets: reply.data.octets(),
            }),
        })
    }

    /// What is wrong with each server, where a question has failed.
    pub fn server_errors(&self, id: QuestionId) -> impl Iterator<Item = (SocketAddr, NameServerError)> {
        let server_errors = self.question(id).and_then(|question| match &question.state {
            QuestionState::Ended(QuestionEnd::Failed(server_errors), _) => Some(server_errors.as_slice()),
            _ => None,
        });
        let of_server = |(server, problem): (SocketAddr, &Option<NameServerError>)| {
            problem.map(|problem| (server, problem))
        };
        self.servers.addresses().zip(server_errors.unwrap_or_default()).filter_map(of_server)
    }

    /// How many ports are used: one for each question that is asked now. For a driver whose sockets are few.
    #[must_use]
    pub fn ports(&self) -> usize {
        let questions = self.entries.iter().flat_map(|entry| entry.questions.all());
        questions.filter(|question| matches!(question.state, QuestionState::Asking(_))).count()
    }

    /// Whether a port is still used. One that is not is to be closed, with its TCP connections: its question has ended, or is asked from another
    /// port. Look after the client has been polled.
    #[must_use]
    pub fn is_open(&self, port: Port) -> bool {
        self.exchange(port).is_some()
    }

    /// Whether the message of a TCP connection is waited for. One that is not is to be closed.
    #[must_use]
    pub fn wants_stream(&self, port: Port, server: SocketAddr) -> bool {
        let index = self.servers.find(&server);
        self.exchange(port).zip(index).is_some_and(|(exchange, index)| exchange.waits_for(index, true))
    }

    /// Tells it that something happened. Poll it afterwards. What nobody waits for changes nothing: an answer to something else may be a
    /// forged one, and the right one may still come.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn handle_input(&mut self, input: DnsInput<'_>, now: Instant) {
        let DnsClient { terms, servers, seed, serial, entries } = self;
        let (DnsInput::Datagram { port, from: server, .. }
        | DnsInput::DatagramFailed { port, server }
        | DnsInput::Message { port, server, .. }
        | DnsInput::StreamFailed { port, server }) = input;
        let Some((index, entry)) = servers.find(&server).zip(entries.get_mut(usize::from(port.place))) else {
            return;
        };
        let question = entry.questions.get_mut(port.kind);
        let QuestionState::Asking(exchange) = &mut question.state else { return };
        if exchange.port() != port.serial {
            return;
        }
        let (message, way) = match input {
            DnsInput::Datagram { message, .. } if terms.transport == DnsTransport::Udp => {
                (message, ReceivedBy::OnlyDatagram)
            }
            DnsInput::Datagram { message, .. } => (message, ReceivedBy::Datagram),
            DnsInput::Message { message, .. } => (message, ReceivedBy::Stream),
            DnsInput::StreamFailed { .. } => return exchange.stream_failed(index, terms, now),
            DnsInput::DatagramFailed { .. } => {
                if exchange.datagram_failed(index, terms, now) {
                    servers.pass_over(index, now);
                }
                return;
            }
        };
        let Some((id, cased)) = exchange.expects(index, way == ReceivedBy::Stream) else { return };
        let name = exchange.alias().unwrap_or(&entry.name).wire();
        let case = cased.then(|| seed.case(port.serial, id));
        let said = read(message, &SentQuery { name, kind: port.kind, id, case }, way);
        if !matches!(said, Interpretation::NotOurs) {
            servers.trust(index);
        }
        if matches!(said, Interpretation::Answer(_) | Interpretation::Alias(..)) {
            rate(exchange, index, servers, terms, now);
        }
        match said {
            Interpretation::Alias(alias, _) if alias.is_onion() => question.deny(now),
            Interpretation::Alias(alias, ttl) => {
                *serial = serial.wrapping_add(1);
                if !exchange.follow(alias, ttl, servers, seed, *serial, now) {
                    let mut server_errors = [None; SERVERS];
                    if let Some(problem) = server_errors.get_mut(index) {
                        *problem = Some(NameServerError::Aliases);
                    }
                    question.end(QuestionEnd::Failed(server_errors), 0, now);
                }
            }
            Interpretation::Answer(reply) => {
                let seconds = exchange.least_ttl(reply.ttl).min(terms.longest_ttl);
                let found = reply.found;
                question.end(QuestionEnd::Answered(reply), seconds, now);
                if found == ReplyKind::NoSuchName {
                    deny(entry, port.kind, now);
                }
            }
            // Nothing more comes in a connection of which this is the message.
            Interpretation::NotOurs if way == ReceivedBy::Stream => exchange.stream_failed(index, terms, now),
            Interpretation::NotOurs => {}
            Interpretation::Unusable(problem) => {
                if exchange.waits_for(index, way == ReceivedBy::Stream) {
                    exchange.failed(index, problem, terms, now);
                }
            }
        }
    }

    /// Says what to do next. Act on it, and poll again until the answer [ends the drain](DnsOutput::ends_drain). What is to be sent is in
    /// `buffer`.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn poll_output(&mut self, buffer: &mut [u8; LARGEST_QUERY], now: Instant) -> DnsOutput {
        let DnsClient { terms, servers, entries, seed, .. } = self;
        let mut wake = NEVER;
        for (index, entry) in entries.iter_mut().enumerate() {
            // No more than `NAMES`.
            let place = u16::try_from(index).unwrap_or(u16::MAX);
            for (kind, question) in entry.questions.all_mut() {
                if let QuestionState::Asking(exchange) = &mut question.state {
                    match exchange.poll(terms, now) {
                        QueryStep::Ask(todo) => {
                            // It asks servers that there are.
                            let Some(server) = servers.address(todo.server) else { continue };
                            let port = Port { place, serial: exchange.port(), kind };
                            let name = exchange.alias().unwrap_or(&entry.name);
                            let length = write(name.wire(), kind, form(terms, seed, port, todo), buffer);
                            return match todo.stream {
                                true => DnsOutput::Connect { port, server, length },
                                false => DnsOutput::Send { port, server, length },
                            };
                        }
                        QueryStep::WaitUntil(at) => wake = wake.min(at),
                        QueryStep::Failed => {
                            let server_errors = exchange.server_errors();
                            question.end(QuestionEnd::Failed(server_errors), 0, now);
                        }
                        QueryStep::NoSuchName => question.deny(now),
                    }
                }
                if core::mem::take(&mut question.is_news) {
                    return DnsOutput::Ended(QuestionId { place, serial: question.serial, kind });
                }
            }
        }
        if wake == NEVER { DnsOutput::WaitForInput } else { DnsOutput::WaitUntil(wake) }
    }

    /// Takes note that what was to be [sent](DnsOutput::Send), or [connected](DnsOutput::Connect), could not be for want of a socket. It comes again at
    /// `until`, and its times count from then: so it does not count as lost. To be called again where there is a socket before.
    pub fn postpone(&mut self, port: Port, server: SocketAddr, until: Instant, now: Instant) {
        let DnsClient { terms, servers, entries, .. } = self;
        let question =
            entries.get_mut(usize::from(port.place)).map(|entry| entry.questions.get_mut(port.kind));
        match (servers.find(&server), question.map(|question| &mut question.state)) {
            (Some(index), Some(QuestionState::Asking(exchange))) if exchange.port() == port.serial => {
                exchange.postpone(index, until, terms, now);
            }
            _ => {}
        }
    }

    /// What it has learnt of its servers.
    #[must_use]
    pub fn standing(&self) -> ServerStanding<SERVERS> {
        ServerStanding(self.servers.clone())
    }

    /// Goes by what another client has learnt of the same servers; the standing of others changes nothing.
    pub fn set_standing(&mut self, standing: &ServerStanding<SERVERS>) {
        if standing.0.addresses().eq(self.servers.addresses()) {
            self.servers.clone_from(&standing.0);
        }
    }

    /// Until when it keeps an answer for those who come later. In the past where it keeps none.
    #[must_use]
    pub fn keeps_until(&self) -> Instant {
        self.entries.iter().map(NameEntry::expires).fold(Instant::ZERO, Instant::max)
    }

    // Where things are.

    fn question(&self, id: QuestionId) -> Option<&Question<SERVERS, NAME, DATA>> {
        let question = self.entries.get(usize::from(id.place))?.questions.get(id.kind);
        (question.serial == id.serial).then_some(question)
    }

    fn question_mut(&mut self, id: QuestionId) -> Option<&mut Question<SERVERS, NAME, DATA>> {
        let question = self.entries.get_mut(usize::from(id.place))?.questions.get_mut(id.kind);
        (question.serial == id.serial).then_some(question)
    }

    fn exchange(&self, port: Port) -> Option<&QueryMachine<SERVERS, NAME>> {
        machine_at(&self.entries, port)
    }
}

/// Notes which servers were silent while this one answered.
fn rate<const S: usize, const N: usize>(
    exchange: &QueryMachine<S, N>,
    index: usize,
    servers: &mut Servers<S>,
    terms: &EffectiveConfig,
    now: Instant,
) {
    for other in 0..S {
        if other != index && exchange.was_silent(other, terms, now) {
            servers.pass_over(other, now);
        }
    }
    if exchange.has_left_out_edns(index) {
        servers.leave_out_edns(index, now);
    }
}

/// Rule 3: the name does not exist, as the answer to `asked` says.
fn deny<const S: usize, const N: usize, const D: usize>(
    entry: &mut NameEntry<S, N, D>,
    asked: RecordType,
    now: Instant,
) {
    for (_, question) in entry.questions.all_mut() {
        match &mut question.state {
            QuestionState::Asking(_) if asked == RecordType::A => question.deny(now),
            QuestionState::Asking(exchange) => exchange.give_up_at(now + DOUBT),
            _ => {}
        }
    }
}

fn machine_at<const S: usize, const N: usize, const D: usize>(
    entries: &[NameEntry<S, N, D>],
    port: Port,
) -> Option<&QueryMachine<S, N>> {
    match &entries.get(usize::from(port.place))?.questions.get(port.kind).state {
        QuestionState::Asking(exchange) if exchange.port() == port.serial => Some(exchange),
        _ => None,
    }
}

fn form(terms: &EffectiveConfig, seed: &Seed, port: Port, todo: QueryOrder) -> QueryForm {
    QueryForm {
        id: todo.id,
        edns: todo.edns.then_some(terms.largest_datagram),
        case: if todo.cased { seed.case(port.serial, todo.id) } else { 0 },
    }
}

/// How many whole seconds there are from one moment to another; from 76 hours on no more than that. A million is 64 times 15,625: what is
/// divided has 32 bits, since a division of 64 costs a microcontroller a kilobyte.
fn seconds(from: Instant, to: Instant) -> u32 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    u32::try_from(micros >> 6).unwrap_or(u32::MAX) / 15_625
}

/// What all the servers together have made of a question: what one has said tells more than that another said nothing.
fn verdict(server_errors: &[Option<NameServerError>]) -> QueryError {
    let weight = |problem: &NameServerError| match problem {
        NameServerError::Unreachable | NameServerError::Truncated => 0,
        NameServerError::Silent => 1,
        NameServerError::Malformed | NameServerError::Aliases => 2,
        NameServerError::ResponseCode(ResponseCode::REFUSED) => 3,
        NameServerError::ResponseCode(_) | NameServerError::Lame => 4,
    };
    const VERDICTS: [QueryError; 4] =
        [QueryError::Unreachable, QueryError::TimedOut, QueryError::Malformed, QueryError::Refused];
    let most = server_errors.iter().flatten().map(weight).fold(0, usize::max);
    VERDICTS.get(most).copied().unwrap_or(QueryError::ServerFailure)
}
