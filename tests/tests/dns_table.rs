//! `connie_std::dns` against the table of what name servers do: in virtual time over loopback sockets, and in
//! real time through `connect`, in a thread and in a task.
#![cfg(target_os = "linux")]

mod name_servers;

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Families, Family, Instant};
use connie_sim::name_servers::{Driver, Finding, Found, Kind, NAME, Row, Transport, rows};
use connie_std::dns::{Dns, HttpsRecords};
use connie_std::resolve::{PendingLookup, Resolve, ResolveEvent, ResolveRequest};
use connie_std::{ConnectError, Options, OsClock, Report, connect};
use connie_tests::clock::timed;
use connie_tests::lab::{in_namespace, ms};

use name_servers::{InRealTime, InVirtualTime};

/// A clock that does not start at zero shows confusions of moments with durations.
const START: Instant = Instant::from_millis(1_000_000);

/// An ICMP error comes at once and not when the table has it, so that such rows have a test of their own;
/// service records are told as what follows from them.
const STD: Driver = Driver { udp_alone: false, https: false, errors: false, ..Driver::ANY };

fn resolver(row: &Row, servers: Vec<SocketAddr>) -> Dns {
    let settings = row.settings();
    Dns::new(servers)
        .tcp(settings.transport == Transport::Tcp)
        .attempts(settings.attempts.unwrap_or(Dns::DEFAULT_ATTEMPTS))
        .timeout(settings.timeout.unwrap_or(Dns::DEFAULT_TIMEOUT))
        .randomise_case(settings.case)
        .hosts_file(None)
        .https_records(HttpsRecords::Never)
}

fn families(row: &Row) -> Families {
    match row.kinds()[..] {
        [Kind::Aaaa] => Families::Only(Family::V6),
        [Kind::A] => Families::Only(Family::V4),
        _ => Families::Both,
    }
}

/// Takes what a lookup tells.
fn take(lookup: &mut dyn PendingLookup, now: Instant, found: &mut Vec<Found>) {
    while let Some(event) = lookup.poll(now) {
        let kind = |family| if family == Family::V6 { Kind::Aaaa } else { Kind::A };
        let (kind, finding) = match event {
            ResolveEvent::Answered(answer) if answer.addresses.is_empty() => {
                (kind(answer.family), Finding::Nothing)
            }
            ResolveEvent::Answered(answer) => {
                let addresses = answer.addresses.iter().map(SocketAddr::ip).collect();
                (kind(answer.family), Finding::Addresses(addresses))
            }
            ResolveEvent::Failed { family, error } => (kind(family), Finding::Error(error.kind)),
            other => panic!("{other:?}"),
        };
        let millis = (now.as_micros() - START.as_micros()) / 1_000;
        found.push(Found { kind, finding, millis });
    }
}

/// Runs a row, and answers what was found and what was sent.
fn run(row: &Row) -> (Vec<Found>, Vec<String>) {
    let mut servers = InVirtualTime::start(row, START);
    let resolver = resolver(row, servers.addresses());
    let mut question = ResolveRequest::new(NAME, 80, OsClock::start());
    question.families = families(row);
    let (mut now, mut found) = (START, Vec::new());
    let mut lookup = resolver.lookup(&question, now);
    for _ in 0..1_000 {
        loop {
            take(&mut *lookup, now, &mut found);
            if !servers.serve(now) {
                break;
            }
        }
        let Some(wake) = lookup.wake_at() else {
            assert!(lookup.poll(now).is_none());
            return (found, servers.sent());
        };
        assert!(wake > now, "{}: it turns round at {now}", row.what);
        now = servers.next().map_or(wake, |next| next.min(wake));
        servers.deliver(now);
    }
    panic!("{}: it does not end: {found:?}", row.what);
}

#[test]
fn the_table_in_virtual_time() {
    let rows = rows(&STD);
    let mut wrong = Vec::new();
    for row in &rows {
        // The second time where the machine was too busy to deliver what it had.
        let is_right = || {
            let (found, sent) = run(row);
            (found == row.found() && sent.iter().map(String::as_str).eq(row.sent())).then_some(()).ok_or_else(
                || {
                    let found: Vec<_> = found.iter().map(ToString::to_string).collect();
                    format!("{}: {} | {}\n  not {}", row.what, found.join("; "), sent.join(" "), row.expected)
                },
            )
        };
        wrong.extend(is_right().or_else(|_| is_right()).err());
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() >= 60);
}

/// What a connect has found: which addresses it tried, and why there was no answer.
fn outcome(report: &Report) -> Vec<(Kind, Finding)> {
    let mut found = Vec::new();
    let attempts: Vec<_> = report.timeline().attempts().map(|attempt| attempt.destination.ip()).collect();
    for (kind, is_v6) in [(Kind::Aaaa, true), (Kind::A, false)] {
        let of_kind: Vec<_> = attempts.iter().copied().filter(|ip| ip.is_ipv6() == is_v6).collect();
        if !of_kind.is_empty() {
            found.push((kind, Finding::Addresses(of_kind)));
        }
    }
    for failed in report.failed_queries() {
        let kind = if failed.query == connie_core::resolution::Query::Aaaa { Kind::Aaaa } else { Kind::A };
        found.push((kind, Finding::Error(failed.error.kind)));
    }
    found.sort_by_key(|(kind, _)| *kind);
    found
}

/// Runs the rows that are for the kernel, all addresses unreachable.
fn in_real_time(connect: fn(&Options) -> Result<(), ConnectError>) {
    in_namespace(move |_| {
        let rows = rows(&STD).into_iter().filter(|row| row.kernel).collect::<Vec<_>>();
        assert!(rows.len() >= 12, "{}", rows.len());
        for row in rows {
            let servers = InRealTime::start(row);
            let mut options = Options::new().resolver(resolver(row, servers.addresses()));
            options.race.families = families(row);
            options.race.deadline = Some(Duration::from_secs(20));
            let (result, took) = timed(|| connect(&options));
            let error = result.expect_err("no address is reached");
            let report = error.report().unwrap_or_else(|| panic!("{}: {error:?}", row.what));
            let expected: Vec<_> = row
                .found()
                .into_iter()
                .filter(|found| found.finding != Finding::Nothing)
                .map(|found| (found.kind, found.finding))
                .collect();
            assert_eq!(outcome(report), expected, "{}: {error:?}", row.what);
            let last = row.found().iter().map(|found| found.millis).max().expect("something is found");
            let late = ms(last + 900);
            assert!((ms(last)..late).contains(&took), "{}: {took:?}, not {last} ms", row.what);
            let sent: Vec<_> = servers.sent().iter().map(|sent| without_time(sent)).collect();
            assert_eq!(sent, row.sent().map(without_time).collect::<Vec<_>>(), "{}", row.what);
        }
    });
}

/// `AAAA>0` of `AAAA>0@250-`.
fn without_time(sent: &str) -> String {
    sent.split('@').next().unwrap_or(sent).to_owned()
}

#[test]
fn the_rows_for_the_kernel_in_a_thread() {
    in_real_time(|options| connect((NAME, 80), options).map(drop));
}

#[test]
fn the_rows_for_the_kernel_in_a_task() {
    in_real_time(|options| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = options.clone();
        runtime.block_on(async move { connie_std::tokio_net::connect((NAME, 80), &options).await.map(drop) })
    });
}
