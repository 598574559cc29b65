//! `connie doctor`: what each name server, each address and each step of a connection to one host does, and
//! what that means.

mod examination;
mod findings;
mod json;
mod letter;
mod names;
mod patient;
mod probe;
mod waiting;
mod words;

use std::time::Duration;

use crate::args::{Doctor, Limit};
use crate::error::Error;
use crate::output::print;
use examination::Examination;
use patient::Patient;
use probe::Prober;

/// How long each step of an address may take.
const STEP: Duration = Duration::from_secs(5);

pub fn run(args: &Doctor) -> Result<(), Error> {
    let patient = Patient::parse(&args.target)?;
    let limit = args.connect_timeout.and_then(Limit::get).unwrap_or(STEP);
    let (queries, addresses) = names::ask(args, &patient, limit);
    let probes = Prober::new(args, &patient, limit)?.probe_all(&addresses);
    let waits = waiting::all(&probes);
    let findings = findings::of(&patient, &queries, &probes, limit);
    let examination = Examination { patient, queries, probes, waits, findings };
    match args.json {
        true => print(format_args!("{}\n", json::json(&examination)))?,
        false => print(letter::Letter(&examination))?,
    }
    examination.result()
}
