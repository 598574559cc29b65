//! What a board provides: a clock, and a way to do nothing until something happens.

use connie_core::Instant;

/// A clock, and a way to sleep until something happens: all that connie asks of a board, an operating
/// system or a test.
///
/// The methods take `&self`, so that a stack and a poller can share one board: give both a reference, or make
/// it a type without a field whose clock is a static counter.
///
/// ```
/// use connie_core::Instant;
/// use connie_smoltcp::Platform;
/// # fn ticks() -> u64 { 0 }
/// # fn interrupts_off<T>(run: impl FnOnce() -> T) -> T { run() }
/// # fn nothing_has_happened() -> bool { false }
/// # fn wake_at(_: Option<Instant>) {}
/// # fn wait_for_interrupt() {}
///
/// #[derive(Clone, Copy)]
/// struct Nucleo;
///
/// impl Platform for Nucleo {
///     fn now(&self) -> Instant {
///         Instant::from_micros(ticks())
///     }
///
///     fn idle_until(&self, until: Option<Instant>) {
///         wake_at(until);
///         // An interrupt between the question and `wfi` stays pending, and `wfi` returns at once.
///         interrupts_off(|| if nothing_has_happened() { wait_for_interrupt() });
///     }
/// }
/// # assert_eq!(Nucleo.now(), Instant::ZERO);
/// ```
pub trait Platform {
    /// The time since some start. Must not run backwards; where it does, the stack's time stands still.
    fn now(&self) -> Instant;

    /// Does nothing until `until`, or for ever where that is `None`, but returns once the device may have
    /// received something or may be able to send again. May return early, or at once.
    ///
    /// What happens between the last look at the device and this call must end it too: see the example.
    fn idle_until(&self, until: Option<Instant>);

    /// Whether the program wants the operation under way given up. Default: no.
    fn is_canceled(&self) -> bool {
        false
    }
}

impl<B: Platform + ?Sized> Platform for &B {
    fn now(&self) -> Instant {
        B::now(self)
    }

    fn idle_until(&self, until: Option<Instant>) {
        B::idle_until(self, until);
    }

    fn is_canceled(&self) -> bool {
        B::is_canceled(self)
    }
}
