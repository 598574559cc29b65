//! Whole pages through smoltcp: over TUN and TAP, from nginx, through buffers much smaller than the page.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::time::Duration;

use connie_core::{Config, RaceDriver};
use connie_http::{Authority, HttpConnection};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::{PlatformPoller, SocketStorage, Stack, TcpBuffers};
use connie_tests::clock::timed;
use connie_tests::guest::Guest;
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::Nginx;
use kernel_support::{PORT, at};

/// A page in which every octet's place matters.
fn page() -> Vec<u8> {
    (0..1_u32 << 16).flat_map(|word| word.wrapping_mul(0x9e37_79b9).to_be_bytes()).collect()
}

/// Fetches the page three times over one connection, and closes it.
fn fetch<const RX: usize>(lab: &Lab, medium: Medium) {
    let page = page();
    let Some(_nginx) = Nginx::start(PORT, &[("page", &page)]) else { return };
    lab.set(v4(1), Behaviour::accept(Duration::ZERO));
    lab.set(v6(1), Behaviour::accept(ms(5)));
    let guest = Guest::plug_in(lab, medium);
    let mut storage = [SocketStorage::EMPTY; 4];
    let mut buffers = [const { TcpBuffers::<RX, 512>::new() }; 4];
    let interface = guest.interface();
    let mut stack = Stack::new(interface, guest.clone(), &mut storage, &mut buffers, guest.clone(), 7);
    let mut poller = PlatformPoller(guest);

    let now = stack.now();
    let mut race = RaceDriver::<_, 16, 4>::new(&Config::all_at_once(), now);
    race.handle_addresses(&at([v6(1), v4(1)]), now);
    let connection = race.run(&mut stack, &mut poller).expect("a winner");
    let (name, mut head) = (connection.destination.ip().to_string(), [0; 1024]);
    let host = Authority::http(&name, PORT);
    let mut http = HttpConnection::new(&mut stack, &mut poller, connection.socket, host, &mut head)
        .expect("a connection");
    http.set_timeout(Some(Duration::from_secs(10)));
    for _ in 0..3 {
        let (body, took) = timed(|| {
            http.request("GET", "/page", &[], b"").expect("a request sent");
            let mut response = http.response().expect("an answer");
            let (mut body, mut part) = (Vec::new(), [0; 700]);
            loop {
                match response.read(&mut part).expect("a body") {
                    0 => break body,
                    count => body.extend_from_slice(&part[..count]),
                }
            }
        });
        assert!(body == page, "the page was changed on the way");
        eprintln!("{} octets in {took:?} through a buffer of {RX}", body.len());
    }
    http.close();
}

#[test]
fn over_tun() {
    in_namespace(|lab| fetch::<2048>(lab, Medium::Ip));
}

#[test]
fn over_tap() {
    in_namespace(|lab| fetch::<2048>(lab, Medium::Ethernet));
}

#[test]
fn over_tap_through_a_small_buffer() {
    in_namespace(|lab| fetch::<512>(lab, Medium::Ethernet));
}
