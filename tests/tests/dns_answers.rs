//! `connie_std::dns` against a real server that answers, delays, drops, truncates, errs and lies.
#![cfg(target_os = "linux")]

mod dns_support;

use connie_core::Families;
use connie_core::Family::{V4, V6};
use connie_core::resolution::QueryError;
use connie_std::dns::Dns;
use connie_std::resolve::ResolveEvent;
use connie_tests::lab::{in_namespace, replace_files};
use connie_tests::servers::{DnsAnswer, DnsServer, Quirk, RecordType};

use dns_support::*;

/// A short patience, for tests in which nobody answers.
fn impatient(dns: Dns) -> Dns {
    dns.attempts(1).timeout(ms(300))
}

fn both(server: &DnsServer) {
    server.host("name.test", &[v6([1]), v4([1])].concat());
}

#[test]
fn aaaa_is_asked_first_and_each_question_from_a_port_and_with_an_id_of_its_own() {
    let server = server();
    both(&server);
    let told = look_up(&dns([&server]));
    assert!(told.has(V6, &v6([1])) < AT_ONCE);
    assert!(told.has(V4, &v4([1])) < AT_ONCE);
    let queries = server.queries();
    let kinds: Vec<_> = queries.iter().map(|query| query.kind).collect();
    assert_eq!(kinds, [RecordType::Aaaa, RecordType::A]);
    assert_ne!(queries[0].client.port(), queries[1].client.port());
    assert!(queries.iter().all(|query| !query.tcp && query.payload == Some(1232)), "{queries:?}");
}

#[test]
fn ids_and_ports_are_drawn() {
    let server = server();
    both(&server);
    for _ in 0..8 {
        look_up(&dns([&server]).cache(Default::default()));
    }
    let different = |numbers: Vec<u16>| numbers.iter().collect::<std::collections::HashSet<_>>().len();
    let queries = server.queries();
    assert!(different(queries.iter().map(|query| query.id).collect()) > 12, "{queries:?}");
    assert!(different(queries.iter().map(|query| query.client.port()).collect()) > 12, "{queries:?}");
}

#[test]
fn a_late_answer_holds_nothing_up() {
    let server = server();
    for (late, prompt) in [(RecordType::Aaaa, V4), (RecordType::A, V6)] {
        both(&server);
        let address = if prompt == V4 { v6([1]) } else { v4([1]) };
        server.set("name.test", late, DnsAnswer::addresses(&address).after(ms(400)));
        let told = look_up(&dns([&server]));
        let prompt_answer = if prompt == V4 { v4([1]) } else { v6([1]) };
        assert!(told.has(prompt, &prompt_answer) < ms(200));
        assert!(told.has(prompt.other(), &address) >= ms(400));
    }
}

#[test]
fn a_family_that_is_not_wanted_is_not_asked_for() {
    let server = server();
    both(&server);
    let told = look_up_families(&dns([&server]), "name.test", PORT, Families::Only(V4));
    told.has(V4, &v4([1]));
    assert_eq!(told.0.len(), 1, "{told:?}");
    assert_eq!(server.asked("name.test", RecordType::Aaaa), 0);
}

#[test]
fn what_the_server_said_is_told() {
    let server = server();
    let at = server.address();
    name(&server, DnsAnswer::code(2), DnsAnswer::addresses(&v4([1])));
    let told = look_up(&dns([&server]));
    told.failed(V6, QueryError::ServerFailure, &format!("SERVFAIL from {at}"));
    told.has(V4, &v4([1]));

    name(&server, DnsAnswer::no_such_name().ttl(0), DnsAnswer::code(5));
    let told = look_up(&dns([&server]));
    told.failed(V6, QueryError::NoSuchName, &format!("NXDOMAIN from {at}"));
    told.failed(V4, QueryError::Refused, &format!("REFUSED from {at}"));

    name(&server, DnsAnswer::no_data(), DnsAnswer::addresses(&v4([1])).quirk(Quirk::CutShort));
    let told = look_up(&dns([&server]));
    told.has(V6, &[]);
    told.failed(V4, QueryError::Malformed, &format!("malformed answer from {at}"));
}

#[test]
fn silence_ends_when_the_time_is_up() {
    let server = server();
    name(&server, DnsAnswer::silent(), DnsAnswer::addresses(&v4([1])));
    let told = look_up(&impatient(dns([&server])));
    let at = told.failed(V6, QueryError::TimedOut, &format!("no answer from {}", server.address()));
    assert!(at >= ms(300), "{at:?}");
    assert!(told.has(V4, &v4([1])) < AT_ONCE);
    assert_eq!(server.asked("name.test", RecordType::Aaaa), 1);
}

#[test]
fn where_nobody_listens_is_known_at_once() {
    let gone = server().address();
    let told = look_up(&Dns::new([gone]).hosts_file(None));
    for family in [V6, V4] {
        let at = told.failed(family, QueryError::Unreachable, &format!("{gone}: Connection refused"));
        assert!(at < AT_ONCE, "{at:?}");
    }
    let told = look_up(&Dns::new([]).hosts_file(None));
    told.failed(V4, QueryError::Unreachable, "no name server is configured");
}

#[test]
fn a_lost_query_is_sent_again_with_the_same_id() {
    let server = server();
    name(&server, DnsAnswer::no_data(), DnsAnswer::addresses(&v4([1])).dropping(1));
    let at = look_up(&dns([&server])).has(V4, &v4([1]));
    assert!((ms(1_000)..ms(2_900)).contains(&at), "{at:?}");
    let queries = server.queries();
    let ids: Vec<_> = queries.iter().filter(|query| query.kind == RecordType::A).map(|it| it.id).collect();
    assert!(matches!(ids[..], [first, second] if first == second), "{queries:?}");
}

#[test]
fn a_dead_server_costs_a_quarter_of_a_second_and_a_failing_one_nothing() {
    let (first, second) = (server(), server());
    both(&second);
    name(&first, DnsAnswer::silent(), DnsAnswer::silent());
    let told = look_up(&dns([&first, &second]));
    let at = told.has(V4, &v4([1]));
    assert!((ms(250)..ms(900)).contains(&at), "{at:?}");

    name(&first, DnsAnswer::code(2), DnsAnswer::code(5));
    let told = look_up(&dns([&first, &second]));
    assert!(told.has(V6, &v6([1])) < AT_ONCE);
    assert!(told.has(V4, &v4([1])) < AT_ONCE);

    name(&second, DnsAnswer::code(2), DnsAnswer::code(5));
    let told = look_up(&dns([&first, &second]));
    let (first, second) = (first.address(), second.address());
    told.failed(V6, QueryError::ServerFailure, &format!("SERVFAIL from {first}; SERVFAIL from {second}"));
}

#[test]
fn that_there_is_no_such_name_is_the_last_word() {
    let (first, second) = (server(), server());
    both(&second);
    let told = look_up(&dns([&first, &second]));
    told.failed(V6, QueryError::NoSuchName, "NXDOMAIN");
    assert_eq!(second.queries(), []);
}

#[test]
fn what_does_not_fit_into_a_datagram_comes_over_tcp() {
    let server = server();
    let many = v6(1..=40);
    name(&server, DnsAnswer::addresses(&many).truncated(), DnsAnswer::addresses(&v4([1])));
    let told = look_up(&dns([&server]));
    assert!(told.has(V6, &many) < AT_ONCE);
    assert!(told.has(V4, &v4([1])) < AT_ONCE);
    let over_tcp: Vec<_> = server.queries().into_iter().filter(|query| query.tcp).collect();
    assert!(matches!(&over_tcp[..], [query] if query.kind == RecordType::Aaaa), "{over_tcp:?}");
}

#[test]
fn without_tcp_such_an_answer_is_not_to_be_had() {
    let server = server();
    let truncated = DnsAnswer::addresses(&v6([1])).truncated().quirk(Quirk::HangUp);
    name(&server, truncated, DnsAnswer::no_data());
    let told = look_up(&dns([&server]));
    told.failed(V6, QueryError::Unreachable, "needs TCP: the connection was closed before the answer");
}

#[test]
fn everything_over_tcp_where_that_is_wished() {
    let server = server();
    both(&server);
    let told = look_up(&dns([&server]).tcp(true));
    told.has(V6, &v6([1]));
    told.has(V4, &v4([1]));
    assert!(server.queries().iter().all(|query| query.tcp));
}

#[test]
fn forty_addresses_fit_into_one_datagram() {
    let server = server();
    name(&server, DnsAnswer::addresses(&v6(1..=40)), DnsAnswer::addresses(&v4(1..=40)));
    let told = look_up(&dns([&server]));
    assert!(told.has(V6, &v6(1..=40)) < AT_ONCE);
    assert!(told.has(V4, &v4(1..=40)) < AT_ONCE);
    assert!(server.queries().iter().all(|query| !query.tcp));
}

#[test]
fn a_server_that_knows_no_edns_is_asked_without() {
    let server = server();
    let no_edns = |addresses: &[_]| DnsAnswer::addresses(addresses).quirk(Quirk::NoEdns);
    // Forty are too many for 512 octets, and come over TCP.
    name(&server, no_edns(&v6([1])), no_edns(&v4(1..=40)));
    let told = look_up(&dns([&server]));
    assert!(told.has(V6, &v6([1])) < AT_ONCE);
    assert!(told.has(V4, &v4(1..=40)) < AT_ONCE);
}

#[test]
fn aliases_within_an_answer_in_any_order() {
    let server = server();
    let chain = ["a.test", "b.example", "c.test"];
    let six = DnsAnswer::addresses(&v6([1, 2])).through(&chain);
    name(&server, six, DnsAnswer::addresses(&v4([1, 2])).through(&chain).quirk(Quirk::Backwards));
    let told = look_up(&dns([&server]));
    told.has(V6, &v6([1, 2]));
    told.has(V4, &v4([2, 1]));
    assert_eq!(server.queries().len(), 2, "nothing more was asked");
}

#[test]
fn aliases_that_the_server_does_not_follow() {
    let server = server();
    name(&server, DnsAnswer::alias("a.test"), DnsAnswer::alias("a.test"));
    server.set("a.test", RecordType::Aaaa, DnsAnswer::no_data());
    server.set("a.test", RecordType::A, DnsAnswer::alias("b.test"));
    server.host("b.test", &v4([7]));
    let told = look_up(&dns([&server]));
    told.has(V6, &[]);
    told.has(V4, &v4([7]));
}

/// RFC 7686 section 2: whatever leads there, no name server is asked for it.
#[test]
fn an_alias_into_tor_is_not_followed() {
    let server = server();
    name(&server, DnsAnswer::alias("x.onion"), DnsAnswer::alias("a.test"));
    server.set("a.test", RecordType::A, DnsAnswer::alias("X.ONION"));
    let told = look_up(&dns([&server]));
    told.failed(V6, QueryError::NoSuchName, "RFC 7686");
    told.failed(V4, QueryError::NoSuchName, "RFC 7686");
    let asked: Vec<_> = server.queries().into_iter().map(|query| query.name).collect();
    assert!(!asked.iter().any(|name| name.to_ascii_lowercase().contains("onion")), "{asked:?}");
}

/// The C library reads octets: what is no UTF-8 spoils nothing but the word it stands in.
#[test]
fn octets_in_the_systems_files_that_are_no_text_are_read_past() {
    in_namespace(|_| {
        replace_files(&[
            (
                "/etc/resolv.conf",
                &b"# M\xfcller\nnameserver 192.0.2.53 \xff\noptions \xfe timeout:2\nsearch \xe9.test b.test\n"[..],
            ),
            ("/etc/hosts", &b"# M\xfcller\n192.0.2.9 \xfcber.test name.test\n"[..]),
        ]);
        let dns = Dns::system().expect("a file that can be read");
        assert_eq!(dns.servers, ["192.0.2.53:53".parse().expect("an address")]);
        assert_eq!((dns.timeout.as_secs(), dns.search.last().map(String::as_str)), (2, Some("b.test")));
        let told = look_up(&dns);
        told.has(V4, &v4([9]));
        told.has(V6, &[]);
    });
}

#[test]
fn an_answer_holds_as_long_as_the_shortest_of_its_parts() {
    let server = server();
    let ttl = |aaaa, a| {
        name(&server, aaaa, a);
        let told = look_up(&dns([&server]));
        let ttl = |family| {
            told.0.iter().find_map(|(_, event)| match event {
                ResolveEvent::Answered(answer) if answer.family == family => answer.ttl,
                _ => None,
            })
        };
        [ttl(V6), ttl(V4)].map(|ttl| ttl.map(|ttl| ttl.as_secs()))
    };
    server.set("a.test", RecordType::A, DnsAnswer::addresses(&v4([1])).ttl(30));
    server.set("b.test", RecordType::Aaaa, DnsAnswer::addresses(&v6([1])).ttl(5));
    assert_eq!(
        ttl(DnsAnswer::alias("b.test").ttl(20), DnsAnswer::alias("a.test").ttl(20)),
        [Some(5), Some(20)]
    );
    let direct = DnsAnswer::addresses(&v4([1])).ttl(70);
    assert_eq!(
        ttl(DnsAnswer::no_data().ttl(9), direct),
        [Some(9), Some(60)],
        "no answer counts for longer than it is kept"
    );
}

#[test]
fn an_alias_of_nothing() {
    let server = server();
    let nothing = DnsAnswer::no_data().through(&["a.test"]);
    name(&server, nothing, DnsAnswer::no_such_name().through(&["a.test"]));
    let told = look_up(&dns([&server]));
    told.has(V6, &[]);
    told.failed(V4, QueryError::NoSuchName, "NXDOMAIN");
    assert_eq!(server.asked("a.test", RecordType::Aaaa), 0, "the zone said that there is nothing");
}

#[test]
fn an_alias_of_a_name_in_a_zone_that_the_server_says_nothing_of() {
    let server = server();
    // The SOA record is that of "test".
    let nothing = DnsAnswer::no_data().through(&["name.example"]);
    name(&server, nothing.clone(), nothing);
    server.host("name.example", &v4([7]));
    let told = look_up(&dns([&server]));
    told.has(V4, &v4([7]));
    told.has(V6, &[]);
}

#[test]
fn aliases_in_a_circle_end() {
    let server = server();
    // Within one answer, and from one to the next.
    let circle = DnsAnswer::alias("a.test").through(&["a.test", "name.test"]);
    name(&server, circle, DnsAnswer::alias("a.test"));
    server.set("a.test", RecordType::A, DnsAnswer::alias("name.test"));
    let told = look_up(&dns([&server]));
    told.failed(V6, QueryError::Malformed, "alias loop");
    told.failed(V4, QueryError::Malformed, "alias loop");
    assert!(server.queries().len() < 20, "{}", server.queries().len());
}

#[test]
fn a_chain_longer_than_anybody_needs_ends() {
    let server = server();
    let names: Vec<String> = (0..30).map(|number| format!("n{number}.test")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let chain = |length| DnsAnswer::addresses(&v6([1])).through(&names[..length]);
    name(&server, chain(16), DnsAnswer::no_data());
    look_up(&dns([&server])).has(V6, &v6([1]));
    name(&server, chain(17), DnsAnswer::no_data());
    look_up(&dns([&server])).failed(V6, QueryError::Malformed, "aliases");
}

#[test]
fn forgeries_are_passed_over() {
    let server = server();
    for quirk in [Quirk::WrongId, Quirk::WrongSource, Quirk::WrongQuestion, Quirk::Garbage] {
        let late = |addresses: &[_]| DnsAnswer::addresses(addresses).quirk(quirk);
        name(&server, late(&v6([1])), late(&v4([1])));
        let told = look_up(&dns([&server]));
        assert!(told.has(V6, &v6([1])) < AT_ONCE, "{quirk:?}");
        assert!(told.has(V4, &v4([1])) < AT_ONCE, "{quirk:?}");
        assert_eq!(told.0.len(), 2, "{quirk:?}: {told:?}");
    }
}

#[test]
fn names_that_cannot_be_asked_for() {
    let server = server();
    let long = format!("{}.test", "x".repeat(64));
    for host in ["a..test", ".", &long, "na\u{ef}ve.test", "a b.test"] {
        let told = look_up_name(&dns([&server]), host, PORT);
        told.failed(V4, QueryError::NoSuchName, "not a name that DNS can hold");
    }
    assert_eq!(server.queries(), []);
    server.host("a_b.test", &v4([1]));
    look_up_name(&dns([&server]), "A_b.TEST.", PORT).has(V4, &v4([1]));
}

/// A resolver with a search list, as resolv.conf has it.
fn searching(server: &DnsServer, options: &str) -> Dns {
    let text = format!("search corp.test lab.test\noptions {options}");
    Dns::from_resolv_conf(&text).servers(vec![server.address()]).hosts_file(None)
}

#[test]
fn the_search_list_is_tried_until_a_name_has_an_address() {
    let server = server();
    server.host("a.lab.test", &v4([1]));
    server.host("a.b", &v4([2]));
    let told = look_up_name(&searching(&server, ""), "a", PORT);
    told.has(V4, &v4([1]));
    told.has(V6, &[]);
    assert_eq!(told.0.len(), 2, "nothing of the names before: {told:?}");
    assert_eq!(server.asked("a", RecordType::A), 0);
    // With a dot it is tried as it is first, and with many demanded last.
    server.clear_queries();
    look_up_name(&searching(&server, ""), "a.b", PORT).has(V4, &v4([2]));
    assert_eq!(server.asked("a.b.corp.test", RecordType::A), 0);
    look_up_name(&searching(&server, "ndots:5"), "a.b", PORT).has(V4, &v4([2]));
    assert_eq!(server.asked("a.b.corp.test", RecordType::A), 1);
    let told = look_up_name(&searching(&server, ""), "a.", PORT);
    told.failed(V4, QueryError::NoSuchName, "NXDOMAIN");
}

#[test]
fn a_name_of_the_search_list_is_held_back_by_nothing() {
    let server = server();
    server.host("a.corp.test", &v4([1]));
    server.set("a.corp.test", RecordType::Aaaa, DnsAnswer::no_data().after(ms(400)));
    let told = look_up_name(&searching(&server, ""), "a", PORT);
    assert!(told.has(V4, &v4([1])) < AT_ONCE, "{told:?}");
    assert!(told.has(V6, &[]) >= ms(400), "{told:?}");
}

#[test]
fn where_no_name_of_the_search_list_has_an_address() {
    let server = server();
    // One that exists tells more than those that do not.
    server.host("a.corp.test", &[]);
    let told = look_up_name(&searching(&server, ""), "a", PORT);
    told.has(V4, &[]);
    told.has(V6, &[]);
    assert_eq!(server.asked("a", RecordType::A), 1, "the last was tried too");
    // Who does not answer is not asked for the next name.
    server.set("b.corp.test", RecordType::A, DnsAnswer::silent());
    server.set("b.corp.test", RecordType::Aaaa, DnsAnswer::silent());
    let told = look_up_name(&impatient(searching(&server, "")), "b", PORT);
    told.failed(V4, QueryError::TimedOut, "no answer");
    assert_eq!(server.asked("b.lab.test", RecordType::A), 0);
}

/// RFC 8020: a name that is denied for A has no AAAA either, whatever the server's silence, and the next of
/// the list is tried.
#[test]
fn a_denied_name_of_the_search_list_is_not_waited_for() {
    let server = server();
    server.set("a.corp.test", RecordType::Aaaa, DnsAnswer::silent());
    server.set("a.corp.test", RecordType::A, DnsAnswer::no_such_name());
    server.host("a.lab.test", &v4([1]));
    let told = look_up_name(&searching(&server, ""), "a", PORT);
    assert!(told.has(V4, &v4([1])) < AT_ONCE, "{told:?}");
}

#[test]
fn the_hosts_file_comes_first() {
    let server = server();
    both(&server);
    let path = std::env::temp_dir().join(format!("connie-hosts-{}", std::process::id()));
    std::fs::write(&path, "192.0.2.9 name.test\n").expect("a temporary file");
    let resolver = dns([&server]).hosts_file(path.clone());
    let told = look_up(&resolver);
    std::fs::remove_file(&path).expect("the file");
    told.has(V4, &v4([9]));
    told.has(V6, &[]);
    assert_eq!(server.queries(), []);
    look_up(&resolver).has(V4, &v4([1]));
}

#[test]
fn answers_are_kept_for_all_that_share_the_resolver() {
    let server = server();
    name(&server, DnsAnswer::no_data().ttl(60), DnsAnswer::addresses(&v4([1])).ttl(60));
    let resolver = dns([&server]);
    look_up(&resolver).has(V4, &v4([1]));
    assert_eq!(server.queries().len(), 2);
    let told = look_up(&resolver.clone());
    assert!(told.has(V4, &v4([1])) < AT_ONCE);
    told.has(V6, &[]);
    assert_eq!(server.queries().len(), 2, "both answers were kept");
    look_up(&dns([&server]));
    assert_eq!(server.queries().len(), 4, "another resolver has a cache of its own");
    resolver.cache.clear();
    look_up(&resolver);
    assert_eq!(server.queries().len(), 6);
}

#[test]
fn answers_that_do_not_hold_are_not_kept() {
    let server = server();
    let resolver = dns([&server]);
    let (no_ttl, no_soa) = (DnsAnswer::no_data().ttl(0), DnsAnswer::no_data().without_soa());
    for (what, aaaa, a, expected) in [
        ("no time to live", DnsAnswer::addresses(&v6([1])).ttl(0), no_ttl, 4),
        ("no word of it", no_soa, DnsAnswer::no_such_name().without_soa(), 4),
        // Three times each.
        ("failures", DnsAnswer::code(2), DnsAnswer::code(5), 12),
    ] {
        name(&server, aaaa, a);
        server.clear_queries();
        look_up(&resolver);
        look_up(&resolver);
        assert_eq!(server.queries().len(), expected, "{what}");
    }
}

#[test]
fn a_name_server_with_an_ipv6_address() {
    in_namespace(|_| {
        let server = DnsServer::start((std::net::Ipv6Addr::LOCALHOST, 0).into());
        both(&server);
        let truncated = DnsAnswer::addresses(&v4([1])).truncated();
        server.set("name.test", RecordType::A, truncated);
        let told = look_up(&dns([&server]));
        told.has(V6, &v6([1]));
        told.has(V4, &v4([1]));
    });
}

/// What is learnt of a server at one name counts for the others.
#[test]
fn a_silent_server_comes_last_for_other_names_too() {
    let (first, second) = (server(), server());
    for host in ["name.test", "other.test"] {
        first.set(host, RecordType::A, DnsAnswer::silent());
        first.set(host, RecordType::Aaaa, DnsAnswer::silent());
        second.host(host, &[v6([1]), v4([1])].concat());
    }
    let resolver = dns([&first, &second]);
    assert!(look_up(&resolver).has(V4, &v4([1])) >= ms(250));
    assert!(look_up_name(&resolver, "other.test", PORT).has(V4, &v4([1])) < AT_ONCE);
    assert_eq!(first.asked("other.test", RecordType::A), 0);
}

/// Two that share a cache and ask in different ways share no answers.
#[test]
fn other_settings_have_answers_of_their_own() {
    let server = server();
    both(&server);
    let resolver = dns([&server]);
    look_up(&resolver);
    look_up(&resolver.clone().tcp(true));
    assert_eq!(server.queries().iter().filter(|query| query.tcp).count(), 2);
    assert_eq!(resolver.cache.len(), 2);
    look_up(&resolver);
    assert_eq!(server.queries().len(), 4);
}
