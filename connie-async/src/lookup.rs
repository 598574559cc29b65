//! Names: a lookup that gives many addresses, and what serves as one.

use core::convert::Infallible;
use core::fmt::Debug;
use core::future::pending;
use core::net::IpAddr;

use connie_core::Family;
use connie_core::resolution::QueryError;
use connie_core::resolution::selection::Route;
use embedded_nal_async::{AddrType, Dns};
use heapless::Vec;

/// A lookup of names that gives all addresses of a family.
///
/// [`dns::Dns`](crate::dns::Dns) is one; [`PlainDns`] makes one of any embedded-nal-async `Dns`, within
/// limits.
pub trait Lookup {
    /// Why a lookup brought nothing.
    type Error: Debug;

    /// Puts the addresses of `family` that `host` has into `answers`, best first. None is an answer as well.
    /// Both families are asked at the same time; dropping the future must end the lookup.
    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), Self::Error>;

    /// The same for one beside whose future that of [`serve`](Self::serve) is polled. Default: needs no such.
    async fn lookup_served(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), Self::Error> {
        self.lookup(host, family, answers).await
    }

    /// What the lookups of one connect need done, such as sending and listening: there is one future of it
    /// for all of them, in place of one in each. It is polled in their task whenever they are, after them,
    /// and they once more after it; and is dropped with the last of them. Default: nothing.
    async fn serve(&self) -> Infallible {
        pending().await
    }

    /// What `error` means. A lookup that can tell that a name does not exist says so here. Default:
    /// [`QueryError::Failed`].
    fn query_error(&self, error: &Self::Error) -> QueryError {
        let _ = error;
        QueryError::Failed
    }

    /// The route to `address`: from which address of its own the stack would send, or that there is none,
    /// whereupon `address` is not tried. Also asked for addresses for documentation, which stand for the
    /// internet: a family by which that [has no way](connie_core::connect::Routes::of) is not waited for
    /// where the other has addresses. While a connect runs, the routes to those are asked for again whenever
    /// it is woken; if a family's source address has changed, its attempts begin anew. Default: nothing is
    /// known, and all is tried.
    fn route(&self, address: IpAddr) -> Route {
        let _ = address;
        Route::Unknown
    }

    /// The name that belongs to `address`, at the beginning of `name`; answers its length. See
    /// [`Dns::get_host_by_address`].
    async fn name_of(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, Self::Error>;
}

impl<L: Lookup> Lookup for &L {
    type Error = L::Error;

    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), L::Error> {
        L::lookup(self, host, family, answers).await
    }

    async fn lookup_served(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), L::Error> {
        L::lookup_served(self, host, family, answers).await
    }

    async fn serve(&self) -> Infallible {
        L::serve(self).await
    }

    fn query_error(&self, error: &L::Error) -> QueryError {
        L::query_error(self, error)
    }

    fn route(&self, address: IpAddr) -> Route {
        L::route(self, address)
    }

    async fn name_of(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, L::Error> {
        L::name_of(self, address, name).await
    }
}

/// Where a [`Lookup`] puts what it has found.
#[derive(Debug)]
pub struct AddressList<'a> {
    family: Family,
    addresses: &'a mut heapless::VecView<IpAddr>,
}

impl<'a> AddressList<'a> {
    /// Room in `addresses` for addresses of `family`.
    pub fn new<const ADDRESSES: usize>(family: Family, addresses: &'a mut Vec<IpAddr, ADDRESSES>) -> Self {
        AddressList { family, addresses }
    }

    /// Adds an address. One of the other family, one that is there already and one for which there is no room
    /// are passed over, and so is the unspecified one (`0.0.0.0`, `::`), with which some name servers say
    /// that they block a name: nobody can be at it, and embassy-net fails it with the error that it has for
    /// want of sockets.
    pub fn push(&mut self, address: IpAddr) {
        if is_of(self.family, &address) && !address.is_unspecified() && !self.addresses.contains(&address) {
            // Where it is full, the name has more addresses than this race takes.
            let _ = self.addresses.push(address);
        }
    }
}

/// Whether `address` is of `family`.
pub(crate) fn is_of(family: Family, address: &IpAddr) -> bool {
    match family {
        Family::V4 => address.is_ipv4(),
        Family::V6 => address.is_ipv6(),
    }
}

/// Any embedded-nal-async [`Dns`] as a [`Lookup`]: one address of each family, since its one call answers
/// with one.
///
/// Each family is asked for by itself, never for [`AddrType::Either`]: embassy-net 0.9 answers that with a
/// failure for a name that has only IPv4 addresses, where IPv6 is configured, since it takes the failure of
/// the first query for that of the name.
#[derive(Clone, Copy, Debug, Default)]
pub struct PlainDns<D>(pub D);

impl<D: Dns> Lookup for PlainDns<D> {
    type Error = D::Error;

    async fn lookup(
        &self,
        host: &str,
        family: Family,
        answers: &mut AddressList<'_>,
    ) -> Result<(), D::Error> {
        let kind = match family {
            Family::V4 => AddrType::IPv4,
            Family::V6 => AddrType::IPv6,
        };
        answers.push(self.0.get_host_by_name(host, kind).await?);
        Ok(())
    }

    async fn name_of(&self, address: IpAddr, name: &mut [u8]) -> Result<usize, D::Error> {
        self.0.get_host_by_address(address, name).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_take_what_is_new_and_of_their_family_and_no_more_than_they_have_room_for() {
        let mut found = Vec::<IpAddr, 2>::new();
        let mut answers = AddressList::new(Family::V4, &mut found);
        for text in ["2001:db8::1", "0.0.0.0", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            answers.push(text.parse().unwrap());
        }
        let wanted: [IpAddr; 2] = ["192.0.2.1", "192.0.2.2"].map(|text| text.parse().unwrap());
        assert_eq!(found, wanted);
    }
}
