//! A DHCP server (RFC 2131) that has one address to give.

use std::net::Ipv4Addr;

use connie_smoltcp::smoltcp::phy::{ChecksumCapabilities, Medium};
use connie_smoltcp::smoltcp::wire::{
    DhcpMessageType, DhcpPacket, DhcpRepr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

use super::frames;

const SERVER_PORT: u16 = 67;
const CLIENT_PORT: u16 = 68;

/// What it gives, and what it was asked for.
#[derive(Clone, Debug)]
pub struct DhcpServer {
    pub server: Ipv4Addr,
    pub address: Ipv4Addr,
    pub router: Ipv4Addr,
    pub dns: Vec<Ipv4Addr>,
    /// For how long it gives it, in seconds. The client comes back after half of that.
    pub lease: u32,
    /// How many requests were granted.
    pub granted: usize,
    /// How many were not, since they asked for another address: a lease that has changed.
    pub denied: usize,
}

impl DhcpServer {
    /// The server's answer to a frame of the client, as an IP packet.
    pub fn answer(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let packet = Ipv4Packet::new_checked(frames::ip(frame, Medium::Ethernet)?).ok()?;
        if packet.next_header() != IpProtocol::Udp {
            return None;
        }
        let datagram = UdpPacket::new_checked(packet.payload()).ok()?;
        if datagram.dst_port() != SERVER_PORT {
            return None;
        }
        let message = DhcpPacket::new_checked(datagram.payload()).ok()?;
        let asked = DhcpRepr::parse(&message).ok()?;
        // RFC 2131 section 4.3.2: a client that renews its lease names it as its own address.
        let wanted = asked.requested_ip.unwrap_or(asked.client_ip);
        let message_type = match asked.message_type {
            DhcpMessageType::Discover => DhcpMessageType::Offer,
            DhcpMessageType::Request if wanted == self.address => {
                self.granted += 1;
                DhcpMessageType::Ack
            }
            DhcpMessageType::Request => {
                self.denied += 1;
                DhcpMessageType::Nak
            }
            _ => return None,
        };
        let given = message_type != DhcpMessageType::Nak;
        let answer = DhcpRepr {
            message_type,
            your_ip: if given { self.address } else { Ipv4Addr::UNSPECIFIED },
            client_ip: Ipv4Addr::UNSPECIFIED,
            router: given.then_some(self.router),
            subnet_mask: given.then_some(Ipv4Addr::new(255, 255, 255, 0)),
            requested_ip: None,
            client_identifier: None,
            server_identifier: Some(self.server),
            parameter_request_list: None,
            dns_servers: given.then(|| self.dns.iter().copied().take(3).collect()),
            max_size: None,
            lease_duration: given.then_some(self.lease),
            ..asked
        };
        Some(self.packet(&answer))
    }

    fn packet(&self, answer: &DhcpRepr<'_>) -> Vec<u8> {
        let checksums = ChecksumCapabilities::default();
        let everybody = Ipv4Addr::BROADCAST;
        let length = 8 + answer.buffer_len();
        let header = Ipv4Repr {
            src_addr: self.server,
            dst_addr: everybody,
            next_header: IpProtocol::Udp,
            payload_len: length,
            hop_limit: 64,
        };
        let mut buffer = vec![0; 20 + length];
        header.emit(&mut Ipv4Packet::new_unchecked(&mut buffer[..]), &checksums);
        let ports = UdpRepr { src_port: SERVER_PORT, dst_port: CLIENT_PORT };
        ports.emit(
            &mut UdpPacket::new_unchecked(&mut buffer[20..]),
            &self.server.into(),
            &everybody.into(),
            answer.buffer_len(),
            |payload| answer.emit(&mut DhcpPacket::new_unchecked(payload)).expect("room"),
            &checksums,
        );
        buffer
    }
}
