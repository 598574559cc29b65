//! The names that are asked for, and what was answered lately.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connie_core::Instant;
use connie_dns::{Name, Settings};

use super::group::Group;
use super::host::Host;
use crate::clock::OsClock;
use crate::process::ProcessLock;

/// How many sets of servers and settings are kept apart.
const MAX_GROUPS: usize = 8;
/// With how many names it begins to be looked whether some are known no longer.
const FIRST_SWEEP: usize = 64;

/// The answers that servers gave lately, kept for as long as they hold, and the questions that are asked now. Clones are the same cache.
///
/// A question is asked once for all look-ups that wait for it, in whatever threads and tasks they run. An answer is kept for its time to live,
/// for at most [`Cache::LONGEST`]; that there is no such name, or nothing of a kind, as long as the zone's SOA record says (RFC 2308
/// section 5), and not at all where there is none. What the servers could not answer is not kept. There is room for the
/// answers of [`Cache::ENTRIES`] names, at 7 KiB each, and for as many more as are looked up at a time; when it is full, those that would
/// expire first go.
///
/// Resolvers with other servers or settings can share one, but no answers.
///
/// The child of a fork begins with an empty one.
#[derive(Clone, Default)]
pub struct Cache {
    table: Arc<ProcessLock<Table>>,
}

#[derive(Default)]
struct Table {
    groups: Vec<Names>,
}

/// The names that are asked of some servers in some way.
struct Names {
    group: Arc<Group>,
    names: HashMap<Box<[u8]>, Arc<Host>>,
    /// With how many names to look next whether some are known no longer.
    sweep_at: usize,
}

impl Cache {
    /// The longest that an answer is kept: 60 s. Addresses that have changed are noticed within that time, whatever a zone's
    /// administrator has promised.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// Of how many names the answers are kept.
    pub const ENTRIES: usize = 512;

    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: for a program that has learnt that the network is another one now. Look-ups that are under way go on, and nobody else
    /// gets their answers.
    pub fn clear(&self) {
        // Dropped when the table is unlocked.
        let groups = self.with(|table| std::mem::take(&mut table.groups));
        drop(groups);
    }

    /// Of how many names it knows something.
    #[must_use]
    pub fn len(&self) -> usize {
        let clock = OsClock::start();
        let known = |names: &Names| {
            let now = names.group.time(clock, Instant::ZERO);
            names.names.values().filter(|host| host.keeps_until() > now).count()
        };
        self.with(|table| table.groups.iter().map(known).sum()).unwrap_or(0)
    }

    /// Whether it holds no answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where `name` is asked for and its answers are kept.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub(super) fn host(
        &self,
        name: &Name,
        servers: &[SocketAddr],
        settings: &Settings,
        (clock, now): (OsClock, Instant),
    ) -> Result<Arc<Host>, getrandom::Error> {
        let found = self.with(|table| table.names(servers, settings, clock, now).host(name, clock, now));
        // Where the table is lost to this process, each look-up is for itself.
        found.unwrap_or_else(|| Names::new(servers, settings, clock.to_std(now)).host(name, clock, now))
    }

    /// `None` where it is lost to this process.
    fn with<T>(&self, work: impl FnOnce(&mut Table) -> T) -> Option<T> {
        // The parent's threads go on asking there, by sockets of which the child has copies.
        let inherit = |table: &mut Table| table.groups.clear();
        self.table.lock(inherit).map(|mut table| work(&mut table))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl Table {
    fn names(
        &mut self,
        servers: &[SocketAddr],
        settings: &Settings,
        clock: OsClock,
        now: Instant,
    ) -> &mut Names {
        let known = self.groups.iter().position(|names| names.group.is_for(servers, settings));
        let index = known.unwrap_or_else(|| {
            if self.groups.len() >= MAX_GROUPS {
                self.groups.remove(0);
            }
            self.groups.push(Names::new(servers, settings, clock.to_std(now)));
            self.groups.len() - 1
        });
        &mut self.groups[index]
    }
}

impl Names {
    fn new(servers: &[SocketAddr], settings: &Settings, epoch: std::time::Instant) -> Self {
        let group = Arc::new(Group::new(servers, settings, epoch));
        Names { group, names: HashMap::new(), sweep_at: FIRST_SWEEP }
    }

    fn host(&mut self, name: &Name, clock: OsClock, now: Instant) -> Result<Arc<Host>, getrandom::Error> {
        if let Some(host) = self.names.get(name.wire()) {
            return Ok(Arc::clone(host));
        }
        let now = self.group.time(clock, now);
        self.make_room(now);
        let client = self.group.client(now)?;
        let host = Arc::new(Host::new(*name, Arc::clone(&self.group), client));
        self.names.insert(name.wire().into(), Arc::clone(&host));
        Ok(host)
    }

    /// Drops the names of which nothing is known any more, and of the others the next to expire where there are too many.
    fn make_room(&mut self, now: Instant) {
        if self.names.len() < self.sweep_at {
            return;
        }
        // Who waits for it has a share of it.
        let is_used = |host: &Arc<Host>| Arc::strong_count(host) > 1;
        self.names.retain(|_, host| is_used(host) || host.keeps_until() > now);
        let mut idle: Vec<_> = self.names.iter().filter(|(_, host)| !is_used(host)).collect();
        if idle.len() >= Cache::ENTRIES {
            idle.sort_by_key(|(_, host)| host.keeps_until());
            let gone = idle.iter().take(Cache::ENTRIES / 8).map(|(name, _)| (*name).clone());
            for name in gone.collect::<Vec<_>>() {
                self.names.remove(&name);
            }
        }
        let len = self.names.len();
        self.sweep_at = (2 * len).clamp(FIRST_SWEEP, Cache::ENTRIES).max(len + 1 + len / 8);
    }
}
