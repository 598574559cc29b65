//! A TCP stack whose every answer is drawn from a fuzzer's bytes, and the clock that goes with it.
//!
//! It holds its client to the rules of a stack: a socket is used only while it is open and released exactly
//! once, no wait has no length, and nobody asks without end.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{
    AttemptError, AttemptErrorKind, Instant, Interest, PollEntry, PollResult, Poller, RaceStack,
};

use crate::decoded::event;
use crate::draw::Draw;

/// Where this stands in what the peer says, it waits until it has been sent something more.
pub const ASKED: u8 = 0xff;

/// The network: what the peer says, and all that happens on the way.
pub struct Net<'a> {
    /// Decides what happens. Shared with the client, so that a fuzzer's bytes lie in the order of their use.
    pub draw: Draw<'a>,
    /// What the peer has not said yet.
    says: &'a [u8],
    now: Instant,
    /// What each socket was sent.
    sent: Vec<Vec<u8>>,
    /// How much had been sent when the peer last waited for something more.
    heard: usize,
    open: Vec<bool>,
    /// How often the client may still ask.
    patience: u32,
}

/// A handle to the network: stack and clock in one.
#[derive(Clone)]
pub struct Handle<'a>(pub Rc<RefCell<Net<'a>>>);

/// A socket, by number.
pub struct Socket(usize);

/// Why a call failed.
#[derive(Debug)]
pub enum Error {
    /// The peer has ended in good order.
    Closed,
    /// The peer has reset the connection.
    Reset,
}

impl TcpError for Error {
    fn kind(&self) -> TcpErrorKind {
        match self {
            Error::Closed => TcpErrorKind::PipeClosed,
            Error::Reset => TcpErrorKind::Other,
        }
    }
}

impl<'a> Handle<'a> {
    /// A network whose peer says `says`, and in which things happen as `draw` has it.
    pub fn new(draw: Draw<'a>, says: &'a [u8]) -> Self {
        let net = Net {
            draw,
            says,
            now: Instant::from_millis(1),
            sent: Vec::new(),
            heard: 0,
            open: Vec::new(),
            // Each byte can be told of by a call of its own, after a wait, and each decision costs a few
            // calls.
            patience: 100_000,
        };
        Handle(Rc::new(RefCell::new(net)))
    }

    /// A socket that is connected.
    pub fn connected(&self) -> Socket {
        let mut net = self.0.borrow_mut();
        net.open.push(true);
        net.sent.push(Vec::new());
        Socket(net.open.len() - 1)
    }

    /// Draws a decision for the client.
    pub fn decide<T>(&self, decide: impl FnOnce(&mut Draw<'a>) -> T) -> T {
        decide(&mut self.0.borrow_mut().draw)
    }

    pub fn time(&self) -> Instant {
        self.0.borrow().now
    }

    /// How many bytes have been sent over all sockets.
    pub fn sent_bytes(&self) -> usize {
        self.0.borrow().sent.iter().map(Vec::len).sum()
    }

    /// What each socket was sent.
    pub fn sent(&self) -> Vec<Vec<u8>> {
        self.0.borrow().sent.clone()
    }

    /// How many sockets are open.
    pub fn open(&self) -> usize {
        self.0.borrow().open.iter().filter(|open| **open).count()
    }
}

impl Net<'_> {
    #[track_caller]
    fn use_socket(&mut self, socket: &Socket) {
        assert!(self.open[socket.0], "a socket is used after its release");
        self.patience = self.patience.checked_sub(1).expect("livelock: the client asks without end");
    }

    #[track_caller]
    fn release(&mut self, socket: Socket) {
        let was_open = std::mem::replace(&mut self.open[socket.0], false);
        assert!(was_open, "a socket is released twice");
    }

    fn all_sent(&self) -> usize {
        self.sent.iter().map(Vec::len).sum()
    }

    /// Whether the peer waits until it is sent something more.
    fn peer_waits(&self) -> bool {
        self.says.first() == Some(&ASKED) && self.all_sent() == self.heard
    }

    fn receive(&mut self, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        if self.peer_waits() {
            return Err(nb::Error::WouldBlock);
        }
        if let [ASKED, rest @ ..] = self.says {
            (self.says, self.heard) = (rest, self.all_sent());
        }
        let receives = Receives::of(self.draw.byte());
        event(|| format!("receives {receives:?}"));
        let most = match receives {
            Receives::All => usize::MAX,
            Receives::UpTo(most) => most,
            Receives::NotYet => return Err(nb::Error::WouldBlock),
            Receives::Closed => return Err(nb::Error::Other(Error::Closed)),
            Receives::Reset => return Err(nb::Error::Other(Error::Reset)),
            Receives::Nothing => return Ok(0),
            Receives::TooMuch => return Ok(buffer.len() + 1),
        };
        let said = self.says.split(|byte| *byte == ASKED).next().unwrap_or_default();
        let count = said.len().min(most).min(buffer.len());
        buffer[..count].copy_from_slice(&said[..count]);
        self.says = &self.says[count..];
        match (count, self.peer_waits()) {
            (0, true) => Err(nb::Error::WouldBlock),
            _ => Ok(count),
        }
    }

    fn send(&mut self, socket: usize, data: &[u8]) -> nb::Result<usize, Error> {
        let sends = Sends::of(self.draw.byte());
        event(|| format!("sends {sends:?}"));
        let most = match sends {
            Sends::All => usize::MAX,
            Sends::UpTo(most) => most,
            Sends::NotYet => return Err(nb::Error::WouldBlock),
            Sends::Closed => return Err(nb::Error::Other(Error::Closed)),
            Sends::Reset => return Err(nb::Error::Other(Error::Reset)),
        };
        let count = data.len().min(most);
        self.sent[socket].extend_from_slice(&data[..count]);
        Ok(if most == usize::MAX && self.draw.clone().byte() == 0xff { count + 1 } else { count })
    }

    /// Waits, and says whether the socket may be ready.
    #[track_caller]
    fn wait(&mut self, until: Option<Instant>) -> (bool, PollResult) {
        assert!(until.is_none_or(|until| until > self.now), "a wait that has no length");
        if self.draw.is_done() && self.peer_waits() {
            // Both wait for the other: the peer gives up.
            (self.says, self.heard) = (&self.says[1..], self.all_sent());
        }
        let soon = self.now + Duration::from_millis(1);
        let in_time = until.map_or(soon, |until| soon.min(until));
        let wakes = Wakes::of(self.draw.byte());
        event(|| format!("wakes {wakes:?}"));
        match wakes {
            Wakes::Soon => self.now = in_time,
            Wakes::AtItsTime => {
                self.now = until.unwrap_or(in_time);
                return (false, PollResult::Look);
            }
            Wakes::TooSoon => return (self.draw.flag(), PollResult::Look),
            Wakes::TooLate => {
                self.now = until.unwrap_or(in_time) + Duration::from_secs(5);
                return (true, PollResult::Look);
            }
            Wakes::Canceled => return (true, PollResult::Canceled),
        }
        (true, PollResult::Look)
    }
}

impl TcpClientStack for Handle<'_> {
    type TcpSocket = Socket;
    type Error = Error;

    fn socket(&mut self) -> Result<Socket, Error> {
        panic!("an HTTP connection opens no socket");
    }

    fn connect(&mut self, _: &mut Socket, _: SocketAddr) -> nb::Result<(), Error> {
        panic!("an HTTP connection connects no socket");
    }

    fn send(&mut self, socket: &mut Socket, data: &[u8]) -> nb::Result<usize, Error> {
        let mut net = self.0.borrow_mut();
        net.use_socket(socket);
        assert!(!data.is_empty(), "nothing is sent");
        net.send(socket.0, data)
    }

    fn receive(&mut self, socket: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Error> {
        let mut net = self.0.borrow_mut();
        net.use_socket(socket);
        assert!(!buffer.is_empty(), "received into nothing");
        net.receive(buffer)
    }

    fn close(&mut self, socket: Socket) -> Result<(), Error> {
        self.0.borrow_mut().release(socket);
        Ok(())
    }
}

impl RaceStack for Handle<'_> {
    fn attempt_error(&self, _: &Error) -> AttemptError {
        AttemptErrorKind::Reset.into()
    }

    fn abort(&mut self, socket: Socket) {
        self.0.borrow_mut().release(socket);
    }
}

impl<'a> Poller<Handle<'a>> for Handle<'a> {
    fn now(&mut self) -> Instant {
        self.time()
    }

    fn wait(
        &mut self,
        _: &mut Handle<'a>,
        sockets: &mut [PollEntry<'_, Socket>],
        until: Option<Instant>,
    ) -> PollResult {
        let mut net = self.0.borrow_mut();
        let [watched] = sockets else { panic!("an HTTP connection waits for one socket") };
        net.use_socket(watched.socket);
        assert!(watched.interest != Interest::Connect, "the socket is connected");
        let (ready, wake) = net.wait(until);
        watched.ready = ready;
        wake
    }
}

/// What `receive` gives.
#[derive(Clone, Copy, Debug)]
enum Receives {
    All,
    UpTo(usize),
    NotYet,
    Closed,
    Reset,
    /// No byte, and no error.
    Nothing,
    /// A stack that miscounts.
    TooMuch,
}

impl Receives {
    fn of(byte: u8) -> Self {
        match byte {
            0 => Receives::All,
            most @ 1..=0xbf => Receives::UpTo(most.into()),
            0xc0..=0xfb => Receives::NotYet,
            0xfc => Receives::Closed,
            0xfd => Receives::Reset,
            0xfe => Receives::Nothing,
            0xff => Receives::TooMuch,
        }
    }
}

/// What `send` takes.
#[derive(Clone, Copy, Debug)]
enum Sends {
    All,
    UpTo(usize),
    NotYet,
    Closed,
    Reset,
}

impl Sends {
    fn of(byte: u8) -> Self {
        match byte {
            0..=0x7f => Sends::All,
            most @ 0x80..=0xbf => Sends::UpTo(usize::from(most & 0x3f)),
            0xc0..=0xfb => Sends::NotYet,
            0xfc => Sends::Closed,
            0xfd => Sends::Reset,
            // A stack that miscounts has still sent no more than it was given.
            0xfe | 0xff => Sends::All,
        }
    }
}

/// How a wait ends.
#[derive(Clone, Copy, Debug)]
enum Wakes {
    Soon,
    AtItsTime,
    /// For nothing, perhaps.
    TooSoon,
    TooLate,
    Canceled,
}

impl Wakes {
    fn of(byte: u8) -> Self {
        match byte {
            0..=0x9f => Wakes::Soon,
            0xa0..=0xcf => Wakes::AtItsTime,
            0xd0..=0xef => Wakes::TooSoon,
            0xf0..=0xf7 => Wakes::TooLate,
            0xf8..=0xff => Wakes::Canceled,
        }
    }
}
