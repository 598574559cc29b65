//! What a program has done with the sockets of a connect that are not the race's: those that ask name
//! servers, and those that ask the system for a route.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use connie_core::{Config, Pacing};
use connie_std::dns::Dns;
use connie_std::{OnSocket, Options, Purpose, SocketOptions, connect};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms};
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};
use kernel_support::{PORT, abandon, unattended};
use nix::sys::socket::{getsockopt, sockopt};

/// A mark, and the name of the laboratory's device.
const MARK: u32 = 0x77;
const DEVICE: &str = "lab0";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// A name server at 127.0.0.1:53 that knows an address of each family, which the host has a way to.
fn name_server(lab: &Lab) -> DnsServer {
    lab.add_address(ip("2001:db8:ffff::1"));
    ["192.0.2.0/24", "2001:db8::/32"].into_iter().for_each(|network| lab.route(network));
    let server = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
    for (kind, address) in [(RecordType::A, "192.0.2.1"), (RecordType::Aaaa, "2001:db8::1")] {
        lab.set(ip(address), Behaviour::accept(ms(20)));
        server.set("name.test", kind, DnsAnswer::addresses(&[ip(address)]));
    }
    server
}

fn asking(server: SocketAddr) -> Options {
    let dns = Dns::new([server]).hosts_file(None).attempts(1).timeout(ms(1_000));
    Options::new().resolver(dns)
}

/// Every socket that is shown: what it is for, whether it is TCP's, its mark, its interface, and where it is
/// to lead.
type Shown = (Purpose, bool, u32, String, IpAddr);

fn note(seen: &Arc<Mutex<Vec<Shown>>>) -> OnSocket {
    let seen = Arc::clone(seen);
    OnSocket::new(move |fd, address, purpose| {
        let tcp = rustix::net::sockopt::socket_type(fd)? == rustix::net::SocketType::STREAM;
        let interface = getsockopt(&fd, sockopt::BindToDevice)?.to_string_lossy().replace('\0', "");
        let mark = getsockopt(&fd, sockopt::Mark)?;
        seen.lock().expect("a lock").push((purpose, tcp, mark, interface, address.ip()));
        Ok(())
    })
}

/// `VpnService.protect` must see each: one that it does not see goes into the VPN.
fn sockets_that_ask_are_set_up(connects: impl Fn(&Lab, &Options)) -> impl FnOnce(&Lab) {
    move |lab| {
        let (server, _web) = (name_server(lab), unattended());
        // The answer is fetched by TCP.
        let answer = DnsAnswer::addresses(&[ip("192.0.2.1")]).truncated();
        server.set("name.test", RecordType::A, answer);
        let socket = SocketOptions::new().mark(MARK).interface(DEVICE.to_owned());
        let seen = Arc::default();
        let race = Config::staggered().preferred_family(connie_core::Family::V4);
        let options = asking(server.address()).socket(socket).on_socket(note(&seen)).race(race);
        connects(lab, &options);

        let seen = seen.lock().expect("a lock").clone();
        assert!(seen.iter().all(|shown| shown.2 == MARK), "{seen:?}");
        // The name server of this machine is not behind that interface.
        for (purpose, _, _, interface, address) in &seen {
            let own = *purpose == Purpose::NameServer;
            assert_eq!((interface.as_str(), address.is_loopback()), (if own { "" } else { DEVICE }, own));
        }
        let count = |purpose, tcp| seen.iter().filter(|shown| (shown.0, shown.1) == (purpose, tcp)).count();
        assert_eq!((count(Purpose::NameServer, false), count(Purpose::NameServer, true)), (2, 1), "{seen:?}");
        assert!(count(Purpose::Route, false) >= 2, "{seen:?}");
        assert!(count(Purpose::Connection, true) >= 1, "{seen:?}");
        assert_eq!((count(Purpose::Route, true), count(Purpose::Connection, false)), (0, 0), "{seen:?}");
    }
}

#[test]
fn sockets_that_ask_are_set_up_and_shown_as_those_that_connect() {
    in_namespace(sockets_that_ask_are_set_up(|lab, options| {
        let winner = connect(("name.test", PORT), options).unwrap_or_else(|error| panic!("{error:?}"));
        abandon(lab, winner);
    }));
}

#[test]
fn sockets_that_ask_are_set_up_and_shown_under_tokio_too() {
    in_namespace(sockets_that_ask_are_set_up(|_, options| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let won = runtime.block_on(connie_std::tokio_net::connect(("name.test", PORT), options));
        won.unwrap_or_else(|error| panic!("{error:?}"));
    }));
}

/// As where a VPN has rules: what is marked goes past it.
#[test]
fn the_first_choice_is_made_by_the_routes_that_the_connections_will_take() {
    in_namespace(|lab| {
        let (server, _web) = (name_server(lab), unattended());
        let (ruled, free) = ("192.0.2.1", "198.51.100.1");
        lab.route("198.51.100.0/24");
        lab.set(ip(free), Behaviour::accept(ms(20)));
        server.set("name.test", RecordType::Aaaa, DnsAnswer::addresses(&[]));
        server.set("name.test", RecordType::A, DnsAnswer::addresses(&[ip(ruled), ip(free)]));
        lab.ip("rule add pref 100 to 192.0.2.0/24 fwmark 0x77 lookup main\nrule add pref 200 to 192.0.2.0/24 unreachable");
        let pacing = Pacing::Staggered { delay: Config::MAX_DELAY, growth_percent: 100 };
        for (mark, first) in [(None, free), (Some(MARK), ruled)] {
            let race = Config::staggered().pacing(pacing);
            let socket = SocketOptions::new().mark(mark);
            let options = asking(server.address()).race(race).socket(socket);
            let winner = connect(("name.test", PORT), &options).unwrap_or_else(|error| panic!("{error:?}"));
            let timeline = winner.timeline();
            let started = timeline.attempts().next().expect("an attempt").destination.ip();
            assert_eq!(started, ip(first), "{timeline:?}");
            abandon(lab, winner);
        }
    });
}

/// Whether an address has no source or every port is taken is asked on the way of the connection as well.
#[test]
fn ports_that_have_run_out_on_the_way_that_was_asked_for_are_not_a_missing_source() {
    in_namespace(|lab| {
        let _web = unattended();
        lab.route("192.0.2.0/24");
        lab.set(ip("192.0.2.1"), Behaviour::accept(ms(1)));
        lab.set_sysctl("net/ipv4/ip_local_port_range", "40000 40001");
        lab.ip("rule add pref 100 to 192.0.2.0/24 fwmark 0x77 lookup main\nrule add pref 200 to 192.0.2.0/24 unreachable");
        let seen = Arc::default();
        let socket = SocketOptions::new().mark(MARK);
        let options = Options::new().socket(socket).on_socket(note(&seen));
        let to = SocketAddr::new(ip("192.0.2.1"), PORT);
        let held = [connect(to, &options).expect("a connection"), connect(to, &options).expect("another")];
        let error = connect(to, &options).expect_err("both ports are taken").to_string();
        assert!(error.contains("no free port on this side"), "{error}");
        let seen = seen.lock().expect("a lock").clone();
        let purposes: Vec<Purpose> = seen.iter().map(|shown| shown.0).collect();
        let (tcp, route) = (Purpose::Connection, Purpose::Route);
        assert_eq!(purposes, [tcp, tcp, tcp, route], "{seen:?}");
        assert!(seen.iter().all(|shown| shown.2 == MARK), "{seen:?}");
        drop(held);
    });
}

#[test]
fn a_name_server_whose_socket_cannot_be_set_up_is_told_with_the_option() {
    in_namespace(|lab| {
        let server = name_server(lab);
        let refuses = OnSocket::new(|_, _, purpose| match purpose {
            Purpose::NameServer => Err(io::Error::from_raw_os_error(1)),
            _ => Ok(()),
        });
        let elsewhere = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 53), 53));
        let lost = SocketOptions::new().interface("no-such0".to_owned());
        let cases = [
            (
                Options::new().on_socket(refuses),
                server.address(),
                "on_socket refused the socket: Operation not permitted",
            ),
            (Options::new().socket(lost), elsewhere, "the interface could not be bound to: No such device"),
        ];
        for (mut options, server, says) in cases {
            for tcp in [false, true] {
                let dns = Dns::new([server]).hosts_file(None).attempts(1).tcp(tcp);
                options.resolver = dns.into();
                let error = connect(("name.test", PORT), &options).expect_err(says).to_string();
                assert!(error.contains(says) && error.contains(&server.to_string()), "{error}");
            }
        }
    });
}
