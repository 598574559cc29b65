//! All that was measured, and the table of it.

use std::fmt::Write;
use std::time::Duration;

use connie_sim::Rng;

use super::statistics::{Figures, Ratio};
use super::trial::Trial;
use crate::args::Contender;

/// All that was measured.
pub struct BenchReport {
    /// What the times are: `time to connect`.
    pub measures: &'static str,
    /// What a trial was allowed, and what one that failed counts as.
    pub limit: Duration,
    pub rounds: u32,
    /// How many visits a round has, where they are told apart from the first.
    pub visits: Option<u32>,
    pub seed: u64,
    pub contenders: Vec<Contender>,
    /// Each site's name, and a few words about it.
    pub sites: Vec<(String, String)>,
    /// In the order in which they were run.
    pub trials: Vec<Trial>,
}

/// Which trials of a contender are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    All,
    /// The first visits of the rounds.
    First,
    Later,
}

impl BenchReport {
    /// The trials of one contender at one site, in the order of the rounds.
    pub fn of(&self, site: usize, contender: Contender, part: Part) -> impl Iterator<Item = &Trial> + Clone {
        let is_meant = move |trial: &Trial| match part {
            Part::All => true,
            Part::First => trial.visit == 0,
            Part::Later => trial.visit > 0,
        };
        let those = self.trials.iter().filter(move |trial| trial.site == site && is_meant(trial));
        those.filter(move |trial| trial.contender == contender)
    }

    /// What the contenders are compared by.
    fn compared(&self) -> Part {
        if self.visits.is_some() { Part::Later } else { Part::All }
    }

    /// Their times in microseconds.
    pub fn times(&self, site: usize, contender: Contender, part: Part) -> Vec<u64> {
        self.of(site, contender, part).map(|trial| trial.counted(self.limit)).collect()
    }

    pub fn failures(&self, site: usize, contender: Contender, part: Part) -> usize {
        self.of(site, contender, part).filter(|trial| trial.result.is_err()).count()
    }

    /// What a trial took of something on average: sockets, handshakes.
    pub fn average(&self, site: usize, contender: Contender, part: Part, count: fn(&Trial) -> u32) -> f64 {
        let trials = self.of(site, contender, part);
        let sum: u64 = trials.clone().map(|trial| u64::from(count(trial))).sum();
        sum as f64 / (trials.count() as f64).max(1.0)
    }

    /// How the contender's mean compares with that of the plain client.
    pub fn ratio(&self, site: usize, contender: Contender) -> Option<Ratio> {
        if contender == Contender::Plain || !self.contenders.contains(&Contender::Plain) {
            return None;
        }
        let part = self.compared();
        let failed = |contender| self.of(site, contender, part).all(|trial| trial.result.is_err());
        if failed(contender) && failed(Contender::Plain) {
            // The ratio of two limits says nothing.
            return None;
        }
        // One trial of each in every round.
        let times = self.times(site, contender, part).into_iter();
        let pairs: Vec<(u64, u64)> = times.zip(self.times(site, Contender::Plain, part)).collect();
        Ratio::of(&pairs, &mut Rng::new(self.seed))
    }

    pub fn table(&self, width: usize) -> String {
        let mut text = String::new();
        for (site, (name, about)) in self.sites.iter().enumerate() {
            if site > 0 {
                text.push('\n');
            }
            push_wrapped(&mut text, &format!("{name}: {about}"), width);
            let limit = seconds(self.limit);
            let what = format!("{} in ms, {}, a failure counts as {limit} s", self.measures, self.size());
            push_wrapped(&mut text, &what, width);
            text.push('\n');
            match self.visits {
                None => self.write_rows(&mut text, site),
                Some(_) => {
                    self.write_visits(&mut text, site, "first visit", Part::First);
                    text.push('\n');
                    self.write_visits(&mut text, site, "later visits", Part::Later);
                }
            }
            self.write_ratios(&mut text, site, width);
            self.write_errors(&mut text, site, width);
        }
        text
    }

    /// How many trials each contender had.
    pub fn size(&self) -> String {
        let plural = if self.rounds == 1 { "" } else { "s" };
        match self.visits {
            None => format!("{} round{plural}", self.rounds),
            Some(visits) => format!("{} round{plural} of {visits} visits", self.rounds),
        }
    }

    fn write_visits(&self, text: &mut String, site: usize, title: &str, part: Part) {
        let _ = write!(text, "  {title:<14}");
        for name in ["failed", "mean", "median", "p90", "max", "SYNs", "wasted"] {
            let _ = write!(text, "{name:>8}");
        }
        text.push('\n');
        for &contender in &self.contenders {
            let Some(figures) = Figures::of(&self.times(site, contender, part)) else { continue };
            let _ = write!(text, "  {:<14}{:>8}", contender.name(), self.failures(site, contender, part));
            let whole = [figures.median, figures.p90, figures.max].map(|micros| micros as f64);
            for micros in [figures.mean].into_iter().chain(whole) {
                let _ = write!(text, "{:>8}", millis(micros));
            }
            let syns = self.average(site, contender, part, |trial| trial.sockets);
            let wasted = self.average(site, contender, part, |trial| trial.wasted);
            let _ = writeln!(text, "{syns:>8.2}{wasted:>8.2}");
        }
    }

    fn write_rows(&self, text: &mut String, site: usize) {
        let columns = ["failed", "mean", "sd", "median", "p90", "p99", "max", "sockets"];
        let _ = write!(text, "  {:<14}", "");
        columns.iter().for_each(|name| {
            let _ = write!(text, "{name:>8}");
        });
        text.push('\n');
        for &contender in &self.contenders {
            let Some(figures) = Figures::of(&self.times(site, contender, Part::All)) else { continue };
            let _ =
                write!(text, "  {:<14}{:>8}", contender.name(), self.failures(site, contender, Part::All));
            let whole = [figures.median, figures.p90, figures.p99, figures.max].map(|micros| micros as f64);
            for micros in [figures.mean, figures.deviation].into_iter().chain(whole) {
                let _ = write!(text, "{:>8}", millis(micros));
            }
            let sockets = self.average(site, contender, Part::All, |trial| trial.sockets);
            let _ = writeln!(text, "{sockets:>8.1}");
        }
    }

    fn write_ratios(&self, text: &mut String, site: usize, width: usize) {
        let compared = self.contenders.iter().filter_map(|name| Some((name, self.ratio(site, *name)?)));
        for (place, (contender, ratio)) in compared.enumerate() {
            if place == 0 {
                text.push('\n');
            }
            let Ratio { estimate, low, high } = ratio;
            let verdict = if low <= 1.0 && 1.0 <= high { ": no difference shown" } else { "" };
            let line = format!(
                "  {contender} takes {} of plain's time (95 %: {} to {}){verdict}",
                factor(estimate),
                factor(low),
                factor(high)
            );
            push_wrapped(text, &line, width);
        }
    }

    /// The failures, each kind once.
    fn write_errors(&self, text: &mut String, site: usize, width: usize) {
        for &contender in &self.contenders {
            let mut reasons: Vec<(&str, usize)> = Vec::new();
            for reason in self.of(site, contender, Part::All).filter_map(|trial| trial.result.as_ref().err())
            {
                match reasons.iter_mut().find(|(known, _)| known == reason) {
                    Some((_, count)) => *count += 1,
                    None => reasons.push((reason, 1)),
                }
            }
            for (reason, count) in reasons {
                let times = if count == 1 { "once".to_owned() } else { format!("{count} times") };
                push_wrapped(text, &format!("  {contender} failed {times}: {reason}"), width);
            }
        }
    }
}

/// Microseconds as milliseconds, as precise as five characters allow.
fn millis(micros: f64) -> String {
    match micros / 1_000.0 {
        millis if 0.0 < millis && millis < 0.005 => "<0.01".to_owned(),
        millis if millis < 10.0 => format!("{millis:.2}"),
        millis if millis < 1_000.0 => format!("{millis:.1}"),
        millis => format!("{millis:.0}"),
    }
}

/// A ratio with at least two digits that count.
fn factor(ratio: f64) -> String {
    match ratio {
        _ if ratio < 0.001 => "less than 0.001".to_owned(),
        _ if ratio < 0.01 => format!("{ratio:.4}"),
        _ if ratio < 0.1 => format!("{ratio:.3}"),
        _ if ratio < 10.0 => format!("{ratio:.2}"),
        _ => format!("{ratio:.0}"),
    }
}

fn seconds(duration: Duration) -> String {
    format!("{}", duration.as_secs_f64())
}

/// Appends a line that goes on below, indented further, where it is wider than `width`. A word is never cut.
fn push_wrapped(text: &mut String, line: &str, width: usize) {
    let indent = line.len() - line.trim_start().len();
    text.push_str(&" ".repeat(indent));
    let mut column = indent;
    for (place, word) in line.split_whitespace().enumerate() {
        let wide = word.chars().count();
        let lead = match place {
            0 => "",
            _ if column + 1 + wide <= width => " ",
            _ => {
                text.push('\n');
                column = 0;
                &" ".repeat(indent + 2)
            }
        };
        text.push_str(lead);
        text.push_str(word);
        column += lead.len() + wide;
    }
    text.push('\n');
}

#[cfg(test)]
pub mod samples {
    use super::*;

    fn trial(round: u32, contender: Contender, millis: u64, result: Result<&str, &str>) -> Trial {
        Trial {
            round,
            elapsed: Duration::from_millis(millis),
            sockets: 2,
            result: result.map(str::to_owned).map_err(str::to_owned),
            ..Trial::of(contender)
        }
    }

    fn report(trials: Vec<Trial>) -> BenchReport {
        BenchReport {
            measures: "time to connect",
            limit: Duration::from_secs(2),
            rounds: 2,
            visits: None,
            seed: 0,
            contenders: vec![Contender::Connie, Contender::Plain],
            sites: vec![("a.test".to_owned(), "2 addresses".to_owned())],
            trials,
        }
    }

    pub fn measured() -> BenchReport {
        report(vec![
            trial(0, Contender::Connie, 30, Ok("192.0.2.1:80")),
            trial(0, Contender::Plain, 60, Ok("192.0.2.2:80")),
            trial(1, Contender::Plain, 5, Err("refused, \"again\"")),
            trial(1, Contender::Connie, 50, Ok("192.0.2.1:80")),
        ])
    }

    /// Two rounds of two visits: a first of 12 SYNs and one that knows.
    pub fn visited() -> BenchReport {
        let visit = |round, visit, contender, millis, sockets, wasted| Trial {
            visit,
            sockets,
            wasted,
            ..trial(round, contender, millis, Ok("192.0.2.1:80"))
        };
        let trials = (0..2).flat_map(|round| {
            let connie = [
                visit(round, 0, Contender::Connie, 40, 12, 11),
                visit(round, 1, Contender::Connie, 30, 1, 0),
            ];
            let plain = [0, 1].map(|number| visit(round, number, Contender::Plain, 60, 1, 0));
            connie.into_iter().chain(plain)
        });
        BenchReport { visits: Some(2), ..report(trials.collect()) }
    }
}

#[cfg(test)]
mod tests {
    use super::samples::{measured, visited};
    use super::*;

    #[test]
    fn a_failure_stays_in_the_sample_and_counts_as_the_whole_time_allowed() {
        let report = measured();
        assert_eq!(report.times(0, Contender::Plain, Part::All), [60_000, 2_000_000]);
        assert_eq!(report.failures(0, Contender::Plain, Part::All), 1);
        let ratio = report.ratio(0, Contender::Connie).unwrap();
        assert!((ratio.estimate - 80.0 / 2_060.0).abs() < 1e-12, "{ratio:?}");
        assert_eq!(report.ratio(0, Contender::Plain), None);
    }

    #[test]
    fn first_visits_stand_apart_from_later_ones() {
        let report = visited();
        let table = report.table(80);
        assert_eq!(table.lines().find(|line| line.chars().count() > 80), None, "{table}");
        assert!(
            table.contains("time to connect in ms, 2 rounds of 2 visits, a failure counts as 2 s\n"),
            "{table}"
        );
        for line in [
            "  first visit     failed    mean  median     p90     max    SYNs  wasted\n",
            "  connie               0    40.0    40.0    40.0    40.0   12.00   11.00\n",
            "  later visits    failed    mean  median     p90     max    SYNs  wasted\n",
            "  connie               0    30.0    30.0    30.0    30.0    1.00    0.00\n",
            "  connie takes 0.50 of plain's time",
        ] {
            assert_eq!(table.matches(line).count(), 1, "{line}: {table}");
        }
    }

    #[test]
    fn the_table_fits_80_columns_and_says_what_was_measured() {
        let table = measured().table(80);
        assert_eq!(table.lines().find(|line| line.chars().count() > 80), None, "{table}");
        assert!(
            table.starts_with(
                "a.test: 2 addresses\ntime to connect in ms, 2 rounds, a failure counts as 2 s\n"
            )
        );
        assert!(
            table.contains(
                "  connie               0    40.0    14.1    30.0    50.0    50.0    50.0     2.0\n"
            ),
            "{table}"
        );
        assert!(table.contains("  plain failed once: refused, \"again\"\n"), "{table}");
    }

    #[test]
    fn no_sentence_is_cut_however_narrow_the_terminal() {
        let mut report = measured();
        report.sites[0].1 =
            "2 addresses, of which one is far away and the other one does not answer at all".to_owned();
        let sentence = format!("  plain failed twice: {}", report.sites[0].1);
        let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        for width in [1, 40, 79, 80, 200] {
            let (table, mut text) = (report.table(width), String::new());
            assert_eq!(words(&table), words(&report.table(10_000)), "{table}");
            push_wrapped(&mut text, &sentence, width);
            assert_eq!(words(&text), words(&sentence));
            // A word alone may be wider than the terminal.
            let too_wide = |line: &&str| line.chars().count() > width && line.trim().contains(' ');
            assert_eq!(text.lines().find(too_wide), None, "{width}: {text}");
            assert!(text.starts_with("  plain") && text.lines().skip(1).all(|line| line.starts_with("    ")));
        }
        assert!(report.table(40).contains("a.test: 2 addresses, of which one is far\n  away and the other"));
    }

    #[test]
    fn a_ratio_or_a_time_that_is_not_nothing_never_prints_as_nothing() {
        let ratios = [0.0, 0.000_4, 0.001, 0.004_31, 0.083, 0.45, 2.0, 41.3];
        let shown = ["less than 0.001", "less than 0.001", "0.0010", "0.0043", "0.083", "0.45", "2.00", "41"];
        assert_eq!(ratios.map(factor), shown);
        assert_eq!([0.0, 1.0, 5.0, 30.0, 40_000.0].map(millis), ["0.00", "<0.01", "0.01", "0.03", "40.0"]);
    }
}
