//! Names by an embassy-net [`Stack`], with all the addresses that its DNS socket takes.
//!
//! ```no_run
//! use connie_async::{Config, EmbassyClock, Racing};
//! use embassy_net::Stack;
//! use embassy_net::tcp::client::{TcpClient, TcpClientState};
//!
//! # async fn firmware(stack: Stack<'static>) {
//! // As many as SOCKETS, and one more for each connection that is kept; the stack's own resources must hold them, with one socket for
//! // DNS and one for DHCP: StackResources::<6>.
//! let state = TcpClientState::<4, 1024, 1024>::new();
//! let tcp = TcpClient::new(stack, &state);
//! let net = Racing::new(tcp, stack, EmbassyClock, Config::all_at_once());
//! // let mut client = reqwless::client::HttpClient::new(&net, &net);
//! let connection = net.connect_host("example.org", 80).await;
//! # }
//! ```
//!
//! smoltcp, on which embassy-net stands, keeps **one** address of an answer by default. Build with `SMOLTCP_DNS_MAX_RESULT_COUNT=8` in the
//! environment, or with smoltcp's feature `dns-max-result-count-8`, or there is little to race.
//!
//! **Dead neighbours on the same Ethernet** can hold the others back: smoltcp asks for one hardware address a second for the whole interface. Of
//! addresses behind routers that is a matter of the routers alone. `connie-smoltcp` asks for neighbours itself; past embassy-net that
//! cannot be done.
//!
//! Each family is asked for by itself. `DnsSocket`, embassy-net's own `Dns`, asks for AAAA alone where IPv6 is configured, and takes
//! its failure for that of the name: smoltcp tells "no such record" as a failure, so that names with only IPv4 addresses cannot be
//! looked up.

use core::net::IpAddr;

use connie_core::Family;
use connie_core::resolution::selection::Route;
use embassy_net::Stack;
use embassy_net::dns::{DnsQueryType, Error};

use crate::lookup::{Answers, Lookup};

impl Lookup for Stack<'_> {
    type Error = Error;

    async fn lookup(&self, host: &str, family: Family, answers: &mut Answers<'_>) -> Result<(), Error> {
        // Where the stack has no address of a family, an address of that can be of no use, but for NAT64.
        let through_nat64 = cfg!(feature = "nat64") && family == Family::V4;
        if source(self, family).is_none() && !through_nat64 {
            return Ok(());
        }
        let kind = match family {
            Family::V4 => DnsQueryType::A,
            Family::V6 => DnsQueryType::Aaaa,
        };
        for address in self.dns_query(host, kind).await? {
            answers.push(address.into());
        }
        Ok(())
    }

    /// From the stack's address of the family.
    fn route(&self, address: IpAddr) -> Route {
        let family = if address.is_ipv4() { Family::V4 } else { Family::V6 };
        source(self, family).map_or(Route::Unreachable, Route::from_source)
    }

    /// Fails: embassy-net has no such query.
    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Error> {
        Err(Error::Failed)
    }
}

/// The stack's own address of `family`. None of IPv6 without the feature `embassy-net-ipv6`: embassy-net panics when it is to connect to an
/// address of a family that it was built without.
fn source(stack: &Stack<'_>, family: Family) -> Option<IpAddr> {
    match family {
        Family::V4 => stack.config_v4().map(|config| config.address.address().into()),
        #[cfg(feature = "embassy-net-ipv6")]
        Family::V6 => stack.config_v6().map(|config| config.address.address().into()),
        #[cfg(not(feature = "embassy-net-ipv6"))]
        Family::V6 => None,
    }
}
