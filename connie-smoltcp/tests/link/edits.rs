//! What becomes of packets on the way, and packets that nobody has sent: for `World::rewrite` and
//! `World::deliver`.

use std::net::{IpAddr, SocketAddr};

use connie_smoltcp::smoltcp::phy::ChecksumCapabilities;
use connie_smoltcp::smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv4Repr, TcpPacket, TcpSeqNumber};

/// Puts another value for the most octets a segment may have (MSS) into a packet over IPv4 that has one.
fn with_mss(packet: &[u8], mss: u16) -> Vec<Vec<u8>> {
    with_options(packet, |options| {
        // RFC 9293 section 3.2: kind 2, length 4, and two octets.
        if let Some(at) = options.windows(2).position(|two| two == [2, 4]) {
            options[at + 2..at + 4].copy_from_slice(&mss.to_be_bytes());
        }
    })
}

/// An MSS of 1.
pub fn tiny_mss(packet: &[u8]) -> Vec<Vec<u8>> {
    with_mss(packet, 1)
}

/// Options that cannot be read: the first says that it is longer than all of them.
pub fn broken_options(packet: &[u8]) -> Vec<Vec<u8>> {
    with_options(packet, |options| {
        if let Some(length) = options.get_mut(1) {
            *length = 255;
        }
    })
}

fn with_options(packet: &[u8], edit: impl FnOnce(&mut [u8])) -> Vec<Vec<u8>> {
    let mut packet = packet.to_vec();
    let Ok(header) = Ipv4Packet::new_checked(&packet[..]) else { return vec![packet] };
    let (source, destination) = (header.src_addr(), header.dst_addr());
    if header.next_header() == IpProtocol::Tcp {
        let mut segment = TcpPacket::new_unchecked(&mut packet[20..]);
        if segment.syn() {
            edit(segment.options_mut());
            segment.fill_checksum(&source.into(), &destination.into());
        }
    }
    vec![packet]
}

/// A packet as it is.
pub fn whole(packet: &[u8]) -> Vec<Vec<u8>> {
    vec![packet.to_vec()]
}

/// A packet over IPv4 in pieces of 64 octets (RFC 791 section 2.3).
pub fn fragments(packet: &[u8]) -> Vec<Vec<u8>> {
    let checksums = ChecksumCapabilities::default();
    let whole = Ipv4Packet::new_checked(packet).expect("over IPv4");
    let header = Ipv4Repr::parse(&whole, &checksums).expect("a good header");
    let pieces: Vec<&[u8]> = whole.payload().chunks(64).collect();
    let mut packets = Vec::new();
    for (index, piece) in pieces.iter().enumerate() {
        let mut buffer = vec![0; 20 + piece.len()];
        Ipv4Repr { payload_len: piece.len(), ..header }
            .emit(&mut Ipv4Packet::new_unchecked(&mut buffer[..]), &checksums);
        let mut fragment = Ipv4Packet::new_unchecked(&mut buffer[..]);
        fragment.set_ident(7);
        fragment.set_dont_frag(false);
        fragment.set_more_frags(index + 1 < pieces.len());
        fragment.set_frag_offset(u16::try_from(64 * index).expect("few"));
        fragment.fill_checksum();
        fragment.payload_mut().copy_from_slice(piece);
        packets.push(buffer);
    }
    packets
}

/// A reset that nobody has sent, over IPv4, with this sequence number and what it acknowledges.
pub fn reset(
    source: SocketAddr,
    destination: SocketAddr,
    sequence: u32,
    acknowledged: Option<u32>,
) -> Vec<u8> {
    bare(source, destination, sequence, acknowledged, |segment| segment.set_rst(true))
}

/// The same without a flag: an acknowledgement.
pub fn acknowledgement(
    source: SocketAddr,
    destination: SocketAddr,
    sequence: u32,
    acknowledged: u32,
) -> Vec<u8> {
    bare(source, destination, sequence, Some(acknowledged), |_| {})
}

fn bare(
    source: SocketAddr,
    destination: SocketAddr,
    sequence: u32,
    acknowledged: Option<u32>,
    edit: impl FnOnce(&mut TcpPacket<&mut [u8]>),
) -> Vec<u8> {
    let mut packet = super::frames::syn(source, destination, sequence);
    let mut segment = TcpPacket::new_unchecked(&mut packet[20..]);
    segment.set_syn(false);
    segment.set_window_len(2048);
    if let Some(number) = acknowledged {
        segment.set_ack(true);
        segment.set_ack_number(TcpSeqNumber(number.cast_signed()));
    }
    edit(&mut segment);
    let (IpAddr::V4(from), IpAddr::V4(to)) = (source.ip(), destination.ip()) else { panic!("over IPv4") };
    segment.fill_checksum(&from.into(), &to.into());
    packet
}
