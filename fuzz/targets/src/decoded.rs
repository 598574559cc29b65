//! What the bytes of an input are decoded to, in words, for the test that holds the corpus to it.
//!
//! A target says with [`note`] what it has drawn from its bytes. Under a fuzzer nobody listens and no word is
//! made.

use std::cell::RefCell;
use std::panic::catch_unwind;

thread_local! {
    /// The record of the input that is decoded; `None` where nobody listens.
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

struct Record {
    words: Vec<String>,
    /// How many events of the network are still noted.
    events: u32,
    ended: bool,
}

/// What `target` decodes `bytes` to: a line for each thing that it draws, up to where the code under test
/// decides what is drawn next. A network that answers that code has `events` of its answers noted, and then
/// no more.
#[must_use]
pub fn decoded(target: crate::Target, bytes: &[u8], events: u32) -> Vec<String> {
    RECORD.set(Some(Record { words: Vec::new(), events, ended: false }));
    // Whether they break it is for the replay of the corpus to say.
    let _ = catch_unwind(|| target(bytes));
    RECORD.take().map(|record| record.words).unwrap_or_default()
}

/// Takes note of what was drawn.
pub(crate) fn note(words: impl FnOnce() -> String) {
    with(|record| record.words.push(words()));
}

/// Takes note of what the network does.
pub(crate) fn event(words: impl FnOnce() -> String) {
    with(|record| {
        record.words.push(words());
        record.events = record.events.saturating_sub(1);
        record.ended = record.events == 0;
    });
}

/// Takes note of nothing further.
pub(crate) fn end() {
    with(|record| record.ended = true);
}

fn with(act: impl FnOnce(&mut Record)) {
    RECORD.with_borrow_mut(|record| {
        if let Some(record) = record.as_mut().filter(|record| !record.ended) {
            act(record);
        }
    });
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
