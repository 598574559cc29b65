//! What was answered lately.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::message::{Found, Question, Reply};
use crate::process::ProcessLock;

/// The answers that servers gave lately, kept for as long as they hold. Clones are the same cache.
///
/// An answer is kept for its time to live, for at most [`Cache::LONGEST`]; that there is no such name, or nothing of a kind, as
/// long as the zone's SOA record says (RFC 2308 section 5), and not at all where there is none. What a server could not answer is
/// not kept. There is room for [`Cache::ENTRIES`] answers; when it is full, the one that would expire first goes.
///
/// Share one between resolvers that ask the same servers only.
///
/// The child of a fork has a copy of what was in it, and none where another thread of the parent was at it that very moment.
#[derive(Clone, Default)]
pub struct Cache {
    store: Arc<ProcessLock<Store>>,
}

impl Cache {
    /// The longest that an answer is kept: 60 s. Addresses that have changed are noticed within that time, whatever a zone's
    /// administrator has promised.
    pub const LONGEST: Duration = Duration::from_secs(60);
    /// The most answers that are kept.
    pub const ENTRIES: usize = 512;

    /// An empty cache.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Forgets everything: for a program that has learnt that the network is another one now.
    pub fn clear(&self) {
        self.with(|store| store.entries.clear());
    }

    /// How many answers it holds, those included that have expired and were not asked for since.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|store| store.entries.len()).unwrap_or(0)
    }

    /// Whether it holds no answer.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What there is for a question, with the seconds that it still holds, rounded down.
    pub(super) fn get(&self, question: &Question, now: Instant) -> Option<Reply> {
        self.with(|store| store.get(question, now)).flatten()
    }

    /// Keeps an answer that has just come.
    pub(super) fn put(&self, question: &Question, reply: &Reply, now: Instant) {
        self.with(|store| store.put(question, reply, now));
    }

    /// `None` where it is lost to this process.
    fn with<T>(&self, work: impl FnOnce(&mut Store) -> T) -> Option<T> {
        self.store.lock(|_| ()).map(|mut store| work(&mut store))
    }
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("len", &self.len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Store {
    entries: HashMap<Question, Entry>,
}

struct Entry {
    found: Found,
    expires: Instant,
}

impl Store {
    fn get(&mut self, question: &Question, now: Instant) -> Option<Reply> {
        let entry = self.entries.get(question)?;
        let left = entry.expires.saturating_duration_since(now);
        if left.is_zero() {
            self.entries.remove(question);
            return None;
        }
        // No more than the cap, which fits.
        Some(Reply { found: entry.found.clone(), ttl: u32::try_from(left.as_secs()).ok() })
    }

    fn put(&mut self, question: &Question, reply: &Reply, now: Instant) {
        let held = reply.ttl.map(|seconds| Duration::from_secs(seconds.into()).min(Cache::LONGEST));
        let expires = held.filter(|held| !held.is_zero()).and_then(|held| now.checked_add(held));
        let Some(expires) = expires else {
            // What came now is newer than what was kept.
            self.entries.remove(question);
            return;
        };
        if self.entries.len() >= Cache::ENTRIES && !self.entries.contains_key(question) {
            self.make_room(now);
        }
        self.entries.insert(question.clone(), Entry { found: reply.found.clone(), expires });
    }

    /// Drops what has expired, and the next to expire where nothing has.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.expires > now);
        if self.entries.len() >= Cache::ENTRIES {
            let next = self.entries.iter().min_by_key(|(_, entry)| entry.expires);
            if let Some(question) = next.map(|(question, _)| question.clone()) {
                self.entries.remove(&question);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::super::message::Kind;
    use super::super::name::Name;
    use super::*;
    use crate::OsClock;

    fn question(name: &str, kind: Kind) -> Question {
        Question { name: Name::parse(name).unwrap(), kind }
    }

    fn reply(ttl: Option<u32>) -> Reply {
        Reply { found: Found::Addresses(vec![IpAddr::from([192, 0, 2, 1])]), ttl }
    }

    /// A moment to count from.
    fn start() -> Instant {
        OsClock::start().to_std(connie_core::Instant::ZERO)
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn an_answer_holds_for_its_time_to_live() {
        let (cache, start) = (Cache::new(), start());
        let asked = question("name.test", Kind::A);
        cache.put(&asked, &reply(Some(10)), start);
        assert_eq!(cache.get(&asked, start), Some(reply(Some(10))));
        assert_eq!(cache.get(&asked, start + SECOND * 3), Some(reply(Some(7))));
        assert_eq!(cache.get(&asked, start + SECOND * 10 - Duration::from_nanos(1)), Some(reply(Some(0))));
        assert_eq!(cache.get(&asked, start + SECOND * 10), None);
        assert!(cache.is_empty(), "what has expired is dropped when it is asked for");
    }

    #[test]
    fn but_for_no_more_than_a_minute() {
        let (cache, start) = (Cache::new(), start());
        let asked = question("name.test", Kind::A);
        cache.put(&asked, &reply(Some(u32::MAX)), start);
        assert!(cache.get(&asked, start + SECOND * 60 - Duration::from_nanos(1)).is_some());
        assert_eq!(cache.get(&asked, start + SECOND * 60), None);
    }

    #[test]
    fn that_there_is_nothing_is_kept_too() {
        let (cache, start) = (Cache::new(), start());
        for (found, kind) in [(Found::NoSuchName, Kind::A), (Found::NoData, Kind::Aaaa)] {
            let asked = question("name.test", kind);
            cache.put(&asked, &Reply { found: found.clone(), ttl: Some(5) }, start);
            assert_eq!(cache.get(&asked, start).unwrap().found, found);
            assert_eq!(cache.get(&asked, start + SECOND * 5), None);
        }
    }

    #[test]
    fn what_does_not_hold_is_not_kept_and_replaces_what_was() {
        let (cache, start) = (Cache::new(), start());
        let asked = question("name.test", Kind::A);
        for ttl in [Some(0), None] {
            cache.put(&asked, &reply(Some(10)), start);
            cache.put(&asked, &reply(ttl), start);
            assert_eq!(cache.get(&asked, start), None, "{ttl:?}");
        }
    }

    #[test]
    fn names_are_compared_without_regard_to_case_and_kinds_are_apart() {
        let (cache, start) = (Cache::new(), start());
        cache.put(&question("name.test", Kind::A), &reply(Some(10)), start);
        assert!(cache.get(&question("NAME.Test.", Kind::A), start).is_some());
        assert_eq!(cache.get(&question("name.test", Kind::Aaaa), start), None);
        assert_eq!(cache.get(&question("name.test.test", Kind::A), start), None);
    }

    #[test]
    fn it_never_holds_more_than_it_has_room_for() {
        let (cache, start) = (Cache::new(), start());
        let first = question("first.test", Kind::A);
        cache.put(&first, &reply(Some(1)), start);
        for number in 1..Cache::ENTRIES {
            cache.put(&question(&format!("n{number}.test"), Kind::A), &reply(Some(30)), start);
        }
        assert_eq!(cache.len(), Cache::ENTRIES);
        cache.put(&question("one-more.test", Kind::A), &reply(Some(30)), start);
        assert_eq!(cache.len(), Cache::ENTRIES);
        assert_eq!(cache.get(&first, start), None, "the one that would expire first has gone");
        // A minute later all others have expired, and go together.
        cache.put(&question("late.test", Kind::A), &reply(Some(30)), start + SECOND * 60);
        assert_eq!(cache.len(), 1);
    }

    #[test]
    fn clones_are_one_cache() {
        let (cache, start) = (Cache::new(), start());
        let asked = question("name.test", Kind::A);
        cache.clone().put(&asked, &reply(Some(10)), start);
        assert!(cache.get(&asked, start).is_some());
        cache.clear();
        assert!(cache.is_empty());
    }
}
