//! The names that are asked for, and what was answered lately.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connie_core::Instant;
use connie_dns::{DnsConfig, Name};

use super::server_set::ServerSet;
use super::shared_name::SharedName;
use crate::clock::OsClock;
use crate::process::ProcessLock;

/// How many sets of servers and settings are kept apart.
const MAX_SERVER_SETS: usize = 8;
/// At how many names those that have expired are removed for the first time.
const FIRST_SWEEP: usize = 64;

/// The answers that servers gave lately, kept for as long as they hold, and the questions that are asked now.
/// Clones are the same cache.
///
/// A question is asked once for all lookups that wait for it, in whatever threads and tasks they run. An
/// answer is kept for its time to live, for at most [`Cache::LONGEST`]; that there is no such name, or
/// nothing of a kind, as long as the zone's SOA record says (RFC 2308 section 5), and not at all where there
/// is none. What the servers could not answer is not kept. There is room for the answers of
/// [`Cache::ENTRIES`] names, at 7 KiB each, and for as many more as are looked up at a time, whose memory is
/// given back as these lookups end; when it is full, those that would expire first go.
///
/// Resolvers with other servers or settings can share one, but no answers.
///
/// The child of a fork begins with an empty one.
#[derive(Clone, Default)]
pub struct Cache {
    table: Arc<ProcessLock<CacheTable>>,
}

#[derive(Default)]
struct CacheTable {
    server_sets: Vec<CachedNames>,
}

/// The names that are asked of one set of servers.
struct CachedNames {
    server_set: Arc<ServerSet>,
    names: HashMap<Box<[u8]>, Arc<SharedName>>,
    /// At how many names those that have expired are removed next.
    sweep_at: usize,
    /// How many lookups have ended since, while there were too many names.
    ended: usize,
}

impl Cache {
    /// The longest that an answer is kept: 60 s. Addresses that have changed are noticed within that time,
    /// whatever a zone's administrator has promised.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// Of how many names the answers are kept.
    pub const ENTRIES: usize = 512;

    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: for a program that has learnt that the network is another one now. Lookups that
    /// are under way go on, and nobody else gets their answers.
    pub fn clear(&self) {
        // Dropped when the table is unlocked.
        let server_sets = self.with(|table| std::mem::take(&mut table.server_sets));
        drop(server_sets);
    }

    /// Of how many names it knows something.
    #[must_use]
    pub fn len(&self) -> usize {
        let clock = OsClock::start();
        let known = |names: &CachedNames| {
            let now = names.server_set.time(clock, Instant::ZERO);
            names.names.values().filter(|shared| shared.keeps_until() > now).count()
        };
        self.with(|table| table.server_sets.iter().map(known).sum()).unwrap_or(0)
    }

    /// Whether it holds no answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// `name`, for all who ask for it.
    ///
    /// # Errors
    ///
    /// Where the system has no random numbers.
    pub(super) fn shared_name(
        &self,
        name: &Name,
        servers: &[SocketAddr],
        settings: &DnsConfig,
        (clock, now): (OsClock, Instant),
    ) -> Result<Arc<SharedName>, getrandom::Error> {
        let found =
            self.with(|table| table.names(servers, settings, clock, now).shared_name(name, clock, now));
        // Where the table is lost to this process, each lookup is for itself.
        found.unwrap_or_else(|| {
            CachedNames::new(servers, settings, clock.to_std(now)).shared_name(name, clock, now)
        })
    }

    /// A lookup no longer holds names of this set of servers.
    pub(super) fn release(&self, server_set: &Arc<ServerSet>, now: Instant) {
        self.with(|table| {
            let mut sets = table.server_sets.iter_mut();
            if let Some(names) = sets.find(|names| Arc::ptr_eq(&names.server_set, server_set)) {
                names.shrink(now);
            }
        });
    }

    /// `None` where it is lost to this process.
    fn with<T>(&self, work: impl FnOnce(&mut CacheTable) -> T) -> Option<T> {
        // The parent's threads go on asking there, by sockets of which the child has copies.
        let inherit = |table: &mut CacheTable| table.server_sets.clear();
        self.table.lock(inherit).map(|mut table| work(&mut table))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

impl CacheTable {
    fn names(
        &mut self,
        servers: &[SocketAddr],
        settings: &DnsConfig,
        clock: OsClock,
        now: Instant,
    ) -> &mut CachedNames {
        let known = self.server_sets.iter().position(|names| names.server_set.is_for(servers, settings));
        let index = known.unwrap_or_else(|| {
            if self.server_sets.len() >= MAX_SERVER_SETS {
                self.server_sets.remove(0);
            }
            self.server_sets.push(CachedNames::new(servers, settings, clock.to_std(now)));
            self.server_sets.len() - 1
        });
        &mut self.server_sets[index]
    }
}

impl CachedNames {
    fn new(servers: &[SocketAddr], settings: &DnsConfig, epoch: std::time::Instant) -> Self {
        let server_set = Arc::new(ServerSet::new(servers, settings, epoch));
        CachedNames { server_set, names: HashMap::new(), sweep_at: FIRST_SWEEP, ended: 0 }
    }

    fn shared_name(
        &mut self,
        name: &Name,
        clock: OsClock,
        now: Instant,
    ) -> Result<Arc<SharedName>, getrandom::Error> {
        if let Some(shared) = self.names.get(name.wire()) {
            return Ok(Arc::clone(shared));
        }
        let now = self.server_set.time(clock, now);
        self.make_room(now);
        let client = self.server_set.client(now)?;
        let shared = Arc::new(SharedName::new(*name, Arc::clone(&self.server_set), client));
        self.names.insert(name.wire().into(), Arc::clone(&shared));
        Ok(shared)
    }

    fn make_room(&mut self, now: Instant) {
        if self.names.len() >= self.sweep_at {
            self.sweep(now);
        }
    }

    /// A lookup has ended. After a crowd there are more names than are kept, and perhaps nobody who asks for
    /// another.
    fn shrink(&mut self, now: Instant) {
        if self.names.len() <= Cache::ENTRIES {
            return;
        }
        self.ended += 1;
        // A sweep reads all names: it comes so seldom that a lookup pays for eight of them.
        if self.ended > self.names.len() / 8 {
            self.sweep(now);
        }
    }

    /// Drops the names of which nothing is known any more, and of the others the next to expire where there
    /// are too many.
    fn sweep(&mut self, now: Instant) {
        // Each lookup that waits for it holds an `Arc` of it.
        let is_used = |shared: &Arc<SharedName>| Arc::strong_count(shared) > 1;
        self.names.retain(|_, shared| is_used(shared) || shared.keeps_until() > now);
        let mut idle: Vec<_> = self.names.iter().filter(|(_, shared)| !is_used(shared)).collect();
        if idle.len() >= Cache::ENTRIES {
            idle.sort_by_key(|(_, shared)| shared.keeps_until());
            let excess = idle.len() - (Cache::ENTRIES - Cache::ENTRIES / 8);
            let gone = idle.iter().take(excess).map(|(name, _)| (*name).clone());
            for name in gone.collect::<Vec<_>>() {
                self.names.remove(&name);
            }
            self.names.shrink_to(Cache::ENTRIES);
        }
        self.ended = 0;
        let len = self.names.len();
        self.sweep_at = (2 * len).clamp(FIRST_SWEEP, Cache::ENTRIES).max(len + 1 + len / 8);
    }
}

#[cfg(test)]
mod tests {
    use connie_dns::{DnsInput, DnsOutput, LARGEST_QUERY, RecordType};

    use super::*;

    const SERVER: ([u8; 4], u16) = ([192, 0, 2, 53], 53);

    fn names() -> (CachedNames, OsClock) {
        let clock = OsClock::start();
        (CachedNames::new(&[SERVER.into()], &DnsConfig::default(), clock.to_std(Instant::ZERO)), clock)
    }

    /// Asks for a name, which is answered for so many seconds.
    fn learn(
        names: &mut CachedNames,
        (clock, now): (OsClock, Instant),
        text: &str,
        ttl: u8,
    ) -> Arc<SharedName> {
        let name = Name::parse(text).expect("a name");
        let shared = names.shared_name(&name, clock, now).expect("random numbers");
        let mut state = shared.lock().expect("nobody has forked");
        let time = names.server_set.time(clock, now);
        let id = state.client.ask(&name, RecordType::A, time).expect("room");
        let mut buffer = [0; LARGEST_QUERY];
        if let DnsOutput::Send { port, length, .. } = state.client.poll_output(&mut buffer, time) {
            // Without the OPT record, which has 11 octets.
            let question = &buffer[12..length - 11];
            let header = [buffer[0], buffer[1], 0x80, 0x80, 0, 1, 0, 1, 0, 0, 0, 0];
            let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 192, 0, 2, 1];
            let message = [&header[..], question, &record].concat();
            state
                .client
                .handle_input(DnsInput::Datagram { port, from: SERVER.into(), message: &message }, time);
        }
        state.client.give_up(id);
        drop(state);
        shared
    }

    #[test]
    fn it_keeps_no_more_names_than_there_is_room_for() {
        let (mut names, clock) = names();
        let now = Instant::from_millis(5);
        for number in 0..2_000 {
            learn(&mut names, (clock, now), &format!("n{number}.test"), if number == 700 { 60 } else { 30 });
            assert!(names.names.len() <= Cache::ENTRIES + 1, "{}", names.names.len());
        }
        assert!(names.names.len() >= Cache::ENTRIES - Cache::ENTRIES / 8);
        assert!(names.names.contains_key(Name::<255>::parse("n700.test").unwrap().wire()), "it expires last");
        // Half a minute later nothing is known of the others, and they go.
        for number in 0..200 {
            learn(&mut names, (clock, now + Duration::from_secs(31)), &format!("m{number}.test"), 30);
        }
        let old = names.names.keys().filter(|name| name.get(1) == Some(&b'n'));
        assert_eq!(old.count(), 1);
    }

    #[test]
    fn a_name_that_is_waited_for_is_never_dropped() {
        let (mut names, clock) = names();
        let now = Instant::from_millis(5);
        let waiting: Vec<_> =
            (0..1_000).map(|number| learn(&mut names, (clock, now), &format!("n{number}.test"), 0)).collect();
        assert_eq!(names.names.len(), 1_000, "there is room for all that are asked for");
        drop(waiting);
        for number in 0..500 {
            learn(&mut names, (clock, now), &format!("m{number}.test"), 30);
        }
        assert!(names.names.len() <= 600, "{}", names.names.len());
    }

    /// Nobody need ask for another name.
    #[test]
    fn after_a_crowd_no_more_is_kept_than_there_is_room_for() {
        let (mut names, clock) = names();
        let now = Instant::from_millis(5);
        let mut waiting: Vec<_> = (0..5_000)
            .map(|number| learn(&mut names, (clock, now), &format!("n{number}.test"), 30))
            .collect();
        assert_eq!(names.names.len(), 5_000);
        let time = names.server_set.time(clock, now);
        while let Some(shared) = waiting.pop() {
            drop(shared);
            names.shrink(time);
        }
        // Those that came back since the last sweep are an eighth at most.
        assert!(names.names.len() <= Cache::ENTRIES * 8 / 7, "{}", names.names.len());
        assert!(names.names.len() >= Cache::ENTRIES - Cache::ENTRIES / 8, "{}", names.names.len());
    }

    #[test]
    fn other_servers_and_settings_have_names_of_their_own() {
        let (cache, clock) = (Cache::new(), OsClock::start());
        let name = Name::parse("name.test").expect("a name");
        let shared = |servers: &[SocketAddr], attempts| {
            let settings = DnsConfig { attempts, ..DnsConfig::default() };
            cache.shared_name(&name, servers, &settings, (clock, clock.now())).expect("random numbers")
        };
        let first = shared(&[SERVER.into()], 3);
        assert!(Arc::ptr_eq(&first, &shared(&[SERVER.into()], 3)));
        assert!(!Arc::ptr_eq(&first, &shared(&[SERVER.into()], 2)));
        assert!(!Arc::ptr_eq(&first, &shared(&[], 3)));
        // Of too many the eldest is forgotten.
        for attempts in 4..16 {
            shared(&[SERVER.into()], attempts);
        }
        assert_eq!(cache.with(|table| table.server_sets.len()), Some(MAX_SERVER_SETS));
        assert!(!Arc::ptr_eq(&first, &shared(&[SERVER.into()], 3)));
        cache.clear();
        assert_eq!(cache.with(|table| table.server_sets.len()), Some(0));
    }
}
