//! The stack: smoltcp's interface, its sockets and the device, served together.

use core::cell::RefCell;
use core::fmt;
use core::net::IpAddr;
use core::time::Duration;

use connie_core::connect::{Facts, Routes};
use connie_core::memory::Network;
use connie_core::resolution::selection::Route;
use connie_core::{Family, Instant};
use smoltcp::iface::{
    Interface, PollIngressSingleResult, PollResult, SocketHandle, SocketSet, SocketStorage,
};
use smoltcp::phy::Device;
use smoltcp::socket::{AnySocket, tcp};
use smoltcp::wire::IpAddress;

use crate::address;
use crate::next_hop::{Scope, next_hop_to};
use crate::platform::Platform;
use crate::ports::Ports;
#[cfg(feature = "slaac")]
use crate::slaac;
use crate::slot::{TcpBuffers, TcpSlot, UdpSlot};
use crate::sources::Sources;
use crate::tap::{Seen, Tap, TappedDevice};

/// The most frames that one [`Stack::poll`] takes in: a flood must not keep a race from its timers.
const FRAMES_AT_ONCE: usize = 64;
/// The most rounds over the sockets in which one poll sends. Each gives every socket a segment.
const ROUNDS_AT_ONCE: usize = 64;
/// The pause after which an interface is served again that wants to be served at once though it just was, or
/// whose device had no room for another frame. Delayed acknowledgements wait 10 ms.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// smoltcp as a TCP stack that a race can run on, with `TCP` sockets for connections and `UDP` for datagrams.
///
/// It implements embedded-nal's [`TcpClientStack`](connie_core::stack::TcpClientStack), so that any program
/// written for that runs over it; [`RaceStack`](connie_core::RaceStack), so that races do; and
/// `UdpClientStack` and `UdpFullStack`. All memory is the caller's, and nothing is allocated.
///
/// A call that would block serves the interface first ([`poll`](Stack::poll)), so a program that loops over
/// `nb` calls makes progress; one that waits by [`PlatformPoller`](crate::PlatformPoller) sleeps in between.
///
/// # Sockets
///
/// A socket that was closed or aborted is free for the next `socket` call:
///
/// - **An attempt whose SYN is not answered is forgotten at once**, as RFC 9293 section 3.10.5 has it for the
///   ABORT call ("delete the TCB"); a SYN-ACK that comes too late finds no socket and is answered by a reset.
/// - **A connection that is aborted is reset**, and the reset leaves within the call. Where the device has no
///   room for it, the socket tries again at every poll, and is given to another only when no other is free
///   and one more try has failed.
/// - **A connection that is closed** goes on delivering what was sent to it, in the background. When no other
///   socket is free, the one that was closed first is reset and given away.
///
/// # Addresses that change
///
/// An attempt whose address is taken away, or whose router is, comes to nothing: when there is another, it
/// fails as [`StackError::SourceGone`](crate::StackError::SourceGone), at which a race begins its family anew
/// from there. Until there is one it waits, and so do those that begin meanwhile, for 12 s: then the address
/// is unreachable. A connection fails likewise when its address is taken away; that of its router it
/// outlives. Nothing is sent from an address that is no longer ours.
///
/// # Errors
///
/// smoltcp says "closed" to every failure. The stack tells them apart: an attempt that ended before its
/// [time-out](Stack::set_connect_timeout) was refused; without an address of the family, or a route, it is
/// unreachable at once; and so it is when a router answers the SYN with an ICMP error, which smoltcp itself
/// ignores.
pub struct Stack<'a, D: Device, B, const TCP: usize = 4, const UDP: usize = 0> {
    pub(crate) interface: Interface,
    pub(crate) device: D,
    pub(crate) sockets: SocketSet<'a>,
    /// Where its storage lies, which no other stack shares: what belongs to another stack is known by that.
    #[cfg(feature = "dns")]
    pub(crate) identity: usize,
    /// How many sockets still fit into `sockets`, which panics when it is full.
    pub(crate) room: usize,
    board: B,
    pub(crate) slots: [TcpSlot; TCP],
    #[cfg_attr(not(feature = "udp"), allow(dead_code, reason = "it is empty"))]
    pub(crate) udp: [UdpSlot; UDP],
    ports: Ports,
    now: Instant,
    #[cfg(feature = "ethernet")]
    solicited: crate::neighbour::RecentSolicitations,
    #[cfg(feature = "dns")]
    pub(crate) undelivered: crate::undelivered::Undelivered,
    seen: Seen,
    pub(crate) sources: Sources,
    #[cfg(feature = "dhcpv4")]
    pub(crate) dhcp: crate::lease::DhcpState,
    /// Whether something was asked of smoltcp since it was last served.
    pub(crate) has_work: bool,
    pub(crate) connect_timeout: Duration,
}

/// All sockets that fit into the stack's storage are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct StorageFull;

impl fmt::Display for StorageFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no room for another socket: give the stack a larger array of SocketStorage")
    }
}

impl core::error::Error for StorageFull {}

impl<D: Device, B, const TCP: usize, const UDP: usize> fmt::Debug for Stack<'_, D, B, TCP, UDP> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stack").field("tcp", &self.slots).field("now", &self.now).finish_non_exhaustive()
    }
}

impl<'a, D: Device, B: Platform, const TCP: usize> Stack<'a, D, B, TCP, 0> {
    /// A stack over `interface` and `device` with a socket for each of `buffers`.
    ///
    /// `storage` has room for these and for those added later: one for DHCP, one for each socket of the DNS
    /// client, and any of the program's own. Too little room for the buffers does not compile.
    ///
    /// `seed` decides the local ports, and the ids of questions to name servers. It should differ from boot
    /// to boot, as the interface's own `random_seed` should: a server may still hold the last boot's
    /// connections. It should be hard to guess, too, as answers from name servers are to be hard to forge:
    /// take it from a source of randomness.
    pub fn new<const SLOTS: usize, const RX: usize, const TX: usize>(
        interface: Interface,
        device: D,
        storage: &'a mut [SocketStorage<'a>; SLOTS],
        buffers: &'a mut [TcpBuffers<RX, TX>; TCP],
        board: B,
        seed: u64,
    ) -> Self {
        const { assert!(TCP > 0 && SLOTS >= TCP, "one SocketStorage for each TCP socket, at least") };
        Stack::assemble(interface, device, fill(storage, buffers), [], board, seed)
    }
}

/// A socket set with a socket for each of the buffers.
pub(crate) struct Filled<'a, const TCP: usize> {
    pub(crate) sockets: SocketSet<'a>,
    slots: [TcpSlot; TCP],
    /// How much room is left.
    pub(crate) room: usize,
    identity: usize,
}

/// Makes a socket for each of `buffers`. There must be room for them.
pub(crate) fn fill<'a, const TCP: usize, const RX: usize, const TX: usize>(
    storage: &'a mut [SocketStorage<'a>],
    buffers: &'a mut [TcpBuffers<RX, TX>; TCP],
) -> Filled<'a, TCP> {
    let (room, identity) = (storage.len().saturating_sub(TCP), storage.as_ptr().addr());
    let mut sockets = SocketSet::new(storage);
    // Both callers have seen that there is room, at compile time.
    let slots = buffers.each_mut().map(|buffers| TcpSlot::new(sockets.add(buffers.socket())));
    Filled { sockets, slots, room, identity }
}

impl<'a, D: Device, B, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    /// RFC 9293 section 3.8.3: "R2 for a SYN segment MUST be set large enough to provide retransmission of
    /// the segment for at least 3 minutes (MUST-23)."
    pub const DEFAULT_CONNECT_TIMEOUT: Duration = Duration::from_secs(180);

    /// A stack of these sockets, with room for so many more.
    pub(crate) fn assemble(
        interface: Interface,
        device: D,
        Filled { sockets, slots, room, identity }: Filled<'a, TCP>,
        udp: [UdpSlot; UDP],
        board: B,
        seed: u64,
    ) -> Self {
        Stack {
            interface,
            device,
            sockets,
            #[cfg(feature = "dns")]
            identity,
            room,
            board,
            slots,
            udp,
            ports: Ports::new(seed),
            now: Instant::ZERO,
            #[cfg(feature = "ethernet")]
            solicited: crate::neighbour::RecentSolicitations::default(),
            #[cfg(feature = "dns")]
            undelivered: crate::undelivered::Undelivered::default(),
            seen: Seen::default(),
            sources: Sources::default(),
            #[cfg(feature = "dhcpv4")]
            dhcp: crate::lease::DhcpState::default(),
            has_work: true,
            connect_timeout: Self::DEFAULT_CONNECT_TIMEOUT,
        }
    }

    /// How long an attempt without an answer goes on, a day at most. It holds for attempts that begin after
    /// this call. A race has its own times (patience, attempt time-out, deadline), so this matters only where
    /// none of them ends it.
    ///
    /// It holds for the connection as well: one whose peer has been silent for as long, with data under way,
    /// is reset; and so is one that was closed so long ago and still is not at its end. One that is idle is
    /// not touched.
    pub fn set_connect_timeout(&mut self, timeout: Duration) {
        self.connect_timeout = timeout;
    }

    /// The interface: its addresses and routes.
    pub fn interface(&self) -> &Interface {
        &self.interface
    }

    /// The interface, to change its addresses and routes.
    pub fn interface_mut(&mut self) -> &mut Interface {
        self.has_work = true;
        &mut self.interface
    }

    /// The device. What is received through it past the stack is lost to the stack.
    pub fn device_mut(&mut self) -> &mut D {
        &mut self.device
    }

    /// Adds a socket of the program's own: a server's, a raw one.
    ///
    /// # Errors
    ///
    /// [`StorageFull`]; smoltcp's own `add` would panic.
    pub fn add<T: AnySocket<'a>>(&mut self, socket: T) -> Result<SocketHandle, StorageFull> {
        self.room = self.room.checked_sub(1).ok_or(StorageFull)?;
        self.has_work = true;
        Ok(self.sockets.add(socket))
    }

    /// A socket that was [added](Stack::add). `None` where the handle is of another kind or another stack.
    pub fn get_mut<T: AnySocket<'a>>(&mut self, handle: SocketHandle) -> Option<&mut T> {
        self.has_work = true;
        self.find(handle)
    }

    pub(crate) fn find<T: AnySocket<'a>>(&mut self, handle: SocketHandle) -> Option<&mut T> {
        find(&mut self.sockets, handle)
    }

    /// Puts what the DHCP server has said into effect.
    #[cfg(feature = "dhcpv4")]
    pub(crate) fn serve_dhcp(&mut self) {
        let Some(handle) = self.dhcp.handle else { return };
        if let Some(socket) = find(&mut self.sockets, handle) {
            self.has_work |= self.dhcp.serve(socket, &mut self.interface);
        }
    }

    /// A local port that no socket of the stack uses.
    pub(crate) fn free_port(&mut self) -> Option<u16> {
        let sockets = &self.sockets;
        self.ports.next(|port| uses_port(sockets, port))
    }

    /// A local port that no socket of the stack uses, and that is hard to guess.
    #[cfg(feature = "dns")]
    pub(crate) fn port_hard_to_guess(&mut self) -> Option<u16> {
        let sockets = &self.sockets;
        self.ports.hard_to_guess(|port| uses_port(sockets, port))
    }

    /// A number that nothing seen on the wire tells.
    #[cfg(feature = "dns")]
    pub(crate) fn random(&mut self) -> u64 {
        self.ports.random()
    }

    /// Whether a socket of the stack uses this local port.
    #[cfg(feature = "udp")]
    pub(crate) fn is_taken(&self, port: u16) -> bool {
        uses_port(&self.sockets, port)
    }
}

impl<'a, D: Device, B: Platform, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    /// The board's time, which does not run backwards here.
    pub fn now(&mut self) -> Instant {
        self.now = self.now.max(self.board.now());
        self.now
    }

    /// Serves the interface: takes in what was received, puts into effect what routers and a DHCP server have
    /// said, sends what is due, and asks for the neighbours that connection attempts wait for. Whether
    /// something was received.
    ///
    /// Never waits, and takes no more than 64 frames at once.
    pub fn poll(&mut self) -> bool {
        let now = self.now();
        self.seen.refused.set(false);
        let frames = self.take_in(now);
        #[cfg(feature = "dhcpv4")]
        self.serve_dhcp();
        self.note_sources(now);
        let unsent = self.send_due(now);
        self.has_work = frames == FRAMES_AT_ONCE || unsent;
        #[cfg(feature = "ethernet")]
        self.solicit();
        self.settle();
        frames > 0
    }

    /// Takes in what was received, and says how many frames.
    // Not part of its caller, which would keep room for packets while others are sent.
    #[inline(never)]
    fn take_in(&mut self, now: Instant) -> usize {
        let time = address::to_smoltcp(now);
        let capabilities = self.device.capabilities();
        let tap = Tap {
            slots: RefCell::new(&mut self.slots),
            #[cfg(feature = "ethernet")]
            solicited: RefCell::new(&mut self.solicited),
            #[cfg(feature = "dns")]
            undelivered: RefCell::new(&mut self.undelivered),
            seen: &self.seen,
            now,
            medium: capabilities.medium,
            checksums: capabilities.checksum,
        };
        let mut device = TappedDevice { device: &mut self.device, tap: &tap };
        let mut frames = 0;
        #[cfg(feature = "slaac")]
        let mut has_news = false;
        loop {
            let is_last = frames == FRAMES_AT_ONCE
                || self.interface.poll_ingress_single(time, &mut device, &mut self.sockets)
                    == PollIngressSingleResult::None;
            // Behind each frame: what a router has advertised is put into effect here. smoltcp does not ask
            // to be served for that, and has no room for a prefix while one that was withdrawn is there.
            #[cfg(feature = "slaac")]
            {
                has_news |= crate::slaac::maintain(&mut self.interface, time);
            }
            #[cfg(not(feature = "slaac"))]
            self.interface.poll_maintenance(time);
            if is_last {
                break;
            }
            // Below 65.
            frames = usize::saturating_add(frames, 1);
        }
        #[cfg(feature = "slaac")]
        if has_news {
            // With the addresses smoltcp forgets the neighbours, and they may be asked for again at once.
            self.solicited.clear();
        }
        frames
    }

    /// Sends what is due, and takes nothing in.
    pub(crate) fn flush(&mut self) {
        let now = self.now();
        self.send_due(now);
    }

    /// Sends what is due, and says whether more may be.
    fn send_due(&mut self, now: Instant) -> bool {
        let time = address::to_smoltcp(now);
        let capabilities = self.device.capabilities();
        let tap = Tap {
            slots: RefCell::new(&mut self.slots),
            #[cfg(feature = "ethernet")]
            solicited: RefCell::new(&mut self.solicited),
            #[cfg(feature = "dns")]
            undelivered: RefCell::new(&mut self.undelivered),
            seen: &self.seen,
            now,
            medium: capabilities.medium,
            checksums: capabilities.checksum,
        };
        let mut device = TappedDevice { device: &mut self.device, tap: &tap };
        (0..ROUNDS_AT_ONCE)
            .all(|_| self.interface.poll_egress(time, &mut device, &mut self.sockets) != PollResult::None)
    }

    /// When [`poll`](Stack::poll) is next to be called, if nothing is received before that. A time that has
    /// passed: at once.
    pub fn poll_at(&mut self) -> Option<Instant> {
        let now = self.now();
        if self.has_work {
            return Some(now);
        }
        let interface = match self.interface_poll_at(now) {
            _ if self.seen.refused.get() => Some(now + BUSY_PAUSE),
            Some(at) => Some(if at > now { at } else { now + BUSY_PAUSE }),
            None => None,
        };
        #[cfg(feature = "ethernet")]
        let interface = address::sooner(self.asks_at(now), interface);
        // Who waits for another address waits no longer then.
        [Family::V6, Family::V4].into_iter().fold(interface, |soonest, family| {
            address::sooner(soonest, self.sources.awaited_until(family).filter(|until| *until > now))
        })
    }

    /// When smoltcp wants to be served.
    fn interface_poll_at(&mut self, now: Instant) -> Option<Instant> {
        let time = address::to_smoltcp(now);
        #[cfg(feature = "slaac")]
        if slaac::is_possible(&self.interface, self.device.capabilities().medium) {
            let hardware = self.interface.hardware_addr();
            let sockets = slaac::sockets_poll_at(hardware, &mut self.device, &self.sockets, time);
            let routers = slaac::poll_at(self.seen.routers_asked.get(), now);
            return address::sooner(sockets.map(address::from_smoltcp), Some(routers));
        }
        self.interface.poll_at(time, &self.sockets).map(address::from_smoltcp)
    }

    /// Takes note of what this machine sends from.
    #[inline(never)]
    pub(crate) fn note_sources(&mut self, now: Instant) {
        let Network { v4, v6, .. } = self.network();
        #[cfg(feature = "ethernet")]
        let before = self.sources.changes();
        let routes = self.interface.routes();
        #[cfg(feature = "ipv6")]
        let router = routes.get_default_ipv6_route().map(|route| route.via_router.into());
        #[cfg(feature = "ipv6")]
        self.sources.update(Family::V6, v6.map(IpAddr::V6), router, now);
        #[cfg(feature = "ipv4")]
        let router = routes.get_default_ipv4_route().map(|route| route.via_router.into());
        #[cfg(feature = "ipv4")]
        self.sources.update(Family::V4, v4.map(IpAddr::V4), router, now);
        // smoltcp has forgotten its neighbours with the old address: they are to be asked for again.
        #[cfg(feature = "ethernet")]
        if self.sources.changes() != before {
            self.solicited = crate::neighbour::RecentSolicitations::default();
        }
    }

    /// Asks for the neighbours of those attempts whose SYN has not left, or was just repeated.
    #[cfg(feature = "ethernet")]
    fn solicit(&mut self) {
        for index in 0..TCP {
            let Some(slot) = self.slots.get_mut(index) else { continue };
            if let Some(target) = slot.waits_for() {
                slot.attempt.is_repeated = false;
                self.ask_for(target);
            }
        }
    }

    /// Asks for the hardware address of a neighbour on Ethernet, unless that was done within the second.
    /// Where the device has no room for the question, none is sent.
    #[cfg(feature = "ethernet")]
    pub(crate) fn ask_for(&mut self, target: IpAddress) {
        use smoltcp::wire::HardwareAddress;
        let now = self.now;
        if self.device.capabilities().medium != smoltcp::phy::Medium::Ethernet
            || self.solicited.next(target, now).is_some()
        {
            return;
        }
        let HardwareAddress::Ethernet(hardware) = self.interface.hardware_addr() else { return };
        let Some(source) = self.interface.get_source_address(&target) else { return };
        let Some(token) = self.device.transmit(address::to_smoltcp(now)) else { return };
        crate::neighbour::solicit(token, hardware, source, target);
        self.solicited.note(target, now);
    }

    /// When the next neighbour is to be asked for. One that should have been asked by now was not, since the
    /// device had no room.
    #[cfg(feature = "ethernet")]
    fn asks_at(&self, now: Instant) -> Option<Instant> {
        let waits = self.slots.iter().filter_map(TcpSlot::waits_for);
        waits.fold(None, |soonest, target| {
            address::sooner(soonest, Some(self.solicited.next(target, now).unwrap_or(now + BUSY_PAUSE)))
        })
    }

    /// The families by which this stack can reach the internet, for a
    /// [`ConnectDriver`](connie_core::ConnectDriver). A stack that has none by either counts as one that has
    /// [both](Routes::of).
    pub fn facts(&mut self) -> Facts<'static> {
        let routes = Routes::of(|ip| self.route_to(ip) != Route::Unreachable);
        Facts::default().routes(routes)
    }

    /// The network that it is on, for a [memory](connie_core::memory::Memory): by its first address of each
    /// family that is not for one link alone.
    #[must_use]
    pub fn network(&self) -> Network {
        let mut network = Network::default();
        for own in self.interface.ip_addrs().iter().map(|own| own.address()) {
            match IpAddr::from(own) {
                _ if Scope::of(own) != Scope::Wider => {}
                IpAddr::V4(own) => network.v4 = network.v4.or(Some(own)),
                IpAddr::V6(own) => network.v6 = network.v6.or(Some(own)),
            }
        }
        network
    }

    /// The route to `remote`, as RFC 6724 wants to know it.
    pub(crate) fn route_to(&mut self, remote: IpAddr) -> Route {
        match address::ip(remote).and_then(|ip| self.next_hop_to(ip)) {
            Some((_, source)) => Route::from_source(source.into()),
            None => Route::Unreachable,
        }
    }

    /// The next hop towards `remote` and the address to send from; `None` where there is no route.
    pub(crate) fn next_hop_to(&mut self, remote: IpAddress) -> Option<(IpAddress, IpAddress)> {
        let now = address::to_smoltcp(self.now());
        next_hop_to(&mut self.interface, self.device.capabilities().medium, remote, now)
    }
}

/// The socket behind a handle, without smoltcp's panic where there is none.
pub(crate) fn find<'s, 'a, T: AnySocket<'a>>(
    sockets: &'s mut SocketSet<'a>,
    handle: SocketHandle,
) -> Option<&'s mut T> {
    let (_, socket) = sockets.iter_mut().find(|(each, _)| *each == handle)?;
    T::downcast_mut(socket)
}

fn uses_port(sockets: &SocketSet<'_>, port: u16) -> bool {
    sockets.iter().any(|(_, socket)| {
        if let Some(socket) = tcp::Socket::downcast(socket) {
            return socket.local_endpoint().is_some_and(|local| local.port == port)
                || socket.listen_endpoint().port == port;
        }
        #[cfg(any(feature = "udp", feature = "dns"))]
        if let Some(socket) = smoltcp::socket::udp::Socket::downcast(socket) {
            return socket.endpoint().port == port;
        }
        false
    })
}
