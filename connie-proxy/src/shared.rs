//! What all clients of a proxy share.

use std::net::SocketAddr;

use tokio::time::Instant;

use crate::config::ProxyConfig;
use crate::counters::Counters;
use crate::race_log::RaceLog;
use crate::shortcut::Shortcut;

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    /// Where the proxy itself listens.
    pub(crate) own: Vec<SocketAddr>,
    pub(crate) counters: Counters,
    pub(crate) races: RaceLog,
    /// Since when it is there.
    pub(crate) began: Instant,
    pub(crate) shortcut: Shortcut,
    /// The name that it has in Via fields, where it has one.
    pub(crate) via: Option<String>,
}
