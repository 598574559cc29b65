//! A DNS client of connie-dns: any number of questions, whatever servers send and whenever, other servers, questions that are given up, and
//! a clock that jumps.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;
use connie_dns::{Client, Input, Kind, LARGEST_QUERY, Name, Output, Port, QuestionId, Settings, Transport};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// The most that happens to one client, so that none takes long.
const STEPS: u32 = 300;
/// The most that one drain has to say: a few words for each question and server of the largest client.
const LONGEST_DRAIN: u32 = 200;
/// How often a client that is left alone is woken at the moment it names. It asks for nine names at most, each server of each sixteen times.
const WAKES: u32 = 10_000;

const NAMES: [&str; 4] = ["a.test", "b.test", "c.a.test", "x.onion"];

/// Runs a client as `data` has it.
///
/// # Panics
///
/// Where a drain does not end, a wait ends at once, a question does not end or is told to have ended twice, a port is left open, or an
/// address is in no message that has come.
pub fn dns_client(data: &[u8]) {
    let mut draw = Draw::new(data);
    match draw.below(3) {
        0 => Game::<1, 1, 16, 32>::play(draw),
        1 => Game::<2, 3, 40, 64>::play(draw),
        _ => Game::<4, 2, 255, 256>::play(draw),
    }
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
    client: Client<E, S, N, D>,
    /// What the clock shows; it may run backwards.
    now: Instant,
    due: Option<Instant>,
    sent: Vec<Sent>,
    waiting: Vec<QuestionId>,
    ended: Vec<QuestionId>,
    messages: Vec<Vec<u8>>,
}

impl<'a, const E: usize, const S: usize, const N: usize, const D: usize> Game<'a, E, S, N, D> {
    fn play(mut draw: Draw<'a>) {
        let settings = Settings {
            attempts: draw.below(5),
            timeout: Duration::from_millis(draw.pick(&[5_000, 0, 300, 100_000])),
            transport: draw.pick(&[Transport::Udp, Transport::UdpAndTcp, Transport::Tcp]),
            randomise_case: draw.flag(),
            longest_ttl: Duration::from_secs(draw.pick(&[60, 0, 1])),
            ..Settings::default()
        };
        let now = Instant::from_micros(draw.pick(&[0, 1, 5_000_000, 1 << 32, 1 << 62]));
        note(|| format!("client of {E}, {S}, {N}, {D} at {}: {settings:?}", now.as_micros()));
        let mut game = Self {
            draw,
            client: Client::new(settings, 1),
            now,
            due: None,
            sent: Vec::new(),
            waiting: Vec::new(),
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
        match self.draw.below(16) {
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
            _ => self.wake(0),
        }
        self.drain();
        self.look();
    }

    // What happens.

    fn ask(&mut self) {
        let (name, kind) = (self.draw.pick(&NAMES), self.draw.pick(&Kind::ALL));
        note(|| format!("ask {name} {kind}"));
        let name = Name::parse(name).expect("a name that fits");
        self.waiting.extend(self.client.ask(&name, kind, self.now));
    }

    /// A message that has the id and the question of a query.
    fn answer(&mut self) {
        let (which, flags) = (self.draw.byte(), [self.draw.byte(), self.draw.byte()]);
        let counts = [self.draw.byte(), self.draw.byte(), self.draw.byte()];
        let length = self.draw.byte();
        let body = self.draw.take(usize::from(length));
        note(|| format!("answer {which} {} {} {}", hex(&flags), hex(&counts), hex(body)));
        let Some(sent) = pick(&self.sent, which) else { return };
        let end = 12 + sent.octets[12..].iter().position(|octet| *octet == 0).expect("the root") + 5;
        let mut message = sent.octets[..end].to_vec();
        (message[2], message[3]) = (0x80 | flags[0], flags[1]);
        (message[7], message[9], message[11]) = (counts[0], counts[1], counts[2]);
        message.extend_from_slice(body);
        self.tell(which, &message);
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
            true => Input::Message { port, server, message },
            false => Input::Datagram { port, from: server, message },
        };
        self.client.handle_input(input, self.now);
    }

    fn fail(&mut self) {
        let which = self.draw.byte();
        note(|| format!("fail {which}"));
        let Some(Sent { port, server, tcp, .. }) = pick(&self.sent, which) else { return };
        let (port, server) = (*port, *server);
        let input = match tcp {
            true => Input::StreamFailed { port, server },
            false => Input::DatagramFailed { port, server },
        };
        self.client.handle_input(input, self.now);
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
        self.now = self.now + Duration::from_millis(millis.into());
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
        self.client.set_servers(&servers, self.now);
    }

    // What must hold.

    fn drain(&mut self) {
        let mut buffer = [0; LARGEST_QUERY];
        for _ in 0..LONGEST_DRAIN {
            match self.client.poll_output(&mut buffer, self.now) {
                Output::Send { port, server, length } => self.send(port, server, false, &buffer[..length]),
                Output::Connect { port, server, length } => self.send(port, server, true, &buffer[..length]),
                Output::Ended(id) => {
                    assert!(self.client.answer(id, self.now).is_some(), "an end without one");
                    assert!(!self.ended.contains(&id), "an end is told twice");
                    self.ended.push(id);
                }
                Output::WaitUntil(at) => {
                    assert!(at > self.now, "a wait until {at} at {}", self.now);
                    self.due = Some(at);
                    return;
                }
                Output::WaitForInput => {
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
        self.sent.push(Sent { port, server, tcp, octets: octets.to_vec() });
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

    /// Nothing comes any more: every question ends.
    fn wind_down(&mut self) {
        for _ in 0..WAKES {
            self.drain();
            let Some(due) = self.due else { break };
            self.now = due;
        }
        assert_eq!(self.due, None, "it does not end");
        for id in &self.waiting {
            assert!(self.client.answer(*id, self.now).is_some(), "a question has no end");
        }
    }
}

/// The newest first.
fn pick(sent: &[Sent], which: u8) -> Option<&Sent> {
    sent.iter().rev().nth(usize::from(which).checked_rem(sent.len())?)
}
