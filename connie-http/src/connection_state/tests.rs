//! Every transition of a client, each event in each state; and every state that any sequence of events can
//! reach, with the laws.

extern crate std;
use super::*;
use std::collections::{BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::vec::Vec;

/// What can be told to a client.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Opened,
    Closed,
    TunnelSet,
    TunnelOpened,
    Secured,
    AutoOpen(bool),
    Sent { idempotent: bool, opens: bool },
    LetGo,
    SentAgain,
    Repeat { unanswered: bool },
    Repeated,
}

const SENT: Event = Event::Sent { idempotent: true, opens: true };
const REPEAT: Event = Event::Repeat { unanswered: true };
const LENGTH: usize = 40;

impl ConnectionState {
    fn tell(&mut self, event: Event) -> Result<(), HttpError> {
        match event {
            Event::Opened => self.on_opened(),
            Event::Closed => self.on_closed(),
            Event::TunnelSet => self.on_tunnel_set()?,
            Event::TunnelOpened => self.on_tunnel_opened()?,
            Event::Secured => self.on_secured()?,
            Event::AutoOpen(auto_open) => self.on_auto_open_set(auto_open),
            Event::Sent { idempotent, opens } => self.on_request_sent(LENGTH, idempotent, opens)?,
            Event::LetGo => self.on_bytes_dropped(),
            Event::SentAgain => self.on_sent_again(),
            Event::Repeat { unanswered } => {
                assert!(self.repeat(unanswered).is_none_or(|length| length == LENGTH))
            }
            Event::Repeated => self.on_request_repeated()?,
        }
        Ok(())
    }

    /// After these events, none of which is refused.
    #[track_caller]
    fn after(events: &[Event]) -> Self {
        let mut client = ConnectionState::new(false);
        for event in events {
            assert_eq!(client.tell(*event), Ok(()), "{event:?} in {client:?}");
        }
        client
    }
}

/// A client in each state, and what its next step is.
fn each_state() -> [(ConnectionState, ConnectStep); 8] {
    let (set, opened) = (Event::TunnelSet, Event::Opened);
    let ways: [(&[Event], ConnectionPhase, ConnectStep); 8] = [
        (&[], ConnectionPhase::Closed, ConnectStep::Open),
        (&[opened], ConnectionPhase::Connected, ConnectStep::Send),
        (&[opened, SENT], ConnectionPhase::Used, ConnectStep::Send),
        (&[set], ConnectionPhase::Closed, ConnectStep::Open),
        (&[set, opened], ConnectionPhase::Connected, ConnectStep::Tunnel),
        (&[set, opened, Event::TunnelOpened], ConnectionPhase::Within, ConnectStep::Secure),
        (&[set, opened, Event::TunnelOpened, Event::Secured], ConnectionPhase::Ready, ConnectStep::Send),
        (&[set, opened, Event::TunnelOpened, Event::Secured, SENT], ConnectionPhase::Used, ConnectStep::Send),
    ];
    ways.map(|(events, reach, step)| {
        let client = ConnectionState::after(events);
        assert_eq!((client.phase, client.next()), (reach, step));
        (client, step)
    })
}

#[test]
fn each_step_is_taken_when_it_is_the_next() {
    for (event, step, to) in [
        (Event::TunnelOpened, ConnectStep::Tunnel, ConnectionPhase::Within),
        (Event::Secured, ConnectStep::Secure, ConnectionPhase::Ready),
        (SENT, ConnectStep::Send, ConnectionPhase::Used),
    ] {
        for (before, next) in each_state() {
            let mut client = before;
            if next == step {
                assert_eq!((client.tell(event), client.phase), (Ok(()), to), "{event:?} in {before:?}");
            } else {
                assert_eq!(client.tell(event), Err(HttpError::NotConnected), "{event:?} in {before:?}");
                assert_eq!(client, before);
            }
        }
    }
}

#[test]
fn a_connection_that_comes_or_goes_leaves_nothing_of_the_one_before() {
    for (before, _) in each_state() {
        let (mut opened, mut closed) = (before, before);
        opened.on_opened();
        assert_eq!(
            (opened.phase, opened.is_open(), opened.must_check_idle()),
            (ConnectionPhase::Connected, true, false)
        );
        closed.on_closed();
        assert_eq!((closed.next(), closed.is_open(), closed.may_repeat()), (ConnectStep::Open, false, false));
        assert_eq!((opened.has_tunnel(), closed.has_tunnel()), (before.has_tunnel(), before.has_tunnel()));
    }
    assert_eq!(
        (ConnectionState::new(true).next(), ConnectionState::new(false).next()),
        (ConnectStep::Send, ConnectStep::Open)
    );
}

/// RFC 9110 section 9.3.6: the tunnel is that of one connection.
#[test]
fn a_tunnel_is_asked_for_on_each_connection_and_can_be_set_where_it_leads_nowhere() {
    for (before, _) in each_state() {
        let mut client = before;
        match before.phase {
            ConnectionPhase::Closed | ConnectionPhase::Connected => {
                assert_eq!(client.on_tunnel_set(), Ok(()));
                client.on_opened();
                assert_eq!(client.next(), ConnectStep::Tunnel);
            }
            _ => {
                assert_eq!(client.on_tunnel_set(), Err(HttpError::CannotSetTunnel));
                assert_eq!(client, before);
            }
        }
    }
}

#[test]
fn a_connection_is_looked_at_once_it_has_served() {
    for (client, _) in each_state() {
        assert_eq!(client.must_check_idle(), client.phase == ConnectionPhase::Used);
    }
}

#[test]
fn nothing_is_opened_unasked_where_that_is_turned_off() {
    for (auto_open, opens) in [(true, true), (true, false), (false, true), (false, false)] {
        assert_eq!(ConnectionState::after(&[Event::AutoOpen(auto_open)]).may_open(opens), auto_open && opens);
    }
}

/// RFC 9110 section 9.2.2.
#[test]
fn a_request_is_repeated_where_all_of_the_rule_holds() {
    let again = Event::Sent { idempotent: false, opens: true };
    let fixed = Event::Sent { idempotent: true, opens: false };
    let ways: [(&[Event], bool); 8] = [
        (&[Event::Opened, SENT, SENT], true),
        // A fresh connection that is lost was not stale.
        (&[Event::Opened, SENT], false),
        (&[Event::Opened, SENT, again], false),
        (&[Event::Opened, SENT, fixed], false),
        (&[Event::Opened, SENT, SENT, Event::LetGo], false),
        (&[Event::Opened, SENT, SENT, Event::SentAgain], false),
        (&[Event::AutoOpen(false), Event::Opened, SENT, SENT], false),
        (&[Event::Opened, SENT, SENT, Event::Opened], false),
    ];
    for (events, repeated) in ways {
        for unanswered in [true, false] {
            let mut client = ConnectionState::after(events);
            assert_eq!(client.may_repeat(), repeated, "{events:?}");
            let length = (repeated && unanswered).then_some(LENGTH);
            assert_eq!(client.repeat(unanswered), length, "{events:?}, {unanswered}");
            assert_eq!(client.repeat(true), None, "asked twice: {events:?}");
        }
    }
}

#[test]
fn a_request_goes_out_twice_at_most_and_the_second_time_over_another_connection() {
    let mut client = ConnectionState::after(&[Event::Opened, SENT, SENT, REPEAT]);
    assert_eq!(client.on_request_repeated(), Err(HttpError::CannotSendRequest), "over the same connection");
    client.on_closed();
    assert_eq!(client.on_request_repeated(), Err(HttpError::NotConnected));
    client.on_opened();
    assert_eq!((client.on_request_repeated(), client.phase), (Ok(()), ConnectionPhase::Used));
    assert_eq!(client.on_request_repeated(), Err(HttpError::CannotSendRequest));
    assert_eq!(client.repeat(true), None, "a failed automatic retry is not retried");
    let mut other =
        ConnectionState::after(&[Event::Opened, SENT, SENT, REPEAT, Event::Closed, Event::Opened, SENT]);
    assert_eq!(
        other.on_request_repeated(),
        Err(HttpError::CannotSendRequest),
        "another request came between"
    );
}

/// What the laws are held against: facts of the events told, and nothing of the client's own.
#[derive(Clone, Copy, Debug)]
struct Facts {
    open: bool,
    set: bool,
    through: bool,
    secured: bool,
    served: bool,
    auto_open: bool,
    /// How often the request was sent.
    sends: u8,
    /// Whether rule 6 would have it repeated, as far as the sending decides that.
    repeatable: bool,
    /// The same, whether or not what was sent is still there.
    first_try: bool,
    granted: bool,
    /// Whether the connection is another than the one that it was sent over.
    another: bool,
}

impl Facts {
    fn connection(&mut self, open: bool) {
        (self.open, self.through, self.secured, self.served) = (open, false, false, false);
        (self.another, self.repeatable) = (true, false);
    }

    fn leads_to_the_host(&self) -> bool {
        self.open && (!self.set || (self.through && self.secured))
    }
}

/// Holds `after` to the laws: it came out of `before` by `event`, which gave `told`.
fn hold(
    before: &ConnectionState,
    event: Event,
    told: Result<(), HttpError>,
    after: &ConnectionState,
    facts: &mut Facts,
) {
    if told.is_err() {
        assert_eq!(after, before, "law 6: {event:?} was refused");
        return;
    }
    match event {
        Event::Opened => {
            facts.connection(true);
            facts.first_try = false;
        }
        Event::Closed => facts.connection(false),
        Event::TunnelSet => {
            assert!(!facts.served && !facts.through, "law 5: {before:?}");
            facts.set = true;
        }
        Event::TunnelOpened => {
            assert!(facts.open && facts.set && !facts.through, "law 4: {before:?}");
            facts.through = true;
        }
        Event::Secured => {
            assert!(facts.through && !facts.secured, "law 4: {before:?}");
            facts.secured = true;
        }
        Event::AutoOpen(auto_open) => facts.auto_open = auto_open,
        Event::Sent { idempotent, opens } => {
            assert!(facts.leads_to_the_host(), "law 1: {before:?}");
            facts.first_try = facts.served && idempotent && opens && facts.auto_open;
            facts.repeatable = facts.first_try;
            (facts.sends, facts.granted, facts.another, facts.served) = (1, false, false, true);
        }
        Event::LetGo => facts.repeatable = false,
        Event::SentAgain => (facts.repeatable, facts.first_try, facts.granted) = (false, false, false),
        Event::Repeat { unanswered } => {
            let granted = { *before }.repeat(unanswered).is_some();
            assert_eq!(granted, facts.repeatable && unanswered, "law 3: {before:?}, {facts:?}");
            facts.repeatable = false;
            facts.granted |= granted;
            facts.first_try &= !granted;
        }
        Event::Repeated => {
            assert!(facts.leads_to_the_host(), "law 1: {before:?}");
            facts.sends += 1;
            assert!(facts.sends == 2 && facts.another, "law 2: {before:?}, {facts:?}");
            assert!(facts.granted, "law 3: {before:?}");
            (facts.granted, facts.another, facts.served) = (false, false, true);
        }
    }
    assert_eq!(after.is_open(), facts.open);
    assert_eq!(after.is_first_try(), facts.first_try, "law 3: {event:?} in {before:?}");
    assert!(reaches_the_host(*after), "law 4: {after:?}");
}

/// Whether at most three steps, none twice, lead from here to the sending.
fn reaches_the_host(mut client: ConnectionState) -> bool {
    let mut taken = Vec::new();
    loop {
        let step = client.next();
        if step == ConnectStep::Send {
            return taken.len() <= 3;
        }
        if taken.contains(&step) {
            return false;
        }
        taken.push(step);
        let told = match step {
            ConnectStep::Open => client.tell(Event::Opened),
            ConnectStep::Tunnel => client.on_tunnel_opened(),
            ConnectStep::Secure | ConnectStep::Send => client.on_secured(),
        };
        assert_eq!(told, Ok(()));
    }
}

fn events() -> Vec<Event> {
    let mut all = Vec::from([
        Event::Opened,
        Event::Closed,
        Event::TunnelSet,
        Event::TunnelOpened,
        Event::Secured,
        Event::LetGo,
        Event::SentAgain,
        Event::Repeated,
    ]);
    for yes in [true, false] {
        all.extend([Event::AutoOpen(yes), Event::Repeat { unanswered: yes }]);
        all.extend([true, false].map(|opens| Event::Sent { idempotent: yes, opens }));
    }
    all
}

/// Whatever is told in whatever order: from each state that can be reached, each event, until there is no
/// state that is new.
#[test]
#[cfg_attr(miri, ignore = "its steps take more than a minute there")]
fn the_laws_hold_in_every_state_that_any_sequence_of_events_reaches() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = VecDeque::new();
    for connected in [false, true] {
        let facts = Facts {
            open: connected,
            set: false,
            through: false,
            secured: false,
            served: false,
            auto_open: true,
            sends: 0,
            repeatable: false,
            first_try: false,
            granted: false,
            another: false,
        };
        open.push_back((ConnectionState::new(connected), facts, 0));
    }
    let mut longest = 0;
    while let Some((before, known, depth)) = open.pop_front() {
        longest = longest.max(depth);
        for event in events() {
            let (mut after, mut facts) = (before, known);
            let told = after.tell(event);
            hold(&before, event, told, &after, &mut facts);
            if seen.insert(format!("{after:?}{facts:?}")) {
                open.push_back((after, facts, depth + 1));
            }
        }
    }
    // So that the walk is known to have gone everywhere: through a tunnel to a request that is repeated
    // through another.
    assert!(seen.len() > 70 && longest >= 9, "{} states, {longest} events", seen.len());
    assert!(seen.iter().any(|state| state.contains("set: true") && state.contains("sends: 2")));
    std::println!("{} states, {longest} events", seen.len());
}
