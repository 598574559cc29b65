//! The program as a WebAssembly component, on a real runtime: it does what the native program does in the
//! same situation.
//!
//! WASI 0.2 has two exit codes, so there curl's stands before the error: `connie: (7) could not connect ...`.

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use connie_lab::wasi::Runtime;
use connie_servers::{BlackHole, Live, Nginx, PythonServer, closed_port, free_port};
use serde_json::Value;

use crate::server::{End, Server};
use crate::support::{Ran, connie, fresh_path, resolve, run};

/// The component, ready to run. `None` where the test is skipped.
#[track_caller]
fn component(options: &[&str]) -> Option<Command> {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let runtime = Runtime::find()?;
    let features = ["--no-default-features", "--features", "gzip"];
    let path = BUILT.get_or_init(|| runtime.build("connie-cli", &features, "connie.wasm"));
    let mut command = runtime.command_with(options, path);
    command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
    for name in ["http_proxy", "https_proxy", "all_proxy", "no_proxy", "COLUMNS"] {
        command.env_remove(name).env_remove(name.to_ascii_uppercase());
    }
    Some(command)
}

/// What the native program makes of it, once the component has made the same of it.
#[track_caller]
fn same(arguments: &[&str]) -> Option<Ran> {
    let there = run(component(&[])?.args(arguments), b"");
    let here = connie(arguments);
    let code = here.code.expect("an exit code");
    there.exits(i32::from(code != 0));
    assert!(there.stdout == here.stdout, "{arguments:?}: {} is not {}", there.out(), here.out());
    let said = here.stderr.replacen("connie: ", &format!("connie: ({code}) "), 1);
    assert_eq!(there.stderr, said, "{arguments:?}");
    Some(here)
}

#[test]
fn it_ends_as_the_native_program_does() {
    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let refused = format!("http://127.0.0.1:{}/", closed.address().port());
    let hole = BlackHole::open(([127, 0, 0, 21], 0));
    let hole = format!("http://{}/", hole.address());
    let silent = Live::silent(([127, 0, 0, 22], 0));
    let silent = format!("http://{}/", silent.address());
    let answers = |answer: &str, end| Server::answering("127.0.0.23:0", answer, end);
    let missing = answers("HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\ngone\n", End::Close);
    let short = answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", End::Close);
    let weird = answers("220 mail.test ESMTP\r\n", End::Close);
    let cut = answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf", End::Reset);
    let empty = Server::resetting("127.0.0.23:0");
    let hangs_up = answers("", End::Close);
    let hung = hangs_up.url("/");
    let table: &[(u8, &[&str])] = &[
        (1, &["get", "ftp://127.0.0.1/"]),
        (2, &["get", "http://h/", "--report", "json"]),
        (2, &["get", "http://h/", "--no-such-option"]),
        (3, &["get", "http://h:0/"]),
        (3, &["race", "-s", "127.1:80"]),
        (6, &["get", "http://no-such-host.invalid/"]),
        (7, &["get", &refused]),
        (7, &["get", &refused, "--connect-timeout", "5"]),
        (28, &["get", &hole, "--connect-timeout", "0.3"]),
        (28, &["get", &hole, "-m", "0.3"]),
        (28, &["get", &silent, "--max-time", "0.5"]),
        (0, &["get", &missing.url("/")]),
        (22, &["get", "-f", &missing.url("/")]),
        (18, &["get", &short.url("/")]),
        (1, &["get", &weird.url("/")]),
        (56, &["get", &cut.url("/")]),
        (56, &["get", &empty.url("/")]),
        // One after the other there, for want of threads.
        (7, &["get", "-Z", "--parallel-max", "1", &refused, &missing.url("/{a,b}")]),
        (22, &["get", "-Zf", "--fail-early", "--parallel-max", "1", &missing.url("/{a,b}")]),
        (
            52,
            &[
                "get",
                "-sZ",
                "--retry",
                "1",
                "--retry-all-errors",
                "--retry-delay",
                "0.1",
                &hung,
                &missing.url("/"),
            ],
        ),
    ];
    for (code, arguments) in table {
        let Some(here) = same(arguments) else { return };
        assert_eq!(here.code, Some(i32::from(*code)), "{arguments:?}: {}", here.stderr);
    }
}

#[test]
fn it_asks_as_the_native_program_does() {
    let server = Server::serving("127.0.0.24:0", "the page\n");
    let port = server.port();
    let [option, addresses] = resolve(port, "127.0.0.23,127.0.0.24");
    let page = format!("http://name.test:{port}/");
    let moved = Server::answering(
        "127.0.0.24:0",
        format!("HTTP/1.1 302 Found\r\nLocation: {}\r\nContent-Length: 0\r\n\r\n", server.url("/there")),
        End::Wait,
    );
    let long = "x".repeat(100_000);
    let table: &[&[&str]] = &[
        &["get", &page],
        &["get", "-i", &page],
        &["get", "-I", &page],
        &["get", "-H", "A: b", "-X", "PUT", &page],
        &["get", "-d", "a=b", "-d", "c", &page],
        &["get", "-d", &long, &page],
        &["get", "-L", &moved.url("/")],
        &["get", "-s", &page, &page],
        &["race", "-s", &format!("name.test:{port}")],
    ];
    for arguments in table {
        let arguments = [*arguments, &[&option, &addresses]].concat();
        let before = server.requests().len();
        let Some(here) = same(&arguments) else { return };
        here.exits(0);
        let asked = server.requests().split_off(before);
        let (there, here) = asked.split_at(asked.len() / 2);
        assert_eq!(there, here, "{arguments:?}");
    }
}

#[test]
fn the_live_one_of_three_wins_the_race() {
    let server = Server::serving("127.0.0.25:0", "");
    let port = server.port();
    let _hole = BlackHole::open(([127, 0, 0, 26], port));
    let [option, addresses] = resolve(port, "127.0.0.27,127.0.0.26,127.0.0.25");
    let target = format!("name.test:{port}");
    let arguments = ["race", &target, &option, &addresses];
    let picture = |options: &[&str], rows: &[&str]| {
        let ran = run(component(&[])?.args(arguments).args(options), b"");
        ran.exits(0).is_quiet();
        let picture = ran.out();
        assert!(picture.starts_with(&format!("connected to 127.0.0.25:{port} in ")), "{picture}");
        for row in rows {
            let is_there = |line: &str| line.split_whitespace().take(2).eq(row.split(' '));
            assert!(picture.lines().any(is_there), "{row} is not in\n{picture}");
        }
        Some(())
    };
    // The one that refuses may be canceled before it is heard.
    let all = ["127.0.0.26 canceled", "127.0.0.25 established"];
    if picture(&[], &all).is_none() {
        return;
    }
    let one = ["--max-in-flight", "1", "--patience", "40"];
    let _ = picture(&one, &["127.0.0.27 refused", "127.0.0.26 evicted", "127.0.0.25 established"]);
    let file = fresh_path("race");
    let folder = file.parent().unwrap().to_str().unwrap();
    let name = file.file_name().unwrap().to_str().unwrap();
    let (svg, qlog) = (format!("/out/{name}.svg"), format!("/out/{name}.qlog"));
    let Some(mut command) = component(&["--dir", &format!("{folder}=/out")]) else { return };
    let files = ["--json", "--svg", &svg, "--qlog", &qlog];
    let race = run(command.args(arguments).args(one).args(files), b"").exits(0).json();
    assert_eq!(race["winner"], format!("127.0.0.25:{port}"));
    assert_eq!(race["max_in_flight"], 1);
    let outcomes: Vec<_> =
        race["attempts"].as_array().unwrap().iter().map(|attempt| &attempt["outcome"]).collect();
    assert_eq!(outcomes, ["refused", "evicted", "established"]);
    assert!(std::fs::read_to_string(file.with_extension("svg")).unwrap().starts_with("<svg"));
    assert!(std::fs::read_to_string(file.with_extension("qlog")).unwrap().contains("hev3"));
}

#[test]
fn a_fetch_tells_its_code_as_json() {
    let closed = closed_port(Ipv4Addr::LOCALHOST.into());
    let refused = format!("http://127.0.0.1:{}/", closed.address().port());
    let arguments = ["get", &refused, "--report", "json", "-o", "page"];
    let Some(mut command) = component(&[]) else { return };
    let there: Value = run(command.args(arguments), b"").exits(1).json();
    let here: Value = connie(arguments).exits(7).json();
    assert_eq!(there["exit_code"], 7);
    assert_eq!(there["error"], here["error"]);
    assert_eq!(there["race"]["attempts"][0]["outcome"], "refused");
}

#[test]
fn a_large_body_arrives_byte_for_byte() {
    let big: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    let (port, other) = (free_port(), free_port());
    let directives = "location /put/ { alias {files}/; dav_methods PUT; client_max_body_size 16m; }";
    let Some(nginx) = Nginx::configured(port, &[("big", &big), ("page", b"a page\n")], directives) else {
        return;
    };
    let Some(_python) = PythonServer::start(other, &[("big", &big)]) else { return };
    for port in [port, other] {
        let Some(mut command) = component(&[]) else { return };
        let ran = run(command.args(["get", &format!("http://127.0.0.1:{port}/big")]), b"");
        ran.exits(0).is_quiet();
        assert!(ran.stdout == big, "{} bytes are not the page of port {port}", ran.stdout.len());
    }
    // Into a file, and back.
    let file = fresh_path("big");
    let folder = file.parent().unwrap().to_str().unwrap();
    let inside = format!("/files/{}", file.file_name().unwrap().to_str().unwrap());
    let folder = format!("{folder}=/files");
    let lends = ["--dir", &folder];
    let Some(mut command) = component(&lends) else { return };
    run(command.args(["get", "-o", &inside, &format!("http://localhost:{port}/big")]), b"").exits(0);
    assert!(std::fs::read(&file).unwrap() == big, "the file is not the page");
    let Some(mut command) = component(&lends) else { return };
    let put = format!("http://127.0.0.1:{port}/put/sent");
    run(command.args(["get", "-f", "-T", &inside, &put]), b"").exits(0);
    assert!(std::fs::read(nginx.files().join("sent")).unwrap() == big, "what was sent is not the file");
    // stdin.
    let Some(mut command) = component(&[]) else { return };
    let put = format!("http://127.0.0.1:{port}/put/piped");
    run(command.args(["get", "-f", "-T", "-", &put]), b"from a pipe\n").exits(0);
    assert_eq!(std::fs::read(nginx.files().join("piped")).unwrap(), b"from a pipe\n");
}

#[test]
fn what_the_runtime_denies_is_said_in_a_line() {
    let server = Server::serving("127.0.0.28:0", "");
    let Some(mut command) = component(&["--deny-network"]) else { return };
    let denied = run(command.args(["get", &server.url("/")]), b"");
    denied.exits(1).says_lines(1).says("(7)").says("give the component the network (-S inherit-network)");
    let Some(mut command) = component(&["--deny-names"]) else { return };
    let denied = run(command.args(["get", "http://name.test/"]), b"");
    denied.exits(1).says_lines(1).says("(6)").says("(-S allow-ip-name-lookup)");
    let Some(mut command) = component(&[]) else { return };
    let folder = run(command.args(["get", &server.url("/"), "-o", "/nowhere/page"]), b"");
    folder.exits(1).says_lines(1).says("(23)").says("/nowhere/page");
    let Some(mut command) = component(&[]) else { return };
    let tls = run(command.args(["get", "https://127.0.0.1/"]), b"");
    tls.exits(1).says_lines(1).says("(1) https needs TLS, which is not in this build");
}
