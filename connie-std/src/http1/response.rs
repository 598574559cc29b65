//! A response whose body is a reader.

use std::fmt;
use std::io::{self, Read};

use connie_core::Poller;
use connie_http::{Headers, ResponseHead, StatusClass, Version};

use super::error::{ClientError, kind};
use super::race_connect::RaceConnect;
use super::transport::Transport;
use crate::OsPoller;

/// A response. Its body is read by [`Read`]; a body that ends early is an error of kind `UnexpectedEof`, with
/// the [`HttpError`](connie_http::HttpError) inside.
///
/// Dropping it loses nothing: [`Client::response`](super::Client::response) gives it again. Before the next
/// request its body must be read to the end, or [discarded](Self::discard).
#[doc(alias = "HTTPResponse")]
pub struct Response<'c, T: Transport>(
    pub(super) connie_http::Response<'c, T, OsPoller, Vec<u8>, RaceConnect>,
)
where
    OsPoller: Poller<T>;

impl<T: Transport> fmt::Debug for Response<'_, T>
where
    OsPoller: Poller<T>,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<T: Transport> Response<'_, T>
where
    OsPoller: Poller<T>,
{
    /// The head.
    #[must_use]
    pub fn head(&self) -> ResponseHead<'_> {
        self.0.head()
    }

    /// The status code.
    #[must_use]
    #[doc(alias = "code")]
    pub fn status(&self) -> u16 {
        self.0.status()
    }

    /// The class of the status code. One that is none, below 100 or above 599, is a server's error.
    #[must_use]
    pub fn class(&self) -> StatusClass {
        self.0.class()
    }

    /// The reason phrase; empty where it is missing, or holds controls or bytes beyond ASCII.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.0.reason()
    }

    /// The version of HTTP that the server answered with.
    #[must_use]
    pub fn version(&self) -> Version {
        self.0.version()
    }

    /// All header fields, in order, duplicates included.
    #[must_use]
    #[doc(alias = "getheaders")]
    pub fn headers(&self) -> Headers<'_> {
        self.0.headers()
    }

    /// The value of the first field with this name, in any case.
    #[must_use]
    #[doc(alias = "getheader")]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.0.header(name)
    }

    /// The trailer fields of a chunked body, in order. None before the body's end.
    #[must_use]
    pub fn trailers(&self) -> Headers<'_> {
        self.0.trailers()
    }

    /// The trailer section of a chunked body as it came, but for folded lines, which are joined. Empty before
    /// the body's end.
    #[must_use]
    pub fn raw_trailers(&self) -> &[u8] {
        self.0.raw_trailers()
    }

    /// How many bytes of the body are still to come, where the head has told.
    #[must_use]
    #[doc(alias = "length")]
    pub fn remaining(&self) -> Option<u64> {
        self.0.remaining()
    }

    /// Whether the body has been read to its end.
    #[must_use]
    #[doc(alias = "isclosed")]
    pub fn is_closed(&self) -> bool {
        self.0.is_closed()
    }

    /// Whether the connection ends with this response (RFC 9112 section 9.3).
    #[must_use]
    pub fn will_close(&self) -> bool {
        self.0.will_close()
    }

    /// Reads the rest of the body and drops it, so that another request can follow.
    ///
    /// # Errors
    ///
    /// What can go wrong with a body: [`HttpError::IncompleteRead`](connie_http::HttpError::IncompleteRead)
    /// and its kin.
    pub fn discard(&mut self) -> Result<(), ClientError> {
        Ok(self.0.discard()?)
    }

    /// As [`discard`](Self::discard), where that is worth it: where the connection stays, and no more than
    /// `most` bytes of the body are still to come. Returns whether another request can follow on this
    /// connection; where it cannot, what is left of the body is left alone, and
    /// [`Client::close`](super::Client::close) makes way for another connection.
    ///
    /// # Errors
    ///
    /// Those of [`discard`](Self::discard).
    pub fn discard_at_most(&mut self, most: u64) -> Result<bool, ClientError> {
        let mut left = most;
        if self.will_close() || self.remaining().is_some_and(|length| length > left) {
            return Ok(false);
        }
        let mut piece = [0; 1024];
        loop {
            let count = self.0.read(&mut piece)?;
            if count == 0 {
                return Ok(!self.will_close());
            }
            match left.checked_sub(count as u64) {
                Some(rest) => left = rest,
                None => return Ok(false),
            }
        }
    }
}

impl<T: Transport> Read for Response<'_, T>
where
    OsPoller: Poller<T>,
{
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| io::Error::new(kind(&error), error))
    }
}
