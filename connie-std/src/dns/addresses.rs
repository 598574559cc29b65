//! The addresses of one name, as far as they are known.

use std::net::{IpAddr, SocketAddr};

use connie_core::{Families, Family, Instant};

use super::message::{Found, Kind};
use super::name::Name;
use super::pursuit::{Context, Pursuit};
use crate::resolve::LookupError;

/// The addresses of one name: one question for each family.
pub(super) struct Addresses {
    pub(super) name: Name,
    /// "with the AAAA query made first and immediately followed by the A query" (RFC 8305 section 3).
    pub(super) by_family: [(Family, Option<Pursuit>); 2],
}

impl Addresses {
    /// Begins to ask for those of `families`.
    pub(super) fn new(name: &Name, families: Families, context: &Context, now: Instant) -> Self {
        let begin = |family: Family, kind| {
            let pursuit = families.allow(family).then(|| Pursuit::new(kind, name, context, now));
            (family, pursuit)
        };
        let by_family = [begin(Family::V6, Kind::Aaaa), begin(Family::V4, Kind::A)];
        Addresses { name: name.clone(), by_family }
    }

    pub(super) fn pursuits(&self) -> impl Iterator<Item = &Pursuit> {
        self.by_family.iter().filter_map(|(_, pursuit)| pursuit.as_ref())
    }

    pub(super) fn poll(&mut self, context: &Context, now: Instant) {
        for (_, pursuit) in &mut self.by_family {
            if let Some(pursuit) = pursuit {
                pursuit.poll(context, now);
            }
        }
    }

    /// What is known of a family's addresses.
    pub(super) fn known(&self, family: Family) -> Known<'_> {
        let pursuit = self.by_family.iter().find(|(of, _)| *of == family).and_then(|(_, of)| of.as_ref());
        match pursuit.map(Pursuit::end) {
            None => Known::Answered(&[], None),
            Some(None) => Known::Pending,
            Some(Some(Err(error))) => Known::Failed(error),
            Some(Some(Ok(reply))) => match &reply.found {
                Found::Addresses(addresses) => Known::Answered(addresses, reply.ttl),
                _ => Known::Answered(&[], reply.ttl),
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
