//! The race's poller, made of a board.

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, PollEntry, PollResult, Poller};
use smoltcp::phy::Device;

use crate::address::sooner;
use crate::platform::Platform;
use crate::stack::Stack;

/// Waits for the sockets of a [`Stack`] by serving its interface, and lets the board idle in between: until
/// the race or the interface has something to do, whichever is sooner.
#[derive(Clone, Copy, Debug)]
pub struct PlatformPoller<B>(pub B);

impl<B: Platform> PlatformPoller<B> {
    /// Serves the interface, idles until `until` if there was nothing to do, and serves it again.
    pub(crate) fn serve<D: Device, C: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, C, TCP, UDP>,
        until: Option<Instant>,
        mut done: impl FnMut(&mut Stack<'_, D, C, TCP, UDP>) -> bool,
    ) -> PollResult {
        let received = stack.poll();
        if !done(stack) && !received && !self.0.is_canceled() {
            self.idle(stack, until);
            stack.poll();
            done(stack);
        }
        if self.0.is_canceled() { PollResult::Canceled } else { PollResult::Look }
    }

    /// Idles until `until`, or until the interface has something to do.
    // Not inlined: its caller would keep room for it on the stack while the interface is served.
    #[inline(never)]
    fn idle<D: Device, C: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, C, TCP, UDP>,
        until: Option<Instant>,
    ) {
        let next = sooner(until, stack.poll_at());
        if next.is_none_or(|next| self.0.now() < next) {
            self.0.idle_until(next);
        }
    }
}

impl<'a, D: Device, C: Platform, B: Platform, const TCP: usize, const UDP: usize>
    Poller<Stack<'a, D, C, TCP, UDP>> for PlatformPoller<B>
{
    fn now(&mut self) -> Instant {
        self.0.now()
    }

    fn wait(
        &mut self,
        stack: &mut Stack<'a, D, C, TCP, UDP>,
        sockets: &mut [PollEntry<'_, <Stack<'a, D, C, TCP, UDP> as TcpClientStack>::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.serve(stack, until, |stack| {
            for watched in &mut *sockets {
                watched.ready |= stack.is_ready(watched.socket, watched.interest);
            }
            sockets.iter().any(|watched| watched.ready)
        })
    }
}
