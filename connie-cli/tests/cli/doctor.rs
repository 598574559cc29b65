//! `connie doctor`, in networks that have each of the illnesses.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};

use connie_lab::{Behaviour, HOST_V4, Unreachable, in_namespace, ms, v4, v6};
use connie_servers::{Authority, DnsAnswer, DnsServer, RecordType, TlsServer};
use serde_json::Value;

use crate::server::{End, Server};
use crate::support::{Ran, connie, resolve};

/// Half a second for each step.
const SHORT: [&str; 3] = ["doctor", "--connect-timeout", "0.5"];

fn doctor(arguments: &[&str]) -> Ran {
    connie(SHORT.iter().chain(arguments))
}

/// A web server whose answer to everything is this status.
fn web(status: &str) -> Server {
    Server::answering("127.0.0.4:0", format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"), End::Wait)
}

/// An address of the laboratory that leads to what listens at one of loopback.
fn leading_to(server: impl ToSocketAddrs) -> Behaviour {
    let server = server.to_socket_addrs().unwrap().next().unwrap();
    let listener = TcpListener::bind((HOST_V4, 0)).expect("the laboratory's own address");
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else { return };
            for (mut from, mut to) in
                [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
            {
                std::thread::spawn(move || {
                    let _ = io::copy(&mut from, &mut to);
                    let _ = to.shutdown(Shutdown::Write);
                });
            }
        }
    });
    Behaviour::accept(ms(5)).to_port(port)
}

fn at(server: &Server) -> Behaviour {
    leading_to(("127.0.0.4", server.port()))
}

/// What is said of an address.
fn said(report: &Value, address: impl ToString) -> Vec<String> {
    let address = address.to_string();
    let addresses = report["addresses"].as_array().unwrap();
    let of = |it: &&Value| {
        let it: SocketAddr = it["address"].as_str().unwrap().parse().unwrap();
        it.ip().to_string() == address
    };
    let found = addresses.iter().find(of).unwrap_or_else(|| panic!("{address} is not in {report}"));
    found["findings"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The names of all findings.
fn findings(report: &Value) -> Vec<&str> {
    report["findings"].as_array().unwrap().iter().map(|finding| finding["name"].as_str().unwrap()).collect()
}

/// How long a client waits, in milliseconds, and whether it is served.
fn wait(report: &Value, client: &str) -> (u64, bool) {
    let waits = report["waits"].as_array().unwrap();
    let wait = waits.iter().find(|wait| wait["client"] == client).unwrap();
    (wait["elapsed_us"].as_u64().unwrap() / 1000, wait["serves"].as_bool().unwrap())
}

#[test]
fn a_host_that_is_well() {
    let server = web("200 OK");
    let report = doctor(&["--json", &server.url("/page")]).exits(0).is_quiet().json();
    assert_eq!(findings(&report), [""; 0]);
    assert_eq!(server.requests().len(), 1);
    assert!(
        server.requests()[0].starts_with("HEAD /page HTTP/1.1\r\nHost: 127.0.0.4:"),
        "{:?}",
        server.requests()
    );
    let address = &report["addresses"][0];
    assert_eq!(
        (&address["status"], &address["serves"], &address["tls"]),
        (&200.into(), &true.into(), &Value::Null)
    );
    let ran = doctor(&[&server.url("/")]);
    let text = ran.exits(0).is_quiet().out();
    assert!(text.contains("\n- All is well: the only address serves.\n"), "{text}");
    // Anything but an answer of a front is one: the server speaks.
    let server = web("404 Not Found");
    let report = doctor(&["--json", &server.url("/")]).exits(0).json();
    assert_eq!(findings(&report), [""; 0]);
}

#[test]
fn addresses_that_are_dead_each_in_its_way() {
    in_namespace(|lab| {
        lab.set_sysctl("net/ipv4/tcp_syn_retries", "2");
        // Linux 6.5 and later have it.
        if std::path::Path::new("/proc/sys/net/ipv4/tcp_syn_linear_timeouts").exists() {
            lab.set_sysctl("net/ipv4/tcp_syn_linear_timeouts", "0");
        }
        let (good, bad) = (web("200 OK"), web("502 Bad Gateway"));
        let mute = TlsServer::silent();
        let closing = TlsServer::closing();
        lab.set(v4(1), Behaviour::refuse(ms(5)));
        // v4(2) is a black hole.
        lab.set(v4(3), at(&bad));
        lab.set(v4(4), leading_to(mute.address()));
        lab.set(v4(5), leading_to(closing.address()));
        lab.set(v4(6), Behaviour::unreachable(Unreachable::Host, ms(5)));
        lab.set(v4(7), at(&good));
        let all = (1..=7).map(|n| v4(n).to_string()).collect::<Vec<_>>().join(",");
        let [option, value] = resolve(80, &all);
        let ran = doctor(&["--json", &option, &value, "http://name.test/"]);
        let report = ran.exits(0).is_quiet().json();
        assert_eq!(said(&report, v4(1)), ["refused"]);
        assert_eq!(said(&report, v4(2)), ["silent"]);
        for front in [3, 4, 5] {
            assert_eq!(said(&report, v4(front)), ["front_without_back_end"], "{front}");
        }
        assert_eq!(said(&report, v4(6)), ["unreachable"]);
        assert_eq!(said(&report, v4(7)), [""; 0]);
        // A round trip, seven seconds of silence, and then a front that has nothing to say.
        let (plain, serves) = wait(&report, "plain");
        assert!((7_000..8_000).contains(&plain) && !serves, "{plain} {serves}");
        let (eyeballs, serves) = wait(&report, "happy_eyeballs");
        assert!((250..2_000).contains(&eyeballs) && !serves, "{eyeballs} {serves}");
        let (connie, serves) = wait(&report, "connie");
        assert!(connie < 250 && serves, "{connie} {serves}");

        let ran = doctor(&[&option, &value, "http://name.test/"]);
        let text = ran.exits(0).out().split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "1 of 7 addresses serves: 10.9.0.7.",
            "10.9.0.1 refuses connections to port 80",
            "10.9.0.2 is silent: no answer to a SYN for 500 ms.",
            "10.9.0.3 answers 502 Bad Gateway: the front end works, and its back end does not.",
            "10.9.0.4 accepts the connection and the request, and does not answer within 500 ms",
            "10.9.0.5 accepts the connection and closes it without an answer",
            "10.9.0.6 is unreachable",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    });
}

#[test]
fn one_family_that_is_broken() {
    in_namespace(|lab| {
        let server = web("200 OK");
        lab.set(v4(1), at(&server));
        let both = format!("{},{}", v6(1), v4(1));
        let [option, value] = resolve(80, &both);
        // Nothing comes back.
        let report = doctor(&["--json", &option, &value, "name.test:80"]).exits(0).json();
        assert_eq!(said(&report, v6(1)), ["ipv6_broken", "silent"]);
        let (eyeballs, _) = wait(&report, "happy_eyeballs");
        assert!((250..2_000).contains(&eyeballs), "{eyeballs}");
        // What to do about that is said once.
        let text = |finding: usize| report["findings"][finding]["text"].as_str().unwrap().to_owned();
        assert!(text(0).contains("repair IPv6 here"), "{}", text(0));
        assert_eq!(text(1), format!("{} gives no answer to a SYN for 500 ms.", v6(1)));
        // A router says so.
        lab.set(v6(1), Behaviour::unreachable(Unreachable::Network, ms(5)));
        let report = doctor(&["--json", &option, &value, "name.test:80"]).exits(0).json();
        assert_eq!(said(&report, v6(1)), ["ipv6_broken"]);
        // The address refuses: the way there is well.
        lab.set(v6(1), Behaviour::refuse(ms(5)));
        let report = doctor(&["--json", &option, &value, "name.test:80"]).exits(0).json();
        assert_eq!(said(&report, v6(1)), ["refused"]);
        // There is no route, and so nothing to be broken.
        let [option, value] = resolve(80, &format!("2001:db8::1,{}", v4(1)));
        let report = doctor(&["--json", &option, &value, "name.test:80"]).exits(0).json();
        assert_eq!(said(&report, "2001:db8::1"), ["no_ipv6_here"]);
        assert_eq!(report["findings"][0]["fault"], false);
        assert_eq!(report["addresses"][0]["source"], Value::Null);
    });
}

/// One sentence for all addresses that are in the same state.
#[test]
fn what_several_addresses_have_is_said_once() {
    in_namespace(|lab| {
        let (bad, slow) =
            (web("500 Oops"), Server::dripping("127.0.0.4:0", "HTTP/1.1 200 OK\r\nX: xxxxxxxx\r\n\r\n", 2));
        let closing = TlsServer::closing();
        for (number, behaviour) in [(1, at(&bad)), (2, at(&slow))] {
            lab.set(v4(number), behaviour);
        }
        lab.set(v4(3), leading_to(closing.address()));
        lab.set(v4(4), leading_to(closing.address()));
        let all = (1..=4).map(|n| v4(n).to_string()).collect::<Vec<_>>().join(",");
        let [option, value] = resolve(80, &all);
        let ran = connie(["doctor", "--connect-timeout", "3", &option, &value, "http://name.test/"]);
        let text = ran.exits(0).out().split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "10.9.0.3 and 10.9.0.4 accept the connection and close it without an answer:",
            "10.9.0.1 answers, but with 500 to HEAD /: the server runs,",
            "10.9.0.2 takes 1.",
        ] {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
        let [option, value] = resolve(443, &all);
        let ran = connie(["doctor", "--connect-timeout", "1", &option, &value, "https://name.test/"]);
        let text = ran.exits(7).out().split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            text.contains("10.9.0.3 and 10.9.0.4 accept TCP connections and close them before TLS"),
            "{text}"
        );
    });
}

#[test]
fn name_servers_that_are_dead_or_disagree() {
    let server = web("200 OK");
    let name_server = |address: &str| {
        let dns = DnsServer::start(([127, 0, 0, 1], 0).into());
        dns.host("name.test", &[address.parse().unwrap()]);
        dns
    };
    let (good, stale, dead) = (name_server("127.0.0.4"), name_server("127.0.0.5"), name_server("127.0.0.4"));
    dead.set("name.test", RecordType::A, DnsAnswer::silent());
    dead.set("name.test", RecordType::Aaaa, DnsAnswer::silent());
    let servers = [&good, &stale, &dead].map(|dns| dns.address().to_string()).join(",");
    let url = format!("http://name.test:{}/", server.port());
    let report = doctor(&["--json", "--dns-server", &servers, &url]).exits(0).json();
    assert_eq!(findings(&report), ["refused", "no_answer_for_name", "name_servers_disagree"]);
    let differ = report["findings"][2]["text"].as_str().unwrap();
    assert!(differ.starts_with("The name servers know different A records:"), "{differ}");
    let silent = &report["findings"][1];
    assert_eq!(silent["addresses"], Value::from(vec![dead.address().to_string()]));
    assert!(silent["text"].as_str().unwrap().contains("no answer for AAAA and A records"), "{silent}");
    let addresses = report["addresses"].as_array().unwrap();
    assert_eq!(addresses.len(), 2, "{report}");
    // Each was asked by itself, for both families.
    assert_eq!(report["names"].as_array().unwrap().len(), 6);

    let report = doctor(&["--json", "--dns-server", &good.address().to_string(), "no-such.test"]);
    let report = report.exits(6).json();
    assert_eq!(findings(&report), ["no_such_name"]);
}

#[test]
fn certificates_and_fronts_that_never_begin_tls() {
    let authority = Authority::new();
    let page = |served: &mut connie_servers::Served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        served.close()
    };
    let file = authority.file();
    let file = file.path().to_str().unwrap().to_owned();
    in_namespace(move |lab| {
        let good = TlsServer::start(&authority.certify(&["name.test"]), page);
        let expired = TlsServer::start(&authority.certify_until_2001(&["name.test"]), page);
        let (mute, closing) = (TlsServer::silent(), TlsServer::closing());
        for (number, server) in [(1, &good), (2, &expired), (3, &mute), (4, &closing)] {
            lab.set(v4(number), leading_to(server.address()));
        }
        let all = (1..=4).map(|n| v4(n).to_string()).collect::<Vec<_>>().join(",");
        let [option, value] = resolve(443, &all);
        let report = doctor(&["--json", "--cacert", &file, &option, &value, "name.test"]).exits(0).json();
        assert_eq!(said(&report, v4(1)), [""; 0]);
        assert_eq!(said(&report, v4(2)), ["tls_failure"]);
        assert_eq!(said(&report, v4(3)), ["front_without_back_end"]);
        assert_eq!(said(&report, v4(4)), ["front_without_back_end"]);
        assert_eq!(report["addresses"][0]["status"], 200);
        // To TCP alone all are well.
        let line = ["--json", "--finish-line", "tcp", &option, &value, "name.test"];
        let report = doctor(&line).exits(0).json();
        assert_eq!(findings(&report), [""; 0]);
        assert_eq!(report["addresses"][1]["tls"], Value::Null);
    });
}

#[test]
fn what_speaks_no_tls_is_asked_without_unless_that_is_wanted() {
    let server = web("200 OK");
    let target = format!("127.0.0.4:{}", server.port());
    let report = doctor(&["--json", &target]).exits(0).json();
    assert_eq!(findings(&report), ["plain_http"]);
    assert_eq!(report["addresses"][0]["status"], 200);
    // One that waits for the end of a request has not said that it speaks no TLS.
    let report = doctor(&["--json", &format!("https://{target}/")]).exits(7).json();
    assert_eq!(findings(&report), ["front_without_back_end"]);
    let server = TlsServer::plain_http();
    let report = doctor(&["--json", &server.address().to_string()]).exits(0).json();
    assert_eq!((findings(&report), &report["addresses"][0]["status"]), (vec!["plain_http"], &400.into()));
    let report = doctor(&["--json", &format!("https://{}/", server.address())]).exits(7).json();
    assert_eq!(findings(&report), ["no_tls"]);
}

#[test]
fn the_exit_code_says_whether_an_address_serves() {
    doctor(&["127.0.0.1:1"]).exits(7).says_lines(1).says("no address of 127.0.0.1 serves on port 1");
    doctor(&["a.invalid"]).exits(6).says_lines(1).says("a.invalid has no address");
    doctor(&["name.test:x"]).exits(3).says_lines(1);
    doctor(&[&web("503 Service Unavailable").url("/")]).exits(7);
}
