//! connie's race for programs that take a proxy: SOCKS5 (RFC 1928, RFC 1929), CONNECT of HTTP (RFC 9110
//! section 9.3.6) and plain requests for `http://`, on one port.
//!
//! Whoever connects through it gets the address that answers first. Names are resolved here, so that all
//! addresses of a name race; all clients share one memory, one budget of sockets and one filter of addresses.
//!
//! ```no_run
//! use connie_proxy::{Proxy, ProxyConfig};
//! use connie_std::{AddressFilter, Memory, Options};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::io::Result<()> {
//! let options = Options::new().memory(Memory::new()).filter(AddressFilter::public_only());
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:1080").await?;
//! let proxy = Proxy::new(ProxyConfig::new(options), vec![listener])?;
//! proxy.serve(std::future::pending()).await;
//! # Ok(())
//! # }
//! ```
//!
//! The program `connie` is one as `connie proxy`. [`parts`] reads both protocols, without a socket.

#![forbid(unsafe_code)]

mod authority;
mod client;
mod comparison;
mod config;
mod counters;
mod exchange;
mod forward;
mod handshake;
mod http_request;
mod moved;
mod partitions;
#[cfg(target_os = "linux")]
mod pipes;
mod places;
mod protocol;
mod race_log;
mod refusal;
mod relay;
mod reply;
mod server;
mod shared;
mod shortcut;
mod socks5;
mod status;

pub use config::{Credentials, OpenProxy, Partition, ProxyConfig, ProxyLimits};
pub use counters::ProxyCounts;
pub use race_log::FamilyCounts;
pub use refusal::Refusal;
pub use server::{Proxy, ProxyView};

/// The readers of both protocols, for programs that write a proxy of their own, and for fuzzers.
pub mod parts {
    pub use crate::http_request::{
        ForwardedRequest, HttpFault, HttpRequest, HttpRequestKind, MAX_HEAD, read_http_request,
    };
    pub use crate::socks5::{LoginDemand, Socks5Fault, Socks5Host, Socks5Reader, Socks5Step, reply};
}

/// The examples of the README are tested as those of this page.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
