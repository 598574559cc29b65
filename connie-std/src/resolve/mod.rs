//! Where a host's addresses come from, and how a lookup runs beside the race.
//!
//! [`connect`](crate::connect) never waits for a resolver alone: one `poll` waits for the descriptors of the
//! lookup and for the connection attempts, and each answer joins the race when it arrives.
//! [`Options::resolver`](crate::Options::resolver) chooses the resolver. A program can bring its own by
//! implementing [`Resolve`] and [`PendingLookup`].
//!
//! ```
//! use connie_std::resolve::{FamilyAddresses, ResolveEvent, PendingLookup, ResolveRequest, Resolve, WatchSet};
//! use connie_std::{Options, connect, connie_core::{Family, Instant}};
//! use std::net::{SocketAddr, TcpListener};
//! use std::sync::Arc;
//!
//! /// Resolves every name to this machine.
//! #[derive(Debug)]
//! struct Here;
//!
//! impl Resolve for Here {
//!     fn lookup(&self, question: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
//!         let answer = |family, addresses| ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true });
//!         let here = SocketAddr::from(([127, 0, 0, 1], question.port));
//!         Box::new(Ready(vec![answer(Family::V4, vec![here]), answer(Family::V6, Vec::new())]))
//!     }
//! }
//!
//! /// A lookup whose answers are there already.
//! struct Ready(Vec<ResolveEvent>);
//!
//! impl PendingLookup for Ready {
//!     fn watch<'a>(&'a self, _: &mut WatchSet<'a>) {}
//!
//!     fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
//!         self.0.pop()
//!     }
//!
//!     fn wake_at(&self) -> Option<Instant> {
//!         None
//!     }
//! }
//!
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let options = Options::new().resolver(Arc::new(Here));
//! let stream = connect(("example.org", server.local_addr()?.port()), &options)?;
//! assert_eq!(stream.peer_addr()?, server.local_addr()?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What the answers mean, and which of them the race waits for, is defined by [`connie_core::connect`].
//!
//! # What is never passed to a resolver
//!
//! Addresses of [`Options::overrides`](crate::Options::overrides), literal addresses, `localhost` and names
//! below it (RFC 6761 section 6.3), and names below `invalid` (section 6.4) and `onion` (RFC 7686), which
//! fail immediately. Names below `local` are passed: the system's resolver may know them through mDNS, and a
//! resolver that asks name servers asks those.
//!
//! # The rules of a lookup
//!
//! 1. **Nothing blocks**: not [`Resolve::lookup`], no method of [`PendingLookup`], and not its drop.
//!    ([`SystemResolver`] blocks if it cannot get any thread.)
//! 2. **AAAA is asked for first**, then A "immediately" after it (RFC 8305 section 3). A family that was not
//!    requested is not looked up.
//! 3. **Answers are reported as they arrive.** Each requested family gets an [`ResolveEvent::Answered`] or
//!    [`ResolveEvent::Failed`], in any order, and neither waits for the other. If a name has no address of a
//!    family, the answer is empty. If more is learnt later, the family is answered again, and the newest
//!    answer replaces the earlier ones.
//! 4. **Hints** ([`ResolveEvent::Hinted`]) may come before the answer of their family, which replaces them.
//!    They never end the wait for it.
//! 5. **When everything has been reported, nothing is left**: no descriptor, no wakeup time, and `poll`
//!    returns `None` for ever.
//! 6. **Spurious wakeups are allowed**: `poll` may be called at any time. When a descriptor is ready or
//!    [`wake_at`](PendingLookup::wake_at) has passed, it does its work, and it does not spin: after it has
//!    returned `None`, `wake_at` is in the future, and a watched descriptor is ready only if something new
//!    has arrived.
//! 7. **Dropping it cancels the lookup** and closes its descriptors at once. A thread that cannot be
//!    interrupted may go on; it keeps nothing of the caller, and the number of such threads is bounded.

#[cfg(not(target_os = "wasi"))]
mod calls;
#[cfg(any(feature = "dns", all(unix, feature = "tokio")))]
mod datagrams;
#[cfg(not(target_os = "wasi"))]
mod descriptor_permit;
#[cfg(not(target_os = "wasi"))]
mod fields;
#[cfg(not(target_os = "wasi"))]
mod gai_conf;
#[cfg(not(target_os = "wasi"))]
mod getaddrinfo;
#[cfg(not(target_os = "wasi"))]
pub(crate) mod hosts;
mod lookup;
mod name_resolution;
mod order;
#[cfg(not(target_os = "wasi"))]
mod pool;
#[cfg(not(target_os = "wasi"))]
mod reply_queue;
#[cfg(feature = "dns")]
mod service;
#[cfg(not(target_os = "wasi"))]
mod stamp;
#[cfg_attr(target_os = "wasi", path = "../wasi/resolver.rs")]
mod system;

use std::sync::Arc;

use connie_core::Instant;

#[cfg(any(feature = "dns", all(unix, feature = "tokio")))]
pub(crate) use datagrams::Datagrams;
#[cfg(not(target_os = "wasi"))]
pub(crate) use descriptor_permit::DescriptorPermit;
pub use lookup::{
    FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, ResolverError, WatchSet,
};
#[cfg(not(target_os = "wasi"))]
pub(crate) use lookup::{Readiness, WatchedDescriptor};
#[cfg(feature = "dns")]
pub(crate) use name_resolution::ONION;
pub(crate) use name_resolution::{LookupTask, NameResolution, OsDriver};
#[cfg(not(target_os = "wasi"))]
pub use pool::MAX_THREADS;
#[cfg(feature = "dns")]
pub use service::ServiceRecord;
pub use system::SystemResolver;

/// Which resolver a [`connect`](crate::connect) uses.
#[cfg_attr(feature = "dns", doc = "")]
#[cfg_attr(feature = "dns", doc = "[`dns::Dns`](crate::dns::Dns) asks name servers itself.")]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Resolver {
    /// The operating system's ([`SystemResolver`]): hosts file, DNS, mDNS, whatever it is configured to ask.
    #[default]
    System,
    /// This one.
    With(Arc<dyn Resolve>),
}

impl<R: Resolve + 'static> From<Arc<R>> for Resolver {
    fn from(resolver: Arc<R>) -> Self {
        Resolver::With(resolver)
    }
}

impl Resolver {
    pub(crate) fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup> {
        match self {
            Resolver::System => SystemResolver.lookup(question, now),
            Resolver::With(resolver) => resolver.lookup(question, now),
        }
    }
}
