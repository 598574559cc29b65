//! Takes a message apart: names with their pointers, and records (RFC 1035 section 4.1). Nothing here knows what a record means.

use crate::name::Name;

/// How many labels and pointers a name may have. A name of 255 octets has 127 labels; a pointer or two lead to the rest of it.
const MOST_PARTS: u8 = 255;

/// Takes two octets off the front.
pub(crate) fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

/// Takes four octets off the front.
pub(crate) fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (number, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*number))
}

/// A name within a message, which may lead elsewhere in it.
#[derive(Clone, Copy)]
pub(crate) struct NameAt<'m> {
    message: &'m [u8],
    /// From the name's first octet to the message's end.
    rest: &'m [u8],
}

impl<'m> NameAt<'m> {
    /// The name at the front of `rest`, which is the end of `message`.
    pub(crate) const fn new(message: &'m [u8], rest: &'m [u8]) -> Self {
        NameAt { message, rest }
    }

    /// Takes the name at the front of `rest`, which is the end of `message`.
    pub(crate) fn take(message: &'m [u8], rest: &mut &'m [u8]) -> Option<Self> {
        let name = NameAt { message, rest };
        // The octets up to the root or a pointer are what it takes here. Each turn takes one off.
        while let Some((length, after)) = rest.split_first() {
            *rest = match length {
                0 => {
                    *rest = after;
                    return Some(name);
                }
                1..=63 => after.get(usize::from(*length)..)?,
                192..=255 => {
                    *rest = after.get(1..)?;
                    return Some(name);
                }
                // RFC 1035 section 4.1.4: "The 10 and 01 combinations are reserved for future use."
                64..=191 => return None,
            };
        }
        None
    }

    pub(crate) fn parts(self) -> Parts<'m> {
        let floor = self.message.len().saturating_sub(self.rest.len());
        Parts { message: self.message, rest: self.rest, floor, left: MOST_PARTS }
    }

    /// Whether both are the same name, whatever the case of their letters. One that cannot be read is none.
    pub(crate) fn is(self, other: NameAt<'_>) -> bool {
        self.parts().are(other.parts())
    }

    /// Whether it can be read to its end.
    fn is_readable(self) -> bool {
        let mut parts = self.parts();
        // Each turn takes a label off.
        loop {
            match parts.next_part() {
                Some(Some(_)) => {}
                Some(None) => return true,
                None => return false,
            }
        }
    }

    /// Whether it is `zone` or below it.
    pub(crate) fn is_within(self, zone: NameAt<'_>) -> bool {
        let mut parts = self.parts();
        // Each turn takes a label off.
        loop {
            if parts.clone().are(zone.parts()) {
                return true;
            }
            if !matches!(parts.next_part(), Some(Some(_))) {
                return false;
            }
        }
    }

    /// The name by itself; `None` where it cannot be read, or is longer than there is room for.
    pub(crate) fn to_name<const N: usize>(self) -> Option<Name<N>> {
        let (mut name, mut parts) = (Name::absent(), self.parts());
        loop {
            match parts.next_part()? {
                Some(label) => name.push_label(label).ok()?,
                None => {
                    name.end().ok()?;
                    return Some(name);
                }
            }
        }
    }
}

/// The labels of a name, one after the other.
#[derive(Clone)]
pub(crate) struct Parts<'m> {
    message: &'m [u8],
    rest: &'m [u8],
    /// A pointer leads before this place, so that there is no circle: RFC 1035 section 4.1.4 speaks of "a prior occurrence".
    floor: usize,
    left: u8,
}

impl<'m> Parts<'m> {
    /// The next label, and then the root as `Some(None)`; `None` where it cannot be read.
    fn next_part(&mut self) -> Option<Option<&'m [u8]>> {
        // Each turn takes one off.
        loop {
            self.left = self.left.checked_sub(1)?;
            let (length, after) = self.rest.split_first()?;
            match length {
                0 => return Some(None),
                1..=63 => {
                    let (label, after) = after.split_at_checked(usize::from(*length))?;
                    self.rest = after;
                    return Some(Some(label));
                }
                192..=255 => {
                    let target = u16::from_be_bytes([length & 0x3f, *after.first()?]);
                    let target = usize::from(target);
                    if target >= self.floor {
                        return None;
                    }
                    self.floor = target;
                    self.rest = self.message.get(target..)?;
                }
                64..=191 => return None,
            }
        }
    }

    /// Whether what is left of both is the same.
    fn are(mut self, mut other: Parts<'_>) -> bool {
        // Ends with the parts of either, of which there is a most.
        loop {
            match (self.next_part(), other.next_part()) {
                (Some(Some(own)), Some(Some(its))) if own.eq_ignore_ascii_case(its) => {}
                (Some(None), Some(None)) => return true,
                _ => return false,
            }
        }
    }
}

/// One record.
#[derive(Clone, Copy)]
pub(crate) struct Record<'m> {
    pub(crate) owner: NameAt<'m>,
    /// The number of its type.
    pub(crate) number: u16,
    pub(crate) class: u16,
    pub(crate) ttl: u32,
    /// How long its data is, as it stands before that.
    pub(crate) length: [u8; 2],
    pub(crate) data: &'m [u8],
    /// From its data to the message's end, for the names within.
    tail: &'m [u8],
    message: &'m [u8],
}

impl<'m> Record<'m> {
    /// Takes the record at the front of `rest`, which is the end of `message`.
    pub(crate) fn take(message: &'m [u8], rest: &mut &'m [u8]) -> Option<Self> {
        let owner = NameAt::take(message, rest)?;
        let (number, class, ttl) = (take_u16(rest)?, take_u16(rest)?, take_u32(rest)?);
        let (length, tail) = rest.split_first_chunk::<2>()?;
        let (data, after) = tail.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        *rest = after;
        Some(Record { owner, number, class, ttl, length: *length, data, tail, message })
    }

    /// The first of so many names at the front of its data, and what comes behind them; `None` where the data ends before the names do.
    pub(crate) fn names(&self, count: usize) -> Option<(NameAt<'m>, &'m [u8])> {
        let mut rest = self.tail;
        let first = NameAt::take(self.message, &mut rest)?;
        for _ in 1..count {
            NameAt::take(self.message, &mut rest)?;
        }
        let taken = self.tail.len().checked_sub(rest.len())?;
        Some((first, self.data.get(taken..)?))
    }
}

/// The records of one section.
#[derive(Clone)]
pub(crate) struct Section<'m> {
    message: &'m [u8],
    /// From its first record to the message's end.
    rest: &'m [u8],
    count: u16,
}

impl<'m> Section<'m> {
    pub(crate) const fn new(message: &'m [u8], rest: &'m [u8], count: u16) -> Self {
        Section { message, rest, count }
    }

    /// The section behind this one, with this many records; `None` where the message ends before.
    pub(crate) fn next_section(&self, count: u16) -> Option<Self> {
        let mut section = self.clone();
        while section.count > 0 {
            section.next()?;
        }
        Some(Section { count, ..section })
    }

    /// Whether the message holds all of its records, and it can be read of each whose it is.
    pub(crate) fn is_whole(&self) -> bool {
        self.next_section(0).is_some() && self.clone().all(|record| record.owner.is_readable())
    }
}

impl<'m> Iterator for Section<'m> {
    type Item = Record<'m>;

    /// A record that cannot be told from what follows ends the section.
    fn next(&mut self) -> Option<Record<'m>> {
        self.count = self.count.checked_sub(1)?;
        Record::take(self.message, &mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &[u8], place: usize) -> NameAt<'_> {
        let mut rest = &message[place..];
        NameAt::take(message, &mut rest).expect("a name")
    }

    fn text(message: &[u8], place: usize) -> Option<Name> {
        at(message, place).to_name()
    }

    #[test]
    fn a_pointer_leads_back_to_the_rest_of_a_name() {
        let message = b"\x04test\0\x01a\xc0\x00\x01b\xc0\x06";
        assert_eq!(text(message, 0), Name::parse("test").ok());
        assert_eq!(text(message, 6), Name::parse("a.test").ok());
        assert_eq!(text(message, 10), Name::parse("b.a.test").ok());
        assert!(at(message, 10).is_within(at(message, 6)));
        assert!(at(message, 10).is_within(at(message, 10)));
        assert!(!at(message, 6).is_within(at(message, 10)));
    }

    #[test]
    fn a_pointer_that_does_not_lead_back_is_none() {
        for message in [&b"\xc0\x00"[..], b"\xc0\x02\x01a\0", b"\x01a\xc0\x00", b"\x01a\xc0\xff"] {
            assert_eq!(text(message, 0), None, "{message:?}");
            assert!(!at(message, 0).is(at(message, 0)), "{message:?}");
        }
        // It leads back and then forth again, though not beyond where it began.
        assert_eq!(text(b"\0\xc0\x03\x01a\0\xc0\x01", 6), None);
        // Of two that lead to each other one leads forwards.
        assert_eq!(text(b"\xc0\x02\xc0\x00", 2), None);
    }

    #[test]
    fn case_makes_no_difference_and_length_does() {
        let message = b"\x01a\x01B\0\x01A\x01b\0\x01a\0\x02ab\0\0";
        assert!(at(message, 0).is(at(message, 5)));
        for other in [10, 13, 17] {
            assert!(!at(message, 0).is(at(message, other)), "{other}");
            assert!(!at(message, other).is(at(message, 0)), "{other}");
        }
        assert!(at(message, 0).is_within(at(message, 17)), "everything is below the root");
    }

    #[test]
    fn what_is_cut_short_is_no_name_and_no_record() {
        let record = b"\x01a\0\0\x01\0\x01\0\0\0\x05\0\x04\xc0\0\x02\x01";
        assert!(Record::take(record, &mut &record[..]).is_some());
        for end in 0..record.len() {
            let cut = &record[..end];
            assert!(Record::take(cut, &mut &cut[..]).is_none(), "{end}");
        }
        assert!(NameAt::take(b"\x40a\0", &mut &b"\x40a\0"[..]).is_none(), "a reserved length");
    }

    #[test]
    fn names_in_a_record_end_within_it() {
        let message = b"\0\0\x05\0\x01\0\0\0\x05\0\x02\x01a\0";
        let record = Record::take(message, &mut &message[..]).expect("a record");
        assert!(record.names(1).is_none(), "its data is one octet short");
        let message = b"\0\0\x05\0\x01\0\0\0\x05\0\x06\x01a\0\xc0\x00x";
        let record = Record::take(message, &mut &message[..]).expect("a record");
        let (name, behind) = record.names(1).expect("a name");
        assert_eq!((name.to_name(), behind), (Name::<255>::parse("a").ok(), &b"\xc0\x00x"[..]));
        let (name, behind) = record.names(2).expect("two names");
        assert_eq!((name.to_name(), behind), (Name::<255>::parse("a").ok(), &b"x"[..]));
        assert!(record.names(3).is_none());
    }
}
