//! Holds a connect to its laws: sees every input and every output, and works out by itself what its race has
//! to know.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

use connie_core::connect::{AddressOrder, ConnectInput, ConnectOutput, Facts, Routes};
use connie_core::resolution::Query;
use connie_core::resolution::selection::Route;
use connie_core::{AttemptId, Config, Families, Family, Instant, race};

use crate::referee::{Referee, canonical};
use crate::translator::Translator;

/// The queries in the order of sending: "the AAAA query SHOULD be sent first, followed by the A query" (RFC
/// 8305 section 3).
const ORDER: [Query; 3] = [Query::Aaaa, Query::A, Query::Nat64Prefix];

/// For how many there is room in a connect: its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectCapacity {
    /// Destinations of its race.
    pub destinations: usize,
    /// Sockets.
    pub sockets: usize,
    /// Addresses of each family where IPv4 is reached through NAT64. The referee asks that each answer finds
    /// room: which address a connect would leave out, RFC 6724 decides.
    pub nat64: usize,
}

/// Holds a connect to the laws: those of a race by a [`Referee`], which gets what the rules of a connect make
/// of the inputs; and laws 8 and 10, the order of the queries, and which family comes first. Give it each
/// input before the connect, and each output afterwards.
///
/// It panics where a law is broken, and names it.
#[derive(Clone, Debug)]
pub struct ConnectReferee {
    race: Referee,
    preferred: Family,
    families: Families,
    routes: Routes,
    room: usize,
    kind: HostText,
    /// In that [`ORDER`].
    queries: [QueryState; 3],
    v6: FamilyRecord,
    v4: FamilyRecord,
    translator: Option<Translator>,
    /// All addresses that were ever given, and all translators: the set given.
    given: Vec<SocketAddr>,
    translators: Vec<Translator>,
    /// Whether every order so far leaves the order to the family.
    unranked: bool,
    begun: bool,
}

/// What the host's text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HostText {
    /// Addresses that are known, the first of this family.
    Listed(Option<Family>),
    Loopback,
    Nowhere,
    Literal,
    Name,
}

/// What has become of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum QueryState {
    /// It must not be sent.
    Never,
    NotYet,
    Sent,
    Over,
}

impl QueryState {
    fn is_open(self) -> bool {
        matches!(self, QueryState::NotYet | QueryState::Sent)
    }
}

/// What is known of a family.
#[derive(Clone, Debug, Default)]
struct FamilyRecord {
    /// The newest answer, or hints: the name's own.
    own: Vec<SocketAddr>,
    /// What the race was given.
    told: Vec<SocketAddr>,
    /// Whether the race waits for no more. That never changes back.
    closed: bool,
}

impl ConnectReferee {
    /// The referee of a connect to `port` of `host` that began at `now`, where it is one.
    #[must_use]
    pub fn new(
        host: &str,
        port: u16,
        config: &Config,
        facts: &Facts<'_>,
        room: ConnectCapacity,
        now: Instant,
    ) -> Self {
        let kind = match facts.hosts {
            Some(list) => HostText::Listed(list.first().map(Family::of)),
            None => HostText::of(host),
        };
        let mut referee = ConnectReferee {
            race: Referee::new(config, room.destinations, room.sockets, now),
            preferred: config.preferred_family,
            families: config.families,
            routes: facts.routes,
            room: room.nat64,
            kind,
            queries: [QueryState::Never; 3],
            v6: FamilyRecord::default(),
            v4: FamilyRecord::default(),
            translator: None,
            given: Vec::new(),
            translators: Vec::new(),
            unranked: true,
            begun: false,
        };
        let list = match kind {
            HostText::Listed(_) => facts.hosts.unwrap_or_default().to_vec(),
            HostText::Loopback => [IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]), [127, 0, 0, 1].into()]
                .map(|ip| (ip, port).into())
                .into(),
            HostText::Literal => vec![literal(host, port, facts.zone).expect("a literal address")],
            HostText::Nowhere | HostText::Name => Vec::new(),
        };
        referee.begin(&list);
        referee
    }

    fn begin(&mut self, list: &[SocketAddr]) {
        let list: Vec<_> = list.iter().copied().map(canonical).collect();
        let of = |family| list.iter().copied().filter(|address| Family::of(address) == family).collect();
        (self.v6.own, self.v4.own) = (of(Family::V6), of(Family::V4));
        let nat64 = self.room > 0 && self.families == Families::Both && !self.routes.v4 && self.routes.v6;
        let wanted = |wanted| if wanted { QueryState::NotYet } else { QueryState::Never };
        self.queries = match self.kind {
            HostText::Name => [
                wanted(self.families.allow(Family::V6)),
                wanted(self.families.allow(Family::V4)),
                wanted(nat64),
            ],
            HostText::Literal => {
                let may_lie_beyond = self.v4.own.iter().any(Translator::may_reach);
                [QueryState::Never, QueryState::Never, wanted(nat64 && may_lie_beyond)]
            }
            HostText::Listed(_) | HostText::Loopback | HostText::Nowhere => [QueryState::Never; 3],
        };
        self.given = list;
        self.update_race();
    }

    /// The attempts in flight, with their destinations.
    pub fn open(&self) -> impl Iterator<Item = (AttemptId, SocketAddr)> {
        self.race.open()
    }

    /// How it ended, if it has: the last output.
    #[must_use]
    pub fn ended(&self) -> Option<ConnectOutput> {
        self.race.ended().map(ConnectOutput::from)
    }

    /// Whether `query` was sent and has neither an answer nor a failure.
    #[must_use]
    pub fn is_pending(&self, query: Query) -> bool {
        self.queries[index(query)] == QueryState::Sent
    }

    /// Whether there is more than room for. The referee then asks for less.
    fn is_crowded(&self) -> bool {
        self.translates() && (self.v6.own.len() > self.room || self.listed(Family::V6).len() > self.room)
            || self.v4.own.len() > self.room && self.translates()
    }

    /// The connect takes `input`.
    pub fn handle_input(&mut self, input: &ConnectInput<'_>) {
        match *input {
            ConnectInput::Answered { query, addresses, order } => {
                if self.queries[index(query)] != QueryState::Never {
                    self.queries[index(query)] = QueryState::Over;
                    self.unranked &= leaves_it(order);
                    self.handle_answer(query, addresses);
                    self.update_race();
                }
            }
            ConnectInput::Hinted { family, addresses, order } => {
                let is_open = self.queries[index(Query::of(family))].is_open();
                if is_open && !self.known(family).closed {
                    self.unranked &= leaves_it(order);
                    self.handle_answer(Query::of(family), addresses);
                    self.update_race();
                }
            }
            ConnectInput::QueryFailed { query, .. } => {
                let asked = &mut self.queries[index(query)];
                if asked.is_open() {
                    *asked = QueryState::Over;
                    self.update_race();
                }
            }
            ConnectInput::AttemptSucceeded { id } => {
                self.race.handle_input(&race::Input::AttemptSucceeded { id })
            }
            ConnectInput::AttemptFailed { id, error } => {
                self.race.handle_input(&race::Input::AttemptFailed { id, error })
            }
            ConnectInput::SourceChanged { family } => {
                self.race.handle_input(&race::Input::SourceChanged { family });
            }
            ConnectInput::Cancel => self.race.handle_input(&race::Input::Cancel),
        }
        self.race.may_go_on();
    }

    /// The connect may have no more than `sockets` attempts in flight from now on.
    pub fn handle_limit(&mut self, sockets: usize) {
        self.race.handle_limit(sockets);
    }

    /// The connect may have as many as `sockets` attempts in flight from now on.
    pub fn handle_growth(&mut self, sockets: usize) {
        self.race.handle_growth(sockets);
    }

    fn handle_answer(&mut self, query: Query, addresses: &[SocketAddr]) {
        let family = match query {
            Query::Aaaa => Family::V6,
            Query::A => Family::V4,
            Query::Nat64Prefix => {
                let mut own = addresses.iter().filter(|address| address.is_ipv6());
                self.translator = own.find_map(|address| Translator::from_answer(address.ip()));
                self.translators.extend(self.translator);
                return;
            }
        };
        let own = addresses.iter().copied().map(canonical).filter(|address| Family::of(address) == family);
        self.known_mut(family).own = own.collect();
        let own = self.known(family).own.clone();
        self.given.extend(own);
    }

    // What the race has to know: rules 2, 3 and 5.

    /// Reports to the race's referee what has changed.
    fn update_race(&mut self) {
        if self.is_crowded() {
            self.race.is_without_room();
        }
        for family in [Family::V6, Family::V4] {
            let (list, closes) = (self.listed(family), self.is_answered(family));
            let known = self.known_mut(family);
            let closes = closes && !known.closed;
            if !closes && list == known.told {
                continue;
            }
            known.told.clone_from(&list);
            known.closed |= closes;
            let addresses = &list;
            let input = match known.closed {
                true => race::Input::Resolved { family, addresses },
                false => race::Input::Hinted { family, addresses },
            };
            self.race.handle_input(&input);
        }
        self.give_up();
    }

    /// Rule 5: a family without a route is not waited for when the other has addresses.
    fn give_up(&mut self) {
        for family in [Family::V4, Family::V6] {
            let may_translate =
                family == Family::V4 && (self.prefix().is_open() || self.translator.is_some());
            let other = self.known(family.other());
            let other_has_addresses = other.closed && !other.told.is_empty();
            let is_hopeless = !self.routes.has(family) && !may_translate && other_has_addresses;
            if self.kind == HostText::Name && is_hopeless && !self.known(family).closed {
                self.known_mut(family).closed = true;
                self.race.handle_input(&race::Input::ResolutionFailed { family });
            }
        }
    }

    /// The addresses of `family` that are to be tried now.
    fn listed(&self, family: Family) -> Vec<SocketAddr> {
        match family {
            Family::V6 => {
                let mut list = self.v6.own.clone();
                for address in self.translated() {
                    if !list.contains(&address) {
                        list.push(address);
                    }
                }
                list
            }
            Family::V4 if self.kind == HostText::Literal || !self.translates() => self.v4.own.clone(),
            Family::V4 if self.is_kept_back() => Vec::new(),
            Family::V4 => {
                let reached = |address: &SocketAddr| {
                    self.translator.is_some_and(|translator| translator.translate(address).is_some())
                };
                self.v4.own.iter().copied().filter(|address| !reached(address)).collect()
            }
        }
    }

    /// Whether the prefix may still reach an IPv4 address of the name that is known, or may yet be.
    fn is_kept_back(&self) -> bool {
        let may_come = self.queries[index(Query::A)].is_open();
        let may_be_reached = may_come || self.v4.own.iter().any(Translator::may_reach);
        self.prefix().is_open() && may_be_reached && !self.v4.closed
    }

    fn translated(&self) -> impl Iterator<Item = SocketAddr> {
        let translator = self.translator;
        self.v4.own.iter().filter_map(move |address| translator?.translate(address))
    }

    /// Whether nothing more comes for `family` that the race has to wait for, by its own queries.
    fn is_answered(&self, family: Family) -> bool {
        match (self.kind, family) {
            (HostText::Listed(_) | HostText::Loopback | HostText::Nowhere, _)
            | (HostText::Literal, Family::V4) => true,
            (HostText::Literal, Family::V6) => !self.prefix().is_open(),
            (HostText::Name, Family::V6) => !self.queries[index(Query::Aaaa)].is_open(),
            (HostText::Name, Family::V4) => !self.queries[index(Query::A)].is_open() && !self.is_kept_back(),
        }
    }

    fn translates(&self) -> bool {
        self.prefix() != QueryState::Never
    }

    fn prefix(&self) -> QueryState {
        self.queries[index(Query::Nat64Prefix)]
    }

    fn known(&self, family: Family) -> &FamilyRecord {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn known_mut(&mut self, family: Family) -> &mut FamilyRecord {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    // What the connect says.

    /// The connect has answered `output` at `now`.
    #[track_caller]
    pub fn handle_output(&mut self, output: &ConnectOutput, now: Instant) {
        let output = match *output {
            ConnectOutput::SendQuery { query } => return self.handle_query(query, now),
            ConnectOutput::StartAttempt { id, destination } => {
                self.handle_start(destination);
                race::Output::StartAttempt { id, destination }
            }
            ConnectOutput::CancelAttempt { id } => race::Output::CancelAttempt { id },
            ConnectOutput::WaitUntil(until) => race::Output::WaitUntil(until),
            ConnectOutput::WaitForInput => race::Output::WaitForInput,
            ConnectOutput::Established { id, destination } => race::Output::Established { id, destination },
            ConnectOutput::Failed(failure) => race::Output::Failed(failure),
        };
        let unsent = ORDER.into_iter().find(|query| self.queries[index(*query)] == QueryState::NotYet);
        let goes_on = matches!(
            output,
            race::Output::StartAttempt { .. } | race::Output::WaitUntil(_) | race::Output::WaitForInput
        );
        assert!(!goes_on || unsent.is_none(), "{unsent:?} was not sent, and {output:?} is said");
        self.race.handle_output(&output, now);
    }

    #[track_caller]
    fn handle_query(&mut self, query: Query, now: Instant) {
        assert!(!self.race.is_over(now), "law 1: {query:?} is sent after the end");
        let next = ORDER.into_iter().find(|query| self.queries[index(*query)] == QueryState::NotYet);
        assert_eq!(Some(query), next, "the query that is sent, and the one whose turn it is");
        self.queries[index(query)] = QueryState::Sent;
    }

    #[track_caller]
    fn handle_start(&mut self, destination: SocketAddr) {
        let is_given = self.given.contains(&destination)
            || self.translators.iter().any(|translator| {
                self.given.iter().any(|given| translator.translate(given) == Some(destination))
            });
        assert!(is_given, "law 8: {destination} was never given");
        if !self.begun {
            self.begun = true;
            let (first, has_both) =
                (self.first_family(), !self.v4.told.is_empty() && !self.v6.told.is_empty());
            if let Some(first) = first.filter(|_| has_both && self.families == Families::Both) {
                assert_eq!(Family::of(&destination), first, "rule 4: {destination} is the first of all");
            }
        }
    }

    /// Rule 4: the family of the first attempt, where it does not hang on RFC 6724's view of the addresses.
    fn first_family(&self) -> Option<Family> {
        match self.kind {
            HostText::Listed(first) => first,
            HostText::Literal => Some(Family::V4),
            HostText::Name if self.preferred == Family::V6 && !self.is_plain() => None,
            // What cannot be reached comes last (RFC 6724 section 6, rule 1).
            HostText::Name if self.routes == (Routes { v4: true, v6: false }) => Some(Family::V4),
            HostText::Name | HostText::Loopback | HostText::Nowhere => Some(self.preferred),
        }
    }

    /// Whether RFC 6724 has nothing to say but that IPv6 comes before IPv4 (rule 6, by the default policy).
    fn is_plain(&self) -> bool {
        let documented = |address: &SocketAddr| match address.ip() {
            IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_link_local(),
            IpAddr::V6(ip) => ip.segments()[..2] == [0x2001, 0xdb8],
        };
        self.unranked && self.v6.own.iter().chain(&self.v4.own).all(documented)
    }
}

impl HostText {
    fn of(host: &str) -> HostText {
        if literal(host, 0, Some(1)).is_some() {
            return HostText::Literal;
        }
        let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        match name.rsplit('.').next() {
            Some("localhost") => HostText::Loopback,
            Some("invalid" | "onion") => HostText::Nowhere,
            _ => HostText::Name,
        }
    }
}

/// The address that `host` is; one in a zone that has a name is in `zone`.
fn literal(host: &str, port: u16, zone: Option<u32>) -> Option<SocketAddr> {
    if let Ok(ip) = host.parse::<Ipv4Addr>() {
        return Some((ip, port).into());
    }
    let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    let (ip, scope) = match bare.split_once('%') {
        Some((ip, name)) => (ip, name.parse().ok().or(zone)?),
        None => (bare, 0),
    };
    Some(SocketAddrV6::new(ip.parse().ok()?, port, 0, scope).into())
}

/// Whether an order tells nothing that a name's families could be compared by.
fn leaves_it(order: AddressOrder<'_>) -> bool {
    match order {
        AddressOrder::Any(routes) => routes.iter().all(|route| *route == Route::Unknown),
        AddressOrder::Best(route) => route == Route::Unknown,
    }
}

fn index(query: Query) -> usize {
    match query {
        Query::Aaaa => 0,
        Query::A => 1,
        Query::Nat64Prefix => 2,
    }
}
