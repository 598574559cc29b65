//! ST's NUCLEO-H563ZI: fetches a page by HTTPS, again and again, over the address of the host that is the
//! first to show a good certificate, and logs what each race did.

#![no_std]
#![no_main]

#[path = "../../visits.rs"]
mod visits;

use connie_async::embassy_net::{Neighbours, SolicitingDriver};
use defmt::{Display2Format, info};
use embassy_executor::Spawner;
use embassy_net::Runner;
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{bind_interrupts, eth, rng};
use static_cell::StaticCell;
use {defmt_rtt as _, panic_probe as _};

use visits::{Resources, visits};

const URL: &str = or(option_env!("URL"), "https://example.org/");

const fn or(given: Option<&'static str>, default: &'static str) -> &'static str {
    match given {
        Some(given) => given,
        None => default,
    }
}

type Device = Ethernet<'static, ETH, GenericPhy<Sma<'static, ETH_SMA>>>;

bind_interrupts!(struct Interrupts {
    ETH => eth::InterruptHandler;
    RNG => rng::InterruptHandler<RNG>;
});

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, SolicitingDriver<'static, Device>>) -> ! {
    runner.run().await
}

/// 250 MHz from the 8 MHz of the debugger's clock.
fn clocks() -> embassy_stm32::Config {
    use embassy_stm32::rcc::*;
    let mut config = embassy_stm32::Config::default();
    let mode = HseMode::BypassDigital;
    config.rcc.hse = Some(Hse { freq: embassy_stm32::time::Hertz(8_000_000), mode });
    // For random numbers.
    config.rcc.hsi48 = Some(Default::default());
    config.rcc.pll1 = Some(Pll {
        source: PllSource::HSE,
        prediv: PllPreDiv::DIV2,
        mul: PllMul::MUL125,
        divp: Some(PllDiv::DIV2),
        divq: Some(PllDiv::DIV2),
        divr: None,
    });
    config.rcc.sys = Sysclk::PLL1_P;
    config.rcc.voltage_scale = VoltageScale::Scale0;
    config
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_stm32::init(clocks());
    let mut random = Rng::new(board.RNG, Interrupts);
    let [_, _, _, _, _, a, b, c] = random.next_u64().to_be_bytes();
    static PACKETS: StaticCell<PacketQueue<4, 4>> = StaticCell::new();
    // The board's wiring: UM3115, "Ethernet". The address is locally administered: a product has its own.
    let device = Ethernet::new(
        PACKETS.init_with(PacketQueue::new),
        board.ETH,
        Interrupts,
        board.PA1,
        board.PA7,
        board.PC4,
        board.PC5,
        board.PG13,
        board.PB15,
        board.PG11,
        [2, 0, 0, a, b, c],
        board.ETH_SMA,
        board.PA2,
        board.PC1,
    );
    static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
    static RESOURCES: StaticCell<Resources> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let resources = RESOURCES.init_with(Resources::new);
    let (stack, runner) = embassy_net::new(neighbours.driver(device), config, resources, random.next_u64());
    spawner.spawn(network(runner).unwrap());
    stack.wait_config_up().await;
    let authority = include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"));
    visits((stack, neighbours), random, authority, URL, |line| info!("{}", Display2Format(&line))).await
}
