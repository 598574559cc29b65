//! What the proxy shows of itself.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use connie_proxy::ProxyView;
use connie_servers::{Live, closed_port};
use serde_json::Value;

use crate::support::{LIMIT, Running, config_with_name, read_all, socks5_name};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Shows it for as long as the test's process lives.
fn shown(view: ProxyView) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || runtime.block_on(view.show(listener)));
    address
}

fn fetch(address: SocketAddr, target: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    read_all(&mut stream)
}

/// The body of a page that is there.
#[track_caller]
fn page(address: SocketAddr, target: &str) -> String {
    let answer = fetch(address, target, &address.to_string());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

fn visited(private: bool) -> (Running, SocketAddr) {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let port = live.address().port();
    let closed = closed_port(HERE);
    let mut config = config_with_name("name.test", port, &[[127, 0, 0, 2].into(), HERE]);
    config.private = private;
    let proxy = Running::start(config);
    assert_eq!(socks5_name(&mut proxy.client(), "name.test", port), 0);
    assert_eq!(socks5_name(&mut proxy.client(), "127.0.0.1", closed.address().port()), 5);
    assert_eq!(socks5_name(&mut proxy.client(), "evil\"\u{1b}[2J\u{9b}<script>", 80), 4);
    let address = shown(proxy.view.clone());
    (proxy, address)
}

#[test]
fn the_last_races_are_shown_with_what_the_memory_knows() {
    let (_proxy, address) = visited(false);
    let text = page(address, "/status.json");
    assert!(!text.trim_end().contains(char::is_control), "nothing that a terminal obeys: {text:?}");
    let status: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let races = status["races"].as_array().unwrap();
    let won = races.last().unwrap();
    assert_eq!(won["race"]["host"], "name.test");
    assert_eq!(won["race"]["outcome"], "connected");
    assert_eq!(won["race"]["attempts"].as_array().unwrap().len(), 2);
    assert!(won["race"]["plan"].is_object() && won["refused"].is_null(), "{won}");
    assert_eq!(races[races.len() - 2]["refused"], "connection_refused");
    assert_eq!(status["connected"], 1);
    assert_eq!(status["refused"]["connection_refused"], 1);
    assert_eq!(status["families"]["ipv4"]["won"], 1);
    assert_eq!(status["families"]["ipv6"]["attempts"], 0);
    assert_eq!(status["families"]["ipv4"]["seems_broken"], false);
    let addresses = status["memory"]["addresses"].as_array().unwrap();
    assert!(addresses.iter().any(|it| it["may_lead"] == true && it["round_trip_us"].is_u64()), "{text}");
}

#[test]
fn where_names_are_private_there_is_none() {
    let (_proxy, address) = visited(true);
    let text = page(address, "/status.json") + &page(address, "/metrics");
    assert!(text.contains("\"races\":[{") && text.contains("\"host\":\"\""), "{text}");
    assert!(!text.contains("name.test") && !text.contains("evil"), "{text}");
}

#[test]
fn counts_are_what_prometheus_reads() {
    let (_proxy, address) = visited(false);
    let text = page(address, "/metrics");
    for line in [
        "# TYPE connie_proxy_refused_total counter",
        "connie_proxy_connections_total 1",
        "connie_proxy_refused_total{reason=\"connection_refused\"} 1",
        "connie_proxy_attempts_total{family=\"ipv4\",outcome=\"won\"} 1",
        "connie_proxy_family_seems_broken{family=\"ipv6\"} 0",
    ] {
        assert!(text.lines().any(|it| it == line), "{line} is not in:\n{text}");
    }
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').unwrap();
        assert!(name.starts_with("connie_proxy_") && value.parse::<u64>().is_ok(), "{line}");
    }
}

#[test]
fn other_sites_see_nothing_of_it() {
    let (_proxy, address) = visited(false);
    for host in ["evil.test", &format!("evil.test:{}", address.port()), ""] {
        let answer = fetch(address, "/status.json", host);
        assert!(answer.starts_with("HTTP/1.1 403 ") && !answer.contains("races"), "{answer}");
    }
    let own = address.to_string();
    assert!(fetch(address, "/other", &own).starts_with("HTTP/1.1 404 "));
    let answer = fetch(address, "/", &own);
    assert!(answer.contains("\r\nContent-Security-Policy: default-src 'none'\r\n"), "{answer}");
    assert!(!answer.to_ascii_lowercase().contains("access-control"), "{answer}");
}
