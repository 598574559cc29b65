//! The race to the first byte of an answer in virtual time: `ResponseRace` over two connections of the
//! simulated internet. All moments are exact.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Config, Instant, Interest, PollEntry, Poller, RaceDriver, RaceStack};
use connie_http::{
    Authority, HttpConnection, HttpError, RaceAddresses, ResponseOutput, ResponseRace, ResponseRaceConfig,
    RetryBucket, Side,
};
use connie_sim::{Rng, SimClock, SimHost, SimStack, address, label, ok, seeds};

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
const BUSY: &[u8] = b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy";
/// What the first has unless something is said of it.
const PATIENCE: u64 = 1_000;

type Connection = HttpConnection<SimStack, SimClock, [u8; 512], RaceAddresses<Vec<SocketAddr>>>;
type Socket = <SimStack as TcpClientStack>::TcpSocket;

/// A client that drives a race to the first byte, of which the first address in the list is always the first.
struct Client {
    connection: Connection,
    others: Vec<SocketAddr>,
    bucket: RetryBucket,
    config: ResponseRaceConfig,
    second: Option<Socket>,
    is_first_lost: bool,
    requests: u32,
}

/// What came of a GET: the status and who it came from, or the error, and when.
type Outcome = (Result<(u16, String), HttpError>, u64);

impl Client {
    fn new(seed: u64, hosts: &[(&str, SimHost)]) -> Self {
        let mut stack = SimStack::new(seed);
        for (label, host) in hosts {
            stack.put(address(label), host.clone());
        }
        let clock = stack.clock();
        let mut addresses: Vec<_> = hosts.iter().map(|(label, _)| address(label)).collect();
        let others = addresses.split_off(1);
        let first = RaceAddresses::new(addresses, Config::all_at_once());
        let authority = Authority::http("name.test", 80);
        let connection = HttpConnection::with_opener(stack, clock, first, authority, [0; 512]).unwrap();
        let patience = Duration::from_millis(PATIENCE);
        let config = ResponseRaceConfig { patience, may_repeat: true, warm_spare: false };
        let bucket = RetryBucket::new();
        Client { connection, others, bucket, config, second: None, is_first_lost: false, requests: 0 }
    }

    fn now(&mut self) -> Instant {
        self.connection.parts_mut().0.now()
    }

    /// GET, with a limit in milliseconds from the start of the world.
    fn get(&mut self, limit: u64) -> Outcome {
        let limit = Instant::from_millis(limit);
        let (mut kept, mut lost) = (None, HttpError::TimedOut);
        if let Err(error) = self.connection.request("GET", "/", &[], b"") {
            return (Err(error), self.millis());
        }
        self.requests = 1;
        let now = self.now();
        let mut race = ResponseRace::new(self.config, &mut self.bucket, now);
        while kept.is_none() {
            let now = self.now();
            match race.poll_output(&mut self.bucket, now) {
                ResponseOutput::OpenSecond => match self.open(limit) {
                    Some(socket) => {
                        self.second = Some(socket);
                        race.handle_second_opened();
                    }
                    None => race.handle_second_failed(),
                },
                ResponseOutput::SendSecond => self.send(&mut race),
                ResponseOutput::Keep(side) => kept = Some(side),
                ResponseOutput::Fail => return (Err(lost), self.millis()),
                ResponseOutput::Wait(_) if now >= limit => {
                    race.handle_given_up();
                    lost = HttpError::TimedOut;
                }
                ResponseOutput::Wait(until) => {
                    if !self.look(&mut race, &mut lost) {
                        self.wait(until.map_or(limit, |until| until.min(limit)));
                        self.look(&mut race, &mut lost);
                    }
                }
            }
        }
        if let Some(loser) = self.second.take() {
            self.connection.parts_mut().0.abort(loser);
        }
        let from = match kept {
            Some(Side::Second) => self.others[0],
            _ => self.connection.opener().destination().expect("it was opened"),
        };
        self.connection.set_deadline(Some(limit));
        let status = self.connection.response().map(|response| (response.status(), label(from)));
        (status, self.millis())
    }

    fn millis(&mut self) -> u64 {
        self.now().as_micros() / 1_000
    }

    /// The second connection, by a race of its own.
    fn open(&mut self, limit: Instant) -> Option<Socket> {
        let (stack, clock, _) = self.connection.opening_parts_mut();
        let now = stack.now();
        let config = Config::all_at_once().deadline(Some(limit.duration_since(now)));
        let mut race = RaceDriver::<SimStack>::new(&config, now);
        race.handle_addresses(&self.others, now);
        race.run(stack, clock).ok().map(|won| won.socket)
    }

    fn send(&mut self, race: &mut ResponseRace) {
        let request = self.connection.sent_request(0).expect("it is not answered").to_vec();
        self.connection.mark_sent_again();
        let second = self.second.as_mut().expect("it is open");
        match self.connection.parts_mut().0.send(second, &request) {
            Ok(count) => assert_eq!(count, request.len()),
            Err(_) => race.handle_lost(Side::Second),
        }
        self.requests += 1;
    }

    /// Whether something has come, or was lost.
    fn look(&mut self, race: &mut ResponseRace, lost: &mut HttpError) -> bool {
        if !self.is_first_lost {
            match self.connection.poll_first_byte() {
                Ok(()) => {
                    race.handle_first_byte(Side::First);
                    return true;
                }
                Err(nb::Error::WouldBlock) => {}
                Err(nb::Error::Other(error)) => {
                    (self.is_first_lost, *lost) = (true, error);
                    race.handle_lost(Side::First);
                    return true;
                }
            }
        }
        let Some(second) = &mut self.second else { return false };
        self.connection.swap_socket(second);
        let polled = self.connection.poll_first_byte();
        if polled.is_ok() {
            race.handle_first_byte(Side::Second);
            return true;
        }
        self.connection.swap_socket(second);
        if let Err(nb::Error::Other(error)) = polled {
            *lost = error;
            race.handle_lost(Side::Second);
            let second = self.second.take().expect("it was there");
            self.connection.parts_mut().0.abort(second);
            return true;
        }
        false
    }

    fn wait(&mut self, until: Instant) {
        let (stack, clock, first) = self.connection.socket_parts_mut().expect("a socket");
        let first = (!self.is_first_lost).then(|| PollEntry::new(first, Interest::Receive));
        let second = self.second.as_mut().map(|socket| PollEntry::new(socket, Interest::Receive));
        let mut entries: Vec<_> = first.into_iter().chain(second).collect();
        let _ = clock.wait(stack, &mut entries, Some(until));
    }

    /// How many requests each host has had.
    fn had(&mut self, labels: &[&str]) -> Vec<usize> {
        let stack = &self.connection.parts_mut().0;
        let requests =
            |label: &&str| String::from_utf8_lossy(stack.received(address(label))).matches("GET / ").count();
        labels.iter().map(requests).collect()
    }
}

/// {first, live}: when the page is there, and how many requests each has had.
#[track_caller]
fn beside_live(first: SimHost, at: u64, had: [usize; 2]) {
    let mut client = Client::new(1, &[("4a", first), ("4b", ok(40).serves(PAGE, 0))]);
    assert_eq!(client.get(10_000), (Ok((200, "4b".to_owned())), at));
    assert_eq!(client.had(&["4a", "4b"]), had);
    assert_eq!(client.connection.parts_mut().0.open(), 1, "the other one is gone");
}

/// A handshake of 20 ms, the patience, and a handshake and an answer of 40 ms each.
#[test]
fn a_silent_server_costs_its_patience() {
    beside_live(ok(20), 20 + PATIENCE + 40 + 40, [1, 1]);
}

#[test]
fn a_server_that_resets_costs_no_patience() {
    // 50 ms after its handshake.
    beside_live(ok(20).resets_after(50), 20 + 50 + 40 + 40, [1, 1]);
}

#[test]
fn a_server_that_closes_costs_no_patience() {
    beside_live(ok(20).serves(*b"", 30).closes(), 20 + 50 + 40 + 40, [1, 1]);
}

#[test]
fn a_503_and_half_a_status_line_are_answers() {
    let live = ("4b", ok(40).serves(PAGE, 0));
    let mut client = Client::new(1, &[("4a", ok(20).serves(BUSY, 0)), live.clone()]);
    assert_eq!(client.get(10_000), (Ok((503, "4a".to_owned())), 40));
    assert_eq!(client.had(&["4a", "4b"]), [1, 0]);
    let mut client = Client::new(1, &[("4a", ok(20).serves(*b"HTTP/1.", 0)), live]);
    assert_eq!(client.get(5_000), (Err(HttpError::TimedOut), 5_000));
    assert_eq!(client.had(&["4a", "4b"]), [1, 0]);
}

#[test]
fn when_both_are_silent_it_ends_by_the_deadline() {
    let mut client = Client::new(1, &[("4a", ok(20)), ("4b", ok(40))]);
    assert_eq!(client.get(5_000), (Err(HttpError::TimedOut), 5_000));
    assert_eq!(client.had(&["4a", "4b"]), [1, 1]);
    assert_eq!(client.bucket.available(), 2);
}

#[test]
fn a_slow_page_is_asked_for_once_with_one_address_and_twice_with_two() {
    let slow = || ok(20).serves(PAGE, 3_000);
    let mut client = Client::new(1, &[("4a", slow())]);
    assert_eq!(client.get(10_000), (Ok((200, "4a".to_owned())), 20 + 20 + 3_000));
    assert_eq!((client.had(&["4a"]), client.bucket.available()), (vec![1], 3));
    let mut client = Client::new(1, &[("4a", slow()), ("4b", slow()), ("4c", slow())]);
    assert_eq!(
        client.get(10_000),
        (Ok((200, "4a".to_owned())), 20 + 20 + 3_000),
        "the first was asked first"
    );
    assert_eq!(client.had(&["4a"]), [1]);
    assert_eq!(client.had(&["4b", "4c"]).iter().sum::<usize>(), 1);
}

/// The answer is there a microsecond before the patience has passed, at that moment, and a microsecond after
/// it.
#[test]
fn an_answer_at_the_end_of_the_patience() {
    for (micros, requests) in [(-1, 1), (0, 1), (1, 2)] {
        let rtt = 20_000_i64;
        let host = ok(0).plus_micros(rtt as u64).serves(PAGE, 0);
        let patience = Duration::from_micros((rtt - micros) as u64);
        let mut client = Client::new(1, &[("4a", host), ("4b", ok(40).serves(PAGE, 0))]);
        client.config.patience = patience;
        let (answer, _) = client.get(10_000);
        assert_eq!(answer, Ok((200, "4a".to_owned())), "{micros} µs late");
        // What is there already is not waited for; what is not makes it ask another.
        assert!(client.requests <= requests, "{micros} µs late: {} requests", client.requests);
    }
}

#[test]
fn random_servers_are_asked_twice_at_most_and_the_page_is_never_later_than_by_the_second() {
    seeds(300, |seed| {
        let mut rng = Rng::new(seed);
        let host = |rng: &mut Rng| {
            let host = ok(rng.within(1, 300));
            match rng.below(5) {
                0 => host,
                1 => host.resets_after(rng.within(1, 2_000)),
                2 => host.serves(PAGE, rng.within(0, 3_000)),
                3 => host.serves(*b"", rng.within(0, 500)).closes(),
                _ => host.serves(PAGE, 0),
            }
        };
        let (first, live_trip) = (host(&mut rng), rng.within(1, 300));
        let first_trip = first.round_trip_micros() / 1_000;
        let mut client = Client::new(seed, &[("4a", first), ("4b", ok(live_trip).serves(PAGE, 0))]);
        client.config.warm_spare = rng.chance(30);
        let (answer, at) = client.get(20_000);
        assert!(answer.is_ok(), "the second is live: {answer:?}");
        assert!(client.requests <= 2);
        assert!(at <= first_trip + PATIENCE + 2 * live_trip, "{at} ms");
        assert_eq!(client.connection.parts_mut().0.open(), 1);
    });
}
