//! Name servers, and a [`TABLE`] of what they do and what a lookup is to make of it: the same over every
//! driver of connie's DNS client.
//!
//! [`Servers`] works on octets and knows no client: it is told each query that a driver has sent, and says
//! what comes back, and when. A driver takes the [`rows`] that apply to what it [can do](Driver), serves each
//! over what it has (its own network in virtual time, or sockets), and compares what was found with
//! [`Row::found`].
//!
//! ```
//! use connie_sim::name_servers::{Driver, Servers, rows};
//!
//! for row in rows(&Driver { tcp: false, ..Driver::ANY }) {
//!     let mut servers = Servers::of(row, connie_core::Instant::ZERO);
//!     // For each query: servers.ask(server, &octets, false, now)
//!     let _ = (&mut servers, row.kinds(), row.settings(), row.found());
//! }
//! ```
//!
//! A server is a list of reactions, the first that fits counts: `#1 servfail; plain ok; silent`. Before a
//! reaction stand its conditions:
//!
//! - `aaaa`, `a`, `https`: what is asked for; `for:b.test`: of which name
//! - `#2`: the second query of that kind for that name
//! - `edns`, `plain`: whether the query has an OPT record; `tcp`, `udp`
//!
//! and behind it how many milliseconds it takes, 20 if nothing is said: `ok@300`.

mod driver;
mod query;
mod reaction;
mod record;
mod row;
mod servers;
mod table;

pub use driver::{Driver, rows};
pub use query::{Kind, Query};
pub use reaction::{Reaction, Sender, react};
pub use record::{SOA_TTL, TTL, record, wire};
pub use row::{Finding, Found, NAME, Row, RowSettings, Transport};
pub use servers::{Coming, Server, Servers};
pub use table::TABLE;
