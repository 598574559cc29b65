//! The way through a pipe, which copies nothing, where the system has one.

use tokio::net::TcpStream;

/// Which side a direction has failed on.
pub(crate) enum Lost {
    Source,
    Sink,
}

/// What came of an attempt to move data through a pipe.
pub(crate) enum Moving {
    /// The socket has been emptied for now, or enough has moved for one turn. There may be more.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no such way"))]
    GoesOn,
    /// A pipe cannot be used here, or not now. A plain read finds out why.
    Unsuitable,
}

pub(crate) use system::Shortcut;

#[cfg(target_os = "linux")]
mod system {
    use std::io::{self, ErrorKind::WouldBlock};

    use tokio::io::Interest;
    use tokio::task::yield_now;

    use super::{Lost, Moving, TcpStream};
    use crate::pipes::{PipePool, TakenPipe, is_unsuitable};

    /// How often a pipe is filled before other tasks get their turn.
    const TURNS: usize = 16;

    pub(crate) struct Shortcut(PipePool);

    impl Shortcut {
        /// One with at most this many pipes.
        pub(crate) fn new(pipes: usize) -> Self {
            Shortcut(PipePool::new(pipes))
        }

        /// Moves what `from` has, and waits until `to` has taken it. It holds a pipe only for that time.
        pub(crate) async fn carry(
            &self,
            from: &TcpStream,
            to: &TcpStream,
            note: &mut impl FnMut(usize),
        ) -> Result<Moving, Lost> {
            let Some(mut pipe) = self.0.take() else { return Ok(Moving::Unsuitable) };
            for _ in 0..TURNS {
                match from.try_io(Interest::READABLE, || filled(pipe.fill(from))) {
                    // Neither proves that the connection has ended or has no data: splice also returns these
                    // before an urgent octet (RFC 9293 section 3.8.5), which recv skips.
                    Ok(None | Some(0)) => return Ok(Moving::Unsuitable),
                    Ok(Some(_)) => empty(&mut pipe, to, note).await?,
                    Err(error) if is_unsuitable(&error) => return Ok(Moving::Unsuitable),
                    // tokio knew already that there is nothing to be read.
                    Err(error) if error.kind() == WouldBlock => return Ok(Moving::GoesOn),
                    Err(_) => return Err(Lost::Source),
                }
            }
            drop(pipe);
            yield_now().await;
            Ok(Moving::GoesOn)
        }
    }

    /// `None` where it would block. Passed on as an error, that would tell tokio that there is nothing to be
    /// read.
    fn filled(result: io::Result<usize>) -> io::Result<Option<usize>> {
        match result {
            Err(error) if error.kind() == WouldBlock => Ok(None),
            other => other.map(Some),
        }
    }

    async fn empty(
        pipe: &mut TakenPipe<'_>,
        to: &TcpStream,
        note: &mut impl FnMut(usize),
    ) -> Result<(), Lost> {
        while pipe.held() > 0 {
            match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
                // Otherwise this would never end.
                Ok(0) => return Err(Lost::Sink),
                Ok(count) => note(count),
                Err(error) if error.kind() == WouldBlock => {
                    to.writable().await.map_err(|_| Lost::Sink)?;
                }
                Err(_) => return Err(Lost::Sink),
            }
        }
        Ok(())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::future::ready;

    use super::{Lost, Moving, TcpStream};

    pub(crate) struct Shortcut;

    impl Shortcut {
        pub(crate) fn new(_pipes: usize) -> Self {
            Shortcut
        }

        pub(crate) fn carry(
            &self,
            _from: &TcpStream,
            _to: &TcpStream,
            _note: &mut impl FnMut(usize),
        ) -> impl Future<Output = Result<Moving, Lost>> + Send {
            ready(Ok(Moving::Unsuitable))
        }
    }
}
