//! The rules of the wire, as a state machine: packets come in, packets go out when they are due.
//!
//! There is no device, clock or thread in here; time is a [`Duration`] since the wire began. The
//! [router](super::router) drives it with a TUN device. A test may drive it with any other source of IP
//! packets.
//!
//! Both ends of a connection are real TCP stacks, and often the same kernel. So that this kernel takes the
//! two ends for two hosts, each remote address has a *shadow*: the listener sees the shadow call, and what it
//! answers to the shadow comes back here.
//!
//! ```text
//! client C:p ── to R:80 ──▶ wire ── from shadow(R):p, to the host's L:8081 ──▶ listener
//! client C:p ◀─ from R:80 ─ wire ◀── to shadow(R):p, from the host's L:8081 ── listener
//! ```

use std::cmp::Ordering;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use super::behaviour::{Answer, Behaviour, Listener};
use super::log::{Attempt, Closing, Counts, Ended, WireLog};
use super::packet::{self, Flags, Segment};

/// No attempt is probed sooner than this after its start or its last probe, so that a burst of attempts is
/// not slowed by probes.
const PROBE_REST: Duration = Duration::from_millis(2);

/// The addresses that the wire uses for itself.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Where the listeners wait, for IPv4.
    pub host_v4: Ipv4Addr,
    /// Where the listeners wait, for IPv6.
    pub host_v6: Ipv6Addr,
    /// The address that ICMP errors come from.
    pub router_v4: Ipv4Addr,
    /// The address that ICMPv6 errors come from.
    pub router_v6: Ipv6Addr,
    /// The shadow of the remote address number n is this network plus n.
    pub shadows_v4: Ipv4Addr,
    /// The same for IPv6.
    pub shadows_v6: Ipv6Addr,
}

/// A remote address: what it does and what happened to it.
struct Remote {
    behaviour: Behaviour,
    shadow: IpAddr,
    syns: u32,
    syn_acks: u32,
    counts: Counts,
}

/// An attempt as the wire needs it: the public record and how its packets are rewritten.
struct Flow {
    record: Attempt,
    initial_sequence: u32,
    shadow: SocketAddr,
    listener: SocketAddr,
    client_fin: bool,
    last_probe: Duration,
    /// When it was probed.
    probes: Vec<Duration>,
    /// How many of the probes have drawn an RST.
    echoes: usize,
}

/// What a packet means for the log once it reaches the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arrival {
    SynAck(usize),
    Reset(usize),
    Unreachable(usize),
    Nothing,
}

/// A packet under way. The heap's greatest is the one due first; of two due together, the one sent first.
struct InFlight {
    due: Duration,
    number: u64,
    packet: Vec<u8>,
    arrival: Arrival,
}

impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.due, other.number).cmp(&(self.due, self.number))
    }
}

impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for InFlight {}

/// The wire between one client host and any number of remote addresses.
pub struct Wire {
    plan: Plan,
    remotes: BTreeMap<IpAddr, Remote>,
    flows: Vec<Flow>,
    /// Flows before this one are forgotten by the log.
    log_from: usize,
    /// (client, remote) of the newest flow between the two.
    by_client: HashMap<(SocketAddr, SocketAddr), usize>,
    /// (shadow, listener) of the same flows.
    by_shadow: HashMap<(SocketAddr, SocketAddr), usize>,
    in_flight: BinaryHeap<InFlight>,
    sent: u64,
    /// Whether each new attempt has those probed that wait.
    probes: bool,
}

impl Wire {
    /// A wire to nowhere: every address is a black hole until [`set`](Self::set) says otherwise.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan,
            remotes: BTreeMap::new(),
            flows: Vec::new(),
            log_from: 0,
            by_client: HashMap::new(),
            by_shadow: HashMap::new(),
            in_flight: BinaryHeap::new(),
            sent: 0,
            probes: true,
        }
    }

    /// Has no new attempt make those probed that wait.
    pub fn spare_probes(&mut self) {
        self.probes = false;
    }

    /// Says what a remote address does from now on. Its counts of lost packets begin anew; packets under way
    /// stay under way.
    pub fn set(&mut self, remote: IpAddr, behaviour: Behaviour) {
        let known = self.remote(remote);
        known.behaviour = behaviour;
        known.syns = 0;
        known.syn_acks = 0;
    }

    /// Takes a packet that a host sent. What is not TCP is dropped.
    pub fn send(&mut self, packet: Vec<u8>, now: Duration) {
        let Some(segment) = Segment::parse(&packet) else { return };
        match self.by_shadow.get(&(segment.destination, segment.source)) {
            Some(&flow) => self.listener_sends(flow, &segment, packet, now),
            None => self.client_sends(&segment, packet, now),
        }
    }

    /// When the next packet is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Duration> {
        self.in_flight.peek().map(|packet| packet.due)
    }

    /// The next packet that is due, to be handed to the host it is for.
    pub fn deliver(&mut self, now: Duration) -> Option<Vec<u8>> {
        let due = self.in_flight.peek().is_some_and(|packet| packet.due <= now);
        let next = if due { self.in_flight.pop() } else { None }?;
        self.arrives(next.arrival, now);
        Some(next.packet)
    }

    /// Asks, without the client noticing, which sockets that wait for an answer are still there. The probes
    /// are due at once; hand them over with [`deliver`](Self::deliver).
    ///
    /// The probe is a bare ACK of the client's SYN. A socket in SYN-SENT drops it (RFC 9293 section 3.10.7.3,
    /// fifth step: neither SYN nor RST is set); where no socket is left, the kernel answers with an RST
    /// (section 3.10.7.1).
    pub fn probe(&mut self, now: Duration) {
        for index in self.log_from..self.flows.len() {
            let flow = &mut self.flows[index];
            let record = &flow.record;
            let waits = record.ended.is_none() && record.answered.is_none();
            if !waits || now < flow.last_probe + PROBE_REST {
                continue;
            }
            flow.last_probe = now;
            flow.probes.push(now);
            let probe = Segment {
                source: record.remote,
                destination: record.client,
                sequence: 0,
                acknowledgement: flow.initial_sequence.wrapping_add(1),
                flags: Flags::ACK,
            };
            self.put(probe.to_packet(), now, Arrival::Nothing);
        }
    }

    /// What was seen so far.
    #[must_use]
    pub fn log(&self) -> WireLog {
        let mut attempts: Vec<Attempt> =
            self.flows[self.log_from..].iter().map(|flow| flow.record.clone()).collect();
        let begin = attempts.first().map_or(Duration::ZERO, Attempt::started);
        for attempt in &mut attempts {
            attempt.syns.iter_mut().for_each(|at| *at -= begin);
            let answers = [&mut attempt.answered, &mut attempt.established];
            answers.into_iter().flatten().for_each(|at| *at -= begin);
            attempt.ended.iter_mut().for_each(|(at, _)| *at -= begin);
        }
        let counts = self.remotes.iter().map(|(address, remote)| (*address, remote.counts)).collect();
        WireLog { attempts, counts, first: begin, begin: None }
    }

    /// Forgets what was seen; connections live on.
    pub fn clear_log(&mut self) {
        self.log_from = self.flows.len();
        self.remotes.values_mut().for_each(|remote| remote.counts = Counts::default());
    }

    fn client_sends(&mut self, segment: &Segment, packet: Vec<u8>, now: Duration) {
        let index = if segment.is_syn() {
            self.flow_of_syn(segment, now)
        } else {
            match self.by_client.get(&(segment.source, segment.destination)) {
                Some(&flow) => flow,
                None => return,
            }
        };
        if self.answers_probe(index, segment) {
            return;
        }
        self.note_client(index, segment, now);
        if segment.is_syn() && self.loses_syn(index) {
            return;
        }
        self.answer(index, segment, packet, now);
    }

    /// Finds the attempt that a SYN belongs to, or begins one.
    fn flow_of_syn(&mut self, syn: &Segment, now: Duration) -> usize {
        let key = (syn.source, syn.destination);
        if let Some(&index) = self.by_client.get(&key) {
            let flow = &mut self.flows[index];
            if flow.initial_sequence == syn.sequence {
                flow.record.syns.push(now);
                self.remote(syn.destination.ip()).counts.repeated_syns += 1;
                return index;
            }
            // The kernel has given the port to a new socket, so the old one is gone.
            flow.record.ended.get_or_insert((now, Ended::Closed(Closing::Silent)));
            self.by_shadow.remove(&(flow.shadow, flow.listener));
        }
        if self.probes {
            self.probe(now);
        }
        self.remote(syn.destination.ip()).counts.first_syns += 1;
        self.begin_flow(syn, now)
    }

    fn begin_flow(&mut self, syn: &Segment, now: Duration) -> usize {
        let remote = self.remote(syn.destination.ip());
        let (shadow, listener) = (remote.shadow, remote.behaviour.listener);
        let listener = match listener {
            Listener::SamePort => SocketAddr::new(self.host(shadow), syn.destination.port()),
            Listener::Port(port) => SocketAddr::new(self.host(shadow), port),
            Listener::Exactly(address) => address,
        };
        let shadow = self.free_shadow(SocketAddr::new(shadow, syn.source.port()), listener);
        let index = self.flows.len();
        self.flows.push(Flow {
            record: Attempt {
                client: syn.source,
                remote: syn.destination,
                syns: vec![now],
                answered: None,
                established: None,
                ended: None,
            },
            initial_sequence: syn.sequence,
            shadow,
            listener,
            client_fin: false,
            last_probe: now,
            probes: Vec::new(),
            echoes: 0,
        });
        self.by_client.insert((syn.source, syn.destination), index);
        self.by_shadow.insert((shadow, listener), index);
        index
    }

    /// The shadow with the client's own port, or with the next one that the listener does not know yet: two
    /// clients, or two ports of one remote address, may meet at one listener.
    fn free_shadow(&self, mut shadow: SocketAddr, listener: SocketAddr) -> SocketAddr {
        while self.by_shadow.contains_key(&(shadow, listener)) {
            shadow.set_port(shadow.port().wrapping_add(1).max(1024));
        }
        shadow
    }

    /// Whether this is an RST that a probe drew; if so, the client's socket was gone when that probe was
    /// sent.
    ///
    /// Before a SYN-ACK has reached the client, nothing else draws one. A socket that is gone answers every
    /// probe, and the answers keep their order: the first one is taken for an answer to the last probe, and
    /// each further one tells of an earlier probe.
    fn answers_probe(&mut self, index: usize, segment: &Segment) -> bool {
        let flow = &mut self.flows[index];
        let answer =
            segment.flags.has(Flags::RST) && !flow.probes.is_empty() && flow.record.answered.is_none();
        if answer {
            flow.echoes += 1;
            let asked = flow.probes[flow.probes.len().saturating_sub(flow.echoes)];
            match &mut flow.record.ended {
                ended @ None => *ended = Some((asked, Ended::Closed(Closing::Silent))),
                Some((at, Ended::Closed(Closing::Silent))) => *at = asked.min(*at),
                Some(_) => {}
            }
        }
        answer
    }

    fn note_client(&mut self, index: usize, segment: &Segment, now: Duration) {
        let flow = &mut self.flows[index];
        let counts =
            &mut self.remotes.get_mut(&segment.destination.ip()).expect("a flow has a remote").counts;
        if segment.flags.has(Flags::RST) {
            counts.client_resets += 1;
            flow.record.ended.get_or_insert((now, Ended::Closed(Closing::Reset)));
            return;
        }
        if flow.record.answered.is_some() && segment.flags.has(Flags::ACK) {
            flow.record.established.get_or_insert(now);
        }
        if segment.flags.has(Flags::FIN) && !flow.client_fin {
            flow.client_fin = true;
            counts.client_fins += 1;
            flow.record.ended.get_or_insert((now, Ended::Closed(Closing::Fin)));
        }
    }

    fn loses_syn(&mut self, index: usize) -> bool {
        let sent = self.flows[index].record.syns.len();
        let address = self.flows[index].record.remote.ip();
        let remote = self.remote(address);
        remote.syns = remote.syns.saturating_add(1);
        let of_each = usize::try_from(remote.behaviour.lost_syns_of_each).unwrap_or(usize::MAX);
        remote.syns <= remote.behaviour.lost_syns || sent <= of_each
    }

    /// Does what the remote address does with a packet that reached it.
    fn answer(&mut self, index: usize, segment: &Segment, mut packet: Vec<u8>, now: Duration) {
        let behaviour = self.remote(segment.destination.ip()).behaviour;
        match behaviour.answer {
            Answer::Accept => {
                let flow = &self.flows[index];
                packet::readdress(&mut packet, flow.shadow, flow.listener);
                self.put(packet, now + behaviour.rtt / 2, Arrival::Nothing);
            }
            Answer::Refuse if segment.is_syn() => {
                self.put(segment.refusal().to_packet(), now + behaviour.rtt, Arrival::Reset(index));
            }
            Answer::Unreachable(reason) if segment.is_syn() => {
                let router = match segment.source {
                    SocketAddr::V4(_) => self.plan.router_v4.into(),
                    SocketAddr::V6(_) => self.plan.router_v6.into(),
                };
                let error = packet::unreachable(&packet, reason, router);
                self.put(error, now + behaviour.rtt, Arrival::Unreachable(index));
            }
            Answer::BlackHole | Answer::Refuse | Answer::Unreachable(_) => {}
        }
    }

    fn listener_sends(&mut self, index: usize, segment: &Segment, mut packet: Vec<u8>, now: Duration) {
        let Attempt { client, remote: address, .. } = self.flows[index].record;
        let remote = self.remote(address.ip());
        if segment.is_syn_ack() {
            remote.syn_acks = remote.syn_acks.saturating_add(1);
            if remote.syn_acks <= remote.behaviour.lost_syn_acks {
                return;
            }
        }
        // A remote address that became a black hole is silent in both directions.
        if remote.behaviour.answer == Answer::BlackHole {
            return;
        }
        let rtt = remote.behaviour.rtt;
        packet::readdress(&mut packet, address, client);
        let arrival = if segment.is_syn_ack() {
            Arrival::SynAck(index)
        } else if segment.flags.has(Flags::RST) {
            Arrival::Reset(index)
        } else {
            Arrival::Nothing
        };
        self.put(packet, now + (rtt - rtt / 2), arrival);
    }

    /// Writes down what reaches the client.
    fn arrives(&mut self, arrival: Arrival, now: Duration) {
        let (index, ended) = match arrival {
            Arrival::Nothing => return,
            Arrival::SynAck(index) => {
                let flow = &mut self.flows[index];
                flow.record.answered.get_or_insert(now);
                let address = flow.record.remote.ip();
                self.remote(address).counts.syn_acks += 1;
                return;
            }
            Arrival::Reset(index) if self.flows[index].record.established.is_some() => {
                (index, Ended::ResetByServer)
            }
            Arrival::Reset(index) => (index, Ended::Refused),
            Arrival::Unreachable(index) => (index, Ended::Unreachable),
        };
        self.flows[index].record.ended.get_or_insert((now, ended));
    }

    fn put(&mut self, packet: Vec<u8>, due: Duration, arrival: Arrival) {
        self.sent += 1;
        self.in_flight.push(InFlight { due, number: self.sent, packet, arrival });
    }

    fn host(&self, family: IpAddr) -> IpAddr {
        if family.is_ipv4() { self.plan.host_v4.into() } else { self.plan.host_v6.into() }
    }

    /// The remote address; a new one begins as a black hole.
    fn remote(&mut self, address: IpAddr) -> &mut Remote {
        let number = u32::try_from(self.remotes.len() + 1).expect("fewer than 2^32 addresses");
        let plan = self.plan;
        self.remotes.entry(address).or_insert_with(|| Remote {
            behaviour: Behaviour::black_hole(),
            shadow: match address {
                IpAddr::V4(_) => Ipv4Addr::from_bits(plan.shadows_v4.to_bits() + number).into(),
                IpAddr::V6(_) => Ipv6Addr::from_bits(plan.shadows_v6.to_bits() + u128::from(number)).into(),
            },
            syns: 0,
            syn_acks: 0,
            counts: Counts::default(),
        })
    }
}
