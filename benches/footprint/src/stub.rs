//! A TCP stack and a clock of which every answer is unknown to the compiler, for programs that are linked and
//! never run.
//!
//! The panic handler calls a function that nobody defines: a program links only if no path in it leads to a
//! panic.

use core::net::SocketAddr;
use core::panic::PanicInfo;
use core::sync::atomic::{AtomicU32, Ordering};

use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{AttemptError, AttemptErrorKind, Instant, PollEntry, PollResult, Poller, RaceStack};

/// Where all that the compiler cannot know comes from, and all that it must not drop goes to.
pub static WORLD: AtomicU32 = AtomicU32::new(0);

/// A number that the compiler cannot know.
pub fn world() -> u32 {
    WORLD.load(Ordering::Relaxed)
}

/// The stack.
pub struct Stack;
/// Its sockets.
pub struct Socket(#[expect(dead_code, reason = "as large as a socket handle")] u32);
/// Its errors.
#[derive(Debug)]
pub struct Error(u32);

impl TcpError for Error {
    fn kind(&self) -> TcpErrorKind {
        TcpErrorKind::Other
    }
}

impl TcpClientStack for Stack {
    type TcpSocket = Socket;
    type Error = Error;

    fn socket(&mut self) -> Result<Socket, Error> {
        Ok(Socket(world()))
    }

    fn connect(&mut self, _: &mut Socket, remote: SocketAddr) -> nb::Result<(), Error> {
        WORLD.store(remote.port().into(), Ordering::Relaxed);
        match world() {
            0 => Ok(()),
            1 => Err(nb::Error::WouldBlock),
            other => Err(nb::Error::Other(Error(other))),
        }
    }

    fn send(&mut self, _: &mut Socket, _: &[u8]) -> nb::Result<usize, Error> {
        answer()
    }

    fn receive(&mut self, _: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        for byte in buffer {
            *byte = world() as u8;
        }
        answer()
    }

    fn close(&mut self, _: Socket) -> Result<(), Error> {
        Ok(())
    }
}

fn answer() -> nb::Result<usize, Error> {
    match world() {
        0 => Err(nb::Error::WouldBlock),
        1 => Err(nb::Error::Other(Error(world()))),
        count => Ok(count as usize),
    }
}

impl RaceStack for Stack {
    fn attempt_error(&self, error: &Error) -> AttemptError {
        AttemptError::new(match error.0 {
            2 => AttemptErrorKind::Refused,
            3 => AttemptErrorKind::OutOfSockets,
            _ => AttemptErrorKind::TimedOut,
        })
    }

    fn abort(&mut self, _: Socket) {
        WORLD.store(1, Ordering::Relaxed);
    }
}

/// The clock.
pub struct Clock;

impl Poller<Stack> for Clock {
    fn now(&mut self) -> Instant {
        Instant::from_micros(world().into())
    }

    fn wait(
        &mut self,
        _: &mut Stack,
        sockets: &mut [PollEntry<'_, Socket>],
        until: Option<Instant>,
    ) -> PollResult {
        for socket in sockets {
            socket.ready = world() == 1;
        }
        WORLD.store(until.is_some().into(), Ordering::Relaxed);
        PollResult::Look
    }
}

unsafe extern "C" {
    /// Defined nowhere.
    fn a_path_leads_to_a_panic() -> !;
}

#[panic_handler]
fn panic(_: &PanicInfo<'_>) -> ! {
    // SAFETY: there is no such function, so this never comes to run: what refers to it does not link.
    unsafe { a_path_leads_to_a_panic() }
}
