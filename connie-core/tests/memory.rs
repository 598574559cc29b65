//! A memory and races that run at one time, by hand.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network, Verdict, Visit};
use connie_core::race::PlannedRace;
use connie_core::{AttemptId, Config, Family, Input, Instant, Output};

/// A race to a host with two addresses, at a moment of its own.
struct Running {
    race: PlannedRace<4, 4>,
    visit: Visit,
    started: Vec<AttemptId>,
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

impl Running {
    fn begin(memory: &mut Memory<16>, host: &str, last: u8, now: Instant) -> Self {
        let visit = memory.visit(host, Finish::Tcp, 0, &Network::default());
        let mut race = PlannedRace::new(&Config::all_at_once(), now);
        // Of different prefixes, so that none speaks for the other.
        let addresses = [198, 203].map(|first| SocketAddr::from(([first, last, 0, 1], 80)));
        race.handle_addresses(&addresses, now);
        race.follow(&memory.plan(&visit, &race, 0, now));
        let mut running = Running { race, visit, started: Vec::new() };
        running.poll(now);
        running
    }

    fn poll(&mut self, now: Instant) {
        loop {
            match self.race.poll_output(now) {
                Output::StartAttempt { id, .. } => self.started.push(id),
                output if output.ends_drain() => break,
                _ => {}
            }
        }
    }

    /// The attempt that started as this one wins, and the memory learns.
    fn wins(mut self, memory: &mut Memory<16>, number: usize, now: Instant) {
        self.race.handle_input(Input::AttemptSucceeded { id: self.started[number] }, now);
        self.poll(now);
        memory.learn(&self.visit, &self.race, false, now);
    }
}

/// A memory that knows both hosts, whose first addresses take 30 ms.
fn regular() -> Memory<16> {
    let mut memory = Memory::new(7, at(0));
    for number in 0..8 {
        for (host, last) in [("a", 1), ("b", 2)] {
            let race = Running::begin(&mut memory, host, last, at(1_000 * number));
            race.wins(&mut memory, 0, at(1_000 * number + 30));
        }
    }
    memory
}

/// The leads of these two hosts are silent; their seconds win at these moments. How many start at once in the
/// next race of each.
fn late(memory: &mut Memory<16>, moments: [(u64, u64); 2]) -> [usize; 2] {
    let mut races = [("a", 1), ("b", 2)].into_iter().zip(moments).map(|((host, last), (begins, wins))| {
        let mut race = Running::begin(memory, host, last, at(begins));
        assert_eq!(race.started.len(), 1);
        race.poll(at(begins + 100));
        assert_eq!(race.started.len(), 2, "the second has started by then");
        (race, wins)
    });
    let (a, b) = (races.next().unwrap(), races.next().unwrap());
    drop(races);
    a.0.wins(memory, 1, at(a.1));
    b.0.wins(memory, 1, at(b.1));
    let after = a.1.max(b.1) + 5_000;
    [("a", 1), ("b", 2)].map(|(host, last)| Running::begin(memory, host, last, at(after)).started.len())
}

#[test]
fn leads_of_two_hosts_that_are_late_at_one_moment_are_a_stall() {
    assert_eq!(late(&mut regular(), [(20_000, 20_140), (20_010, 20_160)]), [1, 1]);
    // One after the other they are not.
    assert_eq!(late(&mut regular(), [(20_000, 20_140), (21_000, 21_160)]), [2, 2]);
}

/// While it stalls leads have all of Δ, and three seconds after.
#[test]
fn after_a_stall_leads_have_a_patience_for_three_seconds() {
    for (after, due) in [(2_900, 250_000), (3_100, 0)] {
        let mut memory = regular();
        let mut a = Running::begin(&mut memory, "a", 1, at(20_000));
        let mut b = Running::begin(&mut memory, "b", 2, at(20_010));
        a.poll(at(20_100));
        b.poll(at(20_100));
        a.wins(&mut memory, 1, at(20_140));
        b.wins(&mut memory, 1, at(20_160));
        let next = Running::begin(&mut memory, "a", 1, at(20_160 + after));
        let is = next.race.plan().lead_is_due();
        assert!(if due > 0 { is == due } else { is < 100_000 }, "{after}: {is}");
    }
}

/// A thousand races over one lead that refuses count as one.
#[test]
fn races_that_run_at_one_time_count_one_failure() {
    let demoted = |races: usize| {
        let mut memory = regular();
        let begun: Vec<_> = (0..races).map(|_| Running::begin(&mut memory, "a", 1, at(20_000))).collect();
        for (number, mut race) in begun.into_iter().enumerate() {
            let now = at(20_010 + number as u64);
            let refused = Input::AttemptFailed {
                id: race.started[0],
                error: connie_core::AttemptErrorKind::Refused.into(),
            };
            race.race.handle_input(refused, now);
            race.poll(now);
            race.wins(&mut memory, 1, at(20_100 + number as u64));
        }
        let begins = memory.entries(at(28_600)).find(|entry| entry.is_demoted).is_some();
        (begins, memory.entries(at(24_900)).filter(|entry| entry.is_demoted).count())
    };
    assert_eq!(demoted(1), (false, 1));
    assert_eq!(demoted(1_000), (false, 1));
}

/// The clock of an entry has 32 bits of 1,024 µs: 50 days. What is learnt after months is kept as what is
/// learnt at first.
#[test]
fn a_memory_lives_for_years() {
    let mut memory = regular();
    let day = 86_400_000;
    for days in (10..2_000).step_by(7) {
        let begins = days * day;
        // An hour and more is too long: nobody leads.
        assert_eq!(Running::begin(&mut memory, "a", 1, at(begins)).race.plan().lead(), None, "day {days}");
        Running::begin(&mut memory, "a", 1, at(begins)).wins(&mut memory, 0, at(begins + 30));
        let race = Running::begin(&mut memory, "a", 1, at(begins + 1_000));
        assert_eq!(race.race.plan().lead(), Some(0), "day {days}");
    }
}

/// What a user is shown: of a host whose first address took 30 ms eight times, and failed then.
#[test]
fn entries_say_all_that_is_known() {
    let mut memory = regular();
    let (begins, ends) = (at(20_000), at(20_031));
    let mut race = Running::begin(&mut memory, "a", 1, begins);
    let error = connie_core::AttemptErrorKind::Refused.into();
    race.race.handle_input(Input::AttemptFailed { id: race.started[0], error }, at(20_001));
    race.poll(at(20_001));
    race.wins(&mut memory, 1, ends);
    let entry = |memory: &Memory<16>, first: u8, last: u8, now| {
        let address = SocketAddr::from(([first, last, 0, 1], 80));
        memory.entries(now).find(|entry| entry.address == address).expect("it is known")
    };
    let [failed, second, other] =
        [(198, 1), (203, 1), (198, 2)].map(|(first, last)| entry(&memory, first, last, ends));
    assert!(failed.is_demoted && !failed.is_live && failed.has_led && failed.failures == 1);
    assert!((4_900..7_600).contains(&failed.demoted_for.as_millis()), "{failed:?}");
    assert_eq!(failed.round_trip.map(|it| it.as_millis()), Some(30));
    assert!(failed.variation.is_some_and(|it| (1..15).contains(&it.as_millis())), "{failed:?}");
    assert!(second.is_live && second.failures == 0 && second.demoted_for.is_zero());
    assert!(second.age.as_millis() <= 1 && other.age.as_millis() > 12_000, "{second:?} {other:?}");
    // One host, one network; another host.
    assert!((failed.host, failed.network) == (second.host, second.network) && failed.host != other.host);
    // Its pause goes by; that it failed stays known.
    let later = entry(&memory, 198, 1, at(20_001 + 3_000));
    let passed = failed.demoted_for - later.demoted_for;
    assert!((2_960..2_980).contains(&passed.as_millis()), "{passed:?}");
    let over = entry(&memory, 198, 1, at(28_000));
    assert!(!over.is_demoted && !over.is_live && over.failures == 1 && over.demoted_for.is_zero());
}

/// The finish line is part of the network's number as it is kept, and can be told from it.
#[test]
fn an_entry_says_its_finish_line() {
    let mut memory = Memory::<16>::new(7, at(0));
    let network = Network::new("192.0.2.1".parse().ok(), None);
    for (number, finish) in [Finish::Tcp, Finish::Tls].into_iter().enumerate() {
        let now = at(1_000 * number as u64);
        let visit = memory.visit("a", finish, 0, &network);
        let mut race = PlannedRace::new(&Config::all_at_once(), now);
        race.handle_addresses(&["198.51.100.1:443".parse().unwrap()], now);
        let mut running = Running { race, visit, started: Vec::new() };
        running.poll(now);
        running.wins(&mut memory, 0, at(1_000 * number as u64 + 30));
    }
    let known: Vec<_> = memory.entries(at(3_000)).collect();
    assert_eq!(known.iter().map(|it| it.finish).collect::<Vec<_>>(), [Finish::Tcp, Finish::Tls]);
    assert_eq!(known[0].network, known[1].network);
}

/// What a client gets that dials by itself: families in turn without a plan; with one the lead first and what
/// has failed last.
#[test]
fn addresses_are_told_in_the_order_of_a_plan() {
    let mut memory = Memory::<16>::new(7, at(0));
    let visit = memory.visit("a", Finish::Tcp, 0, &Network::default());
    let [v6a, v6b, v4a, v4b]: [SocketAddr; 4] =
        ["[2001:db8:1::1]:80", "[2001:db8:2::1]:80", "192.0.2.1:80", "198.51.100.1:80"]
            .map(|it| it.parse().unwrap());
    let begin = |now| {
        let mut race = PlannedRace::<8, 4>::new(&Config::all_at_once(), now);
        race.handle_addresses(&[v6a, v6b, v4a, v4b], now);
        race
    };
    let order = |memory: &mut Memory<16>, now| {
        let race = begin(now);
        let plan = memory.plan(&visit, &race, 0, now);
        (plan.trusts_lead(), race.in_order(&plan).collect::<Vec<_>>())
    };
    assert_eq!(order(&mut memory, at(0)), (false, vec![v6a, v4a, v6b, v4b]));
    assert_eq!(memory.entry_of(&visit, v4b, at(0)), None);

    let mut race = begin(at(0));
    let mut started = Vec::new();
    while let Output::StartAttempt { id, destination } = race.poll_output(at(0)) {
        started.push((destination, id));
    }
    let id = |address| started.iter().find(|(to, _)| *to == address).expect("all are tried").1;
    let refused = connie_core::AttemptErrorKind::Refused.into();
    race.handle_input(Input::AttemptFailed { id: id(v6a), error: refused }, at(10));
    race.handle_input(Input::AttemptSucceeded { id: id(v4b) }, at(30));
    while !race.poll_output(at(30)).ends_drain() {}
    memory.learn(&visit, &race, false, at(30));

    let (trusts, told) = order(&mut memory, at(1_000));
    assert!(trusts && told[0] == v4b && told[3] == v6a, "{told:?}");
    let known = memory.entry_of(&visit, v4b, at(1_030)).expect("it has answered");
    assert!(known.is_live && known.address == v4b, "{known:?}");
    assert!(known.age.as_millis().abs_diff(1_000) <= 2, "{known:?}");
    let elsewhere = memory.visit("a", Finish::Tls, 0, &Network::default());
    assert_eq!(memory.entry_of(&elsewhere, v4b, at(1_030)), None);
}

/// Of a link-local address nothing is kept: exploring it would bring nothing, and its turn would never pass.
#[test]
fn what_cannot_be_remembered_is_not_explored() {
    let mut memory = Memory::<16>::new(7, at(0));
    let visit = memory.visit("a", Finish::Tcp, 0, &Network::default());
    let addresses = ["198.51.100.1:80", "169.254.1.1:80", "203.0.113.1:80"].map(|it| it.parse().unwrap());
    let mut explored = [0; 3];
    for number in 0..200 {
        let now = at(1_000 * number);
        let mut race = PlannedRace::<4, 4>::new(&Config::all_at_once(), now);
        race.handle_addresses(&addresses, now);
        let plan = memory.plan(&visit, &race, 0, now);
        race.follow(&plan);
        if let Some(place) = plan.explored() {
            explored[place] += 1;
        }
        let mut running = Running { race, visit, started: Vec::new() };
        running.poll(now);
        running.poll(at(1_000 * number + 20));
        running.wins(&mut memory, 0, at(1_000 * number + 30));
    }
    assert_eq!(explored, [0, 0, 6]);
}

/// One that was made in a `static`, before there was a clock, or that slept for a year.
#[test]
fn a_clock_that_begins_elsewhere_is_no_reason_to_forget() {
    for begins in [0, 365 * 86_400_000, 1_700_000_000_000, 1 << 50] {
        let mut memory = Memory::new(7, at(0));
        let race = Running::begin(&mut memory, "a", 1, at(begins));
        race.wins(&mut memory, 0, at(begins + 30));
        let race = Running::begin(&mut memory, "a", 1, at(begins + 1_000));
        assert_eq!(race.started.len(), 1, "{begins}");
    }
}

/// One that takes longer than a minute says nothing of the address: the machine slept, or the clock jumped.
#[test]
fn a_sample_of_more_than_a_minute_is_none() {
    let minute = 60_000_000;
    for (micros, is_sample) in [(minute - 1, true), (minute, true), (minute + 1, false)] {
        let (begins, ends) = (at(100_000), at(100_000) + Duration::from_micros(micros));
        let round_trip = |memory: &Memory<16>| {
            let address = SocketAddr::from(([198, 1, 0, 1], 80));
            memory.entries(ends).find(|entry| entry.address == address).expect("it answered").round_trip
        };
        // Of one that was never met.
        let mut memory = Memory::new(7, at(0));
        Running::begin(&mut memory, "a", 1, begins).wins(&mut memory, 0, ends);
        let first = round_trip(&memory);
        assert_eq!(first.is_some(), is_sample, "{micros}");
        let kept = Duration::from_micros(micros);
        assert!(first.is_none_or(|it| it >= kept && it - kept < kept / 2_000), "{micros}: {first:?}");
        // Without a time it cannot lead.
        let next = Running::begin(&mut memory, "a", 1, ends);
        assert_eq!(next.started.len(), if is_sample { 1 } else { 2 }, "{micros}");
        // Of one that takes 30 ms.
        let mut memory = regular();
        let before = round_trip(&memory);
        Running::begin(&mut memory, "a", 1, begins).wins(&mut memory, 0, ends);
        assert_eq!(round_trip(&memory) != before, is_sample, "{micros}");
    }
}

/// Those that have not led a race which they won have a quarter of the table, and no more.
#[test]
fn those_that_were_met_once_have_a_quarter_of_the_table() {
    let mut memory = Memory::new(7, at(0));
    let mut now = 0;
    let mut visit = |memory: &mut Memory<16>, last: u8| {
        now += 100;
        let race = Running::begin(memory, &format!("{last}"), last, at(now));
        let led = race.race.plan().lead().is_some();
        race.wins(memory, 0, at(now + 30));
        led
    };
    // A host and its address each: the table is full of those that lead.
    for last in 1..=8 {
        assert_eq!([visit(&mut memory, last), visit(&mut memory, last)], [false, true]);
    }
    for last in 101..=150 {
        assert!(!visit(&mut memory, last));
    }
    let kept: Vec<u8> = (3..=8).filter(|last| visit(&mut memory, *last)).collect();
    assert_eq!(kept, [3, 4, 5, 6, 7, 8]);
    assert!(!visit(&mut memory, 1), "the oldest went");
}

/// Bytes may be from years ago. Ages stop at 24 days, so that "long ago" does not become "never".
#[test]
fn the_age_of_bytes_stops_at_24_days() {
    let memory = regular();
    let mut bytes = vec![0; memory.byte_len()];
    assert_eq!(memory.to_bytes(&mut bytes, at(8_000)), Some(bytes.len()));
    let day = Duration::from_secs(86_400);
    for (age, kept) in
        [(23 * day, 23), (24 * day, 24), (25 * day, 24), (4_000 * day, 24), (Duration::MAX, 24)]
    {
        let back = Memory::<16>::from_bytes(&bytes, 7, age, at(0)).expect("they are whole");
        let entry = back.entries(at(0)).next().expect("an address");
        let beyond = entry.age.checked_sub(kept * day).expect("no less");
        // What it was when it was written, and nothing where that was cut off.
        assert!(
            if kept == 23 { beyond > Duration::from_millis(900) } else { beyond.is_zero() },
            "{age:?}: {beyond:?}"
        );
        let mut again = vec![0; back.byte_len()];
        assert_eq!(back.to_bytes(&mut again, at(0)), Some(again.len()));
        let back = Memory::<16>::from_bytes(&again, 7, Duration::ZERO, at(0)).expect("they are whole");
        assert_eq!(back.entries(at(0)).next(), Some(entry));
    }
}

/// Where one family's answer comes after the other's, the plan is made twice before anything starts. It is
/// one race all the same, and explores.
#[test]
fn a_race_that_plans_anew_explores_still() {
    let mut memory = Memory::<16>::new(7, at(0));
    let visit = memory.visit("a", Finish::Tcp, 0, &Network::default());
    let v4 = ["192.0.2.1:80", "198.51.100.1:80", "203.0.113.1:80"].map(|it| it.parse().unwrap());
    let mut explored = 0;
    for number in 0..32 * 4 {
        let begins = at(1_000 * number);
        let mut race = PlannedRace::<4, 4>::new(&Config::all_at_once(), begins);
        for (family, addresses) in [(Family::V4, &v4[..]), (Family::V6, &[][..])] {
            race.handle_input(Input::Resolved { family, addresses }, begins);
            race.follow(&memory.plan(&visit, &race, 0, begins));
        }
        explored += usize::from(race.plan().explored().is_some());
        let mut running = Running { race, visit, started: Vec::new() };
        running.poll(begins);
        running.wins(&mut memory, 0, at(1_000 * number + 30));
    }
    assert!((3..=5).contains(&explored), "{explored} in 128 races");
}

/// A server that was away for a moment resets within the handshake of TLS. When its pause is over and it
/// answers again, to the end of TLS, it leads again. What a user of the connection said stands until that one
/// takes it back.
#[test]
fn an_address_that_fails_tls_once_leads_again() {
    let addresses = ["192.0.2.1:443", "198.51.100.1:443"].map(|it| it.parse().unwrap());
    for is_said in [false, true] {
        let mut memory = Memory::<16>::new(7, at(0));
        let visit = memory.visit("a", Finish::Tls, 0, &Network::default());
        let begin = |memory: &mut Memory<16>, now| {
            let mut race = PlannedRace::<4, 4>::new(&Config::all_at_once(), now);
            race.handle_addresses(&addresses, now);
            race.follow(&memory.plan(&visit, &race, 0, now));
            let mut running = Running { race, visit, started: Vec::new() };
            running.poll(now);
            running
        };
        begin(&mut memory, at(0)).wins(&mut memory, 0, at(20));
        let mut race = begin(&mut memory, at(1_000));
        assert_eq!(race.race.plan().lead(), Some(0));
        let error = connie_core::AttemptErrorKind::Reset.into();
        race.race.handle_input(Input::AttemptFailed { id: race.started[0], error }, at(1_010));
        race.poll(at(1_010));
        race.wins(&mut memory, 1, at(1_100));
        if is_said {
            memory.report(&visit, addresses[0], Verdict::Refused, at(1_200));
        }
        // Longer than any pause, and shorter than a life.
        let again = |number: u64| at(600_000 + 1_000 * number);
        let led = (0..100).any(|number| {
            let race = begin(&mut memory, again(number));
            let plan = race.race.plan();
            // Where it is explored it starts at the lead's moment, and wins.
            let winner = usize::from(plan.explored() == Some(0));
            race.wins(&mut memory, winner, again(number) + Duration::from_millis(20));
            plan.lead() == Some(0)
        });
        assert_eq!(led, !is_said);
    }
}

/// Rule 10 of a race: what was shown before the source changed was shown of the old network, and the plan
/// begins anew with the starts that it had paid for.
#[test]
fn what_a_race_showed_before_its_source_changed_is_not_learnt_of_the_new_network() {
    let mut memory = regular();
    let mut race = Running::begin(&mut memory, "a", 1, at(20_000));
    assert_eq!(race.started.len(), 1, "the lead alone");
    race.poll(at(20_100));
    assert_eq!(race.started.len(), 2);
    let refused = connie_core::AttemptErrorKind::Refused.into();
    race.race.handle_input(Input::AttemptFailed { id: race.started[1], error: refused }, at(20_110));
    race.poll(at(20_110));
    race.race.handle_input(Input::SourceChanged { family: Family::V4 }, at(20_200));
    let elsewhere = Network::new("192.0.2.7".parse().ok(), None);
    race.visit = memory.visit("a", Finish::Tcp, 0, &elsewhere);
    race.race.follow(&memory.plan(&race.visit, &race.race, 0, at(20_200)));
    race.poll(at(20_200));
    // Both at once: nothing is known there, and nothing was used up.
    assert_eq!(race.started.len(), 4);
    let (here, visit) = (memory.visit("a", Finish::Tcp, 0, &Network::default()), race.visit);
    race.wins(&mut memory, 2, at(20_240));
    let [lead, second] = [198, 203].map(|first| SocketAddr::from(([first, 1, 0, 1], 80)));
    assert_eq!(memory.entry_of(&visit, second, at(20_300)), None, "it has refused on another network");
    assert!(memory.entry_of(&visit, lead, at(20_300)).expect("it has answered").is_live);
    // What was known of the old network stays.
    assert!(memory.entry_of(&here, lead, at(20_300)).expect("it was the lead").is_live);
}

/// The same where nothing of the family was in flight when its source changed; and what begins in the moment
/// of the change is of the new network.
#[test]
fn what_was_refused_before_the_source_changed_is_not_learnt_of_the_new_network() {
    for fails_again in [false, true] {
        let mut memory = Memory::<16>::new(7, at(0));
        let [first, second] = [198, 203].map(|first| SocketAddr::from(([first, 1, 0, 1], 80)));
        let silent = "[2001:db8::1]:80".parse().unwrap();
        let mut race = PlannedRace::new(&Config::all_at_once(), at(1_000));
        race.handle_addresses(&[silent, first, second], at(1_000));
        let visit = memory.visit("a", Finish::Tcp, 0, &Network::new("192.0.2.7".parse().ok(), None));
        let mut race = Running { race, visit, started: Vec::new() };
        race.poll(at(1_000));
        assert_eq!(race.started.len(), 3);
        let error = connie_core::AttemptErrorKind::Refused.into();
        for id in [race.started[1], race.started[2]] {
            race.race.handle_input(Input::AttemptFailed { id, error }, at(1_030));
        }
        race.poll(at(1_030));
        race.race.handle_input(Input::SourceChanged { family: Family::V4 }, at(1_200));
        race.poll(at(1_200));
        assert_eq!(race.started.len(), 5);
        if fails_again {
            race.race.handle_input(Input::AttemptFailed { id: race.started[4], error }, at(1_220));
        }
        race.wins(&mut memory, 3, at(1_240));
        let is_live = |address| memory.entry_of(&visit, address, at(1_300)).map(|entry| entry.is_live);
        assert_eq!(is_live(first), Some(true));
        assert_eq!(is_live(second), fails_again.then_some(false));
    }
}
