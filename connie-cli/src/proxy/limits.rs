//! How many clients and sockets the process has descriptors for.

/// How the descriptors of the process are shared out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Descriptors {
    /// One for each client.
    pub clients: usize,
    /// Those for connections to hosts, for races and for lookups.
    pub sockets: usize,
    /// Pipes for large transfers, each of which takes two descriptors.
    pub pipes: usize,
}

/// For the runtime, the listeners, clients that are refused, and the file of the memory.
const RESERVE: usize = 128;
/// More clients than that have to be asked for.
const MOST_CLIENTS: usize = 20_000;
/// With more pipes each would hold less: the system allows a user 64 MiB of pipes in all.
const MOST_PIPES: usize = 64;

impl Descriptors {
    /// Raises the limit as far as the system lets it, and shares what there is.
    pub fn for_proxy(clients: Option<usize>) -> Self {
        Self::shared_out(raised(), clients)
    }

    fn shared_out(all: usize, clients: Option<usize>) -> Self {
        let there = all.saturating_sub(RESERVE).max(8);
        let pipes = (there / 32).min(MOST_PIPES);
        let there = there - 2 * pipes;
        // Each client has one connection in the end, and more while it races.
        let clients = clients.unwrap_or(MOST_CLIENTS).min(there / 5 * 2).max(1);
        Descriptors { clients, sockets: (there - clients).min(clients.saturating_mul(2).max(64)), pipes }
    }
}

/// The limit of open files, raised as far as possible.
#[cfg(unix)]
fn raised() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    // If the hard limit is infinite, this is enough.
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.unwrap_or(ENOUGH).min(ENOUGH);
    let current = limit.current.unwrap_or(ENOUGH);
    if current >= wanted {
        return usize::try_from(current.min(ENOUGH)).unwrap_or(usize::MAX);
    }
    match setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum }) {
        Ok(()) => usize::try_from(wanted).unwrap_or(usize::MAX),
        Err(_) => usize::try_from(current).unwrap_or(usize::MAX),
    }
}

/// Windows has no such limit.
#[cfg(not(unix))]
fn raised() -> usize {
    16_384
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_shared_out_than_there_is() {
        for all in [0, 64, 128, 256, 1_024, 65_536] {
            for asked in [None, Some(1), Some(100), Some(1_000_000)] {
                let Descriptors { clients, sockets, pipes } = Descriptors::shared_out(all, asked);
                assert!(clients >= 1 && sockets > 0, "{all} {asked:?}");
                assert!(
                    clients + sockets + 2 * pipes <= all.saturating_sub(RESERVE).max(8),
                    "{all} {asked:?}"
                );
                assert!(asked.is_none_or(|asked| clients <= asked));
            }
        }
        assert_eq!(
            Descriptors::shared_out(1_024, None),
            Descriptors { clients: 336, sockets: 504, pipes: 28 }
        );
    }
}
