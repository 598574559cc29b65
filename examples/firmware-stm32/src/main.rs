//! Firmware for the board NUCLEO-F429ZI (STM32F429, Ethernet with an RMII transceiver): fetches a page over
//! the address of a host that answers first, once a minute, and prints it over RTT.
//!
//! ```text
//! rustup target add thumbv7em-none-eabihf; cargo install probe-rs-tools
//! cd examples/firmware-stm32
//! cargo run --release --target thumbv7em-none-eabihf
//! ```

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("nucleo: build this for a microcontroller: --target thumbv7em-none-eabihf");
}

#[cfg(target_os = "none")]
mod device;

#[cfg(target_os = "none")]
mod firmware {
    use core::cell::Cell;
    use core::fmt;
    use core::time::Duration;

    use connie_core::{Config, Failure, Instant, Poller as _};
    use connie_http::{Authority, HttpConnection, HttpError};
    use connie_smoltcp::{
        Dhcp, DhcpEvent, Dns, DnsBuffers, DnsDriver, Platform, PlatformPoller, SocketStorage, StartError,
        TcpBuffers, interface,
    };
    use cortex_m::interrupt::Mutex;
    use cortex_m_rt::{entry, exception};
    use rand_core::RngCore as _;
    use rtt_target::{rprintln, rtt_init_print};
    use static_cell::{ConstStaticCell, StaticCell};
    use stm32_eth::dma::{RxRingEntry, TxRingEntry};
    use stm32_eth::hal::gpio::GpioExt as _;
    use stm32_eth::hal::prelude::*;
    use stm32_eth::hal::rng::Rng;
    use stm32_eth::hal::signature::Uid;
    use stm32_eth::stm32::{CorePeripherals, Peripherals, interrupt};
    use stm32_eth::{EthPins, PartsIn};

    use crate::device::Ethernet;

    /// What is fetched.
    const HOST: &str = "example.org";
    const PATH: &str = "/";

    const SOCKETS: usize = 4;

    type Stack = connie_smoltcp::Stack<'static, Ethernet<'static>, Nucleo, SOCKETS>;

    /// Milliseconds since the start. 32 bits of them would come round after 49 days, and this core has no
    /// atomics of 64.
    static MILLIS: Mutex<Cell<u64>> = Mutex::new(Cell::new(0));

    /// The board's clock.
    #[derive(Clone, Copy)]
    struct Nucleo;

    impl Platform for Nucleo {
        fn now(&self) -> Instant {
            Instant::from_millis(cortex_m::interrupt::free(|cs| MILLIS.borrow(cs).get()))
        }

        fn idle_until(&self, _until: Option<Instant>) {
            // A frame wakes the processor, and so does SysTick every millisecond: one that came just before
            // costs no more than that.
            cortex_m::asm::wfi();
        }
    }

    #[exception]
    fn SysTick() {
        // 64 bits come round after 584 million years.
        cortex_m::interrupt::free(|cs| MILLIS.borrow(cs).update(|millis| millis.wrapping_add(1)));
    }

    #[interrupt]
    fn ETH() {
        stm32_eth::eth_interrupt_handler();
    }

    #[panic_handler]
    fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
        rprintln!("{}", info);
        loop {
            cortex_m::asm::bkpt();
        }
    }

    /// Why there is no page.
    enum Failed {
        Lookup(StartError),
        Race(Failure),
        Http(HttpError),
    }

    impl fmt::Display for Failed {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Failed::Lookup(error) => error.fmt(f),
                Failed::Race(failure) => failure.fmt(f),
                Failed::Http(error) => error.fmt(f),
            }
        }
    }

    #[entry]
    fn main() -> ! {
        rtt_init_print!();
        // Nobody has taken them before.
        let (Some(core), Some(peripherals)) = (CorePeripherals::take(), Peripherals::take()) else {
            panic!("the peripherals are taken already")
        };
        let (mut device, seed) = start(core, peripherals);
        let address = hardware_address();
        let interface = interface(&mut device, address, seed, Nucleo.now());

        // For the connections, two questions to name servers, and DHCP.
        static SLOTS: StaticCell<[SocketStorage<'static>; SOCKETS + 3]> = StaticCell::new();
        static BUFFERS: ConstStaticCell<[TcpBuffers<1024, 1024>; SOCKETS]> =
            ConstStaticCell::new([const { TcpBuffers::new() }; SOCKETS]);
        static DATAGRAMS: ConstStaticCell<[DnsBuffers; 2]> =
            ConstStaticCell::new([const { DnsBuffers::new() }; 2]);
        let slots = SLOTS.init_with(|| [SocketStorage::EMPTY; SOCKETS + 3]);
        let mut stack = Stack::new(interface, device, slots, BUFFERS.take(), Nucleo, seed);
        // There is room for both.
        let datagrams = DATAGRAMS.take();
        let (Ok(mut dhcp), Ok(dns)) = (Dhcp::start(&mut stack), Dns::start(&mut stack, &[], datagrams))
        else {
            panic!("too few sockets for DHCP and DNS: SOCKETS + 3")
        };
        let mut poller = PlatformPoller(Nucleo);
        let mut next = None;
        loop {
            stack.poll();
            match dhcp.poll(&mut stack) {
                Some(DhcpEvent::Configured(lease)) => {
                    rprintln!("address {}", lease.address);
                    dns.set_servers(&mut stack, &lease.dns_servers);
                    next = next.or(Some(Nucleo.now()));
                }
                Some(DhcpEvent::Deconfigured) => next = None,
                None => {}
            }
            if next.is_some_and(|next| Nucleo.now() >= next) {
                match fetch(&mut stack, &mut poller, &dns) {
                    Ok(()) => {}
                    Err(failed) => rprintln!("{}: {}", HOST, failed),
                }
                next = Some(Nucleo.now() + Duration::from_secs(60));
            }
            let _ = poller.wait(&mut stack, &mut [], next);
        }
    }

    /// Looks the host up, races its addresses of both families, and prints the page that the winner sends.
    fn fetch(stack: &mut Stack, poller: &mut PlatformPoller<Nucleo>, dns: &Dns) -> Result<(), Failed> {
        let config = Config::all_at_once().deadline(Some(Duration::from_secs(10)));
        let driver = DnsDriver::<_, 16, SOCKETS, 32>::new(dns, stack, HOST, 80, &config);
        let mut driver = driver.map_err(Failed::Lookup)?;
        let raced = driver.run(stack, poller);
        rprintln!("{}", driver.timeline().waterfall(79, connie_core::timeline::Style::default()));
        let connection = raced.map_err(Failed::Race)?;
        print_page(stack, poller, connection.socket).map_err(Failed::Http)
    }

    fn print_page(
        stack: &mut Stack,
        poller: &mut PlatformPoller<Nucleo>,
        socket: connie_smoltcp::TcpSocket,
    ) -> Result<(), HttpError> {
        let mut buffer = [0; 2048];
        let mut http = HttpConnection::new(stack, poller, socket, Authority::http(HOST, 80), &mut buffer)?;
        // For a silent server, and for one that sends an octet from time to time.
        http.set_timeout(Some(Duration::from_secs(10)));
        http.set_deadline(Some(Nucleo.now() + Duration::from_secs(60)));
        http.request("GET", PATH, &[("Connection", "close")], b"")?;
        let mut response = http.response()?;
        rprintln!("{} {}", response.status(), response.reason());
        let mut piece = [0; 256];
        loop {
            match response.read(&mut piece)? {
                0 => return Ok(()),
                // What is no text is left out. `read` fills no more than the piece.
                length => rprintln!("{}", core::str::from_utf8(&piece[..length]).unwrap_or("...")),
            }
        }
    }

    /// The chip's unique number (place on the wafer, wafer, lot) in 64 bits, spread so that all of it is in
    /// any few of them.
    fn unique_number() -> u64 {
        let uid = Uid::get();
        let place = u64::from(uid.x()) << 24 | u64::from(uid.y()) << 8 | u64::from(uid.waf_num());
        // FNV-1a, and the last step of SplitMix64.
        let place = place.to_le_bytes();
        let all = place.iter().chain(uid.lot_num().as_bytes());
        let hash = all.fold(0xcbf2_9ce4_8422_2325, |hash: u64, octet| {
            (hash ^ u64::from(*octet)).wrapping_mul(0x0100_0000_01b3)
        });
        let hash = (hash ^ hash >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        hash ^ hash >> 31
    }

    /// A hardware address that is ours to give (its second lowest bit): another for each chip.
    fn hardware_address() -> [u8; 6] {
        let [a, b, c, d, e, ..] = unique_number().to_le_bytes();
        [0x02, a, b, c, d, e]
    }

    /// A seed from the generator of random numbers. Where that fails, by its clock or its own tests, the page
    /// comes all the same, and the message says what is worse.
    fn seed(mut random: Rng) -> u64 {
        let mut seed = [0; 8];
        match random.try_fill_bytes(&mut seed) {
            Ok(()) => u64::from_le_bytes(seed),
            Err(error) => {
                rprintln!("no random numbers: {}. The ports will be the same after each reset", error);
                unique_number()
            }
        }
    }

    /// Starts clocks, SysTick, the Ethernet controller and the generator of random numbers, and draws a seed.
    fn start(mut core: CorePeripherals, peripherals: Peripherals) -> (Ethernet<'static>, u64) {
        static RECEIVED: StaticCell<[RxRingEntry; 4]> = StaticCell::new();
        static TO_SEND: StaticCell<[TxRingEntry; 4]> = StaticCell::new();

        let clocks =
            peripherals.RCC.constrain().cfgr.sysclk(96.MHz()).hclk(96.MHz()).require_pll48clk().freeze();
        // Its clock was asked for above.
        let seed = seed(peripherals.RNG.constrain(&clocks));

        core.SYST.set_clock_source(cortex_m::peripheral::syst::SystClkSource::Core);
        core.SYST.set_reload(clocks.hclk().to_Hz() / 1000 - 1);
        core.SYST.clear_current();
        core.SYST.enable_counter();
        core.SYST.enable_interrupt();

        let (a, b, c, g) = (
            peripherals.GPIOA.split(),
            peripherals.GPIOB.split(),
            peripherals.GPIOC.split(),
            peripherals.GPIOG.split(),
        );
        // The board's wiring: UM1974, table "Ethernet pin configuration".
        let pins = EthPins {
            ref_clk: a.pa1.into_floating_input(),
            crs: a.pa7.into_floating_input(),
            tx_en: g.pg11.into_floating_input(),
            tx_d0: g.pg13.into_floating_input(),
            tx_d1: b.pb13.into_floating_input(),
            rx_d0: c.pc4.into_floating_input(),
            rx_d1: c.pc5.into_floating_input(),
        };
        let parts = PartsIn {
            dma: peripherals.ETHERNET_DMA,
            mac: peripherals.ETHERNET_MAC,
            mmc: peripherals.ETHERNET_MMC,
        };
        let (received, to_send) = (RECEIVED.init_with(Default::default), TO_SEND.init_with(Default::default));
        let Ok(ethernet) = stm32_eth::new(parts, received, to_send, clocks, pins) else {
            panic!("the clock is too slow for Ethernet");
        };
        ethernet.dma.enable_interrupt();
        (Ethernet(ethernet.dma), seed)
    }
}
