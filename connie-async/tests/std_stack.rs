//! Over the operating system's sockets, by std-embedded-nal-async and edge-nal-std, against real listeners:
//! live, refusing and silent.

#![cfg(target_os = "linux")]

mod std_support;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use connie_async::{Config, Connection, ConnectionError, Options, PlainDns, RaceConnect};
use connie_lab::{Behaviour, in_namespace, ms, v4, v6};
use connie_servers::clock::now;
use connie_servers::{BlackHole, Live, Nginx, PythonServer, closed_port};
use embassy_futures::select::{Either, select};
use embedded_io_async::{Error as _, ErrorKind, Read, Write};
use embedded_nal_async::{AddrType, Dns, TcpConnect};
use reqwless::client::HttpClient;
use reqwless::request::Method;
use std_support::{Counted, SystemClock, Table, run};

const PAGE: &[u8] = b"the page\n";
const TEN_SECONDS: Duration = Duration::from_secs(10);

/// The loopback address that ends in `last`.
fn loopback(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 17, last).into()
}

fn config() -> Config {
    Config::all_at_once().deadline(Some(TEN_SECONDS))
}

type Net<const SOCKETS: usize> = RaceConnect<Counted, Table, SystemClock, SOCKETS, 16, 4>;

fn net<const SOCKETS: usize>(addresses: impl IntoIterator<Item = IpAddr>, config: Config) -> Net<SOCKETS> {
    let table = Table(addresses.into_iter().collect());
    RaceConnect::with_capacities(Counted::default(), table, SystemClock::new(), Options::new().race(config))
}

async fn open<const SOCKETS: usize>(
    net: &Net<SOCKETS>,
    port: u16,
) -> Result<Connection<<Counted as TcpConnect>::Connection<'_>>, ConnectionError<std::io::Error>> {
    let address = net.get_host_by_name("many.test", AddrType::Either).await.expect("an address");
    TcpConnect::connect(net, SocketAddr::new(address, port)).await
}

/// Fetches a page with reqwless, which knows nothing of connie.
async fn page<T: TcpConnect, D: Dns>(tcp: &T, dns: &D, url: &str) -> Result<Vec<u8>, reqwless::Error> {
    let mut client = HttpClient::new(tcp, dns);
    let mut buffer = [0; 4096];
    let mut request = client.request(Method::GET, url).await?;
    let response = request.send(&mut buffer).await?;
    assert_eq!(response.status.0, 200);
    Ok(response.body().read_to_end().await?.to_vec())
}

/// Behind the laboratory's router are a black hole, one that refuses, and nginx or Python's server.
#[test]
fn reqwless_fetches_a_page_from_a_name_whose_first_address_is_dead() {
    in_namespace(|lab| {
        let (nginx, python) = (8081, 8082);
        let Some(_nginx) = Nginx::start(nginx, &[("page", PAGE)]) else { return };
        let Some(_python) = PythonServer::start(python, &[("page", PAGE)]) else { return };
        lab.set(v6(1), Behaviour::black_hole());
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        for port in [nginx, python] {
            lab.set(v4(2), Behaviour::accept(ms(5)).to_port(port));
            let net = net::<4>([v6(1), v4(1), v4(2)], config());
            for _ in 0..2 {
                assert_eq!(run(page(&net, &net, "http://many.test/page")).expect("a page"), PAGE);
            }
            assert_eq!((net.tcp().begun.get(), net.tcp().most.get()), (6, 3));
        }
        // The same without connie, for as long as it is allowed to take.
        let stack = std_embedded_nal_async::Stack::default();
        let alone = stack.connect(SocketAddr::new(v6(1), 80));
        let alone = run(select(alone, async_io::Timer::after(ms(500))));
        assert!(matches!(alone, Either::Second(_)), "the first address is not dead");
    });
}

#[test]
fn the_live_one_wins_among_dead_and_refusing_ones_and_the_rest_are_closed() {
    let dead = BlackHole::open((loopback(1), 0));
    let port = dead.address().port();
    let live = Live::http((loopback(3), port), PAGE);
    let net = net::<4>([1, 2, 3].map(loopback), config());
    let mut connection = run(open(&net, port)).expect("a connection");
    assert_eq!(connection.destination(), live.address());
    let answer = run(async {
        connection.write_all(b"GET / HTTP/1.1\r\nHost: many.test\r\n\r\n").await.expect("a request");
        let mut answer = [0; 256];
        let length = connection.read(&mut answer).await.expect("an answer");
        answer[..length].to_vec()
    });
    assert!(answer.ends_with(PAGE));
    drop(connection);
    let counts = live.wait_until(|counts| counts.open == 0 && counts.accepted == 1);
    assert_eq!((counts.eof, counts.reset), (1, 0));
    assert_eq!(net.tcp().under_way.get(), 0);
}

/// Of eight that accept one is kept; the others see their connections end.
#[test]
fn losers_that_had_connected_are_closed() {
    let first = Live::silent((loopback(11), 0));
    let port = first.address().port();
    let mut servers = vec![first];
    servers.extend((12..=18).map(|last| Live::silent((loopback(last), port))));
    let net = net::<8>((11..=18).map(loopback), config());
    let connection = run(open(&net, port)).expect("a connection");
    let winner =
        servers.iter().find(|server| server.address() == connection.destination()).expect("a winner");
    for server in &servers {
        let is_winner = server.address() == winner.address();
        server.wait_until(|counts| counts.open == usize::from(is_winner));
    }
    drop(connection);
    winner.wait_until(|counts| counts.open == 0);
}

#[test]
fn no_more_than_sockets_connects_are_under_way() {
    let dead = BlackHole::open((loopback(21), 0));
    let port = dead.address().port();
    let _others: Vec<_> = (22..=26).map(|last| BlackHole::open((loopback(last), port))).collect();
    let live = Live::silent((loopback(27), port));
    let net = net::<2>((21..=27).map(loopback), config().patience(ms(20)));
    let connection = run(open(&net, port)).expect("a connection");
    assert_eq!(connection.destination(), live.address());
    assert_eq!(net.tcp().most.get(), 2);
    assert!(net.tcp().begun.get() >= 7);
}

#[test]
fn all_refused() {
    let closed_port = closed_port(loopback(31));
    let net = net::<4>([31, 32, 33].map(loopback), config());
    let error = run(open(&net, closed_port.address().port())).err().expect("an error");
    assert!(matches!(error, ConnectionError::AllAttemptsFailed(Some(_))), "{error}");
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    assert_eq!(net.tcp().under_way.get(), 0);
    let url = format!("http://many.test:{}/", closed_port.address().port());
    let error = run(page(&net, &net, &url)).expect_err("an error");
    assert!(matches!(error, reqwless::Error::Network(ErrorKind::ConnectionRefused)), "{error:?}");
}

#[test]
fn the_deadline() {
    let dead = BlackHole::open((loopback(41), 0));
    let net = net::<4>([loopback(41)], Config::all_at_once().deadline(Some(ms(300))));
    let start = now();
    let error = run(open(&net, dead.address().port())).err().expect("an error");
    assert!(matches!(error, ConnectionError::DeadlineExceeded), "{error}");
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(300), "{:?}", start.elapsed());
    assert_eq!(net.tcp().under_way.get(), 0);
}

#[test]
fn dropping_a_connect_closes_its_sockets() {
    let dead = BlackHole::open((loopback(51), 0));
    let port = dead.address().port();
    let _other = BlackHole::open((loopback(52), port));
    let net = net::<4>([51, 52].map(loopback), config());
    {
        let mut connecting = pin!(open(&net, port));
        let in_time = run(select(connecting.as_mut(), async_io::Timer::after(ms(50))));
        assert!(matches!(in_time, Either::Second(_)));
        assert_eq!(net.tcp().under_way.get(), 2);
    }
    assert_eq!(net.tcp().under_way.get(), 0);
}

/// The system's own lookup, through the whole of it: `localhost` is two addresses, and only one has a server.
#[test]
fn localhost_by_the_systems_stack_alone() {
    let live = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let stack = std_embedded_nal_async::Stack::default;
    let net = RaceConnect::new(stack(), PlainDns(stack()), SystemClock::new(), Options::new().race(config()));
    let address = run(net.get_host_by_name("localhost", AddrType::Either)).expect("an address");
    let port = live.address().port();
    let connection = run(TcpConnect::connect(&net, SocketAddr::new(address, port))).expect("a connection");
    assert_eq!(connection.destination(), live.address());
    // And a name that the system must be asked for: this machine's own.
    let mut name = [0; 255];
    let asked = run(net.get_host_by_address(Ipv4Addr::LOCALHOST.into(), &mut name));
    assert!(asked.is_err_and(|error| error.kind() == ErrorKind::Other) || name[0] != 0);
}

mod edge {
    //! The same by edge-nal's traits.

    use connie_async::edge_nal::{PlainDns, connect};
    use edge_nal::{AddrType, Close, Dns, Readable, TcpConnect, TcpShutdown, TcpSplit};

    use super::*;

    #[test]
    fn the_live_one_wins_and_all_of_the_socket_is_there() {
        let dead = BlackHole::open((loopback(61), 0));
        let port = dead.address().port();
        let live = Live::http((loopback(62), port), PAGE);
        let table = Table([61, 62].map(loopback).to_vec());
        let net = RaceConnect::new(
            edge_nal_std::Stack::new(),
            table,
            SystemClock::new(),
            Options::new().race(config()),
        );
        run(async {
            let address = net.get_host_by_name("many.test", AddrType::Either).await.expect("an address");
            assert_eq!(address, loopback(61));
            let mut socket =
                TcpConnect::connect(&net, SocketAddr::new(address, port)).await.expect("a connection");
            assert_eq!(socket.destination(), live.address());
            let (mut read, mut write) = socket.split();
            write.write_all(b"GET / HTTP/1.1\r\nHost: many.test\r\n\r\n").await.expect("a request");
            read.readable().await.expect("an answer");
            let mut answer = [0; 256];
            let length = read.read(&mut answer).await.expect("an answer");
            assert!(answer[..length].ends_with(PAGE));
            socket.close(Close::Both).await.expect("a close");
            socket.abort().await.expect("an end");
        });
        live.wait_until(|counts| counts.open == 0 && counts.answered == 1);
    }

    #[test]
    fn by_the_systems_names_and_in_one_call() {
        let live = Live::silent((Ipv4Addr::LOCALHOST, 0));
        let stack = edge_nal_std::Stack::new();
        let net = RaceConnect::new(stack, PlainDns(stack), SystemClock::new(), Options::new().race(config()));
        let connection =
            run(connect(&net, ("localhost", live.address().port()), &net.options())).expect("a connection");
        assert_eq!(connection.destination(), live.address());
        let error = run(connect(&net, ("127.0.17.63", live.address().port()), &net.options()))
            .err()
            .expect("an error");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    }
}
