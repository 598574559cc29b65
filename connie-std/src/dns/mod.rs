//! A DNS client: [`Dns`] asks name servers itself, for all record types at the same time, and without a
//! thread.
//!
//! The system's resolver returns when the slowest of its queries has ended. [`Dns`] gives a race the first
//! answer when it arrives, and the others later.
//!
//! ```no_run
//! use connie_std::dns::Dns;
//! use connie_std::{Options, connect};
//!
//! let dns = Dns::new(["192.0.2.53:53".parse().unwrap()]);
//! let options = Options::new().resolver(dns);
//! let stream = connect(("example.org", 80), &options)?;
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # What it does
//!
//! [`connie_dns`] decides which server is asked what and when, and what an answer means; this module has the
//! sockets and the cache.
//!
//! - **AAAA and A are asked at the same time**, AAAA first (RFC 8305 section 3), each from a port of its own
//!   with a random id. An answer counts only if it comes from the server that was asked and repeats the id
//!   and the question.
//! - **A question is asked once for all lookups that wait for it**: a thousand connections to one host that
//!   start together send one query for each family. The answers are [cached](Cache) for their time to live,
//!   for at most a minute, for all connections that share the [`Dns`].
//! - **A silent server delays nothing for long**: the next one is asked after 250 ms, and immediately if one
//!   fails; a silent server is asked again after 1 s, then after twice that, and so on. A server that was
//!   silent while another one answered is asked last for 30 s.
//! - **Temporary failures are retried after a pause**: SERVFAIL, REFUSED, a TCP connection that was closed.
//!   NXDOMAIN is an answer about all record types (RFC 8020): it ends the other questions, immediately if it
//!   is about IPv4, and otherwise after two seconds.
//! - **Lame answers are discarded**: those of a server that has no data for a name and does not recurse. A
//!   malformed record affects only itself.
//! - **EDNS(0)** allows answers of 1,232 octets (RFC 6891); a server that does not support it is asked again
//!   without, and the last query to a silent server goes without. Longer answers are fetched over TCP
//!   (RFC 7766).
//! - **Aliases** (CNAME) are followed within an answer, in any order, and queried where the server did not
//!   follow them.
//! - **The search list** of resolv.conf is tried if there is one ([`Dns::system`]); with servers given by the
//!   program ([`Dns::new`]) names are taken as they are.
//! - **The hosts file** comes first, as for the system's resolver and for curl with `--dns-servers`: a name
//!   in it is not asked for. Set [`Dns::hosts_file`] to `None` to ask the servers alone.
//! - **Service records** of the type HTTPS (RFC 9460) are asked for beside the addresses where
//!   [`Dns::https_records`] says so: their address hints join the race until the addresses are there, and
//!   their target names and ports are followed. A late one, or none, keeps no attempt waiting: until the
//!   records are there, and for a second at most, what is known is told as a hint, so that a race whose
//!   attempts have all failed by then does not end before it knows where else the service is. One that leads
//!   to another place where HTTP/1.1 is not spoken is [reported](crate::Report::services) and ignored; so is
//!   one that demands what is not understood.
//!
//! A question holds one UDP socket for each server that it has asked, two or three for a name as a rule,
//! beside those of [`max_in_flight`](connie_core::Config::max_in_flight); and a TCP socket in its place where
//! an answer is fetched over TCP. The lookup that asks has them; one that waits for another's answer has none
//! in a task, and in a thread one descriptor that wakes it, or it looks each 5 ms where there is none or most
//! of the budget is used. All are closed when the race is over. Each takes a place in the race's
//! [`SocketBudget`](crate::SocketBudget), and waits for one where there is none; the timeouts below count
//! from when it has it. Where the system has no socket in spite of that, it is asked for one again, after
//! 5 ms, 10 ms and so on up to 100 ms, and after [`timeout`](Dns::timeout) the lookup fails with
//! [`OutOfSockets`](QueryError::OutOfSockets).
//!
//! When the race that asks ends before the answer is there, another that waits for it goes on with its
//! sockets. One that is there and does nothing, a future that is kept and not polled, holds the others up for
//! 300 ms.
//!
//! Its sockets have the interface and the mark of [`Options::socket`](crate::Options::socket), and
//! [`Options::on_socket`](crate::Options::on_socket) sees them; who waits for another's answer goes by that
//! one's. A program whose connections leave by several ways gives each its own [`Dns`], where the ways have
//! answers of their own: what is kept does not know by which it came.
//!
//! # What it does not
//!
//! Names that only the system knows (mDNS, NIS, a VPN's own resolver) need the system's resolver. Letters in
//! random case ("0x20") are used only if [enabled](Dns::randomise_case), since some servers change the case.
//! Nothing is encrypted or validated: there is no DNS over TLS or HTTPS, and no DNSSEC.

mod cache;
mod config;
mod context;
mod family_answers;
mod followed_services;
mod lookup;
mod lookup_questions;
mod name_addresses;
mod query_sockets;
mod reply;
mod server_set;
mod shared_name;
mod stream;
mod wakeup;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::resolution::nat64::WELL_KNOWN_NAME;
use connie_core::{Families, Family, Instant};
use connie_dns::{DnsConfig, DnsTransport, Name, SearchNames};

pub use self::cache::Cache;
use self::config::ResolvConf;
pub use self::config::parse_server;
use self::context::LookupContext;
use self::lookup::{DnsLookup, LookupPlan};
use self::lookup_questions::LookupQuestions;
use self::server_set::MAX_SERVERS;
use crate::resolve::{
    FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, Resolver, ResolverError, WatchSet,
    hosts,
};

/// How many names are tried for one host.
const MAX_CANDIDATES: usize = 33;

/// A resolver that asks name servers itself. Clones share their [`Cache`].
///
/// It is made by [`Dns::system`], [`Dns::new`] or [`Dns::from_resolv_conf`], and changed by methods that have
/// the names of its fields:
///
/// ```
/// use connie_std::dns::Dns;
///
/// let dns = Dns::new(["192.0.2.53:53".parse().unwrap()]).attempts(2).hosts_file(None);
/// assert_eq!(dns.attempts, 2);
/// ```
#[must_use]
#[non_exhaustive]
#[derive(Clone, Debug)]
pub struct Dns {
    /// The servers, in the order in which they are asked; more than eight are ignored. Without any, every
    /// lookup fails.
    pub servers: Vec<SocketAddr>,
    /// How often a server is asked that is silent or fails temporarily: 1 to 16 times; values outside are
    /// clamped. Default: 3.
    pub attempts: u8,
    /// The timeout of the last query to a server and of a whole TCP connection to it, and the longest pause
    /// before it is asked again. Clamped to 10 ms to 60 s. Default: 5 s.
    pub timeout: Duration,
    /// Whether all queries go over TCP (`use-vc` in resolv.conf). Default: no.
    pub tcp: bool,
    /// The domains below which a name is also looked up. Default: none, so that names are taken as they are.
    ///
    /// The names are tried one after the other, until one has an address. A name with a final dot is taken as
    /// it is.
    pub search: Vec<String>,
    /// How many dots a name must have to be tried as it is before the [search list](Self::search) is.
    /// Default: 1.
    pub ndots: u8,
    /// The hosts file, which takes precedence over the servers. Default: the system's.
    pub hosts_file: Option<PathBuf>,
    /// When service records are asked for.
    pub https_records: HttpsRecords,
    /// Whether the letters of a name are sent in random case, which the answer must repeat: some more bits
    /// that a forger has to guess ("0x20"). The last query to a server is sent without, since some servers
    /// change the case. Default: no.
    pub randomise_case: bool,
    /// The cached answers, and the questions that are open.
    pub cache: Cache,
}

/// When the service records of an HTTPS server (RFC 9460) are asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HttpsRecords {
    /// Never.
    Never,
    /// For connections to port 443. The records of a name speak of its HTTPS service; a connection to another
    /// port is most likely to be for something else.
    #[default]
    Port443,
    /// Always: every connection is for HTTPS. The records for another port than 443 have a name of their own,
    /// such as `_8443._https.example.org`.
    Always,
}

impl Dns {
    /// The default number of queries to a silent server.
    pub const DEFAULT_ATTEMPTS: u8 = 3;
    /// The default timeout of the last query: that of the C library's resolver.
    pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

    /// A resolver that asks these servers, with a cache of its own.
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        Dns {
            servers: servers.into_iter().collect(),
            attempts: Self::DEFAULT_ATTEMPTS,
            timeout: Self::DEFAULT_TIMEOUT,
            tcp: false,
            search: Vec::new(),
            ndots: 1,
            hosts_file: Some(hosts::system_path()),
            https_records: HttpsRecords::default(),
            randomise_case: false,
            cache: Cache::new(),
        }
    }

    /// A resolver that asks the system's servers: those of `/etc/resolv.conf` as it is now, and the one on
    /// this machine where there is no such file or it names none.
    ///
    /// # Errors
    ///
    /// Where the file is there and cannot be read, and on Windows, which has none.
    pub fn system() -> io::Result<Self> {
        if cfg!(windows) {
            let text = "Windows has no resolv.conf: name the servers, or use the system's resolver";
            return Err(io::Error::new(io::ErrorKind::Unsupported, text));
        }
        match std::fs::read("/etc/resolv.conf") {
            // The C library reads octets, and people write comments in the encoding of their own.
            Ok(octets) => Ok(Self::from_resolv_conf(&String::from_utf8_lossy(&octets))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::from_resolv_conf("")),
            Err(error) => Err(error),
        }
    }

    /// A resolver that does what the text of a resolv.conf(5) says.
    ///
    /// ```
    /// use connie_std::dns::Dns;
    ///
    /// let dns = Dns::from_resolv_conf("nameserver 192.0.2.53\nnameserver 2001:db8::53\noptions timeout:2");
    /// assert_eq!(dns.servers, ["192.0.2.53:53".parse().unwrap(), "[2001:db8::53]:53".parse().unwrap()]);
    /// assert_eq!(dns.timeout.as_secs(), 2);
    /// ```
    ///
    /// Honoured are `nameserver`, of which the first three count, `search` and `domain`, and the options
    /// `ndots`, `timeout`, `attempts` and `use-vc`; everything else is ignored.
    pub fn from_resolv_conf(text: &str) -> Self {
        let conf = ResolvConf::parse(text);
        let default = Self::new(conf.servers);
        Dns {
            attempts: conf.attempts.unwrap_or(default.attempts),
            timeout: conf.timeout.unwrap_or(default.timeout),
            tcp: conf.tcp,
            search: conf.search,
            ndots: conf.ndots.unwrap_or(default.ndots),
            ..default
        }
    }

    /// Sets [`servers`](Self::servers).
    pub fn servers(mut self, servers: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.servers = servers.into_iter().collect();
        self
    }

    /// Sets [`attempts`](Self::attempts).
    pub fn attempts(mut self, attempts: u8) -> Self {
        self.attempts = attempts;
        self
    }

    /// Sets [`timeout`](Self::timeout).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets [`tcp`](Self::tcp).
    pub fn tcp(mut self, tcp: bool) -> Self {
        self.tcp = tcp;
        self
    }

    /// Sets [`search`](Self::search).
    pub fn search(mut self, domains: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.search = domains.into_iter().map(Into::into).collect();
        self
    }

    /// Sets [`ndots`](Self::ndots).
    pub fn ndots(mut self, ndots: u8) -> Self {
        self.ndots = ndots;
        self
    }

    /// Sets [`hosts_file`](Self::hosts_file).
    pub fn hosts_file(mut self, path: impl Into<Option<PathBuf>>) -> Self {
        self.hosts_file = path.into();
        self
    }

    /// Sets [`https_records`](Self::https_records).
    pub fn https_records(mut self, when: HttpsRecords) -> Self {
        self.https_records = when;
        self
    }

    /// Sets [`randomise_case`](Self::randomise_case).
    pub fn randomise_case(mut self, randomise: bool) -> Self {
        self.randomise_case = randomise;
        self
    }

    /// Sets [`cache`](Self::cache).
    pub fn cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    fn settings(&self) -> DnsConfig {
        DnsConfig {
            attempts: self.attempts,
            timeout: self.timeout,
            transport: if self.tcp { DnsTransport::Tcp } else { DnsTransport::UdpAndTcp },
            randomise_case: self.randomise_case,
            longest_ttl: Cache::LONGEST,
            ..DnsConfig::default()
        }
    }

    /// The name of the service records to ask for.
    fn service(&self, name: &Name, port: u16) -> Option<Name> {
        if Name::parse(WELL_KNOWN_NAME).as_ref() == Ok(name) {
            // Asked for the network's sake (RFC 7050), and no service.
            return None;
        }
        match self.https_records {
            HttpsRecords::Never => None,
            HttpsRecords::Port443 if port != 443 => None,
            HttpsRecords::Port443 | HttpsRecords::Always => name.https_query_name(port).ok(),
        }
    }
}

impl Resolve for Dns {
    fn lookup(&self, question: &ResolveRequest<'_>, now: Instant) -> Box<dyn PendingLookup> {
        let &ResolveRequest { host, port, families, clock, egress, budget, .. } = question;
        let hosts =
            self.hosts_file.as_deref().map(|path| hosts::look_up(path, host, families)).unwrap_or_default();
        if !hosts.is_empty() {
            return Box::new(KnownEvents::addresses(&hosts, port, families));
        }
        let names = SearchNames::new(host, &self.search, self.ndots).take(MAX_CANDIDATES).collect();
        let servers = self.servers.iter().take(MAX_SERVERS).copied().collect();
        let (egress, budget) = (egress.cloned().unwrap_or_default(), budget.cloned());
        let context = LookupContext { clock, egress, budget };
        let questions = LookupQuestions::new(servers, self.settings(), self.cache.clone(), context);
        let plan = LookupPlan { dns: self.clone(), port, families };
        match DnsLookup::new(names, plan, questions, now) {
            Some(lookup) => Box::new(lookup),
            None => Box::new(KnownEvents::no_name(families)),
        }
    }
}

impl From<Dns> for Resolver {
    fn from(dns: Dns) -> Self {
        Resolver::With(Arc::new(dns))
    }
}

/// A lookup that has ended before it began.
struct KnownEvents(VecDeque<ResolveEvent>);

impl KnownEvents {
    fn new(families: Families, event: impl Fn(Family) -> ResolveEvent) -> Self {
        let asked = [Family::V6, Family::V4].into_iter().filter(|family| families.allow(*family));
        KnownEvents(asked.map(event).collect())
    }

    fn addresses(addresses: &[IpAddr], port: u16, families: Families) -> Self {
        Self::new(families, |family| {
            let of_family = addresses.iter().filter(|ip| ip.is_ipv6() == (family == Family::V6));
            let addresses = of_family.map(|ip| SocketAddr::new(*ip, port)).collect();
            ResolveEvent::Answered(FamilyAddresses { family, addresses, ttl: None, ordered: false })
        })
    }

    /// What cannot be written into a query.
    fn no_name(families: Families) -> Self {
        let detail = "not a name that DNS can hold: each label must have 1 to 63 octets of ASCII";
        let error = ResolverError { kind: QueryError::NoSuchName, detail: Some(detail.to_owned()) };
        Self::new(families, |family| ResolveEvent::Failed { family, error: error.clone() })
    }
}

impl PendingLookup for KnownEvents {
    fn watch<'a>(&'a self, _: &mut WatchSet<'a>) {}

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        self.0.pop_front()
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
