//! What the resolver of a scenario says, and when.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use connie_core::connect::{Facts, Input, Order, Routes};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Families, Family, Instant};

use crate::host::Host;
use crate::label::{PORT, addresses};
use crate::translator::Translator;

/// One address of the scenario.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) address: SocketAddr,
    pub(crate) host: Host,
    pub(crate) copies: usize,
    /// When the resolver first lists it; `None` from the start.
    pub(crate) joins: Option<Instant>,
    pub(crate) leaves: Option<Instant>,
    /// How the host would send to it.
    pub(crate) way: Route,
}

/// What becomes of a query.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fate {
    Answered(Instant),
    Fails(Instant),
    Silent,
}

/// What the resolver, the hosts file and the routing table of a scenario have.
#[derive(Clone, Debug)]
pub(crate) struct Resolver {
    pub(crate) entries: Vec<Entry>,
    pub(crate) v4: Fate,
    pub(crate) v6: Fate,
    pub(crate) prefix: Fate,
    /// The AAAA records of `ipv4only.arpa`.
    pub(crate) prefix_told: Vec<Ipv6Addr>,
    /// What it says besides.
    pub(crate) extra: Vec<Said>,
    pub(crate) routes: Routes,
    pub(crate) known: Option<Vec<SocketAddr>>,
}

/// One thing that the resolver says.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) at: Instant,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    Answer(Query, Vec<SocketAddr>, Vec<Route>),
    Hints(Family, Vec<SocketAddr>),
    Failure(Query),
}

impl Said {
    /// The input that tells it.
    pub(crate) fn input(&self) -> Input<'_> {
        match &self.what {
            What::Answer(query, addresses, ways) => {
                Input::Answered { query: *query, addresses, order: Order::Any(ways) }
            }
            What::Hints(family, addresses) => {
                Input::Hinted { family: *family, addresses, order: Order::Any(&[]) }
            }
            What::Failure(query) => Input::QueryFailed { query: *query, error: QueryError::ServerFailure },
        }
    }

    pub(crate) fn answer(at: Instant, family: Family, addresses: Vec<SocketAddr>) -> Self {
        Said { at, what: What::Answer(Query::of(family), addresses, Vec::new()) }
    }

    pub(crate) fn hints(at: Instant, family: Family, labels: &str) -> Self {
        Said { at, what: What::Hints(family, addresses(labels)) }
    }

    fn query(&self) -> Option<Query> {
        match &self.what {
            What::Answer(query, ..) | What::Failure(query) => Some(*query),
            What::Hints(..) => None,
        }
    }
}

impl Resolver {
    pub(crate) fn new() -> Self {
        Resolver {
            entries: Vec::new(),
            v4: Fate::Answered(Instant::ZERO),
            v6: Fate::Answered(Instant::ZERO),
            prefix: Fate::Fails(Instant::ZERO),
            prefix_told: Vec::new(),
            extra: Vec::new(),
            routes: Routes::default(),
            known: None,
        }
    }

    /// What a connect is told of its host.
    pub(crate) fn facts(&self) -> Facts<'_> {
        Facts::default().routes(self.routes).hosts(self.known.as_deref())
    }

    /// Whether all that is asked for is answered at once, and nothing comes later.
    pub(crate) fn answers_at_once(&self, families: Families) -> bool {
        let at_once = |fate| matches!(fate, Fate::Answered(Instant::ZERO));
        let is_dull = |family, fate| !families.allow(family) || at_once(fate);
        is_dull(Family::V4, self.v4)
            && is_dull(Family::V6, self.v6)
            && matches!(self.prefix, Fate::Answered(Instant::ZERO) | Fate::Fails(Instant::ZERO))
            && self.extra.is_empty()
            && self.entries.iter().all(|entry| entry.joins.is_none() && entry.leaves.is_none())
    }

    /// All that it says, in order of time.
    pub(crate) fn says(&self) -> Vec<Said> {
        let mut said = self.extra.clone();
        for (query, fate) in [(Query::Aaaa, self.v6), (Query::A, self.v4), (Query::Nat64Prefix, self.prefix)]
        {
            match fate {
                Fate::Silent => {}
                Fate::Fails(at) => said.push(Said { at, what: What::Failure(query) }),
                Fate::Answered(at) => said.extend(self.moments(query, at).into_iter().map(|at| {
                    let (addresses, ways) = self.records(query, at);
                    Said { at, what: What::Answer(query, addresses, ways) }
                })),
            }
        }
        said.sort_by_key(|said| said.at);
        said
    }

    /// The answer to `query` that is there at the start.
    pub(crate) fn says_of(&self, query: Query) -> impl Iterator<Item = Said> {
        self.says().into_iter().filter(move |said| said.query() == Some(query))
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

    fn of(&self, query: Query) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| Query::of(Family::of(&entry.address)) == query)
    }

    /// What an answer to `query` at `at` holds, and the way to each of its addresses.
    fn records(&self, query: Query, at: Instant) -> (Vec<SocketAddr>, Vec<Route>) {
        if query == Query::Nat64Prefix {
            let told = self.prefix_told.iter().map(|ip| SocketAddr::new(IpAddr::V6(*ip), PORT));
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
        for said in self.says().into_iter().filter(|said| said.at <= end) {
            match said.what {
                What::Answer(Query::Aaaa, addresses, _) => {
                    last[0] = used(addresses, Families::Only(Family::V6))
                }
                What::Answer(Query::A, addresses, _) => last[1] = used(addresses, Families::Only(Family::V4)),
                _ => {}
            }
        }
        used(last.concat(), families)
    }

    /// The IPv4 hosts behind the network's NAT64, by the addresses that they have there.
    pub(crate) fn translated(&self) -> impl Iterator<Item = (SocketAddr, &Host)> {
        let translator = self.prefix_told.iter().find_map(|ip| Translator::told_by(IpAddr::V6(*ip)));
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
