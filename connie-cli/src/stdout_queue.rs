//! stdout, where several transfers have something for it: what one of them prints stands together.

use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connie_core::Instant;
use connie_std::OsClock;

use crate::{progress, stdio};

/// How much a transfer has in memory that waits for its end. With more than that it takes stdout for itself,
/// and others that have as much wait.
const ROOM: usize = 256 * 1024;

/// How much of transfers that are over the one that has stdout prints for them. With more than that they
/// wait.
const LEFT_ROOM: usize = 4 * 1024 * 1024;

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
    /// The ticket of the transfer that has stdout. It is handed from one to the next: `None` only when none
    /// waits.
    holder: Option<u64>,
    /// The tickets of those that wait, longest first.
    line: VecDeque<u64>,
    next_ticket: u64,
    /// What transfers that are over have left for the holder to print.
    left: Vec<u8>,
    /// Whether the holder prints that already, and takes no more.
    is_closing: bool,
    /// Whether the run ends before its time.
    is_stopped: bool,
}

/// What becomes of the output of a transfer that is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Handover {
    /// The transfer that has stdout prints it.
    Left,
    /// Nobody had stdout, and now this one has it.
    Taken,
    /// There is no room for it: it waits for stdout.
    Waits,
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

    /// Waits until it is this one's turn to have stdout. `left` says how long that may take: where that is
    /// `None`, as long as the others have it.
    fn take(&self, left: Option<&dyn Fn() -> Option<Duration>>) -> io::Result<()> {
        let mut state = self.lock();
        let ticket = state.ticket();
        if state.holder.is_none() {
            state.holder = Some(ticket);
            return Ok(());
        }
        state.line.push_back(ticket);
        while state.holder != Some(ticket) {
            let left = match left {
                None => None,
                Some(_) if state.is_stopped => return Err(leave(state, ticket, io::ErrorKind::Interrupted)),
                Some(left) => left(),
            };
            state = match left {
                None => self.0.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(Duration::ZERO) => return Err(leave(state, ticket, io::ErrorKind::TimedOut)),
                Some(left) => {
                    self.0.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        Ok(())
    }

    /// Leaves `bytes` to the transfer that has stdout, or takes stdout if none has it.
    fn hand_over(&self, bytes: &mut Vec<u8>) -> Handover {
        let mut state = self.lock();
        if state.holder.is_none() {
            state.holder = Some(state.ticket());
            return Handover::Taken;
        }
        if state.is_closing || state.left.len().saturating_add(bytes.len()) > LEFT_ROOM {
            return Handover::Waits;
        }
        state.left.append(bytes);
        Handover::Left
    }

    /// What the others have left for the transfer that has stdout. Stdout is released next, so that those who
    /// wait for it do not wait for later ones.
    fn close(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.is_closing = true;
        std::mem::take(&mut state.left)
    }

    /// Gives stdout to the one that has waited longest.
    fn give_back(&self) {
        let mut state = self.lock();
        state.is_closing = false;
        state.holder = state.line.pop_front();
        drop(state);
        self.0.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, QueueState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl QueueState {
    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }
}

/// This one waits no longer.
fn leave(mut state: MutexGuard<'_, QueueState>, ticket: u64, why: io::ErrorKind) -> io::Error {
    state.line.retain(|other| *other != ticket);
    why.into()
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

    /// The transfer is over: prints what waits for that, or has the one that has stdout print it, and leaves
    /// stdout to others.
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
        if self.out.is_none() {
            if self.pending.is_empty() {
                return Ok(());
            }
            match self.queue.hand_over(&mut self.pending) {
                Handover::Left => return Ok(()),
                Handover::Taken => self.open()?,
                Handover::Waits => {}
            }
        }
        let printed = self.take(false);
        let others = self.give_back();
        printed.and(others)
    }

    /// stdout, with all printed on it that waited for it.
    fn take(&mut self, is_limited: bool) -> io::Result<()> {
        if self.out.is_none() {
            let left = || {
                let (clock, limit) = self.limit.as_ref()?;
                Some(limit.saturating_sub(clock.now().duration_since(Instant::ZERO)))
            };
            self.queue.take(is_limited.then_some(&left))?;
            self.open()?;
        }
        let pending = std::mem::take(&mut self.pending);
        self.put(&pending)
    }

    /// It is this one's turn.
    fn open(&mut self) -> io::Result<()> {
        match stdio::stdout() {
            Ok(out) => {
                self.out = Some(out);
                Ok(())
            }
            Err(error) => {
                // What others have left cannot be printed either.
                drop(self.queue.close());
                self.queue.give_back();
                Err(error)
            }
        }
    }

    /// Prints what others have left, and gives stdout to the next.
    fn give_back(&mut self) -> io::Result<()> {
        if self.out.is_none() {
            return Ok(());
        }
        let left = self.queue.close();
        let printed = self.put(&left);
        self.out = None;
        self.queue.give_back();
        printed
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
        // Only where its thread has panicked.
        let _ = self.give_back();
    }
}

/// One transfer alone has it, in one thread: this never waits.
pub fn locked(queued: &Mutex<QueuedStdout>) -> MutexGuard<'_, QueuedStdout> {
    queued.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_for_the_holder_is_bounded_and_none_comes_when_it_is_printed() {
        let queue = StdoutQueue::default();
        let hand_over = |length: usize| {
            let mut bytes = vec![0; length];
            let handover = queue.hand_over(&mut bytes);
            assert_eq!(bytes.is_empty(), handover == Handover::Left);
            handover
        };
        assert_eq!(hand_over(1), Handover::Taken);
        assert_eq!(hand_over(LEFT_ROOM - 1), Handover::Left);
        assert_eq!(hand_over(2), Handover::Waits);
        assert_eq!(hand_over(1), Handover::Left);
        assert_eq!(hand_over(1), Handover::Waits);
        assert_eq!(queue.close().len(), LEFT_ROOM);
        assert_eq!(hand_over(1), Handover::Waits);
        queue.give_back();
        assert_eq!(hand_over(1), Handover::Taken);
        assert_eq!(hand_over(1), Handover::Left);
        assert_eq!(queue.close().len(), 1);
    }

    #[test]
    fn stdout_goes_to_who_has_waited_longest_and_to_nobody_who_has_left() {
        let queue = StdoutQueue::default();
        queue.take(None).unwrap();
        let at_once = || Some(Duration::ZERO);
        assert_eq!(queue.take(Some(&at_once)).unwrap_err().kind(), io::ErrorKind::TimedOut);
        queue.give_back();
        queue.take(Some(&at_once)).unwrap();
        queue.stop();
        let for_ever = || None;
        assert_eq!(queue.take(Some(&for_ever)).unwrap_err().kind(), io::ErrorKind::Interrupted);
        queue.give_back();
        // Where it is free, also then.
        queue.take(Some(&for_ever)).unwrap();
    }
}
