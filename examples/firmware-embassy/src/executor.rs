//! embassy's executor and its time, on a board without interrupt handlers.
//!
//! embassy's own loop for this processor sleeps by `wfe` and is woken by handlers. Here interrupts stay
//! masked, as in the other firmware of this board, and `wfi` wakes from one that is pending: so each turn
//! asks what is due, and sleeps where nothing is.

use core::cell::{Cell, RefCell};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use connie_core::Instant;
use connie_firmware_qemu::board::clock::Clock;
use connie_firmware_qemu::board::console::finish;
use embassy_executor::{Spawner, raw};
use embassy_time_queue_utils::Queue;
use static_cell::StaticCell;

/// Set when a task is to be polled.
static PENDING: AtomicBool = AtomicBool::new(false);

/// Who waits for a frame.
pub static FRAME: connie_firmware_qemu::stellaris::FrameWaker =
    connie_firmware_qemu::stellaris::FrameWaker::new();

/// Runs what `start` spawns, for ever.
pub fn run(clock: &'static Clock, start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

    TIME.clock.set(Some(clock));
    let Some(executor) = EXECUTOR.try_init_with(|| raw::Executor::new(core::ptr::null_mut())) else {
        finish(101)
    };
    start(executor.spawner());
    loop {
        // SAFETY: called here alone, and by no task of its own.
        unsafe { executor.poll() };
        let next = TIME.wake_those_due();
        if !PENDING.swap(false, Ordering::Relaxed) {
            clock.idle_until(Some(next));
            // For a frame or for nothing: the network looks.
            FRAME.wake();
        }
    }
}

/// The executor says that a task is to be polled.
// SAFETY: the name is embassy's, and nobody else defines it.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    PENDING.store(true, Ordering::Relaxed);
}

/// embassy's time: microseconds of the board's clock.
struct Time {
    clock: Cell<Option<&'static Clock>>,
    /// Borrowed for the length of one call. Waking a task from within one touches nothing but the executor's
    /// queue.
    queue: RefCell<Queue>,
}

// SAFETY: the processor has one core, interrupts are masked from the start and there is no handler, so
// nothing runs at the same time.
unsafe impl Sync for Time {}
// SAFETY: as above.
unsafe impl Send for Time {}

impl Time {
    /// Wakes the tasks whose time has come, and says when the next one's comes.
    fn wake_those_due(&self) -> Instant {
        let now = embassy_time_driver::Driver::now(self);
        let next = self.queue.try_borrow_mut().map_or(now, |mut queue| queue.next_expiration(now));
        Instant::from_micros(next)
    }
}

impl embassy_time_driver::Driver for Time {
    fn now(&self) -> u64 {
        self.clock.get().map_or(0, |clock| clock.now().as_micros())
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            // The loop asks for the next one anew before it sleeps.
            queue.schedule_wake(at, waker);
        }
    }
}

embassy_time_driver::time_driver_impl!(static TIME: Time = Time {
    clock: Cell::new(None),
    queue: RefCell::new(Queue::new()),
});
