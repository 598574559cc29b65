//! A race with a memory, as a microcontroller links it: that it links shows that no path in them leads to a
//! panic. Beside `microcontroller`, which is the same race without one, its `.text` is the price of the
//! rules; with the feature `all` of verdicts and of the bytes too, which are linked where they are used. The
//! symbols `MEMORY`, `ENTRY` and `RACE` have their sizes in RAM.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("memory: build this for a microcontroller: --target thumbv7m-none-eabi --profile size");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
mod stub;

#[cfg(target_os = "none")]
mod firmware {
    use core::mem::size_of;
    use core::net::{Ipv4Addr, SocketAddr};
    use core::sync::atomic::Ordering;

    #[cfg(feature = "all")]
    use connie_core::memory::Verdict;
    use connie_core::memory::{Finish, Memory, Network};
    use connie_core::race::{Planned, PlannedRace};
    use connie_core::{Config, Poller, RaceDriver};

    use crate::stub::{Clock, Stack, WORLD, world};

    /// Sizes, to be read from the linked program.
    #[used]
    #[unsafe(no_mangle)]
    static RACE: [u8; size_of::<PlannedRace<16, 4, 32>>()] = [0; size_of::<PlannedRace<16, 4, 32>>()];
    #[used]
    #[unsafe(no_mangle)]
    static MEMORY: [u8; size_of::<Memory<16>>()] = [0; size_of::<Memory<16>>()];
    /// What one place more takes.
    #[used]
    #[unsafe(no_mangle)]
    static ENTRY: [u8; size_of::<Memory<17>>() - size_of::<Memory<16>>()] =
        [0; size_of::<Memory<17>>() - size_of::<Memory<16>>()];

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        let config = Config::all_at_once().max_in_flight(world() as usize);
        let mut clock = Clock;
        let mut memory = Memory::<16>::new(world(), clock.now());
        let network = Network::new(Some(Ipv4Addr::from(world())), None);
        loop {
            let mut driver = RaceDriver::<Stack, 16, 4, 32, Planned<16>>::new(&config, clock.now());
            let addresses: [SocketAddr; 12] =
                core::array::from_fn(|_| SocketAddr::new(Ipv4Addr::from(world()).into(), world() as u16));
            driver.handle_addresses(&addresses, clock.now());
            let visit = memory.visit("broker.example", Finish::Tcp, 0, &network);
            driver.follow(&memory.plan(&visit, driver.race(), world(), clock.now()));
            let won = driver.run(&mut Stack, &mut clock).is_ok();
            memory.learn(&visit, driver.race(), world() == 1, clock.now());
            #[cfg(feature = "bite")]
            WORLD.store(addresses[world() as usize].port().into(), Ordering::Relaxed);
            #[cfg(feature = "all")]
            {
                memory.report(&visit, addresses[0], Verdict::Stalled, clock.now());
                let mut bytes = [0; 700];
                for byte in &mut bytes {
                    *byte = world() as u8;
                }
                WORLD.store(memory.to_bytes(&mut bytes, clock.now()).is_some().into(), Ordering::Relaxed);
                if let Ok(read) = Memory::from_bytes(&bytes, world(), core::time::Duration::ZERO, clock.now())
                {
                    memory = read;
                }
            }
            WORLD.store(won.into(), Ordering::Relaxed);
        }
    }
}
