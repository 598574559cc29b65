//! The HTTP connection of `connie-core` that opens itself: each time by a whole race, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Config, Failure, Instant};
use connie_http::{Authority, HttpConnection, HttpError, RaceAddresses};
use connie_sim::{Rng, SimClock, SimHost as Peer, SimStack, address, hang, ok, refuse, seeds};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\nhello, world";

type Client = HttpConnection<SimStack, SimClock, [u8; 512], RaceAddresses<Vec<SocketAddr>>>;

/// A client of a host with these addresses, raced over four sockets.
fn client(seed: u64, peers: &[(&str, Peer)]) -> Client {
    let mut stack = SimStack::new(seed);
    for (label, peer) in peers {
        stack.put(address(label), peer.clone());
    }
    let clock = stack.clock();
    let addresses = peers.iter().map(|(label, _)| address(label)).collect();
    let destinations = RaceAddresses::new(addresses, Config::all_at_once());
    HttpConnection::with_opener(stack, clock, destinations, Authority::http("name.test", 80), [0; 512])
        .unwrap()
}

#[track_caller]
fn get(client: &mut Client) -> Result<u16, HttpError> {
    client.request("GET", "/", &[], b"")?;
    let mut response = client.response()?;
    response.discard()?;
    Ok(response.status())
}

fn now(client: &mut Client) -> u64 {
    client.parts_mut().0.now().as_micros() / 1_000
}

fn wait_until(client: &mut Client, millis: u64) {
    client.parts_mut().1.advance_to(Instant::from_millis(millis));
}

/// How often `label` heard a request with `method`.
fn heard(client: &mut Client, label: &str, method: &str) -> usize {
    String::from_utf8_lossy(client.parts_mut().0.received(address(label)))
        .matches(&format!("{method} / "))
        .count()
}

#[test]
fn a_page_comes_after_a_race_and_a_round_trip() {
    let mut client = client(1, &[("6a", hang()), ("4a", ok(50).serves(PAGE, 20)), ("6b", refuse(10))]);
    assert_eq!(now(&mut client), 0);
    assert_eq!(get(&mut client), Ok(200));
    assert_eq!(now(&mut client), 50 + 70);
    assert_eq!(client.opener().destination(), Some(address("4a")));
    assert_eq!(client.parts_mut().0.open(), 1, "the losers are gone");
    assert_eq!(get(&mut client), Ok(200));
    assert_eq!(now(&mut client), 50 + 2 * 70);
}

/// Eleven dead addresses do not hold it up the second time either.
#[test]
fn a_connection_that_was_reset_while_idle_is_raced_for_anew() {
    let mut peers: Vec<_> = ["4a", "4b", "4c", "4d", "4e", "4f", "4g", "4h", "4i", "4j", "4k"]
        .map(|label| (label, hang()))
        .into();
    peers.push(("4l", ok(50).resets_after(10_000).serves(PAGE, 20)));
    let mut client = client(2, &peers);
    assert_eq!(get(&mut client), Ok(200));
    let first = now(&mut client);
    assert!(first < 1_000, "{first} ms");
    wait_until(&mut client, 60_000);
    assert_eq!(get(&mut client), Ok(200));
    assert_eq!(now(&mut client), 60_000 + first);
    assert_eq!(heard(&mut client, "4l", "GET"), 2);
    assert_eq!(client.parts_mut().0.open(), 1);
}

/// The reset comes 10 ms after the second request was sent, and 60 ms before its answer.
#[test]
fn a_request_that_a_reset_has_overtaken_is_sent_again() {
    let peers = [("4a", ok(50).resets_after(500).serves(PAGE, 20)), ("4b", refuse(5))];
    for (method, comes_again) in [("GET", true), ("POST", false)] {
        let mut client = client(3, &peers);
        assert_eq!(get(&mut client), Ok(200));
        wait_until(&mut client, 50 + 490);
        client.request(method, "/", &[], b"").unwrap();
        let answered = client.response().map(|response| response.status());
        assert_eq!(answered.is_ok(), comes_again, "{method}: {answered:?}");
        let took = now(&mut client) - 540;
        assert_eq!(took, if comes_again { 10 + 50 + 70 } else { 10 });
        // One GET went before.
        assert_eq!(heard(&mut client, "4a", method), if comes_again { 1 + 2 } else { 1 });
    }
}

#[test]
fn the_time_out_holds_for_the_race_too() {
    let mut client = client(4, &[("4a", hang()), ("6a", hang())]);
    client.set_timeout(Some(Duration::from_millis(700)));
    assert_eq!(get(&mut client), Err(HttpError::Connect(Failure::DeadlineExceeded)));
    assert_eq!(now(&mut client), 700);
    client.set_deadline(Some(Instant::from_millis(900)));
    assert_eq!(get(&mut client), Err(HttpError::Connect(Failure::DeadlineExceeded)));
    assert_eq!(now(&mut client), 900);
    assert_eq!(client.parts_mut().0.open(), 0);
}

/// Whenever the hosts reset their connections and whenever requests go out: nothing is left open, a POST is
/// never sent more often than it was asked for, and a GET once more at the most.
#[test]
fn no_request_is_sent_more_often_than_it_may_be() {
    seeds(2_000, |seed| {
        let mut rng = Rng::new(seed);
        let labels = ["4a", "6a", "4b"];
        let mut peers = Vec::new();
        for label in labels {
            let peer = ok(rng.within(1, 60)).serves(PAGE, rng.within(0, 40));
            let peer = if rng.chance(80) { peer.resets_after(rng.within(20, 400)) } else { peer };
            let peer = if rng.chance(30) { peer.closes() } else { peer };
            peers.push((label, if rng.chance(20) { hang() } else { peer }));
        }
        let mut client = client(seed, &peers);
        client.set_timeout(Some(Duration::from_millis(rng.pick(&[90, 500, 5_000]))));
        let (mut gets, mut posts) = (0, 0);
        for _ in 0..8 {
            let later = now(&mut client) + rng.below(200) + 1;
            wait_until(&mut client, later);
            let method = rng.pick(&["GET", "POST"]);
            *if method == "GET" { &mut gets } else { &mut posts } += 1;
            let _ = client.request(method, "/", &[], b"").and_then(|()| client.response()?.discard());
            let open = client.parts_mut().0.open();
            assert_eq!(open, usize::from(client.is_open()), "only the connection's own socket is open");
            if rng.chance(10) {
                client.close();
            }
        }
        let mut count = |method| labels.iter().map(|label| heard(&mut client, label, method)).sum::<usize>();
        assert!(count("POST") <= posts, "a POST was sent twice");
        assert!(count("GET") <= 2 * gets, "a GET was sent thrice");
    });
}
