//! Names, by `wasi:sockets/ip-name-lookup`.

use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use connie_core::resolution::QueryError;
use connie_core::{Families, Family};
use wasip2::io::poll::Pollable;
use wasip2::sockets::ip_name_lookup::{ResolveAddressStream, resolve_addresses};
use wasip2::sockets::network::{ErrorCode, Network};

use crate::address;
use crate::error::text;

/// Why a name could not be looked up: what the runtime says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RuntimeLookupError(pub ErrorCode);

impl RuntimeLookupError {
    /// What it means to a [`Connect`](connie_core::connect::Connect).
    #[must_use]
    pub fn query_error(self) -> QueryError {
        match self.0 {
            ErrorCode::NameUnresolvable => QueryError::NoSuchName,
            ErrorCode::TemporaryResolverFailure => QueryError::Temporary,
            ErrorCode::Timeout => QueryError::TimedOut,
            ErrorCode::RemoteUnreachable => QueryError::Unreachable,
            _ => QueryError::Failed,
        }
    }
}

impl fmt::Display for RuntimeLookupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            ErrorCode::AccessDenied => {
                "the runtime does not allow lookups: give the component names (-S allow-ip-name-lookup)"
            }
            // What wasmtime says of a lookup that it does not allow, too.
            ErrorCode::PermanentResolverFailure => {
                "the runtime cannot, or may not, resolve names: give the component names (-S allow-ip-name-lookup)"
            }
            ErrorCode::InvalidArgument => "the runtime does not take it for a name",
            other => text(other),
        })
    }
}

impl core::error::Error for RuntimeLookupError {}

/// What a [`NameLookup`] reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LookupEvent {
    /// The addresses of a family that have come so far, best first; more may come. Each such event takes the
    /// place of the last.
    Hinted(Family, Vec<SocketAddr>),
    /// The addresses of a family, best first; none where the name has none.
    Answered(Family, Vec<SocketAddr>),
    /// There is no answer for a family.
    Failed(Family, RuntimeLookupError),
}

/// A lookup under way.
///
/// WASI has one question for a name, and answers with addresses of both families, mixed and best first. They
/// may come one by one, and are reported as they come; on wasmtime they all come together when the last is
/// there, so that a late AAAA answer holds back the others.
#[derive(Debug)]
pub struct NameLookup {
    /// Dropped before the stream that it is for, as the order of the fields has it.
    pollable: Option<Pollable>,
    stream: Option<ResolveAddressStream>,
    port: u16,
    families: Families,
    v6: Vec<SocketAddr>,
    v4: Vec<SocketAddr>,
    first: Option<Family>,
    /// The last is reported first.
    events: Vec<LookupEvent>,
}

impl NameLookup {
    /// Begins to look `name` up in `network`, which [`WasiStack::network`](crate::WasiStack::network)
    /// returns. Never waits: what goes wrong is reported by [`poll`](Self::poll).
    #[must_use]
    pub fn start(network: &Network, name: &str, port: u16, families: Families) -> Self {
        let mut lookup = NameLookup {
            pollable: None,
            stream: None,
            port,
            families,
            v6: Vec::new(),
            v4: Vec::new(),
            first: None,
            events: Vec::new(),
        };
        match resolve_addresses(network, name) {
            Ok(stream) => {
                lookup.pollable = Some(stream.subscribe());
                lookup.stream = Some(stream);
            }
            Err(code) => lookup.fail(code),
        }
        lookup
    }

    /// What to wait for; nothing once all is reported.
    #[must_use]
    pub fn pollable(&self) -> Option<&Pollable> {
        self.pollable.as_ref()
    }

    /// The family of the first address, which the host likes best.
    #[must_use]
    pub fn best_family(&self) -> Option<Family> {
        self.first
    }

    /// Returns what is new; `None` when nothing more has come.
    pub fn poll(&mut self) -> Option<LookupEvent> {
        if self.events.is_empty() {
            self.read();
        }
        self.events.pop()
    }

    /// Takes in all addresses that have come.
    fn read(&mut self) {
        let mut is_new = false;
        while let Some(stream) = &self.stream {
            match stream.resolve_next_address() {
                Ok(Some(ip)) => {
                    is_new = true;
                    self.add(SocketAddr::new(address::ip_addr(ip), self.port));
                }
                Ok(None) => {
                    self.end();
                    return self.set_events(LookupEvent::Answered);
                }
                Err(ErrorCode::WouldBlock) => break,
                // Addresses that have come are of use, whatever became of the rest.
                Err(_) if self.first.is_some() => {
                    self.end();
                    return self.set_events(LookupEvent::Answered);
                }
                Err(code) => {
                    self.end();
                    return self.fail(code);
                }
            }
        }
        if is_new {
            self.set_events(LookupEvent::Hinted);
        }
    }

    fn add(&mut self, address: SocketAddr) {
        let family = Family::of(&address);
        if self.families.allow(family) {
            self.first.get_or_insert(family);
            match family {
                Family::V6 => self.v6.push(address),
                Family::V4 => self.v4.push(address),
            }
        }
    }

    fn end(&mut self) {
        self.pollable = None;
        self.stream = None;
    }

    fn set_events(&mut self, event: fn(Family, Vec<SocketAddr>) -> LookupEvent) {
        let (v6, v4) = (self.v6.clone(), self.v4.clone());
        let events = [(Family::V4, v4), (Family::V6, v6)].into_iter();
        self.events = events
            .filter(|(family, _)| self.families.allow(*family))
            .map(|(family, addresses)| event(family, addresses))
            .collect();
    }

    fn fail(&mut self, code: ErrorCode) {
        let failed = [Family::V4, Family::V6].into_iter().filter(|family| self.families.allow(*family));
        self.events = failed.map(|family| LookupEvent::Failed(family, RuntimeLookupError(code))).collect();
    }
}
