//! Prints the digest of each answer over semihosting, a line for each: `0x1234abcd a name`.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("read_answers: build this for a microcontroller: --target thumbv7m-none-eabi");
}

#[cfg(target_os = "none")]
mod firmware {
    use connie_http_firmware::{ANSWERS, digest};
    use cortex_m_semihosting::{debug, hprintln};

    #[cortex_m_rt::entry]
    fn main() -> ! {
        for (name, method, raw) in ANSWERS {
            match digest(method, raw) {
                Some(digest) => hprintln!("{:#010x} {}", digest, name),
                None => hprintln!("differs by its cuts: {}", name),
            }
        }
        debug::exit(debug::EXIT_SUCCESS);
        loop {
            cortex_m::asm::wfi();
        }
    }

    #[panic_handler]
    fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
        hprintln!("{}", info);
        debug::exit(debug::EXIT_FAILURE);
        loop {
            cortex_m::asm::wfi();
        }
    }
}
