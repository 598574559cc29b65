//! ESP32-C3: fetches a page by HTTPS, again and again, over the address of the host that is the first to show
//! a good certificate, and logs what each race did.

#![no_std]
#![no_main]

#[path = "../../visits.rs"]
mod visits;

extern crate alloc;

use alloc::string::String;

use connie_async::embassy_net::{Neighbours, SolicitingDriver};
use embassy_executor::Spawner;
use embassy_net::Runner;
use embassy_time::Timer;
use esp_backtrace as _;
use esp_hal::interrupt::software::SoftwareInterruptControl;
use esp_hal::rng::{Rng, Trng};
use esp_hal::timer::timg::TimerGroup;
use esp_println::println;
use esp_radio::wifi::sta::StationConfig;
use esp_radio::wifi::{Config as WifiConfig, Interface, WifiController};
use static_cell::StaticCell;
use visits::{Resources, visits};

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
    static RESOURCES: StaticCell<Resources> = StaticCell::new();
    let neighbours: &'static Neighbours = NEIGHBOURS.init_with(Neighbours::new);
    let mut config = embassy_net::Config::dhcpv4(Default::default());
    config.ipv6 = embassy_net::ConfigV6::Slaac;
    let (resources, device) = (RESOURCES.init_with(Resources::new), neighbours.driver(interfaces.station));
    let random = Rng::new();
    let seed = u64::from(random.random()) << 32 | u64::from(random.random());
    let (stack, runner) = embassy_net::new(device, config, resources, seed);
    spawner.spawn(network(runner).unwrap());
    stack.wait_config_up().await;
    let authority = include_bytes!(concat!(env!("OUT_DIR"), "/authority.der"));
    visits((stack, neighbours), Trng::try_new().unwrap(), authority, URL, |line| println!("{line}")).await
}
