//! No lookup and no connect of connie's allocates.

use std::future::pending;
use std::net::{IpAddr, SocketAddr};

use allocation_counter::measure;
use connie_async::connie_core::Family;
use connie_async::dns::{Dns as Client, Udp, UdpError};
use connie_async::doc_stack::{Stack, SystemClock};
use connie_async::{AddressList, Lookup, Options, PlainDns, RaceConnect};
use embassy_futures::block_on;
use embedded_nal_async::{AddrType, Dns, TcpConnect};

#[test]
fn nothing_is_allocated() {
    let mut won = None;
    let counted = measure(|| {
        let net = RaceConnect::new(Stack, PlainDns(Stack), SystemClock::default(), Options::new());
        won = block_on(async {
            let address = net.get_host_by_name("many.test", AddrType::Either).await.ok()?;
            let first = TcpConnect::connect(&net, SocketAddr::new(address, 80)).await.ok()?.destination();
            let second = net.connect(("many.test", 80), &net.options()).await.ok()?.destination();
            Some((address, first, second))
        });
    });
    let (address, first, second) = won.expect("two connections");
    assert!(address.is_ipv6() && first.is_ipv4() && first == second, "{address} {first} {second}");
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
    // And that it would have been seen.
    assert_eq!(measure(|| drop(Box::new(1))).count_total, 1);
}

/// A name server that answers at once: 192.0.2.1.
struct Server;

impl Udp for Server {
    type Socket<'a> = heapless::Vec<u8, 128>;

    fn servers(&self) -> impl Iterator<Item = SocketAddr> {
        std::iter::once(SocketAddr::from(([192, 0, 2, 53], 53)))
    }

    fn largest_datagram(&self) -> u16 {
        512
    }

    async fn open(&self, _: SocketAddr, _: u16) -> Result<Self::Socket<'_>, UdpError> {
        Ok(heapless::Vec::new())
    }

    async fn send<'s>(
        &'s self,
        answer: &mut Self::Socket<'s>,
        _: SocketAddr,
        query: &[u8],
    ) -> Result<(), UdpError> {
        // Without the OPT record; one answer, which points at the question's name.
        answer.extend(query[..query.len() - 11].iter().copied());
        (answer[2], answer[3], answer[7], answer[11]) = (0x81, 0x80, 1, 0);
        answer.extend(*b"\xc0\x0c\0\x01\0\x01\0\0\x01\x2c\0\x04\xc0\0\x02\x01");
        Ok(())
    }

    async fn receive<'s, R>(
        &'s self,
        answer: &mut Self::Socket<'s>,
        read: impl FnOnce(&[u8]) -> R,
    ) -> Result<R, UdpError> {
        if answer.is_empty() { pending().await } else { Ok(read(answer)) }
    }
}

#[test]
fn no_look_up_of_the_dns_client_allocates() {
    let mut found = heapless::Vec::<IpAddr, 4>::new();
    let counted = measure(|| {
        let dns = Client::new(&Server, SystemClock::default(), 0x5eed);
        block_on(dns.lookup("name.test", Family::V4, &mut AddressList::new(Family::V4, &mut found))).unwrap();
    });
    let wanted: [IpAddr; 1] = [[192, 0, 2, 1].into()];
    assert_eq!(found, wanted);
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0));
}
