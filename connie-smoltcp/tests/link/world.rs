//! The network: its clock, its links, and the client's network card.

mod card;
mod events;

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use connie_core::Instant;
use connie_sim::Rng;
use connie_smoltcp::Platform;
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::socket::tcp;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::dhcp::DhcpServer;
use super::frames;
use super::host::{Answers, Host, Names};
use super::wire::Wire;
pub use card::Card;

pub const CLIENT_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0xc1];
pub const ROUTER_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 254);
pub const ROUTER_V6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfe);
const ROUTER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];
/// RFC 2464 section 7, of ff02::1.
const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];
/// What a DHCP server takes to answer.
const DHCP_DELAY: Duration = Duration::from_millis(5);

pub const fn client_v4() -> Ipv4Addr {
    Ipv4Addr::new(10, 0, 0, 100)
}

pub const fn client_v6() -> Ipv6Addr {
    Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x100)
}

/// What lies at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host.
    Host(Answers),
    /// Nobody.
    Nobody,
    /// Nobody, and the router says so after a round trip. Behind the router only.
    Unreachable,
}

/// How frames fare on the way, in each direction.
#[derive(Clone, Copy, Debug)]
pub struct Link {
    /// Half a round trip.
    pub delay: Duration,
    /// What comes on top, at most. Frames overtake each other by it.
    pub jitter: Duration,
    /// Frames lost, in percent.
    pub loss: u8,
    /// Frames that arrive twice, in percent.
    pub doubled: u8,
}

impl Link {
    /// A perfect link with this round trip.
    pub const fn perfect(round_trip: Duration) -> Link {
        let delay = Duration::from_micros(round_trip.as_micros() as u64 / 2);
        Link { delay, jitter: Duration::ZERO, loss: 0, doubled: 0 }
    }
}

/// What becomes of a packet of a host on its way to the client: any number of packets.
pub type Rewrite = fn(&[u8]) -> Vec<Vec<u8>>;

struct Node {
    address: IpAddr,
    rewrite: Option<Rewrite>,
    /// The last segment of each connection that the host has sent, by the client's port; `None` where it is
    /// not to answer a SYN in a connection with a challenge ACK.
    challenges: Option<BTreeMap<u16, frames::Segment>>,
    place: Place,
    link: Link,
    host: Option<Host>,
    next_step: Option<Instant>,
    is_on_link: bool,
}

/// Where a frame arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Goal {
    Client,
    Node(usize),
    Router,
}

/// A frame under way: when it is due, its number, where it goes, and what it is.
type UnderWay = (Instant, u64, Goal, Vec<u8>);

struct Net {
    medium: Medium,
    nodes: Vec<Node>,
    routers: [Option<Host>; 2],
    router_mac: [u8; 6],
    dhcp: Option<DhcpServer>,
    /// Whether the client's cable is pulled out: no frame passes in either direction.
    unplugged: bool,
    /// By time, then in the order of sending.
    under_way: BinaryHeap<Reverse<UnderWay>>,
    sent: u64,
    inbox: VecDeque<Vec<u8>>,
    wire: Wire,
    rng: Rng,
    /// Whether the IPv6 router answers solicitations.
    advertises: bool,
    /// How often the card has no room for a frame, in percent.
    busy: u8,
}

/// The network with its clock, which passes only while the client idles. Clones are the same one.
#[derive(Clone)]
pub struct World {
    net: Rc<RefCell<Net>>,
    now: Rc<Cell<Instant>>,
    events: Rc<RefCell<Vec<Event>>>,
}

/// Something that happens at a moment.
type Event = (Instant, Box<dyn FnOnce(&World)>);

impl World {
    /// A network without hosts, but with a router for each family where the medium is Ethernet.
    pub fn new(medium: Medium, seed: u64) -> World {
        let router = |address: IpCidr| {
            Host::new(&[address], ROUTER_MAC, Medium::Ethernet, Answers::Nothing, String::new(), seed)
        };
        let routers =
            [IpCidr::Ipv4(Ipv4Cidr::new(ROUTER_V4, 24)), IpCidr::Ipv6(Ipv6Cidr::new(ROUTER_V6, 64))];
        let net = Net {
            medium,
            nodes: Vec::new(),
            routers: routers.map(|address| Some(router(address))),
            router_mac: ROUTER_MAC,
            dhcp: None,
            unplugged: false,
            under_way: BinaryHeap::new(),
            sent: 0,
            inbox: VecDeque::new(),
            wire: Wire::default(),
            rng: Rng::new(seed),
            advertises: false,
            busy: 0,
        };
        World { net: Rc::new(RefCell::new(net)), now: Rc::default(), events: Rc::default() }
    }

    /// A perfect network.
    pub fn ethernet() -> World {
        World::new(Medium::Ethernet, 1)
    }

    /// Puts something at the next IPv4 address on the link, or behind the router, and says at which.
    pub fn add_v4(&self, on_link: bool, place: Place, link: Link) -> SocketAddr {
        let number = u8::try_from(self.net.borrow().nodes.len() + 1).expect("fewer than 100 hosts");
        let address = if on_link { [10, 0, 0, number] } else { [192, 0, 2, number] };
        self.add(address.into(), on_link, place, link)
    }

    /// The same for IPv6.
    pub fn add_v6(&self, on_link: bool, place: Place, link: Link) -> SocketAddr {
        let number = u16::try_from(self.net.borrow().nodes.len() + 1).expect("few hosts");
        let network = if on_link { 0xfd00 } else { 0x2001 };
        self.add(Ipv6Addr::new(network, 0, 0, 0, 0, 0, 0, number).into(), on_link, place, link)
    }

    fn add(&self, address: IpAddr, on_link: bool, place: Place, link: Link) -> SocketAddr {
        let mut net = self.net.borrow_mut();
        let index = net.nodes.len();
        let host = if let Place::Host(answers) = place {
            // Behind the router there are no other neighbours.
            let medium = if on_link { net.medium } else { Medium::Ip };
            let network = match address {
                IpAddr::V4(address) => IpCidr::Ipv4(Ipv4Cidr::new(address, if on_link { 24 } else { 0 })),
                IpAddr::V6(address) => IpCidr::Ipv6(Ipv6Cidr::new(address, if on_link { 64 } else { 0 })),
            };
            let mac = mac(index);
            Some(Host::new(&[network], mac, medium, answers, format!("host {address}"), 1000 + index as u64))
        } else {
            None
        };
        net.nodes.push(Node {
            address,
            rewrite: None,
            challenges: None,
            place,
            link,
            host,
            next_step: None,
            is_on_link: on_link,
        });
        SocketAddr::new(address, 80)
    }

    /// Makes the host at `address` a DNS server too.
    pub fn serve_names(&self, address: IpAddr, names: Names) {
        let mut net = self.net.borrow_mut();
        let node = net.nodes.iter_mut().find(|node| node.address == address).expect("a host");
        node.host.as_mut().expect("a host").serve_names(names);
    }

    /// Lets the IPv6 router advertise itself and the prefix fd00::/64 to those who ask.
    pub fn advertise(&self) {
        self.net.borrow_mut().advertises = true;
    }

    /// Takes the router of one family away.
    pub fn kill_router(&self, is_v6: bool) {
        self.net.borrow_mut().routers[usize::from(is_v6)] = None;
    }

    /// Lets the client's card refuse so many of a hundred frames for the moment.
    pub fn set_busy(&self, percent: u8) {
        self.net.borrow_mut().busy = percent;
    }

    /// Gives a host another link.
    pub fn set_link(&self, address: SocketAddr, link: Link) {
        let mut net = self.net.borrow_mut();
        net.nodes.iter_mut().find(|node| node.address == address.ip()).expect("a host").link = link;
    }

    /// From now on no frame is lost, and the card takes every one.
    pub fn mend(&self) {
        let mut net = self.net.borrow_mut();
        net.busy = 0;
        net.nodes.iter_mut().for_each(|node| node.link.loss = 0);
    }

    /// The client's network card.
    pub fn card(&self) -> Card {
        Card { world: self.clone() }
    }

    /// What has passed it.
    pub fn wire(&self) -> Wire {
        self.net.borrow().wire.clone()
    }

    /// The TCP connections that the host at an address has.
    pub fn connections(&self, address: SocketAddr) -> Vec<(tcp::State, Option<u16>)> {
        let net = self.net.borrow();
        let node = net.nodes.iter().find(|node| node.address == address.ip());
        node.and_then(|node| node.host.as_ref()).map(Host::connections).unwrap_or_default()
    }

    /// How many requests the host at an address has answered.
    pub fn served(&self, address: SocketAddr) -> usize {
        let net = self.net.borrow();
        let node = net.nodes.iter().find(|node| node.address == address.ip());
        node.and_then(|node| node.host.as_ref()).map_or(0, Host::served)
    }

    /// Lets the host at an address forget all its connections.
    pub fn crash(&self, address: SocketAddr) {
        let mut net = self.net.borrow_mut();
        let node = net.nodes.iter_mut().find(|node| node.address == address.ip());
        node.and_then(|node| node.host.as_mut()).expect("a host").crash();
    }

    /// Hands the client a frame that no host has sent.
    pub fn deliver(&self, frame: Vec<u8>) {
        self.net.borrow_mut().inbox.push_back(frame);
    }

    /// Lets time pass until `until`, or until the client has received something.
    fn advance(&self, until: Option<Instant>) {
        loop {
            let event = self.events.borrow().iter().map(|(at, _)| *at).min();
            let next = self.net.borrow().next().into_iter().chain(event).chain(until).min();
            let next = next.expect("something still happens: nothing would ever wake the client");
            self.now.set(self.now.get().max(next));
            let now = self.now.get();
            self.happen();
            let mut net = self.net.borrow_mut();
            while net.under_way.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                if let Some(Reverse((_, _, goal, frame))) = net.under_way.pop() {
                    net.arrive(goal, frame, now);
                }
            }
            net.step_hosts(now);
            if !net.inbox.is_empty() || until.is_some_and(|until| until <= now) {
                return;
            }
        }
    }
}

fn mac(index: usize) -> [u8; 6] {
    [0x02, 0, 0, 0, 1, u8::try_from(index).expect("few hosts")]
}

impl Net {
    /// When something happens here by itself.
    fn next(&self) -> Option<Instant> {
        let hosts = self.nodes.iter().filter_map(|node| node.next_step);
        let frames = self.under_way.peek().map(|Reverse((due, ..))| *due);
        hosts.chain(frames).min()
    }

    fn arrive(&mut self, goal: Goal, frame: Vec<u8>, now: Instant) {
        match goal {
            Goal::Client if self.unplugged => {}
            Goal::Client => {
                self.wire.received(&frame, self.medium, now);
                self.inbox.push_back(frame);
            }
            Goal::Node(index) => {
                if let Some(host) = &mut self.nodes[index].host {
                    host.cable.inbox.push_back(frame);
                    self.nodes[index].next_step = Some(now);
                }
            }
            Goal::Router => {
                for index in 0..self.routers.len() {
                    let Some(router) = &mut self.routers[index] else { continue };
                    router.cable.inbox.push_back(frame.clone());
                    let _ = router.step(now);
                    for answer in std::mem::take(&mut router.cable.outbox) {
                        let answer = frames::as_a_router_says(answer);
                        self.put(Goal::Client, answer, now);
                    }
                }
            }
        }
    }

    fn step_hosts(&mut self, now: Instant) {
        for index in 0..self.nodes.len() {
            if self.nodes[index].next_step.is_none_or(|at| at > now) {
                continue;
            }
            let node = &mut self.nodes[index];
            let Some(host) = &mut node.host else { continue };
            node.next_step = host.step(now);
            let (is_on_link, medium) = (node.is_on_link, self.medium);
            let rewrite = node.rewrite.filter(|_| !is_on_link || medium == Medium::Ip);
            let sent = std::mem::take(&mut host.cable.outbox);
            if let Some(last) = &mut node.challenges {
                last.extend(
                    sent.iter()
                        .filter_map(|packet| frames::segment(packet))
                        .map(|it| (it.destination.port(), it)),
                );
            }
            for frame in
                sent.into_iter().flat_map(|frame| rewrite.map_or(vec![frame.clone()], |it| it(&frame)))
            {
                let frame = match (is_on_link, medium) {
                    (false, Medium::Ethernet) => frames::framed(&frame, self.router_mac, CLIENT_MAC),
                    _ => frame,
                };
                if is_on_link && medium == Medium::Ethernet && !for_client(&frame) {
                    continue;
                }
                self.send(index, Goal::Client, frame, now);
            }
        }
    }

    /// The client sends.
    fn client_sends(&mut self, frame: Vec<u8>, now: Instant) {
        self.wire.sent(&frame, self.medium, now);
        if self.unplugged {
            return;
        }
        if let Some(answer) = self.dhcp.as_mut().and_then(|server| server.answer(&frame)) {
            let answer = frames::framed(&answer, self.router_mac, CLIENT_MAC);
            return self.put(Goal::Client, answer, now + DHCP_DELAY);
        }
        if self.medium == Medium::Ip {
            return self.route(&frame, now);
        }
        let station = frames::station(&frame);
        if station == self.router_mac {
            let Some(packet) = frames::ip(&frame, self.medium).map(<[u8]>::to_vec) else { return };
            let family = usize::from(packet[0] >> 4 == 6);
            if self.routers[family].is_some() {
                self.route(&packet, now);
            }
            return;
        }
        if self.advertises && frames::is_router_solicitation(&frame) {
            let advertisement = frames::router_advertisement(ROUTER_V6);
            self.put(Goal::Client, frames::framed(&advertisement, self.router_mac, ALL_NODES), now);
        }
        if station[0] & 1 == 1 {
            self.put(Goal::Router, frame.clone(), now);
        }
        for index in 0..self.nodes.len() {
            if self.nodes[index].is_on_link && (station[0] & 1 == 1 || station == mac(index)) {
                self.send(index, Goal::Node(index), frame.clone(), now);
            }
        }
    }

    /// The router, or the far end of a point-to-point link, passes a packet on.
    fn route(&mut self, packet: &[u8], now: Instant) {
        let (_, to) = frames::addresses(packet);
        let Some(index) = self.nodes.iter().position(|node| node.address == to) else { return };
        if let Some(challenge) = self.challenge(index, packet) {
            return self.send(
                index,
                Goal::Client,
                frames::framed(&challenge, self.router_mac, CLIENT_MAC),
                now,
            );
        }
        match self.nodes[index].place {
            Place::Host(_) => self.send(index, Goal::Node(index), packet.to_vec(), now),
            Place::Nobody => {}
            Place::Unreachable => {
                let router = if to.is_ipv4() { ROUTER_V4.into() } else { ROUTER_V6.into() };
                let error = frames::unreachable(packet, router);
                let error = match self.medium {
                    Medium::Ethernet => frames::framed(&error, self.router_mac, CLIENT_MAC),
                    Medium::Ip => error,
                };
                let back = self.nodes[index].link.delay;
                self.send(index, Goal::Client, error, now + back);
            }
        }
    }

    /// Puts a frame on a node's link, where it may be lost, doubled or late.
    fn send(&mut self, index: usize, goal: Goal, frame: Vec<u8>, now: Instant) {
        let link = self.nodes[index].link;
        let copies = if self.rng.chance(link.doubled) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.chance(link.loss) {
                continue;
            }
            let jitter = self.rng.below(link.jitter.as_micros() as u64 + 1);
            self.put(goal, frame.clone(), now + link.delay + Duration::from_micros(jitter));
        }
    }

    fn put(&mut self, goal: Goal, frame: Vec<u8>, due: Instant) {
        self.sent += 1;
        self.under_way.push(Reverse((due, self.sent, goal, frame)));
    }
}

/// Whether a frame of a host is for the client: hosts do not talk to each other.
fn for_client(frame: &[u8]) -> bool {
    let station = frames::station(frame);
    station == CLIENT_MAC || station[0] & 1 == 1
}

impl Platform for World {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn idle_until(&self, until: Option<Instant>) {
        self.advance(until);
    }
}
