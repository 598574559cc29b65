//! Listens, and serves clients until it is to stop.

use std::future::{Future, poll_fn};
use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::client::serve;
use crate::config::ProxyConfig;
use crate::counters::{Counters, ProxyCounts};
use crate::partitions::UserPartitions;
use crate::places::{Holder, Places};
use crate::race_log::{FamilyCounts, RaceLog};
use crate::shared::Shared;
use crate::shortcut::Shortcut;

/// How long it waits when the system has no descriptor for a client.
const PAUSE: Duration = Duration::from_millis(50);

/// A proxy, which listens on what it is given.
///
/// ```no_run
/// use connie_proxy::{Proxy, ProxyConfig};
/// use connie_std::{Memory, Options};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let listener = tokio::net::TcpListener::bind("127.0.0.1:1080").await?;
/// let proxy = Proxy::new(ProxyConfig::new(Options::new().memory(Memory::new())), vec![listener])?;
/// proxy.serve(std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    shared: Arc<Shared>,
    listeners: Vec<TcpListener>,
}

/// Looks at a proxy from outside.
#[derive(Clone)]
pub struct ProxyView(Arc<Shared>);

impl ProxyView {
    /// What it has done so far.
    #[must_use]
    pub fn counts(&self) -> ProxyCounts {
        self.0.counters.snapshot()
    }

    /// What came of attempts on addresses of IPv4, and of IPv6.
    #[must_use]
    pub fn families(&self) -> [FamilyCounts; 2] {
        self.0.races.families()
    }

    pub(crate) fn config(&self) -> &ProxyConfig {
        &self.0.config
    }

    /// How long the proxy has existed.
    pub(crate) fn age(&self) -> Duration {
        self.0.began.elapsed()
    }

    pub(crate) fn log(&self) -> &RaceLog {
        &self.0.races
    }
}

impl Proxy {
    /// A proxy with these settings that listens on these sockets.
    ///
    /// # Errors
    ///
    /// Of the kind [`PermissionDenied`](io::ErrorKind::PermissionDenied) and with an
    /// [`OpenProxy`](crate::OpenProxy) in it where anyone could use it; where a listener has no address.
    pub fn new(config: ProxyConfig, listeners: Vec<TcpListener>) -> io::Result<Self> {
        let own = listeners.iter().map(TcpListener::local_addr).collect::<io::Result<Vec<_>>>()?;
        for address in &own {
            config.check(*address).map_err(|open| io::Error::new(io::ErrorKind::PermissionDenied, open))?;
        }
        // Each proxy has a name of its own: otherwise two of them could not tell a loop from a chain.
        let via = config.via.then(|| format!("connie-{:08x}", RandomState::new().hash_one(()) >> 32));
        let shortcut = Shortcut::new(config.limits.pipes);
        let (counters, races) = (Counters::default(), RaceLog::new(config.races));
        let began = Instant::now();
        let partitions = UserPartitions::new(config.users.iter().map(|it| it.user.as_bytes()));
        let shared = Shared { config, own, partitions, counters, races, began, shortcut, via };
        Ok(Proxy { shared: Arc::new(shared), listeners })
    }

    /// Where it listens.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.shared.own
    }

    /// A view of the proxy while it serves.
    #[must_use]
    pub fn view(&self) -> ProxyView {
        ProxyView(Arc::clone(&self.shared))
    }

    /// Serves clients until `stop` ends. Then it stops listening, and returns when its connections have
    /// ended, or after [a while](crate::ProxyLimits::stop), when those that are left are reset on both sides.
    /// Dropping the future ends all of them at once.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Proxy { shared, listeners } = self;
        let mut clients = JoinSet::new();
        let mut stop = pin!(stop);
        let places = Places::new(shared.config.limits.clients, shared.config.limits.clients_each);
        let mut turn = 0;
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(_) = clients.join_next() => {}
                (at, accepted) = accept(&listeners, &mut turn) => match accepted {
                    Ok((stream, client)) => {
                        let own = shared.own.get(at).map_or(0, SocketAddr::port);
                        begin(&shared, &places, &mut clients, (stream, client, own));
                    }
                    // It would be of no use to try again at once. A client that has gone away meanwhile is
                    // not an error.
                    Err(error) if error.kind() != io::ErrorKind::ConnectionAborted => sleep(PAUSE).await,
                    Err(_) => {}
                },
            }
        }
        drop(listeners);
        let rest = async { while clients.join_next().await.is_some() {} };
        let _ = timeout(shared.config.limits.stop, rest).await;
        // Those that are left are reset before the program ends, which would close them in order.
        clients.shutdown().await;
    }
}

/// Begins to serve a client, if it may use the proxy and there is a place for it.
fn begin(
    shared: &Arc<Shared>,
    places: &Arc<Places>,
    clients: &mut JoinSet<()>,
    (stream, client, port): (TcpStream, SocketAddr, u16),
) {
    if !shared.config.allows(client.ip()) {
        shared.counters.turned_away();
        return;
    }
    let place = places.take(Holder::of_address(client.ip()));
    let told = if place.is_err() { places.take_told() } else { None };
    if place.is_err() && told.is_none() {
        shared.counters.turned_away();
        return;
    }
    let shared = Arc::clone(shared);
    clients.spawn(async move {
        let _open = shared.counters.open();
        serve(&shared, stream, port, place).await;
        drop(told);
    });
}

/// The next client of any listener, each of which has its turn first.
async fn accept(listeners: &[TcpListener], turn: &mut usize) -> (usize, io::Result<(TcpStream, SocketAddr)>) {
    poll_fn(|context| {
        let count = listeners.len();
        for step in 0..count {
            let at = (*turn + step) % count;
            if let Some(Poll::Ready(accepted)) = listeners.get(at).map(|it| it.poll_accept(context)) {
                *turn = (at + 1) % count;
                return Poll::Ready((at, accepted));
            }
        }
        Poll::Pending
    })
    .await
}
