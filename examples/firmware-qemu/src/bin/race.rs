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
    use core::net::IpAddr;

    use connie_core::{Config, Connection, Instant};
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::finish;
    #[cfg(feature = "waterfall")]
    use connie_firmware_qemu::board::console::say;
    #[cfg(not(feature = "waterfall"))]
    use connie_firmware_qemu::board::console::say_connected;
    use connie_firmware_qemu::client::{self, Failed, Waiter, configure, fetch};
    use connie_firmware_qemu::command_line::{CommandLine, Url};
    use connie_firmware_qemu::net::{self, Trouble};
    use connie_smoltcp::smoltcp::iface::Interface;
    use connie_smoltcp::{BoardWaiter, SocketStorage, TcpBuffers, TcpSocket};
    use static_cell::{ConstStaticCell, StaticCell};

    /// Sockets, each with 1 KiB of buffers.
    const SOCKETS: usize = 4;
    /// For these, DNS and DHCP.
    const SLOTS: usize = SOCKETS + 2;

    type Stack = client::Stack<SOCKETS>;
    type Connector = connie_core::Connector<Stack, 16, SOCKETS, 16>;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        finish(client::run("race", page))
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

    /// Not part of its caller, which would keep room for what it needs on the way; nor is the race.
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
        let style = connie_core::timeline::Style { unicode: true, colour: false };
        say(format_args!("{}", connector.timeline().waterfall(79, style)));
    }

    #[cfg(not(feature = "waterfall"))]
    fn tell(_connector: &Connector, raced: &Result<Connection<TcpSocket>, Failed>) {
        if let Ok(connection) = raced {
            say_connected(connection.destination);
        }
    }

    /// Connects to the address that answers first: of those on the command line, or of those that the name has.
    #[inline(never)]
    fn race(
        stack: &mut Stack,
        waiter: &mut Waiter,
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
        waiter: &mut Waiter,
        wanted: &CommandLine<'_>,
        server: Option<IpAddr>,
    ) -> Result<Connection<TcpSocket>, Failed> {
        if wanted.addresses.is_empty() {
            return look_up_and_race(connector, stack, waiter, &wanted.url, server);
        }
        connector.handle_addresses(&wanted.addresses, stack.now());
        connector.run(stack, waiter).map_err(Failed::Race)
    }

    #[cfg(feature = "dns")]
    fn look_up_and_race(
        connector: &mut Connector,
        stack: &mut Stack,
        waiter: &mut Waiter,
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
        _waiter: &mut Waiter,
        _url: &Url<'_>,
        _server: Option<IpAddr>,
    ) -> Result<Connection<TcpSocket>, Failed> {
        Err(Trouble::NoNameServer.into())
    }
}
