//! For clients that take a resolver and no connector: the order in which to try a host's addresses.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use connie_core::memory::Finish;
use connie_core::race::Plan;
use connie_core::{Config, Instant};
use tokio::sync::Mutex as Turn;
use tokio::time::timeout_at;

use super::race::{RaceFuture, clock, now};
use super::stack::TokioStack;
use crate::connect::failed;
use crate::connect_operation::ConnectOutcome;
use crate::error::ConnectErrorKind;
use crate::memory::Recall;
use crate::observation::RaceObservation;
use crate::target::TargetRef;
use crate::{ConnectError, Memory, Options, Report};

/// How long the other family's answer is waited for where one is there: RFC 8305's Resolution Delay. What
/// comes later joins the race, where there is one.
const RESOLUTION_DELAY: Duration = Duration::from_millis(50);
/// How long a race may take at most: the client waits for the order before it connects.
const DEADLINE: Duration = Duration::from_secs(5);

/// Answers with a host's addresses in the order to try them, for a client that takes a resolver and no
/// connector: reqwest, or hyper-util's `HttpConnector`.
///
/// Such a client tries one address after the other, and waits a long time for one that is dead. So the order
/// is what there is to be won:
///
/// - **Where the [`Memory`] knows** an address that answers, the order is the memory's: the best one first,
///   and what has failed lately last. Nothing is sent but the lookup.
/// - **Where it does not**, the addresses are raced. The winner goes first; its connection is closed, since
///   there is no way to hand it over. **This probe is a connection more** than the client makes, and so many
///   SYNs more as the race sends.
/// - **When what it knows is older than the [half-life](connie_core::memory::MemorySettings::HALF_LIFE)**,
///   ten minutes, it races again: that is one probe every ten minutes for a host in use. Calls for one host
///   at one time share it.
///
/// Only races teach the memory: it does not learn how the client fares. One that met an address that is dead
/// says so by [`race_again`](Self::race_again). A client that takes a connector is better off with that: it
/// keeps the connection that won, and each connection teaches (`connie-hyper`, and
/// [`connect`](super::connect)).
///
/// Where all addresses have failed in the race, or have not answered by its deadline (five seconds, or that
/// of the [options](Self::with_options) where it is sooner), the answer is the addresses all the same. A host
/// of which one address is known is not raced.
///
/// ```
/// use connie_std::{Memory, tokio_net::OrderedResolver};
/// # use connie_std::{Options, Override};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
/// # let (port, host) = (server.local_addr()?.port(), "*".to_owned());
/// # let addresses = ["127.0.0.2".parse()?, "127.0.0.1".parse()?].to_vec();
/// # let options = Options::new().overrides([Override { host, port, addresses }]);
/// let memory = Memory::new();
/// let resolver = OrderedResolver::new(&memory, port);
/// # let resolver = resolver.with_options(options);
///
/// // The first of its two addresses refuses.
/// let order = resolver.resolve("example.org").await?;
/// assert_eq!(order[0], server.local_addr()?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct OrderedResolver {
    options: Arc<Options>,
    memory: Memory,
    port: u16,
    shared: Arc<Shared>,
}

/// What is to be known from one call to another.
#[derive(Default)]
struct Shared {
    /// Whose turn it is to race, by host.
    turns: Mutex<HashMap<String, Weak<Turn<()>>>>,
    doubted: Mutex<HashSet<String>>,
}

/// What came of a call.
enum Ordered {
    Known(Vec<SocketAddr>),
    Raced(Vec<SocketAddr>, Result<(SocketAddr, Report), ConnectErrorKind>),
}

impl OrderedResolver {
    /// One that knows what `memory` does. Addresses are raced at `port`, and answers have that.
    #[must_use]
    pub fn new(memory: &Memory, port: u16) -> Self {
        let options = Arc::new(in_time(Options::default()));
        OrderedResolver { options, memory: memory.clone(), port, shared: Arc::default() }
    }

    /// The same with its own options for lookups and races, except for their [`memory`](Options::memory).
    #[must_use]
    pub fn with_options(self, options: Options) -> Self {
        OrderedResolver { options: Arc::new(in_time(options)), ..self }
    }

    /// The addresses of `host`, the one to try first in front.
    ///
    /// # Errors
    ///
    /// [`ConnectError`], where there are no addresses.
    ///
    /// # Panics
    ///
    /// As [`connect`](super::connect).
    pub async fn resolve(&self, host: &str) -> Result<Vec<SocketAddr>, ConnectError> {
        let target = TargetRef::Host(host, self.port);
        let options = Options { memory: Some(self.memory.clone()), ..(*self.options).clone() };
        let mut watch = RaceObservation::begin_by(target, &options, clock, now);
        match self.order(host, &options, &mut watch).await {
            Ok(Ordered::Known(addresses)) => Ok(addresses),
            Ok(Ordered::Raced(addresses, raced)) => {
                let raced = raced.map_err(|kind| failed(target, kind));
                watch.tell(raced.as_ref().map(|(winner, report)| (*winner, report)));
                match raced {
                    Err(error) if addresses.is_empty() => Err(error),
                    _ => Ok(addresses),
                }
            }
            Err(kind) => {
                let error = failed(target, kind);
                watch.tell(Err(&error));
                Err(error)
            }
        }
    }

    /// Has the next call for `host` race whatever the memory knows: for a client that found the first address
    /// of an answer dead.
    pub fn race_again(&self, host: &str) {
        lock(&self.shared.doubted).insert(host.to_ascii_lowercase());
    }

    async fn order(
        &self,
        host: &str,
        options: &Options,
        watch: &mut RaceObservation,
    ) -> Result<Ordered, ConnectErrorKind> {
        let target = TargetRef::Host(host, self.port);
        let mut race = RaceFuture::begin(TokioStack::new(options), target, Finish::Tcp, options, watch)?;
        poll_fn(|context| race.poll_names(RESOLUTION_DELAY, context)).await;
        let name = host.to_ascii_lowercase();
        let known = |race: &RaceFuture<'_, TokioStack>| {
            let is_doubted = lock(&self.shared.doubted).contains(&name);
            if is_doubted { None } else { known(race, &options.race) }
        };
        if let Some(addresses) = known(&race) {
            race.leave();
            return Ok(Ordered::Known(addresses));
        }
        let turn = self.turn_of(host);
        let until = race.operation().and_then(|operation| operation.until());
        let _turn = match until {
            Some(until) => timeout_at(race.clock().to_std(until).into(), turn.lock()).await.ok(),
            None => Some(turn.lock().await),
        };
        if let Some(addresses) = known(&race) {
            // Whose turn it was has found out.
            race.leave();
            return Ok(Ordered::Known(addresses));
        }
        let recall = race.operation().and_then(|operation| operation.recall()).cloned();
        let (told, clock) = (addresses(&race), race.clock());
        race.release();
        let raced = race.await.map(|ConnectOutcome { socket, destination, report, .. }| {
            // Closed in order: a server that has accepted it sees the end.
            drop(socket.into_stream());
            (destination, report)
        });
        // Not before: where this call is given up the next one races.
        lock(&self.shared.doubted).remove(&name);
        let order =
            |report: &Report, winner| after(told, report, winner, recall.as_ref(), &options.race, now(clock));
        let addresses = match &raced {
            Ok((winner, report)) => order(report, Some(*winner)),
            Err(ConnectErrorKind::Race(_, report)) => order(report, None),
            Err(_) => Vec::new(),
        };
        Ok(Ordered::Raced(addresses, raced))
    }

    /// The turn that calls for `host` take to race.
    fn turn_of(&self, host: &str) -> Arc<Turn<()>> {
        let mut turns = lock(&self.shared.turns);
        turns.retain(|_, turn| turn.strong_count() > 0);
        let key = host.to_ascii_lowercase();
        if let Some(turn) = turns.get(&key).and_then(Weak::upgrade) {
            return turn;
        }
        let turn = Arc::default();
        turns.insert(key, Arc::downgrade(&turn));
        turn
    }
}

impl fmt::Debug for OrderedResolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OrderedResolver").field("port", &self.port).finish_non_exhaustive()
    }
}

/// A race for the order alone has [`DEADLINE`] at most.
fn in_time(options: Options) -> Options {
    let deadline = options.time_limit().map_or(DEADLINE, |limit| limit.min(DEADLINE));
    options.deadline(deadline)
}

/// Nobody waits while this is held.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The addresses that the race has got, in the order that it has for them without a memory.
fn addresses(race: &RaceFuture<'_, TokioStack>) -> Vec<SocketAddr> {
    let race = race.operation().map(|operation| operation.driver.connect().race());
    race.map(|race| race.in_order(&Plan::whole()).collect()).unwrap_or_default()
}

/// The answer for a race that has started nothing, where there is no need to start it.
fn known(race: &RaceFuture<'_, TokioStack>, config: &Config) -> Option<Vec<SocketAddr>> {
    let (operation, addresses) = (race.operation()?, addresses(race));
    if addresses.len() == 1 && operation.driver.connect().is_resolved() {
        return Some(addresses);
    }
    let (ordered, is_known) = operation.recall()?.order(&addresses, config, now(race.clock()));
    is_known.then_some(ordered)
}

/// The answer after a race: the winner, and behind it what the memory, which has learnt by now, thinks of the
/// others.
fn after(
    mut addresses: Vec<SocketAddr>,
    report: &Report,
    winner: Option<SocketAddr>,
    recall: Option<&Recall>,
    config: &Config,
    now: Instant,
) -> Vec<SocketAddr> {
    for joined in report.timeline().destinations().map(|destination| destination.address()) {
        if !addresses.contains(&joined) {
            addresses.push(joined);
        }
    }
    if let Some(recall) = recall {
        addresses = recall.order(&addresses, config, now).0;
    }
    addresses.sort_by_key(|address| Some(*address) != winner);
    addresses
}
