//! Tries the board's `memcpy`, `memmove` and `memset` against loops over bytes, at every offset in a word and
//! all lengths up to some words, and its division of 64-bit numbers by what a quotient and a remainder are.
//! The exit code is 0, or 1 with what is wrong. For the tests.

#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("memory: build this for a microcontroller: --target thumbv7m-none-eabi; tests/ runs it");
}

#[cfg(target_os = "none")]
mod firmware {
    use core::hint::black_box;

    use connie_firmware_qemu::board::console::{finish, say};

    /// What is around the bytes that are written, and must stay.
    const MARGIN: usize = 12;
    const LONGEST: usize = 37;
    const ROOM: usize = MARGIN + LONGEST + 8 + MARGIN;

    type Bytes = [u8; ROOM];

    // The compiler must not see what these are, or it would put its own in their place.
    unsafe extern "C" {
        fn memcpy(to: *mut u8, from: *const u8, length: usize) -> *mut u8;
        fn memmove(to: *mut u8, from: *const u8, length: usize) -> *mut u8;
        fn memset(to: *mut u8, byte: i32, length: usize) -> *mut u8;
        fn __aeabi_memset(to: *mut u8, length: usize, byte: i32);
        fn __aeabi_memclr(to: *mut u8, length: usize);
    }

    #[cortex_m_rt::entry]
    fn main() -> ! {
        let mut tried = 0;
        let wrong = (0..=LONGEST).find_map(|length| {
            (0..8).find_map(|to| {
                (0..8).find_map(|from| {
                    tried += 5;
                    try_all(MARGIN + to, MARGIN + from, length).map(|what| (what, to, from, length))
                })
            })
        });
        if let Some((what, to, from, length)) = wrong {
            say(format_args!("memory: {what} is wrong from {from} to {to} of {length} bytes"));
            finish(1)
        }
        if let Some((numerator, denominator)) = wrong_division() {
            say(format_args!("memory: {numerator} by {denominator} is wrong"));
            finish(1)
        }
        say(format_args!("memory: {tried} calls"));
        finish(0)
    }

    /// Two numbers that are not divided as they should be: of all that have one run of ones, or whose bits
    /// follow no rule.
    fn wrong_division() -> Option<(u64, u64)> {
        let number = |n: u32| match n {
            0..4096 => (u64::MAX >> (n % 64)) & (u64::MAX << (n / 64)),
            _ => u64::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (n % 64),
        };
        let pairs = (0..4352).flat_map(|n| (0..67).map(move |d| (number(n), number(d * 65 + n % 65))));
        pairs.filter(|(_, denominator)| *denominator != 0).find(|(numerator, denominator)| {
            let (n, d) = (black_box(*numerator), black_box(*denominator));
            let (quotient, remainder) = (n / d, n % d);
            remainder >= d || quotient.checked_mul(d).and_then(|most| most.checked_add(remainder)) != Some(n)
        })
    }

    /// No two neighbours are alike, nor two that are a word or some words apart.
    fn pattern(index: usize) -> u8 {
        (index * 37 + 11) as u8
    }

    /// The name of what does otherwise than a loop.
    fn try_all(to: usize, from: usize, length: usize) -> Option<&'static str> {
        let source: Bytes = core::array::from_fn(pattern);
        let expected = |byte: &dyn Fn(usize) -> u8, before: &dyn Fn(usize) -> u8| -> Bytes {
            core::array::from_fn(|index| match index.checked_sub(to) {
                Some(inside) if inside < length => byte(inside),
                _ => before(index),
            })
        };
        let empty = |_| 0xa5;
        let copied = expected(&|inside| pattern(from + inside), &empty);
        let moved = expected(&|inside| pattern(from + inside), &pattern);
        let set = expected(&|_| 0x3c, &empty);
        let cleared = expected(&|_| 0, &empty);
        let (mut a, mut b, mut c, mut d, mut e) =
            ([0xa5; ROOM], source, [0xa5; ROOM], [0xa5; ROOM], [0xa5; ROOM]);
        // SAFETY: `to` and `from` are at most MARGIN + 7, so that LONGEST bytes from there lie within each
        // array; `source` and `a` are two arrays, and memmove may be given one.
        let returned = unsafe {
            let first = memcpy(a.as_mut_ptr().add(to), source.as_ptr().add(from), black_box(length))
                == a.as_mut_ptr().add(to);
            let here = b.as_mut_ptr();
            let second = memmove(here.add(to), here.add(from), black_box(length)) == here.add(to);
            // Of the int that it takes it sets the lowest byte.
            let third = memset(c.as_mut_ptr().add(to), 0x7f3c, black_box(length)) == c.as_mut_ptr().add(to);
            __aeabi_memset(d.as_mut_ptr().add(to), black_box(length), 0x7f3c);
            __aeabi_memclr(e.as_mut_ptr().add(to), black_box(length));
            first && second && third
        };
        let results = [
            ("memcpy", a == copied),
            ("memmove", b == moved),
            ("memset", c == set),
            ("__aeabi_memset", d == set),
            ("__aeabi_memclr", e == cleared),
            ("what they return", returned),
        ];
        results.into_iter().find(|(_, right)| !right).map(|(what, _)| what)
    }
}
