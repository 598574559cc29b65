//! A lease or a router that changes while a race runs: it goes on from the new address.

mod link;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use connie_core::memory::{Finish, Memory, Network};
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{
    AttemptError, AttemptErrorKind, AttemptOutcome, Connection, Failure, Instant, PollEntry, PollResult,
    Poller, RaceDriver, RaceStack,
};
use connie_smoltcp::{
    Dhcp, DhcpEvent, Dns, DnsBuffers, DnsDriver, HostsDriver, Platform as _, PlatformPoller, SocketStorage,
    Stack, StackError, TcpBuffers, TcpSocket,
};
use link::client::{Client, config, expect_free, fetch, race, settle};
use link::dhcp::DhcpServer;
use link::{Answers, Link, Place, World, at, ms};

const HTTP: Place = Place::Host(Answers::Http);
const OLD_V4: Ipv4Addr = link::client_v4();
const NEW_V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 200);
const NAME_SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const NEW_PREFIX: Ipv6Addr = Ipv6Addr::new(0xfd01, 0, 0, 0, 0, 0, 0, 0);
const NEW_ROUTER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0xfd);
/// When a lease of two minutes is renewed, by a client that asked for it at once and got it 10 ms later.
const RENEWAL: u64 = 60_010;

fn dhcp_server() -> DhcpServer {
    DhcpServer {
        server: link::ROUTER_V4,
        address: OLD_V4,
        router: link::ROUTER_V4,
        dns: vec![Ipv4Addr::new(192, 0, 2, 1)],
        lease: 120,
        granted: 0,
        denied: 0,
    }
}

/// A board that has its addresses from a DHCP server and a router.
fn with_board(world: &World, body: impl FnOnce(&mut Client<'_, 4>, &mut Dhcp, &Dns)) {
    world.serve_dhcp(dhcp_server());
    world.advertise();
    let mut card = world.card();
    let interface = connie_smoltcp::interface(&mut card, link::CLIENT_MAC, 7, at(0));
    let mut storage = [SocketStorage::EMPTY; 7];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut queries = [const { DnsBuffers::<512, 155>::new() }; 2];
    let mut stack: Client<'_, 4> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), 7);
    let stack = &mut stack;
    let mut dhcp = Dhcp::start(stack).expect("room for it");
    let servers = loop {
        stack.poll();
        match dhcp.poll(stack) {
            Some(DhcpEvent::Configured(lease)) => break lease.dns_servers,
            _ => world.idle_until(stack.poll_at()),
        }
    };
    let dns = Dns::start(stack, &servers, &mut queries).expect("room for it");
    body(stack, &mut dhcp, &dns);
    settle(stack, world);
    expect_free(stack);
}

/// Serves the stack until `until`; there is none of these moments in the middle of a test's race.
fn serve(world: &World, stack: &mut Client<'_, 4>, until: Instant) {
    while world.now() < until {
        stack.poll();
        world.idle_until(Some(stack.poll_at().map_or(until, |next| next.min(until))));
    }
}

/// The local addresses from which SYNs went to `remote`, and when the first of each did.
fn sources(world: &World, remote: SocketAddr) -> Vec<(IpAddr, Instant)> {
    let wire = world.wire();
    let to = wire.flows.iter().filter(|((_, to), flow)| *to == remote && !flow.syns.is_empty());
    let mut sources: Vec<_> = to.map(|((from, _), flow)| (from.ip(), flow.syns[0])).collect();
    sources.sort_by_key(|(_, at)| *at);
    sources
}

/// Nothing went out from the old address once it was gone.
#[track_caller]
fn nothing_was_sent_from(world: &World, old: IpAddr, since: Instant) {
    for ((from, to), flow) in world.wire().flows {
        let sent = flow.syns.iter().copied().chain(flow.reset).chain(flow.finished);
        let late: Vec<_> = sent.filter(|at| from.ip() == old && *at > since).collect();
        assert!(late.is_empty(), "from {from} to {to} at {late:?}, since {since}");
    }
}

/// FAULTS: the lease changes 200 ms into a race. The server denies the old address, so that for a moment
/// there is none.
#[test]
fn a_lease_that_changes_in_the_middle_of_a_race() {
    let world = World::ethernet();
    let dead = world.add_v4(false, Place::Nobody, Link::perfect(ms(20)));
    let slow = world.add_v4(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, dhcp, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let start = world.now();
        let connection = race(&world, stack, &[dead, slow], &config()).expect("a winner");
        let took = world.now().duration_since(start);
        // It was answered from the old address at 400 ms.
        assert_eq!(connection.destination, slow);
        assert!(took >= ms(600) && took <= ms(640), "{took:?}");
        assert_eq!(stack.local_address(&connection.socket).map(|own| own.ip()), Some(NEW_V4.into()));
        let mut from: Vec<_> = sources(&world, slow).into_iter().map(|(from, _)| from).collect();
        from.dedup();
        assert_eq!(from, [IpAddr::V4(OLD_V4), NEW_V4.into()]);
        nothing_was_sent_from(&world, OLD_V4.into(), start + ms(201));
        let Some(DhcpEvent::Configured(lease)) = dhcp.poll(stack) else { panic!("it is news") };
        assert_eq!(lease.address, NEW_V4);
        assert_eq!(dhcp.poll(stack), None);
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
    });
}

/// The outcomes of a race in whose middle the lease changes: one attempt was of the old address.
#[test]
fn its_timeline_says_what_became_of_the_attempts() {
    let world = World::ethernet();
    let slow = world.add_v4(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let mut driver = RaceDriver::<_, 4, 4>::new(&config().hedge(false), world.now());
        driver.handle_addresses(&[slow], world.now());
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
        let outcomes: Vec<_> = driver.timeline().attempts().filter_map(|it| it.outcome).collect();
        let gone = AttemptOutcome::Failed(AttemptErrorKind::SourceGone);
        assert_eq!(outcomes, [gone, AttemptOutcome::Established]);
        RaceStack::abort(stack, connection.socket);
    });
}

/// The moment at which the new address is there, in a world where nothing else happens.
fn change(world: &World) -> Instant {
    let mut changed = None;
    with_board(world, |stack, _, _| {
        serve(world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        while !stack.interface().has_ip_addr(NEW_V4) {
            stack.poll();
            let next = stack.poll_at();
            if !stack.interface().has_ip_addr(NEW_V4) {
                world.idle_until(next);
            }
        }
        changed = Some(world.now());
    });
    changed.expect("it changes")
}

/// Around the deadline: what starts a millisecond before is given up then, and after it nothing starts.
#[test]
fn around_the_deadline() {
    let changed = change(&World::ethernet());
    for (early, starts) in [(1, true), (0, false)] {
        let world = World::ethernet();
        let host = world.add_v4(false, HTTP, Link::perfect(ms(2_000)));
        with_board(&world, |stack, _, _| {
            let deadline = ms(1_000);
            serve(&world, stack, at(changed.as_micros() / 1_000 - 1_000 + early));
            world.change_lease(NEW_V4);
            let start = world.now();
            let config = config().deadline(Some(deadline)).hedge(false);
            assert_eq!(race(&world, stack, &[host], &config).err(), Some(Failure::DeadlineExceeded));
            assert_eq!(world.now(), start + deadline);
            let from = sources(&world, host);
            assert_eq!(from.iter().any(|(from, _)| *from == IpAddr::V4(NEW_V4)), starts, "{from:?}");
        });
    }
}

/// The change comes a millisecond after the deadline: the race has ended as it would have.
#[test]
fn after_the_deadline() {
    let changed = change(&World::ethernet());
    let world = World::ethernet();
    let host = world.add_v4(false, HTTP, Link::perfect(ms(2_000)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(changed.as_micros() / 1_000 - 1_001));
        world.change_lease(NEW_V4);
        let config = config().deadline(Some(ms(1_000))).hedge(false);
        assert_eq!(race(&world, stack, &[host], &config).err(), Some(Failure::DeadlineExceeded));
        serve(&world, stack, changed + ms(100));
        assert_eq!(sources(&world, host).len(), 1);
    });
}

/// A router withdraws itself and its prefix, and another comes with its own.
#[test]
fn a_prefix_and_its_router_are_withdrawn_and_others_come() {
    let world = World::ethernet();
    let slow = world.add_v6(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(1_000));
        world.after(200, |world| {
            world.send_advertisement(0, 0);
            world.move_router_v6(NEW_ROUTER);
        });
        world.after(250, |world| world.send_advertisement_of(NEW_ROUTER, NEW_PREFIX, (1_800, 1_800)));
        let connection = race(&world, stack, &[slow], &config().hedge(false)).expect("a winner");
        assert_eq!(world.now(), at(1_000 + 250 + 400));
        let own = stack.local_address(&connection.socket).expect("it is connected").ip();
        let IpAddr::V6(own) = own else { panic!("{own}") };
        assert_eq!(own.segments()[..4], NEW_PREFIX.segments()[..4]);
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
    });
}

/// The prefix stays, and so does the address: the SYN goes by the new router at once, and not when it is
/// repeated.
#[test]
fn another_router_for_the_same_prefix() {
    let world = World::ethernet();
    let slow = world.add_v6(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(1_000));
        world.after(200, |world| {
            world.move_router_v6(NEW_ROUTER);
            world.send_advertisement(0, 1_800);
            world.send_advertisement_of(NEW_ROUTER, link::frames::PREFIX, (1_800, 1_800));
        });
        // What was sent by the old router is lost with it.
        world.after(100, |world| world.unplug(true));
        world.after(199, |world| world.unplug(false));
        let connection = race(&world, stack, &[slow], &config().hedge(false)).expect("a winner");
        assert!(world.now() >= at(1_600) && world.now() <= at(1_620), "{}", world.now());
        assert_eq!(sources(&world, slow).len(), 2);
        assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
    });
}

/// Both families change in one moment: the lease is denied at 205 ms and there is another at 225.
#[test]
fn both_families() {
    for v4_wins in [true, false] {
        let world = World::ethernet();
        let v4 = world.add_v4(false, HTTP, Link::perfect(ms(if v4_wins { 400 } else { 5_000 })));
        let v6 = world.add_v6(false, HTTP, Link::perfect(ms(if v4_wins { 5_000 } else { 400 })));
        with_board(&world, |stack, _, _| {
            serve(&world, stack, at(RENEWAL - 200));
            world.change_lease(NEW_V4);
            world.after(207, |world| {
                world.send_advertisement(0, 0);
                world.move_router_v6(NEW_ROUTER);
                world.send_advertisement_of(NEW_ROUTER, NEW_PREFIX, (1_800, 1_800));
            });
            let start = world.now();
            let connection = race(&world, stack, &[v6, v4], &config().hedge(false)).expect("a winner");
            let took = world.now().duration_since(start);
            assert_eq!(connection.destination, if v4_wins { v4 } else { v6 });
            assert!(took >= ms(600) && took <= ms(640), "{took:?}");
            assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection));
        });
    }
}

#[test]
fn the_other_familys_attempts_are_not_touched() {
    let world = World::ethernet();
    let v4 = world.add_v4(false, HTTP, Link::perfect(ms(5_000)));
    let v6 = world.add_v6(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let start = world.now();
        let connection = race(&world, stack, &[v6, v4], &config().hedge(false)).expect("a winner");
        assert_eq!((connection.destination, world.now()), (v6, start + ms(400)));
        assert_eq!((sources(&world, v6).len(), sources(&world, v4).len()), (1, 2));
        RaceStack::abort(stack, connection.socket);
    });
}

/// A family that gets no other address is not waited for without end.
#[test]
fn an_address_that_does_not_come_back() {
    let world = World::ethernet();
    let slow = world.add_v6(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(1_000));
        world.after(200, |world| world.send_advertisement(0, 0));
        assert_eq!(race(&world, stack, &[slow], &config()).err(), Some(Failure::AllAttemptsFailed));
        assert_eq!(world.now(), at(13_200), "12 s after it was lost");
        // From then on at once.
        assert_eq!(race(&world, stack, &[slow], &config()).err(), Some(Failure::AllAttemptsFailed));
        assert_eq!(world.now(), at(13_200));
    });
}

/// The old lease is denied, and the offer of another is lost: the client asks again after 10 s, and the
/// attempts still wait for the answer.
#[test]
fn an_offer_of_another_lease_that_is_lost() {
    let world = World::ethernet();
    let host = world.add_v4(false, HTTP, Link::perfect(ms(400)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        // The denial comes 5 ms after the renewal was asked for, and the offer 5 ms later.
        world.after(207, |world| world.unplug(true));
        world.after(1_000, |world| world.unplug(false));
        let start = world.now();
        let connection = race(&world, stack, &[host], &config().hedge(false)).expect("a winner");
        let took = world.now().duration_since(start);
        assert!(took >= ms(10_600) && took <= ms(10_650), "{took:?}");
        assert_eq!(world.dhcp().denied, 1);
        assert_eq!(stack.local_address(&connection.socket).map(|own| own.ip()), Some(NEW_V4.into()));
        RaceStack::abort(stack, connection.socket);
    });
}

/// A race that begins while there is no address waits for the next one.
#[test]
fn a_race_that_begins_between_two_addresses() {
    let world = World::ethernet();
    let host = world.add_v6(false, HTTP, Link::perfect(ms(20)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(1_000));
        world.send_advertisement(0, 0);
        world.move_router_v6(NEW_ROUTER);
        serve(&world, stack, at(1_100));
        world.after(400, |world| world.send_advertisement_of(NEW_ROUTER, NEW_PREFIX, (1_800, 1_800)));
        let connection = race(&world, stack, &[host], &config()).expect("a winner");
        assert!(world.now() >= at(1_520) && world.now() <= at(1_530), "{}", world.now());
        RaceStack::abort(stack, connection.socket);
    });
}

/// A connection whose address goes says so, when there is another to connect from.
#[test]
fn a_connection_whose_address_changes_ends() {
    let world = World::ethernet();
    let host = world.add_v4(false, HTTP, Link::perfect(ms(20)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let mut connection = race(&world, stack, &[host], &config()).expect("a winner");
        let ended = loop {
            match stack.receive(&mut connection.socket, &mut [0; 8]) {
                Err(nb::Error::WouldBlock) => world.idle_until(stack.poll_at()),
                ended => break ended,
            }
        };
        assert_eq!(ended, Err(nb::Error::Other(StackError::SourceGone)));
        assert!(stack.interface().has_ip_addr(NEW_V4));
        RaceStack::abort(stack, connection.socket);
        nothing_was_sent_from(&world, OLD_V4.into(), at(RENEWAL + 1));
    });
}

/// A stack whose connections are good when the server has said something.
struct FirstByte<'s, 'a>(&'s mut Client<'a, 4>);

/// Whether the question has left.
struct Asking {
    socket: TcpSocket,
    has_asked: bool,
}

impl TcpClientStack for FirstByte<'_, '_> {
    type TcpSocket = Asking;
    type Error = StackError;

    fn socket(&mut self) -> Result<Asking, StackError> {
        Ok(Asking { socket: TcpClientStack::socket(self.0)?, has_asked: false })
    }

    fn connect(&mut self, asking: &mut Asking, remote: SocketAddr) -> nb::Result<(), StackError> {
        TcpClientStack::connect(self.0, &mut asking.socket, remote)?;
        if !asking.has_asked {
            TcpClientStack::send(self.0, &mut asking.socket, b"GET / HTTP/1.1\r\n\r\n")?;
            asking.has_asked = true;
        }
        TcpClientStack::receive(self.0, &mut asking.socket, &mut [0; 1]).map(|_| ())
    }

    fn send(&mut self, asking: &mut Asking, buffer: &[u8]) -> nb::Result<usize, StackError> {
        TcpClientStack::send(self.0, &mut asking.socket, buffer)
    }

    fn receive(&mut self, asking: &mut Asking, buffer: &mut [u8]) -> nb::Result<usize, StackError> {
        TcpClientStack::receive(self.0, &mut asking.socket, buffer)
    }

    fn close(&mut self, asking: Asking) -> Result<(), StackError> {
        TcpClientStack::close(self.0, asking.socket)
    }
}

impl RaceStack for FirstByte<'_, '_> {
    fn attempt_error(&self, error: &StackError) -> AttemptError {
        error.attempt_error()
    }

    fn abort(&mut self, asking: Asking) {
        RaceStack::abort(self.0, asking.socket);
    }
}

struct Serving(World);

impl Poller<FirstByte<'_, '_>> for Serving {
    fn now(&mut self) -> Instant {
        self.0.now()
    }

    fn wait(
        &mut self,
        stack: &mut FirstByte<'_, '_>,
        sockets: &mut [PollEntry<'_, Asking>],
        until: Option<Instant>,
    ) -> PollResult {
        stack.0.poll();
        let next = stack.0.poll_at().into_iter().chain(until).min();
        self.0.idle_until(next);
        stack.0.poll();
        sockets.iter_mut().for_each(|socket| socket.ready = true);
        PollResult::Look
    }
}

/// The handshake was complete at 150 ms, and the first byte would have come at 300.
#[test]
fn a_finish_line_after_the_handshake() {
    let world = World::ethernet();
    let host = world.add_v4(false, HTTP, Link::perfect(ms(150)));
    with_board(&world, |stack, _, _| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let start = world.now();
        let mut driver = RaceDriver::<FirstByte<'_, '_>, 4, 4>::new(&config().hedge(false), start);
        driver.handle_addresses(&[host], start);
        let mut over = FirstByte(stack);
        let connection = driver.run(&mut over, &mut Serving(world.clone())).expect("a winner");
        drop(driver);
        let took = world.now().duration_since(start);
        assert!(took >= ms(500) && took <= ms(540), "{took:?}");
        let Connection { socket, .. } = connection;
        let FirstByte(stack) = over;
        assert_eq!(stack.local_address(&socket.socket).map(|own| own.ip()), Some(NEW_V4.into()));
        RaceStack::abort(stack, socket.socket);
    });
}

const WEB: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2));
const OTHER_WEB: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 3));

fn names(_: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    Some(if is_v6 { vec![] } else { vec![WEB, OTHER_WEB] })
}

fn world_with_names(to_server: Duration) -> World {
    world_with(names, to_server)
}

fn world_with(names: fn(&str, bool) -> Option<Vec<IpAddr>>, to_server: Duration) -> World {
    let world = World::ethernet();
    world.add_v4(false, Place::Host(Answers::Nothing), Link::perfect(to_server));
    world.serve_names(NAME_SERVER, names);
    world.add_v4(false, HTTP, Link::perfect(ms(100)));
    world.add_v4(false, HTTP, Link::perfect(ms(150)));
    world
}

/// The answer goes to an address that is gone, and is asked for from the new one at once.
#[test]
fn a_lookup_goes_on_from_the_new_address() {
    let world = world_with_names(ms(400));
    with_board(&world, |stack, _, dns| {
        serve(&world, stack, at(RENEWAL - 200));
        world.change_lease(NEW_V4);
        let start = world.now();
        let mut driver = DnsDriver::<_, 4, 4>::new(dns, stack, "web.test", 80, &config()).expect("a name");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
        let took = world.now().duration_since(start);
        assert!(took >= ms(700) && took <= ms(740), "{took:?}");
        RaceStack::abort(stack, connection.socket);
    });
}

/// The new network has a name server of its own, and the old one is out of reach.
#[test]
fn a_lookup_goes_on_with_the_name_servers_of_the_new_lease() {
    let world = world_with_names(ms(20));
    let silent = world.add_v4(false, Place::Nobody, Link::perfect(ms(20)));
    let IpAddr::V4(silent) = silent.ip() else { panic!() };
    with_board(&world, |stack, dhcp, dns| {
        let mut server = world.dhcp();
        // From now on the first name server is silent, and another lease names another.
        dns.set_servers(stack, &[silent.into()]);
        server.dns = vec![silent];
        world.serve_dhcp(server);
        serve(&world, stack, at(RENEWAL + 1_000));
        let Some(DhcpEvent::Configured(lease)) = dhcp.poll(stack) else { panic!("it was renewed") };
        dns.set_servers(stack, &lease.dns_servers);
        serve(&world, stack, at(2 * RENEWAL - 400));
        let mut server = world.dhcp();
        (server.dns, server.address) = (vec![Ipv4Addr::new(192, 0, 2, 1)], NEW_V4);
        world.serve_dhcp(server);
        let start = world.now();
        let mut driver = DnsDriver::<_, 4, 4>::new(dns, stack, "web.test", 80, &config()).expect("a name");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
        let took = world.now().duration_since(start);
        assert!(took <= ms(1_500), "{took:?}");
        RaceStack::abort(stack, connection.socket);
    });
}

/// What a race shows is learnt of the network that it ends on, and nothing of the old one.
#[test]
fn the_memory_follows_to_the_new_network() {
    let world = world_with_names(ms(20));
    let memory = RefCell::new(Memory::<16>::new(7, Instant::ZERO));
    let visit = |stack: &mut Client<'_, 4>, dns: &Dns| {
        let before = world.wire().syns();
        let driver =
            DnsDriver::<_, 4, 4, 32, _, _>::with_memory(dns, stack, "web.test", 80, &config(), &memory);
        let mut driver = driver.expect("a name");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
        RaceStack::abort(stack, connection.socket);
        (connection.destination.ip(), world.wire().syns() - before)
    };
    with_board(&world, |stack, _, dns| {
        serve(&world, stack, at(RENEWAL - 60));
        let old = stack.network();
        world.change_lease(NEW_V4);
        // Two from the old address, and two from the new one.
        assert_eq!(visit(stack, dns).0, WEB);
        let new = stack.network();
        assert_eq!((old.v4, new.v4), (Some(OLD_V4), Some(NEW_V4)));
        let known = |network: &Network, ip: IpAddr| {
            let visit = memory.borrow().visit("web.test", Finish::Tcp, 0, network);
            memory.borrow().entry_of(&visit, SocketAddr::new(ip, 80), world.now()).map(|it| it.is_live)
        };
        assert_eq!((known(&new, WEB), known(&old, WEB), known(&old, OTHER_WEB)), (Some(true), None, None));
        // It is known there now: the lead alone.
        serve(&world, stack, world.now() + ms(1_000));
        assert_eq!(visit(stack, dns), (WEB, 1));
    });
}

/// An answer to the SYN comes to the old address as a refusal, and to the new one as it is.
fn refuse_the_old_address(packet: &[u8]) -> Vec<Vec<u8>> {
    let address = |at: usize| Ipv4Addr::from([0, 1, 2, 3].map(|octet| packet[at + octet]));
    let (from, to, segment) = (address(12), address(16), &packet[20..]);
    if packet[9] != 6 || to != OLD_V4 {
        return vec![packet.to_vec()];
    }
    let port = |at: usize| u16::from_be_bytes([segment[at], segment[at + 1]]);
    let acknowledged = u32::from_be_bytes([0, 1, 2, 3].map(|octet| segment[8 + octet]));
    let (from, to) = (SocketAddr::from((from, port(0))), SocketAddr::from((to, port(2))));
    vec![link::edits::reset(from, to, 0, Some(acknowledged))]
}

const SILENT: Ipv6Addr = Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 4);

fn both_families_names(_: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    Some(if is_v6 { vec![SILENT.into()] } else { vec![WEB, OTHER_WEB] })
}

/// A world whose two web servers refuse whoever comes from the old address, after 100 and 150 ms, and where
/// nobody is at an address of IPv6.
fn world_that_refuses_the_old_address() -> World {
    let world = world_with(both_families_names, ms(20));
    for web in [WEB, OTHER_WEB] {
        world.rewrite(SocketAddr::new(web, 80), refuse_the_old_address);
    }
    assert_eq!(world.add_v6(false, Place::Nobody, Link::perfect(ms(20))).ip(), SILENT);
    world
}

/// What was refused on the old network is tried on the new one, though no attempt of its family is in flight
/// when the address changes; and the refusals are learnt of neither network.
#[test]
fn a_family_that_was_refused_is_tried_from_the_new_address() {
    let world = world_that_refuses_the_old_address();
    let memory = RefCell::new(Memory::<16>::new(7, Instant::ZERO));
    with_board(&world, |stack, _, dns| {
        serve(&world, stack, at(RENEWAL - 200));
        let old = stack.network();
        world.change_lease(NEW_V4);
        let start = world.now();
        let driver =
            DnsDriver::<_, 4, 4, 32, _, _>::with_memory(dns, stack, "web.test", 80, &config(), &memory);
        let mut driver = driver.expect("a name");
        let connection = driver.run(stack, &mut PlatformPoller(world.clone())).expect("a winner");
        let took = world.now().duration_since(start);
        assert!(took >= ms(300) && took <= ms(340), "{took:?}");
        assert_eq!(connection.destination.ip(), WEB);
        assert_eq!(stack.local_address(&connection.socket).map(|own| own.ip()), Some(NEW_V4.into()));
        let refused = AttemptOutcome::Failed(AttemptErrorKind::Refused);
        let outcomes = driver.timeline().attempts().filter_map(|it| it.outcome);
        assert_eq!(outcomes.filter(|it| *it == refused).count(), 2);
        let new = stack.network();
        let known = |network: &Network, ip: IpAddr| {
            let visit = memory.borrow().visit("web.test", Finish::Tcp, 0, network);
            memory.borrow().entry_of(&visit, SocketAddr::new(ip, 80), world.now()).map(|it| it.is_live)
        };
        assert_eq!((known(&new, WEB), known(&new, OTHER_WEB)), (Some(true), None));
        assert_eq!((known(&old, WEB), known(&old, OTHER_WEB)), (None, None));
        RaceStack::abort(stack, connection.socket);
    });
}

/// The same for a race over a list, and for one to any of several hosts.
#[test]
fn and_so_it_is_whatever_drives_the_race() {
    for is_list in [true, false] {
        let world = world_that_refuses_the_old_address();
        with_board(&world, |stack, _, dns| {
            serve(&world, stack, at(RENEWAL - 200));
            world.change_lease(NEW_V4);
            let connection = if is_list {
                let addresses = [WEB, SILENT.into()].map(|ip| SocketAddr::new(ip, 80));
                race(&world, stack, &addresses, &config())
            } else {
                let driver = HostsDriver::<_, 1, 8, 4>::new(dns, stack, &[("web.test", 80)], &config());
                driver.expect("names").run(stack, &mut PlatformPoller(world.clone()))
            };
            let connection = connection.expect("a winner");
            assert_eq!(connection.destination.ip(), WEB);
            assert_eq!(stack.local_address(&connection.socket).map(|own| own.ip()), Some(NEW_V4.into()));
            RaceStack::abort(stack, connection.socket);
        });
    }
}
