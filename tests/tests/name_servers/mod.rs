//! The servers of a row of the table on loopback sockets: in virtual time, driven by the test, and in real
//! time, by a thread.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use connie_core::Instant;
use connie_sim::name_servers::{Reaction, Row, Sender, Servers};
use connie_std::OsClock;
use connie_tests::clock::pause;

/// How long a packet may take over the loopback interface where nothing says that it has come.
const SHORT: Duration = Duration::from_micros(300);

/// To what something is answered.
enum Asker {
    Datagram(SocketAddr),
    Stream(TcpStream),
}

struct Due {
    at: Instant,
    server: usize,
    asker: Asker,
    reaction: Reaction,
}

struct Ends {
    udp: UdpSocket,
    tcp: TcpListener,
    /// Connections of which the query is not there yet, with what is.
    open: Vec<(TcpStream, Vec<u8>)>,
}

/// The servers in virtual time.
pub struct InVirtualTime {
    servers: Servers,
    ends: Vec<Ends>,
    due: Vec<Due>,
    /// Connections that stay open.
    kept: Vec<TcpStream>,
    /// Another port, and another host.
    strangers: [UdpSocket; 2],
}

fn bind(index: usize) -> Ends {
    let host = std::net::Ipv4Addr::new(127, 0, 0, 53 + u8::try_from(index).expect("few servers"));
    // The same port for both.
    let (udp, tcp) = (0..100)
        .find_map(|_| {
            let udp = UdpSocket::bind((host, 0)).ok()?;
            let tcp = TcpListener::bind(udp.local_addr().ok()?).ok()?;
            Some((udp, tcp))
        })
        .expect("a port");
    udp.set_nonblocking(true).expect("an option");
    tcp.set_nonblocking(true).expect("an option");
    Ends { udp, tcp, open: Vec::new() }
}

impl InVirtualTime {
    pub fn start(row: &Row, start: Instant) -> Self {
        let stranger = |host: [u8; 4]| UdpSocket::bind((std::net::Ipv4Addr::from(host), 0)).expect("a port");
        InVirtualTime {
            servers: Servers::of(row, start),
            ends: (0..row.servers.len()).map(bind).collect(),
            due: Vec::new(),
            kept: Vec::new(),
            strangers: [stranger([127, 0, 0, 53]), stranger([127, 0, 0, 99])],
        }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.ends.iter().map(|ends| ends.udp.local_addr().expect("an address")).collect()
    }

    pub fn sent(&self) -> Vec<String> {
        self.servers.sent().to_vec()
    }

    /// Takes the queries that have come. Whether there were some, or may be.
    pub fn serve(&mut self, now: Instant) -> bool {
        let mut found = false;
        for server in 0..self.ends.len() {
            let mut packet = [0; 512];
            while let Ok((length, from)) = self.ends[server].udp.recv_from(&mut packet) {
                self.ask(server, &packet[..length], Asker::Datagram(from), now);
                found = true;
            }
            while let Ok((stream, _)) = self.ends[server].tcp.accept() {
                stream.set_nonblocking(true).expect("an option");
                self.ends[server].open.push((stream, Vec::new()));
                found = true;
            }
            for (mut stream, mut octets) in std::mem::take(&mut self.ends[server].open) {
                let length = match stream.read(&mut packet) {
                    Ok(0) => continue,
                    Ok(length) => length,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                    Err(_) => continue,
                };
                octets.extend(&packet[..length]);
                match octets.split_first_chunk::<2>() {
                    Some((whole, query)) if query.len() == usize::from(u16::from_be_bytes(*whole)) => {
                        self.ask(server, query, Asker::Stream(stream), now);
                        found = true;
                    }
                    _ => {
                        found |= length > 0;
                        self.ends[server].open.push((stream, octets));
                    }
                }
            }
        }
        if !found {
            pause(SHORT);
        }
        found
    }

    fn ask(&mut self, server: usize, query: &[u8], asker: Asker, now: Instant) {
        let is_stream = matches!(asker, Asker::Stream(_));
        match (self.servers.ask(server, query, is_stream, now), asker) {
            (Some(coming), asker) => {
                self.due.push(Due { at: coming.at, server, asker, reaction: coming.reaction });
            }
            (None, Asker::Stream(stream)) => self.kept.push(stream),
            (None, Asker::Datagram(_)) => {}
        }
    }

    /// When the next answer goes out.
    pub fn next(&self) -> Option<Instant> {
        self.due.iter().map(|due| due.at).min()
    }

    /// Sends what is due, in the order of the queries.
    pub fn deliver(&mut self, now: Instant) {
        let (due, later) = std::mem::take(&mut self.due).into_iter().partition(|due| due.at <= now);
        self.due = later;
        let due: Vec<Due> = due;
        let is_any = !due.is_empty();
        for Due { server, asker, reaction, .. } in due {
            match (reaction, asker) {
                (Reaction::Says(message, sender), Asker::Datagram(to)) => {
                    let socket = match sender {
                        Sender::Itself => &self.ends[server].udp,
                        Sender::OtherPort => &self.strangers[0],
                        Sender::OtherHost => &self.strangers[1],
                    };
                    // Whose port is closed by now does not hear it.
                    let _ = socket.send_to(&message, to);
                }
                (Reaction::Says(message, _), Asker::Stream(mut stream)) => {
                    let length = u16::try_from(message.len()).expect("a message").to_be_bytes();
                    let _ = stream.write_all(&[&length[..], &message].concat());
                    self.kept.push(stream);
                }
                (Reaction::Fails, Asker::Stream(stream)) => {
                    let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
                }
                (Reaction::Fails | Reaction::Silent, _) => {}
            }
        }
        if is_any {
            pause(SHORT);
        }
    }
}

/// The servers in real time.
pub struct InRealTime {
    addresses: Vec<SocketAddr>,
    sent: Arc<Mutex<Vec<String>>>,
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl InRealTime {
    pub fn start(row: &Row) -> Self {
        let mut servers = InVirtualTime::start(row, Instant::ZERO);
        let addresses = servers.addresses();
        let (sent, ends) = (Arc::<Mutex<Vec<String>>>::default(), Arc::<AtomicBool>::default());
        let (told, end) = (sent.clone(), ends.clone());
        let thread = std::thread::spawn(move || {
            let clock = OsClock::start();
            while !end.load(Ordering::Relaxed) {
                servers.deliver(clock.now());
                servers.serve(clock.now());
                *told.lock().expect("no panic") = servers.sent();
            }
        });
        InRealTime { addresses, sent, ends, thread: Some(thread) }
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.addresses.clone()
    }

    pub fn sent(&self) -> Vec<String> {
        self.sent.lock().expect("no panic").clone()
    }
}

impl Drop for InRealTime {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the servers have not panicked");
        }
    }
}
