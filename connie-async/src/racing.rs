//! The object in the middle: what it remembers, and how a look-up and a connect make one race.

use core::cell::RefCell;
use core::fmt;
use core::future::{Future, poll_fn};
use core::net::{IpAddr, SocketAddr};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use connie_core::resolution::{Host, HostError, LOOPBACK};
use connie_core::{Config, Families, Family, Input, Race};
use heapless::Vec;

use crate::clock::Clock;
use crate::connection::Connection;
use crate::drive::{Asked, ask, drive, poll_once, with_port};
use crate::error::{Error, LookupError};
use crate::lookup::Lookup;
use crate::memory::{Found, Memory};

/// A network stack `T`, names `L` and a clock `C`, over which every connect is a race.
///
/// It implements embedded-nal-async's `TcpConnect` where `T` does, and `Dns`; with the feature `edge-nal` the same for edge-nal's. See
/// the [front page](crate) for what stands for what.
///
/// Up to `SOCKETS` attempts (at most 255) are in flight for one connect: no more than the stack has to spare. A name has up to `ADDRESSES`
/// addresses (at most 255), those of both families in turn where it has more, and the last `NAMES` names are remembered, each in some
/// 270 octets and 17 for each address. Capacities that cannot work do not compile.
pub struct Racing<T, L, C, const SOCKETS: usize = 4, const ADDRESSES: usize = 8, const NAMES: usize = 4> {
    tcp: T,
    names: L,
    clock: C,
    config: Config,
    resolution_delay: Duration,
    /// Never borrowed over an `await`, nor while foreign code runs.
    memory: RefCell<Memory<ADDRESSES, NAMES>>,
}

/// How long a look-up, and how long a connect, may take where nothing else was said.
const DEADLINE: Duration = Duration::from_secs(30);

/// How long a look-up that has an address waits for the other family. Both are asked at the same time, so that the answers are mostly
/// a millisecond or two apart; a family that is not waited for is asked for a second time.
const RESOLUTION_DELAY: Duration = Duration::from_millis(15);

impl<T, L, C> Racing<T, L, C> {
    /// Races over `tcp` as `config` says, with the default capacities. Without a deadline in `config`, look-ups and connects have 30 s
    /// each; a stack for microcontrollers has mostly no time-out of its own.
    pub const fn new(tcp: T, names: L, clock: C, config: Config) -> Self {
        Self::with_capacities(tcp, names, clock, config)
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize>
    Racing<T, L, C, SOCKETS, ADDRESSES, NAMES>
{
    /// The same with capacities of one's own: `Racing::<_, _, _, 2, 4, 1>::with_capacities(..)`.
    pub const fn with_capacities(tcp: T, names: L, clock: C, mut config: Config) -> Self {
        if config.deadline.is_none() {
            config.deadline = Some(DEADLINE);
        }
        let memory = RefCell::new(Memory::new());
        Racing { tcp, names, clock, config, resolution_delay: RESOLUTION_DELAY, memory }
    }

    /// How long a look-up that has brought an address waits for the other family: 15 ms by default. RFC 8305 section 8 recommends 50 ms
    /// for its Resolution Delay, which serves the preference for IPv6. Here it spares the name server a query: a family that was not
    /// waited for is asked for again by the connect.
    #[must_use]
    pub const fn with_resolution_delay(mut self, delay: Duration) -> Self {
        self.resolution_delay = delay;
        self
    }

    /// The stack.
    pub const fn tcp(&self) -> &T {
        &self.tcp
    }

    /// The names.
    pub const fn names(&self) -> &L {
        &self.names
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize> fmt::Debug
    for Racing<T, L, C, SOCKETS, ADDRESSES, NAMES>
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut racing = f.debug_struct("Racing");
        racing.field("config", &self.config).field("resolution_delay", &self.resolution_delay);
        racing.field("memory", &self.memory).finish_non_exhaustive()
    }
}

impl<T, L: Lookup, C: Clock, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize>
    Racing<T, L, C, SOCKETS, ADDRESSES, NAMES>
{
    /// Looks `host` up, remembers what was found, and answers the address that stands for it.
    pub(crate) async fn resolve(&self, host: &str, asked: Families) -> Result<IpAddr, LookupError<L::Error>> {
        let wanted = |family| self.wants(family) && asked.allow(family);
        let mut found = Found { addresses: Vec::new(), late: None };
        match Host::parse(host).map_err(LookupError::InvalidHost)? {
            Host::Name(name) => {
                let answers = self.ask_both(name, wanted(Family::V6), wanted(Family::V4)).await?;
                found = self.merge(answers);
            }
            Host::Address(literal) if literal.zone.is_some() => {
                // An address as these traits have it cannot carry the zone.
                return Err(LookupError::InvalidHost(HostError::Ipv6));
            }
            Host::Address(literal) => self.fill(&mut found, &[literal.ip], wanted),
            Host::Loopback => self.fill(&mut found, &LOOPBACK, wanted),
            Host::Nowhere => {}
        }
        let remembered = self.memory.try_borrow_mut().ok();
        remembered.and_then(|mut memory| memory.remember(host, found)).ok_or(LookupError::NoAddress)
    }

    fn fill(&self, found: &mut Found<ADDRESSES>, addresses: &[IpAddr], wanted: impl Fn(Family) -> bool) {
        let of_use = |ip: &&IpAddr| wanted(if ip.is_ipv4() { Family::V4 } else { Family::V6 });
        for address in addresses.iter().filter(of_use) {
            // Two at most; with room for one, the first.
            let _ = found.addresses.push(*address);
        }
    }

    /// Whether addresses of `family` are of use.
    fn wants(&self, family: Family) -> bool {
        self.config.families.allow(family) && self.names.families().allow(family)
    }

    /// The configuration, less the families that are of no use.
    fn race(&self) -> Race<ADDRESSES, SOCKETS, SOCKETS> {
        let mut config = self.config.clone();
        if let Families::Only(only) = self.names.families() {
            // With both narrowed to different ones none is left, and `connect` has ended before.
            config.families = Families::Only(only);
        }
        Race::new(&config, self.clock.now())
    }

    /// Asks for both families side by side until both have answered, or `resolution_delay` has passed since the first that brought an
    /// address, or until the deadline.
    async fn ask_both(
        &self,
        host: &str,
        v6: bool,
        v4: bool,
    ) -> Result<Both<ADDRESSES>, LookupError<L::Error>> {
        let lookup = |family, wanted: bool| wanted.then(|| ask::<L, ADDRESSES>(&self.names, host, family));
        let mut asking_v6 = pin!(lookup(Family::V6, v6));
        let mut asking_v4 = pin!(lookup(Family::V4, v4));
        let mut both = Both { v6: Vec::new(), v4: Vec::new(), late: None };
        let mut failed = None;
        let mut deadline = self.clock.now() + self.config.deadline.unwrap_or(DEADLINE);
        let mut timer = pin!(Some(self.clock.wait_until(deadline)));
        let mut hurried = false;
        let in_time = poll_fn(|cx| {
            if let Some(answer) = poll_once(asking_v6.as_mut(), cx) {
                answer.map_or_else(|error| _ = failed.get_or_insert(error), |found| both.v6 = found);
            }
            if let Some(answer) = poll_once(asking_v4.as_mut(), cx) {
                answer.map_or_else(|error| _ = failed.get_or_insert(error), |found| both.v4 = found);
            }
            both.late = match (asking_v6.is_some(), asking_v4.is_some()) {
                (true, _) => Some(Family::V6),
                (false, true) => Some(Family::V4),
                (false, false) => None,
            };
            if both.late.is_none() {
                return Poll::Ready(true);
            }
            if !both.is_empty() && !hurried {
                hurried = true;
                deadline = deadline.min(self.clock.now() + self.resolution_delay);
                timer.set(Some(self.clock.wait_until(deadline)));
            }
            if poll_once(timer.as_mut(), cx).is_none() {
                return Poll::Pending;
            }
            if self.clock.now() >= deadline {
                return Poll::Ready(false);
            }
            // The clock has rung too soon. The executor has its other tasks to look after first.
            timer.set(Some(self.clock.wait_until(deadline)));
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
        match (both.is_empty(), in_time, failed) {
            (false, ..) => Ok(both),
            (true, true, Some(error)) => Err(LookupError::Failed(error)),
            (true, true, None) => Err(LookupError::NoAddress),
            (true, false, _) => Err(LookupError::DeadlineExceeded),
        }
    }

    /// Both families in turn, the preferred one first, as far as there is room.
    fn merge(&self, both: Both<ADDRESSES>) -> Found<ADDRESSES> {
        let (first, second) = match self.config.preferred_family {
            Family::V6 => (both.v6, both.v4),
            Family::V4 => (both.v4, both.v6),
        };
        let mut found = Found { addresses: Vec::new(), late: both.late };
        let (mut first, mut second) = (first.iter(), second.iter());
        loop {
            let pair = (first.next(), second.next());
            if pair == (None, None) {
                return found;
            }
            for address in [pair.0, pair.1].into_iter().flatten() {
                let _ = found.addresses.push(*address);
            }
        }
    }

    /// Connects to `remote`, or to whatever name it stands for. `open` is the stack's connect.
    pub(crate) async fn connect_by<O, F, N, E>(
        &self,
        remote: SocketAddr,
        open: O,
    ) -> Result<Connection<N>, Error<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        let behind = self.memory.try_borrow().ok().and_then(|memory| memory.behind(remote.ip()));
        // What is not remembered stands for itself. A zone stays with the address that was given with it.
        let destination = |ip| if ip == remote.ip() { remote } else { SocketAddr::new(ip, remote.port()) };
        let mut race = self.race();
        let now = self.clock.now();
        let (host, late) = match &behind {
            Some((host, found)) => {
                let addresses = with_port(&found.addresses, destination);
                for family in
                    [Family::V6, Family::V4].into_iter().filter(|family| found.late != Some(*family))
                {
                    race.handle_input(Input::Resolved { family, addresses: &addresses }, now);
                }
                (host.as_str(), found.late)
            }
            None => {
                race.handle_addresses(&[remote], now);
                ("", None)
            }
        };
        let asks = |family| late == Some(family) && self.wants(family);
        let asked = Asked { host, v6: asks(Family::V6), v4: asks(Family::V4), port: remote.port() };
        self.run(race, asked, open).await
    }

    /// Looks `host` up and connects to whichever of its addresses answers first, beginning with the first answer.
    pub(crate) async fn connect_host_by<O, F, N, E>(
        &self,
        host: &str,
        port: u16,
        open: O,
    ) -> Result<Connection<N>, Error<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        let mut race = self.race();
        let now = self.clock.now();
        let (v6, v4) = match Host::parse(host).map_err(Error::InvalidHost)? {
            Host::Name(_) => (self.wants(Family::V6), self.wants(Family::V4)),
            Host::Address(literal) => {
                let address = literal.socket_addr(port).ok_or(Error::InvalidHost(HostError::Ipv6))?;
                race.handle_addresses(&[address], now);
                (false, false)
            }
            Host::Loopback => {
                race.handle_addresses(&LOOPBACK.map(|ip| SocketAddr::new(ip, port)), now);
                (false, false)
            }
            Host::Nowhere => return Err(Error::NoAddress),
        };
        self.run(race, Asked { host, v6, v4, port }, open).await
    }

    async fn run<O, F, N, E>(
        &self,
        mut race: Race<ADDRESSES, SOCKETS, SOCKETS>,
        asked: Asked<'_>,
        open: O,
    ) -> Result<Connection<N>, Error<E>>
    where
        O: Fn(SocketAddr) -> F,
        F: Future<Output = Result<N, E>>,
        E: embedded_io_async::Error,
    {
        if !self.wants(Family::V6) && !self.wants(Family::V4) {
            return Err(Error::NoAddress);
        }
        let won = drive(&mut race, &self.clock, &self.names, asked, open).await?;
        Ok(Connection::new(won.0, won.1))
    }
}

/// The answers for both families.
struct Both<const ADDRESSES: usize> {
    v6: Vec<IpAddr, ADDRESSES>,
    v4: Vec<IpAddr, ADDRESSES>,
    late: Option<Family>,
}

impl<const ADDRESSES: usize> Both<ADDRESSES> {
    fn is_empty(&self) -> bool {
        self.v6.is_empty() && self.v4.is_empty()
    }
}
