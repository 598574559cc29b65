//! A row of the table: how is asked, what is found, and for which drivers it holds.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use connie_core::resolution::QueryError;

use super::query::Kind;
use super::table::TABLE;

/// The name that each row asks for.
pub const NAME: &str = "name.test";

/// What servers do, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the servers do, in words. No other row says the same.
    pub what: &'static str,
    /// Kinds, and `udp` for a driver without TCP, `tcp` for one that has it, `only-tcp`, `case` for letters in random case, `attempts=1`, `timeout=2000`.
    pub how: &'static str,
    /// What each server does, as a list of [reactions](super).
    pub servers: &'static [&'static str],
    /// What is found, and when, and behind `|` [what was sent](super::Servers::sent).
    pub expected: &'static str,
    /// Whether it is for drivers that run on a real kernel or a machine, too: it stands for those like it, and needs no more than the
    /// settings that a client begins with, and less than two seconds.
    pub kernel: bool,
}

pub(super) const fn row(
    what: &'static str,
    how: &'static str,
    servers: &'static [&'static str],
    expected: &'static str,
) -> Row {
    Row { what, how, servers, expected, kernel: false }
}

/// One that is for the kernel, too.
pub(super) const fn kernel(
    what: &'static str,
    how: &'static str,
    servers: &'static [&'static str],
    expected: &'static str,
) -> Row {
    Row { what, how, servers, expected, kernel: true }
}

/// Over what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// It is all one: datagrams, and TCP or not for what does not fit into one.
    Either,
    /// Datagrams alone.
    Udp,
    /// Datagrams, and TCP for what does not fit into one.
    UdpAndTcp,
    /// TCP alone.
    Tcp,
}

/// How is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Over what.
    pub transport: Transport,
    /// With letters in random case.
    pub case: bool,
    /// How often each server; `None` is what a client begins with.
    pub attempts: Option<u8>,
    /// How long it may take; `None` is what a client begins with.
    pub timeout: Option<Duration>,
}

/// What a look-up finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// Service records, each in brackets, as `connie_dns::Service` is written.
    Services(String),
    /// Records of the name, but none of this kind.
    Nothing,
    /// Why there is no answer.
    Error(QueryError),
}

/// What a look-up finds of a kind, and when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Of what.
    pub kind: Kind,
    /// What.
    pub finding: Finding,
    /// How many milliseconds after the start.
    pub millis: u64,
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.kind)?;
        match &self.finding {
            Finding::Addresses(addresses) => addresses.iter().try_for_each(|ip| write!(f, " {ip}"))?,
            Finding::Services(services) => write!(f, " {services}")?,
            Finding::Nothing => f.write_str(" none")?,
            Finding::Error(error) => write!(f, " !{error:?}")?,
        }
        write!(f, " at {}", self.millis)
    }
}

impl Row {
    /// The kinds that are asked for, in the order in which they are.
    ///
    /// # Panics
    ///
    /// If the row cannot be read, as each of these.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        [Kind::Aaaa, Kind::A, Kind::Https].into_iter().filter(|kind| self.has(*kind)).collect()
    }

    fn has(&self, kind: Kind) -> bool {
        self.how.split_whitespace().any(|word| word.eq_ignore_ascii_case(&kind.to_string()))
    }

    /// How they are asked for.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let mut settings =
            Settings { transport: Transport::Either, case: false, attempts: None, timeout: None };
        for word in self.how.split_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("aaaa" | "a" | "https", _) => {}
                ("udp", _) => settings.transport = Transport::Udp,
                ("tcp", _) => settings.transport = Transport::UdpAndTcp,
                ("only-tcp", _) => settings.transport = Transport::Tcp,
                ("case", _) => settings.case = true,
                ("attempts", count) => settings.attempts = Some(count.parse().expect("a number")),
                ("timeout", millis) => {
                    settings.timeout = Some(Duration::from_millis(millis.parse().expect("a number")));
                }
                (other, _) => panic!("{}: {other:?} says nothing", self.what),
            }
        }
        settings
    }

    /// What a look-up finds, in the order in which it is told.
    #[must_use]
    pub fn found(&self) -> Vec<Found> {
        let (found, _) = self.expected.split_once(" | ").expect("what is found, and what is sent");
        found.split("; ").map(|found| self.read(found)).collect()
    }

    /// [What is sent](super::Servers::sent).
    pub fn sent(&self) -> impl Iterator<Item = &'static str> + use<> {
        let (_, sent) = self.expected.split_once(" | ").expect("what is found, and what is sent");
        sent.split_whitespace()
    }

    fn read(&self, text: &str) -> Found {
        self.try_read(text).unwrap_or_else(|| panic!("{}: {text:?} cannot be read", self.what))
    }

    fn try_read(&self, text: &str) -> Option<Found> {
        let (what, millis) = text.rsplit_once(" at ")?;
        let (kind, finding) = what.split_once(' ')?;
        let kind = self.kinds().into_iter().find(|known| known.to_string() == kind)?;
        let finding = match finding {
            "none" => Finding::Nothing,
            error if error.starts_with('!') => Finding::Error(error_called(&error[1..])?),
            services if services.starts_with('[') => Finding::Services(services.to_owned()),
            addresses => {
                let addresses: Result<_, _> = addresses.split(' ').map(str::parse).collect();
                Finding::Addresses(addresses.ok()?)
            }
        };
        Some(Found { kind, finding, millis: millis.parse().ok()? })
    }

    /// Whether a server does this, over whatever.
    fn does(&self, reaction: &str) -> bool {
        let words = self.servers.iter().flat_map(|script| script.split([' ', ';']));
        words.into_iter().any(|word| word == reaction)
    }
}

fn error_called(name: &str) -> Option<QueryError> {
    use QueryError::{Malformed, NoSuchName, Refused, ServerFailure, TimedOut, Unreachable};
    let all = [Malformed, NoSuchName, Refused, ServerFailure, TimedOut, Unreachable];
    all.into_iter().find(|error| format!("{error:?}") == name)
}

/// What a driver can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "each is a thing of its own that a driver has or not")]
pub struct Driver {
    /// Ask in datagrams without TCP for what does not fit into one.
    pub udp_alone: bool,
    /// Ask in datagrams, and over TCP for what does not fit into one.
    pub tcp: bool,
    /// Ask over TCP alone.
    pub tcp_alone: bool,
    /// Ask for service records.
    pub https: bool,
    /// Have other settings than those that a client begins with: how often, how long, and in which case.
    pub settings: bool,
    /// Hear that a datagram has not arrived.
    pub errors: bool,
    /// Ask so many servers.
    pub servers: usize,
}

impl Driver {
    /// One that can do everything.
    pub const ANY: Driver = Driver {
        udp_alone: true,
        tcp: true,
        tcp_alone: true,
        https: true,
        settings: true,
        errors: true,
        servers: 3,
    };
    /// One that can do none of it.
    pub const LEAST: Driver = Driver {
        udp_alone: false,
        tcp: false,
        tcp_alone: false,
        https: false,
        settings: false,
        errors: false,
        servers: 1,
    };

    /// Whether a row applies to it.
    fn takes(&self, row: &Row) -> bool {
        let settings = row.settings();
        let transport = match settings.transport {
            Transport::Either => self.udp_alone || self.tcp,
            Transport::Udp => self.udp_alone,
            Transport::UdpAndTcp => self.tcp,
            Transport::Tcp => self.tcp_alone,
        };
        let are_set = settings.case || settings.attempts.is_some() || settings.timeout.is_some();
        // What fails over TCP is a connection, which every driver hears of.
        let is_told = matches!(settings.transport, Transport::Either | Transport::Udp) && row.does("fails");
        transport
            && (self.https || !row.has(Kind::Https))
            && (self.settings || !are_set)
            && (self.errors || !is_told)
            && row.servers.len() <= self.servers
    }
}

/// How many rows apply to a driver of two servers that can do no more than ask in datagrams, and so to every driver.
const LEAST_ROWS: usize = 60;

/// The rows that apply to a driver.
///
/// # Panics
///
/// If they are fewer than 60: it can do too little to be told one that works.
#[must_use]
#[track_caller]
pub fn rows(driver: &Driver) -> Vec<&'static Row> {
    let rows: Vec<_> = TABLE.iter().filter(|row| driver.takes(row)).collect();
    assert!(rows.len() >= LEAST_ROWS, "{} rows apply to {driver:?}, and {LEAST_ROWS} have to", rows.len());
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_can_be_read() {
        for row in TABLE {
            let found: Vec<String> = row.found().iter().map(Found::to_string).collect();
            let sent: Vec<&str> = row.sent().collect();
            assert_eq!(format!("{} | {}", found.join("; "), sent.join(" ")), row.expected, "{}", row.what);
            assert_eq!(found.len(), row.kinds().len(), "{}", row.what);
            assert_ne!(row.settings(), Settings { timeout: Some(Duration::ZERO), ..row.settings() });
        }
    }

    #[test]
    fn each_row_stands_there_once() {
        let mut names: Vec<_> = TABLE.iter().map(|row| row.what).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len(), "a row has the name of another");
    }

    /// The least that a driver has: datagrams, or those and TCP.
    #[test]
    fn every_driver_has_sixty_rows() {
        assert_eq!(rows(&Driver::ANY).len(), TABLE.len());
        for (udp_alone, tcp) in [(true, false), (false, true)] {
            assert!(rows(&Driver { udp_alone, tcp, servers: 2, ..Driver::LEAST }).len() >= LEAST_ROWS);
        }
    }

    #[test]
    fn a_driver_takes_what_it_can_do() {
        let has = |driver: Driver, what: &str| rows(&driver).iter().any(|row| row.what == what);
        let datagrams = Driver { tcp: false, tcp_alone: false, ..Driver::ANY };
        assert!(!has(datagrams, "TCP is refused, and the next helps"));
        assert!(has(datagrams, "it does not fit, and there is none"));
        assert!(!has(Driver { udp_alone: false, ..Driver::ANY }, "it does not fit, and there is none"));
        assert!(!has(Driver { tcp_alone: false, ..Driver::ANY }, "over TCP alone"));
        assert!(!has(Driver { https: false, ..Driver::ANY }, "there are service records"));
        assert!(!has(Driver { settings: false, ..Driver::ANY }, "it repeats the case"));
        assert!(!has(Driver { errors: false, ..Driver::ANY }, "it is not there"));
        assert!(has(Driver { errors: false, ..Driver::ANY }, "TCP is closed once"));
        assert!(!has(Driver { servers: 2, ..Driver::ANY }, "two are silent"));
    }

    /// Some dozen, of all sorts, and none that takes long or needs a setting.
    #[test]
    fn rows_for_the_kernel() {
        let plain = Driver { udp_alone: true, tcp: true, https: true, servers: 3, ..Driver::LEAST };
        let kernel: Vec<_> = TABLE.iter().filter(|row| row.kernel).collect();
        assert!((12..=24).contains(&kernel.len()), "{}", kernel.len());
        for row in kernel {
            assert!(plain.takes(row) && row.settings().transport != Transport::Udp, "{}", row.what);
            assert!(row.found().iter().all(|found| found.millis < 2_000), "{}", row.what);
        }
    }
}
