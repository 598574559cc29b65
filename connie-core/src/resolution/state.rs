//! The state of one name's resolution.

use core::net::SocketAddr;

use heapless::Vec;

use super::nat64::Prefix;
use super::query::{Query, QueryError, QueryFailure};
use crate::race::{Families, Family, Input};

/// What a resolution has to tell the race, in this order: two inputs at most.
#[derive(Clone, Debug, Default)]
#[must_use = "the race waits for what it is not told"]
pub struct Inputs<'a> {
    first: Option<Input<'a>>,
    second: Option<Input<'a>>,
}

impl<'a> Iterator for Inputs<'a> {
    type Item = Input<'a>;

    fn next(&mut self) -> Option<Input<'a>> {
        self.first.take().or_else(|| self.second.take())
    }
}

impl<'a> From<Input<'a>> for Inputs<'a> {
    fn from(input: Input<'a>) -> Self {
        Inputs { first: Some(input), second: None }
    }
}

impl<'a> From<[Input<'a>; 2]> for Inputs<'a> {
    fn from([first, second]: [Input<'a>; 2]) -> Self {
        Inputs { first: Some(first), second: Some(second) }
    }
}

/// The resolution of one name: which queries to send, and what their answers mean to the race.
///
/// AAAA goes first, then A, neither waits for the other (RFC 8305 section 3), and each answer is told to the race when it comes.
/// A resolution ends when each query has its answer or its failure, in any order; only then may the race fail for want of
/// addresses. What was [failed](Resolution::failed) is kept for the [error](Resolution::failures).
///
/// With [`with_nat64`](Resolution::with_nat64), for a host that has no IPv4 route, IPv4 addresses are also reached through the
/// network's NAT64 (RFC 8305 section 7), whose prefix is a third query. `NAT64` is for how many addresses of each family there is
/// room then; a resolution without takes none.
///
/// ```
/// use connie_core::resolution::{Query, Resolution};
/// use connie_core::{Config, Families, Instant, Output, Race};
///
/// let mut race = Race::<16, 4>::new(&Config::all_at_once(), Instant::ZERO);
/// let mut resolution: Resolution = Resolution::new(Families::Both);
/// assert_eq!(resolution.next_query(), Some(Query::Aaaa));
/// assert_eq!(resolution.next_query(), Some(Query::A));
/// assert_eq!(resolution.next_query(), None);
///
/// // The A answer comes first, and the race starts.
/// let now = Instant::from_millis(10);
/// for input in resolution.answered(Query::A, &["192.0.2.1:80".parse().unwrap()]) {
///     race.handle_input(input, now);
/// }
/// assert!(matches!(race.poll_output(now), Output::StartAttempt { .. }));
/// ```
#[derive(Clone, Debug)]
pub struct Resolution<const NAT64: usize = 0> {
    aaaa: State,
    a: State,
    prefix: State,
    /// Found; `None` before, and where there is none.
    found: Option<Prefix>,
    /// Kept with NAT64 only: the A answer, and the AAAA answer, to which what is synthesized is added.
    v4: Vec<SocketAddr, NAT64>,
    v6: Vec<SocketAddr, NAT64>,
    /// How many of `v6` are the AAAA answer's.
    own: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked for.
    Unwanted,
    ToSend,
    Pending,
    Answered,
    Failed(QueryError),
}

impl State {
    fn is_open(self) -> bool {
        matches!(self, State::ToSend | State::Pending)
    }
}

impl<const NAT64: usize> Resolution<NAT64> {
    /// A resolution for `families`, of which nothing was sent.
    #[must_use]
    pub fn new(families: Families) -> Self {
        let wanted = |family| if families.allow(family) { State::ToSend } else { State::Unwanted };
        Resolution {
            aaaa: wanted(Family::V6),
            a: wanted(Family::V4),
            prefix: State::Unwanted,
            found: None,
            v4: Vec::new(),
            v6: Vec::new(),
            own: 0,
        }
    }

    /// A resolution for both families on a host that has no IPv4 route. Without room for addresses it does not compile.
    #[must_use]
    pub fn with_nat64() -> Self {
        const {
            assert!(
                NAT64 >= 1,
                "a resolution with NAT64 needs room for addresses: Resolution::<16>::with_nat64()"
            )
        }
        Resolution { prefix: State::ToSend, ..Self::new(Families::Both) }
    }

    /// The next query to send now; `None` when all were. One that has its answer already, since the host is a literal, is not
    /// sent.
    pub fn next_query(&mut self) -> Option<Query> {
        let query = Query::ALL.into_iter().find(|query| *self.state(*query) == State::ToSend)?;
        *self.state(query) = State::Pending;
        Some(query)
    }

    /// Takes in an answer: addresses with the port to connect to, best first; none where the name has none. Tells what the race
    /// is to be told.
    ///
    /// A later answer takes the place of an earlier one. One to a query that is not wanted tells nothing.
    pub fn answered<'a>(&'a mut self, query: Query, addresses: &'a [SocketAddr]) -> Inputs<'a> {
        if !self.ends(query, State::Answered) {
            return Inputs::default();
        }
        if self.prefix == State::Unwanted {
            return match query {
                Query::Aaaa => Input::Resolved { family: Family::V6, addresses }.into(),
                Query::A => Input::Resolved { family: Family::V4, addresses }.into(),
                Query::Nat64Prefix => Inputs::default(),
            };
        }
        match query {
            Query::Aaaa => {
                self.v6 = kept(addresses, Family::V6);
                self.own = self.v6.len();
            }
            Query::A => self.v4 = kept(addresses, Family::V4),
            Query::Nat64Prefix => self.found = discover(addresses),
        }
        self.through_nat64(query)
    }

    /// Takes note that a query failed. Tells what the race is to be told.
    ///
    /// A failure after an answer changes nothing: what was answered stays.
    pub fn failed(&mut self, query: Query, error: QueryError) -> Inputs<'_> {
        if *self.state(query) == State::Answered || !self.ends(query, State::Failed(error)) {
            return Inputs::default();
        }
        match query {
            Query::Aaaa => Input::ResolutionFailed { family: Family::V6 }.into(),
            Query::A => Input::ResolutionFailed { family: Family::V4 }.into(),
            Query::Nat64Prefix => self.through_nat64(query),
        }
    }

    /// Whether each query that is wanted has its answer or its failure.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        !(self.aaaa.is_open() || self.a.is_open() || self.prefix.is_open())
    }

    /// Whether `query` is sent and has no answer.
    #[must_use]
    pub fn is_pending(&self, query: Query) -> bool {
        let state = match query {
            Query::Aaaa => self.aaaa,
            Query::A => self.a,
            Query::Nat64Prefix => self.prefix,
        };
        state == State::Pending
    }

    /// The queries for addresses of `host` that failed, AAAA first.
    pub fn failures<'h>(&self, host: &'h str) -> impl Iterator<Item = QueryFailure<'h>> + use<'h, NAT64> {
        let states = [(Query::Aaaa, self.aaaa), (Query::A, self.a)];
        states.into_iter().filter_map(move |(query, state)| match state {
            State::Failed(error) => Some(QueryFailure { host, query, error }),
            _ => None,
        })
    }

    /// Takes note of how `query` has ended, and answers whether it is wanted at all.
    fn ends(&mut self, query: Query, how: State) -> bool {
        let state = self.state(query);
        let wanted = *state != State::Unwanted;
        if wanted {
            *state = how;
        }
        wanted
    }

    fn state(&mut self, query: Query) -> &mut State {
        match query {
            Query::Aaaa => &mut self.aaaa,
            Query::A => &mut self.a,
            Query::Nat64Prefix => &mut self.prefix,
        }
    }

    /// What `query`'s answer, or the prefix's failure, means where NAT64 is wanted.
    ///
    /// IPv4 addresses are kept back until the prefix is known. With one, they join the AAAA answer under it, behind the
    /// addresses that the name has of its own; before that answer they serve as hints. Without one, they are told as they are:
    /// each will fail, and say why.
    fn through_nat64(&mut self, query: Query) -> Inputs<'_> {
        let (v4, v6) = (Family::V4, Family::V6);
        let known = self.a == State::Answered && !self.prefix.is_open();
        let joins =
            known && self.found.is_some_and(|prefix| self.v4.iter().any(|it| under(prefix, it).is_some()));
        // What an earlier answer has added goes.
        let joined = self.v6.len() > self.own;
        self.v6.truncate(self.own);
        if let (true, Some(prefix)) = (joins, self.found) {
            for address in self.v4.iter().filter_map(|address| under(prefix, address)) {
                if !self.v6.contains(&address) {
                    // Where there is no room, the name has had more addresses of its own than this keeps.
                    let _ = self.v6.push(address);
                }
            }
        }
        let ours = match self.aaaa {
            State::Answered | State::Failed(_) => Input::Resolved { family: v6, addresses: &self.v6 },
            _ => Input::Hinted { family: v6, addresses: &self.v6 },
        };
        match query {
            Query::Aaaa => ours.into(),
            _ if joins => [ours, Input::Resolved { family: v4, addresses: &[] }].into(),
            _ if known && joined => [ours, Input::Resolved { family: v4, addresses: &self.v4 }].into(),
            _ if known => Input::Resolved { family: v4, addresses: &self.v4 }.into(),
            _ => Inputs::default(),
        }
    }
}

/// The addresses of `family`, as many as there is room for. Not by `collect`, which panics where there are more.
fn kept<const N: usize>(addresses: &[SocketAddr], family: Family) -> Vec<SocketAddr, N> {
    let mut list = Vec::new();
    for address in addresses.iter().filter(|address| Family::of(address) == family) {
        if list.push(*address).is_err() {
            break;
        }
    }
    list
}

/// `address` as the translator of `prefix` knows it; `None` where that does not reach it.
fn under(prefix: Prefix, address: &SocketAddr) -> Option<SocketAddr> {
    match address {
        SocketAddr::V4(v4) if prefix.reaches(*v4.ip()) => {
            Some(SocketAddr::new(prefix.synthesize(*v4.ip()).into(), v4.port()))
        }
        _ => None,
    }
}

/// The first prefix that the answer tells.
fn discover(addresses: &[SocketAddr]) -> Option<Prefix> {
    addresses.iter().find_map(|address| match address {
        SocketAddr::V6(address) => Prefix::discover(*address.ip()),
        SocketAddr::V4(_) => None,
    })
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::String;
    use std::vec;

    use super::*;

    fn list(text: &str) -> vec::Vec<SocketAddr> {
        text.split_whitespace().map(|ip| SocketAddr::new(ip.parse().unwrap(), 80)).collect()
    }

    /// `6 ? 2001:db8::1` for a hint, `6 = 2001:db8::1` for an answer, `6 !` for a failure.
    fn told(inputs: Inputs<'_>) -> String {
        use core::fmt::Write;
        let mut told = String::new();
        for input in inputs {
            let (family, sign, addresses) = match input {
                Input::Resolved { family, addresses } => (family, "=", addresses),
                Input::Hinted { family, addresses } => (family, "?", addresses),
                Input::ResolutionFailed { family } => (family, "!", [].as_slice()),
                other => panic!("{other:?}"),
            };
            let digit = if family == Family::V4 { '4' } else { '6' };
            write!(told, "{}{digit}{sign}", if told.is_empty() { "" } else { " | " }).unwrap();
            for address in addresses {
                write!(told, " {}", address.ip()).unwrap();
            }
        }
        told
    }

    fn sent<const N: usize>(resolution: &mut Resolution<N>) -> vec::Vec<Query> {
        std::iter::from_fn(|| resolution.next_query()).collect()
    }

    #[test]
    fn only_the_families_that_may_be_used_are_asked_for() {
        use Query::{A, Aaaa, Nat64Prefix};
        assert_eq!(sent(&mut Resolution::<0>::new(Families::Both)), [Aaaa, A]);
        assert_eq!(sent(&mut Resolution::<0>::new(Families::Only(Family::V4))), [A]);
        assert_eq!(sent(&mut Resolution::<0>::new(Families::Only(Family::V6))), [Aaaa]);
        assert_eq!(sent(&mut Resolution::<4>::with_nat64()), [Aaaa, A, Nat64Prefix]);
    }

    #[test]
    fn it_ends_with_the_last_answer_in_whatever_order() {
        let mut resolution: Resolution = Resolution::new(Families::Both);
        assert!(!resolution.is_complete());
        sent(&mut resolution);
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.1"))), "4= 192.0.2.1");
        assert!(!resolution.is_complete() && resolution.is_pending(Query::Aaaa));
        assert!(!resolution.is_pending(Query::A), "it has its answer");
        assert!(!resolution.is_pending(Query::Nat64Prefix), "it was never sent");
        assert_eq!(told(resolution.failed(Query::Aaaa, QueryError::ServerFailure)), "6!");
        assert!(resolution.is_complete());
        let failures: vec::Vec<_> =
            resolution.failures("x.test").map(|failure| std::format!("{failure}")).collect();
        assert_eq!(failures, ["AAAA query for x.test failed: the name server could not answer (SERVFAIL)"]);
    }

    #[test]
    fn with_nat64_ipv4_addresses_wait_for_the_prefix() {
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.33"))), "");
        let prefix = list("64:ff9b::192.0.0.170 64:ff9b::192.0.0.171");
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &prefix)), "6? 64:ff9b::c000:221 | 4=");
        assert!(!resolution.is_complete());
        assert_eq!(
            told(resolution.answered(Query::Aaaa, &list("2001:db8::1"))),
            "6= 2001:db8::1 64:ff9b::c000:221"
        );
    }

    #[test]
    fn with_nat64_an_a_only_name_is_reached_when_its_last_answer_is_there() {
        let prefix = list("64:ff9b::192.0.0.171");
        let a = list("192.0.2.33");
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &prefix)), "");
        assert_eq!(told(resolution.answered(Query::Aaaa, &[])), "6=");
        assert_eq!(told(resolution.answered(Query::A, &a)), "6= 64:ff9b::c000:221 | 4=");
        // The same where the AAAA query fails, before that and after it.
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.failed(Query::Aaaa, QueryError::TimedOut)), "6!");
        assert_eq!(told(resolution.answered(Query::A, &a)), "");
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &prefix)), "6= 64:ff9b::c000:221 | 4=");
        let mut resolution = Resolution::<4>::with_nat64();
        let _ = resolution.answered(Query::A, &a);
        let _ = resolution.answered(Query::Nat64Prefix, &prefix);
        assert_eq!(told(resolution.failed(Query::Aaaa, QueryError::TimedOut)), "6!", "hints stay");
    }

    #[test]
    fn without_a_prefix_ipv4_addresses_fail_as_what_they_are() {
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.1"))), "");
        assert_eq!(told(resolution.answered(Query::Aaaa, &[])), "6=");
        assert_eq!(told(resolution.failed(Query::Nat64Prefix, QueryError::NoSuchName)), "4= 192.0.2.1");
        assert!(resolution.is_complete());
        assert_eq!(resolution.failures("x").count(), 0, "the name's own queries have not failed");
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &list("2001:db8::1"))), "");
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.1"))), "4= 192.0.2.1");
    }

    #[test]
    fn a_private_address_is_not_reached_through_the_well_known_prefix() {
        let mut resolution = Resolution::<4>::with_nat64();
        let _ = resolution.answered(Query::Nat64Prefix, &list("64:ff9b::192.0.0.170"));
        assert_eq!(told(resolution.answered(Query::A, &list("10.0.0.1"))), "4= 10.0.0.1");
    }

    #[test]
    fn what_was_not_asked_for_changes_nothing() {
        let mut resolution: Resolution = Resolution::new(Families::Only(Family::V6));
        let prefix = list("64:ff9b::192.0.0.170");
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &prefix)), "");
        assert_eq!(told(resolution.failed(Query::Nat64Prefix, QueryError::Failed)), "");
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.1"))), "");
        assert_eq!(told(resolution.failed(Query::A, QueryError::Failed)), "");
        assert_eq!(resolution.failures("x").count(), 0);
        assert_eq!(told(resolution.answered(Query::Aaaa, &list("2001:db8::1"))), "6= 2001:db8::1");
    }

    #[test]
    fn a_later_a_answer_takes_the_place_of_what_the_earlier_one_became() {
        let mut resolution = Resolution::<4>::with_nat64();
        let _ = resolution.answered(Query::Nat64Prefix, &list("64:ff9b::192.0.0.170"));
        let _ = resolution.answered(Query::Aaaa, &list("2001:db8::1"));
        let both = "6= 2001:db8::1 64:ff9b::c000:221 | 4=";
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.33"))), both);
        let other = "6= 2001:db8::1 64:ff9b::c000:222 | 4=";
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.34"))), other);
        assert_eq!(told(resolution.answered(Query::Aaaa, &[])), "6= 64:ff9b::c000:222");
        assert_eq!(told(resolution.answered(Query::A, &list("10.0.0.1"))), "6= | 4= 10.0.0.1");
        assert_eq!(told(resolution.answered(Query::A, &list("10.0.0.1"))), "4= 10.0.0.1");
    }

    #[test]
    fn a_failure_after_an_answer_takes_nothing_back() {
        let mut resolution = Resolution::<4>::with_nat64();
        let _ = resolution.answered(Query::Nat64Prefix, &list("64:ff9b::192.0.0.170"));
        let _ = resolution.answered(Query::A, &list("192.0.2.33"));
        let _ = resolution.answered(Query::Aaaa, &list("2001:db8::1"));
        for query in Query::ALL {
            assert_eq!(told(resolution.failed(query, QueryError::TimedOut)), "");
        }
        assert!(resolution.is_complete());
        assert_eq!(resolution.failures("x").count(), 0, "each has its answer");
        // The prefix, the A answer and the AAAA answer are all there still.
        let both = "6= 2001:db8::1 64:ff9b::c000:222 | 4=";
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.34"))), both);
        assert_eq!(told(resolution.answered(Query::Aaaa, &[])), "6= 64:ff9b::c000:222");
    }

    #[test]
    fn a_literal_on_a_network_without_ipv4_asks_for_the_prefix_alone() {
        let mut resolution = Resolution::<4>::with_nat64();
        assert_eq!(told(resolution.answered(Query::Aaaa, &[])), "6=");
        assert_eq!(told(resolution.answered(Query::A, &list("192.0.2.33"))), "");
        assert_eq!(sent(&mut resolution), [Query::Nat64Prefix]);
        let prefix = list("64:ff9b::192.0.0.170");
        assert_eq!(told(resolution.answered(Query::Nat64Prefix, &prefix)), "6= 64:ff9b::c000:221 | 4=");
    }
}
