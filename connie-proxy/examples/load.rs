//! Measures a proxy's throughput, rate of connections and memory, and the same without a proxy, in one run.
//! Each part has a process of its own.
//!
//! ```sh
//! cargo run --release -p connie-proxy --example load -- throughput
//! cargo run --release -p connie-proxy --example load -- rate
//! cargo run --release -p connie-proxy --example load -- idle
//! cargo run --release -p connie-proxy --example load -- soak
//! ```
//!
//! `throughput [MIB [ROUNDS [GBIT]]]` moves that much through one connection, from the server and to it,
//! directly and through the proxy in turn. The sender sends as fast as it can, or at most GBIT billions of
//! bits a second, as a link would let it. `rate [SECONDS]` opens short connections one after another on eight
//! threads. `idle [CONNECTIONS]` measures the memory that silent connections take.
//! `soak [CONNECTIONS [CLIENTS [SEED]]]` makes connections of all kinds, each of which may end anywhere, and
//! says what the proxy holds after each tenth of them. Everything goes over loopback.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("load: needs Linux, for /proc");
}

#[cfg(target_os = "linux")]
fn main() -> std::io::Result<()> {
    linux::main()
}

#[cfg(target_os = "linux")]
#[path = "../tests/soak/visit.rs"]
mod visit;

#[cfg(target_os = "linux")]
#[allow(clippy::disallowed_methods, reason = "it measures")]
mod linux {
    use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
    use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4, TcpListener, TcpStream};
    use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::{Duration, Instant};

    use connie_proxy::{Proxy, ProxyConfig};
    use connie_std::{Memory, Options, SocketBudget};
    use rustix::time::{ClockId, clock_gettime};

    use crate::visit::{Random, visit};

    const PIECE: usize = 256 * 1024;
    const THREADS: u64 = 8;

    pub fn main() -> io::Result<()> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let number =
            |at, default: u64| arguments.get::<usize>(at).and_then(|it| it.parse().ok()).unwrap_or(default);
        match arguments.first().map_or("", String::as_str) {
            "throughput" => throughput(number(1, 1024), number(2, 5), number(3, 0)),
            "rate" => rate(Duration::from_secs(number(1, 10))),
            "idle" => idle(number(1, 5_000)),
            "soak" => soak(number(1, 1_000_000), number(2, 64), number(3, 23)),
            "proxy-part" => proxy_part(),
            "mover-part" => mover_part(&arguments[1], number(2, 0), number(3, 0)),
            "echo-part" => echo_part(),
            _ => Err(io::Error::other(
                "usage: load throughput [MIB [ROUNDS [GBIT]]] | rate [SECONDS] | idle [CONNECTIONS] | soak [CONNECTIONS [CLIENTS [SEED]]]",
            )),
        }
    }

    /// A part of the measurement in a process of its own. It prints where it listens and then, for each line
    /// on its stdin, how much processor time it has used, in nanoseconds.
    struct Part {
        child: Child,
        stdin: ChildStdin,
        stdout: BufReader<ChildStdout>,
        address: SocketAddr,
    }

    impl Part {
        fn start(arguments: &[&str]) -> io::Result<Self> {
            let mut command = Command::new(std::env::current_exe()?);
            let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
            let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
            let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0).into();
            let mut part = Part { child, stdin, stdout: BufReader::new(stdout), address };
            part.address = part.line()?.parse().map_err(io::Error::other)?;
            Ok(part)
        }

        fn line(&mut self) -> io::Result<String> {
            let mut line = String::new();
            self.stdout.read_line(&mut line)?;
            Ok(line.trim().to_owned())
        }

        fn processor_time(&mut self) -> io::Result<Duration> {
            self.stdin.write_all(b"\n")?;
            let nanos = self.line()?.parse().map_err(io::Error::other)?;
            Ok(Duration::from_nanos(nanos))
        }

        /// How many KiB of RAM and how many descriptors it holds.
        fn holds(&self) -> io::Result<(u64, usize)> {
            let folder = format!("/proc/{}", self.child.id());
            let status = std::fs::read_to_string(format!("{folder}/status"))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or("0");
            let kib = line.trim().trim_end_matches(" kB").parse().map_err(io::Error::other)?;
            Ok((kib, std::fs::read_dir(format!("{folder}/fd"))?.count()))
        }
    }

    impl Drop for Part {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    fn own_processor_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// Prints where this process listens, and then its processor time for each line of stdin.
    fn report(address: SocketAddr) -> io::Result<()> {
        println!("{address}");
        for line in io::stdin().lines() {
            line?;
            println!("{}", own_processor_time().as_nanos());
        }
        Ok(())
    }

    fn proxy_part() -> io::Result<()> {
        raise_limit();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))?;
        let address = listener.local_addr()?;
        let options = Options::new().memory(Memory::new()).budget(SocketBudget::new(20_000));
        let mut config = ProxyConfig::new(options);
        config.limits.clients = 20_000;
        let proxy = Proxy::new(config, vec![listener])?;
        runtime.spawn(proxy.serve(std::future::pending()));
        report(address)
    }

    /// Accepts connections, and sends to them, receives from them or only holds them.
    fn mover_part(direction: &str, bytes: u64, gbit: u64) -> io::Result<()> {
        raise_limit();
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let direction = direction.to_owned();
        std::thread::spawn(move || {
            let mut held = Vec::new();
            for mut stream in listener.incoming().flatten() {
                let _ = match &*direction {
                    "sends" => send(&mut stream, bytes, gbit),
                    "receives" => receive(&mut stream).map(drop),
                    _ => {
                        held.push(stream);
                        Ok(())
                    }
                };
            }
        });
        report(address)
    }

    /// Sends no faster than `gbit` billions of bits a second; 0 for as fast as it can.
    fn send(stream: &mut TcpStream, bytes: u64, gbit: u64) -> io::Result<()> {
        let (piece, mut left, start) = (vec![0x5a; PIECE], bytes, Instant::now());
        while left > 0 {
            // A bit takes 1/GBIT of a nanosecond.
            let due = Duration::from_nanos(((bytes - left) * 8).checked_div(gbit).unwrap_or(0));
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            let count = piece.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            stream.write_all(&piece[..count])?;
            left -= count as u64;
        }
        stream.shutdown(Shutdown::Write)?;
        receive(stream).map(drop)
    }

    fn receive(stream: &mut TcpStream) -> io::Result<u64> {
        let (mut room, mut seen) = (vec![0; PIECE], 0);
        loop {
            match stream.read(&mut room)? {
                0 => return Ok(seen),
                count => seen += count as u64,
            }
        }
    }

    fn echo_part() -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        for _ in 0..THREADS {
            let listener = listener.try_clone()?;
            std::thread::spawn(move || {
                for mut stream in listener.incoming().flatten() {
                    let mut room = [0; 64];
                    // Connections that wait are queued by the kernel.
                    if let Ok(count) = stream.read(&mut room) {
                        let _ = stream.write_all(&room[..count]);
                    }
                }
            });
        }
        report(address)
    }

    /// A connection to the server, through the proxy where there is one.
    fn connect(server: SocketAddr, proxy: Option<SocketAddr>) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(proxy.unwrap_or(server))?;
        if proxy.is_some() {
            let SocketAddr::V4(to) = server else { return Err(io::ErrorKind::InvalidInput.into()) };
            let port = to.port().to_be_bytes();
            stream.write_all(&[&[5, 1, 0, 5, 1, 0, 1][..], &to.ip().octets(), &port].concat())?;
            let mut reply = [0; 12];
            stream.read_exact(&mut reply)?;
            if reply[3] != 0 {
                return Err(io::Error::other(format!("the proxy replied {}", reply[3])));
            }
        }
        Ok(stream)
    }

    /// How long a transfer took, and the processor time of both ends, and that of the proxy.
    type Took = (Duration, Duration, Duration);

    fn throughput(mib: u64, rounds: u64, gbit: u64) -> io::Result<()> {
        let bytes = mib << 20;
        let mut proxy = Part::start(&["proxy-part"])?;
        let at = if gbit > 0 { format!(", sent at {gbit} Gbit/s at most") } else { String::new() };
        println!("{mib} MiB through one connection over loopback{at}, {rounds} rounds; the medians:\n");
        println!(
            "                         MiB/s    of direct   processor time   of direct   that of the proxy"
        );
        for (name, direction) in [("from the server", "sends"), ("to the server", "receives")] {
            let mut server = Part::start(&["mover-part", direction, &bytes.to_string(), &gbit.to_string()])?;
            let mut took: [Vec<Took>; 2] = [Vec::new(), Vec::new()];
            for _ in 0..rounds {
                took[0].push(transfer(&mut server, &mut proxy, false, (direction, bytes, gbit))?);
                took[1].push(transfer(&mut server, &mut proxy, true, (direction, bytes, gbit))?);
            }
            let [direct, relayed] = took.map(|took| middle(&took));
            let rate = |took: Took| mib as f64 / took.0.as_secs_f64();
            let all = |took: Took| (took.1 + took.2).as_secs_f64();
            println!(
                "{name:16} direct  {:6.0}       1.00        {:6.3} s         1.00",
                rate(direct),
                all(direct)
            );
            println!(
                "{name:16} relayed {:6.0}       {:.2}        {:6.3} s         {:.2}             {:.3} s",
                rate(relayed),
                rate(relayed) / rate(direct),
                all(relayed),
                all(relayed) / all(direct),
                relayed.2.as_secs_f64()
            );
        }
        let (kib, descriptors) = proxy.holds()?;
        println!("\nthe proxy at the end: {kib} KiB in RAM, {descriptors} descriptors");
        Ok(())
    }

    fn transfer(
        server: &mut Part,
        proxy: &mut Part,
        relayed: bool,
        what: (&str, u64, u64),
    ) -> io::Result<Took> {
        let before = (own_processor_time(), server.processor_time()?, proxy.processor_time()?);
        let mut stream = connect(server.address, relayed.then_some(proxy.address))?;
        let start = Instant::now();
        if what.0 == "sends" {
            let seen = receive(&mut stream)?;
            if seen != what.1 {
                return Err(io::Error::other(format!("{seen} bytes of {} came", what.1)));
            }
        } else {
            send(&mut stream, what.1, what.2)?;
        }
        let time = start.elapsed();
        let ends = own_processor_time() - before.0 + (server.processor_time()? - before.1);
        Ok((time, ends, proxy.processor_time()? - before.2))
    }

    /// The median of each number.
    fn middle(took: &[Took]) -> Took {
        let of = |pick: fn(&Took) -> Duration| {
            let mut all: Vec<_> = took.iter().map(pick).collect();
            all.sort_unstable();
            all[all.len() / 2]
        };
        (of(|it| it.0), of(|it| it.1), of(|it| it.2))
    }

    fn rate(time: Duration) -> io::Result<()> {
        let (mut proxy, server) = (Part::start(&["proxy-part"])?, Part::start(&["echo-part"])?);
        println!("connections that carry 5 bytes to and fro, one after another on {THREADS} threads:\n");
        for (name, by) in [("direct", None), ("through the proxy", Some(proxy.address))] {
            let (done, failed) = (AtomicU64::new(0), AtomicU64::new(0));
            let (start, before) = (Instant::now(), proxy.processor_time()?);
            std::thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        while start.elapsed() < time {
                            let count = if short(server.address, by).is_ok() { &done } else { &failed };
                            count.fetch_add(1, Ordering::Relaxed);
                        }
                    });
                }
            });
            let (done, failed) = (done.into_inner(), failed.into_inner());
            let a_second = done as f64 / start.elapsed().as_secs_f64();
            let used = proxy.processor_time()? - before;
            let micros = used.as_micros() as f64 / done.max(1) as f64;
            println!(
                "{name:18} {a_second:6.0} a second, {failed} failed; {micros:.0} µs of the proxy's processor time each"
            );
        }
        let (kib, descriptors) = proxy.holds()?;
        println!("\nthe proxy at the end: {kib} KiB in RAM, {descriptors} descriptors");
        Ok(())
    }

    fn short(server: SocketAddr, proxy: Option<SocketAddr>) -> io::Result<()> {
        let mut stream = connect(server, proxy)?;
        stream.write_all(b"hello")?;
        let mut room = [0; 5];
        stream.read_exact(&mut room)
    }

    fn idle(connections: u64) -> io::Result<()> {
        raise_limit();
        let (proxy, server) = (Part::start(&["proxy-part"])?, Part::start(&["mover-part", "holds"])?);
        // Memory that is allocated once.
        drop(connect(server.address, Some(proxy.address))?);
        std::thread::sleep(Duration::from_millis(200));
        let (before, _) = proxy.holds()?;
        let mut held = Vec::new();
        for at in 0..connections {
            let connected = connect(server.address, Some(proxy.address));
            held.push(connected.map_err(|error| io::Error::other(format!("number {at}: {error}")))?);
        }
        let (after, descriptors) = proxy.holds()?;
        println!(
            "{} silent connections: {before} KiB in RAM before, {after} KiB with them, {descriptors} descriptors",
            held.len()
        );
        Ok(())
    }

    fn soak(connections: u64, clients: u64, seed: u64) -> io::Result<()> {
        let (proxy, server) = (Part::start(&["proxy-part"])?, Part::start(&["echo-part"])?);
        println!("{connections} connections of {clients} clients at once, with seed {seed}:\n");
        println!("connections   KiB in RAM   descriptors");
        let (start, each) = (Instant::now(), (connections / 10).div_ceil(clients.max(1)));
        for tenth in 0..10 {
            std::thread::scope(|scope| {
                for client in 0..clients {
                    // Each tenth has others.
                    let random = Random(seed.wrapping_add(tenth * clients + client));
                    let (proxy, server) = (proxy.address, server.address);
                    scope.spawn(move || visits(proxy, server, each, random));
                }
            });
            let (kib, descriptors) = at_rest(&proxy)?;
            println!("{:11}   {kib:10}   {descriptors:11}", (tenth + 1) * each * clients);
        }
        println!("\n{} seconds", start.elapsed().as_secs());
        Ok(())
    }

    fn visits(proxy: SocketAddr, server: SocketAddr, count: u64, mut random: Random) {
        for _ in 0..count {
            // Where there is no free port, a later one finds one.
            match TcpStream::connect(proxy) {
                Ok(client) => visit(client, server, &mut random),
                Err(error) => eprintln!("no connection to the proxy: {error}"),
            }
        }
    }

    /// What the proxy holds when it has as few descriptors as it gets within some seconds.
    fn at_rest(proxy: &Part) -> io::Result<(u64, usize)> {
        let mut least = proxy.holds()?;
        for _ in 0..100 {
            std::thread::sleep(Duration::from_millis(20));
            let now = proxy.holds()?;
            if now.1 < least.1 {
                least = now;
            }
        }
        Ok(least)
    }

    fn raise_limit() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let maximum = getrlimit(Resource::Nofile).maximum;
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
}
