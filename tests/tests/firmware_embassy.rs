//! The firmware of `examples/firmware-embassy` in QEMU: embassy-net, an unmodified reqwless, and connie
//! between the two, against nginx and dnsmasq.
//!
//! An emulated processor on a busy machine is slow, so that outcomes are asserted and not times, but for the
//! best of some.

#![cfg(target_os = "linux")]

use std::net::IpAddr;
use std::time::Duration;

use connie_tests::firmware::{Firmware, HOST_V4, Run, STATIC, device, link};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::{Dnsmasq, Nginx};

const PAGE: &[u8] = b"the page\n";
/// nginx listens here; the remote addresses lead to it from any port.
const PORT: u16 = 8081;

/// Gives addresses by DHCP, advertises itself as an IPv6 router, and knows these names.
#[track_caller]
fn dnsmasq(names: &[(&str, IpAddr)]) -> Option<Dnsmasq> {
    dnsmasq_with(names, &[])
}

/// The same, and more of its options.
#[track_caller]
fn dnsmasq_with(names: &[(&str, IpAddr)], more: &[String]) -> Option<Dnsmasq> {
    let mut options = vec![
        format!("--interface={}", device()),
        "--dhcp-range=10.77.0.50,10.77.0.99,255.255.255.0,1h".to_owned(),
        format!("--dhcp-range=::,constructor:{},ra-only,64,1h", device()),
        "--enable-ra".to_owned(),
        // It would ask first whether somebody has the address, for three seconds.
        "--no-ping".to_owned(),
        "--leasefile-ro".to_owned(),
        // Names below it are known here or nowhere.
        "--local=/test/".to_owned(),
    ];
    options.extend_from_slice(more);
    options.extend(names.iter().map(|(name, address)| format!("--host-record={name},{address}")));
    Dnsmasq::start(53, &options)
}

/// Runs the firmware with addresses of its own.
fn fetch(firmware: &Firmware, url: &str) -> Run {
    firmware.run(&format!("{STATIC} --dns {HOST_V4} {url}"))
}

#[track_caller]
fn fetched(run: &Run) {
    assert_eq!((run.code, run.page.as_slice()), (Some(0), PAGE), "{run}");
    assert!(run.report.contains("200\n"), "{run}");
}

/// The addresses that the firmware has tried, in no order, and whether each was connected to.
fn tried(lab: &Lab) -> Vec<(IpAddr, bool)> {
    let mut list: Vec<(IpAddr, bool)> = Vec::new();
    for attempt in lab.log().attempts() {
        let address = attempt.remote.ip();
        match list.iter_mut().find(|known| known.0 == address) {
            Some(known) => known.1 |= attempt.established.is_some(),
            None => list.push((address, attempt.established.is_some())),
        }
    }
    list.sort();
    list
}

#[test]
fn reqwless_fetches_from_the_address_that_answers_among_dead_and_refusing_ones() {
    let Some(firmware) = Firmware::build("embassy") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let names = [v6(1), v4(1), v6(2), v4(2)].map(|address| ("many.test", address));
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        lab.set(v6(1), Behaviour::black_hole());
        lab.set(v6(2), Behaviour::black_hole());
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        lab.set(v4(2), Behaviour::accept(ms(20)).to_port(PORT));
        let run = fetch(&firmware, "http://many.test/page");
        fetched(&run);
        // Before those over IPv6 have left, their router must be found.
        let all = tried(lab);
        assert!(all.contains(&(v4(1), false)) && all.contains(&(v4(2), true)), "{all:?} {run}");
        assert_eq!(all.iter().filter(|(_, connected)| *connected).count(), 1, "{all:?} {run}");

        // The other way round, with addresses of its own from the network.
        lab.set(v6(2), Behaviour::accept(ms(20)).to_port(PORT));
        lab.set(v4(2), Behaviour::black_hole());
        lab.clear_log();
        let run = firmware.run("--ip dhcp,slaac http://many.test/page");
        fetched(&run);
        assert!(tried(lab).contains(&(v6(2), true)), "{run}");
    });
}

/// Seven dead of eight over four sockets, each of which the stack has to spare.
#[test]
fn more_dead_addresses_than_sockets() {
    let Some(firmware) = Firmware::build("embassy") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let names: Vec<_> = (1..=8).map(|n| ("many.test", v4(n))).collect();
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        lab.set(v4(8), Behaviour::accept(ms(20)).to_port(PORT));
        // dnsmasq turns the list by one each time, so that the live one comes last and first.
        for _ in 0..2 {
            let run = fetch(&firmware, "http://many.test/page");
            fetched(&run);
            assert!(tried(lab).contains(&(v4(8), true)), "{run}");
        }
    });
}

/// embassy-net's own lookup cannot do this: with IPv6 configured it asks for AAAA, and takes "no such record"
/// for the end.
#[test]
fn a_name_with_ipv4_addresses_alone_is_found_where_ipv6_is_configured() {
    let Some(firmware) = Firmware::build("embassy") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        let Some(_dnsmasq) = dnsmasq(&[("four.test", v4(1)), ("six.test", v6(1))]) else { return };
        lab.set(v4(1), Behaviour::accept(ms(1)).to_port(PORT));
        lab.set(v6(1), Behaviour::accept(ms(1)).to_port(PORT));
        fetched(&fetch(&firmware, "http://four.test/page"));
        fetched(&fetch(&firmware, "http://six.test/page"));
    });
}

#[test]
fn what_went_wrong_is_told() {
    let Some(firmware) = Firmware::build("embassy") else { return };
    in_namespace(move |lab| {
        link(lab);
        let names = [("closed.test", v4(1)), ("closed.test", v6(1)), ("dead.test", v4(2))];
        let Some(_dnsmasq) = dnsmasq(&names) else { return };
        lab.set(v4(1), Behaviour::refuse(ms(1)));
        lab.set(v6(1), Behaviour::refuse(ms(1)));
        let failed = |run: Run, code, line: &str| {
            assert_eq!((run.code, run.page.as_slice()), (Some(code), &b""[..]), "{run}");
            assert!(run.report.contains(line), "{run}");
        };
        // embassy-net has one word for all failures.
        failed(fetch(&firmware, "http://closed.test/"), 7, "embassy: closed.test: Network(ConnectionReset)");
        failed(fetch(&firmware, "http://nobody.test/"), 6, "embassy: nobody.test: Dns");
        failed(fetch(&firmware, "--max-time 2 http://dead.test/"), 28, "the time allowed was used up");
        failed(fetch(&firmware, "ftp://dead.test/"), 2, "embassy: ftp://dead.test/: not a URL");
    });
}

/// The first of two name servers is dead, on the link or behind the router: it costs the pause after which
/// the second is asked, whatever smoltcp asks its neighbours.
#[test]
fn a_dead_first_name_server_holds_up_little() {
    let Some(firmware) = Firmware::build("embassy") else { return };
    in_namespace(move |lab| {
        link(lab);
        let Some(_nginx) = Nginx::start(PORT, &[("page", PAGE)]) else { return };
        lab.set(v4(1), Behaviour::accept(ms(1)).to_port(PORT));
        // A machine that is busy for a moment must not count: an emulated processor is slow.
        let best = |servers: &str, enough: Duration| {
            let option = format!("--dhcp-option=6,{servers}");
            let mut best = Duration::MAX;
            for _ in 0..5 {
                let _dnsmasq = dnsmasq_with(&[("many.test", v4(1))], std::slice::from_ref(&option))?;
                let run = firmware.run("--ip dhcp http://many.test/page");
                fetched(&run);
                best = best.min(run.time);
                if best <= enough {
                    break;
                }
            }
            Some(best)
        };
        let Some(alive) = best("10.77.0.1", Duration::ZERO) else { return };
        // Nobody has the first of these on the link; the other one is behind the router.
        for servers in ["10.77.0.250,10.77.0.1", "198.51.100.99,10.77.0.1"] {
            let Some(time) = best(servers, alive + ms(300)) else { return };
            assert!(time <= alive + ms(300), "{servers}: {time:?}, and {alive:?} with one that lives");
        }
    });
}
