//! Crowds: races to one host that run at one time share what one of them finds out.
//!
//! A race whose plan [explores](crate::race::Plan::explores) joins. The first of a host **leads**: it runs as
//! it is. Those that come while it runs **follow**: they wait until it has ended, or until a given time,
//! whichever is first, and then ask the memory for a plan anew, and join anew if that explores: the other may
//! have found out nothing. Where no time is left they run as those that
//! [follow](crate::race::Plan::following). Leading passes on when it ends, however it ends, and when it is
//! half a patience old: none waits for one that is stuck. Where the table is full a race runs **alone**. To
//! wake those that wait is their adapter's.

use core::time::Duration;

use heapless::Vec;

use super::key::Visit;
use crate::time::{Instant, micros};

/// What a race that would explore is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "one that leads has to leave"]
pub enum CrowdRole {
    /// Run, and [leave](Crowd::leave) with this ticket when the race has ended, been canceled or been
    /// dropped.
    Lead(CrowdTicket),
    /// Wait for the end of the one that leads, but no longer than until this moment; then plan anew, with a
    /// number of its own for [`plan`](super::Memory::plan)'s `spread`. A race whose plan has a lead need not
    /// wait: it runs without exploring.
    Follow(Instant),
    /// Run: there is no room to lead, or no time is left to wait. One that has waited runs as one that
    /// [follows](crate::race::Plan::following), since others do the same at this moment.
    Alone,
}

/// What the one that leads holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CrowdTicket {
    visit: Visit,
    number: u32,
}

/// Who leads, for up to `N` hosts at one time.
#[derive(Clone, Debug)]
pub struct Crowd<const N: usize = 8> {
    leads: Vec<LeadingRace, N>,
    tickets: u32,
}

#[derive(Clone, Copy, Debug)]
struct LeadingRace {
    ticket: CrowdTicket,
    /// When it has had its time.
    until: Instant,
}

impl<const N: usize> Crowd<N> {
    /// Nobody leads.
    #[must_use]
    pub const fn new() -> Self {
        Crowd { leads: Vec::new(), tickets: 0 }
    }

    /// A race to `visit` would explore. `patience` is its own, and `left` what is left of the time that its
    /// plan may take ([`Plan::longest_delay`](crate::race::Plan::longest_delay)): it waits no longer than
    /// that.
    pub fn join(&mut self, visit: &Visit, patience: Duration, left: Duration, now: Instant) -> CrowdRole {
        self.leads.retain(|led| led.until > now);
        if let Some(led) = self.leads.iter().find(|led| led.ticket.visit == *visit) {
            let until = led.until.min(now + left);
            // With nothing left of its time it does not wait.
            return if until > now { CrowdRole::Follow(until) } else { CrowdRole::Alone };
        }
        self.tickets = self.tickets.wrapping_add(1);
        let ticket = CrowdTicket { visit: *visit, number: self.tickets };
        let until = now.plus_micros(micros(patience) / 2);
        match self.leads.push(LeadingRace { ticket, until }) {
            Ok(()) => CrowdRole::Lead(ticket),
            Err(_) => CrowdRole::Alone,
        }
    }

    /// The race that leads has ended. Answers whether it led until now: then those that follow are to be
    /// woken.
    pub fn leave(&mut self, ticket: CrowdTicket) -> bool {
        let before = self.leads.len();
        self.leads.retain(|led| led.ticket != ticket);
        self.leads.len() < before
    }
}

impl<const N: usize> Default for Crowd<N> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::super::key::{Finish, Network};
    use super::*;

    const PATIENCE: Duration = Duration::from_millis(250);

    fn visit(host: &str) -> Visit {
        Visit::new(7, host, Finish::Tcp, 0, &Network::default())
    }

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    fn lead<const N: usize>(crowd: &mut Crowd<N>, host: &str, now: Instant) -> CrowdTicket {
        let CrowdRole::Lead(ticket) = crowd.join(&visit(host), PATIENCE, PATIENCE, now) else { panic!() };
        ticket
    }

    #[test]
    fn the_first_leads_and_the_others_follow_until_it_leaves() {
        let mut crowd = Crowd::<4>::new();
        let ticket = lead(&mut crowd, "a", at(0));
        for now in [0, 1, 124_999] {
            assert_eq!(crowd.join(&visit("a"), PATIENCE, PATIENCE, at(now)), CrowdRole::Follow(at(125_000)));
        }
        assert!(crowd.leave(ticket) && !crowd.leave(ticket));
        lead(&mut crowd, "a", at(30_000));
    }

    #[test]
    fn leading_passes_on_when_it_is_half_a_patience_old() {
        let mut crowd = Crowd::<4>::new();
        let stuck = lead(&mut crowd, "a", at(0));
        let next = lead(&mut crowd, "a", at(125_000));
        // The one that was stuck does not end the next one's time.
        assert!(!crowd.leave(stuck));
        assert_eq!(crowd.join(&visit("a"), PATIENCE, PATIENCE, at(125_001)), CrowdRole::Follow(at(250_000)));
        assert!(crowd.leave(next));
    }

    #[test]
    fn nobody_waits_for_longer_than_is_left_of_its_own_time() {
        let mut crowd = Crowd::<4>::new();
        lead(&mut crowd, "a", at(0));
        let mut join = |left| crowd.join(&visit("a"), PATIENCE, Duration::from_micros(left), at(10));
        assert_eq!(join(20), CrowdRole::Follow(at(30)));
        assert_eq!(join(1), CrowdRole::Follow(at(11)));
        assert_eq!(join(0), CrowdRole::Alone);
    }

    #[test]
    fn hosts_have_leads_of_their_own_and_a_full_table_makes_nobody_wait() {
        let mut crowd = Crowd::<2>::new();
        lead(&mut crowd, "a", at(0));
        lead(&mut crowd, "b", at(1));
        assert_eq!(crowd.join(&visit("c"), PATIENCE, PATIENCE, at(2)), CrowdRole::Alone);
        lead(&mut crowd, "c", at(125_000));
    }
}
