//! Records, octet by octet.

use std::net::IpAddr;

/// A name as a message has it.
///
/// # Panics
///
/// If a label is too long for one.
#[must_use]
pub fn wire(name: &str) -> Vec<u8> {
    let mut octets = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        octets.push(u8::try_from(label.len()).expect("a label has 63 octets at most"));
        octets.extend(label.as_bytes());
    }
    octets.push(0);
    octets
}

/// A record: its owner, type, time to live and data.
///
/// # Panics
///
/// If the data are too long for a message.
#[must_use]
pub fn record(owner: &[u8], number: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).expect("data fits into a message");
    [owner, &number.to_be_bytes(), &[0, 1], &ttl.to_be_bytes(), &length.to_be_bytes(), data].concat()
}

/// The name of the question.
pub(super) const QUESTION: &[u8] = b"\xc0\x0c";
/// Of the records of an answer.
pub const TTL: u32 = 300;
/// Of negative answers.
pub const SOA_TTL: u32 = 30;

pub(super) fn address(owner: &[u8], ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => record(owner, 1, TTL, &ip.octets()),
        IpAddr::V6(ip) => record(owner, 28, TTL, &ip.octets()),
    }
}

pub(super) fn soa(zone: &str) -> Vec<u8> {
    let numbers: Vec<u8> = [1, 2, 3, 4, SOA_TTL].into_iter().flat_map(u32::to_be_bytes).collect();
    record(&wire(zone), 6, 3_600, &[wire("ns.test"), wire("mail.test"), numbers].concat())
}
