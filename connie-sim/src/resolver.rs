//! What the resolver of a scenario answers, and when.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use connie_core::connect::{AddressOrder, ConnectInput, Facts, Routes};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Families, Family, Instant};

use crate::host::SimHost;
use crate::label::{PORT, addresses};
use crate::translator::Translator;

/// One address of the scenario.
#[derive(Clone, Debug)]
pub(crate) struct AddressEntry {
    pub(crate) address: SocketAddr,
    pub(crate) host: SimHost,
    pub(crate) copies: usize,
    /// When the resolver first lists it; `None` from the start.
    pub(crate) joins: Option<Instant>,
    pub(crate) leaves: Option<Instant>,
    /// The route of the host to it.
    pub(crate) way: Route,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum QueryFate {
    Answered(Instant),
    Fails(Instant),
    Silent,
}

/// What the resolver, the hosts file and the routing table of a scenario have.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(crate) entries: Vec<AddressEntry>,
    pub(crate) v4: QueryFate,
    pub(crate) v6: QueryFate,
    pub(crate) prefix: QueryFate,
    /// The AAAA records of `ipv4only.arpa`.
    pub(crate) prefix_addresses: Vec<Ipv6Addr>,
    /// Its further events.
    pub(crate) extra: Vec<ResolverEvent>,
    pub(crate) routes: Routes,
    pub(crate) known: Option<Vec<SocketAddr>>,
}

/// One event of the resolver: an answer, hints or a failure.
#[derive(Clone, Debug)]
pub(crate) struct ResolverEvent {
    pub(crate) at: Instant,
    what: ResolverEventKind,
}

#[derive(Clone, Debug)]
enum ResolverEventKind {
    Answer(Query, Vec<SocketAddr>, Vec<Route>),
    Hints(Family, Vec<SocketAddr>),
    Failure(Query),
}

impl ResolverEvent {
    /// It as an input.
    pub(crate) fn input(&self) -> ConnectInput<'_> {
        match &self.what {
            ResolverEventKind::Answer(query, addresses, ways) => {
                ConnectInput::Answered { query: *query, addresses, order: AddressOrder::Any(ways) }
            }
            ResolverEventKind::Hints(family, addresses) => {
                ConnectInput::Hinted { family: *family, addresses, order: AddressOrder::Any(&[]) }
            }
            ResolverEventKind::Failure(query) => {
                ConnectInput::QueryFailed { query: *query, error: QueryError::ServerFailure }
            }
        }
    }

    pub(crate) fn answer(at: Instant, family: Family, addresses: Vec<SocketAddr>) -> Self {
        ResolverEvent { at, what: ResolverEventKind::Answer(Query::of(family), addresses, Vec::new()) }
    }

    pub(crate) fn hints(at: Instant, family: Family, labels: &str) -> Self {
        ResolverEvent { at, what: ResolverEventKind::Hints(family, addresses(labels)) }
    }

    fn query(&self) -> Option<Query> {
        match &self.what {
            ResolverEventKind::Answer(query, ..) | ResolverEventKind::Failure(query) => Some(*query),
            ResolverEventKind::Hints(..) => None,
        }
    }
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Resolver {
            entries: Vec::new(),
            v4: QueryFate::Answered(Instant::ZERO),
            v6: QueryFate::Answered(Instant::ZERO),
            prefix: QueryFate::Fails(Instant::ZERO),
            prefix_addresses: Vec::new(),
            extra: Vec::new(),
            routes: Routes::default(),
            known: None,
        }
    }

    /// What a connect has to know about its host.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts::default().routes(self.routes).hosts(self.known.as_deref())
    }

    /// Whether all that is asked for is answered at once, and nothing comes later.
    pub(crate) fn answers_at_once(&self, families: Families) -> bool {
        let at_once = |fate| matches!(fate, QueryFate::Answered(Instant::ZERO));
        let is_dull = |family, fate| !families.allow(family) || at_once(fate);
        is_dull(Family::V4, self.v4)
            && is_dull(Family::V6, self.v6)
            && matches!(self.prefix, QueryFate::Answered(Instant::ZERO) | QueryFate::Fails(Instant::ZERO))
            && self.extra.is_empty()
            && self.entries.iter().all(|entry| entry.joins.is_none() && entry.leaves.is_none())
    }

    /// All its events, in order of time.
    pub(crate) fn events(&self) -> Vec<ResolverEvent> {
        let mut said = self.extra.clone();
        for (query, fate) in [(Query::Aaaa, self.v6), (Query::A, self.v4), (Query::Nat64Prefix, self.prefix)]
        {
            match fate {
                QueryFate::Silent => {}
                QueryFate::Fails(at) => {
                    said.push(ResolverEvent { at, what: ResolverEventKind::Failure(query) })
                }
                QueryFate::Answered(at) => said.extend(self.moments(query, at).into_iter().map(|at| {
                    let (addresses, ways) = self.records(query, at);
                    ResolverEvent { at, what: ResolverEventKind::Answer(query, addresses, ways) }
                })),
            }
        }
        said.sort_by_key(|said| said.at);
        said
    }

    /// The answer to `query` that is there at the start.
    pub(crate) fn events_for(&self, query: Query) -> impl Iterator<Item = ResolverEvent> {
        self.events().into_iter().filter(move |said| said.query() == Some(query))
    }

    /// When `query` is answered, for the first time at `first`.
    fn moments(&self, query: Query, first: Instant) -> Vec<Instant> {
        let changes = self.of(query).flat_map(|entry| [entry.joins, entry.leaves]).flatten();
        let mut moments: Vec<Instant> = changes.filter(|change| *change > first).collect();
        moments.push(first);
        moments.sort_unstable();
        moments.dedup();
        moments
    }

    fn of(&self, query: Query) -> impl Iterator<Item = &AddressEntry> {
        self.entries.iter().filter(move |entry| Query::of(Family::of(&entry.address)) == query)
    }

    /// What an answer to `query` at `at` holds, and the way to each of its addresses.
    fn records(&self, query: Query, at: Instant) -> (Vec<SocketAddr>, Vec<Route>) {
        if query == Query::Nat64Prefix {
            let told = self.prefix_addresses.iter().map(|ip| SocketAddr::new(IpAddr::V6(*ip), PORT));
            return (told.collect(), Vec::new());
        }
        let listed = self.of(query).filter(|entry| {
            entry.joins.is_none_or(|joins| joins <= at) && entry.leaves.is_none_or(|leaves| leaves > at)
        });
        listed.flat_map(|entry| std::iter::repeat_n((entry.address, entry.way), entry.copies)).unzip()
    }

    /// The addresses of the last answers of `families` up to `end`.
    pub(crate) fn listed_by(&self, end: Instant, families: Families) -> Vec<SocketAddr> {
        let mut last: [Vec<SocketAddr>; 2] = Default::default();
        for said in self.events().into_iter().filter(|said| said.at <= end) {
            match said.what {
                ResolverEventKind::Answer(Query::Aaaa, addresses, _) => {
                    last[0] = used(addresses, Families::Only(Family::V6))
                }
                ResolverEventKind::Answer(Query::A, addresses, _) => {
                    last[1] = used(addresses, Families::Only(Family::V4))
                }
                _ => {}
            }
        }
        used(last.concat(), families)
    }

    /// The IPv4 hosts behind the network's NAT64, by the addresses that they have there.
    pub(crate) fn translated(&self) -> impl Iterator<Item = (SocketAddr, &SimHost)> {
        let translator = self.prefix_addresses.iter().find_map(|ip| Translator::from_answer(IpAddr::V6(*ip)));
        self.entries
            .iter()
            .filter_map(move |entry| Some((translator?.translate(&entry.address)?, &entry.host)))
    }
}

/// Those of `addresses` that may be used.
pub(crate) fn used(mut addresses: Vec<SocketAddr>, families: Families) -> Vec<SocketAddr> {
    addresses.retain(|address| families.allow(Family::of(address)));
    addresses
}
