//! From what a program wants to connect to, to what the race is told: the look-ups of one `connect`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use connie_core::resolution::nat64::WELL_KNOWN_NAME;
use connie_core::resolution::selection::Candidate;
use connie_core::resolution::{Host, LOOPBACK, Literal, Query, QueryError, Resolution, is_onion};
use connie_core::{Connector, Families, Family, Input, Instant, RaceStack};

use super::lookup::{Answer, Event, LookupError, Question};
use super::order::{Sources, candidate, has_route, ordered};
use crate::error::ConnectErrorKind;
use crate::options::{MAX_DESTINATIONS, Options};
use crate::report::{FailedQuery, Report};
use crate::target::{Target, split};
use crate::waiter::{OsWaiter, Running};
use crate::zone::in_zone;

/// Why a name below `onion` has no addresses.
pub(crate) const ONION: &str = "not sent, for onion names are Tor's and not in DNS (RFC 7686)";

/// The resolution of one target, of which the look-ups run in the [`OsWaiter`].
pub(crate) struct Names {
    host: String,
    port: u16,
    resolution: Resolution<MAX_DESTINATIONS>,
    sources: Sources,
    /// Whether the program has said that IPv4 is preferred.
    prefers_v4: bool,
    /// The best address of each family, IPv6 before IPv4.
    best: [Option<Candidate>; 2],
    failures: Vec<FailedQuery>,
    #[cfg(feature = "dns")]
    services: Vec<super::ServiceRecord>,
}

/// How a race begins.
pub(crate) enum Start {
    /// With all its addresses, best first.
    Addresses(Vec<SocketAddr>),
    /// With look-ups, or with what they would have told.
    Names(Box<Names>),
}

impl Start {
    /// What `target` asks for. The look-ups that it needs are begun.
    pub(crate) fn new(
        target: Target<'_>,
        options: &Options,
        waiter: &mut OsWaiter,
        now: Instant,
    ) -> Result<Self, ConnectErrorKind> {
        let (host, port) = match target {
            Target::Address(address) => return Ok(Start::Addresses(vec![address])),
            Target::Addresses(addresses) => return Ok(Start::Addresses(addresses.to_vec())),
            Target::Host(host, port) => (host, port),
            Target::Text(text) => split(text).ok_or(ConnectErrorKind::InvalidTarget)?,
        };
        if let Some(addresses) = overridden(host, port, options) {
            return Ok(Start::Addresses(addresses));
        }
        let mut names = Names::new(host, port, options);
        match Host::parse(host).map_err(ConnectErrorKind::InvalidHost)? {
            Host::Loopback => {
                return Ok(Start::Addresses(LOOPBACK.map(|ip| SocketAddr::new(ip, port)).to_vec()));
            }
            Host::Address(literal) => {
                let address = located(literal, port)?;
                if !names.needs_nat64(&address, options) {
                    return Ok(Start::Addresses(vec![address]));
                }
                names.resolution = Resolution::with_nat64();
                names.is_known(&address);
            }
            Host::Nowhere => names.is_nowhere(),
            Host::Name(_) => {
                if options.race.families == Families::Both && !has_route(Family::V4) && has_route(Family::V6)
                {
                    names.resolution = Resolution::with_nat64();
                }
            }
        }
        names.ask(options, waiter, now);
        Ok(Start::Names(Box::new(names)))
    }
}

impl Start {
    /// Tells the race what is known before anything has come. Answers the resolution that goes on.
    pub(crate) fn tell<S: RaceStack, const D: usize, const K: usize, const R: usize>(
        self,
        connector: &mut Connector<S, D, K, R>,
        now: Instant,
    ) -> Option<Box<Names>> {
        match self {
            Start::Addresses(addresses) => {
                if let Some(first) = addresses.first() {
                    // They are in the order that the caller wants.
                    connector.prefer(Family::of(first));
                }
                connector.handle_addresses(&addresses, now);
                None
            }
            Start::Names(mut names) => {
                names.begin(connector, now);
                Some(names)
            }
        }
    }
}

/// The addresses that the options give for the host. The last entry counts, and one for this name before one for all, as for curl.
fn overridden(host: &str, port: u16, options: &Options) -> Option<Vec<SocketAddr>> {
    let last = |fits: &dyn Fn(&str) -> bool| {
        options.overrides.iter().rfind(|entry| entry.port == port && fits(&entry.host))
    };
    let entry = last(&|name| name.eq_ignore_ascii_case(host)).or_else(|| last(&|name| name == "*"))?;
    Some(entry.addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
}

/// A literal address, of which the system numbers the zone.
fn located(literal: Literal<'_>, port: u16) -> Result<SocketAddr, ConnectErrorKind> {
    if let Some(address) = literal.socket_addr(port) {
        return Ok(address);
    }
    let zone = literal.zone.unwrap_or_default();
    let found = match literal.ip {
        IpAddr::V6(ip) => in_zone(ip, zone, port),
        IpAddr::V4(_) => None,
    };
    found.ok_or_else(|| ConnectErrorKind::UnknownZone(zone.to_owned()))
}

/// Whether an address may lie behind a NAT64, and not on this machine or its link.
fn is_beyond(ip: Ipv4Addr) -> bool {
    !(ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() || ip.is_multicast())
}

impl Names {
    fn new(host: &str, port: u16, options: &Options) -> Self {
        Names {
            host: host.to_owned(),
            port,
            resolution: Resolution::new(options.race.families),
            sources: Sources { v4: options.source_v4, v6: options.source_v6 },
            prefers_v4: options.race.preferred_family == Family::V4,
            best: [None, None],
            failures: Vec::new(),
            #[cfg(feature = "dns")]
            services: Vec::new(),
        }
    }

    /// Whether a literal address is reached through NAT64, if at all.
    fn needs_nat64(&self, address: &SocketAddr, options: &Options) -> bool {
        let IpAddr::V4(ip) = address.ip() else { return false };
        options.race.families == Families::Both
            && is_beyond(ip)
            && !candidate(address, self.sources).is_reachable()
            && has_route(Family::V6)
    }

    /// The host is an IPv4 address: nothing is to be asked but the network's prefix.
    fn is_known(&mut self, address: &SocketAddr) {
        // The race is told when the prefix is known.
        let _ = self.resolution.answered(Query::Aaaa, &[]);
        let _ = self.resolution.answered(Query::A, &[*address]);
    }

    fn is_nowhere(&mut self) {
        let detail = is_onion(&self.host).then(|| ONION.to_owned());
        let error = LookupError { kind: QueryError::NoSuchName, detail };
        for query in [Query::Aaaa, Query::A] {
            self.fail(query, error.clone());
        }
    }

    /// Begins the look-ups.
    fn ask(&mut self, options: &Options, waiter: &mut OsWaiter, now: Instant) {
        let queries: Vec<_> = std::iter::from_fn(|| self.resolution.next_query()).collect();
        let asks = |query| queries.contains(&query);
        let families = match (asks(Query::Aaaa), asks(Query::A)) {
            (true, true) => Some(Families::Both),
            (true, false) => Some(Families::Only(Family::V6)),
            (false, true) => Some(Families::Only(Family::V4)),
            (false, false) => None,
        };
        let (clock, port) = (waiter.clock, self.port);
        if let Some(families) = families {
            let question = Question { host: &self.host, port, families, clock };
            waiter.lookups.push(Running { lookup: options.resolver.lookup(&question, now), prefix: false });
        }
        if asks(Query::Nat64Prefix) {
            let families = Families::Only(Family::V6);
            let question = Question { host: WELL_KNOWN_NAME, port, families, clock };
            waiter.lookups.push(Running { lookup: options.resolver.lookup(&question, now), prefix: true });
        }
    }

    /// Tells the race what it has not heard yet: what is known without a look-up.
    fn begin<S: RaceStack, const D: usize, const K: usize, const R: usize>(
        &mut self,
        connector: &mut Connector<S, D, K, R>,
        now: Instant,
    ) {
        // RFC 8305 section 3 has the race wait for AAAA answers "to ensure that preference is given to IPv6". A host that has no
        // IPv6 has nothing to prefer.
        if !self.prefers_v4 && !has_route(Family::V6) {
            connector.prefer(Family::V4);
        }
        for family in [Family::V6, Family::V4] {
            if !self.resolution.is_pending(Query::of(family)) {
                // Answered before anything was sent, if only by "not asked for": nothing will come that the race could wait for,
                // but for what comes with the NAT64 prefix.
                if !(self.resolution.is_pending(Query::Nat64Prefix) && family == Family::V4) {
                    connector.handle_input(Input::ResolutionFailed { family }, now);
                }
            }
        }
    }

    /// Whether there is nothing more to come.
    pub(crate) fn is_complete(&self) -> bool {
        self.resolution.is_complete()
    }

    /// Tells the race what has come.
    pub(crate) fn advance<S: RaceStack, const D: usize, const K: usize, const R: usize>(
        &mut self,
        connector: &mut Connector<S, D, K, R>,
        waiter: &mut OsWaiter,
        now: Instant,
    ) {
        let mut running = std::mem::take(&mut waiter.lookups);
        for Running { lookup, prefix } in &mut running {
            while let Some(event) = lookup.poll(now) {
                self.hear(event, *prefix, connector, now);
            }
        }
        waiter.lookups = running;
    }

    fn hear<S: RaceStack, const D: usize, const K: usize, const R: usize>(
        &mut self,
        event: Event,
        prefix: bool,
        connector: &mut Connector<S, D, K, R>,
        now: Instant,
    ) {
        let query = |family| if prefix { Query::Nat64Prefix } else { Query::of(family) };
        match event {
            Event::Answered(answer) => {
                let addresses = if prefix { answer.addresses } else { self.rank(&answer, connector) };
                for input in self.resolution.answered(query(answer.family), &addresses) {
                    connector.handle_input(input, now);
                }
            }
            Event::Hinted(answer) if !prefix => {
                let addresses = self.rank(&answer, connector);
                connector.handle_input(Input::Hinted { family: answer.family, addresses: &addresses }, now);
            }
            Event::Hinted(_) => {}
            Event::Failed { family, error } => {
                let query = query(family);
                if !prefix {
                    self.failures.push(FailedQuery { host: self.host.clone(), query, error: error.clone() });
                }
                for input in self.resolution.failed(query, error.kind) {
                    connector.handle_input(input, now);
                }
            }
            #[cfg(feature = "dns")]
            Event::Service(record) => self.services.push(record),
        }
    }

    fn fail(&mut self, query: Query, error: LookupError) {
        // The race is told when it begins.
        let _ = self.resolution.failed(query, error.kind);
        self.failures.push(FailedQuery { host: self.host.clone(), query, error });
    }

    /// The addresses of an answer in the order in which to try them; sees to it that the family of the best of all comes first.
    fn rank<S: RaceStack, const D: usize, const K: usize, const R: usize>(
        &mut self,
        answer: &Answer,
        connector: &mut Connector<S, D, K, R>,
    ) -> Vec<SocketAddr> {
        let (best, addresses) = if answer.ordered {
            let best = answer.addresses.first().map(|first| candidate(first, self.sources));
            (best, answer.addresses.clone())
        } else {
            let candidates = ordered(&answer.addresses, self.sources);
            (candidates.first().copied(), candidates.iter().map(Candidate::address).collect())
        };
        let [v6, v4] = &mut self.best;
        match answer.family {
            Family::V6 => *v6 = best,
            Family::V4 => *v4 = best,
        }
        if let (false, Some(v6), Some(v4)) = (self.prefers_v4, v6, v4) {
            connector.prefer(if v4.compare(v6).is_lt() { Family::V4 } else { Family::V6 });
        }
        addresses
    }

    /// `report` with what became of resolution. A query that has no answer when the race has timed out has failed by that.
    pub(crate) fn conclude(mut self, report: Report, timed_out: bool) -> Report {
        for query in [Query::Aaaa, Query::A] {
            let best = &self.best[usize::from(query == Query::A)];
            // A family with addresses is known, though more might have come.
            if timed_out && best.is_none() && self.resolution.is_pending(query) {
                let (host, error) = (self.host.clone(), QueryError::TimedOut.into());
                self.failures.push(FailedQuery { host, query, error });
            }
        }
        if self.best.iter().any(Option::is_some) {
            // The other query has found the name: what many a system calls "no such name" is a name without such addresses.
            self.failures.retain(|failure| failure.error.kind != QueryError::NoSuchName);
        }
        self.failures.sort_by_key(|failure| failure.query != Query::Aaaa);
        let report = report.with_failed_queries(self.failures);
        #[cfg(feature = "dns")]
        let report = report.with_services(self.services);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Override;

    fn with_overrides(entries: &[(&str, u16, &str)]) -> Options {
        let entry = |&(host, port, address): &(&str, u16, &str)| Override {
            host: host.to_owned(),
            port,
            addresses: vec![address.parse().unwrap()],
        };
        Options { overrides: entries.iter().map(entry).collect(), ..Options::default() }
    }

    #[test]
    fn an_override_counts_for_its_host_and_its_port() {
        let options = with_overrides(&[("name.test", 80, "127.0.0.2")]);
        assert_eq!(overridden("Name.TEST", 80, &options), Some(vec!["127.0.0.2:80".parse().unwrap()]));
        assert_eq!(overridden("name.test", 81, &options), None);
        assert_eq!(overridden("other.test", 80, &options), None);
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
        let found = |host, port| overridden(host, port, &options).unwrap();
        assert_eq!(found("name.test", 80), ["127.0.0.3:80".parse().unwrap()]);
        assert_eq!(found("other.test", 80), ["127.0.0.5:80".parse().unwrap()]);
        assert_eq!(found("name.test", 81), ["127.0.0.6:81".parse().unwrap()]);
    }

    #[test]
    fn only_what_is_beyond_the_link_is_looked_for_behind_a_nat64() {
        for near in ["127.0.0.1", "127.255.0.1", "169.254.1.1", "0.0.0.0", "224.0.0.1"] {
            assert!(!is_beyond(near.parse().unwrap()), "{near}");
        }
        for far in ["192.0.2.1", "10.0.0.1", "128.0.0.1", "240.0.0.1"] {
            assert!(is_beyond(far.parse().unwrap()), "{far}");
        }
    }

    #[test]
    fn what_can_be_reached_needs_no_nat64() {
        let options = Options::default();
        let names = Names::new("host", 80, &options);
        for address in ["127.0.0.1:80", "[::1]:80", "[2001:db8::1]:80"] {
            assert!(!names.needs_nat64(&address.parse().unwrap(), &options), "{address}");
        }
    }

    #[test]
    fn names_are_complete_when_both_families_have_their_answer() {
        let mut names = Names::new("host", 80, &Options::default());
        assert!(!names.is_complete());
        names.fail(Query::Aaaa, QueryError::NoSuchName.into());
        assert!(!names.is_complete());
        names.fail(Query::A, QueryError::NoSuchName.into());
        assert!(names.is_complete());
    }
}
