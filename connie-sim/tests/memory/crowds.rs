//! Crowds: a thousand tasks that connect to one host at one time, in virtual time. What one of them finds out
//! serves all.

use std::time::Duration;

use connie_core::Config;
use connie_sim::{CrowdResult, SimHost, TaskFault, Tasks, hang, ok, refuse, seeds};

const CROWD: usize = 1_000;
/// Twelve addresses, 20 to 75 ms away, none nearest by its place.
const ALL: &str = "4a 6a 4b 6b 4c 6c 4d 6d 4e 6e 4f 6f";

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn alive(place: usize) -> SimHost {
    ok(20 + 5 * ((place as u64 * 5 + 7) % 12)).jitter(2)
}

fn tasks(seed: u64) -> Tasks {
    let mut tasks = Tasks::new(&Config::all_at_once(), seed);
    tasks.put_all(ALL, alive);
    tasks
}

/// The same with a memory that has been used for a while.
fn warm(seed: u64) -> Tasks {
    let mut tasks = tasks(seed);
    for _ in 0..40 {
        tasks.connect(1);
        tasks.wait(ms(200));
    }
    tasks
}

/// What a race takes alone.
fn alone(seed: u64) -> Duration {
    tasks(seed).connect(1).took[0]
}

/// All have a connection, for so many SYNs at most, and 99 of 100 in at most two and a half times what a race
/// takes alone.
#[track_caller]
fn is_within(came: &CrowdResult, syns: u32, seed: u64) {
    println!("{} SYNs, {:?} at most, alone {:?}, {} led", came.syns, came.most(), alone(seed), came.leads);
    assert_eq!((came.took.len(), came.failed), (CROWD, 0));
    assert!(came.syns <= syns, "{} SYNs", came.syns);
    assert!(came.most() * 2 <= alone(seed) * 5, "{:?}, alone {:?}", came.most(), alone(seed));
}

#[test]
fn with_a_warm_memory_a_thousand_tasks_send_a_tenth_more_than_a_thousand_syns_at_most() {
    seeds(6, |seed| is_within(&warm(seed).connect(CROWD), 1_100, seed));
}

#[test]
fn with_an_empty_memory_one_races_and_the_others_wait_for_what_it_finds_out() {
    seeds(6, |seed| {
        let mut tasks = tasks(seed);
        let came = tasks.connect(CROWD);
        is_within(&came, 1_300, seed);
        assert_eq!(came.leads, 1);
        // The next crowd knows.
        let again = tasks.wait(ms(500)).connect(CROWD);
        is_within(&again, 1_300, seed);
    });
}

/// Without a memory each is the whole race: what a crowd is without.
#[test]
fn a_task_alone_is_the_race_that_it_was() {
    seeds(6, |seed| {
        let came = tasks(seed).connect(1);
        assert_eq!((came.syns, came.leads), (12, 1));
        assert!(came.took[0] < ms(23));
    });
}

/// Whoever leads may go away at any moment: another leads then.
#[test]
fn a_leader_that_is_dropped_is_followed_by_another() {
    seeds(6, |seed| {
        for after in [0, 1, 10, 19] {
            let came = tasks(seed).fault(1, TaskFault::Dropped(ms(after))).connect(CROWD);
            assert_eq!((came.took.len(), came.failed, came.leads), (CROWD - 1, 0, 2));
            assert!(came.syns <= 1_300, "{after}: {} SYNs", came.syns);
            assert!(came.most() <= ms(after + 80), "{after}: {:?}", came.most());
        }
    });
}

/// One that is stuck is waited for until it is half a patience old, and the next one until what is left of
/// the others' own Δ is over. Then a third one leads and nobody waits for it: the others go on each for
/// itself, by the bucket.
#[test]
fn leaders_that_are_stuck_are_not_waited_for() {
    seeds(6, |seed| {
        for (stuck, wait) in [(1, 125), (2, 250), (9, 250)] {
            let came = tasks(seed).fault(stuck, TaskFault::Stuck).connect(CROWD);
            let is_led = stuck == 1;
            assert_eq!(came.leads, stuck.min(2) + 1, "{stuck}");
            let gone = stuck.min(came.leads) as usize;
            assert_eq!((came.took.len(), came.failed), (CROWD - gone, 0), "{stuck}");
            assert!(came.most() <= ms(wait + if is_led { 60 } else { 100 }), "{stuck}: {:?}", came.most());
            assert!(came.syns <= if is_led { 1_300 } else { 1_100 }, "{stuck}: {} SYNs", came.syns);
        }
    });
}

/// A race that fails teaches that nobody answers, and no more: those that waited for it find out for
/// themselves, none of them for longer than Δ.
#[test]
fn where_the_leader_fails_the_others_go_on() {
    seeds(6, |seed| {
        let mut tasks = tasks(seed);
        tasks.put_all(ALL, |_| refuse(10));
        let came = tasks.connect(CROWD);
        assert_eq!((came.took.len(), came.failed), (0, CROWD));
        // And all is as before when the host is there again.
        tasks.put_all(ALL, alive);
        is_within(&tasks.wait(ms(500)).connect(CROWD), 1_300, seed);
    });
}

/// The leader's own deadline, or an end of it that has nothing to do with the host.
#[test]
fn a_crowd_behind_dead_addresses_and_a_live_one() {
    seeds(6, |seed| {
        let mut tasks = Tasks::new(&Config::all_at_once(), seed);
        tasks.put_all("6a 6b 4a", |_| hang()).put("4b", ok(40));
        let came = tasks.connect(CROWD);
        assert_eq!((came.took.len(), came.leads), (CROWD, 1));
        assert_eq!(came.syns, 4 + 999);
        assert!(came.most() <= ms(90), "{:?}", came.most());
    });
}

/// Beyond what the leader can find out in half a patience: each goes on by itself, with a start at a time.
#[test]
fn a_crowd_over_a_satellite() {
    seeds(6, |seed| {
        let mut tasks = Tasks::new(&Config::all_at_once(), seed);
        tasks.put_all(ALL, |_| ok(600).jitter(20));
        let came = tasks.connect(CROWD);
        assert_eq!((came.took.len(), came.failed), (CROWD, 0));
        println!("{} SYNs, {:?}, {:?}", came.syns, came.most(), came.winners);
        assert!(came.syns <= 4_000, "{} SYNs", came.syns);
        assert!(came.most() <= ms(250 + 640), "{:?}", came.most());
        // They spread, since nobody knows better.
        let most = came.winners.values().max().copied().unwrap_or_default();
        assert!(most <= CROWD / 3, "{:?}", came.winners);
    });
}

/// More than one server has room for: what is late is tried elsewhere, by the bucket.
#[test]
fn a_crowd_that_one_server_has_no_room_for() {
    seeds(6, |seed| {
        let mut tasks = warm(seed);
        let came = tasks.backlog(600).connect(CROWD);
        assert_eq!((came.took.len(), came.failed), (CROWD, 0));
        println!("{} SYNs, {:?}, {:?}", came.syns, came.most(), came.winners);
        assert!(came.syns <= 2_000, "{} SYNs", came.syns);
        assert!(came.most() <= ms(250), "{:?}", came.most());
    });
}
