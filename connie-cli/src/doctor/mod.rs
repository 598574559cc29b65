//! `connie doctor`: what each name server, each address and each step of a connection to one host does, and
//! what that means.

mod diagnosis;
mod findings;
mod json;
mod names;
mod probe;
mod report;
mod target;
mod waiting;
mod words;

use std::time::Duration;

use crate::args::{Doctor, Limit};
use crate::error::Error;
use crate::output::print;
use diagnosis::Diagnosis;
use probe::Prober;
use target::DoctorTarget;

/// How long each step of an address may take.
const STEP: Duration = Duration::from_secs(5);

pub fn run(args: &Doctor) -> Result<(), Error> {
    let target = DoctorTarget::parse(&args.target)?;
    let limit = args.connect_timeout.and_then(Limit::get).unwrap_or(STEP);
    let (queries, addresses) = names::ask(args, &target, limit);
    let probes = Prober::new(args, &target, limit)?.probe_all(&addresses);
    let waits = waiting::all(&probes);
    let findings = findings::find(&target, &queries, &probes, limit);
    let diagnosis = Diagnosis { target, queries, probes, waits, findings };
    match args.json {
        true => print(format_args!("{}\n", json::json(&diagnosis)))?,
        false => print(report::TextReport(&diagnosis))?,
    }
    diagnosis.result()
}
