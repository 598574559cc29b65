//! Which transfer codings a body may have.

use crate::error::HttpError;
use crate::fields::Headers;
use crate::syntax::elements;
use crate::transfer_coding::TransferCoding;

/// Whether the body of a message with these fields is chunked; `None` where they have no Transfer-Encoding.
///
/// No coding but chunked is undone here, and a request without `TE` asks for no other (RFC 9110
/// section 10.1.4). Any other is refused, since its body would come out coded, unless the caller undoes it
/// (`takes_coded`); one that was applied after chunked is refused in any case. `identity`, which RFC 2616 had
/// and RFC 9112 no longer has, does nothing to a body.
pub(crate) fn is_chunked(fields: Headers<'_>, takes_coded: bool) -> Result<Option<bool>, HttpError> {
    let mut chunked = None;
    for value in fields.all("transfer-encoding") {
        let mut last = chunked == Some(true);
        for coding in elements(value) {
            let name = coding.split(|byte| *byte == b';').next().unwrap_or_default();
            let is_chunked = name.trim_ascii().eq_ignore_ascii_case(b"chunked");
            let is_identity = coding.eq_ignore_ascii_case(b"identity");
            // RFC 9112 section 6.1: a sender must not apply chunked twice. Section 7.1: the presence of
            // parameters of chunked "SHOULD be treated as an error". A quoted string could hide a comma; no
            // coding in use has one.
            let faulty = is_chunked && (last || name.len() < coding.len()) || coding.contains(&b'"');
            if faulty || (is_identity && last) {
                return Err(HttpError::InvalidTransferEncoding);
            }
            if !is_chunked && !is_identity && (last || !takes_coded) {
                return Err(unsupported(name.trim_ascii()));
            }
            last = is_chunked;
        }
        chunked = Some(last);
    }
    Ok(chunked)
}

/// The transfer codings of a body that is given as it is coded, in the order in which they were applied: all
/// but chunked, which is undone, and identity.
pub(crate) fn codings<'a>(fields: Headers<'a>) -> impl Iterator<Item = &'a [u8]> {
    let is_left = |coding: &&[u8]| {
        !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity")
    };
    fields.all("transfer-encoding").flat_map(elements).filter(is_left)
}

fn unsupported(name: &[u8]) -> HttpError {
    let coding = core::str::from_utf8(name).ok().and_then(TransferCoding::new);
    coding.map_or(HttpError::InvalidTransferEncoding, HttpError::UnsupportedTransferCoding)
}
