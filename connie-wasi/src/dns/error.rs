//! Why name servers have brought no address.

use alloc::vec::Vec;
use core::fmt;

use connie_core::resolution::{Query, QueryError};

/// Why there is no socket to ask a server with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SocketDenial {
    /// The runtime allows no UDP.
    UdpDenied,
    /// It allows no TCP, over which the answer would have to be fetched.
    TcpDenied,
}

impl fmt::Display for SocketDenial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SocketDenial::UdpDenied => {
                "the runtime does not allow UDP: give the component the network (-S inherit-network), or ask over TCP"
            }
            SocketDenial::TcpDenied => {
                "the answer needs TCP, which the runtime does not allow: give the component the network \
                 (-S inherit-network)"
            }
        })
    }
}

/// Why name servers have brought no address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsError {
    pub(crate) failures: Vec<(Query, QueryError)>,
    pub(crate) denial: Option<SocketDenial>,
}

impl DnsError {
    /// The queries that failed, and why.
    #[must_use]
    pub fn failures(&self) -> &[(Query, QueryError)] {
        &self.failures
    }

    /// What kept the servers from being asked.
    #[must_use]
    pub fn denial(&self) -> Option<SocketDenial> {
        self.denial
    }
}

impl fmt::Display for DnsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(denial) = self.denial {
            return denial.fmt(f);
        }
        match self.failures.as_slice() {
            [] => f.write_str("no address"),
            [(_, error)] => error.fmt(f),
            [(_, first), rest @ ..] if rest.iter().all(|(_, error)| error == first) => first.fmt(f),
            all => {
                for (index, (query, error)) in all.iter().enumerate() {
                    let between = if index > 0 { "; " } else { "" };
                    write!(f, "{between}{}: {error}", query.record_type())?;
                }
                Ok(())
            }
        }
    }
}

impl core::error::Error for DnsError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn what_both_queries_say_is_said_once() {
        let (aaaa, a) = (Query::Aaaa, Query::A);
        let said = |failures: &[_], denial| DnsError { failures: failures.to_vec(), denial }.to_string();
        let none = (a, QueryError::NoSuchName);
        assert_eq!(said(&[none], None), "no such name");
        assert_eq!(said(&[(aaaa, QueryError::NoSuchName), none], None), "no such name");
        assert_eq!(
            said(&[(aaaa, QueryError::TimedOut), none], None),
            "AAAA: no answer in time; A: no such name"
        );
        assert!(said(&[none], Some(SocketDenial::UdpDenied)).contains("does not allow UDP"));
        assert!(said(&[none], Some(SocketDenial::TcpDenied)).contains("needs TCP"));
        assert_eq!(said(&[], None), "no address");
    }
}
