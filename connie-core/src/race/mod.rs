//! x
mod attempt;
mod config;
mod input;
mod output;

pub use attempt::{AttemptError, AttemptId, Outcome};
pub use config::{Config, Families, Pacing};
pub use input::{Family, Input};
pub use output::{Failure, Output};
