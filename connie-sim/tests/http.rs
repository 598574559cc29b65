//! The HTTP connection of `connie-core` on the winner of a race, in virtual time.

use std::time::Duration;

use connie_core::AttemptErrorKind;
use connie_http::{Authority, HttpConnection, HttpError};
use connie_sim::{Live, Scenario, SimHost as Peer, hang, ok};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";

/// A race of two, which `peer` wins after 50 ms.
fn won_by(peer: Peer) -> Live {
    let live = Scenario::all_at_once().v6(hang()).v4(peer).connect();
    live.outcome.connects("4a", 50);
    live
}

/// Fetches once and reads all of the body.
fn get(live: &mut Live, timeout: Option<u64>) -> Result<String, HttpError> {
    let socket = live.connection.take().expect("a connection").socket;
    let mut buffer = [0; 512];
    let host = Authority::http("name.test", 80);
    let mut connection = HttpConnection::new(&mut live.stack, &mut live.clock, socket, host, &mut buffer)?;
    connection.set_timeout(timeout.map(Duration::from_millis));
    connection.request("GET", "/", &[], b"")?;
    let mut response = connection.response()?;
    let mut body = [0; 256];
    let length = response.read_to_end(&mut body)?;
    Ok(String::from_utf8_lossy(&body[..length]).into_owned())
}

/// Milliseconds since the start of the race, with nothing left open.
#[track_caller]
fn finished_at(live: &Live) -> u64 {
    assert_eq!(live.stack.open(), 0, "a socket was left open");
    live.stack.now().as_micros() / 1_000
}

#[test]
fn a_page_comes_a_round_trip_and_the_servers_time_after_the_handshake() {
    let mut live = won_by(ok(50).serves(PAGE, 20));
    assert_eq!(get(&mut live, None).as_deref(), Ok("hello, world"));
    assert_eq!(finished_at(&live), 50 + 50 + 20);
    let heard = String::from_utf8_lossy(live.stack.received(connie_sim::address("4a")));
    assert!(heard.starts_with("GET / HTTP/1.1\r\nHost: name.test\r\n"), "{heard}");
}

#[test]
fn however_small_its_segments_the_page_is_the_same() {
    for bytes in 1..=PAGE.len() {
        let mut live = won_by(ok(50).serves(PAGE, 20).in_segments(bytes, 10));
        assert_eq!(get(&mut live, None).as_deref(), Ok("hello, world"), "segments of {bytes}");
        let last = (PAGE.len().div_ceil(bytes) - 1) as u64;
        assert_eq!(finished_at(&live), 120 + 10 * last, "segments of {bytes}");
    }
}

#[test]
fn one_connection_serves_two_requests() {
    let mut live = won_by(ok(50).serves(PAGE, 20));
    let socket = live.connection.take().unwrap().socket;
    let mut buffer = [0; 512];
    let host = Authority::http("name.test", 80);
    let mut http = HttpConnection::new(&mut live.stack, &mut live.clock, socket, host, &mut buffer).unwrap();
    for _ in 0..2 {
        http.request("GET", "/", &[], b"").unwrap();
        http.response().unwrap().discard().unwrap();
        assert!(http.is_open());
    }
    drop(http);
    assert_eq!(finished_at(&live), 50 + 2 * 70);
    assert_eq!(live.stack.tally(connie_sim::address("4a")).attempts, 1);
}

#[test]
fn a_body_ends_with_the_connection() {
    let page = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nall of it";
    let mut live = won_by(ok(50).serves(page, 0).in_segments(10, 1).closes());
    assert_eq!(get(&mut live, None).as_deref(), Ok("all of it"));
    finished_at(&live);
}

#[test]
fn a_body_that_ends_too_soon_is_an_error() {
    let page = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nnot all of it";
    let mut live = won_by(ok(50).serves(page, 0).closes());
    let error = get(&mut live, None).unwrap_err();
    assert!(matches!(error, HttpError::IncompleteRead { .. }), "{error:?}");
    finished_at(&live);
}

#[test]
fn a_server_that_hangs_up_without_a_word() {
    let mut live = won_by(ok(50).serves("", 0).closes());
    assert_eq!(get(&mut live, None), Err(HttpError::EmptyReply));
    finished_at(&live);
}

#[test]
fn a_reset_in_the_middle_of_the_page() {
    let mut live = won_by(ok(50).resets_after(100).serves(PAGE, 20).in_segments(10, 10));
    assert_eq!(get(&mut live, None), Err(HttpError::Receive(AttemptErrorKind::Reset.into())));
    assert_eq!(finished_at(&live), 150);
}

#[test]
fn a_server_that_never_speaks_costs_the_time_out_and_no_more() {
    let mut live = won_by(ok(50));
    assert_eq!(get(&mut live, Some(1_000)), Err(HttpError::TimedOut));
    assert_eq!(finished_at(&live), 1_050);
}

#[test]
fn a_time_out_is_counted_from_the_last_byte() {
    let slow = || won_by(ok(50).serves(PAGE, 0).in_segments(1, 999));
    assert!(get(&mut slow(), Some(1_000)).is_ok());
    assert_eq!(get(&mut slow(), Some(998)), Err(HttpError::TimedOut));
}

#[test]
fn a_program_that_gives_up_while_it_waits() {
    let mut live = won_by(ok(50));
    live.clock.cancels_at(connie_core::Instant::from_millis(300));
    assert_eq!(get(&mut live, None), Err(HttpError::Canceled));
    assert_eq!(finished_at(&live), 300);
}

#[test]
fn an_upload_goes_through_a_narrow_window_one_piece_each_round_trip() {
    let mut live = won_by(ok(50).serves(PAGE, 20).window(100));
    let socket = live.connection.take().unwrap().socket;
    let mut buffer = [0; 512];
    let host = Authority::http("name.test", 80);
    let mut http = HttpConnection::new(&mut live.stack, &mut live.clock, socket, host, &mut buffer).unwrap();
    http.request("POST", "/", &[], &[b'x'; 1_000]).unwrap();
    http.response().unwrap().discard().unwrap();
    drop(http);
    let sent = live.stack.received(connie_sim::address("4a")).len() as u64;
    assert!(sent > 1_000);
    // The last piece goes out when all others have been acknowledged.
    assert_eq!(finished_at(&live), 50 + (sent.div_ceil(100) - 1) * 50 + 70);
}
