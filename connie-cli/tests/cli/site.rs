//! A web server that answers each request as the test says, keeps connections open, and remembers every octet
//! it was sent.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// One request, as it came.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// The number of its connection, from 0.
    pub connection: usize,
    /// The number of the request on this server, from 0.
    pub number: usize,
    /// The head, its empty line included.
    pub head: String,
    /// The body, octet for octet: with the lines between its chunks, where it was sent in chunks.
    pub raw_body: Vec<u8>,
    /// The body without them.
    pub body: Vec<u8>,
}

impl Asked {
    pub fn line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    pub fn method(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (other, value) = line.split_once(':')?;
            other.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    pub fn body(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// What a request is answered with.
pub enum Reply {
    /// These octets; the connection stays.
    Keep(Vec<u8>),
    /// These octets, then the end of the connection.
    Close(Vec<u8>),
    /// The connection is handed over, as after CONNECT, with these octets first.
    Tunnel(Vec<u8>, SocketAddr),
    /// What to do with the body of a request that waits to be asked for it: ask.
    Continue,
}

impl Reply {
    /// `200 OK` with this body.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Reply::status("200 OK", "", body)
    }

    /// An answer with this status, these header lines (each with its line end) and this body.
    pub fn status(status: &str, headers: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n", body.len());
        Reply::Keep([head.as_bytes(), body].concat())
    }

    /// The same without its last `count` octets, in whose place the connection ends.
    pub fn cut(self, count: usize) -> Self {
        match self {
            Reply::Keep(mut bytes) => {
                bytes.truncate(bytes.len() - count);
                Reply::Close(bytes)
            }
            other => other,
        }
    }

    /// The same, and the connection stays: the rest never comes.
    pub fn cut_and_kept(self, count: usize) -> Self {
        match self.cut(count) {
            Reply::Close(bytes) => Reply::Keep(bytes),
            other => other,
        }
    }

    /// A redirect.
    pub fn to(status: &str, location: &str) -> Self {
        Reply::status(status, &format!("Location: {location}\r\n"), "gone elsewhere\n")
    }
}

type Handler = dyn Fn(&Asked) -> Reply + Send + Sync;

/// The server. It listens until it is dropped.
pub struct Site {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Site {
    /// Answers each request with what `answer` makes of it. Bodies that wait to be asked for are asked for.
    #[track_caller]
    pub fn start(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::expecting(|_| Reply::Continue, answer)
    }

    /// As `start`; what becomes of a request whose body waits is for `expect` to say.
    #[track_caller]
    pub fn expecting(
        expect: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.4:0").expect("a port of 127.0.0.4");
        let address = listener.local_addr().expect("a listener has an address");
        let (asked, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let connections = Arc::new(AtomicUsize::new(0));
        let handlers: Arc<[Box<Handler>; 2]> = Arc::new([Box::new(expect), Box::new(answer)]);
        let (log, stopped, count) = (Arc::clone(&asked), Arc::clone(&stop), Arc::clone(&connections));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let number = count.fetch_add(1, Ordering::SeqCst);
                let (log, handlers) = (Arc::clone(&log), Arc::clone(&handlers));
                std::thread::spawn(move || serve(stream, number, &log, &handlers));
            }
        });
        Site { address, asked, connections, stop, thread: Some(thread) }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All requests, in the order in which they were complete.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The one request that there was.
    #[track_caller]
    pub fn one(&self) -> Asked {
        let mut asked = self.asked();
        assert_eq!(asked.len(), 1, "{asked:?}");
        asked.remove(0)
    }

    /// The first lines of all requests, without the version.
    pub fn lines(&self) -> Vec<String> {
        self.asked().iter().map(|asked| format!("{} {}", asked.method(), asked.target())).collect()
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        // Wakes `accept`.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(stream: TcpStream, connection: usize, log: &Mutex<Vec<Asked>>, handlers: &[Box<Handler>; 2]) {
    // No test takes longer; a client that hangs must not keep this thread.
    let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
    let mut input = Input { stream, buffer: Vec::new() };
    while let Some(mut asked) = input.head() {
        asked.connection = connection;
        asked.number = log.lock().unwrap_or_else(PoisonError::into_inner).len();
        let waits = asked.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        let early = if waits { handlers[0](&asked) } else { Reply::Continue };
        let reply = match early {
            Reply::Continue => {
                if waits && input.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").is_err() {
                    return;
                }
                if input.body(&mut asked).is_none() {
                    return;
                }
                handlers[1](&asked)
            }
            reply => reply,
        };
        log.lock().unwrap_or_else(PoisonError::into_inner).push(asked);
        if !reply_with(&mut input.stream, reply) {
            return;
        }
    }
}

/// Answers, and says whether the connection goes on.
fn reply_with(stream: &mut TcpStream, reply: Reply) -> bool {
    match reply {
        Reply::Continue => true,
        Reply::Keep(bytes) => stream.write_all(&bytes).is_ok(),
        Reply::Close(bytes) => {
            // The end goes out in the segment of the last byte: who has the answer knows that the connection
            // is closed.
            let _ = rustix::net::sockopt::set_tcp_cork(&*stream, true);
            let _ = stream.write_all(&bytes);
            let _ = stream.shutdown(Shutdown::Write);
            // What the client is still sending must not turn the close into a reset.
            let _ = std::io::copy(stream, &mut std::io::sink());
            false
        }
        Reply::Tunnel(bytes, to) => {
            let _ = stream.write_all(&bytes);
            let _ = relay(stream, to);
            false
        }
    }
}

/// Passes on what either side says, until both have said all.
pub fn relay(stream: &mut TcpStream, to: SocketAddr) -> std::io::Result<()> {
    let mut server = TcpStream::connect(to)?;
    let (mut back, mut answers) = (stream.try_clone()?, server.try_clone()?);
    let away = std::thread::spawn(move || {
        let _ = std::io::copy(&mut answers, &mut back);
        let _ = back.shutdown(Shutdown::Write);
    });
    let _ = std::io::copy(stream, &mut server);
    let _ = server.shutdown(Shutdown::Write);
    let _ = away.join();
    Ok(())
}

/// What a connection has sent and nobody has read.
struct Input {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Input {
    fn more(&mut self) -> Option<()> {
        let mut piece = [0; 65_536];
        match self.stream.read(&mut piece) {
            Ok(count) if count > 0 => {
                self.buffer.extend_from_slice(&piece[..count]);
                Some(())
            }
            _ => None,
        }
    }

    /// Takes what comes before the end of `mark`, and that.
    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|bytes| bytes == mark) {
                return Some(self.buffer.drain(..at + mark.len()).collect());
            }
            self.more()?;
        }
    }

    fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < count {
            self.more()?;
        }
        Some(self.buffer.drain(..count).collect())
    }

    fn head(&mut self) -> Option<Asked> {
        let head = self.until(b"\r\n\r\n")?;
        Some(Asked { head: String::from_utf8_lossy(&head).into_owned(), ..Asked::default() })
    }

    fn body(&mut self, asked: &mut Asked) -> Option<()> {
        if asked.header("transfer-encoding") == Some("chunked") {
            loop {
                let line = self.until(b"\r\n")?;
                let text = String::from_utf8_lossy(&line).trim().to_owned();
                let length = usize::from_str_radix(&text, 16).expect("the size of a chunk");
                let data = self.exactly(length + 2)?;
                asked.raw_body.extend_from_slice(&line);
                asked.raw_body.extend_from_slice(&data);
                asked.body.extend_from_slice(&data[..length]);
                if length == 0 {
                    return Some(());
                }
            }
        }
        let length = asked.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        asked.body = self.exactly(length)?;
        asked.raw_body.clone_from(&asked.body);
        Some(())
    }
}
