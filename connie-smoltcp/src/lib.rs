//! connie over smoltcp: races connections from a microcontroller, and speaks HTTP over the winner. No `std`,
//! no allocation.
//!
//! [`Stack`] is smoltcp with four sockets, or as many as it is given, that a
//! [`RaceDriver`](connie_core::RaceDriver) races and an `HttpConnection` of connie-http uses. The program
//! gives it a device (smoltcp's [`Device`](smoltcp::phy::Device): an Ethernet driver, a TAP), memory, and
//! a [`Platform`]: a clock and a way to sleep.
//!
//! ```
//! use connie_http::{Authority, HttpConnection};
//! use connie_core::{Config, RaceDriver, Poller};
//! use connie_smoltcp::smoltcp::phy::{Loopback, Medium};
//! use connie_smoltcp::smoltcp::wire::IpCidr;
//! use connie_smoltcp::{PlatformPoller, SocketStorage, Stack, TcpBuffers, interface};
//! use core::time::Duration;
//! # use connie_core::Instant;
//! # use connie_smoltcp::Platform as _;
//! # use core::net::IpAddr;
//! # /// Time passes only while nothing happens.
//! # struct Clock(core::cell::Cell<u64>);
//! # impl connie_smoltcp::Platform for Clock {
//! #     fn now(&self) -> Instant { Instant::from_micros(self.0.get()) }
//! #     fn idle_until(&self, until: Option<Instant>) {
//! #         let step = self.now() + Duration::from_millis(1);
//! #         self.0.set(until.map_or(step, |until| until.min(step)).as_micros().max(self.0.get()));
//! #     }
//! # }
//!
//! let board = // a clock and a way to sleep
//! # Clock(Default::default());
//! let mut device = Loopback::new(Medium::Ip);
//! let mut interface = interface(&mut device, [0x02, 0, 0, 0, 0, 1], 0x5eed, board.now());
//! interface.update_ip_addrs(|addresses| addresses.push("127.0.0.1/8".parse::<IpCidr>().unwrap()).unwrap());
//!
//! let mut storage = [SocketStorage::EMPTY; 5];
//! let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
//! # let (mut rx, mut tx) = ([0; 512], [0; 512]);
//! let mut stack = Stack::new(interface, device, &mut storage, &mut buffers, &board, 0x5eed);
//! let mut poller = PlatformPoller(&board);
//! # use connie_smoltcp::smoltcp::socket::tcp;
//! # let mut server = tcp::Socket::new(tcp::SocketBuffer::new(&mut rx[..]), tcp::SocketBuffer::new(&mut tx[..]));
//! # server.listen(80).unwrap();
//! # let server = stack.add(server).unwrap();
//!
//! // Nobody is there, nobody listens, and a server.
//! let addresses = ["127.0.0.3:80", "127.0.0.1:81", "127.0.0.1:80"].map(|address| address.parse().unwrap());
//! let config = Config::all_at_once().deadline(Some(Duration::from_secs(10)));
//! let mut driver = RaceDriver::<_, 16, 4>::new(&config, board.now());
//! driver.handle_addresses(&addresses, board.now());
//! let connection = driver.run(&mut stack, &mut poller)?;
//! assert_eq!(connection.destination, addresses[2]);
//! # let page = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
//! # while !stack.get_mut::<tcp::Socket<'_>>(server).unwrap().may_send() { stack.poll(); }
//! # stack.get_mut::<tcp::Socket<'_>>(server).unwrap().send_slice(page).unwrap();
//!
//! let mut head = [0; 512];
//! let host = Authority::http("localhost", 80);
//! let mut http = HttpConnection::new(&mut stack, &mut poller, connection.socket, host, &mut head)?;
//! http.request("GET", "/", &[], b"")?;
//! let mut response = http.response()?;
//! assert_eq!(response.status(), 200);
//! let mut body = [0; 64];
//! let length = response.read(&mut body)?;
//! assert_eq!(&body[..length], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # The parts
//!
//! | part | what it does |
//! |---|---|
//! | [`Stack`] | smoltcp's interface, sockets and device: embedded-nal's TCP and UDP traits, and `RaceStack` |
//! | [`Platform`], [`PlatformPoller`] | what the board provides, and the `Poller` that is made of it |
//! | [`interface()`] | makes smoltcp's interface |
//! | `Dns`, `DnsDriver` | names: from a host's text to the connection that wins, both families side by side (feature `dns`); IPv4 through NAT64 (feature `nat64`) |
//! | `HostsDriver` | several hosts of which any will do, all in one race (feature `dns`) |
//! | `Dhcp` | an IPv4 address (feature `dhcpv4`); IPv6 addresses come by themselves (feature `slaac`) |
//!
//! # Features
//!
//! | feature | what | default |
//! |---|---|---|
//! | `ipv4`, `ipv6` | address families: one at least | yes |
//! | `ethernet`, `ip` | what the device carries, frames or bare packets: one at least | yes |
//! | `udp` | embedded-nal's `UdpClientStack` and `UdpFullStack` | yes |
//! | `dns` | names | yes |
//! | `dhcpv4`, `slaac` | addresses from the network | yes |
//! | `defmt` | errors, leases and events are `defmt::Format` | no |
//! | `xarxa` | drivers made for xarxa, embassy's stack, as devices: `XarxaDevice` | no |
//! | `nat64` | IPv4 from a network of IPv6 alone, through its NAT64; half a kilobyte for each lookup | no |
//!
//! # Memory
//!
//! All of it is the program's. On a 32-bit processor a stack of four sockets takes 1.9 KB, of which 1.0 KB is
//! smoltcp's interface, each socket 392 octets of [`SocketStorage`] and its buffers. With buffers of 512
//! octets in each direction that is 7.5 KB. DHCP takes one `SocketStorage` more. A `Dns` takes 1.0 KB, and
//! for each of the two questions of a lookup a `SocketStorage` and a `DnsBuffers` of 800 octets. A race for
//! 16 addresses comes on top with 1.4 KB.
//!
//! Put it into statics that are initialised at run time (`static_cell`): an array of `SocketStorage::EMPTY`
//! in a plain static lies in flash a second time.
//!
//! The arrays that smoltcp keeps inside are sized by its features. This crate turns none of them on, since
//! smoltcp does not build where two crates ask for two numbers of one kind: they are the program's to choose,
//! in its own `Cargo.toml`.
//!
//! ```toml
//! smoltcp = { version = "0.14", default-features = false, features = ["iface-max-addr-count-4", "iface-max-route-count-4"] }
//! ```
//!
//! | number | smoltcp's own | a program with IPv6 by SLAAC and IPv4 by DHCP wants | or else |
//! |---|---|---|---|
//! | `iface-max-addr-count` | 2 | 3: the link-local address, that of the router's prefix, and one of IPv4. 4 where addresses are given by hand, too | the address that comes last is dropped without a word, and its family is not reached; the one of DHCP takes the place of another |
//! | `iface-max-route-count` | 2 | 2: a router by each family. 4 on links with more routers by IPv6 | a router is dropped without a word; the one of DHCP takes the place of another |
//! | `iface-max-prefix-count` | 1 | 1; more on links with several prefixes, and an address more for each | the prefixes beyond bring no address |
//! | `iface-neighbor-cache-count` | 8 | as many as the hosts on the link that it talks to at a time, routers and name servers counted | neighbours are asked for again and again |
//!
//! No number of smoltcp's DNS socket counts here: names are asked for by connie's own client, over UDP.
//!
//! # Neighbours
//!
//! On Ethernet every address on the link, and every router, must be asked for its hardware address first.
//! smoltcp asks for one a second. A race cannot wait for that, so the stack asks for each neighbour that a
//! connection attempt needs, at once and then once a second, as the standards have it; and for each name
//! server when it is asked. The answers go into smoltcp's cache, which holds 8.
//!
//! # Other stacks
//!
//! embassy-net, and whatever else grows out of smoltcp, needs a stack of its own: copy this crate. Four files
//! know smoltcp's sockets, `slot.rs`, `tcp.rs`, `udp.rs` and `datagram.rs`; `stack.rs` serves the interface;
//! `tap.rs`, `frame.rs` and `neighbour.rs` know only frames and can stay as they are. What must hold is
//! written at [`RaceStack`](connie_core::RaceStack), and `tests/` holds this crate to it over a simulated
//! link.

#![no_std]
#![forbid(unsafe_code)]
// The documentation that is published says beside each item which feature it needs.
#![cfg_attr(docsrs, feature(doc_cfg))]
// This crate itself cannot panic: what is left is a call with its proof beside it, and what smoltcp does
// inside.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]
// smoltcp's enums have a variant for each address family and medium that is built in, here or elsewhere in
// the program.
#![allow(unreachable_patterns, reason = "whether there is another variant depends on features, others' too")]
#![cfg_attr(
    not(all(
        feature = "ipv4",
        feature = "ipv6",
        feature = "ethernet",
        feature = "ip",
        feature = "slaac",
        feature = "dns"
    )),
    allow(irrefutable_let_patterns, unused_variables, unused_mut, dead_code)
)]
mod address;
#[cfg(feature = "dns")]
mod datagram;
#[cfg(feature = "dhcpv4")]
mod dhcp;
#[cfg(feature = "dns")]
mod dns;
#[cfg(feature = "dns")]
mod dns_driver;
mod error;
mod frame;
#[cfg(feature = "dns")]
mod hosts_driver;
mod interface;
#[cfg(feature = "dhcpv4")]
mod lease;
#[cfg(feature = "ethernet")]
mod neighbour;
mod next_hop;
mod platform;
mod poller;
mod ports;
#[cfg(feature = "slaac")]
mod slaac;
mod slot;
mod sources;
mod stack;
mod tap;
mod tcp;
#[cfg(feature = "udp")]
mod udp;
#[cfg(feature = "dns")]
mod undelivered;
#[cfg(feature = "xarxa")]
mod xarxa;

#[cfg(feature = "dns")]
pub use connie_dns;
pub use smoltcp;
pub use smoltcp::iface::{SocketHandle, SocketStorage};

#[cfg(feature = "dhcpv4")]
pub use dhcp::{Dhcp, DhcpEvent};
#[cfg(feature = "dns")]
pub use dns::Dns;
#[cfg(feature = "dns")]
pub use dns_driver::{DnsDriver, StartError};
pub use error::StackError;
#[cfg(feature = "dns")]
pub use hosts_driver::HostsDriver;
pub use interface::interface;
#[cfg(feature = "dhcpv4")]
pub use lease::Lease;
pub use platform::Platform;
pub use poller::PlatformPoller;
#[cfg(feature = "dns")]
pub use slot::DnsBuffers;
pub use slot::TcpBuffers;
#[cfg(feature = "udp")]
pub use slot::UdpBuffers;
pub use stack::{Stack, StorageFull};
pub use tcp::TcpSocket;
#[cfg(feature = "udp")]
pub use udp::UdpSocket;
#[cfg(feature = "xarxa")]
pub use xarxa::XarxaDevice;
#[cfg(feature = "xarxa")]
pub use xarxa_driver;

#[cfg(not(any(feature = "ipv4", feature = "ipv6")))]
compile_error!("turn on an address family: the features ipv4 and ipv6");
#[cfg(not(any(feature = "ethernet", feature = "ip")))]
compile_error!("turn on what the device carries: the features ethernet (frames) and ip (bare packets)");

/// The examples of the README are tested as those of this page.
#[cfg(all(doctest, feature = "dns"))]
#[doc = include_str!("../README.md")]
mod readme {}
