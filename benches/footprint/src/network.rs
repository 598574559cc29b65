//! Instructions of whole paths through the kernel's network, to servers on the loopback interface that are
//! this process's own.
//!
//! What is counted does not depend on how fast a server is. The HTTP server lets the program wait for each
//! answer; the DNS server tells the program when its answers are there; the TCP server only listens, and the
//! kernel completes the handshakes.

use std::io::{PipeWriter, Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use connie_servers::clock::pause;

use crate::callgrind::{self, command, median};
use crate::figure::{Figure, Unit};

/// How often a path is gone in one run, so that the first time and the start of the process do not matter.
const ROUNDS: u64 = 8;
/// Longer than a program under valgrind takes from its request to its wait for the answer.
const ANSWER: Duration = Duration::from_millis(30);
/// A lookup that has sent nothing for this long sends nothing more.
const SILENCE: Duration = Duration::from_secs(20);

/// `connie` is the release binary, `paths` the program `network_paths`.
pub fn figures(connie: &Path, paths: &Path) -> Result<Vec<Figure>, String> {
    let figure = |key, what, value| Figure { key, what, value, unit: Unit::Instructions, target: None };
    let one = median("get_process", || get(connie, 1))?;
    let more = median("get_page", || get(connie, 1 + ROUNDS))?;
    let connect = |function: &str| median(function, || connect(paths, function)).map(|count| count / ROUNDS);
    Ok(vec![
        figure("get_process", "`connie get` of a page of 6 bytes, the whole process", one),
        figure(
            "get_page",
            "each further page that it gets, over a connection of its own",
            more.saturating_sub(one) / ROUNDS,
        ),
        figure(
            "look_up_by_dns",
            "a lookup by `connie_std::dns`, of both families",
            median("look_up_by_dns", || look_up(paths)).map(|count| count / ROUNDS)?,
        ),
        figure("connect_over_std", "`connie_std::connect`", connect("connect_over_std")?),
        figure("connect_over_tokio", "`connie_std::tokio_net::connect`", connect("connect_over_tokio")?),
    ])
}

/// `connie get` of this many pages, by a literal address.
fn get(connie: &Path, pages: u64) -> Result<u64, String> {
    let server = listen()?;
    let address = server.local_addr().map_err(|error| error.to_string())?;
    std::thread::spawn(move || {
        for stream in server.incoming().take(pages as usize) {
            // What goes wrong is told by the program.
            let _ = stream.and_then(answer);
        }
    });
    let mut command = command(connie, None);
    command.args(["get", "--silent"]);
    command.args((0..pages).map(|_| format!("http://{address}/")));
    callgrind::count(&mut command)
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_read_timeout(Some(SILENCE))?;
    let _ = stream.read(&mut [0; 4096])?;
    pause(ANSWER);
    stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")
}

/// A port of five digits, as every port is that the kernel chooses.
fn listen() -> Result<TcpListener, String> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())
}

fn connect(paths: &Path, function: &str) -> Result<u64, String> {
    // Nobody accepts: that the connections stay in the queue is the same each time.
    let server = listen()?;
    let address = server.local_addr().map_err(|error| error.to_string())?;
    callgrind::count(&mut walk(paths, function, address))
}

fn walk(paths: &Path, function: &str, address: SocketAddr) -> Command {
    let mut command = command(paths, Some(function));
    command.args([function, &address.to_string(), &ROUNDS.to_string()]);
    command
}

fn look_up(paths: &Path) -> Result<u64, String> {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let address = server.local_addr().map_err(|error| error.to_string())?;
    server.set_read_timeout(Some(SILENCE)).map_err(|error| error.to_string())?;
    let mut command = walk(paths, "look_up_by_dns", address);
    callgrind::count_told(&mut command, move |told| serve(&server, told))
}

/// Answers queries, and writes a byte for each answer that has been sent, until the program is silent. Its
/// input ends then.
fn serve(server: &UdpSocket, mut told: PipeWriter) {
    let mut query = [0; 512];
    while let Ok((length, from)) = server.recv_from(&mut query) {
        let Some(reply) = reply(&query[..length]) else { return };
        if server.send_to(&reply, from).is_err() || told.write_all(b".").is_err() {
            return;
        }
    }
}

/// The answer to a query (RFC 1035 section 4.1): the header, its question, and one address.
fn reply(query: &[u8]) -> Option<Vec<u8>> {
    let name = query.get(12..)?.iter().position(|octet| *octet == 0)?;
    let question = query.get(12..12 + name + 5)?;
    let kind = question.get(name + 1..name + 3)?;
    let address: &[u8] = match kind {
        [0, 1] => &[192, 0, 2, 1],
        [0, 28] => &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        _ => return None,
    };
    let mut reply = query.get(..2)?.to_vec();
    // A recursive answer; one question and one answer.
    reply.extend([0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    reply.extend(question);
    // The name of the question again, in class IN, for 60 seconds.
    reply.extend([0xc0, 12]);
    reply.extend(kind);
    reply.extend([0, 1, 0, 0, 0, 60, 0, address.len() as u8]);
    reply.extend(address);
    Some(reply)
}
