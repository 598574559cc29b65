//! `Expect: 100-continue`: the server is asked whether it wants the body (RFC 9110 section 10.1.1).

mod support;
use support::{Clock, OpenContext, Say, Script, Take, bytes, opening};

use std::time::Duration;

use connie_core::Instant;
use connie_http::{EXPECT_TIMEOUT, HttpError, MAX_INTERIM, RequestBody};

const EXPECT: [(&str, &str); 1] = [("Expect", "100-continue")];
const GO_ON: &str = "HTTP/1.1 100 Continue\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What came of a request that asks before it sends its body.
#[derive(Debug, PartialEq)]
struct Asked {
    /// The status, or the error of the request or the answer.
    status: Result<u16, HttpError>,
    /// Whether the body was sent.
    sent: bool,
    /// Whether the connection stayed.
    open: bool,
    /// How long the whole took, in ms. Each wait that ends with news takes one.
    took: u64,
}

/// Asks a peer that says `says`, and once it has been sent the body, `OK`.
#[track_caller]
fn ask(says: impl IntoIterator<Item = Say>, set: impl FnOnce(&mut OpenContext<'_>)) -> Asked {
    let says = [Say::Asked].into_iter().chain(says).chain([Say::Asked, Say::Pause, bytes(OK)]);
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([Script::new(says)]), Clock::default(), [0; 512]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    set(&mut connection);
    let status = connection.request("POST", "/", &EXPECT, b"<body>").and_then(|()| {
        let mut response = connection.response()?;
        response.discard()?;
        Ok(response.status())
    });
    let open = connection.is_open();
    drop(connection);
    let head = "POST / HTTP/1.1\r\nHost: name.test\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n";
    let sent = script.sent_text();
    assert!(sent == head || sent == format!("{head}<body>"), "{sent}");
    assert_eq!(script.closed + script.aborted, script.sockets, "the socket is released exactly once");
    Asked { status, sent: sent.ends_with("<body>"), open, took: clock.now.as_micros() / 1000 }
}

#[test]
fn the_body_is_sent_when_the_server_says_to_go_on() {
    let asked = ask([Say::Pause, bytes(GO_ON)], |_| {});
    assert_eq!(asked, Asked { status: Ok(200), sent: true, open: true, took: 2 });
    // In pieces, and after another interim answer.
    let says = [Say::Pause, bytes("HTTP/1.1 103 Hint\r\n\r\nHTTP/1.1 1"), Say::Pause, bytes(&GO_ON[10..])];
    assert_eq!(ask(says, |_| {}), Asked { status: Ok(200), sent: true, open: true, took: 3 });
}

/// "A client that sends a 100-continue expectation is not required to wait for any specific length of time;
/// such a client MAY proceed to send the content even if it has not yet received a response."
#[test]
fn the_body_is_sent_when_the_server_says_nothing_in_time() {
    assert_eq!(EXPECT_TIMEOUT, Duration::from_secs(1));
    let answered = |took| Asked { status: Ok(200), sent: true, open: true, took };
    assert_eq!(ask([], |_| {}), answered(1001));
    assert_eq!(
        ask([], |connection| connection.set_expect_timeout(Duration::from_millis(350))),
        answered(351)
    );
    assert_eq!(ask([], |connection| connection.set_expect_timeout(Duration::ZERO)), answered(1));
    // The time-out is for a server that is silent where it has to speak.
    assert_eq!(ask([], |connection| connection.set_timeout(Some(Duration::from_millis(50)))), answered(51));
    // An interim answer that is not 100 says nothing about the body.
    assert_eq!(ask([bytes("HTTP/1.1 103 Hint\r\n\r\n")], |_| {}), answered(1001));
}

#[test]
fn the_body_is_not_sent_after_a_final_answer() {
    for status in [200, 204, 301, 413, 417, 500] {
        let answer = bytes(format!("HTTP/1.1 {status} Final\r\nContent-Length: 0\r\n\r\n"));
        let asked = ask([Say::Pause, answer], |_| {});
        // The server may still wait for the body that the head has announced, so nothing else can be sent.
        assert_eq!(asked, Asked { status: Ok(status), sent: false, open: false, took: 1 });
    }
}

/// The 100 is not the answer, though one comes right behind it: that is an early answer as any other, which
/// ends the sending where it is an error, or closes.
#[test]
fn a_final_answer_right_behind_the_100_is_an_early_one() {
    for (status, fields, sent) in [(200, "", true), (413, "", false), (200, "Connection: close\r\n", false)] {
        let both = format!("{GO_ON}HTTP/1.1 {status} Final\r\n{fields}Content-Length: 0\r\n\r\n");
        let asked = ask([Say::Pause, bytes(both)], |_| {});
        assert_eq!(asked, Asked { status: Ok(status), sent, open: sent, took: 1 }, "{status} {fields}");
    }
}

#[test]
fn the_body_is_not_sent_to_a_server_that_makes_no_sense() {
    let failed_after = |took, error| Asked { status: Err(error), sent: false, open: false, took };
    let failed = |error| failed_after(0, error);
    assert_eq!(ask([bytes("hello")], |_| {}), failed(HttpError::NotHttp));
    assert_eq!(ask([Say::Close], |_| {}), failed(HttpError::EmptyReply));
    let hints = "HTTP/1.1 103 Hint\r\n\r\n".repeat(usize::from(MAX_INTERIM) + 1);
    assert_eq!(ask([bytes(hints)], |_| {}), failed(HttpError::TooManyInterim));
    let long = format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(600));
    assert_eq!(ask([bytes(long)], |_| {}), failed_after(1, HttpError::HeadTooLarge { capacity: 503 }));
}

#[test]
fn the_deadline_ends_the_wait_as_any_other() {
    let asked = ask([], |connection| connection.set_deadline(Some(Instant::from_millis(300))));
    assert_eq!(asked, Asked { status: Err(HttpError::TimedOut), sent: false, open: false, took: 300 });
}

#[test]
fn a_body_in_pieces_is_held_back_as_well() {
    for (says, wanted) in [(GO_ON, true), ("HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n", false)] {
        let script = Script::new([Say::Asked, Say::Pause, bytes(says), Say::Asked, bytes(OK)]);
        let (mut script, mut clock, mut buffer) = (Script::with_peers([script]), Clock::default(), [0; 512]);
        let mut connection = opening(&mut script, &mut clock, &mut buffer);
        connection.put_request("POST", "/").unwrap();
        connection.put_header("eXPECT", b"100-Continue").unwrap();
        connection.end_headers(RequestBody::Chunked).unwrap();
        assert_eq!(connection.wants_body(), wanted);
        connection.send(b"abc").unwrap();
        connection.finish_body().unwrap();
        assert_eq!(connection.response().unwrap().status(), if wanted { 200 } else { 417 });
        drop(connection);
        assert_eq!(script.sent_text().ends_with("3\r\nabc\r\n0\r\n\r\n"), wanted);
    }
}

/// "A client MUST NOT generate a 100-continue expectation in a request that does not include content."
#[test]
fn without_a_body_there_is_nothing_to_ask() {
    let (mut script, mut clock, mut buffer) =
        (Script::with_peers([Script::new([Say::Asked, bytes(OK)])]), Clock::default(), [0; 512]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    assert_eq!(connection.request("GET", "/", &EXPECT, b""), Err(HttpError::ExpectWithoutBody));
    assert_eq!(connection.request("POST", "/", &EXPECT, b""), Err(HttpError::ExpectWithoutBody));
    assert!(HttpError::ExpectWithoutBody.is_usage() && !connection.is_open(), "nothing was opened");
    // The next request is none that asks, and neither is one that expects something else.
    connection.request("GET", "/", &[("Expect", "something")], b"").unwrap();
    assert_eq!(connection.response().unwrap().status(), 200);
    drop(connection);
    assert_eq!(script.sent_text(), "GET / HTTP/1.1\r\nHost: name.test\r\nExpect: something\r\n\r\n");
}

#[test]
fn a_kept_connection_that_is_lost_meanwhile_is_opened_again() {
    let first = "GET / HTTP/1.1\r\nHost: name.test\r\n\r\n";
    for (say, takes) in [
        (Say::Close, vec![]),
        (Say::Reset, vec![]),
        (Say::Pause, vec![Take::AtMost(first.len()), Take::AtMost(20), Take::Fail]),
    ] {
        let lost = Script::new([Say::Asked, bytes(OK), Say::Asked, say]).taking(takes);
        let next = Script::new([Say::Asked, bytes(GO_ON), Say::Asked, bytes(OK)]);
        let (mut script, mut clock, mut buffer) =
            (Script::with_peers([lost, next]), Clock::default(), [0; 512]);
        let mut connection = opening(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        connection.response().unwrap().discard().unwrap();
        connection.request("PUT", "/", &EXPECT, b"<body>").unwrap();
        assert_eq!(connection.response().unwrap().status(), 200);
        drop(connection);
        let put =
            "PUT / HTTP/1.1\r\nHost: name.test\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n<body>";
        assert_eq!(script.sent_text(), put);
        assert_eq!(clock.now, Instant::ZERO, "nobody waits for a connection that is lost");
    }
}
