//! The connections of a run of the program: where they lead, and which are kept for the next request.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{Failure, Instant};
use connie_http::{Host, HttpConnection, HttpError};
#[cfg(feature = "tls")]
use connie_std::dns::HttpsRecords;
#[cfg(feature = "tls")]
use connie_std::{Options, TlsConnector, TlsSocket, TlsStack};
use connie_std::{OsClock, OsSocket, OsStack, OsWaiter};
use connie_web::{Credentials, NoProxy, Proxies, Proxy, Scheme, Url};

use crate::advice::{self, MORE_TIME, Way};
use crate::args::Get;
#[cfg(feature = "tls")]
use crate::connect::run;
use crate::connect::{Raced, connect};
use crate::error::Error;
use crate::exchange::Exchange;
use crate::exit_code;
use crate::request::{Via, credentials};
use crate::terminal;

/// As much as other desktop clients allow for the head of an answer.
const HEAD_ROOM: usize = 64 * 1024;
/// How many connections are kept for later URLs.
const KEPT: usize = 8;

/// Where the connection for a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    scheme: Scheme,
    /// The server; `None` where a proxy is asked for any.
    server: Option<(String, u16)>,
    proxy: Option<Proxy>,
}

impl Route {
    /// The proxy that is asked for the server's answer, and knows what is asked.
    pub fn asked_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| self.server.is_none())
    }

    /// What the connection asks of a request.
    pub fn via(&self) -> Via<'_> {
        let proxy = self.asked_proxy();
        Via { proxy: proxy.is_some(), credentials: proxy.and_then(|proxy| proxy.credentials.as_ref()) }
    }
}

/// The connections of a run.
pub struct Session<'a> {
    args: &'a Get,
    proxies: Proxies,
    proxy_user: Option<Credentials>,
    kept: Vec<(Route, Kept)>,
    /// Made for the first https URL, since that reads the list of the machine's authorities.
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
    /// The last race for the URL that is up.
    pub raced: Option<Raced>,
    /// What bodies are read through, kept from one URL to the next.
    pub piece: Vec<u8>,
    written: Result<(), Error>,
}

/// A connection with the room that it has for heads.
pub struct Kept {
    pub connection: Box<dyn Exchange>,
    room: usize,
    /// Where it leads.
    pub peer: Option<SocketAddr>,
}

impl<'a> Session<'a> {
    pub fn new(args: &'a Get) -> Result<Self, Error> {
        let proxies = args.proxy.as_deref().map_or_else(Proxies::from_env, |proxy| {
            Proxies::all(proxy).except(Proxies::from_env().exceptions().clone())
        });
        let proxies = match &args.noproxy {
            Some(list) => proxies.except(NoProxy::new(list)),
            None => proxies,
        };
        let proxy_user = args.proxy_user.as_deref().map(|user| credentials("-U", user)).transpose()?;
        Ok(Session {
            args,
            proxies,
            proxy_user,
            kept: Vec::new(),
            #[cfg(feature = "tls")]
            tls: None,
            raced: None,
            piece: Vec::new(),
            written: Ok(()),
        })
    }

    /// Another URL is up: what is told of races is told of its own.
    pub fn begin(&mut self) {
        self.raced = None;
    }

    /// Whether the files that report the races could be written.
    pub fn take_written(&mut self) -> Result<(), Error> {
        std::mem::replace(&mut self.written, Ok(()))
    }

    /// Where a connection for `url` leads.
    pub fn route(&self, url: &Url) -> Result<Route, Error> {
        let mut proxy = self.proxies.select(url)?;
        if let Some(proxy) = &mut proxy {
            if proxy.scheme == Scheme::Https {
                let line = format!("TLS to the proxy {proxy} is not supported: give an http proxy");
                return Err(Error::new(exit_code::CONNECT, line));
            }
            if self.proxy_user.is_some() {
                proxy.credentials.clone_from(&self.proxy_user);
            }
        }
        let any = proxy.is_some() && url.scheme == Scheme::Http && !self.args.proxytunnel;
        let server = (!any).then(|| (url.host.clone(), url.port));
        Ok(Route { scheme: url.scheme, server, proxy })
    }

    /// A kept connection that leads there, with room for a request's head of `size` bytes.
    pub fn kept(&mut self, route: &Route, size: usize) -> Option<Kept> {
        let fits = |kept: &Kept| kept.room >= size + HEAD_ROOM;
        let at = self.kept.iter().position(|(other, kept)| other == route && fits(kept))?;
        let (_, kept) = self.kept.remove(at);
        if self.args.verbose {
            say("reusing the connection");
        }
        Some(kept)
    }

    /// Keeps a connection for the next request, unless it has ended.
    pub fn keep(&mut self, route: Route, kept: Kept) {
        if kept.connection.is_open() {
            // The oldest goes.
            let surplus = (self.kept.len() + 1).saturating_sub(KEPT);
            self.kept.drain(..surplus);
            self.kept.push((route, kept));
        }
    }

    /// A new connection, within the time `left`.
    pub fn open(&mut self, route: &Route, size: usize, left: Option<Duration>) -> Result<Kept, Error> {
        // A head of the request and one of the answer are never there at the same time, but for CONNECT.
        let room = 2 * HEAD_ROOM + size;
        // One limit for all that comes before the first request: the look-up, the race, the tunnel and TLS
        // within it.
        let limit = Limit { clock: OsClock::start(), all: self.args.race.connect_time(left) };
        let left = limit.left();
        let connection = match (&route.proxy, &route.server) {
            (Some(proxy), server) => {
                let socket =
                    self.race(&proxy.host, proxy.port, left).map_err(|error| error.of_proxy(proxy))?;
                let connection = plain(socket, Host::http(&proxy.host, proxy.port), room)?;
                match server {
                    None => Box::new(connection) as Box<dyn Exchange>,
                    Some(server) => self.tunnel(connection, proxy, route.scheme, server, room, &limit)?,
                }
            }
            (None, Some((host, port))) if route.scheme == Scheme::Http => {
                let socket = self.race(host, *port, left)?;
                Box::new(plain(socket, Host::http(host, *port), room)?)
            }
            (None, Some((host, port))) => self.secure(host, *port, room, left)?,
            (None, None) => return Err(Error::usage("a route without a server and without a proxy")),
        };
        let peer = self.raced.as_ref().and_then(|raced| raced.timeline().winner());
        Ok(Kept { connection, room, peer: peer.map(|winner| winner.destination) })
    }

    /// Opens a tunnel through the proxy that `connection` leads to.
    fn tunnel(
        &mut self,
        mut connection: Plain,
        proxy: &Proxy,
        scheme: Scheme,
        (host, port): &(String, u16),
        room: usize,
        limit: &Limit,
    ) -> Result<Box<dyn Exchange>, Error> {
        let to = match scheme {
            Scheme::Http => Host::http(host, *port),
            Scheme::Https => Host::https(host, *port),
        };
        let agent = self.args.user_agent.as_deref().unwrap_or(concat!("connie/", env!("CARGO_PKG_VERSION")));
        let login = proxy.credentials.as_ref().map(Credentials::basic);
        let login = login.as_deref().map(|login| ("Proxy-Authorization", login));
        let agent = Some(agent).filter(|agent| !agent.is_empty()).map(|agent| ("User-Agent", agent));
        let headers: Vec<(&str, &str)> = [login, agent].into_iter().flatten().collect();
        connection.set_tunnel(to, &headers)?;
        connection.limit(limit.left(), None);
        connection.connect().map_err(|error| tunnel_error(error, proxy, host, *port))?;
        if self.args.verbose {
            say(&format!("tunnel through {proxy} to {host} port {port}"));
        }
        match scheme {
            Scheme::Http => Ok(Box::new(connection)),
            Scheme::Https => {
                let (socket, _) = connection.take_socket().ok_or(HttpError::NotConnected)?;
                let secured = self.secure_over(socket, host, *port, room, limit.left());
                secured.map_err(|error| error.through_proxy(proxy))
            }
        }
    }

    /// A TLS connection to `host`, won in a race.
    #[cfg(feature = "tls")]
    fn secure(
        &mut self,
        host: &str,
        port: u16,
        room: usize,
        left: Option<Duration>,
    ) -> Result<Box<dyn Exchange>, Error> {
        let tls = self.tls()?;
        let resolver = self.args.race.resolver(HttpsRecords::Always);
        let (raced, winner) = run(host, port, &self.args.race, left, |options| {
            let options = Options { resolver, ..options.clone() };
            let won = tls.connect_socket((host, port), &options);
            won.map(|(stack, socket, _, report)| ((stack, socket), report))
        });
        self.told(raced);
        let (stack, socket) = winner?;
        self.within_tls(stack, socket, Host::https(host, port), room)
    }

    /// A TLS connection to `host` over a tunnel that leads there.
    #[cfg(feature = "tls")]
    fn secure_over(
        &mut self,
        socket: OsSocket,
        host: &str,
        port: u16,
        room: usize,
        left: Option<Duration>,
    ) -> Result<Box<dyn Exchange>, Error> {
        let tls = self.tls()?;
        let secured = tls.secure((host, port), socket, &self.args.race.options(left));
        let (stack, socket) = secured.map_err(|error| Error::from(&error))?;
        self.within_tls(stack, socket, Host::https(host, port), room)
    }

    #[cfg(feature = "tls")]
    fn within_tls(
        &self,
        stack: TlsStack,
        socket: TlsSocket,
        host: Host<'_>,
        room: usize,
    ) -> Result<Box<dyn Exchange>, Error> {
        if self.args.verbose {
            let version = socket.tls_version().unwrap_or("TLS").replace('_', ".");
            say(&format!("{version} with {}", stack.server_name()));
        }
        Ok(Box::new(HttpConnection::owning(stack, OsWaiter::new(None), socket, host, vec![0; room])?))
    }

    #[cfg(feature = "tls")]
    fn tls(&mut self) -> Result<TlsConnector, Error> {
        if let Some(tls) = &self.tls {
            return Ok(tls.clone());
        }
        let tls = TlsConnector::new(&self.args.tls())?;
        self.tls = Some(tls.clone());
        Ok(tls)
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&mut self, _: &str, _: u16, _: usize, _: Option<Duration>) -> Result<Box<dyn Exchange>, Error> {
        Err(no_tls())
    }

    #[cfg(not(feature = "tls"))]
    fn secure_over(
        &mut self,
        _: OsSocket,
        _: &str,
        _: u16,
        _: usize,
        _: Option<Duration>,
    ) -> Result<Box<dyn Exchange>, Error> {
        Err(no_tls())
    }

    /// Races for `host`, and tells of the race where that is wanted.
    fn race(&mut self, host: &str, port: u16, left: Option<Duration>) -> Result<OsSocket, Error> {
        let (raced, winner) = connect(host, port, &self.args.race, left);
        self.told(raced);
        winner
    }

    fn told(&mut self, raced: Raced) {
        let written = raced.write_files(&self.args.race);
        if self.written.is_ok() {
            self.written = written;
        }
        if self.args.verbose {
            show_race(&raced);
        }
        self.raced = Some(raced);
    }
}

type Plain = HttpConnection<OsStack, OsWaiter, Vec<u8>>;

fn plain(socket: OsSocket, host: Host<'_>, room: usize) -> Result<Plain, HttpError> {
    HttpConnection::owning(OsStack::default(), OsWaiter::new(None), socket, host, vec![0; room])
}

#[cfg(not(feature = "tls"))]
fn no_tls() -> Error {
    let line = "https needs TLS, which is not in this build: give an http URL";
    Error::new(exit_code::UNSUPPORTED_SCHEME, line)
}

/// Why there is no tunnel. To curl, too, all but a lack of time is a failure to receive the proxy's answer.
fn tunnel_error(error: HttpError, proxy: &Proxy, host: &str, port: u16) -> Error {
    let line = match error {
        HttpError::TunnelRefused { status } => {
            let advice = match status {
                407 => "log in to it with -U USER:PASSWORD",
                _ => "it may not lead there: ask another with -x, or none with --noproxy",
            };
            format!("the proxy {proxy} answered {status} to CONNECT; {advice}")
        }
        HttpError::TimedOut | HttpError::Connect(Failure::DeadlineExceeded) => {
            let line = format!(
                "the proxy {proxy} opened no tunnel to {host} port {port} in the time allowed; {MORE_TIME}"
            );
            return Error::new(exit_code::TIMED_OUT, line);
        }
        HttpError::EmptyReply => format!(
            "the proxy {proxy} closed the connection without an answer to CONNECT; \
             it may not lead there: ask another with -x, or none with --noproxy"
        ),
        error if error.is_usage() || matches!(error, HttpError::Connect(_)) => return Error::from(error),
        error => {
            let advice = advice::http(&error, Way { proxy: Some(proxy), ..Way::default() });
            format!("no tunnel through the proxy {proxy}: {error}; {advice}")
        }
    };
    Error::new(exit_code::RECEIVE, line)
}

/// The time for a connection to come about.
struct Limit {
    clock: OsClock,
    all: Option<Duration>,
}

impl Limit {
    fn left(&self) -> Option<Duration> {
        self.all.map(|all| all.saturating_sub(self.clock.now().since(Instant::ZERO)))
    }
}

/// Shows a line on stderr, as `-v` does.
pub fn say(line: &str) {
    // Without a stderr there is nobody to tell.
    let _ = writeln!(io::stderr().lock(), "* {line}");
}

/// Shows the race on stderr, each line after a `*`.
fn show_race(raced: &Raced) {
    let mut stderr = io::stderr().lock();
    let width = terminal::width(&stderr).saturating_sub(2);
    let picture = raced.timeline().waterfall(width, terminal::style(&stderr)).to_string();
    for line in picture.lines() {
        let _ = writeln!(stderr, "* {line}");
    }
    for line in raced.services() {
        let _ = writeln!(stderr, "* {line}");
    }
}
