//! The firmware without the race: as `race` in everything, on the same stack and the same HTTP client, but it
//! asks for the addresses of one family and connects to the first. The two together show what the race itself
//! costs; `first` shows a program without connie.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!(
        "single: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md"
    );
}

#[cfg(target_os = "none")]
mod firmware {
    use core::net::{IpAddr, SocketAddr};

    use connie_core::stack::{TcpClientStack as _, nb};
    use connie_core::{Connection, Instant, Interest, PollEntry, Poller as _, RaceStack as _};
    use connie_firmware_qemu::board::console::{finish, say_connected};
    use connie_firmware_qemu::board::{Board, in_place};
    use connie_firmware_qemu::client::{self, Connected, Failed, Poller, configure};
    use connie_firmware_qemu::command_line::CommandLine;
    use connie_firmware_qemu::net::{self, Trouble};
    use connie_smoltcp::{PlatformPoller, SocketStorage, TcpBuffers, TcpSocket};
    use static_cell::{ConstStaticCell, StaticCell};

    /// With buffers as in `race`.
    const SOCKETS: usize = 1;
    /// For this, DNS and DHCP.
    const SLOTS: usize = SOCKETS + 2;

    type Stack = client::Stack<SOCKETS>;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        finish(client::run("single", connected))
    }

    /// Connects to the first address of the URL.
    // Not inlined, nor are those that follow: its caller would keep room on the stack for what it needs.
    #[inline(never)]
    fn connected(board: Board, wanted: &CommandLine<'_>) -> Result<Connected<SOCKETS>, Failed> {
        let clock = board.clock;
        let stack = make_stack(board, wanted)?;
        let mut poller = PlatformPoller(clock);
        let deadline = clock.now() + wanted.max_time;
        let server = configure(stack, &mut poller, wanted)?.first().copied();
        let connection = connect(stack, &mut poller, wanted, server, deadline)?;
        say_connected(connection.destination);
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

    /// Connects to the first address: of those on the command line, or of those that the name has.
    #[inline(never)]
    fn connect(
        stack: &mut Stack,
        poller: &mut Poller,
        wanted: &CommandLine<'_>,
        server: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<Connection<TcpSocket>, Trouble> {
        let destination = match wanted.first_address() {
            Some(address) => address,
            None => SocketAddr::new(look_up(stack, poller, wanted, server, deadline)?, wanted.url.port),
        };
        let mut socket = stack.socket().map_err(|_| Trouble::Bug)?;
        loop {
            let trouble = match stack.connect(&mut socket, destination) {
                Ok(()) => return Ok(Connection { socket, destination }),
                Err(nb::Error::Other(_)) => Trouble::NotConnected,
                Err(nb::Error::WouldBlock) if stack.now() >= deadline => Trouble::TimedOut,
                Err(nb::Error::WouldBlock) => {
                    let mut watched = [PollEntry::new(&mut socket, Interest::Connect)];
                    let _ = poller.wait(stack, &mut watched, Some(deadline));
                    continue;
                }
            };
            stack.abort(socket);
            return Err(trouble);
        }
    }

    /// The host's first address.
    #[cfg(feature = "smoltcp-dns")]
    #[inline(never)]
    fn look_up(
        stack: &mut Stack,
        poller: &mut Poller,
        wanted: &CommandLine<'_>,
        server: Option<IpAddr>,
        deadline: Instant,
    ) -> Result<IpAddr, Trouble> {
        use connie_smoltcp::smoltcp::socket::dns::{DnsQuery, GetQueryResultError, Socket};
        use connie_smoltcp::smoltcp::wire::DnsQueryType;

        static QUERIES: StaticCell<[Option<DnsQuery>; 1]> = StaticCell::new();

        let server = server.ok_or(Trouble::NoNameServer)?;
        let queries = QUERIES.try_init_with(|| [const { None }; 1]).ok_or(Trouble::Bug)?;
        let server = net::address(server).ok_or(Trouble::NoNameServer)?;
        let mut resolver = Socket::new(&[server], &mut queries[..]);
        let kind = if wanted.v4.is_some() { DnsQueryType::A } else { DnsQueryType::Aaaa };
        let query = resolver.start_query(stack.interface_mut().context(), wanted.url.host, kind);
        let query = query.map_err(|_| Trouble::NoAddress)?;
        let resolver = stack.add(resolver).map_err(|_| Trouble::Bug)?;
        loop {
            let socket = stack.get_mut::<Socket>(resolver).ok_or(Trouble::Bug)?;
            match socket.get_query_result(query) {
                Ok(addresses) => {
                    return addresses.first().copied().map(IpAddr::from).ok_or(Trouble::NoAddress);
                }
                Err(GetQueryResultError::Failed) => return Err(Trouble::NoAddress),
                Err(GetQueryResultError::Pending) if stack.now() >= deadline => {
                    return Err(Trouble::TimedOut);
                }
                Err(GetQueryResultError::Pending) => _ = poller.wait(stack, &mut [], Some(deadline)),
            }
        }
    }

    #[cfg(not(feature = "smoltcp-dns"))]
    fn look_up(
        _stack: &mut Stack,
        _waiter: &mut Poller,
        _wanted: &CommandLine<'_>,
        _server: Option<IpAddr>,
        _deadline: Instant,
    ) -> Result<IpAddr, Trouble> {
        Err(Trouble::NoNameServer)
    }
}
