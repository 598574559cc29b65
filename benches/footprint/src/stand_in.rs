//! Stands in for the DNS client, so that it is known what the program around it takes. Each function is one
//! of its own, and not counted.

use core::net::{IpAddr, SocketAddr};
use core::sync::atomic::Ordering;

use connie_core::Instant;
use connie_core::resolution::QueryError;
use connie_dns::{DnsConfig, LARGEST_QUERY, WantedRecords};

use crate::stub::{WORLD, world};

fn tell(number: u32) {
    WORLD.store(number, Ordering::Relaxed);
}

/// Where a question is asked from.
#[derive(Clone, Copy)]
pub struct Port(u32);
/// Of the size of nothing.
pub struct Name(());
/// Of the size of nothing.
pub struct DnsClient<const NAMES: usize>(());
/// Of the size of nothing.
pub struct RecordLookup(());

/// What happened.
pub enum DnsInput<'a> {
    Datagram { port: Port, from: SocketAddr, message: &'a [u8] },
    DatagramFailed { port: Port, server: SocketAddr },
    Message { port: Port, server: SocketAddr, message: &'a [u8] },
    StreamFailed { port: Port, server: SocketAddr },
}

/// What to do next.
pub enum DnsOutput {
    Send { port: Port, server: SocketAddr, length: usize },
    Connect { port: Port, server: SocketAddr, length: usize },
    Ended(#[expect(dead_code, reason = "as the client's has it")] Port),
    WaitUntil(Instant),
    WaitForInput,
}

/// What has been found out.
pub struct LookupOutcome<'a> {
    pub result: Result<RecordSet<'a>, QueryError>,
}

/// Addresses.
pub struct RecordSet<'a>(&'a [IpAddr]);

impl RecordSet<'_> {
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }
}

impl<const NAMES: usize> DnsClient<NAMES> {
    #[inline(never)]
    pub fn new(settings: DnsConfig, seed: u64) -> Self {
        tell(settings.attempts.into());
        tell(seed as u32);
        DnsClient(())
    }

    #[inline(never)]
    pub fn set_servers(&mut self, servers: &[SocketAddr], now: Instant) {
        servers.iter().for_each(|server| tell(server.port().into()));
        tell(now.as_micros() as u32);
    }

    #[inline(never)]
    pub fn poll_output(&mut self, buffer: &mut [u8; LARGEST_QUERY], now: Instant) -> DnsOutput {
        buffer.iter_mut().for_each(|octet| *octet = world() as u8);
        let server = SocketAddr::from((world().to_be_bytes(), world() as u16));
        let (port, length) = (Port(world()), world() as usize);
        match world() {
            0 => DnsOutput::Send { port, server, length },
            1 => DnsOutput::Connect { port, server, length },
            2 => DnsOutput::Ended(port),
            3 => DnsOutput::WaitUntil(now),
            _ => DnsOutput::WaitForInput,
        }
    }

    #[inline(never)]
    pub fn handle_input(&mut self, input: DnsInput<'_>, now: Instant) {
        let (DnsInput::Datagram { port, from: server, .. }
        | DnsInput::DatagramFailed { port, server }
        | DnsInput::Message { port, server, .. }
        | DnsInput::StreamFailed { port, server }) = input;
        if let DnsInput::Datagram { message, .. } | DnsInput::Message { message, .. } = input {
            message.iter().for_each(|octet| tell((*octet).into()));
        }
        tell(matches!(input, DnsInput::DatagramFailed { .. } | DnsInput::Datagram { .. }).into());
        tell(port.0);
        tell(server.port().into());
        tell(now.as_micros() as u32);
    }

    #[inline(never)]
    pub fn is_open(&self, port: Port) -> bool {
        world() == port.0
    }
}

impl Name {
    #[inline(never)]
    pub fn parse(text: &str) -> Result<Self, ()> {
        text.bytes().for_each(|octet| tell(octet.into()));
        if world() == 0 { Ok(Name(())) } else { Err(()) }
    }
}

impl RecordLookup {
    #[inline(never)]
    pub fn new(_: Name, wanted: WantedRecords) -> Self {
        tell(wanted.a.into());
        RecordLookup(())
    }

    #[inline(never)]
    pub fn is_done(&self) -> bool {
        world() == 0
    }

    #[inline(never)]
    pub fn poll<'c, const NAMES: usize>(
        &mut self,
        _: &'c mut DnsClient<NAMES>,
        now: Instant,
    ) -> Option<LookupOutcome<'c>> {
        tell(now.as_micros() as u32);
        match world() {
            0 => Some(LookupOutcome { result: Ok(RecordSet(&[])) }),
            1 => Some(LookupOutcome { result: Err(QueryError::Failed) }),
            _ => None,
        }
    }

    #[inline(never)]
    pub fn close<const NAMES: usize>(&mut self, _: &mut DnsClient<NAMES>) {}
}
