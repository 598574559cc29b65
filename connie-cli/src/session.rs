//! The connections of a run of the program: where they lead, and which are kept for the next request.

#[cfg(feature = "tls")]
use connie_std::TlsConnector;
#[cfg(feature = "tls")]
use connie_std::dns::HttpsRecords;
use connie_std::http1::{
    AnyConnection, ClientError, OpeningRecord, ResponseFinish, ResponseRecord, Socks5Proxy,
};
use connie_std::{ConnectError, Options};
use connie_web::{Credentials, NoProxy, Proxies, Proxy, ProxyKind, Scheme, Url};

use crate::advice::ExchangeRoute;
use crate::args::{FinishLineName, Get};
use crate::connect::FinishedRace;
use crate::error::Error;
use crate::exit_code;
use crate::request::{Via, credentials};
use crate::verbose;

/// As much as other desktop clients allow for the head of an answer.
const HEAD_ROOM: usize = 64 * 1024;
/// How much of a body that nobody wants is read to keep the connection.
const PASSED_OVER: u64 = 64 * 1024;
/// How many connections are kept for later URLs.
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
pub struct Session<'a> {
    args: &'a Get,
    proxies: Proxies,
    proxy_user: Option<Credentials>,
    kept: Vec<KeptConnection>,
    /// Made for the first https URL, since that reads the list of the machine's authorities.
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
    /// The same for proxies that speak TLS.
    #[cfg(feature = "tls")]
    proxy_tls: Option<TlsConnector>,
    /// The last race for the URL that is up.
    pub raced: Option<FinishedRace>,
    /// The last race to the first byte of an answer of that URL, where there was one.
    pub response: Option<ResponseRecord>,
    /// Whether requests race to that, and what pays for the requests more of the whole run.
    response_finish: Option<ResponseFinish>,
    /// What bodies are read through, kept from one URL to the next.
    pub piece: Vec<u8>,
    written: Result<(), Error>,
}

/// A connection and where it leads. One that has ended opens again, and has its buffer still.
pub struct KeptConnection {
    pub client: AnyConnection,
    route: Route,
    /// How long a head of a request may be.
    room: usize,
    /// The number of the last opening that has been told.
    told: u32,
}

impl KeptConnection {
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

impl<'a> Session<'a> {
    pub fn new(args: &'a Get) -> Result<Self, Error> {
        let proxies = args.proxy().map_or_else(Proxies::from_env, |proxy| {
            Proxies::all(&proxy).except(Proxies::from_env().exceptions().clone())
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
            #[cfg(feature = "tls")]
            proxy_tls: None,
            raced: None,
            response: None,
            response_finish: (args.finish_line == FinishLineName::Response).then(ResponseFinish::new),
            piece: Vec::new(),
            written: Ok(()),
        })
    }

    /// A new URL begins: the race of the last one is no longer reported.
    pub fn begin(&mut self) {
        (self.raced, self.response) = (None, None);
    }

    /// Whether the files that report the races could be written.
    pub fn take_written(&mut self) -> Result<(), Error> {
        std::mem::replace(&mut self.written, Ok(()))
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
    pub fn connection(&mut self, route: Route, size: usize) -> Result<KeptConnection, Error> {
        let fits = |kept: &KeptConnection| kept.route == route && kept.room >= size;
        let Some(at) = self.kept.iter().position(fits) else { return self.new_connection(route, size) };
        let kept = self.kept.remove(at);
        if self.args.verbose && kept.client.is_open() {
            verbose::say("reusing the connection");
        }
        Ok(kept)
    }

    /// Keeps a connection for the next request, once what nobody wants of its last answer has been read and
    /// dropped. Where that is much, or the connection ends with it, there is nothing to wait for: its buffer
    /// is kept.
    pub fn keep(&mut self, mut kept: KeptConnection) {
        let answer = kept.client.response();
        if !answer.and_then(|mut answer| answer.discard_at_most(PASSED_OVER)).unwrap_or(false) {
            kept.client.close();
        }
        if self.kept.len() >= KEPT {
            // One that has ended goes, or else the oldest.
            let goes = self.kept.iter().position(|kept| !kept.client.is_open()).unwrap_or(0);
            self.kept.remove(goes);
        }
        self.kept.push(kept);
    }

    fn new_connection(&mut self, route: Route, size: usize) -> Result<KeptConnection, Error> {
        let room = size + HEAD_ROOM;
        // A head of the request and one of the answer are never there at the same time, but for CONNECT.
        let buffer = vec![0; room + HEAD_ROOM];
        // One limit for all that comes before the first request: the lookup, the race, the tunnel and TLS
        // within it.
        let options = self.args.race.options(None);
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
            // It has one of its own where none is given.
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
    fn tunnel(&mut self, client: &mut AnyConnection, proxy: &Proxy) -> Result<(), Error> {
        let agent = self.args.user_agent.as_deref().unwrap_or(concat!("connie/", env!("CARGO_PKG_VERSION")));
        let login = proxy.credentials.as_ref().map(Credentials::basic);
        let login = login.as_deref().map(|login| ("Proxy-Authorization", login));
        let agent = Some(agent).filter(|agent| !agent.is_empty()).map(|agent| ("User-Agent", agent));
        let headers: Vec<(&str, &str)> = [login, agent].into_iter().flatten().collect();
        let set = match proxy.kind {
            #[cfg(feature = "tls")]
            ProxyKind::Https => client.set_https_proxy(&proxy.host, proxy.port, &headers, self.proxy_tls()?),
            #[cfg(not(feature = "tls"))]
            ProxyKind::Https => return Err(no_tls()),
            _ => client.set_proxy(&proxy.host, proxy.port, &headers),
        };
        set.map_err(|error| Error::not_made(&proxy.host, &error))
    }

    /// A connection by TLS to the proxy, which is asked for the server's answer.
    #[cfg(feature = "tls")]
    fn https_proxy_connection(
        &mut self,
        route: &Route,
        options: Options,
        buffer: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        Ok(AnyConnection::https(&route.end.0, route.end.1, options, self.proxy_tls()?, buffer))
    }

    #[cfg(not(feature = "tls"))]
    fn https_proxy_connection(
        &mut self,
        _: &Route,
        _: Options,
        _: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        Err(no_tls())
    }

    #[cfg(feature = "tls")]
    fn proxy_tls(&mut self) -> Result<&TlsConnector, Error> {
        Ok(match &mut self.proxy_tls {
            Some(tls) => tls,
            none => none.insert(TlsConnector::new(&self.args.proxy_tls())?),
        })
    }

    #[cfg(feature = "tls")]
    fn secure(
        &mut self,
        route: &Route,
        mut options: Options,
        buffer: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        let other;
        let tls = match (&route.certified, &mut self.tls) {
            (Some(host), _) => {
                other = TlsConnector::new(&self.args.tls().server_name(host.clone()))?;
                &other
            }
            (None, Some(tls)) => tls,
            (None, none) => none.insert(TlsConnector::new(&self.args.tls())?),
        };
        if route.proxy.is_none() {
            options.resolver = self.args.race.resolver(HttpsRecords::Always);
        }
        Ok(AnyConnection::https(&route.end.0, route.end.1, options, tls, buffer))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(
        &mut self,
        _: &Route,
        _: Options,
        _: Vec<u8>,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        Err(no_tls())
    }

    /// Reports, where `-v` or a file asks for it, how the connection was opened since the last call, or why
    /// it was not. `None` where no opening was tried.
    pub fn report_opening<'k>(&mut self, kept: &'k mut KeptConnection) -> Option<&'k OpeningRecord> {
        let number = kept.client.opening()?.number;
        if std::mem::replace(&mut kept.told, number) == number {
            return None;
        }
        let raced = FinishedRace::of(&mut kept.client, &self.args.race)?;
        let opening = kept.client.opening()?;
        let written = raced.write_files(&self.args.race);
        if self.written.is_ok() {
            self.written = written;
        }
        if self.args.verbose {
            verbose::show_opening(&raced, opening, &kept.client, kept.route.proxy.as_ref());
        }
        self.raced = Some(raced);
        Some(opening)
    }

    /// Reports, where `-v` asks for it, how the race to the first byte of the answer went.
    pub fn tell_response(&mut self, kept: &mut KeptConnection) {
        let now = kept.client.now();
        self.response = kept.client.response_record().cloned();
        if let Some(record) = self.response.as_ref().filter(|_| self.args.verbose) {
            verbose::show_response(record, now);
        }
    }
}
