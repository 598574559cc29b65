//! A host of the virtual network: smoltcp, and a small program on it.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use connie_core::Instant;
use connie_smoltcp::smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use connie_smoltcp::smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use connie_smoltcp::smoltcp::socket::{tcp, udp};
use connie_smoltcp::smoltcp::wire::{EthernetAddress, HardwareAddress, IpCidr};

/// How many connections a host takes at once.
const LISTENERS: usize = 4;

/// What a host does with those who call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answers {
    /// Serves HTTP at port 80: each answer says which host it is from.
    Http,
    /// The same, but closes its side at once, before it is asked.
    HttpAndHurry,
    /// Serves HTTP, but has room for 16 octets and reads none for the first five seconds of a connection: its
    /// window is zero until then.
    HttpSlow,
    /// Has the room of [`HttpSlow`](Answers::HttpSlow), and never reads.
    Deaf,
    /// Has no server: its stack refuses.
    Nothing,
}

/// A DNS server's answer: what it has for a question, and nothing at all for `None`.
pub type Names = fn(name: &str, is_v6: bool) -> Option<Vec<IpAddr>>;

/// The host's network card: what was sent to it, and what it has sent.
#[derive(Debug)]
pub struct Cable {
    medium: Medium,
    pub inbox: VecDeque<Vec<u8>>,
    pub outbox: Vec<Vec<u8>>,
}

/// A socket of the host's program.
struct Listener {
    handle: SocketHandle,
    /// Since when it has a connection.
    since: Option<Instant>,
    /// The end of what was received.
    tail: Vec<u8>,
}

/// How long a host that is slow reads nothing.
const SLOW: Duration = Duration::from_secs(5);

pub struct Host {
    pub cable: Cable,
    interface: Interface,
    sockets: SocketSet<'static>,
    listeners: Vec<Listener>,
    served: usize,
    answers: Answers,
    dns: Option<(SocketHandle, Names)>,
    page: String,
}

impl Host {
    pub fn new(
        addresses: &[IpCidr],
        mac: [u8; 6],
        medium: Medium,
        answers: Answers,
        page: String,
        seed: u64,
    ) -> Self {
        let mut cable = Cable { medium, inbox: VecDeque::new(), outbox: Vec::new() };
        let hardware = match medium {
            Medium::Ethernet => HardwareAddress::Ethernet(EthernetAddress(mac)),
            Medium::Ip => HardwareAddress::Ip,
        };
        let mut config = Config::new(hardware);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut cable, time(Instant::ZERO));
        interface.update_ip_addrs(|own| own.extend_from_slice(addresses).expect("few addresses"));
        let mut host = Host {
            cable,
            interface,
            sockets: SocketSet::new(Vec::new()),
            listeners: Vec::new(),
            served: 0,
            answers,
            dns: None,
            page,
        };
        host.listen();
        host
    }

    fn listen(&mut self) {
        if self.answers == Answers::Nothing {
            return;
        }
        let room = if matches!(self.answers, Answers::HttpSlow | Answers::Deaf) { 16 } else { 2048 };
        for _ in 0..LISTENERS {
            let [rx, tx] = [room, 2048].map(|room| tcp::SocketBuffer::new(vec![0; room]));
            let mut socket = tcp::Socket::new(rx, tx);
            socket.listen(80).expect("a port");
            self.listeners.push(Listener { handle: self.sockets.add(socket), since: None, tail: Vec::new() });
        }
    }

    /// Forgets all connections without a word.
    pub fn crash(&mut self) {
        for listener in std::mem::take(&mut self.listeners) {
            self.sockets.remove(listener.handle);
        }
        self.listen();
    }

    /// How many requests were answered.
    pub fn served(&self) -> usize {
        self.served
    }

    /// Answers questions for names at port 53.
    pub fn serve_names(&mut self, names: Names) {
        let buffers =
            [(); 2].map(|()| udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; 8], vec![0; 2048]));
        let [rx, tx] = buffers;
        let mut socket = udp::Socket::new(rx, tx);
        socket.bind(53).expect("a port");
        self.dns = Some((self.sockets.add(socket), names));
    }

    /// Everything that leads out of the host's own network goes to this router.
    pub fn set_router(&mut self, router: IpAddr) {
        match router {
            IpAddr::V4(router) => _ = self.interface.routes_mut().add_default_ipv4_route(router),
            IpAddr::V6(router) => _ = self.interface.routes_mut().add_default_ipv6_route(router),
        }
    }

    /// Lets the host do all it has to do now; says when it wants to be asked again.
    pub fn step(&mut self, now: Instant) -> Option<Instant> {
        // What the program does makes the stack do more.
        for _ in 0..3 {
            self.interface.poll(time(now), &mut self.cable, &mut self.sockets);
            self.serve(now);
        }
        self.interface.poll(time(now), &mut self.cable, &mut self.sockets);
        let next = self.interface.poll_at(time(now), &self.sockets);
        let next = next.map(|next| Instant::from_micros(u64::try_from(next.total_micros()).unwrap_or(0)));
        let reads = self.listeners.iter().filter_map(|it| it.since).map(|since| since + SLOW);
        let next = reads.filter(|at| *at > now).chain(next).min()?;
        Some(next.max(now + super::ms(1)))
    }

    /// How many connections the host has that were opened and not closed again by both sides.
    pub fn connections(&self) -> Vec<(tcp::State, Option<u16>)> {
        let listeners = self.listeners.iter().map(|it| self.sockets.get::<tcp::Socket<'_>>(it.handle));
        listeners
            .filter(|socket| !matches!(socket.state(), tcp::State::Listen | tcp::State::Closed))
            .map(|socket| (socket.state(), socket.remote_endpoint().map(|remote| remote.port)))
            .collect()
    }

    /// Opens a connection to the client from port 80 while the client opens one: RFC 9293 section 3.5 has the
    /// two become one.
    pub fn open_at_once(&mut self, client: SocketAddr) {
        let socket = self.sockets.get_mut::<tcp::Socket<'_>>(self.listeners[0].handle);
        socket.abort();
        socket.connect(self.interface.context(), client, 80).expect("a free socket");
    }

    fn serve(&mut self, now: Instant) {
        for listener in &mut self.listeners {
            let socket = self.sockets.get_mut::<tcp::Socket<'_>>(listener.handle);
            if !socket.is_open() {
                // A socket that still owes a reset listens at the next step.
                let _ = socket.listen(80);
                (listener.since, listener.tail) = (None, Vec::new());
                continue;
            }
            if socket.is_active() && listener.since.is_none() {
                listener.since = Some(now);
            }
            let waits = listener.since.is_some_and(|since| now < since + SLOW);
            if self.answers == Answers::Deaf || self.answers == Answers::HttpSlow && waits {
                continue;
            }
            let tail = &mut listener.tail;
            let _ = socket.recv(|data| (data.len(), tail.extend_from_slice(data)));
            tail.drain(..tail.len().saturating_sub(4));
            if tail.ends_with(b"\r\n\r\n") {
                tail.clear();
                self.served += 1;
                let page = &self.page;
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{page}", page.len());
                let _ = socket.send_slice(answer.as_bytes());
                socket.close();
            }
            let hurry = self.answers == Answers::HttpAndHurry && socket.state() == tcp::State::Established;
            if socket.state() == tcp::State::CloseWait || hurry {
                socket.close();
            }
        }
        if let Some((handle, names)) = self.dns {
            let socket = self.sockets.get_mut::<udp::Socket<'_>>(handle);
            while let Ok((question, from)) = socket.recv() {
                if let Some(answer) = answer_question(question, names) {
                    let _ = socket.send_slice(&answer, from.endpoint);
                }
            }
        }
    }
}

/// A DNS message (RFC 1035 section 4.1) that answers one question.
fn answer_question(question: &[u8], names: Names) -> Option<Vec<u8>> {
    let mut name = String::new();
    let mut at = 12;
    while question[at] != 0 {
        let length = usize::from(question[at]);
        name.push_str(std::str::from_utf8(&question[at + 1..=at + length]).expect("a name"));
        name.push('.');
        at += 1 + length;
    }
    let is_v6 = question[at + 1..at + 3] == [0, 28];
    let addresses = names(&name, is_v6)?;
    let mut answer = question[..at + 5].to_vec();
    // It is an answer, recursion was desired and is available; no error, or no such name, where it has
    // addresses of neither family.
    let has_none = |addresses: Option<Vec<IpAddr>>| addresses.is_some_and(|addresses| addresses.is_empty());
    let is_unknown = addresses.is_empty() && has_none(names(&name, !is_v6));
    answer[2..4].copy_from_slice(if is_unknown { &[0x81, 0x83] } else { &[0x81, 0x80] });
    answer[6..8].copy_from_slice(&u16::try_from(addresses.len()).expect("few").to_be_bytes());
    for address in addresses {
        // The name is the question's; class IN, a minute to live.
        answer.extend([0xc0, 12, 0, if address.is_ipv4() { 1 } else { 28 }, 0, 1, 0, 0, 0, 60]);
        match address {
            IpAddr::V4(address) => answer.extend([&[0, 4][..], &address.octets()].concat()),
            IpAddr::V6(address) => answer.extend([&[0, 16][..], &address.octets()].concat()),
        }
    }
    Some(answer)
}

fn time(now: Instant) -> connie_smoltcp::smoltcp::time::Instant {
    connie_smoltcp::smoltcp::time::Instant::from_micros(i64::try_from(now.as_micros()).expect("a time"))
}

impl Device for Cable {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sender<'a>;

    fn receive(&mut self, _: connie_smoltcp::smoltcp::time::Instant) -> Option<(Received, Sender<'_>)> {
        let frame = self.inbox.pop_front()?;
        Some((Received(frame), Sender(&mut self.outbox)))
    }

    fn transmit(&mut self, _: connie_smoltcp::smoltcp::time::Instant) -> Option<Sender<'_>> {
        Some(Sender(&mut self.outbox))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = self.medium;
        capabilities.max_transmission_unit = 1514;
        capabilities
    }
}

pub struct Received(pub Vec<u8>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        f(&self.0)
    }
}

pub struct Sender<'a>(&'a mut Vec<Vec<u8>>);

impl TxToken for Sender<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let mut frame = vec![0; length];
        let result = f(&mut frame);
        self.0.push(frame);
        result
    }
}
