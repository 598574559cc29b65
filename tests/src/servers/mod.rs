//! Servers for tests: on loopback addresses without any privilege, or inside a [laboratory](crate::lab).
//!
//! A server listens in the network namespace of the thread that starts it.

mod black_hole;
mod dns;
mod live;
mod programs;
mod tls;

pub use black_hole::{BlackHole, ClosedPort, closed_port};
pub use dns::{DnsAnswer, DnsQuery, DnsServer, Quirk, RecordType, https};
pub use live::{Live, LiveCounts};
pub use programs::{Dnsmasq, Nginx, PythonServer, Tinyproxy, free_port};
pub(crate) use programs::{command_for, find};
pub use tls::{Authority, Identity, PemFile, Served, TlsServer};
