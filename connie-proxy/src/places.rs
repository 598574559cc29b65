//! Room for clients, and how it is shared: no client can take all of it by connecting again and again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How many clients beyond those that are served may be told at the same time that the proxy is busy. Others
/// are closed without a word.
const TOLD_AT_ONCE: usize = 64;

/// Room for clients.
///
/// A holder gets another place as long as it has fewer than are free. So one that takes all it can get ends
/// with half of them, two such holders with a third each, and there is always one for a newcomer.
#[derive(Debug)]
pub(crate) struct Places {
    most: usize,
    /// The most for one holder.
    most_each: usize,
    state: Mutex<PlacesState>,
}

#[derive(Debug, Default)]
struct PlacesState {
    taken: usize,
    told: usize,
    held: HashMap<Holder, usize>,
}

/// Who has places.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Holder {
    /// Everyone with this address; for IPv6, everyone in this /64 network, where a host may take any address.
    Address(IpAddr),
    /// Everyone who has logged in by this name.
    User(Vec<u8>),
}

impl Holder {
    /// The holder of a client with this address; `None` for programs on this machine, which cannot be told
    /// apart.
    pub(crate) fn of_address(client: IpAddr) -> Option<Self> {
        let client = client.to_canonical();
        if client.is_loopback() {
            return None;
        }
        Some(Holder::Address(match client {
            IpAddr::V4(_) => client,
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        }))
    }
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// All are taken.
    Full,
    /// The holder has its share.
    Share,
}

impl NoPlace {
    pub(crate) fn text(self) -> &'static str {
        match self {
            NoPlace::Full => "the proxy already has as many clients as it may serve",
            NoPlace::Share => "you have as many connections as this proxy allows one client",
        }
    }
}

/// A place, which is free again when it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    kind: PlaceKind,
}

#[derive(Debug)]
enum PlaceKind {
    /// To be served.
    Served(Option<Holder>),
    /// To be told why it is not served.
    Told,
}

impl Places {
    pub(crate) fn new(most: usize, most_each: usize) -> Arc<Self> {
        Arc::new(Places { most: most.max(1), most_each: most_each.max(1), state: Mutex::default() })
    }

    /// A place to be served on.
    pub(crate) fn take(self: &Arc<Self>, holder: Option<Holder>) -> Result<Place, NoPlace> {
        let mut state = self.state();
        let free = self.most.saturating_sub(state.taken);
        if free == 0 {
            return Err(NoPlace::Full);
        }
        self.count(&mut state, holder.as_ref(), free)?;
        state.taken += 1;
        Ok(Place { places: Arc::clone(self), kind: PlaceKind::Served(holder) })
    }

    /// A place to be told that there is none.
    pub(crate) fn take_told(self: &Arc<Self>) -> Option<Place> {
        let mut state = self.state();
        if state.told >= TOLD_AT_ONCE {
            return None;
        }
        state.told += 1;
        Some(Place { places: Arc::clone(self), kind: PlaceKind::Told })
    }

    /// Counts one more for a holder, if it may have one of the free places.
    fn count(&self, state: &mut PlacesState, holder: Option<&Holder>, free: usize) -> Result<(), NoPlace> {
        let Some(holder) = holder else { return Ok(()) };
        let held = state.held.get(holder).copied().unwrap_or(0);
        if held >= self.most_each || held >= free {
            return Err(NoPlace::Share);
        }
        *state.held.entry(holder.clone()).or_default() += 1;
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, PlacesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl PlacesState {
    fn discount(&mut self, holder: Holder) {
        if let Entry::Occupied(mut held) = self.held.entry(holder) {
            *held.get_mut() -= 1;
            if *held.get() == 0 {
                held.remove();
            }
        }
    }
}

impl Place {
    /// Whether it counts for a holder.
    pub(crate) fn has_holder(&self) -> bool {
        matches!(self.kind, PlaceKind::Served(Some(_)))
    }

    /// Counts it for this holder from now on.
    pub(crate) fn give_to(&mut self, holder: Holder) -> Result<(), NoPlace> {
        let PlaceKind::Served(before) = &mut self.kind else { return Ok(()) };
        let mut state = self.places.state();
        // The place itself counts as free for the new holder.
        let free = self.places.most.saturating_sub(state.taken) + 1;
        self.places.count(&mut state, Some(&holder), free)?;
        if let Some(before) = before.replace(holder) {
            state.discount(before);
        }
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.places.state();
        match &mut self.kind {
            PlaceKind::Told => state.told -= 1,
            PlaceKind::Served(holder) => {
                state.taken -= 1;
                if let Some(holder) = holder.take() {
                    state.discount(holder);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Holder> {
        Holder::of_address(text.parse().unwrap())
    }

    fn is_empty(places: &Arc<Places>) -> bool {
        let state = places.state();
        state.held.is_empty() && state.taken == 0
    }

    /// All the places that this holder can still get.
    fn all(places: &Arc<Places>, holder: Option<&Holder>) -> Vec<Place> {
        std::iter::from_fn(|| places.take(holder.cloned()).ok()).collect()
    }

    #[test]
    fn who_takes_whatever_there_is_has_half_of_it() {
        let places = Places::new(100, usize::MAX);
        let (greedy, other) = (at("192.0.2.1"), at("192.0.2.2"));
        let held = all(&places, greedy.as_ref());
        assert_eq!(held.len(), 50);
        assert_eq!(places.take(greedy.clone()).unwrap_err(), NoPlace::Share);
        let others = all(&places, other.as_ref());
        assert_eq!(others.len(), 25, "and a second one half of the rest");
        assert!(places.take(at("192.0.2.3")).is_ok(), "there is one for somebody new");
        // Clients on this machine may take all that is left.
        assert_eq!(all(&places, None).len(), 25);
        drop((held, others));
        assert!(is_empty(&places));
    }

    #[test]
    fn nobody_has_more_than_a_limit() {
        let places = Places::new(100, 3);
        assert_eq!(all(&places, at("192.0.2.1").as_ref()).len(), 3);
        let held = all(&places, None);
        assert_eq!(held.len(), 100, "without a holder there is none");
        assert_eq!(places.take(at("192.0.2.1")).unwrap_err(), NoPlace::Full);
        let told: Vec<_> = std::iter::from_fn(|| places.take_told()).collect();
        assert_eq!(told.len(), TOLD_AT_ONCE);
        drop(told);
        assert!(places.take_told().is_some());
    }

    #[test]
    fn a_place_may_become_a_users() {
        let places = Places::new(10, usize::MAX);
        let me = || Holder::User(b"me".to_vec());
        let mut held = Vec::new();
        for _ in 0..5 {
            let mut place = places.take(at("192.0.2.1")).unwrap();
            place.give_to(me()).unwrap();
            held.push(place);
        }
        assert_eq!(places.state().held.get(&me()), Some(&5));
        assert_eq!(places.state().held.len(), 1, "the address holds none");
        let mut place = places.take(None).unwrap();
        assert_eq!(place.give_to(me()), Err(NoPlace::Share));
        place.give_to(Holder::User(b"you".to_vec())).unwrap();
        drop((place, held));
        assert!(is_empty(&places));
    }

    #[test]
    fn a_network_of_ipv6_is_one_holder() {
        assert_eq!(at("2001:db8:1:2::3"), at("2001:db8:1:2:ffff::"));
        assert_ne!(at("2001:db8:1:2::3"), at("2001:db8:1:3::3"));
        assert_eq!(at("::ffff:192.0.2.1"), at("192.0.2.1"));
        assert_ne!(at("192.0.2.1"), at("192.0.2.2"));
        for here in ["127.0.0.1", "::1", "::ffff:127.0.0.2"] {
            assert_eq!(at(here), None);
        }
    }
}
