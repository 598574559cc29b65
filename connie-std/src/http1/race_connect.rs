//! How a connection is opened: by a race to the server, or to a proxy that opens a tunnel to it.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::resolution::Host;
use connie_core::{AttemptErrorKind, Config, Failure, Instant, Poller};
use connie_http::parts::Socks5Error;
use connie_http::{HttpError, OpenConnection, OpenContext};

use super::error::ClientError;
use super::first_address::first_address;
use super::socks5::{Socks5Failure, Socks5Proxy, pass};
use super::transport::{Sealed, TlsFacts};
use crate::connect::failed;
use crate::error::{ConnectError, ConnectErrorKind};
use crate::filter::IpNetwork;
use crate::memory::Verdict;
use crate::observation::RaceObservation;
use crate::target::TargetRef;
use crate::{Options, OsPoller, Report};

/// What is known of how a connection was opened, or was not. Its moments are those of
/// [`Client::now`](super::Client::now).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OpeningRecord {
    /// Which opening of its [`Client`](super::Client) this was: 1 for the first.
    pub number: u32,
    /// When it began, with the resolution of the host's name.
    pub began: Instant,
    /// How the race was run. Its deadline is what was left of the connection's own where that was less.
    pub config: Config,
    /// What the race did, won or lost; `None` where it did not begin. Through a proxy it led to that.
    pub report: Option<Report>,
    /// The address that won.
    pub destination: Option<SocketAddr>,
    /// When the race was won. That includes TLS where the race goes to the TLS
    /// [finish line](crate::FinishLine).
    pub connected: Option<Instant>,
    /// When the proxy had opened the tunnel, where there is one.
    pub tunneled: Option<Instant>,
    /// The heads of the proxy's answer to CONNECT as they came, where [heads are
    /// kept](super::Client::set_keeps_heads).
    pub tunnel_heads: Vec<u8>,
    /// When the first request could be sent, tunnel and TLS included. `None` where it came to nothing.
    pub ready: Option<Instant>,
    /// The version of TLS that is spoken with the server: `TLSv1_2` or `TLSv1_3`.
    pub tls_version: Option<&'static str>,
    /// The name that the server's certificate is valid for.
    pub tls_name: Option<String>,
}

impl OpeningRecord {
    fn new(number: u32, began: Instant, config: Config) -> Self {
        OpeningRecord {
            number,
            began,
            config,
            report: None,
            destination: None,
            connected: None,
            tunneled: None,
            tunnel_heads: Vec::new(),
            ready: None,
            tls_version: None,
            tls_name: None,
        }
    }

    fn is_ready(&mut self, now: Instant, facts: Option<TlsFacts>) {
        self.ready = Some(now);
        if let Some(TlsFacts { version, name }) = facts {
            self.tls_version = Some(version);
            self.tls_name = Some(name);
        }
    }
}

/// How long a server that says nothing has time, at least, before that is held against its address. Where
/// another one has answered, the patience is enough.
pub(super) const SILENCE: Duration = Duration::from_secs(1);

/// What is known of the worth of the last connection that was opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FirstUse {
    /// No response has come over it yet.
    Pending,
    /// None has come, and the memory has the verdict.
    Failed,
    /// It was of use, or there is none.
    Over,
}

/// Opens each connection by a race of its own, and remembers the last one.
#[derive(Debug)]
pub(super) struct RaceConnect {
    /// Where the race leads: to the server, or to the proxy before it.
    pub(super) hop: (String, u16),
    /// The server that requests are for.
    pub(super) server: (String, u16),
    /// What that proxy is, where it speaks SOCKS5.
    pub(super) socks5: Option<Socks5Proxy>,
    pub(super) options: Options,
    pub(super) record: Option<OpeningRecord>,
    /// How many openings there have been.
    count: u32,
    /// When the deadline of the last race is, which holds for the route through a proxy too.
    until: Option<Instant>,
    /// Whether the proxy has yet to open the tunnel.
    awaits_tunnel: bool,
    first_use: FirstUse,
    /// Whether the host was found to have one address, since the last opening.
    has_no_other: bool,
    /// Why the last one failed, until it is told.
    error: Option<Box<ConnectError>>,
    /// The same, where a SOCKS5 proxy is the cause.
    socks5_error: Option<Socks5Error>,
}

/// Where a second connection leads: not to the address of the first.
#[derive(Debug)]
enum Others {
    /// To one of these, which the first race knew.
    Known(Vec<SocketAddr>),
    /// To another one than this, where the host's name has more by now.
    Unknown(SocketAddr),
}

/// A second connection, and how it was opened.
pub(super) type SecondOpened<S> = Result<(S, OpeningRecord), Option<Box<ConnectError>>>;

impl RaceConnect {
    pub(super) fn new(host: &str, port: u16, options: Options) -> Self {
        let hop = (host.to_owned(), port);
        RaceConnect {
            server: hop.clone(),
            hop,
            socks5: None,
            options,
            record: None,
            count: 0,
            until: None,
            awaits_tunnel: false,
            first_use: FirstUse::Over,
            has_no_other: false,
            error: None,
            socks5_error: None,
        }
    }

    /// A response of this status has come, over whatever connection there is: its address does what it is
    /// there for, or the proxy's does.
    pub(super) fn on_response(&mut self, status: u16) {
        let first_use = std::mem::replace(&mut self.first_use, FirstUse::Over);
        // "The server is currently unable to handle the request" (RFC 9110 section 15.6.4) is neither.
        if first_use != FirstUse::Over && status != 503 {
            self.report_verdict(Verdict::Good);
        }
    }

    /// What a call has failed with: where that was the first use of a connection, it says something about the
    /// address behind it. What goes wrong beyond a proxy does not.
    pub(super) fn on_error(&mut self, error: &HttpError, now: Instant) {
        let ready = self.record.as_ref().and_then(|record| record.tunneled.or(record.connected));
        let is_beyond = self.record.as_ref().is_some_and(|record| record.tunneled.is_some());
        if self.first_use != FirstUse::Pending || is_beyond {
            return;
        }
        let is_silent = ready.is_some_and(|ready| now.duration_since(ready) >= SILENCE);
        let Some(verdict) = verdict_on(error, is_silent) else { return };
        self.first_use = FirstUse::Failed;
        self.report_verdict(verdict);
    }

    /// Whether a SOCKS5 proxy is between here and the server.
    pub(super) fn leads_through_socks5(&self) -> bool {
        self.socks5.is_some()
    }

    fn report_verdict(&self, verdict: Verdict) {
        if let Some(report) = self.record.as_ref().and_then(|record| record.report.as_ref()) {
            report.report_to_memory(verdict);
        }
    }

    /// The response comes over a second connection, which was opened as `record` says. `verdict` is what that
    /// says of the first one. A server may close a connection that it has answered over before: only silence
    /// is held against that one.
    pub(super) fn replace_by_second(&mut self, record: OpeningRecord, verdict: Option<Verdict>) {
        let is_first_use = self.first_use == FirstUse::Pending;
        if let Some(verdict) = verdict.filter(|verdict| is_first_use || *verdict == Verdict::Stalled) {
            self.report_verdict(verdict);
        }
        (self.record, self.first_use) = (Some(record), FirstUse::Pending);
    }

    /// A response over the connection that there is took so long to begin.
    pub(super) fn learn_answer_time(&self, took: Duration) {
        if let Some(visit) = self.record.as_ref().and_then(|record| record.report.as_ref()?.visit()) {
            visit.learn_answer_time(took);
        }
    }

    /// Of the connection that is used from now on nothing is known.
    pub(super) fn on_attached(&mut self) {
        (self.record, self.first_use) = (None, FirstUse::Over);
    }

    /// What a call has failed with, with all that the race knows about it.
    pub(super) fn client_error(&mut self, error: HttpError) -> ClientError {
        let awaited_tunnel = std::mem::take(&mut self.awaits_tunnel);
        match (error, self.error.take()) {
            (HttpError::Connect(_), Some(why)) => ClientError::Connect(why),
            (HttpError::Connect(_), None) if self.socks5_error.is_some() => {
                self.socks5_error.take().map_or(ClientError::Http(error), ClientError::Socks5)
            }
            (error, _) if awaited_tunnel => ClientError::Tunnel(error),
            (error, _) => ClientError::Http(error),
        }
    }

    /// Where a second connection can lead.
    fn others(&self) -> Option<Others> {
        let record = self.record.as_ref()?;
        let first = record.destination?;
        let timeline = record.report.as_ref()?.timeline();
        let known = timeline.destinations().map(|destination| destination.address());
        let others: Vec<_> = known.filter(|address| *address != first).collect();
        let is_name = !matches!(Host::parse(&self.hop.0), Ok(Host::Address(_)));
        match others.is_empty() {
            false => Some(Others::Known(others)),
            // The race was won before all answers of the name servers were there.
            true => (is_name && !self.has_no_other).then_some(Others::Unknown(first)),
        }
    }

    /// Opens a second connection, to another address than that of the first, of which all is kept as it is.
    /// An error without a reason: there is no other address.
    pub(super) fn open_second<T: Sealed>(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        until: Option<Instant>,
    ) -> SecondOpened<T::TcpSocket>
    where
        OsPoller: Poller<T>,
    {
        let others = self.others().ok_or(None)?;
        let first = (self.record.take(), self.until, self.first_use);
        let opened = self.open_to(stack, poller, until, false, Some(&others));
        let (record, error) = (self.record.take(), self.error.take());
        (self.record, self.until, self.first_use) = first;
        if let (
            Err(_),
            Others::Unknown(_),
            Some(ConnectErrorKind::Denied(_) | ConnectErrorKind::Resolve(_)),
        ) = (&opened, &others, error.as_ref().map(|error| error.kind()))
        {
            self.has_no_other = true;
            return Err(None);
        }
        match (opened, record) {
            (Ok(socket), Some(record)) => Ok((socket, record)),
            _ => Err(error),
        }
    }

    /// Keeps what went wrong on the way to `host`, and says what it comes down to.
    fn record_failure(&mut self, kind: ConnectErrorKind, within_tunnel: bool) -> Failure {
        let failure = match &kind {
            ConnectErrorKind::Race(failure, _) => *failure,
            #[cfg(feature = "tls")]
            ConnectErrorKind::Tls(_, error) => error.race_failure(),
            ConnectErrorKind::Resolve(_)
            | ConnectErrorKind::Denied(_)
            | ConnectErrorKind::InvalidHost(_)
            | ConnectErrorKind::UnknownZone(_) => Failure::NoDestinations,
            _ => Failure::AllAttemptsFailed,
        };
        if let (
            ConnectErrorKind::Race(_, report)
            | ConnectErrorKind::Resolve(report)
            | ConnectErrorKind::Denied(report)
            | ConnectErrorKind::BudgetHeld { report, .. },
            Some(record),
        ) = (&kind, &mut self.record)
        {
            record.report = Some(report.clone());
        }
        let (host, port) = if within_tunnel { &self.server } else { &self.hop };
        self.error = Some(Box::new(failed(TargetRef::Host(host, *port), kind)));
        failure
    }
}

/// Does what is left after the race, and records how that and the race ended.
fn complete<T: Sealed>(
    stack: &mut T,
    poller: &mut OsPoller,
    raced: Result<(T::TcpSocket, SocketAddr, Report), ConnectErrorKind>,
    until: Option<Instant>,
    record: &mut OpeningRecord,
    watch: &mut RaceObservation,
) -> Result<T::TcpSocket, ConnectErrorKind>
where
    OsPoller: Poller<T>,
{
    let (mut socket, destination, report) = match raced {
        Ok(won) => won,
        Err(ConnectErrorKind::Race(failure, report)) => {
            return Err(ConnectErrorKind::Race(failure, stack.annotate(report)));
        }
        Err(kind) => return Err(kind),
    };
    record.connected = Some(poller.now());
    record.destination = Some(destination);
    let report = record.report.insert(stack.annotate(report));
    watch.keep(report);
    match stack.complete(poller, &mut socket, destination, until) {
        Ok(()) => Ok(socket),
        Err(kind) => {
            stack.abort(socket);
            #[cfg(feature = "tls")]
            if let ConnectErrorKind::Tls(_, error) = &kind {
                error.report_to_memory(report);
            }
            Err(kind)
        }
    }
}

impl RaceConnect {
    /// Opens a connection: to the host, or to one of `others`.
    fn open_to<T: Sealed>(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        until: Option<Instant>,
        tunnel: bool,
        others: Option<&Others>,
    ) -> Result<T::TcpSocket, Failure>
    where
        OsPoller: Poller<T>,
    {
        (self.error, self.socks5_error) = (None, None);
        self.awaits_tunnel = false;
        self.first_use = FirstUse::Over;
        let now = poller.now();
        self.count = self.count.saturating_add(1);
        let mut options = self.options.clone();
        let own = options.time_limit().map(|deadline| now + deadline);
        // Whichever is earlier.
        let until = own.into_iter().chain(until).min();
        options.deadline = until.map(|until| until.duration_since(now));
        self.until = own;
        let target = match others {
            None => TargetRef::Host(&self.hop.0, self.hop.1),
            Some(others) => others.target(&self.hop, &mut options),
        };
        let mut watch = RaceObservation::begin(target, &options);
        let record = self.record.insert(OpeningRecord::new(self.count, now, options.config()));
        // By either kind of proxy.
        let tunnel = tunnel || self.socks5.is_some();
        stack.prepare(&options, tunnel);
        let finish = stack.finish();
        let raced = stack.race(poller, target, finish, &options);
        let completed = complete(stack, poller, raced, until, record, &mut watch);
        let socket = match completed {
            Ok(socket) => socket,
            Err(kind) => {
                let failure = self.record_failure(kind, false);
                if let Some(error) = &self.error {
                    watch.tell(Err(error));
                }
                return Err(failure);
            }
        };
        if let (Some(destination), Some(report)) = (record.destination, &record.report) {
            watch.tell(Ok((destination, report)));
        }
        self.awaits_tunnel = tunnel;
        self.first_use = FirstUse::Pending;
        if let Some(proxy) = self.socks5.clone() {
            return self.pass_socks5(stack, poller, socket, &proxy, until);
        }
        if !tunnel {
            record.is_ready(poller.now(), stack.facts(&socket));
        }
        Ok(socket)
    }

    /// Has the SOCKS5 proxy that `socket` leads to connect to the host, and begins what is spoken with that.
    fn pass_socks5<T: Sealed>(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        mut socket: T::TcpSocket,
        proxy: &Socks5Proxy,
        until: Option<Instant>,
    ) -> Result<T::TcpSocket, Failure>
    where
        OsPoller: Poller<T>,
    {
        let passed = self.lead_to_host(stack, poller, &mut socket, proxy, until);
        match passed.and_then(|()| self.begin_within(stack, poller, &mut socket, until)) {
            Ok(()) => Ok(socket),
            Err(failure) => {
                stack.abort(socket);
                Err(failure)
            }
        }
    }

    fn lead_to_host<T: Sealed>(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        socket: &mut T::TcpSocket,
        proxy: &Socks5Proxy,
        until: Option<Instant>,
    ) -> Result<(), Failure>
    where
        OsPoller: Poller<T>,
    {
        let mut address = None;
        if proxy.resolves_here {
            let mut options = self.options.clone();
            let now = poller.now();
            options.deadline = until.map(|until| until.duration_since(now));
            let target = TargetRef::Host(&self.server.0, self.server.1);
            match first_address(poller, target, &options) {
                Ok(first) => address = Some(first.ip()),
                Err(kind) => return Err(self.record_failure_of_host(kind)),
            }
        }
        let (host, port) = &self.server;
        pass((stack, poller, socket), proxy, (host, *port, address), until).map_err(|failure| match failure {
            Socks5Failure::Ended(failure) => failure,
            Socks5Failure::Proxy(error) => {
                self.awaits_tunnel = false;
                self.socks5_error = Some(error);
                Failure::AllAttemptsFailed
            }
        })
    }

    /// Begins what is spoken within the tunnel that a proxy has opened.
    fn begin_within<T: Sealed>(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        socket: &mut T::TcpSocket,
        until: Option<Instant>,
    ) -> Result<(), Failure>
    where
        OsPoller: Poller<T>,
    {
        self.awaits_tunnel = false;
        // Nothing is known about a socket that was attached. What is meant for the host must be kept from the
        // proxy anyway.
        let destination = self.record.as_ref().and_then(|record| record.destination);
        let tunneled = poller.now();
        let entered = stack.enter_tunnel(poller, socket, destination, until);
        if let Some(record) = &mut self.record {
            record.tunneled = Some(tunneled);
            if entered.is_ok() {
                record.is_ready(poller.now(), stack.facts(socket));
            }
        }
        entered.map_err(|kind| self.record_failure(kind, true))
    }

    /// The host's name could not be looked up, though the proxy was reached.
    fn record_failure_of_host(&mut self, kind: ConnectErrorKind) -> Failure {
        self.awaits_tunnel = false;
        // The record is of the race to the proxy.
        let record = self.record.take();
        let failure = self.record_failure(kind, true);
        self.record = record;
        failure
    }
}

impl<T: Sealed> OpenConnection<T, OsPoller> for RaceConnect
where
    OsPoller: Poller<T>,
{
    fn open(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        opening: OpenContext,
    ) -> Result<T::TcpSocket, Failure> {
        self.has_no_other = false;
        self.open_to(stack, poller, opening.until, opening.tunnel, None)
    }

    fn enter_tunnel(
        &mut self,
        stack: &mut T,
        poller: &mut OsPoller,
        socket: &mut T::TcpSocket,
        context: OpenContext,
    ) -> Result<(), Failure> {
        self.begin_within(stack, poller, socket, context.until)
    }

    fn on_tunnel_heads(&mut self, raw: &[u8]) {
        if let Some(record) = &mut self.record {
            raw.clone_into(&mut record.tunnel_heads);
        }
    }

    fn tunnel_until(&self) -> Option<Instant> {
        self.until
    }
}

impl Others {
    /// What to race to for them, in the place of `host`.
    fn target<'a>(&'a self, host: &'a (String, u16), options: &mut Options) -> TargetRef<'a> {
        match self {
            Others::Known(addresses) => {
                // What is learnt of them is the host's anyway.
                options.memory = options.memory.take().map(|memory| memory.for_host(&host.0));
                TargetRef::Addresses(addresses)
            }
            Others::Unknown(first) => {
                let ip = first.ip().to_canonical();
                let bits = if ip.is_ipv4() { 32 } else { 128 };
                if let Some(network) = IpNetwork::new(ip, bits) {
                    options.filter = std::mem::take(&mut options.filter).deny(network);
                }
                TargetRef::Host(&host.0, host.1)
            }
        }
    }
}

/// What the end of a connection's first use says of the address behind it. `is_silent`: it had time enough to
/// answer.
pub(super) fn verdict_on(error: &HttpError, is_silent: bool) -> Option<Verdict> {
    match error {
        HttpError::EmptyReply => Some(Verdict::Refused),
        HttpError::Send(error) | HttpError::Receive(error) if *error == AttemptErrorKind::Reset => {
            Some(Verdict::Refused)
        }
        HttpError::TimedOut if is_silent => Some(Verdict::Stalled),
        _ => None,
    }
}
