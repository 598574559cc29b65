//! Brotli (RFC 7932), undone as it is read.

use std::io::{self, BufRead, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

/// A body without its Brotli. Its errors are `UnexpectedEof` where the data ends too early, `InvalidData`
/// where they are wrong, and those of the source, after which it can go on.
pub(super) struct BrotliReader<B> {
    source: B,
    state: BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>,
    /// How much has come out.
    total: usize,
    /// Whether there is more to come out of what has gone in.
    holds_output: bool,
    ended: bool,
}

impl<B: BufRead> BrotliReader<B> {
    pub(super) fn new(source: B) -> Self {
        let alloc = StandardAlloc::default;
        // Without the large windows of another format, which may take a gigabyte: 16 MiB is the most
        // (section 9.1).
        let state = BrotliState::new_strict(alloc(), alloc(), alloc());
        BrotliReader { source, state, total: 0, holds_output: false, ended: false }
    }

    pub(super) fn get_mut(&mut self) -> &mut B {
        &mut self.source
    }

    pub(super) fn into_inner(self) -> B {
        self.source
    }
}

impl<B: BufRead> Read for BrotliReader<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !self.ended && !into.is_empty() {
            let input = if self.holds_output { &[] } else { self.source.fill_buf()? };
            let is_at_end = input.is_empty() && !self.holds_output;
            let (mut input_left, mut taken, mut room, mut written) = (input.len(), 0, into.len(), 0);
            let result = BrotliDecompressStream(
                &mut input_left,
                &mut taken,
                input,
                &mut room,
                &mut written,
                into,
                &mut self.total,
                &mut self.state,
            );
            self.source.consume(taken);
            self.holds_output = matches!(result, BrotliResult::NeedsMoreOutput);
            match result {
                BrotliResult::ResultFailure => return Err(io::ErrorKind::InvalidData.into()),
                BrotliResult::NeedsMoreInput if is_at_end && written == 0 => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                BrotliResult::ResultSuccess => self.ended = true,
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
            }
            if written > 0 {
                return Ok(written);
            }
        }
        Ok(0)
    }
}
