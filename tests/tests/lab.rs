//! The laboratory itself, tried with the standard library's blocking sockets.
#![cfg(target_os = "linux")]

use std::io::{Error, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use connie_tests::clock::{pause, poll_until, takes, timed};
use connie_tests::lab::{
    Behaviour, Closing, Ended, HOST_V4, Lab, TcpState, Unreachable, in_namespace, ms, v4, v6,
};
use connie_tests::servers::{Live, Nginx, PythonServer};
use rustix::io::Errno;

/// How late an answer may be when both cores are busy.
const LATE: Duration = ms(10);
const PORT: u16 = 8080;

/// A listener on every IPv4 and IPv6 address of the namespace.
fn everywhere(port: u16) -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, port).into()
}

fn connect(remote: IpAddr) -> Result<TcpStream, Error> {
    TcpStream::connect_timeout(&SocketAddr::new(remote, PORT), Duration::from_secs(10))
}

#[track_caller]
fn connected(remote: IpAddr) -> TcpStream {
    connect(remote).unwrap_or_else(|error| panic!("{remote}: {error}"))
}

#[track_caller]
fn fails_with(errno: Errno, run: Result<TcpStream, Error>) {
    let error = run.expect_err("no connection");
    assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{error}");
}

fn get(stream: &mut TcpStream, path: &str) -> Vec<u8> {
    write!(stream, "GET /{path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n").expect("a request sent");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer");
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a whole head") + 4;
    assert!(answer.starts_with(b"HTTP/1."), "{}", String::from_utf8_lossy(&answer[..head]));
    answer.split_off(head)
}

/// A body in which every octet's place matters.
fn mebibyte() -> Vec<u8> {
    (0..1_u32 << 18).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect()
}

#[test]
fn a_connection_takes_the_round_trip_time() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere(PORT));
        for address in [v4, v6] {
            for (n, rtt) in [(1, 10), (2, 50), (3, 150)] {
                lab.set(address(n), Behaviour::accept(ms(rtt)));
                takes(ms(rtt), LATE, || connected(address(n)));
            }
        }
        let attempts = lab.log().attempts().len();
        assert!(attempts >= 6);
        server.wait_until(|counts| counts.accepted == attempts && counts.eof == attempts);
    });
}

#[test]
fn a_refusal_comes_after_the_round_trip_time() {
    in_namespace(|lab| {
        for remote in [v4(1), v6(1)] {
            lab.set(remote, Behaviour::refuse(ms(40)));
            takes(ms(40), LATE, || fails_with(Errno::CONNREFUSED, connect(remote)));
            assert_eq!(lab.log().attempts_to(remote)[0].ended.map(|(_, how)| how), Some(Ended::Refused));
        }
    });
}

#[test]
fn a_port_without_a_listener_refuses_too() {
    in_namespace(|lab| {
        lab.set(v4(1), Behaviour::accept(ms(20)));
        takes(ms(20), LATE, || fails_with(Errno::CONNREFUSED, connect(v4(1))));
        assert_eq!(lab.log().attempts()[0].ended.map(|(_, how)| how), Some(Ended::Refused));
    });
}

#[test]
fn routers_say_why_not() {
    in_namespace(|lab| {
        let cases = [
            (v4(1), Unreachable::Host, Errno::HOSTUNREACH),
            (v6(1), Unreachable::Host, Errno::HOSTUNREACH),
            (v4(2), Unreachable::Network, Errno::NETUNREACH),
            (v6(2), Unreachable::Network, Errno::NETUNREACH),
            (v4(3), Unreachable::AdminProhibited, Errno::HOSTUNREACH),
            (v6(3), Unreachable::AdminProhibited, Errno::ACCESS),
        ];
        for (remote, reason, errno) in cases {
            lab.set(remote, Behaviour::unreachable(reason, ms(30)));
            takes(ms(30), LATE, || fails_with(errno, connect(remote)));
            assert_eq!(lab.log().attempts_to(remote)[0].ended.map(|(_, how)| how), Some(Ended::Unreachable));
        }
    });
}

#[test]
fn addresses_outside_of_the_laboratory_have_no_route() {
    in_namespace(|lab| {
        let outside: IpAddr = Ipv4Addr::new(192, 0, 2, 1).into();
        fails_with(Errno::NETUNREACH, connect(outside));
        lab.route("192.0.2.0/24");
        lab.set(outside, Behaviour::refuse(ms(5)));
        fails_with(Errno::CONNREFUSED, connect(outside));
    });
}

#[test]
fn a_black_hole_is_silent() {
    in_namespace(|lab| {
        for remote in [v4(1), v6(1)] {
            lab.set(remote, Behaviour::black_hole());
            let address = SocketAddr::new(remote, PORT);
            let error = TcpStream::connect_timeout(&address, ms(200)).expect_err("silence");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
        }
    });
}

#[test]
fn a_lost_syn_is_repeated_after_a_second() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        lab.set(v4(1), Behaviour::accept(ms(10)).losing_syns(1));
        let (_first, time) = timed(|| connected(v4(1)));
        assert!((ms(1010)..ms(1900)).contains(&time), "{time:?}; {}", lab.log());
        let (_second, time) = timed(|| connected(v4(1)));
        assert!((ms(10)..ms(900)).contains(&time), "{time:?}; {}", lab.log());

        let counts = lab.log().counts(v4(1));
        assert_eq!((counts.first_syns, counts.repeated_syns, counts.syn_acks), (2, 1, 2));
        assert_eq!(lab.log().order(), [v4(1)], "once, though there were two attempts");
    });
}

#[test]
fn a_syn_of_each_attempt_may_be_lost() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        lab.set(v6(1), Behaviour::accept(ms(10)).losing_syns_of_each_attempt(1));
        for _ in 0..2 {
            let (_stream, time) = timed(|| connected(v6(1)));
            assert!((ms(1010)..ms(1900)).contains(&time), "{time:?}; {}", lab.log());
        }
    });
}

#[test]
fn a_lost_syn_ack_is_repeated() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        lab.set(v6(1), Behaviour::accept(ms(10)).losing_syn_acks(1));
        let (_stream, time) = timed(|| connected(v6(1)));
        assert!((ms(1000)..ms(1900)).contains(&time), "{time:?}; {}", lab.log());
    });
}

#[test]
fn whole_pages_pass_unharmed() {
    in_namespace(|lab| {
        let page = mebibyte();
        let _server = Live::http(everywhere(PORT), &page);
        for remote in [v4(1), v6(1)] {
            lab.set(remote, Behaviour::accept(ms(5)));
            let mut stream = connected(remote);
            write!(stream, "GET / HTTP/1.1\r\n\r\n").expect("a request sent");
            let mut answer = vec![0; page.len() + "HTTP/1.1 200 OK\r\nContent-Length: 1048576\r\n\r\n".len()];
            stream.read_exact(&mut answer).expect("an answer");
            assert!(answer.ends_with(&page), "the page was changed on the way to {remote}");
        }
    });
}

#[test]
fn nginx_and_python_serve_behind_addresses_of_their_own() {
    in_namespace(|lab| {
        let page = mebibyte();
        let Some(nginx) = Nginx::start(8081, &[("page", &page)]) else { return };
        let Some(_python) = PythonServer::start(8082, &[("page", b"from Python")]) else { return };
        lab.set(v4(1), Behaviour::accept(ms(10)).to_port(8081));
        lab.set(v6(1), Behaviour::accept(ms(10)).to_port(8081));
        lab.set(v4(2), Behaviour::accept(ms(10)).to_port(8082));
        assert!(get(&mut connected(v4(1)), "page") == page, "nginx over IPv4");
        assert!(get(&mut connected(v6(1)), "page") == page, "nginx over IPv6");
        assert_eq!(get(&mut connected(v4(2)), "page"), b"from Python");

        let process = format!("/proc/{}", nginx.process_id());
        drop(nginx);
        assert!(!std::path::Path::new(&process).exists(), "nginx outlives its test");
        fails_with(Errno::CONNREFUSED, connect(v4(1)));
    });
}

#[test]
fn addresses_may_share_a_listener_or_have_their_own() {
    in_namespace(|lab| {
        let own: IpAddr = Ipv4Addr::new(10, 7, 0, 1).into();
        lab.add_address(own);
        let shared = Live::silent(everywhere(8081));
        let single = Live::silent((own, 8082));
        lab.set(v4(1), Behaviour::accept(ms(1)).to_port(8081));
        lab.set(v4(2), Behaviour::accept(ms(1)).to((own, 8082).into()));
        let _open = [connected(v4(1)), connected(v4(2)), connected(v4(1))];
        shared.wait_until(|counts| counts.accepted == 2);
        single.wait_until(|counts| counts.accepted == 1);
    });
}

#[test]
fn what_the_kernel_does_not_take_is_told() {
    in_namespace(|lab| {
        let refuses = |attempt: &dyn Fn()| {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)).expect_err("a panic");
        };
        let own: IpAddr = Ipv4Addr::new(10, 7, 0, 1).into();
        lab.add_address(own);
        refuses(&|| lab.add_address(own));
        refuses(&|| lab.route("nonsense"));
        refuses(&|| lab.set_sysctl("net/ipv4/no_such_variable", "1"));
    });
}

/// Two ports of one remote address may be called from one client port; behind the router the two connections
/// meet at one listener.
#[test]
fn one_client_port_may_call_two_ports_of_an_address() {
    in_namespace(|lab| {
        let server = Live::http(everywhere(8081), "hello");
        lab.set(v4(1), Behaviour::accept(ms(1)).to_port(8081));
        let client = (HOST_V4, 40_000);
        for mut stream in [connect_from(client, v4(1), 80), connect_from(client, v4(1), 443)] {
            write!(stream, "GET / HTTP/1.1\r\n\r\n").expect("a request sent");
            let mut answer = [0; 43];
            stream.read_exact(&mut answer).expect("an answer");
            assert!(answer.ends_with(b"\r\n\r\nhello"), "{}", String::from_utf8_lossy(&answer));
        }
        server.wait_until(|counts| counts.accepted == 2 && counts.eof == 2);
        assert_eq!(lab.log().attempts_to(v4(1)).len(), 2);
    });
}

fn connect_from(client: (Ipv4Addr, u16), remote: IpAddr, port: u16) -> TcpStream {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt::set_socket_reuseaddr};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
    set_socket_reuseaddr(&socket, true).expect("an option");
    bind(&socket, &SocketAddr::from(client)).expect("an address");
    connect(&socket, &SocketAddr::new(remote, port)).expect("a connection");
    socket.into()
}

#[test]
fn the_log_tells_how_each_attempt_ended() {
    in_namespace(|lab| {
        let server = Live::silent(everywhere(PORT));
        (1..=3).for_each(|n| lab.set(v4(n), Behaviour::accept(ms(20))));
        let (kept, closed, aborted) = (connected(v4(1)), connected(v4(2)), connected(v4(3)));
        let (kept_from, closed_from) = (local(&kept), local(&closed));
        drop(closed);
        abort(aborted);

        let log = lab.wait_until_closed(&[kept_from]);
        assert_eq!(log.attempt_of(closed_from).and_then(|it| it.closing()), Some(Closing::Fin));
        assert_eq!(log.attempts_to(v4(3))[0].closing(), Some(Closing::Reset));
        assert!(log.attempts().iter().all(|attempt| attempt.established.is_some()), "{log}");
        assert_eq!((log.counts(v4(2)).client_fins, log.counts(v4(3)).client_resets), (1, 1));
        assert_eq!((log.most_open(), log.most_handshakes()), (3, 1));
        assert_eq!(log.order(), [v4(1), v4(2), v4(3)]);
        let second = log.first_syn(v4(2)).expect("a SYN");
        assert!(second >= ms(20), "{second:?}");
        server.wait_until(|counts| (counts.open, counts.eof, counts.reset) == (1, 1, 1));
    });
}

fn local(stream: &TcpStream) -> SocketAddr {
    stream.local_addr().expect("an address")
}

/// Closes with an RST.
fn abort(stream: TcpStream) {
    rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("an option");
}

/// Starts to connect and returns at once.
fn start(remote: IpAddr) -> std::os::fd::OwnedFd {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};
    let family = if remote.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC, None)
        .expect("a socket");
    let begun = connect(&socket, &SocketAddr::new(remote, PORT));
    assert_eq!(begun, Err(Errno::INPROGRESS));
    socket
}

#[test]
fn a_socket_that_is_closed_while_it_waits_is_found_out() {
    in_namespace(|lab| {
        for remote in [v4(1), v6(1)] {
            let (closed, open) = (start(remote), start(remote));
            lab.wait_until(ms(1000), |log| log.attempts_to(remote).len() == 2);
            assert_eq!(lab.client_sockets().len(), 2);
            drop(closed);
            let log = lab.wait_until(ms(1000), |log| log.open().len() == 1);
            assert_eq!(log.attempts_to(remote)[0].closing(), Some(Closing::Silent));
            assert_eq!(
                log.counts(remote).client_resets,
                0,
                "a probe's echo is no packet of the client's own"
            );
            drop(open);
            lab.wait_until_closed(&[]);
        }
    });
}

#[test]
fn probes_do_not_disturb_a_socket_that_waits() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        for remote in [v4(1), v6(1)] {
            lab.set(remote, Behaviour::accept(ms(150)));
            let slow = start(remote);
            let log = lab.wait_until(ms(1000), |log| {
                log.attempts_to(remote).iter().any(|attempt| attempt.established.is_some())
            });
            let attempt = log.attempts_to(remote)[0];
            assert_eq!((attempt.ended, attempt.syns.len()), (None, 1));
            drop(slow);
        }
    });
}

#[test]
fn a_late_syn_ack_finds_no_socket() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        lab.set(v4(1), Behaviour::accept(ms(60)));
        drop(start(v4(1)));
        // Nothing probes here: the RST is the answer to the SYN-ACK.
        let seen = poll_until(ms(1000), || !lab.log().attempts().is_empty() && lab.log().open().is_empty());
        let log = lab.log();
        assert!(seen, "{log}");
        let attempt = &log.attempts()[0];
        assert_eq!((attempt.closing(), attempt.established), (Some(Closing::Reset), None));
        assert!(attempt.ended.is_some_and(|(at, _)| at >= ms(60)), "{log}");
    });
}

/// Four sockets at a time against sixteen black holes: each new one replaces the oldest.
#[test]
fn replaced_attempts_are_not_counted_beside_their_replacements() {
    in_namespace(|lab| {
        let mut open = std::collections::VecDeque::new();
        for n in 1..=16 {
            if open.len() == 4 {
                open.pop_front();
            }
            open.push_back(start(v4(n)));
            pause(ms(5));
        }
        assert!(lab.client_sockets().iter().all(|socket| socket.state == TcpState::SynSent));
        assert_eq!(lab.client_sockets().len(), 4);
        let log = lab.log();
        assert_eq!((log.most_open(), log.most_handshakes(), log.attempts().len()), (4, 4, 16), "{log}");
    });
}

#[test]
fn a_burst_starts_together() {
    in_namespace(|lab| {
        let sockets: Vec<_> = (1..=64).map(|n| start(v4(n))).collect();
        let log = lab.wait_until(ms(1000), |log| log.attempts().len() == 64);
        assert_eq!(log.most_open(), 64);
        let last = log.first_syn(v4(64)).expect("a SYN");
        assert!(last < ms(50), "{last:?}");
        drop(sockets);
        lab.wait_until_closed(&[]);
    });
}

#[test]
fn a_cleared_log_begins_anew() {
    in_namespace(|lab| {
        let _server = Live::silent(everywhere(PORT));
        lab.set(v4(1), Behaviour::accept(ms(1)));
        let mut old = connected(v4(1));
        lab.clear_log();
        assert!(lab.log().attempts().is_empty());
        old.write_all(b"still here").expect("an open connection");
        let _new = connected(v4(1));
        let log = lab.log();
        assert_eq!((log.attempts().len(), log.attempts()[0].started()), (1, Duration::ZERO));
        assert_eq!(log.counts(v4(1)).first_syns, 1);
    });
}

/// A host that becomes a black hole while a connection is open falls silent.
#[test]
fn behaviour_may_change() {
    in_namespace(|lab| {
        let _server = Live::http(everywhere(PORT), "hello");
        lab.set(v4(1), Behaviour::accept(ms(1)));
        let mut stream = connected(v4(1));
        lab.set(v4(1), Behaviour::black_hole());
        write!(stream, "GET / HTTP/1.1\r\n\r\n").expect("a request sent");
        stream.set_read_timeout(Some(ms(150))).expect("an option");
        let error = stream.read(&mut [0]).expect_err("silence");
        assert_eq!(error.kind(), ErrorKind::WouldBlock);
    });
}

/// Both have the same addresses, and neither sees the other's.
#[test]
fn two_laboratories_run_side_by_side() {
    let run = |mine: u16, theirs: u16| {
        move |lab: &Lab| {
            let server = Live::silent(everywhere(PORT));
            lab.set(v4(mine), Behaviour::accept(ms(30)));
            for _ in 0..5 {
                connected(v4(mine));
            }
            let address = SocketAddr::new(v4(theirs), PORT);
            TcpStream::connect_timeout(&address, ms(100)).expect_err("a black hole here");
            assert_eq!(server.counts().accepted, 5);
            assert_eq!(lab.log().attempts_to(v4(mine)).len(), 5);
        }
    };
    in_namespace(move |lab| {
        // A second namespace, made from within the first; that needs no more rights than the first did.
        let other = std::thread::spawn(move || in_namespace(run(2, 1)));
        run(1, 2)(lab);
        other.join().expect("the other laboratory");
    });
}

#[test]
fn a_test_that_fails_in_the_laboratory_fails_outside() {
    in_namespace(|_| {
        // The second laboratory is one within the first, so that it cannot be skipped.
        let failed = std::panic::catch_unwind(|| in_namespace(|_| panic!("as it should")));
        if !failed.is_err_and(|panic| panic.downcast_ref() == Some(&"as it should")) {
            // A panic would be lost in the same way.
            eprintln!("a laboratory hides the failure of its test");
            std::process::exit(101);
        }
    });
}
