//! The options of `connie proxy`.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use connie_std::{IpNetwork, Override};

#[cfg(feature = "dns")]
use super::value::dns_server;
use super::value::{Limit, listen_address, memory_file, network, resolve, seconds, whole};

const EXAMPLES: &str = "\
Examples:
  connie proxy --memory ~/.connie
  curl -x socks5h://127.0.0.1:1080 https://example.org/
  curl -x http://127.0.0.1:1080 https://example.org/
  connie proxy --listen 192.0.2.7:1080 --allow 192.0.2.0/24

SOCKS5 and HTTP on the same port. Names are resolved here (socks5h, not socks5), so that all their addresses race.
Only programs on this machine may use it, unless --allow or --user is given. Addresses that are not public are
refused, unless --allow-private is given. SIGTERM ends it, a second SIGTERM at once; SIGHUP has it forget what it
has learnt.";

/// `connie proxy`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ProxyArgs {
    /// Listen here; several listen in turn [default: 127.0.0.1:1080, or what systemd hands over]
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub listen: Vec<SocketAddr>,
    /// Let clients in these networks use it, too
    #[arg(long, value_name = "CIDR", value_parser = network)]
    pub allow: Vec<IpNetwork>,
    /// Let only those use it who log in by this name and password
    #[arg(long, value_name = "NAME:PASSWORD")]
    pub user: Vec<String>,
    /// The same for each line of FILE, which others on this machine cannot see in a list of processes
    #[arg(long, value_name = "FILE")]
    pub user_file: Option<PathBuf>,
    /// Connect to private, loopback and other reserved addresses as well
    #[arg(long)]
    pub allow_private: bool,
    /// Use what FILE remembers of addresses, and write back what is learnt
    #[arg(long, value_name = "FILE", overrides_with = "no_memory", value_parser = memory_file())]
    pub memory: Option<PathBuf>,
    /// Race all addresses for each connection, whatever earlier ones have shown
    #[arg(long, overrides_with = "memory")]
    pub no_memory: bool,
    /// Which clients share what is learnt: all, those that log in by the same name, or those on the same port
    #[arg(
        long,
        value_name = "all|user|port",
        value_enum,
        default_value_t,
        hide_default_value = true,
        hide_possible_values = true
    )]
    pub partition: PartitionName,
    /// Addresses for a host, in place of a lookup; HOST may be '*'
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR...]", value_parser = resolve)]
    pub resolve: Vec<Override>,
    /// Ask this name server in place of the system's resolver, after the hosts file; several are asked in
    /// turn
    #[cfg(feature = "dns")]
    #[arg(long, value_name = "ADDR[:PORT]", visible_alias = "dns-servers", value_delimiter = ',', value_parser = dns_server)]
    pub dns_server: Vec<SocketAddr>,
    /// Give up after SECONDS without a connection [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Limit>,
    /// The most clients at the same time [default: what the limit of open files has room for]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, 1_000_000))]
    pub max_clients: Option<u32>,
    /// The most of them from one address beyond this machine, or of one user [default: as many as there are
    /// free places at the moment]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, 1_000_000))]
    pub max_per_client: Option<u32>,
    /// How long a client may take to say what it wants [default: 10]
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u32>(1, 3_600))]
    pub handshake_timeout: Option<u32>,
    /// How long a connection may be silent [default: 7200]
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u32>(1, 1_000_000))]
    pub idle_timeout: Option<u32>,
    /// How long connections may go on after SIGTERM [default: 30]
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u32>(0, 86_400))]
    pub stop_timeout: Option<u32>,
    /// Show what it does at this address, to this machine only: a page, /status.json and, for Prometheus,
    /// /metrics
    #[arg(long, value_name = "ADDR:PORT", value_parser = listen_address)]
    pub status: Option<SocketAddr>,
    /// Leave the names of hosts out of the status
    #[arg(long)]
    pub private: bool,
    /// Name the proxy in a Via field of plain HTTP requests and answers; many servers compress nothing then
    #[arg(long)]
    pub via: bool,
}

/// Whose races share what is learnt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum PartitionName {
    /// Everyone's.
    #[default]
    All,
    /// Those of one name.
    User,
    /// Those of one port.
    Port,
}
