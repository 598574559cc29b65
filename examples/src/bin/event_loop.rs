//! How do I race within the event loop that I have? Over mio here, with sockets of the program's own: the
//! bare [`Race`] says what to do and is told what happened.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use connie_core::{AttemptError, AttemptId, Config, Failure, Input, Output, Race};
use connie_std::{OsClock, OsError};
use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

/// The attempts of a race with their sockets. An attempt's number is the token of its socket.
#[derive(Default)]
struct Attempts(Vec<(AttemptId, Option<TcpStream>)>);

impl Attempts {
    fn start(&mut self, poll: &Poll, id: AttemptId, destination: SocketAddr) -> io::Result<()> {
        // mio's `connect` never blocks.
        let mut stream = TcpStream::connect(destination)?;
        poll.registry().register(&mut stream, Token(id.number() as usize), Interest::WRITABLE)?;
        self.0.push((id, Some(stream)));
        Ok(())
    }

    /// Takes an attempt's socket. Dropping it closes it.
    fn take(&mut self, id: AttemptId) -> Option<TcpStream> {
        self.0.iter_mut().find(|(known, _)| *known == id)?.1.take()
    }

    /// What an event means to the race, if anything.
    fn outcome(&mut self, token: Token) -> Option<Input<'static>> {
        let (id, stream) = self.0.iter().find(|(id, _)| id.number() as usize == token.0)?;
        let (id, stream) = (*id, stream.as_ref()?);
        // Writable alone is no success: an error may be pending.
        let result = stream.take_error().map_or_else(Err, |pending| pending.map_or(Ok(()), Err));
        match result.and_then(|()| stream.peer_addr()) {
            Ok(_) => Some(Input::AttemptSucceeded { id }),
            Err(error) if error.kind() == io::ErrorKind::NotConnected => None,
            Err(error) => {
                self.take(id);
                Some(Input::AttemptFailed { id, error: meaning(error) })
            }
        }
    }
}

/// What an error of the operating system means to a race.
fn meaning(error: io::Error) -> AttemptError {
    OsError::from(error).attempt_error()
}

/// Does what the race says until it waits. The winner once there is one, and until when to wait before.
fn act(race: &mut Race, attempts: &mut Attempts, poll: &Poll, clock: &OsClock) -> Result<Step, Failure> {
    loop {
        match race.poll_output(clock.now()) {
            Output::StartAttempt { id, destination } => {
                if let Err(error) = attempts.start(poll, id, destination) {
                    race.handle_input(Input::AttemptFailed { id, error: meaning(error) }, clock.now());
                }
            }
            Output::CancelAttempt { id } => drop(attempts.take(id)),
            Output::WaitUntil(until) => return Ok(Step::Wait(Some(until.duration_since(clock.now())))),
            Output::WaitForInput => return Ok(Step::Wait(None)),
            Output::Established { id, .. } => return Ok(Step::Won(id)),
            Output::Failed(failure) => return Err(failure),
        }
    }
}

enum Step {
    Wait(Option<Duration>),
    Won(AttemptId),
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let addresses = connie_examples::addresses()?;
    let (mut poll, mut events) = (Poll::new()?, Events::with_capacity(64));
    let mut attempts = Attempts::default();
    let clock = OsClock::start();
    let config = Config::all_at_once().deadline(Some(Duration::from_secs(10)));
    let mut race = Race::new(&config, clock.now());
    race.handle_addresses(&addresses, clock.now());

    let stream = loop {
        match act(&mut race, &mut attempts, &poll, &clock)? {
            Step::Won(id) => break attempts.take(id).ok_or("the winner is open")?,
            Step::Wait(timeout) => poll.poll(&mut events, timeout)?,
        }
        for event in &events {
            if let Some(input) = attempts.outcome(event.token()) {
                race.handle_input(input, clock.now());
            }
        }
    };
    println!("connected to {}", stream.peer_addr()?);
    print!("{}", race.timeline().waterfall(80, Default::default()));
    Ok(())
}
