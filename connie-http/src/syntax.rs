//! The few grammar rules that requests and responses share, and writing into a slice that may be too short.

/// RFC 9110 section 5.6.2, `token`.
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

pub(crate) const fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(
            byte,
            b'!' | b'#'
                | b'$'
                | b'%'
                | b'&'
                | b'\''
                | b'*'
                | b'+'
                | b'-'
                | b'.'
                | b'^'
                | b'_'
                | b'`'
                | b'|'
                | b'~'
        )
}

/// RFC 9110 section 5.5, `field-value`: visible bytes, obs-text, spaces and tabs; no other control.
pub(crate) fn is_field_value(text: &[u8]) -> bool {
    text.iter().all(|byte| !byte.is_ascii_control() || *byte == b'\t')
}

/// The elements of a comma-separated list, without the white space around them and without the empty ones,
/// which a recipient must ignore (RFC 9110 section 5.6.1.2).
pub(crate) fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    list.split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

/// A number of decimal digits and nothing else; `None` where it is not one or exceeds 64 bits.
pub(crate) fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() {
        return None;
    }
    digits.iter().try_fold(0_u64, |number, digit| {
        let value = char::from(*digit).to_digit(10)?;
        number.checked_mul(10)?.checked_add(u64::from(value))
    })
}

/// Copies as much of `from` as `to` can hold, and returns how much that is.
pub(crate) fn copy(from: &[u8], to: &mut [u8]) -> usize {
    let length = from.len().min(to.len());
    if let (Some(to), Some(from)) = (to.get_mut(..length), from.get(..length)) {
        to.copy_from_slice(from);
    }
    length
}

/// Moves the `length` bytes at `from` of `bytes` down to `to`. Does nothing where that is not a move
/// downwards within `bytes`.
pub(crate) fn move_down(bytes: &mut [u8], from: usize, length: usize, to: usize) {
    let (Some(end), Some(shift)) = (from.checked_add(length), from.checked_sub(to)) else { return };
    let stretch = bytes.get_mut(to..end).unwrap_or_default();
    let whole = stretch.len();
    // A stretch shorter than the shift holds nothing to move.
    if 0 < shift && shift < whole {
        stretch.copy_within(shift..whole, 0);
    }
}

/// Moves what `bytes` begin with up by `shift`, over their last bytes.
pub(crate) fn move_up(bytes: &mut [u8], shift: usize) {
    for to in (shift..bytes.len()).rev() {
        // `copy_within` is quicker, and leaves the compiler in doubt whether it can panic.
        if let Some(byte) = bytes.get(to.saturating_sub(shift)).copied() {
            copy(&[byte], bytes.get_mut(to..).unwrap_or_default());
        }
    }
}

/// `number` in digits of `BASE` (10 or 16), written at the end of `digits`, which must be long enough to hold
/// them all.
pub(crate) fn spell<const BASE: u32>(number: u64, digits: &mut [u8]) -> &[u8] {
    let mut rest = number;
    let mut start = digits.len();
    for place in digits.iter_mut().rev() {
        let digit = (rest % u64::from(BASE)) as u32;
        // A digit is below its base, so there is a character for it.
        *place = char::from_digit(digit, BASE).map_or(b'0', |digit| digit as u8);
        rest /= u64::from(BASE);
        start = start.saturating_sub(1);
        if rest == 0 {
            break;
        }
    }
    digits.get(start..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use std::vec::Vec;

    #[test]
    fn a_token_has_no_separator_control_or_byte_beyond_ascii() {
        assert!(is_token("GET") && is_token("M-SEARCH") && is_token("!#$%&'*+-.^_`|~09azAZ"));
        for text in ["", " ", "A B", "A:", "A/B", "A\r", "A\0", "é", "A\"", "(x)", "A,B", "A;B"] {
            assert!(!is_token(text), "{text:?}");
        }
    }

    #[test]
    fn a_field_value_has_no_control_but_the_tab() {
        assert!(is_field_value(b"a\tb c\x80\xff") && is_field_value(b""));
        for byte in (0..0x20).chain([0x7f]).filter(|byte| *byte != b'\t') {
            assert!(!is_field_value(&[b'a', byte]), "{byte}");
        }
    }

    #[test]
    fn a_list_loses_its_empty_elements() {
        assert_eq!(elements(b" a ,,\tb,").collect::<Vec<_>>(), [b"a", b"b"]);
        assert_eq!(elements(b" , ").count(), 0);
    }

    #[test]
    fn a_decimal_has_digits_only_and_fits() {
        assert_eq!(decimal(b"0"), Some(0));
        assert_eq!(decimal(b"18446744073709551615"), Some(u64::MAX));
        assert_eq!(decimal(b"007"), Some(7));
        for text in ["", "+1", "-1", "1 ", "0x1", "18446744073709551616", "1_0"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn numbers_are_spelt_in_both_bases() {
        let mut digits = [0; 20];
        assert_eq!(spell::<10>(0, &mut digits), b"0");
        assert_eq!(spell::<10>(u64::MAX, &mut digits), b"18446744073709551615");
        assert_eq!(spell::<16>(255, &mut digits), b"ff");
        assert_eq!(spell::<16>(u64::MAX, &mut digits), b"ffffffffffffffff");
    }

    #[test]
    fn a_move_up_keeps_the_first_bytes() {
        let mut bytes = *b"abcdef";
        move_up(&mut bytes, 2);
        assert_eq!(&bytes, b"ababcd");
        move_up(&mut bytes, 6);
        move_up(&mut bytes, 7);
        assert_eq!(&bytes, b"ababcd");
    }

    #[test]
    fn a_move_that_goes_beyond_the_slice_does_nothing() {
        let mut bytes = *b"abcdef";
        move_down(&mut bytes, 4, 3, 0);
        move_down(&mut bytes, 1, usize::MAX, 0);
        assert_eq!(&bytes, b"abcdef");
        move_down(&mut bytes, 2, 3, 0);
        assert_eq!(&bytes, b"cdedef");
    }
}
