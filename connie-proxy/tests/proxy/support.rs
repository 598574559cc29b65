//! A proxy in a thread of its own, and clients of it as raw sockets.

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use connie_proxy::{Proxy, ProxyConfig, ProxyView};
use connie_servers::{BlackHole, Live};
use connie_std::{Memory, Observer, Options, Override};
use tokio::runtime::Builder;
use tokio::sync::oneshot;

/// No test waits longer for anything.
pub const LIMIT: Duration = Duration::from_secs(20);

/// A proxy that ends with it.
pub struct Running {
    pub address: SocketAddr,
    pub view: ProxyView,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Running {
    /// One on a free port of this machine.
    #[track_caller]
    pub fn start(config: ProxyConfig) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let proxy = Proxy::new(config, vec![listener]).unwrap();
        let view = proxy.view();
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime.block_on(proxy.serve(async { drop(stopped.await) }));
        });
        Running { address, view, stop: Some(stop), thread: Some(thread) }
    }

    /// Has it stop, without waiting for that.
    pub fn stop(&mut self) {
        drop(self.stop.take());
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    pub fn client(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_write_timeout(Some(LIMIT)).unwrap();
        stream
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the proxy has panicked");
        }
    }
}

/// A proxy that may connect to loopback, and stops soon.
pub fn config() -> ProxyConfig {
    let mut config = ProxyConfig::new(Options::new().memory(Memory::new()).deadline(Duration::from_secs(10)));
    config.limits.stop = Duration::from_millis(200);
    config
}

/// The same, for which `name` has these addresses.
pub fn config_with_name(name: &str, port: u16, addresses: &[IpAddr]) -> ProxyConfig {
    let mut config = config();
    config.options.overrides = vec![Override { host: name.to_owned(), port, addresses: addresses.to_vec() }];
    config
}

/// Counts the attempts of its races.
pub fn count_attempts(config: &mut ProxyConfig) -> Arc<AtomicUsize> {
    let attempts = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&attempts);
    config.options.observer = Some(Observer::new(move |race| {
        let attempts = race.report().map_or(0, |report| report.timeline().summary().attempts);
        count.fetch_add(attempts as usize, Ordering::SeqCst);
    }));
    attempts
}

/// A proxy whose users share nothing, before `name.test`: a host of two addresses, the first of them silent.
pub struct Partitioned {
    pub proxy: Running,
    pub port: u16,
    attempts: Arc<AtomicUsize>,
    _servers: (BlackHole, Live),
}

impl Partitioned {
    pub fn start() -> Self {
        let live = Live::http((Ipv4Addr::LOCALHOST, 0), "x");
        let port = live.address().port();
        let dead = BlackHole::open((Ipv4Addr::new(127, 0, 0, 2), port));
        let addresses = [dead.address().ip(), Ipv4Addr::LOCALHOST.into()];
        let mut config = config_with_name("name.test", port, &addresses);
        config.partition = connie_proxy::Partition::ByUser;
        let attempts = count_attempts(&mut config);
        Partitioned { proxy: Running::start(config), port, attempts, _servers: (dead, live) }
    }

    /// How many attempts a visit takes.
    pub fn attempts_of(&self, visit: impl FnOnce(TcpStream)) -> usize {
        self.attempts.store(0, Ordering::SeqCst);
        visit(self.proxy.client());
        self.attempts.load(Ordering::SeqCst)
    }
}

/// One port of two addresses of this machine.
pub fn two_of_one_port(addresses: [Ipv4Addr; 2]) -> ([TcpListener; 2], u16) {
    loop {
        let first = TcpListener::bind((addresses[0], 0)).unwrap();
        let port = first.local_addr().unwrap().port();
        if let Ok(second) = TcpListener::bind((addresses[1], port)) {
            return ([first, second], port);
        }
    }
}

/// A server whose every connection is served by `behave` on a thread of its own.
pub struct Server {
    pub address: SocketAddr,
}

impl Server {
    pub fn start(behave: impl Fn(TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let behave = Arc::new(behave);
        // It ends with the test's process.
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let behave = Arc::clone(&behave);
                let _ = stream.set_read_timeout(Some(LIMIT));
                std::thread::spawn(move || behave(stream));
            }
        });
        Server { address }
    }

    /// One that sends back what it receives, and closes when that has ended.
    pub fn echo() -> Self {
        Self::start(|mut stream| {
            let mut copy = stream.try_clone().unwrap();
            let _ = io::copy(&mut copy, &mut stream);
        })
    }
}

/// Sends the greeting of a client without a login, and a request for this address; returns the reply.
#[track_caller]
pub fn socks5(stream: &mut TcpStream, address: SocketAddr) -> u8 {
    let IpAddr::V4(ip) = address.ip() else { panic!("an IPv4 address") };
    let request = [&[5, 1, 0, 1][..], &ip.octets(), &address.port().to_be_bytes()].concat();
    socks5_request(stream, &request)
}

/// The same for a name.
#[track_caller]
pub fn socks5_name(stream: &mut TcpStream, name: &str, port: u16) -> u8 {
    let length = u8::try_from(name.len()).unwrap();
    let request = [&[5, 1, 0, 3, length][..], name.as_bytes(), &port.to_be_bytes()].concat();
    socks5_request(stream, &request)
}

#[track_caller]
pub fn socks5_request(stream: &mut TcpStream, request: &[u8]) -> u8 {
    stream.write_all(&[5, 1, 0]).unwrap();
    assert_eq!(read::<2>(stream), [5, 0]);
    stream.write_all(request).unwrap();
    let [version, code, _, kind, ..] = read::<10>(stream);
    assert_eq!((version, kind), (5, 1));
    code
}

#[track_caller]
pub fn read<const N: usize>(stream: &mut TcpStream) -> [u8; N] {
    let mut octets = [0; N];
    stream.read_exact(&mut octets).unwrap();
    octets
}

/// All that comes until the end; with a reset, what came before it.
pub fn read_all(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

/// What comes of sending this.
pub fn ask(proxy: &Running, request: &str) -> String {
    let mut stream = proxy.client();
    stream.write_all(request.as_bytes()).unwrap();
    read_all(&mut stream)
}
