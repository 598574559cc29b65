//! One client, from its first byte to the end.

use std::future::pending;
use std::net::{IpAddr, UdpSocket};

use connie_std::Options;
use connie_std::tokio_net::{self, Connected};
use tokio::io::{AsyncWriteExt as _, Interest};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::config::Partition;
use crate::exchange::{FAREWELL, exchange, farewell};
use crate::handshake::{Wanted, read_wanted};
use crate::places::{Holder, NoPlace, Place};
use crate::refusal::Refusal;
use crate::reply;
use crate::shared::Shared;

/// Serves one client, which has connected to this port and has this place. A client without a place is told
/// so.
pub(crate) async fn serve(shared: &Shared, mut stream: TcpStream, port: u16, place: Result<Place, NoPlace>) {
    // It is worth a try.
    let _ = stream.set_nodelay(true);
    let time = if place.is_ok() { shared.config.limits.handshake } else { FAREWELL };
    let reading = read_wanted(&mut stream, &shared.config, shared.via.as_deref());
    let wanted = match timeout(time, reading).await {
        Ok(Ok(Some(wanted))) => wanted,
        Ok(Ok(None)) => return farewell(&mut stream).await,
        Ok(Err(_)) | Err(_) => return,
    };
    let place = place.and_then(|place| of_user(shared, place, &wanted));
    let connected = match &place {
        Err(none) => Err((Refusal::Busy, none.text().to_owned())),
        Ok(_) => match connect(shared, &wanted, &stream, port).await {
            Some(connected) => connected,
            // The client is gone.
            None => return,
        },
    };
    match connected {
        Ok(server) => {
            shared.counters.connected();
            exchange(shared, wanted, stream, server).await;
        }
        Err((refusal, why)) => {
            shared.counters.refused(refusal);
            let told = stream.write_all(&reply::refused(&wanted.protocol, refusal, &why)).await;
            if told.is_ok() {
                farewell(&mut stream).await;
            }
        }
    }
}

/// Counts the place as the user's, where users are told apart: by a password, or on this machine by the names
/// that programs log in with.
fn of_user(shared: &Shared, mut place: Place, wanted: &Wanted) -> Result<Place, NoPlace> {
    let is_known = !shared.config.users.is_empty();
    let is_said = shared.config.partition == Partition::ByUser && !place.has_holder();
    match &wanted.user {
        Some(user) if is_known || is_said => place.give_to(Holder::User(user.clone()))?,
        _ => {}
    }
    Ok(place)
}

/// Connects to what the client wants. `None` if the client goes away first.
async fn connect(
    shared: &Shared,
    wanted: &Wanted,
    client: &TcpStream,
    port: u16,
) -> Option<Result<Connected, (Refusal, String)>> {
    let options = options(shared, wanted, port);
    let race = tokio_net::connect((&*wanted.host, wanted.port), &options);
    let name = (!shared.config.private).then_some((&*wanted.host, wanted.port));
    let running = shared.races.begin(name);
    let raced = tokio::select! {
        raced = race => raced,
        () = lost(client, !wanted.may_be_whole()) => return None,
    };
    drop(running);
    Some(match raced {
        Ok(server) => {
            let refusal = is_own(shared, &server).then_some(Refusal::Loop);
            shared.races.note(name, Some(server.report()), refusal);
            match refusal {
                Some(loops) => Err((loops, format!("{} port {} is this proxy", wanted.host, wanted.port))),
                None => Ok(server),
            }
        }
        Err(error) => {
            let refusal = Refusal::of(&error);
            shared.races.note(name, error.report(), Some(refusal));
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
fn options(shared: &Shared, wanted: &Wanted, port: u16) -> Options {
    let config = &shared.config;
    let partition = match (config.partition, &wanted.user) {
        (Partition::Shared, _) => return config.options.clone(),
        (Partition::ByPort, _) => u32::from(port),
        (Partition::ByUser, None) => 0,
        (Partition::ByUser, Some(user)) => shared.partitions.of(user),
    };
    let memory = config.options.memory.as_ref().map(|memory| memory.partition(partition));
    config.options.clone().memory(memory)
}

/// Ends when the client's connection breaks and, if `by_end`, when the client has closed its direction.
/// Further data from the client does not end it.
async fn lost(client: &TcpStream, by_end: bool) {
    let ended = async {
        match client.peek(&mut [0]).await {
            Ok(0) if by_end => {}
            Ok(_) => pending().await,
            Err(_) => {}
        }
    };
    tokio::select! {
        () = ended => {}
        // This also sees a reset that is behind data which nobody has read.
        _ = client.ready(Interest::ERROR) => {}
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
