//! The address of a host that a race would try first, for a proxy that is to connect to it.

use std::net::SocketAddr;

use connie_core::memory::Finish;
use connie_core::stack::{TcpClientStack, nb};
use connie_core::{AttemptError, Instant, PollEntry, PollResult, Poller, RaceStack};

use crate::connect::race;
use crate::error::ConnectErrorKind;
use crate::hosts::Hosted;
use crate::os_error::OsError;
use crate::socket::{OsSocket, OsStack};
use crate::target::TargetRef;
use crate::{Options, OsPoller};

/// Resolves `target` as for a race with these options: overrides, families, order and filter included.
pub(super) fn first_address(
    poller: &mut OsPoller,
    target: TargetRef<'_>,
    options: &Options,
) -> Result<SocketAddr, ConnectErrorKind> {
    let mut options = options.clone();
    // What a race learns of an address is learnt by connecting to it, and nothing is connected here.
    (options.memory, options.budget, options.observer) = (None, None, None);
    let (_, destination, _) = race(&mut LookupStack, poller, target, Finish::Tcp, &options)?;
    Ok(destination)
}

/// A stack on which every address answers at once, without a socket.
struct LookupStack;

impl TcpClientStack for LookupStack {
    type TcpSocket = OsSocket;
    type Error = OsError;

    fn socket(&mut self) -> Result<OsSocket, OsError> {
        Ok(OsSocket::default())
    }

    fn connect(&mut self, _: &mut OsSocket, _: SocketAddr) -> nb::Result<(), OsError> {
        Ok(())
    }

    fn send(&mut self, _: &mut OsSocket, _: &[u8]) -> nb::Result<usize, OsError> {
        Err(nb::Error::WouldBlock)
    }

    fn receive(&mut self, _: &mut OsSocket, _: &mut [u8]) -> nb::Result<usize, OsError> {
        Err(nb::Error::WouldBlock)
    }

    fn close(&mut self, socket: OsSocket) -> Result<(), OsError> {
        drop(socket);
        Ok(())
    }
}

impl RaceStack for LookupStack {
    fn attempt_error(&self, error: &OsError) -> AttemptError {
        OsStack::default().attempt_error(error)
    }

    fn abort(&mut self, socket: OsSocket) {
        drop(socket);
    }
}

impl Hosted for LookupStack {}

impl Poller<LookupStack> for OsPoller {
    fn now(&mut self) -> Instant {
        OsPoller::now(self)
    }

    fn wait(
        &mut self,
        _: &mut LookupStack,
        sockets: &mut [PollEntry<'_, OsSocket>],
        until: Option<Instant>,
    ) -> PollResult {
        Poller::<OsStack>::wait(self, &mut OsStack::default(), sockets, until)
    }
}
