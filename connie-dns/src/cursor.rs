//! Takes a message apart: names with their pointers, and records (RFC 1035 section 4.1). Nothing here knows
//! what a record means.

use crate::name::Name;

/// How many labels and pointers a name may have. A name of 255 octets has 127 labels; a pointer or two lead
/// to the rest of it.
const MOST_PARTS: u8 = 255;

/// Takes two octets off the front.
pub(crate) fn take_u16(rest: &mut &[u8]) -> Option<u16> {
    let (number, after) = rest.split_first_chunk::<2>()?;
    *rest = after;
    Some(u16::from_be_bytes(*number))
}

/// A place in a message. Sums that wrap around are places in no message.
#[derive(Clone, Copy)]
pub(crate) struct Cursor<'m> {
    message: &'m [u8],
    at: usize,
}

impl<'m> Cursor<'m> {
    pub(crate) const fn new(message: &'m [u8], at: usize) -> Self {
        Cursor { message, at }
    }

    /// The octets up to this many behind it.
    fn ahead(&self, length: usize) -> Option<&'m [u8]> {
        self.message.get(self.at..self.at.wrapping_add(length))
    }

    /// Takes this many octets.
    fn take(&mut self, length: usize) -> Option<&'m [u8]> {
        let octets = self.ahead(length)?;
        self.at = self.at.wrapping_add(length);
        Some(octets)
    }

    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn take_u16(&mut self) -> Option<u16> {
        self.take(2).and_then(|mut octets| take_u16(&mut octets))
    }

    /// Takes a name. The octets up to the root or a pointer are what it takes here.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn take_name(&mut self) -> Option<NameAt<'m>> {
        let name = NameAt(*self);
        // Each turn takes an octet at least.
        loop {
            match *self.take(1)? {
                [0] => return Some(name),
                [length @ 1..=63] => self.take(length.into())?,
                [192..=255] => {
                    self.take(1)?;
                    return Some(name);
                }
                // RFC 1035 section 4.1.4: "The 10 and 01 combinations are reserved for future use."
                _ => return None,
            };
        }
    }
}

/// A name within a message, which may lead elsewhere in it.
#[derive(Clone, Copy)]
pub(crate) struct NameAt<'m>(Cursor<'m>);

impl<'m> NameAt<'m> {
    /// The name at this place of a message.
    pub(crate) const fn new(message: &'m [u8], at: usize) -> Self {
        NameAt(Cursor::new(message, at))
    }

    pub(crate) const fn parts(self) -> Parts<'m> {
        Parts { rest: self.0, floor: self.0.at, left: MOST_PARTS }
    }

    /// Whether both are the same name, whatever the case of their letters. One that cannot be read is none.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn is(self, other: NameAt<'_>) -> bool {
        self.parts().are(other)
    }

    /// Whether it can be read to its end.
    fn is_readable(self) -> bool {
        let mut parts = self.parts();
        // Each turn takes a label off.
        loop {
            match parts.next_part() {
                Some([]) => return true,
                Some(_) => {}
                None => return false,
            }
        }
    }

    /// Whether it is `zone` or below it.
    pub(crate) fn is_within(self, zone: NameAt<'_>) -> bool {
        let mut parts = self.parts();
        // Each turn takes a label off.
        loop {
            if parts.are(zone) {
                return true;
            }
            if matches!(parts.next_part(), None | Some([])) {
                return false;
            }
        }
    }

    /// The name by itself; `None` where it cannot be read, or is longer than there is room for.
    pub(crate) fn to_name<const N: usize>(self) -> Option<Name<N>> {
        let (mut name, mut parts) = (Name::absent(), self.parts());
        loop {
            match parts.next_part()? {
                [] => {
                    name.end().ok()?;
                    return Some(name);
                }
                label => name.push_label(label).ok()?,
            }
        }
    }
}

/// The labels of a name, one after the other.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'m> {
    rest: Cursor<'m>,
    /// A pointer leads before this place, so that there is no circle: RFC 1035 section 4.1.4 speaks of "a
    /// prior occurrence".
    floor: usize,
    left: u8,
}

impl<'m> Parts<'m> {
    /// The next label, and then the root, which is empty; `None` where it cannot be read.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next_part(&mut self) -> Option<&'m [u8]> {
        // Each turn takes one off.
        loop {
            self.left = self.left.checked_sub(1)?;
            match *self.rest.take(1)? {
                [length @ 0..=63] => return self.rest.take(length.into()),
                [high @ 192..=255] => {
                    let [low] = *self.rest.take(1)? else { return None };
                    let target = usize::from(u16::from_be_bytes([high & 0x3f, low]));
                    if target >= self.floor {
                        return None;
                    }
                    (self.floor, self.rest.at) = (target, target);
                }
                _ => return None,
            }
        }
    }

    /// Whether what is left is this name.
    fn are(mut self, other: NameAt<'_>) -> bool {
        let mut other = other.parts();
        // Ends with the parts of either, of which there is a most.
        loop {
            match (self.next_part(), other.next_part()) {
                (Some([]), Some([])) => return true,
                (Some(own), Some(its)) if own.eq_ignore_ascii_case(its) => {}
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
    /// The length of its data, as it stands before that, and the data.
    pub(crate) sized: &'m [u8],
    /// Where its data begins.
    start: usize,
}

impl<'m> Record<'m> {
    /// Takes the record at this place.
    pub(crate) fn take(at: &mut Cursor<'m>) -> Option<Self> {
        let owner = at.take_name()?;
        let (number, class) = (at.take_u16()?, at.take_u16()?);
        let ttl = u32::from(at.take_u16()?) << 16 | u32::from(at.take_u16()?);
        let mut data = *at;
        let length = data.take_u16()?;
        let sized = at.take(usize::from(length).wrapping_add(2))?;
        Some(Record { owner, number, class, ttl, sized, start: data.at })
    }

    pub(crate) fn data(&self) -> &'m [u8] {
        self.sized.get(2..).unwrap_or_default()
    }

    /// The first of so many names at the front of its data, and what comes behind them; `None` where the data
    /// ends before the names do.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn names(&self, count: usize) -> Option<(NameAt<'m>, &'m [u8])> {
        let mut rest = Cursor::new(self.owner.0.message, self.start);
        let first = rest.take_name()?;
        for _ in 1..count {
            rest.take_name()?;
        }
        Some((first, self.data().get(rest.at.wrapping_sub(self.start)..)?))
    }
}

/// The records of one section.
#[derive(Clone, Copy)]
pub(crate) struct Section<'m> {
    /// Its first record.
    rest: Cursor<'m>,
    count: u16,
}

impl<'m> Section<'m> {
    pub(crate) const fn new(rest: Cursor<'m>, count: u16) -> Self {
        Section { rest, count }
    }

    /// The section behind this one, with this many records; `None` where the message ends before.
    pub(crate) fn next_section(mut self, count: u16) -> Option<Self> {
        while self.count > 0 {
            self.next()?;
        }
        Some(Section { count, ..self })
    }

    /// Whether the message holds all of its records, and it can be read of each whose it is.
    pub(crate) fn is_whole(mut self) -> bool {
        while self.count > 0 {
            if !self.next().is_some_and(|record| record.owner.is_readable()) {
                return false;
            }
        }
        true
    }
}

impl<'m> Iterator for Section<'m> {
    type Item = Record<'m>;

    /// A record that cannot be told from what follows ends the section.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    fn next(&mut self) -> Option<Record<'m>> {
        self.count = self.count.checked_sub(1)?;
        Record::take(&mut self.rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(message: &[u8], place: usize) -> NameAt<'_> {
        Cursor::new(message, place).take_name().expect("a name")
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
        assert!(Record::take(&mut Cursor::new(record, 0)).is_some());
        for end in 0..record.len() {
            let cut = &record[..end];
            assert!(Record::take(&mut Cursor::new(cut, 0)).is_none(), "{end}");
        }
        assert!(Cursor::new(b"\x40a\0", 0).take_name().is_none(), "a reserved length");
    }

    #[test]
    fn names_in_a_record_end_within_it() {
        let message = b"\0\0\x05\0\x01\0\0\0\x05\0\x02\x01a\0";
        let record = Record::take(&mut Cursor::new(message, 0)).expect("a record");
        assert!(record.names(1).is_none(), "its data is one octet short");
        let message = b"\0\0\x05\0\x01\0\0\0\x05\0\x06\x01a\0\xc0\x00x";
        let record = Record::take(&mut Cursor::new(message, 0)).expect("a record");
        let (name, behind) = record.names(1).expect("a name");
        assert_eq!((name.to_name(), behind), (Name::<255>::parse("a").ok(), &b"\xc0\x00x"[..]));
        let (name, behind) = record.names(2).expect("two names");
        assert_eq!((name.to_name(), behind), (Name::<255>::parse("a").ok(), &b"x"[..]));
        assert!(record.names(3).is_none());
    }
}
