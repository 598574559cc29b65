//! The runtime's resolver: `wasi:sockets/ip-name-lookup`.

use connie_core::{Family, Instant};
use connie_wasi::{LookupEvent, NameLookup, WasiStack};

use crate::resolve::{
    FamilyAddresses, PendingLookup, Resolve, ResolveEvent, ResolveRequest, ResolverError, WatchSet,
};

/// The runtime's resolver, which asks what the host is set up to ask.
///
/// Each lookup is one question for both families. The answers come one by one where the runtime has them so,
/// and are hints until the last is there; on wasmtime they come together.
///
/// What it cannot tell: how long an answer holds; whether a name does not exist or could not be asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup(&self, question: &ResolveRequest<'_>, _: Instant) -> Box<dyn PendingLookup> {
        let mut stack = WasiStack::default();
        let ResolveRequest { host, port, families, .. } = *question;
        Box::new(SystemLookup(NameLookup::start(stack.network(), host, port, families)))
    }
}

/// A lookup under way.
struct SystemLookup(NameLookup);

impl PendingLookup for SystemLookup {
    fn watch<'a>(&'a self, watch: &mut WatchSet<'a>) {
        if let Some(pollable) = self.0.pollable() {
            watch.pollable(pollable);
        }
    }

    fn poll(&mut self, _: Instant) -> Option<ResolveEvent> {
        // The host sorts by RFC 6724 or by what it has for it, which knows more of the host than a component
        // does.
        let answer =
            |family: Family, addresses| FamilyAddresses { family, addresses, ttl: None, ordered: true };
        Some(match self.0.poll()? {
            LookupEvent::Hinted(family, addresses) => ResolveEvent::Hinted(answer(family, addresses)),
            LookupEvent::Answered(family, addresses) => ResolveEvent::Answered(answer(family, addresses)),
            LookupEvent::Failed(family, error) => {
                let error = ResolverError { kind: error.query_error(), detail: Some(error.to_string()) };
                ResolveEvent::Failed { family, error }
            }
        })
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}
