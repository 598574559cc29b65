//! Several URLs in one run: one kept connection, a place for each answer, one exit code.

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::{connie, fresh_path, program, run};

fn pages() -> Site {
    Site::start(|asked| match asked.target() {
        "/missing" => Reply::status("404 Not Found", "", "missing\n"),
        path => Reply::ok(format!("{path}\n")),
    })
}

#[test]
fn they_share_a_connection() {
    let site = pages();
    let urls = ["/1", "/2", "/3"].map(|path| site.url(path));
    connie(["get"].iter().copied().chain(urls.iter().map(String::as_str)))
        .exits(0)
        .prints("/1\n/2\n/3\n")
        .is_quiet();
    assert_eq!((site.connections(), site.asked().len()), (1, 3));
}

#[test]
fn each_host_keeps_its_own() {
    let (one, two) = (pages(), pages());
    let urls = [one.url("/1"), two.url("/2"), one.url("/3"), two.url("/4")];
    connie(["get"].iter().copied().chain(urls.iter().map(String::as_str)))
        .exits(0)
        .prints("/1\n/2\n/3\n/4\n");
    assert_eq!((one.connections(), two.connections()), (1, 1));
}

#[test]
fn a_connection_that_the_server_has_closed_is_replaced() {
    // It says nothing of closing.
    let closing = || Site::start(|asked| Reply::Close(close_after(asked.target())));
    let close = closing();
    connie(["get", &close.url("/1"), &close.url("/2")]).exits(0).prints("/1/2").is_quiet();
    assert_eq!(close.connections(), 2);
    let close = closing();
    connie(["get", "-d", "x", &close.url("/1"), &close.url("/2")]).exits(0).prints("/1/2");
    assert_eq!(close.asked().len(), 2);
}

fn close_after(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

#[test]
fn a_request_that_may_have_been_heard_is_repeated_only_where_that_changes_nothing() {
    // The second request on a connection is read, and answered by a close.
    let rude = || {
        Site::start(|asked| match (asked.connection, asked.target()) {
            (0, "/2") => Reply::Close(Vec::new()),
            (_, path) => Reply::ok(path),
        })
    };
    let site = rude();
    connie(["get", &site.url("/1"), &site.url("/2")]).exits(0).prints("/1/2").is_quiet();
    assert_eq!((site.lines().len(), site.connections()), (3, 2));
    let site = rude();
    connie(["get", "-d", "x", &site.url("/1"), &site.url("/2")]).exits(52).prints("/1").says_lines(1);
    assert_eq!(site.lines(), ["POST /1", "POST /2"]);
}

#[test]
fn a_file_that_a_kept_connection_lost_is_sent_once_more() {
    // Longer than what the program keeps of a body, and short enough to go out without being asked for.
    let file = fresh_path("file");
    let body = "x".repeat(500_000);
    std::fs::write(&file, &body).unwrap();
    let site = Site::start(|asked| match (asked.connection, asked.target()) {
        (0, "/2") => Reply::Close(Vec::new()),
        (_, path) => Reply::ok(path),
    });
    let (file, urls) = (file.to_str().unwrap(), [site.url("/1"), site.url("/2")]);
    connie(["get", "-s", "-v", "-T", file, "-T", file, &urls[0], &urls[1]])
        .exits(0)
        .prints("/1/2")
        .says("* reusing the connection\n> PUT /2 HTTP/1.1\n");
    assert_eq!(site.lines(), ["PUT /1", "PUT /2", "PUT /2"]);
    assert!(site.asked().iter().all(|asked| asked.body.len() == body.len()));
    assert_eq!(site.connections(), 2);
}

#[test]
fn outputs_are_taken_in_turn() {
    let site = pages();
    let (one, folder) = (fresh_path("one"), fresh_path("folder"));
    std::fs::create_dir(&folder).unwrap();
    let urls = ["/1", "/a/2.txt?q", "/3"].map(|path| site.url(path));
    let mut command = program();
    command.current_dir(&folder).arg("get").args(&urls).args(["-o", one.to_str().unwrap(), "-O"]);
    run(&mut command, b"").exits(0).prints("/3\n").is_quiet();
    assert_eq!(std::fs::read_to_string(&one).unwrap(), "/1\n");
    assert_eq!(std::fs::read_to_string(folder.join("2.txt")).unwrap(), "/a/2.txt?q\n");

    let mut command = program();
    command.current_dir(&folder).arg("get").args(&urls).args(["--remote-name-all", "--output-dir", "new/er"]);
    run(&mut command, b"").exits(23).says("new/er");
    let mut command = program();
    command.current_dir(&folder).arg("get").args(&urls);
    command.args(["--remote-name-all", "--output-dir", "new/er", "--create-dirs"]);
    run(&mut command, b"").exits(0).prints("");
    assert_eq!(std::fs::read_to_string(folder.join("new/er/3")).unwrap(), "/3\n");
}

#[test]
fn a_remote_name_stays_in_its_folder() {
    let site = pages();
    let folder = fresh_path("safe");
    std::fs::create_dir(&folder).unwrap();
    let remote = |path: &str| {
        let mut command = program();
        command.current_dir(&folder).args(["get", "-O", &site.url(path)]);
        run(&mut command, b"")
    };
    for path in ["/", "/a/", "/a/..", "/?x/y", ""] {
        remote(path).exits(23).prints("").says_lines(1).says("-o FILE");
    }
    remote("/a/%2e%2e%2fevil").exits(0);
    remote("/x?y=../../z").exits(0);
    let mut names: Vec<_> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["%2e%2e%2fevil", "x"]);
}

#[test]
fn the_last_url_gives_the_exit_code() {
    let site = pages();
    let (good, bad) = (site.url("/good"), site.url("/missing"));
    connie(["get", "-f", &good, &bad]).exits(22).prints("/good\n").says_lines(1).says("404");
    connie(["get", "-f", &bad, &good]).exits(0).prints("/good\n").says_lines(1).says(&bad);
    connie(["get", "-f", "--fail-early", &bad, &good]).exits(22).prints("").says_lines(1);
    connie(["get", "ftp://h/", &good]).exits(0).prints("/good\n").says("ftp");
    connie(["get", "http://127.0.0.1:1/", &good]).exits(0).says_lines(1);
}

#[test]
fn what_logs_in_is_not_told() {
    let site = pages();
    let url = format!("http://name:secret@{}/missing", site.address());
    let ran = connie(["get", "-f", &url, &site.url("/one")]);
    assert!(!ran.stderr.contains("secret"), "{}", ran.stderr);
    ran.says(&format!("{}: ", site.url("/missing")));
}

#[test]
fn json_has_a_line_for_each() {
    let site = pages();
    let ran = connie([
        "get",
        "--report",
        "json",
        &site.url("/1"),
        &site.url("/2"),
        "-o",
        "/dev/null",
        "-o",
        "/dev/null",
    ]);
    let lines: Vec<serde_json::Value> =
        ran.exits(0).out().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["race"]["outcome"], "connected");
    assert!(lines[1]["race"].is_null(), "the connection of the first: {}", lines[1]);
    assert_eq!((&lines[1]["status"], &lines[1]["body_bytes"]), (&200.into(), &3.into()));
    connie(["get", "--report", "json", &site.url("/1"), &site.url("/2"), "-o", "/dev/null"])
        .exits(2)
        .says("-o FILE");
}

#[test]
fn verbose_says_what_is_kept() {
    let site = pages();
    let ran = connie(["get", "-v", &site.url("/1"), &site.url("/2")]);
    ran.exits(0).says("* connected to 127.0.0.4").says("* reusing the connection\n> GET /2 HTTP/1.1\n");
}

#[test]
fn a_connection_that_ends_with_its_answer_is_not_kept() {
    let answer = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let server = Server::answering("127.0.0.4:0", answer, End::Wait);
    connie(["get", &server.url("/"), &server.url("/")]).exits(0).prints("okok");
    assert_eq!(server.requests().len(), 2);
}
