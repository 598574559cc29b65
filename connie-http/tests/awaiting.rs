//! A connection between a request and the first byte of its answer: what a driver of a `ResponseRace` finds
//! there.

mod support;
use support::{Clock, Say, Script, bytes, connect, opening};

use connie_core::AttemptErrorKind;
use connie_core::stack::nb;
use connie_http::{HttpError, RequestBody};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const GET: &str = "GET / HTTP/1.1\r\nHost: name.test\r\n\r\n";

fn slow(answer: &str) -> Script {
    Script::new([Say::Asked, Say::Pause, bytes(answer)])
}

/// What of this request can be sent over another socket.
#[track_caller]
fn shared(method: &str, headers: &[(&str, &str)], body: &[u8], expected: Option<&str>) {
    let (mut script, mut clock, mut buffer) = (slow(OK), Clock::default(), [0; 256]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.set_expect_timeout(core::time::Duration::ZERO);
    connection.request(method, "/", headers, body).expect("sent");
    let sent = connection.sent_request(body.len()).map(String::from_utf8_lossy);
    assert_eq!(sent.as_deref(), expected, "{method} {headers:?}");
    drop(sent);
    drop(connection);
    if let Some(expected) = expected {
        assert_eq!(script.sent_text(), expected);
    }
}

#[test]
fn a_request_that_was_sent_is_there_as_it_was_sent() {
    shared("GET", &[], b"", Some(GET));
    let post = "POST / HTTP/1.1\r\nHost: name.test\r\nContent-Length: 8\r\n\r\na\r\n\r\nb\r\n";
    shared("POST", &[], b"a\r\n\r\nb\r\n", Some(post));
    shared("CONNECT", &[], b"", None);
    shared("GET", &[("Connection", "upgrade"), ("Upgrade", "x")], b"", None);
    shared("POST", &[("Expect", "100-continue")], b"body", None);
    shared("POST", &[], &[b'x'; 400], None);
}

#[test]
fn nothing_is_shared_but_a_complete_request_that_is_not_answered() {
    let (mut script, mut clock, mut buffer) = (slow(OK), Clock::default(), [0; 256]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    assert_eq!(connection.sent_request(0), None);
    connection.put_request("PUT", "/").expect("begun");
    assert_eq!(connection.sent_request(0), None);
    connection.end_headers(RequestBody::Length(2)).expect("sent");
    assert_eq!(connection.sent_request(2), None, "the body is not sent");
    connection.send(b"ok").expect("sent");
    connection.finish_body().expect("sent");
    assert_eq!(connection.response().expect("an answer").status(), 200);
    assert_eq!(connection.sent_request(2), None);
}

#[test]
fn the_first_byte_is_found_without_waiting_and_the_answer_goes_on_from_there() {
    let (mut script, mut clock, mut buffer) = (slow(OK), Clock::default(), [0; 256]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    assert!(matches!(connection.poll_first_byte(), Err(nb::Error::Other(HttpError::ResponseNotReady))));
    connection.request("GET", "/", &[], b"").expect("sent");
    assert_eq!(connection.poll_first_byte(), Err(nb::Error::WouldBlock));
    assert!(connection.sent_request(0).is_some());
    // A wait that comes to nothing.
    connection.set_timeout(Some(core::time::Duration::ZERO));
    assert!(connection.response().is_err());
    connection.set_timeout(None);
    while connection.poll_first_byte() == Err(nb::Error::WouldBlock) {
        let _ = connection.response();
    }
    let mut body = [0; 8];
    assert_eq!(connection.response().expect("an answer").read_to_end(&mut body), Ok(2));
}

#[test]
fn a_socket_that_was_lent_comes_back_with_what_was_received() {
    let (mut script, mut clock, mut buffer) =
        (Script::new([Say::Asked, bytes(&OK[1..])]), Clock::default(), [0; 256]);
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.request("GET", "/", &[], b"").expect("sent");
    let socket = connection.lend_socket().expect("a socket");
    assert!(connection.lend_socket().is_none());
    connection.give_back_socket(socket, b"H");
    assert_eq!(connection.sent_request(0), None, "its place is taken");
    assert_eq!(connection.response().expect("an answer").status(), 200);
    drop(connection);
    // Its body was not read.
    assert_eq!((script.closed, script.aborted), (0, 1));
}

#[test]
fn an_end_before_the_first_byte_is_reported_and_leaves_the_connection_to_the_caller() {
    for (end, expected) in [
        (Say::Close, HttpError::EmptyReply),
        (Say::PipeClosed, HttpError::EmptyReply),
        (Say::Reset, HttpError::Receive(AttemptErrorKind::Reset.into())),
    ] {
        let (mut script, mut clock, mut buffer) =
            (Script::new([Say::Asked, end]), Clock::default(), [0; 256]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").expect("sent");
        assert_eq!(connection.poll_first_byte(), Err(nb::Error::Other(expected)));
        assert!(connection.is_open() && !connection.repeats_when_lost());
        assert_eq!(connection.lose(expected), Err(expected));
        assert!(!connection.is_open());
        assert_eq!(connection.response().unwrap_err(), expected);
    }
}

#[test]
fn what_a_kept_connection_lost_is_sent_once_more_unless_it_was_sent_twice() {
    for sent_again in [false, true] {
        let kept = Script::new([Say::Asked, bytes(OK), Say::Asked, Say::Close]);
        let mut stack = Script::with_peers([kept, Script::new([Say::Asked, bytes(OK)])]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 256]);
        let mut connection = opening(&mut stack, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").expect("sent");
        connection.response().expect("an answer").discard().expect("a body");
        connection.request("GET", "/", &[], b"").expect("sent");
        assert!(connection.repeats_when_lost());
        if sent_again {
            connection.mark_sent_again();
        }
        assert_eq!(connection.repeats_when_lost(), !sent_again);
        let lost = connection.lose(HttpError::EmptyReply);
        assert_eq!(lost, if sent_again { Err(HttpError::EmptyReply) } else { Ok(()) });
        assert_eq!(connection.sent_request(0), None, "not a third time");
        assert_eq!(connection.response().is_ok(), !sent_again);
    }
}
