//! A driver that was made for xarxa, as a device: the same races over it, and no packet buffer lost.
#![cfg(feature = "xarxa")]

mod link;

use std::collections::VecDeque;
use std::net::SocketAddr;

use connie_core::{Config, RaceDriver};
use connie_smoltcp::smoltcp::phy::{Checksum, Device, RxToken as _, TxToken as _};
use connie_smoltcp::smoltcp::time::Instant;
use connie_smoltcp::xarxa_driver::config::PACKET_BUF_COUNT;
use connie_smoltcp::xarxa_driver::{
    Capabilities, ChecksumOffload, Driver, HardwareAddress, LinkState, Medium, PacketBuf,
};
use connie_smoltcp::{
    Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers, XarxaDevice, interface,
};
use link::client::fetch;
use link::{Answers, CLIENT_MAC, Card, Link, Place, World, at, ms};

/// The world's card, driven as xarxa has it.
struct CardDriver {
    card: Card,
    medium: Medium,
    /// How many frames it has room for.
    room: usize,
    checksum: ChecksumOffload,
    /// Frames that it has received into buffers of its own accord, as a driver with a ring does.
    ring: VecDeque<PacketBuf>,
}

impl CardDriver {
    fn new(world: &World) -> Self {
        let card = world.card();
        let checksum = ChecksumOffload::NONE;
        CardDriver { card, medium: Medium::Ethernet, room: usize::MAX, checksum, ring: VecDeque::new() }
    }
}

impl Driver for CardDriver {
    fn capabilities(&self) -> Capabilities {
        let mut capabilities = Capabilities::default();
        capabilities.medium = self.medium;
        capabilities.checksum.tcp = self.checksum;
        capabilities
    }

    fn hardware_address(&self) -> HardwareAddress {
        HardwareAddress::Ethernet(CLIENT_MAC)
    }

    fn link_state(&mut self) -> LinkState {
        LinkState::Down
    }

    fn receive(&mut self) -> Option<PacketBuf> {
        if let Some(buffer) = self.ring.pop_front() {
            return Some(buffer);
        }
        let mut buffer = PacketBuf::try_new()?;
        let (frame, _) = self.card.receive(Instant::ZERO)?;
        frame.consume(|frame| {
            buffer.set_len(frame.len());
            buffer.copy_from_slice(frame);
        });
        Some(buffer)
    }

    fn can_transmit(&mut self) -> bool {
        self.room > 0
    }

    fn transmit(&mut self, buffer: PacketBuf) -> Result<(), PacketBuf> {
        if self.room == 0 {
            return Err(buffer);
        }
        self.room -= 1;
        let token = self.card.transmit(Instant::ZERO).expect("a card with room");
        token.consume(buffer.len(), |frame| frame.copy_from_slice(&buffer));
        Ok(())
    }
}

/// How many buffers of the pool are free.
fn free_buffers() -> usize {
    std::iter::from_fn(PacketBuf::try_new).collect::<Vec<_>>().len()
}

// One test, since the pool is the whole program's.
#[test]
fn a_race_over_a_driver_of_xarxa_loses_no_packet_buffer() {
    assert_eq!(free_buffers(), PACKET_BUF_COUNT);
    let world = World::ethernet();
    let path = Link::perfect(ms(20));
    let places =
        [Place::Nobody, Place::Host(Answers::Nothing), Place::Unreachable, Place::Host(Answers::Http)];
    let addresses = places.map(|place| world.add_v4(false, place, path));
    let on_link = world.add_v6(true, Place::Host(Answers::Http), Link::perfect(ms(60)));

    let mut device = XarxaDevice::new(CardDriver::new(&world));
    assert!(!device.is_link_up());
    let mac = device.hardware_address();
    let mut interface = interface(&mut device, mac, 7, at(0));
    interface.update_ip_addrs(|own| own.push("10.0.0.100/24".parse().unwrap()).unwrap());
    interface.routes_mut().add_default_ipv4_route(link::ROUTER_V4).unwrap();
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack = Stack::<_, _, 4>::new(interface, device, &mut storage, &mut buffers, world.clone(), 7);
    let mut poller = PlatformPoller(world.clone());
    let config = Config::all_at_once().deadline(Some(ms(5_000)));
    let mut driver = RaceDriver::<_, 16, 4>::new(&config, world.now());
    driver.handle_addresses(&addresses, world.now());
    let connection = driver.run(&mut stack, &mut poller).expect("a winner");
    assert_eq!((connection.destination, world.now()), (addresses[3], at(20)));
    // What the tap notes: an ICMP error, and which SYNs have left.
    let failed = driver.timeline().attempts().filter(|attempt| attempt.outcome.is_some()).count();
    assert_eq!(failed, 4, "{:?}", driver.timeline().attempts().collect::<Vec<_>>());
    assert_eq!(free_buffers(), PACKET_BUF_COUNT);
    assert!(fetch(&mut stack, &mut poller, connection));

    // Neighbours are asked for through the driver, too.
    world.send_advertisement(1_800, 1_800);
    while stack.interface().ip_addrs().len() < 3 {
        world.idle_until(Some(world.now() + ms(1)));
        stack.poll();
    }
    let start = world.now();
    let mut driver = RaceDriver::<_, 16, 4>::new(&config, start);
    driver.handle_addresses(&[on_link], start);
    let connection = driver.run(&mut stack, &mut poller).expect("a winner");
    assert_eq!(world.now().duration_since(start), ms(120));
    connie_core::RaceStack::abort(&mut stack, connection.socket);
    assert_eq!(free_buffers(), PACKET_BUF_COUNT);

    // Without a buffer, or without room, nothing is sent and nothing is taken; then all goes on.
    let all: Vec<_> = std::iter::from_fn(PacketBuf::try_new).collect();
    assert!(stack.device_mut().transmit(Instant::ZERO).is_none());
    assert!(stack.device_mut().receive(Instant::ZERO).is_none());
    drop(all);
    stack.device_mut().get_mut().room = 0;
    assert!(stack.device_mut().transmit(Instant::ZERO).is_none());
    stack.device_mut().get_mut().room = 1;
    assert!(stack.device_mut().transmit(Instant::ZERO).is_some());
    assert_eq!(free_buffers(), PACKET_BUF_COUNT);

    // All buffers are of frames that the driver has received: each is taken and answered, but the first, at
    // which none was free for an answer.
    stack.device_mut().get_mut().room = 100;
    // The router is known, and it is not asked for.
    let mut driver = RaceDriver::<_, 16, 4>::new(&config, world.now());
    driver.handle_addresses(&addresses[3..], world.now());
    let connection = driver.run(&mut stack, &mut poller).expect("a winner");
    connie_core::RaceStack::abort(&mut stack, connection.socket);
    let own = SocketAddr::from((link::client_v4(), 9));
    let device = stack.device_mut().get_mut();
    device.room = 100;
    while let Some(mut buffer) = PacketBuf::try_new() {
        let syn = link::frames::syn(addresses[3], own, device.ring.len() as u32);
        let frame = link::frames::framed(&syn, [2, 0, 0, 0, 0, 0xfe], CLIENT_MAC);
        buffer.set_len(frame.len());
        buffer.copy_from_slice(&frame);
        device.ring.push_back(buffer);
    }
    assert_eq!(device.ring.len(), PACKET_BUF_COUNT);
    assert!(stack.device_mut().transmit(Instant::ZERO).is_none());
    assert!(stack.poll());
    assert_eq!(free_buffers(), PACKET_BUF_COUNT);
    let device = stack.device_mut().get_mut();
    assert_eq!((device.ring.len(), 100 - device.room), (0, PACKET_BUF_COUNT - 1));

    // What the device does of checksums is not done again.
    for (rx, tx, left) in
        [(false, false, "Both"), (true, false, "Tx"), (false, true, "Rx"), (true, true, "None")]
    {
        stack.device_mut().get_mut().checksum = ChecksumOffload { rx, tx };
        let checksums = stack.device_mut().capabilities().checksum;
        assert_eq!(format!("{:?}", checksums.tcp), left);
        assert!(matches!(checksums.udp, Checksum::Both));
    }
    // 6LoWPAN is not for this stack.
    stack.device_mut().get_mut().medium = Medium::Ieee802154;
    assert!(stack.device_mut().transmit(Instant::ZERO).is_none());
}
