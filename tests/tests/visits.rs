//! What visits cost over a kernel, in a quick form of the comparison that `benches/peers` makes: a part of
//! its visits, of its networks, and clients in this process.
#![cfg(target_os = "linux")]

use std::io::Read as _;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::sync::Arc;

use connie_std::dns::Dns;
use connie_std::resolve::Resolver;
use connie_std::{Memory, Options, connect};
use connie_tests::lab::{Lab, in_namespace};
use connie_tests::servers::temporary_path;
use connie_tests::visits::{Course, HOST, Network, Process, go, networks};

fn named(name: &str) -> Network {
    networks().into_iter().find(|it| it.name == name).expect("there is one of that name")
}

/// `count` visits in a fresh laboratory by what `client` makes in it. What is drawn is that of seed 1.
fn visits<C: FnMut() -> Result<(), String>>(lab: &Lab, name: &str, count: usize, client: C) -> Course {
    let course = go(lab, &named(name), 1, count, || Ok(client)).expect("a server");
    assert_eq!(course.gave_up, None);
    assert_eq!(course.visits.len(), count);
    course
}

fn fetch(mut stream: impl std::io::Read + std::io::Write) -> std::io::Result<()> {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: www.name.test\r\nConnection: close\r\n\r\n")?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// connie, with a resolver that asks the laboratory's name server.
fn connie(memory: Option<Memory>) -> impl FnMut() -> Result<(), String> {
    let server = SocketAddr::from((Ipv4Addr::LOCALHOST, 53));
    let resolver = Resolver::from(Arc::new(Dns::new([server])));
    let options = Options::new().memory(memory).resolver(resolver);
    let host = format!("{HOST}:80");
    move || {
        let connected = connect(host.as_str(), &options).map_err(|error| error.to_string())?;
        fetch(connected).map_err(|error| error.to_string())
    }
}

/// The referee does not err: what is not late is not told to be.
#[test]
fn whoever_dials_the_best_alone_costs_one_syn_and_is_not_late() {
    in_namespace(|lab| {
        // The second is the best until the sixteenth visit.
        let second = SocketAddr::from(([198, 18, 2, 1], 80));
        let client = move || TcpStream::connect(second).and_then(fetch).map_err(|error| error.to_string());
        let course = visits(lab, "the best of 4 becomes slow", 5, client);
        let fastest = course.visits.iter().map(|visit| visit.over).fold(f64::INFINITY, f64::min);
        assert!((-0.5..5.0).contains(&fastest), "{fastest} ms");
        assert!(course.visits.iter().all(|visit| (visit.syns, visit.wasted) == (1, 0)), "{course:?}");
    });
}

/// Nor is what is late told not to be.
#[test]
fn whoever_dials_another_is_late_by_what_that_is_further_away() {
    in_namespace(|lab| {
        let last = SocketAddr::from(([198, 18, 4, 1], 80));
        let client = move || TcpStream::connect(last).and_then(fetch).map_err(|error| error.to_string());
        let course = visits(lab, "the best of 4 becomes slow", 5, client);
        let fastest = course.visits.iter().map(|visit| visit.over).fold(f64::INFINITY, f64::min);
        assert!((39.5..45.0).contains(&fastest), "{fastest} ms");
    });
}

#[test]
fn all_at_once_calls_everybody_at_each_visit() {
    in_namespace(|lab| {
        for visit in visits(lab, "6, three dead", 5, connie(None)).visits {
            assert_eq!((visit.syns, visit.wasted), (6, 2));
            assert!(visit.over > -0.5, "{visit:?}");
        }
    });
}

/// A busy machine may be late with an answer, and then the next address is called: a SYN more here and there.
#[track_caller]
fn one_is_called(lab: &Lab, name: &str) {
    let course = visits(lab, name, 12, connie(Some(Memory::new())));
    assert_eq!(course.visits[0].syns, named(name).addresses(), "{name}");
    let later = course.later().expect("twelve visits");
    assert!(later.syns <= 1.5 && later.wasted <= 0.5, "{name}: {course:?}");
}

#[test]
fn of_twelve_alive_one_is_called_at_each_visit_but_the_first() {
    in_namespace(|lab| one_is_called(lab, "12 alive, 20 to 200 ms"));
}

#[test]
fn of_six_of_which_three_are_dead_one_is_called_at_each_visit_but_the_first() {
    in_namespace(|lab| one_is_called(lab, "6, three dead"));
}

#[test]
fn where_ipv6_is_dead_one_of_ipv4_is_called_at_each_visit_but_the_first() {
    in_namespace(|lab| one_is_called(lab, "4 IPv6 dead, 4 IPv4 alive"));
}

/// What is known of one network is not used on another, and is there when the machine is back.
#[test]
fn another_network_is_met_with_the_whole_race_and_the_first_is_known_again() {
    in_namespace(|lab| {
        let course = visits(lab, "another network, and back", 32, connie(Some(Memory::new())));
        let syns: Vec<usize> = course.visits.iter().map(|visit| visit.syns).collect();
        assert_eq!([syns[0], syns[15]], [6, 6], "{syns:?}");
        assert!(syns[30] <= 2, "{syns:?}");
    });
}

/// As the answers of large services do: each names a few addresses of many.
#[test]
fn an_answer_that_rotates_is_visited() {
    in_namespace(|lab| {
        let course = visits(lab, "8 of 40 in each answer", 12, connie(Some(Memory::new())));
        assert_eq!(course.visits[0].syns, 8);
        assert!(course.later().expect("twelve visits").syns < 8.0, "{course:?}");
    });
}

#[test]
fn a_visitor_that_fails_is_given_up_and_has_no_mean() {
    in_namespace(|lab| {
        let (mut left, mut connie) = (2, connie(None));
        let client = move || {
            left -= 1;
            if left < 0 { Err("enough".to_owned()) } else { connie() }
        };
        let course = go(lab, &named("8 alive, 30 ms each"), 1, 5, || Ok(client)).expect("a server");
        assert_eq!(course.gave_up.as_deref(), Some("visit 3: enough"));
        assert_eq!((course.visits.len(), course.later()), (2, None));
    });
}

/// Python's own client goes through the addresses one by one.
#[test]
fn a_program_visits_when_it_is_told_to_and_what_it_does_not_is_told() {
    in_namespace(|lab| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../benches/peers/visitors/http_client.py");
        let words = ["python3", script, "http://www.name.test/"].map(str::to_owned);
        let log = temporary_path("visitor");
        let network = named("the best of 4 becomes slow");
        let course = go(lab, &network, 1, 3, || Process::start(&words, &log)).expect("Python");
        assert_eq!(course.gave_up, None, "{}", std::fs::read_to_string(&log).unwrap_or_default());
        assert!(course.visits.iter().all(|visit| (visit.syns, visit.wasted) == (1, 0)), "{course:?}");
        assert!(course.visits.iter().all(|visit| visit.over > 29.5), "{course:?}");
        std::fs::remove_file(&log).expect("a log");
    });
}

#[test]
fn a_program_that_says_ok_and_has_not_visited_is_found_out() {
    in_namespace(|lab| {
        let words = ["sh", "-c", "echo ready; while read line; do echo ok; done"].map(str::to_owned);
        let log = temporary_path("visitor");
        let course =
            go(lab, &named("8 alive, 30 ms each"), 1, 2, || Process::start(&words, &log)).expect("sh");
        assert_eq!((course.gave_up.as_deref(), course.visits.len()), (Some("visit 1: no request"), 0));
        std::fs::remove_file(&log).expect("a log");
    });
}

/// Browsers open connections that they may need later.
#[test]
fn a_connection_that_was_not_used_is_closed_before_the_next_visit() {
    in_namespace(|lab| {
        let second = SocketAddr::from(([198, 18, 2, 1], 80));
        let mut spares = Vec::new();
        let client = move || {
            let spare = TcpStream::connect(second).map_err(|error| error.to_string())?;
            spares.push(spare);
            if let [.., last, _] = &mut spares[..] {
                // The one of the visit before.
                let read = last.read(&mut [0]).map_err(|error| error.to_string())?;
                assert_eq!(read, 0);
            }
            TcpStream::connect(second).and_then(fetch).map_err(|error| error.to_string())
        };
        let course = visits(lab, "the best of 4 becomes slow", 4, client);
        assert!(course.visits.iter().all(|visit| (visit.syns, visit.wasted) == (2, 1)), "{course:?}");
        // The spare one, and then the one that the request comes on.
        assert!(course.visits.iter().all(|visit| visit.over > 19.5), "{course:?}");
    });
}
