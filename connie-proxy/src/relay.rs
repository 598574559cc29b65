//! Moves bytes between two connections until both directions have ended.

use std::cell::Cell;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::io::{AsyncWrite as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::moved::Moved;
use crate::shortcut::{Lost, Moving, Shortcut};

/// How much is moved at once through memory.
const PIECE: usize = 64 * 1024;
/// How much a direction moves in that way before it may take a pipe: small connections hold none.
const SMALL: u64 = 128 * 1024;
/// What a server sent before it reset the connection is passed on until the client has taken nothing for this
/// long.
const LAST_WORDS: Duration = Duration::from_secs(2);

thread_local! {
    /// This thread's buffer, which its connections use in turn: none holds it while it waits.
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

/// Moves bytes in both directions, `early` to the server first. When one direction is closed the other goes
/// on. Neither direction reads more than the other side has taken. `on_answer` is called when the server's
/// first bytes have come.
pub(crate) async fn relay(
    (client, early): (&mut TcpStream, &[u8]),
    server: &mut TcpStream,
    (moved, shortcut): (&Moved, &Shortcut),
    (idle, half_closed): (Duration, Duration),
    on_answer: impl FnOnce(),
) -> RelayEnd {
    let (client_read, mut client_write) = client.split();
    let (server_read, mut server_write) = server.split();
    let is_broken = AtomicBool::new(false);
    let mut up = pin!(async {
        server_write.write_all(early).await.map_err(|_| Lost::Sink)?;
        if !early.is_empty() {
            moved.note_sent(early.len());
        }
        let note = |count| moved.note_sent(count);
        let ended = one_way(client_read, &mut server_write, shortcut, note, &is_broken).await;
        moved.note_client_end();
        ended
    });
    let mut on_answer = Some(on_answer);
    let note = |count| {
        moved.note_received(count);
        if let Some(on_answer) = on_answer.take() {
            on_answer();
        }
    };
    let mut down = pin!(one_way(server_read, &mut client_write, shortcut, note, &is_broken));
    let (up_ended, first) = tokio::select! {
        result = &mut up => (true, result),
        result = &mut down => (false, result),
        () = moved.silent(idle) => return RelayEnd::Idle,
    };
    let end = |is_up, result| match (is_up, result) {
        (_, Ok(())) => None,
        (true, Err(Lost::Source)) | (false, Err(Lost::Sink)) => Some(RelayEnd::ClientLost),
        _ => Some(RelayEnd::ServerLost),
    };
    if let Some(end) = end(up_ended, first) {
        if up_ended && end == RelayEnd::ServerLost {
            // The server may have answered before the request was whole, and then reset the connection. The
            // end of that answer can no longer be told from an orderly close.
            is_broken.store(true, Ordering::Relaxed);
            tokio::select! {
                _ = &mut down => {}
                () = moved.silent(LAST_WORDS) => {}
            }
        }
        return end;
    }
    let second = tokio::select! {
        result = &mut up, if !up_ended => result,
        result = &mut down, if up_ended => result,
        () = moved.silent(half_closed) => return RelayEnd::Idle,
    };
    end(!up_ended, second).unwrap_or(RelayEnd::Closed { by_server: !up_ended })
}

/// Moves bytes until `from` has ended, and passes the end on unless the connection `is_broken`. `note` is
/// called with how many bytes were read into memory, or have left a pipe.
async fn one_way(
    from: ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    shortcut: &Shortcut,
    mut note: impl FnMut(usize),
    is_broken: &AtomicBool,
) -> Result<(), Lost> {
    let mut copied = 0_u64;
    loop {
        from.readable().await.map_err(|_| Lost::Source)?;
        let moving = match copied {
            SMALL.. => shortcut.carry(from.as_ref(), to.as_ref(), &mut note).await?,
            _ => Moving::Unsuitable,
        };
        if matches!(moving, Moving::GoesOn) {
            continue;
        }
        match copy(&from, to, &mut note).await? {
            Some(count) => copied = copied.saturating_add(count as u64),
            None if is_broken.load(Ordering::Relaxed) => return Ok(()),
            None => return to.shutdown().await.map_err(|_| Lost::Sink),
        }
    }
}

/// Moves a piece through memory, if there is one. `None` where `from` has ended.
async fn copy(
    from: &ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    note: &mut impl FnMut(usize),
) -> Result<Option<usize>, Lost> {
    let mut buffer = SPARE.take();
    buffer.clear();
    buffer.reserve_exact(PIECE);
    let read = from.try_read_buf(&mut buffer);
    let rest = match read {
        Ok(count @ 1..) => {
            note(count);
            put(to, &buffer).await
        }
        _ => Ok(Vec::new()),
    };
    SPARE.set(buffer);
    let rest = rest?;
    if !rest.is_empty() {
        to.write_all(&rest).await.map_err(|_| Lost::Sink)?;
        // Not before now has everything gone: the time of the last byte is set anew.
        note(0);
    }
    match read {
        Ok(0) => Ok(None),
        Ok(count) => Ok(Some(count)),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(Some(0)),
        Err(_) => Err(Lost::Source),
    }
}

/// Writes what `to` takes at once, and returns the rest in a buffer of that size. Never waits.
async fn put(to: &mut WriteHalf<'_>, bytes: &[u8]) -> Result<Vec<u8>, Lost> {
    // A poll, unlike try_write, counts against this task's budget, so that other tasks get their turn.
    let polled = poll_fn(|context| Poll::Ready(Pin::new(&mut *to).poll_write(context, bytes))).await;
    let taken = match polled {
        Poll::Ready(Ok(0) | Err(_)) => return Err(Lost::Sink),
        Poll::Ready(Ok(count)) => count,
        Poll::Pending => 0,
    };
    Ok(bytes.get(taken..).unwrap_or_default().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (one, two) = tokio::join!(TcpStream::connect(listener.local_addr().unwrap()), listener.accept());
        (one.unwrap(), two.unwrap().0)
    }

    #[tokio::test]
    async fn what_waits_for_its_sink_holds_no_large_buffer() {
        const SHORT: Duration = Duration::from_millis(100);
        let ((mut near, mut from), (mut to, mut far)) = (pair().await, pair().await);
        let mut filled = 0;
        while timeout(SHORT, to.writable()).await.is_ok() {
            filled += to.try_write(&[b'x'; PIECE]).unwrap_or(0);
        }
        near.write_all(b"last").await.unwrap();
        from.readable().await.unwrap();
        let (read, mut write) = (from.split().0, to.split().1);
        let mut noted = Vec::new();
        let mut note = |count| noted.push(count);
        let mut copying = Box::pin(copy(&read, &mut write, &mut note));
        assert!(timeout(SHORT, &mut copying).await.is_err(), "it takes nothing");
        let spare = SPARE.take();
        assert!(spare.capacity() >= PIECE, "the buffer is there for others: {}", spare.capacity());
        let mut all = vec![0; filled + 4];
        let (copied, arrived) = tokio::join!(copying, far.read_exact(&mut all));
        assert!(matches!(copied, Ok(Some(4))) && arrived.is_ok() && all.ends_with(b"xlast"));
        assert_eq!(noted, [4, 0]);
    }
}
