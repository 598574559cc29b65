//! A connection after its handshake: what the host makes of what is sent, and when it speaks.

use connie_core::Instant;

use crate::host::{SimHost, later};

/// One connection's state on the client's side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub(crate) reset_at: Option<Instant>,
    /// When the response to what was sent begins to arrive.
    response_at: Option<Instant>,
    read: usize,
    window_left: usize,
    window_opens: Instant,
}

/// What a `receive` finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes(usize),
    Closed,
    Nothing,
}

impl Stream {
    pub(crate) fn new(host: &SimHost, established: Instant) -> Self {
        Stream {
            reset_at: host.resets_after.map(|after| later(established, after)),
            response_at: None,
            read: 0,
            window_left: host.window,
            window_opens: established,
        }
    }

    pub(crate) fn is_reset(&self, now: Instant) -> bool {
        self.reset_at.is_some_and(|at| at <= now)
    }

    /// Takes in as much of `length` bytes as the window lets through; 0 when it is shut.
    pub(crate) fn send(&mut self, host: &SimHost, length: usize, now: Instant) -> usize {
        if self.window_opens <= now {
            self.window_left = host.window;
        }
        let taken = length.min(self.window_left);
        if taken == 0 {
            return 0;
        }
        if self.window_left == host.window {
            self.window_opens = later(now, host.round_trip);
        }
        self.window_left -= taken;
        if let Some(service) = &host.service {
            let finished = self.read == service.response.len() && self.response_at.is_some();
            if finished && !service.closes {
                (self.read, self.response_at) = (0, None);
            }
            if self.response_at.is_none_or(|at| at > now) {
                self.response_at = Some(later(now, host.round_trip + service.think));
            }
        }
        taken
    }

    /// Reads up to `buffer.len()` bytes of what has arrived, never more than one segment.
    pub(crate) fn receive(&mut self, host: &SimHost, buffer: &mut [u8], now: Instant) -> Received {
        let (Some(service), Some(at)) = (&host.service, self.response_at) else { return Received::Nothing };
        if at > now {
            return Received::Nothing;
        }
        if self.read == service.response.len() {
            return if service.closes { Received::Closed } else { Received::Nothing };
        }
        if self.next_segment(host).is_none_or(|at| at > now) {
            return Received::Nothing;
        }
        let segment_ends = (self.read / service.segment).saturating_add(1).saturating_mul(service.segment);
        let arrived = &service.response[self.read..segment_ends.min(service.response.len())];
        let count = arrived.len().min(buffer.len());
        buffer[..count].copy_from_slice(&arrived[..count]);
        self.read += count;
        Received::Bytes(count)
    }

    /// When the segment that holds the next byte arrives, or the close; `None` when neither is due.
    fn next_segment(&self, host: &SimHost) -> Option<Instant> {
        let (service, at) = (host.service.as_ref()?, self.response_at?);
        if self.read == service.response.len() && !service.closes {
            return None;
        }
        // The close comes with the last segment.
        let byte = self.read.min(service.response.len().saturating_sub(1));
        Some(later(at, (byte / service.segment) as u64 * service.gap))
    }

    /// When there will be something to receive: bytes, a close or a reset.
    pub(crate) fn receivable_at(&self, host: &SimHost) -> Option<Instant> {
        earliest(self.next_segment(host), self.reset_at)
    }

    /// When there will be room to send, or a reset.
    pub(crate) fn sendable_at(&self, now: Instant) -> Option<Instant> {
        let room = if self.window_left > 0 { now } else { self.window_opens };
        earliest(Some(room), self.reset_at)
    }
}

/// The earlier of two moments that may never come.
pub(crate) fn earliest(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
