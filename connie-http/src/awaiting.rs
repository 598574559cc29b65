//! What the driver of a [`ResponseRace`](crate::ResponseRace) needs of a connection between a request and the
//! first byte of its answer: to look for that byte, to send the same request over another socket, and to go
//! on over whichever socket answers.

use connie_core::embedded_nal::nb;
use connie_core::{Instant, Poller, RaceStack};

use crate::connection::HttpConnection;
use crate::error::HttpError;
use crate::open_connection::OpenConnection;
use crate::request::{RequestBody, RequestKind};
use crate::syntax::copy;

impl<S, W, B, O> HttpConnection<S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// The last request as it was sent, head and body, where it can be sent over another socket too: it is
    /// complete, all of it is still in the buffer, it was sent once, and not a byte of an answer has been
    /// received. `body` is the length of the body, which the caller knows.
    ///
    /// `None` otherwise, and always for a request that a second server must not see: CONNECT, one that asks
    /// for another protocol (RFC 9110 section 7.8) or for a 100 before its body, and any through a
    /// [tunnel](Self::set_tunnel). Whether the method allows it is the caller's decision.
    #[must_use]
    pub fn sent_request(&self, body: usize) -> Option<&[u8]> {
        let is_plain = self.exchange.may_be_shared() && self.exchange.kind() != RequestKind::Connect;
        if !is_plain || self.tunnel > 0 || !self.receive_buffer.is_empty() || self.state.was_sent_twice() {
            return None;
        }
        let room = self.buffer.as_ref().get(..self.capacity())?;
        let head = room.windows(4).position(|four| four == b"\r\n\r\n")?.checked_add(4)?;
        room.get(..head.checked_add(body)?)
    }

    /// Receives without waiting, while an answer is awaited. `Ok`: the first byte is here, and
    /// [`response`](Self::response) goes on from there.
    ///
    /// # Errors
    ///
    /// `WouldBlock`; [`HttpError::EmptyReply`] and [`HttpError::Receive`] where the connection has ended
    /// without a byte. It counts as open until [`lose`](Self::lose) or [`swap_socket`](Self::swap_socket) is
    /// called. [`HttpError::ResponseNotReady`] where no answer is awaited.
    pub fn poll_first_byte(&mut self) -> nb::Result<(), HttpError> {
        if !self.exchange.is_waiting() {
            return Err(nb::Error::Other(HttpError::ResponseNotReady));
        }
        if !self.receive_buffer.is_empty() {
            return Ok(());
        }
        let end = self.capacity();
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        let Some(free) = self.receive_buffer.free(room) else {
            return Err(nb::Error::Other(HttpError::HeadTooLarge { capacity: end }));
        };
        match self.link.try_receive(free)? {
            0 => Err(nb::Error::Other(HttpError::EmptyReply)),
            count => {
                self.receive_buffer.on_received(count);
                Ok(())
            }
        }
    }

    /// Whether [`lose`](Self::lose) sends the request once more: its connection had served one before, so
    /// that the server may have closed it meanwhile, and the method is idempotent.
    #[must_use]
    pub fn repeats_when_lost(&self) -> bool {
        self.state.may_repeat() && self.receive_buffer.is_empty() && !self.exchange.has_interim()
    }

    /// Does what [`response`](Self::response) does where the connection ends by `error` before the first
    /// byte: sends the request once more where it was lost with a kept connection and may be repeated, and
    /// gives the connection up otherwise.
    ///
    /// # Errors
    ///
    /// What there is to report then, and all that can go wrong when another connection is opened.
    pub fn lose(&mut self, error: HttpError) -> Result<(), HttpError> {
        if self.repeat(RequestBody::None)? {
            return Ok(());
        }
        self.give_up();
        Err(self.exchange.on_response_missing(error, self.receive_buffer.is_empty()))
    }

    /// The stack, the poller and the socket, where there is one.
    pub fn socket_parts_mut(&mut self) -> Option<(&mut S, &mut W, &mut S::TcpSocket)> {
        self.link.parts()
    }

    /// The stack, the poller and the opener: what it takes to open a second connection.
    pub fn opening_parts_mut(&mut self) -> (&mut S, &mut W, &mut O) {
        (&mut self.link.stack, &mut self.link.poller, &mut self.opener)
    }

    /// When a wait that begins now has to be over: the earlier of the [deadline](Self::set_deadline) and the
    /// [time-out](Self::set_timeout).
    ///
    /// # Errors
    ///
    /// [`HttpError::TimedOut`] where the deadline has passed.
    pub fn wait_limit(&mut self) -> Result<Option<Instant>, HttpError> {
        self.link.limit()
    }

    /// Exchanges the socket for another one that was sent the same request: the answer is awaited there from
    /// now on. The caller has the other one then. Does nothing where there is no socket.
    pub fn swap_socket(&mut self, other: &mut S::TcpSocket) {
        if let Some((_, _, own)) = self.link.parts() {
            core::mem::swap(own, other);
        }
    }

    /// The request was sent over another socket too: it is not sent a third time.
    pub fn mark_sent_again(&mut self) {
        self.state.on_sent_again();
    }

    /// Lends the socket to the caller while an answer is awaited: it has to be [given
    /// back](Self::give_back_socket) before anything else is asked of the connection.
    pub fn lend_socket(&mut self) -> Option<S::TcpSocket> {
        self.link.take()
    }

    /// Takes back a socket that was [lent](Self::lend_socket), with the first bytes of the answer where the
    /// caller has received some.
    pub fn give_back_socket(&mut self, socket: S::TcpSocket, received: &[u8]) {
        self.link.attach(socket);
        let end = self.capacity();
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        let count = copy(received, self.receive_buffer.free(room).unwrap_or_default());
        self.receive_buffer.on_received(count);
    }
}
