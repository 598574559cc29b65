//! What a program does over the winner, and what is left when it is done.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Config, Connection, Failure, RaceDriver};
use connie_http::{Authority, HttpConnection, HttpError};
use connie_smoltcp::smoltcp::phy::Device;
use connie_smoltcp::smoltcp::socket::tcp;
use connie_smoltcp::{Platform as _, PlatformPoller, SocketStorage, Stack, TcpBuffers, TcpSocket};

use super::{Card, World, at, client_interface, ms};

/// Longer than any frame is under way, and than smoltcp and its peers repeat what was lost.
const AFTERMATH: Duration = Duration::from_secs(40);

/// The board's stack.
pub type Client<'a, const TCP: usize, const UDP: usize = 0> = Stack<'a, Card, World, TCP, UDP>;

/// Runs `body` with a stack of `TCP` sockets over `world`, booted with `seed`.
pub fn boot<const TCP: usize>(world: &World, seed: u64, body: impl FnOnce(&mut Client<'_, TCP>)) {
    let mut card = world.card();
    let interface = client_interface(&mut card, seed);
    let mut storage = [const { SocketStorage::EMPTY }; TCP];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; TCP];
    body(&mut Stack::new(interface, card, &mut storage, &mut buffers, world.clone(), seed));
}

/// The same, and then sees that nothing is left open.
pub fn with_stack<const TCP: usize>(world: &World, body: impl FnOnce(&mut Client<'_, TCP>)) {
    boot(world, 7, |stack| {
        body(stack);
        settle(stack, world);
        expect_clean(stack, world);
    });
}

/// Every socket of the stack is as new.
#[track_caller]
pub fn expect_free<const TCP: usize, const UDP: usize>(stack: &Client<'_, TCP, UDP>) {
    let places = format!("{stack:?}");
    assert_eq!(places.matches("phase: Free").count(), TCP, "{places}");
}

/// The same, and no host has a connection.
#[track_caller]
pub fn expect_clean<const TCP: usize, const UDP: usize>(stack: &Client<'_, TCP, UDP>, world: &World) {
    expect_free(stack);
    for address in world.addresses() {
        let open = world.connections(SocketAddr::new(address, 80));
        assert!(open.iter().all(|(state, _)| *state == tcp::State::TimeWait), "{address}: {open:?}");
    }
}

/// All at once, for a minute.
pub fn config() -> Config {
    Config::all_at_once().deadline(Some(ms(60_000)))
}

/// Races these addresses.
pub fn race<const TCP: usize, const UDP: usize>(
    world: &World,
    stack: &mut Client<'_, TCP, UDP>,
    addresses: &[SocketAddr],
    config: &Config,
) -> Result<Connection<TcpSocket>, Failure> {
    let mut driver = RaceDriver::<_, 32, TCP>::new(config, world.now());
    driver.handle_addresses(addresses, world.now());
    driver.run(stack, &mut PlatformPoller(world.clone()))
}

/// Races, fetches the page over the winner, and says who has won and after how many milliseconds.
#[track_caller]
pub fn visit<const TCP: usize, const UDP: usize>(
    world: &World,
    stack: &mut Client<'_, TCP, UDP>,
    addresses: &[SocketAddr],
) -> (SocketAddr, u128) {
    let start = world.now();
    let connection = race(world, stack, addresses, &config()).expect("a winner");
    let (winner, took) = (connection.destination, world.now().duration_since(start).as_millis());
    assert!(fetch(stack, &mut PlatformPoller(world.clone()), connection), "an answer");
    (winner, took)
}

/// Lets time pass until `until` milliseconds; meanwhile the stack is served.
pub fn serve<const TCP: usize, const UDP: usize>(
    world: &World,
    stack: &mut Client<'_, TCP, UDP>,
    until: u64,
) {
    while world.now() < at(until) {
        stack.poll();
        let next = stack.poll_at().map_or(at(until), |next| next.min(at(until)));
        world.idle_until(Some(next));
    }
    stack.poll();
}

/// Lets everything that is still under way arrive and be answered.
pub fn settle<const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, Card, World, TCP, UDP>,
    world: &World,
) {
    let end = world.now() + AFTERMATH;
    // From now on every frame arrives: what a peer never hears of it cannot be asked for.
    world.mend();
    while world.now() < end {
        stack.poll();
        // Nobody is in a hurry any more.
        let next = stack.poll_at().map_or(end, |next| next.max(world.now() + ms(50)).min(end));
        world.idle_until(Some(next));
    }
    stack.poll();
}

/// The page must come whole over the winner, whatever the link does to it. A server in a hurry has closed its
/// side before it was asked: false.
pub fn fetch<D: Device, const TCP: usize, const UDP: usize>(
    stack: &mut Stack<'_, D, World, TCP, UDP>,
    poller: &mut PlatformPoller<World>,
    connection: Connection<TcpSocket>,
) -> bool {
    let name = connection.destination.ip().to_string();
    let (mut head, mut body) = ([0; 512], [0; 128]);
    let host = Authority::http(&name, 80);
    let mut http = HttpConnection::new(stack, poller, connection.socket, host, &mut head).unwrap();
    http.set_timeout(Some(Duration::from_secs(100)));
    http.request("GET", "/", &[], b"").unwrap();
    let mut response = match http.response() {
        Ok(response) => response,
        Err(HttpError::EmptyReply) => return false,
        Err(error) => panic!("{error:?}"),
    };
    assert_eq!(response.status(), 200);
    let mut length = 0;
    loop {
        match response.read(&mut body[length..]).unwrap() {
            0 => break,
            more => length += more,
        }
    }
    assert_eq!(std::str::from_utf8(&body[..length]).unwrap(), format!("host {name}"));
    true
}
