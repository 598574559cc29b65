//! Which proxy is in the way, as curl reads it from options and environment.

use std::fmt;
use std::net::IpAddr;

use crate::credentials::Credentials;
use crate::url::{InUrl, Scheme, Url, UrlError};

/// How a proxy is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyKind {
    /// HTTP.
    Http,
    /// HTTP within TLS.
    Https,
    /// SOCKS5 (RFC 1928), with names looked up before the proxy is asked: `socks5`.
    Socks5,
    /// SOCKS5 with names that the proxy looks up: `socks5h`.
    Socks5Hostname,
}

impl ProxyKind {
    /// The name that a URL begins with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ProxyKind::Http => "http",
            ProxyKind::Https => "https",
            ProxyKind::Socks5 => "socks5",
            ProxyKind::Socks5Hostname => "socks5h",
        }
    }

    /// Whether it is SOCKS5 of either kind.
    #[must_use]
    pub const fn is_socks5(self) -> bool {
        matches!(self, ProxyKind::Socks5 | ProxyKind::Socks5Hostname)
    }

    fn parse(name: &str) -> Option<Self> {
        let kinds = [ProxyKind::Http, ProxyKind::Https, ProxyKind::Socks5, ProxyKind::Socks5Hostname];
        kinds.into_iter().find(|kind| kind.name().eq_ignore_ascii_case(name))
    }
}

/// A proxy: `http://host:port`, `https://host:port`, `socks5://host:port` or `socks5h://host:port`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Proxy {
    /// How the proxy itself is spoken to.
    pub kind: ProxyKind,
    /// What logs in to it.
    pub credentials: Option<Credentials>,
    /// Its name or address, IPv6 without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
}

/// What was given is not a proxy that can be used. Prints as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProxyError {
    /// It is of another kind, such as SOCKS4.
    UnsupportedScheme(String),
    /// It is not a URL.
    Malformed(String),
}

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProxyError::UnsupportedScheme(scheme) => {
                write!(f, "proxies of type {scheme:?} are not supported: use http, https, socks5 or socks5h")
            }
            ProxyError::Malformed(reason) => write!(f, "not a valid proxy: {reason}"),
        }
    }
}

impl std::error::Error for ProxyError {}

impl fmt::Display for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}:{}", self.kind.name(), InUrl(&self.host), self.port)
    }
}

impl Proxy {
    /// The port of a proxy that names none and is not an `https` one, as for curl.
    pub const DEFAULT_PORT: u16 = 1080;

    /// Reads `[KIND://][user[:password]@]host[:port]`, in which KIND is the [name](ProxyKind::name) of one
    /// and `http` where it is missing.
    ///
    /// # Errors
    ///
    /// [`ProxyError`].
    pub fn parse(text: &str) -> Result<Self, ProxyError> {
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let Some(kind) = ProxyKind::parse(scheme) else {
            return Err(ProxyError::UnsupportedScheme(scheme.to_ascii_lowercase()));
        };
        let default_port = match kind {
            ProxyKind::Https => Scheme::Https.default_port(),
            _ => Self::DEFAULT_PORT,
        };
        let url = Url::parse(&format!("http://{rest}")).map_err(|error| match error {
            UrlError::Malformed(reason) => ProxyError::Malformed(reason),
            UrlError::UnsupportedScheme(scheme) => ProxyError::UnsupportedScheme(scheme),
        })?;
        let port = if has_port(rest) { url.port } else { default_port };
        Ok(Proxy { kind, credentials: url.credentials, host: url.host, port })
    }
}

/// Whether the authority that `rest` begins with names a port.
fn has_port(rest: &str) -> bool {
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    let after = host.rsplit_once(']').map_or(host, |(_, after)| after);
    after.rsplit_once(':').is_some_and(|(_, port)| !port.is_empty())
}

/// The hosts that no proxy is used for: what `no_proxy` and `--noproxy` hold.
///
/// Names are separated by commas or spaces. `*` alone stands for every host, `name.test` and `.name.test` for
/// that name and all below it, an address for itself, and an address with a prefix length (`192.0.2.0/24`)
/// for its network. Case and a dot at the end do not count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NoProxy(String);

impl NoProxy {
    /// The hosts in `list`.
    #[must_use]
    pub fn new(list: impl Into<String>) -> Self {
        NoProxy(list.into())
    }

    /// Whether `host`, a name or an address without brackets, is one of them.
    #[must_use]
    pub fn covers(&self, host: &str) -> bool {
        if self.0.trim() == "*" {
            return true;
        }
        let host = host.split('%').next().unwrap_or_default();
        let address = host.parse::<IpAddr>().ok();
        let mut entries = self.0.split([',', ' ', '\t']).filter(|entry| !entry.is_empty());
        entries.any(|entry| match address {
            Some(address) => covers_address(entry, address),
            None => covers_name(entry, host),
        })
    }
}

fn covers_name(entry: &str, host: &str) -> bool {
    let entry = entry.strip_prefix('.').unwrap_or(entry);
    let entry = entry.strip_suffix('.').unwrap_or(entry).as_bytes();
    let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
    let Some(start) = host.len().checked_sub(entry.len()).filter(|_| !entry.is_empty()) else {
        return false;
    };
    let (above, end) = host.split_at(start);
    end.eq_ignore_ascii_case(entry) && (above.is_empty() || above.ends_with(b"."))
}

fn covers_address(entry: &str, address: IpAddr) -> bool {
    let (network, bits) = match entry.split_once('/') {
        Some((network, bits)) => (network, Some(bits)),
        None => (entry, None),
    };
    let bare = network.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(network);
    let Ok(network) = bare.parse::<IpAddr>() else { return false };
    // Both as a number whose first bit is the first of the address.
    let (network, address, width) = match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (u128::from(network.to_bits()) << 96, u128::from(address.to_bits()) << 96, 32)
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => (network.to_bits(), address.to_bits(), 128),
        _ => return false,
    };
    let bits = match bits.map(str::parse::<u32>) {
        None => width,
        Some(Ok(bits)) if bits <= width => bits,
        Some(_) => return false,
    };
    (network ^ address).leading_zeros() >= bits
}

/// The proxies of a program: those of its options, and those of the environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    http: Option<String>,
    https: Option<String>,
    all: Option<String>,
    no_proxy: NoProxy,
}

impl Proxies {
    /// No proxy at all.
    #[must_use]
    pub fn none() -> Self {
        Proxies::default()
    }

    /// One proxy for every URL, as `--proxy` gives it. The empty text is no proxy.
    #[must_use]
    pub fn all(proxy: &str) -> Self {
        Proxies { all: Some(proxy.to_owned()).filter(|proxy| !proxy.is_empty()), ..Proxies::default() }
    }

    /// Those of the environment: see [`from_variables`](Self::from_variables).
    #[must_use]
    pub fn from_env() -> Self {
        Self::from_variables(|name| std::env::var(name).ok())
    }

    /// Those that environment variables name, which `variable` looks up.
    ///
    /// `http_proxy` is for http, `https_proxy` for https, `all_proxy` for either where that has none, and
    /// `no_proxy` lists the exceptions. The names in upper case count where those in lower case are unset or
    /// empty, but for `HTTP_PROXY`: in a CGI program that is the client's `Proxy` header.
    ///
    /// ```
    /// use connie_web::{Proxies, Url};
    ///
    /// let set = |name: &str| (name == "https_proxy").then(|| "proxy.test:3128".to_owned());
    /// let proxies = Proxies::from_variables(set);
    /// let proxy = proxies.select(&Url::parse("https://name.test/").unwrap())?.unwrap();
    /// assert_eq!((proxy.host.as_str(), proxy.port), ("proxy.test", 3128));
    /// assert_eq!(proxies.select(&Url::parse("http://name.test/").unwrap())?, None);
    /// # Ok::<(), connie_web::ProxyError>(())
    /// ```
    #[must_use]
    pub fn from_variables(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        let either = |name: &str| set(name).or_else(|| set(&name.to_ascii_uppercase()));
        Proxies {
            http: set("http_proxy"),
            https: either("https_proxy"),
            all: either("all_proxy"),
            no_proxy: NoProxy::new(either("no_proxy").unwrap_or_default()),
        }
    }

    /// The same proxies with other exceptions.
    #[must_use]
    pub fn except(self, no_proxy: NoProxy) -> Self {
        Proxies { no_proxy, ..self }
    }

    /// The exceptions.
    #[must_use]
    pub fn exceptions(&self) -> &NoProxy {
        &self.no_proxy
    }

    /// The proxy for `url`; `None` where it is to be asked directly.
    ///
    /// # Errors
    ///
    /// [`ProxyError`] where the proxy that is named cannot be one.
    pub fn select(&self, url: &Url) -> Result<Option<Proxy>, ProxyError> {
        let own = match url.scheme {
            Scheme::Http => &self.http,
            Scheme::Https => &self.https,
        };
        match own.as_ref().or(self.all.as_ref()) {
            Some(proxy) if !self.no_proxy.covers(&url.host) => Proxy::parse(proxy).map(Some),
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is(text: &str, kind: ProxyKind, host: &str, port: u16) {
        let proxy = Proxy::parse(text).unwrap();
        assert_eq!((proxy.kind, proxy.host.as_str(), proxy.port), (kind, host, port), "{text}");
    }

    #[test]
    fn a_proxy_is_a_url_of_which_much_may_be_left_out() {
        is("http://p.test:3128", ProxyKind::Http, "p.test", 3128);
        is("http://p.test:3128/", ProxyKind::Http, "p.test", 3128);
        is("p.test:3128", ProxyKind::Http, "p.test", 3128);
        is("p.test", ProxyKind::Http, "p.test", 1080);
        is("http://p.test:80", ProxyKind::Http, "p.test", 80);
        is("HTTPS://p.test", ProxyKind::Https, "p.test", 443);
        is("socks5://p.test", ProxyKind::Socks5, "p.test", 1080);
        is("SOCKS5H://u@[::1]:9050/", ProxyKind::Socks5Hostname, "::1", 9050);
        is("[::1]:8080", ProxyKind::Http, "::1", 8080);
        is("[::1]", ProxyKind::Http, "::1", 1080);
        is("u:p@p.test", ProxyKind::Http, "p.test", 1080);
        let proxy = Proxy::parse("http://u:p%40@p.test:1/").unwrap();
        assert_eq!(proxy.credentials.as_ref().unwrap().password, "p@");
        assert_eq!(proxy.to_string(), "http://p.test:1");
    }

    #[test]
    fn what_is_printed_can_be_given_back() {
        for (text, printed) in [
            ("p.test", "http://p.test:1080"),
            ("https://p.test", "https://p.test:443"),
            ("https://p.test:80", "https://p.test:80"),
            ("socks5h://p.test", "socks5h://p.test:1080"),
            ("[::1]:8080", "http://[::1]:8080"),
            ("[fe80::1%25251]:8080", "http://[fe80::1%25251]:8080"),
            ("[fe80::1%eth0]:8080", "http://[fe80::1%25eth0]:8080"),
        ] {
            let proxy = Proxy::parse(text).unwrap();
            assert_eq!(proxy.to_string(), printed, "{text}");
            assert_eq!(Proxy::parse(printed), Ok(proxy), "{printed}");
        }
    }

    #[test]
    fn what_is_no_proxy() {
        for scheme in ["socks4", "socks4a", "socks", "ftp"] {
            let error = Proxy::parse(&format!("{scheme}://p.test")).unwrap_err();
            assert_eq!(error, ProxyError::UnsupportedScheme(scheme.to_owned()));
        }
        for text in ["http://", "p.test:0", "p.test:x", "p test", "::1"] {
            assert!(matches!(Proxy::parse(text), Err(ProxyError::Malformed(_))), "{text}");
        }
    }

    #[track_caller]
    fn covers(list: &str, hosts: &[&str], others: &[&str]) {
        let no_proxy = NoProxy::new(list);
        for host in hosts {
            assert!(no_proxy.covers(host), "{list:?} {host}");
        }
        for host in others {
            assert!(!no_proxy.covers(host), "{list:?} {host}");
        }
    }

    #[test]
    fn names_cover_those_below_them() {
        covers(
            "name.test",
            &["name.test", "NAME.test", "a.name.test", "name.test."],
            &["aname.test", "test"],
        );
        covers(".name.test", &["name.test", "a.name.test"], &["aname.test"]);
        covers("a.test,b.test c.test", &["a.test", "b.test", "c.test"], &["d.test", ""]);
        covers("name.test.", &["name.test"], &["test"]);
        covers(" , ,, .", &[], &["a", "a.test"]);
        covers("", &[], &["a", "::1"]);
        covers("*", &["a", "::1", "127.0.0.1"], &[]);
        covers("a,*", &["a"], &["b"]);
    }

    #[test]
    fn addresses_cover_their_network() {
        covers("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "::ffff:127.0.0.1"]);
        covers("192.0.2.0/24", &["192.0.2.0", "192.0.2.255"], &["192.0.3.0", "192.0.1.255"]);
        covers("192.0.2.128/25", &["192.0.2.128", "192.0.2.255"], &["192.0.2.127"]);
        covers("0.0.0.0/0", &["192.0.2.1"], &["::1", "name.test"]);
        covers("192.0.2.1/33", &[], &["192.0.2.1"]);
        covers("192.0.2.1/x", &[], &["192.0.2.1"]);
        covers("::1", &["::1"], &["::2"]);
        covers("[::1]", &["::1"], &["::2"]);
        covers("2001:db8::/32", &["2001:db8:1::1"], &["2001:db9::1"]);
        covers("fe80::1", &["fe80::1%eth0"], &["fe80::2%eth0"]);
        covers("::/0", &["2001:db8::1"], &["192.0.2.1"]);
    }

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::from_variables(|name| {
            variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[track_caller]
    fn selects(variables: &[(&str, &str)], url: &str, host: Option<&str>) {
        let proxy = proxies(variables).select(&Url::parse(url).unwrap()).unwrap();
        assert_eq!(proxy.as_ref().map(|proxy| proxy.host.as_str()), host, "{variables:?} {url}");
    }

    #[test]
    fn the_environment_is_read_as_curl_reads_it() {
        selects(&[], "http://h/", None);
        selects(&[("http_proxy", "p")], "http://h/", Some("p"));
        selects(&[("http_proxy", "p")], "https://h/", None);
        selects(&[("HTTP_PROXY", "p")], "http://h/", None);
        selects(&[("https_proxy", "p")], "https://h/", Some("p"));
        selects(&[("HTTPS_PROXY", "p")], "https://h/", Some("p"));
        selects(&[("HTTPS_PROXY", "p"), ("https_proxy", "q")], "https://h/", Some("q"));
        selects(&[("HTTPS_PROXY", "p"), ("https_proxy", "")], "https://h/", Some("p"));
        selects(&[("all_proxy", "p")], "http://h/", Some("p"));
        selects(&[("ALL_PROXY", "p")], "https://h/", Some("p"));
        selects(&[("all_proxy", "p"), ("http_proxy", "q")], "http://h/", Some("q"));
        selects(&[("http_proxy", "p"), ("no_proxy", "h")], "http://h/", None);
        selects(&[("http_proxy", "p"), ("NO_PROXY", "h")], "http://h/", None);
        selects(&[("http_proxy", "p"), ("NO_PROXY", "h"), ("no_proxy", "i")], "http://h/", Some("p"));
    }

    #[test]
    fn options_beat_the_environment() {
        let url = Url::parse("http://h/").unwrap();
        assert_eq!(Proxies::all("").select(&url), Ok(None));
        assert_eq!(Proxies::none().select(&url), Ok(None));
        let proxies = Proxies::all("p.test").except(NoProxy::new("h"));
        assert_eq!(proxies.select(&url), Ok(None));
        assert!(proxies.exceptions().covers("h"));
        assert!(Proxies::all("socks4://p").select(&url).is_err());
    }
}
