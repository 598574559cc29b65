//! One question pursued to its end: from the cache or the servers, and through the aliases that an answer leaves open.

use std::net::SocketAddr;
use std::sync::Arc;

use connie_core::Instant;
use connie_core::resolution::QueryError;

use super::cache::Cache;
use super::exchange::{Problem, Timing};
use super::message::{Fault, Found, Kind, Question, Reply, Transport};
use super::name::Name;
use super::query::Query;
use crate::resolve::{LookupError, ONION, Watch};
use crate::way_out::WayOut;
use crate::{OsClock, SocketBudget};

/// How many times a question is asked anew for the name that an alias leads to.
const MOST_ALIASES: u8 = 8;

/// Whom a look-up asks, and how.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) servers: Arc<[SocketAddr]>,
    pub(super) timing: Timing,
    pub(super) transport: Transport,
    pub(super) cache: Cache,
    /// The clock of the look-up, whose times the cache does not know.
    pub(super) clock: OsClock,
    pub(super) way_out: WayOut,
    /// Where the room for sockets comes from.
    pub(super) budget: Option<SocketBudget>,
}

/// A question on its way to its answer.
pub(super) struct Pursuit {
    state: State,
    aliases: u8,
    /// The least time to live of the aliases on the way; `None` where one is not to be kept.
    least_ttl: Option<u32>,
}

enum State {
    Asking(Box<Query>),
    Ended(Result<Reply, LookupError>),
}

impl Pursuit {
    /// Looks into the cache, or begins to ask.
    pub(super) fn new(kind: Kind, name: &Name, context: &Context, now: Instant) -> Self {
        let mut pursuit = Pursuit {
            state: State::Ended(Err(QueryError::Failed.into())),
            aliases: 0,
            least_ttl: Some(u32::MAX),
        };
        pursuit.ask(Question { name: name.clone(), kind }, context, now);
        pursuit
    }

    fn ask(&mut self, question: Question, context: &Context, now: Instant) {
        if question.name.is_of_tor() {
            // An alias or a service record led here: no resolver passes such a name on (RFC 7686 section 2).
            let error = LookupError { kind: QueryError::NoSuchName, detail: Some(ONION.to_owned()) };
            self.state = State::Ended(Err(error));
            return;
        }
        match context.cache.get(&question, context.clock.to_std(now)) {
            Some(reply) => self.take(&question, reply, None, context, now),
            None => {
                let Context { servers, timing, transport, way_out, budget, .. } = context;
                let (way_out, budget) = (way_out.clone(), budget.clone());
                let query = Query::new(question, servers, *timing, *transport, way_out, budget, now);
                self.state = State::Asking(Box::new(query));
            }
        }
    }

    /// Goes on as far as possible without waiting.
    pub(super) fn poll(&mut self, context: &Context, now: Instant) {
        // Each turn either waits, ends, or has followed one more alias, of which there is a most.
        while let State::Asking(query) = &mut self.state {
            let Some(outcome) = query.poll(now) else { return };
            let question = query.question().clone();
            match outcome {
                Ok((server, reply)) => {
                    context.cache.put(&question, &reply, context.clock.to_std(now));
                    let server = context.servers.get(server).copied();
                    self.take(&question, reply, server, context, now);
                }
                Err(problems) => self.state = State::Ended(Err(failed(&problems, &context.servers))),
            }
        }
    }

    /// Takes an answer, which came from `server` or the cache.
    fn take(
        &mut self,
        question: &Question,
        reply: Reply,
        server: Option<SocketAddr>,
        context: &Context,
        now: Instant,
    ) {
        self.least_ttl = self.least_ttl.zip(reply.ttl).map(|(least, ttl)| least.min(ttl));
        let end = match reply.found {
            Found::Alias(_) if self.aliases >= MOST_ALIASES => Err(LookupError {
                kind: QueryError::Malformed,
                detail: Some(format!("too many aliases, the last of them {}", question.name)),
            }),
            Found::Alias(name) => {
                self.aliases += 1;
                return self.ask(Question { name, kind: question.kind }, context, now);
            }
            Found::NoSuchName => {
                let who = server.map_or_else(|| "a recent answer".to_owned(), |server| server.to_string());
                let detail = format!("no such name (NXDOMAIN from {who})");
                Err(LookupError { kind: QueryError::NoSuchName, detail: Some(detail) })
            }
            found => Ok(Reply { found, ttl: self.least_ttl }),
        };
        self.state = State::Ended(end);
    }

    /// How it ended; `None` while it goes on.
    pub(super) fn end(&self) -> Option<&Result<Reply, LookupError>> {
        match &self.state {
            State::Asking(_) => None,
            State::Ended(end) => Some(end),
        }
    }

    /// When to [`poll`](Self::poll) though nothing has come.
    pub(super) fn wake_at(&self) -> Option<Instant> {
        match &self.state {
            State::Asking(query) => query.wake_at(),
            State::Ended(_) => None,
        }
    }

    /// Lends the descriptors that it waits for.
    pub(super) fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        if let State::Asking(query) = &self.state {
            query.watch(watch);
        }
    }
}

/// What all the servers together have made of a question.
fn failed(problems: &[Problem], servers: &[SocketAddr]) -> LookupError {
    let texts = problems.iter().zip(servers).map(|(problem, server)| match problem {
        Problem::Refused(code) => format!("{code} from {server}"),
        Problem::Broken(Fault::Malformed) => format!("an answer that cannot be read from {server}"),
        Problem::Broken(Fault::Aliases) => format!("aliases that lead nowhere from {server}"),
        Problem::Silent => format!("no answer from {server}"),
        Problem::Unreachable(reason) => format!("{server}: {reason}"),
        Problem::NoSocket(reason) => format!("no socket left to ask {server}: {reason}"),
        Problem::NoTcp(reason) => format!("the answer of {server} needs TCP: {reason}"),
    });
    let detail = texts.collect::<Vec<_>>().join("; ");
    let detail = if detail.is_empty() { "no name server is known".to_owned() } else { detail };
    // What a server has said tells more than that another said nothing.
    let kind = problems.iter().map(kind).max_by_key(|(weight, _)| *weight);
    LookupError { kind: kind.map_or(QueryError::Unreachable, |(_, kind)| kind), detail: Some(detail) }
}

/// The problem as the look-up's caller knows it, and how much it tells.
fn kind(problem: &Problem) -> (u8, QueryError) {
    match problem {
        Problem::Refused(code) if code.is_refusal() => (4, QueryError::Refused),
        Problem::Refused(_) => (5, QueryError::ServerFailure),
        Problem::Broken(_) => (3, QueryError::Malformed),
        Problem::NoSocket(_) => (2, QueryError::OutOfSockets),
        Problem::Silent => (1, QueryError::TimedOut),
        Problem::Unreachable(_) | Problem::NoTcp(_) => (0, QueryError::Unreachable),
    }
}
