//! The operating system's resolver: `getaddrinfo`, one call for each family, on its own threads.
//!
//! `getaddrinfo` blocks and cannot be interrupted; what it does in the meantime (hosts file, DNS, mDNS, a
//! directory) only the system knows. So the calls are made by a [pool](super::pool) of threads for the whole
//! process. A call that nobody waits for any more goes on to its end, since it must, and everybody who asks
//! for the same name and family meanwhile waits for that one: a program that tries again and again while its
//! name server is silent has two calls under way and not thousands.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Family, Instant};

use super::calls::{AfterUnlock, CallRequest};
use super::pool::{lost, make_here, pool};
use super::reply_queue::{CallError, CallReply, ReplyNotifier, ReplyQueue};
use super::{
    DescriptorPermit, FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, ResolverError,
    WatchSet, hosts,
};
use crate::budget::SocketBudget;
use crate::process;

/// How often a lookup without a descriptor checks for its answer.
const LOOK: Duration = Duration::from_millis(5);

/// The operating system's resolver. The hosts file, mDNS and what a VPN sets up apply as for every other
/// program.
///
/// Each lookup is one `getaddrinfo` for each family, at the same time, on [threads](super::MAX_THREADS) that
/// the process shares. A call that starts takes a socket of the [`SocketBudget`] for what the system opens
/// meanwhile; a call that waits for a thread takes none, and calls get at most half of a budget. While a
/// `connect` waits for it, the lookup holds another descriptor (the two of a pipe on other Unix systems than
/// Linux, a socket on Windows), until its last answer has arrived or it was dropped; in a task of an async
/// runtime it holds none. Without such a descriptor it checks for its answer every 5 ms. Without the feature
/// `getaddrinfo` of this crate, std's call for both families is used, and both answers arrive together.
///
/// If the system gives no thread and the process has none for lookups, the caller makes the call: the lookup
/// then blocks as long as `getaddrinfo` does, instead of failing.
///
/// Which family comes first is decided from the answers, by RFC 6724 and the source addresses that the host
/// would use. On Linux with glibc this follows the administrator's `/etc/gai.conf`, as it is when the lookup
/// starts. Elsewhere it follows the standard's own table: the order within each family is the system's (the
/// prefix policies of Windows, `ip6addrctl` of the BSDs and macOS), but between the families these do not
/// apply, since a call for both families would return only when the slower one has an answer.
/// [`preferred_family`](connie_core::Config::preferred_family) puts IPv4 first there.
///
/// It does not know how long an answer is valid; often it does not know whether a name does not exist or has
/// no address of the family, or which server failed and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup> {
        let families = [Family::V6, Family::V4].into_iter().filter(|family| question.families.allow(*family));
        let families: Vec<_> = families.collect();
        let replies = Arc::default();
        for family in &families {
            ask(question, *family, &replies);
        }
        Box::new(SystemLookup {
            replies: Some(replies),
            port: question.port,
            process: process::this(),
            budget: question.budget.cloned(),
            open: families.len(),
            polled: now,
            looks: Cell::new(None),
        })
    }
}

/// Asks for the addresses of one family, or has `replies` wait for who has asked already.
fn ask(question: &ResolveRequest<'_>, family: Family, replies: &Arc<ReplyQueue>) {
    let ResolveRequest { host, budget, .. } = *question;
    let wanted = CallRequest { host, family, hosted: false, budget };
    // Dropped when the pool is unlocked.
    let mut later = AfterUnlock::default();
    let must_wait = pool().map(|mut pool| (!pool.join(wanted, replies)).then(|| pool.is_full(budget)));
    let must_wait = match must_wait {
        Some(Some(must_wait)) => must_wait,
        Some(None) => return,
        None => return later.wake(replies.put(family, Err(lost().into()))),
    };
    // The hosts file and the budget are not asked while others wait for the pool. Who need not wait has its
    // room at once, if there is some.
    let hosted = must_wait && hosts::names(&hosts::system_path(), host, family);
    let room = (!must_wait || hosted).then(|| DescriptorPermit::at_once(budget)).flatten();
    let room = room.and_then(|room| room.share());
    let job = match pool() {
        Some(mut pool) => pool.ask(CallRequest { hosted, ..wanted }, replies, room, &mut later),
        None => return later.wake(replies.put(family, Err(lost().into()))),
    };
    drop(later);
    if let Some(job) = job {
        make_here(&job);
    }
}

/// A lookup under way.
struct SystemLookup {
    /// `None` after the last answer.
    replies: Option<Arc<ReplyQueue>>,
    port: u16,
    /// Whose threads answer it.
    process: u32,
    /// Where the room for descriptors comes from.
    budget: Option<SocketBudget>,
    /// How many answers are outstanding.
    open: usize,
    polled: Instant,
    /// How long after that to look, where nothing rings or wakes.
    looks: Cell<Option<Duration>>,
}

impl PendingLookup for SystemLookup {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        self.looks.set(None);
        let Some(replies) = self.replies.as_ref().filter(|_| !self.is_inherited()) else { return };
        if let Some(waker) = watch.waker() {
            replies.set_waker(waker);
            return;
        }
        if replies.notifier().is_none() {
            if !has_begun(replies) {
                // What a notifier would take from the budget, its own call might wait for.
                return replies.set_waker(&watch.queue_waker());
            }
            replies.set_notifier(new_notifier(self.budget.as_ref()));
        }
        match replies.notifier().flatten() {
            Some(notifier) => watch.read(notifier),
            None => self.looks.set(Some(LOOK)),
        }
    }

    fn poll(&mut self, now: Instant) -> Option<ResolveEvent> {
        self.polled = now;
        if self.is_inherited() {
            return None;
        }
        let CallReply { family, result } = self.replies.as_ref()?.take()?;
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.let_go();
        }
        Some(match result {
            Ok(mut addresses) => {
                for address in &mut addresses {
                    address.set_port(self.port);
                }
                // Every system sorts by RFC 6724 or by what it has for it, which knows more of the system
                // than we do.
                ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: true })
            }
            Err(CallError::Resolver(error)) => ResolveEvent::Failed { family, error },
            Err(CallError::BudgetHeld(held)) => {
                self.budget.iter().for_each(SocketBudget::refuse);
                let detail = Some(held.to_string());
                ResolveEvent::Failed {
                    family,
                    error: ResolverError { kind: QueryError::OutOfSockets, detail },
                }
            }
        })
    }

    fn wake_at(&self) -> Option<Instant> {
        self.replies.as_ref().filter(|_| !self.is_inherited())?;
        self.looks.get().map(|looks| self.polled + looks)
    }
}

impl SystemLookup {
    /// Whether it was begun by the process that forked this one. Its threads do not answer it here, where
    /// nothing comes any more, and what rings is meant for that process.
    fn is_inherited(&self) -> bool {
        self.process != process::this()
    }

    /// From here on no thread holds the mailbox, so that its descriptors are closed.
    fn let_go(&mut self) {
        self.looks.set(None);
        if let Some(replies) = self.replies.take() {
            let mut later = AfterUnlock::default();
            if let Some(mut pool) = pool() {
                pool.forget(&replies, &mut later);
            }
        }
    }
}

/// `None` also if notifiers already have their part of the budget.
fn new_notifier(budget: Option<&SocketBudget>) -> Option<ReplyNotifier> {
    let notifier = ReplyNotifier::new(budget)?;
    let may = budget
        .is_none_or(|budget| pool().is_some_and(|mut pool| pool.admits_notifier(budget, notifier.permits())));
    may.then_some(notifier)
}

fn has_begun(replies: &Arc<ReplyQueue>) -> bool {
    pool().is_none_or(|pool| pool.has_begun(replies))
}

impl Drop for SystemLookup {
    fn drop(&mut self) {
        self.let_go();
    }
}
