//! [`TlsRaceConnect`] as edge-nal's `Dns` and `TcpConnect`, for edge-http and its like.

use core::future::Future;
use core::net::{IpAddr, SocketAddr};

use connie_core::memory::Remember;
use edge_nal::{AddrType, Close, Dns, Readable, TcpConnect, TcpShutdown, TcpSplit};
use embedded_io_async::{ErrorType, Read, Write};

use super::{Tls, TlsError, TlsRaceConnect, TlsSession, TlsStream};
use crate::clock::Clock;
use crate::connection::Connection;
use crate::edge_nal::families;
use crate::error::{ConnectionError, ResolveError};
use crate::lookup::Lookup;
use crate::race_connect::RaceConnect;

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S> Dns
    for TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ResolveError<L::Error>;

    /// An address that stands for this name alone: one of `100::/64` (RFC 6666), which is nobody's, where all
    /// that were found stand for others, and the client does not ask for IPv4 alone.
    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, Self::Error> {
        let may_invent = addr_type != AddrType::IPv4;
        self.net.resolve(host, families(addr_type), may_invent).await
    }

    async fn get_host_by_address(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, Self::Error> {
        self.net.get_host_by_address(address, name).await
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M, S> TcpConnect
    for TlsRaceConnect<'_, RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>, S>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
    S: Tls,
{
    type Error = ConnectionError<TlsError<T::Error>>;
    type Socket<'a>
        = Connection<TlsStream<'a, S, T::Socket<'a>>>
    where
        Self: 'a;

    fn connect(&self, remote: SocketAddr) -> impl Future<Output = Result<Self::Socket<'_>, Self::Error>> {
        self.connect_by(remote, |remote| self.net.tcp().connect(remote))
    }
}

impl<L: Tls, S: Read + Write> Readable for TlsStream<'_, L, S> {
    async fn readable(&mut self) -> Result<(), Self::Error> {
        Ok(self.session().readable().await?)
    }
}

impl<L: Tls, S: Read + Write + TcpShutdown> TcpShutdown for TlsStream<'_, L, S> {
    /// With a `close_notify`. To end the writing ends both sides: nothing more can be read, neither a
    /// response that is still to come. To end the reading alone does nothing: TLS has nothing for that.
    async fn close(&mut self, what: Close) -> Result<(), Self::Error> {
        if what == Close::Read {
            return Ok(());
        }
        match self.session().close().await? {
            Some(mut socket) => socket.close(Close::Both).await.map_err(TlsError::Stack),
            None => Ok(()),
        }
    }

    /// Without a `close_notify`.
    async fn abort(&mut self) -> Result<(), Self::Error> {
        match self.session().abort().await {
            Some(mut socket) => socket.abort().await.map_err(TlsError::Stack),
            None => Ok(()),
        }
    }
}

/// A half of a TLS connection. A session reads or writes: while one half waits, what the other is asked for
/// is [`TlsError::Busy`]. That serves a request and its response, and not a client that waits for the server
/// and writes meanwhile.
#[derive(Debug)]
pub struct TlsHalf<'h, 'b, L: Tls + 'b, S: Read + Write + 'b>(&'h TlsStream<'b, L, S>);

impl<'b, L: Tls, S: Read + Write> TcpSplit for TlsStream<'b, L, S> {
    type Read<'h>
        = TlsHalf<'h, 'b, L, S>
    where
        Self: 'h;
    type Write<'h>
        = TlsHalf<'h, 'b, L, S>
    where
        Self: 'h;

    fn split(&mut self) -> (Self::Read<'_>, Self::Write<'_>) {
        (TlsHalf(self), TlsHalf(self))
    }
}

impl<L: Tls, S: Read + Write> ErrorType for TlsHalf<'_, '_, L, S> {
    type Error = TlsError<S::Error>;
}

#[expect(clippy::await_holding_refcell_ref, reason = "who finds it borrowed has an error")]
mod halves {
    use super::*;

    impl<L: Tls, S: Read + Write> Read for TlsHalf<'_, '_, L, S> {
        async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Self::Error> {
            let mut session = self.0.shared_session().try_borrow_mut().map_err(|_| TlsError::Busy)?;
            Ok(session.read(buffer).await?)
        }
    }

    impl<L: Tls, S: Read + Write> Readable for TlsHalf<'_, '_, L, S> {
        async fn readable(&mut self) -> Result<(), Self::Error> {
            let mut session = self.0.shared_session().try_borrow_mut().map_err(|_| TlsError::Busy)?;
            Ok(session.readable().await?)
        }
    }

    impl<L: Tls, S: Read + Write> Write for TlsHalf<'_, '_, L, S> {
        async fn write(&mut self, buffer: &[u8]) -> Result<usize, Self::Error> {
            let mut session = self.0.shared_session().try_borrow_mut().map_err(|_| TlsError::Busy)?;
            Ok(session.write(buffer).await?)
        }

        async fn flush(&mut self) -> Result<(), Self::Error> {
            let mut session = self.0.shared_session().try_borrow_mut().map_err(|_| TlsError::Busy)?;
            Ok(session.flush().await?)
        }
    }
}
