//! What the bytes of an input are decoded to, in words, for the test that holds the corpus to it.
//!
//! A target says with [`note`] what it has drawn from its bytes. Under a fuzzer nobody listens and no word is
//! made.

use std::cell::RefCell;

thread_local! {
    /// The words of the input that is recorded; `None` where nobody listens.
    static WORDS: RefCell<Option<Vec<String>>> = const { RefCell::new(None) };
}

/// What `target` decodes `bytes` to: a line for each thing that it draws, before it is stopped or at an end.
///
/// # Panics
///
/// Where the bytes break the target.
#[must_use]
pub fn decoded(target: crate::Target, bytes: &[u8]) -> Vec<String> {
    WORDS.set(Some(Vec::new()));
    target(bytes);
    WORDS.take().unwrap_or_default()
}

/// Takes note of what was drawn.
pub(crate) fn note(words: impl FnOnce() -> String) {
    // Where the thread ends nobody listens any more.
    let _ = WORDS.try_with(|all| {
        if let Ok(mut all) = all.try_borrow_mut() {
            if let Some(all) = all.as_mut().filter(|all| all.last().is_none_or(|last| last != END)) {
                all.push(words());
            }
        }
    });
}

/// Takes note of nothing further: what follows is no longer decided by the bytes alone.
pub(crate) fn end() {
    note(|| END.to_owned());
}

const END: &str = "end";

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
