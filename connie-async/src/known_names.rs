//! What the last lookups gave: which address stands for which name.

use core::net::{IpAddr, Ipv6Addr};

use connie_core::Families;
use connie_core::resolution::Query;
use heapless::{String, Vec};

/// A host as it was given: 253 octets (RFC 1035 section 2.3.4) and a final dot.
pub(crate) type HostText = String<254>;

/// The last names that were looked up, the oldest first.
#[derive(Debug)]
pub(crate) struct KnownNames<const ADDRESSES: usize, const NAMES: usize> {
    names: Vec<Name<ADDRESSES>, NAMES>,
}

/// What was found out about a name.
#[derive(Clone, Debug)]
pub(crate) struct NameAddresses<const ADDRESSES: usize> {
    /// In the order in which a race would try them.
    pub(crate) addresses: Vec<IpAddr, ADDRESSES>,
    /// The queries whose answers are not among them, since they had not come when the lookup was answered: in
    /// the order of [`Query::ALL`].
    pub(crate) late: [bool; 3],
    /// Those that were asked for.
    pub(crate) families: Families,
}

impl<const ADDRESSES: usize> NameAddresses<ADDRESSES> {
    /// Whether the answer to `query` is not among the addresses.
    pub(crate) fn is_late(&self, query: Query) -> bool {
        Query::ALL.into_iter().zip(self.late).any(|(of, late)| of == query && late)
    }
}

/// Addresses of no machine: RFC 6666 section 4 has packets to `100::/64` discarded.
fn invented() -> impl Iterator<Item = IpAddr> {
    (1..=u16::MAX).map(|number| Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, number).into())
}

#[derive(Debug)]
struct Name<const ADDRESSES: usize> {
    host: HostText,
    representative: IpAddr,
    found: NameAddresses<ADDRESSES>,
}

impl<const ADDRESSES: usize, const NAMES: usize> KnownNames<ADDRESSES, NAMES> {
    pub(crate) const fn new() -> Self {
        const {
            assert!(ADDRESSES >= 1, "a name has at least one address");
            assert!(NAMES >= 1, "without room for a name no address stands for others");
        }
        KnownNames { names: Vec::new() }
    }

    /// Remembers what was found for `host`, and answers the address that stands for it: the one that stood
    /// for it before, so that a list that name servers turn around takes one place and not several; else the
    /// first. One that stands for another name is passed over, unless there is no other: then it is one that
    /// nobody has, where `may_invent`, or else the first. `None` where nothing was found.
    pub(crate) fn remember(
        &mut self,
        host: &str,
        found: NameAddresses<ADDRESSES>,
        may_invent: bool,
    ) -> Option<IpAddr> {
        let first = *found.addresses.first()?;
        let is_same = |name: &Name<ADDRESSES>| name.host.eq_ignore_ascii_case(host);
        let is_free = |address: &&IpAddr| {
            !self.names.iter().any(|name| !is_same(name) && name.representative == **address)
        };
        let stood = |address: &&IpAddr| {
            self.names.iter().any(|name| is_same(name) && name.representative == **address)
        };
        let mut free = found.addresses.iter().filter(is_free);
        let free = free.clone().find(stood).or_else(|| free.next()).copied();
        let invented = || invented().find(|address| is_free(&address)).filter(|_| may_invent);
        let representative = free.or_else(invented).unwrap_or(first);
        self.names.retain(|name| !(is_same(name) && name.representative == representative));
        if self.names.is_full() {
            self.forget(is_same);
        }
        let mut text = HostText::new();
        // The lookup has made sure that it is a host, and so that it has room.
        if text.push_str(host).is_ok() {
            let _ = self.names.push(Name { host: text, representative, found });
        }
        Some(representative)
    }

    /// Makes room: drops the oldest slot of the same name, if it has one, or else the oldest of all.
    fn forget(&mut self, is_same: impl Fn(&Name<ADDRESSES>) -> bool) {
        let of_all = !self.names.iter().any(&is_same);
        let mut done = false;
        self.names.retain(|name| {
            let goes = !done && (of_all || is_same(name));
            done |= goes;
            !goes
        });
    }

    /// What `address` stands for. Where that is several names, only the addresses that all of them have: so
    /// nobody is led to a server of another name.
    pub(crate) fn behind(&self, address: IpAddr) -> Option<StandsFor<ADDRESSES>> {
        let mut names = self.names.iter().filter(|name| name.representative == address);
        let first = names.next()?;
        let mut behind = StandsFor { host: first.host.clone(), found: first.found.clone(), is_shared: false };
        for other in names {
            behind.is_shared = true;
            behind.found.addresses.retain(|address| other.found.addresses.contains(address));
        }
        Some(behind)
    }
}

/// What an address stands for.
#[derive(Clone, Debug)]
pub(crate) struct StandsFor<const ADDRESSES: usize> {
    pub(crate) host: HostText,
    pub(crate) found: NameAddresses<ADDRESSES>,
    /// Whether it stands for other names too, so that what was found is all that may be tried.
    pub(crate) is_shared: bool,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;
    use std::vec::Vec as StdVec;

    use super::*;

    fn found(text: &str) -> NameAddresses<4> {
        let addresses = text.split_whitespace().map(|ip| ip.parse().unwrap()).collect();
        NameAddresses { addresses, late: [false; 3], families: Families::Both }
    }

    #[track_caller]
    fn remember(known: &mut KnownNames<4, 2>, host: &str, addresses: &str, representative: &str) {
        assert_eq!(known.remember(host, found(addresses), false).unwrap().to_string(), representative);
    }

    #[track_caller]
    fn behind(known: &KnownNames<4, 2>, address: &str, wanted: Option<(&str, &str)>) {
        let got = known.behind(address.parse().unwrap()).map(|behind| {
            let addresses: StdVec<_> = behind.found.addresses.iter().map(ToString::to_string).collect();
            (behind.host.as_str().to_string(), addresses.join(" "))
        });
        assert_eq!(got.as_ref().map(|(host, addresses)| (host.as_str(), addresses.as_str())), wanted);
    }

    #[test]
    fn the_first_address_stands_for_all() {
        let mut known = KnownNames::new();
        remember(&mut known, "a.test", "192.0.2.1 192.0.2.2", "192.0.2.1");
        behind(&known, "192.0.2.1", Some(("a.test", "192.0.2.1 192.0.2.2")));
        behind(&known, "192.0.2.2", None);
    }

    #[test]
    fn two_names_with_an_address_in_common_are_told_apart() {
        let mut known = KnownNames::new();
        remember(&mut known, "a.test", "192.0.2.1 192.0.2.2", "192.0.2.1");
        remember(&mut known, "b.test", "192.0.2.1 192.0.2.3", "192.0.2.3");
        behind(&known, "192.0.2.1", Some(("a.test", "192.0.2.1 192.0.2.2")));
        behind(&known, "192.0.2.3", Some(("b.test", "192.0.2.1 192.0.2.3")));
    }

    #[test]
    fn an_address_that_must_stand_for_two_names_stands_for_what_they_have_in_common() {
        let mut known = KnownNames::new();
        remember(&mut known, "a.test", "192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1");
        remember(&mut known, "192.0.2.1", "192.0.2.1", "192.0.2.1");
        behind(&known, "192.0.2.1", Some(("a.test", "192.0.2.1")));
    }

    #[test]
    fn a_name_that_is_looked_up_again_takes_its_own_place() {
        let mut known = KnownNames::new();
        remember(&mut known, "a.test", "192.0.2.1 192.0.2.2", "192.0.2.1");
        remember(&mut known, "b.test", "192.0.2.3", "192.0.2.3");
        remember(&mut known, "A.test", "192.0.2.1 192.0.2.4", "192.0.2.1");
        behind(&known, "192.0.2.1", Some(("A.test", "192.0.2.1 192.0.2.4")));
        behind(&known, "192.0.2.3", Some(("b.test", "192.0.2.3")));
    }

    #[test]
    fn the_oldest_name_is_forgotten() {
        let mut known = KnownNames::new();
        for (host, address) in [("a.test", "192.0.2.1"), ("b.test", "192.0.2.2"), ("c.test", "192.0.2.3")] {
            remember(&mut known, host, address, address);
        }
        behind(&known, "192.0.2.1", None);
        behind(&known, "192.0.2.2", Some(("b.test", "192.0.2.2")));
        behind(&known, "192.0.2.3", Some(("c.test", "192.0.2.3")));
    }

    /// Name servers turn the addresses of an answer around, and those of a large service give others each
    /// time.
    #[test]
    fn a_name_that_is_looked_up_often_pushes_no_other_out() {
        let mut known = KnownNames::new();
        remember(&mut known, "b.test", "192.0.2.9", "192.0.2.9");
        remember(&mut known, "a.test", "192.0.2.1 192.0.2.2 192.0.2.3", "192.0.2.1");
        remember(&mut known, "a.test", "192.0.2.2 192.0.2.3 192.0.2.1", "192.0.2.1");
        behind(&known, "192.0.2.1", Some(("a.test", "192.0.2.2 192.0.2.3 192.0.2.1")));
        remember(&mut known, "a.test", "192.0.2.4", "192.0.2.4");
        remember(&mut known, "a.test", "192.0.2.5", "192.0.2.5");
        behind(&known, "192.0.2.5", Some(("a.test", "192.0.2.5")));
        behind(&known, "192.0.2.9", Some(("b.test", "192.0.2.9")));
    }

    #[test]
    fn where_all_its_addresses_stand_for_others_a_name_gets_one_of_nobody() {
        let mut known = KnownNames::<4, 4>::new();
        let mut remember = |host, addresses, wanted: &str| {
            let got = known.remember(host, found(addresses), true).unwrap();
            assert_eq!(got.to_string(), wanted, "{host}");
        };
        remember("a.test", "192.0.2.1", "192.0.2.1");
        remember("b.test", "192.0.2.1", "100::1");
        remember("c.test", "192.0.2.1", "100::2");
        remember("B.test", "192.0.2.1", "100::1");
        remember("a.test", "192.0.2.1", "192.0.2.1");
        remember("c.test", "192.0.2.1 192.0.2.2", "192.0.2.2");
        let hosts = ["192.0.2.1", "100::1", "100::2", "192.0.2.2"]
            .map(|address| known.behind(address.parse().unwrap()).map(|behind| behind.host.to_string()));
        let hosts = hosts.each_ref().map(Option::as_deref);
        assert_eq!(hosts, [Some("a.test"), Some("B.test"), Some("c.test"), Some("c.test")]);
    }

    #[test]
    fn nothing_stands_for_nothing() {
        assert_eq!(KnownNames::<4, 2>::new().remember("a.test", found(""), true), None);
    }
}
