//! `Options::observer`: each race of the calls that block is told of once, however it ends.

mod observer_support;

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use connie_std::http1::HttpConnection;
use connie_std::{Canceler, Observer, Options, RaceOutcome, SocketBudget, connect, connect_socket};

use observer_support::Log;

/// A test that hangs is worse than one that fails.
const LONG: Duration = Duration::from_secs(60);

fn within(deadline: Duration) -> Options {
    Options::new().race(Options::default().race.deadline(Some(deadline)))
}

fn listener() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A port that refuses as long as the connection lives whose near end it is.
fn refusing() -> ((TcpListener, TcpStream), SocketAddr) {
    let (listener, address) = listener();
    let stream = TcpStream::connect(address).expect("a connection");
    let address = stream.local_addr().expect("an address");
    ((listener, stream), address)
}

#[test]
fn a_race_that_was_won() {
    let (_listener, address) = listener();
    let (_held, refused) = refusing();
    let log = Log::default();
    let options = log.options(within(LONG));
    let stream = connect([refused, address], &options).expect("a connection");
    let told = log.only();
    assert_eq!((told.host.as_str(), told.port), ("127.0.0.1", refused.port()));
    assert_eq!((told.outcome, told.winner, told.error), (RaceOutcome::Won, Some(address), None));
    let in_report: Vec<_> = stream.timeline().attempts().map(|it| it.outcome.unwrap().name()).collect();
    assert_eq!(told.attempts, Some(in_report));
    let raced = stream.timeline().summary().ended.expect("an end");
    // The report stops counting at the winner, and rounds up to microseconds.
    assert!(told.elapsed + Duration::from_micros(1) >= raced && told.elapsed < LONG, "{:?}", told.elapsed);

    drop(connect_socket(("127.0.0.1", address.port()), &options).expect("a connection"));
    assert_eq!(log.only().winner, Some(address));
}

#[test]
fn a_race_that_was_lost() {
    let (_held, refused) = refusing();
    let log = Log::default();
    let error = connect(refused, &log.options(within(LONG))).expect_err("nobody there");
    let told = log.only();
    assert_eq!((told.outcome, told.winner), (RaceOutcome::Lost, None));
    assert_eq!((told.error, told.attempts), (Some(error.to_string()), Some(vec!["refused"])));
}

#[test]
fn a_race_without_an_attempt_is_told_of_too() {
    let log = Log::default();
    let (_listener, address) = listener();
    let options = log.options(within(LONG));

    connect("no port", &options).expect_err("no target");
    let told = log.only();
    assert_eq!((told.host.as_str(), told.port, told.outcome), ("no port", 0, RaceOutcome::Lost));
    assert_eq!(told.attempts, None, "no race has begun");

    connect("name.invalid:80", &options).expect_err("no such name");
    let told = log.only();
    assert_eq!((told.host.as_str(), told.port, told.outcome), ("name.invalid", 80, RaceOutcome::Lost));
    assert_eq!(told.attempts, Some(vec![]));

    connect(&[] as &[SocketAddr], &options).expect_err("no addresses");
    assert_eq!(log.only().outcome, RaceOutcome::Lost);

    let budget = SocketBudget::new(1);
    let free = within(LONG).budget(budget.clone());
    let _held = connect(address, &free).expect("a connection");
    connect(address, &log.options(within(LONG).budget(budget.clone()))).expect_err("no place in the budget");
    let told = log.only();
    assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, Some(vec![])));
    let patient = within(LONG).budget(budget.waits(Duration::from_millis(20)));
    connect(address, &log.options(patient)).expect_err("no place in the budget");
    let told = log.only();
    assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, Some(vec![])));
    assert!(told.elapsed >= Duration::from_millis(20), "{:?}", told.elapsed);

    let canceler = Canceler::new().expect("a pipe");
    canceler.cancel();
    connect(address, &options.canceler(canceler)).expect_err("canceled");
    let told = log.only();
    assert_eq!((told.outcome, told.attempts), (RaceOutcome::Canceled, Some(vec![])));
    assert!(told.error.is_some_and(|error| error.ends_with("canceled")));
}

/// With a lock held, or the budget's place kept from others, this would wait for ever.
#[test]
fn an_observer_may_connect_and_cancel() {
    let (_listener, address) = listener();
    let (_held, refused) = refusing();
    let (budget, canceler) = (SocketBudget::new(1), Canceler::new().expect("a pipe"));
    let inner = within(LONG).budget(budget.clone());
    let (log, ends) = (Log::default(), canceler.clone());
    let seen = log.observer();
    let observer = Observer::new(move |observed| {
        seen.tell(observed);
        assert_eq!(observed.outcome(), RaceOutcome::Lost);
        drop(connect(address, &inner).expect("a place and a connection"));
        ends.cancel();
    });
    let options = within(LONG).observer(observer).canceler(canceler).budget(budget);
    connect(refused, &options).expect_err("nobody there");
    assert_eq!(log.only().outcome, RaceOutcome::Lost);
}

#[test]
fn a_panic_of_the_observer_leaves_no_socket() {
    let (listener, address) = listener();
    let budget = SocketBudget::new(4);
    let observer = Observer::new(|_| panic!("the observer's"));
    let options = within(LONG).observer(observer).budget(budget.clone());
    let panic = catch_unwind(AssertUnwindSafe(|| connect(address, &options).is_ok())).expect_err("a panic");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the observer's"));
    assert_eq!(budget.free(), 4);
    let (mut served, _) = listener.accept().expect("a connection");
    served.set_read_timeout(Some(LONG)).expect("an option");
    assert_eq!(std::io::Read::read(&mut served, &mut [0]).ok(), Some(0), "the winner is closed");
}

#[test]
fn each_connection_of_an_http_client_is_told_of() {
    let (listener, address) = listener();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().expect("a connection");
            let _ = std::io::Read::read(&mut stream, &mut [0; 1024]);
            let page = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
            std::io::Write::write_all(&mut stream, page).expect("sent");
        }
    });
    let log = Log::default();
    let mut connection =
        HttpConnection::with_options("127.0.0.1", address.port(), log.options(within(LONG))).expect("a host");
    for _ in 0..2 {
        connection.request("GET", "/", &[], b"").expect("sent");
        let page = std::io::read_to_string(connection.response().expect("an answer")).expect("a page");
        assert_eq!(page, "hi");
        assert_eq!(log.only().winner, Some(address));
    }
    server.join().expect("no panic");
    connection.request("GET", "/", &[], b"").expect_err("nobody there");
    let told = log.only();
    assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, Some(vec!["refused"])));
}

#[cfg(all(target_os = "linux", feature = "tls"))]
mod tls {
    use connie_servers::{Authority, TlsServer};
    use connie_std::http1::HttpsConnection;
    use connie_std::{FinishLine, TlsConnector, TlsOptions};

    use super::*;

    const HOST: &str = "name.test";

    fn connector(trusted: &Authority, finish_line: FinishLine) -> TlsConnector {
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_pem(trusted.pem().into_bytes())
            .server_name(HOST.to_owned())
            .finish_line(finish_line);
        TlsConnector::new(&options).expect("usable options")
    }

    #[test]
    fn a_race_with_tls_is_won_when_tls_is_there() {
        let (trusted, other) = (Authority::new(), Authority::new());
        let server = TlsServer::echo(&trusted.certify(&[HOST]));
        let log = Log::default();
        let options = log.options(within(LONG));
        for finish_line in [FinishLine::Tcp, FinishLine::Tls] {
            let tls = connector(&trusted, finish_line);
            tls.connect(server.address(), &options).expect("a connection");
            assert_eq!(log.only().winner, Some(server.address()));
            tls.connect_socket(server.address(), &options).expect("a connection");
            assert_eq!(log.only().winner, Some(server.address()));
        }
        for (finish_line, attempt) in [(FinishLine::Tcp, "established"), (FinishLine::Tls, "bad_certificate")]
        {
            let tls = connector(&other, finish_line);
            let error = tls.connect(server.address(), &options).expect_err("a bad certificate");
            let told = log.only();
            assert_eq!((told.outcome, told.winner), (RaceOutcome::Lost, None), "{finish_line:?}");
            assert_eq!((told.error, told.attempts), (Some(error.to_string()), Some(vec![attempt])));

            let port = server.address().port();
            let mut https =
                HttpsConnection::with_options("127.0.0.1", port, options.clone(), tls).expect("a host");
            https.request("GET", "/", &[], b"").expect_err("a bad certificate");
            let told = log.only();
            assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, Some(vec![attempt])));
        }
    }
}
