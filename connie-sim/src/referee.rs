//! Holds a bare race to its laws: hears every input, sees every output, and knows nothing of the race's
//! insides.

use std::net::{SocketAddr, SocketAddrV6};
use std::time::Duration;

use connie_core::{
    AttemptError, AttemptErrorKind, AttemptId, Config, Failure, Family, Input, Instant, Output, Pacing,
};

/// More outputs than one drain can have, for 255 destinations and 255 sockets.
const LONGEST_DRAIN: u32 = 2_000;

/// Holds a race to its seven laws. Tell it of each input before the race and of each output after.
///
/// It panics where a law is broken, and names it.
#[derive(Clone, Debug)]
pub struct Referee {
    config: Config,
    start: Instant,
    /// `k`.
    limit: usize,
    /// The most that `k` can be.
    max_limit: usize,
    room: usize,
    v4: FamilyView,
    v6: FamilyView,
    /// Whether there were ever more addresses than the race has room for.
    crowded: bool,
    started: Vec<SocketAddr>,
    newest: Option<AttemptId>,
    open: Vec<OpenAttempt>,
    /// The destinations that were evicted and have not been tried since.
    evicted: Vec<SocketAddr>,
    /// The destinations for whose attempt the stack had no socket, and that have not been tried since.
    put_back: Vec<SocketAddr>,
    winner: Option<AttemptId>,
    canceled: bool,
    gone: bool,
    /// Whether the race has noticed its deadline.
    timed_out: bool,
    ended: Option<Output>,
    drained: u32,
    /// How long a plan may keep addresses back, and since when.
    plan: Option<Duration>,
    possible: Option<Instant>,
    now: Instant,
}

/// What the race was given of a family.
#[derive(Clone, Debug, Default)]
struct FamilyView {
    answered: bool,
    addresses: Vec<SocketAddr>,
}

#[derive(Clone, Copy, Debug)]
struct OpenAttempt {
    id: AttemptId,
    destination: SocketAddr,
    started: Instant,
}

impl Referee {
    /// The referee of a race with `config` that began at `now`, with room for `destinations` and `sockets`.
    #[must_use]
    pub fn new(config: &Config, destinations: usize, sockets: usize, now: Instant) -> Self {
        let max_limit = config.max_in_flight.clamp(1, sockets);
        Referee {
            config: config.clone(),
            start: now,
            limit: max_limit,
            max_limit,
            room: destinations,
            v4: FamilyView::default(),
            v6: FamilyView::default(),
            crowded: false,
            started: Vec::new(),
            newest: None,
            open: Vec::new(),
            evicted: Vec::new(),
            put_back: Vec::new(),
            winner: None,
            canceled: false,
            gone: false,
            timed_out: false,
            ended: None,
            drained: 0,
            plan: None,
            possible: None,
            now,
        }
    }

    /// The race follows plans that may keep an address back for as long as `longest` (law 9).
    #[must_use]
    pub fn with_plans_of(mut self, longest: Duration) -> Self {
        self.plan = Some(longest);
        self
    }

    /// The attempts in flight, with their destinations.
    pub fn open(&self) -> impl Iterator<Item = (AttemptId, SocketAddr)> {
        self.open.iter().map(|open| (open.id, open.destination))
    }

    /// How the race ended, if it has: the last output.
    #[must_use]
    pub fn ended(&self) -> Option<Output> {
        self.ended
    }

    /// The race is told of `input`.
    pub fn handle_input(&mut self, input: &Input<'_>) {
        self.drained = 0;
        if self.ended.is_some() {
            return;
        }
        match *input {
            Input::Resolved { family, .. } if !self.config.families.allow(family) => {}
            Input::Resolved { family, addresses } => {
                let own = addresses.iter().copied().map(canonical);
                let own = own.filter(|address| Family::of(address) == family).collect();
                *self.known(family) = FamilyView { answered: true, addresses: own };
                self.crowded |= self.is_crowded();
            }
            Input::Hinted { family, addresses } => {
                let own = addresses.iter().copied().map(canonical);
                let own = own.filter(|address| Family::of(address) == family).collect();
                if self.config.families.allow(family) && !self.known(family).answered {
                    *self.known(family) = FamilyView { answered: false, addresses: own };
                    self.crowded |= self.is_crowded();
                }
            }
            Input::ResolutionFailed { family } => {
                // A query that fails takes nothing back, neither hints nor an answer.
                self.known(family).answered = true;
            }
            Input::AttemptSucceeded { id } => {
                let lost = self.canceled || self.gone || self.timed_out;
                if self.winner.is_none() && !lost && self.is_open(id) {
                    self.winner = Some(id);
                    self.close(id);
                }
            }
            Input::AttemptFailed { id, error } => self.handle_failure(id, error),
            Input::SourceChanged { family } => self.handle_change(family),
            Input::Cancel => self.canceled |= self.winner.is_none() && !self.gone && !self.timed_out,
        }
    }

    fn handle_failure(&mut self, id: AttemptId, error: AttemptError) {
        if !self.is_open(id) {
            return;
        }
        let failed = self.open.iter().find(|open| open.id == id).map(|open| open.destination);
        self.evicted.retain(|evicted| Some(*evicted) != failed);
        self.close(id);
        if self.winner.is_some() || self.canceled || self.gone || self.timed_out {
            return;
        }
        self.gone |= error == AttemptErrorKind::StackGone;
        if error == AttemptErrorKind::OutOfSockets {
            self.limit = self.limit.min(self.open.len().max(1));
            self.put_back.extend(failed.filter(|_| !self.open.is_empty()));
        }
    }

    /// Rule 10: the family begins anew, and its attempts have ended.
    fn handle_change(&mut self, family: Family) {
        if self.winner.is_some() || self.canceled || self.gone || self.timed_out {
            return;
        }
        let stays = |address: &SocketAddr| Family::of(address) != family;
        self.open.retain(|open| stays(&open.destination));
        for list in [&mut self.started, &mut self.evicted, &mut self.put_back] {
            list.retain(stays);
        }
    }

    /// The race is told to have no more than `sockets` attempts in flight from now on.
    pub fn handle_limit(&mut self, sockets: usize) {
        self.drained = 0;
        self.limit = self.limit.min(sockets.max(1));
    }

    /// The race is told to start nothing until it may have sockets again.
    pub fn handle_pause(&mut self) {
        self.drained = 0;
        self.limit = 0;
    }

    /// The race is told that it may have as many as `sockets` attempts in flight from now on.
    pub fn handle_growth(&mut self, sockets: usize) {
        self.drained = 0;
        self.limit = self.limit.max(sockets.min(self.max_limit));
    }

    /// There are addresses that the race has no room for: which of them it leaves out is its own to decide.
    pub(crate) fn is_without_room(&mut self) {
        self.crowded = true;
    }

    /// Something was told beside the race: it may say as much again.
    pub(crate) fn may_go_on(&mut self) {
        self.drained = 0;
    }

    /// Whether nothing may start any more.
    pub(crate) fn is_over(&self, now: Instant) -> bool {
        let lost = self.canceled || self.gone || self.is_late(now);
        self.ended.is_some() || self.winner.is_some() || lost
    }

    /// The race has answered `output` at `now`.
    #[track_caller]
    pub fn handle_output(&mut self, output: &Output, now: Instant) {
        self.drained += 1;
        assert!(self.drained < LONGEST_DRAIN, "livelock: {output:?} ends a drain of {LONGEST_DRAIN}");
        if output.ends_drain() {
            self.drained = 0;
        }
        self.now = now;
        if !self.v4.addresses.is_empty() || !self.v6.addresses.is_empty() {
            self.possible = self.possible.or(Some(now));
        }
        if let Some(ended) = self.ended {
            return assert_eq!(*output, ended, "law 1: the race has ended, and has ended like this");
        }
        match *output {
            Output::StartAttempt { id, destination } => self.handle_start(id, destination, now),
            Output::CancelAttempt { id } => self.handle_cancel(id, now),
            Output::WaitUntil(until) => self.handle_wait(until, now),
            Output::WaitForInput => self.handle_idle(),
            Output::Established { id, .. } => {
                assert_eq!(Some(id), self.winner, "law 7: only a completed handshake wins");
                self.handle_end(*output);
            }
            Output::Failed(failure) => {
                self.handle_lost(failure, now);
                self.handle_end(*output);
            }
        }
    }

    #[track_caller]
    fn handle_start(&mut self, id: AttemptId, destination: SocketAddr, now: Instant) {
        assert!(!self.is_over(now), "law 1: {id} starts after the race has ended");
        assert!(self.newest.is_none_or(|newest| newest < id), "law 3: the name {id} was used before");
        assert!(self.open.len() < self.limit, "law 2: {id} is one more than {} in flight", self.limit);
        let family = Family::of(&destination);
        assert!(self.config.families.allow(family), "{destination} is of a family that is not allowed");
        let listed = self.known(family).addresses.contains(&destination);
        assert!(listed, "{destination} is in no newest answer, and is started");
        let beside = self.open.iter().filter(|open| open.destination == destination).count();
        assert!(beside <= usize::from(self.config.hedge), "{} attempts on {destination}", beside + 1);
        if !self.config.pacing.contends() {
            assert!(self.open.is_empty(), "one by one, and {id} is the second");
        }
        self.newest = Some(id);
        self.evicted.retain(|evicted| *evicted != destination);
        self.put_back.retain(|put_back| *put_back != destination);
        if !self.started.contains(&destination) {
            self.started.push(destination);
        }
        self.open.push(OpenAttempt { id, destination, started: now });
    }

    #[track_caller]
    fn handle_cancel(&mut self, id: AttemptId, now: Instant) {
        let open = self.open.iter().find(|open| open.id == id);
        let open = *open.unwrap_or_else(|| panic!("law 3: {id} is canceled, and is not open"));
        self.close(id);
        if self.winner.is_some() || self.canceled || self.gone {
            return;
        }
        if self.is_late(now) {
            self.timed_out = true;
            return;
        }
        let ran = now.duration_since(open.started);
        let evicted = self.config.evict && ran >= self.config.patience.max(Config::MIN_DELAY);
        let gave_up = self.config.attempt_timeout.is_some_and(|timeout| ran >= timeout)
            || !self.config.pacing.contends();
        assert!(evicted || gave_up, "{id} is canceled after {ran:?}, before its time");
        assert!(
            gave_up || self.crowded || self.somebody_waits() || self.open.len() >= self.limit,
            "rules 2 and 8: {id} is evicted for nobody"
        );
        self.evicted.retain(|evicted| *evicted != open.destination);
        if !gave_up {
            self.evicted.push(open.destination);
        }
    }

    #[track_caller]
    fn handle_wait(&self, until: Instant, now: Instant) {
        assert!(until > now, "law 4: a wait until {until} at {now} has no length");
        assert!(self.winner.is_none() && !self.canceled && !self.gone, "a race that has ended waits");
        let deadline = self.deadline();
        assert!(deadline.is_none_or(|deadline| until <= deadline), "law 5: a wait beyond the deadline");
        assert!(self.can_change(), "law 4: a wait for nothing");
        self.nobody_waits_beside_a_free_socket();
    }

    #[track_caller]
    fn handle_idle(&self) {
        assert!(self.winner.is_none() && !self.canceled && !self.gone, "a race that has ended waits");
        assert!(self.deadline().is_none(), "law 5: a race with a deadline waits for ever");
        assert!(self.can_change(), "law 4: an input is waited for, and none can come");
        self.nobody_waits_beside_a_free_socket();
    }

    /// Rule 1, where no pace stands between: once the first has started, what waits starts as soon as there
    /// is a socket.
    #[track_caller]
    fn nobody_waits_beside_a_free_socket(&self) {
        if self.crowded || self.config.pacing != Pacing::AllAtOnce || self.open.len() >= self.limit {
            return;
        }
        // Law 9: a plan may keep it back for so long.
        let released = self.plan.zip(self.possible).map(|(longest, possible)| possible + longest);
        if released.is_some_and(|released| self.now < released) {
            return;
        }
        let waits = |address: &&SocketAddr| {
            let tried = self.started.contains(address) && !self.evicted.contains(address);
            !tried && !self.open.iter().any(|open| open.destination == **address)
        };
        let waiting = self.v4.addresses.iter().chain(&self.v6.addresses).find(waits);
        let waiting = waiting.filter(|_| self.newest.is_some());
        assert_eq!(
            waiting,
            None,
            "rule 1: this waits, and {} of {} are in flight",
            self.open.len(),
            self.limit
        );
    }

    /// Whether an address that holds is not in flight and has not failed.
    fn somebody_waits(&self) -> bool {
        let waits = |address: &SocketAddr| {
            let again = self.evicted.contains(address) || self.put_back.contains(address);
            (again || !self.started.contains(address))
                && !self.open.iter().any(|open| open.destination == *address)
        };
        self.v4.addresses.iter().chain(&self.v6.addresses).any(waits)
    }

    #[track_caller]
    fn handle_lost(&self, failure: Failure, now: Instant) {
        assert!(self.winner.is_none(), "law 7: an attempt succeeded and the race is lost");
        match failure {
            Failure::Canceled => assert!(self.canceled, "nobody canceled"),
            Failure::StackGone => assert!(self.gone, "the stack is not gone"),
            Failure::DeadlineExceeded => assert!(self.is_late(now), "law 5: the deadline has not come"),
            Failure::NoDestinations | Failure::AllAttemptsFailed => {
                assert!(self.is_resolved(), "law 6: an answer can still come");
                let listed = self.v4.addresses.iter().chain(&self.v6.addresses);
                let mut waiting = listed.filter(|address| !self.started.contains(address));
                let waits = waiting.next().filter(|_| !self.crowded);
                assert_eq!(waits, None, "law 6: the race failed before this was started");
                let mut listed = self.v4.addresses.iter().chain(&self.v6.addresses);
                // In a full table one that was withdrawn makes room, and may find none when it is listed
                // again.
                let evicted = listed.find(|address| !self.crowded && self.evicted.contains(address));
                assert_eq!(evicted, None, "the race failed, and this was evicted and never tried again");
            }
            other => panic!("no rule says when a race may fail with {other:?}"),
        }
    }

    #[track_caller]
    fn handle_end(&mut self, output: Output) {
        assert!(self.open.is_empty(), "law 3: the race has ended with {:?} open", self.open);
        self.ended = Some(output);
    }

    fn known(&mut self, family: Family) -> &mut FamilyView {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    fn is_resolved(&self) -> bool {
        let resolved = |family, known: &FamilyView| known.answered || !self.config.families.allow(family);
        resolved(Family::V4, &self.v4) && resolved(Family::V6, &self.v6)
    }

    /// Whether some find no room: a place that was used once is never given to another address.
    fn is_crowded(&self) -> bool {
        let listed = self.v4.addresses.iter().chain(&self.v6.addresses);
        let mut taken: Vec<_> = self.started.iter().chain(listed).collect();
        taken.sort();
        taken.dedup();
        taken.len() > self.room
    }

    /// Whether an input can still come. Where the race is paused and somebody waits, it may grow.
    fn can_change(&self) -> bool {
        !self.open.is_empty() || !self.is_resolved() || self.limit == 0 && self.somebody_waits()
    }

    fn deadline(&self) -> Option<Instant> {
        let within = self.config.deadline.filter(|deadline| *deadline < Duration::MAX)?;
        Some(self.start + within)
    }

    fn is_late(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|deadline| deadline <= now)
    }

    fn is_open(&self, id: AttemptId) -> bool {
        self.open.iter().any(|open| open.id == id)
    }

    fn close(&mut self, id: AttemptId) {
        self.open.retain(|open| open.id != id);
    }
}

/// As a race keeps it: an IPv4-mapped address is the IPv4 address, and no address has a flow label.
pub(crate) fn canonical(address: SocketAddr) -> SocketAddr {
    match address {
        SocketAddr::V6(v6) if v6.ip().to_ipv4_mapped().is_none() => {
            SocketAddrV6::new(*v6.ip(), v6.port(), 0, v6.scope_id()).into()
        }
        _ => SocketAddr::new(address.ip().to_canonical(), address.port()),
    }
}
