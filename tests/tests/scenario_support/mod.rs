//! A scenario: who is there, how the race is run, and what must come of it.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

use connie_core::timeline::Style;
use connie_core::{Config, Failure, Poller, RaceDriver, RaceStack};
use connie_http::{Authority, HttpConnection};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::{PlatformPoller, SocketStorage, Stack, TcpBuffers};
use connie_std::{OsPoller, OsStack};
use connie_tests::guest::Guest;
use connie_tests::lab::{Behaviour, Closing, Lab, WireLog, ms};
use connie_tests::servers::Nginx;

use crate::kernel_support::machine::lateness;
use crate::kernel_support::{LATE, PORT, in_time, on_your_marks};

/// Behind every address that accepts.
const PAGE: &[u8] = b"the page\n";
const SERVER_PORT: u16 = 8081;
/// How long the wire may take to show that all is over.
const WIRE_LIMIT: Duration = Duration::from_secs(5);

/// How often a race may be late.
const TRIES: usize = 5;

/// What must come of a race.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Wins(IpAddr),
    Fails(Failure),
}

/// Who is there, how the race is run, and what must come of it.
pub struct Scenario {
    race: Config,
    addresses: Vec<(IpAddr, Behaviour)>,
    end: Option<End>,
    after: Duration,
    syns: usize,
}

impl Scenario {
    /// A race for all addresses at once over so many sockets.
    pub fn over(sockets: usize) -> Self {
        Self::of(Config::all_at_once().max_in_flight(sockets))
    }

    pub fn of(race: Config) -> Self {
        Self { race, addresses: Vec::new(), end: None, after: Duration::ZERO, syns: 0 }
    }

    /// One more address. Those that accept lead to nginx.
    pub fn at(mut self, address: IpAddr, behaviour: Behaviour) -> Self {
        self.addresses.push((address, behaviour.to_port(SERVER_PORT)));
        self
    }

    /// This address wins so long after the start.
    pub fn wins(mut self, address: IpAddr, after: Duration) -> Self {
        (self.end, self.after) = (Some(End::Wins(address)), after);
        self
    }

    /// Nobody wins, and the race is over so long after the start.
    pub fn fails(mut self, failure: Failure, after: Duration) -> Self {
        (self.end, self.after) = (Some(End::Fails(failure)), after);
        self
    }

    /// So many SYNs are sent until then, the repeated ones included.
    pub fn syns(mut self, count: usize) -> Self {
        self.syns = count;
        self
    }

    pub fn on_the_kernel(&self, lab: &Lab) {
        // The kernel's sockets are closed and replaced within microseconds, and the wire asks for those that
        // may be gone every 2 ms (see `WireLog::most_open`): one round may be counted beside the next.
        let seen = self.race.max_in_flight.saturating_mul(2);
        self.play(lab, seen, |stage| stage.play(OsStack::default(), OsPoller::new(None)));
    }

    pub fn on_smoltcp_over_tun(&self, lab: &Lab) {
        self.on_smoltcp(lab, Guest::plug_in(lab, Medium::Ip));
    }

    pub fn on_smoltcp_over_tap(&self, lab: &Lab) {
        self.on_smoltcp(lab, Guest::plug_in(lab, Medium::Ethernet));
    }

    /// With as many sockets as the race may use, and no more.
    fn on_smoltcp(&self, lab: &Lab, guest: Guest) {
        let seen = self.race.max_in_flight;
        let guest = || guest.clone();
        match seen {
            1 => self.play(lab, seen, |stage| stage.play_on_smoltcp::<1>(guest())),
            4 => self.play(lab, seen, |stage| stage.play_on_smoltcp::<4>(guest())),
            8 => self.play(lab, seen, |stage| stage.play_on_smoltcp::<8>(guest())),
            12 => self.play(lab, seen, |stage| stage.play_on_smoltcp::<12>(guest())),
            other => panic!("no scenario has {other} sockets"),
        }
    }

    /// Plays the scenario until the race was not late, which on a busy machine it may be now and then; the
    /// last time it may not. It may never be early. At most `seen` sockets may be open at once, as the wire
    /// sees it.
    fn play(&self, lab: &Lab, seen: usize, client: impl Fn(Stage<'_>) + Sync) {
        let Some(_nginx) = Nginx::start(SERVER_PORT, &[("page", PAGE)]) else { return };
        for _ in 1..TRIES {
            if !self.play_once(lab, seen, &client).is_some_and(|raced| self.is_late(&raced)) {
                return;
            }
        }
        if let Some(raced) = self.play_once(lab, seen, &client) {
            in_time(raced.took, self.after, &format!("the last of several tries\n{}", raced.drawing));
        }
    }

    /// Whether the race, or the machine during the race, was so late that another may rightly have won.
    fn is_late(&self, raced: &Raced) -> bool {
        raced.took > self.after + LATE || raced.machine > LATE
    }

    /// Lets `client` race on a thread of its own, judges what came of it unless it was late, and then lets it
    /// fetch the page. `None` where the client has panicked, which tells more.
    fn play_once(&self, lab: &Lab, seen: usize, client: &(impl Fn(Stage<'_>) + Sync)) -> Option<Raced> {
        lab.clear_log();
        self.addresses.iter().for_each(|(address, behaviour)| lab.set(*address, *behaviour));
        let ((report, reported), (go_on, told)) = (channel(), channel());
        thread::scope(move |scope| {
            scope.spawn(move || client(Stage { scenario: self, report, told }));
            let raced: Raced = reported.recv().ok()?;
            assert!(
                raced.took >= self.after,
                "{:?}, early for {:?}\n{}",
                raced.took,
                self.after,
                raced.drawing
            );
            if !self.is_late(&raced) {
                self.judge(lab, seen, &raced);
            }
            go_on.send(()).expect("the client waits");
            Some(raced)
        })
    }

    #[track_caller]
    fn judge(&self, lab: &Lab, seen: usize, raced: &Raced) {
        let text = &raced.drawing;
        let end = match raced.result {
            Ok(winner) => End::Wins(winner.ip()),
            Err(failure) => End::Fails(failure),
        };
        assert_eq!(Some(end), self.end, "\n{text}");

        let open = usize::from(matches!(end, End::Wins(_)));
        // The winner's last segment of the handshake may still be under way.
        let log = lab.wait_until(WIRE_LIMIT, |log| {
            let left = log.open();
            left.len() == open && left.iter().all(|winner| winner.established.is_some())
        });
        if let End::Wins(winner) = end {
            assert_eq!(log.open()[0].remote.ip(), winner, "{log}");
        }
        self.judge_losers(&log);
        let syns: usize = log.attempts().iter().map(|attempt| attempt.syns.len()).sum();
        assert_eq!(syns, self.syns, "SYNs on the wire\n{log}\n{text}");
        assert!(log.most_open() <= seen, "too many sockets\n{log}\n{text}");
        assert!(raced.max_in_flight <= self.race.max_in_flight, "too many attempts\n{text}");
    }

    /// Losers that were established were reset, and none said goodbye.
    #[track_caller]
    fn judge_losers(&self, log: &WireLog) {
        for loser in log.attempts().iter().filter(|attempt| !attempt.is_open()) {
            assert_ne!(loser.closing(), Some(Closing::Fin), "a loser said goodbye\n{log}");
            if loser.established.is_some() {
                assert_eq!(loser.closing(), Some(Closing::Reset), "an established loser\n{log}");
            }
        }
    }
}

/// What came of a race.
struct Raced {
    result: Result<SocketAddr, Failure>,
    took: Duration,
    /// How late the machine was meanwhile.
    machine: Duration,
    max_in_flight: usize,
    drawing: String,
}

/// What a client needs to play its part.
struct Stage<'s> {
    scenario: &'s Scenario,
    report: Sender<Raced>,
    told: Receiver<()>,
}

impl Stage<'_> {
    fn play_on_smoltcp<const SOCKETS: usize>(self, guest: Guest) {
        let mut storage = [const { SocketStorage::EMPTY }; SOCKETS];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; SOCKETS];
        let interface = guest.interface();
        // Other ports each time, or a server would still be in TIME-WAIT with the last one's.
        static STARTS: AtomicU64 = AtomicU64::new(7);
        let seed = STARTS.fetch_add(1, Ordering::Relaxed);
        let stack = Stack::new(interface, guest.clone(), &mut storage, &mut buffers, guest.clone(), seed);
        self.play(stack, PlatformPoller(guest));
    }

    /// The whole part, the same for every stack.
    fn play<S: RaceStack, W: Poller<S>>(self, mut stack: S, mut poller: W) {
        on_your_marks();
        let addresses: Vec<SocketAddr> =
            self.scenario.addresses.iter().map(|(address, _)| SocketAddr::new(*address, PORT)).collect();
        let start = poller.now();
        let mut race = RaceDriver::<S, 16, 16, 64>::new(&self.scenario.race, start);
        race.handle_addresses(&addresses, start);
        let result = race.run(&mut stack, &mut poller);
        let took = poller.now().duration_since(start);
        let machine = lateness(took);
        let drawing = race.timeline().waterfall(100, Style::default()).to_string();
        let max_in_flight = race.timeline().summary().max_in_flight;
        let (socket, result) = match result {
            Ok(connection) => (Some(connection.socket), Ok(connection.destination)),
            Err(failure) => (None, Err(failure)),
        };
        let destination = result;
        self.report.send(Raced { result, took, machine, max_in_flight, drawing }).expect("the test listens");
        // A stack in user space lives only while it is served.
        while self.told.try_recv().is_err_and(|error| error == std::sync::mpsc::TryRecvError::Empty) {
            let until = poller.now() + ms(2);
            let _ = poller.wait(&mut stack, &mut [], Some(until));
        }
        if let (Some(socket), Ok(destination)) = (socket, destination) {
            fetch(&mut stack, &mut poller, socket, destination);
        }
    }
}

/// The winner serves the page.
fn fetch<S: RaceStack, W: Poller<S>>(
    stack: &mut S,
    poller: &mut W,
    socket: S::TcpSocket,
    destination: SocketAddr,
) {
    let name = destination.ip().to_string();
    let (mut head, mut body) = ([0; 1024], [0; 64]);
    let host = Authority::http(&name, destination.port());
    let mut http = HttpConnection::new(stack, poller, socket, host, &mut head).expect("a connection");
    http.set_timeout(Some(Duration::from_secs(5)));
    http.request("GET", "/page", &[], b"").expect("a request sent");
    let mut response = http.response().expect("an answer");
    assert_eq!(response.status(), 200);
    let mut length = 0;
    loop {
        match response.read(&mut body[length..]).expect("a body") {
            0 => break,
            count => length += count,
        }
    }
    assert_eq!(&body[..length], PAGE);
}
