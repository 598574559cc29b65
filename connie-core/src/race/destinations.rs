//! The table of destination addresses: who is in it, and who waits for a socket, in which order.
//!
//! It keeps order and count; when something starts or ends is the race's to decide.

use core::borrow::Borrow;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

use heapless::Vec;

use super::attempt::{AttemptError, AttemptErrorKind};
use super::input::{Families, Family};
use super::plan::{DestinationIndex, turn};
use crate::empty::empty;

/// An IP address as two numbers, IPv4 as IPv4-mapped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ip {
    pub(crate) high: u64,
    pub(crate) low: u64,
}

impl Ip {
    /// The IPv4 address that it is, if it is one.
    pub(crate) fn v4(self) -> Option<u32> {
        (self.high == 0 && self.low >> 32 == MAPPED >> 32).then_some(self.low as u32)
    }
}

/// The IP address and the port of `address`, and its family.
pub(crate) fn ip_and_port(address: &SocketAddr) -> (Ip, u16, Family) {
    let address = PackedAddress::new(address);
    let PackedAddress { low, high, port, .. } = address;
    (Ip { high, low }, port, address.family())
}

/// A socket address in few bytes and fast to compare: IPv4 is kept as an IPv4-mapped address, and the flow
/// label, which no resolver fills in, is dropped. Two spellings of one IPv4 address are one destination.
struct PackedAddress {
    low: u64,
    high: u64,
    scope_id: u32,
    port: u16,
}

/// `::ffff:0:0/96`, the lower half of an IPv4-mapped address without the IPv4 address.
const MAPPED: u64 = 0xffff_0000_0000;

impl PackedAddress {
    fn new(address: &SocketAddr) -> Self {
        let port = address.port();
        match address {
            SocketAddr::V4(v4) => {
                PackedAddress { low: MAPPED | u64::from(v4.ip().to_bits()), high: 0, scope_id: 0, port }
            }
            SocketAddr::V6(v6) => {
                let bits = v6.ip().to_bits();
                // IPv4 has no scopes: with one, it is another spelling of the same address.
                let scope_id = if v6.ip().to_ipv4_mapped().is_some() { 0 } else { v6.scope_id() };
                PackedAddress { low: bits as u64, high: (bits >> 64) as u64, scope_id, port }
            }
        }
    }

    fn family(&self) -> Family {
        match self.high == 0 && self.low >> 32 == MAPPED >> 32 {
            true => Family::V4,
            false => Family::V6,
        }
    }
}

/// What a destination is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
enum DestinationStatus {
    /// Waits for its first attempt.
    Fresh,
    /// Was evicted, and waits for its next attempt behind those with a lower number in the queue.
    Queued,
    /// Has one attempt in flight, or two where it is hedged.
    InFlight { hedged: bool },
    /// Its last attempt failed like this.
    Failed(AttemptErrorKind),
    /// Dropped from the answer before its next attempt.
    Withdrawn,
}

/// One destination of a race, as its timeline keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Destination {
    // The parts of a `PackedAddress`, side by side with the rest: 32 bytes in all instead of 40.
    low: u64,
    high: u64,
    scope_id: u32,
    /// Its number in the queue while it waits there; once it has failed the number of its error, 0 where that
    /// has none. Else 0.
    number: i32,
    port: u16,
    status: DestinationStatus,
    family: Family,
    /// Its place in the newest answer of its family.
    rank: u8,
    /// How often its patience has doubled.
    rounds: u8,
    /// Whether the newest answer of its family holds it.
    offered: bool,
}

impl Destination {
    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        match self.family {
            Family::V4 => SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(self.low as u32)), self.port),
            Family::V6 => {
                let ip = Ipv6Addr::from_bits(u128::from(self.high) << 64 | u128::from(self.low));
                SocketAddr::V6(SocketAddrV6::new(ip, self.port, 0, self.scope_id))
            }
        }
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        self.family
    }

    /// Why its last attempt failed, where all its attempts have ended so.
    #[must_use]
    pub fn error(&self) -> Option<AttemptError> {
        match self.status {
            DestinationStatus::Failed(kind) => Some(AttemptError::new(kind).with_number(self.number)),
            _ => None,
        }
    }

    /// Whether an attempt on it was ever started, one for which the stack had no socket not counted.
    #[must_use]
    pub fn was_started(&self) -> bool {
        match self.status {
            DestinationStatus::Fresh => false,
            // It was evicted before.
            DestinationStatus::Withdrawn => self.rounds > 0,
            _ => true,
        }
    }

    /// How often its patience has doubled.
    pub(super) fn rounds(&self) -> u8 {
        self.rounds
    }

    /// One that waits for its first attempt.
    fn new(address: &PackedAddress, family: Family, rank: u8) -> Self {
        let PackedAddress { low, high, scope_id, port } = *address;
        let status = DestinationStatus::Fresh;
        Destination { low, high, scope_id, number: 0, port, status, family, rank, rounds: 0, offered: true }
    }

    fn is_at(&self, address: &PackedAddress) -> bool {
        // The lower half first: it is where a site's addresses differ.
        self.low == address.low
            && self.high == address.high
            && self.port == address.port
            && self.scope_id == address.scope_id
    }

    /// Its IP address.
    pub(crate) fn ip(&self) -> Ip {
        Ip { high: self.high, low: self.low }
    }

    /// Its port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Its place in the newest answer of its family.
    pub(crate) fn rank(&self) -> u8 {
        self.rank
    }

    /// Whether it waits for its first attempt.
    pub(super) fn is_untried(&self) -> bool {
        matches!(self.status, DestinationStatus::Fresh)
    }

    fn is_fresh(&self, family: Family) -> bool {
        matches!(self.status, DestinationStatus::Fresh) && self.family == family
    }
}

/// The table.
#[derive(Clone, Debug, Hash)]
pub(super) struct Destinations<const N: usize> {
    entries: Vec<Destination, N>,
    fresh_v4: u8,
    fresh_v6: u8,
    queued: u8,
    next_number: u16,
    /// How many fresh ones of the preferred family have been taken, up to the First Address Family Count.
    taken_of_preferred: u8,
    last_taken: Option<Family>,
    omitted: u16,
    /// Whether each family's addresses lie in the order of their rank. Only a second answer, or a full table,
    /// upsets that.
    sorted: bool,
    /// While it is sorted: no fresh one lies below this index.
    first_fresh: DestinationIndex,
}

impl<const N: usize> Destinations<N> {
    pub(super) fn new() -> Self {
        Destinations {
            entries: empty(),
            fresh_v4: 0,
            fresh_v6: 0,
            queued: 0,
            next_number: 0,
            taken_of_preferred: 0,
            last_taken: None,
            omitted: 0,
            sorted: true,
            first_fresh: 0,
        }
    }

    pub(super) fn as_slice(&self) -> &[Destination] {
        &self.entries
    }

    /// How many addresses found no room in the table.
    pub(super) fn omitted(&self) -> u16 {
        self.omitted
    }

    /// Counts addresses that found no room.
    pub(super) fn note_omitted(&mut self, addresses: u16) {
        self.omitted = self.omitted.saturating_add(addresses);
    }

    /// How many wait for a socket.
    pub(super) fn waiting(&self) -> usize {
        usize::from(self.fresh_v4) + usize::from(self.fresh_v6) + usize::from(self.queued)
    }

    /// Takes in the newest answer of one family or both: addresses that it adds join, those that it no longer
    /// holds and that have no attempt in flight are withdrawn. Answers whether it holds an IPv4 and an IPv6
    /// address.
    ///
    /// `forget` is called for each place whose destination makes room for another, before that has it.
    pub(super) fn answer(
        &mut self,
        families: Families,
        addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone,
        forget: &mut dyn FnMut(DestinationIndex),
    ) -> (bool, bool) {
        if self.entries.iter().any(|entry| families.allow(entry.family)) {
            self.sorted = false;
            self.withdraw_all_but(families, addresses.clone());
        }
        let (mut v4, mut v6) = (false, false);
        for (rank, address) in addresses.enumerate() {
            let address = PackedAddress::new(address.borrow());
            let family = address.family();
            if families.allow(family) {
                match family {
                    Family::V4 => v4 = true,
                    Family::V6 => v6 = true,
                }
                self.offer(family, address, rank.min(255) as u8, forget);
            }
        }
        (v4, v6)
    }

    fn withdraw_all_but(
        &mut self,
        families: Families,
        addresses: impl Iterator<Item: Borrow<SocketAddr>> + Clone,
    ) {
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(index) else { continue };
            if !families.allow(entry.family) {
                continue;
            }
            // Marked as offered again below, in its new rank.
            entry.offered = false;
            let held = addresses.clone().any(|address| entry.is_at(&PackedAddress::new(address.borrow())));
            if !held && matches!(entry.status, DestinationStatus::Fresh | DestinationStatus::Queued) {
                self.set_status(index, DestinationStatus::Withdrawn, 0);
            }
        }
    }

    fn offer(
        &mut self,
        family: Family,
        address: PackedAddress,
        rank: u8,
        forget: &mut dyn FnMut(DestinationIndex),
    ) {
        let known = self.entries.iter().position(|entry| entry.is_at(&address));
        if let Some(index) = known {
            let Some(entry) = self.entries.get_mut(index) else { return };
            if entry.offered {
                return;
            }
            entry.offered = true;
            entry.rank = rank;
            match (entry.status, entry.rounds) {
                (DestinationStatus::Withdrawn, 0) => self.set_status(index, DestinationStatus::Fresh, 0),
                (DestinationStatus::Withdrawn, _) => self.queue(index),
                _ => {}
            }
            return;
        }
        self.add(Destination::new(&address, family, rank), forget);
    }

    /// Puts a fresh destination into the table. Where that is full, one makes room that no attempt waits for
    /// or runs on: it was withdrawn, or it has failed. Else the last of the other family does where that has
    /// more that wait: the best of both are kept.
    fn add(&mut self, entry: Destination, forget: &mut dyn FnMut(DestinationIndex)) {
        let family = entry.family;
        if let Err(entry) = self.entries.push(entry) {
            self.sorted = false;
            self.note_omitted(1);
            let Some(index) = self.replaceable(family) else { return };
            self.set_status(index, DestinationStatus::Withdrawn, 0);
            // A table holds at most 255 destinations, see the assertion in `Race::new`.
            forget(index as DestinationIndex);
            if let Some(replaced) = self.entries.get_mut(index) {
                *replaced = entry;
            }
        }
        if let Some(count) = self.count(DestinationStatus::Fresh, family) {
            *count = count.saturating_add(1);
        }
    }

    /// The place that a destination of `family` may take in a full table.
    fn replaceable(&self, family: Family) -> Option<usize> {
        let done = |entry: &Destination| {
            matches!(entry.status, DestinationStatus::Withdrawn | DestinationStatus::Failed(_))
        };
        let done = self.entries.iter().position(done);
        if done.is_some() || self.fresh(family) >= self.fresh(family.other()) {
            return done;
        }
        let fresh = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_fresh(family.other()));
        fresh.max_by_key(|(_, entry)| entry.rank).map(|(index, _)| index)
    }

    fn fresh(&self, family: Family) -> u8 {
        match family {
            Family::V4 => self.fresh_v4,
            Family::V6 => self.fresh_v6,
        }
    }

    /// The destination whose turn it is: fresh ones first, interleaved by family, then the evicted ones in
    /// the order of their eviction.
    pub(super) fn next(&self, preferred: Family, first_family_count: u8) -> Option<DestinationIndex> {
        if self.fresh_v4 | self.fresh_v6 == 0 {
            return self.next_queued();
        }
        let index = self.next_fresh(self.next_family(preferred, first_family_count));
        // A table holds at most 255 destinations, see the assertion in `Race::new`.
        index.map(|index| index as DestinationIndex)
    }

    /// The one that was evicted first.
    fn next_queued(&self) -> Option<DestinationIndex> {
        if self.queued == 0 {
            return None;
        }
        let number = |entry: &Destination| match entry.status {
            DestinationStatus::Queued => entry.number,
            // Behind every number.
            _ => i32::MAX,
        };
        let queued = self.entries.iter().enumerate().min_by_key(|(_, entry)| number(entry));
        // A table holds at most 255 destinations, see the assertion in `Race::new`.
        queued.map(|(index, _)| index as DestinationIndex)
    }

    /// As [`next`](Self::next), with turns: of the fresh ones those of the least turn come first, in the
    /// order that they have without turns. `is_grouped` has families alternate whatever the turns say, but
    /// for what is demoted.
    pub(super) fn next_by(
        &self,
        preferred: Family,
        first_family_count: u8,
        is_grouped: bool,
        turns: &[u8],
    ) -> Option<DestinationIndex> {
        let family = self.turn_of_family(preferred, first_family_count);
        let (mut next, mut least) = (None, u32::MAX);
        // A table holds at most 255 destinations, see the assertion in `Race::new`.
        for (place, entry) in (0..=u8::MAX).zip(&self.entries) {
            if !entry.is_untried() {
                continue;
            }
            let turn = turns.get(usize::from(place)).copied().unwrap_or(turn::UNKNOWN);
            let group = if is_grouped { turn & turn::DEMOTED } else { turn };
            let number = u32::from_be_bytes([group, (entry.family != family).into(), turn, entry.rank]);
            if number < least {
                (next, least) = (Some(place), number);
            }
        }
        next.or_else(|| self.next_queued())
    }

    fn next_fresh(&self, family: Family) -> Option<usize> {
        if self.sorted {
            let first = usize::from(self.first_fresh);
            let place = self.entries.get(first..)?.iter().position(|entry| entry.is_fresh(family));
            return place.map(|index| index.saturating_add(first));
        }
        let fresh = self.entries.iter().enumerate().filter(|(_, entry)| entry.is_fresh(family));
        fresh.min_by_key(|(_, entry)| entry.rank).map(|(index, _)| index)
    }

    /// "Whichever address family is first in the list should be followed by an address of the other address
    /// family" (RFC 8305 section 4), after the First Address Family Count. Takes up the rule anew at each
    /// start, so that addresses that arrive late take their turn.
    fn next_family(&self, preferred: Family, first_family_count: u8) -> Family {
        let turn = self.turn_of_family(preferred, first_family_count);
        if self.fresh(turn) > 0 { turn } else { turn.other() }
    }

    /// The family whose turn it is, whether any of it waits or not.
    fn turn_of_family(&self, preferred: Family, first_family_count: u8) -> Family {
        match self.last_taken {
            _ if self.taken_of_preferred < first_family_count => preferred,
            Some(last) => last.other(),
            None => preferred,
        }
    }

    pub(super) fn get(&self, place: DestinationIndex) -> Option<&Destination> {
        self.entries.get(usize::from(place))
    }

    /// Whether the one attempt in flight on the destination may get a second beside it: once in each of its
    /// turns.
    pub(super) fn may_hedge(&self, place: DestinationIndex) -> bool {
        self.get(place).is_some_and(|entry| {
            entry.offered && matches!(entry.status, DestinationStatus::InFlight { hedged: false })
        })
    }

    /// The destination's first attempt of this turn starts.
    pub(super) fn start(&mut self, place: DestinationIndex, preferred: Family) {
        let Some(entry) = self.entries.get(usize::from(place)) else { return };
        if matches!(entry.status, DestinationStatus::Fresh) {
            self.last_taken = Some(entry.family);
            let of_preferred = u8::from(entry.family == preferred);
            self.taken_of_preferred = self.taken_of_preferred.saturating_add(of_preferred);
            if place == self.first_fresh {
                self.first_fresh = place.saturating_add(1);
            }
        }
        self.set_status(usize::from(place), DestinationStatus::InFlight { hedged: false }, 0);
    }

    /// A second attempt starts beside the first.
    pub(super) fn hedge(&mut self, place: DestinationIndex) {
        self.set_status(usize::from(place), DestinationStatus::InFlight { hedged: true }, 0);
    }

    /// The last attempt in flight was evicted for a newcomer that had been so `given` times: back to the end
    /// of the queue, or out where the answer no longer holds it. It comes back with twice the patience that
    /// it was given; with as much where a fresh newcomer cut that short.
    pub(super) fn evict(&mut self, place: DestinationIndex, given: u8) {
        let index = usize::from(place);
        let Some(entry) = self.entries.get_mut(index) else { return };
        if given > 0 || entry.rounds == 0 {
            entry.rounds = entry.rounds.max(given).saturating_add(1);
        }
        if entry.offered {
            self.queue(index);
        } else {
            self.set_status(index, DestinationStatus::Withdrawn, 0);
        }
    }

    /// The stack had no socket for the attempt: the destination's turn has not come yet.
    pub(super) fn put_back(&mut self, place: DestinationIndex, preferred: Family) {
        let Some(entry) = self.entries.get(usize::from(place)) else { return };
        let status = match (entry.offered, entry.rounds) {
            (false, _) => DestinationStatus::Withdrawn,
            (true, 0) => DestinationStatus::Fresh,
            // With number 0, which `queue` never gives out: ahead of all others.
            (true, _) => DestinationStatus::Queued,
        };
        if status == DestinationStatus::Fresh {
            // Nor has its family's turn been taken.
            self.last_taken = Some(entry.family.other());
            let of_preferred = u8::from(entry.family == preferred);
            self.taken_of_preferred = self.taken_of_preferred.saturating_sub(of_preferred);
        }
        self.first_fresh = self.first_fresh.min(place);
        self.set_status(usize::from(place), status, 0);
    }

    /// What was tried of a family was not: each is fresh, or will be once an answer holds it again, and the
    /// family's turns were not taken.
    pub(super) fn renew(&mut self, family: Family, preferred: Family) {
        for index in 0..self.entries.len() {
            let Some(entry) = self.entries.get_mut(index).filter(|entry| entry.family == family) else {
                continue;
            };
            entry.rounds = 0;
            let status = if entry.offered { DestinationStatus::Fresh } else { DestinationStatus::Withdrawn };
            self.set_status(index, status, 0);
        }
        self.first_fresh = 0;
        if family == preferred {
            self.taken_of_preferred = 0;
        }
        if self.last_taken == Some(family) {
            self.last_taken = Some(family.other());
        }
    }

    pub(super) fn fail(&mut self, place: DestinationIndex, error: AttemptError) {
        let number = error.number().unwrap_or(0);
        self.set_status(usize::from(place), DestinationStatus::Failed(error.kind()), number);
    }

    /// Asserts that each destination has as many attempts in flight as its status allows, and that the counts
    /// are right.
    pub(super) fn check(&self, attempts: impl Fn(usize) -> usize) {
        let mut waiting = 0;
        for (index, entry) in self.entries.iter().enumerate() {
            let most = match entry.status {
                DestinationStatus::InFlight { hedged: true } => 2,
                DestinationStatus::InFlight { hedged: false } => 1,
                _ => 0,
            };
            debug_assert!(attempts(index) <= most, "more in flight on a destination than it has started");
            waiting +=
                usize::from(matches!(entry.status, DestinationStatus::Fresh | DestinationStatus::Queued));
            let queued = matches!(entry.status, DestinationStatus::Queued);
            debug_assert!(!queued || entry.rounds > 0, "a destination queues that was never evicted");
        }
        debug_assert_eq!(waiting, self.waiting(), "the counts of those that wait are wrong");
    }

    fn queue(&mut self, index: usize) {
        // Every eviction takes at least 10 ms of patience that doubles: 65,535 of them take longer than any
        // race. Should one get there, its order degrades and nothing else.
        self.next_number = self.next_number.saturating_add(1);
        self.set_status(index, DestinationStatus::Queued, self.next_number.into());
    }

    /// The only place that changes a status, so that the counts are always right.
    fn set_status(&mut self, index: usize, status: DestinationStatus, number: i32) {
        let Some(entry) = self.entries.get_mut(index) else { return };
        let (before, family) = (entry.status, entry.family);
        (entry.status, entry.number) = (status, number);
        if let Some(count) = self.count(before, family) {
            *count = count.saturating_sub(1);
        }
        if let Some(count) = self.count(status, family) {
            *count = count.saturating_add(1);
        }
    }

    fn count(&mut self, status: DestinationStatus, family: Family) -> Option<&mut u8> {
        match (status, family) {
            (DestinationStatus::Fresh, Family::V4) => Some(&mut self.fresh_v4),
            (DestinationStatus::Fresh, Family::V6) => Some(&mut self.fresh_v6),
            (DestinationStatus::Queued, _) => Some(&mut self.queued),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::string::String;

    /// `a`, `b` ... are IPv6 addresses, `A`, `B` ... IPv4.
    fn address(name: char) -> SocketAddr {
        let port = 80;
        if name.is_ascii_uppercase() {
            SocketAddr::from(([192, 0, 2, name as u8], port))
        } else {
            SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, name as u16], port))
        }
    }

    fn addresses(names: &str) -> std::vec::Vec<SocketAddr> {
        names.chars().map(address).collect()
    }

    fn name(address: SocketAddr) -> char {
        let byte = match address {
            SocketAddr::V4(v4) => v4.ip().octets()[3],
            SocketAddr::V6(v6) => v6.ip().octets()[15],
        };
        char::from(byte)
    }

    fn answer<const N: usize>(table: &mut Destinations<N>, names: &str) {
        let family = Family::of(&address(names.chars().next().unwrap()));
        table.answer(Families::Only(family), addresses(names).into_iter(), &mut |_| ());
    }

    fn table<const N: usize>(answers: &[&str]) -> Destinations<N> {
        let mut table = Destinations::new();
        for names in answers {
            answer(&mut table, names);
        }
        table
    }

    /// Starts everything, in order.
    fn order<const N: usize>(table: &mut Destinations<N>, first_family_count: u8) -> String {
        let mut order = String::new();
        while let Some(place) = table.next(Family::V6, first_family_count) {
            order.push(name(table.get(place).unwrap().address()));
            table.start(place, Family::V6);
        }
        assert_eq!(table.waiting(), 0);
        order
    }

    #[test]
    fn families_alternate() {
        assert_eq!(order(&mut table::<8>(&["ab", "AB"]), 1), "aAbB");
        assert_eq!(order(&mut table::<8>(&["abc", "A"]), 1), "aAbc");
        assert_eq!(order(&mut table::<8>(&["abc", "A"]), 2), "abAc");
        assert_eq!(order(&mut table::<8>(&["ABC"]), 1), "ABC");
    }

    #[test]
    fn a_late_answer_takes_its_turn_at_once() {
        let mut table = table::<8>(&["ABC"]);
        let first = table.next(Family::V6, 1).unwrap();
        table.start(first, Family::V6);
        answer(&mut table, "ab");
        assert_eq!(order(&mut table, 1), "aBbC");
    }

    #[test]
    fn an_address_is_held_once_however_it_is_spelled() {
        let mapped: SocketAddr = "[::ffff:192.0.2.65]:80".parse().unwrap();
        let scoped: SocketAddr = "[::ffff:192.0.2.65%3]:80".parse().unwrap();
        assert_eq!([mapped, scoped].map(|address| Family::of(&address)), [Family::V4; 2]);
        let mut table = Destinations::<8>::new();
        table.answer(
            Families::Both,
            [scoped, address('A'), mapped, address('A'), address('B')].into_iter(),
            &mut |_| (),
        );
        assert_eq!(order(&mut table, 1), "AB");
    }

    /// Neither the loopback address of IPv6 nor one that looks IPv4-mapped in its lower half is an IPv4
    /// address.
    #[test]
    fn only_the_whole_prefix_makes_an_address_ipv4() {
        for text in
            ["[::1]:80", "[::192.0.2.1]:80", "[2001:db8::ffff:192.0.2.1]:80", "[64:ff9b::192.0.2.1]:80"]
        {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Family::of(&address), Family::V6);
            let mut table = Destinations::<8>::new();
            assert_eq!(
                table.answer(Families::Both, [address].into_iter(), &mut |_| ()),
                (false, true),
                "{text}"
            );
            assert_eq!(
                table.get(0).map(|entry| (entry.family(), entry.address())),
                Some((Family::V6, address))
            );
        }
    }

    #[test]
    fn a_full_table_keeps_the_best_of_both_families() {
        let mut table = table::<4>(&["abcdef", "ABC"]);
        assert_eq!(table.omitted(), 5);
        assert_eq!(order(&mut table, 1), "aAbB");
    }

    #[test]
    fn a_newer_answer_adds_drops_and_sorts() {
        let mut table = table::<8>(&["abc"]);
        let first = table.next(Family::V6, 1).unwrap();
        table.start(first, Family::V6);
        answer(&mut table, "dcx");
        assert_eq!(order(&mut table, 1), "dcx");
    }

    #[test]
    fn an_address_that_comes_back_is_started_after_all() {
        let mut table = table::<8>(&["ab"]);
        answer(&mut table, "b");
        answer(&mut table, "ab");
        assert_eq!(order(&mut table, 1), "ab");
    }

    #[test]
    fn evicted_ones_wait_behind_fresh_ones_in_the_order_of_their_eviction() {
        let mut table = table::<8>(&["ab"]);
        assert_eq!(order(&mut table, 1), "ab");
        table.evict(1, 0);
        table.evict(0, 0);
        answer(&mut table, "A");
        assert_eq!(order(&mut table, 1), "Aba");
        assert_eq!(table.get(0).unwrap().rounds(), 1);
    }

    #[test]
    fn an_evicted_one_that_was_withdrawn_is_not_started_again() {
        let mut table = table::<8>(&["ab"]);
        assert_eq!(order(&mut table, 1), "ab");
        answer(&mut table, "b");
        table.evict(0, 0);
        table.evict(1, 0);
        assert_eq!(order(&mut table, 1), "b");
    }

    #[test]
    fn one_that_was_taken_back_after_its_eviction_has_its_turn_when_it_is_listed_again() {
        let mut table = table::<8>(&["ab"]);
        assert_eq!(order(&mut table, 1), "ab");
        table.evict(0, 0);
        answer(&mut table, "b");
        assert_eq!(order(&mut table, 1), "");
        answer(&mut table, "ba");
        assert_eq!(order(&mut table, 1), "a");
    }

    /// The first two times it makes way for an address that was never tried, the third for one that has had
    /// as many turns.
    #[test]
    fn a_patience_that_a_fresh_address_cut_short_does_not_double() {
        let mut table = table::<8>(&["ab"]);
        assert_eq!(order(&mut table, 1), "ab");
        for (given, rounds) in [(0, 1), (0, 1), (1, 2)] {
            table.evict(0, given);
            assert_eq!(table.get(0).unwrap().rounds(), rounds);
            assert_eq!(order(&mut table, 1), "a");
        }
    }

    #[test]
    fn one_put_back_goes_first() {
        let mut table = table::<8>(&["abc"]);
        assert_eq!(order(&mut table, 1), "abc");
        table.evict(0, 0);
        table.evict(1, 0);
        let next = table.next(Family::V6, 1).unwrap();
        table.start(next, Family::V6);
        table.put_back(next, Family::V6);
        assert_eq!(order(&mut table, 1), "ab");
    }

    #[test]
    fn one_put_back_was_not_started_by_that() {
        let mut table = table::<8>(&["ab"]);
        assert_eq!(order(&mut table, 1), "ab");
        table.evict(0, 0);
        table.put_back(0, Family::V6);
        table.put_back(1, Family::V6);
        assert_eq!([0, 1].map(|place| table.get(place).unwrap().was_started()), [true, false]);
    }

    #[test]
    fn one_put_back_keeps_its_turn_between_the_families() {
        for (started, rest) in [(1, "aAbB"), (2, "AbB"), (3, "bB"), (4, "B")] {
            let mut table = table::<8>(&["ab", "AB"]);
            let mut last = 0;
            for _ in 0..started {
                last = table.next(Family::V6, 1).unwrap();
                table.start(last, Family::V6);
            }
            table.put_back(last, Family::V6);
            assert_eq!(order(&mut table, 1), rest);
        }
    }

    #[test]
    fn an_address_keeps_its_zone() {
        let link_local: SocketAddr = "[fe80::1%3]:80".parse().unwrap();
        let mut table = Destinations::<8>::new();
        table.answer(Families::Both, [link_local].into_iter(), &mut |_| ());
        assert_eq!(table.get(0).unwrap().address(), link_local);
    }
}
