//! How many descriptors this process holds open, as the kernel sees it. On Windows: handles.
//!
//! Descriptors belong to the whole process, and the test harness runs several tests of a binary at once. A
//! test that counts must therefore live in a test binary of its own, as its only test. In a
//! laboratory ask `connie_lab::Lab::client_sockets` instead: namespaces keep tests apart.

#[cfg(windows)]
mod handles;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::clock::pause;

/// A count of open descriptors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Descriptors {
    /// All of them.
    pub total: usize,
    /// Those that are sockets. On Windows, where a socket is a handle as any other, all of them.
    pub sockets: usize,
}

/// Counts the open descriptors of this process, without the one that the counting itself needs.
///
/// A descriptor that another thread closes meanwhile may or may not be counted.
///
/// # Panics
/// When `/proc` is not mounted.
#[must_use]
#[track_caller]
pub fn descriptors() -> Descriptors {
    count().unwrap_or_else(|error| panic!("open descriptors: {error}"))
}

#[cfg(target_os = "linux")]
fn count() -> io::Result<Descriptors> {
    // The directory that is being read is open too.
    let own = format!("/proc/{}/fd", std::process::id());
    let mut found = Descriptors::default();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        // Closed since it was listed.
        let Ok(link) = std::fs::read_link(entry?.path()) else { continue };
        let link = link.to_string_lossy();
        if link == own {
            continue;
        }
        found.total += 1;
        found.sockets += usize::from(link.starts_with("socket:"));
    }
    Ok(found)
}

#[cfg(windows)]
fn count() -> io::Result<Descriptors> {
    let handles = handles::of_process(std::process::id())?;
    Ok(Descriptors { total: handles, sockets: handles })
}

/// Watches for the most sockets that are open at once, by counting again and again on a thread of its own.
///
/// It sees what lasts longer than a quarter of a millisecond or so. It does not count a socket and its
/// replacement both, because numbers are read upwards and a new descriptor takes the lowest that is free.
/// While the process has no descriptor left it sees nothing.
pub struct SocketWatch {
    most: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl SocketWatch {
    /// Begins to watch.
    #[must_use]
    pub fn start() -> Self {
        let (most, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (shared_most, shared_stop) = (Arc::clone(&most), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            while !shared_stop.load(Ordering::Relaxed) {
                // It fails when a test has used every descriptor up on purpose.
                if let Ok(found) = count() {
                    shared_most.fetch_max(found.sockets, Ordering::Relaxed);
                }
                pause(Duration::from_micros(200));
            }
        });
        Self { most, stop, thread: Some(thread) }
    }

    /// Ends the watch; the most sockets that were open at once.
    #[must_use]
    pub fn most(mut self) -> usize {
        self.end();
        self.most.load(Ordering::Relaxed)
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // The thread has nothing to tell, and nothing in it panics.
            let _ = thread.join();
        }
    }
}

impl Drop for SocketWatch {
    fn drop(&mut self) {
        self.end();
    }
}
