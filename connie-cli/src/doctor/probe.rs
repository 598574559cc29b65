//! One address, tried by itself: TCP, TLS, and the answer to a request.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

#[cfg(feature = "tls")]
use connie_core::TlsFailure;
use connie_core::{AttemptErrorKind, Failure, Instant};
use connie_http::HttpError;
#[cfg(feature = "tls")]
use connie_std::http1::AnySocket;
use connie_std::http1::{AnyConnection, ClientError, connect_plain_socket};
use connie_std::{ConnectError, ConnectErrorKind, Options, OsClock, OsSocket};
#[cfg(feature = "tls")]
use connie_std::{TlsConnector, TlsOptions};
use connie_web::Scheme;

use super::target::DoctorTarget;
use crate::args::{Doctor, DoctorLine};
use crate::error::Error;

/// How many addresses are tried at the same time.
const AT_ONCE: usize = 16;
/// Room for the head of an answer.
const HEAD_ROOM: usize = 64 * 1024;
/// The `User-Agent` of its requests.
const AGENT: &str = concat!("connie/", env!("CARGO_PKG_VERSION"));

/// The result of trying one address.
#[derive(Clone, Debug)]
pub struct Probe {
    pub address: SocketAddr,
    /// What this machine sends from; `None` where it has no route there.
    pub source: Option<IpAddr>,
    pub tcp: ProbeStep,
    /// `None` where it was not tried: TCP failed, or TLS is not wanted.
    pub tls: Option<ProbeStep>,
    /// `None` where it was not tried.
    pub response: Option<ProbeStep>,
    /// The status and reason of the answer.
    pub status: Option<(u16, String)>,
    /// Whether TLS was tried in vain, and the request was then sent without it.
    pub is_plain: bool,
}

/// A step of a connection.
#[derive(Clone, Debug)]
pub struct ProbeStep {
    pub elapsed: Duration,
    pub result: Result<(), ProbeError>,
}

/// What can go wrong in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeError {
    /// The port is closed, or a firewall rejects the connection.
    Refused,
    /// Nothing came back in the time allowed.
    Silent,
    /// There is no route there, or a router reports so.
    Unreachable,
    /// The other side closed or reset the connection.
    Closed,
    /// TLS failed for this reason.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "TLS is not tried"))]
    Tls(String),
    /// It does not speak TLS.
    #[cfg_attr(not(feature = "tls"), expect(dead_code, reason = "TLS is not tried"))]
    NotTls,
    /// Anything else, in words.
    Other(String),
}

impl Probe {
    /// Whether all that was tried went well, and the answer, if one was wanted, does not report that the
    /// back end is broken.
    pub fn serves(&self) -> bool {
        let steps = [Some(&self.tcp), self.tls.as_ref().filter(|_| !self.is_plain), self.response.as_ref()];
        let well = steps.into_iter().flatten().all(|step| step.result.is_ok());
        well && !self.is_gateway_error()
    }

    /// Whether the answer is that of a front end without a back end (RFC 9110 sections 15.6.3
    /// to 15.6.5).
    pub fn is_gateway_error(&self) -> bool {
        matches!(self.status, Some((502..=504, _)))
    }

    /// How long all steps took, without TLS that was tried in vain before plain HTTP.
    pub fn elapsed(&self) -> Duration {
        let tls = self.tls.as_ref().filter(|_| !self.is_plain);
        let steps = [Some(&self.tcp), tls, self.response.as_ref()];
        steps.into_iter().flatten().map(|step| step.elapsed).sum()
    }
}

/// The address that this machine would send to `address` from. Nothing is sent.
pub fn source(address: SocketAddr) -> Option<IpAddr> {
    let any: SocketAddr = match address {
        SocketAddr::V4(_) => ([0; 4], 0).into(),
        SocketAddr::V6(_) => ([0; 16], 0).into(),
    };
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(address).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

/// Tries addresses.
pub struct Prober<'a> {
    target: &'a DoctorTarget,
    line: DoctorLine,
    options: Options,
    limit: Duration,
    /// Where an address is tried so far.
    #[cfg(feature = "tls")]
    tls: Option<TlsConnector>,
}

impl<'a> Prober<'a> {
    pub fn new(args: &Doctor, target: &'a DoctorTarget, limit: Duration) -> Result<Self, Error> {
        let defaults = Options::default();
        let race = defaults.race.clone().deadline(Some(limit));
        #[cfg(feature = "tls")]
        let speaks_tls = target.scheme != Some(Scheme::Http) && args.finish_line >= DoctorLine::Tls;
        Ok(Prober {
            target,
            line: args.finish_line,
            options: defaults.race(race),
            limit,
            #[cfg(feature = "tls")]
            tls: speaks_tls
                .then(|| TlsConnector::new(&TlsOptions::new().ca_files(args.cacert.clone())))
                .transpose()?,
        })
    }

    /// Tries all of them, some at a time.
    pub fn probe_all(&self, addresses: &[SocketAddr]) -> Vec<Probe> {
        let mut probes = Vec::new();
        for some in addresses.chunks(AT_ONCE) {
            std::thread::scope(|scope| {
                let threads: Vec<_> =
                    some.iter().map(|address| scope.spawn(|| self.probe(*address))).collect();
                probes.extend(threads.into_iter().filter_map(|thread| thread.join().ok()));
            });
        }
        probes
    }

    fn probe(&self, address: SocketAddr) -> Probe {
        let (tcp, socket) = self.tcp(address);
        let source = source(address);
        let mut probe =
            Probe { address, source, tcp, tls: None, response: None, status: None, is_plain: false };
        let Some(socket) = socket else { return probe };
        match self.target.scheme {
            Some(Scheme::Http) => self.plain(socket, &mut probe),
            scheme => {
                self.secure(socket, &mut probe);
                if scheme.is_none() {
                    self.try_plain(&mut probe);
                }
            }
        }
        probe
    }

    /// The user did not ask for https: an address that does not begin TLS is asked without it.
    fn try_plain(&self, probe: &mut Probe) {
        let Some(ProbeStep {
            result: Err(ProbeError::NotTls | ProbeError::Silent | ProbeError::Closed), ..
        }) = probe.tls
        else {
            return;
        };
        let (_, Some(socket)) = self.tcp(probe.address) else { return };
        let mut plain = probe.clone();
        self.plain(socket, &mut plain);
        if plain.status.is_some() {
            *probe = Probe { is_plain: true, ..plain };
        }
    }

    fn tcp(&self, address: SocketAddr) -> (ProbeStep, Option<OsSocket>) {
        let clock = OsClock::start();
        let connected = connect_plain_socket(address, &self.options);
        let elapsed = clock.now().duration_since(Instant::ZERO);
        match connected {
            Ok((socket, ..)) => (ProbeStep { elapsed, result: Ok(()) }, Some(socket)),
            Err(error) => (ProbeStep { elapsed, result: Err(from_connect_error(&error)) }, None),
        }
    }

    /// Sends the request without TLS, where an answer is wanted.
    fn plain(&self, socket: OsSocket, probe: &mut Probe) {
        if self.line < DoctorLine::Response {
            return;
        }
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let client = AnyConnection::http(host, port, self.options.clone(), vec![0; HEAD_ROOM]);
        #[cfg(feature = "tls")]
        let socket = AnySocket::Plain(socket);
        self.respond(
            client.map(|mut client| {
                client.attach(socket);
                client
            }),
            probe,
        );
    }

    /// TLS first, then the request, where an answer is wanted.
    #[cfg(feature = "tls")]
    fn secure(&self, socket: OsSocket, probe: &mut Probe) {
        let Some(tls) = &self.tls else { return };
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let clock = OsClock::start();
        let secured = tls.secure((host, port), socket, &self.options);
        let elapsed = clock.now().duration_since(Instant::ZERO);
        let result = secured.as_ref().map(|_| ()).map_err(from_connect_error);
        probe.tls = Some(ProbeStep { elapsed, result });
        let Ok((_, socket)) = secured else { return };
        if self.line < DoctorLine::Response {
            return;
        }
        let client = AnyConnection::https(host, port, self.options.clone(), tls, vec![0; HEAD_ROOM]);
        self.respond(
            client.map(|mut client| {
                client.attach(AnySocket::Tls(socket));
                client
            }),
            probe,
        );
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, socket: OsSocket, probe: &mut Probe) {
        self.plain(socket, probe);
    }

    /// Sends a request, and waits for the head of the answer.
    fn respond(&self, client: Result<AnyConnection, ClientError>, probe: &mut Probe) {
        let clock = OsClock::start();
        let answer = client.and_then(|mut client| {
            client.set_auto_open(false);
            client.set_deadline(Some(self.limit));
            client.request(
                "HEAD",
                &self.target.request_target,
                &[("User-Agent", AGENT), ("Accept", "*/*")],
                b"",
            )?;
            let response = client.response()?;
            Ok((response.status(), response.reason().to_owned()))
        });
        let elapsed = clock.now().duration_since(Instant::ZERO);
        probe.response =
            Some(ProbeStep { elapsed, result: answer.as_ref().map(|_| ()).map_err(from_client_error) });
        probe.status = answer.ok();
    }
}

/// Why the only address of a failed connect failed.
fn from_connect_error(error: &ConnectError) -> ProbeError {
    #[cfg(feature = "tls")]
    if let Some(failure) = error.tls_failure() {
        return match failure {
            TlsFailure::NotTls => ProbeError::NotTls,
            TlsFailure::ClosedEarly | TlsFailure::Truncated => ProbeError::Closed,
            failure => ProbeError::Tls(failure.to_string()),
        };
    }
    let kind = match error.kind() {
        ConnectErrorKind::Race(Failure::DeadlineExceeded, _) => return ProbeError::Silent,
        ConnectErrorKind::Race(_, report) => report.timeline().most_telling().map(|(_, error)| error.kind()),
        #[cfg(feature = "tls")]
        ConnectErrorKind::Tls(_, error) => Some(error.attempt_error().kind()),
        _ => None,
    };
    match kind {
        Some(kind) => from_attempt_error(kind, || error.to_string()),
        None => ProbeError::Other(error.to_string()),
    }
}

fn from_client_error(error: &ClientError) -> ProbeError {
    match error {
        ClientError::Http(HttpError::TimedOut) => ProbeError::Silent,
        ClientError::Http(HttpError::EmptyReply | HttpError::IncompleteHead | HttpError::Stale) => {
            ProbeError::Closed
        }
        ClientError::Http(HttpError::Receive(attempt) | HttpError::Send(attempt)) => {
            from_attempt_error(attempt.kind(), || error.to_string())
        }
        error => ProbeError::Other(error.to_string()),
    }
}

fn from_attempt_error(kind: AttemptErrorKind, words: impl FnOnce() -> String) -> ProbeError {
    match kind {
        AttemptErrorKind::Refused => ProbeError::Refused,
        AttemptErrorKind::Unreachable => ProbeError::Unreachable,
        AttemptErrorKind::TimedOut => ProbeError::Silent,
        AttemptErrorKind::Reset => ProbeError::Closed,
        _ => ProbeError::Other(words()),
    }
}
