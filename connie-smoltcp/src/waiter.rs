//! The race's waiter, made of a board.

use connie_core::stack::TcpClientStack;
use connie_core::{Instant, Waiter, Wake, Watched};
use smoltcp::phy::Device;

use crate::address::sooner;
use crate::board::Board;
use crate::stack::Stack;

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
