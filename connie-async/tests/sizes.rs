//! How much RAM a look-up takes. On a microcontroller a future lies in a static for as long as the program runs, and nobody sees it grow.

use connie_async::connie_core::Family;
use connie_async::dns::Dns;
use connie_async::embassy_net::Udp;
use connie_async::{Answers, EmbassyClock, Lookup};
use std::future::Future;

/// As `examples/firmware-embassy` has them.
type Names = Dns<'static, Udp<'static, 4>, EmbassyClock, 2, 4, 2, 2, 64, 128>;

/// The size of what is answered by a function that nobody calls.
fn size<A, F: Future>(_: impl FnOnce(A) -> F) -> usize {
    size_of::<F>()
}

/// On a Cortex-M3 it is 1,360 octets of 1.5 KiB that it may take; on x86-64, where pointers and lengths have twice the size, half as many again.
/// Most of them are the query that is being sent, and a listener for each of the four sockets.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "the limit is that of x86-64")]
fn a_look_up_that_drives() {
    let look_up = size(|(names, answers): (&'static Names, &'static mut Answers<'static>)| {
        names.lookup("name.test", Family::V4, answers)
    });
    assert!(look_up <= 2_048, "{look_up} octets");
}
