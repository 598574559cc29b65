//! What all clients of a proxy share.

use std::net::SocketAddr;

use tokio::time::Instant;

use crate::config::ProxyConfig;
use crate::counters::Counters;
use crate::partitions::UserPartitions;
use crate::race_log::RaceLog;
use crate::shortcut::Shortcut;

/// What all clients share.
pub(crate) struct Shared {
    pub(crate) config: ProxyConfig,
    /// Where the proxy itself listens.
    pub(crate) own: Vec<SocketAddr>,
    /// Which part of the memory is whose, where users are told apart.
    pub(crate) partitions: UserPartitions,
    pub(crate) counters: Counters,
    pub(crate) races: RaceLog,
    /// When the proxy was made.
    pub(crate) began: Instant,
    pub(crate) shortcut: Shortcut,
    /// Its name in Via fields, if it adds them.
    pub(crate) via: Option<String>,
}
