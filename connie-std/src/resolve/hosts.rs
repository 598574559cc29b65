//! The hosts file (hosts(5)).

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

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
pub(crate) fn look_up(path: &Path, host: &str) -> Vec<IpAddr> {
    // Anything but a file could keep the reader waiting.
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_file() => {}
        _ => return Vec::new(),
    }
    File::open(path).map_or_else(|_| Vec::new(), |file| find(BufReader::new(file.take(LONGEST)), host))
}

fn find(file: impl BufRead, host: &str) -> Vec<IpAddr> {
    let wanted = host.strip_suffix('.').unwrap_or(host);
    let mut addresses = Vec::new();
    for line in file.split(b'\n') {
        let Ok(line) = line else { break };
        let text = String::from_utf8_lossy(&line);
        let mut words = text.split('#').next().unwrap_or_default().split_whitespace();
        let Some(address) = words.next() else { continue };
        let names = |name: &str| name.strip_suffix('.').unwrap_or(name).eq_ignore_ascii_case(wanted);
        if words.any(names) {
            // An address with a zone belongs to one interface; the file's readers differ on what that means.
            addresses.extend(address.parse::<IpAddr>());
        }
    }
    addresses
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# a comment\n\
        127.0.0.1\tlocalhost\n\
        192.0.2.1 name.test alias.test # name.test elsewhere.test\n\
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
}
