//! A network namespace for a test, as root or as an ordinary user.

use std::any::type_name;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::UnshareFlags;

use super::{Lab, tun};
use connie_servers::{limits, say, skip};

/// Set in the process that runs one test as an ordinary user: the file to make once the test's body was run.
const INSIDE: &str = "CONNIE_LAB_PROOF";

/// A test that takes longer than this has hung.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs a test's body in a network namespace of its own, in which there is nothing but the laboratory.
///
/// The body runs on a thread that was made for it. A thread inherits the namespace of the thread that makes
/// it, and a child process that of the thread that starts it: servers, and code under test that uses threads,
/// must be started from within the body. Threads of a pool that is older than the body are outside.
///
/// Root simply gets the namespace. An ordinary user gets it in a user namespace, which only a process with
/// one thread can enter; therefore `unshare` runs this test alone again, in a process of its own. Call this
/// directly in the test function with a closure: its name tells which test to run again.
///
/// Where neither is possible, or no TUN device, the test is [skipped](connie_servers::skip()).
///
/// # Panics
/// When the body panics, when it runs longer than a minute, and when the laboratory cannot be set up.
#[track_caller]
pub fn in_namespace<F: FnOnce(&Lab) + Send + 'static>(body: F) {
    in_namespace_within(LIMIT, body);
}

/// [`in_namespace`] for a body that may take longer, or must not take as long.
///
/// # Panics
/// When the body panics, when it runs longer than `limit`, and when the laboratory cannot be set up.
#[track_caller]
pub fn in_namespace_within<F: FnOnce(&Lab) + Send + 'static>(limit: Duration, body: F) {
    if let Err(error) = tun::open() {
        return skip(&format!("/dev/net/tun ({error})"), help_for_tun(error));
    }
    if !Path::new("/proc/sys/net/ipv6").exists() {
        return skip("IPv6", "start the kernel without ipv6.disable=1");
    }
    match std::env::var_os(INSIDE) {
        Some(proof) => {
            run(limit, body);
            std::fs::write(proof, "").expect("the temporary directory takes a file");
        }
        None if may_unshare() => run(limit, body),
        None => run_again(&test_name::<F>()),
    }
}

fn help_for_tun(error: Errno) -> &'static str {
    match error {
        Errno::ACCESS | Errno::PERM => "run as root, or let users open it: chmod 0666 /dev/net/tun",
        _ => "load the kernel module: modprobe tun",
    }
}

/// Moves this thread, and only this one, to a new network namespace.
fn enter() -> Result<(), Errno> {
    // SAFETY: only the network namespace is unshared, not the table of file descriptors.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNET) }
}

fn may_unshare() -> bool {
    std::thread::spawn(|| enter().is_ok()).join().unwrap_or(false)
}

#[track_caller]
fn run<F: FnOnce(&Lab) + Send + 'static>(limit: Duration, body: F) {
    let (done, ended) = channel();
    let name = std::thread::current().name().unwrap_or("laboratory").to_owned();
    let thread = std::thread::Builder::new().name(name).spawn(move || {
        // Dropped at the end of the thread, also when it panics.
        let _done = done;
        enter().expect("a network namespace");
        let lab = Lab::set_up().unwrap_or_else(|error| panic!("the laboratory cannot be set up: {error}"));
        body(&lab);
    });
    let thread = thread.expect("a thread");
    let hung = ended.recv_timeout(limit) == Err::<(), _>(RecvTimeoutError::Timeout);
    assert!(!hung, "the test has not ended within {limit:?}");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// The name of the test function in which a closure was written, as the test harness knows it:
/// `lab::refused::{{closure}}` is the test `refused` of the binary `lab`.
fn test_name<F>() -> String {
    let path = type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_binary, rest)| rest);
    path.split("::{{closure}}").next().unwrap_or(path).to_owned()
}

/// Runs one test of this binary again, as the root of a user namespace.
#[track_caller]
fn run_again(test: &str) {
    let unshare = ["--user", "--map-root-user", "--net", "--"];
    let possible = Command::new("unshare").args(unshare).arg("true").output();
    if !possible.is_ok_and(|output| output.status.success()) {
        return skip(
            "a network namespace",
            "run as root, or let users have namespaces: sysctl kernel.unprivileged_userns_clone=1 \
             kernel.apparmor_restrict_unprivileged_userns=0, and unshare of util-linux",
        );
    }
    let proof = Proof::new();
    let output = limits::output(
        Command::new("unshare")
            .args(unshare)
            .arg(std::env::current_exe().expect("the path of this test"))
            .args([test, "--exact", "--nocapture", "--include-ignored", "--test-threads=1"])
            .env(INSIDE, &proof.0),
    )
    .expect("unshare was found a moment ago");
    let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    for line in stderr.lines().filter(|line| line.starts_with("SKIPPED")) {
        say(&format!("{line}\n"));
    }
    assert!(output.status.success(), "in a user namespace:\n{stdout}{stderr}");
    assert!(proof.0.exists(), "the test {test:?} was not found when it was run again:\n{stdout}{stderr}");
}

/// The file that shows that the test was really run; a harness that finds no test of that name is content
/// with none.
struct Proof(PathBuf);

impl Proof {
    fn new() -> Self {
        Self(connie_servers::temporary_path("proof"))
    }
}

impl Drop for Proof {
    fn drop(&mut self) {
        // Absent when the test failed.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name_of<F: FnOnce()>(_: F) -> String {
        test_name::<F>()
    }

    #[test]
    fn a_closure_tells_the_test_it_was_written_in() {
        assert_eq!(name_of(|| ()), "namespace::tests::a_closure_tells_the_test_it_was_written_in");
    }
}
