//! ST's NUCLEO-H563ZI: fetches a page by HTTPS, again and again, over the address of the host that is the
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
use defmt::{Debug2Format, Display2Format, info, unwrap, warn};
use embassy_executor::Spawner;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Runner, Stack, StackResources};
use embassy_stm32::eth::{Ethernet, GenericPhy, PacketQueue, Sma};
use embassy_stm32::peripherals::{ETH, ETH_SMA, RNG};
use embassy_stm32::rng::Rng;
use embassy_stm32::{bind_interrupts, eth, rng};
use embassy_time::Timer;
use reqwless::client::HttpClient;
use reqwless::request::Method;
use static_cell::{ConstStaticCell, StaticCell};
use {defmt_rtt as _, panic_probe as _};

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
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + DNS + 1 }>> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let resources = RESOURCES.init_with(StackResources::new);
    let (stack, runner) = embassy_net::new(neighbours.driver(device), config, resources, random.next_u64());
    spawner.spawn(network(runner).unwrap());
    stack.wait_config_up().await;
    visits(stack, neighbours, random).await
}

async fn visits(stack: Stack<'static>, neighbours: &'static Neighbours, mut random: Rng<'static, RNG>) -> ! {
    static STATE: StaticCell<TcpClientState<SOCKETS, 1024, 1024>> = StaticCell::new();
    static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
    static RECORDS: ConstStaticCell<RecordBuffers<2>> = ConstStaticCell::new(RecordBuffers::new());
    let udp = Udp::new(stack, BUFFERS.init_with(Buffers::new)).with_neighbours(neighbours);
    let names: Dns<'_, _, _> = Dns::new(&udp, EmbassyClock, random.next_u64());
    // A handshake takes the processor a second, which does not mean that the server is dead.
    let race = Config::all_at_once().patience(Duration::from_secs(2)).deadline(Some(Duration::from_secs(20)));
    let memory = RefCell::new(Memory::<32>::new(random.next_u32(), Instant::ZERO));
    let last = RefCell::new(LastRace::new());
    let tcp = TcpClient::new(stack, STATE.init_with(TcpClientState::new));
    let net = RaceConnect::new(tcp, &names, EmbassyClock, Options::new().race(race));
    let net = net.with_memory(&memory).with_record(&last);
    let authority = CertificateDer::from(&include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"))[..]);
    let anchors = [unwrap!(trust_anchor(&authority).ok(), "authority.der is not a certificate")];
    // The board does not know the time, so it accepts a certificate that has expired.
    let tls = EmbeddedTls::new(random, &anchors, CertificateTime::Unknown);
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
