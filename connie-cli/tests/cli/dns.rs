//! `--dns-server`: from a name to a page, through a name server of the test's own.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use connie_lab::{Behaviour, HOST_V4, in_namespace, ms, v4, v6};
use connie_servers::clock::timed;
use connie_servers::{Authority, DnsAnswer, DnsServer, Live, Nginx, RecordType, TlsServer, https};

use crate::server::Server;
use crate::support::{Ran, connie};

/// A lookup that nobody answers goes on for eight seconds. What ends sooner has not waited for it.
const WITHOUT_WAITING: Duration = Duration::from_secs(4);

/// A name server that knows `name.test` by the address of the web server, which listens at 127.0.0.4.
fn name_server() -> DnsServer {
    let dns = DnsServer::start((Ipv4Addr::LOCALHOST, 0).into());
    dns.host("name.test", &[IpAddr::from([127, 0, 0, 4])]);
    dns
}

/// Where there was a name server a moment ago.
fn gone() -> SocketAddr {
    name_server().address()
}

fn get(server: &Server, dns: &DnsServer, options: &[&str]) -> Ran {
    let (url, asked) = (format!("http://name.test:{}/", server.port()), dns.address().to_string());
    connie(["get", &url, "--dns-server", &asked].iter().chain(options))
}

#[test]
fn the_page_of_a_name() {
    let (server, dns) = (Server::serving("127.0.0.4:0", "a page\n"), name_server());
    get(&server, &dns, &[]).exits(0).prints("a page\n").is_quiet();
    assert!(server.request().contains(&format!("Host: name.test:{}\r\n", server.port())));
    assert_eq!(dns.queries().len(), 2, "{:?}", dns.queries());
    get(&server, &dns, &["-4"]).exits(0).prints("a page\n");
    assert_eq!(dns.queries().len(), 3, "{:?}", dns.queries());
}

#[test]
fn the_program_ends_when_its_work_is_done() {
    let (server, dns) = (Server::serving("127.0.0.4:0", "a page\n"), name_server());
    dns.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
    let (ran, took) = timed(|| get(&server, &dns, &[]));
    ran.exits(0).prints("a page\n");
    assert!(took < WITHOUT_WAITING, "{took:?}");
    // When its time is up too.
    dns.set("name.test", RecordType::A, DnsAnswer::silent());
    let (ran, took) = timed(|| get(&server, &dns, &["-m", "0.5"]));
    ran.exits(28).says("name.test");
    assert!(took < WITHOUT_WAITING, "{took:?}");
}

#[test]
fn a_dead_name_server_beside_a_good_one() {
    let (server, dns) = (Server::serving("127.0.0.4:0", "a page\n"), name_server());
    let both = format!("{},{}", gone(), dns.address());
    let url = format!("http://name.test:{}/", server.port());
    connie(["get", &url, "--dns-servers", &both]).exits(0).prints("a page\n");
}

#[test]
fn what_was_learnt_serves_the_next_url() {
    let (one, other, dns) =
        (Server::serving("127.0.0.4:0", "one\n"), Server::serving("127.0.0.4:0", "other\n"), name_server());
    let [one, other] = [&one, &other].map(|server| format!("http://name.test:{}/", server.port()));
    let ran = connie(["get", &one, &other, "--dns-server", &dns.address().to_string()]);
    ran.exits(0).prints("one\nother\n");
    assert_eq!(dns.asked("name.test", RecordType::A), 1, "{:?}", dns.queries());
}

#[test]
fn addresses_that_are_given_beat_the_name_server() {
    let (server, dns) = (Server::serving("127.0.0.4:0", "a page\n"), name_server());
    let entry = format!("name.test:{}:127.0.0.4", server.port());
    get(&server, &dns, &["--resolve", &entry]).exits(0).prints("a page\n");
    assert_eq!(dns.queries(), []);
}

#[test]
fn what_the_name_server_said_is_told() {
    let (server, dns) = (Server::serving("127.0.0.4:0", "a page\n"), name_server());
    let address = dns.address();
    dns.set("name.test", RecordType::Aaaa, DnsAnswer::code(2));
    dns.set("name.test", RecordType::A, DnsAnswer::code(5));
    let ran = get(&server, &dns, &[]);
    ran.exits(6)
        .says("AAAA")
        .says(&format!("SERVFAIL from {address}"))
        .says(&format!("REFUSED from {address}"));
    for kind in [RecordType::A, RecordType::Aaaa] {
        dns.set("name.test", kind, DnsAnswer::no_such_name());
    }
    get(&server, &dns, &[]).exits(6).says(&format!("NXDOMAIN from {address}"));
    for kind in [RecordType::A, RecordType::Aaaa] {
        dns.set("name.test", kind, DnsAnswer::no_data());
    }
    get(&server, &dns, &[]).exits(6).says("name.test");
    let (gone, url) = (gone(), format!("http://name.test:{}/", server.port()));
    let ran = connie(["get", &url, "--dns-server", &gone.to_string()]);
    ran.exits(6).says(&format!("{gone}: Connection refused"));
}

/// What leads elsewhere and does not speak HTTP/1.1 is told and left aside; what does is followed.
#[test]
fn service_records_are_told() {
    in_namespace(|lab| {
        let dns = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
        let _web = Live::silent((HOST_V4, 8443));
        lab.set(v4(1), Behaviour::black_hole());
        lab.set(v4(2), Behaviour::accept(ms(10)));
        dns.host("name.test", &[v4(1)]);
        dns.host("web.test", &[v4(2)]);
        let alpn: (u16, &[u8]) = (1, b"\x02h2");
        let elsewhere = https(1, "h2.test", &[alpn, (2, b"")]);
        let web = https(2, "web.test", &[alpn, (3, &8443_u16.to_be_bytes())]);
        dns.set("name.test", RecordType::Https, DnsAnswer::services(&[elsewhere, web]));
        let ran = connie(["race", "name.test:443", "--dns-server", "127.0.0.1", "-m", "20"]);
        let out = ran.exits(0).out();
        for line in [
            "HTTPS record of name.test: h2.test port 443, speaks h2 but not http/1.1; not used",
            "HTTPS record of name.test: web.test port 8443, speaks h2",
        ] {
            assert!(out.lines().any(|it| it == line), "{line:?} is not in {out}");
        }
        assert!(out.contains("10.9.0.2"), "{out}");
    });
}

/// The URL's port is closed; the record of its own port leads to another host and port, and the certificate
/// is still that of the URL.
#[test]
fn an_https_page_by_its_service_record() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["name.test"]), |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")?;
        served.close()
    });
    let dns = name_server();
    dns.host("web.test", &[server.address().ip()]);
    let record = https(1, "web.test", &[(3, &server.address().port().to_be_bytes())]);
    dns.set("_1._https.name.test", RecordType::Https, DnsAnswer::services(std::slice::from_ref(&record)));
    let (asked, file) = (dns.address().to_string(), authority.file());
    let trusted = ["--cacert", file.path().to_str().expect("a path in text")];
    let ran = connie(["get", "-v", "https://name.test:1/", "--dns-server", &asked].iter().chain(&trusted));
    ran.exits(0).prints("page").says("* HTTPS record of _1._https.name.test: web.test port");
    // The name's own address has refused long before the record leads elsewhere.
    dns.set("_1._https.name.test", RecordType::Https, DnsAnswer::services(&[record]).after(ms(200)));
    dns.set("web.test", RecordType::A, DnsAnswer::addresses(&[server.address().ip()]).after(ms(200)));
    let ran = connie(["get", "https://name.test:1/", "--dns-server", &asked].iter().chain(&trusted));
    ran.exits(0).prints("page");
}

#[test]
fn what_is_no_name_server() {
    for bad in ["ns.example", "192.0.2.1:0", "192.0.2.1:dns", ""] {
        connie(["race", "name.test:80", "--dns-server", bad]).exits(2).says("--dns-server");
    }
}

/// An IPv6 address that is dead, an AAAA answer that never comes, a long answer, aliases: through a network
/// with 30 ms to the web server.
#[test]
fn from_a_name_to_a_page_through_a_network() {
    in_namespace(|lab| {
        let Some(_web) = Nginx::start(80, &[("page", b"a page\n")]) else { return };
        let dns = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
        lab.set(v4(1), Behaviour::accept(ms(30)));
        lab.set(v4(2), Behaviour::black_hole());
        lab.set(v6(1), Behaviour::black_hole());
        let a = DnsAnswer::addresses(&[v4(2), v4(1)]);
        let aaaa = DnsAnswer::addresses(&[v6(1)]);
        for (what, aaaa, a) in [
            ("both answers", aaaa.clone(), a.clone()),
            ("no AAAA answer", DnsAnswer::silent(), a.clone()),
            ("SERVFAIL", DnsAnswer::code(2), a.clone()),
            ("an answer over TCP", aaaa.clone(), a.clone().truncated()),
            ("aliases", aaaa.clone(), a.clone().through(&["a.test", "b.test"])),
        ] {
            dns.set("name.test", RecordType::Aaaa, aaaa);
            dns.set("name.test", RecordType::A, a);
            let url = "http://name.test/page";
            let (ran, took) = timed(|| connie(["get", url, "--dns-server", "127.0.0.1"]));
            ran.exits(0).prints("a page\n").is_quiet();
            assert!(took < WITHOUT_WAITING, "{what}: {took:?}");
        }
    });
}
