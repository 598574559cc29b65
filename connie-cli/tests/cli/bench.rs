//! `connie bench`: the contenders beside each other, on loopback and on the simulated internet.

use connie_servers::{Authority, BlackHole, TlsServer, closed_port};
use serde_json::Value;

use crate::server::Server;
use crate::support::{connie, fresh_path, resolve};

fn figures<'a>(report: &'a Value, contender: &str) -> &'a Value {
    let all = report["results"][0]["contenders"].as_array().expect("contenders");
    all.iter()
        .find(|figures| figures["name"] == contender)
        .unwrap_or_else(|| panic!("no {contender}: {report}"))
}

#[test]
fn where_the_first_address_is_dead_those_that_race_connect_and_the_plain_client_fails() {
    let server = Server::serving("127.0.0.4:0", "page");
    let port = server.port();
    let _hole = BlackHole::open(([127, 0, 0, 3], port));
    let [option, addresses] = resolve(port, "127.0.0.3,127.0.0.4");
    let url = format!("http://name.test:{port}/");
    let ran =
        connie(["bench", "--json", "--rounds", "3", "-m", "1", "--pause", "100", &url, &option, &addresses]);
    let report = ran.exits(0).is_quiet().json();
    assert_eq!(report["trials"].as_array().unwrap().len(), 3 * 4);
    let plain = figures(&report, "plain");
    assert_eq!((&plain["failures"], &plain["mean_us"]), (&3.into(), &1_000_000.0.into()));
    for racer in ["connie", "happy-eyeballs"] {
        let figures = figures(&report, racer);
        assert_eq!((&figures["failures"], &figures["sockets_mean"]), (&0.into(), &2.0.into()), "{racer}");
    }
    // RFC 8305 waits 250 ms for the dead one first.
    assert!(figures(&report, "happy-eyeballs")["median_us"].as_u64() >= Some(250_000));
    assert!(figures(&report, "connie")["ratio_to_plain"]["high"].as_f64() < Some(1.0));
    assert!(server.requests().is_empty(), "only connections were asked for");
}

#[test]
fn the_whole_page_is_fetched_where_that_is_measured() {
    let server = Server::serving("127.0.0.1:0", "page");
    let ran =
        connie(["bench", "--json", "--mode", "get", "--rounds", "2", "--pause", "100", &server.url("/a?b")]);
    let report = ran.exits(0).json();
    assert_eq!(report["measures"], "time to the last byte");
    assert!(report["trials"].as_array().unwrap().iter().all(|trial| trial["error"].is_null()), "{report}");
    let requests = server.requests();
    assert_eq!(requests.len(), 2 * 4);
    assert!(requests.iter().all(|request| request.starts_with("GET /a?b HTTP/1.1\r\n")), "{requests:?}");
}

#[test]
fn pages_come_over_tls_too() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")?;
        served.close()
    });
    let (url, file) = (format!("https://{}/", server.address()), authority.file());
    let bench = ["bench", "--json", "--mode", "get", "--rounds", "1", &url];
    let report = connie(bench.iter().chain(&["--cacert", file.path().to_str().unwrap()])).exits(0).json();
    assert!(report["trials"].as_array().unwrap().iter().all(|trial| trial["error"].is_null()), "{report}");
    let distrustful = connie(bench).exits(7).json();
    assert_eq!(figures(&distrustful, "connie")["failures"], 1, "{distrustful}");
}

#[test]
fn a_seed_replays_the_simulated_internet() {
    let bench =
        |seed: &str| connie(["bench", "--sim", "--rounds", "5", "--json", "--seed", seed]).exits(0).out();
    assert_eq!(bench("7"), bench("7"));
    assert_ne!(bench("7"), bench("8"));
}

#[test]
fn files_hold_every_trial() {
    let (csv, svg) = (fresh_path("bench.csv"), fresh_path("bench.svg"));
    let paths = [csv.to_str().unwrap(), svg.to_str().unwrap()];
    let ran = connie([
        "bench",
        "--sim",
        "--rounds",
        "3",
        "--contenders",
        "connie,plain",
        "--csv",
        paths[0],
        "--svg",
        paths[1],
    ]);
    let table = ran.exits(0).is_quiet().out();
    assert_eq!(table.lines().find(|line| line.chars().count() > 80), None, "{table}");
    let csv = std::fs::read_to_string(&csv).unwrap();
    let trials = connie_sim::sites::all().len() * 3 * 2;
    assert_eq!(csv.lines().count(), 1 + trials);
    let svg = std::fs::read_to_string(&svg).unwrap();
    let marks = svg.matches(" dot\"").count() + svg.matches(" cross\"").count();
    assert_eq!(marks, trials);
}

#[test]
fn a_bench_that_reached_nobody_says_why_and_fails() {
    let closed = closed_port([127, 0, 0, 1].into());
    let url = format!("http://{}/", closed.address());
    let ran = connie(["bench", "--rounds", "1", "--contenders", "connie,plain", &url]);
    let table = ran.exits(7).says("every trial failed").says_lines(1).out();
    let why = table.lines().filter(|line| line.to_lowercase().ends_with(": connection refused")).count();
    assert_eq!(why, 2, "{table}");
    assert!(!table.contains("of plain's time"), "{table}");
}

#[test]
fn other_peoples_servers_are_spared() {
    connie(["bench", "--rounds", "51", "http://127.0.0.1:1/"]).exits(2).says("--force").says_lines(1);
    connie(["bench", "--pause", "5", "http://127.0.0.1:1/"]).exits(2).says("--force").says_lines(1);
    connie(["bench", "http://name.invalid/"]).exits(6).says("could not resolve name.invalid").says_lines(1);
}

/// What visits of a kind came to.
#[track_caller]
fn visits<'a>(report: &'a Value, contender: &str, which: &str) -> &'a Value {
    &figures(report, contender)[which]
}

/// Two addresses answer, one refuses and one is silent: without a memory each visit starts all four, and one
/// of two handshakes is for nothing.
#[test]
fn of_visits_the_later_ones_go_by_what_the_first_has_learnt() {
    let server = Server::serving("127.0.0.4:0", "page");
    let port = server.port();
    let _other = std::net::TcpListener::bind(("127.0.0.6", port)).unwrap();
    let _hole = BlackHole::open(([127, 0, 0, 3], port));
    let [option, addresses] = resolve(port, "127.0.0.3,127.0.0.5,127.0.0.6,127.0.0.4");
    let url = format!("http://name.test:{port}/");
    let bench = ["bench", "--json", "--visits", "8", "--pause", "100", "-m", "1", &url, &option, &addresses];
    let contenders = ["--contenders", "connie,no-memory,happy-eyeballs"];
    let report = connie(bench.iter().chain(&contenders)).exits(0).is_quiet().json();
    assert_eq!((&report["visits"], &report["rounds"]), (&8.into(), &1.into()));
    assert_eq!(report["trials"].as_array().unwrap().len(), 8 * 3);
    let syns =
        |contender: &str, which: &str| visits(&report, contender, which)["sockets_mean"].as_f64().unwrap();
    assert_eq!(syns("connie", "first"), 4.0);
    assert_eq!(syns("no-memory", "later"), 4.0);
    // A visit may explore, or find its lead late on a machine that is busy.
    assert!(syns("connie", "later") < 2.0, "{report}");
    assert_eq!(visits(&report, "connie", "later")["count"], 7);
    let wasted = |contender: &str, which: &str| {
        visits(&report, contender, which)["wasted_handshakes_mean"].as_f64().unwrap()
    };
    // The one that answers and did not win. The loser may have answered before it could be given up.
    assert!((0.5..=1.0).contains(&wasted("no-memory", "later")), "{report}");
    assert!(wasted("connie", "later") <= 0.5 && wasted("happy-eyeballs", "first") <= 1.0, "{report}");
}

#[test]
fn a_bench_goes_on_with_a_file_of_memory() {
    let server = Server::serving("127.0.0.4:0", "page");
    let port = server.port();
    let [option, addresses] = resolve(port, "127.0.0.5,127.0.0.6,127.0.0.4");
    let (url, path) = (format!("http://name.test:{port}/"), fresh_path("memory"));
    let file = path.to_str().unwrap();
    let bench =
        ["bench", "--json", "--visits", "2", "--pause", "100", "--contenders", "connie", "--memory", file];
    let first = || {
        let report = connie(bench.iter().chain(&[&*url, &option, &addresses])).exits(0).json();
        visits(&report, "connie", "first")["sockets_mean"].as_f64().unwrap()
    };
    assert_eq!(first(), 3.0);
    // One, or two in one visit of 32.
    assert!(first() < 3.0);
    std::fs::write(&path, "hello").unwrap();
    connie(bench.iter().chain(&[&*url])).exits(26).prints("").says_lines(1).says("not a memory");
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn visits_to_the_simulated_internet_are_shown_and_replayed() {
    let bench = |more: &[&str]| {
        let arguments =
            ["bench", "--sim", "--visits", "30", "--rounds", "3", "--contenders", "connie,no-memory,plain"];
        connie(arguments.iter().chain(more)).exits(0).is_quiet().out()
    };
    let table = bench(&[]);
    assert_eq!(table.lines().find(|line| line.chars().count() > 80), None, "{table}");
    for head in ["  first visit     failed ", "  later visits    failed "] {
        assert_eq!(table.matches(head).count(), 5, "{table}");
    }
    assert_eq!(table.matches("    SYNs  wasted\n").count(), 10, "{table}");
    assert_eq!(bench(&["--json"]), bench(&["--json"]));
    let report: Value = serde_json::from_str(&bench(&["--json"])).unwrap();
    let syns =
        |contender: &str, which: &str| visits(&report, contender, which)["sockets_mean"].as_f64().unwrap();
    assert_eq!(
        (syns("connie", "first"), syns("no-memory", "first"), syns("no-memory", "later")),
        (12.0, 12.0, 12.0)
    );
    assert!(syns("connie", "later") <= 1.1, "{}", syns("connie", "later"));
    assert_eq!(visits(&report, "no-memory", "later")["wasted_handshakes_mean"], 11.0);
    let csv = bench(&["--csv", "-"]);
    assert_eq!(csv.lines().count(), 1 + 5 * 3 * 30 * 3);
    assert!(csv.starts_with("site,") && csv.lines().all(|line| line.split(',').count() >= 10), "{csv}");
}

#[test]
fn what_only_visits_have_is_refused_without_them() {
    for more in [["--contenders", "connie,no-memory"], ["--memory", "file"]] {
        connie(["bench", "http://127.0.0.1:1/"].iter().chain(&more))
            .exits(2)
            .says_lines(1)
            .says("--visits N");
    }
    connie(["bench", "--visits", "1", "h"]).exits(2).says_lines(1).says("a whole number from 2");
    connie(["bench", "--sim", "--visits", "2", "--memory", "f"]).exits(2).says_lines(1).says("--sim");
    connie(["bench", "--visits", "26", "--rounds", "2", "h"])
        .exits(2)
        .says_lines(1)
        .says("more than 50 visits");
    assert!(!std::path::Path::new("file").exists());
}
