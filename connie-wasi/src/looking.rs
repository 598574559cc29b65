//! A look-up beside a race, whoever is asked.

use connie_core::connect::{Input, Order};
use connie_core::resolution::Query;
use connie_core::resolution::selection::Route;
use connie_core::{Families, Instant};
#[cfg(feature = "dns")]
use {
    crate::dns::{DnsEvent, DnsLookup, DnsSockets},
    crate::route::route,
    alloc::vec::Vec,
};

use crate::lookup::{LookupError, LookupEvent, NameLookup};
use crate::poll::{PollSet, WasiClock};
use crate::report::Racer;
use crate::resolver::Resolver;
use crate::socket::WasiStack;

/// A look-up under way.
#[derive(Debug)]
pub(crate) enum Looking {
    Runtime(NameLookup),
    #[cfg(feature = "dns")]
    Dns(DnsLookup),
}

impl Looking {
    /// Begins to look `name` up. What goes wrong is heard later.
    pub(crate) fn start(
        resolver: &Resolver,
        stack: &mut WasiStack,
        name: &str,
        port: u16,
        families: Families,
    ) -> Self {
        match resolver {
            Resolver::Runtime => Looking::Runtime(NameLookup::start(stack.network(), name, port, families)),
            #[cfg(feature = "dns")]
            Resolver::Dns(dns) => Looking::Dns(dns.look_up(name, port, families)),
        }
    }

    /// What is waited for.
    pub(crate) fn asked(&self) -> Asked<'_> {
        match self {
            Looking::Runtime(lookup) => Asked::Runtime(lookup),
            #[cfg(feature = "dns")]
            Looking::Dns(lookup) => Asked::Dns(lookup.sockets()),
        }
    }

    /// Until when, as `clock` counts.
    #[cfg_attr(not(feature = "dns"), expect(unused_variables))]
    pub(crate) fn wake_at(&self, clock: WasiClock) -> Option<Instant> {
        match self {
            Looking::Runtime(_) => None,
            #[cfg(feature = "dns")]
            Looking::Dns(lookup) => lookup.wake_at(clock),
        }
    }

    /// Tells the race what has come of its name. Answers why the runtime has no answer.
    #[cfg_attr(not(feature = "dns"), expect(unused_variables))]
    pub(crate) fn hear(
        &mut self,
        stack: &mut WasiStack,
        connector: &mut Racer,
        now: Instant,
    ) -> Option<LookupError> {
        match self {
            Looking::Runtime(lookup) => hear_runtime(lookup, connector, now),
            #[cfg(feature = "dns")]
            Looking::Dns(lookup) => {
                hear_servers(lookup, stack, connector, now);
                None
            }
        }
    }

    /// The same of the prefix of the network's NAT64. Without one there is nothing to tell but that.
    pub(crate) fn hear_prefix(&mut self, connector: &mut Racer, now: Instant) {
        let query = Query::Nat64Prefix;
        let order = Order::Best(Route::Unknown);
        match self {
            Looking::Runtime(lookup) => {
                while let Some(event) = lookup.poll() {
                    let input = match &event {
                        LookupEvent::Hinted(..) => continue,
                        LookupEvent::Answered(_, addresses) => Input::Answered { query, addresses, order },
                        LookupEvent::Failed(_, error) => {
                            Input::QueryFailed { query, error: error.query_error() }
                        }
                    };
                    connector.handle_input(input, now);
                }
            }
            #[cfg(feature = "dns")]
            Looking::Dns(lookup) => {
                while let Some(event) = lookup.poll() {
                    let input = match &event {
                        DnsEvent::Answered(_, addresses) => Input::Answered { query, addresses, order },
                        DnsEvent::Failed(_, error) => Input::QueryFailed { query, error: *error },
                    };
                    connector.handle_input(input, now);
                }
            }
        }
    }
}

/// What a look-up waits for, while it is waited for.
pub(crate) enum Asked<'a> {
    Runtime(&'a NameLookup),
    #[cfg(feature = "dns")]
    Dns(DnsSockets<'a>),
}

impl Asked<'_> {
    pub(crate) fn watch<'s>(&'s self, set: &mut PollSet<'s>) {
        match self {
            Asked::Runtime(lookup) => {
                if let Some(pollable) = lookup.pollable() {
                    set.watch(pollable);
                }
            }
            #[cfg(feature = "dns")]
            Asked::Dns(sockets) => sockets.watch(set),
        }
    }
}

fn hear_runtime(lookup: &mut NameLookup, connector: &mut Racer, now: Instant) -> Option<LookupError> {
    let mut failed = None;
    while let Some(event) = lookup.poll() {
        // The runtime's list is in the host's own order, which knows more of the host than a component does. So nothing is sorted here; and
        // that the family of its first address is the better one, the first of the other has to say for itself: by no way leads to it.
        let first = lookup.best_family();
        let order = |family| match first {
            Some(first) if first != family => Order::Best(Route::Unreachable),
            _ => Order::Best(Route::Unknown),
        };
        let input = match &event {
            LookupEvent::Hinted(family, addresses) => {
                Input::Hinted { family: *family, addresses, order: order(*family) }
            }
            LookupEvent::Answered(family, addresses) => {
                Input::Answered { query: Query::of(*family), addresses, order: order(*family) }
            }
            LookupEvent::Failed(family, error) => {
                failed = Some(*error);
                Input::QueryFailed { query: Query::of(*family), error: error.query_error() }
            }
        };
        connector.handle_input(input, now);
    }
    failed
}

/// Servers have no order that knows of the host: RFC 6724 puts the addresses in order by what UDP sockets tell of the ways there.
#[cfg(feature = "dns")]
fn hear_servers(lookup: &mut DnsLookup, stack: &mut WasiStack, connector: &mut Racer, now: Instant) {
    while let Some(event) = lookup.poll() {
        let routes: Vec<Route>;
        let input = match &event {
            DnsEvent::Answered(family, addresses) => {
                routes = addresses.iter().map(|address| route(stack, *address)).collect();
                Input::Answered { query: Query::of(*family), addresses, order: Order::Any(&routes) }
            }
            DnsEvent::Failed(family, error) => {
                Input::QueryFailed { query: Query::of(*family), error: *error }
            }
        };
        connector.handle_input(input, now);
    }
}
