//! The DNS client over embassy-net's UDP: an embassy-net stack on a wire of Ethernet whose other end is the
//! test, with the name servers of the table.

#![cfg(target_os = "linux")]

mod embassy_support;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::task::Waker;
use std::time::Duration;

use connie_async::connie_core::{Family, Instant};
use connie_async::dns::Dns;
use connie_async::embassy_net::{Buffers, Neighbours, Udp};
use connie_async::{AddressList, Clock, EmbassyClock, Lookup};
use connie_sim::name_servers::{
    Driver as Can, Finding, Found, Kind, NAME, Reaction, Row, Sender, Servers, rows,
};
use embassy_futures::join::join;
use embassy_futures::select::{Either3, select3};
use embassy_net::{Config, ConfigV6, Ipv4Cidr, Ipv6Cidr, StackResources, StaticConfigV4, StaticConfigV6};
use embassy_support::{OWN_MAC, OtherEnd, Wire};
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr,
    IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket, UdpRepr,
};

const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const OTHERS: EthernetAddress = EthernetAddress([2, 0, 0, 0, 0, 9]);
/// A busy machine is late, and never early.
const LATE: u64 = 400;

/// The other end of the wire.
struct Net {
    servers: RefCell<Servers>,
    /// Whose hardware address nobody answers for.
    dead: Option<Ipv4Addr>,
    /// By when they come, in the order of sending.
    coming: RefCell<BTreeMap<(Instant, u64), Vec<u8>>>,
    count: Cell<u64>,
    stack: RefCell<Option<Waker>>,
    /// The ports that were asked from.
    ports: RefCell<Vec<u16>>,
}

impl Net {
    fn new(servers: Servers, dead: Option<Ipv4Addr>) -> Self {
        let (coming, ports) = (RefCell::default(), RefCell::default());
        Net {
            servers: RefCell::new(servers),
            dead,
            coming,
            count: Cell::new(0),
            stack: RefCell::default(),
            ports,
        }
    }

    /// Has a frame come at this time.
    fn put(&self, at: Instant, kind: EthernetProtocol, length: usize, emit: impl FnOnce(&mut [u8])) {
        let header = EthernetRepr { src_addr: OTHERS, dst_addr: EthernetAddress(OWN_MAC), ethertype: kind };
        let mut octets = vec![0; header.buffer_len() + length];
        header.emit(&mut EthernetFrame::new_unchecked(&mut octets[..]));
        emit(&mut octets[header.buffer_len()..]);
        self.count.set(self.count.get() + 1);
        self.coming.borrow_mut().insert((at, self.count.get()), octets);
    }

    fn take_arp(&self, packet: &[u8]) {
        let request = ArpRepr::parse(&ArpPacket::new_checked(packet).expect("a packet")).expect("ARP");
        let ArpRepr::EthernetIpv4 { operation: ArpOperation::Request, target_protocol_addr: target, .. } =
            request
        else {
            return;
        };
        if Some(target) == self.dead || target == OWN {
            return;
        }
        let answer = ArpRepr::EthernetIpv4 {
            operation: ArpOperation::Reply,
            source_hardware_addr: OTHERS,
            source_protocol_addr: target,
            target_hardware_addr: EthernetAddress(OWN_MAC),
            target_protocol_addr: OWN,
        };
        self.put(EmbassyClock.now(), EthernetProtocol::Arp, answer.buffer_len(), |octets| {
            answer.emit(&mut ArpPacket::new_unchecked(octets));
        });
    }

    fn take_ip(&self, ip: &Ipv4Packet<&[u8]>) {
        assert_eq!(ip.next_header(), IpProtocol::Udp);
        let udp = UdpPacket::new_checked(ip.payload()).expect("a datagram");
        let mut indices = 0..self.servers.borrow().count();
        let index = indices.find(|index| Servers::address(*index).ip() == IpAddr::V4(ip.dst_addr()));
        let index = index.filter(|_| udp.dst_port() == 53).expect("a server");
        self.ports.borrow_mut().push(udp.src_port());
        let coming = self.servers.borrow_mut().ask(index, udp.payload(), false, EmbassyClock.now());
        let Some(coming) = coming else { return };
        let Reaction::Says(message, sender) = coming.reaction else {
            panic!("an error that nobody sends here")
        };
        let (host, port) = match sender {
            Sender::Itself => (ip.dst_addr(), 53),
            Sender::OtherPort => (ip.dst_addr(), 54),
            Sender::OtherHost => (Ipv4Addr::new(192, 0, 2, 99), 53),
        };
        let header = Ipv4Repr {
            src_addr: host,
            dst_addr: OWN,
            next_header: IpProtocol::Udp,
            payload_len: 8 + message.len(),
            hop_limit: 64,
        };
        let ports = UdpRepr { src_port: port, dst_port: udp.src_port() };
        self.put(coming.at, EthernetProtocol::Ipv4, 28 + message.len(), |octets| {
            let checksums = ChecksumCapabilities::default();
            header.emit(&mut Ipv4Packet::new_unchecked(&mut *octets), &checksums);
            let mut datagram = UdpPacket::new_unchecked(&mut octets[20..]);
            let fill = |payload: &mut [u8]| payload.copy_from_slice(&message);
            ports.emit(&mut datagram, &host.into(), &OWN.into(), message.len(), fill, &checksums);
        });
    }

    /// Tells the stack when something has come, for ever. Everybody else is woken by the stack alone.
    async fn ring(&self) {
        loop {
            let first = self.coming.borrow().keys().next().map(|key| key.0);
            if first.is_some_and(|at| at <= EmbassyClock.now()) {
                self.stack.borrow_mut().take().into_iter().for_each(Waker::wake);
            }
            async_io::Timer::after(Duration::from_millis(1)).await;
        }
    }
}

impl OtherEnd for Net {
    fn take(&self, octets: Vec<u8>) {
        let frame = EthernetFrame::new_checked(&octets[..]).expect("a frame");
        match frame.ethertype() {
            EthernetProtocol::Arp => self.take_arp(frame.payload()),
            EthernetProtocol::Ipv4 => {
                self.take_ip(&Ipv4Packet::new_checked(frame.payload()).expect("a packet"))
            }
            // What an IPv6 host announces of itself.
            _ => {}
        }
    }

    fn next(&self) -> Option<Vec<u8>> {
        let mut coming = self.coming.borrow_mut();
        let first = coming.first_entry().filter(|first| first.key().0 <= EmbassyClock.now())?;
        Some(first.remove())
    }

    fn wakes(&self, waker: Waker) {
        *self.stack.borrow_mut() = Some(waker);
    }
}

async fn find(dns: &impl Lookup, kind: Kind, start: Instant) -> Found {
    let family = if kind == Kind::A { Family::V4 } else { Family::V6 };
    let mut found = heapless::Vec::<IpAddr, 16>::new();
    let finding = match dns.lookup(NAME, family, &mut AddressList::new(family, &mut found)).await {
        Err(error) => Finding::Error(dns.query_error(&error)),
        Ok(()) if found.is_empty() => Finding::Nothing,
        Ok(()) => Finding::Addresses(found.to_vec()),
    };
    Found { kind, finding, millis: EmbassyClock.now().duration_since(start).as_millis() as u64 }
}

/// What is found of the row's kinds, in the order in which it is.
fn look_up(net: &Net, kinds: &[Kind], asks_neighbours: bool) -> Vec<Found> {
    let dns_servers = (0..net.servers.borrow().count()).map(|index| match Servers::address(index).ip() {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(ip) => panic!("{ip}"),
    });
    let mut config = Config::ipv4_static(StaticConfigV4 {
        address: Ipv4Cidr::new(OWN, 24),
        gateway: None,
        dns_servers: dns_servers.collect(),
    });
    // So that both families are asked for.
    config.ipv6 = ConfigV6::Static(StaticConfigV6 {
        address: Ipv6Cidr::new("2001:db8::9".parse().expect("an address"), 64),
        gateway: None,
        dns_servers: Default::default(),
    });
    let (mut resources, mut buffers, neighbours) =
        (StackResources::<4>::new(), Buffers::<4>::new(), Neighbours::new());
    let (stack, mut runner) = embassy_net::new(neighbours.driver(Wire(net)), config, &mut resources, 7);
    let mut udp = Udp::new(stack, &mut buffers);
    if asks_neighbours {
        udp = udp.with_neighbours(&neighbours);
    }
    let dns = Dns::new(&udp, EmbassyClock, 0x5eed);
    let all = async {
        stack.wait_config_up().await;
        let start = EmbassyClock.now();
        match *kinds {
            [one] => vec![find(&dns, one, start).await],
            [first, second] => {
                let both = join(find(&dns, first, start), find(&dns, second, start)).await;
                let mut found = vec![both.0, both.1];
                found.sort_by_key(|found| found.millis);
                found
            }
            _ => panic!("{kinds:?}"),
        }
    };
    match async_io::block_on(select3(all, runner.run(), net.ring())) {
        Either3::First(found) => found,
        _ => unreachable!("they never end"),
    }
}

/// What is wrong with what is found of a row.
fn wrong(row: &Row) -> Option<String> {
    let net = Net::new(Servers::of(row, EmbassyClock.now()), None);
    let found = look_up(&net, &row.kinds(), true);
    let expected = row.found();
    let is_as = |(found, expected): (&Found, &Found)| {
        let (late, what) =
            (found.millis.checked_sub(expected.millis), |it: &Found| (it.kind, it.finding.clone()));
        what(found) == what(expected) && late.is_some_and(|late| late < LATE)
    };
    let is_right = found.len() == expected.len() && found.iter().zip(&expected).all(is_as);
    let found: Vec<_> = found.iter().map(Found::to_string).collect();
    assert!(net.ports.borrow().iter().all(|port| *port >= 0x8000), "{:?}", net.ports.borrow());
    (!is_right).then(|| format!("{}\n  expected {}\n  found    {}", row.what, row.expected, found.join("; ")))
}

/// Side by side, since they take as long as the servers do.
#[test]
fn rows_that_stand_for_the_others() {
    let can = Can { udp_alone: true, servers: 3, ..Can::LEAST };
    let rows: Vec<_> = rows(&can).into_iter().filter(|row| row.kernel).collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    let wrong: Vec<_> = std::thread::scope(|scope| {
        let running: Vec<_> = rows.iter().map(|row| scope.spawn(|| wrong(row))).collect();
        running.into_iter().filter_map(|thread| thread.join().expect("a row")).collect()
    });
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
}

/// The first of two name servers on the link has no hardware address: it costs the pause after which the
/// second is asked, and without [`Neighbours`] a second or more, as the page of `connie_async::embassy_net`
/// says.
#[test]
fn a_dead_neighbour_holds_up_no_other() {
    let dead = || {
        let IpAddr::V4(dead) = Servers::address(0).ip() else { panic!("an address of IPv4") };
        Net::new(Servers::new(&["ok", "ok"], EmbassyClock.now()), Some(dead))
    };
    for kinds in [&[Kind::A][..], &[Kind::Aaaa, Kind::A]] {
        for found in look_up(&dead(), kinds, true) {
            assert!((270..270 + LATE).contains(&found.millis), "{found}");
        }
    }
    let [found] = &look_up(&dead(), &[Kind::A], false)[..] else { panic!("one kind") };
    assert!(found.millis >= 1_000, "{found}");
}
