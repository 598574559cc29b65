//! What queries are sent over: a stack's UDP.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use connie_core::resolution::selection::Route;

/// A stack's UDP, as [`Dns`](crate::dns::Dns) needs it: one socket for each question and server.
///
/// [`Nal`](crate::dns::Nal) makes one of any embedded-nal-async `UdpStack`; with the feature `embassy-net`
/// there is `embassy_net::Udp`, and with `edge-nal` `edge_nal::Udp`.
pub trait Udp {
    /// A socket. Dropping it must close it.
    type Socket<'a>
    where
        Self: 'a;

    /// The name servers, the first to be asked first: looked at by each lookup. There is a port in each
    /// address; that of DNS is 53.
    fn servers(&self) -> impl Iterator<Item = SocketAddr>;

    /// The largest datagram in octets that it takes in, which is announced to servers.
    fn largest_datagram(&self) -> u16;

    /// Opens a socket for a conversation with `server`. One that has no port that is hard to guess from
    /// elsewhere takes `port`, which is, and is no other's of the same [`Dns`](crate::dns::Dns).
    async fn open(&self, server: SocketAddr, port: u16) -> Result<Self::Socket<'_>, UdpError>;

    /// Sends `query` to the server for which the socket was opened.
    async fn send<'s>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        server: SocketAddr,
        query: &[u8],
    ) -> Result<(), UdpError>;

    /// Hands the next datagram that comes from that server to `read`. Dropping the future must lose no
    /// datagram but one that has come.
    ///
    /// There is one such future for each socket in whatever drives: what it holds counts as often.
    async fn receive<'s, R>(
        &'s self,
        socket: &mut Self::Socket<'s>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, UdpError>;

    /// The route to `address`, as [`Lookup::route`](crate::Lookup::route) tells it. Default: nothing is
    /// known.
    fn route(&self, address: IpAddr) -> Route {
        let _ = address;
        Route::Unknown
    }
}

/// Why a query was not sent, or no answer can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum UdpError {
    /// There is no socket or no buffer left now: the query counts as lost, and is sent again.
    NoSocket,
    /// The server cannot be reached, or a host or a router has said that the query did not arrive: the next
    /// server is asked at once.
    Unreachable,
}

impl fmt::Display for UdpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            UdpError::NoSocket => "no socket or buffer is left for a query: give the stack more",
            UdpError::Unreachable => "the name server cannot be reached",
        })
    }
}

impl core::error::Error for UdpError {}

impl UdpError {
    /// What an error means that is of this kind.
    pub(crate) const fn of(kind: embedded_io_async::ErrorKind) -> Self {
        match kind {
            embedded_io_async::ErrorKind::OutOfMemory => UdpError::NoSocket,
            _ => UdpError::Unreachable,
        }
    }
}
