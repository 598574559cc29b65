//! stdin and stdout, with an error where they were closed when the program was started (`>&-`).
//!
//! Before `main`, Rust's runtime opens /dev/null in the place of the standard streams that are closed, so
//! that no file and no socket gets their numbers. What is written there is lost without a word. That is why
//! this looks at them earlier, where a system has a way to.

use std::io::{self, StdinLock};

/// stdin.
pub fn stdin() -> io::Result<StdinLock<'static>> {
    if early::STDIN_CLOSED.load(early::ORDERING) { Err(closed()) } else { Ok(io::stdin().lock()) }
}

/// Without the buffer of [`io::Stdout`], which would look through every body for line ends; nor does that
/// tell of a stdout that was opened for reading alone.
#[cfg(unix)]
pub type Stdout = std::fs::File;
#[cfg(windows)]
pub type Stdout = std::fs::File;
#[cfg(not(any(unix, windows)))]
pub type Stdout = io::Stdout;

/// stdout.
pub fn stdout() -> io::Result<Stdout> {
    if early::STDOUT_CLOSED.load(early::ORDERING) { Err(closed()) } else { handle() }
}

#[cfg(unix)]
fn handle() -> io::Result<Stdout> {
    use std::os::fd::AsFd;
    io::stdout().as_fd().try_clone_to_owned().map(Stdout::from)
}

#[cfg(windows)]
fn handle() -> io::Result<Stdout> {
    use std::os::windows::io::AsHandle;
    io::stdout().as_handle().try_clone_to_owned().map(Stdout::from)
}

#[cfg(not(any(unix, windows)))]
fn handle() -> io::Result<Stdout> {
    Ok(io::stdout())
}

fn closed() -> io::Error {
    io::Error::other("it is closed")
}

/// What was found before `main`.
mod early {
    use std::sync::atomic::{AtomicBool, Ordering};

    pub static STDIN_CLOSED: AtomicBool = AtomicBool::new(false);
    pub static STDOUT_CLOSED: AtomicBool = AtomicBool::new(false);
    /// There is one thread when they are written.
    pub const ORDERING: Ordering = Ordering::Relaxed;

    /// In the table of functions that are called before the program's entry.
    // SAFETY: the section holds pointers to functions of C's calling convention, as this is one, which are
    // called once each. This one makes two system calls and touches nothing that has to be set up before.
    #[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
    #[used]
    #[cfg_attr(target_vendor = "apple", unsafe(link_section = "__DATA,__mod_init_func"))]
    #[cfg_attr(not(target_vendor = "apple"), unsafe(link_section = ".init_array"))]
    static LOOK: extern "C" fn() = look;

    #[cfg(any(target_os = "linux", target_os = "freebsd", target_vendor = "apple"))]
    extern "C" fn look() {
        use rustix::io::{Errno, fcntl_getfd};
        let closed = |result| result == Err(Errno::BADF);
        STDIN_CLOSED.store(closed(fcntl_getfd(rustix::stdio::stdin()).map(drop)), ORDERING);
        STDOUT_CLOSED.store(closed(fcntl_getfd(rustix::stdio::stdout()).map(drop)), ORDERING);
    }
}
