//! Heads as they came, where curl prints less of them or none.

use crate::server::{End, Server};
use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path};

/// What `connie get` makes of this answer.
#[track_caller]
fn get(answer: &str, options: &[&str]) -> Ran {
    let server = Server::answering("127.0.0.1:0", answer, End::Close);
    connie([&["get", "--max-time", "20", server.url("/").as_str()], options].concat())
}

#[test]
fn a_line_that_is_no_field_is_printed_and_told() {
    let head = "HTTP/1.1 200 OK\r\nPHP Warning: no such file\r\nContent-Length: 4\r\n\r\n";
    let ran = get(&format!("{head}page"), &["-i", "-v"]);
    ran.exits(0).prints(&format!("{head}page")).says("< PHP Warning: no such file\n");
    ran.says(
        "* this line of the head is not a header field, and is dropped: \"PHP Warning: no such file\"\n",
    );
    get(&format!("{head}page"), &["-i", "-s"]).exits(0).is_quiet();
}

#[test]
fn verbose_shows_all_heads() {
    let hints = "HTTP/1.1 103 Early Hints\r\nLink: a\r\n\tb\r\n\r\n";
    let ran = get(&format!("{hints}HTTP/1.1 200 OK\r\nA:b\r\nContent-Length: 0\r\n\r\n"), &["-v"]);
    let shown = "< HTTP/1.1 103 Early Hints\n< Link: a\n< \tb\n< \n< HTTP/1.1 200 OK\n< A:b\n< Content-Length: 0\n< \n";
    ran.exits(0).says(shown);
}

#[test]
fn what_has_come_of_a_head_is_printed_where_it_cannot_be_read() {
    for (answer, printed, code) in [
        ("HTTP/1.1 200 OK\r\nA: b\r\nC", "HTTP/1.1 200 OK\r\nA: b\r\n", 56),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\npage",
            "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
            8,
        ),
        ("HTTP/1.1 103 Hints\r\nA:b\r\n\r\n", "HTTP/1.1 103 Hints\r\nA:b\r\n\r\n", 52),
        ("SSH-2.0-OpenSSH\r\n", "", 1),
        ("", "", 52),
    ] {
        get(answer, &["-i"]).exits(code).prints(printed).says_lines(1);
        get(answer, &["-D", "-"]).exits(code).prints(printed);
        get(answer, &[]).exits(code).prints("");
    }
}

/// The body is not printed twice, and the head of what is tried again is.
#[test]
fn a_head_does_not_stand_in_the_way_of_another_try() {
    let site = Site::start(|asked| match asked.number {
        0 => Reply::Close(b"HTTP/1.1 200 OK\r\nA: b\r\n".into()),
        _ => Reply::ok("page"),
    });
    let tries = ["--retry", "1", "--retry-all-errors", "--retry-delay", "0.01"];
    let ran = connie([&["get", &site.url("/"), "-i"], &tries[..]].concat());
    ran.exits(0).prints("HTTP/1.1 200 OK\r\nA: b\r\nHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\npage");
}

/// What is there of a file is not followed by the head of an answer that says nothing of it.
#[test]
fn a_file_that_cannot_go_on_stays_as_it_is() {
    for (answer, code) in [
        ("HTTP/1.1 404 No\r\nContent-Length: 2\r\n\r\nno", 33),
        ("HTTP/1.1 416 No\r\nContent-Range: bytes */4\r\nContent-Length: 0\r\n\r\n", 0),
        ("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nabcdef", 33),
    ] {
        let path = fresh_path("stays");
        std::fs::write(&path, "0123").unwrap();
        get(answer, &["-i", "-C", "-", "-o", path.to_str().unwrap()]).exits(code);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123", "{answer}");
    }
}
