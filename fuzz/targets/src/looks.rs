//! Prints a timeline in all its forms, and reads it back.

use connie_core::timeline::Style;
use connie_core::{Config, Timeline};
use serde_json::Value;

use crate::decoded::note;
use crate::draw::Draw;

/// Prints `timeline` in all its forms, for a host that is called anything, and checks what can be checked.
pub fn look(timeline: &Timeline<'_>, config: &Config, draw: &mut Draw<'_>) {
    let width = usize::from(draw.byte()) * 5;
    let style = Style::default().unicode(draw.flag());
    let length = draw.below(16);
    let host = String::from_utf8_lossy(draw.take(length.into())).into_owned();
    note(|| format!("look at {width} columns, unicode {}, host {host:?}", style.unicode));
    check_waterfall(&timeline.waterfall(width, style).to_string(), width);
    let _ = timeline.waterfall(width, style.colour(true)).to_string();
    check_json(timeline, &host);
    check_qlog(timeline, config, &host);
}

#[track_caller]
fn check_waterfall(picture: &str, width: usize) {
    assert!(picture.ends_with('\n'), "the picture ends within a line");
    let widest = picture.lines().map(|line| line.chars().count()).max().unwrap_or(0);
    assert!(widest <= width.clamp(40, 1_000), "{widest} columns of {width}:\n{picture}");
}

#[track_caller]
fn check_json(timeline: &Timeline<'_>, host: &str) {
    let text = timeline.json(host, 80).to_string();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value["host"], *host, "{text}");
    let attempts = value["attempts"].as_array().map(Vec::len);
    assert_eq!(attempts, Some(timeline.attempts().count()), "{text}");
    let winner = timeline.winner().map(|winner| winner.destination.to_string());
    assert_eq!(value["winner"].as_str(), winner.as_deref(), "{text}");
}

/// "Every attempt_started has exactly one outcome event", once it has ended; and events come in the order of
/// time.
#[track_caller]
fn check_qlog(timeline: &Timeline<'_>, config: &Config, host: &str) {
    let text = timeline.qlog(host, host, 80).config(config).resolved_by_name().to_string();
    let value: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(value["traces"][0]["title"], *host, "{text}");
    let events = value["traces"][0]["events"].as_array().unwrap_or_else(|| panic!("no events: {text}"));
    let called = |name: &str| events.iter().filter(|event| event["name"] == *name).collect::<Vec<_>>();
    let ended = timeline.attempts().filter(|attempt| attempt.outcome.is_some()).count();
    assert_eq!(called("hev3:attempt_started").len(), timeline.attempts().count(), "{text}");
    assert_eq!(called("hev3:attempt_outcome").len(), ended, "{text}");
    for attempts in [called("hev3:attempt_started"), called("hev3:attempt_outcome")] {
        let times = attempts.iter().map(|event| event["time"].as_f64().expect("a time"));
        assert!(times.is_sorted(), "the events are out of order: {text}");
    }
}
