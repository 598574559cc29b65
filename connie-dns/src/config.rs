//! The configuration of a client.

use core::time::Duration;

/// How a [`DnsClient`](crate::DnsClient) asks, and for how long it caches answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DnsConfig {
    /// How often each server is asked, 1 to 16 times; values outside are clamped. Default: 3.
    pub attempts: u8,
    /// The timeout of the last query to a server and of a whole TCP connection to it, and the longest pause
    /// before it is asked again. Clamped to 10 ms to 60 s. Default: 5 s.
    pub timeout: Duration,
    /// What the driver supports. Default: [`DnsTransport::Udp`].
    pub transport: DnsTransport,
    /// The largest datagram in octets that the driver can receive, which is announced to servers (RFC 6891
    /// section 6.2.3). At least 512. Default: 1,232, which fit into the smallest packet that every IPv6 link
    /// carries, 1,280, so that no answer is fragmented.
    pub largest_datagram: u16,
    /// Whether the letters of a name are sent in random case, which the answer must repeat: some more bits
    /// that a forger has to guess ("0x20"). The last query to a server is sent without, since some servers
    /// change the case. Default: no.
    pub randomise_case: bool,
    /// The longest time that an answer is cached, whatever its time to live. In whole seconds, rounded down.
    /// Default: 60 s.
    pub longest_ttl: Duration,
}

/// The transports that a driver supports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DnsTransport {
    /// UDP only. Of an answer that is too long, the addresses that did fit are used.
    #[default]
    Udp,
    /// UDP, and TCP for an answer that is too long.
    UdpAndTcp,
    /// TCP only (`use-vc` in resolv.conf).
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

/// The configuration with all values clamped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EffectiveConfig {
    /// In microseconds. Times [`attempts`](Self::attempts): a question ends within 16 minutes.
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
