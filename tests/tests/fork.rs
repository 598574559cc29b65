//! What the child of a fork does with what its parent has made: a canceler, a budget, a lookup, a memory. The
//! pool of the system's resolver, which other threads hold at that moment, is seen from C
//! (`connie-c/tests/c_api/process.rs`).
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connie_core::{Config, Families, Family};
use connie_std::resolve::{Resolve, ResolveEvent, ResolveRequest, SystemResolver, WatchSet};
use connie_std::{Canceler, Memory, Options, OsClock, SocketBudget, connect};
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
    let race = Options::default().race.deadline(Some(deadline)).hedge(false);
    Options::new().race(race)
}

fn hole() -> BlackHole {
    BlackHole::open(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// Runs `child` in the child of a fork, and `parent` meanwhile. The child says what is amiss, if anything is.
#[track_caller]
fn forked(child: impl FnOnce() -> Result<(), String>, parent: impl FnOnce()) {
    // SAFETY: glibc's allocator can be used in the child, and nothing else of what the child calls is held by
    // threads of this process but what the tests are about.
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
    let options = within(SHORT).canceler(canceler.child().expect("a pipe"));
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
    let options = within(LONG).canceler(canceler.clone());
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
    let patient = within(SHORT).canceler(canceler.clone());
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
    let options = within(LONG).budget(budget.clone());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let options = options.clone().canceler(canceler.clone());
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

/// Threads of the parent are at the memory all the time, and one of them has it locked when the process is
/// forked. None of them is in the child.
#[test]
fn a_child_does_not_wait_for_a_memory() {
    let servers = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    let addresses = servers.each_ref().map(|it| it.local_addr().expect("an address"));
    let memory = Memory::new();
    let options = within(LONG).memory(memory.clone());
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    drop(memory.to_bytes())
                }
            });
        }
        for _ in 0..20 {
            forked(
                || {
                    let (result, took) = timed(|| connect(addresses, &options).map(drop));
                    result.map_err(|error| error.to_string())?;
                    expect(took < LONG / 4, format!("{took:?}"))?;
                    // Where it is lost all the same can be asked.
                    let place = std::env::temp_dir().join(format!("connie-fork-{}", std::process::id()));
                    let (is_lost, saved) = (memory.entries().is_empty(), memory.save(&place));
                    let _ = std::fs::remove_file(&place);
                    expect(is_lost == saved.is_err(), format!("{is_lost} {saved:?}"))?;
                    expect(Memory::from_bytes(&memory.to_bytes(), Duration::ZERO).is_ok(), "no memory")
                },
                || {},
            );
        }
        is_over.store(true, Ordering::Relaxed);
    });
    connect(addresses, &options).expect("a connection");
    assert!(!memory.entries().is_empty());
}

/// A race of the parent's that others wait for is none that the child waits for.
#[test]
fn a_child_does_not_wait_for_its_parent_s_races() {
    let hole = hole();
    let server = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 2), 0)).expect("a port");
    let addresses = [hole.address(), server.local_addr().expect("an address")];
    let memory = Memory::new();
    let canceler = Canceler::new().expect("a pipe");
    // Patient, so that who waits for another waits for long.
    let race = within(LONG).race.patience(Config::MAX_PATIENCE);
    let options = Options::new().memory(memory).race(race);
    std::thread::scope(|scope| {
        let dead = options.clone().canceler(canceler.clone());
        // The host of a list is its least address: it is the same one.
        let list = [hole.address()];
        scope.spawn(move || drop(connect(list, &dead)));
        pause(SHORT / 5);
        forked(
            || {
                let (result, took) = timed(|| connect(addresses, &options).map(drop));
                result.map_err(|error| error.to_string())?;
                expect(took < SHORT, format!("{took:?}"))
            },
            || {},
        );
        canceler.cancel();
    });
}

/// What was learnt grows old while the machine sleeps. Here the clock that counts that goes on by two hours,
/// and the other one does not.
#[test]
fn sleeping_counts_as_age() {
    let servers = [(); 2].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port"));
    let addresses = servers.each_ref().map(|it| it.local_addr().expect("an address"));
    // What changes its clock has to be a process with one thread.
    forked(
        || {
            let options = within(LONG).memory(Memory::new());
            let attempts = || connect(addresses, &options).map(|it| it.timeline().summary().attempts);
            let before = [(); 5].map(|()| attempts().map_err(|error| error.to_string()));
            // One in 32 explores.
            let is_known = before.contains(&Ok(1));
            expect(before[0] == Ok(2) && is_known, format!("{before:?}"))?;
            if let Err(error) = enter_new_time() {
                connie_tests::skip("a time namespace", &format!("run as root ({error})"));
                return Ok(());
            }
            let after = attempts().map_err(|error| error.to_string());
            expect(after == Ok(2), format!("{after:?}"))
        },
        || {},
    );
}

/// Moves this process, of one thread, to where the time since boot is two hours more.
fn enter_new_time() -> std::io::Result<()> {
    use rustix::thread::{LinkNameSpaceType, UnshareFlags};
    // SAFETY: only its children are moved.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWTIME) }?;
    std::fs::write("/proc/self/timens_offsets", "boottime 7200 0\n")?;
    let time = std::fs::File::open("/proc/self/ns/time_for_children")?;
    rustix::thread::move_into_link_name_space(time.as_fd(), Some(LinkNameSpaceType::Time))?;
    Ok(())
}

/// A lookup that was under way: its answer is the parent's, and so is the pipe that rings for it. A child
/// that took the ring away would have the parent wait for it for ever.
#[test]
fn a_look_up_stays_with_the_parent() {
    let clock = OsClock::start();
    let mut question = ResolveRequest::new("localhost", 80, clock);
    question.families = Families::Only(Family::V4);
    let mut lookup = SystemResolver.lookup(&question, clock.now());
    lookup.watch(&mut WatchSet::default());
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
    let answer = poll_until(LONG, || matches!(lookup.poll(clock.now()), Some(ResolveEvent::Answered(_))));
    assert!(answer, "the parent's answer");
}
