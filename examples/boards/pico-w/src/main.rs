//! Raspberry Pi Pico W: fetches a page by HTTPS, again and again, over the address of the host that is the
//! first to show a good certificate, and logs what each race did.

#![no_std]
#![no_main]

use core::cell::RefCell;
use core::time::Duration;

use connie_async::connie_core::memory::Memory;
use connie_async::connie_core::timeline::LastRace;
use connie_async::connie_core::{Config, Instant};
use connie_async::dns::Dns;
use connie_async::embassy_net::{Buffers, Neighbours, SolicitingDriver, Udp};
use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
use connie_async::tls::{RecordBuffers, TlsRaceConnect};
use connie_async::{EmbassyClock, Options, RaceConnect};
use cyw43::{JoinOptions, NetDriver, SpiBus, aligned_bytes};
use cyw43_pio::{DEFAULT_CLOCK_DIVIDER, PioSpi};
use defmt::{Debug2Format, Display2Format, info, unwrap, warn};
use embassy_executor::Spawner;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Runner, Stack, StackResources};
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::peripherals::{DMA_CH0, PIO0};
use embassy_rp::pio::{self, Pio};
use embassy_rp::{bind_interrupts, dma};
use embassy_time::Timer;
use reqwless::client::HttpClient;
use reqwless::request::Method;
use static_cell::{ConstStaticCell, StaticCell};
use {defmt_rtt as _, panic_probe as _};

const NETWORK: &str = or(option_env!("WIFI_NETWORK"), "network");
const PASSWORD: &str = or(option_env!("WIFI_PASSWORD"), "password");
const URL: &str = or(option_env!("URL"), "https://example.org/");

const fn or(given: Option<&'static str>, default: &'static str) -> &'static str {
    match given {
        Some(given) => given,
        None => default,
    }
}

/// How many attempts a race has in flight, and how many UDP sockets there are for DNS queries.
const SOCKETS: usize = 4;
const DNS: usize = 4;

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

#[embassy_executor::main]
async fn main(spawner: Spawner) {
    let board = embassy_rp::init(Default::default());
    let (power, select) = (Output::new(board.PIN_23, Level::Low), Output::new(board.PIN_25, Level::High));
    let mut pio = Pio::new(board.PIO0, Interrupts);
    let dma = dma::Channel::new(board.DMA_CH0, Interrupts);
    let (data, clock) = (board.PIN_24, board.PIN_29);
    let (common, machine, irq) = (&mut pio.common, pio.sm0, pio.irq0);
    let spi = PioSpi::new(common, machine, DEFAULT_CLOCK_DIVIDER, irq, select, data, clock, dma);
    static RADIO: StaticCell<cyw43::State> = StaticCell::new();
    let program = aligned_bytes!(concat!(env!("OUT_DIR"), "/43439A0.bin"));
    let settings = aligned_bytes!(concat!(env!("OUT_DIR"), "/nvram_rp2040.bin"));
    let countries = include_bytes!(concat!(env!("OUT_DIR"), "/43439A0_clm.bin"));
    let (device, mut control, runner) =
        cyw43::new(RADIO.init_with(cyw43::State::new), power, spi, program, settings).await;
    spawner.spawn(radio(runner).unwrap());
    control.init(countries).await;

    static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + DNS + 1 }>> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(neighbours.driver(device), config, resources, RoscRng.next_u64());
    spawner.spawn(network(runner).unwrap());
    while let Err(error) = control.join(NETWORK, JoinOptions::new(PASSWORD.as_bytes())).await {
        warn!("no network {}: {}", NETWORK, Debug2Format(&error));
        Timer::after_secs(5).await;
    }
    stack.wait_config_up().await;
    visits(stack, neighbours).await
}

async fn visits(stack: Stack<'static>, neighbours: &'static Neighbours) -> ! {
    static STATE: StaticCell<TcpClientState<SOCKETS, 1024, 1024>> = StaticCell::new();
    static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
    static RECORDS: ConstStaticCell<RecordBuffers<2>> = ConstStaticCell::new(RecordBuffers::new());
    let udp = Udp::new(stack, BUFFERS.init_with(Buffers::new)).with_neighbours(neighbours);
    let names: Dns<'_, _, _> = Dns::new(&udp, EmbassyClock, RoscRng.next_u64());
    // A handshake takes the processor a second, which does not mean that the server is dead.
    let race = Config::all_at_once().patience(Duration::from_secs(2)).deadline(Some(Duration::from_secs(20)));
    let memory = RefCell::new(Memory::<32>::new(RoscRng.next_u32(), Instant::ZERO));
    let last = RefCell::new(LastRace::new());
    let tcp = TcpClient::new(stack, STATE.init_with(TcpClientState::new));
    let net = RaceConnect::new(tcp, &names, EmbassyClock, Options::new().race(race));
    let net = net.with_memory(&memory).with_record(&last);
    let authority = CertificateDer::from(&include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"))[..]);
    let anchors = [unwrap!(trust_anchor(&authority).ok(), "authority.der is not a certificate")];
    // The board does not know the time, so it accepts a certificate that has expired.
    let tls = EmbeddedTls::new(RoscRng, &anchors, CertificateTime::Unknown);
    let secure = TlsRaceConnect::new(&net, tls, RECORDS.take());
    let mut client = HttpClient::new(&secure, &secure);
    let mut buffer = [0; 4096];
    loop {
        let page = async {
            let mut request = client.request(Method::GET, URL).await?;
            let response = request.send(&mut buffer).await?;
            Ok::<_, reqwless::Error>((response.status.0, response.body().read_to_end().await?.len()))
        };
        match page.await {
            Ok((status, octets)) => info!("{}: {}, {} octets", URL, status, octets),
            Err(error) => warn!("{}: {}", URL, Debug2Format(&error)),
        }
        info!("{}", Display2Format(&last.borrow().timeline().waterfall(80, Default::default())));
        Timer::after_secs(30).await;
    }
}
