//! From a host to the connection that wins, as a microcontroller links it: that it links shows that no path
//! in a `ConnectDriver` leads to a panic. The symbol `CONNECT` has its size in RAM.
//!
//! With the feature `text` the host is a text, and the `.text` of the program is the price of all of it.
//! Without, it is a name for certain: a text is split and parsed by `core`, which proves its own slices to
//! itself and not to the linker.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("names: build this for a microcontroller: --target thumbv7m-none-eabi --profile size");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
mod stub;

#[cfg(target_os = "none")]
mod firmware {
    #[cfg(not(feature = "text"))]
    use core::fmt::Write;
    use core::mem::size_of;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use core::sync::atomic::Ordering;

    #[cfg(not(feature = "text"))]
    use connie_core::Family;
    #[cfg(not(feature = "text"))]
    use connie_core::connect::Start;
    use connie_core::connect::{AddressOrder, ConnectInput, Facts, Routes};
    #[cfg(not(feature = "text"))]
    use connie_core::resolution::Query;
    use connie_core::resolution::QueryError;
    use connie_core::resolution::selection::Route;
    use connie_core::{Config, ConnectDriver, Instant, Poller, TurnResult};

    use crate::stub::{Clock, Stack, WORLD, world};

    /// The price is that of a driver without NAT64.
    const NAT64: usize = if cfg!(feature = "text") { 0 } else { 8 };
    type RaceDriver = ConnectDriver<Stack, 16, 4, 32, NAT64>;

    /// A size, to be read from the linked program.
    #[used]
    #[unsafe(no_mangle)]
    static CONNECT: [u8; size_of::<RaceDriver>()] = [0; size_of::<RaceDriver>()];

    /// Counts what is written to it.
    #[cfg(not(feature = "text"))]
    struct Count(u32);

    #[cfg(not(feature = "text"))]
    impl Write for Count {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.0 = self.0.wrapping_add(text.len() as u32);
            Ok(())
        }
    }

    fn ip() -> IpAddr {
        match world() {
            0 => IpAddr::V4(Ipv4Addr::from(world())),
            high => IpAddr::V6(Ipv6Addr::from(u128::from(high) << 96 | u128::from(world()))),
        }
    }

    /// Text that the compiler cannot know.
    #[cfg(feature = "text")]
    fn text(room: &mut [u8; 16]) -> &str {
        for octet in room.iter_mut() {
            *octet = world() as u8;
        }
        core::str::from_utf8(room).unwrap_or_default()
    }

    #[cfg(feature = "text")]
    fn begin(config: &Config, facts: &Facts<'_>, now: Instant) -> Option<RaceDriver> {
        let mut room = [0; 16];
        RaceDriver::new(text(&mut room), world() as u16, config, facts, now).ok()
    }

    #[cfg(not(feature = "text"))]
    fn begin(config: &Config, facts: &Facts<'_>, now: Instant) -> Option<RaceDriver> {
        Some(RaceDriver::begin(Start::name(), config, facts, now))
    }

    fn connect() -> bool {
        let (mut stack, mut clock) = (Stack, Clock);
        let config = Config::all_at_once().max_in_flight(world() as usize);
        let facts = Facts::default().routes(Routes { v4: world() == 0, v6: world() == 0 });
        let Some(mut driver) = begin(&config, &facts, clock.now()) else { return false };
        #[cfg(not(feature = "text"))]
        {
            driver.limit_to(world() as usize);
            let addresses = [SocketAddr::new(ip(), 80)];
            let hints = ConnectInput::Hinted {
                family: Family::V6,
                addresses: &addresses,
                order: AddressOrder::Any(&[]),
            };
            driver.handle_input(hints, clock.now());
            let best = AddressOrder::Best(Route::from_source(ip()));
            let answer = ConnectInput::Answered { query: Query::A, addresses: &addresses, order: best };
            driver.handle_input(answer, clock.now());
        }
        loop {
            match driver.turn(&mut stack, &mut clock) {
                TurnResult::SendQuery(query) if world() == 0 => {
                    driver.handle_input(
                        ConnectInput::QueryFailed { query, error: QueryError::Failed },
                        clock.now(),
                    );
                }
                TurnResult::SendQuery(query) => {
                    let addresses: [SocketAddr; 8] = core::array::from_fn(|_| SocketAddr::new(ip(), 80));
                    let routes: [Route; 8] = core::array::from_fn(|_| match world() {
                        0 => Route::Unreachable,
                        _ => Route::from_source(ip()),
                    });
                    let answer = ConnectInput::Answered {
                        query,
                        addresses: &addresses,
                        order: AddressOrder::Any(&routes),
                    };
                    driver.handle_input(answer, clock.now());
                }
                TurnResult::Waited => {}
                TurnResult::Connected(_) => return true,
                TurnResult::Failed(_) => return tell(&driver),
            }
        }
    }

    /// The rest of what a caller may ask for.
    #[cfg(not(feature = "text"))]
    fn tell(driver: &RaceDriver) -> bool {
        let mut count = Count(0);
        for failure in driver.connect().failures("name.test") {
            // Counting does not fail.
            let _ = write!(count, "{failure}");
        }
        WORLD.store(count.0, Ordering::Relaxed);
        driver.connect().is_resolved()
    }

    #[cfg(feature = "text")]
    fn tell(_: &RaceDriver) -> bool {
        false
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        WORLD.store(connect().into(), Ordering::Relaxed);
        #[cfg(feature = "bite")]
        WORLD.store([1, 2, 3][world() as usize], Ordering::Relaxed);
        loop {
            core::hint::spin_loop();
        }
    }
}
