//! Which server is asked first, and how.

mod common;

use common::*;
use connie_core::Instant;
use connie_dns::{DnsConfig, NameServerError, RecordLookup, RecordType};
use connie_sim::name_servers::{Query, Reaction, react};

fn look_up(bench: &mut Bench, text: &str) -> String {
    bench.run(&mut RecordLookup::new(name(text), wanted("a")))
}

#[test]
fn a_silent_server_comes_last_for_half_a_minute() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["silent", "ok"]);
    assert_eq!(look_up(&mut bench, "a.test"), "A 192.0.2.2 at 270");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.2 at 290");
    bench.now = Instant::from_micros(at(30_270).as_micros() - 1);
    look_up(&mut bench, "c.test");
    assert_eq!(bench.sent(), ["0@0", "1@250", "1@270", "1@30269"]);
    bench.now = at(30_290);
    look_up(&mut bench, "d.test");
    assert_eq!(bench.sent()[4..], ["0@30290", "1@30540"], "it may be back");
}

#[test]
fn a_server_that_answers_has_its_place_again() {
    let scripts = ["for:a.test silent; ok", "for:b.test silent; ok", "for:b.test servfail; ok"];
    let mut bench = Bench::<4>::new(DnsConfig::default(), &scripts);
    look_up(&mut bench, "a.test");
    // The second, then the third, which makes way for the first.
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.1 at 560");
    look_up(&mut bench, "c.test");
    assert_eq!(bench.sent(), ["0@0", "1@250", "1@270", "2@520", "0@540", "0@560"]);
}

#[test]
fn one_that_has_failed_before_it_was_silent_keeps_its_place() {
    let scripts = ["for:b.test ok; #1 servfail; silent", "#3 ok; for:b.test ok; silent"];
    let mut bench = Bench::<4>::new(DnsConfig::default(), &scripts);
    assert_eq!(look_up(&mut bench, "a.test"), "A 192.0.2.2 at 3040");
    assert_eq!(bench.sent(), ["0@0", "1@20", "0@520", "1@1020", "0@2520-", "1@3020-"]);
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.1 at 3060");
}

/// What happens to a port that an alias was asked from does not touch the question that it has led to.
#[test]
fn an_alias_is_asked_for_from_another_port() {
    use connie_dns::{DnsClient, DnsInput, DnsOutput, LARGEST_QUERY};
    let mut client = DnsClient::<4>::new(DnsConfig::default(), 7);
    client.set_servers(&[server(0)], at(0));
    let id = client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
    let mut buffer = [0; LARGEST_QUERY];
    let DnsOutput::Send { port, length, .. } = client.poll_output(&mut buffer, at(0)) else {
        panic!("a query")
    };
    let query = Query::read(&buffer[..length], false);
    let Reaction::Says(alias, _) = react("alias:b.test", 0, &query) else { panic!("an answer") };
    client.handle_input(DnsInput::Datagram { port, from: server(0), message: &alias }, at(1));
    let DnsOutput::Send { port: next, .. } = client.poll_output(&mut buffer, at(1)) else {
        panic!("a query")
    };
    assert!(next != port && client.is_open(next) && !client.is_open(port));
    client.handle_input(DnsInput::DatagramFailed { port, server: server(0) }, at(2));
    client.poll_output(&mut buffer, at(2));
    assert!(client.answer(id, at(2)).is_none(), "it is still asked");
    client.handle_input(DnsInput::DatagramFailed { port: next, server: server(0) }, at(2));
    client.poll_output(&mut buffer, at(2));
    assert!(client.answer(id, at(2)).is_some());
}

#[test]
fn one_that_fails_or_was_not_given_its_time_keeps_its_place() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["for:a.test servfail; ok", "ok@5"]);
    look_up(&mut bench, "a.test");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.1 at 45");
    // The second is asked after 250 ms, and the third 10 ms later.
    let scripts = ["fails@260", "for:a.test silent; ok", "ok@5"];
    let mut bench = Bench::<4>::new(DnsConfig::default(), &scripts);
    assert_eq!(look_up(&mut bench, "a.test"), "A 192.0.2.3 at 265");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.2 at 285");
    // That all are silent says nothing of one of them.
    let mut bench =
        Bench::<4>::new(DnsConfig::default(), &["for:a.test silent; ok", "for:a.test silent; ok"]);
    look_up(&mut bench, "a.test");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.1 at 8270");
}

#[test]
fn over_tcp_a_silent_server_comes_last_as_well() {
    let settings = DnsConfig { transport: connie_dns::DnsTransport::Tcp, ..DnsConfig::default() };
    let mut bench = Bench::<4>::new(settings, &["silent", "ok"]);
    assert_eq!(look_up(&mut bench, "a.test"), "A 192.0.2.2 at 270");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.2 at 290");
    // One whose long answer is under way is not silent.
    let settings = DnsConfig { transport: connie_dns::DnsTransport::UdpAndTcp, ..DnsConfig::default() };
    let mut bench = Bench::<4>::new(settings, &["for:a.test udp tc; for:a.test silent; ok", "ok"]);
    assert_eq!(look_up(&mut bench, "a.test"), "A 192.0.2.2 at 270");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.1 at 290");
}

#[test]
fn one_that_is_not_there_comes_last() {
    let mut bench = Bench::<4>::new(DnsConfig::default(), &["fails", "ok"]);
    look_up(&mut bench, "a.test");
    assert_eq!(look_up(&mut bench, "b.test"), "A 192.0.2.2 at 60");
    assert_eq!(bench.sent(), ["0@0", "1@20", "1@40"]);
}

#[test]
fn a_server_that_answers_without_edns_alone_is_asked_without() {
    for script in ["edns silent; ok", "edns formerr; ok"] {
        let mut bench = Bench::<4>::new(DnsConfig::default(), &[script]);
        look_up(&mut bench, "a.test");
        let (sent, came) = (bench.sent().len(), bench.time());
        look_up(&mut bench, "b.test");
        assert_eq!(bench.sent()[sent..], [format!("0@{came}-")], "{script}");
        // It is asked with it again after ten minutes, and each answer without begins them anew.
        bench.now = at(came + 20 + 600_000);
        look_up(&mut bench, "c.test");
        assert_eq!(bench.sent()[sent + 1], format!("0@{}", came + 20 + 600_000), "{script}");
    }
}

#[test]
fn each_question_has_a_port_and_ids_of_its_own() {
    use connie_dns::{DnsClient, DnsOutput, LARGEST_QUERY};
    let mut client = DnsClient::<4>::new(DnsConfig::default(), 7);
    client.set_servers(&[server(0), server(1)], at(0));
    for text in ["a.test", "b.test"] {
        for kind in RecordType::ALL {
            client.ask(&name(text), kind, at(0)).expect("room");
        }
    }
    let (mut buffer, mut ports, mut ids) = ([0; LARGEST_QUERY], Vec::new(), Vec::new());
    for millis in [0, 250] {
        while let DnsOutput::Send { port, .. } = client.poll_output(&mut buffer, at(millis)) {
            ports.push(port);
            ids.push([buffer[0], buffer[1]]);
        }
    }
    assert_eq!((ports.len(), ids.len()), (12, 12));
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 12, "another id for each question and server");
    assert_eq!(ports[..6], ports[6..], "a port serves all servers");
    let distinct = |port| ports[..6].iter().filter(|other| *other == port).count() == 1;
    assert!(ports[..6].iter().all(distinct), "and one question");
}

/// An answer that comes to the port of another question is none.
#[test]
fn an_answer_counts_at_its_own_port_alone() {
    use connie_dns::{DnsClient, DnsInput, DnsOutput, LARGEST_QUERY};
    let mut client = DnsClient::<4>::new(DnsConfig::default(), 7);
    client.set_servers(&[server(0)], at(0));
    let id = client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
    client.ask(&name("b.test"), RecordType::A, at(0)).expect("room");
    let mut buffer = [0; LARGEST_QUERY];
    let mut send = |client: &mut DnsClient<4>| match client.poll_output(&mut buffer, at(0)) {
        DnsOutput::Send { port, length, .. } => (port, Query::read(&buffer[..length], false)),
        other => panic!("{other:?}"),
    };
    let ((own, query), (other, _)) = (send(&mut client), send(&mut client));
    let Reaction::Says(message, _) = react("ok", 0, &query) else { panic!("an answer") };
    client.handle_input(DnsInput::Datagram { port: other, from: server(0), message: &message }, at(1));
    client.handle_input(DnsInput::Message { port: own, server: server(0), message: &message }, at(1));
    assert!(client.answer(id, at(1)).is_none(), "nor in a TCP connection that was not asked for");
    client.handle_input(DnsInput::Datagram { port: own, from: server(0), message: &message }, at(1));
    assert!(client.answer(id, at(1)).is_some());
}

#[test]
fn what_is_wrong_with_each_server_is_known() {
    let mut bench =
        Bench::<4>::new(DnsConfig { attempts: 1, ..DnsConfig::default() }, &["servfail", "lame", "silent"]);
    let id = bench.client.ask(&name("a.test"), RecordType::A, bench.now).expect("room");
    bench.pass(10_000);
    let server_errors: Vec<_> =
        bench.client.server_errors(id).map(|(at, problem)| format!("{at} {problem}")).collect();
    assert_eq!(
        server_errors,
        [
            "192.0.2.53:53 SERVFAIL",
            "192.0.2.54:53 has no data for the name and does not recurse",
            "192.0.2.55:53 no answer",
        ]
    );
    assert!(bench.client.server_errors(id).any(|(_, problem)| problem == NameServerError::Silent));
}

/// RFC 6891 section 6.2.3: the size is that of the driver's buffer.
#[test]
fn servers_are_told_how_large_a_datagram_may_be() {
    use connie_dns::{DnsClient, DnsOutput, LARGEST_QUERY};
    for (largest, told) in [(1_232, 1_232), (4_096, 4_096), (100, 512)] {
        let mut client =
            DnsClient::<1>::new(DnsConfig { largest_datagram: largest, ..DnsConfig::default() }, 7);
        client.set_servers(&[server(0)], at(0));
        client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
        let mut buffer = [0; LARGEST_QUERY];
        let DnsOutput::Send { length, .. } = client.poll_output(&mut buffer, at(0)) else {
            panic!("a query")
        };
        assert_eq!(buffer[length - 8..length - 6], u16::to_be_bytes(told));
    }
}

#[test]
fn letters_in_random_case_differ_from_query_to_query() {
    let settings = DnsConfig { randomise_case: true, ..DnsConfig::default() };
    let mut bench = Bench::<4>::new(settings, &["#1 ok-in-lower-case; silent", "silent", "silent"]);
    let text = "a-rather-long-name-of-many-letters.test";
    look_up(&mut bench, text);
    assert!(bench.asked().iter().all(|asked| asked.eq_ignore_ascii_case(text)));
    let [first, second, third, again, .., last] = &bench.asked() else { panic!("queries") };
    assert!(first != second && second != third && first != third, "each server's is its own");
    assert_eq!(first, again, "a repeat is the same, so that the answer to either counts");
    assert_eq!(last, text, "the last goes without");
}

/// Resolvers are often named twice, by two sources. What the second says would count as said by the first,
/// who was asked with another id.
#[test]
fn a_server_that_is_named_twice_is_one() {
    use connie_dns::DnsClient;
    let mut client = DnsClient::<4>::new(DnsConfig::default(), 7);
    let list = [server(0), server(0), server(1), server(0), server(2), server(3)];
    client.set_servers(&list, at(0));
    assert!(client.servers().eq([server(0), server(1), server(2)]));
    // The same again changes nothing: what is asked is not asked anew.
    let id = client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
    let mut buffer = [0; connie_dns::LARGEST_QUERY];
    let connie_dns::DnsOutput::Send { port, .. } = client.poll_output(&mut buffer, at(0)) else {
        panic!("a query")
    };
    client.set_servers(&list, at(0));
    client.set_servers(&list[1..], at(0));
    assert!(client.is_open(port));
    client.set_servers(&[server(0)], at(0));
    assert!(!client.is_open(port) && client.servers().eq([server(0)]));
    client.set_servers(&[], at(0));
    client.poll_output(&mut buffer, at(0));
    assert!(client.servers().eq([]) && client.answer(id, at(0)).is_some(), "there is nobody to ask");
}

/// A datagram of IPv6 may bring a flow label (RFC 6437) that nobody has asked for.
#[test]
fn a_flow_label_is_no_part_of_a_server_s_address() {
    use std::net::SocketAddrV6;
    let address =
        |flow, scope| SocketAddrV6::new("fe80::1".parse().expect("an address"), 53, flow, scope).into();
    let mut client = connie_dns::DnsClient::<4>::new(DnsConfig::default(), 7);
    client.set_servers(&[address(0, 2)], at(0));
    for (from, counts) in [(address(0, 3), false), (address(0x12_3456, 2), true)] {
        let id = client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
        let mut buffer = [0; connie_dns::LARGEST_QUERY];
        let connie_dns::DnsOutput::Send { port, length, .. } = client.poll_output(&mut buffer, at(0)) else {
            panic!("a query")
        };
        let Reaction::Says(message, _) = react("ok", 0, &Query::read(&buffer[..length], false)) else {
            panic!("an answer")
        };
        client.handle_input(connie_dns::DnsInput::Datagram { port, from, message: &message }, at(1));
        assert_eq!(client.answer(id, at(1)).is_some(), counts, "{from}");
        client.give_up(id);
    }
}

/// What a client with three servers puts out, and when.
struct Drained {
    client: connie_dns::DnsClient<4>,
    sent: Vec<(usize, connie_dns::Port)>,
}

impl Drained {
    fn new(transport: connie_dns::DnsTransport) -> Self {
        let settings = DnsConfig { attempts: 2, transport, ..DnsConfig::default() };
        let mut client = connie_dns::DnsClient::new(settings, 7);
        client.set_servers(&[server(0), server(1), server(2)], at(0));
        client.ask(&name("a.test"), RecordType::A, at(0)).expect("room");
        Drained { client, sent: Vec::new() }
    }

    /// The servers that are asked at this moment, and when it wants to be woken.
    fn drain(&mut self, now: Instant) -> (Vec<usize>, Option<Instant>) {
        use connie_dns::{DnsOutput, LARGEST_QUERY};
        let mut buffer = [0; LARGEST_QUERY];
        self.sent.clear();
        loop {
            let (port, to) = match self.client.poll_output(&mut buffer, now) {
                DnsOutput::Send { port, server, .. } | DnsOutput::Connect { port, server, .. } => {
                    (port, server)
                }
                DnsOutput::Ended(_) => continue,
                DnsOutput::WaitUntil(until) => {
                    return (self.sent.iter().map(|it| it.0).collect(), Some(until));
                }
                DnsOutput::WaitForInput => return (self.sent.iter().map(|it| it.0).collect(), None),
            };
            let index = (0..3).find(|index| server(*index) == to).expect("a server");
            self.sent.push((index, port));
        }
    }
}

#[test]
fn a_query_for_which_there_is_no_socket_comes_later_and_does_not_count() {
    for transport in [connie_dns::DnsTransport::UdpAndTcp, connie_dns::DnsTransport::Tcp] {
        let mut drained = Drained::new(transport);
        assert_eq!(drained.drain(at(0)).0, [0]);
        let port = drained.sent[0].1;
        drained.client.postpone(port, server(0), at(2_000), at(0));
        assert_eq!(drained.drain(at(0)), (vec![], Some(at(2_000))));
        let just_before = Instant::from_micros(at(2_000).as_micros() - 1);
        assert_eq!(drained.drain(just_before), (vec![], Some(at(2_000))), "the others come behind it");
        // There is one before, and then the others have their 250 ms.
        drained.client.postpone(port, server(0), at(1_000), at(1_000));
        assert_eq!(drained.drain(at(1_000)), (vec![0], Some(at(1_250))));
        assert_eq!(drained.drain(at(1_250)).0, [1]);
        // It is asked as often as if it had been asked at once: the second time, and no third.
        let mut asked = 1;
        for millis in (1_500..60_000).step_by(50) {
            asked += drained.drain(at(millis)).0.iter().filter(|server| **server == 0).count();
        }
        assert_eq!(asked, 2);
    }
}

#[test]
fn what_is_postponed_for_longer_than_a_question_lasts_fails() {
    let mut drained = Drained::new(connie_dns::DnsTransport::UdpAndTcp);
    drained.drain(at(0));
    let port = drained.sent[0].1;
    let late = Instant::from_micros(at(0).as_micros() + u64::from(u32::MAX));
    for index in 0..3 {
        drained.client.postpone(port, server(index), late + std::time::Duration::from_secs(1), late);
    }
    assert_eq!(drained.drain(late), (vec![], None));
    assert!(!drained.client.is_open(port));
}

#[test]
fn what_one_client_has_learnt_another_goes_by() {
    let mut first = Bench::<4>::new(DnsConfig::default(), &["silent", "ok"]);
    let before = first.client.standing();
    assert_eq!(look_up(&mut first, "a.test"), "A 192.0.2.2 at 270");
    let mut common = before.clone();
    common.learn(&before, &first.client.standing());
    let mut second = Bench::<4>::new(DnsConfig::default(), &["silent", "ok"]);
    second.client.set_standing(&common);
    assert_eq!(look_up(&mut second, "a.test"), "A 192.0.2.2 at 20");
    assert!(second.client.keeps_until() > second.now, "an answer is kept");
}

/// A device that sleeps in the middle of a question, for longer than the times of a question have room for:
/// nobody has said that there is no such name.
#[test]
fn who_sleeps_for_hours_is_told_of_silence() {
    use connie_core::resolution::QueryError;
    let boundary = u64::from(u32::MAX);
    let transports = [connie_dns::DnsTransport::Udp, connie_dns::DnsTransport::Tcp];
    for (slept, transport) in [boundary - 1, boundary, boundary + 1, 100 * boundary]
        .into_iter()
        .flat_map(|slept| transports.map(|transport| (slept, transport)))
    {
        let settings = DnsConfig { transport, ..DnsConfig::default() };
        let mut bench = Bench::<4>::new(settings, &["silent", "silent"]);
        let id = bench.client.ask(&name("a.test"), RecordType::A, bench.now).expect("room");
        let asked = bench.now;
        bench.drain();
        bench.now = Instant::from_micros(asked.as_micros() + slept);
        // It lasts no longer than one that was asked just now.
        let latest = bench.now + std::time::Duration::from_secs(20);
        while let Some(next) = bench.drain() {
            assert!(next < latest, "{slept}");
            bench.now = next;
        }
        let answer = bench.client.answer(id, bench.now).expect("its end").map(|answer| answer.is_empty());
        let is_silence = matches!(answer, Err(QueryError::TimedOut | QueryError::Unreachable));
        assert!(is_silence, "{slept} over {transport:?}: {answer:?}");
        assert!(bench.sent().len() <= 8, "{:?}", bench.sent());
    }
}
