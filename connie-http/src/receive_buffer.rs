//! What a connection has received of a response, and where in its buffer that is.

use crate::error::HttpError;
use crate::exchange_state::ExchangeState;
use crate::response_head::{HeadLayout, HeadScanner};
use crate::syntax::{copy, move_down};

/// What has been received, and where in the buffer it is: the head, the trailer section, and the bytes that
/// are not decoded yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiveBuffer {
    pub(crate) scanner: HeadScanner,
    /// The final head, once it is there.
    pub(crate) head: Option<HeadLayout>,
    /// The length of the trailer section so far, which is kept behind the head.
    pub(crate) trailers: usize,
    /// The bytes not decoded yet.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Bytes that came after the response's end.
    pub(crate) surplus: usize,
}

impl ReceiveBuffer {
    /// Room for more; `None` where there is none.
    pub(crate) fn free<'b>(&self, room: &'b mut [u8]) -> Option<&'b mut [u8]> {
        room.get_mut(self.end..).filter(|free| !free.is_empty())
    }

    /// Records `count` more bytes.
    pub(crate) fn on_received(&mut self, count: usize) {
        self.end = self.end.saturating_add(count);
    }

    /// The bytes not decoded yet.
    pub(crate) fn unread<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// The final head among what has been received, if it is there; those before it, of which `exchange` is
    /// told, are dropped.
    pub(crate) fn next_head(
        &mut self,
        room: &mut [u8],
        exchange: &mut ExchangeState,
    ) -> Result<Option<HeadLayout>, HttpError> {
        let found = self.find_head(room, exchange);
        if found.is_err() {
            // So that the next look finds the same fault.
            self.scanner = HeadScanner::new();
        }
        found
    }

    fn find_head(
        &mut self,
        room: &mut [u8],
        exchange: &mut ExchangeState,
    ) -> Result<Option<HeadLayout>, HttpError> {
        while self.head.is_none() {
            let received = room.get_mut(..self.end).unwrap_or_default();
            let Some(length) = self.scanner.scan(received)? else {
                return Ok(None);
            };
            let head = HeadLayout::read(received.get_mut(..length).unwrap_or_default())?;
            if exchange.on_head_received(head.status)? {
                self.head = Some(head);
                self.start = length;
                break;
            }
            let rest = self.end.saturating_sub(length);
            move_down(room, length, rest, 0);
            self.end = rest;
            self.scanner = HeadScanner::new();
        }
        Ok(self.head)
    }

    /// Whether nothing has been received, beside heads that were dropped.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == 0
    }

    /// Where the bytes that stay for the length of the exchange end: the head and the trailers.
    pub(crate) fn kept(&self) -> usize {
        self.head.map_or(0, |head| head.length).saturating_add(self.trailers)
    }

    /// Keeps `section`, a part of the trailer section.
    pub(crate) fn keep_trailers(&mut self, room: &mut [u8], section: &[u8]) -> Result<(), HttpError> {
        let to = room.get_mut(self.kept()..).unwrap_or_default();
        if copy(section, to) < section.len() {
            return Err(HttpError::TrailersTooLarge);
        }
        self.trailers = self.trailers.saturating_add(section.len());
        Ok(())
    }
}
