//! How a proxy is to behave.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;
use std::{error, fmt};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use connie_std::{IpNetwork, Options};
pub use connie_web::Credentials;

/// How a proxy is to behave.
///
/// ```
/// use connie_proxy::ProxyConfig;
/// use connie_std::{AddressFilter, Memory, Options};
///
/// let options = Options::new().memory(Memory::new()).filter(AddressFilter::public_only());
/// let mut config = ProxyConfig::new(options);
/// config.limits.clients = 100;
/// ```
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct ProxyConfig {
    /// How it connects, for all clients: with one memory, one budget of sockets and one filter of addresses.
    pub options: Options,
    /// The clients that may use it beside those on this machine.
    pub allow: Vec<IpNetwork>,
    /// The users that may use it. If there are any, everyone has to log in, on this machine too.
    pub users: Vec<Credentials>,
    /// Whose races share what the memory learns.
    pub partition: Partition,
    /// How much it does at once, and how long it waits.
    pub limits: ProxyLimits,
    /// Addresses that it does not connect to, besides those where it listens: that of its status, say.
    pub out_of_bounds: Vec<SocketAddr>,
    /// How many of its last races it keeps, to [show](crate::ProxyView::show) them. With 0 it keeps nothing
    /// of what its clients connect to, and has no [counts of families](crate::ProxyView::families).
    /// Default: 0.
    pub races: usize,
    /// Whether the names of hosts are left out of what is kept of its races.
    pub private: bool,
    /// Whether requests of HTTP that are passed on, and their answers, name the proxy in a Via field. RFC
    /// 9110 section 7.6.3 asks for that, and the proxy recognises a request that comes back by it; many
    /// servers compress nothing for such requests. Default: no.
    pub via: bool,
}

/// Whose races share what the memory learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Partition {
    /// Everyone's.
    #[default]
    Shared,
    /// Those of clients that log in by the same name. Where no login is needed any name will do: that of
    /// SOCKS5, or of Basic in HTTP's Proxy-Authorization. Clients without a name share one.
    ByUser,
    /// Those of clients that connect to the same port of the proxy.
    ByPort,
}

/// How much a proxy does at once, and how long it waits.
#[non_exhaustive]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyLimits {
    /// How many clients it serves at once. Others are told that the proxy is busy. Default: 1,000.
    pub clients: usize,
    /// How many of them may come from one address beyond this machine (for IPv6: from one /64 network), or be
    /// one user. In any case no client has more than there are free places at the moment, which is half of
    /// all at most. Default: no other limit.
    pub clients_each: usize,
    /// How many pipes, of two descriptors each, it may have open for large transfers: what goes through one
    /// is copied less. Linux only. Default: 64.
    pub pipes: usize,
    /// How long a client may take to say what it wants. Default: 10 s.
    pub handshake: Duration,
    /// How long a connection may be silent in both directions. It ends after this time, and before twice
    /// that. Default: 2 hours.
    pub idle: Duration,
    /// The same where one side has closed its direction. Default: 5 minutes.
    pub half_closed: Duration,
    /// How long connections may go on after the proxy was told to stop. Default: 30 s.
    pub stop: Duration,
}

impl Default for ProxyLimits {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        ProxyLimits {
            clients: 1_000,
            clients_each: usize::MAX,
            pipes: 64,
            handshake: seconds(10),
            idle: seconds(7_200),
            half_closed: seconds(300),
            stop: seconds(30),
        }
    }
}

/// A proxy that anyone could use, without a login, from anywhere: it listens on this address, and nothing
/// says which clients may use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenProxy(pub SocketAddr);

impl fmt::Display for OpenProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "on {} anyone could use the proxy: allow the networks of its clients, or have them log in",
            self.0
        )
    }
}

impl error::Error for OpenProxy {}

impl ProxyConfig {
    /// The default: for clients on this machine, without a login.
    #[must_use]
    pub fn new(options: Options) -> Self {
        ProxyConfig {
            options,
            allow: Vec::new(),
            users: Vec::new(),
            partition: Partition::default(),
            limits: ProxyLimits::default(),
            out_of_bounds: Vec::new(),
            races: 0,
            private: false,
            via: false,
        }
    }

    /// Checks that it is no open proxy when it listens on this address.
    ///
    /// # Errors
    ///
    /// [`OpenProxy`].
    pub fn check(&self, listens_on: SocketAddr) -> Result<(), OpenProxy> {
        let is_open = self.allow.is_empty() && self.users.is_empty();
        let is_here = listens_on.ip().to_canonical().is_loopback();
        if is_open && !is_here { Err(OpenProxy(listens_on)) } else { Ok(()) }
    }

    /// Whether a client with this address may use it, once it has logged in where it has to.
    #[must_use]
    pub fn allows(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        let is_listed = self.allow.iter().any(|network| network.contains(client));
        client.is_loopback() || is_listed || (self.allow.is_empty() && !self.users.is_empty())
    }

    /// Whether a user may use it. Everyone may if no users are set.
    pub(crate) fn knows(&self, user: &[u8], password: &[u8]) -> bool {
        // All are compared in full: the time must not tell how much of a guess is right.
        let known = self.users.iter().fold(false, |known, it| {
            let is_it = is_equal(it.user.as_bytes(), user) & is_equal(it.password.as_bytes(), password);
            known | is_it
        });
        self.users.is_empty() || known
    }

    /// The user that this Proxy-Authorization belongs to, if any. Where no users are set any name will do.
    pub(crate) fn user_of(&self, authorization: &[u8]) -> Option<Vec<u8>> {
        // RFC 9110 section 11.1: the scheme is compared without regard to case.
        let (scheme, value) = authorization.split_at_checked(6)?;
        let value = value.trim_ascii();
        let is_basic = scheme.eq_ignore_ascii_case(b"Basic ");
        if self.users.is_empty() {
            return name_in(value).filter(|_| is_basic);
        }
        let found = self.users.iter().fold(None, |found, it| {
            let basic = it.basic();
            let wanted = basic.as_bytes().get(6..).unwrap_or_default();
            if is_equal(wanted, value) { Some(&it.user) } else { found }
        });
        found.filter(|_| is_basic).map(|user| user.as_bytes().to_vec())
    }
}

/// The user name in the credentials of Basic: RFC 7617 section 2, up to the first colon.
fn name_in(value: &[u8]) -> Option<Vec<u8>> {
    let mut pair = STANDARD.decode(value).ok()?;
    pair.truncate(pair.iter().position(|byte| *byte == b':')?);
    Some(pair)
}

/// Whether both are equal. Always compares all octets, so that the time does not tell where they differ.
fn is_equal(one: &[u8], other: &[u8]) -> bool {
    let differing = one.iter().zip(other).fold(0, |bits, (a, b)| bits | (a ^ b));
    std::hint::black_box(differing) == 0 && one.len() == other.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(allow: &[&str], users: &[(&str, &str)]) -> ProxyConfig {
        let user =
            |&(user, password): &(&str, &str)| Credentials { user: user.into(), password: password.into() };
        ProxyConfig {
            allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
            users: users.iter().map(user).collect(),
            ..ProxyConfig::new(Options::new())
        }
    }

    #[test]
    fn it_is_open_to_nobody_by_accident() {
        let check = |config: &ProxyConfig, address: &str| config.check(address.parse().unwrap()).is_ok();
        let plain = config(&[], &[]);
        for here in ["127.0.0.1:1080", "127.9.9.9:1", "[::1]:1080", "[::ffff:127.0.0.1]:1080"] {
            assert!(check(&plain, here), "{here}");
        }
        for elsewhere in ["0.0.0.0:1080", "[::]:1080", "192.0.2.1:1080", "[::ffff:192.0.2.1]:1080"] {
            assert!(!check(&plain, elsewhere), "{elsewhere}");
            assert!(check(&config(&["192.0.2.0/24"], &[]), elsewhere));
            assert!(check(&config(&[], &[("me", "x")]), elsewhere));
        }
    }

    #[test]
    fn who_may_use_it() {
        let allows = |config: &ProxyConfig, client: &str| config.allows(client.parse().unwrap());
        let (plain, listed, login) =
            (config(&[], &[]), config(&["192.0.2.0/24"], &[]), config(&[], &[("me", "x")]));
        let both = config(&["192.0.2.0/24"], &[("me", "x")]);
        for config in [&plain, &listed, &login, &both] {
            assert!(allows(config, "127.0.0.1") && allows(config, "::1"));
        }
        assert!(!allows(&plain, "192.0.2.1") && allows(&login, "198.51.100.1"));
        for config in [&listed, &both] {
            assert!(allows(config, "192.0.2.1") && allows(config, "::ffff:192.0.2.1"));
            assert!(!allows(config, "198.51.100.1"));
        }
    }

    #[test]
    fn a_user_is_known_by_name_and_password() {
        let config = config(&[], &[("me", "secret"), ("you", "")]);
        assert!(config.knows(b"me", b"secret") && config.knows(b"you", b""));
        for (user, password) in
            [("me", ""), ("me", "secre"), ("me", "secret2"), ("you", "secret"), ("", ""), ("m", "secret")]
        {
            assert!(!config.knows(user.as_bytes(), password.as_bytes()), "{user} {password}");
        }
        assert_eq!(config.user_of(b"Basic bWU6c2VjcmV0").as_deref(), Some(&b"me"[..]));
        assert_eq!(config.user_of(b"basic  eW91Og==").as_deref(), Some(&b"you"[..]));
        for value in ["", "Basic", "Basic ", "Bearer bWU6c2VjcmV0", "Basic bWU6c2VjcmV", "bWU6c2VjcmV0"] {
            assert_eq!(config.user_of(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn where_there_are_no_users_any_name_will_do() {
        let config = config(&[], &[]);
        assert!(config.knows(b"any", b"one"));
        for (value, name) in [
            ("Basic bWU6c2VjcmV0", Some(&b"me"[..])),
            ("BASIC eW91Og==", Some(b"you")),
            ("Basic YTpiOmM=", Some(b"a")),
            ("Basic Og==", Some(b"")),
            ("Bearer bWU6c2VjcmV0", None),
            ("Basic bWU=", None),
            ("Basic bWU6c2VjcmV", None),
            ("Basic ", None),
        ] {
            assert_eq!(config.user_of(value.as_bytes()).as_deref(), name, "{value}");
        }
    }
}
