//! The command line. Options are spelled as curl spells them where curl has them.

#[cfg(not(target_os = "wasi"))]
mod bench;
mod connect_args;
#[cfg(all(feature = "doctor", not(target_os = "wasi")))]
mod doctor;
mod get;
mod ordered;
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
mod proxy;
mod value;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use connie_std::{MAX_IN_FLIGHT, Options};
use value::{seconds, whole};

const EXAMPLES: &str = "\
Examples:
  connie demo
  connie get -v http://example.org/
  connie race example.org:443
  connie doctor example.org
  connie proxy --memory ~/.connie
  connie race --pacing staggered --max-in-flight 4 --svg race.svg example.org:443
  connie race --memory ~/.connie example.org:443
  connie memory ~/.connie
  connie get http://name.test/ --resolve name.test:80:192.0.2.1,192.0.2.2
  connie bench --sim

Exit codes are curl's: 0 success, 1 unsupported scheme, or no HTTP, 2 usage, 3 malformed URL, 6
could not resolve, 7 could not connect, 8 weird reply, 18 partial file, 22 HTTP error with -f, 23
write error, 26 read error, 28 timed out, 33 cannot resume, 45 cannot bind as --interface and the
like ask, 47 too many redirects, 52 empty reply, 55 send failure, 56 receive failure; connie get
--help has all.";

#[cfg(not(target_os = "wasi"))]
pub use bench::{Bench, Contender, Mode};
pub use connect_args::ConnectArgs;
#[cfg(all(feature = "doctor", not(target_os = "wasi")))]
pub use doctor::{Doctor, DoctorLine};
pub use get::{ContinueAt, FinishLineName, Get};
pub use ordered::{DataArg, DataKind, OutputArg};
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
pub use proxy::{PartitionName, ProxyArgs};
pub use value::Limit;

/// Connects to the address that answers first.
#[derive(Debug, Parser)]
#[command(
    name = "connie",
    version,
    propagate_version = true,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

/// The options of each are built when it is asked for: `usage::command`.
#[derive(Debug, Subcommand)]
#[command(defer = true)]
pub enum Command {
    /// Fetch a URL over the winner; the body goes to stdout
    Get(Box<Get>),
    /// Only race, and show a waterfall in the terminal
    Race(Box<RaceArgs>),
    /// Show visits over a simulated internet, and what they teach; needs no network
    Demo(Demo),
    /// Show what a file of --memory holds
    Memory(MemoryArgs),
    /// Be a proxy for other programs: SOCKS5 and HTTP, on one port
    #[cfg(all(feature = "proxy", not(target_os = "wasi")))]
    Proxy(Box<ProxyArgs>),
    /// Say what is wrong with a host: each name server, each address, each step
    #[cfg(all(feature = "doctor", not(target_os = "wasi")))]
    Doctor(Doctor),
    /// Compare connie with plain serial connect and Happy Eyeballs
    #[cfg(not(target_os = "wasi"))]
    Bench(Bench),
}

/// `connie demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The most connection attempts of connie at the same time
    #[arg(long, visible_alias = "max-sockets", value_name = "N", default_value_t = Options::DEFAULT_MAX_IN_FLIGHT as u32,
        value_parser = whole::<u32>(1, MAX_IN_FLIGHT as u64))]
    pub max_in_flight: u32,
    /// The seed of the random delays
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    pub seed: u64,
    /// Draw the three visits into FILE as SVG; - is stdout
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// `connie memory`.
#[derive(Debug, Args)]
pub struct MemoryArgs {
    /// The file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    pub json: bool,
}

/// `connie race`.
#[derive(Debug, Args)]
pub struct RaceArgs {
    /// Where to connect; an IPv6 address in brackets
    #[arg(value_name = "HOST:PORT")]
    pub target: String,
    /// Print only errors, and what other options ask for
    #[arg(short, long)]
    pub silent: bool,
    /// The same as --report json
    #[arg(long)]
    pub json: bool,
    /// Race again every SECONDS, a whole number, a line each, until --max-time is up; all addresses each
    /// time, unless there is --memory
    #[arg(long, value_name = "SECONDS", value_parser = whole::<u32>(1, 86_400), conflicts_with = "verbose")]
    pub watch: Option<u32>,
    /// Show the race on stderr, and not on stdout
    #[arg(short, long)]
    pub verbose: bool,
    /// Give up after SECONDS in all
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub max_time: Option<Limit>,
    #[command(flatten)]
    pub race: ConnectArgs,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use connie_core::{Config, Families, Family, Pacing};
    use connie_std::SocketOptions;

    use super::*;
    use crate::usage;

    #[track_caller]
    fn options(arguments: &str) -> Options {
        let words: Vec<&str> =
            ["connie", "race", "h:80"].into_iter().chain(arguments.split_whitespace()).collect();
        match usage::parse(&words).unwrap().command {
            Command::Race(args) => args.race.options(args.max_time.and_then(Limit::get)),
            _ => unreachable!("race was asked for"),
        }
    }

    #[test]
    fn a_race_is_run_as_asked() {
        let default = options("");
        assert_eq!(default.race.pacing, Pacing::AllAtOnce);
        assert_eq!(default.race.max_in_flight, Options::DEFAULT_MAX_IN_FLIGHT);
        assert_eq!(default.deadline, Some(Duration::from_secs(300)));
        let options = options(
            "--pacing staggered --max-in-flight 3 --patience 100 --connect-timeout 2.5 -m 1.25 -6 -4",
        );
        assert_eq!(options.race.pacing, Config::staggered().pacing);
        assert!(!options.race.hedge);
        assert_eq!(options.race.max_in_flight, 3);
        assert_eq!(options.race.patience, Duration::from_millis(100));
        assert_eq!(options.deadline, Some(Duration::from_millis(1_250)));
        assert_eq!(options.race.families, Families::Only(Family::V4), "the last of -4 and -6 counts");
    }

    #[test]
    fn every_pacing_is_known_by_its_name() {
        for pacing in Pacing::ALL {
            let race = options(&format!("--pacing {pacing}")).race;
            let asked = options("").race.pacing(pacing).hedge(Config::from(pacing).hedge);
            assert_eq!(race, asked, "{pacing}");
        }
    }

    #[test]
    fn sockets_are_set_up_as_asked() {
        assert_eq!(options("").socket, SocketOptions::default());
        let set = options("--interface eth0 --local-port 4000-4001 --keepalive-time 30");
        let silence = Some(Duration::from_secs(30));
        assert_eq!(
            set.socket.keepalive.map(|it| (it.idle, it.interval, it.count)),
            Some((silence, silence, None))
        );
        assert_eq!(
            (set.socket.interface.as_deref(), set.socket.local_ports),
            (Some("eth0"), Some(4000..=4001))
        );
        assert_eq!((set.source_v4, set.source_v6), (None, None));
        assert_eq!(options("--keepalive-time 30 --no-keepalive").socket.keepalive, None);
        let from = options("--interface 127.0.0.9");
        assert_eq!((from.source_v4, from.source_v6), (Some([127, 0, 0, 9].into()), None));
        assert_eq!(from.socket, SocketOptions::default());
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(options("--connect-timeout 0").deadline, None);
        assert_eq!(options("--connect-timeout 0 -m 3").deadline, Some(Duration::from_secs(3)));
    }
}
