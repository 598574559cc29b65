//! The timeline as a qlog file: the events of draft-kuehlewind-happy-qlog in the main schema of
//! draft-ietf-quic-qlog-main-schema.
//!
//! What the drafts have no field for goes into fields that begin with `connie_`, which both allow.

use core::fmt;
use core::time::Duration;

use super::json::{JsonText, JsonValue};
use super::{Attempt, Timeline};
use crate::race::{AttemptErrorKind, AttemptOutcome, Config, Failure, Families, Family, Pacing};
use crate::time::micros;

/// "Implementations of draft versions of the event schema MUST append the string "-" and the corresponding
/// draft number".
const EVENT_SCHEMA: &str = "urn:ietf:params:qlog:events:hev3-00";

impl<'a> Timeline<'a> {
    /// The timeline as a qlog file: one JSON object in the schema `urn:ietf:params:qlog:file:contained`, an
    /// event a line, in the order of time. Meant for a race that has ended; in one that runs, attempts in
    /// flight have no outcome yet.
    ///
    /// `session` names the race among others (`he_session_id`). `host` and `port` are what it was asked to
    /// connect to. Times are milliseconds since the start of the race, on a monotonic clock whose epoch is
    /// unknown.
    ///
    /// A full record forgets attempts: those are counted in `metrics` and have no events.
    pub fn qlog(&self, session: &'a str, host: &'a str, port: u16) -> Qlog<'a> {
        Qlog { timeline: *self, session, host, port, config: None, by_name: false, plan: None }
    }
}

/// A timeline that prints as a qlog file: from [`Timeline::qlog`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing until it is printed"]
pub struct Qlog<'a> {
    timeline: Timeline<'a>,
    session: &'a str,
    host: &'a str,
    port: u16,
    config: Option<&'a Config>,
    by_name: bool,
    plan: Option<JsonValue<'a>>,
}

impl<'a> Qlog<'a> {
    /// Adds the event `config_set`: how the race was run.
    pub fn config(mut self, config: &'a Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Says that the addresses came from a lookup of the host's name that began with the race. Adds the
    /// events `dns_query_started`, `dns_query_finished` and `candidate_discovered`.
    ///
    /// The timeline keeps the moment of the first usable answer, so all addresses are put down to that one.
    pub fn resolved_by_name(mut self) -> Self {
        self.by_name = true;
        self
    }

    /// With why the race did what it did, as `connie_plan` in the event of its first start: the
    /// [JSON](crate::memory::Explanation::json) of what its memory knew.
    pub fn plan(mut self, explanation: &'a dyn fmt::Display) -> Self {
        self.plan = Some(JsonValue(explanation));
        self
    }
}

impl fmt::Display for Qlog<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // "file_schema" and "serialization_format" "SHOULD be in the first 256 characters".
        f.write_str(r#"{"file_schema":"urn:ietf:params:qlog:file:contained","#)?;
        f.write_str(r#""serialization_format":"application/qlog+json","#)?;
        write!(f, r#""title":"connection race","traces":[{{"title":{},"#, JsonText(self.host))?;
        f.write_str(r#""vantage_point":{"name":"connie","type":"client"},"common_fields":{"#)?;
        f.write_str(r#""time_format":"relative_to_epoch","#)?;
        f.write_str(r#""reference_time":{"clock_type":"monotonic","epoch":"unknown"},"#)?;
        write!(f, r#""group_id":{}}},"#, JsonText(self.session))?;
        write!(f, r#""event_schemas":["{EVENT_SCHEMA}"],"events":["#)?;
        let mut events = QlogEvents { f, session: self.session, any: false };
        if let Some(config) = self.config {
            self.write_config(&mut events, config)?;
        }
        if self.by_name {
            self.write_resolution(&mut events)?;
        }
        let last = self.write_attempts(&mut events)?;
        self.write_end(&mut events, last)?;
        f.write_str("\n]}]}\n")
    }
}

impl Qlog<'_> {
    fn write_config(&self, events: &mut QlogEvents<'_, '_>, config: &Config) -> fmt::Result {
        let reason = if *config == Config::default() { "startup" } else { "app_config" };
        let f = events.begin(Duration::ZERO, "config_set")?;
        let preferred = match config.families {
            Families::Both => config.preferred_family,
            Families::Only(only) => only,
        };
        write!(f, r#","policy":{{"preferred_family":"{}","#, preferred.name())?;
        write!(f, r#""preferred_address_family_count":{},"#, config.first_address_family_count.max(1))?;
        if let Pacing::Staggered { delay, .. } = config.pacing {
            let delay = delay.clamp(Config::MIN_DELAY, Config::MAX_DELAY);
            write!(f, r#""resolution_delay_ms":{},"#, millis(config.resolution_delay))?;
            write!(f, r#""connection_attempt_delay_ms":{},"#, millis(delay))?;
            write!(f, r#""min_connection_attempt_delay_ms":{},"#, millis(Config::MIN_DELAY))?;
            write!(f, r#""max_connection_attempt_delay_ms":{},"#, millis(Config::MAX_DELAY))?;
        }
        let pacing = config.pacing.name();
        let most = if config.pacing.contends() { config.max_in_flight } else { 1 };
        // More than a race can hold means: as many as the race has sockets, which is not the configuration's
        // to say.
        if most <= 255 {
            write!(f, r#""max_parallel_attempts":{},"#, most.max(1))?;
        }
        f.write_str(r#""success_definition":"tcp_connected","#)?;
        write!(f, r#""connie_pacing":"{pacing}","connie_patience_ms":{}}},"#, millis(config.patience))?;
        write!(f, r#""reason":"{reason}""#)?;
        events.end()
    }

    fn write_resolution(&self, events: &mut QlogEvents<'_, '_>) -> fmt::Result {
        let summary = self.timeline.summary();
        let families = self.config.map_or(Families::Both, |config| config.families);
        let qtypes = match families {
            Families::Both => r#"["AAAA","A"]"#,
            Families::Only(Family::V6) => r#"["AAAA"]"#,
            Families::Only(Family::V4) => r#"["A"]"#,
        };
        let f = events.begin(Duration::ZERO, "dns_query_started")?;
        write!(f, r#","dns_id":"0","hostname":{},"qtypes":{qtypes}"#, JsonText(self.host))?;
        events.end()?;

        let finished = match (summary.resolved, summary.failure) {
            (Some(resolved), _) => resolved,
            (None, Some(Failure::NoDestinations)) => summary.ended.unwrap_or_default(),
            (None, _) => return Ok(()),
        };
        let f = events.begin(finished, "dns_query_finished")?;
        write!(f, r#","dns_id":"0","hostname":{},"results":["#, JsonText(self.host))?;
        for (index, destination) in self.timeline.destinations().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            let (ip, family) = (destination.address().ip(), destination.family().name());
            write!(f, r#"{{"type":"address","address":"{ip}","family":"{family}"}}"#)?;
        }
        let answer = if summary.resolved.is_some() { r#","answer_type":"positive""# } else { "" };
        write!(f, r#"]{answer},"duration_ms":{}"#, millis(finished))?;
        events.end()?;

        for destination in self.timeline.destinations() {
            let f = events.begin(finished, "candidate_discovered")?;
            f.write_str(r#","source":"dns""#)?;
            write_target(f, destination.address(), destination.family())?;
            events.end()?;
        }
        Ok(())
    }

    /// Start and outcome of each attempt, in the order of time. Answers the moment of the last.
    ///
    /// There is no room to sort them, so the next in order is searched each time: n² for n attempts.
    fn write_attempts(&self, events: &mut QlogEvents<'_, '_>) -> Result<Duration, fmt::Error> {
        let mut last = None;
        let key = |event: &QlogEvent| Some(event.key());
        while let Some(event) = self.events().filter(|event| key(event) > last).min_by_key(QlogEvent::key) {
            last = key(&event);
            event.write(events, self.plan)?;
        }
        Ok(last.map_or(Duration::ZERO, |(at, ..)| at))
    }

    fn events(&self) -> impl Iterator<Item = QlogEvent> + use<'_> {
        self.timeline.attempts().enumerate().flat_map(|(index, attempt)| {
            let start = QlogEvent { index, attempt, outcome: None };
            let end = attempt.outcome.map(|outcome| QlogEvent { index, attempt, outcome: Some(outcome) });
            [Some(start), end].into_iter().flatten()
        })
    }

    fn write_end(&self, events: &mut QlogEvents<'_, '_>, last: Duration) -> fmt::Result {
        let summary = self.timeline.summary();
        let Some(ended) = summary.ended else { return Ok(()) };
        let at = ended.max(last);
        if let Some(failure) = summary.failure {
            let f = events.begin(at, "connection_aborted")?;
            write!(f, r#","reason":"{failure}""#)?;
            events.end()?;
        }
        let winner = self.timeline.winner();
        let successes = u32::from(winner.is_some());
        let outcome = if winner.is_some() { "success" } else { "aborted" };
        let f = events.begin(at, "metrics")?;
        write!(f, r#","outcome":"{outcome}","total_duration_ms":{},"#, millis(ended))?;
        if let Some(winner) = winner {
            write!(f, r#""tt_first_success_ms":{},"#, millis(ended))?;
            write!(f, r#""first_success_family":"{}","#, winner.family.name())?;
            f.write_str(r#""first_success_transport":"tcp","#)?;
        }
        write!(f, r#""attempts_total":{},"attempts_success":{successes},"#, summary.attempts)?;
        write!(f, r#""attempts_failure":{},"#, summary.attempts.saturating_sub(successes))?;
        write!(f, r#""connie_max_in_flight":{},"#, summary.max_in_flight)?;
        write!(f, r#""connie_omitted_attempts":{},"#, summary.omitted_attempts)?;
        write!(f, r#""connie_omitted_destinations":{}"#, summary.omitted_destinations)?;
        write!(f, r#","connie_host":{},"connie_port":{}"#, JsonText(self.host), self.port)?;
        events.end()
    }
}

/// The start of an attempt, or its end.
struct QlogEvent {
    index: usize,
    attempt: Attempt,
    outcome: Option<AttemptOutcome>,
}

impl QlogEvent {
    fn at(&self) -> Duration {
        match self.outcome {
            Some(_) => self.attempt.ended.unwrap_or(self.attempt.started),
            None => self.attempt.started,
        }
    }

    /// Its place in the order of events. Within one moment: what failed or was evicted, then what that made
    /// room for, which has the greater index; then the winner, then what was canceled because of it.
    fn key(&self) -> (Duration, u8, usize, bool) {
        let rank = match self.outcome {
            None | Some(AttemptOutcome::Evicted | AttemptOutcome::Failed(_)) => 0,
            Some(AttemptOutcome::Established) => 1,
            Some(AttemptOutcome::Canceled) => 2,
        };
        (self.at(), rank, self.index, self.outcome.is_some())
    }

    fn write(&self, events: &mut QlogEvents<'_, '_>, plan: Option<JsonValue<'_>>) -> fmt::Result {
        match self.outcome {
            None => self.write_start(events, plan.filter(|_| self.index == 0)),
            Some(outcome) => self.write_outcome(events, outcome),
        }
    }

    fn write_start(&self, events: &mut QlogEvents<'_, '_>, plan: Option<JsonValue<'_>>) -> fmt::Result {
        let f = events.begin(self.at(), "attempt_started")?;
        write!(f, r#","attempt_id":"{}""#, self.index)?;
        write_target(f, self.attempt.destination, self.attempt.family)?;
        if self.attempt.hedge {
            f.write_str(r#","connie_hedge":true"#)?;
        }
        if let Some(JsonValue(plan)) = plan {
            write!(f, r#","connie_plan":{plan}"#)?;
        }
        events.end()
    }

    fn write_outcome(&self, events: &mut QlogEvents<'_, '_>, outcome: AttemptOutcome) -> fmt::Result {
        let (at, index) = (self.at(), self.index);
        let result = match outcome {
            AttemptOutcome::Established => "success",
            AttemptOutcome::Failed(AttemptErrorKind::TimedOut) => "timeout",
            AttemptOutcome::Failed(_) => "failure",
            AttemptOutcome::Canceled | AttemptOutcome::Evicted => "canceled",
        };
        let f = events.begin(at, "attempt_outcome")?;
        write!(f, r#","attempt_id":"{index}","result":"{result}""#)?;
        if let AttemptOutcome::Failed(error) = outcome {
            write!(f, r#","error_code":"{}""#, error.name())?;
            if let Some(number) = self.attempt.number {
                write!(f, r#","connie_error_number":{number}"#)?;
            }
        }
        write!(f, r#","connect_duration_ms":{}"#, millis(at.saturating_sub(self.attempt.started)))?;
        if outcome == AttemptOutcome::Evicted {
            f.write_str(r#","connie_evicted":true"#)?;
        }
        events.end()?;
        if outcome == AttemptOutcome::Established {
            let f = events.begin(at, "connection_selected")?;
            write!(f, r#","attempt_id":"{index}""#)?;
            events.end()?;
        }
        Ok(())
    }
}

fn write_target(f: &mut fmt::Formatter<'_>, address: core::net::SocketAddr, family: Family) -> fmt::Result {
    write!(f, r#","target":{{"address":"{}","port":{},"#, address.ip(), address.port())?;
    write!(f, r#""family":"{}","transport":"tcp"}}"#, family.name())
}

/// Writes the frame around the data of each event.
struct QlogEvents<'w, 'f> {
    f: &'w mut fmt::Formatter<'f>,
    session: &'w str,
    any: bool,
}

impl<'f> QlogEvents<'_, 'f> {
    fn begin(&mut self, at: Duration, name: &str) -> Result<&mut fmt::Formatter<'f>, fmt::Error> {
        self.f.write_str(if self.any { ",\n" } else { "\n" })?;
        self.any = true;
        let micros = micros(at);
        write!(self.f, r#"{{"time":{}.{:03},"name":"hev3:{name}","#, micros / 1_000, micros % 1_000)?;
        write!(self.f, r#""data":{{"he_session_id":{}"#, JsonText(self.session))?;
        Ok(self.f)
    }

    fn end(&mut self) -> fmt::Result {
        self.f.write_str("}}")
    }
}

/// Whole milliseconds, as the draft's durations are; the event's `time` has the microseconds. Stops at 49
/// days, the most of its `uint32`.
fn millis(duration: Duration) -> u32 {
    u32::try_from(micros(duration) / 1_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;
    use crate::AttemptError;
    use crate::common::Recorded;

    /// The events of a qlog file, one a line, without their frame and what is the same in each.
    fn events(qlog: &Qlog<'_>) -> Vec<String> {
        let printed = qlog.to_string();
        let lines = printed.lines().skip(1).map(|line| line.trim_end_matches(','));
        let events = lines.filter(|line| line.starts_with(r#"{"time""#));
        events.map(|line| line.replace(r#"{"he_session_id":"s1","#, "{")).collect()
    }

    #[test]
    fn the_frame_is_that_of_the_main_schema() {
        let race = Recorded::racing(&Config::all_at_once(), &[]);
        let expected = concat!(
            r#"{"file_schema":"urn:ietf:params:qlog:file:contained","serialization_format":"application/qlog+json","#,
            r#""title":"connection race","traces":[{"title":"h\"","vantage_point":{"name":"connie","type":"client"},"#,
            r#""common_fields":{"time_format":"relative_to_epoch","#,
            r#""reference_time":{"clock_type":"monotonic","epoch":"unknown"},"group_id":"s1"},"#,
            r#""event_schemas":["urn:ietf:params:qlog:events:hev3-00"],"events":["#,
            "\n",
            r#"{"time":0.000,"name":"hev3:connection_aborted","#,
            r#""data":{"he_session_id":"s1","reason":"no address to connect to"}},"#,
            "\n",
            r#"{"time":0.000,"name":"hev3:metrics","data":{"he_session_id":"s1","outcome":"aborted","#,
            r#""total_duration_ms":0,"attempts_total":0,"attempts_success":0,"attempts_failure":0,"#,
            r#""connie_max_in_flight":0,"connie_omitted_attempts":0,"connie_omitted_destinations":0,"#,
            r#""connie_host":"h\"","connie_port":80}}"#,
            "\n]}]}\n",
        );
        assert_eq!(race.timeline().qlog("s1", "h\"", 80).to_string(), expected);
    }

    fn event(time: &str, name: &str, data: &str) -> String {
        format!(r#"{{"time":{time},"name":"hev3:{name}","data":{{{data}}}}}"#)
    }

    fn started(time: &str, id: u8, last_octet: u8) -> String {
        let address =
            format!(r#""address":"192.0.2.{last_octet}","port":80,"family":"ipv4","transport":"tcp""#);
        event(time, "attempt_started", &format!(r#""attempt_id":"{id}","target":{{{address}}}"#))
    }

    fn outcome(time: &str, id: u8, rest: &str) -> String {
        event(time, "attempt_outcome", &format!(r#""attempt_id":"{id}",{rest}"#))
    }

    #[test]
    fn events_come_in_the_order_of_time() {
        let config = Config { max_in_flight: 2, ..Config::all_at_once() };
        let mut race = Recorded::racing(&config, &["192.0.2.1:80", "192.0.2.2:80", "192.0.2.3:80"]);
        // Both outstay their patience; one makes room for the third address.
        race.at(300_123).fails("192.0.2.3:80", AttemptErrorKind::Refused);
        race.at(301_456).succeeds("192.0.2.1:80");

        let timeline = race.timeline();
        let evicted = r#""result":"canceled","connect_duration_ms":250,"connie_evicted":true"#;
        let expected = [
            started("0.000", 0, 1),
            started("0.000", 1, 2),
            outcome("250.000", 0, evicted),
            started("250.000", 2, 3),
            outcome("300.123", 2, r#""result":"failure","error_code":"refused","connect_duration_ms":50"#),
            started("300.123", 3, 1),
            outcome("301.456", 3, r#""result":"success","connect_duration_ms":1"#),
            event("301.456", "connection_selected", r#""attempt_id":"3""#),
            outcome("301.456", 1, r#""result":"canceled","connect_duration_ms":301"#),
            event(
                "301.456",
                "metrics",
                concat!(
                    r#""outcome":"success","total_duration_ms":301,"tt_first_success_ms":301,"#,
                    r#""first_success_family":"ipv4","first_success_transport":"tcp","#,
                    r#""attempts_total":4,"attempts_success":1,"attempts_failure":3,"connie_max_in_flight":2,"#,
                    r#""connie_omitted_attempts":0,"connie_omitted_destinations":0,"connie_host":"h","connie_port":80"#,
                ),
            ),
        ];
        assert_eq!(events(&timeline.qlog("s1", "h", 80)), expected);
    }

    #[test]
    fn an_attempt_that_ends_at_once_has_started_before() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80", "192.0.2.2:80"]);
        race.fails("192.0.2.1:80", AttemptErrorKind::Unreachable);

        let timeline = race.timeline();
        let expected = [
            started("0.000", 0, 1),
            outcome("0.000", 0, r#""result":"failure","error_code":"unreachable","connect_duration_ms":0"#),
            started("0.000", 1, 2),
        ];
        assert_eq!(events(&timeline.qlog("s1", "h", 80)), expected);
    }

    #[test]
    fn the_error_s_number_is_told_where_there_is_one() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Unreachable).with_number(113));

        let timeline = race.timeline();
        let number = r#""error_code":"unreachable","connie_error_number":113,"connect_duration_ms":0"#;
        let expected = outcome("0.000", 0, &format!(r#""result":"failure",{number}"#));
        assert_eq!(events(&timeline.qlog("s1", "h", 80)).get(1), Some(&expected));
    }

    #[test]
    fn a_socket_that_could_not_be_set_up_is_told() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Setup(5)));
        let expected =
            outcome("0.000", 0, r#""result":"failure","error_code":"setup","connect_duration_ms":0"#);
        assert_eq!(events(&race.timeline().qlog("s1", "h", 80)).get(1), Some(&expected));
    }

    #[test]
    fn a_hedge_is_marked_and_a_deadline_is_a_timeout() {
        let config = Config { deadline: Some(Duration::from_millis(400)), ..Config::all_at_once() };
        let mut race = Recorded::racing(&config, &["192.0.2.1:80"]);
        race.at(400_000);

        let timeline = race.timeline();
        let printed = events(&timeline.qlog("s1", "h", 80));
        let hedge = started("250.000", 1, 1).replace("}}}", r#"},"connie_hedge":true}}"#);
        let timed_out = |id, duration| {
            let rest = r#""result":"timeout","error_code":"timed_out","connect_duration_ms":"#;
            outcome("400.000", id, &format!("{rest}{duration}"))
        };
        let expected = [
            started("0.000", 0, 1),
            hedge,
            timed_out(0, 400),
            timed_out(1, 150),
            event("400.000", "connection_aborted", r#""reason":"timed out""#),
        ];
        assert_eq!(printed.get(..5), Some(&expected[..]));
    }

    #[test]
    fn a_plan_is_told_with_the_first_start() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80", "192.0.2.2:80"]);
        race.at(1_000);
        let timeline = race.timeline();
        let printed = events(&timeline.qlog("s1", "h", 80).plan(&r#"{"lead":null}"#));
        let first = started("0.000", 0, 1).replace("}}}", r#"},"connie_plan":{"lead":null}}}"#);
        assert_eq!(printed.get(..2), Some(&[first, started("0.000", 1, 2)][..]));
    }

    #[test]
    fn a_lookup_by_name_is_told_with_its_answer() {
        let mut race = Recorded::unwatched(&Config::all_at_once());
        race.at(12_345).resolves(&["[2001:db8::1]:80"]);

        let timeline = race.timeline();
        let printed = events(&timeline.qlog("s1", "h", 80).resolved_by_name());
        let target = r#""address":"2001:db8::1","port":80,"family":"ipv6","transport":"tcp""#;
        let expected = [
            event("0.000", "dns_query_started", r#""dns_id":"0","hostname":"h","qtypes":["AAAA","A"]"#),
            event(
                "12.345",
                "dns_query_finished",
                concat!(
                    r#""dns_id":"0","hostname":"h","results":["#,
                    r#"{"type":"address","address":"2001:db8::1","family":"ipv6"}],"answer_type":"positive","duration_ms":12"#,
                ),
            ),
            event("12.345", "candidate_discovered", &format!(r#""source":"dns","target":{{{target}}}"#)),
            event("12.345", "attempt_started", &format!(r#""attempt_id":"0","target":{{{target}}}"#)),
        ];
        assert_eq!(printed, expected);
    }

    #[test]
    fn the_policy_is_what_the_race_was_run_with() {
        let policy = |config: &Config| {
            let race = Recorded::racing(config, &[]);
            let timeline = race.timeline();
            events(&timeline.qlog("s1", "h", 80).config(config)).remove(0)
        };
        let expected = concat!(
            r#""policy":{"preferred_family":"ipv6","preferred_address_family_count":1,"success_definition":"tcp_connected","#,
            r#""connie_pacing":"all-at-once","connie_patience_ms":250},"reason":"startup""#,
        );
        assert_eq!(policy(&Config::all_at_once()), event("0.000", "config_set", expected));
        let expected = concat!(
            r#""policy":{"preferred_family":"ipv6","preferred_address_family_count":1,"resolution_delay_ms":50,"#,
            r#""connection_attempt_delay_ms":250,"min_connection_attempt_delay_ms":10,"#,
            r#""max_connection_attempt_delay_ms":2000,"max_parallel_attempts":3,"success_definition":"tcp_connected","#,
            r#""connie_pacing":"staggered","connie_patience_ms":250},"reason":"app_config""#,
        );
        let staggered = Config { max_in_flight: 3, ..Config::staggered() };
        assert_eq!(policy(&staggered), event("0.000", "config_set", expected));
    }
}
