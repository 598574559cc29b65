//! Writes a head into a buffer.

use crate::error::HttpError;
use crate::syntax::{copy, spell};

/// Appends to a slice.
pub(crate) struct Writer<'b> {
    buffer: &'b mut [u8],
    length: usize,
}

impl<'b> Writer<'b> {
    /// Appends after the first `length` bytes of `buffer`.
    pub(crate) fn after(buffer: &'b mut [u8], length: usize) -> Self {
        Writer { buffer, length }
    }

    pub(crate) fn length(&self) -> usize {
        self.length
    }

    /// Takes back what was appended beyond `length`.
    pub(crate) fn truncate(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    pub(crate) fn put(&mut self, text: &[u8]) -> Result<(), HttpError> {
        let free = self.buffer.get_mut(self.length..).unwrap_or_default();
        if copy(text, free) < text.len() {
            return Err(HttpError::BufferTooSmall);
        }
        self.length = self.length.saturating_add(text.len());
        Ok(())
    }

    pub(crate) fn put_decimal(&mut self, number: u64) -> Result<(), HttpError> {
        // 2^64 has 20 decimal digits.
        let mut digits = [0; 20];
        self.put(spell::<10>(number, &mut digits))
    }
}
