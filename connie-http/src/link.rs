//! A connected socket with the stack, the clock and the time limits that go with it.

use core::time::Duration;

use connie_core::embedded_nal::{TcpClientStack, TcpError, TcpErrorKind, nb};

use crate::error::HttpError;
use connie_core::AttemptErrorKind;
use connie_core::Instant;
use connie_core::{Interest, PollEntry, PollResult, Poller, RaceStack};

/// A poller lent to a connection whose stack is lent as well: `&mut S` needs a `Poller<&mut S>`, and this is
/// one.
#[derive(Debug)]
pub struct ByRef<'a, W: ?Sized>(pub &'a mut W);

impl<S: TcpClientStack, W: Poller<S> + ?Sized> Poller<&mut S> for ByRef<'_, W> {
    fn now(&mut self) -> Instant {
        self.0.now()
    }

    fn wait(
        &mut self,
        stack: &mut &mut S,
        sockets: &mut [PollEntry<'_, S::TcpSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        self.0.wait(stack, sockets, until)
    }
}

/// Owns the socket, and releases it exactly once: on request, or when dropped.
#[derive(Debug)]
pub(crate) struct Link<S: RaceStack, W> {
    pub(crate) stack: S,
    pub(crate) poller: W,
    socket: Option<S::TcpSocket>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) deadline: Option<Instant>,
    /// Whether the peer is still sending what nobody will read, so that only a reset stops it.
    pub(crate) unread: bool,
}

impl<S: RaceStack, W> Link<S, W> {
    pub(crate) fn new(stack: S, poller: W, socket: Option<S::TcpSocket>) -> Self {
        Link { stack, poller, socket, timeout: None, deadline: None, unread: false }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.socket.is_some()
    }

    /// Takes over `socket`; one that it had is released.
    pub(crate) fn attach(&mut self, socket: S::TcpSocket) {
        self.release();
        self.socket = Some(socket);
    }

    /// The socket with what it belongs to, while there is one.
    pub(crate) fn parts(&mut self) -> Option<(&mut S, &mut W, &mut S::TcpSocket)> {
        Some((&mut self.stack, &mut self.poller, self.socket.as_mut()?))
    }

    /// Hands the socket over to the caller, who must close it.
    pub(crate) fn take(&mut self) -> Option<S::TcpSocket> {
        self.socket.take()
    }

    /// Closes the connection in good order, or resets it where the peer is still sending.
    pub(crate) fn release(&mut self) {
        if core::mem::take(&mut self.unread) {
            self.abort();
        } else if let Some(socket) = self.socket.take() {
            // Nothing can be done about an error: the socket is gone.
            let _ = self.stack.close(socket);
        }
    }

    /// Ends the connection at once.
    pub(crate) fn abort(&mut self) {
        if let Some(socket) = self.socket.take() {
            self.stack.abort(socket);
        }
    }

    /// Receives without waiting. `Ok(0)`: the peer has closed its side.
    pub(crate) fn try_receive(&mut self, into: &mut [u8]) -> nb::Result<usize, HttpError> {
        let socket = self.socket.as_mut().ok_or(HttpError::NotConnected)?;
        match self.stack.receive(socket, into) {
            Ok(count) => Ok(count.min(into.len())),
            Err(nb::Error::WouldBlock) => Err(nb::Error::WouldBlock),
            Err(nb::Error::Other(error)) if error.kind() == TcpErrorKind::PipeClosed => Ok(0),
            Err(nb::Error::Other(error)) => {
                Err(nb::Error::Other(HttpError::Receive(self.stack.attempt_error(&error))))
            }
        }
    }

    /// Sends without waiting. Never `Ok(0)`.
    pub(crate) fn try_send(&mut self, data: &[u8]) -> nb::Result<usize, HttpError> {
        let socket = self.socket.as_mut().ok_or(HttpError::NotConnected)?;
        match self.stack.send(socket, data) {
            Ok(0) | Err(nb::Error::WouldBlock) => Err(nb::Error::WouldBlock),
            Ok(count) => Ok(count.min(data.len())),
            Err(nb::Error::Other(error)) => {
                let reason = match error.kind() {
                    TcpErrorKind::PipeClosed => AttemptErrorKind::Reset.into(),
                    _ => self.stack.attempt_error(&error),
                };
                Err(nb::Error::Other(HttpError::Send(reason)))
            }
        }
    }
}

impl<S: RaceStack, W: Poller<S>> Link<S, W> {
    /// When the operation that begins now has to be over.
    pub(crate) fn limit(&mut self) -> Result<Option<Instant>, HttpError> {
        if self.timeout.is_none() && self.deadline.is_none() {
            return Ok(None);
        }
        let now = self.poller.now();
        if self.deadline.is_some_and(|deadline| now >= deadline) {
            return Err(HttpError::TimedOut);
        }
        let end = self.timeout.map(|timeout| now + timeout);
        Ok(match (end, self.deadline) {
            (Some(end), Some(deadline)) => Some(end.min(deadline)),
            (end, deadline) => end.or(deadline),
        })
    }

    /// Waits for `interest`, until `limit` at most and `pause` at most, and says whether there may be cause
    /// to look.
    pub(crate) fn wait(
        &mut self,
        interest: Interest,
        limit: Option<Instant>,
        pause: Option<Duration>,
    ) -> Result<bool, HttpError> {
        let mut until = limit;
        if limit.is_some() || pause.is_some() {
            let now = self.poller.now();
            if limit.is_some_and(|limit| now >= limit) {
                return Err(HttpError::TimedOut);
            }
            if let Some(pause) = pause {
                until = Some(limit.map_or(now + pause, |limit| limit.min(now + pause)));
            }
        }
        let socket = self.socket.as_mut().ok_or(HttpError::NotConnected)?;
        let mut watched = [PollEntry::new(socket, interest)];
        match self.poller.wait(&mut self.stack, &mut watched, until) {
            PollResult::Look => Ok(watched.iter().any(|watched| watched.ready)),
            PollResult::Canceled => Err(HttpError::Canceled),
        }
    }

    /// Receives, waiting as long as it takes or is allowed. 0: the peer has closed its side.
    pub(crate) fn receive(&mut self, into: &mut [u8]) -> Result<usize, HttpError> {
        let limit = self.limit()?;
        loop {
            match self.try_receive(into) {
                Ok(count) => return Ok(count),
                Err(nb::Error::Other(error)) => return Err(error),
                Err(nb::Error::WouldBlock) => while !self.wait(Interest::Receive, limit, None)? {},
            }
        }
    }

    /// Sends some of `data`, waiting as long as it takes or is allowed, and returns how much.
    pub(crate) fn send(&mut self, data: &[u8]) -> Result<usize, HttpError> {
        let limit = self.limit()?;
        loop {
            match self.try_send(data) {
                Ok(count) => return Ok(count),
                Err(nb::Error::Other(error)) => return Err(error),
                Err(nb::Error::WouldBlock) => while !self.wait(Interest::Send, limit, None)? {},
            }
        }
    }
}

impl<S: RaceStack, W> Drop for Link<S, W> {
    fn drop(&mut self) {
        self.release();
    }
}
