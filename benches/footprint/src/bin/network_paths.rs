//! Paths through the kernel's network, each in a function of its own for callgrind to count
//! (`--toggle-collect`):
//!
//! ```text
//! network_paths connect_over_std|connect_over_tokio|look_up_by_dns ADDRESS ROUNDS
//! ```
//!
//! Each function goes its path that often. What a process does only once is done before, by functions that
//! are not counted. Nothing here depends on how fast the server is. A connection over the loopback interface
//! is complete when `connect` returns. A lookup goes on when a byte from standard input has said of each of
//! its two questions that the answer has been sent.

#[cfg(not(target_os = "linux"))]
fn main() {}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, path, address, rounds] = &arguments[..] else {
        return Err("give a path, an address, and how often to go there".into());
    };
    paths::walk(path, address.parse()?, rounds.parse()?)
}

#[cfg(target_os = "linux")]
mod paths {
    use std::fs::File;
    use std::hint::black_box;
    use std::io::{self, Read as _};
    use std::net::SocketAddr;

    use connie_std::dns::Dns;
    use connie_std::resolve::{Resolve as _, ResolveEvent, ResolveRequest};
    use connie_std::{Options, OsClock};
    use tokio::runtime::{Builder, Runtime};

    pub fn walk(path: &str, address: SocketAddr, rounds: u16) -> Result<(), Box<dyn std::error::Error>> {
        match path {
            "connect_over_std" => {
                let options = Options::default();
                connie_std::connect(address, &options)?;
                connect_over_std(address, &options, rounds)?;
            }
            "connect_over_tokio" => {
                let runtime = Builder::new_current_thread().enable_all().build()?;
                let options = Options::default();
                runtime.block_on(connie_std::tokio_net::connect(address, &options))?;
                connect_over_tokio(&runtime, address, &options, rounds)?;
            }
            "look_up_by_dns" => {
                // Not buffered: each read takes one byte, however many there are.
                let mut told = File::open("/dev/stdin")?;
                let dns = Dns::new([address]).hosts_file(None);
                look_up(&dns, &mut told, "first.example.test")?;
                look_up_by_dns(&dns, &mut told, rounds)?;
            }
            _ => return Err(format!("{path:?} is no path").into()),
        }
        Ok(())
    }

    #[inline(never)]
    fn connect_over_std(address: SocketAddr, options: &Options, rounds: u16) -> io::Result<()> {
        for _ in 0..rounds {
            black_box(connie_std::connect(address, options)?);
        }
        Ok(())
    }

    #[inline(never)]
    fn connect_over_tokio(
        runtime: &Runtime,
        address: SocketAddr,
        options: &Options,
        rounds: u16,
    ) -> io::Result<()> {
        runtime.block_on(async {
            for _ in 0..rounds {
                black_box(connie_std::tokio_net::connect(address, options).await?);
            }
            Ok(())
        })
    }

    /// One [`Dns`] for all, as a program has it; each name is new to it.
    #[inline(never)]
    fn look_up_by_dns(dns: &Dns, told: &mut File, rounds: u16) -> io::Result<()> {
        for round in 0..rounds {
            look_up(dns, told, &format!("host-{round}.example.test"))?;
        }
        Ok(())
    }

    fn look_up(dns: &Dns, told: &mut File, name: &str) -> io::Result<()> {
        let clock = OsClock::start();
        let mut lookup = dns.lookup(&ResolveRequest::new(name, 80, clock), clock.now());
        for _ in 0..2 {
            told.read_exact(&mut [0])?;
        }
        let mut addresses = 0;
        while let Some(event) = lookup.poll(clock.now()) {
            let ResolveEvent::Answered(answer) = black_box(event) else {
                return Err(io::Error::other("the lookup has failed"));
            };
            addresses += answer.addresses.len();
        }
        if addresses == 2 {
            Ok(())
        } else {
            Err(io::Error::other(format!("{addresses} addresses and not 2")))
        }
    }
}
