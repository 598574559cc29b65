//! What becomes of answers, as a microcontroller links it: that it links shows that no path in resolution, in putting addresses in
//! order and in NAT64 leads to a panic. Reading a host's text is left out: that splits and parses by `core`, which proves its own
//! slices to itself and not to the linker.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("names: build this for a microcontroller: --target thumbv7m-none-eabi --profile size");
}

#[cfg(target_os = "none")]
#[path = "../stub.rs"]
#[allow(dead_code, unfulfilled_lint_expectations, reason = "its stack is for the programs that race")]
mod stub;

#[cfg(target_os = "none")]
mod firmware {
    use core::fmt::Write;
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use core::sync::atomic::Ordering;

    use connie_core::resolution::selection::{Candidate, DEFAULT_POLICY, Route, sort};
    use connie_core::resolution::{Query, QueryError, Resolution, nat64::Prefix};
    use connie_core::{Config, Family, Instant, Race};

    use crate::stub::{WORLD, world};

    /// Counts what is written to it.
    struct Count(u32);

    impl Write for Count {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.0 = self.0.wrapping_add(text.len() as u32);
            Ok(())
        }
    }

    fn address() -> SocketAddr {
        let ip = match world() {
            0 => IpAddr::V4(Ipv4Addr::from(world())),
            high => IpAddr::V6(Ipv6Addr::from(u128::from(high) << 96 | u128::from(world()))),
        };
        SocketAddr::new(ip, world() as u16)
    }

    #[unsafe(no_mangle)]
    pub extern "C" fn _start() -> ! {
        let mut count = Count(0);
        let mut candidates: [Candidate; 8] = core::array::from_fn(|_| {
            let route = if world() == 0 { Route::Unreachable } else { Route::from_source(address().ip()) };
            Candidate::new(&DEFAULT_POLICY, address(), route)
        });
        sort(&mut candidates);
        let addresses = candidates.map(|candidate| candidate.address());
        let mut race = Race::<16, 4>::new(&Config::all_at_once(), Instant::ZERO);
        race.prefer(if world() == 0 { Family::V4 } else { Family::V6 });
        race.limit_to(world() as usize);
        let mut resolution = Resolution::<8>::with_nat64();
        while let Some(query) = resolution.next_query() {
            let inputs = match world() {
                0 => resolution.failed(query, QueryError::Failed),
                _ => resolution.answered(query, &addresses),
            };
            for input in inputs {
                race.handle_input(input, Instant::ZERO);
            }
        }
        for input in resolution.answered(Query::A, &addresses) {
            race.handle_input(input, Instant::ZERO);
        }
        for failure in resolution.failures("name.test") {
            // Counting does not fail.
            let _ = write!(count, "{failure}");
        }
        let found = Prefix::discover(Ipv6Addr::from(u128::from(world()) << 64 | u128::from(world())));
        WORLD.store(count.0 ^ u32::from(found.is_some()) ^ race.in_flight() as u32, Ordering::Relaxed);
        loop {
            core::hint::spin_loop();
        }
    }
}
