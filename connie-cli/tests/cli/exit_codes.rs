//! Every exit code, with the line that goes with it.

use connie_servers::{BlackHole, closed_port};

use crate::server::{End, Server};
use crate::support::{Ran, connie, fresh_path, resolve};

#[track_caller]
fn get(url: &str, options: &[&str]) -> Ran {
    connie(["get", url].iter().chain(options))
}

/// What the program makes of a server that answers so.
#[track_caller]
fn answered(answer: &str, end: End, options: &[&str]) -> Ran {
    let server = Server::answering("127.0.0.4:0", answer, end);
    get(&server.url("/"), options)
}

#[test]
fn code_1_is_a_scheme_that_is_not_spoken() {
    get("ftp://127.0.0.1/", &[]).exits(1).says_lines(1).says("ftp");
}

#[test]
fn code_2_is_a_command_line_that_makes_no_sense() {
    let refuses = |arguments: &[&str], part: &str| {
        connie(arguments).exits(2).prints("").says(part).says_lines(1);
    };
    connie([""; 0]).exits(2).prints("").says("Usage");
    refuses(&["get"], "<URL>");
    refuses(&["fly"], "fly");
    refuses(&["get", "http://h/", "--no-such-option"], "--no-such-option");
    refuses(&["get", "http://h/", "--report", "json"], "-o FILE");
    refuses(&["get", "http://h/", "--report", "json", "-o", "-"], "-o FILE");
    refuses(&["get", "http://h/", "-I", "-d", "x"], "-I");
    refuses(&["get", "http://h/", "-H", "nothing"], "not a header");
    refuses(&["get", "http://h/", "-H", "A: b\nC: d"], "header value");
    refuses(&["get", "http://h/", "-X", "A B"], "method");
    refuses(&["get", "http://h/", "--resolve", "h:80"], "HOST:PORT:ADDR");
    refuses(&["get", "http://h/", "--resolve", "h:80:name"], "not an IP address");
    refuses(&["get", "http://h/", "--max-time", "soon"], "seconds");
    refuses(&["get", "http://h/", "--max-time", "-1"], "seconds");
    refuses(&["get", "http://h/", "--max-in-flight", "0"], "from 1 to 64");
    refuses(&["get", "http://h/", "--interface", ""], "name of an interface");
    refuses(&["get", "http://h/", "--interface", "host!eth0"], "not an IP address");
    refuses(&["get", "http://h/", "--interface", "ifhost!eth0!192.0.2.1"], "if!NAME");
    refuses(&["get", "http://h/", "--interface", "a-host.example.org"], "an IP address of this machine");
    refuses(&["get", "http://h/", "--local-port", "2-1"], "the lower port goes first: 1-2");
    refuses(&["get", "http://h/", "--keepalive-time", "0"], "from 1 to 32767");
    refuses(&["get", "http://h/", "--patience", "1"], "from 10 to 600000");
    for option in ["--qlog", "--svg"] {
        refuses(&["get", "http://h/", option, "-"], "-o FILE");
        refuses(&["get", "http://h/", option, "-", "-o", "-"], "-o FILE");
        refuses(&["get", "http://h/", option, "-", "-o", "f", "-w", "x"], "drop one of them");
        refuses(&["get", "http://h/", option, "-", "-o", "f", "-D", "-"], "drop one of them");
        refuses(&["race", "h:1", "--json", option, "-"], "drop one of them");
    }
    refuses(&["race", "h:1", "--qlog", "-", "--svg", "-"], "--qlog - and --svg - both print on stdout");
    refuses(&["bench", "--sim", "--csv", "-", "--svg", "-"], "--csv - and --svg - both print on stdout");
    refuses(&["bench", "--sim", "--csv", "-", "--json"], "--json and --csv - both print on stdout");
    refuses(&["race", "h:1", "h:2"], "connie race --help");
    refuses(&["get", "http://h/", "--pacing", "quick"], "all-at-once");
}

#[test]
fn code_3_is_a_url_that_is_none() {
    let refuses = |url: &str, part: &str| {
        get(url, &[]).exits(3).prints("").says_lines(1).says(part);
    };
    refuses("http://h:0/", "port 0");
    refuses("http://h:65536/", "65535");
    refuses("http://[::1/", "bracket");
    refuses("http:///", "no host");
    refuses("http://h/{a", "unmatched brace at position 10 of http://h/{a: give -g");
    refuses("http://u:p@h/[2-1]", "bad range at position 14 of http://h/[2-1]: give -g");
    refuses("http://h/a b", "space");
    refuses("http://a@b@h/", "%40");
    refuses(&format!("http://{}.test/", "a".repeat(64)), "63");
    refuses(&format!("http://{}/", "a.".repeat(130)), "253");
    connie(["race", "127.0.0.1"]).exits(3).says_lines(1).says("no port");
    connie(["race", "127.0.0.1:0"]).exits(3).says_lines(1).says("port 0");
}

#[test]
fn code_6_is_a_host_without_an_address() {
    get("http://no-such-host.invalid/", &[]).exits(6).says_lines(1).says("could not resolve");
    get("http://no-such-host.invalid/", &["-m", "60"]).exits(6).says_lines(1);
    let [option, address] = resolve(1, "127.0.0.1");
    get("http://name.test:1/", &["-6", &option, &address]).exits(6).says("family");
}

#[test]
fn code_7_is_a_connection_that_no_address_takes() {
    let closed = closed_port([127, 0, 0, 2].into());
    let port = closed.address().port();
    let options = resolve(port, "127.0.0.2,127.0.0.3");
    let ran = get(&format!("http://name.test:{port}/"), &[&options[0], &options[1]]);
    ran.exits(7).says_lines(3).says("check that a server listens");
    // A group is nobody to connect to. That the other refuses tells more.
    let [option, addresses] = resolve(port, "224.0.0.1,127.0.0.2");
    let mixed = get(&format!("http://name.test:{port}/"), &[&option, &addresses]);
    mixed.exits(7).says_lines(3).says("every address failed; check that a server listens");
    // An address is never resolved, whatever its family.
    get("http://127.0.0.1:1/", &["-6"]).exits(7).says_lines(1).says("drop that option");
    get("http://[::1]:1/", &["-4"]).exits(7).says_lines(1).says("drop that option");
    ran.says(&format!("connie:   127.0.0.2:{port}: connection refused\n"));
    ran.says(&format!("connie:   127.0.0.3:{port}: connection refused\n"));
    connie(["race", &closed.address().to_string()]).exits(7).says_lines(1).says("connection refused");
}

#[test]
fn code_45_is_a_socket_that_cannot_be_had_as_asked() {
    let from = |option: &[&str], part: &str| {
        get("http://127.0.0.1:1/", option).exits(45).says_lines(1).says(part).says(option[0]);
    };
    from(
        &["--interface", "192.0.2.1"],
        "does not have the source address that was asked for: 192.0.2.1; give --interface",
    );
    from(&["--interface", "::1"], "left out: a source address was given for the other family alone");
    from(&["--interface", "no-such0"], "the interface \"no-such0\" could not be bound to: No such device");
    from(&["--interface", "www.test"], "host names are not resolved here");
    get("http://127.0.0.1:1/", &["--interface", "if!an-interface-of-this-name"]).exits(2).says("is too long");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let says =
        format!("none of the local ports tried of {port}-{port} could be bound to: Address already in use");
    from(&["--local-port", &port], &says);
}

#[test]
fn code_8_is_a_reply_that_breaks_the_rules_of_http_and_code_1_one_that_is_none() {
    answered("SSH-2.0-OpenSSH_9.2\r\n", End::Wait, &[]).exits(1).prints("").says_lines(1).says("not HTTP");
    answered("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", End::Wait, &[]).exits(8).says_lines(1);
}

#[test]
fn code_18_is_a_body_that_breaks_off() {
    answered("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf", End::Close, &[])
        .exits(18)
        .prints("half")
        .says_lines(1)
        .says("4 of 10 bytes");
}

#[test]
fn code_22_is_an_error_page_that_was_not_wanted() {
    let page = "HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\nsorry";
    answered(page, End::Wait, &["-f"]).exits(22).prints("").says_lines(1).says("404 Not Found");
    answered(page, End::Wait, &[]).exits(0).prints("sorry").is_quiet();
    answered("HTTP/1.1 400 No\r\nContent-Length: 0\r\n\r\n", End::Wait, &["-f"]).exits(22);
    answered("HTTP/1.1 399 Odd\r\nContent-Length: 0\r\n\r\n", End::Wait, &["-f"]).exits(0);
}

#[test]
fn code_22_leaves_the_file_alone() {
    let path = fresh_path("kept");
    std::fs::write(&path, "old").unwrap();
    let page = "HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n";
    answered(page, End::Wait, &["-f", "-o", path.to_str().unwrap()]).exits(22);
    assert_eq!(std::fs::read(&path).unwrap(), b"old");
}

#[test]
fn code_23_is_output_that_cannot_be_written() {
    let page = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage";
    answered(page, End::Wait, &["-o", "/nonexistent/file"]).exits(23).says_lines(1).says("/nonexistent/file");
    answered(page, End::Wait, &["-o", "/dev/full"]).exits(23).says_lines(1).says("/dev/full");
    answered(page, End::Wait, &["--svg", "/dev/full"]).exits(23).prints("page").says_lines(1);
    answered(page, End::Wait, &["--qlog", "/nonexistent/file"]).exits(23).prints("page").says_lines(1);
}

#[test]
fn code_26_is_data_that_cannot_be_read() {
    get("http://127.0.0.1:1/", &["-d", "@/nonexistent/file"])
        .exits(26)
        .says_lines(1)
        .says("/nonexistent/file: No such file");
    get("http://127.0.0.1:1/", &["-d", "@/"]).exits(26).says_lines(1);
}

#[test]
fn code_28_is_time_that_ran_out() {
    let hole = BlackHole::open(([127, 0, 0, 5], 0));
    let url = format!("http://{}/", hole.address());
    get(&url, &["--connect-timeout", "0.2"]).exits(28).says_lines(2).says("--connect-timeout");
    get(&url, &["--max-time", "0.2"]).exits(28).says_lines(2);
    connie(["race", &hole.address().to_string(), "-m", "0.2"]).exits(28).says_lines(2);
}

#[test]
fn code_28_is_an_answer_that_does_not_come_in_time() {
    answered("HTTP/1.1 200 OK\r\n", End::Wait, &["-m", "0.3"]).exits(28).says_lines(1).says("--max-time");
    let started = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    answered(started, End::Wait, &["-m", "0.3"]).exits(28).prints("half").says_lines(1);
}

#[test]
fn the_time_allowed_is_for_all_of_it() {
    let ran = answered("HTTP/1.1 200 OK\r\n", End::Wait, &["-m", "2", "--report", "json", "-o", "/dev/null"]);
    let elapsed = ran.exits(28).json()["elapsed_us"].as_u64().unwrap();
    assert!((2_000_000..3_900_000).contains(&elapsed), "{elapsed}");
}

#[test]
fn code_52_is_no_reply_at_all() {
    answered("", End::Close, &[]).exits(52).prints("").says_lines(1).says("without a response");
}

#[test]
fn code_55_is_a_request_that_cannot_be_sent() {
    let server = Server::resetting("127.0.0.4:0");
    let path = fresh_path("upload");
    std::fs::write(&path, vec![b'x'; 32 << 20]).unwrap();
    let data = format!("@{}", path.display());
    get(&server.url("/"), &["-d", &data]).exits(55).says_lines(1).says("sending failed");
}

#[test]
fn code_56_is_an_answer_that_cannot_be_received() {
    answered("HTTP/1.1 200 OK\r\nServer: x", End::Close, &[]).exits(56).prints("").says_lines(1).says("head");
    answered("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", End::Wait, &[])
        .exits(56)
        .says_lines(1)
        .says("chunk");
}

#[test]
fn code_56_is_a_reset_wherever_it_comes() {
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\nServer: x",
        "HTTP/1.1 200 OK\r\n\r\na body until the end",
        "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na part of it",
    ] {
        answered(answer, End::Reset, &[]).exits(56).says_lines(1).says("reset");
    }
}
