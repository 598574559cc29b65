//! What a server with a good certificate can send after its handshake: no message of it makes a program
//! panic.

#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test file uses some of it")]
mod std_support;

use std::io::{self, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use aes_gcm::aead::AeadInPlace as _;
use aes_gcm::{Aes128Gcm, KeyInit as _};
use connie_async::connie_core::TlsFailure;
use connie_async::tls::embedded::{CertificateDer, CertificateTime, EmbeddedTls, trust_anchor};
use connie_async::tls::{RecordPair, SessionError, Tls as _};
use connie_servers::{Authority, TlsServer};
use embedded_io_async::Read as _;
use embedded_nal_async::TcpConnect as _;
use rand_core::OsRng;
use rustls::{ConnectionTrafficSecrets, ServerConfig, ServerConnection};
use std_support::{Counted, run};

const HOST: &str = "after.test";
const HANDSHAKE: u8 = 22;
const APPLICATION_DATA: u8 = 23;

/// Does the handshake, and then sends these as records: of each the content and its type.
fn break_rules(config: &Arc<ServerConfig>, records: &[(Vec<u8>, u8)], mut tcp: TcpStream) -> io::Result<()> {
    let mut tls = ServerConnection::new(Arc::clone(config)).map_err(io::Error::other)?;
    while tls.is_handshaking() || tls.wants_write() {
        tls.complete_io(&mut tcp)?;
    }
    let (first, secrets) = tls.dangerous_extract_secrets().map_err(io::Error::other)?.tx;
    let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
        return Err(io::Error::other("another suite"));
    };
    let cipher = Aes128Gcm::new_from_slice(key.as_ref()).map_err(|_| io::Error::other("a key"))?;
    for (number, (content, kind)) in (first..).zip(records) {
        let mut record = [&content[..], &[*kind]].concat();
        let length = u16::try_from(record.len() + 16).map_err(io::Error::other)?.to_be_bytes();
        let header = [APPLICATION_DATA, 3, 3, length[0], length[1]];
        // RFC 8446 section 5.3.
        let mut nonce: [u8; 12] = iv.as_ref().try_into().map_err(io::Error::other)?;
        nonce[4..].iter_mut().zip(number.to_be_bytes()).for_each(|(octet, of)| *octet ^= of);
        let tag = cipher
            .encrypt_in_place_detached(&nonce.into(), &header, &mut record)
            .map_err(|_| io::Error::other("AES"))?;
        tcp.write_all(&[&header[..], &record, &tag].concat())?;
    }
    io::copy(&mut tcp, &mut io::sink()).map(|_| ())
}

/// What a client reads whose server sends these.
fn read_after(records: Vec<(Vec<u8>, u8)>) -> Result<Vec<u8>, SessionError> {
    let authority = Authority::new();
    let mut config = authority.certify(&[HOST]).server_config(&[&rustls::version::TLS13]);
    config.enable_secret_extraction = true;
    // P-256 and the one suite are what embedded-tls asks for.
    let config = Arc::new(config);
    let server = TlsServer::raw(move |tcp| break_rules(&config, &records, tcp));
    let der = CertificateDer::from(authority.der());
    let anchors = [trust_anchor(&der).expect("a certificate")];
    let tls = EmbeddedTls::new(OsRng, &anchors, CertificateTime::Unknown);
    let stack = Counted::default();
    let (mut read, mut write) = ([0; 16640], [0; 1024]);
    run(async {
        let tcp = stack.connect(server.address()).await.expect("TCP");
        let records = RecordPair { read: &mut read, write: &mut write };
        let mut session = tls.handshake(HOST, tcp, records).await.expect("TLS");
        let mut buffer = [0; 64];
        let length = session.read(&mut buffer).await?;
        Ok(buffer[..length].to_vec())
    })
}

/// A message of a handshake.
fn message(kind: u8, content: &[u8]) -> Vec<u8> {
    let length = u8::try_from(content.len()).expect("a short one");
    [&[kind, 0, 0, length], content].concat()
}

#[test]
fn any_message_of_a_handshake_but_a_ticket_ends_the_session_with_an_error() {
    let finished = message(20, &[7; 32]);
    for (kind, content) in [
        // As embedded-tls reads them: a ServerHello, EncryptedExtensions, a CertificateRequest, a
        // Certificate, a CertificateVerify, a KeyUpdate.
        (2, vec![0; 40]),
        (8, vec![0; 2]),
        (13, vec![0; 3]),
        (11, vec![0; 4]),
        (15, vec![4, 3, 0, 2, 0, 0]),
        (24, vec![0]),
        (20, vec![7; 32]),
        (250, vec![]),
    ] {
        let read = read_after(vec![(message(kind, &content), HANDSHAKE)]);
        assert_eq!(read, Err(SessionError::Tls(TlsFailure::Protocol)), "{kind}");
    }
    // Behind a ticket; and within one whose own lengths end before it does, where embedded-tls reads on.
    let ticket = [0; 13];
    let within = [&ticket[..], &finished].concat();
    for content in
        [[message(4, &ticket), finished.clone()].concat(), message(4, &ticket[..12])[..15].to_vec()]
    {
        let read = read_after(vec![(content, HANDSHAKE)]);
        assert_eq!(read, Err(SessionError::Tls(TlsFailure::Protocol)));
    }
    let after = (b"data".to_vec(), APPLICATION_DATA);
    let read = read_after(vec![(message(4, &within), HANDSHAKE), after]);
    assert_eq!(read, Ok(b"data".to_vec()), "nothing within a ticket is read");
}

#[test]
fn tickets_and_data_come_as_before() {
    let ticket = message(4, &[0; 13]);
    let data = |data: &[u8]| (data.to_vec(), APPLICATION_DATA);
    let read = read_after(vec![
        ([ticket.clone(), ticket.clone()].concat(), HANDSHAKE),
        data(b""),
        (ticket, HANDSHAKE),
        data(b"\x14\x00\x00\x00"),
    ]);
    assert_eq!(read, Ok(b"\x14\x00\x00\x00".to_vec()));
}
