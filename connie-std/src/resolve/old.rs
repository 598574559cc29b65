//! From a host's name to its addresses, by the system's resolver.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use connie_core::{Instant, Waiter};

use crate::error::ConnectErrorKind;
use crate::socket::OsStack;
use crate::wait::OsWaiter;

/// What came of resolution.
pub(crate) enum Resolved {
    /// The addresses, best first.
    Addresses(Vec<SocketAddr>),
    /// The caller's time ran out, or it canceled.
    GivenUp,
}

/// How often a wait for the resolver looks whether the program has canceled.
const LOOK: Duration = Duration::from_millis(20);

/// The addresses of `host`. A literal is not looked up.
///
/// The system's resolver cannot be interrupted. Where the caller must not wait for it longer than `until`, or can cancel, the
/// call is made on a thread of its own, and what it brings too late is dropped with the thread.
pub(crate) fn resolve(
    host: &str,
    port: u16,
    until: Option<Instant>,
    waiter: &mut OsWaiter,
    can_cancel: bool,
) -> Result<Resolved, ConnectErrorKind> {
    // The final dot of an absolute name does not count.
    let length = host.strip_suffix('.').unwrap_or(host).len();
    if length == 0 || length > 253 || host.contains('\0') {
        return Err(ConnectErrorKind::InvalidHost);
    }
    if let Some(literal) = literal(host, port) {
        return Ok(Resolved::Addresses(vec![literal]));
    }
    if until.is_none() && !can_cancel {
        let addresses = look_up(host, port).map_err(ConnectErrorKind::Resolve)?;
        return Ok(Resolved::Addresses(addresses));
    }
    let (sender, receiver) = channel();
    let name = host.to_owned();
    std::thread::Builder::new()
        .name("connie-resolver".to_owned())
        .spawn(move || {
            // Nobody listens any more once the caller has given up.
            let _ = sender.send(look_up(&name, port));
        })
        .map_err(ConnectErrorKind::Resolve)?;
    loop {
        let now = Waiter::<OsStack>::now(waiter);
        let left = until.map_or(LOOK, |until| until.since(now));
        let left = if can_cancel { left.min(LOOK) } else { left };
        if waiter.is_canceled() || left.is_zero() {
            return Ok(Resolved::GivenUp);
        }
        match receiver.recv_timeout(left) {
            Ok(answer) => return answer.map(Resolved::Addresses).map_err(ConnectErrorKind::Resolve),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => {
                return Err(ConnectErrorKind::Resolve(io::Error::other("the resolver's thread died")));
            }
        }
    }
}

fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    (host, port).to_socket_addrs().map(Iterator::collect)
}

/// An address written out, in brackets or bare, with a numeric zone or none.
fn literal(host: &str, port: u16) -> Option<SocketAddr> {
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    if let Ok(ip) = bare.parse::<IpAddr>() {
        return Some(SocketAddr::new(ip, port));
    }
    let (ip, zone) = bare.split_once('%')?;
    Some(SocketAddrV6::new(ip.parse().ok()?, port, 0, zone.parse().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_are_not_names() {
        let is = |host: &str, expected: &str| {
            assert_eq!(literal(host, 80).unwrap(), expected.parse::<SocketAddr>().unwrap(), "{host}");
        };
        is("192.0.2.1", "192.0.2.1:80");
        is("2001:db8::1", "[2001:db8::1]:80");
        is("[2001:db8::1]", "[2001:db8::1]:80");
        is("fe80::1%3", "[fe80::1%3]:80");
        for name in ["example.org", "localhost", "1.2.3", "::1::", "[::1", "fe80::1%eth0"] {
            assert_eq!(literal(name, 80), None, "{name}");
        }
    }
}
