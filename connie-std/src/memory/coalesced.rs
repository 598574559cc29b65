//! A race with a memory among those that run at the same time: what one of them finds out serves all.

use std::task::Waker;
use std::time::Duration;

use connie_core::memory::{CrowdRole, CrowdTicket};
use connie_core::race::Plan;
use connie_core::{Config, Instant};

use super::recall::{OsPlan, Recall};
use super::shared::MemoryState;
use super::visited::Visited;
use super::why::Why;
use crate::limits::OsRace;

/// What a race asks its memory, and whom it waits for.
#[derive(Debug)]
pub(crate) struct Coalesced {
    recall: Recall,
    /// The race's own.
    patience: Duration,
    /// When it was first told addresses.
    since: Option<Instant>,
    /// How long it has waited in line for its first socket.
    line: Duration,
    part: CoalescedRole,
    /// Its number among those that have waited. 0 where it has not.
    number: u32,
    /// How many starts it was promised.
    promised: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CoalescedRole {
    /// It has found out nothing yet, and waits for nobody.
    None,
    /// Its plan brings what nobody knows: before its first start it has to be seen whether another race is at
    /// that.
    Explores,
    Leads(CrowdTicket),
    /// Whatever others do, it goes on.
    Runs,
}

/// What a race is to do before its first start.
#[derive(Debug)]
pub(crate) enum StartDecision {
    GoOn,
    /// Follow this plan.
    Plan(Box<OsPlan>),
    /// Wait until then, or to be woken.
    WaitUntil(Instant),
}

impl Coalesced {
    pub(crate) fn new(recall: Recall, race: &Config) -> Self {
        let patience = race.patience.clamp(Config::MIN_DELAY, Config::MAX_PATIENCE);
        Coalesced {
            recall,
            patience,
            since: None,
            line: Duration::ZERO,
            part: CoalescedRole::None,
            number: 0,
            promised: 0,
        }
    }

    #[cfg(feature = "tokio")]
    pub(crate) fn recall(&self) -> &Recall {
        &self.recall
    }

    /// It has its first socket, for which it has waited in line for so long. Plan anew: more may be known.
    pub(crate) fn has_stood_in_line(&mut self, time: Duration) {
        self.line += time;
    }

    /// What the race is to do with the addresses that it has been told, and why.
    pub(crate) fn plan_and_say(&mut self, race: &OsRace, why: &mut Why, now: Instant) -> OsPlan {
        self.since.get_or_insert(now);
        let moment = self.recall.moment(now);
        let Some(mut state) = self.recall.shared().state_again() else { return Plan::whole() };
        let plan = self.plan_under(&mut state, race, moment);
        let plan = match plan.explores() {
            // Nothing is known still, and others that have waited start at this moment, too.
            true if self.part == CoalescedRole::Runs && self.number > 0 => {
                follow(&mut state, &mut self.promised, race, plan)
            }
            // It asks others before it starts, and may wait for one of them.
            true => plan,
            false => pay(&mut state, &mut self.promised, race, plan),
        };
        self.recall.say(&state, race, &plan, &CrowdRole::Alone, why, moment);
        drop(state);
        if self.part == CoalescedRole::None && plan.explores() {
            self.part = CoalescedRole::Explores;
        }
        plan
    }

    /// Whether the race may start, or another is at what it would find out. `waker` is woken when that one is
    /// over.
    pub(crate) fn poll(
        &mut self,
        race: &OsRace,
        why: &mut Why,
        waker: &Waker,
        now: Instant,
    ) -> StartDecision {
        if self.part != CoalescedRole::Explores {
            return StartDecision::GoOn;
        }
        if race.timeline().summary().attempts > 0 {
            self.part = CoalescedRole::Runs;
            return StartDecision::GoOn;
        }
        let recall = self.recall.clone();
        let Some(mut state) = recall.shared().state_again() else { return StartDecision::GoOn };
        let moment = recall.moment(now);
        let has_waited = self.number > 0;
        let plan = match has_waited {
            // More may be known.
            true => self.plan_under(&mut state, race, moment),
            false => race.plan(),
        };
        let role = match plan.explores() {
            true => state.crowd.join(recall.service(), self.patience, self.left(&plan, now), moment),
            false => CrowdRole::Alone,
        };
        if let (CrowdRole::Follow(until), None) = (role, plan.lead()) {
            let before = self.wait(&mut state, waker);
            drop(state);
            drop(before);
            return StartDecision::WaitUntil(now + until.duration_since(moment));
        }
        let step = self.go_on(&mut state, race, plan, role);
        if let (StartDecision::Plan(plan), true) = (&step, has_waited) {
            // Whom it waited for is over, or has had its time.
            let role = if matches!(role, CrowdRole::Lead(_)) { role } else { CrowdRole::Follow(moment) };
            recall.say(&state, race, plan, &role, why, moment);
        }
        drop(state);
        self.waits_no_longer();
        step
    }

    /// Has `waker` woken when the one that leads is over. Returns the one before.
    fn wait(&mut self, state: &mut MemoryState, waker: &Waker) -> Option<Waker> {
        if self.number == 0 {
            self.number = state.number();
        }
        state.wait(self.number, self.recall.service(), waker)
    }

    /// It waits for nobody any more.
    fn go_on(
        &mut self,
        state: &mut MemoryState,
        race: &OsRace,
        plan: OsPlan,
        role: CrowdRole,
    ) -> StartDecision {
        self.part = match role {
            CrowdRole::Lead(ticket) => CoalescedRole::Leads(ticket),
            CrowdRole::Follow(_) | CrowdRole::Alone => CoalescedRole::Runs,
        };
        let plan = match (role, self.number) {
            (CrowdRole::Lead(_) | CrowdRole::Alone, 0) => return StartDecision::GoOn,
            (CrowdRole::Lead(_), _) => plan,
            // Where it knows whom to start with, the other explores for it.
            (CrowdRole::Follow(_), 0) => pay(state, &mut self.promised, race, plan.without_exploring()),
            (CrowdRole::Follow(_) | CrowdRole::Alone, _) => follow(state, &mut self.promised, race, plan),
        };
        StartDecision::Plan(Box::new(plan))
    }

    fn plan_under(&self, state: &mut MemoryState, race: &OsRace, moment: Instant) -> OsPlan {
        self.recall.plan_under(state, race, self.number, moment).after_line(self.line)
    }

    /// What is left of the time that its plan may take.
    fn left(&self, plan: &OsPlan, now: Instant) -> Duration {
        let longest = Duration::from_micros(plan.longest_delay().into());
        longest.saturating_sub(now.duration_since(self.since.unwrap_or(now)))
    }

    fn waits_no_longer(&self) {
        if self.number > 0 {
            self.recall.shared().forget(self.number);
        }
    }

    /// Learns from the race, if that has ended, and lets those go on that wait for it. `is_retransmitted` is
    /// whether what went out on the winner's socket had to be sent more than once.
    pub(crate) fn learn(self, race: &OsRace, is_retransmitted: bool) -> Visited {
        self.recall.learn(race, is_retransmitted)
    }
}

/// The plan of a race of which there may be many at one time: what is available is promised to one of them.
/// The first race of a host is free.
fn pay(state: &mut MemoryState, promised: &mut usize, race: &OsRace, plan: OsPlan) -> OsPlan {
    let is_free = plan.paid() == Plan::<0>::whole().paid();
    *promised = state.promise_anew(*promised, if is_free { 0 } else { most(race) });
    if is_free { plan } else { plan.following(*promised) }
}

/// The plan of one that has waited.
fn follow(state: &mut MemoryState, promised: &mut usize, race: &OsRace, plan: OsPlan) -> OsPlan {
    *promised = state.promise_anew(*promised, most(race));
    plan.following(*promised)
}

/// How many starts beyond its first a race may be promised: one for each other address, and where there is
/// none a second SYN.
fn most(race: &OsRace) -> usize {
    race.destinations().len().saturating_sub(1).max(1)
}

/// However the race ends: whoever waits for it goes on, and nothing of it is left.
impl Drop for Coalesced {
    fn drop(&mut self) {
        self.waits_no_longer();
        if let CoalescedRole::Leads(ticket) = self.part {
            self.recall.shared().leave(ticket, self.recall.service());
        }
        if self.promised > 0 {
            self.recall.shared().no_longer_promised(self.promised);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use connie_core::memory::{Finish, Network};
    use connie_core::{Input, Output};

    use super::*;
    use crate::clock::OsClock;
    use crate::memory::clock::MemoryClock;
    use crate::memory::{Core, Memory};
    use crate::target::TargetRef;

    #[derive(Default)]
    struct CountedWaker(AtomicUsize);

    impl Wake for CountedWaker {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// A race to a host of which nothing is known. Its time stands still at its start.
    struct Racer {
        coalesced: Coalesced,
        race: OsRace,
        why: Why,
        waker: Arc<CountedWaker>,
    }

    impl Racer {
        fn new(memory: &Memory) -> Self {
            let (target, clock) = (TargetRef::Host("name.test", 80), OsClock::start());
            let recall = Recall::new(memory, target, Finish::Tcp, &Network::default(), clock);
            let config = Config::all_at_once().patience(Config::MAX_PATIENCE);
            let mut race = OsRace::new(&config, Instant::ZERO);
            let addresses: Vec<SocketAddr> =
                (1..=12).map(|n| SocketAddr::from(([192, 0, 2, n], 80))).collect();
            race.handle_addresses(&addresses, Instant::ZERO);
            let coalesced = Coalesced::new(recall.expect("the memory"), &config);
            let mut racer = Racer { coalesced, race, why: Why::default(), waker: Arc::default() };
            racer.plans();
            racer
        }

        fn plans(&mut self) {
            let plan = self.coalesced.plan_and_say(&self.race, &mut self.why, Instant::ZERO);
            self.race.follow(&plan);
        }

        /// By its first attempt, and the memory learns it.
        fn wins(mut self) {
            let Output::StartAttempt { id, .. } = self.race.poll_output(Instant::ZERO) else { panic!() };
            let at = Instant::from_millis(30);
            self.race.handle_input(Input::AttemptSucceeded { id }, at);
            while !self.race.poll_output(at).ends_drain() {}
            self.coalesced.learn(&self.race, false);
        }

        fn poll(&mut self, now: Instant) -> StartDecision {
            self.coalesced.poll(&self.race, &mut self.why, &self.waker.clone().into(), now)
        }

        fn waits(&mut self) -> bool {
            matches!(self.poll(Instant::ZERO), StartDecision::WaitUntil(_))
        }

        fn woken(&self) -> usize {
            self.waker.0.load(Ordering::Relaxed)
        }
    }

    /// How many wait, and how many starts are promised.
    fn left(memory: &Memory) -> (usize, usize) {
        memory.shared.state().expect("the memory").left()
    }

    #[test]
    fn one_that_is_dropped_leaves_nothing_and_one_that_led_wakes_those_that_wait() {
        let memory = Memory::new();
        let [mut first, mut second, mut third] = [(); 3].map(|()| Racer::new(&memory));
        assert!(!first.waits() && second.waits() && third.waits());
        // Polled again it waits once.
        assert!(second.waits());
        assert_eq!((left(&memory), second.woken()), ((2, 0), 0));
        drop(second);
        assert_eq!(left(&memory), (1, 0));
        drop(first);
        assert_eq!((left(&memory), third.woken()), ((0, 0), 1));
        assert!(
            matches!(third.poll(Instant::ZERO), StartDecision::Plan(plan) if plan.paid() == 255),
            "it leads"
        );
        assert!(Racer::new(&memory).waits());
        assert_eq!(left(&memory), (0, 0));
    }

    /// Where the time of all is over, sixteen starts are available for all.
    #[test]
    fn what_is_in_hand_is_promised_once() {
        let memory = Memory::new();
        let mut first = Racer::new(&memory);
        assert!(!first.waits());
        let mut others: Vec<Racer> = (0..4).map(|_| Racer::new(&memory)).collect();
        assert!(others.iter_mut().all(Racer::waits));
        let late = Instant::ZERO + Config::MAX_PATIENCE;
        let paid: Vec<usize> = others
            .iter_mut()
            .map(|racer| match racer.poll(late) {
                StartDecision::Plan(plan) => plan.paid(),
                other => panic!("{other:?}"),
            })
            .collect();
        // The one that led has had its time, and the next one leads.
        assert_eq!((paid, left(&memory)), (vec![255, 11, 5, 0], (0, 16)));
        drop(others);
        assert_eq!(left(&memory), (0, 0));
    }

    /// Whom to start with is known, and nobody waits.
    #[test]
    fn what_is_in_hand_is_promised_once_where_a_lead_is_known_too() {
        // Under a number by which none of these races explores.
        let clock = MemoryClock::start();
        let memory = Memory::of(Core::new(1, clock.now()), clock);
        let mut first = Racer::new(&memory);
        assert!(!first.waits());
        first.wins();
        let paid = |racers: &[Racer]| -> Vec<usize> {
            racers.iter().map(|racer| racer.race.plan().paid()).collect()
        };
        let mut others: Vec<Racer> = (0..5).map(|_| Racer::new(&memory)).collect();
        assert_eq!((paid(&others), left(&memory)), (vec![11, 5, 0, 0, 0], (0, 16)));
        // One that plans anew is promised no more than before.
        others[0].plans();
        assert_eq!((paid(&others)[0], left(&memory)), (11, (0, 16)));
        drop(others.remove(0));
        assert_eq!(left(&memory), (0, 5));
        others[1].plans();
        assert_eq!((paid(&others), left(&memory)), (vec![5, 11, 0, 0], (0, 16)));
        drop(others);
        assert_eq!(left(&memory), (0, 0));
    }

    /// One that has waited, and waits in line for a socket after that, has no more starts paid for than it
    /// was promised.
    #[test]
    fn what_is_promised_holds_when_it_plans_anew() {
        let memory = Memory::new();
        let [mut first, mut second, mut third] = [(); 3].map(|()| Racer::new(&memory));
        assert!(!first.waits() && second.waits() && third.waits());
        let late = Instant::ZERO + Config::MAX_PATIENCE;
        assert!(matches!(second.poll(late), StartDecision::Plan(plan) if plan.paid() == 255), "it leads");
        assert!(matches!(third.poll(late), StartDecision::Plan(plan) if plan.paid() == 11));
        third.coalesced.has_stood_in_line(std::time::Duration::from_secs(1));
        let plan = third.coalesced.plan_and_say(&third.race, &mut third.why, late);
        assert_eq!((plan.paid(), left(&memory)), (11, (0, 11)));
    }

    #[test]
    fn a_panic_that_has_it_locked_does_not_spoil_it() {
        let memory = Memory::new();
        let held = catch_unwind(AssertUnwindSafe(|| {
            let _state = memory.shared.state();
            panic!("under the lock");
        }));
        assert!(held.is_err());
        assert!(!Racer::new(&memory).waits());
        assert_eq!(memory.paid_syns(), 16);
    }
}
