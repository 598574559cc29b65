//! A lookup beside a race, whoever is asked.

use connie_core::connect::{AddressOrder, ConnectInput};
use connie_core::resolution::Query;
use connie_core::resolution::selection::Route;
use connie_core::{Families, Instant};
#[cfg(feature = "dns")]
use {
    crate::dns::{DnsEvent, DnsLookup, DnsSockets},
    crate::route::route,
    alloc::vec::Vec,
};

use crate::lookup::{LookupEvent, NameLookup, RuntimeLookupError};
use crate::options::Resolver;
use crate::poll::{PollSet, WasiClock};
use crate::report::WasiConnectDriver;
use crate::socket::WasiStack;

/// A lookup under way.
#[derive(Debug)]
pub(crate) enum HostLookup {
    Runtime(NameLookup),
    #[cfg(feature = "dns")]
    Dns(DnsLookup),
}

impl HostLookup {
    /// Begins to look `name` up. What goes wrong is reported later.
    pub(crate) fn start(
        resolver: &Resolver,
        stack: &mut WasiStack,
        name: &str,
        port: u16,
        families: Families,
    ) -> Self {
        match resolver {
            Resolver::Runtime => {
                HostLookup::Runtime(NameLookup::start(stack.network(), name, port, families))
            }
            #[cfg(feature = "dns")]
            Resolver::Dns(dns) => HostLookup::Dns(dns.look_up(name, port, families)),
        }
    }

    /// What is waited for.
    pub(crate) fn pollables(&self) -> LookupPollables<'_> {
        match self {
            HostLookup::Runtime(lookup) => LookupPollables::Runtime(lookup),
            #[cfg(feature = "dns")]
            HostLookup::Dns(lookup) => LookupPollables::Dns(lookup.sockets()),
        }
    }

    /// Until when, as `clock` counts.
    #[cfg_attr(not(feature = "dns"), expect(unused_variables))]
    pub(crate) fn wake_at(&self, clock: WasiClock) -> Option<Instant> {
        match self {
            HostLookup::Runtime(_) => None,
            #[cfg(feature = "dns")]
            HostLookup::Dns(lookup) => lookup.wake_at(clock),
        }
    }

    /// Tells the race what has come of its name. Answers why the runtime has no answer.
    #[cfg_attr(not(feature = "dns"), expect(unused_variables))]
    pub(crate) fn handle_events(
        &mut self,
        stack: &mut WasiStack,
        driver: &mut WasiConnectDriver,
        now: Instant,
    ) -> Option<RuntimeLookupError> {
        match self {
            HostLookup::Runtime(lookup) => handle_runtime_events(lookup, driver, now),
            #[cfg(feature = "dns")]
            HostLookup::Dns(lookup) => {
                handle_dns_events(lookup, stack, driver, now);
                None
            }
        }
    }

    /// The same of the prefix of the network's NAT64. Without one there is nothing to tell but that.
    pub(crate) fn handle_prefix(&mut self, driver: &mut WasiConnectDriver, now: Instant) {
        let query = Query::Nat64Prefix;
        let order = AddressOrder::Best(Route::Unknown);
        match self {
            HostLookup::Runtime(lookup) => {
                while let Some(event) = lookup.poll() {
                    let input = match &event {
                        LookupEvent::Hinted(..) => continue,
                        LookupEvent::Answered(_, addresses) => {
                            ConnectInput::Answered { query, addresses, order }
                        }
                        LookupEvent::Failed(_, error) => {
                            ConnectInput::QueryFailed { query, error: error.query_error() }
                        }
                    };
                    driver.handle_input(input, now);
                }
            }
            #[cfg(feature = "dns")]
            HostLookup::Dns(lookup) => {
                while let Some(event) = lookup.poll() {
                    let input = match &event {
                        DnsEvent::Answered(_, addresses) => {
                            ConnectInput::Answered { query, addresses, order }
                        }
                        DnsEvent::Failed(_, error) => ConnectInput::QueryFailed { query, error: *error },
                    };
                    driver.handle_input(input, now);
                }
            }
        }
    }
}

/// What a lookup waits for, while it is waited for.
pub(crate) enum LookupPollables<'a> {
    Runtime(&'a NameLookup),
    #[cfg(feature = "dns")]
    Dns(DnsSockets<'a>),
}

impl LookupPollables<'_> {
    pub(crate) fn watch<'s>(&'s self, set: &mut PollSet<'s>) {
        match self {
            LookupPollables::Runtime(lookup) => {
                if let Some(pollable) = lookup.pollable() {
                    set.watch(pollable);
                }
            }
            #[cfg(feature = "dns")]
            LookupPollables::Dns(sockets) => sockets.watch(set),
        }
    }
}

fn handle_runtime_events(
    lookup: &mut NameLookup,
    driver: &mut WasiConnectDriver,
    now: Instant,
) -> Option<RuntimeLookupError> {
    let mut failed = None;
    while let Some(event) = lookup.poll() {
        // The runtime's list is in the host's own order, which knows more of the host than a component does.
        // So nothing is sorted here; and that the family of its first address is the better one, the first of
        // the other has to say for itself: by no way leads to it.
        let first = lookup.best_family();
        let order = |family| match first {
            Some(first) if first != family => AddressOrder::Best(Route::Unreachable),
            _ => AddressOrder::Best(Route::Unknown),
        };
        let input = match &event {
            LookupEvent::Hinted(family, addresses) => {
                ConnectInput::Hinted { family: *family, addresses, order: order(*family) }
            }
            LookupEvent::Answered(family, addresses) => {
                ConnectInput::Answered { query: Query::of(*family), addresses, order: order(*family) }
            }
            LookupEvent::Failed(family, error) => {
                failed = Some(*error);
                ConnectInput::QueryFailed { query: Query::of(*family), error: error.query_error() }
            }
        };
        driver.handle_input(input, now);
    }
    failed
}

/// Servers have no order that knows of the host: RFC 6724 puts the addresses in order by what UDP sockets
/// tell of the ways there.
#[cfg(feature = "dns")]
fn handle_dns_events(
    lookup: &mut DnsLookup,
    stack: &mut WasiStack,
    driver: &mut WasiConnectDriver,
    now: Instant,
) {
    while let Some(event) = lookup.poll() {
        let routes: Vec<Route>;
        let input = match &event {
            DnsEvent::Answered(family, addresses) => {
                routes = addresses.iter().map(|address| route(stack, *address)).collect();
                ConnectInput::Answered {
                    query: Query::of(*family),
                    addresses,
                    order: AddressOrder::Any(&routes),
                }
            }
            DnsEvent::Failed(family, error) => {
                ConnectInput::QueryFailed { query: Query::of(*family), error: *error }
            }
        };
        driver.handle_input(input, now);
    }
}
