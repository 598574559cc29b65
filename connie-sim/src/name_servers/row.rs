//! A row of the table: how is asked, what is found, and for which drivers it holds.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use connie_core::resolution::QueryError;

use super::query::Kind;

/// The name that each row asks for.
pub const NAME: &str = "name.test";

/// What servers do, and what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// What the servers do, in words. No other row says the same.
    pub what: &'static str,
    /// Kinds, and `udp` for a driver without TCP, `tcp` for one that has it, `only-tcp`, `case` for letters
    /// in random case, `attempts=1`, `timeout=2000`.
    pub how: &'static str,
    /// What each server does, as a list of [reactions](super).
    pub servers: &'static [&'static str],
    /// What is found, and when, and behind `|` [what was sent](super::Servers::sent).
    pub expected: &'static str,
    /// Whether it is for drivers that run on a real kernel or a machine, too: it stands for those like it,
    /// and needs no more than the settings that a client begins with, and less than two seconds.
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
pub struct RowSettings {
    /// Over what.
    pub transport: Transport,
    /// With letters in random case.
    pub case: bool,
    /// How often each server; `None` is what a client begins with.
    pub attempts: Option<u8>,
    /// How long it may take; `None` is what a client begins with.
    pub timeout: Option<Duration>,
}

/// What a lookup finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// Addresses, in this order.
    Addresses(Vec<IpAddr>),
    /// Service records, each in brackets, as `connie_dns::ServiceBinding` is written.
    Services(String),
    /// Records of the name, but none of this kind.
    Nothing,
    /// Why there is no answer.
    Error(QueryError),
}

/// What a lookup finds of a kind, and when.
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

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.how.split_whitespace().any(|word| word.eq_ignore_ascii_case(&kind.to_string()))
    }

    /// How they are asked for.
    #[must_use]
    pub fn settings(&self) -> RowSettings {
        let mut settings =
            RowSettings { transport: Transport::Either, case: false, attempts: None, timeout: None };
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

    /// What a lookup finds, in the order in which it is given.
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
    pub(super) fn does(&self, reaction: &str) -> bool {
        let words = self.servers.iter().flat_map(|script| script.split([' ', ';']));
        words.into_iter().any(|word| word == reaction)
    }
}

fn error_called(name: &str) -> Option<QueryError> {
    use QueryError::{Malformed, NoSuchName, Refused, ServerFailure, TimedOut, Unreachable};
    let all = [Malformed, NoSuchName, Refused, ServerFailure, TimedOut, Unreachable];
    all.into_iter().find(|error| format!("{error:?}") == name)
}
