//! The name servers, and in which order they are asked.
//!
//! They are asked in the order in which they were given. One that was silent while another answered, or that
//! could not be reached, comes behind the others for [`PASSED_OVER`]: after that it has its place again, so
//! that a server that is back, or that knows names which the others do not know, is ignored for no longer
//! than that.

use core::net::SocketAddr;
use core::time::Duration;

use connie_core::Instant;
use heapless::Vec;

/// How long a server that did not answer comes behind the others.
pub(crate) const PASSED_OVER: Duration = Duration::from_secs(30);
/// How long a server that answers only without EDNS is asked without from the start.
pub(crate) const WITHOUT_EDNS: Duration = Duration::from_secs(600);

/// At most `S` servers.
#[derive(Clone, Debug)]
pub(crate) struct Servers<const S: usize>(Vec<Server, S>);

/// What a client has [learnt](crate::DnsClient::standing) about its servers: which were silent, and which do
/// not know EDNS. For several clients that ask the same servers.
#[derive(Clone, Debug)]
pub struct ServerStanding<const SERVERS: usize>(pub(crate) Servers<SERVERS>);

impl<const SERVERS: usize> ServerStanding<SERVERS> {
    /// Takes over what one of the clients has learnt between two of its standings.
    pub fn learn(&mut self, before: &Self, after: &Self) {
        let learnt = before.0.0.iter().zip(&after.0.0);
        for (own, (before, after)) in self.0.0.iter_mut().zip(learnt) {
            if own.address == after.address && before != after {
                *own = *after;
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Server {
    address: SocketAddr,
    /// Until when it comes behind the others.
    passed_over: Instant,
    without_edns: Instant,
}

impl Server {
    /// Whether it comes behind the others.
    pub(crate) fn comes_last(&self, now: Instant) -> bool {
        now < self.passed_over
    }

    pub(crate) fn wants_edns(&self, now: Instant) -> bool {
        self.without_edns <= now
    }
}

impl<const S: usize> Servers<S> {
    pub(crate) const fn new() -> Self {
        Servers(Vec::new())
    }

    /// Takes the first `S` of them, each once. Whether they are others than before.
    pub(crate) fn set(&mut self, addresses: &[SocketAddr]) -> bool {
        let (mut is_new, mut count) = (false, 0);
        for address in addresses {
            match self.find(address) {
                Some(known) if known < count => continue,
                Some(known) if known == count => {}
                _ if count == S => continue,
                _ => {
                    is_new = true;
                    self.0.truncate(count);
                    let at = Instant::ZERO;
                    // There is room for `S`.
                    let _ = self.0.push(Server { address: *address, passed_over: at, without_edns: at });
                }
            }
            count = count.saturating_add(1);
        }
        is_new |= count < self.0.len();
        self.0.truncate(count);
        is_new
    }

    /// Those that there are.
    pub(crate) fn known(&self) -> &[Server] {
        &self.0
    }

    pub(crate) fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.0.iter().map(|server| server.address)
    }

    pub(crate) fn address(&self, index: usize) -> Option<SocketAddr> {
        self.0.get(index).map(|server| server.address)
    }

    /// The server that a message has come from.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn find(&self, from: &SocketAddr) -> Option<usize> {
        self.0.iter().position(|server| is_same(&server.address, from))
    }

    /// The server was silent while another one answered, or was unreachable.
    pub(crate) fn pass_over(&mut self, index: usize, now: Instant) {
        if let Some(server) = self.0.get_mut(index) {
            server.passed_over = now + PASSED_OVER;
        }
    }

    /// It has answered.
    pub(crate) fn trust(&mut self, index: usize) {
        if let Some(server) = self.0.get_mut(index) {
            server.passed_over = Instant::ZERO;
        }
    }

    /// The server answers only queries without EDNS.
    pub(crate) fn leave_out_edns(&mut self, index: usize, now: Instant) {
        if let Some(server) = self.0.get_mut(index) {
            server.without_edns = now + WITHOUT_EDNS;
        }
    }
}

/// Whether both are the same host and port. The flow label of a datagram (RFC 6437) is not a part of where it
/// is from.
fn is_same(one: &SocketAddr, other: &SocketAddr) -> bool {
    match (one, other) {
        (SocketAddr::V4(one), SocketAddr::V4(other)) => one == other,
        (SocketAddr::V6(one), SocketAddr::V6(other)) => {
            one.ip().octets() == other.ip().octets()
                && one.port() == other.port()
                && one.scope_id() == other.scope_id()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::format;

    fn servers(count: usize) -> Servers<3> {
        let mut servers = Servers::new();
        let list: std::vec::Vec<_> =
            (0..count).map(|index| format!("192.0.2.{index}:53").parse().expect("an address")).collect();
        servers.set(&list);
        servers
    }

    fn last(servers: &Servers<3>, micros: u64) -> std::vec::Vec<bool> {
        servers.known().iter().map(|server| server.comes_last(Instant::from_micros(micros))).collect()
    }

    #[test]
    fn one_that_is_passed_over_has_its_place_again_after_a_time() {
        let mut servers = servers(2);
        assert_eq!(last(&servers, 0), [false, false]);
        servers.pass_over(0, Instant::from_micros(5));
        assert_eq!(last(&servers, 30_000_004), [true, false]);
        assert_eq!(last(&servers, 30_000_005), [false, false]);
        servers.pass_over(1, Instant::from_micros(30_000_005));
        assert_eq!(last(&servers, 30_000_005), [false, true]);
        servers.trust(1);
        assert_eq!(last(&servers, 30_000_005), [false, false]);
    }

    #[test]
    fn clients_learn_from_each_other() {
        let (mut common, mut a, mut b) = (ServerStanding(servers(3)), servers(3), servers(3));
        let before = ServerStanding(a.clone());
        a.pass_over(0, Instant::ZERO);
        common.learn(&before, &ServerStanding(a));
        let before = ServerStanding(b.clone());
        b.pass_over(1, Instant::ZERO);
        common.learn(&before, &ServerStanding(b));
        assert_eq!(last(&common.0, 1), [true, true, false]);
        // What speaks of others says nothing.
        let mut others = ServerStanding(Servers::<3>::new());
        others.0.set(&["192.0.2.9:53".parse().expect("an address")]);
        others.learn(&before, &common);
        assert_eq!(last(&others.0, 1), [false]);
    }

    #[test]
    fn there_are_as_many_as_there_is_room_for() {
        let list = ["192.0.2.1:53", "192.0.2.2:53", "192.0.2.3:53", "192.0.2.4:53"];
        let list = list.map(|text| text.parse().expect("an address"));
        let mut servers = Servers::<3>::new();
        assert!(servers.set(&list));
        assert!(servers.addresses().eq([list[0], list[1], list[2]]));
        assert!(!servers.set(&list), "no change");
        assert!(servers.set(&list[..1]));
        assert_eq!(servers.find(&list[0]), Some(0));
        assert_eq!(servers.find(&"192.0.2.1:54".parse().expect("an address")), None);
    }
}
