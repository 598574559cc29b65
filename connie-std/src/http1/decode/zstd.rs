//! Zstandard (RFC 8878), undone as it is read.
//!
//! The decoder takes whole blocks, and cannot go on after an error of what it reads from: so a block is
//! gathered first. No block is longer than 128 KiB, on either side.

use std::io::{self, BufRead, Read};

use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// The largest window that the content coding may have (RFC 9659 section 3). A larger one is refused, as
/// browsers do: it is memory that is taken at a server's word.
const MAX_WINDOW: u64 = 8 * 1024 * 1024;
/// The longest block (RFC 8878 section 3.1.1.2.4).
const MAX_BLOCK: usize = 128 * 1024;
/// What a frame begins with (section 3.1.1).
const MAGIC: u32 = 0xfd2f_b528;
/// What a frame begins with that is to be skipped, but for its last four bits (section 3.1.2).
const SKIPPABLE: u32 = 0x184d_2a50;

/// A body without its Zstandard. Its errors are `UnexpectedEof` where the data ends too early, `InvalidData`
/// where they are wrong, and those of the source, after which it can go on.
pub(super) struct ZstdReader<B> {
    source: B,
    decoder: FrameDecoder,
    position: Position,
    /// What has been gathered of a header or a block.
    gathered: Vec<u8>,
}

/// Where in the data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// Before a frame, or at the end.
    BetweenFrames,
    /// In a frame that is to be skipped: so many bytes are left.
    Skipping(u32),
    /// Before a block, of a frame that ends with a checksum or not.
    BeforeBlock { has_checksum: bool },
    /// All blocks of the frame have gone in.
    AfterLastBlock { has_checksum: bool },
}

impl<B: BufRead> ZstdReader<B> {
    pub(super) fn new(source: B) -> Self {
        let mut decoder = FrameDecoder::new();
        decoder.set_max_window_size(MAX_WINDOW);
        ZstdReader { source, decoder, position: Position::BetweenFrames, gathered: Vec::new() }
    }

    pub(super) fn get_mut(&mut self) -> &mut B {
        &mut self.source
    }

    pub(super) fn into_inner(self) -> B {
        self.source
    }

    /// Gathers until there are `length` bytes.
    fn gather(&mut self, length: usize) -> io::Result<()> {
        while let Some(missing) = length.checked_sub(self.gathered.len()).filter(|missing| *missing > 0) {
            let input = self.source.fill_buf()?;
            if input.is_empty() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            let count = input.len().min(missing);
            self.gathered.extend_from_slice(&input[..count]);
            self.source.consume(count);
        }
        Ok(())
    }

    /// A little-endian number at `at`, where as many bytes have been gathered.
    fn number(&self, at: usize, length: usize) -> u32 {
        let bytes = self.gathered.iter().skip(at).take(length).rev();
        bytes.fold(0, |number, byte| number << 8 | u32::from(*byte))
    }

    /// The header of a frame. Answers false at the end of the data.
    fn begin_frame(&mut self) -> io::Result<bool> {
        if self.gathered.is_empty() && self.source.fill_buf()?.is_empty() {
            return Ok(false);
        }
        self.gather(4)?;
        match self.number(0, 4) {
            MAGIC => {}
            magic if magic & !0xf == SKIPPABLE => {
                self.gather(8)?;
                self.position = Position::Skipping(self.number(4, 4));
                self.gathered.clear();
                return Ok(true);
            }
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
        self.gather(5)?;
        let descriptor = self.number(4, 1);
        // Section 3.1.1.1.1: the flags say which fields follow.
        let is_single_segment = descriptor >> 5 & 1 == 1;
        let has_checksum = descriptor >> 2 & 1 == 1;
        let dictionary = [0, 1, 2, 4][descriptor as usize & 3];
        let content_size = [usize::from(is_single_segment), 2, 4, 8][descriptor as usize >> 6];
        self.gather(5 + usize::from(!is_single_segment) + dictionary + content_size)?;
        self.decoder.reset(&self.gathered[..]).map_err(|_| io::ErrorKind::InvalidData)?;
        self.gathered.clear();
        self.position = Position::BeforeBlock { has_checksum };
        Ok(true)
    }

    /// One block, and the checksum after the last.
    fn take_block(&mut self, has_checksum: bool) -> io::Result<()> {
        self.gather(3)?;
        let header = self.number(0, 3);
        let (is_last, kind, size) = (header & 1 == 1, header >> 1 & 3, (header >> 3) as usize);
        if size > MAX_BLOCK {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // A block of one byte that is repeated has that byte alone (section 3.1.1.2.2).
        let length = if kind == 1 { 1 } else { size };
        self.gather(3 + length + if is_last && has_checksum { 4 } else { 0 })?;
        let taken = self.decoder.decode_blocks(&self.gathered[..], BlockDecodingStrategy::UptoBlocks(1));
        taken.map_err(|_| io::ErrorKind::InvalidData)?;
        self.gathered.clear();
        if is_last {
            self.position = Position::AfterLastBlock { has_checksum };
        }
        Ok(())
    }

    /// All of a frame has come out.
    fn end_frame(&mut self, has_checksum: bool) -> io::Result<()> {
        let calculated = self.decoder.get_calculated_checksum();
        if has_checksum && self.decoder.get_checksum_from_data() != calculated {
            return Err(io::ErrorKind::InvalidData.into());
        }
        self.position = Position::BetweenFrames;
        Ok(())
    }

    fn skip(&mut self, left: u32) -> io::Result<()> {
        let input = self.source.fill_buf()?;
        if input.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let count = input.len().min(left as usize);
        self.source.consume(count);
        // Not more than are left.
        self.position = Position::Skipping(left - count as u32);
        Ok(())
    }
}

impl<B: BufRead> Read for ZstdReader<B> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.position {
                Position::BetweenFrames => match self.begin_frame()? {
                    true => {}
                    false => return Ok(0),
                },
                Position::Skipping(0) => self.position = Position::BetweenFrames,
                Position::Skipping(left) => self.skip(left)?,
                Position::BeforeBlock { has_checksum } => match self.decoder.read(into)? {
                    0 => self.take_block(has_checksum)?,
                    count => return Ok(count),
                },
                Position::AfterLastBlock { has_checksum } => match self.decoder.read(into)? {
                    0 => self.end_frame(has_checksum)?,
                    count => return Ok(count),
                },
            }
        }
    }
}
