//! From a host and a port to the connection that wins: which queries are sent, what their answers mean to the
//! race, and when there is nothing left to wait for.
//!
//! A [`Connect`] is a [`Race`] with its resolution. Two verbs drive it, as they drive a race:
//! [`handle_input`](Connect::handle_input) reports what happened, [`poll_output`](Connect::poll_output) says
//! what to do next. It sends nothing itself: its user has a resolver of whatever kind, and knows the
//! [facts](Facts) of the host that it runs on. Nothing outside this file decides what a host's text means to
//! a race.
//!
//! ```
//! use connie_core::connect::{Connect, Facts, ConnectInput, AddressOrder, ConnectOutput};
//! use connie_core::resolution::Query;
//! use connie_core::{Config, Instant};
//!
//! let (now, facts) = (Instant::ZERO, Facts::default());
//! let mut connect = Connect::<16, 4>::new("example.org", 80, &Config::all_at_once(), &facts, now)?;
//! assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: Query::Aaaa });
//! assert_eq!(connect.poll_output(now), ConnectOutput::SendQuery { query: Query::A });
//! assert_eq!(connect.poll_output(now), ConnectOutput::WaitForInput);
//!
//! // The A answer comes first, and the race starts.
//! let (now, addresses) = (Instant::from_millis(10), ["192.0.2.1:80".parse()?]);
//! connect.handle_input(ConnectInput::Answered { query: Query::A, addresses: &addresses, order: AddressOrder::Any(&[]) }, now);
//! assert!(matches!(connect.poll_output(now), ConnectOutput::StartAttempt { .. }));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Several hosts of which any will do are one connect, too: [`Hosts`] makes one of their answers.
//!
//! # The rules
//!
//! ```text
//! A query   unwanted      to send ──SendQuery──▶ sent ──answer──▶ answered ◀─┐ a newer answer
//!                                                  └──failure──▶ failed ─────┘
//! ```
//!
//! 1. **What is asked.** [Known addresses](Facts::hosts), a literal and `localhost` (RFC 6761 section 6.3)
//!    are not asked for, and names below `invalid` (section 6.4) and `onion` (RFC 7686) fail unasked. For any
//!    other name AAAA is sent first, then A (RFC 8305 section 3), as far as [`Config::families`] allows.
//! 2. **NAT64** (RFC 8305 section 7): on a host that has a route by IPv6 and none by IPv4 the network's
//!    prefix is asked for as well, for a name, and for an IPv4 address that is not on this host or its link.
//!    IPv4 addresses of a name are kept back until the prefix is known, where it may reach one of them. Those
//!    that it reaches then join the AAAA answer, behind the name's own; without one all are tried as they
//!    are. A literal is tried as it is from the start, since a host may have a route to it alone.
//! 3. **An answer takes its family's place in the race when it comes**, in the order of RFC 6724 section 6,
//!    and ends the wait for it. Hints (RFC 9460 section 7.3) serve until then, while that family is waited
//!    for. A query that fails takes nothing back.
//! 4. **The family that comes first** is the caller's where that is IPv4; that of the first [known
//!    address](Facts::hosts); IPv4, on a host without a route by IPv6 or whose [policy](Facts::policy) puts
//!    it first, until both families have addresses; and then that of the best address of all (RFC 6724),
//!    where one of a family without a route cannot be reached unless a way to it is known.
//! 5. **A family that the host has no route by is not waited for** when the other has addresses: neither to
//!    begin nor to fail. Its answer still joins, since there may be a route to its addresses alone. Where the
//!    other has none it is the only hope, and is waited for.
//! 6. **When the race is over no query is sent**, and later answers do not change how it ended. Read its
//!    [failures](Connect::failures) before you report more: a query that is answered all the same is no
//!    longer among them.
//!
//! # The laws
//!
//! Laws 1 to 7 are the [race's](crate::race). Two more hold after every call:
//!
//! 8. The set tried is the set given: by answers, hints, [known addresses](Facts::hosts), the caller's
//!    literal, `localhost`, or NAT64 out of one of these, less what a filter took out before the connect was
//!    told.
//! 10. A race does not fail while a query that could still help is open; it does fail as soon as none can.
//!
//! By rule 5 the query for a family without a route can help only where the other family has brought no
//! address. The one for a prefix can help only where there is an IPv4 address to be reached, or may yet be.

mod facts;
mod hosts;
mod input_output;
mod start;
mod translation;

use core::hash::{Hash, Hasher};
use core::net::SocketAddr;

use heapless::Vec;

pub use facts::{AddressOrder, Facts, InvalidHost, Routes, named_zone};
pub use hosts::{Hosts, HostsInput};
pub use input_output::{ConnectInput, ConnectOutput};
use start::HostKind;
pub use start::Start;

use crate::memory::Recall;
use crate::race::{self, Config, Failure, Family, Guide, Plan, Planned, Race, Unplanned};
use crate::resolution::selection::{AddressRank, Candidate, PolicyEntry, Route, prefers_v4, sort};
use crate::resolution::{Query, QueryError, QueryFailure};
use crate::time::Instant;
use crate::timeline::Timeline;
use translation::Translation;

/// A race for one connection to a host, from its text on.
///
/// The first three numbers are those of its [`Race`]. `NAT64` is for how many addresses of each family there
/// is room where IPv4 is reached through NAT64; a connect with none never asks for a prefix. Of an answer in
/// [any order](AddressOrder::Any) the first `DESTINATIONS` addresses are put in order.
///
/// See the [module](self) for its rules and laws.
#[derive(Clone, Debug)]
pub struct Connect<
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    const NAT64: usize = 0,
    G: Guide = Unplanned,
> {
    race: Race<DESTINATIONS, SOCKETS, RECORDS, G>,
    /// In the order of [`Query::ALL`].
    queries: [QueryState; 3],
    routes: Routes,
    policy: &'static [PolicyEntry],
    /// Whether the caller has said that IPv4 comes first.
    prefers_v4: bool,
    /// Whether the host is an address, which the race was given as it is.
    is_literal: bool,
    /// How the best address of each family stands, IPv6 before IPv4.
    best: [Option<AddressRank>; 2],
    /// Used where the prefix is wanted.
    translation: Translation<NAT64>,
}

/// What has become of a query.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum QueryState {
    /// It is not sent.
    Unwanted,
    /// It is not sent either: such a name does not exist.
    Nowhere,
    ToSend,
    Sent,
    Answered,
    Failed(QueryError),
}

impl QueryState {
    fn is_open(self) -> bool {
        matches!(self, QueryState::ToSend | QueryState::Sent)
    }
}

/// A connect with room for a [`Plan`], for a program with a [`Memory`](crate::memory::Memory).
pub type PlannedConnect<
    const DESTINATIONS: usize = 16,
    const SOCKETS: usize = 4,
    const RECORDS: usize = 32,
    const NAT64: usize = 0,
> = Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, Planned<DESTINATIONS>>;

impl<const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, const NAT64: usize>
    PlannedConnect<DESTINATIONS, SOCKETS, RECORDS, NAT64>
{
    /// Takes the plan that its race is to follow from now on: see [`Race::follow`]. Tell it after each
    /// answer, and after a beginning that needs none.
    pub fn follow(&mut self, plan: &Plan<DESTINATIONS>) {
        self.race.follow(plan);
    }
}

impl<const DESTINATIONS: usize, const SOCKETS: usize, const RECORDS: usize, const NAT64: usize, G: Guide>
    Connect<DESTINATIONS, SOCKETS, RECORDS, NAT64, G>
{
    /// A connect that begins now. Its deadline counts from here, and covers resolution.
    ///
    /// # Errors
    ///
    /// [`InvalidHost`].
    pub fn new(
        host: &str,
        port: u16,
        config: &Config,
        facts: &Facts<'_>,
        now: Instant,
    ) -> Result<Self, InvalidHost> {
        let start = Start::new(host, port, facts)?;
        Ok(Self::begin(start, config, facts, now))
    }

    /// Has the race follow what `memory` knows to be best. Call it after each answer, and after a beginning
    /// that needs none.
    pub fn plan_by<M>(&mut self, memory: &M, now: Instant)
    where
        M: Recall<DESTINATIONS, Guide = G>,
    {
        memory.plan(&mut self.race, now);
    }

    /// Gives the race up, where it goes on, and teaches `memory` what it has shown until now: for a driver
    /// that is dropped, sockets and all. Without a memory it does nothing.
    pub fn abandon<M>(&mut self, memory: &M, now: Instant)
    where
        M: Recall<DESTINATIONS, Guide = G>,
    {
        memory.stop(&mut self.race, now);
    }

    /// Teaches `memory` what the race has shown: call it when it has ended.
    pub fn teach<M>(&self, memory: &M, now: Instant)
    where
        M: Recall<DESTINATIONS, Guide = G>,
    {
        memory.learn(&self.race, now);
    }

    /// The same from a text that has been read, with the facts that it was read with.
    #[must_use]
    pub fn begin(start: Start<'_>, config: &Config, facts: &Facts<'_>, now: Instant) -> Self {
        let mut connect = Self::unbegun(&start, config, facts, now);
        connect.set_out(start, now);
        connect
    }

    /// The same in two steps, for an adapter that keeps it in memory of its own: what a function changes
    /// before it answers is moved to its place when it is answered. [`set_out`](Connect::set_out) comes next.
    #[doc(hidden)]
    #[must_use]
    // Not inlined, nor is `set_out`: the temporaries of both would be on the stack of the caller at once.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn unbegun(start: &Start<'_>, config: &Config, facts: &Facts<'_>, now: Instant) -> Self {
        let asks = |query| start.asks(query, config, facts, NAT64 > 0);
        Connect {
            race: Race::new(config, now),
            queries: Query::ALL
                .map(|query| if asks(query) { QueryState::ToSend } else { QueryState::Unwanted }),
            routes: facts.routes,
            policy: facts.policy,
            prefers_v4: config.preferred_family == Family::V4,
            is_literal: false,
            best: [None; 2],
            translation: Translation::new(),
        }
    }

    /// Begins with what the text stands for.
    #[doc(hidden)]
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn set_out(&mut self, start: Start<'_>, now: Instant) {
        match start.0 {
            HostKind::Known(addresses) => self.begin_with_known(addresses, now),
            HostKind::Loopback(addresses) => self.race.handle_list(pieces(&addresses, &[]), now),
            HostKind::Nowhere => self.begin_nowhere(now),
            HostKind::Literal(address) => self.begin_with_literal(address, now),
            HostKind::Name => self.begin_with_name(),
        }
    }

    /// Tells it that something happened. Poll it afterwards.
    // Inlined as that of a race: each caller passes an input that it has made, so that nothing is left of the
    // match.
    #[inline(always)]
    pub fn handle_input(&mut self, input: ConnectInput<'_>, now: Instant) {
        match input {
            ConnectInput::Answered { query, addresses, order } => self.answered(query, addresses, order, now),
            ConnectInput::Hinted { family, addresses, order } => self.hinted(family, addresses, order, now),
            ConnectInput::QueryFailed { query, error } => self.query_failed(query, error, now),
            ConnectInput::AttemptSucceeded { id } => {
                self.race.handle_input(race::Input::AttemptSucceeded { id }, now);
            }
            ConnectInput::AttemptFailed { id, error } => {
                self.race.handle_input(race::Input::AttemptFailed { id, error }, now);
            }
            ConnectInput::SourceChanged { family } => {
                self.race.handle_input(race::Input::SourceChanged { family }, now);
            }
            ConnectInput::Cancel => self.race.handle_input(race::Input::Cancel, now),
        }
    }

    /// Returns what to do next. Act on it, and poll again until the answer [ends the
    /// drain](ConnectOutput::ends_drain).
    pub fn poll_output(&mut self, now: Instant) -> ConnectOutput {
        match self.next(now) {
            Ok(output) => output.into(),
            Err(query) => ConnectOutput::SendQuery { query },
        }
    }

    /// The next output of the race, or the query that is to be sent before it.
    pub(crate) fn next(&mut self, now: Instant) -> Result<race::Output, Query> {
        match self.next_query(now) {
            Some(query) => Err(query),
            None => Ok(self.race.poll_output(now)),
        }
    }

    /// Counts addresses that the caller had no room for: see [`Race::note_omitted`].
    pub fn note_omitted(&mut self, addresses: u16) {
        self.race.note_omitted(addresses);
    }

    /// Has no more than `sockets` open from now on: see [`Race::limit_to`].
    pub fn limit_to(&mut self, sockets: usize) {
        self.race.limit_to(sockets);
    }

    /// Starts nothing until it may have sockets again: see [`Race::pause`].
    pub fn pause(&mut self) {
        self.race.pause();
    }

    /// May have as many as `sockets` open from now on: see [`Race::grow_to`].
    pub fn grow_to(&mut self, sockets: usize) {
        self.race.grow_to(sockets);
    }

    /// What the race has done so far.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        self.race.timeline()
    }

    /// The race, to look at.
    #[must_use]
    pub fn race(&self) -> &Race<DESTINATIONS, SOCKETS, RECORDS, G> {
        &self.race
    }

    /// Whether each query that is waited for has its answer or its failure.
    #[must_use]
    pub fn is_resolved(&self) -> bool {
        self.race.is_resolved()
    }

    /// Whether `query` was sent and has neither an answer nor a failure.
    #[must_use]
    pub fn is_pending(&self, query: Query) -> bool {
        self.state(query) == QueryState::Sent
    }

    /// The queries for addresses of `host` that have brought none, AAAA first: those that failed, and in a
    /// race that has timed out those that were never answered. That a name does not exist is left out where
    /// the other query has found it: so some name servers say that it has no such addresses.
    pub fn failures<'h>(
        &self,
        host: &'h str,
    ) -> impl Iterator<Item = QueryFailure<'h>> + use<'h, DESTINATIONS, SOCKETS, RECORDS, NAT64, G> {
        let timed_out = self.race.failure() == Some(Failure::DeadlineExceeded);
        let found = self.best.iter().any(Option::is_some);
        let [best_v6, best_v4] = self.best.map(|best| best.is_some());
        let [aaaa, a, _] = self.queries;
        let queries = [(Query::Aaaa, aaaa, best_v6), (Query::A, a, best_v4)];
        queries.into_iter().filter_map(move |(query, state, has_addresses)| {
            let error = match state {
                QueryState::Failed(QueryError::NoSuchName) if found => return None,
                QueryState::Failed(error) => error,
                QueryState::Nowhere => QueryError::NoSuchName,
                // A family with addresses is known, though more might have come.
                QueryState::Sent if timed_out && !has_addresses => QueryError::TimedOut,
                _ => return None,
            };
            Some(QueryFailure { host, query, error })
        })
    }

    /// Feeds `state` all that decides what it does from here on: see [`Race::fingerprint`].
    #[doc(hidden)]
    pub fn fingerprint(&self, state: &mut impl Hasher) {
        self.race.fingerprint(state);
        (&self.queries, self.routes, self.prefers_v4, self.is_literal).hash(state);
        (&self.best, &self.translation).hash(state);
    }

    // The beginning: rules 1, 2 and 4.

    fn begin_with_known(&mut self, addresses: &[SocketAddr], now: Instant) {
        if let Some(first) = addresses.first() {
            // They are in the order that the caller wants.
            self.race.prefer(Family::of(first));
        }
        self.race.handle_list(pieces(addresses, &[]), now);
    }

    fn begin_nowhere(&mut self, now: Instant) {
        for query in [Query::Aaaa, Query::A] {
            *self.state_mut(query) = QueryState::Nowhere;
        }
        self.race.handle_list(pieces(&[], &[]), now);
    }

    fn begin_with_literal(&mut self, address: SocketAddr, now: Instant) {
        self.is_literal = true;
        self.race.prefer(Family::of(&address));
        if !self.is_translating() {
            return self.race.handle_list(pieces(&[address], &[]), now);
        }
        self.translation.keep(Family::V4, core::iter::once(address));
        self.race.handle_answer(Family::V4, core::iter::once(address), false, now);
    }

    fn begin_with_name(&mut self) {
        // RFC 8305 section 3 has the race wait for AAAA answers "to ensure that preference is given to IPv6".
        // A host that has no IPv6 has nothing to prefer, nor one whose administrator prefers IPv4.
        if !self.routes.v6 || prefers_v4(self.policy) {
            self.race.prefer(Family::V4);
        }
    }

    /// The next query to send; each is sent once.
    fn next_query(&mut self, now: Instant) -> Option<Query> {
        let query = Query::ALL.into_iter().find(|query| self.state(*query) == QueryState::ToSend)?;
        if self.race.is_over(now) {
            return None;
        }
        *self.state_mut(query) = QueryState::Sent;
        Some(query)
    }

    // Answers: rules 2 to 5.

    fn answered(&mut self, query: Query, addresses: &[SocketAddr], order: AddressOrder<'_>, now: Instant) {
        if matches!(self.state(query), QueryState::Unwanted | QueryState::Nowhere) {
            return;
        }
        *self.state_mut(query) = QueryState::Answered;
        match query {
            Query::Aaaa => self.take_in(Family::V6, addresses, order, false, now),
            Query::A => self.take_in(Family::V4, addresses, order, false, now),
            Query::Nat64Prefix if NAT64 > 0 => {
                self.translation.discover(addresses);
                self.translate(query, now);
            }
            Query::Nat64Prefix => {}
        }
        self.stop_waiting(now);
    }

    fn hinted(&mut self, family: Family, addresses: &[SocketAddr], order: AddressOrder<'_>, now: Instant) {
        if self.state(Query::of(family)).is_open() && self.race.is_open(family) {
            self.take_in(family, addresses, order, true, now);
        }
    }

    fn query_failed(&mut self, query: Query, error: QueryError, now: Instant) {
        // What was answered stays.
        if !self.state(query).is_open() {
            return;
        }
        *self.state_mut(query) = QueryState::Failed(error);
        match query {
            _ if self.is_translating() => self.translate(query, now),
            Query::Aaaa => self.race.handle_input(race::Input::ResolutionFailed { family: Family::V6 }, now),
            Query::A => self.race.handle_input(race::Input::ResolutionFailed { family: Family::V4 }, now),
            Query::Nat64Prefix => {}
        }
        self.stop_waiting(now);
    }

    /// Rules 3 and 4: puts addresses in order and hands them to the race.
    fn take_in(
        &mut self,
        family: Family,
        addresses: &[SocketAddr],
        order: AddressOrder<'_>,
        is_hint: bool,
        now: Instant,
    ) {
        // What is known of the family holds for its addresses.
        let unknown = if self.routes.has(family) { Route::Unknown } else { Route::Unreachable };
        let candidate = |address: &SocketAddr, route| {
            let route = if let Route::Unknown = route { unknown } else { route };
            Candidate::new(self.policy, *address, route)
        };
        let (mut ranked, mut rest) = (Vec::<SocketAddr, DESTINATIONS>::new(), addresses);
        let best = match order {
            AddressOrder::Any(routes) => {
                let mut candidates = Vec::<Candidate, DESTINATIONS>::new();
                let mut ways = routes.iter().copied();
                // Those that there is no room for keep their order, behind the others.
                while let (false, Some((address, others))) = (candidates.is_full(), rest.split_first()) {
                    let route = ways.next().unwrap_or(Route::Unknown);
                    if Family::of(address) == family {
                        let _ = candidates.push(candidate(address, route));
                    }
                    rest = others;
                }
                sort(&mut candidates);
                for candidate in &candidates {
                    let _ = ranked.push(candidate.address());
                }
                candidates.first().map(Candidate::standing)
            }
            AddressOrder::Best(route) => {
                let first = addresses.iter().find(|address| Family::of(address) == family);
                first.map(|first| candidate(first, route).standing())
            }
        };
        self.compare(family, best);
        let all = pieces(&ranked, rest);
        if self.is_translating() {
            self.translation.keep(family, all);
            self.translate(Query::of(family), now);
        } else {
            self.race.handle_answer(family, all, is_hint, now);
        }
    }

    /// Rule 4, when the best address of `family` is known.
    fn compare(&mut self, family: Family, best: Option<AddressRank>) {
        let [v6, v4] = &mut self.best;
        match family {
            Family::V6 => *v6 = best,
            Family::V4 => *v4 = best,
        }
        if let (false, Some(v6), Some(v4)) = (self.prefers_v4, v6, v4) {
            self.race.prefer(if v4.compare(v6).is_lt() { Family::V4 } else { Family::V6 });
        }
    }

    /// Whether IPv4 addresses may be reached through a NAT64. A connect without room for that needs none of
    /// the code for it.
    fn is_translating(&self) -> bool {
        NAT64 > 0 && self.state(Query::Nat64Prefix) != QueryState::Unwanted
    }

    /// Rule 2: reports to the race what the change in `query` means for both families.
    fn translate(&mut self, query: Query, now: Instant) {
        let changed = self.translation.join();
        if changed || query == Query::Aaaa || self.is_literal {
            let is_hint = self.state(Query::Aaaa).is_open();
            self.race.handle_answer(Family::V6, self.translation.v6(), is_hint, now);
        }
        let a = self.state(Query::A);
        // Kept back while the prefix may still reach one of them, unless the race no longer waits for any.
        let kept_back = self.state(Query::Nat64Prefix).is_open()
            && (a.is_open() || self.translation.may_help())
            && self.race.is_open(Family::V4);
        if kept_back || self.is_literal || query == Query::Aaaa {
            return;
        }
        let as_they_are = self.translation.beyond_reach();
        // Where the race waits for no answer any more, this takes the place of what it has.
        let is_hint = a.is_open() && self.race.is_open(Family::V4);
        self.race.handle_answer(Family::V4, as_they_are, is_hint, now);
    }

    /// Rule 5.
    fn stop_waiting(&mut self, now: Instant) {
        for family in [Family::V4, Family::V6] {
            let may_help = self.routes.has(family) || (family == Family::V4 && self.may_translate());
            if !may_help && self.race.is_open(family) && self.race.is_answered(family.other()) {
                self.race.handle_input(race::Input::ResolutionFailed { family }, now);
            }
        }
    }

    /// Whether the network has a NAT64, or may have.
    fn may_translate(&self) -> bool {
        NAT64 > 0 && (self.state(Query::Nat64Prefix).is_open() || self.translation.has_prefix())
    }

    fn state(&self, query: Query) -> QueryState {
        let [aaaa, a, prefix] = self.queries;
        match query {
            Query::Aaaa => aaaa,
            Query::A => a,
            Query::Nat64Prefix => prefix,
        }
    }

    fn state_mut(&mut self, query: Query) -> &mut QueryState {
        let [aaaa, a, prefix] = &mut self.queries;
        match query {
            Query::Aaaa => aaaa,
            Query::A => a,
            Query::Nat64Prefix => prefix,
        }
    }
}

/// Addresses in two pieces. Without NAT64 every list goes to the race through this one type, so that firmware
/// has the code once.
fn pieces<'a>(
    first: &'a [SocketAddr],
    rest: &'a [SocketAddr],
) -> impl Iterator<Item = SocketAddr> + Clone + 'a {
    first.iter().chain(rest).copied()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::race::Families;

    const PREFIX: &str = "64:ff9b::192.0.0.170";

    /// A connect to `name.test` on a host with these routes by IPv4 and IPv6, whose queries are sent.
    struct Name(Connect<8, 2, 4, 4>);

    impl Name {
        fn new(config: &Config, v4: bool, v6: bool) -> Self {
            let facts = Facts { routes: Routes { v4, v6 }, ..Facts::default() };
            let mut connect = Connect::new("name.test", 80, config, &facts, Instant::ZERO).unwrap();
            while let ConnectOutput::SendQuery { .. } = connect.poll_output(Instant::ZERO) {}
            Name(connect)
        }

        /// The host is one of IPv6 alone.
        fn behind_nat64() -> Self {
            Self::new(&Config { hedge: false, ..Config::all_at_once() }, false, true)
        }

        fn answers<const N: usize>(&mut self, query: Query, addresses: [&str; N]) {
            let addresses = addresses.map(|ip| SocketAddr::new(ip.parse().unwrap(), 80));
            let answer =
                ConnectInput::Answered { query, addresses: &addresses, order: AddressOrder::Any(&[]) };
            self.0.handle_input(answer, Instant::ZERO);
        }

        fn hints(&mut self, family: Family, ip: &str) {
            let addresses = [SocketAddr::new(ip.parse().unwrap(), 80)];
            let hints = ConnectInput::Hinted { family, addresses: &addresses, order: AddressOrder::Any(&[]) };
            self.0.handle_input(hints, Instant::ZERO);
        }

        #[track_caller]
        fn starts(&mut self, ip: &str) {
            let output = self.0.poll_output(Instant::ZERO);
            let ConnectOutput::StartAttempt { destination, .. } = output else { panic!("{output:?}") };
            assert_eq!(destination, SocketAddr::new(ip.parse().unwrap(), 80));
        }

        #[track_caller]
        fn waits(&mut self) {
            assert_eq!(self.0.poll_output(Instant::ZERO), ConnectOutput::WaitForInput);
        }
    }

    /// A query is open from when it is sent until its answer or its failure, and is told in the error only
    /// after a failure.
    #[test]
    fn a_query_is_pending_until_it_ends() {
        let mut name = Name::new(&Config::all_at_once(), true, true);
        for query in [Query::Aaaa, Query::A] {
            assert!(name.0.is_pending(query) && !name.0.is_resolved(), "{query:?}");
            name.answers(query, []);
            assert!(!name.0.is_pending(query), "{query:?}");
        }
        assert!(name.0.is_resolved() && !name.0.is_pending(Query::Nat64Prefix));
        assert_eq!(name.0.failures("name.test").count(), 0);
    }

    #[test]
    fn what_was_not_asked_for_changes_nothing() {
        let families = Families::Only(Family::V6);
        let mut name = Name::new(&Config { families, ..Config::all_at_once() }, true, true);
        name.answers(Query::Nat64Prefix, [PREFIX]);
        name.answers(Query::A, ["192.0.2.1"]);
        for query in [Query::Nat64Prefix, Query::A] {
            name.0
                .handle_input(ConnectInput::QueryFailed { query, error: QueryError::Failed }, Instant::ZERO);
        }
        name.waits();
        assert!(!name.0.is_resolved());
        assert_eq!(name.0.failures("name.test").count(), 0);
        name.answers(Query::Aaaa, ["2001:db8::1"]);
        name.starts("2001:db8::1");
    }

    /// The race takes none, so that its first family must not hang on them.
    #[test]
    fn hints_of_a_family_that_is_not_waited_for_change_nothing() {
        let mut name = Name::new(&Config { hedge: false, ..Config::all_at_once() }, true, false);
        name.answers(Query::A, ["192.0.2.1"]);
        name.hints(Family::V6, "2001:db8::1");
        assert!(name.0.best[0].is_none());
        name.starts("192.0.2.1");
        name.waits();
    }

    #[test]
    fn an_ipv4_mapped_address_is_reached_through_the_nat64() {
        let mut name = Name::behind_nat64();
        name.answers(Query::A, ["::ffff:192.0.2.1"]);
        name.waits();
        name.answers(Query::Nat64Prefix, [PREFIX]);
        name.starts("64:ff9b::192.0.2.1");
        name.waits();
    }

    /// An adapter that can fail to send a query learns of all of them before there is a connect.
    #[test]
    fn a_start_tells_what_is_asked() {
        let (both, only_v6) = (Facts::default(), Routes { v4: false, v6: true });
        let only_v6 = Facts { routes: only_v6, ..both };
        let config = Config::all_at_once();
        let just_v4 = Config { families: Families::Only(Family::V4), ..config.clone() };
        for (host, config, facts, asked) in [
            ("name.test", &config, both, "AAAA, A"),
            ("name.test", &just_v4, both, "A"),
            ("name.test", &config, only_v6, "AAAA, A, prefix"),
            ("name.test", &just_v4, only_v6, "A"),
            ("192.0.2.1", &config, both, ""),
            ("192.0.2.1", &config, only_v6, "prefix"),
            ("127.0.0.1", &config, only_v6, ""),
            ("2001:db8::1", &config, only_v6, ""),
            ("localhost", &config, only_v6, ""),
            ("x.invalid", &config, only_v6, ""),
        ] {
            let start = Start::new(host, 80, &facts).unwrap();
            let called = [(Query::Aaaa, "AAAA"), (Query::A, "A"), (Query::Nat64Prefix, "prefix")];
            let told = called.into_iter().filter(|(query, _)| start.asks(*query, config, &facts, true));
            assert_eq!(told.map(|(_, name)| name).collect::<std::vec::Vec<_>>().join(", "), asked, "{host}");
            assert!(!start.asks(Query::Nat64Prefix, config, &facts, false), "{host}");
            let connect = Connect::<8, 2, 4, 4>::begin(start, config, &facts, Instant::ZERO);
            for (query, name) in called {
                let is_asked = asked.split(", ").any(|each| each == name);
                assert_eq!(connect.state(query) == QueryState::ToSend, is_asked, "{host}: {name}");
            }
        }
    }

    /// Law 10: no prefix reaches an address of this host.
    #[test]
    fn no_prefix_is_waited_for_where_it_reaches_no_address() {
        for near in ["127.0.0.1", "169.254.0.1", "0.0.0.1", "255.255.255.255"] {
            let mut name = Name::behind_nat64();
            name.answers(Query::Aaaa, []);
            name.answers(Query::A, [near]);
            name.starts(near);
        }
        let mut name = Name::behind_nat64();
        name.answers(Query::A, ["127.0.0.1", "192.0.2.1"]);
        name.waits();
    }

    #[test]
    fn what_nobody_has_asked_for_is_no_answer() {
        for host in ["name.invalid", "name.onion", "localhost", "192.0.2.1"] {
            let facts = Facts::default();
            let connect = Connect::new(host, 80, &Config::all_at_once(), &facts, Instant::ZERO).unwrap();
            let mut name = Name(connect);
            name.answers(Query::A, ["192.0.2.7"]);
            name.answers(Query::Aaaa, ["2001:db8::7"]);
            while !name.0.poll_output(Instant::ZERO).ends_drain() {}
            let told = [([192, 0, 2, 7], 80).into(), ([0x2001, 0xdb8, 0, 0, 0, 0, 0, 7], 80).into()];
            let mut known = name.0.timeline().destinations();
            assert!(known.all(|known| !told.contains(&known.address())), "{host}");
        }
    }

    /// By then nothing waits for IPv4, and what is reached through the NAT64 is not tried as it is.
    #[test]
    fn a_second_answer_for_the_prefix_takes_hints_along() {
        let mut name = Name(
            Connect::new(
                "name.test",
                80,
                &Config { hedge: false, max_in_flight: 1, ..Config::all_at_once() },
                &Facts { routes: Routes { v4: false, v6: true }, ..Facts::default() },
                Instant::ZERO,
            )
            .unwrap(),
        );
        while let ConnectOutput::SendQuery { .. } = name.0.poll_output(Instant::ZERO) {}
        name.hints(Family::V4, "192.0.2.1");
        name.answers(Query::Nat64Prefix, []);
        name.answers(Query::Aaaa, ["2001:db8::1"]);
        name.answers(Query::Nat64Prefix, [PREFIX]);
        let ConnectOutput::StartAttempt { id, .. } = name.0.poll_output(Instant::ZERO) else { panic!() };
        let refused = ConnectInput::AttemptFailed { id, error: race::AttemptErrorKind::Refused.into() };
        name.0.handle_input(refused, Instant::ZERO);
        name.starts("64:ff9b::192.0.2.1");
    }

    /// The first answer has ended the wait for IPv4: what is kept back now might never be tried.
    #[test]
    fn addresses_of_a_second_answer_are_not_kept_back() {
        let mut name = Name::behind_nat64();
        name.answers(Query::A, []);
        name.answers(Query::A, ["192.0.2.1"]);
        name.starts("192.0.2.1");
        name.answers(Query::Nat64Prefix, [PREFIX]);
        name.starts("64:ff9b::192.0.2.1");
    }
}
