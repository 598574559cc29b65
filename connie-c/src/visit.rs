//! What a program of C can tell a memory of a connection.

use std::ffi::c_int;

use connie_std::Report;
use connie_std::memory::Verdict;

use crate::ConnieVerdict;

/// What a memory has learnt from.
#[derive(Clone, Debug)]
pub(crate) struct LastVisit(Report);

impl LastVisit {
    pub(crate) fn new(report: Report) -> Self {
        LastVisit(report)
    }

    /// A number of `ConnieVerdict`; any other is told to nobody.
    pub(crate) fn report(&self, verdict: c_int) {
        if let Some((_, verdict)) = VERDICTS.into_iter().find(|(number, _)| *number as c_int == verdict) {
            self.0.report_to_memory(verdict);
        }
    }
}

const VERDICTS: [(ConnieVerdict, Verdict); 4] = [
    (ConnieVerdict::Good, Verdict::Good),
    (ConnieVerdict::Refused, Verdict::Refused),
    (ConnieVerdict::Stalled, Verdict::Stalled),
    (ConnieVerdict::TlsFailed, Verdict::TlsFailed),
];
