//! No look-up and no connect of connie's allocates.

use std::net::SocketAddr;

use allocation_counter::measure;
use connie_async::doc_stack::{Stack, SystemClock};
use connie_async::{Config, PlainDns, Racing};
use embassy_futures::block_on;
use embedded_nal_async::{AddrType, Dns, TcpConnect};

#[test]
fn nothing_is_allocated() {
    let mut won = None;
    let counted = measure(|| {
        let net = Racing::new(Stack, PlainDns(Stack), SystemClock::default(), Config::all_at_once());
        won = block_on(async {
            let address = net.get_host_by_name("many.test", AddrType::Either).await.ok()?;
            let first = net.connect(SocketAddr::new(address, 80)).await.ok()?.destination();
            let second = net.connect_host("many.test", 80).await.ok()?.destination();
            Some((address, first, second))
        });
    });
    let (address, first, second) = won.expect("two connections");
    assert!(address.is_ipv6() && first.is_ipv4() && first == second, "{address} {first} {second}");
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    // And that it would have been seen.
    assert_eq!(measure(|| drop(Box::new(1))).count_total, 1);
}
