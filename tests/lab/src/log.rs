//! What was seen on the wire, and the questions a test asks about it.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// How a client closed an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closing {
    /// By an RST. After the handshake that is an abort; before it, the client's socket was gone when the
    /// SYN-ACK came, and the kernel answered so.
    Reset,
    /// By a FIN, in good order.
    Fin,
    /// Without a packet: the socket was closed while its SYN waited for an answer. A probe found out. A stack
    /// in user space that sends an RST of its own before the SYN-ACK is taken for this if it was probed
    /// before.
    Silent,
}

/// How a connection attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// An RST reached the client before the handshake was complete.
    Refused,
    /// An RST reached the client after the handshake.
    ResetByServer,
    /// An ICMP error reached the client.
    Unreachable,
    /// The client closed it.
    Closed(Closing),
}

/// One connection attempt: everything between one client port and one remote address and port, from the first
/// SYN on. Times count from the first SYN of the whole log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The client's address and port.
    pub client: SocketAddr,
    /// Whom it called.
    pub remote: SocketAddr,
    /// When its SYNs were sent, the first and the repeated ones. Never empty.
    pub syns: Vec<Duration>,
    /// When the first SYN-ACK reached the client.
    pub answered: Option<Duration>,
    /// When the client's kernel completed the handshake.
    pub established: Option<Duration>,
    /// When and how it ended. `None`: the client's socket is still open, as far as the wire tells.
    pub ended: Option<(Duration, Ended)>,
}

impl Attempt {
    /// When it began: its first SYN.
    #[must_use]
    pub fn started(&self) -> Duration {
        self.syns.first().copied().unwrap_or_default()
    }

    /// Whether the client's socket is still open, as far as the wire tells.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        self.ended.is_none()
    }

    /// How the client closed it, if the client did.
    #[must_use]
    pub const fn closing(&self) -> Option<Closing> {
        match self.ended {
            Some((_, Ended::Closed(closing))) => Some(closing),
            _ => None,
        }
    }

    fn handshake_over(&self) -> Option<Duration> {
        [self.answered, self.ended.map(|(at, _)| at)].into_iter().flatten().min()
    }
}

/// Packets of one remote address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// SYNs that began an attempt.
    pub first_syns: usize,
    /// SYNs that repeated an earlier one.
    pub repeated_syns: usize,
    /// SYN-ACKs that reached the client.
    pub syn_acks: usize,
    /// RSTs that the client sent, but for those that a probe drew.
    pub client_resets: usize,
    /// Attempts in which the client sent a FIN.
    pub client_fins: usize,
}

/// A picture of the wire at one moment.
#[derive(Clone, Debug, Default)]
pub struct WireLog {
    pub(super) attempts: Vec<Attempt>,
    pub(super) counts: BTreeMap<IpAddr, Counts>,
    /// From the wire's beginning to the first SYN.
    pub(super) first: Duration,
    /// When the wire began. Only a router knows.
    pub(super) begin: Option<Instant>,
}

impl WireLog {
    /// When the first SYN was sent, by the machine's clock: what all times of the log count from. `None`
    /// without a SYN, and of a [wire](super::wire) that no router drives.
    #[must_use]
    pub fn began(&self) -> Option<Instant> {
        let begin = self.begin.filter(|_| !self.attempts.is_empty())?;
        Some(begin + self.first)
    }

    /// Every connection attempt, in the order of their first SYNs.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        &self.attempts
    }

    /// The attempts to one address, whatever the port.
    #[must_use]
    pub fn attempts_to(&self, remote: IpAddr) -> Vec<&Attempt> {
        self.attempts.iter().filter(|attempt| attempt.remote.ip() == remote).collect()
    }

    /// The attempts whose client sockets are still open, as far as the wire tells.
    #[must_use]
    pub fn open(&self) -> Vec<&Attempt> {
        self.attempts.iter().filter(|attempt| attempt.is_open()).collect()
    }

    /// The attempt that has this client address and port: the one behind a socket's local address.
    #[must_use]
    pub fn attempt_of(&self, client: SocketAddr) -> Option<&Attempt> {
        self.attempts.iter().rev().find(|attempt| attempt.client == client)
    }

    /// How many packets were exchanged with one address.
    #[must_use]
    pub fn counts(&self, remote: IpAddr) -> Counts {
        self.counts.get(&remote).copied().unwrap_or_default()
    }

    /// When the first SYN to an address was sent, counted from the first SYN of all.
    #[must_use]
    pub fn first_syn(&self, remote: IpAddr) -> Option<Duration> {
        self.attempts_to(remote).first().map(|attempt| attempt.started())
    }

    /// The addresses in the order of their first SYNs.
    #[must_use]
    pub fn order(&self) -> Vec<IpAddr> {
        let mut order = Vec::new();
        for attempt in &self.attempts {
            if !order.contains(&attempt.remote.ip()) {
                order.push(attempt.remote.ip());
            }
        }
        order
    }

    /// The most attempts that were open at once.
    ///
    /// An attempt is open from its first SYN until the client sends its first RST or FIN, or an RST or ICMP
    /// error reaches the client, or a probe finds the client's socket gone. An established connection that
    /// nobody has closed counts as open.
    ///
    /// A socket that is closed while its SYN waits leaves no trace on the wire. Therefore each new attempt's
    /// first SYN makes the router probe the attempts that still wait (see [`Lab`](super::Lab)); one that is
    /// found gone counts as closed before the new attempt began. No attempt is probed within 2 ms of its
    /// start or of its last probe, so a socket that is closed and replaced faster than that is counted beside
    /// its replacement.
    ///
    /// A socket is closed when its last descriptor is. A child process has copies of all descriptors until it
    /// runs its program, and of those without CLOEXEC even then; so a test that counts on this starts no
    /// process meanwhile, and nor do the other tests of its binary.
    #[must_use]
    pub fn most_open(&self) -> usize {
        most_at_once(self.attempts.iter().map(|it| (it.started(), it.ended.map(|(at, _)| at))))
    }

    /// The most handshakes under way at once: as [`most_open`](Self::most_open), but an attempt that gets its
    /// SYN-ACK counts no longer.
    #[must_use]
    pub fn most_handshakes(&self) -> usize {
        most_at_once(self.attempts.iter().map(|it| (it.started(), it.handshake_over())))
    }
}

/// The most half-open intervals `[start, end)` that share a moment.
fn most_at_once(intervals: impl Iterator<Item = (Duration, Option<Duration>)>) -> usize {
    let mut steps = Vec::new();
    for (start, end) in intervals {
        // An end sorts before a start at the same time.
        steps.push((start, 1_isize));
        steps.extend(end.map(|end| (end, -1)));
    }
    steps.sort_unstable();
    let mut now = 0;
    let most = steps.iter().map(|(_, step)| {
        now += step;
        now
    });
    usize::try_from(most.max().unwrap_or(0)).unwrap_or(0)
}

impl fmt::Display for WireLog {
    /// One line an attempt, times in milliseconds, for the message of a failed test.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        writeln!(f, "{} attempts, at most {} open at once:", self.attempts.len(), self.most_open())?;
        for attempt in &self.attempts {
            write!(f, "  {} <- {}", attempt.remote, attempt.client)?;
            for syn in &attempt.syns {
                write!(f, "  SYN {:.1}", ms(*syn))?;
            }
            if let Some(at) = attempt.answered {
                write!(f, "  SYN-ACK {:.1}", ms(at))?;
            }
            if let Some(at) = attempt.established {
                write!(f, "  established {:.1}", ms(at))?;
            }
            match attempt.ended {
                Some((at, how)) => writeln!(f, "  {how:?} {:.1}", ms(at))?,
                None => writeln!(f, "  open")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn most(intervals: &[(u64, Option<u64>)]) -> usize {
        let time = Duration::from_millis;
        most_at_once(intervals.iter().map(|(start, end)| (time(*start), end.map(time))))
    }

    #[test]
    fn an_end_and_a_start_at_one_moment_do_not_overlap() {
        assert_eq!(most(&[]), 0);
        assert_eq!(most(&[(0, Some(5)), (5, Some(9))]), 1);
        assert_eq!(most(&[(0, Some(6)), (5, Some(9))]), 2);
        assert_eq!(most(&[(0, None), (5, None), (7, Some(8)), (8, None)]), 3);
    }

    #[test]
    fn an_interval_without_length_takes_nothing_away() {
        assert_eq!(most(&[(0, None), (3, Some(3)), (4, None)]), 2);
    }
}
