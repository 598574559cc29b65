//! Names by an embassy-net [`Stack`](embassy_net::Stack): [`Dns`](crate::dns::Dns) over its [`Udp`].
//!
//! ```no_run
//! use connie_async::dns::Dns;
//! use connie_async::embassy_net::{Buffers, Neighbours, Udp};
//! use connie_async::{EmbassyClock, Options, RaceConnect};
//! use embassy_net::tcp::client::{TcpClient, TcpClientState};
//! use embassy_net::{Stack, StackResources};
//! # use embassy_net_driver::Driver;
//!
//! # fn start(neighbours: &'static Neighbours, driver: impl Driver + 'static, config: embassy_net::Config, seed: u64,
//! #          resources: &'static mut StackResources<9>) {
//! // The stack gets its driver through `neighbours`; both are static, as are the resources: 4 sockets for the race, 4 for DNS and one for DHCP.
//! let (stack, runner) = embassy_net::new(neighbours.driver(driver), config, resources, seed);
//! # }
//!
//! # async fn firmware(stack: Stack<'static>, neighbours: &'static Neighbours, seed: u64) {
//! let mut buffers: Buffers = Buffers::new();
//! let udp = Udp::new(stack, &mut buffers).with_neighbours(neighbours);
//! let names = Dns::new(&udp, EmbassyClock, seed);
//! // As many as SOCKETS, and one more for each connection that is kept.
//! let state = TcpClientState::<4, 1024, 1024>::new();
//! let options = Options::new();
//! let net = RaceConnect::new(TcpClient::new(stack, &state), names, EmbassyClock, options.clone());
//! // let mut client = reqwless::client::HttpClient::new(&net, &net);
//! let connection = net.connect(("example.org", 80), &options).await;
//! # }
//! ```
//!
//! All name servers of the stack's configuration are asked, as it is at each lookup. Neither embassy-net's
//! feature `dns` nor one of smoltcp's counts is needed. `seed` is from a source of randomness, and another
//! than the stack's own.
//!
//! **Dead neighbours on the same Ethernet** hold the others back: smoltcp asks for one hardware address a
//! second for the whole interface. So where the first name server is on the same link and dead, the second
//! one is asked a second later, if not more; and a connection waits for its router as long. [`Neighbours`]
//! asks for name servers and routers itself: give it to the [`Udp`] and the driver to it. For the addresses
//! that are connected to it does not, so that dead ones on the same link can still hold the others back; of
//! addresses behind routers that is a matter of the routers alone.
//!
//! smoltcp also has a socket wait for a second whose last server has no hardware address, whoever it is to
//! send to next. So with two dead name servers on the link a third is asked after half a second where there
//! is a socket for each question and server, six in all, and after a second where there are four.

mod neighbours;
mod udp;

pub use neighbours::{Neighbours, SolicitingDriver};
pub use udp::{Buffers, Socket, Udp};
