//! A DNS client of connie-dns: any number of questions, whatever servers send and whenever, other servers,
//! questions that are given up, and a clock that jumps. With look-ups it is what programs use: some at a
//! time, each with a search list.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;
use connie_dns::{
    DnsClient, DnsConfig, DnsInput, DnsOutput, DnsTransport, LARGEST_QUERY, Name, Port, QuestionId,
    RecordLookup, RecordType, SearchNames, WantedRecords,
};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// The most that happens to one client, so that none takes long.
const STEPS: u32 = 300;
/// The most that one drain has to say: a few words for each question and server of the largest client.
const LONGEST_DRAIN: u32 = 200;
/// How often a client that is left alone is woken at the moment it names. It asks for nine names at most,
/// each server of each sixteen times.
const WAKES: u32 = 10_000;

const NAMES: [&str; 4] = ["a.test", "b.test", "c.a.test", "x.onion"];
const HOSTS: [&str; 4] = ["a", "a.test", "b.test.", "..."];
const DOMAINS: [&str; 3] = ["test", "a.test", "no..name"];
/// How many look-ups there are at a time.
const MOST_LOOKUPS: usize = 4;

/// Runs a client as `data` has it.
///
/// # Panics
///
/// Where a drain does not end, a wait ends at once, a question does not end in time or is told to have ended
/// twice, a port is left open or comes to life again, a server is asked too often, what comes to a closed
/// port changes anything, or an address is in no message that has come.
pub fn dns_client(data: &[u8]) {
    play(data, false);
}

/// The same with look-ups.
///
/// # Panics
///
/// Also if a look-up does not end, or reports a kind twice or one that was not wanted.
pub fn dns_lookups(data: &[u8]) {
    play(data, true);
}

fn play(data: &[u8], with_lookups: bool) {
    let mut draw = Draw::new(data);
    match draw.below(3) {
        0 => Game::<1, 1, 16, 32>::play(draw, with_lookups),
        1 => Game::<2, 3, 40, 64>::play(draw, with_lookups),
        _ => Game::<4, 2, 255, 256>::play(draw, with_lookups),
    }
}

/// A look-up with what it has to report.
struct Pending<const N: usize> {
    lookup: RecordLookup<N, SearchNames<'static, &'static str, N>>,
    left: Vec<RecordType>,
}

/// A query that a server has.
struct Sent {
    port: Port,
    server: SocketAddr,
    tcp: bool,
    octets: Vec<u8>,
}

struct Game<'a, const E: usize, const S: usize, const N: usize, const D: usize> {
    draw: Draw<'a>,
    with_lookups: bool,
    settings: DnsConfig,
    client: DnsClient<E, S, N, D>,
    /// What the clock shows; it may run backwards.
    now: Instant,
    /// The latest that it has shown.
    latest: Instant,
    due: Option<Instant>,
    sent: Vec<Sent>,
    /// Every port from which something was sent, and whether it is still open.
    ports: BTreeMap<String, (Port, bool)>,
    waiting: Vec<QuestionId>,
    lookups: Vec<Pending<N>>,
    ended: Vec<QuestionId>,
    messages: Vec<Vec<u8>>,
}

impl<'a, const E: usize, const S: usize, const N: usize, const D: usize> Game<'a, E, S, N, D> {
    fn play(mut draw: Draw<'a>, with_lookups: bool) {
        let settings = DnsConfig {
            attempts: draw.below(5),
            timeout: Duration::from_millis(draw.pick(&[5_000, 0, 300, 100_000])),
            transport: draw.pick(&[DnsTransport::Udp, DnsTransport::UdpAndTcp, DnsTransport::Tcp]),
            randomise_case: draw.flag(),
            longest_ttl: Duration::from_secs(draw.pick(&[60, 0, 1])),
            ..DnsConfig::default()
        };
        let now = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 32, 1 << 62]));
        note(|| format!("client of {E}, {S}, {N}, {D} at {}: {settings:?}", now.as_micros()));
        let mut game = Self {
            draw,
            with_lookups,
            settings,
            client: DnsClient::new(settings, 1),
            now,
            latest: now,
            due: None,
            sent: Vec::new(),
            ports: BTreeMap::new(),
            waiting: Vec::new(),
            lookups: Vec::new(),
            ended: Vec::new(),
            messages: Vec::new(),
        };
        game.set_servers();
        for _ in 0..STEPS {
            if game.draw.is_done() {
                break;
            }
            game.happen();
        }
        game.wind_down();
    }

    fn happen(&mut self) {
        match self.draw.below(if self.with_lookups { 24 } else { 16 }) {
            0..=3 => self.ask(),
            4..=6 => self.answer(),
            7 => self.raw(),
            8 => self.fail(),
            9 => self.give_up(),
            10 => self.sleep(),
            11 => self.wake(1),
            12 => self.set_servers(),
            13 => {
                note(|| "forget".to_owned());
                self.client.forget(self.now);
            }
            14 => self.turn_back(),
            15 => self.wake(0),
            16..=18 => self.look_up(),
            19 => self.close(),
            _ => self.sensible(),
        }
        self.poll_lookups();
        self.drain();
        self.look();
    }

    // What happens.

    fn ask(&mut self) {
        let (name, kind) = (self.draw.pick(&NAMES), self.draw.pick(&RecordType::ALL));
        note(|| format!("ask {name} {kind}"));
        let name = Name::parse(name).expect("a name that fits");
        self.waiting.extend(self.client.ask(&name, kind, self.now));
    }

    fn look_up(&mut self) {
        let (host, count) = (self.draw.pick(&HOSTS), self.draw.below(4));
        let wants: [bool; 3] = std::array::from_fn(|_| self.draw.flag());
        note(|| format!("look up {host} below {count}: {wants:?}"));
        let (wanted, domains) =
            (WantedRecords { aaaa: wants[0], a: wants[1], https: wants[2] }, &DOMAINS[..count.into()]);
        let lookup = RecordLookup::from_names(SearchNames::new(host, domains, 1), wanted);
        if let Some(lookup) = lookup.filter(|_| self.lookups.len() < MOST_LOOKUPS) {
            let left =
                RecordType::ALL.into_iter().zip(wants).filter(|(_, wanted)| *wanted).map(|(kind, _)| kind);
            self.lookups.push(Pending { lookup, left: left.collect() });
        }
    }

    fn close(&mut self) {
        let which = self.draw.byte();
        note(|| format!("close {which}"));
        if let Some(index) = usize::from(which).checked_rem(self.lookups.len()) {
            self.lookups.swap_remove(index).lookup.close(&mut self.client);
        }
    }

    /// A message that has the id and the question of a query.
    fn answer(&mut self) {
        let (which, flags) = (self.draw.byte(), [self.draw.byte(), self.draw.byte()]);
        let counts = [self.draw.byte(), self.draw.byte(), self.draw.byte()];
        let length = self.draw.byte();
        let body = self.draw.take(usize::from(length));
        note(|| format!("answer {which} {} {} {}", hex(&flags), hex(&counts), hex(body)));
        self.reply(which, flags, counts, body);
    }

    fn reply(&mut self, which: u8, flags: [u8; 2], counts: [u8; 3], body: &[u8]) {
        let Some(sent) = pick(&self.sent, which) else { return };
        let end = 12 + sent.octets[12..].iter().position(|octet| *octet == 0).expect("the root") + 5;
        let mut message = sent.octets[..end].to_vec();
        (message[2], message[3]) = (0x80 | flags[0], flags[1]);
        (message[7], message[9], message[11]) = (counts[0], counts[1], counts[2]);
        message.extend_from_slice(body);
        self.tell(which, &message);
    }

    /// An answer as servers send it: flags, counts and body.
    fn sensible(&mut self) {
        const ANSWERS: [(u8, [u8; 3], &[u8]); 8] = [
            (0x80, [1, 0, 0], b"\xc0\x0c\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01"),
            (
                0x80,
                [1, 0, 0],
                b"\xc0\x0c\0\x1c\0\x01\0\0\0\x05\0\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01",
            ),
            (0x80, [1, 0, 0], b"\xc0\x0c\0\x05\0\x01\0\0\0\x05\0\x08\x01b\x04test\0"),
            (0x80, [0, 1, 0], b"\x04test\0\0\x06\0\x01\0\0\0\x05\0\x16\0\0aaaabbbbccccdddd\0\0\0\x09"),
            (0x83, [0, 0, 0], b""),
            (0x82, [0, 0, 0], b""),
            (0x81, [0, 0, 0], b""),
            (0x00, [0, 0, 0], b""),
        ];
        let (which, choice, first) = (self.draw.byte(), self.draw.below(8), self.draw.pick(&[0, 0, 0, 2]));
        note(|| format!("sensible answer {choice} to {which}, flags {first}"));
        let (second, counts, body) = ANSWERS[usize::from(choice)];
        self.reply(which, [first, second], counts, body);
    }

    fn raw(&mut self) {
        let (which, length) = (self.draw.byte(), self.draw.byte());
        let message = self.draw.take(usize::from(length)).to_vec();
        note(|| format!("message {which} {}", hex(&message)));
        self.tell(which, &message);
    }

    fn tell(&mut self, which: u8, message: &[u8]) {
        self.messages.push(message.to_vec());
        let Some(Sent { port, server, tcp, .. }) = pick(&self.sent, which) else { return };
        let (port, server) = (*port, *server);
        let input = match tcp {
            true => DnsInput::Message { port, server, message },
            false => DnsInput::Datagram { port, from: server, message },
        };
        self.input(port, input);
    }

    /// What comes to a port that is closed changes nothing.
    fn input(&mut self, port: Port, input: DnsInput<'_>) {
        let before = (!self.client.is_open(port)).then(|| format!("{:?}", self.client));
        self.client.handle_input(input, self.now);
        if let Some(before) = before {
            assert_eq!(before, format!("{:?}", self.client), "told of a closed port: {input:?}");
        }
    }

    fn fail(&mut self) {
        let which = self.draw.byte();
        note(|| format!("fail {which}"));
        let Some(Sent { port, server, tcp, .. }) = pick(&self.sent, which) else { return };
        let (port, server) = (*port, *server);
        let input = match tcp {
            true => DnsInput::StreamFailed { port, server },
            false => DnsInput::DatagramFailed { port, server },
        };
        self.input(port, input);
    }

    fn give_up(&mut self) {
        let which = self.draw.byte();
        note(|| format!("give up {which}"));
        if let Some(index) = usize::from(which).checked_rem(self.waiting.len()) {
            let id = self.waiting.swap_remove(index);
            self.client.give_up(id);
        }
    }

    fn sleep(&mut self) {
        let millis = self.draw.short();
        note(|| format!("sleep {millis} ms"));
        self.now += Duration::from_millis(millis.into());
    }

    fn turn_back(&mut self) {
        let millis = self.draw.short();
        note(|| format!("turn back {millis} ms"));
        self.now = Instant::from_micros(self.now.as_micros().saturating_sub(u64::from(millis) * 1_000));
    }

    fn wake(&mut self, early: u64) {
        note(|| format!("wake {early} us early"));
        if let Some(due) = self.due {
            self.now = Instant::from_micros(due.as_micros().saturating_sub(early)).max(self.now);
        }
    }

    fn set_servers(&mut self) {
        let (first, count) = (self.draw.below(3), self.draw.below(4));
        note(|| format!("servers {first} and {count} more"));
        let server = |last| SocketAddr::from(([192, 0, 2, last], 53));
        let servers: Vec<_> = (first..first + count + 1).map(server).collect();
        let before: Vec<_> = self.client.servers().collect();
        self.client.set_servers(&servers, self.now);
        if !self.client.servers().eq(before) {
            let is_open = |(port, _): &(Port, bool)| self.client.is_open(*port);
            assert!(!self.ports.values().any(is_open), "what is asked is asked anew");
        }
    }

    // What must hold.

    fn drain(&mut self) {
        self.latest = self.latest.max(self.now);
        self.drain_to_its_end();
        for (port, was_open) in self.ports.values_mut() {
            let is_open = self.client.is_open(*port);
            assert!(*was_open || !is_open, "a port comes to life again");
            *was_open = is_open;
        }
        for Sent { port, server, .. } in &self.sent {
            assert!(!self.client.wants_stream(*port, *server) || self.client.is_open(*port));
        }
    }

    fn drain_to_its_end(&mut self) {
        let mut buffer = [0; LARGEST_QUERY];
        for _ in 0..LONGEST_DRAIN {
            match self.client.poll_output(&mut buffer, self.now) {
                DnsOutput::Send { port, server, length } => self.send(port, server, false, &buffer[..length]),
                DnsOutput::Connect { port, server, length } => {
                    self.send(port, server, true, &buffer[..length])
                }
                DnsOutput::Ended(id) => {
                    assert!(self.client.answer(id, self.now).is_some(), "an end without one");
                    assert!(!self.ended.contains(&id), "an end is told twice");
                    self.ended.push(id);
                }
                DnsOutput::WaitUntil(at) => {
                    assert!(at > self.now, "a wait until {at} at {}", self.now);
                    self.due = Some(at);
                    return;
                }
                DnsOutput::WaitForInput => {
                    let is_open = |sent: &Sent| self.client.is_open(sent.port);
                    assert!(!self.sent.iter().any(is_open), "a port is left open");
                    self.due = None;
                    return;
                }
            }
        }
        panic!("the drain does not end");
    }

    fn send(&mut self, port: Port, server: SocketAddr, tcp: bool, octets: &[u8]) {
        assert!(self.client.is_open(port), "sent from a port that is closed");
        assert!(self.client.servers().any(|known| known == server), "{server} is no server");
        assert_eq!(
            self.client.wants_stream(port, server),
            tcp,
            "a message is waited for after a query over TCP"
        );
        self.sent.push(Sent { port, server, tcp, octets: octets.to_vec() });
        let (_, was_open) = self.ports.entry(format!("{port:?}")).or_insert((port, true));
        assert!(*was_open, "sent from a port that was closed");
        let is_same = |sent: &&Sent| (sent.port, sent.server, sent.tcp) == (port, server, tcp);
        let times = self.sent.iter().filter(is_same).count();
        // Once more without EDNS.
        let most = usize::from(self.settings.attempts.clamp(1, 16)) + 1;
        assert!(times <= most, "{server} is asked {times} times");
    }

    /// Rule 8 of the exchange: how long a question takes at most that no alias has led elsewhere. A
    /// connection that is under way when the last message has come takes the timeout, too.
    fn bound(&self) -> Duration {
        let timeout = self.settings.timeout.clamp(Duration::from_millis(10), Duration::from_secs(60));
        let servers = u32::try_from(self.client.servers().count()).expect("some").max(1);
        let mut bound = Duration::from_millis(250) * (servers - 1) + timeout * 2;
        for turn in 0..u32::from(self.settings.attempts.clamp(1, 16)) - 1 {
            let doubled = |millis| (Duration::from_millis(millis) * (1 << turn)).min(timeout);
            let wait = if self.settings.transport == DnsTransport::Tcp { timeout } else { doubled(1_000) };
            bound += wait + doubled(500);
        }
        bound
    }

    fn poll_lookups(&mut self) {
        for Pending { lookup, left } in &mut self.lookups {
            while let Some(event) = lookup.poll(&mut self.client, self.now) {
                let place = left.iter().position(|kind| *kind == event.kind);
                left.remove(place.expect("a kind is reported that nobody wants, or that was reported"));
                let answer = event.result.ok();
                assert!(answer.is_none_or(|answer| answer.kind() == event.kind));
            }
            assert_eq!(lookup.is_done(), left.is_empty(), "what is left: {left:?}");
        }
        let (done, going) = std::mem::take(&mut self.lookups).into_iter().partition(|it| it.left.is_empty());
        self.lookups = going;
        let done: Vec<Pending<N>> = done;
        done.into_iter().for_each(|mut it| it.lookup.close(&mut self.client));
    }

    /// What is told was heard.
    fn look(&self) {
        for id in &self.waiting {
            let Some(Ok(answer)) = self.client.answer(*id, self.now) else { continue };
            answer.services().for_each(drop);
            for address in answer.addresses() {
                let octets = match address {
                    std::net::IpAddr::V4(v4) => v4.octets().to_vec(),
                    std::net::IpAddr::V6(v6) => v6.octets().to_vec(),
                };
                let holds = |message: &Vec<u8>| message.windows(octets.len()).any(|window| window == octets);
                assert!(self.messages.iter().any(holds), "{address} is in no message");
            }
        }
    }

    /// Nothing comes any more: every question ends, and in time; then every look-up does, whatever it has
    /// still to ask.
    fn wind_down(&mut self) {
        let last = self.latest.max(self.now) + self.bound();
        self.sleep_through();
        assert!(self.now <= last, "questions end at {}, and the last had to at {last}", self.now);
        for id in std::mem::take(&mut self.waiting) {
            assert!(self.client.answer(id, self.now).is_some(), "a question has no end");
            self.client.give_up(id);
        }
        for _ in 0..WAKES {
            self.poll_lookups();
            if self.lookups.is_empty() {
                break;
            }
            self.drain();
            // An end is looked at when it is told. Where nothing is due, one look-up waits for another that
            // is done.
            self.now = self.due.unwrap_or(self.now);
        }
        assert!(self.lookups.is_empty(), "a look-up does not end");
    }

    fn sleep_through(&mut self) {
        for _ in 0..WAKES {
            self.drain();
            let Some(due) = self.due else { return };
            self.now = due;
        }
        panic!("it does not end");
    }
}

/// The newest first.
fn pick(sent: &[Sent], which: u8) -> Option<&Sent> {
    sent.iter().rev().nth(usize::from(which).checked_rem(sent.len())?)
}
