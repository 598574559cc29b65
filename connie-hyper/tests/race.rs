//! The race under hyper-util's client.
#![cfg(target_os = "linux")]

#[path = "../../connie-std/tests/tokio_support/mod.rs"]
mod tokio_support;

use std::error::Error as _;
use std::io::Read as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_hyper::{RaceConnector, RaceError, RaceInfo};
use connie_servers::{BlackHole, Live, closed_port};
use connie_std::{
    AddressFilter, ConnectErrorKind, Memory, Observer, OnSocket, Options, Purpose, RaceOutcome,
};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::client::legacy::connect::HttpInfo;
use hyper_util::client::legacy::{Client, Error};
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use tokio_support::{any_port, here, named, run, within};

/// Long enough for anything that is not waited for.
const SOON: Duration = Duration::from_secs(10);

type Racing = Client<RaceConnector, Empty<&'static [u8]>>;

fn client(connector: RaceConnector) -> Racing {
    Client::builder(TokioExecutor::new()).build(connector)
}

/// The page, and what the race for it did.
async fn get(client: &Racing, uri: &str) -> Result<(String, RaceInfo, SocketAddr), Error> {
    let response = timeout(SOON, client.get(uri.parse().unwrap())).await.expect("an answer")?;
    let race = response.extensions().get::<RaceInfo>().expect("the race").clone();
    let remote = response.extensions().get::<HttpInfo>().expect("hyper-util's own").remote_addr();
    let body = response.into_body().collect().await.expect("the body").to_bytes();
    Ok((String::from_utf8(body.to_vec()).unwrap(), race, remote))
}

#[track_caller]
fn failure(result: Result<(String, RaceInfo, SocketAddr), Error>) -> Error {
    let error = result.map(|(page, ..)| page).expect_err("no page");
    assert!(error.is_connect(), "{error:?}");
    error
}

#[test]
fn a_dead_first_address_costs_nothing() {
    let server = Live::http(any_port(4), "page");
    let port = server.address().port();
    let hole = BlackHole::open(SocketAddr::new(here(2), port));
    let addresses = [hole.address(), server.address()];
    run(move || async move {
        let client = client(RaceConnector::new(named("name.test", &addresses)));
        // The second comes over the same connection.
        for _ in 0..2 {
            let (page, race, remote) = get(&client, &format!("http://name.test:{port}/")).await.unwrap();
            assert_eq!((page.as_str(), race.destination(), remote), ("page", addresses[1], addresses[1]));
            assert_eq!(race.timeline().destinations().count(), 2);
        }
    });
    assert_eq!(server.counts().accepted, 1);
}

#[test]
fn an_address_that_is_denied_is_not_tried() {
    let server = Live::http(any_port(4), "page");
    let address = server.address();
    let error = run(move || async move {
        let options = Options::new().filter(AddressFilter::public_only());
        let client = client(RaceConnector::new(options));
        failure(get(&client, &format!("http://{address}/")).await)
    });
    let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
    let Some(RaceError::Connect(failed)) = inner else { panic!("{error:?}") };
    assert!(matches!(failed.kind(), ConnectErrorKind::Denied(_)), "{failed:?}");
    assert_eq!(server.counts().accepted, 0);
}

#[test]
fn where_all_addresses_fail_the_error_names_each() {
    let closed = closed_port(here(2));
    let address = closed.address();
    let error = run(move || async move {
        let client = client(RaceConnector::default());
        failure(get(&client, &format!("http://{address}/")).await)
    });
    let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
    let Some(RaceError::Connect(failed)) = inner else { panic!("{error:?}") };
    let lines: Vec<_> = failed.addresses().collect();
    assert_eq!(lines, [format!("{address}: connection refused")]);
}

#[test]
fn an_address_in_brackets_is_one() {
    let Ok(closed) = std::net::TcpListener::bind("[::1]:0") else {
        return connie_servers::skip(
            "IPv6 on the loopback interface",
            "sysctl net.ipv6.conf.lo.disable_ipv6=0",
        );
    };
    let address = closed.local_addr().unwrap();
    drop(closed);
    let server = Live::http(address, "page");
    let page = run(move || async move {
        get(&client(RaceConnector::default()), &format!("http://{address}/")).await.unwrap().0
    });
    assert_eq!((page.as_str(), server.counts().accepted), ("page", 1));
}

#[test]
fn https_is_not_spoken_in_the_clear() {
    let server = Live::http(any_port(4), "page");
    let uri = format!("https://{}/", server.address());
    let error = run(move || async move { failure(get(&client(RaceConnector::default()), &uri).await) });
    let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
    assert!(matches!(inner, Some(RaceError::Uri(_))), "{error:?}");
    assert_eq!(server.counts().accepted, 0);
}

#[test]
fn the_program_sees_each_socket_before_it_is_connected() {
    let server = Live::http(any_port(4), "page");
    let address = server.address();
    let (tell, told) = std::sync::mpsc::channel();
    let on_socket = OnSocket::new(move |_, address, purpose| {
        tell.send((address, purpose)).map_err(std::io::Error::other)
    });
    run(move || async move {
        let options = within(SOON).on_socket(on_socket);
        let client = client(RaceConnector::new(options));
        assert_eq!(get(&client, &format!("http://{address}/")).await.unwrap().0, "page");
    });
    // The connector's memory asks by which of its addresses this machine would reach it.
    assert_eq!(told.iter().collect::<Vec<_>>(), [(address, Purpose::Route), (address, Purpose::Connection)]);
}

#[test]
fn a_source_address_of_one_family_leaves_the_other_out() {
    let options = within(SOON).source_v4(std::net::Ipv4Addr::new(127, 0, 0, 9));
    let error = run(move || async move {
        failure(get(&client(RaceConnector::new(options)), "http://[::1]:9/").await)
    });
    let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
    let Some(RaceError::Connect(failed)) = inner else { panic!("{error:?}") };
    let lines: Vec<_> = failed.addresses().collect();
    assert_eq!(lines, ["[::1]:9: left out: a source address was given for the other family alone"]);
}

#[test]
fn a_deadline_holds() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    let error = run(move || async move {
        let options = within(Duration::from_millis(100));
        failure(get(&client(RaceConnector::new(options)), &format!("http://{address}/")).await)
    });
    assert!(format!("{error:?}").contains("timed out"), "{error:?}");
}

/// What a program prints that knows nothing of connie: each error and its source.
#[test]
fn a_chain_of_errors_has_the_reason_once_and_the_kind() {
    let closed = connie_servers::closed_port(any_port(3).ip());
    let address = closed.address();
    let error = run(move || async move {
        failure(get(&client(RaceConnector::default()), &format!("http://{address}/")).await)
    });
    let mut chain = vec![error.to_string()];
    let mut kind = None;
    let mut next = error.source();
    while let Some(source) = next {
        chain.push(source.to_string());
        kind = source.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(kind);
        next = source.source();
    }
    let number = rustix::io::Errno::CONNREFUSED.raw_os_error();
    let reason = format!("could not connect to {address}: connection refused");
    assert_eq!(chain[1..], [reason, format!("error number {number}")]);
    assert_eq!(kind, Some(std::io::ErrorKind::ConnectionRefused));
}

#[test]
fn what_was_canceled_says_so() {
    let error = run(|| async move {
        let canceler = connie_std::Canceler::new().unwrap();
        canceler.cancel();
        let options = Options::new().canceler(canceler);
        failure(get(&client(RaceConnector::new(options)), &format!("http://{}/", any_port(2))).await)
    });
    let inner = error.source().and_then(|error| error.downcast_ref::<RaceError>());
    assert!(inner.is_some_and(RaceError::is_canceled), "{error:?}");
}

#[test]
fn an_observer_is_told_of_each_race() {
    let server = Live::http(any_port(4), "page");
    let (address, hole) = (server.address(), BlackHole::open(any_port(2)));
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = told.clone();
    let observer = Observer::new(move |observed| {
        seen.lock().unwrap().push((observed.host().to_owned(), observed.outcome(), observed.winner()));
    });
    let options = named("name.test", &[address]).observer(observer);
    run(move || async move {
        let client = client(RaceConnector::new(options));
        // The second goes over the first one's connection.
        for _ in 0..2 {
            get(&client, &format!("http://name.test:{}/", address.port())).await.unwrap();
        }
        let request = client.get(format!("http://{}/", hole.address()).parse().unwrap());
        assert!(timeout(Duration::from_millis(50), request).await.is_err());
    });
    let won = ("name.test".to_owned(), RaceOutcome::Won, Some(address));
    let canceled = ("127.0.0.2".to_owned(), RaceOutcome::Canceled, None);
    assert_eq!(*told.lock().unwrap(), [won, canceled]);
}

#[test]
fn giving_a_request_up_gives_its_place_back() {
    let hole = BlackHole::open(any_port(2));
    let address = hole.address();
    run(move || async move {
        let budget = connie_std::SocketBudget::new(4);
        let options = within(SOON).budget(budget.clone());
        let client = client(RaceConnector::new(options));
        let request = client.get(format!("http://{address}/").parse().unwrap());
        assert!(timeout(Duration::from_millis(50), request).await.is_err());
        // hyper-util may go on to connect for the next request; its client gone, nothing is left.
        drop(client);
        for _ in 0..1_000 {
            if budget.free() == 4 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        panic!("{} of 4 sockets are free", budget.free());
    });
}

/// A server that accepts, reads and closes is passed by the next time: the memory hears of it by itself.
#[test]
fn a_server_that_closes_without_an_answer_is_passed_by_the_next_time() {
    let closing = std::net::TcpListener::bind(any_port(91)).unwrap();
    let first = closing.local_addr().unwrap();
    std::thread::spawn(move || {
        closing.incoming().flatten().for_each(|mut stream| drop(stream.read(&mut [0; 1_024])));
    });
    let server = Live::http(SocketAddr::new(here(92), first.port()), "page");
    let addresses = [first, server.address()];
    let memory = Memory::new();
    let mut settings = memory.settings();
    // So that a busy machine makes no lead late.
    settings.least_delay = SOON;
    memory.set_settings(settings);
    let options = named("name.test", &addresses).memory(memory.clone());
    // What is known best leads.
    connie_std::connect(first, &options).unwrap();
    run(move || async move {
        let client = client(RaceConnector::new(options));
        let uri = format!("http://name.test:{}/", first.port());
        assert!(get(&client, &uri).await.is_err());
        let is_demoted = |address| memory.entries().iter().any(|it| it.address == address && it.is_demoted);
        assert!(is_demoted(first));
        let (page, race, _) = get(&client, &uri).await.unwrap();
        assert_eq!((page.as_str(), race.destination()), ("page", addresses[1]));
        assert!(!is_demoted(addresses[1]));
    });
}
