//! The other side: very many clients of one service of twelve addresses, whose handshakes slow down under
//! load.
//!
//! What a memory saves a client it must not cost the servers: that all clients leave one server and come to
//! the next together, that a server which was away stays idle, or that an overload outlasts its cause, since
//! clients who wait for late handshakes send more SYNs. Here the clients are real: each has a
//! [`Memory`](connie_core::memory::Memory) with its bucket, and each visit is a real race with its plan. The
//! servers are queues: a handshake is a part of a connection's work, is done in its turn, and is work for
//! nothing where another has won.

mod clients;
mod report;
mod servers;
mod world;

pub use report::{Bin, ServiceReport};
pub use world::run;

use std::time::Duration;

/// The addresses of the service.
pub const SERVERS: usize = 12;

/// How clients connect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServicePolicy {
    /// As connie with a memory.
    Memory,
    /// As connie without.
    AllAtOnce,
    /// Happy Eyeballs with 250 ms.
    HappyEyeballs,
    /// The same, and the address that won last time goes first.
    LastWinner,
}

impl ServicePolicy {
    /// All of them.
    pub const ALL: [ServicePolicy; 4] = [
        ServicePolicy::Memory,
        ServicePolicy::AllAtOnce,
        ServicePolicy::HappyEyeballs,
        ServicePolicy::LastWinner,
    ];

    /// What a table calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            ServicePolicy::Memory => "connie with a memory",
            ServicePolicy::AllAtOnce => "all at once",
            ServicePolicy::HappyEyeballs => "Happy Eyeballs 250",
            ServicePolicy::LastWinner => "last winner first, then 250",
        }
    }
}

/// What happens to the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Story {
    /// The first server dies, and comes back a minute later.
    Returns,
    /// All work at half their rate for 30 s.
    HalfRate,
    /// As many as are used to come, who were never there, come within 30 s, and leave then.
    Crowd,
}

/// A run.
#[derive(Clone, Copy, Debug)]
pub struct ServiceRun {
    /// How clients connect.
    pub policy: ServicePolicy,
    /// What happens.
    pub story: Story,
    /// How many clients there are. Of a [`Story::Crowd`] half of them are new.
    pub clients: u32,
    /// How long a client is away between two visits, in the mean.
    pub pause: Duration,
    /// How much of a connection's work its handshake is, in percent.
    pub handshake: u64,
    /// How much of a server's rate is used where each visit sends one SYN, in percent.
    pub load: u64,
    /// How many SYNs in a thousand are lost.
    pub lost: u64,
    /// How long it goes on.
    pub length: Duration,
    /// What is random derives from it.
    pub seed: u64,
}

impl ServiceRun {
    /// The time in which each client, in the mean, has made the 32 visits for each address within which one
    /// that is back is explored.
    #[must_use]
    pub fn theorem(&self) -> Duration {
        const HANDSHAKE: Duration = Duration::from_millis(50);
        (self.pause + HANDSHAKE) * 32 * SERVERS as u32
    }

    /// When all is as it was: the server is there again, the overload is over.
    #[must_use]
    pub fn over(&self) -> Duration {
        HAPPENS + if self.story == Story::Returns { AWAY } else { OVERLOAD }
    }
}

/// When it happens: clients come for the first time in the minute before the last one before this.
pub const HAPPENS: Duration = Duration::from_secs(120);
/// How long an overload lasts.
pub const OVERLOAD: Duration = Duration::from_secs(30);
/// How long a server is away.
pub const AWAY: Duration = Duration::from_secs(60);
