//! Connections through a SOCKS5 proxy.

use std::fmt;
use std::net::IpAddr;

use connie_core::resolution::Host;
use connie_core::stack::nb;
use connie_core::{Failure, Instant, Interest, PollEntry, PollResult, Poller};
use connie_http::parts::{Socks5Error, Socks5Handshake, Socks5Host, Socks5Output};

use super::transport::Sealed;
use crate::OsPoller;

/// A SOCKS5 proxy (RFC 1928), for [`Client::set_socks5_proxy`](super::Client::set_socks5_proxy).
#[derive(Clone)]
#[must_use]
pub struct Socks5Proxy {
    pub(super) host: String,
    pub(super) port: u16,
    login: Option<(String, String)>,
    pub(super) resolves_here: bool,
}

impl Socks5Proxy {
    /// The proxy on this host and port. It looks names up itself, and is offered no login.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Socks5Proxy { host: host.into(), port, login: None, resolves_here: false }
    }

    /// Offers the proxy this user's name and password (RFC 1929), which are sent in the clear where it asks
    /// for them.
    pub fn login(self, user: impl Into<String>, password: impl Into<String>) -> Self {
        Socks5Proxy { login: Some((user.into(), password.into())), ..self }
    }

    /// Whether names are looked up here, and the proxy is given the first address. Default: no.
    pub fn resolve_here(self, here: bool) -> Self {
        Socks5Proxy { resolves_here: here, ..self }
    }

    /// The handshake that leads to `host`, or to `address` where that was looked up here.
    fn handshake<'a>(
        &'a self,
        host: &'a str,
        port: u16,
        address: Option<IpAddr>,
    ) -> Result<Socks5Handshake<'a>, Socks5Error> {
        let known = address.or(match Host::parse(host) {
            Ok(Host::Address(literal)) => Some(literal.ip),
            _ => None,
        });
        let host = known.map_or(Socks5Host::Name(host), Socks5Host::Address);
        let login = self.login.as_ref().map(|(user, password)| (user.as_str(), password.as_str()));
        Socks5Handshake::new(host, port, login)
    }
}

impl fmt::Debug for Socks5Proxy {
    /// Without the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Socks5Proxy { host, port, login, resolves_here } = self;
        let user = login.as_ref().map(|(user, _)| user);
        let mut parts = f.debug_struct("Socks5Proxy");
        parts.field("host", host).field("port", port).field("user", &user);
        parts.field("resolves_here", resolves_here).finish_non_exhaustive()
    }
}

/// Why a connection to a SOCKS5 proxy leads no further.
pub(super) enum Socks5Failure {
    /// What the proxy said, or did.
    Proxy(Socks5Error),
    /// The time is up, or the program canceled.
    Ended(Failure),
}

impl From<Socks5Error> for Socks5Failure {
    fn from(error: Socks5Error) -> Self {
        Socks5Failure::Proxy(error)
    }
}

/// Has the proxy at the other end of `socket` connect to `host`.
pub(super) fn pass<T: Sealed>(
    (stack, poller, socket): (&mut T, &mut OsPoller, &mut T::TcpSocket),
    proxy: &Socks5Proxy,
    (host, port, address): (&str, u16, Option<IpAddr>),
    until: Option<Instant>,
) -> Result<(), Socks5Failure>
where
    OsPoller: Poller<T>,
{
    let mut handshake = proxy.handshake(host, port, address)?;
    loop {
        let (moved, interest) = match handshake.poll_output() {
            Socks5Output::Connected => return Ok(()),
            Socks5Output::Send(octets) => (stack.send(socket, octets), Interest::Send),
            Socks5Output::Receive(room) => (stack.receive(socket, room), Interest::Receive),
        };
        match moved {
            Ok(count) if interest == Interest::Send => handshake.handle_sent(count),
            Ok(count) => handshake.handle_received(count)?,
            Err(nb::Error::Other(error)) => return Err(Socks5Error::Lost(stack.attempt_error(&error)).into()),
            Err(nb::Error::WouldBlock) => {
                if until.is_some_and(|until| poller.now() >= until) {
                    return Err(Socks5Failure::Ended(Failure::DeadlineExceeded));
                }
                let mut watched = [PollEntry::new(&mut *socket, interest)];
                if Poller::<T>::wait(poller, stack, &mut watched, until) == PollResult::Canceled {
                    return Err(Socks5Failure::Ended(Failure::Canceled));
                }
            }
        }
    }
}
