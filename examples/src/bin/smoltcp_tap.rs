//! How do I race over smoltcp? Here over a TAP device of Linux; on a microcontroller only the device and the
//! `Board` differ.
//!
//! The README of the examples says how to set the device up.

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io::Write as _;
    use std::net::SocketAddr;
    use std::os::fd::{AsRawFd as _, RawFd};
    use std::time::Duration;

    use connie_core::timeline::Style;
    use connie_core::{Config, Instant, RaceDriver};
    use connie_http::{Authority, HttpConnection};
    use connie_smoltcp::smoltcp;
    use connie_smoltcp::smoltcp::phy::{self, Medium, TunTapInterface};
    use connie_smoltcp::smoltcp::wire::IpCidr;
    use connie_smoltcp::{Platform, PlatformPoller, SocketStorage, Stack, TcpBuffers, interface};
    use connie_std::OsClock;

    const USAGE: &str =
        "give a TAP device, an address of your own on its network, and the addresses of a server, such as
  tap0 192.0.2.2/24 192.0.2.77:8080 192.0.2.1:8080";

    /// What the program lends to connie: a clock, and a way to sleep until a frame comes.
    #[derive(Clone, Copy)]
    struct Desktop {
        clock: OsClock,
        tap: RawFd,
    }

    impl Platform for Desktop {
        fn now(&self) -> Instant {
            self.clock.now()
        }

        fn idle_until(&self, until: Option<Instant>) {
            let left = until.map(|until| smoltcp::time::Duration::from(until.duration_since(self.now())));
            // Woken early by a signal, connie looks and sleeps again.
            let _ = phy::wait(self.tap, left);
        }
    }

    pub fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [name, own, servers @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
        let own: IpCidr =
            own.parse().map_err(|()| format!("{own:?} is not an address with a prefix length"))?;
        let servers = servers.iter().map(|server| server.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;

        let mut tap = open(name)?;
        let board = Desktop { clock: OsClock::start(), tap: tap.as_raw_fd() };
        // A microcontroller has a random number generator for this.
        let seed = u64::from(std::process::id());
        let mut interface = interface(&mut tap, [0x02, 0, 0, 0, 0, 2], seed, board.now());
        interface.update_ip_addrs(|addresses| _ = addresses.push(own));

        let mut storage = [SocketStorage::EMPTY; 4];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let mut stack = Stack::new(interface, tap, &mut storage, &mut buffers, board, seed);
        let mut poller = PlatformPoller(board);

        let config = Config::all_at_once().deadline(Some(Duration::from_secs(10)));
        let mut driver = RaceDriver::<_, 16, 4>::new(&config, board.now());
        driver.handle_addresses(&servers, board.now());
        let result = driver.run(&mut stack, &mut poller);
        eprintln!("{}", driver.timeline().waterfall(80, Style::default()));
        let connection = result?;

        let host = connection.destination.ip().to_string();
        let host = Authority::http(&host, connection.destination.port());
        let mut head = [0; 1024];
        let mut http = HttpConnection::new(&mut stack, &mut poller, connection.socket, host, &mut head)?;
        http.request("GET", "/", &[("Accept", "*/*")], b"")?;
        let mut response = http.response()?;
        eprintln!("{} {}", response.status(), response.reason());
        let mut part = [0; 256];
        loop {
            match response.read(&mut part)? {
                0 => return Ok(()),
                count => std::io::stdout().write_all(&part[..count])?,
            }
        }
    }

    fn open(name: &str) -> Result<TunTapInterface, String> {
        // A device that is up and has an IPv4 address has a route. Over one that is down smoltcp's device
        // panics.
        let routes = std::fs::read_to_string("/proc/self/net/route").map_err(|error| error.to_string())?;
        if !routes.lines().any(|route| route.split_whitespace().next() == Some(name)) {
            return Err(format!(
                "there is no device {name} that is up and has an IPv4 address: see examples/README.md"
            ));
        }
        TunTapInterface::new(name, Medium::Ethernet).map_err(|error| format!("{name}: {error}"))
    }
}

#[cfg(target_os = "linux")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    linux::run()
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("TAP devices are Linux's");
    std::process::exit(1);
}
