//! The places of sockets in a stack: the buffers that they are made of, and what is known of each.

use connie_core::Instant;
use smoltcp::iface::SocketHandle;
use smoltcp::socket::tcp;
#[cfg(any(feature = "udp", feature = "dns"))]
use smoltcp::socket::udp;
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::frame::IcmpError;

/// The buffers of one socket, in octets: `RX` for what was received and `TX` for what is to be sent.
///
/// 512 each are enough for a request and for steady reading over a short way. A download can go no faster
/// than `RX` octets in each round trip.
#[derive(Debug)]
pub struct TcpBuffers<const RX: usize = 512, const TX: usize = 512> {
    rx: [u8; RX],
    tx: [u8; TX],
}

impl<const RX: usize, const TX: usize> TcpBuffers<RX, TX> {
    /// Empty buffers: all zeros, so that a static of them takes no flash.
    #[must_use]
    pub const fn new() -> Self {
        // smoltcp panics over a receive buffer of more than 1 GiB.
        const { assert!(RX > 0 && TX > 0 && RX <= 1 << 30, "buffers hold 1 octet to 1 GiB") };
        TcpBuffers { rx: [0; RX], tx: [0; TX] }
    }

    pub(crate) fn socket(&mut self) -> tcp::Socket<'_> {
        let Self { rx, tx } = self;
        let mut socket =
            tcp::Socket::new(tcp::SocketBuffer::new(&mut rx[..]), tcp::SocketBuffer::new(&mut tx[..]));
        // A client that writes a request and then reads gains nothing from waiting for more.
        socket.set_nagle_enabled(false);
        socket
    }
}

impl<const RX: usize, const TX: usize> Default for TcpBuffers<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// A TCP socket's place in the stack.
#[derive(Debug)]
pub(crate) struct TcpSlot {
    pub(crate) handle: SocketHandle,
    pub(crate) phase: TcpPhase,
    pub(crate) attempt: TcpAttempt,
}

/// How far a socket has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TcpPhase {
    /// Nobody has it, and smoltcp's socket is as new.
    Free,
    /// Somebody has it, and it has not been used.
    New,
    Connecting,
    Connected,
    /// The attempt failed, or the connection was lost.
    Failed,
    /// Nobody has it, and smoltcp's socket has something to send since this moment: its last data and a FIN,
    /// or a reset.
    Leaving(Instant),
}

/// What is known of a connection attempt.
#[derive(Debug)]
pub(crate) struct TcpAttempt {
    pub(crate) local: IpEndpoint,
    pub(crate) remote: IpEndpoint,
    /// Whose hardware address its segments need.
    pub(crate) next_hop: IpAddress,
    /// When smoltcp gives it up.
    pub(crate) gives_up: Instant,
    /// The sequence number of its SYN, once that has left.
    pub(crate) syn: Option<u32>,
    /// Whether it was repeated since its neighbour was last asked for.
    #[cfg(feature = "ethernet")]
    pub(crate) is_repeated: bool,
    /// Whether an ICMP error has come back for its SYN.
    pub(crate) is_unreachable: bool,
}

impl TcpSlot {
    pub(crate) fn new(handle: SocketHandle) -> Self {
        let nowhere = IpEndpoint::new(NOWHERE, 0);
        let attempt = TcpAttempt {
            local: nowhere,
            remote: nowhere,
            next_hop: NOWHERE,
            gives_up: Instant::ZERO,
            syn: None,
            #[cfg(feature = "ethernet")]
            is_repeated: false,
            is_unreachable: false,
        };
        TcpSlot { handle, phase: TcpPhase::Free, attempt }
    }

    /// A SYN has left.
    pub(crate) fn note_syn(&mut self, port: u16, sequence: u32) {
        if self.phase == TcpPhase::Connecting && self.attempt.local.port == port {
            #[cfg(feature = "ethernet")]
            {
                self.attempt.is_repeated = self.attempt.syn.is_some();
            }
            self.attempt.syn = Some(sequence);
        }
    }

    /// An ICMP error has come. It counts if it quotes the SYN, sequence number and all (RFC 5927
    /// section 4.1), and while the SYN is not answered: then the advice is to give the attempt up at once
    /// rather than to wait for better (RFC 5461 section 4.1).
    pub(crate) fn note_unreachable(&mut self, error: &IcmpError) {
        let TcpAttempt { local, remote, .. } = &self.attempt;
        if self.phase == TcpPhase::Connecting
            && error.source == (local.addr, local.port)
            && error.destination == (remote.addr, remote.port)
            && error.sequence.is_some()
            && self.attempt.syn == error.sequence
        {
            self.attempt.is_unreachable = true;
        }
    }

    /// The neighbour whose hardware address it may be waiting for. Its SYN has not left; or it left again,
    /// since it was not answered: then the address may be an old one's, in whose place another has come.
    /// RFC 1122 section 2.3.2.1 (4): "Higher-Layer Advice -- Include a call from a higher layer to the link
    /// layer to indicate a delivery problem. The effect of this call would be to invalidate the
    /// corresponding cache entry." smoltcp has none, and believes an address for a minute.
    #[cfg(feature = "ethernet")]
    pub(crate) fn waits_for(&self) -> Option<IpAddress> {
        let TcpAttempt { syn, is_repeated, next_hop, .. } = &self.attempt;
        (self.phase == TcpPhase::Connecting && (syn.is_none() || *is_repeated)).then_some(*next_hop)
    }
}

#[cfg(feature = "ipv4")]
const NOWHERE: IpAddress = IpAddress::Ipv4(core::net::Ipv4Addr::UNSPECIFIED);
#[cfg(not(feature = "ipv4"))]
const NOWHERE: IpAddress = IpAddress::Ipv6(core::net::Ipv6Addr::UNSPECIFIED);

/// The buffers of one UDP socket: room for `PACKETS` datagrams of `BYTES` octets together, in each direction.
#[cfg(feature = "udp")]
#[derive(Debug)]
pub struct UdpBuffers<const PACKETS: usize = 2, const BYTES: usize = 512> {
    rx_meta: [udp::PacketMetadata; PACKETS],
    rx: [u8; BYTES],
    tx_meta: [udp::PacketMetadata; PACKETS],
    tx: [u8; BYTES],
}

#[cfg(feature = "udp")]
impl<const PACKETS: usize, const BYTES: usize> UdpBuffers<PACKETS, BYTES> {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        const { assert!(PACKETS > 0 && BYTES > 0, "buffers hold a datagram, at least") };
        UdpBuffers {
            rx_meta: [udp::PacketMetadata::EMPTY; PACKETS],
            rx: [0; BYTES],
            tx_meta: [udp::PacketMetadata::EMPTY; PACKETS],
            tx: [0; BYTES],
        }
    }

    pub(crate) fn socket(&mut self) -> udp::Socket<'_> {
        let Self { rx_meta, rx, tx_meta, tx } = self;
        let received = udp::PacketBuffer::new(&mut rx_meta[..], &mut rx[..]);
        let sent = udp::PacketBuffer::new(&mut tx_meta[..], &mut tx[..]);
        udp::Socket::new(received, sent)
    }
}

#[cfg(feature = "udp")]
impl<const PACKETS: usize, const BYTES: usize> Default for UdpBuffers<PACKETS, BYTES> {
    fn default() -> Self {
        Self::new()
    }
}

/// The buffers of one socket for questions to name servers: for an answer of `RX` octets, which is announced
/// to servers, and a question of `TX`, which are 27 more than the longest name.
///
/// A longer answer is truncated by the server, and what did fit is used. 512 octets hold 15 IPv6 addresses,
/// or 29 IPv4 addresses, of a short name; that an answer may have 1,232 is common.
#[cfg(feature = "dns")]
#[derive(Debug)]
pub struct DnsBuffers<const RX: usize = 512, const TX: usize = 155> {
    rx_meta: [udp::PacketMetadata; 2],
    rx: [u8; RX],
    tx_meta: [udp::PacketMetadata; 1],
    tx: [u8; TX],
}

#[cfg(feature = "dns")]
impl<const RX: usize, const TX: usize> DnsBuffers<RX, TX> {
    /// Empty buffers.
    #[must_use]
    pub const fn new() -> Self {
        // RFC 1035 section 2.3.4: "UDP messages 512 octets or less"; a server sends as much to whoever has
        // not said how much.
        const { assert!(RX >= 512 && RX <= 65_535, "an answer has up to 512 octets") };
        DnsBuffers {
            rx_meta: [udp::PacketMetadata::EMPTY; 2],
            rx: [0; RX],
            tx_meta: [udp::PacketMetadata::EMPTY; 1],
            tx: [0; TX],
        }
    }

    pub(crate) fn socket(&mut self) -> udp::Socket<'_> {
        let Self { rx_meta, rx, tx_meta, tx } = self;
        let received = udp::PacketBuffer::new(&mut rx_meta[..], &mut rx[..]);
        let sent = udp::PacketBuffer::new(&mut tx_meta[..], &mut tx[..]);
        udp::Socket::new(received, sent)
    }
}

#[cfg(feature = "dns")]
impl<const RX: usize, const TX: usize> Default for DnsBuffers<RX, TX> {
    fn default() -> Self {
        Self::new()
    }
}

/// A UDP socket's place in the stack.
#[cfg(feature = "udp")]
#[derive(Debug)]
pub(crate) struct UdpSlot {
    pub(crate) handle: SocketHandle,
    pub(crate) is_free: bool,
    pub(crate) remote: Option<IpEndpoint>,
}

/// There are no UDP sockets.
#[cfg(not(feature = "udp"))]
#[derive(Debug)]
pub(crate) enum UdpSlot {}

#[cfg(all(test, feature = "ipv4"))]
mod tests {
    use super::*;
    use core::net::Ipv4Addr;

    const SYN: u32 = 1_000;

    fn endpoint(last: u8, port: u16) -> IpEndpoint {
        IpEndpoint::new(IpAddress::Ipv4(Ipv4Addr::new(192, 0, 2, last)), port)
    }

    /// The place of an attempt from port 50,000 of 192.0.2.1 to port 80 of 192.0.2.2, whose SYN has left.
    fn connecting() -> TcpSlot {
        let mut slot = TcpSlot::new(SocketHandle::default());
        slot.phase = TcpPhase::Connecting;
        (slot.attempt.local, slot.attempt.remote) = (endpoint(1, 50_000), endpoint(2, 80));
        slot.note_syn(50_000, SYN);
        slot
    }

    fn quoting(source: IpEndpoint, destination: IpEndpoint, sequence: u32) -> IcmpError {
        IcmpError {
            source: (source.addr, source.port),
            destination: (destination.addr, destination.port),
            sequence: Some(sequence),
        }
    }

    /// RFC 5927 section 4.1: "TCP SHOULD check that the TCP sequence number contained in the payload of the
    /// ICMP error message is within the range"; and the addresses and ports are what makes it this connection
    /// at all.
    #[test]
    fn an_icmp_error_counts_that_quotes_all_of_the_syn() {
        let (local, remote) = (endpoint(1, 50_000), endpoint(2, 80));
        for (error, counts) in [
            (quoting(local, remote, SYN), true),
            (quoting(local, remote, SYN + 1), false),
            (quoting(endpoint(3, 50_000), remote, SYN), false),
            (quoting(endpoint(1, 50_001), remote, SYN), false),
            (quoting(local, endpoint(3, 80), SYN), false),
            (quoting(local, endpoint(2, 81), SYN), false),
        ] {
            let mut slot = connecting();
            slot.note_unreachable(&error);
            assert_eq!(slot.attempt.is_unreachable, counts, "{error:?}");
        }
    }

    #[test]
    fn an_icmp_error_about_a_connection_that_stands_counts_no_more() {
        let mut slot = connecting();
        slot.phase = TcpPhase::Connected;
        slot.note_unreachable(&quoting(endpoint(1, 50_000), endpoint(2, 80), SYN));
        assert!(!slot.attempt.is_unreachable);
    }

    #[test]
    fn a_syn_is_the_attempt_s_that_has_its_port() {
        let mut slot = connecting();
        slot.note_syn(50_001, SYN + 1);
        assert_eq!(slot.attempt.syn, Some(SYN));
        slot.phase = TcpPhase::Connected;
        slot.note_syn(50_000, SYN + 1);
        assert_eq!(slot.attempt.syn, Some(SYN));
    }
}
