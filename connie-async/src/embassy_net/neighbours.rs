//! Asks for hardware addresses past smoltcp, which asks for one a second.

use core::cell::RefCell;
use core::net::Ipv4Addr;
#[cfg(feature = "embassy-net-ipv6")]
use core::net::Ipv6Addr;
use core::task::Context;

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, TxToken};
use heapless::Vec;

/// How many questions there is room for: more are left to smoltcp.
const QUESTIONS: usize = 4;

/// Whose hardware addresses are asked for, by [`Udp`](super::Udp) and through a [`SolicitingDriver`].
///
/// smoltcp asks for one hardware address a second, for the whole interface: one that nobody has holds up all
/// others, a second for each. So this asks for them itself, at once, between the stack and its driver;
/// smoltcp receives what comes back as any answer.
#[derive(Debug, Default)]
pub struct Neighbours(RefCell<Vec<Solicitation, QUESTIONS>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Solicitation {
    V4 {
        own: Ipv4Addr,
        target: Ipv4Addr,
    },
    #[cfg(feature = "embassy-net-ipv6")]
    V6 {
        own: Ipv6Addr,
        target: Ipv6Addr,
    },
}

impl Neighbours {
    /// Nobody is asked for yet.
    #[must_use]
    pub const fn new() -> Self {
        Neighbours(RefCell::new(Vec::new()))
    }

    /// The driver to make the stack of, in place of `driver`.
    pub const fn driver<D: Driver>(&self, driver: D) -> SolicitingDriver<'_, D> {
        SolicitingDriver { neighbours: self, driver }
    }

    pub(crate) fn ask_v4(&self, own: Ipv4Addr, target: Ipv4Addr) {
        self.ask(Solicitation::V4 { own, target });
    }

    #[cfg(feature = "embassy-net-ipv6")]
    pub(crate) fn ask_v6(&self, own: Ipv6Addr, target: Ipv6Addr) {
        self.ask(Solicitation::V6 { own, target });
    }

    fn ask(&self, question: Solicitation) {
        if let Ok(mut questions) = self.0.try_borrow_mut()
            && !questions.contains(&question)
        {
            // Where there is no room, smoltcp asks.
            let _ = questions.push(question);
        }
    }

    fn next(&self) -> Option<Solicitation> {
        self.0.try_borrow_mut().ok()?.pop()
    }

    fn is_empty(&self) -> bool {
        self.0.try_borrow().is_ok_and(|questions| questions.is_empty())
    }
}

/// A driver of embassy-net that asks for the hardware addresses of [`Neighbours`], and is `D` otherwise.
#[derive(Debug)]
pub struct SolicitingDriver<'n, D> {
    neighbours: &'n Neighbours,
    driver: D,
}

impl<D: Driver> SolicitingDriver<'_, D> {
    /// Sends what was asked for, as long as the driver takes it. embassy-net looks here whenever it has
    /// something to send.
    fn ask(&mut self, cx: &mut Context<'_>) {
        let HardwareAddress::Ethernet(own) = self.driver.hardware_address() else { return };
        while !self.neighbours.is_empty() {
            let Some(token) = self.driver.transmit(cx) else { return };
            match self.neighbours.next() {
                Some(Solicitation::V4 { own: ip, target }) => {
                    let frame = arp_request(own, ip, target);
                    token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
                }
                #[cfg(feature = "embassy-net-ipv6")]
                Some(Solicitation::V6 { own: ip, target }) => {
                    let frame = neighbour_solicitation(own, ip, target);
                    token.consume(frame.len(), |buffer| buffer.copy_from_slice(&frame));
                }
                None => return,
            }
        }
    }
}

impl<D: Driver> Driver for SolicitingDriver<'_, D> {
    type RxToken<'a>
        = D::RxToken<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = D::TxToken<'a>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(D::RxToken<'_>, D::TxToken<'_>)> {
        self.ask(cx);
        self.driver.receive(cx)
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<D::TxToken<'_>> {
        self.ask(cx);
        self.driver.transmit(cx)
    }

    fn link_state(&mut self, cx: &mut Context<'_>) -> LinkState {
        self.driver.link_state(cx)
    }

    fn capabilities(&self) -> Capabilities {
        self.driver.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.driver.hardware_address()
    }
}

/// "Who has `target`?" (RFC 826), in an Ethernet frame to everybody.
fn arp_request(own: [u8; 6], ip: Ipv4Addr, target: Ipv4Addr) -> [u8; 42] {
    let mut frame = Frame([0; 42], 0);
    frame.put(&[0xff; 6]);
    frame.put(&own);
    // ARP; for Ethernet and IPv4, with addresses of 6 and 4 octets; a request.
    frame.put(&[0x08, 0x06, 0, 1, 0x08, 0, 6, 4, 0, 1]);
    frame.put(&own);
    frame.put(&ip.octets());
    frame.put(&[0; 6]);
    frame.put(&target.octets());
    frame.0
}

/// "Who is `target`?" (RFC 4861 section 4.3), in an Ethernet frame to its solicited-node address.
#[cfg(feature = "embassy-net-ipv6")]
fn neighbour_solicitation(own: [u8; 6], ip: Ipv6Addr, target: Ipv6Addr) -> [u8; 86] {
    let [.., x, y, z] = target.octets();
    // RFC 4291 section 2.7.1, RFC 2464 section 7.
    let group = Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, x, y, z]);
    let message = |checksum: [u8; 2]| {
        let mut message = Frame([0; 32], 0);
        message.put(&[135, 0]);
        message.put(&checksum);
        message.put(&[0; 4]);
        message.put(&target.octets());
        // The option "source link-layer address", 8 octets.
        message.put(&[1, 1]);
        message.put(&own);
        message.0
    };
    let mut frame = Frame([0; 86], 0);
    frame.put(&[0x33, 0x33, 0xff, x, y, z]);
    frame.put(&own);
    // IPv6: version 6, 32 octets of ICMPv6, and a hop limit that shows that no router has passed it on.
    frame.put(&[0x86, 0xdd, 0x60, 0, 0, 0, 0, 32, 58, 255]);
    frame.put(&ip.octets());
    frame.put(&group.octets());
    let summed = [&ip.octets()[..], &group.octets(), &[0, 0, 0, 32, 0, 0, 0, 58], &message([0; 2])];
    frame.put(&message(checksum(&summed)));
    frame.0
}

/// The sum of RFC 1071 over parts of an even length each.
#[cfg(feature = "embassy-net-ipv6")]
fn checksum(parts: &[&[u8]]) -> [u8; 2] {
    let words = parts.iter().flat_map(|part| part.chunks_exact(2));
    let sum: u32 = words.filter_map(|word| Some(u32::from(u16::from_be_bytes(word.try_into().ok()?)))).sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    (!(folded as u16)).to_be_bytes()
}

/// What is written front to back; what does not fit is left out.
struct Frame<const N: usize>([u8; N], usize);

impl<const N: usize> Frame<N> {
    fn put(&mut self, octets: &[u8]) {
        let room = self.0.iter_mut().skip(self.1);
        room.zip(octets).for_each(|(place, octet)| *place = *octet);
        self.1 = self.1.saturating_add(octets.len());
    }
}

// smoltcp is a dependency of the tests on Linux alone.
#[cfg(all(target_os = "linux", feature = "embassy-net-ipv6"))]
#[cfg(test)]
mod tests {
    use core::net::IpAddr;

    use smoltcp::phy::ChecksumCapabilities;
    use smoltcp::wire::{ArpPacket, ArpRepr, EthernetFrame, EthernetProtocol, Icmpv6Packet, Icmpv6Repr};
    use smoltcp::wire::{Ipv6Packet, Ipv6Repr, NdiscRepr};

    use super::*;

    const OWN: [u8; 6] = [2, 0, 0, 0, 0, 1];

    /// As smoltcp reads it, which is somebody else's code.
    #[test]
    fn an_arp_request_reads_as_one() {
        let (ip, target) = (Ipv4Addr::new(10, 77, 0, 2), Ipv4Addr::new(10, 77, 0, 250));
        let frame = arp_request(OWN, ip, target);
        let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
        assert!(frame.dst_addr().is_broadcast());
        assert_eq!((frame.src_addr().0, frame.ethertype()), (OWN, EthernetProtocol::Arp));
        let ArpRepr::EthernetIpv4 {
            source_protocol_addr, target_protocol_addr, source_hardware_addr, ..
        } = ArpRepr::parse(&ArpPacket::new_checked(frame.payload()).unwrap()).unwrap()
        else {
            panic!("not for IPv4")
        };
        assert_eq!((source_protocol_addr, target_protocol_addr), (ip, target));
        assert_eq!(source_hardware_addr.0, OWN);
    }

    #[test]
    fn a_neighbour_solicitation_reads_as_one() {
        let [ip, target]: [Ipv6Addr; 2] =
            ["fd00:77::2", "fe80::5054:ff:fe12:fffe"].map(|ip| ip.parse().unwrap());
        let frame = neighbour_solicitation(OWN, ip, target);
        let frame = EthernetFrame::new_checked(&frame[..]).unwrap();
        assert_eq!(frame.dst_addr().0, [0x33, 0x33, 0xff, 0x12, 0xff, 0xfe]);
        let packet = Ipv6Packet::new_checked(frame.payload()).unwrap();
        let header = Ipv6Repr::parse(&packet).unwrap();
        assert_eq!((IpAddr::V6(header.src_addr), header.hop_limit), (IpAddr::V6(ip), 255));
        assert_eq!(header.dst_addr, "ff02::1:ff12:fffe".parse::<Ipv6Addr>().unwrap());
        let message = Icmpv6Packet::new_checked(packet.payload()).unwrap();
        assert!(message.verify_checksum(&header.src_addr, &header.dst_addr));
        let checks = ChecksumCapabilities::default();
        let message = Icmpv6Repr::parse(&header.src_addr, &header.dst_addr, &message, &checks).unwrap();
        let Icmpv6Repr::Ndisc(NdiscRepr::NeighborSolicit { target_addr, lladdr }) = message else {
            panic!("{message:?}")
        };
        assert_eq!(target_addr, target);
        assert_eq!(lladdr.unwrap().as_bytes(), OWN);
    }
}
