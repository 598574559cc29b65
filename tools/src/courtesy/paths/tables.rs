//! What was measured, as tables in Markdown.

use std::fmt::Write;

use connie_sim::courtesy::{
    AddressCount, Cost, CourtesyEvent, CourtesyPolicy, Distance, Lab, Rival, Setting,
};

use super::survey::{HAPPY_EYEBALLS, Row, survey};

/// Whom smaller tables have.
const BESIDE: [(CourtesyPolicy, &str); 6] = [
    (CourtesyPolicy::Connie, "connie"),
    (CourtesyPolicy::ConnieSlow, "100 ms or more"),
    (CourtesyPolicy::AllAtOnce, "no memory"),
    (HAPPY_EYEBALLS, "Happy Eyeballs"),
    (CourtesyPolicy::Rival(Rival::Apple), "Apple"),
    (CourtesyPolicy::Rival(Rival::LastWinner), "last winner"),
];

/// The setting in which most sites have one address.
pub(super) fn few() -> Setting {
    Setting::with("1.7 addresses on average", AddressCount::Few)
}

pub(super) fn text(twelve: &[Row], few: &[Row], seeds: u64) -> String {
    let mut text = String::new();
    let visits = twelve.first().map_or(0, |(_, costs)| costs.later.regrets.len());
    let _ = writeln!(
        text,
        "{seeds} clients, seeds 0 to {}; {visits} visits by each policy but the first ones.\n",
        seeds - 1
    );
    policies(&mut text, "Twelve addresses", twelve);
    targets(&mut text, twelve);
    policies(&mut text, "1.7 addresses on average", few);
    beside(&mut text, "Other sites", &sites(), seeds);
    beside(&mut text, "Twelve addresses, and what it hangs on", &conditions(), seeds);
    wrong(&mut text, seeds);
    eight(&mut text, seeds);
    text
}

fn policies(text: &mut String, title: &str, rows: &[Row]) {
    let _ = writeln!(text, "### {title}\n");
    text.push_str("| | regret, ms: mean | 95 % | 99 % | SYNs | wasted | first visit: regret | SYNs |\n");
    text.push_str("|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for (name, costs) in rows {
        let (later, first) = (&costs.later, &costs.first);
        let _ = writeln!(
            text,
            "| {name} | {} | {} | {} | {:.2} | {:.2} | {} | {:.2} |",
            millis(later.regret()),
            millis(later.percentile(95)),
            millis(later.percentile(99)),
            later.syns(),
            later.wasted(),
            millis(first.regret()),
            first.syns(),
        );
    }
    text.push('\n');
}

/// A tenth of a millisecond is below what is simulated.
fn millis(value: f64) -> String {
    let rounded = (value * 10.0).round() / 10.0;
    // No -0.0.
    format!("{:.1}", if rounded == 0.0 { 0.0 } else { rounded })
}

fn targets(text: &mut String, rows: &[Row]) {
    let of = |name: &str| rows.iter().find(|(its, _)| *its == name).map(|(_, costs)| &costs.later);
    let (Some(connie), Some(slow), Some(whole), Some(rival)) = (
        of("connie"),
        of("connie, each delay 100 ms or more"),
        of("connie without a memory"),
        of("Happy Eyeballs, 250 ms"),
    ) else {
        return;
    };
    text.push_str("| of connie with a memory, twelve addresses | wanted | measured | |\n|---|--:|--:|---|\n");
    let mut row = |what: &str, wanted: &str, is: String, met: bool| {
        let _ = writeln!(text, "| {what} | {wanted} | {is} | {} |", if met { "met" } else { "missed" });
    };
    let portion = rival.regret() / connie.regret();
    row("mean regret, as a part of Happy Eyeballs'", "1/8", format!("1/{portion:.1}"), portion >= 8.0);
    let more = connie.regret() - whole.regret();
    row("mean regret beyond all at once", "5 ms", format!("{} ms", millis(more)), more <= 5.0);
    row("SYNs a visit", "1.2", format!("{:.3}", connie.syns()), connie.syns() <= 1.2);
    let portion = rival.regret() / slow.regret();
    row("with each delay 100 ms or more", "1/6", format!("1/{portion:.1}"), portion >= 6.0);
    text.push('\n');
}

fn sites() -> [Setting; 6] {
    [
        Setting::with("1 to 12 addresses", AddressCount::UpToTwelve),
        Setting::with("one address", AddressCount::Of(1)),
        Setting::at("12, all near", Distance::Near),
        Setting::at("12, all anywhere", Distance::Far),
        Setting::at("12 in one place", Distance::OnePlace),
        Setting::ROTATING,
    ]
}

fn conditions() -> [Setting; 9] {
    const AS_IS: Setting = Setting::TWELVE;
    [
        Setting { in_a_row: 40.0, ..Setting::each("40 visits in a row, then minutes", 5.0) },
        Setting::each("8 in a row, half a minute", 0.5),
        Setting::each("8 in a row, 15 minutes", 15.0),
        Setting { in_a_row: 1.0, ..Setting::each("1 in a row, 5 minutes", 5.0) },
        Setting { changes: 0.0, name: "no path changes", ..AS_IS },
        Setting { loss: 0.0, name: "no SYN is lost", ..AS_IS },
        Setting { dead: 0.0, name: "no address is dead", ..AS_IS },
        Setting { jitter: 0.0, name: "no jitter", ..AS_IS },
        Setting { jitter: 3.0, name: "jitter threefold", ..AS_IS },
    ]
}

/// Regret and SYNs of some policies in some settings.
fn beside(text: &mut String, title: &str, settings: &[Setting], seeds: u64) {
    let _ = writeln!(text, "### {title}\n\nMean regret in ms / SYNs a visit.\n");
    text.push_str("| |");
    BESIDE.iter().for_each(|(_, name)| {
        let _ = write!(text, " {name} |");
    });
    let _ = writeln!(text, "\n|---|{}", "--:|".repeat(BESIDE.len()));
    for setting in settings {
        let _ = write!(text, "| {} |", setting.name);
        for (policy, _) in BESIDE {
            let _ = write!(text, " {} |", pair(&survey(setting, policy, seeds).later));
        }
        text.push('\n');
    }
    text.push('\n');
}

fn pair(cost: &Cost) -> String {
    format!("{} / {:.2}", millis(cost.regret()), cost.syns())
}

/// What visits cost by which a memory is found wrong.
fn wrong(text: &mut String, seeds: u64) {
    text.push_str("### A wrong memory\n\nTwelve addresses. Half-way something happens; then the first visit to each site, the second and so on. ");
    text.push_str("Mean regret in ms / SYNs a visit.\n\n| | | 1st | 2nd | 3rd | 4th | 5th | 6th |\n|---|---|--:|--:|--:|--:|--:|--:|\n");
    let settings = [
        Setting::until("all paths are others, nothing shows it", CourtesyEvent::PathsChange),
        Setting::until("the best address falls silent", CourtesyEvent::BestDies),
        Setting::PORTAL,
        Setting::until("another network", CourtesyEvent::Moves),
    ];
    for setting in settings {
        for (policy, name) in BESIDE {
            let _ = write!(text, "| {} | {name} |", setting.name);
            for cost in &survey(&setting, policy, seeds).since {
                let _ = write!(text, " {} |", pair(cost));
            }
            text.push('\n');
        }
    }
    text.push('\n');
}

/// What the visits to each of the eight networks cost.
pub(super) fn labs(seeds: u64) -> Vec<(Lab, Cost)> {
    let survey = |lab: Lab| {
        let mut cost = Cost::default();
        (0..seeds).for_each(|seed| cost.add(&lab.run(seed)));
        (lab, cost)
    };
    Lab::ALL.into_iter().map(survey).collect()
}

fn eight(text: &mut String, seeds: u64) {
    let _ = writeln!(
        text,
        "### Eight networks\n\nForty visits each, {seeds} seeds, the first visit not counted: ms beyond the round trip of the best address / SYNs / wasted handshakes a visit.\n"
    );
    text.push_str("| | wanted | measured |\n|---|--:|--:|\n");
    for (lab, cost) in labs(seeds) {
        let wanted = lab.wanted();
        let _ = writeln!(
            text,
            "| {} | {} / {} / {} | {} / {:.2} / {:.2} |",
            lab.name(),
            wanted.regret,
            wanted.syns,
            wanted.wasted,
            millis(cost.regret()),
            cost.syns(),
            cost.wasted(),
        );
    }
}
