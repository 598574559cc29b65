//! The firmware: fetches a page over the address of a host that answers first.
//!
//! It gets an address of its own, asks for the host's addresses of both families, races them over four sockets, sends a request over the
//! winner and writes the page to standard output. What the race did, as a waterfall, and how much of the stack was used, goes to standard error.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("race: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md");
}

#[cfg(target_os = "none")]
mod firmware {
    use core::net::{IpAddr, SocketAddr};

    use connie_core::http::{Host, HttpConnection, HttpError};
    use connie_core::{Config, Connection, Failure, Instant, Waiter as _};
    use connie_firmware_qemu::board::clock::Clock;
    use connie_firmware_qemu::board::console::{Stream, command_line, finish, say};
    use connie_firmware_qemu::board::{Board, Mapped};
    use connie_firmware_qemu::command_line::{CommandLine, Url, parse};
    use connie_firmware_qemu::net::{self, PATIENCE, Trouble};
    use connie_firmware_qemu::stellaris::Ethernet;
    use connie_smoltcp::smoltcp::iface::Interface;
    use connie_smoltcp::{BoardWaiter, SocketStorage, TcpBuffers, TcpSocket};
    use heapless::Vec;
    use static_cell::{ConstStaticCell, StaticCell};

    /// Sockets, each with 1 KiB of buffers.
    const SOCKETS: usize = 4;
    /// For these, DNS and DHCP.
    const SLOTS: usize = SOCKETS + 2;

    type Stack = connie_smoltcp::Stack<'static, Ethernet<'static, Mapped>, &'static Clock, SOCKETS>;
    type Connector = connie_core::Connector<Stack, 16, SOCKETS, 16>;

    /// Why there is no page.
    enum Failed {
        Trouble(Trouble),
        Race(Failure),
        Http(HttpError),
    }

    impl From<Trouble> for Failed {
        fn from(trouble: Trouble) -> Self {
            Failed::Trouble(trouble)
        }
    }

    impl From<HttpError> for Failed {
        fn from(error: HttpError) -> Self {
            Failed::Http(error)
        }
    }

    #[cortex_m_rt::entry]
    fn main() -> ! {
        finish(run())
    }

    /// Does it all, and answers the exit code.
    fn run() -> u8 {
        let Some(board) = Board::take() else { return Trouble::Bug.code() };
        let wanted = match command_line().map(parse) {
            Some(Ok(wanted)) => wanted,
            Some(Err(error)) => {
                say(format_args!("race: {error}"));
                return 2;
            }
            None => {
                say(format_args!("race: the command line is too long, or no text; give less"));
                return 2;
            }
        };
        let host = wanted.url.host;
        match page(board, &wanted) {
            Ok(()) => 0,
            Err(Failed::Http(error)) => {
                say(format_args!("race: {host}: {error}"));
                error.curl_code()
            }
            Err(Failed::Trouble(trouble)) => {
                say(format_args!("race: {host}: {trouble}"));
                trouble.code()
            }
            Err(Failed::Race(failure)) => {
                let trouble = match failure {
                    Failure::NoDestinations => Trouble::NoAddress,
                    Failure::DeadlineExceeded => Trouble::TimedOut,
                    _ => Trouble::NotConnected,
                };
                say(format_args!("race: {host}: {failure}: {trouble}"));
                trouble.code()
            }
        }
    }

    fn page(mut board: Board, wanted: &CommandLine<'_>) -> Result<(), Failed> {
        let interface = net::interface(&mut board, wanted);
        let clock = board.clock;
        let stack = make_stack(board, interface)?;
        let mut waiter = BoardWaiter(clock);
        let deadline = clock.now() + wanted.max_time;
        let server = configure(stack, &mut waiter, wanted)?;
        let connection = race(stack, &mut waiter, wanted, server, deadline)?;
        fetch(stack, &mut waiter, connection, &wanted.url, deadline)
    }

    /// Not part of its caller, which would keep room for what it needs on the way; nor are those that follow.
    #[inline(never)]
    fn make_stack(board: Board, interface: Interface) -> Result<&'static mut Stack, Trouble> {
        static STACK: StaticCell<Stack> = StaticCell::new();
        static SLOT: StaticCell<[SocketStorage<'static>; SLOTS]> = StaticCell::new();
        static BUFFERS: ConstStaticCell<[TcpBuffers<512, 512>; SOCKETS]> =
            ConstStaticCell::new([const { TcpBuffers::new() }; SOCKETS]);

        let slots = SLOT.try_init_with(|| [SocketStorage::EMPTY; SLOTS]).ok_or(Trouble::Bug)?;
        let buffers = BUFFERS.try_take().ok_or(Trouble::Bug)?;
        let Board { ethernet, clock, seed } = board;
        let stack = STACK.try_init_with(|| Stack::new(interface, ethernet, slots, buffers, clock, seed));
        stack.ok_or(Trouble::Bug)
    }

    /// Tells what the race did.
    #[cfg(feature = "waterfall")]
    fn tell(connector: &Connector, _raced: &Result<Connection<TcpSocket>, Failed>) {
        let style = connie_core::race::Style { unicode: true, colour: false };
        say(format_args!("{}", connector.timeline().waterfall(79, style)));
    }

    #[cfg(not(feature = "waterfall"))]
    fn tell(_connector: &Connector, raced: &Result<Connection<TcpSocket>, Failed>) {
        if let Ok(connection) = raced {
            say(format_args!("connected to {}", connection.destination));
        }
    }

    /// Waits for the addresses that the network gives, and answers whom to ask for names.
    #[inline(never)]
    fn configure(
        stack: &mut Stack,
        waiter: &mut BoardWaiter<&'static Clock>,
        wanted: &CommandLine<'_>,
    ) -> Result<Option<IpAddr>, Trouble> {
        let limit = stack.now() + PATIENCE.min(wanted.max_time);
        #[cfg_attr(not(feature = "dhcp"), expect(unused_mut, reason = "nobody else names one"))]
        let mut server = wanted.dns;
        #[cfg(feature = "dhcp")]
        let mut dhcp = match wanted.v4 {
            Some(connie_firmware_qemu::command_line::Own::Automatic) => {
                Some(connie_smoltcp::Dhcp::start(stack).map_err(|_| Trouble::Bug)?)
            }
            _ => None,
        };
        loop {
            stack.poll();
            #[cfg(feature = "dhcp")]
            if let Some(connie_smoltcp::DhcpEvent::Configured(lease)) =
                dhcp.as_mut().and_then(|dhcp| dhcp.poll(stack))
            {
                if let Some(gateway) = wanted.gateway_v4 {
                    // In place of the one that the server has named.
                    let _ = stack.interface_mut().routes_mut().add_default_ipv4_route(gateway);
                }
                server = server.or(lease.dns_servers.first().copied());
            }
            let Some(missing) = net::missing(stack.interface(), wanted) else { return Ok(server) };
            if stack.now() >= limit {
                return Err(missing);
            }
            let _ = waiter.wait(stack, &mut [], Some(limit));
        }
    }

    /// Connects to the address that answers first: of those on the command line, or of those that the name has.
    #[inline(never)]
    fn race(
        stack: &mut Stack,
        waiter: &mut BoardWaiter<&'static Clock>,
        wanted: &CommandLine<'_>,
        server: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Connection<TcpSocket>, Failed> {
        let config = Config { deadline: Some(deadline.since(stack.now())), ..Config::all_at_once() };
        let mut connector = Connector::new(&config, stack.now());
        let raced = run_race(&mut connector, stack, waiter, wanted, server);
        tell(&connector, &raced);
        raced
    }

    fn run_race(
        connector: &mut Connector,
        stack: &mut Stack,
        waiter: &mut BoardWaiter<&'static Clock>,
        wanted: &CommandLine<'_>,
        server: Option<IpAddr>,
    ) -> Result<Connection<TcpSocket>, Failed> {
        let given = wanted.url.address();
        let given = if wanted.addresses.is_empty() { given.as_slice() } else { &wanted.addresses[..] };
        if given.is_empty() {
            return look_up_and_race(connector, stack, waiter, &wanted.url, server);
        }
        let addresses = given.iter().map(|address| SocketAddr::new(*address, wanted.url.port));
        let addresses: Vec<SocketAddr, 16> = addresses.collect();
        connector.handle_addresses(&addresses, stack.now());
        connector.run(stack, waiter).map_err(Failed::Race)
    }

    #[cfg(feature = "dns")]
    fn look_up_and_race(
        connector: &mut Connector,
        stack: &mut Stack,
        waiter: &mut BoardWaiter<&'static Clock>,
        url: &Url<'_>,
        server: Option<IpAddr>,
    ) -> Result<Connection<TcpSocket>, Failed> {
        use connie_core::Families;
        use connie_smoltcp::{Dns, QueryStorage};

        /// For A and AAAA.
        static QUERIES: StaticCell<[QueryStorage; 2]> = StaticCell::new();

        let server = server.ok_or(Trouble::NoNameServer)?;
        let queries = QUERIES.try_init_with(|| [const { None }; 2]).ok_or(Trouble::Bug)?;
        let mut dns = Dns::start(stack, &[server], queries).map_err(|_| Trouble::Bug)?;
        let lookup = dns.look_up(stack, url.host, url.port, Families::Both);
        let mut lookup = lookup.map_err(|_| Trouble::NoAddress)?;
        lookup.run(connector, stack, waiter).map_err(Failed::Race)
    }

    #[cfg(not(feature = "dns"))]
    fn look_up_and_race(
        _connector: &mut Connector,
        _stack: &mut Stack,
        _waiter: &mut BoardWaiter<&'static Clock>,
        _url: &Url<'_>,
        _server: Option<IpAddr>,
    ) -> Result<Connection<TcpSocket>, Failed> {
        Err(Trouble::NoNameServer.into())
    }

    /// Asks for the page over the winner and writes its body to the host's standard output.
    #[inline(never)]
    fn fetch(
        stack: &mut Stack,
        waiter: &mut BoardWaiter<&'static Clock>,
        connection: Connection<TcpSocket>,
        url: &Url<'_>,
        deadline: Instant,
    ) -> Result<(), Failed> {
        let mut buffer = [0; 1024];
        let host = Host::http(url.host, url.port);
        let mut http = HttpConnection::new(stack, waiter, connection.socket, host, &mut buffer)?;
        http.set_deadline(Some(deadline));
        http.request("GET", url.path, &[("Connection", "close")], b"")?;
        let mut response = http.response()?;
        say(format_args!("{} {}", response.status(), response.reason()));
        let mut page = Stream::output();
        let mut piece = [0; 256];
        loop {
            match response.read(&mut piece)? {
                0 => return Ok(()),
                length => page.put(piece.get(..length).unwrap_or_default()),
            }
        }
    }
}
