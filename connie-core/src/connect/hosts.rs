//! Several hosts, one race: what is known of each, as the answers of one name.

use core::iter;
use core::net::{IpAddr, SocketAddr};

use heapless::Vec;

use super::QueryState;
use super::facts::{AddressOrder, Facts, Routes};
use super::input_output::ConnectInput;
use super::start::{HostKind, Start};
use crate::race::{Config, Family};
use crate::resolution::nat64::Prefix;
use crate::resolution::selection::{Candidate, PolicyEntry, Route, sort};
use crate::resolution::{Query, QueryError, QueryFailure};

/// Hosts of which any will do, such as brokers or replicas, each a name or an address with a port of its own:
/// what is known of them, for one [`Connect`](super::Connect) to all.
///
/// It takes what came of each host's queries and has [news](Hosts::news) of all of them together, which are
/// the connect's inputs. So all addresses are in one race, and all that holds of a race does from when they
/// are known:
///
/// - **The first host first, and in turn.** Of each family the best address of each host comes before the
///   second best of any.
/// - **A host that is not found delays no other**, nor does one whose lookup never ends: what is known of the
///   others is tried. Only the failure waits for it, since it may still help: a race without a deadline does
///   not fail before all lookups have ended.
/// - **Room for each.** There is room for `ADDRESSES` addresses in all. When that is full, a host with more
///   of them loses one to a host with fewer.
///
/// `HOSTS` is how many there can be, at most 255.
///
/// ```
/// use connie_core::connect::{Connect, Facts, Hosts, ConnectInput, AddressOrder, ConnectOutput, Start};
/// use connie_core::resolution::{Query, QueryError};
/// use connie_core::{Config, Instant};
///
/// let (config, facts, now) = (Config::all_at_once(), Facts::default(), Instant::ZERO);
/// let mut hosts = Hosts::<2, 16>::new(&facts);
/// for (host, port) in [("a.example", 1883), ("b.example", 8883)] {
///     hosts.add(Start::new(host, port, &facts)?, &config);
/// }
/// let known = hosts.known();
/// let mut connect = Connect::<16, 4>::begin(hosts.start(&known), &config, &facts, now);
/// assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: Query::Aaaa });
/// assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: Query::A });
/// // Each for both.
/// assert!(hosts.asking(Query::A).eq([0, 1]));
///
/// // The first has one address of IPv4. The second has not answered.
/// hosts.failed(0, Query::Aaaa, QueryError::NoSuchName);
/// hosts.answered(0, Query::A, &["192.0.2.1:1883".parse()?], AddressOrder::Any(&[]));
/// while let Some(news) = hosts.news() {
///     connect.handle_input(news.input(), now);
/// }
/// let ConnectOutput::StartAttempt { destination, .. } = connect.poll_output(now) else { panic!() };
/// assert_eq!(hosts.host_of(destination), Some(0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Hosts<const HOSTS: usize = 4, const ADDRESSES: usize = 16> {
    hosts: Vec<HostState, HOSTS>,
    /// In the order in which they became known.
    known: Vec<KnownAddress, ADDRESSES>,
    routes: Routes,
    policy: &'static [PolicyEntry],
    /// Of the network's NAT64, where one is known.
    prefix: Option<Prefix>,
    /// Of which families something has changed, IPv6 before IPv4.
    changed: [bool; 2],
    /// Of these some were taken out, which makes room.
    shrunk: [bool; 2],
}

/// What has become of one host. Both in the order IPv6, IPv4.
#[derive(Clone, Copy, Debug)]
struct HostState {
    queries: [QueryState; 2],
    /// The route to the best address.
    ways: [Route; 2],
}

#[derive(Clone, Copy, Debug)]
struct KnownAddress {
    address: SocketAddr,
    host: u8,
}

/// What is new of the hosts of a [`Hosts`], as an input of their connect.
#[derive(Clone, Debug)]
pub struct HostsInput<const ADDRESSES: usize> {
    query: Query,
    family: Family,
    addresses: Vec<SocketAddr, ADDRESSES>,
    way: Route,
    end: FamilyEnd,
}

#[derive(Clone, Copy, Debug)]
enum FamilyEnd {
    /// A host has yet to answer.
    Open,
    Answered,
    Failed(QueryError),
}

impl<const ADDRESSES: usize> HostsInput<ADDRESSES> {
    /// The input.
    #[must_use]
    pub fn input(&self) -> ConnectInput<'_> {
        let (query, family, addresses) = (self.query, self.family, &*self.addresses);
        let order = AddressOrder::Best(self.way);
        match self.end {
            FamilyEnd::Open => ConnectInput::Hinted { family, addresses, order },
            FamilyEnd::Answered => ConnectInput::Answered { query, addresses, order },
            FamilyEnd::Failed(error) => ConnectInput::QueryFailed { query, error },
        }
    }
}

/// The place of a family in a pair.
fn of<T>([v6, v4]: &[T; 2], family: Family) -> &T {
    match family {
        Family::V6 => v6,
        Family::V4 => v4,
    }
}

fn of_mut<T>([v6, v4]: &mut [T; 2], family: Family) -> &mut T {
    match family {
        Family::V6 => v6,
        Family::V4 => v4,
    }
}

/// An IPv4-mapped address is the IPv4 address, and no resolver fills in a flow label.
fn is_same(a: SocketAddr, b: SocketAddr) -> bool {
    let zone = |address| if let SocketAddr::V6(v6) = address { v6.scope_id() } else { 0 };
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical() && zone(a) == zone(b)
}

fn discovered(ip: IpAddr) -> Option<Prefix> {
    match ip {
        IpAddr::V6(ip) => Prefix::discover(ip),
        IpAddr::V4(_) => None,
    }
}

const BOTH: [Family; 2] = [Family::V6, Family::V4];

fn family_of(query: Query) -> Option<Family> {
    match query {
        Query::Aaaa => Some(Family::V6),
        Query::A => Some(Family::V4),
        Query::Nat64Prefix => None,
    }
}

impl<const HOSTS: usize, const ADDRESSES: usize> Hosts<HOSTS, ADDRESSES> {
    /// No hosts, on a machine of which these facts are known: its routes, and its policy for the order of
    /// addresses.
    #[must_use]
    pub const fn new(facts: &Facts<'_>) -> Self {
        const { assert!(HOSTS >= 1 && HOSTS <= 255, "at least one host, and at most 255") };
        Hosts {
            hosts: Vec::new(),
            known: Vec::new(),
            routes: facts.routes,
            policy: facts.policy,
            prefix: None,
            changed: [false; 2],
            shrunk: [false; 2],
        }
    }

    /// Adds a host, before the connect begins. Its number: 0 for the first. `None` where there is room for no
    /// more.
    pub fn add(&mut self, start: Start<'_>, config: &Config) -> Option<usize> {
        let state = |query| match start.0 {
            HostKind::Nowhere => QueryState::Nowhere,
            _ if start.asks(query, config, &Facts::default(), false) => QueryState::ToSend,
            _ => QueryState::Unwanted,
        };
        let one = HostState { queries: [Query::Aaaa, Query::A].map(state), ways: [Route::Unknown; 2] };
        let number = self.hosts.len();
        self.hosts.push(one).ok()?;
        let mut own = |addresses: &[SocketAddr]| {
            let allowed = addresses.iter().filter(|address| config.families.allow(Family::of(address)));
            allowed.for_each(|address| self.insert(number, *address));
        };
        match start.0 {
            HostKind::Known(addresses) => own(addresses),
            HostKind::Loopback(addresses) => own(&addresses),
            HostKind::Literal(address) => own(&[address]),
            HostKind::Name | HostKind::Nowhere => {}
        }
        Some(number)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.hosts.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hosts.is_empty()
    }

    /// The addresses that are known so far, in the order to try them.
    #[must_use]
    pub fn known(&self) -> Vec<SocketAddr, ADDRESSES> {
        // It has as much room as there are addresses.
        self.in_turn(|_| true).take(ADDRESSES).collect()
    }

    /// How their connect begins, after the last was [added](Hosts::add). Where a name among them is to be
    /// asked for it is that of a name, and what is known already is in the [news](Hosts::news). Else it is
    /// that of a list, `known` being the [addresses](Hosts::known).
    #[must_use]
    pub fn start<'a>(&self, known: &'a [SocketAddr]) -> Start<'a> {
        let asks = |one: &HostState| one.queries.iter().any(|state| state.is_open());
        Start(if self.hosts.iter().any(asks) { HostKind::Name } else { HostKind::Known(known) })
    }

    /// The numbers of the hosts that `query` is to be sent for, when the connect says so. That for a NAT64's
    /// prefix is about none of them: it is sent once, and its answer is the connect's.
    pub fn asking(&self, query: Query) -> impl Iterator<Item = usize> + use<'_, HOSTS, ADDRESSES> {
        let asks =
            move |one: &HostState| family_of(query).is_some_and(|family| of(&one.queries, family).is_open());
        self.hosts.iter().enumerate().filter(move |(_, one)| asks(one)).map(|(number, _)| number)
    }

    /// The query of one host has its answer, with the port to connect to: see [`ConnectInput::Answered`]. Of
    /// the answer for a NAT64's prefix, which belongs to none of the hosts, it takes note too: so it knows
    /// [whose](Hosts::host_of) an address behind that is.
    pub fn answered(&mut self, host: usize, query: Query, addresses: &[SocketAddr], order: AddressOrder<'_>) {
        match family_of(query) {
            Some(family) => self.take_in(host, family, addresses, order, QueryState::Answered),
            None => self.prefix = addresses.iter().find_map(|address| discovered(address.ip())),
        }
    }

    /// There are addresses of one host to go on with: see [`ConnectInput::Hinted`].
    pub fn hinted(&mut self, host: usize, family: Family, addresses: &[SocketAddr], order: AddressOrder<'_>) {
        if self.state(host, family).is_some_and(QueryState::is_open) {
            self.take_in(host, family, addresses, order, QueryState::Sent);
        }
    }

    /// The query of one host failed: see [`ConnectInput::QueryFailed`].
    pub fn failed(&mut self, host: usize, query: Query, error: QueryError) {
        let Some(family) = family_of(query) else { return };
        if self.state(host, family).is_some_and(QueryState::is_open) {
            self.set(host, family, QueryState::Failed(error));
        }
    }

    /// The same as an input, of a host: of attempts, of a source that changes, and of a NAT64's prefix as
    /// well, the connect itself is told.
    pub fn handle_input(&mut self, host: usize, input: ConnectInput<'_>) {
        match input {
            ConnectInput::Answered { query, addresses, order } => {
                self.answered(host, query, addresses, order)
            }
            ConnectInput::Hinted { family, addresses, order } => self.hinted(host, family, addresses, order),
            ConnectInput::QueryFailed { query, error } => self.failed(host, query, error),
            ConnectInput::AttemptSucceeded { .. }
            | ConnectInput::AttemptFailed { .. }
            | ConnectInput::SourceChanged { .. }
            | ConnectInput::Cancel => {}
        }
    }

    /// What has changed, for the connect; to be asked until there is nothing, when it has begun and after
    /// each of the above.
    pub fn news(&mut self) -> Option<HostsInput<ADDRESSES>> {
        let is_new = |family: &&Family| *of(&self.changed, **family);
        let makes_room = |family: &&Family| *of(&self.shrunk, **family);
        let family = *BOTH.iter().filter(is_new).find(makes_room).or_else(|| BOTH.iter().find(is_new))?;
        *of_mut(&mut self.changed, family) = false;
        *of_mut(&mut self.shrunk, family) = false;
        // It has as much room as there are addresses.
        let addresses: Vec<_, ADDRESSES> =
            self.in_turn(|address| Family::of(address) == family).take(ADDRESSES).collect();
        let best =
            addresses.first().and_then(|first| self.host_of(*first)).and_then(|host| self.hosts.get(host));
        let way = best.map_or(Route::Unknown, |one| *of(&one.ways, family));
        let end = self.end(family, addresses.is_empty());
        Some(HostsInput { query: Query::of(family), family, addresses, way, end })
    }

    /// The number of the host that an address belongs to. An address of two hosts belongs to the one that had
    /// it first. `None` where it belongs to none of them, or had to make room for another.
    #[must_use]
    pub fn host_of(&self, address: SocketAddr) -> Option<usize> {
        let of = |address| self.known.iter().find(|known| is_same(known.address, address));
        let behind = || match (self.prefix, address.ip()) {
            (Some(prefix), IpAddr::V6(ip)) => {
                prefix.extract(ip).map(|ip| SocketAddr::new(ip.into(), address.port()))
            }
            _ => None,
        };
        of(address).or_else(|| of(behind()?)).map(|known| known.host.into())
    }

    /// The queries for addresses of a host that have brought none, as
    /// [`Connect::failures`](super::Connect::failures) has them of the only one. `host` is its text.
    /// `timed_out` is whether the connect's deadline has passed.
    pub fn failures<'h>(
        &self,
        number: usize,
        host: &'h str,
        timed_out: bool,
    ) -> impl Iterator<Item = QueryFailure<'h>> + use<'h, HOSTS, ADDRESSES> {
        let has = |family| self.of_host(number).any(|known| Family::of(&known.address) == family);
        let (states, has) = (self.hosts.get(number).map(|one| one.queries), BOTH.map(has));
        let found = has.contains(&true);
        BOTH.into_iter().filter_map(move |family| {
            let error = match *of(&states?, family) {
                QueryState::Failed(QueryError::NoSuchName) if found => return None,
                QueryState::Failed(error) => error,
                QueryState::Nowhere => QueryError::NoSuchName,
                state if state.is_open() && timed_out && !of(&has, family) => QueryError::TimedOut,
                _ => return None,
            };
            Some(QueryFailure { host, query: Query::of(family), error })
        })
    }

    // What is known.

    fn take_in(
        &mut self,
        host: usize,
        family: Family,
        addresses: &[SocketAddr],
        order: AddressOrder<'_>,
        state: QueryState,
    ) {
        match self.state(host, family) {
            None | Some(QueryState::Unwanted | QueryState::Nowhere) => return,
            _ => {}
        }
        let is_old =
            |known: &KnownAddress| usize::from(known.host) == host && Family::of(&known.address) == family;
        if self.known.iter().any(is_old) {
            self.known.retain(|known| !is_old(known));
            *of_mut(&mut self.shrunk, family) = true;
        }
        let (ranked, way) = self.ranked(family, addresses, order);
        if let Some(one) = self.hosts.get_mut(host) {
            *of_mut(&mut one.ways, family) = way;
        }
        self.set(host, family, state);
        ranked.iter().for_each(|address| self.insert(host, *address));
    }

    /// The addresses of `family`, in their order, and the way to the first.
    fn ranked(
        &self,
        family: Family,
        addresses: &[SocketAddr],
        order: AddressOrder<'_>,
    ) -> (Vec<SocketAddr, ADDRESSES>, Route) {
        let unknown = if self.routes.has(family) { Route::Unknown } else { Route::Unreachable };
        let (routes, best) = match order {
            AddressOrder::Any(routes) => (routes, None),
            AddressOrder::Best(way) => (&[][..], Some(way)),
        };
        let mut ways = routes.iter().copied().chain(iter::repeat(Route::Unknown));
        let mut candidates = Vec::<(Candidate, Route), ADDRESSES>::new();
        for address in addresses {
            let way = ways.next().unwrap_or(Route::Unknown);
            if Family::of(address) == family {
                let counts = if let Route::Unknown = way { unknown } else { way };
                // Those beyond have no room.
                let _ = candidates.push((Candidate::new(self.policy, *address, counts), way));
            }
        }
        let mut ranked: Vec<_, ADDRESSES> = candidates.iter().map(|(candidate, _)| *candidate).collect();
        if best.is_none() {
            sort(&mut ranked);
        }
        let first = ranked.first().map(Candidate::address);
        let way_to = |address| candidates.iter().find(|(it, _)| it.address() == address).map(|(_, way)| *way);
        let way = best.or_else(|| way_to(first?)).unwrap_or(Route::Unknown);
        (ranked.iter().map(Candidate::address).collect(), way)
    }

    /// Adds an address of a host, the last of its family. Where there is no room the host with most gives its
    /// last one away, if it has more.
    fn insert(&mut self, host: usize, address: SocketAddr) {
        // There are at most 255 hosts, see the assertion in `new`.
        let known = KnownAddress { address, host: host as u8 };
        if self.of_host(host).any(|own| own.address == address) {
            return;
        }
        *of_mut(&mut self.changed, Family::of(&address)) = true;
        let Err(known) = self.known.push(known) else { return };
        let count = |number: usize| self.of_host(number).count();
        let Some(most) = (0..self.hosts.len()).max_by_key(|number| count(*number)) else { return };
        if count(most) <= count(host).saturating_add(1) {
            return;
        }
        let of_family = |family| self.of_host(most).filter(|it| Family::of(&it.address) == family).count();
        let family = if of_family(Family::V4) > of_family(Family::V6) { Family::V4 } else { Family::V6 };
        let is_one = |it: &KnownAddress| usize::from(it.host) == most && Family::of(&it.address) == family;
        let Some(last) = self.known.iter().rposition(is_one) else { return };
        let mut index = 0_usize;
        self.known.retain(|_| {
            let stays = index != last;
            index = index.saturating_add(1);
            stays
        });
        *of_mut(&mut self.changed, family) = true;
        *of_mut(&mut self.shrunk, family) = true;
        // One has gone.
        let _ = self.known.push(known);
    }

    fn of_host(&self, number: usize) -> impl Iterator<Item = &KnownAddress> {
        self.known.iter().filter(move |known| usize::from(known.host) == number)
    }

    /// Those that `fits` lets through, one of each host in turn.
    fn in_turn(&self, fits: impl Fn(&SocketAddr) -> bool) -> impl Iterator<Item = SocketAddr> {
        let hosts = self.hosts.len();
        let rounds = (0..hosts).map(|number| self.of_host(number).count()).max().unwrap_or(0);
        let all = (0..rounds).flat_map(move |round| (0..hosts).map(move |number| (number, round)));
        all.filter_map(move |(number, round)| {
            self.of_host(number).map(|known| known.address).filter(|it| fits(it)).nth(round)
        })
    }

    fn state(&self, host: usize, family: Family) -> Option<QueryState> {
        self.hosts.get(host).map(|one| *of(&one.queries, family))
    }

    fn set(&mut self, host: usize, family: Family, state: QueryState) {
        if let Some(one) = self.hosts.get_mut(host) {
            *of_mut(&mut one.queries, family) = state;
            *of_mut(&mut self.changed, family) = true;
        }
    }

    /// What all queries for a family come to together.
    fn end(&self, family: Family, is_empty: bool) -> FamilyEnd {
        let states = || self.hosts.iter().map(|one| *of(&one.queries, family));
        if states().any(QueryState::is_open) {
            return FamilyEnd::Open;
        }
        let error = |state| match state {
            QueryState::Failed(error) => Some(error),
            QueryState::Nowhere => Some(QueryError::NoSuchName),
            _ => None,
        };
        let is_answered = states().any(|state| state == QueryState::Answered);
        let worst = states().filter_map(error).min_by_key(|error| error.precedence());
        match worst.filter(|_| is_empty && !is_answered) {
            Some(error) => FamilyEnd::Failed(error),
            None => FamilyEnd::Answered,
        }
    }
}
