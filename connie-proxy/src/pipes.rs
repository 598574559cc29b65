//! Pipes through which bytes go from one socket to another without leaving the kernel (splice). Linux only.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

/// How much a large pipe holds.
const SIZE: usize = 1024 * 1024;
/// How many may be large. pipe(7): all pipes of a user together may have `pipe-user-pages-soft` pages, 64 MiB
/// by default, and beyond that each new pipe of any of the user's programs has two pages. The others stay as
/// the system makes them: 64 KiB, or the two pages.
const MOST_LARGE: usize = 16;
/// How many empty ones are kept open for the next transfer.
const MOST_IDLE: usize = 16;

/// The pipes of a proxy. Each is two descriptors.
#[derive(Debug)]
pub(crate) struct PipePool {
    most: usize,
    state: Mutex<PoolState>,
}

#[derive(Debug, Default)]
struct PoolState {
    idle: Vec<Pipe>,
    /// All that are open.
    open: usize,
    /// Those of them that are large.
    large: usize,
}

/// A pipe that is empty, or holds what was taken from one socket and has not yet gone to the other.
#[derive(Debug)]
struct Pipe {
    reader: OwnedFd,
    writer: OwnedFd,
    is_large: bool,
}

/// A pipe that somebody uses.
#[derive(Debug)]
pub(crate) struct TakenPipe<'a> {
    pool: &'a PipePool,
    /// There until it is dropped.
    pipe: Option<Pipe>,
    /// How many bytes are in it.
    held: usize,
}

impl PipePool {
    pub(crate) fn new(most: usize) -> Self {
        PipePool { most, state: Mutex::default() }
    }

    /// An empty pipe; `None` if as many are in use as may be, or the system gives none.
    pub(crate) fn take(&self) -> Option<TakenPipe<'_>> {
        let pipe = {
            let mut state = self.state();
            match state.idle.pop() {
                Some(pipe) => pipe,
                None if state.open < self.most => {
                    let pipe = Pipe::open(state.large < MOST_LARGE).ok()?;
                    state.open += 1;
                    state.large += usize::from(pipe.is_large);
                    pipe
                }
                None => return None,
            }
        };
        Some(TakenPipe { pool: self, pipe: Some(pipe), held: 0 })
    }

    fn state(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pipe {
    /// A large one if `may_be_large` and the system grants that.
    fn open(may_be_large: bool) -> io::Result<Self> {
        let (reader, writer) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        let is_large = may_be_large && fcntl_setpipe_size(&writer, SIZE).is_ok();
        Ok(Pipe { reader, writer, is_large })
    }
}

impl TakenPipe<'_> {
    /// How many bytes are in it.
    pub(crate) fn held(&self) -> usize {
        self.held
    }

    /// Moves what `from` has into this pipe, which is empty. 0 means that `from` has ended, or that an urgent
    /// octet is next.
    pub(crate) fn fill(&mut self, from: impl AsFd) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let count = again(|| splice(&from, None, &pipe.writer, None, SIZE, flags()))?;
        self.held += count;
        Ok(count)
    }

    /// Moves as much of the pipe's content to `to` as that takes, and returns how much.
    pub(crate) fn drain(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(pipe) = &self.pipe else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let count = again(|| splice(&pipe.reader, None, &to, None, self.held, flags()))?;
        self.held = self.held.saturating_sub(count);
        Ok(count)
    }
}

fn flags() -> SpliceFlags {
    SpliceFlags::NONBLOCK | SpliceFlags::MOVE
}

fn again(mut call: impl FnMut() -> Result<usize, Errno>) -> io::Result<usize> {
    loop {
        match call() {
            Err(Errno::INTR) => {}
            other => return Ok(other?),
        }
    }
}

/// Whether splice does not work there at all, as under a filter of system calls.
pub(crate) fn is_unsuitable(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::INVAL | Errno::NOSYS | Errno::PERM | Errno::OPNOTSUPP))
}

impl Drop for TakenPipe<'_> {
    fn drop(&mut self) {
        let mut state = self.pool.state();
        match self.pipe.take() {
            Some(pipe) if self.held == 0 && state.idle.len() < MOST_IDLE => state.idle.push(pipe),
            // It is closed: what is still in it must not reach another connection.
            pipe => {
                state.open = state.open.saturating_sub(1);
                let was_large = pipe.is_some_and(|pipe| pipe.is_large);
                state.large = state.large.saturating_sub(usize::from(was_large));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream;

    /// How many are open, and how many of those are idle.
    fn counts(pool: &PipePool) -> (usize, usize) {
        let state = pool.state();
        (state.open, state.idle.len())
    }

    #[test]
    fn there_are_no_more_than_so_many() {
        let pool = PipePool::new(2);
        let (one, two) = (pool.take().unwrap(), pool.take());
        assert!(two.is_some() && pool.take().is_none());
        drop(one);
        assert!(pool.take().is_some(), "the one that is free is taken again");
        assert_eq!(counts(&pool), (2, 1));
        assert!(PipePool::new(0).take().is_none());
    }

    #[test]
    fn few_are_large() {
        let size = |pipe: &TakenPipe<'_>| {
            rustix::pipe::fcntl_getpipe_size(&pipe.pipe.as_ref().unwrap().writer).unwrap()
        };
        let pool = PipePool::new(MOST_LARGE + 4);
        let mut pipes: Vec<_> = std::iter::from_fn(|| pool.take()).collect();
        assert_eq!(pipes.len(), MOST_LARGE + 4);
        // A user with many pipes gets no large ones.
        let large = pipes.iter().filter(|pipe| size(pipe) > 64 * 1024).count();
        assert!(large <= MOST_LARGE, "{large}");
        assert_eq!(pool.state().large, large);
        if large > 0 {
            assert_eq!(size(&pipes[0]), SIZE);
            pipes[0].held = 1;
            drop(pipes.remove(0));
            assert_eq!(pool.state().large, large - 1, "it is closed");
            assert_eq!(size(&pool.take().unwrap()), SIZE, "and another may be large");
        }
        drop(pipes);
        let state = pool.state();
        assert_eq!(state.idle.iter().filter(|pipe| pipe.is_large).count(), state.large);
    }

    #[test]
    fn what_is_left_in_one_comes_to_nobody() {
        let pool = PipePool::new(1);
        let ((mut write, read), (out, mut seen)) = (UnixStream::pair().unwrap(), UnixStream::pair().unwrap());
        write.write_all(b"secret").unwrap();
        let mut pipe = pool.take().unwrap();
        assert_eq!((pipe.fill(&read).unwrap(), pipe.held()), (6, 6));
        drop(pipe);
        assert_eq!(counts(&pool), (0, 0), "it is closed");
        write.write_all(b"mine").unwrap();
        let mut pipe = pool.take().unwrap();
        pipe.fill(&read).unwrap();
        assert_eq!((pipe.drain(&out).unwrap(), pipe.held()), (4, 0));
        let mut room = [0; 8];
        assert_eq!(seen.read(&mut room).unwrap(), 4);
        assert_eq!(&room[..4], b"mine");
        read.set_nonblocking(true).unwrap();
        assert_eq!(pipe.fill(&read).unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(write);
        assert_eq!(pipe.fill(&read).unwrap(), 0, "the end");
        assert!(is_unsuitable(&pipe.fill(std::fs::File::open("/proc/self/fd").unwrap()).unwrap_err()));
    }
}
