//! One lookup: the questions about a name that are asked side by side, and one name after the other where
//! there is a search list.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Families, Family, Instant};
use connie_dns::Name;

use super::Dns;
use super::family_answers::{FamilyAnswers, FamilyFinding};
use super::followed_services::FollowedServices;
use super::lookup_questions::LookupQuestions;
use super::name_addresses::{FamilyResult, NameAddresses, add};
use crate::resolve::{PendingLookup, ResolveEvent, WatchSet};

/// How each name is looked up.
pub(super) struct LookupPlan {
    pub(super) dns: Dns,
    pub(super) port: u16,
    pub(super) families: Families,
}

/// A lookup by DNS: it asks, and [`FamilyAnswers`] decides what is reported.
pub(super) struct DnsLookup {
    plan: LookupPlan,
    questions: LookupQuestions,
    asking: NameQuestions,
    /// The names that come after the one that is tried.
    rest: VecDeque<Name>,
    answers: FamilyAnswers,
}

/// The questions about one name.
struct NameQuestions {
    addresses: NameAddresses,
    services: Option<FollowedServices>,
}

impl LookupPlan {
    /// Begins to ask for the addresses of `name`, and for its service records where these are wanted.
    fn ask(&self, name: &Name, questions: &mut LookupQuestions, now: Instant) -> NameQuestions {
        let LookupPlan { dns, port, families } = self;
        NameQuestions {
            addresses: NameAddresses::new(name, *families, questions, now),
            services: dns
                .service(name, *port)
                .map(|service| FollowedServices::new(service, *port, *families, questions, now)),
        }
    }
}

impl DnsLookup {
    /// Begins with the first of `names`. `None` where there is none.
    pub(super) fn new(
        names: Vec<Name>,
        plan: LookupPlan,
        mut questions: LookupQuestions,
        now: Instant,
    ) -> Option<Self> {
        let mut rest = VecDeque::from(names);
        let asking = plan.ask(&rest.pop_front()?, &mut questions, now);
        let answers = FamilyAnswers::new(plan.families, rest.is_empty());
        let mut lookup = DnsLookup { plan, questions, asking, rest, answers };
        // The first queries leave now, and what the cache has is reported by the first poll.
        lookup.go_on(now);
        Some(lookup)
    }

    /// Goes on as far as possible without waiting.
    fn go_on(&mut self, now: Instant) {
        let DnsLookup { plan, questions, asking: NameQuestions { addresses, services }, answers, .. } = self;
        questions.poll(now);
        if let Some(services) = services {
            services.poll(addresses, questions, now);
            services.take_events().for_each(|event| answers.record(event));
        }
        let records = services.as_ref().is_some_and(|services| services.is_pending(questions));
        for family in [Family::V6, Family::V4].into_iter().filter(|family| plan.families.allow(*family)) {
            let finding = find(family, plan.port, addresses, services.as_ref(), questions);
            answers.update(family, finding, records, now);
        }
    }
}

/// What is known of a family: the destinations of the service records before the name's own.
fn find<'d>(
    family: Family,
    port: u16,
    addresses: &NameAddresses,
    services: Option<&FollowedServices>,
    questions: &'d LookupQuestions,
) -> FamilyFinding<'d> {
    let mut destinations = Vec::new();
    if let Some(services) = services {
        services.destinations(family, addresses, questions, &mut destinations);
    }
    let end = match addresses.known(family, questions) {
        FamilyResult::Pending => None,
        FamilyResult::Failed(error) => Some(Err(error)),
        FamilyResult::Answered(addresses, ttl) => {
            addresses.iter().for_each(|ip| add(&mut destinations, SocketAddr::new(*ip, port)));
            Some(Ok(ttl.map(|seconds| Duration::from_secs(seconds.into()))))
        }
    };
    FamilyFinding { destinations, end }
}

impl PendingLookup for DnsLookup {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        self.questions.watch(watch);
    }

    fn poll(&mut self, now: Instant) -> Option<ResolveEvent> {
        // Each turn has something to report, waits, or goes on to the next name.
        loop {
            if let Some(event) = self.answers.next_event() {
                return Some(event);
            }
            self.go_on(now);
            if !self.answers.is_without_address() {
                return self.answers.next_event();
            }
            match self.rest.pop_front() {
                Some(name) => {
                    self.answers.try_next();
                    self.questions.clear();
                    self.asking = self.plan.ask(&name, &mut self.questions, now);
                }
                None => self.answers.finish(),
            }
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.questions.wake_at().into_iter().chain(self.answers.wake_at()).min()
    }
}
