//! Ends to waiting: a test that hangs says nothing, and holds up all others.

use std::io;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// No single thing that a test waits for takes so long, on however busy a machine.
pub const LIMIT: Duration = Duration::from_secs(300);

/// What another thread says, within [`LIMIT`].
///
/// # Panics
/// When it says nothing, or can say no more.
#[track_caller]
pub fn told<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(LIMIT).unwrap_or_else(|error| panic!("not told: {error}"))
}

/// Runs a command to its end, which comes by force after [`LIMIT`]. What it writes is collected where the
/// command does not say otherwise.
///
/// # Errors
/// When it cannot be run.
pub fn output(command: &mut Command) -> io::Result<Output> {
    finish(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?)
}

/// Collects what a child writes until its end, which comes by force after [`LIMIT`].
///
/// # Errors
/// When it cannot be read.
pub fn finish(child: Child) -> io::Result<Output> {
    let _end = Limited::new(&child);
    child.wait_with_output()
}

/// While this lives, the child lives no longer than [`LIMIT`]. To be dropped as soon as the child has been
/// waited for.
pub struct Limited {
    /// Its end tells the thread that nothing needs to be done.
    _done: Sender<()>,
}

impl Limited {
    /// For this child from now on.
    #[must_use]
    pub fn new(child: &Child) -> Self {
        Self::after(LIMIT, child)
    }

    fn after(limit: Duration, child: &Child) -> Self {
        let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        let (done, ended) = channel::<()>();
        std::thread::spawn(move || {
            if ended.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                eprintln!("a child process has not ended within {limit:?}");
                // It may have ended this very moment.
                let _ = pid.map(|pid| kill_process(pid, Signal::KILL));
            }
        });
        Self { _done: done }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_does_not_end_is_ended() {
        let child = Command::new("cat").stdin(Stdio::piped()).spawn().expect("cat");
        let _end = Limited::after(Duration::from_millis(20), &child);
        // Its standard input stays open while the child is waited for.
        let mut child = child;
        let _open = child.stdin.take();
        let status = child.wait().expect("a child");
        assert_eq!(status.code(), None, "by a signal");
    }

    #[test]
    fn a_child_that_ends_is_left_alone() {
        let output = output(Command::new("echo").arg("word")).expect("echo");
        assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"word\n"[..]));
    }

    #[test]
    #[should_panic(expected = "not told")]
    fn a_thread_that_can_say_no_more_is_not_waited_for() {
        let (tell, receiver) = channel::<()>();
        drop(tell);
        told(&receiver);
    }
}
