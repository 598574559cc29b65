//! One lookup: all record types of a name at the same time, and one name after the other with a search list.
//!
//! # The rules
//!
//! 1. **Each record type ends once**, with an answer or a failure, and is reported when it ends.
//! 2. **A name is final** when it has an address; when a name server was silent or unreachable, since it will
//!    not answer for the next name either; when it is the only one; and when no addresses are asked for.
//! 3. **Nothing is reported about a name before it is final.** Negative answers are held back until then.
//! 4. **The search goes on** when all address types of a name have ended and the name is not final. If no
//!    name is, the answers of the first name that exists are reported, or else those of the last one.

use connie_core::Instant;
use connie_core::resolution::QueryError;

use crate::client::{DnsClient, QuestionId};
use crate::name::Name;
use crate::record_set::RecordSet;
use crate::record_type::{PerKind, RecordType};

/// A lookup of a host by a [`DnsClient`] answers it.
///
/// The names to try are one name, or those of an iterator: [`SearchNames`](crate::SearchNames) of a search
/// list. See the [crate] for an example.
#[derive(Clone, Debug)]
pub struct RecordLookup<const NAME: usize = 255, I = core::iter::Empty<Name<NAME>>> {
    /// The name that is tried.
    name: Name<NAME>,
    /// Those that come after it.
    names: I,
    kinds: PerKind<RecordProgress>,
    /// Rule 2.
    counts: bool,
    /// How the kinds ended of the first name that exists.
    first_existing: Option<PerKind<Option<QueryError>>>,
}

/// How far a record type is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum RecordProgress {
    #[default]
    Unwanted,
    ToAsk,
    Asked(QuestionId),
    /// The last outcome was about it.
    Reported(QuestionId),
    /// An earlier name is reported, which does not have such records.
    Lacking(Option<QueryError>),
    Done,
}

impl RecordProgress {
    const fn begin(is_wanted: bool) -> Self {
        if is_wanted { RecordProgress::ToAsk } else { RecordProgress::Unwanted }
    }
}

/// The record types that a lookup asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WantedRecords {
    /// IPv6 addresses.
    pub aaaa: bool,
    /// IPv4 addresses.
    pub a: bool,
    /// The HTTPS records of the name itself, which describe port 443. Those for another port need a lookup of
    /// their own, of [another name](Name::https_query_name).
    pub https: bool,
}

impl Default for WantedRecords {
    /// All addresses, without HTTPS records.
    fn default() -> Self {
        WantedRecords { aaaa: true, a: true, https: false }
    }
}

/// How one record type of a lookup has ended.
#[derive(Clone, Copy, Debug)]
pub struct LookupOutcome<'a> {
    /// The record type.
    pub kind: RecordType,
    /// The records, empty if the name has none of that type, or why there is no answer.
    pub result: Result<RecordSet<'a>, QueryError>,
}

/// The record types of addresses.
const ADDRESSES: &[RecordType] = &[RecordType::Aaaa, RecordType::A];

/// All kinds, in their order.
fn kinds() -> impl Iterator<Item = RecordType> {
    RecordType::ALL.iter().copied()
}

impl<const NAME: usize> RecordLookup<NAME> {
    /// Looks up only this name.
    #[must_use]
    pub fn new(name: Name<NAME>, wanted: WantedRecords) -> Self {
        Self::begin(name, core::iter::empty(), wanted)
    }
}

impl<const NAME: usize, I: Iterator<Item = Name<NAME>> + Clone> RecordLookup<NAME, I> {
    /// Looks up these names one after the other, until one has an address. `None` if there is no name.
    pub fn from_names(mut names: I, wanted: WantedRecords) -> Option<Self> {
        Some(Self::begin(names.next()?, names, wanted))
    }

    fn begin(name: Name<NAME>, names: I, wanted: WantedRecords) -> Self {
        let is_only = names.clone().next().is_none();
        RecordLookup {
            name,
            names,
            kinds: PerKind::new([wanted.aaaa, wanted.a, wanted.https].map(RecordProgress::begin)),
            counts: is_only || !wanted.aaaa && !wanted.a,
            first_existing: None,
        }
    }

    fn wants(&self, kind: RecordType) -> bool {
        *self.kinds.get(kind) != RecordProgress::Unwanted
    }

    /// The name that is being tried, or was tried last.
    #[must_use]
    pub const fn name(&self) -> &Name<NAME> {
        &self.name
    }

    /// Whether everything has been reported.
    #[must_use]
    pub fn is_done(&self) -> bool {
        let is_done = |progress: &RecordProgress| {
            matches!(progress, RecordProgress::Unwanted | RecordProgress::Reported(_) | RecordProgress::Done)
        };
        RecordType::ALL.iter().all(|kind| is_done(self.kinds.get(*kind)))
    }

    /// Whether it waits for other lookups to end, since the client has no [room](DnsClient::ask) for its
    /// name.
    #[must_use]
    pub fn waits_for_room(&self) -> bool {
        RecordType::ALL.iter().any(|kind| *self.kinds.get(*kind) == RecordProgress::ToAsk)
    }

    /// Returns the next outcome. Call it until it returns `None`: at the beginning, and when one of its
    /// questions has [ended](crate::DnsOutput::Ended). Poll the client afterwards: it may have something to
    /// send.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub fn poll<'c, const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &'c mut DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) -> Option<LookupOutcome<'c>> {
        self.give_up_reported(client);
        // Each turn goes on to the next name, of which there is an end.
        loop {
            self.ask(client, now);
            let has_ended = self.judge(client, now);
            if self.counts || !has_ended {
                break;
            }
            self.go_on(client, now);
        }
        if self.counts { self.report(client, now) } else { None }
    }

    /// Ends the lookup. Always call it; otherwise the client keeps its names for ten seconds longer.
    pub fn close<const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &mut DnsClient<NAMES, SERVERS, NAME, DATA>,
    ) {
        for (_, progress) in self.kinds.all_mut() {
            if let RecordProgress::Asked(id) | RecordProgress::Reported(id) = *progress {
                client.give_up(id);
            }
            if *progress != RecordProgress::Unwanted {
                *progress = RecordProgress::Done;
            }
        }
    }

    fn give_up_reported<const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &mut DnsClient<NAMES, SERVERS, NAME, DATA>,
    ) {
        for (_, progress) in self.kinds.all_mut() {
            if let RecordProgress::Reported(id) = *progress {
                client.give_up(id);
                *progress = RecordProgress::Done;
            }
        }
    }

    fn ask<const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &mut DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) {
        for (kind, progress) in self.kinds.all_mut() {
            if *progress == RecordProgress::ToAsk {
                *progress =
                    client.ask(&self.name, kind, now).map_or(RecordProgress::ToAsk, RecordProgress::Asked);
            }
        }
    }

    /// Rule 2. Whether all addresses have ended.
    fn judge<const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) -> bool {
        let mut has_ended = true;
        for kind in ADDRESSES {
            match self.end(*kind, client, now) {
                None => has_ended &= !self.wants(*kind),
                Some(Ok(answer)) => self.counts |= !answer.is_empty(),
                Some(Err(error)) => {
                    self.counts |= matches!(error, QueryError::TimedOut | QueryError::Unreachable);
                }
            }
        }
        has_ended
    }

    /// How a kind has ended of which nothing was reported.
    fn end<'c, const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &self,
        kind: RecordType,
        client: &'c DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) -> Option<Result<RecordSet<'c>, QueryError>> {
        match *self.kinds.get(kind) {
            RecordProgress::Asked(id) => client.answer(id, now),
            RecordProgress::Lacking(Some(error)) => Some(Err(error)),
            RecordProgress::Lacking(None) => Some(Ok(RecordSet { kind, ttl: 0, octets: &[] })),
            RecordProgress::Unwanted
            | RecordProgress::ToAsk
            | RecordProgress::Reported(_)
            | RecordProgress::Done => None,
        }
    }

    /// Rule 4: goes on to the next name, or to what is reported where none counts.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn go_on<const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &mut DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) {
        let next = self.names.next();
        let exists = |kind: &RecordType| matches!(self.end(*kind, client, now), Some(Ok(_)));
        if next.is_some() && self.first_existing.is_none() && ADDRESSES.iter().any(exists) {
            let lacks = |kind| self.end(kind, client, now).and_then(Result::err);
            self.first_existing = Some(PerKind::new(RecordType::ALL.map(lacks)));
        }
        let held_back = if next.is_none() { self.first_existing.take() } else { None };
        self.counts = next.is_none();
        if self.counts && held_back.is_none() {
            // The last name is reported as it is.
            return;
        }
        let wanted = PerKind::new(RecordType::ALL.map(|kind| self.wants(kind)));
        self.close(client);
        self.name = next.unwrap_or(self.name);
        for kind in kinds().filter(|kind| *wanted.get(*kind)) {
            *self.kinds.get_mut(kind) = match &held_back {
                Some(ends) => RecordProgress::Lacking(*ends.get(kind)),
                None => RecordProgress::ToAsk,
            };
        }
    }

    fn report<'c, const NAMES: usize, const SERVERS: usize, const DATA: usize>(
        &mut self,
        client: &'c DnsClient<NAMES, SERVERS, NAME, DATA>,
        now: Instant,
    ) -> Option<LookupOutcome<'c>> {
        let (kind, result) =
            kinds().find_map(|kind| self.end(kind, client, now).map(|result| (kind, result)))?;
        let progress = self.kinds.get_mut(kind);
        *progress = match *progress {
            RecordProgress::Asked(id) => RecordProgress::Reported(id),
            _ => RecordProgress::Done,
        };
        Some(LookupOutcome { kind, result })
    }
}
