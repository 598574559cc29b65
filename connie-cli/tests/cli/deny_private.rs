//! `--deny-private`: what leads to this machine or its network is not connected to.

use std::net::{IpAddr, Ipv4Addr};

use connie_lab::in_namespace;
use connie_servers::{DnsAnswer, DnsServer, RecordType};

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::{connie, fresh_path, resolve};

fn site() -> Site {
    Site::start(|_| Reply::ok("inside\n"))
}

/// Knows `name.test` by addresses that all lead to this machine.
fn name_server(addresses: &[[u8; 4]]) -> DnsServer {
    let dns = DnsServer::start((Ipv4Addr::LOCALHOST, 0).into());
    let addresses: Vec<_> = addresses.iter().map(|octets| IpAddr::from(*octets)).collect();
    dns.host("name.test", &addresses);
    dns
}

#[test]
fn a_name_that_leads_inside_is_refused() {
    let site = site();
    let IpAddr::V4(address) = site.address().ip() else { panic!("an IPv4 site") };
    let dns = name_server(&[[0, 0, 0, 0], address.octets()]);
    let port = site.address().port();
    let (url, asked) = (format!("http://name.test:{port}/"), dns.address().to_string());
    connie(["get", &url, "--dns-server", &asked]).exits(0).prints("inside\n");
    let line = format!(
        "connie: every address of name.test is private (0.0.0.0, {address}): --deny-private refuses it\n"
    );
    connie(["get", &url, "--dns-server", &asked, "--deny-private"])
        .exits(7)
        .prints("")
        .says_lines(1)
        .says(&line);
    // Mapped into IPv6, too.
    let mapped = Ipv4Addr::LOCALHOST.to_ipv6_mapped();
    dns.set("name.test", RecordType::A, DnsAnswer::no_data());
    dns.set("name.test", RecordType::Aaaa, DnsAnswer::addresses(&[mapped.into()]));
    connie(["get", &url, "--dns-server", &asked, "--deny-private"]).exits(7).says("(::ffff:127.0.0.1)");
    assert_eq!(site.asked().len(), 1);
}

#[test]
fn what_is_written_out_is_refused() {
    let site = site();
    let port = site.address().port();
    for host in ["127.0.0.1", "[::ffff:127.0.0.1]", "[::1]", "0.0.0.0", "169.254.169.254", "192.168.0.1"] {
        let url = format!("http://{host}:{port}/");
        connie(["get", &url, "--deny-private"])
            .exits(7)
            .says_lines(1)
            .says("is private: --deny-private refuses it");
    }
    connie(["get", &format!("http://localhost:{port}/"), "--deny-private"])
        .exits(7)
        .says("every address of localhost is private (::1, 127.0.0.1)");
    let [option, entry] = resolve(port, "127.0.0.1");
    connie(["get", &format!("http://name.test:{port}/"), "--deny-private", &option, &entry])
        .exits(7)
        .says("(127.0.0.1)");
    connie(["race", &format!("127.0.0.1:{port}"), "--deny-private"]).exits(7);
    assert_eq!(site.connections(), 0);
}

#[test]
fn a_proxy_that_is_inside_is_refused_and_what_it_leads_to_is_its_own_affair() {
    let proxy = site();
    let address = proxy.address().to_string();
    connie(["get", "-x", &address, "http://name.test/", "--deny-private"])
        .exits(7)
        .says("could not reach the proxy")
        .says("--deny-private refuses it");
    assert_eq!(proxy.connections(), 0);
}

/// A network in which this machine has an address of the internet's: a name that leads there and inside, and
/// a page that redirects inside.
#[test]
fn outside_is_reached_and_no_redirect_leads_inside() {
    in_namespace(|lab| {
        let outside = Ipv4Addr::new(9, 9, 9, 9);
        lab.add_address(outside.into());
        let inside = site();
        let location = format!("Location: http://localhost:{}/\r\n", inside.address().port());
        let head = format!("HTTP/1.1 302 Found\r\n{location}Content-Length: 8\r\n\r\n");
        let page = Server::answering("0.0.0.0:0", format!("{head}outside\n"), End::Close);
        let dns = name_server(&[[127, 0, 0, 1], outside.octets(), [10, 9, 255, 1]]);
        let (url, asked) = (format!("http://name.test:{}/", page.port()), dns.address().to_string());
        let get = ["get", &url, "--dns-server", &asked, "--deny-private"];
        let ran = connie(get.iter().chain(&["-v"]));
        ran.exits(0).prints("outside\n").says("refuses it: 127.0.0.1, 10.9.255.1\n");
        connie(get.iter().chain(&["-w", "%{remote_ip}"])).exits(0).prints("outside\n9.9.9.9");
        let ran = connie(get.iter().chain(&["-L"]));
        ran.exits(7)
            .says("every address of localhost is private (::1, 127.0.0.1): --deny-private refuses it");
        assert_eq!(inside.connections(), 0);
    });
}

#[test]
fn reports_tell_what_was_not_tried() {
    let dns = name_server(&[[127, 0, 0, 1]]);
    let asked = dns.address().to_string();
    let race = ["race", "name.test:80", "--dns-server", &asked, "--deny-private"];
    let json = connie(race.iter().chain(&["--json"]));
    json.exits(7);
    assert_eq!(json.json()["denied"], serde_json::json!(["127.0.0.1:80"]));
    assert_eq!(json.json()["attempts"], serde_json::json!([]));
    let picture = connie(race);
    picture.exits(7);
    assert!(
        picture.out().contains("not tried, since --deny-private refuses it: 127.0.0.1\n"),
        "{}",
        picture.out()
    );
    let path = fresh_path("race.qlog");
    connie(race.iter().copied().chain(["--qlog", path.to_str().expect("text")])).exits(7);
    assert!(path.exists());
    // In `get`, where `-v` shows the race.
    let verbose = connie(["get", "-v", "http://name.test/", "--dns-server", &asked, "--deny-private"]);
    verbose.exits(7).says("* not tried, since --deny-private refuses it: 127.0.0.1\n");
}

#[test]
fn measurements_go_by_it() {
    let site = site();
    connie(["bench", &site.address().to_string(), "--deny-private"]).says("--deny-private");
    assert_eq!(site.connections(), 0);
}
