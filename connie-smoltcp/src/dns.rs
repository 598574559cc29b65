//! The DNS client: a [`DnsClient`] of connie-dns over UDP sockets of the stack.

use core::cell::RefCell;
use core::net::{IpAddr, SocketAddr};

use connie_core::Instant;
use connie_dns::{DnsClient, DnsConfig, DnsInput, DnsOutput, DnsTransport, LARGEST_QUERY, Port};
use heapless::Vec;
use smoltcp::iface::{Interface, SocketHandle};
use smoltcp::phy::Device;
use smoltcp::socket::udp;

use crate::address;
use crate::next_hop::Scope;
use crate::platform::Platform;
use crate::slot::DnsBuffers;
use crate::stack::{Stack, StorageFull};

/// The most sockets: for two connects, or with the feature `nat64` for two with room for the prefix.
pub(crate) const MOST_SOCKETS: usize = 6;
/// The names of one connect: its own, and with the feature `nat64` the one that the prefix is known by.
const CONNECT: usize = if cfg!(feature = "nat64") { 2 } else { 1 };

/// The port that name servers listen on.
const DOMAIN: u16 = 53;

/// A DNS client, for all connects over a stack: connie-dns over smoltcp's UDP sockets.
///
/// A silent server holds nothing up: the next one is asked after 250 ms, and a dead one on the link no more
/// than one elsewhere. What servers say is distinguished: that there is no such name, no address, a failure,
/// a refusal. What is truncated is used as far as it fits, since there is no TCP here. Answers are kept for
/// their time to live, up to [`DnsConfig::longest_ttl`].
///
/// Where this machine comes to another address while a question is under way, it is asked anew from there;
/// and where the servers are those that the lease names (see `Lease::dns_servers`), of those that the new one
/// names.
///
/// The numbers are capacities; the defaults are enough for one connect at a time.
///
/// | number | what there is room for | default |
/// |---|---|---|
/// | `NAMES` | names that are asked for or known: one for each connect, with `nat64` one more | 1, or 2 |
/// | `SERVERS` | name servers | 3 |
/// | `NAME` | octets of a name, two more than its text has; 255 holds all | 128 |
/// | `DATA` | octets of a name's addresses: 16 for IPv6, 4 for IPv4; more addresses are left out | 128 |
///
/// ```
/// # use connie_core::Instant;
/// # use connie_smoltcp::{Platform, SocketStorage, Stack, TcpBuffers};
/// use connie_smoltcp::connie_dns::DnsConfig;
/// use connie_smoltcp::{Dns, DnsBuffers};
/// # #[derive(Clone, Copy)] struct Still;
/// # impl Platform for Still { fn now(&self) -> Instant { Instant::ZERO } fn idle_until(&self, _: Option<Instant>) {} }
/// # let mut device = connie_smoltcp::smoltcp::phy::Loopback::new(connie_smoltcp::smoltcp::phy::Medium::Ip);
/// # let interface = connie_smoltcp::interface(&mut device, [2, 0, 0, 0, 0, 1], 7, Instant::ZERO);
///
/// // One for each connection, and for the DNS client six.
/// let mut storage = [SocketStorage::EMPTY; 4 + 6];
/// let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
/// let mut datagrams = [const { DnsBuffers::<1_232, { 27 + 255 }>::new() }; 6];
/// let mut stack = Stack::new(interface, device, &mut storage, &mut buffers, Still, 7);
///
/// // Three connects at a time, four names in all, names of any length, and 32 IPv6 addresses of each.
/// let settings = DnsConfig { randomise_case: true, ..DnsConfig::default() };
/// let servers = ["192.0.2.53".parse()?, "2001:db8::53".parse()?];
/// let dns = Dns::<4, 2, 255, 512>::with_config(&settings, &mut stack, &servers, &mut datagrams)?;
/// # let _ = dns;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Dns<
    const NAMES: usize = CONNECT,
    const SERVERS: usize = 3,
    const NAME: usize = 128,
    const DATA: usize = 128,
> {
    /// Nothing that borrows it calls anything that borrows it.
    pub(crate) inner: RefCell<DnsState<NAMES, SERVERS, NAME, DATA>>,
}

/// The client with its sockets.
#[derive(Debug)]
pub(crate) struct DnsState<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize> {
    pub(crate) client: DnsClient<NAMES, SERVERS, NAME, DATA>,
    sockets: Vec<QuerySocket, MOST_SOCKETS>,
    /// The stack that they belong to.
    stack: usize,
    /// What the stack's [`Sources`](crate::sources::Sources) said last.
    changes: u8,
    /// Whether the servers are those that the DHCP server has named.
    #[cfg(feature = "dhcpv4")]
    are_leased: bool,
}

/// A socket, and whose it is.
#[derive(Clone, Copy, Debug)]
struct QuerySocket {
    handle: SocketHandle,
    /// The question that it is open for, and its local port.
    open: Option<(Port, u16)>,
}

impl Dns {
    /// A DNS client that asks `servers`, the first to be asked first; those beyond the third are left out.
    /// Takes one [`SocketStorage`](crate::SocketStorage) for each of `buffers`.
    ///
    /// Its ids and ports are made from the seed of the stack.
    ///
    /// # Errors
    ///
    /// [`StorageFull`].
    pub fn start<
        'a,
        D: Device,
        B: Platform,
        const TCP: usize,
        const UDP: usize,
        const RX: usize,
        const TX: usize,
    >(
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        servers: &[IpAddr],
        buffers: &'a mut [DnsBuffers<RX, TX>],
    ) -> Result<Dns, StorageFull> {
        Dns::with_config(&DnsConfig::default(), stack, servers, buffers)
    }
}

impl<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize>
    Dns<NAMES, SERVERS, NAME, DATA>
{
    /// The same with other capacities, and with settings. What they say of TCP and of the largest datagram is
    /// ignored: there is no TCP, and `RX` is the largest.
    ///
    /// # Errors
    ///
    /// [`StorageFull`].
    pub fn with_config<
        'a,
        D: Device,
        B: Platform,
        const TCP: usize,
        const UDP: usize,
        const RX: usize,
        const TX: usize,
    >(
        settings: &DnsConfig,
        stack: &mut Stack<'a, D, B, TCP, UDP>,
        servers: &[IpAddr],
        buffers: &'a mut [DnsBuffers<RX, TX>],
    ) -> Result<Self, StorageFull> {
        const { assert!(TX >= 27 + NAME, "TX is for the longest question: 27 octets and NAME") };
        if stack.room < buffers.len().min(MOST_SOCKETS) {
            return Err(StorageFull);
        }
        let mut sockets = Vec::new();
        for buffers in buffers.iter_mut().take(MOST_SOCKETS) {
            let handle = stack.add(buffers.socket())?;
            // There is room for as many.
            let _ = sockets.push(QuerySocket { handle, open: None });
        }
        // As the buffers have it.
        let settings = DnsConfig { transport: DnsTransport::Udp, largest_datagram: RX as u16, ..*settings };
        let mut client = DnsClient::new(settings, stack.random());
        client.set_servers(&usable_servers::<SERVERS>(&stack.interface, servers), stack.now());
        Ok(Dns {
            inner: RefCell::new(DnsState {
                client,
                sockets,
                stack: stack.identity,
                changes: stack.sources.changes(),
                #[cfg(feature = "dhcpv4")]
                are_leased: are_leased(stack, servers),
            }),
        })
    }

    /// Asks other servers from now on. Where they are others than before, what is asked is asked anew, and
    /// what was kept is forgotten.
    pub fn set_servers<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        servers: &[IpAddr],
    ) {
        let usable = usable_servers::<SERVERS>(&stack.interface, servers);
        if let Ok(mut inner) = self.inner.try_borrow_mut() {
            inner.client.set_servers(&usable, stack.now());
            #[cfg(feature = "dhcpv4")]
            {
                inner.are_leased = are_leased(stack, servers);
            }
        }
    }
}

/// Whether these are the servers of the stack's lease.
#[cfg(feature = "dhcpv4")]
fn are_leased<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
    stack: &Stack<'_, D, B, TCP, UDP>,
    servers: &[IpAddr],
) -> bool {
    !servers.is_empty() && servers == stack.dhcp.servers()
}

/// The addresses of those to whom something may be sent, of a family that is built in.
fn usable_servers<const SERVERS: usize>(
    interface: &Interface,
    servers: &[IpAddr],
) -> Vec<SocketAddr, SERVERS> {
    let servers = servers.iter().filter_map(|server| address::ip(*server));
    let may_ask = |server: &smoltcp::wire::IpAddress| match Scope::of(*server) {
        Scope::None => false,
        Scope::Host => interface.has_ip_addr(*server),
        Scope::Link | Scope::Wider => true,
    };
    let mut known = Vec::new();
    for server in servers.filter(may_ask).map(|server| SocketAddr::new(server.into(), DOMAIN)) {
        // One that is named twice takes no place of another's; those beyond are left out.
        if !known.contains(&server) {
            let _ = known.push(server);
        }
    }
    known
}

impl<const NAMES: usize, const SERVERS: usize, const NAME: usize, const DATA: usize>
    DnsState<NAMES, SERVERS, NAME, DATA>
{
    /// Whether its sockets are those of this stack.
    pub(crate) fn belongs_to<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &self,
        stack: &Stack<'_, D, B, TCP, UDP>,
    ) -> bool {
        self.stack == stack.identity
    }

    /// Takes in what has come, and sends what is due. Says when to call it again, if nothing comes before
    /// that.
    // Not part of its callers, which would keep room for the query.
    #[inline(never)]
    pub(crate) fn serve<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) -> Option<Instant> {
        let now = stack.now();
        self.take_in(stack, now);
        self.follow_source(stack, now);
        // Before others are opened.
        self.close_unused(stack);
        let mut buffer = [0; LARGEST_QUERY];
        let wake = loop {
            match self.client.poll_output(&mut buffer, now) {
                DnsOutput::Send { port, server, length } => {
                    self.send(stack, (port, server), buffer.get(..length).unwrap_or_default(), now);
                }
                // Those who wait look by themselves, and there is no TCP.
                DnsOutput::Ended(_) | DnsOutput::Connect { .. } => {}
                DnsOutput::WaitUntil(at) => break Some(at),
                DnsOutput::WaitForInput => break None,
            }
        };
        self.close_unused(stack);
        wake
    }

    /// Where this machine sends from another address than it did, what is asked is asked anew: of the servers
    /// of the new lease, where those of the old one were asked.
    fn follow_source<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        now: Instant,
    ) {
        let changes = stack.sources.changes();
        if core::mem::replace(&mut self.changes, changes) == changes {
            return;
        }
        #[cfg(feature = "dhcpv4")]
        if self.are_leased && !stack.dhcp.servers().is_empty() {
            self.client.set_servers(&usable_servers::<SERVERS>(&stack.interface, stack.dhcp.servers()), now);
        }
        self.client.begin_anew(now);
    }

    fn take_in<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        now: Instant,
    ) {
        for QuerySocket { handle, open } in &self.sockets {
            let (Some((port, _)), Some(socket)) = (*open, stack.find::<udp::Socket<'_>>(*handle)) else {
                continue;
            };
            // Ends when the buffer is empty.
            while let Ok((message, meta)) = socket.recv() {
                let from = address::socket_addr(meta.endpoint);
                self.client.handle_input(DnsInput::Datagram { port, from, message }, now);
            }
        }
        while let Some((local, server)) = stack.undelivered.take() {
            let mut open = self.sockets.iter().filter_map(|socket| socket.open);
            if let Some((port, _)) = open.find(|(_, own)| *own == local) {
                let server = address::socket_addr(server);
                self.client.handle_input(DnsInput::DatagramFailed { port, server }, now);
            }
        }
    }

    /// Sends a question. Without a socket for it, it counts as lost.
    fn send<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        (port, server): (Port, SocketAddr),
        query: &[u8],
        now: Instant,
    ) {
        let endpoint = address::endpoint(server);
        let way = endpoint.and_then(|endpoint| Some((endpoint, stack.next_hop_to(endpoint.addr)?)));
        let Some((endpoint, (next_hop, _))) = way else {
            return self.client.handle_input(DnsInput::DatagramFailed { port, server }, now);
        };
        if let Some((socket, local)) = self.socket(stack, port) {
            stack.send_query(&mut socket.handle, local, endpoint, next_hop, query);
        }
    }

    /// The socket of a question, with its local port.
    fn socket<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
        port: Port,
    ) -> Option<(&mut QuerySocket, u16)> {
        let own = |socket: &QuerySocket| socket.open.is_some_and(|(own, _)| own == port);
        let index = self.sockets.iter().position(own);
        let index = index.or_else(|| self.sockets.iter().position(|socket| socket.open.is_none()))?;
        let socket = self.sockets.get_mut(index)?;
        let local = match socket.open {
            Some((_, local)) => local,
            None => stack.open_query_socket(socket.handle)?,
        };
        socket.open = Some((port, local));
        Some((socket, local))
    }

    /// Closes the sockets of questions that have ended, or are asked from another port now.
    pub(crate) fn close_unused<D: Device, B: Platform, const TCP: usize, const UDP: usize>(
        &mut self,
        stack: &mut Stack<'_, D, B, TCP, UDP>,
    ) {
        for socket in &mut self.sockets {
            if socket.open.is_some_and(|(port, _)| !self.client.is_open(port)) {
                socket.open = None;
                stack.close_query_socket(&mut socket.handle);
            }
        }
    }

    /// Whether there is a socket for each question that is asked.
    pub(crate) fn has_room(&self) -> bool {
        self.client.ports() <= self.sockets.len()
    }
}
