//! A tunnel through an HTTP proxy (RFC 9110 section 9.3.6).

use crate::authority::Authority;
use crate::connection::HttpConnection;
use crate::error::HttpError;
use crate::exchange_state::ExchangeState;
use crate::open_connection::{OpenConnection, OpenContext};
use crate::receive_buffer::ReceiveBuffer;
use crate::request::{RequestBody, RequestHead};
use crate::writer::Writer;
use connie_core::{Poller, RaceStack};

impl<S, W, B, O> HttpConnection<S, W, B, O>
where
    S: RaceStack,
    W: Poller<S>,
    B: AsRef<[u8]> + AsMut<[u8]>,
    O: OpenConnection<S, W>,
{
    /// Makes the connection lead to `authority`, through the HTTP proxy that the socket or the opener leads
    /// to.
    ///
    /// Each connection then begins with a CONNECT request that names `authority` with its port and has
    /// `headers` (`Proxy-Authorization`, say). All requests after that go through the tunnel to `authority`,
    /// whose name takes the place of the one given to the constructor. The CONNECT request is kept at the end
    /// of the buffer, which has that much less room for heads, and is sent again for every new connection.
    ///
    /// The proxy's response is read byte by byte, behind the head of the request that needs the connection:
    /// nothing of what the host says after it is lost. One that is not 2xx is [`HttpError::TunnelRefused`],
    /// told by the request that needed the connection.
    ///
    /// ```
    /// # use connie_core::doc_stack::{Clock, Stack};
    /// use connie_core::Config;
    /// use connie_http::{Authority, HttpConnection, RaceAddresses};
    ///
    /// let proxy = RaceAddresses::<_>::new(["192.0.2.1:3128".parse()?], Config::all_at_once());
    /// let host = Authority::http("proxy.test", 3128);
    /// let mut connection = HttpConnection::with_opener(Stack::default(), Clock::default(), proxy, host, [0; 512])?;
    /// connection.set_tunnel(Authority::http("name.test", 80), &[("Proxy-Authorization", "Basic bWU6aXQ=")])?;
    /// connection.request("GET", "/", &[], b"")?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`HttpError::CannotSetTunnel`] where the connection already leads somewhere: it is open and has been
    /// used; [`HttpError::InvalidHost`], those of [`put_header`](Self::put_header), and
    /// [`HttpError::BufferTooSmall`] where the CONNECT request would take half of the buffer. The connection
    /// is then as it was, but that a request which was begun has to be begun anew; so it has where this
    /// succeeds.
    pub fn set_tunnel(
        &mut self,
        authority: Authority<'_>,
        headers: &[(&str, &str)],
    ) -> Result<(), HttpError> {
        self.state.may_set_tunnel()?;
        // What is in the buffer is of no more use: nothing has been sent on this connection, or it is closed.
        self.forget();
        let length = write_connect(self.room(), authority, headers)?;
        let host = authority.write(self.room().get_mut(length..).unwrap_or_default())?;
        self.keep(length, host)?;
        self.tunnel_by = Some(Self::open_tunnel);
        self.state.on_tunnel_set()
    }

    /// Asks the proxy to open the tunnel. The first `kept` bytes of the buffer are left alone.
    fn open_tunnel(&mut self, kept: usize) -> Result<(), HttpError> {
        self.send_connect()?;
        self.receive_connected(kept)?;
        self.state.on_tunnel_opened()
    }

    fn send_connect(&mut self) -> Result<(), HttpError> {
        let mut at = self.capacity();
        let end = at.saturating_add(self.tunnel);
        while at < end {
            let data = self.buffer.as_ref().get(at..end).unwrap_or_default();
            at = at.saturating_add(self.link.send(data)?);
        }
        Ok(())
    }

    /// Reads the proxy's response behind the first `kept` bytes of the buffer.
    fn receive_connected(&mut self, kept: usize) -> Result<(), HttpError> {
        let mut receive_buffer = ReceiveBuffer::new(self.receive_buffer.keeps_heads());
        let mut exchange = ExchangeState::for_connect();
        let end = self.capacity();
        loop {
            let room = self.buffer.as_mut().get_mut(kept..end).unwrap_or_default();
            if let Some(head) = receive_buffer.next_head(room, &mut exchange)? {
                if receive_buffer.keeps_heads() {
                    self.opener.on_tunnel_heads(receive_buffer.raw_heads(room));
                }
                // RFC 9110 section 9.3.6: "Any 2xx (Successful) response indicates that the sender (and all
                // inbound proxies) will switch to tunnel mode immediately after the response header section",
                // whatever that says of a body.
                return match head.status {
                    200..=299 => Ok(()),
                    status => Err(HttpError::TunnelRefused { status }),
                };
            }
            // What follows the response is the tunnel's: no byte of it may be taken.
            let Some(next) = receive_buffer.free(room).and_then(|free| free.get_mut(..1)) else {
                return Err(HttpError::HeadTooLarge { capacity: end.saturating_sub(kept) });
            };
            match self.link.receive(next)? {
                0 if receive_buffer.is_empty() && !exchange.has_interim() => {
                    return Err(HttpError::EmptyReply);
                }
                0 => return Err(HttpError::IncompleteHead),
                count => receive_buffer.on_received(count),
            }
        }
    }

    /// Lets the opener begin what it speaks within the tunnel.
    pub(crate) fn secure_tunnel(&mut self) -> Result<(), HttpError> {
        let context = OpenContext { until: self.link.limit()?, tunnel: true };
        let (stack, poller, socket) = self.link.parts().ok_or(HttpError::NotConnected)?;
        self.opener.enter_tunnel(stack, poller, socket, context).map_err(HttpError::Connect)?;
        self.state.on_secured()
    }
}

/// Writes a CONNECT request and returns its length.
///
/// RFC 9110 section 9.3.6: "A client MUST send the port number even if the CONNECT request is based on a URI
/// reference that contains an authority component with an elided port".
fn write_connect(
    room: &mut [u8],
    authority: Authority<'_>,
    headers: &[(&str, &str)],
) -> Result<usize, HttpError> {
    let mut writer = Writer::after(room, 0);
    writer.put(b"CONNECT ")?;
    authority.put_with_port(&mut writer)?;
    writer.put(b" HTTP/1.1\r\nHost: ")?;
    authority.put_with_port(&mut writer)?;
    writer.put(b"\r\n")?;
    let length = writer.length();
    let mut head = RequestHead::resume(room, length);
    for (name, value) in headers {
        head.header(name, value.as_bytes())?;
    }
    head.finish(RequestBody::None)
}
