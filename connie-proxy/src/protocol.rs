//! The protocols that clients speak.

use crate::http_request::ForwardedRequest;

/// How a client wants to be served.
pub(crate) enum Protocol {
    /// By SOCKS5.
    Socks5,
    /// By CONNECT of HTTP.
    Tunnel,
    /// A request of HTTP that is passed on.
    Forward(ForwardedRequest),
}
