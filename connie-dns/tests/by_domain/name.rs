//! Domain names, as queries and records have them.

use std::fmt;

use domain::base::name::NameBuilder;
use domain::base::{Name as WireName, ToName};

/// A domain name, absolute and in lower case.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Name(pub(super) WireName<Vec<u8>>);

impl Name {
    /// The name of a host as a user writes it, with or without the final dot. `None` for what cannot be asked
    /// for: labels that are empty or longer than 63 octets, more than 255 octets in all (RFC 1035
    /// section 2.3.4), or anything but printable ASCII.
    pub(super) fn parse(text: &str) -> Option<Name> {
        let mut builder = NameBuilder::new_vec();
        for label in text.strip_suffix('.').unwrap_or(text).split('.') {
            if label.is_empty() || !label.bytes().all(|byte| byte.is_ascii_graphic()) {
                return None;
            }
            builder.append_label(label.to_ascii_lowercase().as_bytes()).ok()?;
        }
        builder.into_name().ok().map(Name)
    }

    /// Whether its last label is `onion`, as [`is_onion`](connie_core::resolution::is_onion) has it of a
    /// text.
    pub(super) fn is_of_tor(&self) -> bool {
        // The root is a label, too.
        let top = self.0.iter().rev().nth(1);
        top.is_some_and(|top| top.as_slice() == b"onion")
    }

    pub(super) fn of(name: &impl ToName) -> Name {
        Name(name.to_canonical_name())
    }

    /// The name that says where the service of `port` is described (RFC 9460 section 9.1: the default port of
    /// HTTPS goes without a prefix). `None` where it would be too long.
    pub(super) fn of_https_service(&self, port: u16) -> Option<Name> {
        if port == 443 {
            return Some(self.clone());
        }
        Name::parse(&format!("_{port}._https.{self}"))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}
