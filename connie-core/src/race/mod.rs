//! The race: all of its state, and every transition that it makes.
//!
//! Two verbs drive it. [`handle_input`](Race::handle_input) reports what happened;
//! [`poll_output`](Race::poll_output) says what to do next. Nothing outside this file decides anything about
//! a race.
//!
//! # The rules
//!
//! ```text
//! A destination   fresh ──start──▶ in flight ──all its attempts failed──▶ failed
//!                   ▲                │  ▲  └──one succeeded──▶ won
//!                   │          evict │  │ start
//!      answer holds │                ▼  │
//!      it again     │              queued
//!                   └─ withdrawn ◀── answer holds fresh or queued one no longer
//!
//! The race        racing ──attempt succeeded──▶ won
//!                   └──nothing left to try │ deadline │ cancel │ stack gone──▶ lost
//! ```
//!
//! 1. **Start** when resolution lets the race begin, the pacing lets the next attempt begin, a destination
//!    waits and fewer than `k` attempts are in flight. Fresh destinations come first, families alternating;
//!    then evicted ones in the order of their eviction.
//! 2. **Evict** when rule 1 fails only for want of a socket: an attempt yields to a fresh newcomer when it
//!    has run for one patience, and to one that was evicted when it has outstayed its own patience and the
//!    newcomer's. Of those that yield the one that has done so longest goes, and while there is a choice, not
//!    the last in flight of a family that the newcomer does not belong to. Its destination queues with twice
//!    the patience that it was given.
//! 3. **Hedge** when a socket is free, nothing waits, and a destination's only attempt has outstayed its
//!    patience: a second attempt starts beside it.
//! 4. **An attempt that fails** frees its socket at once. Its destination has failed unless its other attempt
//!    is in flight. With [`Pacing::Staggered`] the next attempt may start now.
//! 5. **Out of sockets**: with other attempts in flight `k` becomes their number and the destination keeps
//!    its turn, which costs no delay; with none the destination has failed. `k` stays as low until the caller
//!    [grows](Race::grow_to) it: the stack says when it has no socket and never when it has one again, but a
//!    caller that shares sockets out sees them come back. A caller that is wrong about that costs the race
//!    one more attempt without a socket, after which `k` is what it was.
//! 6. **The first attempt that succeeds wins.** The race is over: all others are canceled, then comes
//!    `Established`.
//! 7. **The race is lost** when resolution is complete and no destination waits or is in flight; at the
//!    deadline; when canceled; or when the stack is gone. All attempts in flight are canceled, then comes
//!    `Failed`.
//! 8. **`k` changes** as the caller says: [`limit_to`](Race::limit_to) lowers it, to one at least,
//!    [`pause`](Race::pause) makes it 0, and [`grow_to`](Race::grow_to) raises it, to at most
//!    [`Config::max_in_flight`] and the capacity. That counts from the next poll on. What waits starts, or is
//!    hedged, as soon as rules 1 and 3 have room. With more than `k` in flight and nothing waiting, an
//!    attempt yields as it would to a newcomer that has been evicted as often as any that is in flight.
//! 9. **A [plan](Plan)** puts fresh destinations in another order, and times the first starts: the lead
//!    alone, the second when it is late, the rest when that is late too, and all of them at the latest `Δ`
//!    after the race could have started. A failure starts the next at once. Those that are held back wait:
//!    nothing is evicted or hedged before they are started. A start, or a hedge, beyond those that are paid
//!    for comes a delay after the one before, which doubles up to 2 s. [`Pacing::Staggered`] keeps its own
//!    delays, of which a plan can shorten the first. A race without room for a plan is the one that the other
//!    rules describe.
//! 10. **A source that changes**: the attempts of the family fail as [`SourceGone`], and what the race tried
//!     of the family it has not tried: those destinations are fresh, with their first patience, and those
//!     that had failed as well, since that was said of the network that is gone. The other family, `k` and
//!     the deadline stay. Where an attempt has ended by it, the next may start as after one that failed (rule
//!     4), and no more at once than the pacing allows; a delay that has grown stays so, and for a plan as
//!     many have started as are in flight.
//!
//! # The laws
//!
//! They hold after every call. Debug builds assert what a state can show of them; `connie-sim` has a referee
//! that holds a race to all of them from outside.
//!
//! 1. At most one `Established`, and nothing starts after the race has ended.
//! 2. Never more than `k` attempts in flight: none starts while as many are. ([`limit_to`](Race::limit_to)
//!    can make `k` smaller than what is in flight already.) `k` itself is never more than
//!    [`Config::max_in_flight`] and the capacity, and never less than one unless the race is
//!    [paused](Race::pause).
//! 3. Every started attempt ends exactly once: won, failed, canceled or evicted; at the end none is open.
//! 4. `WaitUntil` is in the future; `WaitForInput` comes only when an input can still come, or a paused race
//!    can grow.
//! 5. A race whose inputs stop ends by its deadline.
//! 6. Every destination is started before the race fails for any reason but cancel, deadline or a stack that
//!    is gone.
//! 7. Only a completed handshake wins.
//!
//! [`SourceGone`]: AttemptErrorKind::SourceGone

mod attempt;
mod config;
mod destinations;
mod gate;
mod input;
mod output;
mod pacing;
mod plan;
mod view;

use core::borrow::Borrow;
use core::net::SocketAddr;

use heapless::Vec;

pub(crate) use attempt::Signed;
pub use attempt::{AttemptError, AttemptErrorKind, AttemptId, AttemptOutcome, TlsFailure};
pub use config::Config;
pub use destinations::Destination;
pub(crate) use destinations::{Ip, ip_and_port};
pub use input::{Families, Family, Input};
pub use output::{Failure, Output};
pub use pacing::{Pacing, UnknownPacing};
pub(crate) use plan::{ChosenAddress, DestinationIndex, PlanRequest, PlanTimes, turn};
pub use plan::{Guide, Plan, Planned, Unplanned};

use crate::empty::empty;
use crate::time::{Instant, NEVER};
use crate::timeline::Records;
use config::RaceSettings;
use destinations::Destinations;
use gate::{FamilyAnswers, StartGate, StartRule};
use pacing::RacePace;

/// A race for one connection to a host with many addresses.
///
/// It holds up to `DESTINATIONS` addresses (at most 255), has up to `SOCKETS` attempts in flight (at
/// most 255), and remembers up to `RECORDS` attempts for its timeline (at least `SOCKETS`). Capacities that
/// cannot work do not compile.
///
/// The caller owns the sockets, the clock and the resolver. Time only comes in as an argument; waking late,
/// early or for nothing is just another poll.
///
/// ```
/// use connie_core::{Config, Family, Input, Instant, Output, Race};
///
/// let mut race = Race::<16, 4>::new(&Config::all_at_once(), Instant::ZERO);
/// let addresses = ["192.0.2.1:80".parse().unwrap(), "192.0.2.2:80".parse().unwrap()];
/// race.handle_input(Input::Resolved { family: Family::V4, addresses: &addresses }, Instant::ZERO);
///
/// let now = Instant::ZERO;
/// let Output::StartAttempt { id, destination } = race.poll_output(now) else { panic!() };
/// assert_eq!(destination, addresses[0]);
/// let Output::StartAttempt { .. } = race.poll_output(now) else { panic!() };
/// let Output::WaitUntil(_) = race.poll_output(now) else { panic!() };
///
/// let now = Instant::from_millis(30);
/// race.handle_input(Input::AttemptSucceeded { id }, now);
/// let Output::CancelAttempt { .. } = race.poll_output(now) else { panic!() };
/// assert_eq!(race.poll_output(now), Output::Established { id, destination });
/// ```
#[derive(Clone, Debug)]
pub struct Race<
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    G: Guide = Unplanned,
> {
    settings: RaceSettings,
    phase: RacePhase,
    resolution: FamilyAnswers,
    start_rule: StartRule,
    destinations: Destinations<DESTINATIONS>,
    /// In the order of their start, so that of two that have waited equally long the older comes first.
    in_flight: Vec<InFlight, SOCKETS>,
    records: Records<RECORDS>,
    /// `k`: the most attempts in flight from now on.
    max_in_flight: u8,
    /// The most that `k` can be: what the configuration wants, as far as there is room for it.
    configured_max: u8,
    peak_in_flight: u8,
    /// Whether an attempt was ever started: resolution no longer holds the race back.
    begun: bool,
    pace: RacePace,
    /// What it keeps of its plan: nothing where it has none.
    guide: G,
    /// The newest time that the race was given.
    now: Instant,
    start: Instant,
    deadline: Option<Instant>,
    /// Whether an attempt can use up its time.
    gives_up: bool,
    resolved: Option<Instant>,
    ended: Option<Instant>,
}

/// A race with room for a [`Plan`], for a program with a [`Memory`](crate::memory::Memory).
pub type PlannedRace<const DESTINATIONS: usize = 16, const SOCKETS: usize = 4, const RECORDS: usize = 32> =
    Race<DESTINATIONS, SOCKETS, RECORDS, Planned<DESTINATIONS>>;

impl<const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize>
    PlannedRace<DESTINATIONS, SOCKETS, RECORDS>
{
    /// Takes the plan that it is to follow from now on: rule 9. Tell it before the first poll after an
    /// answer. One that comes when an attempt has started puts those that wait in order, and changes no time.
    pub fn follow(&mut self, plan: &Plan<DESTINATIONS>) {
        self.guide.follow(plan);
        if let Some(first) = plan.times.first {
            self.prefer(first);
        }
    }

    /// The plan that it follows, to learn from what came of it.
    #[must_use]
    pub fn plan(&self) -> Plan<DESTINATIONS> {
        self.guide.plan()
    }

    /// What that plan says beside the order.
    pub(crate) fn times(&self) -> &PlanTimes {
        self.guide.times()
    }

    /// When the source of IPv6, and that of IPv4, last changed, in microseconds since the start; `u32::MAX`
    /// where it has not.
    pub(crate) fn moved(&self) -> [u32; 2] {
        self.guide.moved()
    }
}

/// Whether the race runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RacePhase {
    Racing,
    Won { id: AttemptId, place: DestinationIndex },
    Lost(Failure),
}

/// An attempt in flight.
#[derive(Clone, Copy, Debug)]
struct InFlight {
    id: AttemptId,
    place: DestinationIndex,
    record: u16,
    started: Instant,
    /// When it counts as failed.
    gives_up: Instant,
}

impl<const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, G: Guide>
    Race<DESTINATIONS, SOCKETS, RECORDS, G>
{
    /// A race that begins now. Its deadline and its timeline count from here.
    #[must_use]
    pub fn new(config: &Config, now: Instant) -> Self {
        const {
            assert!(DESTINATIONS >= 1 && DESTINATIONS <= 255, "a race holds 1 to 255 destinations");
            assert!(SOCKETS >= 1 && SOCKETS <= 255, "a race has 1 to 255 sockets");
            assert!(RECORDS >= SOCKETS, "every attempt in flight needs a record");
            assert!(RECORDS <= 65_535, "a race records at most 65,535 attempts");
        }
        let pace = RacePace::new(config.pacing, now);
        // At most 255, as asserted above.
        let configured_max = config.max_in_flight.clamp(1, SOCKETS) as u8;
        Race {
            settings: RaceSettings::new(config),
            phase: RacePhase::Racing,
            resolution: FamilyAnswers::new(config.families),
            start_rule: config.pacing.start_rule(config.resolution_delay),
            destinations: Destinations::new(),
            in_flight: empty(),
            records: Records::new(),
            max_in_flight: configured_max,
            configured_max,
            peak_in_flight: 0,
            begun: false,
            now,
            start: now,
            deadline: config.deadline.map(|deadline| now + deadline),
            gives_up: config.attempt_timeout.is_some()
                || (pace.shares_deadline() && config.deadline.is_some()),
            pace,
            guide: G::default(),
            resolved: None,
            ended: None,
        }
    }

    /// Takes an input. Poll the race afterwards.
    // Inlined: each caller passes an input that it has made, so that firmware has no code for the others, 600
    // octets.
    #[inline(always)]
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        self.advance(now);
        match input {
            Input::Resolved { family, addresses } => {
                self.answered(Families::Only(family), addresses.iter());
            }
            Input::Hinted { family, addresses } => self.hinted(family, addresses.iter()),
            Input::ResolutionFailed { family } => self.unanswered(family),
            Input::AttemptSucceeded { id } => self.succeeded(id),
            Input::AttemptFailed { id, error } => self.failed(id, error),
            Input::SourceChanged { family } => self.source_changed(family),
            Input::Cancel => self.lose(Failure::Canceled),
        }
        self.check_laws();
    }

    /// As [`Input::AttemptSucceeded`] or [`Input::AttemptFailed`].
    pub(crate) fn attempt_ended(&mut self, id: AttemptId, how: Result<(), &AttemptError>, now: Instant) {
        self.advance(now);
        match how {
            Ok(()) => self.succeeded(id),
            Err(error) => self.failed(id, *error),
        }
        self.check_laws();
    }

    /// Resolution of both families is over and gave these addresses, in order of
    /// preference within each family. For a caller that has a list and no resolver.
    pub fn handle_addresses(&mut self, addresses: &[SocketAddr], now: Instant) {
        self.handle_list(addresses.iter(), now);
    }

    /// The same, with addresses that lie in no slice.
    pub(crate) fn handle_list(
        &mut self,
        addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone,
        now: Instant,
    ) {
        self.advance(now);
        self.answered(Families::Both, addresses);
        self.check_laws();
    }

    /// As [`Input::Resolved`], or as [`Input::Hinted`] where there `is_hint`, with addresses that lie in no
    /// slice.
    pub(crate) fn handle_answer(
        &mut self,
        family: Family,
        addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone,
        is_hint: bool,
        now: Instant,
    ) {
        self.advance(now);
        match is_hint {
            true => self.hinted(family, addresses),
            false => self.answered(Families::Only(family), addresses),
        }
        self.check_laws();
    }

    /// The family whose addresses come first from now on, in place of [`Config::preferred_family`]. Once
    /// addresses are known, RFC 6724 section 6 decides which that is.
    pub fn prefer(&mut self, family: Family) {
        self.settings.preferred_family = family;
    }

    /// Counts addresses of an answer that the caller had no room for, and so did not tell the race, among
    /// those that its table had no room for: [`Summary::omitted_destinations`] counts both.
    ///
    /// [`Summary::omitted_destinations`]: crate::timeline::Summary::omitted_destinations
    pub fn note_omitted(&mut self, addresses: u16) {
        self.destinations.note_omitted(addresses);
    }

    /// Makes the max in flight `sockets`, at least one, where that is fewer than it was.
    ///
    /// Attempts in flight beyond it go on, but their sockets are not used again: no attempt starts until
    /// fewer than the limit are in flight. Those that have outstayed their patience are evicted for that,
    /// also where nothing waits (rules 2 and 8). Poll the race afterwards: a moment named before no longer
    /// holds.
    pub fn limit_to(&mut self, sockets: usize) {
        self.lower_limit(sockets);
        self.check_laws();
    }

    /// Makes the max in flight 0: until it [grows](Race::grow_to) no attempt starts, and those in
    /// flight yield when they have outstayed their patience, the last of them too. They can win or fail
    /// meanwhile.
    ///
    /// For a caller that needs the last socket for something without which the race may not come to an end,
    /// such as a lookup. While the race is paused with nothing in flight, it waits for the caller: it does
    /// not fail before its deadline. Poll it afterwards, as after [`limit_to`](Race::limit_to), which changes
    /// nothing for a race that is paused.
    pub fn pause(&mut self) {
        self.max_in_flight = 0;
        self.check_laws();
    }

    fn lower_limit(&mut self, sockets: usize) {
        // At most the limit, which is a `u8`.
        self.max_in_flight = usize::from(self.max_in_flight).min(sockets.max(1)) as u8;
    }

    /// Makes the max in flight `sockets` where that is more than it is, though never more than
    /// [`Config::max_in_flight`] and the capacity. Poll the race afterwards: what waits may start at once,
    /// and a moment named before no longer holds.
    ///
    /// A caller uses it to give back what [`limit_to`](Race::limit_to) took, and to report that there are
    /// sockets again after the stack ran out of them (rule 5). If that is wrong, the stack runs out again,
    /// which costs no destination its turn. A race that has ended stays as it is.
    pub fn grow_to(&mut self, sockets: usize) {
        if self.is_racing() {
            // At most the capacity, which is a `u8`.
            self.max_in_flight =
                usize::from(self.configured_max).min(sockets).max(self.max_in_flight.into()) as u8;
        }
        self.check_laws();
    }

    /// Returns what to do next. Act on it, and poll again until the answer [ends the
    /// drain](Output::ends_drain).
    pub fn poll_output(&mut self, now: Instant) -> Output {
        self.advance(now);
        let output = self.next_output();
        self.check_laws();
        output
    }

    /// Takes note of the time. When the clock runs backwards, the race's time stands still.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
    }

    // Inputs.

    fn answered(&mut self, families: Families, addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone) {
        let Some(families) = self.resolution.wanted(families) else { return };
        if !self.is_racing() {
            return;
        }
        let (v4, v6) = self.take_in(families, addresses);
        for (family, positive) in [(Family::V6, v6), (Family::V4, v4)] {
            if families.allow(family) {
                self.resolution.record(family, positive, self.now);
            }
        }
    }

    fn hinted(&mut self, family: Family, addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone) {
        if self.is_racing() && self.resolution.is_open(family) {
            let (v4, v6) = self.take_in(Families::Only(family), addresses);
            self.resolution.record_hint(family, v4 || v6, self.now);
        }
    }

    /// What may lead to a connection stays. RFC 8305 section 6 takes an address off the list where "the DNS
    /// answers change", and a query that failed has no answer: it says nothing about the one that came
    /// before. Nor does RFC 9460 say what becomes of hints when the answer never comes.
    fn unanswered(&mut self, family: Family) {
        self.resolution.close(family);
    }

    /// Answers whether there is an IPv4 and an IPv6 address among `addresses`, as far as they are of
    /// `families`.
    fn take_in(
        &mut self,
        families: Families,
        addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone,
    ) -> (bool, bool) {
        let (records, in_flight) = (&mut self.records, &mut self.in_flight);
        let (v4, v6) = self.destinations.answer(families, addresses, &mut |place| {
            while let Some(index) = records.of(place) {
                forget(records, in_flight, index);
            }
        });
        if (v4 || v6) && self.resolved.is_none() {
            self.resolved = Some(self.now);
        }
        (v4, v6)
    }

    fn succeeded(&mut self, id: AttemptId) {
        // Rule 6. Once the race has ended, an attempt that succeeds is still canceled: it stays in flight
        // until then.
        if !self.is_racing() {
            return;
        }
        if let Some(attempt) = self.remove(id, AttemptOutcome::Established) {
            self.phase = RacePhase::Won { id, place: attempt.place };
            self.ended = Some(self.now);
        }
    }

    fn failed(&mut self, id: AttemptId, error: AttemptError) {
        let Some(attempt) = self.remove(id, AttemptOutcome::Failed(error.kind())) else { return };
        if !self.is_racing() {
            return;
        }
        // Rules 4 and 5.
        let others = self.in_flight.len();
        if error == AttemptErrorKind::OutOfSockets {
            self.lower_limit(others);
        }
        self.pace.failed(self.now);
        if let Some(steps) = self.guide.steps_mut() {
            steps.failed(attempt.place, self.now, others == 0);
            if error == AttemptErrorKind::OutOfSockets && others > 0 {
                steps.put_back();
            }
        }
        if self.is_in_flight(attempt.place) {
            // Its other attempt goes on.
        } else if error == AttemptErrorKind::OutOfSockets && others > 0 {
            self.destinations.put_back(attempt.place, self.settings.preferred_family);
        } else {
            self.destinations.fail(attempt.place, error);
        }
        if error == AttemptErrorKind::StackGone {
            self.lose(Failure::StackGone);
        }
    }

    /// Rule 10. With an attempt that has ended the next may start, as by rule 4. Without one nothing has
    /// become free, and what is fresh again takes its turn: no delay of the other family is cut short.
    fn source_changed(&mut self, family: Family) {
        if !self.is_racing() {
            return;
        }
        while let Some(attempt) = self.in_flight.iter().find(|it| self.family_of(it.place) == Some(family)) {
            let id = attempt.id;
            // It was found there.
            let _ = self.remove(id, AttemptOutcome::Failed(AttemptErrorKind::SourceGone));
            self.pace.failed(self.now);
            if let Some(steps) = self.guide.steps_mut() {
                // At most 255, the capacity.
                steps.begin_anew(self.in_flight.len() as u8, self.now);
            }
        }
        self.destinations.renew(family, self.settings.preferred_family);
        if let Some(steps) = self.guide.steps_mut() {
            steps.note_move(family, self.now.micros_since(self.start));
        }
    }

    fn family_of(&self, place: DestinationIndex) -> Option<Family> {
        self.destinations.get(place).map(Destination::family)
    }

    fn lose(&mut self, failure: Failure) {
        if self.is_racing() {
            self.count_in_flight();
            self.phase = RacePhase::Lost(failure);
            self.ended = Some(self.now);
        }
    }

    // Outputs. Each step answers `Some` when it has something to do, and leaves the rest to the next.

    fn next_output(&mut self) -> Output {
        if self.is_racing() && self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.lose(Failure::DeadlineExceeded);
        }
        if self.is_racing() {
            if let Some(output) = self.give_up() {
                return output;
            }
            if let Some(output) = self.start_next() {
                return output;
            }
            if let Some(output) = self.start_hedge() {
                return output;
            }
            if self.can_go_on() {
                self.count_in_flight();
                return self.wait();
            }
            let untried = !self.destinations.as_slice().iter().any(Destination::was_started);
            self.lose(if untried { Failure::NoDestinations } else { Failure::AllAttemptsFailed });
        }
        self.cancel_next().unwrap_or_else(|| self.end())
    }

    /// An attempt that has used up its time has failed.
    fn give_up(&mut self) -> Option<Output> {
        if !self.gives_up {
            return None;
        }
        let id = self.in_flight.iter().find(|attempt| attempt.gives_up <= self.now)?.id;
        self.failed(id, AttemptErrorKind::TimedOut.into());
        Some(Output::CancelAttempt { id })
    }

    /// Rules 1, 2 and 8.
    fn start_next(&mut self) -> Option<Output> {
        if self.destinations.waiting() == 0 {
            return if self.is_beyond_limit() { self.evict_for(None) } else { None };
        }
        if self.earliest_start()? > self.now {
            return None;
        }
        let place = self.next_place()?;
        if self.in_flight.len() >= self.max_in_flight.into() {
            return self.evict_for(Some(place));
        }
        let gives_up = self.gives_up();
        self.begun = true;
        self.destinations.start(place, self.settings.preferred_family);
        self.pace.started(self.now);
        if let Some(steps) = self.guide.steps() {
            self.pace.shorten(self.now, |delay| steps.shortened(delay));
        }
        self.start_attempt(place, false, gives_up)
    }

    /// Rule 2. With no newcomer rule 8: as for one that never starts.
    fn evict_for(&mut self, newcomer: Option<DestinationIndex>) -> Option<Output> {
        if !self.settings.evict {
            return None;
        }
        let family = |place| self.family_of(place);
        let is_last = |victim: &InFlight| {
            let its_own = family(victim.place);
            its_own != newcomer.and_then(family)
                && self.in_flight.iter().filter(|attempt| family(attempt.place) == its_own).count() == 1
        };
        let rounds = self.rounds_of(newcomer);
        let mut goes = None;
        for attempt in &self.in_flight {
            let at = self.yields_at(attempt, rounds);
            if at > self.now {
                continue;
            }
            let key = (is_last(attempt), at);
            // Of two that are alike the first goes, which is the older.
            if goes.is_none_or(|(least, _)| key < least) {
                goes = Some((key, attempt.id));
            }
        }
        let (_, id) = goes?;
        let attempt = self.remove(id, AttemptOutcome::Evicted)?;
        if !self.is_in_flight(attempt.place) {
            self.destinations.evict(attempt.place, rounds);
        }
        Some(Output::CancelAttempt { id })
    }

    /// When `attempt` yields its socket to a newcomer that has been evicted `given` times: to a fresh one
    /// after a single patience, however long its own has become. To one that was evicted not before it has
    /// run as long as that is going to: otherwise one evicted a moment ago would throw out the next, and that
    /// the next again, and all attempts in flight would start anew whenever a single address waits.
    fn yields_at(&self, attempt: &InFlight, given: u8) -> Instant {
        let rounds = if given == 0 { 0 } else { given.max(self.rounds(attempt.place)) };
        attempt.started.plus_micros(self.settings.patience(rounds))
    }

    /// How often the destination has been evicted.
    fn rounds(&self, place: DestinationIndex) -> u8 {
        self.destinations.get(place).map_or(0, Destination::rounds)
    }

    /// How often the newcomer has been evicted; with none, as often as any that is in flight.
    fn rounds_of(&self, newcomer: Option<DestinationIndex>) -> u8 {
        match newcomer {
            Some(place) => self.rounds(place),
            None => self.in_flight.iter().map(|attempt| self.rounds(attempt.place)).max().unwrap_or(0),
        }
    }

    /// Whether `k` has been made less than what is in flight, and nothing waits for which an attempt would
    /// yield.
    fn is_beyond_limit(&self) -> bool {
        self.in_flight.len() > self.max_in_flight.into() && self.destinations.waiting() == 0
    }

    /// Rule 3.
    fn start_hedge(&mut self) -> Option<Output> {
        let (place, at) = self.next_hedge()?;
        if at > self.now {
            return None;
        }
        self.destinations.hedge(place);
        self.start_attempt(place, true, self.gives_up())
    }

    fn start_attempt(&mut self, place: DestinationIndex, hedge: bool, gives_up: Instant) -> Option<Output> {
        debug_assert!(self.is_racing(), "law 1: nothing starts after the race has ended");
        debug_assert!(
            self.deadline.is_none_or(|deadline| self.now < deadline),
            "law 5: nor after its deadline"
        );
        let destination = self.destinations.get(place)?.address();
        if let Some(surplus) = self.records.surplus() {
            forget(&mut self.records, &mut self.in_flight, surplus);
        }
        // An attempt takes at least 10 ms of patience, or fails its destination for good: a race that used up
        // the ids would have run for years.
        let id = AttemptId(self.records.started());
        let record = self.records.start(place, hedge, self.now.micros_since(self.start));
        debug_assert!(self.in_flight.len() < self.max_in_flight.into(), "law 2: never started beyond k");
        let pushed = self.in_flight.push(InFlight { id, place, record, started: self.now, gives_up });
        // Both callers have found fewer attempts in flight than `limit`, which is never above the capacity.
        debug_assert!(pushed.is_ok());
        if let Some(steps) = self.guide.steps_mut() {
            steps.started(self.now);
        }
        Some(Output::StartAttempt { id, destination })
    }

    /// When an attempt that starts now counts as failed.
    fn gives_up(&self) -> Instant {
        if !self.gives_up {
            return NEVER;
        }
        let share = self.pace.share_ends(self.now, self.deadline, self.destinations.waiting());
        self.now.plus_micros(self.settings.attempt_timeout).min(share)
    }

    /// When resolution and pacing let the next attempt start; `None` where that hangs on an input.
    fn earliest_start(&self) -> Option<Instant> {
        let gate = match self.begun {
            true => StartGate::Open,
            false => self.resolution.gate(self.start_rule, self.settings.preferred_family, self.now),
        };
        let resolved = match gate {
            StartGate::Open => self.now,
            StartGate::OpensAt(at) => at,
            StartGate::Closed => return None,
        };
        let paced = self.pace.earliest_start(resolved, self.in_flight.len())?;
        let Some(steps) = self.guide.steps() else { return Some(paced) };
        // Rule 9. All at once, a race starts with the first address that it is given.
        let planned = match self.pace.is_all_at_once() {
            true => steps.earliest(paced, self.resolved.unwrap_or(self.now), !self.resolution.is_complete()),
            false => paced.max(steps.unpaid_until()),
        };
        Some(planned)
    }

    /// The destination that is the next to get a hedge, and when, where a socket is free for it.
    fn next_hedge(&self) -> Option<(DestinationIndex, Instant)> {
        if !self.settings.hedge
            || self.destinations.waiting() > 0
            || self.in_flight.len() >= self.max_in_flight.into()
        {
            return None;
        }
        let alone = self.in_flight.iter().filter(|attempt| self.destinations.may_hedge(attempt.place));
        let outstays =
            alone.map(|attempt| (attempt.place, self.yields_at(attempt, self.rounds(attempt.place))));
        let Some(steps) = self.guide.steps() else { return outstays.min_by_key(|&(_, at)| at) };
        // Rule 9: a second SYN is one more that has to be paid for.
        outstays.min_by_key(|&(_, at)| at).map(|(place, at)| (place, at.max(steps.hedges_at(place, at))))
    }

    /// When an attempt yields to the destination whose turn it is; where none waits, to a newcomer that never
    /// starts.
    fn next_eviction(&self) -> Instant {
        if !self.settings.evict {
            return NEVER;
        }
        let rounds = self.rounds_of(self.next_place());
        self.in_flight.iter().map(|attempt| self.yields_at(attempt, rounds)).fold(NEVER, Instant::min)
    }

    /// The destination whose turn it is.
    fn next_place(&self) -> Option<DestinationIndex> {
        let (preferred, count) = (self.settings.preferred_family, self.settings.first_address_family_count);
        if self.guide.steps().is_none() {
            return self.destinations.next(preferred, count);
        }
        let is_grouped = self.pace.is_staggered();
        self.destinations.next_by(preferred, count, is_grouped, self.guide.turns())
    }

    /// Whether anything can still bring a connection.
    fn can_go_on(&self) -> bool {
        !self.in_flight.is_empty() || self.destinations.waiting() > 0 || !self.resolution.is_complete()
    }

    /// The soonest of all that time alone brings about.
    fn wait(&self) -> Output {
        let mut soonest = self.deadline.unwrap_or(NEVER);
        for attempt in &self.in_flight {
            soonest = soonest.min(attempt.gives_up);
        }
        if self.destinations.waiting() > 0 {
            let start = self.earliest_start().unwrap_or(NEVER);
            if self.in_flight.len() < self.max_in_flight.into() {
                soonest = soonest.min(start);
            } else {
                soonest = soonest.min(start.max(self.next_eviction()));
            }
        } else if self.is_beyond_limit() {
            soonest = soonest.min(self.next_eviction());
        } else if let Some((_, at)) = self.next_hedge() {
            soonest = soonest.min(at);
        }
        debug_assert!(soonest > self.now, "law 4: a wait is for the future");
        if soonest == NEVER { Output::WaitForInput } else { Output::WaitUntil(soonest) }
    }

    /// The race has ended: its attempts in flight end with it, one a poll.
    fn cancel_next(&mut self) -> Option<Output> {
        let attempt = self.in_flight.pop()?;
        let outcome = if matches!(self.phase, RacePhase::Lost(Failure::DeadlineExceeded)) {
            self.destinations.fail(attempt.place, AttemptErrorKind::TimedOut.into());
            AttemptOutcome::Failed(AttemptErrorKind::TimedOut)
        } else {
            AttemptOutcome::Canceled
        };
        self.records.end(attempt.record, self.now.micros_since(self.start), outcome);
        Some(Output::CancelAttempt { id: attempt.id })
    }

    fn end(&self) -> Output {
        match self.phase {
            RacePhase::Lost(failure) => Output::Failed(failure),
            RacePhase::Won { id, place } => match self.destinations.get(place) {
                Some(winner) => Output::Established { id, destination: winner.address() },
                // A place in the table never goes away.
                None => Output::Failed(Failure::AllAttemptsFailed),
            },
            RacePhase::Racing => self.wait(),
        }
    }

    // Attempts in flight.

    fn is_racing(&self) -> bool {
        self.ended.is_none()
    }

    fn is_in_flight(&self, place: DestinationIndex) -> bool {
        self.in_flight.iter().any(|attempt| attempt.place == place)
    }

    /// Called before there are fewer, and while the race waits: the most of these is the most there ever
    /// were.
    fn count_in_flight(&mut self) {
        // At most 255, the capacity.
        self.peak_in_flight = self.peak_in_flight.max(self.in_flight.len() as u8);
    }

    /// Takes an attempt out of flight. With `cancel_next` the only way out, so that each ends exactly once.
    fn remove(&mut self, id: AttemptId, outcome: AttemptOutcome) -> Option<InFlight> {
        let index = self.in_flight.iter().position(|attempt| attempt.id == id)?;
        // An attempt for which there was no socket was never in flight.
        if !matches!(outcome, AttemptOutcome::Failed(AttemptErrorKind::OutOfSockets)) {
            self.count_in_flight();
        }
        // The others keep the order of their start.
        let mut attempt = self.in_flight.pop()?;
        for later in self.in_flight.get_mut(index..)?.iter_mut().rev() {
            (*later, attempt) = (attempt, *later);
        }
        self.records.end(attempt.record, self.now.micros_since(self.start), outcome);
        Some(attempt)
    }

    /// Asserts, in debug builds, the laws that a state can show.
    fn check_laws(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let in_flight = self.in_flight.len();
        debug_assert!(self.max_in_flight <= self.configured_max, "law 2: `k` is within its bounds");
        let open = self.records.as_slice().iter().filter(|record| record.is_open()).count();
        debug_assert_eq!(open, in_flight, "law 3: what is open in the record is in flight");
        if self.is_racing() {
            self.destinations.check(|place| {
                self.in_flight.iter().filter(|attempt| usize::from(attempt.place) == place).count()
            });
        }
        if let RacePhase::Lost(Failure::AllAttemptsFailed | Failure::NoDestinations) = self.phase {
            debug_assert_eq!(in_flight, 0, "law 3: a race fails when nothing is in flight");
            debug_assert_eq!(self.destinations.waiting(), 0, "law 6: a race fails when nothing waits");
        }
    }
}

/// Forgets a record of an attempt that has ended. The records above it move down by one.
fn forget<const R: usize>(records: &mut Records<R>, in_flight: &mut [InFlight], index: usize) {
    records.forget(index);
    for attempt in in_flight {
        if usize::from(attempt.record) > index {
            attempt.record = attempt.record.saturating_sub(1);
        }
    }
}
