//! How does a device connect to whichever of its MQTT brokers answers first? Over smoltcp, here on a TAP device of Linux; on a microcontroller
//! only the device and the `Board` differ.
//!
//! The README of the examples says how to set the device up.

#[cfg(target_os = "linux")]
mod linux {
    use std::error::Error;
    use std::net::IpAddr;
    use std::time::Duration;

    use connie_core::stack::nb;
    use connie_core::stack::{TcpClientStack, Waiter, Watched};
    use connie_core::{Config, Instant, Interest, Wake};
    use connie_examples::tap::{Desktop, open};
    use connie_smoltcp::smoltcp::phy::TunTapInterface;
    use connie_smoltcp::smoltcp::wire::IpCidr;
    use connie_smoltcp::{
        Board as _, BoardWaiter, Dns, DnsBuffers, HostsConnector, SocketStorage, Stack, TcpBuffers,
        TcpSocket, connie_dns::Settings, interface,
    };

    const USAGE: &str =
        "give a TAP device, an address of your own on its network, a name server, and brokers, such as
  tap0 192.0.2.2/24 192.0.2.1 a.example:1883 b.example:1883 192.0.2.1:1884";

    /// CONNECT of MQTT 3.1.1 (section 3.1): a clean session, a keep-alive of a minute, the client `connie`.
    const CONNECT: &[u8] = b"\x10\x12\0\x04MQTT\x04\x02\0\x3c\0\x06connie";
    /// CONNACK (section 3.2): no session, accepted.
    const ACCEPTED: &[u8] = &[0x20, 2, 0, 0];

    type Net<'a> = Stack<'a, TunTapInterface, Desktop>;

    pub fn run() -> Result<(), Box<dyn Error>> {
        let arguments: Vec<String> = std::env::args().skip(1).collect();
        let [name, own, server, brokers @ ..] = arguments.as_slice() else { return Err(USAGE.into()) };
        let own: IpCidr =
            own.parse().map_err(|()| format!("{own:?} is not an address with a prefix length"))?;
        let server: IpAddr = server.parse()?;
        let brokers = brokers.iter().map(|text| broker(text)).collect::<Result<Vec<_>, _>>()?;

        let mut tap = open(name)?;
        let board = Desktop::new(&tap);
        // A microcontroller has a random number generator for this.
        let seed = u64::from(std::process::id());
        let mut interface = interface(&mut tap, [0x02, 0, 0, 0, 0, 2], seed, board.now());
        interface.update_ip_addrs(|addresses| _ = addresses.push(own));

        // Two sockets for each of up to three names that are looked up at once.
        let mut storage = [SocketStorage::EMPTY; 4 + 6];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let mut datagrams: [DnsBuffers; 6] = [const { DnsBuffers::new() }; 6];
        let mut stack = Net::new(interface, tap, &mut storage, &mut buffers, board, seed);
        let dns = Dns::<3>::with_settings(&Settings::default(), &mut stack, &[server], &mut datagrams)?;
        let mut waiter = BoardWaiter(board);

        // One race to all of them.
        let config = Config { deadline: Some(Duration::from_secs(10)), ..Config::all_at_once() };
        let mut connector = HostsConnector::<_, 4, 16, 4, 32, _>::new(&dns, &mut stack, &brokers, &config)?;
        let result = connector.run(&mut stack, &mut waiter);
        eprintln!("{}", connector.timeline().waterfall(80, Default::default()));
        let mut connection = result?;
        let number = connector.host_of(connection.destination).unwrap_or_default();
        println!("{} is connected, at {}", brokers[number].0, connection.destination);

        let until = board.now() + Duration::from_secs(10);
        stack.send(&mut connection.socket, CONNECT).map_err(|error| format!("{error:?}"))?;
        let mut answer = [0; 4];
        read(&mut stack, &mut waiter, &mut connection.socket, &mut answer, until)?;
        println!("{}", if answer == ACCEPTED { "the broker has accepted" } else { "the broker has refused" });
        Ok(())
    }

    fn broker(text: &str) -> Result<(&str, u16), Box<dyn Error>> {
        let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{text:?} is not HOST:PORT"))?;
        Ok((host, port.parse()?))
    }

    /// Fills `buffer`.
    fn read(
        stack: &mut Net<'_>,
        waiter: &mut BoardWaiter<Desktop>,
        socket: &mut TcpSocket,
        buffer: &mut [u8],
        until: Instant,
    ) -> Result<(), Box<dyn Error>> {
        let mut have = 0;
        while have < buffer.len() {
            match stack.receive(socket, &mut buffer[have..]) {
                Ok(0) => return Err("the broker has closed the connection".into()),
                Ok(count) => have += count,
                Err(nb::Error::Other(error)) => return Err(format!("{error:?}").into()),
                Err(nb::Error::WouldBlock) if waiter.0.now() >= until => {
                    return Err("no answer in time".into());
                }
                Err(nb::Error::WouldBlock) => {
                    let mut watched = [Watched::new(&mut *socket, Interest::Receive)];
                    // Woken for nothing, or for news: it looks again.
                    let _: Wake = waiter.wait(stack, &mut watched, Some(until));
                }
            }
        }
        Ok(())
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
