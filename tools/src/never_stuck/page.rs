//! What a survey says, as tables and as a picture.

use std::fmt::Write;
use std::time::Duration;

use connie_sim::Bound;

use crate::chart::{Chart, Series, Tick, page};
use crate::never_stuck::{LINES, Ratio, SOCKETS, Sample, Survey};

/// The tables, in Markdown.
#[must_use]
pub fn numbers(survey: &Survey) -> String {
    let mut text = String::new();
    limits(&mut text);
    ratios(&mut text, survey);
    patiences(&mut text, survey);
    text
}

/// The worst case of connie beside what nobody can beat, both as multiples of `r`.
fn limits(text: &mut String) {
    text.push_str("### How far from the best\n\n");
    text.push_str("The longest time to connect as a multiple of `r`, for `r` at or above the patience.\n\n");
    text.push_str(
        "| destinations | sockets | nobody beats, knowing `r` | nobody beats, not knowing it | connie |\n",
    );
    text.push_str("|--:|--:|--:|--:|--:|\n");
    for (n, k) in
        [(4, 4), (5, 4), (6, 4), (8, 4), (2, 1), (12, 4), (16, 4), (12, 1), (64, 8), (64, 4), (64, 1)]
    {
        let known = usize::div_ceil(n, k);
        let _ = writeln!(text, "| {n} | {k} | {known} | {:.2} | {:.2} |", best(n, k), worst(n, k));
    }
    text.push('\n');
}

/// The least ratio of a client that does not know how long a handshake takes.
fn best(n: usize, k: usize) -> f64 {
    if n <= k {
        return 1.0;
    }
    let (n, k) = (n as f64, k as f64);
    1.0 + (n - k) / k * (n / (n - k)).powf(n / k)
}

/// connie's greatest ratio, which it comes to just above a patience of a late round.
fn worst(n: usize, k: usize) -> f64 {
    let patience = Duration::from_millis(10);
    let bound = Bound::new(n, k, patience);
    let ratios = (0..15).map(|round| {
        let r = patience * (1 << round) + Duration::from_nanos(1);
        bound.win(r).as_secs_f64() / r.as_secs_f64()
    });
    ratios.fold(1.0, f64::max)
}

fn ratios(text: &mut String, survey: &Survey) {
    text.push_str("### Beside two other rules\n\n");
    let _ = writeln!(
        text,
        "{SOCKETS} sockets each; {} networks for each line; time to connect over the least round trip of an address that is \
         alive.\n",
        grouped(survey.networks),
    );
    text.push_str("| n | n/k | connie: median | 99 % | max | oldest goes: median | 99 % | max | no eviction: median | 99 % | max |\n");
    text.push_str("|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n");
    for Ratio { addresses, connie, oldest, none } in &survey.ratios {
        let _ = write!(text, "| {addresses} | {} |", *addresses as f64 / SOCKETS as f64);
        for sample in [connie, oldest, none] {
            for value in [sample.percentile(50), sample.percentile(99), sample.max()] {
                let _ = write!(text, " {} |", times(value));
            }
        }
        text.push('\n');
    }
    let lost: Vec<String> =
        survey.ratios.iter().map(|ratio| format!("{:.2} %", ratio.oldest.never())).collect();
    let _ =
        writeln!(text, "\nShare of networks on which the oldest goes never connects: {}.\n", lost.join(", "));
}

fn patiences(text: &mut String, survey: &Survey) {
    text.push_str("### Which patience\n\n");
    let _ = writeln!(
        text,
        "Mean / 99th percentile of the time to connect, in milliseconds, by the client's line; {} networks for each number; 4 to \
         48 addresses over 1 to 8 sockets.\n",
        grouped(survey.networks),
    );
    text.push_str("| patience |");
    LINES.iter().for_each(|line| {
        let _ = write!(text, " {} ({} %) |", line.name, line.share);
    });
    text.push_str(" all | all but satellite | attempts: mean |\n|--:|");
    text.push_str(&"--:|".repeat(LINES.len() + 3));
    text.push('\n');
    for patience in &survey.patiences {
        let _ = write!(text, "| {} |", patience.millis);
        for sample in patience.lines.iter().chain([&patience.all, &patience.earthbound]) {
            let (mean, late) = (sample.mean().round() as u64, sample.percentile(99).round() as u64);
            let _ = write!(text, " {} / {} |", grouped(mean), grouped(late));
        }
        let _ = writeln!(text, " {:.1} |", patience.attempts.mean());
    }
}

/// The picture, as SVG.
#[must_use]
pub fn picture(survey: &Survey) -> String {
    let description = "How long connie, a client that gives up its oldest attempt each 200 ms, and one without eviction take to \
                       connect, and how that depends on the patience. The numbers are in never-stuck.md.";
    page(
        "Never stuck: time to connect with fewer sockets than addresses",
        description,
        &[ratio_chart(survey), patience_chart(survey)],
    )
}

/// One client's times.
type Pick = fn(&Ratio) -> &Sample;

fn ratio_chart(survey: &Survey) -> Chart {
    let of = |pick: Pick, percent: usize| -> Vec<(f64, f64)> {
        let ratios = survey.ratios.iter();
        ratios
            .map(|ratio| (ratio.addresses as f64 / SOCKETS as f64, pick(ratio).percentile(percent)))
            .collect()
    };
    let clients: [(&str, [&'static str; 3], Pick); 3] = [
        ("connie", ["a line", "a thin", "a"], |ratio| &ratio.connie),
        ("oldest goes", ["b line", "b thin", "b"], |ratio| &ratio.oldest),
        ("no eviction", ["c line", "c thin", "c"], |ratio| &ratio.none),
    ];
    let mut series = Vec::new();
    for (name, [line, thin, dot], pick) in clients {
        let one = |class, is_named, percent, dots| Series {
            class,
            label: if is_named { name.to_owned() } else { String::new() },
            points: of(pick, percent),
            dots,
        };
        series.push(one(line, true, 50, false));
        series.push(one(thin, true, 99, false));
        series.push(one(dot, false, 100, true));
    }
    Chart {
        title: "Time to connect with few sockets",
        notes: vec![
            "As a multiple of the fastest live address's round".to_owned(),
            format!("trip. {SOCKETS} sockets, {} networks a point. Solid:", grouped(survey.networks)),
            "median, dashed: 99th percentile, dots: the worst.".to_owned(),
            "Oldest goes: each 200 ms, for good (curl 8.22).".to_owned(),
        ],
        x_name: "addresses for each socket (n/k)",
        x_ticks: [1.0, 1.5, 2.0, 3.0, 4.0, 6.0, 10.0].map(|ratio: f64| (ratio, ratio.to_string())).into(),
        y_ticks: decades(1, 1_000_000),
        rail: Some("never"),
        mark: None,
        series,
    }
}

fn patience_chart(survey: &Survey) -> Chart {
    let of = |pick: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        survey.patiences.iter().enumerate().map(|(at, patience)| (patience.millis as f64, pick(at))).collect()
    };
    let classes = [
        ["d line", "d thin"],
        ["a line", "a thin"],
        ["b line", "b thin"],
        ["c line", "c thin"],
        ["e line", "e thin"],
    ];
    let names = LINES.iter().map(|line| line.name).chain(["all"]);
    let mut series = Vec::new();
    for (at, (name, [line, thin])) in names.zip(classes).enumerate() {
        let sample = |patience: usize| {
            let patience = &survey.patiences[patience];
            patience.lines.get(at).unwrap_or(&patience.all)
        };
        let [mean, late] =
            [of(&|patience| sample(patience).mean()), of(&|patience| sample(patience).percentile(99))];
        series.push(Series { class: line, label: name.to_owned(), points: mean, dots: false });
        series.push(Series { class: thin, label: name.to_owned(), points: late, dots: false });
    }
    Chart {
        title: "Time to connect by patience",
        notes: vec![
            "In milliseconds. 4 to 48 addresses over 1 to 8".to_owned(),
            "sockets, by the client's line. Solid: mean,".to_owned(),
            "dashed: 99th percentile.".to_owned(),
        ],
        x_name: "patience, milliseconds",
        x_ticks: [100_u64, 150, 250, 400, 650, 1_000].map(|millis| (millis as f64, grouped(millis))).into(),
        y_ticks: decades(100, 100_000),
        rail: None,
        mark: Some((250.0, "default")),
        series,
    }
}

fn decades(least: u64, most: u64) -> Vec<Tick> {
    let values =
        std::iter::successors(Some(least), |value| Some(value * 10)).take_while(|value| *value <= most);
    values.map(|value| (value as f64, grouped(value))).collect()
}

/// A multiple, with as many digits as are significant.
fn times(value: f64) -> String {
    match value {
        value if value.is_infinite() => "never".to_string(),
        value if value < 10.0 => format!("{value:.2}"),
        value if value < 100.0 => format!("{value:.1}"),
        value => grouped(value.round() as u64),
    }
}

/// `12345` as `12,345`.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1.004, 12.34, 4_567.8, f64::INFINITY].map(times), ["1.00", "12.3", "4,568", "never"]);
    }

    #[test]
    fn doubling_is_the_best_there_is_for_two_addresses_and_one_socket() {
        assert!((best(2, 1) - 5.0).abs() < 1e-9);
        assert!((worst(2, 1) - 5.0).abs() < 0.01);
        assert_eq!((best(4, 4), worst(4, 4)), (1.0, 1.0));
        for (n, k) in [(3, 2), (5, 4), (12, 4), (64, 1), (64, 8)] {
            assert!(best(n, k) <= worst(n, k) && worst(n, k) < 4.0 / std::f64::consts::E * best(n, k) + 1.0);
        }
    }
}
