//! What other clients would have taken in place of a race: how many SYNs, and how much time.
//!
//! Each is connie-core's own race in virtual time, paced as that client is. It is given all addresses of the
//! race at its start, and each address behaves as is known of it, from the first of these that knows:
//!
//! 1. this race: it answered or failed, and how long that took;
//! 2. what the memory knew of it when the race was planned: it answers in its round trip, or in the time that
//!    this race waited for it, if that is longer;
//! 3. for an address that the memory takes for dead, the last of the kept races in which it answered, failed
//!    or was silent for long enough. One that was silent is assumed never to answer.
//!
//! Nothing is known of any other address, and a client that would have tried one cannot be compared. So a
//! race with losers that were never met is not counted, and no saving is invented.

use std::net::SocketAddr;
use std::time::Duration;

use connie_std::Report;
use connie_std::connie_core::race::{AttemptId, Unplanned};
use connie_std::connie_core::timeline::Attempt;
use connie_std::connie_core::{
    AttemptError, AttemptErrorKind, AttemptOutcome, Config, Input, Instant, Output, Race,
};
use connie_std::memory::{AddressPart, ExplainedAddress};

/// How long a client without a limit of its own waits for an address that says nothing: Linux sends the SYN
/// seven times, the last 63 seconds after the first, and gives up 64 seconds later (`tcp_syn_retries`).
const SYSTEM_TIMEOUT: Duration = Duration::from_secs(127);
/// An attempt that was given up sooner says nothing: the memory counts silence only from a quarter of the
/// patience.
const SILENCE: Duration = Duration::from_micros(Config::DEFAULT_PATIENCE.as_micros() as u64 / 4);
/// As many as a race of connie-std has room for.
const MOST: usize = connie_std::MAX_DESTINATIONS;

/// What a client did, or would have done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expense {
    /// Each attempt sends a SYN. Those that the system sends again are counted on neither side.
    pub(crate) attempts: u32,
    /// From when the first address was known.
    pub(crate) time: Duration,
}

/// What a race took, and what others would have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Comparison {
    pub(crate) own: Expense,
    /// Happy Eyeballs as RFC 8305 recommends it: 250 ms between attempts.
    pub(crate) happy_eyeballs: Option<Expense>,
    /// One address after the other, IPv6 first, for as long as the system tries each.
    pub(crate) one_by_one: Option<Expense>,
}

/// What an address does to an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Answers(Duration),
    Fails(Duration, AttemptErrorKind),
    Silent,
}

impl Comparison {
    /// Compares a race that was won. `earlier` has the races before it, the latest first.
    pub(crate) fn of<'a>(report: &Report, earlier: impl Iterator<Item = &'a Report> + Clone) -> Option<Self> {
        let timeline = report.timeline();
        let (summary, winner) = (timeline.summary(), timeline.winner()?);
        let time = winner.ended?.saturating_sub(summary.resolved.unwrap_or_default());
        let addresses: Vec<_> = timeline.destinations().map(|it| it.address()).collect();
        let fate = |address| fate(address, report, earlier.clone());
        let own = Expense { attempts: summary.attempts, time };
        if addresses.len() == 1 {
            // With one address every client does the same.
            return Some(Comparison { own, happy_eyeballs: Some(own), one_by_one: Some(own) });
        }
        // Without eviction: these clients never evict an attempt.
        let happy_eyeballs = Config::staggered().evict(false);
        let one_by_one = Config::one_by_one().first_address_family_count(u8::MAX);
        Some(Comparison {
            own,
            happy_eyeballs: run(&happy_eyeballs, &addresses, fate),
            one_by_one: run(&one_by_one, &addresses, fate),
        })
    }
}

/// What is known of `address`.
fn fate<'a>(
    address: SocketAddr,
    report: &Report,
    mut earlier: impl Iterator<Item = &'a Report>,
) -> Option<Fate> {
    let own = ended(report, address);
    if let Some(fate) = own.and_then(|attempt| certain(&attempt)) {
        return Some(fate);
    }
    let explanation = report.explanation()?;
    let known = explanation.addresses().iter().find(|known| known.address() == address)?;
    if !is_held_for_dead(known) {
        let round_trip = known.round_trip().filter(|_| !known.is_of_prefix())?;
        return Some(Fate::Answers(round_trip.max(own.map_or(Duration::ZERO, |attempt| ran(&attempt)))));
    }
    let told = |attempt: Attempt| match certain(&attempt) {
        None if ran(&attempt) >= SILENCE => Some(Fate::Silent),
        fate => fate,
    };
    own.and_then(told).or_else(|| earlier.find_map(|race| told(ended(race, address)?)))
}

fn is_held_for_dead(known: &ExplainedAddress) -> bool {
    known.failures() > 0 || matches!(known.part(), AddressPart::Demoted | AddressPart::OnProbation)
}

/// The attempt on an address that tells most: one that was answered or failed, if there is one.
fn ended(report: &Report, address: SocketAddr) -> Option<Attempt> {
    let of_address = |attempt: &Attempt| attempt.destination == address;
    let timeline = report.timeline();
    let attempts = || timeline.attempts().filter(of_address);
    attempts().find(|attempt| certain(attempt).is_some()).or_else(|| attempts().max_by_key(ran))
}

/// What an attempt has shown beyond doubt.
fn certain(attempt: &Attempt) -> Option<Fate> {
    match attempt.outcome? {
        AttemptOutcome::Established => Some(Fate::Answers(ran(attempt))),
        AttemptOutcome::Failed(kind) => Some(Fate::Fails(ran(attempt), kind)),
        _ => None,
    }
}

fn ran(attempt: &Attempt) -> Duration {
    attempt.ended.unwrap_or_default().saturating_sub(attempt.started)
}

/// An attempt of a client that is to end.
struct Ending {
    at: Instant,
    id: AttemptId,
    how: Result<(), AttemptError>,
}

/// What a client with this pacing takes for these addresses. `None` if nothing is known of one that it tries,
/// or if none answers.
fn run(
    config: &Config,
    addresses: &[SocketAddr],
    fate: impl Fn(SocketAddr) -> Option<Fate>,
) -> Option<Expense> {
    let mut now = Instant::ZERO;
    let mut race = Box::new(Race::<MOST, MOST, MOST, Unplanned>::new(config, now));
    race.handle_addresses(addresses, now);
    let (mut attempts, mut endings) = (0, Vec::<Ending>::new());
    loop {
        let wakes = match race.poll_output(now) {
            Output::StartAttempt { id, destination } => {
                attempts += 1;
                let (after, how) = match fate(destination)? {
                    Fate::Answers(after) => (after, Ok(())),
                    Fate::Fails(after, kind) => (after, Err(AttemptError::new(kind))),
                    Fate::Silent => (SYSTEM_TIMEOUT, Err(AttemptError::new(AttemptErrorKind::TimedOut))),
                };
                endings.push(Ending { at: now + after, id, how });
                continue;
            }
            Output::CancelAttempt { id } => {
                endings.retain(|ending| ending.id != id);
                continue;
            }
            Output::Established { .. } => {
                return Some(Expense { attempts, time: now.duration_since(Instant::ZERO) });
            }
            Output::Failed(_) => return None,
            Output::WaitUntil(at) => Some(at),
            Output::WaitForInput => None,
        };
        let first = (0..endings.len()).min_by_key(|place| endings.get(*place).map(|ending| ending.at));
        match first.map(|place| endings.swap_remove(place)) {
            Some(ending) if wakes.is_none_or(|at| ending.at <= at) => {
                now = ending.at;
                let id = ending.id;
                race.handle_input(
                    match ending.how {
                        Ok(()) => Input::AttemptSucceeded { id },
                        Err(error) => Input::AttemptFailed { id, error },
                    },
                    now,
                );
            }
            later => {
                endings.extend(later);
                // Without an ending or a timer nothing would ever happen.
                now = wakes?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use connie_std::{Memory, Options};
    use std::net::TcpListener;

    const MS: Duration = Duration::from_millis(1);

    /// What each client takes, in attempts and milliseconds, where the addresses have these fates. IPv6 and
    /// IPv4 alternate, IPv6 first.
    fn others(fates: &[Option<Fate>]) -> [Option<(u32, u128)>; 2] {
        let address = |at: usize| match at % 2 {
            0 => SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, at as u16], 80)),
            _ => SocketAddr::from(([192, 0, 2, at as u8], 80)),
        };
        let addresses: Vec<_> = (0..fates.len()).map(address).collect();
        let fate = |wanted| fates[addresses.iter().position(|it| *it == wanted).unwrap()];
        let clients =
            [Config::staggered().evict(false), Config::one_by_one().first_address_family_count(u8::MAX)];
        clients.map(|config| run(&config, &addresses, fate).map(|it| (it.attempts, it.time.as_millis())))
    }

    fn answers(after: u32) -> Option<Fate> {
        Some(Fate::Answers(MS * after))
    }

    fn fails(after: u32) -> Option<Fate> {
        Some(Fate::Fails(MS * after, AttemptErrorKind::Refused))
    }

    const SILENT: Option<Fate> = Some(Fate::Silent);

    #[test]
    fn who_does_not_race_waits_for_those_that_are_silent() {
        assert_eq!(others(&[answers(30)]), [Some((1, 30)); 2]);
        assert_eq!(others(&[answers(30), answers(20)]), [Some((1, 30)); 2]);
        assert_eq!(others(&[SILENT, answers(30)]), [Some((2, 280)), Some((2, 127_030))]);
        // One by one all of IPv6 comes first.
        assert_eq!(others(&[SILENT, answers(30), SILENT]), [Some((2, 280)), Some((3, 254_030))]);
        assert_eq!(others(&[SILENT, SILENT, SILENT, answers(30)]), [Some((4, 780)), Some((4, 381_030))]);
    }

    #[test]
    fn one_that_fails_is_followed_at_once() {
        assert_eq!(others(&[fails(5), answers(30)]), [Some((2, 35)); 2]);
        // The slow one has answered when the second would.
        assert_eq!(others(&[answers(300), answers(100)]), [Some((2, 300)), Some((1, 300))]);
        assert_eq!(others(&[answers(300), answers(20)]), [Some((2, 270)), Some((1, 300))]);
    }

    #[test]
    fn what_nobody_knows_is_not_made_up() {
        assert_eq!(others(&[None, answers(30)]), [None; 2]);
        // It is never tried.
        assert_eq!(others(&[answers(30), None]), [Some((1, 30)); 2]);
        assert_eq!(others(&[SILENT, answers(30), None]), [Some((2, 280)), None]);
        assert_eq!(others(&[fails(1), fails(1)]), [None; 2]);
    }

    /// Races an address that refuses and one that answers, over real sockets.
    #[test]
    fn an_attempt_that_was_given_up_soon_is_not_taken_for_silence() {
        let live = TcpListener::bind("127.0.0.1:0").unwrap();
        let addresses = ["127.0.0.1:1".parse().unwrap(), live.local_addr().unwrap()];
        // One at a time, so that the one that refuses has done so before the other answers.
        let options = Options::new().memory(Memory::new()).max_in_flight(1);
        let first = connie_std::connect(addresses, &options).unwrap().report().clone();
        let later = connie_std::connect(addresses, &options).unwrap().report().clone();
        assert_eq!(later.timeline().summary().attempts, 1);
        let refused = fate(addresses[0], &later, [&first].into_iter());
        assert!(matches!(refused, Some(Fate::Fails(_, AttemptErrorKind::Refused))), "{refused:?}");
        // Where it is not known how it failed, it is not taken for silent.
        assert_eq!(fate(addresses[0], &later, [&later].into_iter()), None);
        assert!(matches!(fate(addresses[1], &later, [].into_iter()), Some(Fate::Answers(_))));
        let soon = given_up(&addresses, 62);
        assert_eq!(fate(addresses[0], &later, [&soon, &first].into_iter()), refused);
        assert_eq!(fate(addresses[0], &later, [&soon].into_iter()), None);
        let late = given_up(&addresses, 63);
        assert_eq!(fate(addresses[0], &later, [&late, &first].into_iter()), SILENT);
    }

    /// A race that the second of these addresses won `after` milliseconds after both had started.
    fn given_up(addresses: &[SocketAddr], after: u32) -> Report {
        let mut now = Instant::ZERO;
        let mut race = Race::<2, 2, 2>::new(&Config::all_at_once(), now);
        race.handle_addresses(addresses, now);
        let mut winner = None;
        while let Output::StartAttempt { id, .. } = race.poll_output(now) {
            winner = Some(id);
        }
        now += MS * after;
        race.handle_input(Input::AttemptSucceeded { id: winner.unwrap() }, now);
        while !race.poll_output(now).ends_drain() {}
        race.timeline().into()
    }
}
