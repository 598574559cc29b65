//! How a program wants to connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use connie_core::Config;

use crate::budget::SocketBudget;
use crate::cancel::Canceler;
use crate::egress::Egress;
use crate::filter::AddressFilter;
use crate::memory::Memory;
use crate::observer::Observer;
use crate::resolve::Resolver;
use crate::socket::OsStack;
#[cfg(not(target_os = "wasi"))]
use crate::socket_options::{OnSocket, SocketOptions};

/// How many addresses of one host a [`connect`](crate::connect) considers.
pub const MAX_DESTINATIONS: usize = 128;
/// The most sockets that a [`connect`](crate::connect) can be allowed to have open.
pub const MAX_IN_FLIGHT: usize = 64;

/// How to connect. Start from the default and change what differs; a later version may add fields, so do not name them all.
///
/// ```
/// use connie_std::{Options, core::Config};
/// use std::time::Duration;
///
/// let options = Options {
///     race: Options::default().race.deadline(Some(Duration::from_secs(10))),
///     ..Options::default()
/// };
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    /// The race. Default: every address at once, over at most [`Options::DEFAULT_MAX_IN_FLIGHT`] sockets.
    ///
    /// The deadline covers resolution too. Which family's addresses come first is decided by RFC 6724 from what the host would send from,
    /// and on Linux with glibc by `/etc/gai.conf` too; for nearly all it is IPv6 where the host has it; `preferred_family: Family::V4`
    /// makes it IPv4 in any case. For lists of addresses it is the family of the first. A family that the host has no route by is not
    /// waited for where the other has addresses.
    pub race: Config,
    /// Where addresses of names come from. Default: the operating system.
    pub resolver: Resolver,
    /// The source address of IPv4 connections. Default: the system's choice.
    ///
    /// A source address for one family alone leaves the other out: its addresses fail untried, and their
    /// lines in the report say so. One that this machine does not have fails its family. With a source
    /// address the port is chosen at `connect` (on Linux `IP_BIND_ADDRESS_NO_PORT`), so that connections to
    /// different addresses can share one, as without.
    pub source_v4: Option<Ipv4Addr>,
    /// The source address of IPv6 connections, in the same way.
    pub source_v6: Option<Ipv6Addr>,
    /// What is set on each socket before it is connected: keepalive, buffers, an interface and more. Default:
    /// nothing. WASI has none of it.
    #[cfg(not(target_os = "wasi"))]
    pub socket: SocketOptions,
    /// What the program itself does with each socket before it is bound and connected, also with those of
    /// name servers and routes: [`OnSocket`] has an example. Default: nothing.
    #[cfg(not(target_os = "wasi"))]
    pub on_socket: Option<OnSocket>,
    /// Whether to set `TCP_NODELAY` on the winner. Default: yes.
    pub nodelay: bool,
    /// Addresses for names, which beat the resolver. The last entry for a name counts, and beats one for `*`.
    pub overrides: Vec<Override>,
    /// Which addresses may be tried, wherever they come from. Default: all. [`AddressFilter::public_only`] is for programs that connect to
    /// where others say.
    pub filter: AddressFilter,
    /// What ends the call from another thread or task.
    pub canceler: Option<Canceler>,
    /// Where the race and its look-ups take their sockets from. Default: [`SocketBudget::of_process`], which all races share. Without one
    /// nothing keeps many races from using up the process's descriptors.
    ///
    /// A connection keeps its place in the budget as long as it lives. While all places are taken a race waits for those of other races, until
    /// its deadline; where connections hold all of them it fails at once with [`BudgetHeld`](crate::ConnectErrorKind::BudgetHeld), or
    /// [waits](SocketBudget::waits) as long as it is told to. A program that holds very many connections at once gives a larger budget
    /// or none.
    pub budget: Option<SocketBudget>,
    /// What the race knows of its addresses from races before it, and what it adds to. Default: none, and each race is the whole race.
    /// [`HttpConnection`](crate::HttpConnection) and its like then make one of their own.
    pub memory: Option<Memory>,
    /// Whether the race goes where the one before went, as long as that address answers and the memory knows none that is better: for sessions
    /// that a server keeps by address. Default: no; of addresses that are as good as each other the first of the answer leads, by which
    /// resolvers share load out, and once in a while another one is explored.
    pub incumbent: bool,
    /// Who is told of the race at its end, won or not. Default: nobody.
    pub observer: Option<Observer>,
}

impl Options {
    /// The most sockets that a race opens unless told otherwise: enough for nearly every host at once, few enough for
    /// hundreds of races in a process with 1,024 descriptors of which some are idle.
    pub const DEFAULT_MAX_IN_FLIGHT: usize = 16;

    /// The addresses that [`overrides`](Self::overrides) gives for the host. The last entry counts, and one for this name before one for all, as
    /// for curl.
    pub(crate) fn addresses_of(&self, host: &str, port: u16) -> Option<Vec<SocketAddr>> {
        let last = |fits: &dyn Fn(&str) -> bool| {
            self.overrides.iter().rfind(|entry| entry.port == port && fits(&entry.host))
        };
        let entry = last(&|name| name.eq_ignore_ascii_case(host)).or_else(|| last(&|name| name == "*"))?;
        Some(entry.addresses.iter().map(|&ip| SocketAddr::new(ip, port)).collect())
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            race: Config::all_at_once().max_in_flight(Self::DEFAULT_MAX_IN_FLIGHT),
            resolver: Resolver::System,
            source_v4: None,
            source_v6: None,
            #[cfg(not(target_os = "wasi"))]
            socket: SocketOptions::default(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: None,
            nodelay: true,
            overrides: Vec::new(),
            filter: AddressFilter::default(),
            canceler: None,
            budget: Some(SocketBudget::of_process()),
            memory: None,
            incumbent: false,
            observer: None,
        }
    }
}

impl From<&Options> for OsStack {
    /// A stack for one race, with the source addresses and socket options of `options`.
    fn from(options: &Options) -> Self {
        OsStack {
            source_v4: options.source_v4,
            source_v6: options.source_v6,
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.clone(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: options.on_socket.as_ref().map(OnSocket::of_race),
            nodelay: options.nodelay,
        }
    }
}

impl From<&Options> for Egress {
    fn from(options: &Options) -> Self {
        Egress {
            source_v4: options.source_v4,
            source_v6: options.source_v6,
            #[cfg(not(target_os = "wasi"))]
            socket: options.socket.of_route(),
            #[cfg(not(target_os = "wasi"))]
            on_socket: options.on_socket.clone(),
        }
    }
}

/// The addresses to use for a name, in place of the resolver's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The name, compared without regard to case; `*` for every name.
    pub host: String,
    /// The port that it holds for.
    pub port: u16,
    /// The addresses, best first.
    pub addresses: Vec<IpAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_overrides(entries: &[(&str, u16, &str)]) -> Options {
        let entry = |&(host, port, address): &(&str, u16, &str)| Override {
            host: host.to_owned(),
            port,
            addresses: vec![address.parse().unwrap()],
        };
        Options { overrides: entries.iter().map(entry).collect(), ..Options::default() }
    }

    #[test]
    fn an_override_counts_for_its_host_and_its_port() {
        let options = with_overrides(&[("name.test", 80, "127.0.0.2")]);
        assert_eq!(options.addresses_of("Name.TEST", 80), Some(vec!["127.0.0.2:80".parse().unwrap()]));
        assert_eq!(options.addresses_of("name.test", 81), None);
        assert_eq!(options.addresses_of("other.test", 80), None);
    }

    #[test]
    fn the_last_override_counts_and_one_for_all_only_where_none_names_the_host() {
        let options = with_overrides(&[
            ("name.test", 80, "127.0.0.2"),
            ("name.test", 80, "127.0.0.3"),
            ("*", 80, "127.0.0.4"),
            ("*", 80, "127.0.0.5"),
            ("*", 81, "127.0.0.6"),
        ]);
        let found = |host, port| options.addresses_of(host, port).unwrap();
        assert_eq!(found("name.test", 80), ["127.0.0.3:80".parse().unwrap()]);
        assert_eq!(found("other.test", 80), ["127.0.0.5:80".parse().unwrap()]);
        assert_eq!(found("name.test", 81), ["127.0.0.6:81".parse().unwrap()]);
    }
}
