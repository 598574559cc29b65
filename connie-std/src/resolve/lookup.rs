//! The interface of every resolver: a lookup, and what it reports.

#[cfg(not(target_os = "wasi"))]
use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
#[cfg(any(feature = "dns", all(unix, feature = "tokio")))]
use std::sync::Arc;
#[cfg(not(target_os = "wasi"))]
use std::task::Waker;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Families, Family, Instant};
#[cfg(target_os = "wasi")]
use connie_wasi::wasip2::io::poll::Pollable;
#[cfg(not(target_os = "wasi"))]
use rustix::fd::{AsFd, BorrowedFd};

#[cfg(any(feature = "dns", all(unix, feature = "tokio")))]
use super::Datagrams;
#[cfg(feature = "dns")]
use super::service::ServiceRecord;
#[cfg(not(target_os = "wasi"))]
use crate::block_on::thread_waker;
#[cfg(not(target_os = "wasi"))]
use crate::budget::SocketBudget;
use crate::clock::OsClock;
#[cfg(feature = "dns")]
use crate::egress::Egress;
use crate::error_chain::repeats;

/// A resolver: starts lookups of host names.
///
/// All connections of a program share it, on any thread; a cache belongs in it.
pub trait Resolve: fmt::Debug + Send + Sync {
    /// Starts a lookup. Sends what can be sent at once, and never blocks: the lookup reports what goes wrong.
    fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup>;
}

/// A lookup under way: see the [rules](crate::resolve#the-rules-of-a-lookup).
pub trait PendingLookup: Send {
    /// Adds the descriptors that the lookup waits for to `watch`. Called after [`poll`](PendingLookup::poll)
    /// has returned `None`, and before [`wake_at`](PendingLookup::wake_at).
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>);

    /// Does what can be done now, and returns the next event, or `None` if there is none. Called until it
    /// returns `None`.
    fn poll(&mut self, now: Instant) -> Option<ResolveEvent>;

    /// When to call [`poll`](PendingLookup::poll) even if no descriptor is ready; `None` if never.
    fn wake_at(&self) -> Option<Instant>;
}

/// What to look up.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ResolveRequest<'a> {
    /// The name: 1 to 253 octets without a NUL, not counting a final dot, which an absolute name may have. It
    /// is neither a literal address nor one of the names that are [never passed to a
    /// resolver](crate::resolve#what-is-never-passed-to-a-resolver).
    pub host: &'a str,
    /// The port to put into the addresses.
    pub port: u16,
    /// The families to ask for.
    pub families: Families,
    /// The clock of the caller's `now`: [`OsClock::to_std`] converts a time into one that a shared cache can
    /// keep.
    pub clock: OsClock,
    /// How the lookup's own sockets leave the machine.
    #[cfg(feature = "dns")]
    pub(crate) egress: Option<&'a Egress>,
    /// The budget that the lookup's descriptors count against.
    #[cfg(not(target_os = "wasi"))]
    pub(crate) budget: Option<&'a SocketBudget>,
}

impl<'a> ResolveRequest<'a> {
    /// Asks for both families of `host`.
    #[must_use]
    pub fn new(host: &'a str, port: u16, clock: OsClock) -> Self {
        ResolveRequest {
            host,
            port,
            families: Families::Both,
            clock,
            #[cfg(feature = "dns")]
            egress: None,
            #[cfg(not(target_os = "wasi"))]
            budget: None,
        }
    }
}

/// What a lookup reports.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResolveEvent {
    /// The answer for a family.
    Answered(FamilyAddresses),
    /// Addresses to use until their family's answer arrives (the hints of RFC 9460 section 7.3).
    Hinted(FamilyAddresses),
    /// A family's query failed: there will be no answer.
    Failed {
        /// The family that was asked for.
        family: Family,
        /// Why.
        error: ResolverError,
    },
    /// A service record was received. It changes nothing by itself: what follows from it is reported by the
    /// other events.
    #[cfg(feature = "dns")]
    Service(ServiceRecord),
}

/// The addresses of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyAddresses {
    /// The family.
    pub family: Family,
    /// Its addresses, with the port to connect to; empty if the name has none. Best first if the resolver
    /// sorts them.
    pub addresses: Vec<SocketAddr>,
    /// How long the answer is valid, if the resolver knows.
    pub ttl: Option<Duration>,
    /// Whether the addresses are already in the order of RFC 6724 section 6. If not, `connect` sorts them.
    pub ordered: bool,
}

/// Why a query brought no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResolverError {
    /// What went wrong.
    pub kind: QueryError,
    /// The resolver's own message, if it says more than `kind`: which server, which error.
    pub detail: Option<String>,
}

impl From<QueryError> for ResolverError {
    fn from(kind: QueryError) -> Self {
        ResolverError { kind, detail: None }
    }
}

impl fmt::Display for ResolverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.detail {
            Some(detail) => f.write_str(detail),
            None => self.kind.fmt(f),
        }
    }
}

impl std::error::Error for ResolverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        // The kind, unless the resolver's own message says the same. Without such a message `{}` prints it.
        let detail = self.detail.as_ref()?;
        (!repeats(detail, &self.kind.to_string())).then_some(&self.kind as _)
    }
}

/// The descriptors that a lookup waits for.
#[derive(Debug, Default)]
pub struct WatchSet<'a> {
    #[cfg(not(target_os = "wasi"))]
    pub(crate) entries: Vec<WatchedDescriptor<'a>>,
    #[cfg(target_os = "wasi")]
    pub(crate) entries: Vec<&'a Pollable>,
    #[cfg(not(target_os = "wasi"))]
    waker: Option<&'a Waker>,
    /// Whether the lookup has asked for the waker.
    #[cfg(not(target_os = "wasi"))]
    took_waker: Cell<bool>,
    /// Whether a lookup waits in line for a socket, and will wake this thread when it has one.
    #[cfg(not(target_os = "wasi"))]
    in_line: Cell<bool>,
}

/// A descriptor that a lookup waits for.
#[cfg(not(target_os = "wasi"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct WatchedDescriptor<'a> {
    pub(crate) fd: BorrowedFd<'a>,
    pub(crate) readiness: Readiness,
    /// The socket itself, if it can be kept without a copy.
    #[cfg(all(unix, feature = "tokio"))]
    pub(crate) shared: Option<&'a Arc<Datagrams>>,
}

/// What is waited for on a descriptor.
#[cfg(not(target_os = "wasi"))]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    Read,
    Write,
}

#[cfg(target_os = "wasi")]
impl<'a> WatchSet<'a> {
    /// Wake when `pollable` is ready.
    pub fn pollable(&mut self, pollable: &'a Pollable) {
        self.entries.push(pollable);
    }
}

#[cfg(not(target_os = "wasi"))]
impl<'a> WatchSet<'a> {
    /// Wakes when `source`, a socket or on Unix any descriptor, has something to read.
    pub fn read(&mut self, source: &'a impl AsFd) {
        self.add(source.as_fd(), Readiness::Read);
    }

    /// Wakes when `source` can be written to, or when its connect has ended.
    pub fn write(&mut self, source: &'a impl AsFd) {
        self.add(source.as_fd(), Readiness::Write);
    }

    pub(crate) fn add(&mut self, fd: BorrowedFd<'a>, readiness: Readiness) {
        self.entries.push(WatchedDescriptor {
            fd,
            readiness,
            #[cfg(all(unix, feature = "tokio"))]
            shared: None,
        });
    }

    /// Wakes when there are datagrams.
    #[cfg(feature = "dns")]
    pub(crate) fn datagrams(&mut self, socket: &'a Arc<Datagrams>) {
        self.entries.push(WatchedDescriptor {
            fd: socket.as_fd(),
            readiness: Readiness::Read,
            #[cfg(all(unix, feature = "tokio"))]
            shared: Some(socket),
        });
    }

    /// What wakes a lookup that waits in line, for a socket or for a thread: the task, or this thread.
    pub(crate) fn queue_waker(&self) -> Waker {
        self.waker().cloned().unwrap_or_else(|| {
            self.in_line.set(true);
            thread_waker()
        })
    }

    /// Whether something in line wakes this thread.
    pub(crate) fn is_in_line(&self) -> bool {
        self.in_line.get()
    }

    /// The waker of the race, if that is a task of an async runtime and not a thread in `poll`. A lookup that
    /// gets its answers from another thread can keep a clone until the next `watch`, and wake that instead of
    /// adding a descriptor. If it already has something to report, it has to wake it at once.
    #[must_use]
    pub fn waker(&self) -> Option<&'a Waker> {
        self.took_waker.set(self.waker.is_some());
        self.waker
    }

    /// For a race that is a task.
    #[cfg(feature = "tokio")]
    pub(crate) fn for_task(waker: &'a Waker) -> Self {
        WatchSet { waker: Some(waker), ..WatchSet::default() }
    }

    /// Whether a lookup may wake the task by itself.
    #[cfg(feature = "tokio")]
    pub(crate) fn took_waker(&self) -> bool {
        self.took_waker.get()
    }
}
