use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Wake;

use super::*;
use crate::block_on::block_on;
use crate::clock::OsClock;

fn take(budget: &SocketBudget, most: usize) -> Option<Permits> {
    match budget.poll_acquire(&mut None, most, Waker::noop()) {
        Acquire::Acquired(share) => Some(share),
        Acquire::Queued | Acquire::AllHeld => None,
    }
}

/// Waits for its turn, until it has a share or is `canceled`; `Err` where connections hold all.
fn wait(
    budget: &SocketBudget,
    most: usize,
    canceled: Option<&dyn Fn() -> bool>,
) -> Option<Result<Permits, ()>> {
    let mut place = None;
    let poll = |waker: &Waker| match budget.poll_acquire(&mut place, most, waker) {
        Acquire::Acquired(share) => ControlFlow::Break(Ok(share)),
        Acquire::Queued => ControlFlow::Continue(None),
        Acquire::AllHeld => ControlFlow::Break(Err(())),
    };
    block_on(poll, OsClock::start(), canceled)
}

/// Waits until `count` are in line.
fn wait_for_line(budget: &SocketBudget, count: usize) {
    while budget.shared.state().expect("its own").line.len() < count {
        std::thread::yield_now();
    }
}

#[test]
fn a_lone_race_has_all_that_it_asks_for_and_a_budget_is_never_exceeded() {
    let budget = SocketBudget::new(10);
    let first = take(&budget, 8).unwrap();
    let second = take(&budget, 8).unwrap();
    assert_eq!((first.sockets(), second.sockets(), budget.free()), (8, 2, 0));
    assert!(take(&budget, 1).is_none());
    drop(first);
    assert_eq!(budget.free(), 8);
}

#[test]
fn a_winner_keeps_one() {
    let budget = SocketBudget::new(10);
    let mut share = take(&budget, 6).unwrap();
    share.keep(2);
    share.keep(3);
    assert_eq!((budget.free(), budget.held()), (8, 0));
    let held = share.hold();
    assert_eq!((budget.free(), budget.held()), (9, 1));
    drop(held);
    assert_eq!((budget.free(), budget.held()), (10, 0));
}

#[test]
fn a_budget_of_attempts_has_the_winner_s_place_back_at_once_and_once() {
    let budget = SocketBudget::attempts_only(3);
    let share = take(&budget, 3).unwrap();
    let mut waiter = TestWaiter::of(&budget);
    assert!(matches!(waiter.poll(1), Acquire::Queued));
    let held = share.hold();
    assert!(waiter.waker.woken() > 0);
    assert_eq!((budget.free(), budget.held()), (3, 0));
    let second = taken(waiter.poll(1)).hold();
    drop((held, second));
    assert_eq!((budget.free(), budget.held()), (3, 0));
    assert_eq!(budget.shared.state().expect("its own").sharers, 0);
}

#[test]
fn a_budget_has_a_socket() {
    assert_eq!(take(&SocketBudget::new(0), 5).unwrap().sockets(), 1);
    assert!(SocketBudget::for_process().sockets() >= 1);
}

#[test]
fn what_is_printed_of_a_budget_is_what_a_program_can_ask_of_it() {
    let budget = SocketBudget::new(8);
    let _held = take(&budget, 1).map(Permits::hold);
    let _passing = take(&budget, 2);
    assert_eq!(format!("{budget:?}"), "SocketBudget { sockets: 8, free: 5, held: 1, .. }");
}

#[test]
fn a_small_limit_leaves_the_program_sixteen_descriptors() {
    let limits = [0, 1, 16, 17, 18, 20, 64, 65, 68, 1_024];
    assert_eq!(limits.map(of_limit), [1, 1, 1, 1, 2, 4, 48, 49, 51, 768]);
    assert_eq!(usize::MAX - of_limit(usize::MAX), usize::MAX / 4, "a quarter, and no overflow");
}

#[test]
fn who_waits_longest_is_next_and_stays_so_until_it_has_all_that_it_asked_for() {
    let budget = SocketBudget::new(4);
    let (mut first, mut second) = (TestWaiter::of(&budget), TestWaiter::of(&budget));
    let mut all = take(&budget, 4).unwrap();
    assert!(matches!((first.poll(3), second.poll(2)), (Acquire::Queued, Acquire::Queued)));
    all.keep(2);
    assert_eq!((first.waker.woken(), second.waker.woken()), (1, 0));
    let mut share = taken(first.poll(3));
    assert_eq!((share.sockets(), second.waker.woken()), (2, 0), "it stays first");
    all.keep(1);
    assert!(matches!(second.poll(2), Acquire::Queued), "which is the first's");
    share.join(taken(first.poll(1)));
    assert_eq!(
        (share.sockets(), first.waker.woken(), second.waker.woken()),
        (3, 2, 0),
        "nothing is left for the second"
    );
    // The second is content with less than it asked for, and so leaves the rest to who comes.
    drop(all);
    assert_eq!(second.waker.woken(), 1);
    let less = taken(second.poll(2));
    assert!(take(&budget, 1).is_none() && budget.try_acquire(1).is_none());
    drop(second.place.take());
    share.keep(2);
    assert_eq!(budget.try_acquire(9).map(|spare| spare.sockets()), Some(1));
    drop((share, less));
    assert_eq!((budget.free(), budget.shared.state().expect("its own").sharers), (4, 0));
}

#[test]
fn who_stays_in_line_with_some_is_woken_where_it_asked_last() {
    let budget = SocketBudget::new(4);
    let mut waiter = TestWaiter::of(&budget);
    let mut all = take(&budget, 4).unwrap();
    assert!(matches!(waiter.poll(3), Acquire::Queued));
    all.keep(3);
    // A future that was moved to another task since.
    let before = std::mem::take(&mut waiter.waker);
    let mut share = taken(waiter.poll(3));
    let rung = (before.woken(), waiter.waker.woken());
    all.keep(2);
    assert_eq!((share.sockets(), before.woken(), waiter.waker.woken()), (1, rung.0, rung.1 + 1));
    share.join(taken(waiter.poll(2)));
    assert_eq!(Arc::strong_count(&before), 1, "its waker was let go");
}

#[test]
fn what_is_lent_goes_to_who_stands_in_line_for_the_race_and_past_all_others() {
    let budget = SocketBudget::new(3);
    let lookups = budget.for_lookups();
    let loan = lookups.loan().expect("one");
    let mut race = take(&budget, 3).unwrap();
    let (mut other, mut first, mut second) =
        (TestWaiter::of(&budget), TestWaiter::of(&lookups), TestWaiter::of(&lookups));
    assert!(
        [&mut other, &mut first, &mut second].into_iter().all(|it| matches!(it.poll(1), Acquire::Queued))
    );
    assert_eq!((loan.in_line(), loan.has_lent()), (2, false));
    loan.lend(&mut race);
    assert_eq!((race.sockets(), loan.in_line(), loan.has_lent()), (2, 1, true));
    assert_eq!((first.waker.woken(), second.waker.woken(), other.waker.woken()), (1, 1, 0));
    assert!(matches!(other.poll(1), Acquire::Queued));
    assert!(matches!(TestWaiter::of(&lookups).poll(1), Acquire::Queued), "it is for who was in line before");
    let lent = taken(first.poll(1));
    assert_eq!((lent.sockets(), loan.in_line(), loan.has_lent()), (1, 1, false));
    assert_eq!((budget.free(), budget.shared.state().expect("its own").sharers), (0, 2));
    // Where the lookup gives up, it goes to who is next.
    loan.lend(&mut race);
    drop(second.place.take());
    assert_eq!((loan.in_line(), loan.has_lent(), budget.free(), other.waker.woken()), (0, false, 1, 1));
    drop((race, lent));
    assert_eq!((budget.free(), budget.shared.state().expect("its own").sharers), (3, 0));
}

#[test]
fn each_has_a_part_of_what_races_share_where_somebody_waits() {
    let budget = SocketBudget::new(9);
    let _held = take(&budget, 1).unwrap().hold();
    let (first, second) = (take(&budget, 6).unwrap(), take(&budget, 2).unwrap());
    assert_eq!(budget.fair_share(), None, "nobody waits");
    let mut waiter = TestWaiter::of(&budget);
    assert!(matches!(waiter.poll(5), Acquire::Queued));
    assert_eq!(budget.fair_share(), Some(2), "eight among three");
    let others: Vec<_> = (0..9).map(|_| TestWaiter::of(&budget)).map(|mut it| (it.poll(1), it)).collect();
    assert_eq!(budget.fair_share(), Some(1), "each has one");
    drop((others, second));
    assert_eq!(budget.fair_share(), None, "there is one for each in line");
    drop(taken(waiter.poll(5)).hold());
    drop(first);
    assert_eq!((budget.free(), budget.shared.state().expect("its own").sharers), (8, 0));
}

#[test]
fn who_gives_up_leaves_the_line_to_those_behind() {
    let budget = SocketBudget::new(1);
    let all = take(&budget, 1).unwrap();
    let canceled = {
        let waiting = budget.clone();
        std::thread::spawn(move || wait(&waiting, 1, Some(&|| true)).is_none())
    };
    assert!(canceled.join().unwrap());
    let next = {
        let waiting = budget.clone();
        std::thread::spawn(move || wait(&waiting, 1, None).is_some_and(|turn| turn.is_ok()))
    };
    wait_for_line(&budget, 1);
    drop(all);
    assert!(next.join().unwrap());
    assert_eq!(budget.free(), 1);
}

/// Counts how often it is woken.
#[derive(Default)]
struct CountedWaker(AtomicUsize);

impl Wake for CountedWaker {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl CountedWaker {
    fn woken(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One who waits in line.
struct TestWaiter {
    budget: SocketBudget,
    place: Option<QueueTicket>,
    waker: Arc<CountedWaker>,
}

impl TestWaiter {
    fn of(budget: &SocketBudget) -> Self {
        TestWaiter { budget: budget.clone(), place: None, waker: Arc::default() }
    }

    fn poll(&mut self, most: usize) -> Acquire {
        self.budget.poll_acquire(&mut self.place, most, &self.waker.clone().into())
    }
}

#[track_caller]
fn taken(turn: Acquire) -> Permits {
    match turn {
        Acquire::Acquired(share) => share,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_waits_for_connections_alone() {
    let budget = SocketBudget::new(2);
    let first = take(&budget, 1).unwrap().hold();
    let second = take(&budget, 1).unwrap();
    let mut waiter = TestWaiter::of(&budget);
    assert!(matches!(waiter.poll(1), Acquire::Queued), "a race has one");
    let second = second.hold();
    assert_eq!((budget.free(), budget.held(), waiter.waker.woken()), (0, 2, 1));
    assert!(matches!(waiter.poll(1), Acquire::AllHeld));
    assert!(matches!(TestWaiter::of(&budget).poll(1), Acquire::AllHeld), "and so for who comes later");
    // Who stays in line is next all the same.
    drop(first);
    assert_eq!(waiter.waker.woken(), 2);
    assert!(matches!(TestWaiter::of(&budget).poll(1), Acquire::Queued), "its turn has not come");
    assert!(budget.try_acquire(1).is_none(), "it is not spare");
    drop(taken(waiter.poll(1)));
    drop(second);
    assert_eq!((budget.free(), budget.held()), (2, 0));
}

#[test]
fn all_in_line_learn_that_connections_hold_all_and_learn_it_once() {
    let budget = SocketBudget::new(1);
    let race = take(&budget, 1).unwrap();
    let mut waiters: Vec<_> = (0..5).map(|_| TestWaiter::of(&budget)).collect();
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Acquire::Queued)));
    let rung = |waiters: &[TestWaiter]| waiters.iter().map(|it| it.waker.woken()).collect::<Vec<_>>();
    let held = race.hold();
    assert_eq!(rung(&waiters), [1; 5]);
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Acquire::AllHeld)));
    // Each time that a connection comes and goes, only who is next is woken.
    drop(held);
    let race = taken(waiters.remove(0).poll(1));
    drop(race.hold());
    assert_eq!(rung(&waiters), [2, 1, 1, 1]);
    // One that has seen others come back has to be told again.
    let race = taken(waiters.remove(0).poll(1));
    assert!(matches!(waiters[1].poll(1), Acquire::Queued));
    let _held = race.hold();
    assert_eq!(rung(&waiters), [1, 2, 1]);
}

#[test]
fn a_share_that_is_given_up_whole_wakes_the_next_alone() {
    let budget = SocketBudget::new(3);
    let race = take(&budget, 3).unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| TestWaiter::of(&budget)).collect();
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Acquire::Queued)));
    drop(race);
    let rung = |waiters: &[TestWaiter]| waiters.iter().map(|it| it.waker.woken()).collect::<Vec<_>>();
    assert_eq!(rung(&waiters), [1, 0, 0]);
    let share = taken(waiters[0].poll(1));
    assert_eq!(rung(&waiters), [1, 1, 0], "which wakes the one behind it");
    drop(share);
}

#[test]
fn threads_never_have_more_than_there_is_and_all_have_their_turn() {
    let budget = SocketBudget::new(3).waits(Duration::MAX);
    let out = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for number in 0..8 {
            let (budget, out) = (&budget, &out);
            scope.spawn(move || {
                for round in 0..200 {
                    let mut place = None;
                    let poll = |waker: &Waker| match budget.poll_acquire(
                        &mut place,
                        1 + (number + round) % 3,
                        waker,
                    ) {
                        Acquire::Acquired(share) => ControlFlow::Break(share),
                        Acquire::Queued | Acquire::AllHeld => ControlFlow::Continue(None),
                    };
                    let share = block_on(poll, OsClock::start(), None).expect("nobody cancels");
                    drop(place);
                    let sockets = share.sockets();
                    assert!(out.fetch_add(sockets, Ordering::SeqCst) + sockets <= 3);
                    if round % 2 == 0 {
                        out.fetch_sub(sockets - 1, Ordering::SeqCst);
                        let held = share.hold();
                        std::thread::yield_now();
                        out.fetch_sub(1, Ordering::SeqCst);
                        drop(held);
                    } else {
                        std::thread::yield_now();
                        out.fetch_sub(sockets, Ordering::SeqCst);
                        drop(share);
                    }
                }
            });
        }
    });
    assert_eq!((budget.free(), budget.held(), budget.shared.state().expect("its own").sharers), (3, 0, 0));
}
