//! What can be done about a failure: a few words that stand behind what was seen.

use std::net::SocketAddr;

use connie_core::verdict::ErrorKind;
use connie_core::{AttemptError, AttemptErrorKind, Failure, Timeline, TlsFailure};
use connie_http::HttpError;
use connie_http::parts::Socks5Error;
use connie_std::{FailedQuery, SetupStep};
use connie_web::Proxy;

use crate::exit_code;

/// Where a connection did not come about in the time allowed.
pub const MORE_TIME: &str = "allow it more time with --connect-timeout or --max-time";
/// Where a name has no address that may be raced, whether or not a family was asked for.
pub const NO_ADDRESS: &str = "check the name; with -4 or -6 it needs an address of that family";
/// Where the host is an address of the family that is not asked for.
const OTHER_FAMILY: &str = "-4 or -6 excludes addresses of this family: drop that option";
/// Where there was no socket, for an address or a name server.
const OPEN_FILES: &str = "allow more open files (ulimit -n)";
/// Where a download broke off that can go on.
pub const GO_ON: &str = "try again, with -C - to resume";

/// The way that an exchange took.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExchangeRoute<'a> {
    /// The proxy that was asked for it, without a tunnel.
    pub proxy: Option<&'a Proxy>,
    /// Whether the connection had been kept from an exchange before.
    pub kept: bool,
    /// Whether what has come is in a file, so that the rest can be asked for.
    pub resumes: bool,
}

/// For a SOCKS5 proxy that has not connected.
pub fn socks5(error: Socks5Error) -> &'static str {
    match error {
        Socks5Error::NoAcceptableMethod { .. } | Socks5Error::LoginRefused => {
            "log in to it with -U USER:PASSWORD"
        }
        Socks5Error::InvalidLogin => "check what -U or the proxy's URL says",
        Socks5Error::NotSocks5 => "check that the port belongs to a SOCKS5 proxy",
        Socks5Error::Refused { reply: 2 } => "its rules refuse the host: use another proxy, or none",
        Socks5Error::Refused { reply: 3..=6 } => "check the host and its port; it is the proxy that connects",
        Socks5Error::Refused { reply: 8 } => "let the proxy look the name up: socks5h in place of socks5",
        Socks5Error::InvalidName => "check the name",
        _ => "try again, or use another proxy",
    }
}

/// For an exchange that failed; empty where there is nothing to add.
pub fn http(error: &HttpError, way: ExchangeRoute<'_>) -> &'static str {
    match error {
        HttpError::TimedOut => "allow it more time with --max-time",
        // An exchange that may be repeated has been by now.
        HttpError::EmptyReply | HttpError::Send(_) | HttpError::Receive(_) if way.kept => {
            "the connection was reused, and the server may have acted on the request: \
             send it again if doing it twice does no harm"
        }
        HttpError::EmptyReply if way.proxy.is_some() => {
            "try again; if that does not help, check that the port belongs to an http proxy"
        }
        HttpError::EmptyReply => {
            "try again; if that does not help, check that the port belongs to a web server"
        }
        HttpError::NotHttp if way.proxy.is_some() => "check that the port belongs to an http proxy",
        HttpError::NotHttp => "check that the port belongs to a web server",
        HttpError::UnsupportedVersion => "this program speaks HTTP/1.1: check the port",
        HttpError::IncompleteRead { .. } if way.resumes => GO_ON,
        HttpError::IncompleteRead { .. }
        | HttpError::IncompleteHead
        | HttpError::Send(_)
        | HttpError::Receive(_) => "try again",
        HttpError::MalformedStatusLine
        | HttpError::MalformedHeader
        | HttpError::HeadTooLarge { .. }
        | HttpError::TooManyInterim
        | HttpError::UnaskedSwitch
        | HttpError::InvalidContentLength
        | HttpError::ConflictingContentLength
        | HttpError::InvalidTransferEncoding
        | HttpError::MalformedChunk
        | HttpError::MalformedTrailer
        | HttpError::TrailersTooLarge => "the fault is on the other side: report it to those who run it",
        _ => "",
    }
}

/// For a name that could not be resolved.
pub fn resolution(queries: &[FailedQuery]) -> &'static str {
    match ErrorKind::of_queries(queries.iter().map(|failed| (failed.query, failed.error.kind))) {
        ErrorKind::NoAddress | ErrorKind::NoSuchName => {
            "check the name, or give its addresses with --resolve"
        }
        ErrorKind::OutOfSockets => OPEN_FILES,
        _ => "check the network and its name servers, or give the name's addresses with --resolve",
    }
}

/// For a TLS handshake that failed.
pub fn tls(failure: TlsFailure) -> &'static str {
    match failure {
        TlsFailure::CertificateUntrusted => "trust its authority with --cacert FILE, or accept any with -k",
        TlsFailure::CertificateName => "check the host's name, or accept any certificate with -k",
        TlsFailure::CertificateExpired | TlsFailure::CertificateNotYetValid => {
            "check this machine's date, or accept any certificate with -k"
        }
        TlsFailure::CertificateRevoked | TlsFailure::CertificateInvalid => {
            "the server needs another certificate; -k accepts any"
        }
        TlsFailure::NotTls => "check the port, or give an http URL",
        TlsFailure::Incompatible => "this program speaks TLS 1.2 and 1.3: the server needs an update",
        TlsFailure::Alert(code) => alert(code),
        TlsFailure::ClosedEarly => "check that the port belongs to an https server",
        TlsFailure::Truncated => "try again",
        TlsFailure::Protocol => "try again; if that does not help, ask those who run the server",
        _ => "the fault is on this side, not in the server",
    }
}

/// For an alert of the server, by its number in RFC 8446 section 6.
fn alert(code: u8) -> &'static str {
    match code {
        40 | 70 | 71 => "it may need an older TLS, or other ciphers: this program has TLS 1.2 and 1.3",
        112 => "check the host's name: the server knows no such host",
        // What a server says that asks for a certificate of the client's.
        41..=46 | 48 | 116 => "it may require a client certificate: give one with --cert FILE",
        _ => "try again; if that does not help, ask those who run the server",
    }
}

/// The exit code of a race that failed, and what can be done about it. Where every address has failed, both
/// go by the failure that tells most, as the kind of the error does.
///
/// `literal` says whether the host is an address, of which no option chooses the family.
pub fn race(failure: Failure, timeline: &Timeline<'_>, literal: bool) -> (u8, &'static str) {
    match failure {
        Failure::NoDestinations if literal => (exit_code::RESOLVE, OTHER_FAMILY),
        Failure::NoDestinations => (exit_code::RESOLVE, NO_ADDRESS),
        Failure::DeadlineExceeded => (exit_code::TIMED_OUT, MORE_TIME),
        Failure::AllAttemptsFailed => match timeline.most_telling() {
            Some((_, error)) if literal && error == AttemptErrorKind::NoSourceAddress => (
                exit_code::INTERFACE,
                "give --interface an address of this machine, of the same family as the address to connect to",
            ),
            Some((destination, error)) => attempt(destination, error),
            None => (exit_code::CONNECT, "check host, port and network"),
        },
        Failure::StackGone => (exit_code::CONNECT, "bring the network up"),
        Failure::Canceled => (exit_code::CONNECT, "it was interrupted"),
        _ => (exit_code::CONNECT, "check host, port and network"),
    }
}

/// What to do where a socket could not be set up.
fn setup(step: Option<SetupStep>) -> &'static str {
    match step {
        Some(SetupStep::Interface) => {
            "give --interface the name of an interface of this machine, such as eth0, or an IP address of its own: host names are not resolved here"
        }
        Some(SetupStep::LocalPorts) => "give --local-port another port, or a longer range",
        _ => "check --keepalive-time",
    }
}

/// The same for the failure of one address.
fn attempt(destination: SocketAddr, error: AttemptError) -> (u8, &'static str) {
    match error.kind() {
        AttemptErrorKind::Refused => (exit_code::CONNECT, "check that a server listens on that port"),
        AttemptErrorKind::Tls(failure) => (exit_code::of_tls(failure), tls(failure)),
        AttemptErrorKind::TimedOut => {
            (exit_code::TIMED_OUT, "check that the host is up and that no firewall is in the way")
        }
        AttemptErrorKind::NoSourceAddress => {
            (exit_code::INTERFACE, "check the address that --interface asks for: -4 and -6 choose the family")
        }
        AttemptErrorKind::Setup(step) => (exit_code::INTERFACE, setup(SetupStep::from_number(step))),
        AttemptErrorKind::OutOfSockets => (exit_code::CONNECT, OPEN_FILES),
        _ if lacks_zone(destination) => {
            (exit_code::CONNECT, "add the interface to a link-local address: fe80::1%eth0")
        }
        AttemptErrorKind::Unreachable if forbidden(error) => {
            (exit_code::CONNECT, "it is forbidden: check the firewalls, on this machine and on the route")
        }
        AttemptErrorKind::Unreachable => (exit_code::CONNECT, "check the network and its routes"),
        _ => (exit_code::CONNECT, "check host, port and network"),
    }
}

/// Each interface has such addresses (RFC 4007 section 6), so the operating system does not know where to
/// send.
fn lacks_zone(destination: SocketAddr) -> bool {
    matches!(destination, SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 0)
}

/// Whether a rule said no. EPERM is what Linux makes of a local firewall's, EACCES (`WSAEACCES`) of a policy,
/// of a prohibiting route and, over IPv6, of a router's "administratively prohibited".
fn forbidden(error: AttemptError) -> bool {
    matches!(error.number(), Some(1 | 13 | 10013))
}

#[cfg(test)]
mod tests {
    use connie_core::resolution::{Query, QueryError};

    use super::*;

    #[test]
    fn a_link_local_address_without_a_zone_is_told_what_it_lacks() {
        let advice = |address: &str, kind: AttemptErrorKind, number: i32| {
            attempt(address.parse().unwrap(), AttemptError::new(kind).with_number(number)).1
        };
        assert!(advice("[fe80::1]:80", AttemptErrorKind::Other, 22).ends_with("fe80::1%eth0"));
        assert!(advice("[fe80::1]:80", AttemptErrorKind::Unreachable, 101).ends_with("fe80::1%eth0"));
        for address in ["[fe80::1%3]:80", "[2001:db8::1]:80", "192.0.2.1:80"] {
            assert_eq!(advice(address, AttemptErrorKind::Other, 22), "check host, port and network");
        }
    }

    #[test]
    fn a_look_up_without_a_socket_is_no_matter_of_name_servers() {
        let failed = |error: QueryError| FailedQuery {
            host: "name.test".to_owned(),
            query: Query::A,
            error: error.into(),
        };
        let advice = |error| resolution(&[failed(error)]);
        assert_eq!(advice(QueryError::OutOfSockets), attempt_without_a_socket());
        assert!(advice(QueryError::TimedOut).contains("name servers"));
        assert!(advice(QueryError::NoSuchName).contains("check the name"));
    }

    fn attempt_without_a_socket() -> &'static str {
        attempt("192.0.2.1:80".parse().unwrap(), AttemptErrorKind::OutOfSockets.into()).1
    }

    #[test]
    fn what_the_machine_forbids_is_no_matter_of_routes() {
        let advice = |number| {
            let error = AttemptError::new(AttemptErrorKind::Unreachable).with_number(number);
            attempt("192.0.2.1:80".parse().unwrap(), error)
        };
        for number in [1, 13, 10013] {
            let (code, words) = advice(number);
            assert_eq!(code, exit_code::CONNECT);
            assert!(words.contains("firewall"), "{number}: {words}");
        }
        for number in [99, 101, 113] {
            assert_eq!(advice(number).1, "check the network and its routes");
        }
    }

    #[test]
    fn only_a_date_is_a_matter_of_dates() {
        use TlsFailure::{Alert, CertificateExpired, CertificateInvalid, CertificateNotYetValid};
        use TlsFailure::{CertificateRevoked, Incompatible, Local, Protocol};
        for failure in [CertificateExpired, CertificateNotYetValid] {
            assert!(tls(failure).starts_with("check this machine's date"), "{failure}");
        }
        // SHA-1, a version that is not read, a curve that is not known.
        for failure in [CertificateInvalid, CertificateRevoked] {
            assert!(tls(failure).starts_with("the server needs another certificate"), "{failure}");
        }
        // Who sends an alert speaks TLS.
        for failure in
            [Incompatible, Protocol, Local, Alert(40), Alert(80), Alert(112), Alert(116), Alert(255)]
        {
            assert!(
                !tls(failure).contains("the port") && !tls(failure).contains("this machine"),
                "{failure}"
            );
        }
    }

    #[test]
    fn the_port_is_doubted_only_where_it_may_be_another() {
        let none = ExchangeRoute::default();
        for error in [HttpError::EmptyReply, HttpError::NotHttp] {
            assert!(http(&error, none).contains("a web server"), "{error}");
        }
        for error in [
            HttpError::MalformedHeader,
            HttpError::MalformedStatusLine,
            HttpError::HeadTooLarge { capacity: 1 },
            HttpError::InvalidContentLength,
            HttpError::ConflictingContentLength,
            HttpError::InvalidTransferEncoding,
            HttpError::TooManyInterim,
            HttpError::MalformedChunk,
        ] {
            assert!(http(&error, none).starts_with("the fault is on the other side"), "{error}");
        }
        let kept = http(&HttpError::EmptyReply, ExchangeRoute { kept: true, ..none });
        assert!(kept.contains("doing it twice") && !kept.contains("the port"), "{kept}");
        let partial = HttpError::IncompleteRead { got: 1, expected: Some(2) };
        assert_eq!(http(&partial, none), "try again");
        assert_eq!(http(&partial, ExchangeRoute { resumes: true, ..none }), GO_ON);
    }
}
