//! What the races of a soak run over, and what changes meanwhile.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use connie_std::{Connected, SocketBudget};
use connie_tests::clock::pause;
use connie_tests::servers::BlackHole;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const SERVERS: u8 = 4;
const HOLES: u8 = 3;
/// Of all races together, fewer than they would take.
const SOCKETS: usize = 24;

/// A source of numbers that a seed decides (splitmix64).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64, number: u64) -> Self {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ number);
        random.next();
        Random(random.next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `most`, which is not 0.
    pub fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }
}

/// Servers at 127.1.0.1 and after, all at one port. The same port of other addresses is a black hole, or
/// refuses.
pub struct World {
    port: u16,
    _holes: Vec<BlackHole>,
    budget: SocketBudget,
}

/// Where a race goes.
pub struct Target {
    pub addresses: Vec<SocketAddr>,
    pub port: u16,
    /// Which of them answers.
    pub live: Option<SocketAddr>,
}

impl Target {
    pub fn ips(&self) -> Vec<IpAddr> {
        self.addresses.iter().map(SocketAddr::ip).collect()
    }
}

impl World {
    pub fn open() -> Self {
        let first = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let port = first.local_addr().expect("an address").port();
        serve(first);
        for number in 1..SERVERS {
            serve(TcpListener::bind((server(number), port)).expect("a port of our own"));
        }
        let holes = (0..HOLES).map(|number| BlackHole::open((hole(number), port))).collect();
        World { port, _holes: holes, budget: SocketBudget::new(SOCKETS) }
    }

    /// How many threads it has.
    pub fn threads(&self) -> usize {
        usize::from(SERVERS)
    }

    pub fn budget(&self, waits: Duration) -> SocketBudget {
        self.budget.clone().waits(waits)
    }

    pub fn budget_is_free(&self) -> bool {
        self.budget.free() == SOCKETS
    }

    /// What `localhost` leads to.
    pub fn localhost(&self) -> Target {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        Target { addresses: vec![address], port: self.port, live: Some(address) }
    }

    /// Up to eight addresses that are silent or refuse, and among nine of ten of them one server.
    pub fn target(&self, random: &mut Random) -> Target {
        let at = |ip: Ipv4Addr| SocketAddr::from((ip, self.port));
        let dead = 1 + random.below(8);
        let mut addresses: Vec<SocketAddr> = (0..dead)
            .map(|number| match random.below(4) {
                0 => at(Ipv4Addr::new(127, 3, 0, number as u8)),
                _ => at(hole(random.below(HOLES.into()) as u8)),
            })
            .collect();
        let live = (random.below(10) > 0).then(|| at(server(random.below(SERVERS.into()) as u8)));
        if let Some(live) = live {
            addresses.insert(random.below(dead + 1) as usize, live);
        }
        Target { addresses, port: self.port, live }
    }
}

fn server(number: u8) -> Ipv4Addr {
    if number == 0 { Ipv4Addr::LOCALHOST } else { Ipv4Addr::new(127, 1, 0, number) }
}

fn hole(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 0, number)
}

/// Accepts and closes, to the end of the process.
fn serve(listener: TcpListener) {
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if stream.is_err() {
                // Out of descriptors, for now.
                pause(Duration::from_millis(1));
            }
        }
    });
}

/// What changes while races run: how many winners keep their places in the budget, and how many descriptors
/// the process may have.
#[derive(Default)]
pub struct Weather {
    kept: Mutex<VecDeque<Connected>>,
    most_kept: AtomicUsize,
    storms: AtomicU64,
    stormy: AtomicBool,
    over: AtomicBool,
}

impl Weather {
    /// How many times the limit of descriptors has been low.
    pub fn storms(&self) -> u64 {
        self.storms.load(Ordering::SeqCst)
    }

    pub fn is_stormy(&self) -> bool {
        self.stormy.load(Ordering::SeqCst)
    }

    /// Keeps a winner for a while.
    pub fn keep(&self, stream: Connected) {
        self.kept.lock().unwrap().push_back(stream);
        self.let_go();
    }

    /// Lets go of those that are too many.
    fn let_go(&self) {
        let mut gone = Vec::new();
        let mut kept = self.kept.lock().unwrap();
        while kept.len() > self.most_kept.load(Ordering::Relaxed) {
            gone.extend(kept.pop_front());
        }
        drop(kept);
    }

    /// Changes all that until the races are over.
    pub fn blow(&self, seed: u64) {
        let usual = getrlimit(Resource::Nofile);
        let mut random = Random::new(seed, u64::MAX);
        while !self.over.load(Ordering::SeqCst) {
            // The whole budget at times: then races wait for a place.
            self.most_kept.store(random.below(SOCKETS as u64 + 1) as usize, Ordering::Relaxed);
            self.let_go();
            // For a twentieth of the time.
            if random.below(20) == 0 {
                self.stormy.store(true, Ordering::SeqCst);
                self.storms.fetch_add(1, Ordering::SeqCst);
                let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(30 + random.below(40)), ..usual });
                pause(Duration::from_millis(5));
                let _ = setrlimit(Resource::Nofile, usual);
                self.stormy.store(false, Ordering::SeqCst);
            } else {
                pause(Duration::from_millis(5));
            }
        }
        self.most_kept.store(0, Ordering::Relaxed);
        self.let_go();
    }

    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }
}

/// The memory of this process that is in RAM, in bytes.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<usize>().ok()).unwrap_or(0) * 1024
}
