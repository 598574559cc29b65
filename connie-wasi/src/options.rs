//! Who is asked for names: the runtime, or name servers.

use connie_core::Config;

#[cfg(feature = "dns")]
use crate::dns::Dns;
use crate::memory::Memory;

/// What a [`connect`](crate::connect()) does, and how. A [`Config`] alone is one, with the runtime's look-up.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The race: [`Config::all_at_once`] with a deadline, as a rule.
    pub race: Config,
    /// Who is asked for names.
    pub resolver: Resolver,
    /// What earlier races have learnt, and this one will add to. Without one, each race tries all addresses.
    pub memory: Option<Memory>,
}

impl From<Config> for Options {
    fn from(race: Config) -> Self {
        Options { race, ..Options::default() }
    }
}

impl From<&Config> for Options {
    fn from(race: &Config) -> Self {
        race.clone().into()
    }
}

impl From<&Options> for Options {
    fn from(options: &Options) -> Self {
        options.clone()
    }
}

/// Who is asked for names.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Resolver {
    /// The runtime, which asks what the host is set up to ask.
    #[default]
    Runtime,
    /// Name servers, by the component itself.
    #[cfg(feature = "dns")]
    Dns(Dns),
}

#[cfg(feature = "dns")]
impl From<Dns> for Resolver {
    fn from(dns: Dns) -> Self {
        Resolver::Dns(dns)
    }
}
