//! Runs the example against a server that speaks as much of PostgreSQL as a start and one query take.
#![cfg(target_os = "linux")]

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use connie_servers::{BlackHole, closed_port};

/// A message of the server: its kind, and its length with itself.
fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).expect("a short one");
    [&[kind][..], &length.to_be_bytes(), body].concat()
}

/// What the client says: a kind, but for its first message, and a body.
fn hear(stream: &mut TcpStream, has_kind: bool) -> io::Result<(u8, Vec<u8>)> {
    let (mut kind, mut length) = ([0], [0; 4]);
    if has_kind {
        stream.read_exact(&mut kind)?;
    }
    stream.read_exact(&mut length)?;
    let mut body = vec![0; u32::from_be_bytes(length).saturating_sub(4).min(65_536) as usize];
    stream.read_exact(&mut body)?;
    Ok((kind[0], body))
}

const READY: &[u8] = b"I";

/// "AuthenticationOk", "ReadyForQuery"; for a query a row of one text, until "Terminate".
fn serve(mut stream: TcpStream) -> io::Result<()> {
    let (_, startup) = hear(&mut stream, false)?;
    assert!(startup.starts_with(&196_608_u32.to_be_bytes()), "version 3.0: {startup:?}");
    stream.write_all(&[message(b'R', &[0; 4]), message(b'Z', READY)].concat())?;
    loop {
        match hear(&mut stream, true)? {
            (b'Q', query) => {
                assert_eq!(query, b"SELECT 'hello'\0");
                let column =
                    [&b"?column?\0"[..], &[0; 6], &25_u32.to_be_bytes(), &[0xff; 2], &[0xff; 4], &[0; 2]];
                let description = [&1_u16.to_be_bytes()[..], &column.concat()].concat();
                let row = [&1_u16.to_be_bytes()[..], &5_u32.to_be_bytes(), b"hello"].concat();
                let parts = [
                    (b'T', description),
                    (b'D', row),
                    (b'C', b"SELECT 1\0".to_vec()),
                    (b'Z', READY.to_vec()),
                ];
                stream.write_all(&parts.map(|(kind, body)| message(kind, &body)).concat())?;
            }
            (b'X', _) => return Ok(()),
            (kind, _) => panic!("a message of kind {kind}"),
        }
    }
}

/// Nobody answers at the first replica, the second is down.
#[test]
fn the_replica_that_answers_is_asked() {
    let server = TcpListener::bind("127.0.0.4:0").expect("a port");
    let address = server.local_addr().expect("an address");
    let (hole, closed) = (BlackHole::open(([127, 0, 0, 2], 0)), closed_port([127, 0, 0, 3].into()));
    let served = std::thread::spawn(move || serve(server.accept().expect("a client").0));
    let replicas = [hole.address(), closed.address(), address].map(|address| address.to_string());
    let output = Command::new(env!("CARGO_BIN_EXE_postgres")).args(&replicas).output().expect("the example");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{told}");
    assert!(told.contains(&format!("(\"127.0.0.4\", {})) won", address.port())), "{told}");
    served.join().expect("no panic").expect("a client that ends in order");
}
