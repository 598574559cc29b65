//! A race as a future.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::resolution::Query;
use connie_core::{Connection, Failure, Instant, Progress};
use tokio::runtime::Handle;
use tokio::time::{Instant as TokioInstant, Sleep, sleep_until};

use super::registrations::Registrations;
use super::stack::TaskStack;
use crate::cancel::{Cancelable, Canceler};
use crate::clock::OsClock;
use crate::connect_operation::{ConnectOperation, ConnectOutcome, SocketSupply};
use crate::connected::Connected;
use crate::error::ConnectErrorKind;
use crate::observation::RaceObservation;
use crate::options::Options;
use crate::resolve::LookupTask;
use crate::target::TargetRef;

/// The longest time in one sleep. To wake early is allowed.
const LONGEST_SLEEP: Duration = Duration::from_secs(3_600);

/// Races over `stack` to `finish`; `into_stream` makes of the winner's socket what its user has.
pub(super) async fn race<S: TaskStack, T>(
    stack: S,
    target: TargetRef<'_>,
    finish: Finish,
    options: &Options,
    into_stream: fn(S::TcpSocket) -> Option<T>,
    watch: &mut RaceObservation,
) -> Result<Connected<T>, ConnectErrorKind> {
    let race = RaceFuture::begin(stack, target, finish, options, watch)?;
    let ConnectOutcome { socket, destination, report, held } = race.await?;
    watch.keep(&report);
    let stream = into_stream(socket).ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
    let stream = stream.map_err(ConnectErrorKind::Socket)?;
    Ok(Connected { stream, destination, report, _held: held })
}

/// A race under way. Dropping it ends it: no socket, descriptor or place in a budget is left.
pub(super) struct RaceFuture<'w, S: TaskStack> {
    /// Where its first poll was. What it opens later belongs there too, wherever it is polled then.
    runtime: Handle,
    /// `None` when it is over.
    operation: Option<ConnectOperation<S>>,
    stack: S,
    clock: OsClock,
    lookups: Vec<LookupTask>,
    /// What wakes the task when a lookup has news.
    watches: Registrations,
    cancelable: Option<Cancelable>,
    /// What wakes the task when the time has come.
    sleep: Pin<Box<Sleep>>,
    /// Learns what the race did, where it is dropped before its end.
    watch: &'w mut RaceObservation,
}

impl<'w, S: TaskStack> RaceFuture<'w, S> {
    /// Begins the race over `stack`. Its deadline counts from now.
    pub(super) fn begin(
        mut stack: S,
        target: TargetRef<'_>,
        finish: Finish,
        options: &Options,
        watch: &'w mut RaceObservation,
    ) -> Result<Box<Self>, ConnectErrorKind> {
        let runtime = Handle::try_current().map_err(|_| ConnectErrorKind::NoRuntime)?;
        // The runtime's time, which a test can stop.
        let start = TokioInstant::now();
        let sleep = Box::pin(sleep_until(start));
        let clock = OsClock::since(start.into_std());
        let operation = ConnectOperation::begin(target, finish, options, clock, Instant::ZERO)?;
        stack.told_owners(operation.owners());
        Ok(Box::new(RaceFuture {
            runtime,
            operation: Some(operation),
            stack,
            clock,
            lookups: Vec::new(),
            watches: Registrations::default(),
            cancelable: options.canceler.as_ref().map(Canceler::cancelable),
            sleep,
            watch,
        }))
    }

    /// Looks names up and starts nothing. Ready when all answers are there, when some have been for `delay`,
    /// and when the race is over.
    pub(super) fn poll_names(&mut self, delay: Duration, context: &mut Context<'_>) -> Poll<()> {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        let now = now(self.clock);
        loop {
            let RaceFuture { operation: Some(operation), stack, lookups, watches, cancelable, .. } = self
            else {
                return Poll::Ready(());
            };
            operation.hold();
            if watches.poll_news(context, now) {
                operation.advance(lookups, now);
                watches.renew(lookups, context, now);
            }
            let progress = operation.driver.poll(stack, now);
            let connect = operation.driver.connect();
            let known =
                connect.timeline().summary().resolved.map(|known| connect.race().start() + known + delay);
            let canceled = cancelable.as_ref().is_some_and(|it| it.poll(context.waker()));
            if canceled || connect.is_resolved() || known.is_some_and(|until| until <= now) {
                return Poll::Ready(());
            }
            let until = match progress {
                Progress::SendQuery(query) => {
                    self.send(query, now);
                    continue;
                }
                Progress::WaitUntil(until) => Some(until),
                Progress::WaitForInput => None,
                _ => return Poll::Ready(()),
            };
            if let Some(until) = until.into_iter().chain(known).chain(self.watches.wake_at()).min() {
                self.sleep(until, context, now);
            }
            return Poll::Pending;
        }
    }

    /// Lets it start after [that](Self::poll_names).
    pub(super) fn release(&mut self) {
        let now = now(self.clock);
        if let Some(operation) = &mut self.operation {
            operation.release(now);
        }
    }

    /// What it knows and has, until it is over.
    pub(super) fn operation(&self) -> Option<&ConnectOperation<S>> {
        self.operation.as_ref()
    }

    /// Ends it before it has started anything: nobody learns from it.
    pub(super) fn leave(&mut self) {
        self.operation = None;
    }

    /// By the race's clock.
    pub(super) fn clock(&self) -> OsClock {
        self.clock
    }

    /// Does what is to be done now. Returns until when there is nothing more to do.
    fn turn(&mut self, context: &mut Context<'_>, now: Instant) -> RacePoll<S::TcpSocket> {
        loop {
            let Some(progress) = self.step(context, now) else { return RacePoll::Wait(None) };
            return match progress {
                Progress::SendQuery(query) => {
                    self.send(query, now);
                    continue;
                }
                Progress::WaitUntil(until) => {
                    RacePoll::Wait(self.wakes_at().into_iter().chain([until]).min())
                }
                Progress::WaitForInput => RacePoll::Wait(self.wakes_at()),
                Progress::Connected(connection) => RacePoll::End(Ok(connection)),
                Progress::Failed(failure) => RacePoll::End(Err(failure)),
                Progress::Finished => RacePoll::End(Err(Failure::Canceled)),
            };
        }
    }

    /// When to wake but for what the race itself waits for.
    fn wakes_at(&self) -> Option<Instant> {
        let looks_at = self.operation.as_ref().and_then(ConnectOperation::looks_at);
        self.watches.wake_at().into_iter().chain(looks_at).min()
    }

    /// `None` when it is over.
    fn step(&mut self, context: &mut Context<'_>, now: Instant) -> Option<Progress<S::TcpSocket, Query>> {
        let RaceFuture { operation: Some(operation), stack, lookups, watches, cancelable, .. } = self else {
            return None;
        };
        stack.wakes(context.waker());
        if watches.poll_news(context, now) {
            operation.advance(lookups, now);
            watches.renew(lookups, context, now);
        }
        let canceled = cancelable.as_ref().is_some_and(|it| it.poll(context.waker()));
        if canceled {
            let _ = operation.driver.cancel(stack, now);
        }
        let is_over = canceled || operation.until().is_some_and(|until| until <= now);
        if !is_over {
            match operation.poll_sockets(true, context.waker(), now) {
                SocketSupply::Ready => {}
                SocketSupply::InLine(until) => {
                    return Some(until.map_or(Progress::WaitForInput, Progress::WaitUntil));
                }
                SocketSupply::AllHeld => {
                    let _ = operation.driver.cancel(stack, now);
                }
            }
        }
        let progress = operation.driver.poll(stack, now);
        operation.give_back(now);
        Some(progress)
    }

    fn send(&mut self, query: Query, now: Instant) {
        if let Some(operation) = &mut self.operation {
            operation.send(query, &mut self.lookups, self.clock, now);
            self.watches.look_at_once();
        }
    }

    /// Has the task woken at `until`.
    fn sleep(&mut self, until: Instant, context: &mut Context<'_>, now: Instant) {
        let until = self.clock.to_std(until.min(now + LONGEST_SLEEP)).into();
        if self.sleep.deadline() != until {
            self.sleep.as_mut().reset(until);
        }
        if self.sleep.as_mut().poll(context).is_ready() {
            context.waker().wake_by_ref();
        }
    }

    /// What came of it all, with what the stack has to say of it.
    fn conclude(
        &mut self,
        operation: ConnectOperation<S>,
        result: Result<Connection<S::TcpSocket>, Failure>,
    ) -> Result<ConnectOutcome<S::TcpSocket>, ConnectErrorKind> {
        let notes = self.stack.take_notes();
        match operation.conclude(result) {
            Ok(outcome) => Ok(ConnectOutcome { report: outcome.report.with_notes(notes), ..outcome }),
            Err(ConnectErrorKind::Race(failure, report)) => {
                Err(ConnectErrorKind::Race(failure, report.with_notes(notes)))
            }
            Err(other) => Err(other),
        }
    }
}

/// A clock that starts now: the runtime's time, which a test can stop.
pub(super) fn clock() -> OsClock {
    OsClock::since(TokioInstant::now().into_std())
}

/// What it says now.
pub(super) fn now(clock: OsClock) -> Instant {
    clock.at(TokioInstant::now().into_std())
}

enum RacePoll<T> {
    Wait(Option<Instant>),
    End(Result<Connection<T>, Failure>),
}

/// Nothing of it is pinned but what has a box of its own.
impl<S: TaskStack> Unpin for RaceFuture<'_, S> {}

impl<S: TaskStack> Drop for RaceFuture<'_, S> {
    fn drop(&mut self) {
        let is_told = self.watch.is_on();
        let Some(mut operation) = self.operation.take().filter(|it| is_told || it.has_memory()) else {
            return;
        };
        let _entered = self.runtime.enter();
        let _ = operation.driver.cancel(&mut self.stack, now(self.clock));
        if let Err(ConnectErrorKind::Race(_, report)) = self.conclude(operation, Err(Failure::Canceled)) {
            self.watch.keep(&report);
        }
    }
}

impl<S: TaskStack> Future for RaceFuture<'_, S> {
    type Output = Result<ConnectOutcome<S::TcpSocket>, ConnectErrorKind>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        let now = now(self.clock);
        match self.turn(context, now) {
            RacePoll::Wait(until) => {
                if let Some(until) = until {
                    self.sleep(until, context, now);
                }
                Poll::Pending
            }
            RacePoll::End(result) => match self.operation.take() {
                Some(operation) => Poll::Ready(self.conclude(operation, result)),
                None => Poll::Pending,
            },
        }
    }
}
