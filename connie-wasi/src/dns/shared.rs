//! The driver that all lookups of a `Dns` share.

use alloc::rc::Rc;
use core::cell::{Cell, Ref, RefCell, RefMut};

use super::driver::Driver;
use crate::poll::WasiClock;
use crate::socket::WasiStack;

/// A driver on the runtime's sockets. It is borrowed for a call, or while its sockets are waited for.
#[derive(Clone)]
pub(super) struct SharedDriver(Rc<Inner>);

struct Inner {
    driver: RefCell<Driver<WasiStack>>,
    /// Of the times that the driver is given.
    clock: WasiClock,
    /// Whether what is known is to be forgotten at the next call.
    forgets: Cell<bool>,
}

impl SharedDriver {
    pub(super) fn new(driver: Driver<WasiStack>, clock: WasiClock) -> Self {
        SharedDriver(Rc::new(Inner { driver: RefCell::new(driver), clock, forgets: Cell::new(false) }))
    }

    /// To be looked at. What changes it is done before anybody looks.
    pub(super) fn driver(&self) -> Ref<'_, Driver<WasiStack>> {
        self.0.driver.borrow()
    }

    /// To be changed; `None` while its sockets are borrowed, which is up to the program.
    pub(super) fn driver_mut(&self) -> Option<RefMut<'_, Driver<WasiStack>>> {
        let mut driver = self.0.driver.try_borrow_mut().ok()?;
        if self.0.forgets.take() {
            driver.client_mut().forget(self.0.clock.now());
        }
        Some(driver)
    }

    pub(super) fn forget(&self) {
        self.0.forgets.set(true);
        drop(self.driver_mut());
    }

    pub(super) fn clock(&self) -> WasiClock {
        self.0.clock
    }
}
