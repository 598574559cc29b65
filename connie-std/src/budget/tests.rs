use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::task::Wake;

use super::*;
use crate::block_on::block_on;
use crate::clock::OsClock;

fn take(budget: &SocketBudget, most: usize) -> Option<Share> {
    match budget.poll_take(&mut None, most, Waker::noop()) {
        Turn::Taken(share) => Some(share),
        Turn::InLine | Turn::AllHeld => None,
    }
}

/// Waits for its turn, until it has a share or is `canceled`; `Err` where connections hold all.
fn wait(
    budget: &SocketBudget,
    most: usize,
    canceled: Option<&dyn Fn() -> bool>,
) -> Option<Result<Share, ()>> {
    let mut place = None;
    let poll = |waker: &Waker| match budget.poll_take(&mut place, most, waker) {
        Turn::Taken(share) => ControlFlow::Break(Ok(share)),
        Turn::InLine => ControlFlow::Continue(None),
        Turn::AllHeld => ControlFlow::Break(Err(())),
    };
    block_on(poll, OsClock::start(), canceled)
}

/// Waits until `count` are in line.
fn wait_for_line(budget: &SocketBudget, count: usize) {
    while budget.state().line.len() < count {
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
    let held = share.hold().hold();
    assert_eq!((budget.free(), budget.held()), (9, 1));
    drop(held);
    assert_eq!((budget.free(), budget.held()), (10, 0));
}

#[test]
fn a_budget_has_a_socket() {
    assert_eq!(take(&SocketBudget::new(0), 5).unwrap().sockets(), 1);
    assert!(SocketBudget::of_process().sockets() >= 1);
}

#[test]
fn who_waits_longest_is_next_and_shares_with_those_behind() {
    let budget = SocketBudget::new(4);
    let all = take(&budget, 4).unwrap();
    let (sender, receiver) = channel();
    let waiters: Vec<_> = (0..3)
        .map(|number| {
            let (waiting, sender) = (budget.clone(), sender.clone());
            let thread = std::thread::spawn(move || {
                let share = wait(&waiting, 4, None).unwrap().unwrap();
                sender.send((number, share.sockets())).unwrap();
                share
            });
            wait_for_line(&budget, number + 1);
            thread
        })
        .collect();
    drop(all);
    // Of four free ones the first of three takes one, the next of two that are left one, the last all.
    let mut took: Vec<_> = receiver.iter().take(3).collect();
    took.sort_unstable();
    assert_eq!(took, [(0, 1), (1, 1), (2, 2)]);
    for waiter in waiters {
        drop(waiter.join().unwrap());
    }
    assert_eq!(budget.free(), 4);
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
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Bell {
    fn rung(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One who stands in line.
struct Waiter {
    budget: SocketBudget,
    place: Option<Place>,
    bell: Arc<Bell>,
}

impl Waiter {
    fn of(budget: &SocketBudget) -> Self {
        Waiter { budget: budget.clone(), place: None, bell: Arc::default() }
    }

    fn poll(&mut self, most: usize) -> Turn {
        self.budget.poll_take(&mut self.place, most, &self.bell.clone().into())
    }
}

#[track_caller]
fn taken(turn: Turn) -> Share {
    match turn {
        Turn::Taken(share) => share,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nobody_waits_for_connections_alone() {
    let budget = SocketBudget::new(2);
    let first = take(&budget, 1).unwrap().hold();
    let second = take(&budget, 1).unwrap();
    let mut waiter = Waiter::of(&budget);
    assert!(matches!(waiter.poll(1), Turn::InLine), "a race has one");
    let second = second.hold();
    assert_eq!((budget.free(), budget.held(), waiter.bell.rung()), (0, 2, 1));
    assert!(matches!(waiter.poll(1), Turn::AllHeld));
    assert!(matches!(Waiter::of(&budget).poll(1), Turn::AllHeld), "and so for who comes later");
    // Who stays in line is next all the same.
    drop(first);
    assert_eq!(waiter.bell.rung(), 2);
    assert!(matches!(Waiter::of(&budget).poll(1), Turn::InLine), "its turn has not come");
    drop(taken(waiter.poll(1)));
    drop(second);
    assert_eq!((budget.free(), budget.held()), (2, 0));
}

#[test]
fn all_in_line_learn_that_connections_hold_all_and_learn_it_once() {
    let budget = SocketBudget::new(1);
    let race = take(&budget, 1).unwrap();
    let mut waiters: Vec<_> = (0..5).map(|_| Waiter::of(&budget)).collect();
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Turn::InLine)));
    let rung = |waiters: &[Waiter]| waiters.iter().map(|it| it.bell.rung()).collect::<Vec<_>>();
    let held = race.hold();
    assert_eq!(rung(&waiters), [1; 5]);
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Turn::AllHeld)));
    // Each time that a connection comes and goes, only who is next is woken.
    drop(held);
    let race = taken(waiters.remove(0).poll(1));
    drop(race.hold());
    assert_eq!(rung(&waiters), [2, 1, 1, 1]);
    // One that has seen others come back has to be told again.
    let race = taken(waiters.remove(0).poll(1));
    assert!(matches!(waiters[1].poll(1), Turn::InLine));
    let _held = race.hold();
    assert_eq!(rung(&waiters), [1, 2, 1]);
}

#[test]
fn a_share_that_is_given_up_whole_wakes_the_next_alone() {
    let budget = SocketBudget::new(3);
    let race = take(&budget, 3).unwrap();
    let mut waiters: Vec<_> = (0..3).map(|_| Waiter::of(&budget)).collect();
    assert!(waiters.iter_mut().all(|waiter| matches!(waiter.poll(1), Turn::InLine)));
    drop(race);
    let rung = |waiters: &[Waiter]| waiters.iter().map(|it| it.bell.rung()).collect::<Vec<_>>();
    assert_eq!(rung(&waiters), [1, 0, 0]);
    let share = taken(waiters[0].poll(1));
    assert_eq!(rung(&waiters), [1, 1, 0], "which wakes the one behind it");
    drop(share);
}
