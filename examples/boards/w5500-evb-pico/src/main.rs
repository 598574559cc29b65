//! WIZnet's W5500-EVB-Pico (an RP2040 and a W5500): fetches a page, again and again, over the address of the
//! host that answers first, and logs what each race did. No executor, no network stack: the chip does TCP.

#![no_std]
#![no_main]

mod stack;

use core::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use core::time::Duration;

use connie_core::memory::{Finish, Memory, Network};
use connie_core::race::Planned;
use connie_core::stack::RaceStack;
use connie_core::{Config, Instant, RaceDriver};
use connie_http::{Authority, HttpConnection, HttpError};
use cortex_m_rt::entry;
use defmt::{Debug2Format, Display2Format, info, warn};
use embassy_rp::clocks::RoscRng;
use embassy_rp::gpio::{Level, Output};
use embassy_rp::spi::{Config as SpiConfig, Spi};
use embassy_time::{Delay, block_for};
use embedded_hal_bus::spi::ExclusiveDevice;
use stack::{Chip, Clock, now};
use w5500_hl::ll::eh1::vdm::W5500;
use w5500_hl::ll::net::Eui48Addr;
use w5500_hl::ll::{Registers, VERSION};
use {defmt_rtt as _, panic_probe as _};

/// The board's own address, and its router's. Names would need connie-dns over a UDP socket of the chip.
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 10);
const ROUTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const HOST: &str = "www.test";
const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 2), Ipv4Addr::new(203, 0, 113, 1)];
/// How many of the chip's eight sockets a race may use at a time.
const SOCKETS: usize = 4;

#[entry]
fn main() -> ! {
    let board = embassy_rp::init(Default::default());
    // `unwrap`: the SPI and the pins of this chip know no errors, and so nothing below does.
    let mut speed = SpiConfig::default();
    speed.frequency = 30_000_000;
    let spi = Spi::new_blocking(board.SPI0, board.PIN_18, board.PIN_19, board.PIN_16, speed);
    let select = Output::new(board.PIN_17, Level::High);
    let mut reset = Output::new(board.PIN_20, Level::High);
    let mut chip = W5500::new(ExclusiveDevice::new(spi, select, Delay).unwrap());
    w5500_hl::ll::eh1::reset(&mut reset, &mut Delay).unwrap();
    while chip.version() != Ok(VERSION) {
        warn!("the W5500 does not answer");
        block_for(embassy_time::Duration::from_secs(1));
    }
    let seed = RoscRng.next_u64();
    let [.., a, b, c] = seed.to_be_bytes();
    // Locally administered, from the seed: a product has one of its own.
    chip.set_shar(&Eui48Addr::new(2, 0, 0, a, b, c)).unwrap();
    chip.set_sipr(&OWN).unwrap();
    chip.set_gar(&ROUTER).unwrap();
    chip.set_subr(&Ipv4Addr::new(255, 255, 255, 0)).unwrap();
    // A SYN is sent again after a second (RFC 6298); the unit is a tenth of a millisecond.
    chip.set_rtr(10_000).unwrap();
    let (mut stack, mut clock) = (Chip::new(chip, seed), Clock);
    let mut memory = Memory::<16>::new(seed as u32, Instant::ZERO);
    let addresses = ADDRESSES.map(|ip| SocketAddr::V4(SocketAddrV4::new(ip, 80)));
    let visit = memory.visit(HOST, Finish::Tcp, 0, &Network::new(Some(OWN), None));
    loop {
        let start = now();
        let config = Config::all_at_once().deadline(Some(Duration::from_secs(20)));
        let mut driver = RaceDriver::<_, 16, SOCKETS, 16, Planned<16>>::new(&config, start);
        driver.handle_addresses(&addresses, start);
        driver.follow(&memory.plan(&visit, driver.race(), 0, start));
        let won = driver.run(&mut stack, &mut clock);
        memory.learn(&visit, driver.race(), false, now());
        info!("{}", Display2Format(&driver.timeline().waterfall(80, Default::default())));
        let page = won.map(|connection| page(&mut stack, &mut clock, connection.socket));
        info!("{}: {}", HOST, Debug2Format(&page));
        block_for(embassy_time::Duration::from_secs(30));
    }
}

fn page<W>(stack: &mut Chip<W>, clock: &mut Clock, socket: stack::Socket) -> Result<(u16, usize), HttpError>
where
    Chip<W>: RaceStack<TcpSocket = stack::Socket>,
{
    let (mut buffer, mut piece, mut octets) = ([0; 1024], [0; 512], 0);
    let mut connection = HttpConnection::new(stack, clock, socket, Authority::http(HOST, 80), &mut buffer)?;
    // A silent server, and one that sends an octet from time to time, have to come to an end.
    connection.set_timeout(Some(Duration::from_secs(10)));
    connection.set_deadline(Some(now() + Duration::from_secs(60)));
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    while let length @ 1.. = response.read(&mut piece)? {
        // In 60 s the chip cannot receive 4 GB.
        octets += length;
    }
    Ok((response.status(), octets))
}
