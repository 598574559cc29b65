//! The search list of resolv.conf(5): one look-up after the other until a name has an address.

use std::collections::VecDeque;

use connie_core::resolution::QueryError;
use connie_core::{Families, Instant};

use super::Dns;
use super::lookup::DnsLookup;
use super::name::Name;
use super::pursuit::Context;
use crate::resolve::{Event, Lookup, Watch};

/// How many names are tried for one host.
const MOST_CANDIDATES: usize = 32;

/// The names to try for `host`, in their order. One with a final dot is absolute; one with at least `ndots` dots is tried as it is first,
/// another last.
pub(super) fn candidates(host: &str, search: &[String], ndots: u8) -> Vec<Name> {
    let as_it_is = Name::parse(host);
    if host.ends_with('.') {
        return as_it_is.into_iter().collect();
    }
    let dots = host.bytes().filter(|byte| *byte == b'.').count();
    let below = search.iter().filter_map(|domain| Name::parse(&format!("{host}.{domain}")));
    let mut names: Vec<Name> = below.take(MOST_CANDIDATES).collect();
    let place = if dots >= usize::from(ndots) { 0 } else { names.len() };
    if let Some(name) = as_it_is {
        names.insert(place, name);
    }
    names
}

/// How each name is looked up.
pub(super) struct Plan {
    pub(super) dns: Dns,
    pub(super) port: u16,
    pub(super) families: Families,
    pub(super) context: Context,
}

impl Plan {
    fn begin(&self, name: &Name, now: Instant) -> DnsLookup {
        let Plan { dns, port, families, context } = self;
        DnsLookup::new(name, *port, *families, dns.service(name, *port), context.clone(), now)
    }

    /// How many families are asked for.
    fn count(&self) -> usize {
        if self.families == Families::Both { 2 } else { 1 }
    }
}

/// A look-up of several names, of which the first that has an address counts.
///
/// What a name lacks is told no sooner than it is known whether that name counts, which is when one of its families has an address.
pub(super) struct Search {
    lookup: DnsLookup,
    rest: VecDeque<Name>,
    plan: Plan,
    /// What the current name's look-up has told.
    held: VecDeque<Event>,
    /// What there was to tell of a name that exists, and has no address.
    exists: Option<VecDeque<Event>>,
    /// Whether everything is passed on.
    decided: bool,
}

impl Search {
    /// Begins with the first of `names`. `None` where there is none.
    pub(super) fn new(names: Vec<Name>, plan: Plan, now: Instant) -> Option<Self> {
        let mut rest = VecDeque::from(names);
        let lookup = plan.begin(&rest.pop_front()?, now);
        let decided = rest.is_empty();
        Some(Search { lookup, rest, plan, held: VecDeque::new(), exists: None, decided })
    }

    /// Takes what the current look-up has told, and goes on to the next name where this one has no address.
    fn take(&mut self, event: Event, now: Instant) {
        self.decided |= match &event {
            Event::Answered(answer) | Event::Hinted(answer) => !answer.addresses.is_empty(),
            // Who does not answer now will not do so for the next name either.
            Event::Failed { error, .. } => {
                matches!(error.kind, QueryError::TimedOut | QueryError::Unreachable)
            }
            Event::Service(_) => false,
        };
        self.held.push_back(event);
        let ends = |event: &&Event| matches!(event, Event::Answered(_) | Event::Failed { .. });
        if self.decided || self.held.iter().filter(ends).count() < self.plan.count() {
            return;
        }
        let exists = self.held.iter().any(|event| matches!(event, Event::Answered(_)));
        match self.rest.pop_front() {
            Some(next) => {
                let held = std::mem::take(&mut self.held);
                self.exists = self.exists.take().or(exists.then_some(held));
                self.lookup = self.plan.begin(&next, now);
            }
            None => {
                self.held = self.exists.take().unwrap_or_else(|| std::mem::take(&mut self.held));
                self.decided = true;
            }
        }
    }
}

impl Lookup for Search {
    fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        self.lookup.watch(watch);
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        loop {
            if self.decided && !self.held.is_empty() {
                return self.held.pop_front();
            }
            let event = self.lookup.poll(now)?;
            if self.decided {
                return Some(event);
            }
            self.take(event, now);
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.lookup.wake_at()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tries(host: &str, ndots: u8, expected: &[&str]) {
        let search = ["corp.test".to_owned(), "lab.test.".to_owned(), "not..a.name".to_owned()];
        let names: Vec<_> = candidates(host, &search, ndots).iter().map(ToString::to_string).collect();
        assert_eq!(names, expected, "{host} with ndots {ndots}");
    }

    #[test]
    fn names_in_their_order() {
        tries("a", 1, &["a.corp.test", "a.lab.test", "a"]);
        tries("a.b", 1, &["a.b", "a.b.corp.test", "a.b.lab.test"]);
        tries("a.b", 5, &["a.b.corp.test", "a.b.lab.test", "a.b"]);
        tries("a.", 5, &["a"]);
        tries("a", 0, &["a", "a.corp.test", "a.lab.test"]);
        tries("a..b", 1, &[]);
        let long = ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(60)].join(".");
        tries(&long, 1, &[&long]);
    }
}
