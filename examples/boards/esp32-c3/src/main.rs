//! ESP32-C3: fetches a page by HTTPS, again and again, over the address of the host that is the first to show
//! a good certificate, and logs what each race did.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::string::String;
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
use embassy_executor::Spawner;
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Runner, Stack, StackResources};
use embassy_time::Timer;
use esp_backtrace as _;
use esp_hal::interrupt::software::SoftwareInterruptControl;
use esp_hal::rng::{Rng, Trng};
use esp_hal::timer::timg::TimerGroup;
use esp_println::{print, println};
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{Config as WifiConfig, Interface, WifiController};
use reqwless::client::HttpClient;
use reqwless::request::Method;
use static_cell::{ConstStaticCell, StaticCell};

esp_bootloader_esp_idf::esp_app_desc!();

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

/// Joins the network, and joins it again when it is lost.
#[embassy_executor::task]
async fn radio(mut controller: WifiController<'static>) -> ! {
    loop {
        match controller.connect_async().await {
            Ok(_) => println!("left the network: {:?}", controller.wait_for_disconnect_async().await),
            Err(error) => println!("no network {NETWORK}: {error:?}"),
        }
        Timer::after_secs(5).await;
    }
}

#[embassy_executor::task]
async fn network(mut runner: Runner<'static, SolicitingDriver<'static, Interface<'static>>>) -> ! {
    runner.run().await
}

#[esp_rtos::main]
async fn main(spawner: Spawner) {
    let board = esp_hal::init(esp_hal::Config::default());
    // Only for the radio's library. The first is memory that the boot loader no longer needs.
    esp_alloc::heap_allocator!(#[esp_hal::ram(reclaimed)] size: 64 * 1024);
    esp_alloc::heap_allocator!(size: 36 * 1024);
    let timers = TimerGroup::new(board.TIMG0);
    let interrupts = SoftwareInterruptControl::new(board.SW_INTERRUPT);
    esp_rtos::start(timers.timer0, interrupts.software_interrupt0);
    let (mut controller, interfaces) = esp_radio::wifi::new(board.WIFI, Default::default()).unwrap();
    let station = StationConfig::default().with_ssid(NETWORK).with_password(String::from(PASSWORD));
    controller.set_config(&WifiConfig::Station(station)).unwrap();
    spawner.spawn(radio(controller).unwrap());

    static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
    static RESOURCES: StaticCell<StackResources<{ SOCKETS + DNS + 1 }>> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let (resources, device) =
        (RESOURCES.init_with(StackResources::new), neighbours.driver(interfaces.station));
    let (stack, runner) = embassy_net::new(device, config, resources, seed());
    spawner.spawn(network(runner).unwrap());
    stack.wait_config_up().await;
    visits(stack, neighbours).await
}

fn seed() -> u64 {
    let random = Rng::new();
    u64::from(random.random()) << 32 | u64::from(random.random())
}

async fn visits(stack: Stack<'static>, neighbours: &'static Neighbours) -> ! {
    static STATE: StaticCell<TcpClientState<SOCKETS, 1024, 1024>> = StaticCell::new();
    static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
    static RECORDS: ConstStaticCell<RecordBuffers<2>> = ConstStaticCell::new(RecordBuffers::new());
    let udp = Udp::new(stack, BUFFERS.init_with(Buffers::new)).with_neighbours(neighbours);
    let names: Dns<'_, _, _> = Dns::new(&udp, EmbassyClock, seed());
    // A handshake takes the processor a while, which does not mean that the server is dead.
    let race = Config::all_at_once().patience(Duration::from_secs(1)).deadline(Some(Duration::from_secs(20)));
    let memory = RefCell::new(Memory::<32>::new(seed() as u32, Instant::ZERO));
    let last = RefCell::new(LastRace::new());
    let tcp = TcpClient::new(stack, STATE.init_with(TcpClientState::new));
    let net = RaceConnect::new(tcp, &names, EmbassyClock, Options::new().race(race));
    let net = net.with_memory(&memory).with_record(&last);
    let authority = CertificateDer::from(&include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"))[..]);
    let anchors = [trust_anchor(&authority).expect("authority.der is a certificate")];
    // The board does not know the time, so it accepts a certificate that has expired.
    let tls = EmbeddedTls::new(Trng::try_new().unwrap(), &anchors, CertificateTime::Unknown);
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
            Ok((status, octets)) => println!("{URL}: {status}, {octets} octets"),
            Err(error) => println!("{URL}: {error:?}"),
        }
        print!("{}", last.borrow().timeline().waterfall(80, Default::default()));
        Timer::after_secs(30).await;
    }
}
