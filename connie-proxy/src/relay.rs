//! Moves bytes between two connections until both directions have ended.

use std::cell::Cell;
use std::io;
use std::pin::pin;
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

use crate::moved::Moved;
use crate::shortcut::{Lost, Moving, Shortcut};

/// How much is moved at once through memory.
const PIECE: usize = 64 * 1024;
/// What a direction has moved so before it may take a pipe: small connections hold none.
const SMALL: u64 = 128 * 1024;

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

/// Moves bytes in both directions, `early` to the server first. Where one is closed the other goes on.
/// Neither direction reads more than the other side has taken. `on_answer` is called when the server's first
/// bytes have come.
pub(crate) async fn relay(
    (client, early): (&mut TcpStream, &[u8]),
    server: &mut TcpStream,
    (moved, shortcut): (&Moved, &Shortcut),
    (idle, half_closed): (Duration, Duration),
    on_answer: impl FnOnce(),
) -> RelayEnd {
    let (client_read, client_write) = client.split();
    let (server_read, mut server_write) = server.split();
    let mut up = pin!(async {
        server_write.write_all(early).await.map_err(|_| Lost::Sink)?;
        if !early.is_empty() {
            moved.note_sent(early.len());
        }
        let ended = one_way(client_read, server_write, shortcut, |count| moved.note_sent(count)).await;
        moved.note_client_end();
        ended
    });
    let mut on_answer = Some(on_answer);
    let mut down = pin!(one_way(server_read, client_write, shortcut, |count| {
        moved.note_received(count);
        if let Some(on_answer) = on_answer.take() {
            on_answer();
        }
    }));
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
        return end;
    }
    let second = tokio::select! {
        result = &mut up, if !up_ended => result,
        result = &mut down, if up_ended => result,
        () = moved.silent(half_closed) => return RelayEnd::Idle,
    };
    end(!up_ended, second).unwrap_or(RelayEnd::Closed { by_server: !up_ended })
}

/// Moves bytes until `from` has ended, which it passes on. `note` is told of what is on its way: of what was
/// read into memory, and of what left a pipe.
async fn one_way(
    from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    shortcut: &Shortcut,
    mut note: impl FnMut(usize),
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
        match copy(&from, &mut to, &mut note).await? {
            Some(count) => copied = copied.saturating_add(count as u64),
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
    let count = match from.try_read_buf(&mut buffer) {
        Ok(0) => None,
        Ok(count) => {
            note(count);
            to.write_all(&buffer).await.map_err(|_| Lost::Sink)?;
            Some(count)
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Some(0),
        Err(_) => return Err(Lost::Source),
    };
    SPARE.set(buffer);
    Ok(count)
}
