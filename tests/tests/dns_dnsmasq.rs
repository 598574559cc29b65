//! `connie_std::dns` against dnsmasq: somebody else's idea of what DNS messages look like.
#![cfg(target_os = "linux")]

mod dns_support;

use std::net::Ipv4Addr;

use connie_core::Family::{V4, V6};
use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_tests::lab::in_namespace;
use connie_tests::servers::Dnsmasq;

use dns_support::*;

const PORT_OF_DNS: u16 = 53;

fn resolver() -> Dns {
    Dns::new([(Ipv4Addr::LOCALHOST, PORT_OF_DNS).into()]).hosts_file(None)
}

/// Options that give `name.test` forty addresses of each family.
fn forty() -> Vec<String> {
    let both = v4(1..=40).into_iter().zip(v6(1..=40));
    both.map(|(v4, v6)| format!("--host-record=name.test,{v4},{v6}")).collect()
}

#[track_caller]
fn has_forty(told: &Told) {
    for (family, mut expected) in [(V4, v4(1..=40)), (V6, v6(1..=40))] {
        // dnsmasq turns them round from answer to answer.
        let event = told.0.iter().find_map(|(_, event)| match event {
            connie_std::resolve::ResolveEvent::Answered(answer) if answer.family == family => Some(answer),
            _ => None,
        });
        let answer = event.unwrap_or_else(|| panic!("{told:?}"));
        let mut found: Vec<_> = answer.addresses.iter().map(std::net::SocketAddr::ip).collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }
}

#[test]
fn addresses_in_a_datagram() {
    in_namespace(|_| {
        let Some(_server) = Dnsmasq::start(PORT_OF_DNS, &forty()) else { return };
        has_forty(&look_up(&resolver()));
    });
}

#[test]
fn addresses_that_need_tcp() {
    in_namespace(|_| {
        let options = [forty(), vec!["--edns-packet-max=512".to_owned()]].concat();
        let Some(_server) = Dnsmasq::start(PORT_OF_DNS, &options) else { return };
        has_forty(&look_up(&resolver()));
        has_forty(&look_up(&resolver().tcp(true)));
    });
}

/// Beyond the 1,232 octets that a query allows.
#[test]
fn addresses_that_no_datagram_takes() {
    in_namespace(|_| {
        let options: Vec<_> = v4(1..=100).iter().map(|ip| format!("--host-record=name.test,{ip}")).collect();
        let Some(_server) = Dnsmasq::start(PORT_OF_DNS, &options) else { return };
        let told = look_up(&resolver());
        let answers = told.0.iter().map(|(_, event)| format!("{event:?}").matches("192.0.2.").count());
        assert_eq!(answers.sum::<usize>(), 100, "{told:?}");
    });
}

#[test]
fn aliases_and_what_is_not_there() {
    in_namespace(|_| {
        let options = [
            "--host-record=last.test,192.0.2.7",
            "--cname=middle.test,last.test",
            "--cname=name.test,middle.test",
        ];
        let Some(_server) = Dnsmasq::start(PORT_OF_DNS, &options.map(str::to_owned)) else { return };
        let told = look_up(&resolver());
        told.has(V4, &v4([7]));
        told.has(V6, &[]);
        let told = look_up_name(&resolver(), "nobody.test", PORT);
        told.failed(V4, QueryError::NoSuchName, "NXDOMAIN from 127.0.0.1:53");
        // Not its zone, and it has nobody to ask.
        let told = look_up_name(&resolver(), "name.example", PORT);
        told.failed(V4, QueryError::Refused, "REFUSED from 127.0.0.1:53");
    });
}

#[test]
fn service_records() {
    in_namespace(|_| {
        // Priority 1, second.test, alpn=h2, port=8443.
        let record = "--dns-rr=name.test,65,0001067365636f6e64047465737400000100030268320003000220fb";
        let options = ["--host-record=name.test,192.0.2.1", "--host-record=second.test,192.0.2.2", record];
        let Some(_server) = Dnsmasq::start(PORT_OF_DNS, &options.map(str::to_owned)) else { return };
        let told = look_up_name(&resolver(), "name.test", 443);
        let expected = ["192.0.2.2:8443", "192.0.2.1:443"].map(|it| it.parse().expect("an address"));
        told.has_destinations(V4, &expected);
        assert_eq!(
            told.services()[0].to_string(),
            "HTTPS record of name.test: second.test port 8443, speaks h2"
        );
    });
}
