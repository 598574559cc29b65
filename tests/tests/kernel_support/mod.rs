//! What the tests of connie against a real kernel share: a race, and what they say about it afterwards.
#![allow(dead_code, reason = "every test binary uses a part of it")]

pub mod alone;
pub mod machine;
pub mod traced;

use std::net::{IpAddr, Ipv6Addr, SocketAddr, TcpListener};
use std::time::Duration;

use connie_core::timeline::Style;
use connie_core::{Config, Failure, Pacing, Timeline};
use connie_std::{ConnectError, ConnectErrorKind, Connected, Options, connect};
use connie_tests::clock::{poll_until, timed};
use connie_tests::lab::{Closing, Lab, TcpSocket, TcpState, ms};

/// The port of every remote address.
pub const PORT: u16 = 8080;
/// How late a race may end when both cores are busy. It may never end early.
pub const LATE: Duration = ms(60);
/// What happens at once takes at most this long.
pub const AT_ONCE: Duration = ms(20);

/// The addresses with the port of all tests.
pub fn at(addresses: impl IntoIterator<Item = IpAddr>) -> Vec<SocketAddr> {
    addresses.into_iter().map(|address| SocketAddr::new(address, PORT)).collect()
}

/// Every IPv4 and IPv6 address of the namespace.
pub fn everywhere() -> SocketAddr {
    (Ipv6Addr::UNSPECIFIED, PORT).into()
}

/// A listener that never accepts: the kernel completes the handshakes, and this process has no descriptor for
/// them.
#[track_caller]
pub fn unattended() -> TcpListener {
    TcpListener::bind(everywhere()).expect("a free port")
}

/// A race for which every address is started at once, over at most `sockets` sockets.
pub fn all_at_once(sockets: usize) -> Config {
    Config::all_at_once().max_in_flight(sockets)
}

/// As far apart as the standard lets two starts be: whatever comes sooner was not paced.
pub fn slowly() -> Config {
    Config::staggered().pacing(Pacing::Staggered { delay: Config::MAX_DELAY, growth_percent: 100 })
}

/// The race, with all else as it comes.
pub fn options(race: Config) -> Options {
    Options::new().race(race)
}

/// A race that was run.
pub struct Raced {
    result: Result<Connected, ConnectError>,
    took: Duration,
}

/// Runs a race.
pub fn race(addresses: &[SocketAddr], options: &Options) -> Raced {
    on_your_marks();
    let (result, took) = timed(|| connect(addresses, options));
    Raced { result, took }
}

/// To be called before time is measured: asks for the processor before others, and watches how late the
/// machine is.
pub fn on_your_marks() {
    machine::hurry();
    machine::watch();
}

impl Raced {
    /// This address has won, no sooner than `expected` after the start of the race, and not [`LATE`].
    #[track_caller]
    pub fn won_by(self, winner: IpAddr, expected: Duration) -> Connected {
        let connected = self.result.unwrap_or_else(|error| panic!("{}", explain(&error)));
        let waterfall = drawing(&connected.timeline());
        assert_eq!(connected.destination().ip(), winner, "\n{waterfall}");
        assert_eq!(connected.peer_addr().expect("a peer").ip(), winner, "not connected\n{waterfall}");
        in_time(self.took, expected, &waterfall);
        connected
    }

    /// Nobody has won, for this reason, and the race was over no sooner than `expected` after its start, and
    /// not [`LATE`].
    #[track_caller]
    pub fn lost(self, why: Failure, expected: Duration) -> ConnectError {
        let took = self.took;
        let error = self.lost_to(why);
        in_time(took, expected, &explain(&error));
        error
    }

    /// Nobody has won, for this reason.
    #[track_caller]
    pub fn lost_to(self, why: Failure) -> ConnectError {
        let error = match self.result {
            Ok(connected) => {
                panic!("{} has won\n{}", connected.destination(), drawing(&connected.timeline()))
            }
            Err(error) => error,
        };
        let text = explain(&error);
        assert!(matches!(error.kind(), ConnectErrorKind::Race(failure, _) if *failure == why), "{text}");
        error
    }
}

fn explain(error: &ConnectError) -> String {
    let waterfall = error.timeline().map(|timeline| drawing(&timeline));
    format!("{error}\n{}", waterfall.unwrap_or_default())
}

fn drawing(timeline: &Timeline<'_>) -> String {
    timeline.waterfall(100, Style::default()).to_string()
}

/// `took`, which ended a moment ago, is no less than `expected`, and not [`LATE`] but for what the whole
/// machine was late.
#[track_caller]
pub fn in_time(took: Duration, expected: Duration, context: &str) {
    assert!(took >= expected, "{took:?}, early for {expected:?}\n{context}");
    let machine = machine::lateness(took + ms(100));
    let latest = expected + LATE + machine;
    assert!(took <= latest, "{took:?}, late for {expected:?}; the machine was {machine:?} late\n{context}");
}

/// The outcome of every attempt, in the order of their starts.
pub fn outcomes(timeline: &Timeline<'_>) -> Vec<(IpAddr, &'static str)> {
    let name = |it: connie_core::timeline::Attempt| it.outcome.map_or("open", |outcome| outcome.name());
    timeline.attempts().map(|it| (it.destination.ip(), name(it))).collect()
}

/// When each attempt on this address started, counted from the start of the race.
pub fn starts(timeline: &Timeline<'_>, address: IpAddr) -> Vec<Duration> {
    timeline.attempts().filter(|it| it.destination.ip() == address).map(|it| it.started).collect()
}

/// How many attempts ended like this.
pub fn count(timeline: &Timeline<'_>, outcome: &str) -> usize {
    outcomes(timeline).iter().filter(|(_, it)| *it == outcome).count()
}

/// On the wire and in the kernel nothing is left of a race but the winner's connection: losers were reset or
/// vanished while their SYN waited, none said goodbye in order, and the winner was never reset.
#[track_caller]
pub fn only_the_winner_is_left(lab: &Lab, winner: &Connected) {
    let client = winner.local_addr().expect("an address");
    let sockets = sockets_when(lab, |sockets| sockets.len() == 1);
    assert!(
        matches!(&sockets[..], [only] if only.local == client && only.state == TcpState::Established),
        "beside the winner {client}: {sockets:?}"
    );
    let log = lab.wait_until_closed(&[client]);
    assert!(log.attempt_of(client).is_some_and(|it| it.is_open()), "the winner {client} was closed\n{log}");
    assert!(
        log.attempts().iter().all(|it| it.closing() != Some(Closing::Fin)),
        "a loser said goodbye\n{log}"
    );
    let established = log.attempts().iter().filter(|it| it.client != client && it.established.is_some());
    for loser in established {
        assert_eq!(loser.closing(), Some(Closing::Reset), "an established loser\n{log}");
    }
}

/// Ends a winner's connection without a trace: an orderly close would leave a socket in TIME-WAIT for the
/// next race to find.
#[track_caller]
pub fn abandon(lab: &Lab, winner: Connected) {
    rustix::net::sockopt::set_socket_linger(&*winner, Some(Duration::ZERO)).expect("an option");
    drop(winner);
    nothing_is_left(lab);
}

/// Nothing at all is left of a race: no socket in the kernel, nothing open on the wire.
#[track_caller]
pub fn nothing_is_left(lab: &Lab) {
    assert_eq!(sockets_when(lab, |sockets| sockets.is_empty()), [], "sockets after the end of the race");
    lab.wait_until_closed(&[]);
}

/// The sockets once they are as expected, or after a while: a test beside this one may be starting a process,
/// which holds copies of every socket until it is another program. The system calls tell that they are closed
/// in time, see `kernel_calls.rs`.
fn sockets_when(lab: &Lab, expected: impl Fn(&[TcpSocket]) -> bool) -> Vec<TcpSocket> {
    let mut sockets = Vec::new();
    poll_until(ms(500), || {
        sockets = lab.client_sockets();
        expected(&sockets)
    });
    sockets
}
