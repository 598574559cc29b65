//! What a look-up asks, of which names, and with what.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;

use connie_core::Instant;
use connie_core::resolution::QueryError;
use connie_dns::{Kind, Name, Settings};

use super::bell::Bell;
use super::cache::Cache;
use super::means::Means;
use super::reply::Reply;
use super::seat::Seat;
use crate::resolve::{LookupError, Watch};

/// The questions of a look-up.
pub(super) struct Desk {
    servers: Vec<SocketAddr>,
    settings: Settings,
    cache: Cache,
    means: Means,
    seats: Vec<Seat>,
    /// What wakes it where another look-up asks.
    bell: OnceCell<Option<Arc<Bell>>>,
    /// Why nothing can be asked.
    dead: Option<LookupError>,
}

/// A question that was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inquiry {
    seat: usize,
    kind: Kind,
}

impl Desk {
    /// Asks these servers, in this way.
    pub(super) fn new(servers: Vec<SocketAddr>, settings: Settings, cache: Cache, means: Means) -> Self {
        Desk { servers, settings, cache, means, seats: Vec::new(), bell: OnceCell::new(), dead: None }
    }

    /// Asks for records of a name, or waits for who has asked already. What is to be sent leaves with the next [`poll`](Self::poll).
    pub(super) fn ask(&mut self, name: &Name, kind: Kind, now: Instant) -> Inquiry {
        let known = self.seats.iter().position(|seat| seat.host.name == *name);
        let index = known.unwrap_or_else(|| {
            self.sit_down(name, now);
            self.seats.len().saturating_sub(1)
        });
        if let Some(seat) = self.seats.get_mut(index) {
            let time = seat.host.group.time(self.means.clock, now);
            seat.ask(kind, time);
        }
        Inquiry { seat: index, kind }
    }

    fn sit_down(&mut self, name: &Name, now: Instant) {
        let clock = self.means.clock;
        match self.cache.host(name, &self.servers, &self.settings, (clock, now)) {
            Ok(host) => {
                let time = host.group.time(clock, now);
                self.seats.push(Seat::new(host, time));
            }
            Err(error) => {
                let detail = Some(format!("no random numbers: {error}"));
                self.dead = Some(LookupError { kind: QueryError::Unreachable, detail });
            }
        }
    }

    /// Asks for nothing any more.
    pub(super) fn clear(&mut self) {
        self.seats.clear();
    }

    /// Reads what has come, and sends what is due.
    pub(super) fn poll(&mut self, now: Instant) {
        if let Some(Some(bell)) = self.bell.get() {
            bell.quiet();
        }
        for seat in &mut self.seats {
            seat.poll(&self.means, now);
        }
    }

    /// How a question ended; `None` while it goes on.
    pub(super) fn end(&self, inquiry: Inquiry) -> Option<Result<&Reply, &LookupError>> {
        if let Some(dead) = &self.dead {
            return Some(Err(dead));
        }
        self.seats.get(inquiry.seat)?.end(inquiry.kind).map(Result::as_ref)
    }

    /// Lends what it waits for.
    pub(super) fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        let bell = || self.bell.get_or_init(|| Bell::new(self.means.budget.as_ref()).map(Arc::new)).as_ref();
        let mut is_rung = false;
        for seat in &self.seats {
            is_rung |= seat.watch(&self.means, bell, watch);
        }
        if let Some(bell) = bell_of(&self.bell).filter(|_| is_rung) {
            watch.read(&bell.doorbell);
        }
    }

    /// When to poll it though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.seats.iter().filter_map(Seat::wake_at).min()
    }
}

fn bell_of(bell: &OnceCell<Option<Arc<Bell>>>) -> Option<&Bell> {
    bell.get()?.as_deref()
}
