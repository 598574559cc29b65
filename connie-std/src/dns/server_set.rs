//! A set of name servers with the settings by which they are asked, and what is known of these servers.

use std::net::SocketAddr;
use std::time::Duration;

use connie_core::Instant;
use connie_dns::{DnsConfig, LONGEST_NAME};

use crate::clock::OsClock;
use crate::process::ProcessLock;

/// How many servers there is room for.
pub(super) const MAX_SERVERS: usize = 8;
/// How many addresses of one answer are kept.
pub(super) const MAX_ADDRESSES: usize = 128;

const _: () = assert!(MAX_ADDRESSES == crate::MAX_DESTINATIONS, "no more than a race takes, and no less");

/// The client of one name. There is no room in it for another, and none is wanted.
pub(super) type OneNameClient = connie_dns::DnsClient<1, MAX_SERVERS, LONGEST_NAME, { 16 * MAX_ADDRESSES }>;
type SetStanding = connie_dns::ServerStanding<MAX_SERVERS>;

/// What all names share that are asked of the same servers with the same settings.
pub(super) struct ServerSet {
    servers: Vec<SocketAddr>,
    settings: DnsConfig,
    /// The start of the clients' time.
    epoch: std::time::Instant,
    standing: ProcessLock<Option<SetStanding>>,
}

impl ServerSet {
    pub(super) fn new(servers: &[SocketAddr], settings: &DnsConfig, epoch: std::time::Instant) -> Self {
        ServerSet { servers: servers.to_vec(), settings: *settings, epoch, standing: ProcessLock::new(None) }
    }

    /// Whether it has these servers and settings.
    pub(super) fn is_for(&self, servers: &[SocketAddr], settings: &DnsConfig) -> bool {
        self.servers == servers && self.settings == *settings
    }

    /// A client for one name.
    pub(super) fn client(&self, now: Instant) -> Result<OneNameClient, getrandom::Error> {
        let mut client = OneNameClient::new(self.settings, getrandom::u64()?);
        client.set_servers(&self.servers, now);
        Ok(client)
    }

    /// Tells `client` what other names' clients have learnt of the servers.
    pub(super) fn teach(&self, client: &mut OneNameClient) {
        if let Some(standing) = self.standing.lock_again(|_| ()).as_deref().and_then(Option::as_ref) {
            client.set_standing(standing);
        }
    }

    pub(super) fn learn(&self, before: &SetStanding, after: &SetStanding) {
        if let Some(mut standing) = self.standing.lock_again(|_| ()) {
            standing.get_or_insert_with(|| before.clone()).learn(before, after);
        }
    }

    pub(super) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// A moment of `clock` as the clients count it.
    pub(super) fn time(&self, clock: OsClock, moment: Instant) -> Instant {
        let since = clock.to_std(moment).saturating_duration_since(self.epoch);
        Instant::from_micros(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
    }

    /// A moment of the clients' as `clock` counts it, rounded up.
    pub(super) fn moment(&self, clock: OsClock, time: Instant) -> Instant {
        let time = self.epoch.checked_add(time.duration_since(Instant::ZERO));
        let since = time.map(|time| time.saturating_duration_since(clock.to_std(Instant::ZERO)));
        let micros = since.map_or(u128::MAX, |since| since.as_nanos().div_ceil(1_000));
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A moment that comes back too early would be waited for again and again.
    #[test]
    fn a_moment_comes_back_no_earlier_and_a_microsecond_later_at_most() {
        let epoch = OsClock::start().to_std(Instant::ZERO);
        let server_set = ServerSet::new(&[], &DnsConfig::default(), epoch);
        for nanos in [0, 1, 499, 999, 1_000, 1_001, 123_456_789] {
            let clock = OsClock { std: epoch + Duration::from_nanos(nanos) };
            for time in [1_000_000, 1_000_001, 77_777_777] {
                let time = Instant::from_micros(time);
                let moment = server_set.moment(clock, time);
                assert!(server_set.time(clock, moment) >= time, "{nanos} {time}");
                let before = Instant::from_micros(moment.as_micros() - 1);
                assert!(server_set.time(clock, before) < time, "{nanos} {time}");
            }
        }
        // What is before the epoch is its beginning.
        let clock = OsClock { std: epoch + Duration::from_secs(1) };
        assert_eq!(server_set.moment(clock, Instant::ZERO), Instant::ZERO);
    }
}
