//! The program as its user meets it: the built binary against servers on loopback addresses.
//!
//! Linux only: there every address of 127.0.0.0/8 is the machine's own, and a listener whose queue is full is
//! a black hole.
#![cfg(target_os = "linux")]

mod bench;
mod client_certificate;
mod connect_to;
mod deny_private;
mod dns;
#[cfg(feature = "doctor")]
mod doctor;
mod done_when;
mod exit_codes;
mod finish_line;
mod front_page;
mod get;
mod heads;
mod hints;
mod https_proxy;
mod memory;
mod odd_answers;
mod output;
mod parallel;
mod parity;
mod proxies;
#[cfg(feature = "proxy")]
mod proxy;
mod race;
mod real_peers;
mod redirects;
mod remember;
mod reports;
mod resume;
mod retries;
mod server;
mod several;
mod site;
mod socks5;
mod streams;
mod support;
mod terminal;
mod uploads;
mod wasi;
mod write_out;
