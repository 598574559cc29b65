//! The client's side of SOCKS5 (RFC 1928), with a user's name and password (RFC 1929): octets in, octets out.

use core::fmt;
use core::net::IpAddr;

use crate::syntax::copy;
use connie_core::AttemptError;

/// The version that begins all messages but those of a login.
const VERSION: u8 = 5;
/// The version of RFC 1929 that begins those.
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;
/// The longest message: a login, with 255 octets each for the user's name and the password.
const LONGEST: usize = 3 + 255 + 255;
/// Of a reply: the fields before the address, and the first octet of that, which is a name's length.
const REPLY_START: usize = 5;

/// What a SOCKS5 proxy is to connect to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socks5Host<'a> {
    /// An address.
    Address(IpAddr),
    /// A name, which the proxy looks up.
    Name(&'a str),
}

/// The handshake with a SOCKS5 proxy, after which the connection leads to the host. It touches no socket.
///
/// ```
/// use connie_http::parts::{Socks5Handshake, Socks5Host, Socks5Output};
///
/// let mut handshake = Socks5Handshake::new(Socks5Host::Name("name.test"), 80, None)?;
/// // What a proxy says that asks for no login and connects.
/// let mut proxy = [5, 0, 5, 0, 0, 1, 192, 0, 2, 1, 0, 80].iter();
/// let mut sent = Vec::new();
/// loop {
///     match handshake.poll_output() {
///         Socks5Output::Send(octets) => {
///             sent.extend_from_slice(octets);
///             let count = octets.len();
///             handshake.handle_sent(count);
///         }
///         Socks5Output::Receive(room) => {
///             let mut count = 0;
///             for (place, octet) in room.iter_mut().zip(&mut proxy) {
///                 *place = *octet;
///                 count += 1;
///             }
///             handshake.handle_received(count)?;
///         }
///         Socks5Output::Connected => break,
///     }
/// }
/// assert_eq!(sent, b"\x05\x01\0\x05\x01\0\x03\x09name.test\0\x50");
/// # Ok::<(), connie_http::parts::Socks5Error>(())
/// ```
pub struct Socks5Handshake<'a> {
    host: Socks5Host<'a>,
    port: u16,
    login: Option<(&'a [u8], &'a [u8])>,
    phase: HandshakePhase,
    /// What is to be sent, or what has been received of a message.
    buffer: [u8; LONGEST],
    /// How much of it was sent or received.
    done: usize,
    /// How much there is to send, or to receive before it can be read.
    end: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HandshakePhase {
    SendMethods,
    ReceiveMethod,
    SendLogin,
    ReceiveLogin,
    SendRequest,
    ReceiveReply,
    Connected,
}

/// What a [`Socks5Handshake`] needs next.
#[derive(Debug, PartialEq, Eq)]
pub enum Socks5Output<'a> {
    /// Send these octets, and say [how many](Socks5Handshake::handle_sent) went out.
    Send(&'a [u8]),
    /// Receive as many octets as fit here at most, since what follows may be the host's, and say
    /// [how many](Socks5Handshake::handle_received) came.
    Receive(&'a mut [u8]),
    /// The connection leads to the host.
    Connected,
}

/// Why a SOCKS5 proxy has not connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum Socks5Error {
    /// The name of the host is empty or longer than 255 octets.
    InvalidName,
    /// The user's name or the password is longer than 255 octets, or the name is empty.
    InvalidLogin,
    /// The answer is not one of SOCKS5.
    NotSocks5,
    /// The proxy takes none of the methods of logging in that it was offered (RFC 1928 section 3).
    NoAcceptableMethod {
        /// Whether a user's name and password were among them.
        login: bool,
    },
    /// The proxy has not accepted the user's name and password (RFC 1929 section 2).
    LoginRefused,
    /// The proxy replied that it has not connected (RFC 1928 section 6).
    Refused {
        /// The code of its reply; not 0.
        reply: u8,
    },
    /// The proxy closed the connection within the handshake.
    Closed,
    /// The connection to the proxy was lost within the handshake.
    Lost(AttemptError),
}

impl fmt::Display for Socks5Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Socks5Error::InvalidName => "SOCKS5 takes names of 1 to 255 bytes",
            Socks5Error::InvalidLogin => {
                "SOCKS5 takes a user name of 1 to 255 bytes and a password of at most 255"
            }
            Socks5Error::NotSocks5 => "the proxy does not speak SOCKS5",
            Socks5Error::NoAcceptableMethod { login: false } => "the SOCKS5 proxy asks for a login",
            Socks5Error::NoAcceptableMethod { login: true } => {
                "the SOCKS5 proxy accepts neither a user name and password nor no login"
            }
            Socks5Error::LoginRefused => "the SOCKS5 proxy refused the user name or the password",
            Socks5Error::Closed => "the SOCKS5 proxy closed the connection before it had connected",
            Socks5Error::Lost(error) => {
                return write!(f, "the connection to the SOCKS5 proxy was lost: {error}");
            }
            Socks5Error::Refused { reply } => match reply {
                1 => "the SOCKS5 proxy failed",
                2 => "the SOCKS5 proxy does not allow this connection",
                3 => "the SOCKS5 proxy found the network unreachable",
                4 => "the SOCKS5 proxy could not reach the host",
                5 => "the SOCKS5 proxy was refused the connection by the host",
                6 => "the SOCKS5 proxy gave up: a packet's time to live expired",
                7 => "the SOCKS5 proxy does not open connections",
                8 => "the SOCKS5 proxy does not support this type of address",
                reply => return write!(f, "the SOCKS5 proxy did not connect: reply {reply}"),
            },
        };
        f.write_str(text)
    }
}

impl core::error::Error for Socks5Error {}

impl fmt::Debug for Socks5Handshake<'_> {
    /// Without the buffer, which may have the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socks5Handshake").field("phase", &self.phase).finish_non_exhaustive()
    }
}

impl<'a> Socks5Handshake<'a> {
    /// The handshake that leads to this port of `host`. `login` is the user's name and the password, where
    /// the proxy may ask for them.
    ///
    /// # Errors
    ///
    /// [`Socks5Error::InvalidName`], [`Socks5Error::InvalidLogin`].
    pub fn new(
        host: Socks5Host<'a>,
        port: u16,
        login: Option<(&'a str, &'a str)>,
    ) -> Result<Self, Socks5Error> {
        if let Socks5Host::Name(name) = host {
            if !(1..=255).contains(&name.len()) {
                return Err(Socks5Error::InvalidName);
            }
        }
        let login = login.map(|(user, password)| (user.as_bytes(), password.as_bytes()));
        // RFC 1929 section 2: UNAME is of 1 to 255 octets, and so is PASSWD, of which proxies take none too.
        if login.is_some_and(|(user, password)| !(1..=255).contains(&user.len()) || password.len() > 255) {
            return Err(Socks5Error::InvalidLogin);
        }
        let phase = HandshakePhase::SendMethods;
        let mut handshake =
            Socks5Handshake { host, port, login, phase, buffer: [0; LONGEST], done: 0, end: 0 };
        match login {
            Some(_) => handshake.send(phase, &[&[VERSION, 2, NO_LOGIN, USER_AND_PASSWORD]]),
            None => handshake.send(phase, &[&[VERSION, 1, NO_LOGIN]]),
        }
        Ok(handshake)
    }

    /// What has to be done next.
    pub fn poll_output(&mut self) -> Socks5Output<'_> {
        use HandshakePhase::{
            ReceiveLogin, ReceiveMethod, ReceiveReply, SendLogin, SendMethods, SendRequest,
        };
        let left = self.buffer.get_mut(self.done..self.end).unwrap_or_default();
        match self.phase {
            SendMethods | SendLogin | SendRequest => Socks5Output::Send(left),
            ReceiveMethod | ReceiveLogin | ReceiveReply => Socks5Output::Receive(left),
            HandshakePhase::Connected => Socks5Output::Connected,
        }
    }

    /// The first `count` of the octets to be sent went out.
    pub fn handle_sent(&mut self, count: usize) {
        self.done = self.done.saturating_add(count).min(self.end);
        if self.done < self.end {
            return;
        }
        match self.phase {
            HandshakePhase::SendMethods => self.receive(HandshakePhase::ReceiveMethod, 2),
            HandshakePhase::SendLogin => self.receive(HandshakePhase::ReceiveLogin, 2),
            HandshakePhase::SendRequest => self.receive(HandshakePhase::ReceiveReply, REPLY_START),
            _ => {}
        }
    }

    /// `count` octets were received into the room for them; 0 where the proxy has closed its side.
    ///
    /// # Errors
    ///
    /// [`Socks5Error`], after which there is nothing more to do with the connection.
    pub fn handle_received(&mut self, count: usize) -> Result<(), Socks5Error> {
        if count == 0 {
            return Err(Socks5Error::Closed);
        }
        self.done = self.done.saturating_add(count).min(self.end);
        let [version, code, _, address, length, ..] = self.buffer;
        let expected = match self.phase {
            HandshakePhase::ReceiveLogin => LOGIN_VERSION,
            _ => VERSION,
        };
        if version != expected {
            return Err(Socks5Error::NotSocks5);
        }
        // A proxy that refuses may send no more than the code.
        if self.phase == HandshakePhase::ReceiveReply && self.done >= 2 && code != 0 {
            return Err(Socks5Error::Refused { reply: code });
        }
        if self.done < self.end {
            return Ok(());
        }
        match self.phase {
            HandshakePhase::ReceiveMethod => self.on_method(code),
            HandshakePhase::ReceiveLogin if code != 0 => Err(Socks5Error::LoginRefused),
            HandshakePhase::ReceiveLogin => {
                self.send_request();
                Ok(())
            }
            HandshakePhase::ReceiveReply => self.on_reply(address, length),
            _ => Ok(()),
        }
    }

    fn on_method(&mut self, method: u8) -> Result<(), Socks5Error> {
        match (method, self.login) {
            (NO_LOGIN, _) => self.send_request(),
            (USER_AND_PASSWORD, Some((user, password))) => {
                let (user_length, password_length) = (length_of(user), length_of(password));
                let parts: [&[u8]; 4] = [&[LOGIN_VERSION, user_length], user, &[password_length], password];
                self.send(HandshakePhase::SendLogin, &parts);
            }
            (NO_ACCEPTABLE_METHOD, login) => {
                return Err(Socks5Error::NoAcceptableMethod { login: login.is_some() });
            }
            // One that was not offered.
            _ => return Err(Socks5Error::NotSocks5),
        }
        Ok(())
    }

    /// The start of a reply is there. What follows is the address that the proxy connects from, which nobody
    /// wants, and its port.
    fn on_reply(&mut self, address: u8, length: u8) -> Result<(), Socks5Error> {
        let left = match address {
            IPV4 => 3 + 2,
            IPV6 => 15 + 2,
            NAME => usize::from(length).saturating_add(2),
            _ => return Err(Socks5Error::NotSocks5),
        };
        let whole = REPLY_START.saturating_add(left);
        match self.done < whole {
            // At most 5 + 255 + 2, of which there is room for more.
            true => self.end = whole,
            false => self.phase = HandshakePhase::Connected,
        }
        Ok(())
    }

    fn send_request(&mut self) {
        let (host, port) = (self.host, self.port.to_be_bytes());
        let phase = HandshakePhase::SendRequest;
        let start = |kind| [VERSION, CONNECT, 0, kind];
        match host {
            Socks5Host::Address(IpAddr::V4(ip)) => self.send(phase, &[&start(IPV4), &ip.octets(), &port]),
            Socks5Host::Address(IpAddr::V6(ip)) => self.send(phase, &[&start(IPV6), &ip.octets(), &port]),
            Socks5Host::Name(name) => {
                let name = name.as_bytes();
                self.send(phase, &[&start(NAME), &[length_of(name)], name, &port]);
            }
        }
    }

    /// Has these octets be sent.
    fn send(&mut self, phase: HandshakePhase, parts: &[&[u8]]) {
        (self.phase, self.done, self.end) = (phase, 0, 0);
        for part in parts {
            // No message is longer than the buffer.
            let room = self.buffer.get_mut(self.end..).unwrap_or_default();
            self.end = self.end.saturating_add(copy(part, room));
        }
        // What was there before must not be taken for what is received.
        if let Some(rest) = self.buffer.get_mut(self.end..) {
            rest.fill(0);
        }
    }

    /// Has `count` octets be received.
    fn receive(&mut self, phase: HandshakePhase, count: usize) {
        self.buffer.fill(0);
        (self.phase, self.done, self.end) = (phase, 0, count);
    }
}

/// The length of what is at most 255 octets long, as was checked.
fn length_of(octets: &[u8]) -> u8 {
    u8::try_from(octets.len()).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::*;

    /// Runs a handshake with a proxy that says this, of which `piece` octets come and go at a time. Gives
    /// what was sent, what is left of what the proxy said, and how it ended.
    fn run(
        host: Socks5Host<'_>,
        login: Option<(&str, &str)>,
        mut proxy: &[u8],
        piece: usize,
    ) -> (Vec<u8>, usize, Result<(), Socks5Error>) {
        let mut handshake = Socks5Handshake::new(host, 0x0102, login).unwrap();
        let mut sent = Vec::new();
        for _ in 0..5_000 {
            match handshake.poll_output() {
                Socks5Output::Send(octets) => {
                    assert!(!octets.is_empty(), "there is something to send");
                    let octets = &octets[..octets.len().min(piece)];
                    let count = octets.len();
                    sent.extend_from_slice(octets);
                    handshake.handle_sent(count);
                }
                Socks5Output::Receive(room) => {
                    assert!(!room.is_empty(), "there is room");
                    let count = room.len().min(piece).min(proxy.len());
                    room[..count].copy_from_slice(&proxy[..count]);
                    proxy = &proxy[count..];
                    if let Err(error) = handshake.handle_received(count) {
                        return (sent, proxy.len(), Err(error));
                    }
                }
                Socks5Output::Connected => return (sent, proxy.len(), Ok(())),
            }
        }
        panic!("it goes on for ever");
    }

    const V4: Socks5Host<'_> = Socks5Host::Address(IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 2, 7)));
    const LOGIN: Option<(&str, &str)> = Some(("me", "secret"));
    const REPLY: [u8; 10] = [5, 0, 0, 1, 10, 0, 0, 1, 4, 5];

    #[test]
    fn what_is_sent_is_what_the_standard_says() {
        let v6 = Socks5Host::Address("2001:db8::1".parse().unwrap());
        let request_v4 = [5, 1, 0, 1, 192, 0, 2, 7, 1, 2];
        for piece in [1, 2, 3, 7, 1000] {
            let answers = [&[5, 0][..], &REPLY].concat();
            let (sent, left, result) = run(V4, None, &answers, piece);
            assert_eq!((sent, left, result), ([&[5, 1, 0][..], &request_v4].concat(), 0, Ok(())));
            let (sent, _, result) = run(v6, LOGIN, &answers, piece);
            let address = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
            let expected = [&[5, 2, 0, 2, 5, 1, 0, 4][..], &address, &[1, 2]].concat();
            assert_eq!((sent, result), (expected, Ok(())), "it may be let in without a login");
            let answers = [&[5, 2, 1, 0][..], &REPLY].concat();
            let (sent, _, result) = run(Socks5Host::Name("name.test"), LOGIN, &answers, piece);
            let expected =
                [&[5, 2, 0, 2][..], b"\x01\x02me\x06secret", b"\x05\x01\0\x03\x09name.test\x01\x02"].concat();
            assert_eq!((sent, result), (expected, Ok(())));
        }
    }

    #[test]
    fn no_octet_of_the_host_is_taken() {
        let name = [&[5, 0, 5, 0, 0, 3, 4][..], b"host", &[0, 80]].concat();
        let empty = [5, 0, 5, 0, 0, 3, 0, 0, 80].to_vec();
        let v6 = [&[5, 0, 5, 0, 0, 4][..], &[0; 18]].concat();
        let long = [&[5, 0, 5, 0, 0, 3, 255][..], &[b'x'; 255], &[0, 80]].concat();
        for reply in [name, empty, v6, long] {
            for piece in [1, 5, 1000] {
                let answers = [&reply[..], b"220 hello"].concat();
                let (_, left, result) = run(V4, None, &answers, piece);
                assert_eq!((left, result), (9, Ok(())), "{reply:?} {piece}");
            }
        }
    }

    #[test]
    fn what_a_proxy_may_say_against_it() {
        let fails = |answers: &[u8], login, error| {
            for piece in [1, 1000] {
                assert_eq!(run(V4, login, answers, piece).2, Err(error), "{answers:?} {piece}");
            }
        };
        fails(&[], None, Socks5Error::Closed);
        fails(&[5], None, Socks5Error::Closed);
        fails(b"HTTP/1.1 400", None, Socks5Error::NotSocks5);
        fails(&[4, 0], None, Socks5Error::NotSocks5);
        fails(&[5, 0xff], None, Socks5Error::NoAcceptableMethod { login: false });
        fails(&[5, 0xff], LOGIN, Socks5Error::NoAcceptableMethod { login: true });
        fails(&[5, 2], None, Socks5Error::NotSocks5);
        fails(&[5, 1], LOGIN, Socks5Error::NotSocks5);
        fails(&[5, 2, 1, 1], LOGIN, Socks5Error::LoginRefused);
        fails(&[5, 2, 5, 0], LOGIN, Socks5Error::NotSocks5);
        fails(&[5, 0, 5], None, Socks5Error::Closed);
        fails(&[5, 0, 4, 0], None, Socks5Error::NotSocks5);
        fails(&[5, 0, 5, 0, 0, 1, 0], None, Socks5Error::Closed);
        fails(&[5, 0, 5, 0, 0, 2, 0], None, Socks5Error::NotSocks5);
        for reply in 1..=255 {
            fails(&[5, 0, 5, reply], None, Socks5Error::Refused { reply });
        }
    }

    #[test]
    fn what_cannot_be_asked() {
        let long = "x".repeat(256);
        let new = |name, login| Socks5Handshake::new(Socks5Host::Name(name), 80, login).map(drop);
        assert_eq!(new(&long[1..], None), Ok(()));
        for name in ["", &long] {
            assert_eq!(new(name, None), Err(Socks5Error::InvalidName));
        }
        assert_eq!(new("a", Some((&long[1..], &long[1..]))), Ok(()));
        assert_eq!(new("a", Some(("me", ""))), Ok(()));
        for login in [("", "x"), (&long[..], "x"), ("me", &long[..])] {
            assert_eq!(new("a", Some(login)), Err(Socks5Error::InvalidLogin));
        }
    }

    #[test]
    fn the_longest_of_everything_fits() {
        let (name, word) = ("n".repeat(255), "w".repeat(255));
        let answers = [&[5, 2, 1, 0][..], &REPLY].concat();
        let (sent, left, result) = run(Socks5Host::Name(&name), Some((&word, &word)), &answers, 1000);
        assert_eq!((sent.len(), left, result), (4 + 513 + 262, 0, Ok(())));
    }

    #[test]
    fn a_password_is_not_printed() {
        let mut handshake = Socks5Handshake::new(V4, 80, LOGIN).unwrap();
        handshake.handle_sent(4);
        if let Socks5Output::Receive(room) = handshake.poll_output() {
            room.copy_from_slice(&[5, 2]);
        }
        handshake.handle_received(2).unwrap();
        let printed = std::format!("{handshake:?}");
        assert!(printed.contains("SendLogin") && !printed.contains("secret"), "{printed}");
        let texts: Vec<String> = (1..=9).map(|reply| Socks5Error::Refused { reply }.to_string()).collect();
        assert!(texts.iter().all(|text| text.starts_with("the SOCKS5 proxy ")), "{texts:?}");
        assert!(texts[8].ends_with("reply 9"), "{texts:?}");
    }
}
