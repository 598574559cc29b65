//! A name that is asked for or known: one client, its sockets, and the look-ups that wait for it.
//!
//! # The rules
//!
//! 1. **A question is asked once for all who wait for it**, in whatever threads and tasks they run.
//! 2. **One of them drives**: its race waits for the sockets and for the client's time. It is the look-up that has put out the last new query. The
//!    others wait until they are [told](Sitter::tell) that a question has ended.
//! 3. **When the driver is dropped, another takes its place**, with the same sockets.
//! 4. **A driver that does nothing is replaced**: each driver looks after the sockets every [`LOOK`]. Where nobody has for [`OVERDUE`], the first
//!    of those who wait to notice does, and if there was something to do it drives from then on. So whatever becomes of a driver, it
//!    holds nobody up for longer.
//! 5. **The lock is held over system calls that do not block alone**: sockets are opened without it, since the program sees them then.
//! 6. **A socket is closed when nobody has it any more**, so that no `poll` waits for a number that is another socket's by then.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use connie_core::Instant;
use connie_core::resolution::{QueryError, is_onion};
use connie_dns::{Input, Kind, LARGEST_QUERY, Name, Output, Port, QuestionId};

use super::bell::Bell;
use super::group::{Client, Group};
use super::reply::{Reason, Reply, failed};
use super::stream::Stream;
use crate::os_error;
use crate::process::ProcessLock;
use crate::resolve::{Datagrams, LookupError, ONION, Readiness, Room};

/// How often a driver looks after its sockets, whatever it was told.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// After how long without a look others do.
pub(super) const OVERDUE: Duration = Duration::from_millis(300);
/// The largest datagram that is taken in. A query allows 1,232 octets; a server may not keep to that.
const LARGEST_DATAGRAM: usize = 4_096;
/// How many datagrams of one socket are read in a row: a flood must not keep the race waiting.
const DATAGRAMS_IN_A_ROW: usize = 16;

pub(super) struct Host {
    pub(super) name: Name,
    pub(super) group: Arc<Group>,
    inside: ProcessLock<Inside>,
}

pub(super) struct Inside {
    pub(super) client: Client,
    sitters: Vec<Sitter>,
    last_seat: u64,
    driver: Option<u64>,
    /// When somebody has looked after the sockets.
    pub(super) looked: Instant,
    /// When the client wants to be polled.
    pub(super) wake: Option<Instant>,
    sockets: Vec<Open>,
    reasons: Vec<Reason>,
    /// From whom the last answer to each kind came, and whether it was NXDOMAIN.
    heard: [Option<(SocketAddr, bool)>; 3],
}

/// A look-up that waits for the name.
struct Sitter {
    seat: u64,
    /// Whether there is something new for it.
    news: bool,
    waker: Option<Waker>,
    bell: Option<Arc<Bell>>,
}

/// A socket of a port to a server.
pub(super) struct Open {
    pub(super) port: Port,
    pub(super) server: SocketAddr,
    /// The look-up that has opened it.
    pub(super) opener: u64,
    pub(super) way: Way,
    pub(super) room: Room,
}

pub(super) enum Way {
    Datagrams(Arc<Datagrams>),
    Stream(Box<Stream>),
}

/// What a race waits for.
pub(super) enum Watched {
    /// Whether the look-up has opened it.
    Datagrams(Arc<Datagrams>, bool),
    Stream(Arc<std::net::TcpStream>, Readiness),
}

/// A query that needs a socket.
pub(super) struct Todo {
    pub(super) port: Port,
    pub(super) server: SocketAddr,
    pub(super) stream: bool,
    pub(super) message: Vec<u8>,
    /// The room of the socket whose place it takes.
    pub(super) room: Option<Room>,
}

/// What is left to be done when nothing is locked: closes sockets, which may wake others, and wakes those who are to know.
#[derive(Default)]
pub(super) struct Later {
    pub(super) closed: Vec<Open>,
    pub(super) rooms: Vec<Room>,
    pub(super) watched: Vec<Watched>,
    wakers: Vec<Waker>,
    bells: Vec<Arc<Bell>>,
}

impl Drop for Later {
    fn drop(&mut self) {
        self.closed.clear();
        self.rooms.clear();
        self.watched.clear();
        self.bells.drain(..).for_each(|bell| bell.ring());
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl Host {
    pub(super) fn new(name: Name, group: Arc<Group>, client: Client) -> Self {
        let inside = Inside {
            client,
            sitters: Vec::new(),
            last_seat: 0,
            driver: None,
            looked: Instant::ZERO,
            wake: None,
            sockets: Vec::new(),
            reasons: Vec::new(),
            heard: [None; 3],
        };
        Host { name, group, inside: ProcessLock::new(inside) }
    }

    /// `None` where it is lost to this process.
    pub(super) fn lock(&self) -> Option<MutexGuard<'_, Inside>> {
        self.inside.lock_again(|_| ())
    }

    /// Until when it keeps an answer for those who come later.
    pub(super) fn keeps_until(&self) -> Instant {
        self.lock().map_or(Instant::ZERO, |inside| inside.client.keeps_until())
    }
}

impl Inside {
    // Who waits.

    pub(super) fn sit_down(&mut self, now: Instant) -> u64 {
        if self.sitters.is_empty() {
            self.reasons.clear();
            if self.client.keeps_until() <= now {
                self.heard = [None; 3];
            }
            self.looked = now;
        }
        self.last_seat += 1;
        let seat = self.last_seat;
        self.sitters.push(Sitter { seat, news: false, waker: None, bell: None });
        seat
    }

    /// A look-up waits no longer. Where it drove, another does.
    pub(super) fn stand_up(&mut self, seat: u64, later: &mut Later) {
        let index = self.sitters.iter().position(|sitter| sitter.seat == seat);
        if let Some(Sitter { waker, .. }) = index.map(|index| self.sitters.remove(index)) {
            later.wakers.extend(waker);
        }
        if self.driver == Some(seat) {
            self.driver = None;
            if let Some(next) = self.sitters.first_mut() {
                next.tell(later);
            }
        }
        self.close_unused(later);
    }

    fn sitter(&mut self, seat: u64) -> Option<&mut Sitter> {
        self.sitters.iter_mut().find(|sitter| sitter.seat == seat)
    }

    /// It has come to look: what was told before is heard.
    pub(super) fn hears(&mut self, seat: u64) {
        if let Some(sitter) = self.sitter(seat) {
            sitter.news = false;
        }
    }

    pub(super) fn has_news(&mut self, seat: u64) -> bool {
        self.sitter(seat).is_some_and(|sitter| sitter.news)
    }

    pub(super) fn wakes(&mut self, seat: u64, waker: Option<&Waker>, bell: Option<&Arc<Bell>>) {
        if let Some(sitter) = self.sitter(seat) {
            (sitter.waker, sitter.bell) = (waker.cloned(), bell.cloned());
        }
    }

    pub(super) fn may_drive(&self, seat: u64) -> bool {
        self.driver.is_none_or(|driver| driver == seat)
    }

    pub(super) fn drives(&self, seat: u64) -> bool {
        self.driver == Some(seat)
    }

    pub(super) fn drive(&mut self, seat: u64) {
        self.driver = Some(seat);
    }

    // What comes.

    /// Reads what has come, and tells the client. Whether something has.
    pub(super) fn read(&mut self, group: &Group, now: Instant) -> bool {
        if self.sockets.is_empty() {
            return false;
        }
        let (mut packet, mut found) = ([0; LARGEST_DATAGRAM], false);
        // What is told may make sockets useless, which are closed later.
        for index in 0..self.sockets.len() {
            let way = self.sockets.get_mut(index).map(|open| &mut open.way);
            found |= match way {
                Some(Way::Datagrams(socket)) => {
                    let socket = Arc::clone(socket);
                    self.read_datagrams(index, &socket, &mut packet, group, now)
                }
                Some(Way::Stream(_)) => self.go_on_with_stream(index, group, now),
                None => false,
            };
        }
        found
    }

    fn read_datagrams(
        &mut self,
        index: usize,
        socket: &Datagrams,
        packet: &mut [u8],
        group: &Group,
        now: Instant,
    ) -> bool {
        let Some(&Open { port, server, .. }) = self.sockets.get(index) else { return false };
        let mut found = false;
        for _ in 0..DATAGRAMS_IN_A_ROW {
            match socket.socket.recv(packet) {
                Ok(length) => {
                    let message = packet.get(..length).unwrap_or_default();
                    self.tell(Input::Datagram { port, from: server, message }, group, now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.has_failed(Input::DatagramFailed { port, server }, &error, group, now);
                    return true;
                }
            }
            found = true;
        }
        found
    }

    fn go_on_with_stream(&mut self, index: usize, group: &Group, now: Instant) -> bool {
        let Some(Open { port, server, way: Way::Stream(stream), .. }) = self.sockets.get_mut(index) else {
            return false;
        };
        let (port, server) = (*port, *server);
        match stream.go_on() {
            Ok(None) => return false,
            Ok(Some(message)) => self.tell(Input::Message { port, server, message: &message }, group, now),
            Err(error) => self.has_failed(Input::StreamFailed { port, server }, &error, group, now),
        }
        true
    }

    fn has_failed(&mut self, input: Input<'_>, error: &std::io::Error, group: &Group, now: Instant) {
        let text = match error.kind() {
            ErrorKind::UnexpectedEof => "the connection was closed before the answer".to_owned(),
            _ => os_error::reason(error),
        };
        self.fail(input, text, false, group, now);
    }

    /// Tells the client that something failed, and keeps why.
    pub(super) fn fail(
        &mut self,
        input: Input<'_>,
        text: String,
        is_shortage: bool,
        group: &Group,
        now: Instant,
    ) {
        if let Input::DatagramFailed { port, server } | Input::StreamFailed { port, server } = input {
            let kind = port.kind();
            self.reasons.retain(|reason| reason.kind != kind || reason.server != server);
            self.reasons.push(Reason { kind, server, is_shortage, text });
        }
        self.tell(input, group, now);
    }

    fn tell(&mut self, input: Input<'_>, group: &Group, now: Instant) {
        let before = self.client.standing();
        self.client.handle_input(input, now);
        group.learn(&before, &self.client.standing());
        if let Input::Datagram { port, from: server, message } | Input::Message { port, server, message } =
            input
        {
            // RFC 1035 section 4.1.1: the response code, of which 3 is NXDOMAIN.
            let is_denial = message.get(3).is_some_and(|flags| flags & 0x0f == 3);
            let heard = self.heard.get_mut(port.kind() as usize).filter(|_| !self.client.is_open(port));
            if let Some(heard) = heard {
                *heard = Some((server, is_denial));
            }
        }
    }

    // What goes out.

    /// Sends what is due. Answers what needs a new socket; `found` is whether there was something to do.
    pub(super) fn drain(
        &mut self,
        seat: u64,
        found: &mut bool,
        group: &Group,
        now: Instant,
        later: &mut Later,
    ) -> Vec<Todo> {
        let (mut buffer, mut todo) = ([0; LARGEST_QUERY], Vec::new());
        loop {
            match self.client.poll_output(&mut buffer, now) {
                Output::Send { port, server, length } => {
                    let message = buffer.get(..length).unwrap_or_default();
                    if !self.send(port, server, message, group, now) {
                        let message = message.to_vec();
                        todo.push(Todo { port, server, stream: false, message, room: None });
                    }
                }
                Output::Connect { port, server, length } => {
                    let message = buffer.get(..length).unwrap_or_default().to_vec();
                    // Nothing more is to come by datagram, and its room is the stream's.
                    let before = self.take_socket(port, server);
                    let room = before.map(|mut open| {
                        let room = std::mem::take(&mut open.room);
                        later.closed.push(open);
                        room
                    });
                    todo.push(Todo { port, server, stream: true, message, room });
                }
                Output::Ended(_) => {
                    let others = self.sitters.iter_mut().filter(|sitter| sitter.seat != seat);
                    others.for_each(|sitter| sitter.tell(later));
                }
                Output::WaitUntil(until) => {
                    self.wake = Some(until);
                    break;
                }
                Output::WaitForInput => {
                    self.wake = None;
                    break;
                }
            }
            *found = true;
        }
        self.close_unused(later);
        todo
    }

    /// Whether there is a socket for it.
    fn send(&mut self, port: Port, server: SocketAddr, message: &[u8], group: &Group, now: Instant) -> bool {
        let mut sockets = self.sockets.iter().filter(|open| open.port == port && open.server == server);
        let Some(Open { way: Way::Datagrams(socket), .. }) = sockets.next() else { return false };
        match socket.socket.send(message) {
            Ok(_) => {}
            // Lost before it left: it will be sent again as any that is lost on the way.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => self.has_failed(Input::DatagramFailed { port, server }, &error, group, now),
        }
        true
    }

    /// Takes in a socket that was opened to send `message`.
    pub(super) fn open(
        &mut self,
        open: Open,
        message: &[u8],
        group: &Group,
        now: Instant,
        later: &mut Later,
    ) {
        let (port, server) = (open.port, open.server);
        if !self.client.is_open(port) {
            // It has ended meanwhile.
            return later.closed.push(open);
        }
        later.closed.extend(self.take_socket(port, server));
        let is_stream = matches!(open.way, Way::Stream(_));
        self.sockets.push(open);
        if is_stream {
            self.go_on_with_stream(self.sockets.len() - 1, group, now);
        } else {
            self.send(port, server, message, group, now);
        }
    }

    fn take_socket(&mut self, port: Port, server: SocketAddr) -> Option<Open> {
        let index = self.sockets.iter().position(|open| open.port == port && open.server == server)?;
        Some(self.sockets.swap_remove(index))
    }

    fn close_unused(&mut self, later: &mut Later) {
        let Inside { client, sockets, .. } = self;
        later.closed.extend(sockets.extract_if(.., |open| match open.way {
            Way::Datagrams(_) => !client.is_open(open.port),
            Way::Stream(_) => !client.wants_stream(open.port, open.server),
        }));
    }

    // What is known.

    /// What a look-up in `seat` watches when it drives.
    pub(super) fn watched(&self, seat: u64) -> impl Iterator<Item = Watched> {
        self.sockets.iter().map(move |open| match &open.way {
            Way::Datagrams(socket) => Watched::Datagrams(Arc::clone(socket), open.opener == seat),
            Way::Stream(stream) => {
                let (socket, readiness) = stream.watched();
                Watched::Stream(socket, readiness)
            }
        })
    }

    /// How a question has ended.
    pub(super) fn end(
        &self,
        name: &Name,
        kind: Kind,
        id: QuestionId,
        now: Instant,
    ) -> Option<Result<Reply, LookupError>> {
        Some(match self.client.answer(id, now)? {
            Ok(answer) => Ok(Reply::new(&answer)),
            Err(QueryError::NoSuchName) => Err(self.denied(name, kind)),
            Err(error) => {
                let problems: Vec<_> = self.client.problems(id).collect();
                Err(failed(error, kind, &problems, &self.reasons))
            }
        })
    }

    fn denied(&self, name: &Name, kind: Kind) -> LookupError {
        let own = self.heard.get(kind as usize).copied().flatten();
        // One denial is about all kinds (RFC 8020).
        let mut heard = own.into_iter().chain(self.heard.iter().copied().flatten());
        let denial = heard.find(|(_, is_denial)| *is_denial);
        let detail = match denial {
            Some((server, _)) => format!("no such name (NXDOMAIN from {server})"),
            // The client denies by itself what an alias of Tor leads to.
            None if own.is_some() || is_onion(&name.to_string()) => ONION.to_owned(),
            None => "no such name (NXDOMAIN of a recent answer)".to_owned(),
        };
        LookupError { kind: QueryError::NoSuchName, detail: Some(detail) }
    }
}

impl Sitter {
    /// There is something new for it.
    fn tell(&mut self, later: &mut Later) {
        self.news = true;
        later.wakers.extend(self.waker.take());
        later.bells.extend(self.bell.clone());
    }
}
