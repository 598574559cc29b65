//! What a connection does beyond reading an answer: sending, waiting, being used again, and letting go of its
//! socket.

mod support;
use support::{Clock, Say, Script, Take, bytes, connect};

use std::time::Duration;

use connie_core::{AttemptErrorKind, Instant, Interest, PollEntry, PollResult, Poller};
use connie_http::{Authority, ByRef, HttpConnection, HttpError, MAX_INTERIM, RequestBody, Version};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// A peer that answers one request and then closes in its own time.
fn answering(answer: impl AsRef<[u8]>) -> Script {
    Script::new([Say::Asked, Say::Pause, bytes(answer), Say::Pause, Say::Close])
}

/// A peer that answers each request with the next of `answers`.
fn answering_each(answers: &[&str]) -> Script {
    Script::new(answers.iter().flat_map(|answer| [Say::Asked, Say::Pause, bytes(answer)]))
}

#[track_caller]
fn read_all(connection: &mut support::Lending<'_>) -> Result<Vec<u8>, HttpError> {
    let mut body = [0; 4096];
    let length = connection.response()?.read_to_end(&mut body)?;
    Ok(body[..length].to_vec())
}

#[track_caller]
fn released_once(script: &Script, closed: u32, aborted: u32) {
    assert_eq!((script.closed, script.aborted), (closed, aborted), "closed, aborted");
}

mod requests {
    use super::*;

    #[track_caller]
    fn sends(method: &str, headers: &[(&str, &str)], body: &[u8], expected: &str) {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        connect(&mut script, &mut clock, &mut buffer).request(method, "/a", headers, body).unwrap();
        assert_eq!(script.sent_text(), expected);
    }

    #[track_caller]
    fn refuses(method: &str, target: &str, headers: &[(&str, &str)], error: HttpError) {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        assert_eq!(connection.request(method, target, headers, b""), Err(error));
        assert!(error.is_usage() && connection.is_open(), "the caller can mend it");
        assert_eq!(connection.response().unwrap_err(), HttpError::ResponseNotReady);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        drop(connection);
        assert_eq!(
            script.sent_text(),
            "GET / HTTP/1.1\r\nHost: name.test\r\n\r\n",
            "of the first, nothing was sent"
        );
    }

    #[test]
    fn go_out_as_written() {
        sends("GET", &[("Accept", "*/*")], b"", "GET /a HTTP/1.1\r\nHost: name.test\r\nAccept: */*\r\n\r\n");
        sends("HEAD", &[], b"", "HEAD /a HTTP/1.1\r\nHost: name.test\r\n\r\n");
        sends("POST", &[], b"x=1", "POST /a HTTP/1.1\r\nHost: name.test\r\nContent-Length: 3\r\n\r\nx=1");
        sends("POST", &[], b"", "POST /a HTTP/1.1\r\nHost: name.test\r\nContent-Length: 0\r\n\r\n");
        sends("GET", &[], b"odd", "GET /a HTTP/1.1\r\nHost: name.test\r\nContent-Length: 3\r\n\r\nodd");
    }

    #[test]
    fn take_the_caller_s_host_for_their_own() {
        let expected = "GET /a HTTP/1.1\r\nHost: other.test:81\r\nA: b\r\n\r\n";
        sends("GET", &[("A", "b"), ("hOST", "other.test:81")], b"", expected);
        refuses("GET", "/", &[("Host", "a"), ("host", "b")], HttpError::ReservedHeader);
        refuses("GET", "/", &[("Host", "a\r\nX: y")], HttpError::InvalidHost);
    }

    #[test]
    fn that_could_be_split_are_not_sent() {
        refuses("GET /x HTTP/1.1\r\nA:", "/", &[], HttpError::InvalidMethod);
        refuses("GET", "/ HTTP/1.1\r\nX: y\r\n\r\nGET /", &[], HttpError::InvalidTarget);
        refuses("GET", "/", &[("A", "b\r\nC: d")], HttpError::InvalidHeaderValue);
        refuses("GET", "/", &[("A\r\nB", "c")], HttpError::InvalidHeaderName);
        refuses("GET", "/", &[("Content-Length", "5")], HttpError::ReservedHeader);
        refuses("GET", "/", &[("A", &"x".repeat(600))], HttpError::BufferTooSmall);
    }

    #[test]
    fn go_out_in_as_many_parts_as_the_stack_takes() {
        let takes =
            [Take::AtMost(1), Take::BlockFor(1), Take::AtMost(40), Take::Zero, Take::AtMost(100), Take::Zero];
        let mut script = answering(OK).taking(takes);
        let (mut clock, mut buffer) = (Clock::default(), [0; 128]);
        let body = [b'x'; 500];
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("PUT", "/", &[], &body).unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        drop(connection);
        let head = "PUT / HTTP/1.1\r\nHost: name.test\r\nContent-Length: 500\r\n\r\n";
        assert_eq!(script.sent_text(), format!("{head}{}", "x".repeat(500)));
        assert_eq!(clock.waits, [Interest::Send, Interest::Send, Interest::Send, Interest::Receive]);
    }

    #[test]
    fn wait_for_the_last_answer_to_be_read() {
        let mut script = answering_each(&[OK, OK]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/1", &[], b"").unwrap();
        assert_eq!(connection.request("GET", "/2", &[], b""), Err(HttpError::CannotSendRequest));
        connection.response().unwrap();
        assert_eq!(connection.request("GET", "/2", &[], b""), Err(HttpError::CannotSendRequest));
        connection.response().unwrap().discard().unwrap();
        connection.request("GET", "/2", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
    }
}

mod bodies_in_pieces {
    use super::*;

    #[test]
    fn of_a_length_announced() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.put_request("PUT", "/a").unwrap();
        connection.put_header("A", b"\xff").unwrap();
        connection.end_headers(RequestBody::Length(5)).unwrap();
        connection.send(b"hel").unwrap();
        assert_eq!(connection.finish_body(), Err(HttpError::BodyTooShort { missing: 2 }));
        assert_eq!(connection.response().unwrap_err(), HttpError::ResponseNotReady);
        assert_eq!(connection.send(b"lo!"), Err(HttpError::BodyTooLong));
        connection.send(b"lo").unwrap();
        connection.finish_body().unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        drop(connection);
        let head = b"PUT /a HTTP/1.1\r\nHost: name.test\r\nA: \xff\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(script.sent, head);
    }

    #[test]
    fn of_a_length_not_known() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.put_request("POST", "/").unwrap();
        connection.end_headers(RequestBody::Chunked).unwrap();
        for piece in [&b"hello"[..], b"", &[b'x'; 17]] {
            connection.send(piece).unwrap();
        }
        assert_eq!(connection.response().unwrap_err(), HttpError::ResponseNotReady);
        connection.finish_body().unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        drop(connection);
        let body = "5\r\nhello\r\n11\r\nxxxxxxxxxxxxxxxxx\r\n0\r\n\r\n";
        let head = "POST / HTTP/1.1\r\nHost: name.test\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(script.sent_text(), format!("{head}{body}"));
    }

    #[test]
    fn are_for_requests_that_have_been_begun() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        assert_eq!(connection.put_header("A", b"b"), Err(HttpError::CannotSendHeader));
        assert_eq!(connection.end_headers(RequestBody::None), Err(HttpError::CannotSendHeader));
        assert_eq!(connection.send(b"x"), Err(HttpError::CannotSendBody));
        assert_eq!(connection.finish_body(), Err(HttpError::CannotSendBody));
        connection.put_request("GET", "/forgotten").unwrap();
        connection.put_request("GET", "/").unwrap();
        assert_eq!(connection.send(b"x"), Err(HttpError::CannotSendBody));
        assert_eq!(connection.put_header("Host", b"x"), Err(HttpError::ReservedHeader));
        connection.end_headers(RequestBody::None).unwrap();
        assert_eq!(connection.put_header("A", b"b"), Err(HttpError::CannotSendHeader));
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
    }
}

mod early_answers {
    use super::*;

    const NO: &str = "HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno";

    /// Sends a body of 100 kB to a peer that does this, and reads the answer.
    fn upload(script: &mut Script) -> Result<(u16, Vec<u8>, bool), HttpError> {
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(script, &mut clock, &mut buffer);
        connection.set_timeout(Some(Duration::from_secs(5)));
        connection.request("POST", "/", &[], &[b'x'; 100_000])?;
        let status = connection.response()?.status();
        let body = read_all(&mut connection)?;
        Ok((status, body, connection.is_open()))
    }

    #[test]
    fn are_read_though_the_connection_breaks_while_sending() {
        let mut script = Script::new([bytes(NO), Say::Reset]).taking([Take::AtMost(700), Take::Fail]);
        assert_eq!(upload(&mut script), Ok((413, b"no".to_vec(), false)));
        released_once(&script, 1, 0);
    }

    #[test]
    fn are_read_though_the_connection_breaks_before_the_head_is_sent() {
        let mut script = Script::new([bytes(NO), Say::Close]).taking([Take::AtMost(7), Take::Fail]);
        assert_eq!(upload(&mut script), Ok((413, b"no".to_vec(), false)));
        released_once(&script, 1, 0);
    }

    #[test]
    fn end_the_sending_to_a_peer_that_does_not_listen() {
        // It speaks up after a while, and again after another.
        let says = [Say::Pause, bytes(&NO[..30]), Say::Pause, bytes(&NO[30..])];
        let mut script = Script::new(says).taking([Take::AtMost(700), Take::Block]);
        assert_eq!(upload(&mut script), Ok((413, b"no".to_vec(), false)));
        assert!(script.sent.len() < 2000, "{}", script.sent.len());
        released_once(&script, 1, 0);
    }

    #[test]
    fn end_the_sending_where_they_end_the_connection() {
        let answer = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
        let mut script = Script::new([bytes(answer)]).taking([Take::AtMost(700), Take::Block]);
        assert_eq!(upload(&mut script), Ok((200, b"ok".to_vec(), false)));
    }

    #[test]
    fn that_are_cut_short_are_told_rather_than_the_sending_s_error() {
        for (say, error) in [
            (Say::Close, HttpError::IncompleteHead),
            (Say::Reset, HttpError::Receive(AttemptErrorKind::Reset.into())),
        ] {
            let mut script = Script::new([bytes("HTTP/1.1 4"), say]).taking([Take::AtMost(700), Take::Fail]);
            assert_eq!(upload(&mut script), Err(error));
        }
    }

    /// RFC 9110 section 15: an invalid status is to be processed as 5xx.
    #[test]
    fn with_a_status_that_is_none_are_a_refusal() {
        for status in ["000", "099", "600"] {
            let answer = format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nno");
            let mut script = Script::new([bytes(answer)]).taking([Take::AtMost(700), Take::Block]);
            let (found, body, _) = upload(&mut script).unwrap();
            assert_eq!((format!("{found:03}"), &body[..]), (status.to_owned(), &b"no"[..]));
            assert!(script.sent.len() < 99_000, "the rest of the body was not sent");
        }
    }

    #[test]
    fn that_are_no_refusal_let_the_sending_go_on() {
        let answer = "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        let takes = [Take::AtMost(700), Take::BlockFor(3), Take::AtMost(5000), Take::BlockFor(1)];
        let mut script = Script::new([bytes(answer)]).taking(takes);
        assert_eq!(upload(&mut script), Ok((200, b"ok".to_vec(), true)));
        assert!(script.sent.ends_with(&[b'x'; 99_000]));
    }

    #[test]
    fn that_are_no_http_are_told_once_the_sending_has_ended() {
        for says in [vec![bytes("hello")], vec![bytes("HTTP/1.1 200 OK\r\nContent-Length 2\r\n\r\n")]] {
            let mut script = Script::new(says).taking([Take::AtMost(700), Take::Block]);
            assert!(matches!(upload(&mut script), Err(HttpError::NotHttp | HttpError::MalformedHeader)));
            released_once(&script, 0, 1);
        }
    }

    #[test]
    fn that_never_came_leave_the_sending_s_own_error() {
        for (say, take) in
            [(Say::Close, Take::Fail), (Say::Reset, Take::Fail), (Say::Reset, Take::PipeClosed)]
        {
            let mut script = Script::new([say]).taking([Take::AtMost(700), take]);
            assert_eq!(upload(&mut script), Err(HttpError::Send(AttemptErrorKind::Reset.into())));
            released_once(&script, 0, 1);
        }
    }

    #[test]
    fn make_further_pieces_needless() {
        let mut script = Script::new([bytes(NO)]).taking([Take::AtMost(1000), Take::Block]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.put_request("POST", "/").unwrap();
        connection.end_headers(RequestBody::Chunked).unwrap();
        assert!(connection.wants_body());
        connection.send(&[b'x'; 5000]).unwrap();
        assert!(!connection.wants_body());
        connection.send(&[b'x'; 5000]).unwrap();
        connection.finish_body().unwrap();
        assert_eq!(connection.response().unwrap().status(), 413);
    }

    /// One look every 100 ms: a peer that neither listens nor speaks costs little until the time is up.
    #[test]
    fn are_looked_for_ten_times_a_second() {
        let mut script = Script::default().taking([Take::AtMost(700), Take::Block]);
        assert_eq!(upload(&mut script), Err(HttpError::TimedOut));
        assert_eq!(script.receives.len(), 51);
        released_once(&script, 0, 1);
    }
}

mod waiting {
    use super::*;

    /// How long the client waits, in ms, for a silent peer that it has sent a request or could not.
    #[track_caller]
    fn waits(takes: &[Take], timeout: Option<u64>, deadline: Option<u64>) -> u64 {
        let mut script = Script::default().taking(takes.iter().copied());
        let (mut clock, mut buffer) = (Clock::default(), [0; 128]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.set_timeout(timeout.map(Duration::from_millis));
        connection.set_deadline(deadline.map(Instant::from_millis));
        let sent = connection.request("POST", "/", &[], &[b'x'; 900]);
        let answered = sent.and_then(|()| connection.response().map(|_| ()));
        assert_eq!(answered, Err(HttpError::TimedOut));
        drop(connection);
        clock.now.as_micros() / 1000
    }

    #[test]
    fn ends_at_the_time_out_or_the_deadline_whichever_comes_first() {
        for takes in [&[][..], &[Take::Block], &[Take::AtMost(128), Take::Block]] {
            assert_eq!(waits(takes, Some(3050), None), 3050, "{takes:?}");
            assert_eq!(waits(takes, None, Some(3050)), 3050, "{takes:?}");
            assert_eq!(waits(takes, Some(3050), Some(1010)), 1010, "{takes:?}");
            assert_eq!(waits(takes, Some(1010), Some(3050)), 1010, "{takes:?}");
            assert_eq!(waits(takes, Some(30), Some(3050)), 30, "{takes:?}");
        }
    }

    #[test]
    fn begins_anew_with_every_byte_sent() {
        // 29 looks of 100 ms and one of 1 ms that finds room.
        let takes = [Take::AtMost(128), Take::BlockFor(30), Take::AtMost(1), Take::BlockFor(30)];
        assert_eq!(waits(&takes, Some(3000), None), 2901 + 2901 + 3000);
    }

    #[test]
    fn is_not_begun_once_the_deadline_has_passed() {
        let mut clock = Clock { now: Instant::from_millis(50), ..Clock::default() };
        let (mut script, mut buffer) = (Script::new([bytes(OK)]), [0; 128]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        connection.set_deadline(Some(Instant::from_millis(50)));
        assert_eq!(connection.response().unwrap_err(), HttpError::TimedOut);
        connection.set_deadline(Some(Instant::from_millis(51)));
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
    }

    #[test]
    fn loses_nothing_that_has_come() {
        let says = [
            bytes("HTTP/1.1 200 OK\r\nCont"),
            Say::Asked,
            bytes("ent-Length: 2\r\n\r\no"),
            Say::Asked,
            bytes("k"),
        ];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.set_timeout(Some(Duration::from_secs(3)));
        connection.request("GET", "/", &[], b"").unwrap();
        // The peer waits to be asked again, which an HTTP client does not do: time passes.
        for _ in 0..2 {
            connection.response().map(|_| ()).unwrap_or_else(|error| assert_eq!(error, HttpError::TimedOut));
            connection.parts_mut().0.sent.push(b'?');
        }
        let mut out = [0; 8];
        assert_eq!(connection.response().unwrap().read_to_end(&mut out), Ok(2));
        assert_eq!(&out[..2], b"ok");
    }

    #[test]
    fn ends_at_the_deadline_even_where_bytes_never_stop() {
        let says = (0..100).flat_map(|_| [Say::Pause, bytes("x")]);
        let mut script = Script::new([bytes("HTTP/1.1 200 OK\r\n\r\n")].into_iter().chain(says));
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.set_timeout(Some(Duration::from_secs(3)));
        connection.set_deadline(Some(Instant::from_millis(50)));
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection), Err(HttpError::TimedOut));
        assert_eq!(connection.response().unwrap().read(&mut [0; 8]), Err(HttpError::TimedOut));
        drop(connection);
        assert_eq!(clock.now, Instant::from_millis(50));
        // The peer was still sending.
        released_once(&script, 0, 1);
    }

    #[test]
    fn can_be_given_up_and_taken_up_again() {
        let mut clock = Clock { cancel_in: Some(0), ..Clock::default() };
        let (mut script, mut buffer) = (answering(OK), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(connection.response().unwrap_err(), HttpError::Canceled);
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
    }

    #[test]
    fn to_send_ends_the_connection_when_given_up() {
        let mut clock = Clock { cancel_in: Some(1), ..Clock::default() };
        let mut script = answering(OK).taking([Take::AtMost(5), Take::BlockFor(9)]);
        let mut buffer = [0; 512];
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.set_timeout(Some(Duration::from_secs(3)));
        assert!(connection.request("GET", "/", &[], b"").is_err());
        assert!(!connection.is_open());
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::NotConnected));
        drop(connection);
        released_once(&script, 0, 1);
    }
}

mod kept_connections {
    use super::*;

    #[test]
    fn serve_one_request_after_the_other() {
        let mut script = answering_each(&[OK, "HTTP/1.1 204 No\r\n\r\n", OK]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        for (method, expected) in [("GET", "ok"), ("DELETE", ""), ("POST", "ok")] {
            connection.request(method, "/", &[], b"").unwrap();
            assert_eq!(read_all(&mut connection).unwrap(), expected.as_bytes());
            assert!(connection.is_open());
        }
        drop(connection);
        released_once(&script, 1, 0);
    }

    #[test]
    fn end_where_the_request_asks_for_it() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        let fields = [("Connection", "close"), ("Connection", "x"), ("A", "b")];
        connection.request("GET", "/", &fields, b"").unwrap();
        assert!(connection.response().unwrap().will_close());
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        assert!(!connection.is_open());
        drop(connection);
        released_once(&script, 1, 0);
    }

    #[test]
    fn that_the_server_has_closed_are_told_before_anything_is_sent() {
        let says = [Say::Asked, bytes(OK), Say::Close];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        assert_eq!(connection.request("POST", "/", &[], b"x"), Err(HttpError::Stale));
        assert!(!connection.is_open());
        drop(connection);
        assert!(!script.sent_text().contains("POST"));
        released_once(&script, 1, 0);
    }

    #[test]
    fn never_take_what_was_said_unasked_for_an_answer() {
        let says = [Say::Asked, bytes(OK), bytes("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfake")];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::Stale));
        assert_eq!(connection.response().unwrap_err(), HttpError::Stale);
    }

    #[test]
    fn go_on_over_another_socket() {
        let says = [Say::Asked, bytes(format!("{OK}surplus")), Say::Asked, Say::Pause, bytes(OK)];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/1", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        assert_eq!(connection.response().unwrap().surplus(), 7);
        assert!(!connection.is_open());
        let socket = connection.parts_mut().0.open();
        connection.attach(socket);
        assert_eq!(connection.response().unwrap_err(), HttpError::ResponseNotReady);
        connection.request("GET", "/2", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        assert!(connection.is_open());
        let socket = connection.parts_mut().0.open();
        connection.attach(socket);
        drop(connection);
        assert_eq!(script.sockets, 3);
        released_once(&script, 3, 0);
    }

    /// A head that was not sent is of no connection.
    #[test]
    fn take_a_request_along_that_was_begun_before() {
        let (mut script, mut clock, mut buffer) =
            (Script::new([Say::Asked, bytes(OK)]), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.put_request("GET", "/1").unwrap();
        let socket = connection.parts_mut().0.open();
        connection.attach(socket);
        connection.put_header("A", b"b").unwrap();
        connection.end_headers(RequestBody::None).unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        drop(connection);
        assert_eq!(script.sent_text(), "GET /1 HTTP/1.1\r\nHost: name.test\r\nA: b\r\n\r\n");
        released_once(&script, 2, 0);
    }

    #[test]
    fn forget_what_befell_the_socket_before() {
        let mut script = Script::new([Say::Close]).taking([Take::Fail]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(connection.response().unwrap_err(), HttpError::Send(AttemptErrorKind::Reset.into()));
        let stack = &mut **connection.parts_mut().0;
        *stack = Script::new([Say::Close]);
        let socket = stack.open();
        connection.attach(socket);
        // A fresh connection is not asked whether it is stale.
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(connection.response().unwrap_err(), HttpError::EmptyReply);
        drop(connection);
        released_once(&script, 0, 1);
    }
}

mod answers {
    use super::*;

    #[test]
    fn keep_their_head_while_and_after_the_body_is_read() {
        let raw = "HTTP/1.0 201 Made It\r\nA: 1\r\nB: x\r\na: 2\r\nTransfer-Encoding: chunked\r\n\r\n\
                   3\r\nabc\r\n0\r\nC: 3\r\nc:\r\n 4\r\n\r\n";
        for room in [128, 4096] {
            let (mut script, mut clock, mut buffer) = (answering(raw), Clock::default(), vec![0; room]);
            let mut connection = connect(&mut script, &mut clock, &mut buffer);
            connection.request("GET", "/", &[], b"").unwrap();
            let mut response = connection.response().unwrap();
            assert_eq!(response.trailers().count(), 0);
            assert_eq!(response.remaining(), None);
            let mut out = [0; 64];
            assert_eq!(response.read_to_end(&mut out), Ok(3));
            assert!(response.is_closed());
            assert_eq!((response.status(), response.reason()), (201, "Made It"));
            assert_eq!((response.version(), response.remaining()), (Version::Http10, Some(0)));
            let all: Vec<_> = response.headers().map(|header| (header.name, header.value)).collect();
            let expected: [(&str, &[u8]); 4] =
                [("A", b"1"), ("B", b"x"), ("a", b"2"), ("Transfer-Encoding", b"chunked")];
            assert_eq!(all, expected);
            assert_eq!(response.headers().all("A").collect::<Vec<_>>(), [b"1", b"2"]);
            assert_eq!(response.header("b"), Some(&b"x"[..]));
            assert_eq!(response.header("c"), None);
            assert_eq!(response.trailers().all("C").collect::<Vec<_>>(), [b"3", b"4"]);
        }
    }

    #[test]
    fn that_are_longer_than_the_slice_are_told_with_nothing_lost_where_the_length_is_known() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        let mut response = connection.response().unwrap();
        assert_eq!(response.read_to_end(&mut [0; 1]), Err(HttpError::BodyTooLarge { capacity: 1 }));
        assert_eq!(response.read_to_end(&mut [0; 2]), Ok(2));
    }

    #[test]
    fn that_turn_out_longer_than_the_slice_end_the_connection() {
        for (capacity, expected) in [(5, Ok(5)), (4, Err(HttpError::BodyTooLarge { capacity: 4 }))] {
            let (mut script, mut clock) = (answering("HTTP/1.1 200 OK\r\n\r\nhello"), Clock::default());
            let mut buffer = [0; 512];
            let mut connection = connect(&mut script, &mut clock, &mut buffer);
            connection.request("GET", "/", &[], b"").unwrap();
            assert_eq!(connection.response().unwrap().read_to_end(&mut vec![0; capacity]), expected);
            assert!(!connection.is_open());
        }
    }

    #[test]
    fn that_nobody_reads_are_dropped_to_their_end() {
        let long = format!("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{}", "x".repeat(1000));
        let mut script = answering_each(&[&long, OK]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 256]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/1", &[], b"").unwrap();
        connection.response().unwrap().discard().unwrap();
        connection.request("GET", "/2", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
    }

    /// `RaceStack`: "`receive` answers `Ok(0)` for a non-empty buffer, or an error whose kind is
    /// `TcpErrorKind::PipeClosed`, when the peer has closed its side and everything it sent has been read."
    #[test]
    fn end_with_the_connection_whichever_way_the_stack_says_so() {
        for end in [Say::Close, Say::PipeClosed] {
            let mut script = Script::new([Say::Asked, bytes("HTTP/1.1 200 OK\r\n\r\nall of it"), end]);
            let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
            let mut connection = connect(&mut script, &mut clock, &mut buffer);
            connection.request("GET", "/", &[], b"").unwrap();
            assert_eq!(read_all(&mut connection).unwrap(), b"all of it");
        }
    }

    #[test]
    fn have_a_limit_to_their_head() {
        let (mut clock, mut buffer) = (Clock::default(), [0; 109]);
        let mut script = answering(format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(500)));
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        // The host's name takes nine bytes.
        assert_eq!(connection.response().unwrap_err(), HttpError::HeadTooLarge { capacity: 100 });
        drop(connection);
        released_once(&script, 0, 1);
    }

    /// RFC 9110 section 5.4 knows no limit to the number of fields. Large sites send more than a hundred.
    #[test]
    fn have_as_many_fields_as_the_buffer_holds() {
        let fields = "A: b\r\n".repeat(1_000);
        let raw = format!(
            "HTTP/1.1 103 Hint\r\n{fields}\r\nHTTP/1.1 200 OK\r\n{fields}Transfer-Encoding: chunked\r\n\r\n\
             2\r\nok\r\n0\r\n{fields}\r\n"
        );
        let (mut script, mut clock, mut buffer) = (answering(raw), Clock::default(), vec![0; 13_000]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        let response = connection.response().unwrap();
        assert_eq!((response.headers().count(), response.trailers().count()), (1_001, 1_000));
        assert!(connection.is_open());
    }

    #[test]
    fn with_more_fields_than_the_buffer_holds_say_how_much_that_is() {
        let raw = format!("HTTP/1.1 204 No\r\n{}\r\n", "A: b\r\n".repeat(1_000));
        let (mut script, mut clock, mut buffer) = (answering(raw), Clock::default(), [0; 4096 + 9]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        let error = connection.response().unwrap_err();
        assert_eq!(error, HttpError::HeadTooLarge { capacity: 4096 });
        assert_eq!(error.to_string(), "the response head does not fit in the buffer of 4096 bytes");
    }

    /// RFC 9110 section 7.8: a server "MUST NOT switch to a protocol that was not indicated by the client in
    /// the corresponding request's Upgrade header field".
    #[test]
    fn that_switch_to_another_protocol_need_a_request_for_it() {
        const SWITCH: &str = "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nxyz";
        let asks = [("Connection", "upgrade"), ("upgrade", "x")];
        for (headers, asked) in [(&asks[..], true), (&asks[..1], false)] {
            let (mut script, mut clock, mut buffer) = (answering(SWITCH), Clock::default(), [0; 512]);
            let mut connection = connect(&mut script, &mut clock, &mut buffer);
            connection.request("GET", "/", headers, b"").unwrap();
            if !asked {
                let error = connection.response().unwrap_err();
                assert_eq!((error, error.is_usage()), (HttpError::UnaskedSwitch, false));
                drop(connection);
                released_once(&script, 0, 1);
                continue;
            }
            assert_eq!(connection.response().unwrap().status(), 101);
            assert_eq!(connection.response().unwrap().read(&mut [0; 8]), Ok(0), "what follows is no body");
            let (_, rest) = connection.take_socket().unwrap();
            assert_eq!(rest, b"xyz");
        }
    }

    /// The wish is the request's, not the connection's.
    #[test]
    fn that_switch_need_a_request_for_it_each_time() {
        let mut script = answering_each(&[OK, "HTTP/1.1 101 Switching\r\n\r\n"]);
        let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[("Connection", "upgrade"), ("Upgrade", "x")], b"").unwrap();
        assert_eq!(read_all(&mut connection).unwrap(), b"ok");
        connection.request("GET", "/", &[], b"").unwrap();
        assert_eq!(connection.response().unwrap_err(), HttpError::UnaskedSwitch);
    }

    #[test]
    fn have_a_limit_to_what_goes_before_them() {
        for (count, fits) in [(MAX_INTERIM, true), (MAX_INTERIM + 1, false)] {
            let raw = format!("{}{OK}", "HTTP/1.1 103 Hint\r\nA: b\r\n\r\n".repeat(count.into()));
            let (mut script, mut clock, mut buffer) = (answering(raw), Clock::default(), [0; 128]);
            let mut connection = connect(&mut script, &mut clock, &mut buffer);
            connection.request("GET", "/", &[], b"").unwrap();
            let read = read_all(&mut connection);
            assert_eq!(read, if fits { Ok(b"ok".to_vec()) } else { Err(HttpError::TooManyInterim) });
        }
    }

    #[test]
    fn that_fail_after_some_of_the_body_tell_of_it_after_that() {
        let says = [bytes("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc"), Say::Reset];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        let mut response = connection.response().unwrap();
        let mut out = [0; 64];
        assert_eq!(response.read(&mut out), Ok(3));
        for _ in 0..2 {
            assert_eq!(response.read(&mut out), Err(HttpError::Receive(AttemptErrorKind::Reset.into())));
        }
        assert_eq!((response.status(), response.is_closed()), (200, false));
        drop(connection);
        released_once(&script, 0, 1);
    }

    #[test]
    fn read_in_small_pieces_come_through_the_buffer() {
        let says = [bytes("HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n"), bytes([b'x'; 9000])];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 509]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        let mut response = connection.response().unwrap();
        for _ in 0..9000 {
            assert_eq!(response.read(&mut [0; 1]), Ok(1));
        }
        drop(connection);
        let free = 500 - "HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n".len();
        assert_eq!(script.receives.len(), 1 + 9000_usize.div_ceil(free));
    }

    /// Nothing is copied, and the stack is asked for as much as the caller has room for.
    #[test]
    fn of_large_bodies_go_straight_to_the_caller() {
        let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
        let says = [bytes(head), bytes([b'x'; 100_000])];
        let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        let mut out = vec![0; 100_000];
        assert_eq!(connection.response().unwrap().read_to_end(&mut out), Ok(100_000));
        assert!(out.iter().all(|byte| *byte == b'x'));
        drop(connection);
        assert_eq!(script.receives, [503, 100_000], "one call for the head, one for the body");
    }
}

mod sockets {
    use super::*;

    #[test]
    fn are_closed_when_the_connection_is_dropped_unused() {
        let (mut script, mut clock, mut buffer) = (Script::default(), Clock::default(), [0; 512]);
        drop(connect(&mut script, &mut clock, &mut buffer));
        released_once(&script, 1, 0);
    }

    #[test]
    fn are_closed_once_by_a_close_and_a_drop() {
        let (mut script, mut clock, mut buffer) = (Script::default(), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.close();
        connection.close();
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::NotConnected));
        drop(connection);
        released_once(&script, 1, 0);
    }

    #[test]
    fn are_reset_where_a_body_is_abandoned() {
        let (mut script, mut clock, mut buffer) = (answering(OK), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("GET", "/", &[], b"").unwrap();
        connection.response().unwrap();
        drop(connection);
        released_once(&script, 0, 1);
    }

    #[test]
    fn are_closed_where_the_host_cannot_be_named() {
        let (mut script, mut clock, mut buffer) = (Script::default(), Clock::default(), [0; 512]);
        let socket = script.open();
        let refused =
            HttpConnection::new(&mut script, &mut clock, socket, Authority::http("a b", 80), &mut buffer);
        assert_eq!(refused.unwrap_err(), HttpError::InvalidHost);
        released_once(&script, 1, 0);
        let socket = script.open();
        let refused =
            HttpConnection::new(&mut script, &mut clock, socket, Authority::http("name", 80), &mut []);
        assert_eq!(refused.unwrap_err(), HttpError::BufferTooSmall);
        released_once(&script, 2, 0);
    }

    #[test]
    fn are_handed_out_with_what_a_tunnel_has_brought() {
        let (mut script, mut clock, mut buffer) =
            (answering("HTTP/1.1 200 Yes\r\nContent-Length: 5\r\n\r\nhello"), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.request("CONNECT", "other.test:443", &[], b"").unwrap();
        let mut response = connection.response().unwrap();
        assert_eq!((response.status(), response.read(&mut [0; 8])), (200, Ok(0)));
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::CannotSendRequest));
        let (_socket, early) = connection.take_socket().unwrap();
        assert_eq!(early, b"hello");
        assert!(connection.take_socket().is_none());
        drop(connection);
        assert_eq!(script.sent_text(), "CONNECT other.test:443 HTTP/1.1\r\nHost: name.test\r\n\r\n");
        released_once(&script, 0, 0);
    }
}

mod ownership {
    use super::*;

    /// A poller with nothing to wait for.
    struct Never;

    impl Poller<Script> for Never {
        fn now(&mut self) -> Instant {
            Instant::ZERO
        }

        fn wait(
            &mut self,
            _: &mut Script,
            _: &mut [PollEntry<'_, support::Socket>],
            _: Option<Instant>,
        ) -> PollResult {
            PollResult::Canceled
        }
    }

    #[test]
    fn of_stack_waiter_and_buffer_can_be_the_connection_s() {
        let mut script = Script::new([bytes(OK)]);
        let socket = script.open();
        let host = Authority::https("::1", 443);
        let mut connection = HttpConnection::owning(script, Never, socket, host, vec![0; 256]).unwrap();
        connection.request("GET", "/", &[], b"").unwrap();
        let mut out = [0; 8];
        assert_eq!(connection.response().unwrap().read_to_end(&mut out), Ok(2));
        assert!(connection.parts_mut().0.sent_text().contains("\r\nHost: [::1]\r\n"));
    }

    #[test]
    fn of_the_waiter_can_be_lent_alone() {
        let mut clock = Clock { now: Instant::from_millis(7), ..Clock::default() };
        let mut lent = &mut clock;
        assert_eq!(<&mut Clock as Poller<Script>>::now(&mut lent), Instant::from_millis(7));
    }

    #[test]
    fn of_the_waiter_can_be_lent_with_the_stack() {
        let (mut script, mut never, mut buffer) = (Script::new([bytes(OK)]), Never, [0; 256]);
        let socket = script.open();
        let host = Authority::http("a", 80);
        let connection =
            HttpConnection::owning(&mut script, ByRef(&mut never), socket, host, &mut buffer[..]);
        assert!(connection.unwrap().is_open());
        released_once(&script, 1, 0);
    }
}

mod coded {
    use super::*;

    /// The framing and the codings of a response to a connection that takes coded bodies, and what is read of
    /// it.
    #[track_caller]
    fn takes(head: &str, body: &str) -> Result<(Vec<u8>, Vec<u8>, bool), HttpError> {
        let answer = format!("HTTP/1.1 200 OK\r\n{head}\r\n{body}");
        let (mut script, mut clock, mut buffer) = (answering(answer), Clock::default(), [0; 512]);
        let mut connection = connect(&mut script, &mut clock, &mut buffer);
        connection.set_takes_coded(true);
        connection.request("GET", "/", &[], b"")?;
        let response = connection.response()?;
        let codings = response.head().transfer_codings().collect::<Vec<_>>().join(&b","[..]);
        let body = read_all(&mut connection)?;
        Ok((codings, body, connection.is_open()))
    }

    #[test]
    fn a_body_is_given_as_it_is_coded_where_that_is_wanted() {
        let is = |codings: &str, body: &str, open| Ok((codings.into(), body.into(), open));
        let chunks = "2\r\nab\r\n0\r\n\r\n";
        assert_eq!(takes("Transfer-Encoding: gzip, chunked\r\n", chunks), is("gzip", "ab", false));
        let lines = "Transfer-Encoding: x, identity\r\nTransfer-Encoding: Deflate;q=1\r\ntransfer-encoding: Chunked\r\n";
        assert_eq!(takes(lines, chunks), is("x,Deflate;q=1", "ab", false));
        // Without chunked the close ends it, whatever a length says.
        let lines = "Transfer-Encoding: gzip\r\nContent-Length: 1\r\n";
        assert_eq!(takes(lines, "abc"), is("gzip", "abc", false));
        // Those that are not coded are as ever.
        assert_eq!(takes("Transfer-Encoding: chunked\r\n", chunks), is("", "ab", true));
        assert_eq!(takes("Content-Length: 2\r\n", "ab"), is("", "ab", true));
    }

    #[test]
    fn what_is_faulty_or_done_after_the_chunks_is_refused_all_the_same() {
        let refused = |line: &str| takes(&format!("Transfer-Encoding: {line}\r\n"), "").unwrap_err();
        assert!(matches!(refused("chunked, gzip"), HttpError::UnsupportedTransferCoding(_)));
        assert!(matches!(refused("gzip, chunked, gzip"), HttpError::UnsupportedTransferCoding(_)));
        assert_eq!(refused("gzip, chunked, chunked"), HttpError::InvalidTransferEncoding);
        assert_eq!(refused("gzip;a=\"b\", chunked"), HttpError::InvalidTransferEncoding);
    }
}
