//! Service records (RFC 9460): where else a service is available.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::cursor::take_u16;
use crate::name::{LONGEST_NAME, Name, NameError, labels, write_name};

/// The keys of RFC 9460 section 14.3.2 that are understood here.
mod key {
    pub(super) const MANDATORY: u16 = 0;
    pub(super) const ALPN: u16 = 1;
    pub(super) const NO_DEFAULT_ALPN: u16 = 2;
    pub(super) const PORT: u16 = 3;
    pub(super) const IPV4_HINT: u16 = 4;
    pub(super) const IPV6_HINT: u16 = 6;
}

/// One HTTPS record.
#[derive(Clone, Copy)]
pub struct ServiceBinding<'a> {
    priority: u16,
    /// Written out, the root for the owner itself.
    target: &'a [u8],
    /// In the form of the record; they have been checked.
    parameters: &'a [u8],
    /// A key that must be understood, and is not.
    unknown: Option<u16>,
}

/// Why a service record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum ServiceBindingError {
    /// It is malformed: "the client MUST reject the entire RRset" (RFC 9460 section 2.2).
    Malformed,
    /// This key is mandatory in it, and not supported here (RFC 9460 section 8).
    Mandatory(u16),
}

impl fmt::Display for ServiceBindingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServiceBindingError::Malformed => f.write_str("malformed"),
            ServiceBindingError::Mandatory(key) => write!(f, "its mandatory key {key} is not supported"),
        }
    }
}

impl core::error::Error for ServiceBindingError {}

impl<'a> ServiceBinding<'a> {
    /// 0 for an alias, which beats all other records (RFC 9460 section 2.4.1); otherwise the lowest number
    /// comes first.
    #[must_use]
    pub const fn priority(&self) -> u16 {
        self.priority
    }

    /// Whether it is only an alias of another name.
    #[must_use]
    pub const fn is_alias(&self) -> bool {
        self.priority == 0
    }

    /// The host of the service; `None` for the record's owner itself, and in an alias for no host at all (RFC
    /// 9460 section 2.5).
    ///
    /// # Errors
    ///
    /// [`NameError`] if it is longer than `N` octets.
    pub fn target<const N: usize>(&self) -> Option<Result<Name<N>, NameError>> {
        let mut names = labels(self.target).peekable();
        names.peek()?;
        let mut name = Name::absent();
        let end = names.try_for_each(|label| name.push_label(label)).and_then(|()| name.end());
        Some(end.map(|()| name))
    }

    /// Its port, if it differs from that of the URL.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.parameter(key::PORT).and_then(|mut value| take_u16(&mut value))
    }

    /// The protocols it speaks, as TLS names them, beside the default `http/1.1`.
    pub fn alpn(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        // Each goes after its length, as labels do.
        labels(self.parameter(key::ALPN).unwrap_or_default())
    }

    /// Whether it speaks `http/1.1`, which is the default (RFC 9460 section 9.2).
    #[must_use]
    pub fn speaks_http1(&self) -> bool {
        self.parameter(key::NO_DEFAULT_ALPN).is_none() || self.alpn().any(|protocol| protocol == b"http/1.1")
    }

    /// What the addresses of the target are likely to be.
    pub fn hints(&self) -> impl Iterator<Item = IpAddr> + use<'a> {
        let v4 = addresses::<4, Ipv4Addr>(self.parameter(key::IPV4_HINT).unwrap_or_default());
        v4.chain(addresses::<16, Ipv6Addr>(self.parameter(key::IPV6_HINT).unwrap_or_default()))
    }

    /// Whether it can be used.
    ///
    /// # Errors
    ///
    /// [`ServiceBindingError::Mandatory`].
    pub const fn check(&self) -> Result<(), ServiceBindingError> {
        match self.unknown {
            Some(key) => Err(ServiceBindingError::Mandatory(key)),
            None => Ok(()),
        }
    }

    fn parameter(&self, key: u16) -> Option<&'a [u8]> {
        Parameters(self.parameters).find(|(of, _)| *of == key).map(|(_, value)| value)
    }

    /// Reads the parameters. "SvcParamKeys SHALL appear in increasing numeric order", and a value has the
    /// form of its key; else "Clients MUST consider an RR malformed" (RFC 9460 section 2.2).
    fn new(priority: u16, target: &'a [u8], parameters: &'a [u8]) -> Option<Self> {
        if priority == 0 {
            // In an alias "recipients MUST ignore any SvcParams that are present" (section 2.4.2).
            return Some(ServiceBinding { priority, target, parameters: &[], unknown: None });
        }
        let mut service = ServiceBinding { priority, target, parameters, unknown: None };
        let (mut last, mut rest) = (None, Parameters(parameters));
        for (key, value) in rest.by_ref() {
            if last.is_some_and(|last| key <= last) || !has_its_form(key, value) {
                return None;
            }
            last = Some(key);
        }
        // "no-default-alpn" goes with "alpn" (section 7.1.1).
        let alone =
            service.parameter(key::NO_DEFAULT_ALPN).is_some() && service.parameter(key::ALPN).is_none();
        if alone || !rest.0.is_empty() {
            return None;
        }
        let mandatory = || numbers(service.parameter(key::MANDATORY).unwrap_or_default());
        if mandatory().any(|key| service.parameter(key).is_none()) {
            // "If any are missing, the record is malformed" is what section 8 comes to.
            return None;
        }
        let known = |key: u16| (key::ALPN..=key::IPV4_HINT).contains(&key) || key == key::IPV6_HINT;
        let unknown = mandatory().find(|key| !known(*key));
        service.unknown = unknown;
        Some(service)
    }
}

impl fmt::Debug for ServiceBinding<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.priority)?;
        write_name(self.target, f)?;
        self.port().map_or(Ok(()), |port| write!(f, " port={port}"))?;
        self.alpn().try_for_each(|protocol| write!(f, " alpn={}", protocol.escape_ascii()))?;
        self.hints().try_for_each(|ip| write!(f, " hint={ip}"))?;
        self.unknown.map_or(Ok(()), |key| write!(f, " mandatory=key{key}"))
    }
}

/// The parameters of a record, as far as they can be told from each other.
struct Parameters<'a>(&'a [u8]);

impl<'a> Iterator for Parameters<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let mut rest = self.0;
        let (key, length) = (take_u16(&mut rest)?, take_u16(&mut rest)?);
        let (value, after) = rest.split_at_checked(usize::from(length))?;
        self.0 = after;
        Some((key, value))
    }
}

fn has_its_form(key: u16, value: &[u8]) -> bool {
    let is_list_of = |size: usize| !value.is_empty() && value.chunks_exact(size).remainder().is_empty();
    match key {
        // Not empty, in increasing order, and not "mandatory" itself (section 8).
        key::MANDATORY => {
            is_list_of(2) && numbers(value).is_sorted_by(|a, b| a < b) && !numbers(value).any(|key| key == 0)
        }
        // Each protocol after its length, none empty, at least one (section 7.1.1).
        key::ALPN => !value.is_empty() && is_list_of_protocols(value),
        key::NO_DEFAULT_ALPN => value.is_empty(),
        key::PORT => value.len() == 2,
        key::IPV4_HINT => is_list_of(4),
        key::IPV6_HINT => is_list_of(16),
        _ => true,
    }
}

fn is_list_of_protocols(mut value: &[u8]) -> bool {
    while let Some((length, rest)) = value.split_first() {
        match rest.get(usize::from(*length)..) {
            Some(after) if *length > 0 => value = after,
            _ => return false,
        }
    }
    true
}

fn numbers(value: &[u8]) -> impl Iterator<Item = u16> {
    let number = |pair: &[u8]| <[u8; 2]>::try_from(pair).ok().map(u16::from_be_bytes);
    value.chunks_exact(2).filter_map(number)
}

fn addresses<'a, const L: usize, T: From<[u8; L]> + Into<IpAddr>>(
    octets: &'a [u8],
) -> impl Iterator<Item = IpAddr> + use<'a, L, T> {
    octets.chunks_exact(L).filter_map(|chunk| Some(T::from(<[u8; L]>::try_from(chunk).ok()?).into()))
}

/// An iterator over service records, in the order of the message. Each is parsed when it is reached.
#[derive(Clone, Debug)]
pub struct ServiceBindings<'a>(pub(crate) &'a [u8]);

impl<'a> Iterator for ServiceBindings<'a> {
    type Item = Result<ServiceBinding<'a>, ServiceBindingError>;

    fn next(&mut self) -> Option<Self::Item> {
        let length = take_u16(&mut self.0)?;
        let (record, after) = self.0.split_at_checked(usize::from(length))?;
        self.0 = after;
        Some(read(record).ok_or(ServiceBindingError::Malformed))
    }
}

/// Reads the data of a record (RFC 9460 section 2.2): its priority, its target, which is "in uncompressed
/// wire format", and parameters.
fn read(mut record: &[u8]) -> Option<ServiceBinding<'_>> {
    let priority = take_u16(&mut record)?;
    // The root ends the target.
    let length = labels(record).fold(0_usize, |sum, label| sum.saturating_add(label.len()).saturating_add(1));
    let (target, parameters) = record.split_at_checked(length.saturating_add(1))?;
    let is_name = target.last() == Some(&0) && labels(target).all(|label| label.len() < 64);
    ServiceBinding::new(priority, target, parameters).filter(|_| is_name && target.len() <= LONGEST_NAME)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    fn parse(parameters: &[u8]) -> Result<ServiceBinding<'_>, ServiceBindingError> {
        let service = ServiceBinding::new(1, b"\0", parameters).ok_or(ServiceBindingError::Malformed)?;
        service.check().map(|()| service)
    }

    #[test]
    fn the_record_of_the_standard_s_appendix() {
        // RFC 9460 appendix D.2, figure 9: 16 foo.example.org. (alpn=h2,h3-19 mandatory=ipv4hint,alpn
        // ipv4hint=192.0.2.1)
        let parameters = b"\x00\x00\x00\x04\x00\x01\x00\x04\
            \x00\x01\x00\x09\x02h2\x05h3-19\
            \x00\x04\x00\x04\xc0\x00\x02\x01";
        let service = parse(parameters).expect("a record of use");
        assert_eq!(service.alpn().collect::<Vec<_>>(), [&b"h2"[..], b"h3-19"]);
        assert_eq!(service.hints().collect::<Vec<_>>(), [IpAddr::from([192, 0, 2, 1])]);
        assert!(service.speaks_http1() && service.port().is_none());
        assert!(service.target::<255>().is_none(), "the owner itself");
    }

    #[test]
    fn without_the_default_only_what_is_listed_is_spoken() {
        assert!(!parse(b"\x00\x01\x00\x03\x02h2\x00\x02\x00\x00").expect("of use").speaks_http1());
        assert!(parse(b"\x00\x01\x00\x09\x08http/1.1\x00\x02\x00\x00").expect("of use").speaks_http1());
    }

    #[test]
    fn a_key_that_must_be_understood_and_is_not() {
        // mandatory=ech, and a key from the range for private use.
        let fault = |parameters| parse(parameters).expect_err("a fault");
        assert_eq!(fault(b"\x00\x00\x00\x02\x00\x05\x00\x05\x00\x01x"), ServiceBindingError::Mandatory(5));
        assert_eq!(
            fault(b"\x00\x00\x00\x02\xff\x00\xff\x00\x00\x00"),
            ServiceBindingError::Mandatory(0xff00)
        );
        assert!(parse(b"\xff\x00\x00\x00").is_ok(), "what need not be understood is passed over");
    }

    #[test]
    fn malformed_records() {
        for (what, parameters) in [
            ("a key cut short", &b"\x00"[..]),
            ("a value cut short", b"\x00\x03\x00\x02\x01"),
            ("a key twice", b"\x00\x03\x00\x02\x01\x00\x00\x03\x00\x02\x01\x00"),
            ("keys in the wrong order", b"\x00\x03\x00\x02\x01\x00\x00\x01\x00\x03\x02h2"),
            ("a port of three octets", b"\x00\x03\x00\x03\x01\x00\x00"),
            ("no protocol", b"\x00\x01\x00\x00"),
            ("an empty protocol", b"\x00\x01\x00\x01\x00"),
            ("a protocol cut short", b"\x00\x01\x00\x02\x02h"),
            ("no-default-alpn with a value", b"\x00\x01\x00\x03\x02h2\x00\x02\x00\x01x"),
            ("no-default-alpn alone", b"\x00\x02\x00\x00"),
            ("no hint", b"\x00\x04\x00\x00"),
            ("half a hint", b"\x00\x06\x00\x08\x00\x00\x00\x00\x00\x00\x00\x00"),
            ("nothing mandatory", b"\x00\x00\x00\x00"),
            ("mandatory itself", b"\x00\x00\x00\x02\x00\x00"),
            ("a mandatory key that is not there", b"\x00\x00\x00\x02\x00\x01"),
            ("a mandatory key twice", b"\x00\x00\x00\x04\x00\x03\x00\x03\x00\x03\x00\x02\x01\x00"),
        ] {
            assert_eq!(parse(parameters).err(), Some(ServiceBindingError::Malformed), "{what}");
        }
    }

    #[test]
    fn the_target_is_a_name_that_ends() {
        for (what, record) in [
            ("nothing", &b""[..]),
            ("no target", b"\x00\x01"),
            ("a target without an end", b"\x00\x01\x01a"),
            ("a target cut short", b"\x00\x01\x02a\x00"),
            ("a pointer", b"\x00\x01\xc0\x0c"),
            ("a parameter cut short", b"\x00\x01\x00\x00\x03\x00\x02\x01"),
        ] {
            assert!(read(record).is_none(), "{what}");
        }
        let long = [&b"\x00\x01"[..], &[b"\x3f".as_slice(), &[b'x'; 63]].concat().repeat(4), b"\0"].concat();
        assert!(read(&long).is_none(), "257 octets");
        let service = read(b"\x00\x01\x01A\x00").expect("a record");
        assert_eq!(service.target::<255>(), Some(Name::parse("a")));
        // One record that cannot be read leaves the others to be read.
        let mut services = ServiceBindings(b"\x00\x01x\x00\x03\x00\x07\x00\x00\x05\x00");
        assert!(matches!(services.next(), Some(Err(ServiceBindingError::Malformed))));
        assert!(matches!(services.next(), Some(Ok(service)) if service.priority() == 7));
        assert!(services.next().is_none());
    }

    #[test]
    fn an_alias_has_no_parameters() {
        let alias = ServiceBinding::new(0, b"\x05other\x04test\0", b"nonsense").expect("an alias");
        assert!(alias.is_alias() && alias.check().is_ok() && alias.alpn().next().is_none());
        assert_eq!(alias.target::<255>(), Some(Name::parse("other.test")));
        assert_eq!(alias.target::<8>(), Some(Err(NameError::TooLong)));
    }
}
