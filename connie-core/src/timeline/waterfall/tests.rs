//! Tests of the picture. Only `cargo test` compiles them, where a panic is a test that has failed.

extern crate std;
use std::format;
use std::string::{String, ToString};

use super::*;
use crate::common::Recorded;
use crate::{AttemptError, Config, TlsFailure};

const ASCII: Style = Style { unicode: false, colour: false };
const UNICODE: Style = Style { unicode: true, colour: false };

/// Both in one: as long as the widths of columns agree, what differs is the characters.
fn picture(race: &Recorded, width: usize, style: Style) -> String {
    let picture = race.timeline().waterfall(width, style).to_string();
    let too_wide = picture.lines().find(|line| columns(&line) > width);
    assert_eq!(too_wide, None, "within {width} columns");
    picture
}

/// Three sockets for six addresses, the fifth good: looked up, evicted, refused, canceled, established.
fn everything() -> Recorded {
    let mut race = Recorded::unwatched(&Config { max_in_flight: 3, ..Config::all_at_once() });
    race.at(12_300).resolves(&[
        "[2001:db8:1234:5678:9abc:def0:1234:5678]:80",
        "[2001:db8::2]:80",
        "192.0.2.1:80",
        "192.0.2.2:80",
        "192.0.2.3:80",
        "192.0.2.4:80",
    ]);
    race.at(13_300).fails("192.0.2.1:80", AttemptErrorKind::Refused);
    race.at(301_456).succeeds("192.0.2.4:80");
    race
}

#[test]
fn in_80_columns() {
    let expected = "\
connected to 192.0.2.4:80 in 301.5 ms (6 attempts, 3 in flight at most)

  first address                known         12.3 ms  ··
  2001:db8:1234…ef0:1234:5678  evicted      262.3 ms   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.1                    refused       13.3 ms   ×
  2001:db8::2                  evicted      262.3 ms   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.2                    canceled     301.5 ms   ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  192.0.2.3                    canceled     301.5 ms                        ╌╌╌╌
  192.0.2.4                    established  301.5 ms                        ━━━●
                                                      ├───────┬────────┬───────┬
                                                      0 ms    100      200   300
";
    assert_eq!(picture(&everything(), 80, UNICODE), expected);
}

#[test]
fn in_ascii() {
    let expected = "\
connected to 192.0.2.4:80 in 301.5 ms (6 attempts, 3 in flight at most)

  first address                known         12.3 ms  ::
  2001:db8:123..ef0:1234:5678  evicted      262.3 ms   ~~~~~~~~~~~~~~~~~~~~~<
  192.0.2.1                    refused       13.3 ms   x
  2001:db8::2                  evicted      262.3 ms   ~~~~~~~~~~~~~~~~~~~~~<
  192.0.2.2                    canceled     301.5 ms   .........................
  192.0.2.3                    canceled     301.5 ms                        ....
  192.0.2.4                    established  301.5 ms                        ===O
                                                      +-------+--------+-------+
                                                      0 ms    100      200   300
";
    assert_eq!(picture(&everything(), 80, ASCII), expected);
}

#[test]
fn in_40_columns() {
    let expected = "\
connected to 192.0.2.4:80 in 301.5 ms
(6 attempts, 3 in flight at most)

  first address    known         12.3 ms
  ··
  2001:db…34:5678  evicted      262.3 ms
   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.1        refused       13.3 ms
   ×
  2001:db8::2      evicted      262.3 ms
   ┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄┄◂
  192.0.2.2        canceled     301.5 ms
   ╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌
  192.0.2.3        canceled     301.5 ms
                                   ╌╌╌╌╌
  192.0.2.4        established  301.5 ms
                                   ━━━━●
  ├───────────┬────────────┬───────────┬
  0 ms        100          200       300
";
    assert_eq!(picture(&everything(), 40, UNICODE), expected);
}

#[test]
fn colour_is_balanced_and_moves_nothing() {
    let race = everything();
    let coloured = race.timeline().waterfall(80, Style { colour: true, ..UNICODE }).to_string();
    let mut plain = coloured.clone();
    for parameter in [0, 2, 31, 32, 33, 36] {
        plain = plain.replace(&format!("\x1b[{parameter}m"), "");
    }
    assert_eq!(plain, picture(&race, 80, UNICODE));
    assert!(coloured.contains("\x1b[32mestablished\x1b[0m"), "{coloured}");
    assert!(coloured.contains("\x1b[31m×\x1b[0m"), "{coloured}");
    assert_eq!(coloured.matches("\x1b[0m").count() * 2, coloured.matches("\x1b[").count());
}

#[test]
fn a_hedge_and_a_deadline() {
    let config = Config { deadline: Some(Duration::from_secs(5)), ..Config::all_at_once() };
    let mut race = Recorded::racing(&config, &["192.0.2.1:80"]);
    race.at(5_000_000);
    let expected = "\
failed after 5000 ms: timed out (2 attempts, 2 in flight at most)

  192.0.2.1  timed out  5000 ms  ----------------------------------------------x
+ 192.0.2.1  timed out  5000 ms    --------------------------------------------x
                                 +--------+--------+---------+--------+--------+
                                 0 ms     1000     2000      3000     4000  5000
";
    assert_eq!(picture(&race, 80, ASCII), expected);
}

#[test]
fn a_race_that_runs() {
    let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80", "192.0.2.2:81"]);
    race.at(40_000).fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Other).with_number(113));
    let expected = "\
racing for 40.0 ms (2 attempts, 2 in flight at most)

  192.0.2.1:80  error 113  40.0 ms  -----------------------x
  192.0.2.2:81  in flight  40.0 ms  ----------------------->
                                    +-----+-----+-----+----+
                                    0 ms  10    20    30  40
";
    assert_eq!(picture(&race, 60, ASCII), expected);
}

#[test]
fn a_race_of_one_attempt() {
    let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
    race.at(30_000).succeeds("192.0.2.1:80");
    let picture = picture(&race, 80, ASCII);
    assert_eq!(picture.lines().next(), Some("connected to 192.0.2.1:80 in 30.0 ms (1 attempt)"));
}

#[test]
fn an_attempt_s_end_has_its_word() {
    let said_of = |error: AttemptError| {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.fails("192.0.2.1:80", error);
        Word::of(&race.timeline().attempts().next().unwrap()).to_string()
    };
    let said = |kind: AttemptErrorKind| said_of(AttemptError::new(kind).with_number(113));
    assert_eq!(said(AttemptErrorKind::Other), "error 113");
    assert_eq!(said_of(AttemptErrorKind::Other.into()), "failed", "the stack gave no reason");
    assert_eq!(said(AttemptErrorKind::NoSourceAddress), "no source");
    assert_eq!(said(AttemptErrorKind::Setup(3)), "not set up");
    assert_eq!(said(AttemptErrorKind::StackGone), "network down");
    assert_eq!(said(AttemptErrorKind::SourceGone), "source gone");
    assert_eq!(said(AttemptErrorKind::OutOfSockets), "no socket");
    assert_eq!(said(AttemptErrorKind::Tls(TlsFailure::CertificateExpired)), "bad certificate");
    assert_eq!(said(AttemptErrorKind::Tls(TlsFailure::NotTls)), "TLS failed");
}

#[test]
fn a_race_without_addresses() {
    let race = Recorded::racing(&Config::all_at_once(), &[]);
    assert_eq!(picture(&race, 80, ASCII), "failed after 0.00 ms: no address to connect to\n");
    assert_eq!(picture(&race, 40, ASCII), "failed after 0.00 ms:\nno address to connect to\n");
}

#[test]
fn what_is_not_shown_is_counted() {
    let addresses: std::vec::Vec<String> = (1..=17).map(|last| format!("192.0.2.{last}:80")).collect();
    let addresses: std::vec::Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut race = Recorded::racing(&Config::all_at_once(), &addresses);
    race.at(600_000).succeeds("192.0.2.9:80");
    let picture = picture(&race, 80, ASCII);
    let notes: std::vec::Vec<&str> = picture.lines().rev().take(3).collect();
    let expected =
        ["  4 attempts are not shown", "  1 address found no room", "  4 addresses were never started"];
    assert_eq!(notes, expected, "{picture}");
}

#[test]
#[cfg_attr(miri, ignore = "ten thousand addresses take minutes there")]
fn a_count_of_five_digits_keeps_to_the_narrowest_width() {
    let addresses: std::vec::Vec<String> =
        (0..10_016).map(|n| format!("198.51.{}.{}:80", n / 256, n % 256)).collect();
    let addresses: std::vec::Vec<&str> = addresses.iter().map(String::as_str).collect();
    let race = Recorded::racing(&Config::all_at_once(), &addresses);
    assert!(picture(&race, 40, ASCII).ends_with("  10000 addresses found no room\n"));
}

#[test]
fn a_race_of_a_year_keeps_to_the_narrowest_width() {
    let mut race = Recorded::racing(&Config::all_at_once(), &["[2001:db8:1234:5678:9abc:def0:1234:5678]:80"]);
    race.at(365 * 86_400 * 1_000_000).succeeds("[2001:db8:1234:5678:9abc:def0:1234:5678]:80");
    let picture = picture(&race, 40, ASCII);
    assert_eq!(picture.lines().next(), Some("connected to [200..8]:80 in 31536000.0 s"));
}

/// Every width; two under Miri, which takes a thousand times as long.
fn widths() -> impl Iterator<Item = usize> {
    (40..=200).step_by(if cfg!(miri) { 160 } else { 1 })
}

#[test]
fn every_width_is_kept_to() {
    let race = everything();
    // Its header has a third piece: why it failed.
    let mut failed = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
    failed.at(13_300).fails("192.0.2.1:80", AttemptErrorKind::Refused);
    for width in widths() {
        picture(&race, width, UNICODE);
        picture(&race, width, ASCII);
        picture(&failed, width, ASCII);
    }
    assert_eq!(race.timeline().waterfall(0, ASCII).to_string(), picture(&race, 40, ASCII));
}

#[test]
fn labels_stand_apart() {
    let mut race = Recorded::racing(&Config::staggered(), &["192.0.2.1:80"]);
    race.at(2_000_000).succeeds("192.0.2.1:80");
    for width in widths() {
        let picture = picture(&race, width, ASCII);
        let labels = picture.lines().last().unwrap().replace("0 ms", "0");
        let labels: std::vec::Vec<u32> =
            labels.split_whitespace().map(|label| label.parse().unwrap()).collect();
        assert!(labels.len() >= 3 && labels.is_sorted() && labels[labels.len() - 1] <= 2_000, "{picture}");
    }
}

#[test]
fn long_addresses_lose_their_middle() {
    let address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:80".parse().unwrap();
    let name = RowName::Address(address, false);
    let cut = |most, style| Elided { name, most, style }.to_string();
    assert_eq!(cut(38, UNICODE), "2001:db8:1234:5678:9abc:def0:1234:5678");
    assert_eq!(cut(20, UNICODE), "2001:db8:…:1234:5678");
    assert_eq!(cut(20, ASCII), "2001:db8:..1234:5678");
    assert_eq!(cut(0, UNICODE), "…");
    let longest = "[1111:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535".parse().unwrap();
    assert_eq!(
        RowName::Address(longest, true).to_string(),
        "[1111:1111:1111:1111:1111:1111:1111:1111%4294967295]:65535"
    );
    assert_eq!(
        RowName::Address(longest, false).to_string(),
        "1111:1111:1111:1111:1111:1111:1111:1111%4294967295"
    );
}

#[test]
fn times_have_the_precision_that_the_axis_deserves() {
    let time = |at, span| AxisTime { at, span }.to_string();
    assert_eq!(time(1_234, 9_999), "1.23 ms");
    assert_eq!(time(1_234, 10_000), "1.2 ms");
    assert_eq!(time(1_234, 1_000_000), "1 ms");
    assert_eq!(time(1_234_567, 10_000_000), "1.2 s");
    assert_eq!(time(u64::MAX, u64::MAX), "18446744073709.5 s");
}

#[test]
fn ticks_have_as_many_decimals_as_they_need() {
    let tick = |at, step, span| AxisTick { at, step, span }.to_string();
    assert_eq!(tick(0, 1, 5), "0 ms");
    assert_eq!(tick(3, 1, 5), "0.003");
    assert_eq!(tick(150, 50, 300), "0.15");
    assert_eq!(tick(1_500, 500, 3_000), "1.5");
    assert_eq!(tick(40_000, 20_000, 90_000), "40");
    assert_eq!(tick(0, 5_000_000, 20_000_000), "0 s");
    assert_eq!((tick(0, 1, 9_999_999), tick(0, 1, 10_000_000)), ("0 ms".into(), "0 s".into()));
    assert_eq!(tick(15_000_000, 5_000_000, 20_000_000), "15");
}
