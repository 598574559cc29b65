//! Asks for the hardware addresses of neighbours, ahead of smoltcp.
//!
//! smoltcp asks for one neighbour a second for the whole interface, in the order of its sockets: a race to
//! four addresses on the link, of which the first is dead, would ask for the others one, two and three
//! seconds late, or never. The standards limit the rate for each neighbour instead (RFC 1122 section 2.3.2.1:
//! "1 per second per destination"; RFC 4861 section 10: RETRANS_TIMER, "1,000 milliseconds"). So the stack
//! sends a question of its own for each connection attempt whose SYN has not left, and the answer fills
//! smoltcp's cache as any other does. What smoltcp asks is noted too, so that one neighbour is asked for
//! twice in a second at most, and seldom.

use core::time::Duration;

use connie_core::Instant;
use heapless::Vec;
use smoltcp::phy::TxToken;
#[cfg(feature = "ipv4")]
use smoltcp::wire::{ArpOperation, ArpPacket, ArpRepr};
use smoltcp::wire::{EthernetAddress, IpAddress};
use smoltcp::wire::{EthernetFrame, EthernetProtocol};
#[cfg(feature = "ipv6")]
use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr, IpProtocol, Ipv6Packet, Ipv6Repr, NdiscRepr};

use crate::address::{NO_HASH, hash};

/// The least time between two questions for the same neighbour, in ticks: a second and a part of one, since
/// both ends are cut to ticks.
const PAUSE: u32 = 1_000_000 / (1 << TICK) + 2;

/// A tick is 2 to the power of this in microseconds. A moment is kept in ticks, in 32 bits, where dividing it
/// would cost a microcontroller a kilobyte. They come round after 51 days: a neighbour may then be asked for
/// a second late, once.
const TICK: u32 = 10;

/// How many neighbours are remembered: as many as a race commonly has destinations.
const REMEMBERED: usize = 16;

/// The neighbours that were asked for of late, and when. It outlives the attempts: one that is evicted and
/// comes back must not ask again too soon.
#[derive(Debug, Default)]
pub(crate) struct RecentSolicitations {
    /// A hash of the address, and the moment; the newest last. An address with the same hash as another of
    /// these is asked for up to a second late, which happens to one in 200 million.
    list: Vec<(u32, u32), REMEMBERED>,
}

impl RecentSolicitations {
    /// Takes note that somebody has asked for `target`.
    pub(crate) fn note(&mut self, target: IpAddress, now: Instant) {
        let target = hash(NO_HASH, target.into());
        self.list.retain(|(each, _)| *each != target);
        if self.list.is_full() {
            self.list.remove(0);
        }
        // There is room, as was just seen to.
        let _ = self.list.push((target, ticks(now)));
    }

    /// Nothing is known any more of what was asked.
    #[cfg(feature = "slaac")]
    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// When `target` may be asked for; `None`: now.
    pub(crate) fn next(&self, target: IpAddress, now: Instant) -> Option<Instant> {
        let target = hash(NO_HASH, target.into());
        let (_, at) = self.list.iter().find(|(each, _)| *each == target)?;
        let left = PAUSE.checked_sub(ticks(now).wrapping_sub(*at)).filter(|left| *left > 0)?;
        Some(now + Duration::from_micros(u64::from(left) << TICK))
    }
}

/// A moment in ticks, cut to 32 bits.
fn ticks(now: Instant) -> u32 {
    (now.as_micros() >> TICK) as u32
}

/// The longest question: Ethernet and IPv6 header, and a Neighbor Solicitation with our own address.
const LONGEST: usize = 14 + 40 + 32;

/// Sends the question for `target`, for whoever has `hardware` and `source`.
pub(crate) fn solicit(token: impl TxToken, hardware: EthernetAddress, source: IpAddress, target: IpAddress) {
    let mut buffer = [0; LONGEST];
    let question = match (source, target) {
        #[cfg(feature = "ipv4")]
        (IpAddress::Ipv4(source), IpAddress::Ipv4(target)) => arp(&mut buffer, hardware, source, target),
        #[cfg(feature = "ipv6")]
        (IpAddress::Ipv6(source), IpAddress::Ipv6(target)) => ndisc(&mut buffer, hardware, source, target),
        _ => return,
    };
    token.consume(question.len(), |frame| {
        for (to, from) in frame.iter_mut().zip(question.iter()) {
            *to = *from;
        }
    });
}

#[cfg(feature = "ipv4")]
fn arp(
    buffer: &mut [u8; LONGEST],
    hardware: EthernetAddress,
    source: core::net::Ipv4Addr,
    target: core::net::Ipv4Addr,
) -> &[u8] {
    let question = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: hardware,
        source_protocol_addr: source,
        target_hardware_addr: EthernetAddress([0; 6]),
        target_protocol_addr: target,
    };
    // 14 octets of header and 28 of question: less than `LONGEST`.
    let mut frame = EthernetFrame::new_unchecked(&mut buffer[..]);
    frame.set_src_addr(hardware);
    frame.set_dst_addr(EthernetAddress::BROADCAST);
    frame.set_ethertype(EthernetProtocol::Arp);
    question.emit(&mut ArpPacket::new_unchecked(frame.payload_mut()));
    buffer.get(..14 + 28).unwrap_or_default()
}

#[cfg(feature = "ipv6")]
fn ndisc(
    buffer: &mut [u8; LONGEST],
    hardware: EthernetAddress,
    source: core::net::Ipv6Addr,
    target: core::net::Ipv6Addr,
) -> &[u8] {
    // RFC 4291 section 2.7.1: the solicited-node address ends with the target's last 24 bits. RFC 2464
    // section 7: its hardware address ends with its last 32.
    let [.., a, b, c] = target.octets();
    let group = core::net::Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c]);
    let question =
        Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr: target, lladdr: Some(hardware.into()) });
    let header = Ipv6Repr {
        src_addr: source,
        dst_addr: group,
        next_header: IpProtocol::Icmpv6,
        payload_len: 32,
        hop_limit: 255,
    };
    // 14 octets of header, 40 of header and 32 of question: `LONGEST`.
    let mut frame = EthernetFrame::new_unchecked(&mut buffer[..]);
    frame.set_src_addr(hardware);
    frame.set_dst_addr(EthernetAddress([0x33, 0x33, 0xff, a, b, c]));
    frame.set_ethertype(EthernetProtocol::Ipv6);
    let mut packet = Ipv6Packet::new_unchecked(frame.payload_mut());
    header.emit(&mut packet);
    let checksums = smoltcp::phy::ChecksumCapabilities::default();
    question.emit(&source, &group, &mut Icmpv6Packet::new_unchecked(packet.payload_mut()), &checksums);
    &buffer[..]
}
