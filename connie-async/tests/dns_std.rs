//! The DNS client over the operating system's UDP: the rows of the table that stand for those like them, with
//! servers in threads.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses some of it")]
mod std_support;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use connie_async::connie_core::Family;
use connie_async::dns::{Dns, Nal};
use connie_async::{AddressList, Lookup, edge_nal};
use connie_servers::clock::now;
use connie_sim::name_servers::{Driver, Finding, Kind, NAME, Query, Reaction, Row, Sender, Server, rows};
use std_embedded_nal_async::Stack;
use std_support::{SystemClock, run};

/// A server on a loopback port that does what a script says, until it is dropped.
struct Running {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    fn start(index: usize, script: &str) -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        let address = socket.local_addr().expect("an address");
        let stop = Arc::new(AtomicBool::new(false));
        // A port at which nobody is.
        let is_there = !script.split([' ', ';']).any(|word| word == "fails");
        let (server, stopped) = (Server::new(index, script), Arc::clone(&stop));
        let thread = is_there.then(|| std::thread::spawn(move || serve(&socket, server, &stopped)));
        Running { address, stop, thread }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("a server that reads queries of ours");
        }
    }
}

fn serve(socket: &UdpSocket, mut server: Server, stop: &AtomicBool) {
    let mut due = Vec::new();
    socket.set_read_timeout(Some(Duration::from_millis(2))).expect("a time-out");
    while !stop.load(Ordering::Relaxed) {
        let mut buffer = [0; 2_048];
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            let (reaction, delay) = server.ask(&Query::read(&buffer[..length], false));
            due.push((now() + delay, from, reaction));
        }
        let (ready, later) = due.into_iter().partition(|(at, ..)| *at <= now());
        due = later;
        let ready: Vec<_> = ready;
        for (_, to, reaction) in ready {
            let Reaction::Says(message, sender) = reaction else { continue };
            let sent = match sender {
                Sender::Itself => socket.send_to(&message, to),
                Sender::OtherPort => {
                    UdpSocket::bind("127.0.0.1:0").and_then(|other| other.send_to(&message, to))
                }
                Sender::OtherHost => {
                    UdpSocket::bind("127.0.0.2:0").and_then(|other| other.send_to(&message, to))
                }
            };
            // Who has its answer has closed the port.
            let _ = sent;
        }
    }
}

async fn find(dns: &impl Lookup, kind: Kind) -> Finding {
    let family = if kind == Kind::A { Family::V4 } else { Family::V6 };
    let mut found = heapless::Vec::<IpAddr, 16>::new();
    match dns.lookup(NAME, family, &mut AddressList::new(family, &mut found)).await {
        Err(error) => Finding::Error(dns.query_error(&error)),
        Ok(()) if found.is_empty() => Finding::Nothing,
        Ok(()) => Finding::Addresses(found.to_vec()),
    }
}

/// Over embedded-nal-async's traits, and over edge-nal's.
#[derive(Clone, Copy, Debug)]
enum Traits {
    Nal,
    EdgeNal,
}

fn found(row: &Row, traits: Traits) -> Vec<(Kind, Finding)> {
    let servers: Vec<_> =
        row.servers.iter().enumerate().map(|(index, script)| Running::start(index, script)).collect();
    let addresses: Vec<_> = servers.iter().map(|server| server.address).collect();
    let clock = SystemClock::new();
    match traits {
        Traits::Nal => {
            let udp = Nal::<_>::new(Stack::default(), &addresses);
            run(find_all(&Dns::new(&udp, &clock, 0x5eed), &row.kinds()))
        }
        Traits::EdgeNal => {
            let udp = edge_nal::Udp::<_>::new(edge_nal_std::Stack::new(), &addresses);
            run(find_all(&Dns::new(&udp, &clock, 0x5eed), &row.kinds()))
        }
    }
}

async fn find_all(dns: &impl Lookup, kinds: &[Kind]) -> Vec<(Kind, Finding)> {
    match *kinds {
        [one] => vec![(one, find(dns, one).await)],
        [first, second] => {
            let both = embassy_futures::join::join(find(dns, first), find(dns, second)).await;
            vec![(first, both.0), (second, both.1)]
        }
        _ => panic!("{kinds:?}"),
    }
}

#[test]
fn rows_for_the_kernel() {
    let can = Driver { udp_alone: true, errors: true, servers: 3, ..Driver::LEAST };
    let rows: Vec<_> = rows(&can).into_iter().filter(|row| row.kernel).collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    for row in rows {
        let mut expected: Vec<_> = row.found().into_iter().map(|found| (found.kind, found.finding)).collect();
        expected.sort_by_key(|(kind, _)| *kind);
        for traits in [Traits::Nal, Traits::EdgeNal] {
            let mut found = found(row, traits);
            found.sort_by_key(|(kind, _)| *kind);
            assert_eq!(found, expected, "{}, over {traits:?}", row.what);
        }
    }
}

/// A server that is not there is passed over at once: the system says so.
#[test]
fn a_closed_port_is_no_wait() {
    let (closed, open) = (Running::start(0, "fails"), Running::start(1, "ok@0"));
    let (addresses, clock) = ([closed.address, open.address], SystemClock::new());
    let udp = Nal::<_>::new(Stack::default(), &addresses);
    let dns = Dns::new(&udp, &clock, 0x5eed);
    let began = now();
    let found = run(find(&dns, Kind::A));
    assert_eq!(found, Finding::Addresses(vec!["192.0.2.2".parse().expect("an address")]));
    assert!(began.elapsed() < Duration::from_millis(200), "{:?}", began.elapsed());
}
