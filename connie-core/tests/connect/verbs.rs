//! The verbs of the tests of a connect: `answers`, `hints`, `expect`, `advance`.

use connie_core::connect::{AddressOrder, Connect, ConnectInput, ConnectOutput, Facts, InvalidHost, Routes};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Config, Family, Instant};

use crate::common::{addresses, name};

/// Where the test's clock starts: one that starts at zero would hide confusions of moments with durations.
const START: u64 = 1_000_000;

/// A connect under test, with a clock that the test moves. Addresses are called as in the tests of a race.
pub struct Name {
    pub connect: Connect<16, 4, 32, 8>,
    now: Instant,
    attempts: Vec<(String, AttemptId)>,
}

pub const BOTH: Routes = Routes { v4: true, v6: true };
pub const NO_IPV6: Routes = Routes { v4: true, v6: false };
pub const NO_IPV4: Routes = Routes { v4: false, v6: true };

/// Plain: no hedge, no eviction.
pub fn at_once() -> Config {
    Config::all_at_once().hedge(false).evict(false)
}

pub fn staggered() -> Config {
    Config::staggered().hedge(false).evict(false)
}

pub fn prefers_v4(config: Config) -> Config {
    config.clone().preferred_family(Family::V4)
}

impl Name {
    /// A connect to port 80 of `host`, on a host with these routes.
    #[track_caller]
    pub fn new(host: &str, config: &Config, routes: Routes) -> Self {
        Self::with(host, config, &Facts::default().routes(routes)).expect("a host")
    }

    pub fn with(host: &str, config: &Config, facts: &Facts<'_>) -> Result<Self, InvalidHost> {
        let now = Instant::from_millis(START);
        Ok(Name { connect: Connect::new(host, 80, config, facts, now)?, now, attempts: Vec::new() })
    }

    /// A connect to `name.test` that has sent AAAA and A.
    #[track_caller]
    pub fn asked(config: &Config, routes: Routes) -> Self {
        let mut asked = Self::new("name.test", config, routes);
        asked.expect("AAAA?, A?");
        asked
    }

    #[track_caller]
    pub fn input(&mut self, input: ConnectInput<'_>) {
        self.connect.handle_input(input, self.now);
    }

    /// `query` has these addresses, in any order, of which nothing is known. In full where it is not a list
    /// of letters.
    #[track_caller]
    pub fn answers(&mut self, query: Query, list: &str) {
        self.input(ConnectInput::Answered { query, addresses: &parse(list), order: AddressOrder::Any(&[]) });
    }

    /// The same, with the source address for each, or `-` where there is no way.
    #[track_caller]
    pub fn answers_from(&mut self, query: Query, list: &str, sources: &str) {
        let routes: Vec<Route> = sources.split_whitespace().map(route).collect();
        self.input(ConnectInput::Answered {
            query,
            addresses: &parse(list),
            order: AddressOrder::Any(&routes),
        });
    }

    #[track_caller]
    pub fn hints(&mut self, list: &str) {
        let addresses = parse(list);
        let family = Family::of(&addresses[0]);
        self.input(ConnectInput::Hinted { family, addresses: &addresses, order: AddressOrder::Any(&[]) });
    }

    pub fn query_fails(&mut self, query: Query, error: QueryError) {
        self.input(ConnectInput::QueryFailed { query, error });
    }

    #[track_caller]
    pub fn refuses(&mut self, called: &str) {
        self.fails(called, AttemptErrorKind::Refused);
    }

    #[track_caller]
    pub fn fails(&mut self, called: &str, error: impl Into<AttemptError>) {
        let id = self.id(called);
        self.input(ConnectInput::AttemptFailed { id, error: error.into() });
    }

    #[track_caller]
    pub fn succeeds(&mut self, called: &str) {
        let id = self.id(called);
        self.input(ConnectInput::AttemptSucceeded { id });
    }

    #[track_caller]
    fn id(&self, called: &str) -> AttemptId {
        let known = self.attempts.iter().rfind(|(known, _)| known == called);
        known.unwrap_or_else(|| panic!("{called} was never started")).1
    }

    /// Lets time pass to `micros` after the start.
    pub fn advance_micros(&mut self, micros: u64) {
        self.now = Instant::from_micros(START * 1_000 + micros);
    }

    /// Lets time pass to `millis` after the start.
    pub fn advance(&mut self, millis: u64) {
        self.advance_micros(millis * 1_000);
    }

    /// The next outputs, as they read: `AAAA?`, `A?`, `prefix?`, `start a`, `cancel a`, `wait 250`, `wait`,
    /// `established a`, `failed: timed out`.
    #[track_caller]
    pub fn expect(&mut self, expected: &str) {
        for one in expected.split(", ") {
            let output = self.connect.poll_output(self.now);
            assert_eq!(self.say(output), one, "of {expected:?}");
        }
    }

    /// What [`Connect::failures`] tells, one after the other.
    pub fn failures(&self) -> Vec<String> {
        self.connect.failures("name.test").map(|failure| failure.to_string()).collect()
    }

    fn say(&mut self, output: ConnectOutput) -> String {
        match output {
            ConnectOutput::SendQuery { query: Query::Nat64Prefix } => "prefix?".to_owned(),
            ConnectOutput::SendQuery { query } => format!("{}?", query.record_type()),
            ConnectOutput::StartAttempt { id, destination } => {
                self.attempts.push((name(destination), id));
                format!("start {}", name(destination))
            }
            ConnectOutput::CancelAttempt { id } => {
                let called = self.attempts.iter().find(|(_, known)| *known == id);
                format!("cancel {}", called.expect("a known attempt").0)
            }
            ConnectOutput::WaitUntil(at) => {
                assert!(at > self.now, "law 4: a wait is for the future");
                format!("wait {}", at.as_micros() / 1_000 - START)
            }
            ConnectOutput::WaitForInput => "wait".to_owned(),
            ConnectOutput::Established { destination, .. } => format!("established {}", name(destination)),
            ConnectOutput::Failed(failure) => format!("failed: {failure}"),
        }
    }
}

fn route(text: &str) -> Route {
    match text {
        "-" => Route::Unreachable,
        "?" => Route::Unknown,
        source => Route::from_source(source.parse().expect("a source address")),
    }
}

/// Letters, or addresses written out, without their port.
fn parse(list: &str) -> Vec<std::net::SocketAddr> {
    if list.contains([':', '.']) {
        return list
            .split_whitespace()
            .map(|ip| (ip.parse::<std::net::IpAddr>().unwrap(), 80).into())
            .collect();
    }
    addresses(list)
}
