//! The web server behind all addresses: it notes when each connection's request has come, and from whom.

use std::io::ErrorKind::{TimedOut, WouldBlock};
use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connie_servers::clock::now;

/// The page, with a favicon of its own so that a browser asks for nothing more.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 49\r\nConnection: close\r\n\r\n\
    <link rel=icon href=data:,><title>a</title>page\r\n";

/// So often a connection without a request is asked whether it is still wanted.
const ASK: Duration = Duration::from_millis(5);

/// When a request came, and the port that it came from.
pub(super) type Request = (Instant, u16);

/// A server in the namespace of the thread that starts it.
pub(super) struct Server {
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
    visit: Arc<Visit>,
}

/// What the connections know of the visits.
#[derive(Default)]
struct Visit {
    /// Whether there is one.
    is_on: AtomicBool,
    /// How many connections wait for a request.
    idle: AtomicUsize,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        // Whoever waits for a client has one. Where none can come the thread ends with the process.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, 80));
    }
}

impl Server {
    pub(super) fn start() -> io::Result<Self> {
        // Takes IPv4 as well.
        let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80)))?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let over = Arc::new(AtomicBool::new(false));
        let is_over = Arc::clone(&over);
        let visit = Arc::<Visit>::default();
        let now = Arc::clone(&visit);
        std::thread::spawn(move || {
            while let Ok((stream, client)) = listener.accept() {
                if is_over.load(Relaxed) {
                    return;
                }
                let (seen, now) = (Arc::clone(&seen), Arc::clone(&now));
                std::thread::spawn(move || serve(stream, client.port(), &seen, &now));
            }
        });
        Ok(Server { requests, over, visit })
    }

    /// Tells whether there is a visit now. Where there is none, connections that no request has come on are
    /// closed, so that none is used by the next visit. Whether there were any.
    pub(super) fn set_visit(&self, is_on: bool) -> bool {
        self.visit.is_on.store(is_on, Relaxed);
        self.visit.idle.load(Relaxed) > 0
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: TcpStream, client: u16, seen: &Mutex<Vec<Request>>, visit: &Visit) {
    visit.idle.fetch_add(1, Relaxed);
    let has_come = waits_for_request(&mut stream, visit);
    visit.idle.fetch_sub(1, Relaxed);
    if has_come {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((now(), client));
        // The client may be gone.
        let _ = stream.write_all(ANSWER);
    }
}

/// Whether a request comes as long as there is a visit.
fn waits_for_request(stream: &mut TcpStream, visit: &Visit) -> bool {
    let _ = stream.set_read_timeout(Some(ASK));
    loop {
        match stream.read(&mut [0; 4096]) {
            Ok(count) => return count > 0,
            Err(error) if !matches!(error.kind(), WouldBlock | TimedOut) => return false,
            Err(_) if !visit.is_on.load(Relaxed) => return false,
            Err(_) => {}
        }
    }
}
