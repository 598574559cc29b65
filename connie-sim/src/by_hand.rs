//! A connect that is driven by hand, under the eyes of its referee: what a driver does, once more and without
//! one.

use std::net::SocketAddr;

use connie_core::connect::{Input, Output};
use connie_core::resolution::Query;
use connie_core::stack::{RaceStack, TcpClientStack, nb};
use connie_core::{AttemptId, Connection, Instant, Progress};

use crate::connect_referee::ConnectReferee;
use crate::driver::{ConnectDriver, Machine};
use crate::stack::{Socket, Stack};

/// What a scenario drives.
pub(crate) trait Driven {
    /// Something was heard from the resolver.
    fn tell(&mut self, input: Input<'_>, now: Instant);
    /// The program has `sockets` for it from now on.
    fn share(&mut self, sockets: usize);
    /// Looks at the stack, and does what is to be done now.
    fn poll(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query>;
    /// Gives up.
    fn cancel(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query>;
    fn machine(&self) -> &Machine;
}

impl Driven for ConnectDriver {
    fn tell(&mut self, input: Input<'_>, now: Instant) {
        self.handle_input(input, now);
    }

    fn share(&mut self, sockets: usize) {
        self.limit_to(sockets);
        self.grow_to(sockets);
    }

    fn poll(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query> {
        ConnectDriver::poll(self, stack, now)
    }

    fn cancel(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query> {
        ConnectDriver::cancel(self, stack, now)
    }

    fn machine(&self) -> &Machine {
        self.connect()
    }
}

/// A connect with the sockets of its attempts, and its referee.
pub(crate) struct ByHand {
    connect: Machine,
    referee: ConnectReferee,
    /// In the order of their start.
    open: Vec<(AttemptId, SocketAddr, Socket)>,
}

impl Driven for ByHand {
    #[track_caller]
    fn tell(&mut self, input: Input<'_>, now: Instant) {
        self.referee.hears(&input);
        self.connect.handle_input(input, now);
    }

    fn share(&mut self, sockets: usize) {
        self.referee.hears_limit(sockets);
        self.connect.limit_to(sockets);
        self.referee.hears_growth(sockets);
        self.connect.grow_to(sockets);
    }

    #[track_caller]
    fn poll(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query> {
        self.look(stack, now);
        self.drain(stack, now)
    }

    #[track_caller]
    fn cancel(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query> {
        self.tell(Input::Cancel, now);
        self.drain(stack, now)
    }

    fn machine(&self) -> &Machine {
        &self.connect
    }
}

impl ByHand {
    pub(crate) fn new(connect: Machine, referee: ConnectReferee) -> Self {
        ByHand { connect, referee, open: Vec::new() }
    }

    #[track_caller]
    fn drain(&mut self, stack: &mut Stack, now: Instant) -> Progress<Socket, Query> {
        loop {
            let output = self.connect.poll_output(now);
            self.referee.sees(&output, now);
            match output {
                Output::SendQuery { query } => return Progress::SendQuery(query),
                Output::StartAttempt { id, destination } => self.start(stack, id, destination, now),
                Output::CancelAttempt { id } => {
                    if let Some(socket) = self.take(id) {
                        stack.abort(socket);
                    }
                }
                Output::WaitUntil(until) => return Progress::WaitUntil(until),
                Output::WaitForInput => return Progress::WaitForInput,
                Output::Established { id, destination } => {
                    let socket = self.take(id).expect("law 7: the winner has a socket");
                    return Progress::Connected(Connection { socket, destination });
                }
                Output::Failed(failure) => return Progress::Failed(failure),
            }
        }
    }

    #[track_caller]
    fn start(&mut self, stack: &mut Stack, id: AttemptId, destination: SocketAddr, now: Instant) {
        let mut socket = match stack.socket() {
            Ok(socket) => socket,
            Err(error) => {
                let error = stack.attempt_error(&error);
                return self.tell(Input::AttemptFailed { id, error }, now);
            }
        };
        match stack.connect(&mut socket, destination) {
            Ok(()) => {
                self.open.push((id, destination, socket));
                self.tell(Input::AttemptSucceeded { id }, now);
            }
            Err(nb::Error::WouldBlock) => self.open.push((id, destination, socket)),
            Err(nb::Error::Other(error)) => {
                let error = stack.attempt_error(&error);
                stack.abort(socket);
                self.tell(Input::AttemptFailed { id, error }, now);
            }
        }
    }

    /// Asks for the result of each attempt, the oldest first. The first success decides it.
    #[track_caller]
    fn look(&mut self, stack: &mut Stack, now: Instant) {
        let mut won = false;
        for (id, destination, mut socket) in std::mem::take(&mut self.open) {
            let result =
                if won { Err(nb::Error::WouldBlock) } else { stack.connect(&mut socket, destination) };
            match result {
                Ok(()) => {
                    won = true;
                    self.open.push((id, destination, socket));
                    self.tell(Input::AttemptSucceeded { id }, now);
                }
                Err(nb::Error::WouldBlock) => self.open.push((id, destination, socket)),
                Err(nb::Error::Other(error)) => {
                    let error = stack.attempt_error(&error);
                    stack.abort(socket);
                    self.tell(Input::AttemptFailed { id, error }, now);
                }
            }
        }
    }

    fn take(&mut self, id: AttemptId) -> Option<Socket> {
        let index = self.open.iter().position(|(open, _, _)| *open == id)?;
        Some(self.open.remove(index).2)
    }
}
