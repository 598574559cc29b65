//! [`RaceConnect`] as embedded-nal-async's `Dns` and `TcpConnect`.

use core::future::Future;
use core::net::{IpAddr, SocketAddr};

use connie_core::memory::Remember;
use connie_core::{Families, Family};
use embedded_nal_async::{AddrType, Dns, TcpConnect};

use crate::attempts::Opener;
use crate::clock::Clock;
use crate::connection::Connection;
use crate::error::{ConnectionError, ResolveError};
use crate::lookup::Lookup;
use crate::options::Options;
use crate::race_connect::RaceConnect;
use crate::target::Target;

/// The families that a client asks for.
pub(crate) const fn families(addr_type: AddrType) -> Families {
    match addr_type {
        AddrType::IPv4 => Families::Only(Family::V4),
        AddrType::IPv6 => Families::Only(Family::V6),
        AddrType::Either => Families::Both,
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M> Dns
    for RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ResolveError<L::Error>;

    async fn get_host_by_name(&self, host: &str, addr_type: AddrType) -> Result<IpAddr, Self::Error> {
        self.resolve(host, families(addr_type), false).await
    }

    async fn get_host_by_address(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, Self::Error> {
        self.names().name_of(address, name).await.map_err(ResolveError::Failed)
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M> TcpConnect
    for RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    type Error = ConnectionError<T::Error>;
    type Connection<'a>
        = Connection<T::Connection<'a>>
    where
        Self: 'a;

    fn connect<'a>(
        &'a self,
        remote: SocketAddr,
    ) -> impl Future<Output = Result<Self::Connection<'a>, Self::Error>> {
        self.connect_for_client(remote, |remote| self.tcp().connect(remote))
    }
}

impl<T, L, C, const SOCKETS: usize, const ADDRESSES: usize, const NAMES: usize, M>
    RaceConnect<T, L, C, SOCKETS, ADDRESSES, NAMES, M>
where
    T: TcpConnect,
    L: Lookup,
    C: Clock,
    M: Remember<ADDRESSES>,
{
    /// Connects to whichever address of `target` answers first: a name or a literal address with a port, as a
    /// pair or as one text, or addresses. Both families are looked up side by side and the race begins with
    /// the first answer, so this needs neither the delay nor the second query of the two calls of the traits.
    /// `options` are those of this connect alone; those of [`RaceConnect::new`] are for the traits.
    ///
    /// # Errors
    ///
    /// Why there is no connection. Why a name was not found is as much of it as the [`Lookup`] can
    /// [tell](Lookup::query_error).
    pub fn connect<'a, 't>(
        &'a self,
        target: impl Into<Target<'t>>,
        options: &'t Options,
    ) -> impl Future<Output = Result<Connection<T::Connection<'a>>, ConnectionError<T::Error>>> {
        self.connect_target_by(target.into(), options, Opener::tcp(|remote| self.tcp().connect(remote)))
    }
}
