//! `--retry`: what is tried again, how often, and what is not written twice.

use crate::site::{Reply, Site};
use crate::support::{Ran, connie, fresh_path};

#[track_caller]
fn get(site: &Site, options: &[&str]) -> Ran {
    connie(["get", &site.url("/"), "--retry-delay", "0.01"].iter().chain(options))
}

/// Fails `times` times with this status, then serves.
fn recovering(status: &'static str, times: usize) -> Site {
    Site::start(move |asked| match asked.number {
        number if number < times => Reply::status(status, "", "not now\n"),
        _ => Reply::ok("at last\n"),
    })
}

#[test]
fn what_may_pass_is_tried_again() {
    for status in [
        "408 Request Timeout",
        "429 Too Many Requests",
        "500 Internal Server Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Gateway Timeout",
    ] {
        let site = recovering(status, 2);
        let ran = get(&site, &["--retry", "2"]);
        ran.exits(0).prints("at last\n").says_lines(2).says(status).says("1 try left").says("0 tries left");
        assert_eq!(site.asked().len(), 3);
        let site = recovering(status, 2);
        get(&site, &["--retry", "5", "-s"]).exits(0).prints("at last\n").is_quiet();
    }
}

#[test]
fn what_lasts_is_not() {
    for status in ["400 Bad Request", "403 Forbidden", "404 Not Found", "501 Not Implemented"] {
        let site = recovering(status, 2);
        get(&site, &["--retry", "2"]).exits(0).prints("not now\n").is_quiet();
        get(&site, &["--retry", "2", "-f"]).exits(22).says_lines(1);
        assert_eq!(site.asked().len(), 2);
    }
    let site = recovering("404 Not Found", 2);
    get(&site, &["--retry", "2", "-f", "--retry-all-errors"]).exits(0).prints("at last\n");
}

#[test]
fn tries_come_to_an_end() {
    let site = recovering("503 No", 9);
    get(&site, &["--retry", "3"]).exits(0).prints("not now\n").says_lines(3);
    assert_eq!(site.asked().len(), 4);
    let site = recovering("503 No", 9);
    get(&site, &["--retry", "1", "-f"]).exits(22).prints("").says_lines(2).says("503 No");
    let site = recovering("503 No", 1);
    get(&site, &[]).exits(0).prints("not now\n").is_quiet();
}

#[test]
fn the_server_says_when() {
    let site = Site::start(|asked| match asked.number {
        0 => Reply::status("503 Busy", "Retry-After: 1\r\n", ""),
        _ => Reply::ok("at last\n"),
    });
    let path = fresh_path("json");
    let ran = get(&site, &["--retry", "1", "--report", "json", "-o", path.to_str().unwrap()]);
    let elapsed = ran.exits(0).says("next try in 1 s").json()["elapsed_us"].as_u64().unwrap();
    assert!(elapsed >= 1_000_000, "{elapsed}");
    let busy = Site::start(|_| Reply::status("503 Busy", "Retry-After: 20\r\n", "busy\n"));
    let ran = get(&busy, &["--retry", "1", "--retry-max-time", "5"]);
    ran.exits(0).prints("busy\n").says_lines(1);
    ran.says("the server asks to wait 20 s, longer than --retry-max-time allows; not tried again");
    assert_eq!(busy.asked().len(), 1, "that is more than is allowed");
    get(&busy, &["--retry", "1", "--retry-max-time", "5", "-s"]).exits(0).prints("busy\n").is_quiet();
    get(&busy, &["--retry", "1", "--retry-max-time", "5", "-f"]).exits(22).prints("").says_lines(2);
}

#[test]
fn a_server_cannot_park_the_client_for_ever() {
    for (asks, told) in [
        ("18446744073709551615", "wait 18446744073709551615 s, longer than 6 hours"),
        ("99999999999999999999999", "wait 18446744073709551615 s, longer than 6 hours"),
        ("21601", "wait 21601 s, longer than 6 hours"),
        ("Fri, 31 Dec 9999 23:59:59 GMT", "longer than 6 hours"),
    ] {
        let fields = format!("Retry-After: {asks}\r\n");
        let busy = Site::start(move |_| Reply::status("503 Busy", &fields, "busy\n"));
        let ran = get(&busy, &["--retry", "1"]);
        ran.exits(0).prints("busy\n").says_lines(1).says(told).says("--retry-max-time");
        get(&busy, &["--retry", "1", "--retry-max-time", "60"]).exits(0).says("--retry-max-time allows");
        assert_eq!(busy.asked().len(), 2);
    }
    for past in ["Sun, 06 Nov 1994 08:49:37 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "-5", "soon"] {
        let fields = format!("Retry-After: {past}\r\n");
        let site = Site::start(move |asked| match asked.number {
            0 => Reply::status("503 Busy", &fields, ""),
            _ => Reply::ok("at last\n"),
        });
        get(&site, &["--retry", "1"]).exits(0).prints("at last\n").says("next try in 0.01 s");
    }
}

#[test]
fn a_pause_that_the_time_for_tries_does_not_hold_is_told() {
    let site = recovering("503 No", 9);
    let ran = connie(["get", &site.url("/"), "--retry", "1", "--retry-delay", "30", "--retry-max-time", "9"]);
    ran.exits(0).prints("not now\n").says_lines(1).says("the next try would wait 30 s, longer than");
    assert_eq!(site.asked().len(), 1);
}

#[test]
fn the_longest_limits_do_no_harm() {
    let site = Site::start(|_| Reply::ok("page"));
    const MOST: &str = "9223372036854775";
    for option in ["-m", "--connect-timeout", "--retry-delay", "--retry-max-time", "--expect100-timeout"] {
        get(&site, &[option, MOST]).exits(0).prints("page");
        for more in ["9223372036854779", "1000000000000000000", "18446744073709551615"] {
            get(&site, &[option, more]).exits(2).says_lines(1).says(&format!("at most {MOST} seconds"));
        }
        get(&site, &[option, "1e18"]).exits(2).says_lines(1).says("give seconds");
    }
}

#[test]
fn pauses_grow() {
    let site = recovering("503 Busy", 1);
    connie(["get", &site.url("/"), "--retry", "1"]).exits(0).says("next try in 1 s");
}

#[test]
fn a_file_is_begun_anew() {
    let site = Site::start(|asked| match asked.number {
        // Half of it, then silence.
        0 => Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nwrong".into()),
        _ => Reply::ok("right\n"),
    });
    let path = fresh_path("file");
    let options = ["--retry", "1", "-m", "0.5", "-o", path.to_str().unwrap()];
    get(&site, &options).exits(0).prints("").says_lines(1).says("timed out");
    assert_eq!(std::fs::read_to_string(path).unwrap(), "right\n");
}

#[test]
fn stdout_takes_nothing_back() {
    let site = Site::start(|_| Reply::Keep(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf".into()));
    get(&site, &["--retry", "3", "-m", "0.5"]).exits(28).prints("half").says_lines(1);
    assert_eq!(site.asked().len(), 1);
    // Nothing of it was written yet.
    let site = Site::start(|asked| match asked.number {
        0 => Reply::Keep(b"HTTP/1.1 200 OK\r\n".into()),
        _ => Reply::ok("right\n"),
    });
    get(&site, &["--retry", "3", "-m", "0.5"]).exits(0).prints("right\n").says_lines(1);
}

#[test]
fn a_refusal_is_tried_again_only_if_asked_for() {
    let refused = |options: &[&str]| {
        let ran = connie(
            ["get", "http://127.0.0.1:1/", "--retry", "2", "--retry-delay", "0.01"].iter().chain(options),
        );
        ran.exits(7).stderr.matches("next try").count()
    };
    assert_eq!(refused(&[]), 0);
    assert_eq!(refused(&["--retry-connrefused"]), 2);
    assert_eq!(refused(&["--retry-all-errors"]), 2);
}

#[test]
fn what_cannot_get_better_is_not_tried_again() {
    let site = recovering("200 OK", 0);
    let all = ["--retry", "3", "--retry-all-errors"];
    get(&site, &[&all[..], &["-o", "/nonexistent/file"]].concat()).exits(23).says_lines(1);
    assert_eq!(site.asked().len(), 1);
    connie(["get", "ftp://h/"].iter().chain(&all)).exits(1).says_lines(1);
}

#[test]
fn a_body_is_sent_again() {
    let site = recovering("503 Busy", 1);
    get(&site, &["--retry", "1", "-d", "x=1"]).exits(0).prints("at last\n");
    assert_eq!(site.asked().iter().map(|asked| asked.body()).collect::<Vec<_>>(), ["x=1", "x=1"]);
}
