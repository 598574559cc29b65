//! Runtimes for tests, none of which can hang, and a resolver that a test tells what to say.
#![allow(dead_code, reason = "each test binary uses its part")]

use std::collections::VecDeque;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use connie_core::{Family, Instant};
use connie_std::resolve::{FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, WatchSet};
use connie_std::{Options, Override};
use tokio::runtime::{Builder, Runtime};

/// No test takes longer, on any machine.
pub const LIMIT: Duration = Duration::from_secs(60);

pub fn one_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

pub fn many_threads() -> Runtime {
    Builder::new_multi_thread().worker_threads(3).enable_all().build().unwrap()
}

/// Runs `future` on a runtime of one thread. A runtime that is blocked cannot even time out: the test ends
/// all the same.
#[track_caller]
pub fn run<T, F>(future: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    run_on(one_thread, future)
}

#[track_caller]
pub fn run_on<T, F>(runtime: fn() -> Runtime, future: impl FnOnce() -> F + Send + 'static) -> T
where
    T: Send + 'static,
    F: Future<Output = T>,
{
    let (sender, receiver) = channel();
    let thread = std::thread::spawn(move || sender.send(runtime().block_on(future())));
    match receiver.recv_timeout(LIMIT) {
        Ok(result) => result,
        Err(RecvTimeoutError::Timeout) => panic!("still running after {LIMIT:?}"),
        Err(RecvTimeoutError::Disconnected) => match thread.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(_) => unreachable!("it sends before it ends"),
        },
    }
}

pub fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

pub fn any_port(last: u8) -> SocketAddr {
    SocketAddr::new(here(last), 0)
}

/// The default options, but for the deadline.
pub fn within(deadline: Duration) -> Options {
    let race = Options::default().race.deadline(Some(deadline));
    Options::new().race(race)
}

/// The name `host` leads to these addresses, whose ports are alike.
pub fn named(host: &str, addresses: &[SocketAddr]) -> Options {
    let port = addresses[0].port();
    assert!(addresses.iter().all(|address| address.port() == port));
    let addresses = addresses.iter().map(SocketAddr::ip).collect();
    within(LIMIT).overrides([Override { host: host.to_owned(), port, addresses }])
}

/// A resolver that says what a test tells it, when it is told. All its look-ups are one.
#[derive(Clone, Debug, Default)]
pub struct Prompted(Arc<Mutex<Stage>>);

#[derive(Debug, Default)]
struct Stage {
    events: VecDeque<ResolveEvent>,
    waker: Option<Waker>,
    /// How many look-ups were begun, are under way, and how often one was polled.
    begun: usize,
    open: usize,
    polls: usize,
}

impl Prompted {
    pub fn answer(&self, family: Family, addresses: &[SocketAddr]) {
        let addresses = addresses.to_vec();
        self.tell(ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true }));
    }

    pub fn tell(&self, event: ResolveEvent) {
        let mut stage = self.0.lock().unwrap();
        stage.events.push_back(event);
        let waker = stage.waker.take();
        drop(stage);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    pub fn begun(&self) -> usize {
        self.0.lock().unwrap().begun
    }

    pub fn open(&self) -> usize {
        self.0.lock().unwrap().open
    }

    pub fn polls(&self) -> usize {
        self.0.lock().unwrap().polls
    }

    pub fn options(&self) -> Options {
        within(LIMIT).resolver(Arc::new(self.clone()))
    }
}

impl Resolve for Prompted {
    fn lookup(&self, _: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        let mut stage = self.0.lock().unwrap();
        stage.begun += 1;
        stage.open += 1;
        Box::new(PromptedLookup(self.clone()))
    }
}

struct PromptedLookup(Prompted);

impl PendingLookup for PromptedLookup {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        let waker = watch.waker().expect("a race that is a task");
        let mut stage = self.0.0.lock().unwrap();
        if !stage.events.is_empty() {
            waker.wake_by_ref();
        }
        stage.waker = Some(waker.clone());
    }

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        let mut stage = self.0.0.lock().unwrap();
        stage.polls += 1;
        stage.events.pop_front()
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

impl Drop for PromptedLookup {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().open -= 1;
    }
}
