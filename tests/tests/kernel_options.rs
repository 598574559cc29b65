//! What a program has done with each socket before it is connected, as the kernel sees it: source addresses
//! and their ports, options, and the program's own closure.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::timeline::Style;
use connie_core::{AttemptErrorKind, Failure};
use connie_std::{
    ConnectErrorKind, Connected, HttpConnection, Keepalive, OnSocket, Options, OsStack, Purpose, SetupStep,
    SocketOptions, TlsConnector, TlsOptions, connect, connect_socket,
};
use connie_tests::lab::{Behaviour, HOST_V4, HOST_V6, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::Live;
use kernel_support::traced::traced;
use kernel_support::{all_at_once, at, options, outcomes, race, unattended};
use rustix::io::Errno;
use rustix::net::sockopt;

/// Only two ports, as a machine has that holds very many connections.
fn two_ports(lab: &Lab) {
    lab.set_sysctl("net/ipv4/ip_local_port_range", "40000 40001");
}

/// Options with a source address of each family.
fn from_here() -> Options {
    Options::new().source_v4(HOST_V4).source_v6(HOST_V6)
}

fn with(socket: SocketOptions) -> Options {
    Options::new().socket(socket)
}

/// A port that is chosen when a socket is bound is one that no other socket has.
#[test]
fn connections_from_a_source_address_share_the_ports_as_others_do() {
    in_namespace(|lab| {
        let _listener = unattended();
        two_ports(lab);
        for options in [Options::default(), from_here()] {
            for remote in [v4, v6] {
                let addresses = at((1..=5).map(remote));
                addresses.iter().for_each(|address| lab.set(address.ip(), Behaviour::accept(ms(1))));
                let held: Vec<Connected> = addresses
                    .iter()
                    .map(|address| connect(*address, &options).unwrap_or_else(|error| panic!("{error}")))
                    .collect();
                for stream in &held {
                    let client = stream.local_addr().expect("an address");
                    assert!((40_000..=40_001).contains(&client.port()), "{client}");
                }
            }
        }
    });
}

#[test]
fn a_race_from_a_source_address_has_more_attempts_than_there_are_ports() {
    in_namespace(|lab| {
        let _listener = unattended();
        two_ports(lab);
        lab.set(v4(6), Behaviour::accept(ms(20)));
        let winner = race(&at((1..=6).map(v4)), &from_here()).won_by(v4(6), ms(20));
        assert_eq!(lab.log().attempts().len(), 6, "{:?}", outcomes(&winner.timeline()));
    });
}

#[test]
fn a_source_address_costs_two_calls_an_attempt_and_without_one_there_is_none() {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let start = |tampering: &[&str]| -> Option<Vec<String>> {
        let (told, calls) = traced(tampering, 1, ms(250), &[server.address()])?;
        assert_eq!(told.connected().0, server.address(), "{calls:?}");
        let start = calls.iter().take_while(|call| call.name != "connect");
        Some(start.map(|call| call.line.split_once(' ').map_or("", |(_, line)| line).to_owned()).collect())
    };
    let Some(without) = start(&[]) else { return };
    assert_eq!(without.len(), 1, "{without:?}");
    let Some(with) = start(&["-E", "SOURCE=127.0.0.9"]) else { return };
    assert_eq!(with.len(), 3, "{with:?}");
    assert!(with[0].trim_start().starts_with("socket("), "{with:?}");
    assert!(with[1].contains("IP_BIND_ADDRESS_NO_PORT, [1]"), "{with:?}");
    assert!(with[2].contains("bind(") && with[2].contains("htons(0)"), "{with:?}");
}

/// The other family would leave the machine by another way than the program has asked for.
#[test]
fn a_source_address_of_one_family_leaves_the_other_out() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(20)));
        lab.set(v6(1), Behaviour::accept(ms(1)));
        let only_v4 = Options::new().source_v4(HOST_V4);
        let only_v6 = Options::new().source_v6(HOST_V6);
        let both = at([v6(1), v4(1)]);

        let winner = race(&both, &only_v4).won_by(v4(1), ms(20));
        let report = winner.report().timeline();
        let waterfall = report.waterfall(100, Style::default()).to_string();
        assert!(
            waterfall.lines().any(|line| line.contains("fd00:9::1") && line.contains("no source")),
            "{waterfall}"
        );
        race(&both, &only_v6).won_by(v6(1), ms(1));
        lab.clear_log();

        let says = "left out: a source address was given for the other family alone";
        for (options, left_out) in [(&only_v4, v6(1)), (&only_v6, v4(1))] {
            let error = race(&at([left_out]), options).lost(Failure::AllAttemptsFailed, Duration::ZERO);
            let lines: Vec<String> = error.addresses().collect();
            assert_eq!(lines, [format!("{}: {says}", at([left_out])[0])]);
            assert_eq!(error.raw_os_error(), None);
            assert_eq!(io::Error::from(error).kind(), io::ErrorKind::AddrNotAvailable);
        }
        assert_eq!(lab.log().attempts(), [], "nothing was sent");
    });
}

/// A name of both families, and a server on both.
#[test]
fn a_source_address_of_one_family_leads_a_name_there_and_the_report_says_so() {
    in_namespace(|_| {
        let here = TcpListener::bind((Ipv4Addr::LOCALHOST, 8080)).expect("a free port");
        let other = TcpListener::bind((Ipv6Addr::LOCALHOST, 8080)).expect("a free port");
        other.set_nonblocking(true).expect("a mode");
        let source = Ipv4Addr::new(127, 0, 0, 99);
        let options = Options::new().source_v4(source);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let blocking = connect(("localhost", 8080), &options).expect("a connection");
        let task = runtime.block_on(connie_std::tokio_net::connect(("localhost", 8080), &options));
        for report in [blocking.report(), task.expect("a connection").report()] {
            let waterfall = report.timeline().waterfall(100, Style::default()).to_string();
            let line = |address: &str, says: &str| {
                waterfall.lines().any(|line| line.contains(address) && line.contains(says))
            };
            assert!(line("::1", "no source") && line("127.0.0.1", "established"), "{waterfall}");
            assert_eq!(here.accept().expect("a connection").1.ip(), source);
        }
        assert_eq!(other.accept().expect_err("nobody").kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn the_winner_has_every_option_from_before_its_handshake() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(2), Behaviour::accept(ms(1)));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = Arc::clone(&seen);
        let on_socket = OnSocket::new(move |fd, address, _| {
            let not_connected = rustix::net::getpeername(fd) == Err(Errno::NOTCONN);
            let options =
                (sockopt::socket_keepalive(fd)?, sockopt::tcp_keepidle(fd)?, sockopt::tcp_user_timeout(fd)?);
            note.lock().expect("a lock").push((address, not_connected, options));
            Ok(())
        });
        let seconds = Duration::from_secs;
        let socket = SocketOptions::new()
            .keepalive(Keepalive::new().idle(seconds(61)).interval(seconds(7)).count(3))
            .send_buffer(20_000)
            .receive_buffer(30_000)
            .user_timeout(Duration::from_micros(9_999_001))
            .interface("lab0".to_owned())
            .mark(0x77)
            .local_ports(41_000..=41_009);
        let options = with(socket).on_socket(on_socket);
        let addresses = at([v4(1), v4(2)]);
        let winner = race(&addresses, &options).won_by(v4(2), ms(1));

        let early = (true, Duration::from_secs(61), 10_000);
        let seen = seen.lock().expect("a lock").clone();
        assert_eq!(seen, [(addresses[0], true, early), (addresses[1], true, early)]);
        assert_eq!(sockopt::tcp_keepintvl(&*winner), Ok(Duration::from_secs(7)));
        assert_eq!(sockopt::tcp_keepcnt(&*winner), Ok(3));
        assert_eq!(sockopt::socket_send_buffer_size(&*winner), Ok(40_000));
        assert_eq!(sockopt::socket_recv_buffer_size(&*winner), Ok(60_000));
        assert!((41_000..=41_009).contains(&winner.local_addr().expect("an address").port()));
        use nix::sys::socket::{getsockopt, sockopt::BindToDevice, sockopt::Mark};
        assert_eq!(getsockopt(&*winner, Mark), Ok(0x77));
        let name = getsockopt(&*winner, BindToDevice).expect("a name");
        assert_eq!(name.to_string_lossy().trim_end_matches('\0'), "lab0");
    });
}

#[test]
fn packets_leave_by_the_interface_that_was_asked_for_or_not_at_all() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(1)));
        let by = |name: &str| with(SocketOptions::new().interface(name.to_owned()));
        race(&at([v4(1)]), &by("lab0")).won_by(v4(1), ms(1));
        lab.clear_log();
        let error = connect(at([v4(1)])[0], &by("lo").race(all_at_once(1).deadline(Some(ms(100)))));
        error.expect_err("no way by the loopback interface");
        assert_eq!(lab.log().attempts(), []);
    });
}

/// Each is distinguished from a failure of the network, by a line that names the option.
#[test]
fn an_option_that_cannot_be_set_fails_the_attempt_and_is_named() {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let (none, taken) = (SocketOptions::default, server.address().port());
    let interface = |name: &str| none().interface(name.to_owned());
    let cases = [
        (none().send_buffer(usize::MAX), "send_buffer could not be set: Invalid argument", Errno::INVAL),
        (
            none().receive_buffer(usize::MAX),
            "receive_buffer could not be set: Invalid argument",
            Errno::INVAL,
        ),
        (none().user_timeout(Duration::MAX), "user_timeout could not be set: Invalid argument", Errno::INVAL),
        (
            interface("no-such0"),
            "the interface \"no-such0\" could not be bound to: No such device",
            Errno::NODEV,
        ),
        (
            none().local_ports(taken..=taken),
            &format!(
                "none of the local ports tried of {taken}-{taken} could be bound to: Address already in use"
            ),
            Errno::ADDRINUSE,
        ),
    ];
    for (socket, says, errno) in cases {
        let error = connect(server.address(), &with(socket)).expect_err(says);
        assert_eq!(error.addresses().collect::<Vec<_>>(), [format!("{}: {says}", server.address())]);
        assert_eq!(error.raw_os_error(), Some(errno.raw_os_error()), "{says}");
    }
    assert_eq!(server.counts().accepted, 0);
}

/// What no system would take, or would take for something else, is refused before there is a socket.
#[test]
fn an_option_that_cannot_be_meant_is_refused_and_named() {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let none = SocketOptions::default;
    let interface = |name: &str| none().interface(name.to_owned());
    let kept = |keepalive| none().keepalive(keepalive);
    let idle = |time| kept(Keepalive::new().idle(time));
    let interval = |time| kept(Keepalive::new().interval(time));
    let count = |count| kept(Keepalive::new().count(count));
    let cases = [
        // The kernel would cut it off, and take the empty name for none.
        (interface("lo\0"), r#"interface "lo\0" holds a zero byte"#),
        (interface("abcdefghijklmnop"), r#"interface "abcdefghijklmnop" is too long: names have 15 bytes"#),
        (interface(""), r#"interface "" is empty"#),
        (none().local_ports(0..=0), "local_ports 0..=0 begins with 0, which is no port"),
        (none().local_ports(0..=9), "local_ports 0..=9 begins with 0, which is no port"),
        (idle(Duration::ZERO), "keepalive idle is 0ns: give 1 s to 32767 s"),
        (idle(Duration::from_millis(32_767_001)), "keepalive idle is 32767.001s: give 1 s to 32767 s"),
        (interval(Duration::ZERO), "keepalive interval is 0ns: give 1 s to 32767 s"),
        (interval(Duration::from_secs(32_768)), "keepalive interval is 32768s: give 1 s to 32767 s"),
        (count(0), "keepalive count is 0: give 1 to 127"),
        (count(128), "keepalive count is 128: give 1 to 127"),
    ];
    for (socket, says) in cases {
        let error = connect(server.address(), &with(socket)).expect_err(says);
        assert!(matches!(error.kind(), ConnectErrorKind::InvalidOption(_)), "{error}");
        assert!(error.to_string().contains(says), "{error}");
    }
    assert_eq!(server.counts().accepted, 0);
    // The kernel's limits themselves are none of ours to refuse.
    for socket in [
        idle(Duration::from_nanos(1)),
        idle(Duration::from_secs(32_767)),
        interval(Duration::from_nanos(1)),
        interval(Duration::from_secs(32_767)),
        count(1),
        count(127),
    ] {
        connect(server.address(), &with(socket)).unwrap_or_else(|error| panic!("{error}"));
    }
    // The longest name that there can be is looked for.
    let error =
        connect(server.address(), &with(interface("abcdefghijklmno"))).expect_err("no such interface");
    assert!(
        error.to_string().contains(r#""abcdefghijklmno" could not be bound to: No such device"#),
        "{error}"
    );
}

#[test]
fn an_option_that_says_nothing_is_refused_before_there_is_a_socket() {
    let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    #[expect(clippy::reversed_empty_ranges)]
    let ports = SocketOptions::new().local_ports(4_100..=4_000);
    let at_once = SocketOptions::new().user_timeout(Duration::ZERO);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    for (socket, says, step) in [
        (ports, "local_ports 4100..=4000 is empty: give the lower port first", SetupStep::LocalPorts),
        (at_once, "user_timeout is 0: give a time, or none for the system's", SetupStep::UserTimeout),
    ] {
        let options = with(socket);
        let task = connie_std::tokio_net::connect(destination, &options);
        for error in
            [connect(destination, &options).expect_err(says), runtime.block_on(task).expect_err(says)]
        {
            assert!(error.to_string().ends_with(&format!(": {says}")), "{error}");
            assert_eq!((error.io_kind(), error.report().is_none()), (io::ErrorKind::InvalidInput, true));
        }
        // A program that drives the stack itself.
        let mut stack = OsStack::from(&options);
        let mut socket = stack.socket().expect("a socket");
        let Err(nb::Error::Other(error)) = stack.connect(&mut socket, destination) else {
            panic!("no error")
        };
        let error = error.attempt_error();
        let invalid = Some(Errno::INVAL.raw_os_error());
        assert_eq!((error.kind(), error.number()), (AttemptErrorKind::Setup(step.number()), invalid));
    }
}

#[test]
fn a_race_can_have_one_local_port_for_all_its_attempts() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(3), Behaviour::accept(ms(20)));
        // Later than any machine is slow.
        lab.set(v6(3), Behaviour::accept(ms(10_000)));
        let one = with(SocketOptions::new().local_ports(42_000..=42_000));
        let winner = race(&at([v4(1), v6(1), v4(2), v4(3), v6(3)]), &one).won_by(v4(3), ms(20));
        let log = lab.wait_until_closed(&[winner.local_addr().expect("an address")]);
        assert_eq!(log.attempts().len(), 5, "{log}");
        assert!(log.attempts().iter().all(|attempt| attempt.client.port() == 42_000), "{log}");
        drop(winner);
    });
}

#[test]
fn a_local_port_that_is_taken_is_passed_over() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(1)));
        // Each its own ports: closed connections keep theirs for a minute.
        for (first, source_v4) in [(43_000, None), (44_000, Some(HOST_V4))] {
            // Somebody's server has the first.
            let _taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, first)).expect("a free port");
            let ports = Some(first..=first + 2);
            let options = with(SocketOptions::new().local_ports(ports)).source_v4(source_v4);
            let connect = || connect(at([v4(1)])[0], &options);
            let held = [connect().expect("a connection"), connect().expect("another")];
            let from = held.each_ref().map(|it| it.local_addr().expect("an address"));
            assert_eq!(from, [first + 1, first + 2].map(|port| SocketAddr::from((HOST_V4, port))));
            let error = connect().expect_err("all are taken").to_string();
            let says = format!("none of the local ports tried of {first}-{} could be bound to", first + 2);
            assert!(error.contains(&says), "{error}");
        }
    });
}

/// The kernel says the same of ports that are taken.
#[test]
fn a_family_that_the_host_has_not_is_not_tried_from_each_port() {
    in_namespace(|lab| {
        lab.set_sysctl("net/ipv6/conf/all/disable_ipv6", "1");
        let opened: Arc<Mutex<Vec<Purpose>>> = Arc::default();
        let note = Arc::clone(&opened);
        let on_socket = OnSocket::new(move |_, _, purpose| {
            note.lock().expect("a lock").push(purpose);
            Ok(())
        });
        let ports = SocketOptions::new().local_ports(20_000..=60_000);
        let options = with(ports).on_socket(on_socket);
        let destination = SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, 1], 80));
        let error = connect(destination, &options).expect_err("no IPv6 here");
        assert_eq!(error.raw_os_error(), Some(Errno::ADDRNOTAVAIL.raw_os_error()), "{error}");
        assert!(error.to_string().ends_with("unreachable"), "{error}");
        let opened = opened.lock().expect("a lock").clone();
        let of = |purpose| opened.iter().filter(|it| **it == purpose).count();
        assert_eq!(of(Purpose::Connection), 1, "{opened:?}");
    });
}

/// An attempt tries no more than 256 ports, and the next goes on behind them.
#[test]
fn a_long_range_that_is_full_at_its_beginning_is_gone_on_with() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(1)));
        let taken: Vec<TcpListener> = (30_000..30_300)
            .map(|port| TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("a free port"))
            .collect();
        let options = with(SocketOptions::new().local_ports(30_000..=31_000));
        let connect = || connect(at([v4(1)])[0], &options);
        let error = connect().expect_err("256 are taken");
        assert_eq!(error.raw_os_error(), Some(Errno::ADDRINUSE.raw_os_error()), "{error}");
        let held = [connect().expect("a connection"), connect().expect("another")];
        let from = held.each_ref().map(|it| it.local_addr().expect("an address").port());
        assert_eq!(from, [30_300, 30_301]);
        drop(taken);
    });
}

/// `VpnService.protect` says no to one, say.
#[test]
fn the_program_sees_each_socket_once_and_what_it_refuses_fails_alone() {
    in_namespace(|lab| {
        let _listener = unattended();
        lab.set(v4(1), Behaviour::accept(ms(1)));
        lab.set(v4(2), Behaviour::accept(ms(20)));
        let seen: Arc<Mutex<Vec<IpAddr>>> = Arc::default();
        let note = Arc::clone(&seen);
        let on_socket = OnSocket::new(move |fd, address, _| {
            note.lock().expect("a lock").push(address.ip());
            let unbound = rustix::net::getsockname(fd)
                .map(SocketAddr::try_from)
                .is_ok_and(|it| it.is_ok_and(|it| it.port() == 0));
            assert!(unbound, "it is to be bound later");
            if address.ip() == v4(1) { Err(Errno::PERM.into()) } else { Ok(()) }
        });
        let options = options(all_at_once(8)).on_socket(on_socket);
        let winner = race(&at([v4(1), v4(2), v4(3)]), &options).won_by(v4(2), ms(20));
        assert_eq!(outcomes(&winner.timeline())[0], (v4(1), "setup"));
        assert_eq!(*seen.lock().expect("a lock"), [v4(1), v4(2), v4(3)]);
        drop(winner);
        let error = race(&at([v4(1)]), &options).lost(Failure::AllAttemptsFailed, Duration::ZERO);
        let line = format!("{}: on_socket refused the socket: Operation not permitted", at([v4(1)])[0]);
        assert_eq!(error.addresses().collect::<Vec<_>>(), [line]);
    });
}

/// Where the system has no number for it.
#[test]
fn the_program_s_own_words_are_in_the_line_and_in_the_report() {
    let destination = SocketAddr::from((Ipv4Addr::LOCALHOST, 9));
    let on_socket = OnSocket::new(|_, _, _| Err(io::Error::other("not\nprotected")));
    let options = Options::new().on_socket(on_socket);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let tls = TlsConnector::new(&TlsOptions::new().insecure(true)).expect("a connector");
    let to = &[destination][..];
    let task = connie_std::tokio_net::connect(to, &options);
    let in_task = connie_std::tokio_net::TlsConnector::from(tls.clone());
    let named = ("127.0.0.1", 9);
    let errors = [
        connect(to, &options).expect_err("refused"),
        connect_socket(to, &options).expect_err("refused"),
        runtime.block_on(task).expect_err("refused"),
        tls.connect(named, &options).expect_err("refused"),
        runtime.block_on(in_task.connect(named, &options)).expect_err("refused"),
    ];
    for error in errors {
        let line = format!("{destination}: on_socket refused the socket: not protected");
        assert_eq!(error.addresses().collect::<Vec<_>>(), [line]);
        assert_eq!(error.report().and_then(|report| report.note(destination)), Some("not protected"));
        assert_eq!(error.raw_os_error(), None);
    }
    let mut client = HttpConnection::with_options("127.0.0.1", 9, options).expect("a client");
    let error = client.request("GET", "/", &[], b"").expect_err("refused").to_string();
    assert!(error.contains("on_socket refused the socket: not protected"), "{error}");
}

#[test]
fn tokio_does_the_same_with_each_socket() {
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let seen: Arc<Mutex<Vec<SocketAddr>>> = Arc::default();
    let note = Arc::clone(&seen);
    let on_socket = OnSocket::new(move |fd, address, _| {
        note.lock().expect("a lock").push(address);
        if sockopt::socket_keepalive(fd)? { Ok(()) } else { Err(io::Error::other("no keepalive")) }
    });
    let socket = SocketOptions::new().keepalive(Keepalive::default());
    let source_v4 = Some(Ipv4Addr::new(127, 0, 0, 9));
    let options = with(socket).on_socket(on_socket).source_v4(source_v4);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let stream = connie_std::tokio_net::connect(server.address(), &options).await.expect("a connection");
        assert_eq!(sockopt::socket_keepalive(&*stream), Ok(true));
        assert_eq!(stream.local_addr().expect("an address").ip(), IpAddr::from([127, 0, 0, 9]));
        let left_out: SocketAddr = "[::1]:9".parse().expect("an address");
        let error = connie_std::tokio_net::connect(left_out, &options).await.expect_err("left out");
        assert!(error.to_string().contains("left out"), "{error}");
    });
    assert_eq!(*seen.lock().expect("a lock"), [server.address()]);
}
