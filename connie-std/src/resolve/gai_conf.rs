//! The administrator's policy table for the order of addresses: gai.conf(5), which glibc's `getaddrinfo` goes
//! by.
//!
//! `getaddrinfo` is asked for one family at a time, so that what the file says between the families reaches
//! nobody unless it is read here. It is read as glibc reads it: a line that makes no sense is ignored; one
//! `label`, `precedence` or `scopev4` takes the place of all defaults of its kind, but for what holds where
//! no line fits. Two things differ. Defaults are those of RFC 6724, where glibc's are those of RFC 3484. And
//! `reload` is ignored: the file is looked at for each name, and read where it has changed, so that a program
//! that runs for months follows it without being told to; to look costs one call of the system's, beside the
//! several by which a name's routes are found.

use std::io::Read;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::Path;

use connie_core::resolution::selection::{DEFAULT_POLICY, PolicyEntry};

use super::fields::{of_line, parse as parse_field};
use super::stamp::{FileStamp, open};
use crate::process::ProcessLock;

const PATH: &str = "/etc/gai.conf";
/// It is read no further.
const LONGEST: u64 = 256 * 1024;
/// Nor are more lines of a kind taken. An address is looked up in the table each time that it is put in
/// order.
const MAX_ROWS: usize = 64;
/// How many tables are kept.
const MAX_TABLES: usize = 16;

/// The table that holds now: the system's, and RFC 6724's where it has none.
pub(super) fn policy() -> &'static [PolicyEntry] {
    // Other C libraries have no such file, and it would hold for this program alone.
    if cfg!(all(target_os = "linux", target_env = "gnu")) {
        policy_of(&KNOWN, Path::new(PATH))
    } else {
        &DEFAULT_POLICY
    }
}

static KNOWN: ProcessLock<PolicyTables> = ProcessLock::unused(PolicyTables::new());

/// The tables that were read. They stay: a connect refers to its table as to RFC 6724's own, which spares it
/// a copy. Each that differs from all others before takes a kilobyte or two, once; a file with yet another
/// after [`MAX_TABLES`] is not heard.
struct PolicyTables {
    /// Of the file that the current one is of.
    stamp: Option<FileStamp>,
    current: &'static [PolicyEntry],
    tables: Vec<&'static [PolicyEntry]>,
}

impl PolicyTables {
    const fn new() -> Self {
        PolicyTables { stamp: None, current: &DEFAULT_POLICY, tables: Vec::new() }
    }

    fn keep(&mut self, table: Vec<PolicyEntry>) {
        if let Some(known) = self.tables.iter().find(|known| ***known == *table) {
            self.current = known;
        } else if self.tables.len() < MAX_TABLES {
            self.current = Vec::leak(table);
            self.tables.push(self.current);
        }
    }
}

fn policy_of(known: &ProcessLock<PolicyTables>, path: &Path) -> &'static [PolicyEntry] {
    let Some(stamp) = FileStamp::read(path) else { return &DEFAULT_POLICY };
    // In the child of a fork what its parent has read holds as well. Where the lock is lost to it, so is the
    // table.
    let Some(mut known) = known.lock(|_| ()) else { return &DEFAULT_POLICY };
    if known.stamp.as_ref() != Some(&stamp) {
        let Some((file, stamp)) = open(path) else { return &DEFAULT_POLICY };
        let mut text = Vec::new();
        if file.take(LONGEST).read_to_end(&mut text).is_err() {
            return &DEFAULT_POLICY;
        }
        known.stamp = Some(stamp);
        match parse(&text) {
            Some(table) => known.keep(table),
            None => known.current = &DEFAULT_POLICY,
        }
    }
    known.current
}

/// What the lines of one kind say of the addresses below a prefix.
#[derive(Clone, Copy)]
struct PolicyRow {
    prefix: Ipv6Addr,
    length: u8,
    value: u32,
}

impl PolicyRow {
    const fn all(value: u32) -> Self {
        PolicyRow { prefix: Ipv6Addr::UNSPECIFIED, length: 0, value }
    }

    /// Whether it is for all addresses of `other`.
    fn holds(&self, other: &PolicyRow) -> bool {
        let common = (self.prefix.to_bits() ^ other.prefix.to_bits()).leading_zeros();
        self.length <= other.length && common >= u32::from(self.length)
    }

    fn is_of_same(&self, other: &PolicyRow) -> bool {
        self.length == other.length && self.holds(other)
    }
}

/// The table that a file makes of the default one. `None` where it says nothing about it.
fn parse(text: &[u8]) -> Option<Vec<PolicyEntry>> {
    let (mut labels, mut precedences, mut scopes) = (Vec::new(), Vec::new(), Vec::new());
    for line in text.split(|byte| *byte == b'\n') {
        let mut fields = of_line(line);
        let Some(kind) = fields.next() else { continue };
        let (prefix, value) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let (rows, row) = match kind {
            b"label" => (&mut labels, row(prefix, value)),
            b"precedence" => (&mut precedences, row(prefix, value)),
            b"scopev4" => (&mut scopes, scope_row(prefix, value)),
            _ => continue,
        };
        rows.extend(row.filter(|_| rows.len() < MAX_ROWS));
    }
    if labels.is_empty() && precedences.is_empty() && scopes.is_empty() {
        return None;
    }
    let defaults = |of: fn(&PolicyEntry) -> u8| {
        let rows = DEFAULT_POLICY.iter();
        rows.map(|row| PolicyRow { prefix: row.prefix, length: row.length, value: of(row).into() }).collect()
    };
    let labels = completed(labels, PolicyRow::all(1), || defaults(|row| row.label));
    let precedences = completed(precedences, PolicyRow::all(40), || defaults(|row| row.precedence));
    let all_v4 = PolicyRow { prefix: Ipv4Addr::UNSPECIFIED.to_ipv6_mapped(), length: 96, value: 14 };
    let scopes = completed(scopes, all_v4, Vec::new);
    Some(merged(&labels, &precedences, &scopes))
}

/// `rows`, with `rest` for what none of them is for; or the defaults where there are none.
fn completed(
    mut rows: Vec<PolicyRow>,
    rest: PolicyRow,
    defaults: impl FnOnce() -> Vec<PolicyRow>,
) -> Vec<PolicyRow> {
    if rows.is_empty() {
        return defaults();
    }
    if !rows.iter().any(|row| row.is_of_same(&rest)) {
        rows.push(rest);
    }
    rows
}

/// One table of three. Each row of any of them makes one, with what the others say of its addresses.
fn merged(labels: &[PolicyRow], precedences: &[PolicyRow], scopes: &[PolicyRow]) -> Vec<PolicyEntry> {
    let mut rows: Vec<PolicyRow> = Vec::new();
    for row in [labels, precedences, scopes].into_iter().flatten() {
        if !rows.iter().any(|known| known.is_of_same(row)) {
            rows.push(*row);
        }
    }
    let one = |row: &PolicyRow| PolicyEntry {
        prefix: row.prefix,
        length: row.length,
        precedence: rank(precedences, longest(precedences, row)),
        label: rank(labels, longest(labels, row)),
        scope: longest(scopes, row).map(|scope| u8::try_from(scope).unwrap_or(u8::MAX)),
    };
    rows.iter().map(one).collect()
}

/// What the most specific row says that is for all addresses of `row`; of equal ones the first.
fn longest(rows: &[PolicyRow], row: &PolicyRow) -> Option<u32> {
    rows.iter().rev().filter(|it| it.holds(row)).max_by_key(|it| it.length).map(|it| it.value)
}

/// Only the order of precedences and the equality of labels count, and both have any number: this is its
/// place among those that there are.
fn rank(rows: &[PolicyRow], value: Option<u32>) -> u8 {
    let mut less: Vec<u32> = rows.iter().map(|row| row.value).filter(|it| Some(*it) < value).collect();
    less.sort_unstable();
    less.dedup();
    // At most MAX_ROWS and one.
    u8::try_from(less.len()).unwrap_or(u8::MAX)
}

/// `::ffff:0:0/96 100`
fn row(prefix: &[u8], value: &[u8]) -> Option<PolicyRow> {
    let (address, length) = split(prefix, 128)?;
    Some(PolicyRow { prefix: parse_field(address)?, length, value: number(value)? })
}

/// `::ffff:169.254.0.0/112 2`, or the same as `169.254.0.0/16 2`.
fn scope_row(prefix: &[u8], value: &[u8]) -> Option<PolicyRow> {
    let value = number(value)?;
    let (address, length) = split(prefix, 128)?;
    if let Some(prefix) = parse_field::<Ipv6Addr>(address) {
        let is_v4 = length >= 96 && prefix.to_ipv4_mapped().is_some();
        return is_v4.then_some(PolicyRow { prefix, length, value });
    }
    let (address, length) = split(prefix, 32)?;
    let prefix = parse_field::<Ipv4Addr>(address)?.to_ipv6_mapped();
    Some(PolicyRow { prefix, length: length.saturating_add(96), value })
}

/// An address and the length of its prefix, at most and by default `most`.
fn split(prefix: &[u8], most: u8) -> Option<(&[u8], u8)> {
    let Some(slash) = prefix.iter().position(|byte| *byte == b'/') else { return Some((prefix, most)) };
    let (address, length) = prefix.split_at(slash);
    let length = u8::try_from(number(length.get(1..)?)?).ok().filter(|length| *length <= most)?;
    Some((address, length))
}

/// As `strtoul` reads it, to which no digits are 0; glibc takes no more than an `int` has.
fn number(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return Some(0);
    }
    parse_field(text).filter(|number: &u32| i32::try_from(*number).is_ok())
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, SocketAddr};

    use connie_core::resolution::selection::{Candidate, Route, sort};

    use super::*;

    /// In which order these are tried, each with the source that it is reached from.
    #[track_caller]
    fn orders(text: &str, expected: &[(&str, &str)]) {
        let table = parse(text.as_bytes());
        let table = table.as_deref().unwrap_or(&DEFAULT_POLICY);
        for turn in 0..expected.len() {
            let mut given = expected.to_vec();
            given.rotate_left(turn);
            let candidate = |&(to, from): &(&str, &str)| {
                let to: IpAddr = to.parse().unwrap();
                Candidate::new(table, SocketAddr::new(to, 80), Route::from_source(from.parse().unwrap()))
            };
            let mut candidates: Vec<_> = given.iter().map(candidate).collect();
            sort(&mut candidates);
            let found = candidates.iter().map(|it| it.address().ip().to_string()).collect::<Vec<_>>();
            assert_eq!(found, expected.iter().map(|it| it.0.to_owned()).collect::<Vec<_>>(), "{text}");
        }
    }

    const V4: (&str, &str) = ("192.0.2.1", "192.0.2.2");
    const V6: (&str, &str) = ("2001:db8::1", "2001:db8::2");
    const PRIVATE: (&str, &str) = ("fd00::1", "fd00::2");
    const TUNNELED: (&str, &str) = ("2002:c000:201::1", "2002:c000:201::2");

    #[test]
    fn one_precedence_takes_the_place_of_all() {
        orders("", &[V6, V4, TUNNELED, PRIVATE]);
        orders("precedence ::ffff:0:0/96 100", &[V4, V6]);
        // The rest is alike: rule 6 no longer puts a private address behind all others.
        orders("precedence ::ffff:0:0/96 30", &[PRIVATE, V4]);
        orders("precedence ::ffff:0:0/96 50\nprecedence fc00::/7 60\nprecedence ::/0 40", &[PRIVATE, V4, V6]);
    }

    #[test]
    fn labels_stay_where_precedences_are_set_and_the_other_way_round() {
        let from_private = ("2001:db8::1", "fd00::2");
        // Rule 5 comes before rule 6.
        orders("precedence ::ffff:0:0/96 10", &[V4, from_private]);
        orders("label ::/0 7\nlabel ::ffff:0:0/96 4", &[from_private, V4]);
    }

    #[test]
    fn scopes_of_ipv4() {
        let (from_private, link_local) = (("192.0.2.1", "10.0.0.2"), ("169.254.0.1", "192.0.2.2"));
        orders("", &[from_private, link_local]);
        // One line takes the place of the standard's: all else is global.
        orders("scopev4 10.0.0.0/8 5", &[link_local, from_private]);
        orders("scopev4 ::ffff:10.0.0.0/104 5", &[link_local, from_private]);
        orders("scopev4 ::10.0.0.0/104 5\nscopev4 ::ffff:10.0.0.0/95 5", &[from_private, link_local]);
    }

    #[test]
    fn lines_that_make_no_sense_are_passed_over() {
        for text in [
            "precedence",
            "precedence ::ffff:0:0/96x 100",
            "precedence ::ffff:0:0/129 100",
            "precedence ::ffff:0:0/-1 100",
            "precedence ::ffff:0:0/96 2147483648",
            "precedence ::ffff:0:0/96 1x",
            "precedence 0.0.0.0/0 100",
            "precedence nonsense 100",
            "PRECEDENCE ::ffff:0:0/96 100",
            "precedence# ::ffff:0:0/96 100",
            "# precedence ::ffff:0:0/96 100",
            "scopev4 fe80::/10 2",
            "scopev4 10.0.0.0/33 2",
            "reload yes",
            "\u{fffd} ::ffff:0:0/96 100",
        ] {
            assert!(parse(text.as_bytes()).is_none(), "{text}");
        }
        let among =
            b"precedence nonsense 1\n\xff\xfe\n  precedence\t::ffff:0:0/96\x0b2147483647 and more\r\n";
        let table = parse(among).unwrap();
        assert_eq!(table.len(), DEFAULT_POLICY.len());
        orders(std::str::from_utf8(&among[26..]).unwrap(), &[V4, V6]);
        // A value that is not there is 0, and a prefix without a length an address.
        orders("precedence ::/0\nprecedence ::ffff:0:0/96 1", &[V4, V6]);
        orders("precedence ::ffff:192.0.2.1 100", &[V4, V6]);
        // Of two lines for one prefix the first counts.
        orders("precedence ::ffff:0:0/96 100\nprecedence ::ffff:0:0/96 1", &[V4, V6]);
    }

    #[test]
    fn no_file_is_too_long() {
        let text: String = (0..10_000).map(|n| format!("precedence 2001:db8:{n:x}::/48 {n}\n")).collect();
        assert_eq!(parse(text.as_bytes()).unwrap().len(), MAX_ROWS + DEFAULT_POLICY.len());
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let (known, path) = (ProcessLock::new(PolicyTables::new()), std::env::temp_dir());
        let path = path.join(format!("connie-gai-conf-{}", std::process::id()));
        let table = || policy_of(&known, &path);
        assert_eq!(table(), DEFAULT_POLICY, "there is none");
        std::fs::write(&path, "precedence ::ffff:0:0/96 100\n").unwrap();
        let first = table();
        assert_ne!(first, DEFAULT_POLICY);
        assert!(std::ptr::eq(first, table()));
        std::fs::write(&path, "# precedence ::ffff:0:0/96 100\n").unwrap();
        assert_eq!(table(), DEFAULT_POLICY);
        std::fs::write(&path, "precedence ::ffff:0:0/96 100 again\n").unwrap();
        assert!(std::ptr::eq(first, table()), "what says the same is kept once");
        // What changes all the time is not kept for ever.
        for turn in 0..2 * MAX_TABLES {
            std::fs::write(&path, format!("precedence 2001:db8:{turn:x}::/48 1\n{}", "#".repeat(turn)))
                .unwrap();
            table();
        }
        assert_eq!(known.lock(|_| ()).unwrap().tables.len(), MAX_TABLES);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(table(), DEFAULT_POLICY);
    }
}
