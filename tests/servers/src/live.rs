//! A server that lives in the test's own process and counts what happens to it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::black_hole::listener;
use crate::clock::poll_until;
use crate::stop::Stop;

/// No request of a test is longer.
const LONGEST_HEAD: usize = 64 * 1024;

/// How many connections a [`Live`] server has had, and how they ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Connections taken from the queue.
    pub accepted: usize,
    /// Of these, the ones that are still open.
    pub open: usize,
    /// Ended by the client's FIN.
    pub eof: usize,
    /// Ended by the client's RST.
    pub reset: usize,
    /// Requests that were answered in full.
    pub answered: usize,
}

/// A server on a thread of its own that accepts at once. It either gives every request the same answer, or
/// never speaks. It closes nothing before the client does.
pub struct Live {
    address: SocketAddr,
    counts: Arc<Mutex<LiveCounts>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Answers every request with `200 OK` and this body, under Content-Length. Port 0 takes a free port.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    #[track_caller]
    pub fn http(address: impl Into<SocketAddr>, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
        answer.extend_from_slice(body);
        Self::start(address.into(), Some(answer))
    }

    /// Accepts, reads and never says a word. Port 0 takes a free port.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    #[track_caller]
    pub fn silent(address: impl Into<SocketAddr>) -> Self {
        Self::start(address.into(), None)
    }

    #[track_caller]
    fn start(address: SocketAddr, answer: Option<Vec<u8>>) -> Self {
        let listener = listener(address);
        let address = listener.local_addr().expect("a listener has an address");
        let stop = Stop::new().expect("a descriptor");
        let stopped = stop.clone();
        let counts = Arc::new(Mutex::new(LiveCounts::default()));
        let mut service =
            Service { listener, stopped, connections: Vec::new(), answer, counts: Arc::clone(&counts) };
        let thread = std::thread::spawn(move || service.serve().expect("the server"));
        Self { address, counts, stop, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has happened so far.
    #[must_use]
    pub fn counts(&self) -> LiveCounts {
        *lock(&self.counts)
    }

    /// Waits until the counts are as wanted, for at most 5 s, and returns them.
    ///
    /// # Panics
    /// With the counts, when they are not.
    #[track_caller]
    pub fn wait_until(&self, wanted: impl Fn(&LiveCounts) -> bool) -> LiveCounts {
        let mut counts = self.counts();
        let seen = poll_until(Duration::from_secs(5), || {
            counts = self.counts();
            wanted(&counts)
        });
        assert!(seen, "the server at {} has seen {counts:?}", self.address);
        counts
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

fn lock(counts: &Mutex<LiveCounts>) -> MutexGuard<'_, LiveCounts> {
    counts.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Connection {
    stream: TcpStream,
    head: Vec<u8>,
    /// How much of the answer was sent; `None` while a request is being read.
    sent: Option<usize>,
}

/// What came of serving one connection a little further.
enum Progress {
    Open,
    Answered,
    Eof,
    Reset,
}

struct Service {
    listener: TcpListener,
    stopped: Stop,
    connections: Vec<Connection>,
    answer: Option<Vec<u8>>,
    counts: Arc<Mutex<LiveCounts>>,
}

impl Service {
    fn serve(&mut self) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        loop {
            let mut waits =
                vec![PollFd::new(&self.stopped, PollFlags::IN), PollFd::new(&self.listener, PollFlags::IN)];
            waits.extend(self.connections.iter().map(|connection| {
                let writes = if connection.sent.is_some() { PollFlags::OUT } else { PollFlags::empty() };
                PollFd::new(&connection.stream, PollFlags::IN | writes)
            }));
            match poll(&mut waits, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let ready: Vec<bool> = waits.iter().map(|wait| !wait.revents().is_empty()).collect();
            if ready[0] {
                return Ok(());
            }
            self.serve_ready(&ready[2..])?;
            if ready[1] {
                self.accept()?;
            }
        }
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    stream.set_nonblocking(true)?;
                    self.connections.push(Connection { stream, head: Vec::new(), sent: None });
                    let mut counts = lock(&self.counts);
                    counts.accepted += 1;
                    counts.open += 1;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // Reset while it waited in the queue, which Wine fails to take then.
                Err(error) if cfg!(windows) && error.kind() == io::ErrorKind::NotConnected => {
                    let mut counts = lock(&self.counts);
                    counts.accepted += 1;
                    counts.reset += 1;
                }
                // Gone again while it waited in the queue.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn serve_ready(&mut self, ready: &[bool]) -> io::Result<()> {
        let mut ready = ready.iter();
        let answer = self.answer.as_deref();
        let mut counts = lock(&self.counts);
        let mut failed = None;
        self.connections.retain_mut(|connection| {
            if !ready.next().is_some_and(|ready| *ready) {
                return true;
            }
            match connection.go_on(answer) {
                Ok(Progress::Open) => return true,
                Ok(Progress::Answered) => {
                    counts.answered += 1;
                    return true;
                }
                Ok(Progress::Eof) => counts.eof += 1,
                Ok(Progress::Reset) => counts.reset += 1,
                Err(error) => failed = Some(error),
            }
            counts.open -= 1;
            false
        });
        failed.map_or(Ok(()), Err)
    }
}

impl Connection {
    /// Reads and writes what can be had without waiting.
    fn go_on(&mut self, answer: Option<&[u8]>) -> io::Result<Progress> {
        let progress = self.read().and_then(|progress| match progress {
            Progress::Open => self.write(answer),
            ended => Ok(ended),
        });
        match progress {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Progress::Open),
            // A client that resets while it is written to.
            Err(error)
                if matches!(error.kind(), io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe) =>
            {
                Ok(Progress::Reset)
            }
            other => other,
        }
    }

    fn read(&mut self) -> io::Result<Progress> {
        let mut buffer = [0; 4096];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Ok(Progress::Eof),
                Ok(length) => {
                    self.head.extend_from_slice(&buffer[..length]);
                    // A client of a silent server may send what it likes, for ever.
                    let surplus = self.head.len().saturating_sub(LONGEST_HEAD);
                    self.head.drain(..surplus);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::Open),
                Err(error) => return Err(error),
            }
        }
    }

    fn write(&mut self, answer: Option<&[u8]>) -> io::Result<Progress> {
        let Some(answer) = answer else { return Ok(Progress::Open) };
        if self.sent.is_none() {
            let end = self.head.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = end else { return Ok(Progress::Open) };
            self.head.drain(..end + 4);
            self.sent = Some(0);
        }
        while let Some(sent) = self.sent.filter(|sent| *sent < answer.len()) {
            self.sent = Some(sent + self.stream.write(&answer[sent..])?);
        }
        self.sent = None;
        Ok(Progress::Answered)
    }
}
