//! `Options::observer` under tokio: a race is told of also where its future was dropped.
#![cfg(all(feature = "tokio", target_os = "linux"))]

mod observer_support;
mod tokio_support;

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::task::{Context, Waker};
use std::time::Duration;

use connie_core::Family;
use connie_servers::{BlackHole, closed_port};
use connie_std::tokio_net::connect;
use connie_std::{Canceler, ConnectError, Observer, RaceOutcome, SocketBudget};

use observer_support::Log;
use tokio_support::{LIMIT, Prompted, any_port, here, run, within};

/// Longer than any step of a test, in the runtime's time, which passes at once where a test has paused it.
const HOUR: Duration = Duration::from_secs(3_600);

fn poll_once(future: Pin<&mut impl Future>) -> bool {
    future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
}

#[test]
fn a_race_that_was_won_and_one_that_was_lost() {
    let server = TcpListener::bind(any_port(4)).unwrap();
    let (address, closed) = (server.local_addr().unwrap(), closed_port(here(3)));
    let log = Log::default();
    let options = log.options(within(LIMIT));
    run(move || async move {
        let won = connect(&[closed.address(), address], &options).await.unwrap();
        let told = log.only();
        assert_eq!((told.outcome, told.winner), (RaceOutcome::Won, Some(address)));
        assert_eq!(told.attempts.unwrap().len(), won.timeline().attempts().count());

        let error = connect(closed.address(), &options).await.unwrap_err();
        let told = log.only();
        assert_eq!((told.outcome, told.error), (RaceOutcome::Lost, Some(error.to_string())));
        assert_eq!(told.attempts, Some(vec!["refused"]));

        connect("no port", &options).await.unwrap_err();
        let told = log.only();
        assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, None));

        let canceler = Canceler::new().unwrap();
        canceler.cancel();
        let options = options.canceler(canceler);
        let error: ConnectError = connect(address, &options).await.unwrap_err();
        assert!(error.is_canceled());
        assert_eq!(log.only().outcome, RaceOutcome::Canceled);
    });
}

/// Outside of a runtime there is no race, and whoever asked for one is told all the same.
#[test]
fn a_race_without_a_runtime() {
    let log = Log::default();
    let options = log.options(within(LIMIT));
    assert!(poll_once(pin!(connect("127.0.0.1:1", &options))));
    let told = log.only();
    assert_eq!((told.outcome, told.attempts), (RaceOutcome::Lost, None));
}

#[test]
fn time_is_the_runtimes() {
    let hole = BlackHole::open(any_port(2));
    let log = Log::default();
    let options = log.options(within(HOUR));
    run(move || async move {
        tokio::time::pause();
        connect(hole.address(), &options).await.unwrap_err();
        let elapsed = log.only().elapsed;
        assert!(elapsed >= HOUR && elapsed < HOUR * 2, "{elapsed:?}");
    });
}

/// While an attempt is under way, a name is resolved, or it stands in line for a socket.
#[test]
fn a_future_that_was_dropped() {
    let hole = BlackHole::open(any_port(2));
    let server = TcpListener::bind(any_port(4)).unwrap();
    let log = Log::default();
    let budget = SocketBudget::new(1);
    let free = budget.clone();
    let seen = log.observer();
    let observer = Observer::new(move |observed| {
        assert_eq!(free.free(), 1, "its sockets are closed");
        seen.tell(observed);
    });
    run(move || async move {
        let options = within(LIMIT).budget(budget.clone()).observer(observer);
        drop(connect(hole.address(), &options));
        assert_eq!(log.all().len(), 0, "no race has begun");

        let mut race = Box::pin(connect(hole.address(), &options));
        assert!(!poll_once(race.as_mut()));
        assert_eq!(budget.free(), 0);
        drop(race);
        let told = log.only();
        assert_eq!((told.outcome, told.attempts), (RaceOutcome::Canceled, Some(vec!["canceled"])));
        assert_eq!((told.host.as_str(), told.port), ("127.0.0.2", hole.address().port()));
        assert!(told.error.unwrap().ends_with("canceled"));

        // By a name with one answer of two.
        let resolver = Prompted::default();
        resolver.answer(Family::V4, &[hole.address()]);
        let options = options.resolver(resolver.options().resolver);
        let mut race = Box::pin(connect(("name.test", 80), &options));
        assert!(!poll_once(race.as_mut()));
        drop(race);
        let told = log.only();
        assert_eq!((told.host.as_str(), told.attempts), ("name.test", Some(vec!["canceled"])));
        assert_eq!(resolver.open(), 0);

        // The budget's only place is another's.
        let address: SocketAddr = server.local_addr().unwrap();
        let held = connect(address, &options.observer(None)).await.unwrap();
        let waiting = Some(budget.clone().waits(HOUR));
        let options = log.options(within(LIMIT).budget(waiting));
        let mut race = Box::pin(connect(address, &options));
        assert!(!poll_once(race.as_mut()));
        drop(race);
        let told = log.only();
        assert_eq!((told.outcome, told.attempts), (RaceOutcome::Canceled, Some(vec![])));
        drop(held);
        assert_eq!(budget.free(), 1);
    });
}

#[test]
fn a_panic_of_the_observer_leaves_no_socket() {
    let hole = BlackHole::open(any_port(2));
    let budget = SocketBudget::new(4);
    let observer = Observer::new(|_| panic!("the observer's"));
    let options = within(LIMIT).observer(observer).budget(budget.clone());
    run(move || async move {
        let mut race = Box::pin(connect(hole.address(), &options));
        assert!(!poll_once(race.as_mut()));
        catch_unwind(AssertUnwindSafe(|| drop(race))).expect_err("a panic");
        assert_eq!(budget.free(), 4);

        // One that is dropped because another panics: a second panic would end the process.
        let mut race = Box::pin(connect(hole.address(), &options));
        assert!(!poll_once(race.as_mut()));
        let panic = catch_unwind(AssertUnwindSafe(move || {
            let _race = race;
            panic!("the program's");
        }));
        assert_eq!(panic.unwrap_err().downcast_ref::<&str>(), Some(&"the program's"));
        assert_eq!(budget.free(), 4);
    });
}

#[cfg(feature = "tokio-tls")]
mod tls {
    use connie_servers::{Authority, TlsServer};
    use connie_std::tokio_net::TlsConnector;
    use connie_std::{FinishLine, TlsOptions};

    use super::*;

    const HOST: &str = "name.test";

    fn connector(trusted: &Authority, finish_line: FinishLine) -> TlsConnector {
        let options = TlsOptions::new()
            .system_roots(false)
            .ca_pem(trusted.pem().into_bytes())
            .server_name(HOST.to_owned())
            .finish_line(finish_line);
        TlsConnector::new(&options).unwrap()
    }

    #[test]
    fn a_race_with_tls_is_won_when_tls_is_there() {
        let (trusted, other) = (Authority::new(), Authority::new());
        let server = TlsServer::echo(&trusted.certify(&[HOST]));
        let address = server.address();
        let log = Log::default();
        let options = log.options(within(LIMIT));
        run(move || async move {
            for (finish_line, attempt) in
                [(FinishLine::Tcp, "established"), (FinishLine::Tls, "bad_certificate")]
            {
                connector(&trusted, finish_line).connect(address, &options).await.unwrap();
                assert_eq!(log.only().winner, Some(address), "{finish_line:?}");
                let error = connector(&other, finish_line).connect(address, &options).await.unwrap_err();
                let told = log.only();
                assert_eq!((told.outcome, told.error), (RaceOutcome::Lost, Some(error.to_string())));
                assert_eq!(told.attempts, Some(vec![attempt]), "{finish_line:?}");
            }
        });
    }

    #[test]
    fn a_future_that_was_dropped_in_the_handshake() {
        let trusted = Authority::new();
        let server = TlsServer::silent();
        let address = server.address();
        let log = Log::default();
        let options = log.options(within(LIMIT));
        run(move || async move {
            for (finish_line, attempt) in [(FinishLine::Tcp, "established"), (FinishLine::Tls, "canceled")] {
                let connector = connector(&trusted, finish_line);
                let race = connector.connect(address, &options);
                // Until the server has accepted, and the client has sent its first message.
                let before = server.accepted();
                let accepted = async {
                    while server.accepted() == before {
                        tokio::time::sleep(Duration::from_millis(1)).await;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                };
                tokio::select! {
                    result = race => panic!("{:?}", result.map(drop)),
                    () = accepted => {}
                }
                let told = log.only();
                assert_eq!((told.outcome, told.winner), (RaceOutcome::Canceled, None), "{finish_line:?}");
                assert_eq!(told.attempts, Some(vec![attempt]), "{finish_line:?}");
            }
        });
    }
}
