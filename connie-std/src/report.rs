//! A race's timeline, kept when the race is gone.

use std::fmt;
use std::net::SocketAddr;

use connie_core::race::Destination;
use connie_core::resolution::Query;
use connie_core::timeline::{AttemptRecord, Summary};
use connie_core::{Config, Timeline};

use crate::memory::{Explanation, Verdict, Visited, Why};
use crate::note::Note;
use crate::resolve::ResolverError;
#[cfg(feature = "dns")]
use crate::resolve::ServiceRecord;

/// What a race did. Owns its parts: some 32 bytes for each address and 12 for each attempt.
///
/// # For serde
///
/// With the feature `serde` it is `Serialize`, and so is [`Observed`](crate::Observed). A report is a map;
/// all times are microseconds from the start of the race; what there is nothing to say about is null. Later
/// versions may add fields, and change none.
///
/// | field | is |
/// |---|---|
/// | `outcome` | `"connected"` or `"failed"` |
/// | `failure` | `"no_destinations"`, `"all_attempts_failed"`, `"deadline_exceeded"`, `"canceled"`, `"stack_gone"`, `"budget_held"` ([`ConnectErrorKind::BudgetHeld`](crate::ConnectErrorKind::BudgetHeld)) or `"other"` |
/// | `winner` | the address that won, with its port: `"192.0.2.1:80"` |
/// | `elapsed_us` | when the race ended |
/// | `resolved_us` | when its first address was known |
/// | `max_in_flight` | the most attempts that there were at the same time |
/// | `attempts_started` | how many attempts there were |
/// | `omitted_attempts` | how many of them are not in `attempts` |
/// | `omitted_destinations` | how many addresses found no room |
/// | `attempts` | a list of maps: `destination`, `family` (`"ipv4"` or `"ipv6"`), `started_us`, `ended_us`, `outcome` (an [`Outcome::name`](connie_core::AttemptOutcome::name)), `error_number`, `hedge` (true or false) |
/// | `destinations` | a list of maps: `address`, `family`, `error` (an [`AttemptError::name`](connie_core::AttemptError::name)), `error_number`, `setup` (the [`SetupStep::name`](crate::SetupStep::name) where `error` is `"setup"`), and the [`note`](Report::note) |
/// | `denied` | a list of addresses that [`Options::filter`](crate::Options::filter) has denied, with their port |
/// | `failed_queries` | a list of maps: `host`, `record_type` (`"AAAA"`), `error` in words |
/// | `plan` | the [explanation](Report::explanation), a map of what [`Explanation::json`] prints |
///
/// An `Observed` has `host`, `port`, `outcome` (a [`RaceOutcome::name`](crate::RaceOutcome::name)), `winner`,
/// `elapsed_us`, `error` in words, and the `report`.
#[derive(Clone, Debug)]
pub struct Report(Box<Parts>);

#[derive(Clone, Debug)]
struct Parts {
    summary: Summary,
    destinations: Box<[Destination]>,
    records: Box<[AttemptRecord]>,
    notes: Vec<Note>,
    queries: Vec<FailedQuery>,
    denied: Vec<SocketAddr>,
    lack: Option<Lack>,
    visit: Option<Visited>,
    why: Why,
    /// Of a race to several hosts: these, and whose each address is.
    hosts: Vec<(String, u16)>,
    owners: Vec<(SocketAddr, usize)>,
    #[cfg(feature = "dns")]
    services: Vec<ServiceRecord>,
}

/// Why a race opened no socket, where its budget of so many `sockets` is why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lack {
    /// It waited behind other races and lookups.
    InLine { sockets: usize },
    /// Connections held all, and it waited for one of them to end.
    AllHeld { sockets: usize },
    /// Connections held all, and it did not wait for them, or not any longer.
    Refused { sockets: usize },
}

/// A query that failed. `{}` names it: `AAAA query for example.org failed: no answer in time`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedQuery {
    /// The name.
    pub host: String,
    /// The query.
    pub query: Query,
    /// Why it failed.
    pub error: ResolverError,
}

impl fmt::Display for FailedQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FailedQuery { host, query, error } = self;
        write!(f, "{} query for {} failed: {error}", query.record_type(), query.name(host))
    }
}

impl Report {
    /// The timeline.
    #[must_use]
    pub fn timeline(&self) -> Timeline<'_> {
        Timeline::from_parts(self.0.summary, &self.0.destinations, &self.0.records)
    }

    /// More about what became of `address` than its [error](connie_core::AttemptError) says, where more is
    /// known: the names that a certificate is for, or the day it expired; why [`OnSocket`](crate::OnSocket)
    /// refused its socket, where the system has no number for that; the interface, or the range of local
    /// ports, that its socket could not be bound to; the source address that this machine does not have.
    #[must_use]
    pub fn note(&self, address: SocketAddr) -> Option<&str> {
        self.0.notes.iter().find(|note| note.address == address).map(|note| &*note.text)
    }

    /// The queries for the host's addresses that failed, where the host is a name: AAAA before A. A race can
    /// be won all the same.
    #[must_use]
    pub fn failed_queries(&self) -> &[FailedQuery] {
        &self.0.queries
    }

    /// The host whose address has won a race to [several](crate::Target#several-hosts), and its port, as they
    /// were given; a list of addresses among them goes by its first. `None` of a race to one, and of one that
    /// nobody has won.
    #[must_use]
    pub fn won_by(&self) -> Option<(&str, u16)> {
        self.host_of(self.timeline().winner()?.destination)
    }

    /// The host that an address belongs to, in a race to [several hosts](crate::Target#several-hosts). `None`
    /// in a race to one.
    #[must_use]
    pub fn host_of(&self, address: SocketAddr) -> Option<(&str, u16)> {
        let (host, port) = self.0.hosts.get(self.number_of(address)?)?;
        Some((host, *port))
    }

    /// The same by its number.
    pub(crate) fn number_of(&self, address: SocketAddr) -> Option<usize> {
        self.0.owners.iter().find(|(of, _)| *of == address).map(|(_, host)| *host)
    }

    /// The hosts of a race to several.
    pub(crate) fn hosts(&self) -> &[(String, u16)] {
        &self.0.hosts
    }

    pub(crate) fn with_hosts(mut self, hosts: Vec<(String, u16)>, owners: Vec<(SocketAddr, usize)>) -> Self {
        (self.0.hosts, self.0.owners) = (hosts, owners);
        self
    }

    /// The report without anything that contains a name: without [failed queries](Self::failed_queries),
    /// [notes](Self::note), service records, and the hosts where there were [several](Self::host_of). For a
    /// program that keeps reports but must not keep the names of their hosts. The addresses stay.
    #[must_use]
    pub fn without_names(mut self) -> Self {
        (self.0.queries, self.0.notes) = (Vec::new(), Vec::new());
        (self.0.hosts, self.0.owners) = (Vec::new(), Vec::new());
        #[cfg(feature = "dns")]
        self.0.services.clear();
        self
    }

    pub(crate) fn with_failed_queries(mut self, queries: Vec<FailedQuery>) -> Self {
        self.0.queries = queries;
        self
    }

    /// The addresses that [`Options::filter`](crate::Options::filter) has denied, each once, and no more than
    /// [`MAX_DESTINATIONS`](crate::MAX_DESTINATIONS). They were not tried, and the timeline knows nothing of
    /// them.
    #[must_use]
    pub fn denied(&self) -> &[SocketAddr] {
        &self.0.denied
    }

    pub(crate) fn with_denied(mut self, denied: Vec<SocketAddr>) -> Self {
        self.0.denied = denied;
        self
    }

    /// The service records (RFC 9460) that were met on the way.
    #[cfg(feature = "dns")]
    #[must_use]
    pub fn services(&self) -> &[ServiceRecord] {
        &self.0.services
    }

    #[cfg(feature = "dns")]
    pub(crate) fn with_services(mut self, services: Vec<ServiceRecord>) -> Self {
        self.0.services = services;
        self
    }

    /// Why the race opened no socket, where its budget is why.
    pub(crate) fn lack(&self) -> Option<Lack> {
        self.0.lack
    }

    pub(crate) fn with_lack(mut self, lack: Lack) -> Self {
        self.0.lack = Some(lack);
        self
    }

    /// Reports to the [memory](crate::Options::memory) of the race, where it had one, how the connection that
    /// won has fared: that TCP came up says too little. An address that refuses, stalls or fails in TLS is
    /// tried behind others for some time, for this host alone.
    pub fn report_to_memory(&self, verdict: Verdict) {
        if let (Some(visit), Some(winner)) = (&self.0.visit, self.timeline().winner()) {
            visit.tell(winner.destination, verdict);
        }
    }

    /// What the memory knows of the race's host.
    pub(crate) fn visit(&self) -> Option<&Visited> {
        self.0.visit.as_ref()
    }

    pub(crate) fn with_visit(mut self, visit: Option<Visited>) -> Self {
        self.0.visit = visit;
        self
    }

    /// Why the race did what it did: what its [memory](crate::Options::memory) knew of each address when it
    /// was planned, and what followed from that. `None` without a memory, and where there was no address to
    /// plan with.
    ///
    /// ```
    /// # use connie_std::{Memory, Options, connect};
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let options = Options::new().memory(Memory::new());
    /// let first = connect(server.local_addr()?, &options)?;
    /// let why = first.report().explanation().expect("there is a memory").to_string();
    /// assert_eq!(why, "whole race: the host was never met here; 1 unknown");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation<'_>> {
        self.0.why.explanation()
    }

    /// What the race's memory knows of its addresses by now, and what the next race to them would do. The
    /// memory learns nothing from being asked. `config` is how that race would be run, as in
    /// [`Options::race`]. `None` without a memory.
    ///
    /// ```
    /// # use connie_std::{Memory, Options, connect};
    /// # let server = std::net::TcpListener::bind("127.0.0.1:0")?;
    /// let options = Options::new().memory(Memory::new());
    /// let first = connect(server.local_addr()?, &options)?;
    /// let next = first.report().next_plan(&options.race).expect("there is a memory");
    /// let why = next.explanation().expect("it has an address").to_string();
    /// assert!(why.starts_with("lead: "), "{why}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// [`Options::race`]: field@crate::Options::race
    #[must_use]
    pub fn next_plan(&self, config: &Config) -> Option<NextPlan> {
        let addresses: Vec<_> = self.0.destinations.iter().map(Destination::address).collect();
        let (why, host) = self.0.visit.as_ref()?.foresee(&addresses, config)?;
        Some(NextPlan { why, host })
    }

    pub(crate) fn with_why(mut self, why: Why) -> Self {
        self.0.why = why;
        self
    }

    pub(crate) fn with_notes(mut self, notes: Vec<Note>) -> Self {
        self.0.notes.extend(notes);
        self
    }
}

/// What a race would do next: from [`Report::next_plan`].
#[derive(Clone, Debug)]
pub struct NextPlan {
    why: Why,
    host: u32,
}

impl NextPlan {
    /// The plan, and why it is so. `None` where there was no address.
    #[must_use]
    pub fn explanation(&self) -> Option<Explanation<'_>> {
        self.why.explanation()
    }

    /// The number of the host in its memory, as [`Remembered::host`](crate::memory::Remembered::host) has it.
    #[must_use]
    pub fn host(&self) -> u32 {
        self.host
    }
}

impl From<Timeline<'_>> for Report {
    fn from(timeline: Timeline<'_>) -> Self {
        let (summary, destinations, records) = timeline.parts();
        Report(Box::new(Parts {
            summary,
            destinations: destinations.into(),
            records: records.into(),
            notes: Vec::new(),
            queries: Vec::new(),
            denied: Vec::new(),
            lack: None,
            visit: None,
            why: Why::default(),
            hosts: Vec::new(),
            owners: Vec::new(),
            #[cfg(feature = "dns")]
            services: Vec::new(),
        }))
    }
}
