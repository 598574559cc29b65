//! What a board lends: a clock, and a way to do nothing until something happens.

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, Waiter, Wake, Watched};
use smoltcp::phy::Device;

use crate::address::sooner;
use crate::stack::Stack;

/// A clock, and a way to do nothing until something happens: all that connie asks of a board, an operating system or a test.
///
/// The methods take `&self`, so that a stack and a waiter can share one board: lend both a reference, or make it a type
/// without a field whose clock is a static counter.
///
/// ```
/// use connie_core::Instant;
/// use connie_smoltcp::Board;
/// # fn ticks() -> u64 { 0 }
/// # fn interrupts_off<T>(run: impl FnOnce() -> T) -> T { run() }
/// # fn nothing_has_happened() -> bool { false }
/// # fn wake_at(_: Option<Instant>) {}
/// # fn wait_for_interrupt() {}
///
/// #[derive(Clone, Copy)]
/// struct Nucleo;
///
/// impl Board for Nucleo {
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
pub trait Board {
    /// The time since some start. Must not run backwards; where it does, the stack's time stands still.
    fn now(&self) -> Instant;

    /// Does nothing until `until`, or for ever where that is `None`, but returns once the device may have received something
    /// or may be able to send again. May return early, or at once.
    ///
    /// What happens between the last look at the device and this call must end it too: see the example.
    fn idle_until(&self, until: Option<Instant>);

    /// Whether the program wants the operation under way given up. Default: no.
    fn is_canceled(&self) -> bool {
        false
    }
}

impl<B: Board + ?Sized> Board for &B {
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

/// Waits for the sockets of a [`Stack`] by serving its interface, and lets the board idle in between: until the race or the
/// interface has something to do, whichever is sooner.
#[derive(Clone, Copy, Debug)]
pub struct BoardWaiter<B>(pub B);

impl<B: Board> BoardWaiter<B> {
    /// Serves the interface, idles until `until` if there was nothing to do, and serves it again.
    pub(crate) fn serve<D: Device, C: Board, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, C, TCP, UDP>,
        until: Option<Instant>,
        mut done: impl FnMut(&mut Stack<'_, D, C, TCP, UDP>) -> bool,
    ) -> Wake {
        let received = stack.poll();
        if !done(stack) && !received && !self.0.is_canceled() {
            let next = sooner(until, stack.poll_at());
            if next.is_none_or(|next| self.0.now() < next) {
                self.0.idle_until(next);
            }
            stack.poll();
            done(stack);
        }
        if self.0.is_canceled() { Wake::Canceled } else { Wake::Look }
    }
}

impl<'a, D: Device, C: Board, B: Board, const TCP: usize, const UDP: usize> Waiter<Stack<'a, D, C, TCP, UDP>>
    for BoardWaiter<B>
{
    fn now(&mut self) -> Instant {
        self.0.now()
    }

    fn wait(
        &mut self,
        stack: &mut Stack<'a, D, C, TCP, UDP>,
        sockets: &mut [Watched<'_, <Stack<'a, D, C, TCP, UDP> as TcpClientStack>::TcpSocket>],
        until: Option<Instant>,
    ) -> Wake {
        self.serve(stack, until, |stack| {
            for watched in &mut *sockets {
                watched.ready |= stack.is_ready(watched.socket, watched.interest);
            }
            sockets.iter().any(|watched| watched.ready)
        })
    }
}
