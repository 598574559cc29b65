//! The options of `connie bench`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use connie_core::Config;
use connie_std::{MAX_IN_FLIGHT, Options, Override};

use super::value::{Limit, memory_file, resolve, seconds, whole};

/// `connie bench`.
#[derive(Debug, Args)]
pub struct Bench {
    /// What to connect to, or to fetch with --mode get; without a scheme it is http
    #[arg(required_unless_present = "sim", value_name = "URL")]
    pub urls: Vec<String>,
    /// Measure on the simulated internet, in virtual time: needs no network
    #[arg(long, conflicts_with_all = ["urls", "mode", "dns", "ipv4", "ipv6", "resolve", "deny_private", "pause", "force"])]
    pub sim: bool,
    /// Measure the time to a connection, or to the last byte of the page
    #[arg(long, value_enum, default_value_t)]
    pub mode: Mode,
    /// How often each contender connects to each URL [default: 10; with --sim 200]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(1, u32::MAX.into()))]
    pub rounds: Option<u32>,
    /// Visit each URL N times in each round, from one process: connie with a memory and without [default
    /// rounds: 1; with --sim 20]
    #[arg(long, value_name = "N", value_parser = whole::<u32>(2, 10_000))]
    pub visits: Option<u32>,
    /// Let connie use what FILE remembers of addresses, and write back what it learns
    #[arg(long, value_name = "FILE", conflicts_with = "sim", value_parser = memory_file())]
    pub memory: Option<PathBuf>,
    /// The contenders, separated by commas [default: all]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "NAME")]
    pub contenders: Vec<Contender>,
    /// Resolve the name in each trial, and include that in the time; by default it is resolved once
    #[arg(long)]
    pub dns: bool,
    /// The longest time of a trial; one that fails counts as this [default: 10]
    #[arg(short = 'm', long, value_name = "SECONDS", value_parser = seconds)]
    pub max_time: Option<Limit>,
    /// The pause between two rounds, and between two visits [default: 500]
    #[arg(long, value_name = "MS", value_parser = whole::<u32>(0, u32::MAX.into()))]
    pub pause: Option<u32>,
    /// Allow more than 50 rounds, and pauses under 100 ms: only for servers of your own
    #[arg(long)]
    pub force: bool,
    /// Also trust the certificates in FILE (PEM)
    #[cfg(feature = "tls")]
    #[arg(long, value_name = "FILE")]
    pub cacert: Option<PathBuf>,
    /// Use IPv4 only
    #[arg(short = '4', long, overrides_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long, overrides_with = "ipv4")]
    pub ipv6: bool,
    /// Addresses for a host, in place of a lookup; HOST may be '*'
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR...]", value_parser = resolve)]
    pub resolve: Vec<Override>,
    /// Connect only to public addresses: loopback, private, link-local and other reserved ones are refused
    #[arg(long)]
    pub deny_private: bool,
    /// The most connection attempts at the same time, for those that race
    #[arg(long, visible_alias = "max-sockets", value_name = "N", default_value_t = Options::DEFAULT_MAX_IN_FLIGHT as u32, value_parser = whole::<u32>(1, MAX_IN_FLIGHT as u64))]
    pub max_in_flight: u32,
    /// The seed of the order of the trials, of the random addresses and of the simulated internet
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    pub seed: u64,
    /// Show no progress
    #[arg(short, long)]
    pub silent: bool,
    /// Print the figures and all trials as JSON
    #[arg(long)]
    pub json: bool,
    /// Write all trials to FILE, a line each; - is stdout
    #[arg(long, value_name = "FILE")]
    pub csv: Option<PathBuf>,
    /// Draw all trials into FILE as SVG; - is stdout
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// A way to connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// All addresses at once; of visits, by memory.
    Connie,
    /// The same without a memory.
    NoMemory,
    /// RFC 8305: one more address every 250 ms.
    HappyEyeballs,
    /// One address after the other, in the resolver's order.
    Plain,
    /// One address, drawn at random.
    Random,
}

impl Contender {
    pub const ALL: [Contender; 5] = [
        Contender::Connie,
        Contender::NoMemory,
        Contender::HappyEyeballs,
        Contender::Plain,
        Contender::Random,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Contender::Connie => "connie",
            Contender::NoMemory => "no-memory",
            Contender::HappyEyeballs => "happy-eyeballs",
            Contender::Plain => "plain",
            Contender::Random => "random",
        }
    }

    /// The race that it runs; `None` where it only tries one address.
    pub fn race(self, max_in_flight: usize) -> Option<Config> {
        match self {
            Contender::Connie | Contender::NoMemory => {
                Some(Config::all_at_once().max_in_flight(max_in_flight))
            }
            Contender::HappyEyeballs => Some(Config::staggered().max_in_flight(max_in_flight)),
            // Families are not interleaved: the list is taken in its order.
            Contender::Plain => Some(Config::one_by_one().first_address_family_count(u8::MAX)),
            Contender::Random => None,
        }
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// The time to a connection
    #[default]
    Connect,
    /// The time to the last byte of the page
    Get,
}

impl Bench {
    pub fn limit(&self) -> Duration {
        self.max_time.and_then(Limit::get).unwrap_or(Duration::from_secs(10))
    }

    /// Those that were named. Where all are first visits there is no memory to be without.
    pub fn contenders(&self) -> Vec<Contender> {
        let named = |contender: &Contender| match self.contenders.is_empty() {
            true => self.visits.is_some() || *contender != Contender::NoMemory,
            false => self.contenders.contains(contender),
        };
        Contender::ALL.into_iter().filter(named).collect()
    }

    pub fn rounds(&self) -> u32 {
        let default = match (self.sim, self.visits) {
            (true, None) => 200,
            (true, Some(_)) => 20,
            (false, None) => 10,
            (false, Some(_)) => 1,
        };
        self.rounds.unwrap_or(default)
    }

    /// How often each contender connects to each URL.
    pub fn connections(&self) -> u64 {
        u64::from(self.rounds()) * u64::from(self.visits.unwrap_or(1))
    }

    pub fn pause(&self) -> Duration {
        self.pause.map_or(Duration::from_millis(500), |millis| Duration::from_millis(millis.into()))
    }
}
