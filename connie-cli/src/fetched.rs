//! What is known of a transfer: its answer, and the way that it took.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use connie_core::Instant;
use connie_std::http1::OpeningRecord;

use crate::exchange::ResponseHead;

/// What is known of the answer.
#[derive(Debug, Default)]
pub struct Fetched {
    pub status: Option<u16>,
    pub reason: String,
    /// Bytes of the body that have come.
    pub body: u64,
    pub redirects: u32,
    /// Where the last request went.
    pub url: String,
    /// The way there, for `-w`.
    pub trace: Trace,
}

/// What is known of the way that a transfer took, all times from its start.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    /// How many connections were opened for it.
    pub connects: u32,
    /// Where the last one leads.
    pub peer: Option<SocketAddr>,
    /// When the first address was known, TCP was up and TLS was, of the last connection that was opened. When
    /// the race ends with the TLS handshake, the moment at which TCP connected is not known: both are then
    /// the same.
    pub resolved: Duration,
    pub connected: Duration,
    pub secured: Duration,
    /// When the last request began to go out, and its answer's head was there.
    pub sent: Duration,
    pub answered: Duration,
    /// When the last request of a chain of redirects was up.
    pub redirected: Duration,
    /// When all was over.
    pub ended: Duration,
    /// The bytes of all heads, and of the last body, as they came.
    pub heads: u64,
    pub received: u64,
    /// The bytes of the last request's body that were sent.
    pub uploaded: u64,
    pub method: String,
    /// `1.1` or `1.0`.
    pub version: Option<&'static str>,
    /// Of the last answer.
    pub headers: usize,
    pub content_type: Option<String>,
    /// Where a redirect leads that was not followed.
    pub redirect: Option<String>,
    /// The file that the body went to.
    pub file: Option<PathBuf>,
}

impl Trace {
    /// A connection was opened; `at` is when a moment of its clock was by that of the transfer.
    pub fn opened(&mut self, opening: &OpeningRecord, at: impl Fn(Instant) -> Duration) {
        let Some(ready) = opening.ready.map(&at) else { return };
        let resolved = opening.report.as_ref().and_then(|report| report.timeline().summary().resolved);
        self.connects += 1;
        self.connected = opening.connected.map_or(ready, &at);
        self.resolved =
            resolved.map_or(self.connected, |resolved| (at(opening.began) + resolved).min(self.connected));
        self.secured = if opening.tls_version.is_some() { ready } else { Duration::ZERO };
        // A request that found its connection closed went out on the new one.
        self.sent = self.sent.max(ready);
    }

    /// An answer's head has come from `peer`.
    pub fn answered(&mut self, now: Duration, peer: Option<SocketAddr>, answer: &ResponseHead) {
        self.answered = now;
        self.peer = peer;
        self.heads += answer.raw.len() as u64;
        self.headers = answer.fields();
        self.version = Some(answer.version());
        let media_type = answer.header("content-type");
        self.content_type = media_type.map(|value| String::from_utf8_lossy(value).into_owned());
    }
}
