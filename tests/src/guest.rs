//! A second host in the laboratory, whose TCP stack is smoltcp in this process.
//!
//! It sits behind a TAP or TUN device of its own. The kernel forwards between that and the laboratory's
//! router, so the same remote addresses, behaviours and log serve it as serve the kernel's sockets.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use connie_lab::{Lab, Layer};
use connie_smoltcp::smoltcp::iface::Interface;
use connie_smoltcp::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use connie_smoltcp::smoltcp::time::Instant as SmoltcpInstant;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};
use connie_smoltcp::{Platform, interface};
use connie_std::OsClock;
use connie_std::connie_core::Instant;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// The guest's IPv4 address.
pub const GUEST_V4: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 2);
/// The guest's IPv6 address.
pub const GUEST_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 7, 0, 0, 0, 0, 0, 2);
/// The laboratory's host on the guest's link: its router, and a server if something listens.
pub const GATEWAY_V4: Ipv4Addr = Ipv4Addr::new(10, 7, 0, 1);
/// The same for IPv6.
pub const GATEWAY_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 7, 0, 0, 0, 0, 0, 1);

/// The name of the guest's device.
pub const GUEST_DEVICE: &str = "guest0";
const MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 2];
/// Of the first start's random numbers.
const SEED: u64 = 0x9e37_79b9;
/// The longest packet; an Ethernet header comes on top.
const MTU: usize = 1500;
const ETHERNET_HEADER: usize = 14;

/// The guest: its link to the laboratory.
#[derive(Clone, Debug)]
pub struct Guest {
    descriptor: Arc<OwnedFd>,
    medium: Medium,
    clock: OsClock,
}

impl Guest {
    /// Puts the guest into the laboratory, on a link that carries Ethernet frames (TAP) or IP packets (TUN).
    ///
    /// # Panics
    /// When the kernel does not make the device, or there is a guest already.
    #[must_use]
    #[track_caller]
    pub fn plug_in(lab: &Lab, medium: Medium) -> Self {
        let layer = match medium {
            Medium::Ethernet => Layer::Ethernet,
            Medium::Ip => Layer::Ip,
        };
        let descriptor =
            lab.plug_in(GUEST_DEVICE, layer, &[(GATEWAY_V4.into(), 24), (GATEWAY_V6.into(), 64)]);
        Self { descriptor: Arc::new(descriptor), medium, clock: OsClock::start() }
    }

    /// smoltcp's interface, with the guest's addresses and with routes to the laboratory. Every one has
    /// random numbers of its own, as at each start of a board: with the same sequence numbers a SYN would be
    /// the repetition of one from before.
    ///
    /// # Panics
    /// Never: there is room for two addresses and two routes.
    #[must_use]
    pub fn interface(&self) -> Interface {
        static STARTS: AtomicU64 = AtomicU64::new(SEED);
        let seed = STARTS.fetch_add(1, Ordering::Relaxed);
        let mut interface = interface(&mut self.clone(), MAC, seed, self.clock.now());
        interface.update_ip_addrs(|own| {
            own.push(IpCidr::Ipv4(Ipv4Cidr::new(GUEST_V4, 24))).expect("room");
            own.push(IpCidr::Ipv6(Ipv6Cidr::new(GUEST_V6, 64))).expect("room");
        });
        interface.routes_mut().add_default_ipv4_route(GATEWAY_V4).expect("room");
        interface.routes_mut().add_default_ipv6_route(GATEWAY_V6).expect("room");
        interface
    }

    /// An address on the guest's link at which there is nobody, numbered from 3.
    #[must_use]
    pub fn nobody_v4(number: u8) -> IpAddr {
        Ipv4Addr::new(10, 7, 0, number).into()
    }

    /// The same for IPv6.
    #[must_use]
    pub fn nobody_v6(number: u8) -> IpAddr {
        Ipv6Addr::new(0xfd00, 7, 0, 0, 0, 0, 0, number.into()).into()
    }
}

impl Platform for Guest {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn idle_until(&self, until: Option<Instant>) {
        let left = until
            .map(|until| Timespec::try_from(until.duration_since(self.clock.now())).expect("a short time"));
        let mut waits = [PollFd::new(&*self.descriptor, PollFlags::IN)];
        match poll(&mut waits, left.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("waiting for frames: {error}"),
        }
    }
}

impl Device for Guest {
    type RxToken<'a> = Frame;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: SmoltcpInstant) -> Option<(Frame, Sender<'_>)> {
        let mut frame = vec![0; MTU + ETHERNET_HEADER];
        match rustix::io::read(&*self.descriptor, &mut frame) {
            Ok(length) => frame.truncate(length),
            // Nothing there; or the device is not up yet.
            Err(Errno::AGAIN | Errno::IO | Errno::INTR) => return None,
            Err(error) => panic!("reading frames: {error}"),
        }
        Some((Frame(frame), Sender(&self.descriptor)))
    }

    fn transmit(&mut self, _: SmoltcpInstant) -> Option<Sender<'_>> {
        Some(Sender(&self.descriptor))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = self.medium;
        capabilities.max_transmission_unit = match self.medium {
            Medium::Ethernet => MTU + ETHERNET_HEADER,
            Medium::Ip => MTU,
        };
        capabilities
    }
}

/// A frame that was received.
#[derive(Debug)]
pub struct Frame(Vec<u8>);

impl RxToken for Frame {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// The right to send a frame.
#[derive(Debug)]
pub struct Sender<'a>(&'a OwnedFd);

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        match rustix::io::write(self.0, &frame) {
            // As any network card, it may lose one.
            Ok(_) | Err(Errno::IO | Errno::NOBUFS | Errno::NOMEM | Errno::AGAIN) => {}
            Err(error) => panic!("sending a frame: {error}"),
        }
        result
    }
}
