//! connie built for Windows, under Wine: connie-std's own tests that need no namespace, and the program. What
//! that shows of Windows, and what it cannot, is told in docs/windows.md.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Command;

use connie_tests::servers::{BlackHole, Live, LiveCounts, closed_port};
use connie_tests::wine::{Ran, Wine};
use serde_json::{Value, json};

/// TLS is left out: it would double the time to build, and has nothing of Windows but where the machine's
/// authorities are.
const FEATURES: [&str; 2] = ["--no-default-features", "--features=br,dns,getaddrinfo,gzip,serde,tokio,zstd"];

/// Tests that do not run, of files of which others do: how they begin, and why.
const NOT_HERE: [(&str, &str); 15] = [
    ("src/lib.rs dns::config::tests::interfaces_have_names", "by their names on Linux"),
    ("src/lib.rs tls::", "without TLS"),
    ("tests/observer.rs tls::", "without TLS"),
    ("src/lib.rs connected::tests::", "descriptors are Unix's"),
    ("tests/targets.rs tls::", "without TLS"),
    ("src/lib.rs tokio_net::stack::tests::", "what Linux alone shows of a socket"),
    ("tests/loopback.rs a_refusal_tells_more_than_that_there_is_no_way", "Linux's answer to a group"),
    ("tests/budget.rs an_address_that_has_failed", "a refusal takes Windows some two seconds"),
    ("src/lib.rs error::tests::a_process_at_its_limit_is_told_what_to_do", "advice on Unix"),
    ("tests/memory.rs a_lead_that_falls_silent", "a queue that is made full"),
    ("tests/memory.rs a_link_where_it_writes_first", "links are Unix's"),
    ("tests/memory_verdicts.rs tls::", "without TLS"),
    ("tests/tokio.rs a_race_that_is_dropped_has_taught", "a queue that is made full"),
    ("tests/black_hole.rs a_descriptor_of_the_programs_own_ends_it", "descriptors are Unix's"),
    (
        "tests/tokio.rs an_error_of_a_socket_wakes_the_look_up",
        "Wine takes a datagram socket's error for itself",
    ),
];

/// Wine 8's own server sometimes crashes under a thousand tasks at once; two hundred are among the rest.
const LEFT_OUT: &str = "tests/tokio_crowd.rs";

/// `WSAECONNREFUSED`.
const REFUSED: i32 = 10_061;

#[track_caller]
fn exits(code: i32, ran: &Ran) {
    assert_eq!(ran.code, Some(code), "{}{}", ran.stdout, ran.stderr);
}

/// A test program, where cargo says in this line that it has built one: its source, and where it is.
fn program(line: &str) -> Option<(&str, PathBuf)> {
    let (source, file) = line.trim_start().strip_prefix("Executable ")?.split_once(" (")?;
    let source = source.strip_prefix("unittests ").unwrap_or(source);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    Some((source, root.join(file.strip_suffix(')')?)))
}

/// Each test of the files that ran is one that ran here, or that does not on purpose.
#[track_caller]
fn none_is_lost(ran: &BTreeSet<String>) {
    let listed = include_str!("../all_tests.txt").lines().filter_map(|line| line.strip_prefix("connie-std "));
    let file = |test: &str| test.split(' ').next().map(str::to_owned);
    let files: BTreeSet<_> = ran.iter().filter_map(|test| file(test)).collect();
    let of_these = listed.filter(|test| file(test).is_some_and(|file| files.contains(&file)));
    let (not_here, here): (Vec<&str>, Vec<&str>) =
        of_these.partition(|test| NOT_HERE.iter().any(|(start, _)| test.starts_with(start)));
    let lost: Vec<_> = here.iter().filter(|test| !ran.contains(**test)).collect();
    assert!(lost.is_empty(), "these did not run, and NOT_HERE does not say why: {lost:#?}");
    let back: Vec<_> = not_here.iter().filter(|test| ran.contains(**test)).collect();
    assert!(back.is_empty(), "these ran, and NOT_HERE says that they do not: {back:#?}");
    for (start, why) in NOT_HERE {
        assert!(not_here.iter().any(|test| test.starts_with(start)), "NOT_HERE: there is no {start} ({why})");
    }
}

/// One test, since there is one Wine.
#[test]
fn connie_keeps_its_promises_on_wine() {
    let Some(mut wine) = Wine::find() else { return };
    let seen = the_tests_of_connie_std(&mut wine);
    let tool = ["--no-default-features", "--features=dns,gzip"];
    build(wine.cargo("build", "connie-cli").args(tool));
    let mut program = Program { file: wine.built("connie.exe"), wine };
    it_wins_and_resets_who_lost(&mut program);
    it_tells_what_became_of_each(&mut program);
    it_fetches_a_page(&mut program);
    none_is_lost(&seen);
}

/// What cargo has said meanwhile.
#[track_caller]
fn build(cargo: &mut Command) -> String {
    let built = cargo.output().expect("cargo");
    let told = String::from_utf8_lossy(&built.stderr).into_owned();
    assert!(built.status.success(), "{told}");
    told
}

/// Refusals, black holes, deadlines, canceling, a thousand races and the handles that they leave, over std
/// and over tokio. Answers which tests ran.
fn the_tests_of_connie_std(wine: &mut Wine) -> BTreeSet<String> {
    let told = build(wine.cargo("test", "connie-std").args(FEATURES).args(["--lib", "--tests", "--no-run"]));
    let mut seen = BTreeSet::new();
    for (source, file) in told.lines().filter_map(program).filter(|(source, _)| *source != LEFT_OUT) {
        let ran = wine.run(&file, &[]);
        exits(0, &ran);
        assert!(ran.stdout.contains("test result: ok. "), "{source}: {}", ran.stdout);
        let tests = ran.stdout.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... ok"));
        seen.extend(tests.map(|test| format!("{source} {}", test.trim_end_matches(" - should panic"))));
    }
    seen
}

/// `connie`, seen from outside of Wine, whose sockets are Linux's.
struct Program {
    wine: Wine,
    file: PathBuf,
}

impl Program {
    #[track_caller]
    fn run(&mut self, arguments: &[&str]) -> Ran {
        self.wine.run(&self.file, arguments)
    }
}

fn here(last: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, last).into()
}

fn it_wins_and_resets_who_lost(program: &mut Program) {
    let servers = [Live::silent((here(4), 0)), Live::silent((here(5), 0))];
    let port = servers[0].address().port();
    let other = Live::silent((here(6), port));
    let _hole = BlackHole::open((here(2), port));
    let resolve = format!("name.test:{port}:127.0.0.2,127.0.0.3,127.0.0.4,127.0.0.6");
    let ran = program.run(&["race", "--json", &format!("name.test:{port}"), "--resolve", &resolve]);
    exits(0, &ran);
    let race: Value = serde_json::from_str(&ran.stdout).expect("JSON");
    let attempts = race["attempts"].as_array().expect("attempts");
    assert_eq!(attempts.len(), 4, "{race}");
    assert_eq!((&attempts[1]["outcome"], &attempts[1]["error_number"]), (&json!("refused"), &json!(REFUSED)));
    let (won, lost) = if race["winner"] == servers[0].address().to_string() {
        (&servers[0], &other)
    } else {
        assert_eq!(race["winner"], other.address().to_string());
        (&other, &servers[0])
    };
    let ended = |counts: &LiveCounts| counts.accepted == 1 && counts.open == 0;
    let counts = lost.wait_until(ended);
    assert_eq!((counts.reset, counts.eof), (1, 0), "the loser");
    let counts = won.wait_until(ended);
    assert_eq!((counts.reset, counts.eof), (0, 1), "the winner, closed in order");
}

/// Only what was waited for has timed out.
fn it_tells_what_became_of_each(program: &mut Program) {
    let closed = closed_port(here(3));
    let refused = closed.address();
    let ran = program.run(&["race", &refused.to_string()]);
    exits(7, &ran);
    assert!(ran.stderr.contains(&format!("{refused}: connection refused")), "{}", ran.stderr);
    assert!(!ran.stderr.contains("timed out"), "{}", ran.stderr);
    let hole = BlackHole::open((here(2), 0));
    let ran = program.run(&["race", "--connect-timeout", "0.3", &hole.address().to_string()]);
    exits(28, &ran);
    assert!(ran.stderr.contains(&format!("{}: timed out", hole.address())), "{}", ran.stderr);
}

fn it_fetches_a_page(program: &mut Program) {
    let server = Live::http((here(1), 0), "the page\n");
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", server.address().port());
        let ran = program.run(&["get", &url]);
        exits(0, &ran);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("the page\n", ""));
    }
    server.wait_until(|counts| counts.answered == 2 && counts.open == 0);
}
