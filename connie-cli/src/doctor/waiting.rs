//! How long a user waits, with clients that go through the addresses in one way or another. The waits are
//! worked out from what each address did when it was tried by itself: nothing is tried again.

use std::net::SocketAddr;
use std::time::Duration;

use super::probe::{Probe, ProbeError};

/// Between two attempts of Happy Eyeballs (RFC 8305 section 8).
const STAGGER: Duration = Duration::from_millis(250);

/// A way to go through addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ComparedClient {
    /// The first address, and the next when that has failed.
    Plain,
    /// Both families in turn, an attempt every 250 ms, and the first TCP handshake wins.
    HappyEyeballs,
    /// All addresses at once, to the end of what is wanted.
    Connie,
}

impl ComparedClient {
    pub const ALL: [ComparedClient; 3] =
        [ComparedClient::Plain, ComparedClient::HappyEyeballs, ComparedClient::Connie];

    /// Its name in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            ComparedClient::Plain => "plain",
            ComparedClient::HappyEyeballs => "happy_eyeballs",
            ComparedClient::Connie => "connie",
        }
    }
}

/// What a user of this client meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub client: ComparedClient,
    pub elapsed: Duration,
    /// The address that it ends at; `None` where no address takes a connection.
    pub address: Option<SocketAddr>,
    /// Whether what is wanted comes from there.
    pub serves: bool,
}

/// One for each client.
pub fn all(probes: &[Probe]) -> Vec<Wait> {
    let patience = system_patience();
    ComparedClient::ALL
        .into_iter()
        .filter(|_| !probes.is_empty())
        .map(|client| match client {
            ComparedClient::Plain => plain(probes, patience),
            ComparedClient::HappyEyeballs => happy_eyeballs(probes, patience),
            ComparedClient::Connie => connie(probes, patience),
        })
        .collect()
}

/// How long the system sends SYNs into a silence.
fn system_patience() -> Duration {
    let read = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/net/ipv4/{name}")).ok()?;
        text.trim().parse::<u32>().ok()
    };
    match read("tcp_syn_retries") {
        // Linux waits one second after the first, and after the few that follow in linear time; then twice as
        // long after each one, and 120 s at most.
        Some(retries) => {
            let linear = u64::from(read("tcp_syn_linear_timeouts").unwrap_or(0));
            let doubled: u64 = (0..=retries.min(255)).map(|n| (1_u64 << n.min(7)).min(120)).sum();
            Duration::from_secs(doubled + linear)
        }
        None if cfg!(windows) => Duration::from_secs(21),
        None => Duration::from_secs(75),
    }
}

/// How long an attempt goes on that gets no connection.
fn until_failure(probe: &Probe, patience: Duration) -> Duration {
    match probe.tcp.result {
        Err(ProbeError::Silent) => patience,
        _ => probe.tcp.elapsed,
    }
}

/// The client goes on with this address, which took the connection after `connected`.
fn ends_at(client: ComparedClient, connected: Duration, probe: &Probe) -> Wait {
    let rest = probe.elapsed().saturating_sub(probe.tcp.elapsed);
    Wait { client, elapsed: connected + rest, address: Some(probe.address), serves: probe.serves() }
}

fn plain(probes: &[Probe], patience: Duration) -> Wait {
    let mut waited = Duration::ZERO;
    for probe in probes {
        if probe.tcp.result.is_ok() {
            return ends_at(ComparedClient::Plain, waited + probe.tcp.elapsed, probe);
        }
        waited += until_failure(probe, patience);
    }
    Wait { client: ComparedClient::Plain, elapsed: waited, address: None, serves: false }
}

fn happy_eyeballs(probes: &[Probe], patience: Duration) -> Wait {
    let client = ComparedClient::HappyEyeballs;
    let mut start = Duration::ZERO;
    let mut best: Option<(Duration, &Probe)> = None;
    let mut last_failure = Duration::ZERO;
    for probe in interleaved(probes) {
        if best.is_some_and(|(connected, _)| connected <= start) {
            break;
        }
        let pause = match probe.tcp.result {
            Ok(()) => {
                let connected = start + probe.tcp.elapsed;
                if best.is_none_or(|(other, _)| connected < other) {
                    best = Some((connected, probe));
                }
                STAGGER
            }
            // "The client should immediately start the next connection attempt" where one has failed
            // (section 5).
            Err(_) => {
                let failure = until_failure(probe, patience);
                last_failure = last_failure.max(start + failure);
                failure.min(STAGGER)
            }
        };
        start += pause;
    }
    match best {
        Some((connected, probe)) => ends_at(client, connected, probe),
        None => Wait { client, elapsed: last_failure, address: None, serves: false },
    }
}

/// The families in turn, the first address's first (RFC 8305 section 4).
fn interleaved(probes: &[Probe]) -> Vec<&Probe> {
    let first = probes.first().is_some_and(|probe| probe.address.is_ipv6());
    let (one, other): (Vec<_>, Vec<_>) = probes.iter().partition(|probe| probe.address.is_ipv6() == first);
    let longest = one.len().max(other.len());
    (0..longest).flat_map(|index| [one.get(index), other.get(index)]).flatten().copied().collect()
}

fn connie(probes: &[Probe], patience: Duration) -> Wait {
    let client = ComparedClient::Connie;
    let serving = probes.iter().filter(|probe| probe.serves()).min_by_key(|probe| probe.elapsed());
    let connecting = || {
        let connected = probes.iter().filter(|probe| probe.tcp.result.is_ok());
        connected.min_by_key(|probe| probe.tcp.elapsed)
    };
    match serving.or_else(connecting) {
        Some(probe) => ends_at(client, probe.tcp.elapsed, probe),
        None => {
            let elapsed = probes.iter().map(|probe| until_failure(probe, patience)).max();
            Wait { client, elapsed: elapsed.unwrap_or_default(), address: None, serves: false }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::probe::ProbeStep;

    const PATIENCE: Duration = Duration::from_secs(127);

    fn probe(address: &str, millis: u64, result: Result<(), ProbeError>) -> Probe {
        let step = |result| ProbeStep { elapsed: Duration::from_millis(millis), result };
        Probe {
            address: address.parse().unwrap(),
            source: None,
            response: result.is_ok().then(|| step(Ok(()))),
            tcp: step(result),
            tls: None,
            status: None,
            is_plain: false,
        }
    }

    const SILENT: Result<(), ProbeError> = Err(ProbeError::Silent);
    const REFUSED: Result<(), ProbeError> = Err(ProbeError::Refused);

    #[track_caller]
    fn feels(probes: &[Probe], plain_ms: u64, eyeballs_ms: u64, connie_ms: u64) {
        let waits = [plain(probes, PATIENCE), happy_eyeballs(probes, PATIENCE), connie(probes, PATIENCE)];
        assert_eq!(
            waits.map(|wait| wait.elapsed.as_millis()),
            [plain_ms, eyeballs_ms, connie_ms].map(u128::from)
        );
    }

    #[test]
    fn a_silent_address_costs_a_plain_client_what_the_system_waits() {
        let dead = probe("[2001:db8::1]:80", 5_000, SILENT);
        let live = probe("192.0.2.1:80", 10, Ok(()));
        feels(&[live.clone(), dead.clone()], 20, 20, 20);
        feels(&[dead.clone(), live], 127_020, 270, 20);
        feels(&[dead.clone(), dead], 254_000, 127_250, 127_000);
    }

    #[test]
    fn a_refused_address_costs_its_round_trip() {
        let dead = probe("192.0.2.2:80", 30, REFUSED);
        feels(&[dead.clone(), dead, probe("192.0.2.1:80", 10, Ok(()))], 80, 80, 20);
    }

    #[test]
    fn the_families_take_turns() {
        let dead = |address| probe(address, 5_000, SILENT);
        let probes = [dead("[2001:db8::1]:80"), dead("[2001:db8::2]:80"), probe("192.0.2.1:80", 10, Ok(()))];
        feels(&probes, 254_020, 270, 20);
        // An attempt that answers late wins beside a later one.
        let slow = probe("[2001:db8::1]:80", 300, Ok(()));
        feels(&[slow.clone(), probe("192.0.2.1:80", 10, Ok(()))], 600, 270, 20);
        feels(&[slow, probe("192.0.2.1:80", 100, Ok(()))], 600, 600, 200);
    }

    #[test]
    fn clients_that_take_the_first_tcp_handshake_end_at_a_front_without_a_back_end() {
        let mut front = probe("192.0.2.2:80", 1, Ok(()));
        front.status = Some((502, "Bad Gateway".to_owned()));
        let probes = [front.clone(), probe("192.0.2.1:80", 10, Ok(()))];
        let waits = [plain(&probes, PATIENCE), happy_eyeballs(&probes, PATIENCE), connie(&probes, PATIENCE)];
        assert_eq!(waits.map(|wait| wait.serves), [false, false, true]);
        assert!(!connie(&[front], PATIENCE).serves);
    }
}
