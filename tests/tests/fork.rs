//! What the child of a fork does with what its parent has made: a canceler, a budget, a look-up. The pool of the system's resolver, which other
//! threads hold at that moment, is seen from C (`connie-c/tests/c_api/process.rs`).
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_core::{Config, Families, Family};
use connie_std::resolve::{Event, Question, Resolve, SystemResolver, Watch};
use connie_std::{Canceler, Options, OsClock, SocketBudget, connect};
use connie_tests::clock::{pause, poll_until, timed};
use connie_tests::servers::BlackHole;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};
use rustix::time::{ClockId, clock_gettime};

/// Longer than anything takes that is not waited for.
const LONG: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(500);

fn within(deadline: Duration) -> Options {
    // Without a second attempt, for which a race wakes by itself.
    let race = Config { deadline: Some(deadline), hedge: false, ..Options::default().race };
    Options { race, ..Options::default() }
}

fn hole() -> BlackHole {
    BlackHole::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// Runs `child` in the child of a fork, and `parent` meanwhile. The child says what is amiss, if anything is.
#[track_caller]
fn forked(child: impl FnOnce() -> Result<(), String>, parent: impl FnOnce()) {
    // SAFETY: glibc's allocator can be used in the child, and nothing else of what the child calls is held by threads of this process but what the
    // tests are about.
    match unsafe { fork() }.expect("a process") {
        ForkResult::Child => {
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child));
            let amiss = match &result {
                Ok(Ok(())) => 0,
                Ok(Err(what)) => {
                    eprintln!("the child: {what}");
                    1
                }
                Err(_) => 2,
            };
            // SAFETY: it ends the process, and runs nothing of the parent's.
            unsafe { nix::libc::_exit(amiss) }
        }
        ForkResult::Parent { child } => {
            let end = Ended(child);
            parent();
            assert_eq!(end.wait(), Some(WaitStatus::Exited(child, 0)));
        }
    }
}

/// A child, which ends with this where it has not by itself.
struct Ended(nix::unistd::Pid);

impl Ended {
    fn wait(&self) -> Option<WaitStatus> {
        let mut status = None;
        poll_until(LONG * 2, || {
            status = waitpid(self.0, Some(nix::sys::wait::WaitPidFlag::WNOHANG))
                .ok()
                .filter(|it| *it != WaitStatus::StillAlive);
            status.is_some()
        });
        status
    }
}

impl Drop for Ended {
    fn drop(&mut self) {
        let _ = nix::sys::signal::kill(self.0, nix::sys::signal::Signal::SIGKILL);
    }
}

/// The processor's time that this thread has had.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

fn expect(condition: bool, what: impl Into<String>) -> Result<(), String> {
    if condition { Ok(()) } else { Err(what.into()) }
}

/// Whom the parent cancels: the child would hear the bell, see nothing canceled, and look again and again.
#[test]
fn a_parent_that_cancels_leaves_the_child_alone() {
    let (hole, canceler) = (hole(), Canceler::new().expect("a pipe"));
    let options = Options { canceler: Some(canceler.child().expect("a pipe")), ..within(SHORT) };
    let address = hole.address();
    let (bell, ring) = std::io::pipe().expect("a pipe");
    forked(
        || {
            // When the parent has canceled.
            let _ = std::io::Read::read(&mut &bell, &mut [0]);
            let before = worked();
            let (result, took) = timed(|| connect(address, &options).expect_err("a black hole"));
            let worked = worked().saturating_sub(before);
            expect(!result.is_canceled(), "canceled by its parent")?;
            expect(took >= SHORT && took < LONG, format!("{took:?}"))?;
            expect(worked < SHORT / 10, format!("{worked:?} of work in {took:?}"))
        },
        || {
            canceler.cancel();
            let _ = std::io::Write::write(&mut &ring, &[1]);
        },
    );
    assert!(connect(address, &options).expect_err("canceled").is_canceled());
}

/// The child's own threads cancel it by what it has from its parent, which is not woken by that.
#[test]
fn a_child_that_cancels_leaves_its_parent_alone() {
    let (hole, canceler) = (hole(), Canceler::new().expect("a pipe"));
    let options = Options { canceler: Some(canceler.clone()), ..within(LONG) };
    let address = hole.address();
    forked(
        || {
            let mine = canceler.clone();
            let thread = std::thread::spawn(move || {
                pause(SHORT / 5);
                mine.cancel();
            });
            let (result, took) = timed(|| connect(address, &options).expect_err("a black hole"));
            thread.join().map_err(|_| "a panic".to_owned())?;
            expect(result.is_canceled(), format!("{result}"))?;
            expect(took < LONG / 2, format!("{took:?}"))
        },
        || {},
    );
    let patient = Options { canceler: Some(canceler.clone()), ..within(SHORT) };
    let before = worked();
    assert!(!connect(address, &patient).expect_err("a black hole").is_canceled());
    assert!(worked().saturating_sub(before) < SHORT / 10);
    assert!(!canceler.is_canceled());
}

/// The parent's threads have all places, and stand in line for more. None of them is in the child.
#[test]
fn a_child_stands_behind_nobody_of_its_parent_s() {
    let (hole, canceler) = (hole(), Canceler::new().expect("a pipe"));
    let server = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let (dead, live) = (hole.address(), server.local_addr().expect("an address"));
    let budget = SocketBudget::new(1);
    let options = Options { budget: Some(budget.clone()), ..within(LONG) };
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let options = Options { canceler: Some(canceler.clone()), ..options.clone() };
            scope.spawn(move || connect(dead, &options).map(drop).expect_err("a black hole"));
        }
        assert!(poll_until(LONG, || budget.free() == 0), "a race");
        pause(SHORT / 5);
        forked(
            || {
                let (result, took) = timed(|| connect(live, &options).map(|stream| (budget.free(), stream)));
                let (free, stream) = result.map_err(|error| error.to_string())?;
                expect(took < LONG / 2, format!("{took:?}"))?;
                expect(free == 0 && budget.held() == 1, format!("{free} free"))?;
                drop(stream);
                expect(budget.free() == 1, "its own place")
            },
            || {},
        );
        canceler.cancel();
    });
    assert_eq!(budget.free(), 1);
}

/// A look-up that was under way: its answer is the parent's, and so is the pipe that rings for it. A child that took the ring away would have the
/// parent wait for it for ever.
#[test]
fn a_look_up_stays_with_the_parent() {
    let clock = OsClock::start();
    let mut question = Question::new("localhost", 80, clock);
    question.families = Families::Only(Family::V4);
    let mut lookup = SystemResolver.lookup(&question, clock.now());
    lookup.watch(&mut Watch::default());
    // The answer is there, and nobody has looked.
    pause(SHORT);
    let child = std::cell::RefCell::new(&mut lookup);
    forked(
        || {
            let mut lookup = child.borrow_mut();
            expect(lookup.poll(clock.now()).is_none(), "an answer to the parent")?;
            expect(lookup.wake_at().is_none(), "something to wait for")
        },
        || {},
    );
    let answer = poll_until(LONG, || matches!(lookup.poll(clock.now()), Some(Event::Answered(_))));
    assert!(answer, "the parent's answer");
}
