//! The firmware without connie: what a program on smoltcp does today. It asks for the host's addresses,
//! connects to the first and fetches the page; where that address is dead, it waits and gives up. All else is
//! as in `race`, so that the two together show what the race costs.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("first: build this for a microcontroller: --target thumbv7m-none-eabi; see examples/README.md");
}

#[cfg(target_os = "none")]
mod firmware {
    use core::net::{IpAddr, SocketAddr};

    use connie_core::Instant;
    use connie_firmware_qemu::board::Board;
    use connie_firmware_qemu::board::Mapped;
    use connie_firmware_qemu::board::clock::Clock;
    use connie_firmware_qemu::board::console::{Output, command_line, explain, finish, say, say_connected};
    use connie_firmware_qemu::command_line::{CommandLine, Url, parse};
    use connie_firmware_qemu::exit_code;
    use connie_firmware_qemu::net::{self, PATIENCE, Trouble};
    use connie_firmware_qemu::stellaris::Ethernet;
    use connie_http::{
        Authority, HttpError, RequestBody, ResponseHead,
        parts::{BodyDecoder, BodyPart, ParsedHead, RequestHead, RequestKind},
    };
    use smoltcp::iface::{Interface, SocketHandle, SocketSet, SocketStorage};
    #[cfg(feature = "dhcp")]
    use smoltcp::socket::dhcpv4;
    use smoltcp::socket::tcp;
    #[cfg(feature = "dhcp")]
    use smoltcp::wire::IpCidr;
    use smoltcp::wire::IpEndpoint;
    use static_cell::{ConstStaticCell, StaticCell};

    /// Bytes in each buffer of a socket.
    const BUFFER: usize = 512;
    /// For TCP, DNS and DHCP.
    const SLOTS: usize = 3;

    static SLOT: StaticCell<[SocketStorage<'static>; SLOTS]> = StaticCell::new();
    static RECEIVED: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);
    static TO_SEND: ConstStaticCell<[u8; BUFFER]> = ConstStaticCell::new([0; BUFFER]);

    /// Why there is no page.
    enum Failed {
        Trouble(Trouble),
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
        let Some(board) = Board::take() else { return 101 };
        let wanted = match command_line().map(parse) {
            Some(Ok(wanted)) => wanted,
            Some(Err(error)) => {
                explain(format_args!("first: {error}"));
                return 2;
            }
            None => {
                explain(format_args!("first: the command line is too long, or no text; give less"));
                return 2;
            }
        };
        match page(board, &wanted) {
            Ok(()) => 0,
            Err(Failed::Trouble(trouble)) => {
                explain(format_args!("first: {}: {trouble}", wanted.url.host));
                trouble.code()
            }
            Err(Failed::Http(error)) => {
                explain(format_args!("first: {}: {error}", wanted.url.host));
                exit_code::of_http(&error)
            }
        }
    }

    fn page(mut board: Board, wanted: &CommandLine<'_>) -> Result<(), Failed> {
        let interface = net::interface(&mut board, wanted);
        let slots = SLOT.try_init_with(|| [SocketStorage::EMPTY; SLOTS]).ok_or(Trouble::Bug)?;
        let Board { ethernet, clock, seed } = board;
        let deadline = clock.now() + wanted.max_time;
        let mut net = Net { ethernet, clock, interface, sockets: SocketSet::new(&mut slots[..]), deadline };
        let server = configure(&mut net, wanted)?;
        let remote = match wanted.first_address() {
            Some(address) => address,
            None => SocketAddr::new(look_up(&mut net, wanted, server)?, wanted.url.port),
        };
        // One of the dynamic ports (RFC 6335 section 6).
        let connection = connect(&mut net, remote, 49152 | seed as u16)?;
        say_connected(remote);
        fetch(&mut net, connection, &wanted.url)
    }

    /// smoltcp's interface, and what serves it.
    struct Net {
        ethernet: Ethernet<'static, Mapped>,
        clock: &'static Clock,
        interface: Interface,
        sockets: SocketSet<'static>,
        /// When all must be done.
        deadline: Instant,
    }

    impl Net {
        /// Serves the network until `look` finds what it looks for, or until `limit`.
        fn until<T>(&mut self, limit: Instant, mut look: impl FnMut(&mut Self) -> Option<T>) -> Option<T> {
            loop {
                let now = self.clock.now();
                self.interface.poll(net::time(now), &mut self.ethernet, &mut self.sockets);
                if let Some(found) = look(self) {
                    return Some(found);
                }
                if now >= limit {
                    return None;
                }
                // What `look` did may be due for sending now.
                let due = self.interface.poll_at(net::time(now), &self.sockets).map(net::instant);
                self.clock.idle_until(Some(due.map_or(limit, |due| due.min(limit))));
            }
        }
    }

    /// Waits for the addresses that the network gives, and answers whom to ask for names.
    #[inline(never)]
    fn configure(net: &mut Net, wanted: &CommandLine<'_>) -> Result<Option<IpAddr>, Trouble> {
        let limit = net.clock.now() + PATIENCE.min(wanted.max_time);
        #[cfg_attr(not(feature = "dhcp"), expect(unused_mut, reason = "nobody else names one"))]
        let mut server = wanted.dns;
        #[cfg(feature = "dhcp")]
        let dhcp = (wanted.v4 == Some(connie_firmware_qemu::command_line::Own::Automatic))
            .then(|| net.sockets.add(dhcpv4::Socket::new()));
        let there = net.until(limit, |net| {
            #[cfg(feature = "dhcp")]
            if let Some(name_server) = dhcp.and_then(|dhcp| lease(net, dhcp, wanted)) {
                server = server.or(Some(name_server));
            }
            net::missing(&net.interface, wanted).is_none().then_some(())
        });
        match there.and(None).or(net::missing(&net.interface, wanted)) {
            None => Ok(server),
            Some(missing) => Err(missing),
        }
    }

    /// Does what a DHCP server says, and answers the name server that it names.
    #[cfg(feature = "dhcp")]
    fn lease(net: &mut Net, dhcp: SocketHandle, wanted: &CommandLine<'_>) -> Option<IpAddr> {
        let dhcpv4::Event::Configured(lease) = net.sockets.get_mut::<dhcpv4::Socket>(dhcp).poll()? else {
            // The lease has run out: all that is left is to end.
            return None;
        };
        net.interface.update_ip_addrs(|own| {
            own.retain(|cidr| !matches!(cidr, IpCidr::Ipv4(_)));
            // There is room for four, and IPv6 needs two of them at most.
            let _ = own.push(lease.address.into());
        });
        if let Some(router) = wanted.gateway_v4.or(lease.router) {
            // There is room for two routes.
            let _ = net.interface.routes_mut().add_default_ipv4_route(router);
        }
        lease.dns_servers.first().map(|server| IpAddr::V4(*server))
    }

    /// The host's first address.
    #[cfg(feature = "smoltcp-dns")]
    #[inline(never)]
    fn look_up(net: &mut Net, wanted: &CommandLine<'_>, server: Option<IpAddr>) -> Result<IpAddr, Trouble> {
        use smoltcp::socket::dns::{DnsQuery, GetQueryResultError, Socket};
        use smoltcp::wire::DnsQueryType;

        static QUERIES: StaticCell<[Option<DnsQuery>; 1]> = StaticCell::new();

        let server = server.and_then(net::address).ok_or(Trouble::NoNameServer)?;
        let queries = QUERIES.try_init_with(|| [const { None }; 1]).ok_or(Trouble::Bug)?;
        let resolver = net.sockets.add(Socket::new(&[server], &mut queries[..]));
        let kind = if wanted.v4.is_some() { DnsQueryType::A } else { DnsQueryType::Aaaa };
        let socket = net.sockets.get_mut::<Socket>(resolver);
        let query = socket
            .start_query(net.interface.context(), wanted.url.host, kind)
            .map_err(|_| Trouble::NoAddress)?;
        let answer = net.until(net.deadline, |net| {
            match net.sockets.get_mut::<Socket>(resolver).get_query_result(query) {
                Ok(addresses) => Some(addresses.first().copied()),
                Err(GetQueryResultError::Pending) => None,
                Err(GetQueryResultError::Failed) => Some(None),
            }
        });
        answer.ok_or(Trouble::TimedOut)?.map(IpAddr::from).ok_or(Trouble::NoAddress)
    }

    #[cfg(not(feature = "smoltcp-dns"))]
    fn look_up(_: &mut Net, _: &CommandLine<'_>, _: Option<IpAddr>) -> Result<IpAddr, Trouble> {
        Err(Trouble::NoNameServer)
    }

    #[inline(never)]
    fn connect(net: &mut Net, remote: SocketAddr, port: u16) -> Result<SocketHandle, Trouble> {
        // Each static is taken here alone, and this runs once.
        let (Some(received), Some(to_send)) = (RECEIVED.try_take(), TO_SEND.try_take()) else {
            return Err(Trouble::Bug);
        };
        let mut socket = tcp::Socket::new(
            tcp::SocketBuffer::new(&mut received[..]),
            tcp::SocketBuffer::new(&mut to_send[..]),
        );
        let address = net::address(remote.ip()).ok_or(Trouble::NotConnected)?;
        let remote = IpEndpoint::new(address, remote.port());
        socket.connect(net.interface.context(), remote, port).map_err(|_| Trouble::NotConnected)?;
        let handle = net.sockets.add(socket);
        let connected = net.until(net.deadline, |net| match net.sockets.get::<tcp::Socket>(handle).state() {
            tcp::State::SynSent => None,
            state => Some(state != tcp::State::Closed),
        });
        match connected {
            Some(true) => Ok(handle),
            Some(false) => Err(Trouble::NotConnected),
            None => Err(Trouble::TimedOut),
        }
    }

    /// Asks for the page and writes its body to the host's standard output.
    #[inline(never)]
    fn fetch(net: &mut Net, connection: SocketHandle, url: &Url<'_>) -> Result<(), Failed> {
        let (mut buffer, mut host) = ([0; 1024], [0; 272]);
        let length = Authority::http(url.host, url.port).write(&mut host)?;
        let host = core::str::from_utf8(&host[..length]).map_err(|_| HttpError::InvalidHost)?;
        let mut head = RequestHead::new(&mut buffer, "GET", url.path, host)?;
        head.header("Connection", b"close")?;
        let length = head.finish(RequestBody::None)?;
        send(net, connection, &buffer[..length])?;

        let mut end = 0;
        let (mut decoder, mut start) = loop {
            end += receive(net, connection, &mut buffer[end..])?.ok_or(HttpError::IncompleteHead)?;
            if let ParsedHead::Complete(head) = ResponseHead::parse(&mut buffer[..end])? {
                // Answers of status 1xx come before the final one.
                if head.status() >= 200 {
                    say(format_args!("{} {}", head.status(), head.reason()));
                    break (BodyDecoder::new(head.framing(RequestKind::Other)?), head.len());
                }
                let length = head.len();
                buffer.copy_within(length..end, 0);
                end -= length;
            }
            if end == buffer.len() {
                return Err(HttpError::HeadTooLarge { capacity: buffer.len() }.into());
            }
        };
        let mut page = Output::new();
        loop {
            while start < end && !decoder.is_done() {
                let step = decoder.step(&buffer[start..end], usize::MAX)?;
                if step.part == BodyPart::Content {
                    page.put(&buffer[start + step.skip..start + step.consumed()]);
                }
                start += step.consumed();
            }
            if decoder.is_done() {
                return Ok(());
            }
            start = 0;
            match receive(net, connection, &mut buffer)? {
                Some(length) => end = length,
                None => return Ok(decoder.end_of_input()?),
            }
        }
    }

    fn send(net: &mut Net, connection: SocketHandle, mut data: &[u8]) -> Result<(), Failed> {
        while !data.is_empty() {
            let sent = net.until(net.deadline, |net| {
                let socket = net.sockets.get_mut::<tcp::Socket>(connection);
                match socket.send_slice(data) {
                    Ok(0) => None,
                    other => Some(other),
                }
            });
            let count = sent.ok_or(Trouble::TimedOut)?.map_err(|_| HttpError::NotConnected)?;
            data = &data[count..];
        }
        Ok(())
    }

    /// Receives a byte or more. `None`: the peer has closed its side.
    fn receive(net: &mut Net, connection: SocketHandle, into: &mut [u8]) -> Result<Option<usize>, Failed> {
        let received = net.until(net.deadline, |net| {
            let socket = net.sockets.get_mut::<tcp::Socket>(connection);
            match socket.recv_slice(into) {
                Ok(0) => None,
                Ok(count) => Some(Ok(Some(count))),
                Err(tcp::RecvError::Finished) => Some(Ok(None)),
                Err(tcp::RecvError::InvalidState) => Some(Err(HttpError::NotConnected)),
            }
        });
        Ok(received.ok_or(Trouble::TimedOut)??)
    }
}
