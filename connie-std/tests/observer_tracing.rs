//! Feature `tracing`: which events a race makes.
#![cfg(feature = "tracing")]

use std::collections::BTreeMap;
use std::fmt;
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use connie_std::{Options, connect};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The fields of one event, by name.
type Fields = BTreeMap<&'static str, String>;

/// Keeps the events up to a level.
struct Events {
    most: Level,
    kept: Arc<Mutex<Vec<(Level, Fields)>>>,
}

impl Subscriber for Events {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "connie" && *metadata.level() <= self.most
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut fields = Visited(Fields::new());
        event.record(&mut fields);
        self.kept.lock().unwrap().push((*event.metadata().level(), fields.0));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

struct Visited(Fields);

impl Visit for Visited {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name(), value.to_owned());
    }
}

/// What a call makes of events up to `most`.
fn events(most: Level, call: impl FnOnce()) -> Vec<(Level, Fields)> {
    let kept = Arc::new(Mutex::new(Vec::new()));
    tracing::subscriber::with_default(Events { most, kept: kept.clone() }, call);
    std::mem::take(&mut *kept.lock().unwrap())
}

#[test]
fn a_race_is_an_event_and_each_attempt_another() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = server.local_addr().expect("an address");
    let race = || drop(connect(address, &Options::default()).expect("a connection"));

    let events_of_a_race = events(Level::INFO, race);
    let [(Level::INFO, fields)] = &events_of_a_race[..] else { panic!("{events_of_a_race:?}") };
    assert_eq!(fields["message"], "race");
    assert_eq!((fields["host"].as_str(), fields["port"].parse()), ("127.0.0.1", Ok(address.port())));
    assert_eq!((fields["outcome"].as_str(), fields["attempts"].as_str()), ("won", "1"));
    assert_eq!(fields["winner"], address.to_string());
    assert!(fields["elapsed_us"].parse::<u64>().is_ok_and(|elapsed| elapsed > 0), "{fields:?}");
    assert!(!fields.contains_key("error"));

    let with_attempts = events(Level::DEBUG, race);
    let [(Level::DEBUG, attempt), (Level::INFO, _)] = &with_attempts[..] else { panic!("{with_attempts:?}") };
    assert_eq!((attempt["message"].as_str(), attempt["outcome"].as_str()), ("attempt", "established"));
    assert_eq!(attempt["destination"], address.to_string());
    assert_eq!(attempt["hedge"], "false");
    for time in ["started_us", "ended_us"] {
        assert!(attempt[time].parse::<u64>().is_ok(), "{attempt:?}");
    }

    assert_eq!(events(Level::WARN, race).len(), 0);
}

#[test]
fn a_race_that_was_lost_has_its_error() {
    let lost = events(Level::INFO, || drop(connect("no port", &Options::default()).expect_err("no target")));
    let [(Level::INFO, fields)] = &lost[..] else { panic!("{lost:?}") };
    assert_eq!((fields["outcome"].as_str(), fields["attempts"].as_str()), ("lost", "0"));
    assert!(fields["error"].contains("is not HOST:PORT"), "{fields:?}");
    assert!(!fields.contains_key("winner"));
}
