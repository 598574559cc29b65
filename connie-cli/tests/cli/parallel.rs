//! `-Z`: several transfers at a time.

use std::collections::BTreeSet;
use std::process::Stdio;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use connie_lab::TcpState;
use connie_lab::sockets::tcp_sockets;
use connie_servers::{BlackHole, limits};
use rustix::process::{Pid, Signal, kill_process};

use crate::server::{End, Server};
use crate::site::{Asked, Reply, Site};
use crate::support::{Ran, connie, fresh_path, program, run};

/// More than the program keeps of a body until it is complete.
const LARGE: usize = 400_000;

/// Those who come here wait for each other.
struct Meeting {
    came: Mutex<usize>,
    changed: Condvar,
}

impl Meeting {
    fn new() -> Arc<Self> {
        Arc::new(Meeting { came: Mutex::new(0), changed: Condvar::new() })
    }

    /// Waits until `count` have come, or no more seem to. Says whether they have.
    fn of(&self, count: usize, at_most: Duration) -> bool {
        let mut came = self.came.lock().unwrap_or_else(PoisonError::into_inner);
        *came += 1;
        self.changed.notify_all();
        let waited = self.changed.wait_timeout_while(came, at_most, |came| *came < count);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }
}

/// A site whose answers wait until `count` requests have come.
fn together(count: usize, answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Site {
    let meeting = Meeting::new();
    Site::start(move |asked| match meeting.of(count, Duration::from_secs(20)) {
        true => answer(asked),
        false => Reply::status("500 Nobody else came", "", ""),
    })
}

/// `count` times what makes a URL different.
fn letters(count: u8) -> String {
    format!("/[a-{}]", char::from(b'a' + count - 1))
}

#[test]
fn all_are_fetched_at_the_same_time_and_each_body_stands_together() {
    for length in [1_000, LARGE] {
        let site = together(6, move |asked| Reply::ok(asked.target()[1..].repeat(length)));
        let ran = connie(["get", "-Z", &site.url(&letters(6))]);
        let mut bodies = ran.exits(0).is_quiet().stdout.clone();
        assert_eq!(bodies.len(), 6 * length);
        let seen: BTreeSet<u8> = bodies.chunks(length).map(|body| body[0]).collect();
        bodies.dedup();
        assert_eq!((bodies.len(), seen.len()), (6, 6), "each letter once");
    }
}

#[test]
fn no_more_than_allowed_are_under_way() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (meeting, seen) = (Meeting::new(), Arc::clone(&most));
    let site = Site::start(move |_| {
        seen.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        // Three of the first come, and nobody else does.
        meeting.of(4, Duration::from_millis(300));
        now.fetch_sub(1, Ordering::SeqCst);
        Reply::ok("x")
    });
    let ran = connie(["get", "-Z", "--parallel-max", "3", &site.url("/[1-12]")]);
    ran.exits(0).prints("xxxxxxxxxxxx").is_quiet();
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert!(site.connections() <= 3, "each goes on with a connection that another has left");
}

#[test]
fn one_at_a_time_has_one_connection_and_the_order_of_the_urls() {
    let site = Site::start(|asked| Reply::ok(asked.target()));
    let ran = connie(["get", "-Z", "--parallel-max", "1", &site.url("/[1-5]"), &site.url("/6")]);
    ran.exits(0).prints("/1/2/3/4/5/6").is_quiet();
    assert_eq!(site.connections(), 1);
}

#[test]
fn bodies_go_to_their_files_and_heads_as_a_whole_into_one() {
    let site = together(20, |asked| {
        let letter = &asked.target()[1..];
        Reply::status("200 OK", &format!("X-It: {}\r\n", letter.repeat(3_000)), letter)
    });
    let (folder, heads) = (fresh_path("folder"), fresh_path("heads"));
    std::fs::create_dir(&folder).unwrap();
    let mut command = program();
    command.current_dir(&folder).args(["get", "-Z", "-D", heads.to_str().unwrap()]);
    command.args(["-o", "is-#1", &site.url(&letters(20))]);
    run(&mut command, b"").exits(0).prints("").is_quiet();
    for letter in 'a'..='t' {
        let body = std::fs::read_to_string(folder.join(format!("is-{letter}"))).unwrap();
        assert_eq!(body, letter.to_string());
    }
    let heads = std::fs::read_to_string(heads).unwrap();
    let heads: Vec<_> = heads.split_terminator("\r\n\r\n").collect();
    assert_eq!(heads.len(), 20);
    let mut letters = BTreeSet::new();
    for head in heads {
        let (start, rest) = head.split_once("\r\nX-It: ").expect("the field");
        assert_eq!(start, "HTTP/1.1 200 OK");
        let letter = rest.get(..1).expect("a letter");
        assert_eq!(rest, format!("{}\r\nContent-Length: 1", letter.repeat(3_000)));
        letters.insert(letter);
    }
    assert_eq!(letters.len(), 20);
}

#[test]
fn heads_bodies_and_what_w_prints_stand_together() {
    let site = together(8, |asked| Reply::ok(asked.target()[1..].repeat(5)));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n";
    let format = "\n%{filename_effective}%{num_connects} %{http_code} %{exitcode}\n";
    let ran = connie(["get", "-Zi", "-D", "-", "-w", format, &site.url(&letters(8))]);
    let out = ran.exits(0).out();
    let mut parts: Vec<_> = out.split_inclusive("1 200 0\n").collect();
    parts.sort_unstable();
    let expected = |letter: char| format!("{head}{head}{}\n1 200 0\n", letter.to_string().repeat(5));
    assert_eq!(parts, ('a'..='h').map(expected).collect::<Vec<_>>());
}

#[test]
fn each_failure_has_a_line_and_the_last_one_gives_the_exit_code() {
    let silent = Server::answering("127.0.0.4:0", "", End::Wait);
    let site = Site::start(|_| Reply::ok("page"));
    let refused = "http://127.0.0.1:1/[1-20]";
    let ran = connie(["get", "-Z", "-m", "0.5", &silent.url("/"), refused, "ftq://h/", &site.url("/")]);
    ran.exits(28).prints("page").says_lines(22);
    let starts: BTreeSet<_> =
        ran.stderr.lines().filter_map(|line| line.split_once(": could not connect")).collect();
    assert_eq!(starts.len(), 20);
    connie(["get", "-Z", refused, &site.url("/")]).exits(7).prints("page").says_lines(20);
}

#[test]
fn a_failure_ends_the_others_where_that_is_asked_for() {
    let silent = Server::answering("127.0.0.4:0", "", End::Wait);
    let hole = BlackHole::open(([127, 0, 0, 5], 0));
    let black = format!("http://{}/", hole.address());
    let site = together(2, |_| Reply::status("404 No", "", ""));
    let pages = site.url("/{a,b}");
    let format = "%{exitcode}\n";
    // The last two are never begun.
    let ran = connie([
        "get",
        "-Zf",
        "--fail-early",
        "--parallel-max",
        "4",
        "-w",
        format,
        &silent.url("/"),
        &black,
        &pages,
        &site.url("/{c,d}"),
    ]);
    ran.exits(22).says_lines(4).says("the server answered 404 No");
    let mut codes: Vec<_> = ran.out().lines().map(str::to_owned).collect();
    codes.sort();
    assert_eq!(codes[2..], ["42", "42"], "of the silent ones");
    assert_eq!(codes[0], "22");
    assert_eq!(site.asked().len(), 2);
    let stopped = format!("connie: {black}: stopped, since another transfer has failed\n");
    ran.says(&stopped);
}

#[test]
fn a_bad_pattern_is_told_before_anything_is_fetched() {
    let site = Site::start(|_| Reply::ok("page"));
    connie(["get", "-Z", &site.url("/"), &site.url("/{a")]).exits(3).prints("").says_lines(1);
    assert_eq!(site.asked().len(), 0);
}

#[test]
fn a_reader_that_goes_away_ends_all_of_it_quietly() {
    let site = together(3, |asked| match asked.target() {
        "/c" => Reply::Continue,
        target => Reply::ok(target.repeat(LARGE)),
    });
    let mut command = program();
    command.args(["get", "-Z", &site.url(&letters(3))]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let output = limits::finish(child).unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(23));
}

#[test]
fn what_is_not_printed_yet_is_taken_back_by_another_try() {
    let tries = AtomicUsize::new(0);
    let site = Site::start(move |asked| match asked.target() {
        "/a" if tries.fetch_add(1, Ordering::SeqCst) == 0 => Reply::ok("once only").cut(5),
        "/a" => Reply::ok("once only"),
        _ => Reply::ok("other"),
    });
    let ran = connie([
        "get",
        "-Z",
        "--retry",
        "1",
        "--retry-all-errors",
        "--retry-delay",
        "0.05",
        &site.url("/{a,b}"),
    ]);
    let out = ran.exits(0).says_lines(1).out();
    assert!(["otheronce only", "once onlyother"].contains(&&*out), "{out}");
    ran.says(&format!("connie: {}: ", site.url("/a"))).says("0 tries left after that");
}

#[test]
fn a_body_that_does_not_end_keeps_the_others_no_longer_than_they_have() {
    let (tries, meeting) = (AtomicUsize::new(0), Meeting::new());
    let site = Site::start(move |asked| match asked.target() {
        // Its second try begins later, and so does the time that it has.
        "/endless" if tries.fetch_add(1, Ordering::SeqCst) == 0 => Reply::status("503 Busy", "", ""),
        "/endless" => Reply::ok("e".repeat(LARGE + 1)).cut_and_kept(1),
        // Nobody else comes: it answers when the other one has stdout.
        _ => {
            meeting.of(2, Duration::from_millis(900));
            Reply::ok("o".repeat(LARGE))
        }
    });
    let options = ["get", "-Z", "-m", "1.4", "--retry", "1", "--retry-delay", "0.4", "-w", "%{exitcode}"];
    let ran = connie(options.iter().copied().chain([&*site.url("/endless"), &site.url("/")]));
    ran.exits(28).says_lines(3).says("another transfer had stdout for all the time allowed");
    let mut out = ran.stdout.clone();
    out.dedup();
    assert_eq!(String::from_utf8(out).unwrap(), "e28o0", "what had come, and another try of the other one");
    assert_eq!(ran.stdout.len(), 2 * LARGE + "280".len());
}

/// A site with a body that does not end, of which more comes than waits for its end. The first of its other
/// pages comes when that one has stdout.
fn beside_an_endless_body(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Site {
    let (meeting, is_first) = (Meeting::new(), AtomicUsize::new(0));
    Site::start(move |asked| match asked.target() {
        "/endless" => Reply::ok("e".repeat(LARGE + 1)).cut_and_kept(1),
        _ => {
            if is_first.fetch_add(1, Ordering::SeqCst) == 0 {
                // Nobody else comes.
                meeting.of(2, Duration::from_millis(900));
            }
            answer(asked)
        }
    })
}

#[test]
fn a_failure_counts_at_once_though_another_transfer_has_stdout() {
    let site = beside_an_endless_body(|_| Reply::status("404 No", "", ""));
    let options = ["get", "-Zf", "--fail-early", "-m", "6", "-w", "%{http_code}\n"];
    let ran = connie(options.iter().copied().chain([&*site.url("/{endless,no}")]));
    ran.exits(22).says("the server answered 404 No").says("stopped, since another transfer has failed");
    assert_eq!(ran.out().trim_start_matches('e'), "200\n404\n");
}

#[test]
fn a_small_body_that_is_complete_waits_for_no_other() {
    let site = beside_an_endless_body(|asked| match asked.target() {
        "/no" => Reply::status("404 No", "", ""),
        target => Reply::ok(target),
    });
    let options = ["get", "-Zf", "--fail-early", "--parallel-max", "2", "-m", "6"];
    let ran = connie(options.iter().copied().chain([&*site.url("/{endless,1,2,3,no}")]));
    // The last of them ends the one that has stdout.
    ran.exits(22).says("the server answered 404 No");
    assert_eq!(ran.out().trim_start_matches('e'), "/1/2/3");
    assert_eq!(ran.stdout.len(), LARGE + "/1/2/3".len());
}

#[test]
fn of_many_bodies_behind_another_none_is_lost() {
    const LENGTH: usize = 250_000;
    // More than one transfer prints for others.
    let site = beside_an_endless_body(|asked| Reply::ok(asked.target()[1..].repeat(LENGTH)));
    let urls = [site.url("/endless"), site.url(&letters(20).to_ascii_uppercase())];
    let ran = connie(["get", "-Z", "-m", "3", "-w", "", &urls[0], &urls[1]]);
    let mut out = ran.exits(28).stdout.clone();
    assert_eq!(out.len(), LARGE + 20 * LENGTH);
    let bodies: BTreeSet<u8> = out[LARGE..].chunks(LENGTH).map(|body| body[0]).collect();
    out.dedup();
    assert_eq!((out.len(), bodies.len()), (21, 20), "each once, and together");
}

#[test]
fn a_pattern_of_many_files_is_counted_at_once() {
    let site = Site::start(|_| Reply::ok("page"));
    let ran =
        connie(["get", "-Z", "--fail-early", "-T", "/no[1-10000000000]", &site.url("/[1-10000000000]")]);
    ran.exits(26).prints("").says("could not read /no1: ");
}

#[test]
fn the_lines_of_v_tell_the_transfers_apart() {
    let site = together(2, |asked| Reply::status("200 OK", &format!("X-At: {}\r\n", asked.target()), ""));
    let ran = connie(["get", "-Zv", &site.url("/{a,b}")]);
    for (number, path) in [(1, "/a"), (2, "/b")] {
        ran.says(&format!("[{number}] > GET {path} HTTP/1.1\n[{number}] > Host: "));
        ran.says(&format!("[{number}] < HTTP/1.1 200 OK\n[{number}] < X-At: {path}\n"));
        ran.says(&format!("[{number}] * connected to 127.0.0.4"));
    }
    ran.exits(0);
}

#[test]
fn one_url_is_fetched_as_ever() {
    let site = Site::start(|_| Reply::ok("page"));
    let ran = connie(["get", "-Zv", &site.url("/")]);
    ran.exits(0).prints("page").says("\n> GET / HTTP/1.1\n");
    connie(["get", "-Z", "http://127.0.0.1:1/"]).exits(7).says("connie: could not connect");
}

/// How many SYNs to `hole` the program has on the way at a time, with eight transfers.
fn syns_at_a_time(hole: &BlackHole, options: &[&str]) -> usize {
    let url = format!("http://{}/[1-8]", hole.address());
    // Without a memory, by which one race waits for what another learns.
    let mut command = program();
    command.args(["get", "-Z", "--no-memory", "--connect-timeout", "1", &url]).args(options);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let sockets = tcp_sockets().unwrap();
        let syns = sockets.iter().filter(|it| it.remote == hole.address() && it.state == TcpState::SynSent);
        most = most.max(syns.count());
        a_while(5);
    }
    assert_eq!(child.wait().unwrap().code(), Some(28));
    most
}

#[allow(clippy::disallowed_methods, reason = "the kernel tells nobody that a socket has changed")]
fn a_while(milliseconds: u64) {
    std::thread::sleep(Duration::from_millis(milliseconds));
}

#[test]
fn the_attempts_of_all_races_are_counted_together() {
    let hole = BlackHole::open(([127, 0, 0, 6], 0));
    for most in [1, 3] {
        assert_eq!(syns_at_a_time(&hole, &["--max-in-flight", &most.to_string()]), most);
    }
    // Unless told otherwise each has one at least, and a second attempt where there is room.
    assert!((8..=16).contains(&syns_at_a_time(&hole, &[])));
}

#[test]
fn who_waits_for_the_attempts_of_others_is_told_so() {
    let hole = BlackHole::open(([127, 0, 0, 7], 0));
    let to_hole = Reply::to("302 Found", &format!("http://{}/", hole.address()));
    let Reply::Keep(to_hole) = to_hole else { panic!("it keeps the connection") };
    let (tries, meeting) = (AtomicUsize::new(0), Meeting::new());
    let site = Site::start(move |asked| match asked.target() {
        // Its second try begins later, and so does the time that it has.
        "/holds" if tries.fetch_add(1, Ordering::SeqCst) == 0 => Reply::status("503 Busy", "", ""),
        "/holds" => Reply::Keep(to_hole.clone()),
        _ => {
            meeting.of(9, Duration::from_millis(900));
            Reply::Keep(to_hole.clone())
        }
    });
    let options = ["-ZL", "--no-memory", "-m", "1.5", "--retry", "1", "--retry-delay", "0.4"];
    let ran = connie(["get"].iter().chain(&options).copied().chain([
        "--max-in-flight",
        "1",
        &site.url("/{holds,waits}"),
    ]));
    let waited =
        "other transfers had all sockets in the time allowed; allow more of them with --max-in-flight";
    ran.exits(28).says(waited);
}

#[test]
fn connections_are_not_counted_with_attempts() {
    let site = together(5, |_| Reply::ok("x"));
    connie(["get", "-Z", "--max-in-flight", "1", &site.url("/[1-5]")]).exits(0).prints("xxxxx");
    assert_eq!(site.connections(), 5);
}

/// The attempts of eight transfers of a name with three addresses.
fn attempts(options: &[&str]) -> usize {
    let sites: Vec<_> = [41, 42, 43].map(|last| format!("127.0.0.{last}")).into();
    let first = Server::serving(&format!("{}:0", sites[0]), "x");
    let port = first.port();
    let _others = [1, 2].map(|at| Server::serving(&format!("{}:{port}", sites[at]), "x"));
    let resolve = format!("name.test:{port}:{}", sites.join(","));
    let url = format!("http://name.test:{port}/[1-8]");
    let mut command = program();
    command.args(["get", "-Z", "--report", "json", "--resolve", &resolve, "-o", "/dev/null", &url]);
    let ran = run(command.args(options), b"");
    let lines = ran.exits(0).out();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), 8);
    let numbers = |line: &serde_json::Value| line["race"]["attempts"].as_array().map_or(0, Vec::len);
    lines.iter().map(numbers).sum()
}

#[test]
fn one_transfer_learns_from_another() {
    let (with, without) =
        (attempts(&["--parallel-max", "2"]), attempts(&["--parallel-max", "2", "--no-memory"]));
    assert!(with < without, "{with} of {without}");
}

#[test]
fn what_all_have_learnt_is_kept_in_one_file() {
    let (site, other) = (Server::serving("127.0.0.44:0", "x"), Server::serving("127.0.0.45:0", "x"));
    let file = fresh_path("memory");
    let file = file.to_str().unwrap();
    connie(["get", "-Z", "--memory", file, &site.url("/"), &other.url("/")]).exits(0).prints("xx");
    let memory = connie(["memory", "--json", file]).exits(0).json();
    let addresses: BTreeSet<_> =
        memory["addresses"].as_array().unwrap().iter().map(|it| it["address"].to_string()).collect();
    let expected = [(44, &site), (45, &other)].map(|(last, it)| format!("\"127.0.0.{last}:{}\"", it.port()));
    assert_eq!(addresses, BTreeSet::from(expected));
}

/// Serves `WHOLE` as far as its first half, and the rest to those who ask for it.
fn by_halves() -> Site {
    const WHOLE: &str = "0123456789";
    Site::start(|asked| match asked.header("range") {
        Some("bytes=5-") => Reply::status("206 Partial", "Content-Range: bytes 5-9/10\r\n", &WHOLE[5..]),
        _ => Reply::ok(WHOLE).cut_and_kept(5),
    })
}

#[test]
fn an_interrupted_run_leaves_files_that_another_one_goes_on_with() {
    let site = by_halves();
    let folder = fresh_path("interrupted");
    std::fs::create_dir(&folder).unwrap();
    let url = site.url("/[1-4]");
    let mut command = program();
    command.current_dir(&folder).args(["get", "-Z", "-C", "-", "-o", "part-#1", &url]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let content =
        || (1..=4).map(|n| std::fs::read_to_string(folder.join(format!("part-{n}"))).unwrap_or_default());
    while content().any(|text| text.len() < 5) {
        assert!(child.try_wait().unwrap().is_none(), "it waits for the rest");
        a_while(5);
    }
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = limits::finish(child).unwrap();
    assert_eq!((output.status.code(), output.stderr.len()), (None, 0), "the signal ends it at once");
    let ran: Ran = run(&mut command, b"");
    ran.exits(0).is_quiet();
    assert!(content().all(|text| text == "0123456789"));
}
