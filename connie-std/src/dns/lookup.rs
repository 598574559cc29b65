//! One look-up: the questions about a name that are asked side by side, and what they add up to.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Families, Family, Instant};

use super::addresses::{Addresses, Known, add};
use super::name::Name;
use super::pursuit::{Context, Pursuit};
use super::services::Services;
use crate::resolve::{Answer, Event, Lookup, Watch};

/// How long the answer of a family stays open for what a service record may add. The race goes on meanwhile with what is known; it only
/// does not fail, when all of that has failed, before it has seen where else the service is.
const SERVICE_WAIT: Duration = Duration::from_secs(1);

/// A look-up by DNS.
pub(super) struct DnsLookup {
    context: Context,
    port: u16,
    addresses: Addresses,
    services: Option<Services>,
    told: [Told; 2],
    /// Until when answers stay open for the service records.
    waits_until: Option<Instant>,
    events: VecDeque<Event>,
}

/// What the caller was told of one family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
enum Told {
    #[default]
    Nothing,
    Hints(Vec<SocketAddr>),
    /// Its answer; none after a failure.
    Answer(Vec<SocketAddr>),
}

impl DnsLookup {
    /// Begins to ask for `families` of `name`, and for the service records of `service` where there is such a name.
    pub(super) fn new(
        name: &Name,
        port: u16,
        families: Families,
        service: Option<Name>,
        context: Context,
        now: Instant,
    ) -> Self {
        let addresses = Addresses::new(name, families, &context, now);
        let services = service.map(|service| Services::new(service, port, families, &context, now));
        let told = [Told::default(), Told::default()];
        let mut lookup = DnsLookup {
            context,
            port,
            addresses,
            services,
            told,
            waits_until: None,
            events: VecDeque::new(),
        };
        // The first queries leave now, and what the cache has is told by the first poll.
        lookup.go_on(now);
        lookup
    }

    fn go_on(&mut self, now: Instant) {
        self.addresses.poll(&self.context, now);
        if let Some(services) = &mut self.services {
            services.poll(&self.addresses, &self.context, now);
            self.events.extend(services.take_events());
        }
        for index in 0..self.told.len() {
            self.tell(index, now);
        }
    }

    /// Tells what is new of one family.
    fn tell(&mut self, index: usize, now: Instant) {
        let (family, pursuit) = &self.addresses.by_family[index];
        if pursuit.is_none() {
            return;
        }
        let family = *family;
        let (mut list, mut ttl) = (Vec::new(), None);
        if let Some(services) = &self.services {
            services.destinations(family, &self.addresses, &mut list);
        }
        let error = match self.addresses.known(family) {
            Known::Pending => return self.hint(index, list),
            Known::Failed(error) => Some(error.clone()),
            Known::Answered(addresses, seconds) => {
                for ip in addresses {
                    add(&mut list, SocketAddr::new(*ip, self.port));
                }
                ttl = seconds.map(|seconds| Duration::from_secs(seconds.into()));
                None
            }
        };
        // A name that does not exist has no records of any kind (RFC 8020 section 2).
        let exists = error.as_ref().is_none_or(|error| error.kind != QueryError::NoSuchName);
        if exists && self.waits(index, list.is_empty(), now) {
            return self.hint(index, list);
        }
        let told = Told::Answer(list.clone());
        if self.told[index] == told {
            return;
        }
        self.told[index] = told;
        self.events.push_back(match error {
            Some(error) if list.is_empty() => Event::Failed { family, error },
            _ => Event::Answered(answer(family, list, ttl)),
        });
    }

    /// Tells addresses to go on with, where there are new ones: the race starts on them and does not end for want of others.
    fn hint(&mut self, index: usize, list: Vec<SocketAddr>) {
        let family = self.addresses.by_family[index].0;
        let hints = Told::Hints(list.clone());
        if !list.is_empty() && self.told[index] != hints && !matches!(self.told[index], Told::Answer(_)) {
            self.told[index] = hints;
            self.events.push_back(Event::Hinted(answer(family, list, None)));
        }
    }

    /// Whether a family's answer stays open, since a service record may still lead to more: where it has addresses, or where it is the
    /// last that the race waits for and no other has any.
    fn waits(&mut self, index: usize, is_empty: bool, now: Instant) -> bool {
        let last = self.told.iter().enumerate().all(|(other, told)| {
            let asked = self.addresses.by_family[other].1.is_some();
            other == index || !asked || *told == Told::Answer(Vec::new())
        });
        let answered = matches!(&self.told[index], Told::Answer(_));
        let pending = self.services.as_ref().is_some_and(Services::is_pending);
        if answered || !pending || (is_empty && !last) {
            return false;
        }
        now < *self.waits_until.get_or_insert(now + SERVICE_WAIT)
    }

    fn pursuits(&self) -> impl Iterator<Item = &Pursuit> {
        self.addresses.pursuits().chain(self.services.iter().flat_map(Services::pursuits))
    }
}

impl Lookup for DnsLookup {
    fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        for pursuit in self.pursuits() {
            pursuit.watch(watch);
        }
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        if self.events.is_empty() {
            self.go_on(now);
        }
        self.events.pop_front()
    }

    fn wake_at(&self) -> Option<Instant> {
        let waits = self.waits_until.filter(|_| self.services.as_ref().is_some_and(Services::is_pending));
        let held = self.told.iter().zip(&self.addresses.by_family).any(|(told, (_, pursuit))| {
            pursuit.as_ref().is_some_and(|pursuit| pursuit.end().is_some())
                && !matches!(told, Told::Answer(_))
        });
        let waits = waits.filter(|_| held);
        self.pursuits().filter_map(Pursuit::wake_at).chain(waits).min()
    }
}

fn answer(family: Family, addresses: Vec<SocketAddr>, ttl: Option<Duration>) -> Answer {
    Answer { family, addresses, ttl, ordered: false }
}
