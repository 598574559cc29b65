//! What is asked for, and what comes out.

use connie_servers::{Authority, BlackHole, TlsServer, skip};

use crate::server::{End, Server};
use crate::support::{Ran, connie, fresh_path, program, resolve, run};

#[track_caller]
fn get(server: &Server, options: &[&str]) -> Ran {
    let url = server.url("/a?b");
    connie(["get", url.as_str()].iter().chain(options))
}

#[test]
fn the_body_goes_to_stdout() {
    let server = Server::serving("127.0.0.4:0", "a page\n");
    get(&server, &[]).exits(0).prints("a page\n").is_quiet();
    let (port, version) = (server.port(), env!("CARGO_PKG_VERSION"));
    assert_eq!(
        server.request(),
        format!(
            "GET /a?b HTTP/1.1\r\nHost: 127.0.0.4:{port}\r\nUser-Agent: connie/{version}\r\nAccept: */*\r\n\r\n"
        )
    );
}

#[test]
fn bodies_end_as_the_server_says() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    get(&Server::answering("127.0.0.4:0", chunked, End::Wait), &[]).exits(0).prints("abcde");
    let until_close = "HTTP/1.0 200 OK\r\n\r\nall of it";
    get(&Server::answering("127.0.0.4:0", until_close, End::Close), &[]).exits(0).prints("all of it");
    let interim = "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
    get(&Server::answering("127.0.0.4:0", interim, End::Wait), &[]).exits(0).prints("");
}

#[test]
fn a_big_body_arrives_unharmed() {
    let body: Vec<u8> = (0..5_000_000_u32).map(|index| (index % 251) as u8).collect();
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len()).into_bytes();
    answer.extend_from_slice(&body);
    let server = Server::answering("127.0.0.4:0", answer, End::Wait);
    let path = fresh_path("big");
    get(&server, &["-o", path.to_str().unwrap()]).exits(0).prints("").is_quiet();
    assert!(std::fs::read(&path).unwrap() == body, "the file is not the body");
    assert!(get(&server, &[]).exits(0).stdout == body, "stdout is not the body");
}

#[test]
fn heads_can_be_seen() {
    let answer = "HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 4\r\n\r\npage";
    let head = "HTTP/1.1 200 OK\r\nX-One: 1\r\nContent-Length: 4\r\n\r\n";
    let server = Server::answering("127.0.0.4:0", answer, End::Wait);
    get(&server, &["-i"]).exits(0).prints(answer);

    let server = Server::answering("127.0.0.4:0", head, End::Wait);
    get(&server, &["-I"]).exits(0).prints(head);
    assert!(server.request().starts_with("HEAD /a?b HTTP/1.1\r\n"));
}

#[test]
fn verbose_shows_the_race_and_both_heads_on_stderr() {
    let server = Server::serving("127.0.0.4:0", "page");
    let ran = get(&server, &["-v", "-H", "X-Odd: \u{7f}ok"]);
    ran.exits(2).says("header value");
    let ran = get(&server, &["-v"]);
    ran.exits(0).prints("page");
    ran.says("* connected to 127.0.0.4:").says("established");
    ran.says("\n> GET /a?b HTTP/1.1\n> Host: 127.0.0.4:").says("\n> Accept: */*\n> \n");
    ran.says("\n< HTTP/1.1 200 OK\n< Content-Length: 4\n< \n");
}

#[test]
fn data_is_posted() {
    let server = Server::serving("127.0.0.4:0", "");
    let file = fresh_path("data");
    std::fs::write(&file, "from=\r\na file\n\0").unwrap();
    let from_file = format!("@{}", file.display());
    let mut command = program();
    command.args(["get", &server.url("/"), "-d", "one=1", "-d", &from_file, "-d", "@-"]);
    run(&mut command, b"from=\nstdin\n").exits(0).is_quiet();
    let request = server.request();
    assert!(request.starts_with("POST / HTTP/1.1\r\n"), "{request}");
    assert!(request.contains("\r\nContent-Type: application/x-www-form-urlencoded\r\n"), "{request}");
    assert!(request.ends_with("\r\n\r\none=1&from=a file&from=stdin"), "{request}");
}

#[test]
fn method_and_headers_are_the_users() {
    let server = Server::serving("127.0.0.4:0", "");
    let options =
        ["-X", "DELETE", "-H", "Accept:", "-H", "User-Agent;", "-H", "X-One: 1", "-H", "Host: other.test"];
    get(&server, &options).exits(0);
    assert_eq!(
        server.request(),
        "DELETE /a?b HTTP/1.1\r\nHost: other.test\r\nUser-Agent: \r\nX-One: 1\r\n\r\n"
    );
}

#[test]
fn a_url_may_leave_out_what_is_usual() {
    let server = Server::serving("127.0.0.4:0", "page");
    let url = format!("127.0.0.4:{}#part", server.port());
    connie(["get", &url]).exits(0).prints("page");
    assert!(server.request().starts_with("GET / HTTP/1.1\r\n"));
}

#[test]
fn ipv6_addresses_stand_in_brackets() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return skip("IPv6 on loopback", "sysctl -w net.ipv6.conf.lo.disable_ipv6=0");
    }
    let server = Server::serving("[::1]:0", "page");
    get(&server, &[]).exits(0).prints("page");
    get(&server, &["-6"]).exits(0).prints("page");
    assert!(server.requests()[0].contains(&format!("\r\nHost: [::1]:{}\r\n", server.port())));

    let port = server.port();
    let url = format!("http://name.test:{port}/");
    let [option, bracketed] = resolve(port, "127.0.0.3,[::1]");
    connie(["get", &url, &option, &bracketed]).exits(0).prints("page");
    let [option, bare] = resolve(port, "127.0.0.3,::1");
    connie(["get", &url, &option, &bare, "--pacing", "one-by-one"]).exits(0).prints("page");
    connie(["get", &url, &option, &bare, "-4"]).exits(7);
}

#[test]
fn dead_addresses_do_not_hold_it_up() {
    let server = Server::serving("127.0.0.4:0", "page");
    let port = server.port();
    let _holes = [5, 6, 7].map(|last| BlackHole::open(([127, 0, 0, last], port)));
    let [option, addresses] = resolve(port, "127.0.0.5,127.0.0.6,127.0.0.7,127.0.0.3,127.0.0.4");
    let url = format!("http://name.test:{port}/");
    // Two sockets for five addresses, of which the last serves.
    let options = ["--max-in-flight", "2", "--patience", "50", "-m", "20"];
    connie(["get", &url, &option, &addresses].iter().chain(&options)).exits(0).prints("page").is_quiet();
}

#[test]
fn the_star_stands_for_every_host() {
    let server = Server::serving("127.0.0.4:0", "page");
    let entry = format!("*:{}:127.0.0.4", server.port());
    connie(["get", &format!("http://any.invalid:{}/", server.port()), "--resolve", &entry])
        .exits(0)
        .prints("page");
}

#[test]
fn a_list_of_authorities_may_have_comments_in_any_encoding() {
    let authority = Authority::new();
    let server = TlsServer::start(&authority.certify(&["127.0.0.1"]), |served| {
        served.read_head()?;
        served.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage")?;
        served.close()
    });
    let path = fresh_path("authorities");
    std::fs::write(&path, [b"# M\xfcller\n", authority.pem().as_bytes()].concat()).unwrap();
    let url = format!("https://{}/", server.address());
    connie(["get", "--cacert", path.to_str().unwrap(), &url]).exits(0).prints("page").is_quiet();
}
