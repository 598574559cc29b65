//! The values of options: how each is read, and what is said of one that cannot be.

use std::net::IpAddr;
#[cfg(feature = "dns")]
use std::net::SocketAddr;
use std::time::Duration;

use clap::builder::{PossibleValuesParser, TypedValueParser};
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
        // A bound that only the type has is news to those alone who passed it.
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

/// The address of a name server.
#[cfg(feature = "dns")]
pub fn dns_server(text: &str) -> Result<SocketAddr, String> {
    dns::parse_server(text).ok_or_else(|| {
        "give the address of a name server, such as 192.0.2.53 or [2001:db8::53]:5353".to_owned()
    })
}

/// `HOST:PORT:ADDR[,ADDR...]`, IPv6 addresses in brackets or bare. A `+` before it, which tells curl to let the entry expire, means
/// nothing in a program that fetches one URL.
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
}
