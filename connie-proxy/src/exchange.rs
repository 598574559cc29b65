//! Moves data between a client and its server, and tells the memory how the server fared.

use std::future::pending;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use connie_std::Report;
use connie_std::memory::Verdict;
use connie_std::tokio_net::Connected;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{timeout, timeout_at};

use crate::forward::{Forwarded, forward};
use crate::handshake::Wanted;
use crate::http_request::ForwardedRequest;
use crate::moved::Moved;
use crate::protocol::Protocol;
use crate::refusal::Refusal;
use crate::relay::{RelayEnd, relay};
use crate::reply;
use crate::shared::Shared;

/// How long a client may take to read why it is refused.
pub(crate) const FAREWELL: Duration = Duration::from_secs(2);
/// A server that owes an answer for this long has stalled, even if the client still waits. It is the longest
/// patience of connie's own requests.
const LONGEST_PATIENCE: Duration = Duration::from_secs(10);
/// A client that gives up sooner says nothing of the server. It is the patience of connie's own requests with
/// a server of which nothing is known.
const PATIENCE: Duration = Duration::from_secs(1);
/// A reset of a connection on which nothing was sent counts as a refusal only this soon. A later one means
/// that the server has lost patience with a client that keeps a connection in reserve.
const AT_ONCE: Duration = Duration::from_secs(1);
/// What a server sent before it broke off has this long to reach the client: a reset on that side discards
/// what is still on its way.
const ARRIVAL: Duration = Duration::from_secs(1);

/// Moves what there is to be moved, and reports to the memory how the server fares.
pub(crate) async fn exchange(shared: &Shared, wanted: Wanted, client: TcpStream, server: Connected) {
    let moved = Moved::new();
    let fate = Fate { moved: &moved, report: server.report().clone(), is_stalled: AtomicBool::new(false) };
    let mut sides = Sides { client, server, is_whole: false };
    let work = async {
        match &wanted.protocol {
            Protocol::Forward(request) => {
                pass_on(shared, &wanted.protocol, (request, wanted.early), &mut sides, &fate).await;
            }
            protocol => tunnel(shared, protocol, &wanted.early, &mut sides, &fate).await,
        }
    };
    tokio::select! {
        () = work => {}
        () = fate.watch() => {}
    }
    shared.counters.moved(&moved);
}

/// Both connections. If one side broke, was silent for too long, or ran out of time when the proxy was to
/// stop, both are reset: neither side takes what it has for the whole.
struct Sides {
    client: TcpStream,
    server: Connected,
    /// Whether everything has been passed on, so that they may be closed in order.
    is_whole: bool,
}

impl Drop for Sides {
    fn drop(&mut self) {
        if !self.is_whole {
            for stream in [&self.client, &*self.server] {
                let _ = stream.set_zero_linger();
            }
        }
    }
}

/// How a server fares after its handshake.
struct Fate<'a> {
    moved: &'a Moved,
    report: Report,
    is_stalled: AtomicBool,
}

impl Fate<'_> {
    /// Tells the memory, once, where the server has owed an answer for this long.
    fn look(&self, patience: Duration) {
        let has_stalled = self.moved.owed_for().is_some_and(|time| time >= patience);
        if has_stalled && !self.is_stalled.swap(true, Ordering::Relaxed) {
            self.tell(Verdict::Stalled);
        }
    }

    fn tell(&self, verdict: Verdict) {
        self.report.report_to_memory(verdict);
    }

    /// Looks when the client has closed its direction, since it may be gone, and after the longest patience,
    /// so that the next client need not wait until this one gives up. An answer that still comes takes the
    /// verdict back. Never ends.
    async fn watch(&self) {
        let late = async {
            self.moved.owed(LONGEST_PATIENCE).await;
            self.look(PATIENCE);
            pending::<()>().await;
        };
        let left = async {
            self.moved.client_end().await;
            self.look(PATIENCE);
            pending::<()>().await;
        };
        tokio::join!(late, left);
    }
}

/// One request of HTTP, and its answer.
async fn pass_on(
    shared: &Shared,
    protocol: &Protocol,
    (request, early): (&ForwardedRequest, Vec<u8>),
    sides: &mut Sides,
    fate: &Fate<'_>,
) {
    let (limits, moved) = (&shared.config.limits, fate.moved);
    let how = (shared.via.as_deref(), limits.half_closed);
    let end = tokio::select! {
        end = forward(request, early, sides.client.split(), sides.server.split(), moved, how) => Some(end),
        () = moved.silent(limits.idle) => None,
    };
    match end {
        // As for connie's HTTP clients: a 503 from an overloaded server does not count as a good answer.
        Some(Forwarded::Answered { status }) if status != 503 => fate.tell(Verdict::Good),
        Some(Forwarded::NoAnswer) => fate.tell(Verdict::Refused),
        Some(Forwarded::BrokenOff) | None => fate.look(PATIENCE),
        Some(Forwarded::Answered { .. }) => {}
    }
    sides.is_whole = matches!(end, Some(Forwarded::Answered { .. } | Forwarded::NoAnswer));
    match end {
        Some(Forwarded::Answered { .. }) => farewell(&mut sides.client).await,
        Some(Forwarded::NoAnswer) => no_answer(shared, &mut sides.client, protocol).await,
        _ => {}
    }
}

/// Whatever goes through a tunnel.
async fn tunnel(shared: &Shared, protocol: &Protocol, early: &[u8], sides: &mut Sides, fate: &Fate<'_>) {
    // A few bytes, for which there is room.
    if sides.client.write_all(&reply::connected(protocol)).await.is_err() {
        return;
    }
    let (limits, moved) = (&shared.config.limits, fate.moved);
    let good = || fate.tell(Verdict::Good);
    let times = (limits.idle, limits.half_closed);
    let Sides { client, server, .. } = sides;
    let end = relay((client, early), server, (moved, &shared.shortcut), times, good).await;
    let age = moved.age();
    match end {
        // The service behind it is not there, whether it was asked for something or not.
        RelayEnd::ServerLost if moved.received() == 0 && (moved.sent() > 0 || age < AT_ONCE) => {
            fate.tell(Verdict::Refused);
        }
        // It took what the client said, and said nothing.
        RelayEnd::Closed { by_server: true } if moved.owed_for().is_some() => {
            fate.tell(Verdict::Refused);
        }
        _ => fate.look(PATIENCE),
    }
    if end == RelayEnd::ServerLost {
        arrive(client, moved).await;
    }
    sides.is_whole = matches!(end, RelayEnd::Closed { .. });
}

/// Gives the client time to receive what was sent to it last, unless its connection breaks. What it still
/// sends is discarded.
async fn arrive(client: &mut TcpStream, moved: &Moved) {
    let Some(last) = moved.last_received_at() else { return };
    let broken = async {
        let mut room = [0; 1024];
        while client.read(&mut room).await? > 0 {}
        // It may still read.
        pending::<io::Result<()>>().await
    };
    let _ = timeout_at(last + ARRIVAL, broken).await;
}

async fn no_answer(shared: &Shared, client: &mut TcpStream, protocol: &Protocol) {
    shared.counters.refused(Refusal::Failed);
    let text = "the server gave no answer that can be passed on";
    if client.write_all(&reply::refused(protocol, Refusal::Failed, text)).await.is_ok() {
        farewell(client).await;
    }
}

/// Closes in order: what the client has still sent is read, so that no reset overtakes the answer (RFC 9112
/// section 9.6).
pub(crate) async fn farewell(client: &mut TcpStream) {
    const MOST: usize = 64 * 1024;
    let rest = async {
        client.shutdown().await?;
        let (mut room, mut seen) = ([0; 1024], 0);
        while seen < MOST {
            match client.read(&mut room).await? {
                0 => break,
                count => seen += count,
            }
        }
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, rest).await;
}
