//! What went wrong last, for each thread.

use std::cell::RefCell;
use std::ffi::c_int;

use crate::Connie;
use crate::failure::Failed;

thread_local! {
    static LAST: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Keeps the message of a call that has failed, and forgets the one before. Answers the code.
pub(crate) fn remember(result: Result<(), Failed>) -> c_int {
    let (error, message) = match result {
        Ok(()) => (Connie::Ok, String::new()),
        Err(Failed { error, message }) => (error, message),
    };
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            *last = message;
        }
    });
    error as c_int
}

/// Lends the last message of this thread.
pub(crate) fn with_last(read: impl Fn(&str) -> usize) -> usize {
    LAST.try_with(|last| last.try_borrow().map(|last| read(&last)).ok())
        .ok()
        .flatten()
        .unwrap_or_else(|| read(""))
}

/// As much of `text` as `room` octets hold, without a broken character at the end.
pub(crate) fn cut(text: &str, room: usize) -> &str {
    let end = (0..=room.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    end.and_then(|end| text.get(..end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_cut_between_characters() {
        let cuts: Vec<_> = (0..6).map(|room| cut("a\u{e4}\u{20ac}", room)).collect();
        assert_eq!(cuts, ["", "a", "a", "a\u{e4}", "a\u{e4}", "a\u{e4}"]);
        assert_eq!(cut("a\u{e4}\u{20ac}", 6), "a\u{e4}\u{20ac}");
        assert_eq!(cut("", usize::MAX), "");
    }

    #[test]
    fn a_success_forgets_the_failure_before() {
        assert_eq!(remember(Err(Failed::invalid("no"))), -1);
        assert_eq!(with_last(str::len), 2);
        assert_eq!(remember(Ok(())), 0);
        assert_eq!(with_last(str::len), 0);
    }
}
