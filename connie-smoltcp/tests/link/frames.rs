//! Just enough of Ethernet, IP, TCP and ICMP to route frames and to read what they say.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use connie_smoltcp::smoltcp;
use connie_smoltcp::smoltcp::phy::{ChecksumCapabilities, Medium};
use connie_smoltcp::smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, Icmpv4DstUnreachable,
    Icmpv4Packet, Icmpv4Repr, Icmpv6DstUnreachable, Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv4Packet,
    Ipv4Repr, Ipv6Packet, Ipv6Repr, NdiscNeighborFlags, NdiscPrefixInfoFlags, NdiscPrefixInformation,
    NdiscRepr, NdiscRouterFlags, TcpPacket, TcpSeqNumber,
};

/// The IP packet in a frame.
pub fn ip(frame: &[u8], medium: Medium) -> Option<&[u8]> {
    if medium == Medium::Ip {
        return Some(frame);
    }
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    let is_ip = matches!(ethernet.ethertype(), EthernetProtocol::Ipv4 | EthernetProtocol::Ipv6);
    is_ip.then(|| ethernet.payload())
}

/// The same packet in a frame from one station to another.
pub fn framed(packet: &[u8], from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
    let mut buffer = vec![0; 14 + packet.len()];
    let mut frame = EthernetFrame::new_unchecked(&mut buffer[..]);
    frame.set_src_addr(EthernetAddress(from));
    frame.set_dst_addr(EthernetAddress(to));
    let is_v4 = packet[0] >> 4 == 4;
    frame.set_ethertype(if is_v4 { EthernetProtocol::Ipv4 } else { EthernetProtocol::Ipv6 });
    frame.payload_mut().copy_from_slice(packet);
    buffer
}

/// The station that a frame is for.
pub fn station(frame: &[u8]) -> [u8; 6] {
    EthernetFrame::new_checked(frame).expect("a whole frame").dst_addr().0
}

/// Where an IP packet comes from, and where it goes.
pub fn addresses(packet: &[u8]) -> (IpAddr, IpAddr) {
    if packet[0] >> 4 == 4 {
        let packet = Ipv4Packet::new_checked(packet).expect("a whole packet");
        (packet.src_addr().into(), packet.dst_addr().into())
    } else {
        let packet = Ipv6Packet::new_checked(packet).expect("a whole packet");
        (packet.src_addr().into(), packet.dst_addr().into())
    }
}

/// The part of a TCP segment that tells its story.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub source: SocketAddr,
    pub destination: SocketAddr,
    pub syn: bool,
    pub ack: bool,
    pub fin: bool,
    pub rst: bool,
    pub sequence: u32,
    /// The sequence number behind it.
    pub next: u32,
    pub acknowledged: u32,
}

/// The TCP segment in an IP packet.
pub fn segment(packet: &[u8]) -> Option<Segment> {
    let (source, destination) = addresses(packet);
    let payload = if packet[0] >> 4 == 4 {
        let packet = Ipv4Packet::new_checked(packet).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        packet.payload()
    } else {
        let packet = Ipv6Packet::new_checked(packet).ok()?;
        if packet.next_header() != IpProtocol::Tcp {
            return None;
        }
        packet.payload()
    };
    let tcp = TcpPacket::new_checked(payload).ok()?;
    Some(Segment {
        source: (source, tcp.src_port()).into(),
        destination: (destination, tcp.dst_port()).into(),
        syn: tcp.syn(),
        ack: tcp.ack(),
        fin: tcp.fin(),
        rst: tcp.rst(),
        sequence: tcp.seq_number().0.cast_unsigned(),
        next: (tcp.seq_number() + tcp.segment_len()).0.cast_unsigned(),
        acknowledged: tcp.ack_number().0.cast_unsigned(),
    })
}

/// The neighbour that a frame asks for.
pub fn solicited(frame: &[u8]) -> Option<IpAddr> {
    let ethernet = EthernetFrame::new_checked(frame).ok()?;
    match ethernet.ethertype() {
        EthernetProtocol::Arp => {
            let ArpRepr::EthernetIpv4 { operation, target_protocol_addr, .. } =
                ArpRepr::parse(&ArpPacket::new_checked(ethernet.payload()).ok()?).ok()?
            else {
                return None;
            };
            (operation == ArpOperation::Request).then_some(target_protocol_addr.into())
        }
        EthernetProtocol::Ipv6 => {
            let packet = Ipv6Packet::new_checked(ethernet.payload()).ok()?;
            if packet.next_header() != IpProtocol::Icmpv6 {
                return None;
            }
            let icmp = Icmpv6Packet::new_checked(packet.payload()).ok()?;
            let checksums = ChecksumCapabilities::default();
            match Icmpv6Repr::parse(&packet.src_addr(), &packet.dst_addr(), &icmp, &checksums).ok()? {
                Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, .. }) => Some(target_addr.into()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// What a router says to the sender of `packet`: its host cannot be reached.
pub fn unreachable(packet: &[u8], router: IpAddr) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    match router {
        IpAddr::V4(router) => {
            let original = Ipv4Packet::new_checked(packet).expect("a whole packet");
            let message = Icmpv4Repr::DstUnreachable {
                reason: Icmpv4DstUnreachable::HostUnreachable,
                header: Ipv4Repr::parse(&original, &checksums).expect("a good header"),
                data: original.payload(),
            };
            let header = Ipv4Repr {
                src_addr: router,
                dst_addr: original.src_addr(),
                next_header: IpProtocol::Icmp,
                payload_len: message.buffer_len(),
                hop_limit: 64,
            };
            let mut buffer = vec![0; 20 + message.buffer_len()];
            header.emit(&mut Ipv4Packet::new_unchecked(&mut buffer[..]), &checksums);
            message.emit(&mut Icmpv4Packet::new_unchecked(&mut buffer[20..]), &checksums);
            buffer
        }
        IpAddr::V6(router) => {
            let original = Ipv6Packet::new_checked(packet).expect("a whole packet");
            let message = Icmpv6Repr::DstUnreachable {
                reason: Icmpv6DstUnreachable::AddrUnreachable,
                header: Ipv6Repr::parse(&original).expect("a good header"),
                data: original.payload(),
            };
            let header = Ipv6Repr {
                src_addr: router,
                dst_addr: original.src_addr(),
                next_header: IpProtocol::Icmpv6,
                payload_len: message.buffer_len(),
                hop_limit: 64,
            };
            let mut buffer = vec![0; 40 + message.buffer_len()];
            header.emit(&mut Ipv6Packet::new_unchecked(&mut buffer[..]));
            let mut packet = Icmpv6Packet::new_unchecked(&mut buffer[40..]);
            message.emit(&router, &original.src_addr(), &mut packet, &checksums);
            buffer
        }
    }
}

/// A SYN that nobody has sent.
pub fn syn(source: SocketAddr, destination: SocketAddr, sequence: u32) -> Vec<u8> {
    let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else {
        panic!("only over IPv4")
    };
    let header = Ipv4Repr {
        src_addr: from,
        dst_addr: to,
        next_header: IpProtocol::Tcp,
        payload_len: 20,
        hop_limit: 64,
    };
    let mut buffer = vec![0; 40];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut buffer[..]), &ChecksumCapabilities::default());
    let mut segment = TcpPacket::new_unchecked(&mut buffer[20..]);
    segment.set_src_port(source.port());
    segment.set_dst_port(destination.port());
    segment.set_seq_number(TcpSeqNumber(sequence.cast_signed()));
    segment.set_header_len(20);
    segment.set_syn(true);
    segment.fill_checksum(&from.into(), &to.into());
    buffer
}

/// Whether a frame asks for routers (RFC 4861 section 4.1).
pub fn is_router_solicitation(frame: &[u8]) -> bool {
    let packet = ip(frame, Medium::Ethernet).and_then(|packet| Ipv6Packet::new_checked(packet).ok());
    packet.is_some_and(|packet| {
        packet.next_header() == IpProtocol::Icmpv6 && packet.payload().first() == Some(&133)
    })
}

/// What a router says to all: it serves for half an hour, and so does the prefix fd00::/64.
pub fn router_advertisement(router: Ipv6Addr) -> Vec<u8> {
    router_advertisement_for(router, 1800, 1800)
}

/// The same with a lifetime of the router and one of the prefix, in seconds.
pub fn router_advertisement_for(router: Ipv6Addr, router_lifetime: u64, prefix_lifetime: u64) -> Vec<u8> {
    router_advertisement_of(router, PREFIX, router_lifetime, prefix_lifetime)
}

/// The prefix that a router advertises.
pub const PREFIX: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0);

/// The same with another prefix, of 64 bits.
pub fn router_advertisement_of(
    router: Ipv6Addr,
    prefix: Ipv6Addr,
    router_lifetime: u64,
    prefix_lifetime: u64,
) -> Vec<u8> {
    let prefix_lifetime = smoltcp::time::Duration::from_secs(prefix_lifetime);
    let message = Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
        hop_limit: 64,
        flags: NdiscRouterFlags::empty(),
        router_lifetime: smoltcp::time::Duration::from_secs(router_lifetime),
        reachable_time: smoltcp::time::Duration::ZERO,
        retrans_time: smoltcp::time::Duration::ZERO,
        lladdr: None,
        mtu: None,
        prefix_info: Some(NdiscPrefixInformation {
            prefix_len: 64,
            flags: NdiscPrefixInfoFlags::ON_LINK | NdiscPrefixInfoFlags::ADDRCONF,
            valid_lifetime: prefix_lifetime,
            preferred_lifetime: prefix_lifetime,
            prefix,
        }),
    });
    let everybody = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let header = Ipv6Repr {
        src_addr: router,
        dst_addr: everybody,
        next_header: IpProtocol::Icmpv6,
        payload_len: message.buffer_len(),
        hop_limit: 255,
    };
    let mut buffer = vec![0; 40 + message.buffer_len()];
    header.emit(&mut Ipv6Packet::new_unchecked(&mut buffer[..]));
    let mut packet = Icmpv6Packet::new_unchecked(&mut buffer[40..]);
    message.emit(&router, &everybody, &mut packet, &ChecksumCapabilities::default());
    buffer
}

/// RFC 4861 section 7.2.4: in an answer to a question for a neighbour "the Override flag SHOULD be set", so
/// that it takes the place of what was known. smoltcp does not set it.
pub fn as_a_router_says(mut frame: Vec<u8>) -> Vec<u8> {
    let Some(packet) = ip(&frame, Medium::Ethernet).and_then(|packet| Ipv6Packet::new_checked(packet).ok())
    else {
        return frame;
    };
    let (source, destination) = (packet.src_addr(), packet.dst_addr());
    if packet.next_header() == IpProtocol::Icmpv6 && packet.payload().first() == Some(&136) {
        let mut advertisement = Icmpv6Packet::new_unchecked(&mut frame[14 + 40..]);
        let flags = advertisement.neighbor_flags() | NdiscNeighborFlags::OVERRIDE;
        advertisement.set_neighbor_flags(flags);
        advertisement.fill_checksum(&source, &destination);
    }
    frame
}
