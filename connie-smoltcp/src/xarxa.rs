//! Drivers that were made for xarxa, embassy's network stack, as devices of smoltcp; and the tap as a driver
//! for such a stack. docs/xarxa.md says what else differs.

use smoltcp::phy::{self, Checksum, ChecksumCapabilities, DeviceCapabilities, Medium, PacketMeta};
use xarxa_driver::config::PACKET_BUF_SIZE;
use xarxa_driver::{Capabilities, ChecksumOffload, Driver, HardwareAddress, LinkState, PacketBuf};

use crate::frame;
use crate::tap::TappedDevice;

/// A driver of xarxa ([`Driver`]) as a device for a [`Stack`](crate::Stack).
///
/// Frames lie in the pool of packet buffers that xarxa-driver has, one static for the whole program: 16 of
/// 1.5 KB, or as many as a feature of xarxa-driver says (`packet-buf-count-4`). Received ones lie there until
/// the stack has read them, and those to be sent until the driver has sent them. While none is free nothing
/// is sent, as with a device that is busy. Frames are received all the same, since it may be they that fill
/// the pool, and what the stack answers them with at once is lost.
///
/// A driver that carries neither Ethernet nor bare IP packets is no device for this stack: none of its frames
/// is taken, and none is sent.
#[derive(Debug)]
pub struct XarxaDevice<D>(D);

impl<D: Driver> XarxaDevice<D> {
    /// A device over this driver.
    pub const fn new(driver: D) -> Self {
        XarxaDevice(driver)
    }

    /// The driver.
    pub const fn get_mut(&mut self) -> &mut D {
        &mut self.0
    }

    /// The driver's own hardware address, for [`interface`](crate::interface()); zeros where it has none.
    pub fn hardware_address(&self) -> [u8; 6] {
        match self.0.hardware_address() {
            HardwareAddress::Ethernet(address) => address,
            _ => [0; 6],
        }
    }

    /// Whether the link is up.
    pub fn is_link_up(&mut self) -> bool {
        self.0.link_state() == LinkState::Up
    }

    fn is_fit(&self) -> bool {
        medium(&self.0.capabilities()).is_some()
    }
}

impl<D: Driver> phy::Device for XarxaDevice<D> {
    type RxToken<'a>
        = ReceivedBuffer
    where
        D: 'a;
    type TxToken<'a>
        = EmptyBuffer<'a, D>
    where
        D: 'a;

    fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(ReceivedBuffer, EmptyBuffer<'_, D>)> {
        // The driver has to have room for what it is answered with. The pool need not: those that it has
        // received may be all that there are, and one is free when this one has been read.
        if !self.is_fit() || !self.0.can_transmit() {
            return None;
        }
        let received = self.0.receive()?;
        let _ = now;
        Some((ReceivedBuffer(received), EmptyBuffer { driver: &mut self.0, buffer: None }))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<EmptyBuffer<'_, D>> {
        if !self.is_fit() || !self.0.can_transmit() {
            return None;
        }
        Some(EmptyBuffer { buffer: Some(PacketBuf::try_new()?), driver: &mut self.0 })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let theirs = self.0.capabilities();
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = medium(&theirs).unwrap_or(capabilities.medium);
        // No frame is larger than a buffer.
        capabilities.max_transmission_unit = theirs.max_transmission_unit.min(PACKET_BUF_SIZE);
        capabilities.checksum = checksums(&theirs);
        capabilities
    }
}

fn medium(capabilities: &Capabilities) -> Option<Medium> {
    match capabilities.medium {
        #[cfg(feature = "ethernet")]
        xarxa_driver::Medium::Ethernet => Some(Medium::Ethernet),
        #[cfg(feature = "ip")]
        xarxa_driver::Medium::Ip => Some(Medium::Ip),
        _ => None,
    }
}

/// What is left for software to do.
fn checksums(theirs: &Capabilities) -> ChecksumCapabilities {
    let left = |by_device: ChecksumOffload| match (by_device.rx, by_device.tx) {
        (false, false) => Checksum::Both,
        (false, true) => Checksum::Rx,
        (true, false) => Checksum::Tx,
        (true, true) => Checksum::None,
    };
    let mut checksums = ChecksumCapabilities::default();
    checksums.udp = left(theirs.checksum.udp);
    checksums.tcp = left(theirs.checksum.tcp);
    #[cfg(feature = "ipv4")]
    {
        checksums.ipv4 = left(theirs.checksum.ipv4);
        checksums.icmpv4 = left(theirs.checksum.icmpv4);
    }
    #[cfg(feature = "ipv6")]
    {
        checksums.icmpv6 = left(theirs.checksum.icmpv6);
    }
    checksums
}

/// A frame that was received.
#[derive(Debug)]
pub struct ReceivedBuffer(PacketBuf);

impl phy::RxToken for ReceivedBuffer {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

/// Room for a frame that is to be sent.
#[derive(Debug)]
pub struct EmptyBuffer<'a, D> {
    driver: &'a mut D,
    /// That of an answer is taken when it is written.
    buffer: Option<PacketBuf>,
}

impl<D: Driver> phy::TxToken for EmptyBuffer<'_, D> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let EmptyBuffer { driver, buffer } = self;
        let Some(mut buffer) = buffer.or_else(PacketBuf::try_new) else { return lose(length, f) };
        // smoltcp makes no frame larger than the device can carry, which is not more than a buffer holds.
        // With less room than it was promised it panics, as over any device that breaks its word.
        buffer.set_len(length.min(PACKET_BUF_SIZE));
        buffer.fill(0);
        let result = f(&mut buffer);
        // It has said that it has room. Where it has none after all the frame is lost, as on a link.
        let _ = driver.transmit(buffer);
        result
    }

    fn set_meta(&mut self, _: PacketMeta) {}
}

/// Writes a frame for which there is no buffer, and loses it, as on a link.
// Not part of its caller, which would keep room on the stack for a frame that has a buffer.
#[cold]
#[inline(never)]
fn lose<R>(length: usize, f: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut scratch = [0; PACKET_BUF_SIZE];
    // As long as a buffer: see above.
    f(scratch.get_mut(..length).unwrap_or_default())
}

/// The tap for a stack that takes xarxa's drivers: the same things are noted of the same frames.
impl<D: Driver + ?Sized> Driver for TappedDevice<'_, '_, D> {
    fn capabilities(&self) -> Capabilities {
        self.device.capabilities()
    }

    fn hardware_address(&self) -> HardwareAddress {
        self.device.hardware_address()
    }

    fn link_state(&mut self) -> LinkState {
        self.device.link_state()
    }

    fn receive(&mut self) -> Option<PacketBuf> {
        let buffer = self.device.receive()?;
        self.tap.received(&buffer);
        Some(buffer)
    }

    fn can_transmit(&mut self) -> bool {
        let can = self.device.can_transmit();
        if !can {
            self.tap.seen.refused.set(true);
        }
        can
    }

    fn transmit(&mut self, buffer: PacketBuf) -> Result<(), PacketBuf> {
        let sent = frame::read_sent(&buffer, self.tap.medium);
        // Only what has left counts.
        self.device.transmit(buffer)?;
        self.tap.note_sent(sent);
        Ok(())
    }

    fn set_multicast_filter(&mut self, addresses: &[[u8; 6]]) {
        self.device.set_multicast_filter(addresses);
    }
}
