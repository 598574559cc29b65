//! From a name to a connection over smoltcp: a name server and a web server on the stack's own loopback, and
//! what each is asked.
#![cfg(feature = "dns")]

use core::cell::Cell;
use core::net::SocketAddr;
use core::time::Duration;

use connie_core::resolution::HostError;
use connie_core::{Config, Failure, Families, Family, Instant, Progress};
use connie_smoltcp::smoltcp::iface::SocketHandle;
use connie_smoltcp::smoltcp::phy::{Loopback, Medium};
use connie_smoltcp::smoltcp::socket::{tcp, udp};
use connie_smoltcp::smoltcp::wire::IpCidr;
use connie_smoltcp::{
    Dns, DnsBuffers, DnsDriver, Platform, SocketStorage, Stack, StartError, TcpBuffers, interface,
};

/// As many as one connect has.
const QUESTIONS: usize = if cfg!(feature = "nat64") { 3 } else { 2 };

/// Time passes by a millisecond a step.
struct Clock(Cell<u64>);

impl Platform for Clock {
    fn now(&self) -> Instant {
        Instant::from_millis(self.0.get())
    }

    fn idle_until(&self, _: Option<Instant>) {
        self.0.set(self.0.get() + 1);
    }
}

/// What the name server has for a type of record, and when: milliseconds. No answer comes where there is no
/// entry.
struct Record {
    name: &'static str,
    kind: &'static str,
    addresses: &'static [&'static str],
    at: u64,
}

const fn record(
    name: &'static str,
    kind: &'static str,
    addresses: &'static [&'static str],
    at: u64,
) -> Record {
    Record { name, kind, addresses, at }
}

/// What came of a lookup with a race.
#[derive(Debug)]
struct Came {
    result: Result<SocketAddr, Failure>,
    /// `AAAA name.test`, in order.
    asked: Vec<String>,
    starts: Vec<SocketAddr>,
    /// In milliseconds.
    at: u64,
}

/// Looks `host` up on a stack with these addresses, and races for port 80.
fn race(own: &[&str], records: &[Record], host: &str, config: &Config) -> Result<Came, StartError> {
    let board = Clock(Cell::new(0));
    let mut device = Loopback::new(Medium::Ip);
    let mut interface = interface(&mut device, [0x02, 0, 0, 0, 0, 1], 0x5eed, board.now());
    interface.update_ip_addrs(|list| {
        list.extend(own.iter().map(|address| address.parse::<IpCidr>().expect("an address")));
    });
    let name_server = own[0].split('/').next().and_then(|ip| ip.parse().ok()).expect("an address");

    let mut queries = [const { DnsBuffers::<512, 155>::new() }; QUESTIONS];
    let (mut meta, mut octets) = ([[udp::PacketMetadata::EMPTY; 8]; 2], [[0; 2_048]; 2]);
    let ([meta_in, meta_out], [octets_in, octets_out]) = (&mut meta, &mut octets);
    let (mut page_in, mut page_out) = ([0; 64], [0; 64]);
    let mut storage = [SocketStorage::EMPTY; 6 + QUESTIONS];
    let mut buffers = [const { TcpBuffers::<64, 64>::new() }; 4];
    let mut stack = Stack::new(interface, device, &mut storage, &mut buffers, &board, 0x5eed);
    let mut names = udp::Socket::new(
        udp::PacketBuffer::new(&mut meta_in[..], &mut octets_in[..]),
        udp::PacketBuffer::new(&mut meta_out[..], &mut octets_out[..]),
    );
    names.bind(53).expect("a port");
    let names = stack.add(names).expect("room");
    let mut web =
        tcp::Socket::new(tcp::SocketBuffer::new(&mut page_in[..]), tcp::SocketBuffer::new(&mut page_out[..]));
    web.listen(80).expect("a port");
    stack.add(web).expect("room");
    let dns = Dns::start(&mut stack, &[name_server], &mut queries).expect("room");

    let mut driver = DnsDriver::<_, 16, 4>::new(&dns, &mut stack, host, 80, config)?;
    let mut asked = Vec::new();
    let mut held = Vec::new();
    let result = loop {
        match driver.poll(&mut stack) {
            Progress::Connected(connection) => break Ok(connection.destination),
            Progress::Failed(failure) => break Err(failure),
            _ => {}
        }
        stack.poll();
        serve(&mut stack, names, records, &mut asked, &mut held, board.0.get());
        board.idle_until(None);
        assert!(board.0.get() < 60_000, "it does not end: {asked:?}");
    };
    let starts = driver.timeline().attempts().map(|attempt| attempt.destination).collect();
    Ok(Came { result, asked, starts, at: board.0.get() })
}

/// An answer that is not yet due, and whom it is for.
type Held = (u64, udp::UdpMetadata, Vec<u8>);

fn serve(
    stack: &mut Stack<'_, Loopback, &Clock>,
    names: SocketHandle,
    records: &[Record],
    asked: &mut Vec<String>,
    held: &mut Vec<Held>,
    now: u64,
) {
    let socket = stack.get_mut::<udp::Socket<'_>>(names).expect("the name server");
    while let Ok((query, client)) = socket.recv() {
        let (name, kind) = question(query);
        let text = format!("{kind} {name}");
        // It is asked again after a while.
        if !asked.contains(&text) {
            asked.push(text);
        }
        if let Some(record) = records.iter().find(|record| record.name == name && record.kind == kind) {
            held.push((record.at, client, reply(query, record.addresses)));
        }
    }
    held.retain(|(at, client, reply)| {
        if *at <= now {
            socket.send_slice(reply, *client).expect("room");
        }
        *at > now
    });
}

/// Name and type of a query (RFC 1035 section 4.1.2).
fn question(query: &[u8]) -> (String, &'static str) {
    let (mut name, mut at) = (Vec::new(), 12);
    while query[at] > 0 {
        let end = at + 1 + usize::from(query[at]);
        name.push(String::from_utf8_lossy(&query[at + 1..end]).into_owned());
        at = end;
    }
    (name.join("."), if query[at + 2] == 28 { "AAAA" } else { "A" })
}

fn reply(query: &[u8], addresses: &[&str]) -> Vec<u8> {
    // Without what comes behind the question: an OPT record.
    let end = query[12..].iter().position(|octet| *octet == 0).expect("a name") + 12 + 5;
    let mut reply = query[..end].to_vec();
    // An answer, without an error; recursion available.
    (reply[2], reply[3]) = (0x81, 0x80);
    (reply[7], reply[11]) = (addresses.len() as u8, 0);
    for address in addresses {
        let octets = match address.parse().expect("an address") {
            core::net::IpAddr::V4(ip) => ip.octets().to_vec(),
            core::net::IpAddr::V6(ip) => ip.octets().to_vec(),
        };
        let kind = if octets.len() == 4 { 1 } else { 28 };
        reply.extend([0xc0, 12, 0, kind, 0, 1, 0, 0, 0, 60, 0, octets.len() as u8]);
        reply.extend(octets);
    }
    reply
}

const DUAL: [&str; 2] = ["192.0.2.1/24", "2001:db8::1/64"];
/// With loopback addresses, which only a device like this one may have.
const LOOPBACK: [&str; 4] = ["192.0.2.1/24", "2001:db8::1/64", "127.0.0.1/8", "::1/128"];

fn within(deadline: u64, config: Config) -> Config {
    config.clone().deadline(Some(Duration::from_millis(deadline)))
}

fn all_at_once() -> Config {
    within(5_000, Config::all_at_once())
}

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

#[test]
fn both_families_are_asked_for_at_once_and_a_silent_one_is_not_waited_for() {
    let records = [record("name.test", "A", &["192.0.2.1"], 10)];
    let came = race(&DUAL, &records, "name.test", &all_at_once()).expect("a name");
    assert_eq!(came.result, Ok(at("192.0.2.1:80")));
    assert_eq!(came.asked, ["AAAA name.test", "A name.test"]);
    assert!(came.at < 50, "{came:?}");
    // With `Staggered` it is, for the Resolution Delay.
    let came = race(&DUAL, &records, "name.test", &within(5_000, Config::staggered())).expect("a name");
    assert!(came.result.is_ok() && (60..100).contains(&came.at), "{came:?}");
}

#[test]
fn a_stack_without_ipv6_gives_it_no_chance() {
    let records = [record("name.test", "A", &["192.0.2.1"], 10)];
    let came = race(&DUAL[..1], &records, "name.test", &within(5_000, Config::staggered())).expect("a name");
    assert!(came.result.is_ok() && came.at < 50, "{came:?}");
}

#[test]
fn addresses_are_tried_in_the_order_of_rfc_6724() {
    // There is no way to the first, and the last is on the stack's own network.
    let records = [
        record("name.test", "AAAA", &["2001:db8:1::1", "2001:db8::7", "fd00::1", "2001:db8::1"], 10),
        record("name.test", "A", &["192.0.2.1"], 10),
    ];

    let config = within(5_000, Config::all_at_once().max_in_flight(1));
    let came = race(&["2001:db8::1/64"], &records, "name.test", &config).expect("a name");
    assert_eq!(came.starts[0], at("[2001:db8::7]:80"), "{came:?}");
    // A host that has IPv4 alone begins with it.
    let came = race(&DUAL[..1], &records, "name.test", &config).expect("a name");
    assert_eq!(came.starts[0], at("192.0.2.1:80"), "{came:?}");
}

#[test]
fn literals_and_special_names_are_not_asked_for() {
    for (host, result) in [
        ("127.0.0.1", Ok(at("127.0.0.1:80"))),
        ("[2001:db8::1]", Ok(at("[2001:db8::1]:80"))),
        ("localhost", Ok(at("[::1]:80"))),
        ("a.localhost.", Ok(at("[::1]:80"))),
        ("no-such.invalid", Err(Failure::NoDestinations)),
    ] {
        let came = race(&LOOPBACK, &[], host, &all_at_once()).expect(host);
        assert_eq!(came.result, result, "{host}");
        assert!(came.asked.is_empty(), "{came:?}");
        // Without such addresses there is nobody to try.
        if came.result.is_ok_and(|winner| winner.ip().is_loopback()) {
            let came = race(&DUAL, &[], host, &all_at_once()).expect(host);
            assert_eq!((came.result, came.at), (Err(Failure::AllAttemptsFailed), 0), "{host}");
        }
    }
    for (host, error) in [
        ("127.1", StartError::Host(HostError::Ipv4)),
        ("::1::", StartError::Host(HostError::Ipv6)),
        ("fe80::1%eth0", StartError::Zone),
    ] {
        assert_eq!(race(&DUAL, &[], host, &all_at_once()).map(|_| ()), Err(error), "{host:?}");
    }
}

#[test]
fn a_callers_preference_for_ipv4_holds_though_ipv6_is_better() {
    let records =
        [record("name.test", "AAAA", &["2001:db8::1"], 10), record("name.test", "A", &["192.0.2.1"], 10)];
    let one = all_at_once().max_in_flight(1);
    let first = |host, config: &Config| race(&LOOPBACK, &records, host, config).expect("a host").starts[0];
    assert_eq!(first("name.test", &one), at("[2001:db8::1]:80"));
    assert_eq!(first("localhost", &one), at("[::1]:80"));
    let prefers_v4 = one.clone().preferred_family(Family::V4);
    assert_eq!(first("name.test", &prefers_v4), at("192.0.2.1:80"));
    assert_eq!(first("localhost", &prefers_v4), at("127.0.0.1:80"));
}

/// Neither to begin nor to fail.
#[test]
fn the_answer_of_a_family_without_a_route_is_not_waited_for() {
    let records = [record("name.test", "A", &["192.0.2.77"], 10)];
    let refused = [record("name.test", "A", &["127.0.0.1"], 10)];
    for config in [all_at_once(), within(5_000, Config::staggered())] {
        let came = race(&DUAL[..1], &refused, "name.test", &config).expect("a name");
        assert_eq!(came.result, Err(Failure::AllAttemptsFailed));
        assert!(came.at < 50, "{came:?}");
        // With a route it is: AAAA may yet come.
        let came = race(&DUAL, &refused, "name.test", &config).expect("a name");
        assert_eq!(came.result, Err(Failure::DeadlineExceeded));
        assert_eq!(came.at, 5_000);
    }
    // It is the only hope of a name that has no others.
    let records_v6 = [record("name.test", "A", &[], 10), record("name.test", "AAAA", &["2001:db8::7"], 300)];
    let came = race(&DUAL[..1], &records_v6, "name.test", &all_at_once()).expect("a name");
    assert_eq!(came.result, Err(Failure::AllAttemptsFailed));
    assert!((300..350).contains(&came.at) && came.starts == [at("[2001:db8::7]:80")], "{came:?}");
    // Nobody is at the address: that takes until the deadline.
    let came = race(&DUAL[..1], &records, "name.test", &all_at_once()).expect("a name");
    assert_eq!(came.result, Err(Failure::DeadlineExceeded));
}

/// On a network of its own, and not on the internet: in which families its names are reached is not known.
#[test]
fn a_stack_without_a_route_by_either_family_waits_for_both() {
    let records = [record("name.test", "A", &["127.0.0.1"], 10), record("name.test", "AAAA", &["::1"], 30)];
    let config = within(5_000, Config::staggered());
    let came = race(&LOOPBACK[2..], &records, "name.test", &config).expect("a name");
    assert_eq!((came.result, &came.starts[..]), (Ok(at("[::1]:80")), &[at("[::1]:80")][..]));
}

#[test]
fn only_the_family_that_may_be_used_is_asked_for() {
    let records = [record("name.test", "A", &["192.0.2.1"], 10)];
    let config = all_at_once().families(Families::Only(Family::V4));
    let came = race(&DUAL, &records, "name.test", &config).expect("a name");
    assert_eq!(came.asked, ["A name.test"]);
}

#[test]
fn a_name_without_addresses_and_silence() {
    let records = [record("name.test", "A", &[], 10), record("name.test", "AAAA", &[], 10)];
    let came = race(&DUAL, &records, "name.test", &all_at_once()).expect("a name");
    assert_eq!(came.result, Err(Failure::NoDestinations));
    let came = race(&DUAL, &[], "name.test", &within(2_000, Config::all_at_once())).expect("a name");
    assert_eq!(came.result, Err(Failure::DeadlineExceeded));
    assert!((2_000..2_010).contains(&came.at), "{came:?}");
}

#[cfg(feature = "nat64")]
#[test]
fn ipv4_is_reached_through_nat64() {
    let own = ["2001:db8::1/64", "64:ff9b::c000:201/128"];
    let records = [
        record("v4.test", "A", &["192.0.2.1"], 10),
        record("v4.test", "AAAA", &[], 10),
        record("ipv4only.arpa", "AAAA", &["64:ff9b::c000:aa", "64:ff9b::c000:ab"], 20),
    ];
    let came = race(&own, &records, "v4.test", &all_at_once()).expect("a name");
    assert_eq!(came.result, Ok(at("[64:ff9b::c000:201]:80")));
    assert_eq!(came.asked, ["AAAA v4.test", "A v4.test", "AAAA ipv4only.arpa"]);
    let came = race(&own, &records, "192.0.2.1", &all_at_once()).expect("an address");
    assert_eq!(came.result, Ok(at("[64:ff9b::c000:201]:80")));
    assert_eq!(came.asked, ["AAAA ipv4only.arpa"]);
    // Where there is none, the error is the literal's own.
    let came = race(&own[..1], &[record("ipv4only.arpa", "AAAA", &[], 20)], "192.0.2.1", &all_at_once());
    assert_eq!(came.expect("an address").result, Err(Failure::AllAttemptsFailed));
}

/// RFC 6052 section 3.1, and RFC 6890: these addresses are on this host, on its link, or belong to no host.
#[cfg(feature = "nat64")]
#[test]
fn no_prefix_is_asked_for_on_behalf_of_an_address_that_is_near() {
    for near in ["127.0.0.1", "127.9.9.9", "169.254.1.1", "0.0.0.0", "224.0.0.1", "localhost", "::1"] {
        let came = race(&DUAL[1..], &[], near, &all_at_once()).expect("an address");
        assert_eq!((came.result, came.at), (Err(Failure::AllAttemptsFailed), 0), "{near}");
        assert!(came.asked.is_empty(), "{near}: {came:?}");
    }
}
