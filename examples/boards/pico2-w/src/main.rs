//! Raspberry Pi Pico 2 W: fetches a page by HTTPS, again and again, over the address of the host that is the
//! first to show a good certificate, and logs what each race did.

#![no_std]
#![no_main]

#[path = "../../visits.rs"]
mod visits;

use core::pin::pin;

use connie_async::embassy_net::{Neighbours, SolicitingDriver};
use cyw43::{Control, JoinOptions, NetDriver, SpiBus, aligned_bytes};
use cyw43_pio::{PioSpi, RM2_CLOCK_DIVIDER};
use defmt::{Debug2Format, Display2Format, info, warn};
use embassy_executor::Spawner;
use embassy_net::{Runner, Stack};
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIO0};
use embassy_rp::pio::{self, Pio};
use embassy_rp::{bind_interrupts, dma};
use embassy_time::{Duration, Timer, with_timeout};
use static_cell::StaticCell;
use {defmt_rtt as _, panic_probe as _};

use visits::{Resources, visits};

const NETWORK: &str = or(option_env!("WIFI_NETWORK"), "network");
const PASSWORD: &str = or(option_env!("WIFI_PASSWORD"), "password");
const URL: &str = or(option_env!("URL"), "https://example.org/");

const fn or(given: Option<&'static str>, default: &'static str) -> &'static str {
    match given {
        Some(given) => given,
        None => default,
    }
}

bind_interrupts!(struct Interrupts {
    PIO0_IRQ_0 => pio::InterruptHandler<PIO0>;
    DMA_IRQ_0 => dma::InterruptHandler<DMA_CH0>;
});

#[embassy_executor::task]
async fn radio(runner: cyw43::Runner<'static, SpiBus<Output<'static>, PioSpi<'static, PIO0, 0>>>) -> ! {
    runner.run().await
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, SolicitingDriver<'static, NetDriver<'static>>>) -> ! {
    runner.run().await
}

/// Joins the Wi-Fi network, and joins it again when it is lost. It looks at the link every five seconds,
/// which is the pause between two attempts too: the stack wakes only one task at a change, and `main` waits
/// for one.
#[embassy_executor::task]
async fn join(mut control: Control<'static>, stack: Stack<'static>) -> ! {
    loop {
        if !stack.is_link_up() {
            let joined = pin!(control.join(NETWORK, JoinOptions::new(PASSWORD.as_bytes())));
            match with_timeout(Duration::from_secs(30), joined).await {
                Ok(Ok(())) => info!("joined {}", NETWORK),
                Ok(Err(error)) => warn!("no network {}: {}", NETWORK, Debug2Format(&error)),
                Err(_) => warn!("no network {}: no answer within 30 s", NETWORK),
            }
        }
        Timer::after_secs(5).await;
    }
}

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_rp::init(Default::default());
    let (power, select) = (Output::new(board.PIN_23, Level::Low), Output::new(board.PIN_25, Level::High));
    let mut pio = Pio::new(board.PIO0, Interrupts);
    let dma = dma::Channel::new(board.DMA_CH0, Interrupts);
    let (data, clock) = (board.PIN_24, board.PIN_29);
    let (common, machine, irq) = (&mut pio.common, pio.sm0, pio.irq0);
    let spi = PioSpi::new(common, machine, RM2_CLOCK_DIVIDER, irq, select, data, clock, dma);
    static RADIO: StaticCell<cyw43::State> = StaticCell::new();
    let program = aligned_bytes!(concat!(env!("OUT_DIR"), "/43439A0.bin"));
    let settings = aligned_bytes!(concat!(env!("OUT_DIR"), "/nvram_rp2040.bin"));
    let countries = include_bytes!(concat!(env!("OUT_DIR"), "/43439A0_clm.bin"));
    let (device, mut control, runner) =
        cyw43::new(RADIO.init_with(cyw43::State::new), power, spi, program, settings).await;
    spawner.spawn(radio(runner).unwrap());
    control.init(countries).await;

    static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
    static RESOURCES: StaticCell<Resources> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let resources = RESOURCES.init_with(Resources::new);
    let (stack, runner) = embassy_net::new(neighbours.driver(device), config, resources, RoscRng.next_u64());
    spawner.spawn(network(runner).unwrap());
    spawner.spawn(join(control, stack).unwrap());
    stack.wait_config_up().await;
    let authority = include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"));
    visits((stack, neighbours), RoscRng, authority, URL, |line| info!("{}", Display2Format(&line))).await
}
