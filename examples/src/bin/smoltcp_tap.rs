//! How do I race over smoltcp? Here over a TAP device of Linux; on a microcontroller only the device and the `Board`
//! differ.
//!
//! The README of the examples says how to set the device up.

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::io::Write as _;
    use std::net::SocketAddr;
    use std::time::Duration;

    use connie_core::timeline::Style;
    use connie_core::{Config, Connector};
    use connie_examples::tap::{Desktop, open};
    use connie_http::{Host, HttpConnection};
    use connie_smoltcp::smoltcp::wire::IpCidr;
    use connie_smoltcp::{Board as _, BoardWaiter, SocketStorage, Stack, TcpBuffers, interface};

    const USAGE: &str =
        "give a TAP device, an address of your own on its network, and the addresses of a server, such as
  tap0 192.0.2.2/24 192.0.2.77:8080 192.0.2.1:8080";

    pub fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [name, own, servers @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
        let own: IpCidr =
            own.parse().map_err(|()| format!("{own:?} is not an address with a prefix length"))?;
        let servers = servers.iter().map(|server| server.parse()).collect::<Result<Vec<SocketAddr>, _>>()?;

        let mut tap = open(name)?;
        let board = Desktop::new(&tap);
        // A microcontroller has a random number generator for this.
        let seed = u64::from(std::process::id());
        let mut interface = interface(&mut tap, [0x02, 0, 0, 0, 0, 2], seed, board.now());
        interface.update_ip_addrs(|addresses| _ = addresses.push(own));

        let mut storage = [SocketStorage::EMPTY; 4];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let mut stack = Stack::new(interface, tap, &mut storage, &mut buffers, board, seed);
        let mut waiter = BoardWaiter(board);

        let config = Config { deadline: Some(Duration::from_secs(10)), ..Config::all_at_once() };
        let mut connector = Connector::<_, 16, 4>::new(&config, board.now());
        connector.handle_addresses(&servers, board.now());
        let result = connector.run(&mut stack, &mut waiter);
        eprintln!("{}", connector.timeline().waterfall(80, Style::default()));
        let connection = result?;

        let host = connection.destination.ip().to_string();
        let host = Host::http(&host, connection.destination.port());
        let mut head = [0; 1024];
        let mut http = HttpConnection::new(&mut stack, &mut waiter, connection.socket, host, &mut head)?;
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
