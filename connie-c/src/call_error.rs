//! What a call of C asks for, and the error that it gets when that fails.

use std::ffi::{CStr, c_int};
use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};

use connie_std::connie_core::resolution::Host;
use connie_std::connie_core::verdict::{ErrorKind, unknown_zone};
use connie_std::{ConnectError, Options, Target};

use crate::Connie;
use crate::visit::LastVisit;

/// Why there is no connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CallError {
    pub(crate) error: Connie,
    /// One line.
    pub(crate) message: String,
    /// What became of each address that was tried, and a line that says so.
    pub(crate) addresses: Vec<(Connie, String)>,
}

impl CallError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        CallError { error: Connie::InvalidArgument, message: message.into(), addresses: Vec::new() }
    }

    pub(crate) fn other(message: impl Into<String>) -> Self {
        CallError { error: Connie::Other, message: message.into(), addresses: Vec::new() }
    }

    pub(crate) fn out_of_descriptors(error: io::Error) -> Self {
        CallError {
            error: Connie::OutOfDescriptors,
            message: format!("no descriptor left to wait for a cancel: {error}"),
            addresses: Vec::new(),
        }
    }
}

impl From<ConnectError> for CallError {
    fn from(error: ConnectError) -> Self {
        // With each address.
        CallError { error: code(&error), message: format!("{error:?}"), addresses: address_results(&error) }
    }
}

fn address_results(error: &ConnectError) -> Vec<(Connie, String)> {
    let destinations = error.timeline().into_iter().flat_map(|timeline| timeline.destinations());
    let fate = |destination: &connie_std::connie_core::race::Destination| {
        // Of one without an error nothing was heard, or the race has ended before.
        let silent = match code(error) {
            Connie::Canceled => Connie::Canceled,
            _ => Connie::TimedOut,
        };
        let error = destination.error().map_or(silent, |error| of_kind(ErrorKind::from(error.kind())));
        let what = words(error as c_int).to_string_lossy();
        (error, format!("{}: {what}", destination.address()))
    };
    destinations.map(fate).collect()
}

/// Races. `port` is that of the target.
pub(crate) fn connect(
    target: Target<'_>,
    port: u16,
    options: &Options,
) -> Result<(TcpStream, Option<LastVisit>), CallError> {
    if port == 0 {
        return Err(CallError::invalid("nothing listens on port 0: give one from 1 to 65535"));
    }
    let (stream, report) = connie_std::connect(target, options)?.into_parts();
    Ok((stream, options.memory.is_some().then(|| LastVisit::new(report))))
}

pub(crate) fn utf8(text: &CStr) -> Result<&str, CallError> {
    text.to_str()
        .map_err(|_| CallError::invalid(format!("{text:?} is not a host name or address: it is not UTF-8")))
}

/// Addresses without a port, as texts.
pub(crate) fn addresses(texts: &[Option<&CStr>], port: u16) -> Result<Vec<SocketAddr>, CallError> {
    if texts.is_empty() {
        return Err(CallError::invalid("no address was given"));
    }
    let one = |text: &Option<&CStr>| {
        let text = utf8(text.ok_or_else(|| CallError::invalid("an address is NULL"))?)?;
        address(text, port)
    };
    texts.iter().map(one).collect()
}

fn address(text: &str, port: u16) -> Result<SocketAddr, CallError> {
    let literal = match Host::parse(text) {
        Ok(Host::Address(literal)) => literal,
        Ok(_) => {
            let message = format!("{text:?} is a name, not an address: connie_connect resolves names");
            return Err(CallError::invalid(message));
        }
        Err(error) => return Err(CallError::invalid(format!("{text:?} is not an address: {error}"))),
    };
    if let Some(address) = literal.socket_addr(port) {
        return Ok(address);
    }
    // In a zone that has a name, which the system knows. It takes a literal apart without asking anybody.
    let zone = literal.zone.unwrap_or_default();
    let mut found = (format!("{}%{zone}", literal.ip), port).to_socket_addrs().into_iter().flatten();
    found.next().ok_or_else(|| CallError::invalid(unknown_zone(text, zone).to_string()))
}

fn code(error: &ConnectError) -> Connie {
    match error.error_kind() {
        // The route to the address that told most leads over an interface that is down.
        Some(ErrorKind::Unreachable) if error.io_kind() == io::ErrorKind::NetworkDown => Connie::NetworkDown,
        Some(kind) => of_kind(kind),
        None => Connie::Other,
    }
}

fn of_kind(kind: ErrorKind) -> Connie {
    match kind {
        ErrorKind::InvalidHost => Connie::InvalidArgument,
        ErrorKind::NoSuchName | ErrorKind::NoAddress => Connie::NameNotFound,
        ErrorKind::LookupTimedOut | ErrorKind::LookupUnreachable | ErrorKind::LookupFailed => {
            Connie::LookupFailed
        }
        ErrorKind::Refused => Connie::Refused,
        ErrorKind::Unreachable => Connie::Unreachable,
        ErrorKind::TimedOut => Connie::TimedOut,
        ErrorKind::Reset => Connie::Reset,
        ErrorKind::OutOfSockets => Connie::OutOfDescriptors,
        ErrorKind::NetworkDown => Connie::NetworkDown,
        ErrorKind::Canceled => Connie::Canceled,
        ErrorKind::Denied => Connie::Denied,
        _ => Connie::Other,
    }
}

/// A few words for each code.
pub(crate) fn words(error: c_int) -> &'static CStr {
    ALL.iter().find(|(code, _)| *code as c_int == error).map_or(c"unknown error", |(_, words)| words)
}

const ALL: [(Connie, &CStr); 13] = [
    (Connie::Ok, c"connected"),
    (Connie::InvalidArgument, c"invalid argument"),
    (Connie::NameNotFound, c"no such name, or no address for it"),
    (Connie::LookupFailed, c"the name could not be resolved"),
    (Connie::TimedOut, c"timed out"),
    (Connie::OutOfDescriptors, c"no descriptor left"),
    (Connie::Refused, c"connection refused"),
    (Connie::Reset, c"connection reset"),
    (Connie::Unreachable, c"unreachable"),
    (Connie::NetworkDown, c"the network is down"),
    (Connie::Other, c"failed"),
    (Connie::Canceled, c"canceled"),
    (Connie::Denied, c"not permitted on this machine"),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// `InvalidArgument` as C spells it.
    fn in_c(code: Connie) -> String {
        let mut name = "CONNIE".to_owned();
        for letter in format!("{code:?}").chars() {
            if letter.is_ascii_uppercase() {
                name.push('_');
            }
            name.push(letter.to_ascii_uppercase());
        }
        name
    }

    /// As the header says. A group is nobody to connect to: Linux has no way to one.
    #[test]
    #[cfg(target_os = "linux")]
    fn of_several_failures_the_one_that_tells_most_counts() {
        let ((nowhere, refuses), port) = ((address("224.0.0.1", 1), address("127.0.0.1", 1)), 1);
        let mut options = Options::default();
        options.deadline = Some(std::time::Duration::from_secs(5));
        let (nowhere, refuses) = (nowhere.expect("an address"), refuses.expect("an address"));
        let error = |addresses: &[_]| connect(addresses.into(), port, &options).expect_err("nobody").error;
        assert_eq!(error(&[nowhere, refuses]), Connie::Refused);
        assert_eq!(error(&[refuses, nowhere]), Connie::Refused);
        assert_eq!(error(&[nowhere]), Connie::Unreachable);
    }

    /// `%25` is an escape in URLs alone.
    #[test]
    fn a_zone_is_taken_as_it_stands() {
        for text in ["fe80::251%251", "[fe80::251%251]"] {
            assert_eq!(address(text, 80), Ok("[fe80::251%251]:80".parse().unwrap()), "{text}");
        }
        assert!(address("fe80::1%25no-such", 80).is_err());
    }

    #[test]
    fn the_header_has_the_version_of_the_package() {
        let header = [crate::CONNIE_VERSION_MAJOR, crate::CONNIE_VERSION_MINOR, crate::CONNIE_VERSION_PATCH];
        let package = ["MAJOR", "MINOR", "PATCH"].map(|part| match part {
            "MAJOR" => env!("CARGO_PKG_VERSION_MAJOR"),
            "MINOR" => env!("CARGO_PKG_VERSION_MINOR"),
            _ => env!("CARGO_PKG_VERSION_PATCH"),
        });
        assert_eq!(header.map(|number| number.to_string()), package);
    }

    #[test]
    fn the_header_has_each_code_by_its_number() {
        let header = include_str!("../include/connie.h");
        for (code, _) in ALL {
            let entry = format!("  {} = {},\n", in_c(code), code as c_int);
            assert!(header.contains(&entry), "{entry}");
        }
        // With four verdicts, which have numbers of their own.
        assert_eq!(header.matches(" = ").count(), ALL.len() + 4);
    }
}
