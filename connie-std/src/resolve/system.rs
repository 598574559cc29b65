//! The operating system's resolver: `getaddrinfo`, one call for each family, on threads of its own.
//!
//! `getaddrinfo` blocks and cannot be interrupted; what it does in the meantime (hosts file, DNS, mDNS, a directory) only the
//! system knows. So the calls are made by a [pool](super::pool) of threads for the whole process. A call that nobody waits
//! for any more goes on to its end, since it must, and everybody who asks for the same name and family meanwhile waits for that
//! one: a program that tries again and again while its name server is silent has two calls under way and not thousands.

use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Family, Instant};

use super::mailbox::{Letter, Mailbox};
use super::pool::{Wanted, lost, pool, wake};
use super::{Answer, Event, Lookup, LookupError, Question, Resolve, Room, Watch, hosts};
use crate::budget::SocketBudget;
use crate::process;

/// How often a look-up that could get no descriptor looks for its answer.
const LOOK: Duration = Duration::from_millis(5);

/// The operating system's resolver. Hosts files, mDNS and what a VPN sets up hold as they do for every other program.
///
/// Each look-up is one `getaddrinfo` for each family, side by side, on [threads](super::MAX_THREADS) that the process shares. Each call
/// takes a place in the [`SocketBudget`] for what the system opens meanwhile. While a `connect` waits for it, it holds another descriptor
/// (a pipe's two elsewhere than on Linux, a socket on Windows), and no more when its last answer has come or it
/// was abandoned; in a task of an async runtime it holds none. Where there is no descriptor for that, it looks for its answer each 5 ms. Without
/// the feature `getaddrinfo` of this crate it is one call for both families, which std offers, and the answers come together.
///
/// What it cannot tell: how long an answer holds; often, whether a name does not exist or has no address of the family, or
/// which server failed and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup(&self, question: &Question<'_>, now: Instant) -> Box<dyn Lookup> {
        let families = [Family::V6, Family::V4].into_iter().filter(|family| question.families.allow(*family));
        let unasked: Vec<_> = families.map(|family| (family, Room::default())).collect();
        let mut lookup = SystemLookup {
            mailbox: Some(Arc::default()),
            host: question.host.to_owned(),
            port: question.port,
            process: process::this(),
            budget: question.budget.cloned(),
            open: unasked.len(),
            unasked,
            look: now + LOOK,
        };
        lookup.ask(now);
        Box::new(lookup)
    }
}

/// A look-up under way.
struct SystemLookup {
    /// `None` after the last answer.
    mailbox: Option<Arc<Mailbox>>,
    host: String,
    port: u16,
    /// Whose threads answer it.
    process: u32,
    /// Where the room for descriptors comes from.
    budget: Option<SocketBudget>,
    /// The families for which there was no room yet.
    unasked: Vec<(Family, Room)>,
    /// How many answers are outstanding.
    open: usize,
    /// When to look, where there was no descriptor for a bell.
    look: Instant,
}

impl Lookup for SystemLookup {
    fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        let Some(mailbox) = self.mailbox.as_ref().filter(|_| !self.is_inherited()) else { return };
        for (_, room) in &self.unasked {
            room.watch(self.budget.as_ref(), watch);
        }
        if self.open == self.unasked.len() {
            return;
        }
        if let Some(waker) = watch.waker() {
            mailbox.wakes(waker);
        } else if let Some(bell) = mailbox.bell(self.budget.as_ref()) {
            watch.read(bell);
        }
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        self.look = now + LOOK;
        if self.is_inherited() {
            return None;
        }
        self.ask(now);
        let Letter { family, result } = self.mailbox.as_ref()?.take()?;
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.let_go();
        }
        Some(match result {
            Ok(mut addresses) => {
                for address in &mut addresses {
                    address.set_port(self.port);
                }
                // Every system sorts by RFC 6724 or by what it has for it, which knows more of the system than we do.
                Event::Answered(Answer { family, addresses, ttl: None, ordered: true })
            }
            Err(error) => Event::Failed { family, error },
        })
    }

    fn wake_at(&self) -> Option<Instant> {
        let mailbox = self.mailbox.as_ref().filter(|_| !self.is_inherited())?;
        let look = mailbox.has_no_bell().then_some(self.look);
        self.unasked.iter().filter_map(|(_, room)| room.wake_at()).chain(look).min()
    }
}

impl SystemLookup {
    /// Whether it was begun by the process that forked this one. Its threads do not answer it here, where nothing comes any more, and what
    /// rings is meant for that process.
    fn is_inherited(&self) -> bool {
        self.process != process::this()
    }

    /// Begins the calls for which there is room. One that is under way already needs none.
    fn ask(&mut self, now: Instant) {
        let Some(mailbox) = self.mailbox.clone() else { return };
        let SystemLookup { unasked, host, budget, .. } = self;
        let mut woken = Vec::new();
        unasked.retain_mut(|(family, room)| {
            let joined = pool().map(|mut pool| pool.join(host, *family, &mailbox));
            if joined == Some(true) {
                return false;
            }
            match room.poll(budget.as_ref(), now) {
                Poll::Pending => return true,
                Poll::Ready(Ok(())) => {
                    let wanted = Wanted { host, family: *family, hosted: is_hosted(host, *family) };
                    match pool() {
                        Some(mut pool) => pool.ask(wanted, &mailbox, room.share(), &mut woken),
                        None => woken.extend(mailbox.put(*family, Err(lost()))),
                    }
                }
                Poll::Ready(Err(held)) => {
                    let error =
                        LookupError { kind: QueryError::OutOfSockets, detail: Some(held.to_string()) };
                    woken.extend(mailbox.put(*family, Err(error)));
                }
            }
            false
        });
        wake(woken);
    }

    /// From here on no thread holds the mailbox, so that its descriptors are closed.
    fn let_go(&mut self) {
        self.unasked.clear();
        if let Some(mailbox) = self.mailbox.take() {
            let mut woken: Vec<Waker> = Vec::new();
            if let Some(mut pool) = pool() {
                pool.forget(&mailbox, &mut woken);
            }
            wake(woken);
        }
    }
}

/// Whether the hosts file has the answer, where that matters: where the call would have to wait for others.
fn is_hosted(host: &str, family: Family) -> bool {
    let is_of_family = |address: &std::net::IpAddr| address.is_ipv6() == (family == Family::V6);
    // The file is not read while others wait for the pool.
    let matters = pool().is_some_and(|pool| pool.is_full());
    matters && hosts::look_up(&hosts::system_path(), host).iter().any(is_of_family)
}

impl Drop for SystemLookup {
    fn drop(&mut self) {
        self.let_go();
    }
}
