//! The status as JSON.

use std::fmt::Write as _;
use std::time::Duration;

use connie_std::connie_core::memory::Finish;
use connie_std::memory::Remembered;

use crate::race_log::{FamilyCounts, PastRace};
use crate::server::ProxyView;

impl ProxyView {
    /// What `/status.json` shows: one object.
    ///
    /// | field | is |
    /// |---|---|
    /// | `accepted`, `turned_away`, `open`, `connected`, `sent`, `received` | the fields of [`ProxyCounts`](crate::ProxyCounts) |
    /// | `refused` | how often clients got no connection, by the [name](crate::Refusal::name) of the reason |
    /// | `families` | for `ipv4` and `ipv6` the fields of [`FamilyCounts`], and `seems_broken` |
    /// | `memory` | null without one; else `paid`, and `addresses`: what `connie memory --json` prints of each |
    /// | `races` | the last ones, the latest first: `age_us`, `refused` (a reason, or null), and `race`, which is what `connie race --json` prints, with the plan that says why. The host is empty where names are private |
    #[must_use]
    pub fn json(&self) -> String {
        let counts = self.counts();
        let mut out = String::from("{");
        for (name, count) in counts.numbers() {
            let _ = write!(out, "\"{name}\":{count},");
        }
        let refused = counts.refused.iter().map(|(why, count)| format!("\"{}\":{count}", why.name()));
        let _ = write!(out, "\"refused\":{{{}}},", joined(refused));
        let [v4, v6] = self.families();
        let _ = write!(out, "\"families\":{{\"ipv4\":{},\"ipv6\":{}}},", family(&v4), family(&v6));
        match self.memory() {
            None => out.push_str("\"memory\":null,"),
            Some(memory) => {
                let life = memory.settings().life;
                let addresses = memory.entries().into_iter().map(|entry| remembered(&entry, life));
                let (paid, addresses) = (memory.paid_syns(), joined(addresses));
                let _ = write!(out, "\"memory\":{{\"paid\":{paid},\"addresses\":[{addresses}]}},");
            }
        }
        let _ = write!(out, "\"races\":[{}]}}", joined(self.races().iter().map(past)));
        out.push('\n');
        out
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn family(counts: &FamilyCounts) -> String {
    let FamilyCounts { attempts, won, failed, failed_in_a_row } = counts;
    format!(
        "{{\"attempts\":{attempts},\"won\":{won},\"failed\":{failed},\"failed_in_a_row\":{failed_in_a_row},\
         \"seems_broken\":{}}}",
        counts.seems_broken()
    )
}

fn past(race: &PastRace) -> String {
    let refused = race.refusal.map_or_else(|| "null".to_owned(), |why| format!("\"{}\"", why.name()));
    let report = race.report.as_ref().map_or_else(
        || "null".to_owned(),
        |report| {
            let timeline = report.timeline();
            let printed = timeline.json(&race.host, race.port).denied(report.denied());
            match report.explanation() {
                Some(why) => printed.plan(&why.json()).to_string(),
                None => printed.to_string(),
            }
        },
    );
    format!("{{\"age_us\":{},\"refused\":{refused},\"race\":{report}}}", micros(race.age()))
}

fn remembered(entry: &Remembered, life: Duration) -> String {
    let finish = if entry.finish == Finish::Tls { "tls" } else { "tcp" };
    let or_null =
        |time: Option<Duration>| time.map_or_else(|| "null".to_owned(), |time| micros(time).to_string());
    let too_old = entry.age > life;
    format!(
        "{{\"address\":\"{}\",\"finish\":\"{finish}\",\"network\":\"{:08x}\",\"host_hash\":\"{:08x}\",\
         \"round_trip_us\":{},\"variation_us\":{},\"age_us\":{},\"too_old\":{too_old},\"may_lead\":{},\
         \"has_led\":{},\"failures\":{},\"paused_us\":{}}}",
        entry.address,
        entry.network,
        entry.host,
        or_null(entry.round_trip),
        or_null(entry.variation),
        micros(entry.age),
        entry.is_live && !too_old,
        entry.has_led,
        entry.failures,
        or_null(entry.is_demoted.then_some(entry.demoted_for)),
    )
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
