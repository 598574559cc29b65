//! `--memory`: what one connection has learnt the next one goes by, in one run and in the next.
//! `connie memory` shows it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use connie_servers::{Authority, TlsServer};
use serde_json::{Value, json};

use crate::server::{End, Server};
use crate::support::{connie, fresh_path};

/// Three addresses of one name that answer, and how to tell the program of them.
fn hosts() -> (Vec<TcpListener>, SocketAddr, String) {
    let first = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 31), 0)).unwrap();
    let port = first.local_addr().unwrap().port();
    let others = [32, 33].map(|last| TcpListener::bind((Ipv4Addr::new(127, 0, 0, last), port)).unwrap());
    let resolve = format!("name.test:{port}:127.0.0.31,127.0.0.32,127.0.0.33");
    (std::iter::once(first).chain(others).collect(), (Ipv4Addr::LOCALHOST, port).into(), resolve)
}

/// How many attempts a race to them took.
fn attempts(hosts: &(Vec<TcpListener>, SocketAddr, String), options: &[&str]) -> usize {
    let target = format!("name.test:{}", hosts.1.port());
    let arguments = ["race", &target, "--json", "--resolve", &hosts.2];
    let ran = connie(arguments.into_iter().chain(options.iter().copied()));
    ran.exits(0).json()["attempts"].as_array().expect("a list").len()
}

#[test]
fn the_second_run_starts_one_address() {
    let hosts = hosts();
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    // And in one visit of 32 another that is explored.
    let starts_one = |options: &[&str]| assert!((1..=2).contains(&attempts(&hosts, options)));
    assert_eq!(attempts(&hosts, &["--memory", file]), 3);
    starts_one(&["--memory", file]);
    // The last of the two counts.
    assert_eq!(attempts(&hosts, &["--memory", file, "--no-memory"]), 3);
    starts_one(&["--no-memory", "--memory", file]);
    assert_eq!(attempts(&hosts, &[]), 3);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_is_none_is_an_error_of_one_line_and_stays_as_it_is() {
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "hello").unwrap();
    for command in [["race", "127.0.0.1:1"], ["get", "http://127.0.0.1:1/"]] {
        let line = format!("connie: {file}: not a memory that this version wrote\n");
        connie(command.into_iter().chain(["--memory", file])).exits(26).says_lines(1).says(&line);
    }
    assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    std::fs::remove_file(path).unwrap();
}

/// By what a race was planned, in each way to report it.
#[test]
fn every_report_says_why() {
    let hosts = hosts();
    let paths = ["memory", "race.qlog", "race.svg"].map(fresh_path);
    let [file, qlog, svg] = paths.each_ref().map(|path| path.to_str().unwrap());
    let target = format!("name.test:{}", hosts.1.port());
    let race = |more: &[&str]| {
        let ran = connie(["race", &target, "--resolve", &hosts.2].iter().chain(more));
        ran.exits(0).is_quiet().out()
    };
    // Without a file a host is new in any case.
    assert!(!race(&[]).contains("memory: ") && !race(&["--no-memory"]).contains("memory: "));
    let new = race(&["--memory", file]);
    assert!(new.ends_with("\n\nmemory: whole race: the host was never met here; 3 unknown\n"), "{new}");
    let known = race(&["--memory", file, "--qlog", qlog, "--svg", svg]);
    let line = known.lines().last().unwrap();
    assert!(
        line.starts_with("memory: lead: ") && line.contains(" ms +-") && line.contains(", seen "),
        "{known}"
    );
    assert!(line.contains("; next at "), "{known}");
    let drawn = std::fs::read_to_string(svg).unwrap();
    // It may be wrapped.
    let texts = drawn.split("<text").filter_map(|text| text.split_once('>')?.1.split_once("</text>"));
    let texts: Vec<&str> = texts.map(|(text, _)| text).collect();
    assert!(texts.join(" ").contains(line), "{line}: {drawn}");
    let events: Value = serde_json::from_str(&std::fs::read_to_string(qlog).unwrap()).unwrap();
    let events = events["traces"][0]["events"].as_array().unwrap();
    let plans: Vec<&Value> = events.iter().filter_map(|event| event["data"].get("connie_plan")).collect();
    assert_eq!(plans.len(), 1, "{events:?}");
    let told: Value = serde_json::from_str(&race(&["--memory", file, "--json"])).unwrap();
    // One that is explored beside the lead may be sooner.
    assert!([&told["plan"]["lead"], &told["plan"]["explored"]].contains(&&told["winner"]), "{told}");
    for plan in [plans[0], &told["plan"]] {
        assert_eq!((&plan["whole"], &plan["lead"]), (&Value::Null, &told["plan"]["lead"]), "{plan}");
        assert!(plan["lead"].is_string(), "{plan}");
        assert_eq!(plan["addresses"].as_array().map(Vec::len), Some(3));
    }
    let told: Value = serde_json::from_str(&race(&["--no-memory", "--json"])).unwrap();
    assert!(told.get("plan").is_none(), "{told}");
    paths.iter().for_each(|path| std::fs::remove_file(path).unwrap());
}

/// The second connection of a run goes by what the first has learnt, and says so.
#[test]
fn verbose_says_why() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage";
    let server = Server::answering("127.0.0.37:0", page, End::Close);
    let port = server.port();
    let resolve = format!("name.test:{port}:127.0.0.38,127.0.0.37");
    let url = format!("http://name.test:{port}/");
    let run = |more: &[&str]| {
        let arguments = ["get", "-v", &url, &url, "--resolve", &resolve];
        connie(arguments.iter().chain(more)).exits(0).prints("pagepage").stderr.clone()
    };
    let said = run(&[]);
    let told: Vec<&str> = said.lines().filter(|line| line.starts_with("* memory: ")).collect();
    assert!(told.len() == 1 && told[0].starts_with("* memory: lead: "), "{said}");
    assert!(told[0].contains("; 1 demoted") || told[0].contains("; explored: "), "{said}");
    assert!(!run(&["--no-memory"]).contains("memory: "));
}

/// The addresses that `connie memory --json` tells of.
#[track_caller]
fn told(path: &Path) -> Vec<Value> {
    let shown = connie(["memory", "--json", path.to_str().unwrap()]).exits(0).is_quiet().json();
    assert!(shown["age_us"].as_u64() < Some(60_000_000), "{shown}");
    shown["addresses"].as_array().expect("a list").clone()
}

#[test]
fn what_is_remembered_is_shown() {
    let server = TcpListener::bind((Ipv4Addr::new(127, 0, 0, 34), 0)).unwrap();
    let port = server.local_addr().unwrap().port();
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    let resolve = format!("name.test:{port}:127.0.0.35,127.0.0.34");
    let race = || {
        connie(["race", "-s", &format!("name.test:{port}"), "--resolve", &resolve, "--memory", file])
            .exits(0);
    };
    race();
    let known = told(&path);
    let [won, refused] = &known[..] else { panic!("{known:?}") };
    assert_eq!(won["address"], format!("127.0.0.34:{port}"));
    assert_eq!(
        (&won["may_lead"], &won["has_led"], &won["finish"]),
        (&json!(true), &json!(false), &json!("tcp"))
    );
    assert!(won["round_trip_us"].as_u64() > Some(0) && won["variation_us"].is_u64(), "{won}");
    assert_eq!((&won["paused_us"], &won["failures"]), (&Value::Null, &json!(0)));
    assert_eq!(refused["address"], format!("127.0.0.35:{port}"));
    assert_eq!((&refused["round_trip_us"], &refused["failures"]), (&Value::Null, &json!(1)));
    assert!(refused["paused_us"].as_u64().is_some_and(|left| left < 7_600_000), "{refused}");
    assert_eq!((&won["host_hash"], &won["network"]), (&refused["host_hash"], &refused["network"]));
    race();
    assert_eq!(told(&path)[0]["has_led"], true);

    let table = connie(["memory", file]).exits(0).is_quiet().out();
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with(&format!("{file}: 2 addresses, last used by 1 host, written ")), "{table}");
    assert!(lines[2].trim_start().starts_with("host ") && lines[2].ends_with("seen"), "{table}");
    assert!(lines[3].contains("127.0.0.34") && lines[3].ends_with("  has led"), "{table}");
    assert!(lines[4].contains("127.0.0.35") && lines[4].contains("  failed, comes last for "), "{table}");
    assert!(!table.contains("name.test"), "names are in no memory");
    std::fs::remove_file(path).unwrap();
}

/// What is known of TLS and of TCP is told apart, on the same network.
#[test]
fn the_finish_line_is_shown() {
    let authority = Authority::new();
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\nConnection: close\r\n\r\npage";
    let secure = TlsServer::start(&authority.certify(&["127.0.0.1"]), move |served| {
        served.read_head()?;
        served.write_all(page.as_bytes())?;
        served.close()
    });
    let plain = Server::serving("127.0.0.1:0", "page");
    let path = fresh_path("memory");
    let (file, trusted) = (path.to_str().unwrap(), authority.file());
    let urls = [format!("https://{}/", secure.address()), plain.url("/")];
    let options = ["--cacert", trusted.path().to_str().unwrap(), "--memory", file];
    connie(["get", &urls[0], &urls[1]].iter().chain(&options)).exits(0).prints("pagepage");
    let mut known = told(&path);
    known.sort_by_key(|it| it["finish"].to_string());
    assert_eq!(known.iter().map(|it| &it["finish"]).collect::<Vec<_>>(), ["tcp", "tls"]);
    assert_eq!(known[0]["network"], known[1]["network"]);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn only_its_owner_reads_the_file_and_nothing_is_left_beside_it() {
    let hosts = hosts();
    let directory = fresh_path("kept");
    std::fs::create_dir(&directory).unwrap();
    let path = directory.join("memory");
    for _ in 0..2 {
        attempts(&hosts, &["--memory", path.to_str().unwrap()]);
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(&directory).unwrap().count(), 1);
        // Whatever it had before.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    }
    // A run that reaches nobody writes it as well, and its own failure is what is told.
    let nobody = ["race", "127.0.0.36:1", "--memory", path.to_str().unwrap()];
    connie(nobody).exits(7).says_lines(1);
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::remove_dir_all(&directory).unwrap();
    let line = format!("could not write to {}: No such file or directory", path.display());
    let target = format!("127.0.0.31:{}", hosts.1.port());
    connie(["race", "-s", &target, "--memory", path.to_str().unwrap()]).exits(23).says_lines(1).says(&line);
    connie(["race", "127.0.0.36:1", "--memory", path.to_str().unwrap()]).exits(7).says_lines(1);
}

#[test]
fn a_symbolic_link_stays_one() {
    let hosts = hosts();
    let directory = fresh_path("linked");
    std::fs::create_dir_all(directory.join("there")).unwrap();
    let (link, file) = (directory.join("link"), directory.join("there/file"));
    // One that leads nowhere yet, too, and from the directory that it is in.
    std::os::unix::fs::symlink("there/file", &link).unwrap();
    for _ in 0..2 {
        attempts(&hosts, &["--memory", link.to_str().unwrap()]);
        assert_eq!(std::fs::read_link(&link).unwrap(), Path::new("there/file"));
        assert!(std::fs::metadata(&file).unwrap().len() > 12);
    }
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn what_cannot_be_shown_is_an_error_of_one_line() {
    let path = fresh_path("memory");
    let file = path.to_str().unwrap();
    let fails = |line: &str| {
        for json in [&[][..], &["--json"]] {
            let ran = connie(["memory", file].iter().chain(json));
            ran.exits(26).prints("").says_lines(1).says(&format!("connie: {line}\n"));
        }
    };
    fails(&format!("could not read {file}: No such file or directory"));
    std::fs::create_dir(&path).unwrap();
    fails(&format!("could not read {file}: Is a directory"));
    std::fs::remove_dir(&path).unwrap();
    // As `mktemp` makes one: nothing is known.
    std::fs::write(&path, "").unwrap();
    connie(["memory", file]).exits(0).is_quiet();
    for content in ["hello", "cnm1"] {
        std::fs::write(&path, content).unwrap();
        let why =
            if content == "cnm1" { "the memory is cut off" } else { "not a memory that this version wrote" };
        fails(&format!("{file}: {why}"));
    }
    std::fs::remove_file(path).unwrap();
    connie(["memory"]).exits(2).prints("").says_lines(1).says("<FILE>");
    for command in [["race", "h:1"], ["get", "h"]] {
        let ran = connie(command.into_iter().chain(["--memory", "-"]));
        ran.exits(2).prints("").says_lines(1).says("give a file");
    }
}
