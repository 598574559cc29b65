//! embassy's executor and its time on MPS2+, without interrupt handlers: interrupts stay masked, and `wfi`
//! wakes from one that is pending, which the system timer's is once a millisecond.

use core::cell::{Cell, RefCell};
use core::ptr;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use connie_firmware_qemu::board::console::finish;
use cortex_m::peripheral::{SCB, SYST, syst::SystClkSource};
use embassy_executor::{Spawner, raw};
use embassy_time_queue_utils::Queue;
use static_cell::StaticCell;

/// Set when a task is to be polled.
static PENDING: AtomicBool = AtomicBool::new(false);

/// The processor's frequency (AN385, section "Clocks").
const FREQUENCY: u32 = 25_000_000;
/// Counts at the processor's frequency, divided by one more than the second of the two (AN385, section
/// "FPGA system control and I/O").
const COUNTER: usize = 0x4002_8018;
const PRESCALE: usize = 0x4002_801c;

/// Runs what `start` spawns, for ever.
pub fn run(mut timer: SYST, start: impl FnOnce(Spawner)) -> ! {
    static EXECUTOR: StaticCell<raw::Executor> = StaticCell::new();

    // SAFETY: a register that is there, and that nobody else writes to.
    unsafe { ptr::write_volatile(ptr::with_exposed_provenance_mut(PRESCALE), FREQUENCY / 1_000_000 - 1) };
    timer.set_clock_source(SystClkSource::Core);
    timer.set_reload(FREQUENCY / 1000 - 1);
    timer.clear_current();
    timer.enable_interrupt();
    timer.enable_counter();
    let Some(executor) = EXECUTOR.try_init_with(|| raw::Executor::new(ptr::null_mut())) else { finish(101) };
    start(executor.spawner());
    loop {
        // SAFETY: called here alone, and by no task of its own.
        unsafe { executor.poll() };
        TIME.wake_those_due();
        if !PENDING.swap(false, Ordering::Relaxed) {
            cortex_m::asm::wfi();
            SCB::clear_pendst();
            TIME.wake_each_turn();
        }
    }
}

/// The executor says that a task is to be polled.
// SAFETY: the name is embassy's, and nobody else defines it.
#[unsafe(export_name = "__pender")]
fn pender(_: *mut ()) {
    PENDING.store(true, Ordering::Relaxed);
}

/// Wakes whoever looks for frames when the processor wakes next.
pub fn wake_each_turn(waker: &Waker) {
    TIME.frame.set(Some(waker.clone()));
}

/// embassy's time, in microseconds.
struct Time {
    /// The counter when it was last read, and how often it has begun anew.
    counter: Cell<(u32, u32)>,
    /// Who waits for a frame.
    frame: Cell<Option<Waker>>,
    /// Borrowed for the length of one call.
    queue: RefCell<Queue>,
}

// SAFETY: the processor has one core, interrupts are masked from the start and there is no handler, so
// nothing runs at the same time.
unsafe impl Sync for Time {}
// SAFETY: as above.
unsafe impl Send for Time {}

impl Time {
    fn wake_those_due(&self) {
        let now = embassy_time_driver::Driver::now(self);
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            queue.next_expiration(now);
        }
    }

    fn wake_each_turn(&self) {
        if let Some(waker) = self.frame.take() {
            waker.wake();
        }
    }
}

impl embassy_time_driver::Driver for Time {
    /// Asked more often than the counter begins anew, each 71 minutes.
    fn now(&self) -> u64 {
        // SAFETY: a register that is there.
        let now: u32 = unsafe { ptr::read_volatile(ptr::with_exposed_provenance(COUNTER)) };
        let (last, mut high) = self.counter.get();
        high = if now < last { high.wrapping_add(1) } else { high };
        self.counter.set((now, high));
        u64::from(high) << 32 | u64::from(now)
    }

    fn schedule_wake(&self, at: u64, waker: &Waker) {
        if let Ok(mut queue) = self.queue.try_borrow_mut() {
            // The loop looks at the queue after each turn.
            queue.schedule_wake(at, waker);
        }
    }
}

embassy_time_driver::time_driver_impl!(static TIME: Time = Time {
    counter: Cell::new((0, 0)),
    frame: Cell::new(None),
    queue: RefCell::new(Queue::new()),
});
