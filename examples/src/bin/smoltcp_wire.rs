//! How do I try a program for smoltcp without hardware and without a network? Two interfaces on one wire, in
//! virtual time: what runs on the client's is a microcontroller's, line for line; the server at the other end
//! is smoltcp's own.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use connie_core::timeline::Style;
use connie_core::{Config, Instant, RaceDriver};
use connie_http::{Authority, HttpConnection};
use connie_smoltcp::{Platform, PlatformPoller, SocketStorage, Stack, TcpBuffers, interface};
use smoltcp::iface::{Interface, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::{Socket, tcp};
use smoltcp::time::Instant as SmoltcpInstant;
use smoltcp::wire::IpCidr;

type Queue = Rc<RefCell<VecDeque<Vec<u8>>>>;

/// One end of a wire.
struct End {
    from: Queue,
    to: Queue,
}

struct Rx(Vec<u8>);
struct Tx<'a>(&'a Queue);

impl RxToken for Rx {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

impl TxToken for Tx<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, write: F) -> R {
        let mut frame = vec![0; length];
        let result = write(&mut frame);
        self.0.borrow_mut().push_back(frame);
        result
    }
}

impl Device for End {
    type RxToken<'a> = Rx;
    type TxToken<'a> = Tx<'a>;

    fn receive(&mut self, _: SmoltcpInstant) -> Option<(Rx, Tx<'_>)> {
        let frame = self.from.borrow_mut().pop_front()?;
        Some((Rx(frame), Tx(&self.to)))
    }

    fn transmit(&mut self, _: SmoltcpInstant) -> Option<Tx<'_>> {
        Some(Tx(&self.to))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1500;
        capabilities
    }
}

/// The machine at the other end: it answers every request with the page.
struct Server {
    device: End,
    interface: Interface,
    sockets: SocketSet<'static>,
}

const PAGE: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

impl Server {
    fn serve(&mut self, now: Instant) {
        let now = SmoltcpInstant::from_micros(i64::try_from(now.as_micros()).unwrap_or(i64::MAX));
        self.interface.poll(now, &mut self.device, &mut self.sockets);
        for (_, socket) in self.sockets.iter_mut() {
            if let Socket::Tcp(socket) = socket {
                let asked = socket.recv(|octets| (octets.len(), octets.ends_with(b"\r\n\r\n")));
                if asked == Ok(true) {
                    // A page that found no room would be missed by the client, which says so.
                    let _ = socket.send_slice(PAGE);
                }
            }
        }
        self.interface.poll(now, &mut self.device, &mut self.sockets);
    }
}

/// The client's board: while it idles, time passes and the server works.
struct World {
    now: Cell<Instant>,
    server: RefCell<Server>,
}

impl Platform for World {
    fn now(&self) -> Instant {
        self.now.get()
    }

    fn idle_until(&self, until: Option<Instant>) {
        let step = self.now() + Duration::from_millis(1);
        self.now.set(until.map_or(step, |until| until.min(step)).max(self.now()));
        self.server.borrow_mut().serve(self.now());
    }

    /// Virtual time passes as fast as the machine counts: what takes longer than a minute of it would never
    /// end.
    fn is_canceled(&self) -> bool {
        self.now() > Instant::ZERO + Duration::from_secs(60)
    }
}

/// smoltcp's interface with one address.
fn at(device: &mut End, address: IpCidr, seed: u64) -> Interface {
    let mut made = interface(device, [0x02, 0, 0, 0, 0, 1], seed, Instant::ZERO);
    made.update_ip_addrs(|addresses| _ = addresses.push(address));
    made
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (here, there) = (Queue::default(), Queue::default());
    let mut device = End { from: here.clone(), to: there.clone() };
    let mut far = End { from: there, to: here };

    let octets = || tcp::SocketBuffer::new(vec![0; 1024]);
    let mut listener = tcp::Socket::new(octets(), octets());
    listener.listen(80)?;
    let mut sockets = SocketSet::new(Vec::new());
    sockets.add(listener);
    let interface = at(&mut far, "192.0.2.1/24".parse().map_err(|()| "no address")?, 1);
    let server = Server { device: far, interface, sockets };
    let world = World { now: Cell::new(Instant::ZERO), server: RefCell::new(server) };

    let interface = at(&mut device, "192.0.2.2/24".parse().map_err(|()| "no address")?, 2);
    let mut storage = [SocketStorage::EMPTY; 5];
    let mut buffers = [const { TcpBuffers::<512, 512>::new() }; 4];
    let mut stack = Stack::new(interface, device, &mut storage, &mut buffers, &world, 2);
    let mut poller = PlatformPoller(&world);

    // Nobody is there, nobody listens, and the server.
    let addresses = ["192.0.2.77:80", "192.0.2.1:81", "192.0.2.1:80"]
        .map(str::parse)
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let config = Config::all_at_once().deadline(Some(Duration::from_secs(10)));
    let mut driver = RaceDriver::<_, 16, 4>::new(&config, world.now());
    driver.handle_addresses(&addresses, world.now());
    let connection = driver.run(&mut stack, &mut poller)?;
    print!("{}", driver.timeline().waterfall(80, Style::default()));

    let mut head = [0; 512];
    let host = Authority::http("device.test", 80);
    let mut http = HttpConnection::new(&mut stack, &mut poller, connection.socket, host, &mut head)?;
    http.request("GET", "/", &[], b"")?;
    let mut response = http.response()?;
    let mut body = [0; 64];
    let length = response.read(&mut body)?;
    println!("{} {}: {}", response.status(), response.reason(), String::from_utf8_lossy(&body[..length]));
    Ok(())
}
