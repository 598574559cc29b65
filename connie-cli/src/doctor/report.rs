//! The diagnosis as text.

use std::fmt;

use super::diagnosis::Diagnosis;
use super::findings::{record_type, words};
use super::names::{NameQuery, QueriedResolver};
use super::probe::{Probe, ProbeStep};
use super::waiting::{ComparedClient, Wait};
use super::words::{listed, time};

/// How wide the lines are.
const WIDTH: usize = 90;

pub struct TextReport<'a>(pub &'a Diagnosis);

impl fmt::Display for TextReport<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Diagnosis { target, queries, probes, waits, findings } = self.0;
        writeln!(f, "{} port {}, seen from this machine", target.host, target.port)?;
        if !queries.is_empty() {
            writeln!(f, "\nNames")?;
            table(f, queries.iter().map(name_row))?;
        }
        if !probes.is_empty() {
            writeln!(f, "\nAddresses")?;
            table(
                f,
                std::iter::once(["", "TCP", "TLS", "answer"].map(str::to_owned))
                    .chain(probes.iter().map(row)),
            )?;
        }
        if !waits.is_empty() {
            let known = if queries.is_empty() { "" } else { ", once the name is known" };
            writeln!(f, "\nWhat users wait{known}")?;
            table(f, waits.iter().map(wait_row))?;
        }
        writeln!(f, "\nWhat that means")?;
        paragraph(f, &summary(self.0))?;
        let (faults, remarks): (Vec<_>, Vec<_>) = findings.iter().partition(|finding| finding.is_fault);
        faults.iter().chain(&remarks).try_for_each(|finding| paragraph(f, &finding.text))
    }
}

/// The first sentence.
fn summary(diagnosis: &Diagnosis) -> String {
    let Diagnosis { target, probes, findings, .. } = diagnosis;
    let serving: Vec<_> = probes.iter().filter(|probe| probe.serves()).map(|probe| probe.address).collect();
    let faults = findings.iter().filter(|finding| finding.is_fault).count();
    match (serving.len(), probes.len()) {
        (_, 0) => format!("{} has no address that can be tried: check the name.", target.host),
        (0, 1) => "The only address does not serve.".to_owned(),
        (0, all) => format!("None of the {all} addresses serves."),
        (1, 1) if faults == 0 => "All is well: the only address serves.".to_owned(),
        (some, all) if some == all && faults == 0 => format!("All is well: all {all} addresses serve."),
        (some, all) if some == all => "Every address serves, with these complaints.".to_owned(),
        (some, all) => {
            let verb = if some == 1 { "serves" } else { "serve" };
            format!("{some} of {all} addresses {verb}: {}.", listed(&serving))
        }
    }
}

fn name_row(query: &NameQuery) -> [String; 4] {
    let asked = match query.asked {
        QueriedResolver::System => "system".to_owned(),
        QueriedResolver::Server(server) => server.to_string(),
    };
    let answer = match &query.answer {
        Ok(addresses) if addresses.is_empty() => "no address".to_owned(),
        Ok(addresses) if addresses.len() > 4 => format!("{} addresses", addresses.len()),
        Ok(addresses) => listed(addresses),
        Err(error) => error.to_string(),
    };
    [asked, record_type(query.family).to_owned(), time(query.elapsed), answer]
}

fn row(probe: &Probe) -> [String; 4] {
    let step = |step: Option<&ProbeStep>| match step {
        None => "-".to_owned(),
        Some(ProbeStep { elapsed, result: Ok(()) }) => time(*elapsed),
        Some(ProbeStep { result: Err(error), .. }) => words(error).to_owned(),
    };
    let answer = match (&probe.status, &probe.response) {
        (Some((status, _)), Some(response)) => format!("{status} in {}", time(response.elapsed)),
        (_, response) => step(response.as_ref()),
    };
    [probe.address.ip().to_string(), step(Some(&probe.tcp)), step(probe.tls.as_ref()), answer]
}

fn wait_row(wait: &Wait) -> [String; 4] {
    let client = match wait.client {
        ComparedClient::Plain => "a plain client, one address after the other",
        ComparedClient::HappyEyeballs => "Happy Eyeballs, an address every 250 ms",
        ComparedClient::Connie => "connie, all addresses at once",
    };
    let end = match wait.address {
        Some(address) if wait.serves => address.ip().to_string(),
        Some(address) => format!("and then {} does not serve", address.ip()),
        None => "and no connection".to_owned(),
    };
    [client.to_owned(), time(wait.elapsed), end, String::new()]
}

/// Rows in aligned columns; the last column is not padded.
fn table(f: &mut fmt::Formatter<'_>, rows: impl Iterator<Item = [String; 4]>) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths = [0, 1, 2].map(width);
    for [first, second, third, last] in &rows {
        let [one, two, three] = widths;
        let line = format!("  {first:one$}  {second:two$}  {third:three$}  {last}");
        writeln!(f, "{}", line.trim_end())?;
    }
    Ok(())
}

/// A text in lines, the first after a dash.
fn paragraph(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let mut line = String::from("-");
    for word in text.split_whitespace() {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(f, "{line}")?;
            line = String::from(" ");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(f, "{line}")
}
