//! `-d` and its kin, `-T`, `-G`: what goes out, octet for octet.

use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path, program, run};

fn echo() -> Site {
    Site::start(|asked| Reply::ok(&asked.body))
}

#[track_caller]
fn get(site: &Site, path: &str, options: &[&str]) -> Ran {
    connie(["get", &site.url(path)].iter().chain(options))
}

/// A file of this size with this name, and its content.
fn file(name: &str, length: usize) -> (String, Vec<u8>) {
    let content: Vec<u8> = b"line\r\n\0".iter().copied().cycle().take(length).collect();
    let path = fresh_path(name);
    std::fs::write(&path, &content).unwrap();
    (path.to_str().unwrap().to_owned(), content)
}

#[test]
fn each_kind_of_data_is_sent_as_it_is_meant() {
    let (path, content) = file("data", 14);
    let at = format!("@{path}");
    let site = echo();
    get(&site, "/", &["-d", "a=1", "-d", &at, "--data-raw", "@x", "--data-urlencode", "n=a b&c"]).exits(0);
    get(&site, "/", &["--data-binary", &at]).exits(0);
    get(&site, "/", &["--data-binary", &at, "-d", "b=2", "-H", "Content-Type: text/plain"]).exits(0);
    let asked = site.asked();
    assert_eq!(asked[0].body(), "a=1&lineline&@x&n=a+b%26c");
    assert_eq!(asked[1].raw_body, content);
    assert_eq!(asked[2].raw_body, [&content[..], b"&b=2"].concat());
    assert_eq!(asked[1].header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!(asked[2].header("content-type"), Some("text/plain"));
    assert_eq!(asked[1].header("content-length"), Some("14"));
    assert!(asked.iter().all(|asked| asked.method() == "POST" && asked.header("expect").is_none()));
}

#[test]
fn stdin_is_data_too() {
    let site = echo();
    for (option, expected) in [("-d", "ab"), ("--data-binary", "a\r\nb\n")] {
        let mut command = program();
        command.args(["get", &site.url("/"), option, "@-"]);
        run(&mut command, b"a\r\nb\n").exits(0).prints(expected).is_quiet();
    }
}

#[test]
fn large_files_are_sent_as_they_are_meant_too() {
    let (path, content) = file("large", 3_000_000);
    let bare: Vec<u8> = content.iter().copied().filter(|byte| !b"\r\n\0".contains(byte)).collect();
    let site = echo();
    let at = format!("@{path}");
    assert!(get(&site, "/", &["--data-binary", &at]).exits(0).stdout == content, "not the file");
    assert!(get(&site, "/", &["-d", &at, "-d", "x"]).exits(0).stdout == [&bare[..], b"&x"].concat());
}

#[test]
fn data_can_go_into_the_url() {
    let (path, _) = file("query", 5);
    let site = echo();
    get(&site, "/a?b=c", &["-G", "-d", "d=e", "-d", &format!("@{path}"), "--data-urlencode", "f=g h"])
        .exits(0);
    get(&site, "/", &["-GI", "-d", "x"]).exits(0);
    assert_eq!(site.lines(), ["GET /a?b=c&d=e&line&f=g+h", "HEAD /?x"]);
    assert_eq!(site.asked()[0].header("content-type"), None);
    get(&site, "/", &["-G", "-d", "a b"]).exits(3).says("%20");
}

#[test]
fn a_file_is_put() {
    let (path, content) = file("a file.txt", 100);
    let site = echo();
    get(&site, "/name", &["-T", &path]).exits(0);
    get(&site, "/folder/?q", &["-T", &path]).exits(0);
    get(&site, "/name", &["-T", &path, "-X", "POST"]).exits(0);
    let name = path.rsplit('/').next().unwrap().replace(' ', "%20");
    assert_eq!(
        site.lines(),
        ["PUT /name".to_owned(), format!("PUT /folder/{name}?q"), "POST /name".to_owned()]
    );
    for asked in site.asked() {
        assert_eq!(asked.raw_body, content);
        assert_eq!((asked.header("content-length"), asked.header("content-type")), (Some("100"), None));
    }
    get(&site, "/", &["-T", "/nonexistent/file"]).exits(26).says("No such file");
    get(&site, "/", &["-T", &path, "-d", "x"]).exits(2).says("-T");
    get(&site, "/", &["-T", &path, "-I"]).exits(2).says("-T");
}

#[test]
fn several_files_go_to_several_urls() {
    let (one, two) = (file("one", 7), file("two", 14));
    let site = echo();
    connie(["get", &site.url("/1"), &site.url("/2"), "-T", &one.0, "-T", &two.0]).exits(0);
    let lengths: Vec<_> = site.asked().iter().map(|asked| asked.body.len()).collect();
    assert_eq!((lengths, site.connections()), (vec![7, 14], 1));
    connie(["get", &site.url("/1"), "-T", &one.0, "-T", &two.0]).exits(0).says_lines(1).says("more files");
}

#[test]
fn stdin_is_sent_in_chunks_as_it_comes() {
    let site = echo();
    let mut command = program();
    command.args(["get", &site.url("/"), "-T", "-"]);
    run(&mut command, b"from stdin\n").exits(0).prints("from stdin\n").is_quiet();
    let asked = site.one();
    assert_eq!(asked.method(), "PUT");
    assert_eq!(asked.header("transfer-encoding"), Some("chunked"));
    assert_eq!(asked.header("content-length"), None);
    assert_eq!(String::from_utf8_lossy(&asked.raw_body), "b\r\nfrom stdin\n\r\n0\r\n\r\n");
    let mut command = program();
    command.args(["get", &site.url("/"), "-T", "-"]);
    run(&mut command, b"").exits(0).prints("");
}

#[test]
fn data_can_be_sent_in_chunks() {
    let site = echo();
    get(&site, "/", &["-d", "abc", "-H", "Transfer-Encoding: chunked"]).exits(0).prints("abc");
    assert_eq!(String::from_utf8_lossy(&site.one().raw_body), "3\r\nabc\r\n0\r\n\r\n");
}

/// A site that refuses bodies that wait.
fn refusing(status: &'static str) -> Site {
    let refuse = move |_: &_| Reply::status(status, "", "no\n");
    Site::expecting(refuse, |asked| Reply::ok(asked.body.len().to_string()))
}

#[test]
fn a_large_body_waits_to_be_asked_for() {
    let (path, content) = file("large", 1_500_000);
    let at = format!("@{path}");
    for options in [&["--data-binary", at.as_str()][..], &["-T", path.as_str()]] {
        let site = echo();
        assert!(get(&site, "/", options).exits(0).stdout == content);
        assert_eq!(site.one().header("expect"), Some("100-continue"));
    }
    let site = refusing("401 Unauthorized");
    get(&site, "/", &["-T", &path]).exits(0).prints("no\n").is_quiet();
    assert!(site.one().body.is_empty(), "it was not asked for");
    get(&site, "/", &["-f", "-T", &path]).exits(22);
    let site = echo();
    get(&site, "/", &["-T", &path, "-H", "Expect:"]).exits(0);
    assert_eq!(site.one().header("expect"), None);
}

#[test]
fn a_server_that_cannot_be_asked_gets_the_body_all_the_same() {
    let (path, _) = file("large", 1_500_000);
    let site = refusing("417 Expectation Failed");
    get(&site, "/", &["-T", &path]).exits(0).prints("1500000");
    assert_eq!(site.lines().len(), 2);
}

#[test]
fn a_server_that_says_nothing_gets_the_body_after_a_while() {
    let (path, content) = file("large", 1_500_000);
    // It reads head and body and answers then, as if it had never heard of 100-continue.
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nyes";
    let server = crate::server::Server::answering("127.0.0.4:0", answer, crate::server::End::Wait);
    connie(["get", &server.url("/"), "-T", &path, "--expect100-timeout", "0.05"]).exits(0).prints("yes");
    let request = server.request();
    assert!(request.contains("Expect: 100-continue") && request.len() > content.len());
}

#[test]
fn a_body_that_is_turned_down_is_not_sent_to_its_end() {
    let path = fresh_path("endless");
    // Larger than what the kernel takes for a peer that reads nothing.
    std::fs::File::create(&path).unwrap().set_len(256 << 20).unwrap();
    let site = Site::expecting(
        |_| {
            Reply::Close(
                b"HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbig\n".into(),
            )
        },
        |_| Reply::ok(""),
    );
    get(&site, "/", &["-T", path.to_str().unwrap()]).exits(0).prints("big\n");
    assert!(site.one().body.is_empty());
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_file_that_shrinks_is_no_whole_body() {
    let path = fresh_path("shrinking");
    std::fs::write(&path, vec![b'x'; 1_500_000]).unwrap();
    let inner = path.clone();
    let shrink = move |_: &_| {
        std::fs::File::options().write(true).open(&inner).unwrap().set_len(100).unwrap();
        Reply::Continue
    };
    let site = Site::expecting(shrink, |_| Reply::ok("all of it"));
    get(&site, "/", &["-T", path.to_str().unwrap()]).exits(26).prints("").says("shorter");
}

#[test]
fn data_for_the_url_may_hold_any_octets() {
    let site = Site::start(|_| Reply::ok(""));
    let path = fresh_path("data");
    std::fs::write(&path, b"a=\xfc\xc3\xbc\n").unwrap();
    connie(["get", "-G", "-d", &format!("@{}", path.display()), &site.url("/")]).exits(0);
    assert_eq!(site.one().target(), "/?a=%FC%C3%BC");
}
