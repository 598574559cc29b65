//! What the proxy shows of itself.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};

use connie_proxy::ProxyView;
use connie_servers::{Live, closed_port};
use serde_json::Value;

use crate::support::{LIMIT, Running, config_with_name, read_all, socks5_name};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Shows it for as long as the test's process lives.
pub fn shown(view: ProxyView) -> SocketAddr {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || runtime.block_on(view.show(listener)));
    address
}

pub fn fetch(address: SocketAddr, target: &str, host: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    write!(stream, "GET {target} HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    read_all(&mut stream)
}

/// The body of a page that is there.
#[track_caller]
pub fn page(address: SocketAddr, target: &str) -> String {
    let answer = fetch(address, target, &address.to_string());
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    answer.split_once("\r\n\r\n").unwrap().1.to_owned()
}

pub fn visited(private: bool) -> (Running, SocketAddr) {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let port = live.address().port();
    let closed = closed_port(HERE);
    let mut config = config_with_name("name.test", port, &[[127, 0, 0, 2].into(), HERE]);
    (config.private, config.races) = (private, 64);
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
    assert_eq!((&won["host"], &won["number"]), (&"name.test".into(), &0.into()));
    assert_eq!(won["why"], "whole race: the host was never met here; 2 unknown");
    let evil = races.iter().find(|race| race["refused"] == "http_request_error").unwrap();
    assert_eq!(evil["host"], "evil\"\\u{1b}[2J\\u{9b}<script>");
    assert_eq!(status["connected"], 1);
    assert_eq!(status["refused"]["connection_refused"], 1);
    assert_eq!(status["families"]["ipv4"]["won"], 1);
    assert_eq!(status["families"]["ipv6"]["attempts"], 0);
    assert_eq!(status["families"]["ipv4"]["seems_broken"], false);
    let addresses = status["memory"]["addresses"].as_array().unwrap();
    assert!(addresses.iter().any(|it| it["may_lead"] == true && it["round_trip_us"].is_u64()), "{text}");
    let hosts = status["hosts"].as_array().unwrap();
    let next = hosts.iter().find(|host| host["host"] == "name.test").unwrap();
    assert!(next["why"].as_str().unwrap().starts_with("lead: "), "{next}");
    assert_eq!(next["plan"]["lead"], won["race"]["winner"]);
    assert!(addresses.iter().any(|it| it["host_hash"] == next["host_hash"]), "{text}");
}

/// The first address refuses: a client that tries one after the other, or waits 250 ms between them, sends
/// two SYNs each time.
#[test]
fn a_race_is_compared_with_other_clients() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let port = live.address().port();
    let mut config = config_with_name("name.test", port, &[[127, 0, 0, 2].into(), HERE]);
    // One at a time, so that the one that refuses has done so before the other answers.
    config.options = config.options.max_in_flight(1);
    config.races = 64;
    let proxy = Running::start(config);
    for _ in 0..2 {
        assert_eq!(socks5_name(&mut proxy.client(), "name.test", port), 0);
    }
    let text = page(shown(proxy.view.clone()), "/status.json");
    let status: Value = serde_json::from_str(&text).unwrap();
    let compared = |race: usize| {
        let compared = &status["races"][race]["compared"];
        ["own", "happy_eyeballs", "one_by_one"].map(|client| compared[client]["attempts"].as_u64())
    };
    // The latest comes first. By then the proxy has learnt; how the address that it left out behaves is known
    // from the first race.
    assert_eq!((compared(1), compared(0)), ([Some(2); 3], [Some(1), Some(2), Some(2)]), "{text}");
    for client in ["happy_eyeballs", "one_by_one"] {
        let saved = &status["saved"][client];
        assert_eq!((saved["races"].as_u64(), saved["attempts"].as_i64()), (Some(2), Some(1)), "{text}");
    }
}

#[test]
fn a_loop_is_a_race_that_has_failed() {
    let mut config = config_with_name("name.test", 80, &[HERE]);
    config.races = 64;
    let proxy = Running::start(config);
    assert_eq!(socks5_name(&mut proxy.client(), "127.0.0.1", proxy.address.port()), 2);
    let text = page(shown(proxy.view.clone()), "/status.json");
    let status: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(status["races"][0]["refused"], "proxy_loop_detected", "{text}");
    assert!(status["races"][0]["race"].is_object() && status["races"][0]["compared"].is_null(), "{text}");
    assert_eq!(status["saved"]["one_by_one"]["races"], 0, "{text}");
}

#[test]
fn a_proxy_that_is_not_to_keep_races_keeps_nothing() {
    let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
    let port = live.address().port();
    let proxy = Running::start(config_with_name("name.test", port, &[HERE]));
    assert_eq!(socks5_name(&mut proxy.client(), "name.test", port), 0);
    let text = page(shown(proxy.view.clone()), "/status.json");
    assert!(text.contains("\"races\":[]") && text.contains("\"hosts\":[]"), "{text}");
    assert!(!text.contains("name.test") && text.contains("\"connected\":1"), "{text}");
}

#[test]
fn what_has_not_changed_is_not_sent_again() {
    let (proxy, address) = visited(false);
    let own = address.to_string();
    let ask = |tag: &str| fetch(address, "/status.json", &format!("{own}\r\nIf-None-Match: {tag}"));
    // The tag also changes with time, every ten seconds.
    let (tag, answer) = (0..3)
        .find_map(|_| {
            let first = ask("\"x\"");
            let tag = first.split("ETag: ").nth(1)?.lines().next()?.to_owned();
            let answer = ask(&tag);
            answer.starts_with("HTTP/1.1 304 ").then_some((tag, answer))
        })
        .expect("it is the same for some seconds");
    assert!(answer.contains(&tag) && answer.ends_with("\r\n\r\n") && !answer.contains("races"), "{answer}");
    assert_eq!(socks5_name(&mut proxy.client(), "127.0.0.1", 1), 5);
    assert!(ask(&tag).starts_with("HTTP/1.1 200 "));
}

/// A restarted proxy has the same numbers of races, and the same counts, as before, and must not be taken for
/// the old one.
#[test]
fn one_that_was_started_again_is_another() {
    let log_and_tag = || {
        let (_proxy, address) = visited(false);
        let answer = fetch(address, "/status.json", &address.to_string());
        let (head, text) = answer.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(text).unwrap();
        assert_eq!(status["races"].as_array().unwrap().last().unwrap()["number"], 0);
        let tag = head.split("ETag: ").nth(1).unwrap().lines().next().unwrap().to_owned();
        (status["log"].as_str().unwrap().to_owned(), tag)
    };
    let ((first, one), (second, other)) = (log_and_tag(), log_and_tag());
    assert!(first != second && one != other && first.len() == 16, "{first} {second} {one} {other}");
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

/// RFC 9110 section 9.3.2.
#[test]
fn an_answer_to_head_has_no_content() {
    let (_proxy, address) = visited(false);
    for (host, status) in [(address.to_string(), "200 OK"), ("evil.test".to_owned(), "403 Forbidden")] {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        write!(stream, "HEAD / HTTP/1.1\r\nHost: {host}\r\n\r\n").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let answer = read_all(&mut stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(answer.contains("Content-Length: ") && answer.ends_with("\r\n\r\n"), "{answer}");
    }
}

#[test]
fn other_sites_see_nothing_of_it() {
    let (_proxy, address) = visited(false);
    let own = address.to_string();
    for target in ["/", "/status.json", "/metrics"] {
        for host in ["evil.test", &format!("evil.test:{}", address.port()), ""] {
            let answer = fetch(address, target, host);
            assert!(
                answer.starts_with("HTTP/1.1 403 ") && answer.ends_with("\r\n\r\nForbidden\n"),
                "{answer}"
            );
        }
        for field in [
            "Sec-Fetch-Site: cross-site",
            "Sec-Fetch-Site: same-site",
            "Origin: http://evil.test",
            "Origin: null",
        ] {
            let answer = fetch(address, target, &format!("{own}\r\n{field}"));
            assert!(answer.starts_with("HTTP/1.1 403 "), "{field}: {answer}");
        }
        let answer = fetch(address, target, &own);
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
        for field in [
            "Content-Security-Policy: default-src 'none';",
            "Cross-Origin-Resource-Policy: same-origin",
            "Cross-Origin-Opener-Policy: same-origin",
            "X-Content-Type-Options: nosniff",
            "X-Frame-Options: DENY",
            "Referrer-Policy: no-referrer",
            "Cache-Control: no-store",
        ] {
            assert!(answer.contains(&format!("\r\n{field}")), "{field}: {answer}");
        }
        assert!(answer.contains("frame-ancestors 'none'"), "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        assert!(!head.contains("access-control") && !head.contains("set-cookie"), "{head}");
    }
    assert!(fetch(address, "/other", &own).starts_with("HTTP/1.1 404 "));
}
