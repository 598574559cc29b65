//! Reports of each race to the program.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::error::ConnectError;
use crate::report::Report;

/// Gets a report of each race at its end, won or not: for metrics and logs. Clones call the same function.
///
/// It is called once for each connection that was asked for, also where no attempt was made: where the host
/// is none, its name has no address, the deadline passed in the line for sockets, or the future of a race was
/// dropped. A future that was dropped before its first poll has run no race, and none is reported.
///
/// It runs on the thread, or in the task, that connects, before the call returns or the future ends. The
/// losers' sockets are closed by then and no lock is held, so that it may connect, cancel or panic itself: a
/// panic goes on to the caller, and the winner's socket is closed too. What time it takes the caller waits
/// for.
///
/// ```
/// use connie_std::{Observer, Options, RaceOutcome, connect};
/// use std::sync::Arc;
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// let lost = Arc::new(AtomicU64::new(0));
/// let counter = lost.clone();
/// let observer = Observer::new(move |observed| {
///     if observed.outcome() == RaceOutcome::Lost {
///         counter.fetch_add(1, Ordering::Relaxed);
///     }
/// });
/// let options = Options::new().observer(observer);
/// assert!(connect("127.0.0.1:1", &options).is_err());
/// assert_eq!(lost.load(Ordering::Relaxed), 1);
/// ```
#[derive(Clone)]
pub struct Observer(Arc<dyn Fn(&Observed<'_>) + Send + Sync>);

impl Observer {
    /// Has `function` called at the end of each race.
    #[must_use]
    pub fn new(function: impl Fn(&Observed<'_>) + Send + Sync + 'static) -> Self {
        Observer(Arc::new(function))
    }

    /// Calls the function.
    pub fn tell(&self, observed: &Observed<'_>) {
        (self.0)(observed);
    }
}

impl fmt::Debug for Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observer").finish_non_exhaustive()
    }
}

/// What an [`Observer`] gets of a race.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    host: &'a str,
    port: u16,
    result: Result<SocketAddr, &'a ConnectError>,
    report: Option<&'a Report>,
    elapsed: Duration,
}

/// What came of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RaceOutcome {
    /// There is a connection.
    Won,
    /// There is none.
    Lost,
    /// The program gave up: by a [`Canceler`](crate::Canceler), or it dropped the future.
    Canceled,
}

impl RaceOutcome {
    /// One word: `won`, `lost` or `canceled`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            RaceOutcome::Won => "won",
            RaceOutcome::Lost => "lost",
            RaceOutcome::Canceled => "canceled",
        }
    }
}

impl<'a> Observed<'a> {
    pub(crate) fn new(
        (host, port): (&'a str, u16),
        result: Result<SocketAddr, &'a ConnectError>,
        report: Option<&'a Report>,
        elapsed: Duration,
    ) -> Self {
        Observed { host, port, result, report, elapsed }
    }

    /// The same race under another name, for an adapter whose client has resolved the host itself.
    #[must_use]
    pub fn named(mut self, host: &'a str, port: u16) -> Self {
        (self.host, self.port) = (host, port);
        self
    }

    /// The host that was asked for; for a list of addresses the first of them. Through a proxy it is the
    /// proxy, to which the race led.
    #[must_use]
    pub fn host(&self) -> &'a str {
        self.host
    }

    /// The port that was asked for; 0 where a text names none.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What came of it.
    #[must_use]
    pub fn outcome(&self) -> RaceOutcome {
        match self.result {
            Ok(_) => RaceOutcome::Won,
            Err(error) if error.is_canceled() => RaceOutcome::Canceled,
            Err(_) => RaceOutcome::Lost,
        }
    }

    /// The address that won.
    #[must_use]
    pub fn winner(&self) -> Option<SocketAddr> {
        self.result.ok()
    }

    /// Why there is no connection, where there is none.
    #[must_use]
    pub fn error(&self) -> Option<&'a ConnectError> {
        self.result.err()
    }

    /// What the race did. `None` where none began, because the host is not one. Where TLS failed with the
    /// winner of a race to TCP, [`winner`](Self::winner) has nothing and the report is that of the race,
    /// which was won.
    #[must_use]
    pub fn report(&self) -> Option<&'a Report> {
        self.report
    }

    /// The time from the call, or from the future's first poll, to its end: with resolution, the line for
    /// sockets, and TLS.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }
}
