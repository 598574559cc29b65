//! What went wrong last, for each thread.

use std::cell::RefCell;
use std::ffi::c_int;

use crate::Connie;
use crate::call_error::CallError;
use crate::visit::LastVisit;

thread_local! {
    static LAST: RefCell<LastCall> = const { RefCell::new(LastCall::NONE) };
}

/// What the last call has left.
#[derive(Debug)]
struct LastCall {
    message: String,
    /// What became of each address.
    addresses: Vec<(Connie, String)>,
    /// Of the last call that was to connect, where it has and had a memory.
    visit: Option<LastVisit>,
}

impl LastCall {
    const NONE: LastCall = LastCall { message: String::new(), addresses: Vec::new(), visit: None };
}

/// Keeps the message of a call that has failed, and forgets the one before. Answers the code.
pub(crate) fn record(result: Result<(), CallError>) -> c_int {
    let (error, message, addresses) = match result {
        Ok(()) => (Connie::Ok, String::new(), Vec::new()),
        Err(CallError { error, message, addresses }) => (error, message, addresses),
    };
    change(|last| (last.message, last.addresses) = (message, addresses));
    error as c_int
}

/// The same for a call that was to connect.
pub(crate) fn record_connect(result: Result<Option<LastVisit>, CallError>) -> c_int {
    let (visit, result) = match result {
        Ok(visit) => (visit, Ok(())),
        Err(failed) => (None, Err(failed)),
    };
    change(|last| last.visit = visit);
    record(result)
}

fn change(change: impl FnOnce(&mut LastCall)) {
    // A thread that is ending has no place for it any more.
    let _ = LAST.try_with(|last| {
        if let Ok(mut last) = last.try_borrow_mut() {
            change(&mut last);
        }
    });
}

/// That of the last call of this thread that was to connect.
pub(crate) fn last_visit() -> Option<LastVisit> {
    LAST.try_with(|last| last.try_borrow().ok()?.visit.clone()).ok().flatten()
}

/// Lends the last message of this thread.
pub(crate) fn with_last(read: impl Fn(&str) -> usize) -> usize {
    LAST.try_with(|last| last.try_borrow().map(|last| read(&last.message)).ok())
        .ok()
        .flatten()
        .unwrap_or_else(|| read(""))
}

/// The result for an address in the last call of this thread: the code, and the line. `None` if there were
/// fewer addresses.
pub(crate) fn with_address<T>(index: usize, read: impl Fn(Connie, &str) -> T) -> Option<T> {
    let told = |last: &RefCell<LastCall>| {
        let last = last.try_borrow().ok()?;
        last.addresses.get(index).map(|(error, line)| read(*error, line))
    };
    LAST.try_with(told).ok().flatten()
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

    /// A program may set options, or save its memory, before it asks for the visit.
    #[test]
    fn a_visit_stays_until_the_next_connect() {
        let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, memory) = (server.local_addr().unwrap(), Some(connie_std::Memory::new()));
        let options = connie_std::Options::new().memory(memory);
        let (_, visit) = crate::call_error::connect(address.into(), address.port(), &options).unwrap();
        assert_eq!(record_connect(Ok(visit)), 0);
        assert_eq!((record(Err(CallError::invalid("no"))), record(Ok(()))), (-1, 0));
        assert!(last_visit().is_some());
        assert_eq!(record_connect(Err(CallError::invalid("no"))), -1);
        assert!(last_visit().is_none() && with_last(str::len) == 2);
    }

    #[test]
    fn a_success_forgets_the_failure_before() {
        assert_eq!(record(Err(CallError::invalid("no"))), -1);
        assert_eq!(with_last(str::len), 2);
        assert_eq!(record(Ok(())), 0);
        assert_eq!(with_last(str::len), 0);
    }
}
