//! HTTPS records (RFC 9460), followed by `connie_std::dns` against a real server.
#![cfg(target_os = "linux")]

mod dns_support;

use std::net::{IpAddr, SocketAddr};

use connie_core::Family::{V4, V6};
use connie_core::resolution::QueryError;
use connie_std::dns::HttpsRecords;
use connie_std::resolve::ResolveEvent;
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType, https};

use dns_support::*;

const ALPN: u16 = 1;
const NO_DEFAULT_ALPN: u16 = 2;
const PORT_KEY: u16 = 3;
const IPV4_HINT: u16 = 4;
const IPV6_HINT: u16 = 6;

const H2: &[u8] = b"\x02h2";
const HTTPS_PORT: u16 = 443;

fn at(port: u16, addresses: &[IpAddr]) -> Vec<SocketAddr> {
    addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect()
}

/// A server that knows `name.test` by its addresses 2001:db8::1 and 192.0.2.1, and by these records.
fn server_with(records: &[Vec<u8>]) -> DnsServer {
    let server = server();
    server.host("name.test", &[v6([1]), v4([1])].concat());
    server.set("name.test", RecordType::Https, DnsAnswer::services(records));
    server
}

#[track_caller]
fn look_up_https(server: &DnsServer) -> Told {
    look_up_name(&dns([server]), "name.test", HTTPS_PORT)
}

#[test]
fn they_are_asked_for_where_https_is_likely() {
    let server = server_with(&[]);
    let asked = |policy, port, owner: &str| {
        server.clear_queries();
        look_up_name(&dns([&server]).https_records(policy), "name.test", port);
        let all = server.queries().iter().filter(|query| query.kind == RecordType::Https).count();
        assert_eq!(all, server.asked(owner, RecordType::Https));
        all == 1
    };
    assert!(asked(HttpsRecords::Port443, 443, "name.test"));
    assert!(!asked(HttpsRecords::Port443, 80, "name.test"));
    assert!(!asked(HttpsRecords::Never, 443, "name.test"));
    assert!(asked(HttpsRecords::Always, 443, "name.test"));
    assert!(asked(HttpsRecords::Always, 8443, "_8443._https.name.test"));
}

fn tells(event: &ResolveEvent, destinations: &[SocketAddr]) -> bool {
    matches!(event, ResolveEvent::Answered(answer) | ResolveEvent::Hinted(answer) if answer.addresses == destinations)
}

/// What a record adds comes before the answer is closed, or a race could fail without it.
#[test]
fn an_answer_stays_open_until_the_records_are_there() {
    let server = server_with(&[https(1, "second.test", &[])]);
    let records = DnsAnswer::services(&[https(1, "second.test", &[])]);
    server.set("name.test", RecordType::Https, records.after(ms(200)));
    server.set("second.test", RecordType::A, DnsAnswer::addresses(&v4([2])).after(ms(200)));
    let told = look_up_https(&server);
    let answers = told.0.iter().filter_map(|(_, event)| match event {
        ResolveEvent::Answered(answer) if answer.family == V4 => Some(answer.addresses.clone()),
        _ => None,
    });
    assert_eq!(answers.collect::<Vec<_>>(), [at(443, &v4([2, 1]))], "{told:?}");
    // For a second, not for ever.
    server.set("name.test", RecordType::Https, DnsAnswer::silent());
    let resolver = dns([&server]).timeout(ms(3000)).attempts(1);
    let time = look_up_name(&resolver, "name.test", HTTPS_PORT).has_destinations(V4, &at(443, &v4([1])));
    assert!(ms(950) <= time && time < ms(2500), "{time:?}");
}

#[test]
fn they_are_asked_for_beside_the_addresses_and_keep_no_attempt_waiting() {
    let server = server_with(&[]);
    for answer in [DnsAnswer::silent(), DnsAnswer::code(2), DnsAnswer::services(&[]).after(ms(600))] {
        server.set("name.test", RecordType::Https, answer);
        let resolver = dns([&server]).timeout(ms(700)).attempts(1);
        let told = look_up_name(&resolver, "name.test", HTTPS_PORT);
        for (family, addresses) in [(V6, v6([1])), (V4, v4([1]))] {
            let destinations = at(443, &addresses);
            let (first, ..) = told.0.iter().find(|(_, event)| tells(event, &destinations)).unwrap();
            assert!(*first < AT_ONCE, "{told:?}");
            // Only then may a race fail in which all these have failed.
            told.has_destinations(family, &destinations);
        }
    }
}

#[test]
fn hints_go_ahead_of_late_addresses_and_are_replaced_by_them() {
    let hints: [(u16, &[u8]); 2] = [
        (IPV4_HINT, &[192, 0, 2, 1, 192, 0, 2, 9]),
        (IPV6_HINT, b"\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x09"),
    ];
    let server = server_with(&[https(1, ".", &hints)]);
    let late = |addresses: &[IpAddr]| DnsAnswer::addresses(addresses).after(ms(400));
    name(&server, late(&v6([1])), late(&v4([1, 2])));
    let told = look_up_https(&server);
    assert_eq!(told.hints(), [at(443, &v6([9])), at(443, &v4([1, 9]))]);
    assert!(told.0.iter().all(|(time, _)| *time < ms(200) || *time >= ms(400)), "{told:?}");
    // 192.0.2.9 is no longer among them: if it was not started, it never is.
    assert!(told.has_destinations(V4, &at(443, &v4([1, 2]))) >= ms(400));
    assert!(told.has_destinations(V6, &at(443, &v6([1]))) >= ms(400));
}

#[test]
fn hints_stay_where_the_addresses_cannot_be_had() {
    let server = server_with(&[https(1, ".", &[(IPV4_HINT, &[192, 0, 2, 9])])]);
    name(&server, DnsAnswer::no_data(), DnsAnswer::code(2));
    let told = look_up_https(&server);
    told.has_destinations(V4, &at(443, &v4([9])));
    // But not where there are none.
    name(&server, DnsAnswer::no_data(), DnsAnswer::no_data());
    look_up_https(&server).has_destinations(V4, &[]);
}

#[test]
fn port_and_target_are_followed_the_preferred_record_first() {
    let records = [
        https(2, "second.test", &[(PORT_KEY, &8443_u16.to_be_bytes())]),
        https(1, ".", &[(PORT_KEY, &444_u16.to_be_bytes())]),
    ];
    let server = server_with(&records);
    server.host("second.test", &v4([2]));
    let told = look_up_https(&server);
    told.has_destinations(V4, &[at(444, &v4([1])), at(8443, &v4([2])), at(443, &v4([1]))].concat());
    told.has_destinations(V6, &[at(444, &v6([1])), at(443, &v6([1]))].concat());
    let targets: Vec<_> = told.services().iter().map(|record| (&*record.target, record.port)).collect();
    assert_eq!(targets, [("name.test", 444), ("second.test", 8443)]);
}

#[test]
fn a_target_that_is_slow_to_find_joins_when_it_is_there() {
    let server = server_with(&[https(1, "second.test", &[(IPV4_HINT, &[192, 0, 2, 8])])]);
    server.set("second.test", RecordType::A, DnsAnswer::addresses(&v4([2])).after(ms(400)));
    server.set("second.test", RecordType::Aaaa, DnsAnswer::silent());
    let resolver = dns([&server]).timeout(ms(600)).attempts(1);
    let told = look_up_name(&resolver, "name.test", HTTPS_PORT);
    let (first, ..) =
        told.0.iter().find(|(_, event)| format!("{event:?}").contains("192.0.2.1:443")).unwrap();
    assert!(*first < AT_ONCE, "{told:?}");
    // The hint went ahead of it, and is gone.
    assert!(format!("{told:?}").contains("192.0.2.8:443"), "{told:?}");
    let time = told.has_destinations(V4, &at(443, &v4([2, 1])));
    assert!(time >= ms(400), "{told:?}");
}

#[test]
fn a_name_without_addresses_of_its_own_is_reached_by_its_record() {
    let server = server_with(&[]);
    name(&server, DnsAnswer::no_data(), DnsAnswer::no_data());
    let record = DnsAnswer::services(&[https(1, "second.test", &[])]).after(ms(200));
    server.set("name.test", RecordType::Https, record);
    server.host("second.test", &v4([2]));
    let told = look_up_https(&server);
    assert!(told.has_destinations(V4, &at(443, &v4([2]))) >= ms(200));
    // One family was told at once that it has nothing, the other when there was something.
    told.has_destinations(V6, &[]);
}

#[test]
fn a_name_without_any_address_does_not_wait_for_long() {
    let server = server_with(&[]);
    name(&server, DnsAnswer::no_data(), DnsAnswer::no_data());
    server.set("name.test", RecordType::Https, DnsAnswer::silent());
    let resolver = dns([&server]).timeout(ms(1_500)).attempts(1);
    let told = look_up_name(&resolver, "name.test", HTTPS_PORT);
    let last = told.0.iter().map(|(time, _)| *time).max().unwrap();
    assert!((ms(1_000)..ms(1_450)).contains(&last), "{told:?}");
}

#[test]
fn aliases_of_a_service() {
    let server = server_with(&[https(0, "cdn.test", &[])]);
    server.host("cdn.test", &v4([5]));
    let told = look_up_https(&server);
    told.has_destinations(V4, &at(443, &v4([5, 1])));
    assert_eq!(told.services()[0].to_string(), "HTTPS record of name.test: alias of cdn.test");
    // So it does where what the alias leads to has no record of use.
    let no_use = https(1, "h2.test", &[(ALPN, H2), (NO_DEFAULT_ALPN, b"")]);
    server.set("cdn.test", RecordType::Https, DnsAnswer::services(&[no_use]));
    look_up_https(&server).has_destinations(V4, &at(443, &v4([5, 1])));
    // With records of its own, where "." is the alias's target.
    let record = https(1, ".", &[(PORT_KEY, &444_u16.to_be_bytes())]);
    server.set("cdn.test", RecordType::Https, DnsAnswer::services(&[record]));
    let told = look_up_https(&server);
    told.has_destinations(V4, &[at(444, &v4([5])), at(443, &v4([1]))].concat());
    // A name of DNS that is an alias has the record at its target.
    let server = server_with(&[]);
    server.host("real.test", &v4([6]));
    let record = DnsAnswer::services(&[https(1, ".", &[(PORT_KEY, &444_u16.to_be_bytes())])]);
    server.set("name.test", RecordType::Https, record.through(&["real.test"]));
    server.set("name.test", RecordType::A, DnsAnswer::addresses(&v4([6])).through(&["real.test"]));
    let told = look_up_https(&server);
    told.has_destinations(V4, &[at(444, &v4([6])), at(443, &v4([6]))].concat());
    assert_eq!(server.asked("real.test", RecordType::A), 0, "the addresses are there already");
}

#[test]
fn aliases_in_a_circle_and_without_end() {
    let server = server_with(&[https(0, "a.test", &[])]);
    server.set("a.test", RecordType::Https, DnsAnswer::services(&[https(0, "name.test", &[])]));
    look_up_https(&server).has_destinations(V4, &at(443, &v4([1])));
    for number in 0..20 {
        let next = DnsAnswer::services(&[https(0, &format!("n{}.test", number + 1), &[])]);
        server.set(&format!("n{number}.test"), RecordType::Https, next);
    }
    server.set("name.test", RecordType::Https, DnsAnswer::services(&[https(0, "n0.test", &[])]));
    server.clear_queries();
    look_up_https(&server).has_destinations(V4, &at(443, &v4([1])));
    assert!(server.queries().len() < 20, "{:?}", server.queries());
    // An alias of nothing says that there is no such service, which a client without need of it leaves aside.
    server.set("name.test", RecordType::Https, DnsAnswer::services(&[https(0, ".", &[])]));
    look_up_https(&server).has_destinations(V4, &at(443, &v4([1])));
}

#[test]
fn a_record_that_leads_elsewhere_without_http_1_is_reported_and_not_followed() {
    let elsewhere = [(ALPN, H2), (NO_DEFAULT_ALPN, b"")];
    let server = server_with(&[https(1, "h2.test", &elsewhere)]);
    server.host("h2.test", &v4([2]));
    let told = look_up_https(&server);
    told.has_destinations(V4, &at(443, &v4([1])));
    assert_eq!(server.asked("h2.test", RecordType::A), 0);
    let [record] = told.services()[..] else { panic!("{told:?}") };
    assert!(!record.http1 && !record.used);
    assert_eq!(
        record.to_string(),
        "HTTPS record of name.test: h2.test port 443, speaks h2 but not http/1.1; not used"
    );
    // At the same place it changes nothing: the hints are as good as the name's own addresses.
    let here = [(ALPN, H2), (NO_DEFAULT_ALPN, b""), (IPV4_HINT, &[192, 0, 2, 9])];
    let server = server_with(&[https(1, ".", &here)]);
    server.set("name.test", RecordType::A, DnsAnswer::addresses(&v4([1])).after(ms(300)));
    let told = look_up_https(&server);
    assert!(told.hints().contains(&at(443, &v4([9]))), "{told:?}");
    assert!(told.services()[0].used && !told.services()[0].http1);
    // What is listed adds to http/1.1 unless the record says otherwise.
    let server = server_with(&[https(1, "h2.test", &[(ALPN, H2)])]);
    server.host("h2.test", &v4([2]));
    look_up_https(&server).has_destinations(V4, &at(443, &v4([2, 1])));
}

#[test]
fn records_that_demand_the_unknown_or_break_the_rules() {
    let server = server_with(&[
        https(1, "a.test", &[(0, &[0, 9]), (9, b"")]),
        https(2, ".", &[(PORT_KEY, &444_u16.to_be_bytes())]),
    ]);
    let told = look_up_https(&server);
    told.has_destinations(V4, &[at(444, &v4([1])), at(443, &v4([1]))].concat());
    assert!(told.services()[0].to_string().contains("its mandatory key 9 is not supported"), "{told:?}");
    // One that is malformed spoils them all.
    let server = server_with(&[
        https(1, ".", &[(PORT_KEY, &444_u16.to_be_bytes())]),
        https(2, ".", &[(PORT_KEY, b"\x01"), (ALPN, H2)]),
    ]);
    let told = look_up_https(&server);
    told.has_destinations(V4, &at(443, &v4([1])));
    assert_eq!(told.services()[0].to_string(), "HTTPS record of name.test: malformed");
}

#[test]
fn many_records_lead_to_few_questions() {
    let records: Vec<_> =
        (0..40_u16).map(|number| https(number + 1, &format!("n{number}.test"), &[])).collect();
    let server = server_with(&records);
    let told = look_up_https(&server);
    told.has_destinations(V4, &at(443, &v4([1])));
    assert!(server.queries().len() <= 12, "{}", server.queries().len());
}

#[test]
fn no_such_name_has_no_records_either() {
    let server = server();
    server.set("name.test", RecordType::Https, DnsAnswer::silent());
    name(&server, DnsAnswer::no_such_name(), DnsAnswer::no_such_name());
    let resolver = dns([&server]).timeout(ms(600)).attempts(1);
    let told = look_up_name(&resolver, "name.test", HTTPS_PORT);
    assert!(told.failed(V6, QueryError::NoSuchName, "NXDOMAIN") < AT_ONCE);
    assert!(told.failed(V4, QueryError::NoSuchName, "NXDOMAIN") < AT_ONCE);
}
