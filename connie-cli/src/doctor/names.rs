//! What each name server answers for a host, for each family.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use connie_core::resolution::{Host, LOOPBACK, QueryError};
use connie_core::{Families, Family, Instant};
#[cfg(feature = "dns")]
use connie_std::dns::{Dns, HttpsRecords};
use connie_std::http1::connect_plain_socket;
use connie_std::resolve::{Resolver, ResolverError};
use connie_std::{AddressFilter, ConnectErrorKind, IpNetwork, Options, OsClock};

use super::probe::source;
use super::target::DoctorTarget;
use crate::args::Doctor;

/// The resolver that was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueriedResolver {
    /// The system's: its files and its resolver.
    System,
    /// A name server, directly.
    #[cfg_attr(not(feature = "dns"), expect(dead_code, reason = "asked by the DNS client alone"))]
    Server(SocketAddr),
}

/// A question for the addresses of one family, and its answer.
#[derive(Clone, Debug)]
pub struct NameQuery {
    pub asked: QueriedResolver,
    pub family: Family,
    pub elapsed: Duration,
    /// No addresses where the name has none of the family; otherwise why there is no answer.
    pub answer: Result<Vec<SocketAddr>, ResolverError>,
}

/// Asks every resolver, and returns the addresses to try, in the order in which a plain client tries them.
pub fn ask(args: &Doctor, target: &DoctorTarget, limit: Duration) -> (Vec<NameQuery>, Vec<SocketAddr>) {
    let DoctorTarget { host, port, .. } = target;
    let given =
        args.resolve.iter().rfind(|entry| entry.port == *port && entry.host.eq_ignore_ascii_case(host));
    let given = given.or_else(|| args.resolve.iter().rfind(|entry| entry.port == *port && entry.host == "*"));
    if let Some(given) = given {
        let addresses = given.addresses.iter().map(|ip| SocketAddr::new(*ip, *port));
        return (Vec::new(), addresses.collect());
    }
    match Host::parse(host) {
        Ok(Host::Name(_)) | Err(_) => {}
        Ok(Host::Loopback) => {
            let addresses = LOOPBACK.iter().map(|ip| SocketAddr::new(*ip, *port));
            return (Vec::new(), addresses.collect());
        }
        // These are not looked up.
        Ok(Host::Nowhere) => return (Vec::new(), Vec::new()),
        // With its zone, as the system reads that.
        Ok(Host::Address(_)) => {
            let address = (host.as_str(), *port).to_socket_addrs().into_iter().flatten();
            return (Vec::new(), address.collect());
        }
    }
    // With a client of its own for each question, so that its time is its own, too.
    let [v6, v4] = [resolvers(args, limit), resolvers(args, limit)];
    let questions = v6.iter().zip(&v4).flat_map(|(v6, v4)| [(v6, Family::V6), (v4, Family::V4)]);
    let queries: Vec<NameQuery> = std::thread::scope(|scope| {
        let asked: Vec<_> = questions
            .map(|((asked, resolver), family)| {
                scope.spawn(move || query(*asked, resolver, family, target, limit))
            })
            .collect();
        asked.into_iter().filter_map(|thread| thread.join().ok()).collect()
    });
    let addresses = in_order(target, &queries);
    (queries, addresses)
}

/// The resolvers to ask.
fn resolvers(args: &Doctor, limit: Duration) -> Vec<(QueriedResolver, Resolver)> {
    #[cfg(feature = "dns")]
    {
        let own = args.dns_server.clone();
        let system =
            if own.is_empty() { vec![(QueriedResolver::System, Resolver::System)] } else { Vec::new() };
        let conf = Dns::system().unwrap_or_else(|_| Dns::new([]));
        let servers = if own.is_empty() { conf.servers.clone() } else { own };
        let servers = servers.into_iter().map(|server| {
            // Each by itself, and no file before it.
            let dns = Dns::new([server])
                .hosts_file(None)
                .https_records(HttpsRecords::Never)
                .timeout(limit)
                .search(conf.search.clone())
                .ndots(conf.ndots);
            (QueriedResolver::Server(server), dns.into())
        });
        system.into_iter().chain(servers).collect()
    }
    #[cfg(not(feature = "dns"))]
    {
        let _ = (args, limit);
        vec![(QueriedResolver::System, Resolver::System)]
    }
}

/// One query. A race asks it that may try none of the addresses, so that the answer is the one that a race
/// would get.
fn query(
    asked: QueriedResolver,
    resolver: &Resolver,
    family: Family,
    target: &DoctorTarget,
    limit: Duration,
) -> NameQuery {
    let everything = [(IpAddr::from(Ipv4Addr::UNSPECIFIED), 0), (Ipv6Addr::UNSPECIFIED.into(), 0)];
    let everything = everything.into_iter().filter_map(|(prefix, length)| IpNetwork::new(prefix, length));
    let options = Options::new()
        .families(Families::Only(family))
        // A name server is asked again before it counts as silent.
        .deadline(limit.saturating_mul(2))
        .resolver(resolver.clone())
        .filter(everything.fold(AddressFilter::default(), AddressFilter::deny));
    let clock = OsClock::start();
    let connected = connect_plain_socket((target.host.as_str(), target.port), &options);
    let elapsed = clock.now().duration_since(Instant::ZERO);
    let answer = match connected {
        // None may be tried.
        Ok(_) => Ok(Vec::new()),
        Err(error) => match (error.kind(), error.failed_queries()) {
            (ConnectErrorKind::Denied(report), _) => Ok(report.denied().to_vec()),
            (_, [failed, ..]) => Err(failed.error.clone()),
            (ConnectErrorKind::Race(connie_core::Failure::DeadlineExceeded, _), _) => {
                Err(QueryError::TimedOut.into())
            }
            _ => Ok(Vec::new()),
        },
    };
    NameQuery { asked, family, elapsed, answer }
}

/// The addresses of the answers: as the system orders them, where it was asked, and then those that only
/// others know.
fn in_order(target: &DoctorTarget, queries: &[NameQuery]) -> Vec<SocketAddr> {
    let answers = |wanted: fn(&NameQuery) -> bool| {
        let queries = queries.iter().filter(move |query| wanted(query));
        queries.filter_map(|query| query.answer.as_ref().ok()).flatten().copied()
    };
    let mut addresses = Vec::new();
    let system: Vec<_> = answers(|query| query.asked == QueriedResolver::System).collect();
    let has_answered = |query: &NameQuery| query.asked != QueriedResolver::System || query.answer.is_ok();
    if !system.is_empty() && queries.iter().all(has_answered) {
        // getaddrinfo has them in the order of RFC 6724. It has just answered for both families, and does so
        // at once again. Where one has failed, it would be waited for without a limit.
        let ordered = (target.host.as_str(), target.port).to_socket_addrs().into_iter().flatten();
        addresses.extend(ordered.filter(|address| system.contains(address)));
    }
    addresses.extend(system);
    // Of a name server: those first that there is a route to, and IPv6 before IPv4, as the order of RFC 6724
    // is for nearly all.
    let others: Vec<_> = answers(|query| query.asked != QueriedResolver::System).collect();
    let has_route = |address: &&SocketAddr| source(**address).is_some();
    addresses.extend(others.iter().filter(has_route));
    addresses.extend(&others);
    let mut seen = Vec::new();
    addresses.retain(|address| {
        let new = !seen.contains(address);
        seen.push(*address);
        new
    });
    addresses
}
