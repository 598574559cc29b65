//! A connect that is driven by hand, under the eyes of its referee: what a driver does, once more and without
//! one.

use std::net::SocketAddr;

use connie_core::connect::{ConnectInput, ConnectOutput};
use connie_core::resolution::Query;
use connie_core::stack::{RaceStack, TcpClientStack, nb};
use connie_core::{AttemptErrorKind, AttemptId, Connection, Family, Instant, Progress};

use crate::connect_referee::ConnectReferee;
use crate::driver::{ConnectDriver, Machine};
use crate::stack::{SimSocket, SimStack};

/// What a scenario drives.
pub(crate) trait ScenarioDriver {
    /// The resolver has an event.
    fn handle_input(&mut self, input: ConnectInput<'_>, now: Instant);
    /// The program has `sockets` for it from now on.
    fn share(&mut self, sockets: usize);
    /// Looks at the stack, and does what is to be done now.
    fn poll(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query>;
    /// Gives up.
    fn cancel(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query>;
    fn machine(&self) -> &Machine;
}

impl ScenarioDriver for ConnectDriver {
    fn handle_input(&mut self, input: ConnectInput<'_>, now: Instant) {
        self.handle_input(input, now);
    }

    fn share(&mut self, sockets: usize) {
        self.limit_to(sockets);
        self.grow_to(sockets);
    }

    fn poll(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query> {
        ConnectDriver::poll(self, stack, now)
    }

    fn cancel(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query> {
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
    open: Vec<(AttemptId, SocketAddr, SimSocket)>,
}

impl ScenarioDriver for ByHand {
    #[track_caller]
    fn handle_input(&mut self, input: ConnectInput<'_>, now: Instant) {
        self.referee.handle_input(&input);
        self.connect.handle_input(input, now);
    }

    fn share(&mut self, sockets: usize) {
        self.referee.handle_limit(sockets);
        self.connect.limit_to(sockets);
        self.referee.handle_growth(sockets);
        self.connect.grow_to(sockets);
    }

    #[track_caller]
    fn poll(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query> {
        self.look(stack, now);
        self.drain(stack, now)
    }

    #[track_caller]
    fn cancel(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query> {
        self.handle_input(ConnectInput::Cancel, now);
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
    fn drain(&mut self, stack: &mut SimStack, now: Instant) -> Progress<SimSocket, Query> {
        loop {
            let output = self.connect.poll_output(now);
            self.referee.handle_output(&output, now);
            match output {
                ConnectOutput::SendQuery { query } => return Progress::SendQuery(query),
                ConnectOutput::StartAttempt { id, destination } => self.start(stack, id, destination, now),
                ConnectOutput::CancelAttempt { id } => {
                    if let Some(socket) = self.take(id) {
                        stack.abort(socket);
                    }
                }
                ConnectOutput::WaitUntil(until) => return Progress::WaitUntil(until),
                ConnectOutput::WaitForInput => return Progress::WaitForInput,
                ConnectOutput::Established { id, destination } => {
                    let socket = self.take(id).expect("law 7: the winner has a socket");
                    return Progress::Connected(Connection { socket, destination });
                }
                ConnectOutput::Failed(failure) => return Progress::Failed(failure),
            }
        }
    }

    #[track_caller]
    fn start(&mut self, stack: &mut SimStack, id: AttemptId, destination: SocketAddr, now: Instant) {
        let mut socket = match stack.socket() {
            Ok(socket) => socket,
            Err(error) => {
                let error = stack.attempt_error(&error);
                return self.handle_input(ConnectInput::AttemptFailed { id, error }, now);
            }
        };
        match stack.connect(&mut socket, destination) {
            Ok(()) => {
                self.open.push((id, destination, socket));
                self.handle_input(ConnectInput::AttemptSucceeded { id }, now);
            }
            Err(nb::Error::WouldBlock) => self.open.push((id, destination, socket)),
            Err(nb::Error::Other(error)) => {
                let error = stack.attempt_error(&error);
                stack.abort(socket);
                self.handle_input(ConnectInput::AttemptFailed { id, error }, now);
            }
        }
    }

    /// Asks for the result of each attempt, the oldest first. The first success decides it.
    #[track_caller]
    fn look(&mut self, stack: &mut SimStack, now: Instant) {
        let mut won = false;
        let mut left = std::mem::take(&mut self.open).into_iter();
        while let Some((id, destination, mut socket)) = left.next() {
            let result =
                if won { Err(nb::Error::WouldBlock) } else { stack.connect(&mut socket, destination) };
            match result {
                Ok(()) => {
                    won = true;
                    self.open.push((id, destination, socket));
                    self.handle_input(ConnectInput::AttemptSucceeded { id }, now);
                }
                Err(nb::Error::WouldBlock) => self.open.push((id, destination, socket)),
                Err(nb::Error::Other(error)) => {
                    let error = stack.attempt_error(&error);
                    stack.abort(socket);
                    if error == AttemptErrorKind::SourceGone {
                        let family = Family::of(&destination);
                        self.open.extend(left);
                        self.abort_all_of(family, stack);
                        self.handle_input(ConnectInput::SourceChanged { family }, now);
                        return self.look(stack, now);
                    }
                    self.handle_input(ConnectInput::AttemptFailed { id, error }, now);
                }
            }
        }
    }

    fn abort_all_of(&mut self, family: Family, stack: &mut SimStack) {
        let is_its = |(_, destination, _): &mut (_, SocketAddr, _)| Family::of(destination) == family;
        self.open.extract_if(.., is_its).for_each(|(_, _, socket)| stack.abort(socket));
    }

    fn take(&mut self, id: AttemptId) -> Option<SimSocket> {
        let index = self.open.iter().position(|(open, _, _)| *open == id)?;
        Some(self.open.remove(index).2)
    }
}
