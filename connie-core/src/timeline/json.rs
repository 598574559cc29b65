//! The timeline as JSON: one object, for programs.

use core::fmt;
use core::net::SocketAddr;

use super::{Attempt, Timeline};
use crate::time::micros;
use crate::{AttemptErrorKind, AttemptOutcome};

impl<'a> Timeline<'a> {
    /// The timeline as one JSON object on one line, without a line break at its end. `host` and `port` are
    /// what the race was asked to connect to.
    ///
    /// ```text
    /// {"host":"name.test","port":80,"outcome":"connected","winner":"192.0.2.2:80","elapsed_us":30211,"resolved_us":12,
    ///  "max_in_flight":2,"attempts":[{"destination":"192.0.2.1:80","family":"ipv4","started_us":12,"ended_us":160,
    ///  "outcome":"refused"}, ...]}
    /// ```
    ///
    /// `outcome` is `connected` or `failed`, and an attempt's one of the names of
    /// [`AttemptOutcome::name`](crate::AttemptOutcome::name). `error_number` follows where the attempt's
    /// error has a [number](Attempt::number): `errno`, as a rule.
    ///
    /// `setup_step` stands before it where the outcome is `setup`: the stack's number of the step that
    /// failed, in connie-std that of a `SetupStep` (4 is `interface`).
    ///
    /// All times count in microseconds from the start of the race. What there is nothing to say about is
    /// `null`: the winner of a race that failed, `resolved_us` where there never was an address, and each end
    /// that has not come yet.
    pub fn json(&self, host: &'a str, port: u16) -> Json<'a> {
        Json { timeline: *self, host, port, denied: &[], plan: None }
    }
}

/// A timeline that prints as JSON: from [`Timeline::json`].
#[derive(Clone, Copy, Debug)]
#[must_use = "it does nothing until it is printed"]
pub struct Json<'a> {
    timeline: Timeline<'a>,
    host: &'a str,
    port: u16,
    denied: &'a [SocketAddr],
    plan: Option<JsonValue<'a>>,
}

impl<'a> Json<'a> {
    /// With the addresses that a filter took out before the race was given any: as `denied`, a list behind
    /// the attempts, where there are some.
    pub const fn denied(mut self, addresses: &'a [SocketAddr]) -> Self {
        self.denied = addresses;
        self
    }

    /// With why the race did what it did, as `plan`, behind all else: the
    /// [JSON](crate::memory::Explanation::json) of what its memory knew.
    pub const fn plan(mut self, explanation: &'a dyn fmt::Display) -> Self {
        self.plan = Some(JsonValue(explanation));
        self
    }
}

impl fmt::Display for Json<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let summary = self.timeline.summary();
        let outcome = match (summary.ended, summary.failure) {
            (None, _) => None,
            (Some(_), None) => Some("connected"),
            (Some(_), Some(_)) => Some("failed"),
        };
        let winner = self.timeline.winner().map(|attempt| attempt.destination);
        write!(f, r#"{{"host":{},"port":{},"#, JsonText(self.host), self.port)?;
        write!(f, r#""outcome":{},"winner":{},"#, OrNull(outcome.map(JsonText)), OrNull(winner.map(Quoted)))?;
        write!(f, r#""elapsed_us":{},"#, OrNull(summary.ended.map(micros)))?;
        write!(f, r#""resolved_us":{},"#, OrNull(summary.resolved.map(micros)))?;
        write!(f, r#""max_in_flight":{},"attempts":["#, summary.max_in_flight)?;
        for (index, attempt) in self.timeline.attempts().enumerate() {
            f.write_str(if index == 0 { "" } else { "," })?;
            write_attempt(f, &attempt)?;
        }
        for (index, address) in self.denied.iter().enumerate() {
            f.write_str(if index == 0 { r#"],"denied":["# } else { "," })?;
            write!(f, "{}", Quoted(address))?;
        }
        f.write_str("]")?;
        if let Some(JsonValue(plan)) = self.plan {
            write!(f, r#","plan":{plan}"#)?;
        }
        f.write_str("}")
    }
}

/// What prints as a JSON value. Whoever has none links nothing of it.
#[derive(Clone, Copy)]
pub(super) struct JsonValue<'a>(pub(super) &'a dyn fmt::Display);

impl fmt::Debug for JsonValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn write_attempt(f: &mut fmt::Formatter<'_>, attempt: &Attempt) -> fmt::Result {
    write!(f, r#"{{"destination":"{}","#, attempt.destination)?;
    write!(f, r#""family":"{}","#, attempt.family.name())?;
    write!(f, r#""started_us":{},"#, micros(attempt.started))?;
    write!(f, r#""ended_us":{},"#, OrNull(attempt.ended.map(micros)))?;
    write!(f, r#""outcome":{}"#, OrNull(attempt.outcome.map(|outcome| JsonText(outcome.name()))))?;
    if let Some(AttemptOutcome::Failed(AttemptErrorKind::Setup(step))) = attempt.outcome {
        write!(f, r#","setup_step":{step}"#)?;
    }
    if let Some(number) = attempt.number {
        write!(f, r#","error_number":{number}"#)?;
    }
    f.write_str("}")
}

/// A JSON string (RFC 8259 section 7): quotation mark, reverse solidus and the control characters are
/// escaped, and all else stays as it is.
pub(super) struct JsonText<'a>(pub(super) &'a str);

impl fmt::Display for JsonText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        let mut rest = self.0;
        while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
            let (plain, tail) = rest.split_at_checked(at).unwrap_or((rest, ""));
            let mut tail = tail.chars();
            f.write_str(plain)?;
            match tail.next() {
                Some('"') => f.write_str("\\\"")?,
                Some('\\') => f.write_str("\\\\")?,
                Some('\n') => f.write_str("\\n")?,
                Some('\r') => f.write_str("\\r")?,
                Some('\t') => f.write_str("\\t")?,
                Some(control) => write!(f, "\\u{:04x}", u32::from(control))?,
                None => {}
            }
            rest = tail.as_str();
        }
        f.write_str(rest)?;
        f.write_str("\"")
    }
}

/// A value in quotation marks that has nothing to escape, as addresses have not.
pub(crate) struct Quoted<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0)
    }
}

/// A value, or `null`.
pub(crate) struct OrNull<T>(pub(crate) Option<T>);

impl<T: fmt::Display> fmt::Display for OrNull<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(value) => value.fmt(f),
            None => f.write_str("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::format;
    use std::string::ToString;

    use super::*;
    use crate::common::Recorded;
    use crate::{AttemptError, AttemptErrorKind, Config};

    #[test]
    fn a_race_that_was_won() {
        let mut race =
            Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80", "[2001:db8::2]:80", "192.0.2.3:80"]);
        race.at(150).fails("192.0.2.1:80", AttemptErrorKind::Refused);
        race.at(30_211).succeeds("[2001:db8::2]:80");
        let expected = concat!(
            r#"{"host":"name.test","port":80,"outcome":"connected","winner":"[2001:db8::2]:80","elapsed_us":30211,"#,
            r#""resolved_us":0,"max_in_flight":3,"attempts":["#,
            r#"{"destination":"[2001:db8::2]:80","family":"ipv6","started_us":0,"ended_us":30211,"outcome":"established"},"#,
            r#"{"destination":"192.0.2.1:80","family":"ipv4","started_us":0,"ended_us":150,"outcome":"refused"},"#,
            r#"{"destination":"192.0.2.3:80","family":"ipv4","started_us":0,"ended_us":30211,"outcome":"canceled"}]}"#,
        );
        assert_eq!(race.timeline().json("name.test", 80).to_string(), expected);
    }

    #[test]
    fn a_race_that_failed_has_no_winner() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.at(150).fails("192.0.2.1:80", AttemptErrorKind::Unreachable);
        let expected = concat!(
            r#"{"host":"h","port":80,"outcome":"failed","winner":null,"elapsed_us":150,"resolved_us":0,"max_in_flight":1,"#,
            r#""attempts":[{"destination":"192.0.2.1:80","family":"ipv4","started_us":0,"ended_us":150,"outcome":"unreachable"}]}"#,
        );
        assert_eq!(race.timeline().json("h", 80).to_string(), expected);
    }

    #[test]
    fn the_error_s_number_is_told_where_there_is_one() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.at(150).fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Refused).with_number(10_061));
        let printed = race.timeline().json("h", 80).to_string();
        assert!(printed.ends_with(r#""outcome":"refused","error_number":10061}]}"#), "{printed}");
    }

    #[test]
    fn the_step_of_the_set_up_is_told_that_failed() {
        let mut race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        race.at(150).fails("192.0.2.1:80", AttemptError::new(AttemptErrorKind::Setup(4)).with_number(19));
        let printed = race.timeline().json("h", 80).to_string();
        assert!(printed.ends_with(r#""outcome":"setup","setup_step":4,"error_number":19}]}"#), "{printed}");
    }

    #[test]
    fn a_race_without_addresses() {
        let race = Recorded::racing(&Config::all_at_once(), &[]);
        let expected = concat!(
            r#"{"host":"h","port":80,"outcome":"failed","winner":null,"elapsed_us":0,"resolved_us":null,"#,
            r#""max_in_flight":0,"attempts":[]}"#,
        );
        assert_eq!(race.timeline().json("h", 80).to_string(), expected);
    }

    #[test]
    fn what_a_filter_took_out_is_told_where_there_is_something() {
        let race = Recorded::racing(&Config::all_at_once(), &[]);
        let denied = ["127.0.0.1:80".parse().unwrap(), "[::1]:80".parse().unwrap()];
        let printed = |count| race.timeline().json("h", 80).denied(&denied[..count]).to_string();
        assert_eq!(printed(0), race.timeline().json("h", 80).to_string());
        assert!(printed(1).ends_with(r#""attempts":[],"denied":["127.0.0.1:80"]}"#), "{}", printed(1));
        assert!(printed(2).ends_with(r#""denied":["127.0.0.1:80","[::1]:80"]}"#), "{}", printed(2));
    }

    #[test]
    fn a_plan_is_told_behind_all_else() {
        let race = Recorded::racing(&Config::all_at_once(), &[]);
        let printed = race.timeline().json("h", 80).plan(&r#"{"lead":null}"#).to_string();
        assert!(printed.ends_with(r#""attempts":[],"plan":{"lead":null}}"#), "{printed}");
    }

    #[test]
    fn a_race_that_still_runs_says_null() {
        let race = Recorded::racing(&Config::all_at_once(), &["192.0.2.1:80"]);
        let printed = race.timeline().json("h", 80).to_string();
        assert!(
            printed.contains(r#""outcome":null,"winner":null,"elapsed_us":null,"resolved_us":0"#),
            "{printed}"
        );
        assert!(printed.contains(r#""started_us":0,"ended_us":null,"outcome":null"#), "{printed}");
    }

    #[test]
    fn strings_are_escaped_as_the_standard_says() {
        assert_eq!(JsonText("").to_string(), r#""""#);
        assert_eq!(JsonText("plain.example").to_string(), r#""plain.example""#);
        assert_eq!(JsonText("a b").to_string(), r#""a b""#);
        assert_eq!(JsonText("a\"b\\c").to_string(), r#""a\"b\\c""#);
        assert_eq!(JsonText("\n\r\t\u{0}\u{1f}").to_string(), r#""\n\r\t\u0000\u001f""#);
        assert_eq!(format!("{}", JsonText("ü\u{7f}\u{2028}…")), "\"ü\u{7f}\u{2028}…\"");
    }
}
