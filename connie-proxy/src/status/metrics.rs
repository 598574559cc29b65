//! The counts as Prometheus reads them (its text format, version 0.0.4).

use std::fmt::Write as _;

use crate::server::ProxyView;

impl ProxyView {
    /// What `/metrics` shows. It has no names and no addresses.
    #[must_use]
    pub fn metrics(&self) -> String {
        let mut out = String::new();
        let mut one = |name: &str, kind: &str, help: &str| {
            let _ = writeln!(out, "# HELP connie_proxy_{name} {help}\n# TYPE connie_proxy_{name} {kind}");
            for (label, count) in values(self, name) {
                let _ = writeln!(out, "connie_proxy_{name}{label} {count}");
            }
        };
        one("clients_total", "counter", "Clients that were served or refused.");
        one("clients_turned_away_total", "counter", "Clients that may not use the proxy, or were too many.");
        one("clients_open", "gauge", "Clients that are there now.");
        one("connections_total", "counter", "Connections to hosts.");
        one("refused_total", "counter", "Clients that got no connection, by the reason.");
        one(
            "attempts_total",
            "counter",
            "Attempts to connect, each of which sends a SYN, by what came of them.",
        );
        one("family_seems_broken", "gauge", "Whether the last attempts of the family have all failed.");
        one("sent_bytes_total", "counter", "Bytes to hosts, over connections that have ended.");
        one("received_bytes_total", "counter", "Bytes from hosts, over connections that have ended.");
        out
    }
}

/// The values of a metric, each with its labels.
fn values(view: &ProxyView, name: &str) -> Vec<(String, u64)> {
    let counts = view.counts();
    let plain = |count| vec![(String::new(), count)];
    let families = || ["ipv4", "ipv6"].into_iter().zip(view.families());
    match name {
        "clients_total" => plain(counts.accepted),
        "clients_turned_away_total" => plain(counts.turned_away),
        "clients_open" => plain(counts.open),
        "connections_total" => plain(counts.connected),
        "sent_bytes_total" => plain(counts.sent),
        "received_bytes_total" => plain(counts.received),
        "refused_total" => counts
            .refused
            .iter()
            .map(|(why, count)| (format!("{{reason=\"{}\"}}", why.name()), *count))
            .collect(),
        "attempts_total" => families()
            .flat_map(|(family, it)| {
                let given_up = it.attempts.saturating_sub(it.won).saturating_sub(it.failed);
                [("won", it.won), ("failed", it.failed), ("given_up", given_up)]
                    .map(|(outcome, count)| (format!("{{family=\"{family}\",outcome=\"{outcome}\"}}"), count))
            })
            .collect(),
        "family_seems_broken" => families()
            .map(|(family, it)| (format!("{{family=\"{family}\"}}"), u64::from(it.seems_broken())))
            .collect(),
        _ => Vec::new(),
    }
}
