//! A report as JSON and as CSV, to go on with.

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};

use super::report::{BenchReport, Part};
use super::statistics::Figures;
use super::trial::Trial;
use crate::args::Contender;

impl BenchReport {
    pub fn json(&self) -> String {
        let results: Vec<Value> = (0..self.sites.len()).map(|site| self.json_of(site)).collect();
        let trials: Vec<Value> = self.trials.iter().map(|trial| self.json_trial(trial)).collect();
        json!({
            "measures": self.measures,
            "rounds": self.rounds,
            "visits": self.visits,
            "seed": self.seed,
            "limit_us": micros(self.limit),
            "results": results,
            "trials": trials,
        })
        .to_string()
    }

    fn json_of(&self, site: usize) -> Value {
        let contenders = self.contenders.iter().filter_map(|&contender| {
            let ratio = self.ratio(site, contender);
            let ratio = ratio.map(|r| json!({"mean": r.estimate, "low": r.low, "high": r.high}));
            let mut told = match self.visits {
                None => self.json_figures(site, contender, Part::All)?,
                Some(_) => json!({
                    "first": self.json_figures(site, contender, Part::First)?,
                    "later": self.json_figures(site, contender, Part::Later)?,
                }),
            };
            let fields = told.as_object_mut()?;
            fields.insert("name".to_owned(), contender.name().into());
            fields.insert("ratio_to_plain".to_owned(), ratio.into());
            Some(told)
        });
        let (name, about) = &self.sites[site];
        json!({"site": name, "about": about, "contenders": contenders.collect::<Vec<_>>()})
    }

    fn json_figures(&self, site: usize, contender: Contender, part: Part) -> Option<Value> {
        let times = self.times(site, contender, part);
        let figures = Figures::of(&times)?;
        let mut told = json!({
            "count": times.len(),
            "failures": self.failures(site, contender, part),
            "mean_us": figures.mean,
            "sd_us": figures.deviation,
            "median_us": figures.median,
            "p90_us": figures.p90,
            "p99_us": figures.p99,
            "max_us": figures.max,
            "sockets_mean": self.average(site, contender, part, |trial| trial.sockets),
        });
        if let (Some(_), Some(fields)) = (self.visits, told.as_object_mut()) {
            let wasted = self.average(site, contender, part, |trial| trial.wasted);
            fields.insert("wasted_handshakes_mean".to_owned(), wasted.into());
        }
        Some(told)
    }

    fn json_trial(&self, trial: &Trial) -> Value {
        let mut told = json!({
            "site": self.sites[trial.site].0,
            "round": trial.round,
            "contender": trial.contender.name(),
            "elapsed_us": micros(trial.elapsed),
            "counted_us": trial.counted(self.limit),
            "sockets": trial.sockets,
            "address": trial.result.as_ref().ok(),
            "error": trial.result.as_ref().err(),
        });
        if let (Some(_), Some(fields)) = (self.visits, told.as_object_mut()) {
            fields.insert("visit".to_owned(), (trial.visit + 1).into());
            fields.insert("wasted_handshakes".to_owned(), trial.wasted.into());
        }
        told
    }

    /// All trials, a line each, as RFC 4180 has it. The last two columns are there where visits are told
    /// apart.
    pub fn csv(&self) -> String {
        let more = if self.visits.is_some() { ",visit,wasted_handshakes" } else { "" };
        let mut text = format!("site,round,contender,elapsed_us,counted_us,sockets,address,error{more}\r\n");
        for trial in &self.trials {
            let (address, error) = match &trial.result {
                Ok(address) => (address.as_str(), ""),
                Err(error) => ("", error.as_str()),
            };
            let _ = write!(
                text,
                "{},{},{},{},{},{},{},{}",
                field(&self.sites[trial.site].0),
                trial.round,
                trial.contender,
                micros(trial.elapsed),
                trial.counted(self.limit),
                trial.sockets,
                field(address),
                field(error)
            );
            if self.visits.is_some() {
                let _ = write!(text, ",{},{}", trial.visit + 1, trial.wasted);
            }
            text.push_str("\r\n");
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

#[cfg(test)]
mod tests {
    use super::super::report::samples::{measured, visited};
    use super::*;

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

    #[test]
    fn visits_are_numbered_and_their_first_ones_apart() {
        let report = visited();
        let json: Value = serde_json::from_str(&report.json()).unwrap();
        let connie = &json["results"][0]["contenders"][0];
        assert_eq!(
            (connie["first"]["sockets_mean"].as_f64(), connie["later"]["count"].as_u64()),
            (Some(12.0), Some(2))
        );
        assert_eq!(connie["first"]["wasted_handshakes_mean"].as_f64(), Some(11.0));
        assert_eq!((&json["visits"], &json["trials"][1]["visit"]), (&2.into(), &2.into()));
        let csv = report.csv();
        assert!(csv.starts_with(
            "site,round,contender,elapsed_us,counted_us,sockets,address,error,visit,wasted_handshakes\r\n"
        ));
        assert!(csv.contains("a.test,0,connie,40000,40000,12,192.0.2.1:80,,1,11\r\n"), "{csv}");
    }
}
