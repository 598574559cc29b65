//! How to race: the options that every command with a race has.

#[cfg(feature = "dns")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use clap::Args;
use connie_core::{Config, Families, Family, Pacing};
#[cfg(feature = "dns")]
use connie_std::dns::{Dns, HttpsRecords};
#[cfg(feature = "dns")]
use connie_std::resolve::Resolver;
use connie_std::{AddressFilter, MAX_IN_FLIGHT, Memory, Options, Override};
#[cfg(not(target_os = "wasi"))]
use connie_std::{Keepalive, SocketOptions};

#[cfg(feature = "dns")]
use super::value::dns_server;
#[cfg(not(target_os = "wasi"))]
use super::value::local_ports;
use super::value::{BindTo, Limit, interface, memory_file, pacing, resolve, seconds, whole};
use crate::error::Error;
use crate::memory;
use crate::output::is_stdout;

/// How to race, and what to report of it.
#[derive(Debug, Args)]
pub struct ConnectArgs {
    /// Use IPv4 only
    #[arg(short = '4', long, overrides_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long, overrides_with = "ipv4")]
    pub ipv6: bool,
    /// Addresses for a host, in place of a lookup; HOST may be '*'
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR...]", value_parser = resolve)]
    pub resolve: Vec<Override>,
    /// Ask this name server in place of the system's resolver, after the hosts file; several are asked in
    /// turn
    #[cfg(feature = "dns")]
    #[arg(long, value_name = "ADDR[:PORT]", visible_alias = "dns-servers", value_delimiter = ',', value_parser = dns_server)]
    pub dns_server: Vec<SocketAddr>,
    /// What these make, which keeps what it has learnt from one connection to the next.
    #[cfg(feature = "dns")]
    #[arg(skip)]
    dns: OnceLock<Dns>,
    /// Connect only to public addresses: loopback, private, link-local and other reserved ones are refused
    #[arg(long)]
    pub deny_private: bool,
    /// Give up after SECONDS without a connection, including its tunnel and TLS [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Limit>,
    /// Try addresses together, 250 ms apart (Happy Eyeballs), or one after the other
    #[arg(long, default_value_t = Config::default().pacing, value_parser = pacing())]
    pub pacing: Pacing,
    /// How long --pacing staggered waits before the next address, from 10 to 2000 [default: 250]
    #[arg(long, value_name = "MS", value_parser = whole::<u32>(0, u32::MAX.into()))]
    pub happy_eyeballs_timeout_ms: Option<u32>,
    /// The most connection attempts at the same time [default: 16]
    #[arg(long, visible_alias = "max-sockets", value_name = "N", value_parser = whole::<u32>(1, MAX_IN_FLIGHT as u64))]
    pub max_in_flight: Option<u32>,
    /// How long an attempt keeps its socket while another address waits [default: 250]
    #[arg(long, value_name = "MS", value_parser = whole::<u32>(10, 600_000))]
    pub patience: Option<u32>,
    /// Connect from this interface or address: 'eth0', '192.0.2.7', 'if!eth0', 'host!192.0.2.7'. An address
    /// excludes the other family
    #[arg(long, value_name = "NAME|ADDR", value_parser = interface)]
    pub interface: Option<BindTo>,
    /// Connect from this port, or the first of these that is free
    #[cfg(not(target_os = "wasi"))]
    #[arg(long, value_name = "PORT[-PORT]", value_parser = local_ports)]
    pub local_port: Option<std::ops::RangeInclusive<u16>>,
    /// Probe a peer that has been silent for SECONDS, and every SECONDS after that [default: no probes]
    #[cfg(not(target_os = "wasi"))]
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u32>(1, 32_767), overrides_with = "no_keepalive")]
    pub keepalive_time: Option<u32>,
    /// Send no keepalive probes
    #[cfg(not(target_os = "wasi"))]
    #[arg(long, overrides_with = "keepalive_time")]
    pub no_keepalive: bool,
    /// Use what FILE remembers of addresses, and write back what the run learns
    #[arg(long, value_name = "FILE", overrides_with = "no_memory", value_parser = memory_file())]
    pub memory: Option<PathBuf>,
    /// Race all addresses for each connection, whatever earlier ones have shown
    #[arg(long, overrides_with = "memory")]
    pub no_memory: bool,
    /// What the connections of the run have learnt.
    #[arg(skip)]
    learnt: OnceLock<Memory>,
    /// Print the result and the race as JSON
    #[arg(long, value_name = "json", value_enum, hide_possible_values = true)]
    pub report: Option<ReportFormat>,
    /// Write the race to FILE as qlog; - is stdout
    #[arg(long, value_name = "FILE")]
    pub qlog: Option<PathBuf>,
    /// Write a picture of the race to FILE; - is stdout
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// How what was done is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReportFormat {
    Json,
}

impl ConnectArgs {
    /// What curl allows unless told otherwise.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

    /// The options of a race that has `max_time` to end.
    pub fn options(&self, max_time: Option<Duration>) -> Options {
        let preset = Config::from(self.pacing());
        let patience = self.patience.map(|ms| Duration::from_millis(ms.into()));
        let race = preset
            .clone()
            .families(match (self.ipv4, self.ipv6) {
                (true, _) => Families::Only(Family::V4),
                (_, true) => Families::Only(Family::V6),
                _ => Families::Both,
            })
            .max_in_flight(self.max_in_flight.map_or(Options::DEFAULT_MAX_IN_FLIGHT, |most| most as usize))
            .patience(patience.unwrap_or(preset.patience));
        let (source_v4, source_v6) = self.interface.as_ref().map_or((None, None), BindTo::sources);
        let options = Options::new()
            .race(race)
            // Whatever the default is: without a limit there is none.
            .deadline(self.connect_time(max_time))
            .source_v4(source_v4)
            .source_v6(source_v6)
            .overrides(self.resolve.iter().cloned())
            .memory((!self.no_memory).then(|| self.learnt().clone()))
            .filter(if self.deny_private { AddressFilter::public_only() } else { AddressFilter::default() });
        #[cfg(not(target_os = "wasi"))]
        let options = options.socket(self.socket());
        #[cfg(feature = "dns")]
        let options = options.resolver(self.resolver(HttpsRecords::default()));
        options
    }

    /// The pacing, with the delay that is asked for.
    fn pacing(&self) -> Pacing {
        match (self.pacing, self.happy_eyeballs_timeout_ms) {
            (Pacing::Staggered { growth_percent, .. }, Some(ms)) => {
                Pacing::Staggered { delay: Duration::from_millis(ms.into()), growth_percent }
            }
            (pacing, _) => pacing,
        }
    }

    /// Reads what is remembered, where a file is named.
    pub fn load_memory(&self) -> Result<(), Error> {
        if let Some(path) = &self.memory {
            let memory = memory::load(path)?;
            self.learnt.get_or_init(|| memory);
        }
        Ok(())
    }

    /// What the connections of the run have learnt, whether or not they go by it. It is made at the first
    /// call, for which a small stack has no room.
    pub fn learnt(&self) -> &Memory {
        self.learnt.get_or_init(Memory::new)
    }

    /// Writes it there.
    pub fn save_memory(&self) -> Result<(), Error> {
        match (&self.memory, self.learnt.get()) {
            (Some(path), Some(memory)) => {
                memory.save(path).map_err(|error| Error::write(path.display(), &error))
            }
            _ => Ok(()),
        }
    }

    /// What is set on each socket.
    #[cfg(not(target_os = "wasi"))]
    fn socket(&self) -> SocketOptions {
        let silence = self.keepalive_time.map(|seconds| Duration::from_secs(seconds.into()));
        SocketOptions::new()
            .keepalive(silence.map(|silence| Keepalive::new().idle(silence).interval(silence)))
            .interface(self.interface_name())
            .local_ports(self.local_port.clone())
    }

    /// The interface that connections leave by, where one is named.
    pub fn interface_name(&self) -> Option<String> {
        #[cfg(not(target_os = "wasi"))]
        return self.interface.as_ref().and_then(BindTo::name);
        #[cfg(target_os = "wasi")]
        None
    }

    /// How long a connection may take to come about, of which `max_time` is left for everything.
    pub fn connect_time(&self, max_time: Option<Duration>) -> Option<Duration> {
        let connect_timeout = self.connect_timeout.map_or(Some(Self::CONNECT_TIMEOUT), Limit::get);
        connect_timeout.into_iter().chain(max_time).min()
    }

    /// Where addresses come from, with the records of HTTPS servers asked for as `records` says.
    #[cfg(feature = "dns")]
    pub fn resolver(&self, records: HttpsRecords) -> Resolver {
        match &*self.dns_server {
            [] => Resolver::System,
            servers => {
                let dns = self.dns.get_or_init(|| Dns::new(servers.iter().copied()));
                dns.clone().https_records(records).into()
            }
        }
    }

    /// Which of the options that may print on stdout do.
    pub fn on_stdout(&self) -> [(bool, &'static str); 3] {
        let there = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdout);
        [
            (self.report.is_some(), "--report json"),
            (there(&self.qlog), "--qlog -"),
            (there(&self.svg), "--svg -"),
        ]
    }

    /// Whether an option gives the addresses of `host`.
    pub fn overrides(&self, host: &str, port: u16) -> bool {
        let names = |entry: &Override| entry.host == "*" || entry.host.eq_ignore_ascii_case(host);
        self.resolve.iter().any(|entry| entry.port == port && names(entry))
    }
}
