//! The command line: what to fetch, from where, and who we are on the network.
//!
//! A microcontroller has no command line of its own; QEMU and debuggers hand one over by semihosting.
//! Everything here is a function of text, borrows from it and allocates nothing.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::str::SplitAsciiWhitespace;
use core::time::Duration;

use connie_core::resolution::parse_ip;
use heapless::Vec;

/// The most addresses that `--addresses` takes.
pub const MAX_ADDRESSES: usize = 16;

/// The longest URL that is taken, in octets. It lies in the 1 KiB of the command line, and HTTP has the rest
/// for the heads of request and response. With the longest name, which is in the request and kept beside it
/// once more, a request of such a URL takes 397 of the 405 octets that are left.
pub const MAX_URL: usize = 360;

/// The option that gives the host's addresses.
const ADDRESSES: &str = "--addresses";

/// How to call the firmware, in one line.
pub const USAGE: &str = "usage: [--ip dhcp|slaac|ADDRESS/PREFIX[,...]] [--gateway ADDRESS[,ADDRESS]] [--dns ADDRESS] \
    [--addresses ADDRESS[,...]] [--max-time SECONDS] http://HOST[:PORT][/PATH]";

/// What the firmware is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandLine<'a> {
    /// What to fetch.
    pub url: Url<'a>,
    /// Who we are in IPv4. `None`: nobody.
    pub v4: Option<Own<Ipv4Addr>>,
    /// The same for IPv6.
    pub v6: Option<Own<Ipv6Addr>>,
    /// The way out, where DHCP does not say.
    pub gateway_v4: Option<Ipv4Addr>,
    /// The way out, where no router advertises itself.
    pub gateway_v6: Option<Ipv6Addr>,
    /// The name server, where DHCP does not say, or in its place.
    pub dns: Option<IpAddr>,
    /// The line itself. The addresses in it are read [again](CommandLine::addresses) when they are needed:
    /// kept here, they would take half a kilobyte for as long as this lives.
    pub line: &'a str,
    /// How many addresses are in it.
    pub listed: usize,
    /// How long all of it may take, from the start.
    pub max_time: Duration,
}

impl CommandLine<'_> {
    /// The host's addresses with the URL's port: those given, or the one that the URL names. Empty where a
    /// name server is to be asked.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr, MAX_ADDRESSES> {
        let mut addresses = Vec::new();
        self.read_addresses(&mut addresses);
        addresses
    }

    /// The same, into the caller's memory.
    pub fn read_addresses(&self, addresses: &mut Vec<SocketAddr, MAX_ADDRESSES>) {
        let mut words = self.line.split_ascii_whitespace();
        while let Some(word) = words.next() {
            if word != ADDRESSES {
                continue;
            }
            // `parse` has read them all before: they are addresses, and there is room for them.
            let _ = for_each(words.next().unwrap_or_default(), &mut |one| {
                addresses.extend(ip(one).map(|ip| SocketAddr::new(ip, self.url.port)));
                Ok(())
            });
        }
        if let (true, Some(ip)) = (addresses.is_empty(), self.url.address()) {
            // It is the first, so there is room.
            let _ = addresses.push(SocketAddr::new(ip, self.url.port));
        }
    }

    /// Whether there are any. Without one, the name is to be looked up.
    #[must_use]
    pub fn has_addresses(&self) -> bool {
        self.listed > 0 || self.url.address().is_some()
    }

    /// The first of them.
    // Not inlined: its caller would keep room for all on the stack.
    #[must_use]
    #[inline(never)]
    pub fn first_address(&self) -> Option<SocketAddr> {
        self.addresses().first().copied()
    }
}

/// How we come by an address of our own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Own<A> {
    /// From the network: DHCP for IPv4, router advertisements for IPv6.
    Automatic,
    /// This one, in a network of this prefix length.
    Static(A, u8),
}

/// An `http` URL in its parts, or an `https` URL with the feature of that name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Url<'a> {
    /// The host: a name or an address, IPv6 without its brackets.
    pub host: &'a str,
    /// The port, 80 where the URL has none, or 443.
    pub port: u16,
    /// Path and query, at least `/`.
    pub path: &'a str,
}

impl Url<'_> {
    /// The host where it is an address.
    #[must_use]
    pub fn address(&self) -> Option<IpAddr> {
        ip(self.host)
    }
}

/// What is wrong with a command line. Prints as one line that says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error<'a> {
    /// There is no URL.
    NoUrl,
    /// There is a second one.
    SecondUrl(&'a str),
    /// The URL is not one that this program fetches.
    BadUrl(&'a str),
    /// The URL is longer than [`MAX_URL`].
    LongUrl,
    /// There is no such option.
    UnknownOption(&'a str),
    /// The option's value is missing.
    NoValue(&'a str),
    /// The option's value is not one: the option, the value, and what it takes.
    BadValue(&'a str, &'a str, &'static str),
    /// The option was given more than once, or twice for one family.
    Twice(&'a str),
    /// More addresses than there is room for.
    TooManyAddresses,
    /// The name of the host must be looked up, and there is nobody to ask.
    NoNameServer(&'a str),
    /// This build has no way to do it: what, and the feature that brings it.
    NotBuilt(&'static str, &'static str),
}

impl fmt::Display for Error<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What it is about, and what to do.
        let (about, value, what) = match *self {
            Error::NoUrl => ("", "", "no URL; "),
            Error::SecondUrl(text) => (text, "", ": a URL was given already; give one"),
            Error::BadUrl(text) => {
                (text, "", ": not a URL that can be fetched; give http://HOST[:PORT][/PATH]")
            }
            Error::LongUrl => ("", "", "the URL is too long; give one of at most 360 octets"),
            Error::UnknownOption(option) => (option, "", ": no such option; "),
            Error::NoValue(option) => (option, "", ": wants a value; "),
            Error::BadValue(option, value, _) => (option, value, ": give "),
            Error::Twice(option) => {
                (option, "", ": given twice; give it once, with one value for each family")
            }
            Error::TooManyAddresses => ("", "", "--addresses: give at most 16"),
            Error::NoNameServer(host) => (
                host,
                "",
                ": a name, and nobody to ask for its addresses; give --dns ADDRESS, --ip dhcp, or --addresses",
            ),
            Error::NotBuilt(about, _) => (about, "", ": not in this firmware; build it with the feature "),
        };
        let last = match *self {
            Error::NoUrl | Error::UnknownOption(_) | Error::NoValue(_) => USAGE,
            Error::BadValue(_, _, wanted) => wanted,
            Error::NotBuilt(_, feature) => feature,
            _ => "",
        };
        const { assert!(MAX_ADDRESSES == 16 && MAX_URL == 360, "as said above") };
        let space = if matches!(self, Error::BadValue(..)) { " " } else { "" };
        [about, space, value, what, last].into_iter().try_for_each(|piece| f.write_str(piece))
    }
}

/// Reads a command line. The first word is the path of the program, as a debugger gives it, and is passed
/// over.
///
/// # Errors
///
/// What is wrong with it.
// Not part of its caller, on whose stack the program runs: it would keep room there for what was read so far.
#[inline(never)]
pub fn parse(text: &str) -> Result<CommandLine<'_>, Error<'_>> {
    let mut words = text.split_ascii_whitespace();
    words.next();
    let mut parsed = Parsed::default();
    while let Some(word) = words.next() {
        if word.starts_with('-') {
            parsed.option(word, &mut words)?;
        } else if parsed.url.is_some() {
            return Err(Error::SecondUrl(word));
        } else {
            parsed.url = Some(url(word)?);
        }
    }
    parsed.check(text)
}

/// Moves the URL of a line that [`parse`] has accepted to the front of `room`, which holds the line in its
/// first `length` bytes. Returns the URL and what is free behind it: at least all of `room` but [`MAX_URL`]
/// octets.
pub fn keep_url(room: &mut [u8], length: usize) -> Option<(Url<'_>, &mut [u8])> {
    let line = room.get(..length)?;
    // The first word may be anything; of the others, only the URL has a scheme.
    let first = line.iter().position(u8::is_ascii_whitespace)?;
    let scheme = SCHEME.0.as_bytes();
    // Both are places in `line`: neither sum is past its end.
    let start = first + line.get(first..)?.windows(scheme.len()).position(|at| at == scheme)?;
    let word = line.get(start..)?;
    let length = word.iter().position(u8::is_ascii_whitespace).unwrap_or(word.len());
    // `word` begins at `start` and has `length` octets, and `room` is at least as long as `line`.
    room.copy_within(start..start + length, 0);
    let (word, free) = room.split_at_mut_checked(length)?;
    Some((read_url(core::str::from_utf8(word).ok()?)?, free))
}

/// What was read so far.
#[derive(Default)]
struct Parsed<'a> {
    url: Option<Url<'a>>,
    v4: Option<Own<Ipv4Addr>>,
    v6: Option<Own<Ipv6Addr>>,
    gateway_v4: Option<Ipv4Addr>,
    gateway_v6: Option<Ipv6Addr>,
    dns: Option<IpAddr>,
    /// How many are given.
    addresses: usize,
    max_time: Option<Duration>,
}

impl<'a> Parsed<'a> {
    fn option(&mut self, option: &'a str, words: &mut SplitAsciiWhitespace<'a>) -> Result<(), Error<'a>> {
        let known = ["--ip", "--gateway", "--dns", ADDRESSES, "--max-time"];
        if !known.contains(&option) {
            return Err(Error::UnknownOption(option));
        }
        let value = words.next().ok_or(Error::NoValue(option))?;
        match option {
            "--ip" => for_each(value, &mut |one| self.own(option, one)),
            "--gateway" => for_each(value, &mut |one| self.gateway(option, one)),
            "--dns" => set(&mut self.dns, option, address(option, value)?),
            ADDRESSES => for_each(value, &mut |one| {
                address(option, one)?;
                // Each takes an octet of the line at least, so that there are fewer than `usize` counts.
                self.addresses += 1;
                if self.addresses > MAX_ADDRESSES { Err(Error::TooManyAddresses) } else { Ok(()) }
            }),
            _ => {
                let seconds = value.parse::<u16>().ok().filter(|seconds| (1..=3600).contains(seconds));
                let seconds = seconds.ok_or(Error::BadValue(option, value, "whole seconds, 1 to 3600"))?;
                set(&mut self.max_time, option, Duration::from_secs(seconds.into()))
            }
        }
    }

    fn own(&mut self, option: &'a str, value: &'a str) -> Result<(), Error<'a>> {
        let wanted = if cfg!(feature = "ipv4") {
            "dhcp, slaac, or an address and its prefix such as 10.77.0.2/24"
        } else {
            "slaac, or an address and its prefix such as fd00:4d::2/64"
        };
        let bad = Error::BadValue(option, value, wanted);
        match value {
            "dhcp" if cfg!(feature = "dhcp") => set(&mut self.v4, option, Own::Automatic),
            "dhcp" => Err(Error::NotBuilt("--ip dhcp", "dhcp")),
            "slaac" if cfg!(feature = "slaac") => set(&mut self.v6, option, Own::Automatic),
            "slaac" => Err(Error::NotBuilt("--ip slaac", "slaac")),
            _ => {
                let (address, prefix) = split_once(value, b'/').ok_or(bad)?;
                // As a u16, which ports are read as too.
                let prefix = u8::try_from(prefix.parse::<u16>().map_err(|_| bad)?).map_err(|_| bad)?;
                match ip(address).ok_or(bad)? {
                    IpAddr::V4(address) if prefix <= 32 && is_host_v4(address) => {
                        set(&mut self.v4, option, Own::Static(address, prefix))
                    }
                    IpAddr::V6(address) if prefix <= 128 && is_host_v6(address) => {
                        set(&mut self.v6, option, Own::Static(address, prefix))
                    }
                    _ => Err(bad),
                }
            }
        }
    }

    fn gateway(&mut self, option: &'a str, value: &'a str) -> Result<(), Error<'a>> {
        match address(option, value)? {
            IpAddr::V4(address) => set(&mut self.gateway_v4, option, address),
            IpAddr::V6(address) => set(&mut self.gateway_v6, option, address),
        }
    }

    /// The whole, with what was not said filled in.
    fn check(self, line: &'a str) -> Result<CommandLine<'a>, Error<'a>> {
        let url = self.url.ok_or(Error::NoUrl)?;
        let (v4, v6) = match (self.v4, self.v6) {
            (None, None) if cfg!(feature = "dhcp") => (Some(Own::Automatic), None),
            (None, None) => return Err(Error::NoValue("--ip")),
            own => own,
        };
        let is_name = self.addresses == 0 && url.address().is_none();
        if is_name && !cfg!(any(feature = "dns", feature = "smoltcp-dns")) {
            return Err(Error::NotBuilt("looking up a name", "dns"));
        }
        if is_name && self.dns.is_none() && v4 != Some(Own::Automatic) {
            return Err(Error::NoNameServer(url.host));
        }
        Ok(CommandLine {
            url,
            v4,
            v6,
            gateway_v4: self.gateway_v4,
            gateway_v6: self.gateway_v6,
            dns: self.dns,
            line,
            listed: self.addresses,
            max_time: self.max_time.unwrap_or(Duration::from_secs(30)),
        })
    }
}

fn set<'a, T>(place: &mut Option<T>, option: &'a str, value: T) -> Result<(), Error<'a>> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(Error::Twice(option)),
    }
}

fn address<'a>(option: &'a str, value: &'a str) -> Result<IpAddr, Error<'a>> {
    let address = ip(value).filter(|address| match address {
        IpAddr::V4(address) => is_host_v4(*address),
        IpAddr::V6(address) => is_host_v6(*address),
    });
    let wanted = match (cfg!(feature = "ipv4"), cfg!(feature = "ipv6")) {
        (true, true) => "an IPv4 or IPv6 address, without brackets, port or zone",
        (true, false) => "an IPv4 address, without a port",
        (false, _) => "an IPv6 address, without brackets, port or zone",
    };
    address.ok_or(Error::BadValue(option, value, wanted))
}

/// An address of a family that is built in.
fn ip(text: &str) -> Option<IpAddr> {
    let is_built_in = |address: &IpAddr| {
        (cfg!(feature = "ipv4") && address.is_ipv4()) || (cfg!(feature = "ipv6") && address.is_ipv6())
    };
    parse_ip(text).filter(is_built_in)
}

/// What stands before the first of these characters, and what follows it. They are ASCII.
// By bytes: searching a text by characters takes a kilobyte of `core`.
fn split_once(text: &str, at: u8) -> Option<(&str, &str)> {
    let place = text.bytes().position(|byte| byte == at)?;
    Some((text.get(..place)?, text.get(place + 1..)?))
}

/// Calls `each` with each part of a list.
fn for_each<'a>(
    list: &'a str,
    each: &mut dyn FnMut(&'a str) -> Result<(), Error<'a>>,
) -> Result<(), Error<'a>> {
    let mut rest = list;
    while let Some((part, after)) = split_once(rest, b',') {
        each(part)?;
        rest = after;
    }
    each(rest)
}

/// Whether it can be the address of one host. smoltcp panics where it is given another as its own.
fn is_host_v4(address: Ipv4Addr) -> bool {
    !(address.is_unspecified() || address.is_multicast() || address.is_broadcast())
}

fn is_host_v6(address: Ipv6Addr) -> bool {
    // An IPv4-mapped one would be an IPv4 address in disguise.
    !(address.is_unspecified() || address.is_multicast() || address.to_ipv4_mapped().is_some())
}

fn url(text: &str) -> Result<Url<'_>, Error<'_>> {
    let url = read_url(text).ok_or(Error::BadUrl(text))?;
    if text.len() > MAX_URL { Err(Error::LongUrl) } else { Ok(url) }
}

/// What is fetched, and its port (RFC 9110 section 4.2).
const SCHEME: (&str, u16) = if cfg!(feature = "https") { ("https://", 443) } else { ("http://", 80) };

fn read_url(text: &str) -> Option<Url<'_>> {
    let rest = text.strip_prefix(SCHEME.0)?;
    let end = rest.bytes().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(rest.len());
    let (authority, path) = (rest.get(..end)?, rest.get(end..)?);
    let has = |text: &str, byte| text.as_bytes().contains(&byte);
    // A query may follow the host directly (RFC 3986 section 3), but a request's target begins with a slash.
    // A fragment never is part of one, and credentials are not sent by this program.
    if path.starts_with('?') || has(path, b'#') || has(authority, b'@') {
        return None;
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, port) = split_once(rest, b']')?;
            if !cfg!(feature = "ipv6") || !has(host, b':') || parse_ip(host).is_none() {
                return None;
            }
            (host, port)
        }
        None => {
            let end = authority.bytes().position(|byte| byte == b':').unwrap_or(authority.len());
            (authority.get(..end)?, authority.get(end..)?)
        }
    };
    let port = match port.as_bytes() {
        // "http://host:/" is allowed by RFC 3986 section 3.2.3 and means the default.
        [] | [b':'] => SCHEME.1,
        [b':', digits @ ..] if digits.iter().all(u8::is_ascii_digit) => {
            port.get(1..)?.parse().ok().filter(|port| *port != 0)?
        }
        _ => return None,
    };
    // 253 characters is the longest name that DNS can carry (RFC 1035 section 2.3.4).
    if host.is_empty() || host.len() > 253 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return None;
    }
    Some(Url { host, port, path: if path.is_empty() { "/" } else { path } })
}
