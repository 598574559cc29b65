//! What name servers do, and what a look-up makes of it: what it finds out, when, and which queries that takes.
//!
//! Each row stands for its kind, and is to hold over every driver. Its columns: what the servers do, in words; how the client asks; the servers, by
//! the reactions of [`common`]; what is found, and `|` what was sent, as in `0@0 tcp1@250 0@1000-`: to which server, when, and
//! `-` where it was without EDNS.

mod common;

use std::time::Duration;

use common::*;
use connie_dns::{Lookup, Settings, Transport};

struct Row {
    what: &'static str,
    /// Kinds, and `tcp` for a driver that has it, `only-tcp`, `case` for letters in random case, `attempts=1`, `timeout=2000`.
    how: &'static str,
    servers: &'static [&'static str],
    expected: &'static str,
}

const fn row(
    what: &'static str,
    how: &'static str,
    servers: &'static [&'static str],
    expected: &'static str,
) -> Row {
    Row { what, how, servers, expected }
}

const TABLE: &[Row] = &[
    // One server.
    row("it answers", "a", &["ok"], "A 192.0.2.1 at 20 | 0@0"),
    row("it answers both", "aaaa a", &["ok"], "AAAA 2001:db8::1 at 20; A 192.0.2.1 at 20 | AAAA>0@0 A>0@0"),
    row(
        "it has addresses of one family",
        "aaaa a",
        &["aaaa nodata; ok"],
        "AAAA none at 20; A 192.0.2.1 at 20 | AAAA>0@0 A>0@0",
    ),
    row(
        "one answer is late",
        "aaaa a",
        &["aaaa ok@300; ok"],
        "A 192.0.2.1 at 20; AAAA 2001:db8::1 at 300 | AAAA>0@0 A>0@0",
    ),
    row("its order counts", "a", &["is:192.0.2.9,192.0.2.1"], "A 192.0.2.9 192.0.2.1 at 20 | 0@0"),
    row("its answer is lost", "a", &["#1 silent; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row(
        "two answers are lost",
        "a",
        &["#1 silent; #2 silent; ok"],
        "A 192.0.2.1 at 3020 | 0@0 0@1000 0@3000-",
    ),
    row(
        "it answers after the second query",
        "a",
        &["#1 ok@1100; silent"],
        "A 192.0.2.1 at 1100 | 0@0 0@1000",
    ),
    row(
        "it answers at the last moment",
        "a",
        &["#1 silent; #2 silent; ok@4999"],
        "A 192.0.2.1 at 7999 | 0@0 0@1000 0@3000-",
    ),
    row(
        "it answers at the very end",
        "a",
        &["#1 silent; #2 silent; ok@5000"],
        "A 192.0.2.1 at 8000 | 0@0 0@1000 0@3000-",
    ),
    row(
        "it answers too late",
        "a",
        &["#1 silent; #2 silent; ok@5001"],
        "A !TimedOut at 8000 | 0@0 0@1000 0@3000-",
    ),
    row("it is silent", "a", &["silent"], "A !TimedOut at 8000 | 0@0 0@1000 0@3000-"),
    row("it is silent, asked once", "a attempts=1", &["silent"], "A !TimedOut at 5000 | 0@0"),
    row(
        "it is silent, with little patience",
        "a timeout=500",
        &["silent"],
        "A !TimedOut at 1500 | 0@0 0@500 0@1000-",
    ),
    row("it is not there", "a", &["fails"], "A !Unreachable at 20 | 0@0"),
    row("none is known", "a", &[], "A !Unreachable at 0 | "),
    // Negative answers.
    row("there is no such name", "a", &["nx"], "A !NoSuchName at 20 | 0@0"),
    row(
        "there is no such name, without an SOA record",
        "a",
        &["nx-without-soa"],
        "A !NoSuchName at 20 | 0@0",
    ),
    row("there are no addresses", "a", &["nodata"], "A none at 20 | 0@0"),
    row("there are none, without an SOA record", "a", &["nodata-without-soa"], "A none at 20 | 0@0"),
    row(
        "no such name ends the other question",
        "aaaa a",
        &["a nx; silent"],
        "AAAA !NoSuchName at 20; A !NoSuchName at 20 | AAAA>0@0 A>0@0",
    ),
    row(
        "no such name for AAAA may be wrong",
        "aaaa a",
        &["aaaa nx; #1 silent; ok@1019"],
        "AAAA !NoSuchName at 20; A 192.0.2.1 at 2019 | AAAA>0@0 A>0@0 A>0@1000",
    ),
    row(
        "but not for long",
        "aaaa a",
        &["aaaa nx; silent"],
        "AAAA !NoSuchName at 20; A !NoSuchName at 2020 | AAAA>0@0 A>0@0 A>0@1000",
    ),
    row(
        "no such name ends all kinds",
        "aaaa a https",
        &["a nx; silent"],
        "AAAA !NoSuchName at 20; A !NoSuchName at 20; HTTPS !NoSuchName at 20 | AAAA>0@0 A>0@0 HTTPS>0@0",
    ),
    // Failures.
    row("it fails once", "a", &["#1 servfail; ok"], "A 192.0.2.1 at 540 | 0@0 0@520"),
    row("it refuses once", "a", &["#1 refused; ok"], "A 192.0.2.1 at 540 | 0@0 0@520"),
    row("it fails", "a", &["servfail"], "A !ServerFailure at 1560 | 0@0 0@520 0@1540"),
    row("it refuses", "a", &["refused"], "A !Refused at 1560 | 0@0 0@520 0@1540"),
    row("it fails, asked once", "a attempts=1", &["servfail"], "A !ServerFailure at 20 | 0@0"),
    row(
        "it fails and falls silent",
        "a",
        &["#1 servfail; silent"],
        "A !ServerFailure at 7520 | 0@0 0@520 0@2520",
    ),
    row("it has a code of its own", "a", &["code:9"], "A !ServerFailure at 20 | 0@0"),
    row(
        "it leaves the question out with a code",
        "a",
        &["#1 without-question:2; ok"],
        "A 192.0.2.1 at 540 | 0@0 0@520",
    ),
    // EDNS.
    row("it does not know EDNS: FORMERR", "a", &["edns formerr; ok"], "A 192.0.2.1 at 40 | 0@0 0@20-"),
    row("it does not know EDNS: NOTIMP", "a", &["edns notimp; ok"], "A 192.0.2.1 at 40 | 0@0 0@20-"),
    row("it does not know EDNS: BADVERS", "a", &["edns badvers; ok"], "A 192.0.2.1 at 40 | 0@0 0@20-"),
    row(
        "it does not know EDNS, and leaves the question out",
        "a",
        &["edns without-question:1; ok"],
        "A 192.0.2.1 at 40 | 0@0 0@20-",
    ),
    row(
        "to be asked without EDNS is no attempt",
        "a attempts=2",
        &["edns formerr; #2 silent; ok"],
        "A 192.0.2.1 at 1040 | 0@0 0@20- 0@1020-",
    ),
    row(
        "no such name, without the question",
        "a",
        &["#1 without-question:3; ok"],
        "A 192.0.2.1 at 1020 | 0@0 0@1000",
    ),
    row(
        "it cannot read the query without EDNS either",
        "a",
        &["formerr"],
        "A !ServerFailure at 40 | 0@0 0@20-",
    ),
    row("a router drops EDNS", "a", &["edns silent; ok"], "A 192.0.2.1 at 3020 | 0@0 0@1000 0@3000-"),
    row("it answers with EDNS", "a", &["ok-opt"], "A 192.0.2.1 at 20 | 0@0"),
    row("it answers with an option", "a", &["ok-cookie"], "A 192.0.2.1 at 20 | 0@0"),
    // More servers.
    row("the first is silent", "a", &["silent", "ok"], "A 192.0.2.2 at 270 | 0@0 1@250"),
    row("two are silent", "a", &["silent", "silent", "ok"], "A 192.0.2.3 at 520 | 0@0 1@250 2@500"),
    row("the first is slow", "a", &["ok@260", "ok"], "A 192.0.2.1 at 260 | 0@0 1@250"),
    row("the first is slower than the second", "a", &["ok@280", "ok"], "A 192.0.2.2 at 270 | 0@0 1@250"),
    row("the first is not there", "a", &["fails", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("the first fails", "a", &["servfail", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("the first refuses", "a", &["refused", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("the first is lame", "a", &["lame", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("the first refers to others", "a", &["referral", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("the first is malformed", "a", &["cut", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row(
        "all are silent",
        "a",
        &["silent", "silent"],
        "A !TimedOut at 8250 | 0@0 1@250 0@1000 1@1250 0@3000- 1@3250-",
    ),
    row(
        "one fails and one is silent",
        "a",
        &["silent", "servfail"],
        "A !ServerFailure at 8000 | 0@0 1@250 1@770 0@1000 1@1790 0@3000-",
    ),
    row(
        "one refuses and one fails",
        "a",
        &["refused", "servfail"],
        "A !ServerFailure at 1580 | 0@0 1@20 0@520 1@540 0@1540 1@1560",
    ),
    row(
        "one is not there and one is silent",
        "a attempts=1",
        &["fails", "silent"],
        "A !TimedOut at 5020 | 0@0 1@20",
    ),
    row("one says no such name before the other is asked", "a", &["nx", "ok"], "A !NoSuchName at 20 | 0@0"),
    row("both are lame", "a", &["lame", "lame"], "A !ServerFailure at 40 | 0@0 1@20"),
    row(
        "one fails once and the other is silent",
        "a",
        &["#1 servfail; ok", "silent"],
        "A 192.0.2.1 at 540 | 0@0 1@20 0@520",
    ),
    // What is too long.
    row("it does not fit, and there is TCP", "a tcp", &["udp tc; ok"], "A 192.0.2.1 at 40 | 0@0 tcp0@20"),
    row("it does not fit, and there is none", "a", &["tc-with"], "A 192.0.2.1 at 20 | 0@0"),
    row("nothing fits, and there is none", "a", &["tc", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("nothing fits anywhere", "a", &["tc", "tc"], "A !Unreachable at 40 | 0@0 1@20"),
    row(
        "a failure that is truncated is a failure",
        "a attempts=1",
        &["tc-servfail"],
        "A !ServerFailure at 20 | 0@0",
    ),
    row(
        "TCP is refused, and the next helps",
        "a tcp",
        &["udp tc; fails", "ok"],
        "A 192.0.2.2 at 60 | 0@0 tcp0@20 1@40",
    ),
    row(
        "TCP is closed once",
        "a tcp",
        &["udp tc; #2 fails; ok"],
        "A 192.0.2.1 at 580 | 0@0 tcp0@20 0@540 tcp0@560",
    ),
    row(
        "TCP is closed each time",
        "a tcp",
        &["udp tc; fails"],
        "A !Unreachable at 1620 | 0@0 tcp0@20 0@540 tcp0@560 0@1580 tcp0@1600",
    ),
    row("TCP is silent", "a tcp attempts=1", &["udp tc; silent"], "A !Unreachable at 5020 | 0@0 tcp0@20"),
    row(
        "TCP brings something else",
        "a tcp attempts=1",
        &["udp tc; wrong-id"],
        "A !Unreachable at 40 | 0@0 tcp0@20",
    ),
    row("TCP brings no such name", "a tcp", &["udp tc; nx"], "A !NoSuchName at 40 | 0@0 tcp0@20"),
    row("over TCP alone", "a only-tcp", &["tcp ok"], "A 192.0.2.1 at 20 | tcp0@0"),
    row(
        "over TCP alone, the first silent",
        "a only-tcp",
        &["silent", "ok"],
        "A 192.0.2.2 at 270 | tcp0@0 tcp1@250",
    ),
    row(
        "over TCP alone, closed once",
        "a only-tcp",
        &["#1 fails; ok"],
        "A 192.0.2.1 at 540 | tcp0@0 tcp0@520",
    ),
    row(
        "over TCP alone, without EDNS",
        "a only-tcp",
        &["edns formerr; ok"],
        "A 192.0.2.1 at 40 | tcp0@0 tcp0@20-",
    ),
    // Aliases.
    row("an alias with its address", "a", &["alias-ok"], "A 192.0.2.1 at 20 | 0@0"),
    row("the address before the alias", "a", &["ok-alias"], "A 192.0.2.1 at 20 | 0@0"),
    row("sixteen aliases, the last first", "a", &["chain:16"], "A 192.0.2.1 at 20 | 0@0"),
    row("seventeen", "a", &["chain:17"], "A !Malformed at 20 | 0@0"),
    row("aliases in a circle", "a", &["circle"], "A !Malformed at 20 | 0@0"),
    row("in a circle, and another server", "a", &["circle", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row("an alias that is left open", "a", &["for:b.test ok; alias:b.test"], "A 192.0.2.1 at 40 | 0@0 0@20"),
    row(
        "an alias of an alias that is left open",
        "a",
        &["for:c.test ok; for:b.test alias:c.test; alias:b.test"],
        "A 192.0.2.1 at 60 | 0@0 0@20 0@40",
    ),
    row(
        "an alias that leads on for ever",
        "a",
        &["wild-goose"],
        "A !Malformed at 180 | 0@0 0@20 0@40 0@60 0@80 0@100 0@120 0@140 0@160",
    ),
    row("an alias of a name without addresses", "a", &["alias-nodata"], "A none at 20 | 0@0"),
    row("an alias of no name", "a", &["alias-nx"], "A !NoSuchName at 20 | 0@0"),
    row(
        "an alias of no name that is left open",
        "aaaa a",
        &["for:b.test nx; a alias:b.test; silent"],
        "AAAA !NoSuchName at 40; A !NoSuchName at 40 | AAAA>0@0 A>0@0 A>0@20",
    ),
    row("an alias of a name of Tor is not asked for", "a", &["alias:x.onion"], "A !NoSuchName at 20 | 0@0"),
    row("an alias that cannot be read", "a", &["broken-alias", "ok"], "A 192.0.2.2 at 40 | 0@0 1@20"),
    row(
        "an SOA record of another zone does not end an alias",
        "a",
        &["for:b.test ok; alias:b.test"],
        "A 192.0.2.1 at 40 | 0@0 0@20",
    ),
    // Malformed, and beside the point.
    row("one record is malformed", "a", &["short-and-ok"], "A 192.0.2.1 at 20 | 0@0"),
    row("the last is", "a", &["ok-and-short"], "A 192.0.2.1 at 20 | 0@0"),
    row("the only one is", "a", &["short"], "A !Malformed at 20 | 0@0"),
    row("the last is cut short", "a", &["two-cut"], "A 192.0.2.1 at 20 | 0@0"),
    row("it is cut short", "a", &["cut"], "A !Malformed at 20 | 0@0"),
    row("there are signatures beside it", "a", &["signed"], "A 192.0.2.1 at 20 | 0@0"),
    row("there are addresses of others beside it", "a", &["stranger-and-ok"], "A 192.0.2.1 at 20 | 0@0"),
    row("there are addresses of others alone", "a", &["stranger"], "A none at 20 | 0@0"),
    row("it is of another class", "a", &["chaos"], "A none at 20 | 0@0"),
    row("it is authoritative, and has nothing", "a", &["authoritative-nothing"], "A none at 20 | 0@0"),
    row("it has another id", "a", &["#1 wrong-id; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is for another name", "a", &["#1 wrong-name; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is of another type", "a", &["#1 wrong-type; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("the question is of another class", "a", &["#1 wrong-class; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is another operation", "a", &["#1 wrong-opcode; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it has two questions", "a", &["#1 two-questions; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it has no question", "a", &["#1 without-question:0; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it comes from elsewhere", "a", &["#1 from-elsewhere; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it comes from another port", "a", &["#1 from-other-port; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is the query", "a", &["#1 echo; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is empty", "a", &["#1 empty; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is half a header", "a", &["#1 half-header; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    row("it is garbage", "a", &["#1 garbage; ok"], "A 192.0.2.1 at 1020 | 0@0 0@1000"),
    // Case.
    row("it repeats the case", "a case", &["ok"], "A 192.0.2.1 at 20 | 0@0"),
    row("it answers in a case of its own", "a", &["ok-in-capitals"], "A 192.0.2.1 at 20 | 0@0"),
    row(
        "it does not repeat the case",
        "a case",
        &["ok-in-capitals"],
        "A 192.0.2.1 at 3020 | 0@0 0@1000 0@3000-",
    ),
    row("over TCP case does not count", "a case only-tcp", &["ok-in-capitals"], "A 192.0.2.1 at 20 | tcp0@0"),
    // Service records.
    row(
        "there are service records",
        "https",
        &["service"],
        "HTTPS [1 . alpn=h2] [2 other.test port=443 hint=192.0.2.9] at 20 | 0@0",
    ),
    row("there are none", "https", &["nodata"], "HTTPS none at 20 | 0@0"),
    row("one is malformed", "https", &["bad-service"], "HTTPS [Malformed] at 20 | 0@0"),
    row(
        "the server knows no such type",
        "aaaa a https",
        &["https notimp; ok"],
        "AAAA 2001:db8::1 at 20; A 192.0.2.1 at 20; HTTPS !ServerFailure at 40 | AAAA>0@0 A>0@0 HTTPS>0@0 HTTPS>0@20-",
    ),
    row(
        "the server is silent to such a type",
        "a https attempts=1",
        &["https silent; ok"],
        "A 192.0.2.1 at 20; HTTPS !TimedOut at 5000 | A>0@0 HTTPS>0@0",
    ),
];

fn settings(how: &str) -> Settings {
    let mut settings = Settings::default();
    for word in how.split_whitespace() {
        match word.split_once('=').unwrap_or((word, "")) {
            ("aaaa" | "a" | "https", _) => {}
            ("tcp", _) => settings.transport = Transport::UdpAndTcp,
            ("only-tcp", _) => settings.transport = Transport::Tcp,
            ("case", _) => settings.randomise_case = true,
            ("attempts", count) => settings.attempts = count.parse().expect("a number"),
            ("timeout", millis) => {
                settings.timeout = Duration::from_millis(millis.parse().expect("a number"))
            }
            (other, _) => panic!("{other:?} says nothing"),
        }
    }
    settings
}

fn found(row: &Row) -> String {
    let mut bench = Bench::<4>::new(settings(row.how), row.servers);
    let kinds = wanted(row.how);
    bench.kinds = [kinds.aaaa, kinds.a, kinds.https].into_iter().filter(|wanted| *wanted).count() > 1;
    let found = bench.run(&mut Lookup::new(name("name.test"), kinds));
    format!("{found} | {}", bench.sent.join(" "))
}

#[test]
fn every_row_of_the_table() {
    let wrong: Vec<String> = TABLE
        .iter()
        .filter_map(|row| {
            let found = found(row);
            (found != row.expected)
                .then(|| format!("{}:\n  expected {}\n  found    {found}", row.what, row.expected))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), TABLE.len(), wrong.join("\n"));
}

/// The table of the issue has 60 at least, each once.
#[test]
fn the_table_is_whole() {
    let mut names: Vec<_> = TABLE.iter().map(|row| row.what).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), TABLE.len(), "a row has the name of another");
    assert!(TABLE.len() >= 100, "{} rows", TABLE.len());
}
