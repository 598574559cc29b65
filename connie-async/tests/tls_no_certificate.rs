//! Servers that do the handshake but do not prove who they are: an empty chain of certificates, no
//! Certificate message, no signature. Written by hand, since no TLS library does so.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses some of it")]
mod std_support;

use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use aes_gcm::aead::AeadInPlace as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};
use connie_async::connie_core::TlsFailure;
use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
use connie_async::tls::{RecordBuffers, SessionError, TlsError, TlsRaceConnect};
use connie_async::{ConnectionError, Options, RaceConnect};
use connie_servers::{Authority, TlsServer};
use embedded_io_async::{Error as _, ErrorKind, Write as _};
use hkdf::Hkdf;
use hmac::{Hmac, Mac as _};
use p256::elliptic_curve::sec1::ToEncodedPoint as _;
use p256::{EncodedPoint, PublicKey, ecdh::EphemeralSecret};
use rand_core::OsRng;
use sha2::{Digest as _, Sha256};
use std_support::{Counted, SystemClock, Table, run};

const HOST: &str = "unknown.test";

const SERVER_HELLO: u8 = 2;
const ENCRYPTED_EXTENSIONS: u8 = 8;
const CERTIFICATE: u8 = 11;
const CERTIFICATE_VERIFY: u8 = 15;
const FINISHED: u8 = 20;
const KEY_SHARE: u16 = 51;

/// `content` behind its length, which takes this many octets.
fn with_length(octets: usize, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    [&length[length.len() - octets..], content].concat()
}

/// A message of a handshake (RFC 8446 section 4).
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    [&[kind][..], &with_length(3, content)].concat()
}

fn extension(kind: u16, content: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &with_length(2, content)].concat()
}

/// HKDF-Expand-Label (RFC 8446 section 7.1).
fn expand(secret: &[u8], label: &str, context: &[u8], length: usize) -> Vec<u8> {
    let label = [b"tls13 ", label.as_bytes()].concat();
    let mut info = (length as u16).to_be_bytes().to_vec();
    info.extend(with_length(1, &label));
    info.extend(with_length(1, context));
    let mut expanded = vec![0; length];
    Hkdf::<Sha256>::from_prk(secret).expect("a secret").expand(&info, &mut expanded).expect("room");
    expanded
}

fn read_record(tcp: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut header = [0; 5];
    tcp.read_exact(&mut header)?;
    let mut record = vec![0; usize::from(u16::from_be_bytes([header[3], header[4]]))];
    tcp.read_exact(&mut record)?;
    Ok(record)
}

/// The client's public key, and the session that it names (RFC 8446 section 4.1.2).
fn read_hello(hello: &[u8]) -> (PublicKey, Vec<u8>) {
    // Header, version, random.
    let rest = &hello[4 + 2 + 32..];
    let (session, rest) = rest[1..].split_at(usize::from(rest[0]));
    let suites = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
    let rest = &rest[suites..];
    let mut extensions = &rest[1 + usize::from(rest[0]) + 2..];
    while let [a, b, c, d, rest @ ..] = extensions {
        let (content, rest) = rest.split_at(usize::from(u16::from_be_bytes([*c, *d])));
        if u16::from_be_bytes([*a, *b]) == KEY_SHARE {
            // The shares' length, the group, the key's length.
            let key = PublicKey::from_sec1_bytes(&content[6..6 + 65]).expect("a key of P-256");
            return (key, session.to_vec());
        }
        extensions = rest;
    }
    panic!("no key: {hello:?}");
}

/// Does the handshake: after EncryptedExtensions come these messages, and then Finished.
fn shake_hands(messages: &[Vec<u8>], mut tcp: TcpStream) -> io::Result<()> {
    let hello = read_record(&mut tcp)?;
    let (key, session) = read_hello(&hello);
    let secret = EphemeralSecret::random(&mut OsRng);
    let point: EncodedPoint = secret.public_key().to_encoded_point(false);
    let share = [&0x17_u16.to_be_bytes()[..], &with_length(2, point.as_bytes())].concat();
    let extensions = [extension(43, &[3, 4]), extension(KEY_SHARE, &share)].concat();
    let answer = [
        &[3, 3][..],
        &[7; 32],
        &with_length(1, &session),
        // TLS_AES_128_GCM_SHA256, and no compression.
        &[0x13, 1, 0],
        &with_length(2, &extensions),
    ];
    let answer = message(SERVER_HELLO, &answer.concat());
    tcp.write_all(&[&[22, 3, 3][..], &with_length(2, &answer)].concat())?;

    let mut heard = [&hello[..], &answer].concat();
    let (early, _) = Hkdf::<Sha256>::extract(None, &[0; 32]);
    let derived = expand(&early, "derived", &Sha256::digest(b""), 32);
    let shared = secret.diffie_hellman(&key);
    let (handshake, _) = Hkdf::<Sha256>::extract(Some(&derived), shared.raw_secret_bytes());
    let traffic = expand(&handshake, "s hs traffic", &Sha256::digest(&heard), 32);
    heard.extend(message(ENCRYPTED_EXTENSIONS, &[0, 0]));
    heard.extend(messages.concat());
    let key = expand(&traffic, "finished", b"", 32);
    let mut mac = <Hmac<Sha256> as hmac::Mac>::new_from_slice(&key).expect("a key");
    mac.update(&Sha256::digest(&heard));
    heard.extend(message(FINISHED, &mac.finalize().into_bytes()));

    // All of them in one record, of the type of a handshake.
    let mut record = [&heard[hello.len() + answer.len()..], &[22]].concat();
    let header = [&[23, 3, 3][..], &((record.len() + 16) as u16).to_be_bytes()].concat();
    let cipher = Aes128Gcm::new_from_slice(&expand(&traffic, "key", b"", 16)).expect("a key");
    let nonce: [u8; 12] = expand(&traffic, "iv", b"", 12).try_into().expect("12");
    let tag = cipher.encrypt_in_place_detached(&nonce.into(), &header, &mut record).expect("room for it");
    tcp.write_all(&[&header[..], &record, &tag].concat())?;
    io::copy(&mut tcp, &mut io::sink()).map(|_| ())
}

/// How TLS fails with a server that sends these messages. The client must refuse it.
#[track_caller]
fn failure(authority: &Authority, messages: Vec<Vec<u8>>) -> TlsFailure {
    let server = TlsServer::raw(move |tcp| shake_hands(&messages, tcp));
    let der = CertificateDer::from(authority.der());
    let anchors = [trust_anchor(&der).expect("a certificate")];
    let tls = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Unknown);
    let buffers = RecordBuffers::<1>::new();
    let table = Table(vec![IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let net = RaceConnect::new(Counted::default(), table, SystemClock::new(), Options::new());
    let secure = TlsRaceConnect::new(&net, tls, &buffers);
    let connected = run(async {
        let mut connection = secure.connect((HOST, server.address().port()), &Options::new()).await?;
        connection.write_all(b"secret").await
    });
    let error = connected.expect_err("nobody has said who that is");
    assert!(matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidData), "{error}");
    match error {
        ConnectionError::AllAttemptsFailed(Some(TlsError::Session(SessionError::Tls(failure)))) => failure,
        error => panic!("{error}"),
    }
}

/// RFC 8446 section 4.4.2: a list of certificates, each with extensions.
fn certificate(chain: &[&[u8]]) -> Vec<u8> {
    let entries: Vec<_> =
        chain.iter().map(|der| [with_length(3, der), with_length(2, b"")].concat()).collect();
    message(CERTIFICATE, &[with_length(1, b""), with_length(3, &entries.concat())].concat())
}

#[test]
fn a_server_that_does_not_say_who_it_is_is_refused() {
    let authority = Authority::new();
    let good = authority.certify(&[HOST]);
    let der = good.certificate_der();
    let forged =
        message(CERTIFICATE_VERIFY, &[&[4, 3][..], &with_length(2, &[0x30, 6, 2, 1, 1, 2, 1, 1])].concat());
    // No certificate: not in the list, and no list. RFC 8446 section 4.4.2.4: "the server's certificate_list
    // MUST NOT be empty".
    assert_eq!(failure(&authority, vec![certificate(&[])]), TlsFailure::CertificateInvalid);
    assert_eq!(failure(&authority, vec![certificate(&[]), forged.clone()]), TlsFailure::CertificateInvalid);
    assert_eq!(failure(&authority, vec![]), TlsFailure::Protocol);
    // A good certificate, which anybody can copy: without its key it proves nothing.
    assert_eq!(failure(&authority, vec![certificate(&[der])]), TlsFailure::Protocol);
    assert_eq!(
        failure(&authority, vec![certificate(&[der]), forged.clone()]),
        TlsFailure::CertificateInvalid
    );
    // And a signature without a certificate.
    assert_eq!(failure(&authority, vec![forged]), TlsFailure::Protocol);
}
