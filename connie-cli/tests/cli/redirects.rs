//! `-L`: where redirects lead, and what is told there.

use std::net::SocketAddr;

use connie_servers::{Authority, TlsServer};

use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path};

#[track_caller]
fn get(site: &Site, path: &str, options: &[&str]) -> Ran {
    connie(["get", &site.url(path)].iter().chain(options))
}

/// Redirects `/from` to `location` with this status, and serves all else.
fn redirecting(status: &'static str, location: &str) -> Site {
    let location = location.to_owned();
    Site::start(move |asked| match asked.target() {
        "/from" => Reply::to(status, &location),
        _ => Reply::ok("arrived\n"),
    })
}

#[test]
fn without_the_option_the_answer_is_what_it_is() {
    let site = redirecting("302 Found", "/to");
    get(&site, "/from", &[]).exits(0).prints("gone elsewhere\n").is_quiet();
    assert_eq!(site.lines(), ["GET /from"]);
}

#[test]
fn a_location_is_resolved_on_its_page() {
    for (location, target) in
        [("/to", "/to"), ("to?x#y", "/to?x"), ("../to", "/to"), ("?to", "/from?to"), (" /a b", "/a%20b")]
    {
        let site = redirecting("302 Found", location);
        get(&site, "/from", &["-L"]).exits(0).prints("arrived\n").is_quiet();
        assert_eq!(site.lines(), ["GET /from".to_owned(), format!("GET {target}")]);
        assert_eq!(site.connections(), 1, "the connection is kept");
    }
}

#[test]
fn the_method_is_what_the_standard_makes_of_it() {
    for (status, options, method, body) in [
        ("301 Moved", &["-d", "x=1"][..], "GET", ""),
        ("302 Found", &["-d", "x=1"], "GET", ""),
        ("303 See Other", &["-d", "x=1"], "GET", ""),
        ("307 Again", &["-d", "x=1"], "POST", "x=1"),
        ("308 For Good", &["-d", "x=1"], "POST", "x=1"),
        ("301 Moved", &["-X", "PUT", "-d", "x=1"], "PUT", "x=1"),
        ("303 See Other", &["-X", "PUT", "-d", "x=1"], "GET", ""),
        ("302 Found", &["-X", "POST", "-d", "x=1"], "GET", ""),
        ("302 Found", &["-X", "DELETE"], "DELETE", ""),
    ] {
        let site = redirecting(status, "/to");
        get(&site, "/from", options).exits(0).prints("gone elsewhere\n");
        get(&site, "/from", &[&["--follow"], options].concat()).exits(0).prints("arrived\n");
        let asked = site.asked();
        let last = asked.last().unwrap();
        assert_eq!((last.method(), last.body().as_str()), (method, body), "{status} {options:?}");
        let describes = last.header("content-type").is_some() || last.header("content-length").is_some();
        assert_eq!(describes, !body.is_empty(), "{}", last.head);
    }
    let site = redirecting("303 See Other", "/to");
    get(&site, "/from", &["-LI"]).exits(0);
    assert_eq!(site.lines(), ["HEAD /from", "HEAD /to"]);
}

/// As curl has it with -L, and with --follow not.
#[test]
fn a_method_of_the_user_stays() {
    for status in ["301 Moved", "302 Found", "303 See Other", "307 Again"] {
        let site = redirecting(status, "/to");
        get(&site, "/from", &["-L", "-X", "DELETE"]).exits(0);
        assert_eq!(site.lines(), ["DELETE /from", "DELETE /to"]);
    }
    // The last of both counts.
    for (options, method) in [(["-L", "--follow"], "GET"), (["--follow", "-L"], "DELETE")] {
        let site = redirecting("303 See Other", "/to");
        get(&site, "/from", &[&options[..], &["-X", "DELETE"]].concat()).exits(0);
        assert_eq!(site.lines(), ["DELETE /from".to_owned(), format!("{method} /to")]);
    }
}

#[test]
fn there_is_a_limit() {
    let endless = || Site::start(|asked| Reply::to("302 Found", &format!("/{}", asked.number + 1)));
    let site = endless();
    get(&site, "/0", &["-L"]).exits(47).prints("").says_lines(1).says("more than 50").says("--max-redirs");
    assert_eq!(site.asked().len(), 51);
    for (limit, requests) in [("0", 1), ("3", 4)] {
        let site = endless();
        get(&site, "/0", &["-L", "--max-redirs", limit]).exits(47).says_lines(1);
        assert_eq!(site.asked().len(), requests);
    }
}

#[test]
fn going_round_in_circles_is_noticed() {
    let site = Site::start(|asked| Reply::to("302 Found", if asked.target() == "/a" { "/b" } else { "/a" }));
    get(&site, "/a", &["-L", "--max-redirs", "-1"]).exits(47).prints("").says_lines(1).says("loop");
    assert!(site.asked().len() < 12, "{:?}", site.lines());
    // A page that leads to itself until something is done is no circle.
    let site = Site::start(|asked| match asked.number {
        0..3 => Reply::to("302 Found", "/a"),
        _ => Reply::ok("done\n"),
    });
    get(&site, "/a", &["-L"]).exits(0).prints("done\n");
}

#[test]
fn a_url_that_each_redirect_makes_longer_is_followed_to_64_kibibytes() {
    // Relative to the page, so that nothing but the server makes it long.
    let site = Site::start(|asked| Reply::to("302 Found", &asked.target().repeat(2)));
    let ran = get(&site, "/a", &["-L"]);
    ran.exits(3).prints("").says_lines(1).says("the server redirects to a URL of ").says("65536");
    let asked = site.asked();
    assert_eq!(asked.len(), 15);
    assert_eq!(asked[14].target().len(), 32 * 1024);
}

/// A site, and one that redirects to it.
fn two_sites(status: &'static str) -> (Site, Site) {
    let other = Site::start(|_| Reply::ok("arrived\n"));
    let first = redirecting(status, &other.url("/to"));
    (first, other)
}

#[test]
fn another_host_is_told_no_secrets() {
    let secrets = ["-L", "-H", "Authorization: Bearer secret", "-H", "Cookie: a=secret", "-H", "X-Open: yes"];
    let (first, other) = two_sites("307 Again");
    get(&first, "/from", &secrets).exits(0).prints("arrived\n");
    assert_eq!(first.one().head.matches("secret").count(), 2);
    let told = other.one();
    assert!(!told.head.contains("secret") && told.header("x-open") == Some("yes"), "{}", told.head);

    let (first, other) = two_sites("302 Found");
    get(&first, "/from", &["-L", "-u", "me:secret"]).exits(0);
    assert!(first.one().header("authorization").is_some());
    assert_eq!(other.one().header("authorization"), None);

    let (first, other) = two_sites("302 Found");
    get(&first, "/from", &["--location-trusted", "-u", "me:secret"]).exits(0).prints("arrived\n");
    assert_eq!(other.one().header("authorization"), Some("Basic bWU6c2VjcmV0"));
}

#[test]
fn what_was_fetched_by_tls_is_not_told_without() {
    let site = Site::start(|_| Reply::ok("arrived\n"));
    let location = site.url("/to");
    let identity = Authority::new().certify(&["127.0.0.1"]);
    let secure = TlsServer::start(&identity, move |served| {
        served.read_head()?;
        let head = format!("HTTP/1.1 302 Found\r\nLocation: {location}\r\nContent-Length: 0\r\n\r\n");
        served.write_all(head.as_bytes())?;
        served.close()
    });
    let url = format!("https://u:p@{}/secret?token=1#f", secure.address());
    for (option, expected) in [
        (";auto", None),
        ("http://r/;auto", None),
        // What the user says is sent wherever redirects lead, as by curl.
        ("http://r/", Some("http://r/")),
    ] {
        connie(["get", "-kL", "-e", option, &url]).exits(0).prints("arrived\n");
        let asked = site.asked().pop().expect("a request");
        assert_eq!(asked.header("referer"), expected, "{option}");
        assert_eq!(asked.header("authorization"), None);
    }
}

#[test]
fn the_same_host_is_told_again() {
    let site = redirecting("302 Found", "/to");
    let url = format!("http://me:secret@{}/from", site.address());
    connie(["get", "-L", &url]).exits(0).prints("arrived\n");
    for asked in site.asked() {
        assert_eq!(asked.header("authorization"), Some("Basic bWU6c2VjcmV0"), "{}", asked.head);
    }
}

#[test]
fn a_location_may_bring_its_own_login() {
    let other = Site::start(|_| Reply::ok("arrived\n"));
    let first = redirecting("302 Found", &format!("http://you:there@{}/", other.address()));
    get(&first, "/from", &["-L", "-u", "me:secret"]).exits(0);
    assert_eq!(other.one().header("authorization"), Some("Basic eW91OnRoZXJl"));
}

#[test]
fn a_host_header_is_for_the_first_host() {
    let (first, other) = two_sites("302 Found");
    get(&first, "/from", &["-L", "-H", "Host: mine.test"]).exits(0);
    assert_eq!(first.one().header("host"), Some("mine.test"));
    assert_eq!(other.one().header("host"), Some(other.address().to_string().as_str()));
}

#[test]
fn the_page_of_before_can_be_named() {
    let site = redirecting("302 Found", "/to");
    get(&site, "/from", &["-L", "-e", "http://start.test/;auto"]).exits(0);
    let referers: Vec<_> =
        site.asked().iter().map(|asked| asked.header("referer").unwrap_or_default().to_owned()).collect();
    assert_eq!(referers, ["http://start.test/".to_owned(), site.url("/from")]);
}

#[test]
fn what_is_not_the_web_is_not_followed() {
    for (location, code) in [
        ("ftp://h.test/", 1),
        ("file:///etc/passwd", 1),
        ("mailto:me", 1),
        ("http://", 3),
        ("http://h:0/", 3),
    ] {
        let site = redirecting("302 Found", location);
        get(&site, "/from", &["-L"]).exits(code).prints("").says_lines(1).says("redirects to a URL");
    }
    let site = Site::start(|_| Reply::status("302 Found", "", "nowhere\n"));
    get(&site, "/", &["-L"]).exits(0).prints("nowhere\n");
    let site = Site::start(|_| Reply::status("302 Found", "Location: \r\n", "nowhere\n"));
    get(&site, "/", &["-L"]).exits(0).prints("nowhere\n");
}

#[test]
fn all_heads_can_be_seen() {
    let site = redirecting("302 Found", "/to");
    let path = fresh_path("heads");
    let ran = get(&site, "/from", &["-Li", "-D", path.to_str().unwrap()]);
    let heads = "HTTP/1.1 302 Found\r\nLocation: /to\r\nContent-Length: 15\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n";
    ran.exits(0).prints(&format!("{heads}arrived\n"));
    assert_eq!(std::fs::read_to_string(path).unwrap(), heads);
}

#[test]
fn a_long_answer_on_the_way_is_not_waited_for() {
    // It never ends.
    let site = Site::start(|asked| match asked.target() {
        "/from" => {
            Reply::Keep(b"HTTP/1.1 302 Found\r\nLocation: /to\r\nContent-Length: 99999999\r\n\r\nxx".into())
        }
        _ => Reply::ok("arrived\n"),
    });
    get(&site, "/from", &["-L", "-m", "20"]).exits(0).prints("arrived\n");
    assert_eq!(site.connections(), 2);
}

/// A page that ends with its connection may not end at all: nothing is to be had from waiting for that.
#[test]
fn the_end_of_a_connection_on_the_way_is_not_waited_for() {
    let head = "HTTP/1.1 302 Found\r\nLocation: /here\r\n";
    for more in ["", "Connection: close\r\nTransfer-Encoding: chunked\r\n"] {
        let site = Site::start(move |asked| match asked.target() {
            "/" => Reply::Keep(format!("{head}{more}\r\n5\r\nhello").into_bytes()),
            _ => Reply::ok("here"),
        });
        get(&site, "/", &["-L", "-m", "20"]).exits(0).prints("here");
        assert_eq!(site.connections(), 2);
    }
}

#[test]
fn an_upload_is_sent_again_where_it_can_be() {
    let path = fresh_path("upload");
    std::fs::write(&path, "the file\n").unwrap();
    let site = redirecting("307 Again", "/to");
    get(&site, "/from", &["-L", "-T", path.to_str().unwrap()]).exits(0).prints("arrived\n");
    assert_eq!(site.asked().iter().map(|asked| asked.body()).collect::<Vec<_>>(), ["the file\n"; 2]);

    let site = redirecting("307 Again", "/to");
    let mut command = crate::support::program();
    command.args(["get", &site.url("/from"), "-L", "-T", "-"]);
    crate::support::run(&mut command, b"once").exits(65).says_lines(1).says("a second time");
}

#[test]
fn names_of_hosts_are_looked_up_again() {
    let other = Site::start(|_| Reply::ok("arrived\n"));
    let SocketAddr::V4(address) = other.address() else { unreachable!("127.0.0.4") };
    let first = redirecting("302 Found", &format!("http://other.test:{}/", address.port()));
    let entry = format!("other.test:{}:{}", address.port(), address.ip());
    get(&first, "/from", &["-L", "--resolve", &entry]).exits(0).prints("arrived\n");
    assert_eq!(other.one().header("host"), Some(format!("other.test:{}", address.port()).as_str()));
}
