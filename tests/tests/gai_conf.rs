//! gai.conf(5): which family of a name comes first, as the C library has it.
//!
//! One test, since the threads that call `getaddrinfo` belong to the process and to the namespace in which
//! they were made.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use connie_core::{Config, Pacing};
use connie_std::dns::Dns;
use connie_std::resolve::Resolver;
use connie_std::{Options, connect};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, replace_files};
use connie_tests::limits;
use connie_tests::servers::{DnsAnswer, DnsServer, RecordType, skip};

use kernel_support::{PORT, abandon, unattended};

const FILE: &str = "/etc/gai.conf";
const V4: &str = "192.0.2.1";
const V6: &str = "2001:db8::1";

/// What the file says, whether IPv4 comes first then, and whether that is so for IPv4 as a whole, so that its
/// answer is waited for. The lab's IPv4 source is a private address.
const FILES: [(&str, bool, bool); 12] = [
    ("# nothing\n", false, false),
    ("precedence ::ffff:0:0/96 100\n", true, true),
    ("#precedence ::ffff:0:0/96 100\n", false, false),
    (
        "reload yes\nnonsense\nprecedence ::ffff:0:0/96 ten\n\u{ff}\n precedence\t::ffff:0:0/96 100 # and more\r\n",
        true,
        true,
    ),
    ("precedence ::ffff:192.0.2.0/120 100\n", true, false),
    ("precedence ::ffff:192.0.2.128/121 100\n", false, false),
    ("precedence 192.0.2.0/24 100\n", false, false),
    // Rule 5 comes before rule 6: the label of the destination is not its source's.
    ("label 2001:db8::1/128 9\n", true, false),
    ("label 2001:db8::/32 9\n", false, false),
    // And rule 2 before both.
    ("scopev4 192.0.2.0/24 5\nprecedence ::ffff:0:0/96 100\n", false, true),
    ("scopev4 ::ffff:192.0.2.0/120 5\nlabel 2001:db8::1/128 9\n", false, false),
    ("precedence ::ffff:0:0/96 2147483647\nprecedence ::/0 2147483646\n", true, true),
];

#[test]
fn the_family_that_the_administrator_wants_comes_first() {
    if !std::path::Path::new(FILE).exists() {
        return skip(FILE, "make an empty one");
    }
    in_namespace(|lab| {
        lab.add_address("2001:db8:ffff::1".parse().expect("an address"));
        for network in ["192.0.2.0/24", "2001:db8::/32"] {
            lab.route(network);
        }
        for address in [V4, V6] {
            lab.set(address.parse().expect("an address"), Behaviour::accept(ms(5)));
        }
        replace_files(&[
            ("/etc/nsswitch.conf", "hosts: files dns\n"),
            ("/etc/resolv.conf", "nameserver 127.0.0.1\n"),
            ("/etc/hosts", &format!("{V6} hosted.test\n{V4} hosted.test\n")),
            (FILE, ""),
        ]);
        let server = DnsServer::start((Ipv4Addr::LOCALHOST, 53).into());
        for (kind, address) in [(RecordType::A, V4), (RecordType::Aaaa, V6)] {
            let address: IpAddr = address.parse().expect("an address");
            // Of `name.test` the AAAA answer comes last, and of `late.test` that for A: it is waited for.
            let (early, late) = (ms(0), ms(20));
            let (aaaa_last, a_last) = if kind == RecordType::A { (early, late) } else { (late, early) };
            server.set("name.test", kind, DnsAnswer::addresses(&[address]).after(aaaa_last));
            server.set("late.test", kind, DnsAnswer::addresses(&[address]).after(a_last));
        }
        let _web = unattended();
        for (text, v4, waits_for_a) in FILES {
            // Written as octets: a text that is not UTF-8 is one byte for each character.
            let octets: Vec<u8> =
                text.chars().map(|c| u8::try_from(u32::from(c)).expect("an octet")).collect();
            std::fs::write(FILE, octets).expect("the file takes it");
            let expected = if v4 { V4 } else { V6 };
            assert_eq!(of_libc(), expected, "by the C library: {text}");
            let host = if waits_for_a { "late.test" } else { "name.test" };
            goes_by(lab, &server, host, expected, text);
        }
    });
}

/// The first address of `hosted.test` to a program that has just begun.
fn of_libc() -> String {
    let output = limits::output(Command::new("getent").args(["ahosts", "hosted.test"])).expect("getent");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.split_whitespace().next().unwrap_or_default().to_owned()
}

fn goes_by(lab: &Lab, server: &DnsServer, asked_for: &str, expected: &str, text: &str) {
    let in_turn = Config::all_at_once().pacing(Pacing::OneByOne);
    let hosts = || Dns::new([]).into();
    let asked = || Dns::new([server.address()]).hosts_file(None).into();
    // With every address at once the race begins with the answer that comes first, whichever that is: those
    // of the hosts file are there at once.
    let resolvers: [(&str, Resolver, &[Config]); 3] = [
        ("hosted.test", hosts(), &[Config::all_at_once(), Config::staggered(), in_turn.clone()]),
        (asked_for, Resolver::System, &[Config::staggered(), in_turn.clone()]),
        (asked_for, asked(), &[Config::staggered(), in_turn.clone()]),
    ];
    for (host, resolver, races) in resolvers {
        for race in races {
            starts_with(lab, host, &resolver, race, expected, text);
        }
    }
}

/// The first attempt shows which family comes first.
fn starts_with(lab: &Lab, host: &str, resolver: &Resolver, race: &Config, expected: &str, text: &str) {
    let race = race.clone().deadline(Some(ms(10_000))).resolution_delay(ms(2_000));
    let options = Options::new().race(race).resolver(resolver.clone());
    let winner = connect((host, PORT), &options).unwrap_or_else(|error| panic!("{error:?}"));
    let first = winner.timeline().attempts().next().expect("an attempt").destination.ip();
    assert_eq!(first.to_string(), expected, "{text}, {resolver:?}: {:?}", winner.timeline());
    abandon(lab, winner);
}
