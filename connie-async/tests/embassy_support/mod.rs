//! The stack's end of a wire of Ethernet: a driver for embassy-net, over whatever is at the other end.

use std::task::{Context, Waker};

use embassy_net_driver::{Capabilities, Driver, HardwareAddress, LinkState, RxToken, TxToken};

/// The stack's hardware address.
pub const OWN_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

/// The other end.
pub trait OtherEnd {
    /// Takes a frame that the stack has sent.
    fn take(&self, frame: Vec<u8>);

    /// The next frame for the stack, if one has arrived.
    fn next(&self) -> Option<Vec<u8>>;

    /// Remembers whom to wake when one arrives.
    fn wakes(&self, waker: Waker);
}

/// The stack's end.
pub struct Wire<'n, N>(pub &'n N);
pub struct Received(Vec<u8>);
pub struct ToSend<'n, N>(&'n N);

impl<'n, N: OtherEnd> Driver for Wire<'n, N> {
    type RxToken<'a>
        = Received
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'n, N>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received, ToSend<'n, N>)> {
        self.0.wakes(cx.waker().clone());
        Some((Received(self.0.next()?), ToSend(self.0)))
    }

    fn transmit(&mut self, _: &mut Context<'_>) -> Option<ToSend<'n, N>> {
        Some(ToSend(self.0))
    }

    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = 1_514;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(OWN_MAC)
    }
}

impl RxToken for Received {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(mut self, read: F) -> R {
        read(&mut self.0)
    }
}

impl<N: OtherEnd> TxToken for ToSend<'_, N> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.take(frame);
        result
    }
}
