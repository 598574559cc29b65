//! How much RAM a lookup takes. On a microcontroller a future lies in a static for as long as the program
//! runs, and nobody sees it grow.

use connie_async::connie_core::Family;
use connie_async::dns::Dns;
use connie_async::embassy_net::Udp;
use connie_async::{AddressList, EmbassyClock, Lookup, Options, RaceConnect};
use embassy_net::tcp::client::TcpClient;
use std::future::Future;
use std::net::IpAddr;

/// As `examples/firmware-embassy` has them.
type Names = Dns<'static, Udp<'static, 4>, EmbassyClock, 2, 4, 2, 2, 64, 128>;

/// The size of what is answered by a function that nobody calls.
fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

// Limits on x86-64, where pointers and lengths have twice the size that they have on a Cortex-M3. What is in
// them there is in DECISIONS.md.

/// Most of it are the query that is being sent, and a listener for each of the four sockets.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is that of x86-64")]
fn what_drives() {
    let drives = size(|names: &'static Names| names.serve());
    assert!(drives <= DRIVES, "{drives} octets");
}

/// There are two or three for each connect beside one that drives: none has room for driving.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is that of x86-64")]
fn a_look_up_that_is_served() {
    let served = size(|(names, answers): (&'static Names, &'static mut AddressList<'static>)| {
        names.lookup_served("name.test", Family::V4, answers)
    });
    assert!(served <= SERVED, "{served} octets");
}

/// One of its own is both.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is that of x86-64")]
fn a_look_up_of_its_own() {
    let own = size(|(names, answers): (&'static Names, &'static mut AddressList<'static>)| {
        names.lookup("name.test", Family::V4, answers)
    });
    assert!(own <= DRIVES + SERVED + 128, "{own} octets");
}

/// Both families side by side.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is that of x86-64")]
fn a_connect_drives_once() {
    let over_dns = size(|net: &'static RaceConnect<Tcp, &'static Names, EmbassyClock>| {
        net.connect(("name.test", 80), &OPTIONS)
    });
    let over_nothing = size(|net: &'static RaceConnect<Tcp, Nothing, EmbassyClock>| {
        net.connect(("name.test", 80), &OPTIONS)
    });
    let more = over_dns - over_nothing;
    assert!(more <= DRIVES + 3 * SERVED, "{more} octets");
}

static OPTIONS: Options = Options::new();

const DRIVES: usize = 1_792;
const SERVED: usize = 256;

type Tcp = TcpClient<'static, 4, 512, 512>;

/// Names that have nothing.
struct Nothing;

impl Lookup for Nothing {
    type Error = ();

    async fn lookup(&self, _: &str, _: Family, _: &mut AddressList<'_>) -> Result<(), ()> {
        Ok(())
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, ()> {
        Err(())
    }
}
