//! A server that answers every request with the same octets, whatever they are.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// How an answer ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The connection is closed in good order.
    Close,
    /// It is reset, so that what the client has not read yet may be lost.
    Reset,
    /// It stays open until the client closes it.
    Wait,
    /// It closes, and the answer comes in pieces of so many octets.
    Drip(usize),
}

/// The server. It listens until it is dropped.
pub struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Vec<u8>>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Answers with `200 OK` and this body.
    #[track_caller]
    pub fn serving(address: &str, body: &str) -> Self {
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        Self::answering(address, answer, End::Wait)
    }

    /// Answers with these octets once the request has been read.
    #[track_caller]
    pub fn answering(address: &str, answer: impl Into<Vec<u8>>, end: End) -> Self {
        Self::start(address, answer.into(), end, true)
    }

    /// Answers with these octets, a piece each tenth of a second.
    #[track_caller]
    pub fn dripping(address: &str, answer: impl Into<Vec<u8>>, piece: usize) -> Self {
        Self::start(address, answer.into(), End::Drip(piece), true)
    }

    /// Resets every connection as soon as something has come, and reads none of it.
    #[track_caller]
    pub fn resetting(address: &str) -> Self {
        Self::start(address, Vec::new(), End::Reset, false)
    }

    #[track_caller]
    fn start(address: &str, answer: Vec<u8>, end: End, reads: bool) -> Self {
        let listener =
            TcpListener::bind(address).unwrap_or_else(|error| panic!("listening at {address}: {error}"));
        let address = listener.local_addr().expect("a listener has an address");
        let (requests, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (answer, seen) = (answer.clone(), Arc::clone(&seen));
                std::thread::spawn(move || serve(stream, &answer, end, reads, &seen));
            }
        });
        Server { address, requests, stop, thread: Some(thread) }
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What the clients have asked for, as far as it has been read.
    pub fn requests(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.iter().map(|request| String::from_utf8_lossy(request).into_owned()).collect()
    }

    /// The one request that there was.
    #[track_caller]
    pub fn request(&self) -> String {
        let mut requests = self.requests();
        assert_eq!(requests.len(), 1, "{requests:?}");
        requests.remove(0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(mut stream: TcpStream, answer: &[u8], end: End, reads: bool, seen: &Mutex<Vec<Vec<u8>>>) {
    // No test takes longer; a client that hangs must not keep this thread.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    if !reads {
        let _ = stream.peek(&mut [0]);
    } else {
        let request = read_request(&mut stream);
        if request.is_empty() {
            return;
        }
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    }
    if let End::Drip(piece) = end {
        return drip(&mut stream, answer, piece);
    }
    let _ = stream.write_all(answer);
    match end {
        End::Close | End::Drip(_) => {}
        End::Reset => {
            let _ = rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO));
        }
        End::Wait => {
            let _ = stream.read(&mut [0]);
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a slow server is slow in real time")]
fn drip(stream: &mut TcpStream, answer: &[u8], piece: usize) {
    for piece in answer.chunks(piece) {
        if stream.write_all(piece).is_err() {
            return;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A request, with its body where Content-Length says that it has one.
fn read_request(stream: &mut TcpStream) -> Vec<u8> {
    let (mut request, mut piece) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(head) = request.windows(4).position(|four| four == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if request.len() >= head + 4 + length.unwrap_or(0) {
                return request;
            }
        }
        match stream.read(&mut piece) {
            Ok(count) if count > 0 => request.extend_from_slice(&piece[..count]),
            _ => return request,
        }
    }
}
