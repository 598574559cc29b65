//! What a bench prints: a table to read, and JSON or CSV to go on with.

use std::fmt::Write;
use std::time::Duration;

use connie_sim::Rng;
use serde_json::{Value, json};

use super::statistics::{Figures, Ratio};
use super::trial::Trial;
use crate::args::Contender;

/// All that was measured.
pub struct Report {
    /// What the times are: `time to connect`.
    pub measures: &'static str,
    /// What a trial was allowed, and what one that failed counts as.
    pub limit: Duration,
    pub rounds: u32,
    pub seed: u64,
    pub contenders: Vec<Contender>,
    /// Each site's name, and a few words about it.
    pub sites: Vec<(String, String)>,
    /// In the order in which they were run.
    pub trials: Vec<Trial>,
}

impl Report {
    /// The trials of one contender at one site, in the order of the rounds.
    pub fn of(&self, site: usize, contender: Contender) -> impl Iterator<Item = &Trial> + Clone {
        self.trials.iter().filter(move |trial| trial.site == site && trial.contender == contender)
    }

    /// Their times in microseconds.
    fn times(&self, site: usize, contender: Contender) -> Vec<u64> {
        self.of(site, contender).map(|trial| trial.counted(self.limit)).collect()
    }

    fn failures(&self, site: usize, contender: Contender) -> usize {
        self.of(site, contender).filter(|trial| trial.result.is_err()).count()
    }

    /// The sockets that a trial opened on average.
    fn sockets(&self, site: usize, contender: Contender) -> f64 {
        let trials = self.of(site, contender);
        let sum: u32 = trials.clone().map(|trial| trial.sockets).sum();
        f64::from(sum) / (trials.count() as f64).max(1.0)
    }

    /// How the contender's mean compares with that of the plain client.
    pub fn ratio(&self, site: usize, contender: Contender) -> Option<Ratio> {
        if contender == Contender::Plain || !self.contenders.contains(&Contender::Plain) {
            return None;
        }
        let failed = |contender| self.of(site, contender).all(|trial| trial.result.is_err());
        if failed(contender) && failed(Contender::Plain) {
            // The ratio of two limits says nothing.
            return None;
        }
        // One trial of each in every round.
        let times = self.times(site, contender).into_iter();
        let pairs: Vec<(u64, u64)> = times.zip(self.times(site, Contender::Plain)).collect();
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
            let plural = if self.rounds == 1 { "" } else { "s" };
            let what = format!(
                "{} in ms, {} round{plural}, a failure counts as {limit} s",
                self.measures, self.rounds
            );
            push_wrapped(&mut text, &what, width);
            text.push('\n');
            self.write_rows(&mut text, site);
            self.write_ratios(&mut text, site, width);
            self.write_errors(&mut text, site, width);
        }
        text
    }

    fn write_rows(&self, text: &mut String, site: usize) {
        let columns = ["failed", "mean", "sd", "median", "p90", "p99", "max", "sockets"];
        let _ = write!(text, "  {:<14}", "");
        columns.iter().for_each(|name| {
            let _ = write!(text, "{name:>8}");
        });
        text.push('\n');
        for &contender in &self.contenders {
            let Some(figures) = Figures::of(&self.times(site, contender)) else { continue };
            let _ = write!(text, "  {:<14}{:>8}", contender.name(), self.failures(site, contender));
            let whole = [figures.median, figures.p90, figures.p99, figures.max].map(|micros| micros as f64);
            for micros in [figures.mean, figures.deviation].into_iter().chain(whole) {
                let _ = write!(text, "{:>8}", millis(micros));
            }
            let _ = writeln!(text, "{:>8.1}", self.sockets(site, contender));
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
            for reason in self.of(site, contender).filter_map(|trial| trial.result.as_ref().err()) {
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

    pub fn json(&self) -> String {
        let results: Vec<Value> = (0..self.sites.len()).map(|site| self.json_of(site)).collect();
        let trials: Vec<Value> = self.trials.iter().map(|trial| self.json_trial(trial)).collect();
        json!({
            "measures": self.measures,
            "rounds": self.rounds,
            "seed": self.seed,
            "limit_us": micros(self.limit),
            "results": results,
            "trials": trials,
        })
        .to_string()
    }

    fn json_of(&self, site: usize) -> Value {
        let contenders = self.contenders.iter().filter_map(|&contender| {
            let times = self.times(site, contender);
            let figures = Figures::of(&times)?;
            let ratio = self.ratio(site, contender);
            Some(json!({
                "name": contender.name(),
                "count": times.len(),
                "failures": self.failures(site, contender),
                "mean_us": figures.mean,
                "sd_us": figures.deviation,
                "median_us": figures.median,
                "p90_us": figures.p90,
                "p99_us": figures.p99,
                "max_us": figures.max,
                "sockets_mean": self.sockets(site, contender),
                "ratio_to_plain": ratio.map(|r| json!({"mean": r.estimate, "low": r.low, "high": r.high})),
            }))
        });
        let (name, about) = &self.sites[site];
        json!({"site": name, "about": about, "contenders": contenders.collect::<Vec<_>>()})
    }

    fn json_trial(&self, trial: &Trial) -> Value {
        json!({
            "site": self.sites[trial.site].0,
            "round": trial.round,
            "contender": trial.contender.name(),
            "elapsed_us": micros(trial.elapsed),
            "counted_us": trial.counted(self.limit),
            "sockets": trial.sockets,
            "address": trial.result.as_ref().ok(),
            "error": trial.result.as_ref().err(),
        })
    }

    /// All trials, a line each, as RFC 4180 has it.
    pub fn csv(&self) -> String {
        let mut text = "site,round,contender,elapsed_us,counted_us,sockets,address,error\r\n".to_owned();
        for trial in &self.trials {
            let (address, error) = match &trial.result {
                Ok(address) => (address.as_str(), ""),
                Err(error) => ("", error.as_str()),
            };
            let _ = write!(
                text,
                "{},{},{},{},{},{},{},{}\r\n",
                field(&self.sites[trial.site].0),
                trial.round,
                trial.contender,
                micros(trial.elapsed),
                trial.counted(self.limit),
                trial.sockets,
                field(address),
                field(error)
            );
        }
        text
    }
}

/// A text as a field of a CSV file.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
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
mod tests {
    use super::*;

    fn trial(round: u32, contender: Contender, millis: u64, result: Result<&str, &str>) -> Trial {
        Trial {
            site: 0,
            round,
            contender,
            elapsed: Duration::from_millis(millis),
            sockets: 2,
            result: result.map(str::to_owned).map_err(str::to_owned),
        }
    }

    fn report(trials: Vec<Trial>) -> Report {
        Report {
            measures: "time to connect",
            limit: Duration::from_secs(2),
            rounds: 2,
            seed: 0,
            contenders: vec![Contender::Connie, Contender::Plain],
            sites: vec![("a.test".to_owned(), "2 addresses".to_owned())],
            trials,
        }
    }

    fn measured() -> Report {
        report(vec![
            trial(0, Contender::Connie, 30, Ok("192.0.2.1:80")),
            trial(0, Contender::Plain, 60, Ok("192.0.2.2:80")),
            trial(1, Contender::Plain, 5, Err("refused, \"again\"")),
            trial(1, Contender::Connie, 50, Ok("192.0.2.1:80")),
        ])
    }

    #[test]
    fn a_failure_stays_in_the_sample_and_counts_as_the_whole_time_allowed() {
        let report = measured();
        assert_eq!(report.times(0, Contender::Plain), [60_000, 2_000_000]);
        assert_eq!(report.failures(0, Contender::Plain), 1);
        let ratio = report.ratio(0, Contender::Connie).unwrap();
        assert!((ratio.estimate - 80.0 / 2_060.0).abs() < 1e-12, "{ratio:?}");
        assert_eq!(report.ratio(0, Contender::Plain), None);
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

    #[test]
    fn csv_quotes_what_would_break_a_line() {
        let csv = measured().csv();
        assert_eq!(csv.matches("\r\n").count(), 5);
        assert!(csv.contains("a.test,1,plain,5000,2000000,2,,\"refused, \"\"again\"\"\"\r\n"), "{csv}");
        assert!(csv.contains("a.test,0,connie,30000,30000,2,192.0.2.1:80,\r\n"), "{csv}");
    }

    #[test]
    fn json_holds_figures_and_trials() {
        let json: Value = serde_json::from_str(&measured().json()).unwrap();
        let connie = &json["results"][0]["contenders"][0];
        assert_eq!((connie["name"].as_str(), connie["mean_us"].as_f64()), (Some("connie"), Some(40_000.0)));
        assert_eq!(json["trials"][2]["counted_us"], 2_000_000);
        assert_eq!(json["trials"][2]["address"], Value::Null);
    }
}
