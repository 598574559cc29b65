//! The table of a memory: who is in it, and who goes where it is full.

use heapless::Vec;

use super::entry::{Entry, Marks};
use super::key::Key;

/// Up to `N` entries, in no order.
#[derive(Clone, Debug)]
pub(super) struct Table<const N: usize> {
    entries: Vec<Entry, N>,
}

impl<const N: usize> Table<N> {
    pub(super) const fn new() -> Self {
        Table { entries: Vec::new() }
    }

    pub(super) fn as_slice(&self) -> &[Entry] {
        &self.entries
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [Entry] {
        &mut self.entries
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    pub(super) fn find(&self, key: &Key) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.is_at(key))
    }

    pub(super) fn find_mut(&mut self, key: &Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.is_at(key))
    }

    /// A new one where there is none.
    pub(super) fn find_or_new(&mut self, key: &Key) -> Option<&mut Entry> {
        if self.find_mut(key).is_none() {
            self.insert(Entry::new(key));
        }
        self.find_mut(key)
    }

    /// Rule 13: where the table is full, the oldest of those that never led goes, and of those that have
    /// where the others have no more than their quarter.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(super) fn insert(&mut self, entry: Entry) {
        let Err(entry) = self.entries.push(entry) else { return };
        let others = self.entries.iter().filter(|entry| !entry.marks.has(Marks::LED)).count();
        let of_leads = others < (N / 4).max(1);
        let those = self.entries.iter_mut().filter(|entry| entry.marks.has(Marks::LED) == of_leads);
        if let Some(oldest) = those.min_by_key(|entry| entry.newest()) {
            *oldest = entry;
        }
    }

    /// Moves all times down by `shift`, as far as they go.
    pub(super) fn shift(&mut self, shift: u32) {
        for entry in &mut self.entries {
            entry.answered = entry.answered.saturating_sub(shift);
            entry.counted = entry.counted.saturating_sub(shift);
            if entry.is_host() {
                // Given up long ago.
                entry.estimate = Default::default();
            }
        }
    }
}
