//! One exchange on one connection: all of its state, and every transition that it makes.
//!
//! A plain value without a socket, a buffer or a clock. `sending.rs` and `receiving.rs` move the bytes and
//! report each event by a method: `on_head_sent` for the event `head_sent`. Nothing outside this file sets a
//! phase, or decides whether the connection may serve another request.
//!
//! # The rules
//!
//! ```text
//! idle ──request_begun──▶ heading ──head_sent──▶ waiting ──answered──▶ reading ──body_read──▶ over
//!                            │                    ▲   ▲ └──101, or 2xx to CONNECT──▶ tunnel
//!                            │ with a body        │   │
//!                            ├──────▶ uploading ──┘   │  by body_ended
//!                            │ and     ▲     │        │
//!                            │ Expect  │     ▼        │
//!                            └──────▶ asking refused ─┘  by response_wanted
//!
//! asking ──100 │ continue_overdue──▶ uploading
//! heading │ asking │ uploading ──upload_stopped │ answered_early──▶ refused
//! over │ failed ──request_begun──▶ heading          waiting │ refused ──repeated──▶ heading
//! heading │ over ──forgotten──▶ idle                any but heading ──connected──▶ idle
//! any ──failed │ closed │ response_missing──▶ failed
//! ```
//!
//! 1. **A request begins** where none is under way: in idle, over and failed, and in heading, where it takes
//!    the place of the one begun before. HTTP/1.1 could pipeline (RFC 9112 section 9.3.2); this client does
//!    not.
//! 2. **The head** grows field by field, and what the fields ask for adds up: the close (RFC 9112
//!    section 9.6), a 100 before the body (RFC 9110 section 10.1.1), another protocol (section 7.8). A head
//!    that expects a 100 ends only with a body to come: a client "MUST NOT generate a 100-continue
//!    expectation in a request that does not include content".
//! 3. **The head sent** leads to waiting where there is no body, to uploading where there is one, and to
//!    asking where that is held back. Asking ends with a 100, with a final response, or when the wait is
//!    overdue: a client "SHOULD NOT wait for an indefinite period".
//! 4. **The body** has the length announced, to the byte (RFC 9112 section 6.2), or ends with its last chunk
//!    (section 7.1). It is cut short where sending fails or the server ends the connection, and where a final
//!    answer has come that is an error, that closes, or that finds the body still held back: RFC 9112
//!    section 9.5 has a client stop then. Further pieces are dropped, and the response can be read at once.
//! 5. **A response of status 1xx** is not the final one, save 101 (RFC 9110 section 15.2: a client must be
//!    able to parse them "even if the client does not expect one"). [`MAX_INTERIM`] of them may come before
//!    it.
//! 6. **The response** is taken once, in waiting. 101 needs a request that asked for another protocol (RFC
//!    9110 section 7.8). It, and 2xx to CONNECT (section 9.3.6), end HTTP on this connection; after any other
//!    the body is read.
//! 7. **The connection persists** (RFC 9112 section 9.3) where the request was sent whole, neither head asks
//!    for the close, the response has been read to its end, and no bytes came after it that belong to no
//!    response.
//! 8. **A failure** is final until another request begins or another connection comes. It is told again to
//!    whoever asks for the response.
//! 9. **A request is repeated** as it was written, on another connection, as long as there is no response to
//!    it.
//!
//! # The laws
//!
//! They hold after every event. Debug builds assert what a state can show of them; the tests walk every state
//! that any sequence of events can reach.
//!
//! 1. An event that has no place in a phase is refused with an error, or makes no difference where it has
//!    none, and changes nothing.
//! 2. Nothing persists after a failure, a body that was cut short, or a head on either side that asks for the
//!    close.
//! 3. To one request sent there is one response at most, and none before the head was sent.
//! 4. A request that is complete has been sent with exactly the bytes that were announced.
//! 5. No 1xx but 101 is a response, and never more than [`MAX_INTERIM`] pass.
//! 6. A body is held back only where the head expects a 100 and there is one.
//! 7. A head that is being written knows nothing of an exchange before.

use crate::error::HttpError;
use crate::request::{RequestBody, RequestKind, is_idempotent};
use connie_core::AttemptError;

/// The most responses of status 1xx that are passed over before the final one. 101 is a final one.
pub const MAX_INTERIM: u8 = 16;

/// How far an exchange has come, and what is known of its request and its response.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct ExchangeState {
    phase: ExchangePhase,
    kind: RequestKind,
    idempotent: bool,
    options: RequestOptions,
    /// Whether the connection may serve another request after this one.
    persists: bool,
    /// Answers of status 1xx so far.
    interim: u8,
    /// Why the request could not be sent to its end.
    send_failure: Option<AttemptError>,
}

/// How far the exchange has come.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum ExchangePhase {
    /// No request has been begun, and there is no response.
    Idle,
    /// A head of this many bytes is written, and not sent.
    Heading(usize),
    /// The head is sent; the body is held back until the server asks for it.
    Asking(RemainingBody),
    /// The head is sent; this much of the body is to come.
    Uploading(RemainingBody),
    /// The body was cut short: the server has answered already, or will not listen any more.
    Refused,
    /// The request is complete, or was cut short. The response's head is awaited.
    Waiting,
    /// The response's body is being read.
    Reading,
    /// The response has been read. It can still be looked at.
    Over,
    /// What follows is not HTTP.
    Tunnel,
    /// The connection was given up for this reason.
    Failed(HttpError),
}

/// What is to come of a request's body.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum RemainingBody {
    Bytes(u64),
    Chunks,
}

/// What the fields of a request ask for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RequestOptions {
    /// That the connection be closed after it.
    pub(crate) close: bool,
    /// That the server say whether it wants the body.
    pub(crate) expect: bool,
    /// Another protocol.
    pub(crate) upgrade: bool,
}

/// How a piece of a body goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyPiece {
    /// As it is.
    Plain,
    /// As a chunk.
    Chunk,
    /// Not at all.
    Dropped,
}

/// What a final head says that decides how the exchange goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FinalResponse {
    pub(crate) status: u16,
    /// Whether the connection ends with it, as far as its head tells.
    pub(crate) closes: bool,
}

impl ExchangeState {
    /// The exchange of a connection that has had none.
    pub(crate) const fn new() -> Self {
        ExchangeState {
            phase: ExchangePhase::Idle,
            kind: RequestKind::Other,
            idempotent: false,
            options: RequestOptions { close: false, expect: false, upgrade: false },
            persists: true,
            interim: 0,
            send_failure: None,
        }
    }

    /// The exchange with a proxy that has been sent a CONNECT request.
    pub(crate) const fn for_connect() -> Self {
        ExchangeState { phase: ExchangePhase::Waiting, kind: RequestKind::Connect, ..ExchangeState::new() }
    }

    // What happens to the connection.

    /// There is another connection. A head that is being written was never sent over the one before.
    pub(crate) fn on_connected(&mut self) {
        if !matches!(self.phase, ExchangePhase::Heading(_)) {
            self.phase = ExchangePhase::Idle;
        }
        self.check_laws();
    }

    /// The connection was given up.
    pub(crate) fn on_failed(&mut self, error: HttpError) -> HttpError {
        self.phase = ExchangePhase::Failed(error);
        self.persists = false;
        self.check_laws();
        error
    }

    /// The caller has closed the connection, or taken it over.
    pub(crate) fn on_closed(&mut self) {
        self.on_failed(HttpError::NotConnected);
    }

    // The request.

    /// Whether a request can begin.
    pub(crate) fn may_begin(&self) -> Result<(), HttpError> {
        match self.phase {
            ExchangePhase::Idle
            | ExchangePhase::Heading(_)
            | ExchangePhase::Over
            | ExchangePhase::Failed(_) => Ok(()),
            _ => Err(HttpError::CannotSendRequest),
        }
    }

    /// The last response, and a head that was being written, are no longer in the buffer. A failure is still
    /// known.
    pub(crate) fn on_forgotten(&mut self) {
        if let ExchangePhase::Heading(_) | ExchangePhase::Over = self.phase {
            self.phase = ExchangePhase::Idle;
        }
        self.check_laws();
    }

    /// A request with this method has been begun: `length` bytes of its head are written.
    pub(crate) fn on_request_begun(&mut self, method: &str, length: usize) -> Result<(), HttpError> {
        self.may_begin()?;
        *self = ExchangeState {
            phase: ExchangePhase::Heading(length),
            kind: RequestKind::from_method(method),
            idempotent: is_idempotent(method),
            ..ExchangeState::new()
        };
        self.check_laws();
        Ok(())
    }

    /// How long the head is that is being written.
    pub(crate) fn head_length(&self) -> Result<usize, HttpError> {
        match self.phase {
            ExchangePhase::Heading(length) => Ok(length),
            _ => Err(HttpError::CannotSendHeader),
        }
    }

    /// A field was written, so that the head has this length. It asks for `options`.
    pub(crate) fn on_header_added(
        &mut self,
        length: usize,
        options: RequestOptions,
    ) -> Result<(), HttpError> {
        self.head_length()?;
        self.phase = ExchangePhase::Heading(length);
        self.options.close |= options.close;
        self.options.expect |= options.expect;
        self.options.upgrade |= options.upgrade;
        self.persists = !self.options.close;
        self.check_laws();
        Ok(())
    }

    /// Whether the head can end here, with this body to come, and how long it is.
    pub(crate) fn may_end_head(&self, body: RequestBody) -> Result<usize, HttpError> {
        let length = self.head_length()?;
        if self.options.expect && matches!(body, RequestBody::None | RequestBody::Length(0)) {
            return Err(HttpError::ExpectWithoutBody);
        }
        Ok(length)
    }

    /// The head that ended was sent, with such a body to come; what went out with it is told by `body_given`.
    pub(crate) fn on_head_sent(&mut self, body: RequestBody) -> Result<(), HttpError> {
        self.head_length()?;
        let left = match body {
            RequestBody::None => None,
            RequestBody::Length(length) => Some(RemainingBody::Bytes(length)),
            RequestBody::Chunked => Some(RemainingBody::Chunks),
        };
        self.phase = match left {
            None => ExchangePhase::Waiting,
            Some(left @ (RemainingBody::Chunks | RemainingBody::Bytes(1..))) if self.options.expect => {
                ExchangePhase::Asking(left)
            }
            Some(left) => ExchangePhase::Uploading(left),
        };
        self.check_laws();
        Ok(())
    }

    /// The wait for a 100 has taken long enough: the body is sent without one.
    pub(crate) fn on_continue_overdue(&mut self) {
        if let ExchangePhase::Asking(left) = self.phase {
            self.phase = ExchangePhase::Uploading(left);
        }
        self.check_laws();
    }

    /// A piece of the body of this length is given to be sent. Returns how.
    pub(crate) fn on_body_given(&mut self, length: usize) -> Result<BodyPiece, HttpError> {
        match self.phase {
            ExchangePhase::Refused => Ok(BodyPiece::Dropped),
            // A chunk of no bytes would end the body.
            ExchangePhase::Uploading(_) if length == 0 => Ok(BodyPiece::Dropped),
            ExchangePhase::Uploading(RemainingBody::Chunks) => Ok(BodyPiece::Chunk),
            ExchangePhase::Uploading(RemainingBody::Bytes(left)) => {
                let given = u64::try_from(length).unwrap_or(u64::MAX);
                let left = left.checked_sub(given).ok_or(HttpError::BodyTooLong)?;
                self.phase = ExchangePhase::Uploading(RemainingBody::Bytes(left));
                self.check_laws();
                Ok(BodyPiece::Plain)
            }
            _ => Err(HttpError::CannotSendBody),
        }
    }

    /// The body has ended; where it is in chunks, the last one was sent.
    pub(crate) fn on_body_ended(&mut self) -> Result<(), HttpError> {
        match self.phase {
            ExchangePhase::Uploading(RemainingBody::Bytes(missing @ 1..)) => {
                return Err(HttpError::BodyTooShort { missing });
            }
            ExchangePhase::Uploading(_) => self.phase = ExchangePhase::Waiting,
            ExchangePhase::Refused => {}
            _ => return Err(HttpError::CannotSendBody),
        }
        self.check_laws();
        Ok(())
    }

    /// The request went out in one call, and so with the body whose length its head announced.
    pub(crate) fn on_sent_whole(&mut self) {
        if let ExchangePhase::Uploading(_) = self.phase {
            self.phase = ExchangePhase::Waiting;
        }
        self.check_laws();
    }

    /// Sending is given up, since it failed for this reason or since the server does not listen. The response
    /// can be read.
    pub(crate) fn on_upload_stopped(&mut self, reason: Option<AttemptError>) {
        if let ExchangePhase::Heading(_) | ExchangePhase::Asking(_) | ExchangePhase::Uploading(_) = self.phase
        {
            self.send_failure = reason;
            self.persists = false;
            self.phase = ExchangePhase::Refused;
        }
        self.check_laws();
    }

    /// The final head is there before the body was sent. `refuses`: it is an error, or closes.
    pub(crate) fn on_answered_early(&mut self, refuses: bool) {
        if refuses || matches!(self.phase, ExchangePhase::Asking(_)) {
            self.on_upload_stopped(None);
        }
    }

    /// The request is to be sent once more, over a new connection. Its head is `length` bytes long, or the
    /// whole of it is.
    pub(crate) fn on_repeated(&mut self, length: usize) -> Result<(), HttpError> {
        if !matches!(self.phase, ExchangePhase::Refused | ExchangePhase::Waiting) {
            return Err(HttpError::CannotSendRequest);
        }
        self.phase = ExchangePhase::Heading(length);
        self.persists = !self.options.close;
        (self.interim, self.send_failure) = (0, None);
        self.check_laws();
        Ok(())
    }

    // The response.

    /// A head with this status has come. Returns whether it is the final one.
    pub(crate) fn on_head_received(&mut self, status: u16) -> Result<bool, HttpError> {
        match self.phase {
            ExchangePhase::Asking(_)
            | ExchangePhase::Uploading(_)
            | ExchangePhase::Refused
            | ExchangePhase::Waiting => {}
            _ => return Err(HttpError::ResponseNotReady),
        }
        if !matches!(status, 100 | 102..=199) {
            return Ok(true);
        }
        if self.interim >= MAX_INTERIM {
            return Err(HttpError::TooManyInterim);
        }
        self.interim = self.interim.saturating_add(1);
        if status == 100 {
            self.on_continue_overdue();
        }
        self.check_laws();
        Ok(false)
    }

    /// The caller asks for the response. Returns whether its head is still to be received.
    pub(crate) fn on_response_wanted(&mut self) -> Result<bool, HttpError> {
        match self.phase {
            // The end of a body that is complete need not be told.
            ExchangePhase::Refused | ExchangePhase::Uploading(RemainingBody::Bytes(0)) => {
                self.phase = ExchangePhase::Waiting
            }
            ExchangePhase::Waiting => {}
            ExchangePhase::Reading | ExchangePhase::Over | ExchangePhase::Tunnel => return Ok(false),
            ExchangePhase::Failed(error) => return Err(error),
            _ => return Err(HttpError::ResponseNotReady),
        }
        self.check_laws();
        Ok(true)
    }

    /// The final head has been read.
    pub(crate) fn on_answered(&mut self, response: FinalResponse) -> Result<(), HttpError> {
        if !matches!(self.phase, ExchangePhase::Waiting) {
            return Err(HttpError::ResponseNotReady);
        }
        // RFC 9110 section 7.8: a server "MUST NOT switch to a protocol that was not indicated by the
        // client". What follows is then neither a response nor anything that the caller knows.
        if response.status == 101 && !self.options.upgrade {
            return Err(HttpError::UnaskedSwitch);
        }
        self.persists &= !response.closes;
        let tunnel = response.status == 101 || self.kind.tunnels_by(response.status);
        self.phase = if tunnel { ExchangePhase::Tunnel } else { ExchangePhase::Reading };
        self.check_laws();
        Ok(())
    }

    /// The server has ended the connection, by this `error`, before the head of its response was complete;
    /// `silent`: without a byte of it. Returns the error to report.
    pub(crate) fn on_response_missing(&mut self, error: HttpError, silent: bool) -> HttpError {
        let error = match (self.send_failure, error) {
            (Some(reason), _) if silent => HttpError::Send(reason),
            (_, HttpError::EmptyReply) if !silent => HttpError::IncompleteHead,
            (_, error) => error,
        };
        self.on_failed(error)
    }

    /// The response has been read to its end. `clean`: nothing has come that leaves doubt where the next one
    /// begins. Returns whether the connection persists.
    pub(crate) fn on_body_read(&mut self, clean: bool) -> Result<bool, HttpError> {
        if !self.is_reading() {
            return Err(HttpError::ResponseNotReady);
        }
        self.phase = ExchangePhase::Over;
        self.persists &= clean;
        self.check_laws();
        Ok(self.persists)
    }

    // What is asked of it.

    /// What about the request decides how its response is framed.
    pub(crate) fn kind(&self) -> RequestKind {
        self.kind
    }

    /// Whether the request may be sent again by itself.
    pub(crate) fn is_idempotent(&self) -> bool {
        self.idempotent
    }

    /// Whether the connection may serve another request after this one.
    pub(crate) fn persists(&self) -> bool {
        self.persists
    }

    /// Whether a part of the body that the server wants is still to come.
    pub(crate) fn wants_body(&self) -> bool {
        matches!(self.phase, ExchangePhase::Uploading(RemainingBody::Bytes(1..) | RemainingBody::Chunks))
    }

    /// Whether what comes next is the last chunk.
    pub(crate) fn ends_in_a_chunk(&self) -> bool {
        matches!(self.phase, ExchangePhase::Uploading(RemainingBody::Chunks))
    }

    /// Whether the request asks for a 100 before its body.
    pub(crate) fn expects_continue(&self) -> bool {
        self.options.expect
    }

    /// Whether the body is held back.
    pub(crate) fn is_asking(&self) -> bool {
        matches!(self.phase, ExchangePhase::Asking(_))
    }

    /// Whether the server has stopped listening to the request that was being sent.
    pub(crate) fn is_refused(&self) -> bool {
        matches!(self.phase, ExchangePhase::Refused)
    }

    /// Whether it was sending that failed, so that a response may have come which nobody has looked for.
    pub(crate) fn has_send_failure(&self) -> bool {
        self.send_failure.is_some()
    }

    /// Whether a response of status 1xx has come.
    pub(crate) fn has_interim(&self) -> bool {
        self.interim > 0
    }

    /// Whether the response's body is being read.
    pub(crate) fn is_reading(&self) -> bool {
        matches!(self.phase, ExchangePhase::Reading)
    }

    /// Whether the connection ended under the request, without a response of any kind.
    pub(crate) fn was_lost(&self) -> bool {
        let ended = matches!(
            self.phase,
            ExchangePhase::Failed(HttpError::EmptyReply | HttpError::Send(_) | HttpError::Receive(_))
        );
        ended && self.interim == 0
    }

    /// Whether a response is awaited, and no head has come yet that was more than an interim one.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, ExchangePhase::Waiting)
    }

    /// Whether the request was sent whole, nothing has come back, and a second server may see it as far as
    /// its fields say.
    pub(crate) fn may_be_shared(&self) -> bool {
        let asks_for_more = self.options.upgrade || self.options.expect;
        self.is_waiting() && !asks_for_more && self.interim == 0 && self.send_failure.is_none()
    }

    /// Why the connection was given up, if it was.
    pub(crate) fn check(&self) -> Result<(), HttpError> {
        if let ExchangePhase::Failed(error) = self.phase { Err(error) } else { Ok(()) }
    }

    /// The laws that a state can show.
    fn check_laws(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let ends = self.options.close
            || self.send_failure.is_some()
            || matches!(self.phase, ExchangePhase::Refused | ExchangePhase::Failed(_));
        debug_assert!(!(ends && self.persists), "law 2: {self:?}");
        debug_assert!(self.interim <= MAX_INTERIM, "law 5: {self:?}");
        if let ExchangePhase::Asking(left) = self.phase {
            debug_assert!(self.options.expect && !matches!(left, RemainingBody::Bytes(0)), "law 6: {self:?}");
        }
        if let ExchangePhase::Heading(_) = self.phase {
            debug_assert!(self.interim == 0 && self.send_failure.is_none(), "law 7: {self:?}");
        }
    }
}

#[cfg(test)]
mod tests;
