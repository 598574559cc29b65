//! Servers for tests, on loopback addresses without any privilege, and what else a test needs that needs no
//! laboratory.
//!
//! A server listens in the network namespace of the thread that starts it: on the machine's loopback
//! addresses, or inside a laboratory of `connie-lab`.
//!
//! - [`Live`], [`BlackHole`], [`closed_port`]: listeners that answer, are silent, or are not there.
//! - [`DnsServer`]: a name server that says what the test wants.
//! - `TlsServer`, `Authority`: servers that speak TLS, and their certificates, with the feature `tls`.
//! - [`Nginx`], [`Dnsmasq`], [`PythonServer`], [`Tinyproxy`], [`Unbound`]: programs of their own.
//! - [`descriptors`]: how many files and sockets this process holds open.
//! - [`clock`]: real time, for tests.
//! - [`limits`]: ends to waiting.
//! - [`skip()`]: what a test says that cannot run here.
//!
//! For Linux: a test file begins with `#![cfg(target_os = "linux")]`. `clock` and `skip` are everywhere.
//! Listeners, the name server and `descriptors` are for Windows too, for the tests that Wine runs
//! (docs/windows.md).

#[cfg(any(target_os = "linux", windows))]
mod black_hole;
pub mod clock;
#[cfg(any(target_os = "linux", windows))]
pub mod descriptors;
#[cfg(any(target_os = "linux", windows))]
mod dns;
#[cfg(target_os = "linux")]
pub mod limits;
#[cfg(any(target_os = "linux", windows))]
mod live;
#[cfg(target_os = "linux")]
mod programs;
mod skip;
#[cfg(any(target_os = "linux", windows))]
mod stop;
#[cfg(target_os = "linux")]
mod temporary;
#[cfg(all(target_os = "linux", feature = "tls"))]
mod tls;

#[cfg(any(target_os = "linux", windows))]
pub use black_hole::{BlackHole, ClosedPort, closed_port};
#[cfg(any(target_os = "linux", windows))]
pub use dns::{DnsAnswer, DnsQuery, DnsServer, Quirk, RecordType, https};
#[cfg(any(target_os = "linux", windows))]
pub use live::{Live, LiveCounts};
#[cfg(target_os = "linux")]
pub use programs::{
    Dnsmasq, Nginx, OpensslServer, PythonServer, Tinyproxy, Unbound, command_for, find, free_port,
};
pub use skip::{STRICT, say, skip};
#[cfg(target_os = "linux")]
pub use temporary::temporary_path;
#[cfg(all(target_os = "linux", feature = "tls"))]
pub use tls::{Authority, Identity, PemFile, Served, TlsServer};
