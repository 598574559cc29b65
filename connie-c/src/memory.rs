//! What a program of C does with a memory.

use std::ffi::{CStr, OsStr, c_int};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use connie_std::Memory;
use connie_std::Report;
use connie_std::memory::Verdict;

use crate::ConnieVerdict;
use crate::failure::Failed;

/// What a memory has learnt from.
#[derive(Clone, Debug)]
pub(crate) struct Visit(Report);

impl Visit {
    pub(crate) fn new(report: Report) -> Self {
        Visit(report)
    }

    /// A number of `ConnieVerdict`; any other is told to nobody.
    pub(crate) fn report(&self, verdict: c_int) {
        if let Some((_, verdict)) = VERDICTS.into_iter().find(|(number, _)| *number as c_int == verdict) {
            self.0.tell_memory(verdict);
        }
    }
}

const VERDICTS: [(ConnieVerdict, Verdict); 4] = [
    (ConnieVerdict::Good, Verdict::Good),
    (ConnieVerdict::Refused, Verdict::Refused),
    (ConnieVerdict::Stalled, Verdict::Stalled),
    (ConnieVerdict::TlsFailed, Verdict::TlsFailed),
];

pub(crate) fn load(path: Option<&CStr>) -> Result<Memory, Failed> {
    Memory::load(as_path(path)?).map_err(|error| Failed::other(error.to_string()))
}

pub(crate) fn save(memory: Option<&Memory>, path: Option<&CStr>) -> Result<(), Failed> {
    let path = as_path(path)?;
    let memory = memory.ok_or_else(|| Failed::invalid("the memory is NULL: make it by connie_memory_new"))?;
    memory.save(path).map_err(|error| Failed::other(format!("could not write {}: {error}", path.display())))
}

/// Any octets name a file.
fn as_path(path: Option<&CStr>) -> Result<&Path, Failed> {
    let path = path.ok_or_else(|| Failed::invalid("the path is NULL"))?;
    Ok(Path::new(OsStr::from_bytes(path.to_bytes())))
}
