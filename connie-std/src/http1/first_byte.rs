//! Drives a [`ResponseRace`]: waits for the first byte of an answer on one connection, and on a second one
//! where it is called for.

use std::time::Duration;

use connie_core::stack::nb;
use connie_core::{AttemptErrorKind, Instant, Interest, PollEntry, PollResult, Poller, RaceStack};
use connie_http::{HttpError, ResponseOutput, ResponseRace, ResponseRaceConfig, Side};

use super::error::ClientError;
use super::race_connect::{OpeningRecord, RaceConnect, SILENCE, SecondOpened, verdict_on};
use super::response_race::{NoResponse, ResponseFinish, ResponseRecord, RetryBudget, SecondRecord};
use super::transport::Transport;
use crate::OsPoller;
use crate::error::ConnectError;
use crate::memory::Verdict;

type Inner<T> = connie_http::HttpConnection<T, OsPoller, Vec<u8>, RaceConnect>;

/// A request that was sent, and whose answer was not asked for yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    pub(super) sent: Instant,
    /// The length of its body.
    pub(super) body: usize,
    /// Whether it may be sent to two servers, as far as its method says.
    pub(super) may_repeat: bool,
}

/// A second connection. Its socket is elsewhere once the answer comes over it.
struct Second<T: RaceStack> {
    socket: T::TcpSocket,
    opening: OpeningRecord,
}

pub(super) struct FirstByte<'c, T: Transport>
where
    OsPoller: Poller<T>,
{
    inner: &'c mut Inner<T>,
    race: ResponseRace,
    retries: RetryBudget,
    pending: Pending,
    limit: Option<Instant>,
    second: Option<Second<T>>,
    /// Why a second one could not be opened, where there is another address.
    not_opened: Option<Box<ConnectError>>,
    /// The first was a kept connection that ended under the request, which the connection repeats by itself.
    is_stale: Option<HttpError>,
    /// The caller has asked for an answer that was there, and later than its patience.
    was_late: bool,
    record: ResponseRecord,
}

/// What there is at the end: the first byte, or why not.
pub(super) struct Ended {
    pub(super) result: Result<(), ClientError>,
    /// `None` where nothing could be raced.
    pub(super) record: Option<ResponseRecord>,
}

impl<'c, T: Transport> FirstByte<'c, T>
where
    OsPoller: Poller<T>,
{
    /// Waits for the first byte of the answer to the request that `pending` is about, where a race to it is
    /// possible. Leaves all else to [`connie_http::HttpConnection::response`].
    pub(super) fn run(inner: &'c mut Inner<T>, finish: &ResponseFinish, pending: Pending) -> Ended {
        match Self::begin(inner, finish, pending) {
            Some(mut this) => {
                let result = this.drive();
                // What was handed over was not raced to its answer.
                Ended { result, record: this.is_stale.is_none().then_some(this.record) }
            }
            None => Ended { result: Ok(()), record: None },
        }
    }

    fn begin(inner: &'c mut Inner<T>, finish: &ResponseFinish, pending: Pending) -> Option<Self> {
        inner.sent_request(pending.body)?;
        if inner.opener().leads_through_socks5() {
            // That is a tunnel too: no other address of the proxy can mend what is behind it.
            return None;
        }
        // The connection itself reports a time that is up.
        let limit = inner.wait_limit().ok()?;
        let opening = inner.opener().record.as_ref()?;
        let first = opening.destination?;
        let known = opening.report.as_ref().and_then(|report| report.visit()?.answer_time());
        let patience = finish.patience_with(known, handshake(opening));
        let warm_spare = finish.has_warm_spare();
        let config = ResponseRaceConfig { patience, may_repeat: pending.may_repeat, warm_spare };
        let retries = finish.budget().clone();
        let race = ResponseRace::new(config, &mut retries.lock(), pending.sent);
        let record = ResponseRecord {
            first,
            sent: pending.sent,
            patience,
            first_error: None,
            second: None,
            kept: None,
            first_byte: None,
        };
        let (second, not_opened, is_stale) = (None, None, None);
        let was_late = false;
        Some(FirstByte {
            inner,
            race,
            retries,
            pending,
            limit,
            second,
            not_opened,
            is_stale,
            was_late,
            record,
        })
    }

    fn drive(&mut self) -> Result<(), ClientError> {
        // How long something took that came before the caller asked for it is not known.
        let asked = self.now();
        self.was_late = self.look_at_first() && asked.duration_since(self.record.sent) > self.record.patience;
        loop {
            if let Some(error) = self.is_stale {
                return self.hand_over(error);
            }
            let now = self.now();
            let output = self.race.poll_output(&mut self.retries.lock(), now);
            match output {
                ResponseOutput::OpenSecond => self.open_second()?,
                ResponseOutput::SendSecond => self.send_second()?,
                ResponseOutput::Wait(until) => self.wait(until)?,
                ResponseOutput::Keep(side) => {
                    self.keep(side);
                    return Ok(());
                }
                ResponseOutput::Fail => return self.fail(),
            }
        }
    }

    fn now(&mut self) -> Instant {
        self.inner.parts_mut().1.now()
    }

    /// Opens a second connection, with an eye on the first: its first byte ends that.
    fn open_second(&mut self) -> Result<(), ClientError> {
        let began = self.now();
        let opened = self.open_beside_first();
        let mut second = SecondRecord { began, address: None, sent: None, error: None };
        match opened {
            Ok((socket, opening)) => {
                second.address = opening.destination;
                self.second = Some(Second { socket, opening });
                self.record.second = Some(second);
                self.race.handle_second_opened();
            }
            Err(error) => {
                // The first byte has canceled it, or else the caller has.
                let (canceled, error) = match error {
                    Some(error) if error.is_canceled() => (self.record.first_byte.is_none(), None),
                    error => (false, error),
                };
                // Where there is no other address, there was no second connection.
                self.record.second = error.is_some().then_some(second);
                self.not_opened = error;
                self.race.handle_second_failed();
                if canceled {
                    return Err(self.give_up(HttpError::Canceled));
                }
            }
        }
        Ok(())
    }

    #[cfg(not(target_os = "wasi"))]
    fn open_beside_first(&mut self) -> SecondOpened<T::TcpSocket> {
        let watch = match self.record.first_error {
            None => self.inner.lend_socket(),
            Some(_) => None,
        };
        let (stack, poller, opener) = self.inner.opening_parts_mut();
        let watch = watch.map(|socket| std::sync::Arc::new(std::sync::Mutex::new(Watch::new(stack, socket))));
        poller.beside = watch.clone().map(|watch| watch as crate::beside::SharedBeside);
        let opened = opener.open_second(stack, poller, self.limit);
        poller.beside = None;
        let watched = watch.map(|watch| crate::beside::lock(&watch).take());
        if let Some((Some(socket), received, lost)) = watched {
            self.inner.give_back_socket(socket, &received);
            if !received.is_empty() {
                self.on_first_byte(Side::First);
            } else if let Some(error) = lost {
                self.on_lost(Side::First, error);
            }
        }
        opened
    }

    /// Nothing is watched beside a race here: a byte that comes meanwhile is found when that is over.
    #[cfg(target_os = "wasi")]
    fn open_beside_first(&mut self) -> SecondOpened<T::TcpSocket> {
        let (stack, poller, opener) = self.inner.opening_parts_mut();
        opener.open_second(stack, poller, self.limit)
    }

    /// Sends the request over the second connection too.
    fn send_second(&mut self) -> Result<(), ClientError> {
        let request = self.inner.sent_request(self.pending.body).map(<[u8]>::to_vec);
        let Some(request) = request else {
            self.on_lost(Side::Second, HttpError::ResponseNotReady);
            return Ok(());
        };
        self.inner.mark_sent_again();
        let now = self.now();
        if let Some(second) = &mut self.record.second {
            second.sent = Some(now);
        }
        let mut rest = &request[..];
        while !rest.is_empty() {
            let Some(second) = &mut self.second else { return Ok(()) };
            let (stack, _) = self.inner.parts_mut();
            match stack.send(&mut second.socket, rest) {
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(nb::Error::WouldBlock) => {
                    self.wait_for(Interest::Send, None)?;
                    // Where it was lost, all hangs on the second.
                    if self.look_at_first() && self.record.first_error.is_none() {
                        return Ok(());
                    }
                }
                Err(nb::Error::Other(error)) => {
                    let error = HttpError::Send(stack.attempt_error(&error));
                    self.on_lost(Side::Second, error);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Looks at the connections, and waits for them where there is nothing to see.
    fn wait(&mut self, until: Option<Instant>) -> Result<(), ClientError> {
        if self.look_at_first() || self.look_at_second() {
            return Ok(());
        }
        self.wait_for(Interest::Receive, until)?;
        // What came in the last moment of the patience counts.
        let _ = self.look_at_first() || self.look_at_second();
        Ok(())
    }

    /// One wait for the first connection, and for the second where there is one, to have what `interest`
    /// says.
    fn wait_for(&mut self, interest: Interest, until: Option<Instant>) -> Result<(), ClientError> {
        let now = self.now();
        if self.limit.is_some_and(|limit| now >= limit) {
            return Err(self.give_up(HttpError::TimedOut));
        }
        let until = until.into_iter().chain(self.limit).min();
        let is_first_open = self.record.first_error.is_none();
        let second = self.second.as_mut().map(|second| PollEntry::new(&mut second.socket, interest));
        let Some((stack, poller, socket)) = self.inner.socket_parts_mut() else { return Ok(()) };
        let first = is_first_open.then(|| PollEntry::new(socket, Interest::Receive));
        let mut entries: Vec<_> = first.into_iter().chain(second).collect();
        match poller.wait(stack, &mut entries, until) {
            PollResult::Look => Ok(()),
            PollResult::Canceled => Err(self.give_up(HttpError::Canceled)),
        }
    }

    /// Whether something became of the first connection.
    fn look_at_first(&mut self) -> bool {
        if self.record.first_error.is_some() {
            return false;
        }
        match self.inner.poll_first_byte() {
            Ok(()) => self.on_first_byte(Side::First),
            Err(nb::Error::Other(error)) => self.on_lost(Side::First, error),
            Err(nb::Error::WouldBlock) => return false,
        }
        true
    }

    /// Whether something became of the second connection. It takes the place of the first where its answer
    /// has begun.
    fn look_at_second(&mut self) -> bool {
        let was_sent = self.record.second.as_ref().is_some_and(|second| second.sent.is_some());
        let Some(second) = &mut self.second else { return false };
        if !was_sent {
            // A spare has nothing to say yet.
            let (stack, _) = self.inner.parts_mut();
            if matches!(stack.receive(&mut second.socket, &mut [0]), Err(nb::Error::WouldBlock)) {
                return false;
            }
            self.on_lost(Side::Second, HttpError::Stale);
            return true;
        }
        self.inner.swap_socket(&mut second.socket);
        let polled = self.inner.poll_first_byte();
        if let Ok(()) = polled {
            self.on_first_byte(Side::Second);
            return true;
        }
        self.inner.swap_socket(&mut second.socket);
        match polled {
            Err(nb::Error::Other(error)) => {
                self.on_lost(Side::Second, error);
                true
            }
            _ => false,
        }
    }

    fn on_first_byte(&mut self, side: Side) {
        self.record.first_byte = Some(self.now());
        self.race.handle_first_byte(side);
    }

    fn on_lost(&mut self, side: Side, error: HttpError) {
        match side {
            Side::First => {
                self.record.first_error = Some(error);
                self.is_stale = self.inner.repeats_when_lost().then_some(error);
            }
            Side::Second => {
                if let Some(second) = &mut self.record.second {
                    second.error = Some(error);
                }
                if let Some(second) = self.second.take() {
                    self.inner.parts_mut().0.abort(second.socket);
                    let verdict = verdict_on_lost(&error);
                    report_verdict(&second.opening, verdict.filter(|_| error != HttpError::Stale));
                }
            }
        }
        self.race.handle_lost(side);
    }

    /// The answer comes from this side. The other connection is reset.
    fn keep(&mut self, side: Side) {
        let sent = match side {
            Side::First => {
                self.record.kept = Some(self.record.first);
                Some(self.record.sent)
            }
            Side::Second => self.record.second.as_ref().and_then(|second| second.sent),
        };
        if let Some(Second { socket, opening }) = self.second.take() {
            self.inner.parts_mut().0.abort(socket);
            if side == Side::Second {
                self.record.kept = opening.destination;
                let verdict = match &self.record.first_error {
                    None => Some(Verdict::Stalled),
                    Some(error) => verdict_on_lost(error),
                };
                self.inner.opener_mut().replace_by_second(opening, verdict);
            }
        }
        let is_telling = self.pending.may_repeat && !self.was_late;
        if let (Some(sent), Some(came), true) = (sent, self.record.first_byte, is_telling) {
            self.inner.opener().learn_answer_time(came.duration_since(sent));
        }
    }

    /// Leaves the request to the connection, which sends it once more over a new one, as it does without a
    /// race.
    fn hand_over(&mut self, error: HttpError) -> Result<(), ClientError> {
        self.end_race();
        if let Some(second) = self.second.take() {
            self.inner.parts_mut().0.abort(second.socket);
        }
        let now = self.now();
        self.inner.lose(error).map_err(|error| self.explain(error, now))
    }

    /// Nothing more is opened or sent, and what was paid for and not sent is paid back.
    fn end_race(&mut self) {
        self.race.handle_given_up();
        let now = self.now();
        let _ = self.race.poll_output(&mut self.retries.lock(), now);
    }

    /// There is no answer, and none will come.
    fn fail(&mut self) -> Result<(), ClientError> {
        let first = self.record.first_error.unwrap_or(HttpError::EmptyReply);
        let now = self.now();
        // It repeats nothing: that was handed over, or is spent.
        let first = self.inner.lose(first).err().unwrap_or(first);
        self.inner.opener_mut().on_error(&first, now);
        Err(self.failure(first))
    }

    /// Waits no longer. The connection is kept that may still answer, so that the caller can go on waiting
    /// for it.
    fn give_up(&mut self, error: HttpError) -> ClientError {
        self.end_race();
        let now = self.now();
        let failure =
            if error == HttpError::Canceled { ClientError::Http(error) } else { self.failure(error) };
        self.inner.opener_mut().on_error(&self.record.first_error.unwrap_or(error), now);
        if let Some(mut second) = self.second.take() {
            let sent = self.record.second.as_ref().and_then(|second| second.sent);
            let is_silent = sent.is_some_and(|sent| now.duration_since(sent) >= SILENCE);
            report_verdict(&second.opening, verdict_on(&error, is_silent));
            if self.record.first_error.is_some() && sent.is_some() {
                self.inner.swap_socket(&mut second.socket);
                self.inner.opener_mut().replace_by_second(second.opening, None);
            }
            self.inner.parts_mut().0.abort(second.socket);
        }
        failure
    }

    /// The error that names both addresses, where two were tried. `error` is what ended the wait.
    fn failure(&mut self, error: HttpError) -> ClientError {
        let first = (self.record.first, self.record.first_error.unwrap_or(error));
        let asked = self.record.second.as_ref().filter(|second| second.sent.is_some());
        match (
            asked.and_then(|second| Some((second.address?, second.error.unwrap_or(error)))),
            self.not_opened.take(),
        ) {
            (Some(second), _) => ClientError::NoResponse(Box::new(NoResponse::asked(first, second))),
            (None, Some(why)) => ClientError::NoResponse(Box::new(NoResponse::not_connected(first, why))),
            (None, None) => ClientError::Http(first.1),
        }
    }

    fn explain(&mut self, error: HttpError, now: Instant) -> ClientError {
        self.inner.opener_mut().on_error(&error, now);
        self.inner.opener_mut().client_error(error)
    }
}

/// How long the attempt took that has won the race for a connection.
fn handshake(opening: &OpeningRecord) -> Duration {
    let winner = opening.report.as_ref().and_then(|report| report.timeline().winner());
    winner.and_then(|winner| Some(winner.ended?.saturating_sub(winner.started))).unwrap_or_default()
}

/// What the end of a connection that was sent a request says of its address, when another one has answered or
/// was tried.
fn verdict_on_lost(error: &HttpError) -> Option<Verdict> {
    let is_tls = |error: AttemptErrorKind| matches!(error, AttemptErrorKind::Tls(_));
    match error {
        HttpError::Send(error) | HttpError::Receive(error) if is_tls(error.kind()) => {
            Some(Verdict::TlsFailed)
        }
        error => verdict_on(error, false),
    }
}

fn report_verdict(opening: &OpeningRecord, verdict: Option<Verdict>) {
    if let (Some(report), Some(verdict)) = (&opening.report, verdict) {
        report.report_to_memory(verdict);
    }
}

/// The first connection, while the second is being opened.
#[cfg(not(target_os = "wasi"))]
struct Watch<T: RaceStack> {
    stack: T,
    socket: Option<T::TcpSocket>,
    received: Vec<u8>,
    lost: Option<HttpError>,
}

#[cfg(not(target_os = "wasi"))]
impl<T: super::transport::Sealed> Watch<T> {
    fn new(stack: &T, socket: T::TcpSocket) -> Self {
        Watch { stack: stack.twin(), socket: Some(socket), received: Vec::new(), lost: None }
    }

    fn take(&mut self) -> (Option<T::TcpSocket>, Vec<u8>, Option<HttpError>) {
        (self.socket.take(), std::mem::take(&mut self.received), self.lost.take())
    }
}

#[cfg(not(target_os = "wasi"))]
impl<T: super::transport::Sealed> crate::beside::Beside for Watch<T> {
    fn poll_need(&self) -> crate::pollable::PollNeed<'_> {
        use crate::pollable::{PollNeed, Pollable};
        match &self.socket {
            Some(_) if !self.received.is_empty() => PollNeed::Ready,
            Some(socket) if self.lost.is_none() => socket.poll_need(Interest::Receive),
            _ => PollNeed::Never,
        }
    }

    fn look(&mut self) -> bool {
        use connie_core::stack::{TcpError, TcpErrorKind};
        let Some(socket) = self.socket.as_mut().filter(|_| self.received.is_empty() && self.lost.is_none())
        else {
            return !self.received.is_empty();
        };
        let mut byte = [0];
        match self.stack.receive(socket, &mut byte) {
            Ok(1..) => self.received.extend(byte),
            Ok(0) => self.lost = Some(HttpError::EmptyReply),
            Err(nb::Error::Other(error)) if error.kind() == TcpErrorKind::PipeClosed => {
                self.lost = Some(HttpError::EmptyReply);
            }
            Err(nb::Error::Other(error)) => {
                self.lost = Some(HttpError::Receive(self.stack.attempt_error(&error)));
            }
            Err(nb::Error::WouldBlock) => {}
        }
        !self.received.is_empty()
    }
}
