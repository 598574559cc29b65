//! What can go wrong in an exchange, each kind with a name of its own.

use core::fmt;

use crate::transfer_coding::TransferCoding;
use connie_core::plain::Number;
use connie_core::{AttemptError, Failure};

/// Why a request could not be made or a response could not be had.
///
/// Errors of the caller ([`is_usage`](HttpError::is_usage)) leave the connection as it was and have sent
/// nothing. After [`TimedOut`](HttpError::TimedOut) or [`Canceled`](HttpError::Canceled) while a response is
/// read, the same call can be made again, as long as the connection is
/// [open](crate::HttpConnection::is_open). Every other error has closed the connection, save
/// [`BodyTooLarge`](HttpError::BodyTooLarge) where it could be foreseen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
#[doc(alias = "HTTPException")]
pub enum HttpError {
    /// The method is not a token (RFC 9110 section 9.1).
    InvalidMethod,
    /// The target is not one: a space, a control, a `#` or a byte that is not ASCII (RFC 9112 section 3.2).
    #[doc(alias = "InvalidURL")]
    InvalidTarget,
    /// The host is neither a name nor an address that a `Host` field can hold (RFC 9110 section 7.2).
    InvalidHost,
    /// The name of a header field is not a token (RFC 9110 section 5.1).
    InvalidHeaderName,
    /// The value of a header field holds a CR, LF, NUL or another control (RFC 9110 section 5.5).
    InvalidHeaderValue,
    /// `Host`, `Content-Length` and `Transfer-Encoding` are written by the connection.
    /// [`request`](crate::HttpConnection::request) takes one `Host` in place of its own.
    ReservedHeader,
    /// The request's head does not fit the buffer.
    BufferTooSmall,
    /// The body given is longer than the length announced in the head.
    BodyTooLong,
    /// The body ended this many bytes before the length announced in the head.
    BodyTooShort {
        /// The bytes that are missing.
        missing: u64,
    },
    /// A request was begun while the last one is not over: its response has not been read to the end.
    CannotSendRequest,
    /// A header field was given where no request has been begun, or its head is already sent.
    CannotSendHeader,
    /// Body bytes were given where no body is being sent.
    CannotSendBody,
    /// A response was asked for and no request is complete.
    ResponseNotReady,
    /// The body is longer than the slice that was to hold it.
    BodyTooLarge {
        /// The length of that slice.
        capacity: usize,
    },
    /// `Expect: 100-continue` was given for a request without a body (RFC 9110 section 10.1.1: a client "MUST
    /// NOT").
    ExpectWithoutBody,
    /// A tunnel was asked for on a connection that is open and in use.
    CannotSetTunnel,
    /// There is no connection: it was closed, and nothing opens another.
    NotConnected,
    /// No connection could be opened.
    Connect(Failure),
    /// The proxy refused to open the tunnel.
    TunnelRefused {
        /// The status of its response: 407 where it wants `Proxy-Authorization`.
        status: u16,
    },
    /// The server closed the kept connection before this request, or spoke on it unasked. Nothing was sent,
    /// and nothing opens another connection.
    Stale,

    /// The connection was closed before the first byte of the response.
    #[doc(alias = "RemoteDisconnected")]
    EmptyReply,
    /// The response does not begin as HTTP does.
    #[doc(alias = "BadStatusLine")]
    NotHttp,
    /// The response is of a major version other than 1.
    #[doc(alias = "UnknownProtocol")]
    UnsupportedVersion,
    /// The status line is malformed.
    #[doc(alias = "BadStatusLine")]
    MalformedStatusLine,
    /// A header line is malformed, and cannot be [passed over](crate::Headers::dropped): it holds a NUL or a
    /// bare CR, or names Content-Length or Transfer-Encoding (RFC 9110 section 5.5, RFC 9112 section 5.1).
    MalformedHeader,
    /// The response's head does not fit the buffer.
    #[doc(alias = "LineTooLong")]
    HeadTooLarge {
        /// What the buffer can hold.
        capacity: usize,
    },
    /// The connection was closed within the response's head.
    IncompleteHead,
    /// More than [`MAX_INTERIM`](crate::MAX_INTERIM) responses of status 1xx.
    TooManyInterim,
    /// The server has switched to another protocol (status 101), and the request had no `Upgrade` field that
    /// asked for it (RFC 9110 sections 7.8 and 15.2.2).
    UnaskedSwitch,
    /// A Content-Length is not a number (RFC 9112 section 6.3, rule 5).
    InvalidContentLength,
    /// Two values of Content-Length differ (RFC 9112 section 6.3, rule 5).
    ConflictingContentLength,
    /// The Transfer-Encoding cannot be understood: chunked more than once, with parameters or not at the end,
    /// a quoted string, or a name that is not a token (RFC 9112 sections 6.1 and 7.1).
    InvalidTransferEncoding,
    /// The body has a transfer coding that is not undone here: chunked is the only one, unless the connection
    /// [takes others](crate::HttpConnection::set_takes_coded).
    #[doc(alias = "UnknownTransferEncoding")]
    UnsupportedTransferCoding(TransferCoding),
    /// The chunked body breaks its own rules (RFC 9112 section 7.1), or exceeds
    /// [`MAX_CHUNK`](crate::MAX_CHUNK) or [`MAX_CHUNK_LINE`](crate::MAX_CHUNK_LINE).
    MalformedChunk,
    /// A trailer line is malformed, as for [`MalformedHeader`](Self::MalformedHeader).
    MalformedTrailer,
    /// The trailer section exceeds [`MAX_TRAILERS`](crate::MAX_TRAILERS), or what the head leaves free of the
    /// buffer.
    TrailersTooLarge,
    /// The connection was closed before the body's end (RFC 9112 section 8).
    IncompleteRead {
        /// Body bytes received in all.
        got: u64,
        /// Body bytes announced; `None` where the body is chunked.
        expected: Option<u64>,
    },

    /// Sending failed, and no response had come.
    Send(AttemptError),
    /// Receiving failed.
    Receive(AttemptError),
    /// The time allowed was used up.
    TimedOut,
    /// The program gave the operation up: [`PollResult::Canceled`](connie_core::PollResult::Canceled).
    Canceled,
}

impl HttpError {
    /// Whether the caller is to blame, so that the connection is as it was.
    #[must_use]
    pub const fn is_usage(&self) -> bool {
        matches!(
            self,
            HttpError::InvalidMethod
                | HttpError::InvalidTarget
                | HttpError::InvalidHost
                | HttpError::InvalidHeaderName
                | HttpError::InvalidHeaderValue
                | HttpError::ReservedHeader
                | HttpError::BufferTooSmall
                | HttpError::BodyTooLong
                | HttpError::BodyTooShort { .. }
                | HttpError::CannotSendRequest
                | HttpError::CannotSendHeader
                | HttpError::CannotSendBody
                | HttpError::ResponseNotReady
                | HttpError::ExpectWithoutBody
                | HttpError::CannotSetTunnel
                | HttpError::NotConnected
        )
    }

    /// What a [`Display`](fmt::Display) says where there is no figure to go with it.
    const fn text(&self) -> &'static str {
        match self {
            HttpError::InvalidMethod => "the method is not a token",
            HttpError::InvalidTarget => {
                "the target contains a space, a control character, '#' or a non-ASCII byte"
            }
            HttpError::InvalidHost => "the host is not a name or an address",
            HttpError::InvalidHeaderName => "a header name is not a token",
            HttpError::InvalidHeaderValue => "a header value contains a control character",
            HttpError::ReservedHeader => {
                "do not set Host, Content-Length or Transfer-Encoding: the connection writes them"
            }
            HttpError::BufferTooSmall => "the request head does not fit in the buffer",
            HttpError::BodyTooLong => "the body is longer than announced",
            HttpError::BodyTooShort { .. } => "the body is shorter than announced",
            HttpError::CannotSendRequest => "the last response has not been read to the end",
            HttpError::CannotSendHeader => "no request head is being written",
            HttpError::CannotSendBody => "no request body is being sent",
            HttpError::ResponseNotReady => "no request has been sent",
            HttpError::BodyTooLarge { .. } => "the body does not fit in the buffer",
            HttpError::ExpectWithoutBody => "a request without a body cannot expect 100-continue",
            HttpError::CannotSetTunnel => "the connection is already open: close it before setting a tunnel",
            HttpError::NotConnected => "the connection is closed",
            HttpError::Connect(_) => "could not connect",
            HttpError::TunnelRefused { .. } => "the proxy refused to open the tunnel",
            HttpError::Stale => "the server closed the idle connection",
            HttpError::EmptyReply => "the server closed the connection without a response",
            HttpError::NotHttp => "the response is not HTTP",
            HttpError::UnsupportedVersion => "the response is not HTTP/1",
            HttpError::MalformedStatusLine => "the status line of the response is malformed",
            HttpError::MalformedHeader => {
                "a malformed header line contains a NUL or a bare CR, or names Content-Length or Transfer-Encoding"
            }
            HttpError::HeadTooLarge { .. } => "the response head does not fit in the buffer",
            HttpError::IncompleteHead => "the connection closed before the response head was complete",
            HttpError::TooManyInterim => "no final response after 16 of status 1xx",
            HttpError::UnaskedSwitch => {
                "the server switched protocols (status 101), which the request did not ask for"
            }
            HttpError::InvalidContentLength => "the Content-Length of the response is not a number",
            HttpError::ConflictingContentLength => "the response has two different values of Content-Length",
            HttpError::InvalidTransferEncoding => "the Transfer-Encoding of the response is invalid",
            HttpError::UnsupportedTransferCoding(_) => {
                "the response has a transfer coding that is not supported"
            }
            HttpError::MalformedChunk => "the chunked body of the response is malformed",
            HttpError::MalformedTrailer => {
                "a malformed trailer line contains a NUL or a bare CR, or names Content-Length or Transfer-Encoding"
            }
            HttpError::TrailersTooLarge => {
                "the trailer section is larger than 16384 bytes, or than the rest of the buffer"
            }
            HttpError::IncompleteRead { .. } => "the connection closed before the body was complete",
            HttpError::Send(_) => "sending failed",
            HttpError::Receive(_) => "receiving failed",
            HttpError::TimedOut => "timed out",
            HttpError::Canceled => "canceled",
        }
    }
}

impl fmt::Display for HttpError {
    /// One line that says what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())?;
        match self {
            HttpError::BodyTooShort { missing } => write!(f, ": {} bytes are missing", Number(*missing)),
            HttpError::BodyTooLarge { capacity } | HttpError::HeadTooLarge { capacity } => {
                write!(f, " of {} bytes", Number::of_size(*capacity))
            }
            HttpError::IncompleteRead { got, expected: Some(expected) } => {
                write!(f, ": {} of {} bytes received", Number(*got), Number(*expected))
            }
            HttpError::IncompleteRead { got, expected: None } => {
                write!(f, ": {} bytes received", Number(*got))
            }
            HttpError::Send(error) | HttpError::Receive(error) => write!(f, ": {error}"),
            HttpError::Connect(failure) => write!(f, ": {failure}"),
            HttpError::UnsupportedTransferCoding(coding) => write!(f, ": {coding}"),
            HttpError::TunnelRefused { status } => write!(f, ": status {}", Number(u64::from(*status))),
            _ => Ok(()),
        }
    }
}

impl core::error::Error for HttpError {}

#[cfg(test)]
mod tests {
    extern crate std;
    use connie_core::AttemptErrorKind;

    use super::*;
    use std::string::ToString;

    #[test]
    fn an_error_is_one_line_with_its_figures() {
        let partial = HttpError::IncompleteRead { got: 3, expected: Some(5) };
        assert_eq!(
            partial.to_string(),
            "the connection closed before the body was complete: 3 of 5 bytes received"
        );
        let reset = HttpError::Receive(AttemptErrorKind::Reset.into());
        assert_eq!(reset.to_string(), "receiving failed: connection reset");
        let large = HttpError::HeadTooLarge { capacity: 512 };
        assert_eq!(large.to_string(), "the response head does not fit in the buffer of 512 bytes");
        let endless = HttpError::IncompleteRead { got: 3, expected: None };
        assert_eq!(
            endless.to_string(),
            "the connection closed before the body was complete: 3 bytes received"
        );
        let coded = HttpError::UnsupportedTransferCoding(TransferCoding::new("gzip").unwrap());
        let said = "the response has a transfer coding that is not supported: gzip";
        assert_eq!(coded.to_string(), said);
        let interim = HttpError::TooManyInterim.to_string();
        assert_eq!(interim, std::format!("no final response after {} of status 1xx", crate::MAX_INTERIM));
        let limit = crate::MAX_TRAILERS.to_string();
        assert!(HttpError::TrailersTooLarge.to_string().contains(&limit), "the limit is named: {limit}");
        let short = HttpError::BodyTooShort { missing: 7 };
        assert_eq!(short.to_string(), "the body is shorter than announced: 7 bytes are missing");
    }
}
