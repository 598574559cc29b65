//! One question on its way: an exchange with its sockets.
//!
//! Each question has a socket of its own to each server that it asks, so that the port is as hard to guess as the id (RFC 5452
//! section 9.2), and so that an answer can only be taken for the question that it was given to. Two questions from one port
//! would also be lost on the routers that mistake the second for a copy of the first. The sockets are connected: the kernel passes
//! on what comes from the server's address and port alone, and tells when nobody is there.

use std::io::{self, ErrorKind};
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptErrorKind, Instant, RaceStack};
use rustix::io::Errno;

use super::exchange::{Exchange, Outcome, Problem, Timing, Todo};
use super::message::{Question, Transport};
use crate::budget::{Share, SocketBudget};
use crate::errno::{Call, meaning};
use crate::os_error::OsError;
use crate::resolve::{Datagrams, Readiness, Room, Watch};
use crate::socket::{OsSocket, OsStack};
use crate::socket_options::Purpose;
use crate::way_out::WayOut;

/// The largest datagram that is taken in. A query allows 1,232 octets; a server may not keep to that.
const LARGEST_DATAGRAM: usize = 4_096;
/// How long after the system had no socket it is asked for one again: this, twice this, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How many datagrams of one socket are read in a row: a flood must not keep the race waiting.
const DATAGRAMS_IN_A_ROW: usize = 16;

/// A question that is being asked.
pub(super) struct Query {
    exchange: Exchange,
    servers: Arc<[SocketAddr]>,
    /// Those to each server.
    sockets: Vec<Sockets>,
    /// Why it cannot be asked at all.
    dead: Option<String>,
    way_out: WayOut,
    /// Where the room for sockets comes from.
    budget: Option<SocketBudget>,
    /// Since when the system has given no socket, though there was room.
    shortage: Option<Shortage>,
    /// How long that is borne.
    timeout: Duration,
}

/// The socket to a server, which is one of these, with its room.
#[derive(Default)]
struct Sockets {
    udp: Option<Arc<Datagrams>>,
    tcp: Option<Stream>,
    room: Room,
}

/// The program has other descriptors than those of races and look-ups, and the system other programs.
#[derive(Clone, Copy)]
struct Shortage {
    since: Instant,
    /// When a socket is asked for again.
    again: Instant,
    pause: Duration,
}

impl Query {
    /// Asks. The first query is sent by the first [`poll`](Self::poll).
    pub(super) fn new(
        question: Question,
        servers: &Arc<[SocketAddr]>,
        timing: Timing,
        transport: Transport,
        way_out: WayOut,
        budget: Option<SocketBudget>,
        now: Instant,
    ) -> Self {
        let (ids, dead) = match random_ids(servers.len()) {
            Ok(ids) => (ids, None),
            Err(error) => (Vec::new(), Some(format!("no random numbers: {error}"))),
        };
        Query {
            exchange: Exchange::new(question, timing, transport, ids, now),
            sockets: servers.iter().map(|_| Sockets::default()).collect(),
            servers: Arc::clone(servers),
            dead,
            way_out,
            budget,
            shortage: None,
            timeout: timing.timeout,
        }
    }

    /// What is asked.
    pub(super) fn question(&self) -> &Question {
        self.exchange.question()
    }

    /// Reads what has come, and sends what is due. The outcome once it has ended; no socket is open then.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Outcome> {
        if let Some(reason) = &self.dead {
            let problem = |_: &SocketAddr| Problem::Unreachable(reason.clone());
            return Some(Err(self.servers.iter().map(problem).collect()));
        }
        // What has come counts before what has not come in time.
        for index in 0..self.sockets.len() {
            self.read_datagrams(index, now);
            self.go_on_with_stream(index, now);
        }
        self.look_for_room(now);
        while let Some(todo) = self.exchange.poll(now) {
            match todo {
                Todo::Send(index, message) => self.send(index, &message, now),
                Todo::Connect(index, message) => self.connect(index, &message, now),
                Todo::Close(index) => self.sockets[index] = Sockets::default(),
            }
        }
        if !self.is_short() {
            self.shortage = None;
        }
        self.exchange.outcome()
    }

    /// Tries again where a socket was lacking and there may be one now.
    fn look_for_room(&mut self, now: Instant) {
        let is_time = self.shortage.is_none_or(|shortage| shortage.again <= now);
        for (index, Sockets { room, .. }) in self.sockets.iter_mut().enumerate() {
            if !self.exchange.is_lacking(index) {
                continue;
            }
            match room.poll(self.budget.as_ref(), now) {
                Poll::Ready(Ok(())) if is_time => self.exchange.try_again(index, now),
                Poll::Ready(Err(held)) => {
                    self.budget.iter().for_each(SocketBudget::refuse);
                    self.exchange.no_socket(index, held.to_string(), now);
                }
                Poll::Ready(Ok(())) | Poll::Pending => {}
            }
        }
    }

    fn send(&mut self, index: usize, message: &[u8], now: Instant) {
        if self.sockets[index].udp.is_none() && !self.has_room(index, now) {
            return;
        }
        let Sockets { udp, room, .. } = &mut self.sockets[index];
        let socket = match udp {
            Some(socket) => socket,
            none => match open_udp(self.servers[index], &self.way_out) {
                Ok(socket) => none.insert(Arc::new(Datagrams { socket, _room: room.share() })),
                Err(error) if is_shortage(&error) => return self.has_no_socket(index, &error, now),
                Err(error) => return self.exchange.datagram_failed(index, reason(&error), now),
            },
        };
        self.shortage = None;
        match socket.socket.send(message) {
            Ok(_) => {}
            // Lost before it left: it will be sent again as any that is lost on the way.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => self.exchange.datagram_failed(index, reason(&error), now),
        }
    }

    fn connect(&mut self, index: usize, message: &[u8], now: Instant) {
        // Nothing more is to come by datagram, and its room is the stream's.
        self.sockets[index].udp = None;
        if !self.has_room(index, now) {
            return;
        }
        let Sockets { tcp, room, .. } = &mut self.sockets[index];
        *tcp = Some(Stream::new(self.servers[index], &self.way_out, message, room.share()));
        self.go_on_with_stream(index, now);
        if self.sockets[index].tcp.as_ref().is_some_and(|stream| !stream.is_unopened) {
            self.shortage = None;
        }
    }

    /// Whether a server lacks a socket though there is room for it. One that stands in line for room is told when it has it.
    fn is_short(&self) -> bool {
        let has_room = |(_, sockets): &(usize, &Sockets)| sockets.room.is_there(self.budget.as_ref());
        self.sockets.iter().enumerate().filter(has_room).any(|(index, _)| self.exchange.is_lacking(index))
    }

    /// Whether there is room for a socket to the server. Where not, the exchange knows.
    fn has_room(&mut self, index: usize, now: Instant) -> bool {
        match self.sockets[index].room.poll(self.budget.as_ref(), now) {
            Poll::Ready(Ok(())) => return true,
            Poll::Ready(Err(held)) => {
                self.budget.iter().for_each(SocketBudget::refuse);
                self.exchange.no_socket(index, held.to_string(), now);
            }
            Poll::Pending => self.exchange.lacks_socket(index, now),
        }
        false
    }

    /// The system has no socket for the server. That may pass.
    fn has_no_socket(&mut self, index: usize, error: &io::Error, now: Instant) {
        let shortage = self.shortage.unwrap_or(Shortage { since: now, again: now, pause: FIRST_PAUSE });
        if now.since(shortage.since) >= self.timeout {
            return self.exchange.no_socket(index, reason(error), now);
        }
        let Shortage { since, pause, .. } = shortage;
        let pause_after = pause.saturating_mul(2).min(LONGEST_PAUSE);
        self.shortage = Some(Shortage { since, again: now + pause, pause: pause_after });
        self.exchange.lacks_socket(index, now);
    }

    fn read_datagrams(&mut self, index: usize, now: Instant) {
        let mut packet = [0; LARGEST_DATAGRAM];
        for _ in 0..DATAGRAMS_IN_A_ROW {
            let Some(socket) = &self.sockets[index].udp else { return };
            match socket.socket.recv(&mut packet) {
                Ok(length) => self.exchange.received(index, &packet[..length], Transport::Udp, now),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return,
                Err(error) => return self.exchange.datagram_failed(index, reason(&error), now),
            }
        }
    }

    fn go_on_with_stream(&mut self, index: usize, now: Instant) {
        let Some(stream) = &mut self.sockets[index].tcp else { return };
        match stream.go_on() {
            Ok(None) => {}
            Ok(Some(message)) => {
                self.exchange.received(index, &message, Transport::Tcp, now);
                // Unless that has settled it, or set it on another way.
                self.exchange.stream_failed(index, "it answered something else", now);
            }
            Err(error) if stream.is_unopened && is_shortage(&error) => {
                self.sockets[index].tcp = None;
                self.has_no_socket(index, &error, now);
            }
            Err(error) => self.exchange.stream_failed(index, reason(&error), now),
        }
    }

    /// When to [`poll`](Self::poll) though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        let again = self.shortage.filter(|_| self.is_short()).map(|shortage| shortage.again);
        let held = self.sockets.iter().filter_map(|sockets| sockets.room.wake_at());
        self.exchange.wake_at().into_iter().chain(again).chain(held).min()
    }

    /// Lends the descriptors that it waits for.
    pub(super) fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        for Sockets { udp, tcp, room } in &self.sockets {
            room.watch(self.budget.as_ref(), watch);
            if let Some(udp) = udp {
                watch.datagrams(udp);
            }
            if let Some((tcp, fd)) = tcp.as_ref().and_then(|tcp| Some((tcp, tcp.socket.fd()?))) {
                let readiness = if tcp.is_sent() { Readiness::Read } else { Readiness::Write };
                watch.lend(fd, readiness);
            }
        }
    }
}

/// Whether a socket could not be opened since there are too many.
fn is_shortage(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|errno| meaning(Call::Socket, errno) == AttemptErrorKind::OutOfSockets)
}

/// A UDP socket on a port that the system draws, connected to `server`.
fn open_udp(server: SocketAddr, way_out: &WayOut) -> io::Result<UdpSocket> {
    Ok(UdpSocket::from(way_out.datagrams(server, Purpose::NameServer)?))
}

/// A query over TCP (RFC 7766): each message goes after its length.
struct Stream {
    server: SocketAddr,
    stack: OsStack,
    socket: OsSocket,
    /// The query with its length before it, and how much of it was sent.
    query: Vec<u8>,
    sent: usize,
    /// The answer so far, with its length before it.
    answer: Vec<u8>,
    /// Whether there is no descriptor yet.
    is_unopened: bool,
    _room: Option<Arc<Share>>,
}

impl Stream {
    fn new(server: SocketAddr, way_out: &WayOut, message: &[u8], room: Option<Arc<Share>>) -> Self {
        // A query is no longer than a name and two headers.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        // In one piece, as RFC 7766 section 8 recommends.
        let query = [&length.to_be_bytes(), message].concat();
        let (stack, socket) = (way_out.to_server(server), OsSocket::default());
        let (answer, is_unopened) = (Vec::new(), true);
        Stream { server, stack, socket, query, sent: 0, answer, is_unopened, _room: room }
    }

    fn is_sent(&self) -> bool {
        self.sent == self.query.len()
    }

    /// Connects, sends and receives as far as that goes without waiting. The answer, once it is there.
    fn go_on(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.go_on_or_block() {
            Ok(answer) => Ok(Some(answer)),
            Err(nb::Error::WouldBlock) => Ok(None),
            Err(nb::Error::Other(error)) => Err(error),
        }
    }

    fn go_on_or_block(&mut self) -> nb::Result<Vec<u8>, io::Error> {
        let connected = self.stack.connect(&mut self.socket, self.server);
        self.is_unopened &= matches!(connected, Err(nb::Error::Other(_)));
        connected.map_err(|error| error.map(OsError::into_named))?;
        while !self.is_sent() {
            let sent = self.stack.send(&mut self.socket, &self.query[self.sent..]);
            // No more than was to be sent.
            self.sent += sent.map_err(|error| error.map(io::Error::from))?;
        }
        loop {
            if let Some((length, answer)) = self.answer.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if let Some(answer) = answer.get(..length) {
                    return Ok(answer.to_vec());
                }
            }
            let mut buffer = [0; LARGEST_DATAGRAM];
            let received = self.stack.receive(&mut self.socket, &mut buffer);
            match received.map_err(|error| error.map(io::Error::from))? {
                0 => return Err(nb::Error::Other(ErrorKind::UnexpectedEof.into())),
                length => self.answer.extend_from_slice(&buffer[..length]),
            }
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        // Nothing is left to be said: no TIME-WAIT.
        self.stack.abort(std::mem::take(&mut self.socket));
    }
}

/// As many ids as there are servers, from the system's source of randomness.
fn random_ids(count: usize) -> Result<Vec<u16>, getrandom::Error> {
    let mut bytes = vec![0; 2 * count];
    getrandom::fill(&mut bytes)?;
    Ok(bytes.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect())
}

/// The operating system's words for an error, without the number that std adds.
fn reason(error: &io::Error) -> String {
    if error.kind() == ErrorKind::UnexpectedEof {
        return "the connection was closed before the answer".to_owned();
    }
    crate::os_error::reason(error)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use super::super::message::Kind;
    use super::super::name::Name;
    use super::*;

    const TIMING: Timing = Timing { attempts: 1, timeout: Duration::from_secs(5) };

    fn at(millis: u64) -> Instant {
        Instant::from_millis(millis)
    }

    fn query(server: SocketAddr, transport: Transport, budget: Option<SocketBudget>) -> Query {
        let question = Question { name: Name::parse("name.test").unwrap(), kind: Kind::A };
        Query::new(question, &Arc::from([server]), TIMING, transport, WayOut::default(), budget, at(0))
    }

    fn since_long_ago() -> Option<Shortage> {
        Some(Shortage { since: at(0), again: at(5), pause: LONGEST_PAUSE })
    }

    #[test]
    fn who_waits_in_line_does_not_wake_for_a_shortage_that_is_over() {
        let (budget, mut other) = (SocketBudget::new(1), Room::default());
        assert_eq!(other.poll(Some(&budget), at(0)), Poll::Ready(Ok(())));
        let mut query = query((Ipv4Addr::LOCALHOST, 9).into(), Transport::Udp, Some(budget));
        query.shortage = since_long_ago();
        assert!(query.poll(at(1_000)).is_none());
        assert!(query.exchange.is_lacking(0), "it stands in line");
        assert_eq!(query.wake_at(), None, "its turn wakes it");
    }

    #[test]
    fn a_shortage_is_over_when_a_stream_is_open() {
        let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let mut query = query(server.local_addr().unwrap(), Transport::Tcp, None);
        query.shortage = since_long_ago();
        assert!(query.poll(at(1_000)).is_none());
        assert!(query.shortage.is_none());
        // The next one has its own time.
        query.sockets[0].tcp = None;
        query.has_no_socket(0, &Errno::MFILE.into(), at(9_000));
        assert!(query.exchange.is_lacking(0) && query.wake_at() > Some(at(9_000)), "{:?}", query.wake_at());
    }
}
