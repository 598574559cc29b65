//! The hosts file (hosts(5)).

use std::fs::{File, Metadata};
use std::hash::{DefaultHasher, Hasher};
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::SplitWhitespace;
use std::time::SystemTime;

use connie_core::Family;

use crate::process::ProcessLock;

/// A hosts file longer than this is read no further. Lists of advertisers, which people put there, have a few megabytes.
const LONGEST: u64 = 64 * 1024 * 1024;

/// Where the system keeps it.
pub(crate) fn system_path() -> PathBuf {
    match std::env::var_os("SystemRoot") {
        Some(root) if cfg!(windows) => Path::new(&root).join(r"System32\drivers\etc\hosts"),
        _ => "/etc/hosts".into(),
    }
}

/// The addresses that the file at `path` has for `host`, in its order; none where it does not name it or cannot be read.
#[cfg(any(feature = "dns", test))]
pub(crate) fn look_up(path: &Path, host: &str) -> Vec<IpAddr> {
    match ask_index(path, |index| [Family::V6, Family::V4].iter().any(|family| index.has(host, *family))) {
        // The index can take one name for another.
        Some(true) => open(path).map_or_else(Vec::new, |(file, _)| find(file, host)),
        Some(false) | None => Vec::new(),
    }
}

/// Whether the file at `path` has an address of the family for `host`. Of very few names it may say so though it has none.
pub(crate) fn names(path: &Path, host: &str, family: Family) -> bool {
    ask_index(path, |index| index.has(host, family)).unwrap_or(false)
}

fn open(path: &Path) -> Option<(impl BufRead + use<>, Stamp)> {
    // Anything but a file could keep the reader waiting.
    Stamp::of(&std::fs::metadata(path).ok()?)?;
    let file = File::open(path).ok()?;
    let stamp = Stamp::of(&file.metadata().ok()?)?;
    Some((BufReader::new(file.take(LONGEST)), stamp))
}

#[cfg(any(feature = "dns", test))]
fn find(file: impl BufRead, host: &str) -> Vec<IpAddr> {
    let mut addresses = Vec::new();
    for_each_line(file, |address, mut names| {
        if names.any(|name| bare(name).eq_ignore_ascii_case(bare(host))) {
            addresses.push(address);
        }
    });
    addresses
}

/// Without the final dot.
fn bare(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

fn for_each_line(file: impl BufRead, mut each: impl FnMut(IpAddr, SplitWhitespace<'_>)) {
    for line in file.split(b'\n') {
        let Ok(line) = line else { break };
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        // An address with a zone belongs to one interface; the file's readers differ on what that means.
        let Some(Ok(address)) = words.next().map(str::parse) else { continue };
        each(address, words);
    }
}

/// Which names a file has. People put lists of 100,000 advertisers there, which are not read anew for each look-up.
struct Index {
    path: PathBuf,
    stamp: Stamp,
    /// Hashes of names, the last bit being the family's. In order.
    names: Vec<u64>,
}

/// What changes when a file does.
#[derive(PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl Stamp {
    /// `None` where it is no file.
    fn of(metadata: &Metadata) -> Option<Self> {
        #[cfg(unix)]
        let inode = std::os::unix::fs::MetadataExt::ino(metadata);
        #[cfg(not(unix))]
        let inode = 0;
        let stamp = Stamp { modified: metadata.modified().ok(), length: metadata.len(), inode };
        metadata.is_file().then_some(stamp)
    }
}

impl Index {
    fn read(path: &Path) -> Option<Self> {
        let (file, stamp) = open(path)?;
        let mut names = Vec::new();
        for_each_line(file, |address, words| {
            let family = if address.is_ipv6() { Family::V6 } else { Family::V4 };
            names.extend(words.map(|name| hash(name, family)));
        });
        names.sort_unstable();
        names.dedup();
        names.shrink_to_fit();
        Some(Index { path: path.to_owned(), stamp, names })
    }

    fn has(&self, host: &str, family: Family) -> bool {
        self.names.binary_search(&hash(host, family)).is_ok()
    }
}

fn hash(name: &str, family: Family) -> u64 {
    let mut hasher = DefaultHasher::new();
    bare(name).bytes().for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
    (hasher.finish() & !1) | u64::from(family == Family::V6)
}

/// Those of the files that were asked for last.
static INDICES: ProcessLock<Vec<Index>> = ProcessLock::unused(Vec::new());
const MAX_INDICES: usize = 4;

/// Asks the index of the file at `path`, which is read where it has changed. `None` where it cannot be read.
fn ask_index<T>(path: &Path, ask: impl FnOnce(&Index) -> T) -> Option<T> {
    let stamp = Stamp::of(&std::fs::metadata(path).ok()?)?;
    // In the child of a fork what its parent has read holds as well.
    let Some(mut indices) = INDICES.lock(|_| ()) else { return Index::read(path).as_ref().map(ask) };
    let known = indices.iter().position(|index| index.path == path);
    let known = known.map(|known| indices.remove(known)).filter(|index| index.stamp == stamp);
    let index = known.or_else(|| Index::read(path))?;
    let answer = ask(&index);
    indices.truncate(MAX_INDICES - 1);
    indices.insert(0, index);
    Some(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n\
        127.0.0.1\tlocalhost\n\
        192.0.2.1 name.test alias.test NAME.test # name.test elsewhere.test\n\
        \n\
        2001:db8::1   Name.Test.\r\n\
        fe80::1%eth0 zone.test\n\
        nonsense name.test\n\
        192.0.2.2 name.test";

    #[track_caller]
    fn finds(host: &str, expected: &[&str]) {
        let expected: Vec<IpAddr> = expected.iter().map(|address| address.parse().unwrap()).collect();
        assert_eq!(find(FILE.as_bytes(), host), expected, "{host}");
    }

    #[test]
    fn names_and_their_aliases() {
        finds("name.test", &["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        finds("NAME.test.", &["192.0.2.1", "2001:db8::1", "192.0.2.2"]);
        finds("alias.test", &["192.0.2.1"]);
        finds("elsewhere.test", &[]);
        finds("test", &[]);
        finds("zone.test", &[]);
    }

    #[test]
    fn a_file_that_is_none() {
        assert!(look_up(Path::new("/nowhere/hosts"), "name.test").is_empty());
        assert!(look_up(Path::new("/dev/zero"), "name.test").is_empty());
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
        assert!(is_there("A.test.", Family::V4) && is_there("a6.test", Family::V6));
        assert!(
            !is_there("a.test", Family::V6)
                && !is_there("a6.test", Family::V4)
                && !is_there("b.test", Family::V4)
        );
        assert_eq!(look_up(&path, "a.test"), ["192.0.2.1".parse::<IpAddr>().unwrap()]);
        // What looks the same is not read.
        write("192.0.2.2 b.test\n2001:db8::2 b6.test\n", long_ago);
        assert!(is_there("a.test", Family::V4) && !is_there("b.test", Family::V4));
        assert!(look_up(&path, "a.test").is_empty(), "though it is found there as it is now");
        write("192.0.2.2 b.test\n2001:db8::2 b6.test\n", long_ago + std::time::Duration::from_secs(1));
        assert!(!is_there("a.test", Family::V4) && is_there("b.test", Family::V4));
        assert_eq!(look_up(&path, "b6.test"), ["2001:db8::2".parse::<IpAddr>().unwrap()]);
        std::fs::remove_file(&path).unwrap();
        assert!(!is_there("b.test", Family::V4) && look_up(&path, "b.test").is_empty());
    }
}
