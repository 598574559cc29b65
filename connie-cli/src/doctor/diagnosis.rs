//! Everything that was observed of a host, and what it means.

use super::findings::Finding;
use super::names::NameQuery;
use super::probe::Probe;
use super::target::DoctorTarget;
use super::waiting::Wait;
use crate::error::Error;
use crate::exit_code;

/// Everything that was observed.
pub struct Diagnosis {
    pub target: DoctorTarget,
    pub queries: Vec<NameQuery>,
    /// The addresses in the order in which a plain client has them.
    pub probes: Vec<Probe>,
    pub waits: Vec<Wait>,
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// The error that becomes the exit code.
    pub fn result(&self) -> Result<(), Error> {
        let DoctorTarget { host, port, .. } = &self.target;
        if self.probes.is_empty() {
            return Err(Error::new(exit_code::RESOLVE, format!("{host} has no address that can be tried")));
        }
        match self.probes.iter().any(Probe::serves) {
            true => Ok(()),
            false => {
                Err(Error::new(exit_code::CONNECT, format!("no address of {host} serves on port {port}")))
            }
        }
    }
}
