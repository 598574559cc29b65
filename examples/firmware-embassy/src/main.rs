//! Firmware on embassy that fetches a page with reqwless, an HTTP client that knows nothing of connie: it is
//! given a `connie_async::RaceConnect` in the place of a stack, and so gets the address of the host that
//! answers first.
//!
//! The page goes to standard output. How much of the stack was used goes to standard error.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "embassy: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md"
    );
}

#[cfg(target_os = "none")]
mod executor;

#[cfg(target_os = "none")]
mod firmware {
    use connie_async::dns::{Dns, DnsConfig};
    use connie_async::embassy_net::{Buffers, Neighbours, SolicitingDriver, Udp};
    use connie_async::{EmbassyClock, Options, RaceConnect};
    use connie_firmware_qemu::board::Mapped;
    use connie_firmware_qemu::board::console::{Output, finish, say};
    use connie_firmware_qemu::command_line::{CommandLine, Own, Url};
    use connie_firmware_qemu::net::{PATIENCE, Trouble};
    use connie_firmware_qemu::stellaris::Driver;
    use core::fmt::Write as _;
    use core::net::IpAddr;
    use core::time::Duration;
    use embassy_net::tcp::client::{TcpClient, TcpClientState};
    use embassy_net::{ConfigV4, ConfigV6, Ipv4Cidr, Ipv6Cidr, Runner, Stack, StackResources};
    use embassy_net::{StaticConfigV4, StaticConfigV6};
    use embassy_time::with_timeout;
    use embedded_io_async::{ErrorKind, Read as _};
    use reqwless::client::HttpClient;
    use reqwless::request::Method;
    use static_cell::StaticCell;

    /// Sockets, each with 1 KiB of buffers.
    const SOCKETS: usize = 4;
    /// Sockets for names: two questions to two servers.
    const DNS: usize = 4;
    /// For these and DHCP.
    const SLOTS: usize = SOCKETS + DNS + 1;

    /// Two names of 62 letters at most, and eight addresses of each family; two lookups that are woken, and
    /// two servers.
    type Names<'u> = Dns<'u, Udp<'static, DNS>, EmbassyClock, 2, DNS, 2, 2, 64, 128>;

    type Link = SolicitingDriver<'static, Driver<'static, Mapped>>;

    pub struct Network {
        pub stack: Stack<'static>,
        pub runner: Runner<'static, Link>,
        pub neighbours: &'static Neighbours,
    }

    /// The network, from its driver.
    pub fn stack(driver: Driver<'static, Mapped>, wanted: &CommandLine<'_>, seed: u64) -> Option<Network> {
        static RESOURCES: StaticCell<StackResources<SLOTS>> = StaticCell::new();
        static NEIGHBOURS: StaticCell<Neighbours> = StaticCell::new();
        let resources = RESOURCES.try_init_with(StackResources::new)?;
        let neighbours: &Neighbours = NEIGHBOURS.try_init_with(Neighbours::new)?;
        let driver = neighbours.driver(driver);
        let (stack, runner) = embassy_net::new(driver, own_addresses(wanted), resources, seed);
        Some(Network { stack, runner, neighbours })
    }

    fn own_addresses(wanted: &CommandLine<'_>) -> embassy_net::Config {
        let mut config = embassy_net::Config::default();
        config.ipv4 = match wanted.v4 {
            None => ConfigV4::None,
            Some(Own::Automatic) => ConfigV4::Dhcp(embassy_net::DhcpConfig::default()),
            Some(Own::Static(address, prefix)) => ConfigV4::Static(StaticConfigV4 {
                address: Ipv4Cidr::new(address, prefix),
                gateway: wanted.gateway_v4,
                dns_servers: match wanted.dns {
                    Some(IpAddr::V4(server)) => [server].into_iter().collect(),
                    _ => Default::default(),
                },
            }),
        };
        config.ipv6 = match wanted.v6 {
            None => ConfigV6::None,
            Some(Own::Automatic) => ConfigV6::Slaac,
            Some(Own::Static(address, prefix)) => ConfigV6::Static(StaticConfigV6 {
                address: Ipv6Cidr::new(address, prefix),
                gateway: wanted.gateway_v6,
                dns_servers: match wanted.dns {
                    Some(IpAddr::V6(server)) => [server].into_iter().collect(),
                    _ => Default::default(),
                },
            }),
        };
        config
    }

    /// Serves the network, for ever.
    #[embassy_executor::task]
    pub async fn network(mut runner: Runner<'static, Link>) -> ! {
        runner.run().await
    }

    /// Does what the command line says, and ends the program.
    #[embassy_executor::task]
    pub async fn program(
        stack: Stack<'static>,
        neighbours: &'static Neighbours,
        seed: u64,
        wanted: CommandLine<'static>,
    ) {
        let limit = embassy_time::Duration::from_micros(wanted.max_time.as_micros() as u64);
        let code = match with_timeout(limit, page(stack, neighbours, seed, &wanted)).await {
            Ok(Ok(())) => 0,
            Ok(Err(Failed::Trouble(trouble))) => {
                say(format_args!("embassy: {}: {trouble}", wanted.url.host));
                trouble.code()
            }
            Ok(Err(Failed::Client(error))) => {
                say(format_args!("embassy: {}: {error:?}", wanted.url.host));
                match error {
                    reqwless::Error::Dns => Trouble::NoAddress.code(),
                    reqwless::Error::Network(ErrorKind::TimedOut) => Trouble::TimedOut.code(),
                    reqwless::Error::Network(_) => Trouble::NotConnected.code(),
                    // "Weird server reply"
                    _ => 8,
                }
            }
            Err(_) => {
                say(format_args!("embassy: {}: {}", wanted.url.host, Trouble::TimedOut));
                Trouble::TimedOut.code()
            }
        };
        finish(code)
    }

    enum Failed {
        Trouble(Trouble),
        Client(reqwless::Error),
    }

    impl From<reqwless::Error> for Failed {
        fn from(error: reqwless::Error) -> Self {
            Failed::Client(error)
        }
    }

    /// Fetches the page.
    async fn page(
        stack: Stack<'static>,
        neighbours: &'static Neighbours,
        seed: u64,
        wanted: &CommandLine<'_>,
    ) -> Result<(), Failed> {
        configured(stack, wanted).await.map_err(Failed::Trouble)?;
        static STATE: StaticCell<TcpClientState<SOCKETS, 512, 512>> = StaticCell::new();
        static BUFFERS: StaticCell<Buffers<DNS>> = StaticCell::new();
        let state = STATE.try_init_with(TcpClientState::new).ok_or(Failed::Trouble(Trouble::Bug))?;
        let buffers = BUFFERS.try_init_with(Buffers::new).ok_or(Failed::Trouble(Trouble::Bug))?;

        // The whole of connie: between the stack and the client.
        let udp = Udp::new(stack, buffers).with_neighbours(neighbours);
        let names = Names::with_capacities(&udp, EmbassyClock, DnsConfig::default(), seed);
        let options = Options::new().deadline(Duration::from_secs(20));
        let net = RaceConnect::new(TcpClient::new(stack, state), &names, EmbassyClock, options);

        let mut url = Text::new();
        let Url { host, port, path } = wanted.url;
        let bracketed = host.contains(':');
        let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
        write!(url, "http://{open}{host}{close}:{port}{path}").map_err(|_| Failed::Trouble(Trouble::Bug))?;
        // Without TLS: URLs that begin with https:// are not to come here.
        let mut client = HttpClient::new(&net, &net);
        let mut buffer = [0; 1024];
        let mut request = client.request(Method::GET, &url).await?;
        let response = request.send(&mut buffer).await?;
        say(format_args!("{}", response.status.0));
        let mut page = Output::new();
        let mut body = response.body().reader();
        let mut piece = [0; 256];
        loop {
            match body.read(&mut piece).await? {
                0 => return Ok(()),
                length => page.put(piece.get(..length).unwrap_or_default()),
            }
        }
    }

    type Text = heapless::String<384>;

    /// Waits for the addresses that are wanted.
    async fn configured(stack: Stack<'static>, wanted: &CommandLine<'_>) -> Result<(), Trouble> {
        let limit = embassy_time::Duration::from_secs(PATIENCE.as_secs());
        let up = async {
            let missing = |stack: Stack<'_>| {
                let v4 = wanted.v4.is_some() && stack.config_v4().is_none();
                v4 || wanted.v6.is_some() && stack.config_v6().is_none()
            };
            while missing(stack) {
                // It says when the first family is there, and not when the second is.
                embassy_time::Timer::after_millis(20).await;
            }
        };
        with_timeout(limit, up).await.map_err(|_| match stack.config_v4() {
            None if wanted.v4.is_some() => Trouble::NoLease,
            _ => Trouble::NoAdvertisement,
        })
    }
}

#[cfg(target_os = "none")]
mod start {
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::{command_line, finish, say};
    use connie_firmware_qemu::command_line::parse;
    use connie_firmware_qemu::stellaris::Driver;

    use crate::{executor, firmware};

    /// Makes a seed for names of that for the stack: as good as any other.
    const NAMES: u64 = 0x243f_6a88_85a3_08d3;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let Some(board) = Board::take() else { finish(101) };
        let wanted = match command_line().map(parse) {
            Some(Ok(wanted)) if wanted.addresses.is_empty() => wanted,
            Some(Ok(_)) => {
                say(format_args!("embassy: --addresses: not for this firmware, which asks a name server"));
                finish(2)
            }
            Some(Err(error)) => {
                say(format_args!("embassy: {error}"));
                finish(2)
            }
            None => {
                say(format_args!("embassy: the command line is too long, or no text; give less"));
                finish(2)
            }
        };
        let Board { ethernet, clock, seed } = board;
        let driver = Driver::new(ethernet, &executor::FRAME);
        executor::run(clock, |spawner| {
            // Each is asked for once.
            let Some(firmware::Network { stack, runner, neighbours }) =
                firmware::stack(driver, &wanted, seed)
            else {
                finish(101)
            };
            // What comes of the one seed tells nothing of the other.
            let program = firmware::program(stack, neighbours, seed.rotate_left(32) ^ NAMES, wanted);
            let (Ok(network), Ok(program)) = (firmware::network(runner), program) else { finish(101) };
            spawner.spawn(network);
            spawner.spawn(program);
        })
    }
}
