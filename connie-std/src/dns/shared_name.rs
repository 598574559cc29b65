//! A name that is asked for or known: one client, its sockets, and the lookups that wait for it.
//!
//! # The rules
//!
//! 1. **A question is asked once for all who wait for it**, in whatever threads and tasks they run.
//! 2. **One of them drives the client**: it is the lookup that sent the last new query. Its race waits for
//!    the sockets and the client's timer. The others wait until they are [told](RegisteredLookup::notify)
//!    that a question has ended.
//! 3. **When the driver is dropped, another takes its place**, with the same sockets.
//! 4. **A driver that does nothing is replaced**: each driver reads the sockets every [`LOOK`] at least. When
//!    nobody has for [`OVERDUE`], the first of the others to notice does, and if there was something to do it
//!    drives from then on. So no driver, whatever becomes of it, holds the others up for longer.
//! 5. **The lock is held only over system calls that do not block**: sockets are opened without it, since the
//!    program's own code sees them then.
//! 6. **A socket is closed when nobody holds it any more**, so that no `poll` waits for a descriptor that was
//!    given to another socket.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::sync::{Arc, MutexGuard};
use std::task::Waker;
use std::time::Duration;

use connie_core::Instant;
use connie_core::resolution::{QueryError, is_onion};
use connie_dns::{DnsInput, DnsOutput, LARGEST_QUERY, Name, Port, QuestionId, RecordType};

use super::reply::{FailureReason, Reply, failed};
use super::server_set::{OneNameClient, ServerSet};
use super::stream::Stream;
use super::wakeup::Wakeup;
use crate::os_error;
use crate::process::ProcessLock;
use crate::resolve::{Datagrams, DescriptorPermit, ONION, Readiness, ResolverError};

/// How often a driver reads its sockets, though nothing has woken it.
pub(super) const LOOK: Duration = Duration::from_millis(250);
/// After how long without a read another lookup takes over.
pub(super) const OVERDUE: Duration = Duration::from_millis(300);
/// The largest datagram that is taken in. A query allows 1,232 octets; a server may not keep to that.
const LARGEST_DATAGRAM: usize = 4_096;
/// How many datagrams of one socket are read in a row: a flood must not keep the race waiting.
const DATAGRAMS_IN_A_ROW: usize = 16;

/// A name that several lookups may wait for.
pub(super) struct SharedName {
    pub(super) name: Name,
    pub(super) server_set: Arc<ServerSet>,
    state: ProcessLock<NameState>,
}

pub(super) struct NameState {
    pub(super) client: OneNameClient,
    registered: Vec<RegisteredLookup>,
    last_asker: u64,
    driver: Option<u64>,
    /// When the sockets were read last.
    pub(super) looked: Instant,
    /// When the client wants to be polled.
    pub(super) wake: Option<Instant>,
    sockets: Vec<OpenSocket>,
    reasons: Vec<FailureReason>,
    /// From whom the last answer to each kind came, and whether it was NXDOMAIN.
    heard: [Option<(SocketAddr, bool)>; 3],
}

/// A lookup that waits for the name, as the name knows it.
struct RegisteredLookup {
    id: u64,
    /// Whether it was notified since it was polled.
    news: bool,
    waker: Option<Waker>,
    wakeup: Option<Arc<Wakeup>>,
}

/// A socket of a port to a server.
pub(super) struct OpenSocket {
    pub(super) port: Port,
    pub(super) server: SocketAddr,
    /// The lookup that has opened it.
    pub(super) opener: u64,
    pub(super) way: SocketWay,
    pub(super) room: DescriptorPermit,
}

pub(super) enum SocketWay {
    Datagrams(Arc<Datagrams>),
    Stream(Box<Stream>),
}

/// What a race waits for.
pub(super) enum WatchedSocket {
    /// Whether the lookup has opened it.
    Datagrams(Arc<Datagrams>, bool),
    Stream(Arc<std::net::TcpStream>, Readiness),
}

/// A query that needs a socket.
pub(super) struct QueryToSend {
    pub(super) port: Port,
    pub(super) server: SocketAddr,
    pub(super) stream: bool,
    pub(super) message: Vec<u8>,
    /// The room of the socket whose place it takes.
    pub(super) room: Option<DescriptorPermit>,
}

/// What is done once nothing is locked: sockets are closed, which may wake others, and those who are to be
/// notified are woken.
#[derive(Default)]
pub(super) struct Deferred {
    pub(super) closed: Vec<OpenSocket>,
    pub(super) rooms: Vec<DescriptorPermit>,
    pub(super) watched: Vec<WatchedSocket>,
    /// Of a lookup that has ended: dropped, not woken.
    dropped: Vec<Waker>,
    wakers: Vec<Waker>,
    wakeups: Vec<Arc<Wakeup>>,
}

impl Drop for Deferred {
    fn drop(&mut self) {
        self.closed.clear();
        self.rooms.clear();
        self.watched.clear();
        self.wakeups.drain(..).for_each(|wakeup| wakeup.wake());
        self.wakers.drain(..).for_each(Waker::wake);
    }
}

impl SharedName {
    pub(super) fn new(name: Name, server_set: Arc<ServerSet>, client: OneNameClient) -> Self {
        let state = NameState {
            client,
            registered: Vec::new(),
            last_asker: 0,
            driver: None,
            looked: Instant::ZERO,
            wake: None,
            sockets: Vec::new(),
            reasons: Vec::new(),
            heard: [None; 3],
        };
        SharedName { name, server_set, state: ProcessLock::new(state) }
    }

    /// `None` where a fork has left it locked for ever.
    pub(super) fn lock(&self) -> Option<MutexGuard<'_, NameState>> {
        self.state.lock_again(|_| ())
    }

    /// Until when it keeps an answer for those who come later.
    pub(super) fn keeps_until(&self) -> Instant {
        self.lock().map_or(Instant::ZERO, |state| state.client.keeps_until())
    }
}

impl NameState {
    // Who waits.

    pub(super) fn register(&mut self, now: Instant) -> u64 {
        if self.registered.is_empty() {
            self.reasons.clear();
            if self.client.keeps_until() <= now {
                self.heard = [None; 3];
            }
            self.looked = now;
        }
        self.last_asker += 1;
        let asker = self.last_asker;
        self.registered.push(RegisteredLookup { id: asker, news: false, waker: None, wakeup: None });
        asker
    }

    /// A lookup waits no longer. Where it drove, another does.
    pub(super) fn deregister(&mut self, asker: u64, deferred: &mut Deferred) {
        let index = self.registered.binary_search_by_key(&asker, |registered| registered.id).ok();
        if let Some(RegisteredLookup { waker, .. }) = index.map(|index| self.registered.remove(index)) {
            deferred.dropped.extend(waker);
        }
        if self.driver == Some(asker) {
            self.driver = None;
            if let Some(next) = self.registered.first_mut() {
                next.notify(deferred);
            }
        }
        self.close_unused(deferred);
    }

    fn registered(&mut self, asker: u64) -> Option<&mut RegisteredLookup> {
        // The ids grow, and the list keeps its order.
        let index = self.registered.binary_search_by_key(&asker, |registered| registered.id).ok()?;
        self.registered.get_mut(index)
    }

    /// It is polled, and sees all that it was notified of.
    pub(super) fn clear_news(&mut self, asker: u64) {
        if let Some(registered) = self.registered(asker) {
            registered.news = false;
        }
    }

    pub(super) fn has_news(&mut self, asker: u64) -> bool {
        self.registered(asker).is_some_and(|registered| registered.news)
    }

    /// Takes what wakes it. Returns the waker that it replaces, which is to be dropped when nothing is
    /// locked.
    pub(super) fn wakes(
        &mut self,
        asker: u64,
        waker: Option<&Waker>,
        wakeup: Option<&Arc<Wakeup>>,
    ) -> Option<Waker> {
        let registered = self.registered(asker)?;
        registered.wakeup = wakeup.cloned();
        std::mem::replace(&mut registered.waker, waker.cloned())
    }

    pub(super) fn may_drive(&self, asker: u64) -> bool {
        self.driver.is_none_or(|driver| driver == asker)
    }

    pub(super) fn drives(&self, asker: u64) -> bool {
        self.driver == Some(asker)
    }

    pub(super) fn drive(&mut self, asker: u64) {
        self.driver = Some(asker);
    }

    // What comes.

    /// Reads what has come, and tells the client. Whether something has.
    pub(super) fn read(&mut self, server_set: &ServerSet, now: Instant) -> bool {
        if self.sockets.is_empty() {
            return false;
        }
        let (mut packet, mut found) = ([0; LARGEST_DATAGRAM], false);
        // What is told may make sockets useless, which are closed later.
        for index in 0..self.sockets.len() {
            let way = self.sockets.get_mut(index).map(|open| &mut open.way);
            found |= match way {
                Some(SocketWay::Datagrams(socket)) => {
                    let socket = Arc::clone(socket);
                    self.read_datagrams(index, &socket, &mut packet, server_set, now)
                }
                Some(SocketWay::Stream(_)) => self.go_on_with_stream(index, server_set, now),
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
        server_set: &ServerSet,
        now: Instant,
    ) -> bool {
        let Some(&OpenSocket { port, server, .. }) = self.sockets.get(index) else { return false };
        let mut found = false;
        for _ in 0..DATAGRAMS_IN_A_ROW {
            match socket.socket.recv(packet) {
                Ok(length) => {
                    let message = packet.get(..length).unwrap_or_default();
                    self.tell(DnsInput::Datagram { port, from: server, message }, server_set, now);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => {
                    self.has_failed(DnsInput::DatagramFailed { port, server }, &error, server_set, now);
                    return true;
                }
            }
            found = true;
        }
        found
    }

    fn go_on_with_stream(&mut self, index: usize, server_set: &ServerSet, now: Instant) -> bool {
        let Some(OpenSocket { port, server, way: SocketWay::Stream(stream), .. }) =
            self.sockets.get_mut(index)
        else {
            return false;
        };
        let (port, server) = (*port, *server);
        match stream.go_on() {
            Ok(None) => return false,
            Ok(Some(message)) => {
                self.tell(DnsInput::Message { port, server, message: &message }, server_set, now)
            }
            Err(error) => self.has_failed(DnsInput::StreamFailed { port, server }, &error, server_set, now),
        }
        true
    }

    fn has_failed(
        &mut self,
        input: DnsInput<'_>,
        error: &std::io::Error,
        server_set: &ServerSet,
        now: Instant,
    ) {
        let text = match error.kind() {
            ErrorKind::UnexpectedEof => "the connection was closed before the answer".to_owned(),
            _ => os_error::reason(error),
        };
        self.fail(input, text, false, server_set, now);
    }

    /// Tells the client that something failed, and keeps why.
    pub(super) fn fail(
        &mut self,
        input: DnsInput<'_>,
        text: String,
        is_shortage: bool,
        server_set: &ServerSet,
        now: Instant,
    ) {
        if let DnsInput::DatagramFailed { port, server } | DnsInput::StreamFailed { port, server } = input {
            let kind = port.kind();
            self.reasons.retain(|reason| reason.kind != kind || reason.server != server);
            self.reasons.push(FailureReason { kind, server, is_shortage, text });
        }
        self.tell(input, server_set, now);
    }

    fn tell(&mut self, input: DnsInput<'_>, server_set: &ServerSet, now: Instant) {
        let before = self.client.standing();
        self.client.handle_input(input, now);
        server_set.learn(&before, &self.client.standing());
        if let DnsInput::Datagram { port, from: server, message }
        | DnsInput::Message { port, server, message } = input
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

    /// Sends what is due. Returns what needs a new socket; `found` is whether there was something to do.
    pub(super) fn drain(
        &mut self,
        asker: u64,
        found: &mut bool,
        server_set: &ServerSet,
        now: Instant,
        deferred: &mut Deferred,
    ) -> Vec<QueryToSend> {
        let (mut buffer, mut todo) = ([0; LARGEST_QUERY], Vec::new());
        loop {
            match self.client.poll_output(&mut buffer, now) {
                DnsOutput::Send { port, server, length } => {
                    let message = buffer.get(..length).unwrap_or_default();
                    if !self.send(port, server, message, server_set, now) {
                        let message = message.to_vec();
                        todo.push(QueryToSend { port, server, stream: false, message, room: None });
                    }
                }
                DnsOutput::Connect { port, server, length } => {
                    let message = buffer.get(..length).unwrap_or_default().to_vec();
                    // Nothing more is to come by datagram, and its room is the stream's.
                    let before = self.take_socket(port, server);
                    let room = before.map(|mut open| {
                        let room = std::mem::take(&mut open.room);
                        deferred.closed.push(open);
                        room
                    });
                    todo.push(QueryToSend { port, server, stream: true, message, room });
                }
                DnsOutput::Ended(_) => {
                    let others = self.registered.iter_mut().filter(|registered| registered.id != asker);
                    others.for_each(|registered| registered.notify(deferred));
                }
                DnsOutput::WaitUntil(until) => {
                    self.wake = Some(until);
                    break;
                }
                DnsOutput::WaitForInput => {
                    self.wake = None;
                    break;
                }
            }
            *found = true;
        }
        self.close_unused(deferred);
        todo
    }

    /// Whether there is a socket for it.
    fn send(
        &mut self,
        port: Port,
        server: SocketAddr,
        message: &[u8],
        server_set: &ServerSet,
        now: Instant,
    ) -> bool {
        let mut sockets = self.sockets.iter().filter(|open| open.port == port && open.server == server);
        let Some(OpenSocket { way: SocketWay::Datagrams(socket), .. }) = sockets.next() else { return false };
        match socket.socket.send(message) {
            Ok(_) => {}
            // Lost before it left: it will be sent again as any that is lost on the way.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => self.has_failed(DnsInput::DatagramFailed { port, server }, &error, server_set, now),
        }
        true
    }

    /// Takes in a socket that was opened to send `message`.
    pub(super) fn open(
        &mut self,
        open: OpenSocket,
        message: &[u8],
        server_set: &ServerSet,
        now: Instant,
        deferred: &mut Deferred,
    ) {
        let (port, server) = (open.port, open.server);
        if !self.client.is_open(port) {
            // It has ended meanwhile.
            return deferred.closed.push(open);
        }
        deferred.closed.extend(self.take_socket(port, server));
        let is_stream = matches!(open.way, SocketWay::Stream(_));
        self.sockets.push(open);
        if is_stream {
            self.go_on_with_stream(self.sockets.len() - 1, server_set, now);
        } else {
            self.send(port, server, message, server_set, now);
        }
    }

    fn take_socket(&mut self, port: Port, server: SocketAddr) -> Option<OpenSocket> {
        let index = self.sockets.iter().position(|open| open.port == port && open.server == server)?;
        Some(self.sockets.swap_remove(index))
    }

    fn close_unused(&mut self, deferred: &mut Deferred) {
        let NameState { client, sockets, .. } = self;
        deferred.closed.extend(sockets.extract_if(.., |open| match open.way {
            SocketWay::Datagrams(_) => !client.is_open(open.port),
            SocketWay::Stream(_) => !client.wants_stream(open.port, open.server),
        }));
    }

    // What is known.

    /// What lookup `asker` watches when it drives.
    pub(super) fn watched(&self, asker: u64) -> impl Iterator<Item = WatchedSocket> {
        self.sockets.iter().map(move |open| match &open.way {
            SocketWay::Datagrams(socket) => {
                WatchedSocket::Datagrams(Arc::clone(socket), open.opener == asker)
            }
            SocketWay::Stream(stream) => {
                let (socket, readiness) = stream.watched();
                WatchedSocket::Stream(socket, readiness)
            }
        })
    }

    /// How a question has ended.
    pub(super) fn end(
        &self,
        name: &Name,
        kind: RecordType,
        id: QuestionId,
        now: Instant,
    ) -> Option<Result<Reply, ResolverError>> {
        Some(match self.client.answer(id, now)? {
            Ok(answer) => Ok(Reply::new(&answer)),
            Err(QueryError::NoSuchName) => Err(self.denied(name, kind)),
            Err(error) => {
                let server_errors: Vec<_> = self.client.server_errors(id).collect();
                Err(failed(error, kind, &server_errors, &self.reasons))
            }
        })
    }

    fn denied(&self, name: &Name, kind: RecordType) -> ResolverError {
        let own = self.heard.get(kind as usize).copied().flatten();
        // One denial is about all kinds (RFC 8020).
        let mut heard = own.into_iter().chain(self.heard.iter().copied().flatten());
        let denial = heard.find(|(_, is_denial)| *is_denial);
        let detail = match denial {
            Some((server, _)) => format!("no such name (NXDOMAIN from {server})"),
            // The client denies by itself what an alias of Tor leads to.
            None if own.is_some() || is_onion(&name.to_string()) => ONION.to_owned(),
            None => "no such name (NXDOMAIN in a recent answer)".to_owned(),
        };
        ResolverError { kind: QueryError::NoSuchName, detail: Some(detail) }
    }
}

impl RegisteredLookup {
    /// Has it polled: there is something new for it.
    fn notify(&mut self, deferred: &mut Deferred) {
        self.news = true;
        deferred.wakers.extend(self.waker.take());
        deferred.wakeups.extend(self.wakeup.clone());
    }
}
