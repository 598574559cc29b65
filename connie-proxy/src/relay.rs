//! Moves bytes between two connections until both directions have ended.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::time::sleep;

/// How much is moved at once.
const PIECE: usize = 32 * 1024;

thread_local! {
    /// A buffer of this thread's that nobody uses. A connection has one only while bytes are in it, so that
    /// one that is idle holds no memory for them.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// How a relay ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RelayEnd {
    /// Both sides have closed in order.
    Closed {
        /// Whether the server was the first.
        by_server: bool,
    },
    /// Nothing moved for too long.
    Idle,
    /// The connection to the client broke.
    ClientLost,
    /// The connection to the server broke.
    ServerLost,
}

/// What was moved so far.
#[derive(Debug, Default)]
pub(crate) struct Moved {
    /// To the server.
    pub(crate) sent: AtomicU64,
    /// From the server.
    pub(crate) received: AtomicU64,
}

impl Moved {
    /// Whether the server was sent something, and has sent nothing.
    pub(crate) fn has_no_answer(&self) -> bool {
        self.sent.load(Ordering::Relaxed) > 0 && self.received.load(Ordering::Relaxed) == 0
    }

    fn total(&self) -> u64 {
        self.sent.load(Ordering::Relaxed).wrapping_add(self.received.load(Ordering::Relaxed))
    }
}

/// Which side a direction has failed on.
enum Lost {
    Source,
    Sink,
}

/// Moves bytes in both directions. Where one is closed the other goes on. Neither direction reads more than
/// the other side has taken. `on_answer` is called when the server's first bytes have come.
pub(crate) async fn relay(
    client: &mut TcpStream,
    server: &mut TcpStream,
    moved: &Moved,
    (idle, half_closed): (Duration, Duration),
    on_answer: impl FnOnce(),
) -> RelayEnd {
    let (client_read, client_write) = client.split();
    let (server_read, server_write) = server.split();
    let mut up = pin!(one_way(client_read, server_write, &moved.sent, || ()));
    let mut down = pin!(one_way(server_read, client_write, &moved.received, on_answer));
    let (up_ended, first) = tokio::select! {
        result = &mut up => (true, result),
        result = &mut down => (false, result),
        () = silence(moved, idle) => return RelayEnd::Idle,
    };
    let end = |is_up, result| match (is_up, result) {
        (_, Ok(())) => None,
        (true, Err(Lost::Source)) | (false, Err(Lost::Sink)) => Some(RelayEnd::ClientLost),
        _ => Some(RelayEnd::ServerLost),
    };
    if let Some(end) = end(up_ended, first) {
        return end;
    }
    let second = tokio::select! {
        result = &mut up, if !up_ended => result,
        result = &mut down, if up_ended => result,
        () = silence(moved, half_closed) => return RelayEnd::Idle,
    };
    end(!up_ended, second).unwrap_or(RelayEnd::Closed { by_server: !up_ended })
}

/// Ends when nothing has moved for this time, and before twice that.
pub(crate) async fn silence(moved: &Moved, time: Duration) {
    loop {
        let before = moved.total();
        sleep(time).await;
        if moved.total() == before {
            return;
        }
    }
}

/// Whichever ends first; `None` where it is the silence.
pub(crate) async fn unless_silent<T>(
    moved: &Moved,
    time: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        done = work => Some(done),
        () = silence(moved, time) => None,
    }
}

/// Moves bytes until `from` has ended, which it passes on.
async fn one_way(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    count: &AtomicU64,
    on_first: impl FnOnce(),
) -> Result<(), Lost> {
    let mut on_first = Some(on_first);
    loop {
        from.readable().await.map_err(|_| Lost::Source)?;
        let mut buffer = SPARE.take();
        buffer.clear();
        buffer.reserve_exact(PIECE);
        match from.try_read_buf(&mut buffer) {
            Ok(0) => {
                SPARE.set(buffer);
                return to.shutdown().await.map_err(|_| Lost::Sink);
            }
            Ok(length) => {
                if let Some(on_first) = on_first.take() {
                    on_first();
                }
                to.write_all(&buffer).await.map_err(|_| Lost::Sink)?;
                count.fetch_add(length as u64, Ordering::Relaxed);
                SPARE.set(buffer);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => SPARE.set(buffer),
            Err(_) => return Err(Lost::Source),
        }
    }
}
