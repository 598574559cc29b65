//! DNS spoken by the component itself: [`Dns`] asks name servers over the UDP sockets of WASI, and over TCP
//! what does not fit into a datagram.
//!
//! The runtime's lookup answers when all of its questions are answered: with wasmtime an AAAA answer that is
//! late, or never comes, holds back the addresses of IPv4. [`Dns`] gives the race each answer when it comes.
//! It is for a program that knows name servers, or is given a resolv.conf; the runtime's lookup knows what
//! the host is set up to ask, and stays the default.
//!
//! ```no_run
//! use connie_wasi::{Options, connect, dns::Dns};
//!
//! let dns = Dns::new(["192.0.2.53:53".parse().unwrap(), "192.0.2.54:53".parse().unwrap()]);
//! let stream = connect(("example.org", 80), &Options::new().resolver(dns))?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! What is asked, and when again, is [connie-dns's](connie_dns) affair: AAAA and A side by side, the next
//! server after 250 ms, aliases, TCP for what is too long, negative answers, the [search
//! list](Dns::with_search). Answers are kept for their time to live, a minute at most, for all connects that
//! share the [`Dns`]; a name that several ask for at once is asked for once.
//!
//! The runtime has to give UDP (`-S inherit-network`); one that does not is named in the line of the error. A
//! lookup holds one UDP socket for each question and each server that it has asked, two or three as a rule,
//! and a TCP socket where an answer is fetched over TCP: beside those of
//! [`max_in_flight`](connie_core::Config::max_in_flight). All are closed when nobody waits for the answer any
//! more.

mod driver;
mod error;
mod lookup;
mod servers;
mod shared;
mod sockets;
mod stream;
#[cfg(all(test, not(target_os = "wasi")))]
mod tests;
mod udp;

pub use connie_dns::{DnsConfig, DnsTransport};

pub use self::driver::{MAX_NAMES, MAX_SERVERS};
pub use self::error::{DnsError, SocketDenial};
pub use self::lookup::{DnsEvent, DnsLookup, DnsSockets};
pub use self::servers::Dns;
