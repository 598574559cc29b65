//! The proxy over loopback: real sockets, odd clients and curl.
#![cfg(target_os = "linux")]

mod abuse;
mod curl;
mod dead_addresses;
mod fate;
mod http;
mod leaving;
mod login;
mod picture;
mod relaying;
mod reserve;
mod socks5;
mod status;
mod status_page;
mod stopping;
mod support;
