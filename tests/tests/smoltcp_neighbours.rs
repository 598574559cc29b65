//! smoltcp on an Ethernet link to the kernel: neighbours that are not there, and routers, must not hold up
//! the others.
#![cfg(target_os = "linux")]

mod kernel_support;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use connie_core::timeline::Style;
use connie_core::{Config, Family, RaceDriver};
use connie_http::{Authority, HttpConnection};
use connie_smoltcp::smoltcp::phy::Medium;
use connie_smoltcp::smoltcp::wire::IpAddress;
use connie_smoltcp::{PlatformPoller, SocketStorage, Stack, TcpBuffers};
use connie_tests::guest::{GATEWAY_V4, GATEWAY_V6, Guest};
use connie_tests::lab::{Behaviour, Lab, in_namespace, ms, v4, v6};
use connie_tests::servers::Nginx;
use kernel_support::{PORT, at, on_your_marks};

/// How late the winner may be for its round trip. smoltcp alone is a second late for each neighbour that was
/// asked for before.
const LATE: Duration = ms(50);

type Client<'a> = Stack<'a, Guest, Guest, 4>;

/// Races over four sockets, the first of the addresses first; the winner must be `winner`, no sooner than
/// `round_trip` after the start, and serve the page. Says how late it was.
#[track_caller]
fn race(
    stack: &mut Client<'_>,
    guest: &Guest,
    addresses: &[SocketAddr],
    winner: IpAddr,
    round_trip: Duration,
) -> Duration {
    on_your_marks();
    let mut poller = PlatformPoller(guest.clone());
    let now = |poller: &mut PlatformPoller<Guest>| {
        <PlatformPoller<Guest> as connie_core::Poller<Client<'_>>>::now(poller)
    };
    let start = now(&mut poller);
    let config = Config::all_at_once().deadline(Some(ms(10_000))).preferred_family(Family::of(&addresses[0]));
    let mut driver = RaceDriver::<Client<'_>, 16, 4>::new(&config, start);
    driver.handle_addresses(addresses, start);
    let result = driver.run(stack, &mut poller);
    let took = now(&mut poller).duration_since(start);
    let drawing = driver.timeline().waterfall(100, Style::default()).to_string();
    let connection = result.unwrap_or_else(|failure| panic!("{failure}\n{drawing}"));
    assert_eq!(connection.destination.ip(), winner, "\n{drawing}");
    assert!(took >= round_trip, "{took:?}, early for {round_trip:?}\n{drawing}");

    let (name, mut head, mut body) = (winner.to_string(), [0; 512], [0; 64]);
    let host = Authority::http(&name, PORT);
    let mut http =
        HttpConnection::new(stack, &mut poller, connection.socket, host, &mut head).expect("a connection");
    http.request("GET", "/page", &[], b"").expect("a request sent");
    let mut response = http.response().expect("an answer");
    let length = response.read(&mut body).expect("a body");
    assert_eq!(&body[..length], b"the page");
    took - round_trip
}

/// Runs `body` with a stack of four sockets over TAP that knows no neighbour yet, and with nginx on every
/// address of the kernel. It says how late it was; on a busy machine it has a few tries.
#[track_caller]
fn with_stack(
    lab: &Lab,
    change: impl Fn(&mut Client<'_>),
    body: impl Fn(&mut Client<'_>, &Guest) -> Duration,
) {
    let Some(_nginx) = Nginx::start(PORT, &[("page", b"the page")]) else { return };
    let guest = Guest::plug_in(lab, Medium::Ethernet);
    let late = (0..5).map(|_| {
        let mut storage = [SocketStorage::EMPTY; 4];
        let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
        let interface = guest.interface();
        let mut stack = Stack::new(interface, guest.clone(), &mut storage, &mut buffers, guest.clone(), 7);
        change(&mut stack);
        body(&mut stack, &guest)
    });
    let late: Vec<Duration> = late.take_while(|late| *late > LATE).collect();
    assert!(late.len() < 5, "late by {late:?}");
}

#[test]
fn three_dead_neighbours_do_not_hold_up_the_fourth() {
    in_namespace(|lab| {
        with_stack(
            lab,
            |_| {},
            |stack, guest| {
                let live: IpAddr = GATEWAY_V4.into();
                let addresses = at([Guest::nobody_v4(11), Guest::nobody_v4(12), Guest::nobody_v4(13), live]);
                race(stack, guest, &addresses, live, Duration::ZERO)
            },
        );
    });
}

#[test]
fn three_dead_neighbours_do_not_hold_up_the_fourth_over_ipv6() {
    in_namespace(|lab| {
        with_stack(
            lab,
            |_| {},
            |stack, guest| {
                let live: IpAddr = GATEWAY_V6.into();
                let addresses = at([Guest::nobody_v6(11), Guest::nobody_v6(12), Guest::nobody_v6(13), live]);
                race(stack, guest, &addresses, live, Duration::ZERO)
            },
        );
    });
}

/// Five dead neighbours, four sockets: the live one has its turn after one patience, in a place whose
/// neighbour was silent.
#[test]
fn a_live_neighbour_in_the_second_round_is_asked_for_at_once() {
    in_namespace(|lab| {
        with_stack(
            lab,
            |_| {},
            |stack, guest| {
                let live: IpAddr = GATEWAY_V4.into();
                let addresses = at((11..=15).map(Guest::nobody_v4).chain([live]));
                race(stack, guest, &addresses, live, Config::DEFAULT_PATIENCE)
            },
        );
    });
}

#[test]
fn a_dead_ipv6_router_does_not_hold_up_ipv4() {
    in_namespace(|lab| {
        lab.set(v4(1), Behaviour::accept(ms(30)));
        let dead = |stack: &mut Client<'_>| route(stack, Guest::nobody_v6(9));
        with_stack(lab, dead, |stack, guest| {
            race(stack, guest, &at([v6(1), v6(2), v6(3), v4(1)]), v4(1), ms(30))
        });
    });
}

#[test]
fn a_dead_ipv4_router_does_not_hold_up_ipv6() {
    in_namespace(|lab| {
        lab.set(v6(1), Behaviour::accept(ms(30)));
        let dead = |stack: &mut Client<'_>| route(stack, Guest::nobody_v4(9));
        with_stack(lab, dead, |stack, guest| {
            race(stack, guest, &at([v4(1), v4(2), v4(3), v6(1)]), v6(1), ms(30))
        });
    });
}

/// Sends everything of a family to this router.
fn route(stack: &mut Client<'_>, router: IpAddr) {
    let routes = stack.interface_mut().routes_mut();
    match router.into() {
        IpAddress::Ipv4(router) => _ = routes.add_default_ipv4_route(router).expect("room"),
        IpAddress::Ipv6(router) => _ = routes.add_default_ipv6_route(router).expect("room"),
    }
}
