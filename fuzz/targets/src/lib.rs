//! What the fuzzers run: one function of bytes for each target.
//!
//! Each of them takes any bytes at all, ends soon, and panics where something is wrong. The programs in
//! `fuzz/fuzz_targets` hand them what libFuzzer thinks up; `tests/corpus.rs` hands them every file of
//! `fuzz/corpus`, on any toolchain.

mod chunked;
mod connect;
mod connection;
mod decoded;
mod dns_client;
mod draw;
mod exchange;
mod looks;
mod memory;
mod peer;
mod proxy_request;
mod proxy_socks5;
mod race;
mod response_head;
mod sent;
mod stored;
mod url;

pub use chunked::chunked;
pub use connect::connect;
pub use connection::connection;
pub use decoded::decoded;
pub use dns_client::{dns_client, dns_lookups};
pub use memory::{memory, memory_bytes};
pub use proxy_request::proxy_request;
pub use proxy_socks5::proxy_socks5;
pub use race::race;
pub use response_head::response_head;
pub use url::url;

/// A target: its function of bytes.
pub type Target = fn(&[u8]);

/// All targets, each with its name, which is that of its program and of its folder in the corpus.
pub const TARGETS: [(&str, Target); 12] = [
    ("chunked", chunked),
    ("connect", connect),
    ("connection", connection),
    ("dns_client", dns_client),
    ("dns_lookups", dns_lookups),
    ("memory", memory),
    ("memory_bytes", memory_bytes),
    ("proxy_request", proxy_request),
    ("proxy_socks5", proxy_socks5),
    ("race", race),
    ("response_head", response_head),
    ("url", url),
];
