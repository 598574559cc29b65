//! The timeline of a race that is gone, for a program that does not drive its races itself.

use core::fmt;

use heapless::Vec;

use super::{AttemptRecord, Summary, Timeline};
use crate::race::{AttemptOutcome, Destination};
use crate::time::Instant;

/// What the last race did, kept when the race is gone: up to `DESTINATIONS` addresses and `RECORDS` attempts.
/// What has no room is [counted](Summary) as omitted.
///
/// A [`memory::Recorded`](crate::memory::Recorded) keeps it for the races of an adapter.
pub struct LastRace<const DESTINATIONS: usize, const RECORDS: usize> {
    summary: Summary,
    destinations: Vec<Destination, DESTINATIONS>,
    records: Vec<AttemptRecord, RECORDS>,
}

/// [`Summary::default`], as a constant.
const NOTHING: Summary = Summary {
    start: Instant::ZERO,
    resolved: None,
    ended: None,
    failure: None,
    max_in_flight: 0,
    attempts: 0,
    omitted_attempts: 0,
    omitted_destinations: 0,
};

impl<const DESTINATIONS: usize, const RECORDS: usize> LastRace<DESTINATIONS, RECORDS> {
    /// It holds no race yet: no address, no attempt.
    #[must_use]
    pub const fn new() -> Self {
        LastRace { summary: NOTHING, destinations: Vec::new(), records: Vec::new() }
    }

    /// Keeps `timeline` in place of the one before. Where there is too little room, the winner is kept, the
    /// first of the other addresses, and the last of the other attempts.
    pub fn keep(&mut self, timeline: &Timeline<'_>) {
        let (summary, destinations, records) = timeline.parts();
        let has_won = |record: &&AttemptRecord| record.outcome == Some(AttemptOutcome::Established);
        let winner = records.iter().find(has_won);
        let kept = destinations.len().min(DESTINATIONS);
        // Where the winner's address is beyond the room, it gets the last place.
        let last = kept.saturating_sub(1);
        let beyond = winner.map(|record| usize::from(record.place)).filter(|place| *place >= kept);
        let is_here = |record: &&AttemptRecord| match usize::from(record.place) {
            place if beyond.is_some() => place < last || Some(place) == beyond,
            place => place < kept,
        };
        self.destinations.clear();
        self.destinations.extend(destinations.iter().take(kept).copied());
        let winning = beyond.and_then(|place| destinations.get(place));
        if let (Some(place), Some(winning)) = (self.destinations.get_mut(last), winning) {
            *place = *winning;
        }
        let mut spare = records.iter().filter(is_here).count().saturating_sub(RECORDS);
        self.records.clear();
        for record in records.iter().filter(is_here) {
            if spare > 0 && !has_won(&record) {
                spare -= 1;
                continue;
            }
            // What is beyond the room has a place in eight bits, and `last` is before that.
            let place = match u8::try_from(last) {
                Ok(last) if Some(usize::from(record.place)) == beyond => last,
                _ => record.place,
            };
            // There is room, since spare ones were skipped; only where `RECORDS` is 0 a winner has none.
            let _ = self.records.push(AttemptRecord { place, ..*record });
        }
        let omitted = records.len().saturating_sub(self.records.len());
        let omitted = u32::try_from(omitted).unwrap_or(u32::MAX);
        self.summary = summary;
        self.summary.omitted_attempts = summary.omitted_attempts.saturating_add(omitted);
        self.summary.omitted_destinations =
            summary.omitted_destinations.saturating_add(destinations.len().saturating_sub(kept));
    }

    /// The timeline that was kept.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::from_parts(self.summary, &self.destinations, &self.records)
    }
}

impl<const DESTINATIONS: usize, const RECORDS: usize> Default for LastRace<DESTINATIONS, RECORDS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const DESTINATIONS: usize, const RECORDS: usize> fmt::Debug for LastRace<DESTINATIONS, RECORDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("LastRace").field(&self.timeline()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::race::{Config, Input, Output, Race};
    use core::net::SocketAddr;
    use std::string::ToString;

    /// A race to three addresses of which the second answers after 20 ms.
    fn race() -> Race<4, 4, 4> {
        let mut race = Race::new(&Config::all_at_once(), Instant::ZERO);
        let addresses = [1, 2, 3].map(|last| SocketAddr::from(([192, 0, 2, last], 80)));
        race.handle_addresses(&addresses, Instant::ZERO);
        let mut second = None;
        while let Output::StartAttempt { id, destination } = race.poll_output(Instant::ZERO) {
            second = second.or((destination == addresses[1]).then_some(id));
        }
        let now = Instant::from_millis(20);
        race.handle_input(Input::AttemptSucceeded { id: second.unwrap() }, now);
        while !race.poll_output(now).ends_drain() {}
        race
    }

    #[test]
    fn what_a_race_did_is_kept_when_it_is_gone() {
        let mut last = LastRace::<4, 4>::new();
        assert_eq!(last.timeline().summary(), Summary::default());
        assert_eq!(last.timeline().attempts().count(), 0);
        let race = race();
        last.keep(&race.timeline());
        assert_eq!(last.timeline().summary(), race.timeline().summary());
        assert!(last.timeline().attempts().eq(race.timeline().attempts()));
        assert!(last.timeline().destinations().eq(race.timeline().destinations()));
        let pictures =
            [last.timeline(), race.timeline()].map(|it| it.waterfall(80, Default::default()).to_string());
        assert_eq!(pictures[0], pictures[1]);
    }

    #[test]
    fn what_has_no_room_is_counted() {
        let (mut last, race) = (LastRace::<2, 2>::new(), race());
        last.keep(&race.timeline());
        let kept = last.timeline();
        assert_eq!((kept.destinations().len(), kept.summary().omitted_destinations), (2, 1));
        assert_eq!((kept.attempts().count(), kept.summary().omitted_attempts), (2, 1));
    }

    /// The second address of three has won.
    fn winner<const DESTINATIONS: usize, const RECORDS: usize>() -> Option<std::string::String> {
        let mut last = LastRace::<DESTINATIONS, RECORDS>::new();
        last.keep(&race().timeline());
        let timeline = last.timeline();
        assert!(timeline.destinations().len() <= DESTINATIONS && timeline.attempts().count() <= RECORDS);
        let mut attempts = timeline.attempts();
        let won = attempts.find(|attempt| attempt.outcome == Some(AttemptOutcome::Established))?;
        Some(won.destination.to_string())
    }

    #[test]
    fn the_winner_is_kept_whatever_room_there_is() {
        let second = Some("192.0.2.2:80");
        assert_eq!(winner::<3, 3>().as_deref(), second);
        assert_eq!(winner::<3, 2>().as_deref(), second);
        assert_eq!(winner::<3, 1>().as_deref(), second);
        assert_eq!(winner::<2, 1>().as_deref(), second);
        assert_eq!(winner::<1, 3>().as_deref(), second, "in the place of the first");
        assert_eq!(winner::<1, 1>().as_deref(), second);
        assert_eq!((winner::<0, 3>(), winner::<3, 0>()), (None, None));
    }

    #[test]
    fn the_next_race_takes_the_place_of_the_one_before() {
        let mut last = LastRace::<4, 4>::new();
        for _ in 0..2 {
            last.keep(&race().timeline());
            assert_eq!((last.timeline().destinations().len(), last.timeline().attempts().count()), (3, 3));
        }
        assert_eq!(last.timeline().summary().omitted_attempts, 0);
    }
}
