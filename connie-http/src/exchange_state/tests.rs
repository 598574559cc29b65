//! Every transition of an exchange, each event in each phase; and every state that any sequence of events can
//! reach, with the laws.

extern crate std;
use super::*;
use connie_core::AttemptErrorKind;
use std::collections::{BTreeSet, VecDeque};
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

const RESET: AttemptError = AttemptError::new(AttemptErrorKind::Reset);
const SEND_REFUSED: AttemptError = AttemptError::new(AttemptErrorKind::Refused);
const CLOSE: RequestOptions = RequestOptions { close: true, expect: false, upgrade: false };
const EXPECT: RequestOptions = RequestOptions { close: false, expect: true, upgrade: false };
const UPGRADE: RequestOptions = RequestOptions { close: false, expect: false, upgrade: true };

/// What can be told to an exchange.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Event {
    Connected,
    Failed(HttpError),
    Closed,
    Forgotten,
    Begun(&'static str),
    Added(RequestOptions),
    HeadSent(RequestBody),
    Overdue,
    Given(usize),
    Ended,
    Whole,
    Stopped(Option<AttemptError>),
    Early { refuses: bool },
    Repeated,
    Heard(u16),
    Wanted,
    Answered { status: u16, closes: bool },
    Missing { silent: bool },
    Read { clean: bool },
}

impl ExchangeState {
    fn tell(&mut self, event: Event) -> Result<(), HttpError> {
        match event {
            Event::Connected => self.on_connected(),
            Event::Failed(error) => assert_eq!(self.on_failed(error), error),
            Event::Closed => self.on_closed(),
            Event::Forgotten => self.on_forgotten(),
            Event::Begun(method) => self.on_request_begun(method, 40)?,
            Event::Added(options) => self.on_header_added(50, options)?,
            Event::HeadSent(body) => self.on_head_sent(body)?,
            Event::Overdue => self.on_continue_overdue(),
            Event::Given(length) => return self.on_body_given(length).map(drop),
            Event::Ended => self.on_body_ended()?,
            Event::Whole => self.on_sent_whole(),
            Event::Stopped(reason) => self.on_upload_stopped(reason),
            Event::Early { refuses } => self.on_answered_early(refuses),
            Event::Repeated => self.on_repeated(60)?,
            Event::Heard(status) => return self.on_head_received(status).map(drop),
            Event::Wanted => return self.on_response_wanted().map(drop),
            Event::Answered { status, closes } => self.on_answered(FinalResponse { status, closes })?,
            Event::Missing { silent } => drop(self.on_response_missing(HttpError::EmptyReply, silent)),
            Event::Read { clean } => return self.on_body_read(clean).map(drop),
        }
        Ok(())
    }

    /// After these events, none of which is refused.
    #[track_caller]
    fn after(events: &[Event]) -> Self {
        let mut exchange = ExchangeState::new();
        for event in events {
            assert_eq!(exchange.tell(*event), Ok(()), "{event:?} in {exchange:?}");
        }
        exchange
    }
}

const GET: Event = Event::Begun("GET");
const POST: Event = Event::Begun("POST");
const BARE: Event = Event::HeadSent(RequestBody::None);
const THREE: Event = Event::HeadSent(RequestBody::Length(3));
const CHUNKED: Event = Event::HeadSent(RequestBody::Chunked);
const OK: Event = Event::Answered { status: 200, closes: false };
const SWITCH: Event = Event::Answered { status: 101, closes: true };
const READ: Event = Event::Read { clean: true };

const IDLE: ExchangePhase = ExchangePhase::Idle;
const HEADING: ExchangePhase = ExchangePhase::Heading(40);
const ASKING: ExchangePhase = ExchangePhase::Asking(RemainingBody::Bytes(3));
const BYTES: ExchangePhase = ExchangePhase::Uploading(RemainingBody::Bytes(3));
const ALL: ExchangePhase = ExchangePhase::Uploading(RemainingBody::Bytes(0));
const CHUNKS: ExchangePhase = ExchangePhase::Uploading(RemainingBody::Chunks);
const REFUSED: ExchangePhase = ExchangePhase::Refused;
const WAITING: ExchangePhase = ExchangePhase::Waiting;
const READING: ExchangePhase = ExchangePhase::Reading;
const OVER: ExchangePhase = ExchangePhase::Over;
const TUNNEL: ExchangePhase = ExchangePhase::Tunnel;
const FAILED: ExchangePhase = ExchangePhase::Failed(HttpError::TimedOut);

/// An exchange in each phase, of a request that asks for another protocol.
fn each_phase() -> Vec<ExchangeState> {
    let up = Event::Added(UPGRADE);
    let ways: [&[Event]; 12] = [
        &[],
        &[POST],
        &[POST, Event::Added(EXPECT), THREE],
        &[POST, up, THREE],
        &[POST, up, THREE, Event::Given(3)],
        &[POST, up, CHUNKED],
        &[POST, up, THREE, Event::Stopped(Some(RESET))],
        &[POST, up, BARE],
        &[POST, up, BARE, OK],
        &[POST, up, BARE, OK, READ],
        &[POST, up, BARE, SWITCH],
        &[Event::Failed(HttpError::TimedOut)],
    ];
    let phases = [IDLE, HEADING, ASKING, BYTES, ALL, CHUNKS, REFUSED, WAITING, READING, OVER, TUNNEL, FAILED];
    let reached: Vec<_> = ways.iter().map(|events| ExchangeState::after(events)).collect();
    for (exchange, phase) in reached.iter().zip(phases) {
        assert_eq!(exchange.phase, phase);
    }
    reached
}

/// Where `event` leads: from each of `to`'s first phases to its second. In every other phase it is refused
/// with `error`, or makes no difference where that is `None`, and nothing changes.
#[track_caller]
fn leads(event: Event, error: Option<HttpError>, to: &[(ExchangePhase, ExchangePhase)]) {
    for before in each_phase() {
        let mut exchange = before;
        let told = exchange.tell(event);
        match to.iter().find(|(from, _)| *from == before.phase) {
            Some((_, to)) => assert_eq!((told, exchange.phase), (Ok(()), *to), "{event:?} in {before:?}"),
            None => {
                assert_eq!(told, error.map_or(Ok(()), Err), "{event:?} in {before:?}");
                assert_eq!(exchange, before, "{event:?} is refused and yet changes something");
            }
        }
    }
}

/// As [`leads`], where a failure is told again in place of `error`.
#[track_caller]
fn leads_unless_failed(event: Event, error: HttpError, to: &[(ExchangePhase, ExchangePhase)]) {
    let mut failed = ExchangeState::after(&[Event::Failed(HttpError::TimedOut)]);
    assert_eq!((failed.tell(event), failed.phase), (Err(HttpError::TimedOut), FAILED));
    for before in each_phase().into_iter().filter(|exchange| exchange.phase != FAILED) {
        let mut exchange = before;
        let told = exchange.tell(event);
        let to = to.iter().find(|(from, _)| *from == before.phase).map(|(_, to)| *to);
        assert_eq!(told, to.map_or(Err(error), |_| Ok(())), "{event:?} in {before:?}");
        assert_eq!(exchange.phase, to.unwrap_or(before.phase), "{event:?} in {before:?}");
    }
}

#[test]
fn what_happens_to_the_connection_ends_any_phase() {
    let all = [IDLE, ASKING, BYTES, ALL, CHUNKS, REFUSED, WAITING, READING, OVER, TUNNEL, FAILED];
    let mut to: Vec<_> = all.iter().map(|from| (*from, IDLE)).collect();
    // A head that was not sent is as good for another connection.
    to.push((HEADING, HEADING));
    leads(Event::Connected, None, &to);
    for (event, error) in [
        (Event::Closed, HttpError::NotConnected),
        (Event::Failed(HttpError::NotHttp), HttpError::NotHttp),
        (Event::Missing { silent: false }, HttpError::IncompleteHead),
    ] {
        let to: Vec<_> =
            all.iter().chain([&HEADING]).map(|from| (*from, ExchangePhase::Failed(error))).collect();
        leads(event, None, &to);
    }
}

#[test]
fn a_request_begins_where_none_is_under_way() {
    let to = [(IDLE, HEADING), (HEADING, HEADING), (OVER, HEADING), (FAILED, HEADING)];
    leads(GET, Some(HttpError::CannotSendRequest), &to);
    leads(Event::Forgotten, None, &[(HEADING, IDLE), (OVER, IDLE)]);
    for exchange in each_phase() {
        assert_eq!(exchange.may_begin().is_ok(), { exchange }.tell(GET).is_ok(), "{exchange:?}");
    }
}

#[test]
fn a_request_that_begins_knows_nothing_of_the_one_before() {
    let all = RequestOptions { close: true, expect: true, upgrade: true };
    let failed = ExchangeState::after(&[
        Event::Begun("CONNECT"),
        Event::Added(all),
        CHUNKED,
        Event::Heard(100),
        Event::Stopped(Some(RESET)),
        Event::Failed(HttpError::TimedOut),
        GET,
    ]);
    assert_eq!(failed, ExchangeState::after(&[GET]));
    assert!(failed.persists() && failed.is_idempotent() && failed.kind() == RequestKind::Other);
    assert!(!ExchangeState::after(&[POST]).is_idempotent());
}

#[test]
fn the_head_is_written_then_sent() {
    let no_head = Some(HttpError::CannotSendHeader);
    leads(Event::Added(CLOSE), no_head, &[(HEADING, ExchangePhase::Heading(50))]);
    leads(BARE, no_head, &[(HEADING, WAITING)]);
    leads(THREE, no_head, &[(HEADING, BYTES)]);
    leads(Event::HeadSent(RequestBody::Length(0)), no_head, &[(HEADING, ALL)]);
    leads(CHUNKED, no_head, &[(HEADING, CHUNKS)]);
}

/// RFC 9110 section 10.1.1.
#[test]
fn a_head_that_expects_a_100_has_a_body() {
    for body in [RequestBody::None, RequestBody::Length(0)] {
        let mut exchange = ExchangeState::after(&[POST, Event::Added(EXPECT)]);
        assert_eq!(exchange.may_end_head(body), Err(HttpError::ExpectWithoutBody));
        assert_eq!(exchange.on_head_sent(body), Ok(()));
        assert!(!exchange.is_asking(), "there is nothing to hold back");
    }
    let exchange = ExchangeState::after(&[POST, Event::Added(EXPECT), Event::Added(CLOSE), CHUNKED]);
    assert_eq!((exchange.phase, exchange.persists()), (ExchangePhase::Asking(RemainingBody::Chunks), false));
}

#[test]
fn a_body_is_held_back_until_the_server_speaks_or_the_wait_is_overdue() {
    leads(Event::Overdue, None, &[(ASKING, BYTES)]);
    // 100 is the word to go on and no response; another interim answer is neither.
    let mut exchange = ExchangeState::after(&[POST, Event::Added(EXPECT), THREE]);
    assert_eq!((exchange.on_head_received(103), exchange.is_asking()), (Ok(false), true));
    assert_eq!((exchange.on_head_received(100), exchange.phase), (Ok(false), BYTES));
    leads(Event::Early { refuses: false }, None, &[(ASKING, REFUSED)]);
}

#[test]
fn a_body_has_the_length_announced() {
    let to =
        [(BYTES, ExchangePhase::Uploading(RemainingBody::Bytes(1))), (CHUNKS, CHUNKS), (REFUSED, REFUSED)];
    let none = HttpError::CannotSendBody;
    for before in each_phase() {
        let mut exchange = before;
        let given = exchange.on_body_given(2);
        let (error, to) = match to.iter().find(|(from, _)| *from == before.phase) {
            Some((_, to)) => (None, *to),
            None if before.phase == ALL => (Some(HttpError::BodyTooLong), ALL),
            None => (Some(none), before.phase),
        };
        assert_eq!((given.err(), exchange.phase), (error, to), "{before:?}");
    }
    let mut exchange = ExchangeState::after(&[POST, THREE]);
    assert_eq!(exchange.on_body_given(4), Err(HttpError::BodyTooLong));
    assert_eq!(exchange.on_body_ended(), Err(HttpError::BodyTooShort { missing: 3 }));
    assert_eq!(exchange.on_body_given(0), Ok(BodyPiece::Dropped));
    assert_eq!((exchange.on_body_given(3), exchange.wants_body()), (Ok(BodyPiece::Plain), false));
    let mut chunks = ExchangeState::after(&[POST, CHUNKED]);
    assert_eq!(chunks.on_body_given(0), Ok(BodyPiece::Dropped), "a chunk of no bytes would end the body");
    assert_eq!(chunks.on_body_given(3), Ok(BodyPiece::Chunk));
    assert!(chunks.wants_body() && chunks.ends_in_a_chunk());
}

#[test]
fn a_body_ends_once() {
    for before in each_phase() {
        let mut exchange = before;
        let (told, to) = match before.phase {
            BYTES => (Err(HttpError::BodyTooShort { missing: 3 }), BYTES),
            ALL | CHUNKS => (Ok(()), WAITING),
            REFUSED => (Ok(()), REFUSED),
            phase => (Err(HttpError::CannotSendBody), phase),
        };
        assert_eq!((exchange.on_body_ended(), exchange.phase), (told, to), "{before:?}");
    }
    leads(Event::Whole, None, &[(BYTES, WAITING), (ALL, WAITING), (CHUNKS, WAITING)]);
}

#[test]
fn a_body_is_cut_short_while_it_is_sent() {
    let sending = [HEADING, ASKING, BYTES, ALL, CHUNKS].map(|from| (from, REFUSED));
    leads(Event::Stopped(None), None, &sending);
    leads(Event::Early { refuses: true }, None, &sending);
    let mut exchange = ExchangeState::after(&[POST, THREE, Event::Stopped(None)]);
    assert!(exchange.is_refused() && !exchange.persists() && !exchange.wants_body());
    assert_eq!(exchange.on_body_given(9), Ok(BodyPiece::Dropped));
    assert_eq!(ExchangeState::after(&[POST, THREE, Event::Early { refuses: false }]).phase, BYTES);
}

#[test]
fn a_request_is_repeated_as_it_was_written() {
    let none = Some(HttpError::CannotSendRequest);
    leads(
        Event::Repeated,
        none,
        &[(REFUSED, ExchangePhase::Heading(60)), (WAITING, ExchangePhase::Heading(60))],
    );
    let lost = [GET, Event::Added(UPGRADE), THREE, Event::Stopped(Some(RESET)), Event::Repeated];
    let exchange = ExchangeState::after(&lost);
    assert!(exchange.persists() && exchange.is_idempotent() && !exchange.has_send_failure());
    assert_eq!(exchange.options, UPGRADE);
    let closing = [GET, Event::Added(CLOSE), BARE, Event::Repeated];
    assert!(!ExchangeState::after(&closing).persists());
}

#[test]
fn an_interim_answer_is_none_and_has_a_limit() {
    let hearing = [ASKING, BYTES, ALL, CHUNKS, REFUSED, WAITING];
    leads(Event::Heard(200), Some(HttpError::ResponseNotReady), &hearing.map(|phase| (phase, phase)));
    let mut exchange = ExchangeState::after(&[GET, BARE]);
    for status in [100, 102, 103, 199].iter().cycle().take(MAX_INTERIM.into()) {
        assert_eq!(exchange.on_head_received(*status), Ok(false));
    }
    let before = exchange;
    assert_eq!(exchange.on_head_received(100), Err(HttpError::TooManyInterim));
    assert_eq!((exchange, exchange.phase), (before, WAITING));
    for status in [0, 99, 101, 200, 999] {
        assert_eq!(exchange.on_head_received(status), Ok(true), "{status}");
    }
}

#[test]
fn the_answer_is_asked_for_when_the_request_is_complete() {
    let to = [
        (REFUSED, WAITING),
        (ALL, WAITING),
        (WAITING, WAITING),
        (READING, READING),
        (OVER, OVER),
        (TUNNEL, TUNNEL),
    ];
    leads_unless_failed(Event::Wanted, HttpError::ResponseNotReady, &to);
    for before in each_phase() {
        let more = matches!({ before }.on_response_wanted(), Ok(true));
        assert_eq!(more, [REFUSED, ALL, WAITING].contains(&before.phase), "{before:?}");
    }
}

#[test]
fn there_is_one_answer() {
    let none = Some(HttpError::ResponseNotReady);
    leads(OK, none, &[(WAITING, READING)]);
    leads(SWITCH, none, &[(WAITING, TUNNEL)]);
    leads(READ, none, &[(READING, OVER)]);
    for before in each_phase() {
        let failed = (before.phase == FAILED).then_some(HttpError::TimedOut);
        assert_eq!((before.is_reading(), before.check().err()), (before.phase == READING, failed));
    }
}

#[test]
fn another_protocol_is_spoken_only_where_it_was_asked_for() {
    let mut plain = ExchangeState::after(&[GET, BARE]);
    assert_eq!(plain.tell(SWITCH), Err(HttpError::UnaskedSwitch));
    assert_eq!(plain, ExchangeState::after(&[GET, BARE]));
    for (status, phase) in [(199, READING), (200, TUNNEL), (299, TUNNEL), (300, READING), (407, READING)] {
        let answer = Event::Answered { status, closes: false };
        let connect = ExchangeState::after(&[Event::Begun("CONNECT"), BARE, answer]);
        assert_eq!(connect.phase, phase, "{status}");
        assert_eq!(ExchangeState::after(&[GET, BARE, answer]).phase, READING, "{status}");
    }
    let mut proxy = ExchangeState::for_connect();
    assert_eq!(
        (proxy.on_answered(FinalResponse { status: 200, closes: true }), proxy.phase),
        (Ok(()), TUNNEL)
    );
}

#[test]
fn a_missing_answer_is_told_by_what_is_known_of_it() {
    let gone = HttpError::Receive(RESET);
    for (stopped, error, silent, told) in [
        (None, HttpError::EmptyReply, true, HttpError::EmptyReply),
        (None, HttpError::EmptyReply, false, HttpError::IncompleteHead),
        (None, gone, true, gone),
        (None, gone, false, gone),
        (Some(SEND_REFUSED), HttpError::EmptyReply, true, HttpError::Send(SEND_REFUSED)),
        (Some(SEND_REFUSED), gone, true, HttpError::Send(SEND_REFUSED)),
        (Some(SEND_REFUSED), HttpError::EmptyReply, false, HttpError::IncompleteHead),
    ] {
        let mut exchange = ExchangeState::after(&[POST, THREE, Event::Stopped(stopped), Event::Wanted]);
        assert_eq!(exchange.on_response_missing(error, silent), told);
        assert_eq!(exchange.phase, ExchangePhase::Failed(told));
    }
}

#[test]
fn the_connection_persists_where_nothing_speaks_against_it() {
    let persists = |events: &[Event]| ExchangeState::after(events).persists();
    let closing = Event::Answered { status: 200, closes: true };
    assert!(persists(&[POST, THREE, Event::Given(3), Event::Ended, OK, READ]));
    assert!(!persists(&[POST, Event::Added(CLOSE), BARE, OK, READ]));
    assert!(!persists(&[POST, BARE, closing, READ]));
    assert!(!persists(&[POST, BARE, OK, Event::Read { clean: false }]));
    assert!(!persists(&[POST, THREE, Event::Stopped(None), Event::Wanted, OK, READ]));
    assert!(!persists(&[POST, BARE, OK, Event::Failed(HttpError::TimedOut)]));
}

/// What the laws are held against: facts of the events told, and nothing of the exchange's own.
#[derive(Clone, Copy, Debug, Default)]
struct Facts {
    /// Something has happened that forbids another request on this connection.
    doubt: bool,
    sent: bool,
    answered: bool,
    expects: bool,
    cut: bool,
    interim: u8,
    /// Bytes of the body to come, where they are counted.
    missing: u64,
}

impl Facts {
    /// Records an event that was not refused.
    fn note(&mut self, event: Event) {
        match event {
            Event::Begun(_) => *self = Facts::default(),
            Event::Added(options) => {
                self.doubt |= options.close;
                self.expects |= options.expect;
            }
            Event::HeadSent(body) => {
                self.sent = true;
                self.missing = if let RequestBody::Length(length) = body { length } else { 0 };
            }
            Event::Given(length) if !self.cut => self.missing = self.missing.saturating_sub(length as u64),
            Event::Failed(_) | Event::Closed | Event::Missing { .. } => self.doubt = true,
            Event::Heard(status) => self.interim += u8::from(matches!(status, 100 | 102..=199)),
            Event::Answered { closes, .. } => {
                self.answered = true;
                self.doubt |= closes;
            }
            Event::Read { clean } => self.doubt |= !clean,
            _ => {}
        }
    }
}

/// Holds `after` to the laws: it came out of `before` by `event`, which gave `told`.
fn hold(
    before: &ExchangeState,
    event: Event,
    told: Result<(), HttpError>,
    after: &ExchangeState,
    facts: &mut Facts,
) {
    if told.is_err() {
        assert_eq!(after, before, "law 1: {event:?} was refused");
        return;
    }
    let was_answered = facts.answered;
    facts.note(event);
    if after.phase == REFUSED && before.phase != REFUSED {
        (facts.cut, facts.doubt) = (true, true);
        facts.sent = true;
    }
    if event == Event::Whole && after.phase != before.phase {
        facts.missing = 0;
    }
    if let Event::Repeated = event {
        assert!(!facts.answered, "law 3: repeated although answered");
        // It is sent anew, by fields that are as they were.
        facts.doubt = after.options.close;
        (facts.sent, facts.cut, facts.interim) = (false, false, 0);
    }
    if !matches!(after.phase, IDLE) {
        assert!(!(facts.doubt && after.persists()), "law 2: {event:?} in {before:?} gives {after:?}");
    }
    if let Event::Answered { .. } = event {
        assert!(facts.sent && !was_answered, "law 3: {before:?}");
    }
    let complete =
        matches!(after.phase, ExchangePhase::Waiting | ExchangePhase::Reading | ExchangePhase::Over)
            && !facts.cut;
    assert!(!complete || facts.missing == 0, "law 4: {facts:?} in {after:?}");
    if let Event::Heard(status) = event {
        let is_final = { *before }.on_head_received(status);
        assert_eq!(is_final, Ok(!(100..200).contains(&status) || status == 101), "law 5: {before:?}");
        assert!(facts.interim <= MAX_INTERIM, "law 5");
    }
    if after.is_asking() {
        assert!(
            facts.expects && facts.missing > 0
                || matches!(after.phase, ExchangePhase::Asking(RemainingBody::Chunks)),
            "law 6"
        );
    }
    if let ExchangePhase::Heading(_) = after.phase {
        assert!(after.interim == 0 && after.send_failure.is_none(), "law 7: {after:?}");
    }
}

/// All events, with every argument that makes a difference.
fn events() -> Vec<Event> {
    let mut all = vec![
        Event::Connected,
        Event::Closed,
        Event::Forgotten,
        Event::Overdue,
        Event::Ended,
        Event::Whole,
        Event::Repeated,
        Event::Wanted,
        Event::Failed(HttpError::TimedOut),
        GET,
        Event::Begun("CONNECT"),
        BARE,
        CHUNKED,
        Event::HeadSent(RequestBody::Length(0)),
        Event::HeadSent(RequestBody::Length(2)),
    ];
    all.extend([CLOSE, EXPECT, UPGRADE].map(Event::Added));
    all.extend([0, 1, 2].map(Event::Given));
    all.extend([None, Some(RESET)].map(Event::Stopped));
    all.extend([100, 101, 103, 200].map(Event::Heard));
    for yes in [false, true] {
        all.extend([
            Event::Early { refuses: yes },
            Event::Missing { silent: yes },
            Event::Read { clean: yes },
        ]);
        all.extend([101, 200, 417].map(|status| Event::Answered { status, closes: yes }));
    }
    all
}

/// Whatever is told in whatever order: from each state that can be reached, each event, until there is no
/// state that is new.
#[test]
#[cfg_attr(miri, ignore = "some hundred thousand steps take minutes there")]
fn the_laws_hold_in_every_state_that_any_sequence_of_events_reaches() {
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = VecDeque::from([(ExchangeState::new(), Facts::default(), 0)]);
    let (mut steps, mut longest) = (0_u64, 0);
    while let Some((before, known, depth)) = open.pop_front() {
        longest = longest.max(depth);
        for event in events() {
            // The limit has its own test; here two stand for all of them.
            if matches!(event, Event::Heard(100 | 103)) && known.interim >= 2 {
                continue;
            }
            let (mut after, mut facts) = (before, known);
            let told = after.tell(event);
            hold(&before, event, told, &after, &mut facts);
            steps += 1;
            if seen.insert(format!("{after:?}{facts:?}")) {
                open.push_back((after, facts, depth + 1));
            }
        }
    }
    // So that the walk is known to have gone everywhere: from a first request to the end of a second that was
    // repeated.
    assert!(seen.len() > 1_000 && longest >= 10, "{} states, {longest} events", seen.len());
    for phase in [
        "Idle",
        "Heading",
        "Asking",
        "Uploading",
        "Refused",
        "Waiting",
        "Reading",
        "Over",
        "Tunnel",
        "Failed",
    ] {
        assert!(
            seen.iter().any(|state| state.contains(&format!("phase: {phase}"))),
            "{phase} is not reached"
        );
    }
    std::println!("{} states, {steps} steps, {longest} events", seen.len());
}
