//! How a client asks.

use core::time::Duration;

/// How a [`DnsClient`](crate::DnsClient) asks, and for how long it keeps what it has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// How often each server is asked: 1 to 16 times; more count as 16, and 0 as 1. Default: 3.
    pub attempts: u8,
    /// How long the last query to a server waits for its answer, how long a TCP connection to it may take in all, and the longest
    /// pause before it is asked again. Counts as 10 ms at least and 60 s at most. Default: 5 s.
    pub timeout: Duration,
    /// What the driver has. Default: [`DnsTransport::Udp`].
    pub transport: DnsTransport,
    /// The largest datagram in octets that the driver takes in, which servers are told (RFC 6891 section 6.2.3). Counts as 512 at least.
    /// Default: 1,232, which fit into the least packet that every IPv6 link carries, 1,280, so that no answer is lost to fragmentation.
    pub largest_datagram: u16,
    /// Whether letters of a name are written as capitals at random, which the answer must repeat: some bits more to guess for who forges one
    /// ("0x20"). The last query to a server goes without, since some servers answer in a case of their own. Default: no.
    pub randomise_case: bool,
    /// The longest that an answer is kept. Addresses that have changed are noticed within that time, whatever a zone's administrator has
    /// promised. In whole seconds, rounded down. Default: 60 s.
    pub longest_ttl: Duration,
}

/// Over what a driver can ask.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsTransport {
    /// UDP alone. Of an answer that is too long the addresses that did fit are used.
    #[default]
    Udp,
    /// UDP, and TCP for an answer that is too long.
    UdpAndTcp,
    /// TCP alone (`use-vc` in resolv.conf).
    Tcp,
}

impl Default for DnsConfig {
    fn default() -> Self {
        DnsConfig {
            attempts: 3,
            timeout: Duration::from_secs(5),
            transport: DnsTransport::Udp,
            largest_datagram: 1_232,
            randomise_case: false,
            longest_ttl: Duration::from_secs(60),
        }
    }
}

/// The settings that count.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectiveConfig {
    /// In microseconds. By [`attempts`](Self::attempts) of it a question ends within 16 minutes.
    pub(crate) timeout: u32,
    /// In seconds.
    pub(crate) longest_ttl: u32,
    pub(crate) largest_datagram: u16,
    pub(crate) attempts: u8,
    pub(crate) transport: DnsTransport,
    pub(crate) randomise_case: bool,
}

impl EffectiveConfig {
    pub(crate) fn new(settings: &DnsConfig) -> Self {
        // Arithmetic of 64 bits costs a microcontroller a kilobyte.
        let seconds = u32::try_from(settings.timeout.as_secs()).unwrap_or(u32::MAX);
        let micros = seconds.saturating_mul(1_000_000).saturating_add(settings.timeout.subsec_micros());
        EffectiveConfig {
            timeout: micros.clamp(10_000, 60_000_000),
            longest_ttl: u32::try_from(settings.longest_ttl.as_secs()).unwrap_or(u32::MAX),
            largest_datagram: settings.largest_datagram.max(512),
            attempts: settings.attempts.clamp(1, 16),
            transport: settings.transport,
            randomise_case: settings.randomise_case,
        }
    }
}
