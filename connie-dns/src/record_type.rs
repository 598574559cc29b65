//! The record types that can be asked for.

use core::fmt;

/// A record type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum RecordType {
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// IPv4 addresses (RFC 1035 section 3.4.1).
    A,
    /// Where an HTTPS service is available (RFC 9460).
    Https,
}

impl RecordType {
    /// All types, in the order in which they are asked for: "with the AAAA query made first and immediately
    /// followed by the A query" (RFC 8305 section 3).
    pub const ALL: [RecordType; 3] = [RecordType::Aaaa, RecordType::A, RecordType::Https];

    /// The number of the type (IANA's registry of resource record types).
    pub(crate) const fn number(self) -> u16 {
        match self {
            RecordType::Aaaa => 28,
            RecordType::A => 1,
            RecordType::Https => 65,
        }
    }
}

impl fmt::Display for RecordType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RecordType::Aaaa => "AAAA",
            RecordType::A => "A",
            RecordType::Https => "HTTPS",
        })
    }
}

/// One value for each type, in the order of [`RecordType::ALL`].
#[derive(Clone, Debug, Default)]
pub(crate) struct PerKind<T>([T; 3]);

impl<T> PerKind<T> {
    /// These, in the order of [`RecordType::ALL`].
    pub(crate) const fn new(values: [T; 3]) -> Self {
        PerKind(values)
    }

    pub(crate) fn get(&self, kind: RecordType) -> &T {
        // Each kind has its place.
        let [first, ..] = &self.0;
        self.0.get(kind as usize).unwrap_or(first)
    }

    pub(crate) fn get_mut(&mut self, kind: RecordType) -> &mut T {
        let [aaaa, a, https] = &mut self.0;
        match kind {
            RecordType::Aaaa => aaaa,
            RecordType::A => a,
            RecordType::Https => https,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = (RecordType, &mut T)> {
        RecordType::ALL.iter().copied().zip(self.0.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_place() {
        let mut values = PerKind::new(RecordType::ALL);
        for kind in RecordType::ALL {
            assert_eq!(*values.get(kind), kind);
            assert_eq!(*values.get_mut(kind), kind);
        }
        assert!(values.all().copied().eq(RecordType::ALL));
        assert!(values.all_mut().all(|(kind, value)| kind == *value));
    }
}
