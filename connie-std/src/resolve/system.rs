//! The operating system's resolver: `getaddrinfo`, one call for each family, on threads of its own.
//!
//! `getaddrinfo` blocks and cannot be interrupted; what it does in the meantime (hosts file, DNS, mDNS, a directory) only the
//! system knows. So the calls are made by a pool of at most [`MAX_THREADS`] threads for the whole process. A call that nobody waits
//! for any more goes on to its end, since it must, and everybody who asks for the same name and family meanwhile waits for that
//! one: a program that tries again and again while its name server is silent has two calls under way and not thousands.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::Waker;
use std::time::Duration;

use connie_core::resolution::QueryError;
use connie_core::{Family, Instant};

use super::{Answer, Event, Lookup, LookupError, Question, Resolve, Watch};
use crate::doorbell::Doorbell;

/// The most threads that wait for the system's resolver at the same time, in the whole process. Further calls wait for one of
/// them.
pub const MAX_THREADS: usize = 64;

/// How long a thread waits for another call before it ends.
const LINGER: Duration = Duration::from_secs(1);

/// How often a look-up that could get no descriptor looks for its answer.
const LOOK: Duration = Duration::from_millis(5);

/// The operating system's resolver. Hosts files, mDNS and what a VPN sets up hold as they do for every other program.
///
/// Each look-up is one `getaddrinfo` for each family, side by side, on threads: at most [`MAX_THREADS`] in the process. While a `connect`
/// waits for it, it holds one pipe (two descriptors; elsewhere than on Unix one socket), and no more when its last answer has come or it
/// was abandoned; in a task of an async runtime it holds none. Without the feature `getaddrinfo` of this crate it is one call for both families, which std offers, and the
/// answers come together.
///
/// What it cannot tell: how long an answer holds; often, whether a name does not exist or has no address of the family, or
/// which server failed and how.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemResolver;

impl Resolve for SystemResolver {
    fn lookup(&self, question: &Question<'_>, now: Instant) -> Box<dyn Lookup> {
        let mailbox = Arc::new(Mailbox::default());
        let mut open = 0;
        let mut woken = Vec::new();
        let mut pool = pool();
        for family in [Family::V6, Family::V4] {
            if question.families.allow(family) {
                open += 1;
                pool.ask(question.host, family, &mailbox, &mut woken);
            }
        }
        drop(pool);
        wake(woken);
        let port = question.port;
        Box::new(SystemLookup { mailbox: Some(mailbox), port, open, look: now + LOOK })
    }
}

/// A look-up under way.
struct SystemLookup {
    /// `None` after the last answer.
    mailbox: Option<Arc<Mailbox>>,
    port: u16,
    /// How many answers are outstanding.
    open: u8,
    /// When to look, where there was no descriptor for a bell.
    look: Instant,
}

impl Lookup for SystemLookup {
    fn watch<'a>(&'a self, watch: &mut Watch<'a>) {
        let Some(mailbox) = &self.mailbox else { return };
        if let Some(waker) = watch.waker() {
            mailbox.wakes(waker);
        } else if let Some(bell) = mailbox.bell() {
            watch.read(bell);
        }
    }

    fn poll(&mut self, now: Instant) -> Option<Event> {
        self.look = now + LOOK;
        let Letter { family, result } = self.mailbox.as_ref()?.take()?;
        self.open = self.open.saturating_sub(1);
        if self.open == 0 {
            self.let_go();
        }
        Some(match result {
            Ok(mut addresses) => {
                for address in &mut addresses {
                    address.set_port(self.port);
                }
                // Every system sorts by RFC 6724 or by what it has for it, which knows more of the system than we do.
                Event::Answered(Answer { family, addresses, ttl: None, ordered: true })
            }
            Err(error) => Event::Failed { family, error },
        })
    }

    fn wake_at(&self) -> Option<Instant> {
        let mailbox = self.mailbox.as_ref()?;
        mailbox.bell.get().is_some_and(Option::is_none).then_some(self.look)
    }
}

impl SystemLookup {
    /// From here on no thread holds the mailbox, so that its descriptors are closed.
    fn let_go(&mut self) {
        if let Some(mailbox) = self.mailbox.take() {
            pool().forget(&mailbox);
        }
    }
}

impl Drop for SystemLookup {
    fn drop(&mut self) {
        self.let_go();
    }
}

/// Where the threads leave the answers of one look-up.
#[derive(Default)]
struct Mailbox {
    /// Holds one ring for each letter. Made when a `poll` is to wait for it; `None` where there was no descriptor for it.
    bell: OnceLock<Option<Doorbell>>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    letters: VecDeque<Letter>,
    /// The task that waits.
    waker: Option<Waker>,
}

struct Letter {
    family: Family,
    result: Outcome,
}

/// The addresses, with port 0.
type Outcome = Result<Vec<SocketAddr>, LookupError>;

impl Mailbox {
    /// Answers whom to wake when the caller holds no lock.
    #[must_use]
    fn put(&self, family: Family, result: Outcome) -> Option<Waker> {
        let mut inside = lock(&self.inside);
        inside.letters.push_back(Letter { family, result });
        if let Some(Some(bell)) = self.bell.get() {
            bell.ring();
        }
        inside.waker.take()
    }

    fn take(&self) -> Option<Letter> {
        let mut inside = lock(&self.inside);
        let letter = inside.letters.pop_front()?;
        if let Some(Some(bell)) = self.bell.get() {
            bell.answer();
        }
        Some(letter)
    }

    fn bell(&self) -> Option<&Doorbell> {
        let inside = lock(&self.inside);
        let made = || {
            let bell = Doorbell::new().ok()?;
            inside.letters.iter().for_each(|_| bell.ring());
            Some(bell)
        };
        self.bell.get_or_init(made).as_ref()
    }

    /// Has the next letter wake `waker`, which one that is there already does.
    fn wakes(&self, waker: &Waker) {
        let mut inside = lock(&self.inside);
        if inside.letters.is_empty() {
            let before = inside.waker.replace(waker.clone());
            drop(inside);
            drop(before);
        } else {
            drop(inside);
            waker.wake_by_ref();
        }
    }
}

fn wake(woken: Vec<Waker>) {
    woken.into_iter().for_each(Waker::wake);
}

/// All calls that are to be made or under way, and the threads that make them.
struct Pool {
    /// Whose threads they are: the child of a fork has a copy of the pool, and none of its threads.
    process: u32,
    calls: Vec<Call>,
    threads: usize,
    idle: usize,
}

struct Call {
    host: Arc<str>,
    family: Family,
    running: bool,
    waiting: Vec<Arc<Mailbox>>,
}

static POOL: Mutex<Pool> = Mutex::new(Pool { process: 0, calls: Vec::new(), threads: 0, idle: 0 });
static NEWS: Condvar = Condvar::new();

/// Whoever holds this neither wakes nor drops a waker: that can run code of the program's, which may come back here.
fn pool() -> MutexGuard<'static, Pool> {
    let mut pool = lock(&POOL);
    let process = std::process::id();
    if pool.process != process {
        // The descriptors of the parent's calls are not closed here: their numbers may be somebody else's by now.
        std::mem::forget(std::mem::take(&mut pool.calls));
        *pool = Pool { process, calls: Vec::new(), threads: 0, idle: 0 };
    }
    pool
}

/// Nothing that is done under these locks panics halfway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// Sees to it that `mailbox` gets the answer to a call. Where that is there at once, `woken` gets who else is to know.
    fn ask(&mut self, host: &str, family: Family, mailbox: &Arc<Mailbox>, woken: &mut Vec<Waker>) {
        let same = |call: &&mut Call| call.family == family && *call.host == *host;
        if let Some(call) = self.calls.iter_mut().find(same) {
            call.waiting.push(mailbox.clone());
            return;
        }
        let waiting = vec![mailbox.clone()];
        self.calls.push(Call { host: host.into(), family, running: false, waiting });
        let queued = self.calls.iter().filter(|call| !call.running).count();
        if self.idle >= queued {
            NEWS.notify_one();
        } else if self.threads < MAX_THREADS {
            self.add_thread(woken);
        }
    }

    fn add_thread(&mut self, woken: &mut Vec<Waker>) {
        match std::thread::Builder::new().name("connie-resolver".to_owned()).spawn(work) {
            Ok(_) => self.threads += 1,
            // Those that run will come to it.
            Err(_) if self.threads > 0 => {}
            Err(error) => {
                let detail = Some(format!("no thread for the system's resolver: {error}"));
                while let Some(call) = self.calls.pop() {
                    let error = LookupError { kind: QueryError::Temporary, detail: detail.clone() };
                    call.tell(Err(error), woken);
                }
            }
        }
    }

    /// Nobody waits for `mailbox` any more. A call that is under way goes on, one that is not is not made.
    fn forget(&mut self, mailbox: &Arc<Mailbox>) {
        for call in &mut self.calls {
            call.waiting.retain(|other| !Arc::ptr_eq(other, mailbox));
        }
        self.calls.retain(|call| call.running || !call.waiting.is_empty());
    }

    /// The call to make next.
    fn next(&mut self) -> Option<(Arc<str>, Family)> {
        let call = self.calls.iter_mut().find(|call| !call.running)?;
        call.running = true;
        Some((call.host.clone(), call.family))
    }

    /// Answers whom to wake when the pool is unlocked.
    #[must_use]
    fn done(&mut self, host: &str, family: Family, result: Outcome) -> Vec<Waker> {
        let mut woken = Vec::new();
        let same = |call: &Call| call.running && call.family == family && *call.host == *host;
        if let Some(index) = self.calls.iter().position(same) {
            self.calls.remove(index).tell(result, &mut woken);
        }
        woken
    }
}

impl Call {
    fn tell(self, result: Outcome, woken: &mut Vec<Waker>) {
        woken.extend(self.waiting.iter().filter_map(|mailbox| mailbox.put(self.family, result.clone())));
    }
}

/// What a thread of the pool does.
fn work() {
    let mut pool = pool();
    loop {
        if let Some((host, family)) = pool.next() {
            drop(pool);
            let result = look_up(&host, family);
            let woken = self::pool().done(&host, family, result);
            wake(woken);
            pool = self::pool();
            continue;
        }
        pool.idle += 1;
        let (guard, wait) = NEWS.wait_timeout(pool, LINGER).unwrap_or_else(PoisonError::into_inner);
        pool = guard;
        pool.idle -= 1;
        if wait.timed_out() && !pool.calls.iter().any(|call| !call.running) {
            pool.threads -= 1;
            return;
        }
    }
}

#[cfg(feature = "getaddrinfo")]
fn look_up(host: &str, family: Family) -> Outcome {
    use dns_lookup::{AddrFamily, AddrInfoHints, SockType, getaddrinfo};
    let address = match family {
        Family::V4 => AddrFamily::Inet,
        Family::V6 => AddrFamily::Inet6,
    };
    let hints = AddrInfoHints {
        address: address.into(),
        socktype: SockType::Stream.into(),
        ..AddrInfoHints::default()
    };
    match getaddrinfo(Some(host), None, Some(hints)) {
        Ok(infos) => Ok(infos.filter_map(|info| Some(info.ok()?.sockaddr)).collect()),
        Err(error) => failed(error),
    }
}

/// The system's words for what went wrong, as far as they differ between systems.
#[cfg(feature = "getaddrinfo")]
fn failed(error: dns_lookup::LookupError) -> Outcome {
    use dns_lookup::LookupErrorKind;
    // EAI_ADDRFAMILY, "address family for hostname not supported": the name has addresses, and none of this family.
    const NOT_THIS_FAMILY: i32 = if cfg!(any(target_os = "linux", target_os = "android")) { -9 } else { 1 };
    let kind = match error.kind() {
        LookupErrorKind::NoData => return Ok(Vec::new()),
        LookupErrorKind::IO if cfg!(unix) && error.error_num() == NOT_THIS_FAMILY => return Ok(Vec::new()),
        LookupErrorKind::NoName => return Err(QueryError::NoSuchName.into()),
        LookupErrorKind::Again => return Err(QueryError::Temporary.into()),
        _ => QueryError::Failed,
    };
    Err(LookupError { kind, detail: Some(std::io::Error::from(error).to_string()) })
}

/// The call that std offers is for both families. Two of them are made, since each thread knows of its own alone.
#[cfg(not(feature = "getaddrinfo"))]
fn look_up(host: &str, family: Family) -> Outcome {
    use std::net::ToSocketAddrs;
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.filter(|address| Family::of(address) == family).collect()),
        Err(error) => Err(LookupError { kind: QueryError::Failed, detail: Some(error.to_string()) }),
    }
}
