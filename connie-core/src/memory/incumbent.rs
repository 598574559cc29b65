//! Plans for those whose sessions are bound to an address.

use heapless::Vec;

use super::Memory;
use super::entry::Entry;
use super::key::Visit;
use super::order::{self, Trust};
use crate::race::{Guide, Plan, Race};
use crate::time::Instant;

impl<const N: usize> Memory<N> {
    /// As [`plan`](Memory::plan), for a caller whose sessions are bound to an address: of addresses that are
    /// as good as the best the one leads that the host was last reached by, whatever the order of the answer,
    /// and none is explored. The second starts when it has been silent for as long as a plan may make others
    /// wait (Δ). So a connection goes where the one before went, as long as that one answers by then and no
    /// other is known to be better.
    pub fn plan_for_incumbent<const D: usize, const K: usize, const R: usize, G: Guide>(
        &mut self,
        visit: &Visit,
        race: &Race<D, K, R, G>,
        now: Instant,
    ) -> Plan<D> {
        self.rebase(now);
        let now = self.tick(now);
        let mut known = Vec::<_, D>::new();
        self.look_up(visit, race, &mut known, now);
        let mut incumbent = None;
        for one in &mut known {
            one.rising = false;
            let entry = self.table.find(&one.key(visit));
            let is_its = |entry: &&Entry| entry.host == visit.host && one.mean > 0;
            let answered = entry.filter(is_its).map(|entry| entry.answered);
            if answered > incumbent.as_ref().map(|(answered, _)| *answered) {
                incumbent = answered.map(|answered| (answered, one));
            }
        }
        if let Some((_, one)) = incumbent {
            one.trust = Trust::Incumbent;
        }
        let mut order = self.order(visit, race.prospect(), 0, now);
        order.explores = false;
        // A session is worth the wait: moments of lateness do not move it.
        order.least = order.least.max(order.prospect.patience);
        order::plan(&known, &order)
    }
}
