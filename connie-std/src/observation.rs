//! Reports each race to its observer once, however it ends.

use std::net::SocketAddr;

use connie_core::{Failure, Instant};

use crate::clock::OsClock;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::observer::{Observed, Observer};
use crate::options::Options;
use crate::report::Report;
use crate::target::TargetRef;

/// A race with an observer; empty without one. If it is dropped before the [end](RaceObservation::tell) of
/// the race, it reports that the race was canceled, if it had started.
#[derive(Debug)]
pub(crate) struct RaceObservation(Option<Box<ObservedRace>>);

#[derive(Debug)]
struct ObservedRace {
    observer: Option<Observer>,
    host: String,
    port: u16,
    clock: OsClock,
    now: fn(OsClock) -> Instant,
    start: Instant,
    report: Option<Report>,
}

impl RaceObservation {
    /// Observes a race that starts now, by the operating system's clock.
    pub(crate) fn begin(target: TargetRef<'_>, options: &Options) -> Self {
        Self::begin_by(target, options, OsClock::start, |clock| clock.now())
    }

    /// The same by another clock.
    pub(crate) fn begin_by(
        target: TargetRef<'_>,
        options: &Options,
        clock: fn() -> OsClock,
        now: fn(OsClock) -> Instant,
    ) -> Self {
        if options.observer.is_none() && !is_traced() {
            return RaceObservation(None);
        }
        RaceObservation(Some(ObservedRace::begin(target, options, clock(), now)))
    }

    /// Whether there is an observer.
    #[cfg(feature = "tokio")]
    pub(crate) fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// Keeps what the race did, in case its end does not say it.
    pub(crate) fn keep(&mut self, report: &Report) {
        if let Some(watched) = &mut self.0 {
            watched.report = Some(report.clone());
        }
    }

    /// Reports how the race ended.
    pub(crate) fn tell(mut self, result: Result<(SocketAddr, &Report), &ConnectError>) {
        let Some(watched) = self.0.take() else { return };
        match result {
            Ok((destination, report)) => watched.tell(Ok(destination), Some(report)),
            Err(error) => watched.tell(Err(error), error.report().or(watched.report.as_ref())),
        }
    }
}

impl Drop for RaceObservation {
    /// A race that was given up with its future.
    fn drop(&mut self) {
        if let Some(mut watched) = self.0.take() {
            watched.give_up();
        }
    }
}

impl ObservedRace {
    // Out of the way of the races that nobody observes, which are nearly all.
    #[cold]
    #[inline(never)]
    fn begin(
        target: TargetRef<'_>,
        options: &Options,
        clock: OsClock,
        now: fn(OsClock) -> Instant,
    ) -> Box<Self> {
        let (host, port) = target.name();
        let observer = options.observer.clone();
        Box::new(ObservedRace { observer, host, port, clock, now, start: now(clock), report: None })
    }

    #[cold]
    #[inline(never)]
    fn give_up(&mut self) {
        let Some(report) = self.report.take() else { return };
        let kind = ConnectErrorKind::Race(Failure::Canceled, report);
        let error = ConnectError::new(self.host.clone(), self.port, kind);
        let tell = || self.tell(Err(&error), error.report());
        if std::thread::panicking() {
            // A second panic would end the process.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(tell));
        } else {
            tell();
        }
    }

    #[cold]
    #[inline(never)]
    fn tell(&self, result: Result<SocketAddr, &ConnectError>, report: Option<&Report>) {
        let elapsed = (self.now)(self.clock).duration_since(self.start);
        let observed = Observed::new((&self.host, self.port), result, report, elapsed);
        #[cfg(feature = "tracing")]
        crate::trace::record(&observed);
        if let Some(observer) = &self.observer {
            observer.tell(&observed);
        }
    }
}

#[cfg(feature = "tracing")]
fn is_traced() -> bool {
    crate::trace::is_enabled()
}

#[cfg(not(feature = "tracing"))]
fn is_traced() -> bool {
    false
}
