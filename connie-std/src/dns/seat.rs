//! A look-up's place at a name: what it asks there, and its part in driving the client. Who drives is in [`host`](super::host).

use std::cell::Cell;
use std::io;
use std::net::UdpSocket;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{AttemptErrorKind, Instant};
use connie_dns::{Input, Kind, QuestionId};
use rustix::fd::AsFd as _;
use rustix::io::Errno;

use super::bell::Bell;
use super::host::{Host, Inside, LOOK, Later, OVERDUE, Open, Todo, Watched, Way};
use super::means::Means;
use super::reply::Reply;
use super::stream::Stream;
use crate::budget::SocketBudget;
use crate::errno::{Call, meaning};
use crate::os_error;
use crate::resolve::{Datagrams, LookupError, Room, Watch};
use crate::socket_options::Purpose;

/// How long after the system had no socket it is asked for one again: this, twice this, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// How long a query stands in line for room before it is looked whether it still has to.
const IN_LINE: Duration = Duration::from_secs(60);
/// How often a look-up that nothing wakes looks for its answer.
const LOOK_UNWOKEN: Duration = Duration::from_millis(5);

pub(super) struct Seat {
    pub(super) host: Arc<Host>,
    seat: u64,
    /// In the order of [`Kind::ALL`].
    questions: [Question; 3],
    /// Whether it has asked something since the client was polled.
    is_fresh: bool,
    /// Queries that need a socket.
    wanting: Vec<Wanting>,
    /// Since when the system has given no socket, though there was room.
    shortage: Option<Shortage>,
    drives: bool,
    /// What its race waits for when it drives.
    watched: Vec<Watched>,
    polled: Instant,
    wake: Option<Instant>,
    /// Whether nothing wakes it.
    is_unwoken: Cell<bool>,
}

#[derive(Clone)]
enum Question {
    Unasked,
    Asked(QuestionId),
    Ended(Result<Reply, LookupError>),
}

/// A query for which room is waited for, or a socket.
struct Wanting {
    todo: Todo,
    room: Room,
    /// Whether it stands in line for room.
    is_in_line: bool,
}

/// The program has other descriptors than those of races and look-ups, and the system other programs.
#[derive(Clone, Copy)]
struct Shortage {
    since: Instant,
    pause: Duration,
}

/// What came of opening a socket.
enum Opened {
    Socket(Open, Vec<u8>),
    Postponed(Wanting, Instant),
    Failed(Todo, String, bool),
}

impl Seat {
    pub(super) fn new(host: Arc<Host>, now: Instant) -> Self {
        let seat = host.lock().map_or(0, |mut inside| inside.sit_down(now));
        Seat {
            host,
            seat,
            questions: [const { Question::Unasked }; 3],
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
    pub(super) fn ask(&mut self, kind: Kind, now: Instant) {
        let Some(question) = self.questions.get_mut(kind as usize) else { return };
        if !matches!(question, Question::Unasked) {
            return;
        }
        *question = Question::Ended(Err(lost()));
        let Some(mut inside) = self.host.lock() else { return };
        self.host.group.teach(&mut inside.client);
        // There is no other name in this client.
        if let Some(id) = inside.client.ask(&self.host.name, kind, now) {
            *question = Question::Asked(id);
            self.is_fresh = true;
        }
    }

    pub(super) fn end(&self, kind: Kind) -> Option<&Result<Reply, LookupError>> {
        match self.questions.get(kind as usize)? {
            Question::Ended(end) => Some(end),
            Question::Asked(_) | Question::Unasked => None,
        }
    }

    fn is_waiting(&self) -> bool {
        self.questions.iter().any(|question| matches!(question, Question::Asked(_)))
    }

    /// Does what there is to do now.
    pub(super) fn poll(&mut self, means: &Means, now: Instant) {
        if !self.is_waiting() {
            return;
        }
        let time = self.host.group.time(means.clock, now);
        self.is_unwoken.set(false);
        let (mut opened, mut is_first) = (Vec::new(), true);
        loop {
            let mut later = Later::default();
            let todo = self.turn(means, opened, is_first, (now, time), &mut later);
            drop(later);
            if todo.is_empty() {
                return;
            }
            // Nothing is locked: the program sees these sockets.
            opened = todo.into_iter().map(|wanting| self.open(wanting, means, now, time)).collect();
            is_first = false;
        }
    }

    /// Goes on as far as there are sockets for it. Answers for what there are none yet.
    fn turn(
        &mut self,
        means: &Means,
        opened: Vec<Opened>,
        is_first: bool,
        (now, time): (Instant, Instant),
        later: &mut Later,
    ) -> Vec<Wanting> {
        let host = Arc::clone(&self.host);
        let Some(mut guard) = host.lock() else {
            self.questions = [const { Question::Ended(Err(LOST)) }; 3];
            return Vec::new();
        };
        let (inside, group) = (&mut *guard, &host.group);
        inside.hears(self.seat);
        let is_overdue = time >= inside.looked + OVERDUE;
        let (mut found, mut todo) = (!opened.is_empty(), Vec::new());
        if is_first && (inside.may_drive(self.seat) || is_overdue) {
            // What has come counts before what has not come in time.
            inside.looked = time;
            found |= inside.read(group, time);
        }
        self.take_in(inside, opened, time, later);
        if is_first {
            self.look_for_room(inside, means, (now, time), later);
        }
        if self.is_fresh || inside.may_drive(self.seat) || is_overdue {
            self.is_fresh = false;
            todo = inside.drain(self.seat, &mut found, group, time, later);
        }
        if found || inside.may_drive(self.seat) {
            inside.drive(self.seat);
        }
        let wanting = todo.into_iter().map(|todo| self.wanting(todo)).collect::<Vec<_>>();
        if wanting.is_empty() {
            self.settle(inside, means, (now, time), later);
        }
        wanting
    }

    /// Sees what has ended, and until when there is nothing to do.
    fn settle(
        &mut self,
        inside: &mut Inside,
        means: &Means,
        (now, time): (Instant, Instant),
        later: &mut Later,
    ) {
        let host = &self.host;
        for (kind, question) in Kind::ALL.into_iter().zip(&mut self.questions) {
            let Question::Asked(id) = *question else { continue };
            if let Some(end) = inside.end(&host.name, kind, id, time) {
                inside.client.give_up(id);
                *question = Question::Ended(end);
            }
        }
        self.polled = now;
        later.watched.append(&mut self.watched);
        if !self.is_waiting() {
            self.leave(inside, time, later);
            return;
        }
        self.drives = inside.drives(self.seat);
        let wake = if self.drives {
            self.watched.extend(inside.watched(self.seat));
            inside.looked = time;
            let wake = inside.wake.map(|wake| self.host.group.moment(means.clock, wake));
            wake.map_or(now + LOOK, |wake| wake.min(now + LOOK))
        } else {
            self.host.group.moment(means.clock, inside.looked + OVERDUE)
        };
        self.wake = Some(wake);
    }

    /// It waits for nothing here any more.
    fn leave(&mut self, inside: &mut Inside, time: Instant, later: &mut Later) {
        for Wanting { todo, room, .. } in self.wanting.drain(..) {
            // Who drives from now on needs a socket for it.
            inside.client.postpone(todo.port, todo.server, time, time);
            later.rooms.push(room);
        }
        (self.drives, self.wake) = (false, None);
        later.watched.append(&mut self.watched);
        inside.stand_up(self.seat, later);
    }

    // Sockets.

    /// What `todo` needs, with the room that is waited for already.
    fn wanting(&mut self, mut todo: Todo) -> Wanting {
        let is_same = |other: &Wanting| other.todo.port == todo.port && other.todo.server == todo.server;
        let known = self.wanting.iter().position(is_same).map(|index| self.wanting.swap_remove(index).room);
        let room = todo.room.take().or(known).unwrap_or_default();
        Wanting { todo, room, is_in_line: false }
    }

    /// Puts out again what stood in line and has its room now.
    fn look_for_room(
        &mut self,
        inside: &mut Inside,
        means: &Means,
        (now, time): (Instant, Instant),
        later: &mut Later,
    ) {
        let gone = self.wanting.extract_if(.., |wanting| !inside.client.is_open(wanting.todo.port));
        later.rooms.extend(gone.map(|wanting| wanting.room));
        if self.wanting.is_empty() {
            self.shortage = None;
        }
        for Wanting { todo, room, is_in_line } in &mut self.wanting {
            // To watch it may have taken it.
            if *is_in_line && room.poll(means.budget.as_ref(), now).is_ready() {
                *is_in_line = false;
                inside.client.postpone(todo.port, todo.server, time, time);
            }
        }
    }

    fn take_in(&mut self, inside: &mut Inside, opened: Vec<Opened>, time: Instant, later: &mut Later) {
        let host = Arc::clone(&self.host);
        for opened in opened {
            match opened {
                Opened::Socket(open, message) => {
                    self.shortage = None;
                    inside.open(open, &message, &host.group, time, later);
                }
                Opened::Postponed(wanting, until) => {
                    inside.client.postpone(wanting.todo.port, wanting.todo.server, until, time);
                    self.wanting.push(wanting);
                }
                Opened::Failed(Todo { port, server, stream, .. }, text, is_shortage) => {
                    let input = match stream {
                        true => Input::StreamFailed { port, server },
                        false => Input::DatagramFailed { port, server },
                    };
                    inside.fail(input, text, is_shortage, &host.group, time);
                }
            }
        }
    }

    fn open(&mut self, mut wanting: Wanting, means: &Means, now: Instant, time: Instant) -> Opened {
        match wanting.room.poll(means.budget.as_ref(), now) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(held)) => {
                means.budget.iter().for_each(SocketBudget::refuse);
                return Opened::Failed(wanting.todo, held.to_string(), true);
            }
            Poll::Pending => {
                wanting.is_in_line = true;
                return Opened::Postponed(wanting, time + IN_LINE);
            }
        }
        match open(&wanting, means) {
            Ok(way) => {
                let Wanting { todo: Todo { port, server, message, .. }, room, .. } = wanting;
                Opened::Socket(Open { port, server, opener: self.seat, way, room }, message)
            }
            Err(error) if is_shortage(&error) => self.has_no_socket(wanting, &error, time),
            Err(error) => Opened::Failed(wanting.todo, os_error::reason(&error), false),
        }
    }

    /// The system has no socket. That may pass.
    fn has_no_socket(&mut self, wanting: Wanting, error: &io::Error, time: Instant) -> Opened {
        let Shortage { since, pause } = self.shortage.unwrap_or(Shortage { since: time, pause: FIRST_PAUSE });
        if time.since(since) >= self.host.group.timeout() {
            return Opened::Failed(wanting.todo, os_error::reason(error), true);
        }
        self.shortage = Some(Shortage { since, pause: pause.saturating_mul(2).min(LONGEST_PAUSE) });
        Opened::Postponed(wanting, time + pause)
    }

    // Waiting.

    /// Lends what it waits for. `bell` has the look-up's own, where one is needed.
    pub(super) fn watch<'a>(
        &'a self,
        means: &'a Means,
        bell: impl Fn() -> Option<&'a Arc<Bell>>,
        watch: &mut Watch<'a>,
    ) -> bool {
        if !self.is_waiting() {
            return false;
        }
        for wanting in &self.wanting {
            wanting.room.watch(means.budget.as_ref(), watch);
        }
        if self.drives {
            for watched in &self.watched {
                match watched {
                    Watched::Datagrams(socket, true) => watch.datagrams(socket),
                    Watched::Datagrams(socket, false) => watch.read(&**socket),
                    Watched::Stream(socket, readiness) => watch.lend(socket.as_fd(), *readiness),
                }
            }
            return false;
        }
        let waker = watch.waker();
        let bell = if waker.is_none() { bell() } else { None };
        self.is_unwoken.set(waker.is_none() && bell.is_none());
        let has_news = self.host.lock().is_some_and(|mut inside| {
            inside.wakes(self.seat, waker, bell);
            inside.has_news(self.seat)
        });
        if has_news {
            waker.into_iter().for_each(std::task::Waker::wake_by_ref);
            bell.into_iter().for_each(|bell| bell.ring());
        }
        bell.is_some()
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

impl Drop for Seat {
    fn drop(&mut self) {
        if !self.is_waiting() {
            return;
        }
        let (host, mut later) = (Arc::clone(&self.host), Later::default());
        if let Some(mut guard) = host.lock() {
            let time = guard.looked;
            for question in &self.questions {
                if let Question::Asked(id) = question {
                    guard.client.give_up(*id);
                }
            }
            self.leave(&mut guard, time, &mut later);
        }
        // What the race has watched is closed now, where nobody else has it.
        drop(later);
    }
}

fn open(wanting: &Wanting, means: &Means) -> io::Result<Way> {
    let Todo { server, stream, message, .. } = &wanting.todo;
    if *stream {
        return Ok(Way::Stream(Box::new(Stream::begin(*server, &means.way_out, message)?)));
    }
    let socket = UdpSocket::from(means.way_out.datagrams(*server, Purpose::NameServer)?);
    Ok(Way::Datagrams(Arc::new(Datagrams { socket, _room: wanting.room.share() })))
}

/// Whether a socket could not be opened since there are too many.
fn is_shortage(error: &io::Error) -> bool {
    Errno::from_io_error(error)
        .is_some_and(|errno| meaning(Call::Socket, errno) == AttemptErrorKind::OutOfSockets)
}

/// Another thread of the parent was at it when the process was forked.
const LOST: LookupError = LookupError { kind: QueryError::Failed, detail: None };

fn lost() -> LookupError {
    LOST
}
