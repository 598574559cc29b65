//! A TAP device of Linux in the place of a microcontroller's Ethernet, and the `Board` for it.

use std::os::fd::{AsRawFd as _, RawFd};

use connie_core::Instant;
use connie_smoltcp::Board;
use connie_smoltcp::smoltcp;
use connie_smoltcp::smoltcp::phy::{self, Medium, TunTapInterface};
use connie_std::OsClock;

/// What a program lends to connie: a clock, and a way to sleep until a frame comes.
#[derive(Clone, Copy, Debug)]
pub struct Desktop {
    clock: OsClock,
    tap: RawFd,
}

impl Desktop {
    /// For this device.
    #[must_use]
    pub fn new(tap: &TunTapInterface) -> Self {
        Desktop { clock: OsClock::start(), tap: tap.as_raw_fd() }
    }
}

impl Board for Desktop {
    fn now(&self) -> Instant {
        self.clock.now()
    }

    fn idle_until(&self, until: Option<Instant>) {
        let left = until.map(|until| smoltcp::time::Duration::from(until.since(self.now())));
        // Woken early by a signal, connie looks and sleeps again.
        let _ = phy::wait(self.tap, left);
    }
}

/// Opens the device.
///
/// # Errors
///
/// A line that says what is wrong with it.
pub fn open(name: &str) -> Result<TunTapInterface, String> {
    // A device that is up and has an IPv4 address has a route. Over one that is down smoltcp's device panics.
    let routes = std::fs::read_to_string("/proc/self/net/route").map_err(|error| error.to_string())?;
    if !routes.lines().any(|route| route.split_whitespace().next() == Some(name)) {
        return Err(format!(
            "there is no device {name} that is up and has an IPv4 address: see examples/README.md"
        ));
    }
    TunTapInterface::new(name, Medium::Ethernet).map_err(|error| format!("{name}: {error}"))
}
