//! stm32-eth's driver as a device of smoltcp 0.14.
//!
//! The driver has such a device of its own (feature `smoltcp-phy`), for the version of smoltcp that was
//! current when it was made. Its rings know nothing of smoltcp, so that this is all it takes to use any other
//! version. The same goes for other drivers: those of embassy, for instance, have tokens with the same two
//! methods.

use connie_smoltcp::smoltcp::phy::{self, ChecksumCapabilities, DeviceCapabilities, Medium};
use connie_smoltcp::smoltcp::time::Instant;
use stm32_eth::dma::{EthernetDMA, RxRing, TxRing};

/// The Ethernet controller.
pub struct Ethernet<'d>(pub EthernetDMA<'d, 'd>);

/// A frame that came in.
pub struct Received<'a, 'd>(&'a mut RxRing<'d>);

/// Leave to send a frame.
pub struct ToSend<'a, 'd>(&'a mut TxRing<'d>);

impl<'d> phy::Device for Ethernet<'d> {
    type RxToken<'a>
        = Received<'a, 'd>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'a, 'd>
    where
        Self: 'a;

    fn receive(&mut self, _now: Instant) -> Option<(Received<'_, 'd>, ToSend<'_, 'd>)> {
        // A frame may be answered at once, so none is taken while the answer could not be sent.
        if !(self.0.tx_available() && self.0.rx_available()) {
            return None;
        }
        let (received, to_send) = self.0.split();
        Some((Received(received), ToSend(to_send)))
    }

    fn transmit(&mut self, _now: Instant) -> Option<ToSend<'_, 'd>> {
        if !self.0.tx_available() {
            return None;
        }
        Some(ToSend(self.0.split().1))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = 1514;
        capabilities.max_burst_size = Some(1);
        // The controller makes and verifies the checksums of IPv4, TCP, UDP and ICMP.
        capabilities.checksum = ChecksumCapabilities::ignored();
        capabilities
    }
}

impl phy::RxToken for Received<'_, '_> {
    fn consume<T, F: FnOnce(&[u8]) -> T>(self, read: F) -> T {
        match self.0.recv_next(None) {
            Ok(frame) => {
                let result = read(&frame);
                frame.free();
                result
            }
            // A frame with an error, which the driver has dropped. Nothing is what smoltcp drops, too.
            Err(_) => read(&[]),
        }
    }
}

impl phy::TxToken for ToSend<'_, '_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, write: F) -> T {
        match self.0.send_next(length, None) {
            Ok(mut frame) => {
                let result = write(&mut frame);
                frame.send();
                result
            }
            // The token is only made where there is room; were there none, the frame would be lost, as frames
            // may be.
            Err(_) => write(&mut [0; 1514][..length.min(1514)]),
        }
    }
}
