//! The options of `connie doctor`.

#[cfg(feature = "dns")]
use std::net::SocketAddr;
#[cfg(feature = "tls")]
use std::path::PathBuf;

use clap::Args;
use connie_std::Override;

#[cfg(feature = "dns")]
use super::value::dns_server;
use super::value::{Limit, resolve, seconds};

const EXAMPLES: &str = "\
Examples:
  connie doctor example.org
  connie doctor http://example.org:8080/health
  connie doctor --finish-line tcp example.org:22
  connie doctor --json example.org

Each address of the host is tried by itself, with one connection and one HEAD request. Nobody else is asked but the
name servers. The exit code is 0 where an address serves, 6 where the host has no address, and 7 where none serves.";

/// `connie doctor`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Doctor {
    /// What to look at: a host, with a port or without (443), or an http or https URL; an IPv6 address in
    /// brackets
    #[arg(value_name = "HOST[:PORT]|URL")]
    pub target: String,
    /// How far each address is tried: to a TCP connection, to a TLS handshake, or to the answer to a request
    /// [default: response]
    #[arg(
        long,
        value_name = "tcp|tls|response",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub finish_line: DoctorLine,
    /// How long each step of each address may take [default: 5]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Limit>,
    /// Addresses for a host, in place of a lookup; HOST may be '*'
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR...]", value_parser = resolve)]
    pub resolve: Vec<Override>,
    /// Ask these name servers, each by itself, in place of those of /etc/resolv.conf
    #[cfg(feature = "dns")]
    #[arg(long, value_name = "ADDR[:PORT]", visible_alias = "dns-servers", value_delimiter = ',', value_parser = dns_server)]
    pub dns_server: Vec<SocketAddr>,
    /// Trust the certificates in FILE, too (PEM)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub cacert: Vec<PathBuf>,
    /// Print what was found as JSON
    #[arg(long)]
    pub json: bool,
}

/// How far an address is tried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum DoctorLine {
    /// To a TCP connection.
    Tcp,
    /// To a TLS handshake.
    Tls,
    /// To the head of an answer.
    #[default]
    Response,
}
