//! The questions of one lookup, about one name or several.

use std::cell::OnceCell;
use std::net::SocketAddr;
use std::sync::Arc;

use connie_core::Instant;
use connie_core::resolution::QueryError;
use connie_dns::{DnsConfig, Name, RecordType};

use super::cache::Cache;
use super::context::LookupContext;
use super::query_sockets::QuerySockets;
use super::reply::Reply;
use super::wakeup::Wakeup;
use crate::resolve::{ResolverError, WatchSet};

/// The questions of a lookup.
pub(super) struct LookupQuestions {
    servers: Vec<SocketAddr>,
    settings: DnsConfig,
    cache: Cache,
    context: LookupContext,
    askers: Vec<QuerySockets>,
    /// Wakes it when another lookup has brought an answer.
    wakeup: OnceCell<Option<Arc<Wakeup>>>,
    /// Why nothing can be asked, where that is so.
    dead: Option<ResolverError>,
}

/// A question that was asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct QuestionKey {
    asker: usize,
    kind: RecordType,
}

impl LookupQuestions {
    /// Asks these servers, in this way.
    pub(super) fn new(
        servers: Vec<SocketAddr>,
        settings: DnsConfig,
        cache: Cache,
        context: LookupContext,
    ) -> Self {
        LookupQuestions {
            servers,
            settings,
            cache,
            context,
            askers: Vec::new(),
            wakeup: OnceCell::new(),
            dead: None,
        }
    }

    /// Asks for records of a name, or waits for who has asked already. What is to be sent leaves with the
    /// next [`poll`](Self::poll).
    pub(super) fn ask(&mut self, name: &Name, kind: RecordType, now: Instant) -> QuestionKey {
        let known = self.askers.iter().position(|asker| asker.shared.name == *name);
        let index = known.unwrap_or_else(|| {
            self.add(name, now);
            self.askers.len().saturating_sub(1)
        });
        if let Some(asker) = self.askers.get_mut(index) {
            let time = asker.shared.server_set.time(self.context.clock, now);
            asker.ask(kind, time);
        }
        QuestionKey { asker: index, kind }
    }

    fn add(&mut self, name: &Name, now: Instant) {
        let clock = self.context.clock;
        match self.cache.shared_name(name, &self.servers, &self.settings, (clock, now)) {
            Ok(shared) => {
                let time = shared.server_set.time(clock, now);
                self.askers.push(QuerySockets::new(shared, time));
            }
            Err(error) => {
                let detail = Some(format!("no random numbers: {error}"));
                self.dead = Some(ResolverError { kind: QueryError::Unreachable, detail });
            }
        }
    }

    /// Drops all questions.
    pub(super) fn clear(&mut self) {
        let Some(last) = self.askers.pop() else { return };
        let server_set = Arc::clone(&last.shared.server_set);
        let time = server_set.time(self.context.clock, self.context.clock.now());
        drop(last);
        self.askers.clear();
        self.cache.release(&server_set, time);
    }

    /// Reads what has come, and sends what is due.
    pub(super) fn poll(&mut self, now: Instant) {
        if let Some(Some(wakeup)) = self.wakeup.get() {
            wakeup.clear();
        }
        for asker in &mut self.askers {
            asker.poll(&self.context, now);
        }
    }

    /// How a question ended; `None` while it goes on.
    pub(super) fn end(&self, inquiry: QuestionKey) -> Option<Result<&Reply, &ResolverError>> {
        if let Some(dead) = &self.dead {
            return Some(Err(dead));
        }
        self.askers.get(inquiry.asker)?.end(inquiry.kind).map(Result::as_ref)
    }

    /// Lends what it waits for.
    pub(super) fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        let wakeup =
            || self.wakeup.get_or_init(|| Wakeup::new(self.context.budget.as_ref()).map(Arc::new)).as_ref();
        let mut is_watched = false;
        for asker in &self.askers {
            is_watched |= asker.watch(&self.context, wakeup, watch);
        }
        if let Some(wakeup) = wakeup_of(&self.wakeup).filter(|_| is_watched) {
            watch.read(&wakeup.notifier);
        }
    }

    /// When to poll it though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        self.askers.iter().filter_map(QuerySockets::wake_at).min()
    }
}

impl Drop for LookupQuestions {
    fn drop(&mut self) {
        self.clear();
    }
}

fn wakeup_of(wakeup: &OnceCell<Option<Arc<Wakeup>>>) -> Option<&Wakeup> {
    wakeup.get()?.as_deref()
}
