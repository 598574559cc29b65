//! The client's TCP stack: sockets, their handshakes, and the hosts they lead to.

use std::cell::Cell;
use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{AttemptError, AttemptErrorKind, Family, Instant, Interest, RaceStack};

use crate::host::{SimHost, SynAnswer, hang, later};
use crate::rng::Rng;
use crate::stream::{Received, Stream, earliest};
use crate::tally::Tally;

/// More sockets than a program asks for at one moment: 255 attempts for each of ten races, and a few more.
const OPENS_AT_ONE_MOMENT: u32 = 3_000;

/// A TCP stack in virtual time, with the hosts that it leads to.
///
/// A SYN is sent at once and again 1, 3, 7, 15, 31 and 63 s later, and the attempt times out after 127 s, as
/// on Linux before 6.5. An address without a host stays silent.
///
/// It panics on what no client may do: ask for sockets without end at one moment, use a socket after its
/// handshake has failed, connect one socket to two addresses, read or write before the handshake is complete.
/// A connection that broke says so again to whoever reads from it, since one that could not send may look for
/// an answer.
#[derive(Debug)]
pub struct SimStack {
    pub(crate) time: Rc<Cell<Instant>>,
    seed: u64,
    stations: Vec<Endpoint>,
    slots: Vec<Slot>,
    open: usize,
    peak: usize,
    /// How many sockets were ever asked for.
    asked: u32,
    /// How many of them at the moment of the last.
    asked_now: u32,
    last_asked: Instant,
    failed_opens: u32,
    serial: u32,
    rules: StackBehaviour,
}

/// How the stack itself behaves.
#[derive(Clone, Debug)]
struct StackBehaviour {
    capacity: usize,
    runs_out_at: Option<u32>,
    fails_late: bool,
    without: Option<Family>,
    gone_at: Option<Instant>,
    moves_at: Option<(Family, Instant)>,
    blocks: bool,
    /// `None` for ever.
    syn_retries: Option<u8>,
}

/// An address, what stands behind it, and what it has seen.
#[derive(Debug)]
struct Endpoint {
    address: SocketAddr,
    host: SimHost,
    rng: Rng,
    tally: Tally,
    heard: Vec<u8>,
}

/// A socket of a [`SimStack`]. Only closing or aborting it ends it: one that is dropped stays open.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a socket that is neither closed nor aborted stays open"]
pub struct SimSocket {
    slot: usize,
    serial: u32,
}

/// Why a call failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SimError(AttemptErrorKind);

impl fmt::Display for SimError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SimError {}

impl TcpError for SimError {
    fn kind(&self) -> TcpErrorKind {
        // `PipeClosed` would say that the peer has ended in good order.
        TcpErrorKind::Other
    }
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    serial: u32,
    state: SocketState,
}

#[derive(Clone, Copy, Debug)]
enum SocketState {
    Free,
    Idle,
    Connecting(Handshake),
    Established {
        station: usize,
        stream: Stream,
    },
    /// The failure was reported: only good for `abort`.
    Failed,
    /// The failure of an established connection was reported.
    Broken(AttemptErrorKind),
}

/// A handshake under way.
#[derive(Clone, Copy, Debug)]
struct Handshake {
    station: usize,
    began: Instant,
    /// How many SYNs were sent.
    syns: u8,
    next_syn: Option<Instant>,
    /// The soonest end that is known to come.
    end: Option<(Instant, Result<(), AttemptErrorKind>)>,
}

impl SimStack {
    /// A stack with room for 1024 sockets that leads nowhere yet. What is random about it derives from
    /// `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        SimStack {
            time: Rc::new(Cell::new(Instant::ZERO)),
            seed,
            stations: Vec::new(),
            slots: Vec::new(),
            open: 0,
            peak: 0,
            asked: 0,
            asked_now: 0,
            last_asked: Instant::ZERO,
            failed_opens: 0,
            serial: 0,
            rules: StackBehaviour {
                capacity: 1024,
                runs_out_at: None,
                fails_late: false,
                without: None,
                gone_at: None,
                moves_at: None,
                blocks: false,
                syn_retries: Some(6),
            },
        }
    }

    /// Puts `host` behind `address`, where it takes the place of any other.
    pub fn put(&mut self, address: SocketAddr, host: SimHost) {
        let at = self.station(address);
        self.stations[at].host = host;
    }

    /// The virtual time.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.time.get()
    }

    /// How many sockets there are (1024 unless set).
    pub fn set_capacity(&mut self, sockets: usize) {
        self.rules.capacity = sockets;
    }

    /// The `count`-th socket that is asked for, counted from 1, cannot be opened, and from then on there are
    /// only as many as were open at that moment: somebody else has the rest.
    pub fn runs_out_at(&mut self, count: u32) {
        self.rules.runs_out_at = Some(count);
    }

    /// Running out is reported by the first `connect` on a socket instead of by `socket`.
    pub fn reports_late(&mut self) {
        self.rules.fails_late = true;
    }

    /// The stack does not have `family`: `connect` fails at once.
    pub fn lacks(&mut self, family: Family) {
        self.rules.without = Some(family);
    }

    /// From `at` on the stack is gone: all fails.
    pub fn goes_at(&mut self, at: Instant) {
        self.rules.gone_at = Some(at);
    }

    /// At `at` the stack has another address of `family`: handshakes from the old one come to nothing.
    pub fn moves_at(&mut self, family: Family, at: Instant) {
        self.rules.moves_at = Some((family, at));
    }

    /// `connect` only returns when the handshake has ended, as it does on stacks that no race should have to
    /// run on.
    pub fn blocks(&mut self) {
        self.rules.blocks = true;
    }

    /// How often a SYN is sent again, the gaps doubling from 1 s: 6 unless set; `None` for ever.
    pub fn syn_retries(&mut self, count: Option<u8>) {
        self.rules.syn_retries = count;
    }

    /// How many sockets are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open
    }

    /// The most sockets that were open at a time.
    #[must_use]
    pub fn peak(&self) -> usize {
        self.peak
    }

    /// How many sockets were asked for and could not be had.
    #[must_use]
    pub fn failed_opens(&self) -> u32 {
        self.failed_opens
    }

    /// What `address` saw.
    #[must_use]
    pub fn tally(&self, address: SocketAddr) -> Tally {
        self.find(address).map(|station| station.tally).unwrap_or_default()
    }

    /// All that was sent to `address`.
    #[must_use]
    pub fn received(&self, address: SocketAddr) -> &[u8] {
        self.find(address).map_or(&[], |station| &station.heard)
    }

    /// What stands behind `address`, if anything does.
    pub(crate) fn host(&self, address: SocketAddr) -> Option<&SimHost> {
        self.find(address).map(|station| &station.host)
    }

    pub(crate) fn lacks_family_of(&self, address: SocketAddr) -> bool {
        self.rules.without == Some(Family::of(&address))
    }

    /// When the next handshake in progress ends; `None` when none does. Sees ahead no further than `limit`.
    pub fn next_handshake(&mut self, limit: Option<Instant>) -> Option<Instant> {
        self.look_ahead(limit, |stack| {
            let connecting =
                stack.slots.iter().filter(|slot| matches!(slot.state, SocketState::Connecting(_)));
            connecting.filter_map(|slot| stack.ready_at(&slot.state, Interest::Connect)).min()
        })
    }

    /// When one of `sockets` is ready for what is waited for; `None` when none ever is. Sees ahead no further
    /// than `limit`.
    pub(crate) fn next_ready(
        &mut self,
        sockets: &[connie_core::PollEntry<'_, SimSocket>],
        limit: Option<Instant>,
    ) -> Option<Instant> {
        self.look_ahead(limit, |stack| {
            let ready = sockets.iter().filter_map(|watched| {
                stack.ready_at(&stack.slots[stack.slot(watched.socket)].state, watched.interest)
            });
            ready.min()
        })
    }

    /// Whether `socket` has what is waited for.
    pub(crate) fn is_ready(&self, socket: &SimSocket, interest: Interest) -> bool {
        let state = &self.slots[self.slot(socket)].state;
        self.ready_at(state, interest).is_some_and(|at| at <= self.now())
    }

    /// Sends the SYNs that fall due by the time of what `next` looks for, since that may hang on their
    /// answers.
    fn look_ahead(
        &mut self,
        limit: Option<Instant>,
        next: impl Fn(&SimStack) -> Option<Instant>,
    ) -> Option<Instant> {
        loop {
            let found = next(self);
            let Some((at, slot)) = self.next_syn() else { return found };
            if earliest(found, limit).is_some_and(|bound| bound < at) {
                return found;
            }
            self.send_syn(slot, at);
        }
    }

    /// The next SYN that is sent again, and the slot that does it.
    fn next_syn(&self) -> Option<(Instant, usize)> {
        let due = self.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.state {
            SocketState::Connecting(handshake) => Some((handshake.next_syn?, index)),
            _ => None,
        });
        due.min()
    }

    /// Sends what fell due up to now.
    fn catch_up(&mut self) {
        let now = self.now();
        while let Some((at, slot)) = self.next_syn().filter(|(at, _)| *at <= now) {
            self.send_syn(slot, at);
        }
    }

    fn send_syn(&mut self, slot: usize, at: Instant) {
        let SocketState::Connecting(handshake) = &mut self.slots[slot].state else { return };
        let station = &mut self.stations[handshake.station];
        station.tally.syns += 1;
        let answered = station.host.answers(station.tally.syns, at, &mut station.rng);
        let result = match station.host.answer {
            SynAnswer::Accept | SynAnswer::Silence => Ok(()),
            SynAnswer::Refuse => Err(AttemptErrorKind::Refused),
            SynAnswer::Unreachable | SynAnswer::NoRoute => Err(AttemptErrorKind::Unreachable),
        };
        handshake.syns += 1;
        // 1 s after the first, 2 s after the second, ...
        let again = later(at, 1_000_000 << (handshake.syns - 1).min(40));
        let gives_up = self.rules.syn_retries.is_some_and(|retries| handshake.syns > retries);
        let ends = [
            handshake.end,
            answered.map(|at| (at, result)),
            gives_up.then_some((again, Err(AttemptErrorKind::TimedOut))),
        ];
        handshake.end = ends.into_iter().flatten().min_by_key(|(at, _)| *at);
        let answered_first = handshake.end.is_some_and(|(at, _)| at <= again);
        handshake.next_syn = (!gives_up && !answered_first).then_some(again);
    }

    fn ready_at(&self, state: &SocketState, interest: Interest) -> Option<Instant> {
        let ready = match state {
            SocketState::Free | SocketState::Idle => return None,
            SocketState::Failed | SocketState::Broken(_) => return Some(self.now()),
            SocketState::Connecting(handshake) => {
                earliest(handshake.end.map(|(at, _)| at), self.source_leaves_at(handshake))
            }
            SocketState::Established { station, stream } => match interest {
                Interest::Connect => Some(self.now()),
                Interest::Receive => stream.receivable_at(&self.stations[*station].host),
                Interest::Send => stream.sendable_at(self.now()),
            },
        };
        earliest(ready, self.rules.gone_at)
    }

    /// When the address goes that a handshake was begun from.
    fn source_leaves_at(&self, handshake: &Handshake) -> Option<Instant> {
        let (family, at) = self.rules.moves_at?;
        let is_its = Family::of(&self.stations[handshake.station].address) == family;
        (is_its && handshake.began < at).then_some(at)
    }

    pub(crate) fn is_gone(&self) -> bool {
        self.rules.gone_at.is_some_and(|at| at <= self.now())
    }

    fn find(&self, address: SocketAddr) -> Option<&Endpoint> {
        self.stations.iter().find(|station| station.address == address)
    }

    fn station(&mut self, address: SocketAddr) -> usize {
        if let Some(known) = self.stations.iter().position(|station| station.address == address) {
            return known;
        }
        let rng = Self::numbers_of(self.seed, self.stations.len());
        let tally = Tally::default();
        self.stations.push(Endpoint { address, host: hang(), rng, tally, heard: Vec::new() });
        self.stations.len() - 1
    }

    /// The random numbers of the `place`-th address that a stack of `seed` leads to. Each address has numbers
    /// of its own, so that what happens to one does not depend on the others.
    #[must_use]
    pub fn numbers_of(seed: u64, place: usize) -> Rng {
        Rng::new(Rng::new(seed ^ ((place as u64) << 32)).bits())
    }

    fn slot(&self, socket: &SimSocket) -> usize {
        let known = self.slots.get(socket.slot).is_some_and(|slot| slot.serial == socket.serial);
        assert!(known, "a socket of another stack, or one that was released");
        socket.slot
    }

    /// Begins to connect: the first call of `connect`.
    fn begin(&mut self, slot: usize, remote: SocketAddr) -> Result<Handshake, AttemptErrorKind> {
        let station = self.station(remote);
        self.stations[station].tally.attempts += 1;
        let fails = if self.rules.fails_late && self.open > self.rules.capacity {
            self.failed_opens += 1;
            Some(AttemptErrorKind::OutOfSockets)
        } else if self.rules.without == Some(Family::of(&remote))
            || self.stations[station].host.answer == SynAnswer::NoRoute
        {
            Some(AttemptErrorKind::Unreachable)
        } else {
            None
        };
        if let Some(error) = fails {
            self.slots[slot].state = SocketState::Failed;
            self.stations[station].tally.failed += 1;
            return Err(error);
        }
        let handshake = Handshake { station, began: self.now(), syns: 0, next_syn: None, end: None };
        self.slots[slot].state = SocketState::Connecting(handshake);
        self.send_syn(slot, self.now());
        if self.rules.blocks {
            self.block(slot);
        }
        Ok(handshake)
    }

    /// Lets time pass until the handshake in `slot` has ended.
    fn block(&mut self, slot: usize) {
        let end = self.look_ahead(None, |stack| stack.ready_at(&stack.slots[slot].state, Interest::Connect));
        let end = end.expect("a connect that blocks ends some time");
        self.time.set(self.now().max(end));
    }

    /// What has become of the handshake in `slot`.
    fn finish(&mut self, slot: usize, handshake: Handshake) -> nb::Result<(), SimError> {
        let now = self.now();
        let station = &mut self.stations[handshake.station];
        let Some((at, result)) = handshake.end.filter(|(at, _)| *at <= now) else {
            return Err(nb::Error::WouldBlock);
        };
        let stream = Stream::new(&station.host, at);
        let result = match result {
            // Writable with an error pending is a failure.
            Ok(()) if stream.is_reset(now) => Err(AttemptErrorKind::Reset),
            other => other,
        };
        match result {
            Ok(()) => {
                station.tally.completed += 1;
                self.slots[slot].state = SocketState::Established { station: handshake.station, stream };
                Ok(())
            }
            Err(error) => {
                station.tally.failed += 1;
                self.slots[slot].state = SocketState::Failed;
                Err(nb::Error::Other(SimError(error)))
            }
        }
    }

    /// Fails the socket in `slot` for good.
    fn break_off<T>(&mut self, slot: usize, error: AttemptErrorKind) -> nb::Result<T, SimError> {
        match self.slots[slot].state {
            SocketState::Connecting(Handshake { station, .. }) => self.stations[station].tally.failed += 1,
            SocketState::Established { station, .. } => self.stations[station].tally.closed += 1,
            SocketState::Free | SocketState::Idle | SocketState::Failed | SocketState::Broken(_) => {}
        }
        self.slots[slot].state = match self.slots[slot].state {
            SocketState::Established { .. } => SocketState::Broken(error),
            _ => SocketState::Failed,
        };
        Err(nb::Error::Other(SimError(error)))
    }

    /// The established stream in `slot`, or what is wrong with it.
    fn stream(&mut self, slot: usize) -> Result<(usize, Stream), nb::Error<SimError>> {
        let SocketState::Established { station, stream } = self.slots[slot].state else {
            panic!("a socket that is not connected was used: {:?}", self.slots[slot].state);
        };
        let broken = if self.is_gone() {
            Some(AttemptErrorKind::StackGone)
        } else {
            stream.is_reset(self.now()).then_some(AttemptErrorKind::Reset)
        };
        match broken {
            Some(error) => self.break_off(slot, error),
            None => Ok((station, stream)),
        }
    }

    fn count_open(&mut self) {
        let now = self.now();
        self.asked += 1;
        self.asked_now = if now == self.last_asked { self.asked_now + 1 } else { 1 };
        self.last_asked = now;
        assert!(
            self.asked_now < OPENS_AT_ONE_MOMENT,
            "livelock: a socket is asked for at {now} over and over"
        );
    }

    /// Frees the slot of `socket` and counts how it ended.
    fn release(&mut self, socket: &SimSocket, reset: bool) {
        self.catch_up();
        let slot = self.slot(socket);
        let now = self.now();
        let state = std::mem::replace(&mut self.slots[slot].state, SocketState::Free);
        // No socket has this serial, so that a copy of the old one would be noticed.
        self.slots[slot].serial = 0;
        self.open -= 1;
        match state {
            SocketState::Free => panic!("a socket was released twice"),
            SocketState::Idle | SocketState::Failed | SocketState::Broken(_) => {}
            SocketState::Connecting(handshake) => {
                let tally = &mut self.stations[handshake.station].tally;
                tally.aborted += 1;
                // Complete on the host's side, or about to be: its SYN-ACK is answered by a reset.
                if let Some((at, Ok(()))) = handshake.end {
                    tally.resets += 1;
                    tally.completed += u32::from(at <= now);
                }
            }
            SocketState::Established { station, .. } => {
                let tally = &mut self.stations[station].tally;
                tally.closed += u32::from(!reset);
                tally.aborted += u32::from(reset);
                tally.resets += u32::from(reset);
            }
        }
    }
}

impl TcpClientStack for SimStack {
    type TcpSocket = SimSocket;
    type Error = SimError;

    fn socket(&mut self) -> Result<SimSocket, SimError> {
        self.count_open();
        if self.is_gone() {
            return Err(SimError(AttemptErrorKind::StackGone));
        }
        if self.rules.runs_out_at == Some(self.asked) {
            self.rules.capacity = self.open;
        }
        if self.open >= self.rules.capacity && !self.rules.fails_late {
            self.failed_opens += 1;
            return Err(SimError(AttemptErrorKind::OutOfSockets));
        }
        self.serial += 1;
        let opened = Slot { serial: self.serial, state: SocketState::Idle };
        let free = self.slots.iter().position(|slot| matches!(slot.state, SocketState::Free));
        let slot = free.unwrap_or_else(|| {
            self.slots.push(opened);
            self.slots.len() - 1
        });
        self.slots[slot] = opened;
        self.open += 1;
        self.peak = self.peak.max(self.open);
        Ok(SimSocket { slot, serial: self.serial })
    }

    fn connect(&mut self, socket: &mut SimSocket, remote: SocketAddr) -> nb::Result<(), SimError> {
        self.catch_up();
        let slot = self.slot(socket);
        if let SocketState::Idle = self.slots[slot].state {
            if self.is_gone() {
                return self.break_off(slot, AttemptErrorKind::StackGone);
            }
            self.begin(slot, remote).map_err(|error| nb::Error::Other(SimError(error)))?;
            if !self.rules.blocks {
                return Err(nb::Error::WouldBlock);
            }
        }
        match self.slots[slot].state {
            SocketState::Connecting(_) if self.is_gone() => self.break_off(slot, AttemptErrorKind::StackGone),
            SocketState::Connecting(handshake)
                if self.source_leaves_at(&handshake).is_some_and(|at| at <= self.now()) =>
            {
                self.break_off(slot, AttemptErrorKind::SourceGone)
            }
            SocketState::Connecting(handshake) => {
                let meant = self.stations[handshake.station].address;
                assert_eq!(meant, remote, "one socket was connected to two addresses");
                self.finish(slot, handshake)
            }
            SocketState::Established { .. } => self.stream(slot).map(|_| ()),
            state => panic!("a socket that has failed was connected: {state:?}"),
        }
    }

    fn send(&mut self, socket: &mut SimSocket, buffer: &[u8]) -> nb::Result<usize, SimError> {
        let slot = self.slot(socket);
        let (at, mut stream) = self.stream(slot)?;
        let station = &mut self.stations[at];
        let taken = stream.send(&station.host, buffer.len(), self.time.get());
        station.heard.extend_from_slice(&buffer[..taken]);
        self.slots[slot].state = SocketState::Established { station: at, stream };
        if taken == 0 && !buffer.is_empty() { Err(nb::Error::WouldBlock) } else { Ok(taken) }
    }

    fn receive(&mut self, socket: &mut SimSocket, buffer: &mut [u8]) -> nb::Result<usize, SimError> {
        let slot = self.slot(socket);
        if let SocketState::Broken(error) = self.slots[slot].state {
            return Err(nb::Error::Other(SimError(error)));
        }
        let (station, mut stream) = self.stream(slot)?;
        let received = stream.receive(&self.stations[station].host, buffer, self.now());
        self.slots[slot].state = SocketState::Established { station, stream };
        match received {
            Received::Bytes(count) => Ok(count),
            Received::Closed => Ok(0),
            Received::Nothing => Err(nb::Error::WouldBlock),
        }
    }

    fn close(&mut self, socket: SimSocket) -> Result<(), SimError> {
        self.release(&socket, false);
        Ok(())
    }
}

impl RaceStack for SimStack {
    fn attempt_error(&self, error: &SimError) -> AttemptError {
        error.0.into()
    }

    fn abort(&mut self, socket: SimSocket) {
        self.release(&socket, true);
    }
}
