//! All that was seen of a host, and what it means.

use super::findings::Finding;
use super::names::NameQuery;
use super::patient::Patient;
use super::probe::Probe;
use super::waiting::Wait;
use crate::error::Error;
use crate::exit_code;

/// All that was seen.
pub struct Examination {
    pub patient: Patient,
    pub queries: Vec<NameQuery>,
    /// The addresses in the order in which a plain client has them.
    pub probes: Vec<Probe>,
    pub waits: Vec<Wait>,
    pub findings: Vec<Finding>,
}

impl Examination {
    /// What the exit code says.
    pub fn result(&self) -> Result<(), Error> {
        let Patient { host, port, .. } = &self.patient;
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
