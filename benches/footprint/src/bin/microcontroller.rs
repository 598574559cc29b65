//! The race and the driver as a microcontroller links them: the `.text` of this program is their price, the
//! symbols `RACE` and `CONNECTOR` have their sizes in RAM, and that it links at all shows that no path in
//! them leads to a panic.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("microcontroller: build this for one: --target thumbv7m-none-eabi --profile size");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
mod stub;

#[cfg(target_os = "none")]
mod firmware {
    use core::mem::size_of;
    use core::net::{Ipv4Addr, SocketAddr};
    use core::sync::atomic::Ordering;

    use connie_core::{Config, Poller, Race, RaceDriver};

    use crate::stub::{Clock, Stack, WORLD, world};

    /// Sizes, to be read from the linked program.
    #[used]
    #[unsafe(no_mangle)]
    static RACE: [u8; size_of::<Race<16, 4, 32>>()] = [0; size_of::<Race<16, 4, 32>>()];
    #[used]
    #[unsafe(no_mangle)]
    static CONNECTOR: [u8; size_of::<RaceDriver<Stack, 16, 4, 32>>()] =
        [0; size_of::<RaceDriver<Stack, 16, 4, 32>>()];

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        let config = Config::all_at_once().max_in_flight(world() as usize);
        let mut clock = Clock;
        let mut driver = RaceDriver::<Stack, 16, 4, 32>::new(&config, clock.now());
        let addresses: [SocketAddr; 12] =
            core::array::from_fn(|_| SocketAddr::new(Ipv4Addr::from(world()).into(), world() as u16));
        driver.handle_addresses(&addresses, clock.now());
        let won = driver.run(&mut Stack, &mut clock).is_ok();
        WORLD.store(won.into(), Ordering::Relaxed);
        loop {
            core::hint::spin_loop();
        }
    }
}
