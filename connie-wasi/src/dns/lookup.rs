//! A lookup by name servers, beside a race.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::cell::Ref;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

use connie_core::resolution::QueryError;
use connie_core::{Families, Family, Instant};
use connie_dns::{LONGEST_NAME, Name, RecordLookup, RecordType, WantedRecords};

use super::driver::Driver;
use super::shared::SharedDriver;
use super::sockets::Sockets;
use crate::poll::{PollSet, WasiClock};
use crate::socket::WasiStack;

/// What a lookup reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DnsEvent {
    /// The addresses of a family in the server's order; none where the name has none.
    Answered(Family, Vec<SocketAddr>),
    /// There is no answer for a family.
    Failed(Family, QueryError),
}

/// What is asked, for one name after the other.
pub(super) type SearchLookup = RecordLookup<LONGEST_NAME, alloc::vec::IntoIter<Name>>;

/// A lookup under way. Dropping it ends it.
///
/// ```no_run
/// use connie_wasi::{PollSet, WasiClock, connie_core::Families, dns::{Dns, DnsEvent}};
///
/// let dns = Dns::new(["192.0.2.53:53".parse().unwrap()]);
/// let (clock, mut lookup) = (WasiClock::start(), dns.look_up("example.org", 80, Families::Both));
/// while !lookup.is_done() {
///     while let Some(event) = lookup.poll() {
///         println!("{event:?}");
///     }
///     let (sockets, mut set) = (lookup.sockets(), PollSet::default());
///     sockets.watch(&mut set);
///     set.wait(clock, lookup.wake_at(clock));
/// }
/// ```
pub struct DnsLookup {
    shared: SharedDriver,
    lookup: Option<Box<SearchLookup>>,
    port: u16,
    /// The news of the driver that it has seen.
    seen: Option<u32>,
    /// What is reported though nobody was asked.
    events: VecDeque<DnsEvent>,
}

impl DnsLookup {
    pub(super) fn start(shared: &SharedDriver, names: Vec<Name>, port: u16, families: Families) -> Self {
        let (aaaa, a) = (families.allow(Family::V6), families.allow(Family::V4));
        let lookup = RecordLookup::from_names(names.into_iter(), WantedRecords { aaaa, a, https: false })
            .map(Box::new);
        let mut events = VecDeque::new();
        if lookup.is_none() {
            let asked = [Family::V6, Family::V4].into_iter().filter(|family| families.allow(*family));
            events.extend(asked.map(|family| DnsEvent::Failed(family, QueryError::NoSuchName)));
        }
        DnsLookup { shared: shared.clone(), lookup, port, seen: None, events }
    }

    /// Does what is to be done now, and returns what is new; `None` when nothing more has come.
    pub fn poll(&mut self) -> Option<DnsEvent> {
        let now = self.shared.clock().now();
        let Some(lookup) = &mut self.lookup else { return self.events.pop_front() };
        let mut driver = self.shared.driver_mut()?;
        let (kind, result) = poll(&mut driver, lookup, &mut self.seen, now)?;
        let family = if kind == RecordType::Aaaa { Family::V6 } else { Family::V4 };
        let at = |ip: IpAddr| SocketAddr::new(ip, self.port);
        Some(match result {
            Ok(addresses) => DnsEvent::Answered(family, addresses.into_iter().map(at).collect()),
            Err(error) => DnsEvent::Failed(family, error),
        })
    }

    /// When to call [`poll`](Self::poll) though no socket is ready, as `clock` counts.
    #[must_use]
    pub fn wake_at(&self, clock: WasiClock) -> Option<Instant> {
        self.lookup.as_ref()?;
        let driver = self.shared.driver();
        if self.seen != Some(driver.news()) {
            // Another lookup of the same driver has read what this one waits for.
            return Some(Instant::ZERO);
        }
        driver.wake_at().map(|at| clock.convert(at, self.shared.clock()))
    }

    /// Whether everything was reported.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.events.is_empty() && self.lookup.as_ref().is_none_or(|lookup| lookup.is_done())
    }

    /// Its sockets, and those of the lookups beside it.
    #[must_use]
    pub fn sockets(&self) -> DnsSockets<'_> {
        DnsSockets(self.shared.driver())
    }
}

/// Does what a lookup wants to have done now. `seen` are the news that it has seen.
pub(super) fn poll<S: Sockets>(
    driver: &mut Driver<S>,
    lookup: &mut SearchLookup,
    seen: &mut Option<u32>,
    now: Instant,
) -> Option<(RecordType, Result<Vec<IpAddr>, QueryError>)> {
    loop {
        let news = driver.news();
        if let Some(event) = lookup.poll(driver.client_mut(), now) {
            return Some((event.kind, event.result.map(|answer| answer.addresses().collect())));
        }
        *seen = Some(news);
        // It asks what the lookup has just wanted to know.
        driver.poll(now);
        if driver.news() == news {
            return None;
        }
    }
}

impl fmt::Debug for DnsLookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DnsLookup").field("lookup", &self.lookup).finish_non_exhaustive()
    }
}

impl Drop for DnsLookup {
    fn drop(&mut self) {
        // The driver cannot be changed while its sockets are borrowed. The client then gives the place up by
        // itself ten seconds after the answer.
        if let (Some(lookup), Some(mut driver)) = (&mut self.lookup, self.shared.driver_mut()) {
            lookup.close(driver.client_mut());
            driver.ended();
        }
    }
}

/// The sockets of a [`Dns`](super::Dns), while they are waited for. Drop it before the next
/// [`poll`](DnsLookup::poll): as long as it lives no lookup of the same `Dns` has news.
pub struct DnsSockets<'a>(Ref<'a, Driver<WasiStack>>);

impl DnsSockets<'_> {
    /// Has a [`PollSet`] wait for them.
    pub fn watch<'s>(&'s self, set: &mut PollSet<'s>) {
        let datagrams = self.0.udp_sockets().filter_map(|socket| socket.pollable());
        let streams = self.0.streams().iter().filter_map(|it| it.socket.pollable(it.interest()));
        for pollable in datagrams.chain(streams) {
            set.watch(pollable);
        }
    }
}
