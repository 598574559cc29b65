//! The same driver for embassy-net, as an [`embassy_net_driver::Driver`].

use core::task::Context;

use embassy_net_driver::{Capabilities, HardwareAddress, LinkState};
use embassy_sync::waitqueue::AtomicWaker;

use super::{Ethernet, LONGEST_SENT, Registers, ToSend};

/// Who waits for a frame. Whoever sees the controller's interrupt wakes it.
pub struct FrameWaker(AtomicWaker);

impl FrameWaker {
    /// Nobody waits.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "for a static")]
    pub const fn new() -> Self {
        FrameWaker(AtomicWaker::new())
    }

    /// A frame may have come.
    pub fn wake(&self) {
        self.0.wake();
    }
}

/// The controller, for embassy-net.
pub struct Driver<'f, R> {
    ethernet: Ethernet<'f, R>,
    address: [u8; 6],
    waker: &'static FrameWaker,
}

impl<'f, R: Registers> Driver<'f, R> {
    /// A driver whose waiting task `waker` wakes.
    pub fn new(mut ethernet: Ethernet<'f, R>, waker: &'static FrameWaker) -> Self {
        let address = ethernet.hardware_address();
        Driver { ethernet, address, waker }
    }

    /// Whether a frame is still on its way out. It leaves within microseconds, so the task only takes another
    /// turn.
    fn is_sending(&mut self, cx: &Context<'_>) -> bool {
        let sending = self.ethernet.is_sending();
        if sending {
            cx.waker().wake_by_ref();
        }
        sending
    }
}

impl<R: Registers> embassy_net_driver::Driver for Driver<'_, R> {
    type RxToken<'a>
        = Received<'a>
    where
        Self: 'a;
    type TxToken<'a>
        = ToSend<'a, R>
    where
        Self: 'a;

    fn receive(&mut self, cx: &mut Context<'_>) -> Option<(Received<'_>, ToSend<'_, R>)> {
        // Before the look, so that no frame comes unnoticed between the two.
        self.waker.0.register(cx.waker());
        // A frame may be answered at once, so none is taken while the answer could not be sent.
        if self.is_sending(cx) {
            return None;
        }
        let length = self.ethernet.take()?;
        let Ethernet { registers, frames, counts } = &mut self.ethernet;
        counts.received = counts.received.wrapping_add(1);
        let (received, room) = frames.received(length)?;
        Some((Received(received), ToSend { registers, room, sent: &mut counts.sent }))
    }

    fn transmit(&mut self, cx: &mut Context<'_>) -> Option<ToSend<'_, R>> {
        if self.is_sending(cx) {
            return None;
        }
        let Ethernet { registers, frames, counts } = &mut self.ethernet;
        Some(ToSend { registers, room: &mut frames.0, sent: &mut counts.sent })
    }

    /// The controller has no word of it: up.
    fn link_state(&mut self, _: &mut Context<'_>) -> LinkState {
        LinkState::Up
    }

    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.max_transmission_unit = LONGEST_SENT;
        // Sockets have windows of half a kibibyte, and the FIFO holds one full frame and some small ones.
        capabilities.max_burst_size = Some(1);
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(self.address)
    }
}

/// A frame that came in.
#[derive(Debug)]
pub struct Received<'a>(&'a mut [u8]);

impl embassy_net_driver::RxToken for Received<'_> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, read: F) -> T {
        read(self.0)
    }
}

impl<R: Registers> embassy_net_driver::TxToken for ToSend<'_, R> {
    fn consume<T, F: FnOnce(&mut [u8]) -> T>(self, length: usize, write: F) -> T {
        smoltcp::phy::TxToken::consume(self, length, write)
    }
}
