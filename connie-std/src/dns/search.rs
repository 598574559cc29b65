//! The search list of resolv.conf(5).

use super::name::Name;

/// How many names are tried for one host.
const MOST_CANDIDATES: usize = 32;

/// The names to try for `host`, in their order. One with a final dot is absolute; one with at least `ndots` dots is tried as it is first,
/// another last.
pub(super) fn candidates(host: &str, search: &[String], ndots: u8) -> Vec<Name> {
    let as_it_is = Name::parse(host);
    if host.ends_with('.') {
        return as_it_is.into_iter().collect();
    }
    let dots = host.bytes().filter(|byte| *byte == b'.').count();
    let below = search.iter().filter_map(|domain| Name::parse(&format!("{host}.{domain}")));
    let mut names: Vec<Name> = below.take(MOST_CANDIDATES).collect();
    let place = if dots >= usize::from(ndots) { 0 } else { names.len() };
    if let Some(name) = as_it_is {
        names.insert(place, name);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn tries(host: &str, ndots: u8, expected: &[&str]) {
        let search = ["corp.test".to_owned(), "lab.test.".to_owned(), "not..a.name".to_owned()];
        let names: Vec<_> = candidates(host, &search, ndots).iter().map(ToString::to_string).collect();
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
