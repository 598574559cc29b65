//! That a race to the TLS finish line leaves nothing open, as the kernel counts it.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::Ipv4Addr;
use std::time::Duration;

use connie_std::http1::HttpsConnection;
use connie_std::{FinishLine, Options, TlsConnector, TlsOptions};
use connie_tests::clock::poll_until;
use connie_tests::descriptors::{Descriptors, descriptors};
use connie_tests::servers::{Authority, BlackHole, TlsServer};
use kernel_support::alone::alone;

const HOST: &str = "name.test";

/// The servers live in this process, and let go of a connection a moment after the client has.
#[track_caller]
fn expect_open(expected: Descriptors) {
    let settled = poll_until(Duration::from_secs(10), || descriptors() == expected);
    assert!(settled, "{:?} are open, not {expected:?}", descriptors());
}

#[test]
fn whatever_fails_or_loses_within_tls_leaves_no_descriptor() {
    alone(|| {
        let authority = Authority::new();
        let hole = BlackHole::open((Ipv4Addr::new(127, 0, 0, 2), 0));
        let servers = [
            TlsServer::silent(),
            TlsServer::plain_http(),
            TlsServer::closing(),
            TlsServer::echo(&Authority::new().certify(&[HOST])),
            TlsServer::echo(&authority.certify(&["other.test"])),
        ];
        let good = TlsServer::echo(&authority.certify(&[HOST]));
        let bad: Vec<_> = servers.iter().map(TlsServer::address).chain([hole.address()]).collect();
        let all: Vec<_> = bad.iter().copied().chain([good.address()]).collect();
        // A deadline within the handshake of the silent one.
        let race = Options::default().race.deadline(Some(Duration::from_millis(200)));
        let hasty = Options::new().race(race);
        let before = descriptors();
        for finish_line in [FinishLine::Tls, FinishLine::Tcp] {
            let ca_pem = authority.pem().into_bytes();
            let server_name = Some(HOST.to_owned());
            let tls = TlsOptions::new()
                .system_roots(false)
                .ca_pem(ca_pem)
                .server_name(server_name)
                .finish_line(finish_line);
            let tls = TlsConnector::new(&tls).expect("usable options");
            for _ in 0..5 {
                assert!(tls.connect(&bad, &hasty).is_err());
            }
            expect_open(before);
            if finish_line == FinishLine::Tls {
                let winners: Vec<_> =
                    (0..5).map(|_| tls.connect(&all, &Options::default()).expect("a connection")).collect();
                // Both ends of each.
                let (total, sockets) = (before.total + 2 * winners.len(), before.sockets + 2 * winners.len());
                expect_open(Descriptors { total, sockets });
            }
        }
        expect_open(before);
    });
}

#[test]
fn an_https_connection_that_fails_and_opens_again_leaves_no_descriptor() {
    alone(|| {
        let authority = Authority::new();
        let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), |served| {
            served.read_head()?;
            // Half an answer, and gone.
            served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello")?;
            served.cut()
        });
        let tls = TlsOptions::new().system_roots(false).ca_pem(authority.pem().into_bytes());
        let tls = TlsConnector::new(&tls).expect("usable options");
        let before = descriptors();
        let (port, options) = (server.address().port(), Options::default());
        let mut connection = HttpsConnection::with_options("127.0.0.1", port, options, tls).expect("a host");
        for _ in 0..5 {
            connection.request("GET", "/", &[], b"").expect("sent");
            let error = connection.response().expect("an answer").discard().expect_err("half a body");
            assert!(error.as_http().is_some(), "{error}");
            assert!(!connection.is_open());
        }
        expect_open(before);
    });
}
