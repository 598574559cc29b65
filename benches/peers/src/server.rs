//! The web server behind all addresses: it notes when each connection's request has come.

use std::io::{Read, Write};
use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The page, with a favicon of its own so that a browser asks for nothing more.
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 49\r\nConnection: close\r\n\r\n\
    <link rel=icon href=data:,><title>a</title>page\r\n";

/// What `git ls-remote` is told: one branch, in the smart protocol's pkt-lines (gitprotocol-http(5)).
fn git_answer() -> String {
    let name = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    let line = |text: String| format!("{:04x}{text}", text.len() + 4);
    let service = line("# service=git-upload-pack\n".to_owned());
    let head = line(format!("{name} HEAD\0symref=HEAD:refs/heads/main agent=laboratory\n"));
    let body = format!("{service}0000{head}{}0000", line(format!("{name} refs/heads/main\n")));
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-git-upload-pack-advertisement\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

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
    let mut request = [0; 4096];
    let Ok(count) = stream.read(&mut request) else { return };
    if count == 0 {
        return;
    }
    if let Ok(mut seen) = seen.lock() {
        seen.push(Instant::now());
    }
    let is_git = request[..count].windows(10).any(|part| part == b"/info/refs");
    // The client may be gone.
    let _ = if is_git { stream.write_all(git_answer().as_bytes()) } else { stream.write_all(ANSWER) };
}
