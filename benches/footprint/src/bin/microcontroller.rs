//! The race and the connector as a microcontroller links them, over a stack of which every answer is unknown to the compiler:
//! its `.text` is their price, and the symbols `RACE` and `CONNECTOR` have their sizes in RAM.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "build this for a microcontroller: cargo build --bin microcontroller --target thumbv7m-none-eabi --profile size"
    );
}

#[cfg(target_os = "none")]
mod firmware {
    use core::mem::size_of;
    use core::net::{Ipv4Addr, SocketAddr};
    use core::sync::atomic::{AtomicU32, Ordering};

    use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
    use connie_core::{AttemptError, Config, Connector, Instant, Race, RaceStack, Waiter, Wake, Watched};

    /// Where all that the compiler cannot know comes from, and all that it must not drop goes to.
    static WORLD: AtomicU32 = AtomicU32::new(0);

    fn world() -> u32 {
        WORLD.load(Ordering::Relaxed)
    }

    /// Sizes, for `readelf` to read.
    #[used]
    #[unsafe(no_mangle)]
    static RACE: [u8; size_of::<Race<16, 4, 32>>()] = [0; size_of::<Race<16, 4, 32>>()];
    #[used]
    #[unsafe(no_mangle)]
    static CONNECTOR: [u8; size_of::<Connector<Stack, 16, 4, 32>>()] =
        [0; size_of::<Connector<Stack, 16, 4, 32>>()];

    pub struct Stack;
    pub struct Socket(#[expect(dead_code, reason = "as large as a socket handle")] u32);
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
            Ok(0)
        }

        fn receive(&mut self, _: &mut Socket, _: &mut [u8]) -> nb::Result<usize, Error> {
            Ok(0)
        }

        fn close(&mut self, _: Socket) -> Result<(), Error> {
            Ok(())
        }
    }

    impl RaceStack for Stack {
        fn attempt_error(&self, error: &Error) -> AttemptError {
            match error.0 {
                2 => AttemptError::Refused,
                3 => AttemptError::OutOfSockets,
                _ => AttemptError::TimedOut,
            }
        }

        fn abort(&mut self, _: Socket) {
            WORLD.store(1, Ordering::Relaxed);
        }
    }

    struct Clock;

    impl Waiter<Stack> for Clock {
        fn now(&mut self) -> Instant {
            Instant::from_micros(world().into())
        }

        fn wait(
            &mut self,
            _: &mut Stack,
            sockets: &mut [Watched<'_, Socket>],
            until: Option<Instant>,
        ) -> Wake {
            for socket in sockets {
                socket.ready = world() == 1;
            }
            WORLD.store(until.is_some().into(), Ordering::Relaxed);
            Wake::Look
        }
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        let config = Config { max_in_flight: world() as usize, ..Config::all_at_once() };
        let mut clock = Clock;
        let mut connector = Connector::<Stack, 16, 4, 32>::new(&config, clock.now());
        let addresses: [SocketAddr; 12] =
            core::array::from_fn(|_| SocketAddr::new(Ipv4Addr::from(world()).into(), world() as u16));
        connector.handle_addresses(&addresses, clock.now());
        let won = connector.run(&mut Stack, &mut clock).is_ok();
        WORLD.store(won.into(), Ordering::Relaxed);
        loop {}
    }

    #[panic_handler]
    fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
        loop {}
    }
}
