//! Names of other scripts: as they are typed, and as the DNS has them (UTS 46, non-transitional, as browsers
//! and curl do).

use idna::AsciiDenyList;
use idna::uts46::{DnsLength, Hyphens, Uts46};

/// The `xn--` form of a name; `None` where it has none.
pub(crate) fn to_ascii(name: &str) -> Option<String> {
    // Which characters of ASCII a host may have, and how long it may be, is checked after this.
    let ascii = Uts46::new().to_ascii(
        name.as_bytes(),
        AsciiDenyList::EMPTY,
        Hyphens::CheckFirstLast,
        DnsLength::Ignore,
    );
    ascii.ok().map(std::borrow::Cow::into_owned)
}
