//! Why a race does what it does, in words and as JSON.

use std::time::Duration;

use connie_core::memory::{AddressPart, Crowd, CrowdState, Network, WholeRaceReason};
use connie_core::{Config, Pacing};
use connie_sim::{Visits, hang, ok, refuse};

use crate::{regular, visits};

const ALL: Config = Config::all_at_once();

fn words(visits: &Visits) -> String {
    visits.explain(|explanation| explanation.to_string())
}

/// What it says of each address.
fn each(visits: &Visits) -> Vec<String> {
    visits.explain(|explanation| explanation.addresses().iter().map(ToString::to_string).collect())
}

fn secs(visits: &mut Visits, seconds: u64) {
    visits.wait(Duration::from_secs(seconds));
}

#[test]
fn a_lead_with_its_round_trip_and_its_age() {
    let mut visits = visits(&ALL, [("4a", ok(31)), ("4b", ok(60)), ("4c", refuse(1)), ("4d", refuse(1))]);
    assert_eq!(words(&visits), "whole race: the host was never met here; 4 unknown");
    for _ in 0..12 {
        visits.visit();
    }
    assert_eq!(words(&visits), "lead: 31 ms +-4, seen 200 ms ago; 2 demoted; next at 45 ms");
    secs(&mut visits, 12);
    assert_eq!(words(&visits), "lead: 31 ms +-4, seen 12 s ago; 2 on probation; next at 45 ms");
    secs(&mut visits, 120);
    assert_eq!(words(&visits), "lead: 31 ms +-4, seen 2 min ago; 2 on probation; next at 45 ms");
    assert_eq!(visits.explain(|it| it.the(AddressPart::Lead).unwrap().address()).port(), 80);
}

#[test]
fn each_address_in_the_order_of_the_answer() {
    let hosts = [("4a", ok(31)), ("4b", ok(300)), ("4c", refuse(1)), ("6a", hang())];
    let mut visits = visits(&ALL, hosts);
    visits.visit();
    visits.put("4a", hang()).visit();
    assert_eq!(
        each(&visits),
        [
            "[2001:db8::1]:80 unknown",
            "192.0.2.1:80 lead: 31 ms +-16, seen 885 ms ago, late last time",
            "192.0.2.2:80 second: 300 ms +-150, seen 200 ms ago",
            "192.0.2.3:80 demoted: 2 failures, for 11 s more",
        ]
    );
    secs(&mut visits, 4_000);
    assert_eq!(
        each(&visits),
        [
            "[2001:db8::1]:80 unknown",
            "192.0.2.1:80 unknown: seen 66 min ago",
            "192.0.2.2:80 unknown: seen 66 min ago",
            "192.0.2.3:80 unknown",
        ]
    );
}

/// What is said to be the next start is when the next starts, and so with the third.
#[test]
fn the_next_starts_when_it_is_said_to() {
    let staggered = |delay| {
        let pacing = Pacing::Staggered { delay: Duration::from_millis(delay), growth_percent: 100 };
        Config::staggered().pacing(pacing)
    };
    let mut explored = 0;
    for config in [ALL, staggered(250), staggered(20)] {
        // So many that one explores, and that the bucket is empty where each visit starts two.
        for visited in 0..40 {
            let hosts = [("4a", ok(31)), ("4b", ok(60)), ("4c", ok(70)), ("4d", ok(80)), ("4e", ok(80))];
            let mut visits = regular(&config, hosts);
            for _ in 0..visited {
                visits.visit();
            }
            let (next, rest) = visits.explain(|it| (it.next().unwrap(), it.rest().unwrap()));
            let (said, is_beside) = visits.explain(|it| (it.to_string(), it.count(AddressPart::Explored)));
            for label in ["4a", "4b", "4c", "4d", "4e"] {
                visits.put(label, hang());
            }
            visits.config.deadline = Some(Duration::from_secs(60));
            let mut starts = Vec::new();
            visits.visit_with(0, |attempts, _| starts.extend(attempts.iter().map(|it| it.started)));
            let ahead = if config.pacing == ALL.pacing { 1 + is_beside } else { 1 };
            assert_eq!((starts[ahead], starts[ahead + 1]), (next, rest), "{visited}: {said}; {starts:?}");
            explored += is_beside;
        }
    }
    assert!(explored > 2);
}

/// Every reason for the whole race.
#[test]
fn why_it_is_the_whole_race() {
    let whole = |visits: &Visits| visits.explain(|it| it.whole());
    let mut visits = regular(&ALL, [("4a", ok(31)), ("4b", ok(60))]);
    assert_eq!(whole(&visits), None);
    let home = visits.network;
    visits.network = Network::new("198.51.100.7".parse().ok(), None);
    assert_eq!(whole(&visits), Some(WholeRaceReason::NeverMet));
    visits.network = home;
    // An hour later it is as if it were never met. Sooner its answer may have other addresses.
    visits.answer("6x 6y");
    visits.put("6x", ok(31)).put("6y", ok(60));
    assert_eq!(whole(&visits), Some(WholeRaceReason::NothingFresh));
    assert_eq!(words(&visits), "whole race: nothing fresh is known of its addresses; 2 unknown");
    visits.answer("4a 4b");
    secs(&mut visits, 3_601);
    assert_eq!(whole(&visits), Some(WholeRaceReason::NeverMet));
    visits.visit();
    assert_eq!(whole(&visits), None);

    for label in ["4a", "4b"] {
        visits.put(label, refuse(1));
    }
    visits.visit();
    assert_eq!(whole(&visits), Some(WholeRaceReason::AfterMiss));
    assert_eq!(words(&visits), "whole race: the last lead was beaten, or nobody answered");
    visits.put("4a", ok(31)).visit();
    visits.answer("4b");
    assert_eq!(
        (whole(&visits), words(&visits).as_str()),
        (Some(WholeRaceReason::NoneLive), "whole race: none is known to answer; 1 demoted")
    );
}

#[test]
fn what_holds_a_race_back() {
    let mut visits = regular(&ALL, [("4a", ok(31)), ("4b", ok(60))]);
    visits.put("4a", ok(31).lose_first(20)).visit();
    // It starts with the second beside it.
    assert_eq!(words(&visits), "lead: 31 ms +-10, seen 533 ms ago, late last time; next with it");

    // A family that is doubted.
    let mut visits = crate::visits(&ALL, [("6a", hang()), ("6b", hang()), ("6c", hang()), ("4a", ok(100))]);
    visits.visit();
    visits.answer("6d 4a");
    assert_eq!(words(&visits), "lead: 100 ms +-50, seen 199 ms ago; IPv4 first; next at 250 ms");

    // Where another one answers at each visit, the bucket runs out.
    let labels = ["4a", "4b", "4c", "4d", "4e"];
    let mut visits = regular(&ALL, labels.map(|label| (label, ok(31))));
    for round in 0..20 {
        for (index, label) in labels.into_iter().enumerate() {
            visits.put(label, if index == round % 5 { ok(31) } else { hang() });
        }
        if visits.explain(|it| it.paid()) == Some(0) {
            break;
        }
        visits.visit();
    }
    let whole = "whole race: the last lead was beaten, or nobody answered";
    assert_eq!(words(&visits), format!("{whole}; 1 on probation; next at 250 ms; the bucket is empty"));
}

#[test]
fn what_it_has_to_do_with_others_of_this_moment() {
    let visits = visits(&ALL, [("4a", ok(31)), ("4b", ok(60))]);
    let memory = visits.memory.as_ref().unwrap();
    let about = memory.visit(&visits.host, connie_core::memory::Finish::Tcp, 0, &visits.network);
    let mut crowd = Crowd::<2>::new();
    let second = Duration::from_secs(1);
    for (is, words) in [
        (CrowdState::Leads, "whole race: the host was never met here; 2 unknown; others follow"),
        (CrowdState::Follows, "whole race: the host was never met here; 2 unknown; another explores"),
    ] {
        let role = crowd.join(&about, second, second, visits.now());
        visits.explain(|it| {
            let it = it.in_crowd(&role);
            assert_eq!((it.crowd(), it.to_string().as_str()), (is, words));
        });
    }
}

#[test]
fn as_json() {
    let mut visits = regular(&ALL, [("4a", ok(31)), ("4b", refuse(1)), ("4c", hang())]);
    secs(&mut visits, 1);
    let addresses = [
        concat!(
            r#"{"address":"192.0.2.1:80","part":"lead","round_trip_us":31000,"variation_us":10388,"due_us":72552,"#,
            r#""by_prefix":false,"age_us":1200128,"late":false,"failures":0,"paused_us":null}"#
        ),
        concat!(
            r#"{"address":"192.0.2.2:80","part":"demoted","round_trip_us":null,"variation_us":null,"due_us":null,"#,
            r#""by_prefix":false,"age_us":null,"late":false,"failures":1,"paused_us":4652032}"#
        ),
        concat!(
            r#"{"address":"192.0.2.3:80","part":"second","round_trip_us":31000,"variation_us":null,"due_us":72552,"#,
            r#""by_prefix":true,"age_us":null,"late":false,"failures":0,"paused_us":null}"#
        ),
    ];
    let head = concat!(
        r#"{"whole":null,"lead":"192.0.2.1:80","explored":null,"second":"192.0.2.3:80","next_us":72552,"#,
        r#""rest_us":145104,"longest_us":250000,"hold_us":null,"paid":16,"first":null,"stalled":false,"crowd":null,"#
    );
    let expected = format!(r#"{head}"addresses":[{}]}}"#, addresses.join(","));
    assert_eq!(visits.explain(|it| it.json().to_string()), expected);
}
