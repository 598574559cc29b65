//! Several hosts, one race: as a future of tokio, and to the end of TLS.
#![cfg(all(feature = "tokio-tls", target_os = "linux"))]

mod tokio_support;

use std::net::SocketAddr;

use connie_core::Family;
use connie_core::resolution::QueryError;
use connie_servers::{Authority, Live, TlsServer, closed_port};
use connie_std::resolve::{ResolveEvent, ResolverError};
use connie_std::tokio_net::{TlsConnector as Tasks, connect};
use connie_std::{ConnectErrorKind, FinishLine, Options, Override, Target, TlsConnector, TlsOptions};

use tokio_support::{LIMIT, Prompted, any_port, here, run, within};

/// A server that has a certificate for this name alone.
fn server(authority: &Authority, name: &str) -> TlsServer {
    TlsServer::start(&authority.certify(&[name]), |served| {
        served.write_all(b"hello")?;
        served.close()
    })
}

fn trusting(authority: &Authority, finish_line: FinishLine) -> TlsConnector {
    let file = authority.file();
    let ca_files = vec![file.path().to_owned()];
    TlsConnector::new(&TlsOptions::new().system_roots(false).ca_files(ca_files).finish_line(finish_line))
        .expect("a configuration")
}

/// Names that lead to these addresses.
fn named(names: &[(&str, SocketAddr)]) -> Options {
    let entry = |(host, address): &(&str, SocketAddr)| Override {
        host: (*host).to_owned(),
        port: address.port(),
        addresses: vec![address.ip()],
    };
    within(LIMIT).overrides(names.iter().map(entry))
}

/// The first host refuses, the second shows the certificate of another: the name that counts is the third's.
#[test]
fn the_certificate_is_for_the_host_whose_address_it_is() {
    for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
        let authority = Authority::new();
        let closed = closed_port(here(2));
        let (liar, good) = (server(&authority, "other.test"), server(&authority, "c.test"));
        let mut names =
            vec![("a.test", closed.address()), ("b.test", liar.address()), ("c.test", good.address())];
        if finish_line == FinishLine::Tcp {
            // Who wins by TCP has to have TLS, too.
            names.remove(1);
        }
        let options = named(&names);
        let hosts: Vec<_> = names.iter().map(|(host, address)| (*host, address.port())).collect();
        let tls = trusting(&authority, finish_line);
        let stream = tls.connect(&hosts, &options).expect("a connection");
        assert_eq!(stream.destination(), good.address());
        assert_eq!(stream.report().won_by(), Some(("c.test", good.address().port())));

        let tasks = Tasks::from(tls);
        let won_by = run(move || async move {
            let hosts: Vec<_> = hosts.iter().map(|(host, port)| Target::from((*host, *port))).collect();
            let stream = tasks.connect(&hosts, &options).await.expect("a connection");
            stream.report().won_by().map(|(host, port)| (host.to_owned(), port))
        });
        assert_eq!(won_by, Some(("c.test".to_owned(), good.address().port())));
    }
}

/// As for one host.
#[test]
fn addresses_among_the_hosts_need_a_name() {
    let authority = Authority::new();
    let tls = trusting(&authority, FinishLine::Tls);
    let addresses: [SocketAddr; 2] = [any_port(2), any_port(3)];
    let error =
        tls.connect(&[Target::from("a.test:1"), Target::from(&addresses)], &within(LIMIT)).unwrap_err();
    assert!(matches!(error.kind(), ConnectErrorKind::NoServerName), "{error}");
    let nobody: [&str; 0] = [];
    let error = tls.connect(nobody, &within(LIMIT)).unwrap_err();
    assert_eq!(error.to_string(), "the list of addresses is empty: give at least one");
}

#[test]
fn a_future_races_to_several_hosts() {
    let (closed, live) = (closed_port(here(2)), Live::http(any_port(4), "page"));
    let options = named(&[("a.test", closed.address()), ("b.test", live.address())]);
    let hosts = [closed.address(), live.address()].map(|it| it.port());
    let won = run(move || async move {
        let hosts = [format!("a.test:{}", hosts[0]), format!("b.test:{}", hosts[1])];
        let won = connect(&hosts, &options).await.expect("a connection");
        (won.destination(), won.report().won_by().map(|(host, _)| host.to_owned()))
    });
    assert_eq!(won, (live.address(), Some("b.test".to_owned())));
}

/// All look-ups of this resolver share what it says: whoever is polled first has it.
#[test]
fn each_host_is_looked_up_and_waited_for() {
    let prompted = Prompted::default();
    let options = prompted.options();
    run(move || async move {
        let race = connect(&["a.test:1", "b.test:2"], &options);
        let told = async {
            while prompted.begun() < 2 {
                tokio::task::yield_now().await;
            }
            for family in [Family::V4, Family::V6] {
                let error = ResolverError { kind: QueryError::NoSuchName, detail: None };
                prompted.tell(ResolveEvent::Failed { family, error });
            }
        };
        let both = async { tokio::join!(race, told).0.map(drop) };
        let waits = tokio::time::timeout(std::time::Duration::from_millis(200), both).await;
        assert!(waits.is_err(), "one of the two has not ended: {waits:?}");
        assert_eq!((prompted.begun(), prompted.open()), (2, 0));
    });
}
