//! What `connie_std::connect` hands over and how it gives up: the winner's socket, source addresses, what
//! routers say, deadlines, cancelation.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::io::{Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, TcpListener};
use std::time::Duration;

use connie_core::Failure;
use connie_std::{Canceler, Options, Override, connect, connect_socket};
use connie_tests::clock::{pause, timed};
use connie_tests::lab::{Behaviour, HOST_V6, Unreachable, in_namespace, ms, v4, v6};
use connie_tests::servers::Live;
use kernel_support::{
    PORT, all_at_once, at, everywhere, in_time, nothing_is_left, only_the_winner_is_left, options, outcomes,
    race, slowly, unattended,
};
use rustix::fs::OFlags;
use rustix::io::FdFlags;

/// A server on a loopback address, which needs no namespace.
fn server() -> Live {
    Live::silent((Ipv4Addr::LOCALHOST, 0))
}

#[test]
fn the_winner_sends_small_segments_at_once_unless_told_otherwise() {
    let server = server();
    for nodelay in [true, false] {
        let options = Options::new().nodelay(nodelay);
        let winner = connect([server.address()], &options).expect("a connection");
        assert_eq!(winner.nodelay().expect("an option"), nodelay);
    }
}

#[test]
fn the_winner_blocks_and_does_not_survive_exec() {
    let server = server();
    let mut winner = connect([server.address()], &Options::default()).expect("a connection");
    assert!(rustix::io::fcntl_getfd(&*winner).expect("flags").contains(FdFlags::CLOEXEC));
    assert!(!rustix::fs::fcntl_getfl(&*winner).expect("flags").contains(OFlags::NONBLOCK));
    winner.set_read_timeout(Some(ms(50))).expect("an option");
    let (read, took) = timed(|| winner.read(&mut [0]));
    assert!(read.is_err() && took >= ms(40), "it did not wait: {read:?} after {took:?}");
}

#[test]
fn the_winner_of_connect_socket_does_not_block() {
    let server = server();
    let (socket, destination, _report) =
        connect_socket([server.address()], &Options::default()).expect("a connection");
    assert_eq!(destination, server.address());
    let stream = socket.into_stream().expect("a connected socket");
    assert!(rustix::fs::fcntl_getfl(&stream).expect("flags").contains(OFlags::NONBLOCK));
}

/// Eleven losers are reset around it, and the winner carries a page.
#[test]
fn the_winner_is_untouched_by_the_end_of_the_losers() {
    in_namespace(|lab| {
        let server = Live::http(everywhere(), "hello");
        for n in 1..=12 {
            lab.set(v4(n), Behaviour::accept(ms(20 + u64::from(n % 3))));
        }
        let mut winner = connect(at((1..=12).map(v4)), &Options::default()).expect("a connection");
        only_the_winner_is_left(lab, &winner);
        write!(winner, "GET / HTTP/1.1\r\nHost: lab\r\n\r\n").expect("a request sent");
        let mut answer = [0; 43];
        winner.read_exact(&mut answer).expect("an answer");
        assert!(answer.ends_with(b"\r\n\r\nhello"), "{}", String::from_utf8_lossy(&answer));
        server.wait_until(|counts| (counts.open, counts.answered, counts.eof) == (1, 1, 0));
    });
}

#[test]
fn the_server_sees_the_source_address_that_was_asked_for() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
    let source = Ipv4Addr::new(127, 0, 0, 9);
    let options = Options::new().source_v4(source);
    let winner = connect([listener.local_addr().expect("an address")], &options).expect("a connection");
    let (_, peer) = listener.accept().expect("a connection");
    assert_eq!((peer.ip(), Ok(peer)), (source.into(), winner.local_addr().map_err(|_| ())));
}

/// Two addresses each, so that the system's own choice cannot be right for both.
#[test]
fn each_family_has_a_source_address_of_its_own() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(20)));
        let sources_v4 = [8, 9].map(|n| Ipv4Addr::new(10, 9, 255, n));
        let sources_v6 = [8, 9].map(|n| Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0xffff, n));
        for (from_v4, from_v6) in sources_v4.into_iter().zip(sources_v6) {
            lab.add_address(from_v4.into());
            lab.add_address(from_v6.into());
        }
        for (from_v4, from_v6) in sources_v4.into_iter().zip(sources_v6) {
            lab.clear_log();
            let options = Options::new().source_v4(from_v4).source_v6(from_v6);
            let winner = race(&at([v4(1), v6(1), v4(2)]), &options).won_by(v4(2), ms(20));
            let log = lab.wait_until_closed(&[winner.local_addr().expect("an address")]);
            assert_eq!(log.attempts().len(), 3, "{log}");
            for attempt in log.attempts() {
                let source = if attempt.remote.is_ipv4() { from_v4.into() } else { IpAddr::from(from_v6) };
                assert_eq!(attempt.client.ip(), source, "{log}");
            }
        }
    });
}

#[test]
fn a_source_address_of_somebody_else_fails_its_family_at_once() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v6(1), Behaviour::accept(ms(20)));
        let sources = (Some(Ipv4Addr::new(192, 0, 2, 1)), Some(HOST_V6));
        let options = options(slowly()).source_v4(sources.0).source_v6(sources.1);
        let winner = race(&at([v4(1), v6(1)]), &options).won_by(v6(1), ms(20));
        assert_eq!(outcomes(&winner.timeline()), [(v4(1), "other"), (v6(1), "established")]);
    });
}

/// The first address is 30 ms away from an error, the second 20 ms from a connection, and pacing alone would
/// keep the second from starting for two seconds.
#[test]
fn what_a_router_says_is_heard_at_once() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(9), Behaviour::accept(ms(20)));
        for reason in [Unreachable::Host, Unreachable::Network, Unreachable::AdminProhibited] {
            for remote in [v4(1), v6(1)] {
                lab.set(remote, Behaviour::unreachable(reason, ms(30)));
                let winner = race(&at([remote, v4(9)]), &options(slowly())).won_by(v4(9), ms(30 + 20));
                let fates = [(remote, "unreachable"), (v4(9), "established")];
                assert_eq!(outcomes(&winner.timeline()), fates, "{reason:?}");
            }
        }
    });
}

#[test]
fn a_refusal_is_heard_at_once_and_called_by_its_name() {
    in_namespace(|lab| {
        for n in 1..=3 {
            lab.set(v4(n), Behaviour::refuse(ms(20 * u64::from(n))));
        }
        let error =
            race(&at((1..=3).map(v4)), &options(slowly())).lost(Failure::AllAttemptsFailed, ms(20 + 40 + 60));
        let lines: Vec<String> = error.addresses().collect();
        let refused = |n: u8| format!("10.9.0.{n}:{PORT}: connection refused");
        assert_eq!(lines, [refused(1), refused(2), refused(3)]);
        assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::ConnectionRefused);
        nothing_is_left(lab);
    });
}

/// What the host's own table of routes says no to, `connect` refuses in the call itself.
#[test]
fn addresses_without_a_route_cost_no_time() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(20)));
        lab.ip("route add unreachable 192.0.2.2
                route add prohibit 192.0.2.3
                route add blackhole 192.0.2.4
                route add unreachable 2001:db8::2
                route add prohibit 2001:db8::3");
        let nowhere =
            ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4", "2001:db8::1", "2001:db8::2", "2001:db8::3"];
        let nowhere = nowhere.map(|text| text.parse::<IpAddr>().expect("an address"));
        let addresses = at(nowhere.into_iter().chain([v4(1)]));
        let winner = race(&addresses, &options(slowly())).won_by(v4(1), ms(20));
        for (address, fate) in outcomes(&winner.timeline()) {
            // Linux calls a black hole an invalid argument.
            let blackhole = address == nowhere[3];
            let expected = if blackhole { "other" } else { "unreachable" };
            assert!(fate == expected || address == v4(1), "{address}: {fate}");
        }
        only_the_winner_is_left(lab, &winner);
    });
}

#[test]
fn the_deadline_ends_a_race_on_time_and_closes_everything() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(3), Behaviour::accept(ms(400)));
        for sockets in [1, 2, 16] {
            let config = all_at_once(sockets).deadline(Some(ms(150)));
            let error =
                race(&at([v4(1), v6(2), v4(3)]), &options(config)).lost(Failure::DeadlineExceeded, ms(150));
            assert_eq!(std::io::Error::from(error).kind(), std::io::ErrorKind::TimedOut);
            nothing_is_left(lab);
        }
    });
}

#[test]
fn an_attempt_that_takes_longer_than_one_may_has_timed_out() {
    in_namespace(|lab| {
        let config = all_at_once(1).attempt_timeout(Some(ms(100)));
        let error = race(&at([v4(1), v6(1)]), &options(config)).lost(Failure::AllAttemptsFailed, ms(200));
        assert_eq!(
            outcomes(&error.timeline().expect("a race")),
            [(v4(1), "timed_out"), (v6(1), "timed_out")]
        );
        nothing_is_left(lab);
    });
}

#[test]
fn a_canceler_ends_a_race_from_another_thread_at_once() {
    in_namespace(|lab| {
        let canceler = Canceler::new().expect("a canceler");
        let options = Options::new().canceler(canceler.clone());
        let addresses = at((1..=6).map(v4));
        let (raced, canceled) = std::thread::scope(|scope| {
            let raced = scope.spawn(|| race(&addresses, &options));
            lab.wait_until(ms(1000), |log| log.attempts().len() == 6);
            pause(ms(50));
            canceler.cancel();
            let (raced, took) = timed(|| raced.join().expect("the race"));
            (raced, took)
        });
        in_time(canceled, Duration::ZERO, "from the cancelation to the end");
        assert!(raced.lost_to(Failure::Canceled).is_canceled());
        nothing_is_left(lab);

        lab.clear_log();
        race(&addresses, &options).lost(Failure::Canceled, Duration::ZERO);
        pause(ms(10));
        assert_eq!(lab.log().attempts(), [], "case 49: canceled before the start, no socket is opened");
    });
}

#[test]
fn case_29_a_winner_stays_usable_when_its_race_is_canceled_afterwards() {
    let server = Live::http((Ipv4Addr::LOCALHOST, 0), "hello");
    let canceler = Canceler::new().expect("a canceler");
    let options = Options::new().canceler(canceler.clone());
    let mut winner = connect([server.address()], &options).expect("a connection");
    canceler.cancel();
    write!(winner, "GET / HTTP/1.1\r\n\r\n").expect("a request sent");
    let mut answer = [0; 43];
    winner.read_exact(&mut answer).expect("an answer");
    assert!(answer.ends_with(b"hello"));
}

/// A link-local address means nothing without the link that it is on.
#[test]
fn a_link_local_address_is_reached_over_the_link_that_its_zone_names() {
    in_namespace(|lab| {
        let listener = unattended();
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);
        lab.ip("address add fe80::77/64 dev lab0 nodad");
        lab.set(address.into(), Behaviour::accept(ms(20)));
        let zone = rustix::net::netdevice::name_to_index(&listener, "lab0").expect("the laboratory's device");
        let bare = SocketAddr::from((address, PORT));
        let zoned = SocketAddr::from(SocketAddrV6::new(address, PORT, 0, zone));

        let winner = race(&[bare, zoned], &Options::default()).won_by(address.into(), ms(20));
        assert_eq!(winner.destination(), zoned);
        assert_eq!(
            outcomes(&winner.timeline()),
            [(address.into(), "other"), (address.into(), "established")]
        );
        let by_name =
            connect((&*format!("[fe80::1%{zone}]"), PORT), &Options::default()).expect("a connection");
        assert_eq!(by_name.peer_addr().expect("a peer"), zoned);
    });
}

/// An IPv4-mapped address goes out as IPv4, also where it is given beside the IPv4 address itself.
#[test]
fn an_ipv4_mapped_address_is_the_ipv4_address() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(20)));
        let mapped = Ipv4Addr::new(10, 9, 0, 1).to_ipv6_mapped().into();
        let winner = race(&at([mapped, v4(1)]), &Options::default()).won_by(v4(1), ms(20));
        assert_eq!(outcomes(&winner.timeline()), [(v4(1), "established")]);
        assert_eq!(lab.log().attempts().len(), 1);
    });
}

#[test]
fn a_name_may_be_given_addresses_that_beat_the_resolver() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(20)));
        let here = Override { host: "name.test".into(), port: PORT, addresses: vec![v4(1), v4(2)] };
        let options = Options::new().overrides([here]);
        let (winner, took) = timed(|| connect(("Name.Test", PORT), &options).expect("a connection"));
        in_time(took, ms(20), "the race");
        assert_eq!(winner.destination().ip(), v4(2));
        only_the_winner_is_left(lab, &winner);
    });
}
