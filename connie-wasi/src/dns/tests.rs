//! The driver in virtual time, over sockets that are a test's own, with servers that do what the table of
//! connie-sim says.

use alloc::boxed::Box;
use alloc::rc::Rc;
use alloc::vec::Vec;
use core::cell::RefCell;
use core::net::SocketAddr;
use std::collections::VecDeque;
use std::{format, vec};

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, AttemptErrorKind, Instant, RaceStack};
use connie_dns::{DnsConfig, DnsTransport, Name, RecordLookup, RecordType, WantedRecords};
use connie_sim::name_servers::{self, Coming, Finding, Found, NAME, Reaction, Row, Sender, Servers, rows};
use wasip2::sockets::network::ErrorCode;

use super::driver::{Client, Driver};
use super::error::SocketDenial;
use super::lookup::{SearchLookup, poll};
use super::sockets::Sockets;
use crate::error::SocketError;

/// How many octets of a TCP connection come at once: as few as break any assumption about pieces.
const PIECE: usize = 7;

/// The network, and the clock.
struct World {
    servers: Servers,
    now: Instant,
    coming: Vec<(u32, Coming)>,
    sockets: u32,
    open: usize,
    most_open: usize,
    /// Whether no socket can be had, and why.
    denies: Option<ErrorCode>,
    /// How often a socket says that it is still being bound.
    binding: u32,
    /// How often it is still said that a datagram cannot be sent.
    refuses: u32,
}

impl World {
    fn new(servers: Servers) -> Rc<RefCell<Self>> {
        Rc::new(RefCell::new(World {
            servers,
            now: Instant::ZERO,
            coming: Vec::new(),
            sockets: 0,
            open: 0,
            most_open: 0,
            denies: None,
            binding: 0,
            refuses: 0,
        }))
    }

    /// What has come to a socket.
    fn take(&mut self, socket: u32) -> Option<Reaction> {
        let now = self.now;
        let due = |(_, (of, coming)): &(usize, &(u32, Coming))| *of == socket && coming.at <= now;
        let (at, _) = self.coming.iter().enumerate().filter(due).min_by_key(|(_, (_, it))| it.at)?;
        Some(self.coming.remove(at).1.reaction)
    }

    fn ask(&mut self, socket: u32, server: SocketAddr, query: &[u8], tcp: bool) {
        let index = (0..self.servers.count()).find(|index| Servers::address(*index) == server);
        let coming = self.servers.ask(index.expect("a server of the row"), query, tcp, self.now);
        self.coming.extend(coming.map(|coming| (socket, coming)));
    }
}

struct Net(Rc<RefCell<World>>);

/// A socket, of UDP or TCP.
struct Socket {
    world: Rc<RefCell<World>>,
    id: u32,
    server: Option<SocketAddr>,
    binding: u32,
    sent: Vec<u8>,
    received: VecDeque<u8>,
    datagram: Vec<u8>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.world.borrow_mut().open -= 1;
    }
}

impl Net {
    fn open(&mut self, server: Option<SocketAddr>) -> Result<Socket, SocketError> {
        let mut world = self.0.borrow_mut();
        if let Some(code) = world.denies {
            return Err(SocketError::Code(code));
        }
        world.sockets += 1;
        world.open += 1;
        world.most_open = world.most_open.max(world.open);
        Ok(Socket {
            world: Rc::clone(&self.0),
            id: world.sockets,
            server,
            binding: world.binding,
            sent: Vec::new(),
            received: VecDeque::new(),
            datagram: Vec::new(),
        })
    }
}

impl Sockets for Net {
    type Udp = Socket;

    fn open_udp(&mut self, server: SocketAddr) -> Result<Socket, AttemptError> {
        self.open(Some(server)).map_err(|error| error.attempt_error())
    }

    fn send_datagram(&mut self, socket: &mut Socket, datagram: &[u8]) -> nb::Result<(), AttemptError> {
        if socket.binding > 0 {
            socket.binding -= 1;
            return Err(nb::Error::WouldBlock);
        }
        if self.0.borrow().refuses > 0 {
            self.0.borrow_mut().refuses -= 1;
            return Err(nb::Error::Other(AttemptErrorKind::Unreachable.into()));
        }
        let server = socket.server.expect("a server");
        self.0.borrow_mut().ask(socket.id, server, datagram, false);
        Ok(())
    }

    fn receive_datagram<'s>(&mut self, socket: &'s mut Socket) -> nb::Result<&'s [u8], AttemptError> {
        loop {
            let came = self.0.borrow_mut().take(socket.id).ok_or(nb::Error::WouldBlock)?;
            match came {
                Reaction::Says(datagram, Sender::Itself) => {
                    socket.datagram = datagram;
                    return Ok(&socket.datagram);
                }
                // The runtime lets through what comes from the server alone.
                Reaction::Says(..) => {}
                _ => return Err(nb::Error::Other(AttemptErrorKind::Refused.into())),
            }
        }
    }
}

impl TcpClientStack for Net {
    type TcpSocket = Socket;
    type Error = SocketError;

    fn socket(&mut self) -> Result<Socket, SocketError> {
        self.open(None)
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> nb::Result<(), SocketError> {
        socket.server = Some(remote);
        Ok(())
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<usize, SocketError> {
        let piece = &buffer[..buffer.len().min(PIECE)];
        socket.sent.extend(piece);
        let whole =
            |(length, query): &(&[u8; 2], &[u8])| query.len() == usize::from(u16::from_be_bytes(**length));
        if let Some((_, query)) = socket.sent.split_first_chunk::<2>().filter(whole) {
            let server = socket.server.expect("connected");
            self.0.borrow_mut().ask(socket.id, server, query, true);
        }
        Ok(piece.len())
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, SocketError> {
        if socket.received.is_empty() {
            match self.0.borrow_mut().take(socket.id).ok_or(nb::Error::WouldBlock)? {
                Reaction::Says(message, _) => {
                    socket.received.extend((message.len() as u16).to_be_bytes());
                    socket.received.extend(message);
                }
                _ => return Err(nb::Error::Other(SocketError::Code(ErrorCode::ConnectionReset))),
            }
        }
        let count = socket.received.len().min(PIECE).min(buffer.len());
        for (into, octet) in buffer.iter_mut().zip(socket.received.drain(..count)) {
            *into = octet;
        }
        Ok(count)
    }

    fn close(&mut self, _: Socket) -> Result<(), SocketError> {
        Ok(())
    }
}

impl RaceStack for Net {
    fn attempt_error(&self, error: &SocketError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, _: Socket) {}
}

/// A driver of these servers.
fn driver(world: &Rc<RefCell<World>>, settings: DnsConfig) -> Driver<Net> {
    let mut client = Box::new(Client::new(settings, 0x6a09_e667_f3bc_c908));
    let count = world.borrow().servers.count();
    let servers: Vec<_> = (0..count).map(Servers::address).collect();
    client.set_servers(&servers, Instant::ZERO);
    Driver::new(Net(Rc::clone(world)), client)
}

fn names(kinds: &[name_servers::Kind]) -> SearchLookup {
    names_of(NAME, kinds)
}

fn names_of(name: &str, kinds: &[name_servers::Kind]) -> SearchLookup {
    let has = |kind| kinds.contains(&kind);
    let (aaaa, a) = (has(name_servers::Kind::Aaaa), has(name_servers::Kind::A));
    let names = vec![Name::parse(name).expect("a name")];
    RecordLookup::from_names(names.into_iter(), WantedRecords { aaaa, a, https: false })
        .expect("a name to ask for")
}

/// Waits as the poller does: for what comes, and until the driver wants to wake.
fn sleep(world: &Rc<RefCell<World>>, driver: &Driver<Net>) {
    let mut world = world.borrow_mut();
    let next = world.coming.iter().map(|(_, coming)| coming.at).chain(driver.wake_at()).min();
    // The past is what a socket that was closed is not told any more.
    world.now = next.expect("something to wait for").max(world.now);
    let (now, open) = (world.now, driver.udp_sockets().map(|it| it.id).collect::<Vec<_>>());
    let streams: Vec<u32> = driver.streams().iter().map(|it| it.socket.id).collect();
    world.coming.retain(|(of, coming)| coming.at > now || open.contains(of) || streams.contains(of));
}

/// What is found, until all kinds have ended.
fn look_up(world: &Rc<RefCell<World>>, driver: &mut Driver<Net>, lookup: &mut SearchLookup) -> Vec<Found> {
    let (mut seen, mut found) = (None, Vec::new());
    loop {
        let now = world.borrow().now;
        while let Some((kind, result)) = poll(driver, lookup, &mut seen, now) {
            let finding = match result {
                Ok(addresses) if addresses.is_empty() => Finding::Nothing,
                Ok(addresses) => Finding::Addresses(addresses),
                Err(error) => Finding::Error(error),
            };
            let kind =
                if kind == RecordType::Aaaa { name_servers::Kind::Aaaa } else { name_servers::Kind::A };
            found.push(Found { kind, finding, millis: now.as_micros() / 1_000 });
        }
        if lookup.is_done() {
            lookup.close(driver.client_mut());
            driver.ended();
            return found;
        }
        sleep(world, driver);
    }
}

fn settings(row: &Row, transport: DnsTransport) -> DnsConfig {
    let default = DnsConfig::default();
    let of_row = row.settings();
    DnsConfig {
        attempts: of_row.attempts.unwrap_or(default.attempts),
        timeout: of_row.timeout.unwrap_or(default.timeout),
        randomise_case: of_row.case,
        transport,
        ..default
    }
}

#[track_caller]
fn check(row: &Row, transport: DnsTransport) {
    let world = World::new(Servers::of(row, Instant::ZERO));
    let mut driver = driver(&world, settings(row, transport));
    let found = look_up(&world, &mut driver, &mut names(&row.kinds()));
    let text = |found: &[Found]| found.iter().map(|it| format!("{it}")).collect::<Vec<_>>().join("; ");
    assert_eq!(text(&found), text(&row.found()), "{}", row.what);
    assert_eq!(world.borrow().servers.sent(), row.sent().collect::<Vec<_>>(), "{}", row.what);
    assert_eq!(world.borrow().open, 0, "{}: sockets are left open", row.what);
}

#[test]
fn what_servers_do() {
    let rows = rows(&name_servers::Driver { https: false, ..name_servers::Driver::ANY });
    for row in rows {
        match row.settings().transport {
            name_servers::Transport::Either => {
                check(row, DnsTransport::Udp);
                check(row, DnsTransport::UdpAndTcp);
            }
            name_servers::Transport::Udp => check(row, DnsTransport::Udp),
            name_servers::Transport::UdpAndTcp => check(row, DnsTransport::UdpAndTcp),
            name_servers::Transport::Tcp => check(row, DnsTransport::Tcp),
        }
    }
}

fn world(scripts: &[&str]) -> Rc<RefCell<World>> {
    World::new(Servers::new(scripts, Instant::ZERO))
}

/// A runtime that asks somebody for permission binds later.
#[test]
fn a_socket_that_is_bound_later_sends_then() {
    for binding in [1, 2] {
        let world = world(&["ok"]);
        world.borrow_mut().binding = binding;
        let mut driver = driver(&world, DnsConfig::default());
        let mut lookup = names(&[name_servers::Kind::A]);
        let mut seen = None;
        for _ in 0..binding {
            assert!(poll(&mut driver, &mut lookup, &mut seen, Instant::ZERO).is_none());
            assert!(world.borrow().servers.sent().is_empty());
        }
        assert!(poll(&mut driver, &mut lookup, &mut seen, Instant::ZERO).is_none());
        assert_eq!(world.borrow().servers.sent(), ["0@0"]);
        assert_eq!(format!("{}", look_up(&world, &mut driver, &mut lookup)[0]), "A 192.0.2.1 at 20");
    }
}

#[test]
fn a_runtime_that_denies_udp_is_found_out_at_once() {
    let world = world(&["ok", "ok"]);
    world.borrow_mut().denies = Some(ErrorCode::AccessDenied);
    let mut driver = driver(&world, DnsConfig::default());
    let found = look_up(&world, &mut driver, &mut names(&[name_servers::Kind::A]));
    assert_eq!(format!("{}", found[0]), "A !Unreachable at 0");
    assert_eq!(driver.denial(), Some(SocketDenial::UdpDenied));
    // And allows it later.
    world.borrow_mut().denies = None;
    let found = look_up(&world, &mut driver, &mut names(&[name_servers::Kind::A]));
    assert_eq!(format!("{}", found[0]), "A 192.0.2.1 at 20");
    assert_eq!(driver.denial(), None);
}

#[test]
fn a_runtime_that_denies_tcp_is_found_out_at_once() {
    let world = world(&["ok"]);
    world.borrow_mut().denies = Some(ErrorCode::AccessDenied);
    let mut driver =
        driver(&world, DnsConfig { transport: DnsTransport::Tcp, attempts: 1, ..DnsConfig::default() });
    let found = look_up(&world, &mut driver, &mut names(&[name_servers::Kind::A]));
    assert_eq!(format!("{}", found[0]), "A !Unreachable at 0");
    assert_eq!(driver.denial(), Some(SocketDenial::TcpDenied));
}

/// It would be ready all the time where its error is told again and again, and keep the program from sleeping
/// until the other server answers.
#[test]
fn a_socket_that_has_failed_is_closed() {
    let world = world(&["fails", "silent"]);
    let mut driver = driver(&world, DnsConfig::default());
    let (mut lookup, mut seen) = (names(&[name_servers::Kind::A]), None);
    assert!(poll(&mut driver, &mut lookup, &mut seen, Instant::ZERO).is_none());
    sleep(&world, &driver);
    let now = world.borrow().now;
    assert!(poll(&mut driver, &mut lookup, &mut seen, now).is_none());
    assert_eq!(world.borrow().servers.sent(), ["0@0", "1@20"]);
    let open: Vec<u32> = driver.udp_sockets().map(|it| it.id).collect();
    assert_eq!((open, world.borrow().open), (vec![2], 1));
    // And one that does not send, at once or when it is bound.
    for binding in [0, 1] {
        let world = self::world(&["ok", "silent"]);
        (world.borrow_mut().refuses, world.borrow_mut().binding) = (1, binding);
        let mut driver = self::driver(&world, DnsConfig::default());
        let (mut lookup, mut seen) = (names(&[name_servers::Kind::A]), None);
        for _ in 0..=2 * binding {
            assert!(poll(&mut driver, &mut lookup, &mut seen, Instant::ZERO).is_none());
        }
        assert_eq!(world.borrow().servers.sent(), ["1@0"]);
        let open: Vec<u32> = driver.udp_sockets().map(|it| it.id).collect();
        assert_eq!((open, world.borrow().open), (vec![2], 1));
    }
}

/// A name that finds no room is asked for when another lookup is over: the driver has news then.
#[test]
fn a_look_up_without_room_comes_after_another() {
    let world = world(&["silent"]);
    let mut driver = driver(&world, DnsConfig::default());
    let kinds = [name_servers::Kind::A];
    let mut others: Vec<_> =
        (0..super::MAX_NAMES).map(|index| names_of(&format!("n{index}.test"), &kinds)).collect();
    for other in &mut others {
        assert!(poll(&mut driver, other, &mut None, Instant::ZERO).is_none());
    }
    let (mut last, mut seen) = (names(&kinds), None);
    assert!(poll(&mut driver, &mut last, &mut seen, Instant::ZERO).is_none());
    assert_eq!((world.borrow().servers.sent().len(), seen), (super::MAX_NAMES, Some(driver.news())));
    others[3].close(driver.client_mut());
    driver.ended();
    assert_ne!(seen, Some(driver.news()), "it would wait on");
    assert!(poll(&mut driver, &mut last, &mut seen, Instant::ZERO).is_none());
    assert_eq!(world.borrow().servers.sent().len(), super::MAX_NAMES + 1);
}

/// Which passes by itself, and is no server's fault.
#[test]
fn a_datagram_for_which_there_is_no_socket_is_sent_again() {
    let world = world(&["ok"]);
    world.borrow_mut().denies = Some(ErrorCode::NewSocketLimit);
    let mut driver = driver(&world, DnsConfig::default());
    let mut lookup = names(&[name_servers::Kind::A]);
    assert!(poll(&mut driver, &mut lookup, &mut None, Instant::ZERO).is_none());
    world.borrow_mut().denies = None;
    let found = look_up(&world, &mut driver, &mut lookup);
    assert_eq!(format!("{}", found[0]), "A 192.0.2.1 at 1020");
    assert_eq!(driver.denial(), None);
}

/// The driver tells the second lookup that there are news, though the first has read them.
#[test]
fn lookups_share_a_question_and_hear_of_its_end() {
    let world = world(&["ok"]);
    let mut driver = driver(&world, DnsConfig::default());
    let (mut first, mut second) = (names(&[name_servers::Kind::A]), names(&[name_servers::Kind::A]));
    let mut seen = None;
    assert!(poll(&mut driver, &mut second, &mut seen, Instant::ZERO).is_none());
    assert_eq!(seen, Some(driver.news()));
    assert_eq!(look_up(&world, &mut driver, &mut first).len(), 1);
    assert_ne!(seen, Some(driver.news()), "it would wait on");
    let now = world.borrow().now;
    assert!(poll(&mut driver, &mut second, &mut seen, now).is_some());
    assert_eq!(world.borrow().servers.sent(), ["0@0"]);
}

/// Given up in the middle, of UDP and of TCP.
#[test]
fn a_look_up_that_is_given_up_leaves_no_socket() {
    for (script, most) in [("silent", 2), ("udp tc; silent", 3)] {
        let world = world(&[script, "silent"]);
        let settings = DnsConfig { transport: DnsTransport::UdpAndTcp, ..DnsConfig::default() };
        let mut driver = driver(&world, settings);
        let mut lookup = names(&[name_servers::Kind::A]);
        let mut seen = None;
        for _ in 0..4 {
            let now = world.borrow().now;
            assert!(poll(&mut driver, &mut lookup, &mut seen, now).is_none());
            sleep(&world, &driver);
        }
        assert_eq!((world.borrow().open, world.borrow().most_open), (most, most), "{script}");
        lookup.close(driver.client_mut());
        driver.ended();
        assert_eq!(world.borrow().open, 0, "{script}");
    }
}
