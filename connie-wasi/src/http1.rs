//! HTTP/1.1 over the winner: the [connection of connie-http](connie_http), with an opener that looks the host
//! up and races for each connection.
//!
//! ```no_run
//! use connie_wasi::{Options, WasiPoller, http1};
//! use std::time::Duration;
//!
//! let mut connection = http1::connection("example.org", 80, Options::new(), WasiPoller::new())?;
//! connection.set_timeout(Some(Duration::from_secs(30)));
//! connection.request("GET", "/", &[], b"")?;
//! let mut response = connection.response()?;
//! println!("{} {}", response.status(), response.reason());
//! let mut piece = [0; 4096];
//! loop {
//!     match response.read(&mut piece)? {
//!         0 => break,
//!         count => print!("{}", String::from_utf8_lossy(&piece[..count])),
//!     }
//! }
//! # Ok::<(), connie_http::HttpError>(())
//! ```

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::SocketAddr;

use connie_core::Failure;
use connie_http::{Authority, HttpError, OpenConnection, OpenContext};

use crate::connect::{ConnectedSocket, connect_socket};
use crate::connect_error::{ConnectError, ConnectErrorKind};
use crate::options::Options;
use crate::report::Report;
use crate::socket::{WasiSocket, WasiStack};
use crate::wait::WasiPoller;

/// A connection to one server. Its methods are those of [connie-http's](connie_http::HttpConnection).
pub type HttpConnection = connie_http::HttpConnection<WasiStack, WasiPoller, Vec<u8>, RaceConnect>;

/// As much as desktop clients allow for the head of an answer.
const BUFFER: usize = 64 * 1024;

/// A connection to this host: a name or an address. Nothing is looked up or opened before the first request.
/// Each connection is opened by a race as `options` say; `poller` is what the connection waits with, and what
/// [cancels](WasiPoller::cancel_when) it.
///
/// # Errors
///
/// [`HttpError::InvalidHost`].
pub fn connection(
    host: &str,
    port: u16,
    options: Options,
    poller: WasiPoller,
) -> Result<HttpConnection, HttpError> {
    let opener = RaceConnect { host: host.to_string(), port, options, won: None, error: None };
    let buffer = alloc::vec![0; BUFFER];
    HttpConnection::with_opener(WasiStack::default(), poller, opener, Authority::http(host, port), buffer)
}

/// Opens each connection by a race of its own, and remembers the last:
/// [`opener`](connie_http::HttpConnection::opener) has it.
#[derive(Debug)]
pub struct RaceConnect {
    host: String,
    port: u16,
    options: Options,
    won: Option<(SocketAddr, Report)>,
    error: Option<ConnectError>,
}

impl RaceConnect {
    /// Where the last connection leads; `None` before the first, and where the last could not be opened.
    #[must_use]
    pub fn destination(&self) -> Option<SocketAddr> {
        self.won.as_ref().map(|(destination, _)| *destination)
    }

    /// What the race for the last connection did.
    #[must_use]
    pub fn report(&self) -> Option<&Report> {
        self.won.as_ref().map(|(_, report)| report)
    }

    /// Why the last connection could not be opened, where that is what went wrong ([`HttpError::Connect`]).
    #[must_use]
    pub fn error(&self) -> Option<&ConnectError> {
        self.error.as_ref()
    }
}

impl OpenConnection<WasiStack, WasiPoller> for RaceConnect {
    fn open(
        &mut self,
        stack: &mut WasiStack,
        poller: &mut WasiPoller,
        context: OpenContext,
    ) -> Result<WasiSocket, Failure> {
        self.won = None;
        self.error = None;
        let now = poller.clock().now();
        let left = context.until.map(|until| until.duration_since(now));
        // Whichever is earlier.
        let deadline = self.options.deadline.into_iter().chain(left).min();
        let options = self.options.clone().deadline(deadline);
        match connect_socket((self.host.as_str(), self.port), &options, stack, poller) {
            Ok(ConnectedSocket { socket, destination, report, .. }) => {
                self.won = Some((destination, report));
                Ok(socket)
            }
            Err(error) => {
                let failure = match error.kind() {
                    ConnectErrorKind::Race(failure, _) => *failure,
                    _ => Failure::NoDestinations,
                };
                self.error = Some(error);
                Err(failure)
            }
        }
    }
}
