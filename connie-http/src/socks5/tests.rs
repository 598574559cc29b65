extern crate std;

use std::string::{String, ToString};
use std::vec::Vec;

use super::*;

/// Runs a handshake with a proxy that says this, of which `piece` octets come and go at a time. Gives what
/// was sent, what is left of what the proxy said, and how it ended.
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
