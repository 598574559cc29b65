//! Plays a scenario over a bare race, and writes down all that the race is told and answers.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, AttemptOutcome, Config, Family, Input, Instant, Output,
    Pacing, Race,
};
use connie_sim::{Rng, words};

use crate::plan::{TraceEvent, TracePlan, TraceResult, TraceSize, Wakes};

/// Linux gives up on a SYN after so many microseconds.
const GIVES_UP: u64 = 127_000_000;
/// Where a trace is cut: races whose addresses are all silent would go on for hours.
const MOST_LINES: usize = 500;

/// What a race was told and answered.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// A line for each input and each output: the time in microseconds, `<` for what the race is told and `>`
    /// for what it answers.
    pub(crate) lines: Vec<String>,
    /// What the race says of itself at the end.
    pub(crate) timeline: Vec<String>,
    /// What happened, for the counts of how often each kind does.
    pub(crate) kinds: BTreeSet<&'static str>,
    /// The starts: address and microseconds from the race's start.
    pub(crate) starts: Vec<(SocketAddr, u64)>,
    /// The last output, and when it came.
    pub(crate) end: Option<(Output, u64)>,
}

/// Plays `plan`.
pub(crate) fn play(plan: &TracePlan) -> Trace {
    match plan.room {
        TraceSize::Large => Play::<64, 16, 256>::new(plan).run(),
        TraceSize::Small => Play::<6, 3, 4>::new(plan).run(),
    }
}

struct Play<'a, const D: usize, const S: usize, const R: usize> {
    plan: &'a TracePlan,
    race: Race<D, S, R>,
    rng: Rng,
    now: Instant,
    /// What the clock shows, and the race is told: it may run backwards.
    shown: Instant,
    /// How many of the plan's news have come.
    told: usize,
    /// Results that are on their way.
    results: Vec<DueResult>,
    open: Vec<AttemptId>,
    /// How many attempts were made on each of the plan's hosts.
    tries: Vec<usize>,
    gone: bool,
    ended: bool,
    trace: Trace,
}

/// A result on its way.
#[derive(Clone, Copy)]
struct DueResult {
    at: Instant,
    id: AttemptId,
    /// `None` for success.
    error: Option<AttemptError>,
}

impl<'a, const D: usize, const S: usize, const R: usize> Play<'a, D, S, R> {
    fn new(plan: &'a TracePlan) -> Self {
        let mut trace = Trace::default();
        let start = plan.start.as_micros();
        trace.lines.push(format!("{start} race of {D}, {S}, {R}: {}", words::config(&plan.config)));
        kinds_of(plan, &mut trace.kinds);
        Play {
            plan,
            race: Race::new(&plan.config, plan.start),
            rng: Rng::new(!plan.seed),
            now: plan.start,
            shown: plan.start,
            told: 0,
            results: Vec::new(),
            open: Vec::new(),
            tries: vec![0; plan.hosts.len()],
            gone: false,
            ended: false,
            trace,
        }
    }

    fn run(mut self) -> Trace {
        while let Some(output) = self.settle() {
            if let Output::Established { .. } | Output::Failed(_) = output {
                self.ended = true;
                self.come_late(output);
                break;
            }
            let due = if let Output::WaitUntil(until) = output { Some(until) } else { None };
            let Some(next) = earliest(due, self.next_input()) else {
                self.note("left waiting");
                break;
            };
            self.sleep_until(next);
        }
        self.conclude()
    }

    /// Tells the race what is due and does what it says, until it waits or has ended; `None` where the trace
    /// is long enough.
    fn settle(&mut self) -> Option<Output> {
        loop {
            while self.is_due() && !(self.plan.interleaves && self.rng.chance(40)) {
                self.handle_next();
            }
            let output = self.poll();
            if self.trace.lines.len() >= MOST_LINES {
                self.note("cut");
                return None;
            }
            match output {
                Output::StartAttempt { id, destination } => self.start(id, destination),
                Output::CancelAttempt { id } => self.cancel(id),
                Output::Established { .. } | Output::Failed(_) => return Some(output),
                Output::WaitUntil(_) | Output::WaitForInput if !self.is_due() => return Some(output),
                Output::WaitUntil(_) | Output::WaitForInput => {}
            }
        }
    }

    fn poll(&mut self) -> Output {
        let output = self.race.poll_output(self.shown);
        let limit = self.race.max_in_flight();
        self.write('>', format!("{} ({limit})", words::output(&output)));
        output
    }

    // What the world does.

    fn start(&mut self, id: AttemptId, destination: SocketAddr) {
        let since = self.now.duration_since(self.plan.start).as_micros() as u64;
        if self.trace.starts.iter().any(|(before, _)| *before == destination) {
            self.note("another attempt on an address");
        }
        self.trace.starts.push((destination, since));
        let number = self.trace.starts.len();
        self.open.push(id);
        let stack = &self.plan.stack;
        let fails = |kind: AttemptErrorKind| TraceResult::Fails(0, kind.into());
        let result = if self.gone {
            fails(AttemptErrorKind::StackGone)
        } else if stack.runs_out_at == Some(number)
            || stack.sockets.is_some_and(|most| self.open.len() > most)
        {
            TraceResult::Fails(stack.says_so_after, AttemptErrorKind::OutOfSockets.into())
        } else if stack.lacks == Some(Family::of(&destination)) {
            fails(AttemptErrorKind::Unreachable)
        } else {
            self.result(destination)
        };
        let (after, error) = match result {
            TraceResult::Succeeds(after) => (after, None),
            TraceResult::Fails(after, error) => (after, Some(error)),
            TraceResult::Silent => (GIVES_UP, Some(AttemptErrorKind::TimedOut.into())),
        };
        self.results.push(DueResult { at: later(self.now, after), id, error });
    }

    /// What becomes of the next attempt on `destination`.
    fn result(&mut self, destination: SocketAddr) -> TraceResult {
        let place = self.plan.hosts.iter().position(|host| host.address == destination);
        let Some(place) = place else { return TraceResult::Silent };
        let attempts = &self.plan.hosts[place].attempts;
        let result = attempts[self.tries[place].min(attempts.len() - 1)];
        self.tries[place] += 1;
        result
    }

    fn cancel(&mut self, id: AttemptId) {
        self.open.retain(|open| *open != id);
        if !self.plan.tells_late_results {
            self.results.retain(|due| due.id != id);
        }
    }

    // What the race is told.

    fn next_input(&self) -> Option<Instant> {
        let news = self.plan.news.get(self.told).map(|(at, _)| later(self.plan.start, *at));
        earliest(news, self.results.iter().map(|due| due.at).min())
    }

    fn is_due(&self) -> bool {
        self.next_input().is_some_and(|at| at <= self.now)
    }

    /// The next thing that is due; news before results.
    fn handle_next(&mut self) {
        let plan = self.plan;
        match plan.news.get(self.told) {
            Some((at, news)) if later(plan.start, *at) <= self.now => {
                self.told += 1;
                self.handle_event(news);
            }
            _ => {
                let first = self.results.iter().enumerate().min_by_key(|(_, due)| due.at);
                let Some((first, _)) = first else { return };
                let due = self.results.remove(first);
                if self.results.iter().any(|other| other.at == due.at) {
                    self.note("two results at the same moment");
                }
                if !self.open.contains(&due.id) {
                    self.note("a result that comes too late");
                }
                self.handle_result(due);
            }
        }
    }

    fn handle_event(&mut self, news: &TraceEvent) {
        match news {
            TraceEvent::Resolved(family, addresses) => {
                self.note_answer(*family, addresses);
                self.handle_input(Input::Resolved { family: *family, addresses });
            }
            TraceEvent::Hinted(family, addresses) => {
                self.note("hints");
                self.handle_input(Input::Hinted { family: *family, addresses });
            }
            TraceEvent::ResolutionFailed(family) => {
                self.note("a look-up that fails");
                self.handle_input(Input::ResolutionFailed { family: *family });
            }
            TraceEvent::Addresses(addresses) => {
                self.note("a list of addresses");
                self.write('<', words::list(addresses));
                self.race.handle_addresses(addresses, self.shown);
            }
            TraceEvent::Prefer(family) => {
                self.note("another family preferred");
                self.write('<', format!("prefer {}", words::family(*family)));
                self.race.prefer(*family);
            }
            TraceEvent::LimitTo(sockets) => {
                self.note("limit_to");
                self.write('<', format!("limit to {sockets}"));
                self.race.limit_to(*sockets);
            }
            TraceEvent::Cancel => {
                self.note("a cancel");
                self.handle_input(Input::Cancel);
            }
            TraceEvent::SourceChanged(family) => {
                let family = *family;
                let ended = self.trace.starts.iter().zip(0..);
                let ended = ended.filter(|((to, _), _)| Family::of(to) == family);
                let ended: Vec<u32> = ended.map(|(_, number)| number).collect();
                self.open.retain(|open| !ended.contains(&open.number()));
                self.results.retain(|due| !ended.contains(&due.id.number()));
                self.handle_input(Input::SourceChanged { family });
            }
            TraceEvent::Gone => {
                self.gone = true;
                for due in &mut self.results {
                    (due.at, due.error) = (self.now, Some(AttemptErrorKind::StackGone.into()));
                }
            }
        }
    }

    fn note_answer(&mut self, family: Family, addresses: &[SocketAddr]) {
        self.note(if addresses.is_empty() { "an empty answer" } else { "an answer" });
        if self.now > self.plan.start {
            self.note("a late answer");
        }
        let known = || self.race.timeline().destinations().map(|destination| destination.address());
        let own = known().filter(|address| Family::of(address) == family);
        let started = |address| self.trace.starts.iter().any(|(other, _)| *other == address);
        let taken_back = own.clone().any(|address| !started(address) && !addresses.contains(&address));
        let joins = own.count() > 0 && addresses.iter().any(|address| known().all(|known| known != *address));
        if taken_back {
            self.note("an address taken back");
        }
        if joins && !self.trace.starts.is_empty() {
            self.note("an address that joins");
        }
    }

    fn handle_result(&mut self, due: DueResult) {
        self.open.retain(|open| *open != due.id);
        match due.error {
            None => self.handle_input(Input::AttemptSucceeded { id: due.id }),
            Some(error) => {
                self.note(kind_of(error));
                self.handle_input(Input::AttemptFailed { id: due.id, error });
            }
        }
    }

    fn handle_input(&mut self, input: Input<'_>) {
        self.write('<', words::input(&input));
        self.race.handle_input(input, self.shown);
    }

    /// After the end: whatever comes changes nothing.
    fn come_late(&mut self, output: Output) {
        let since = self.now.duration_since(self.plan.start).as_micros() as u64;
        self.trace.end = Some((output, since));
        if let Output::Failed(failure) = output {
            self.note(words::failure(failure));
        } else {
            self.note("established");
        }
        self.sleep_until(later(self.now, 1_000));
        while let Some(due) = self.results.pop() {
            self.handle_input(Input::AttemptSucceeded { id: due.id });
        }
        self.handle_input(Input::Cancel);
        let _ = self.poll();
    }

    // Time.

    /// Sleeps until `next`, or less or more where the plan says so.
    fn sleep_until(&mut self, next: Instant) {
        let (now, next) = (self.now.as_micros(), next.max(self.now).as_micros());
        self.now = Instant::from_micros(match self.plan.wakes {
            Wakes::OnTime => next,
            Wakes::Late(late) => next + late,
            Wakes::Restless if self.rng.chance(30) => self.rng.within(now, next),
            Wakes::Restless => next,
        });
        let before = self.shown;
        self.shown = self.now;
        if self.plan.wakes == Wakes::Restless && self.rng.chance(10) {
            let back = self.rng.below(100_000);
            self.shown = Instant::from_micros(self.now.as_micros().saturating_sub(back));
            if self.shown < before {
                self.note("a clock that runs backwards");
            }
        }
    }

    // What is written down.

    fn write(&mut self, direction: char, words: String) {
        self.trace.lines.push(format!("{} {direction} {words}", self.shown.as_micros()));
    }

    fn note(&mut self, kind: &'static str) {
        self.trace.kinds.insert(kind);
    }

    fn conclude(mut self) -> Trace {
        let timeline = self.race.timeline();
        self.trace.timeline = words::timeline(&timeline);
        let gave_up = |outcome| outcome == Some(AttemptOutcome::Failed(AttemptErrorKind::TimedOut));
        for attempt in timeline.attempts() {
            if attempt.hedge {
                self.trace.kinds.insert("a hedge");
            }
            match attempt.outcome {
                Some(AttemptOutcome::Evicted) => _ = self.trace.kinds.insert("an eviction"),
                Some(AttemptOutcome::Canceled) => _ = self.trace.kinds.insert("a loser canceled"),
                _ => {}
            }
            let early =
                attempt.ended.is_some_and(|end| end - attempt.started < std::time::Duration::from_secs(127));
            if gave_up(attempt.outcome) && early {
                self.trace.kinds.insert("an attempt that used up its time");
            }
        }
        let summary = timeline.summary();
        if summary.omitted_destinations > 0 {
            self.trace.kinds.insert("more addresses than there is room for");
        }
        if summary.omitted_attempts > 0 {
            self.trace.kinds.insert("more attempts than the record holds");
        }
        if !self.ended {
            self.trace.kinds.insert("no end");
        }
        self.trace
    }
}

/// The error's kind.
fn kind_of(error: AttemptError) -> &'static str {
    match error.kind() {
        AttemptErrorKind::Refused => "refused",
        AttemptErrorKind::Unreachable => "unreachable",
        AttemptErrorKind::TimedOut => "timed out",
        AttemptErrorKind::Reset => "reset",
        AttemptErrorKind::OutOfSockets => "out of sockets",
        AttemptErrorKind::StackGone => "the stack gone",
        AttemptErrorKind::Tls(_) => "a failure of TLS",
        _ => "another error",
    }
}

/// What the plan itself shows of.
fn kinds_of(plan: &TracePlan, kinds: &mut BTreeSet<&'static str>) {
    const SOCKETS: [&str; 16] = [
        "1 socket",
        "2 sockets",
        "3 sockets",
        "4 sockets",
        "5 sockets",
        "6 sockets",
        "7 sockets",
        "8 sockets",
        "9 sockets",
        "10 sockets",
        "11 sockets",
        "12 sockets",
        "13 sockets",
        "14 sockets",
        "15 sockets",
        "16 sockets",
    ];
    let Config { pacing, max_in_flight, deadline, attempt_timeout, .. } = &plan.config;
    kinds.insert(match pacing {
        Pacing::AllAtOnce => "AllAtOnce",
        Pacing::Staggered { growth_percent: 0..=100, .. } => "Staggered",
        Pacing::Staggered { .. } => "Staggered with a delay that grows",
        _ => "OneByOne",
    });
    if plan.room == TraceSize::Large {
        kinds.insert(SOCKETS[max_in_flight.clamp(&1, &16) - 1]);
    }
    for (is_so, kind) in [
        (deadline.is_some(), "a deadline"),
        (attempt_timeout.is_some(), "an attempt time-out"),
        (plan.hosts.len() >= 64, "64 addresses"),
        (plan.hosts.is_empty(), "no address"),
        (plan.interleaves, "inputs within a drain"),
        (matches!(plan.wakes, Wakes::Late(_)), "a program that wakes late"),
        (plan.wakes == Wakes::Restless, "a program that wakes for nothing"),
        (plan.stack.lacks.is_some(), "a family that the stack does not have"),
    ] {
        if is_so {
            kinds.insert(kind);
        }
    }
}

fn later(at: Instant, micros: u64) -> Instant {
    Instant::from_micros(at.as_micros() + micros)
}

fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
