//! The board LM3S6965EVB, or QEMU in its place: the clock, sleep, the console, the way out.
//!
//! The firmware has no interrupt handler. Interrupts stay masked from the start, and `wfi` wakes from one
//! that is pending all the same (Armv7-M Architecture Reference Manual, B1.5.19). So nothing is shared
//! between a handler and the program, and no event is lost between looking for work and going to sleep.

pub mod clock;
pub mod console;
#[cfg(armv7m)]
mod division;
pub mod in_place;
#[cfg(armv7m)]
mod memory;
pub mod stack;
mod vectors;

use core::ptr;

use cortex_m::peripheral::NVIC;
use static_cell::{ConstStaticCell, StaticCell};

use crate::stellaris::{Ethernet, Frames, Register, Registers};
use clock::Clock;

/// The processor's frequency after a reset: the main oscillator of 12.5 MHz that QEMU gives the board.
pub const FREQUENCY: u32 = 12_500_000;

/// What the firmware works with.
pub struct Board {
    /// The Ethernet controller.
    pub ethernet: Ethernet<'static, Mapped>,
    /// The clock, and the way to sleep.
    pub clock: &'static Clock,
    /// A number that is another one after each start.
    pub seed: u64,
}

/// The interrupts that wake the processor, by their number.
#[derive(Clone, Copy)]
enum Interrupt {
    /// The Ethernet controller.
    Ethernet = 42,
    /// Timer 0 A.
    Timer = 19,
}

// SAFETY: the numbers are those of the LM3S6965's data sheet (table "Interrupts"), and each stands for one
// interrupt.
unsafe impl cortex_m::interrupt::InterruptNumber for Interrupt {
    fn number(self) -> u16 {
        self as u16
    }
}

impl Board {
    /// Starts the board. `None` if it was started before.
    #[must_use]
    pub fn take() -> Option<Self> {
        static FRAMES: ConstStaticCell<Frames> = ConstStaticCell::new(Frames::EMPTY);
        static CLOCK: StaticCell<Clock> = StaticCell::new();

        let core = cortex_m::Peripherals::take()?;
        cortex_m::interrupt::disable();
        let mut ethernet = Ethernet::start(Mapped(()), FRAMES.try_take()?);
        let clock = CLOCK.try_init_with(|| Clock::start(core.SYST))?;
        ethernet.unmask();
        for interrupt in [Interrupt::Ethernet, Interrupt::Timer] {
            // SAFETY: interrupts are masked and stay so; unmasking one in the NVIC lets it wake the processor
            // and nothing else.
            unsafe { NVIC::unmask(interrupt) };
        }
        Some(Board { ethernet, clock, seed: console::elapsed() })
    }
}

/// The Ethernet controller's registers at their address. There is one, which [`Board::take`] hands out.
pub struct Mapped(());

const ETHERNET: usize = 0x4004_8000;

impl Registers for Mapped {
    fn read(&mut self, register: Register) -> u32 {
        read(ETHERNET + register as usize)
    }

    fn write(&mut self, register: Register, value: u32) {
        write(ETHERNET + register as usize, value);
    }
}

/// Whether a frame waits in the controller's FIFO. Looking changes nothing, so that it can be done past the
/// driver.
fn has_received() -> bool {
    read(ETHERNET + Register::NumberOfPackets as usize) != 0
}

/// Reads a register of the microcontroller. Private, since an address that is none would be a fault.
fn read(address: usize) -> u32 {
    // SAFETY: all callers give addresses of registers, which are there from reset on and aligned.
    unsafe { ptr::read_volatile(ptr::with_exposed_provenance(address)) }
}

/// Writes a register of the microcontroller.
fn write(address: usize, value: u32) {
    // SAFETY: as above. The Ethernet controller and the timer, which are all that is written to, touch no
    // memory: they have no DMA.
    unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(address), value) }
}
