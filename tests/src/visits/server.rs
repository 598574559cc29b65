//! The web server behind all addresses: it notes when each connection's request has come, and from whom.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use connie_servers::clock::now;

/// The page, with a favicon of its own so that a browser asks for nothing more.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 49\r\nConnection: close\r\n\r\n\
    <link rel=icon href=data:,><title>a</title>page\r\n";

/// No connection is kept longer without a request.
const LONGEST: Duration = Duration::from_secs(10);

/// When a request came, and the port that it came from.
pub(super) type Request = (Instant, u16);

/// A server in the namespace of the thread that starts it.
pub(super) struct Server {
    requests: Arc<Mutex<Vec<Request>>>,
    over: Arc<AtomicBool>,
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
        std::thread::spawn(move || {
            while let Ok((stream, client)) = listener.accept() {
                if is_over.load(Relaxed) {
                    return;
                }
                let seen = Arc::clone(&seen);
                std::thread::spawn(move || serve(stream, client.port(), &seen));
            }
        });
        Ok(Server { requests, over })
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn serve(mut stream: TcpStream, client: u16, seen: &Mutex<Vec<Request>>) {
    // A browser opens connections that it does not need.
    let _ = stream.set_read_timeout(Some(LONGEST));
    if stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
        seen.lock().unwrap_or_else(PoisonError::into_inner).push((now(), client));
        // The client may be gone.
        let _ = stream.write_all(ANSWER);
    }
}
