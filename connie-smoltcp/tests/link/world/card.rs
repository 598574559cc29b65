//! The client's network card.

use connie_smoltcp::smoltcp::phy::{Device, DeviceCapabilities, TxToken};

use super::World;
use crate::link::host::Received;

/// The client's network card.
pub struct Card {
    pub(super) world: World,
}

impl Device for Card {
    type RxToken<'a> = Received;
    type TxToken<'a> = CardSender<'a>;

    fn receive(&mut self, _: connie_smoltcp::smoltcp::time::Instant) -> Option<(Received, CardSender<'_>)> {
        let frame = self.world.net.borrow_mut().inbox.pop_front()?;
        Some((Received(frame), CardSender(&self.world)))
    }

    fn transmit(&mut self, _: connie_smoltcp::smoltcp::time::Instant) -> Option<CardSender<'_>> {
        let mut net = self.world.net.borrow_mut();
        let busy = net.busy;
        (!net.rng.chance(busy)).then_some(CardSender(&self.world))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = self.world.net.borrow().medium;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub struct CardSender<'a>(&'a World);

impl TxToken for CardSender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.net.borrow_mut().client_sends(frame, self.0.now.get());
        result
    }
}
