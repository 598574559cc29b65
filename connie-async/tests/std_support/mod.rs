//! The operating system's clock, names out of a table, and a stack that counts its connects.

use std::cell::Cell;
use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use connie_async::connie_core::{Family, Instant};
use connie_async::{AddressList, Clock, Lookup};
use connie_servers::clock::now;
use embedded_nal_async::TcpConnect;

/// No test takes longer.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Runs `future` on async-io's reactor.
///
/// # Panics
/// When it has not ended after 20 s.
#[track_caller]
pub fn run<F: Future>(future: F) -> F::Output {
    let limit = async_io::Timer::after(LIMIT);
    async_io::block_on(async {
        match embassy_futures::select::select(future, limit).await {
            embassy_futures::select::Either::First(output) => output,
            embassy_futures::select::Either::Second(_) => panic!("no end after {LIMIT:?}"),
        }
    })
}

/// async-io's timers.
pub struct SystemClock(std::time::Instant);

impl SystemClock {
    pub fn new() -> Self {
        SystemClock(now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::ZERO + self.0.elapsed()
    }

    async fn wait_until(&self, at: Instant) {
        async_io::Timer::at(self.0 + at.duration_since(Instant::ZERO)).await;
    }
}

/// Every name has these addresses.
pub struct Table(pub Vec<IpAddr>);

impl Lookup for Table {
    type Error = std::convert::Infallible;

    async fn lookup(&self, _: &str, _: Family, answers: &mut AddressList<'_>) -> Result<(), Self::Error> {
        self.0.iter().for_each(|address| answers.push(*address));
        Ok(())
    }

    async fn name_of(&self, _: IpAddr, _: &mut [u8]) -> Result<usize, Self::Error> {
        Ok(0)
    }
}

/// A stack, and how many of its connects are under way.
#[derive(Default)]
pub struct Counted {
    stack: std_embedded_nal_async::Stack,
    pub under_way: Cell<usize>,
    pub most: Cell<usize>,
    pub begun: Cell<usize>,
}

struct UnderWay<'c>(&'c Cell<usize>);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl TcpConnect for Counted {
    type Error = std::io::Error;
    type Connection<'a> = <std_embedded_nal_async::Stack as TcpConnect>::Connection<'a>;

    async fn connect<'a>(&'a self, remote: SocketAddr) -> Result<Self::Connection<'a>, Self::Error> {
        self.begun.set(self.begun.get() + 1);
        self.under_way.set(self.under_way.get() + 1);
        self.most.set(self.most.get().max(self.under_way.get()));
        let _guard = UnderWay(&self.under_way);
        self.stack.connect(remote).await
    }
}
