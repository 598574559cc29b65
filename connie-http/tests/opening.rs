//! A connection that connects itself: for the first request, after the last connection has ended, and for a
//! request that a kept connection has lost.

mod support;
use support::{Clock, OpenContext, Say, Script, Take, bytes, opening};

use std::time::Duration;

use connie_core::{AttemptErrorKind, Config, Failure, Instant, Interest, PollEntry, Poller};
use connie_http::{Authority, ByRef, HttpConnection, HttpError, RaceAddresses, RequestBody};

const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
const LAST: &str = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";

/// A peer that gives these answers, one to each request, and then says nothing more.
fn peer(answers: &[&str]) -> Script {
    Script::new(answers.iter().flat_map(|answer| [Say::Asked, Say::Pause, bytes(answer)]))
}

/// A peer that answers once, and does `say` while the second request is on its way to it.
fn losing(say: Say) -> Script {
    Script::new([Say::Asked, bytes(OK), Say::Asked, say])
}

#[track_caller]
fn get(connection: &mut OpenContext<'_>, method: &str) -> Result<u16, HttpError> {
    connection.request(method, "/", &[], b"")?;
    let mut response = connection.response()?;
    response.discard()?;
    Ok(response.status())
}

/// Runs `act` with a connection to these peers, in turn, and gives what each was sent.
#[track_caller]
fn with_peers(
    peers: impl IntoIterator<Item = Script>,
    act: impl FnOnce(&mut OpenContext<'_>),
) -> Vec<String> {
    let (mut script, mut clock, mut buffer) = (Script::with_peers(peers), Clock::default(), [0; 512]);
    let mut connection = opening(&mut script, &mut clock, &mut buffer);
    connection.set_timeout(Some(Duration::from_secs(5)));
    act(&mut connection);
    drop(connection);
    assert_eq!(script.closed + script.aborted, script.sockets, "each socket is released exactly once");
    script.all_sent()
}

fn head(method: &str) -> String {
    format!("{method} / HTTP/1.1\r\nHost: name.test\r\n\r\n")
}

mod a_connection_opens {
    use super::*;

    #[test]
    fn for_its_first_request() {
        let sent = with_peers([peer(&[OK])], |connection| {
            assert!(!connection.is_open());
            assert_eq!(get(connection, "GET"), Ok(200));
            assert!(connection.is_open());
            assert_eq!(connection.opener().destination(), Some(([192, 0, 2, 1], 80).into()));
        });
        assert_eq!(sent, [head("GET")]);
    }

    #[test]
    fn for_a_request_in_pieces() {
        let sent = with_peers([peer(&[OK])], |connection| {
            connection.put_request_for("PUT", "/", "other.test:81").unwrap();
            connection.end_headers(RequestBody::Length(2)).unwrap();
            connection.send(b"hi").unwrap();
            connection.finish_body().unwrap();
            connection.response().unwrap().discard().unwrap();
        });
        assert_eq!(sent, ["PUT / HTTP/1.1\r\nHost: other.test:81\r\nContent-Length: 2\r\n\r\nhi"]);
    }

    #[test]
    fn for_a_request_that_has_been_begun() {
        let sent = with_peers([peer(&[OK])], |connection| {
            connection.put_request("GET", "/").unwrap();
            connection.connect().unwrap();
            connection.put_header("A", b"b").unwrap();
            connection.connect().unwrap();
            connection.end_headers(RequestBody::None).unwrap();
            connection.response().unwrap().discard().unwrap();
        });
        assert_eq!(sent, ["GET / HTTP/1.1\r\nHost: name.test\r\nA: b\r\n\r\n"]);
    }

    /// As late as it can be, so that a request that took its time to be written does not go to a connection
    /// that ended meanwhile.
    #[test]
    fn when_the_head_is_sent() {
        let idle = Script::new([Say::Asked, bytes(OK), Say::Pause, Say::Close]);
        let sent = with_peers([idle, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.put_request("POST", "/").unwrap();
            let (script, clock) = connection.parts_mut();
            let socket = &mut support::Socket;
            let mut watched = [PollEntry::new(socket, Interest::Receive)];
            let _ = clock.wait(script, &mut watched, None);
            connection.end_headers(RequestBody::None).unwrap();
            connection.response().unwrap().discard().unwrap();
        });
        assert_eq!(sent, [head("GET"), head("POST")]);
    }

    #[test]
    fn when_told_to_and_only_once() {
        let sent = with_peers([peer(&[OK])], |connection| {
            connection.set_auto_open(false);
            assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::NotConnected));
            connection.connect().unwrap();
            connection.connect().unwrap();
            assert_eq!(get(connection, "GET"), Ok(200));
        });
        assert_eq!(sent, [head("GET")]);
    }

    #[test]
    fn when_told_to_after_a_failure_of_which_it_then_knows_nothing() {
        with_peers([peer(&["SSH-2.0\r\n"]), peer(&[OK])], |connection| {
            connection.set_auto_open(false);
            connection.connect().unwrap();
            assert_eq!(get(connection, "GET"), Err(HttpError::NotHttp));
            assert_eq!(get(connection, "GET"), Err(HttpError::NotConnected));
            connection.connect().unwrap();
            assert_eq!(connection.response().unwrap_err(), HttpError::ResponseNotReady);
            assert_eq!(get(connection, "GET"), Ok(200));
        });
    }

    #[test]
    fn again_after_any_end_of_the_last() {
        let bad = "SSH-2.0\r\n";
        let peers = [peer(&[LAST]), peer(&[OK]), peer(&[bad]), peer(&[OK])];
        let sent = with_peers(peers, |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert!(!connection.is_open(), "the server has ended it");
            assert_eq!(get(connection, "POST"), Ok(200));
            connection.close();
            assert_eq!(get(connection, "PATCH"), Err(HttpError::NotHttp));
            assert_eq!(get(connection, "DELETE"), Ok(200));
        });
        assert_eq!(sent.len(), 4);
    }

    #[test]
    fn again_where_the_last_was_found_closed_whatever_the_method() {
        for method in ["GET", "POST"] {
            for say in [Say::Close, Say::Reset, bytes("HTTP/1.1 408 Request Timeout\r\n\r\n")] {
                let idle = Script::new([Say::Asked, bytes(OK), say.clone()]);
                let sent = with_peers([idle, peer(&[OK])], |connection| {
                    assert_eq!(get(connection, "GET"), Ok(200));
                    assert_eq!(connection.request(method, "/", &[], b"x"), Ok(()), "{say:?}");
                    connection.response().unwrap().discard().unwrap();
                });
                assert_eq!(sent[0], head("GET"));
                assert!(sent[1].ends_with("Content-Length: 1\r\n\r\nx"), "{sent:?}");
            }
        }
    }

    #[test]
    fn not_for_what_could_not_be_sent() {
        let sent = with_peers([peer(&[OK])], |connection| {
            assert_eq!(connection.request("G T", "/", &[], b""), Err(HttpError::InvalidMethod));
            assert_eq!(connection.request("GET", "a b", &[], b""), Err(HttpError::InvalidTarget));
            assert_eq!(
                connection.request("GET", "/", &[("A", "b\n")], b""),
                Err(HttpError::InvalidHeaderValue)
            );
            connection.put_request("GET", "/forgotten").unwrap();
            assert_eq!(connection.put_header("A B", b"c"), Err(HttpError::InvalidHeaderName));
            assert!(!connection.is_open());
            assert_eq!(get(connection, "GET"), Ok(200));
        });
        assert_eq!(sent, [head("GET")]);
    }

    #[test]
    fn not_where_its_opener_opens_nothing_lent_or_not() {
        let (mut script, mut clock, mut buffer) = (Script::default(), Clock::default(), [0; 512]);
        let (mut opener, host) = ((), Authority::http("name.test", 80));
        let mut connection =
            HttpConnection::with_opener(&mut script, ByRef(&mut clock), &mut opener, host, &mut buffer)
                .unwrap();
        assert_eq!(connection.connect(), Err(HttpError::NotConnected));
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::NotConnected));
    }

    #[test]
    fn not_where_nobody_listens() {
        let sent = with_peers([peer(&[LAST])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            for _ in 0..2 {
                let error = HttpError::Connect(Failure::AllAttemptsFailed);
                assert_eq!(get(connection, "GET"), Err(error));
                assert_eq!(error.to_string(), "could not connect: every address failed");
                assert_eq!(connection.response().unwrap_err(), error);
                assert!(!connection.is_open());
            }
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn in_the_time_that_is_left() {
        // The connection's time-out, its deadline, and what the race is allowed, in ms; then the time that it
        // takes.
        for (timeout, deadline, race, took) in [
            (Some(700), None, None, 700),
            (None, Some(600), None, 500),
            (Some(700), Some(600), None, 500),
            (Some(700), Some(600), Some(400), 400),
            (None, None, Some(400), 400),
            (Some(300), None, Some(400), 300),
        ] {
            let mut script = Script::with_peers([Script::silent()]);
            let (mut clock, mut buffer) = (Clock::default(), [0; 512]);
            clock.now = Instant::from_millis(100);
            let config = Config::all_at_once().hedge(false).deadline(race.map(Duration::from_millis));
            let destinations = RaceAddresses::<_>::new([([192, 0, 2, 1], 80).into()], config);
            let host = Authority::http("name.test", 80);
            let lent = ByRef(&mut clock);
            let mut connection =
                HttpConnection::with_opener(&mut script, lent, destinations, host, &mut buffer).unwrap();
            connection.set_timeout(timeout.map(Duration::from_millis));
            connection.set_deadline(deadline.map(Instant::from_millis));
            let error = HttpError::Connect(Failure::DeadlineExceeded);
            assert_eq!(connection.request("GET", "/", &[], b""), Err(error));
            drop(connection);
            assert_eq!(clock.now, Instant::from_millis(100 + took));
            assert_eq!(script.aborted, script.sockets);
        }
    }

    #[test]
    fn only_as_long_as_there_is_time() {
        let (mut script, mut clock, mut buffer) = (Script::default(), Clock::default(), [0; 512]);
        clock.now = Instant::from_millis(50);
        let none: [std::net::SocketAddr; 0] = [];
        // A race that is told of no address ends at once, one that has no time before it.
        let destinations = RaceAddresses::<_>::new(none, Config::all_at_once());
        let host = Authority::http("name.test", 80);
        let mut connection =
            HttpConnection::with_opener(&mut script, ByRef(&mut clock), destinations, host, &mut buffer)
                .unwrap();
        let tried = |connection: &mut HttpConnection<_, _, _, _>| connection.connect().unwrap_err();
        assert_eq!(tried(&mut connection), HttpError::Connect(Failure::NoDestinations));
        connection.set_deadline(Some(Instant::from_millis(50)));
        assert_eq!(tried(&mut connection), HttpError::TimedOut);
        assert_eq!(connection.request("GET", "/", &[], b""), Err(HttpError::TimedOut));
        drop(connection);
        assert_eq!(script.sockets, 0);
    }
}

/// RFC 9110 section 9.2.2.
mod a_lost_request_is_repeated {
    use super::*;

    /// Sends a request that the kept connection loses in the way of `say`, to find a second peer.
    fn lose(say: Say, method: &str, body: &[u8]) -> (Result<u16, HttpError>, Vec<String>) {
        let mut result = Ok(0);
        let sent = with_peers([losing(say), peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            result = connection.request(method, "/", &[], body).and_then(|()| {
                let mut response = connection.response()?;
                response.discard()?;
                Ok(response.status())
            });
        });
        (result, sent)
    }

    #[test]
    fn with_an_idempotent_method() {
        for say in [Say::Close, Say::Reset] {
            for method in ["GET", "HEAD", "OPTIONS", "TRACE", "DELETE"] {
                let (result, sent) = lose(say.clone(), method, b"");
                assert_eq!(result, Ok(200), "{method}");
                assert_eq!(sent, [head("GET") + &head(method), head(method)], "{say:?}");
            }
        }
    }

    #[test]
    fn with_a_body_that_is_still_in_the_buffer() {
        let (result, sent) = lose(Say::Reset, "PUT", &[b'x'; 400]);
        assert_eq!(result, Ok(200));
        assert_eq!(sent[0], head("GET") + &sent[1]);
        assert!(sent[1].ends_with(&"x".repeat(400)));
    }

    #[test]
    fn but_not_with_a_method_that_is_not_idempotent() {
        for method in ["POST", "PATCH", "get", "LOCK"] {
            let (result, sent) = lose(Say::Close, method, b"");
            assert_eq!(result, Err(HttpError::EmptyReply), "{method}");
            assert_eq!(sent.len(), 1);
        }
        let (result, _) = lose(Say::Reset, "POST", b"x");
        assert_eq!(result, Err(HttpError::Receive(AttemptErrorKind::Reset.into())));
    }

    fn in_pieces(connection: &mut OpenContext<'_>, method: &str) -> Result<u16, HttpError> {
        connection.put_request(method, "/")?;
        connection.end_headers(RequestBody::Length(2))?;
        connection.send(b"hi")?;
        connection.finish_body()?;
        let mut response = connection.response()?;
        response.discard()?;
        Ok(response.status())
    }

    /// Sends a request whose body the connection does not keep, to peers of which the first loses it; again,
    /// where it was lost.
    #[track_caller]
    fn lose_body(
        peers: impl IntoIterator<Item = Script>,
        method: &str,
    ) -> (Vec<Result<u16, HttpError>>, usize) {
        let mut results = Vec::new();
        let sent = with_peers(peers, |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert!(!connection.was_lost());
            results.push(in_pieces(connection, method));
            if connection.was_lost() {
                results.push(in_pieces(connection, method));
                assert!(!connection.was_lost(), "not a third time");
            }
        });
        (results, sent.len())
    }

    #[test]
    fn by_whoever_has_the_body_where_it_was_sent_in_pieces() {
        for say in [Say::Close, Say::Reset] {
            let (results, sent) = lose_body([losing(say), peer(&[OK])], "PUT");
            assert!(matches!(results[..], [Err(_), Ok(200)]), "{results:?}");
            assert_eq!(sent, 2);
        }
        let fresh = || Script::new([Say::Asked, Say::Close]);
        let (results, sent) = lose_body([losing(Say::Close), fresh(), fresh()], "PUT");
        assert_eq!(results, [Err(HttpError::EmptyReply), Err(HttpError::EmptyReply)]);
        assert_eq!(sent, 2);
    }

    #[test]
    fn by_nobody_where_it_may_have_been_heard() {
        let (results, _) = lose_body([losing(Say::Close), peer(&[OK])], "POST");
        assert_eq!(results, [Err(HttpError::EmptyReply)]);
        // A byte of an answer, a whole head that is none, and half a body.
        for (say, end) in [
            (bytes("H"), Say::Close),
            (bytes("H"), Say::Reset),
            (bytes("HTTP/1.1 102 Processing\r\n\r\n"), Say::Close),
            (bytes("SSH\r\n\r\n"), Say::Close),
            (bytes("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"), Say::Reset),
        ] {
            let lossy = Script::new([Say::Asked, bytes(OK), Say::Asked, say, Say::Pause, end]);
            let (results, sent) = lose_body([lossy, peer(&[OK])], "PUT");
            assert_eq!((results.len(), sent), (1, 1), "{results:?}");
            assert!(results[0].is_err(), "{results:?}");
        }
    }

    #[test]
    fn by_nobody_where_the_connection_has_done_so() {
        let fresh = Script::new([Say::Asked, Say::Close]);
        let sent = with_peers([losing(Say::Close), fresh, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert_eq!(get(connection, "GET"), Err(HttpError::EmptyReply));
            assert!(!connection.was_lost());
        });
        assert_eq!(sent.len(), 2);
    }

    #[test]
    fn but_not_once_a_byte_of_the_answer_has_come() {
        let interim = bytes("HTTP/1.1 102 Processing\r\n\r\n");
        for (say, error) in [(bytes("H"), HttpError::IncompleteHead), (interim, HttpError::EmptyReply)] {
            let lossy = Script::new([Say::Asked, bytes(OK), Say::Asked, say, Say::Pause, Say::Close]);
            let sent = with_peers([lossy, peer(&[OK])], |connection| {
                assert_eq!(get(connection, "GET"), Ok(200));
                assert_eq!(get(connection, "GET"), Err(error));
            });
            assert_eq!(sent.len(), 1);
        }
    }

    #[test]
    fn but_not_on_a_fresh_connection() {
        let fresh = Script::new([Say::Asked, Say::Close]);
        let sent = with_peers([fresh, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Err(HttpError::EmptyReply));
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn but_not_with_a_body_that_nobody_has_any_more() {
        for size in [500, 2000] {
            let (result, sent) = lose(Say::Reset, "PUT", &vec![b'x'; size]);
            assert_eq!(result, Err(HttpError::Receive(AttemptErrorKind::Reset.into())));
            assert_eq!(sent.len(), 1);
        }
    }

    #[test]
    fn and_the_second_failure_is_the_one_that_is_told() {
        let fresh = Script::new([Say::Asked, Say::Close]);
        let sent = with_peers([breaking(10), fresh], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert_eq!(get(connection, "DELETE"), Err(HttpError::EmptyReply));
        });
        assert_eq!(sent.len(), 2);
    }

    /// "A client SHOULD NOT automatically retry a failed automatic retry."
    #[test]
    fn but_once() {
        let fresh = Script::new([Say::Asked, Say::Close]);
        let sent = with_peers([losing(Say::Close), fresh, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert_eq!(get(connection, "GET"), Err(HttpError::EmptyReply));
        });
        assert_eq!(sent.len(), 2);
    }

    #[test]
    fn over_a_connection_that_is_then_as_good_as_another() {
        let sent = with_peers([losing(Say::Close), losing(Say::Reset), peer(&[OK])], |connection| {
            for _ in 0..3 {
                assert_eq!(get(connection, "GET"), Ok(200));
            }
        });
        assert_eq!(sent, [head("GET").repeat(2), head("GET").repeat(2), head("GET")]);
    }

    #[test]
    fn but_not_where_the_connection_may_not_be_opened() {
        let sent = with_peers([losing(Say::Close), peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.set_auto_open(false);
            assert_eq!(get(connection, "GET"), Err(HttpError::EmptyReply));
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn but_not_after_a_time_out() {
        let silent = Script::new([Say::Asked, bytes(OK)]);
        let sent = with_peers([silent, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert_eq!(get(connection, "GET"), Err(HttpError::TimedOut));
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn and_the_new_connection_s_failure_is_told() {
        let sent = with_peers([losing(Say::Close)], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            assert_eq!(get(connection, "GET"), Err(HttpError::Connect(Failure::AllAttemptsFailed)));
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn with_all_that_it_asked_for() {
        let sent = with_peers([losing(Say::Close), peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.request("GET", "/", &[("Connection", "close")], b"").unwrap();
            let mut response = connection.response().unwrap();
            assert!(response.will_close(), "it asked for the close");
            response.discard().unwrap();
            assert!(!connection.is_open());
        });
        assert_eq!(sent[1], "GET / HTTP/1.1\r\nHost: name.test\r\nConnection: close\r\n\r\n");
    }

    /// A peer that takes so much of the second request and then breaks.
    fn breaking(taken: usize) -> Script {
        let first = head("GET").len();
        Script::new([Say::Asked, bytes(OK)]).taking([Take::AtMost(first), Take::AtMost(taken), Take::Fail])
    }

    #[test]
    fn where_sending_it_fails() {
        for taken in [1, 20, 60, 500, 700] {
            let sent = with_peers([breaking(taken), peer(&[OK])], |connection| {
                assert_eq!(get(connection, "GET"), Ok(200));
                connection.request("PUT", "/", &[], &[b'x'; 2000]).unwrap();
                assert!(!connection.wants_body());
                connection.response().unwrap().discard().unwrap();
                assert!(connection.is_open(), "the new connection is a good one");
            });
            assert_eq!(
                sent[1],
                format!(
                    "PUT / HTTP/1.1\r\nHost: name.test\r\nContent-Length: 2000\r\n\r\n{}",
                    "x".repeat(2000)
                )
            );
        }
    }

    #[test]
    fn but_not_one_that_is_answered_while_it_is_sent() {
        let broken = Script::new([
            Say::Asked,
            bytes(OK),
            Say::Asked,
            bytes("HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n"),
        ]);
        let broken = broken.taking([Take::AtMost(head("GET").len()), Take::AtMost(100), Take::Fail]);
        let sent = with_peers([broken, peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.request("PUT", "/", &[], &[b'x'; 2000]).unwrap();
            assert_eq!(connection.response().unwrap().status(), 413);
        });
        assert_eq!(sent.len(), 1);
    }

    #[test]
    fn in_pieces_as_long_as_no_more_than_the_head_was_sent() {
        let sent = with_peers([breaking(10), peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.put_request("PUT", "/").unwrap();
            connection.end_headers(RequestBody::Chunked).unwrap();
            assert!(connection.wants_body());
            connection.send(b"abc").unwrap();
            connection.finish_body().unwrap();
            connection.response().unwrap().discard().unwrap();
        });
        let chunked =
            "PUT / HTTP/1.1\r\nHost: name.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        assert_eq!(sent[1], chunked);
        let sent = with_peers([breaking(70), peer(&[OK])], |connection| {
            assert_eq!(get(connection, "GET"), Ok(200));
            connection.put_request("PUT", "/").unwrap();
            connection.end_headers(RequestBody::Chunked).unwrap();
            connection.send(b"abc").unwrap();
            connection.finish_body().unwrap();
            assert!(connection.response().is_err(), "nobody has the first chunk any more");
        });
        assert_eq!(sent.len(), 1);
    }
    /// The head alone would be half a request, for whose rest the server waits.
    #[test]
    fn in_pieces_but_not_once_the_body_was_sent() {
        for (body, piece, sent_in_all) in
            [(RequestBody::Length(2), "hi", "hi"), (RequestBody::Chunked, "", "0\r\n\r\n")]
        {
            let sent = with_peers([losing(Say::Close), peer(&[OK])], |connection| {
                assert_eq!(get(connection, "GET"), Ok(200));
                connection.put_request("PUT", "/").unwrap();
                connection.end_headers(body).unwrap();
                connection.send(piece.as_bytes()).unwrap();
                connection.finish_body().unwrap();
                assert_eq!(connection.response().unwrap_err(), HttpError::EmptyReply);
            });
            assert!(sent.len() == 1 && sent[0].ends_with(&format!("\r\n\r\n{sent_in_all}")), "{sent:?}");
        }
    }
}
