//! The datagrams that came back.

use heapless::Vec;
use smoltcp::wire::IpEndpoint;

use crate::frame::IcmpError;

/// How many are remembered: a question for each family, from two servers.
const REMEMBERED: usize = 4;

/// The datagrams that a router or the server's host has said were not delivered, each by its local port and
/// where it went. The DNS client looks for its own among them.
#[derive(Debug, Default)]
pub(crate) struct Undelivered {
    /// The newest last.
    list: Vec<(u16, IpEndpoint), REMEMBERED>,
}

impl Undelivered {
    /// Takes note of an ICMP error, where it is about a datagram.
    pub(crate) fn note(&mut self, error: &IcmpError) {
        if error.sequence.is_some() {
            return;
        }
        if self.list.is_full() {
            self.list.remove(0);
        }
        let ((_, local), (address, port)) = (error.source, error.destination);
        // There is room, as was just seen to.
        let _ = self.list.push((local, IpEndpoint::new(address, port)));
    }

    /// One that nobody has looked at.
    pub(crate) fn take(&mut self) -> Option<(u16, IpEndpoint)> {
        self.list.pop()
    }
}
