//! The addresses of one name, as far as they are known.

use std::net::{IpAddr, SocketAddr};

use connie_core::{Families, Family, Instant};
use connie_dns::{Kind, Name};

use super::questions::{Inquiry, Questions};
use super::reply::Found;
use crate::resolve::LookupError;

/// The addresses of one name: one question for each family.
pub(super) struct Addresses {
    pub(super) name: Name,
    /// "with the AAAA query made first and immediately followed by the A query" (RFC 8305 section 3).
    by_family: [(Family, Option<Inquiry>); 2],
}

impl Addresses {
    /// Asks for those of `families`.
    pub(super) fn new(name: &Name, families: Families, questions: &mut Questions, now: Instant) -> Self {
        let mut ask = |family: Family, kind| {
            let inquiry = families.allow(family).then(|| questions.ask(name, kind, now));
            (family, inquiry)
        };
        let by_family = [ask(Family::V6, Kind::Aaaa), ask(Family::V4, Kind::A)];
        Addresses { name: *name, by_family }
    }

    /// Whether more may come of them.
    pub(super) fn is_pending(&self, questions: &Questions) -> bool {
        self.by_family
            .iter()
            .filter_map(|(_, inquiry)| *inquiry)
            .any(|inquiry| questions.end(inquiry).is_none())
    }

    /// What is known of a family's addresses.
    pub(super) fn known<'d>(&self, family: Family, questions: &'d Questions) -> Known<'d> {
        let inquiry = self.by_family.iter().find(|(of, _)| *of == family).and_then(|(_, of)| *of);
        match inquiry.map(|inquiry| questions.end(inquiry)) {
            None => Known::Answered(&[], None),
            Some(None) => Known::Pending,
            Some(Some(Err(error))) => Known::Failed(error),
            Some(Some(Ok(reply))) => match &reply.found {
                Found::Addresses(addresses) => Known::Answered(addresses, reply.ttl),
                Found::Services(_) => Known::Answered(&[], reply.ttl),
            },
        }
    }
}

/// What is known of the addresses of one family.
pub(super) enum Known<'a> {
    Pending,
    Failed(&'a LookupError),
    Answered(&'a [IpAddr], Option<u32>),
}

/// Adds a destination that the list does not have yet.
pub(super) fn add(list: &mut Vec<SocketAddr>, destination: SocketAddr) {
    if !list.contains(&destination) {
        list.push(destination);
    }
}
