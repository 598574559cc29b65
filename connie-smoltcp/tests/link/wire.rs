//! What passed the client's network card.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

use connie_core::Instant;
use connie_smoltcp::smoltcp::phy::Medium;

use super::frames;

/// Everything between one client port and one remote address.
#[derive(Clone, Debug, Default)]
pub struct Flow {
    /// When SYNs were sent.
    pub syns: Vec<Instant>,
    /// When the first SYN-ACK reached the client.
    pub answered: Option<Instant>,
    /// When the client first sent a reset.
    pub reset: Option<Instant>,
    /// When the client first sent a FIN.
    pub finished: Option<Instant>,
    /// When a reset reached the client.
    pub refused: Option<Instant>,
}

/// The record.
#[derive(Clone, Debug, Default)]
pub struct Wire {
    /// By the client's address and the remote one.
    pub flows: BTreeMap<(SocketAddr, SocketAddr), Flow>,
    /// When each neighbour was asked for.
    pub questions: BTreeMap<IpAddr, Vec<Instant>>,
}

impl Wire {
    pub(super) fn sent(&mut self, frame: &[u8], medium: Medium, now: Instant) {
        if medium == Medium::Ethernet
            && let Some(target) = frames::solicited(frame)
        {
            self.questions.entry(target).or_default().push(now);
        }
        let Some(segment) = frames::ip(frame, medium).and_then(frames::segment) else { return };
        let flow = self.flows.entry((segment.source, segment.destination)).or_default();
        if segment.syn {
            flow.syns.push(now);
        }
        if segment.rst {
            flow.reset.get_or_insert(now);
        }
        if segment.fin {
            flow.finished.get_or_insert(now);
        }
    }

    pub(super) fn received(&mut self, frame: &[u8], medium: Medium, now: Instant) {
        let Some(segment) = frames::ip(frame, medium).and_then(frames::segment) else { return };
        let flow = self.flows.entry((segment.destination, segment.source)).or_default();
        if segment.syn && segment.ack {
            flow.answered.get_or_insert(now);
        }
        if segment.rst {
            flow.refused.get_or_insert(now);
        }
    }

    /// The flows to one address.
    pub fn flows_to(&self, remote: SocketAddr) -> Vec<&Flow> {
        self.flows.iter().filter(|((_, to), _)| *to == remote).map(|(_, flow)| flow).collect()
    }

    /// How many SYNs were sent, the repeated ones included.
    pub fn syns(&self) -> usize {
        self.flows.values().map(|flow| flow.syns.len()).sum()
    }
}
