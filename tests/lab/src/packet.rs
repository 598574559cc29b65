//! IP packets that carry TCP: reading, readdressing and making them, with right checksums.
//!
//! Only what the kernel's TCP sends over a TUN device is understood: IPv4 (RFC 791) without fragments and
//! IPv6 (RFC 8200) without extension headers. Everything else reads as "not TCP".

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::behaviour::Unreachable;

const TCP: u8 = 6;
const ICMP_V4: u8 = 1;
const ICMP_V6: u8 = 58;
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
const TCP_HEADER: usize = 20;
/// An ICMP error quotes no more than this, so that it fits the smallest packet of either family
/// (576 octets, RFC 1812 section 4.3.2.3).
const MOST_QUOTED: usize = 528;

/// The control bits of a TCP header (RFC 9293 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(u8);

impl Flags {
    /// The sender has no more data.
    pub const FIN: Self = Self(0x01);
    /// The sender's first segment.
    pub const SYN: Self = Self(0x02);
    /// The connection is gone.
    pub const RST: Self = Self(0x04);
    /// The acknowledgement number counts.
    pub const ACK: Self = Self(0x10);

    /// Whether every bit of `other` is set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both sets of bits.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// The header fields of one TCP segment that the laboratory looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Who sent it.
    pub source: SocketAddr,
    /// Whom it is for.
    pub destination: SocketAddr,
    /// The sequence number.
    pub sequence: u32,
    /// The acknowledgement number; it counts only with [`Flags::ACK`].
    pub acknowledgement: u32,
    /// The control bits.
    pub flags: Flags,
}

impl Segment {
    /// Reads an IP packet; `None` if it is not TCP or is cut short.
    #[must_use]
    pub fn parse(packet: &[u8]) -> Option<Self> {
        let (source, destination, tcp) = split(packet)?;
        Some(Self {
            source: SocketAddr::new(source, read_u16(tcp, 0)?),
            destination: SocketAddr::new(destination, read_u16(tcp, 2)?),
            sequence: read_u32(tcp, 4)?,
            acknowledgement: read_u32(tcp, 8)?,
            flags: Flags(*tcp.get(13)?),
        })
    }

    /// Whether this opens a connection: SYN without ACK.
    #[must_use]
    pub const fn is_syn(&self) -> bool {
        self.flags.has(Flags::SYN) && !self.flags.has(Flags::ACK)
    }

    /// Whether this answers a SYN with "yes".
    #[must_use]
    pub const fn is_syn_ack(&self) -> bool {
        self.flags.has(Flags::SYN.with(Flags::ACK))
    }

    /// The packet that carries this segment with no data and no options.
    ///
    /// # Panics
    /// When source and destination are of different families.
    #[must_use]
    pub fn to_packet(&self) -> Vec<u8> {
        let mut tcp = vec![0; TCP_HEADER];
        write(&mut tcp, 4, &self.sequence.to_be_bytes());
        write(&mut tcp, 8, &self.acknowledgement.to_be_bytes());
        // Data offset in words, the flags, and a window of 64 KiB.
        write(&mut tcp, 12, &[0x50, self.flags.0, 0xff, 0xff]);
        let mut packet = wrap(self.source.ip(), self.destination.ip(), TCP, &tcp);
        readdress(&mut packet, self.source, self.destination);
        packet
    }

    /// The segment that refuses this SYN (RFC 9293 section 3.10.7.1).
    #[must_use]
    pub const fn refusal(&self) -> Self {
        Self {
            source: self.destination,
            destination: self.source,
            sequence: 0,
            acknowledgement: self.sequence.wrapping_add(1),
            flags: Flags::RST.with(Flags::ACK),
        }
    }
}

/// Gives a TCP packet a new source and destination, and makes its checksums right again.
///
/// # Panics
/// When the packet is not TCP, or an address is of the other family.
pub fn readdress(packet: &mut [u8], source: SocketAddr, destination: SocketAddr) {
    let header = header_length(packet).expect("only a packet that parsed is readdressed");
    match (packet[0] >> 4, source.ip(), destination.ip()) {
        (4, IpAddr::V4(from), IpAddr::V4(to)) => {
            write(packet, 12, &from.octets());
            write(packet, 16, &to.octets());
            write(packet, 10, &[0, 0]);
            let sum = checksum(&[&packet[..header]]);
            write(packet, 10, &sum.to_be_bytes());
        }
        (6, IpAddr::V6(from), IpAddr::V6(to)) => {
            write(packet, 8, &from.octets());
            write(packet, 24, &to.octets());
        }
        _ => panic!("{source} and {destination} do not fit the packet's family"),
    }
    let tcp = &mut packet[header..];
    write(tcp, 0, &source.port().to_be_bytes());
    write(tcp, 2, &destination.port().to_be_bytes());
    write(tcp, 16, &[0, 0]);
    let sum = transport_checksum(source.ip(), destination.ip(), TCP, tcp);
    write(tcp, 16, &sum.to_be_bytes());
}

/// The ICMP error (RFC 792, RFC 4443 section 3.1) that tells the sender of `packet` why it went no further.
/// `router` is the address that says so.
///
/// # Panics
/// When `packet` is not an IP packet, or `router` is of the other family.
#[must_use]
pub fn unreachable(packet: &[u8], reason: Unreachable, router: IpAddr) -> Vec<u8> {
    let (to, _, _) = split(packet).expect("only a packet that parsed draws an ICMP error");
    let (protocol, kind, code) = match router {
        IpAddr::V4(_) => (ICMP_V4, 3, reason.code_v4()),
        IpAddr::V6(_) => (ICMP_V6, 1, reason.code_v6()),
    };
    let mut message = vec![kind, code, 0, 0, 0, 0, 0, 0];
    message.extend_from_slice(&packet[..packet.len().min(MOST_QUOTED)]);
    let sum = match router {
        IpAddr::V4(_) => checksum(&[&message]),
        IpAddr::V6(_) => transport_checksum(router, to, protocol, &message),
    };
    write(&mut message, 2, &sum.to_be_bytes());
    wrap(router, to, protocol, &message)
}

/// Source, destination and transport part of an IP packet that carries TCP.
fn split(packet: &[u8]) -> Option<(IpAddr, IpAddr, &[u8])> {
    let header = header_length(packet)?;
    let (source, destination, protocol): (IpAddr, IpAddr, u8) = match packet[0] >> 4 {
        4 => {
            let from: [u8; 4] = packet.get(12..16)?.try_into().ok()?;
            let to: [u8; 4] = packet.get(16..20)?.try_into().ok()?;
            (Ipv4Addr::from(from).into(), Ipv4Addr::from(to).into(), packet[9])
        }
        _ => {
            let from: [u8; 16] = packet.get(8..24)?.try_into().ok()?;
            let to: [u8; 16] = packet.get(24..40)?.try_into().ok()?;
            (Ipv6Addr::from(from).into(), Ipv6Addr::from(to).into(), packet[6])
        }
    };
    let transport = packet.get(header..).filter(|part| part.len() >= TCP_HEADER)?;
    (protocol == TCP).then_some((source, destination, transport))
}

/// Octets before the transport header; `None` if this is no whole IP header.
fn header_length(packet: &[u8]) -> Option<usize> {
    let length = match packet.first()? >> 4 {
        4 => usize::from(packet[0] & 0x0f) * 4,
        6 => IPV6_HEADER,
        _ => return None,
    };
    (length >= IPV4_HEADER && packet.len() >= length).then_some(length)
}

/// An IP packet around a transport part.
fn wrap(source: IpAddr, destination: IpAddr, protocol: u8, transport: &[u8]) -> Vec<u8> {
    let length = u16::try_from(transport.len()).expect("the laboratory makes short packets");
    let mut packet = match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            // Version 4, five words; do not fragment; 64 hops.
            let mut header = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 64, protocol, 0, 0];
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            write(&mut header, 2, &(length + 20).to_be_bytes());
            let sum = checksum(&[&header]);
            write(&mut header, 10, &sum.to_be_bytes());
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            // Version 6, no flow label; 64 hops.
            let mut header = vec![0x60, 0, 0, 0, 0, 0, protocol, 64];
            write(&mut header, 4, &length.to_be_bytes());
            header.extend_from_slice(&from.octets());
            header.extend_from_slice(&to.octets());
            header
        }
        _ => panic!("{source} and {destination} are of different families"),
    };
    packet.extend_from_slice(transport);
    packet
}

/// The checksum over a pseudo-header and the transport part (RFC 9293 section 3.1, RFC 8200 section 8.1),
/// whose own checksum field must be zero.
fn transport_checksum(source: IpAddr, destination: IpAddr, protocol: u8, transport: &[u8]) -> u16 {
    let length = u32::try_from(transport.len()).expect("an IP packet is shorter than 64 KiB").to_be_bytes();
    let protocol = [0, protocol];
    match (source, destination) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            checksum(&[&from.octets(), &to.octets(), &protocol, &length, transport])
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            checksum(&[&from.octets(), &to.octets(), &length, &protocol, transport])
        }
        _ => panic!("{source} and {destination} are of different families"),
    }
}

/// The Internet checksum (RFC 1071) of the parts, each but the last of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum: u64 = 0;
    for part in parts {
        let mut words = part.chunks_exact(2);
        sum += words.by_ref().map(|word| u64::from(u16::from_be_bytes([word[0], word[1]]))).sum::<u64>();
        sum += words.remainder().first().map_or(0, |last| u64::from(*last) << 8);
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).expect("folded to 16 bits above")
}

fn read_u16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn write(bytes: &mut [u8], at: usize, value: &[u8]) {
    bytes[at..at + value.len()].copy_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN from 192.0.2.1 to 192.0.2.2, as a Linux kernel sent it.
    const REAL_SYN: [u8; 60] = [
        0x45, 0x00, 0x00, 0x3c, 0x3f, 0x8c, 0x40, 0x00, 0x40, 0x06, 0x77, 0x2c, 0xc0, 0x00, 0x02, 0x01, 0xc0,
        0x00, 0x02, 0x02, 0xe7, 0x5a, 0x00, 0x50, 0x77, 0x53, 0xef, 0x12, 0x00, 0x00, 0x00, 0x00, 0xa0, 0x02,
        0xfa, 0xf0, 0x98, 0x24, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02, 0x08, 0x0a, 0xf2, 0x5d, 0xf0,
        0x74, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x0a,
    ];

    fn at(text: &str) -> SocketAddr {
        text.parse().expect("an address and a port")
    }

    #[track_caller]
    fn assert_checksums(packet: &[u8]) {
        let (source, destination, tcp) = split(packet).expect("TCP");
        if source.is_ipv4() {
            assert_eq!(checksum(&[&packet[..IPV4_HEADER]]), 0, "the header's checksum");
        }
        assert_eq!(transport_checksum(source, destination, TCP, tcp), 0, "the segment's checksum");
    }

    #[test]
    fn a_real_syn_reads_and_its_checksums_agree() {
        let syn = Segment::parse(&REAL_SYN).expect("TCP");
        assert_eq!(syn.source, at("192.0.2.1:59226"));
        assert_eq!(syn.destination, at("192.0.2.2:80"));
        assert_eq!(syn.sequence, 0x7753_ef12);
        assert!(syn.is_syn() && !syn.is_syn_ack());
        assert_checksums(&REAL_SYN);
    }

    #[test]
    fn readdressing_there_and_back_restores_every_octet() {
        let mut packet = REAL_SYN;
        readdress(&mut packet, at("10.8.0.1:61000"), at("10.9.255.1:8081"));
        assert_checksums(&packet);
        let moved = Segment::parse(&packet).expect("TCP");
        assert_eq!((moved.source, moved.destination), (at("10.8.0.1:61000"), at("10.9.255.1:8081")));
        readdress(&mut packet, at("192.0.2.1:59226"), at("192.0.2.2:80"));
        assert_eq!(packet, REAL_SYN);
    }

    #[test]
    fn made_segments_read_back_with_right_checksums() {
        for (client, remote) in [("10.0.0.1:1", "10.0.0.2:2"), ("[fd00::1]:1", "[fd00::2]:2")] {
            let syn = Segment {
                source: at(client),
                destination: at(remote),
                sequence: u32::MAX,
                acknowledgement: 0,
                flags: Flags::SYN,
            };
            assert_eq!(Segment::parse(&syn.to_packet()), Some(syn));
            let refusal = syn.refusal();
            assert_checksums(&refusal.to_packet());
            assert_eq!(refusal.acknowledgement, 0, "one past the SYN, in arithmetic modulo 2^32");
            assert_eq!(refusal.destination, at(client));
        }
    }

    #[test]
    fn an_odd_octet_at_the_end_counts_as_the_high_half_of_a_word() {
        // RFC 1071 section 4.1.
        assert_eq!(checksum(&[&[0x12, 0x34, 0x56]]), !(0x1234 + 0x5600));
    }

    #[test]
    fn what_is_cut_short_or_not_tcp_does_not_read() {
        for length in 0..40 {
            assert_eq!(Segment::parse(&REAL_SYN[..length]), None, "{length} octets");
        }
        let mut udp = REAL_SYN;
        udp[9] = 17;
        assert_eq!(Segment::parse(&udp), None);
    }

    #[test]
    fn an_icmp_error_quotes_the_packet_it_is_about() {
        let error = unreachable(&REAL_SYN, Unreachable::Host, "10.9.255.254".parse().expect("an address"));
        assert_eq!(error[20..22], [3, 1], "destination unreachable, host");
        assert_eq!(error[28..], REAL_SYN);
        assert_eq!(checksum(&[&error[20..]]), 0);
    }
}
