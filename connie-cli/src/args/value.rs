//! The values of options: how each is read, and what is said of one that cannot be.

#[cfg(feature = "dns")]
use std::net::SocketAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{PathBufValueParser, PossibleValuesParser, TypedValueParser};
use connie_core::Pacing;
use connie_std::Override;
#[cfg(feature = "dns")]
use connie_std::dns;

/// A limit of time; 0 stands for none, as it does for curl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit(Option<Duration>);

impl Limit {
    pub fn get(self) -> Option<Duration> {
        self.0
    }
}

/// A whole number within `least` and `most`, which `T` must hold.
pub fn whole<T: TryFrom<u64>>(least: u64, most: u64) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |text| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse::<u64>().ok().filter(|number| digits && (least..=most).contains(number));
        // A bound that comes only from the type is told only to those who exceed it.
        let open = most >= u64::from(u32::MAX);
        number.and_then(|number| T::try_from(number).ok()).ok_or_else(|| match (least, open) {
            (0, true) if digits => format!("give a whole number up to {most}"),
            (0, true) => "give a whole number".to_owned(),
            (_, true) => format!("give a whole number from {least}"),
            (_, false) => format!("give a whole number from {least} to {most}"),
        })
    }
}

/// Seconds as a decimal number, as many as curl takes: what a signed number of milliseconds holds.
pub fn seconds(text: &str) -> Result<Limit, String> {
    const MOST: u64 = i64::MAX as u64 / 1_000;
    let decimal = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let seconds = text.parse::<f64>().ok().filter(|_| decimal);
    let seconds = seconds.ok_or_else(|| "give seconds, such as 10 or 0.5".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(Duration::ZERO) => Ok(Limit(None)),
        Ok(duration) if seconds <= MOST as f64 => Ok(Limit(Some(duration))),
        _ => Err(format!("give at most {MOST} seconds, or 0 for no limit")),
    }
}

/// A pacing, by its name.
pub fn pacing() -> impl TypedValueParser<Value = Pacing> {
    PossibleValuesParser::new(Pacing::ALL.map(Pacing::name)).try_map(|name| name.parse::<Pacing>())
}

/// The file where a memory is kept. It is read and then replaced, so it cannot be stdin or stdout.
pub fn memory_file() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match path.as_os_str() == "-" {
        true => Err("give a file: it is read before the run, and replaced after it"),
        false => Ok(path),
    })
}

/// An address and a port to listen on; an IPv6 address in brackets.
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
pub fn listen_address(text: &str) -> Result<std::net::SocketAddr, String> {
    text.parse().map_err(|_| "give an address and a port, such as 127.0.0.1:1080 or [::1]:1080".to_owned())
}

/// A network.
#[cfg(all(feature = "proxy", not(target_os = "wasi")))]
pub fn network(text: &str) -> Result<connie_std::IpNetwork, String> {
    text.parse().map_err(|error: connie_std::InvalidIpNetwork| error.to_string())
}

/// Where connections leave the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindTo {
    /// From this address.
    Address(IpAddr),
    /// By the interface of this name.
    #[cfg(not(target_os = "wasi"))]
    Interface(String),
}

impl BindTo {
    /// The source address of each family.
    pub fn sources(&self) -> (Option<Ipv4Addr>, Option<Ipv6Addr>) {
        match self {
            BindTo::Address(IpAddr::V4(address)) => (Some(*address), None),
            BindTo::Address(IpAddr::V6(address)) => (None, Some(*address)),
            #[cfg(not(target_os = "wasi"))]
            BindTo::Interface(_) => (None, None),
        }
    }

    /// The interface.
    #[cfg(not(target_os = "wasi"))]
    pub fn name(&self) -> Option<String> {
        match self {
            BindTo::Address(_) => None,
            BindTo::Interface(name) => Some(name.clone()),
        }
    }
}

/// An interface or an address, as curl has them (`--interface`, and CURLOPT_INTERFACE(3) for what stands
/// before `!`), but for names of hosts, which curl looks up, and for both in one.
pub fn interface(text: &str) -> Result<BindTo, String> {
    let address = |text: &str| text.trim_matches(['[', ']']).parse().map(BindTo::Address);
    match text.split_once('!') {
        Some(("host", host)) => address(host).map_err(|_| {
            format!(
                "{host:?} is not an IP address: give one of this machine's; host names are not resolved here"
            )
        }),
        Some(("if", name)) => named(name),
        Some(("ifhost", _)) => {
            Err("ifhost! is not supported: give the interface as if!NAME, or the address as host!ADDR"
                .to_owned())
        }
        _ => address(text).or_else(|_| named(text)),
    }
}

/// Linux has no longer names. It would cut one off, to what may be another interface's.
#[cfg(not(target_os = "wasi"))]
fn named(name: &str) -> Result<BindTo, String> {
    let is_one = !name.is_empty() && !name.contains(['/', ' ', '\0']);
    match is_one {
        true if name.len() > 15 => Err(format!(
            "{name:?} is too long for the name of an interface: give one, such as eth0, or an IP address of this machine"
        )),
        true => Ok(BindTo::Interface(name.to_owned())),
        false => {
            Err("give the name of an interface, such as eth0, or an IP address of this machine".to_owned())
        }
    }
}

#[cfg(target_os = "wasi")]
fn named(_: &str) -> Result<BindTo, String> {
    Err("give an IP address of this machine".to_owned())
}

/// `PORT` or `PORT-PORT`, the least first.
#[cfg(not(target_os = "wasi"))]
pub fn local_ports(text: &str) -> Result<std::ops::RangeInclusive<u16>, String> {
    let port = |text: &str| whole::<u16>(1, 65_535)(text).ok();
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (port(first), port(last)) {
        (Some(first), Some(last)) if first <= last => Ok(first..=last),
        (Some(first), Some(last)) => Err(format!("the lower port goes first: {last}-{first}")),
        _ => Err("give a port from 1 to 65535, or two such as 4000-4100".to_owned()),
    }
}

/// The address of a name server.
#[cfg(feature = "dns")]
pub fn dns_server(text: &str) -> Result<SocketAddr, String> {
    dns::parse_server(text).ok_or_else(|| {
        "give the address of a name server, such as 192.0.2.53 or [2001:db8::53]:5353".to_owned()
    })
}

/// `HOST:PORT:ADDR[,ADDR...]`, IPv6 addresses in brackets or bare. A `+` before it, which tells curl to let
/// the entry expire, means nothing in a program that fetches one URL.
pub fn resolve(text: &str) -> Result<Override, String> {
    let malformed = || "give HOST:PORT:ADDR[,ADDR...]".to_owned();
    let entry = text.strip_prefix('+').unwrap_or(text);
    let (host, rest) = match entry.strip_prefix('[') {
        Some(rest) => rest.split_once("]:").ok_or_else(malformed)?,
        None => entry.split_once(':').ok_or_else(malformed)?,
    };
    let (port, addresses) = rest.split_once(':').ok_or_else(malformed)?;
    if host.is_empty() {
        return Err(malformed());
    }
    let port = match port.parse() {
        Ok(0) | Err(_) => return Err(format!("{port:?} is not a port")),
        Ok(port) => port,
    };
    let addresses = addresses.split(',').map(|text| {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let address = match bare {
            Some(v6) => v6.parse().map(IpAddr::V6).ok(),
            None => text.parse().ok(),
        };
        address.ok_or_else(|| format!("{text:?} is not an IP address"))
    });
    Ok(Override { host: host.to_owned(), port, addresses: addresses.collect::<Result<_, _>>()? })
}

/// An entry of `--connect-to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectTo {
    /// The host and the port that it is for; `None` for any.
    from: (Option<String>, Option<u16>),
    /// Where to connect to; `None` for the same.
    to: (Option<String>, Option<u16>),
}

impl ConnectTo {
    /// Where to connect to in place of this host and port, where the entry is for them.
    pub fn apply(&self, host: &str, port: u16) -> Option<(String, u16)> {
        let is_host = self.from.0.as_ref().is_none_or(|from| from.eq_ignore_ascii_case(host));
        let is_port = self.from.1.is_none_or(|from| from == port);
        let to = || (self.to.0.clone().unwrap_or_else(|| host.to_owned()), self.to.1.unwrap_or(port));
        (is_host && is_port).then(to)
    }
}

/// `HOST1:PORT1:HOST2:PORT2`, of which each may be empty. An IPv6 address stands in brackets.
pub fn connect_to(text: &str) -> Result<ConnectTo, String> {
    let (host, rest) = host_and_rest(text).ok_or_else(no_connect_to)?;
    let (port, rest) = rest.split_once(':').ok_or_else(no_connect_to)?;
    let (to_host, to_port) = host_and_rest(rest).ok_or_else(no_connect_to)?;
    let named = |host: &str| Some(host.to_owned()).filter(|host| !host.is_empty());
    Ok(ConnectTo { from: (named(host), port_or_any(port)?), to: (named(to_host), port_or_any(to_port)?) })
}

fn no_connect_to() -> String {
    "give HOST1:PORT1:HOST2:PORT2, of which each may be empty".to_owned()
}

/// A host, without the brackets of an IPv6 address, and what follows the colon after it.
fn host_and_rest(text: &str) -> Option<(&str, &str)> {
    match text.strip_prefix('[') {
        Some(rest) => rest.split_once("]:"),
        None => text.split_once(':'),
    }
}

fn port_or_any(port: &str) -> Result<Option<u16>, String> {
    if port.is_empty() {
        return Ok(None);
    }
    match whole::<u16>(1, 65_535)(port) {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(format!("{port:?} is not a port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_decimal_seconds() {
        assert_eq!(seconds("10"), Ok(Limit(Some(Duration::from_secs(10)))));
        assert_eq!(seconds(".5"), Ok(Limit(Some(Duration::from_millis(500)))));
        let most = "9223372036854775";
        assert!(seconds(most).is_ok());
        for text in ["9223372036854779", "18446744073709551616", &"9".repeat(400)] {
            assert_eq!(
                seconds(text),
                Err(format!("give at most {most} seconds, or 0 for no limit")),
                "{text}"
            );
        }
        for text in ["", "-1", "1e3", "inf", "nan", "1s", ".", "1.2.3"] {
            assert!(seconds(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_interface_is_a_name_or_an_address() {
        let from = |text: &str| Ok(BindTo::Address(text.parse().unwrap()));
        assert_eq!(interface("192.0.2.7"), from("192.0.2.7"));
        assert_eq!(interface("2001:db8::7"), from("2001:db8::7"));
        assert_eq!(interface("host![2001:db8::7]"), from("2001:db8::7"));
        for name in ["eth0", "if!eth0"] {
            assert_eq!(interface(name), Ok(BindTo::Interface("eth0".to_owned())));
        }
        assert_eq!(interface("if!192.0.2.7"), Ok(BindTo::Interface("192.0.2.7".to_owned())));
        assert_eq!(interface("192.0.2.7").unwrap().sources(), (Some(Ipv4Addr::new(192, 0, 2, 7)), None));
        assert_eq!(interface("::1").unwrap().sources(), (None, Some(Ipv6Addr::LOCALHOST)));
        for text in ["", "if!", "host!eth0", "host!", "a b", "a/b"] {
            assert!(interface(text).is_err(), "{text}");
        }
        let says = |text: &str, what: &str| assert!(interface(text).unwrap_err().contains(what), "{text}");
        says("ifhost!eth0!192.0.2.7", "if!NAME");
        says("ifhost!", "if!NAME");
        says("host!www.example.org", "not resolved here");
        says("a-host.example.org", "too long for the name of an interface");
        // 15 octets, and an address of more.
        assert_eq!(interface("enp0s31f6.12345"), Ok(BindTo::Interface("enp0s31f6.12345".to_owned())));
        assert_eq!(interface("2001:db8:1:2:3:4:5:6"), from("2001:db8:1:2:3:4:5:6"));
    }

    #[test]
    fn local_ports_are_one_or_a_range() {
        assert_eq!(local_ports("4000"), Ok(4000..=4000));
        assert_eq!(local_ports("4000-4100"), Ok(4000..=4100));
        assert_eq!(local_ports("65535-65535"), Ok(65_535..=65_535));
        for text in ["", "0", "65536", "-", "4000-", "-4000", "4100-4000", "1-2-3", "x", "+1"] {
            assert!(local_ports(text).is_err(), "{text}");
        }
        assert_eq!(local_ports("20010-20000").unwrap_err(), "the lower port goes first: 20000-20010");
    }

    #[test]
    fn resolve_is_spelled_as_in_curl() {
        let is = |text: &str, host: &str, port: u16, addresses: &str| {
            let addresses = addresses.split(' ').map(|address| address.parse().unwrap()).collect();
            assert_eq!(resolve(text), Ok(Override { host: host.to_owned(), port, addresses }), "{text}");
        };
        is("h:80:192.0.2.1", "h", 80, "192.0.2.1");
        is("h:80:192.0.2.1,192.0.2.2", "h", 80, "192.0.2.1 192.0.2.2");
        is("h:80:[2001:db8::1],192.0.2.2", "h", 80, "2001:db8::1 192.0.2.2");
        is("h:80:2001:db8::1,::2", "h", 80, "2001:db8::1 ::2");
        is("*:8080:::1", "*", 8080, "::1");
        is("+h:80:192.0.2.1", "h", 80, "192.0.2.1");
        is("[::1]:80:192.0.2.1", "::1", 80, "192.0.2.1");
        for text in [
            "",
            "h",
            "h:80",
            "h:80:",
            "h:x:::1",
            "h:0:::1",
            ":80:::1",
            "h:80:name",
            "h:80:192.0.2.1,",
            "h:80:[192.0.2.1]",
        ] {
            assert!(resolve(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_entry_of_connect_to_may_leave_each_part_out() {
        let to = |text: &str| connect_to(text).unwrap().apply("name.test", 80);
        let is = |host: &str, port| Some((host.to_owned(), port));
        assert_eq!(to("name.test:80:other.test:81"), is("other.test", 81));
        assert_eq!(to("Name.Test::other.test:"), is("other.test", 80));
        assert_eq!(to("::[::1]:81"), is("::1", 81));
        assert_eq!(to(":80::81"), is("name.test", 81));
        assert_eq!(to(":::"), is("name.test", 80));
        for text in ["other.test:80:a:1", "name.test:81:a:1", "[::1]:80:a:1"] {
            assert_eq!(to(text), None, "{text}");
        }
        for text in ["", "a", "a:80", "a:80:b", "a:x:b:80", "a:80:b:0", "[::1:80:a:1", "a:80:b:99999"] {
            assert!(connect_to(text).is_err(), "{text}");
        }
    }
}
