//! How a program wants to connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::{Config, Families, Pacing};

use crate::budget::SocketBudget;
use crate::cancel::Canceler;
use crate::egress::Egress;
use crate::filter::AddressFilter;
use crate::memory::Memory;
use crate::observer::Observer;
use crate::resolve::Resolver;
use crate::socket::OsStack;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::{OnSocket, SocketOptions};

pub use crate::limits::{MAX_DESTINATIONS, MAX_IN_FLIGHT};

/// How to connect: made by [`Options::new`], and changed by methods that have the names of its fields. A
/// field can be read, and set, by itself too.
///
/// ```
/// use connie_std::{Memory, Options};
/// use std::time::Duration;
///
/// let options = Options::new().deadline(Duration::from_secs(10)).max_in_flight(4).memory(Memory::new());
/// assert_eq!(options.race.max_in_flight, 4);
/// ```
///
/// Optional values are taken as they are, or as an `Option`: `deadline(None)` means no deadline.
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Options {
    /// How long all of the connect may take: resolution, the race and, with TLS, the handshake. Default:
    /// [`Options::DEFAULT_DEADLINE`], 30 seconds. With `None` only the system's limit counts: some two
    /// minutes for a host whose addresses are all silent.
    pub deadline: Option<Duration>,
    /// The race. Default: every address at once, over at most [`Options::DEFAULT_MAX_IN_FLIGHT`] sockets.
    ///
    /// It has no deadline of its own: that is [`Options::deadline`], to which [`Options::race`](Self::race())
    /// moves one. Where a program sets both fields the sooner counts. Which family's addresses come first is
    /// decided by RFC 6724 from what the host would send from, and on Linux with glibc by `/etc/gai.conf`
    /// too; mostly it is IPv6 where the host has it. `preferred_family: Family::V4` makes it IPv4 always. For
    /// lists of addresses it is the family of the first. A family without a route is not waited for if the
    /// other has addresses.
    pub race: Config,
    /// Where addresses of names come from. Default: the operating system.
    pub resolver: Resolver,
    /// The source address of IPv4 connections. Default: the system's choice.
    ///
    /// A source address for one family alone excludes the other: its addresses fail untried, with that reason
    /// in the report. One that this machine does not have fails its family. With a source
    /// address the port is chosen at `connect` (on Linux `IP_BIND_ADDRESS_NO_PORT`), so that connections to
    /// different addresses can share one, as without.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections, in the same way.
    pub source_v6: Option<Ipv6Addr>,
    /// Options of each socket, set before it is connected: keepalive, buffers, an interface and more.
    /// Default: nothing. WASI has none of it.
    #[cfg(not(target_os = "wasi"))]
    pub socket: SocketOptions,
    /// What the program itself does with each socket before it is bound and connected, also with those of
    /// name servers and routes: [`OnSocket`] has an example. Default: nothing.
    #[cfg(not(target_os = "wasi"))]
    pub on_socket: Option<OnSocket>,
    /// Whether to set `TCP_NODELAY` on the winner. Default: yes.
    pub nodelay: bool,
    /// Addresses for names, which beat the resolver. The last entry for a name counts, and beats one for `*`.
    pub overrides: Vec<Override>,
    /// Which addresses may be tried, wherever they come from. Default: all. [`AddressFilter::public_only`] is
    /// for programs that connect to where others say.
    pub filter: AddressFilter,
    /// What ends the call from another thread or task.
    pub canceler: Option<Canceler>,
    /// Where the race and its lookups take their sockets from. Default: [`SocketBudget::for_process`], which
    /// all races share. Without one nothing keeps many races from using up the process's descriptors.
    ///
    /// A connection keeps its place in the budget as long as it lives. While all places are taken a race
    /// waits for those of other races, until its deadline; where connections hold all of them it fails at
    /// once with [`BudgetHeld`](crate::ConnectErrorKind::BudgetHeld), or [waits](SocketBudget::waits) as long
    /// as it is told to. A program that holds very many connections at once gives a larger budget or none.
    pub budget: Option<SocketBudget>,
    /// What the race knows of its addresses from races before it, and what it adds to. Default: none, and
    /// each race is the whole race. [`HttpConnection`](crate::HttpConnection) and its like then make one of
    /// their own.
    pub memory: Option<Memory>,
    /// Whether the race goes where the one before went, as long as that address answers and the memory knows
    /// none that is better: for sessions that a server keeps by address. Default: no; of addresses that are
    /// as good as each other the first of the answer leads, by which resolvers share load out, and once in a
    /// while another one is explored.
    pub incumbent: bool,
    /// The observer that gets a report of the race at its end, won or not. Default: none.
    pub observer: Option<Observer>,
}

impl Options {
    /// The most sockets that a race opens unless told otherwise: enough for nearly every host at once, few
    /// enough for hundreds of races in a process with 1,024 descriptors of which some are idle.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 16;
    /// How long a connect may take unless told otherwise: long enough for two lost SYNs on a slow path, and
    /// well below the two minutes after which a system gives up.
    pub const DEFAULT_DEADLINE: Duration = Duration::from_secs(30);

    /// The default options: every address at once over at most
    /// [`DEFAULT_MAX_IN_FLIGHT`](Self::DEFAULT_MAX_IN_FLIGHT) sockets, 30 seconds, the system's resolver, no
    /// memory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets [`deadline`](Self::deadline): `None` for no limit.
    pub fn deadline(self, deadline: impl Into<Option<Duration>>) -> Self {
        Options { deadline: deadline.into(), ..self }
    }

    /// The most attempts in flight, and so the most sockets that the race has open at any time:
    /// `race.max_in_flight`, held within 1 and [`MAX_IN_FLIGHT`].
    pub fn max_in_flight(mut self, most: usize) -> Self {
        self.race.max_in_flight = most;
        self
    }

    /// When attempts start, with what goes with that pacing: its [preset](Config::from), but for the most
    /// attempts in flight, the patience, the families and which of them is preferred, which stay as they are.
    ///
    /// ```
    /// use connie_std::{Options, Pacing};
    ///
    /// let options = Options::new().pacing(Pacing::RFC_8305);
    /// assert!(!options.race.hedge);
    /// ```
    pub fn pacing(self, pacing: Pacing) -> Self {
        let Config { max_in_flight, patience, families, preferred_family, .. } = self.race;
        let race = Config::from(pacing).max_in_flight(max_in_flight).patience(patience);
        let race = race.families(families).preferred_family(preferred_family);
        Options { race, ..self }
    }

    /// Which families of addresses may be used: `race.families`.
    pub fn families(mut self, families: Families) -> Self {
        self.race.families = families;
        self
    }

    /// Sets [`race`](Self::race), whose deadline, if it has one, becomes [that of all](Self::deadline).
    pub fn race(self, mut race: Config) -> Self {
        let deadline = race.deadline.take().or(self.deadline);
        Options { race, deadline, ..self }
    }

    /// Sets [`resolver`](Self::resolver): a [`Resolver`], or what one is made of.
    pub fn resolver(self, resolver: impl Into<Resolver>) -> Self {
        Options { resolver: resolver.into(), ..self }
    }

    /// Sets [`source_v4`](Self::source_v4).
    pub fn source_v4(self, source: impl Into<Option<Ipv4Addr>>) -> Self {
        Options { source_v4: source.into(), ..self }
    }

    /// Sets [`source_v6`](Self::source_v6).
    pub fn source_v6(self, source: impl Into<Option<Ipv6Addr>>) -> Self {
        Options { source_v6: source.into(), ..self }
    }

    /// Sets [`socket`](Self::socket).
    #[cfg(not(target_os = "wasi"))]
    pub fn socket(self, socket: SocketOptions) -> Self {
        Options { socket, ..self }
    }

    /// Sets [`on_socket`](Self::on_socket).
    #[cfg(not(target_os = "wasi"))]
    pub fn on_socket(self, on_socket: impl Into<Option<OnSocket>>) -> Self {
        Options { on_socket: on_socket.into(), ..self }
    }

    /// Sets [`nodelay`](Self::nodelay).
    pub fn nodelay(self, nodelay: bool) -> Self {
        Options { nodelay, ..self }
    }

    /// Sets [`overrides`](Self::overrides), in place of those that there are.
    pub fn overrides(self, overrides: impl IntoIterator<Item = Override>) -> Self {
        Options { overrides: overrides.into_iter().collect(), ..self }
    }

    /// Sets [`filter`](Self::filter).
    pub fn filter(self, filter: AddressFilter) -> Self {
        Options { filter, ..self }
    }

    /// Sets [`canceler`](Self::canceler).
    pub fn canceler(self, canceler: impl Into<Option<Canceler>>) -> Self {
        Options { canceler: canceler.into(), ..self }
    }

    /// Sets [`budget`](Self::budget): `None` for no limit.
    pub fn budget(self, budget: impl Into<Option<SocketBudget>>) -> Self {
        Options { budget: budget.into(), ..self }
    }

    /// Sets [`memory`](Self::memory).
    pub fn memory(self, memory: impl Into<Option<Memory>>) -> Self {
        Options { memory: memory.into(), ..self }
    }

    /// Sets [`incumbent`](Self::incumbent).
    pub fn incumbent(self, incumbent: bool) -> Self {
        Options { incumbent, ..self }
    }

    /// Sets [`observer`](Self::observer).
    pub fn observer(self, observer: impl Into<Option<Observer>>) -> Self {
        Options { observer: observer.into(), ..self }
    }

    /// How long a connect may take: the sooner of both deadlines.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.deadline.into_iter().chain(self.race.deadline).min()
    }

    /// What the core is given: the race with its deadline.
    pub(crate) fn config(&self) -> Config {
        self.race.clone().deadline(self.time_limit())
    }

    /// The addresses that [`overrides`](Self::overrides) gives for the host. The last entry counts, and one
    /// for this name before one for all, as for curl.
    pub(crate) fn addresses_of(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let last = |fits: &dyn Fn(&str) -> bool| {
            self.overrides.iter().rfind(|entry| entry.port == port && fits(&entry.host))
        };
        let entry = last(&|name| name.eq_ignore_ascii_case(host)).or_else(|| last(&|name| name == "*"))?;
        Some(entry.addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            deadline: Some(Self::DEFAULT_DEADLINE),
            race: Config::all_at_once().max_in_flight(Self::DEFAULT_MAX_IN_FLIGHT),
            resolver: Resolver::System,
            source_v4: None,
            source_v6: None,
            #[cfg(not(target_os = "wasi"))]
            socket: SocketOptions::default(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: None,
            nodelay: true,
            overrides: Vec::new(),
            filter: AddressFilter::default(),
            canceler: None,
            budget: Some(SocketBudget::for_process()),
            memory: None,
            incumbent: false,
            observer: None,
        }
    }
}

impl From<&Options> for OsStack {
    /// A stack for one race, with the source addresses and socket options of `options`.
    fn from(options: &Options) -> Self {
        OsStack {
            source_v4: options.source_v4,
            source_v6: options.source_v6,
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.clone(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: options.on_socket.as_ref().map(OnSocket::of_race),
            nodelay: options.nodelay,
        }
    }
}

impl From<&Options> for Egress {
    fn from(options: &Options) -> Self {
        Egress {
            source_v4: options.source_v4,
            source_v6: options.source_v6,
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.of_route(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: options.on_socket.clone(),
        }
    }
}

/// The addresses to use for a name, in place of the resolver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The name, compared without regard to case; `*` for every name.
    pub host: String,
    /// The port that it holds for.
    pub port: u16,
    /// The addresses, best first.
    pub addresses: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_overrides(entries: &[(&str, u16, &str)]) -> Options {
        let entry = |&(host, port, address): &(&str, u16, &str)| Override {
            host: host.to_owned(),
            port,
            addresses: vec![address.parse().unwrap()],
        };
        Options { overrides: entries.iter().map(entry).collect(), ..Options::default() }
    }

    #[test]
    fn a_connect_has_thirty_seconds_unless_told_otherwise() {
        let seconds = Duration::from_secs;
        assert_eq!(Options::new().config().deadline, Some(seconds(30)));
        assert_eq!(Options::new().deadline(None).config().deadline, None);
        assert_eq!(Options::new().deadline(seconds(31)).config().deadline, Some(seconds(31)));
    }

    #[test]
    fn the_deadline_of_a_race_becomes_that_of_all() {
        let within = |seconds| Config::default().deadline(Some(Duration::from_secs(seconds)));
        let options = Options::new().race(within(300));
        assert_eq!((options.deadline, options.race.deadline), (Some(Duration::from_secs(300)), None));
        assert_eq!(Options::new().race(Config::default()).deadline, Some(Options::DEFAULT_DEADLINE));
        // The sooner of two fields.
        for (all, race, limit) in [(Some(2), Some(1), 1), (Some(1), Some(2), 1), (None, Some(3), 3)] {
            let mut options = Options::new().deadline(all.map(Duration::from_secs));
            options.race.deadline = race.map(Duration::from_secs);
            assert_eq!(options.config().deadline, Some(Duration::from_secs(limit)));
        }
    }

    #[test]
    fn a_pacing_brings_its_preset_and_leaves_the_limits() {
        let options = Options::new().max_in_flight(3).pacing(Pacing::OneByOne);
        let wanted = Config::one_by_one().max_in_flight(3);
        assert_eq!(options.race, wanted);
        assert_eq!(options.pacing(Pacing::AllAtOnce).race, Config::all_at_once().max_in_flight(3));
    }

    #[test]
    fn an_override_counts_for_its_host_and_its_port() {
        let options = with_overrides(&[("name.test", 80, "127.0.0.2")]);
        assert_eq!(options.addresses_of("Name.TEST", 80), Some(vec!["127.0.0.2:80".parse().unwrap()]));
        assert_eq!(options.addresses_of("name.test", 81), None);
        assert_eq!(options.addresses_of("other.test", 80), None);
    }

    #[test]
    fn the_last_override_counts_and_one_for_all_only_where_none_names_the_host() {
        let options = with_overrides(&[
            ("name.test", 80, "127.0.0.2"),
            ("name.test", 80, "127.0.0.3"),
            ("*", 80, "127.0.0.4"),
            ("*", 80, "127.0.0.5"),
            ("*", 81, "127.0.0.6"),
        ]);
        let found = |host, port| options.addresses_of(host, port).unwrap();
        assert_eq!(found("name.test", 80), ["127.0.0.3:80".parse().unwrap()]);
        assert_eq!(found("other.test", 80), ["127.0.0.5:80".parse().unwrap()]);
        assert_eq!(found("name.test", 81), ["127.0.0.6:81".parse().unwrap()]);
    }
}
