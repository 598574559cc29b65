//! Connections: embedded-nal's `TcpClientStack`, and what a race asks beyond it.

use core::net::SocketAddr;
use core::time::Duration;

use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Family, Interest, RaceStack};
use smoltcp::phy::Device;
use smoltcp::socket::{Socket, tcp};
use smoltcp::wire::{IpAddress, IpEndpoint};

use crate::address;
use crate::error::StackError;
use crate::next_hop::is_router;
use crate::platform::Platform;
use crate::slot::{TcpAttempt, TcpPhase, TcpSlot};
use crate::stack::{Stack, find};

/// One TCP socket of a [`Stack`]. Give it back by `close` or [`abort`](RaceStack::abort): dropping it does
/// neither, and its place is lost until the stack is made anew.
#[derive(Debug)]
#[must_use = "dropping it does not close it: its place in the stack is lost"]
pub struct TcpSocket {
    index: usize,
}

impl<'a, D: Device, B: Platform, const TCP: usize, const UDP: usize> Stack<'a, D, B, TCP, UDP> {
    /// The local address of a socket that is connected or connecting.
    pub fn local_address(&self, socket: &TcpSocket) -> Option<SocketAddr> {
        let slot = self.slots.get(socket.index)?;
        matches!(slot.phase, TcpPhase::Connecting | TcpPhase::Connected)
            .then(|| address::socket_addr(slot.attempt.local))
    }

    /// How many sockets are free for `socket`.
    pub fn free_sockets(&self) -> usize {
        self.slots.iter().filter(|slot| matches!(slot.phase, TcpPhase::Free | TcpPhase::Leaving(_))).count()
    }

    /// Whether a call that `interest` stands for would not block.
    pub(crate) fn is_ready(&mut self, socket: &TcpSocket, interest: Interest) -> bool {
        let source = self.source(socket.index, interest != Interest::Connect);
        let Some(slot) = self.slots.get(socket.index) else { return true };
        let is_unreachable = slot.attempt.is_unreachable;
        let Some(socket) = find::<tcp::Socket<'_>>(&mut self.sockets, slot.handle) else { return true };
        match interest {
            _ if source != SourceFate::Stays => source != SourceFate::Awaited,
            Interest::Connect => {
                is_unreachable || !matches!(socket.state(), tcp::State::SynSent | tcp::State::SynReceived)
            }
            Interest::Receive => socket.can_recv() || !socket.may_recv(),
            Interest::Send => socket.can_send() || !socket.may_send(),
        }
    }

    fn phase(&self, socket: &TcpSocket) -> Option<TcpPhase> {
        Some(self.slots.get(socket.index)?.phase)
    }

    fn set_phase(&mut self, index: usize, phase: TcpPhase) {
        if let Some(slot) = self.slots.get_mut(index) {
            slot.phase = phase;
        }
    }

    /// smoltcp's socket behind a place. There always is one.
    fn tcp(&mut self, index: usize) -> Option<&mut tcp::Socket<'a>> {
        let handle = self.slots.get(index)?.handle;
        find(&mut self.sockets, handle)
    }

    fn state(&mut self, index: usize) -> tcp::State {
        self.tcp(index).map_or(tcp::State::Closed, |socket| socket.state())
    }

    /// Begins a handshake. The SYN leaves at the next poll.
    fn begin(&mut self, index: usize, remote: SocketAddr) -> Result<(), StackError> {
        let remote = address::endpoint(remote).ok_or(StackError::Unreachable)?;
        let Some((next_hop, source)) = self.next_hop_to(remote.addr) else {
            return self.begin_without_source(index, remote);
        };
        let port = self.free_port().ok_or(StackError::OutOfSockets)?;
        let local = IpEndpoint::new(source, port);
        let timeout = self.connect_timeout.min(LONGEST_TIMEOUT);
        let gives_up = self.now() + timeout;
        let slot = self.slots.get_mut(index).ok_or(StackError::NotConnected)?;
        let attempt = TcpAttempt {
            local,
            remote,
            next_hop,
            gives_up,
            syn: None,
            #[cfg(feature = "ethernet")]
            is_repeated: false,
            is_unreachable: false,
        };
        let socket: &mut tcp::Socket<'_> =
            find(&mut self.sockets, slot.handle).ok_or(StackError::NotConnected)?;
        socket.set_timeout(Some(timeout.into()));
        // What is left that it can object to is port 0.
        socket.connect(self.interface.context(), remote, local).map_err(|_| StackError::Unreachable)?;
        slot.attempt = attempt;
        slot.phase = TcpPhase::Connecting;
        self.has_work = true;
        Ok(())
    }

    /// An attempt of a family that has lost its address and may get another: it waits for that, and begins
    /// anew from there.
    fn begin_without_source(&mut self, index: usize, remote: IpEndpoint) -> Result<(), StackError> {
        let now = self.now();
        let is_awaited = self.sources.awaited_until(family_of(remote.addr)).is_some_and(|until| now < until);
        let slot = self.slots.get_mut(index).filter(|_| is_awaited).ok_or(StackError::Unreachable)?;
        let nowhere = TcpSlot::new(slot.handle).attempt;
        slot.attempt = TcpAttempt { remote, ..nowhere };
        slot.phase = TcpPhase::Connecting;
        Ok(())
    }

    /// What has become of the address and the router that a socket's segments leave by. A connection that is
    /// established goes on by another router.
    fn source(&mut self, index: usize, is_established: bool) -> SourceFate {
        let Some(TcpAttempt { local, remote, next_hop, .. }) = self.slots.get(index).map(|it| &it.attempt)
        else {
            return SourceFate::Stays;
        };
        let (own, remote, next_hop) = (local.addr, remote.addr, *next_hop);
        // Who was never connected has no address.
        if remote.is_unspecified()
            || self.interface.has_ip_addr(own)
                && (is_established || next_hop == remote || is_router(&mut self.interface, next_hop))
        {
            return SourceFate::Stays;
        }
        let is_replaced = self.next_hop_to(remote).is_some();
        let now = self.now();
        if is_replaced {
            // It is counted before it is said, so that nobody takes it for another one later.
            self.note_sources(now);
            return SourceFate::Replaced;
        }
        match self.sources.awaited_until(family_of(remote)) {
            Some(until) if now < until => SourceFate::Awaited,
            _ => SourceFate::Lost,
        }
    }

    /// What has become of a handshake; `None` while it is under way.
    fn outcome(&mut self, index: usize) -> Option<Result<(), StackError>> {
        let state = self.state(index);
        // The peer may have closed its side already: that is a connection all the same.
        let is_established = matches!(state, tcp::State::Established | tcp::State::CloseWait);
        match self.source(index, is_established) {
            SourceFate::Stays if is_established => return Some(Ok(())),
            SourceFate::Stays => {}
            SourceFate::Awaited => return None,
            SourceFate::Replaced => return Some(Err(StackError::SourceGone)),
            SourceFate::Lost => return Some(Err(StackError::Unreachable)),
        }
        match state {
            tcp::State::SynSent | tcp::State::SynReceived => {
                let unreachable = self.slots.get(index).is_some_and(|slot| slot.attempt.is_unreachable);
                return unreachable.then_some(Err(StackError::Unreachable));
            }
            _ => {}
        }
        let now = self.now();
        let TcpAttempt { gives_up, .. } = &self.slots.get(index)?.attempt;
        Some(Err(if now >= *gives_up { StackError::TimedOut } else { StackError::Refused }))
    }

    /// Takes note of how a handshake has ended.
    fn conclude(&mut self, index: usize) -> nb::Result<(), StackError> {
        let outcome = self.outcome(index).or_else(|| {
            self.poll();
            self.outcome(index)
        });
        let outcome = outcome.ok_or(nb::Error::WouldBlock)?;
        self.set_phase(index, if outcome.is_ok() { TcpPhase::Connected } else { TcpPhase::Failed });
        outcome.map_err(nb::Error::Other)
    }

    /// Why a connection can no longer be used: smoltcp closes one without a word whose own address was taken
    /// away. It waits for another, so that who connects again can.
    fn lost(&mut self, index: usize) -> nb::Error<StackError> {
        match self.source(index, true) {
            SourceFate::Stays => nb::Error::Other(StackError::Reset),
            SourceFate::Awaited => nb::Error::WouldBlock,
            SourceFate::Replaced | SourceFate::Lost => nb::Error::Other(StackError::SourceGone),
        }
    }

    /// Makes a place's socket as new, and says nothing to its peer.
    fn renew(&mut self, index: usize) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if find::<tcp::Socket<'_>>(&mut self.sockets, slot.handle).is_none() {
            return;
        }
        // Taken out and put back, so that smoltcp forgets which neighbour the socket waited for: for a second
        // it would not send to any other. There is a socket behind the handle, as was just seen, so that this
        // does not panic...
        if let Socket::Tcp(mut socket) = self.sockets.remove(slot.handle) {
            // A socket that was closed without a word still owes a reset. One that listens forgets all it
            // was, and one that listened owes nothing.
            socket.abort();
            let _ = socket.listen(1);
            socket.close();
            // ...and nor does this, with the place that was just made.
            slot.handle = self.sockets.add(socket);
        }
        slot.phase = TcpPhase::Free;
    }

    /// Takes back the sockets that have nothing more to send, and sees to the time-outs of the others.
    pub(crate) fn settle(&mut self) {
        let (now, timeout) = (self.now(), self.connect_timeout.min(LONGEST_TIMEOUT));
        for index in 0..TCP {
            match self.slots.get(index).map(|slot| slot.phase) {
                Some(TcpPhase::Leaving(since)) => {
                    if self.tcp(index).is_none_or(|socket| socket.local_endpoint().is_none()) {
                        self.renew(index);
                    } else if now >= since + timeout
                        && let Some(socket) = self.tcp(index)
                    {
                        socket.abort();
                        self.has_work = true;
                    }
                }
                // smoltcp's time-out counts the silence of a peer that has nothing to say, too: against what
                // `set_timeout` promises, it resets a connection that is idle (`dispatch` looks at nothing
                // but the time). So there is one only while something is under way.
                Some(TcpPhase::Connected) => {
                    if let Some(socket) = self.tcp(index) {
                        let waits = socket.send_queue() > 0;
                        socket.set_timeout(waits.then_some(timeout.into()));
                    }
                }
                _ => {}
            }
        }
    }

    /// A place that nobody has.
    fn free_place(&mut self) -> Option<usize> {
        let free = |slots: &[TcpSlot]| slots.iter().position(|slot| slot.phase == TcpPhase::Free);
        if let Some(index) = free(&self.slots) {
            return Some(index);
        }
        // One that was left may be ready, or wait in TIME-WAIT, which the ports outlast.
        self.flush();
        self.settle();
        if let Some(index) = free(&self.slots) {
            return Some(index);
        }
        let left = self.slots.iter().enumerate().filter_map(|(index, slot)| match slot.phase {
            TcpPhase::Leaving(since) => Some((since, index)),
            _ => None,
        });
        let (_, index) = left.min_by_key(|(since, _)| *since)?;
        if self.state(index) != tcp::State::TimeWait {
            self.tcp(index)?.abort();
            self.flush();
        }
        self.renew(index);
        Some(index)
    }

    /// Leaves a socket to finish on its own, and starts it on its way.
    fn leave(&mut self, index: usize) {
        let now = self.now();
        self.set_phase(index, TcpPhase::Leaving(now));
        self.has_work = true;
        self.flush();
        self.settle();
    }
}

/// What has become of the address and the router that a socket's segments leave by.
#[derive(Clone, Copy, PartialEq, Eq)]
enum SourceFate {
    Stays,
    /// There are others.
    Replaced,
    /// There may be others soon.
    Awaited,
    /// There are no others.
    Lost,
}

fn family_of(address: IpAddress) -> Family {
    if core::net::IpAddr::from(address).is_ipv6() { Family::V6 } else { Family::V4 }
}

/// A day: smoltcp adds the time-out to the time.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(86_400);

impl<D: Device, B: Platform, const TCP: usize, const UDP: usize> TcpClientStack
    for Stack<'_, D, B, TCP, UDP>
{
    type TcpSocket = TcpSocket;
    type Error = StackError;

    fn socket(&mut self) -> Result<TcpSocket, StackError> {
        let index = self.free_place().ok_or(StackError::OutOfSockets)?;
        self.set_phase(index, TcpPhase::New);
        Ok(TcpSocket { index })
    }

    /// Begins a handshake, or says how it stands. Never waits.
    ///
    /// # Errors
    ///
    /// [`StackError::Refused`], [`StackError::Unreachable`], [`StackError::TimedOut`],
    /// [`StackError::SourceGone`], once; then [`StackError::NotConnected`].
    fn connect(&mut self, socket: &mut TcpSocket, remote: SocketAddr) -> nb::Result<(), StackError> {
        match self.phase(socket) {
            Some(TcpPhase::New) => match self.begin(socket.index, remote) {
                Ok(()) => Err(nb::Error::WouldBlock),
                Err(error) => {
                    self.set_phase(socket.index, TcpPhase::Failed);
                    Err(nb::Error::Other(error))
                }
            },
            Some(TcpPhase::Connecting) => self.conclude(socket.index),
            Some(TcpPhase::Connected) => Ok(()),
            _ => Err(nb::Error::Other(StackError::NotConnected)),
        }
    }

    /// Hands over as much of `buffer` as the socket has room for, and says how much that is.
    ///
    /// # Errors
    ///
    /// [`StackError::Reset`], [`StackError::SourceGone`], [`StackError::NotConnected`].
    fn send(&mut self, socket: &mut TcpSocket, buffer: &[u8]) -> nb::Result<usize, StackError> {
        if self.phase(socket) != Some(TcpPhase::Connected) {
            return Err(nb::Error::Other(StackError::NotConnected));
        }
        for last in [false, true] {
            let tcp = self.tcp(socket.index).ok_or(StackError::NotConnected)?;
            match tcp.send_slice(buffer) {
                Ok(0) if !buffer.is_empty() => {}
                Ok(sent) => {
                    self.has_work = true;
                    return Ok(sent);
                }
                Err(_) => match self.lost(socket.index) {
                    nb::Error::WouldBlock => {}
                    error => return Err(error),
                },
            }
            if !last {
                self.poll();
            }
        }
        Err(nb::Error::WouldBlock)
    }

    /// Takes what was received. `Ok(0)`, for a buffer that is not empty: the peer has closed its side.
    ///
    /// # Errors
    ///
    /// [`StackError::Reset`], [`StackError::SourceGone`], [`StackError::NotConnected`].
    fn receive(&mut self, socket: &mut TcpSocket, buffer: &mut [u8]) -> nb::Result<usize, StackError> {
        if self.phase(socket) != Some(TcpPhase::Connected) {
            return Err(nb::Error::Other(StackError::NotConnected));
        }
        for last in [false, true] {
            let tcp = self.tcp(socket.index).ok_or(StackError::NotConnected)?;
            match tcp.recv_slice(buffer) {
                Ok(0) if !buffer.is_empty() => {}
                Ok(received) => {
                    // The peer learns of the room that this has made.
                    self.has_work = true;
                    return Ok(received);
                }
                Err(tcp::RecvError::Finished) => return Ok(0),
                Err(tcp::RecvError::InvalidState) => match self.lost(socket.index) {
                    nb::Error::WouldBlock => {}
                    error => return Err(error),
                },
            }
            if !last {
                self.poll();
            }
        }
        Err(nb::Error::WouldBlock)
    }

    /// Closes the connection in good order: what was sent is still delivered, as long as the stack is polled.
    fn close(&mut self, socket: TcpSocket) -> Result<(), StackError> {
        if self.phase(&socket) != Some(TcpPhase::Connected) {
            self.abort(socket);
            return Ok(());
        }
        if let Some(tcp) = self.tcp(socket.index) {
            tcp.close();
        }
        self.leave(socket.index);
        Ok(())
    }
}

impl<D: Device, B: Platform, const TCP: usize, const UDP: usize> RaceStack for Stack<'_, D, B, TCP, UDP> {
    fn attempt_error(&self, error: &StackError) -> AttemptError {
        error.attempt_error()
    }

    fn source_changes(&self, family: Family) -> Option<u8> {
        Some(self.sources.changes_of(family))
    }

    fn abort(&mut self, socket: TcpSocket) {
        match self.phase(&socket) {
            None | Some(TcpPhase::Free | TcpPhase::Leaving(_)) => return,
            Some(TcpPhase::New | TcpPhase::Failed | TcpPhase::Connecting | TcpPhase::Connected) => {}
        }
        // RFC 9293 section 3.10.5, ABORT in SYN-SENT: "Delete the TCB, enter CLOSED state, and return."
        // Nothing is sent.
        if self.state(socket.index) == tcp::State::SynSent {
            return self.renew(socket.index);
        }
        if let Some(tcp) = self.tcp(socket.index) {
            tcp.abort();
        }
        self.leave(socket.index);
    }
}
