//! The way through a pipe, which copies nothing, where the system has one.

use tokio::net::TcpStream;

/// Which side a direction has failed on.
pub(crate) enum Lost {
    Source,
    Sink,
}

/// What came of moving what a socket had.
pub(crate) enum Moving {
    /// All that there was, or a good deal of it, has moved.
    GoesOn,
    /// The source has ended.
    Ended,
    /// There is no such way, or not now. Nothing has moved.
    Unsuitable,
}

pub(crate) use system::Shortcut;

#[cfg(target_os = "linux")]
mod system {
    use std::io;

    use tokio::io::Interest;
    use tokio::task::yield_now;

    use super::{Lost, Moving, TcpStream};
    use crate::pipes::{PipePool, TakenPipe, is_unsuitable};

    /// How often a pipe is filled before others have their turn.
    const TURNS: usize = 16;

    pub(crate) struct Shortcut(PipePool);

    impl Shortcut {
        /// One of so many pipes.
        pub(crate) fn new(pipes: usize) -> Self {
            Shortcut(PipePool::new(pipes))
        }

        /// Moves what `from` has, and waits until `to` has taken it. Only meanwhile it holds a pipe.
        pub(crate) async fn carry(
            &self,
            from: &TcpStream,
            to: &TcpStream,
            note: &mut impl FnMut(usize),
        ) -> Result<Moving, Lost> {
            let Some(mut pipe) = self.0.take() else { return Ok(Moving::Unsuitable) };
            for _ in 0..TURNS {
                match from.try_io(Interest::READABLE, || pipe.fill(from)) {
                    Ok(0) => return Ok(Moving::Ended),
                    Ok(_) => empty(&mut pipe, to, note).await?,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Moving::GoesOn),
                    Err(error) if is_unsuitable(&error) => return Ok(Moving::Unsuitable),
                    Err(_) => return Err(Lost::Source),
                }
            }
            drop(pipe);
            yield_now().await;
            Ok(Moving::GoesOn)
        }
    }

    async fn empty(
        pipe: &mut TakenPipe<'_>,
        to: &TcpStream,
        note: &mut impl FnMut(usize),
    ) -> Result<(), Lost> {
        while pipe.held() > 0 {
            match to.try_io(Interest::WRITABLE, || pipe.drain(to)) {
                // It would come to no end.
                Ok(0) => return Err(Lost::Sink),
                Ok(count) => note(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
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
