//! `-C`: a download goes on where it broke off, or says why it cannot.

use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path};

const WHOLE: &str = "0123456789";

/// Serves `WHOLE`, from the byte that is asked for on.
fn ranges() -> Site {
    Site::start(|asked| {
        let first = asked
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        match first {
            None => Reply::ok(WHOLE),
            Some(first) if first >= WHOLE.len() => {
                Reply::status("416 Range Not Satisfiable", "Content-Range: bytes */10\r\n", "no such part\n")
            }
            Some(first) => {
                let range = format!("Content-Range: bytes {first}-9/10\r\n");
                Reply::status("206 Partial Content", &range, &WHOLE[first..])
            }
        }
    })
}

/// Resumes a file that holds `before`; answers what it holds then.
#[track_caller]
fn resume(site: &Site, before: Option<&str>, options: &[&str]) -> (Ran, String) {
    let path = fresh_path("resumed");
    if let Some(before) = before {
        std::fs::write(&path, before).unwrap();
    }
    let url = site.url("/file");
    let ran = connie(["get", &url, "-C", "-", "-o", path.to_str().unwrap()].iter().chain(options));
    (ran, std::fs::read_to_string(&path).unwrap_or_default())
}

#[test]
fn the_rest_is_appended() {
    for before in [Some("0123"), Some("012345678"), Some(""), None] {
        let site = ranges();
        let (ran, after) = resume(&site, before, &[]);
        ran.exits(0).prints("").is_quiet();
        assert_eq!(after, WHOLE, "{before:?}");
        let length = before.unwrap_or_default().len();
        let range = Some(format!("bytes={length}-")).filter(|_| length > 0);
        assert_eq!(site.one().header("range"), range.as_deref());
    }
}

#[test]
fn what_is_complete_stays_as_it_is() {
    let (ran, after) = resume(&ranges(), Some(WHOLE), &[]);
    ran.exits(0).is_quiet();
    assert_eq!(after, WHOLE);
    let (ran, after) = resume(&ranges(), Some(WHOLE), &["-f"]);
    ran.exits(0).is_quiet();
    assert_eq!(after, WHOLE);
    // A server without ranges sends the whole again, which is as long as what is here.
    let (ran, after) = resume(&Site::start(|_| Reply::ok(WHOLE)), Some(WHOLE), &[]);
    ran.exits(0).is_quiet();
    assert_eq!(after, WHOLE);
}

#[test]
fn what_does_not_fit_is_refused_and_the_file_left_alone() {
    let refuses = |site: Site, before: &str, part: &str| {
        let (ran, after) = resume(&site, Some(before), &[]);
        ran.exits(33).prints("").says_lines(1).says(part);
        assert_eq!(after, before);
    };
    refuses(Site::start(|_| Reply::ok(WHOLE)), "0123", "sent the whole file again");
    refuses(ranges(), "0123456789 and more", "the server has only 10");
    let part =
        |range: &'static str| Site::start(move |_| Reply::status("206 Partial Content", range, "456789"));
    refuses(part("Content-Range: bytes 3-8/10\r\n"), "0123", "sent bytes 3-8, not the bytes from 4 on");
    refuses(part("Content-Range: bytes 5-9/10\r\n"), "0123", "sent bytes 5-9, not the bytes from 4 on");
    refuses(part("Content-Range: bytes 4-8/10\r\n"), "0123", "bytes 4-8, but the body has 6 bytes");
    refuses(part("Content-Range: bytes 4-8/*\r\n"), "0123", "bytes 4-8, but the body has 6 bytes");
    let several = "Content-Type: multipart/byteranges; boundary=x\r\nContent-Range: bytes 4-9/10\r\n";
    refuses(part(several), "0123", "does not say that it sent the bytes from 4 on");
    refuses(part(""), "0123", "does not say");
    refuses(part("Content-Range: bytes 4-1/10\r\n"), "0123", "does not say");
    refuses(Site::start(|_| Reply::status("404 Not Found", "", "sorry")), "0123", "404 Not Found");
    refuses(Site::start(|_| Reply::to("302 Found", "/elsewhere")), "0123", "follow redirects with -L");
}

#[test]
fn errors_are_what_they_are() {
    let site = Site::start(|_| Reply::status("404 Not Found", "", "sorry"));
    let (ran, after) = resume(&site, Some("0123"), &["-f"]);
    ran.exits(22).says_lines(1);
    assert_eq!(after, "0123");
}

#[test]
fn a_download_that_breaks_off_is_kept_and_goes_on() {
    let site = Site::start(|asked| match asked.header("range") {
        None => Reply::Close(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".into()),
        Some("bytes=4-") => Reply::status("206 Partial Content", "Content-Range: bytes 4-9/10\r\n", "456789"),
        Some(_) => Reply::ok("wrong"),
    });
    let path = fresh_path("broken");
    let get = |options: &[&str]| {
        connie(["get", &site.url("/"), "-o", path.to_str().unwrap()].iter().chain(options))
    };
    get(&[]).exits(18).says_lines(1).says("4 of 10 bytes").says("-C -");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "0123");
    get(&["-C", "-"]).exits(0).is_quiet();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), WHOLE);
}

/// A 206 with this Content-Range and body, which ends with the connection.
fn part_until_close(range: &str, body: &str) -> Site {
    let answer = format!("HTTP/1.1 206 Partial Content\r\nContent-Range: {range}\r\n\r\n{body}");
    Site::start(move |_| Reply::Close(answer.clone().into()))
}

fn part(range: &str, body: &'static str) -> Site {
    let range = format!("Content-Range: {range}\r\n");
    Site::start(move |_| Reply::status("206 Partial Content", &range, body))
}

#[test]
fn a_part_that_ends_before_the_whole_does_is_not_all() {
    let (ran, after) = resume(&part("bytes 5-6/10", "56"), Some("01234"), &[]);
    ran.exits(18).says_lines(1).says("only bytes 5-6 of 10: 3 of those asked for are missing").says("-C -");
    assert_eq!(after, "0123456", "what came is kept, to go on from");
    let (ran, after) = resume(&part_until_close("bytes 5-6/10", "56"), Some("01234"), &[]);
    ran.exits(18).says("3 of those asked for are missing");
    assert_eq!(after, "0123456");
    // Nobody can tell how long the whole is.
    let (ran, after) = resume(&part("bytes 5-6/*", "56"), Some("01234"), &[]);
    ran.exits(0).is_quiet();
    assert_eq!(after, "0123456");
    let chunked = "Transfer-Encoding: chunked\r\nContent-Range: bytes 5-9/10\r\n\r\n2\r\n56\r\n0\r\n\r\n";
    for site in [
        part_until_close("bytes 5-9/10", "56"),
        part_until_close("bytes 5-9/*", "56"),
        Site::start(move |_| Reply::Keep(format!("HTTP/1.1 206 P\r\n{chunked}").into())),
    ] {
        let (ran, after) = resume(&site, Some("01234"), &[]);
        ran.exits(18).says_lines(1).says("sent 2 bytes, but announced bytes 5-9").says("-C -");
        assert_eq!(after, "0123456");
    }
    // More than it announces is not taken for a part of the file.
    let (ran, after) = resume(&part_until_close("bytes 5-6/7", "56789"), Some("01234"), &[]);
    ran.exits(33).says_lines(1).says("more than the bytes 5-6");
    assert_eq!(after, "01234");
}

#[test]
fn parts_that_come_one_by_one_make_the_whole() {
    // Three bytes at most.
    let site = Site::start(|asked| {
        let first = asked.header("range").and_then(|range| range[6..].trim_end_matches('-').parse().ok());
        let first: usize = first.unwrap_or(0);
        let end = (first + 3).min(10);
        let range = format!("Content-Range: bytes {first}-{}/10\r\n", end - 1);
        Reply::status("206 Partial Content", &range, &WHOLE[first..end])
    });
    let retries = ["--retry", "5", "--retry-all-errors", "--retry-delay", "0.01"];
    let (ran, after) = resume(&site, None, &retries);
    ran.exits(0).says_lines(3);
    assert_eq!(after, WHOLE);
}

#[test]
fn a_range_is_what_was_asked_for() {
    let ranged = |range: &str, answer: Site| connie(["get", &answer.url("/"), "-r", range]);
    ranged("0-4", part("bytes 0-4/10", "01234")).exits(0).prints("01234");
    ranged("0-99", part("bytes 0-9/10", WHOLE)).exits(0).prints(WHOLE);
    ranged("-3", part("bytes 7-9/10", "789")).exits(0).prints("789");
    ranged("5-", part("bytes 5-9/*", "56789")).exits(0).prints("56789");
    // A server may send all of it, or several ranges in a form of their own (RFC 9110 section 15.3.7.2).
    ranged("0-4", Site::start(|_| Reply::ok(WHOLE))).exits(0).prints(WHOLE);
    let several = "Content-Type: multipart/byteranges; boundary=x\r\n";
    let answer = move || Site::start(move |_| Reply::status("206 Partial Content", several, "--x"));
    ranged("0-1,5-6", answer()).exits(0).prints("--x");
    ranged("0-1,5-6", part("bytes 0-6/10", "0123456")).exits(0).prints("0123456");
    let short = ranged("0-4", part("bytes 0-1/10", "01"));
    short.exits(18).prints("01").says("3 of those asked for are missing; ask for the rest with -r 2-");
    ranged("-3", part("bytes 7-7/10", "7")).exits(18).prints("7");
    ranged("0-4", part_until_close("bytes 0-4/10", "01")).exits(18).prints("01").says("sent 2 bytes");
    for (range, site) in [
        ("5-", part("bytes 3-9/10", "3456789")),
        ("0-4", part("bytes 0-9/10", WHOLE)),
        ("-3", part("bytes 0-2/10", "012")),
        ("0-4", part("bytes 0-4/10", "0123")),
        ("0-4", Site::start(|_| Reply::status("206 Partial Content", "", "01234"))),
        ("0-4", answer()),
    ] {
        ranged(range, site).exits(33).prints("").says_lines(1).says("the server");
    }
    let own = connie(["get", &part("bytes 0-1/10", "01").url("/"), "-H", "Range: bytes=0-4"]);
    own.exits(18).prints("01");
}

#[test]
fn a_part_that_nobody_asked_for_is_not_the_whole() {
    let get = |site: Site| connie(["get", &site.url("/")]);
    get(part("bytes 0-9/10", WHOLE)).exits(0).prints(WHOLE).is_quiet();
    get(part("bytes 0-4/10", "01234")).exits(18).prints("01234").says("5 of those asked for are missing");
    get(part("bytes 5-9/10", "56789")).exits(33).prints("").says("bytes 5-9, not the bytes from 0 on");
    // Rows of a table, as some servers send them, are no bytes.
    get(part("0-4/10", "rows")).exits(0).prints("rows").is_quiet();
    get(part("items 0-4/10", "rows")).exits(0).prints("rows").is_quiet();
    get(Site::start(|_| Reply::status("206 Partial Content", "", "rows"))).exits(0).prints("rows");
}

/// A first answer with `first` among its fields that breaks off, then the rest with `then`.
fn changing(first: &'static str, then: &'static str) -> Site {
    Site::start(move |asked| match asked.number {
        0 => Reply::Keep(format!("HTTP/1.1 200 OK\r\n{first}Content-Length: 10\r\n\r\n01234").into()),
        _ => Reply::status("206 Partial Content", &format!("{then}Content-Range: bytes 5-9/10\r\n"), "56789"),
    })
}

#[test]
fn two_versions_of_a_file_are_not_joined() {
    let options = ["-m", "0.5", "--retry", "1", "--retry-delay", "0.01"];
    for (first, then, part) in [
        ("ETag: \"1\"\r\n", "ETag: \"2\"\r\n", "its ETag was \"1\" and is now \"2\""),
        ("ETag: W/\"1\"\r\n", "ETag: W/\"2\"\r\n", "its ETag was W/\"1\""),
        (
            "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
            "Last-Modified: Sun, 06 Nov 1994 08:49:38 GMT\r\n",
            "its Last-Modified was",
        ),
    ] {
        let site = changing(first, then);
        let (ran, after) = resume(&site, None, &options);
        ran.exits(33).says_lines(2).says(part).says("drop -C");
        assert_eq!(after, "01234");
        let strong = site.asked()[1].header("if-range").map(str::to_owned);
        assert_eq!(strong.as_deref(), first.starts_with("ETag: \"").then_some("\"1\""), "{first}");
    }
    let longer = Site::start(|asked| match asked.number {
        0 => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n01234".into()),
        _ => Reply::status("206 Partial Content", "Content-Range: bytes 5-10/11\r\n", "56789A"),
    });
    let (ran, after) = resume(&longer, None, &options);
    ran.exits(33).says("its length was 10 and is now 11");
    assert_eq!(after, "01234");
    for same in ["", "ETag: \"1\"\r\n", "ETag: W/\"1\"\r\n"] {
        let (ran, after) = resume(&changing(same, same), None, &options);
        ran.exits(0).says_lines(1);
        assert_eq!(after, WHOLE);
    }
}

#[test]
fn a_retry_goes_on_too() {
    let site = Site::start(|asked| match asked.header("range") {
        None => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123".into()),
        Some(_) => Reply::status("206 Partial Content", "Content-Range: bytes 4-9/10\r\n", "456789"),
    });
    let (ran, after) = resume(&site, None, &["-m", "0.5", "--retry", "1", "--retry-delay", "0.01"]);
    ran.exits(0).says_lines(1).says("timed out");
    assert_eq!(after, WHOLE);
}

#[test]
fn an_offset_can_be_given() {
    let site = ranges();
    connie(["get", &site.url("/"), "-C", "7"]).exits(0).prints("789");
    let path = fresh_path("offset");
    std::fs::write(&path, "0123456789 old end").unwrap();
    connie(["get", &site.url("/"), "-C", "7", "-o", path.to_str().unwrap()]).exits(0);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), WHOLE);
    let refuses = |options: &[&str], part: &str| {
        connie(["get", &site.url("/")].iter().chain(options)).exits(2).says(part);
    };
    refuses(&["-C", "-", "-r", "0-4"], "-r");
    refuses(&["-C", "-", "-T", "/dev/null"], "-T");
    refuses(&["-C", "-", "--compressed"], "--compressed");
    refuses(&["-C", "some"], "number of bytes");
}

#[test]
fn a_range_is_asked_for_as_it_is_given() {
    let site = ranges();
    connie(["get", &site.url("/"), "-r", "7-"]).exits(0).prints("789");
    connie(["get", &site.url("/"), "-r", "-3"]).exits(0).prints(WHOLE);
    let ranges: Vec<_> =
        site.asked().iter().map(|asked| asked.header("range").unwrap_or_default().to_owned()).collect();
    assert_eq!(ranges, ["bytes=7-", "bytes=-3"]);
}

#[test]
fn a_redirect_is_asked_for_the_rest_as_well() {
    let other = ranges();
    let to = other.url("/");
    let site = Site::start(move |_| Reply::to("302 Found", &to));
    let (ran, after) = resume(&site, Some("0123"), &["-L"]);
    ran.exits(0).is_quiet();
    assert_eq!(after, WHOLE);
}

const AGAIN: [&str; 5] = ["--retry", "3", "--retry-all-errors", "--retry-delay", "0.01"];

/// RFC 9110 section 13.1.5: an entity tag that is not weak, or a date where there is no tag and the date is a
/// strong validator.
#[test]
fn a_part_is_asked_for_by_a_strong_validator() {
    const TAG: &str = "ETag: \"1\"\r\n";
    const DATE: &str = "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    const SECOND_LATER: &str = "Date: Sun, 06 Nov 1994 08:49:38 GMT\r\n";
    const LATER: &str = "Date: Sun, 06 Nov 1994 08:50:37 GMT\r\n";
    let date = Some("Sun, 06 Nov 1994 08:49:37 GMT");
    for (fields, expected) in [
        (TAG.to_owned(), Some("\"1\"")),
        (format!("{TAG}{DATE}{LATER}"), Some("\"1\"")),
        (format!("{DATE}{LATER}"), date),
        (DATE.to_owned(), None),
        (format!("{DATE}{SECOND_LATER}"), None),
        (format!("ETag: W/\"1\"\r\n{DATE}{LATER}"), None),
        (format!("Last-Modified: long ago\r\n{LATER}"), None),
        (LATER.to_owned(), None),
    ] {
        let told = fields.clone();
        let site = Site::start(move |asked| match asked.number {
            0 => Reply::Close(format!("HTTP/1.1 200 OK\r\n{told}Content-Length: 10\r\n\r\n01234").into()),
            _ => Reply::status("206 Partial Content", "Content-Range: bytes 5-9/10\r\n", "56789"),
        });
        let (ran, after) = resume(&site, None, &AGAIN);
        ran.exits(0);
        assert_eq!(after, WHOLE);
        assert_eq!(site.asked()[1].header("if-range"), expected, "{fields}");
        assert_eq!(site.asked()[0].header("if-range"), None, "nothing is known yet");
    }
}

/// RFC 9110 section 13.1.5: where the validator does not match, the server sends the whole.
#[test]
fn a_whole_in_place_of_a_part_says_what_has_changed() {
    let site = Site::start(|asked| match asked.number {
        0 => Reply::Close(b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\n\r\n01234".into()),
        _ => Reply::status("200 OK", "ETag: \"2\"\r\n", "abcdefghij"),
    });
    let (ran, after) = resume(&site, None, &AGAIN);
    ran.exits(33).says("its ETag was \"1\" and is now \"2\"");
    assert_eq!(after, "01234");
}

/// RFC 9110 section 15.3.7: after a request with If-Range, a part may leave out what the whole has told.
#[test]
fn what_a_part_leaves_out_holds_on() {
    let site = |last: &'static str| {
        Site::start(move |asked| match asked.number {
            0 => Reply::Close(b"HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 10\r\n\r\n0123".into()),
            1 => Reply::status("206 P", "Content-Range: bytes 4-6/*\r\n", "456").cut(1),
            _ => Reply::status("206 P", last, "6789"),
        })
    };
    let good = site("ETag: \"1\"\r\nContent-Range: bytes 6-9/10\r\n");
    let (ran, after) = resume(&good, None, &AGAIN);
    ran.exits(0);
    assert_eq!(after, WHOLE);
    assert_eq!(good.asked()[2].header("if-range"), Some("\"1\""));
    for (last, part) in [
        ("ETag: \"2\"\r\nContent-Range: bytes 6-9/10\r\n", "its ETag was \"1\" and is now \"2\""),
        ("Content-Range: bytes 6-9/11\r\n", "its length was 10 and is now 11"),
    ] {
        let (ran, after) = resume(&site(last), None, &AGAIN);
        ran.exits(33).says(part);
        assert_eq!(after, "012345");
    }
}

/// Parts are parts of what is sent: of the page as it is coded, where it is.
#[test]
fn parts_in_another_coding_are_not_joined() {
    for (first, then, differs) in [
        ("", "", false),
        ("Content-Encoding: gzip\r\n", "", false),
        ("Content-Encoding: gzip\r\n", "Content-Encoding: gzip\r\n", false),
        ("", "Content-Encoding: gzip\r\n", true),
        ("Content-Encoding: gzip\r\n", "Content-Encoding: br\r\n", true),
    ] {
        let (ran, after) =
            resume(&changing(first, then), None, &["-m", "0.5", "--retry", "1", "--retry-delay", "0.01"]);
        if differs {
            ran.exits(33).says("its Content-Encoding was");
        } else {
            ran.exits(0);
        }
        assert_eq!(after, if differs { "01234" } else { WHOLE }, "{first} {then}");
    }
}

/// A range counts bytes from before they were coded for sending.
#[test]
fn a_part_may_be_coded_for_sending() {
    // "hello", by gzip.
    let hello =
        [31, 139, 8, 0, 0, 0, 0, 0, 0, 255, 203, 72, 205, 201, 201, 7, 0, 134, 166, 16, 54, 5, 0, 0, 0];
    for (range, code) in [("5-9/10", 0), ("5-10/11", 18), ("5-8/9", 33)] {
        let head = "HTTP/1.1 206 P\r\nTransfer-Encoding: gzip, chunked\r\n";
        let head = format!("{head}Content-Range: bytes {range}\r\n\r\n{:x}\r\n", hello.len());
        let site = Site::start(move |_| Reply::Keep([head.as_bytes(), &hello, b"\r\n0\r\n\r\n"].concat()));
        let (ran, after) = resume(&site, Some("01234"), &[]);
        ran.exits(code);
        assert_eq!(after, if code == 33 { "01234" } else { "01234hello" }, "{range}");
    }
}
