//! What all lookups of a [`Dns`](crate::dns::Dns) share: the client, its sockets, and who waits.
//!
//! Nothing foreign runs while it is borrowed: sockets that are to be closed and wakers that are to be woken
//! are handed out.

use core::net::SocketAddr;
use core::task::Waker;

use connie_core::Instant;
use connie_dns::{DnsClient, DnsInput, DnsOutput, LARGEST_QUERY, Port};
use heapless::Vec;

/// Of which question, and with which server.
pub(crate) type Conversation = (Port, SocketAddr);

/// Tells apart to whom a slot was given one after another.
pub(crate) type Generation = u32;

/// A slot for a socket.
struct SocketSlot<S> {
    /// Whose it is.
    of: Option<Conversation>,
    /// Before it is opened, and while the driver has it, there is none.
    socket: Option<S>,
    /// How many slots had been given out when this one was.
    generation: Generation,
    /// The local port that was given out for it last.
    local: u16,
}

pub(crate) struct DnsState<
    S,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> {
    pub(crate) client: DnsClient<NAMES, SERVERS, NAME, DATA>,
    slots: [SocketSlot<S>; SOCKETS],
    generation: Generation,
    /// For local ports.
    random: u64,
    waiting: Vec<(Ticket, Waker), WAITERS>,
    /// Who drives, and what wakes it.
    driver: Option<(Ticket, Waker)>,
    /// The last that was given out.
    ticket: Ticket,
}

/// Tells lookups apart, and those that can drive.
pub(crate) type Ticket = u32;

/// What is to be done when the borrow is over: waking, and closing.
pub(crate) struct Deferred<S, const SOCKETS: usize, const WAITERS: usize> {
    wakers: Vec<Waker, WAITERS>,
    driver: Option<Waker>,
    sockets: Vec<S, SOCKETS>,
}

impl<S, const SOCKETS: usize, const WAITERS: usize> Deferred<S, SOCKETS, WAITERS> {
    pub(crate) const fn none() -> Self {
        Deferred { wakers: Vec::new(), driver: None, sockets: Vec::new() }
    }

    pub(crate) fn do_all(self) {
        drop(self.sockets);
        self.wakers.into_iter().for_each(Waker::wake);
        self.driver.into_iter().for_each(Waker::wake);
    }
}

/// What the driver is to do.
pub(crate) enum DriverStep {
    /// The query in the buffer, of this length, is to be sent from the socket in this slot.
    Send { index: usize, length: usize },
    /// Nothing before this moment, or before something happens.
    Wait(Option<Instant>),
}

impl<
    S,
    const NAMES: usize,
    const SOCKETS: usize,
    const WAITERS: usize,
    const SERVERS: usize,
    const NAME: usize,
    const DATA: usize,
> DnsState<S, NAMES, SOCKETS, WAITERS, SERVERS, NAME, DATA>
{
    pub(crate) fn new(client: DnsClient<NAMES, SERVERS, NAME, DATA>, seed: u64) -> Self {
        const { assert!(SOCKETS >= 1 && SOCKETS <= 64, "a socket at least, and no more than 64") };
        let slots = core::array::from_fn(|_| SocketSlot { of: None, socket: None, generation: 0, local: 0 });
        DnsState { client, slots, generation: 0, random: seed, waiting: Vec::new(), driver: None, ticket: 0 }
    }

    // Who waits, and who drives.

    pub(crate) const fn take_ticket(&mut self) -> Ticket {
        self.ticket = self.ticket.wrapping_add(1);
        self.ticket
    }

    /// Whether this one drives from now on: nobody else does.
    pub(crate) fn drives(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        match &mut self.driver {
            Some((driver, known)) if *driver == ticket => known.clone_from(waker),
            Some(_) => return false,
            None => self.driver = Some((ticket, waker.clone())),
        }
        true
    }

    /// Whether this lookup will be woken: there is room for its waker. One that is woken with the one that
    /// drives needs none.
    pub(crate) fn waits(&mut self, ticket: Ticket, waker: &Waker) -> bool {
        if self.driver.as_ref().is_some_and(|(_, driver)| driver.will_wake(waker)) {
            self.leave(ticket);
            return true;
        }
        if let Some((_, known)) = self.waiting.iter_mut().find(|(of, _)| *of == ticket) {
            known.clone_from(waker);
            return true;
        }
        self.waiting.push((ticket, waker.clone())).is_ok()
    }

    /// This lookup is over.
    pub(crate) fn leave(&mut self, ticket: Ticket) {
        self.waiting.retain(|(of, _)| *of != ticket);
    }

    /// This one drives no more. Where it did, another has to, which may be of the same task.
    pub(crate) fn leave_driving(&mut self, ticket: Ticket, deferred: &mut Deferred<S, SOCKETS, WAITERS>) {
        if let Some((_, waker)) = self.driver.take_if(|(driver, _)| *driver == ticket) {
            self.wake_all(deferred);
            deferred.driver = Some(waker);
        }
    }

    /// Wakes all who wait: something has ended, or somebody else has to drive. Among them are those in the
    /// task of the one that drives.
    pub(crate) fn wake_all(&self, deferred: &mut Deferred<S, SOCKETS, WAITERS>) {
        deferred.wakers.clear();
        for (_, waker) in &self.waiting {
            // There is as much room here as there.
            let _ = deferred.wakers.push(waker.clone());
        }
        self.wake_driver(deferred);
    }

    /// Wakes the one that drives: there may be something to send, or a socket to close.
    pub(crate) fn wake_driver(&self, deferred: &mut Deferred<S, SOCKETS, WAITERS>) {
        deferred.driver = self.driver.as_ref().map(|(_, waker)| waker.clone());
    }

    // What is sent.

    /// Polls the client until there is something to send, or nothing to do.
    pub(crate) fn step(
        &mut self,
        buffer: &mut [u8; LARGEST_QUERY],
        now: Instant,
        deferred: &mut Deferred<S, SOCKETS, WAITERS>,
    ) -> DriverStep {
        loop {
            match self.client.poll_output(buffer, now) {
                DnsOutput::Send { port, server, length } => {
                    self.release(deferred);
                    // Where there is no slot, the query counts as lost, and is sent again.
                    if let Some(index) = self.slot((port, server), deferred) {
                        return DriverStep::Send { index, length };
                    }
                }
                // Not by these settings.
                DnsOutput::Connect { port, server, .. } => {
                    self.client.handle_input(DnsInput::StreamFailed { port, server }, now);
                }
                DnsOutput::Ended(_) => self.wake_all(deferred),
                DnsOutput::WaitUntil(at) => return DriverStep::Wait(Some(at)),
                DnsOutput::WaitForInput => return DriverStep::Wait(None),
            }
        }
    }

    /// A slot for this conversation: its own, a free one, or that of the server that the same question was
    /// put to first. It is given up to the next: the one that was silent for so long is the least likely to
    /// be.
    fn slot(&mut self, of: Conversation, deferred: &mut Deferred<S, SOCKETS, WAITERS>) -> Option<usize> {
        let find = |wanted: &dyn Fn(&SocketSlot<S>) -> bool| {
            let slots = self.slots.iter().enumerate().filter(|(_, slot)| wanted(slot));
            slots.min_by_key(|(_, slot)| slot.generation).map(|(index, _)| index)
        };
        let is_own = |slot: &SocketSlot<S>| slot.of == Some(of);
        if let Some(index) = find(&is_own) {
            return Some(index);
        }
        let is_free = |slot: &SocketSlot<S>| slot.of.is_none();
        let has_port = |slot: &SocketSlot<S>| slot.of.is_some_and(|(port, _)| port == of.0);
        let index = find(&is_free).or_else(|| find(&has_port))?;
        self.generation = self.generation.wrapping_add(1);
        let slot = self.slots.get_mut(index)?;
        (slot.of, slot.generation) = (Some(of), self.generation);
        if let Some(socket) = slot.socket.take() {
            let _ = deferred.sockets.push(socket);
        }
        Some(index)
    }

    /// Gives up the slots of questions that are asked no more. Whether there were any.
    pub(crate) fn release(&mut self, deferred: &mut Deferred<S, SOCKETS, WAITERS>) -> bool {
        let mut any = false;
        for slot in &mut self.slots {
            if slot.of.is_some_and(|(port, _)| !self.client.is_open(port)) {
                slot.of = None;
                any = true;
                if let Some(socket) = slot.socket.take() {
                    // There is room for as many as there are slots; where one was put here before, this one
                    // is closed now.
                    let _ = deferred.sockets.push(socket);
                }
            }
        }
        any
    }

    /// Gives up a slot. What was in it is to be closed.
    pub(crate) fn give_up(&mut self, index: usize) -> Option<S> {
        let slot = self.slots.get_mut(index)?;
        slot.of = None;
        slot.socket.take()
    }

    // What has the driver.

    /// Whose a slot was in this generation, if it still is.
    pub(crate) fn of(&self, index: usize, generation: Generation) -> Option<Conversation> {
        self.slots.get(index).filter(|slot| slot.generation == generation)?.of
    }

    /// The generation of a slot that is in use.
    pub(crate) fn generation(&self, index: usize) -> Option<Generation> {
        self.slots.get(index).filter(|slot| slot.of.is_some()).map(|slot| slot.generation)
    }

    pub(crate) fn has_socket(&self, index: usize) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.socket.is_some())
    }

    /// The socket in a slot.
    pub(crate) fn take(&mut self, index: usize) -> Option<S> {
        self.slots.get_mut(index)?.socket.take()
    }

    /// Puts a socket back, unless the slot is somebody else's by now: then it is to be closed.
    pub(crate) fn put_back(&mut self, index: usize, generation: Generation, socket: S) -> Option<S> {
        match self.slots.get_mut(index) {
            Some(slot) if slot.generation == generation && slot.of.is_some() => slot.socket.replace(socket),
            _ => Some(socket),
        }
    }

    /// A local port that is hard to guess, and that no other slot has: any of the upper half of all ports,
    /// since below are most of those that services have. RFC 5452 section 9.2 wants the range "as large as
    /// possible and practicable".
    pub(crate) fn local_port(&mut self, index: usize) -> u16 {
        const UPPER_HALF: u16 = 0x8000;
        // SplitMix64: a step of a sequence, and its bits mixed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [high, low, ..] = (mixed ^ (mixed >> 31)).to_be_bytes();
        let mut local = u16::from_be_bytes([high, low]) | UPPER_HALF;
        // There are more ports than slots: one of the next is free.
        while self.slots.iter().enumerate().any(|(other, slot)| other != index && slot.local == local) {
            local = local.wrapping_add(1) | UPPER_HALF;
        }
        if let Some(slot) = self.slots.get_mut(index) {
            slot.local = local;
        }
        local
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use connie_dns::DnsConfig;

    use super::*;

    /// Of 16 groups of equal size none has half more than its share, and no two slots have the same.
    #[test]
    fn a_local_port_may_be_any_of_the_upper_half_that_no_other_place_has() {
        let client = DnsClient::<1, 1, 64, 16>::new(DnsConfig::default(), 1);
        let mut shared = DnsState::<(), 1, 3, 1, 1, 64, 16>::new(client, 2);
        let (mut groups, mut ports) = ([0; 16], [0, 1, 2]);
        for turn in 0..24_576 {
            ports[turn % 3] = shared.local_port(turn % 3);
            let [a, b, c] = ports;
            assert!(a != b && b != c && a != c, "{ports:?}");
            assert!(ports[turn % 3] >= 0x8000);
            groups[usize::from(ports[turn % 3] >> 11) - 16] += 1;
        }
        assert!(groups.iter().all(|count| (1_024..2_048).contains(count)), "{groups:?}");
        // The next one, and after the last the first, where another slot has what was drawn.
        let mut drawn = |taken: &[u16]| {
            shared.random = 2;
            for (slot, local) in shared.slots.iter_mut().skip(1).zip(taken) {
                slot.local = *local;
            }
            shared.local_port(0)
        };
        let first = drawn(&[0, 0]);
        assert_eq!(drawn(&[first, 0]), first + 1);
        assert_eq!(drawn(&[first + 1, first]), first + 2);
    }
}
