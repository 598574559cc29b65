//! stdout, where several transfers have something for it: what one of them prints stands together.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connie_core::Instant;
use connie_std::OsClock;

use crate::{progress, stdio};

/// How much a transfer has in memory that waits for its end. With more than that it takes stdout for itself,
/// and the others wait.
const ROOM: usize = 256 * 1024;

/// Which transfer has stdout, and which wait for it. Clones are of the same one.
#[derive(Clone, Default)]
pub struct StdoutQueue(Arc<SharedQueue>);

#[derive(Default)]
struct SharedQueue {
    state: Mutex<QueueState>,
    changed: Condvar,
}

#[derive(Default)]
struct QueueState {
    is_taken: bool,
    /// The tickets of those that wait, longest first.
    line: VecDeque<u64>,
    next_ticket: u64,
    /// Whether the run ends before its time.
    is_stopped: bool,
}

/// How a transfer gets to stdout: directly, or in line with others.
#[derive(Clone, Default)]
pub struct TransferStdout(Option<Arc<Mutex<QueuedStdout>>>);

/// stdout as a transfer has it that is not alone.
pub struct QueuedStdout {
    queue: StdoutQueue,
    /// What has come and is not printed.
    pending: Vec<u8>,
    /// Where the body begins in it.
    body: Option<usize>,
    /// stdout, while this transfer has it.
    out: Option<stdio::Stdout>,
    /// Until when it waits for stdout in the middle of a body: so long by this clock.
    limit: Option<(OsClock, Duration)>,
}

impl StdoutQueue {
    /// Has those that wait in the middle of a body give up.
    pub fn stop(&self) {
        self.lock().is_stopped = true;
        self.0.changed.notify_all();
    }

    /// Waits until stdout is free and it is this one's turn. `left` says how long it may take: for ever,
    /// where that is `None`, which nothing but the end of the others ends.
    fn take(&self, left: Option<&dyn Fn() -> Option<Duration>>) -> io::Result<()> {
        let mut state = self.lock();
        let ticket = state.next_ticket;
        state.next_ticket += 1;
        state.line.push_back(ticket);
        while state.is_taken || state.line.front() != Some(&ticket) {
            let left = match left {
                None => None,
                Some(_) if state.is_stopped => return self.leave(state, ticket, io::ErrorKind::Interrupted),
                Some(left) => left(),
            };
            state = match left {
                None => self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return self.leave(state, ticket, io::ErrorKind::TimedOut),
                Some(left) => {
                    self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        state.line.pop_front();
        state.is_taken = true;
        Ok(())
    }

    fn leave(
        &self,
        mut state: MutexGuard<'_, QueueState>,
        ticket: u64,
        why: io::ErrorKind,
    ) -> io::Result<()> {
        state.line.retain(|other| *other != ticket);
        drop(state);
        self.0.changed.notify_all();
        Err(why.into())
    }

    fn give_back(&self) {
        self.lock().is_taken = false;
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TransferStdout {
    /// For the next transfer of those that share `queue`.
    pub fn queued(queue: &StdoutQueue) -> Self {
        let (queue, pending) = (queue.clone(), Vec::new());
        TransferStdout(Some(Arc::new(Mutex::new(QueuedStdout {
            queue,
            pending,
            body: None,
            out: None,
            limit: None,
        }))))
    }

    /// Its part of stdout, where there are others.
    pub fn of_several(&self) -> Option<&Arc<Mutex<QueuedStdout>>> {
        self.0.as_ref()
    }

    /// A try begins, which may take so long by this clock.
    pub fn begin(&self, clock: OsClock, limit: Option<Duration>) {
        if let Some(queued) = &self.0 {
            locked(queued).limit = limit.map(|limit| (clock, limit));
        }
    }

    /// Prints `bytes`: now, or with what the transfer has printed before.
    pub fn print(&self, bytes: &[u8]) -> io::Result<()> {
        match &self.0 {
            Some(queued) => {
                locked(queued).pending.extend_from_slice(bytes);
                Ok(())
            }
            None => {
                let mut stdout = stdio::stdout()?;
                stdout.write_all(bytes)?;
                stdout.flush()
            }
        }
    }

    /// The transfer is over: prints what waits for that, and leaves stdout to others.
    pub fn end(&self) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |queued| locked(queued).end())
    }
}

impl QueuedStdout {
    /// A part of the body is to be printed, or of a head.
    pub fn write(&mut self, bytes: &[u8], is_body: bool) -> io::Result<()> {
        if is_body && self.body.is_none() {
            self.body = Some(self.pending.len());
        }
        if self.out.is_none() && self.pending.len().saturating_add(bytes.len()) <= ROOM {
            self.pending.extend_from_slice(bytes);
            return Ok(());
        }
        self.take(true)?;
        self.put(bytes)
    }

    /// Takes the body back, and what came behind it, where nothing of it is printed. Says whether that is so.
    pub fn restart(&mut self) -> bool {
        if self.out.is_some() {
            return false;
        }
        if let Some(start) = self.body.take() {
            self.pending.truncate(start);
        }
        true
    }

    fn end(&mut self) -> io::Result<()> {
        self.body = None;
        let printed = match self.pending.is_empty() {
            true => Ok(()),
            false => self.take(false),
        };
        if self.out.take().is_some() {
            self.queue.give_back();
        }
        printed
    }

    /// stdout, with all printed on it that waited for it.
    fn take(&mut self, is_limited: bool) -> io::Result<()> {
        if self.out.is_none() {
            let left = || {
                let (clock, limit) = self.limit.as_ref()?;
                Some(limit.saturating_sub(clock.now().duration_since(Instant::ZERO)))
            };
            self.queue.take(is_limited.then_some(&left))?;
            match stdio::stdout() {
                Ok(out) => self.out = Some(out),
                Err(error) => {
                    self.queue.give_back();
                    return Err(error);
                }
            }
        }
        let pending = std::mem::take(&mut self.pending);
        self.put(&pending)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        // There since it was taken.
        let Some(out) = &mut self.out else { return Ok(()) };
        let mut put = || {
            out.write_all(bytes)?;
            out.flush()
        };
        if !io::stdout().is_terminal() {
            return put();
        }
        let mut result = Ok(());
        progress::beside_bars(|| result = put());
        result
    }
}

impl Drop for QueuedStdout {
    fn drop(&mut self) {
        if self.out.is_some() {
            self.queue.give_back();
        }
    }
}

/// One transfer alone has it, in one thread: this never waits.
pub fn locked(queued: &Mutex<QueuedStdout>) -> MutexGuard<'_, QueuedStdout> {
    queued.lock().unwrap_or_else(PoisonError::into_inner)
}
