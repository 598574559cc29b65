//! How many handshakes servers did for nothing. Who gives an attempt up does not hear of the answer that is
//! on its way. So each address on which one was given up is asked afterwards whether it answers at all,
//! unless it has shown that it does.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use super::trial::Trial;

/// An address that is silent for this long is dead.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fills in what each trial wasted, by one connection more to some addresses.
pub fn count(trials: &mut [Trial], limit: Duration) {
    let connected = |trial: &Trial| trial.result.as_ref().ok().and_then(|address| address.parse().ok());
    let mut alive: BTreeSet<SocketAddr> = trials.iter().filter_map(connected).collect();
    let given_up: BTreeSet<SocketAddr> =
        trials.iter().flat_map(|trial| trial.given_up.iter().copied()).collect();
    let unknown: Vec<SocketAddr> = given_up.difference(&alive).copied().collect();
    alive.extend(that_answer(&unknown, limit.min(PATIENCE)));
    for trial in trials {
        trial.wasted = trial.given_up.iter().filter(|address| alive.contains(address)).count() as u32;
    }
}

/// All are asked at the same time, since those that are dead take the whole of it.
fn that_answer(addresses: &[SocketAddr], patience: Duration) -> Vec<SocketAddr> {
    std::thread::scope(|scope| {
        let ask = |address: SocketAddr| {
            let answers = move || TcpStream::connect_timeout(&address, patience).is_ok();
            // A system that has no thread to give has none to say that one is alive.
            let asked = std::thread::Builder::new().spawn_scoped(scope, answers).ok();
            (address, asked)
        };
        let asked: Vec<_> = addresses.iter().copied().map(ask).collect();
        let answer = |asked: Option<std::thread::ScopedJoinHandle<'_, bool>>| {
            asked.is_some_and(|asked| asked.join().unwrap_or(false))
        };
        asked.into_iter().filter_map(|(address, asked)| answer(asked).then_some(address)).collect()
    })
}
