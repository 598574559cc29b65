//! Between the core's addresses and times and smoltcp's.

use core::net::SocketAddr;

use connie_core::Instant;
use smoltcp::wire::{IpAddress, IpEndpoint};

/// `address` as smoltcp has it; `None` where its family is not built in. An IPv4-mapped IPv6 address goes out
/// as IPv4.
pub(crate) fn ip(address: core::net::IpAddr) -> Option<IpAddress> {
    match address.to_canonical() {
        #[cfg(feature = "ipv4")]
        core::net::IpAddr::V4(v4) => Some(IpAddress::Ipv4(v4)),
        #[cfg(feature = "ipv6")]
        core::net::IpAddr::V6(v6) => Some(IpAddress::Ipv6(v6)),
        _ => None,
    }
}

/// The same with its port.
pub(crate) fn endpoint(address: SocketAddr) -> Option<IpEndpoint> {
    Some(IpEndpoint::new(ip(address.ip())?, address.port()))
}

/// Back again.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn socket_addr(endpoint: IpEndpoint) -> SocketAddr {
    SocketAddr::new(endpoint.addr.into(), endpoint.port)
}

/// Adds an address to the hash of `others` (FNV-1a).
pub(crate) fn hash(others: u32, address: core::net::IpAddr) -> u32 {
    let fold = |octets: &[u8]| {
        octets.iter().fold(others, |hash, octet| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193))
    };
    match address {
        core::net::IpAddr::V4(v4) => fold(&v4.octets()),
        core::net::IpAddr::V6(v6) => fold(&v6.octets()),
    }
}

/// The hash of no address: what [`hash`] begins with.
pub(crate) const NO_HASH: u32 = 0x811c_9dc5;

/// smoltcp counts microseconds in an `i64` and adds time spans of up to 584,000 years to it. Half of its
/// range (146,000 years) is held here, so that none of its sums of a moment and an interval of days
/// overflows.
pub(crate) fn to_smoltcp(time: Instant) -> smoltcp::time::Instant {
    const LATEST: i64 = i64::MAX / 2;
    smoltcp::time::Instant::from_micros(i64::try_from(time.as_micros()).unwrap_or(LATEST).min(LATEST))
}

/// Back again; smoltcp's "at once" is a time that has passed.
pub(crate) fn from_smoltcp(time: smoltcp::time::Instant) -> Instant {
    Instant::from_micros(u64::try_from(time.total_micros()).unwrap_or(0))
}

/// The sooner of two moments, either of which may never come.
pub(crate) fn sooner(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
