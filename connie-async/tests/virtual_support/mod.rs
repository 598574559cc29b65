//! A network, names and a clock in virtual time, and an executor that jumps from one alarm to the next.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::future::{Future, poll_fn};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use connie_async::connie_core::resolution::QueryError;
use connie_async::connie_core::resolution::selection::Route;
use connie_async::connie_core::{Family, Instant};
use connie_async::{AddressList, Clock, Lookup};
use embedded_io_async::{ErrorKind, ErrorType, Read, Write};
use embedded_nal_async::TcpConnect;

/// What an address, or a name server, does, and how many microseconds after it was asked.
#[derive(Clone, Debug)]
pub enum Behaviour {
    /// Accepts.
    Accept(u64),
    /// Fails with an error of this kind.
    Fail(u64, ErrorKind),
    /// Says nothing, ever.
    Silent,
}

/// After how many microseconds a query is answered, and how.
type Answer = (u64, Result<Vec<IpAddr>, Fault>);

/// All there is.
pub struct World {
    now: Cell<u64>,
    next: Cell<u64>,
    alarms: RefCell<BTreeMap<(u64, u64), Waker>>,
    addresses: RefCell<HashMap<IpAddr, Behaviour>>,
    names: RefCell<HashMap<(String, Family), Answer>>,
    /// How much sooner than it should a wait ends.
    pub early: Cell<u64>,
    /// The family that there is no way by, but to this host itself.
    pub lacks: Cell<Option<Family>>,
    /// From which address IPv6 is sent, where that is known.
    pub source_v6: Cell<Option<IpAddr>>,
    /// The same for IPv4. When it changes, the stack ends the connects from the old one, with a reset.
    pub source_v4: Cell<Option<IpAddr>>,
    /// The address that IPv4 was sent from at each connect that has begun.
    pub sent_from: RefCell<Vec<Option<IpAddr>>>,
    /// Sockets that the stack has.
    pub pool: Cell<usize>,
    /// Sockets in use, those of connections included.
    pub open: Cell<usize>,
    pub most_open: Cell<usize>,
    /// Each connect that was begun: where to, and when.
    pub started: RefCell<Vec<(SocketAddr, u64)>>,
    /// Each query that was sent: the name, the family, and when.
    pub asked: RefCell<Vec<(String, Family, u64)>>,
}

impl World {
    pub fn new() -> Self {
        World {
            now: Cell::new(0),
            next: Cell::new(0),
            alarms: RefCell::default(),
            addresses: RefCell::default(),
            names: RefCell::default(),
            early: Cell::new(0),
            lacks: Cell::new(None),
            source_v6: Cell::new(None),
            source_v4: Cell::new(None),
            sent_from: RefCell::default(),
            pool: Cell::new(usize::MAX),
            open: Cell::new(0),
            most_open: Cell::new(0),
            started: RefCell::default(),
            asked: RefCell::default(),
        }
    }

    /// Microseconds since the start.
    pub fn now(&self) -> u64 {
        self.now.get()
    }

    pub fn address(&self, address: &str, behaviour: Behaviour) {
        self.addresses.borrow_mut().insert(ip(address), behaviour);
    }

    /// The name server answers a query for `name` after `micros`; `None`: that there is no such name.
    pub fn name(&self, name: &str, family: Family, micros: u64, addresses: Option<&str>) {
        let list = addresses.map(|text| text.split_whitespace().map(ip).collect());
        let answer = (micros, list.ok_or(Fault(ErrorKind::NotFound)));
        self.names.borrow_mut().insert((name.to_owned(), family), answer);
    }

    /// The name server fails each query for `name`.
    pub fn name_fails(&self, name: &str, kind: ErrorKind) {
        for family in [Family::V6, Family::V4] {
            self.names.borrow_mut().insert((name.to_owned(), family), (0, Err(Fault(kind))));
        }
    }

    /// How many queries there were for the addresses of `family`.
    pub fn queries(&self, family: Family) -> usize {
        self.asked.borrow().iter().filter(|(_, asked, _)| *asked == family).count()
    }

    /// The addresses that were tried, in order.
    pub fn tried(&self) -> Vec<String> {
        self.started.borrow().iter().map(|(address, _)| address.ip().to_string()).collect()
    }

    /// Whether anybody waits for anything.
    pub fn is_quiet(&self) -> bool {
        self.alarms.borrow().is_empty()
    }

    /// Ends `micros` from now.
    fn after(&self, micros: u64) -> Until<'_> {
        self.at(self.now().saturating_add(micros))
    }

    fn at(&self, at: u64) -> Until<'_> {
        self.next.set(self.next.get() + 1);
        Until { world: self, key: (at, self.next.get()) }
    }

    /// Runs `future` to its end, at most to `limit`. `None`: it has not ended by then, and was dropped.
    #[track_caller]
    pub fn run_until<F: Future>(&self, limit: u64, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        let woken = Arc::new(Flag(AtomicBool::new(true)));
        let waker = Waker::from(Arc::clone(&woken));
        for _ in 0..100_000 {
            if woken.0.swap(false, Ordering::Relaxed) {
                // Where waits end too soon, time must pass by itself.
                self.now.set(self.now() + u64::from(self.early.get() > 0));
                if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                    return Some(output);
                }
                continue;
            }
            let next = self.alarms.borrow().keys().next().copied();
            let Some(key) = next.filter(|key| key.0 <= limit) else {
                self.now.set(self.now().max(limit));
                return None;
            };
            self.now.set(self.now().max(key.0));
            let alarm = self.alarms.borrow_mut().remove(&key);
            alarm.expect("an alarm").wake();
        }
        panic!("100,000 turns, and no end");
    }

    /// Runs `tasks` to their end, or to `limit`, each polled only when it was woken. Answers how many have
    /// ended, and how often any was polled.
    #[track_caller]
    pub fn run_tasks<'t>(&self, limit: u64, tasks: Vec<Task<'t>>) -> (usize, usize) {
        let flag = || Arc::new(Flag(AtomicBool::new(true)));
        let mut tasks: Vec<_> = tasks.into_iter().map(|task| (Some(task), flag())).collect();
        let mut polls = 0;
        loop {
            let woken = tasks
                .iter_mut()
                .filter(|(task, woken)| task.is_some() && woken.0.swap(false, Ordering::Relaxed));
            let mut any = false;
            for (task, woken) in woken {
                (any, polls) = (true, polls + 1);
                assert!(polls < 1_000_000, "no end");
                let waker = Waker::from(Arc::clone(woken));
                let ended = task.as_mut().expect("a task").as_mut().poll(&mut Context::from_waker(&waker));
                if ended.is_ready() {
                    *task = None;
                }
            }
            let next = self.alarms.borrow().keys().next().copied();
            match next.filter(|key| key.0 <= limit) {
                _ if any => {}
                Some(key) if tasks.iter().any(|(task, _)| task.is_some()) => {
                    self.now.set(self.now().max(key.0));
                    let alarm = self.alarms.borrow_mut().remove(&key);
                    alarm.expect("an alarm").wake();
                }
                _ => return (tasks.iter().filter(|(task, _)| task.is_none()).count(), polls),
            }
        }
    }

    /// Runs `future` to its end.
    #[track_caller]
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        self.run_until(u64::MAX - 1, future).expect("the future waits for nothing that comes")
    }
}

/// What an executor runs.
pub type Task<'t> = std::pin::Pin<Box<dyn Future<Output = ()> + 't>>;

struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends at its time. Dropping it takes its alarm away.
struct Until<'w> {
    world: &'w World,
    key: (u64, u64),
}

impl Future for Until<'_> {
    type Output = ();

    fn poll(self: std::pin::Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if self.world.now() >= self.key.0 {
            return Poll::Ready(());
        }
        self.world.alarms.borrow_mut().insert(self.key, cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Until<'_> {
    fn drop(&mut self) {
        self.world.alarms.borrow_mut().remove(&self.key);
    }
}

impl Clock for World {
    fn now(&self) -> Instant {
        Instant::from_micros(self.now.get())
    }

    async fn wait_until(&self, at: Instant) {
        self.at(at.as_micros().saturating_sub(self.early.get())).await;
    }
}

/// Why a fake fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault(pub ErrorKind);

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl std::error::Error for Fault {}

impl embedded_io_async::Error for Fault {
    fn kind(&self) -> ErrorKind {
        self.0
    }
}

/// A socket in use.
pub struct Socket<'w>(&'w World);

impl<'w> Socket<'w> {
    fn open(world: &'w World) -> Self {
        world.open.set(world.open.get() + 1);
        world.most_open.set(world.most_open.get().max(world.open.get()));
        Socket(world)
    }
}

impl Drop for Socket<'_> {
    fn drop(&mut self) {
        self.0.open.set(self.0.open.get() - 1);
    }
}

impl ErrorType for Socket<'_> {
    type Error = Fault;
}

impl Read for Socket<'_> {
    async fn read(&mut self, _: &mut [u8]) -> Result<usize, Fault> {
        Err(Fault(ErrorKind::ConnectionReset))
    }
}

impl Write for Socket<'_> {
    async fn write(&mut self, buffer: &[u8]) -> Result<usize, Fault> {
        Ok(buffer.len())
    }

    async fn flush(&mut self) -> Result<(), Fault> {
        Ok(())
    }
}

impl TcpConnect for World {
    type Error = Fault;
    type Connection<'a> = Socket<'a>;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Socket<'a>, Fault> {
        if self.open.get() >= self.pool.get() {
            // As embassy-net's client has it.
            return Err(Fault(ErrorKind::ConnectionReset));
        }
        let socket = Socket::open(self);
        self.started.borrow_mut().push((remote, self.now()));
        let source = self.source_v4.get();
        self.sent_from.borrow_mut().push(source);
        let behaviour = self.addresses.borrow().get(&remote.ip()).cloned();
        let mut answer = pin!(async {
            match behaviour.unwrap_or(Behaviour::Silent) {
                Behaviour::Accept(micros) => self.after(micros).await,
                Behaviour::Fail(micros, kind) => {
                    self.after(micros).await;
                    return Err(Fault(kind));
                }
                Behaviour::Silent => poll_fn(|_| Poll::<()>::Pending).await,
            }
            Ok(())
        });
        poll_fn(|cx| match answer.as_mut().poll(cx) {
            _ if remote.is_ipv4() && self.source_v4.get() != source => {
                Poll::Ready(Err(Fault(ErrorKind::ConnectionReset)))
            }
            answer => answer,
        })
        .await?;
        Ok(socket)
    }
}

impl Lookup for World {
    type Error = Fault;

    async fn lookup(&self, host: &str, family: Family, answers: &mut AddressList<'_>) -> Result<(), Fault> {
        self.asked.borrow_mut().push((host.to_owned(), family, self.now()));
        let answer = self.names.borrow().get(&(host.to_owned(), family)).cloned();
        let Some((micros, list)) = answer else { return poll_fn(|_| Poll::Pending).await };
        self.after(micros).await;
        list?.into_iter().for_each(|address| answers.push(address));
        Ok(())
    }

    fn query_error(&self, error: &Fault) -> QueryError {
        match error.0 {
            ErrorKind::NotFound => QueryError::NoSuchName,
            ErrorKind::TimedOut => QueryError::TimedOut,
            _ => QueryError::ServerFailure,
        }
    }

    fn route(&self, address: IpAddr) -> Route {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        let lacks = self.lacks.get() == Some(family) && !address.is_loopback();
        match self.source_v6.get() {
            _ if lacks => Route::Unreachable,
            Some(source) if family == Family::V6 => Route::from_source(source),
            _ if family == Family::V4 => self.source_v4.get().map_or(Route::Unknown, Route::from_source),
            _ => Route::Unknown,
        }
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Fault> {
        Err(Fault(ErrorKind::Unsupported))
    }
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}
