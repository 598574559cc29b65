//! The service records of a name (RFC 9460), followed to the addresses that they lead to.
//!
//! A client of HTTP/1.1 over TCP can do without them, so no attempt waits for them: what they add joins the
//! race (section 3: the name's own addresses stay good where they are "SVCB-optional").

use std::net::{IpAddr, SocketAddr};

use connie_core::{Families, Family, Instant};
use connie_dns::{Name, RecordType, ServiceBindingError};

use super::lookup_questions::{LookupQuestions, QuestionKey};
use super::name_addresses::{FamilyResult, NameAddresses, add};
use super::reply::{BindingRecord, ReplyRecords};
use crate::resolve::{ResolveEvent, ServiceRecord};

/// How many aliases (records with priority 0) are followed. Section 2.4.2: "clients and recursive resolvers
/// MUST impose a limit".
const MOST_ALIASES: u8 = 4;
/// How many names beside the one that was asked for are looked up.
const MOST_TARGETS: usize = 4;

/// The service records of a name, and what is known of the names that they lead to.
pub(super) struct FollowedServices {
    /// The question for the records, of the name that was asked for or the one that aliases have led to.
    inquiry: QuestionKey,
    asked: Name,
    /// Whether its answer was taken.
    ended: bool,
    aliases: u8,
    port: u16,
    families: Families,
    targets: Vec<NameAddresses>,
    endpoints: Vec<ServiceEndpoint>,
    events: Vec<ResolveEvent>,
}

/// Where the service is available, in the order of preference.
struct ServiceEndpoint {
    target: EndpointTarget,
    port: u16,
    hints: Vec<IpAddr>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum EndpointTarget {
    /// The name that was asked for.
    Origin,
    /// The one with this index in `targets`.
    Other(usize),
}

impl FollowedServices {
    /// Begins to ask for the records of `name`, which are about the service on `port`.
    pub(super) fn new(
        name: Name,
        port: u16,
        families: Families,
        questions: &mut LookupQuestions,
        now: Instant,
    ) -> Self {
        FollowedServices {
            inquiry: questions.ask(&name, RecordType::Https, now),
            asked: name,
            ended: false,
            aliases: 0,
            port,
            families,
            targets: Vec::new(),
            endpoints: Vec::new(),
            events: Vec::new(),
        }
    }

    /// Goes on as far as possible without waiting.
    pub(super) fn poll(&mut self, origin: &NameAddresses, questions: &mut LookupQuestions, now: Instant) {
        // Each turn waits, ends, or follows one more alias.
        while !self.ended {
            let records = match questions.end(self.inquiry).map(|end| end.map(|reply| &reply.found)) {
                None => break,
                Some(Ok(ReplyRecords::Services(records))) => records.clone(),
                Some(Ok(ReplyRecords::Addresses(_)) | Err(_)) => Vec::new(),
            };
            match records.is_empty() {
                true => self.ended = true,
                false => self.take(records, origin, questions, now),
            }
            // What that has asked for.
            questions.poll(now);
        }
    }

    /// Takes the records of one answer.
    fn take(
        &mut self,
        mut records: Vec<BindingRecord>,
        origin: &NameAddresses,
        questions: &mut LookupQuestions,
        now: Instant,
    ) {
        self.ended = true;
        if let Some(malformed) = records.iter().find(|it| it.fault == Some(ServiceBindingError::Malformed)) {
            // "the client MUST reject the entire RRset" (section 2.2).
            return self.report(malformed, false);
        }
        // "If an RRset contains a record in AliasMode, the recipient MUST ignore any ServiceMode records in
        // the set" (section 2.4.1).
        if let Some(alias) = records.iter().find(|record| record.is_alias()) {
            return self.follow(alias, origin, questions, now);
        }
        records.sort_by_key(|record| record.priority);
        let mut endpoints = Vec::new();
        for record in &records {
            let endpoint = self.endpoint(record, origin, questions, now);
            self.report(record, endpoint.is_some());
            endpoints.extend(endpoint);
        }
        // Without a record of use the name that aliases led to is what there is (section 3).
        if !endpoints.is_empty() {
            self.endpoints = endpoints;
        }
    }

    /// Goes on with the name that an alias leads to. One that leads nowhere says that there is no such
    /// service (section 2.5.1), which a client that can do without the records ignores.
    fn follow(
        &mut self,
        alias: &BindingRecord,
        origin: &NameAddresses,
        questions: &mut LookupQuestions,
        now: Instant,
    ) {
        let Some(name) = alias.target.filter(|_| self.aliases < MOST_ALIASES) else { return };
        let Some(target) = self.target(&name, origin, questions, now) else { return };
        self.report(alias, true);
        self.aliases += 1;
        self.endpoints = vec![ServiceEndpoint { target, port: self.port, hints: Vec::new() }];
        self.inquiry = questions.ask(&name, RecordType::Https, now);
        self.asked = name;
        self.ended = false;
    }

    /// The endpoint of a record; `None` where it is of no use.
    fn endpoint(
        &mut self,
        record: &BindingRecord,
        origin: &NameAddresses,
        questions: &mut LookupQuestions,
        now: Instant,
    ) -> Option<ServiceEndpoint> {
        if record.fault.is_some() {
            return None;
        }
        // A record reached through an alias of DNS (CNAME) stands at that alias's target, which has the same
        // addresses.
        let asked = self.asked;
        let at_owner = record.target.is_none_or(|target| target == asked);
        let is_origin = at_owner && asked == origin.name;
        let name = record.target.as_ref().unwrap_or(&asked);
        let port = record.port.unwrap_or(self.port);
        let is_same = (is_origin || *name == origin.name) && port == self.port;
        // Another place that does not speak http/1.1 is of no use. At the same place the name's own addresses
        // are raced in any case, and the hints are as good as these.
        if port == 0 || !(record.http1 || is_same) {
            return None;
        }
        let target =
            if is_origin { EndpointTarget::Origin } else { self.target(name, origin, questions, now)? };
        Some(ServiceEndpoint { target, port, hints: record.hints.clone() })
    }

    /// Where the addresses of `name` are kept, which begins to be looked up where it is new. `None` where
    /// there is no room.
    fn target(
        &mut self,
        name: &Name,
        origin: &NameAddresses,
        questions: &mut LookupQuestions,
        now: Instant,
    ) -> Option<EndpointTarget> {
        if *name == origin.name {
            return Some(EndpointTarget::Origin);
        }
        let known = self.targets.iter().position(|target| target.name == *name);
        if known.is_none() {
            if self.targets.len() >= MOST_TARGETS {
                return None;
            }
            self.targets.push(NameAddresses::new(name, self.families, questions, now));
        }
        Some(EndpointTarget::Other(known.unwrap_or(self.targets.len() - 1)))
    }

    fn report(&mut self, record: &BindingRecord, used: bool) {
        let target = record.target.as_ref().unwrap_or(&self.asked).to_string();
        self.events.push(ResolveEvent::Service(ServiceRecord {
            owner: self.asked.to_string(),
            priority: record.priority,
            target,
            port: record.port.unwrap_or(self.port),
            alpn: record.alpn.clone(),
            http1: record.http1,
            used,
            fault: record.fault.map(|fault| fault.to_string()),
        }));
    }

    /// What there is to report of the records that have come.
    pub(super) fn take_events(&mut self) -> impl Iterator<Item = ResolveEvent> {
        self.events.drain(..)
    }

    /// Adds the destinations of a family to `list`: of each endpoint its addresses, and its hints as long as
    /// there is no answer (section 7.3: "clients SHOULD use the IP address in those responses for future
    /// connections").
    pub(super) fn destinations(
        &self,
        family: Family,
        origin: &NameAddresses,
        questions: &LookupQuestions,
        list: &mut Vec<SocketAddr>,
    ) {
        if !self.families.allow(family) {
            return;
        }
        for endpoint in &self.endpoints {
            let known = match endpoint.target {
                EndpointTarget::Origin => origin.known(family, questions),
                EndpointTarget::Other(index) => self.targets[index].known(family, questions),
            };
            let of_family = |ip: &&IpAddr| ip.is_ipv6() == (family == Family::V6);
            match known {
                FamilyResult::Answered(addresses, _) => {
                    addresses.iter().for_each(|ip| add(list, SocketAddr::new(*ip, endpoint.port)));
                }
                FamilyResult::Pending | FamilyResult::Failed(_) => {
                    let hints = endpoint.hints.iter().filter(of_family);
                    hints.for_each(|ip| add(list, SocketAddr::new(*ip, endpoint.port)));
                }
            }
        }
    }

    /// Whether more may come of them.
    pub(super) fn is_pending(&self, questions: &LookupQuestions) -> bool {
        !self.ended || self.targets.iter().any(|target| target.is_pending(questions))
    }
}
