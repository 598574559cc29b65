//! What happens to a network while a board is on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_smoltcp::Platform as _;
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::wire::{IpCidr, Ipv4Cidr, Ipv6Cidr};

use super::{ALL_NODES, Goal, Link, Net, ROUTER_V4, ROUTER_V6, Rewrite, Wire, World};
use crate::link::dhcp::DhcpServer;
use crate::link::host::{Answers, Host};
use crate::link::{edits, frames};

impl World {
    /// Has something happen so many milliseconds from now, once the client idles past that.
    pub fn after(&self, milliseconds: u64, event: impl FnOnce(&World) + 'static) {
        let at = self.now() + crate::link::ms(milliseconds);
        self.events.borrow_mut().push((at, Box::new(event)));
    }

    /// Lets what is due happen.
    pub(super) fn happen(&self) {
        loop {
            let due = {
                let mut events = self.events.borrow_mut();
                let place = events.iter().position(|(at, _)| *at <= self.now());
                place.map(|place| events.remove(place))
            };
            let Some((_, event)) = due else { return };
            event(self);
        }
    }

    /// Pulls the client's cable out, or puts it in again. What is under way to it is lost.
    pub fn unplug(&self, is_out: bool) {
        self.net.borrow_mut().unplugged = is_out;
    }

    /// Puts another router in the place of each family's: the same IP address, another hardware address, and
    /// none that was told of it.
    pub fn replace_routers(&self, mac: [u8; 6]) {
        let mut net = self.net.borrow_mut();
        net.router_mac = mac;
        let addresses =
            [IpCidr::Ipv4(Ipv4Cidr::new(ROUTER_V4, 24)), IpCidr::Ipv6(Ipv6Cidr::new(ROUTER_V6, 64))];
        net.routers = addresses.map(|address| {
            Some(Host::new(&[address], mac, Medium::Ethernet, Answers::Nothing, String::new(), 1))
        });
    }

    /// Has every packet of a host behind the router go through this on its way.
    pub fn rewrite(&self, address: SocketAddr, rewrite: Rewrite) {
        let mut net = self.net.borrow_mut();
        let node = net.nodes.iter_mut().find(|node| node.address == address.ip()).expect("a host");
        node.rewrite = Some(rewrite);
    }

    /// Has a host behind the router answer a SYN in a connection that it has with a challenge ACK (RFC 5961
    /// section 4.2), as Linux does. smoltcp says nothing.
    pub fn challenge_old_connections(&self, address: SocketAddr) {
        let mut net = self.net.borrow_mut();
        let node = net.nodes.iter_mut().find(|node| node.address == address.ip()).expect("a host");
        node.challenges = Some(std::collections::BTreeMap::new());
    }

    /// Gives the network a DHCP server, or another.
    pub fn serve_dhcp(&self, server: DhcpServer) {
        self.net.borrow_mut().dhcp = Some(server);
    }

    /// From now on the DHCP server gives this address, and the present one no longer.
    pub fn change_lease(&self, address: Ipv4Addr) {
        self.net.borrow_mut().dhcp.as_mut().expect("a server").address = address;
    }

    /// The DHCP server as it is now.
    pub fn dhcp(&self) -> DhcpServer {
        self.net.borrow().dhcp.clone().expect("a server")
    }

    /// The IPv6 router advertises itself and the prefix fd00::/64, each for so many seconds.
    pub fn send_advertisement(&self, router: u64, prefix: u64) {
        let advertisement = frames::router_advertisement_for(ROUTER_V6, router, prefix);
        let mut net = self.net.borrow_mut();
        let frame = frames::framed(&advertisement, net.router_mac, ALL_NODES);
        net.put(Goal::Client, frame, self.now());
    }

    /// A router of IPv6 advertises itself and a prefix, each for so many seconds.
    pub fn send_advertisement_of(&self, router: Ipv6Addr, prefix: Ipv6Addr, seconds: (u64, u64)) {
        let advertisement = frames::router_advertisement_of(router, prefix, seconds.0, seconds.1);
        let mut net = self.net.borrow_mut();
        let frame = frames::framed(&advertisement, net.router_mac, ALL_NODES);
        net.put(Goal::Client, frame, self.now());
    }

    /// Puts a router with another IPv6 address in the place of the old one.
    pub fn move_router_v6(&self, address: Ipv6Addr) {
        let mut net = self.net.borrow_mut();
        let address = IpCidr::Ipv6(Ipv6Cidr::new(address, 64));
        let mac = net.router_mac;
        let router = Host::new(&[address], mac, Medium::Ethernet, Answers::Nothing, String::new(), 1);
        net.routers[1] = Some(router);
    }

    /// Lets the host at `address` open a connection to `client` from port 80.
    pub fn open_at_once(&self, address: SocketAddr, client: SocketAddr) {
        let now = self.now();
        let mut net = self.net.borrow_mut();
        let node = net.nodes.iter_mut().find(|node| node.address == address.ip()).expect("a host");
        node.host.as_mut().expect("a host").open_at_once(client);
        node.next_step = Some(now);
    }

    /// Everything is as it was at the beginning: the cable is in, the links are perfect, and nothing more is
    /// to happen. What is under way stays so.
    pub fn calm_down(&self) {
        self.events.borrow_mut().clear();
        let mut net = self.net.borrow_mut();
        (net.unplugged, net.busy) = (false, 0);
        for node in &mut net.nodes {
            node.link = Link { delay: node.link.delay, ..Link::perfect(Duration::ZERO) };
        }
    }

    /// Lets the host at an address forget all its connections, where there is one.
    pub fn crash_if_there(&self, address: SocketAddr) {
        let mut net = self.net.borrow_mut();
        let nodes = net.nodes.iter_mut().filter(|node| node.address == address.ip());
        nodes.filter_map(|node| node.host.as_mut()).for_each(Host::crash);
    }

    /// Lets all hosts do so.
    pub fn crash_all(&self) {
        self.net.borrow_mut().nodes.iter_mut().filter_map(|node| node.host.as_mut()).for_each(Host::crash);
    }

    /// Hands the client an IP packet that no host has sent.
    pub fn deliver_ip(&self, packet: &[u8]) {
        let mut net = self.net.borrow_mut();
        let frame = frames::framed(packet, net.router_mac, super::CLIENT_MAC);
        let now = self.now();
        net.put(Goal::Client, frame, now);
    }

    /// How many requests all hosts together have answered.
    pub fn served_by_all(&self) -> usize {
        self.net.borrow().nodes.iter().filter_map(|node| node.host.as_ref()).map(Host::served).sum()
    }

    /// Forgets what has passed the card, so that a long run does not grow.
    pub fn forget_wire(&self) {
        self.net.borrow_mut().wire = Wire::default();
    }

    /// All addresses of the network.
    pub fn addresses(&self) -> Vec<IpAddr> {
        self.net.borrow().nodes.iter().map(|node| node.address).collect()
    }
}

impl Net {
    /// What a host says to a SYN in a connection that it has.
    pub(super) fn challenge(&self, index: usize, packet: &[u8]) -> Option<Vec<u8>> {
        let (node, segment) = (&self.nodes[index], frames::segment(packet)?);
        let last = node.challenges.as_ref()?.get(&segment.source.port())?;
        let has_it = node.host.as_ref()?.connections().iter().any(|it| it.1 == Some(segment.source.port()));
        (segment.syn && !segment.ack && has_it)
            .then(|| edits::acknowledgement(last.source, last.destination, last.next, last.acknowledged))
    }
}
