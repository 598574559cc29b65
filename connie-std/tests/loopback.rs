//! `connect` on loopback addresses, which every system has: no privilege, no namespace, no measured time.

use std::error::Error as _;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use connie_core::race::AttemptOutcome;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::verdict::AttemptFailure;
use connie_core::{AttemptErrorKind, Config, Failure};
use connie_std::{
    Canceler, ConnectError, ConnectErrorKind, Options, OsSocket, OsStack, Override, Target, connect,
    connect_socket,
};

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A port that refuses, for as long as the connection lives whose near end it is: nobody else gets it, and
/// nobody listens.
fn refusing() -> ((TcpListener, TcpStream), SocketAddr) {
    let (listener, address) = listener();
    let stream = TcpStream::connect(address).expect("a connection");
    let address = stream.local_addr().expect("an address");
    ((listener, stream), address)
}

#[track_caller]
fn race_failure(error: &ConnectError) -> Failure {
    match error.kind() {
        ConnectErrorKind::Race(failure, _) => *failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_winner_is_a_blocking_stream_that_carries_data_both_ways() {
    let (listener, address) = listener();
    let (_held, refused) = refusing();
    let mut winner = connect([refused, address], &Options::default()).expect("a connection");
    assert_eq!((winner.destination(), winner.peer_addr().ok()), (address, Some(address)));
    assert!(winner.nodelay().expect("an option"));

    let (mut served, peer) = listener.accept().expect("a connection");
    assert_eq!(Some(peer), winner.local_addr().ok());
    winner.write_all(b"question").expect("sent");
    let mut question = [0; 8];
    served.read_exact(&mut question).expect("received");
    assert_eq!(&question, b"question");
    let answering = std::thread::spawn(move || served.write_all(b"answer"));
    let mut answer = String::new();
    // To the end: a stream that does not block would answer `WouldBlock` until there is something.
    winner.read_to_string(&mut answer).expect("received");
    assert_eq!(answer, "answer");
    answering.join().expect("a thread").expect("sent");
}

#[test]
fn what_the_race_did_stays_with_the_stream() {
    let (_listener, address) = listener();
    let (_held, refused) = refusing();
    let winner = connect([refused, address], &Options::default()).expect("a connection");
    let fates: Vec<_> = winner.timeline().attempts().map(|it| (it.destination, it.outcome)).collect();
    // A system that refuses in the call itself is as good as one that refuses a moment later, or is too slow
    // to.
    assert_eq!(fates.len(), 2);
    assert_eq!(fates[1], (address, Some(AttemptOutcome::Established)));
    assert_ne!(fates[0].1, Some(AttemptOutcome::Established));
    let (stream, report) = winner.into_parts();
    assert_eq!(stream.peer_addr().ok(), Some(address));
    assert_eq!(report.timeline().attempts().count(), 2);
}

#[test]
fn an_address_that_refuses_fails_the_race_by_that_name() {
    let (_held, refused) = refusing();
    let error = connect([refused], &Options::default()).expect_err("a refusal");
    assert_eq!(race_failure(&error), Failure::AllAttemptsFailed);
    assert_eq!(error.addresses().collect::<Vec<_>>(), [format!("{refused}: connection refused")]);
    let text = format!("could not connect to {refused}: connection refused");
    assert_eq!((error.to_string(), error.summary()), (text.clone(), text));
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::CONNREFUSED.raw_os_error()));
    let cause = error.source().and_then(|source| source.downcast_ref::<AttemptFailure>()).expect("a cause");
    assert_eq!((cause.address(), cause.error().kind()), (refused, AttemptErrorKind::Refused));
    assert_eq!(cause.error().number(), error.raw_os_error());
    assert_eq!(error.cause().map(std::io::Error::kind), Some(ErrorKind::ConnectionRefused));
    let timeline = error.timeline().expect("a race");
    let outcome = timeline.attempts().next().and_then(|it| it.outcome);
    assert_eq!(outcome, Some(AttemptOutcome::Failed(AttemptErrorKind::Refused)));
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
}

/// A group is nobody to connect to: Linux has no way to one.
#[cfg(target_os = "linux")]
#[test]
fn a_refusal_tells_more_than_that_there_is_no_way() {
    let (_held, refused) = refusing();
    let group = SocketAddr::from(([224, 0, 0, 1], refused.port()));
    for addresses in [[group, refused], [refused, group]] {
        let error = connect(addresses, &Options::default()).expect_err("a refusal");
        let each = format!("{refused}: connection refused; {group}: unreachable");
        assert!(error.to_string().ends_with(&each), "{error}");
        assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::CONNREFUSED.raw_os_error()));
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::ConnectionRefused);
    }
    let error = connect(group, &Options::default()).expect_err("no way");
    assert_eq!(error.raw_os_error(), Some(rustix::io::Errno::NETUNREACH.raw_os_error()));
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NetworkUnreachable);
}

/// A program that asks for a source address that is not this machine's is told so, not that the destination
/// cannot be reached.
#[test]
fn a_source_address_of_somebody_else_is_the_programs_error() {
    let (_listener, address) = listener();
    let options = Options::new().source_v4(Ipv4Addr::new(192, 0, 2, 1));
    let error = connect(address, &options).expect_err("no such source address");
    let says =
        format!("{address}: this machine does not have the source address that was asked for: 192.0.2.1");
    assert_eq!(error.addresses().collect::<Vec<_>>(), [says]);
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::AddrNotAvailable);
}

#[test]
fn no_address_is_an_error_of_its_own() {
    let error = connect(&[] as &[SocketAddr], &Options::default()).expect_err("nowhere to go");
    assert_eq!(race_failure(&error), Failure::NoDestinations);
    assert_eq!(std::io::Error::from(error).kind(), ErrorKind::NotFound);
}

#[test]
fn names_that_cannot_be_names_are_refused_before_any_look_up() {
    for name in ["", "a\0b", &"x".repeat(254)] {
        let error = connect((name, 80), &Options::default()).expect_err("not a name");
        assert!(matches!(error.kind(), ConnectErrorKind::InvalidHost(_)), "{error}");
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn literals_need_no_resolver() {
    let (_listener, address) = listener();
    let winner = connect(("127.0.0.1", address.port()), &Options::default()).expect("a connection");
    assert_eq!(winner.destination(), address);
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        let strict = std::env::var_os("CONNIE_STRICT").is_some_and(|value| value == "1");
        assert!(!strict, "the IPv6 half needs ::1: turn IPv6 on for the loopback interface");
        // Past the harness, which holds back what is printed by macro.
        let _ = writeln!(std::io::stderr(), "SKIPPED literals_need_no_resolver: needs ::1");
        return;
    };
    let address = listener.local_addr().expect("an address");
    for literal in ["::1", "[::1]"] {
        let winner = connect((literal, address.port()), &Options::default()).expect("a connection");
        assert_eq!(winner.destination(), address);
    }
}

#[test]
fn a_target_is_whatever_the_caller_has() {
    let (_listener, address) = listener();
    let (text, options) = (address.to_string(), Options::default());
    for target in
        [text.as_str().into(), (&text).into(), address.into(), (address.ip(), address.port()).into()]
    {
        let target: Target = target;
        assert_eq!(connect(&target, &options).expect("a connection").destination(), address, "{target:?}");
    }
}

#[test]
fn a_text_without_a_port_is_refused_before_any_look_up() {
    for text in ["localhost", "::1", "localhost:http", ""] {
        let error = connect(text, &Options::default()).expect_err("no port");
        let says = format!("{text:?} is not HOST:PORT: add the port, and write an IPv6 address in brackets");
        assert_eq!(error.to_string(), says);
        assert_eq!(std::io::Error::from(error).kind(), ErrorKind::InvalidInput);
    }
}

#[test]
fn addresses_for_a_name_beat_the_resolver_on_their_port_only() {
    let (_listener, address) = listener();
    let port = address.port();
    let with = |host: &str, port, addresses: &[IpAddr]| {
        let entry = Override { host: host.to_owned(), port, addresses: addresses.to_vec() };
        Options::new().overrides([entry])
    };
    for host in ["NAME.Invalid", "*"] {
        let options = with(host, port, &[address.ip()]);
        let winner = connect(("name.invalid", port), &options).expect("a connection");
        assert_eq!(winner.destination(), address);
    }
    // The system knows this name; the list says that it has no address at all.
    let error = connect(("localhost", port), &with("*", port, &[])).expect_err("an empty list");
    assert_eq!(race_failure(&error), Failure::NoDestinations);
    let of_another_port = with("*", port.wrapping_add(1), &[]);
    assert_eq!(connect(("localhost", port), &of_another_port).expect("a connection").destination(), address);
}

#[test]
fn an_empty_list_of_addresses_is_called_that() {
    let error = connect(&[] as &[SocketAddr], &Options::default()).expect_err("nothing to connect to");
    assert_eq!(race_failure(&error), Failure::NoDestinations);
    let line = "the list of addresses is empty: give at least one";
    assert_eq!(
        (error.to_string(), error.summary(), format!("{error:?}")),
        (line.into(), line.into(), line.into())
    );
}

#[test]
fn a_race_that_was_canceled_before_it_began_opens_nothing() {
    let (listener, address) = listener();
    let canceler = Canceler::new().expect("a canceler");
    canceler.cancel();
    let options = Options::new().canceler(canceler);
    for result in [connect([address], &options), connect(("127.0.0.1", address.port()), &options)] {
        let error = result.expect_err("canceled");
        assert!(error.is_canceled());
        assert_eq!(error.timeline().map(|timeline| timeline.attempts().count()), Some(0));
        is_canceled(&error.into());
    }
    listener.set_nonblocking(true).expect("an option");
    assert_eq!(listener.accept().expect_err("nobody called").kind(), ErrorKind::WouldBlock);
}

/// The kind is none that asks for another try, and who looks inside can tell that it was the program.
#[track_caller]
fn is_canceled(error: &std::io::Error) {
    assert_eq!(error.kind(), ErrorKind::ConnectionAborted);
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ConnectError>());
    assert!(inner.is_some_and(ConnectError::is_canceled), "{error:?}");
}

/// What programs write around calls that a signal can interrupt.
#[test]
fn a_loop_that_goes_on_after_interrupted_ends() {
    let (_listener, address) = listener();
    let canceler = Canceler::new().expect("a canceler");
    canceler.cancel();
    let options = Options::new().canceler(canceler);
    for turn in 0.. {
        match connect(address, &options).map_err(std::io::Error::from) {
            Err(error) if error.kind() == ErrorKind::Interrupted => assert!(turn < 10, "it spins"),
            Err(error) => return is_canceled(&error),
            Ok(_) => panic!("it was canceled"),
        }
    }
}

#[test]
fn a_deadline_that_has_passed_opens_nothing() {
    let (listener, address) = listener();
    let race = Config::all_at_once().deadline(Some(Duration::ZERO));
    let error = connect([address], &Options::new().race(race)).expect_err("too late");
    assert_eq!(race_failure(&error), Failure::DeadlineExceeded);
    listener.set_nonblocking(true).expect("an option");
    assert_eq!(listener.accept().expect_err("nobody called").kind(), ErrorKind::WouldBlock);
}

/// Programs written for embedded-nal may poll a socket that nobody waits for.
#[test]
fn the_stack_alone_never_blocks() {
    let (listener, address) = listener();
    let mut stack = OsStack::default();
    let mut socket = stack.socket().expect("a socket");
    nb::block!(stack.connect(&mut socket, address)).expect("a connection");
    assert!(stack.connect(&mut socket, address).is_ok(), "a connected socket is connected");
    assert!(matches!(stack.receive(&mut socket, &mut [0]), Err(nb::Error::WouldBlock)));

    let (mut served, _) = listener.accept().expect("a connection");
    served.write_all(b"!").expect("sent");
    drop(served);
    let mut buffer = [0; 8];
    assert_eq!(nb::block!(stack.receive(&mut socket, &mut buffer)).expect("an octet"), 1);
    assert_eq!(nb::block!(stack.receive(&mut socket, &mut buffer)).expect("the end"), 0);
    stack.close(socket).expect("closed");
}

#[test]
fn a_socket_that_has_failed_stays_failed() {
    let (_held, refused) = refusing();
    let mut stack = OsStack::default();
    let mut socket = stack.socket().expect("a socket");
    let error = nb::block!(stack.connect(&mut socket, refused)).expect_err("a refusal");
    assert_eq!(error.attempt_error(), AttemptErrorKind::Refused);
    let again = nb::block!(stack.connect(&mut socket, refused)).expect_err("no socket any more");
    assert_eq!(again.as_io().kind(), ErrorKind::NotConnected);
    assert!(matches!(stack.send(&mut socket, b"?"), Err(nb::Error::Other(_))));
}

#[test]
fn a_stream_becomes_a_socket_of_the_stack_and_back() {
    let (listener, address) = listener();
    let mut socket =
        OsSocket::try_from(TcpStream::connect(address).expect("a connection")).expect("a socket");
    let mut stack = OsStack::default();
    assert!(matches!(stack.receive(&mut socket, &mut [0]), Err(nb::Error::WouldBlock)));
    assert_eq!(socket.into_stream().and_then(|stream| stream.peer_addr().ok()), Some(address));
    let (socket, destination, _) = connect_socket([address], &Options::default()).expect("a connection");
    assert_eq!((destination, socket.into_stream().is_some()), (address, true));
    drop(listener);
}
