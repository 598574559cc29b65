//! `connie-wasi` in a component on a runtime. Names are looked up by the runtime, which is to say by the C
//! library.

use std::collections::BTreeSet;
use std::path::Path;

use connie_core::Family;
use connie_tests::lab::replace_files;
use connie_tests::limits;
use connie_tests::names_table::{DELAY, Name, PORT, Pace};
use connie_tests::wasi::Runtime;

use super::Ended;
use super::stage::{ASK_THE_STAGE, Stage as Names, ip};

/// Why it does something else with a name.
pub fn reason(name: &Name) -> Option<&'static str> {
    match name.label {
        "aaaa-late" | "aaaa-never" | "no-ipv6" => Some("the runtime tells both answers in one batch"),
        "both-empty" | "nxdomain" => Some("the runtime tells neither from a failure"),
        _ if name.lacks == Some(Family::V4) && name.label != "nat64-loopback" => {
            Some("the runtime asks for both families of ipv4only.arpa")
        }
        _ => None,
    }
}

/// Runs the component. What it says is `one_race`'s.
pub fn connect(runtime: &Runtime, component: &Path, stage: &Names<'_>) -> Ended {
    replace_files(&ASK_THE_STAGE);
    let race = &stage.name.race;
    let pace = match race.pace {
        Pace::AllAtOnce => "all-at-once",
        Pace::Staggered => "staggered",
        Pace::OneByOne => "one-by-one",
    };
    let prefers = if race.prefers == Family::V4 { "ipv4" } else { "ipv6" };
    let times = [race.deadline.into(), DELAY.as_millis(), race.resolution_delay.as_millis()];
    let mut command = runtime.command(component);
    command.args([&stage.host, &PORT.to_string(), pace, prefers]).args(times.map(|time| time.to_string()));
    let output = limits::output(&mut command).expect("a run of the component");
    let (said, complaint) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    match said.split_once(' ') {
        Some(("won", winner)) => Ended::Won(ip(winner.trim_end())),
        Some(("lost", why)) => Ended::Lost(words(why)),
        _ => panic!("{said}{complaint}"),
    }
}

fn words(why: &str) -> String {
    let (kind, rest) = why.split_once('\n').unwrap_or((why, ""));
    match kind {
        "NoDestinations" => "no address",
        "DeadlineExceeded" => "timed out",
        "host" => "no host",
        "zone" => "no such zone",
        "look-up" if rest.contains("NameUnresolvable") || rest.contains("Nowhere") => "no such name",
        "look-up" => "look-up failed",
        "AllAttemptsFailed" => {
            let errors: BTreeSet<_> = rest.lines().map(|name| name.replace('_', " ")).collect();
            return errors.into_iter().collect::<Vec<_>>().join(" + ");
        }
        other => other,
    }
    .to_owned()
}
