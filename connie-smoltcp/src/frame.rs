//! Reads as much of a frame as is needed. Frames come from outside and may be cut anywhere: all access is
//! checked.

use smoltcp::phy::{ChecksumCapabilities, Medium};
use smoltcp::wire::IpAddress;

/// An ICMP error, and the TCP segment or datagram of ours that it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcmpError {
    pub(crate) source: (IpAddress, u16),
    pub(crate) destination: (IpAddress, u16),
    /// The segment's sequence number; `None` of a datagram, which has none.
    pub(crate) sequence: Option<u32>,
}

pub(crate) enum SentFrame {
    Syn {
        port: u16,
        sequence: u32,
    },
    #[cfg(feature = "ethernet")]
    Solicitation(IpAddress),
    #[cfg(feature = "slaac")]
    RouterSolicitation,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
#[cfg(feature = "ipv4")]
const ICMP: u8 = 1;
#[cfg(feature = "ipv6")]
const ICMPV6: u8 = 58;

/// What a frame of ours says, where that is of interest.
pub(crate) fn read_sent(frame: &[u8], medium: Medium) -> Option<SentFrame> {
    match link_payload(frame, medium)? {
        #[cfg(all(feature = "ipv4", feature = "ethernet"))]
        LinkPayload::Arp(packet) => {
            // RFC 826: the operation (1 asks), and behind both addresses of the sender and the target's
            // hardware address the target's protocol address.
            let asks = bytes(packet, 6)? == [0, 1];
            let target: [u8; 4] = bytes(packet, 24)?;
            asks.then(|| SentFrame::Solicitation(IpAddress::Ipv4(target.into())))
        }
        LinkPayload::Ip(packet) => {
            let packet = IpPacket::parse(packet)?;
            match packet.protocol {
                TCP => syn(packet.payload),
                // RFC 4861 section 4.3: type 135 asks for the target at octet 8.
                #[cfg(all(feature = "ipv6", feature = "ethernet"))]
                ICMPV6 if packet.payload.first() == Some(&135) => {
                    let target: [u8; 16] = bytes(packet.payload, 8)?;
                    Some(SentFrame::Solicitation(IpAddress::Ipv6(target.into())))
                }
                // RFC 4861 section 4.1.
                #[cfg(feature = "slaac")]
                ICMPV6 if packet.payload.first() == Some(&133) => Some(SentFrame::RouterSolicitation),
                _ => None,
            }
        }
    }
}

fn syn(segment: &[u8]) -> Option<SentFrame> {
    const SYN: u8 = 2;
    let [flags] = bytes(segment, 13)?;
    let (port, sequence) = (u16::from_be_bytes(bytes(segment, 0)?), u32::from_be_bytes(bytes(segment, 4)?));
    (flags & SYN != 0).then_some(SentFrame::Syn { port, sequence })
}

/// The ICMP error in a frame, where it is one that says that a TCP segment or a datagram cannot be delivered.
pub(crate) fn icmp_error(
    frame: &[u8],
    medium: Medium,
    checksums: &ChecksumCapabilities,
) -> Option<IcmpError> {
    let LinkPayload::Ip(packet) = link_payload(frame, medium)? else { return None };
    let packet = IpPacket::parse(packet)?;
    let inner = match packet.protocol {
        #[cfg(feature = "ipv4")]
        ICMP => destination_unreachable(&packet, checksums)?,
        #[cfg(feature = "ipv6")]
        ICMPV6 => destination_unreachable_v6(&packet, checksums)?,
        _ => return None,
    };
    let inner = IpPacket::parse(inner)?;
    // "At least the first eight octets of the segment" are there: both ports and the sequence number.
    let sequence = match inner.protocol {
        TCP => Some(u32::from_be_bytes(bytes(inner.payload, 4)?)),
        UDP => None,
        _ => return None,
    };
    Some(IcmpError {
        source: (inner.source, u16::from_be_bytes(bytes(inner.payload, 0)?)),
        destination: (inner.destination, u16::from_be_bytes(bytes(inner.payload, 2)?)),
        sequence,
    })
}

/// The packet inside an ICMP error of type 3, but for code 4: a packet that is too large says nothing against
/// the address.
#[cfg(feature = "ipv4")]
fn destination_unreachable<'f>(packet: &IpPacket<'f>, checksums: &ChecksumCapabilities) -> Option<&'f [u8]> {
    let message = smoltcp::wire::Icmpv4Packet::new_checked(packet.payload).ok()?;
    if checksums.icmpv4.rx() && !message.verify_checksum() {
        return None;
    }
    let [kind, code] = bytes(packet.payload, 0)?;
    if kind == 3 && code != 4 { packet.payload.get(8..) } else { None }
}

/// The packet inside an ICMPv6 error of type 1.
#[cfg(feature = "ipv6")]
fn destination_unreachable_v6<'f>(
    packet: &IpPacket<'f>,
    checksums: &ChecksumCapabilities,
) -> Option<&'f [u8]> {
    let message = smoltcp::wire::Icmpv6Packet::new_checked(packet.payload).ok()?;
    let (IpAddress::Ipv6(source), IpAddress::Ipv6(destination)) = (packet.source, packet.destination) else {
        return None;
    };
    if checksums.icmpv6.rx() && !message.verify_checksum(&source, &destination) {
        return None;
    }
    let [kind] = bytes(packet.payload, 0)?;
    if kind == 1 { packet.payload.get(8..) } else { None }
}

/// What lies above the link.
enum LinkPayload<'f> {
    #[cfg(all(feature = "ipv4", feature = "ethernet"))]
    Arp(&'f [u8]),
    Ip(&'f [u8]),
}

fn link_payload(frame: &[u8], medium: Medium) -> Option<LinkPayload<'_>> {
    match medium {
        #[cfg(feature = "ethernet")]
        Medium::Ethernet => match bytes(frame, 12)? {
            [0x08, 0x00] | [0x86, 0xdd] => Some(LinkPayload::Ip(frame.get(14..)?)),
            #[cfg(feature = "ipv4")]
            [0x08, 0x06] => Some(LinkPayload::Arp(frame.get(14..)?)),
            _ => None,
        },
        #[cfg(feature = "ip")]
        Medium::Ip => Some(LinkPayload::Ip(frame)),
        _ => None,
    }
}

/// An IP packet without fragmentation or extension headers: smoltcp sends no other, and an ICMP error quotes
/// what we sent.
struct IpPacket<'f> {
    protocol: u8,
    source: IpAddress,
    destination: IpAddress,
    payload: &'f [u8],
}

impl<'f> IpPacket<'f> {
    fn parse(packet: &'f [u8]) -> Option<Self> {
        let [first] = bytes(packet, 0)?;
        match first >> 4 {
            #[cfg(feature = "ipv4")]
            4 => {
                let (source, destination): ([u8; 4], [u8; 4]) = (bytes(packet, 12)?, bytes(packet, 16)?);
                Some(IpPacket {
                    protocol: *packet.get(9)?,
                    source: IpAddress::Ipv4(source.into()),
                    destination: IpAddress::Ipv4(destination.into()),
                    payload: cut(packet, 2, 0).get(usize::from(first & 0x0f) << 2..)?,
                })
            }
            #[cfg(feature = "ipv6")]
            6 => {
                let (source, destination): ([u8; 16], [u8; 16]) = (bytes(packet, 8)?, bytes(packet, 24)?);
                Some(IpPacket {
                    protocol: *packet.get(6)?,
                    source: IpAddress::Ipv6(source.into()),
                    destination: IpAddress::Ipv6(destination.into()),
                    payload: cut(packet, 4, 40).get(40..)?,
                })
            }
            _ => None,
        }
    }
}

/// The packet without the padding of its frame: its length stands at octet `at`, less `header`. A quoted
/// packet is often shorter than it says.
fn cut(packet: &[u8], at: usize, header: usize) -> &[u8] {
    let length = bytes(packet, at).map_or(0, u16::from_be_bytes);
    packet.get(..usize::from(length).saturating_add(header)).unwrap_or(packet)
}

/// `N` octets at octet `at`.
fn bytes<const N: usize>(data: &[u8], at: usize) -> Option<[u8; N]> {
    data.get(at..)?.first_chunk().copied()
}
