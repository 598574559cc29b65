//! One client, from its first byte to the end.

use std::future::pending;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use connie_std::Options;
use connie_std::memory::Verdict;
use connie_std::tokio_net::{self, Connected};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use crate::config::{Partition, ProxyConfig};
use crate::counters::Counters;
use crate::forward::{Forwarded, forward};
use crate::handshake::{Wanted, read_wanted};
use crate::protocol::Protocol;
use crate::race_log::RaceLog;
use crate::refusal::Refusal;
use crate::relay::{Moved, RelayEnd, relay, unless_silent};
use crate::reply;

/// How long a client may take to read why it is refused.
const FAREWELL: Duration = Duration::from_secs(2);

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    /// Where the proxy itself listens.
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) counters: Counters,
    pub(crate) races: RaceLog,
    /// Since when it is there.
    pub(crate) began: Instant,
}

/// Serves one client, which has come to this port. Where the proxy is `busy` it is only told so.
pub(crate) async fn serve(shared: &Shared, mut stream: TcpStream, port: u16, busy: bool) {
    // It is worth a try.
    let _ = stream.set_nodelay(true);
    let time = if busy { FAREWELL } else { shared.config.limits.handshake };
    let wanted = match timeout(time, read_wanted(&mut stream, &shared.config)).await {
        Ok(Ok(Some(wanted))) => wanted,
        Ok(Ok(None)) => return farewell(stream).await,
        Ok(Err(_)) | Err(_) => return,
    };
    let refusal = match busy {
        true => Err((Refusal::Busy, "the proxy has as many clients as it may have".to_owned())),
        false => match connect(shared, &wanted, &stream, port).await {
            Some(connected) => connected,
            // The client is gone.
            None => return,
        },
    };
    match refusal {
        Ok(server) => {
            shared.counters.connected();
            exchange(shared, wanted, stream, server).await;
        }
        Err((refusal, why)) => {
            shared.counters.refused(refusal);
            let told = stream.write_all(&reply::refused(&wanted.protocol, refusal, &why)).await;
            if told.is_ok() {
                farewell(stream).await;
            }
        }
    }
}

/// Connects to what the client wants. `None` where it is gone meanwhile.
async fn connect(
    shared: &Shared,
    wanted: &Wanted,
    client: &TcpStream,
    port: u16,
) -> Option<Result<Connected, (Refusal, String)>> {
    let options = options(&shared.config, wanted, port);
    let race = tokio_net::connect((&*wanted.host, wanted.port), &options);
    let name = (!shared.config.private).then_some((&*wanted.host, wanted.port));
    let running = shared.races.begin(name);
    let raced = tokio::select! {
        raced = race => raced,
        () = lost(client) => return None,
    };
    drop(running);
    Some(match raced {
        Ok(server) => {
            shared.races.note(name, Ok(server.report()));
            if is_own(shared, &server) {
                Err((Refusal::Loop, format!("{} port {} is this proxy", wanted.host, wanted.port)))
            } else {
                Ok(server)
            }
        }
        Err(error) => {
            let refusal = Refusal::of(&error);
            shared.races.note(name, Err((&error, refusal)));
            let why = match refusal {
                Refusal::Denied => format!(
                    "{} leads to addresses that this proxy refuses; connie proxy --allow-private takes private ones",
                    wanted.host
                ),
                _ => error.to_string(),
            };
            Err((refusal, why))
        }
    })
}

/// The options with the memory of this client's partition.
fn options(config: &ProxyConfig, wanted: &Wanted, port: u16) -> Options {
    let partition = match (config.partition, &wanted.user) {
        (Partition::Shared, _) => return config.options.clone(),
        (Partition::ByPort, _) => u32::from(port),
        (Partition::ByUser, None) => 0,
        (Partition::ByUser, Some(user)) => {
            let mut hasher = DefaultHasher::new();
            user.hash(&mut hasher);
            // The high half.
            (hasher.finish() >> 32) as u32
        }
    };
    let memory = config.options.memory.as_ref().map(|memory| memory.partition(partition));
    config.options.clone().memory(memory)
}

/// Ends when the client's connection breaks. One that is closed in order, or has more to say, does not end
/// it.
async fn lost(client: &TcpStream) {
    if client.peek(&mut [0]).await.is_ok() {
        pending::<()>().await;
    }
}

/// Whether a connection leads to the proxy itself.
fn is_own(shared: &Shared, server: &TcpStream) -> bool {
    let Ok(peer) = server.peer_addr() else { return false };
    let ip = peer.ip().to_canonical();
    shared.own.iter().chain(&shared.config.out_of_bounds).any(|own| {
        let own_ip = own.ip().to_canonical();
        own.port() == peer.port() && (own_ip == ip || (own_ip.is_unspecified() && is_of_this_machine(ip)))
    })
}

/// Only a machine's own address can be bound to.
fn is_of_this_machine(ip: IpAddr) -> bool {
    UdpSocket::bind((ip, 0)).is_ok()
}

/// Moves what there is to be moved, and reports to the memory how the server fares.
async fn exchange(shared: &Shared, wanted: Wanted, mut client: TcpStream, mut server: Connected) {
    let moved = Moved::default();
    match wanted.protocol {
        Protocol::Forward(ref request) => {
            let (client_read, client_write) = client.split();
            let report = server.report().clone();
            let (server_read, server_write) = server.split();
            let sides = ((client_read, client_write), (server_read, server_write));
            let work = forward(request, wanted.early, sides.0, sides.1, &moved, shared.config.via);
            let end = unless_silent(&moved, shared.config.limits.idle, work).await;
            match end {
                // As an HTTP client of connie's has it: one that is overloaded is no good answer.
                Some(Forwarded::Answered { status }) if status != 503 => {
                    report.report_to_memory(Verdict::Good)
                }
                Some(Forwarded::NoAnswer) => report.report_to_memory(Verdict::Refused),
                _ => {}
            }
            match end {
                Some(Forwarded::Answered { .. }) => farewell(client).await,
                Some(Forwarded::NoAnswer) => no_answer(shared, client, &wanted.protocol).await,
                _ => reset(&client, &server),
            }
        }
        ref protocol => tunnel(shared, protocol, &wanted.early, client, server, &moved).await,
    }
    shared.counters.moved(&moved);
}

async fn tunnel(
    shared: &Shared,
    protocol: &Protocol,
    early: &[u8],
    mut client: TcpStream,
    mut server: Connected,
    moved: &Moved,
) {
    let begun = async {
        client.write_all(&reply::connected(protocol)).await?;
        server.write_all(early).await
    };
    if begun.await.is_err() {
        return reset(&client, &server);
    }
    moved.sent.fetch_add(early.len() as u64, std::sync::atomic::Ordering::Relaxed);
    let report = server.report().clone();
    let limits = &shared.config.limits;
    let good = || report.report_to_memory(Verdict::Good);
    let end = relay(&mut client, &mut server, moved, (limits.idle, limits.half_closed), good).await;
    if end == RelayEnd::ServerLost || end == (RelayEnd::Closed { by_server: true }) {
        // It took what the client said, and said nothing.
        if moved.has_no_answer() {
            report.report_to_memory(Verdict::Refused);
        }
    }
    if !matches!(end, RelayEnd::Closed { .. }) {
        reset(&client, &server);
    }
}

/// What broke on one side, or was silent for too long, is broken off on the other: nobody takes it for a
/// whole.
fn reset(client: &TcpStream, server: &TcpStream) {
    for stream in [client, server] {
        let _ = stream.set_zero_linger();
    }
}

async fn no_answer(shared: &Shared, mut client: TcpStream, protocol: &Protocol) {
    shared.counters.refused(Refusal::Failed);
    let text = "the server gave no answer that can be passed on";
    if client.write_all(&reply::refused(protocol, Refusal::Failed, text)).await.is_ok() {
        farewell(client).await;
    }
}

/// Closes in order: what the client has still sent is read, so that no reset overtakes the answer (RFC 9112
/// section 9.6).
async fn farewell(mut client: TcpStream) {
    const MOST: usize = 64 * 1024;
    let rest = async {
        client.shutdown().await?;
        let (mut room, mut seen) = ([0; 1024], 0);
        while seen < MOST {
            match client.read(&mut room).await? {
                0 => break,
                count => seen += count,
            }
        }
        io::Result::Ok(())
    };
    let _ = timeout(FAREWELL, rest).await;
}
