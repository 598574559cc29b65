//! What name servers do, and what the firmware in QEMU makes of it: those rows of the table of all drivers
//! that stand for the others. One run looks up a name for each row, one after the other; the servers are real
//! sockets on the link.

#![cfg(target_os = "linux")]

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};

use connie_core::Instant;
use connie_sim::name_servers::{Driver, Found, Kind, Reaction, Row, Sender, Servers, rows};
use connie_std::OsClock;
use connie_tests::clock::pause;
use connie_tests::firmware::{Firmware, STATIC, device, link};
use connie_tests::lab::{in_namespace, ms};

/// The first name server; the others are behind it.
const FIRST: [u8; 4] = [10, 77, 0, 11];
const DRIVER: Driver = Driver { udp_alone: true, servers: 3, ..Driver::LEAST };
/// An emulated processor on a busy machine is late, and never early.
const LATE: u64 = 400;

fn address(index: u8) -> Ipv4Addr {
    let [a, b, c, d] = FIRST;
    Ipv4Addr::new(a, b, c, d + index)
}

fn socket(ip: Ipv4Addr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind((ip, port)).expect("a port");
    socket.set_nonblocking(true).expect("a socket that does not wait");
    socket
}

/// What is to be sent, by the server with which index, from where, and to whom.
type Due = (Vec<u8>, usize, Sender, SocketAddr);

/// The name servers of one row after the other.
struct Stage {
    /// By index.
    servers: Vec<UdpSocket>,
    other_port: UdpSocket,
    other_host: UdpSocket,
    /// Which row is under way, and its servers.
    row: Option<(usize, Servers)>,
    /// By when it is to be sent.
    due: BTreeMap<(Instant, u64), Due>,
    count: u64,
}

impl Stage {
    fn set() -> Self {
        Stage {
            servers: (0..3).map(|index| socket(address(index), 53)).collect(),
            other_port: socket(address(0), 54),
            other_host: socket(address(3), 53),
            row: None,
            due: BTreeMap::new(),
            count: 0,
        }
    }

    /// Takes in what has come, and sends what is due.
    fn serve(&mut self, rows: &[&Row], now: Instant) {
        let mut octets = [0; 512];
        for index in 0..self.servers.len() {
            loop {
                match self.servers[index].recv_from(&mut octets) {
                    Ok((length, client)) => self.take(rows, index, &octets[..length], client, now),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    // An ICMP error: the firmware has closed the port.
                    Err(_) => {}
                }
            }
        }
        while let Some(first) = self.due.first_entry().filter(|first| first.key().0 <= now) {
            let (message, index, sender, client) = first.remove();
            let socket = match sender {
                Sender::Itself => &self.servers[index],
                Sender::OtherPort => &self.other_port,
                Sender::OtherHost => &self.other_host,
            };
            let _ = socket.send_to(&message, client);
        }
    }

    fn take(&mut self, rows: &[&Row], index: usize, query: &[u8], client: SocketAddr, now: Instant) {
        // The first label is the number of a row, or part of the name that an alias of it leads to.
        let label = &query[13..13 + usize::from(query[12])];
        let number = std::str::from_utf8(label).ok().and_then(|label| label.parse().ok());
        if let Some(number) = number.filter(|number| self.row.as_ref().is_none_or(|(row, _)| row != number)) {
            self.row = Some((number, Servers::of(rows[number], now)));
        }
        let (_, servers) = self.row.as_mut().expect("a row that has begun");
        assert!(
            index < servers.count(),
            "{}: a server that it does not have",
            rows[number.unwrap_or(0)].what
        );
        let Some(coming) = servers.ask(index, query, false, now) else { return };
        let Reaction::Says(message, sender) = coming.reaction else {
            panic!("an error that no socket makes")
        };
        self.count += 1;
        self.due.insert((coming.at, self.count), (message, index, sender, client));
    }
}

/// Two letters for each row: how many servers it has, and whether both kinds of address are asked for.
fn path(rows: &[&Row]) -> String {
    let letters =
        |row: &&Row| format!("{}{}", row.servers.len(), if row.kinds().len() > 1 { 'b' } else { 'a' });
    rows.iter().map(letters).collect()
}

/// What was found of a row, each with its time.
fn found(report: &str, number: usize) -> Vec<(String, u64)> {
    let lines = report.lines().filter_map(|line| line.strip_prefix(&format!("{number}: ")));
    let parts = lines.filter_map(|line| line.rsplit_once(" at "));
    parts.map(|(what, millis)| (what.to_owned(), millis.parse().expect("milliseconds"))).collect()
}

#[test]
fn the_rows_that_stand_for_the_others() {
    let Some(firmware) = Firmware::build("names") else { return };
    in_namespace(move |lab| {
        link(lab);
        for index in 0..4 {
            lab.ip(&format!("addr add {}/24 dev {}", address(index), device()));
        }
        let all = rows(&DRIVER).into_iter().filter(|row| row.kernel && !row.kinds().contains(&Kind::Https));
        let rows: Vec<&Row> = all.collect();
        assert!(rows.len() >= 12, "{} rows", rows.len());
        let line = format!("{STATIC} --dns {} http://rows.test/{}", address(0), path(&rows));
        let (mut stage, done) = (Stage::set(), AtomicBool::new(false));
        let clock = OsClock::start();
        let run = std::thread::scope(|scope| {
            let server = scope.spawn(|| {
                while !done.load(Ordering::Relaxed) {
                    stage.serve(&rows, clock.now());
                    pause(ms(1));
                }
            });
            let run = firmware.run(&line);
            done.store(true, Ordering::Relaxed);
            server.join().expect("the servers");
            run
        });
        assert_eq!(run.code, Some(0), "{run}");
        let mut wrong = Vec::new();
        for (number, row) in rows.iter().enumerate() {
            let (found, expected) = (found(&run.report, number), row.found());
            let is_as = |(found, expected): (&(String, u64), &Found)| {
                let text = expected.to_string();
                let (what, _) = text.rsplit_once(" at ").expect("a time");
                // Its clock and ours do not tick together.
                found.0 == what && found.1 + 2 >= expected.millis && found.1 < expected.millis + LATE
            };
            if found.len() != expected.len() || !found.iter().zip(&expected).all(is_as) {
                wrong.push(format!("{}\n  expected {}\n  found    {found:?}", row.what, row.expected));
            }
        }
        assert!(wrong.is_empty(), "{} of {} rows:\n{}\n{run}", wrong.len(), rows.len(), wrong.join("\n"));
    });
}
