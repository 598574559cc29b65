//! Names in a process that the system gives no thread: whoever asks for one makes the call.
//!
//! One test, since the threads that call `getaddrinfo` belong to the process.
#![cfg(target_os = "linux")]

use std::net::{Ipv4Addr, TcpListener};
use std::time::Duration;

use connie_core::Config;
use connie_std::{ConnectErrorKind, Options, SocketBudget, connect};
use connie_tests::clock::timed;
use connie_tests::lab::deny::{Denied, calls, deny};
use connie_tests::lab::{in_namespace, ms, replace_files};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

/// EAGAIN, as with too many processes.
const NO_MORE: i32 = 11;
/// When the name server answers.
const DNS: Duration = ms(50);

#[test]
fn without_a_thread_the_caller_asks() {
    in_namespace(|_| {
        replace_files(&[
            ("/etc/resolv.conf", "nameserver 127.0.0.1\noptions timeout:5 attempts:2\n"),
            ("/etc/nsswitch.conf", "hosts: files dns\n"),
            ("/etc/hosts", "127.0.0.2 hosted.test\n"),
        ]);
        let server = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).expect("a free port");
        let port = listener.local_addr().expect("its port").port();
        let address = [Ipv4Addr::new(127, 0, 0, 3).into()];
        for host in ["asked.test", "late.test"] {
            let after = if host == "late.test" { DNS } else { Duration::ZERO };
            server.set(host, RecordType::A, DnsAnswer::addresses(&address).after(after));
            server.set(host, RecordType::Aaaa, DnsAnswer::no_data().after(after));
        }
        // From here on. The name server has its threads.
        let none = |call: &_| Denied { call: *call, argument: None, errno: NO_MORE };
        deny(&calls::CLONE.iter().map(none).collect::<Vec<_>>()).expect("a filter");
        assert!(std::thread::Builder::new().spawn(|| ()).is_err(), "there are threads");
        asks(port);
    });
}

fn asks(port: u16) {
    let race = Config::all_at_once().deadline(Some(ms(10_000)));
    let options = Options::new().race(race);
    for (host, address) in
        [("hosted.test", "127.0.0.2"), ("asked.test", "127.0.0.3"), ("asked.test", "127.0.0.3")]
    {
        let winner = connect((host, port), &options).unwrap_or_else(|error| panic!("{error:?}"));
        assert_eq!(winner.destination().ip().to_string(), address, "{host}");
    }
    // One after the other, since there is one thread.
    let (result, time) = timed(|| connect(("late.test", port), &options));
    assert!(result.is_ok_and(|winner| winner.destination().ip().to_string() == "127.0.0.3"));
    assert!(time >= DNS * 2, "{time:?}");
    let error = connect(("no-such.test", port), &options).expect_err("there is no such name");
    assert!(matches!(error.kind(), ConnectErrorKind::Resolve(_)), "{error:?}");
    assert_eq!(error.to_string(), "could not resolve no-such.test: AAAA and A queries failed: no such name");
    // What the call needs of a budget is there, or it does without: nobody else could give it back.
    for places in [8, 1] {
        let budget = SocketBudget::new(places);
        let scarce = options.clone().budget(budget.clone());
        let winner = connect(("asked.test", port), &scarce).unwrap_or_else(|error| panic!("{error:?}"));
        drop(winner);
        assert_eq!(budget.free(), places);
    }
}
