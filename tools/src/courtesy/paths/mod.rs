//! One client and its paths.

mod picture;
mod survey;
mod tables;

use connie_sim::courtesy::{CourtesyPolicy, Rival, Setting};

use super::measured::Measured;
pub use picture::picture;
use survey::{HAPPY_EYEBALLS, Row, survey};

/// All policies, as tables and the picture have them.
const POLICIES: [(CourtesyPolicy, &str); 9] = [
    (CourtesyPolicy::Connie, "connie"),
    (CourtesyPolicy::ConnieSlow, "connie, each delay 100 ms or more"),
    (CourtesyPolicy::Staggered, "connie, `Staggered`"),
    (CourtesyPolicy::AllAtOnce, "connie without a memory"),
    (HAPPY_EYEBALLS, "Happy Eyeballs, 250 ms"),
    (CourtesyPolicy::Rival(Rival::Curl), "curl, 200 ms"),
    (CourtesyPolicy::Rival(Rival::Firefox), "Firefox, 50 ms · 2^i"),
    (CourtesyPolicy::Rival(Rival::Apple), "Apple, by history"),
    (CourtesyPolicy::Rival(Rival::LastWinner), "the last winner, then 250 ms"),
];

pub(super) fn measure(seeds: u64) -> Measured {
    let twelve = all(&Setting::TWELVE, seeds);
    let few = all(&tables::few(), seeds);
    let text = tables::text(&twelve, &few, seeds);
    // Its picture is drawn from the page.
    Measured { text, pictures: Vec::new() }
}

/// What each policy costs in a setting.
fn all(setting: &Setting, seeds: u64) -> Vec<Row> {
    POLICIES.iter().map(|(policy, name)| (*name, survey(setting, *policy, seeds))).collect()
}

/// How many seeds CI has time for.
const CHECKED: u64 = 60;

/// Holds what connie costs to bounds. They leave room for what other seeds would have brought.
pub(super) fn check() -> Result<String, String> {
    let [connie, slow, whole, rival] =
        [CourtesyPolicy::Connie, CourtesyPolicy::ConnieSlow, CourtesyPolicy::AllAtOnce, HAPPY_EYEBALLS]
            .map(|policy| survey(&Setting::TWELVE, policy, CHECKED).later);
    let labs = tables::labs(20);
    let mut missed: Vec<String> = Vec::new();
    let mut at_most = |name: &str, is: f64, bound: f64| {
        if is > bound {
            missed.push(format!("{name}: {is:.3}, at most {bound} wanted (seeds 0 to {})", CHECKED - 1));
        }
    };
    at_most("regret beside Happy Eyeballs'", connie.regret() / rival.regret(), 1.0 / 7.0);
    at_most("the same with delays of 100 ms", slow.regret() / rival.regret(), 1.0 / 7.0);
    at_most("regret beside all at once, in ms", connie.regret() - whole.regret(), 10.0);
    at_most("SYNs a visit", connie.syns(), 1.22);
    at_most("visits that came to nothing", connie.lost as f64, whole.lost as f64 + 2.0);
    for (lab, cost) in &labs {
        let wanted = lab.wanted();
        at_most(lab.name(), cost.regret(), wanted.regret);
        at_most(lab.name(), cost.syns(), wanted.syns);
        at_most(lab.name(), cost.wasted(), wanted.wasted);
    }
    let told = format!(
        "twelve addresses, {CHECKED} seeds: connie {:.1} ms at {:.2} SYNs, with delays of 100 ms {:.1} ms; Happy Eyeballs {:.1} ms at \
         {:.2}; all at once {:.1} ms at {:.1}\n",
        connie.regret(),
        connie.syns(),
        slow.regret(),
        rival.regret(),
        rival.syns(),
        whole.regret(),
        whole.syns(),
    );
    if missed.is_empty() { Ok(told) } else { Err(told + &missed.join("\n")) }
}
