//! The connections of a run of the program: where they lead, and which are kept for the next request.

use std::io::{self, Write};
use std::time::Duration;

use connie_core::Failure;
use connie_core::resolution;
use connie_http::HttpError;
use connie_std::Options;
#[cfg(feature = "tls")]
use connie_std::TlsConnector;
#[cfg(feature = "tls")]
use connie_std::dns::HttpsRecords;
use connie_std::http::{AnyConnection, ClientError, OpeningRecord};
use connie_web::{Credentials, NoProxy, Proxies, Proxy, Scheme, Url};

use crate::advice::{self, MORE_TIME, Way};
use crate::args::{Get, Limit};
use crate::connect::Raced;
use crate::error::Error;
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

    /// The host that answers: the server, or a proxy that is asked for its answer.
    fn end(&self) -> Option<(&str, u16)> {
        match (&self.server, &self.proxy) {
            (Some((host, port)), _) => Some((host, *port)),
            (None, Some(proxy)) => Some((&proxy.host, proxy.port)),
            (None, None) => None,
        }
    }

    /// The host that a race is for.
    fn first(&self) -> Option<(&str, u16)> {
        self.proxy.as_ref().map(|proxy| (proxy.host.as_str(), proxy.port)).or_else(|| self.end())
    }
}

/// The connections of a run.
pub struct Session<'a> {
    args: &'a Get,
    proxies: Proxies,
    proxy_user: Option<Credentials>,
    kept: Vec<Kept>,
    /// Made for the first https URL, since that reads the list of the machine's authorities.
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
    /// The last race for the URL that is up.
    pub raced: Option<Raced>,
    /// What bodies are read through, kept from one URL to the next.
    pub piece: Vec<u8>,
    written: Result<(), Error>,
}

/// A connection and where it leads. One that has ended opens again, and has its buffer still.
pub struct Kept {
    pub client: AnyConnection,
    route: Route,
    /// How long a head of a request may be.
    room: usize,
    /// The number of the last opening that has been told.
    told: u32,
    /// How much time was left when the connection was asked for last.
    left: Option<Duration>,
}

impl Kept {
    /// How long all that follows may take, and how long a body waits for the server to ask for it.
    pub fn limit(&mut self, left: Option<Duration>, expect: Option<Limit>) {
        self.left = left;
        self.client.set_deadline(left);
        if let Some(expect) = expect.and_then(Limit::get) {
            self.client.set_expect_timeout(expect);
        }
    }

    /// The error that is told of an exchange. `reused` says whether the connection had served another before.
    pub fn error(&self, error: ClientError, reused: bool) -> Error {
        let tunneled = self.client.opening().is_some_and(|opening| opening.tunneled.is_some());
        let proxy = self.route.proxy.as_ref();
        match (error, proxy) {
            (ClientError::Http(error), _) => {
                let way = Way { proxy: self.route.asked_proxy(), kept: reused, ..Way::default() };
                Error::exchange(error, way)
            }
            (ClientError::Connect(error), Some(proxy)) if tunneled => {
                Error::from(&*error).through_proxy(proxy)
            }
            (ClientError::Connect(error), Some(proxy)) => Error::connect(&error).of_proxy(proxy),
            (ClientError::Connect(error), None) => Error::connect(&error),
            (ClientError::Tunnel(error), Some(proxy)) => {
                tunnel_error(error, proxy, self.client.host(), self.client.port())
            }
            (error, _) => Error::new(exit_code::CONNECT, error.to_string()),
        }
    }
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

    /// A connection that leads there, with room for a request's head of `size` bytes: one that was kept, or a new one,
    /// which opens when it is needed.
    pub fn connection(&mut self, route: Route, size: usize) -> Result<Kept, Error> {
        let fits = |kept: &Kept| kept.route == route && kept.room >= size;
        let Some(at) = self.kept.iter().position(fits) else { return self.new_connection(route, size) };
        let kept = self.kept.remove(at);
        if self.args.verbose && kept.client.is_open() {
            say("reusing the connection");
        }
        Ok(kept)
    }

    /// Keeps a connection for the next request.
    pub fn keep(&mut self, kept: Kept) {
        if self.kept.len() >= KEPT {
            // One that has ended goes, or else the oldest.
            let goes = self.kept.iter().position(|kept| !kept.client.is_open()).unwrap_or(0);
            self.kept.remove(goes);
        }
        self.kept.push(kept);
    }

    fn new_connection(&mut self, route: Route, size: usize) -> Result<Kept, Error> {
        let room = size + HEAD_ROOM;
        // A head of the request and one of the answer are never there at the same time, but for CONNECT.
        let buffer = vec![0; room + HEAD_ROOM];
        // One limit for all that comes before the first request: the look-up, the race, the tunnel and TLS
        // within it.
        let options = self.args.race.options(None);
        let (host, port) = route.end().ok_or_else(|| Error::usage("a route that leads nowhere"))?;
        let made = match route.scheme {
            Scheme::Http => AnyConnection::http(host, port, options, buffer),
            Scheme::Https => self.secure(host, port, options, buffer, route.proxy.is_none())?,
        };
        let mut client = made.map_err(|error| not_made(host, &error))?;
        if let (Some(proxy), Some(_)) = (&route.proxy, &route.server) {
            self.tunnel(&mut client, proxy)?;
        }
        Ok(Kept { client, route, room, told: 0, left: None })
    }

    /// Has the connection go through a tunnel that the proxy opens.
    fn tunnel(&self, client: &mut AnyConnection, proxy: &Proxy) -> Result<(), Error> {
        let agent = self.args.user_agent.as_deref().unwrap_or(concat!("connie/", env!("CARGO_PKG_VERSION")));
        let login = proxy.credentials.as_ref().map(Credentials::basic);
        let login = login.as_deref().map(|login| ("Proxy-Authorization", login));
        let agent = Some(agent).filter(|agent| !agent.is_empty()).map(|agent| ("User-Agent", agent));
        let headers: Vec<(&str, &str)> = [login, agent].into_iter().flatten().collect();
        let set = client.set_proxy(&proxy.host, proxy.port, &headers);
        set.map_err(|error| not_made(&proxy.host, &error))
    }

    #[cfg(feature = "tls")]
    fn secure(
        &mut self,
        host: &str,
        port: u16,
        options: Options,
        buffer: Vec<u8>,
        direct: bool,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        let tls = match &mut self.tls {
            Some(tls) => tls,
            none => none.insert(TlsConnector::new(&self.args.tls())?),
        };
        let options = match direct {
            true => Options { resolver: self.args.race.resolver(HttpsRecords::Always), ..options },
            false => options,
        };
        Ok(AnyConnection::https(host, port, options, tls, buffer))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(
        &mut self,
        _: &str,
        _: u16,
        _: Options,
        _: Vec<u8>,
        _: bool,
    ) -> Result<Result<AnyConnection, ClientError>, Error> {
        let line = "https needs TLS, which is not in this build: give an http URL";
        Err(Error::new(exit_code::UNSUPPORTED_SCHEME, line))
    }

    /// Tells where that is wanted how the connection was opened, or was not, since the last time; `None` where nothing of the kind
    /// happened.
    pub fn tell_opening<'k>(&mut self, kept: &'k mut Kept) -> Option<&'k OpeningRecord> {
        let now = kept.client.now();
        let (host, port) = kept.route.first()?;
        let opening = kept.client.opening().filter(|opening| opening.number != kept.told)?;
        kept.told = opening.number;
        let raced = Raced::new((host, port), &self.args.race, kept.left, opening, now);
        let written = raced.write_files(&self.args.race);
        if self.written.is_ok() {
            self.written = written;
        }
        if self.args.verbose {
            show_race(&raced);
            if let (Some(_), Some(proxy)) = (opening.tunneled, &kept.route.proxy) {
                say(&format!("tunnel through {proxy} to {} port {}", kept.client.host(), kept.client.port()));
            }
            if let (Some(version), Some(name)) = (opening.tls_version, &opening.tls_name) {
                say(&format!("{} with {name}", version.replace('_', ".")));
            }
        }
        self.raced = Some(raced);
        Some(opening)
    }
}

/// Why a connection to `host` cannot even be tried.
fn not_made(host: &str, error: &ClientError) -> Error {
    match (error.as_http(), resolution::Host::parse(host)) {
        (Some(HttpError::InvalidHost), Err(why)) => {
            Error::new(exit_code::MALFORMED_URL, format!("{host:?} is not a host name or address: {why}"))
        }
        (Some(error), _) => Error::from(*error),
        (None, _) => Error::new(exit_code::CONNECT, error.to_string()),
    }
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
