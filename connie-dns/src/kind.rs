//! What can be asked of a name.

use core::fmt;

/// A kind of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// IPv6 addresses (RFC 3596).
    Aaaa,
    /// IPv4 addresses (RFC 1035 section 3.4.1).
    A,
    /// Where a service of HTTP is to be had (RFC 9460).
    Https,
}

impl Kind {
    /// All, in the order in which they are asked for: "with the AAAA query made first and immediately followed by the A query"
    /// (RFC 8305 section 3).
    pub const ALL: [Kind; 3] = [Kind::Aaaa, Kind::A, Kind::Https];

    /// The number of the type (IANA's registry of resource record types).
    pub(crate) const fn number(self) -> u16 {
        match self {
            Kind::Aaaa => 28,
            Kind::A => 1,
            Kind::Https => 65,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Aaaa => "AAAA",
            Kind::A => "A",
            Kind::Https => "HTTPS",
        })
    }
}

/// One value for each kind, in the order of [`Kind::ALL`].
#[derive(Clone, Debug, Default)]
pub(crate) struct PerKind<T>([T; 3]);

impl<T> PerKind<T> {
    /// These, in the order of [`Kind::ALL`].
    pub(crate) const fn new(values: [T; 3]) -> Self {
        PerKind(values)
    }

    pub(crate) fn get(&self, kind: Kind) -> &T {
        // Each kind has its place.
        let [first, ..] = &self.0;
        self.0.get(kind as usize).unwrap_or(first)
    }

    pub(crate) fn get_mut(&mut self, kind: Kind) -> &mut T {
        let [aaaa, a, https] = &mut self.0;
        match kind {
            Kind::Aaaa => aaaa,
            Kind::A => a,
            Kind::Https => https,
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter()
    }

    pub(crate) fn all_mut(&mut self) -> impl Iterator<Item = (Kind, &mut T)> {
        Kind::ALL.iter().copied().zip(self.0.iter_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_place() {
        let mut values = PerKind::new(Kind::ALL);
        for kind in Kind::ALL {
            assert_eq!(*values.get(kind), kind);
            assert_eq!(*values.get_mut(kind), kind);
        }
        assert!(values.all().copied().eq(Kind::ALL));
        assert!(values.all_mut().all(|(kind, value)| kind == *value));
    }
}
