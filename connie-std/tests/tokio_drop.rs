//! A future that is dropped halfway leaves nothing behind: no descriptor, no thread, no place in a budget,
//! and peers that are reset. One test, since it counts what belongs to the whole process.
#![cfg(all(feature = "tokio", feature = "dns", any(target_os = "linux", windows)))]

mod tokio_support;

use std::future::Future;
use std::io::{ErrorKind, Read as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Duration;

use connie_core::Family;
use connie_servers::{
    BlackHole, DnsAnswer, DnsServer, RecordType, clock::poll_until, descriptors::descriptors,
};
use connie_std::dns::Dns;
use connie_std::tokio_net::connect;
use connie_std::{Canceler, Options, SocketBudget};

use tokio_support::{LIMIT, Prompted, any_port, run, within};

/// On Windows nobody counts them.
fn threads() -> usize {
    if cfg!(windows) { 0 } else { std::fs::read_dir("/proc/self/task").unwrap().count() }
}

/// What is open now, and has to be as before. Under Windows tokio's reactor lets go of its own handles (of
/// mio's) when it is next at work.
async fn open() -> (usize, usize) {
    if cfg!(windows) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (descriptors().total, threads())
}

fn poll_once(future: Pin<&mut impl Future<Output = bool>>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

/// Polls races for `target` so often, with the runtime at work in between, and drops them.
async fn drop_after(polls: usize, target: (&str, u16), options: &Options) {
    let mut race = Box::pin(async { connect(target, options).await.is_ok() });
    for _ in 0..polls {
        if poll_once(race.as_mut()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// How many are dropped after their handshake: together no more than wait in a listener's queue.
const DROPPED: usize = 60;
const NAMED: usize = 30;

struct Net {
    hole: BlackHole,
    /// Completes handshakes, and takes nothing out of its queue meanwhile.
    server: TcpListener,
    names: DnsServer,
}

#[test]
fn a_dropped_future_leaves_nothing_behind() {
    let net = Net {
        hole: BlackHole::open(any_port(2)),
        server: TcpListener::bind(any_port(4)).unwrap(),
        names: DnsServer::start(any_port(1)),
    };
    net.names.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
    net.names.set("name.test", RecordType::A, DnsAnswer::silent());
    let net = run(move || async move {
        let budget = SocketBudget::new(64);
        let canceler = Canceler::new().unwrap();
        let options = within(LIMIT).budget(budget.clone()).canceler(canceler);
        // What the first use makes and keeps.
        drop_after(3, ("127.0.0.2", net.hole.address().port()), &options).await;
        let before = open().await;
        attempts_under_way(&net, &options).await;
        assert_eq!(budget.free(), 64);
        assert_eq!(open().await, before, "attempts under way");
        queries_under_way(&net, &options).await;
        assert_eq!(budget.free(), 64);
        assert_eq!(open().await, before, "queries under way");
        #[cfg(feature = "tokio-tls")]
        {
            within_tls(&options).await;
            // The server that speaks TLS is there on Linux alone.
            #[cfg(target_os = "linux")]
            losers_of_tls(&options).await;
            assert!(poll_until(LIMIT, || (descriptors().total, threads()) == before), "the server's too");
            assert_eq!(budget.free(), 64);
            assert_eq!(open().await, before, "TLS handshakes under way");
        }
        in_line(&net, &options).await;
        assert_eq!(budget.free(), 64);
        assert_eq!(open().await, before, "in line for a socket");
        calls_of_the_system(&options, before.0).await;
        assert!(poll_until(LIMIT, || threads() == before.1), "the threads of the system's resolver end");
        net
    });
    // The handshake had ended, the poll that would have seen it never came: the server was told.
    net.server.set_nonblocking(true).unwrap();
    let taken = net.server.incoming().map(|taken| taken.map_err(|error| error.kind()));
    let ends = taken.map(|taken| taken.and_then(|stream| end(&stream)));
    let ends: Vec<_> = ends.take_while(|end| *end != Err(ErrorKind::WouldBlock)).collect();
    // Where a connection was reset before it was taken, Windows fails to take it.
    let is_reset = |end: &&Result<usize, ErrorKind>| {
        matches!(end, Err(ErrorKind::ConnectionReset))
            || cfg!(windows) && **end == Err(ErrorKind::NotConnected)
    };
    let reset = ends.iter().filter(is_reset).count();
    // One was closed in order.
    assert_eq!((ends.len(), reset), (DROPPED + NAMED + 1, DROPPED + NAMED), "{ends:?}");
}

/// How the client has ended it.
fn end(mut stream: &TcpStream) -> Result<usize, ErrorKind> {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream.read(&mut [0]).map_err(|error| error.kind())
}

/// With attempts under way, and with one that has completed its handshake and has not won yet.
async fn attempts_under_way(net: &Net, options: &Options) {
    let port = net.server.local_addr().unwrap().port();
    for polls in [1, 2, 5].into_iter().cycle().take(DROPPED) {
        drop_after(polls, ("127.0.0.2", net.hole.address().port()), options).await;
        let open = descriptors().sockets;
        let mut race = Box::pin(async { connect(("127.0.0.4", port), options).await.is_ok() });
        assert!(!poll_once(race.as_mut()));
        assert_eq!(descriptors().sockets, open + 1);
        drop(race);
        assert_eq!(descriptors().sockets, open);
    }
}

/// Within the TLS handshake, of which the server has the first flight: with either finish line.
#[cfg(feature = "tokio-tls")]
async fn within_tls(options: &Options) {
    use connie_std::{FinishLine, TlsOptions, tokio_net::TlsConnector};

    let server = TcpListener::bind(any_port(4)).unwrap();
    let target = ("127.0.0.4", server.local_addr().unwrap().port());
    for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
        let tls = TlsOptions::new().insecure(true).finish_line(finish_line);
        let tls = TlsConnector::new(&tls).unwrap();
        for _ in 0..10 {
            let mut race = Box::pin(async { tls.connect(target, options).await.is_ok() });
            let (mut stream, _) = loop {
                assert!(!poll_once(race.as_mut()));
                server.set_nonblocking(true).unwrap();
                match server.accept() {
                    Ok(accepted) => break accepted,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            };
            stream.set_nonblocking(true).unwrap();
            let mut hello = [0; 4096];
            let length = loop {
                match stream.read(&mut hello) {
                    Ok(length) => break length,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
                }
                assert!(!poll_once(race.as_mut()));
                tokio::time::sleep(Duration::from_millis(1)).await;
            };
            // A record of type 22, a handshake.
            assert_eq!((hello[0], length > 100), (22, true));
            drop(race);
            stream.set_nonblocking(false).unwrap();
            assert_eq!(end(&stream), Err(ErrorKind::ConnectionReset), "{finish_line:?}");
        }
    }
}

/// Races that are won, while another address is within its TLS handshake.
#[cfg(all(feature = "tokio-tls", target_os = "linux"))]
async fn losers_of_tls(options: &Options) {
    use connie_servers::{Authority, TlsServer};
    use connie_std::{TlsOptions, tokio_net::TlsConnector};
    use tokio::io::AsyncWriteExt as _;

    let silent = TcpListener::bind(any_port(4)).unwrap();
    let good = TlsServer::echo(&Authority::new().certify(&["name.test"]));
    let addresses = [silent.local_addr().unwrap(), good.address()];
    let tls = TlsConnector::new(&TlsOptions::new().insecure(true)).unwrap();
    for _ in 0..10 {
        let mut won = tls.connect(&addresses, options).await.unwrap();
        assert_eq!(won.destination(), good.address());
        won.shutdown().await.unwrap();
        drop(won);
    }
}

/// With look-ups that have sockets of their own, which tokio was given copies of.
async fn queries_under_way(net: &Net, options: &Options) {
    let mut dns = Dns::new([net.names.address()]);
    dns.hosts_file = None;
    let options = options.clone().resolver(Arc::new(dns));
    for polls in [1, 2, 5].into_iter().cycle().take(30) {
        drop_after(polls, ("name.test", 80), &options).await;
    }
}

/// While it waits for a socket.
async fn in_line(net: &Net, options: &Options) {
    let budget = SocketBudget::new(1).waits(LIMIT);
    let options = options.clone().budget(budget.clone());
    let address: SocketAddr = net.server.local_addr().unwrap();
    let held = connect(address, &options).await.unwrap();
    for polls in [1, 2].into_iter().cycle().take(30) {
        drop_after(polls, ("127.0.0.4", address.port()), &options).await;
    }
    drop(held.into_stream());
    assert_eq!(budget.free(), 1, "nobody is left in line");
    let resolver = Prompted::default();
    for _ in 0..NAMED {
        resolver.answer(Family::V4, &[address]);
        let options = options.clone().resolver(resolver.options().resolver);
        drop_after(1, ("name.test", 80), &options).await;
    }
    assert_eq!((resolver.open(), budget.free()), (0, 1));
}

/// The system's resolver needs no descriptor to wake a task. The name is this machine's: no query leaves it.
async fn calls_of_the_system(options: &Options, before: usize) {
    let own = if cfg!(windows) {
        std::env::var("COMPUTERNAME").unwrap()
    } else {
        std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap()
    };
    for _ in 0..30 {
        let mut race = Box::pin(async { connect((own.trim(), 1), options).await.is_ok() });
        poll_once(race.as_mut());
        drop(race);
    }
    // Under Windows the first call of a process opens what it keeps.
    let most = before + usize::from(cfg!(windows));
    assert!(
        poll_until(LIMIT, || (before..=most).contains(&descriptors().total)),
        "files that the system's resolver reads"
    );
}
