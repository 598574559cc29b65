//! From a host's name to addresses: what a resolver is asked, and what becomes of its answers.
//!
//! Pure: no query is sent from here. An adapter sends them by whatever resolver it has.

mod query;

pub use query::{QueryError, record_type};
