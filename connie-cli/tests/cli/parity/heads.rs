//! Heads as they came, beside curl: every octet of them, wherever they are printed.

use super::Table;
use crate::server::{End, Server};
use crate::site::{Asked, Reply, Site};
use crate::support::fresh_path;

/// Answers, and what is odd about their heads.
const ODD: &[(&str, &str)] = &[
    ("folded", "HTTP/1.1 200 OK\r\nA:  b \r\n\t c\r\nContent-Length: 4\r\n\r\npage"),
    ("bare line feeds", "HTTP/1.1 200 OK\nA:b\nContent-Length:4\n\npage"),
    ("white space", "HTTP/1.1 200 OK\r\nA:\t b \t\r\nB :c\r\nD:\r\nContent-Length: 4\r\n\r\npage"),
    ("1.0, and no reason", "HTTP/1.0 200\r\nA: b\r\n\r\npage"),
    ("a long reason", "HTTP/1.1 200 All  is\twell \r\nContent-Length: 4\r\n\r\npage"),
    ("beyond ASCII", "HTTP/1.1 200 Sch\u{f6}n\r\nA: \u{e9}\r\nContent-Length: 4\r\n\r\npage"),
    ("two of a name", "HTTP/1.1 200 OK\r\nA: 1\r\na: 2\r\nA: 1\r\nContent-Length: 4\r\n\r\npage"),
    (
        "early hints",
        "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    ),
    (
        "many of 1xx",
        "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 102 Wait\r\nA:b\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
    ),
    (
        "chunked, with trailers",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\npage\r\n0\r\nT: x\r\nU:y\r\n\r\n",
    ),
    ("204", "HTTP/1.1 204 No\r\nA:b\r\n\r\n"),
    ("304", "HTTP/1.1 304 Not Modified\r\nContent-Length: 10\r\nETag: \"1\"\r\n\r\n"),
];

pub fn heads(table: &mut Table) {
    for (what, answer) in ODD {
        table.answer(&format!("a head that is {what}"), answer, End::Close, &["-i"]);
        table.answer(&format!("dumped: {what}"), answer, End::Close, &["-D", "-", "-o", "/dev/null"]);
        if ["white space", "chunked, with trailers"].contains(what) {
            // curl counts lines that are not fields, and one of two trailers.
            continue;
        }
        let counts = ["-o", "/dev/null", "-w", "%{size_header} %{num_headers}"];
        table.answer(&format!("counted: {what}"), answer, End::Close, &counts);
    }
    for (what, answer) in &ODD[..6] {
        let head = &answer[..answer.len() - 4];
        table.answer(&format!("the head alone: {what}"), head, End::Close, &["-I"]);
    }
    refused(table);
    on_the_way(table);
    proxied(table);
    table.row("a head in a file", |run| {
        let (server, path) = (Server::answering("127.0.0.4:0", ODD[0].1, End::Wait), fresh_path("head"));
        run(&[&server.url("/"), "-i", "-o", path.to_str().unwrap()]);
        let content = std::fs::read_to_string(path).unwrap();
        assert_eq!(content, ODD[0].1);
    });
    table.row("two heads in a file", |run| {
        let (server, path) = (Server::answering("127.0.0.4:0", ODD[0].1, End::Wait), fresh_path("heads"));
        run(&[&server.url("/"), &server.url("/"), "-D", path.to_str().unwrap()]);
        let head = &ODD[0].1[..ODD[0].1.len() - 4];
        assert_eq!(std::fs::read_to_string(path).unwrap(), format!("{head}{head}"));
    });
}

/// Answers of which nothing but the head is wanted.
fn refused(table: &mut Table) {
    let gone = "HTTP/1.1 404 Not Found\r\nA:b\r\nContent-Length: 5\r\n\r\nsorry";
    for options in [
        &["-f", "-i"][..],
        &["-f", "-D", "-"],
        &["-fI"],
        &["--fail-with-body", "-i"],
        &["-f", "-w", "%{size_header} %{size_download}"],
        &["-i"],
    ] {
        table.answer(&format!("404 with {}", options.join(" ")), gone, End::Close, options);
    }
    for (what, answer) in [
        ("416", "HTTP/1.1 416 No\r\nContent-Range:bytes */4\r\nContent-Length: 2\r\n\r\nno"),
        ("a whole", "HTTP/1.1 200 OK\r\nContent-Length:6\r\n\r\nabcdef"),
        ("the rest", "HTTP/1.1 206 OK\r\nContent-Range:bytes 4-5/6\r\nContent-Length: 2\r\n\r\nef"),
    ] {
        table.answer(&format!("resumed, {what}"), answer, End::Close, &["-C", "4", "-i"]);
    }
    let coded = "HTTP/1.1 200 OK\r\nContent-Encoding:x-zip\r\nContent-Length: 4\r\n\r\npage";
    table.answer("a coding that nobody knows, and its head", coded, End::Close, &["-i", "--compressed"]);
}

/// Answers that others follow.
fn on_the_way(table: &mut Table) {
    let away: fn(&Asked) -> Reply = |asked| match asked.target() {
        "/" => Reply::Keep(b"HTTP/1.1 302 Found\nLocation:  /to \nContent-Length:2\n\nno".into()),
        "/other" => Reply::to("302 Found", "ftq://h/"),
        "/loop" => Reply::to("302 Found", "/loop"),
        target => Reply::ok(target),
    };
    table.site("the head of a redirect", away, "/", &["-L", "-i"]);
    table.site("the head of a redirect, dumped", away, "/", &["-L", "-D", "-", "-o", "/dev/null"]);
    table.site("the head of a redirect that is not followed", away, "/", &["-i"]);
    table.site("the head of a redirect that cannot be followed", away, "/other", &["-L", "-i"]);
    table.site("the heads of too many redirects", away, "/loop", &["-L", "-i", "--max-redirs", "2"]);
    table.site("the heads of redirects alone", away, "/", &["-L", "-I"]);
    table.row("the head before that of a body that was asked for", |run| {
        let site = Site::start(|asked| Reply::ok(asked.body()));
        run(&[&site.url("/"), "-i", "-d", "x", "-H", "Expect: 100-continue"]);
    });
}

/// What a proxy says before there is a tunnel.
fn proxied(table: &mut Table) {
    for (what, answer) in [
        (
            "opens a tunnel",
            "HTTP/1.1 200 Yes\r\nVia:a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage",
        ),
        ("opens none", "HTTP/1.1 403 No\r\nVia:a\r\n\r\n"),
    ] {
        for options in [
            &["-i"][..],
            &["-D", "-", "-o", "/dev/null"],
            &["-i", "--suppress-connect-headers"],
            &["-D", "-", "-o", "/dev/null", "--suppress-connect-headers"],
        ] {
            table.row(&format!("the head of a proxy that {what}, with {}", options.join(" ")), |run| {
                let proxy = Server::answering("127.0.0.4:0", answer, End::Wait);
                run(&[options, &["-p", "-x", &proxy.url(""), "-m", "5", "http://name.test:80/"]].concat());
            });
        }
    }
}
