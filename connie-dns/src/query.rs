//! Writes queries (RFC 1035 section 4.1, RFC 6891).

use crate::record_type::RecordType;

/// How many octets a query has at most: a header, a name of 255 octets with its type and class, and an OPT
/// record.
pub const LARGEST_QUERY: usize = 12 + 255 + 4 + 11;

/// The class of everything that is asked for.
pub(crate) const CLASS_IN: u8 = 1;
/// The type of the record that says what a sender understands (RFC 6891 section 6.1.1).
pub(crate) const OPT: u8 = 41;

/// How a query is put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct QueryForm {
    pub(crate) id: u16,
    /// The largest answer in octets that it allows; `None` for one without EDNS, which allows 512.
    pub(crate) edns: Option<u16>,
    /// Which letters are written as capitals, bit by bit from the lowest, over and over.
    pub(crate) case: u32,
}

/// Writes the query for the records of `kind` of `name`, with recursion desired. Returns how many octets it
/// has.
#[cfg_attr(target_pointer_width = "32", inline(never))]
pub(crate) fn write(
    name: &[u8],
    kind: RecordType,
    form: QueryForm,
    buffer: &mut [u8; LARGEST_QUERY],
) -> usize {
    let [id_high, id_low] = form.id.to_be_bytes();
    let [type_high, type_low] = kind.number().to_be_bytes();
    let [size_high, size_low] = form.edns.unwrap_or_default().to_be_bytes();
    // The flag RD; one question, and one more record where there is EDNS.
    let header = [id_high, id_low, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, u8::from(form.edns.is_some())];
    // Behind the name its type and class. Then the OPT record: the root as its owner; the size in place of a
    // class; no extended code, version 0, no flags; no options.
    let tail = [type_high, type_low, 0, CLASS_IN, 0, 0, OPT, size_high, size_low, 0, 0, 0, 0, 0, 0];
    let tail = tail.iter().take(if form.edns.is_some() { 15 } else { 4 });
    let mut case = form.case;
    // A name has 255 octets at most, so that the buffer takes all.
    let mut places = buffer.iter_mut();
    header.iter().zip(&mut places).for_each(|(octet, place)| *place = *octet);
    name.iter().zip(&mut places).for_each(|(octet, place)| *place = capital(*octet, &mut case));
    tail.zip(&mut places).for_each(|(octet, place)| *place = *octet);
    LARGEST_QUERY.saturating_sub(places.len())
}

/// An octet of a name, as a capital where it is a letter whose turn it is. The length of a label is not a
/// letter: it is less than 64.
pub(crate) const fn capital(octet: u8, case: &mut u32) -> u8 {
    let is_capital = *case & 1 == 1;
    *case = case.rotate_right(1);
    if is_capital { octet.to_ascii_uppercase() } else { octet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::name::Name;

    fn query(kind: RecordType, edns: Option<u16>, case: u32, expected: &[u8]) {
        let name: Name = Name::parse("ab.test").expect("a name");
        let mut buffer = [0xff; LARGEST_QUERY];
        let length = write(name.wire(), kind, QueryForm { id: 0x1234, edns, case }, &mut buffer);
        assert_eq!(buffer[..length], *expected);
        assert!(buffer[length..].iter().all(|octet| *octet == 0xff));
    }

    #[test]
    fn a_query_octet_by_octet() {
        let header = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x00\x02ab\x04test\0\0\x01\0\x01";
        query(RecordType::A, None, 0, header);
        let edns =
            b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x01\x02ab\x04test\0\0\x1c\0\x01\0\0\x29\x04\xd0\0\0\0\0\0\0";
        query(RecordType::Aaaa, Some(1_232), 0, edns);
        let cased = b"\x12\x34\x01\x00\0\x01\0\0\0\0\0\x00\x02Ab\x04TESt\0\0\x41\0\x01";
        query(RecordType::Https, None, 0b0111_0010, cased);
    }

    #[test]
    fn the_longest_query_fills_the_buffer() {
        let long = [3; 255];
        let form = QueryForm { id: 0, edns: Some(512), case: 0 };
        assert_eq!(write(&long, RecordType::A, form, &mut [0; LARGEST_QUERY]), LARGEST_QUERY);
    }
}
