//! From a host's name to addresses: what a resolver is asked, and what becomes of its answers.
//!
//! Pure: no query is sent from here. An adapter sends them by whatever resolver it has, tells a [`Resolution`] what comes back, and
//! hands on what that says to the race.
//!
//! | part | what it does |
//! |---|---|
//! | [`Host`] | tells literal addresses and special names from those to ask for |
//! | [`Resolution`] | which queries to send, and what their answers mean to the race |
//! | [`selection`] | puts addresses in order (RFC 6724) |
//! | [`nat64`] | reaches IPv4 addresses from an IPv6-only network |
//!
//! How long the race waits for which answer is the race's own affair: see [`Config::resolution_delay`](crate::Config::resolution_delay).

mod host;
pub mod nat64;
mod query;
pub mod selection;
mod state;

pub use host::{Host, HostError, LOOPBACK, Literal, is_onion};
pub use query::{Query, QueryError, QueryFailure};
pub use state::{Inputs, Resolution};
