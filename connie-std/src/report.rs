//! A race's timeline, kept when the race is gone.

use std::net::SocketAddr;

use connie_core::Timeline;
use connie_core::race::{AttemptRecord, Destination, Summary};

/// What a race did. Owns its parts: some 32 bytes for each address and 12 for each attempt.
#[derive(Clone, Debug)]
pub struct Report(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    summary: Summary,
    destinations: Box<[Destination]>,
    records: Box<[AttemptRecord]>,
    notes: Vec<Note>,
}

/// What an error of a race has no room for.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) address: SocketAddr,
    pub(crate) text: Box<str>,
}

impl Report {
    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::from_parts(self.0.summary, &self.0.destinations, &self.0.records)
    }

    /// More about what became of `address` than its [error](connie_core::AttemptError) says, where more is known: the names that a
    /// certificate is for, or the day it expired.
    #[must_use]
    pub fn note(&self, address: SocketAddr) -> Option<&str> {
        self.0.notes.iter().find(|note| note.address == address).map(|note| &*note.text)
    }

    #[cfg(feature = "tls")]
    pub(crate) fn with_notes(mut self, notes: Vec<Note>) -> Self {
        self.0.notes = notes;
        self
    }
}

impl From<Timeline<'_>> for Report {
    fn from(timeline: Timeline<'_>) -> Self {
        let (summary, destinations, records) = timeline.parts();
        Report(Box::new(Parts {
            summary,
            destinations: destinations.into(),
            records: records.into(),
            notes: Vec::new(),
        }))
    }
}
