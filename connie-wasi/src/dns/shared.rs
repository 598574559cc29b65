//! The driver that all look-ups of a `Dns` share.

use alloc::rc::Rc;
use core::cell::{Ref, RefCell, RefMut};

use super::driver::Driver;
use crate::poll::WasiClock;
use crate::socket::WasiStack;

/// A driver on the runtime's sockets, and the clock of the times that it is told. It is borrowed for a call, or while its sockets are waited
/// for.
#[derive(Clone)]
pub(super) struct Shared(Rc<(RefCell<Driver<WasiStack>>, WasiClock)>);

impl Shared {
    pub(super) fn new(driver: Driver<WasiStack>, clock: WasiClock) -> Self {
        Shared(Rc::new((RefCell::new(driver), clock)))
    }

    pub(super) fn driver(&self) -> Ref<'_, Driver<WasiStack>> {
        self.0.0.borrow()
    }

    pub(super) fn driver_mut(&self) -> RefMut<'_, Driver<WasiStack>> {
        self.0.0.borrow_mut()
    }

    pub(super) fn clock(&self) -> WasiClock {
        self.0.1
    }
}
