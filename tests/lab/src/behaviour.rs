//! What a remote address does with those who call it.

use std::net::SocketAddr;
use std::time::Duration;

/// Why a router says that a packet goes no further, and the error that a Linux `connect` makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreachable {
    /// Nobody answers at the address: `EHOSTUNREACH`.
    Host,
    /// No way to the network: `ENETUNREACH`.
    Network,
    /// A filter forbids it: `EHOSTUNREACH` on IPv4, `EACCES` on IPv6.
    AdminProhibited,
}

impl Unreachable {
    /// The code beside ICMP type 3 (RFC 792, RFC 1812 section 5.2.7.1).
    pub(super) const fn code_v4(self) -> u8 {
        match self {
            Self::Network => 0,
            Self::Host => 1,
            Self::AdminProhibited => 13,
        }
    }

    /// The code beside ICMPv6 type 1 (RFC 4443 section 3.1).
    pub(super) const fn code_v6(self) -> u8 {
        match self {
            Self::Network => 0,
            Self::AdminProhibited => 1,
            Self::Host => 3,
        }
    }
}

/// What happens to a SYN in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accept,
    Refuse,
    BlackHole,
    Unreachable(Unreachable),
}

/// Where the listener behind an accepting address waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    /// At the laboratory's own address, at the port that was called.
    SamePort,
    /// At the laboratory's own address, at this port.
    Port(u16),
    /// At this address and port.
    Exactly(SocketAddr),
}

/// What a remote address does, and how far away it is.
///
/// ```
/// # #[cfg(target_os = "linux")] {
/// use connie_lab::{Behaviour, Unreachable, ms};
/// let web = Behaviour::accept(ms(30)).to_port(8081).losing_syns(1);
/// let firewall = Behaviour::unreachable(Unreachable::AdminProhibited, ms(20));
/// # assert_ne!(web, firewall);
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    pub(super) answer: Answer,
    pub(super) rtt: Duration,
    pub(super) listener: Listener,
    pub(super) lost_syns: u32,
    pub(super) lost_syns_of_each: u32,
    pub(super) lost_syn_acks: u32,
}

impl Behaviour {
    const fn new(answer: Answer, rtt: Duration) -> Self {
        Self {
            answer,
            rtt,
            listener: Listener::SamePort,
            lost_syns: 0,
            lost_syns_of_each: 0,
            lost_syn_acks: 0,
        }
    }

    /// A real listener, one half of `rtt` away in each direction. It must listen inside the laboratory's
    /// namespace on `0.0.0.0`, `[::]` or the laboratory's own address, at the port that is called unless
    /// [`to_port`](Self::to_port) says otherwise. With nobody there the kernel refuses, after `rtt` as well.
    #[must_use]
    pub const fn accept(rtt: Duration) -> Self {
        Self::new(Answer::Accept, rtt)
    }

    /// An RST, `rtt` after each SYN.
    #[must_use]
    pub const fn refuse(rtt: Duration) -> Self {
        Self::new(Answer::Refuse, rtt)
    }

    /// Silence.
    #[must_use]
    pub const fn black_hole() -> Self {
        Self::new(Answer::BlackHole, Duration::ZERO)
    }

    /// An ICMP error, `rtt` after each SYN.
    #[must_use]
    pub const fn unreachable(reason: Unreachable, rtt: Duration) -> Self {
        Self::new(Answer::Unreachable(reason), rtt)
    }

    /// Sends whoever calls to this port of the laboratory's own address, whatever port was called.
    #[must_use]
    pub const fn to_port(mut self, port: u16) -> Self {
        self.listener = Listener::Port(port);
        self
    }

    /// Sends whoever calls to this address of the laboratory, whatever port was called. It must be an address
    /// that was added with [`Lab::add_address`](super::Lab::add_address) and not a loopback one: the kernel
    /// throws packets away that come to those from outside.
    #[must_use]
    pub const fn to(mut self, listener: SocketAddr) -> Self {
        self.listener = Listener::Exactly(listener);
        self
    }

    /// Loses the first `count` SYNs that are sent to the address, whichever attempts they belong to. A second
    /// attempt beside the first gets through once the count is used up.
    #[must_use]
    pub const fn losing_syns(mut self, count: u32) -> Self {
        self.lost_syns = count;
        self
    }

    /// Loses the first `count` SYNs of every connection attempt to the address.
    #[must_use]
    pub const fn losing_syns_of_each_attempt(mut self, count: u32) -> Self {
        self.lost_syns_of_each = count;
        self
    }

    /// Loses the first `count` SYN-ACKs that the address sends, whichever attempts they belong to.
    #[must_use]
    pub const fn losing_syn_acks(mut self, count: u32) -> Self {
        self.lost_syn_acks = count;
        self
    }
}
