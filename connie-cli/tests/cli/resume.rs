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
    refuses(Site::start(|_| Reply::ok(WHOLE)), "0123", "sends the whole again");
    refuses(ranges(), "0123456789 and more", "the server has only 10");
    let part =
        |range: &'static str| Site::start(move |_| Reply::status("206 Partial Content", range, "456789"));
    refuses(part("Content-Range: bytes 3-8/10\r\n"), "0123", "at byte 3, and not at 4");
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
