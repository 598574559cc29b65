//! Reports for serde (feature `serde`). The fields are documented at [`Report`], and keep their names.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::race::Destination;
use connie_core::timeline::Attempt;
use connie_core::{AttemptError, AttemptErrorKind, Failure, Family};
use serde::{Serialize, Serializer};

use crate::memory::{AddressPart, ExplainedAddress, Explanation, WholeRaceReason};
use crate::observer::Observed;
use crate::report::{FailedQuery, Lack, Report};
use crate::setup_step::SetupStep;

#[derive(Serialize)]
struct Race<'a> {
    outcome: Option<&'static str>,
    failure: Option<&'static str>,
    winner: Option<SocketAddr>,
    elapsed_us: Option<u64>,
    resolved_us: Option<u64>,
    max_in_flight: usize,
    attempts_started: u32,
    omitted_attempts: u32,
    omitted_destinations: usize,
    attempts: Vec<OneAttempt>,
    destinations: Vec<OneDestination<'a>>,
    denied: &'a [SocketAddr],
    failed_queries: Vec<OneQuery<'a>>,
    plan: Option<Plan>,
}

#[derive(Serialize)]
struct Plan {
    whole: Option<&'static str>,
    lead: Option<SocketAddr>,
    explored: Option<SocketAddr>,
    second: Option<SocketAddr>,
    next_us: Option<u64>,
    rest_us: Option<u64>,
    longest_us: u64,
    hold_us: Option<u64>,
    paid: Option<usize>,
    first: Option<&'static str>,
    stalled: bool,
    crowd: Option<&'static str>,
    addresses: Vec<Planned>,
}

#[derive(Serialize)]
struct Planned {
    address: SocketAddr,
    part: &'static str,
    round_trip_us: Option<u64>,
    variation_us: Option<u64>,
    due_us: Option<u64>,
    by_prefix: bool,
    age_us: Option<u64>,
    late: bool,
    failures: u8,
    paused_us: Option<u64>,
}

#[derive(Serialize)]
struct OneAttempt {
    destination: SocketAddr,
    family: &'static str,
    started_us: u64,
    ended_us: Option<u64>,
    outcome: Option<&'static str>,
    error_number: Option<i32>,
    hedge: bool,
}

#[derive(Serialize)]
struct OneDestination<'a> {
    address: SocketAddr,
    family: &'static str,
    error: Option<&'static str>,
    error_number: Option<i32>,
    setup: Option<&'static str>,
    note: Option<&'a str>,
}

#[derive(Serialize)]
struct OneQuery<'a> {
    host: &'a str,
    record_type: &'static str,
    error: String,
}

#[derive(Serialize)]
struct Told<'a> {
    host: &'a str,
    port: u16,
    outcome: &'static str,
    winner: Option<SocketAddr>,
    elapsed_us: u64,
    error: Option<String>,
    report: Option<&'a Report>,
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let timeline = self.timeline();
        let summary = timeline.summary();
        let outcome = if summary.failure.is_some() { "failed" } else { "connected" };
        Race {
            outcome: summary.ended.map(|_| outcome),
            failure: match self.lack() {
                // The race was canceled for that, and by nobody else.
                Some(Lack::Refused { .. }) => Some("budget_held"),
                _ => summary.failure.map(failure),
            },
            winner: timeline.winner().map(|attempt| attempt.destination),
            elapsed_us: summary.ended.map(micros),
            resolved_us: summary.resolved.map(micros),
            max_in_flight: summary.max_in_flight,
            attempts_started: summary.attempts,
            omitted_attempts: summary.omitted_attempts,
            omitted_destinations: summary.omitted_destinations,
            attempts: timeline.attempts().map(OneAttempt::from).collect(),
            destinations: timeline.destinations().map(|it| OneDestination::new(self, it)).collect(),
            denied: self.denied(),
            failed_queries: self.failed_queries().iter().map(OneQuery::from).collect(),
            plan: self.explanation().map(Plan::from),
        }
        .serialize(serializer)
    }
}

impl Serialize for Observed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Told {
            host: self.host(),
            port: self.port(),
            outcome: self.outcome().name(),
            winner: self.winner(),
            elapsed_us: micros(self.elapsed()),
            error: self.error().map(ToString::to_string),
            report: self.report(),
        }
        .serialize(serializer)
    }
}

impl From<Explanation<'_>> for Plan {
    fn from(it: Explanation<'_>) -> Self {
        let the = |part| it.the(part).map(ExplainedAddress::address);
        Plan {
            whole: it.whole().map(WholeRaceReason::name),
            lead: the(AddressPart::Lead),
            explored: the(AddressPart::Explored),
            second: the(AddressPart::Second),
            next_us: it.next().map(micros),
            rest_us: it.rest().map(micros),
            longest_us: micros(it.longest_delay()),
            hold_us: it.hold().map(micros),
            paid: it.paid(),
            first: it.first().map(Family::name),
            stalled: it.has_stalled(),
            crowd: it.crowd().name(),
            addresses: it.addresses().iter().map(Planned::from).collect(),
        }
    }
}

impl From<&ExplainedAddress> for Planned {
    fn from(one: &ExplainedAddress) -> Self {
        Planned {
            address: one.address(),
            part: one.part().name(),
            round_trip_us: one.round_trip().map(micros),
            variation_us: one.variation().map(micros),
            due_us: one.due().map(micros),
            by_prefix: one.is_of_prefix(),
            age_us: one.age().map(micros),
            late: one.was_late(),
            failures: one.failures(),
            paused_us: one.paused_for().map(micros),
        }
    }
}

impl From<Attempt> for OneAttempt {
    fn from(attempt: Attempt) -> Self {
        OneAttempt {
            destination: attempt.destination,
            family: attempt.family.name(),
            started_us: micros(attempt.started),
            ended_us: attempt.ended.map(micros),
            outcome: attempt.outcome.map(|outcome| outcome.name()),
            error_number: attempt.number,
            hedge: attempt.hedge,
        }
    }
}

impl<'a> OneDestination<'a> {
    fn new(report: &'a Report, destination: &Destination) -> Self {
        let address = destination.address();
        let error = destination.error();
        OneDestination {
            address,
            family: destination.family().name(),
            error: error.map(AttemptError::name),
            error_number: error.and_then(AttemptError::number),
            setup: error.and_then(setup).map(SetupStep::name),
            note: report.note(address),
        }
    }
}

impl<'a> From<&'a FailedQuery> for OneQuery<'a> {
    fn from(failed: &'a FailedQuery) -> Self {
        let record_type = failed.query.record_type();
        OneQuery { host: failed.query.name(&failed.host), record_type, error: failed.error.to_string() }
    }
}

/// Which step of its socket's set-up has failed.
fn setup(error: AttemptError) -> Option<SetupStep> {
    match error.kind() {
        AttemptErrorKind::Setup(number) => SetupStep::from_number(number),
        _ => None,
    }
}

fn failure(failure: Failure) -> &'static str {
    match failure {
        Failure::NoDestinations => "no_destinations",
        Failure::AllAttemptsFailed => "all_attempts_failed",
        Failure::DeadlineExceeded => "deadline_exceeded",
        Failure::Canceled => "canceled",
        Failure::StackGone => "stack_gone",
        _ => "other",
    }
}

/// `duration` in microseconds.
fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use connie_core::resolution::{Query, QueryError};
    use connie_core::{Config, Input, Instant, Output, Race};

    use super::*;

    /// A race whose first address refused after 150 microseconds, and whose second won after 30 milliseconds.
    fn won() -> Report {
        let mut race = Race::<4, 4, 4>::new(&Config::all_at_once(), Instant::ZERO);
        let addresses = ["192.0.2.1:80", "[2001:db8::2]:80", "192.0.2.3:80"];
        let addresses: Vec<SocketAddr> = addresses.iter().map(|text| text.parse().unwrap()).collect();
        race.handle_addresses(&addresses, Instant::ZERO);
        let mut ids = Vec::new();
        while let Output::StartAttempt { id, destination } = race.poll_output(Instant::ZERO) {
            ids.push((destination, id));
        }
        let id = |address: SocketAddr| ids.iter().find(|it| it.0 == address).unwrap().1;
        let error = AttemptError::new(AttemptErrorKind::Refused).with_number(111);
        race.handle_input(Input::AttemptFailed { id: id(addresses[0]), error }, Instant::from_micros(150));
        let at = Instant::from_micros(30_211);
        race.handle_input(Input::AttemptSucceeded { id: id(addresses[1]) }, at);
        while !race.poll_output(at).ends_drain() {}
        let query = FailedQuery {
            host: "name.test".to_owned(),
            query: Query::Aaaa,
            error: QueryError::TimedOut.into(),
        };
        Report::from(race.timeline()).with_failed_queries(vec![query])
    }

    /// What programs read. A field may be added; none is changed.
    const WON: &str = concat!(
        r#"{"outcome":"connected","failure":null,"winner":"[2001:db8::2]:80","elapsed_us":30211,"resolved_us":0,"#,
        r#""max_in_flight":3,"attempts_started":3,"omitted_attempts":0,"omitted_destinations":0,"attempts":["#,
        r#"{"destination":"[2001:db8::2]:80","family":"ipv6","started_us":0,"ended_us":30211,"#,
        r#""outcome":"established","error_number":null,"hedge":false},"#,
        r#"{"destination":"192.0.2.1:80","family":"ipv4","started_us":0,"ended_us":150,"#,
        r#""outcome":"refused","error_number":111,"hedge":false},"#,
        r#"{"destination":"192.0.2.3:80","family":"ipv4","started_us":0,"ended_us":30211,"#,
        r#""outcome":"canceled","error_number":null,"hedge":false}],"destinations":["#,
        r#"{"address":"192.0.2.1:80","family":"ipv4","error":"refused","error_number":111,"setup":null,"note":null},"#,
        r#"{"address":"[2001:db8::2]:80","family":"ipv6","error":null,"error_number":null,"setup":null,"note":null},"#,
        r#"{"address":"192.0.2.3:80","family":"ipv4","error":null,"error_number":null,"setup":null,"note":null}],"#,
        r#""denied":[],"failed_queries":[{"host":"name.test","record_type":"AAAA","error":"no answer in time"}],"plan":null}"#,
    );

    #[test]
    fn a_report_as_json() {
        assert_eq!(serde_json::to_string(&won()).unwrap(), WON);
    }

    /// The plan is what the core prints, to the letter.
    #[test]
    fn a_plan_as_json() {
        use crate::{Memory, Options, connect};
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = [server.local_addr().unwrap(), "127.0.0.1:1".parse().unwrap()];
        let options = Options { memory: Some(Memory::new()), ..Options::default() };
        for leads in [false, true] {
            let connected = connect(addresses, &options).unwrap();
            let explanation = connected.report().explanation().unwrap();
            assert_eq!(explanation.whole().is_none(), leads);
            let json = serde_json::to_string(connected.report()).unwrap();
            let plan = explanation.json().to_string();
            assert!(json.ends_with(&format!(r#","plan":{plan}}}"#)), "{json}: {plan}");
        }
    }

    #[test]
    fn what_an_observer_is_told_as_json() {
        let (report, elapsed) = (won(), Duration::from_micros(30_500));
        let winner = "192.0.2.1:80".parse().unwrap();
        let told = Observed::new(("name.test", 80), Ok(winner), Some(&report), elapsed);
        let expected = format!(
            r#"{{"host":"name.test","port":80,"outcome":"won","winner":"{winner}","elapsed_us":30500,"error":null,"report":{WON}}}"#
        );
        assert_eq!(serde_json::to_string(&told).unwrap(), expected);
        // Where the whole project is at hand: docs/observing.md shows a race with fewer attempts.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/observing.md");
        let Ok(page) = std::fs::read_to_string(path) else { return };
        let block = page.split_once("```json\n").and_then(|(_, rest)| rest.split_once("```"));
        let shown = block.expect("a block of JSON").0;
        let _: serde_json::Value = serde_json::from_str(shown).expect("what the page shows is JSON");
        let fields = |json: &str| {
            let keys =
                json.match_indices("\":").map(|(end, _)| json[..end].rsplit('"').next().unwrap().to_owned());
            keys.collect::<std::collections::BTreeSet<_>>()
        };
        assert_eq!(fields(shown), fields(&expected));
    }

    #[test]
    fn an_option_that_could_not_be_set_is_named() {
        let error = crate::error::tests::failed("h", &[(AttemptErrorKind::Setup(4), Some(19))]);
        let json = serde_json::to_string(error.report().unwrap()).unwrap();
        assert!(json.contains(r#""outcome":"setup","error_number":19"#), "{json}");
        assert!(
            json.contains(r#""error":"setup","error_number":19,"setup":"interface","note":null"#),
            "{json}"
        );
    }

    #[test]
    fn a_race_without_a_socket_was_not_canceled() {
        use crate::{ConnectErrorKind, Options, SocketBudget, connect};
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let options = Options { budget: Some(SocketBudget::new(1)), ..Options::default() };
        let _held = connect(address, &options).unwrap();
        let error = connect(address, &options).unwrap_err();
        assert!(matches!(error.kind(), ConnectErrorKind::BudgetHeld { .. }), "{error}");
        let json = serde_json::to_string(error.report().unwrap()).unwrap();
        assert!(json.starts_with(r#"{"outcome":"failed","failure":"budget_held","winner":null"#), "{json}");
    }

    #[test]
    fn a_race_that_failed_says_why() {
        let error = crate::error::tests::failed("h", &[(AttemptErrorKind::Unreachable, Some(113))]);
        let told = Observed::new(("h", 80), Err(&error), error.report(), Duration::ZERO);
        let json = serde_json::to_string(&told).unwrap();
        let start = r#"{"host":"h","port":80,"outcome":"lost","winner":null,"elapsed_us":0,"error":"could not connect to h port 80"#;
        assert!(json.starts_with(start), "{json}");
        assert!(
            json.contains(r#""outcome":"failed","failure":"all_attempts_failed","winner":null"#),
            "{json}"
        );
    }
}
