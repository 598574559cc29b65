//! A race's timeline, kept when the race is gone.

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
}

impl Report {
    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::from_parts(self.0.summary, &self.0.destinations, &self.0.records)
    }
}

impl From<Timeline<'_>> for Report {
    fn from(timeline: Timeline<'_>) -> Self {
        let (summary, destinations, records) = timeline.parts();
        Report(Box::new(Parts { summary, destinations: destinations.into(), records: records.into() }))
    }
}
