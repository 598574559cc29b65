//! What one lookup asks about one name, and what it does when it drives the client. Which lookup drives is
//! decided in [`shared_name`](super::shared_name).

use std::cell::Cell;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{AttemptErrorKind, Instant};
use connie_dns::{DnsInput, QuestionId, RecordType};
use rustix::fd::AsFd as _;
use rustix::io::Errno;

use super::context::LookupContext;
use super::reply::Reply;
use super::shared_name::{
    Deferred, LOOK, NameState, OVERDUE, OpenSocket, QueryToSend, SharedName, SocketWay, WatchedSocket,
};
use super::stream::Stream;
use super::wakeup::Wakeup;
use crate::budget::SocketBudget;
use crate::errno::{Call, meaning};
use crate::os_error;
use crate::resolve::{Datagrams, DescriptorPermit, ResolverError, WatchSet};
use crate::socket_options::Purpose;

/// The pause after the system had no socket, before it is asked for one again. It doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a query waits for a place in the budget before the client is asked about it again.
const IN_LINE: Duration = Duration::from_secs(60);
/// How often a lookup that nothing can wake checks for its answer.
const LOOK_UNWOKEN: Duration = Duration::from_millis(5);

/// One lookup's questions about one name.
pub(super) struct QuerySockets {
    pub(super) shared: Arc<SharedName>,
    /// Its number among those who ask for the name, another each time that it begins to wait.
    id: u64,
    /// In the order of [`RecordType::ALL`].
    questions: [QuestionState; 3],
    /// Whether it has asked something since the client was polled.
    is_fresh: bool,
    /// Queries that need a socket.
    wanting: Vec<UnsentQuery>,
    /// Since when the system has given no socket, though there was room.
    shortage: Option<Shortage>,
    drives: bool,
    /// The sockets that its race waits for while it drives.
    watched: Vec<WatchedSocket>,
    polled: Instant,
    wake: Option<Instant>,
    /// Whether nothing wakes it.
    is_unwoken: Cell<bool>,
}

#[derive(Clone)]
enum QuestionState {
    Unasked,
    Asked(QuestionId),
    Ended(Result<Reply, ResolverError>),
}

/// A query that waits for a place in the budget, or for a socket.
struct UnsentQuery {
    todo: QueryToSend,
    room: DescriptorPermit,
    /// Whether it waits for a place in the budget.
    is_in_line: bool,
}

/// The program has other descriptors than those of races and lookups, and the system other programs.
#[derive(Clone, Copy)]
struct Shortage {
    since: Instant,
    pause: Duration,
}

/// What came of opening a socket.
enum OpenResult {
    Socket(OpenSocket, Vec<u8>),
    Postponed(UnsentQuery, Instant),
    Failed(QueryToSend, String, bool),
}

impl QuerySockets {
    pub(super) fn new(shared: Arc<SharedName>, now: Instant) -> Self {
        QuerySockets {
            shared,
            id: 0,
            questions: [const { QuestionState::Unasked }; 3],
            is_fresh: false,
            wanting: Vec::new(),
            shortage: None,
            drives: false,
            watched: Vec::new(),
            polled: now,
            wake: None,
            is_unwoken: Cell::new(false),
        }
    }

    /// Asks, unless it has already.
    pub(super) fn ask(&mut self, kind: RecordType, now: Instant) {
        let Some(question) = self.questions.get_mut(kind as usize) else { return };
        if !matches!(question, QuestionState::Unasked) {
            return;
        }
        *question = QuestionState::Ended(Err(lost()));
        let has_left = !self.is_waiting();
        let Some(mut state) = self.shared.lock() else { return };
        if has_left {
            self.id = state.register(now);
        }
        self.shared.server_set.teach(&mut state.client);
        // There is no other name in this client.
        if let (Some(id), Some(question)) =
            (state.client.ask(&self.shared.name, kind, now), self.questions.get_mut(kind as usize))
        {
            *question = QuestionState::Asked(id);
            self.is_fresh = true;
        }
    }

    pub(super) fn end(&self, kind: RecordType) -> Option<&Result<Reply, ResolverError>> {
        match self.questions.get(kind as usize)? {
            QuestionState::Ended(end) => Some(end),
            QuestionState::Asked(_) | QuestionState::Unasked => None,
        }
    }

    fn is_waiting(&self) -> bool {
        self.questions.iter().any(|question| matches!(question, QuestionState::Asked(_)))
    }

    /// Does all that can be done without waiting.
    pub(super) fn poll(&mut self, context: &LookupContext, now: Instant) {
        if !self.is_waiting() {
            return;
        }
        let time = self.shared.server_set.time(context.clock, now);
        self.is_unwoken.set(false);
        let (mut opened, mut is_first) = (Vec::new(), true);
        loop {
            let mut deferred = Deferred::default();
            let todo = self.turn(context, opened, is_first, (now, time), &mut deferred);
            drop(deferred);
            if todo.is_empty() {
                return;
            }
            // Nothing is locked: the program sees these sockets.
            opened = todo.into_iter().map(|wanting| self.open(wanting, context, now, time)).collect();
            is_first = false;
        }
    }

    /// Goes on as far as possible with the open sockets. Returns the queries that need a new one.
    fn turn(
        &mut self,
        context: &LookupContext,
        opened: Vec<OpenResult>,
        is_first: bool,
        (now, time): (Instant, Instant),
        deferred: &mut Deferred,
    ) -> Vec<UnsentQuery> {
        let shared = Arc::clone(&self.shared);
        let Some(mut guard) = shared.lock() else {
            self.questions = [const { QuestionState::Ended(Err(LOST)) }; 3];
            return Vec::new();
        };
        let (state, server_set) = (&mut *guard, &shared.server_set);
        state.clear_news(self.id);
        let is_overdue = time >= state.looked + OVERDUE;
        let (mut found, mut todo) = (!opened.is_empty(), Vec::new());
        if is_first && (state.may_drive(self.id) || is_overdue) {
            // What has come counts before what has not come in time.
            state.looked = time;
            found |= state.read(server_set, time);
        }
        self.take_in(state, opened, time, deferred);
        let has_room = is_first && self.look_for_room(state, context, (now, time), deferred);
        // Whoever has got the room opens the socket: nobody else can.
        if has_room || self.is_fresh || state.may_drive(self.id) || is_overdue {
            self.is_fresh = false;
            todo = state.drain(self.id, &mut found, server_set, time, deferred);
        }
        if found || state.may_drive(self.id) {
            state.drive(self.id);
        }
        let wanting = todo.into_iter().map(|todo| self.wanting(todo)).collect::<Vec<_>>();
        if wanting.is_empty() {
            self.settle(state, context, (now, time), deferred);
        }
        wanting
    }

    /// Takes the questions that have ended, and works out when to be polled again.
    fn settle(
        &mut self,
        state: &mut NameState,
        context: &LookupContext,
        (now, time): (Instant, Instant),
        deferred: &mut Deferred,
    ) {
        let shared = &self.shared;
        for (kind, question) in RecordType::ALL.into_iter().zip(&mut self.questions) {
            let QuestionState::Asked(id) = *question else { continue };
            if let Some(end) = state.end(&shared.name, kind, id, time) {
                state.client.give_up(id);
                *question = QuestionState::Ended(end);
            }
        }
        self.polled = now;
        deferred.watched.append(&mut self.watched);
        if !self.is_waiting() {
            self.leave(state, time, deferred);
            return;
        }
        self.drives = state.drives(self.id);
        let wake = if self.drives {
            self.watched.extend(state.watched(self.id));
            state.looked = time;
            let wake = state.wake.map(|wake| self.shared.server_set.moment(context.clock, wake));
            wake.map_or(now + LOOK, |wake| wake.min(now + LOOK))
        } else {
            // The driver will ask for what the system had no socket for, and needs the room.
            let postponed = self.wanting.extract_if(.., |wanting| !wanting.is_in_line);
            deferred.rooms.extend(postponed.map(|wanting| wanting.room));
            self.shared.server_set.moment(context.clock, state.looked + OVERDUE)
        };
        self.wake = Some(wake);
    }

    /// Stops waiting for this name.
    fn leave(&mut self, state: &mut NameState, time: Instant, deferred: &mut Deferred) {
        for UnsentQuery { todo, room, .. } in self.wanting.drain(..) {
            // The next driver opens a socket for it.
            state.client.postpone(todo.port, todo.server, time, time);
            deferred.rooms.push(room);
        }
        (self.drives, self.wake) = (false, None);
        deferred.watched.append(&mut self.watched);
        state.deregister(self.id, deferred);
    }

    // Sockets.

    /// `todo` with the place in the budget that it already waits for, if any.
    fn wanting(&mut self, mut todo: QueryToSend) -> UnsentQuery {
        let is_same = |other: &UnsentQuery| other.todo.port == todo.port && other.todo.server == todo.server;
        let known = self.wanting.iter().position(is_same).map(|index| self.wanting.swap_remove(index).room);
        let room = todo.room.take().or(known).unwrap_or_default();
        UnsentQuery { todo, room, is_in_line: false }
    }

    /// Has the client send again the queries that have got their place in the budget. Whether there are any.
    fn look_for_room(
        &mut self,
        state: &mut NameState,
        context: &LookupContext,
        (now, time): (Instant, Instant),
        deferred: &mut Deferred,
    ) -> bool {
        let gone = self.wanting.extract_if(.., |wanting| !state.client.is_open(wanting.todo.port));
        deferred.rooms.extend(gone.map(|wanting| wanting.room));
        if self.wanting.is_empty() {
            self.shortage = None;
        }
        let mut has_room = false;
        for UnsentQuery { todo, room, is_in_line } in &mut self.wanting {
            // `DescriptorPermit::watch` may have got the place already.
            if *is_in_line && room.poll(context.budget.as_ref(), now).is_ready() {
                (*is_in_line, has_room) = (false, true);
                state.client.postpone(todo.port, todo.server, time, time);
            }
        }
        has_room
    }

    fn take_in(
        &mut self,
        state: &mut NameState,
        opened: Vec<OpenResult>,
        time: Instant,
        deferred: &mut Deferred,
    ) {
        let shared = Arc::clone(&self.shared);
        for opened in opened {
            match opened {
                OpenResult::Socket(open, message) => {
                    self.shortage = None;
                    state.open(open, &message, &shared.server_set, time, deferred);
                }
                OpenResult::Postponed(wanting, until) => {
                    state.client.postpone(wanting.todo.port, wanting.todo.server, until, time);
                    self.wanting.push(wanting);
                }
                OpenResult::Failed(QueryToSend { port, server, stream, .. }, text, is_shortage) => {
                    let input = match stream {
                        true => DnsInput::StreamFailed { port, server },
                        false => DnsInput::DatagramFailed { port, server },
                    };
                    state.fail(input, text, is_shortage, &shared.server_set, time);
                }
            }
        }
    }

    fn open(
        &mut self,
        mut wanting: UnsentQuery,
        context: &LookupContext,
        now: Instant,
        time: Instant,
    ) -> OpenResult {
        match wanting.room.poll(context.budget.as_ref(), now) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(held)) => {
                context.budget.iter().for_each(SocketBudget::refuse);
                return OpenResult::Failed(wanting.todo, held.to_string(), true);
            }
            Poll::Pending => {
                wanting.is_in_line = true;
                return OpenResult::Postponed(wanting, time + IN_LINE);
            }
        }
        match open(&wanting, context) {
            Ok(way) => {
                let UnsentQuery { todo: QueryToSend { port, server, message, .. }, room, .. } = wanting;
                OpenResult::Socket(OpenSocket { port, server, opener: self.id, way, room }, message)
            }
            Err(error) if is_shortage(&error) => self.has_no_socket(wanting, &error, time),
            Err(error) => OpenResult::Failed(wanting.todo, os_error::reason(&error), false),
        }
    }

    /// The system has no socket. That may pass.
    fn has_no_socket(&mut self, wanting: UnsentQuery, error: &io::Error, time: Instant) -> OpenResult {
        let Shortage { since, pause } = self.shortage.unwrap_or(Shortage { since: time, pause: FIRST_PAUSE });
        if time.duration_since(since) >= self.shared.server_set.timeout() {
            return OpenResult::Failed(wanting.todo, os_error::reason(error), true);
        }
        self.shortage = Some(Shortage { since, pause: pause.saturating_mul(2).min(LONGEST_PAUSE) });
        OpenResult::Postponed(wanting, time + pause)
    }

    // Waiting.

    /// Lends what it waits for. `wakeup` makes the lookup's own, where one is needed.
    pub(super) fn watch<'a>(
        &'a self,
        context: &'a LookupContext,
        wakeup: impl Fn() -> Option<&'a Arc<Wakeup>>,
        watch: &mut WatchSet<'a>,
    ) -> bool {
        if !self.is_waiting() {
            return false;
        }
        for wanting in &self.wanting {
            wanting.room.watch(context.budget.as_ref(), watch);
        }
        let waker = watch.waker();
        let wakeup = if waker.is_none() && !self.drives { wakeup() } else { None };
        let is_due = self.register(waker, wakeup);
        if self.drives {
            self.is_unwoken.set(waker.is_none() && is_due);
            for watched in &self.watched {
                match watched {
                    WatchedSocket::Datagrams(socket, true) => watch.datagrams(socket),
                    WatchedSocket::Datagrams(socket, false) => watch.read(&**socket),
                    WatchedSocket::Stream(socket, readiness) => watch.add(socket.as_fd(), *readiness),
                }
            }
        } else {
            self.is_unwoken.set(waker.is_none() && wakeup.is_none());
        }
        if is_due {
            waker.into_iter().for_each(Waker::wake_by_ref);
            wakeup.into_iter().for_each(|wakeup| wakeup.wake());
        }
        wakeup.is_some()
    }

    /// Says what wakes it. Returns whether it is to be polled at once: it was notified since it was polled,
    /// or another drives now, whose sockets it does not watch.
    fn register(&self, waker: Option<&Waker>, wakeup: Option<&Arc<Wakeup>>) -> bool {
        let mut state = self.shared.lock();
        let (is_due, old) = match state.as_deref_mut() {
            Some(state) => {
                let old = state.wakes(self.id, waker, wakeup);
                (state.has_news(self.id) || (self.drives && !state.drives(self.id)), old)
            }
            None => (false, None),
        };
        drop(state);
        // To drop the last waker of a task may drop the task, and with it another lookup of this name.
        drop(old);
        is_due
    }

    /// When to poll it though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        if !self.is_waiting() {
            return None;
        }
        let unwoken = Some(self.polled + LOOK_UNWOKEN).filter(|_| self.is_unwoken.get());
        let held = self.wanting.iter().filter_map(|wanting| wanting.room.wake_at());
        self.wake.into_iter().chain(unwoken).chain(held).min()
    }
}

impl Drop for QuerySockets {
    fn drop(&mut self) {
        if !self.is_waiting() {
            return;
        }
        let (shared, mut deferred) = (Arc::clone(&self.shared), Deferred::default());
        if let Some(mut guard) = shared.lock() {
            let time = guard.looked;
            for question in &self.questions {
                if let QuestionState::Asked(id) = question {
                    guard.client.give_up(*id);
                }
            }
            self.leave(&mut guard, time, &mut deferred);
        }
        // What the race has watched is closed now, where nobody else has it.
        drop(deferred);
    }
}

fn open(wanting: &UnsentQuery, context: &LookupContext) -> io::Result<SocketWay> {
    let QueryToSend { server, stream, message, .. } = &wanting.todo;
    if *stream {
        return Ok(SocketWay::Stream(Box::new(Stream::begin(*server, &context.egress, message)?)));
    }
    let socket = UdpSocket::from(context.egress.datagrams(*server, Purpose::NameServer)?);
    Ok(SocketWay::Datagrams(Arc::new(Datagrams { socket, _room: wanting.room.share() })))
}

/// Whether a socket could not be opened since there are too many.
fn is_shortage(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|errno| meaning(Call::Socket, errno) == AttemptErrorKind::OutOfSockets)
}

/// Another thread of the parent was at it when the process was forked.
const LOST: ResolverError = ResolverError { kind: QueryError::Failed, detail: None };

fn lost() -> ResolverError {
    LOST
}

#[cfg(test)]
mod tests;
