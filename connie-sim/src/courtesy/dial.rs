//! Dialling by a list and delays, as clients do that start the next address when the last one has failed or
//! is late.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;

use crate::host::{SimHost, SynAnswer};
use crate::rng::Rng;

/// An address to dial, what is behind it, and how long after its start the next may start.
#[derive(Clone, Debug)]
pub(super) struct DialStep<'a> {
    pub(super) address: SocketAddr,
    pub(super) host: &'a SimHost,
    pub(super) delay: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Dialled {
    /// Who answered first, and how long it took that one alone. With `None` nobody has, in the time there
    /// was.
    pub(super) winner: Option<(SocketAddr, Duration)>,
    pub(super) took: Duration,
    pub(super) syns: u32,
    pub(super) wasted: u32,
    /// Whether the winner's SYN was sent again.
    pub(super) sent_again: bool,
}

/// An attempt under way: whose, since when, and how it ends if it is left alone.
struct DialAttempt {
    step: usize,
    started: Instant,
    end: Option<DialEnd>,
}

/// How an attempt ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DialEnd {
    pub(super) at: Instant,
    pub(super) accepts: bool,
    /// By which of its SYNs, from 0.
    syn: u32,
}

/// How an attempt ends that starts at `at`, as far as anybody can see in `within`. The kernel sends its SYN
/// again after 1, 3, 7 s.
pub(super) fn end(host: &SimHost, at: Instant, within: Duration) -> Option<DialEnd> {
    // Nothing is left to chance in these hosts.
    let mut unused = Rng::new(0);
    let mut end: Option<DialEnd> = None;
    for syn in 0..4 {
        let sent = at + Duration::from_secs((1 << syn) - 1);
        if sent > at + within || end.is_some_and(|end| end.at <= sent) {
            break;
        }
        let answered = host.answers(syn + 1, sent, &mut unused);
        if let Some(at) = answered.filter(|at| end.is_none_or(|end| *at < end.at)) {
            end = Some(DialEnd { at, accepts: host.answer == SynAnswer::Accept, syn });
        }
    }
    end
}

/// Dials from `start` on, for no longer than `within`.
pub(super) fn dial(steps: &[DialStep<'_>], start: Instant, within: Duration) -> Dialled {
    let deadline = start + within;
    let mut attempts: Vec<DialAttempt> = Vec::new();
    let (mut next, mut at) = (0, start);
    loop {
        let ends = attempts.iter().filter_map(|attempt| Some((attempt.end?, attempt.step)));
        let first = ends.min_by_key(|(end, step)| (end.at, *step));
        // Results are looked at before anything starts.
        let due = if next < steps.len() { at } else { deadline };
        match first.filter(|(end, _)| end.at <= due.min(deadline)) {
            Some((end, _)) if end.accepts => return over(steps, &attempts, start, end),
            Some((end, step)) => {
                if let Some(failed) = attempts.iter_mut().find(|attempt| attempt.step == step) {
                    failed.end = None;
                }
                at = end.at;
            }
            None if next < steps.len() && at < deadline => {
                let end = end(steps[next].host, at, within);
                attempts.push(DialAttempt { step: next, started: at, end });
                at += steps[next].delay;
                next += 1;
            }
            None => return Dialled { took: within, syns: next as u32, ..Dialled::default() },
        }
    }
}

fn over(steps: &[DialStep<'_>], attempts: &[DialAttempt], start: Instant, end: DialEnd) -> Dialled {
    let is_winner = |attempt: &&DialAttempt| attempt.end == Some(end);
    let winner = attempts.iter().find(is_winner);
    // Whose SYN has arrived by then completes its handshake for nothing.
    let is_wasted =
        |attempt: &&DialAttempt| attempt.end.is_some_and(|it| it.accepts && sent(attempt, &it) <= end.at);
    let completed = attempts.iter().filter(is_wasted).count() as u32;
    Dialled {
        winner: winner.map(|won| (steps[won.step].address, end.at.duration_since(won.started))),
        took: end.at.duration_since(start),
        syns: attempts.len() as u32,
        wasted: completed - 1,
        sent_again: end.syn > 0,
    }
}

/// When the SYN was sent that brings this end about.
fn sent(attempt: &DialAttempt, end: &DialEnd) -> Instant {
    attempt.started + Duration::from_secs((1 << end.syn) - 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{address, hang, ok, refuse};

    const WITHIN: Duration = Duration::from_secs(5);
    const START: Instant = Instant::from_millis(5);

    fn dialled(hosts: &[SimHost], delay: u64) -> Dialled {
        let labels = ["4a", "4b", "4c"];
        let delay = Duration::from_millis(delay);
        let step = |(host, label)| DialStep { address: address(label), host, delay };
        let steps: Vec<DialStep<'_>> = hosts.iter().zip(labels).map(step).collect();
        dial(&steps, START, WITHIN)
    }

    fn won(label: &str, alone: u64) -> Option<(SocketAddr, Duration)> {
        Some((address(label), Duration::from_millis(alone)))
    }

    #[test]
    fn the_next_starts_when_the_last_is_late_or_has_failed() {
        let late = dialled(&[hang(), ok(30)], 250);
        assert_eq!((late.winner, late.took.as_millis(), late.syns, late.wasted), (won("4b", 30), 280, 2, 0));
        let refused = dialled(&[refuse(20), ok(30)], 250);
        assert_eq!((refused.winner, refused.took.as_millis(), refused.syns), (won("4b", 30), 50, 2));
        let slow = dialled(&[ok(270), ok(30)], 250);
        assert_eq!((slow.winner, slow.took.as_millis(), slow.wasted), (won("4a", 270), 270, 1));
        // What has answered by then keeps the next from its start.
        assert_eq!(dialled(&[ok(250), ok(30)], 250).syns, 1);
    }

    #[test]
    fn a_syn_that_is_lost_is_sent_again() {
        let lossy = ok(40).loses_between(START, START + Duration::from_millis(1));
        let alone = dialled(std::slice::from_ref(&lossy), 250);
        assert_eq!((alone.took.as_millis(), alone.sent_again), (1_040, true));
        assert_eq!(dialled(&[lossy, ok(30)], 250).took.as_millis(), 280);
    }

    #[test]
    fn what_is_held_goes_on_at_the_end() {
        let ms = |millis| START + Duration::from_millis(millis);
        let sent = ok(40).held_between(START, ms(500));
        let answered = ok(40).held_between(ms(20), ms(500));
        assert_eq!(end(&sent, START, WITHIN).map(|end| end.at), Some(ms(540)));
        assert_eq!(end(&answered, START, WITHIN).map(|end| end.at), Some(ms(500)));
    }

    #[test]
    fn nobody_tries_for_ever() {
        let dead = dialled(&[hang(), refuse(5)], 250);
        assert_eq!((dead.winner, dead.took, dead.syns), (None, WITHIN, 2));
    }
}
