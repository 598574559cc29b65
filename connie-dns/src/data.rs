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

    /// Adds them where there is room for all.
    #[cfg_attr(target_pointer_width = "32", inline(never))]
    pub(crate) fn push(&mut self, octets: &[u8]) {
        let room =
            self.octets.get_mut(usize::from(self.length)..).and_then(|room| room.get_mut(..octets.len()));
        let end = usize::from(self.length).saturating_add(octets.len());
        if let (Some(room), Ok(end)) = (room, u16::try_from(end)) {
            room.iter_mut().zip(octets).for_each(|(place, octet)| *place = *octet);
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
        data.push(b"abc");
        data.push(b"def");
        assert_eq!(data.octets(), b"abc");
        data.push(b"de");
        data.push(b"x");
        assert_eq!(data.octets(), b"abcde");
    }
}
