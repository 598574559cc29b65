//! A lease that changes while a connect runs, over embassy-net: a stack on a wire of Ethernet whose other end
//! is smoltcp, on a network that answers nothing that comes from the old address.

#![cfg(target_os = "linux")]

mod embassy_support;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use connie_async::connie_core::Config as RaceConfig;
use connie_async::dns::Dns;
use connie_async::embassy_net::{Buffers, Udp};
use connie_async::{EmbassyClock, Options, RaceConnect};
use embassy_futures::join::join;
use embassy_futures::select::{Either3, select3};
use embassy_net::tcp::client::{TcpClient, TcpClientState};
use embassy_net::{Config, ConfigV4, Ipv4Cidr, Stack, StackResources, StaticConfigV4};
use embassy_support::{OtherEnd, Wire};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{self, Device, DeviceCapabilities, Medium};
use smoltcp::socket::tcp;
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol, IpCidr, Ipv4Packet};

const OLD: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const NEW: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 3);
const PEER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);
const PEER_MAC: [u8; 6] = [2, 0, 0, 0, 0, 9];
const LIMIT: Duration = Duration::from_secs(20);

/// Frames on their way to the stack and to the peer.
#[derive(Default)]
struct Network {
    to_stack: RefCell<VecDeque<Vec<u8>>>,
    to_peer: RefCell<VecDeque<Vec<u8>>>,
    stack: RefCell<Option<Waker>>,
    /// Who has asked for a connection, each address once.
    heard: RefCell<Vec<Ipv4Addr>>,
}

impl OtherEnd for Network {
    /// What the old address sends goes nowhere, but for what the link itself needs.
    fn take(&self, frame: Vec<u8>) {
        let ethernet = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        if ethernet.ethertype() == EthernetProtocol::Ipv4 {
            let source = Ipv4Packet::new_checked(ethernet.payload()).expect("a packet").src_addr();
            if !self.heard.borrow().contains(&source) {
                self.heard.borrow_mut().push(source);
            }
            if source == OLD {
                return;
            }
        }
        self.to_peer.borrow_mut().push_back(frame);
    }

    fn next(&self) -> Option<Vec<u8>> {
        self.to_stack.borrow_mut().pop_front()
    }

    fn wakes(&self, waker: Waker) {
        *self.stack.borrow_mut() = Some(waker);
    }
}

/// The peer's end.
struct Far<'w>(&'w Network);
struct Heard(Vec<u8>);
struct ToSay<'w>(&'w Network);

impl<'w> Device for Far<'w> {
    type RxToken<'a>
        = Heard
    where
        Self: 'a;
    type TxToken<'a>
        = ToSay<'w>
    where
        Self: 'a;

    fn receive(&mut self, _: Instant) -> Option<(Heard, ToSay<'w>)> {
        Some((Heard(self.0.to_peer.borrow_mut().pop_front()?), ToSay(self.0)))
    }

    fn transmit(&mut self, _: Instant) -> Option<ToSay<'w>> {
        Some(ToSay(self.0))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        (capabilities.medium, capabilities.max_transmission_unit) = (Medium::Ethernet, 1_514);
        capabilities
    }
}

impl phy::RxToken for Heard {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl phy::TxToken for ToSay<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.to_stack.borrow_mut().push_back(frame);
        self.0.stack.borrow_mut().take().into_iter().for_each(Waker::wake);
        result
    }
}

/// Listens at port 80, for ever.
async fn peer(wire: &Network) {
    let mut device = Far(wire);
    let now = || Instant::from_micros(embassy_time::Instant::now().as_micros() as i64);
    let config = smoltcp::iface::Config::new(EthernetAddress(PEER_MAC).into());
    let mut interface = Interface::new(config, &mut device, now());
    interface.update_ip_addrs(|addresses| addresses.push(IpCidr::new(PEER.into(), 24)).expect("room"));
    let buffer = || tcp::SocketBuffer::new(vec![0; 512]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.listen(80).expect("a port");
    let mut sockets = SocketSet::new(vec![]);
    sockets.add(socket);
    loop {
        interface.poll(now(), &mut device, &mut sockets);
        async_io::Timer::after(Duration::from_millis(1)).await;
    }
}

fn lease(address: Ipv4Addr) -> ConfigV4 {
    ConfigV4::Static(lease_of(address))
}

fn lease_of(address: Ipv4Addr) -> StaticConfigV4 {
    StaticConfigV4 { address: Ipv4Cidr::new(address, 24), gateway: None, dns_servers: Default::default() }
}

/// Connects to the peer from a stack whose lease `change` changes. Returns the result, and the source
/// addresses that the peer's network saw.
fn connected(change: impl for<'s> AsyncFnOnce(&'s Stack<'s>)) -> (Result<(), String>, Vec<Ipv4Addr>) {
    let wire = Network::default();
    let mut resources = StackResources::<8>::new();
    let config = Config::ipv4_static(lease_of(OLD));
    let (stack, mut runner) = embassy_net::new(Wire(&wire), config, &mut resources, 7);
    let mut buffers: Buffers<2> = Buffers::new();
    let udp = Udp::new(stack, &mut buffers);
    let names = Dns::<_, _, 2, 4, 2, 2, 64, 128>::with_capacities(&udp, EmbassyClock, Default::default(), 8);
    let state = TcpClientState::<4, 512, 512>::new();
    let options = Options::new().race(RaceConfig::all_at_once()).deadline(LIMIT);
    let net = RaceConnect::new(TcpClient::new(stack, &state), &names, EmbassyClock, options.clone());
    let test = async {
        let target = std::net::SocketAddr::new(PEER.into(), 80);
        let connect =
            async { net.connect(&target, &options).await.map(|_| ()).map_err(|error| error.to_string()) };
        // It is polled only when it is woken itself, not whenever one of the others is.
        join(task(connect), change(&stack)).await.0
    };
    let limit = async_io::Timer::after(LIMIT);
    let rest = async { join(runner.run(), peer(&wire)).await };
    let result = match async_io::block_on(select3(test, rest, limit)) {
        Either3::First(result) => result,
        Either3::Second(_) => unreachable!("they have no end"),
        Either3::Third(_) => panic!("no end after {LIMIT:?}"),
    };
    (result, wire.heard.take())
}

/// Wakes one part of a future.
struct TaskWaker {
    woken: AtomicBool,
    whole: Mutex<Waker>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.woken.store(true, Ordering::Relaxed);
        self.whole.lock().expect("nobody panicked").wake_by_ref();
    }
}

/// Runs `future` with a waker of its own, as an executor runs a task.
async fn task<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    let whole = Mutex::new(Waker::noop().clone());
    let own = Arc::new(TaskWaker { woken: AtomicBool::new(true), whole });
    let waker = Waker::from(Arc::clone(&own));
    poll_fn(|cx| {
        own.whole.lock().expect("nobody panicked").clone_from(cx.waker());
        if own.woken.swap(false, Ordering::Relaxed) {
            future.as_mut().poll(&mut Context::from_waker(&waker))
        } else {
            Poll::Pending
        }
    })
    .await
}

async fn pause(milliseconds: u64) {
    async_io::Timer::after(Duration::from_millis(milliseconds)).await;
}

#[test]
fn a_connect_goes_on_from_the_address_of_another_lease() {
    let (connected, heard) = connected(async |stack| {
        pause(100).await;
        stack.set_config_v4(lease(NEW));
    });
    assert_eq!((connected, heard), (Ok(()), vec![OLD, NEW]));
}

/// As when a server refuses to renew a lease, and gives another.
#[test]
fn a_connect_waits_for_another_lease() {
    let (connected, heard) = connected(async |stack| {
        pause(100).await;
        stack.set_config_v4(ConfigV4::None);
        pause(700).await;
        stack.set_config_v4(lease(NEW));
    });
    assert_eq!((connected, heard), (Ok(()), vec![OLD, NEW]));
}
