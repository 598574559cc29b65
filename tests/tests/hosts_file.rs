//! The hosts file as `dns::Dns` reads it, and as the C library does.
//!
//! One test, since the threads that call `getaddrinfo` belong to the process and to the namespace in which
//! they were made.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use connie_core::{Families, Family};
use connie_std::OsClock;
use connie_std::dns::Dns;
use connie_std::resolve::{Resolve, ResolveEvent, ResolveRequest, SystemResolver};
use connie_tests::clock::poll_until;
use connie_tests::lab::{in_namespace, ms, replace_files};

/// What each says of `a.test`, `A.TEST` and `a.test.` is compared.
const FILES: &[&[u8]] = &[
    b"",
    b"192.0.2.1 a.test\n192.0.2.2 a.test\n2001:db8::1 a.test\n192.0.2.3 b.test a.test\n",
    b"192.0.2.1 x a.test\n2001:db8::1 y z a.test\n192.0.2.1 A.test a.test\n",
    b"192.0.2.1 A.TEST\n2001:db8::1 A.Test\n192.0.2.2 A.test.\n",
    b"::ffff:192.0.2.7 a.test\n",
    b"::ffff:192.0.2.7 a.test\n2001:db8::1 a.test\n192.0.2.1 a.test\n",
    b"::ffff:c000:0207 a.test\n::FFFF:C000:0208 a.test\n",
    b"::ffff:127.0.0.1 a.test\n::192.0.2.1 a.test\n",
    b"::1 a.test\n",
    b"::1 a.test\n127.0.0.1 a.test\n192.0.2.1 a.test\n",
    b"0.0.0.0 a.test\n:: a.test\n",
    b"fe80::1%lo a.test\nfe80::2%1 a.test\nfe80::3 a.test\n",
    b"192.0.2.1 a.test\r\n2001:db8::1 b.test a.test\r\n192.0.2.2 a.test#\r\n",
    b"192.0.2.1 a.test\r192.0.2.2 b.test\r",
    b"nonsense a.test\n192.0.2.256 a.test\n192.0.2 a.test\n192.0.2.01 a.test\n0x7f.1 a.test\n3221225985 a.test\n192.0.2.9 a.test\n",
    b"[2001:db8::1] a.test\n192.0.2.1/24 a.test\n2001:db8::1/64 a.test\n1::2::3 a.test\n2001:db8:: a.test\n",
    b"192.0.2.1 a.test # caf\xe9\n192.0.2.2 caf\xe9 a.test\n\xff\xfe\xfd\n2001:db8::1 a.test\n",
    b"192.0.2.1\xc2\xa0a.test\n192.0.2.2 x\xc2\xa0a.test\n192.0.2.3 \xc2\xa0 a.test\n",
    b"192.0.2.1 x#a.test a.test\n192.0.2.2 y #a.test\n#192.0.2.3 a.test\n192.0.2.4 a.test#c\n 192.0.2.5 a.test\n",
    b"192.0.2.1\x0ca.test\n\x0b192.0.2.2\x0ba.test\n\t192.0.2.3\ta.test\t\n",
    b"192.0.2.1\n2001:db8::1\n192.0.2.2 a.test",
    b"192.0.2.1 x\0 a.test\n192.0.2.2 a.test\0b\n192.0.2.3\0 a.test\n\0\n192.0.2.4 a.test\n",
    b"\xef\xbb\xbf192.0.2.1 a.test\n192.0.2.2 a.test\n",
    b"192.0.2.1 aa.test a.tes .a.test a.test.b\n",
];

#[test]
fn the_hosts_file_is_read_as_the_c_library_reads_it() {
    in_namespace(|_| {
        replace_files(&[("/etc/nsswitch.conf", "hosts: files\n"), ("/etc/hosts", "")]);
        let mut many = Vec::new();
        (0..20_000).for_each(|n| many.extend(format!(" n{n}.test").into_bytes()));
        let long_line = [b"192.0.2.1".as_slice(), &many, b" a.test\n192.0.2.2 a.test\n"].concat();
        let lines = (1..200).map(|n| format!("192.0.2.{n} a.test\n")).collect::<String>();
        let made = [long_line.as_slice(), lines.as_bytes()];
        let mut known = 0;
        for text in FILES.iter().copied().chain(made) {
            replace(text);
            for host in ["a.test", "A.TEST", "a.test."] {
                for family in [Family::V4, Family::V6] {
                    let (own, theirs) =
                        (addresses(&Dns::new([]), host, family), addresses(&SystemResolver, host, family));
                    let shown = String::from_utf8_lossy(text.get(..200).unwrap_or(text));
                    assert_eq!(own, theirs, "{host} {family:?}: {shown:?}");
                    known += own.len();
                }
            }
        }
        assert!(known > 200, "{known}");
    });
}

/// Writes the file. Each looks as if it were a second younger than the one before: what has the same length
/// and the same time is not read anew.
fn replace(text: &[u8]) {
    let before = std::fs::metadata("/etc/hosts").and_then(|file| file.modified()).expect("its time");
    std::fs::write("/etc/hosts", text).expect("the file takes it");
    let file = std::fs::File::options().write(true).open("/etc/hosts").expect("the file");
    file.set_modified(before + Duration::from_secs(1)).expect("the file takes it");
}

/// What a resolver has of one family.
fn addresses(resolver: &dyn Resolve, host: &str, family: Family) -> BTreeSet<IpAddr> {
    let (clock, mut found) = (OsClock::start(), BTreeSet::new());
    let mut question = ResolveRequest::new(host, 0, clock);
    question.families = Families::Only(family);
    let mut lookup = resolver.lookup(&question, clock.now());
    let answered = poll_until(ms(9_000), || match lookup.poll(clock.now()) {
        Some(ResolveEvent::Answered(answer)) => {
            found.extend(answer.addresses.iter().map(|address| address.ip()));
            true
        }
        Some(ResolveEvent::Failed { .. }) => true,
        _ => false,
    });
    assert!(answered, "{host} {family:?}");
    found
}
