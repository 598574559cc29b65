//! A timeline that outlives its race.

use connie_core::Timeline;
use connie_core::race::Destination;
use connie_core::timeline::{AttemptRecord, Summary};

/// An owned copy of a timeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    summary: Summary,
    destinations: Vec<Destination>,
    records: Vec<AttemptRecord>,
}

impl Recording {
    /// Copies `timeline`.
    #[must_use]
    pub fn from_timeline(timeline: &Timeline<'_>) -> Self {
        let (summary, destinations, records) = timeline.parts();
        Recording { summary, destinations: destinations.to_vec(), records: records.to_vec() }
    }

    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::from_parts(self.summary, &self.destinations, &self.records)
    }
}
