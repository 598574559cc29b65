//! Splits `http` and `https` URLs into what a request needs: scheme, host, port and target.
//!
//! fluent-uri resolves references, by the standard; `reference.rs` makes it take what curl takes. What stands
//! before the path is read here, as curl reads it: a URL may lack its scheme, or have one to three slashes
//! behind that; the last `@` ends the credentials; an IPv6 address may have a zone. The `url` crate would
//! bring the tables of internationalised names along, which not every program wants. With the feature `idna`
//! names of other scripts are read; otherwise they have to come in their ASCII form.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::credentials::Credentials;

mod reference;

use reference::Parts;

/// The longest host name, in octets (RFC 1035 section 2.3.4, less the length octets that text does not show).
const MAX_HOST: usize = 253;
/// The longest label of a host name, in octets.
const MAX_LABEL: usize = 63;

/// How a URL's server is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `http`: TCP.
    Http,
    /// `https`: TLS over TCP.
    Https,
}

impl Scheme {
    /// Its name, in lower case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// The port where a URL names none (RFC 9110 sections 4.2.1 and 4.2.2).
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
}

/// A URL of scheme `http` or `https`. Prints as the URL that it is, without credentials.
///
/// ```
/// use connie_web::{Scheme, Url};
///
/// let url = Url::parse("https://name.test/a/b?c#d")?;
/// assert_eq!((url.scheme, url.host.as_str(), url.port), (Scheme::Https, "name.test", 443));
/// assert_eq!(url.target, "/a/b?c");
/// assert_eq!(url.join("../e")?.to_string(), "https://name.test/e");
/// # Ok::<(), connie_web::UrlError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// How the server is spoken to.
    pub scheme: Scheme,
    /// What stood before the host: `user:password@`, percent-decoded.
    pub credentials: Option<Credentials>,
    /// The host's name in lower case, or its address; IPv6 without brackets, with its zone after `%`.
    pub host: String,
    /// The port; the scheme's own where the URL has none.
    pub port: u16,
    /// Path and query, as the request line has them. Begins with `/`.
    pub target: String,
}

/// Why a URL was refused. Prints as one line that says what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum UrlError {
    /// It begins with a scheme that is neither `http` nor `https`.
    UnsupportedScheme(String),
    /// It is not a URL, or one that cannot be fetched.
    Malformed(String),
}

impl fmt::Display for UrlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UrlError::UnsupportedScheme(scheme) => {
                write!(f, "the scheme {scheme:?} is not supported: give an http or https URL")
            }
            UrlError::Malformed(reason) => f.write_str(reason),
        }
    }
}

impl std::error::Error for UrlError {}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), InUrl(&self.host))?;
        if self.port != self.scheme.default_port() {
            write!(f, ":{}", self.port)?;
        }
        f.write_str(&self.target)
    }
}

/// A host as it stands in a URL.
pub(crate) struct InUrl<'a>(pub(crate) &'a str);

impl fmt::Display for InUrl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.split_once('%') {
            // RFC 6874 section 2: the zone's percent sign is percent-encoded.
            Some((address, zone)) => write!(f, "[{address}%25{zone}]"),
            None if self.0.contains(':') => write!(f, "[{}]", self.0),
            None => f.write_str(self.0),
        }
    }
}

impl Url {
    /// Reads a URL. Without a scheme it is taken as `http`. A fragment is dropped, as it is not sent.
    ///
    /// # Errors
    ///
    /// [`UrlError`], with a line that says what to mend.
    pub fn parse(text: &str) -> Result<Url, UrlError> {
        if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return malformed(
                "the URL contains a space or a control character: encode it, such as %20 for a space",
            );
        }
        let (scheme, rest) = split_scheme(text)?;
        let parts = reference::resolve("", "/", &format!("//{}", without_fragment(rest)));
        Url::of_parts(scheme, rest, parts)
    }

    /// The URL of what `resolve` makes of a text that begins with an authority.
    fn of_parts(scheme: Scheme, text: &str, parts: Option<Parts>) -> Result<Url, UrlError> {
        let Some(Parts { authority, tail }) = parts else {
            return malformed("the URL cannot be taken apart: give http://HOST[:PORT]/PATH");
        };
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority.as_str()),
        };
        let (host, port) = split_authority(host_port, Percent::Escapes).map_err(|error| {
            // What is in the place of the port may be half of a password, which is not to be shown.
            let behind = text.get(authority.len()..).unwrap_or_default();
            if userinfo.is_none() && behind.contains('@') { cut_password() } else { error }
        })?;
        let credentials = userinfo.map_or(Ok(None), credentials)?;
        let port = port.unwrap_or(scheme.default_port());
        Ok(Url { scheme, credentials, host, port, target: target(&tail) })
    }

    /// The URL that `reference` means where it is read on the page of this one (RFC 3986 section 5.2).
    ///
    /// A space at either end is dropped; one within is taken as `%20`, as browsers do, since servers send
    /// them. Credentials stay where the reference names no host.
    ///
    /// # Errors
    ///
    /// As [`parse`](Self::parse).
    pub fn join(&self, reference: &str) -> Result<Url, UrlError> {
        let reference = reference.trim_matches([' ', '\t']).replace(' ', "%20");
        let reference = without_fragment(&reference);
        if reference.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return malformed("the reference contains a control character");
        }
        if let Some(scheme) = scheme_of(reference) {
            return match scheme.to_ascii_lowercase().as_str() {
                "http" | "https" if !reference.contains(":/") => {
                    malformed("the URL needs two slashes after its scheme: give http://HOST/")
                }
                "http" | "https" => Url::parse(reference),
                scheme => Err(UrlError::UnsupportedScheme(scheme.to_owned())),
            };
        }
        if reference.starts_with("//") {
            return Url::parse(&format!("{}:{reference}", self.scheme.name()));
        }
        match reference::resolve("h", &self.target, reference) {
            Some(parts) => Ok(Url { target: target(&parts.tail), ..self.clone() }),
            None => malformed("the reference is not a URL"),
        }
    }

    /// The path, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    /// The last segment of the path, still percent-encoded: a name for a file, without a slash or a
    /// backslash, which some systems take for one. `None` where the path ends in either.
    #[must_use]
    pub fn file_name(&self) -> Option<&str> {
        let name = self.path().rsplit(['/', '\\']).next().unwrap_or_default();
        Some(name).filter(|name| !matches!(*name, "" | "." | ".."))
    }

    /// Adds `query`, which is encoded already, to the URL's own query.
    ///
    /// # Errors
    ///
    /// [`UrlError::Malformed`] where it holds what a query cannot: a space, a control, a `#`.
    pub fn push_query(&mut self, query: &str) -> Result<(), UrlError> {
        if query.contains(|c: char| c.is_whitespace() || c.is_control() || c == '#') {
            return malformed(
                "the data contains a character that a URL cannot: write a space as %20, '#' as %23",
            );
        }
        if !query.is_empty() {
            self.target.push(if self.target.contains('?') { '&' } else { '?' });
            self.target.push_str(&ascii(query));
        }
        Ok(())
    }

    /// Puts a file's name behind the path, percent-encoded where a path needs that.
    pub fn push_segment(&mut self, name: &str) {
        let mut segment = String::new();
        for byte in name.bytes() {
            // RFC 3986 section 2.3, "Unreserved Characters".
            if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
                segment.push(char::from(byte));
            } else {
                segment.push_str(&format!("%{byte:02X}"));
            }
        }
        let end = self.path().len();
        self.target.insert_str(end, &segment);
    }

    /// Whether both have the same origin: scheme, host and port (RFC 9110 section 4.3.1).
    #[must_use]
    pub fn is_same_origin(&self, other: &Url) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }
}

/// Reads `HOST:PORT`, where the port is not optional. It is no URL: `%25` stands for itself, so that
/// `[fe80::1%251]:80` is in zone 251.
///
/// # Errors
///
/// [`UrlError::Malformed`], with a line that says what to mend.
pub fn parse_host_port(text: &str) -> Result<(String, u16), UrlError> {
    if text.contains('@') {
        // Not shown: it may hold a password.
        return malformed("the target contains an '@': give HOST:PORT, without a user name");
    }
    if text.contains("://") || text.contains('/') {
        return malformed(format!("{text:?} is not HOST:PORT: drop the scheme and the path"));
    }
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return malformed(format!("{text:?} is not HOST:PORT: it contains a space or a control character"));
    }
    if text.starts_with("::") {
        return malformed(format!(
            "{text:?} is not HOST:PORT: write an IPv6 address in brackets, such as [::1]:80"
        ));
    }
    if text.is_empty() || text.starts_with(':') {
        return malformed(format!("{text:?} has no host: give one before the port, such as example.org:80"));
    }
    match split_authority(text, Percent::Stands)? {
        (host, Some(port)) => Ok((host, port)),
        (_, None) => {
            let host = text.trim_end_matches(':');
            malformed(format!("{text:?} has no port: give {host}:80 or the like"))
        }
    }
}

fn malformed<T>(reason: impl Into<String>) -> Result<T, UrlError> {
    Err(UrlError::Malformed(reason.into()))
}

fn cut_password() -> UrlError {
    let line =
        "the URL has '/', '?' or '#' before an '@': write one that is part of a password as %2F, %3F or %23";
    UrlError::Malformed(line.to_owned())
}

fn without_fragment(text: &str) -> &str {
    text.split_once('#').map_or(text, |(before, _)| before)
}

/// The scheme that a reference begins with (RFC 3986 section 3.1).
fn scheme_of(reference: &str) -> Option<&str> {
    let (scheme, _) = reference.split_once(':')?;
    let mut bytes = scheme.bytes();
    let letter = bytes.next()?.is_ascii_alphabetic();
    Some(scheme).filter(|_| letter && bytes.all(is_scheme_octet))
}

fn is_scheme_octet(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+-.".contains(&byte)
}

/// The scheme, and what follows `://`; all of it where there is none. As curl has it, there may be one slash
/// or three, and what looks like a scheme is one.
fn split_scheme(text: &str) -> Result<(Scheme, &str), UrlError> {
    if matches!(text.to_ascii_lowercase().as_str(), "http:" | "https:") {
        return malformed("the URL needs two slashes after its scheme: give http://HOST/");
    }
    let Some((name, rest)) = text.split_once(":/") else { return Ok((Scheme::Http, text)) };
    let slashes = 1 + rest.bytes().take_while(|byte| *byte == b'/').count();
    let scheme = match name.to_ascii_lowercase().as_str() {
        "" => return malformed("the URL has nothing before \"://\": give an http or https URL"),
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other if other.bytes().all(is_scheme_octet) => {
            return Err(UrlError::UnsupportedScheme(other.to_owned()));
        }
        _ => return Ok((Scheme::Http, text)),
    };
    match slashes {
        1..=3 => Ok((scheme, rest.trim_start_matches('/'))),
        _ => malformed("the URL needs two slashes after its scheme: give http://HOST/"),
    }
}

/// `user:password` or `user`, percent-encoded.
fn credentials(userinfo: &str) -> Result<Option<Credentials>, UrlError> {
    if userinfo.is_empty() {
        return Ok(None);
    }
    if userinfo.contains('@') {
        return malformed("the URL has two '@' before its host: write one that is part of a password as %40");
    }
    let (user, password) = userinfo.split_once(':').unwrap_or((userinfo, ""));
    if userinfo.contains('\\') {
        // A browser takes it for a slash, after which comes no host: the two must not be led to different
        // servers.
        return malformed(
            "the URL has a backslash before its host: write one that is part of a password as %5C",
        );
    }
    match (decoded(user), decoded(password)) {
        // RFC 7617 section 2: "a user-id containing a colon character is invalid".
        (Some(user), Some(_)) if user.contains(':') => malformed("the user name contains a colon"),
        (Some(user), Some(password)) => Ok(Some(Credentials { user, password })),
        _ => malformed("the user name or the password contains a control character or is not UTF-8"),
    }
}

/// `text` with its `%XX` replaced; `None` where what comes out is no text, or holds a control character.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = |digit: &u8| char::from(*digit).to_digit(16);
        let octet = match tail {
            [high, low, ..] if *first == b'%' => hex(high).zip(hex(low)).map(|(high, low)| high * 16 + low),
            _ => None,
        };
        match octet.and_then(|octet| u8::try_from(octet).ok()) {
            Some(octet) => {
                bytes.push(octet);
                rest = tail.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).ok().filter(|text| !text.contains(|c: char| c.is_control()))
}

/// What the percent sign before a zone is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Percent {
    /// An escape: a URL has `%25` in its place (RFC 6874 section 2).
    Escapes,
    /// Itself (RFC 4007 section 11).
    Stands,
}

/// Host and port; the port where there is one.
fn split_authority(authority: &str, percent: Percent) -> Result<(String, Option<u16>), UrlError> {
    if let Some(rest) = authority.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return malformed(format!("the IPv6 address in {authority:?} has no closing bracket"));
        };
        let port = match after.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if after.is_empty() => None,
            None => return malformed(format!("{after:?} after the IPv6 address is not a port")),
        };
        return Ok((ipv6(address, percent)?, port));
    }
    match authority.split_once(':') {
        Some((_, rest)) if rest.contains(':') => {
            malformed(format!("{authority:?} is not a host: write an IPv6 address in brackets"))
        }
        Some((host, port)) => Ok((name(host, percent)?, parse_port(port)?)),
        None => Ok((name(authority, percent)?, None)),
    }
}

/// A port, or `None` for the empty text, which stands for the scheme's own (RFC 3986 section 6.2.3).
fn parse_port(text: &str) -> Result<Option<u16>, UrlError> {
    if text.is_empty() {
        return Ok(None);
    }
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse::<u16>() {
        Ok(0) => malformed("port 0 is not valid: give a number from 1 to 65535"),
        Ok(port) if digits => Ok(Some(port)),
        _ => malformed(format!("{text:?} is not a port: give a number from 1 to 65535")),
    }
}

/// An IPv6 address as it stands within brackets. In a URL the zone may follow `%25`, as RFC 6874 wants it, or
/// a bare `%`, as people write it and curl takes it.
fn ipv6(text: &str, percent: Percent) -> Result<String, UrlError> {
    let (address, zone) = match text.split_once('%') {
        None => (text, None),
        Some((address, zone)) => {
            let escaped =
                zone.strip_prefix("25").filter(|zone| percent == Percent::Escapes && !zone.is_empty());
            (address, Some(escaped.unwrap_or(zone)))
        }
    };
    let Ok(parsed) = address.parse::<Ipv6Addr>() else {
        return malformed(format!("{address:?} is not an IPv6 address"));
    };
    match zone {
        None => Ok(parsed.to_string()),
        Some(zone) if is_zone(zone) => Ok(format!("{parsed}%{zone}")),
        Some(zone) => malformed(format!("{zone:?} is not the zone of an IPv6 address: give an interface")),
    }
}

fn is_zone(zone: &str) -> bool {
    !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte))
}

/// A host's name, or an IPv4 address. In a URL it may be percent-encoded (RFC 3986 section 3.2.2).
fn name(text: &str, percent: Percent) -> Result<String, UrlError> {
    if text.is_empty() {
        return malformed("the URL has no host");
    }
    let plain = if percent == Percent::Escapes && text.contains('%') { decoded(text) } else { None };
    let plain = plain.unwrap_or_else(|| text.to_owned());
    let name = match plain.is_ascii() {
        true => ascii_name(&plain)?,
        false => ascii_name(&to_ascii(&plain)?)?,
    };
    let address = ipv4(&name).filter(|_| percent == Percent::Escapes);
    Ok(address.map_or(name, |address| address.to_string()))
}

/// An IPv4 address of one to four numbers, decimal, octal or hexadecimal, of which the last one fills what
/// the others leave: `127.1`, `0x7f000001`. As in curl and browsers, that is what such a host means in a URL.
fn ipv4(name: &str) -> Option<Ipv4Addr> {
    let number = |text: &str| match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None if text.len() > 1 && text.starts_with('0') => u32::from_str_radix(text, 8).ok(),
        None => text.parse().ok(),
    };
    let numbers = name.split('.').map(number).collect::<Option<Vec<u32>>>()?;
    let (last, first) = numbers.split_last().filter(|(_, first)| first.len() < 4)?;
    let mut address: u32 = 0;
    for (octet, shift) in first.iter().zip([24, 16, 8]) {
        address |= u32::from(u8::try_from(*octet).ok()?) << shift;
    }
    let room = u32::MAX.checked_shr(8 * u32::try_from(first.len()).ok()?)?;
    (*last <= room).then(|| Ipv4Addr::from(address | last))
}

/// The `xn--` form of a name of another script.
#[cfg(feature = "idna")]
fn to_ascii(name: &str) -> Result<String, UrlError> {
    let ascii = crate::idn::to_ascii(name);
    ascii.map_or_else(|| malformed(format!("{name:?} is not a host name in any script")), Ok)
}

#[cfg(not(feature = "idna"))]
fn to_ascii(name: &str) -> Result<String, UrlError> {
    malformed(format!("{name:?} is not ASCII: write the name in its xn-- form"))
}

fn ascii_name(text: &str) -> Result<String, UrlError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if let Some(other) = text.chars().find(|c| !allowed(*c)) {
        return malformed(format!("a host name cannot contain {other:?}"));
    }
    // One dot at the end marks a name as complete and is not counted.
    let relative = text.strip_suffix('.').unwrap_or(text);
    if relative.len() > MAX_HOST {
        return malformed(format!("the host name has {} octets; the maximum is {MAX_HOST}", relative.len()));
    }
    for label in relative.split('.') {
        match label.len() {
            0 => return malformed(format!("{text:?} is not a host name: there is nothing between two dots")),
            1..=MAX_LABEL => {}
            long => {
                return malformed(format!(
                    "a label of the host name has {long} octets; the maximum is {MAX_LABEL}"
                ));
            }
        }
    }
    Ok(text.to_ascii_lowercase())
}

/// Path and query for the request line: with a path, and in ASCII.
fn target(tail: &str) -> String {
    let slash = if tail.starts_with('/') { "" } else { "/" };
    ascii(&format!("{slash}{tail}"))
}

/// `text` with what is not ASCII as RFC 3987 section 3.1 has it: the octets of UTF-8, each percent-encoded.
fn ascii(text: &str) -> String {
    let mut ascii = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            0x00..=0x7f => ascii.push(char::from(byte)),
            _ => ascii.push_str(&format!("%{byte:02X}")),
        }
    }
    ascii
}

#[cfg(test)]
mod tests;
