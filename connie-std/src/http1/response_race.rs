//! The finish line `Response`: how it is set, and what is known of a race to it.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use connie_core::Instant;
use connie_http::{DEFAULT_RESPONSE_PATIENCE, HttpError, RetryBucket};

use crate::error::ConnectError;

/// The finish line `Response`: the race for a connection goes on until the first byte of an answer.
///
/// A server that completes its handshakes and then says nothing has won the race all the same. With this the
/// request is sent to another address as well, when the first has been silent for longer than this host's
/// answers take; or at once, where the first connection was lost. The first to answer is kept, and the other
/// connection is reset. It is one request more at most, for GET, HEAD and OPTIONS alone unless
/// [`any_method`](Self::any_method) says otherwise, and never for a body that goes out in pieces, CONNECT, an
/// upgrade, a request that expects a 100, or through a tunnel. [`connie_http::ResponseRace`] has the rules.
///
/// ```no_run
/// use connie_std::http1::{HttpsConnection, ResponseFinish};
///
/// let mut connection = HttpsConnection::new("example.org", 443)?;
/// connection.set_response_finish(Some(ResponseFinish::new()));
/// connection.request("GET", "/", &[], b"")?;
/// println!("{}", connection.response()?.status());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct ResponseFinish {
    patience: Option<Duration>,
    warm_spare: bool,
    any_method: bool,
    retries: RetryBudget,
}

impl ResponseFinish {
    /// With the patience that the memory gives, without a warm spare, and with a budget of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How long the first connection has for the first byte. Default: twice what the host's answers take, as
    /// far as the [memory](crate::Options::memory) knows that, at least 300 ms and at most ten seconds; one
    /// second where it does not; and never less than two handshakes with the address take.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Whether a second connection is opened as soon as the request is sent, to be ready when it is called
    /// for. It is closed at the first byte of the answer. Default: no.
    #[must_use]
    pub fn warm_spare(mut self, warm_spare: bool) -> Self {
        self.warm_spare = warm_spare;
        self
    }

    /// Whether requests with any method, and with a body that is sent in one call, may be sent to two
    /// servers: the caller knows that it does no harm. Default: no.
    #[must_use]
    pub fn any_method(mut self, any_method: bool) -> Self {
        self.any_method = any_method;
        self
    }

    /// What pays for requests more. Connections that are given the same one share it.
    #[must_use]
    pub fn retries(mut self, retries: RetryBudget) -> Self {
        self.retries = retries;
        self
    }

    pub(super) fn budget(&self) -> &RetryBudget {
        &self.retries
    }

    pub(super) fn has_warm_spare(&self) -> bool {
        self.warm_spare
    }

    pub(super) fn allows(&self, method: &str) -> bool {
        self.any_method || connie_http::is_safe_to_race(method)
    }

    pub(super) fn allows_bodies(&self) -> bool {
        self.any_method
    }

    /// The patience with a host whose answers take as long as `known`, at an address whose handshake took as
    /// long as `handshake`.
    pub(super) fn patience_with(&self, known: Option<Duration>, handshake: Duration) -> Duration {
        // No packet that was lost and is sent again is taken for silence: the kernel's first time-out is
        // 200 ms and more.
        const LEAST: Duration = Duration::from_millis(300);
        // A host with one very slow page does not make a person wait for minutes behind a dead back end.
        const MOST: Duration = Duration::from_secs(10);
        let usual =
            known.map_or(DEFAULT_RESPONSE_PATIENCE, |measure| measure.saturating_mul(2).clamp(LEAST, MOST));
        // No answer comes sooner than a round trip, and this address may be farther away than those that have
        // answered.
        self.patience.unwrap_or_else(|| usual.max(handshake.saturating_mul(2)))
    }
}

/// What pays for requests more: a tenth of one for each request, and three at most. A clone is the same one.
#[derive(Clone, Default)]
pub struct RetryBudget(Arc<Mutex<RetryBucket>>);

impl RetryBudget {
    /// A full one.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests more it pays for now.
    #[must_use]
    pub fn available(&self) -> u8 {
        self.lock().available()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, RetryBucket> {
        // It is whole after each call.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for RetryBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RetryBudget").field(&self.available()).finish()
    }
}

/// What is known of a race to the first byte of an answer. Its moments are those of
/// [`Client::now`](super::Client::now).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ResponseRecord {
    /// The address that was sent the request first.
    pub first: SocketAddr,
    /// When that was.
    pub sent: Instant,
    /// How long it had for the first byte.
    pub patience: Duration,
    /// How the first connection ended before that byte, where it did.
    pub first_error: Option<HttpError>,
    /// The second connection, where it was called for and there was another address; `None` too where the
    /// first answered while it was being opened.
    pub second: Option<SecondRecord>,
    /// The address that the answer comes from; `None` where there is none.
    pub kept: Option<SocketAddr>,
    /// When its first byte came.
    pub first_byte: Option<Instant>,
}

/// What is known of a second connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SecondRecord {
    /// When it was begun to open it.
    pub began: Instant,
    /// Where it leads; `None` where it could not be opened.
    pub address: Option<SocketAddr>,
    /// When it was sent the request.
    pub sent: Option<Instant>,
    /// How it ended before the first byte, where it did.
    pub error: Option<HttpError>,
}

impl ResponseRecord {
    /// How many servers were sent the request.
    #[must_use]
    pub fn requests(&self) -> u32 {
        1 + u32::from(self.second.as_ref().is_some_and(|second| second.sent.is_some()))
    }
}

/// What an address did that was sent a request: `{}` is a few words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Silence(HttpError);

impl fmt::Display for Silence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            HttpError::TimedOut => f.write_str("silent until time was up"),
            HttpError::EmptyReply => f.write_str("closed the connection without an answer"),
            HttpError::Send(error) | HttpError::Receive(error) => error.fmt(f),
            error => error.fmt(f),
        }
    }
}

/// Two addresses were tried for one request, and neither has answered.
#[derive(Debug)]
pub struct NoResponse {
    first: (SocketAddr, HttpError),
    second: SecondFailure,
}

#[derive(Debug)]
enum SecondFailure {
    Asked(SocketAddr, HttpError),
    NotConnected(Box<ConnectError>),
}

impl NoResponse {
    pub(super) fn asked(first: (SocketAddr, HttpError), second: (SocketAddr, HttpError)) -> Self {
        NoResponse { first, second: SecondFailure::Asked(second.0, second.1) }
    }

    pub(super) fn not_connected(first: (SocketAddr, HttpError), error: Box<ConnectError>) -> Self {
        NoResponse { first, second: SecondFailure::NotConnected(error) }
    }

    /// The address that was asked first, and what became of it.
    #[must_use]
    pub fn first(&self) -> (SocketAddr, HttpError) {
        self.first
    }

    /// The address that was asked as well, and what became of it; `None` where no connection to another could
    /// be opened.
    #[must_use]
    pub fn second(&self) -> Option<(SocketAddr, HttpError)> {
        match &self.second {
            SecondFailure::Asked(address, error) => Some((*address, *error)),
            SecondFailure::NotConnected(_) => None,
        }
    }

    /// The error that stands for both: time that was up before all else.
    #[must_use]
    pub fn error(&self) -> &HttpError {
        match &self.second {
            SecondFailure::Asked(_, error @ HttpError::TimedOut) => error,
            _ => &self.first.1,
        }
    }
}

impl fmt::Display for NoResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, error) = self.first;
        write!(f, "no answer from two addresses: {first}: {}; ", Silence(error))?;
        match &self.second {
            SecondFailure::Asked(second, error) => write!(f, "{second}: {}", Silence(*error)),
            SecondFailure::NotConnected(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for NoResponse {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_what_was_learnt_twice_and_never_less_than_a_retransmission_takes() {
        let finish = ResponseFinish::new();
        let millis = Duration::from_millis;
        assert_eq!(finish.patience_with(None, millis(0)), millis(1_000));
        for (handshake, patience) in [(0, 1_000), (500, 1_000), (501, 1_002), (900, 1_800)] {
            assert_eq!(finish.patience_with(None, millis(handshake)), millis(patience), "{handshake}");
        }
        assert_eq!(finish.patience_with(Some(millis(40)), millis(400)), millis(800), "a farther address");
        let pairs = [(0, 300), (149, 300), (150, 300), (151, 302), (3_400, 6_800)];
        let long = [(4_999, 9_998), (5_000, 10_000), (5_001, 10_000), (60_000, 10_000)];
        for (measure, patience) in pairs.into_iter().chain(long) {
            assert_eq!(finish.patience_with(Some(millis(measure)), millis(0)), millis(patience), "{measure}");
        }
        assert_eq!(finish.patience(millis(5)).patience_with(Some(millis(900)), millis(900)), millis(5));
    }

    #[test]
    fn methods_are_raced_that_are_safe_or_that_the_caller_vouches_for() {
        let finish = ResponseFinish::new();
        for method in ["GET", "HEAD", "OPTIONS"] {
            assert!(finish.allows(method), "{method}");
        }
        for method in ["POST", "PUT", "DELETE", "PATCH", "TRACE", "CONNECT", "get", "PROPFIND"] {
            assert!(!finish.allows(method), "{method}");
            assert!(finish.clone().any_method(true).allows(method), "{method}");
        }
    }
}
