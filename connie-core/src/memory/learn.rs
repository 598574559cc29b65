//! What a memory learns of a race that has ended: rules 2 to 10.

use core::net::SocketAddr;

use super::entry::{Entry, Marks, Standing};
use super::estimate::{Estimate, LONGEST};
use super::key::{self, Target, Visit};
use super::lesson::Lesson;
use super::settings::Verdict;
use super::{FamilyDoubt, HALF_LIFE, LateLead, Memory, RACES};
use crate::race::{
    AttemptErrorKind, AttemptOutcome, ChosenAddress, Destination, Family, PlanTimes, PlannedRace, ip_and_port,
};
use crate::time::Instant;
use crate::timeline::AttemptRecord;

/// A race that has ended. Times in it are in microseconds since its start.
struct PastRace<'r> {
    visit: &'r Visit,
    salt: u32,
    times: &'r PlanTimes,
    attempts: &'r [AttemptRecord],
    destinations: &'r [Destination],
    ended: u32,
    /// On the memory's clock, as `at` is, its end.
    start: u32,
    at: u32,
    winner: Option<&'r AttemptRecord>,
    /// When the source of IPv6, and that of IPv4, last changed; `u32::MAX` where it has not.
    moved: [u32; 2],
}

impl<'r> PastRace<'r> {
    /// A moment of the race, on the memory's clock.
    fn moment(&self, since: u32) -> u32 {
        self.start.saturating_add(since >> 10)
    }

    /// The address of an attempt that has ended, on the network that the race has ended on.
    fn target(&self, attempt: &AttemptRecord) -> Option<Target> {
        attempt.outcome?;
        let destination = self.destinations.get(usize::from(attempt.place))?;
        let [v6, v4] = self.moved;
        let moved = if destination.family() == Family::V6 { v6 } else { v4 };
        // That of a moment ended by the change, or began after it.
        if attempt.started < moved && moved != u32::MAX || is_source_gone(attempt) {
            return None;
        }
        Some(Target::of(destination, self.visit, self.salt)).filter(|target| target.number > 0)
    }

    /// The first attempt on an address that the plan has chosen.
    fn first(&self, chosen: Option<ChosenAddress>) -> Option<(Target, &'r AttemptRecord)> {
        let ChosenAddress { place, key } = chosen?;
        let mut attempts = self.attempts.iter().filter(|it| it.place == place);
        let (target, attempt) = attempts.find_map(|it| Some((self.target(it)?, it)))?;
        // Another address may have come to have its place.
        (target.number == key.get()).then_some((target, attempt))
    }

    /// Whether it is an attempt on the address that has won: the one that did, or the other one.
    fn is_of_winner(&self, attempt: &AttemptRecord) -> bool {
        self.winner.is_some_and(|winner| winner.place == attempt.place)
    }

    /// Whether one that started no earlier has won.
    fn is_beaten(&self, attempt: &AttemptRecord) -> bool {
        self.winner.is_some_and(|winner| winner.started >= attempt.started)
    }

    fn lesson(&self, attempt: &AttemptRecord) -> Lesson {
        let cut_short = self.winner.is_none() && attempt.ended == self.ended;
        // That of both families.
        let finish = key::finish(self.visit.v4);
        attempt
            .outcome
            .map_or(Lesson::Nothing, |outcome| Lesson::of(outcome, finish, attempt.ran(), cut_short))
    }
}

impl<const N: usize> Memory<N> {
    /// Learns from a race that has ended. `is_sent_again` is whether the winner's SYN was sent more than
    /// once, where the system reports it (`TCP_INFO`): by Karn's rule its time is no sample then.
    pub fn learn<const D: usize, const K: usize, const R: usize>(
        &mut self,
        visit: &Visit,
        race: &PlannedRace<D, K, R>,
        is_sent_again: bool,
        now: Instant,
    ) {
        let start = race.start();
        self.learn_by(visit, race, is_sent_again, start, now);
    }

    /// As [`learn`](Memory::learn), of a race that had another clock. By the memory's it began at `start`.
    pub fn learn_by<const D: usize, const K: usize, const R: usize>(
        &mut self,
        visit: &Visit,
        race: &PlannedRace<D, K, R>,
        is_sent_again: bool,
        start: Instant,
        now: Instant,
    ) {
        let Some(ended) = race.ended() else { return };
        self.rebase(now);
        let start = self.tick(start);
        let attempts = race.attempts();
        let past = PastRace {
            visit,
            salt: self.salt,
            times: race.times(),
            attempts,
            destinations: race.destinations(),
            ended,
            start,
            // No later than it is, where the clock has run backwards.
            at: start.saturating_add(ended >> 10).min(self.tick(now)),
            winner: attempts.iter().find(|it| matches!(it.outcome, Some(AttemptOutcome::Established))),
            moved: race.moved(),
        };
        if past.times.met {
            self.bucket.pay(race.started().saturating_sub(1));
        }
        self.learn_of_race(&past, is_sent_again);
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn learn_of_race(&mut self, past: &PastRace<'_>, is_sent_again: bool) {
        let (lead, explored) = (past.first(past.times.lead), past.first(past.times.explored));
        let stalls = lead.as_ref().is_some_and(|(_, attempt)| self.stalls(past, attempt));
        let mut taught = past.winner.is_some();
        for attempt in past.attempts {
            let Some(target) = past.target(attempt) else { continue };
            if !past.is_of_winner(attempt) {
                taught |= self.learn_of(past, &target, attempt, stalls);
            }
        }
        if let Some(winner) = past.winner {
            self.bucket.earn();
            self.answered(past, winner, is_sent_again);
        }
        let lead_won = lead.as_ref().is_some_and(|(_, attempt)| past.is_of_winner(attempt));
        let mut is_dethroned = false;
        if let Some((target, attempt)) = lead.as_ref().filter(|_| !stalls || lead_won) {
            let late = self.learn_of_lead(past, target, attempt, lead_won);
            taught |= late.is_some();
            is_dethroned = late == Some(Standing::DETHRONED);
        }
        let lead_won = lead_won && past.times.met;
        self.learn_of_host(past, taught, lead_won, is_dethroned, explored.as_ref().map(|(it, _)| it.number));
        if let Some((target, attempt)) = explored {
            self.learn_of_explored(past, &target, attempt, lead);
        }
    }

    /// Rules 3 to 6 and 10, for an attempt on an address that has not answered. Whether it has failed in a
    /// race that nobody won. Where the network `stalls`, silence is not evidence.
    fn learn_of(
        &mut self,
        past: &PastRace<'_>,
        target: &Target,
        attempt: &AttemptRecord,
        stalls: bool,
    ) -> bool {
        let lesson = past.lesson(attempt);
        let has_failed = matches!(lesson, Lesson::Failure | Lesson::FailureOfHost);
        let Some(winner) = past.winner else { return has_failed };
        let started = past.moment(attempt.started);
        if has_failed {
            let Some(entry) = self.table.find_or_new(&target.key) else { return false };
            if started > entry.counted && started >= entry.answered {
                demote(entry, past.moment(attempt.ended));
                entry.marks.set(Marks::VERDICT | Marks::OF_ATTEMPT, lesson == Lesson::FailureOfHost);
                entry.host = past.visit.host;
            }
        } else if !stalls
            && lesson == Lesson::Silence
            && attempt.ran() > past.times.patience / 4
            && past.is_beaten(attempt)
        {
            if let Some(entry) = self.table.find_mut(&target.key) {
                was_silent(entry, attempt.ran(), started, past.at);
            }
        } else {
            return false;
        }
        let winner = past.destinations.get(usize::from(winner.place));
        if lesson != Lesson::FailureOfHost && winner.is_some_and(|it| it.family() != target.family) {
            self.doubt(target, past.at);
        }
        false
    }

    /// The winner: rules 2 and 4.
    fn answered(&mut self, past: &PastRace<'_>, winner: &AttemptRecord, is_sent_again: bool) {
        let Some(target) = past.target(winner) else { return };
        *self.doubt_of(target.family) = FamilyDoubt::default();
        let Some(entry) = self.table.find_or_new(&target.key) else { return };
        let sample = winner.ran();
        if sample <= LONGEST && !(is_sent_again && entry.estimate.is_known()) {
            entry.estimate.update(sample);
        }
        entry.answered = past.at;
        // A verdict from above stands: that the address answers was never in doubt. That of an attempt to TLS
        // is its host's to take back.
        let is_its = entry.marks.has(Marks::OF_ATTEMPT) && entry.host == past.visit.host;
        if entry.marks.has(Marks::VERDICT) && entry.standing == Standing::DEMOTED && !is_its {
            return;
        }
        entry.marks.set(Marks::VERDICT | Marks::OF_ATTEMPT, false);
        entry.standing = Standing::LIVE;
        entry.host = past.visit.host;
        if past.times.lead.is_none() {
            entry.marks.set(Marks::USED, true);
        }
    }

    /// Rules 7 and 8, for the lead: what it is, where something is held against it.
    fn learn_of_lead(
        &mut self,
        past: &PastRace<'_>,
        target: &Target,
        attempt: &AttemptRecord,
        has_won: bool,
    ) -> Option<Standing> {
        let PlanTimes { met, due, together, .. } = *past.times;
        let entry = self.table.find_mut(&target.key);
        if has_won {
            // In the first race of a host one may lead for its prefix, which is no reason to keep it.
            entry?.marks.set(if met { Marks::USED | Marks::LED } else { Marks::USED }, true);
            return None;
        }
        if past.lesson(attempt) != Lesson::Silence {
            return None;
        }
        let (from, to) = match together && past.is_beaten(attempt) {
            true => (Standing::MISSED, Standing::DETHRONED),
            false if attempt.ran() < due => return None,
            false => (Standing::LIVE, Standing::MISSED),
        };
        if let Some(entry) = entry.filter(|entry| entry.standing == from) {
            if to == Standing::DETHRONED {
                entry.marks.set(Marks::USED, false);
            }
            if to == Standing::DETHRONED || past.moment(attempt.started) > entry.counted {
                (entry.standing, entry.counted) = (to, past.at);
            }
        }
        Some(to)
    }

    /// Rule 8: whether the lead was late while another host's was.
    fn stalls(&mut self, past: &PastRace<'_>, attempt: &AttemptRecord) -> bool {
        let due = past.times.due;
        if past.lesson(attempt) != Lesson::Silence || attempt.ran() < due {
            return false;
        }
        let other = self.late;
        self.late = LateLead { host: past.visit.host, at: past.at };
        let is_both = other.host != 0
            && other.host != past.visit.host
            && other.at >= past.moment(attempt.started.saturating_add(due));
        if is_both {
            self.stalled = past.at;
            // The lead that was late before this one was not to blame either.
            for entry in self.table.as_mut_slice() {
                let is_it = entry.host == other.host && entry.counted == other.at;
                if is_it && entry.standing == Standing::MISSED && !entry.is_host() {
                    entry.standing = Standing::LIVE;
                }
            }
        }
        is_both
    }

    /// Rules 3 and 9. `explored` is the address that was. Where nothing was `taught`, the race was given up
    /// before it could find out anything.
    fn learn_of_host(
        &mut self,
        past: &PastRace<'_>,
        taught: bool,
        lead_won: bool,
        is_dethroned: bool,
        explored: Option<u32>,
    ) {
        let key = past.visit.key();
        let host = match past.winner {
            Some(_) => self.table.find_or_new(&key),
            None => self.table.find_mut(&key),
        };
        let Some(host) = host else { return };
        if taught || past.times.explored.is_some() {
            host.estimate = Estimate::default();
        }
        if !taught {
            // It is in use all the same, so that its next race is not as good as a first.
            host.answered = host.answered.max(past.at);
            return;
        }
        if host.host == 0 {
            // Its counter begins anywhere, so that not all clients explore at one time, and not all the same
            // address.
            host.counted = past.at;
            host.host = key::end(key::mix(self.salt, key.realm ^ past.visit.host));
            host.standing.0 = (host.host >> 8) as u8 % RACES;
        }
        host.answered = past.at;
        host.standing.0 = host.standing.0.saturating_add(1);
        if lead_won {
            host.marks.set(Marks::LED, true);
        }
        if past.winner.is_none() || is_dethroned {
            host.marks.set(Marks::WHOLE, true);
        } else if past.times.lead.is_none() {
            host.marks.set(Marks::WHOLE, false);
        }
        if let Some(number) = explored {
            host.standing.0 = 0;
            host.counted = past.at;
            host.host = number;
        }
    }

    /// Rule 9: two wins in a row.
    fn learn_of_explored(
        &mut self,
        past: &PastRace<'_>,
        target: &Target,
        attempt: &AttemptRecord,
        lead: Option<(Target, &AttemptRecord)>,
    ) {
        let won = past.is_of_winner(attempt);
        let Some(entry) = self.table.find_mut(&target.key) else { return };
        let again = entry.marks.has(Marks::RISING);
        entry.marks.set(Marks::RISING, won && !again);
        if !won || !again {
            return;
        }
        entry.estimate = Estimate::first(attempt.ran().min(LONGEST));
        entry.marks.set(Marks::LED | Marks::USED, true);
        let Some((target, attempt)) = lead else { return };
        let Some(entry) = self.table.find_mut(&target.key) else { return };
        entry.marks.set(Marks::USED, false);
        let time = past.ended.saturating_sub(attempt.started).min(LONGEST);
        if time > entry.estimate.mean.micros() {
            // "Slower than that": it never pulls an estimate down.
            entry.estimate = Estimate::first(time);
        }
    }

    /// What the user of a connection to `address` found out.
    pub fn report(&mut self, visit: &Visit, address: SocketAddr, verdict: Verdict, now: Instant) {
        self.rebase(now);
        let now = self.tick(now);
        let (ip, port, family) = ip_and_port(&address);
        let Some(entry) = self.table.find_mut(&key::Key { ip, port, realm: visit.realm(family) }) else {
            return;
        };
        let is_of_verdict = entry.marks.has(Marks::VERDICT);
        if verdict == Verdict::Good {
            if !is_of_verdict || entry.host == visit.host {
                entry.standing = Standing::LIVE;
                entry.marks.set(Marks::VERDICT | Marks::OF_ATTEMPT, false);
            }
        } else if is_of_verdict || entry.standing != Standing::DEMOTED {
            // Else it does not even answer.
            demote(entry, now);
            entry.marks.set(Marks::OF_ATTEMPT, false);
            entry.marks.set(Marks::VERDICT, true);
            entry.host = visit.host;
        }
    }

    // Rule 10.

    fn doubt_of(&mut self, family: Family) -> &mut FamilyDoubt {
        let [v6, v4] = &mut self.doubts;
        match family {
            Family::V6 => v6,
            Family::V4 => v4,
        }
    }

    fn doubt(&mut self, target: &Target, at: u32) {
        let (realm, number) = (target.key.realm, target.number);
        let doubt = self.doubt_of(target.family);
        if doubt.realm != realm || at.saturating_sub(doubt.at) > HALF_LIFE {
            *doubt = FamilyDoubt { realm, at, numbers: [0; 3] };
        }
        doubt.at = at;
        for known in &mut doubt.numbers {
            if *known == 0 {
                *known = number;
            }
            if *known == number {
                return;
            }
        }
    }
}

fn is_source_gone(attempt: &AttemptRecord) -> bool {
    matches!(attempt.outcome, Some(AttemptOutcome::Failed(AttemptErrorKind::SourceGone)))
}

/// Rule 5.
fn was_silent(entry: &mut Entry, time: u32, started: u32, at: u32) {
    if !entry.estimate.is_known() || time / 2 < entry.estimate.measure(0) || started <= entry.counted {
        return;
    }
    match entry.standing {
        Standing::LIVE => (entry.standing, entry.counted) = (Standing::MISSED, at),
        _ => demote(entry, at),
    }
}

/// Rule 4: one failure more, or the second miss in a row.
fn demote(entry: &mut Entry, at: u32) {
    let mut level = 0;
    if entry.standing == Standing::DEMOTED {
        let decayed = at.saturating_sub(entry.counted) / HALF_LIFE;
        level = u32::from(entry.marks.level()).saturating_add(1).saturating_sub(decayed);
    }
    // At most 8.
    entry.marks.set_level(level as u8);
    (entry.standing, entry.counted) = (Standing::DEMOTED, at);
    entry.marks.set(Marks::RISING | Marks::USED, false);
}
