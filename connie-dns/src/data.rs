//! Octets in a room of fixed size.

/// At most `D` octets, and at most 65,535.
#[derive(Clone, Debug)]
pub(crate) struct Data<const D: usize> {
    /// At most `D`.
    length: u16,
    octets: [u8; D],
}

impl<const D: usize> Data<D> {
    pub(crate) const fn new() -> Self {
        Data { length: 0, octets: [0; D] }
    }

    pub(crate) fn octets(&self) -> &[u8] {
        self.octets.get(..usize::from(self.length)).unwrap_or_default()
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// Adds both, one behind the other, where there is room for all of it.
    pub(crate) fn push(&mut self, first: &[u8], second: &[u8]) {
        let length = first.len().saturating_add(second.len());
        let room = self.octets.get_mut(usize::from(self.length)..).and_then(|room| room.get_mut(..length));
        let end = u16::try_from(length).ok().and_then(|length| self.length.checked_add(length));
        if let Some((room, end)) = room.zip(end) {
            room.iter_mut().zip(first.iter().chain(second)).for_each(|(place, octet)| *place = *octet);
            self.length = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_left_out_whole() {
        let mut data = Data::<5>::new();
        assert!(data.is_empty());
        data.push(b"ab", b"c");
        data.push(b"de", b"f");
        assert_eq!(data.octets(), b"abc");
        data.push(b"de", b"");
        data.push(b"", b"x");
        assert_eq!(data.octets(), b"abcde");
    }
}
