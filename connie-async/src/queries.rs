//! The lookups of one connect: what was asked for, and how an answer is passed on.

use core::convert::Infallible;
use core::future::Future;
use core::net::{IpAddr, SocketAddr};
use core::pin::Pin;
use core::task::{Context, Poll};

use connie_core::connect::{AddressOrder, Connect, ConnectInput};
use connie_core::race::Guide;
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{Family, Instant};
use heapless::Vec;

use crate::lookup::{AddressList, Lookup, is_of};

/// From a host's text to the connection that wins. As many records as sockets: the timeline is seldom read.
pub(crate) type ConnectMachine<const ADDRESSES: usize, const SOCKETS: usize, G> =
    Connect<ADDRESSES, SOCKETS, SOCKETS, NAT64, G>;

/// For how many addresses of each family there is room where IPv4 is reached through NAT64.
const NAT64: usize = if cfg!(feature = "nat64") { 8 } else { 0 };

/// How many queries one connect sends at most: for the prefix of a NAT64 only where there is room for what it
/// leads to.
pub(crate) const QUERIES: usize = if cfg!(feature = "nat64") { 3 } else { 2 };

/// The addresses that answer `query` for `host`.
pub(crate) async fn look_up_query<L: Lookup, const ADDRESSES: usize>(
    names: &L,
    host: &str,
    query: Query,
) -> Result<Vec<IpAddr, ADDRESSES>, L::Error> {
    let mut found = Vec::new();
    let family = family(query);
    names.lookup_served(query.name(host), family, &mut AddressList::new(family, &mut found)).await?;
    Ok(found)
}

/// Whose addresses answer `query`.
const fn family(query: Query) -> Family {
    match query {
        Query::A => Family::V4,
        Query::Aaaa | Query::Nat64Prefix => Family::V6,
    }
}

/// Tells `connect` what has come of `query`, with the best address first, as a [`Lookup`] has them. Addresses
/// of the other family are passed over. All are destinations with the port of `remote`.
pub(crate) fn handle_answer<L: Lookup, const ADDRESSES: usize, const SOCKETS: usize, G: Guide>(
    connect: &mut ConnectMachine<ADDRESSES, SOCKETS, G>,
    names: &L,
    query: Query,
    answer: Result<&[IpAddr], QueryError>,
    remote: SocketAddr,
    now: Instant,
) {
    let found = match answer {
        Ok(found) => found,
        Err(error) => return connect.handle_input(ConnectInput::QueryFailed { query, error }, now),
    };
    let addresses = with_port::<ADDRESSES>(found, remote);
    let best = found.iter().find(|ip| is_of(family(query), ip));
    let order = AddressOrder::Best(best.map_or(Route::Unknown, |ip| names.route(*ip)));
    connect.handle_input(ConnectInput::Answered { query, addresses: &addresses, order }, now);
}

/// `addresses` with the port of `remote`, whose zone stays with it.
pub(crate) fn with_port<const ADDRESSES: usize>(
    addresses: &[IpAddr],
    remote: SocketAddr,
) -> Vec<SocketAddr, ADDRESSES> {
    let mut list = Vec::new();
    for ip in addresses {
        let destination = if *ip == remote.ip() { remote } else { SocketAddr::new(*ip, remote.port()) };
        // No list has more than this holds: each was taken in with this capacity.
        let _ = list.push(destination);
    }
    list
}

/// Why `connect` has no address of `host`: of the queries that failed the one that tells most. `None`: the
/// name has none.
pub(crate) fn query_failure<const ADDRESSES: usize, const SOCKETS: usize, G: Guide>(
    connect: &ConnectMachine<ADDRESSES, SOCKETS, G>,
    host: &str,
) -> Option<QueryError> {
    connect.failures(host).map(|failure| failure.error).min_by_key(|error| error.precedence())
}

/// The lookups that go on, each in its place, in the order of [`Query::ALL`], and what
/// [serves](Lookup::serve) them.
pub(crate) struct PendingQueries<'p, F, S> {
    pub(crate) places: [Pin<&'p mut Option<F>>; QUERIES],
    pub(crate) serving: Pin<&'p mut Option<S>>,
}

impl<F: Future, S: Future<Output = Infallible>> PendingQueries<'_, F, S> {
    /// `serve` is for the first.
    pub(crate) fn begin(&mut self, query: Query, lookup: F, serve: impl FnOnce() -> S) {
        let mut places = Query::ALL.into_iter().zip(&mut self.places);
        if let Some((_, place)) = places.find(|(of, _)| *of == query) {
            place.set(Some(lookup));
        }
        if self.serving.is_none() {
            self.serving.set(Some(serve()));
        }
    }

    /// What has come, one at a time: to be called until nothing has.
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Option<(Query, F::Output)> {
        if let Some(come) = self.look(cx) {
            return Some(come);
        }
        if self.places.iter().all(|place| place.is_none()) {
            self.serving.set(None);
        }
        let _: Poll<Infallible> = self.serving.as_mut().as_pin_mut()?.poll(cx);
        self.look(cx)
    }

    fn look(&mut self, cx: &mut Context<'_>) -> Option<(Query, F::Output)> {
        let mut places = Query::ALL.into_iter().zip(&mut self.places);
        places.find_map(|(query, place)| Some((query, poll_once(place.as_mut(), cx)?)))
    }
}

/// A place for what `make` gives.
pub(crate) fn empty_slot<A, F>(_: &impl Fn(A) -> F) -> Option<F> {
    None
}

/// Polls the future in `place`, where there is one, and drops it when it has ended.
pub(crate) fn poll_once<F: Future>(
    mut place: Pin<&mut Option<F>>,
    cx: &mut Context<'_>,
) -> Option<F::Output> {
    match place.as_mut().as_pin_mut()?.poll(cx) {
        Poll::Ready(output) => {
            place.set(None);
            Some(output)
        }
        Poll::Pending => None,
    }
}
