//! A race driven by hand, for the tests of the reports: which address does what at which moment.

extern crate std;

use core::net::SocketAddr;
use std::vec::Vec;

use super::{AttemptError, AttemptId, Config, Input, Output, Race};
use crate::Instant;
use crate::timeline::Timeline;

/// A real race with up to 16 destinations, 4 sockets and 8 records, and the attempts that it has in flight.
pub(crate) struct Script {
    race: Race<16, 4, 8>,
    now: Instant,
    in_flight: Vec<(SocketAddr, AttemptId)>,
}

impl Script {
    /// A race that has its addresses from the start.
    #[track_caller]
    pub(crate) fn new(config: &Config, addresses: &[&str]) -> Self {
        let mut script = Script::unresolved(config);
        script.resolves(addresses);
        script
    }

    /// A race that knows no address yet.
    pub(crate) fn unresolved(config: &Config) -> Self {
        let now = Instant::from_millis(5_000);
        Script { race: Race::new(config, now), now, in_flight: Vec::new() }
    }

    /// Moves on to `micros` after the start of the race, and does what falls due on the way.
    pub(crate) fn at(&mut self, micros: u64) -> &mut Self {
        let until = Instant::from_millis(5_000 + micros / 1_000).plus_micros(micros % 1_000);
        while let Some(due) = self.drain().filter(|due| *due < until) {
            self.now = due;
        }
        self.now = until;
        self.drain();
        self
    }

    /// Both families answer.
    #[track_caller]
    pub(crate) fn resolves(&mut self, addresses: &[&str]) {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        self.race.handle_addresses(&addresses, self.now);
        self.drain();
    }

    /// The first attempt in flight on `address` completes its handshake.
    #[track_caller]
    pub(crate) fn succeeds(&mut self, address: &str) {
        let id = self.take(address);
        self.race.handle_input(Input::AttemptSucceeded { id }, self.now);
        self.drain();
    }

    /// The first attempt in flight on `address` fails.
    #[track_caller]
    pub(crate) fn fails(&mut self, address: &str, error: AttemptError) {
        let id = self.take(address);
        self.race.handle_input(Input::AttemptFailed { id, error }, self.now);
        self.drain();
    }

    pub(crate) fn timeline(&self) -> Timeline<'_> {
        self.race.timeline()
    }

    #[track_caller]
    fn take(&mut self, address: &str) -> AttemptId {
        let address: SocketAddr = address.parse().unwrap();
        let index = self.in_flight.iter().position(|(to, _)| *to == address);
        self.in_flight.remove(index.expect("an attempt on the address is in flight")).1
    }

    /// Polls until the race waits, and answers until when.
    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.race.poll_output(self.now) {
                Output::StartAttempt { id, destination } => self.in_flight.push((destination, id)),
                Output::CancelAttempt { id } => self.in_flight.retain(|(_, other)| *other != id),
                Output::WaitUntil(at) => return Some(at),
                Output::WaitForInput | Output::Established { .. } | Output::Failed(_) => return None,
            }
        }
    }
}
