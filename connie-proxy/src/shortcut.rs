//! The way through a pipe, which copies nothing, where the system has one.

use tokio::net::TcpStream;

/// Which side a direction has failed on.
pub(crate) enum Lost {
    Source,
    Sink,
}

/// What came of moving what a socket had.
pub(crate) enum Moving {
    /// A good deal has moved, and there may be more.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is no such way"))]
    GoesOn,
    /// Nothing more goes this way, or nothing goes this way now. A plain read says what there is.
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
                match from.try_io(Interest::READABLE, || filled(pipe.fill(from))) {
                    // Neither is the end, nor a lack of bytes: splice stops so before an urgent one (RFC 9293
                    // section 3.8.5), too, and recv goes past that.
                    Ok(None | Some(0)) => return Ok(Moving::Unsuitable),
                    Ok(Some(_)) => empty(&mut pipe, to, note).await?,
                    Err(error) if is_unsuitable(&error) => return Ok(Moving::Unsuitable),
                    // It was known already that there is nothing.
                    Err(error) if error.kind() == WouldBlock => return Ok(Moving::GoesOn),
                    Err(_) => return Err(Lost::Source),
                }
            }
            drop(pipe);
            yield_now().await;
            Ok(Moving::GoesOn)
        }
    }

    /// `None` where it would block. As an error that would count as a proof that there is nothing to be read.
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
                // It would come to no end.
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
