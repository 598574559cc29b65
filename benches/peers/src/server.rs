//! The web server behind all addresses: it notes when each connection's request has come.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The page, with a favicon of its own so that a browser asks for nothing more.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 49\r\nConnection: close\r\n\r\n\
    <link rel=icon href=data:,><title>a</title>page\r\n";

/// A server in the namespace of the thread that starts it.
pub struct Server {
    requests: Arc<Mutex<Vec<Instant>>>,
}

impl Server {
    pub fn start() -> std::io::Result<Self> {
        // Takes IPv4 as well.
        let listener = TcpListener::bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 80)))?;
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let seen = seen.clone();
                std::thread::spawn(move || serve(stream, &seen));
            }
        });
        Ok(Server { requests })
    }

    /// When each request came.
    pub fn requests(&self) -> Vec<Instant> {
        self.requests.lock().map(|requests| requests.clone()).unwrap_or_default()
    }
}

fn serve(mut stream: TcpStream, seen: &Mutex<Vec<Instant>>) {
    if stream.read(&mut [0; 4096]).is_ok_and(|count| count > 0) {
        if let Ok(mut seen) = seen.lock() {
            seen.push(Instant::now());
        }
        let _ = stream.write_all(ANSWER);
    }
}
