//! Why a client got no connection, as each protocol says it.

use std::io;

use connie_std::connie_core::verdict::ErrorKind;
use connie_std::{ConnectError, ConnectErrorKind};

/// Why a client got no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Refusal {
    /// The host is neither a name nor an address.
    InvalidHost,
    /// The name has no address, or could not be looked up.
    NotFound,
    /// No name server answered in time.
    LookupTimedOut,
    /// The host refused the connection, or reset it.
    Refused,
    /// The host cannot be reached.
    HostUnreachable,
    /// Its network cannot be reached.
    NetworkUnreachable,
    /// Nothing answered in time.
    TimedOut,
    /// The filter denies all addresses of the host.
    Denied,
    /// The host is this proxy.
    Loop,
    /// The proxy has as many clients or connections as it may have.
    Busy,
    /// Anything else.
    Failed,
}

impl Refusal {
    /// All of them.
    pub const ALL: [Refusal; 11] = [
        Refusal::InvalidHost,
        Refusal::NotFound,
        Refusal::LookupTimedOut,
        Refusal::Refused,
        Refusal::HostUnreachable,
        Refusal::NetworkUnreachable,
        Refusal::TimedOut,
        Refusal::Denied,
        Refusal::Loop,
        Refusal::Busy,
        Refusal::Failed,
    ];

    /// What a failed race comes to.
    #[must_use]
    pub fn of(error: &ConnectError) -> Self {
        let Some(kind) = error.error_kind() else { return Refusal::Failed };
        match kind {
            ErrorKind::InvalidHost => Refusal::InvalidHost,
            ErrorKind::LookupTimedOut => Refusal::LookupTimedOut,
            ErrorKind::NoSuchName
            | ErrorKind::NoAddress
            | ErrorKind::LookupUnreachable
            | ErrorKind::LookupFailed => Refusal::NotFound,
            ErrorKind::Refused | ErrorKind::Reset => Refusal::Refused,
            ErrorKind::TimedOut => Refusal::TimedOut,
            ErrorKind::Unreachable => match error.io_kind() {
                io::ErrorKind::NetworkUnreachable => Refusal::NetworkUnreachable,
                _ => Refusal::HostUnreachable,
            },
            ErrorKind::NetworkDown => Refusal::NetworkUnreachable,
            ErrorKind::OutOfSockets => Refusal::Busy,
            ErrorKind::Denied => Refusal::Denied,
            _ if matches!(error.kind(), ConnectErrorKind::BudgetHeld { .. }) => Refusal::Busy,
            _ => Refusal::Failed,
        }
    }

    /// The reply of RFC 1928 section 6.
    #[must_use]
    pub fn socks5_reply(self) -> u8 {
        match self {
            Refusal::Busy | Refusal::Failed => 1,
            Refusal::Denied | Refusal::Loop => 2,
            Refusal::NetworkUnreachable => 3,
            Refusal::InvalidHost | Refusal::NotFound | Refusal::HostUnreachable => 4,
            Refusal::Refused => 5,
            // "TTL expired", which is commonly used for a timeout.
            Refusal::TimedOut | Refusal::LookupTimedOut => 6,
        }
    }

    /// The status of HTTP.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Refusal::InvalidHost => 400,
            Refusal::Denied => 403,
            Refusal::TimedOut | Refusal::LookupTimedOut => 504,
            Refusal::Busy => 503,
            _ => 502,
        }
    }

    /// One word, as RFC 9209 section 2.3 has it for the field Proxy-Status.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Refusal::InvalidHost => "http_request_error",
            Refusal::NotFound => "dns_error",
            Refusal::LookupTimedOut => "dns_timeout",
            Refusal::Refused => "connection_refused",
            Refusal::HostUnreachable => "destination_unavailable",
            Refusal::NetworkUnreachable => "destination_ip_unroutable",
            Refusal::TimedOut => "connection_timeout",
            Refusal::Denied => "destination_ip_prohibited",
            Refusal::Loop => "proxy_loop_detected",
            Refusal::Busy => "connection_limit_reached",
            Refusal::Failed => "proxy_internal_error",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_std::{AddressFilter, Options, connect};

    #[test]
    fn a_failed_race_is_told_by_its_kind() {
        let error = |target, options: &Options| Refusal::of(&connect(target, options).unwrap_err());
        let options = Options::new();
        assert_eq!(error("127.0.0.1:1", &options), Refusal::Refused);
        assert_eq!(error("a b:1", &options), Refusal::InvalidHost);
        let filtered = Options::new().filter(AddressFilter::public_only());
        assert_eq!(error("127.0.0.1:1", &filtered), Refusal::Denied);
    }

    #[test]
    fn each_kind_has_its_words() {
        let mut names: Vec<_> = Refusal::ALL.iter().map(|refusal| refusal.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), Refusal::ALL.len());
        for refusal in Refusal::ALL {
            assert!((1..=6).contains(&refusal.socks5_reply()) && (400..=504).contains(&refusal.status()));
        }
    }
}
