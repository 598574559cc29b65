//! The life of one board: races over one stack, one after another, with all that networks and peers do to it
//! mixed at random, in virtual time. No socket, port or buffer may be lost on the way.
//!
//! `CONNIE_RACES` says how many races a life has, `CONNIE_RUNS` how many lives there are, and `CONNIE_SEED`
//! replays one.

mod link;

use std::cell::RefCell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{Config, Connection, Failure, Pacing, RaceDriver, RaceStack};
use connie_http::{Authority, HttpConnection, HttpError};
use connie_sim::{Rng, seeds};
use connie_smoltcp::smoltcp::socket::tcp;
use connie_smoltcp::{
    Dhcp, Dns, DnsBuffers, DnsDriver, Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers,
    TcpSocket,
};
use link::client::{Client, expect_free};
use link::dhcp::DhcpServer;
use link::{Answers, Link, Place, World, edits, ms};

/// Lives, and the races of each.
const LIVES: u64 = 1;
const RACES: u64 = 10_000;
/// After so many races the board is looked over.
const INSPECTION: u64 = 25;
/// Within so many milliseconds everything ends that a board has left, and everything that its peers have.
const AFTERMATH: u64 = 400_000;
const SOCKETS: usize = 4;
const PATIENCE: u64 = 250;

type Board<'a> = Client<'a, SOCKETS>;

thread_local! {
    /// All addresses of the network, for its name servers.
    static ADDRESSES: RefCell<Vec<IpAddr>> = const { RefCell::new(Vec::new()) };
}

/// The name `1a.test` has the addresses at the places 1, 3 and 4: bits of a number.
fn names(name: &str, is_v6: bool) -> Option<Vec<IpAddr>> {
    let mask = u64::from_str_radix(name.trim_end_matches(".test."), 16).ok()?;
    Some(ADDRESSES.with_borrow(|all| {
        let chosen = all.iter().enumerate().filter(|(place, _)| mask >> place & 1 == 1);
        chosen.map(|(_, address)| *address).filter(|address| address.is_ipv6() == is_v6).collect()
    }))
}

/// The network of a life.
struct Network {
    world: World,
    /// Each address, and whether a page can be had there by whoever is patient.
    places: Vec<(SocketAddr, bool)>,
    /// Those at which a board that is closed down in good order leaves something.
    rude: Vec<SocketAddr>,
    servers: [IpAddr; 2],
}

impl Network {
    fn new(seed: u64) -> Network {
        let world = World::ethernet();
        let mut rng = Rng::new(seed);
        let servers =
            [(); 2].map(|()| world.add_v4(false, Place::Host(Answers::Nothing), path(&mut rng)).ip());
        servers.iter().for_each(|server| world.serve_names(*server, names));
        let (mut places, mut rude) = (Vec::new(), Vec::new());
        let mut add = |place: Place, is_live: bool| {
            for (v6, on_link) in [(false, false), (true, false), (false, true), (true, true)] {
                if on_link && place == Place::Unreachable {
                    continue;
                }
                let link = path(&mut rng);
                let address =
                    if v6 { world.add_v6(on_link, place, link) } else { world.add_v4(on_link, place, link) };
                places.push((address, is_live));
                if place == Place::Host(Answers::Deaf) {
                    rude.push(address);
                }
            }
        };
        add(Place::Host(Answers::Http), true);
        add(Place::Host(Answers::Http), true);
        add(Place::Host(Answers::HttpSlow), true);
        add(Place::Host(Answers::HttpAndHurry), false);
        add(Place::Host(Answers::Deaf), false);
        add(Place::Host(Answers::Nothing), false);
        add(Place::Nobody, false);
        add(Place::Unreachable, false);
        let tiny = world.add_v4(false, Place::Host(Answers::Http), path(&mut rng));
        world.rewrite(tiny, edits::tiny_mss);
        places.push((tiny, true));
        let broken = world.add_v4(false, Place::Host(Answers::Http), path(&mut rng));
        world.rewrite(broken, edits::broken_options);
        places.push((broken, false));
        rude.push(broken);
        let old = world.add_v4(false, Place::Host(Answers::Http), path(&mut rng));
        world.challenge_old_connections(old);
        places.push((old, true));
        world.advertise();
        world.serve_dhcp(DhcpServer {
            server: link::ROUTER_V4,
            address: link::client_v4(),
            router: link::ROUTER_V4,
            dns: vec![],
            lease: 600,
            granted: 0,
            denied: 0,
        });
        ADDRESSES.set(places.iter().map(|(address, _)| address.ip()).collect());
        Network { world, places, rude, servers }
    }

    /// Whether a server is there.
    fn is_host(&self, address: SocketAddr) -> bool {
        self.places.iter().any(|(each, is_live)| *each == address && *is_live)
    }

    /// Some addresses, in no order.
    fn some(&self, rng: &mut Rng) -> Vec<usize> {
        let mut chosen: Vec<usize> = (0..self.places.len()).collect();
        for place in 0..chosen.len() {
            let other = rng.within(place as u64, chosen.len() as u64 - 1) as usize;
            chosen.swap(place, other);
        }
        let most = rng.pick(&[2, 4, 12, 20]);
        chosen.truncate(rng.within(1, most) as usize);
        chosen
    }
}

fn path(rng: &mut Rng) -> Link {
    Link::perfect(Duration::from_micros(2 * rng.within(500, 60_000)))
}

/// What becomes of a network while a race runs. Says whether nothing does.
fn trouble(network: &Network, rng: &mut Rng) -> bool {
    let world = &network.world;
    let at = rng.below(3_000);
    let mut is_calm = true;
    for kind in 0..10 {
        if !rng.chance(6) {
            continue;
        }
        is_calm = false;
        let number = rng.bits();
        let (address, _) = rng.pick(&network.places);
        match kind {
            0 => {
                world.after(at, |world| world.unplug(true));
                world.after(at + rng.within(100, 8_000), |world| world.unplug(false));
            }
            1 => {
                let [.., a, b] = number.to_be_bytes();
                world.after(at, move |world| world.replace_routers([2, 0, 0, 9, a, b]));
            }
            2 => {
                let last = 100 + (number % 50) as u8;
                world.change_lease(Ipv4Addr::new(10, 0, 0, last));
            }
            3 => {
                let (router, prefix) = rng.pick(&[(0, 0), (0, 1_800), (2, 5), (1_800, 0), (1_800, 1_800)]);
                world.after(at, move |world| world.send_advertisement(router, prefix));
            }
            4 => network.places.iter().for_each(|(address, _)| {
                let link = Link {
                    jitter: ms(rng.pick(&[0, 1, 20, 100])),
                    loss: rng.pick(&[0, 5, 20]),
                    doubled: rng.pick(&[0, 10]),
                    ..path(rng)
                };
                world.set_link(*address, link);
            }),
            5 => world.set_busy(rng.pick(&[1, 10, 50])),
            6 => {
                let local = SocketAddr::from((world.dhcp().address, 49_152 | number as u16));
                world.after(at, move |world| {
                    if address.is_ipv4() {
                        world.deliver_ip(&edits::reset(address, local, (number >> 16) as u32, None));
                    }
                });
            }
            7 => world.after(at, move |world| world.crash_if_there(address)),
            8 => world.rewrite(SocketAddr::new(network.servers[0], 53), edits::fragments),
            _ => {
                let local = SocketAddr::from((world.dhcp().address, 49_152 | number as u16));
                let is_http = network.world.connections(address).is_empty() && address.is_ipv4();
                if is_http && network.is_host(address) {
                    world.after(at, move |world| world.open_at_once(address, local));
                }
            }
        }
    }
    is_calm
}

fn config(rng: &mut Rng) -> Config {
    let preset = match rng.below(4) {
        0 => Config::staggered(),
        1 => Config::one_by_one(),
        _ => Config::all_at_once(),
    };
    preset.deadline(Some(ms(rng.pick(&[500, 5_000, 20_000])))).patience(ms(PATIENCE))
}

/// What a life came to.
#[derive(Debug, Default)]
struct Account {
    connected: u64,
    pages: u64,
    failed: u64,
    calm: u64,
    slowest_calm: Duration,
}

#[test]
fn a_board_loses_no_socket_port_or_buffer() {
    let races = std::env::var("CONNIE_RACES").map_or(RACES, |races| races.parse().expect("a number"));
    seeds(LIVES, |seed| live(seed, races));
}

/// Says at which race a life has failed.
struct Race(u64);

impl Drop for Race {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in race {}", self.0);
        }
    }
}

struct Life<'n, 'a, 'd> {
    network: &'n Network,
    stack: Board<'a>,
    dhcp: Dhcp,
    dns: &'d Dns,
    poller: PlatformPoller<World>,
    rng: Rng,
    account: Account,
}

fn live(seed: u64, races: u64) {
    let network = Network::new(seed);
    let world = &network.world;
    let mut card = world.card();
    let interface = connie_smoltcp::interface(&mut card, link::CLIENT_MAC, seed, world.now());
    let mut storage = [SocketStorage::EMPTY; SOCKETS + 1 + 2];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; SOCKETS];
    let mut queries = [const { DnsBuffers::<512>::new() }; 2];
    let mut stack: Board<'_> = Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), seed);
    let dhcp = Dhcp::start(&mut stack).expect("room for it");
    let dns = Dns::start(&mut stack, &network.servers, &mut queries).expect("room for it");
    let poller = PlatformPoller(world.clone());
    let mut life = Life {
        network: &network,
        stack,
        dhcp,
        dns: &dns,
        poller,
        rng: Rng::new(seed ^ 0x5eed),
        account: Account::default(),
    };
    let mut race = Race(0);
    life.inspect(true);
    // Whether all is calm since the last inspection. In every third stretch it is.
    let mut is_calm = true;
    for number in 1..=races {
        race.0 = number;
        let may_be_troubled = !(number / INSPECTION).is_multiple_of(3);
        is_calm &= !may_be_troubled || trouble(&network, &mut life.rng);
        life.race(is_calm);
        if number % INSPECTION == 0 || number == races {
            life.inspect(is_calm);
            is_calm = true;
        }
    }
    let hours = world.now().as_micros() / 3_600_000_000;
    eprintln!("CONNIE_SEED={seed}: {races} races in {hours} hours of virtual time: {:?}", life.account);
}

impl Life<'_, '_, '_> {
    fn world(&self) -> World {
        self.network.world.clone()
    }

    /// Lets time pass, and does what a main loop does.
    fn serve(&mut self, milliseconds: u64) {
        let world = self.world();
        let end = world.now() + ms(milliseconds);
        while world.now() < end {
            self.stack.poll();
            let _ = self.dhcp.poll(&mut self.stack);
            let next = self.stack.poll_at().map_or(end, |next| next.max(world.now() + ms(20)).min(end));
            world.idle_until(Some(next));
        }
        self.stack.poll();
        let _ = self.dhcp.poll(&mut self.stack);
    }

    /// One race, by a name or to a list of addresses, and what is done with its winner.
    fn race(&mut self, is_calm: bool) {
        let world = self.world();
        world.forget_wire();
        let pause = self.rng.within(1, 3_000);
        self.serve(pause);
        let chosen = self.network.some(&mut self.rng);
        let config = config(&mut self.rng);
        let start = world.now();
        let result =
            if self.rng.chance(30) { self.by_name(&chosen, &config) } else { self.by_list(&chosen, &config) };
        let took = world.now().duration_since(start);
        assert!(Some(took) <= config.deadline, "{took:?} {config:?}");
        let held = usize::from(result.is_ok());
        assert_eq!(self.stack.free_sockets(), SOCKETS - held, "the winner has a socket, and nobody else");
        let is_live = chosen.iter().any(|place| self.network.places[*place].1);
        // One by one each address has a share of the deadline, and 2 s at least.
        let turns = if config.pacing == Pacing::OneByOne { chosen.len() as u64 } else { 2 };
        if is_calm && is_live && config.deadline > Some(ms(2_000 * turns)) {
            self.account.calm += 1;
            assert!(result.is_ok(), "{took:?} {result:?} {chosen:?} {config:?}");
            // Each turn of four sockets has a patience, and a name, neighbours and a handshake half a second.
            if config.pacing != Pacing::OneByOne {
                self.account.slowest_calm = self.account.slowest_calm.max(took);
                let bound = ms(500) + ms(PATIENCE) * chosen.len() as u32;
                assert!(took <= bound, "{took:?} {result:?} {chosen:?} {config:?}");
            }
        }
        match result {
            Ok(connection) => self.use_it(connection),
            Err(_) => self.account.failed += 1,
        }
        assert_eq!(self.stack.free_sockets(), SOCKETS);
    }

    fn by_list(&mut self, chosen: &[usize], config: &Config) -> Result<Connection<TcpSocket>, Failure> {
        let addresses: Vec<_> = chosen.iter().map(|place| self.network.places[*place].0).collect();
        let now = self.stack.now();
        let mut driver = RaceDriver::<_, 32, SOCKETS>::new(config, now);
        driver.handle_addresses(&addresses, now);
        driver.run(&mut self.stack, &mut self.poller)
    }

    fn by_name(&mut self, chosen: &[usize], config: &Config) -> Result<Connection<TcpSocket>, Failure> {
        let mask = chosen.iter().fold(0_u64, |mask, place| mask | 1 << place);
        let name = format!("{mask:x}.test");
        let mut driver = DnsDriver::<_, 32, SOCKETS>::new(self.dns, &mut self.stack, &name, 80, config)
            .expect("a name, and room for its questions");
        driver.run(&mut self.stack, &mut self.poller)
    }

    /// A page in most cases; or the connection is closed at once, or reset.
    fn use_it(&mut self, connection: Connection<TcpSocket>) {
        self.account.connected += 1;
        match self.rng.below(10) {
            0 => TcpClientStack::close(&mut self.stack, connection.socket).expect("closed"),
            1 => RaceStack::abort(&mut self.stack, connection.socket),
            _ => {
                let served = self.page(connection).is_ok();
                self.account.pages += u64::from(served);
            }
        }
    }

    fn page(&mut self, connection: Connection<TcpSocket>) -> Result<(), HttpError> {
        let name = connection.destination.ip().to_string();
        let (mut head, mut body) = ([0; 512], [0; 128]);
        let host = Authority::http(&name, 80);
        let mut http =
            HttpConnection::new(&mut self.stack, &mut self.poller, connection.socket, host, &mut head)?;
        http.set_timeout(Some(ms(20_000)));
        http.request("GET", "/", &[], b"")?;
        let mut response = http.response()?;
        let mut length = 0;
        loop {
            match response.read(&mut body[length..])? {
                0 => break,
                more => length += more,
            }
        }
        assert_eq!(std::str::from_utf8(&body[..length]), Ok(&*format!("host {name}")));
        Ok(())
    }

    /// Everything comes to rest, and then all is as it was at the beginning: every socket is as new, no
    /// question is open, and all that the board has can be used at once. Where all was calm no host has a
    /// connection either; a reset that is lost is not repeated.
    fn inspect(&mut self, is_calm: bool) {
        let world = self.world();
        world.calm_down();
        world.rewrite(SocketAddr::new(self.network.servers[0], 53), edits::whole);
        world.send_advertisement(1_800, 1_800);
        self.serve(AFTERMATH);
        expect_free(&self.stack);
        let dns = format!("{:?}", self.dns);
        assert_eq!(dns.matches("open: None").count(), 2, "{dns}");
        for (address, _) in &self.network.places {
            let open = world.connections(*address);
            let is_at_rest = open.iter().all(|(state, _)| *state == tcp::State::TimeWait);
            assert!(is_at_rest || !is_calm || self.network.rude.contains(address), "{address}: {open:?}");
        }
        world.crash_all();
        world.send_advertisement(1_800, 1_800);
        self.serve(1_000);
        self.use_all();
        self.serve(20_000);
        expect_free(&self.stack);
    }

    /// Four connections at a time, each with a buffer that is filled to its end, beside two questions.
    fn use_all(&mut self) {
        let live: Vec<_> = self.network.places.iter().take(SOCKETS).map(|(address, _)| *address).collect();
        let mut sockets: Vec<_> =
            live.iter().map(|_| TcpClientStack::socket(&mut self.stack).expect("a socket")).collect();
        assert!(TcpClientStack::socket(&mut self.stack).is_err(), "there are {SOCKETS}");
        let end = self.stack.now() + ms(3_000);
        let mut pending = true;
        while pending {
            pending = false;
            for (socket, address) in sockets.iter_mut().zip(&live) {
                match TcpClientStack::connect(&mut self.stack, socket, *address) {
                    Ok(()) => {}
                    Err(nb::Error::WouldBlock) => pending = true,
                    Err(error) => panic!("{address}: {error:?}"),
                }
            }
            assert!(self.stack.now() < end, "four at once");
            let next = self.stack.now() + ms(5);
            self.world().idle_until(Some(next));
            self.stack.poll();
        }
        for socket in &mut sockets {
            assert_eq!(TcpClientStack::send(&mut self.stack, socket, &[b'x'; 600]), Ok(512));
        }
        // Both questions, though the race finds no socket.
        let config = Config::all_at_once().deadline(Some(ms(2_000)));
        let result = self.by_name(&[0, 1, 2, 3], &config);
        assert!(result.is_err(), "{result:?}");
        for socket in sockets {
            RaceStack::abort(&mut self.stack, socket);
        }
        assert_eq!(self.stack.free_sockets(), SOCKETS);
    }
}
