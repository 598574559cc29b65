//! The eight sockets of a W5500 as a stack to race on: the chip does TCP itself, and has the buffers.

use core::net::{SocketAddr, SocketAddrV4};

use connie_core::stack::{
    PollEntry, PollResult, Poller, RaceStack, TcpClientStack, TcpError, TcpErrorKind, nb,
};
use connie_core::{AttemptError, AttemptErrorKind, Instant};
use embassy_time::block_for;
use w5500_hl::Tcp;
use w5500_hl::ll::{Registers, SOCKETS, Sn, SocketCommand, SocketStatus};

pub struct Chip<W> {
    chip: W,
    is_taken: [bool; 8],
    port: u16,
}

/// A socket of the chip.
#[derive(Debug)]
pub struct Socket {
    number: Sn,
    is_begun: bool,
}

#[derive(Debug)]
pub enum Error<E> {
    Spi(E),
    /// All eight are taken.
    NoSocket,
    /// The chip has no IPv6.
    NotIpv4,
    /// No answer, after as many tries as the chip is set to.
    TimedOut,
    /// The peer has refused the connection, or reset it before it was there.
    Refused,
    /// The connection has ended without the peer's FIN: what was received may be a part.
    BrokenOff,
}

impl<E: core::fmt::Debug> TcpError for Error<E> {
    fn kind(&self) -> TcpErrorKind {
        // Never `PipeClosed`, which a reader takes for the end of all that the peer had to send: a FIN is
        // that, and `receive` answers `Ok(0)` to it.
        TcpErrorKind::Other
    }
}

impl<W: Registers> Chip<W> {
    /// The first local port comes from `seed`, another at each start: see docs/your-board.md.
    pub fn new(chip: W, seed: u64) -> Self {
        Chip { chip, is_taken: [false; 8], port: 0xc000 | (seed as u16 & 0x3fff) }
    }

    fn take(&mut self, number: Sn, is_taken: bool) {
        // There are eight sockets, and as many places.
        if let Some(place) = self.is_taken.get_mut(usize::from(number)) {
            *place = is_taken;
        }
    }

    /// Why the chip has closed a socket. It raises the time-out once an answer fails to come, and else the
    /// peer has sent a reset.
    fn why_closed(&mut self, socket: &Socket, by_peer: Error<W::Error>) -> Error<W::Error> {
        match self.chip.sn_ir(socket.number) {
            Ok(why) if why.timeout_raised() => Error::TimedOut,
            Ok(_) => by_peer,
            Err(error) => Error::Spi(error),
        }
    }

    fn status(&mut self, socket: &Socket) -> nb::Result<Option<SocketStatus>, Error<W::Error>> {
        Ok(self.chip.sn_sr(socket.number).map_err(Error::Spi)?.ok())
    }
}

impl<W: Registers + Tcp> TcpClientStack for Chip<W>
where
    W::Error: core::fmt::Debug,
{
    type TcpSocket = Socket;
    type Error = Error<W::Error>;

    fn socket(&mut self) -> Result<Socket, Self::Error> {
        // One that is through with its last connection before one whose FIN is on its way, which a new
        // connect would cut off.
        let mut chosen = None;
        for (number, _) in SOCKETS.into_iter().zip(self.is_taken).filter(|(_, is_taken)| !is_taken) {
            let is_closed = self.chip.sn_sr(number).map_err(Error::Spi)? == Ok(SocketStatus::Closed);
            if is_closed || chosen.is_none() {
                chosen = Some(number);
            }
            if is_closed {
                break;
            }
        }
        let number = chosen.ok_or(Error::NoSocket)?;
        self.take(number, true);
        Ok(Socket { number, is_begun: false })
    }

    fn connect(&mut self, socket: &mut Socket, remote: SocketAddr) -> nb::Result<(), Self::Error> {
        let SocketAddr::V4(remote) = remote else { return Err(nb::Error::Other(Error::NotIpv4)) };
        if !socket.is_begun {
            self.port = 0xc000 | self.port.wrapping_add(1);
            let remote = SocketAddrV4::new(*remote.ip(), remote.port());
            self.chip.set_sn_ir(socket.number, 0xff).map_err(Error::Spi)?;
            self.chip.tcp_connect(socket.number, self.port, &remote).map_err(Error::Spi)?;
            socket.is_begun = true;
            return Err(nb::Error::WouldBlock);
        }
        match self.status(socket)? {
            Some(SocketStatus::Established | SocketStatus::CloseWait) => Ok(()),
            Some(SocketStatus::Closed) => Err(nb::Error::Other(self.why_closed(socket, Error::Refused))),
            _ => Err(nb::Error::WouldBlock),
        }
    }

    fn send(&mut self, socket: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Self::Error> {
        if self.status(socket)? == Some(SocketStatus::Closed) {
            return Err(nb::Error::Other(self.why_closed(socket, Error::BrokenOff)));
        }
        match self.chip.tcp_write(socket.number, buffer).map_err(Error::Spi)? {
            0 if !buffer.is_empty() => Err(nb::Error::WouldBlock),
            sent => Ok(sent.into()),
        }
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Self::Error> {
        // Read before the data, so that none that comes in between is missed.
        let status = self.status(socket)?;
        match (self.chip.tcp_read(socket.number, buffer).map_err(Error::Spi)?, status) {
            // There was no FIN, else it would be in one of the two states below until we close it.
            (0, Some(SocketStatus::Closed)) => {
                Err(nb::Error::Other(self.why_closed(socket, Error::BrokenOff)))
            }
            // The peer has closed its side, and all that it sent has been read.
            (0, Some(SocketStatus::CloseWait | SocketStatus::LastAck)) => Ok(0),
            (0, _) => Err(nb::Error::WouldBlock),
            (received, _) => Ok(received.into()),
        }
    }

    fn close(&mut self, socket: Socket) -> Result<(), Self::Error> {
        self.take(socket.number, false);
        self.chip.set_sn_cr(socket.number, SocketCommand::Disconnect).map_err(Error::Spi)
    }
}

impl<W: Registers + Tcp> RaceStack for Chip<W>
where
    W::Error: core::fmt::Debug,
{
    fn attempt_error(&self, error: &Self::Error) -> AttemptError {
        let kind = match error {
            Error::NoSocket => AttemptErrorKind::OutOfSockets,
            Error::NotIpv4 => AttemptErrorKind::Unreachable,
            Error::TimedOut => AttemptErrorKind::TimedOut,
            // The chip does not tell a refusal from a reset during the handshake.
            Error::Refused => AttemptErrorKind::Refused,
            Error::BrokenOff => AttemptErrorKind::Reset,
            Error::Spi(_) => AttemptErrorKind::Other,
        };
        kind.into()
    }

    fn abort(&mut self, socket: Socket) {
        self.take(socket.number, false);
        // The peer hears nothing: the chip cannot send a reset.
        let _ = self.chip.set_sn_cr(socket.number, SocketCommand::Close);
    }
}

/// The clock, and a look at the chip each millisecond.
pub struct Clock;

pub fn now() -> Instant {
    Instant::from_micros(embassy_time::Instant::now().as_micros())
}

impl<S> Poller<Chip<S>> for Clock
where
    Chip<S>: RaceStack,
{
    fn now(&mut self) -> Instant {
        now()
    }

    fn wait(
        &mut self,
        _: &mut Chip<S>,
        sockets: &mut [PollEntry<'_, <Chip<S> as TcpClientStack>::TcpSocket>],
        _: Option<Instant>,
    ) -> PollResult {
        block_for(embassy_time::Duration::from_millis(1));
        sockets.iter_mut().for_each(|entry| entry.ready = true);
        PollResult::Look
    }
}
