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
pub struct Client<const NAMES: usize>(());
/// Of the size of nothing.
pub struct Lookup(());

/// What happened.
pub enum Input<'a> {
    Datagram { port: Port, from: SocketAddr, message: &'a [u8] },
    DatagramFailed { port: Port, server: SocketAddr },
    Message { port: Port, server: SocketAddr, message: &'a [u8] },
    StreamFailed { port: Port, server: SocketAddr },
}

/// What to do next.
pub enum Output {
    Send { port: Port, server: SocketAddr, length: usize },
    Connect { port: Port, server: SocketAddr, length: usize },
    Ended(#[expect(dead_code, reason = "as the client's has it")] Port),
    WaitUntil(Instant),
    WaitForInput,
}

/// What has been found out.
pub struct Event<'a> {
    pub result: Result<Answer<'a>, QueryError>,
}

/// Addresses.
pub struct Answer<'a>(&'a [IpAddr]);

impl Answer<'_> {
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.0.iter().copied()
    }
}

impl<const NAMES: usize> Client<NAMES> {
    #[inline(never)]
    pub fn new(settings: DnsConfig, seed: u64) -> Self {
        tell(settings.attempts.into());
        tell(seed as u32);
        Client(())
    }

    #[inline(never)]
    pub fn set_servers(&mut self, servers: &[SocketAddr], now: Instant) {
        servers.iter().for_each(|server| tell(server.port().into()));
        tell(now.as_micros() as u32);
    }

    #[inline(never)]
    pub fn poll_output(&mut self, buffer: &mut [u8; LARGEST_QUERY], now: Instant) -> Output {
        buffer.iter_mut().for_each(|octet| *octet = world() as u8);
        let server = SocketAddr::from((world().to_be_bytes(), world() as u16));
        let (port, length) = (Port(world()), world() as usize);
        match world() {
            0 => Output::Send { port, server, length },
            1 => Output::Connect { port, server, length },
            2 => Output::Ended(port),
            3 => Output::WaitUntil(now),
            _ => Output::WaitForInput,
        }
    }

    #[inline(never)]
    pub fn handle_input(&mut self, input: Input<'_>, now: Instant) {
        let (Input::Datagram { port, from: server, .. }
        | Input::DatagramFailed { port, server }
        | Input::Message { port, server, .. }
        | Input::StreamFailed { port, server }) = input;
        if let Input::Datagram { message, .. } | Input::Message { message, .. } = input {
            message.iter().for_each(|octet| tell((*octet).into()));
        }
        tell(matches!(input, Input::DatagramFailed { .. } | Input::Datagram { .. }).into());
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

impl Lookup {
    #[inline(never)]
    pub fn new(_: Name, wanted: WantedRecords) -> Self {
        tell(wanted.a.into());
        Lookup(())
    }

    #[inline(never)]
    pub fn is_done(&self) -> bool {
        world() == 0
    }

    #[inline(never)]
    pub fn poll<'c, const NAMES: usize>(
        &mut self,
        _: &'c mut Client<NAMES>,
        now: Instant,
    ) -> Option<Event<'c>> {
        tell(now.as_micros() as u32);
        match world() {
            0 => Some(Event { result: Ok(Answer(&[])) }),
            1 => Some(Event { result: Err(QueryError::Failed) }),
            _ => None,
        }
    }

    #[inline(never)]
    pub fn close<const NAMES: usize>(&mut self, _: &mut Client<NAMES>) {}
}
