//! What the firmware with the race and the one that connects to the first address have in common: connie's
//! stack, an address of our own, and the page over the connection.

use core::net::IpAddr;

use connie_core::plain::{Number, Text};
use connie_core::{Connection, Failure, Instant, Poller as _};
use connie_http::{Authority, HttpConnection, HttpError};
use connie_smoltcp::{PlatformPoller, TcpSocket};
use heapless::Vec;

use crate::board::clock::Clock;
use crate::board::console::{Output, command_line_in_room, explain};
use crate::board::{Board, Mapped};
use crate::command_line::{CommandLine, Url, keep_url, parse};
use crate::exit_code;
use crate::net::{self, PATIENCE, Trouble};
use crate::stellaris::Ethernet;

/// connie's stack over the board's Ethernet.
pub type Stack<const SOCKETS: usize> =
    connie_smoltcp::Stack<'static, Ethernet<'static, Mapped>, &'static Clock, SOCKETS>;

/// The board's way to wait.
pub type Poller = PlatformPoller<&'static Clock>;

/// Why there is no page.
#[derive(Debug)]
pub enum Failed {
    /// Not for want of trying.
    Trouble(Trouble),
    /// The race was lost.
    Race(Failure),
    /// The answer is none.
    Http(HttpError),
}

impl From<Trouble> for Failed {
    fn from(trouble: Trouble) -> Self {
        Failed::Trouble(trouble)
    }
}

impl From<HttpError> for Failed {
    fn from(error: HttpError) -> Self {
        Failed::Http(error)
    }
}

/// A connection to ask for the page over.
pub struct Connected<const SOCKETS: usize> {
    /// The stack that it is on.
    pub stack: &'static mut Stack<SOCKETS>,
    /// How to wait for it.
    pub poller: Poller,
    /// The connection.
    pub connection: Connection<TcpSocket>,
    /// When all must be done.
    pub deadline: Instant,
}

/// Runs the program `name`: reads the command line, connects by `connect`, fetches the page. Returns the exit
/// code.
pub fn run<const SOCKETS: usize>(
    name: &str,
    connect: impl FnOnce(Board, &CommandLine<'_>) -> Result<Connected<SOCKETS>, Failed>,
) -> u8 {
    let Some((room, length)) = command_line_in_room() else { return unreadable(name) };
    let connected = match run_line(name, room.get(..length).unwrap_or_default(), connect) {
        Ok(connected) => connected,
        Err(code) => return code,
    };
    // From here on only the URL of the line is needed. HTTP has the rest of its memory.
    let Some((url, buffer)) = keep_url(room, length) else { return Trouble::Bug.code() };
    let Connected { stack, mut poller, connection, deadline } = connected;
    match fetch(stack, &mut poller, connection, (&url, buffer), deadline) {
        Ok(()) => 0,
        Err(failed) => tell(name, url.host, &failed),
    }
}

/// Reads the command line, and returns what `act` makes of it.
///
/// # Errors
///
/// The exit code, after saying what is wrong.
pub fn run_line<T>(
    name: &str,
    line: &[u8],
    act: impl FnOnce(Board, &CommandLine<'_>) -> Result<T, Failed>,
) -> Result<T, u8> {
    let board = Board::take().ok_or(Trouble::Bug.code())?;
    let Ok(line) = core::str::from_utf8(line) else { return Err(unreadable(name)) };
    // Looked at where it lies.
    match &parse(line) {
        Ok(wanted) => act(board, wanted).map_err(|failed| tell(name, wanted.url.host, &failed)),
        Err(error) => {
            explain(format_args!("{}: {error}", Text(name)));
            Err(2)
        }
    }
}

fn unreadable(name: &str) -> u8 {
    explain(format_args!("{}: the command line is too long, or no text; give less", Text(name)));
    2
}

/// Says why there is no page, and returns the exit code.
#[inline(never)]
fn tell(name: &str, host: &str, failed: &Failed) -> u8 {
    let host = Text(host);
    match failed {
        Failed::Http(error) => {
            explain(format_args!("{}: {host}: {error}", Text(name)));
            exit_code::of_http(error)
        }
        Failed::Trouble(trouble) => {
            explain(format_args!("{}: {host}: {trouble}", Text(name)));
            trouble.code()
        }
        Failed::Race(failure) => {
            let trouble = match failure {
                Failure::NoDestinations => Trouble::NoAddress,
                Failure::DeadlineExceeded => Trouble::TimedOut,
                _ => Trouble::NotConnected,
            };
            explain(format_args!("{}: {host}: {failure}: {trouble}", Text(name)));
            trouble.code()
        }
    }
}

/// Name servers, the first to be asked first.
pub type Servers = Vec<IpAddr, 3>;

/// Waits for the addresses that the network gives, and answers whom to ask for names.
///
/// # Errors
///
/// What is missing when the time is over.
// Not part of its caller, which would keep room for what it needs on the way.
#[inline(never)]
pub fn configure<const SOCKETS: usize>(
    stack: &mut Stack<SOCKETS>,
    poller: &mut Poller,
    wanted: &CommandLine<'_>,
) -> Result<Servers, Trouble> {
    let limit = stack.now() + PATIENCE.min(wanted.max_time);
    let mut servers = Vec::new();
    if let Some(server) = wanted.dns {
        // It is the first.
        let _ = servers.push(server);
    }
    #[cfg(feature = "dhcp")]
    let mut dhcp = match wanted.v4 {
        Some(crate::command_line::Own::Automatic) => {
            Some(connie_smoltcp::Dhcp::start(stack).map_err(|_| Trouble::Bug)?)
        }
        _ => None,
    };
    loop {
        stack.poll();
        #[cfg(feature = "dhcp")]
        if let Some(connie_smoltcp::DhcpEvent::Configured(lease)) =
            dhcp.as_mut().and_then(|dhcp| dhcp.poll(stack))
        {
            if let Some(gateway) = wanted.gateway_v4 {
                // In place of the one that the server has named.
                let _ = stack.interface_mut().routes_mut().add_default_ipv4_route(gateway);
            }
            if wanted.dns.is_none() {
                servers = lease.dns_servers;
            }
        }
        let Some(missing) = net::missing(stack.interface(), wanted) else { return Ok(servers) };
        if stack.now() >= limit {
            return Err(missing);
        }
        let _ = poller.wait(stack, &mut [], Some(limit));
    }
}

/// Asks for the page over the connection, with a buffer for the heads of request and response, and writes its
/// body to the host's standard output.
///
/// # Errors
///
/// What is wrong with the connection or the answer.
#[inline(never)]
pub fn fetch<const SOCKETS: usize>(
    stack: &mut Stack<SOCKETS>,
    poller: &mut Poller,
    connection: Connection<TcpSocket>,
    (url, buffer): (&Url<'_>, &mut [u8]),
    deadline: Instant,
) -> Result<(), Failed> {
    let host = Authority::http(url.host, url.port);
    let mut http = HttpConnection::new(stack, poller, connection.socket, host, buffer)?;
    http.set_deadline(Some(deadline));
    http.request("GET", url.path, &[("Connection", "close")], b"")?;
    let mut response = http.response()?;
    explain(format_args!("{} {}", Number(response.status().into()), Text(response.reason())));
    let mut page = Output::new();
    let mut piece = [0; 256];
    loop {
        match response.read(&mut piece)? {
            0 => return Ok(()),
            length => page.put(piece.get(..length).unwrap_or_default()),
        }
    }
}
