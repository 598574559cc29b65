//! The firmware as a product has it whose server never changes: a race to four addresses that are built in,
//! and the page over the winner. No command line, and nothing is said: the exit code tells. All else is as in
//! `race`.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("fixed: build this for a microcontroller: --target thumbv7m-none-eabi; see docs/footprint.md");
}

#[cfg(target_os = "none")]
mod firmware {
    use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
    use core::time::Duration;

    use connie_core::Config;
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::exit;
    use connie_firmware_qemu::client::{self, Failed, fetch};
    use connie_firmware_qemu::command_line::{CommandLine, Own, Url};
    use connie_firmware_qemu::exit_code;
    use connie_firmware_qemu::net::{self, Trouble};
    use connie_smoltcp::smoltcp::iface::Interface;
    use connie_smoltcp::{PlatformPoller, SocketStorage, TcpBuffers};
    use static_cell::{ConstStaticCell, StaticCell};

    /// Each with buffers as in `race`.
    const SOCKETS: usize = 4;

    type Stack = client::Stack<SOCKETS>;
    type RaceDriver = connie_core::RaceDriver<Stack, 4, SOCKETS, SOCKETS>;

    const V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
    const V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 1);
    const DEAD_V4: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 201);
    const DEAD_V6: Ipv6Addr = Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 0x201);

    /// The server, in the network of the tests: of each family a dead address and one that is alive.
    const ADDRESSES: [IpAddr; 4] = if cfg!(feature = "ipv6") {
        [IpAddr::V6(DEAD_V6), IpAddr::V4(DEAD_V4), IpAddr::V6(V6), IpAddr::V4(V4)]
    } else {
        [IpAddr::V4(DEAD_V4), IpAddr::V4(DEAD_V4), IpAddr::V4(V4), IpAddr::V4(V4)]
    };
    const URL: Url<'static> = Url { host: "name.test", port: 80, path: "/page" };

    #[cortex_m_rt::entry]
    fn main() -> ! {
        exit(match page() {
            Ok(()) => 0,
            Err(Failed::Http(error)) => exit_code::of_http(&error),
            Err(Failed::Trouble(trouble)) => trouble.code(),
            Err(Failed::Race(_)) => Trouble::NotConnected.code(),
        })
    }

    fn page() -> Result<(), Failed> {
        let mut board = Board::take().ok_or(Trouble::Bug)?;
        let wanted = CommandLine {
            url: URL,
            v4: cfg!(feature = "ipv4").then_some(Own::Static(Ipv4Addr::new(10, 77, 0, 2), 24)),
            v6: cfg!(feature = "ipv6")
                .then_some(Own::Static(Ipv6Addr::new(0xfd00, 0x4d, 0, 0, 0, 0, 0, 2), 64)),
            gateway_v4: Some(V4),
            gateway_v6: Some(V6),
            dns: None,
            line: "",
            listed: 0,
            max_time: Duration::from_secs(30),
        };
        let interface = net::interface(&mut board, &wanted);
        let clock = board.clock;
        let stack = make_stack(board, interface)?;
        let mut poller = PlatformPoller(clock);
        let config = Config::all_at_once().deadline(Some(wanted.max_time));
        let mut driver = RaceDriver::new(&config, stack.now());
        driver.handle_addresses(&ADDRESSES.map(|address| SocketAddr::new(address, URL.port)), stack.now());
        let connection = driver.run(stack, &mut poller).map_err(Failed::Race)?;
        let deadline = clock.now() + wanted.max_time;
        fetch(stack, &mut poller, connection, (&URL, &mut [0; 1024]), deadline)
    }

    /// Not part of its caller, which would keep room for what it needs on the way.
    #[inline(never)]
    fn make_stack(board: Board, interface: Interface) -> Result<&'static mut Stack, Trouble> {
        static STACK: StaticCell<Stack> = StaticCell::new();
        static SLOT: StaticCell<[SocketStorage<'static>; SOCKETS]> = StaticCell::new();
        static BUFFERS: ConstStaticCell<[TcpBuffers<512, 256>; SOCKETS]> =
            ConstStaticCell::new([const { TcpBuffers::new() }; SOCKETS]);

        let slots = SLOT.try_init_with(|| [SocketStorage::EMPTY; SOCKETS]).ok_or(Trouble::Bug)?;
        let buffers = BUFFERS.try_take().ok_or(Trouble::Bug)?;
        let Board { ethernet, clock, seed } = board;
        let stack = STACK.try_init_with(|| Stack::new(interface, ethernet, slots, buffers, clock, seed));
        stack.ok_or(Trouble::Bug)
    }
}
