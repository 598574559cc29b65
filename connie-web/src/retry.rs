//! Whether and when to try again.

use std::time::{Duration, SystemTime};

/// Whether a response of this status may well be another one in a while: 408, 429, 500, 502, 503 and 504, as
/// for curl; and what is not a status code, below 100 or above 599, which is to be taken for 500 (RFC 9110
/// section 15).
#[must_use]
pub const fn is_transient_status(status: u16) -> bool {
    matches!(status, 408 | 429 | 500 | 502 | 503 | 504 | 0..100 | 600..)
}

/// How long a `Retry-After` asks to wait: seconds, or until a date (RFC 9110 section 10.2.3). `None` where it
/// is neither.
///
/// A date that has passed is no time at all. `now` is the time of day. The time is as long as the server
/// says, and be it for ages: [`Backoff::LONGEST_ASKED`] is where a client that was not told otherwise gives
/// up.
///
/// ```
/// use connie_web::retry_after;
/// use std::time::{Duration, SystemTime};
///
/// let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
/// assert_eq!(retry_after(b"120", now), Some(Duration::from_secs(120)));
/// assert_eq!(retry_after(b"Sun, 06 Nov 1994 08:49:37 GMT", now), Some(Duration::from_secs(10)));
/// ```
#[must_use]
pub fn retry_after(value: &[u8], now: SystemTime) -> Option<Duration> {
    let text = std::str::from_utf8(value).ok()?.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than the number holds are a very long time anyway.
        return Some(Duration::from_secs(text.parse().unwrap_or(u64::MAX)));
    }
    Some(http_date(text)?.duration_since(now).unwrap_or_default())
}

/// The moment that a date of HTTP names, in any of its three forms (RFC 9110 section 5.6.7). `None` where it
/// is none.
#[must_use]
pub fn http_date(text: &str) -> Option<SystemTime> {
    httpdate::parse_http_date(text.trim()).ok()
}

/// The pauses between tries: one second, then twice as long each time, ten minutes at most; or always the
/// same.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    next: Duration,
    fixed: bool,
}

impl Backoff {
    /// The first pause.
    pub const FIRST: Duration = Duration::from_secs(1);
    /// The longest pause.
    pub const LONGEST: Duration = Duration::from_secs(600);
    /// The longest pause that a server is granted where nothing else limits it: six hours. RFC 9110 section
    /// 10.2.3 has no limit; newer versions of curl cut what they are asked for down to this. A client that
    /// comes back earlier than it was asked to is of no use to the server, so that it is better not to come
    /// back.
    pub const LONGEST_ASKED: Duration = Duration::from_secs(6 * 3600);

    /// Pauses of `fixed` length, or growing ones where that is `None`.
    #[must_use]
    pub fn new(fixed: Option<Duration>) -> Self {
        Backoff { next: fixed.unwrap_or(Self::FIRST), fixed: fixed.is_some() }
    }

    /// The next pause; `asked` is what the server asks for, which counts where it is longer.
    #[must_use = "each call doubles the pause"]
    pub fn next_pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next;
        if !self.fixed {
            self.next = pause.saturating_mul(2).min(Self::LONGEST);
        }
        asked.map_or(pause, |asked| asked.max(pause))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let mut backoff = Backoff::new(None);
        let pauses: Vec<u64> = (0..12).map(|_| backoff.next_pause(None).as_secs()).collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600]);
        let mut backoff = Backoff::new(Some(Duration::from_millis(500)));
        assert_eq!([(); 3].map(|()| backoff.next_pause(None).as_millis()), [500, 500, 500]);
    }

    #[test]
    fn the_server_can_only_ask_for_longer_pauses() {
        let mut backoff = Backoff::new(None);
        let pauses = [0, 5, 1].map(|asked| backoff.next_pause(Some(Duration::from_secs(asked))).as_secs());
        assert_eq!(pauses, [1, 5, 4], "what was asked for does not change the doubling");
    }

    #[test]
    fn the_statuses_that_may_pass() {
        let transient: Vec<u16> = (100..600).filter(|status| is_transient_status(*status)).collect();
        assert_eq!(transient, [408, 429, 500, 502, 503, 504]);
        assert!((0..100).chain(600..1000).all(is_transient_status), "no status codes: as 500");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_767);
        let is = |value: &[u8], seconds: Option<u64>| {
            assert_eq!(retry_after(value, now), seconds.map(Duration::from_secs), "{value:?}");
        };
        is(b"0", Some(0));
        is(b" 7 ", Some(7));
        is(b"Sun, 06 Nov 1994 08:49:37 GMT", Some(10));
        is(b"Sunday, 06-Nov-94 08:49:37 GMT", Some(10));
        is(b"Sun Nov  6 08:49:37 1994", Some(10));
        is(b"Sat, 05 Nov 1994 08:49:37 GMT", Some(0));
        is(b"99999999999999999999", Some(u64::MAX));
        for value in [&b""[..], b"-1", b"1.5", b"soon", b"\xff", b"Sun, 99 Nov 1994 08:49:37 GMT"] {
            is(value, None);
        }
    }
}
