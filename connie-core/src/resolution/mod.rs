//! From a host's name to addresses: what [`Connect`](crate::connect::Connect) is made of beside its race.
//!
//! | part | what it does |
//! |---|---|
//! | [`Host`] | distinguishes literal addresses and special names from those to ask for |
//! | [`parse_ip`], [`AddressText`] | read and print addresses in little code |
//! | [`Query`] | what a resolver is asked, and how that can fail |
//! | [`selection`] | puts addresses in order (RFC 6724) |
//! | [`nat64`] | reaches IPv4 addresses from an IPv6-only network |
//!
//! How long the race waits for which answer is the race's own affair: see
//! [`Config::resolution_delay`](crate::Config::resolution_delay).

mod address_text;
mod host;
pub mod nat64;
mod query;
pub mod selection;

pub(crate) use address_text::HostText;
pub use address_text::{AddressText, parse_ip};
pub use host::{Host, HostError, LOOPBACK, Literal, is_onion, split_port};
pub use query::{Query, QueryError, QueryFailure};
