//! Several hosts of which any will do.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use connie_core::resolution::Host;

use crate::target::{Target, split};

/// How many hosts one [`connect`](crate::connect) can be to.
pub const MAX_HOSTS: usize = 64;

/// Several hosts of which any will do, such as brokers or replicas: a [`Target`] made of a slice, an array or a `Vec`.
///
/// ```no_run
/// use connie_std::{Options, connect};
///
/// let broker = connect(&["a.example:1883", "b.example:1883", "192.0.2.7:1884"], &Options::default())?;
/// println!("{:?} won", broker.report().won_by());
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// Each is what a [`Target`] can be: a text with its port, a name and a port, an address, addresses. All their addresses are in **one race**: those of each family in
/// turn, the first host's first. Names are looked up side by side. One that is not found, or whose look-up hangs, holds up none of the others: it is waited for only
/// where they have failed. [`Report::won_by`](crate::Report::won_by) says whose address has won, and with TLS that host's name is what the
/// certificate must be valid for.
///
/// There can be [`MAX_HOSTS`], with [`MAX_DESTINATIONS`](crate::MAX_DESTINATIONS) addresses in all. An address that two of them have is that of
/// the one that was known to have it first. A list with a text in it that is no host is an error, and nothing is tried.
///
/// An IPv4 address beside names is reached through a NAT64 as those of names are; a list of nothing but addresses is tried as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hosts<'a>(List<'a>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum List<'a> {
    Texts(&'a [&'a str]),
    Strings(&'a [String]),
    Pairs(&'a [(&'a str, u16)]),
    Targets(&'a [Target<'a>]),
}

impl<'a> Hosts<'a> {
    /// What is in the list; none of them is a list of hosts again.
    pub fn iter(&self) -> impl Iterator<Item = Target<'a>> + use<'a> {
        let mut each = Vec::new();
        self.flatten(&mut each);
        each.into_iter()
    }

    /// As deep as lists of lists were written, and no deeper.
    fn flatten(&self, each: &mut Vec<Target<'a>>) {
        match self.0 {
            List::Texts(list) => each.extend(list.iter().map(|text| Target::Text(text))),
            List::Strings(list) => each.extend(list.iter().map(|text| Target::Text(text))),
            List::Pairs(list) => each.extend(list.iter().map(|(host, port)| Target::Host(host, *port))),
            List::Targets(list) => list.iter().for_each(|target| match target {
                Target::Hosts(inner) => inner.flatten(each),
                target => each.push(*target),
            }),
        }
    }

    /// All in one line, or the first few and how many more there are.
    pub(crate) fn line(&self) -> String {
        const MOST: usize = 4;
        let all: Vec<_> = self.iter().map(|target| target.place()).collect();
        let shown = if all.len() > MOST { MOST - 1 } else { all.len() };
        let more = match all.len() - shown {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        all[..shown].join(", ") + &more
    }

    /// The first that is no host, for an error that has to name it.
    pub(crate) fn invalid(&self) -> Option<Target<'a>> {
        self.iter().find(|target| match target {
            Target::Text(text) => split(text).is_none_or(|(host, _)| Host::parse(host).is_err()),
            Target::Host(host, _) => Host::parse(host).is_err(),
            _ => false,
        })
    }
}

macro_rules! from_lists {
    ($($item:ty => $list:ident),*) => {$(
        impl<'a> From<&'a [$item]> for Target<'a> {
            fn from(hosts: &'a [$item]) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }

        impl<'a> From<&'a Vec<$item>> for Target<'a> {
            fn from(hosts: &'a Vec<$item>) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }

        impl<'a, const N: usize> From<&'a [$item; N]> for Target<'a> {
            fn from(hosts: &'a [$item; N]) -> Self {
                Target::Hosts(Hosts(List::$list(hosts)))
            }
        }
    )*};
}

from_lists!(&'a str => Texts, String => Strings, (&'a str, u16) => Pairs, Target<'a> => Targets);

/// Whose the addresses of a race to several hosts are, by their numbers. A clone is the same: the race notes, and what opens connections asks.
#[derive(Clone, Debug, Default)]
pub struct Owners(Arc<Mutex<Vec<(SocketAddr, usize)>>>);

impl Owners {
    /// Takes note, where it is nobody's yet.
    pub(crate) fn note(&self, address: SocketAddr, host: usize) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.iter().any(|(other, _)| *other == address) {
            known.push((address, host));
        }
    }

    pub(crate) fn of(&self, address: SocketAddr) -> Option<usize> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.iter().find(|(other, _)| *other == address).map(|(_, host)| *host)
    }

    pub(crate) fn all(&self) -> Vec<(SocketAddr, usize)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Hosted for crate::OsStack {}

/// A stack that does something else for each host of several.
pub trait Hosted {
    /// Is told, before the race, who will know whose an address is.
    fn told_owners(&mut self, _: &Owners) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_lists_are_one_list() {
        let addresses: [SocketAddr; 1] = ["192.0.2.1:1".parse().unwrap()];
        let texts = ["a.test:1", "b.test:2"];
        let strings = vec!["c.test:3".to_owned()];
        let inner = [Target::from(&addresses), Target::from(("d.test", 4)), Target::from(&strings)];
        let all = [Target::from(&texts), Target::from(&inner)];
        let Target::Hosts(hosts) = Target::from(&all) else { panic!("a list") };
        assert_eq!(hosts.line(), "a.test:1, b.test:2, 192.0.2.1:1 and 2 more");
        assert_eq!(hosts.iter().count(), 5);
    }

    #[test]
    fn the_one_that_is_no_host_is_named() {
        for (list, wanted) in [
            (["a.test:1", "b.test:2"], None),
            (["a.test:1", "b.test"], Some("b.test")),
            (["a.test:1", "b test:2"], Some("b test:2")),
        ] {
            let Target::Hosts(hosts) = Target::from(&list) else { panic!("a list") };
            assert_eq!(hosts.invalid(), wanted.map(Target::Text));
        }
    }
}
