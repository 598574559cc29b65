//! The addresses of one name, as far as they are known.

use std::net::{IpAddr, SocketAddr};

use connie_core::{Families, Family, Instant};
use connie_dns::{Name, RecordType};

use super::lookup_questions::{LookupQuestions, QuestionKey};
use super::reply::ReplyRecords;
use crate::resolve::ResolverError;

/// The addresses of one name: one question for each family.
pub(super) struct NameAddresses {
    pub(super) name: Name,
    /// "with the AAAA query made first and immediately followed by the A query" (RFC 8305 section 3).
    by_family: [(Family, Option<QuestionKey>); 2],
}

impl NameAddresses {
    /// Asks for those of `families`.
    pub(super) fn new(
        name: &Name,
        families: Families,
        questions: &mut LookupQuestions,
        now: Instant,
    ) -> Self {
        let mut ask = |family: Family, kind| {
            let inquiry = families.allow(family).then(|| questions.ask(name, kind, now));
            (family, inquiry)
        };
        let by_family = [ask(Family::V6, RecordType::Aaaa), ask(Family::V4, RecordType::A)];
        NameAddresses { name: *name, by_family }
    }

    /// Whether more may come of them.
    pub(super) fn is_pending(&self, questions: &LookupQuestions) -> bool {
        self.by_family
            .iter()
            .filter_map(|(_, inquiry)| *inquiry)
            .any(|inquiry| questions.end(inquiry).is_none())
    }

    /// What is known of a family's addresses.
    pub(super) fn known<'d>(&self, family: Family, questions: &'d LookupQuestions) -> FamilyResult<'d> {
        let inquiry = self.by_family.iter().find(|(of, _)| *of == family).and_then(|(_, of)| *of);
        match inquiry.map(|inquiry| questions.end(inquiry)) {
            None => FamilyResult::Answered(&[], None),
            Some(None) => FamilyResult::Pending,
            Some(Some(Err(error))) => FamilyResult::Failed(error),
            Some(Some(Ok(reply))) => match &reply.found {
                ReplyRecords::Addresses(addresses) => FamilyResult::Answered(addresses, reply.ttl),
                ReplyRecords::Services(_) => FamilyResult::Answered(&[], reply.ttl),
            },
        }
    }
}

/// What is known of the addresses of one family.
pub(super) enum FamilyResult<'a> {
    Pending,
    Failed(&'a ResolverError),
    Answered(&'a [IpAddr], Option<u32>),
}

/// Adds a destination that the list does not have yet.
pub(super) fn add(list: &mut Vec<SocketAddr>, destination: SocketAddr) {
    if !list.contains(&destination) {
        list.push(destination);
    }
}
