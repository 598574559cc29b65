//! One call of `getaddrinfo`.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Family;
use connie_core::resolution::QueryError;

use super::ResolverError;
use crate::clock::{OsClock, pause};
use crate::os_error::reason;

/// The addresses, with port 0.
pub(super) type CallOutcome = Result<Vec<SocketAddr>, ResolverError>;

/// How long a call is made again and again while the process has no descriptor for what `getaddrinfo` opens.
const SHORTAGE: Duration = Duration::from_secs(5);
/// How long after such a call the next one comes: this, twice this, and so on.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);

/// Calls, and waits for the answer. Where there is no descriptor for what that opens, it calls again, for
/// some time.
pub(super) fn look_up(host: &str, family: Family) -> CallOutcome {
    let (clock, mut wait) = (OsClock::start(), FIRST_PAUSE);
    loop {
        let outcome = call(host, family);
        // What `getaddrinfo` says then is anything: that it failed for now, or that there is no such name.
        let Some(error) = outcome.as_ref().err().and_then(|_| shortage()) else { return outcome };
        if clock.now() >= connie_core::Instant::ZERO + SHORTAGE {
            let detail = format!("no descriptor left for the system's resolver: {}", reason(&error));
            return Err(ResolverError { kind: QueryError::OutOfSockets, detail: Some(detail) });
        }
        pause(wait);
        wait = wait.saturating_mul(2).min(LONGEST_PAUSE);
    }
}

/// Why nothing can be opened now, where that is so.
#[cfg(unix)]
fn shortage() -> Option<io::Error> {
    use rustix::io::Errno;
    let error = std::fs::File::open("/dev/null").err()?;
    matches!(Errno::from_io_error(&error), Some(Errno::MFILE | Errno::NFILE)).then_some(error)
}

#[cfg(not(unix))]
fn shortage() -> Option<io::Error> {
    None
}

#[cfg(feature = "getaddrinfo")]
fn call(host: &str, family: Family) -> CallOutcome {
    use dns_lookup::{AddrFamily, AddrInfoHints, SockType, getaddrinfo};
    let address = match family {
        Family::V4 => AddrFamily::Inet,
        Family::V6 => AddrFamily::Inet6,
    };
    let hints = AddrInfoHints {
        address: address.into(),
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    match getaddrinfo(Some(host), None, Some(hints)) {
        Ok(infos) => Ok(infos.filter_map(|info| Some(info.ok()?.sockaddr)).collect()),
        Err(error) => failed(error),
    }
}

/// The system's words for what went wrong, as far as they differ between systems.
#[cfg(feature = "getaddrinfo")]
fn failed(error: dns_lookup::LookupError) -> CallOutcome {
    use dns_lookup::LookupErrorKind;
    // EAI_ADDRFAMILY, "address family for hostname not supported": the name has addresses, and none of this
    // family.
    const NOT_THIS_FAMILY: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { -9 } else { 1 };
    let kind = match error.kind() {
        LookupErrorKind::NoData => return Ok(Vec::new()),
        LookupErrorKind::IO if cfg!(unix) && error.error_num() == NOT_THIS_FAMILY => return Ok(Vec::new()),
        LookupErrorKind::NoName => return Err(QueryError::NoSuchName.into()),
        LookupErrorKind::Again => return Err(QueryError::Temporary.into()),
        _ => QueryError::Failed,
    };
    Err(ResolverError { kind, detail: Some(std::io::Error::from(error).to_string()) })
}

/// The call that std offers is for both families. Two of them are made, since each thread knows of its own
/// alone.
#[cfg(not(feature = "getaddrinfo"))]
fn call(host: &str, family: Family) -> CallOutcome {
    use std::net::ToSocketAddrs;
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.filter(|address| Family::of(address) == family).collect()),
        Err(error) => Err(ResolverError { kind: QueryError::Failed, detail: Some(error.to_string()) }),
    }
}
