//! Which servers to ask: what a user writes, and resolv.conf(5).

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::zone::in_zone;

/// The port of DNS.
const PORT: u16 = 53;
/// How many servers of resolv.conf are used: as many as the C library uses.
const MOST_SERVERS: usize = 3;

/// What resolv.conf says that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) timeout: Option<Duration>,
    pub(super) attempts: Option<u8>,
    pub(super) tcp: bool,
    pub(super) search: Vec<String>,
    pub(super) ndots: Option<u8>,
}

impl ResolvConf {
    /// Reads the text of the file. What it does not know it passes over, as the C library does.
    pub(super) fn parse(text: &str) -> Self {
        let mut conf = ResolvConf {
            servers: Vec::new(),
            timeout: None,
            attempts: None,
            tcp: false,
            search: Vec::new(),
            ndots: None,
        };
        for line in text.lines() {
            // A comment begins in the first column only.
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") if conf.servers.len() < MOST_SERVERS => {
                    conf.servers.extend(words.next().and_then(|text| address(text, PORT)));
                }
                // "The domain and search keywords are mutually exclusive. If more than one instance ... is
                // present, the last instance wins."
                Some("domain") => conf.search = words.take(1).map(str::to_owned).collect(),
                Some("search") => conf.search = words.map(str::to_owned).collect(),
                Some("options") => words.for_each(|option| conf.take(option)),
                _ => {}
            }
        }
        if conf.servers.is_empty() {
            // "If no nameserver entries are present, the default is to use the name server on the local
            // machine."
            conf.servers.push((IpAddr::from([127, 0, 0, 1]), PORT).into());
        }
        conf
    }

    /// One word after `options`, with the bounds that resolv.conf(5) gives.
    fn take(&mut self, option: &str) {
        let number = |name: &str, least: u8, most: u8| {
            let number = option.strip_prefix(name)?.parse::<u32>().ok()?;
            u8::try_from(number.clamp(least.into(), most.into())).ok()
        };
        if let Some(seconds) = number("timeout:", 1, 30) {
            self.timeout = Some(Duration::from_secs(seconds.into()));
        } else if let Some(attempts) = number("attempts:", 1, 5) {
            self.attempts = Some(attempts);
        } else if let Some(ndots) = number("ndots:", 0, 15) {
            self.ndots = Some(ndots);
        } else if option == "use-vc" {
            self.tcp = true;
        }
    }
}

/// An address without its port, with a zone or none. One whose interface is not there is no address of a
/// server.
fn address(text: &str, port: u16) -> Option<SocketAddr> {
    match text.split_once('%') {
        None => text.parse::<IpAddr>().ok().map(|ip| (ip, port).into()),
        Some((ip, zone)) => in_zone(ip.parse().ok()?, zone, port),
    }
}

/// A server as a user writes it: an address, and a port if it is not 53. An IPv6 address with a port goes in
/// brackets: `192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1`, `[2001:db8::1]:5353`. A link-local address needs
/// the interface, by its name or its number: `fe80::1%eth0`, `fe80::1%2`.
///
/// `None` where it is none of these, where the port is 0, or where there is no such interface.
///
/// ```
/// use connie_std::dns::parse_server;
///
/// assert_eq!(parse_server("192.0.2.1"), "192.0.2.1:53".parse().ok());
/// assert_eq!(parse_server("[2001:db8::1]:5353"), "[2001:db8::1]:5353".parse().ok());
/// assert_eq!(parse_server("ns.example"), None);
/// ```
#[must_use]
pub fn parse_server(text: &str) -> Option<SocketAddr> {
    let server = match text.strip_prefix('[').map(|rest| rest.split_once(']')) {
        None => address(text, PORT).or_else(|| text.parse().ok()),
        Some(None) => None,
        Some(Some((inside, after))) => {
            let port = match after.strip_prefix(':') {
                None if after.is_empty() => PORT,
                port => port.filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()?,
            };
            address(inside, port).filter(SocketAddr::is_ipv6)
        }
    };
    server.filter(|server| server.port() != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn servers(text: &str, expected: &[&str]) -> ResolvConf {
        let conf = ResolvConf::parse(text);
        let expected: Vec<SocketAddr> = expected.iter().map(|server| server.parse().unwrap()).collect();
        assert_eq!(conf.servers, expected, "{text}");
        conf
    }

    #[test]
    fn servers_as_users_write_them() {
        for (text, expected) in [
            ("192.0.2.1", Some("192.0.2.1:53")),
            ("192.0.2.1:5353", Some("192.0.2.1:5353")),
            ("2001:db8::1", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]", Some("[2001:db8::1]:53")),
            ("[2001:db8::1]:5353", Some("[2001:db8::1]:5353")),
            ("fe80::1%3", Some("[fe80::1%3]:53")),
            ("[fe80::1%3]:99", Some("[fe80::1%3]:99")),
            ("[fe80::1%3]", Some("[fe80::1%3]:53")),
            ("fe80::1%", None),
            ("fe80::1%no-such", None),
            ("[fe80::1%no-such]:53", None),
            ("192.0.2.1%3", None),
            ("[2001:db8::1]:", None),
            ("[2001:db8::1]:+53", None),
            ("[2001:db8::1]53", None),
            ("[2001:db8::1]:0", None),
            ("192.0.2.1:0", None),
            ("192.0.2.1:99999", None),
            ("[192.0.2.1]", None),
            ("[2001:db8::1", None),
            ("ns.example", None),
            ("", None),
        ] {
            assert_eq!(parse_server(text), expected.map(|server| server.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_file_as_they_are() {
        let conf = servers(
            "# made by hand\n; nameserver 192.0.2.9\nsearch corp.example\nnameserver 192.0.2.1\n\
             nameserver\t2001:db8::1 # the second\nnameserver nonsense\nnameserver fe80::1%2\nnameserver 192.0.2.4\n\
             options ndots:2 timeout:2 attempts:4 rotate\noptions timeout:3\n",
            &["192.0.2.1:53", "[2001:db8::1]:53", "[fe80::1%2]:53"],
        );
        assert_eq!((conf.timeout, conf.attempts), (Some(Duration::from_secs(3)), Some(4)));
        assert_eq!((conf.search, conf.ndots), (vec!["corp.example".to_owned()], Some(2)));
        assert!(!conf.tcp);
    }

    /// What systemd-networkd and odhcp6c write where a router announces itself as the name server. The first
    /// interface of Linux is `lo`.
    #[cfg(target_os = "linux")]
    #[test]
    fn interfaces_have_names() {
        servers(
            "nameserver fe80::1%lo\nnameserver fe80::2%no-such\nnameserver fe80::3%1\n",
            &["[fe80::1%1]:53", "[fe80::3%1]:53"],
        );
        assert_eq!(parse_server("fe80::1%lo"), "[fe80::1%1]:53".parse().ok());
        assert_eq!(parse_server("[fe80::1%lo]:99"), "[fe80::1%1]:99".parse().ok());
    }

    #[test]
    fn an_empty_file_means_the_server_on_this_machine() {
        let conf = servers("", &["127.0.0.1:53"]);
        assert_eq!((conf.timeout, conf.attempts), (None, None));
    }

    #[test]
    fn the_last_search_list_counts() {
        let search = |text: &str| ResolvConf::parse(text).search;
        assert_eq!(search("search a.test b.test\ndomain c.test d.test"), ["c.test"]);
        assert_eq!(search("domain c.test\nsearch a.test\tb.test"), ["a.test", "b.test"]);
        assert!(search("search").is_empty());
    }

    #[test]
    fn numbers_are_held_within_their_bounds() {
        let conf = servers("options timeout:0 attempts:99 use-vc", &["127.0.0.1:53"]);
        assert_eq!((conf.timeout, conf.attempts), (Some(Duration::from_secs(1)), Some(5)));
        assert!(conf.tcp);
        let conf = servers("options timeout:99999999999 attempts:-1 timeout", &["127.0.0.1:53"]);
        assert_eq!((conf.timeout, conf.attempts), (None, None));
    }
}
