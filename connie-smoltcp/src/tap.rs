//! A tap: a device that passes every frame on and notes what smoltcp does not report.
//!
//! Five things are noted. That a SYN has left, since a socket whose neighbour is unknown waits in silence.
//! Which neighbours smoltcp has asked for, so that they are not asked for twice. The ICMP errors that come
//! back for a SYN or for a question to a name server, which smoltcp ignores. When routers were asked for, and
//! whether the device had no room for a frame, since smoltcp's own account of when to serve it is wrong with
//! SLAAC.

use core::cell::{Cell, RefCell};

use connie_core::Instant;
use smoltcp::phy::{ChecksumCapabilities, Device, DeviceCapabilities, Medium, PacketMeta, RxToken, TxToken};

use crate::frame;
use crate::slot::TcpSlot;

/// What the device shares with the stack while smoltcp uses it.
pub(crate) struct Tap<'s> {
    pub(crate) slots: RefCell<&'s mut [TcpSlot]>,
    #[cfg(feature = "ethernet")]
    pub(crate) solicited: RefCell<&'s mut crate::neighbour::RecentSolicitations>,
    #[cfg(feature = "dns")]
    pub(crate) undelivered: RefCell<&'s mut crate::undelivered::Undelivered>,
    pub(crate) seen: &'s Seen,
    pub(crate) now: Instant,
    pub(crate) medium: Medium,
    pub(crate) checksums: ChecksumCapabilities,
}

/// What is kept of that from one poll to the next.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whether the device had no room for a frame in the last poll.
    pub(crate) refused: Cell<bool>,
    /// When smoltcp last asked for routers.
    #[cfg(feature = "slaac")]
    pub(crate) routers_asked: Cell<Option<Instant>>,
}

impl Tap<'_> {
    fn each(&self, mut visit: impl FnMut(&mut TcpSlot)) {
        // Never borrowed twice: no visit calls anything that borrows.
        if let Ok(mut slots) = self.slots.try_borrow_mut() {
            slots.iter_mut().for_each(&mut visit);
        }
    }

    fn sent(&self, octets: &[u8]) {
        self.note_sent(frame::read_sent(octets, self.medium));
    }

    pub(crate) fn note_sent(&self, sent: Option<frame::SentFrame>) {
        match sent {
            Some(frame::SentFrame::Syn { port, sequence }) => self.each(|slot| slot.note_syn(port, sequence)),
            #[cfg(feature = "ethernet")]
            Some(frame::SentFrame::Solicitation(target)) => {
                // Borrowed here alone.
                if let Ok(mut solicited) = self.solicited.try_borrow_mut() {
                    solicited.note(target, self.now);
                }
            }
            #[cfg(feature = "slaac")]
            Some(frame::SentFrame::RouterSolicitation) => self.seen.routers_asked.set(Some(self.now)),
            None => {}
        }
    }

    // Not inlined: its caller would keep room for it on the stack while smoltcp reads the frame.
    #[inline(never)]
    pub(crate) fn received(&self, octets: &[u8]) {
        if let Some(error) = frame::icmp_error(octets, self.medium, &self.checksums) {
            self.each(|slot| slot.note_unreachable(&error));
            // Borrowed here alone.
            #[cfg(feature = "dns")]
            if let Ok(mut undelivered) = self.undelivered.try_borrow_mut() {
                undelivered.note(&error);
            }
        }
    }
}

/// The device, watched.
pub(crate) struct TappedDevice<'d, 's, D: ?Sized> {
    pub(crate) device: &'d mut D,
    pub(crate) tap: &'d Tap<'s>,
}

impl<'s, D: Device + ?Sized> Device for TappedDevice<'_, 's, D> {
    type RxToken<'t>
        = TappedToken<'t, 's, D::RxToken<'t>>
    where
        Self: 't;
    type TxToken<'t>
        = TappedToken<'t, 's, D::TxToken<'t>>
    where
        Self: 't;

    fn receive(&mut self, now: smoltcp::time::Instant) -> Option<(Self::RxToken<'_>, Self::TxToken<'_>)> {
        let (receive, send) = self.device.receive(now)?;
        let tap = self.tap;
        Some((TappedToken { token: receive, tap }, TappedToken { token: send, tap }))
    }

    fn transmit(&mut self, now: smoltcp::time::Instant) -> Option<Self::TxToken<'_>> {
        let token = self.device.transmit(now);
        if token.is_none() {
            self.tap.seen.refused.set(true);
        }
        Some(TappedToken { token: token?, tap: self.tap })
    }

    fn capabilities(&self) -> DeviceCapabilities {
        self.device.capabilities()
    }
}

/// One frame's right to be received or sent.
pub(crate) struct TappedToken<'t, 's, T> {
    token: T,
    tap: &'t Tap<'s>,
}

impl<T: RxToken> RxToken for TappedToken<'_, '_, T> {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, f: F) -> R {
        let tap = self.tap;
        self.token.consume(|frame| {
            tap.received(frame);
            f(frame)
        })
    }

    fn meta(&self) -> PacketMeta {
        self.token.meta()
    }
}

impl<T: TxToken> TxToken for TappedToken<'_, '_, T> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, length: usize, f: F) -> R {
        let tap = self.tap;
        self.token.consume(length, |frame| {
            let result = f(frame);
            tap.sent(frame);
            result
        })
    }

    fn set_meta(&mut self, meta: PacketMeta) {
        self.token.set_meta(meta);
    }
}
