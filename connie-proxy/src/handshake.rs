//! Reads what a client wants. Its first byte tells which protocol it speaks.

use std::io;

use connie_http::parts::Socks5Host;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::config::{Partition, ProxyConfig};
use crate::http_request::{HttpFault, HttpRequestKind, MAX_HEAD, read_http_request};
use crate::protocol::Protocol;
use crate::reply::{LOGIN_WANTED, empty, http_fault};
use crate::socks5::{LoginDemand, Socks5Fault, Socks5Reader, Socks5Step};

/// What a client wants.
pub(crate) struct Wanted {
    pub(crate) protocol: Protocol,
    pub(crate) host: String,
    pub(crate) port: u16,
    /// The name by which it has logged in.
    pub(crate) user: Option<Vec<u8>>,
    /// What it has already sent for the host.
    pub(crate) early: Vec<u8>,
}

impl Wanted {
    /// Whether the client may already have sent everything that it will ever send: a whole request, or early
    /// data for the host. If it then closes its direction it may still wait for the answer. A client that
    /// closes before that is gone: no program that waits for its connection does so.
    pub(crate) fn may_be_whole(&self) -> bool {
        matches!(self.protocol, Protocol::Forward(_)) || !self.early.is_empty()
    }
}

/// Reads what the client wants. `None` if that cannot be served: it has been told why, where there is a way
/// to.
pub(crate) async fn read_wanted(
    stream: &mut TcpStream,
    config: &ProxyConfig,
    via: Option<&str>,
) -> io::Result<Option<Wanted>> {
    let mut input = Vec::new();
    if !read_more(stream, &mut input, 1024).await? {
        return Ok(None);
    }
    match input.first() {
        Some(5) => read_socks5(stream, input, config).await,
        // A method of HTTP is a token; those in use begin with a letter.
        Some(first) if first.is_ascii_alphabetic() => read_http(stream, input, config, via).await,
        // There is no answer that it would surely understand.
        _ => Ok(None),
    }
}

async fn read_socks5(
    stream: &mut TcpStream,
    mut input: Vec<u8>,
    config: &ProxyConfig,
) -> io::Result<Option<Wanted>> {
    let demand = match config.partition {
        _ if !config.users.is_empty() => LoginDemand::Required,
        Partition::ByUser => LoginDemand::Preferred,
        _ => LoginDemand::Unneeded,
    };
    let (mut reader, mut logged_in) = (Socks5Reader::new(demand), None);
    loop {
        let step = match reader.read(&input) {
            Ok(step) => step,
            Err(fault) => return refuse(stream, fault).await,
        };
        let (consumed, answer) = match step {
            Socks5Step::More => {
                // No message has more than 515 octets.
                if !read_more(stream, &mut input, 1024).await? {
                    return Ok(None);
                }
                continue;
            }
            Socks5Step::Send { consumed, octets } => (consumed, octets),
            Socks5Step::Login { user, password, .. } if !config.knows(user, password) => {
                return refuse(stream, Socks5Fault::LoginRefused).await;
            }
            Socks5Step::Login { consumed, user, .. } => {
                logged_in = Some(user.to_vec());
                (consumed, reader.handle_login())
            }
            Socks5Step::Connect { consumed, host, port } => {
                let host = match host {
                    Socks5Host::Address(address) => address.to_string(),
                    Socks5Host::Name(name) => name.to_owned(),
                };
                let early = input.get(consumed..).unwrap_or_default().to_vec();
                return Ok(Some(Wanted { protocol: Protocol::Socks5, host, port, user: logged_in, early }));
            }
        };
        input.drain(..consumed);
        stream.write_all(&answer).await?;
    }
}

async fn refuse(stream: &mut TcpStream, fault: Socks5Fault) -> io::Result<Option<Wanted>> {
    stream.write_all(fault.answer()).await?;
    Ok(None)
}

async fn read_http(
    stream: &mut TcpStream,
    mut input: Vec<u8>,
    config: &ProxyConfig,
    via: Option<&str>,
) -> io::Result<Option<Wanted>> {
    let mut seen = 0;
    let request = loop {
        // The head is read when it may be whole, and not for each byte of it.
        if has_end(&input, seen) || input.len() >= MAX_HEAD {
            match read_http_request(&mut input, via) {
                Ok(Some(request)) => break request,
                Ok(None) => {}
                Err(fault) => return refuse_http(stream, fault).await,
            }
        }
        seen = input.len();
        if !read_more(stream, &mut input, MAX_HEAD).await? {
            return Ok(None);
        }
    };
    let user = match request.login.as_deref().and_then(|value| config.user_of(value)) {
        Some(user) => Some(user),
        None if config.users.is_empty() => None,
        None => {
            stream.write_all(LOGIN_WANTED.as_bytes()).await?;
            return Ok(None);
        }
    };
    let protocol = match request.kind {
        HttpRequestKind::Tunnel => Protocol::Tunnel,
        HttpRequestKind::Forward(forwarded) => Protocol::Forward(forwarded),
        HttpRequestKind::Final { status } => {
            stream.write_all(&empty(status)).await?;
            return Ok(None);
        }
    };
    let early = input.get(request.length..).unwrap_or_default().to_vec();
    Ok(Some(Wanted { protocol, host: request.host, port: request.port, user, early }))
}

async fn refuse_http(stream: &mut TcpStream, fault: HttpFault) -> io::Result<Option<Wanted>> {
    stream.write_all(&http_fault(fault)).await?;
    Ok(None)
}

/// Whether there may be the end of a head, or a line that ends in a bare LF, in what came after `seen` bytes.
fn has_end(input: &[u8], seen: usize) -> bool {
    let new = input.get(seen.saturating_sub(3)..).unwrap_or_default();
    let is_bare = |two: &[u8]| matches!(two, [before, b'\n'] if *before != b'\r');
    new.windows(4).any(|four| four == b"\r\n\r\n") || new.windows(2).any(is_bare)
}

/// Reads what has come, `piece` bytes at most. `false` where the client has closed its side.
async fn read_more(stream: &mut TcpStream, input: &mut Vec<u8>, piece: usize) -> io::Result<bool> {
    // Little at first: most say what they want in a few bytes.
    input.reserve(piece.min(1024.max(input.len())));
    stream.read_buf(input).await.map(|count| count > 0)
}
