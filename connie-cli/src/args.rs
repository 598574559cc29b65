//! The command line. Options are spelled as curl spells them where curl has them.

mod get;
mod ordered;

#[cfg(feature = "dns")]
use std::cell::OnceCell;
use std::fmt;
use std::net::IpAddr;
#[cfg(feature = "dns")]
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

#[cfg(not(target_os = "wasi"))]
use crate::bench::Bench;
use crate::output::is_stdout;
use clap::{Args, Parser, Subcommand, ValueEnum};
use connie_core::{Config, Families, Family};
#[cfg(feature = "dns")]
use connie_std::dns::{self, Dns, HttpsRecords};
#[cfg(feature = "dns")]
use connie_std::resolve::Resolver;
use connie_std::{MAX_SOCKETS, Options, Override};

const EXAMPLES: &str = "\
Examples:
  connie demo
  connie get -v http://example.org/
  connie race example.org:443
  connie race --pacing staggered --max-sockets 4 --svg race.svg example.org:443
  connie get http://name.test/ --resolve name.test:80:192.0.2.1,192.0.2.2
  connie bench --sim

Exit codes are curl's: 0 all well, 1 unsupported scheme, 2 usage, 3 malformed URL, 6 could not
resolve, 7 could not connect, 8 weird reply, 18 partial file, 22 HTTP error with -f, 23 write error,
26 read error, 28 timed out, 33 cannot resume, 47 too many redirects, 52 empty reply, 55 send failure,
56 receive failure; connie get --help has all.";

pub use get::{ContinueAt, Get};
pub use ordered::{DataArg, DataKind, OutputArg};

/// Connects to the address that answers first.
#[derive(Debug, Parser)]
#[command(
    name = "connie",
    version,
    max_term_width = 100,
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = EXAMPLES
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fetch a URL over the winner; the body goes to stdout
    Get(Box<Get>),
    /// Only the race: a waterfall in the terminal
    Race(RaceArgs),
    /// A race over a simulated internet; needs no network
    Demo(Demo),
    /// connie beside plain serial connect and Happy Eyeballs
    #[cfg(not(target_os = "wasi"))]
    Bench(Bench),
}

/// `connie demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// The most connection attempts of connie at the same time
    #[arg(long, value_name = "N", default_value_t = Options::DEFAULT_SOCKETS as u8,
        value_parser = whole::<u8>(1, MAX_SOCKETS as u64))]
    pub max_sockets: u8,
    /// Another number draws other delays
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = whole::<u64>(0, u64::MAX))]
    pub seed: u64,
    /// Draw the three races into FILE as SVG; - is stdout
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

/// `connie race`.
#[derive(Debug, Args)]
pub struct RaceArgs {
    /// Where to connect; an IPv6 address in brackets
    #[arg(value_name = "HOST:PORT")]
    pub target: String,
    /// Print nothing but errors, and what other options ask for
    #[arg(short, long)]
    pub silent: bool,
    /// Give up after SECONDS in all
    #[arg(short, long, value_name = "SECONDS", value_parser = seconds)]
    pub max_time: Option<Limit>,
    #[command(flatten)]
    pub race: Racing,
}

/// How to race, and what to report of it.
#[derive(Debug, Args)]
pub struct Racing {
    /// Use IPv4 only
    #[arg(short = '4', long, overrides_with = "ipv6")]
    pub ipv4: bool,
    /// Use IPv6 only
    #[arg(short = '6', long, overrides_with = "ipv4")]
    pub ipv6: bool,
    /// Addresses for a host, in place of a lookup; HOST may be '*'
    #[arg(long, value_name = "HOST:PORT:ADDR[,ADDR...]", value_parser = resolve)]
    pub resolve: Vec<Override>,
    /// Ask this name server in place of the system's resolver, after the hosts file; several are asked in turn
    #[cfg(feature = "dns")]
    #[arg(long, value_name = "ADDR[:PORT]", visible_alias = "dns-servers", value_delimiter = ',', value_parser = dns_server)]
    pub dns_server: Vec<SocketAddr>,
    /// What these make, which keeps what it has learnt from one connection to the next.
    #[cfg(feature = "dns")]
    #[arg(skip)]
    dns: OnceCell<Dns>,
    /// Give up after SECONDS without a connection, its tunnel and TLS included [default: 300]
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    pub connect_timeout: Option<Limit>,
    /// Try addresses together, 250 ms apart (Happy Eyeballs), or one after the other
    #[arg(long, value_enum, default_value_t)]
    pub pacing: PacingName,
    /// The most connection attempts at the same time [default: 16]
    #[arg(long, value_name = "N", value_parser = whole::<u8>(1, MAX_SOCKETS as u64))]
    pub max_sockets: Option<u8>,
    /// How long an attempt keeps its socket while another address waits [default: 250]
    #[arg(long, value_name = "MS", value_parser = whole::<u32>(10, 600_000))]
    pub patience: Option<u32>,
    /// Print the result and the race as JSON
    #[arg(long)]
    pub json: bool,
    /// Write the race to FILE as qlog; - is stdout
    #[arg(long, value_name = "FILE")]
    pub qlog: Option<PathBuf>,
    /// Write a picture of the race to FILE; - is stdout
    #[arg(long, value_name = "FILE")]
    pub svg: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PacingName {
    #[default]
    AllAtOnce,
    Staggered,
    OneByOne,
}

/// A limit of time; 0 stands for none, as it does for curl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(Option<Duration>);

impl Limit {
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

impl Racing {
    /// What curl allows unless told otherwise.
    const CONNECT_TIMEOUT: Duration = Duration::from_secs(300);

    /// The options of a race that has `max_time` to end.
    pub fn options(&self, max_time: Option<Duration>) -> Options {
        let defaults = Options::default();
        let preset = match self.pacing {
            PacingName::AllAtOnce => Config::all_at_once(),
            PacingName::Staggered => Config::staggered(),
            PacingName::OneByOne => Config::one_by_one(),
        };
        let patience = self.patience.map(|ms| Duration::from_millis(ms.into()));
        let race = Config {
            families: match (self.ipv4, self.ipv6) {
                (true, _) => Families::Only(Family::V4),
                (_, true) => Families::Only(Family::V6),
                _ => Families::Both,
            },
            max_in_flight: self.max_sockets.map_or(defaults.race.max_in_flight, usize::from),
            patience: patience.unwrap_or(preset.patience),
            deadline: self.connect_time(max_time),
            ..preset
        };
        Options {
            race,
            #[cfg(feature = "dns")]
            resolver: self.resolver(HttpsRecords::default()),
            overrides: self.resolve.clone(),
            ..defaults
        }
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
                Dns { https_records: records, ..dns.clone() }.into()
            }
        }
    }

    /// Which of the options that may print on stdout do.
    pub fn on_stdout(&self) -> [(bool, &'static str); 3] {
        let there = |path: &Option<PathBuf>| path.as_deref().is_some_and(is_stdout);
        [(self.json, "--json"), (there(&self.qlog), "--qlog -"), (there(&self.svg), "--svg -")]
    }

    /// Whether an option gives the addresses of `host`.
    pub fn overrides(&self, host: &str, port: u16) -> bool {
        let names = |entry: &Override| entry.host == "*" || entry.host.eq_ignore_ascii_case(host);
        self.resolve.iter().any(|entry| entry.port == port && names(entry))
    }
}

impl fmt::Display for PacingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PacingName::AllAtOnce => "all-at-once",
            PacingName::Staggered => "staggered",
            PacingName::OneByOne => "one-by-one",
        })
    }
}

/// A whole number within `least` and `most`, which `T` must hold.
pub fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|number| digits && (least..=most).contains(number));
        // A bound that only the type has is news to those alone who passed it.
        let open = most >= u64::from(u32::MAX);
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match (least, open) {
            (0, true) if digits => format!("give a whole number up to {most}"),
            (0, true) => "give a whole number".to_owned(),
            (_, true) => format!("give a whole number from {least}"),
            (_, false) => format!("give a whole number from {least} to {most}"),
        })
    }
}

/// Seconds as a decimal number, as many as curl takes: what a signed number of milliseconds holds.
pub fn seconds(text: &str) -> Result<Limit, String> {
    const MOST: u64 = i64::MAX as u64 / 1_000;
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| decimal);
    let seconds = seconds.ok_or_else(|| "give seconds, such as 10 or 0.5".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Ok(Limit(None)),
        Ok(duration) if seconds <= MOST as f64 => Ok(Limit(Some(duration))),
        _ => Err(format!("give at most {MOST} seconds, or 0 for no limit")),
    }
}

/// The address of a name server.
#[cfg(feature = "dns")]
fn dns_server(text: &str) -> Result<SocketAddr, String> {
    dns::parse_server(text).ok_or_else(|| {
        "give the address of a name server, such as 192.0.2.53 or [2001:db8::53]:5353".to_owned()
    })
}

/// `HOST:PORT:ADDR[,ADDR...]`, IPv6 addresses in brackets or bare. A `+` before it, which tells curl to let the entry expire, means
/// nothing in a program that fetches one URL.
pub fn resolve(text: &str) -> Result<Override, String> {
    let malformed = || "give HOST:PORT:ADDR[,ADDR...]".to_owned();
    let entry = text.strip_prefix('+').unwrap_or(text);
    let (host, rest) = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(malformed)?,
        None => entry.split_once(':').ok_or_else(malformed)?,
    };
    let (port, addresses) = rest.split_once(':').ok_or_else(malformed)?;
    if host.is_empty() {
        return Err(malformed());
    }
    let port = match port.parse() {
        Ok(0) | Err(_) => return Err(format!("{port:?} is not a port")),
        Ok(port) => port,
    };
    let addresses = addresses.split(',').map(|text| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bare {
            Some(v6) => v6.parse().map(IpAddr::V6).ok(),
            None => text.parse().ok(),
        };
        address.ok_or_else(|| format!("{text:?} is not an IP address"))
    });
    Ok(Override { host: host.to_owned(), port, addresses: addresses.collect::<Result<_, _>>()? })
}

#[cfg(test)]
mod tests {
    use connie_core::Pacing;

    use super::*;
    use crate::usage;

    #[track_caller]
    fn options(arguments: &str) -> Options {
        let words: Vec<&str> =
            ["connie", "race", "h:80"].into_iter().chain(arguments.split_whitespace()).collect();
        match usage::parse(&words).unwrap().command {
            Command::Race(args) => args.race.options(args.max_time.and_then(Limit::get)),
            Command::Get(_) | Command::Demo(_) | Command::Bench(_) => unreachable!("race was asked for"),
        }
    }

    #[test]
    fn a_race_is_run_as_asked() {
        let default = options("");
        assert_eq!(default.race.pacing, Pacing::AllAtOnce);
        assert_eq!(default.race.max_in_flight, Options::DEFAULT_SOCKETS);
        assert_eq!(default.race.deadline, Some(Duration::from_secs(300)));
        let options =
            options("--pacing staggered --max-sockets 3 --patience 100 --connect-timeout 2.5 -m 1.25 -6 -4");
        assert_eq!(options.race.pacing, Config::staggered().pacing);
        assert!(!options.race.hedge);
        assert_eq!(options.race.max_in_flight, 3);
        assert_eq!(options.race.patience, Duration::from_millis(100));
        assert_eq!(options.race.deadline, Some(Duration::from_millis(1_250)));
        assert_eq!(options.race.families, Families::Only(Family::V4), "the last of -4 and -6 counts");
    }

    #[test]
    fn zero_is_no_limit() {
        assert_eq!(options("--connect-timeout 0").race.deadline, None);
        assert_eq!(options("--connect-timeout 0 -m 3").race.deadline, Some(Duration::from_secs(3)));
    }

    #[test]
    fn limits_are_decimal_seconds() {
        assert_eq!(seconds("10"), Ok(Limit(Some(Duration::from_secs(10)))));
        assert_eq!(seconds(".5"), Ok(Limit(Some(Duration::from_millis(500)))));
        let most = "9223372036854775";
        assert!(seconds(most).is_ok());
        for text in ["9223372036854779", "18446744073709551616", &"9".repeat(400)] {
            assert_eq!(
                seconds(text),
                Err(format!("give at most {most} seconds, or 0 for no limit")),
                "{text}"
            );
        }
        for text in ["", "-1", "1e3", "inf", "nan", "1s", ".", "1.2.3"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn resolve_is_spelled_as_in_curl() {
        let is = |text: &str, host: &str, port: u16, addresses: &str| {
            let addresses = addresses.split(' ').map(|address| address.parse().unwrap()).collect();
            assert_eq!(resolve(text), Ok(Override { host: host.to_owned(), port, addresses }), "{text}");
        };
        is("h:80:192.0.2.1", "h", 80, "192.0.2.1");
        is("h:80:192.0.2.1,192.0.2.2", "h", 80, "192.0.2.1 192.0.2.2");
        is("h:80:[2001:db8::1],192.0.2.2", "h", 80, "2001:db8::1 192.0.2.2");
        is("h:80:2001:db8::1,::2", "h", 80, "2001:db8::1 ::2");
        is("*:8080:::1", "*", 8080, "::1");
        is("+h:80:192.0.2.1", "h", 80, "192.0.2.1");
        is("[::1]:80:192.0.2.1", "::1", 80, "192.0.2.1");
        for text in [
            "",
            "h",
            "h:80",
            "h:80:",
            "h:x:::1",
            "h:0:::1",
            ":80:::1",
            "h:80:name",
            "h:80:192.0.2.1,",
            "h:80:[192.0.2.1]",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }
}
