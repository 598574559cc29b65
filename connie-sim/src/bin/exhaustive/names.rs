//! Small names: of up to two addresses a family, on hosts of every kind of routes, with a NAT64 or none. Each
//! query is answered, has an empty answer, fails, comes late or never; attempts succeed or fail; the caller
//! cancels. Some settings have hints, some have second answers, which take the place of the first or come
//! after a failure, and some have no deadline. Each answer has an address of the other family beside its own,
//! which is to be passed over.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use connie_core::connect::{AddressOrder, Connect, ConnectInput, ConnectOutput, Facts, Routes};
use connie_core::resolution::selection::Route;
use connie_core::resolution::{Query, QueryError};
use connie_core::{AttemptError, AttemptErrorKind, AttemptId, Config, Family, Instant, Pacing};
use connie_sim::{ConnectCapacity, ConnectReferee, address, addresses, label};

use crate::search;
use crate::size::{START, Size, UNIT};

const DESTINATIONS: usize = 6;
const SOCKETS: usize = 2;
const NAT64: usize = 4;
const PORT: u16 = 80;
/// The deadline, in units.
const UNITS: u32 = 3;

/// One host's text on one host, and what the world has in store.
#[derive(Clone, Debug)]
pub(crate) struct NameSetting {
    host: &'static str,
    known: Option<Vec<SocketAddr>>,
    config: Config,
    routes: Routes,
    v6: Vec<SocketAddr>,
    v4: Vec<SocketAddr>,
    hints: bool,
    /// Whether second answers may come.
    again: bool,
    /// Whether the caller may cancel.
    cancels: bool,
    /// When nobody watches any more, where there is no deadline.
    until: Instant,
}

impl search::Setting for NameSetting {
    type World = NameWorld;
    type Event = NameEvent;

    fn begin(&self) -> NameWorld {
        NameWorld::new(self)
    }

    fn key(&self, world: &NameWorld) -> u64 {
        world.key()
    }

    fn events(&self, world: &NameWorld) -> Vec<NameEvent> {
        world.events(self)
    }

    fn happens(&self, event: NameEvent, world: &mut NameWorld) {
        world.happens(event, self);
    }
}

impl fmt::Display for NameSetting {
    /// In words of this file's own, so that no other file decides what was accepted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.config;
        write!(f, "{}", self.host)?;
        if let Some(known) = &self.known {
            write!(f, " known as {}", list(known))?;
        }
        match config.pacing {
            Pacing::AllAtOnce => write!(f, ", all at once")?,
            Pacing::Staggered { delay, .. } => write!(f, ", staggered by {} ms", delay.as_millis())?,
            _ => write!(f, ", one by one")?,
        }
        let routes = match self.routes {
            Routes { v4: true, v6: true } => "both routes",
            Routes { v4: true, v6: false } => "no IPv6 route",
            Routes { v4: false, v6: true } => "no IPv4 route",
            Routes { v4: false, v6: false } => "no route",
        };
        write!(f, ", {routes}, has {}", list(&[&self.v6[..], &self.v4[..]].concat()))?;
        if config.preferred_family == Family::V4 {
            write!(f, ", IPv4 preferred")?;
        }
        write!(f, ", {} sockets", config.max_in_flight)?;
        for (is_so, word) in
            [(self.hints, "hints"), (self.again, "second answers"), (self.cancels, "cancels")]
        {
            if is_so {
                write!(f, ", {word}")?;
            }
        }
        if let Some(deadline) = config.deadline {
            write!(f, ", deadline {} ms", deadline.as_millis())?;
        }
        write!(f, ", watched for {} ms", self.until.duration_since(START).as_millis())
    }
}

fn list(addresses: &[SocketAddr]) -> String {
    match addresses {
        [] => "nothing".to_owned(),
        some => some.iter().copied().map(label).collect::<Vec<_>>().join(" "),
    }
}

const ROUTES: [Routes; 4] = [
    Routes { v4: true, v6: true },
    Routes { v4: true, v6: false },
    Routes { v4: false, v6: true },
    Routes { v4: false, v6: false },
];

pub(crate) fn settings(size: Size) -> Vec<NameSetting> {
    let mut settings = Vec::new();
    for routes in ROUTES {
        settings.extend(literals(routes));
        for of_v6 in 0..=size.of_family {
            for of_v4 in 0..=size.of_family {
                settings.extend(names(routes, of_v6, of_v4));
            }
        }
    }
    settings
}

/// A name of so many addresses.
fn names(routes: Routes, of_v6: usize, of_v4: usize) -> Vec<NameSetting> {
    let mut settings = Vec::new();
    let is_small = of_v6 <= 1 && of_v4 <= 1;
    for config in configs() {
        let one_socket = config.max_in_flight == 1;
        if config.preferred_family == Family::V4 && (of_v6 == 0 || of_v4 == 0) {
            continue;
        }
        let plain = NameSetting {
            v6: addresses(["", "6a", "6a 6b"][of_v6]),
            v4: addresses(["", "4a", "4a 4b"][of_v4]),
            ..NameSetting::new("name.test", config, routes)
        };
        if is_small {
            settings.push(NameSetting { config: plain.config.clone().deadline(None), ..plain.clone() });
            settings.push(NameSetting { hints: true, ..plain.clone() });
            if one_socket {
                settings.push(NameSetting { again: true, ..plain.clone() });
                settings.push(NameSetting { cancels: true, ..plain.clone() });
            }
        }
        settings.push(plain);
    }
    // No prefix reaches what is on this host.
    if of_v6 <= 1 && of_v4 >= 1 {
        settings.extend(configs().into_iter().take(1).map(|config| {
            let mut near = NameSetting::new("name.test", config, routes);
            (near.v6, near.v4) = (addresses(["", "6a"][of_v6]), addresses(["", "", "4a"][of_v4]));
            near.v4.push(([127, 0, 0, 1], PORT).into());
            near
        }));
    }
    settings
}

/// What is not asked for, or for a prefix alone.
fn literals(routes: Routes) -> Vec<NameSetting> {
    let mut settings = Vec::new();
    for config in configs() {
        for host in ["192.0.2.1", "127.0.0.1", "2001:db8::1", "localhost", "name.invalid"] {
            let mut setting = NameSetting::new(host, config.clone(), routes);
            // What a resolver would say that nobody has asked.
            (setting.v6, setting.v4) = (addresses("6b"), addresses("4b"));
            settings.push(setting);
        }
        for known in ["", "4a 6a", "6a 4a 4b"] {
            let known = Some(addresses(known));
            settings.push(NameSetting { known, ..NameSetting::new("name.test", config.clone(), routes) });
        }
    }
    settings
}

impl NameSetting {
    fn new(host: &'static str, config: Config, routes: Routes) -> Self {
        let until = START + UNITS * UNIT;
        let (v6, v4) = (Vec::new(), Vec::new());
        NameSetting {
            host,
            known: None,
            config,
            routes,
            v6,
            v4,
            hints: false,
            again: false,
            cancels: false,
            until,
        }
    }

    fn facts(&self) -> Facts<'_> {
        Facts::default().routes(self.routes).hosts(self.known.as_deref())
    }

    /// What `query` has, with one address of the other family.
    fn records(&self, query: Query) -> Vec<SocketAddr> {
        match query {
            Query::Aaaa => [&self.v6[..], &[address("4z")]].concat(),
            Query::A => [&[address("6z")], &self.v4[..]].concat(),
            Query::Nat64Prefix => vec![prefix(170), prefix(171)],
        }
    }
}

/// An address of `ipv4only.arpa` under the Well-Known Prefix.
fn prefix(last: u16) -> SocketAddr {
    ([0x64, 0xff9b, 0, 0, 0, 0, 0xc000, last], PORT).into()
}

fn configs() -> Vec<Config> {
    let staggered = Pacing::Staggered { delay: 2 * UNIT, growth_percent: 100 };
    let mut configs = Vec::new();
    for pacing in [Pacing::AllAtOnce, staggered, Pacing::OneByOne] {
        for preferred_family in [Family::V6, Family::V4] {
            for max_in_flight in 1..=SOCKETS {
                if pacing == Pacing::OneByOne && max_in_flight > 1 {
                    continue;
                }
                // What eviction and hedges do hangs on nothing that a name has: the races are searched for
                // it.
                let config = Config::default().evict(false).hedge(false).max_in_flight(max_in_flight);
                let config = config.pacing(pacing).preferred_family(preferred_family);
                configs.push(config.resolution_delay(UNIT).patience(2 * UNIT).deadline(Some(UNITS * UNIT)));
            }
        }
    }
    configs
}

/// A connect, and all around it.
#[derive(Clone)]
pub(crate) struct NameWorld {
    connect: Connect<DESTINATIONS, SOCKETS, 8, NAT64>,
    referee: ConnectReferee,
    now: Instant,
    /// What it waits for; `None` while it has more to say.
    waits: Option<NameWait>,
    /// What has come of each query, in the order of [`Query::ALL`].
    heard: [QueryProgress; 3],
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum NameWait {
    Until(Instant),
    ForInput,
    Over,
}

/// How far a query has come.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum QueryProgress {
    Nothing,
    /// The last address of its answer.
    Hints,
    /// All of its addresses.
    All,
    /// None.
    Empty,
    /// All but the first.
    Rest,
    Failure,
    /// The same after something else: nothing follows.
    Again,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum NameEvent {
    Poll,
    Tick,
    Succeed(AttemptId),
    Fail(AttemptId, AttemptError),
    Hint(Query),
    Answer(Query),
    /// An answer without addresses.
    Deny(Query),
    /// A second answer that lacks the first address, or tells no prefix.
    Shorten(Query),
    Break(Query),
    Cancel,
}

impl NameWorld {
    fn new(setting: &NameSetting) -> Self {
        let (host, config, facts) = (setting.host, &setting.config, setting.facts());
        let room = ConnectCapacity { destinations: DESTINATIONS, sockets: SOCKETS, nat64: NAT64 };
        NameWorld {
            connect: Connect::new(host, PORT, config, &facts, START).expect("a host"),
            referee: ConnectReferee::new(host, PORT, config, &facts, room, START),
            now: START,
            waits: None,
            heard: [QueryProgress::Nothing; 3],
        }
    }

    fn key(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        // At the end all are alike: nothing follows.
        if self.waits == Some(NameWait::Over) {
            return 0;
        }
        self.connect.fingerprint(&mut hasher);
        (self.now, self.waits, self.heard).hash(&mut hasher);
        hasher.finish()
    }

    /// All that may happen now.
    fn events(&self, setting: &NameSetting) -> Vec<NameEvent> {
        let mut events = Vec::new();
        match self.waits {
            Some(NameWait::Over) => return events,
            None => events.push(NameEvent::Poll),
            Some(NameWait::Until(_)) if setting.config.deadline.is_none() && self.now >= setting.until => {
                return events;
            }
            Some(NameWait::Until(_)) => events.push(NameEvent::Tick),
            Some(NameWait::ForInput) => {}
        }
        for (id, _) in self.referee.open() {
            events.push(NameEvent::Succeed(id));
            events.push(NameEvent::Fail(id, AttemptErrorKind::Refused.into()));
        }
        for query in Query::ALL {
            self.news(query, setting, &mut events);
        }
        if setting.cancels {
            events.push(NameEvent::Cancel);
        }
        assert!(!events.is_empty() || self.waits.is_none(), "deadlock: nothing can happen any more");
        events
    }

    /// What may be heard of `query`.
    fn news(&self, query: Query, setting: &NameSetting, events: &mut Vec<NameEvent>) {
        let has_some = match query {
            Query::Aaaa => !setting.v6.is_empty(),
            Query::A => !setting.v4.is_empty(),
            Query::Nat64Prefix => true,
        };
        let heard = self.heard[query as usize];
        let is_new = matches!(heard, QueryProgress::Nothing | QueryProgress::Hints);
        if setting.hints && query != Query::Nat64Prefix && has_some && heard == QueryProgress::Nothing {
            events.push(NameEvent::Hint(query));
        }
        // A resolver answers what it is asked.
        if is_new && self.referee.is_pending(query) {
            events.extend([NameEvent::Deny(query), NameEvent::Break(query)]);
            if has_some {
                events.push(NameEvent::Answer(query));
            }
        }
        if setting.again && has_some {
            match heard {
                QueryProgress::Empty | QueryProgress::Failure => events.push(NameEvent::Answer(query)),
                QueryProgress::All => events.extend([NameEvent::Shorten(query), NameEvent::Break(query)]),
                _ => {}
            }
        }
    }

    fn happens(&mut self, event: NameEvent, setting: &NameSetting) {
        match event {
            NameEvent::Poll => self.poll(setting),
            NameEvent::Tick => {
                self.now += UNIT;
                self.waits = None;
            }
            NameEvent::Succeed(id) => self.handle_input(ConnectInput::AttemptSucceeded { id }),
            NameEvent::Fail(id, error) => self.handle_input(ConnectInput::AttemptFailed { id, error }),
            NameEvent::Hint(query) => {
                let family = if query == Query::A { Family::V4 } else { Family::V6 };
                let records = setting.records(query);
                let own = records.iter().rfind(|address| Family::of(address) == family);
                self.heard[query as usize] = QueryProgress::Hints;
                let addresses = &[*own.expect("there are some")];
                self.handle_input(ConnectInput::Hinted { family, addresses, order: AddressOrder::Any(&[]) });
            }
            NameEvent::Answer(query) => self.answer(query, QueryProgress::All, &setting.records(query)),
            NameEvent::Deny(query) => self.answer(query, QueryProgress::Empty, &[]),
            NameEvent::Shorten(query) => {
                let records = setting.records(query);
                self.answer(query, QueryProgress::Rest, &records[if query == Query::Aaaa { 1 } else { 2 }..]);
            }
            NameEvent::Break(query) => {
                self.note_progress(query, QueryProgress::Failure);
                self.handle_input(ConnectInput::QueryFailed { query, error: QueryError::ServerFailure });
            }
            NameEvent::Cancel => self.handle_input(ConnectInput::Cancel),
        }
    }

    fn answer(&mut self, query: Query, heard: QueryProgress, addresses: &[SocketAddr]) {
        self.note_progress(query, heard);
        // Either way nothing is known of the ways.
        let order =
            if query == Query::Aaaa { AddressOrder::Best(Route::Unknown) } else { AddressOrder::Any(&[]) };
        self.handle_input(ConnectInput::Answered { query, addresses, order });
    }

    fn note_progress(&mut self, query: Query, heard: QueryProgress) {
        let known = &mut self.heard[query as usize];
        *known = if matches!(known, QueryProgress::Nothing | QueryProgress::Hints) {
            heard
        } else {
            QueryProgress::Again
        };
    }

    fn handle_input(&mut self, input: ConnectInput<'_>) {
        self.referee.handle_input(&input);
        self.connect.handle_input(input, self.now);
        self.waits = None;
    }

    fn poll(&mut self, setting: &NameSetting) {
        let output = self.connect.poll_output(self.now);
        self.referee.handle_output(&output, self.now);
        match output {
            ConnectOutput::SendQuery { .. }
            | ConnectOutput::StartAttempt { .. }
            | ConnectOutput::CancelAttempt { .. } => {}
            ConnectOutput::WaitUntil(until) => self.waits = Some(NameWait::Until(until)),
            ConnectOutput::WaitForInput => self.waits = Some(NameWait::ForInput),
            ConnectOutput::Established { .. } | ConnectOutput::Failed(_) => {
                self.waits = Some(NameWait::Over);
                self.is_over_for_good(output, setting);
            }
        }
    }

    /// Rule 6: what is answered now changes nothing, and nothing more is sent.
    fn is_over_for_good(&self, output: ConnectOutput, setting: &NameSetting) {
        let mut connect = self.connect.clone();
        for query in Query::ALL {
            let addresses = &setting.records(query);
            connect.handle_input(
                ConnectInput::Answered { query, addresses, order: AddressOrder::Any(&[]) },
                self.now,
            );
        }
        assert_eq!(connect.poll_output(self.now), output, "what was answered after the end changed it");
    }
}
