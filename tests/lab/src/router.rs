//! The thread that moves packets between a TUN device and the [wire](super::wire).

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::Errno;

use super::behaviour::Behaviour;
use super::log::WireLog;
use super::wire::Wire;
use connie_servers::clock::now;

/// Longer than any packet of a device whose MTU is 1500.
const LONGEST_PACKET: usize = 2048;
/// After this many packets the clock is asked again, so that a stream does not hold up what is due.
const PACKETS_AT_ONCE: usize = 32;
/// How often waiting sockets are probed while a test waits for them to close.
const PROBE_EVERY: Duration = Duration::from_millis(10);

struct Shared {
    device: OwnedFd,
    wire: Mutex<Wire>,
    /// Something was written to the log.
    moved: Condvar,
    begin: Instant,
}

/// A router in user space: one thread, one TUN device, delays kept by the thread's own timer.
///
/// Nothing is delivered early. A round trip takes about 0.1 ms too long, seldom 2 ms, because the thread runs
/// under a real-time priority where it may; without one, tens of milliseconds too long when every core is
/// busy. What the client's own threads wait for their turn comes on top.
pub struct Router {
    shared: Arc<Shared>,
    stop: OwnedFd,
    thread: Option<JoinHandle<()>>,
}

impl Router {
    /// Starts to route the packets of a TUN device.
    ///
    /// # Errors
    /// When the process has no descriptor or thread left.
    pub(super) fn start(device: OwnedFd, wire: Wire) -> io::Result<Self> {
        let shared = Arc::new(Shared { device, wire: Mutex::new(wire), moved: Condvar::new(), begin: now() });
        let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
        let stopped = stop.try_clone()?;
        let worker = Arc::clone(&shared);
        let (ready, wait) = channel();
        let thread = std::thread::Builder::new().name("router".into()).spawn(move || {
            hurry();
            // Nobody waits any more if the test was given up.
            let _ = ready.send(());
            worker.route(&stopped);
        })?;
        // It ends with an error when the thread panics, which is told when it is joined.
        let _ = wait.recv();
        Ok(Self { shared, stop, thread: Some(thread) })
    }

    /// Says what a remote address does from now on.
    pub fn set(&self, remote: IpAddr, behaviour: Behaviour) {
        self.shared.wire().set(remote, behaviour);
    }

    /// Has no new attempt make those probed that wait.
    pub(super) fn spare_probes(&self) {
        self.shared.wire().spare_probes();
    }

    /// What was seen on the wire so far.
    #[must_use]
    pub fn log(&self) -> WireLog {
        self.shared.log(&self.shared.wire())
    }

    /// Forgets what was seen, so that the next log begins with the next attempt. Open connections live on.
    pub fn clear_log(&self) {
        self.shared.wire().clear_log();
    }

    /// Waits until the log is as a test wants it, probing the sockets that wait for an answer all the while.
    ///
    /// # Errors
    /// The last log, when `limit` has passed.
    pub fn wait_until(
        &self,
        limit: Duration,
        mut wanted: impl FnMut(&WireLog) -> bool,
    ) -> Result<WireLog, WireLog> {
        let end = now() + limit;
        let mut wire = self.shared.wire();
        loop {
            let log = self.shared.log(&wire);
            if wanted(&log) {
                return Ok(log);
            }
            if now() >= end {
                return Err(log);
            }
            wire.probe(self.shared.time());
            self.shared.deliver_due(&mut wire);
            let waited = self.shared.moved.wait_timeout(wire, PROBE_EVERY);
            wire = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Puts this thread before all that are not in a hurry, where the system allows it: with every core busy a
/// packet would otherwise wait tens of milliseconds for its turn. The thread sleeps nearly always, so nobody
/// else suffers.
fn hurry() {
    // The kernel's struct sched_param, which is one number; some C libraries add to it.
    let priority: std::ffi::c_int = 1;
    // SAFETY: the call reads one number, which outlives it; 0 means the calling thread.
    let answer =
        unsafe { libc::syscall(libc::SYS_sched_setscheduler, 0, libc::SCHED_RR, &raw const priority) };
    if answer != 0 {
        // An ordinary user may have neither, and gets by without.
        let _ = rustix::process::setpriority_process(None, -10);
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        // An eventfd takes any number but the greatest; the thread ends at the next poll.
        let _ = rustix::io::write(&self.stop, &1_u64.to_ne_bytes());
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

impl Shared {
    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn log(&self, wire: &Wire) -> WireLog {
        WireLog { begin: Some(self.begin), ..wire.log() }
    }

    fn time(&self) -> Duration {
        now().duration_since(self.begin)
    }

    fn route(&self, stop: &OwnedFd) {
        loop {
            let due = {
                let mut wire = self.wire();
                self.deliver_due(&mut wire);
                self.read(&mut wire);
                self.deliver_due(&mut wire);
                wire.next_due()
            };
            self.moved.notify_all();
            if self.sleep_until(due, stop) {
                return;
            }
        }
    }

    /// Hands over what is due.
    fn deliver_due(&self, wire: &mut Wire) {
        while let Some(packet) = wire.deliver(self.time()) {
            match rustix::io::write(&self.device, &packet) {
                // The device refuses packets with IO while it is down, and may be out of memory for one.
                Ok(_) | Err(Errno::IO | Errno::NOBUFS | Errno::NOMEM) => {}
                Err(error) => panic!("writing to the TUN device: {error}"),
            }
        }
    }

    /// Takes what the hosts have sent.
    fn read(&self, wire: &mut Wire) {
        let mut buffer = [0; LONGEST_PACKET];
        for _ in 0..PACKETS_AT_ONCE {
            match rustix::io::read(&self.device, &mut buffer) {
                Ok(length) => wire.send(buffer[..length].to_vec(), self.time()),
                Err(Errno::INTR) => {}
                // Nothing left; or the device is not up yet.
                Err(Errno::AGAIN | Errno::IO) => return,
                Err(error) => panic!("reading from the TUN device: {error}"),
            }
        }
    }

    /// Sleeps until a packet is due, a packet comes or the router is told to stop; says whether it is the
    /// last.
    fn sleep_until(&self, due: Option<Duration>, stop: &OwnedFd) -> bool {
        let timeout = due.map(|due| {
            let left = due.saturating_sub(self.time());
            Timespec::try_from(left).expect("delays are short")
        });
        let mut waits = [PollFd::new(&self.device, PollFlags::IN), PollFd::new(stop, PollFlags::IN)];
        match poll(&mut waits, timeout.as_ref()) {
            Ok(_) | Err(Errno::INTR) => !waits[1].revents().is_empty(),
            Err(error) => panic!("waiting for packets: {error}"),
        }
    }
}
