//! Between the client, which has no sockets, and the sockets.
//!
//! # The rules
//!
//! 1. **A UDP socket is for one question and one server**, and is connected to it. So each has a port of its
//!    own (RFC 5452 section 9.2), and learns that nobody listens at the server's.
//! 2. **Nothing waits here.** What is under way is gone on with when the driver is polled; who waits watches
//!    the sockets, and the time that the driver names.
//! 3. **A socket is closed when nobody waits for its answer**: at the end of each poll, and at once when it
//!    has failed. One that fails again and again would be ready all the time.
//! 4. **No socket is no answer.** For want of a socket a datagram counts as lost, and the client sends it
//!    again; that the runtime denies it sockets is reported to the client as a server that cannot be reached,
//!    and [kept](Driver::denial) for the error's line.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::SocketAddr;

use connie_core::stack::nb;
use connie_core::{AttemptError, AttemptErrorKind, Instant};
use connie_dns::{DnsInput, DnsOutput, LARGEST_QUERY, LONGEST_NAME, Port};

use super::error::SocketDenial;
use super::sockets::Sockets;
use super::stream::Stream;
use crate::error::is_denial;
use crate::report::MAX_DESTINATIONS;

/// How many names a [`Dns`](super::Dns) asks for at the same time, and knows.
pub const MAX_NAMES: usize = 16;
/// How many name servers it asks.
pub const MAX_SERVERS: usize = 3;
/// Room for as many addresses of a family as a race has.
const DATA: usize = MAX_DESTINATIONS.saturating_mul(16);
/// How many datagrams of one socket are read at once: who floods a port must not keep the program there.
const MOST_DATAGRAMS: usize = 16;

pub(super) type Client = connie_dns::DnsClient<MAX_NAMES, MAX_SERVERS, LONGEST_NAME, DATA>;

/// A client with its sockets.
pub(super) struct Driver<S: Sockets> {
    /// Dropped before the stack.
    ports: Vec<Opened<S::Udp>>,
    streams: Vec<Stream<S::TcpSocket>>,
    stack: S,
    client: Box<Client>,
    wake_at: Option<Instant>,
    news: u32,
    denial: Option<SocketDenial>,
}

/// A UDP socket: rule 1.
struct Opened<U> {
    port: Port,
    server: SocketAddr,
    socket: U,
    /// What waits until it is bound and has room.
    unsent: Vec<u8>,
}

impl<S: Sockets> Driver<S> {
    pub(super) fn new(stack: S, client: Box<Client>) -> Self {
        let (ports, streams) = (Vec::new(), Vec::new());
        Driver { ports, streams, stack, client, wake_at: None, news: 0, denial: None }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn client_mut(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Changes when lookups have to be polled again.
    pub(super) fn news(&self) -> u32 {
        self.news
    }

    /// When to poll it though no socket is ready.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.wake_at
    }

    /// What has kept the last socket from being opened.
    pub(super) fn denial(&self) -> Option<SocketDenial> {
        self.denial
    }

    /// The UDP sockets that are waited for.
    pub(super) fn udp_sockets(&self) -> impl Iterator<Item = &S::Udp> {
        self.ports.iter().map(|opened| &opened.socket)
    }

    /// The TCP connections that are waited for.
    pub(super) fn streams(&self) -> &[Stream<S::TcpSocket>] {
        &self.streams
    }

    /// Does all that there is to do now. Lookups are to be polled afterwards, if there are
    /// [news](Self::news).
    pub(super) fn poll(&mut self, now: Instant) {
        self.read_datagrams(now);
        self.read_streams(now);
        let mut buffer = [0; LARGEST_QUERY];
        self.wake_at = loop {
            let output = self.client.poll_output(&mut buffer, now);
            match output {
                DnsOutput::Send { port, server, length } => {
                    self.send(port, server, buffer.get(..length).unwrap_or_default(), now);
                }
                DnsOutput::Connect { port, server, length } => {
                    self.connect(port, server, buffer.get(..length).unwrap_or_default(), now);
                }
                DnsOutput::Ended(_) => self.news = self.news.wrapping_add(1),
                DnsOutput::WaitUntil(at) => break Some(at),
                DnsOutput::WaitForInput => break None,
            }
        };
        self.close_unused();
    }

    /// A lookup has ended, which leaves room for others: rule 3.
    pub(super) fn ended(&mut self) {
        self.news = self.news.wrapping_add(1);
        self.close_unused();
    }

    fn close_unused(&mut self) {
        let Driver { ports, streams, stack, client, .. } = self;
        ports.retain(|opened| client.is_open(opened.port));
        while let Some(at) = streams.iter().position(|it| !client.wants_stream(it.port, it.server)) {
            stack.abort(streams.swap_remove(at).socket);
        }
    }

    fn read_datagrams(&mut self, now: Instant) {
        let Driver { ports, stack, client, denial, .. } = self;
        // Rule 3.
        ports.retain_mut(|opened| opened.serve(stack, client, denial, now));
    }

    fn read_streams(&mut self, now: Instant) {
        let mut at = 0;
        while let Some(stream) = self.streams.get_mut(at) {
            let (port, server) = (stream.port, stream.server);
            match stream.advance(&mut self.stack) {
                Err(nb::Error::WouldBlock) => at = at.saturating_add(1),
                end => {
                    let input = match end {
                        Ok(message) => DnsInput::Message { port, server, message },
                        Err(error) => {
                            if let nb::Error::Other(Some(error)) = &error {
                                note(
                                    &mut self.denial,
                                    self.stack.attempt_error(error),
                                    SocketDenial::TcpDenied,
                                );
                            }
                            DnsInput::StreamFailed { port, server }
                        }
                    };
                    self.client.handle_input(input, now);
                    self.stack.abort(self.streams.swap_remove(at).socket);
                }
            }
        }
    }

    fn send(&mut self, port: Port, server: SocketAddr, query: &[u8], now: Instant) {
        let Driver { ports, stack, client, denial, .. } = self;
        let known = ports.iter().position(|it| it.port == port && it.server == server);
        let at = match known {
            Some(at) => at,
            None => match stack.open_udp(server) {
                Ok(socket) => {
                    ports.push(Opened { port, server, socket, unsent: Vec::new() });
                    ports.len().saturating_sub(1)
                }
                Err(error) => return fail(client, denial, port, server, error, now),
            },
        };
        let Some(opened) = ports.get_mut(at) else { return };
        match stack.send_datagram(&mut opened.socket, query) {
            Ok(()) => *denial = None,
            Err(nb::Error::WouldBlock) => opened.unsent = query.to_vec(),
            Err(nb::Error::Other(error)) => {
                fail(client, denial, port, server, error, now);
                ports.swap_remove(at);
            }
        }
    }

    fn connect(&mut self, port: Port, server: SocketAddr, query: &[u8], now: Instant) {
        match self.stack.socket() {
            Ok(socket) => {
                self.streams.push(Stream::new(port, server, socket, query));
                // The first call begins the handshake.
                self.read_streams(now);
            }
            Err(error) => {
                note(&mut self.denial, self.stack.attempt_error(&error), SocketDenial::TcpDenied);
                self.client.handle_input(DnsInput::StreamFailed { port, server }, now);
            }
        }
    }
}

impl<U> Opened<U> {
    /// Sends what could not be sent before, and reads what has come. Whether the socket is still of use.
    fn serve<S: Sockets<Udp = U>>(
        &mut self,
        stack: &mut S,
        client: &mut Client,
        denial: &mut Option<SocketDenial>,
        now: Instant,
    ) -> bool {
        let Opened { port, server, socket, unsent } = self;
        let (port, server) = (*port, *server);
        if !unsent.is_empty() {
            match stack.send_datagram(socket, unsent) {
                Err(nb::Error::WouldBlock) => return true,
                Err(nb::Error::Other(error)) => {
                    fail(client, denial, port, server, error, now);
                    return false;
                }
                Ok(()) => {}
            }
            unsent.clear();
        }
        for _ in 0..MOST_DATAGRAMS {
            match stack.receive_datagram(socket) {
                Ok(message) => client.handle_input(DnsInput::Datagram { port, from: server, message }, now),
                Err(nb::Error::WouldBlock) => break,
                Err(nb::Error::Other(_)) => {
                    client.handle_input(DnsInput::DatagramFailed { port, server }, now);
                    return false;
                }
            }
        }
        true
    }
}

/// Rule 4.
fn fail(
    client: &mut Client,
    denial: &mut Option<SocketDenial>,
    port: Port,
    server: SocketAddr,
    error: AttemptError,
    now: Instant,
) {
    if error.kind() != AttemptErrorKind::OutOfSockets {
        note(denial, error, SocketDenial::UdpDenied);
        client.handle_input(DnsInput::DatagramFailed { port, server }, now);
    }
}

fn note(denial: &mut Option<SocketDenial>, error: AttemptError, denied: SocketDenial) {
    *denial = is_denial(error).then_some(denied);
}
