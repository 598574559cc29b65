//! The status as JSON.

use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use connie_std::SocketBudget;
use connie_std::connie_core::memory::Finish;
use connie_std::memory::Remembered;

use crate::comparison::{Comparison, Expense};
use crate::race_log::{FamilyCounts, LogView, PastRace, RunningRace, Saved};
use crate::server::ProxyView;

/// For how many seconds the status counts as unchanged while nothing happens: what the memory believes
/// changes with time alone.
const FRESH: u64 = 10;

impl ProxyView {
    /// What `/status.json` shows: one object.
    ///
    /// | field | is |
    /// |---|---|
    /// | `accepted`, `turned_away`, `open`, `connected`, `sent`, `received` | the fields of [`ProxyCounts`](crate::ProxyCounts) |
    /// | `log` | an identifier that differs after each start of the proxy, when the numbers of races begin at 0 again |
    /// | `up_us` | how long the proxy has run |
    /// | `private` | whether names are left out |
    /// | `max_clients` | how many clients it serves at once |
    /// | `budget` | null without one; else `sockets`, and how many of them are `free`, and `held` by connections |
    /// | `refused` | how often clients got no connection, by the [name](crate::Refusal::name) of the reason |
    /// | `families` | for `ipv4` and `ipv6` the fields of [`FamilyCounts`], and `seems_broken` |
    /// | `saved` | against `happy_eyeballs` (RFC 8305, 250 ms) and `one_by_one` (each address for 127 s): how many `races` could be compared, and by how many `attempts` and how much `time_us` all of these together took less than that client would have |
    /// | `memory` | null without one; else `paid`, and `addresses`: what `connie memory --json` prints of each |
    /// | `hosts` | those of the last races, each with `host`, `port`, its `host_hash` in the memory, and what the next race to its addresses would do: in words (`why`), and as a `plan` like that of a race |
    /// | `running` | the races that are still running, the oldest first: `host`, `port`, and `age_us` |
    /// | `races` | the last ones, the latest first: a `number` that counts up, `host`, `port`, `age_us`, `refused` (a reason, or null), `why` (its plan in words), `compared`, and `race`, which is what `connie race --json` prints, with the plan. Beside it stand `hedges` (the indices of second attempts beside another), `idle` (how many addresses were never started), `no_room` (how many addresses found no room) and `not_shown` (how many attempts are left out). `compared` has `own`, `happy_eyeballs` and `one_by_one`, each with `attempts` and `time_us`, or null where not enough is known of the addresses |
    ///
    /// Where names are private, `host` is empty and `port` 0.
    #[must_use]
    pub fn json(&self) -> String {
        let (counts, log, config) = (self.counts(), self.log().view(), self.config());
        let mut out = String::from("{");
        for (name, count) in counts.numbers() {
            let _ = write!(out, "\"{name}\":{count},");
        }
        let refused = counts.refused.iter().map(|(why, count)| format!("\"{}\":{count}", why.name()));
        let [v4, v6] = self.families().map(|counts| family(&counts));
        let _ = write!(
            out,
            "\"log\":\"{:016x}\",\"up_us\":{},\"private\":{},\"max_clients\":{},\"budget\":{},\"refused\":{{{}}},\
             \"families\":{{\"ipv4\":{v4},\"ipv6\":{v6}}},",
            self.log().id(),
            micros(self.age()),
            config.private,
            config.limits.clients,
            or_null(config.options.budget.as_ref().map(budget)),
            joined(refused),
        );
        let [eyeballs, one_by_one] = log.saved.map(|saved| saved_of(&saved));
        let _ = write!(out, "\"saved\":{{\"happy_eyeballs\":{eyeballs},\"one_by_one\":{one_by_one}}},");
        let memory = or_null(config.options.memory.as_ref().map(|memory| {
            let life = memory.settings().life;
            let addresses = memory.entries().into_iter().map(|entry| remembered(&entry, life));
            format!("{{\"paid\":{},\"addresses\":[{}]}}", memory.paid_syns(), joined(addresses))
        }));
        let _ = write!(out, "\"memory\":{memory},\"hosts\":[{}],", joined(self.hosts(&log).into_iter()));
        let _ = write!(out, "\"running\":[{}],", joined(log.running.iter().map(running)));
        let _ = write!(out, "\"races\":[{}]}}", joined(log.races.iter().map(past)));
        out.push('\n');
        out
    }

    /// The entity tag of the status: the same as long as nothing but its age has changed.
    pub(super) fn tag(&self) -> String {
        let mut hasher = DefaultHasher::new();
        (self.log().id(), self.log().revision()).hash(&mut hasher);
        let counts = self.counts();
        (counts.numbers(), &counts.refused, self.age().as_secs() / FRESH).hash(&mut hasher);
        self.config().options.budget.as_ref().map(SocketBudget::free).hash(&mut hasher);
        format!("\"{:016x}\"", hasher.finish())
    }

    /// The hosts of these races as JSON, each once.
    fn hosts(&self, log: &LogView) -> Vec<String> {
        let (mut seen, mut hosts) = (HashSet::new(), Vec::new());
        for race in &log.races {
            let Some(report) = &race.report else { continue };
            let named = !race.host.is_empty();
            if named && !seen.insert((race.host.clone(), u32::from(race.port), 0)) {
                continue;
            }
            let Some(next) = report.next_plan(&self.config().options.race) else { continue };
            let port = report.timeline().destinations().next().map_or(0, |it| it.address().port());
            if !named && !seen.insert((String::new(), next.host(), port)) {
                continue;
            }
            let Some(why) = next.explanation() else { continue };
            hosts.push(format!(
                "{{\"host\":{},\"port\":{},\"host_hash\":\"{:08x}\",\"why\":{},\"plan\":{}}}",
                Text(&race.host),
                race.port,
                next.host(),
                Text(&why.to_string()),
                why.json(),
            ));
        }
        hosts
    }
}

fn joined(items: impl Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join(",")
}

fn or_null(value: Option<String>) -> String {
    value.unwrap_or_else(|| "null".to_owned())
}

/// A string of JSON (RFC 8259 section 7). All but printable ASCII is escaped: it may be shown in a terminal.
struct Text<'a>(&'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for c in self.0.chars() {
            match c {
                '"' | '\\' => write!(f, "\\{c}")?,
                ' '..='~' => f.write_char(c)?,
                c => c.encode_utf16(&mut [0; 2]).iter().try_for_each(|unit| write!(f, "\\u{unit:04x}"))?,
            }
        }
        f.write_char('"')
    }
}

fn budget(budget: &SocketBudget) -> String {
    format!("{{\"sockets\":{},\"free\":{},\"held\":{}}}", budget.sockets(), budget.free(), budget.held())
}

fn family(counts: &FamilyCounts) -> String {
    let FamilyCounts { attempts, won, failed, failed_in_a_row } = counts;
    format!(
        "{{\"attempts\":{attempts},\"won\":{won},\"failed\":{failed},\"failed_in_a_row\":{failed_in_a_row},\
         \"seems_broken\":{}}}",
        counts.seems_broken()
    )
}

fn saved_of(saved: &Saved) -> String {
    let Saved { races, attempts, micros } = saved;
    format!("{{\"races\":{races},\"attempts\":{attempts},\"time_us\":{micros}}}")
}

fn running(race: &RunningRace) -> String {
    let age = micros(race.began.elapsed());
    format!("{{\"host\":{},\"port\":{},\"age_us\":{age}}}", Text(&race.host), race.port)
}

fn past(race: &PastRace) -> String {
    let mut out = String::new();
    let PastRace { number, port, .. } = race;
    let refused = or_null(race.refusal.map(|why| format!("\"{}\"", why.name())));
    let _ = write!(out, "{{\"number\":{number},\"host\":{},\"port\":{port},", Text(&race.host));
    let _ = write!(out, "\"age_us\":{},\"refused\":{refused},", micros(race.ended.elapsed()));
    let Some(report) = &race.report else {
        out.push_str("\"why\":null,\"compared\":null,\"race\":null}");
        return out;
    };
    let (timeline, explanation) = (report.timeline(), report.explanation());
    let why = or_null(explanation.map(|why| Text(&why.to_string()).to_string()));
    let hedges = timeline.attempts().enumerate().filter(|(_, attempt)| attempt.hedge);
    let idle = timeline.destinations().filter(|destination| !destination.was_started()).count();
    let summary = timeline.summary();
    let _ = write!(
        out,
        "\"why\":{why},\"compared\":{},\"hedges\":[{}],\"idle\":{idle},\"no_room\":{},\"not_shown\":{},",
        or_null(race.comparison.as_ref().map(compared)),
        joined(hedges.map(|(place, _)| place.to_string())),
        summary.omitted_destinations,
        summary.omitted_attempts,
    );
    let json = timeline.json(&race.host, race.port).denied(report.denied());
    let _ = match explanation {
        Some(why) => write!(out, "\"race\":{}}}", json.plan(&why.json())),
        None => write!(out, "\"race\":{json}}}"),
    };
    out
}

fn compared(comparison: &Comparison) -> String {
    let expense = |it: &Expense| format!("{{\"attempts\":{},\"time_us\":{}}}", it.attempts, micros(it.time));
    let Comparison { own, happy_eyeballs, one_by_one } = comparison;
    format!(
        "{{\"own\":{},\"happy_eyeballs\":{},\"one_by_one\":{}}}",
        expense(own),
        or_null(happy_eyeballs.as_ref().map(expense)),
        or_null(one_by_one.as_ref().map(expense)),
    )
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_ascii() {
        let shown = |text| Text(text).to_string();
        assert_eq!(shown("plain.example"), "\"plain.example\"");
        assert_eq!(shown("a\"b\\c\u{7f}\u{1b}"), "\"a\\\"b\\\\c\\u007f\\u001b\"");
        assert_eq!(shown("ü\u{202e}\u{1f600}"), "\"\\u00fc\\u202e\\ud83d\\ude00\"");
    }
}
