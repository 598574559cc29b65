//! What goes through a tunnel: ends, resets, and no more than the other side takes.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use connie_servers::clock::{pause, poll_until};

use crate::support::{LIMIT, Running, Server, config, read, read_all, socks5};

fn tunnel(proxy: &Running, server: &Server) -> TcpStream {
    let mut client = proxy.client();
    assert_eq!(socks5(&mut client, server.address), 0);
    client
}

#[test]
fn a_side_that_is_closed_leaves_the_other_open() {
    // It answers when it has everything.
    let server = Server::start(|mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        stream.write_all(format!("{} octets", all.len()).as_bytes()).unwrap();
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    client.write_all(&[b'x'; 100_000]).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_all(&mut client), "100000 octets");
    // The server closes first, and reads on.
    let (told, heard) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        told.send(read_all(&mut stream)).unwrap();
    });
    let mut client = tunnel(&proxy, &server);
    assert_eq!(read_all(&mut client), "bye");
    client.write_all(b"still here").unwrap();
    drop(client);
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), "still here");
}

#[test]
fn a_reset_is_one_on_the_other_side() {
    let server = Server::start(|mut stream| {
        // What was not read makes the close a reset.
        stream.peek(&mut [0; 1]).unwrap();
        let _: [u8; 1] = read(&mut stream);
        stream.peek(&mut [0; 1]).unwrap();
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    client.write_all(b"ab").unwrap();
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
}

#[test]
fn no_more_is_read_than_the_other_side_takes() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Mutex::new(wait);
    let (told, heard) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        let _ = wait.lock().unwrap().recv_timeout(LIMIT);
        told.send(read_all(&mut stream).len()).unwrap();
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    // As much as the buffers of four sockets hold; more than that would be held by the proxy.
    client.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let (piece, mut sent) = (vec![b'x'; 64 * 1024], 0);
    loop {
        match client.write(&piece) {
            Ok(count) => sent += count,
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{error}");
                break;
            }
        }
        assert!(sent < 64 << 20, "the proxy takes everything");
    }
    go.send(()).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(heard.recv_timeout(LIMIT).unwrap(), sent, "and nothing is lost");
}

#[test]
fn a_connection_that_is_silent_ends() {
    let server = Server::echo();
    let mut config = config();
    config.limits.idle = Duration::from_millis(300);
    config.limits.half_closed = Duration::from_millis(300);
    let proxy = Running::start(config);
    let mut client = tunnel(&proxy, &server);
    for _ in 0..4 {
        std::thread::park_timeout(Duration::from_millis(150));
        client.write_all(b"x").unwrap();
        assert_eq!(&read::<1>(&mut client), b"x", "one that is not lives on");
    }
    assert_eq!(client.read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn many_bytes_arrive_as_they_were() {
    const LENGTH: usize = 20 << 20;
    let server = Server::echo();
    let pattern = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
    let bytes: Vec<u8> = (0..LENGTH).map(pattern).collect();
    // Through pipes, through memory, and with one pipe for both directions.
    for pipes in [64, 0, 1] {
        let mut config = config();
        config.limits.pipes = pipes;
        let proxy = Running::start(config);
        let mut client = tunnel(&proxy, &server);
        let mut writer = client.try_clone().unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&bytes).unwrap();
                writer.shutdown(Shutdown::Write).unwrap();
            });
            let mut got = Vec::new();
            client.read_to_end(&mut got).unwrap();
            assert!(got == bytes, "{pipes} pipes");
        });
        assert!(poll_until(LIMIT, || proxy.view.counts().open == 0));
        let counts = proxy.view.counts();
        assert_eq!((counts.sent, counts.received), (LENGTH as u64, LENGTH as u64), "{pipes} pipes");
    }
}

/// Far more than goes through memory before a pipe is taken.
const MUCH: usize = 8 << 20;

#[test]
fn a_reset_amid_much_is_one_on_the_other_side() {
    let server = Server::start(|mut stream| {
        let mut room = vec![0; MUCH / 2];
        stream.read_exact(&mut room).unwrap();
        // What was not read makes the close a reset.
        stream.peek(&mut [0; 1]).unwrap();
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    let end = (0..LIMIT.as_secs() as usize * 100).find_map(|_| client.write_all(&[b'x'; 64 * 1024]).err());
    let kind = end.expect("nothing was broken off").kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 0));
    // And the other way.
    let (told, heard) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        let end = (0..LIMIT.as_secs() * 100).find_map(|_| stream.write_all(&[b'x'; 64 * 1024]).err());
        told.send(end.map(|end| end.kind())).unwrap();
    });
    let mut client = tunnel(&proxy, &server);
    client.read_exact(&mut vec![0; MUCH / 2]).unwrap();
    client.peek(&mut [0; 1]).unwrap();
    drop(client);
    let kind = heard.recv_timeout(LIMIT).unwrap();
    assert!(matches!(kind, Some(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{kind:?}");
}

#[test]
fn what_a_server_said_before_its_reset_arrives() {
    let pattern = |at: usize| (at % 251) as u8;
    let (told, heard) = mpsc::channel();
    let server = Server::start(move |mut stream| {
        // What the server itself still holds is lost with its reset.
        rustix::net::sockopt::set_socket_send_buffer_size(&stream, 4096).unwrap();
        stream.peek(&mut [0; 1]).unwrap();
        stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
        let piece: Vec<u8> = (0..251 * 64).map(pattern).collect();
        let mut written = 0;
        while let Ok(count) = stream.write(&piece[written % 251..]) {
            written += count;
        }
        // What was not read makes the close a reset.
        drop(stream);
        told.send(written).unwrap();
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    client.write_all(b"a long request").unwrap();
    let written = heard.recv_timeout(LIMIT).unwrap();
    client.write_all(b" goes on").unwrap();
    pause(Duration::from_millis(100));
    let mut got = Vec::new();
    let end = client.read_to_end(&mut got).map_err(|error| error.kind());
    assert!(got.len() + 64 * 1024 > written, "{} of {written}", got.len());
    assert!((0..).zip(&got).all(|(at, byte)| pattern(at) == *byte));
    assert_eq!(end, Err(ErrorKind::ConnectionReset), "it is no whole");
}

#[test]
fn a_side_that_is_closed_after_much_leaves_the_other_open() {
    let server = Server::start(|mut stream| {
        stream.write_all(&vec![b'x'; MUCH]).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let said = read_all(&mut stream).len();
        assert_eq!(said, MUCH + 4);
    });
    let proxy = Running::start(config());
    let mut client = tunnel(&proxy, &server);
    assert_eq!(read_all(&mut client).len(), MUCH);
    client.write_all(&vec![b'y'; MUCH]).unwrap();
    client.write_all(b"last").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert!(poll_until(LIMIT, || proxy.view.counts().open == 0));
    assert_eq!(proxy.view.counts().sent, MUCH as u64 + 4);
}

#[test]
fn what_is_behind_urgent_data_arrives() {
    for closes in [true, false] {
        // More than goes through memory before a pipe is taken; the rest is there before it is read.
        let (go, wait) = mpsc::channel::<()>();
        let wait = std::sync::Mutex::new(wait);
        let server = Server::start(move |mut stream| {
            stream.write_all(&vec![b'x'; MUCH]).unwrap();
            for _ in 0..3 {
                wait.lock().unwrap().recv_timeout(LIMIT).unwrap();
                stream.write_all(b"abc").unwrap();
                rustix::net::send(&stream, b"!", rustix::net::SendFlags::OOB).unwrap();
                stream.write_all(b"defgh").unwrap();
            }
            if !closes {
                let _ = stream.read(&mut [0]);
            }
        });
        let mut config = config();
        config.limits.half_closed = LIMIT;
        let proxy = Running::start(config);
        let mut client = tunnel(&proxy, &server);
        client.set_read_timeout(Some(LIMIT / 4)).unwrap();
        client.read_exact(&mut vec![0; MUCH]).unwrap();
        for round in 0..3 {
            go.send(()).unwrap();
            let mut got = [0; 8];
            client.read_exact(&mut got).unwrap_or_else(|error| panic!("{round}, {closes}: {error}"));
            assert_eq!(&got, b"abcdefgh", "{round}, {closes}");
        }
        if closes {
            assert_eq!(read_all(&mut client), "", "and then it ends");
        }
    }
}
