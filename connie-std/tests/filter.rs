//! `Options::filter`: what it denies is not tried, whoever has told it.
//!
//! Real sockets on loopback, a real name server. Linux only: there every address of 127.0.0.0/8 is the
//! machine's own.
#![cfg(all(target_os = "linux", feature = "dns"))]

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_core::verdict::ErrorKind;
use connie_core::{Config, Families, Family};
use connie_servers::{DnsAnswer, DnsServer, RecordType, https};
use connie_std::dns::{Dns, HttpsRecords};
use connie_std::http1::{ClientError, HttpConnection};
use connie_std::{
    AddressFilter, ConnectError, ConnectErrorKind, Connected, Observer, Options, Override, Target, connect,
};

/// The one address of this machine that counts as public here.
const PUBLIC: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 4);
const HTTPS_PORT: u16 = 443;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// Listens on every address of both families: who is tried, is connected to.
struct Everywhere {
    listeners: [TcpListener; 2],
    port: u16,
}

impl Everywhere {
    fn listen() -> Self {
        let v4 = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        let port = v4.local_addr().expect("its port").port();
        let v6 = TcpListener::bind((Ipv6Addr::LOCALHOST, port)).expect("the same port");
        for listener in [&v4, &v6] {
            listener.set_nonblocking(true).expect("a socket");
        }
        Everywhere { listeners: [v4, v6], port }
    }

    /// Where those were led that have come since the last time.
    fn reached(&self) -> Vec<IpAddr> {
        let accepted = self.listeners.iter().flat_map(|it| std::iter::from_fn(|| it.accept().ok()));
        accepted.map(|(stream, _)| stream.local_addr().expect("its address").ip()).collect()
    }
}

fn name_server(v4: &[&str], v6: &[&str]) -> DnsServer {
    let server = DnsServer::start((Ipv4Addr::LOCALHOST, 0).into());
    for (kind, addresses) in [(RecordType::A, v4), (RecordType::Aaaa, v6)] {
        let addresses: Vec<_> = addresses.iter().map(|text| ip(text)).collect();
        server.set("name.test", kind, DnsAnswer::addresses(&addresses));
    }
    server
}

fn filter() -> AddressFilter {
    AddressFilter::public_only().allow(PUBLIC.to_string().parse().expect("a network"))
}

fn options(server: &DnsServer, race: Config) -> Options {
    let dns = Dns::new([server.address()]).hosts_file(None);
    let race = race.deadline(Some(Duration::from_secs(20)));
    Options::new().resolver(dns).filter(filter()).race(race)
}

fn denied(report: Option<&connie_std::Report>) -> Vec<String> {
    let addresses = report.expect("a report").denied().iter();
    let mut addresses: Vec<_> = addresses.map(|address| address.ip().to_string()).collect();
    addresses.sort();
    addresses
}

#[track_caller]
fn is_denied(result: Result<Connected, ConnectError>) -> ConnectError {
    let error = result.map(|winner| winner.destination()).expect_err("all is denied");
    assert!(matches!(error.kind(), ConnectErrorKind::Denied(_)), "{error:?}");
    assert_eq!(error.io_kind(), io::ErrorKind::PermissionDenied);
    assert_eq!(error.error_kind(), Some(ErrorKind::Denied));
    error
}

/// A name that leads to this machine beside a good address: DNS rebinding.
#[test]
fn of_an_answer_only_what_is_allowed_is_tried() {
    let there = Everywhere::listen();
    let server = name_server(
        &["0.0.0.0", "127.0.0.1", "127.0.0.4", "127.0.0.5"],
        &["::ffff:127.0.0.1", "::1", "64:ff9b::7f00:1"],
    );
    for race in [Config::all_at_once(), Config::staggered(), Config::one_by_one()] {
        let options = options(&server, race);
        let winner = connect(("name.test", there.port), &options).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(winner.destination(), (PUBLIC, there.port).into());
        let tried: Vec<_> = winner.timeline().destinations().map(|it| it.address()).collect();
        assert_eq!(tried, [(PUBLIC, there.port).into()]);
        let expected = ["0.0.0.0", "127.0.0.1", "127.0.0.5", "64:ff9b::7f00:1", "::1", "::ffff:127.0.0.1"];
        assert_eq!(denied(Some(winner.report())), expected);
        assert_eq!(there.reached(), [IpAddr::from(PUBLIC)]);
    }
    // Without a filter they are raced.
    let open = options(&server, Config::all_at_once()).filter(AddressFilter::default());
    let winner = connect(("name.test", there.port), &open).unwrap_or_else(|error| panic!("{error:?}"));
    assert!(winner.timeline().destinations().count() > 5 && winner.report().denied().is_empty());
}

#[test]
fn a_name_that_leads_nowhere_else_is_an_error_of_one_line() {
    let there = Everywhere::listen();
    let server = name_server(&["0.0.0.0", "127.0.0.1"], &["::ffff:127.0.0.1"]);
    let options = options(&server, Config::all_at_once());
    let error = is_denied(connect(("name.test", there.port), &options));
    let line =
        format!("could not connect to name.test port {}: Options::filter denies every address: ", there.port);
    let told = error.to_string();
    assert!(
        told.starts_with(&line) && told.contains("::ffff:127.0.0.1") && told.contains("0.0.0.0, 127.0.0.1"),
        "{told}"
    );
    assert_eq!((format!("{error:?}"), error.summary(), error.addresses().count()), (told.clone(), told, 0));
    assert_eq!(denied(error.report()), ["0.0.0.0", "127.0.0.1", "::ffff:127.0.0.1"]);
    assert_eq!(error.timeline().expect("a race").summary().attempts, 0);
    // One family has failed meanwhile, which is told too.
    server.set("name.test", RecordType::Aaaa, DnsAnswer::code(2));
    let dns = Dns::new([server.address()]).hosts_file(None);
    let error = is_denied(connect(("name.test", there.port), &options.clone().resolver(dns)));
    assert!(error.to_string().contains(" 127.0.0.1; AAAA query failed: "), "{error}");
    // A name without addresses is none that was denied.
    server.set("empty.test", RecordType::A, DnsAnswer::no_data());
    server.set("empty.test", RecordType::Aaaa, DnsAnswer::no_data());
    let empty = connect(("empty.test", there.port), &options).map(drop).expect_err("no address");
    assert!(!matches!(empty.kind(), ConnectErrorKind::Denied(_)), "{empty:?}");
    assert!(there.reached().is_empty());
}

#[test]
fn an_address_is_denied_wherever_it_comes_from() {
    let there = Everywhere::listen();
    let server = name_server(&[], &[]);
    let port = there.port;
    let given = Override { host: "given.test".to_owned(), port, addresses: vec![ip("127.0.0.1"), ip("::1")] };
    let options = options(&server, Config::all_at_once()).overrides([given]);
    let list: [SocketAddr; 2] = [([127, 0, 0, 1], port).into(), (Ipv6Addr::LOCALHOST, port).into()];
    let targets = [
        "127.0.0.1",
        "[::1]",
        "::ffff:127.0.0.1",
        "0.0.0.0",
        "[::]",
        "localhost",
        "LOCALHOST.",
        "a.localhost",
        "given.test",
        "fe80::1%1",
        "224.0.0.1",
    ];
    let targets = targets
        .iter()
        .map(|host| Target::from((*host, port)))
        .chain([Target::from(list[0]), Target::from(&list)]);
    for target in targets {
        let error = is_denied(connect(&target, &options));
        assert!(!denied(error.report()).is_empty(), "{target:?}");
    }
    let literal = is_denied(connect(("127.0.0.1", port), &options));
    assert_eq!(
        literal.to_string(),
        format!("could not connect to 127.0.0.1 port {port}: Options::filter denies this address")
    );
    // Of `localhost` one of both may be left.
    let own = options.clone().filter(filter().allow("::1".parse().expect("a network")));
    let winner = connect(("localhost", port), &own).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(
        (winner.destination().ip(), denied(Some(winner.report()))),
        (ip("::1"), vec!["127.0.0.1".to_owned()])
    );
    assert_eq!(there.reached(), [ip("::1")]);
    // What is allowed is as it was: in the order that the caller wants, of the families that he wants.
    let list = [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), (PUBLIC, port).into()];
    assert_eq!(connect(list, &options).expect("a connection").destination(), list[1]);
    let only_v6 = options.race.clone().families(Families::Only(Family::V6));
    let none = connect((PUBLIC.to_string().as_str(), port), &options.race(only_v6)).map(drop);
    assert!(!matches!(none.expect_err("another family").kind(), ConnectErrorKind::Denied(_)));
}

#[test]
fn the_hosts_file_and_the_systems_resolver_too() {
    let there = Everywhere::listen();
    let server = name_server(&["127.0.0.4"], &[]);
    let path = std::env::temp_dir().join(format!("connie-filter-{}", std::process::id()));
    std::fs::write(&path, "127.0.0.1 name.test\n").expect("a temporary file");
    let dns = Dns::new([server.address()]).hosts_file(path.clone());
    let options = options(&server, Config::all_at_once());
    is_denied(connect(("name.test", there.port), &options.resolver(dns)));
    let _ = std::fs::remove_file(path);
    assert!(there.reached().is_empty());
}

/// A record's hints are there before its name's addresses, and a race begins with them.
#[test]
fn hints_of_service_records_are_denied() {
    let server = name_server(&[], &[]);
    let late = |address| DnsAnswer::addresses(&[ip(address)]).after(Duration::from_millis(200));
    server.set("name.test", RecordType::A, late("127.0.0.1"));
    server.set("name.test", RecordType::Aaaa, late("::1"));
    let hints: [(u16, &[u8]); 2] = [(IPV4_HINT, &[127, 0, 0, 9]), (IPV6_HINT, &Ipv6Addr::LOCALHOST.octets())];
    server.set("name.test", RecordType::Https, DnsAnswer::services(&[https(1, ".", &hints)]));
    let dns = Dns::new([server.address()]).hosts_file(None).https_records(HttpsRecords::Always);
    let options = options(&server, Config::all_at_once()).resolver(dns);
    let error = is_denied(connect(("name.test", HTTPS_PORT), &options));
    let denied = denied(error.report());
    assert!(
        denied.contains(&"127.0.0.9".to_owned()) && denied.contains(&"127.0.0.1".to_owned()),
        "{denied:?}"
    );
}

#[test]
fn beside_addresses_that_fail_the_denied_ones_are_told() {
    let server = name_server(&["127.0.0.1", "127.0.0.4"], &[]);
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let teller = told.clone();
    let observer =
        Observer::new(move |observed| *teller.lock().expect("no panic") = denied(observed.report()));
    let options = options(&server, Config::all_at_once()).observer(observer);
    let error = connect(("name.test", 1), &options).map(drop).expect_err("it refuses");
    assert_eq!(error.io_kind(), io::ErrorKind::ConnectionRefused);
    assert_eq!(
        error.to_string(),
        "could not connect to name.test port 1: 127.0.0.4:1: connection refused; not tried, since the filter denies it: 127.0.0.1"
    );
    let lines: Vec<_> = error.details().collect();
    assert_eq!(lines, ["127.0.0.1:1: not tried, since the filter denies it"]);
    assert_eq!(error.addresses().count(), 2);
    assert_eq!(*told.lock().expect("no panic"), ["127.0.0.1"]);
}

#[test]
fn an_http_connection_goes_by_it() {
    let there = Everywhere::listen();
    let server = name_server(&["127.0.0.1"], &[]);
    let mut connection = HttpConnection::new("name.test", there.port).expect("a host");
    *connection.options_mut() = options(&server, Config::all_at_once());
    let error = connection.request("GET", "/", &[], b"").expect_err("it is denied");
    let ClientError::Connect(error) = error else { panic!("{error:?}") };
    assert!(matches!(error.kind(), ConnectErrorKind::Denied(_)), "{error:?}");
    let opening = connection.opening().expect("it was tried");
    assert_eq!(denied(opening.report.as_ref()), ["127.0.0.1"]);
    assert!(there.reached().is_empty());
}

#[cfg(feature = "tokio")]
#[test]
fn a_task_goes_by_it() {
    let there = Everywhere::listen();
    let server = name_server(&["127.0.0.1", "127.0.0.4"], &["::1"]);
    let options = options(&server, Config::all_at_once());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let winner = runtime.block_on(connie_std::tokio_net::connect(("name.test", there.port), &options));
    let winner = winner.unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(
        (winner.destination().ip(), denied(Some(winner.report()))),
        (PUBLIC.into(), vec!["127.0.0.1".to_owned(), "::1".to_owned()])
    );
    let error = runtime.block_on(connie_std::tokio_net::connect(("127.0.0.1", there.port), &options));
    let error = error.map(drop).expect_err("it is denied");
    assert!(matches!(error.kind(), ConnectErrorKind::Denied(_)), "{error:?}");
    assert_eq!(there.reached(), [IpAddr::from(PUBLIC)]);
}
