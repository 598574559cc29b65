//! How often an idle board wakes, and that what is due happens in time.

mod link;

use std::cell::RefCell;
use std::rc::Rc;

use connie_core::Instant;
use connie_core::stack::TcpClientStack;
use connie_smoltcp::smoltcp::phy::{Device, DeviceCapabilities, TxToken};
use connie_smoltcp::smoltcp::time;
use connie_smoltcp::{Dhcp, Platform as _, SocketStorage, Stack, TcpBuffers, interface};
use link::dhcp::DhcpServer;
use link::{Card, World, at, ms};

/// What is asked of an idle board: 40 in 30 s.
const MOST_WAKES: usize = 40;
const IDLE: u64 = 30_000;

/// The card, and when routers were asked for by it.
struct Watched {
    card: Card,
    world: World,
    solicitations: Rc<RefCell<Vec<Instant>>>,
}

struct WatchedSender<'a, T> {
    token: T,
    world: &'a World,
    solicitations: &'a RefCell<Vec<Instant>>,
}

impl<T: TxToken> TxToken for WatchedSender<'_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        self.token.consume(length, |frame| {
            let result = f(frame);
            if link::frames::is_router_solicitation(frame) {
                self.solicitations.borrow_mut().push(self.world.now());
            }
            result
        })
    }
}

impl Device for Watched {
    type RxToken<'a> = <Card as Device>::RxToken<'a>;
    type TxToken<'a> = WatchedSender<'a, <Card as Device>::TxToken<'a>>;

    fn receive(&mut self, now: time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (received, token) = self.card.receive(now)?;
        Some((received, WatchedSender { token, world: &self.world, solicitations: &self.solicitations }))
    }

    fn transmit(&mut self, now: time::Instant) -> Option<Self::TxToken<'_>> {
        let token = self.card.transmit(now)?;
        Some(WatchedSender { token, world: &self.world, solicitations: &self.solicitations })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.card.capabilities()
    }
}

type Board<'a> = Stack<'a, Watched, World, 1>;

/// Runs `body` over a board that has just started; says when it has asked for routers.
fn with_board(world: &World, body: impl FnOnce(&mut Board<'_>)) -> Vec<Instant> {
    let solicitations = Rc::new(RefCell::new(Vec::new()));
    let mut device =
        Watched { card: world.card(), world: world.clone(), solicitations: solicitations.clone() };
    let interface = interface(&mut device, link::CLIENT_MAC, 7, at(0));
    let mut storage = [SocketStorage::EMPTY; 2];
    let mut buffers = [const { TcpBuffers::<64, 64>::new() }; 1];
    body(&mut Stack::new(interface, device, &mut storage, &mut buffers, world.clone(), 7));
    let seen = solicitations.borrow();
    seen.clone()
}

/// Serves the stack until `until`, in milliseconds; says how often the board woke.
fn serve(world: &World, stack: &mut Board<'_>, until: u64) -> usize {
    let mut wakes = 0;
    while world.now() < at(until) {
        stack.poll();
        wakes += 1;
        let next = stack.poll_at().map_or(at(until), |next| next.min(at(until)));
        world.idle_until(Some(next));
    }
    stack.poll();
    wakes
}

/// RFC 4861 section 6.3.7: "up to MAX_RTR_SOLICITATIONS Router Solicitation messages, each separated by at
/// least RTR_SOLICITATION_INTERVAL seconds": 3, and 4 seconds.
#[test]
fn without_a_router_it_asks_three_times_and_sleeps() {
    let world = World::ethernet();
    let asked = with_board(&world, |stack| {
        let wakes = serve(&world, stack, IDLE);
        assert!(wakes <= 10, "{wakes} wakes in the first 30 s");
        let wakes = serve(&world, stack, 2 * IDLE);
        assert!(wakes <= 5, "{wakes} wakes in the next 30 s");
    });
    assert_eq!(asked, [at(0), at(4_000), at(8_000)]);
}

#[test]
fn with_a_router_it_sleeps_and_leaves_in_time() {
    let world = World::ethernet();
    world.advertise();
    let asked = with_board(&world, |stack| {
        let wakes = serve(&world, stack, IDLE);
        assert!(wakes <= 10, "{wakes} wakes in the first 30 s");
        assert_eq!(stack.interface().ip_addrs().len(), 2);
        // What the router has said holds for 1,800 s.
        serve(&world, stack, 1_799_000);
        assert_eq!(stack.interface().ip_addrs().len(), 2);
        let wakes = serve(&world, stack, 1_811_000);
        assert_eq!(stack.interface().ip_addrs().len(), 1, "the link-local address");
        assert!(stack.interface().routes().get_default_ipv6_route().is_none());
        assert!(wakes <= 5, "{wakes} wakes in 12 s");
        let wakes = serve(&world, stack, 1_841_000);
        assert!(wakes <= MOST_WAKES / 4, "{wakes} wakes when all has left");
    });
    assert_eq!(asked, [at(0)]);
}

/// A router that is there by the second question.
#[test]
fn a_router_that_comes_late_is_found_by_the_next_question() {
    let world = World::ethernet();
    let asked = with_board(&world, |stack| {
        serve(&world, stack, 3_000);
        world.advertise();
        serve(&world, stack, 4_010);
        assert_eq!(stack.interface().ip_addrs().len(), 2);
    });
    assert_eq!(asked, [at(0), at(4_000)]);
}

/// A device without room is looked at again soon, and only as long as that lasts.
#[test]
fn a_question_that_did_not_leave_is_asked_again_soon() {
    let world = World::ethernet();
    world.set_busy(100);
    let asked = with_board(&world, |stack| {
        serve(&world, stack, 1_000);
        world.set_busy(0);
        let wakes = serve(&world, stack, IDLE);
        assert!(wakes <= 10, "{wakes} wakes once there is room");
    });
    let first = asked[0].duration_since(at(1_000));
    assert!(first <= ms(5), "{first:?} late");
    assert_eq!(asked.len(), 3);
}

/// An open connection does not keep the board awake.
#[test]
fn a_connection_without_traffic_sleeps() {
    let world = World::ethernet();
    world.advertise();
    let host = world.add_v6(false, link::Place::Host(link::Answers::Http), link::Link::perfect(ms(20)));
    with_board(&world, |stack| {
        serve(&world, stack, 50);
        let mut socket = TcpClientStack::socket(stack).expect("a socket");
        let _ = TcpClientStack::connect(stack, &mut socket, host);
        serve(&world, stack, 1_000);
        assert_eq!(world.connections(host).len(), 1);
        let wakes = serve(&world, stack, 1_000 + IDLE);
        assert!(wakes <= 10, "{wakes} wakes with an open connection");
    });
}

/// RFC 2131 section 4.4.5: "T1 defaults to (0.5 * duration_of_lease)".
#[test]
fn a_lease_is_renewed_in_time_by_a_board_that_sleeps() {
    for with_router in [false, true] {
        let world = World::ethernet();
        if with_router {
            world.advertise();
        }
        world.serve_dhcp(DhcpServer {
            server: link::ROUTER_V4,
            address: link::client_v4(),
            router: link::ROUTER_V4,
            dns: Vec::new(),
            lease: 20,
            granted: 0,
            denied: 0,
        });
        with_board(&world, |stack| {
            let mut dhcp = Dhcp::start(stack).expect("room for it");
            for (until, granted) in [(9_000, 1), (11_100, 2), (19_000, 2), (21_200, 3), (IDLE, 3)] {
                let wakes = serve(&world, stack, until);
                assert!(wakes <= MOST_WAKES / 2, "{wakes} wakes until {until}");
                assert_eq!(world.dhcp().granted, granted, "at {until}");
            }
            assert!(dhcp.poll(stack).is_some() && dhcp.poll(stack).is_none());
            assert_eq!(stack.interface().ip_addrs().len(), if with_router { 3 } else { 2 });
            let wakes = serve(&world, stack, 2 * IDLE);
            assert!(wakes <= MOST_WAKES, "{wakes} wakes in 30 s, {with_router}");
        });
    }
}

/// Nobody answers: the client asks every 10 s, as smoltcp has it.
#[test]
fn without_a_dhcp_server_it_asks_now_and_then() {
    let world = World::ethernet();
    with_board(&world, |stack| {
        let _ = Dhcp::start(stack).expect("room for it");
        let wakes = serve(&world, stack, IDLE);
        assert!(wakes <= 15, "{wakes} wakes in 30 s");
    });
}
