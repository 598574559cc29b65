//! What is counted, each ten seconds.

use std::time::Duration;

use super::{HAPPENS, SERVERS};

/// Ten seconds of a run.
#[derive(Clone, Debug, Default)]
pub struct Bin {
    /// The visits that ended with a connection, by server.
    pub connected: [u32; SERVERS],
    /// Those that ended without.
    pub failed: u32,
    /// The SYNs that clients meant to send: one that was sent again for want of an answer counts once.
    pub syns: u64,
    /// How long those took that were connected, together, in microseconds.
    pub micros: u64,
}

impl Bin {
    fn add(&mut self, other: &Bin) {
        for (sum, one) in self.connected.iter_mut().zip(other.connected) {
            *sum += one;
        }
        self.failed += other.failed;
        self.syns += other.syns;
        self.micros += other.micros;
    }

    /// How many visits ended with a connection.
    #[must_use]
    pub fn visits(&self) -> u32 {
        self.connected.iter().sum()
    }

    /// How many SYNs there were for each connection.
    #[must_use]
    pub fn syns_a_visit(&self) -> f64 {
        self.syns as f64 / f64::from(self.visits().max(1))
    }

    /// How long it took to connect, in the mean, in milliseconds.
    #[must_use]
    pub fn millis(&self) -> f64 {
        self.micros as f64 / 1_000.0 / f64::from(self.visits().max(1))
    }

    /// The part of the connections that `server` got, of what would be even.
    #[must_use]
    pub fn share(&self, server: usize) -> f64 {
        f64::from(self.connected[server]) * SERVERS as f64 / f64::from(self.visits().max(1))
    }
}

/// What came of a run.
#[derive(Clone, Debug, Default)]
pub struct ServiceReport {
    /// Each ten seconds.
    pub bins: Vec<Bin>,
}

impl ServiceReport {
    /// How long a bin is.
    pub const BIN: Duration = Duration::from_secs(10);

    /// The bins that begin in this time.
    #[must_use]
    pub fn between(&self, from: Duration, to: Duration) -> &[Bin] {
        let place = |at: Duration| at.as_nanos().div_ceil(Self::BIN.as_nanos()) as usize;
        let to = place(to).min(self.bins.len());
        &self.bins[place(from).min(to)..to]
    }

    /// What it was like before anything happened: the 40 s up to then, together.
    #[must_use]
    pub fn before(&self) -> Bin {
        let mut before = Bin::default();
        for bin in self.between(HAPPENS - 4 * Self::BIN, HAPPENS) {
            before.add(bin);
        }
        before
    }

    /// How long after `over` all was as before, and stayed so: no visit failed, each took at most a quarter
    /// longer and a quarter of a SYN more. `None` where it never was again.
    #[must_use]
    pub fn recovers(&self, over: Duration) -> Option<Duration> {
        let before = self.before();
        let is_well = |bin: &Bin| {
            bin.failed <= before.failed
                && bin.millis() <= 1.25 * before.millis()
                && bin.syns_a_visit() <= before.syns_a_visit() + 0.25
        };
        let since = self.between(over, Duration::MAX);
        let ill = since.iter().rposition(|bin| !is_well(bin)).map_or(0, |last| last + 1);
        (ill < since.len()).then(|| Self::BIN * ill as u32)
    }

    /// The least and the greatest part of what would be even that a server of `servers` got in one bin
    /// between these moments.
    #[must_use]
    pub fn band(&self, servers: std::ops::Range<usize>, from: Duration, to: Duration) -> (f64, f64) {
        let shares =
            self.between(from, to).iter().flat_map(|bin| servers.clone().map(|server| bin.share(server)));
        shares.fold((f64::INFINITY, 0.0), |(least, most), share| (least.min(share), most.max(share)))
    }

    /// The part of what would be even that `server` got in half a minute up to `to`.
    #[must_use]
    pub fn share(&self, server: usize, to: Duration) -> f64 {
        let mut bins = Bin::default();
        for bin in self.between(to - 3 * Self::BIN, to) {
            bins.add(bin);
        }
        bins.share(server)
    }

    pub(super) fn bin(&mut self, now: u64) -> &mut Bin {
        let at = (now / Self::BIN.as_nanos() as u64) as usize;
        if self.bins.len() <= at {
            self.bins.resize(at + 1, Bin::default());
        }
        &mut self.bins[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten seconds of a hundred visits, of which each took so long.
    fn bin(millis: u64, failed: u32) -> Bin {
        let mut bin = Bin { failed, syns: 110, micros: millis * 100_000, ..Bin::default() };
        bin.connected[1] = 75;
        bin.connected[0] = 25;
        bin
    }

    fn report(since: &[Bin]) -> ServiceReport {
        let mut bins = vec![bin(40, 0); 12];
        bins.extend_from_slice(since);
        ServiceReport { bins }
    }

    #[test]
    fn a_bin_says_what_a_visit_costs_and_who_got_it() {
        let bin = bin(40, 0);
        assert_eq!((bin.visits(), bin.millis(), bin.syns_a_visit()), (100, 40.0, 1.1));
        assert_eq!((bin.share(0), bin.share(1), bin.share(2)), (3.0, 9.0, 0.0));
    }

    #[test]
    fn all_has_recovered_when_it_stays_as_before() {
        let recovers = |since: &[Bin]| report(since).recovers(HAPPENS).map(|back| back.as_secs());
        assert_eq!(recovers(&[bin(40, 0)]), Some(0));
        assert_eq!(recovers(&[bin(50, 0), bin(40, 0)]), Some(0));
        assert_eq!(recovers(&[bin(51, 0), bin(40, 0)]), Some(10));
        assert_eq!(recovers(&[bin(40, 1), bin(40, 0), bin(90, 0), bin(40, 0)]), Some(30));
        assert_eq!(recovers(&[bin(40, 0), bin(40, 1)]), None);
        assert_eq!(recovers(&[Bin { syns: 136, ..bin(40, 0) }, bin(40, 0)]), Some(10));
    }

    #[test]
    fn a_band_is_over_all_servers_and_bins_of_a_time() {
        let mut last = bin(40, 0);
        last.connected[2] = 300;
        let report = report(&[bin(40, 0), last]);
        assert_eq!(report.band(0..2, HAPPENS, HAPPENS + ServiceReport::BIN), (3.0, 9.0));
        assert_eq!(report.band(0..3, HAPPENS, Duration::MAX), (0.0, 9.0));
        assert_eq!(report.between(Duration::ZERO, HAPPENS).len(), 12);
        assert!((report.share(2, HAPPENS + 2 * ServiceReport::BIN) - 12.0 * 300.0 / 600.0).abs() < 1e-9);
    }
}
