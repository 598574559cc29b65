//! A peer that follows a script, the clock that goes with it, and a small source of random numbers.
#![allow(dead_code, reason = "each test file uses its own part of this")]

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::stack::{TcpClientStack, TcpError, TcpErrorKind, nb};
use connie_core::{
    AttemptError, AttemptErrorKind, Config, Instant, Interest, PollEntry, PollResult, Poller, RaceStack,
};
use connie_http::{Authority, ByRef, HttpConnection, HttpError, RaceAddresses};

/// What the peer does next, as the client sees it when it receives.
#[derive(Clone, Debug, PartialEq)]
pub enum Say {
    /// These bytes arrive.
    Bytes(Vec<u8>),
    /// Nothing arrives until the client has waited once, be it in vain for room to send.
    Pause,
    /// Nothing arrives until the client has sent something, or something more since the last `Asked`.
    Asked,
    /// The peer has closed its side.
    Close,
    /// The same, which the stack says by an error of its own.
    PipeClosed,
    /// The peer has reset the connection.
    Reset,
}

/// What becomes of what the client sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Take {
    /// At most this many bytes are taken by one call.
    AtMost(usize),
    /// None are taken until the client has waited for it this often.
    BlockFor(u32),
    /// None are taken until the client has waited for it, which the stack says by a count of 0.
    Zero,
    /// None are taken ever again.
    Block,
    /// The connection is found to be gone.
    Fail,
    /// The same, which the stack says by the error that stands for a peer's close.
    PipeClosed,
}

/// A stack with one connection to a peer that follows a script. Once that is at its end, the peer is silent.
///
/// A connection that the stack is asked for goes to the next [peer](Script::with_peers), or is refused where
/// there is none.
#[derive(Clone, Debug, Default)]
pub struct Script {
    says: VecDeque<Say>,
    takes: VecDeque<Take>,
    next: VecDeque<Script>,
    asked: usize,
    zeros: u32,
    /// Whether no connection to the peer ever comes about.
    silent: bool,
    pub sent: Vec<u8>,
    /// What the peers before were sent.
    pub before: Vec<Vec<u8>>,
    pub sockets: u32,
    pub closed: u32,
    pub aborted: u32,
    /// The lengths of the slices given to `receive`.
    pub receives: Vec<usize>,
}

/// The connection. Made and given back as often as the script counts.
#[derive(Debug)]
pub struct Socket;

#[derive(Debug)]
pub enum Gone {
    Reset,
    PipeClosed,
}

impl TcpError for Gone {
    fn kind(&self) -> TcpErrorKind {
        match self {
            Gone::Reset => TcpErrorKind::Other,
            Gone::PipeClosed => TcpErrorKind::PipeClosed,
        }
    }
}

impl Script {
    pub fn new(says: impl IntoIterator<Item = Say>) -> Self {
        Script { says: says.into_iter().collect(), ..Script::default() }
    }

    pub fn taking(mut self, takes: impl IntoIterator<Item = Take>) -> Self {
        self.takes = takes.into_iter().collect();
        self
    }

    /// A peer that cannot be connected to.
    pub fn silent() -> Self {
        Script { silent: true, ..Script::default() }
    }

    /// A stack that has no connection yet.
    pub fn with_peers(peers: impl IntoIterator<Item = Script>) -> Self {
        Script { next: peers.into_iter().collect(), ..Script::default() }
    }

    /// What each peer was sent, the ones before it too.
    pub fn all_sent(&self) -> Vec<String> {
        let all = self.before.iter().chain([&self.sent]);
        all.map(|sent| String::from_utf8_lossy(sent).into_owned()).collect()
    }

    pub fn open(&mut self) -> Socket {
        self.sockets += 1;
        Socket
    }

    pub fn sent_text(&self) -> String {
        String::from_utf8_lossy(&self.sent).into_owned()
    }

    /// Whether waiting for `interest` can ever end, and if so takes note that the client has waited.
    fn wakes(&mut self, interest: Interest) -> bool {
        match interest {
            Interest::Receive => match self.says.front() {
                Some(Say::Pause) => self.says.pop_front().is_some(),
                Some(Say::Asked) => self.sent.len() > self.asked,
                other => other.is_some(),
            },
            Interest::Send => match self.takes.front_mut() {
                Some(Take::BlockFor(0 | 1) | Take::Zero) => self.takes.pop_front().is_some(),
                Some(Take::BlockFor(times)) => {
                    *times -= 1;
                    false
                }
                Some(Take::Block) => {
                    // Time passes, in which the peer may speak.
                    if self.says.front() == Some(&Say::Pause) {
                        self.says.pop_front();
                    }
                    false
                }
                _ => true,
            },
            Interest::Connect => false,
        }
    }
}

impl TcpClientStack for Script {
    type TcpSocket = Socket;
    type Error = Gone;

    fn socket(&mut self) -> Result<Socket, Gone> {
        Ok(self.open())
    }

    fn connect(&mut self, _: &mut Socket, _: SocketAddr) -> nb::Result<(), Gone> {
        assert_eq!(
            self.sockets,
            self.closed + self.aborted + 1,
            "the old socket is released before there is another"
        );
        if self.next.front().is_some_and(|next| next.silent) {
            return Err(nb::Error::WouldBlock);
        }
        let next = self.next.pop_front().ok_or(nb::Error::Other(Gone::Reset))?;
        (self.says, self.takes, self.asked) = (next.says, next.takes, 0);
        if self.sockets > 1 {
            self.before.push(std::mem::take(&mut self.sent));
        }
        Ok(())
    }

    fn send(&mut self, _: &mut Socket, buffer: &[u8]) -> nb::Result<usize, Gone> {
        let count = match self.takes.front() {
            None => buffer.len(),
            Some(Take::AtMost(count)) => {
                let count = *count;
                self.takes.pop_front();
                count.min(buffer.len())
            }
            Some(Take::BlockFor(_) | Take::Block) => return Err(nb::Error::WouldBlock),
            Some(Take::Zero) => {
                self.zeros += 1;
                assert!(self.zeros < 3, "asked again without a wait");
                return Ok(0);
            }
            Some(Take::PipeClosed) => return Err(nb::Error::Other(Gone::PipeClosed)),
            Some(Take::Fail) => return Err(nb::Error::Other(Gone::Reset)),
        };
        self.sent.extend_from_slice(&buffer[..count]);
        Ok(count)
    }

    fn receive(&mut self, _: &mut Socket, buffer: &mut [u8]) -> nb::Result<usize, Gone> {
        assert!(!buffer.is_empty(), "received into nothing");
        self.receives.push(buffer.len());
        match self.says.front_mut() {
            None | Some(Say::Pause) => Err(nb::Error::WouldBlock),
            Some(Say::Asked) if self.sent.len() == self.asked => Err(nb::Error::WouldBlock),
            Some(Say::Asked) => {
                self.asked = self.sent.len();
                self.says.pop_front();
                self.receives.pop();
                self.receive(&mut Socket, buffer)
            }
            Some(Say::Close) => Ok(0),
            Some(Say::PipeClosed) => Err(nb::Error::Other(Gone::PipeClosed)),
            Some(Say::Reset) => Err(nb::Error::Other(Gone::Reset)),
            Some(Say::Bytes(bytes)) => {
                let count = bytes.len().min(buffer.len());
                buffer[..count].copy_from_slice(&bytes[..count]);
                bytes.drain(..count);
                if bytes.is_empty() {
                    self.says.pop_front();
                }
                Ok(count)
            }
        }
    }

    fn close(&mut self, _: Socket) -> Result<(), Gone> {
        self.closed += 1;
        Ok(())
    }
}

impl RaceStack for Script {
    fn attempt_error(&self, error: &Gone) -> AttemptError {
        match error {
            Gone::Reset => AttemptErrorKind::Reset.into(),
            Gone::PipeClosed => AttemptErrorKind::Other.into(),
        }
    }

    fn abort(&mut self, _: Socket) {
        self.aborted += 1;
    }
}

/// A clock that stands still but while the client waits: for a tick where the peer does something, else to
/// the end of the time allowed.
#[derive(Debug)]
pub struct Clock {
    pub now: Instant,
    /// How long the peer takes to do something. A millisecond by default.
    pub tick: Duration,
    /// What was waited for, in order.
    pub waits: Vec<Interest>,
    /// The wait, counted from 0, in which the program gives up.
    pub cancel_in: Option<usize>,
}

impl Default for Clock {
    fn default() -> Self {
        Clock { now: Instant::ZERO, tick: Duration::from_millis(1), waits: Vec::new(), cancel_in: None }
    }
}

impl Poller<Script> for Clock {
    fn now(&mut self) -> Instant {
        self.now
    }

    fn wait(
        &mut self,
        stack: &mut Script,
        sockets: &mut [PollEntry<'_, Socket>],
        until: Option<Instant>,
    ) -> PollResult {
        let [watched] = sockets else { panic!("one socket is waited on at a time") };
        self.waits.push(watched.interest);
        if self.cancel_in == Some(self.waits.len() - 1) {
            return PollResult::Canceled;
        }
        let late = until.is_some_and(|until| self.now + self.tick > until);
        watched.ready = !late && stack.wakes(watched.interest);
        self.now = match until {
            _ if watched.ready => self.now + self.tick,
            Some(until) => until,
            None => panic!("the client waits for ever, for {:?}", watched.interest),
        };
        PollResult::Look
    }
}

/// A connection over a script, everything lent, that connects itself by a race to one address.
pub type OpenContext<'a> =
    HttpConnection<&'a mut Script, ByRef<'a, Clock>, &'a mut [u8], RaceAddresses<[SocketAddr; 1]>>;

/// A connection to `http://name.test/` that is opened when it is needed.
#[track_caller]
pub fn opening<'a>(script: &'a mut Script, clock: &'a mut Clock, buffer: &'a mut [u8]) -> OpenContext<'a> {
    let destinations = RaceAddresses::new([SocketAddr::from(([192, 0, 2, 1], 80))], Config::all_at_once());
    HttpConnection::with_opener(script, ByRef(clock), destinations, Authority::http("name.test", 80), buffer)
        .unwrap()
}

/// A connection over a script, everything lent.
pub type Lending<'a> = HttpConnection<&'a mut Script, ByRef<'a, Clock>, &'a mut [u8]>;

/// Connects to the peer as `http://name.test/`.
#[track_caller]
pub fn connect<'a>(script: &'a mut Script, clock: &'a mut Clock, buffer: &'a mut [u8]) -> Lending<'a> {
    let socket = script.open();
    HttpConnection::new(script, clock, socket, Authority::http("name.test", 80), buffer).unwrap()
}

pub fn bytes(text: impl AsRef<[u8]>) -> Say {
    Say::Bytes(text.as_ref().to_vec())
}

/// What came of one exchange: the status, as much of the body as was read, and how it ended.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub status: u16,
    pub body: Vec<u8>,
    pub end: Result<Reuse, HttpError>,
}

/// Whether the connection took another request after the exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reuse {
    Kept,
    Ended,
}

/// Sends a request with `method`, reads the answer in pieces of `piece` bytes, and tries to send another
/// request.
#[track_caller]
pub fn exchange(method: &str, says: Vec<Say>, room: usize, piece: usize) -> Answer {
    let (mut script, mut clock, mut buffer) = (Script::new(says), Clock::default(), vec![0; room]);
    let mut answer = Answer { status: 0, body: Vec::new(), end: Ok(Reuse::Ended) };
    let mut connection = connect(&mut script, &mut clock, &mut buffer);
    connection.request(method, "/", &[], b"").unwrap();
    answer.end = read_answer(&mut connection, &mut answer, piece);
    drop(connection);
    assert_eq!(script.closed + script.aborted, script.sockets, "the socket is released exactly once");
    answer
}

fn read_answer(connection: &mut Lending<'_>, answer: &mut Answer, piece: usize) -> Result<Reuse, HttpError> {
    let mut response = connection.response()?;
    answer.status = response.status();
    let mut out = vec![0; piece];
    loop {
        match response.read(&mut out) {
            Ok(0) => break,
            Ok(count) => answer.body.extend_from_slice(&out[..count]),
            Err(error) => {
                assert_eq!(response.read(&mut out), Err(error), "an error is said again");
                return Err(error);
            }
        }
    }
    assert_eq!(response.read(&mut out), Ok(0), "the end is said again");
    let will_close = response.will_close();
    let reuse = match connection.request("GET", "/again", &[], b"") {
        Ok(()) => Reuse::Kept,
        Err(HttpError::Stale | HttpError::NotConnected | HttpError::CannotSendRequest) => Reuse::Ended,
        Err(error) => panic!("{error}"),
    };
    assert!(!(will_close && reuse == Reuse::Kept), "a connection that ends was used again");
    Ok(reuse)
}

/// `raw` as it arrives in pieces that end at `cuts`, then a silence, then the close.
pub fn cut_at(raw: &[u8], cuts: &[usize]) -> Vec<Say> {
    let mut says = vec![Say::Asked, Say::Pause];
    let mut start = 0;
    for end in cuts.iter().copied().chain([raw.len()]) {
        if start < end {
            says.push(bytes(&raw[start..end]));
            start = end;
        }
    }
    says.extend([Say::Pause, Say::Close]);
    says
}

/// A source of random numbers (xorshift64*): the same seed gives the same numbers.
pub struct Random(u64);

impl Random {
    /// Prints the seed, which is taken from `CONNIE_SEED` where that is set.
    pub fn seeded(otherwise: u64) -> Self {
        let seed = std::env::var("CONNIE_SEED").ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise);
        println!("CONNIE_SEED={seed} replays this");
        Random(seed.max(1))
    }

    /// A number below `bound`, which must not be 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % bound
    }

    /// Whether an event of one in `odds` happens.
    pub fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}
