//! The operating system's clock, and ways to wait for its sockets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, Interest, Waiter, Wake, Watched};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::BorrowedFd;

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

    /// A moment of this clock as the standard library counts it, to compare with moments of other clocks.
    #[must_use]
    pub fn to_std(&self, moment: Instant) -> std::time::Instant {
        // Years beyond any clock are a century.
        let since_start = moment.since(Instant::ZERO).min(Duration::from_secs(3_155_760_000));
        self.0.checked_add(since_start).unwrap_or(self.0)
    }
}

/// Waits for the operating system's sockets: one `poll` over all of them, with no descriptor of its own.
#[derive(Debug)]
pub struct OsWaiter {
    clock: OsClock,
    canceler: Option<Canceler>,
}

impl OsWaiter {
    /// A waiter whose clock starts now. `canceler`, where there is one, can end every wait from another thread.
    #[must_use]
    pub fn new(canceler: Option<Canceler>) -> Self {
        OsWaiter { clock: OsClock::start(), canceler }
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
    /// One `poll` over all of `sockets`, which does not wait where one of them is ready without it.
    pub(crate) fn wait_for<T: Pollable>(
        &mut self,
        sockets: &mut [Watched<'_, T>],
        until: Option<Instant>,
    ) -> Wake {
        if self.is_canceled() {
            return Wake::Canceled;
        }
        let left = until.map_or(LONGEST_WAIT, |until| until.since(self.clock.now()));
        let deaf = cfg!(not(unix)) && self.canceler.is_some();
        let mut longest = left.min(if deaf { DEAF_WAIT } else { LONGEST_WAIT });
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
        #[cfg(unix)]
        if let Some(canceler) = &self.canceler {
            fds.push(PollFd::new(&canceler.shared.reader, PollFlags::IN));
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

/// The longest where a canceler cannot wake it.
const DEAF_WAIT: Duration = Duration::from_millis(50);

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

/// Ends a [`connect`](crate::connect) from another thread. Clones end the same one; it stays canceled.
///
/// On Unix it costs two descriptors, however many races and attempts it serves. Elsewhere a `connect` looks for it every 50 ms.
#[derive(Clone, Debug)]
pub struct Canceler {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    canceled: AtomicBool,
    #[cfg(unix)]
    reader: std::io::PipeReader,
    #[cfg(unix)]
    writer: std::io::PipeWriter,
}

impl Canceler {
    /// A canceler that has not been used.
    ///
    /// # Errors
    ///
    /// On Unix, where no pipe can be opened: the process is out of descriptors.
    pub fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        let (reader, writer) = std::io::pipe()?;
        Ok(Canceler {
            shared: Arc::new(Shared {
                canceled: AtomicBool::new(false),
                #[cfg(unix)]
                reader,
                #[cfg(unix)]
                writer,
            }),
        })
    }

    /// Cancels. From now on every `connect` with this canceler ends with [`Failure::Canceled`](connie_core::Failure::Canceled).
    pub fn cancel(&self) {
        let first = !self.shared.canceled.swap(true, Ordering::SeqCst);
        #[cfg(unix)]
        if first {
            // One octet that is never read wakes every wait from now on. The pipe is empty, so it cannot block.
            let _ = std::io::Write::write(&mut &self.shared.writer, &[1]);
        }
        #[cfg(not(unix))]
        let _ = first;
    }

    /// Whether it was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.shared.canceled.load(Ordering::SeqCst)
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
