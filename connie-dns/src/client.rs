//! The client: it stands between the servers and the lookups.
//!
//! # The rules
//!
//! 1. **A question is asked once for all lookups that wait for it**, and its answer is cached: for its time
//!    to live, and for [`DnsConfig::longest_ttl`] at most. That a name does not exist, or has no record of a
//!    type, is cached for as long as the zone's SOA record says (RFC 2308 section 5), and not at all without
//!    one. Failures are not cached.
//! 2. **A question that nothing waits for any more is given up.**
//! 3. **NXDOMAIN ends the name's other questions** (RFC 8020): at once if IPv4 addresses were asked for, and
//!    otherwise after [`DOUBT`], since some servers answer so for names that have only IPv4 addresses (RFC
//!    4074 section 4.2).
//! 4. **Names below `onion` are never asked for** (RFC 7686 section 2), not even through an alias.
//! 5. **New servers, new answers**: when the servers change, all open questions start again and the cache is
//!    emptied.
//!
//! What happens to an open question is in [`query_machine`](crate::query_machine), which server comes first
//! in [`servers`](crate::servers), and what is cached where in [`table`](crate::table).

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

/// How long the other questions about a name go on after a server has denied it: rule 3. A query that was
/// lost has been sent again and answered by then.
const DOUBT: Duration = Duration::from_secs(2);
/// Later than any time that is used.
const NEVER: Instant = Instant::from_micros(u64::MAX);

/// A DNS client without sockets and without a clock, which serves all lookups of a program.
///
/// It has room for `NAMES` names that are being asked for or are [cached](crate#capacities), and for
/// `SERVERS` servers. A name has at most `NAME` octets, and the records of one type at most `DATA`: 4 for an
/// IPv4 address, 16 for an IPv6 address. What does not fit is dropped.
///
/// See the [crate] for how to drive it.
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
    /// The last serial number that was given to a question or a port.
    serial: u16,
    entries: [NameEntry<SERVERS, NAME, DATA>; NAMES],
}

/// A question that a caller waits for. Release it with [`DnsClient::give_up`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct QuestionId {
    place: u16,
    serial: u16,
    kind: RecordType,
}

/// Where a question is asked from: the driver has a UDP socket of its own for each, so that an answer is as
/// hard to forge as possible (RFC 5452 section 9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Port {
    place: u16,
    serial: u16,
    kind: RecordType,
}

impl Port {
    /// The type of record that is asked for from here.
    #[must_use]
    pub const fn kind(&self) -> RecordType {
        self.kind
    }
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DnsInput<'a> {
    /// A datagram has arrived.
    Datagram {
        /// At this port.
        port: Port,
        /// From here.
        from: SocketAddr,
        /// Its content.
        message: &'a [u8],
    },
    /// A datagram could not be delivered: a router or the server's host said so, or there is no route to the
    /// server. Do not report a datagram that was not sent for lack of a socket or a buffer: it counts as lost
    /// and is sent again.
    DatagramFailed {
        /// From this port.
        port: Port,
        /// To this server.
        server: SocketAddr,
    },
    /// A whole message has arrived over TCP, without the length before it (RFC 1035 section 4.2.2).
    Message {
        /// At this port.
        port: Port,
        /// From this server.
        server: SocketAddr,
        /// Its content.
        message: &'a [u8],
    },
    /// A TCP connection failed, or was closed before the whole message had arrived.
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
        /// From here. If the port is new, open a socket for it, on a local port that is hard to guess.
        port: Port,
        /// To this server.
        server: SocketAddr,
        /// How many octets of the buffer to send.
        length: usize,
    },
    /// Connect to the server over TCP, and send the first `length` octets of the buffer behind their length,
    /// two octets (RFC 1035 section 4.2.2), in one piece (RFC 7766 section 8).
    Connect {
        /// For this port.
        port: Port,
        /// To this server.
        server: SocketAddr,
        /// How many octets of the buffer.
        length: usize,
    },
    /// This question has ended: wake whatever waits for it.
    Ended(QuestionId),
    /// Nothing to do until this time, or until something happens.
    WaitUntil(Instant),
    /// Nothing to do until something happens.
    WaitForInput,
}

impl DnsOutput {
    /// Whether there is nothing more to do for now.
    #[must_use]
    pub const fn ends_drain(&self) -> bool {
        matches!(self, DnsOutput::WaitUntil(_) | DnsOutput::WaitForInput)
    }
}

impl<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize>
    DnsClient<NAMES, SERVERS, NAME, DATA>
{
    const FITS: () = assert!(NAMES <= 65_536 && SERVERS >= 1, "up to 65,536 names, and a server at least");

    /// A client with this configuration. Ids are made from `seed`, which must be hard to guess: take it from
    /// a source of randomness, a new one at each start. The client has no server yet, and every question
    /// fails.
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

    /// Asks these servers from now on, in this order; duplicates count once. There is room for `SERVERS` of
    /// them, the rest is ignored. Report what comes from a server with the address that it has here; the flow
    /// label of an IPv6 address makes no difference. If the servers have changed, open questions start again
    /// and the cache is emptied.
    pub fn set_servers(&mut self, servers: &[SocketAddr], now: Instant) {
        if self.servers.set(servers) {
            self.begin_anew(now);
        }
    }

    /// For a program that sends from another address than it did: what is asked is asked anew, since answers
    /// go to the old one, and what was kept is forgotten.
    pub fn begin_anew(&mut self, now: Instant) {
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

    /// The servers in use.
    pub fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        self.servers.addresses()
    }

    /// Empties the cache: for a program that has noticed a change of network.
    pub fn forget(&mut self, now: Instant) {
        self.entries.iter_mut().for_each(|entry| entry.forget(now));
    }

    /// Asks for the records of a name, unless they are cached or already being asked for. `None` if there is
    /// no room for another name: something waits for each name that is there. Try again when a question has
    /// [ended](DnsOutput::Ended) or was [given up](Self::give_up).
    ///
    /// [`RecordLookup`](crate::RecordLookup) asks for all types, and for the names of a search list.
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

    /// Stops waiting for a question. Call it once for each [`ask`](Self::ask), whether the question has ended
    /// or not. If you forget, the slot stays taken for 10 s after the end.
    pub fn give_up(&mut self, id: QuestionId) {
        let Some(question) = self.question_mut(id) else { return };
        question.waiting = question.waiting.saturating_sub(1);
        if question.waiting == 0 && matches!(question.state, QuestionState::Asking(_)) {
            question.clear();
        }
    }

    /// The answer to a question; `None` while it is open.
    ///
    /// # Errors
    ///
    /// Why there is no answer. A question that was given up is [`Failed`](QueryError::Failed) too.
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

    /// Why each server brought no answer, if the question has failed.
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

    /// How many ports are in use: one for each open question. For a driver with few sockets.
    #[must_use]
    pub fn ports(&self) -> usize {
        let questions = self.entries.iter().flat_map(|entry| entry.questions.all());
        questions.filter(|question| matches!(question.state, QuestionState::Asking(_))).count()
    }

    /// Whether a port is still in use. Close one that is not, with its TCP connections: its question has
    /// ended, or is now asked from another port. Check this after polling the client.
    #[must_use]
    pub fn is_open(&self, port: Port) -> bool {
        self.exchange(port).is_some()
    }

    /// Whether the client still waits for the message of a TCP connection. If not, close it.
    #[must_use]
    pub fn wants_stream(&self, port: Port, server: SocketAddr) -> bool {
        let index = self.servers.find(&server);
        self.exchange(port).zip(index).is_some_and(|(exchange, index)| exchange.waits_for(index, true))
    }

    /// Takes what happened. Poll the client afterwards. Input that nothing waits for changes nothing: an
    /// answer to something else may be forged, and the right one may still arrive.
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

    /// Returns what to do next. Do it, and poll again until the output [ends the
    /// drain](DnsOutput::ends_drain). The message to send is in `buffer`.
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

    /// Records that a query could not be [sent](DnsOutput::Send), or a [connection](DnsOutput::Connect) not
    /// be opened, for lack of a socket. It comes again at `until`, and its timeouts count from then, so that
    /// it does not count as lost. Call it again if there is a socket earlier.
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

    /// What it has learnt about its servers.
    #[must_use]
    pub fn standing(&self) -> ServerStanding<SERVERS> {
        ServerStanding(self.servers.clone())
    }

    /// Takes over what another client has learnt about the same servers. Ignored if the servers differ.
    pub fn set_standing(&mut self, standing: &ServerStanding<SERVERS>) {
        if standing.0.addresses().eq(self.servers.addresses()) {
            self.servers.clone_from(&standing.0);
        }
    }

    /// Until when it has a cached answer. In the past if it has none.
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

/// Records which servers were silent while this one answered.
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

/// Rule 3: the name does not exist, according to the answer to `asked`.
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

/// How many whole seconds there are from one moment to another; from 76 hours on no more than that. A million
/// is 64 times 15,625: what is divided has 32 bits, since a division of 64 costs a microcontroller a
/// kilobyte.
fn seconds(from: Instant, to: Instant) -> u32 {
    let micros = to.as_micros().saturating_sub(from.as_micros());
    u32::try_from(micros >> 6).unwrap_or(u32::MAX) / 15_625
}

/// The error of a question from the errors of its servers: what one server said tells more than the silence
/// of another.
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
