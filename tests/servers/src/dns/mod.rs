//! A DNS server whose every answer a test decides: what it says, when, and how it goes wrong.
//!
//! It writes and reads messages by itself (RFC 1035 section 4), so that an error of the program's codec
//! cannot hide on both sides.

mod answer;
mod message;

use std::collections::HashMap;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

pub use self::answer::{DnsAnswer, Quirk, https};
use self::message::Query;
use crate::clock::now;
use crate::stop::Stop;

/// A type of record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RecordType {
    /// IPv4 addresses.
    A,
    /// IPv6 addresses.
    Aaaa,
    /// Service records (RFC 9460).
    Https,
    /// Any other, by its number.
    Other(u16),
}

/// A query that the server has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsQuery {
    /// The name in lower case, without the final dot.
    pub name: String,
    /// What was asked for.
    pub kind: RecordType,
    /// When it came.
    pub at: Instant,
    /// Its id.
    pub id: u16,
    /// Whom it came from.
    pub client: SocketAddr,
    /// Whether it came over TCP.
    pub tcp: bool,
    /// The largest datagram that it allows, where it says so by EDNS(0).
    pub payload: Option<u16>,
}

/// A DNS server on a thread of its own, over UDP and TCP on one port.
///
/// A name that it was not told of does not exist, and of one that it was told of there is only what it was
/// told.
pub struct DnsServer {
    address: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    stop: Stop,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    answers: HashMap<(String, RecordType), DnsAnswer>,
    queries: Vec<DnsQuery>,
}

impl DnsServer {
    /// Starts it at this address; port 0 takes a free one.
    ///
    /// # Panics
    /// When the address is taken.
    #[must_use]
    #[track_caller]
    pub fn start(address: SocketAddr) -> Self {
        let (udp, tcp) = bind(address).unwrap_or_else(|error| panic!("{address}: {error}"));
        let address = udp.local_addr().expect("a socket has an address");
        let stop = Stop::new().expect("a descriptor");
        let stopped = stop.clone();
        let shared = Arc::new(Mutex::new(Shared::default()));
        let mut service = Service {
            udp,
            tcp,
            stopped,
            connections: Vec::new(),
            pending: Vec::new(),
            shared: Arc::clone(&shared),
        };
        let thread = std::thread::spawn(move || {
            // The server must not be what is late.
            #[cfg(target_os = "linux")]
            let _ = rustix::process::setpriority_process(None, -10);
            service.serve().expect("the DNS server");
        });
        Self { address, shared, stop, thread: Some(thread) }
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it says from now on when it is asked for this.
    pub fn set(&self, name: &str, kind: RecordType, answer: DnsAnswer) {
        lock(&self.shared).answers.insert((name.to_ascii_lowercase(), kind), answer);
    }

    /// Gives a name these addresses, an A or AAAA record each, and answers at once.
    pub fn host(&self, name: &str, addresses: &[IpAddr]) {
        let (v4, v6) = addresses.iter().partition::<Vec<IpAddr>, _>(|address| address.is_ipv4());
        self.set(name, RecordType::A, DnsAnswer::addresses(&v4));
        self.set(name, RecordType::Aaaa, DnsAnswer::addresses(&v6));
    }

    /// The queries that have come so far, in their order.
    #[must_use]
    pub fn queries(&self) -> Vec<DnsQuery> {
        lock(&self.shared).queries.clone()
    }

    /// How often it was asked for this.
    #[must_use]
    pub fn asked(&self, name: &str, kind: RecordType) -> usize {
        lock(&self.shared).queries.iter().filter(|query| query.name == name && query.kind == kind).count()
    }

    /// Forgets the queries that have come.
    pub fn clear_queries(&self) {
        lock(&self.shared).queries.clear();
    }
}

impl Drop for DnsServer {
    fn drop(&mut self) {
        self.stop.tell();
        if let Some(Err(panic)) = self.thread.take().map(JoinHandle::join) {
            if !std::thread::panicking() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// Both sockets on one port.
fn bind(address: SocketAddr) -> io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    // A port that is free for UDP may be taken for TCP.
    for _ in 0..20 {
        let udp = UdpSocket::bind(address)?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => {
                udp.set_nonblocking(true)?;
                tcp.set_nonblocking(true)?;
                return Ok((udp, tcp));
            }
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| ErrorKind::AddrInUse.into()))
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Service {
    udp: UdpSocket,
    tcp: TcpListener,
    stopped: Stop,
    connections: Vec<Connection>,
    pending: Vec<Pending>,
    shared: Arc<Mutex<Shared>>,
}

/// A connection of a client, with what it has sent so far.
struct Connection {
    number: u64,
    stream: TcpStream,
    client: SocketAddr,
    received: Vec<u8>,
}

/// A packet that will be sent.
struct Pending {
    due: Instant,
    packet: Vec<u8>,
    to: To,
}

#[derive(Clone, Copy)]
enum To {
    Datagram(SocketAddr),
    /// A datagram from a port that the client has not asked.
    Stranger(SocketAddr),
    /// The connection with this number.
    Stream(u64),
    /// The connection with this number, which is closed instead.
    Hangup(u64),
}

impl Service {
    fn serve(&mut self) -> io::Result<()> {
        let mut accepted = 0;
        while !self.wait()? {
            self.read_datagrams()?;
            while let Ok((stream, client)) = self.tcp.accept() {
                stream.set_nonblocking(true)?;
                accepted += 1;
                self.connections.push(Connection { number: accepted, stream, client, received: Vec::new() });
            }
            self.read_streams();
            self.send_what_is_due()?;
        }
        Ok(())
    }

    /// Waits for a client or for the time of the next answer; whether the server is to stop.
    fn wait(&self) -> io::Result<bool> {
        let left = self.pending.iter().map(|it| it.due.saturating_duration_since(now())).min();
        let left = left.unwrap_or(Duration::from_secs(60));
        let timeout = Timespec {
            tv_sec: left.as_secs().try_into().unwrap_or(60),
            tv_nsec: left.subsec_nanos() as rustix::event::Nsecs,
        };
        let mut fds = vec![
            PollFd::new(&self.stopped, PollFlags::IN),
            PollFd::new(&self.udp, PollFlags::IN),
            PollFd::new(&self.tcp, PollFlags::IN),
        ];
        fds.extend(self.connections.iter().map(|it| PollFd::new(&it.stream, PollFlags::IN)));
        match poll(&mut fds, Some(&timeout)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(!fds[0].revents().is_empty()),
            Err(error) => Err(error.into()),
        }
    }

    fn read_datagrams(&mut self) -> io::Result<()> {
        let mut packet = [0; 4096];
        loop {
            match self.udp.recv_from(&mut packet) {
                Ok((length, client)) => self.take(&packet[..length], client, None),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                // A client that has gone, as Linux and Windows tell it.
                Err(error)
                    if matches!(error.kind(), ErrorKind::ConnectionRefused | ErrorKind::ConnectionReset) => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn read_streams(&mut self) {
        let mut queries = Vec::new();
        self.connections.retain_mut(|connection| {
            let mut buffer = [0; 4096];
            loop {
                match connection.stream.read(&mut buffer) {
                    Ok(0) => return false,
                    Ok(length) => connection.received.extend_from_slice(&buffer[..length]),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(_) => return false,
                }
            }
            if let Some((length, rest)) = connection.received.split_first_chunk::<2>() {
                let length = usize::from(u16::from_be_bytes(*length));
                if rest.len() >= length {
                    queries.push((rest[..length].to_vec(), connection.client, connection.number));
                    connection.received.drain(..length + 2);
                }
            }
            true
        });
        for (query, client, number) in queries {
            self.take(&query, client, Some(number));
        }
    }

    /// Notes a query down, and decides what comes of it.
    fn take(&mut self, packet: &[u8], client: SocketAddr, stream: Option<u64>) {
        let Some(query) = Query::read(packet) else { return };
        let tcp = stream.is_some();
        let mut shared = lock(&self.shared);
        shared.queries.push(DnsQuery {
            name: query.name.clone(),
            kind: query.kind,
            at: now(),
            id: query.id,
            client,
            tcp,
            payload: query.payload,
        });
        let mut unknown = if shared.answers.keys().any(|(name, _)| *name == query.name) {
            DnsAnswer::no_data()
        } else {
            DnsAnswer::no_such_name()
        };
        let answer = shared.answers.get_mut(&(query.name.clone(), query.kind)).unwrap_or(&mut unknown);
        if !answer.answers_now() {
            return;
        }
        let to = stream.map_or(To::Datagram(client), To::Stream);
        for (packet, quirk) in answer.packets(&query, packet, tcp) {
            let to = match (quirk, to) {
                (Some(Quirk::WrongSource), To::Datagram(client)) => To::Stranger(client),
                (Some(Quirk::HangUp), To::Stream(number)) => To::Hangup(number),
                _ => to,
            };
            self.pending.push(Pending { due: now() + answer.delay(), packet, to });
        }
    }

    fn send_what_is_due(&mut self) -> io::Result<()> {
        let moment = now();
        let (due, pending) =
            std::mem::take(&mut self.pending).into_iter().partition(|pending| pending.due <= moment);
        self.pending = pending;
        let due: Vec<Pending> = due;
        for Pending { packet, to, .. } in due {
            match to {
                // A client that has its answer from elsewhere has gone.
                To::Datagram(client) => drop(self.udp.send_to(&packet, client)),
                To::Stranger(client) => {
                    let stranger = UdpSocket::bind((self.udp.local_addr()?.ip(), 0))?;
                    drop(stranger.send_to(&packet, client));
                }
                To::Stream(number) => {
                    if let Some(connection) = self.connections.iter_mut().find(|it| it.number == number) {
                        let length = u16::try_from(packet.len()).expect("no message is longer");
                        // In two pieces, as some servers do.
                        let _ = connection.stream.write_all(&length.to_be_bytes());
                        let _ = connection.stream.write_all(&packet);
                    }
                }
                To::Hangup(number) => self.connections.retain(|it| it.number != number),
            }
        }
        Ok(())
    }
}
