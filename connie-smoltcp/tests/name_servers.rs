//! What name servers do, and what a connect over smoltcp makes of it: the table of all drivers, in virtual
//! time. Queries, answers and ICMP errors pass as packets through smoltcp.
#![cfg(feature = "dns")]

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;

use connie_core::resolution::Query;
use connie_core::{Config, Families, Family, Instant, Progress};
use connie_sim::name_servers::{Driver, Finding, Found, Kind, NAME, Reaction, Row, Sender, Servers, rows};
use connie_smoltcp::connie_dns::DnsConfig;
use connie_smoltcp::smoltcp::phy::{
    ChecksumCapabilities, Device, DeviceCapabilities, Medium, RxToken, TxToken,
};
use connie_smoltcp::smoltcp::time::Instant as SmoltcpInstant;
use connie_smoltcp::smoltcp::wire::{
    Icmpv4DstUnreachable, Icmpv4Packet, Icmpv4Repr, IpCidr, IpProtocol, Ipv4Packet, Ipv4Repr, UdpPacket,
    UdpRepr,
};
use connie_smoltcp::{Dns, DnsBuffers, DnsDriver, Platform, SocketStorage, Stack, TcpBuffers, interface};

/// What passes between the stack and the servers, which are all behind one wire.
struct Net {
    now: Cell<Instant>,
    servers: RefCell<Servers>,
    /// By when they come, in the order of sending.
    coming: RefCell<BTreeMap<(Instant, u64), Vec<u8>>>,
    count: Cell<u64>,
    /// The ports that were asked from, with the ids.
    asked: RefCell<Vec<(u16, [u8; 2])>>,
    /// Whether each query draws ICMP errors about datagrams that were never sent.
    forges: bool,
}

impl Net {
    /// A packet of the stack.
    fn take(&self, packet: &[u8]) {
        let ip = Ipv4Packet::new_checked(packet).expect("a whole packet");
        if ip.next_header() != IpProtocol::Udp {
            // A SYN, which nobody answers.
            return;
        }
        let udp = UdpPacket::new_checked(ip.payload()).expect("a whole datagram");
        let to = SocketAddr::new(ip.dst_addr().into(), udp.dst_port());
        let index = (0..3).find(|index| Servers::address(*index) == to).expect("a server");
        self.asked.borrow_mut().push((udp.src_port(), [udp.payload()[0], udp.payload()[1]]));
        if self.forges {
            // From another port, and to another port of the server.
            for octet in [21, 23] {
                let mut other = packet.to_vec();
                other[octet] ^= 1;
                let error = unreachable(&Ipv4Packet::new_checked(&other[..]).expect("a whole packet"));
                self.put(self.now.get(), error);
            }
        }
        let Some(coming) = self.servers.borrow_mut().ask(index, udp.payload(), false, self.now.get()) else {
            return;
        };
        let answer = match coming.reaction {
            Reaction::Silent => return,
            Reaction::Fails => unreachable(&ip),
            Reaction::Says(message, sender) => {
                let (host, port) = match sender {
                    Sender::Itself => (ip.dst_addr(), 53),
                    Sender::OtherPort => (ip.dst_addr(), 54),
                    Sender::OtherHost => (Ipv4Addr::new(203, 0, 113, 9), 53),
                };
                datagram((host, port), (ip.src_addr(), udp.src_port()), &message)
            }
        };
        self.put(coming.at, answer);
    }

    /// Has a packet come at this time.
    fn put(&self, at: Instant, packet: Vec<u8>) {
        self.count.set(self.count.get() + 1);
        self.coming.borrow_mut().insert((at, self.count.get()), packet);
    }
}

fn datagram(from: (Ipv4Addr, u16), to: (Ipv4Addr, u16), message: &[u8]) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let header = UdpRepr { src_port: from.1, dst_port: to.1 };
    let length = 8 + message.len();
    let ip = Ipv4Repr {
        src_addr: from.0,
        dst_addr: to.0,
        next_header: IpProtocol::Udp,
        payload_len: length,
        hop_limit: 64,
    };
    let mut octets = vec![0; 20 + length];
    ip.emit(&mut Ipv4Packet::new_unchecked(&mut octets[..]), &checksums);
    header.emit(
        &mut UdpPacket::new_unchecked(&mut octets[20..]),
        &from.0.into(),
        &to.0.into(),
        message.len(),
        |payload| payload.copy_from_slice(message),
        &checksums,
    );
    octets
}

/// RFC 1122 section 3.2.2.1: nobody listens at the port.
fn unreachable(packet: &Ipv4Packet<&[u8]>) -> Vec<u8> {
    let checksums = ChecksumCapabilities::default();
    let message = Icmpv4Repr::DstUnreachable {
        reason: Icmpv4DstUnreachable::PortUnreachable,
        header: Ipv4Repr::parse(packet, &checksums).expect("a good header"),
        data: packet.payload(),
    };
    let header = Ipv4Repr {
        src_addr: packet.dst_addr(),
        dst_addr: packet.src_addr(),
        next_header: IpProtocol::Icmp,
        payload_len: message.buffer_len(),
        hop_limit: 64,
    };
    let mut octets = vec![0; 20 + message.buffer_len()];
    header.emit(&mut Ipv4Packet::new_unchecked(&mut octets[..]), &checksums);
    message.emit(&mut Icmpv4Packet::new_unchecked(&mut octets[20..]), &checksums);
    octets
}

/// The stack's end of the wire, and its clock: time passes while it idles.
#[derive(Clone)]
struct Wire(Rc<Net>);

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = ToSend<'a>;

    fn receive(&mut self, _: SmoltcpInstant) -> Option<(Received, ToSend<'_>)> {
        let mut coming = self.0.coming.borrow_mut();
        let first = coming.first_entry().filter(|first| first.key().0 <= self.0.now.get())?;
        Some((Received(first.remove()), ToSend(&self.0)))
    }

    fn transmit(&mut self, _: SmoltcpInstant) -> Option<ToSend<'_>> {
        Some(ToSend(&self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_500;
        capabilities
    }
}

struct Received(Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

struct ToSend<'a>(&'a Net);

impl TxToken for ToSend<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut packet = vec![0; length];
        let result = f(&mut packet);
        self.0.take(&packet);
        result
    }
}

impl Platform for Wire {
    fn now(&self) -> Instant {
        self.0.now.get()
    }

    fn idle_until(&self, until: Option<Instant>) {
        let coming = self.0.coming.borrow().keys().next().map(|(at, _)| *at);
        let next = until.into_iter().chain(coming).min().expect("something still happens");
        self.0.now.set(self.0.now.get().max(next));
    }
}

/// What a row comes to.
struct Came {
    found: Vec<Found>,
    sent: Vec<String>,
    asked: Vec<(u16, [u8; 2])>,
}

fn settings(row: &Row) -> DnsConfig {
    let how = row.settings();
    let mut settings = DnsConfig { randomise_case: how.case, ..DnsConfig::default() };
    settings.attempts = how.attempts.unwrap_or(settings.attempts);
    settings.timeout = how.timeout.unwrap_or(settings.timeout);
    settings
}

fn run(row: &Row, seed: u64) -> Came {
    run_with(row, seed, false)
}

fn run_with(row: &Row, seed: u64, forges: bool) -> Came {
    let net = Wire(Rc::new(Net {
        now: Cell::new(Instant::ZERO),
        servers: RefCell::new(Servers::of(row, Instant::ZERO)),
        coming: RefCell::default(),
        count: Cell::new(0),
        asked: RefCell::default(),
        forges,
    }));
    let mut device = net.clone();
    let mut interface = interface(&mut device, [0; 6], seed, Instant::ZERO);
    interface.update_ip_addrs(|own| {
        own.push("10.0.0.100/8".parse::<IpCidr>().expect("an address")).expect("room")
    });
    let mut storage = [SocketStorage::EMPTY; 6];
    let mut buffers = [const { TcpBuffers::<64, 64>::new() }; 4];
    let mut datagrams = [const { DnsBuffers::<1_232, 155>::new() }; 2];
    let mut stack = Stack::new(interface, device, &mut storage, &mut buffers, net.clone(), seed);
    let servers: Vec<IpAddr> = (0..row.servers.len()).map(|index| Servers::address(index).ip()).collect();
    let dns: Dns = Dns::with_config(&settings(row), &mut stack, &servers, &mut datagrams).expect("room");

    let families = if row.kinds() == [Kind::A] { Families::Only(Family::V4) } else { Families::Both };
    let config = Config::all_at_once().families(families);
    let mut driver = DnsDriver::<_, 16, 4>::new(&dns, &mut stack, NAME, 80, &config).expect("a name");
    let (mut found, mut open) = (Vec::new(), row.kinds());
    while !open.is_empty() {
        stack.poll();
        let ended = !matches!(driver.poll(&mut stack), Progress::WaitUntil(_) | Progress::WaitForInput);
        let millis = net.now().as_micros() / 1_000;
        open.retain(|kind| {
            let query = if *kind == Kind::A { Query::A } else { Query::Aaaa };
            let is_pending = driver.connect().is_pending(query) && !ended;
            if !is_pending {
                found.push(Found { kind: *kind, finding: finding(driver.connect(), query), millis });
            }
            is_pending
        });
        let next = match driver.poll(&mut stack) {
            Progress::WaitUntil(until) => Some(until),
            _ => None,
        };
        let next = next.into_iter().chain(stack.poll_at()).min();
        if !open.is_empty() {
            net.idle_until(next);
        }
        assert!(millis < 60_000, "{}: it does not end", row.what);
    }
    let (sent, asked) = (net.0.servers.borrow().sent().to_vec(), net.0.asked.borrow().clone());
    driver.cancel(&mut stack);
    Came { found, sent, asked }
}

fn finding<const D: usize, const K: usize, const R: usize, const N: usize>(
    connect: &connie_core::connect::Connect<D, K, R, N>,
    query: Query,
) -> Finding {
    if let Some(failure) = connect.failures(NAME).find(|failure| failure.query == query) {
        return Finding::Error(failure.error);
    }
    let all = connect.timeline().destinations().map(|destination| destination.address().ip());
    let all: Vec<IpAddr> = all.filter(|ip| ip.is_ipv4() == (query == Query::A)).collect();
    if all.is_empty() { Finding::Nothing } else { Finding::Addresses(all) }
}

const DRIVER: Driver = Driver { tcp: false, tcp_alone: false, https: false, ..Driver::ANY };

#[test]
fn every_row_of_the_table() {
    check(false);
}

/// RFC 5927 section 4.1, of what an ICMP error quotes: where it is not what was sent, it says nothing.
#[test]
fn every_row_of_the_table_beside_forged_icmp_errors() {
    check(true);
}

#[track_caller]
fn check(forges: bool) {
    let mut wrong = Vec::new();
    let rows = rows(&DRIVER);
    for row in &rows {
        let Came { found, sent, .. } = run_with(row, 7, forges);
        let found: Vec<String> = found.iter().map(Found::to_string).collect();
        let found = format!("{} | {}", found.join("; "), sent.join(" "));
        if found != row.expected {
            wrong.push(format!("{}\n  expected {}\n  found    {found}", row.what, row.expected));
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() >= 90, "{} rows", rows.len());
}

/// RFC 5452 section 9.2: "Use an unpredictable source port for outgoing queries" and "Use an unpredictable
/// query ID for outgoing queries".
#[test]
fn each_question_has_a_port_of_its_own_that_is_hard_to_guess() {
    let row = rows(&DRIVER).into_iter().find(|row| row.what == "it answers both").expect("a row");
    let (mut ports, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for seed in 0..100 {
        let asked = run(row, seed).asked;
        let [(aaaa, _), (a, _)] = asked[..] else { panic!("{asked:?}") };
        assert!(aaaa != a && aaaa >= 32_768 && a >= 32_768, "{asked:?}");
        ports.extend([aaaa, a]);
        ids.extend(asked.iter().map(|(_, id)| *id));
    }
    assert!(ports.len() >= 195 && ids.len() >= 195, "{} ports, {} ids", ports.len(), ids.len());
    // An alias that is left open is asked for from another port, as a question of its own.
    let row = rows(&DRIVER).into_iter().find(|row| row.what == "an alias that is left open").expect("a row");
    let asked = run(row, 7).asked;
    assert!(asked.len() == 2 && asked[0].0 != asked[1].0, "{asked:?}");
    // What is repeated goes from the same.
    let row = rows(&DRIVER).into_iter().find(|row| row.what == "its answer is lost").expect("a row");
    let asked = run(row, 7).asked;
    assert!(asked.len() == 2 && asked[0].0 == asked[1].0, "{asked:?}");
}
