//! The client above its exchanges: how it comes to a connection that leads to the host, and which request it
//! sends twice. All of its state, and every transition that it makes.
//!
//! A plain value. `connection.rs`, `tunnel.rs` and `sending.rs` ask it for the [next step](Client::next), take it,
//! and tell it what happened, by methods that are named after events. Nothing outside this file decides when a
//! connection is opened, looked at or led through a proxy, or whether a request is repeated.
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
//! 1. **Open** where there is no connection, as late as can be: when a request needs one, or when told to. Each
//!    new connection begins at connected, whatever the one before had come to.
//! 2. **Reuse** a connection that has served a request, once it has been looked at: one that the server has closed,
//!    or on which it has spoken unasked, is given up before anything is sent (RFC 9112 section 9.2), and another
//!    takes its place where one may be opened. A fresh one is not looked at: what a server says there before it
//!    is asked (that it is overloaded, say) can only be meant for the first request.
//! 3. **Tunnel** (RFC 9110 section 9.3.6): where one is set, the proxy is asked for it first thing on each new
//!    connection, and once. It can be set as long as the connection leads nowhere.
//! 4. **Secure**: what is spoken within the tunnel (TLS, say) begins when the proxy has opened it, and before the
//!    first request.
//! 5. **One limit** holds for all of that: the deadline of the opening covers the way through the proxy and what
//!    begins within, whether the proxy is mute or trickles.
//! 6. **Repeat** a request, once, where all of this holds: its connection had served one before, so that the server
//!    may have closed it meanwhile; its method is idempotent (RFC 9110 section 9.2.2: a client "SHOULD NOT
//!    automatically retry a request with a non-idempotent method"); not a byte of an answer has come; all that was
//!    sent is still there; and another connection may be opened. "A client SHOULD NOT automatically retry a failed
//!    automatic retry." Where what was sent is there no more, whoever has it may make the request once more instead.
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

/// What a client has of its connection, and what it may do by itself.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
pub(crate) struct Client {
    reach: Reach,
    /// Whether connections lead through a tunnel.
    tunnel: bool,
    /// Whether connections are opened, and requests repeated, unasked.
    auto_open: bool,
    /// As long as the request may be sent once more, its length: it is at the start of the buffer. Else 0.
    repeatable: usize,
    turn: Turn,
}

/// What may become of a request that is lost.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum Turn {
    /// It is not sent again.
    Last,
    /// It is sent once more, by the client or by whoever has what was sent.
    First,
    /// It was lost, and is on its way to be sent once more.
    Again,
}

/// How far the connection leads.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(test, derive(PartialEq))]
enum Reach {
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
pub(crate) enum Step {
    /// Open a connection.
    Open,
    /// Ask the proxy for the tunnel.
    Tunnel,
    /// Begin what is spoken within the tunnel.
    Secure,
    /// Send it.
    Send,
}

impl Client {
    /// A client with a connection, or without one.
    pub(crate) const fn new(connected: bool) -> Self {
        let reach = if connected { Reach::Connected } else { Reach::Closed };
        Client { reach, tunnel: false, auto_open: true, repeatable: 0, turn: Turn::Last }
    }

    // What has to be done.

    /// The next step on the way to a request.
    pub(crate) fn next(&self) -> Step {
        match self.reach {
            Reach::Closed => Step::Open,
            Reach::Connected if self.tunnel => Step::Tunnel,
            Reach::Within => Step::Secure,
            Reach::Connected | Reach::Ready | Reach::Used => Step::Send,
        }
    }

    /// Whether the connection has to be looked at before another request is sent.
    pub(crate) fn must_look(&self) -> bool {
        matches!(self.reach, Reach::Used)
    }

    /// Whether a connection may be opened unasked, where there is something that `opens` it.
    pub(crate) fn may_open(&self, opens: bool) -> bool {
        self.auto_open && opens
    }

    /// Whether there is a connection.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(self.reach, Reach::Closed)
    }

    /// Whether connections lead to a proxy, through which there is to be a tunnel.
    pub(crate) fn has_tunnel(&self) -> bool {
        self.tunnel
    }

    // What happens to the connection.

    /// There is a new connection. The one before it, if any, is closed.
    pub(crate) fn opened(&mut self) {
        self.reach = Reach::Connected;
        self.repeatable = 0;
        if self.is_first_try() {
            self.turn = Turn::Last;
        }
        self.check_laws();
    }

    /// The connection is gone. What was sent on it is repeated only by [`repeat`](Self::repeat), asked before.
    pub(crate) fn closed(&mut self) {
        self.reach = Reach::Closed;
        self.repeatable = 0;
        self.check_laws();
    }

    /// Whether a tunnel can be set.
    pub(crate) fn may_set_tunnel(&self) -> Result<(), HttpError> {
        match self.reach {
            Reach::Closed | Reach::Connected => Ok(()),
            Reach::Within | Reach::Ready | Reach::Used => Err(HttpError::CannotSetTunnel),
        }
    }

    /// Connections are to lead through a tunnel, this one included.
    pub(crate) fn tunnel_set(&mut self) -> Result<(), HttpError> {
        self.may_set_tunnel()?;
        self.tunnel = true;
        self.check_laws();
        Ok(())
    }

    /// The proxy has opened the tunnel.
    pub(crate) fn tunnel_opened(&mut self) -> Result<(), HttpError> {
        self.take(Step::Tunnel, Reach::Within)
    }

    /// What is spoken within the tunnel has begun.
    pub(crate) fn secured(&mut self) -> Result<(), HttpError> {
        self.take(Step::Secure, Reach::Ready)
    }

    /// The caller says whether connections are opened and requests repeated unasked.
    pub(crate) fn auto_open_set(&mut self, auto_open: bool) {
        self.auto_open = auto_open;
    }

    // The request.

    /// A request goes out for the first time: the first `length` bytes of the buffer. `opens`: something can open another
    /// connection.
    pub(crate) fn request_sent(
        &mut self,
        length: usize,
        idempotent: bool,
        opens: bool,
    ) -> Result<(), HttpError> {
        let kept = self.must_look();
        self.take(Step::Send, Reach::Used)?;
        let first = kept && idempotent && self.may_open(opens);
        (self.turn, self.repeatable) = if first { (Turn::First, length) } else { (Turn::Last, 0) };
        self.check_laws();
        Ok(())
    }

    /// Bytes of the request went out that nobody has any more.
    pub(crate) fn let_go(&mut self) {
        self.repeatable = 0;
    }

    /// Whether all of rule 6 holds that is known when a request is sent: it may be made once more by whoever has what was sent.
    pub(crate) fn is_first_try(&self) -> bool {
        matches!(self.turn, Turn::First)
    }

    /// Whether what was sent is still there to be repeated.
    pub(crate) fn may_repeat(&self) -> bool {
        self.repeatable > 0
    }

    /// The connection was lost under the request; `unanswered`: without a byte of an answer. Gives the length of what is to be
    /// sent once more, if it is. It is not asked for again.
    pub(crate) fn repeat(&mut self, unanswered: bool) -> Option<usize> {
        let length = core::mem::take(&mut self.repeatable);
        let again = length > 0 && unanswered;
        if again {
            self.turn = Turn::Again;
        }
        self.check_laws();
        again.then_some(length)
    }

    /// The request goes out for the second time, over another connection.
    pub(crate) fn request_repeated(&mut self) -> Result<(), HttpError> {
        if !matches!(self.turn, Turn::Again) || self.must_look() {
            return Err(HttpError::CannotSendRequest);
        }
        self.take(Step::Send, Reach::Used)?;
        self.turn = Turn::Last;
        Ok(())
    }

    /// Takes `step`, where it is the next, and comes to `reach`.
    fn take(&mut self, step: Step, reach: Reach) -> Result<(), HttpError> {
        if self.next() != step {
            return Err(HttpError::NotConnected);
        }
        self.reach = reach;
        self.check_laws();
        Ok(())
    }

    /// The laws that a state can show.
    fn check_laws(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        if let Reach::Within | Reach::Ready = self.reach {
            debug_assert!(self.tunnel, "law 1: there is no tunnel to be in: {self:?}");
        }
        let sent = matches!(self.reach, Reach::Used) && self.is_first_try();
        debug_assert!(self.repeatable == 0 || sent, "law 2: {self:?}");
    }
}

#[cfg(test)]
mod tests;
