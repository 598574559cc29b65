//! The hosts file (hosts(5)).

use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

#[cfg(any(feature = "dns", test))]
use connie_core::Families;
use connie_core::Family;

use super::fields;
use super::stamp::{FileStamp, open};
use crate::process::ProcessLock;

/// A hosts file longer than this is read no further. Lists of advertisers, which people put there, have a few
/// megabytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Where the system keeps it.
pub(crate) fn system_path() -> PathBuf {
    match std::env::var_os("SystemRoot") {
        Some(root) if cfg!(windows) => Path::new(&root).join(r"System32\drivers\etc\hosts"),
        _ => "/etc/hosts".into(),
    }
}

/// The addresses of these families that the file at `path` has for `host`, in its order; none where it does
/// not name it or cannot be read.
#[cfg(any(feature = "dns", test))]
pub(crate) fn look_up(path: &Path, host: &str, families: Families) -> Vec<IpAddr> {
    match ask_index(path, |index| FAMILIES.iter().any(|family| index.has(host, *family))) {
        // The index can take one name for another.
        Some(true) => open(path).map_or_else(Vec::new, |(file, _)| find(reader(file), host, families)),
        Some(false) | None => Vec::new(),
    }
}

/// Whether the file at `path` has an address of the family for `host`. Of very few names it may say so though
/// it has none.
pub(crate) fn names(path: &Path, host: &str, family: Family) -> bool {
    ask_index(path, |index| index.has(host, family)).unwrap_or(false)
}

fn reader(file: File) -> impl BufRead {
    BufReader::new(file.take(LONGEST))
}

#[cfg(any(feature = "dns", test))]
fn find(file: impl BufRead, host: &str, families: Families) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for_each_line(file, |address, mut names| {
        if Iterator::any(&mut names, |name| name.eq_ignore_ascii_case(host.as_bytes())) {
            let of_family = FAMILIES.into_iter().filter(|family| families.allow(*family));
            let told = of_family.filter_map(|family| as_family(address, family));
            // An IPv4-mapped address leads where the IPv4 address does.
            addresses.extend(told.filter(|ip| families != Families::Both || ip.is_ipv4() || !is_mapped(*ip)));
        }
    });
    addresses
}

const FAMILIES: [Family; 2] = [Family::V6, Family::V4];

#[cfg(any(feature = "dns", test))]
fn is_mapped(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.to_ipv4_mapped().is_some())
}

/// What the C library makes of an address in the file for one family: to IPv4 an IPv4-mapped address is the
/// address within, and to glibc alone that of the loopback interface is the other one's.
fn as_family(address: IpAddr, family: Family) -> Option<IpAddr> {
    let by_glibc = cfg!(all(target_os = "linux", target_env = "gnu"));
    match (address, family) {
        (IpAddr::V6(ip), Family::V4) => {
            let loopback = (by_glibc && ip == Ipv6Addr::LOCALHOST).then_some(Ipv4Addr::LOCALHOST);
            ip.to_ipv4_mapped().or(loopback).map(IpAddr::V4)
        }
        (IpAddr::V4(_), Family::V6) => None,
        _ => Some(address),
    }
}

/// The file's octets are in no particular encoding: a name or a comment that is not UTF-8 spoils nothing
/// else.
fn for_each_line(mut file: impl BufRead, mut each: impl FnMut(IpAddr, &mut dyn Iterator<Item = &[u8]>)) {
    let mut line = Vec::new();
    loop {
        line.clear();
        if !matches!(file.read_until(b'\n', &mut line), Ok(1..)) {
            break;
        }
        let mut words = fields::of_line(&line);
        // An address with a zone belongs to one interface; the C library passes it over, too.
        let Some(address) = words.next().and_then(fields::parse) else { continue };
        each(address, &mut words);
    }
}

/// Which names a file has. People put lists of 100,000 advertisers there, which are not read anew for each
/// lookup.
struct HostsIndex {
    path: PathBuf,
    stamp: FileStamp,
    /// Hashes of names, the last bit being the family's. In order.
    names: Vec<u64>,
}

impl HostsIndex {
    fn read(path: &Path) -> Option<Self> {
        let (file, stamp) = open(path)?;
        let mut names = Vec::new();
        for_each_line(reader(file), |address, words| {
            let families = FAMILIES.map(|family| (family, as_family(address, family).is_some()));
            for name in words {
                let told = families.iter().filter(|(_, has)| *has);
                names.extend(told.map(|(family, _)| hash(name, *family)));
            }
        });
        names.sort_unstable();
        names.dedup();
        names.shrink_to_fit();
        Some(HostsIndex { path: path.to_owned(), stamp, names })
    }

    fn has(&self, host: &str, family: Family) -> bool {
        self.names.binary_search(&hash(host.as_bytes(), family)).is_ok()
    }
}

fn hash(name: &[u8], family: Family) -> u64 {
    let mut hasher = DefaultHasher::new();
    name.iter().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
    (hasher.finish() & !1) | u64::from(family == Family::V6)
}

/// Those of the files that were asked for last.
static INDICES: ProcessLock<Vec<HostsIndex>> = ProcessLock::unused(Vec::new());
const MAX_INDICES: usize = 4;

/// Asks the index of the file at `path`, which is read where it has changed. `None` where it cannot be read.
fn ask_index<T>(path: &Path, ask: impl FnOnce(&HostsIndex) -> T) -> Option<T> {
    let stamp = FileStamp::read(path)?;
    // In the child of a fork what its parent has read holds as well.
    let Some(mut indices) = INDICES.lock(|_| ()) else { return HostsIndex::read(path).as_ref().map(ask) };
    let known = indices.iter().position(|index| index.path == path);
    let known = known.map(|known| indices.remove(known)).filter(|index| index.stamp == stamp);
    let index = known.or_else(|| HostsIndex::read(path))?;
    let answer = ask(&index);
    indices.truncate(MAX_INDICES - 1);
    indices.insert(0, index);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    const FILE: &[u8] = b"# a comment: caf\xe9\n\
        127.0.0.1\tlocalhost\n\
        192.0.2.1 name.test alias.test NAME.test # name.test elsewhere.test\n\
        \n\
        2001:db8::1   Name.Test\r\n\
        fe80::1%eth0 zone.test\n\
        nonsense name.test\n\
        192.0.2.01 name.test\n\
        192.0.2.3 caf\xe9 caf\xc3\xa9 beside.test beside\xc2\xa0.test\n\
        192.0.2.4 rooted.test.\n\
        192.0.2.5\x0bform.test\x0cfeed.test\n\
        192.0.2.6 cut\0off.test\n\
        192.0.2.7 first.test#second.test\n\
        ::ffff:192.0.2.8 mapped.test\n\
        2001:db8::8 mapped.test\n\
        ::1 own.test\n\
        192.0.2.9 line.test\r192.0.2.10 other.test\n\
        192.0.2.2 name.test";

    #[track_caller]
    fn finds_of(host: &str, families: Families, expected: &[&str]) {
        let expected: Vec<IpAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
        assert_eq!(find(FILE, host, families), expected, "{host}");
    }

    #[track_caller]
    fn finds(host: &str, expected: &[&str]) {
        finds_of(host, Families::Both, expected);
    }

    #[test]
    fn names_and_their_aliases() {
        finds("name.test", &["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        finds("NAME.test", &["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        finds("alias.test", &["192.0.2.1"]);
        finds("elsewhere.test", &[]);
        finds("test", &[]);
        finds("zone.test", &[]);
    }

    #[test]
    fn a_final_dot_is_part_of_the_name() {
        finds("name.test.", &[]);
        finds("rooted.test", &[]);
        finds("rooted.test.", &["192.0.2.4"]);
    }

    #[test]
    fn octets_that_are_no_text() {
        finds("caf\u{e9}", &["192.0.2.3"]);
        finds("beside.test", &["192.0.2.3"]);
        // A space in UTF-8 is none to C.
        finds("beside\u{a0}.test", &["192.0.2.3"]);
        finds("form.test", &["192.0.2.5"]);
        finds("feed.test", &["192.0.2.5"]);
        finds("cut", &["192.0.2.6"]);
        finds("off.test", &[]);
        finds("first.test", &["192.0.2.7"]);
        finds("second.test", &[]);
        finds("line.test", &["192.0.2.9"]);
        finds("other.test", &["192.0.2.9"]);
    }

    #[test]
    fn an_address_of_ipv6_that_is_one_of_ipv4() {
        let (v4, v6) = (Families::Only(Family::V4), Families::Only(Family::V6));
        finds("mapped.test", &["192.0.2.8", "2001:db8::8"]);
        finds_of("mapped.test", v4, &["192.0.2.8"]);
        finds_of("mapped.test", v6, &["::ffff:192.0.2.8", "2001:db8::8"]);
        finds_of("own.test", v6, &["::1"]);
        let own: &[_] = if cfg!(all(target_os = "linux", target_env = "gnu")) { &["127.0.0.1"] } else { &[] };
        finds_of("own.test", v4, own);
    }

    #[test]
    fn a_file_that_is_none() {
        assert!(look_up(Path::new("/nowhere/hosts"), "name.test", Families::Both).is_empty());
        assert!(look_up(Path::new("/dev/zero"), "name.test", Families::Both).is_empty());
    }

    #[test]
    fn a_file_is_read_again_when_it_has_changed() {
        let path = std::env::temp_dir().join(format!("connie-hosts-{}", std::process::id()));
        let long_ago = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        let write = |text: &str, modified| {
            std::fs::write(&path, text).unwrap();
            File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
        };
        let is_there = |host, family| names(&path, host, family);
        write("192.0.2.1 a.test\n2001:db8::1 a6.test\n", long_ago);
        assert!(is_there("A.test", Family::V4) && is_there("a6.test", Family::V6));
        assert!(
            !is_there("a.test", Family::V6)
                && !is_there("a6.test", Family::V4)
                && !is_there("b.test", Family::V4)
        );
        assert_eq!(look_up(&path, "a.test", Families::Both), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        // What looks the same is not read.
        write("192.0.2.2 b.test\n2001:db8::2 b6.test\n", long_ago);
        assert!(is_there("a.test", Family::V4) && !is_there("b.test", Family::V4));
        assert!(look_up(&path, "a.test", Families::Both).is_empty(), "though it is found there as it is now");
        write("192.0.2.2 b.test\n2001:db8::2 b6.test\n", long_ago + std::time::Duration::from_secs(1));
        assert!(!is_there("a.test", Family::V4) && is_there("b.test", Family::V4));
        assert_eq!(look_up(&path, "b6.test", Families::Both), ["2001:db8::2".parse::<IpAddr>().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert!(!is_there("b.test", Family::V4) && look_up(&path, "b.test", Families::Both).is_empty());
    }
}
