//! x
#![no_std]
#![forbid(unsafe_code)]

mod connector;
#[doc(hidden)]
pub mod doc_stack;
pub mod http;
pub mod race;
mod resolution;
pub mod stack;
mod time;

pub use connector::{Connection, Connector, Progress};
pub use race::{
    AttemptError, AttemptId, Config, Failure, Families, Family, Input, Outcome, Output, Pacing, Race,
    Timeline,
};
pub use stack::{Foreign, Interest, RaceStack, Waiter, Wake, Watched};
pub use time::Instant;
