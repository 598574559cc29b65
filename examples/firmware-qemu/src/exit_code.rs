//! The exit code of an exchange that failed, as curl has them. Those of other troubles are `net::Trouble`'s.

use connie_http::HttpError;

/// 2 where this program is to blame, 18 partial file, 28 timed out, 52 empty reply, 55 send failure, 56
/// receive failure, 61 a coding that is not known, and 8 for any other weird reply.
#[must_use]
pub const fn of_http(error: &HttpError) -> u8 {
    match error {
        HttpError::TimedOut => 28,
        HttpError::EmptyReply => 52,
        HttpError::IncompleteRead { .. } => 18,
        HttpError::Send(_) => 55,
        HttpError::Receive(_) | HttpError::IncompleteHead | HttpError::MalformedChunk => 56,
        HttpError::MalformedTrailer | HttpError::TrailersTooLarge => 56,
        HttpError::UnsupportedTransferCoding(_) => 61,
        error if error.is_usage() => 2,
        _ => 8,
    }
}

#[cfg(test)]
mod tests {
    use connie_core::AttemptErrorKind;

    use super::*;

    #[test]
    fn the_codes_are_curl_s() {
        assert_eq!(of_http(&HttpError::TimedOut), 28);
        assert_eq!(of_http(&HttpError::EmptyReply), 52);
        assert_eq!(of_http(&HttpError::IncompleteRead { got: 3, expected: Some(5) }), 18);
        assert_eq!(of_http(&HttpError::Receive(AttemptErrorKind::Reset.into())), 56);
        assert_eq!(of_http(&HttpError::InvalidTarget), 2);
        assert_eq!(of_http(&HttpError::NotHttp), 8);
    }
}
