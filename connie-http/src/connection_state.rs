//! The connection below its exchanges: whether there is one, how far it leads, and which request is sent
//! twice. All of its state, and every transition that it makes.
//!
//! A plain value. `connection.rs`, `tunnel.rs` and `sending.rs` ask it for the [next
//! step](ConnectionState::next), take it, and report each event by a method: `on_opened` for the event
//! `opened`. Nothing outside this file decides when a connection is opened, checked or led through a proxy,
//! or whether a request is repeated.
//!
//! # The rules
//!
//! ```text
//! closed ──opened──▶ connected ──tunnel_opened──▶ within ──secured──▶ ready
//!   ▲                    │      where one is set                       │
//!   │                    │ where none is set                           │
//!   │                    └──────request_sent────▶ used ◀──request_sent─┘
//!   │                                            │   ▲
//!   │                                            └───┘ request_sent
//!   └──closed: from any, by the host, the proxy, a failure, or the caller
//! ```
//!
//! 1. **Open** where there is no connection, as late as can be: when a request needs one, or on request. Each
//!    new connection begins at connected, whatever the one before had come to.
//! 2. **Reuse** a connection that has served a request, once it has been looked at: one that the server has
//!    closed, or on which it has spoken unasked, is given up before anything is sent (RFC 9112 section 9.2),
//!    and another takes its place where one may be opened. A fresh one is not looked at: what a server says
//!    there before it is asked (that it is overloaded, say) can only be meant for the first request.
//! 3. **Tunnel** (RFC 9110 section 9.3.6): where one is set, the proxy is asked for it first thing on each
//!    new connection, and once. It can be set as long as the connection leads nowhere.
//! 4. **Secure**: what is spoken within the tunnel (TLS, say) begins when the proxy has opened it, and before
//!    the first request.
//! 5. **One limit** holds for all of that: the deadline of the opening covers the route through the proxy and
//!    what begins within, whether the proxy is mute or trickles.
//! 6. **Repeat** a request, once, where all of this holds: its connection had served one before, so that the
//!    server may have closed it meanwhile; its method is idempotent (RFC 9110 section 9.2.2: a client "SHOULD
//!    NOT automatically retry a request with a non-idempotent method"); not a byte of a response has come;
//!    all that was sent is still there; and another connection may be opened. "A client SHOULD NOT
//!    automatically retry a failed automatic retry." Where what was sent is there no more, whoever has it may
//!    make the request once more instead. A request that went out over two connections, for the first
//!    response of either, is not repeated: see `response_race.rs`.
//! 7. **Nothing is opened unasked** where the caller has turned that off.
//!
//! # The laws
//!
//! They hold after every event. Debug builds assert what a state can show of them; the tests walk every state
//! that any sequence of events can reach.
//!
//! 1. A request is sent only over a connection that leads to the host: opened, and led through the tunnel and
//!    secured within it where one is set, on this very connection.
//! 2. No request is sent more than twice. The second time there is another connection.
//! 3. A request is sent twice only where rule 6 allows it.
//! 4. From each state at most three steps lead to the sending, none of them twice.
//! 5. A tunnel is never set on a connection that leads to a host.
//! 6. An event that has no place in a state is refused with an error, and changes nothing.

use crate::error::HttpError;

/// How far the connection leads, and what may be done without the caller.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct ConnectionState {
    phase: ConnectionPhase,
    /// Whether connections lead through a tunnel.
    tunnel: bool,
    /// Whether connections are opened, and requests repeated, unasked.
    auto_open: bool,
    /// As long as the request may be sent once more, its length: it is at the start of the buffer. Else 0.
    repeatable: usize,
    repeat_state: RepeatState,
}

/// What may become of a request that is lost.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum RepeatState {
    /// It is not sent again.
    Never,
    /// It is sent once more, by the client or by whoever has what was sent.
    Allowed,
    /// It was lost, and is on its way to be sent once more.
    UnderWay,
    /// It was sent twice.
    Twice,
}

/// How far the connection leads.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum ConnectionPhase {
    /// There is none.
    Closed,
    /// To the host, or to the proxy where a tunnel is set. Nothing has been sent.
    Connected,
    /// Through the proxy.
    Within,
    /// Through the proxy, and what is spoken within the tunnel has begun.
    Ready,
    /// To the host, which has been sent a request.
    Used,
}

/// What has to be done next so that a request can be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ConnectStep {
    /// Open a connection.
    Open,
    /// Ask the proxy for the tunnel.
    Tunnel,
    /// Begin what is spoken within the tunnel.
    Secure,
    /// Send it.
    Send,
}

impl ConnectionState {
    /// The state with a connection, or without one.
    pub(crate) const fn new(connected: bool) -> Self {
        let phase = if connected { ConnectionPhase::Connected } else { ConnectionPhase::Closed };
        ConnectionState {
            phase,
            tunnel: false,
            auto_open: true,
            repeatable: 0,
            repeat_state: RepeatState::Never,
        }
    }

    // What has to be done.

    /// The next step on the way to a request.
    pub(crate) fn next(&self) -> ConnectStep {
        match self.phase {
            ConnectionPhase::Closed => ConnectStep::Open,
            ConnectionPhase::Connected if self.tunnel => ConnectStep::Tunnel,
            ConnectionPhase::Within => ConnectStep::Secure,
            ConnectionPhase::Connected | ConnectionPhase::Ready | ConnectionPhase::Used => ConnectStep::Send,
        }
    }

    /// Whether the connection has to be looked at before another request is sent.
    pub(crate) fn must_check_idle(&self) -> bool {
        matches!(self.phase, ConnectionPhase::Used)
    }

    /// Whether a connection may be opened unasked, where there is something that `opens` it.
    pub(crate) fn may_open(&self, opens: bool) -> bool {
        self.auto_open && opens
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.phase, ConnectionPhase::Closed)
    }

    /// Whether connections lead to a proxy, through which there is to be a tunnel.
    pub(crate) fn has_tunnel(&self) -> bool {
        self.tunnel
    }

    // What happens to the connection.

    /// There is a new connection. The one before it, if any, is closed.
    pub(crate) fn on_opened(&mut self) {
        self.phase = ConnectionPhase::Connected;
        self.repeatable = 0;
        if self.is_first_try() {
            self.repeat_state = RepeatState::Never;
        }
        self.check_laws();
    }

    /// The connection is gone. What was sent on it is repeated only by [`repeat`](Self::repeat), asked
    /// before.
    pub(crate) fn on_closed(&mut self) {
        self.phase = ConnectionPhase::Closed;
        self.repeatable = 0;
        self.check_laws();
    }

    /// Whether a tunnel can be set.
    pub(crate) fn may_set_tunnel(&self) -> Result<(), HttpError> {
        match self.phase {
            ConnectionPhase::Closed | ConnectionPhase::Connected => Ok(()),
            ConnectionPhase::Within | ConnectionPhase::Ready | ConnectionPhase::Used => {
                Err(HttpError::CannotSetTunnel)
            }
        }
    }

    /// Connections are to lead through a tunnel, this one included.
    pub(crate) fn on_tunnel_set(&mut self) -> Result<(), HttpError> {
        self.may_set_tunnel()?;
        self.tunnel = true;
        self.check_laws();
        Ok(())
    }

    /// The proxy has opened the tunnel.
    pub(crate) fn on_tunnel_opened(&mut self) -> Result<(), HttpError> {
        self.take(ConnectStep::Tunnel, ConnectionPhase::Within)
    }

    /// What is spoken within the tunnel has begun.
    pub(crate) fn on_secured(&mut self) -> Result<(), HttpError> {
        self.take(ConnectStep::Secure, ConnectionPhase::Ready)
    }

    /// The caller says whether connections are opened and requests repeated unasked.
    pub(crate) fn on_auto_open_set(&mut self, auto_open: bool) {
        self.auto_open = auto_open;
    }

    // The request.

    /// A request goes out for the first time: the first `length` bytes of the buffer. `opens`: something can
    /// open another connection.
    pub(crate) fn on_request_sent(
        &mut self,
        length: usize,
        idempotent: bool,
        opens: bool,
    ) -> Result<(), HttpError> {
        let kept = self.must_check_idle();
        self.take(ConnectStep::Send, ConnectionPhase::Used)?;
        let first = kept && idempotent && self.may_open(opens);
        (self.repeat_state, self.repeatable) =
            if first { (RepeatState::Allowed, length) } else { (RepeatState::Never, 0) };
        self.check_laws();
        Ok(())
    }

    /// The request went out over another connection too, for the first response of either. It is not sent a
    /// third time.
    pub(crate) fn on_sent_again(&mut self) {
        self.repeatable = 0;
        self.repeat_state = RepeatState::Twice;
        self.check_laws();
    }

    /// Whether the request was sent over two connections already.
    pub(crate) fn was_sent_twice(&self) -> bool {
        matches!(self.repeat_state, RepeatState::Twice)
    }

    /// Bytes of the request went out that nobody has any more.
    pub(crate) fn on_bytes_dropped(&mut self) {
        self.repeatable = 0;
    }

    /// Whether all of rule 6 holds that is known when a request is sent: it may be made once more by whoever
    /// has what was sent.
    pub(crate) fn is_first_try(&self) -> bool {
        matches!(self.repeat_state, RepeatState::Allowed)
    }

    /// Whether what was sent is still there to be repeated.
    pub(crate) fn may_repeat(&self) -> bool {
        self.repeatable > 0
    }

    /// The connection was lost under the request; `unanswered`: without a byte of a response. Gives the
    /// length of what is to be sent once more, if it is. It is not asked for again.
    pub(crate) fn repeat(&mut self, unanswered: bool) -> Option<usize> {
        let length = core::mem::take(&mut self.repeatable);
        let again = length > 0 && unanswered;
        if again {
            self.repeat_state = RepeatState::UnderWay;
        }
        self.check_laws();
        again.then_some(length)
    }

    /// The request goes out for the second time, over another connection.
    pub(crate) fn on_request_repeated(&mut self) -> Result<(), HttpError> {
        if !matches!(self.repeat_state, RepeatState::UnderWay) || self.must_check_idle() {
            return Err(HttpError::CannotSendRequest);
        }
        self.take(ConnectStep::Send, ConnectionPhase::Used)?;
        self.repeat_state = RepeatState::Twice;
        Ok(())
    }

    /// Takes `step`, where it is the next, and comes to `reach`.
    fn take(&mut self, step: ConnectStep, phase: ConnectionPhase) -> Result<(), HttpError> {
        if self.next() != step {
            return Err(HttpError::NotConnected);
        }
        self.phase = phase;
        self.check_laws();
        Ok(())
    }

    /// The laws that a state can show.
    fn check_laws(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        if let ConnectionPhase::Within | ConnectionPhase::Ready = self.phase {
            debug_assert!(self.tunnel, "law 1: there is no tunnel to be in: {self:?}");
        }
        let sent = matches!(self.phase, ConnectionPhase::Used) && self.is_first_try();
        debug_assert!(self.repeatable == 0 || sent, "law 2: {self:?}");
    }
}

#[cfg(test)]
mod tests;
