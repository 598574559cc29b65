//! What the tests of DNS share: a lookup that is driven by hand, and what it told.
#![allow(dead_code, reason = "every test binary uses a part of it")]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Families, Family};
use connie_std::OsClock;
use connie_std::dns::Dns;
use connie_std::resolve::{PendingLookup, Resolve, ResolveEvent, ResolveRequest, ServiceRecord};
use connie_tests::clock::pause;
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType};

pub use connie_tests::lab::ms;

/// The port of lookups.
pub const PORT: u16 = 80;
/// What takes no time takes at most this long.
pub const AT_ONCE: Duration = ms(200);
/// A lookup that takes longer has hung.
const LIMIT: Duration = Duration::from_secs(20);

/// A server on loopback.
#[track_caller]
pub fn server() -> DnsServer {
    DnsServer::start((Ipv4Addr::LOCALHOST, 0).into())
}

/// A resolver that asks these servers, and no hosts file.
pub fn dns<'a>(servers: impl IntoIterator<Item = &'a DnsServer>) -> Dns {
    Dns::new(servers.into_iter().map(DnsServer::address)).hosts_file(None)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The documentation's addresses with these last parts.
pub fn v4(numbers: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
    numbers.into_iter().map(|number| IpAddr::from([192, 0, 2, number])).collect()
}

pub fn v6(numbers: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
    numbers.into_iter().map(|number| ip(&format!("2001:db8::{number:x}"))).collect()
}

/// Gives `name.test` these answers.
pub fn name(server: &DnsServer, aaaa: DnsAnswer, a: DnsAnswer) {
    server.set("name.test", RecordType::Aaaa, aaaa);
    server.set("name.test", RecordType::A, a);
}

/// Everything that a lookup has told, and when.
#[derive(Debug)]
pub struct Told(pub Vec<(Duration, ResolveEvent)>);

/// Runs a lookup of `name.test` to its end.
#[track_caller]
pub fn look_up(dns: &Dns) -> Told {
    look_up_name(dns, "name.test", PORT)
}

#[track_caller]
pub fn look_up_name(dns: &Dns, host: &str, port: u16) -> Told {
    look_up_families(dns, host, port, Families::Both)
}

#[track_caller]
pub fn look_up_families(dns: &Dns, host: &str, port: u16, families: Families) -> Told {
    let clock = OsClock::start();
    let mut question = ResolveRequest::new(host, port, clock);
    question.families = families;
    let mut lookup = dns.lookup(&question, clock.now());
    let mut told = Told(Vec::new());
    loop {
        told.take(&mut *lookup, clock);
        if lookup.wake_at().is_none() {
            return told;
        }
        assert!(clock.now().duration_since(connie_core::Instant::ZERO) < LIMIT, "it does not end: {told:?}");
        pause(ms(1));
    }
}

impl Told {
    fn take(&mut self, lookup: &mut dyn PendingLookup, clock: OsClock) {
        while let Some(event) = lookup.poll(clock.now()) {
            self.0.push((clock.now().duration_since(connie_core::Instant::ZERO), event));
        }
    }

    /// What became of a family in the end, and when that was told.
    #[track_caller]
    fn last(&self, family: Family) -> (Duration, &ResolveEvent) {
        let of_family = |event: &ResolveEvent| match event {
            ResolveEvent::Answered(answer) | ResolveEvent::Hinted(answer) => answer.family == family,
            ResolveEvent::Failed { family: failed, .. } => *failed == family,
            _ => false,
        };
        let last = self.0.iter().rev().find(|(_, event)| of_family(event));
        last.map(|(at, event)| (*at, event)).unwrap_or_else(|| panic!("nothing of {family}: {self:?}"))
    }

    /// In the end a family has these addresses, with [`PORT`]; when that was told.
    #[track_caller]
    pub fn has(&self, family: Family, addresses: &[IpAddr]) -> Duration {
        let expected: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, PORT)).collect();
        self.has_destinations(family, &expected)
    }

    #[track_caller]
    pub fn has_destinations(&self, family: Family, expected: &[SocketAddr]) -> Duration {
        match self.last(family) {
            (at, ResolveEvent::Answered(answer)) => {
                assert_eq!(answer.addresses, expected, "{self:?}");
                at
            }
            _ => panic!("{family} has no answer: {self:?}"),
        }
    }

    /// In the end a family has failed like this, and the resolver says so; when.
    #[track_caller]
    pub fn failed(&self, family: Family, kind: QueryError, detail: &str) -> Duration {
        match self.last(family) {
            (at, ResolveEvent::Failed { error, .. }) => {
                assert_eq!(error.kind, kind, "{self:?}");
                assert!(error.to_string().contains(detail), "{detail:?} is not in {error}");
                at
            }
            _ => panic!("{family} has not failed: {self:?}"),
        }
    }

    /// The hints, in the order of their coming.
    pub fn hints(&self) -> Vec<Vec<SocketAddr>> {
        let hints = self.0.iter().filter_map(|(_, event)| match event {
            ResolveEvent::Hinted(answer) => Some(answer.addresses.clone()),
            _ => None,
        });
        hints.collect()
    }

    /// The service records that were reported.
    pub fn services(&self) -> Vec<&ServiceRecord> {
        let services = self.0.iter().filter_map(|(_, event)| match event {
            ResolveEvent::Service(record) => Some(record),
            _ => None,
        });
        services.collect()
    }
}
