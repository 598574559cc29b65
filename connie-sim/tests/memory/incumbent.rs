//! Sessions that a server keeps by address: a caller may ask for the one that was used last.

use connie_core::{Config, Pacing};
use connie_sim::{SimHost, Visits, hang, ok, refuse};

use crate::visits;

const ALL: Config = Config::all_at_once();

/// Visits with an answer that rotates; which addresses won, one after the other.
fn rotating(visits: &mut Visits, count: usize) -> Vec<String> {
    let mut labels = ["4a", "4b", "4c", "4d"];
    let mut won = |_| {
        labels.rotate_left(1);
        visits.answer(&labels.join(" "));
        visits.visit().winner.expect("a connection")
    };
    (0..count).map(&mut won).collect()
}

fn equal() -> [(&'static str, SimHost); 4] {
    ["4a", "4b", "4c", "4d"].map(|label| (label, ok(30)))
}

/// Without the wish the answer's order shares load out among those that were used; with it all go where the
/// first went.
#[test]
fn it_is_used_again_however_the_answer_rotates() {
    let distinct = |won: &[String]| {
        let mut won = won.to_vec();
        won.sort();
        won.dedup();
        won.len()
    };
    let used = || {
        let mut visits = visits(&ALL, equal());
        for label in ["4a", "4b", "4c"] {
            visits.answer(label).visit();
        }
        visits
    };
    assert_eq!(distinct(&rotating(&mut used(), 100)), 3);
    let mut one = used();
    one.incumbent = true;
    assert_eq!(distinct(&rotating(&mut one, 100)), 1);
    assert_eq!(rotating(&mut one, 1), ["4c"], "the one that was used last");
}

/// It is not explored beside it, since one that is explored may win.
#[test]
fn nothing_is_explored() {
    let mut visits = visits(&ALL, equal());
    visits.incumbent = true;
    visits.visit();
    assert!((0..100).all(|_| visits.visit().syns == 1));
    visits.incumbent = false;
    assert!((0..2).any(|_| visits.visit().plan.explored().is_some()), "the turn of others is not lost");
}

/// A machine that is late for a moment does not move a session: the second waits as long as it may.
#[test]
fn a_moment_of_lateness_does_not_move_it() {
    let mut visits = visits(&ALL, equal());
    visits.incumbent = true;
    let first = visits.visit().winner.unwrap();
    for _ in 0..5 {
        visits.visit();
    }
    visits.put(&first, ok(30 + 120));
    let late = visits.visit();
    assert_eq!((late.winner.as_deref(), late.syns), (Some(&*first), 1), "{}", late.starts);
    visits.put(&first, hang());
    let silent = visits.visit();
    assert!(
        silent.starts.starts_with(&format!("{first}@0")) && silent.starts.contains("@250"),
        "{}",
        silent.starts
    );
}

/// It is a wish: one that is better, or the first that answers where it does not, is used.
#[test]
fn one_that_is_better_or_answers_takes_its_place() {
    for (then, winner) in [(refuse(1), "4b"), (hang(), "4b"), (ok(31), "4a")] {
        let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", ok(35))]);
        visits.incumbent = true;
        for _ in 0..4 {
            assert_eq!(visits.visit().winner.as_deref(), Some("4a"));
        }
        visits.put("4a", then);
        for _ in 0..4 {
            assert_eq!(visits.visit().winner.as_deref(), Some(winner));
        }
        // And that one is kept.
        visits.put("4a", ok(30)).answer("4a 4b");
        assert_eq!(visits.visit().winner.as_deref(), Some(winner));
    }
    // Known to be better by ten milliseconds and a third.
    let mut visits = visits(&ALL, [("4a", ok(30)), ("4b", ok(60))]);
    visits.visit();
    visits.answer("4b").visit();
    visits.incumbent = true;
    assert_eq!(visits.answer("4b 4a").visit().winner.as_deref(), Some("4a"));
}

/// Of another host at the same addresses it is another's.
#[test]
fn it_is_kept_by_host() {
    let mut visits = visits(&ALL, equal());
    visits.incumbent = true;
    visits.answer("4a 4b").visit();
    visits.host = "other.test".into();
    visits.answer("4b").visit();
    visits.answer("4a 4b");
    assert_eq!(visits.visit().winner.as_deref(), Some("4b"));
    visits.host = "name.test".into();
    visits.answer("4b 4a");
    assert_eq!(visits.visit().winner.as_deref(), Some("4a"));
}

/// RFC 8305 section 4: families keep their order, so that the wish is within the first.
#[test]
fn with_a_stagger_it_is_of_the_first_family() {
    let pacing = Pacing::Staggered { delay: std::time::Duration::from_millis(250), growth_percent: 100 };
    let config = Config::staggered().pacing(pacing);
    let mut visits = visits(&config, [("6a", ok(30)), ("6b", ok(30)), ("4a", ok(30))]);
    visits.incumbent = true;
    visits.visit();
    visits.put("6a", refuse(1)).visit();
    visits.put("6a", ok(30));
    let kept = visits.visit().winner;
    for answer in ["6b 6a 4a", "6a 6b 4a", "4a 6a 6b"] {
        assert_eq!(visits.answer(answer).visit().winner, kept, "{answer}");
    }
}
