//! What connie costs the network and the servers: the parts of `docs/courtesy.md`.

mod measured;
mod paths;
mod service;

pub use measured::Measured;
pub use paths::picture;

/// A part of the page, with a simulation of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One client and its paths: regret against SYNs.
    Paths,
    /// A service and all its clients.
    Service,
}

impl Part {
    /// All of them, as the page has them.
    pub const ALL: [Part; 2] = [Part::Paths, Part::Service];

    /// What it is called, on the command line and at its place in the page.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Paths => "paths",
            Part::Service => "service",
        }
    }

    /// The whole of it, over so many seeds.
    #[must_use]
    pub fn measure(self, seeds: u64) -> Measured {
        match self {
            Part::Paths => paths::measure(seeds),
            Part::Service => service::measure(seeds),
        }
    }

    /// As much as CI has time for, held to its targets. Answers what was measured.
    ///
    /// # Errors
    ///
    /// A target that is missed, and by how much; with the seed that replays it where it is one seed's.
    pub fn check(self) -> Result<String, String> {
        match self {
            Part::Paths => paths::check(),
            Part::Service => service::check(),
        }
    }
}
