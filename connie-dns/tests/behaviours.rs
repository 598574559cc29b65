//! What name servers do, and what a lookup makes of it: what it finds out, when, and which queries that
//! takes. The table is that of all drivers.

mod common;

use common::*;
use connie_dns::{DnsConfig, DnsTransport, RecordLookup, RecordType, WantedRecords};
use connie_sim::name_servers::{self, Driver, Row, Servers, rows};

/// Those of a row. Where it is all one, with TCP or without.
fn settings(row: &Row) -> Vec<DnsConfig> {
    let how = row.settings();
    let transports: &[_] = match how.transport {
        name_servers::Transport::Either => &[DnsTransport::Udp, DnsTransport::UdpAndTcp],
        name_servers::Transport::Udp => &[DnsTransport::Udp],
        name_servers::Transport::UdpAndTcp => &[DnsTransport::UdpAndTcp],
        name_servers::Transport::Tcp => &[DnsTransport::Tcp],
    };
    let with = |transport: &DnsTransport| {
        let mut settings =
            DnsConfig { transport: *transport, randomise_case: how.case, ..DnsConfig::default() };
        settings.attempts = how.attempts.unwrap_or(settings.attempts);
        settings.timeout = how.timeout.unwrap_or(settings.timeout);
        settings
    };
    transports.iter().map(with).collect()
}

fn found(row: &Row, settings: DnsConfig) -> String {
    let mut bench = Bench::<4>::of(settings, Servers::of(row, at(0)));
    let kinds: Vec<_> = row.kinds().into_iter().map(kind).collect();
    let wants = |kind| kinds.contains(&kind);
    let wanted = WantedRecords {
        aaaa: wants(RecordType::Aaaa),
        a: wants(RecordType::A),
        https: wants(RecordType::Https),
    };
    let found = bench.run(&mut RecordLookup::new(name(name_servers::NAME), wanted));
    format!("{found} | {}", bench.sent().join(" "))
}

#[test]
fn every_row_of_the_table() {
    let mut wrong = Vec::new();
    let rows = rows(&Driver::ANY);
    for row in &rows {
        for settings in settings(row) {
            let (found, transport) = (found(row, settings), settings.transport);
            if found != row.expected {
                let expected = row.expected;
                wrong.push(format!("{}: {transport:?}\n  expected {expected}\n  found    {found}", row.what));
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} rows:\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    assert!(rows.len() >= 121, "{} rows", rows.len());
}
