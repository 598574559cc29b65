//! Looks up names, and says what came of it. For the tests.
//!
//! The path of the URL says how, in two letters for each lookup: of how many of the name servers it asks, of
//! which the command line names the first and the others are behind it, and whether for both families (`b`)
//! or for IPv4 alone (`a`). The names are `0.test`, `1.test` and so on.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("names: build this for a microcontroller: --target thumbv7m-none-eabi; tests/ runs it");
}

#[cfg(target_os = "none")]
mod firmware {
    use core::fmt::Write as _;
    use core::net::{IpAddr, Ipv4Addr};

    use connie_core::resolution::Query;
    use connie_core::{Config, Families, Family, Poller as _, Progress};
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::console::{Stream, command_line, finish, say};
    use connie_firmware_qemu::client::{self, Failed, Poller};
    use connie_firmware_qemu::command_line::CommandLine;
    use connie_firmware_qemu::net::{self, Trouble};
    use connie_smoltcp::{Dns, DnsBuffers, DnsDriver, PlatformPoller, SocketStorage, TcpBuffers};
    use heapless::{String, Vec};
    use static_cell::StaticCell;

    const SOCKETS: usize = 2;
    const QUESTIONS: usize = 2;
    /// The most name servers.
    const SERVERS: usize = 3;

    type Stack = client::Stack<SOCKETS>;

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let line = command_line().unwrap_or_default();
        finish(client::run_line("names", line.as_bytes(), all).err().unwrap_or(0))
    }

    fn all(mut board: Board, wanted: &CommandLine<'_>) -> Result<(), Failed> {
        static STACK: StaticCell<Stack> = StaticCell::new();
        static SLOTS: StaticCell<[SocketStorage<'static>; SOCKETS + QUESTIONS]> = StaticCell::new();
        static BUFFERS: StaticCell<[TcpBuffers<512, 512>; SOCKETS]> = StaticCell::new();
        static DATAGRAMS: StaticCell<[DnsBuffers<1232>; QUESTIONS]> = StaticCell::new();

        let interface = net::interface(&mut board, wanted);
        let slots = SLOTS.init_with(|| [SocketStorage::EMPTY; SOCKETS + QUESTIONS]);
        let buffers = BUFFERS.init_with(|| [const { TcpBuffers::new() }; SOCKETS]);
        let datagrams = DATAGRAMS.init_with(|| [(); QUESTIONS].map(|()| DnsBuffers::new()));
        let Board { ethernet, clock, seed } = board;
        let mut poller = PlatformPoller(clock);
        let stack = STACK.init_with(|| Stack::new(interface, ethernet, slots, buffers, clock, seed));
        let dns = Dns::start(stack, &[], datagrams).map_err(|_| Trouble::Bug)?;
        let Some(IpAddr::V4(first)) = wanted.dns else { return Err(Trouble::NoNameServer.into()) };
        let servers = [0, 1, 2].map(|more| IpAddr::V4(Ipv4Addr::from_bits(first.to_bits() + more)));
        let pairs = wanted.url.path.as_bytes().get(1..).unwrap_or_default().chunks_exact(2);
        for (number, pair) in pairs.enumerate() {
            let &[count, families] = pair else { continue };
            let count = usize::from(count.saturating_sub(b'0')).min(SERVERS);
            // So that nothing of the last lookup is left.
            dns.set_servers(stack, &[]);
            dns.set_servers(stack, servers.get(..count).unwrap_or_default());
            look_up(stack, &mut poller, &dns, number, families == b'b')?;
        }
        Ok(())
    }

    /// Looks a name up, and says for each kind of address what was found, and after how many milliseconds.
    fn look_up(
        stack: &mut Stack,
        poller: &mut Poller,
        dns: &Dns,
        number: usize,
        both: bool,
    ) -> Result<(), Failed> {
        let mut host = String::<16>::new();
        let _ = write!(host, "{number}.test");
        let families = if both { Families::Both } else { Families::Only(Family::V4) };
        let config = Config::all_at_once().families(families);
        let start = stack.now();
        let mut driver =
            DnsDriver::<_, 16, SOCKETS, 16>::new(dns, stack, &host, 80, &config).map_err(|_| Trouble::Bug)?;
        let mut open = Vec::<Query, 2>::new();
        if both {
            let _ = open.push(Query::Aaaa);
        }
        let _ = open.push(Query::A);
        while !open.is_empty() {
            let (until, ended) = match driver.poll(stack) {
                Progress::WaitUntil(until) => (Some(until), false),
                Progress::WaitForInput => (None, false),
                _ => (None, true),
            };
            let millis = stack.now().duration_since(start).as_millis();
            open.retain(|query| {
                let is_pending = driver.connect().is_pending(*query) && !ended;
                if !is_pending {
                    tell(number, &host, *query, &driver, millis);
                }
                is_pending
            });
            if !open.is_empty() {
                let _ = poller.wait(stack, &mut [], until);
            }
        }
        driver.cancel(stack);
        Ok(())
    }

    /// As the table of name servers has it.
    fn tell(
        number: usize,
        host: &str,
        query: Query,
        driver: &DnsDriver<'_, Stack, 16, SOCKETS, 16>,
        millis: u128,
    ) {
        let (is_v4, kind) = if query == Query::A { (true, "A") } else { (false, "AAAA") };
        let failure = driver.connect().failures(host).find(|failure| failure.query == query);
        if let Some(failure) = failure {
            return say(format_args!("{number}: {kind} !{:?} at {millis}", failure.error));
        }
        let mut line = Stream::error();
        let all = driver.timeline().destinations().map(|destination| destination.address().ip());
        let mut all = all.filter(|ip| ip.is_ipv4() == is_v4).peekable();
        let none = if all.peek().is_none() { " none" } else { "" };
        let _ = write!(line, "{number}: {kind}{none}");
        for ip in all {
            let _ = write!(line, " {ip}");
        }
        let _ = writeln!(line, " at {millis}");
    }
}
