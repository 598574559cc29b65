//! Where a host's addresses come from, and how a look-up runs beside the race.
//!
//! [`connect`](crate::connect) never waits for a resolver alone: a look-up lends its descriptors to the one `poll` that also
//! waits for the connection attempts, and each answer joins the race when it comes. [`Options::resolver`](crate::Options::resolver)
//! chooses the resolver; [`Resolve`] and [`Lookup`] are what one has to offer, so that a program can bring its own.
//!
//! ```
//! use connie_std::resolve::{Answer, Event, Lookup, Question, Resolve, Watch};
//! use connie_std::{Options, connect, core::{Family, Instant}};
//! use std::net::{SocketAddr, TcpListener};
//! use std::sync::Arc;
//!
//! /// Knows every name: all lead here.
//! #[derive(Debug)]
//! struct Here;
//!
//! impl Resolve for Here {
//!     fn lookup(&self, question: &Question<'_>, _: Instant) -> Box<dyn Lookup> {
//!         let answer = |family, addresses| Event::Answered(Answer { family, addresses, ttl: None, ordered: true });
//!         let here = SocketAddr::from(([127, 0, 0, 1], question.port));
//!         Box::new(Told(vec![answer(Family::V4, vec![here]), answer(Family::V6, Vec::new())]))
//!     }
//! }
//!
//! /// A look-up that waits for nothing.
//! struct Told(Vec<Event>);
//!
//! impl Lookup for Told {
//!     fn watch<'a>(&'a self, _: &mut Watch<'a>) {}
//!
//!     fn poll(&mut self, _: Instant) -> Option<Event> {
//!         self.0.pop()
//!     }
//!
//!     fn wake_at(&self) -> Option<Instant> {
//!         None
//!     }
//! }
//!
//! let server = TcpListener::bind("127.0.0.1:0")?;
//! let options = Options { resolver: Arc::new(Here).into(), ..Options::default() };
//! let stream = connect(("example.org", server.local_addr()?.port()), &options)?;
//! assert_eq!(stream.peer_addr()?, server.local_addr()?);
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What the answers mean, and which of them are waited for, are the rules of [`connie_core::connect`].
//!
//! # What does not reach a resolver
//!
//! Addresses of [`Options::overrides`](crate::Options::overrides), literal addresses, `localhost` and names
//! below it (RFC 6761 section 6.3), and names below `invalid` (section 6.4) and `onion` (RFC 7686), which
//! fail at once. Names below `local` reach it: the system's resolver may know them by mDNS, and one that asks
//! name servers asks those.
//!
//! # The rules of a look-up
//!
//! 1. **Nothing blocks**: not [`Resolve::lookup`], not one method of [`Lookup`], not its drop. ([`SystemResolver`] does where it can have
//!    no thread at all.)
//! 2. **AAAA goes first**, then A "immediately" after it (RFC 8305 section 3). A family that was not asked for is not looked up.
//! 3. **Answers are told as they come.** Each family that was asked for gets an [`Event::Answered`] or [`Event::Failed`], in
//!    any order, neither held back for the other. That a name has no address of a family is an empty answer. Where more is
//!    learnt later, a family is answered again, and the newest answer takes the place of the others.
//! 4. **Hints** ([`Event::Hinted`]) may come before the answer of their family, which takes their place. They never end the
//!    wait for it.
//! 5. **When everything is told nothing is left**: no descriptor, no time to wake at, and `poll` answers `None` for ever.
//! 6. **Waking for nothing is allowed**: `poll` may be called at any time. What it has to do when a descriptor is ready or
//!    [`wake_at`](Lookup::wake_at) has come, it does then, and it does not spin: after it has answered `None`, `wake_at` is in
//!    the future, and a descriptor that it watches is ready only where something new has come.
//! 7. **Dropping it abandons the look-up** and frees its descriptors at once. A thread that cannot be interrupted may go on, holds
//!    nothing of the caller's, and there is a bound on how many there are.

#[cfg(not(target_os = "wasi"))]
mod calls;
#[cfg(any(feature = "dns", all(unix, feature = "tokio")))]
mod datagrams;
#[cfg(not(target_os = "wasi"))]
mod fields;
#[cfg(not(target_os = "wasi"))]
mod gai_conf;
#[cfg(not(target_os = "wasi"))]
mod getaddrinfo;
#[cfg(not(target_os = "wasi"))]
pub(crate) mod hosts;
mod lookup;
#[cfg(not(target_os = "wasi"))]
mod mailbox;
mod names;
mod order;
#[cfg(not(target_os = "wasi"))]
mod pool;
#[cfg(not(target_os = "wasi"))]
mod room;
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
pub use lookup::{Answer, Event, Lookup, LookupError, Question, Resolve, Watch};
#[cfg(not(target_os = "wasi"))]
pub(crate) use lookup::{Lent, Readiness};
#[cfg(feature = "dns")]
pub(crate) use names::ONION;
pub(crate) use names::{Names, OsDriver, RECORDS, Running};
#[cfg(not(target_os = "wasi"))]
pub use pool::MAX_THREADS;
#[cfg(not(target_os = "wasi"))]
pub(crate) use room::Room;
#[cfg(feature = "dns")]
pub use service::ServiceRecord;
pub use system::SystemResolver;

/// Which resolver a [`connect`](crate::connect) uses.
#[cfg_attr(feature = "dns", doc = "")]
#[cfg_attr(feature = "dns", doc = "[`dns::Dns`](crate::dns::Dns) asks name servers itself.")]
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Resolver {
    /// The operating system's ([`SystemResolver`]): hosts file, DNS, mDNS, whatever it is set up to ask.
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
    pub(crate) fn lookup(&self, question: &Question<'_>, now: Instant) -> Box<dyn Lookup> {
        match self {
            Resolver::System => SystemResolver.lookup(question, now),
            Resolver::With(resolver) => resolver.lookup(question, now),
        }
    }
}
