//! The search: every state that a beginning leads to, breadth first.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What is searched, as one setting has it. Its `Display` names it in words that are kept.
pub(crate) trait Setting: fmt::Display {
    type World: Clone;
    type Event;

    fn begin(&self) -> Self::World;
    /// What tells one state from another.
    fn key(&self, world: &Self::World) -> u64;
    /// All that may happen now.
    fn events(&self, world: &Self::World) -> Vec<Self::Event>;
    fn happens(&self, event: Self::Event, world: &mut Self::World);
}

/// What a search has come to.
pub(crate) struct Search {
    /// What was searched, in words.
    setting: String,
    pub(crate) states: usize,
    pub(crate) depth: usize,
}

impl Search {
    /// As the files of counts have it.
    pub(crate) fn line(&self) -> String {
        format!("{} states, {} deep: {}", self.states, self.depth, self.setting)
    }
}

/// A setting of whatever kind.
pub(crate) trait Job: Sync {
    fn search(&self) -> Search;
}

impl<S: Setting + Sync> Job for S {
    fn search(&self) -> Search {
        let start = self.begin();
        let mut known = HashSet::from([self.key(&start)]);
        let mut layer = vec![start];
        let mut depth = 0;
        while !layer.is_empty() {
            let mut next = Vec::new();
            for world in &layer {
                for event in self.events(world) {
                    let mut world = world.clone();
                    self.happens(event, &mut world);
                    if known.insert(self.key(&world)) {
                        next.push(world);
                    }
                }
            }
            depth += 1;
            layer = next;
        }
        Search { setting: self.to_string(), states: known.len(), depth }
    }
}

/// Searches the states of all settings, which come back in the same order.
pub(crate) fn search_all(jobs: &[Box<dyn Job>]) -> Vec<Search> {
    // The large ones first, so that no core is left with one of them at the end.
    let next = AtomicUsize::new(0);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut searches: Vec<(usize, Search)> = std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            let left = || jobs.len().checked_sub(next.fetch_add(1, Ordering::Relaxed) + 1);
            while let Some(index) = left() {
                done.push((index, jobs[index].search()));
            }
            done
        };
        let workers: Vec<_> = (0..cores).map(|_| scope.spawn(work)).collect();
        // A worker whose race broke a law has said so already; its panic is this program's.
        workers.into_iter().flat_map(|worker| worker.join().expect("every law holds")).collect()
    });
    searches.sort_by_key(|(index, _)| *index);
    searches.into_iter().map(|(_, search)| search).collect()
}
