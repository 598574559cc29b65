//! A client of the proxy that speaks SOCKS5, or says anything at all.

use std::net::IpAddr;

use connie_proxy::parts::{LoginDemand, Socks5Fault, Socks5Host, Socks5Reader, Socks5Step};

use crate::decoded::{hex, note};
use crate::draw::Draw;

/// What a client wants: its host and port, and what it has logged in by.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    sent: Vec<u8>,
    login: Option<(Vec<u8>, Vec<u8>)>,
    host: Option<(String, u16)>,
    left: usize,
}

/// Reads what a client sends. The first byte decides which clients the proxy asks for a login, the second in
/// which steps the rest arrives.
///
/// # Panics
///
/// Where it makes a difference in which steps it arrives; where what is read is not what the octets say,
/// written again.
pub fn proxy_socks5(data: &[u8]) {
    let mut draw = Draw::new(data);
    let demand = draw.pick(&[LoginDemand::Unneeded, LoginDemand::Preferred, LoginDemand::Required]);
    let step = usize::from(draw.byte()).max(1);
    let input = draw.rest();
    note(|| format!("{demand:?}, steps of {step}: {}", hex(input)));
    let whole = read(demand, input, input.len().max(1));
    match (&whole, &read(demand, input, step)) {
        // What is left over where more was to come is a matter of steps.
        (Ok(whole), Ok(cut)) if whole.host.is_none() => {
            assert_eq!((&whole.sent, &whole.login), (&cut.sent, &cut.login))
        }
        (whole, cut) => assert_eq!(whole, cut, "in steps of {step}"),
    }
    if let Ok(seen) = &whole {
        assert!(demand != LoginDemand::Required || seen.host.is_none() || seen.login.is_some(), "let in");
        if let Some((host, port)) = &seen.host {
            is_what_it_says(input, seen, host, *port);
        }
    }
}

fn read(demand: LoginDemand, input: &[u8], step: usize) -> Result<Seen, Socks5Fault> {
    let (mut reader, mut seen, mut held) = (Socks5Reader::new(demand), Seen::default(), Vec::new());
    let mut arrived = 0;
    // Two answers at most, then a request.
    for piece in input.chunks(step) {
        held.extend_from_slice(piece);
        arrived += piece.len();
        for _ in 0..4 {
            let consumed = match reader.read(&held)? {
                Socks5Step::More => break,
                Socks5Step::Send { consumed, octets } => {
                    seen.sent.extend(octets);
                    consumed
                }
                Socks5Step::Login { consumed, user, password } => {
                    seen.login = Some((user.to_vec(), password.to_vec()));
                    seen.sent.extend(reader.handle_login());
                    consumed
                }
                Socks5Step::Connect { consumed, host, port } => {
                    let host = match host {
                        Socks5Host::Address(address) => format!("address {address}"),
                        Socks5Host::Name(name) => format!("name {name}"),
                    };
                    seen.host = Some((host, port));
                    seen.left = held.len() - consumed + (input.len() - arrived);
                    return Ok(seen);
                }
            };
            assert!(0 < consumed && consumed <= held.len(), "it has no such octets");
            held.drain(..consumed);
        }
    }
    Ok(seen)
}

/// The octets that were read end with the request that says this.
#[track_caller]
fn is_what_it_says(input: &[u8], seen: &Seen, host: &str, port: u16) {
    let read = &input[..input.len() - seen.left];
    let address = match host.split_once(' ') {
        Some(("name", name)) => {
            let length = u8::try_from(name.len()).expect("an octet says how long a name is");
            [&[3, length], name.as_bytes()].concat()
        }
        Some(("address", text)) => match text.parse().expect("an address") {
            IpAddr::V4(ip) => [&[1][..], &ip.octets()].concat(),
            IpAddr::V6(ip) => [&[4][..], &ip.octets()].concat(),
        },
        _ => unreachable!("one or the other"),
    };
    let tail = [&address[..], &port.to_be_bytes()].concat();
    assert!(read.ends_with(&tail), "{host} {port} is not in {}", hex(read));
    let before = &read[..read.len() - tail.len()];
    let [.., version, command, _] = before else { panic!("a request has a head") };
    assert_eq!((*version, *command), (5, 1));
    let login = seen.login.as_ref().map_or(0, |(user, password)| 3 + user.len() + password.len());
    assert_eq!(before.len() - 3 - login, 2 + usize::from(input[1]), "the greeting, and nothing else");
}
