//! Reads what a client of SOCKS5 sends (RFC 1928, RFC 1929), however the input is split. Does no I/O.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub use connie_http::parts::Socks5Host;

const VERSION: u8 = 5;
/// RFC 1929 section 2: "The VER field contains the current version of the subnegotiation, which is X'01'."
const LOGIN_VERSION: u8 = 1;
const NO_LOGIN: u8 = 0;
const USER_AND_PASSWORD: u8 = 2;
const NO_ACCEPTABLE_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;
const IPV4: u8 = 1;
const NAME: u8 = 3;
const IPV6: u8 = 4;

/// When a client is asked for a name and password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginDemand {
    /// Only if it offers nothing else. Any will do.
    Unneeded,
    /// If it offers to log in. Any will do.
    Preferred,
    /// Always.
    Required,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socks5Step<'a> {
    /// More input is needed.
    More,
    /// `consumed` octets have been dealt with; these are to be sent.
    Send {
        /// How many octets of the input.
        consumed: usize,
        /// What to send.
        octets: [u8; 2],
    },
    /// The client logs in: to be answered by [`Socks5Reader::handle_login`].
    Login {
        /// How many octets of the input.
        consumed: usize,
        /// The user's name, which has an octet at least.
        user: &'a [u8],
        /// The password.
        password: &'a [u8],
    },
    /// The client wants to be connected. The handshake is over but for the reply.
    Connect {
        /// How many octets of the input. Those that follow are for the host.
        consumed: usize,
        /// The host.
        host: Socks5Host<'a>,
        /// The port.
        port: u16,
    },
}

/// Why a client cannot be served, before anything was tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Socks5Fault {
    /// It does not speak SOCKS5 as the standard has it.
    NotSocks5,
    /// It offers no method that is acceptable here.
    NoAcceptableMethod,
    /// Its name or password is wrong.
    LoginRefused,
    /// It wants something other than CONNECT.
    Command,
    /// Its address is of another type.
    AddressType,
    /// Its name is not one.
    Name,
    /// Its port is 0, at which nothing can listen.
    Port,
}

impl Socks5Fault {
    /// What to send before the connection is closed.
    #[must_use]
    pub fn answer(self) -> &'static [u8] {
        match self {
            Socks5Fault::NotSocks5 => &[],
            Socks5Fault::NoAcceptableMethod => &[VERSION, NO_ACCEPTABLE_METHOD],
            // Section 2: "If the server returns a ` failure' (STATUS value other than X'00') status, it MUST
            // close the connection."
            Socks5Fault::LoginRefused => &[LOGIN_VERSION, 1],
            Socks5Fault::Command => const { &reply(7) },
            Socks5Fault::AddressType => const { &reply(8) },
            Socks5Fault::Name => const { &reply(4) },
            Socks5Fault::Port => const { &reply(1) },
        }
    }
}

/// A reply of RFC 1928 section 6. Its bound address is always 0.0.0.0:0: that address is useful only for
/// BIND, and would tell clients more of the machine than they need to know.
#[must_use]
pub const fn reply(code: u8) -> [u8; 10] {
    [VERSION, code, 0, IPV4, 0, 0, 0, 0, 0, 0]
}

/// The handshake with one client, up to its request.
#[derive(Debug)]
pub struct Socks5Reader {
    demand: LoginDemand,
    phase: ReaderPhase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ReaderPhase {
    Methods,
    Login,
    Request,
}

impl Socks5Reader {
    /// The handshake with a client of which nothing has been read.
    #[must_use]
    pub const fn new(demand: LoginDemand) -> Self {
        Socks5Reader { demand, phase: ReaderPhase::Methods }
    }

    /// Reads the start of `input`, which is all that has arrived and was not consumed before.
    ///
    /// # Errors
    ///
    /// [`Socks5Fault`], whose answer is to be sent before the connection is closed.
    pub fn read<'a>(&mut self, input: &'a [u8]) -> Result<Socks5Step<'a>, Socks5Fault> {
        match self.phase {
            ReaderPhase::Methods => self.methods(input),
            ReaderPhase::Login => login(input),
            ReaderPhase::Request => request(input),
        }
    }

    /// The name and password are right: what to send.
    pub fn handle_login(&mut self) -> [u8; 2] {
        self.phase = ReaderPhase::Request;
        [LOGIN_VERSION, 0]
    }

    /// Section 3: `VER NMETHODS METHODS`.
    fn methods(&mut self, input: &[u8]) -> Result<Socks5Step<'static>, Socks5Fault> {
        let Some((version, rest)) = input.split_first() else { return Ok(Socks5Step::More) };
        if *version != VERSION {
            return Err(Socks5Fault::NotSocks5);
        }
        let Some((count, rest)) = rest.split_first() else { return Ok(Socks5Step::More) };
        let Some(methods) = rest.get(..usize::from(*count)) else { return Ok(Socks5Step::More) };
        let (open, login) = (methods.contains(&NO_LOGIN), methods.contains(&USER_AND_PASSWORD));
        let method = match self.demand {
            LoginDemand::Unneeded if open => NO_LOGIN,
            _ if login => USER_AND_PASSWORD,
            LoginDemand::Preferred if open => NO_LOGIN,
            _ => return Err(Socks5Fault::NoAcceptableMethod),
        };
        self.phase = if method == NO_LOGIN { ReaderPhase::Request } else { ReaderPhase::Login };
        Ok(Socks5Step::Send { consumed: 2 + methods.len(), octets: [VERSION, method] })
    }
}

/// RFC 1929 section 2: `VER ULEN UNAME PLEN PASSWD`.
fn login(input: &[u8]) -> Result<Socks5Step<'_>, Socks5Fault> {
    let Some((version, rest)) = input.split_first() else { return Ok(Socks5Step::More) };
    if *version != LOGIN_VERSION {
        return Err(Socks5Fault::NotSocks5);
    }
    let Some((user, rest)) = counted(rest) else { return Ok(Socks5Step::More) };
    if user.is_empty() {
        return Err(Socks5Fault::LoginRefused);
    }
    let Some((password, _)) = counted(rest) else { return Ok(Socks5Step::More) };
    Ok(Socks5Step::Login { consumed: 3 + user.len() + password.len(), user, password })
}

/// RFC 1928 section 4: `VER CMD RSV ATYP DST.ADDR DST.PORT`.
fn request(input: &[u8]) -> Result<Socks5Step<'_>, Socks5Fault> {
    if input.first().is_some_and(|version| *version != VERSION) {
        return Err(Socks5Fault::NotSocks5);
    }
    let Some((&[_, command, _, kind], rest)) = input.split_first_chunk() else {
        return Ok(Socks5Step::More);
    };
    if command != CONNECT {
        return Err(Socks5Fault::Command);
    }
    let address = match kind {
        IPV4 => rest.split_first_chunk::<4>().map(|(ip, rest)| (IpAddr::V4(Ipv4Addr::from(*ip)), rest)),
        IPV6 => rest.split_first_chunk::<16>().map(|(ip, rest)| (IpAddr::V6(Ipv6Addr::from(*ip)), rest)),
        NAME => return named(input, rest),
        _ => return Err(Socks5Fault::AddressType),
    };
    let Some((address, rest)) = address else { return Ok(Socks5Step::More) };
    connect(input, Socks5Host::Address(address), rest)
}

fn named<'a>(input: &'a [u8], rest: &'a [u8]) -> Result<Socks5Step<'a>, Socks5Fault> {
    let Some((name, rest)) = counted(rest) else { return Ok(Socks5Step::More) };
    let name = std::str::from_utf8(name).ok().filter(|name| !name.is_empty());
    connect(input, Socks5Host::Name(name.ok_or(Socks5Fault::Name)?), rest)
}

/// The port, which `rest` of the input begins with.
fn connect<'a>(input: &[u8], host: Socks5Host<'a>, rest: &[u8]) -> Result<Socks5Step<'a>, Socks5Fault> {
    let Some((port, rest)) = rest.split_first_chunk() else { return Ok(Socks5Step::More) };
    match u16::from_be_bytes(*port) {
        0 => Err(Socks5Fault::Port),
        port => Ok(Socks5Step::Connect { consumed: input.len() - rest.len(), host, port }),
    }
}

/// Splits off a field that begins with an octet for its length, and returns it and the rest.
fn counted(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = input.split_first()?;
    rest.split_at_checked(usize::from(*length))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is sent, the host and port to connect to as text, and what is left over.
    type Read = (Vec<u8>, Option<String>, Vec<u8>);

    /// Runs a reader on input that comes `piece` octets at a time.
    fn run(demand: LoginDemand, input: &[u8], piece: usize) -> Result<Read, Socks5Fault> {
        let (mut reader, mut sent, mut held, mut user) = (Socks5Reader::new(demand), vec![], vec![], None);
        for piece in input.chunks(piece) {
            held.extend_from_slice(piece);
            loop {
                let consumed = match reader.read(&held)? {
                    Socks5Step::More => break,
                    Socks5Step::Send { consumed, octets } => {
                        sent.extend(octets);
                        consumed
                    }
                    Socks5Step::Login { consumed, user: name, password } => {
                        user = Some(format!("{name:?} {password:?} "));
                        sent.extend(reader.handle_login());
                        consumed
                    }
                    Socks5Step::Connect { consumed, host, port } => {
                        let text = format!("{}{host:?} {port}", user.unwrap_or_default());
                        return Ok((sent, Some(text), held[consumed..].to_vec()));
                    }
                };
                held.drain(..consumed);
            }
        }
        Ok((sent, None, held))
    }

    const REQUEST: [u8; 10] = [5, 1, 0, 1, 192, 0, 2, 7, 1, 2];

    #[test]
    fn a_request_is_read_however_it_is_cut() {
        let v6 =
            [&[5, 1, 0, 4][..], &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], &[0, 80]].concat();
        let name = [&[5, 1, 0, 3, 9][..], b"name.test", &[1, 0xbb]].concat();
        for (request, wanted) in [
            (&REQUEST[..], "Address(192.0.2.7) 258"),
            (&v6, "Address(2001:db8::1) 80"),
            (&name, "Name(\"name.test\") 443"),
        ] {
            for piece in [1, 2, 3, 1000] {
                let input = [&[5, 1, 0][..], request, b"early"].concat();
                let (sent, host, left) = run(LoginDemand::Unneeded, &input, piece).unwrap();
                assert_eq!((sent, host.as_deref()), (vec![5, 0], Some(wanted)), "{piece}");
                assert!(b"early".starts_with(&left), "no octet of the host's is taken");
            }
        }
    }

    #[test]
    fn who_must_log_in_is_asked_to() {
        let login = [1, 2, b'm', b'e', 1, b'x'];
        let input = [&[5, 2, 0, 2][..], &login, &REQUEST].concat();
        for demand in [LoginDemand::Preferred, LoginDemand::Required] {
            let (sent, host, _) = run(demand, &input, 1).unwrap();
            assert_eq!(sent, [5, 2, 1, 0]);
            assert_eq!(host.unwrap(), "[109, 101] [120] Address(192.0.2.7) 258");
        }
        // A login that is not needed is not asked for, unless the client offers nothing else.
        assert_eq!(run(LoginDemand::Unneeded, &[5, 2, 0, 2], 1).unwrap().0, [5, 0]);
        assert_eq!(run(LoginDemand::Unneeded, &[5, 1, 2], 1).unwrap().0, [5, 2]);
        assert_eq!(run(LoginDemand::Preferred, &[5, 1, 0], 1).unwrap().0, [5, 0]);
    }

    #[test]
    fn what_is_not_served_is_told() {
        use Socks5Fault::{AddressType, Command, LoginRefused, Name, NoAcceptableMethod, NotSocks5, Port};
        let after = |request: &[u8]| [&[5, 1, 0][..], request].concat();
        for (input, fault) in [
            (vec![4], NotSocks5),
            (vec![5, 0], NoAcceptableMethod),
            (vec![5, 1, 1], NoAcceptableMethod),
            (after(&[4]), NotSocks5),
            (after(&[5, 2, 0, 1]), Command),
            (after(&[5, 3, 0, 1]), Command),
            (after(&[5, 1, 0, 2]), AddressType),
            (after(&[5, 1, 0, 3, 0, 0, 80]), Name),
            (after(&[5, 1, 0, 3, 1, 0xff, 0, 80]), Name),
            (after(&[5, 1, 0, 3, 1, b'a', 0, 0]), Port),
            (after(&[5, 1, 0, 1, 127, 0, 0, 1, 0, 0]), Port),
            (vec![5, 1, 2, 5], NotSocks5),
            (vec![5, 1, 2, 1, 0], LoginRefused),
        ] {
            for piece in [1, 1000] {
                assert_eq!(run(LoginDemand::Unneeded, &input, piece), Err(fault), "{input:?}");
            }
        }
        assert_eq!(run(LoginDemand::Required, &[5, 1, 0], 1), Err(NoAcceptableMethod));
        assert!([Command, AddressType, Name, Port].iter().all(|fault| fault.answer().len() == 10));
    }

    #[test]
    fn the_longest_of_everything_is_read() {
        let long = [b'x'; 255];
        let methods = [&[5, 255][..], &[2; 255]].concat();
        let login = [&[1, 255][..], &long, &[255], &long].concat();
        let request = [&[5, 1, 0, 3, 255][..], &long, &[0, 80]].concat();
        let (_, host, left) = run(LoginDemand::Required, &[methods, login, request].concat(), 7).unwrap();
        assert!(host.is_some() && left.is_empty());
    }
}
