//! The search list (resolv.conf(5), RFC 1535).

use crate::name::Name;

/// The names to try for a host, in order. A host with a final dot is absolute; a host with at least `ndots`
/// dots is tried as it is first, any other last. What is not a valid name is skipped.
///
/// ```
/// use connie_dns::{SearchNames, Name};
///
/// let names: Vec<Name> = SearchNames::new("www", &["corp.test", "lab.test"], 1).collect();
/// assert_eq!(format!("{names:?}"), "[www.corp.test, www.lab.test, www]");
/// ```
#[derive(Clone, Debug)]
pub struct SearchNames<'a, T, const NAME: usize = 255> {
    host: &'a str,
    domains: core::slice::Iter<'a, T>,
    first: bool,
    last: bool,
}

impl<'a, T: AsRef<str>, const NAME: usize> SearchNames<'a, T, NAME> {
    /// The names of `host`, below each of `domains`.
    #[must_use]
    pub fn new(host: &'a str, domains: &'a [T], ndots: u8) -> Self {
        let dots = host.bytes().filter(|octet| *octet == b'.').count();
        let is_absolute = host.as_bytes().ends_with(b".");
        let first = is_absolute || dots >= usize::from(ndots);
        let domains = if is_absolute { &[] } else { domains };
        SearchNames { host, domains: domains.iter(), first, last: !first }
    }
}

impl<T: AsRef<str>, const NAME: usize> Iterator for SearchNames<'_, T, NAME> {
    type Item = Name<NAME>;

    fn next(&mut self) -> Option<Name<NAME>> {
        let as_it_is = || Name::parse(self.host).ok();
        if let Some(name) = core::mem::take(&mut self.first).then(as_it_is).flatten() {
            return Some(name);
        }
        let below = self.domains.find_map(|domain| {
            let domain = domain.as_ref().as_bytes();
            Name::join(&[self.host.as_bytes(), domain.strip_suffix(b".").unwrap_or(domain)]).ok()
        });
        below.or_else(|| core::mem::take(&mut self.last).then(as_it_is).flatten())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::string::{String, ToString};
    use std::vec::Vec;

    #[track_caller]
    fn tries(host: &str, ndots: u8, expected: &[&str]) {
        let search = ["corp.test", "lab.test.", "not..a.name"];
        let names = SearchNames::<_, 255>::new(host, &search, ndots);
        let names: Vec<String> = names.map(|name| name.to_string()).collect();
        assert_eq!(names, expected, "{host} with ndots {ndots}");
    }

    #[test]
    fn names_in_their_order() {
        tries("a", 1, &["a.corp.test", "a.lab.test", "a"]);
        tries("a.b", 1, &["a.b", "a.b.corp.test", "a.b.lab.test"]);
        tries("a.b", 5, &["a.b.corp.test", "a.b.lab.test", "a.b"]);
        tries("a.", 5, &["a"]);
        tries("a", 0, &["a", "a.corp.test", "a.lab.test"]);
        tries("a..b", 1, &[]);
        let long = ["x".repeat(63), "y".repeat(63), "z".repeat(63), "w".repeat(60)].join(".");
        tries(&long, 1, &[&long]);
    }
}
