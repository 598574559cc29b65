//! What tells the proxy to stop, and to forget.

use std::io;

#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};

#[cfg(unix)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

#[cfg(unix)]
impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// The next thing to do.
    pub async fn next(&mut self) -> Order {
        tokio::select! {
            _ = self.terminate.recv() => Order::Stop,
            _ = self.interrupt.recv() => Order::Stop,
            _ = self.hang_up.recv() => Order::Forget,
        }
    }
}

#[cfg(not(unix))]
pub struct Signals;

#[cfg(not(unix))]
impl Signals {
    pub fn new() -> io::Result<Self> {
        Ok(Signals)
    }

    /// The next thing to do.
    pub async fn next(&mut self) -> Order {
        // Where that cannot be waited for the proxy is ended as any program is.
        match tokio::signal::ctrl_c().await {
            Ok(()) => Order::Stop,
            Err(_) => std::future::pending().await,
        }
    }
}

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// To let connections end, and end.
    Stop,
    /// To forget what was learnt.
    #[cfg_attr(not(unix), expect(dead_code, reason = "there is no SIGHUP"))]
    Forget,
}
