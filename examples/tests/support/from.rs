//! The network for the programs of docs/from: their host has two addresses, and the first does not answer.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use connie_lab::{Behaviour, HOST_V4, Lab, in_namespace, ms, replace_files, v4};
use connie_servers::{Live, clock::poll_until, limits};

/// How long a program is watched that waits for the dead address. Each allows ten seconds for a connection,
/// where its client has such a limit, and those before connie give the dead address half of them or more.
const PLAIN: Duration = Duration::from_secs(3);
/// How long a program with a race may take. A race is over after two round trips and a delay of some 100 ms;
/// the rest is for a busy machine.
const RACED: Duration = Duration::from_secs(4);

/// `name.test` is 10.9.0.1, a black hole, and 10.9.0.2, 20 ms away, where what listens at
/// [`server_address`] answers.
pub fn set_up(lab: &Lab) {
    replace_files(&[
        ("/etc/hosts", "10.9.0.1 name.test\n10.9.0.2 name.test\n"),
        ("/etc/host.conf", "multi on\n"),
        ("/etc/nsswitch.conf", "hosts: files\n"),
    ]);
    lab.set(v4(1), Behaviour::black_hole());
    lab.set(v4(2), Behaviour::accept(ms(20)));
}

/// Where a server for `name.test` has to listen.
pub fn server_address(port: u16) -> SocketAddr {
    SocketAddr::new(HOST_V4.into(), port)
}

/// Starts a server that ends each connection after its page, as those of HTTP/1.0 do.
#[allow(dead_code, reason = "for programs without a client for HTTP")]
pub fn serve_to_the_end(address: SocketAddr) {
    let server = TcpListener::bind(address).expect("a port");
    std::thread::spawn(move || {
        for mut stream in server.incoming().flatten() {
            // It does not matter if the client has gone.
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\nthe page\n");
        }
    });
}

/// Runs a program for no longer than `limit`, and says whether it has ended by itself.
pub fn run(program: &mut Command, limit: Duration) -> (bool, Output) {
    // No proxy of whoever runs this.
    for variable in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        program.env_remove(variable);
    }
    program.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child: Child = program.spawn().expect("the program");
    let ended = poll_until(limit, || child.try_wait().expect("a child").is_some());
    // An error only says that it has ended.
    let _ = child.kill();
    (ended, limits::finish(child).expect("its output"))
}

/// Asserts that a program waits for the first address: seconds later it has not tried the second.
#[track_caller]
pub fn waits(lab: &Lab, program: &mut Command) {
    lab.clear_log();
    let (ended, output) = run(program, PLAIN);
    assert!(!ended, "{program:?}: {output:?}");
    let log = lab.log();
    let counts = [v4(1), v4(2)].map(|remote| log.counts(remote).first_syns);
    assert_eq!(counts, [1, 0], "SYNs to the dead address and to the other: {program:?}");
}

/// Asserts that a program ends in time and that its output ends with `expected`.
#[track_caller]
pub fn arrives(program: &mut Command, expected: &str) {
    let (ended, output) = run(program, RACED);
    assert!(ended && output.status.success(), "{program:?}: {output:?}");
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(told.ends_with(expected), "{program:?}: {output:?}");
}

/// Two programs that fetch a page: the first waits, the second does not, and where the first address lives
/// both are the same.
#[track_caller]
pub fn a_page(before: &'static str, after: &'static str) {
    in_namespace(move |lab| {
        set_up(lab);
        let _server = Live::http(server_address(8080), "the page\n");
        let [before, after] = &mut [before, after].map(Command::new);
        for program in [&mut *before, &mut *after] {
            program.arg("http://name.test:8080/");
        }
        waits(lab, before);
        arrives(after, "the page\n");
        lab.set(v4(1), Behaviour::accept(ms(20)));
        arrives(before, "the page\n");
        arrives(after, "the page\n");
    });
}
