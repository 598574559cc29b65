//! The servers of a row of [`connie_sim::name_servers`] on the loopback address: real datagrams, and real
//! TCP.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use connie_core::Instant as Moment;
use connie_servers::clock::{self, pause};
use connie_sim::name_servers::{Reaction, Row, Sender, Servers};

/// Longer than a client leaves a connection silent that it still wants.
const LIMIT: Duration = Duration::from_secs(10);

/// A row's servers, each on a port of its own. Dropping it ends them.
pub struct RowServers {
    addresses: Vec<SocketAddr>,
    world: Arc<World>,
    threads: Vec<JoinHandle<()>>,
}

struct World {
    servers: Mutex<Servers>,
    start: Instant,
    ends: AtomicBool,
}

impl World {
    /// What comes back to a query, when it is due.
    fn ask(&self, server: usize, query: &[u8], tcp: bool) -> Option<Reaction> {
        let now = Moment::ZERO + self.start.elapsed();
        let coming = {
            let mut servers = self.servers.lock().unwrap_or_else(PoisonError::into_inner);
            servers.ask(server, query, tcp, now)?
        };
        pause(coming.at.duration_since(now));
        Some(coming.reaction)
    }
}

impl RowServers {
    /// Starts those of a row.
    ///
    /// # Panics
    /// Where there is no socket to be had.
    #[must_use]
    pub fn start(row: &Row) -> Self {
        Self::run(Servers::of(row, Moment::ZERO))
    }

    /// Starts one for each of these [scripts](connie_sim::name_servers).
    ///
    /// # Panics
    /// Where there is no socket to be had.
    #[must_use]
    pub fn of(scripts: &[&str]) -> Self {
        Self::run(Servers::new(scripts, Moment::ZERO))
    }

    fn run(servers: Servers) -> Self {
        let count = servers.count();
        let world = Arc::new(World {
            servers: Mutex::new(servers),
            start: clock::now(),
            ends: AtomicBool::new(false),
        });
        let mut this = RowServers { addresses: Vec::new(), world, threads: Vec::new() };
        for server in 0..count {
            let (datagrams, listener) = sockets();
            this.addresses.push(datagrams.local_addr().expect("an address"));
            let world = Arc::clone(&this.world);
            this.threads.push(std::thread::spawn(move || answer_datagrams(&world, server, &datagrams)));
            let world = Arc::clone(&this.world);
            this.threads.push(std::thread::spawn(move || answer_connections(&world, server, &listener)));
        }
        this
    }

    /// Where they are.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// What they were sent, as a row has it, without the times.
    #[must_use]
    pub fn sent(&self) -> Vec<String> {
        let servers = self.world.servers.lock().unwrap_or_else(PoisonError::into_inner);
        servers.sent().iter().map(|sent| without_time(sent)).collect()
    }
}

impl Drop for RowServers {
    fn drop(&mut self) {
        self.world.ends.store(true, Ordering::SeqCst);
        let waker = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0));
        for address in &self.addresses {
            let _ = waker.as_ref().map(|waker| waker.send_to(&[], address));
            let _ = TcpStream::connect(address);
        }
        for thread in self.threads.drain(..) {
            // What went wrong there is told there.
            let _ = thread.join();
        }
    }
}

/// `tcp0@20-` as `tcp0-`.
#[must_use]
pub fn without_time(sent: &str) -> String {
    let (before, after) = sent.split_once('@').unwrap_or((sent, ""));
    let plain = if after.ends_with('-') { "-" } else { "" };
    format!("{before}{plain}")
}

/// When a query was sent: `20` of `tcp0@20-`.
#[must_use]
pub fn time_of(sent: &str) -> &str {
    sent.split_once('@').map_or("", |(_, after)| after.trim_end_matches('-'))
}

/// One for datagrams, and one for connections to the same port.
fn sockets() -> (UdpSocket, TcpListener) {
    for _ in 0..100 {
        let datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
        // Which another program may have taken.
        if let Ok(listener) = TcpListener::bind(datagrams.local_addr().expect("an address")) {
            return (datagrams, listener);
        }
    }
    panic!("no port that is free for both");
}

fn answer_datagrams(world: &Arc<World>, server: usize, socket: &UdpSocket) {
    let mut query = [0; 1_500];
    loop {
        // An answer that was sent to a client that is gone is told here.
        let Ok((count, client)) = socket.recv_from(&mut query) else { continue };
        if world.ends.load(Ordering::SeqCst) {
            return;
        }
        let (world, query) = (Arc::clone(world), query[..count].to_vec());
        let socket = socket.try_clone().expect("a socket");
        std::thread::spawn(move || match world.ask(server, &query, false) {
            Some(Reaction::Says(message, Sender::Itself)) => {
                let _ = socket.send_to(&message, client);
            }
            Some(Reaction::Says(message, _)) => {
                let other = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
                let _ = other.send_to(&message, client);
            }
            // A port that is open does not refuse.
            Some(reaction) => panic!("{reaction:?} in a row for the kernel"),
            None => {}
        });
    }
}

fn answer_connections(world: &Arc<World>, server: usize, listener: &TcpListener) {
    for client in listener.incoming() {
        if world.ends.load(Ordering::SeqCst) {
            return;
        }
        let (world, client) = (Arc::clone(world), client.expect("a connection"));
        std::thread::spawn(move || answer_connection(&world, server, client));
    }
}

fn answer_connection(world: &World, server: usize, mut client: TcpStream) {
    client.set_read_timeout(Some(LIMIT)).expect("a setting");
    let mut length = [0; 2];
    client.read_exact(&mut length).expect("a length");
    let mut query = vec![0; u16::from_be_bytes(length).into()];
    client.read_exact(&mut query).expect("a query");
    match world.ask(server, &query, true) {
        Some(Reaction::Says(message, _)) => {
            let length = u16::try_from(message.len()).expect("a message").to_be_bytes();
            let _ = client.write_all(&[&length[..], &message].concat());
        }
        // Closed without a word.
        Some(_) => {}
        // Until the client closes it.
        None => {
            let _ = client.read(&mut [0]);
        }
    }
}
