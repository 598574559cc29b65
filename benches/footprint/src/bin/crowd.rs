//! A crowd of connects at once under 1,024 descriptors, for `docs/crowds.md`:
//!
//! ```text
//! cargo run --release -p connie-footprint --bin crowd
//! ```
//!
//! Each task of a tokio runtime of one thread connects to a host of three dead addresses and a live one, and
//! drops its connection at once. A crowd with connie's default options stands beside the same with each
//! `max_in_flight` that a program could set by hand, and beside tokio's own connect to the live address
//! behind a semaphore. Dead addresses are loopback listeners whose queue is full; the server is in this
//! process, each crowd in one of its own.

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("crowd: needs Linux, where a full listener is silent");
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => linux::compare(),
        ["crowd", way, size, ref addresses @ ..] => linux::crowd(way, size.parse()?, addresses),
        _ => Err("it takes no arguments".into()),
    }
}

#[cfg(target_os = "linux")]
#[path = "../provenance.rs"]
mod provenance;

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::net::{Ipv4Addr, SocketAddr, TcpListener};
    use std::path::Path;
    use std::process::Command;
    use std::sync::Arc;

    use connie_servers::BlackHole;
    use connie_std::connie_core::Instant;
    use connie_std::{Options, OsClock};
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    use tokio::net::TcpStream;
    use tokio::runtime::Builder;
    use tokio::sync::Semaphore;
    use tokio::task::JoinSet;

    type Result<T> = std::result::Result<T, Box<dyn Error>>;

    const DESCRIPTORS: u64 = 1_024;
    const SIZES: [usize; 3] = [150, 1_000, 10_000];
    /// Most in flight, by hand.
    const BY_HAND: [&str; 5] = ["1", "2", "3", "4", "8"];
    const PERMITS: usize = 900;
    const ROUNDS: usize = 5;

    pub fn compare() -> Result<()> {
        let holes = [2, 3, 4].map(|n| BlackHole::open((Ipv4Addr::new(127, 0, 0, n), 0)));
        let port = serve()?;
        let mut live = 0;
        let measured = crate::provenance::provenance(Path::new(env!("CARGO_MANIFEST_DIR")))?;
        let mut page = format!("{HEAD}{measured}\n\n{TABLE_HEAD}");
        for size in SIZES {
            let mut ways: Vec<(&str, Vec<Crowd>)> =
                ["default", "tokio"].into_iter().chain(BY_HAND).map(|way| (way, Vec::new())).collect();
            // In turn, so that what else the machine does falls on all of them.
            for _ in 0..ROUNDS {
                for (way, crowds) in &mut ways {
                    // An address of its own: connections that have ended keep their ports for a while.
                    live += 1;
                    let [.., high, low] = u32::to_be_bytes(live);
                    let mut addresses: Vec<_> = holes.iter().map(BlackHole::address).collect();
                    addresses.push((Ipv4Addr::new(127, 1, high, low), port).into());
                    crowds.push(run(way, size, &addresses)?);
                }
            }
            let rows: Vec<_> = ways.into_iter().map(|(way, crowds)| (way, Crowd::median(crowds))).collect();
            page.push_str(&table(size, &rows));
        }
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/crowds.md");
        std::fs::write(&path, &page).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        print!("{page}");
        Ok(())
    }

    const HEAD: &str = "# Crowds\n\n\
        Written by `cargo run --release -p connie-footprint --bin crowd`. Do not edit.\n\n\
        So many tokio tasks at once, on one thread of a process with 1,024 descriptors, connect to a host of three dead addresses and a live one\n\
        behind them, and each drops its connection at once. connie's default options stand beside what a program can set by hand, and\n\
        beside tokio's own connect to the live address, behind a semaphore. Over loopback, where a live address answers at once and the rest is\n\
        processor time; the median of five runs, in turn. The targets: with the default options at most 1.3 of the best by hand, and the longest\n\
        wait at most 4 times the median.\n\n";

    const TABLE_HEAD: &str = "| connects | way | all done, ms | of the best by hand | median wait, ms | longest wait, of the median |\n\
        |--:|---|--:|--:|--:|--:|\n";

    fn table(size: usize, rows: &[(&str, Crowd)]) -> String {
        let mut table = String::new();
        let by_hand = rows.iter().filter(|(way, _)| BY_HAND.contains(way));
        let best = by_hand.map(|(_, crowd)| crowd.longest).min().unwrap_or_default().max(1);
        for (way, crowd) in rows {
            let name = match *way {
                "default" => "connie, default options".to_owned(),
                "tokio" => format!("tokio to the live address, semaphore of {PERMITS}"),
                most => format!("connie, `max_in_flight: {most}` by hand"),
            };
            table.push_str(&format!(
                "| {size} | {name} | {:.1} | {:.2} | {:.1} | {:.2} |\n",
                crowd.longest as f64 / 1e3,
                crowd.longest as f64 / best as f64,
                crowd.median as f64 / 1e3,
                crowd.longest as f64 / crowd.median.max(1) as f64,
            ));
        }
        table
    }

    /// How long its members waited, in microseconds.
    #[derive(Clone, Copy)]
    struct Crowd {
        median: u64,
        longest: u64,
    }

    impl Crowd {
        /// The one of the median time.
        fn median(mut crowds: Vec<Crowd>) -> Crowd {
            crowds.sort_by_key(|crowd| crowd.longest);
            crowds[crowds.len() / 2]
        }
    }

    /// A server at every address of this machine. Answers its port.
    fn serve() -> Result<u16> {
        let limit = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
        let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        rustix::net::listen(&listener, 4_096)?;
        let port = listener.local_addr()?.port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                // The client closes first, and has a port that is in use for a while.
                drop(stream);
            }
        });
        Ok(port)
    }

    /// A crowd in a process of its own.
    fn run(way: &str, size: usize, addresses: &[SocketAddr]) -> Result<Crowd> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["crowd", way, &size.to_string()]).args(addresses.iter().map(ToString::to_string));
        let output = command.output()?;
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
        match numbers[..] {
            [median, longest] if output.status.success() => Ok(Crowd { median, longest }),
            _ => Err(format!("{way}, {size}: {}", String::from_utf8_lossy(&output.stderr)).into()),
        }
    }

    /// In the process of a crowd: prints the median and the longest wait.
    pub fn crowd(way: &str, size: usize, addresses: &[&str]) -> Result<()> {
        let limit = Rlimit { current: Some(DESCRIPTORS), maximum: Some(DESCRIPTORS) };
        setrlimit(Resource::Nofile, limit)?;
        let addresses = addresses.iter().map(|it| it.parse()).collect::<std::result::Result<Vec<_>, _>>()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let mut waits = runtime.block_on(wait(way, size, addresses))?;
        waits.sort_unstable();
        println!("{} {}", waits[waits.len() / 2], waits[waits.len() - 1]);
        Ok(())
    }

    async fn wait(way: &str, size: usize, addresses: Vec<SocketAddr>) -> Result<Vec<u64>> {
        let clock = OsClock::start();
        let mut crowd = JoinSet::new();
        let addresses: Arc<[SocketAddr]> = addresses.into();
        let permits = Arc::new(Semaphore::new(PERMITS));
        let mut options = Options::default();
        if let Ok(most) = way.parse() {
            options.race.max_in_flight = most;
        }
        let options = Arc::new(options);
        for _ in 0..size {
            let addresses = addresses.clone();
            if way == "tokio" {
                let permits = permits.clone();
                crowd.spawn(async move {
                    let _permit = permits.acquire().await.map_err(|error| error.to_string())?;
                    let live = addresses.last().ok_or("no address")?;
                    TcpStream::connect(live).await.map_err(|error| error.to_string())?;
                    Ok::<u64, String>(clock.now().duration_since(Instant::ZERO).as_micros() as u64)
                });
            } else {
                let options = options.clone();
                crowd.spawn(async move {
                    let connected = connie_std::tokio_net::connect(&*addresses, &options).await;
                    drop(connected.map_err(|error| error.to_string())?);
                    Ok(clock.now().duration_since(Instant::ZERO).as_micros() as u64)
                });
            }
        }
        let mut waits = Vec::new();
        while let Some(wait) = crowd.join_next().await {
            waits.push(wait??);
        }
        Ok(waits)
    }
}
