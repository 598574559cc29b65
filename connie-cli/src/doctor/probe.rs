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

use super::patient::Patient;
use crate::args::{Doctor, DoctorLine};
use crate::error::Error;

/// How many addresses are tried at the same time.
const AT_ONCE: usize = 16;
/// Room for the head of an answer.
const HEAD_ROOM: usize = 64 * 1024;
/// What it says it is.
const AGENT: &str = concat!("connie/", env!("CARGO_PKG_VERSION"));

/// What came of an address.
#[derive(Clone, Debug)]
pub struct Probe {
    pub address: SocketAddr,
    /// What this machine sends from; `None` where it has no way there.
    pub source: Option<IpAddr>,
    pub tcp: Step,
    /// `None` where it was not tried: TCP failed, or TLS is not wanted.
    pub tls: Option<Step>,
    /// `None` where it was not tried.
    pub response: Option<Step>,
    /// The status and reason of the answer.
    pub status: Option<(u16, String)>,
    /// Whether TLS was tried and is not spoken, so that it was asked without.
    pub is_plain: bool,
}

/// A step of a connection.
#[derive(Clone, Debug)]
pub struct Step {
    pub elapsed: Duration,
    pub result: Result<(), Trouble>,
}

/// What can go wrong in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The port is closed, or a firewall says so.
    Refused,
    /// Nothing came back in the time allowed.
    Silent,
    /// There is no way there, or a router says so.
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
    /// Whether all that was tried went well, and the answer, if one was wanted, does not say that the server
    /// is broken.
    pub fn serves(&self) -> bool {
        let steps = [Some(&self.tcp), self.tls.as_ref().filter(|_| !self.is_plain), self.response.as_ref()];
        let well = steps.into_iter().flatten().all(|step| step.result.is_ok());
        well && !self.is_gateway_error()
    }

    /// Whether the answer is that of a front which has nothing behind it (RFC 9110 sections 15.6.3
    /// to 15.6.5).
    pub fn is_gateway_error(&self) -> bool {
        matches!(self.status, Some((502..=504, _)))
    }

    /// How long all steps took.
    pub fn elapsed(&self) -> Duration {
        let steps = [Some(&self.tcp), self.tls.as_ref(), self.response.as_ref()];
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
    patient: &'a Patient,
    line: DoctorLine,
    options: Options,
    limit: Duration,
    #[cfg(feature = "tls")]
    tls: TlsConnector,
}

impl<'a> Prober<'a> {
    pub fn new(args: &Doctor, patient: &'a Patient, limit: Duration) -> Result<Self, Error> {
        let defaults = Options::default();
        let race = defaults.race.clone().deadline(Some(limit));
        Ok(Prober {
            patient,
            line: args.finish_line,
            options: defaults.race(race),
            limit,
            #[cfg(feature = "tls")]
            tls: TlsConnector::new(&TlsOptions { ca_files: args.cacert.clone(), ..TlsOptions::default() })?,
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
        match self.patient.scheme {
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

    /// Nobody has said that TLS is spoken there: what does not begin it may be asked without.
    fn try_plain(&self, probe: &mut Probe) {
        let Some(Step { result: Err(Trouble::NotTls | Trouble::Silent | Trouble::Closed), .. }) = probe.tls
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

    fn tcp(&self, address: SocketAddr) -> (Step, Option<OsSocket>) {
        let clock = OsClock::start();
        let connected = connect_plain_socket(address, &self.options);
        let elapsed = clock.now().duration_since(Instant::ZERO);
        match connected {
            Ok((socket, ..)) => (Step { elapsed, result: Ok(()) }, Some(socket)),
            Err(error) => (Step { elapsed, result: Err(of_connect(&error)) }, None),
        }
    }

    /// Asks without TLS, where an answer is wanted.
    fn plain(&self, socket: OsSocket, probe: &mut Probe) {
        if self.line < DoctorLine::Response {
            return;
        }
        let (host, port) = (self.patient.host.as_str(), self.patient.port);
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

    /// TLS, and then the same.
    #[cfg(feature = "tls")]
    fn secure(&self, socket: OsSocket, probe: &mut Probe) {
        if self.line < DoctorLine::Tls {
            return;
        }
        let (host, port) = (self.patient.host.as_str(), self.patient.port);
        let clock = OsClock::start();
        let secured = self.tls.secure((host, port), socket, &self.options);
        let elapsed = clock.now().duration_since(Instant::ZERO);
        let result = secured.as_ref().map(|_| ()).map_err(of_connect);
        probe.tls = Some(Step { elapsed, result });
        let Ok((_, socket)) = secured else { return };
        if self.line < DoctorLine::Response {
            return;
        }
        let client = AnyConnection::https(host, port, self.options.clone(), &self.tls, vec![0; HEAD_ROOM]);
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
            client.request("HEAD", &self.patient.target, &[("User-Agent", AGENT), ("Accept", "*/*")], b"")?;
            let response = client.response()?;
            Ok((response.status(), response.reason().to_owned()))
        });
        let elapsed = clock.now().duration_since(Instant::ZERO);
        probe.response = Some(Step { elapsed, result: answer.as_ref().map(|_| ()).map_err(of_client) });
        probe.status = answer.ok();
    }
}

/// What a failed connect says of its only address.
fn of_connect(error: &ConnectError) -> Trouble {
    #[cfg(feature = "tls")]
    if let Some(failure) = error.tls_failure() {
        return match failure {
            TlsFailure::NotTls => Trouble::NotTls,
            TlsFailure::ClosedEarly | TlsFailure::Truncated => Trouble::Closed,
            failure => Trouble::Tls(failure.to_string()),
        };
    }
    let kind = match error.kind() {
        ConnectErrorKind::Race(Failure::DeadlineExceeded, _) => return Trouble::Silent,
        ConnectErrorKind::Race(_, report) => report.timeline().most_telling().map(|(_, error)| error.kind()),
        #[cfg(feature = "tls")]
        ConnectErrorKind::Tls(_, error) => Some(error.attempt_error().kind()),
        _ => None,
    };
    match kind {
        Some(kind) => of_attempt(kind, || error.to_string()),
        None => Trouble::Other(error.to_string()),
    }
}

fn of_client(error: &ClientError) -> Trouble {
    match error {
        ClientError::Http(HttpError::TimedOut) => Trouble::Silent,
        ClientError::Http(HttpError::EmptyReply | HttpError::IncompleteHead | HttpError::Stale) => {
            Trouble::Closed
        }
        ClientError::Http(HttpError::Receive(attempt) | HttpError::Send(attempt)) => {
            of_attempt(attempt.kind(), || error.to_string())
        }
        error => Trouble::Other(error.to_string()),
    }
}

fn of_attempt(kind: AttemptErrorKind, words: impl FnOnce() -> String) -> Trouble {
    match kind {
        AttemptErrorKind::Refused => Trouble::Refused,
        AttemptErrorKind::Unreachable => Trouble::Unreachable,
        AttemptErrorKind::TimedOut => Trouble::Silent,
        AttemptErrorKind::Reset => Trouble::Closed,
        _ => Trouble::Other(words()),
    }
}
