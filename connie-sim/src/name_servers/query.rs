//! A query, as a server reads it.

use std::fmt;

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Addresses of IPv6.
    Aaaa,
    /// Addresses of IPv4.
    A,
    /// Service records (RFC 9460).
    Https,
}

impl Kind {
    /// Its number in a message.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Kind::A => 1,
            Kind::Aaaa => 28,
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

/// A query as a server reads it.
#[derive(Clone, Debug)]
pub struct Query {
    /// The message.
    pub octets: Vec<u8>,
    /// For which name, in the case that it has there.
    pub name: String,
    /// For what.
    pub kind: Kind,
    /// Whether it has an OPT record.
    pub edns: bool,
    /// Whether it came over TCP.
    pub tcp: bool,
    question_end: usize,
}

impl Query {
    /// Reads a query; over TCP without the length before it.
    ///
    /// # Panics
    ///
    /// If it is not what this client sends: one question for records of a [`Kind`], and nothing behind it but
    /// an OPT record without options.
    #[must_use]
    #[track_caller]
    pub fn read(octets: &[u8], tcp: bool) -> Self {
        assert_eq!(octets[2..6], [1, 0, 0, 1], "recursion desired, one question");
        let mut at = 12;
        let mut name = String::new();
        while octets[at] != 0 {
            let end = at + 1 + usize::from(octets[at]);
            name += &octets[at + 1..end].escape_ascii().to_string();
            name += ".";
            at = end;
        }
        name.pop();
        let kind = match octets[at + 1..at + 5] {
            [0, 28, 0, 1] => Kind::Aaaa,
            [0, 1, 0, 1] => Kind::A,
            [0, 65, 0, 1] => Kind::Https,
            ref other => panic!("type and class {other:?}"),
        };
        let edns = match octets[at + 5..] {
            [] => false,
            [0, 0, 41, _, _, 0, 0, 0, 0, 0, 0] => true,
            ref other => panic!("behind the question {other:?}"),
        };
        assert_eq!(octets[11], u8::from(edns));
        Query { octets: octets.to_vec(), name, kind, edns, tcp, question_end: at + 5 }
    }

    pub(super) fn id(&self) -> [u8; 2] {
        [self.octets[0], self.octets[1]]
    }

    /// The name as it stands in the query.
    #[must_use]
    pub fn name_octets(&self) -> &[u8] {
        &self.octets[12..self.question_end - 4]
    }

    /// The question as it stands in the query.
    pub(super) fn question(&self) -> &[u8] {
        &self.octets[12..self.question_end]
    }
}
