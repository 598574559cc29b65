//! What a connection has received of a response, and where in its buffer that is.

use crate::error::HttpError;
use crate::exchange_state::ExchangeState;
use crate::fields;
use crate::response_head::{HeadLayout, HeadScanner, ResponseHead};
use crate::syntax::{copy, move_down, move_up};

/// What has been received, and where in the buffer it is: the heads that are kept as they came, the head, the
/// trailer section, and the bytes that are not decoded yet.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReceiveBuffer {
    /// Whether all heads stay in the buffer as they came.
    keeps_heads: bool,
    /// Where the head begins that is read, or is awaited: behind those that are kept.
    before: usize,
    /// Where the heads end, as they came, which begin at the buffer's start.
    raw: usize,
    scanner: HeadScanner,
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
    /// One that nothing has been received in.
    pub(crate) fn new(keeps_heads: bool) -> Self {
        ReceiveBuffer { keeps_heads, ..ReceiveBuffer::default() }
    }

    /// Whether all heads stay in the buffer as they came. Without the feature, none of what that takes is in
    /// the program.
    pub(crate) fn keeps_heads(&self) -> bool {
        cfg!(feature = "raw-heads") && self.keeps_heads
    }

    fn before(&self) -> usize {
        if self.keeps_heads() { self.before } else { 0 }
    }

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
            let received = room.get_mut(self.before()..self.end).unwrap_or_default();
            let Some(length) = self.scanner.scan(received)? else {
                return Ok(None);
            };
            if self.keeps_heads() {
                self.keep_head(room, length)?;
            }
            let end = self.before().saturating_add(length);
            let head = HeadLayout::read(room.get_mut(self.before()..end).unwrap_or_default())?;
            if exchange.on_head_received(head.status)? {
                self.head = Some(head);
                self.start = end;
                break;
            }
            self.drop_head(room, end);
            self.scanner = HeadScanner::new();
        }
        Ok(self.head)
    }

    /// Keeps the head of this length as it came. Folded lines are joined in place where a head is read: then
    /// what is read is a copy behind it.
    fn keep_head(&mut self, room: &mut [u8], length: usize) -> Result<(), HttpError> {
        let end = self.before().saturating_add(length);
        self.raw = end;
        if !fields::is_folded(room.get(self.before()..end).unwrap_or_default()) {
            return Ok(());
        }
        let capacity = room.len();
        let moved = room.get_mut(self.before()..self.end.saturating_add(length));
        let moved = moved.ok_or(HttpError::HeadTooLarge { capacity })?;
        move_up(moved, length);
        self.before = end;
        self.end = self.end.saturating_add(length);
        Ok(())
    }

    /// Another head follows the one that was read, which ends at `end`: it is dropped, unless it is kept as
    /// it came, and what was read is no copy.
    fn drop_head(&mut self, room: &mut [u8], end: usize) {
        if self.keeps_heads() && self.raw == end {
            self.before = end;
            return;
        }
        let rest = self.end.saturating_sub(end);
        move_down(room, end, rest, self.before());
        self.end = self.before().saturating_add(rest);
    }

    /// The head in `buffer`; an empty one where there is none.
    #[inline]
    pub(crate) fn view<'b>(&self, buffer: &'b [u8]) -> ResponseHead<'b> {
        self.head.unwrap_or_default().view(buffer.get(self.before()..).unwrap_or_default())
    }

    /// The heads in `buffer` as they came, where they are kept: all lines that are complete.
    pub(crate) fn raw_heads<'b>(&self, buffer: &'b [u8]) -> &'b [u8] {
        let end = match self.head {
            None if self.keeps_heads() => self.raw.max(self.before().saturating_add(self.scanner.complete())),
            _ => self.raw,
        };
        buffer.get(..end).unwrap_or_default()
    }

    /// Whether nothing has been received, beside heads that are not the final one.
    pub(crate) fn is_empty(&self) -> bool {
        self.end == self.before()
    }

    /// Where the bytes that stay for the length of the exchange end: the heads and the trailers.
    pub(crate) fn kept(&self) -> usize {
        let head = self.head.map_or(0, |head| head.length);
        self.before().saturating_add(head).saturating_add(self.trailers)
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
