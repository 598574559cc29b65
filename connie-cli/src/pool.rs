//! The connections of a run of the program: where they lead, and which are kept for the next request. All
//! transfers of the run share them.

use std::sync::{Mutex, MutexGuard, PoisonError};

#[cfg(feature = "tls")]
use connie_std::TlsConnector;
#[cfg(feature = "tls")]
use connie_std::dns::HttpsRecords;
use connie_std::http1::{AnyConnection, ClientError, ResponseFinish, Socks5Proxy};
use connie_std::{Canceler, ConnectError, Options, SocketBudget};
use connie_web::{Credentials, NoProxy, Proxies, Proxy, ProxyKind, Scheme, Url};

use crate::advice::ExchangeRoute;
use crate::args::{FinishLineName, Get};
use crate::error::Error;
use crate::exit_code;
use crate::request::{Via, credentials};

/// As much as other desktop clients allow for the head of an answer.
const HEAD_ROOM: usize = 64 * 1024;
/// How much of an unwanted body is read in order to keep the connection.
const PASSED_OVER: u64 = 64 * 1024;
/// How many connections are kept for later URLs, at least.
const KEPT: usize = 8;

/// Where the connection for a URL leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    scheme: Scheme,
    /// Who answers: the server, or the proxy that is asked for its answer.
    end: (String, u16),
    proxy: Option<Proxy>,
    /// Whether the proxy opens a tunnel, as all of SOCKS5 do, and does not know what is asked.
    tunnels: bool,
    /// The host whose certificate is wanted, where another one answers for it.
    certified: Option<String>,
}

impl Route {
    /// The proxy that it leads through.
    pub fn proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref()
    }

    /// The proxy that is asked for the server's answer, and knows what is asked.
    pub fn asked_proxy(&self) -> Option<&Proxy> {
        self.proxy.as_ref().filter(|_| !self.tunnels)
    }

    /// What the connection asks of a request.
    pub fn via(&self) -> Via<'_> {
        let proxy = self.asked_proxy();
        Via { proxy: proxy.is_some(), credentials: proxy.and_then(|proxy| proxy.credentials.as_ref()) }
    }
}

/// The connections of a run.
pub struct Pool<'a> {
    args: &'a Get,
    proxies: Proxies,
    proxy_user: Option<Credentials>,
    kept: Mutex<Vec<KeptConnection>>,
    /// How many of them there may be.
    keeps: usize,
    /// Made for the first https URL, since that reads the list of the machine's authorities.
    #[cfg(feature = "tls")]
    tls: Mutex<Option<TlsConnector>>,
    /// The same for proxies that speak TLS.
    #[cfg(feature = "tls")]
    proxy_tls: Mutex<Option<TlsConnector>>,
    /// Whether requests race to the first byte of an answer, and what pays for the requests more of the whole
    /// run.
    response_finish: Option<ResponseFinish>,
    limits: Limits,
}

/// What holds for all connections of a run together.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The sockets of all races, where several may run at a time.
    pub budget: Option<SocketBudget>,
    /// What ends the run before its time.
    pub canceler: Option<Canceler>,
}

/// A connection and where it leads. One that has ended opens again, and has its buffer still.
pub struct KeptConnection {
    pub client: AnyConnection,
    pub route: Route,
    /// How long a head of a request may be.
    room: usize,
    /// The number of the last opening that has been told.
    told: u32,
}

impl KeptConnection {
    /// Whether it was opened, or an opening was tried, since the last call.
    pub fn is_newly_opened(&mut self) -> bool {
        let Some(number) = self.client.opening().map(|opening| opening.number) else { return false };
        std::mem::replace(&mut self.told, number) != number
    }

    /// Whether the error is of the lookup of the host, which this proxy leaves to the client.
    fn is_of_host(&self, error: &ConnectError, proxy: &Proxy) -> bool {
        let host = (self.client.host(), self.client.port());
        proxy.kind == ProxyKind::Socks5 && (error.host(), error.port()) == host && host != self.client.hop()
    }

    /// The error for a failed exchange. `reused` says whether the connection had served another before.
    pub fn error(&self, error: ClientError, reused: bool) -> Error {
        let tunneled = self.client.opening().is_some_and(|opening| opening.tunneled.is_some());
        let proxy = self.route.proxy.as_ref();
        match (error, proxy) {
            (ClientError::Http(error), _) => {
                let way = ExchangeRoute {
                    proxy: self.route.asked_proxy(),
                    kept: reused,
                    ..ExchangeRoute::default()
                };
                Error::exchange(error, way)
            }
            (ClientError::NoResponse(both), _) => Error::no_response(&both, self.route.asked_proxy()),
            (ClientError::Connect(error), Some(proxy)) if tunneled => {
                Error::from(&*error).through_proxy(proxy)
            }
            (ClientError::Connect(error), Some(proxy)) if self.is_of_host(&error, proxy) => {
                Error { code: exit_code::PROXY, ..Error::from(&*error) }
            }
            (ClientError::Connect(error), Some(proxy)) => Error::connect(&error).of_proxy(proxy),
            (ClientError::Socks5(error), Some(proxy)) => Error::socks5(error, proxy, &self.client),
            (ClientError::Connect(error), None) => Error::connect(&error),
            (ClientError::Tunnel(error), Some(proxy)) => {
                Error::tunnel(error, proxy, self.client.host(), self.client.port())
            }
            (error, _) => Error::new(exit_code::CONNECT, error.to_string()),
        }
    }
}

#[cfg(not(feature = "tls"))]
fn no_tls() -> Error {
    let line = "https needs TLS, which is not in this build: give an http URL";
    Error::new(exit_code::UNSUPPORTED_SCHEME, line)
}

/// A proxy of SOCKS5 as a connection takes it.
fn socks5(proxy: &Proxy) -> Socks5Proxy {
    let socks5 = Socks5Proxy::new(proxy.host.as_str(), proxy.port);
    let socks5 = socks5.resolve_here(proxy.kind == ProxyKind::Socks5);
    match &proxy.credentials {
        Some(Credentials { user, password }) => socks5.login(user.as_str(), password.as_str()),
        None => socks5,
    }
}

impl<'a> Pool<'a> {
    /// For this many transfers at a time.
    pub fn new(args: &'a Get, transfers: usize, limits: Limits) -> Result<Self, Error> {
        let proxies = args.proxy().map_or_else(Proxies::from_env, |proxy| {
            Proxies::all(&proxy).except(Proxies::from_env().exceptions().clone())
        });
        let proxies = match &args.noproxy {
            Some(list) => proxies.except(NoProxy::new(list)),
            None => proxies,
        };
        let proxy_user = args.proxy_user.as_deref().map(|user| credentials("-U", user)).transpose()?;
        Ok(Pool {
            args,
            proxies,
            proxy_user,
            kept: Mutex::default(),
            keeps: transfers.max(KEPT),
            #[cfg(feature = "tls")]
            tls: Mutex::default(),
            #[cfg(feature = "tls")]
            proxy_tls: Mutex::default(),
            response_finish: (args.finish_line == FinishLineName::Response).then(ResponseFinish::new),
            limits,
        })
    }

    /// Where a connection for `url` leads.
    pub fn route(&self, url: &Url) -> Result<Route, Error> {
        let mut proxy = self.proxies.select(url)?;
        if let Some(proxy) = &mut proxy {
            if self.proxy_user.is_some() {
                proxy.credentials.clone_from(&self.proxy_user);
            }
        }
        let elsewhere = self.args.connect_to.iter().find_map(|entry| entry.apply(&url.host, url.port));
        let is_socks5 = proxy.as_ref().is_some_and(|proxy| proxy.kind.is_socks5());
        // As curl has it, a proxy that is not to know where the URL leads is not asked for it.
        let tunnels =
            url.scheme == Scheme::Https || self.args.proxytunnel || elsewhere.is_some() || is_socks5;
        let end = match (&proxy, elsewhere) {
            (Some(proxy), _) if !tunnels => (proxy.host.clone(), proxy.port),
            (_, Some(elsewhere)) => elsewhere,
            _ => (url.host.clone(), url.port),
        };
        let certified =
            Some(&url.host).filter(|host| **host != end.0 && url.scheme == Scheme::Https).cloned();
        Ok(Route { scheme: url.scheme, end, proxy, tunnels, certified })
    }

    /// A connection that leads there, with room for a request's head of `size` bytes: one that was kept, or a
    /// new one, which opens when it is needed.
    pub fn connection(&self, route: Route, size: usize) -> Result<KeptConnection, Error> {
        let fits = |kept: &KeptConnection| kept.route == route && kept.room >= size;
        let kept = {
            let mut all = locked(&self.kept);
            all.iter().position(fits).map(|at| all.remove(at))
        };
        kept.map_or_else(|| self.new_connection(route, size), Ok)
    }

    /// Keeps a connection for the next request, after the unwanted rest of its last answer has been read and
    /// dropped. If that is long, or the connection ends with it, only its buffer is kept.
    pub fn keep(&self, mut kept: KeptConnection) {
        let answer = kept.client.response();
        if !answer.and_then(|mut answer| answer.discard_at_most(PASSED_OVER)).unwrap_or(false) {
            kept.client.close();
        }
        let mut all = locked(&self.kept);
        // One that has ended goes, or else the oldest. It is closed when nobody waits for that.
        let goes = (all.len() >= self.keeps)
            .then(|| all.iter().position(|kept| !kept.client.is_open()).unwrap_or(0));
        let gone = goes.map(|at| all.remove(at));
        all.push(kept);
        drop(all);
        drop(gone);
    }

    fn new_connection(&self, route: Route, size: usize) -> Result<KeptConnection, Error> {
        let room = size + HEAD_ROOM;
        // A head of the request and one of the answer are never there at the same time, but for CONNECT.
        // What a long request adds is the user's own, or of a redirect, whose URL is bounded.
        let buffer = vec![0; room + HEAD_ROOM];
        // One limit for all that comes before the first request: the lookup, the race, the tunnel and TLS
        // within it.
        let mut options = self.args.race.options(None);
        if let Some(budget) = &self.limits.budget {
            options.budget = Some(budget.clone());
        }
        options.canceler.clone_from(&self.limits.canceler);
        // Where none is given it makes one of its own, which is large.
        options.memory = Some(self.args.race.learnt().clone());
        let (host, port) = &route.end;
        let is_https_proxy = route.proxy.as_ref().is_some_and(|proxy| proxy.kind == ProxyKind::Https);
        let made = match route.scheme {
            Scheme::Http if is_https_proxy && !route.tunnels => {
                self.https_proxy_connection(&route, options, buffer)?
            }
            Scheme::Http => AnyConnection::http(host, *port, options, buffer),
            Scheme::Https => self.secure(&route, options, buffer)?,
        };
        let mut client = made.map_err(|error| Error::not_made(host, &error))?;
        client.set_keeps_heads(true);
        // Nobody asks for them, and some servers send them all the same.
        #[cfg(feature = "gzip")]
        client.set_takes_coded(true);
        if self.args.race.no_memory {
            client.options_mut().memory = None;
        }
        client.set_response_finish(self.response_finish.clone());
        match route.proxy.as_ref().filter(|_| route.tunnels) {
            Some(proxy) if proxy.kind.is_socks5() => client.set_socks5_proxy(socks5(proxy)),
            Some(proxy) => self.tunnel(&mut client, proxy)?,
            None => {}
        }
        Ok(KeptConnection { client, route, room, told: 0 })
    }

    /// Has the connection go through a tunnel that the proxy opens.
    fn tunnel(&self, client: &mut AnyConnection, proxy: &Proxy) -> Result<(), Error> {
        let agent = self.args.user_agent.as_deref().unwrap_or(concat!("connie/", env!("CARGO_PKG_VERSION")));
        let login = proxy.credentials.as_ref().map(Credentials::basic);
        let login = login.as_deref().map(|login| ("Proxy-Authorization", login));
        let agent = Some(agent).filter(|agent| !agent.is_empty()).map(|agent| ("User-Agent", agent));
        let headers: Vec<(&str, &str)> = [login, agent].into_iter().flatten().collect();
        let set = match proxy.kind {
            #[cfg(feature = "tls")]
            ProxyKind::Https => client.set_https_proxy(&proxy.host, proxy.port, &headers, &self.proxy_tls()?),
            #[cfg(not(feature = "tls"))]
            ProxyKind::Https => return Err(no_tls()),
            _ => client.set_proxy(&proxy.host, proxy.port, &headers),
        };
        set.map_err(|error| Error::not_made(&proxy.host, &error))
    }

    /// A connection by TLS to the proxy, which is asked for the server's answer.
    #[cfg(feature = "tls")]
    fn https_proxy_connection(
        &self,
        route: &Route,
        options: Options,
        buffer: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        Ok(AnyConnection::https(&route.end.0, route.end.1, options, &self.proxy_tls()?, buffer))
    }

    #[cfg(not(feature = "tls"))]
    fn https_proxy_connection(
        &self,
        _: &Route,
        _: Options,
        _: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        Err(no_tls())
    }

    #[cfg(feature = "tls")]
    fn proxy_tls(&self) -> Result<TlsConnector, Error> {
        made_once(&self.proxy_tls, || Ok(TlsConnector::new(&self.args.proxy_tls())?))
    }

    #[cfg(feature = "tls")]
    fn secure(
        &self,
        route: &Route,
        mut options: Options,
        buffer: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        let tls = match &route.certified {
            Some(host) => TlsConnector::new(&self.args.tls().server_name(host.clone()))?,
            None => made_once(&self.tls, || Ok(TlsConnector::new(&self.args.tls())?))?,
        };
        if route.proxy.is_none() {
            options.resolver = self.args.race.resolver(HttpsRecords::Always);
        }
        Ok(AnyConnection::https(&route.end.0, route.end.1, options, &tls, buffer))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, _: &Route, _: Options, _: Vec<u8>) -> Result<Result<AnyConnection, ClientError>, Error> {
        Err(no_tls())
    }
}

/// The value, which is made when it is first asked for.
#[cfg(feature = "tls")]
fn made_once<T: Clone>(
    place: &Mutex<Option<T>>,
    make: impl FnOnce() -> Result<T, Error>,
) -> Result<T, Error> {
    let mut place = locked(place);
    match &*place {
        Some(made) => Ok(made.clone()),
        None => Ok(place.insert(make()?).clone()),
    }
}

/// What it guards is whole after every change, so also where a thread has panicked.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
