//! The sending half of an exchange: from the first byte of a request to the last one of its body.

use core::time::Duration;

use connie_core::embedded_nal::nb;

use crate::connection::HttpConnection;
use crate::error::HttpError;
use crate::open_connection::OpenConnection;
use crate::request::RequestBody;
use connie_core::{Interest, Poller, RaceStack};

/// How often a body that cannot be sent for the moment lets the connection look for an early response.
const EARLY_ANSWER_PAUSE: Duration = Duration::from_millis(100);

impl<S, W, B, O> HttpConnection<S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// Sends the first `length` bytes of the buffer, which begin with a head: a whole request, or one whose
    /// `body` goes on.
    pub(crate) fn begin_upload(&mut self, length: usize, body: RequestBody) -> Result<(), HttpError> {
        self.state.on_request_sent(length, self.exchange.is_idempotent(), self.opener.opens())?;
        self.transmit(length, body)?;
        if self.exchange.is_refused() {
            self.repeat(body)?;
        }
        Ok(())
    }

    /// Sends the request once more over a new connection, where that is allowed. Returns whether it did.
    pub(crate) fn repeat(&mut self, body: RequestBody) -> Result<bool, HttpError> {
        // Known to the compiler where nothing opens a connection: then none of this is in the program.
        if !self.opener.opens() {
            return Ok(false);
        }
        let unanswered = self.state.may_repeat() && self.has_no_response();
        let Some(length) = self.state.repeat(unanswered) else {
            return Ok(false);
        };
        self.hang_up();
        self.exchange.on_repeated(length)?;
        self.reach(length, true)?;
        self.state.on_request_repeated()?;
        self.transmit(length, body)?;
        Ok(true)
    }

    /// Whether not a byte of a response has come. Where it was sending that failed, one may still be waiting
    /// to be received.
    fn has_no_response(&mut self) -> bool {
        let end = self.capacity();
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        if let (true, Some(free)) = (self.exchange.has_send_failure(), self.receive_buffer.free(room)) {
            if let Ok(count) = self.link.try_receive(free) {
                self.receive_buffer.on_received(count);
            }
        }
        self.receive_buffer.is_empty() && !self.exchange.has_interim()
    }

    fn transmit(&mut self, length: usize, body: RequestBody) -> Result<(), HttpError> {
        let mut sent = 0;
        while sent < length {
            let data = self.buffer.as_ref().get(sent..length).unwrap_or_default();
            match self.link.send(data) {
                Ok(count) => sent = sent.saturating_add(count),
                Err(HttpError::Send(reason)) => {
                    self.exchange.on_upload_stopped(Some(reason));
                    return Ok(());
                }
                Err(error) => return Err(self.fail(error)),
            }
        }
        self.exchange.on_head_sent(body)?;
        if self.exchange.is_asking() { self.await_continue() } else { Ok(()) }
    }

    /// Waits until the server says to go on, answers, or lets the time pass.
    fn await_continue(&mut self) -> Result<(), HttpError> {
        let patience = self.link.timeout.map_or(self.expect_timeout, |most| most.min(self.expect_timeout));
        let until = self.link.poller.now() + patience;
        loop {
            self.poll_early_response();
            let left = until.duration_since(self.link.poller.now());
            if left.is_zero() {
                self.exchange.on_continue_overdue();
            }
            if !self.exchange.is_asking() {
                return Ok(());
            }
            let limit = self.link.deadline;
            self.link.wait(Interest::Receive, limit, Some(left)).map_err(|error| self.fail(error))?;
        }
    }

    /// Sends `rest`, the end of a body whose start went out with the head, and all of it again where the
    /// connection was given up.
    pub(crate) fn upload_again(&mut self, rest: &[u8], body: RequestBody) -> Result<(), HttpError> {
        if rest.is_empty() {
            return Ok(());
        }
        self.upload(rest)?;
        if self.exchange.is_refused() && self.repeat(body)? {
            self.upload(rest)?;
        }
        // The caller takes the rest along.
        self.state.on_bytes_dropped();
        Ok(())
    }

    /// Sends `data`, part of a body, and looks for an early response where it cannot be sent at once: RFC
    /// 9112 section 9.5 has a client "monitor the network connection for an error response while it is
    /// transmitting the request".
    pub(crate) fn upload(&mut self, data: &[u8]) -> Result<(), HttpError> {
        let mut rest = data;
        if rest.is_empty() {
            return Ok(());
        }
        let mut limit = self.link.limit().map_err(|error| self.fail(error))?;
        while !rest.is_empty() && !self.exchange.is_refused() {
            match self.link.try_send(rest) {
                Ok(count) => {
                    rest = rest.get(count..).unwrap_or_default();
                    limit = self.link.limit().map_err(|error| self.fail(error))?;
                }
                Err(nb::Error::Other(HttpError::Send(reason))) => {
                    self.exchange.on_upload_stopped(Some(reason));
                }
                Err(nb::Error::Other(error)) => return Err(self.fail(error)),
                Err(nb::Error::WouldBlock) => {
                    self.poll_early_response();
                    let pause = Some(EARLY_ANSWER_PAUSE);
                    if !self.exchange.is_refused() {
                        self.link.wait(Interest::Send, limit, pause).map_err(|error| self.fail(error))?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes in what the server has said while it was being sent a body, and stops sending where that is
    /// pointless.
    fn poll_early_response(&mut self) {
        let end = self.capacity();
        let Some(free) = self.receive_buffer.free(self.buffer.as_mut().get_mut(..end).unwrap_or_default())
        else {
            // A head that does not fit cannot be read.
            self.exchange.on_upload_stopped(None);
            return;
        };
        match self.link.try_receive(free) {
            Ok(0) => self.exchange.on_upload_stopped(None),
            Ok(count) => {
                self.receive_buffer.on_received(count);
                self.find_early_response();
            }
            Err(nb::Error::WouldBlock) => {}
            Err(nb::Error::Other(HttpError::Receive(reason))) => {
                self.exchange.on_upload_stopped(Some(reason))
            }
            Err(nb::Error::Other(_)) => self.exchange.on_upload_stopped(None),
        }
    }

    /// Looks for the final head in what has been received. One that cannot be read is told when the response
    /// is asked for.
    fn find_early_response(&mut self) {
        let end = self.capacity();
        let room = self.buffer.as_mut().get_mut(..end).unwrap_or_default();
        match self.receive_buffer.next_head(room, &mut self.exchange) {
            Err(_) => self.exchange.on_upload_stopped(None),
            Ok(None) => {}
            Ok(Some(_)) => {
                let head = self.receive_buffer.view(self.buffer.as_ref());
                let refuses = head.class().is_error() || head.will_close(self.exchange.kind());
                self.exchange.on_answered_early(refuses);
            }
        }
    }
}
