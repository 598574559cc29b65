//! The receiving half of an exchange: from the first byte of a response to the last one of its body.

use core::fmt;

use crate::body_decoder::{BodyDecoder, BodyPart};
use crate::connection::HttpConnection;
use crate::error::HttpError;
use crate::exchange_state::FinalResponse;
use crate::fields::{self, Headers};
use crate::open_connection::OpenConnection;
use crate::request::RequestBody;
use crate::response_head::{ResponseHead, Version};
use crate::status::StatusClass;
use crate::syntax::{copy, move_down};
use connie_core::{Poller, RaceStack};

/// A response, whose body is read from the connection. In the manner of Python's `http.client.HTTPResponse`.
///
/// Dropping it loses nothing: [`HttpConnection::response`] gives it again. Before the next request its body
/// must be read to the end, or [discarded](Self::discard).
#[doc(alias = "HTTPResponse")]
pub struct Response<'c, S: RaceStack, W, B, O = ()> {
    pub(crate) connection: &'c mut HttpConnection<S, W, B, O>,
}

impl<S: RaceStack, W, B, O> fmt::Debug for Response<'_, S, W, B, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response").field("head", &self.connection.receive_buffer.head).finish_non_exhaustive()
    }
}

impl<S, W, B, O> Response<'_, S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// The head.
    #[must_use]
    pub fn head(&self) -> ResponseHead<'_> {
        self.connection.head_view()
    }

    /// The status code.
    #[must_use]
    #[doc(alias = "code")]
    #[doc(alias = "getcode")]
    pub fn status(&self) -> u16 {
        self.head().status()
    }

    /// The class of the status code. One that is none, below 100 or above 599, is a server's error.
    #[must_use]
    pub fn class(&self) -> StatusClass {
        self.head().class()
    }

    /// The reason phrase; empty where it is missing, or holds controls or bytes beyond ASCII.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.head().reason()
    }

    /// The version of HTTP that the server answered with.
    #[must_use]
    pub fn version(&self) -> Version {
        self.head().version()
    }

    /// All header fields, in order, duplicates included.
    #[must_use]
    #[doc(alias = "getheaders")]
    #[doc(alias = "msg")]
    #[doc(alias = "info")]
    pub fn headers(&self) -> Headers<'_> {
        self.head().headers()
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    #[doc(alias = "getheader")]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.head().header(name)
    }

    /// The trailer fields of a chunked body, in order. None before the body's end.
    #[must_use]
    pub fn trailers(&self) -> Headers<'_> {
        Headers::from_lines(self.raw_trailers())
    }

    /// The trailer section of a chunked body as it came, but for folded lines, which are joined. Empty before
    /// the body's end.
    #[must_use]
    // Were it a part of `trailers` wherever that is called, it would cost flash.
    #[inline(never)]
    pub fn raw_trailers(&self) -> &[u8] {
        let receive_buffer = &self.connection.receive_buffer;
        let start = receive_buffer.kept().saturating_sub(receive_buffer.trailers);
        let section = self.connection.buffer.as_ref().get(start..receive_buffer.kept()).unwrap_or_default();
        if self.is_closed() { section } else { b"" }
    }

    /// How many bytes of the body are still to come, where the head has told.
    #[must_use]
    #[doc(alias = "length")]
    pub fn remaining(&self) -> Option<u64> {
        let decoder = &self.connection.decoder;
        if decoder.is_done() {
            return Some(0);
        }
        decoder.expected().map(|expected| expected.saturating_sub(decoder.got()))
    }

    /// Whether the body has been read to its end.
    #[must_use]
    #[doc(alias = "isclosed")]
    pub fn is_closed(&self) -> bool {
        self.connection.decoder.is_done()
    }

    /// Whether the connection ends with this response (RFC 9112 section 9.3).
    #[must_use]
    pub fn will_close(&self) -> bool {
        !self.connection.exchange.persists()
    }

    /// How many bytes came after the end of the response, as far as they have been received. They belong to
    /// nothing, so the connection is not used again (RFC 9112 section 6.3).
    #[must_use]
    pub fn surplus(&self) -> usize {
        self.connection.receive_buffer.surplus
    }

    /// Reads some of the body into `out`, waiting for at least a byte, and returns how many. `Ok(0)`: the
    /// body is at its end, or `out` is empty.
    ///
    /// # Errors
    ///
    /// [`HttpError::IncompleteRead`], [`HttpError::MalformedChunk`], [`HttpError::MalformedTrailer`],
    /// [`HttpError::TrailersTooLarge`], [`HttpError::Receive`], and again at each later call;
    /// [`HttpError::TimedOut`], [`HttpError::Canceled`].
    #[doc(alias = "readinto")]
    #[doc(alias = "read1")]
    pub fn read(&mut self, out: &mut [u8]) -> Result<usize, HttpError> {
        self.connection.read(out)
    }

    /// Reads the rest of the body into `out` and returns its length.
    ///
    /// # Errors
    ///
    /// [`HttpError::BodyTooLarge`] where it is longer than `out`: with nothing read if the head has told the
    /// length, else with `out` full and the connection closed. Those of [`read`](Self::read), with what has
    /// come in `out`.
    pub fn read_to_end(&mut self, out: &mut [u8]) -> Result<usize, HttpError> {
        let too_large = HttpError::BodyTooLarge { capacity: out.len() };
        let fits = |left: u64| usize::try_from(left).is_ok_and(|left| left <= out.len());
        if self.remaining().is_some_and(|left| !fits(left)) {
            return Err(too_large);
        }
        let mut length = 0_usize;
        while let Some(rest) = out.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.read(rest)? {
                0 => return Ok(length),
                count => length = length.saturating_add(count),
            }
        }
        match self.read(&mut [0])? {
            0 => Ok(length),
            _ => Err(self.connection.fail(too_large)),
        }
    }

    /// Reads the rest of the body and drops it, so that another request can follow.
    ///
    /// # Errors
    ///
    /// Those of [`read`](Self::read).
    pub fn discard(&mut self) -> Result<(), HttpError> {
        // Smaller than what is free of the buffer, as a rule, so that the stack is asked for more at a time.
        while self.read(&mut [0; 64])? > 0 {}
        Ok(())
    }
}

impl<S, W, B, O> HttpConnection<S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// Waits for the response's head. Responses of status 1xx are passed over, except 101, which is one where
    /// the request has an `Upgrade` field: [`take_socket`](Self::take_socket) then hands out the connection.
    /// Else it is [`HttpError::UnaskedSwitch`].
    ///
    /// Called again before the next request, it gives the same response, its body as far as it has been read.
    ///
    /// # Errors
    ///
    /// [`HttpError::ResponseNotReady`] where no request is complete; [`HttpError::EmptyReply`] and all that
    /// can be wrong with a head; [`HttpError::Send`] where the request could not be sent and no response had
    /// come; [`HttpError::Receive`], [`HttpError::TimedOut`], [`HttpError::Canceled`].
    #[doc(alias = "getresponse")]
    pub fn response(&mut self) -> Result<Response<'_, S, W, B, O>, HttpError> {
        if self.exchange.on_response_wanted()? {
            self.receive_head()?;
        }
        Ok(Response { connection: self })
    }

    /// Receives until the final head is there, and gets ready for its body.
    pub(crate) fn receive_head(&mut self) -> Result<(), HttpError> {
        let end = self.capacity();
        loop {
            let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
            match self.receive_buffer.next_head(room, &mut self.exchange) {
                Ok(None) => {}
                Ok(Some(_)) => return self.begin_body(),
                Err(error) => return Err(self.fail(error)),
            }
            let Some(free) = self.receive_buffer.free(room) else {
                return Err(self.fail(HttpError::HeadTooLarge { capacity: end }));
            };
            match self.link.receive(free) {
                Ok(0) if self.repeat(RequestBody::None)? => {}
                Ok(0) => return Err(self.on_response_missing(HttpError::EmptyReply)),
                Ok(count) => self.receive_buffer.on_received(count),
                Err(HttpError::Receive(_)) if self.repeat(RequestBody::None)? => {}
                Err(error @ HttpError::Receive(_)) => return Err(self.on_response_missing(error)),
                Err(error) => return Err(error),
            }
        }
    }

    /// The head; an empty one where there is none, which no [`Response`] lets anybody see.
    fn head_view(&self) -> ResponseHead<'_> {
        self.receive_buffer.view(self.buffer.as_ref())
    }

    /// The heads of the last response as they came, where [they are kept](Self::set_keeps_heads): those of
    /// status 1xx, and then the final one. Where that was cut off, or could not be read, all lines of it that
    /// are complete.
    #[cfg(feature = "raw-heads")]
    #[must_use]
    pub fn raw_heads(&self) -> &[u8] {
        self.receive_buffer.raw_heads(self.buffer.as_ref())
    }

    /// Abandons a response that ended, or failed, before its head was complete.
    fn on_response_missing(&mut self, error: HttpError) -> HttpError {
        self.give_up();
        self.exchange.on_response_missing(error, self.receive_buffer.is_empty())
    }

    fn begin_body(&mut self) -> Result<(), HttpError> {
        let head = self.receive_buffer.view(self.buffer.as_ref());
        let kind = self.exchange.kind();
        let response = FinalResponse { status: head.status(), closes: head.will_close(kind) };
        let framing = head.framing_of(kind, self.takes_coded);
        let framing = self.exchange.on_answered(response).and(framing).map_err(|error| self.fail(error))?;
        self.decoder = BodyDecoder::new(framing);
        self.link.unread = self.exchange.is_reading();
        if self.link.unread && self.decoder.is_done() {
            self.finish_exchange();
        }
        Ok(())
    }

    fn read(&mut self, out: &mut [u8]) -> Result<usize, HttpError> {
        loop {
            if !self.exchange.is_reading() {
                return self.exchange.check().map(|()| 0);
            }
            if out.is_empty() {
                return Ok(0);
            }
            let (count, result) = if self.receive_buffer.unread(self.buffer.as_ref()).is_empty() {
                self.receive_body(out)
            } else {
                self.decode_buffer(out)
            };
            match result {
                Ok(()) if self.decoder.is_done() => self.finish_exchange(),
                Ok(()) => {}
                Err(error @ (HttpError::TimedOut | HttpError::Canceled)) => return Err(error),
                // What came before the fault is good; the next call tells of the fault.
                Err(error) => {
                    self.fail(error);
                }
            }
            if count > 0 {
                return Ok(count);
            }
        }
    }

    /// Receives more of the body: straight into `out`, or into the buffer where that has more room. Gives the
    /// count of body bytes that are now in `out`, and what went wrong after them.
    fn receive_body(&mut self, out: &mut [u8]) -> (usize, Result<(), HttpError>) {
        let (end, kept) = (self.capacity(), self.receive_buffer.kept());
        (self.receive_buffer.start, self.receive_buffer.end) = (kept, kept);
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        let free = self.receive_buffer.free(room).unwrap_or_default();
        let direct = out.len() >= free.len();
        match self.link.receive(if direct { &mut *out } else { free }) {
            Err(error) => (0, Err(error)),
            Ok(0) => {
                // A trailer section that the close cut short tells nothing.
                self.receive_buffer.trailers = 0;
                (0, self.decoder.end_of_input())
            }
            Ok(count) if direct => self.decode_in_place(out, count),
            Ok(count) => {
                self.receive_buffer.on_received(count);
                self.decode_buffer(out)
            }
        }
    }

    /// Decodes from the buffer to `out`.
    fn decode_buffer(&mut self, out: &mut [u8]) -> (usize, Result<(), HttpError>) {
        let mut written = 0_usize;
        let end = self.capacity();
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        while written < out.len() && self.receive_buffer.start < self.receive_buffer.end {
            let to = out.get_mut(written..).unwrap_or_default();
            let input = self.receive_buffer.unread(room);
            let step = match self.decoder.step(input, to.len()) {
                Ok(step) => step,
                Err(error) => return (written, Err(error)),
            };
            let from = self.receive_buffer.start.saturating_add(step.skip);
            self.receive_buffer.start = self.receive_buffer.start.saturating_add(step.consumed());
            match step.part {
                BodyPart::Content => {
                    let content = input.get(step.skip..step.consumed()).unwrap_or_default();
                    written = written.saturating_add(copy(content, to));
                }
                BodyPart::Trailers => {
                    // Behind the head, and so never behind where they came from.
                    move_down(room, from, step.length, self.receive_buffer.kept());
                    self.receive_buffer.trailers = self.receive_buffer.trailers.saturating_add(step.length);
                }
            }
            if step.consumed() == 0 {
                break;
            }
        }
        (written, Ok(()))
    }

    /// Decodes the first `count` bytes of `out` within `out`.
    fn decode_in_place(&mut self, out: &mut [u8], count: usize) -> (usize, Result<(), HttpError>) {
        let (mut at, mut written) = (0_usize, 0_usize);
        let end = self.capacity();
        while at < count {
            let input = out.get(at..count).unwrap_or_default();
            let step = match self.decoder.step(input, usize::MAX) {
                Ok(step) => step,
                Err(error) => return (written, Err(error)),
            };
            let from = at.saturating_add(step.skip);
            at = at.saturating_add(step.consumed());
            match step.part {
                BodyPart::Content => {
                    move_down(out, from, step.length, written);
                    written = written.saturating_add(step.length);
                }
                BodyPart::Trailers => {
                    let section = out.get(from..at).unwrap_or_default();
                    let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
                    if let Err(error) = self.receive_buffer.keep_trailers(room, section) {
                        return (written, Err(error));
                    }
                }
            }
            if step.consumed() == 0 {
                self.receive_buffer.surplus = count.saturating_sub(at);
                break;
            }
        }
        (written, Ok(()))
    }

    /// Ends the exchange: the body has been read. The connection stays only where it can serve another
    /// request.
    fn finish_exchange(&mut self) {
        self.link.unread = false;
        let unread = self.receive_buffer.unread(self.buffer.as_ref()).len();
        self.receive_buffer.surplus = self.receive_buffer.surplus.saturating_add(unread);
        let mut clean = self.receive_buffer.surplus == 0;
        if self.receive_buffer.trailers > 0 {
            let end = self.receive_buffer.kept();
            let start = end.saturating_sub(self.receive_buffer.trailers);
            let section = self.buffer.as_mut().get_mut(start..end).unwrap_or_default();
            if !fields::check(section) {
                self.receive_buffer.trailers = 0;
                self.fail(HttpError::MalformedTrailer);
                return;
            }
            // As for a head with such a line.
            clean &= Headers::from_lines(section).dropped().next().is_none();
        }
        if !matches!(self.exchange.on_body_read(clean), Ok(true)) {
            self.hang_up();
        }
    }
}
