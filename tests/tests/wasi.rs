//! connie in WebAssembly components, on a real runtime, against real listeners.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::thread::JoinHandle;
use std::time::Duration;

use connie_sim::name_servers::{Kind, NAME, Row, TABLE};
use connie_tests::clock::{pause, poll_until};
use connie_tests::lab::{in_namespace, replace_files};
use connie_tests::limits;
use connie_tests::name_servers::{RowServers, time_of, without_time};
use connie_tests::servers::{BlackHole, Live, closed_port};
use connie_tests::wasi::Runtime;

/// What came of a run.
struct Ran {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Ran {
    #[track_caller]
    fn of(command: &mut Command) -> Self {
        let output = limits::output(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let text = |bytes| String::from_utf8(bytes).expect("text");
        Ran { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    #[track_caller]
    fn exits(&self, code: i32) -> &Self {
        assert_eq!(self.code, Some(code), "{}{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    fn says(&self, expected: &str) -> &Self {
        assert_eq!(self.stderr, expected);
        self
    }
}

/// How long anything that a test waits for may take.
const LIMIT: Duration = Duration::from_secs(60);

/// A server that takes one connection, reads nothing for a moment, and counts what it is sent until that
/// ends.
fn sink() -> (SocketAddr, JoinHandle<usize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a listener");
    let address = listener.local_addr().expect("an address");
    let count = move || {
        listener.set_nonblocking(true).expect("a setting");
        let mut accepted = None;
        poll_until(LIMIT, || {
            accepted = listener.accept().ok();
            accepted.is_some()
        });
        let (mut peer, _) = accepted.expect("a connection");
        peer.set_nonblocking(false).expect("a setting");
        peer.set_read_timeout(Some(LIMIT)).expect("a setting");
        pause(Duration::from_millis(100));
        let (mut piece, mut count) = (vec![0; 64 * 1024], 0);
        loop {
            match peer.read(&mut piece).expect("what was sent, to its end") {
                0 => return count,
                some => count += some,
            }
        }
    };
    (address, std::thread::spawn(count))
}

/// The tests of `package` that ran in a component are those of tests/all_tests.txt, whose lines name the
/// target in the place of a file.
#[track_caller]
fn are_listed(package: &str, ran: &Ran) {
    let place = format!("{package} {} ", connie_tests::wasi::TARGET);
    let listed: BTreeSet<&str> =
        include_str!("../all_tests.txt").lines().filter(|line| line.starts_with(&place)).collect();
    // With `--nocapture` a test may print between its name and its end.
    let of_a_test =
        |line: &str| Some(format!("{place}{}", line.strip_prefix("test ")?.split_once(" ... ")?.0));
    let seen: Vec<String> = ran.stdout.lines().filter_map(of_a_test).collect();
    let seen: BTreeSet<&str> = seen.iter().map(String::as_str).collect();
    let told = |lines: Vec<&&str>| lines.iter().map(|line| format!("\n{line}")).collect::<String>();
    let (gone, new) = (told(listed.difference(&seen).collect()), told(seen.difference(&listed).collect()));
    assert!(gone.is_empty() && new.is_empty(), "tests/all_tests.txt\nhas without a test:{gone}\nlacks:{new}");
}

/// The stack's own tests run in a component. They are lent what a component cannot make.
#[test]
fn the_stack_keeps_its_promises_on_a_runtime() {
    let Some(runtime) = Runtime::find() else { return };
    // Outside of what has a limit.
    Ran::of(runtime.cargo("test", "connie-wasi").args(["--all-features", "--lib", "--tests", "--no-run"]))
        .exits(0);
    let hole = BlackHole::open((Ipv4Addr::new(127, 0, 0, 9), 0));
    let (sink, flood) = sink();
    let mut cargo = runtime.cargo("test", "connie-wasi");
    cargo.args(["--all-features", "--lib", "--tests", "--", "--nocapture", "--format=pretty"]);
    cargo.env("CONNIE_BLACK_HOLE", hole.address().to_string()).env("CONNIE_SINK", sink.to_string());
    let ran = Ran::of(&mut cargo);
    ran.exits(0);
    assert!(!ran.stderr.contains("SKIPPED"), "{}", ran.stderr);
    assert_eq!(ran.stdout.matches("test result: ok").count(), 4, "{}", ran.stdout);
    assert!(!ran.stdout.contains(" 0 passed"), "{}", ran.stdout);
    are_listed("connie-wasi", &ran);
    // All of what a test has sent before it dropped the stream.
    let sent = ran.stdout.split_once("sent ").and_then(|(_, rest)| rest.split_once(" bytes"));
    let (sent, _) = sent.expect("how much was sent");
    assert_eq!(flood.join().expect("a server").to_string(), sent);
}

/// What is above the stack runs in a component too.
#[test]
fn connie_std_keeps_its_promises_on_a_runtime() {
    let Some(runtime) = Runtime::find() else { return };
    let tests = ["--no-default-features", "--test", "component"];
    Ran::of(runtime.cargo("test", "connie-std").args(tests).arg("--no-run")).exits(0);
    let ran = Ran::of(runtime.cargo("test", "connie-std").args(tests).args(["--", "--format=pretty"]));
    ran.exits(0);
    are_listed("connie-std", &ran);
}

/// The example, by name and by address, and what it says where the runtime denies it what it needs.
#[test]
fn the_example_fetches_a_page_or_says_what_is_missing() {
    let Some(runtime) = Runtime::find() else { return };
    let fetch = runtime.build("connie-wasi", &["--example", "fetch"], "examples/fetch.wasm");
    let server = Live::http((Ipv4Addr::LOCALHOST, 0), "the page\n");
    let port = server.address().port().to_string();
    for host in ["127.0.0.1", "localhost"] {
        let ran = Ran::of(runtime.command(&fetch).args([host, &port]));
        ran.exits(0).says("200 OK\n");
        assert_eq!(ran.stdout, "the page\n");
    }
    server.wait_until(|counts| counts.answered == 2 && counts.open == 0);
    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let refused = closed.address().port().to_string();
    Ran::of(runtime.command(&fetch).args(["127.0.0.1", &refused]))
        .exits(1)
        .says(&format!("could not connect to 127.0.0.1:{refused}: connection refused\n"));
    let denied = "the runtime does not allow it: give the component the network (-S inherit-network)";
    let mut run = runtime.command_with(&["--deny-network"], &fetch);
    Ran::of(run.args(["127.0.0.1", &port]))
        .exits(1)
        .says(&format!("could not connect to 127.0.0.1:{port}: {denied}\n"));
    let mut run = runtime.command_with(&["--deny-names"], &fetch);
    Ran::of(run.args(["name.test", &port])).exits(1).says(
        "could not resolve name.test: the runtime cannot, or may not, resolve names: give the component \
         names (-S allow-ip-name-lookup)\n",
    );
}

/// By a runtime that lends no names, and so has none to be asked for.
#[test]
fn names_that_need_no_resolver_are_not_asked_for() {
    let Some(runtime) = Runtime::find() else { return };
    let race = runtime.build("connie-wasi", &["--example", "one_race"], "examples/one_race.wasm");
    let server = Live::silent((Ipv4Addr::LOCALHOST, 0));
    let port = server.address().port().to_string();
    for (host, said) in [
        ("localhost", "won 127.0.0.1\n"),
        ("127.0.0.1", "won 127.0.0.1\n"),
        ("name.invalid", "lost look-up\nNowhere\n"),
        ("name.onion", "lost look-up\nNowhere\n"),
        // Whose name says that it asked.
        ("name.test", "lost look-up\nLookup("),
    ] {
        let mut run = runtime.command_with(&["--deny-names"], &race);
        let ran = Ran::of(run.args([host, &port, "all-at-once", "ipv6", "20000", "250", "50"]));
        assert!(ran.exits(0).stdout.starts_with(said), "{host}: {}", ran.stdout);
    }
}

/// How much later than in virtual time an answer may be known: machines are busy.
const SLACK: u64 = 500;

/// What stands in a line, and when it was known.
#[track_caller]
fn found_at(line: &str) -> (&str, u64) {
    let (found, millis) = line.rsplit_once(" at ").expect("when");
    (found, millis.parse().expect("a number"))
}

/// One row: a component asks its servers.
fn asks(runtime: &Runtime, ask: &Path, row: &Row) {
    let servers = RowServers::start(row);
    let kinds: Vec<String> = row.kinds().iter().map(|kind| kind.to_string().to_lowercase()).collect();
    let mut run = runtime.command(ask);
    run.args([NAME, &kinds.join(",")]).args(servers.addresses().iter().map(ToString::to_string));
    let ran = Ran::of(&mut run);
    // Two answers that come at the same moment have no order.
    let mut lines: Vec<&str> = ran.exits(0).says("").stdout.lines().collect();
    let mut expected: Vec<String> = row.found().iter().map(ToString::to_string).collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines.len(), expected.len(), "{}: {lines:?}", row.what);
    for (line, expected) in lines.iter().zip(&expected) {
        let (found, when) = found_at(line);
        let (row_found, row_when) = found_at(expected);
        assert_eq!(found, row_found, "{}", row.what);
        assert!((row_when..=row_when + SLACK).contains(&when), "{}: {line}, and not {expected}", row.what);
    }
    assert_eq!(servers.sent().len(), row.sent().count(), "{}: {:?}", row.what, servers.sent());
    let (mut sent, expected) = (servers.sent(), row.sent().collect::<Vec<_>>());
    let mut rest = sent.as_mut_slice();
    // Two queries of the same moment go out over two sockets, whose order is the runtime's.
    for moment in expected.chunk_by(|one, other| time_of(one) == time_of(other)) {
        let (these, later) = rest.split_at_mut(moment.len());
        let mut wanted: Vec<String> = moment.iter().map(|sent| without_time(sent)).collect();
        these.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(these, wanted, "{}", row.what);
        rest = later;
    }
}

/// The rows of the table that stand for all, over the runtime's sockets.
#[test]
fn name_servers_are_asked_as_in_virtual_time() {
    let Some(runtime) = Runtime::find() else { return };
    let ask = runtime.build("connie-wasi", &["--features", "dns", "--example", "ask"], "examples/ask.wasm");
    let rows: Vec<&Row> =
        TABLE.iter().filter(|row| row.kernel && !row.kinds().contains(&Kind::Https)).collect();
    assert!(rows.len() >= 12, "{} rows", rows.len());
    // Most of the time is waiting.
    for some in rows.chunks(4) {
        std::thread::scope(|scope| {
            for row in some {
                scope.spawn(|| asks(&runtime, &ask, row));
            }
        });
    }
}

/// Which the runtime's own lookup would wait for.
#[test]
fn an_answer_that_never_comes_holds_nothing_back() {
    let Some(runtime) = Runtime::find() else { return };
    let example = ["--features", "dns", "--example", "fetch_by_dns"];
    let fetch = runtime.build("connie-wasi", &example, "examples/fetch_by_dns.wasm");
    let page = Live::http((Ipv4Addr::LOCALHOST, 0), "the page\n");
    let port = page.address().port().to_string();
    let of = |servers: &RowServers| servers.addresses()[0].to_string();
    let late = RowServers::of(&["aaaa silent; is:127.0.0.1"]);
    let ran = Ran::of(runtime.command(&fetch).args([NAME, &port, &of(&late)]));
    ran.exits(0).says("200 OK\n");
    assert_eq!(ran.stdout, "the page\n");
    assert_eq!(late.sent(), ["0", "0"], "AAAA was given up before it was repeated");

    let silent = RowServers::of(&["silent"]);
    let ran = Ran::of(runtime.command(&fetch).args([NAME, &port, &of(&silent)]));
    ran.exits(1).says(
        "could not resolve name.test in the time allowed: AAAA and A queries failed: no answer in time\n",
    );
    let nobody = RowServers::of(&["nx"]);
    let ran = Ran::of(runtime.command(&fetch).args([NAME, &port, &of(&nobody)]));
    ran.exits(1).says("could not resolve name.test: no such name\n");
    let fails = RowServers::of(&["aaaa nodata; servfail"]);
    let ran = Ran::of(runtime.command(&fetch).args([NAME, &port, &of(&fails)]));
    ran.exits(1).says("could not resolve name.test: the name server could not answer (SERVFAIL)\n");
}

/// Nobody is at the first server's port. wasmtime does not tell what its host says of that before the next
/// datagram to it, so that it counts as silent.
#[test]
fn a_name_server_that_is_not_there_is_passed_over() {
    let Some(runtime) = Runtime::find() else { return };
    let ask = runtime.build("connie-wasi", &["--features", "dns", "--example", "ask"], "examples/ask.wasm");
    let nobody =
        UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket").local_addr().expect("an address");
    let live = RowServers::of(&["ok"]);
    let servers = [nobody, live.addresses()[0]].map(|server| server.to_string());
    let ran = Ran::of(runtime.command(&ask).args([NAME, "a"]).args(&servers));
    let (found, when) = found_at(ran.exits(0).stdout.trim());
    assert_eq!(found, "A 192.0.2.1");
    assert!(when <= 270 + SLACK, "{when}");
    // Alone it has failed for good when the datagram is repeated.
    let ran = Ran::of(runtime.command(&ask).args([NAME, "a", &servers[0]]));
    assert_eq!(found_at(ran.exits(0).stdout.trim()).0, "A !Unreachable");
}

#[test]
fn a_runtime_that_denies_udp_is_told_of_in_one_line() {
    let Some(runtime) = Runtime::find() else { return };
    let example = ["--features", "dns", "--example", "fetch_by_dns"];
    let fetch = runtime.build("connie-wasi", &example, "examples/fetch_by_dns.wasm");
    let mut run = runtime.command_with(&["--deny-network"], &fetch);
    Ran::of(run.args([NAME, "80", "127.0.0.1:53", "127.0.0.2:53"])).exits(1).says(
        "could not resolve name.test: the runtime does not allow UDP: give the component the network \
         (-S inherit-network), or ask over TCP\n",
    );
}

/// The C library knows what its administrator has set (gai.conf), and a component does not.
#[test]
fn the_runtimes_order_counts_between_the_families() {
    let Some(runtime) = Runtime::find() else { return };
    let race = runtime.build("connie-wasi", &["--example", "one_race"], "examples/one_race.wasm");
    for (precedence, winner) in [("1", "won ::1\n"), ("100", "won 127.0.0.4\n")] {
        let (runtime, race) = (runtime.clone(), race.clone());
        in_namespace(move |_| {
            let gai = format!("precedence ::1/128 50\nprecedence ::ffff:0:0/96 {precedence}\n");
            replace_files(&[
                ("/etc/nsswitch.conf", "hosts: files\n"),
                ("/etc/hosts", "::1 both.test\n127.0.0.4 both.test\n"),
                ("/etc/gai.conf", &gai),
            ]);
            let _both = [
                Live::silent((Ipv6Addr::LOCALHOST, 8080)),
                Live::silent((Ipv4Addr::new(127, 0, 0, 4), 8080)),
            ];
            let mut run = runtime.command(&race);
            let ran = Ran::of(run.args(["both.test", "8080", "one-by-one", "ipv6", "20000", "250", "50"]));
            assert_eq!(ran.exits(0).stdout, winner);
        });
    }
}

/// The component's socket is given the port that it connects to, where nobody listens.
#[test]
fn a_socket_that_has_connected_to_itself_was_refused() {
    let Some(runtime) = Runtime::find() else { return };
    let fetch = runtime.build("connie-wasi", &["--example", "fetch"], "examples/fetch.wasm");
    in_namespace(move |lab| {
        lab.set_sysctl("net/ipv4/ip_local_port_range", "40000 40000");
        for host in ["127.0.0.1", "::1"] {
            let ran = Ran::of(runtime.command(&fetch).args([host, "40000"]));
            assert!(ran.exits(1).stderr.contains("connection refused"), "{}", ran.stderr);
        }
    });
}

/// In a network of its own, where the hosts file is all that is asked for names and no route leads out.
#[test]
fn a_name_leads_to_the_address_that_answers() {
    let Some(runtime) = Runtime::find() else { return };
    let fetch = runtime.build("connie-wasi", &["--example", "fetch"], "examples/fetch.wasm");
    in_namespace(move |_| {
        let hosts = "127.0.0.4 three.test\n127.0.0.5 three.test\n127.0.0.6 three.test\n192.0.2.1 far.test\n\
             192.0.2.1 mixed.test\n127.0.0.4 mixed.test\n";
        replace_files(&[("/etc/nsswitch.conf", "hosts: files\n"), ("/etc/hosts", hosts)]);
        let _hole = BlackHole::open(([127, 0, 0, 5], 8080));
        let server = Live::http(([127, 0, 0, 6], 8080), "the page\n");
        let ran = Ran::of(runtime.command(&fetch).args(["three.test", "8080"]));
        ran.exits(0).says("200 OK\n");
        assert_eq!(ran.stdout, "the page\n");
        drop(server);
        let alone = Ran::of(runtime.command(&fetch).args(["far.test", "8080"]));
        alone.exits(1).says("could not connect to far.test port 8080: 192.0.2.1:8080: unreachable\n");
        // Its addresses: one to which there is no way, and two that refuse.
        let all = Ran::of(runtime.command(&fetch).args(["mixed.test", "8080"]));
        all.exits(1).says(
            "could not connect to mixed.test port 8080: every address failed (127.0.0.4:8080: connection \
             refused; 192.0.2.1:8080: unreachable)\n",
        );
        let nobody = Ran::of(runtime.command(&fetch).args(["nobody.test", "8080"]));
        nobody.exits(1).says("could not resolve nobody.test: no such name\n");
    });
}
