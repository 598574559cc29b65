//! Short names for addresses: `6a` for the first IPv6 address, `4c` for the third IPv4 one.

use std::net::SocketAddr;

use connie_core::Family;

/// The port of every address here.
pub(crate) const PORT: u16 = 80;

/// The address named `label`: `6a` is `[2001:db8::1]:80`, `4b` is `192.0.2.2:80`. After `z` comes `aa`. IPv4
/// has 254.
///
/// # Panics
///
/// On a label that is not of this form.
#[must_use]
#[track_caller]
pub fn address(label: &str) -> SocketAddr {
    let (family, letters) = label.split_at_checked(1).unwrap_or(("", ""));
    assert!(!letters.is_empty() && letters.bytes().all(|b| b.is_ascii_lowercase()), "no label: {label:?}");
    let number = letters.bytes().fold(0_u16, |number, letter| number * 26 + u16::from(letter - b'a' + 1));
    match family {
        "4" => numbered(Family::V4, number),
        "6" => numbered(Family::V6, number),
        _ => panic!("a label starts with 4 or 6, not {label:?}"),
    }
}

/// The addresses named in `labels`, which blanks separate.
#[must_use]
#[track_caller]
pub fn addresses(labels: &str) -> Vec<SocketAddr> {
    labels.split_whitespace().map(address).collect()
}

/// The name of `address`; its text where it is none of [`address`]'s.
#[must_use]
pub fn label(address: SocketAddr) -> String {
    let (family, number) = match address {
        SocketAddr::V4(v4) => ('4', u16::from(v4.ip().octets()[3])),
        SocketAddr::V6(v6) => ('6', v6.ip().segments()[7]),
    };
    if number == 0 || address != numbered(Family::of(&address), number) {
        return address.to_string();
    }
    let mut letters = Vec::new();
    let mut rest = number;
    while rest > 0 {
        letters.push((b'a' + ((rest - 1) % 26) as u8) as char);
        rest = (rest - 1) / 26;
    }
    std::iter::once(family).chain(letters.into_iter().rev()).collect()
}

/// The `number`-th address of `family`, counted from 1: `numbered(Family::V4, 2)` is that of the label `4b`.
///
/// # Panics
///
/// On number 255 of IPv4, or more: 192.0.2.0/24 has 254.
#[must_use]
#[track_caller]
pub fn numbered(family: Family, number: u16) -> SocketAddr {
    match family {
        Family::V4 => {
            let last = u8::try_from(number).ok().filter(|last| *last < 255);
            SocketAddr::from(([192, 0, 2, last.expect("192.0.2.0/24 has 254 addresses")], PORT))
        }
        Family::V6 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, number], PORT)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_and_addresses_belong_together() {
        assert_eq!(address("6a"), "[2001:db8::1]:80".parse().unwrap());
        assert_eq!(address("4c"), "192.0.2.3:80".parse().unwrap());
        for family in [Family::V4, Family::V6] {
            for number in 1..=254 {
                let numbered = numbered(family, number);
                assert_eq!(address(&label(numbered)), numbered);
            }
        }
        assert_eq!(label(address("6ab")), "6ab");
    }

    #[test]
    fn any_other_address_is_named_by_its_text() {
        assert_eq!(label("192.0.2.1:81".parse().unwrap()), "192.0.2.1:81");
        assert_eq!(label("[::1]:80".parse().unwrap()), "[::1]:80");
    }
}
