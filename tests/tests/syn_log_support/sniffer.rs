//! SYNs that no router need see: to the host's own loopback addresses, and to its neighbours.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, Protocol, RecvFlags, SocketFlags, SocketType, recv, socket_with};

/// Every protocol (`ETH_P_ALL` of packet(7)), in network order.
const EVERYTHING: u32 = (0x0003_u16).to_be() as u32;
const TCP: u8 = 6;
const SYN: u8 = 0x02;
const ACK: u8 = 0x10;

/// Sees every packet of the namespace, and keeps it until it is asked for.
pub struct Sniffer(OwnedFd);

impl Sniffer {
    /// From now on.
    pub fn open() -> Self {
        let protocol = Protocol::from_raw(EVERYTHING.try_into().expect("not zero"));
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::PACKET, SocketType::DGRAM, flags, Some(protocol));
        Sniffer(socket.expect("a packet socket, as root of the namespace"))
    }

    /// The addresses that were called, of those that are `wanted`, in the order of their first SYNs: one for
    /// each attempt.
    pub fn syns(&self, wanted: fn(IpAddr) -> bool) -> Vec<IpAddr> {
        let mut attempts = Vec::new();
        let mut packet = [0; 2048];
        while let Ok((_, length)) = recv(&self.0, &mut packet, RecvFlags::empty()) {
            let Some(attempt) = syn(&packet[..length.min(2048)]) else { continue };
            // The loopback device shows a packet as it leaves and as it comes.
            if wanted(attempt.0) && !attempts.contains(&attempt) {
                attempts.push(attempt);
            }
        }
        attempts.into_iter().map(|(remote, ..)| remote).collect()
    }
}

/// Whom an IP packet calls, and from which address and port; `None` where it is no first packet of a TCP
/// connection.
fn syn(packet: &[u8]) -> Option<(IpAddr, IpAddr, u16)> {
    let at = |from: usize, length: usize| packet.get(from..from + length);
    let (local, remote, segment) = match packet.first()? >> 4 {
        4 if packet.get(9) == Some(&TCP) => {
            let ip = |from| Some(Ipv4Addr::from(<[u8; 4]>::try_from(at(from, 4)?).ok()?).into());
            (ip(12)?, ip(16)?, packet.get(usize::from(packet[0] & 0xf) * 4..)?)
        }
        // Without extension headers: nobody here sends any with a SYN.
        6 if packet.get(6) == Some(&TCP) => {
            let ip = |from| Some(Ipv6Addr::from(<[u8; 16]>::try_from(at(from, 16)?).ok()?).into());
            (ip(8)?, ip(24)?, packet.get(40..)?)
        }
        _ => return None,
    };
    let port = u16::from_be_bytes([*segment.first()?, *segment.get(1)?]);
    (segment.get(13)? & (SYN | ACK) == SYN).then_some((remote, local, port))
}
