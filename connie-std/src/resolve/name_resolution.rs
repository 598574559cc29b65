//! From what a program wants to connect to, to what the machine of `connie_core::connect` is fed: the lookups
//! of one `connect`.

use std::borrow::Cow;
use std::net::SocketAddr;

use connie_core::connect::{
    AddressOrder, Connect, ConnectInput, Facts, Hosts, HostsInput, InvalidHost, PlannedConnect, Routes,
    Start, named_zone,
};
use connie_core::memory::Network;
use connie_core::race::{Destination, Guide, Planned};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Host, LOOPBACK, Query, QueryFailure, is_onion};
use connie_core::{Config, ConnectDriver, Failure, Families, Family, Instant, RaceStack};

use super::Resolver;
#[cfg(not(target_os = "wasi"))]
use super::gai_conf;
use super::lookup::{FamilyAddresses, PendingLookup, ResolveEvent, ResolveRequest, ResolverError};
use super::order::{host_routes, network, route};
#[cfg(not(target_os = "wasi"))]
use crate::budget::SocketBudget;
use crate::budget::SparePermits;
use crate::clock::OsClock;
use crate::egress::Egress;
use crate::error::ConnectErrorKind;
use crate::filter::AddressFilter;
use crate::hosts::{MAX_HOSTS, Owners};
use crate::options::{MAX_DESTINATIONS, MAX_IN_FLIGHT, Options};
use crate::report::{FailedQuery, Report};
use crate::target::{TargetRef, split};
use crate::zone;

/// Why a name below `onion` has no addresses.
pub(crate) const ONION: &str = "onion names are Tor's and not in DNS (RFC 7686)";

pub(crate) use crate::limits::RECORDS;

/// What drives the race of a [`connect`](crate::connect).
pub(crate) type OsDriver<S> =
    ConnectDriver<S, MAX_DESTINATIONS, MAX_IN_FLIGHT, RECORDS, MAX_DESTINATIONS, Planned<MAX_DESTINATIONS>>;

type OsConnect = PlannedConnect<MAX_DESTINATIONS, MAX_IN_FLIGHT, RECORDS, MAX_DESTINATIONS>;

/// A lookup under way.
pub(crate) struct LookupTask {
    pub(crate) lookup: Box<dyn PendingLookup>,
    /// Of which host.
    host: usize,
    /// Whether it is for the NAT64 prefix and not for the name's addresses.
    prefix: bool,
    /// Where those who wait for it take the room for more descriptors from.
    #[cfg(feature = "tokio")]
    pub(crate) budget: Option<SocketBudget>,
}

#[cfg(all(test, not(target_os = "wasi")))]
impl LookupTask {
    /// One for the addresses of a name, without a budget.
    pub(crate) fn of(lookup: Box<dyn PendingLookup>) -> Self {
        LookupTask {
            lookup,
            host: 0,
            prefix: false,
            #[cfg(feature = "tokio")]
            budget: None,
        }
    }
}

/// Begins the lookups that a connect asks for, and feeds it what they learn. What any of it means is decided
/// there.
pub(crate) struct NameResolution {
    /// The hosts and their ports. Nearly always it is one.
    hosts: Vec<(String, u16)>,
    /// Where there are several: what is known of each.
    several: Option<Box<SeveralHosts>>,
    /// The same, whose each address is.
    owners: Owners,
    families: Families,
    /// Where the host is a name that has to be looked up: the network that this machine is on.
    network: Option<Network>,
    resolver: Resolver,
    egress: Egress,
    /// Where lookups take the room for their descriptors from.
    #[cfg(not(target_os = "wasi"))]
    budget: Option<SocketBudget>,
    filter: AddressFilter,
    /// What that has denied.
    denied: Vec<SocketAddr>,
    /// The resolver's own words of queries that failed, by host.
    details: Vec<(usize, Query, String)>,
    #[cfg(feature = "dns")]
    services: Vec<super::ServiceRecord>,
}

type SeveralHosts = Hosts<MAX_HOSTS, MAX_DESTINATIONS>;

/// A host as it was given: its text, its port, and its addresses where they are known.
type GivenHost<'t> = (&'t str, u16, Option<&'t [SocketAddr]>);

/// A list of hosts is none of these.
fn given<'t>(target: &'t TargetRef<'_>) -> Result<GivenHost<'t>, ConnectErrorKind> {
    Ok(match target {
        TargetRef::Address(address) => ("", address.port(), Some(std::slice::from_ref(address))),
        TargetRef::Addresses(addresses) => ("", 0, Some(*addresses)),
        TargetRef::Host(host, port) => (*host, *port, None),
        TargetRef::Text(text) => {
            let (host, port) = split(text).ok_or(ConnectErrorKind::InvalidTarget)?;
            (host, port, None)
        }
        TargetRef::Hosts(_) => ("", 0, Some(&[])),
    })
}

fn invalid(host: &str, invalid: InvalidHost) -> ConnectErrorKind {
    match invalid {
        InvalidHost::Host(error) => ConnectErrorKind::InvalidHost(error),
        _ => ConnectErrorKind::UnknownZone(named_zone(host).unwrap_or_default().to_owned()),
    }
}

/// A connect that has not begun. What follows is for stacks of every kind, and stands once in a program; it
/// is part of no other function, so that it writes the connect where that stays.
#[inline(never)]
fn unbegun(start: &Start<'_>, config: &Config, facts: &Facts<'_>, now: Instant) -> OsConnect {
    Connect::unbegun(start, config, facts, now)
}

#[inline(never)]
fn set_out(connect: &mut OsConnect, start: Start<'_>, now: Instant) {
    connect.set_out(start, now);
}

#[inline(never)]
fn tell(connect: &mut OsConnect, input: ConnectInput<'_>, now: Instant) {
    connect.handle_input(input, now);
}

/// A connect to what was read, and what drives it. Its 20 KiB are not moved: there is the room before there
/// is the connect.
fn boxed<S: RaceStack>(
    start: Start<'_>,
    config: &Config,
    facts: &Facts<'_>,
    now: Instant,
) -> Box<OsDriver<S>> {
    let room = Box::new_uninit();
    let mut driver: Box<OsDriver<S>> = Box::write(room, unbegun(&start, config, facts, now).into());
    set_out(driver.connect_mut(), start, now);
    driver
}

impl NameResolution {
    /// The connect to `target`, with what is known of its host here, and what feeds it.
    pub(crate) fn begin<S: RaceStack>(
        target: TargetRef<'_>,
        options: &Options,
        now: Instant,
    ) -> Result<(Box<OsDriver<S>>, Self), ConnectErrorKind> {
        if let TargetRef::Hosts(hosts) = target {
            return match &*hosts.iter().collect::<Vec<_>>() {
                [] => Self::begin_one(TargetRef::Addresses(&[]), options, now),
                [only] => Self::begin_one(*only, options, now),
                several => Self::begin_several(several, options, now),
            };
        }
        Self::begin_one(target, options, now)
    }

    fn begin_one<S: RaceStack>(
        target: TargetRef<'_>,
        options: &Options,
        now: Instant,
    ) -> Result<(Box<OsDriver<S>>, Self), ConnectErrorKind> {
        let (host, port, given) = given(&target)?;
        let mut names = NameResolution::new(options);
        let known = names.known(host, port, given, options);
        let mut facts = Facts::default().hosts(known.as_deref());
        if facts.hosts.is_none() {
            facts.zone = zone::number(host);
            if Routes::matter(host) {
                names.find_out(&mut facts);
            }
        }
        let start = Start::new(host, port, &facts).map_err(|error| invalid(host, error))?;
        let driver = boxed(start, &options.config(), &facts, now);
        names.hosts.push((host.to_owned(), port));
        Ok((driver, names))
    }

    /// The same to several hosts at once.
    fn begin_several<S: RaceStack>(
        targets: &[TargetRef<'_>],
        options: &Options,
        now: Instant,
    ) -> Result<(Box<OsDriver<S>>, Self), ConnectErrorKind> {
        let (mut names, several, facts) = Self::of_several(targets, options)?;
        let known = several.known();
        let mut driver = boxed(several.start(&known), &options.config(), &facts, now);
        names.several = Some(several);
        names.pass_on(&mut driver, now);
        Ok((driver, names))
    }

    /// What is known of several hosts.
    fn of_several(
        targets: &[TargetRef<'_>],
        options: &Options,
    ) -> Result<(Self, Box<SeveralHosts>, Facts<'static>), ConnectErrorKind> {
        if targets.len() > MAX_HOSTS {
            return Err(ConnectErrorKind::TooManyHosts(targets.len()));
        }
        let mut names = NameResolution::new(options);
        let mut facts = Facts::default();
        let each = targets.iter().map(given).collect::<Result<Vec<_>, _>>()?;
        let known: Vec<_> =
            each.iter().map(|(host, port, given)| names.known(host, *port, *given, options)).collect();
        if each.iter().zip(&known).any(|((host, ..), known)| known.is_none() && Routes::matter(host)) {
            names.find_out(&mut facts);
        }
        let mut several = Box::new(SeveralHosts::new(&facts));
        for (((host, port, _), known), target) in each.iter().zip(&known).zip(targets) {
            let hosts = known.as_deref();
            let zone = hosts.is_none().then(|| zone::number(host)).flatten();
            let start = Start::new(host, *port, &facts.hosts(hosts).zone(zone));
            // There is room for as many as there are.
            let _ = several.add(start.map_err(|error| invalid(host, error))?, &options.race);
            names.hosts.push(if host.is_empty() { target.name() } else { ((*host).to_owned(), *port) });
        }
        Ok((names, several, facts))
    }

    fn new(options: &Options) -> Self {
        NameResolution {
            hosts: Vec::new(),
            several: None,
            owners: Owners::default(),
            families: options.race.families,
            network: None,
            resolver: options.resolver.clone(),
            egress: Egress::from(options),
            #[cfg(not(target_os = "wasi"))]
            budget: options.budget.as_ref().map(SocketBudget::for_lookups),
            filter: options.filter.clone(),
            denied: Vec::new(),
            details: Vec::new(),
            #[cfg(feature = "dns")]
            services: Vec::new(),
        }
    }

    /// The addresses that a host is known to have, without those that the filter denies.
    fn known<'t>(
        &mut self,
        host: &str,
        port: u16,
        given: Option<&'t [SocketAddr]>,
        options: &Options,
    ) -> Option<Cow<'t, [SocketAddr]>> {
        let known = given.map(Cow::Borrowed).or_else(|| options.addresses_of(host, port).map(Cow::Owned));
        let (known, denied) = screened(known, host, port, &options.filter);
        self.denied.extend(denied);
        known
    }

    /// The routes of this machine and its policy, for names.
    fn find_out(&mut self, facts: &mut Facts<'_>) {
        let (routes, sources) = host_routes(&self.egress);
        (facts.routes, self.network) = (routes, Some(sources));
        #[cfg(not(target_os = "wasi"))]
        {
            facts.policy = gai_conf::policy();
        }
    }

    /// Who knows whose an address is, where there are several hosts.
    pub(crate) fn owners(&self) -> &Owners {
        &self.owners
    }

    /// Tells `driver` what is new of several hosts.
    fn pass_on<S: RaceStack>(&mut self, driver: &mut OsDriver<S>, now: Instant) {
        if self.several.is_some() {
            while let Some(news) = self.news() {
                tell(driver.connect_mut(), news.input(), now);
            }
            self.note_owners(driver.connect().race().destinations());
        }
    }

    /// What is new of several hosts.
    fn news(&mut self) -> Option<HostsInput<MAX_DESTINATIONS>> {
        self.several.as_mut()?.news()
    }

    /// Records whose the addresses of several hosts are.
    fn note_owners(&self, destinations: &[Destination]) {
        let Some(several) = &self.several else { return };
        for address in destinations.iter().map(Destination::address) {
            if let Some(host) = several.host_of(address) {
                self.owners.note(address, host);
            }
        }
    }

    /// What the race has for its lookups, of its budget.
    pub(crate) fn loan(&self) -> SparePermits {
        #[cfg(not(target_os = "wasi"))]
        if let Some(loan) = self.budget.as_ref().and_then(SocketBudget::loan) {
            return loan;
        }
        SparePermits::default()
    }

    /// Sends a query: begins a lookup among `lookups`, or one for each host that is asked for. Both families
    /// are one question, which the later query begins.
    pub(crate) fn send(&mut self, query: Query, lookups: &mut Vec<LookupTask>, clock: OsClock, now: Instant) {
        let (prefix, families) = match query {
            Query::Nat64Prefix => (true, Families::Only(Family::V6)),
            Query::Aaaa if self.families == Families::Both => return,
            Query::Aaaa | Query::A => (false, self.families),
        };
        let asking = match &self.several {
            Some(several) if !prefix => several.asking(query).collect(),
            _ => vec![0],
        };
        for host in asking {
            // Who is asked for has a place there.
            let Some((name, port)) = self.hosts.get(host) else { continue };
            let question = ResolveRequest {
                families,
                #[cfg(feature = "dns")]
                egress: Some(&self.egress),
                #[cfg(not(target_os = "wasi"))]
                budget: self.budget.as_ref(),
                ..ResolveRequest::new(query.name(name), *port, clock)
            };
            lookups.push(LookupTask {
                lookup: self.resolver.lookup(&question, now),
                host,
                prefix,
                #[cfg(feature = "tokio")]
                budget: self.budget.clone(),
            });
        }
    }

    /// The network that this machine is on, for a race that knows `destinations` before it asks anybody: of
    /// each family the source address of what it sends to the first of them. Else what it would send to the
    /// internet from.
    pub(crate) fn network(&self, destinations: &[Destination]) -> Network {
        self.network.unwrap_or_else(|| network(destinations.iter().map(Destination::address), &self.egress))
    }

    /// Feeds `driver` what `lookups` have learnt. Whether there was something.
    pub(crate) fn advance<S: RaceStack>(
        &mut self,
        driver: &mut OsDriver<S>,
        lookups: &mut [LookupTask],
        now: Instant,
    ) -> bool {
        let mut is_new = false;
        for LookupTask { lookup, host, prefix, .. } in lookups {
            while let Some(event) = lookup.poll(now) {
                self.feed(driver, event, (*host, *prefix), now);
                is_new = true;
            }
        }
        is_new
    }

    fn feed<S: RaceStack>(
        &mut self,
        driver: &mut OsDriver<S>,
        mut event: ResolveEvent,
        (host, prefix): (usize, bool),
        now: Instant,
    ) {
        // A prefix is not a destination, and what it makes of an IPv4 address leads to that, which was looked
        // at.
        if let (ResolveEvent::Answered(answer) | ResolveEvent::Hinted(answer), false) = (&mut event, prefix) {
            screen(&mut answer.addresses, &self.filter, &mut self.denied);
        }
        let query = |family| if prefix { Query::Nat64Prefix } else { Query::of(family) };
        let mut routes = Vec::new();
        let input = match &event {
            ResolveEvent::Answered(answer) => {
                let query = query(answer.family);
                let order = if prefix { AddressOrder::Any(&[]) } else { self.order(answer, &mut routes) };
                ConnectInput::Answered { query, addresses: &answer.addresses, order }
            }
            ResolveEvent::Hinted(answer) if !prefix => {
                let (family, order) = (answer.family, self.order(answer, &mut routes));
                ConnectInput::Hinted { family, addresses: &answer.addresses, order }
            }
            ResolveEvent::Hinted(_) => return,
            ResolveEvent::Failed { family, error } => {
                let query = query(*family);
                self.details.extend(error.detail.clone().map(|detail| (host, query, detail)));
                ConnectInput::QueryFailed { query, error: error.kind }
            }
            #[cfg(feature = "dns")]
            ResolveEvent::Service(record) => return self.services.push(record.clone()),
        };
        if self.note(host, input) || prefix {
            tell(driver.connect_mut(), input, now);
        }
        self.pass_on(driver, now);
    }

    /// Records what was learnt of one of several hosts. Whether it is the only one.
    fn note(&mut self, host: usize, input: ConnectInput<'_>) -> bool {
        if let Some(several) = &mut self.several {
            several.handle_input(host, input);
        }
        self.several.is_none()
    }

    /// How the addresses of `answer` are ordered, by what the host would send from.
    fn order<'r>(&self, answer: &FamilyAddresses, routes: &'r mut Vec<Route>) -> AddressOrder<'r> {
        let mut ways = answer.addresses.iter().map(|address| route(address, &self.egress));
        if answer.ordered {
            return AddressOrder::Best(ways.next().unwrap_or(Route::Unknown));
        }
        routes.extend(ways.take(MAX_DESTINATIONS));
        AddressOrder::Any(routes)
    }

    /// How many sockets the budget has, where connections held all of them when a lookup needed one.
    pub(crate) fn all_held(&self) -> Option<usize> {
        #[cfg(not(target_os = "wasi"))]
        if let Some(budget) = &self.budget {
            return budget.has_refused().then(|| budget.sockets());
        }
        None
    }

    /// `report` with what became of resolution.
    pub(crate) fn conclude<const D: usize, const K: usize, const R: usize, const N: usize, G: Guide>(
        self,
        connect: &Connect<D, K, R, N, G>,
        report: Report,
    ) -> Report {
        let failures = match &self.several {
            None => {
                let host = self.hosts.first().map_or("", |(host, _)| host);
                connect.failures(host).map(|failure| self.in_words(0, failure)).collect()
            }
            Some(several) => {
                let timed_out = connect.timeline().summary().failure == Some(Failure::DeadlineExceeded);
                let of = |(number, (host, _)): (usize, &'_ (String, u16))| {
                    let failures = several.failures(number, host, timed_out);
                    failures.map(|failure| self.in_words(number, failure)).collect::<Vec<_>>()
                };
                self.hosts.iter().enumerate().flat_map(of).collect()
            }
        };
        let report = report.with_failed_queries(failures).with_denied(self.denied);
        let report = match self.several {
            Some(_) => report.with_hosts(self.hosts, self.owners.all()),
            None => report,
        };
        #[cfg(feature = "dns")]
        let report = report.with_services(self.services);
        report
    }

    fn in_words(&self, number: usize, QueryFailure { host, query, error }: QueryFailure<'_>) -> FailedQuery {
        let mut details = self.details.iter();
        let told = details.find(|(host, of, _)| *host == number && *of == query);
        let detail =
            told.map(|(.., detail)| detail.clone()).or_else(|| is_onion(host).then(|| ONION.to_owned()));
        FailedQuery { host: host.to_owned(), query, error: ResolverError { kind: error, detail } }
    }
}

/// What a filter leaves of the addresses that are known without a lookup, and what it denies. A host that is
/// an address, or `localhost`, is known where it is denied: then there is nothing to try.
fn screened<'a>(
    known: Option<Cow<'a, [SocketAddr]>>,
    host: &str,
    port: u16,
    filter: &AddressFilter,
) -> (Option<Cow<'a, [SocketAddr]>>, Vec<SocketAddr>) {
    if filter.is_empty() {
        return (known, Vec::new());
    }
    let own = match (&known, Host::parse(host)) {
        (Some(known), _) => known.to_vec(),
        (None, Ok(Host::Address(literal))) => {
            vec![literal.socket_addr(port).unwrap_or_else(|| SocketAddr::new(literal.ip, port))]
        }
        (None, Ok(Host::Loopback)) => LOOPBACK.map(|ip| SocketAddr::new(ip, port)).to_vec(),
        (None, _) => return (None, Vec::new()),
    };
    let (mut allowed, mut denied) = (own, Vec::new());
    screen(&mut allowed, filter, &mut denied);
    if denied.is_empty() { (known, denied) } else { (Some(Cow::Owned(allowed)), denied) }
}

/// Takes what `filter` denies out of `addresses`.
fn screen(addresses: &mut Vec<SocketAddr>, filter: &AddressFilter, denied: &mut Vec<SocketAddr>) {
    if filter.is_empty() {
        return;
    }
    addresses.retain(|address| {
        let allowed = filter.allows(address.ip());
        if !allowed && denied.len() < MAX_DESTINATIONS && !denied.contains(address) {
            denied.push(*address);
        }
        allowed
    });
}
