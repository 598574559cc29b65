//! The operating system's clock, and ways to wait for its sockets.

use std::fmt;
use std::time::Duration;

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, Interest, Waiter, Wake, Watched};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;

use crate::cancel::Canceler;
use crate::resolve::{Lookup, Readiness, Watch};
use crate::socket::{OsSocket, OsStack};

/// The operating system's monotonic clock, counted from its creation.
#[derive(Clone, Copy, Debug)]
pub struct OsClock(std::time::Instant);

impl OsClock {
    /// A clock that starts now.
    #[must_use]
    #[expect(clippy::disallowed_methods, reason = "this is the adapter's clock")]
    pub fn start() -> Self {
        OsClock(std::time::Instant::now())
    }

    /// The time since the clock was started.
    #[must_use]
    pub fn now(&self) -> Instant {
        Instant::ZERO + Duration::from_micros(u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The time since the clock was started, as it is at `moment`. For a program whose time is not the operating system's.
    #[cfg(feature = "tokio")]
    pub(crate) fn at(self, moment: std::time::Instant) -> Instant {
        let since_start = moment.saturating_duration_since(self.0);
        Instant::ZERO + Duration::from_micros(u64::try_from(since_start.as_micros()).unwrap_or(u64::MAX))
    }

    /// A clock that started at `moment`.
    #[cfg(feature = "tokio")]
    pub(crate) fn since(moment: std::time::Instant) -> Self {
        OsClock(moment)
    }

    /// A moment of this clock as the standard library counts it, to compare with moments of other clocks.
    #[must_use]
    pub fn to_std(&self, moment: Instant) -> std::time::Instant {
        // Years beyond any clock are a century.
        let since_start = moment.since(Instant::ZERO).min(Duration::from_secs(3_155_760_000));
        self.0.checked_add(since_start).unwrap_or(self.0)
    }
}

/// Waits for the operating system's sockets: one `poll` over all of them, with no descriptor of its own.
pub struct OsWaiter {
    pub(crate) clock: OsClock,
    canceler: Option<Canceler>,
    /// Look-ups that run beside a race.
    pub(crate) lookups: Vec<Running>,
}

/// A look-up under way, and the queries that it is for.
pub(crate) struct Running {
    pub(crate) lookup: Box<dyn Lookup>,
    /// Whether it is for the NAT64 prefix and not for the name's addresses.
    pub(crate) prefix: bool,
}

impl fmt::Debug for OsWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let OsWaiter { clock, canceler, lookups } = self;
        let lookups = &lookups.len();
        let mut parts = f.debug_struct("OsWaiter");
        parts.field("clock", clock).field("canceler", canceler).field("lookups", lookups).finish()
    }
}

impl OsWaiter {
    /// A waiter whose clock starts now. `canceler`, where there is one, can end every wait from another thread.
    #[must_use]
    pub fn new(canceler: Option<Canceler>) -> Self {
        OsWaiter { clock: OsClock::start(), canceler, lookups: Vec::new() }
    }

    /// What look-ups run in where something else waits for them.
    #[cfg(feature = "tokio")]
    pub(crate) fn with_clock(clock: OsClock) -> Self {
        OsWaiter { clock, canceler: None, lookups: Vec::new() }
    }

    /// The time since its creation. For all stacks the same, so that a program need not say which one it means.
    #[must_use]
    pub fn now(&mut self) -> Instant {
        self.clock.now()
    }

    /// Its clock.
    pub(crate) fn clock(&self) -> OsClock {
        self.clock
    }

    /// Has `canceler` end every wait from here on, in place of the one before.
    pub(crate) fn set_canceler(&mut self, canceler: Option<Canceler>) {
        self.canceler = canceler;
    }

    /// Whether the program can cancel.
    pub(crate) fn can_be_canceled(&self) -> bool {
        self.canceler.is_some()
    }

    /// Whether the program has canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.canceler.as_ref().is_some_and(Canceler::is_canceled)
    }
}

impl Waiter<OsStack> for OsWaiter {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(
        &mut self,
        _: &mut OsStack,
        sockets: &mut [Watched<'_, OsSocket>],
        until: Option<Instant>,
    ) -> Wake {
        self.wait_for(sockets, until)
    }
}

/// A socket that an [`OsWaiter`] can wait for.
pub(crate) trait Pollable {
    /// What to look for in `poll`, so that the socket has what `interest` says.
    fn sought(&self, interest: Interest) -> Sought<'_>;

    /// Takes note that `poll` has found it.
    fn found(&mut self, interest: Interest);
}

/// What a socket waits for.
pub(crate) enum Sought<'a> {
    /// Nothing: it is there already. An encrypted connection can hold what it has received and decrypted.
    #[cfg_attr(not(feature = "tls"), allow(dead_code))]
    Ready,
    /// Any of these events of the descriptor.
    Events(BorrowedFd<'a>, PollFlags),
    /// What will not come: there is no descriptor.
    Never,
}

impl OsWaiter {
    /// One `poll` over all of `sockets` and what the look-ups watch, which does not wait where one of the sockets is ready without
    /// it.
    pub(crate) fn wait_for<T: Pollable>(
        &mut self,
        sockets: &mut [Watched<'_, T>],
        until: Option<Instant>,
    ) -> Wake {
        if self.is_canceled() {
            return Wake::Canceled;
        }
        // Before it is asked when to wake: where it can lend nothing, it learns so here.
        let mut watch = Watch::default();
        for running in &self.lookups {
            running.lookup.watch(&mut watch);
        }
        let wakes = self.lookups.iter().filter_map(|running| running.lookup.wake_at());
        let until = wakes.chain(until).min();
        let left = until.map_or(LONGEST_WAIT, |until| until.since(self.clock.now()));
        let mut longest = left.min(LONGEST_WAIT);
        let mut fds = Vec::with_capacity(sockets.len() + 1);
        let mut owners = Vec::with_capacity(sockets.len());
        let mut ready = Vec::new();
        for (index, watched) in sockets.iter().enumerate() {
            match watched.socket.sought(watched.interest) {
                Sought::Ready => ready.push(index),
                Sought::Events(fd, events) => {
                    fds.push(PollFd::from_borrowed_fd(fd, events));
                    owners.push(index);
                }
                Sought::Never => {}
            }
        }
        let known = ready.len();
        if known > 0 {
            longest = Duration::ZERO;
        }
        for (fd, readiness) in watch.entries {
            let events = match readiness {
                Readiness::Read => PollFlags::IN,
                Readiness::Write => PollFlags::OUT,
            };
            fds.push(PollFd::from_borrowed_fd(fd, events));
        }
        for bell in self.canceler.iter().flat_map(Canceler::bells) {
            fds.push(PollFd::new(bell, PollFlags::IN));
        }
        // EINTR is an early wake-up. What else can fail here (no memory for the kernel's table) makes this look at every
        // socket, after a pause that keeps it from spinning.
        let polled = poll(&mut fds, Some(&timespec(longest)));
        let blind = polled.is_err_and(|error| error != rustix::io::Errno::INTR);
        let events = owners.iter().zip(&fds).filter(|(_, fd)| blind || !fd.revents().is_empty());
        ready.extend(events.map(|(&index, _)| index));
        if blind {
            pause(longest.min(BLIND_PAUSE));
        }
        for (position, index) in ready.into_iter().enumerate() {
            let watched = &mut sockets[index];
            watched.ready = true;
            if position >= known && !blind {
                watched.socket.found(watched.interest);
            }
        }
        if self.is_canceled() { Wake::Canceled } else { Wake::Look }
    }
}

/// The longest time in one `poll`, which takes no more than 24 days on some systems. To wake early is allowed.
const LONGEST_WAIT: Duration = Duration::from_secs(3_600);

const BLIND_PAUSE: Duration = Duration::from_millis(1);

#[expect(clippy::disallowed_methods, reason = "waiting is this adapter's work")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}

/// Waits for a stack that cannot say which of its sockets is ready: sleeps for a short time and looks at all of them.
///
/// For foreign embedded-nal stacks ([`connie_core::Foreign`]) on an operating system.
#[derive(Debug)]
pub struct SleepWaiter {
    clock: OsClock,
    step: Duration,
}

impl SleepWaiter {
    /// A waiter that looks at every socket each `step`. 1 ms is a good choice: a shorter one costs more processor time, a longer
    /// one more delay.
    #[must_use]
    pub fn new(step: Duration) -> Self {
        SleepWaiter { clock: OsClock::start(), step }
    }
}

impl<S: TcpClientStack> Waiter<S> for SleepWaiter {
    fn now(&mut self) -> Instant {
        self.clock.now()
    }

    fn wait(&mut self, _: &mut S, sockets: &mut [Watched<'_, S::TcpSocket>], until: Option<Instant>) -> Wake {
        let left = until.map_or(self.step, |until| until.since(self.clock.now()));
        pause(left.min(self.step));
        for watched in sockets {
            watched.ready = true;
        }
        Wake::Look
    }
}

/// `duration` as `poll` takes it.
fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        // Below 10^9, which every form of the field holds.
        tv_nsec: duration.subsec_nanos() as rustix::event::Nsecs,
    }
}
