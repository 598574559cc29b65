//! `br` and `zstd`.

use std::io::{self, Read};

use ruzstd::encoding::{CompressionLevel, compress_to_vec};

use super::{DecodeError, Decoded};

/// By the programs brotli 1.0.9 and zstd 1.5.4, the second with a checksum.
const SQUARES_BR: &[u8] = include_bytes!("squares.br");
const SQUARES_ZSTD: &[u8] = include_bytes!("squares.zst");

fn squares() -> Vec<u8> {
    (0..200_u32).flat_map(|n| format!("{} ", n * n).into_bytes()).collect()
}

/// Larger than any window is at first.
fn text() -> Vec<u8> {
    (0..200_000_u32).flat_map(|n| n.to_string().into_bytes()).collect()
}

fn zstd(data: &[u8]) -> Vec<u8> {
    compress_to_vec(data, CompressionLevel::Fastest)
}

/// Brotli that compresses nothing: meta-blocks that are stored (RFC 7932 section 9.2).
fn stored(data: &[u8]) -> Vec<u8> {
    // A window of 64 KiB is the bit 0.
    let mut bits = vec![false];
    let mut out = Vec::new();
    let put = |bits: &mut Vec<bool>, number: usize, length: usize| {
        bits.extend((0..length).map(|at| number >> at & 1 == 1));
    };
    let flush = |bits: &mut Vec<bool>, out: &mut Vec<u8>| {
        for byte in bits.chunks(8) {
            out.push(byte.iter().rev().fold(0, |number, bit| number << 1 | u8::from(*bit)));
        }
        bits.clear();
    };
    for block in data.chunks(65_536) {
        // Not the last; four nibbles of length less one; stored.
        put(&mut bits, 0, 1);
        put(&mut bits, 0, 2);
        put(&mut bits, block.len() - 1, 16);
        put(&mut bits, 1, 1);
        flush(&mut bits, &mut out);
        out.extend_from_slice(block);
    }
    // The last, and empty.
    put(&mut bits, 3, 2);
    flush(&mut bits, &mut out);
    out
}

fn decode(encoding: &str, body: &[u8]) -> io::Result<Vec<u8>> {
    let mut decoded = Vec::new();
    Decoded::new(encoding.as_bytes(), body)?.read_to_end(&mut decoded)?;
    Ok(decoded)
}

#[track_caller]
fn expect_error(encoding: &str, body: &[u8], expected: DecodeError) {
    let error = decode(encoding, body).expect_err("a fault");
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<DecodeError>());
    assert_eq!(inner, Some(&expected), "{error:?}");
}

#[test]
fn both_are_undone() {
    assert_eq!(decode("br", SQUARES_BR).expect("br"), squares());
    assert_eq!(decode("zstd", SQUARES_ZSTD).expect("zstd"), squares());
    assert_eq!(decode("BR", &stored(&text())).expect("stored"), text());
    assert_eq!(decode("zstd", &zstd(&text())).expect("many blocks"), text());
    assert_eq!(decode("br, zstd", &zstd(SQUARES_BR)).expect("both"), squares());
    for encoding in ["br", "zstd"] {
        assert_eq!(decode(encoding, b"").expect("no body"), b"");
    }
    assert_eq!(decode("br", &stored(b"")).expect("an empty one"), b"");
    assert_eq!(decode("zstd", &zstd(b"")).expect("an empty one"), b"");
}

#[test]
fn frames_of_zstd_follow_one_another_and_some_are_skipped() {
    let skipped = [&[0x5a, 0x2a, 0x4d, 0x18, 3, 0, 0, 0][..], b"xyz"].concat();
    let body = [&zstd(b"first ")[..], &skipped, &zstd(b""), SQUARES_ZSTD].concat();
    assert_eq!(decode("zstd", &body).expect("frames"), [b"first ", &squares()[..]].concat());
    expect_error("zstd", &skipped[..10], DecodeError::Truncated);
}

#[test]
fn a_body_cut_anywhere_is_truncated() {
    for (encoding, body) in [("br", SQUARES_BR), ("zstd", SQUARES_ZSTD)] {
        for length in 1..body.len() {
            expect_error(encoding, &body[..length], DecodeError::Truncated);
        }
    }
}

/// Each bit of both is turned once. Brotli has no checksum: there it is enough that nothing breaks.
#[test]
fn a_bit_that_is_wrong_is_noticed_or_does_no_harm() {
    for (encoding, body) in [("br", SQUARES_BR), ("zstd", SQUARES_ZSTD)] {
        for bit in 0..body.len() * 8 {
            let mut body = body.to_vec();
            body[bit / 8] ^= 1 << (bit % 8);
            let mut decoded = Vec::new();
            let read = Decoded::new(encoding.as_bytes(), &body[..]).expect("it is known");
            let result = read.take(1 << 24).read_to_end(&mut decoded);
            let is_right = result.is_ok() && decoded == squares();
            assert!(encoding == "br" || !is_right || bit / 8 < 8, "bit {bit} of zstd goes unnoticed");
        }
    }
}

#[test]
fn what_is_wrong_has_a_name() {
    for encoding in ["br", "zstd"] {
        expect_error(encoding, b"<!DOCTYPE html><html></html>", DecodeError::Corrupt);
    }
    expect_error("br", &[SQUARES_BR, b"surplus"].concat(), DecodeError::Surplus);
    expect_error("zstd", &[SQUARES_ZSTD, b"surplus"].concat(), DecodeError::Corrupt);
    let mut checksum = SQUARES_ZSTD.to_vec();
    *checksum.last_mut().unwrap() ^= 1;
    expect_error("zstd", &checksum, DecodeError::Corrupt);
    // A frame with a window of 16 MiB, of which RFC 9659 allows half: exponent 14, no mantissa.
    expect_error("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 14 << 3, 1, 0, 0], DecodeError::Corrupt);
    assert_eq!(decode("zstd", &[0x28, 0xb5, 0x2f, 0xfd, 0x00, 13 << 3, 1, 0, 0]).expect("8 MiB"), b"");
}

/// Hands out one byte at a time, and an error of its own before each.
struct Hesitant<'a>(&'a [u8], bool);

impl Read for Hesitant<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.1 = !self.1;
        if self.1 {
            return Err(io::Error::new(io::ErrorKind::TimedOut, "not yet"));
        }
        let count = into.len().min(1);
        self.0.read(&mut into[..count])
    }
}

#[test]
fn an_error_of_the_body_passes_and_reading_can_go_on() {
    for (encoding, body) in [("br", SQUARES_BR), ("zstd", SQUARES_ZSTD)] {
        let mut decoded = Decoded::new(encoding.as_bytes(), Hesitant(body, false)).expect(encoding);
        let (mut text, mut piece, mut errors) = (Vec::new(), [0; 4], 0);
        loop {
            match decoded.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => text.extend_from_slice(&piece[..count]),
                Err(error) => {
                    assert_eq!(error.to_string(), "not yet", "{encoding}");
                    errors += 1;
                }
            }
        }
        assert_eq!(text, squares(), "{encoding}");
        assert!(errors >= body.len(), "{errors} errors in {} bytes", body.len());
    }
}

/// Blocks of a repeated byte: four bytes stand for 128 KiB.
#[test]
fn a_bomb_is_read_as_far_as_it_is_wanted() {
    let mut bomb = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for _ in 0..100_000 {
        bomb.extend_from_slice(&[2, 0, 0x10, b'x']);
    }
    let mut decoded = Decoded::new(b"zstd", &bomb[..]).expect("zstd").take(1 << 20);
    assert_eq!(io::copy(&mut decoded, &mut io::sink()).expect("xs"), 1 << 20);
}
