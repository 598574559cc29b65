//! Service records (RFC 9460): where else a service is available.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::Name;

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Service {
    /// The record's owner: the name that was asked for, or what its aliases lead to.
    pub(super) owner: Name,
    /// 0 for an alias; otherwise the record with the least number goes first.
    pub(super) priority: u16,
    /// Where the service is; `None` for the owner itself, and in an alias for nowhere.
    pub(super) target: Option<Name>,
    /// At which port, where it is not the one of the URL.
    pub(super) port: Option<u16>,
    /// What the addresses of the target are likely to be.
    pub(super) hints: Vec<IpAddr>,
    /// The protocols it speaks, as TLS names them, beside the default `http/1.1`.
    pub(super) alpn: Vec<String>,
    /// Whether it speaks `http/1.1`.
    pub(super) http1: bool,
    /// Why it cannot be used.
    pub(super) fault: Option<ServiceFault>,
}

/// Why a service record cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServiceFault {
    /// It breaks the rules: all records beside it are of no use either (RFC 9460 section 2.2).
    Malformed,
    /// It demands that this key be understood, and it is not (RFC 9460 section 8).
    Mandatory(u16),
}

impl Service {
    fn new(owner: Name, priority: u16, target: Option<Name>) -> Self {
        Service {
            owner,
            priority,
            target,
            port: None,
            hints: Vec::new(),
            alpn: Vec::new(),
            http1: true,
            fault: None,
        }
    }

    /// A record that cannot be read.
    pub(super) fn malformed(owner: Name) -> Self {
        Service { fault: Some(ServiceFault::Malformed), ..Self::new(owner, u16::MAX, None) }
    }

    /// Whether it only leads to another name.
    pub(super) fn is_alias(&self) -> bool {
        self.priority == 0
    }

    /// Reads the parameters. "SvcParamKeys SHALL appear in increasing numeric order", and a value has the
    /// form of its key; else "Clients MUST consider an RR malformed" (RFC 9460 section 2.2).
    pub(super) fn parse(owner: Name, priority: u16, target: Option<Name>, parameters: &[u8]) -> Self {
        let mut service = Self::new(owner, priority, target);
        if service.is_alias() {
            // In an alias "recipients MUST ignore any SvcParams that are present" (section 2.4.2).
            return service;
        }
        if service.take_all(parameters).is_none() {
            return Self::malformed(service.owner);
        }
        service
    }

    fn take_all(&mut self, mut rest: &[u8]) -> Option<()> {
        let (mut last, mut present, mut mandatory) = (None, Vec::new(), Vec::new());
        while !rest.is_empty() {
            let key = take_u16(&mut rest)?;
            let length = take_u16(&mut rest)?;
            let (value, after) = rest.split_at_checked(length.into())?;
            if last.is_some_and(|last| key <= last) {
                return None;
            }
            (rest, last) = (after, Some(key));
            present.push(key);
            if key == key::MANDATORY {
                mandatory = keys(value)?;
            } else {
                self.take(key, value)?;
            }
        }
        // "no-default-alpn" goes with "alpn" (section 7.1.1); mandatory keys must be there (section 8).
        let alone = !self.http1 && !present.contains(&key::ALPN);
        if alone || mandatory.iter().any(|key| !present.contains(key)) {
            return None;
        }
        self.http1 |= self.alpn.iter().any(|protocol| protocol == "http/1.1");
        let known = |key: u16| (key::ALPN..=key::IPV4_HINT).contains(&key) || key == key::IPV6_HINT;
        self.fault = mandatory.into_iter().find(|key| !known(*key)).map(ServiceFault::Mandatory);
        Some(())
    }

    fn take(&mut self, key: u16, value: &[u8]) -> Option<()> {
        match key {
            key::ALPN => self.alpn = protocols(value)?,
            key::NO_DEFAULT_ALPN if value.is_empty() => self.http1 = false,
            key::PORT => self.port = Some(u16::from_be_bytes(value.try_into().ok()?)),
            key::IPV4_HINT => self.hints.extend(hints::<4, Ipv4Addr>(value)?),
            key::IPV6_HINT => self.hints.extend(hints::<16, Ipv6Addr>(value)?),
            key::NO_DEFAULT_ALPN => return None,
            _ => {}
        }
        Some(())
    }
}

fn take_u16(bytes: &mut &[u8]) -> Option<u16> {
    let (number, rest) = bytes.split_first_chunk::<2>()?;
    *bytes = rest;
    Some(u16::from_be_bytes(*number))
}

/// The list of mandatory keys: not empty, in increasing order, and not "mandatory" itself (RFC 9460
/// section 8).
fn keys(mut value: &[u8]) -> Option<Vec<u16>> {
    let mut keys = Vec::new();
    while !value.is_empty() {
        let key = take_u16(&mut value)?;
        if key <= keys.last().copied().unwrap_or(key::MANDATORY) {
            return None;
        }
        keys.push(key);
    }
    (!keys.is_empty()).then_some(keys)
}

/// The list of protocols, each after its length, none empty, at least one (RFC 9460 section 7.1.1).
fn protocols(mut value: &[u8]) -> Option<Vec<String>> {
    let mut protocols = Vec::new();
    while let Some((length, rest)) = value.split_first() {
        let (protocol, rest) = rest.split_at_checked(usize::from(*length))?;
        if protocol.is_empty() {
            return None;
        }
        protocols.push(protocol.escape_ascii().to_string());
        value = rest;
    }
    (!protocols.is_empty()).then_some(protocols)
}

/// At least one address (RFC 9460 section 7.3).
fn hints<const N: usize, T: From<[u8; N]> + Into<IpAddr>>(value: &[u8]) -> Option<Vec<IpAddr>> {
    let chunks = value.chunks_exact(N);
    if value.is_empty() || !chunks.remainder().is_empty() {
        return None;
    }
    let address = |chunk: &[u8]| <[u8; N]>::try_from(chunk).ok().map(|octets| T::from(octets).into());
    chunks.map(address).collect()
}
