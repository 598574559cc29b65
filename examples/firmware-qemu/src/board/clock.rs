//! The time, from SysTick; and sleep, with an alarm from general-purpose timer 0.

use core::cell::Cell;

use connie_core::Instant;
use cortex_m::peripheral::syst::SystClkSource;
use cortex_m::peripheral::{NVIC, SYST};

use super::{FREQUENCY, Interrupt, has_received, write};

/// SysTick counts down from here, in 24 bits.
const RELOAD: u32 = 0x00ff_ffff;
/// The longest time between two looks at SysTick, in microseconds. It comes round after 1.34 s.
const LONGEST_SLEEP: u32 = 1_000_000;

/// The time since the start.
///
/// SysTick runs free and is never waited for. Each look adds what has passed since the last one, so that
/// nothing is lost as long as the looks are less than 1.34 s apart, and [`idle_until`](Clock::idle_until)
/// sleeps no longer than a second. Counting its interrupts instead would lose those that come while another
/// is pending.
pub struct Clock {
    /// Held, so that nobody else sets it.
    _systick: SYST,
    last: Cell<u32>,
    /// Since the start, less whole seconds.
    ticks: Cell<u32>,
    seconds: Cell<u32>,
}

impl Clock {
    pub(super) fn start(mut systick: SYST) -> Self {
        systick.set_clock_source(SystClkSource::Core);
        systick.set_reload(RELOAD);
        systick.clear_current();
        systick.enable_counter();
        write(RCGC1, RCGC1_TIMER0);
        // The data sheet asks for three clocks before the timer is used.
        cortex_m::asm::delay(3);
        write(GPTMCTL, 0);
        write(GPTMCFG, 0);
        write(GPTMTAMR, ONE_SHOT);
        write(GPTMIMR, TIME_OUT);
        Clock {
            _systick: systick,
            last: Cell::new(SYST::get_current()),
            ticks: Cell::new(0),
            seconds: Cell::new(0),
        }
    }

    /// The time now.
    pub fn now(&self) -> Instant {
        let current = SYST::get_current();
        // It counts down.
        let passed = self.last.replace(current).wrapping_sub(current) & RELOAD;
        // Less than a second and 1.34 s: no sum overflows, and the loop goes round twice at most.
        let mut ticks = self.ticks.get() + passed;
        while ticks >= FREQUENCY {
            ticks -= FREQUENCY;
            self.seconds.set(self.seconds.get().wrapping_add(1));
        }
        self.ticks.set(ticks);
        // A tick is 0.08 microseconds.
        let micros = u64::from(ticks) * 2 / 25;
        Instant::from_micros(u64::from(self.seconds.get()) * 1_000_000 + micros)
    }

    /// Sleeps until `until`, or until a frame comes, or for a second, whichever is soonest. May wake for
    /// nothing.
    pub fn idle_until(&self, until: Option<Instant>) {
        let pause = until.map(|until| until.duration_since(self.now()).as_micros());
        let pause =
            pause.and_then(|pause| u32::try_from(pause).ok()).unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP);
        write(GPTMCTL, 0);
        write(GPTMICR, TIME_OUT);
        // What was pending is cleared before the last look, and what comes after this look is pending when
        // `wfi` is reached, which then returns at once.
        NVIC::unpend(Interrupt::Timer);
        NVIC::unpend(Interrupt::Ethernet);
        if pause == 0 || has_received() {
            return;
        }
        // 12.5 ticks are a microsecond: at most 12,500,000.
        write(GPTMTAILR, pause * 25 / 2);
        write(GPTMCTL, TIMER_A_ENABLE);
        cortex_m::asm::wfi();
        // So that no look at SysTick is missed.
        self.now();
    }
}

impl connie_smoltcp::Platform for Clock {
    fn now(&self) -> Instant {
        Clock::now(self)
    }

    fn idle_until(&self, until: Option<Instant>) {
        Clock::idle_until(self, until);
    }
}

// General-purpose timer 0 as one 32-bit timer (LM3S6965 data sheet, chapter "General-Purpose Timers"), and
// its clock gate.
const RCGC1: usize = 0x400f_e104;
const RCGC1_TIMER0: u32 = 1 << 16;
const GPTMCFG: usize = 0x4003_0000;
const GPTMTAMR: usize = 0x4003_0004;
const GPTMCTL: usize = 0x4003_000c;
const GPTMIMR: usize = 0x4003_0018;
const GPTMICR: usize = 0x4003_0024;
const GPTMTAILR: usize = 0x4003_0028;
const ONE_SHOT: u32 = 1;
const TIMER_A_ENABLE: u32 = 1;
/// `TATOIM`, `TATOCINT`
const TIME_OUT: u32 = 1;
