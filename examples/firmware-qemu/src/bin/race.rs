//! The firmware: fetches a page over the address of a host that answers first.
//!
//! It gets an address of its own, asks for the host's addresses of both families, races them over four
//! sockets, sends a request over the winner and writes the page to standard output. What the race did, as a
//! waterfall, and how much of the stack was used, goes to standard error.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("race: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md");
}

#[cfg(target_os = "none")]
mod firmware {
    #[cfg(not(feature = "dns"))]
    use connie_core::RaceDriver;
    use connie_core::timeline::Timeline;
    use connie_core::{Config, Connection, Failure, Instant};
    use connie_firmware_qemu::board::console::finish;
    #[cfg(feature = "waterfall")]
    use connie_firmware_qemu::board::console::say;
    #[cfg(not(feature = "waterfall"))]
    use connie_firmware_qemu::board::console::say_connected;
    use connie_firmware_qemu::board::{Board, in_place};
    use connie_firmware_qemu::client::{self, Connected, Failed, Poller, Servers, configure};
    use connie_firmware_qemu::command_line::CommandLine;
    use connie_firmware_qemu::net::{self, Trouble};
    #[cfg(feature = "dns")]
    use connie_smoltcp::StartError;
    use connie_smoltcp::{PlatformPoller, SocketStorage, TcpBuffers, TcpSocket};
    use static_cell::{ConstStaticCell, StaticCell};

    /// Sockets, each with 512 octets for what is received, and 256 for what is sent: a request longer than
    /// that goes out in pieces.
    const SOCKETS: usize = if cfg!(feature = "three-sockets") { 3 } else { 4 };
    /// For these, a question for each family, and DHCP.
    const SLOTS: usize = SOCKETS + QUESTIONS + 1;
    const QUESTIONS: usize = if cfg!(feature = "dns") { 2 } else { 0 };

    /// Attempts that have ended are kept only for the picture.
    const RECORDS: usize = if cfg!(feature = "waterfall") { 16 } else { SOCKETS };

    type Stack = client::Stack<SOCKETS>;
    #[cfg(feature = "dns")]
    type Driver<'d> = connie_smoltcp::DnsDriver<'d, Stack, 16, SOCKETS, RECORDS>;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        finish(client::run("race", connect))
    }

    /// Connects to the address of the URL that answers first.
    // Not inlined, nor are those that follow: its caller would keep room on the stack for what it needs.
    #[inline(never)]
    fn connect(board: Board, wanted: &CommandLine<'_>) -> Result<Connected<SOCKETS>, Failed> {
        let clock = board.clock;
        let stack = make_stack(board, wanted)?;
        let mut poller = PlatformPoller(clock);
        let deadline = clock.now() + wanted.max_time;
        // Before the race has its room on the stack: it is a kilobyte that is moved.
        let names = find_names(stack, &mut poller, wanted)?;
        let connection = race(stack, &mut poller, wanted, &names, deadline)?;
        Ok(Connected { stack, poller, connection, deadline })
    }

    #[inline(never)]
    fn make_stack(mut board: Board, wanted: &CommandLine<'_>) -> Result<&'static mut Stack, Trouble> {
        static STACK: StaticCell<Stack> = StaticCell::new();
        static SLOT: StaticCell<[SocketStorage<'static>; SLOTS]> = StaticCell::new();
        static BUFFERS: ConstStaticCell<[TcpBuffers<512, 256>; SOCKETS]> =
            ConstStaticCell::new([const { TcpBuffers::new() }; SOCKETS]);

        let slots = in_place::array(SLOT.try_uninit().ok_or(Trouble::Bug)?, || SocketStorage::EMPTY);
        let buffers = BUFFERS.try_take().ok_or(Trouble::Bug)?;
        let interface = net::interface(&mut board, wanted);
        let Board { ethernet, clock, seed } = board;
        let stack = STACK.try_init_with(|| Stack::new(interface, ethernet, slots, buffers, clock, seed));
        stack.ok_or(Trouble::Bug)
    }

    /// Waits for the addresses that the network gives, and makes a DNS client of the servers that it names.
    #[inline(never)]
    fn find_names(
        stack: &mut Stack,
        poller: &mut Poller,
        wanted: &CommandLine<'_>,
    ) -> Result<Names, Trouble> {
        let servers = configure(stack, poller, wanted)?;
        start_names(stack, &servers)
    }

    /// Tells what the race did.
    #[cfg(feature = "waterfall")]
    fn tell(timeline: &Timeline<'_>, _raced: &Result<Connection<TcpSocket>, Failure>) {
        let style = connie_core::timeline::Style::default().unicode(true);
        say(format_args!("{}", timeline.waterfall(79, style)));
    }

    #[cfg(not(feature = "waterfall"))]
    fn tell(_: &Timeline<'_>, raced: &Result<Connection<TcpSocket>, Failure>) {
        if let Ok(connection) = raced {
            say_connected(connection.destination);
        }
    }

    /// Connects to the address that answers first: of those on the command line, or of those that the name
    /// has.
    #[cfg(feature = "dns")]
    #[inline(never)]
    fn race(
        stack: &mut Stack,
        poller: &mut Poller,
        wanted: &CommandLine<'_>,
        names: &Names,
        deadline: Instant,
    ) -> Result<Connection<TcpSocket>, Failed> {
        if names.are_unknown && !wanted.has_addresses() {
            return Err(Trouble::NoNameServer.into());
        }
        let mut driver = start_race(stack, wanted, names, deadline);
        // Where it lies: it takes a kilobyte.
        let driver = driver.as_mut().map_err(|_| Trouble::NoAddress)?;
        let raced = driver.run(stack, poller);
        tell(&driver.timeline(), &raced);
        raced.map_err(Failed::Race)
    }

    /// Begins the race.
    // Not inlined: its caller would keep room for the addresses on the stack.
    #[cfg(feature = "dns")]
    #[inline(never)]
    fn start_race<'d>(
        stack: &mut Stack,
        wanted: &CommandLine<'_>,
        names: &'d Names,
        deadline: Instant,
    ) -> Result<Driver<'d>, StartError> {
        let mut addresses = heapless::Vec::new();
        wanted.read_addresses(&mut addresses);
        let known = Some(&*addresses).filter(|addresses| !addresses.is_empty());
        let config = Config::all_at_once().deadline(Some(deadline.duration_since(stack.now())));
        let (facts, url) = (stack.facts().hosts(known), &wanted.url);
        Driver::with_facts(names.dns, stack, url.host, url.port, &config, &facts)
    }

    /// A DNS client.
    #[cfg(feature = "dns")]
    struct Names {
        dns: &'static connie_smoltcp::Dns,
        /// Whether it has nobody to ask.
        are_unknown: bool,
    }

    /// There is no DNS client.
    #[cfg(not(feature = "dns"))]
    struct Names;

    #[cfg(not(feature = "dns"))]
    fn start_names(_: &mut Stack, _: &Servers) -> Result<Names, Trouble> {
        Ok(Names)
    }

    /// A DNS client for these servers.
    #[cfg(feature = "dns")]
    #[inline(never)]
    fn start_names(stack: &mut Stack, servers: &Servers) -> Result<Names, Trouble> {
        use connie_smoltcp::{Dns, DnsBuffers};

        static DNS: StaticCell<Dns> = StaticCell::new();
        static DATAGRAMS: StaticCell<[DnsBuffers; QUESTIONS]> = StaticCell::new();

        let datagrams = in_place::array(DATAGRAMS.try_uninit().ok_or(Trouble::Bug)?, DnsBuffers::new);
        let dns = Dns::start(stack, servers, datagrams).map_err(|_| Trouble::Bug)?;
        let dns = DNS.try_init_with(|| dns).ok_or(Trouble::Bug)?;
        Ok(Names { dns, are_unknown: servers.is_empty() })
    }

    /// Gives the race the addresses of the command line.
    // Not inlined: its caller would keep room for them on the stack.
    #[cfg(not(feature = "dns"))]
    #[inline(never)]
    fn give_addresses(
        driver: &mut RaceDriver<Stack, 16, SOCKETS, RECORDS>,
        wanted: &CommandLine<'_>,
        now: Instant,
    ) {
        driver.handle_addresses(&wanted.addresses(), now);
    }

    /// Connects to the address that answers first of those on the command line.
    #[cfg(not(feature = "dns"))]
    #[inline(never)]
    fn race(
        stack: &mut Stack,
        poller: &mut Poller,
        wanted: &CommandLine<'_>,
        _: &Names,
        deadline: Instant,
    ) -> Result<Connection<TcpSocket>, Failed> {
        let now = stack.now();
        let config = Config::all_at_once().deadline(Some(deadline.duration_since(now)));
        let mut driver = RaceDriver::<Stack, 16, SOCKETS, RECORDS>::new(&config, now);
        give_addresses(&mut driver, wanted, now);
        let raced = driver.run(stack, poller);
        tell(&driver.timeline(), &raced);
        raced.map_err(Failed::Race)
    }
}
