//! How do I connect to thousands of hosts with few descriptors?
//!
//! ```text
//! cargo run --release -p connie-examples --bin crawl -- [NAMES] [DESCRIPTORS]
//! ```
//!
//! Fetches a page of each of 5,000 hosts with twelve addresses, of which every fifth is dead and every tenth
//! refuses, in a process that may have 256 descriptors: with connie's races under one `SocketBudget`, and
//! with plain clients that try one address after the other, as many of them. All hosts are on the loopback
//! interface; a process of its own serves them. Ends with 1 where a host that lives was not reached.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("crawl: needs Linux, where all of 127.0.0.0/8 is the machine's own");
}

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    match linux::main() {
        Ok(true) => std::process::ExitCode::SUCCESS,
        Ok(false) => std::process::ExitCode::FAILURE,
        Err(reason) => {
            eprintln!("crawl: {reason}");
            std::process::ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::io::{self, BufRead, BufReader, Read, Write};
    use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
    use std::process::{Child, Command, Stdio};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use connie_std::connie_core::Instant;
    use connie_std::{ConnectErrorKind, Options, OsClock, SocketBudget, connect};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    const ADDRESSES: usize = 12;
    /// What a plain client gives an address. Most clients give it minutes.
    const PATIENCE_OF_PLAIN: Duration = Duration::from_secs(1);
    /// stdin, stdout, stderr, the server's pipe, and some to spare.
    const OTHERS: u64 = 16;

    pub fn main() -> Result<bool, String> {
        let mut arguments = std::env::args().skip(1);
        let first = arguments.next();
        if first.as_deref() == Some("--serve") {
            return serve().map(|()| true).map_err(|error| error.to_string());
        }
        let names = number(first, 5_000)?;
        let descriptors = number(arguments.next(), 256)?;
        let mut server = Server::start().map_err(|error| format!("cannot start the server: {error}"))?;
        let limit = Rlimit { current: Some(descriptors as u64), ..getrlimit(Resource::Nofile) };
        setrlimit(Resource::Nofile, limit).map_err(|error| format!("cannot limit descriptors: {error}"))?;
        let hosts: Vec<Host> = (0..names).map(|name| Host::new(name, &server.ports)).collect();
        let clients = (descriptors as u64).saturating_sub(OTHERS).max(1) as usize;
        println!(
            "{names} hosts of {ADDRESSES} addresses, {descriptors} descriptors, {clients} clients at a time"
        );
        let budget = SocketBudget::new(clients);
        let ours = crawl(&hosts, clients, |host| race(host, &budget));
        ours.print("connie");
        let plain = crawl(&hosts, clients, one_after_the_other);
        plain.print("plain");
        println!("connie fetches {:.1} times as many a second", ours.rate() / plain.rate());
        server.stop();
        Ok(ours.missed == 0 && ours.out_of_descriptors == 0)
    }

    fn number(argument: Option<String>, default: usize) -> Result<usize, String> {
        let parse = |text: String| text.parse().map_err(|_| format!("{text:?} is not a number"));
        argument.map_or(Ok(default), parse)
    }

    /// The ports of the server: one that serves a page, one on which nothing answers, one that refuses.
    #[derive(Clone, Copy)]
    struct Ports {
        alive: u16,
        dead: u16,
        refuses: u16,
    }

    struct Host {
        addresses: Vec<SocketAddr>,
        lives: bool,
    }

    impl Host {
        /// Host number `name`: what its addresses do is drawn from the number.
        fn new(name: usize, ports: &Ports) -> Self {
            let mut state = name as u64;
            let mut lives = false;
            let addresses = (0..ADDRESSES).map(|place| {
                // The generator of Numerical Recipes; its upper bits are good enough to draw from.
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                // Every thousandth host is all dead.
                let port = match (state >> 33) % 10 {
                    _ if name % 1_000 == 999 => ports.dead,
                    0 | 1 => ports.dead,
                    2 => ports.refuses,
                    _ => ports.alive,
                };
                lives |= port == ports.alive;
                let number = name * ADDRESSES + place;
                let ip = Ipv4Addr::new(127, 1 + (number >> 16) as u8, (number >> 8) as u8, number as u8);
                SocketAddr::from((ip, port))
            });
            let addresses = addresses.collect();
            Host { addresses, lives }
        }
    }

    /// What came of a crawl.
    #[derive(Default)]
    struct Tally {
        pages: usize,
        /// Hosts that live and were not reached.
        missed: usize,
        out_of_descriptors: usize,
        seconds: f64,
    }

    impl Tally {
        fn rate(&self) -> f64 {
            self.pages as f64 / self.seconds.max(1e-6)
        }

        fn print(&self, name: &str) {
            println!(
                "  {name:<8}{:>6} pages in {:>6.2} s, {:>6.0} a second; {} live hosts missed, {} times out of descriptors",
                self.pages,
                self.seconds,
                self.rate(),
                self.missed,
                self.out_of_descriptors
            );
        }
    }

    /// What came of one host.
    enum Fetched {
        Page,
        Nothing,
        OutOfDescriptors,
    }

    fn crawl(hosts: &[Host], clients: usize, fetch: impl Fn(&Host) -> Fetched + Sync) -> Tally {
        let clock = OsClock::start();
        let next = AtomicUsize::new(0);
        let work = || {
            let mut tally = Tally::default();
            while let Some(host) = hosts.get(next.fetch_add(1, Ordering::Relaxed)) {
                match fetch(host) {
                    Fetched::Page => tally.pages += 1,
                    Fetched::Nothing => tally.missed += usize::from(host.lives),
                    Fetched::OutOfDescriptors => tally.out_of_descriptors += 1,
                }
            }
            tally
        };
        let mut sum = Tally::default();
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..clients).map(|_| scope.spawn(work)).collect();
            for tally in threads.into_iter().filter_map(|thread| thread.join().ok()) {
                sum.pages += tally.pages;
                sum.missed += tally.missed;
                sum.out_of_descriptors += tally.out_of_descriptors;
            }
        });
        sum.seconds = clock.now().duration_since(Instant::ZERO).as_secs_f64();
        sum
    }

    fn race(host: &Host, budget: &SocketBudget) -> Fetched {
        // As long as a plain client may take in all.
        let deadline = Some(PATIENCE_OF_PLAIN * ADDRESSES as u32);
        let race = Options::default().race.deadline(deadline);
        let options = Options::new().race(race).budget(budget.clone());
        match connect(&host.addresses, &options) {
            Ok(mut stream) => page(&mut stream),
            Err(error) => match error.kind() {
                ConnectErrorKind::Socket(_) => Fetched::OutOfDescriptors,
                _ => Fetched::Nothing,
            },
        }
    }

    fn one_after_the_other(host: &Host) -> Fetched {
        for address in &host.addresses {
            match TcpStream::connect_timeout(address, PATIENCE_OF_PLAIN) {
                Ok(mut stream) => return page(&mut stream),
                Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MFILE.raw_os_error()) => {
                    return Fetched::OutOfDescriptors;
                }
                Err(_) => {}
            }
        }
        Fetched::Nothing
    }

    fn page(stream: &mut (impl Read + Write)) -> Fetched {
        let mut answer = Vec::new();
        let request = b"GET / HTTP/1.0\r\nHost: crawl.test\r\n\r\n";
        let fetched = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
        if fetched.is_ok() && answer.starts_with(b"HTTP/1.0 200 ") { Fetched::Page } else { Fetched::Nothing }
    }

    /// The process that serves all hosts.
    struct Server {
        child: Child,
        ports: Ports,
    }

    impl Server {
        fn start() -> io::Result<Self> {
            let mut child = Command::new(std::env::current_exe()?)
                .arg("--serve")
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()?;
            let stdout = child.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line)?;
            let ports: Vec<u16> = line.split_whitespace().filter_map(|port| port.parse().ok()).collect();
            let [alive, dead, refuses] = ports[..] else { return Err(io::Error::other("no ports")) };
            Ok(Server { child, ports: Ports { alive, dead, refuses } })
        }

        fn stop(&mut self) {
            // It ends with its stdin.
            drop(self.child.stdin.take());
            let _ = self.child.wait();
        }
    }

    impl Drop for Server {
        fn drop(&mut self) {
            self.stop();
        }
    }

    /// Serves until stdin ends.
    fn serve() -> io::Result<()> {
        let alive = TcpListener::bind("0.0.0.0:0")?;
        let (hole, _queue) = black_hole()?;
        // Bound and not listening: it refuses, and nobody else can take the port.
        let refuses =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
        rustix::net::bind(&refuses, &SocketAddr::from(([0, 0, 0, 0], 0)))?;
        let refused = SocketAddr::try_from(rustix::net::getsockname(&refuses)?)?;
        println!("{} {} {}", alive.local_addr()?.port(), hole.port(), refused.port());
        for _ in 0..4 {
            let listener = alive.try_clone()?;
            std::thread::spawn(move || {
                for stream in listener.incoming() {
                    let Ok(mut stream) = stream else { continue };
                    // A loser is reset before it asks.
                    if stream.read(&mut [0; 512]).is_ok_and(|count| count > 0) {
                        let _ = stream.write_all(b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\npage\n");
                    }
                }
            });
        }
        io::copy(&mut io::stdin(), &mut io::sink())?;
        Ok(())
    }

    /// A listener whose queue is full: Linux drops every further SYN, to whichever of its addresses.
    fn black_hole() -> io::Result<(SocketAddr, (rustix::fd::OwnedFd, Vec<TcpStream>))> {
        let listener =
            rustix::net::socket(rustix::net::AddressFamily::INET, rustix::net::SocketType::STREAM, None)?;
        rustix::net::bind(&listener, &SocketAddr::from(([0, 0, 0, 0], 0)))?;
        rustix::net::listen(&listener, 0)?;
        let address = SocketAddr::try_from(rustix::net::getsockname(&listener)?)?;
        let mut queue = Vec::new();
        for _ in 0..16 {
            let to = SocketAddr::from(([127, 0, 0, 1], address.port()));
            match TcpStream::connect_timeout(&to, Duration::from_millis(50)) {
                Ok(filler) => queue.push(filler),
                Err(_) => return Ok((address, (listener, queue))),
            }
        }
        Err(io::Error::other("the queue does not fill"))
    }
}
