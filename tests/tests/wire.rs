//! The rules of the wire, without a kernel: packets made by hand, time as an argument.
#![cfg(target_os = "linux")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_tests::lab::packet::{Flags, Segment};
use connie_tests::lab::wire::{Plan, Wire};
use connie_tests::lab::{Behaviour, Closing, Ended, ms};

const REMOTE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const RTT: Duration = ms(40);
const PLAN: Plan = Plan {
    host_v4: Ipv4Addr::new(10, 0, 0, 1),
    host_v6: Ipv6Addr::LOCALHOST,
    router_v4: Ipv4Addr::new(10, 0, 0, 254),
    router_v6: Ipv6Addr::LOCALHOST,
    shadows_v4: Ipv4Addr::new(10, 8, 0, 0),
    shadows_v6: Ipv6Addr::UNSPECIFIED,
};

const SYN: Flags = Flags::SYN;
const SYN_ACK: Flags = Flags::SYN.with(Flags::ACK);
const RST: Flags = Flags::RST;
const ACK: Flags = Flags::ACK;
const FIN: Flags = Flags::FIN.with(Flags::ACK);

/// A wire with one remote address, one client and one listener.
struct Bench {
    wire: Wire,
    now: Duration,
}

impl Bench {
    fn new(behaviour: Behaviour) -> Self {
        let mut wire = Wire::new(PLAN);
        wire.set(REMOTE, behaviour);
        Self { wire, now: Duration::ZERO }
    }

    fn client() -> SocketAddr {
        (PLAN.host_v4, 40_000).into()
    }

    fn send(&mut self, source: SocketAddr, destination: SocketAddr, sequence: u32, flags: Flags) {
        let segment = Segment { source, destination, sequence, acknowledgement: 0, flags };
        self.wire.send(segment.to_packet(), self.now);
    }

    /// The client sends to port 80 of the remote address.
    fn client_sends(&mut self, sequence: u32, flags: Flags) {
        self.send(Self::client(), (REMOTE, 80).into(), sequence, flags);
    }

    /// The listener answers whoever called it.
    fn listener_sends(&mut self, to: SocketAddr, sequence: u32, flags: Flags) {
        self.send((PLAN.host_v4, 80).into(), to, sequence, flags);
    }

    fn passes(&mut self, time: Duration) {
        self.now += time;
    }

    fn delivered(&mut self) -> Vec<Segment> {
        let mut segments = Vec::new();
        while let Some(packet) = self.wire.deliver(self.now) {
            segments.push(Segment::parse(&packet).expect("TCP"));
        }
        segments
    }

    #[track_caller]
    fn one_delivered(&mut self) -> Segment {
        let segments = self.delivered();
        assert_eq!(segments.len(), 1, "{segments:?}");
        segments[0]
    }

    /// Goes through the handshake; says under which address the listener knows the client.
    fn handshake(&mut self) -> SocketAddr {
        self.client_sends(100, SYN);
        self.passes(RTT / 2);
        let shadow = self.one_delivered().source;
        self.listener_sends(shadow, 500, SYN_ACK);
        self.passes(RTT / 2);
        assert!(self.one_delivered().is_syn_ack());
        self.client_sends(101, ACK);
        self.passes(RTT / 2);
        assert_eq!(self.delivered().len(), 1);
        shadow
    }

    fn endings(&self) -> Vec<Option<Ended>> {
        self.wire.log().attempts().iter().map(|attempt| attempt.ended.map(|(_, how)| how)).collect()
    }
}

#[test]
fn half_the_round_trip_lies_in_each_direction() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    bench.client_sends(100, SYN);
    assert_eq!(bench.wire.next_due(), Some(RTT / 2));
    bench.passes(RTT / 2 - Duration::from_nanos(1));
    assert_eq!(bench.delivered(), []);
    bench.passes(Duration::from_nanos(1));
    let there = bench.one_delivered();
    assert_eq!(there.destination, (PLAN.host_v4, 80).into());
    assert_eq!(there.source, (Ipv4Addr::new(10, 8, 0, 1), 40_000).into());

    bench.listener_sends(there.source, 500, SYN_ACK);
    assert_eq!(bench.wire.next_due(), Some(RTT));
    bench.passes(RTT / 2);
    let back = bench.one_delivered();
    assert_eq!((back.source, back.destination), ((REMOTE, 80).into(), Bench::client()));
}

#[test]
fn packets_keep_their_order() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    let shadow = bench.handshake();
    for sequence in 0..20 {
        bench.listener_sends(shadow, sequence, ACK);
    }
    bench.passes(RTT);
    let order: Vec<u32> = bench.delivered().iter().map(|segment| segment.sequence).collect();
    assert_eq!(order, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_new_socket_on_an_old_port_is_a_new_attempt() {
    let mut bench = Bench::new(Behaviour::black_hole());
    bench.client_sends(100, SYN);
    bench.passes(ms(1000));
    bench.client_sends(100, SYN);
    assert_eq!(bench.endings(), [None], "the same SYN again");
    bench.passes(ms(1000));
    bench.client_sends(900, SYN);
    assert_eq!(bench.endings(), [Some(Ended::Closed(Closing::Silent)), None]);
    let counts = bench.wire.log().counts(REMOTE);
    assert_eq!((counts.first_syns, counts.repeated_syns), (2, 1));
}

#[test]
fn an_rst_after_the_syn_ack_is_no_answer_to_an_older_probe() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    bench.client_sends(100, SYN);
    bench.passes(RTT / 2);
    let shadow = bench.one_delivered().source;
    bench.wire.probe(bench.now);
    let probe = bench.one_delivered();
    assert_eq!((probe.flags, probe.acknowledgement), (ACK, 101));

    bench.listener_sends(shadow, 500, SYN_ACK);
    bench.passes(RTT / 2);
    assert!(bench.one_delivered().is_syn_ack());
    bench.client_sends(101, RST);
    assert_eq!(bench.endings(), [Some(Ended::Closed(Closing::Reset))]);
    bench.passes(RTT);
    assert_eq!(bench.one_delivered().flags, RST, "the listener learns of it");
}

#[test]
fn the_echo_of_a_probe_stays_between_client_and_wire() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    bench.client_sends(100, SYN);
    bench.passes(ms(10));
    bench.wire.probe(bench.now);
    bench.one_delivered();
    bench.passes(ms(3));
    bench.client_sends(101, RST);
    let attempt = bench.wire.log().attempts()[0].clone();
    assert_eq!(attempt.ended, Some((ms(10), Ended::Closed(Closing::Silent))), "gone when it was asked");
    bench.passes(RTT);
    assert!(bench.one_delivered().is_syn(), "nothing but the SYN reaches the listener");
}

/// The client is slow to answer: the wire has asked again when the first answer comes.
#[test]
fn a_socket_was_gone_when_the_first_probe_that_it_answers_was_sent() {
    let mut bench = Bench::new(Behaviour::black_hole());
    bench.client_sends(100, SYN);
    for _ in 0..3 {
        bench.passes(ms(10));
        bench.wire.probe(bench.now);
        bench.one_delivered();
    }
    // It was still there at the first.
    bench.client_sends(101, RST);
    assert_eq!(bench.endings(), [Some(Ended::Closed(Closing::Silent))]);
    bench.client_sends(101, RST);
    let attempt = bench.wire.log().attempts()[0].clone();
    assert_eq!(attempt.ended, Some((ms(20), Ended::Closed(Closing::Silent))));
}

/// A stack in user space may say goodbye to a SYN that was not answered yet; the kernel does not.
#[test]
fn an_rst_that_nothing_drew_is_the_clients_own() {
    let mut bench = Bench::new(Behaviour::black_hole());
    bench.client_sends(100, SYN);
    bench.client_sends(101, RST);
    assert_eq!(bench.endings(), [Some(Ended::Closed(Closing::Reset))]);
    assert_eq!(bench.wire.log().counts(REMOTE).client_resets, 1);
}

#[test]
fn no_attempt_is_probed_at_once_or_twice_at_once() {
    let mut bench = Bench::new(Behaviour::black_hole());
    bench.client_sends(100, SYN);
    let mut probes = Vec::new();
    for _ in 0..6 {
        bench.wire.probe(bench.now);
        probes.push(bench.delivered().len());
        bench.passes(ms(1));
    }
    assert_eq!(probes, [0, 0, 1, 0, 1, 0]);
}

#[test]
fn a_host_that_falls_silent_is_silent_in_both_directions() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    let shadow = bench.handshake();
    bench.wire.set(REMOTE, Behaviour::black_hole());
    bench.client_sends(101, ACK);
    bench.listener_sends(shadow, 501, ACK);
    assert_eq!(bench.wire.next_due(), None);
}

#[test]
fn the_first_end_counts() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    bench.handshake();
    bench.client_sends(101, FIN);
    bench.client_sends(101, FIN);
    bench.client_sends(102, RST);
    assert_eq!(bench.endings(), [Some(Ended::Closed(Closing::Fin))]);
    let counts = bench.wire.log().counts(REMOTE);
    assert_eq!((counts.client_fins, counts.client_resets), (1, 1), "a repeated FIN is one");
}

#[test]
fn an_rst_from_the_server_refuses_or_resets() {
    let mut refused = Bench::new(Behaviour::accept(RTT));
    refused.client_sends(100, SYN);
    refused.passes(RTT);
    let shadow = refused.one_delivered().source;
    refused.listener_sends(shadow, 0, RST);
    refused.passes(RTT);
    refused.one_delivered();
    assert_eq!(refused.endings(), [Some(Ended::Refused)]);

    let mut reset = Bench::new(Behaviour::accept(RTT));
    let shadow = reset.handshake();
    reset.listener_sends(shadow, 501, RST);
    assert_eq!(reset.endings(), [None], "not before it arrives");
    reset.passes(RTT);
    reset.one_delivered();
    assert_eq!(reset.endings(), [Some(Ended::ResetByServer)]);
}

#[test]
fn times_count_from_the_first_syn() {
    let mut bench = Bench::new(Behaviour::refuse(RTT));
    bench.passes(ms(7000));
    bench.client_sends(100, SYN);
    bench.passes(RTT);
    bench.one_delivered();
    let attempt = bench.wire.log().attempts()[0].clone();
    assert_eq!((attempt.started(), attempt.ended), (ms(0), Some((RTT, Ended::Refused))));
}

#[test]
fn what_is_not_tcp_goes_nowhere() {
    let mut bench = Bench::new(Behaviour::accept(RTT));
    bench.wire.send(Vec::new(), bench.now);
    bench.wire.send(vec![0x60; 39], bench.now);
    bench.wire.send(vec![0xff; 1500], bench.now);
    assert_eq!(bench.wire.next_due(), None);
    assert!(bench.wire.log().attempts().is_empty());
}
